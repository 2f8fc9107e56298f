//! Namespaces, virtual cables, and ways to put frames on them and to see what is on them.

use etherparse::{IpFragOffset, IpHeaders, IpNumber, Ipv4Header, Ipv6Header, PacketBuilder};
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::socket::{AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType};
use socket2::SockFilter;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tandemd::net::clock;
use tandemd::net::interface::Link;
use tandemd::net::netlink::Netlink;
use tandemd::net::packet_socket::{FramesSent, PacketSocket};
use tandemd::net::vrrp_socket::{ReceiveBatch, VrrpSocket};

const INSIDE: &str = "TANDEM_NETNS";

/// Runs `body` in a network namespace of its own: this test binary again, with this one test, under unshare(1).
/// `name` is the test's full name.
pub(crate) fn in_namespace(name: &str, body: fn()) {
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let flags = if nix::unistd::geteuid().is_root() { "-n" } else { "-Urnm" };
    let output = Command::new("unshare")
        .arg(flags)
        .arg(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare(1) of util-linux is needed");
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{text}");
    assert!(output.status.success(), "{name} failed in its namespace");
    // A wrong name would run no test and succeed.
    assert!(text.contains("1 passed"), "{name} is not the name of a test");
}

/// Runs a command, words separated by spaces, and returns what it prints.
pub(crate) fn run(command: &str) -> String {
    let mut words = command.split_whitespace();
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A pair of Ethernet interfaces, both up, whatever is sent on one arrives at the other. No addresses but what
/// is added, and no router or duplicate address detection packets of the kernel's own in between.
pub(crate) fn cable(a: &str, b: &str) -> (Link, Link) {
    run(&format!("ip link add {a} type veth peer name {b}"));
    for name in [a, b] {
        std::fs::write(format!("/proc/sys/net/ipv6/conf/{name}/addr_gen_mode"), "1").unwrap();
        run(&format!("ip link set {name} up"));
    }
    (link_when(a, |l| l.running), link_when(b, |l| l.running))
}

/// The interface with this name.
pub(crate) fn link(name: &str) -> Link {
    let links = Netlink::open().unwrap().links().unwrap();
    links.into_iter().find(|l| l.name == name).unwrap_or_else(|| panic!("no interface {name}"))
}

/// The interface with this name once it is `ready`: the kernel's link watcher sets IFF_RUNNING in its own time.
pub(crate) fn link_when(name: &str, ready: impl Fn(&Link) -> bool) -> Link {
    wait_until("the link watcher", || ready(&link(name)));
    link(name)
}

/// A second network namespace, held by a process that is killed with it.
pub(crate) struct Neighbour(Child);

impl Neighbour {
    /// A namespace with the interface `name` of this one moved into it and set up.
    pub(crate) fn with(name: &str) -> Self {
        let child = Command::new("unshare")
            .args(["-n", "sleep", "60"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let neighbour = Neighbour(child);
        let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
        let own = namespace("self");
        wait_until("the second namespace", || {
            namespace(&neighbour.0.id().to_string()).is_some_and(|n| Some(n) != own)
        });
        run(&format!("ip link set {name} netns {}", neighbour.0.id()));
        neighbour.run(&format!("ip link set {name} up"));
        neighbour
    }

    /// Runs a command in it.
    pub(crate) fn run(&self, command: &str) -> String {
        run(&format!("nsenter -t {} -n {command}", self.0.id()))
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Waits until `done`, five seconds at most.
pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = clock::now() + Duration::from_secs(5);
    while !done() {
        assert!(clock::now() < deadline, "waited in vain for {what}");
        nix::poll::poll(&mut [], 5u8).unwrap();
    }
}

/// Whether there is something to read within this time.
pub(crate) fn readable(fd: impl AsFd, milliseconds: u16) -> bool {
    let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    nix::poll::poll(&mut fds, PollTimeout::from(milliseconds)).unwrap() == 1
}

/// A received packet, kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Kept {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) hop_limit: u8,
    pub(crate) payload: Vec<u8>,
    pub(crate) cut: bool,
    pub(crate) oversize: bool,
}

/// Everything that comes until the socket is quiet for 100 ms.
pub(crate) fn receive_all(socket: &VrrpSocket) -> Vec<Kept> {
    let mut batch = ReceiveBatch::new();
    let mut all = Vec::new();
    while readable(socket, 100) {
        let limit = batch.capacity();
        let count = socket.receive(&mut batch, limit).unwrap();
        assert_eq!(batch.iter().count(), count);
        all.extend(batch.iter().map(|d| Kept {
            source: d.source,
            destination: d.destination,
            hop_limit: d.hop_limit,
            payload: d.payload.to_vec(),
            cut: d.truncated_by_filter,
            oversize: d.oversize,
        }));
    }
    all
}

/// Puts frames on the interface, so that they arrive at the other end.
pub(crate) fn inject(on: &Link, frames: &[Vec<u8>]) {
    let frames: Vec<(u32, &[u8])> = frames.iter().map(|f| (on.ifindex, f.as_slice())).collect();
    let sent = PacketSocket::open().unwrap().send(&frames);
    assert_eq!(sent, FramesSent { taken: frames.len(), failed: 0, first_error: None });
}

/// What differs between the packets of the tests.
#[derive(Clone, Copy)]
pub(crate) struct Packet {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) hop_limit: u8,
    pub(crate) protocol: u8,
    pub(crate) payload: &'static [u8],
}

impl Packet {
    /// An Ethernet frame to `mac`, or to the group's address.
    pub(crate) fn frame(&self, mac: [u8; 6]) -> Vec<u8> {
        let len = self.payload.len() as u16;
        let (ip, to) = match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let octets = destination.octets();
                let mut header =
                    Ipv4Header::new(len, self.hop_limit, IpNumber(self.protocol), source.octets(), octets)
                        .unwrap();
                header.fragment_offset = IpFragOffset::ZERO;
                let group = [1, 0, 0x5e, octets[1] & 0x7f, octets[2], octets[3]];
                let to = if destination.is_multicast() { group } else { mac };
                (IpHeaders::Ipv4(header, Default::default()), to)
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let octets = destination.octets();
                let header = Ipv6Header {
                    payload_length: len,
                    next_header: IpNumber(self.protocol),
                    hop_limit: self.hop_limit,
                    source: source.octets(),
                    destination: octets,
                    ..Default::default()
                };
                let group = [0x33, 0x33, octets[12], octets[13], octets[14], octets[15]];
                let to = if destination.is_multicast() { group } else { mac };
                (IpHeaders::Ipv6(header, Default::default()), to)
            }
            _ => panic!("two families in one packet"),
        };
        let mut frame = Vec::new();
        PacketBuilder::ethernet2([2, 0, 0, 0, 0, 0x77], to)
            .ip(ip)
            .write(&mut frame, IpNumber(self.protocol), self.payload)
            .unwrap();
        frame
    }
}

/// Sees every frame that arrives on an interface.
pub(crate) struct Capture {
    fd: OwnedFd,
    ifindex: u32,
}

impl Capture {
    pub(crate) fn on(link: &Link) -> Self {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let fd = nix::sys::socket::socket(AddressFamily::Packet, SockType::Raw, flags, SockProtocol::EthAll)
            .unwrap();
        // Only what passes this interface, so that the default buffer is enough: load its index, compare.
        let load = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
        let equal = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
        let give = (libc::BPF_RET | libc::BPF_K) as u16;
        let filter = [
            SockFilter::new(load, 0, 0, (libc::SKF_AD_OFF + libc::SKF_AD_IFINDEX) as u32),
            SockFilter::new(equal, 0, 1, link.ifindex),
            SockFilter::new(give, 0, 0, u32::MAX),
            SockFilter::new(give, 0, 0, 0),
        ];
        socket2::SockRef::from(&fd).attach_filter(&filter).unwrap();
        Capture { fd, ifindex: link.ifindex }
    }

    /// The frames of this Ethernet type until it is quiet for 100 ms.
    pub(crate) fn frames(&self, ether_type: u16) -> Vec<Vec<u8>> {
        use std::os::fd::AsRawFd;
        let mut frames = Vec::new();
        let mut buffer = [0; 65536];
        while readable(&self.fd, 100) {
            let (len, from) =
                nix::sys::socket::recvfrom::<LinkAddr>(self.fd.as_raw_fd(), &mut buffer).unwrap();
            let here = from.is_some_and(|f| f.ifindex() == self.ifindex as usize);
            if here && buffer[12..14] == ether_type.to_be_bytes() {
                frames.push(buffer[..len].to_vec());
            }
        }
        frames
    }
}

/// 192.0.2.LAST
pub(crate) fn v4(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, last))
}

/// Any address, written out.
pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// fe80::LAST
pub(crate) fn link_local(last: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, last))
}
