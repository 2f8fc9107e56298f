//! `[[pair]]`, and who a pair needs besides the other node: `[pair_server]`, `[witness]`, `[[fence]]`, and the third
//! machine's own `[witness_server]`.

mod check;
mod etcd;
mod fence;
mod hours;
mod keys;
mod links;
mod model;
mod relations;
mod render;
mod server;
mod settings;
mod settle;
mod witness;

pub use hours::DayWindow;
pub use model::*;
pub use settle::{DIRECT_LINK, NETWORK_LINK};

pub(super) use check::{Others, check};
#[cfg(test)]
pub(super) use keys::TABLES;
pub(super) use render::{
    fence as render_fence, pair as render, pair_server as render_pair_server, witness as render_witness,
    witness_server as render_witness_server,
};
pub(super) use settings::PairDraft;

use super::reader::Table;
use super::report::Spot;
use fence::FenceDraft;
use server::{PairServerDraft, WitnessServerDraft};
use std::net::IpAddr;
use witness::WitnessDraft;

/// Everything about pairs that was read.
pub(super) struct PairDrafts {
    pub(super) pairs: Vec<PairDraft>,
    pub(super) server: Option<PairServerDraft>,
    pub(super) witness: Option<WitnessDraft>,
    pub(super) fences: Vec<FenceDraft>,
    pub(super) witness_server: Option<WitnessServerDraft>,
}

impl PairDrafts {
    pub(super) fn read(tops: &[Table<'_>]) -> Self {
        PairDrafts {
            pairs: tops.iter().flat_map(settings::read_all).collect(),
            server: server::read_pair_server(tops),
            witness: witness::read(tops),
            fences: tops.iter().flat_map(fence::read_all).collect(),
            witness_server: server::read_witness_server(tops),
        }
    }

    /// Addresses that heartbeats and the witness use: they stay where they are, so none may be virtual.
    fn fixed_addresses(&self) -> impl Iterator<Item = &Spot<IpAddr>> {
        let listened = self.server.iter().flat_map(|s| &s.listen);
        let witness = self.witness.iter().flat_map(|w| w.address.iter().chain(&w.endpoints));
        self.pairs.iter().flat_map(PairDraft::addresses).chain(listened).chain(witness)
    }
}
