//! `tandemadm`: what an operator sees and says.

mod args;
mod commands;
mod config;
mod exit;
mod stats;
mod status;
mod text;
mod why;

pub use commands::run;
