//! Why something changed, in words.

use super::types::{Level, Name, Step, Target};
use std::fmt;
use std::time::Duration;

/// Why a resource is where it is, or goes where it goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reason {
    /// No target yet.
    NotAsked,
    /// The target.
    Target(Target),
    /// It is up in both roles.
    RunForever,
    /// `startup = false`, and no operator started it.
    NotWithTheRest,
    /// An operator did this ("started", "stopped", "restarted", "cleared").
    Operator(&'static str),
    /// Something that it needs is not there, or has to go down.
    Needs {
        /// Where this begins: what it needs, directly or through others.
        on: Name,
        /// Why that one is down or goes down.
        because: Box<Reason>,
    },
    /// A start, promote or monitor failed.
    StepFailed {
        /// Which step.
        step: Step,
        /// What went wrong.
        trouble: String,
        /// Failures within the window, this one included.
        failures: u32,
        /// How many of them are answered with another try.
        attempts: u32,
    },
    /// A stop or demote failed.
    NotDown {
        /// Which step.
        step: Step,
        /// What went wrong.
        trouble: String,
    },
    /// A step does not end, although it was cancelled.
    NeverEnds(Step),
    /// A step succeeded.
    Done(Step),
    /// A step that was no longer wanted has been cancelled.
    Cancelled(Step),
    /// Raising the graph is undone.
    RolledBack {
        /// Which resource failed.
        resource: Name,
        /// How.
        because: Box<Reason>,
    },
    /// It failed so long ago that it is given another chance.
    AnotherChance(Duration),
    /// Found like this by the shell.
    Found(Level),
    /// The new configuration does not have it, or defines it differently.
    Reconfigured,
}

impl Reason {
    /// Whether something went wrong with the resource itself.
    pub(super) fn is_failure(&self) -> bool {
        matches!(self, Reason::StepFailed { .. } | Reason::NotDown { .. } | Reason::NeverEnds(_))
    }

    /// The reason for what needs `name`, which is or goes down for this reason.
    pub(super) fn for_dependant(&self, name: &Name) -> Reason {
        match self {
            Reason::Needs { .. } => self.clone(),
            other => Reason::Needs { on: name.clone(), because: Box::new(other.clone()) },
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::NotAsked => f.write_str("not yet decided whether this node is active"),
            Reason::Target(Target::Raised) => f.write_str("this node is to be active"),
            Reason::Target(Target::Lowered) => f.write_str("this node is not to be active"),
            Reason::RunForever => f.write_str("run_forever: up in both roles"),
            Reason::NotWithTheRest => f.write_str("startup = false: starts only on command"),
            Reason::Operator(what) => write!(f, "{what} by the operator"),
            Reason::Needs { on, because } => write!(f, "needs {on}; {on}: {because}"),
            Reason::StepFailed { step, trouble, failures, attempts } if failures <= attempts => {
                write!(f, "{step} failed: {trouble}; try {failures} of {attempts} follows")
            }
            Reason::StepFailed { step, trouble, attempts: 0, .. } => {
                write!(f, "{step} failed: {trouble}; it is not tried again")
            }
            Reason::StepFailed { step, trouble, attempts, .. } => {
                write!(f, "{step} failed: {trouble}; no try is left of {attempts}")
            }
            Reason::NotDown { step, trouble } => write!(f, "{step} failed: {trouble}"),
            Reason::NeverEnds(step) => write!(f, "{step} does not end, although it was killed"),
            Reason::Done(step) => write!(f, "{step} succeeded"),
            Reason::Cancelled(step) => write!(f, "{step} was cancelled: no longer wanted"),
            Reason::RolledBack { resource, because } => {
                write!(f, "this node cannot be active; {resource}: {because}")
            }
            Reason::AnotherChance(after) => write!(f, "another chance, {after:?} after it failed"),
            Reason::Found(level) => write!(f, "found {level}"),
            Reason::Reconfigured => f.write_str("the new configuration removes or changes it"),
        }
    }
}
