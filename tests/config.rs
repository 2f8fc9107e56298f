//! Configuration files as users write them: mistakes, ranges, examples, round trips, reloads.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may fail loudly")]

#[path = "config/auth.rs"]
mod auth;
#[path = "config/examples.rs"]
mod examples;
#[path = "config/files.rs"]
mod files;
#[path = "config/helpers.rs"]
mod helpers;
#[path = "config/interfaces.rs"]
mod interfaces;
#[path = "config/mistakes.rs"]
mod mistakes;
#[path = "config/pair.rs"]
mod pair;
#[path = "config/pair_beside.rs"]
mod pair_beside;
#[path = "config/pair_mistakes.rs"]
mod pair_mistakes;
#[path = "config/properties.rs"]
mod properties;
#[path = "config/ranges.rs"]
mod ranges;
#[path = "config/reload.rs"]
mod reload;
#[path = "config/resource_mistakes.rs"]
mod resource_mistakes;
#[path = "config/resources.rs"]
mod resources;
#[path = "config/routing.rs"]
mod routing;
#[path = "config/vmac.rs"]
mod vmac;
