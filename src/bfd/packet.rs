//! The control packet (RFC 5880 4.1), to bytes and back.

use super::counters::Discard;
use super::types::{Diagnostic, Discriminator, State};
use std::time::Duration;

/// Bytes of a packet without authentication.
pub const LENGTH: usize = 24;
/// Bytes that a packet with authentication has at least.
const LENGTH_WITH_AUTH: u8 = 26;
const VERSION: u8 = 1;

const POLL: u8 = 0x20;
const FINAL: u8 = 0x10;
const INDEPENDENT: u8 = 0x08;
const AUTH: u8 = 0x04;
const DEMAND: u8 = 0x02;
const MULTIPOINT: u8 = 0x01;

/// A control packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet {
    /// Why the sender last changed its state.
    pub diagnostic: Diagnostic,
    /// The sender's state.
    pub state: State,
    /// An answer is asked for.
    pub poll: bool,
    /// This is the answer.
    pub is_final: bool,
    /// The sender's BFD does not share fate with its control plane.
    pub control_plane_independent: bool,
    /// An authentication section follows.
    pub authenticated: bool,
    /// The sender wants no periodic packets while both are up.
    pub demand: bool,
    /// Packets that may be missed; at least 1.
    pub detect_mult: u8,
    /// The sender's number of the session.
    pub my_discriminator: Discriminator,
    /// The receiver's number of it, if the sender knows.
    pub your_discriminator: Option<Discriminator>,
    /// The sender would like to send this often, in microseconds.
    pub desired_min_tx: u32,
    /// The sender takes packets this often, in microseconds; 0: not at all.
    pub required_min_rx: u32,
    /// The same for echo packets; 0: no echo.
    pub required_min_echo_rx: u32,
}

/// Reads a packet and makes the checks of 6.8.6 that need no session, in its order.
///
/// # Errors
/// The first check that failed.
pub fn decode(bytes: &[u8]) -> Result<Packet, Discard> {
    let [version_diag, flags, detect_mult, length] = *bytes.first_chunk::<4>().ok_or(Discard::Length)?;
    if version_diag >> 5 != VERSION {
        return Err(Discard::Version);
    }
    let least = if flags & AUTH != 0 { LENGTH_WITH_AUTH } else { LENGTH as u8 };
    if length < least || usize::from(length) > bytes.len() {
        return Err(Discard::Length);
    }
    if detect_mult == 0 {
        return Err(Discard::DetectMult);
    }
    if flags & MULTIPOINT != 0 {
        return Err(Discard::Multipoint);
    }
    let my_discriminator = Discriminator::new(word(bytes, 4)?).ok_or(Discard::MyDiscriminator)?;
    let state = State::from_bits(flags >> 6);
    let your_discriminator = Discriminator::new(word(bytes, 8)?);
    if your_discriminator.is_none() && !matches!(state, State::Down | State::AdminDown) {
        return Err(Discard::YourDiscriminator);
    }
    Ok(Packet {
        diagnostic: Diagnostic::from_bits(version_diag),
        state,
        poll: flags & POLL != 0,
        is_final: flags & FINAL != 0,
        control_plane_independent: flags & INDEPENDENT != 0,
        authenticated: flags & AUTH != 0,
        demand: flags & DEMAND != 0,
        detect_mult,
        my_discriminator,
        your_discriminator,
        desired_min_tx: word(bytes, 12)?,
        required_min_rx: word(bytes, 16)?,
        required_min_echo_rx: word(bytes, 20)?,
    })
}

fn word(bytes: &[u8], at: usize) -> Result<u32, Discard> {
    let word = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>());
    word.map(|w| u32::from_be_bytes(*w)).ok_or(Discard::Length)
}

