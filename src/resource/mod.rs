//! The resource core: what starts or stops next?
//!
//! [`Graph`] brings resources (a replicated disk, a file system, a database) up and down in the order of their
//! dependencies. No I/O and no clock: the shell is told which step to run ([`Output::Run`]) and says how it ended
//! ([`Input::StepDone`]); time is an argument.
//!
//! The graph keeps no list of steps to do. After each input it works out anew at which level each resource should
//! be, its *goal*, and begins each step that brings one nearer and that the order allows. So the newest target always
//! wins, and a failure in the middle of anything is no special case. The rules:
//!
//! - **Order.** A resource starts when all that it needs is there, and what it needs goes down after it. Steps
//!   that do not depend on each other run at the same time. One resource runs one step at a time.
//! - **Down first.** No step up begins while a step down runs or is due anywhere. A step down may begin
//!   while an unrelated step up still runs: that is a reversal (new target, failure, operator).
//! - **Turning round.** A start or promote that is no longer wanted is cancelled, and then undone. A stop or
//!   demote always runs to its end.
//! - **Doubt.** After a step that failed or was cancelled, a resource counts as being at the higher of the two levels.
//!   So it is always taken down before it is tried again.
//! - **Failures.** A failed start, promote or monitor is tried again as often, and after such pauses, as [`Restart`]
//!   says. Then the resource has failed: it stays down with all that needs it. If it is critical while the graph is
//!   being raised, the graph goes down again.
//! - **Memory.** What is critical and has failed stays so, also over new targets, and meanwhile the graph is not raised:
//!   otherwise a node whose failure takes it out of service would come back at once and fail again. It is forgotten
//!   when an operator says [`Command::Clear`] or [`Command::Start`], or after [`Settings::failure_timeout`]. A failure of
//!   what is not critical is forgotten at the next raise.
//! - **Stop failures.** A resource whose stop or demote fails, or whose step does not even end when it is killed, is
//!   stuck. While one is, the graph is blocked: nothing goes up until it ends or an operator says [`Command::Clear`].
//! - **Monitors.** What is up is monitored at its interval, and at once when it was found up and when maintenance ends.
//!   Whenever an agent noticed something ([`Input::Look`]), so is also what has no interval.

mod cycle;
mod error;
mod graph;
mod output;
mod plan;
mod reason;
mod settings;
mod types;

pub use error::GraphError;
pub use graph::{Condition, Graph, GraphStatus, LastResult, ResourceStatus, RunningStep};
pub use output::{Change, Command, Input, Notice, Output};
pub use plan::Plan;
pub use reason::Reason;
pub use settings::{
    Group, MAX_RESTART_DELAY, Monitor, Need, ResourceSettings, Restart, Settings, StopFailure, Timeouts,
};
pub use types::{Level, Name, State, Step, StepResult, Target};

use std::time::Duration;

/// How long a step that is cancelled may take to end before its resource is held to be stuck. A program that
/// hangs in the kernel does not even end when it is killed.
pub const CANCEL_GRACE: Duration = Duration::from_secs(10);
