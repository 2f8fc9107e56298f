//! Netlink requests written attribute by attribute, and a socket that carries them: for the messages that
//! [`super::netlink`] does not know (links, nf_tables).

use super::ffi::{self, Slots};
use super::netlink::from_kernel;
use super::{NetError, rtnetlink};
use netlink_sys::{Socket, SocketAddr};
use nix::errno::Errno;
use std::os::fd::AsFd;

/// NLA_F_NESTED (linux/netlink.h).
const NESTED: u16 = 1 << 15;
/// Enough for a dump's largest part.
const ANSWER: usize = 32 << 10;
const ANSWERS: usize = 4;

/// Messages under construction (netlink(7)).
#[derive(Debug, Default)]
pub(super) struct Builder {
    bytes: Vec<u8>,
}

impl Builder {
    /// Appends a message: its header, the fixed part, then what `fill` adds.
    pub(super) fn message(
        &mut self,
        kind: u16,
        flags: u16,
        sequence: u32,
        fixed: &[u8],
        fill: impl FnOnce(&mut Builder),
    ) {
        let start = self.bytes.len();
        self.bytes.extend(0u32.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(flags.to_ne_bytes());
        self.bytes.extend(sequence.to_ne_bytes());
        self.bytes.extend(0u32.to_ne_bytes());
        self.bytes.extend(fixed);
        self.pad();
        fill(self);
        let length = u32::try_from(self.bytes.len() - start).unwrap_or(u32::MAX);
        self.write(start, &length.to_ne_bytes());
    }

    /// Appends an attribute.
    pub(super) fn attribute(&mut self, kind: u16, value: &[u8]) {
        let start = self.open(kind);
        self.bytes.extend(value);
        self.close(start);
    }

    /// Appends a text with the zero that ends it.
    pub(super) fn text(&mut self, kind: u16, value: &str) {
        self.attribute(kind, &[value.as_bytes(), &[0]].concat());
    }

    /// Appends a number in network order, as nf_tables wants it.
    pub(super) fn be32(&mut self, kind: u16, value: u32) {
        self.attribute(kind, &value.to_be_bytes());
    }

    /// Appends an attribute that holds those that `fill` adds.
    pub(super) fn nested(&mut self, kind: u16, fill: impl FnOnce(&mut Builder)) {
        let start = self.open(kind | NESTED);
        fill(self);
        self.close(start);
    }

    /// The bytes so far.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn open(&mut self, kind: u16) -> usize {
        let start = self.bytes.len();
        self.bytes.extend(0u16.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        start
    }

    fn close(&mut self, start: usize) {
        let length = u16::try_from(self.bytes.len() - start).unwrap_or(u16::MAX);
        self.write(start, &length.to_ne_bytes());
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn write(&mut self, at: usize, value: &[u8]) {
        for (to, from) in self.bytes.iter_mut().skip(at).zip(value) {
            *to = *from;
        }
    }
}

/// One answer that is neither an acknowledgement nor an error.
pub(super) struct Reply {
    pub(super) kind: u16,
    pub(super) payload: Vec<u8>,
}

/// A netlink socket for requests. The kernel has answered when the sending returns, so nothing here waits for
/// anything but the kernel's own work.
pub(super) struct Talk {
    socket: Socket,
    sequence: u32,
    slots: Slots,
}

impl std::fmt::Debug for Talk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Talk").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl Talk {
    /// Opens a socket of this netlink protocol (`NETLINK_ROUTE`, `NETLINK_NETFILTER`).
    pub(super) fn open(protocol: isize, object: &'static str) -> Result<Self, NetError> {
        let failed = |e: std::io::Error| NetError::from_io("open", object, &e);
        let mut socket = Socket::new(protocol).map_err(failed)?;
        socket.set_non_blocking(true).map_err(failed)?;
        socket.bind(&SocketAddr::new(0, 0)).map_err(failed)?;
        // Only for clearer errors.
        let _ = socket.set_cap_ack(true);
        let _ = socket.set_ext_ack(true);
        Ok(Talk { socket, sequence: 0, slots: Slots::new(ANSWERS, ANSWER) })
    }

    /// Sends what `build` makes with numbers from `first` on, and reads all answers.
    ///
    /// The last number that `build` returns belongs to a request for an acknowledgement or a dump: without its
    /// answer the request counts as failed.
    pub(super) fn ask(
        &mut self,
        operation: &'static str,
        object: &str,
        build: impl FnOnce(&mut Builder, u32) -> u32,
    ) -> Result<Vec<Reply>, NetError> {
        let mut request = Builder::default();
        let first = self.sequence.wrapping_add(1);
        let last = build(&mut request, first);
        // One more is left free: the end of a batch.
        self.sequence = last.wrapping_add(1);
        let failed = |(errno, detail)| NetError { operation, object: object.to_owned(), errno, detail };
        self.send(request.bytes()).map_err(|e| failed((e, None)))?;
        self.answers(first, last).map_err(failed)
    }

    fn send(&self, request: &[u8]) -> Result<(), Errno> {
        loop {
            match self.socket.send(request, 0) {
                Ok(_) => return Ok(()),
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Errno::from_raw(e.raw_os_error().unwrap_or(libc::EIO))),
            }
        }
    }

