//! `tandemadm`: what an operator sees and says.

mod args;
mod commands;
mod config;
mod data;
mod debug;
mod drbd_handler;
mod events;
mod exit;
mod ha;
mod health;
mod import;
mod info;
mod resource;
mod restart;
mod stats;
mod status;
mod text;
mod tracks;
mod why;

pub use commands::run;

/// `tandemd-drbd-handler`, which drbdadm runs; its exit code is for DRBD.
pub fn drbd_handler() -> std::process::ExitCode {
    drbd_handler::handle()
}
