//! What a node sees on its eth0, decoded without tandemd's own code.

use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use pnet_packet::Packet;
use pnet_packet::arp::ArpPacket;
use pnet_packet::ethernet::{EtherTypes, EthernetPacket};
use pnet_packet::icmpv6::ndp::NeighborAdvertPacket;
use pnet_packet::ipv4::Ipv4Packet;
use pnet_packet::ipv6::Ipv6Packet;
use socket2::{Domain, Protocol, Socket, Type};
use std::fs::File;
use std::io::IoSliceMut;
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, UNIX_EPOCH};

/// A VRRP advertisement as it was on the wire.
#[derive(Clone, Debug)]
pub struct Advert {
    pub at: Instant,
    pub source: IpAddr,
    pub destination: IpAddr,
    pub ttl: u8,
    pub tos: u8,
    pub version: u8,
    pub vrid: u8,
    pub priority: u8,
    pub count: u8,
    pub payload: Vec<u8>,
}

/// A gratuitous ARP or an unsolicited neighbour advertisement.
#[derive(Clone, Debug)]
pub struct Announcement {
    pub at: Instant,
    pub mac: String,
    pub address: IpAddr,
}

#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub adverts: Vec<Advert>,
    pub announcements: Vec<Announcement>,
}

impl Seen {
    pub fn adverts_from(&self, source: &str) -> Vec<Advert> {
        let source: IpAddr = source.parse().expect("an address");
        self.adverts.iter().filter(|a| a.source == source).cloned().collect()
    }

    pub fn announced(&self, address: &str) -> Vec<Announcement> {
        let address: IpAddr = address.parse().expect("an address");
        self.announcements.iter().filter(|a| a.address == address).cloned().collect()
    }
}

/// Records until it is stopped.
pub struct Capture {
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Runs on a thread that has moved into the node's network namespace.
pub fn in_node<T: Send + 'static>(node: &str, f: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let file = File::open(format!("/run/netns/{node}")).expect("namespace");
    std::thread::spawn(move || {
        setns(file, CloneFlags::CLONE_NEWNET).expect("setns");
        f()
    })
}

impl Capture {
    pub fn start(node: &str) -> Self {
        const ALL: u16 = 0x0003;
        let seen = Arc::new(Mutex::new(Seen::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let (ready, started) = std::sync::mpsc::channel();
        let (into, end) = (seen.clone(), stop.clone());
        let thread = in_node(node, move || {
            let protocol = Protocol::from(i32::from(ALL.to_be()));
            let socket = Socket::new(Domain::PACKET, Type::RAW, Some(protocol)).expect("packet socket");
            setsockopt(&socket, sockopt::ReceiveTimestampns, &true).expect("timestamps");
            socket.set_read_timeout(Some(Duration::from_millis(20))).expect("timeout");
            let _ = socket.set_recv_buffer_size(16 << 20);
            ready.send(()).expect("ready");
            let mut buffer = [0; 2048];
            while !end.load(Ordering::Relaxed) {
                if let Ok((n, at)) = receive(&socket, &mut buffer) {
                    note(&mut into.lock().expect("lock"), at, &buffer[..n]);
                }
            }
        });
        started.recv().expect("capture starts");
        Capture { seen, stop, thread: Some(thread) }
    }

    /// What was seen so far.
    pub fn so_far(&self) -> Seen {
        self.seen.lock().expect("lock").clone()
    }

    pub fn stop(mut self) -> Seen {
        self.end();
        self.so_far()
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(t) = self.thread.take() {
            t.join().expect("capture thread");
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// A frame, and when the kernel got it: this thread may have had to wait for a processor.
fn receive(socket: &Socket, buffer: &mut [u8]) -> nix::Result<(usize, Instant)> {
    let mut space = nix::cmsg_space!(TimeSpec);
    let mut parts = [IoSliceMut::new(buffer)];
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::empty())?;
    let stamp = message.cmsgs()?.find_map(|m| match m {
        ControlMessageOwned::ScmTimestampns(at) => Some(Duration::from(at)),
        _ => None,
    });
    let (now, wall) = (Instant::now(), UNIX_EPOCH.elapsed().expect("after 1970"));
    let ago = stamp.map_or(Duration::ZERO, |at| wall.saturating_sub(at));
    Ok((message.bytes, now - ago))
}

fn note(seen: &mut Seen, at: Instant, frame: &[u8]) {
    let Some(e) = EthernetPacket::new(frame) else { return };
    match e.get_ethertype() {
        EtherTypes::Arp => {
            let Some(a) = ArpPacket::new(e.payload()) else { return };
            if a.get_sender_proto_addr() == a.get_target_proto_addr() {
                let mac = a.get_sender_hw_addr().to_string();
                seen.announcements.push(Announcement { at, mac, address: a.get_sender_proto_addr().into() });
            }
        }
        EtherTypes::Ipv4 => {
            let Some(p) = Ipv4Packet::new(e.payload()) else { return };
            if p.get_next_level_protocol().0 == 112 {
                let tos = p.get_dscp() << 2 | p.get_ecn();
                let ips = (p.get_source().into(), p.get_destination().into());
                advert(seen, at, ips, p.get_ttl(), tos, p.payload());
            }
        }
        EtherTypes::Ipv6 => {
            let Some(p) = Ipv6Packet::new(e.payload()) else { return };
            if p.get_next_header().0 == 112 {
                let ips = (p.get_source().into(), p.get_destination().into());
                advert(seen, at, ips, p.get_hop_limit(), p.get_traffic_class(), p.payload());
            } else if p.get_next_header().0 == 58 && p.payload().first() == Some(&136) {
                let Some(na) = NeighborAdvertPacket::new(p.payload()) else { return };
                let solicited = na.get_flags() & 0x40 != 0;
                if !solicited && p.get_destination().is_multicast() {
                    let mac = e.get_source().to_string();
                    seen.announcements.push(Announcement { at, mac, address: na.get_target_addr().into() });
                }
            }
        }
        _ => {}
    }
}

fn advert(seen: &mut Seen, at: Instant, ips: (IpAddr, IpAddr), ttl: u8, tos: u8, payload: &[u8]) {
    let byte = |n: usize| payload.get(n).copied().unwrap_or(0);
    seen.adverts.push(Advert {
        at,
        source: ips.0,
        destination: ips.1,
        ttl,
        tos,
        version: byte(0) >> 4,
        vrid: byte(1),
        priority: byte(2),
        count: byte(3),
        payload: payload.to_vec(),
    });
}
