//! The data of both nodes, which replicate by themselves, and what each daemon is told of them.

use crate::node::Real;
use crate::world::{Event, World, ms};
use tandemd::pair::*;

/// The data on one node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Copy {
    /// The last write that they contain.
    pub(crate) version: u64,
    /// The generation at which that was written.
    pub(crate) generation: Generation,
    pub(crate) kind: Kind,
    /// When the other node's writes stopped arriving last.
    pub(crate) lost: Option<tandemd::time::Instant>,
    /// Numbers the changes of what the daemon is told.
    told: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Kind {
    /// They take part in nothing now.
    #[default]
    Whole,
    /// Each write of the other node arrives.
    Following,
    /// Being copied; they are good for nothing.
    Copying,
    /// The copy broke off.
    Half,
    /// A full copy failed.
    Failed,
}

impl World {
    pub(crate) fn data_of(&self, n: usize) -> Data {
        let node = &self.nodes[n];
        if !self.has_data {
            return Data::None;
        }
        if node.service == Real::Up {
            return Data::Current;
        }
        match node.copy.kind {
            Kind::Whole => Data::Consistent,
            Kind::Following => Data::Current,
            Kind::Copying => Data::Syncing { percent: Some(50) },
            Kind::Half => Data::Stale("half copied".into()),
            Kind::Failed => Data::CopyFailed("no room".into()),
        }
    }

    fn replicates(&self) -> bool {
        self.repl && self.links.iter().any(|l| l.up == [true, true]) && self.nodes.iter().all(|n| n.powered)
    }

    /// After anything that may have changed it.
    pub(crate) fn data_moves(&mut self) {
        if !self.has_data {
            return;
        }
        for n in 0..2 {
            if self.is_at_it(n) {
                // What is written now is of the generation that it is served at.
                self.nodes[n].copy.generation = self.nodes[n].copy.generation.max(self.served(n));
            }
            let serves = self.nodes[1 - n].service != Real::Down;
            let connected = self.replicates() && self.nodes[n].service == Real::Down;
            let kind = self.nodes[n].copy.kind;
            // Newer data are never overwritten with older ones without somebody's word.
            let newer = self.nodes[n].copy.generation > self.nodes[1 - n].copy.generation;
            let serves = serves && !newer;
            let same = self.nodes[n].copy.version == self.nodes[1 - n].copy.version;
            let next = match (kind, connected) {
                (Kind::Whole, true) if same => Kind::Following,
                (Kind::Whole | Kind::Half, true) if serves => Kind::Copying,
                (Kind::Following, false) => {
                    self.nodes[n].copy.lost = Some(self.now);
                    Kind::Whole
                }
                (Kind::Copying, false) => Kind::Half,
                (kind, _) => kind,
            };
            if next != kind {
                self.set_kind(n, next);
            }
            if next == Kind::Copying && kind != next {
                let way = self.nodes[n].copy.told;
                self.at(self.sync_takes, Event::Copied(n, way));
            }
        }
        self.follow();
    }

    pub(crate) fn set_kind(&mut self, n: usize, kind: Kind) {
        self.nodes[n].copy.kind = kind;
        self.nodes[n].copy.told += 1;
        // Whoever looks at the data finds it out a little later.
        let soon = ms(self.rng.between(50, 900));
        self.at(soon, Event::LookAtData(n));
    }

    pub(crate) fn copied(&mut self, n: usize, way: u64) {
        if self.nodes[n].copy.kind == Kind::Copying && self.nodes[n].copy.told == way {
            self.set_kind(n, Kind::Following);
            // It is what the other one has, also if nothing is served there any more.
            let (version, generation) = (self.nodes[1 - n].copy.version, self.nodes[1 - n].copy.generation);
            let own = &mut self.nodes[n].copy;
            (own.version, own.generation) = (version, generation);
            self.follow();
        }
    }

    /// Each node that serves writes; what follows gets it.
    pub(crate) fn write(&mut self) {
        for n in 0..2 {
            if self.nodes[n].service == Real::Up {
                self.writes += 1;
                self.nodes[n].copy.version = self.writes;
            }
            if self.is_at_it(n) {
                self.nodes[n].copy.generation = self.served(n);
            }
        }
        self.follow();
    }

    /// The generation at which a node serves.
    fn served(&self, n: usize) -> Generation {
        let node = &self.nodes[n];
        match &node.controller {
            Some(c) if c.serves() != Serving::No => c.saved().served,
            _ => node.disk.served.max(node.copy.generation),
        }
    }

    /// What there is on a node is of the generation that it serves at, or is about to: the word to go up may be on its way.
    fn is_at_it(&self, n: usize) -> bool {
        let node = &self.nodes[n];
        let told = node.controller.as_ref().is_some_and(|c| c.serves() != Serving::No);
        node.service != Real::Down || told
    }

    fn follow(&mut self) {
        for n in 0..2 {
            let served = self.served(1 - n);
            let other = &self.nodes[1 - n];
            if self.nodes[n].copy.kind == Kind::Following && self.is_at_it(1 - n) {
                let (version, generation) = (other.copy.version, served);
                let own = &mut self.nodes[n].copy;
                // Newer ones are not overwritten: the two would not connect.
                if generation >= own.generation {
                    (own.version, own.generation) = (version, generation);
                }
            }
        }
    }
}
