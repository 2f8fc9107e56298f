//! VRRP messages, version 2 and 3: bytes to [`Advertisement`] and back (RFC 9568 5, RFC 3768 5).
//!
//! Decoding allocates nothing and cannot panic; every way to be wrong has its own [`Discard`].

use super::checksum::{self, Cover};
use super::counters::Discard;
use super::trailer::{TRAILER_LEN, Trailer};
use super::types::{AuthPass, ChecksumForm, Family, Version, Vrid};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// Where IPv4 advertisements go (RFC 9568 5.1.1.2).
pub const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
/// Where IPv6 advertisements go (RFC 9568 5.1.2.2).
pub const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);

/// The multicast group of a family.
pub const fn group(family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => IpAddr::V4(GROUP_V4),
        Family::Ipv6 => IpAddr::V6(GROUP_V6),
    }
}

const TYPE_ADVERTISEMENT: u8 = 1;
const HEADER_LEN: usize = 8;
const AUTH_LEN: usize = 8;
/// No authentication (RFC 3768 5.3.6).
pub const AUTH_NONE: u8 = 0;
/// Text password (RFC 2338).
pub const AUTH_TEXT: u8 = 1;

/// One received IP packet of protocol 112, as the shell hands it to the core.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Source of the IP header.
    pub source: IpAddr,
    /// Destination of the IP header.
    pub destination: IpAddr,
    /// TTL or hop limit as it arrived.
    pub hop_limit: u8,
    /// The VRRP message: what follows the IP header, cut to the length the header gives.
    pub payload: &'a [u8],
}

impl Datagram<'_> {
    /// The VRID, right or wrong, for attributing an error; none if there are not even two bytes.
    pub(super) fn claimed_vrid(&self) -> Option<u8> {
        self.payload.get(1).copied()
    }
}

/// The addresses of a received advertisement, in the order of the packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AddressList<'a> {
    family: Family,
    bytes: &'a [u8],
}

impl<'a> AddressList<'a> {
    /// How many.
    pub fn len(&self) -> usize {
        self.bytes.len() / self.family.address_len()
    }

    /// True for none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The addresses.
    pub fn iter(&self) -> impl Iterator<Item = IpAddr> + use<'a> {
        self.bytes.chunks_exact(self.family.address_len()).filter_map(|c| match c.len() {
            4 => <[u8; 4]>::try_from(c).ok().map(IpAddr::from),
            _ => <[u8; 16]>::try_from(c).ok().map(IpAddr::from),
        })
    }

    /// True if both hold the same addresses, in whatever order.
    pub(super) fn is_same_set(&self, ours: &[IpAddr]) -> bool {
        self.len() == ours.len() && self.iter().all(|a| ours.contains(&a))
    }
}

/// A decoded advertisement whose form and checksum are right.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Advertisement<'a> {
    /// Protocol version.
    pub version: Version,
    /// Virtual router identifier.
    pub vrid: Vrid,
    /// 0: the master takes no part any more; 255: the owner.
    pub priority: u8,
    /// The sender's advertisement interval; never zero.
    pub interval: Duration,
    /// Version 2: authentication type; 0 in version 3.
    pub auth_type: u8,
    /// Version 2: authentication data.
    pub auth_data: Option<&'a [u8; AUTH_LEN]>,
    /// Listed addresses; may be empty, which only a router without addresses accepts.
    pub addresses: AddressList<'a>,
    /// Version 3 over IPv4: which bytes the checksum covered.
    pub checksum_form: Option<ChecksumForm>,
    /// The trailer of `auth_hmac`, not checked yet.
    pub trailer: Option<Trailer<'a>>,
}

/// Decodes a packet in the order of RFC 9568 7.1: TTL, version, type, length, checksum. `expected` is the
/// version of the router that has this VRID here, if there is one.
///
/// TTL is checked for multicast only: routed unicast peers, and keepalived's unicast IPv6, send less.
pub fn decode<'a>(
    family: Family,
    datagram: &Datagram<'a>,
    expected: Option<Version>,
) -> Result<Advertisement<'a>, Discard> {
    decode_with(family, datagram, expected, false)
}

