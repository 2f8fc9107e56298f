//! How far a registration is, from the first word between the nodes to a pair that is whole.

use crate::control::api::PairReport;
use crate::pair::{Data, Direction, Serving, State, Status};
use std::time::Duration;

/// Milestones until both nodes have pinned each other.
const MILESTONES: u8 = 4;
/// Percent of the bar that belong to each of them.
const EACH: u8 = 5;
/// Where the copy of the data ends on the bar.
const COPIED: u8 = 90;
/// Without a copy under way it takes seconds.
const PATIENCE: Duration = Duration::from_secs(60);
/// A copy that has not moved for so long is worth a word, and then again.
const STUCK: Duration = Duration::from_secs(60);
const STUCK_STILL: Duration = Duration::from_secs(600);
/// Nobody looks at it any more.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// Characters of the bar.
const BAR: usize = 20;

/// The parts of a registration (PI-7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    Before,
    Copying,
    After,
    Whole,
}

impl Phase {
    fn word(self) -> &'static str {
        match self {
            Phase::Before => "pre-registration",
            Phase::Copying => "data replication",
            Phase::After | Phase::Whole => "post-registration",
        }
    }
}

/// How far it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Stage {
    pub(super) percent: u8,
    pub(super) phase: Phase,
    pub(super) text: String,
    /// A copy is under way.
    copies: bool,
}

impl Stage {
    fn new(percent: u8, phase: Phase, text: impl Into<String>) -> Self {
        Stage { percent, phase, text: text.into(), copies: false }
    }

    /// That of a milestone, counted from 1.
    pub(super) fn milestone(n: usize, text: &str) -> Self {
        let n = u8::try_from(n).unwrap_or(MILESTONES).min(MILESTONES);
        Stage::new(n * EACH, Phase::Before, text)
    }

    /// For a log: `  5 % pre-registration: the other node answers`.
    pub(super) fn line(&self) -> String {
        format!("{:3} % {}: {}", self.percent, self.phase.word(), self.text)
    }

    /// For a terminal, as long as a line of it at most.
    pub(super) fn bar(&self) -> String {
        let full = BAR * usize::from(self.percent.min(100)) / 100;
        let line = format!("[{}{}] {}", "#".repeat(full), ".".repeat(BAR - full), self.line());
        line.chars().take(super::super::text::WIDTH - 1).collect()
    }

    /// Whether a log needs another line for it: not for every percent of a copy.
    pub(super) fn is_news(&self, last: Option<&Stage>) -> bool {
        let Some(last) = last else { return true };
        match (self.copies, last.copies) {
            (true, true) => self.percent / 10 != last.percent / 10,
            _ => (self.phase, &self.text) != (last.phase, &last.text),
        }
    }
}

/// How far the pair is.
pub(super) fn stage(p: &PairReport) -> Stage {
    let (Some(s), Some(_)) = (&p.status, &p.registered) else {
        return match p.progress.last() {
            Some(text) => Stage::milestone(p.progress.len(), text),
            None => Stage::new(0, Phase::Before, "asks the other node"),
        };
    };
    let pinned = MILESTONES * EACH;
    let Some(peer) = s.peer.as_ref().filter(|_| s.links.contains(&Direction::Both)) else {
        return Stage::new(pinned, Phase::Before, "waits for a word of the other node");
    };
    let states = format!("{} here, {} there", s.state, peer.state);
    match copy(s) {
        None => Stage::new(pinned, Phase::Before, states),
        Some(Data::None | Data::Current) if is_whole(s) => Stage::new(100, Phase::Whole, states),
        Some(Data::None | Data::Current) => Stage::new(COPIED, Phase::After, states),
        Some(Data::Syncing { percent }) => {
            let done = u32::from(percent.unwrap_or(0).min(100)) * u32::from(COPIED - pinned) / 100;
            let text = percent.map_or_else(|| "under way".to_owned(), |p| format!("{p} % are copied"));
            let percent = pinned.saturating_add(u8::try_from(done).unwrap_or(0));
            Stage { copies: true, ..Stage::new(percent, Phase::Copying, text) }
        }
        Some(other) => {
            let text = other.trouble().unwrap_or_else(|| "waits for the connection of the data".into());
            Stage::new(pinned, Phase::Copying, text)
        }
    }
}

