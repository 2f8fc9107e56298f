//! `[[resource]]` and `[activation]`.

mod activation;
mod check;
mod common;
mod drbd;
mod exec;
mod file;
mod filesystem;
mod group;
mod keys;
mod model;
mod ocf;
mod postgresql;
mod render;
mod settings;
pub(super) mod space;
mod systemd;

pub use model::*;

pub(super) use activation::{ActivationDraft, read as read_activation};
pub(super) use check::check;
pub(super) use common::{ResourceDraft, read_all};
pub(super) use keys::foreign;
#[cfg(test)]
pub(super) use keys::{ACTIVATION, KINDS, TRACK};
pub(super) use render::{activation as render_activation, hides_a_change, resource as render};
