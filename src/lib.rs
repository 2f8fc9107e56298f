//! tandemd keeps a service reachable on a pair of Linux machines.
//!
//! The map, and which room may use which (a test in `tests/layering.rs` holds us to it):
//!
//! - cores, without I/O, clock or randomness: [`time`], [`vrrp`], [`bfd`], [`resource`], [`pair`]
//! - [`fingerprint`]: whose certificate it is; uses nothing of the others, and everybody may use it
//! - [`events`]: what happened, and a store for it; uses nothing of the others
//! - [`config`]: files to checked settings; uses the cores' types
//! - the shell's parts: [`net`], [`guardian`], [`process`], [`agents`], [`track`], [`notify`], [`peer`],
//!   [`control`], [`witness`], [`fence`]; they use the above
//! - [`daemon`]: wires the parts together; [`cli`]: `tandemadm`
#![deny(missing_docs)]

pub mod agents;
pub mod bfd;
pub mod cli;
pub mod config;
pub mod control;
pub mod daemon;
pub mod events;
pub mod fence;
pub mod fingerprint;
pub mod guardian;
pub mod import;
pub mod net;
pub mod notify;
pub mod pair;
pub mod peer;
pub mod process;
pub mod resource;
pub mod time;
pub mod track;
pub mod vrrp;
pub mod witness;