/// As [`decode`]; a message may also end in a trailer of `auth_hmac` if `trailer` says so. Whether there is one
/// is seen by the length alone.
pub fn decode_with<'a>(
    family: Family,
    datagram: &Datagram<'a>,
    expected: Option<Version>,
    trailer: bool,
) -> Result<Advertisement<'a>, Discard> {
    if datagram.destination.is_multicast() && datagram.hop_limit != 255 {
        return Err(Discard::Ttl);
    }
    let (Some(header), body) = (datagram.payload.first_chunk::<HEADER_LEN>(), datagram.payload) else {
        // Too short to hold the fixed fields. What is there is still judged in the order of the RFC.
        return Err(short_packet(datagram.payload, family, expected));
    };
    let [first, vrid, priority, count, b4, b5, _, _] = *header;
    let version = check_version(first >> 4, family, expected)?;
    if first & 0x0f != TYPE_ADVERTISEMENT {
        return Err(Discard::Type);
    }
    let addresses_len = usize::from(count) * family.address_len();
    let message_len = message_len(version, family, count);
    let trailer = match body.len().checked_sub(message_len) {
        Some(0) => None,
        Some(TRAILER_LEN) if trailer => Trailer::last_of(body),
        _ => return Err(Discard::Length),
    };
    let message = body.get(..message_len).ok_or(Discard::Length)?;
    // The trailer belongs to the payload that IPv6 sums up, and is no part of the message that IPv4 does.
    let summed = if family == Family::Ipv6 { body } else { message };
    let checksum_form = check_sum(version, family, datagram, summed)?;
    let vrid = Vrid::new(vrid).ok_or(Discard::Vrid)?;
    let (interval, auth_type) = match version {
        Version::V2 => (Duration::from_secs(u64::from(b5)), b4),
        Version::V3 => {
            // The upper four bits are reserved and ignored (RFC 9568 5.2.6).
            let centiseconds = u16::from_be_bytes([b4 & 0x0f, b5]);
            (Duration::from_millis(u64::from(centiseconds) * 10), AUTH_NONE)
        }
    };
    if interval.is_zero() {
        return Err(Discard::ZeroInterval);
    }
    let bytes = body.get(HEADER_LEN..HEADER_LEN + addresses_len).ok_or(Discard::Length)?;
    let auth_data = if version == Version::V2 { message.last_chunk::<AUTH_LEN>() } else { None };
    Ok(Advertisement {
        version,
        vrid,
        priority,
        interval,
        auth_type,
        auth_data,
        addresses: AddressList { family, bytes },
        checksum_form,
        trailer,
    })
}

/// Bytes of a message with so many addresses, without a trailer.
pub(super) fn message_len(version: Version, family: Family, count: u8) -> usize {
    let auth = if version == Version::V2 { AUTH_LEN } else { 0 };
    HEADER_LEN + usize::from(count) * family.address_len() + auth
}

fn short_packet(payload: &[u8], family: Family, expected: Option<Version>) -> Discard {
    match payload.first() {
        None => Discard::Length,
        Some(first) => match check_version(first >> 4, family, expected) {
            Err(e) => e,
            Ok(_) if first & 0x0f != TYPE_ADVERTISEMENT => Discard::Type,
            Ok(_) => Discard::Length,
        },
    }
}

fn check_version(found: u8, family: Family, expected: Option<Version>) -> Result<Version, Discard> {
    let version = Version::try_from(found).map_err(|_| Discard::Version)?;
    let legal = version == Version::V3 || family == Family::Ipv4;
    if !legal || expected.is_some_and(|e| e != version) {
        return Err(Discard::Version);
    }
    Ok(version)
}

