//! What systemd says about a unit, and what it means (org.freedesktop.systemd1(5)).

use crate::resource::{Level, StepResult};
use nix::sys::signal::Signal;
use std::collections::HashMap;
use zbus::zvariant::{OwnedObjectPath, OwnedValue};

/// Properties of an interface.
pub(super) type Properties = HashMap<String, OwnedValue>;

/// A unit at one moment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Unit {
    /// `LoadState`: `loaded`, `not-found`, `masked`, `bad-setting`, `error`.
    pub(super) load: String,
    /// What is wrong with loading it, in systemd's words.
    pub(super) load_error: String,
    /// `ActiveState`: `active`, `reloading`, `inactive`, `failed`, `activating`, `deactivating`.
    pub(super) active: String,
    /// `SubState`, of the unit's own type: `running`, `exited`, `auto-restart`.
    pub(super) sub: String,
    /// False: a Condition...= of the unit did not hold at its last start.
    pub(super) condition: bool,
    /// The job that is queued or runs for it; 0: none.
    pub(super) job: u32,
    /// Since when it is active, in microseconds since 1970; 0: not.
    pub(super) active_since: u64,
    /// `Result` of its last run: `success`, `exit-code`, `signal`, `timeout`; empty where its type has none.
    pub(super) result: String,
    /// How the main process ended: CLD_EXITED and the like (sigaction(2)).
    pub(super) exit_code: i32,
    /// Its exit status or signal.
    pub(super) exit_status: i32,
    /// Main or control process; 0: none.
    pub(super) pid: u32,
}

impl Unit {
    /// From its properties: those of every unit, and those of its type.
    pub(super) fn new(unit: &Properties, of_type: &Properties) -> Self {
        let pid = get::<u32>(of_type, "MainPID").filter(|pid| *pid != 0);
        Unit {
            load: text(unit, "LoadState"),
            load_error: get::<(String, String)>(unit, "LoadError")
                .map(|(_, words)| words)
                .unwrap_or_default(),
            active: text(unit, "ActiveState"),
            sub: text(unit, "SubState"),
            condition: get::<bool>(unit, "ConditionResult").unwrap_or(true),
            job: get::<(u32, OwnedObjectPath)>(unit, "Job").map_or(0, |(id, _)| id),
            active_since: get::<u64>(unit, "ActiveEnterTimestamp").unwrap_or(0),
            result: text(of_type, "Result"),
            exit_code: get::<i32>(of_type, "ExecMainCode").unwrap_or(0),
            exit_status: get::<i32>(of_type, "ExecMainStatus").unwrap_or(0),
            pid: pid.or_else(|| get(of_type, "ControlPID")).unwrap_or(0),
        }
    }

    /// It does what it is for.
    pub(super) fn is_up(&self) -> bool {
        matches!(self.active.as_str(), "active" | "reloading" | "refreshing")
    }

    /// Nothing of it runs.
    pub(super) fn is_down(&self) -> bool {
        matches!(self.active.as_str(), "inactive" | "failed")
    }

    /// At which level it is: not stopped until it is down.
    pub(super) fn level(&self) -> Level {
        if self.is_down() { Level::Stopped } else { Level::Started }
    }

    /// Its state, as `systemctl status` has it: `active (running)`, `failed (exit-code, status 203)`.
    pub(super) fn words(&self) -> String {
        let mut more: Vec<String> = Vec::new();
        if self.sub != self.active {
            more.push(self.sub.clone());
        }
        let trouble = !self.is_up() && !matches!(self.result.as_str(), "" | "success");
        if trouble {
            more.push(self.result.clone());
            more.extend(self.ending());
        }
        if more.is_empty() { self.active.clone() } else { format!("{} ({})", self.active, more.join(", ")) }
    }

    fn ending(&self) -> Option<String> {
        let killed = || {
            Signal::try_from(self.exit_status)
                .map_or_else(|_| format!("signal {}", self.exit_status), |s| s.to_string())
        };
        match self.exit_code {
            libc::CLD_EXITED => Some(format!("status {}", self.exit_status)),
            libc::CLD_KILLED | libc::CLD_DUMPED => Some(killed()),
            _ => None,
        }
    }

    /// Why it cannot be started at all, if systemd could not load it.
    pub(super) fn unusable(&self, name: &str) -> Option<String> {
        let why = match self.load.as_str() {
            "loaded" => return None,
            "not-found" => {
                return Some(format!(
                    "unit {name} does not exist: install it, or mend `unit` (systemctl list-unit-files)"
                ));
            }
            "masked" => return Some(format!("unit {name} is masked: systemctl unmask {name}")),
            other => other,
        };
        Some(format!("unit {name} cannot be loaded ({why}): {} (systemctl status {name})", self.load_error))
    }

