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
    /// What was served here was of this generation, which may not be on the disk yet.
    pub(crate) served: Generation,
    pub(crate) kind: Kind,
    /// While nothing is served here: whether this side takes itself for connected, which it may for long after it is not.
    pub(crate) believes: bool,
    /// Numbers the changes of `kind`.
    told: u64,
    connected: bool,
    /// Numbers the changes of that.
    losses: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Kind {
    /// They take part in nothing now.
    #[default]
    Whole,
    /// No write of the other node is done before it is here: if the connection is lost, the other node writes nothing until it
    /// has noticed.
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
        if matches!(node.service, Real::Up | Real::GoingDown | Real::Stuck) {
            let followed = self.nodes[1 - n].copy.kind == Kind::Following;
            return if followed { Data::Followed } else { Data::Alone };
        }
        match node.copy.kind {
            Kind::Whole | Kind::Following if node.copy.believes => Data::Current,
            Kind::Whole | Kind::Following => Data::Consistent,
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
            self.connection_moves(n);
            if self.is_at_it(n) {
                // What is written now is of the generation that it is served at.
                self.nodes[n].copy.generation = self.served(n);
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
                (Kind::Following, false) if !self.writes(1 - n) || self.nodes[n].service != Real::Down => {
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

    /// The disk is in use: whoever is told of a change there is told at once.
    fn writes(&self, n: usize) -> bool {
        !matches!(self.nodes[n].service, Real::Down | Real::GoingUp)
    }

    /// Both sides find out, each in its time.
    fn connection_moves(&mut self, n: usize) {
        let connected = self.replicates();
        if connected == self.nodes[n].copy.connected {
            return;
        }
        let copy = &mut self.nodes[n].copy;
        copy.connected = connected;
        copy.losses += 1;
        let loss = copy.losses;
        if connected && self.nodes[n].copy.kind == Kind::Following {
            // The other node has noticed nothing, and nothing was lost.
            self.set_kind(n, Kind::Following);
        }
        if !connected {
            let (this, other) = (ms(self.rng.between(50, 9000)), ms(self.rng.between(10, 6000)));
            self.at(this, Event::ConnectionLost(n, loss));
            self.at(other, Event::WriterNotices(n, loss));
        }
    }

    /// The side that does not write.
    pub(crate) fn connection_lost(&mut self, n: usize, loss: u64) {
        if self.nodes[n].copy.losses == loss {
            self.nodes[n].copy.believes = false;
            self.look_at_data(n);
        }
    }

    /// From now on the other node writes without this one.
    pub(crate) fn writer_notices(&mut self, n: usize, loss: u64) {
        if self.nodes[n].copy.losses == loss && self.nodes[n].copy.kind == Kind::Following {
            self.set_kind(n, Kind::Whole);
            // Before anything else happens.
            self.look_at_data(1 - n);
        }
    }

    pub(crate) fn set_kind(&mut self, n: usize, kind: Kind) {
        let copy = &mut self.nodes[n].copy;
        copy.kind = kind;
        copy.told += 1;
        copy.believes |= kind == Kind::Following;
        // Whoever looks at the data finds it out a little later; but before it writes alone.
        let soon = ms(self.rng.between(50, self.agents_take));
        self.at(soon, Event::LookAtData(n));
        if self.writes(1 - n) {
            self.at(ms(0), Event::LookAtData(1 - n));
        }
    }

    pub(crate) fn copied(&mut self, n: usize, way: u64) {
        if self.nodes[n].copy.kind == Kind::Copying && self.nodes[n].copy.told == way {
            self.set_kind(n, Kind::Following);
            // It is what the other one has, also if nothing is served there any more.
            let (version, generation) = (self.nodes[1 - n].copy.version, self.nodes[1 - n].copy.generation);
            let own = &mut self.nodes[n].copy;
            (own.version, own.generation, own.served) = (version, generation, Generation(0));
            self.follow();
        }
    }

    /// Each node that serves writes; what follows gets it.
    pub(crate) fn write(&mut self) {
        for n in 0..2 {
            // The first write that is not to go to both waits until the other one's data are not of this generation any more.
            let waits = match self.nodes[1 - n].copy.kind {
                Kind::Following => !self.replicates(),
                _ => self.nodes[n].disk.followed,
            };
            // What is flushed on the way down does not wait, as with fencing that freezes nothing.
            let flushes = self.nodes[n].service == Real::GoingDown
                && (self.replicates() || self.nodes[1 - n].copy.kind != Kind::Following);
            if (self.nodes[n].service == Real::Up && !waits) || flushes {
                self.writes += 1;
                self.nodes[n].copy.version = self.writes;
                self.written.insert(self.served(n));
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
            // A number that is not on the disk yet nobody may ever hear of.
            Some(c) if c.serves() != Serving::No => node.disk.served,
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
        let whole = |c: &Copy| matches!(c.kind, Kind::Whole | Kind::Following);
        let [a, b] = &self.nodes;
        if whole(&a.copy) && whole(&b.copy) && a.copy.version == b.copy.version {
            // The same data, whichever way they came there.
            let generation = a.copy.generation.max(b.copy.generation);
            for n in 0..2 {
                if !self.is_at_it(n) {
                    self.nodes[n].copy.generation = generation;
                }
            }
        }
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