    /// Reads until nothing is left. The first error counts.
    fn answers(&mut self, first: u32, last: u32) -> Result<Vec<Reply>, (Errno, Option<String>)> {
        let mut replies = Vec::new();
        let mut outcome = Err((Errno::ENOBUFS, None));
        let mut error = None;
        loop {
            match ffi::receive_some(self.socket.as_fd(), &mut self.slots, ANSWERS) {
                Ok(_) => {}
                Err(Errno::EINTR) => continue,
                Err(Errno::EAGAIN) => break,
                Err(Errno::ENOBUFS) => {
                    error.get_or_insert((Errno::ENOBUFS, None));
                    continue;
                }
                Err(e) => return Err((e, None)),
            }
            for slot in self.slots.iter().filter(|s| from_kernel(s.name)) {
                if slot.truncated {
                    error.get_or_insert((Errno::EMSGSIZE, None));
                }
                // An answer from before, given up then, has another number.
                let ours = |n: u32| n.wrapping_sub(first) <= self.sequence.wrapping_sub(first);
                for raw in rtnetlink::messages(slot.data).filter(|r| ours(r.sequence)) {
                    match i32::from(raw.kind) {
                        libc::NLMSG_ERROR => match rtnetlink::error(raw.payload) {
                            (Some(errno), text) => drop(error.get_or_insert((errno, text))),
                            (None, _) if raw.sequence == last => outcome = Ok(()),
                            (None, _) => {}
                        },
                        libc::NLMSG_DONE => outcome = Ok(()),
                        _ => replies.push(Reply { kind: raw.kind, payload: raw.payload.to_vec() }),
                    }
                }
            }
        }
        match error {
            Some(error) => Err(error),
            None => outcome.map(|()| replies),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_padding_are_those_of_netlink() {
        let mut b = Builder::default();
        b.message(7, 3, 9, &[1, 2, 3, 4], |b| {
            b.text(1, "abc");
            b.nested(2, |b| b.attribute(3, &[5]));
        });
        #[rustfmt::skip]
        let mut expected = vec![1, 2, 3, 4];
        let mut nla = |kind: u16, len: u16, value: &[u8]| {
            expected.extend(len.to_ne_bytes());
            expected.extend(kind.to_ne_bytes());
            expected.extend(value);
        };
        nla(1, 8, b"abc\0");
        nla(2 | NESTED, 12, &[]);
        nla(3, 5, &[5, 0, 0, 0]);
        assert_eq!(b.bytes()[16..], expected);
        assert_eq!(b.bytes()[..4], 40u32.to_ne_bytes());
        let raw: Vec<_> = rtnetlink::messages(b.bytes()).collect();
        assert_eq!((raw.len(), raw[0].kind, raw[0].flags, raw[0].sequence), (1, 7, 3, 9));
    }
}
