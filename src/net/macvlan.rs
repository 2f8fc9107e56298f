//! Virtual MAC interfaces: a macvlan in private mode with the virtual router's MAC (RFC 9568 7.3), over the
//! interface that VRRP is spoken on.
//!
//! Every one carries an alias (`IFLA_IFALIAS`) that says who made it, so that a killed daemon's are found
//! again and nobody else's is ever taken or removed.

use super::interface::{Link, NetEvent};
use super::talk::{Builder, Talk};
use super::{NetError, rtnetlink};
use crate::vrrp::{Family, Vrid};
use netlink_sys::protocols::NETLINK_ROUTE;
use nix::errno::Errno;

const REQUEST: u16 = libc::NLM_F_REQUEST as u16;
const ACK: u16 = libc::NLM_F_ACK as u16;
const CREATE: u16 = (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;
const DUMP: u16 = libc::NLM_F_DUMP as u16;

/// linux/if_link.h
const INFO_KIND: u16 = 1;
const INFO_DATA: u16 = 2;
const MACVLAN_MODE: u16 = 1;
const MODE_PRIVATE: u32 = 1;
/// The kernel keeps an alias of less than 256 bytes.
const LONGEST_ALIAS: usize = 250;

/// The Virtual Router MAC Address (RFC 9568 7.3).
pub const fn virtual_mac(family: Family, vrid: Vrid) -> [u8; 6] {
    let block = match family {
        Family::Ipv4 => 1,
        Family::Ipv6 => 2,
    };
    [0x00, 0x00, 0x5e, 0x00, block, vrid.get()]
}

/// A link with what says whose it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// The link.
    pub link: Link,
    /// Its alias; empty if it has none.
    pub alias: String,
    /// It is a macvlan.
    pub macvlan: bool,
    /// Index of the interface that it lies over; 0 if it lies over none.
    pub parent: u32,
}

impl Found {
    /// True for a macvlan whose alias begins with `tag`.
    pub fn is_tagged(&self, tag: &str) -> bool {
        self.macvlan && self.alias.starts_with(tag)
    }
}

/// What a new one is to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan<'a> {
    /// Name, at most 15 bytes.
    pub name: &'a str,
    /// Index of the interface that it lies over.
    pub parent: u32,
    /// Its MAC.
    pub mac: [u8; 6],
    /// Its alias; cut to what the kernel keeps.
    pub alias: &'a str,
}

/// Makes, finds and removes them. Needs CAP_NET_ADMIN.
#[derive(Debug)]
pub struct Macvlans {
    talk: Talk,
}

impl Macvlans {
    /// Opens a netlink socket.
    ///
    /// # Errors
    /// EMFILE; nothing else is to be expected.
    pub fn open() -> Result<Self, NetError> {
        Ok(Macvlans { talk: Talk::open(NETLINK_ROUTE, "netlink socket")? })
    }

    /// Asks whether the kernel can make any, and has it load the module if there is one, which takes a disk's
    /// time. Nothing is made.
    ///
    /// # Errors
    /// EOPNOTSUPP if it cannot.
    pub fn probe(&mut self) -> Result<(), NetError> {
        let result = self.talk.ask("make", "macvlan interfaces", |b, n| {
            // Over no interface: refused after the kernel has looked for the kind.
            b.message(libc::RTM_NEWLINK, REQUEST | ACK | CREATE, n, &header(0, 0, 0), kind);
            n
        });
        match result {
            Err(e) if e.errno == Errno::EOPNOTSUPP => Err(e),
            _ => Ok(()),
        }
    }

    /// Makes one, down as yet.
    ///
    /// # Errors
    /// EEXIST if the name is taken; EADDRINUSE if a macvlan with this MAC lies over the same interface;
    /// EINVAL if the interface is not Ethernet; EOPNOTSUPP if the kernel has no macvlan.
    pub fn create(&mut self, plan: &Plan<'_>) -> Result<Found, NetError> {
        self.talk.ask("make interface", plan.name, |b, n| {
            b.message(libc::RTM_NEWLINK, REQUEST | ACK | CREATE, n, &header(0, 0, 0), |b| {
                b.text(libc::IFLA_IFNAME, plan.name);
                b.attribute(libc::IFLA_LINK, &plan.parent.to_ne_bytes());
                b.attribute(libc::IFLA_ADDRESS, &plan.mac);
                kind(b);
            });
            n
        })?;
        let failed = || NetError::new("make interface", plan.name, Errno::ENODEV);
        let made = self.find(plan.name)?.ok_or_else(failed)?;
        let ifindex = made.link.ifindex;
        let alias = cut(plan.alias);
        // The kernel takes no alias at birth.
        let tagged = self.talk.ask("tag interface", plan.name, |b, n| {
            b.message(libc::RTM_NEWLINK, REQUEST | ACK, n, &header(ifindex, 0, 0), |b| {
                b.attribute(libc::IFLA_IFALIAS, alias.as_bytes());
            });
            n
        });
        if let Err(e) = tagged {
            // Without its tag nobody would know it again.
            let _ = self.delete(ifindex, plan.name);
            return Err(e);
        }
        Ok(Found { alias: alias.to_owned(), ..made })
    }