    /// What a monitor says.
    pub(super) fn monitored(&self, level: Level) -> StepResult {
        let fine = match level {
            Level::Stopped => self.is_down(),
            Level::Started | Level::Promoted => self.is_up(),
        };
        if fine { StepResult::Done } else { StepResult::Failed(self.words()) }
    }

    /// How a start ended: with this result of its job, or without one if that is not known.
    pub(super) fn started(&self, name: &str, job: Option<&str>) -> StepResult {
        if self.is_up() {
            return StepResult::Done;
        }
        if let Some(why) = self.unusable(name) {
            return StepResult::Failed(why);
        }
        let fine = job.is_none_or(|j| matches!(j, "done" | "skipped"));
        let words = self.words();
        StepResult::Failed(if !fine {
            let job = job.unwrap_or_default();
            format!("the start job of {name} ended with {job:?}: it is {words}; see journalctl -u {name}")
        } else if !self.condition {
            format!(
                "{name} was not started, as one of its conditions does not hold: see systemctl status {name}"
            )
        } else if self.active == "inactive" && matches!(self.result.as_str(), "" | "success") {
            format!("{name} is {words} right after its start: a oneshot service needs RemainAfterExit=yes")
        } else {
            format!("{name} is {words} right after its start; see journalctl -u {name}")
        })
    }

    /// How a stop ended.
    pub(super) fn stopped(&self, name: &str, job: Option<&str>) -> StepResult {
        if self.is_down() {
            return StepResult::Done;
        }
        let job = job.map(|j| format!("the stop job ended with {j:?}: ")).unwrap_or_default();
        StepResult::Failed(format!("{job}{name} is {}; see journalctl -u {name}", self.words()))
    }

    /// Whether something happened to it, seen from `before`, that its resource should be monitored for.
    pub(super) fn fell_from(&self, before: &Unit) -> bool {
        let restarted = before.pid != 0 && self.pid != 0 && before.pid != self.pid;
        before.is_up() && (!self.is_up() || restarted) || self.active == "failed" && before.active != "failed"
    }
}

/// The D-Bus interface of a unit's type; none for types that say nothing that matters here.
pub(super) fn interface(unit: &str) -> Option<&'static str> {
    Some(match unit.rsplit_once('.')?.1 {
        "service" => "org.freedesktop.systemd1.Service",
        "socket" => "org.freedesktop.systemd1.Socket",
        "mount" => "org.freedesktop.systemd1.Mount",
        "automount" => "org.freedesktop.systemd1.Automount",
        "swap" => "org.freedesktop.systemd1.Swap",
        "timer" => "org.freedesktop.systemd1.Timer",
        "path" => "org.freedesktop.systemd1.Path",
        "scope" => "org.freedesktop.systemd1.Scope",
        _ => return None,
    })
}

fn get<T: TryFrom<OwnedValue>>(from: &Properties, key: &str) -> Option<T> {
    T::try_from(from.get(key)?.try_clone().ok()?).ok()
}

