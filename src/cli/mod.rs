//! `tandemadm`: what an operator sees and says.

mod args;
mod commands;
mod config;
mod exit;
mod health;
mod import;
mod resource;
mod stats;
mod status;
mod text;
mod tracks;
mod why;

pub use commands::run;
