//! Sends Ethernet frames, many in one system call.

use super::NetError;
use super::ffi::{self, Target};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::os::fd::AsFd;

/// An AF_PACKET socket that receives nothing (packet(7), protocol 0).
#[derive(Debug)]
pub struct PacketSocket(Socket);

impl PacketSocket {
    /// Opens it. Needs CAP_NET_RAW.
    pub fn open() -> Result<Self, NetError> {
        let socket = Socket::new(Domain::PACKET, Type::RAW.nonblocking(), Some(Protocol::from(0)))
            .map_err(|e| NetError::io("open", "packet socket", e))?;
        Ok(PacketSocket(socket))
    }

    /// Sends frames, each on its interface; returns how many the kernel took. A frame that it refuses (interface
    /// down) does not stop the others; a full queue ends the batch.
    pub fn send(&self, frames: &[(u32, &[u8])]) -> io::Result<usize> {
        let items: Vec<(Target, &[u8])> =
            frames.iter().map(|(ifindex, f)| (Target::Link { ifindex: *ifindex }, *f)).collect();
        let (mut at, mut sent) = (0, 0);
        while let Some(rest) = items.get(at..).filter(|r| !r.is_empty()) {
            match ffi::send_batch(self.0.as_fd(), rest) {
                Ok(n) => {
                    sent += n;
                    at += n.max(1);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) if e.raw_os_error() == Some(libc::ENOBUFS) => break,
                Err(_) => at += 1,
            }
        }
        Ok(sent)
    }
}
