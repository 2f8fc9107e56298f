//! `[[track.script]]`: a command whose exit status says up or down.

use super::Verdict;
use super::sink::Sink;
use crate::config::{ScriptTrack, UserRef};
use crate::process::{self, Ended};
use tokio::time::MissedTickBehavior;

/// Counts successes and failures in a row. The first result after the start decides alone.
#[derive(Clone, Copy, Debug)]
struct Counter {
    rise: u32,
    fall: u32,
    up: Option<bool>,
    against: u32,
}

impl Counter {
    fn count(&mut self, success: bool) -> bool {
        let Some(up) = self.up else {
            self.up = Some(success);
            return success;
        };
        if success == up {
            self.against = 0;
            return up;
        }
        self.against += 1;
        let needed = if success { self.rise } else { self.fall };
        if self.against >= needed {
            self.up = Some(success);
            self.against = 0;
        }
        self.up.unwrap_or(success)
    }
}

/// Runs the script again and again. A run that takes longer than the interval delays the next one: two never
/// overlap.
pub(super) async fn watch(track: ScriptTrack, default_user: Option<UserRef>, sink: Sink) {
    let mut counter =
        Counter { rise: track.rise, fall: track.fall, up: track.init_fail.then_some(false), against: 0 };
    if track.init_fail {
        sink.put(Verdict::Down, "init_fail: down until the first success".into()).await;
    }
    let mut tick = tokio::time::interval(track.interval);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let ended = run_once(&track, default_user.as_ref()).await;
        let before = counter.up;
        let up = counter.count(ended.is_success());
        let detail = ended.to_string();
        if before != Some(up) && !up {
            tracing::warn!(track = sink.name(), "script {} is down: {detail}", sink.name());
        }
        match up {
            true => sink.put(Verdict::Up, "exit status 0".into()).await,
            false if ended.is_success() => {} // not yet often enough: the last failure stays the reason
            false => sink.put(Verdict::Down, detail).await,
        }
    }
}

async fn run_once(track: &ScriptTrack, default_user: Option<&UserRef>) -> Ended {
    let user = match process::resolve_user(track.user.as_ref().or(default_user)) {
        Ok(user) => user,
        Err(e) => return Ended::NotStarted(e.to_string()),
    };
    if let Err(e) = process::check_script(&track.command.program, &user) {
        return Ended::NotStarted(e.to_string());
    }
    process::run(&track.command, &user, &[], track.timeout).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_result_decides_alone_and_then_rise_and_fall_count() {
        let mut c = Counter { rise: 2, fall: 3, up: None, against: 0 };
        assert!(!c.count(false), "first result");
        assert!(!c.count(true));
        assert!(!c.count(false), "a failure in between starts the count again");
        assert!(!c.count(true));
        assert!(c.count(true));
        assert!(c.count(false) && c.count(false), "two of three");
        assert!(!c.count(false));
    }
}
