//! The one API: what `tandemadm` (and later the web page and the peer) can ask and say.

pub mod api;
pub mod client;
mod connection;
mod data;
mod events;
mod health;
mod pairs;
mod peer;
mod resources;
#[cfg(test)]
pub(crate) mod samples;
pub mod server;
/// What would happen to a pair if.
pub mod simulation;

/// Name of the socket in the run directory.
pub const SOCKET_NAME: &str = "control.sock";
