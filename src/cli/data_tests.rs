use super::*;
use crate::control::api::DataRole;

fn report(local: DataState, peer: DataState) -> DataReport {
    let status = DataStatus {
        kind: "drbd".into(),
        name: "r0".into(),
        role: DataRole::Primary,
        peer_role: DataRole::Secondary,
        local,
        peer,
        connection: "Connected".into(),
        split_brain: false,
        promotable: Ok(()),
        details: vec![("out-of-sync".into(), "51160 KiB".into())],
    };
    DataReport { resource: "data".into(), status: Some(status), error: None }
}

#[test]
fn a_status_says_both_sides_with_percent_and_time() {
    let syncing = DataState::Syncing { percent: Some(50.04), seconds_left: Some(203) };
    let text = render(&report(DataState::UpToDate, syncing));
    let want = "data (drbd r0)\n  here        Primary, up to date\n  peer        Secondary, being copied 50.0 %, 3 min 23 s \
                left\n  connection  Connected\n  promotable  yes\n  out-of-sync: 51160 KiB\n";
    assert_eq!(text, want);
}

#[test]
fn only_two_whole_copies_are_whole() {
    assert!(is_whole(&report(DataState::UpToDate, DataState::UpToDate)));
    assert!(!is_whole(&report(DataState::UpToDate, DataState::Unknown)));
    assert!(!is_whole(&report(DataState::Stale, DataState::UpToDate)));
    let mut split = report(DataState::UpToDate, DataState::UpToDate);
    split.status.as_mut().unwrap().split_brain = true;
    assert!(!is_whole(&split));
    assert!(render(&split).starts_with("data (drbd r0): SPLIT BRAIN\n"));
    assert!(!is_whole(&DataReport { resource: "x".into(), status: None, error: Some("away".into()) }));
}

#[test]
fn hosts_are_two_or_placeholders() {
    let given = |all: &[&str]| hosts(&all.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
    let two = given(&["alpha=10.0.0.1", "bravo"]).unwrap();
    assert_eq!((two[0].address, two[1].name.as_str()), (Some("10.0.0.1".parse().unwrap()), "bravo"));
    assert_eq!(given(&[]).unwrap()[1].name, "HOST-B");
    assert!(given(&["a", "b", "c"]).is_err());
    assert!(given(&["a=10.0.0.1:7788"]).is_err());
}