/// Version 3 over IPv4 is accepted in every form that is in use (PRACTICE-1): the message alone, with the
/// pseudo-header of the real destination, and for unicast with that of the multicast group (FRR, old
/// keepalived). A sum that is right in none of them is never accepted.
fn check_sum(
    version: Version,
    family: Family,
    datagram: &Datagram<'_>,
    summed: &[u8],
) -> Result<Option<ChecksumForm>, Discard> {
    let Datagram { source, destination, .. } = datagram;
    let pseudo = |destination: &IpAddr| checksum::is_valid(Cover::Pseudo { source, destination }, summed);
    let message = || checksum::is_valid(Cover::Message, summed);
    match (version, family) {
        (Version::V2, _) => message().then_some(None).ok_or(Discard::Checksum),
        (Version::V3, Family::Ipv6) => pseudo(destination).then_some(None).ok_or(Discard::Checksum),
        (Version::V3, Family::Ipv4) if message() => Ok(Some(ChecksumForm::Rfc9568)),
        (Version::V3, Family::Ipv4) if pseudo(destination) || pseudo(&group(family)) => {
            Ok(Some(ChecksumForm::PseudoHeader))
        }
        (Version::V3, Family::Ipv4) => Err(Discard::Checksum),
    }
}

/// What goes into a message to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// Protocol version.
    pub version: Version,
    /// Virtual router identifier.
    pub vrid: Vrid,
    /// 0 on the way out, else the effective priority.
    pub priority: u8,
    /// Own advertisement interval, in the range of the version.
    pub interval: Duration,
    /// Listed addresses, at most 255, all of the family of `source`.
    pub addresses: &'a [IpAddr],
    /// Version 2: text password.
    pub auth_pass: Option<&'a AuthPass>,
    /// Version 3 over IPv4: which bytes the checksum covers.
    pub checksum_form: ChecksumForm,
    /// Source of the IP header.
    pub source: IpAddr,
    /// Destination of the IP header.
    pub destination: IpAddr,
}

/// Encodes a message, checksum included.
pub fn encode(o: &Outgoing<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_LEN + o.addresses.len() * 16 + AUTH_LEN);
    let count = u8::try_from(o.addresses.len()).unwrap_or(u8::MAX);
    let timing = match o.version {
        Version::V2 => {
            let auth_type = if o.auth_pass.is_some() { AUTH_TEXT } else { AUTH_NONE };
            [auth_type, u8::try_from(o.interval.as_secs()).unwrap_or(u8::MAX)]
        }
        Version::V3 => {
            let centiseconds = u16::try_from(o.interval.as_millis() / 10).unwrap_or(0x0fff);
            centiseconds.min(0x0fff).to_be_bytes()
        }
    };
    out.push(u8::from(o.version) << 4 | TYPE_ADVERTISEMENT);
    out.extend([o.vrid.get(), o.priority, count]);
    out.extend(timing);
    out.extend([0, 0]);
    for address in o.addresses.iter().take(usize::from(count)) {
        match address {
            IpAddr::V4(a) => out.extend(a.octets()),
            IpAddr::V6(a) => out.extend(a.octets()),
        }
    }
    if o.version == Version::V2 {
        out.extend(o.auth_pass.map_or([0; AUTH_LEN], |p| *p.bytes()));
    }
    write_checksum(o, &mut out);
    out
}

/// Extends a whole message by the trailer that `append` makes. IPv6 sums up what belongs to the payload.
pub(super) fn extend(
    payload: &mut Vec<u8>,
    source: &IpAddr,
    destination: &IpAddr,
    append: impl FnOnce(&mut Vec<u8>),
) {
    append(payload);
    if Family::of(source) == Family::Ipv6 {
        write_sum(Cover::Pseudo { source, destination }, payload);
    }
}

fn write_checksum(o: &Outgoing<'_>, out: &mut [u8]) {
    let pseudo = Cover::Pseudo { source: &o.source, destination: &o.destination };
    let cover = match (o.version, Family::of(&o.source), o.checksum_form) {
        (Version::V2, _, _) | (Version::V3, Family::Ipv4, ChecksumForm::Rfc9568) => Cover::Message,
        (Version::V3, Family::Ipv6, _) | (Version::V3, Family::Ipv4, ChecksumForm::PseudoHeader) => pseudo,
    };
    write_sum(cover, out);
}

fn write_sum(cover: Cover<'_>, out: &mut [u8]) {
    let field = checksum::OFFSET..checksum::OFFSET + 2;
    if let Some(field) = out.get_mut(field.clone()) {
        field.fill(0);
    }
    let sum = checksum::compute(cover, out).to_be_bytes();
    if let Some(field) = out.get_mut(field) {
        field.copy_from_slice(&sum);
    }
}

#[cfg(test)]
#[path = "packet_tests.rs"]
mod tests;
