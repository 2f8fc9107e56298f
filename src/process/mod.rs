//! Running programs for others: as which user, with which files, and never longer than allowed.

mod activity;
mod cgroup;
mod family;
mod job;
mod keeper;
mod proc;
mod run;
mod script;
mod user;

pub use activity::{Activity, RunningProcess};
pub(crate) use job::describe;
pub use job::{JobEnd, Program, clear_left_jobs, run_job};
pub use keeper::{Keeper, Standing};
pub(crate) use proc::boot;
pub use run::{Ended, run};
pub use script::{ScriptRefused, check_script};
pub use user::{ProcessError, RunAs, resolve_user};
