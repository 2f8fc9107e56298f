//! Resources: the shell around the resource core. It runs the agents, and ties the graph to the virtual routers.

mod activation;
pub(super) mod advice;
mod boot;
mod maintenance;
mod runner;
mod status;
mod told;
mod tracks;

pub(super) use activation::{Place, Pre};
pub(super) use runner::{Effect, Happening, Resources};
pub(super) use status::View;
