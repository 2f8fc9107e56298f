//! Sending whole Ethernet frames (packet(7)).

use super::NetError;
use super::control_message::Control;
use super::ffi::{self, Destination, Message};
use nix::errno::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use std::os::fd::AsFd;

/// Room for a burst of announcements of thousands of addresses, in bytes.
const SEND_BUFFER: usize = 8 << 20;

/// A socket that sends frames on any interface and receives none (protocol 0).
#[derive(Debug)]
pub struct PacketSocket {
    socket: Socket,
}

/// What became of a batch of frames.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FramesSent {
    /// Frames from the start of the batch that are dealt with. Fewer than given: the queue is full (EAGAIN,
    /// ENOBUFS); send the rest later.
    pub taken: usize,
    /// Of those, frames that could not be sent: their interface is down or gone.
    pub failed: usize,
    /// The first such failure.
    pub first_error: Option<NetError>,
}

impl PacketSocket {
    /// Opens it; needs CAP_NET_RAW.
    ///
    /// # Errors
    /// EPERM without the capability, EAFNOSUPPORT without packet sockets in the kernel.
    pub fn open() -> Result<Self, NetError> {
        let socket = Socket::new(Domain::PACKET, Type::RAW.nonblocking(), Some(Protocol::from(0)))
            .map_err(|e| NetError::from_io("open", "packet socket", &e))?;
        // Only with CAP_NET_ADMIN; the default still sends some hundred frames at a time.
        if nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::SndBufForce, &SEND_BUFFER)
            .is_err()
        {
            tracing::debug!("packet socket keeps its default send buffer");
        }
        Ok(PacketSocket { socket })
    }

    /// Sends frames, each on the interface with the given index. A frame whose interface is down or gone is
    /// counted and passed over; a full queue ends the batch.
    pub fn send(&self, frames: &[(u32, &[u8])]) -> FramesSent {
        let mut result = FramesSent::default();
        let mut messages = Vec::with_capacity(frames.len().min(ffi::BATCH));
        for chunk in frames.chunks(ffi::BATCH) {
            messages.clear();
            messages.extend(chunk.iter().map(|(ifindex, frame)| message(*ifindex, frame)));
            if !self.send_chunk(&messages, chunk, &mut result) {
                break;
            }
        }
        result
    }

    /// False if the queue is full.
    fn send_chunk(&self, messages: &[Message<'_>], chunk: &[(u32, &[u8])], result: &mut FramesSent) -> bool {
        let mut done = 0;
        while let Some(rest) = messages.get(done..).filter(|r| !r.is_empty()) {
            match ffi::send_some(self.socket.as_fd(), rest) {
                Ok(n) => {
                    done += n;
                    result.taken += n;
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN | Errno::ENOBUFS) => return false,
                Err(errno) => {
                    let ifindex = chunk.get(done).map_or(0, |(ifindex, _)| *ifindex);
                    result.first_error.get_or_insert_with(|| {
                        NetError::new("send frame on", format!("interface {ifindex}"), errno)
                    });
                    done += 1;
                    result.taken += 1;
                    result.failed += 1;
                }
            }
        }
        true
    }
}

fn message(ifindex: u32, frame: &[u8]) -> Message<'_> {
    // The kernel wants the Ethernet type beside the frame, in network order as it stands there.
    let protocol = match frame {
        [_, _, _, _, _, _, _, _, _, _, _, _, a, b, ..] => u16::from_ne_bytes([*a, *b]),
        _ => 0,
    };
    let destination = Destination::Link(libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: protocol,
        sll_ifindex: i32::try_from(ifindex).unwrap_or(i32::MAX),
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 6,
        sll_addr: [0; 8],
    });
    Message { destination, control: Control::NONE, payload: frame }
}
