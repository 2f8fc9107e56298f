use super::*;
use crate::control::api::ResourceGroupStatus;
use crate::control::samples::stack;
use ResourceCommand as C;

fn of(r: &ResourcesStatus, command: C, name: &str) -> Progress {
    progress(r, command, name, &Moment::utc("2026-11-21T12:30:00Z".parse().unwrap()))
}

/// The stack, with its mail server there.
fn with(condition: Condition, state: State, level: Level, goal: Level) -> ResourcesStatus {
    let mut r = stack();
    r.condition = condition;
    let mail = &mut r.resources[3];
    (mail.state, mail.level, mail.goal) = (state, level, goal);
    r
}

#[test]
fn when_a_command_is_there_on_its_way_or_lost() {
    use Condition::{Blocked, Idle, Moving, Reached};
    use Level::{Started as Up, Stopped as Down};
    for (command, condition, state, level, goal, expected) in [
        (C::Start, Reached, State::Started, Up, Up, "there"),
        (C::Start, Moving, State::Started, Up, Up, "there"),
        (C::Start, Moving, State::Starting, Down, Up, "underway"),
        (C::Start, Moving, State::Broken, Up, Down, "underway"),
        (C::Start, Moving, State::Failed, Down, Down, "never"),
        (C::Start, Reached, State::Stopped, Down, Down, "never"),
        (C::Start, Idle, State::Stopped, Down, Down, "never"),
        (C::Start, Blocked, State::Stopped, Down, Down, "never"),
        (C::Stop, Moving, State::Started, Up, Down, "underway"),
        (C::Stop, Moving, State::Stopping, Up, Down, "underway"),
        (C::Stop, Moving, State::Stopped, Down, Down, "there"),
        (C::Stop, Blocked, State::Stuck, Up, Down, "never"),
        // On its way down, to come up again.
        (C::Restart, Moving, State::Started, Up, Down, "underway"),
        (C::Restart, Moving, State::Stopped, Down, Up, "underway"),
        (C::Restart, Reached, State::Started, Up, Up, "there"),
        (C::Clear, Moving, State::Stuck, Up, Down, "never"),
        (C::Clear, Moving, State::Stopping, Up, Down, "underway"),
        (C::Clear, Reached, State::Stopped, Down, Down, "there"),
    ] {
        let got = match of(&with(condition, state, level, goal), command, "mail") {
            Progress::There(_) => "there",
            Progress::Underway(_) => "underway",
            Progress::Never(_) => "never",
        };
        assert_eq!(got, expected, "{command} {condition:?} {state} {level} {goal}");
    }
}

#[test]
fn the_reason_is_said() {
    let mut r = with(Condition::Reached, State::Stopped, Level::Stopped, Level::Stopped);
    r.resources[3].goal_reason = "this node is not to be active".into();
    let never = |text: &str| Progress::Never(text.to_owned());
    assert_eq!(of(&r, C::Start, "mail"), never("mail is stopped: this node is not to be active"));
    r.maintenance = true;
    let text = "mail is stopped: this node is not to be active\nmaintenance is on: nothing moves";
    assert_eq!(of(&r, C::Start, "mail"), never(text));
    assert_eq!(of(&r, C::Start, "gone"), never("gone is not configured any more"));
    assert_eq!(of(&r, C::Start, "db"), Progress::There("db is started".into()));
    r.condition = Condition::Blocked;
    r.condition_text = "fs: stop failed".into();
    assert!(
        matches!(of(&r, C::Start, "mail"), Progress::Never(t) if t.ends_with("blocked: fs: stop failed"))
    );
}

#[test]
fn a_group_is_there_when_all_members_are() {
    let mut r = with(Condition::Moving, State::Starting, Level::Stopped, Level::Started);
    let members = vec!["db".into(), "mail".into()];
    r.groups.push(ResourceGroupStatus { name: "g".into(), members, needs: vec![] });
    assert!(matches!(of(&r, C::Start, "g"), Progress::Underway(t) if t.starts_with("mail is starting")));
    (r.resources[3].state, r.resources[3].level) = (State::Started, Level::Started);
    assert_eq!(of(&r, C::Start, "g"), Progress::There("db is started\nmail is started".into()));
}

#[test]
fn the_nearest_name_is_offered() {
    let r = stack();
    assert_eq!(known(&r, "mail"), Ok(()));
    assert_eq!(
        known(&r, "mial").unwrap_err(),
        "no resource mial, did you mean mail? There are: data, fs, db, mail"
    );
    assert!(known(&r, "../status").is_err());
}
