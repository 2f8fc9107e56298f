//! One resource at run time.

use crate::resource::plan::Entry;
use crate::resource::reason::Reason;
use crate::resource::types::{Level, Name, State, Step, StepResult};
use crate::time::Instant;
use std::time::Duration;

/// A resource and all that is known of it.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) entry: Entry,
    /// The highest level that it may be at.
    pub(super) at: Level,
    /// It has to go down to this level before it may go up again: it is broken, half up, or to be restarted.
    pub(super) redo: Option<(Level, Reason)>,
    /// It failed too often.
    pub(super) failed: Option<Failed>,
    /// It could not be taken down, or its step does not end.
    pub(super) stuck: Option<Reason>,
    pub(super) wish: Option<Wish>,
    /// New settings wait for it to be down.
    pub(super) leaving: bool,
    /// When it failed; within the window of its restart policy when last looked at.
    pub(super) failures: Vec<Instant>,
    /// The newest failure, also when it no longer counts.
    pub(super) last_failure: Option<(Instant, Reason)>,
    /// What it waits for, once down, before it is tried again.
    pub(super) pause: Option<Pause>,
    /// How the last step ended.
    pub(super) last_result: Option<Ended>,
    pub(super) running: Option<Running>,
    pub(super) next_monitor: Option<Instant>,
    /// It has to be monitored as soon as nothing else runs.
    pub(super) look: bool,
    /// As reported last, since when and why.
    pub(super) state: State,
    pub(super) since: Instant,
    pub(super) reason: Reason,
    /// [`Output::Health`](crate::resource::Output::Health) as reported last.
    pub(super) health: Option<Reason>,
}

/// A resource is not tried any more.
#[derive(Clone, Debug)]
pub(super) struct Failed {
    /// It goes no higher than this.
    pub(super) cap: Level,
    pub(super) reason: Reason,
    pub(super) at: Instant,
}

/// What comes between a failure and the next try.
#[derive(Clone, Debug)]
pub(super) enum Pause {
    /// So long from when it is down.
    Due(Duration, Reason),
    /// It is down, and waits until then.
    Until(Instant, Reason),
}

/// How a step ended.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    pub(super) step: Step,
    pub(super) result: StepResult,
    pub(super) at: Instant,
    pub(super) took: Duration,
}

/// What the operator wants of one resource.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wish {
    /// Up, although it does not start with the rest.
    Up,
    /// Down, whatever the target.
    Down,
}

/// A step that the shell runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Running {
    pub(super) step: Step,
    pub(super) since: Instant,
    pub(super) limit: Duration,
    pub(super) cancel: Option<Cancel>,
    /// It was cancelled and has not ended in time.
    pub(super) lost: bool,
    /// Answers a [`Node::look`].
    pub(super) look: bool,
}

/// It was asked to end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cancel {
    /// When it has to have ended.
    pub(super) until: Instant,
    /// Its time was over. Otherwise it was no longer wanted, and that it fails means nothing.
    pub(super) late: bool,
}

impl Pause {
    /// It is down since `now`.
    fn from(self, now: Instant) -> Pause {
        match self {
            Pause::Due(delay, why) => Pause::Until(now + delay, why),
            until @ Pause::Until(..) => until,
        }
    }
}

impl Running {
    /// When somebody has to look at it.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.cancel {
            _ if self.lost => None,
            Some(cancel) => Some(cancel.until),
            None => Some(self.since + self.limit),
        }
    }
}

impl Node {
    pub(super) fn new(entry: Entry, now: Instant) -> Self {
        Node {
            entry,
            at: Level::Stopped,
            redo: None,
            failed: None,
            stuck: None,
            wish: None,
            leaving: false,
            failures: Vec::new(),
            last_failure: None,
            pause: None,
            last_result: None,
            running: None,
            next_monitor: None,
            look: false,
            state: State::Stopped,
            since: now,
            reason: Reason::NotAsked,
            health: None,
        }
    }

    pub(super) fn name(&self) -> &Name {
        &self.entry.settings.name
    }

