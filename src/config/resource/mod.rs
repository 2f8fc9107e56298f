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

pub(super) use activation::{ActivationDraft, address_order, failure_timeout, read as read_activation};
pub(super) use check::{Tied, check, unknown_instance};
pub(super) use common::{ResourceDraft, one_or_more, read_all, stop_failure};
pub(super) use exec::is_variable;
pub(super) use keys::foreign;
#[cfg(test)]
pub(super) use keys::{ACTIVATION, KINDS, TRACK};
pub(super) use render::{
    activation as render_activation, address_order_word, hides_a_change, is_secret, resource as render,
    stop_failure as stop_failure_word,
};
