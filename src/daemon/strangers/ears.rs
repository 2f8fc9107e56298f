//! The thread: hears and asks.

use super::watch::{Mac, Place, Stranger, Watch};
use super::{News, Shared};
use crate::net::NetError;
use crate::net::clock;
use crate::net::conflict::{ConflictSocket, Usage};
use crate::net::frame::{Frame, arp_probe, neighbour_solicitation};
use crate::net::own::Own;
use crate::net::packet_socket::PacketSocket;
use crate::time::Instant;
use crate::vrrp::Family;
use nix::errno::Errno;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// How often the sockets are read. They wake nobody, so that a flood costs no more than what is read then.
const TICK: Duration = Duration::from_millis(250);
/// Batches of 64 read from a socket each time: about 1000 packets a second. The kernel drops what does not fit into its
/// buffer, after its filter has dropped what is not about our addresses.
const BATCHES: usize = 4;
/// How often it is looked whether interfaces went and came.
const CARE: Duration = Duration::from_secs(1);
/// What is known of this machine's own MACs and addresses is at most so old.
const FRESH: Duration = Duration::from_secs(1);

/// What is heard where.
type Ear = (Arc<str>, Family);

#[derive(Debug)]
struct Open {
    ifindex: u32,
    addresses: Vec<IpAddr>,
    socket: ConflictSocket,
}

impl Open {
    /// Whether it does so from now on.
    fn hears(&mut self, addresses: &[IpAddr]) -> bool {
        if self.addresses == addresses {
            return true;
        }
        self.addresses = addresses.to_vec();
        self.socket.change(addresses).is_ok()
    }
}

/// All that the thread owns.
#[derive(Debug)]
pub(super) struct Ears {
    shared: Arc<Shared>,
    watch: Watch,
    packets: PacketSocket,
    own: Own,
    /// Of this machine's interfaces; none: the kernel does not say.
    macs: Option<Vec<Mac>>,
    macs_read: Option<Instant>,
    /// Its link-local addresses by interface.
    sources: BTreeMap<u32, Vec<Ipv6Addr>>,
    sources_read: Option<Instant>,
    open: BTreeMap<Ear, Open>,
    /// What could not be opened, so that it is said once.
    failed: BTreeMap<Ear, String>,
    cared: Option<Instant>,
    heard: Vec<Usage>,
}

impl Ears {
    pub(super) fn new(shared: Arc<Shared>) -> Result<Self, NetError> {
        Ok(Ears {
            shared,
            watch: Watch::default(),
            packets: PacketSocket::open()?,
            own: Own::open()?,
            macs: None,
            macs_read: None,
            sources: BTreeMap::new(),
            sources_read: None,
            open: BTreeMap::new(),
            failed: BTreeMap::new(),
            cared: None,
            heard: Vec::new(),
        })
    }

    /// Runs until nobody is there to wake it.
    pub(super) fn run(&mut self, woken: &Receiver<()>) {
        loop {
            let ended = match self.watch.places().next() {
                Some(_) => woken.recv_timeout(TICK) == Err(RecvTimeoutError::Disconnected),
                None => woken.recv().is_err(),
            };
            if ended {
                return;
            }
            self.turn(clock::now());
        }
    }

    fn turn(&mut self, now: Instant) {
        let wishes = std::mem::take(&mut *self.shared.wishes.lock().unwrap_or_else(PoisonError::into_inner));
        let care = self.cared.is_none_or(|at| now.since(at) >= CARE);
        if care || !wishes.is_empty() {
            wishes.into_iter().for_each(|(instance, targets)| self.watch.set(now, &instance, targets));
            self.listen();
            self.cared = Some(now);
        }
        self.read(now);
        self.ask(now);
        let strangers = self.watch.strangers(now);
        *self.shared.strangers.lock().unwrap_or_else(PoisonError::into_inner) = strangers;
    }

