//! The shell: turns the world into inputs of the cores and carries out their outputs.
//!
//! Two processes: the guardian (`crate::guardian`), and below it the daemon.
//!
//! The daemon has two threads: the protocol thread (`protocol`), which alone speaks VRRP and moves addresses, and the main
//! thread with everything that may wait: scripts, trackers, control socket, signals, service manager.

mod args;
mod backend;
mod leftovers;
mod logging;
mod manager;
mod messages;
mod privileges;
mod protocol;
mod start;
mod supervisor;

pub use args::Args;
pub use start::run;
