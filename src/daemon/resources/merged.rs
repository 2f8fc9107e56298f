//! The status of several graphs as one.

use crate::control::api::{Condition, PairResources, ResourcesStatus};

/// That of all: each with its pair, where there are several. None if there is no resource.
pub(super) fn merged(all: Vec<(Option<String>, ResourcesStatus)>) -> Option<ResourcesStatus> {
    let mut all = all.into_iter();
    let (pair, first) = all.next()?;
    let Some(pair) = pair else { return Some(first) };
    let mut whole = ResourcesStatus { pairs: vec![of_pair(pair, &first)], ..first };
    for (pair, one) in all {
        whole.pairs.push(of_pair(pair.unwrap_or_default(), &one));
        if whole.target != one.target {
            whole.target = None;
        }
        if rank(one.condition) > rank(whole.condition) {
            whole.condition = one.condition;
        }
        whole.reconfiguring |= one.reconfiguring;
        whole.resources.extend(one.resources);
        whole.groups.extend(one.groups);
    }
    let each = |text: fn(&PairResources) -> Option<&str>| {
        let words: Vec<String> =
            whole.pairs.iter().filter_map(|p| Some(format!("{}: {}", p.pair, text(p)?))).collect();
        (!words.is_empty()).then(|| words.join("; "))
    };
    let condition_text = each(|p| Some(&p.condition_text)).unwrap_or_default();
    let rolled_back = each(|p| p.rolled_back.as_deref());
    Some(ResourcesStatus { condition_text, rolled_back, ..whole })
}

fn of_pair(pair: String, r: &ResourcesStatus) -> PairResources {
    PairResources {
        pair,
        target: r.target,
        condition: r.condition,
        condition_text: r.condition_text.clone(),
        blocked: r.blocked().map(str::to_owned),
        rolled_back: r.rolled_back.clone(),
        reconfiguring: r.reconfiguring,
    }
}

/// What people have to know first.
fn rank(condition: Condition) -> u8 {
    match condition {
        Condition::Reached => 0,
        Condition::Idle => 1,
        Condition::Moving => 2,
        Condition::Blocked => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::samples::{resource, resources};
    use crate::resource::Target;

    fn of(name: &str) -> ResourcesStatus {
        ResourcesStatus { activation: None, ..resources(vec![resource(name, "exec", &[])]) }
    }

    #[test]
    fn one_graph_is_shown_as_it_is() {
        assert_eq!(merged(vec![]), None);
        let one = of("app");
        assert_eq!(merged(vec![(None, one.clone())]), Some(one));
    }

    #[test]
    fn of_several_the_worst_is_told_and_each_for_itself() {
        let north = of("north-app");
        let mut south = of("south-app");
        (south.target, south.condition) = (Some(Target::Lowered), Condition::Blocked);
        (south.condition_text, south.rolled_back) = ("south-app: stop failed".into(), Some("why".into()));
        let all = vec![(Some("north".into()), north), (Some("south".into()), south)];
        let whole = merged(all).unwrap();
        assert_eq!((whole.target, whole.condition), (None, Condition::Blocked));
        assert_eq!(whole.condition_text, "north: raised; south: south-app: stop failed");
        assert_eq!(whole.rolled_back.as_deref(), Some("south: why"));
        assert_eq!(whole.blocked(), Some("south-app: stop failed"));
        assert_eq!((whole.resources.len(), whole.pairs.len()), (2, 2));
        let (mut app, mut other) = (whole.resources[0].clone(), whole.resources[1].clone());
        (app.pair, other.pair) = (Some("north".into()), Some("south".into()));
        assert_eq!(whole.graph_of(&app), (Condition::Reached, None), "the other pair does not matter to it");
        assert_eq!(whole.graph_of(&other), (Condition::Blocked, Some("south-app: stop failed")));
    }
}