/// The data of the node that does not serve, if the other one does.
fn copy(s: &Status) -> Option<&Data> {
    let peer = s.peer.as_ref()?;
    match (s.serving, peer.serving) {
        (Serving::Yes, Serving::No) => Some(&peer.data),
        (Serving::No, Serving::Yes) => Some(&s.data),
        _ => None,
    }
}

fn is_whole(s: &Status) -> bool {
    let states = (s.state, s.peer.as_ref().map(|p| p.state));
    matches!(
        states,
        (State::PrimaryActive, Some(State::SecondarySyncing))
            | (State::SecondarySyncing, Some(State::PrimaryActive))
            | (State::PrimarySyncing, Some(State::SecondaryActive))
            | (State::SecondaryActive, Some(State::PrimarySyncing))
    )
}

/// What to do with what was seen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Then {
    /// Look again.
    Wait,
    /// The same, and say this.
    Warn(String),
    /// The pair is whole.
    Done,
    /// It has taken too long.
    GiveUp(String),
}

/// Waits for a pair to become whole. Times are since the wait began.
#[derive(Debug)]
pub(super) struct Patience {
    /// As an operator says; none: as long as a copy is under way.
    limit: Option<Duration>,
    last: Option<Stage>,
    /// When it moved last, and when that was said.
    moved: Duration,
    warned: Option<Duration>,
}

impl Patience {
    pub(super) fn new(limit: Option<Duration>) -> Self {
        Patience { limit, last: None, moved: Duration::ZERO, warned: None }
    }

