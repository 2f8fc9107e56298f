//! All sessions, and which of them a packet is for (RFC 5880 6.3, RFC 5881 3, RFC 5883 4).

use super::counters::{Counters, Discard};
use super::packet::{self, LENGTH, Packet};
use super::session::Session;
use super::settings::Settings;
use super::types::{Change, Discriminator};
use crate::time::Instant;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// One line about discarded packets of a kind in this time.
const NOTICE_EVERY: Duration = Duration::from_secs(60);

/// Which interface a session's packets come in on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Link {
    /// Any.
    Any,
    /// The one with this index.
    On(u32),
    /// One that is missing now.
    Missing,
}

impl Link {
    fn admits(self, interface: u32) -> bool {
        match self {
            Link::Any => true,
            Link::On(index) => index == interface,
            Link::Missing => false,
        }
    }
}

/// A received datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Datagram<'a> {
    /// Who sent it, by the IP header.
    pub source: IpAddr,
    /// Which address it was sent to.
    pub destination: IpAddr,
    /// Index of the interface that it came in on.
    pub interface: u32,
    /// TTL or hop limit on arrival.
    pub hop_limit: u8,
    /// It came to the multihop port.
    pub multihop: bool,
    /// The bytes.
    pub payload: &'a [u8],
}

/// What the engine is told.
#[derive(Debug)]
pub enum Input<'a> {
    /// A new session; one with the same number is forgotten without a word.
    Add {
        /// Its number: unique, and not to be guessed.
        local: Discriminator,
        /// What it does.
        settings: Settings,
        /// Where its packets come in.
        link: Link,
        /// Of its jitter.
        seed: u64,
    },
    /// Other settings for a session with the same neighbour ([`Settings::same_session`]).
    Change(Discriminator, Settings),
    /// The session's interface came, went or became another.
    Link(Discriminator, Link),
    /// The session ends, after telling the neighbour.
    Remove(Discriminator),
    /// A datagram came in.
    Packet(Datagram<'a>),
    /// Time has passed.
    Expire,
}

/// What the engine wants done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Send this packet of the session to its neighbour.
    Send(Discriminator, [u8; LENGTH]),
    /// The session changed its state.
    Changed(Discriminator, Change),
    /// The session is up, or counts as down; told once and on each change.
    Health(Discriminator, bool),
    /// Something to look at; at most one a minute for each reason.
    Notice(String),
}

#[derive(Debug)]
struct Entry {
    session: Session,
    link: Link,
}

/// The sessions of one node.
#[derive(Debug, Default)]
pub struct Engine {
    sessions: BTreeMap<Discriminator, Entry>,
    strays: Counters,
    noticed: BTreeMap<Discard, Instant>,
}

impl Engine {
    /// Takes an input; what it wants done is added to `out`.
    pub fn handle(&mut self, now: Instant, input: Input<'_>, out: &mut Vec<Output>) {
        match input {
            Input::Add { local, settings, link, seed } => {
                let session = Session::new(now, local, settings, seed);
                self.sessions.insert(local, Entry { session, link });
            }
            Input::Change(id, settings) => self.with(id, |e| e.session.change(now, settings, out)),
            Input::Link(id, link) => self.with(id, |e| e.link = link),
            Input::Remove(id) => {
                self.with(id, |e| e.session.disable(now, out));
                self.sessions.remove(&id);
            }
            Input::Packet(datagram) => self.receive(now, &datagram, out),
            Input::Expire => self.sessions.values_mut().for_each(|e| e.session.expire(now, out)),
        }
    }

    fn with(&mut self, id: Discriminator, act: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.sessions.get_mut(&id) {
            act(entry);
        }
    }

    /// When [`Input::Expire`] has something to do; none: never, as it is now.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.sessions.values().filter_map(|e| e.session.next_deadline()).min()
    }

    /// A session.
    pub fn session(&self, id: Discriminator) -> Option<&Session> {
        self.sessions.get(&id).map(|e| &e.session)
    }

    /// Counters of packets that belong to no session.
    pub fn strays(&self) -> &Counters {
        &self.strays
    }

    fn receive(&mut self, now: Instant, d: &Datagram<'_>, out: &mut Vec<Output>) {
        let found = packet::decode(d.payload).and_then(|p| Ok((self.find(d, &p)?, p)));
        let result = match found {
            Ok((id, p)) => self.sessions.get_mut(&id).map_or(Ok(()), |e| {
                let result = check(e.session.settings(), d, &p);
                let result = result.and_then(|()| e.session.receive(now, &p, out));
                if let Err(why) = result {
                    e.session.discard(why);
                }
                result
            }),
            Err(why) => {
                self.strays.discard(why);
                Err(why)
            }
        };
        if let Err(why) = result {
            self.notice(now, d, why, out);
        }
    }

    fn find(&self, d: &Datagram<'_>, p: &Packet) -> Result<Discriminator, Discard> {
        let same_port = |e: &Entry| e.session.settings().path.is_multihop() == d.multihop;
        if let Some(id) = p.your_discriminator {
            return match self.sessions.get(&id).filter(|e| same_port(e)) {
                Some(_) => Ok(id),
                None => Err(Discard::UnknownSession),
            };
        }
        let fits = |e: &Entry| {
            let s = e.session.settings();
            let to = s.source.is_none_or(|own| own == d.destination);
            same_port(e) && s.neighbor == d.source && to && e.link.admits(d.interface)
        };
        self.sessions.iter().find(|(_, e)| fits(e)).map(|(id, _)| *id).ok_or(Discard::UnknownSender)
    }

    fn notice(&mut self, now: Instant, d: &Datagram<'_>, why: Discard, out: &mut Vec<Output>) {
        let quiet = |last: &Instant| now.since(*last) < NOTICE_EVERY;
        if why == Discard::AdminDown || self.noticed.get(&why).is_some_and(quiet) {
            return;
        }
        self.noticed.insert(why, now);
        out.push(Output::Notice(format!("packet from {} discarded: {why}", d.source)));
    }
}

/// Checks that need the session's settings.
fn check(s: &Settings, d: &Datagram<'_>, p: &Packet) -> Result<(), Discard> {
    if d.hop_limit < s.path.lowest_hop_limit() {
        Err(Discard::HopLimit)
    } else if p.authenticated {
        Err(Discard::Authentication)
    } else {
        Ok(())
    }
}
