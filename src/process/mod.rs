//! Running programs for others: as which user, with which files, and never longer than allowed.

mod activity;
mod job;
mod run;
mod script;
mod user;

pub use activity::{Activity, RunningProcess};
pub use job::{JobEnd, Program, run_job};
pub use run::{Ended, run};
pub use script::{ScriptRefused, check_script};
pub use user::{ProcessError, RunAs, resolve_user};
