//! A switchover that is planned for a time: when it is carried out, and when not. No I/O, no clock.

use crate::events::Who;
use crate::pair::Role;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Later than this it is not carried out any more: whoever planned it counts on the time.
const LATE: SignedDuration = SignedDuration::from_mins(5);
/// Further ahead nobody plans; it is a slip of the finger.
const FURTHEST: SignedDuration = SignedDuration::from_hours(30 * 24);
/// An identifier is a few words.
const LONGEST_ID: usize = 200;

/// What is planned; kept on the disk of the node that was told.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Plan {
    /// When, by the clock of the wall.
    pub(super) at: Timestamp,
    /// The node that shall serve then: the one that did not when it was planned.
    pub(super) to: Role,
    /// As it was said, to know it again.
    #[serde(default)]
    pub(super) id: Option<String>,
    /// Who planned it, as the core names them.
    pub(super) asker: String,
    /// The same, as events do.
    pub(super) who: Who,
}

impl Plan {
    /// For people.
    pub(super) fn time(&self) -> String {
        local(self.at)
    }
}

/// RFC 3339, in this node's zone.
pub(super) fn local(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

/// How the pair is at this moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Seen {
    /// The other node has been heard since this one started, so an order can be judged.
    pub(super) heard: bool,
    /// Who serves; none: neither, or it moves.
    pub(super) serves: Option<Role>,
}

/// What is to be done about a plan now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Decision {
    /// Its time has not come.
    Wait,
    /// Now.
    CarryOut,
    /// Not any more, because of this.
    Drop(String),
}

/// Whether it may be planned for that time: `to` is the node that shall serve then.
pub(super) fn accept(at: Timestamp, id: Option<&str>, now: Timestamp, seen: Seen) -> Result<Role, String> {
    if at <= now {
        return Err(format!("{} is past: it is {} now", local(at), local(now)));
    }
    if at.duration_since(now) > FURTHEST {
        return Err(format!("{} is more than 30 days ahead", local(at)));
    }
    if id.is_some_and(|id| id.len() > LONGEST_ID) {
        return Err(format!("the id has more than {LONGEST_ID} bytes"));
    }
    match seen.serves {
        Some(Role::Primary) => Ok(Role::Secondary),
        Some(Role::Secondary) => Ok(Role::Primary),
        None => Err("neither node is known to serve now, so it is not clear which one shall then".into()),
    }
}

/// Looked at again and again, so a clock that was set makes it early or late, but never two of one.
pub(super) fn decide(plan: &Plan, now: Timestamp, seen: Seen) -> Decision {
    if now < plan.at {
        return Decision::Wait;
    }
    let late = now.duration_since(plan.at);
    match seen.serves {
        _ if late > LATE => Decision::Drop(format!(
            "{} min have passed since: tandemd was down, the other node was not heard, nobody served, or the clock was set",
            late.as_mins()
        )),
        // A change that is under way comes to its end first; whether there is anything to switch is seen then.
        None => Decision::Wait,
        _ if !seen.heard => Decision::Wait,
        Some(role) if role == plan.to => {
            Decision::Drop(format!("the service has moved since it was planned: the {role} serves already"))
        }
        _ => Decision::CarryOut,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan {
            at: "2026-11-22T02:00:00Z".parse().unwrap(),
            to: Role::Secondary,
            id: None,
            asker: "uid 0".into(),
            who: Who::Daemon,
        }
    }

    const WELL: Seen = Seen { heard: true, serves: Some(Role::Primary) };

    #[test]
    fn it_is_carried_out_in_the_five_minutes_from_its_time_on() {
        let deaf = Seen { heard: false, serves: None };
        let moved = Seen { serves: Some(Role::Secondary), ..WELL };
        let nobody = Seen { serves: None, ..WELL };
        let late = "min have passed since: tandemd was down";
        let already = "the secondary serves already";
        for (now, seen, decision) in [
            ("2026-11-22T01:59:59Z", WELL, "wait"),
            ("2026-11-22T01:59:59Z", moved, "wait"),
            ("2026-11-22T02:00:00Z", WELL, "now"),
            ("2026-11-22T02:04:59Z", WELL, "now"),
            ("2026-11-22T02:05:00Z", WELL, "now"),
            ("2026-11-22T02:05:01Z", WELL, late),
            ("2026-12-24T00:00:00Z", WELL, late),
            // Just started: whether it makes sense is not known yet.
            ("2026-11-22T02:00:00Z", deaf, "wait"),
            ("2026-11-22T02:05:00Z", deaf, "wait"),
            ("2026-11-22T02:05:01Z", deaf, late),
            // A failover has come first.
            ("2026-11-22T02:00:00Z", moved, already),
            ("2026-11-22T02:06:00Z", moved, late),
            ("2026-11-22T02:00:00Z", nobody, "wait"),
            ("2026-11-22T02:05:01Z", nobody, late),
            // The clock was set back behind the moment at which it was planned.
            ("2026-11-01T00:00:00Z", WELL, "wait"),
        ] {
            let found = match decide(&plan(), now.parse().unwrap(), seen) {
                Decision::Wait => "wait".to_owned(),
                Decision::CarryOut => "now".to_owned(),
                Decision::Drop(why) => why,
            };
            assert!(found.contains(decision), "{now} {seen:?}: {found}");
        }
    }

    #[test]
    fn only_a_time_ahead_and_not_too_far_is_accepted() {
        let now: Timestamp = "2026-11-21T18:00:00Z".parse().unwrap();
        let accept = |at: &str, seen| accept(at.parse().unwrap(), None, now, seen);
        assert_eq!(accept("2026-11-21T18:00:01Z", WELL), Ok(Role::Secondary));
        assert_eq!(accept("2026-12-21T18:00:00Z", WELL), Ok(Role::Secondary));
        let other = Seen { serves: Some(Role::Secondary), ..WELL };
        assert_eq!(accept("2026-11-22T02:00:00Z", other), Ok(Role::Primary));
        for (at, seen, why) in [
            ("2026-11-21T18:00:00Z", WELL, "is past"),
            ("2020-01-01T00:00:00Z", WELL, "is past"),
            ("2026-12-21T18:00:01Z", WELL, "30 days"),
            ("2026-11-22T02:00:00Z", Seen { serves: None, ..WELL }, "neither node"),
        ] {
            assert!(accept(at, seen).unwrap_err().contains(why), "{at}");
        }
        let id = "x".repeat(201);
        assert!(super::accept(plan().at, Some(&id), now, WELL).unwrap_err().contains("200 bytes"));
    }
}
