//! The shell: turns the world into inputs of the cores and carries out their outputs.
//!
//! Two processes: the guardian (`crate::guardian`), and below it the daemon.
//!
//! Threads of the daemon: the protocol thread (`protocol`), which alone speaks VRRP and moves addresses, the BFD thread
//! (`bfd`) if there are sessions, the one that looks for strangers (`strangers`), and the main thread with everything that
//! may wait: scripts, trackers, control socket, signals, service manager.

mod args;
mod backend;
mod bfd;
mod data;
mod kept;
mod leftovers;
mod logging;
mod manager;
mod messages;
mod pair;
mod privileges;
mod protocol;
mod reboot;
mod record;
mod remains;
mod resources;
mod routing;
mod routing_leftovers;
mod start;
mod strangers;
mod supervisor;
mod watchdog;
mod witness;

pub use args::Args;
pub use start::run;

/// The configuration's wish as the kernel is asked for it.
fn wish(realtime: crate::config::Realtime) -> crate::net::realtime::Wish {
    use crate::config::Realtime;
    use crate::net::realtime::Wish;
    match realtime {
        Realtime::Auto => Wish::Auto,
        Realtime::Off => Wish::Off,
        Realtime::Priority(n) => Wish::Priority(n),
    }
}