fn text(from: &Properties, key: &str) -> String {
    get(from, key).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use zbus::zvariant::Value;

    fn unit(active: &str, sub: &str, result: &str, code: i32, status: i32) -> Unit {
        Unit {
            load: "loaded".into(),
            active: active.into(),
            sub: sub.into(),
            condition: true,
            result: result.into(),
            exit_code: code,
            exit_status: status,
            ..Unit::default()
        }
    }

    #[test]
    fn states_in_words_and_what_they_mean() {
        const EXITED: i32 = libc::CLD_EXITED;
        for (unit, words, up, level) in [
            (unit("active", "running", "success", 0, 0), "active (running)", true, Level::Started),
            (unit("reloading", "reload", "success", 0, 0), "reloading (reload)", true, Level::Started),
            (unit("inactive", "dead", "success", EXITED, 0), "inactive (dead)", false, Level::Stopped),
            (
                unit("failed", "failed", "exit-code", EXITED, 203),
                "failed (exit-code, status 203)",
                false,
                Level::Stopped,
            ),
            (
                unit("failed", "failed", "signal", libc::CLD_KILLED, 11),
                "failed (signal, SIGSEGV)",
                false,
                Level::Stopped,
            ),
            (
                unit("failed", "failed", "core-dump", libc::CLD_DUMPED, 64),
                "failed (core-dump, signal 64)",
                false,
                Level::Stopped,
            ),
            (unit("failed", "failed", "timeout", 0, 0), "failed (timeout)", false, Level::Stopped),
            (
                unit("activating", "auto-restart", "exit-code", EXITED, 1),
                "activating (auto-restart, exit-code, status 1)",
                false,
                Level::Started,
            ),
            (
                unit("deactivating", "stop-sigterm", "success", 0, 0),
                "deactivating (stop-sigterm)",
                false,
                Level::Started,
            ),
        ] {
            assert_eq!((unit.words().as_str(), unit.is_up(), unit.level()), (words, up, level));
            let fine = |level| unit.monitored(level) == StepResult::Done;
            assert_eq!((fine(Level::Started), fine(Level::Stopped)), (up, level == Level::Stopped));
        }
    }

    #[test]
    fn a_start_is_judged_by_its_job_and_by_what_came_of_it() {
        let up = unit("active", "running", "success", 0, 0);
        let failed = unit("failed", "failed", "exit-code", libc::CLD_EXITED, 1);
        let dead = unit("inactive", "dead", "success", 0, 0);
        let skipped = Unit { condition: false, ..dead.clone() };
        let none = Unit { load: "not-found".into(), ..dead.clone() };
        let bad = Unit { load: "bad-setting".into(), load_error: "no ExecStart=".into(), ..dead.clone() };
        for (unit, job, words) in [
            (
                &failed,
                Some("failed"),
                "the start job of x.service ended with \"failed\": it is failed (exit-code, status 1)",
            ),
            (&dead, Some("dependency"), "ended with \"dependency\": it is inactive (dead)"),
            (&dead, Some("done"), "RemainAfterExit=yes"),
            (&failed, Some("done"), "right after its start; see journalctl"),
            (&failed, None, "right after its start; see journalctl"),
            (&skipped, Some("done"), "one of its conditions"),
            (&none, Some("done"), "unit x.service does not exist"),
            (&bad, None, "cannot be loaded (bad-setting): no ExecStart="),
        ] {
            let StepResult::Failed(text) = unit.started("x.service", job) else { panic!("{unit:?}") };
            assert!(text.contains(words), "{text}");
        }
        assert_eq!(up.started("x.service", Some("done")), StepResult::Done);
        assert_eq!(up.started("x.service", None), StepResult::Done, "the answer was lost");
    }

    #[test]
    fn stopped_is_what_runs_no_more() {
        for (active, done) in
            [("inactive", true), ("failed", true), ("active", false), ("deactivating", false)]
        {
            let unit = unit(active, "x", "success", 0, 0);
            assert_eq!(unit.stopped("x.service", Some("done")) == StepResult::Done, done, "{active}");
        }
    }

    #[test]
    fn a_look_is_worth_it_when_it_leaves_active_or_fails_or_was_restarted_by_systemd() {
        let at = |active: &str, pid| Unit { pid, ..unit(active, "x", "success", 0, 0) };
        for (before, now, worth) in [
            (at("active", 7), at("active", 7), false),
            (at("active", 7), at("reloading", 7), false),
            (at("active", 7), at("activating", 0), true),
            (at("active", 7), at("inactive", 0), true),
            (at("active", 7), at("active", 8), true),
            (at("active", 7), at("active", 0), false),
            (at("inactive", 0), at("failed", 0), true),
            (at("failed", 0), at("failed", 0), false),
            (at("inactive", 0), at("active", 9), false),
        ] {
            assert_eq!(now.fell_from(&before), worth, "{} -> {}", before.active, now.active);
        }
    }

    #[test]
    fn properties_are_read_and_missing_ones_are_not_minded() {
        let value = |v: Value<'_>| OwnedValue::try_from(v).unwrap();
        let path = zbus::zvariant::ObjectPath::try_from("/x").unwrap();
        let of_unit = Properties::from([
            ("LoadState".to_owned(), value("error".into())),
            ("LoadError".to_owned(), value(("org.x".to_owned(), "broken".to_owned()).into())),
            ("ActiveState".to_owned(), value("active".into())),
            ("Job".to_owned(), value((42_u32, path).into())),
            ("ConditionResult".to_owned(), value(false.into())),
            ("ActiveEnterTimestamp".to_owned(), value(5_u64.into())),
        ]);
        let of_service = Properties::from([
            ("MainPID".to_owned(), value(0_u32.into())),
            ("ControlPID".to_owned(), value(9_u32.into())),
            ("ExecMainStatus".to_owned(), value(3_i32.into())),
        ]);
        let unit = Unit::new(&of_unit, &of_service);
        assert_eq!((unit.load.as_str(), unit.load_error.as_str(), unit.job), ("error", "broken", 42));
        assert_eq!((unit.pid, unit.exit_status, unit.active_since, unit.condition), (9, 3, 5, false));
        assert_eq!(
            Unit::new(&Properties::new(), &Properties::new()),
            Unit { condition: true, ..Unit::default() }
        );
    }
}
