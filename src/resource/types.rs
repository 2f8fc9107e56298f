//! Names, levels, steps and states.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The name of a resource or of a group; cheap to copy.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Name(Arc<str>);

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Name {
    fn from(name: &str) -> Self {
        Name(name.into())
    }
}

impl From<String> for Name {
    fn from(name: String) -> Self {
        Name(name.into())
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.as_str().to_owned()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How far up a resource is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Not running.
    Stopped,
    /// Running; if it can be promoted, as the standby of its peer.
    Started,
    /// Running as the side that is written to. Only promotable resources have this level.
    Promoted,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Stopped => "stopped",
            Level::Started => "started",
            Level::Promoted => "promoted",
        })
    }
}

/// Where the whole graph should be.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The node is not active (BACKUP, FAULT): only `run_forever` resources are up, none is promoted.
    Lowered,
    /// The node is active (MASTER): everything is up, the promotable is promoted.
    Raised,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Target::Lowered => "lowered",
            Target::Raised => "raised",
        })
    }
}

/// What the shell runs for a resource.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Stopped to started.
    Start,
    /// Started to promoted.
    Promote,
    /// Promoted to started.
    Demote,
    /// Started to stopped.
    Stop,
    /// Looks whether the resource still is at its level; moves nothing.
    Monitor,
}

impl Step {
    /// Whether it brings a resource up.
    pub const fn is_up(self) -> bool {
        matches!(self, Step::Start | Step::Promote)
    }

    /// Whether it takes a resource down.
    pub const fn is_down(self) -> bool {
        matches!(self, Step::Stop | Step::Demote)
    }

    /// The level that it ends at; `None` for [`Step::Monitor`].
    pub const fn leads_to(self) -> Option<Level> {
        match self {
            Step::Start | Step::Demote => Some(Level::Started),
            Step::Promote => Some(Level::Promoted),
            Step::Stop => Some(Level::Stopped),
            Step::Monitor => None,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::Start => "start",
            Step::Promote => "promote",
            Step::Demote => "demote",
            Step::Stop => "stop",
            Step::Monitor => "monitor",
        })
    }
}

/// How a step ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StepResult {
    /// As it should. Of a monitor: the resource is at its level.
    Done,
    /// It failed, in the agent's words.
    Failed(String),
    /// It was killed at its deadline.
    TimedOut,
    /// It was killed after [`super::Output::Cancel`].
    Cancelled,
}

impl StepResult {
    /// What went wrong, in words; `None` if nothing did.
    pub(super) fn trouble(&self, limit: Duration) -> Option<String> {
        match self {
            StepResult::Done => None,
            StepResult::Failed(text) => Some(text.clone()),
            StepResult::TimedOut => Some(format!("took longer than {limit:?}")),
            StepResult::Cancelled => Some("was killed".to_owned()),
        }
    }
}

/// What people see of a resource.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Not running.
    Stopped,
    /// [`Step::Start`] runs.
    Starting,
    /// Running.
    Started,
    /// [`Step::Promote`] runs.
    Promoting,
    /// Promoted.
    Promoted,
    /// [`Step::Demote`] runs.
    Demoting,
    /// [`Step::Stop`] runs.
    Stopping,
    /// A step or a monitor failed; it is going to be taken down and tried again.
    Broken,
    /// It failed too often; it stays down, or unpromoted, until something new is asked for.
    Failed,
    /// It could not be taken down: nobody knows what it still does.
    Stuck,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Stopped => "stopped",
            State::Starting => "starting",
            State::Started => "started",
            State::Promoting => "promoting",
            State::Promoted => "promoted",
            State::Demoting => "demoting",
            State::Stopping => "stopping",
            State::Broken => "broken",
            State::Failed => "failed",
            State::Stuck => "stuck",
        })
    }
}