    pub(super) fn is(&self, name: &Name) -> bool {
        self.name() == name
    }

    /// It is up whenever the graph is.
    pub(super) fn is_wanted(&self) -> bool {
        match self.wish {
            Some(Wish::Up) => true,
            Some(Wish::Down) => false,
            None => self.entry.settings.startup,
        }
    }

    pub(super) fn runs(&self, which: fn(Step) -> bool) -> bool {
        self.running.is_some_and(|r| which(r.step))
    }

    /// A step is under way that has yet to end; not an ordinary monitor, nor one that is given up.
    pub(super) fn is_moving(&self) -> bool {
        self.running.is_some_and(|r| !r.lost && (r.step != Step::Monitor || r.cancel.is_some()))
    }

    /// It is on its way up, and that has yet to end.
    pub(super) fn rises(&self) -> bool {
        self.running.is_some_and(|r| r.step.is_up() && !r.lost)
    }

    /// Nothing of it is up or on its way.
    pub(super) fn is_down(&self) -> bool {
        self.at == Level::Stopped && self.running.is_none()
    }

    /// It reached a level: the next monitor comes after a whole interval.
    pub(super) fn arrived(&mut self, now: Instant, level: Level) {
        self.at = level;
        self.look &= level > Level::Stopped;
        if self.redo.as_ref().is_some_and(|(floor, _)| level <= *floor) {
            self.redo = None;
            self.pause = self.pause.take().map(|p| p.from(now));
        }
        self.plan_monitor(now);
    }

    pub(super) fn plan_monitor(&mut self, now: Instant) {
        let interval = self.entry.settings.monitor.map(|m| m.interval);
        self.next_monitor = interval.filter(|_| self.at > Level::Stopped).map(|i| now + i);
    }

    pub(super) fn found(&mut self, now: Instant, level: Level) {
        self.redo = None;
        self.arrived(now, level);
        self.look = self.next_monitor.is_some();
    }

    /// When it is tried again, and after which failure. Until then it does not go up.
    pub(super) fn next_try(&self) -> Option<(Instant, &Reason)> {
        match &self.pause {
            Some(Pause::Until(t, why)) => Some((*t, why)),
            _ => None,
        }
    }

    /// It has to go down to `floor`, or to where it already had to go if that is lower.
    pub(super) fn must_redo(&mut self, floor: Level, reason: Reason) {
        match &self.redo {
            Some((lower, _)) if *lower <= floor => {}
            _ => self.redo = Some((floor, reason)),
        }
    }

    /// A new chance; not for what is stuck.
    pub(super) fn forget_failures(&mut self) {
        self.failed = None;
        self.failures.clear();
        self.pause = None;
    }

    /// What was started by command with the rest up does not come back with the next raise.
    pub(super) fn end_of_the_raise(&mut self) {
        if self.wish == Some(Wish::Up) && !self.entry.settings.run_forever {
            self.wish = None;
        }
    }

    pub(super) fn limit(&self, step: Step) -> Duration {
        let timeouts = &self.entry.settings.timeouts;
        match step {
            Step::Start => timeouts.start,
            Step::Promote => timeouts.promote,
            Step::Demote => timeouts.demote,
            Step::Stop => timeouts.stop,
            Step::Monitor => timeouts.monitor,
        }
    }

    pub(super) fn state_now(&self) -> State {
        if self.stuck.is_some() {
            return State::Stuck;
        }
        match (self.running.map(|r| r.step), self.at) {
            (Some(Step::Start), _) => State::Starting,
            (Some(Step::Promote), _) => State::Promoting,
            (Some(Step::Demote), _) => State::Demoting,
            (Some(Step::Stop), _) => State::Stopping,
            _ if self.failed.is_some() => State::Failed,
            _ if self.redo.as_ref().is_some_and(|(_, why)| why.is_failure()) => State::Broken,
            _ if self.next_try().is_some() => State::Broken,
            (_, Level::Stopped) => State::Stopped,
            (_, Level::Started) => State::Started,
            (_, Level::Promoted) => State::Promoted,
        }
    }
}
