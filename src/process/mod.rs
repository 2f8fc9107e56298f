//! Running programs for others: as which user, with which files, and never longer than allowed.

mod run;
mod script;
mod user;

pub use run::{Ended, run};
pub use script::{ScriptRefused, check_script};
pub use user::{ProcessError, RunAs, resolve_user};
