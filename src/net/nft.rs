//! The packet filter of `accept = false` (RFC 9568 6.1 Accept_Mode), spoken to the kernel directly
//! (nf_tables over nfnetlink), so that no program has to be started while addresses move.
//!
//! One table, `inet tandemd`, that exists only while addresses are guarded. Its rules never change; addresses
//! come and go as elements of its sets. Link-local addresses stand there with their interface:
//!
//! ```text
//! chain input {
//!     type filter hook input priority filter
//!     iiftype loopback accept
//!     icmpv6 type 135-136 accept              # neighbour solicitation and advertisement
//!     ip daddr @v4 drop
//!     ip6 daddr @v6 drop
//!     iif . ip6 daddr @link_local drop
//! }
//! ```
//!
//! The table carries a comment that says who made it: nobody else's table of this name is ever touched.

#[path = "nft_rules.rs"]
mod rules;

use super::talk::{Builder, Talk};
use super::{NetError, rtnetlink};
use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket, SocketAddr};
use nix::errno::Errno;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

/// The table's name; its family is `inet`.
pub const TABLE: &str = "tandemd";
/// Never seen: made and removed in one transaction.
const PROBE: &str = "tandemd-probe";

/// linux/netfilter/nfnetlink.h
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const SUBSYSTEM: u16 = 10;
const EVENTS: u32 = 7;
/// linux/netfilter/nf_tables.h
const NEW_TABLE: u16 = 0;
const GET_TABLE: u16 = 1;
const DEL_TABLE: u16 = 2;
const NEW_ELEMENTS: u16 = 12;
const DEL_ELEMENTS: u16 = 14;
const TABLE_NAME: u16 = 1;
const TABLE_USERDATA: u16 = 6;
const ELEMENTS_TABLE: u16 = 1;
const ELEMENTS_SET: u16 = 2;
const ELEMENTS_LIST: u16 = 3;
const LIST_ELEMENT: u16 = 1;
const ELEMENT_KEY: u16 = 1;
const DATA_VALUE: u16 = 1;
/// `NFPROTO_INET`
const INET: u8 = 1;

const REQUEST: u16 = libc::NLM_F_REQUEST as u16;
const ACK: u16 = libc::NLM_F_ACK as u16;
const CREATE: u16 = libc::NLM_F_CREATE as u16;
/// Elements in one message: an attribute holds 64 KiB.
const CHUNK: usize = 1000;

/// An address that takes no packets.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Guarded {
    /// The address.
    pub address: IpAddr,
    /// The interface that it is on; it counts for link-local addresses only.
    pub ifindex: u32,
}

