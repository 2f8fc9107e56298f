//! What the graph is told and what it asks for.

use super::plan::Plan;
use super::reason::Reason;
use super::types::{Level, Name, State, Step, StepResult, Target};
use crate::time::Instant;

/// What happens to the graph.
#[derive(Clone, Debug)]
pub enum Input {
    /// Where everything should be. The newest counts. Each is answered by [`Output::Reached`] or [`Output::Blocked`],
    /// also one that asks for what is already there. [`Target::Raised`], if it is new, gives what is not critical and has
    /// failed a new chance; while something critical has failed, it is answered as a raise that was rolled back.
    Target(Target),
    /// The shell found a resource at this level, before the first target (after a restart of the daemon). Heard at any
    /// time, unless a step of it runs or it is stuck.
    Found(Name, Level),
    /// Something may have happened to this resource: it is monitored as soon as no step of it runs, whatever its
    /// interval. Means nothing while it is down, and in maintenance.
    Look(Name),
    /// A step has ended: nothing of it runs any more.
    StepDone {
        /// Of which resource.
        resource: Name,
        /// Which step.
        step: Step,
        /// How.
        result: StepResult,
    },
    /// A deadline may have passed.
    Timer,
    /// An operator's command.
    Command(Command),
    /// New settings. What did not change does not notice.
    Reconfigure(Box<Plan>),
}

/// What an operator may say. A name is that of a resource or, for all its members, of a group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// Bring it up, with what it needs, and forget their failures; ends [`Command::Stop`]. Only where the target allows
    /// it to be up; the failures are forgotten anyway.
    Start(Name),
    /// Take it down, with what needs it, and keep it down, whatever the target.
    Stop(Name),
    /// Take it down and up again, with what needs it.
    Restart(Name),
    /// Forget its failures: a failed one is tried again, of a stuck one the step down. If that was what a raise was
    /// rolled back for, the graph is raised again.
    Clear(Name),
    /// On: no monitors, and nothing moves, whatever happens. Off: all that was asked for meanwhile.
    Maintenance(bool),
}

impl Command {
    /// What it is about; empty for maintenance.
    pub fn name(&self) -> &str {
        match self {
            Command::Start(n) | Command::Stop(n) | Command::Restart(n) | Command::Clear(n) => n.as_str(),
            Command::Maintenance(_) => "",
        }
    }

    /// As an operator writes it.
    pub fn line(&self) -> String {
        match self {
            Command::Start(n) => format!("resource start {n}"),
            Command::Stop(n) => format!("resource stop {n}"),
            Command::Restart(n) => format!("resource restart {n}"),
            Command::Clear(n) => format!("resource clear {n}"),
            Command::Maintenance(on) => format!("maintenance {}", if *on { "on" } else { "off" }),
        }
    }

    /// What is done, as a participle.
    pub fn word(&self) -> &'static str {
        match self {
            Command::Start(_) => "started",
            Command::Stop(_) => "stopped",
            Command::Restart(_) => "restarted",
            Command::Clear(_) => "cleared",
            Command::Maintenance(_) => "maintained",
        }
    }
}

/// What the shell has to do, in this order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Run this step, and report [`Input::StepDone`] when nothing of it runs any more.
    Run {
        /// Of which resource.
        resource: Name,
        /// Which step.
        step: Step,
        /// When [`Output::Cancel`] will come if it has not ended. The shell need not watch it.
        deadline: Instant,
    },
    /// End this step, by force if need be, and report [`Input::StepDone`] as usual.
    Cancel {
        /// Of which resource.
        resource: Name,
        /// Which step.
        step: Step,
    },
    /// A resource changed its state.
    Changed(Change),
    /// A resource has failed, or not any more: see [`super::ResourceStatus::failed`]. Nothing has failed at first.
    Health {
        /// Which one.
        resource: Name,
        /// Why it has failed.
        failed: Option<Reason>,
    },
    /// Everything that can be is at the target's level, and nothing runs. What waits for its next try does not hold
    /// this up, unless it is critical and the graph is being raised; when it is up it is said again.
    Reached {
        /// Which target; [`Target::Lowered`] also after a raise that was rolled back or refused, see
        /// [`super::GraphStatus::rolled_back`].
        target: Target,
        /// What should be up at this target, and is not.
        without: Vec<Name>,
    },
    /// Something could not be taken down. The addresses must stay off this node or, if they are on it, another
    /// node must not promote.
    Blocked {
        /// What is stuck.
        resource: Name,
        /// How that came about.
        reason: Reason,
    },
    /// The machine has to be rebooted: a resource with [`super::StopFailure::Reboot`] could not be taken down.
    Reboot {
        /// What is stuck.
        resource: Name,
        /// How that came about.
        reason: Reason,
    },
    /// A critical resource has failed: this node cannot serve, or not any more.
    CriticalFailed {
        /// Which one.
        resource: Name,
        /// Why.
        reason: Reason,
    },
    /// The settings of [`Input::Reconfigure`] are in use from here on: steps mean the new definitions.
    Reconfigured,
    /// Worth a line in the log.
    Notice(Notice),
}

/// One change of a resource's state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// Which resource.
    pub resource: Name,
    /// State before.
    pub from: State,
    /// State now.
    pub to: State,
    /// Why.
    pub reason: Reason,
    /// When.
    pub at: Instant,
}

/// Something an operator may want to know that changes no state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    /// True for what should be looked at.
    pub warning: bool,
    /// The words.
    pub text: String,
}