    pub(super) fn sees(&mut self, at: Duration, stage: &Stage) -> Then {
        if self.last.as_ref() != Some(stage) {
            (self.moved, self.warned, self.last) = (at, None, Some(stage.clone()));
        }
        if stage.phase == Phase::Whole {
            return Then::Done;
        }
        let still = at.saturating_sub(self.moved);
        let over = match self.limit {
            Some(limit) => at >= limit,
            None => at >= LONGEST || (!stage.copies && still >= PATIENCE),
        };
        if over {
            return Then::GiveUp(format!("after {} s: {}", at.as_secs(), stage.line().trim_start()));
        }
        let pause = if self.warned.is_some() { STUCK_STILL } else { STUCK };
        if stage.copies && at.saturating_sub(self.warned.unwrap_or(self.moved)) >= pause {
            self.warned = Some(at);
            return Then::Warn(format!(
                "the copy of the data has not moved for {} s: look at `tandemadm data status` on both nodes",
                still.as_secs()
            ));
        }
        Then::Wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::samples::pair_report;

    /// The primary serves, the data of the secondary are these.
    fn with(data: Data) -> PairReport {
        let mut p = pair_report();
        p.status.as_mut().unwrap().peer.as_mut().unwrap().data = data;
        p
    }

    #[test]
    fn from_the_first_word_to_a_pair_that_is_whole() {
        let mut p = pair_report();
        (p.status, p.registered) = (None, None);
        let mut lines = vec![stage(&p).line()];
        for text in ["one", "two", "three", "four"] {
            p.progress.push(text.into());
            lines.push(stage(&p).line());
        }
        let (whole, mut alone) = (pair_report(), pair_report());
        alone.status.as_mut().unwrap().links = vec![Direction::Silent, Direction::PeerIsDeaf];
        lines.push(stage(&alone).line());
        for data in [
            Data::Unknown,
            Data::Consistent,
            Data::Syncing { percent: None },
            Data::Syncing { percent: Some(41) },
            Data::Syncing { percent: Some(100) },
        ] {
            lines.push(stage(&with(data)).line());
        }
        let mut near = with(Data::Current);
        near.status.as_mut().unwrap().state = State::PrimaryLostSecondary;
        lines.extend([stage(&near).line(), stage(&whole).line()]);
        let expected = [
            "  0 % pre-registration: asks the other node",
            "  5 % pre-registration: one",
            " 10 % pre-registration: two",
            " 15 % pre-registration: three",
            " 20 % pre-registration: four",
            " 20 % pre-registration: waits for a word of the other node",
            " 20 % data replication: nothing is known of its data yet",
            " 20 % data replication: waits for the connection of the data",
            " 20 % data replication: under way",
            " 48 % data replication: 41 % are copied",
            " 90 % data replication: 100 % are copied",
            " 90 % post-registration: Primary Lost Secondary here, Secondary Syncing there",
            "100 % post-registration: Primary Active here, Secondary Syncing there",
        ];
        assert_eq!(lines, expected);
        assert!(
            stage(&whole).bar().starts_with("[####################] 100 % post"),
            "{}",
            stage(&whole).bar()
        );
        assert!(stage(&p).bar().starts_with("[####................]  20 % pre"), "{}", stage(&p).bar());
        assert!(stage(&with(Data::Stale("x".repeat(200)))).bar().chars().count() < 80);
    }

    #[test]
    fn the_copy_is_that_of_whoever_does_not_serve() {
        let mut p = with(Data::Current);
        let s = p.status.as_mut().unwrap();
        (s.state, s.serving, s.data) =
            (State::PrimarySyncing, Serving::No, Data::Syncing { percent: Some(50) });
        let peer = s.peer.as_mut().unwrap();
        (peer.state, peer.serving) = (State::SecondaryActive, Serving::Yes);
        assert_eq!(stage(&p).line(), " 55 % data replication: 50 % are copied");
        p.status.as_mut().unwrap().data = Data::Current;
        assert_eq!(stage(&p).phase, Phase::Whole);
        p.status.as_mut().unwrap().serving = Serving::GoingUp;
        assert_eq!(stage(&p).phase, Phase::Before);
    }

    #[test]
    fn a_copy_has_its_time_and_everything_else_a_minute() {
        let s = Duration::from_secs;
        let copying = |percent| stage(&with(Data::Syncing { percent: Some(percent) }));
        let stale = stage(&with(Data::Stale("r0 lacks newer writes".into())));
        let mut patience = Patience::new(None);
        assert_eq!(patience.sees(s(0), &copying(1)), Then::Wait);
        assert_eq!(patience.sees(s(59), &copying(1)), Then::Wait);
        assert!(matches!(patience.sees(s(60), &copying(1)), Then::Warn(text) if text.contains("for 60 s")));
        assert_eq!(patience.sees(s(659), &copying(1)), Then::Wait);
        assert!(matches!(patience.sees(s(660), &copying(1)), Then::Warn(text) if text.contains("for 660 s")));
        assert_eq!(patience.sees(s(661), &copying(2)), Then::Wait);
        assert!(matches!(patience.sees(s(721), &copying(2)), Then::Warn(_)), "it had moved");
        assert_eq!(patience.sees(s(800), &stale), Then::Wait);
        assert!(matches!(patience.sees(s(860), &stale), Then::GiveUp(text) if text.contains("lacks newer")));
        assert_eq!(patience.sees(s(870), &stage(&pair_report())), Then::Done);
        assert!(matches!(Patience::new(None).sees(LONGEST, &copying(1)), Then::GiveUp(_)));

        let mut bounded = Patience::new(Some(s(5)));
        assert_eq!(bounded.sees(s(4), &copying(1)), Then::Wait);
        assert!(matches!(bounded.sees(s(5), &copying(1)), Then::GiveUp(_)));
        assert_eq!(Patience::new(Some(s(500))).sees(s(400), &stale), Then::Wait);
    }

    #[test]
    fn a_log_has_a_line_for_each_tenth_of_a_copy() {
        let copying = |percent| stage(&with(Data::Syncing { percent: Some(percent) }));
        let mut lines = 0;
        let mut last: Option<Stage> = None;
        for percent in 0..=100 {
            let now = copying(percent);
            if now.is_news(last.as_ref()) {
                lines += 1;
                last = Some(now);
            }
        }
        assert_eq!(lines, 8, "from 20 to 90 of the bar");
        assert!(stage(&pair_report()).is_news(last.as_ref()));
        assert!(!stage(&pair_report()).is_news(Some(&stage(&pair_report()))));
    }
}