/// The set that an address belongs to, and its key there.
type Element = (&'static str, Vec<u8>);

impl Guarded {
    fn element(&self) -> Element {
        match self.address {
            IpAddr::V4(a) => (rules::V4, a.octets().to_vec()),
            IpAddr::V6(a) if a.is_unicast_link_local() => {
                (rules::LINK_LOCAL, [&self.ifindex.to_ne_bytes()[..], &a.octets()].concat())
            }
            IpAddr::V6(a) => (rules::V6, a.octets().to_vec()),
        }
    }
}

/// Keeps the table. Needs CAP_NET_ADMIN.
#[derive(Debug)]
pub struct Guard {
    talk: Talk,
    tag: String,
    /// How often each element is asked for: one address may be on two interfaces.
    elements: BTreeMap<Element, u32>,
}

impl Guard {
    /// Opens a netlink socket. `tag` becomes the table's comment; at most 200 bytes of it count.
    ///
    /// # Errors
    /// EPROTONOSUPPORT if the kernel has no netfilter.
    pub fn open(tag: &str) -> Result<Self, NetError> {
        let mut end = tag.len().min(200);
        while !tag.is_char_boundary(end) {
            end -= 1;
        }
        let tag = tag.get(..end).unwrap_or_default().to_owned();
        let talk = Talk::open(NETLINK_NETFILTER, "netfilter socket")?;
        Ok(Guard { talk, tag, elements: BTreeMap::new() })
    }

    /// Asks whether the kernel can do all that is needed, and has it load its modules, which takes a disk's time
    /// once. Nothing is left behind.
    ///
    /// # Errors
    /// EEXIST if the table exists and is not ours; ENOENT or EOPNOTSUPP if the kernel lacks a part.
    pub fn probe(&mut self) -> Result<(), NetError> {
        if self.find()? == Some(false) {
            let detail = Some("it was not made by this tandemd".to_owned());
            let object = format!("nft table inet {TABLE}");
            return Err(NetError { operation: "use", object, errno: Errno::EEXIST, detail });
        }
        self.batch("try out", "nft rules", |b, n| {
            self::table(b, n, PROBE, "");
            let next = rules::append(b, n, PROBE);
            message(b, DEL_TABLE, ACK, next, |b| b.text(TABLE_NAME, PROBE));
            next
        })
    }

    /// Lets no packets in for these addresses, from when it returns; the table is made if need be.
    ///
    /// # Errors
    /// As [`Guard::probe`]; then nothing has changed.
    pub fn add(&mut self, addresses: &[Guarded]) -> Result<(), NetError> {
        let is_first = self.elements.is_empty();
        let mut fresh = Vec::new();
        for element in addresses.iter().map(Guarded::element) {
            let count = self.elements.entry(element.clone()).or_insert(0);
            *count += 1;
            if *count == 1 {
                fresh.push(element);
            }
        }
        if fresh.is_empty() {
            return Ok(());
        }
        let done = if is_first { self.build() } else { self.change(NEW_ELEMENTS, CREATE, &fresh) };
        if done.is_err() {
            self.forget(addresses);
        }
        done
    }

    /// Gives these addresses up; the table goes with the last.
    ///
    /// # Errors
    /// EPERM without the capability.
    pub fn remove(&mut self, addresses: &[Guarded]) -> Result<(), NetError> {
        let gone = self.forget(addresses);
        if gone.is_empty() {
            return Ok(());
        }
        if self.elements.is_empty() {
            return self.clean().map(drop);
        }
        self.change(DEL_ELEMENTS, 0, &gone)
    }

    /// Counts them down; returns the elements that nobody needs any more.
    fn forget(&mut self, addresses: &[Guarded]) -> Vec<Element> {
        let mut gone = Vec::new();
        for element in addresses.iter().map(Guarded::element) {
            match self.elements.get_mut(&element) {
                Some(count) if *count > 1 => *count -= 1,
                Some(_) => {
                    self.elements.remove(&element);
                    gone.push(element);
                }
                None => {}
            }
        }
        gone
    }

    /// Removes the table if it is ours: true if it was there.
    ///
    /// # Errors
    /// EPERM without the capability.
    pub fn clean(&mut self) -> Result<bool, NetError> {
        if self.find()? != Some(true) {
            return Ok(false);
        }
        self.batch("remove", "nft table", |b, n| {
            message(b, DEL_TABLE, ACK, n, |b| b.text(TABLE_NAME, TABLE));
            n
        })?;
        Ok(true)
    }

    /// Makes the table anew if addresses are guarded and something else has removed it: true if so.
    ///
    /// # Errors
    /// As [`Guard::add`].
    pub fn mend(&mut self) -> Result<bool, NetError> {
        if self.elements.is_empty() || self.find()? == Some(true) {
            return Ok(false);
        }
        self.build().map(|()| true)
    }

    /// Whether the table exists, and if so whether it is ours.
    fn find(&mut self) -> Result<Option<bool>, NetError> {
        let asked = self.talk.ask("look for", "nft tables", |b, n| {
            message(b, GET_TABLE, ACK, n, |b| b.text(TABLE_NAME, TABLE));
            n
        });
        match asked {
            Ok(replies) => {
                let tag = self.comment();
                Ok(Some(replies.iter().any(|r| {
                    let rest = r.payload.get(4..).unwrap_or_default();
                    rtnetlink::attributes(rest).any(|(kind, v)| kind == TABLE_USERDATA && v == tag)
                })))
            }
            Err(e) if e.errno == Errno::ENOENT => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn comment(&self) -> Vec<u8> {
        comment(&self.tag)
    }

    /// The whole table with all elements, in one transaction.
    fn build(&mut self) -> Result<(), NetError> {
        let (tag, elements) = (self.tag.clone(), self.elements.keys().cloned().collect::<Vec<_>>());
        if self.find()? == Some(false) {
            return self.probe();
        }
        self.batch("make", "nft table inet tandemd", |b, n| {
            // One of ours that is there all the same is old.
            self::table(b, n, TABLE, &tag);
            message(b, DEL_TABLE, 0, n.wrapping_add(1), |b| b.text(TABLE_NAME, TABLE));
            self::table(b, n.wrapping_add(2), TABLE, &tag);
            let next = rules::append(b, n.wrapping_add(2), TABLE);
            elements_of(b, NEW_ELEMENTS, CREATE, next, &elements)
        })
    }

    /// Adds or removes elements; if the table is not what it should be, makes it anew.
    fn change(&mut self, kind: u16, flags: u16, elements: &[Element]) -> Result<(), NetError> {
        let done =
            self.batch("change", "nft table inet tandemd", |b, n| elements_of(b, kind, flags, n, elements));
        match done {
            Err(e) if e.errno == Errno::ENOENT => self.build(),
            done => done,
        }
    }

    /// Sends messages as one transaction: all of them count, or none. `fill` gets the first free number and
    /// returns its last.
    fn batch(
        &mut self,
        operation: &'static str,
        object: &str,
        fill: impl FnOnce(&mut Builder, u32) -> u32,
    ) -> Result<(), NetError> {
        let asked = self.talk.ask(operation, object, |b, n| {
            b.message(BATCH_BEGIN, REQUEST, n, &[0, 0, 0, SUBSYSTEM as u8], |_| {});
            let last = fill(b, n.wrapping_add(1));
            b.message(BATCH_END, REQUEST, last.wrapping_add(1), &[0, 0, 0, SUBSYSTEM as u8], |_| {});
            last
        });
        asked.map(drop)
    }
}

/// Hears that somebody, perhaps we, changed nf_tables.
#[derive(Debug)]
pub struct GuardMonitor {
    socket: Socket,
}

impl GuardMonitor {
    /// Opens it.
    ///
    /// # Errors
    /// EPROTONOSUPPORT if the kernel has no netfilter; EPERM without CAP_NET_ADMIN.
    pub fn open() -> Result<Self, NetError> {
        let failed = |e: std::io::Error| NetError::from_io("open", "netfilter monitor socket", &e);
        let mut socket = Socket::new(NETLINK_NETFILTER).map_err(failed)?;
        socket.set_non_blocking(true).map_err(failed)?;
        socket.bind(&SocketAddr::new(0, 0)).map_err(failed)?;
        socket.add_membership(EVENTS).map_err(failed)?;
        Ok(GuardMonitor { socket })
    }

    /// Throws away what has arrived: that something happened is all that matters. At most some hundred at a
    /// time.
    pub fn drain(&self) {
        let mut buffer = [0u8; 64];
        for _ in 0..512 {
            // Lost events (ENOBUFS) are events too; anything else means that nothing is left.
            match self.socket.recv(&mut &mut buffer[..], 0) {
                Ok(_) => {}
                Err(e) if e.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(_) => return,
            }
        }
    }
}

impl AsFd for GuardMonitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A message of nf_tables: `struct nfgenmsg` is family, version 0, and an id of no use here.
fn message(b: &mut Builder, kind: u16, flags: u16, sequence: u32, fill: impl FnOnce(&mut Builder)) {
    b.message((SUBSYSTEM << 8) | kind, REQUEST | flags, sequence, &[INET, 0, 0, 0], fill);
}

fn table(b: &mut Builder, sequence: u32, name: &str, tag: &str) {
    message(b, NEW_TABLE, CREATE, sequence, |b| {
        b.text(TABLE_NAME, name);
        b.attribute(TABLE_USERDATA, &comment(tag));
    });
}

/// A comment as nft(8) writes and shows it: type 0, length, text with the zero that ends it.
fn comment(tag: &str) -> Vec<u8> {
    let length = u8::try_from(tag.len() + 1).unwrap_or(u8::MAX);
    [&[0, length][..], tag.as_bytes(), &[0]].concat()
}

/// Messages for elements, the last one acknowledged; from number `n` on, returns the last.
fn elements_of(b: &mut Builder, kind: u16, flags: u16, n: u32, elements: &[Element]) -> u32 {
    let mut sets: BTreeMap<&str, Vec<&[u8]>> = BTreeMap::new();
    for (set, key) in elements {
        sets.entry(set).or_default().push(key);
    }
    let chunks: Vec<(&str, &[&[u8]])> =
        sets.iter().flat_map(|(set, keys)| keys.chunks(CHUNK).map(|c| (*set, c))).collect();
    let mut next = n;
    for (place, (set, keys)) in chunks.iter().enumerate() {
        let is_last = place + 1 == chunks.len();
        next = n.wrapping_add(u32::try_from(place).unwrap_or(0));
        message(b, kind, if is_last { flags | ACK } else { flags }, next, |b| {
            b.text(ELEMENTS_TABLE, TABLE);
            b.text(ELEMENTS_SET, set);
            b.nested(ELEMENTS_LIST, |b| {
                for key in *keys {
                    b.nested(LIST_ELEMENT, |b| b.nested(ELEMENT_KEY, |b| b.attribute(DATA_VALUE, key)));
                }
            });
        });
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guarded(address: &str, ifindex: u32) -> Guarded {
        Guarded { address: address.parse().unwrap(), ifindex }
    }

    #[test]
    fn only_link_local_addresses_stand_with_their_interface() {
        assert_eq!(guarded("192.0.2.1", 7).element(), (rules::V4, vec![192, 0, 2, 1]));
        assert_eq!(guarded("192.0.2.1", 8).element(), guarded("192.0.2.1", 7).element());
        let (set, key) = guarded("fe80::1", 7).element();
        assert_eq!((set, key.len(), &key[..4]), (rules::LINK_LOCAL, 20, &7u32.to_ne_bytes()[..]));
        assert_eq!(guarded("2001:db8::1", 7).element().0, rules::V6);
    }

    #[test]
    fn elements_are_sent_in_parts_and_only_the_last_is_acknowledged() {
        let many: Vec<Element> = (0..2500u32).map(|n| (rules::V4, n.to_be_bytes().to_vec())).collect();
        let mut b = Builder::default();
        assert_eq!(elements_of(&mut b, NEW_ELEMENTS, CREATE, 10, &many), 12);
        let raw: Vec<_> = rtnetlink::messages(b.bytes()).collect();
        assert_eq!(raw.iter().map(|r| r.sequence).collect::<Vec<_>>(), [10, 11, 12]);
        assert_eq!(raw.iter().map(|r| r.flags & ACK != 0).collect::<Vec<_>>(), [false, false, true]);
    }
}
