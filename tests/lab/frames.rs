//! Whole frames that reach an interface of a node, with their Ethernet source.

use super::capture::in_node;
use nix::sys::socket::{LinkAddr, recvfrom};
use pnet_packet::Packet;
use pnet_packet::arp::ArpPacket;
use pnet_packet::ethernet::{EtherTypes, EthernetPacket};
use pnet_packet::ipv4::Ipv4Packet;
use pnet_packet::ipv6::Ipv6Packet;
use socket2::{Domain, Protocol, Socket, Type};
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// What was received so far.
#[derive(Clone, Debug, Default)]
pub struct FrameLog(Vec<Vec<u8>>);

impl FrameLog {
    /// Ethernet source, IP source and priority of every VRRP advertisement.
    pub fn adverts(&self) -> Vec<(String, String, u8)> {
        self.ethernet()
            .filter_map(|e| {
                let (source, payload) = match e.get_ethertype() {
                    EtherTypes::Ipv4 => {
                        let p = Ipv4Packet::new(e.payload())?;
                        let vrrp = p.get_next_level_protocol().0 == 112;
                        vrrp.then(|| (p.get_source().to_string(), p.payload().to_vec()))?
                    }
                    EtherTypes::Ipv6 => {
                        let p = Ipv6Packet::new(e.payload())?;
                        let vrrp = p.get_next_header().0 == 112;
                        vrrp.then(|| (p.get_source().to_string(), p.payload().to_vec()))?
                    }
                    _ => return None,
                };
                Some((e.get_source().to_string(), source, *payload.get(2)?))
            })
            .collect()
    }

    /// The sender hardware address of every ARP packet, question or answer, in the name of `address`.
    pub fn arp_senders(&self, address: &str) -> Vec<String> {
        let address: Ipv4Addr = address.parse().expect("an IPv4 address");
        let arp = self.ethernet().filter(|e| e.get_ethertype() == EtherTypes::Arp);
        arp.filter_map(|e| {
            let a = ArpPacket::new(e.payload())?;
            (a.get_sender_proto_addr() == address).then(|| a.get_sender_hw_addr().to_string())
        })
        .collect()
    }

    /// The sender hardware address of every ARP probe (RFC 5227) for `address`.
    pub fn arp_probes(&self, address: &str) -> Vec<String> {
        let address: Ipv4Addr = address.parse().expect("an IPv4 address");
        let arp = self.ethernet().filter(|e| e.get_ethertype() == EtherTypes::Arp);
        arp.filter_map(|e| {
            let a = ArpPacket::new(e.payload())?;
            let asks = a.get_sender_proto_addr().is_unspecified() && a.get_target_proto_addr() == address;
            asks.then(|| a.get_sender_hw_addr().to_string())
        })
        .collect()
    }

    /// Echo requests to an IPv4 address.
    pub fn count_to(&self, address: &str) -> usize {
        let address: Ipv4Addr = address.parse().expect("an IPv4 address");
        let v4 = self.ethernet().filter(|e| e.get_ethertype() == EtherTypes::Ipv4);
        v4.filter(|e| {
            Ipv4Packet::new(e.payload())
                .is_some_and(|p| p.get_destination() == address && p.payload().first() == Some(&8))
        })
        .count()
    }

    /// Every frame from this MAC, in words.
    pub fn sent_by(&self, mac: &str) -> Vec<String> {
        let from = self.ethernet().filter(|e| e.get_source().to_string() == mac);
        from.map(|e| format!("{:?} {:02x?}", e, e.payload())).collect()
    }

    fn ethernet(&self) -> impl Iterator<Item = EthernetPacket<'_>> {
        self.0.iter().filter_map(|f| EthernetPacket::new(f))
    }
}

/// Records until it is stopped.
pub struct Frames {
    seen: Arc<Mutex<FrameLog>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Frames {
    /// What reaches a node's eth0.
    pub fn start(node: &str) -> Self {
        Self::start_on(node, "eth0")
    }

    /// What reaches an interface; at a port of the switch, what the node behind it sends.
    pub fn start_on(node: &str, interface: &str) -> Self {
        const ALL: u16 = 0x0003;
        let seen = Arc::new(Mutex::new(FrameLog::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let (ready, started) = std::sync::mpsc::channel();
        let (into, end, interface) = (seen.clone(), stop.clone(), interface.to_owned());
        let thread = in_node(node, move || {
            let protocol = Protocol::from(i32::from(ALL.to_be()));
            let socket = Socket::new(Domain::PACKET, Type::RAW, Some(protocol)).expect("packet socket");
            socket.set_read_timeout(Some(Duration::from_millis(20))).expect("timeout");
            let _ = socket.set_recv_buffer_size(16 << 20);
            let index = nix::net::if_::if_nametoindex(interface.as_str()).expect("interface") as usize;
            ready.send(()).expect("ready");
            let mut buffer = [0; 2048];
            while !end.load(Ordering::Relaxed) {
                let Ok((n, Some(from))) = recvfrom::<LinkAddr>(socket.as_raw_fd(), &mut buffer) else {
                    continue;
                };
                let outgoing = i32::from(from.pkttype()) == i32::from(nix::libc::PACKET_OUTGOING);
                if from.ifindex() == index && !outgoing {
                    into.lock().expect("lock").0.push(buffer[..n].to_vec());
                }
            }
        });
        started.recv().expect("capture starts");
        Frames { seen, stop, thread: Some(thread) }
    }

    pub fn so_far(&self) -> FrameLog {
        self.seen.lock().expect("lock").clone()
    }

    pub fn stop(mut self) -> FrameLog {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(t) = self.thread.take() {
            t.join().expect("capture thread");
        }
        self.so_far()
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
