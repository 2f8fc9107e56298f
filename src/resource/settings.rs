//! What a graph is made of, before it is checked.

use super::types::{Level, Name, Target};
use serde::Serialize;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// All resources and groups of a graph; [`super::Plan::new`] checks them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Settings {
    /// The resources. Their order means nothing but the order of what is otherwise equal.
    pub resources: Vec<ResourceSettings>,
    /// The groups.
    pub groups: Vec<Group>,
    /// How long after it failed for good a resource is given another chance; none: not before an operator says so.
    pub failure_timeout: Option<Duration>,
}

/// A named list of resources that start in this order and stop in the reverse one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Group {
    /// Its name, in the same name space as resources.
    pub name: Name,
    /// Names of resources, at least one. Who depends on the group depends on the last of them.
    pub members: Vec<Name>,
    /// What the first member needs.
    pub depend_on: Vec<Need>,
}

/// One resource.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResourceSettings {
    /// Its name.
    pub name: Name,
    /// What the agent is told, in any form. The graph only compares it: when it changes, the resource is stopped with the
    /// old one before the new one is used.
    pub definition: String,
    /// What has to be there before it starts.
    pub depend_on: Vec<Need>,
    /// Has the level [`Level::Promoted`].
    pub promotable: bool,
    /// Started with the rest. Otherwise it starts only when an operator says so, and what needs it waits.
    pub startup: bool,
    /// Up, though not promoted, also while the graph is lowered.
    pub run_forever: bool,
    /// Without it the node cannot serve. What a critical resource needs is critical as well.
    pub critical: bool,
    /// How long each step may take.
    pub timeouts: Timeouts,
    /// Whether and how often it is looked at.
    pub monitor: Option<Monitor>,
    /// How often it is tried again.
    pub restart: Restart,
    /// What to do when it cannot be stopped or demoted.
    pub stop_failure: StopFailure,
}

impl ResourceSettings {
    /// A resource with everything at its default: critical, started with the rest, not promotable, no dependencies,
    /// not monitored.
    pub fn new(name: impl Into<Name>) -> Self {
        ResourceSettings {
            name: name.into(),
            definition: String::new(),
            depend_on: Vec::new(),
            promotable: false,
            startup: true,
            run_forever: false,
            critical: true,
            timeouts: Timeouts::default(),
            monitor: None,
            restart: Restart::default(),
            stop_failure: StopFailure::Block,
        }
    }

    /// The highest level that it has.
    pub(super) fn top(&self) -> Level {
        if self.promotable { Level::Promoted } else { Level::Started }
    }

    /// Where it should be at this target, if nothing else speaks against it.
    pub(super) fn level_at(&self, target: Target) -> Level {
        match target {
            _ if !self.startup => Level::Stopped,
            Target::Raised => self.top(),
            Target::Lowered if self.run_forever => Level::Started,
            Target::Lowered => Level::Stopped,
        }
    }
}

/// One entry of `depend_on`: `name` or `name:promoted`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Need {
    /// A resource or a group.
    pub name: Name,
    /// It has to be promoted, not only started.
    pub promoted: bool,
}

impl Need {
    /// The level that the needed resource must have.
    pub(super) fn level(&self) -> Level {
        if self.promoted { Level::Promoted } else { Level::Started }
    }

    /// The same from a foreign configuration, where `name:master` is another word for `name:promoted`. The error says
    /// what is wrong with the text.
    pub fn imported(text: &str) -> Result<Need, String> {
        match text.strip_suffix(":master") {
            Some(name) => format!("{name}:promoted").parse(),
            None => text.parse(),
        }
    }
}

impl FromStr for Need {
    type Err = String;

    /// The error says what is wrong with the text.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, promoted) = match text.split_once(':') {
            None => (text, false),
            Some((name, "promoted")) => (name, true),
            Some((_, other)) => {
                return Err(format!("only :promoted may follow a name, not :{other}"));
            }
        };
        if name.is_empty() {
            return Err("no name".to_owned());
        }
        Ok(Need { name: name.into(), promoted })
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.name, if self.promoted { ":promoted" } else { "" })
    }
}

/// How long each step may take before it is cancelled.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Timeouts {
    /// [`super::Step::Start`]; 60 s by default.
    pub start: Duration,
    /// [`super::Step::Promote`]; 60 s by default (the DRBD kernel alone may take 30 s).
    pub promote: Duration,
    /// [`super::Step::Demote`]; 60 s by default.
    pub demote: Duration,
    /// [`super::Step::Stop`]; 60 s by default.
    pub stop: Duration,
    /// [`super::Step::Monitor`]; 20 s by default.
    pub monitor: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        let monitor = Duration::from_secs(20);
        Timeouts { start: minute, promote: minute, demote: minute, stop: minute, monitor }
    }
}

/// How a resource is watched while it is up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Monitor {
    /// From the end of one look to the start of the next.
    pub interval: Duration,
}

/// How often a resource is tried again after a failed start, promote or monitor.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Restart {
    /// So many failures within `window` are answered with another try; the next one is final. 0: none.
    pub attempts: u32,
    /// Older failures are forgotten.
    pub window: Duration,
    /// How long it stays down before the next try; twice as long after each further failure within the window, up to
    /// [`MAX_RESTART_DELAY`]. What is asked for anew (a target, a command) does not wait.
    pub delay: Duration,
}

/// The longest [`Restart::delay`] that doubling leads to.
pub const MAX_RESTART_DELAY: Duration = Duration::from_secs(30);

impl Restart {
    /// How long to wait after so many failures.
    pub(super) fn delay_after(&self, failures: u32) -> Duration {
        let factor = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        self.delay.saturating_mul(factor).min(MAX_RESTART_DELAY.max(self.delay))
    }
}

impl Default for Restart {
    /// Three within ten minutes, after 1 s, 2 s and 4 s.
    fn default() -> Self {
        Restart { attempts: 3, window: Duration::from_secs(600), delay: Duration::from_secs(1) }
    }
}

/// What to do when a resource cannot be stopped or demoted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StopFailure {
    /// The graph is blocked until somebody looks.
    Block,
    /// The same, and the shell is asked to reboot the machine.
    Reboot,
}
