//! Resources: the shell around the resource core. It runs the agents, and ties each graph to its virtual routers: one graph for
//! each pair, and one for what belongs to none.

mod activation;
pub(super) mod advice;
mod boot;
mod graphs;
mod maintenance;
mod merged;
mod runner;
mod status;
mod told;
mod tracks;

pub(super) use activation::{Place, Pre};
pub(super) use graphs::{Graphs, Happened};
pub(super) use runner::{Effect, Happening};
pub(super) use status::View;
