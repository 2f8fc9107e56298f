//! VRRP messages: decoding never panics, and what is accepted says the same after it was encoded again.

use super::Bytes;
use std::net::IpAddr;
use tandemd::vrrp::packet::{self, Advertisement, Outgoing};
use tandemd::vrrp::{AuthPass, ChecksumForm, Datagram, Discard, Family, Version};

/// A packet as it might arrive. Most of the time some fields are made right, so that the rest is looked at.
#[derive(Debug)]
pub struct Case {
    pub family: Family,
    pub source: IpAddr,
    pub destination: IpAddr,
    pub hop_limit: u8,
    pub expected: Option<Version>,
    pub payload: Vec<u8>,
}

impl Case {
    pub fn new(data: &[u8]) -> Self {
        let mut b = Bytes(data);
        let (shape, repair) = (b.u8(), b.u8());
        // Half of them right in all that is easily wrong.
        let repair = if shape & 0x20 != 0 { repair | 1 | 4 | 8 | 16 } else { repair };
        let six = shape & 1 != 0;
        let family = if six { Family::Ipv6 } else { Family::Ipv4 };
        let address = |v4: &str, v6: &str| (if six { v6 } else { v4 }).parse::<IpAddr>().unwrap();
        let own = address("192.0.2.1", "fe80::1");
        let mut case = Case {
            family,
            source: address("192.0.2.200", "fe80::200"),
            destination: if shape & 2 != 0 { own } else { packet::group(family) },
            hop_limit: if shape & 4 != 0 { 255 } else { b.u8() },
            expected: [None, None, Some(Version::V2), Some(Version::V3)][usize::from(shape >> 3 & 3)],
            payload: b.rest().to_vec(),
        };
        case.repair(repair);
        case
    }

    fn repair(&mut self, what: u8) {
        let len = self.payload.len();
        if len < 8 {
            return;
        }
        if what & 1 != 0 {
            let old = what & 2 != 0 && self.family == Family::Ipv4;
            self.payload[0] = if old { 0x21 } else { 0x31 };
        }
        if what & 4 != 0 {
            let trailer = if self.payload[0] >> 4 == 2 { 8 } else { 0 };
            let each = if self.family == Family::Ipv4 { 4 } else { 16 };
            let count = (len.saturating_sub(8 + trailer) / each).min(255);
            self.payload[3] = u8::try_from(count).unwrap();
            self.payload.resize(8 + count * each + trailer, 0);
        }
        if what & 8 != 0 {
            // VRID and interval, too, are seldom right by chance where a router shall hear it.
            self.payload[1] = 51;
            let interval = if self.payload[0] >> 4 == 2 { [0, 1] } else { [0, 100] };
            self.payload[4..6].copy_from_slice(&interval);
        }
        if what & 16 != 0 {
            self.sum(what & 32 != 0 || self.family == Family::Ipv6, what & 64 != 0);
        }
    }

    /// Fills in the checksum, by code that shares nothing with that of tandemd.
    fn sum(&mut self, pseudo: bool, to_group: bool) {
        self.payload[6..8].fill(0);
        let mut all = self.payload.clone();
        if pseudo && self.payload[0] >> 4 != 2 {
            let group = packet::group(self.family);
            let destination = if to_group && self.family == Family::Ipv4 { group } else { self.destination };
            for address in [self.source, destination] {
                match address {
                    IpAddr::V4(a) => all.splice(0..0, a.octets()).for_each(drop),
                    IpAddr::V6(a) => all.splice(0..0, a.octets()).for_each(drop),
                }
            }
            let len = u16::try_from(self.payload.len()).unwrap().to_be_bytes();
            all.splice(0..0, [0, 112, len[0], len[1]]);
        }
        let mut sum: u64 =
            all.chunks(2).map(|w| u64::from(w[0]) << 8 | w.get(1).map_or(0, |x| u64::from(*x))).sum();
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        self.payload[6..8].copy_from_slice(&(!u16::try_from(sum).unwrap()).to_be_bytes());
    }

    pub fn datagram(&self) -> Datagram<'_> {
        Datagram {
            source: self.source,
            destination: self.destination,
            hop_limit: self.hop_limit,
            payload: &self.payload,
        }
    }

    pub fn decode(&self) -> Result<Advertisement<'_>, Discard> {
        packet::decode(self.family, &self.datagram(), self.expected)
    }
}

/// The message of an advertisement; none for what a tandemd never sends (AH, a password that is no text).
fn encoded(a: &Advertisement<'_>, case: &Case, destination: IpAddr) -> Option<Vec<u8>> {
    let pass = match (a.auth_type, a.auth_data) {
        (packet::AUTH_NONE, _) => None,
        (packet::AUTH_TEXT, Some(data)) => {
            Some(AuthPass::new(std::str::from_utf8(data).ok()?.trim_end_matches('\0')))
        }
        _ => return None,
    };
    let addresses: Vec<IpAddr> = a.addresses.iter().collect();
    Some(packet::encode(&Outgoing {
        version: a.version,
        vrid: a.vrid,
        priority: a.priority,
        interval: a.interval,
        addresses: &addresses,
        auth_pass: pass.as_ref(),
        checksum_form: a.checksum_form.unwrap_or(ChecksumForm::Rfc9568),
        source: case.source,
        destination,
    }))
}

/// The bytes without what a receiver has to overlook: reserved bits, authentication data of type 0, and the other
/// of the two ways to write a zero of one's complement. The checksum changes with them.
fn is_canonical(a: &Advertisement<'_>, payload: &[u8]) -> bool {
    let reserved = a.version == Version::V3 && payload[4] & 0xf0 != 0;
    let unused = a.auth_type == packet::AUTH_NONE && a.auth_data.is_some_and(|d| *d != [0; 8]);
    !reserved && !unused && payload[6..8] != [0xff, 0xff]
}

/// True for a packet that was accepted.
pub fn run(data: &[u8]) -> bool {
    let case = Case::new(data);
    let Ok(a) = case.decode() else { return false };
    let p = &case.payload;
    assert_eq!((p[0] & 15, p[1], p[2]), (1, a.vrid.get(), a.priority));
    assert_eq!(a.addresses.len(), usize::from(p[3]));
    assert_eq!(a.addresses.iter().count(), usize::from(p[3]));
    assert!(a.addresses.iter().all(|x| Family::of(&x) == case.family));
    assert!(!a.interval.is_zero());
    assert!(case.hop_limit == 255 || !case.destination.is_multicast(), "{case:?}");
    assert!(case.expected.is_none_or(|v| v == a.version));
    let Some(again) = encoded(&a, &case, case.destination) else { return true };
    if is_canonical(&a, p) {
        // Over unicast the sum may have been made with the group (FRR, old keepalived).
        let same = again == *p || encoded(&a, &case, packet::group(case.family)).as_ref() == Some(p);
        assert!(same, "{case:02x?}\n{again:02x?}");
    }
    let second = Case { payload: again, expected: Some(a.version), ..case };
    let b = second.decode().unwrap_or_else(|e| panic!("what was accepted is refused: {e} {second:02x?}"));
    let known =
        |x: &Advertisement<'_>| (x.version, x.vrid, x.priority, x.interval, x.auth_type, x.checksum_form);
    assert_eq!(known(&a), known(&b));
    assert!(a.addresses.iter().eq(b.addresses.iter()));
    true
}
