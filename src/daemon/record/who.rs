//! Who is behind a reason.

use crate::config::TrackKind;
use crate::events::Who;
use crate::resource;
use crate::vrrp::{Reason, TrackKey};

/// Behind a transition of a virtual router; `track` is the one that keeps it in FAULT.
pub(in crate::daemon) fn of_transition(reason: &Reason, track: Option<&TrackKey>) -> Who {
    match (reason, track) {
        (Reason::Silence { .. }, _) => Who::Timer,
        (Reason::MasterLeft(a), _)
        | (Reason::Better { master: a, .. } | Reason::GreaterAddress { master: a, .. }, _) => {
            Who::Peer { name: a.to_string() }
        }
        (Reason::Fault(_), Some(TrackKey { kind, name })) => match *kind == TrackKind::Resource.to_string() {
            true => Who::Resource { name: name.clone() },
            false => Who::Track { track: (*kind).to_owned(), name: name.clone() },
        },
        (Reason::Fault(_), None) => Who::Network,
        _ => Who::Daemon,
    }
}

/// Behind a change of a resource. `operator` is who gave the last command.
pub(in crate::daemon) fn of_resource(reason: &resource::Reason, name: &str, operator: Option<&Who>) -> Who {
    use resource::Reason as R;
    let resource = |name: &str| Who::Resource { name: name.to_owned() };
    match reason {
        R::Operator(_) => operator.cloned().unwrap_or(Who::Daemon),
        R::Needs { on, because } => match of_resource(because, on.as_str(), operator) {
            Who::Daemon => resource(on.as_str()),
            who => who,
        },
        R::RolledBack { resource: by, because } => of_resource(because, by.as_str(), operator),
        R::StepFailed { .. } | R::NotDown { .. } | R::NeverEnds(_) | R::Done(_) | R::Cancelled(_) => {
            resource(name)
        }
        R::AnotherChance(_) => Who::Timer,
        R::NotAsked | R::Target(_) | R::RunForever | R::NotWithTheRest | R::Found(_) | R::Reconfigured => {
            Who::Daemon
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Operator;
    use crate::resource::{Name, Reason as R, Step, Target};
    use std::time::Duration;

    #[test]
    fn a_transition_is_brought_about_by_whoever_its_reason_names() {
        let master = "192.0.2.2".parse().unwrap();
        let peer = Who::Peer { name: "192.0.2.2".into() };
        let key = |kind| TrackKey { kind, name: "api".into() };
        for (reason, track, want) in [
            (Reason::Silence { master: None, waited: Duration::ZERO }, None, Who::Timer),
            (Reason::MasterLeft(master), None, peer.clone()),
            (Reason::Better { master, theirs: 1, own: String::new() }, None, peer),
            (Reason::Listening, None, Who::Daemon),
            (Reason::Fault("eth0 is down".into()), None, Who::Network),
            (Reason::Fault("app failed".into()), Some("resource"), Who::Resource { name: "api".into() }),
            (
                Reason::Fault("api failed".into()),
                Some("script"),
                Who::Track { track: "script".into(), name: "api".into() },
            ),
        ] {
            assert_eq!(of_transition(&reason, track.map(key).as_ref()), want, "{reason}");
        }
    }

    #[test]
    fn a_resource_changes_by_what_is_at_the_bottom_of_its_reason() {
        let root = Who::Operator(Operator::default());
        let resource = |name: &str| Who::Resource { name: name.into() };
        let needs = |because| R::Needs { on: Name::from("data"), because: Box::new(because) };
        let failed = R::NotDown { step: Step::Stop, trouble: "busy".into() };
        for (reason, want) in [
            (R::Target(Target::Raised), Who::Daemon),
            (R::Done(Step::Start), resource("app")),
            (R::Operator("stopped"), root.clone()),
            (needs(R::Operator("stopped")), root.clone()),
            (needs(failed.clone()), resource("data")),
            (needs(R::Target(Target::Lowered)), resource("data")),
            (R::RolledBack { resource: Name::from("fs"), because: Box::new(failed) }, resource("fs")),
            (R::AnotherChance(Duration::ZERO), Who::Timer),
        ] {
            assert_eq!(of_resource(&reason, "app", Some(&root)), want, "{reason}");
        }
        assert_eq!(of_resource(&R::Operator("stopped"), "app", None), Who::Daemon);
    }
}