    /// The link of this name.
    ///
    /// # Errors
    /// ENOBUFS if the answer was lost.
    pub fn find(&mut self, name: &str) -> Result<Option<Found>, NetError> {
        let answer = self.talk.ask("look for interface", name, |b, n| {
            b.message(libc::RTM_GETLINK, REQUEST | ACK, n, &header(0, 0, 0), |b| {
                b.text(libc::IFLA_IFNAME, name);
            });
            n
        });
        match answer {
            Ok(replies) => Ok(replies.iter().find_map(|r| found(r.kind, &r.payload))),
            Err(e) if e.errno == Errno::ENODEV => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// All macvlans whose alias begins with `tag`.
    ///
    /// # Errors
    /// ENOBUFS or EMSGSIZE if an answer was lost.
    pub fn tagged(&mut self, tag: &str) -> Result<Vec<Found>, NetError> {
        let replies = self.talk.ask("list", "links", |b, n| {
            b.message(libc::RTM_GETLINK, REQUEST | DUMP, n, &header(0, 0, 0), |_| {});
            n
        })?;
        let all = replies.iter().filter_map(|r| found(r.kind, &r.payload));
        Ok(all.filter(|f| f.is_tagged(tag)).collect())
    }

    /// Takes a link up or down; `name` is for messages.
    ///
    /// # Errors
    /// ENODEV if it is gone.
    pub fn set_up(&mut self, ifindex: u32, name: &str, up: bool) -> Result<(), NetError> {
        const UP: u32 = libc::IFF_UP as u32;
        let operation = if up { "take up interface" } else { "take down interface" };
        let header = header(ifindex, if up { UP } else { 0 }, UP);
        let asked = self.talk.ask(operation, name, |b, n| {
            b.message(libc::RTM_NEWLINK, REQUEST | ACK, n, &header, |_| {});
            n
        });
        asked.map(drop)
    }

    /// Removes a link, and with it its addresses; one that is gone already is no error.
    ///
    /// # Errors
    /// EPERM without the capability.
    pub fn delete(&mut self, ifindex: u32, name: &str) -> Result<(), NetError> {
        let asked = self.talk.ask("remove interface", name, |b, n| {
            b.message(libc::RTM_DELLINK, REQUEST | ACK, n, &header(ifindex, 0, 0), |_| {});
            n
        });
        match asked {
            Err(e) if e.errno != Errno::ENODEV => Err(e),
            _ => Ok(()),
        }
    }
}

/// `struct ifinfomsg`: family 1, padding 1, type 2, index 4, flags 4, change 4 (rtnetlink(7)).
fn header(ifindex: u32, flags: u32, change: u32) -> Vec<u8> {
    [[0; 4], ifindex.to_ne_bytes(), flags.to_ne_bytes(), change.to_ne_bytes()].concat()
}

/// The attribute that makes it a macvlan in private mode: those of a machine do not hear each other.
fn kind(b: &mut Builder) {
    b.nested(libc::IFLA_LINKINFO, |b| {
        b.text(INFO_KIND, "macvlan");
        b.nested(INFO_DATA, |b| b.attribute(MACVLAN_MODE, &MODE_PRIVATE.to_ne_bytes()));
    });
}

fn cut(alias: &str) -> &str {
    let mut end = alias.len().min(LONGEST_ALIAS);
    while !alias.is_char_boundary(end) {
        end -= 1;
    }
    alias.get(..end).unwrap_or_default()
}

fn found(message: u16, payload: &[u8]) -> Option<Found> {
    let NetEvent::LinkNew(link) = rtnetlink::event(message, payload)? else { return None };
    let mut found = Found { link, alias: String::new(), macvlan: false, parent: 0 };
    for (kind, value) in rtnetlink::attributes(payload.get(16..)?) {
        match kind {
            libc::IFLA_IFALIAS => found.alias = rtnetlink::text(value),
            libc::IFLA_LINK => found.parent = rtnetlink::number(value).unwrap_or(0),
            libc::IFLA_LINKINFO => {
                found.macvlan = rtnetlink::attributes(value)
                    .any(|(kind, value)| kind == INFO_KIND && rtnetlink::text(value) == "macvlan");
            }
            _ => {}
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_virtual_mac_is_that_of_rfc_9568_7_3() {
        let vrid = Vrid::new(51).unwrap();
        assert_eq!(virtual_mac(Family::Ipv4, vrid), [0, 0, 0x5e, 0, 1, 51]);
        assert_eq!(virtual_mac(Family::Ipv6, vrid), [0, 0, 0x5e, 0, 2, 51]);
    }

    #[test]
    fn a_long_alias_is_cut_between_letters() {
        let long = format!("{}ä", "x".repeat(LONGEST_ALIAS - 1));
        assert_eq!(cut(&long).len(), LONGEST_ALIAS - 1);
        assert_eq!(cut("short"), "short");
    }

    #[test]
    fn a_link_is_known_by_kind_and_alias() {
        let mut b = Builder::default();
        b.message(libc::RTM_NEWLINK, 0, 1, &header(7, 0, 0), |b| {
            b.text(libc::IFLA_IFNAME, "vrrp.51");
            b.attribute(libc::IFLA_LINK, &2u32.to_ne_bytes());
            b.text(libc::IFLA_IFALIAS, "tandemd /run/tandem web");
            kind(b);
        });
        let raw = rtnetlink::messages(b.bytes()).next().unwrap();
        let f = found(raw.kind, raw.payload).unwrap();
        assert_eq!((f.link.ifindex, f.link.name.as_str(), f.parent), (7, "vrrp.51", 2));
        assert!(f.is_tagged("tandemd /run/tandem ") && !f.is_tagged("tandemd /run/other "));
        assert!(!Found { macvlan: false, ..f }.is_tagged("tandemd /run/tandem "));
    }
}