    /// Has a socket for each interface and family with an address that is watched, and no other.
    fn listen(&mut self) {
        let mut wanted: BTreeMap<Ear, Vec<IpAddr>> = BTreeMap::new();
        for Place { interface, address } in self.watch.places() {
            wanted.entry((interface.clone(), Family::of(address))).or_default().push(*address);
        }
        self.failed.retain(|ear, _| wanted.contains_key(ear));
        // Asked by name, which takes no lock that changes of addresses would wait for.
        let index = |name: &str| nix::net::if_::if_nametoindex(name).ok();
        self.open.retain(|ear, open| match wanted.get(ear) {
            Some(addresses) => index(&ear.0) == Some(open.ifindex) && open.hears(addresses),
            None => false,
        });
        for (ear, addresses) in wanted {
            let Some(ifindex) = index(&ear.0).filter(|_| !self.open.contains_key(&ear)) else { continue };
            match ConflictSocket::open(ifindex, &ear.0, ear.1, &addresses) {
                Ok(socket) => {
                    self.failed.remove(&ear);
                    self.open.insert(ear, Open { ifindex, addresses, socket });
                }
                Err(e) => self.complain(ear, &e),
            }
        }
    }

    fn complain(&mut self, ear: Ear, error: &NetError) {
        // An interface that goes at this moment is no news here.
        if error.errno == Errno::ENODEV {
            return;
        }
        let news = super::failure(error);
        if self.failed.insert(ear, news.text.clone()).as_ref() != Some(&news.text) {
            self.shared.tell(news);
        }
    }

    fn read(&mut self, now: Instant) {
        let mut heard = std::mem::take(&mut self.heard);
        let ears: Vec<Ear> = self.open.keys().cloned().collect();
        for ear in ears {
            let Some(open) = self.open.get_mut(&ear) else { continue };
            let mut batches = 0;
            while batches < BATCHES && open.socket.read(&mut heard) {
                batches += 1;
            }
            for Usage { address, mac } in heard.drain(..) {
                let place = Place { interface: ear.0.clone(), address };
                if self.watch.concerns(&place, mac) && !self.is_own(now, mac) {
                    self.shared.packets.fetch_add(1, Ordering::Relaxed);
                    if let Some(stranger) = self.watch.heard(now, &place, mac) {
                        self.shared.told.fetch_add(1, Ordering::Relaxed);
                        self.shared.tell(news(&stranger));
                    }
                }
            }
        }
        self.heard = heard;
    }

    /// One of this machine's interfaces. While it is not known what they are none counts as strange.
    fn is_own(&mut self, now: Instant, mac: Mac) -> bool {
        if self.macs_read.is_none_or(|at| now.since(at) >= FRESH) {
            self.macs_read = Some(now);
            self.macs = self.own.macs().inspect_err(|e| tracing::debug!("own MACs are not known: {e}")).ok();
        }
        self.macs.as_ref().is_none_or(|all| all.contains(&mac))
    }

    fn ask(&mut self, now: Instant) {
        let places = self.watch.questions(now);
        let frames: Vec<_> = places.iter().filter_map(|place| self.question(now, place)).collect();
        let refs: Vec<(u32, &[u8])> = frames.iter().map(|(ifindex, f)| (*ifindex, f.bytes())).collect();
        // What cannot be sent, on an interface that is down, is asked the next time.
        let _ = self.packets.send(&refs);
    }

    fn question(&mut self, now: Instant, Place { interface, address }: &Place) -> Option<(u32, Frame)> {
        let ifindex = self.open.get(&(interface.clone(), Family::of(address)))?.ifindex;
        let mac = self.own.mac(interface).ok().flatten()?;
        let frame = match address {
            IpAddr::V4(a) => arp_probe(mac, *a),
            IpAddr::V6(a) => neighbour_solicitation(mac, self.source(now, ifindex)?, *a),
        };
        Some((ifindex, frame))
    }

    /// A link-local address of this machine's own, and not a virtual one: nobody is to learn that from a question. Without
    /// one there is no question, and who speaks up is heard all the same.
    fn source(&mut self, now: Instant, ifindex: u32) -> Option<Ipv6Addr> {
        if self.sources_read.is_none_or(|at| now.since(at) >= FRESH) {
            self.sources_read = Some(now);
            self.sources = self.own.link_local().unwrap_or_default();
        }
        let is_virtual = |a: &Ipv6Addr| self.watch.places().any(|p| p.address == *a);
        self.sources.get(&ifindex)?.iter().find(|a| !is_virtual(a)).copied()
    }
}

fn news(s: &Stranger) -> News {
    let Place { interface, address } = &s.place;
    let text = format!(
        "another machine uses {address} on {interface} too, without being its master: MAC {}. Clients reach one or the other: \
         find that machine by its MAC and take the address off it. tandemd goes on serving",
        super::words(s.mac)
    );
    News { instance: Some(s.instance.to_string()), text }
}