impl Packet {
    /// The bytes to send. An authentication section is never written, so `authenticated` is not either.
    pub fn encode(&self) -> [u8; LENGTH] {
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        let flags = self.state.code() << 6
            | flag(self.poll, POLL)
            | flag(self.is_final, FINAL)
            | flag(self.control_plane_independent, INDEPENDENT)
            | flag(self.demand, DEMAND);
        let head = [VERSION << 5 | self.diagnostic.code(), flags, self.detect_mult, LENGTH as u8];
        let words = [
            self.my_discriminator.get(),
            self.your_discriminator.map_or(0, Discriminator::get),
            self.desired_min_tx,
            self.required_min_rx,
            self.required_min_echo_rx,
        ];
        let mut bytes = [0; LENGTH];
        let all = head.into_iter().chain(words.into_iter().flat_map(u32::to_be_bytes));
        for (to, from) in bytes.iter_mut().zip(all) {
            *to = from;
        }
        bytes
    }
}

/// A time as packets carry it: whole microseconds, at most 2^32 - 1.
pub(super) fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

/// And back.
pub(super) const fn from_micros(micros: u32) -> Duration {
    Duration::from_micros(micros as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn good() -> [u8; LENGTH] {
        // Version 1, diagnostic 3; Up, poll; multiplier 5; discriminators 1 and 2; 10 ms, 20 ms, 0.
        let mut bytes = [0; LENGTH];
        bytes[..4].copy_from_slice(&[0x23, 0xe0, 5, 24]);
        bytes[7] = 1;
        bytes[11] = 2;
        bytes[12..16].copy_from_slice(&10_000_u32.to_be_bytes());
        bytes[16..20].copy_from_slice(&20_000_u32.to_be_bytes());
        bytes
    }

    #[test]
    fn every_field_stands_where_the_rfc_says() {
        let packet = decode(&good()).unwrap();
        assert_eq!(packet.diagnostic, Diagnostic::NEIGHBOR_DOWN);
        assert_eq!((packet.state, packet.poll, packet.is_final), (State::Up, true, false));
        assert_eq!((packet.detect_mult, packet.my_discriminator.get()), (5, 1));
        assert_eq!(packet.your_discriminator, Discriminator::new(2));
        assert_eq!((packet.desired_min_tx, packet.required_min_rx), (10_000, 20_000));
        assert_eq!(packet.encode(), good());
    }

    #[test]
    fn each_bad_packet_fails_its_own_check() {
        let with = |at: usize, value: u8| {
            let mut bytes = good();
            bytes[at] = value;
            bytes.to_vec()
        };
        let cut = |len: usize| good()[..len].to_vec();
        let longer = |length: u8, more: usize| [with(3, length), vec![0; more]].concat();
        let rows = [
            (vec![], Discard::Length),
            (cut(3), Discard::Length),
            (cut(23), Discard::Length),
            (with(0, 0x03), Discard::Version),
            (with(0, 0x43), Discard::Version),
            (with(3, 23), Discard::Length),
            (with(3, 25), Discard::Length),
            // With authentication 26 bytes at least, however many there are.
            ([with(1, 0xc4), vec![0; 8]].concat(), Discard::Length),
            (with(2, 0), Discard::DetectMult),
            (with(1, 0xc1), Discard::Multipoint),
            (with(7, 0), Discard::MyDiscriminator),
            (with(11, 0), Discard::YourDiscriminator),
        ];
        for (bytes, why) in rows {
            assert_eq!(decode(&bytes), Err(why), "{bytes:02x?}");
        }
        let mut init = with(11, 0);
        init[1] = 0x80;
        assert_eq!(decode(&init), Err(Discard::YourDiscriminator));
        for state in [State::Down, State::AdminDown] {
            init[1] = state.code() << 6;
            assert_eq!(decode(&init).map(|p| p.state), Ok(state));
        }
        assert!(decode(&longer(24, 8)).is_ok(), "bytes after the packet are not its business");
        let mut authenticated = longer(26, 2);
        authenticated[1] |= AUTH;
        assert!(decode(&authenticated).unwrap().authenticated);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode(&bytes);
        }

        #[test]
        fn what_is_read_is_written_the_same(mut bytes in proptest::array::uniform24(any::<u8>())) {
            bytes[0] = 0x20 | bytes[0] & 0x1f;
            bytes[1] &= !(AUTH | MULTIPOINT);
            bytes[3] = 24;
            if let Ok(packet) = decode(&bytes) {
                prop_assert_eq!(packet.encode(), bytes);
            }
        }
    }
}
