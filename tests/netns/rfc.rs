//! What RFC 9568 asks of the machine as a whole, and the kernel does most of: groups, who answers, what is relayed.

use crate::lab::capture::{Capture, in_node};
use crate::lab::daemon::Tandemd;
use crate::lab::inject::{Raw, send, with_checksum};
use crate::lab::{Lab, VIP, VIP6, isolated, run, secs, sleep, try_run, wait_until};
use crate::{simple, simple6};
use nix::sys::socket::{LinkAddr, recvfrom};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tandemd::net::frame::unsolicited_na;
use tandemd::net::packet_socket::PacketSocket;

/// Whole frames as they pass an interface of a node.
struct Frames {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Vec<u8>>>,
}

impl Frames {
    fn at(node: &str, interface: &'static str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let end = stop.clone();
        let (ready, started) = std::sync::mpsc::channel();
        let thread = in_node(node, move || {
            let index = nix::net::if_::if_nametoindex(interface).unwrap() as usize;
            let all = Protocol::from(i32::from(0x0003_u16.to_be()));
            let socket = Socket::new(Domain::PACKET, Type::RAW, Some(all)).unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
            let (mut seen, mut buffer) = (Vec::new(), [0; 2048]);
            ready.send(()).unwrap();
            while !end.load(Ordering::Relaxed) {
                if let Ok((n, Some(from))) = recvfrom::<LinkAddr>(socket.as_raw_fd(), &mut buffer)
                    && from.ifindex() == index
                {
                    seen.push(buffer[..n].to_vec());
                }
            }
            seen
        });
        started.recv().unwrap();
        Frames { stop, thread }
    }

    fn stop(self) -> Vec<Vec<u8>> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

fn source_mac(frame: &[u8]) -> String {
    frame[6..12].iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(":")
}

/// ICMPv6 messages of one type, from the first byte of the ICMPv6 header on.
fn icmpv6(frames: &[Vec<u8>], kind: u8) -> Vec<&[u8]> {
    let fits = |f: &&Vec<u8>| f.len() > 54 && f[12..14] == [0x86, 0xdd] && f[20] == 58 && f[54] == kind;
    frames.iter().filter(fits).map(|f| &f[54..]).collect()
}

/// ARP replies that say where `address` is: the MACs in their bodies.
fn arp_replies(frames: &[Vec<u8>], address: [u8; 4]) -> Vec<String> {
    let fits =
        |f: &&Vec<u8>| f.len() >= 42 && f[12..14] == [8, 6] && f[20..22] == [0, 2] && f[28..32] == address;
    let mac = |f: &Vec<u8>| f[22..28].iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(":");
    frames.iter().filter(fits).map(mac).collect()
}

/// `web` over IPv4 and `six` over IPv6, with one VRID.
fn both(node: &str, priority: u8) -> String {
    let six = simple6(node, priority, "").replace("\"web\"", "\"six\"");
    simple(node, priority, "") + &six.replace(&format!("[node]\nname = \"{node}\"\n"), "")
}

fn dual_pair(lab: &Lab) -> (Tandemd, Tandemd) {
    let b = Tandemd::start(lab, "b", &both("b", 100));
    let a = Tandemd::start(lab, "a", &both("a", 200));
    lab.wait_holder("a", VIP, secs(3));
    lab.wait_holder("a", VIP6, secs(3));
    b.wait_state("web", "BACKUP", secs(3));
    b.wait_state("six", "BACKUP", secs(3));
    (a, b)
}

fn is_member(node: &str, group: &str) -> bool {
    run(&format!("ip -n {node} maddress show dev eth0")).split_whitespace().any(|w| w == group)
}

// RFC9568-5.1.1.2-1, 5.1.2.2-1, 6.4.3-2
#[test]
fn both_states_are_in_the_group_and_only_the_active_in_those_of_its_addresses() {
    isolated("rfc::both_states_are_in_the_group_and_only_the_active_in_those_of_its_addresses", || {
        let lab = Lab::new();
        let (mut a, mut b) = dual_pair(&lab);
        // fe80::100 and 2001:db8::100 share a solicited-node group.
        const SOLICITED: &str = "ff02::1:ff00:100";
        for group in ["224.0.0.18", "ff02::12"] {
            assert!(is_member("a", group) && is_member("b", group), "{group}");
        }
        assert!(is_member("a", SOLICITED) && !is_member("b", SOLICITED));
        a.process.stop();
        lab.wait_holder("b", VIP6, secs(2));
        assert!(is_member("b", SOLICITED) && !is_member("a", SOLICITED));
        b.process.stop();
        for group in ["224.0.0.18", "ff02::12", SOLICITED] {
            assert!(!is_member("a", group) && !is_member("b", group), "{group} is left behind");
        }
    });
}

// RFC9568-3-3, 6.4.2-1, 6.4.2-2, 6.4.2-3, 6.4.2-5, 6.4.3-1, 6.4.3-6; RFC3768-6.4.2-1, 6.4.3-1
#[test]
fn the_active_answers_for_the_addresses_and_the_backup_does_nothing() {
    isolated("rfc::the_active_answers_for_the_addresses_and_the_backup_does_nothing", || {
        let lab = Lab::new();
        let (_a, b) = dual_pair(&lab);
        let rises = || b.counter("web", "became_master") + b.counter("six", "became_master");
        let before = rises();
        // What was learned before shall not spare the question.
        run("ip -n c neigh flush dev eth0");
        let (frames, adverts) = (Frames::at("c", "eth0"), Capture::start("c"));
        for (address, v) in [(VIP, "-4"), (VIP6, "-6")] {
            run(&format!("ip netns exec c ping {v} -c 2 -i 0.2 -W 2 {address}"));
            lab.assert_points_at(address, "a");
        }
        sleep(1000);
        let (seen, adverts) = (frames.stop(), adverts.stop().adverts);
        let arp = arp_replies(&seen, [192, 0, 2, 100]);
        assert!(!arp.is_empty() && arp.iter().all(|m| *m == lab.mac("a")), "{arp:?}");
        let target: [u8; 16] = VIP6.parse::<std::net::Ipv6Addr>().unwrap().octets();
        let na: Vec<_> =
            icmpv6(&seen, 136).into_iter().filter(|p| p[4] & 0x40 != 0 && p[8..24] == target).collect();
        assert!(!na.is_empty(), "no solicited neighbour advertisement");
        let advertisers: Vec<_> = seen
            .iter()
            .filter(|f| !icmpv6(std::slice::from_ref(f), 136).is_empty() && f[62..78] == target)
            .map(|f| source_mac(f))
            .collect();
        assert!(advertisers.iter().all(|m| *m == lab.mac("a")), "{advertisers:?}");
        assert_eq!(icmpv6(&seen, 134).len(), 0, "a router advertisement");
        assert!(adverts.len() >= 15, "{} adverts", adverts.len());
        let strange: Vec<_> = adverts.iter().filter(|x| x.source.to_string() == "192.0.2.2").collect();
        assert!(strange.is_empty(), "the BACKUP speaks: {strange:?}");

        // Packets that reach the BACKUP all the same are not taken.
        for (address, v) in [(VIP, "-4"), (VIP6, "-6")] {
            let mac = lab.mac("b");
            run(&format!("ip -n c neigh replace {address} lladdr {mac} dev eth0 nud permanent"));
            let out = try_run(&format!("ip netns exec c ping {v} -c 2 -i 0.2 -W 1 {address}"));
            assert!(!out.status.success(), "the BACKUP answers for {address}");
            let mac = lab.mac("a");
            run(&format!("ip -n c neigh replace {address} lladdr {mac} dev eth0 nud permanent"));
            let to: IpAddr = address.parse().unwrap();
            let connect = in_node("c", move || TcpStream::connect_timeout(&SocketAddr::new(to, 9), secs(2)));
            let error = connect.join().unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "the MASTER does not take TCP: {error}");
        }
        assert_eq!(rises(), before);
    });
}

// RFC9568-6.4.3-3
#[test]
fn an_active_that_forwards_answers_solicitations_with_the_router_flag() {
    isolated("rfc::an_active_that_forwards_answers_solicitations_with_the_router_flag", || {
        let lab = Lab::new();
        lab.exec("a", "sysctl -qw net.ipv6.conf.all.forwarding=1");
        let _a = Tandemd::start(&lab, "a", &simple6("a", 200, ""));
        lab.wait_holder("a", VIP6, secs(3));
        run("ip -n c neigh flush dev eth0");
        lab.touch(VIP6);
        let entry = run(&format!("ip -n c -6 neigh show {VIP6} dev eth0"));
        assert!(entry.contains(&lab.mac("a")) && entry.contains("router"), "{entry}");
    });
}

fn protocol_112(frames: &[Vec<u8>]) -> usize {
    let v4 = |f: &Vec<u8>| f.len() > 34 && f[12..14] == [8, 0] && f[23] == 112;
    let v6 = |f: &Vec<u8>| f.len() > 54 && f[12..14] == [0x86, 0xdd] && f[20] == 112;
    frames.iter().filter(|f| v4(f) || v6(f)).count()
}

// RFC9568-5.1.1.2-2, 5.1.2.2-2, 8.3.1-1; RFC3768-8.4-1
#[test]
fn a_router_relays_neither_adverts_nor_packets_to_its_addresses() {
    isolated("rfc::a_router_relays_neither_adverts_nor_packets_to_its_addresses", || {
        let lab = Lab::new();
        lab.add_eth1();
        lab.exec("a", "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
        let a = Tandemd::start(&lab, "a", &both("a", 200));
        lab.wait_holder("a", VIP, secs(3));
        lab.wait_holder("a", VIP6, secs(3));
        // It does forward: this way goes through a.
        run("ip -n c route add 198.51.100.2/32 via 192.0.2.1");
        let (near, far) = (Frames::at("c", "eth0"), Frames::at("c", "eth1"));
        run("ip netns exec c ping -c 1 -W 2 198.51.100.2");

        let heard = |name: &str| a.counter(name, "adverts_received");
        let before = (heard("web"), heard("six"));
        let v4 = with_checksum(vec![0x31, 51, 1, 1, 0, 10, 0, 0, 192, 0, 2, 100]);
        for ttl in [255, 64, 2] {
            let to = ["224.0.0.18", "ff02::12"];
            let raw = |d: &str| Raw { destination: d.parse().unwrap(), ttl, payload: v4.clone() };
            send("c", to.map(raw).to_vec());
        }
        wait_until(secs(2), "the advertisement with TTL 255 is heard", || heard("web") > before.0);
        // A host route of our own for each address: a packet to it never goes back to the LAN.
        run(&format!("ip netns exec c ping -c 3 -i 0.2 -W 2 {VIP}"));
        run(&format!("ip netns exec c ping -c 3 -i 0.2 -W 2 {VIP6}"));
        let (near, far) = (near.stop(), far.stop());
        assert_eq!(protocol_112(&far), 0, "an advertisement was relayed");
        assert!(protocol_112(&near) > 6);
        let relayed = |f: &&Vec<u8>| {
            let v4 = f.len() > 34 && f[12..14] == [8, 0] && f[23] == 1 && f[30..34] == [192, 0, 2, 100];
            let v6 = f.len() > 54 && f[12..14] == [0x86, 0xdd] && f[20] == 58 && f[54] == 128;
            (v4 || v6) && source_mac(f) == lab.mac("a")
        };
        assert_eq!(near.iter().chain(&far).filter(relayed).count(), 0, "put back on the LAN");
    });
}

// RFC9568-8.2.4-1
#[test]
fn active_and_backup_believe_the_unsolicited_advertisements_of_others() {
    isolated("rfc::active_and_backup_believe_the_unsolicited_advertisements_of_others", || {
        let lab = Lab::new();
        let (_a, _b) = dual_pair(&lab);
        for node in ["a", "b"] {
            let old = "lladdr 02:00:00:00:00:aa dev eth0 nud reachable";
            run(&format!("ip -n {node} neigh replace 2001:db8::77 {old}"));
        }
        let tell = || {
            let sent = in_node("c", || {
                let index = nix::net::if_::if_nametoindex("eth0").unwrap();
                let frame = unsolicited_na([2, 0, 0, 0, 0, 0xbb], "2001:db8::77".parse().unwrap(), false);
                PacketSocket::open().unwrap().send(&[(index, frame.bytes())]).failed
            });
            assert_eq!(sent.join().unwrap(), 0);
        };
        for node in ["a", "b"] {
            wait_until(secs(2), &format!("{node} follows"), || {
                tell();
                run(&format!("ip -n {node} neigh show 2001:db8::77 dev eth0")).contains("02:00:00:00:00:bb")
            });
        }
    });
}

// PRACTICE-13
#[test]
fn a_flood_for_one_router_leaves_another_its_time() {
    isolated("rfc::a_flood_for_one_router_leaves_another_its_time", || {
        let lab = Lab::new();
        let other = |n: u8| {
            format!(
                "[[vrrp_instance]]\nname = \"other\"\ninterface = \"eth0\"\nvirtual_router_id = 52\npriority = {n}\n\
                 advert_int = \"200ms\"\nvirtual_ipaddress = [\"192.0.2.110/24\"]\n"
            )
        };
        let _b = Tandemd::start(&lab, "b", &simple("b", 100, &other(200)));
        let a = Tandemd::start(&lab, "a", &simple("a", 200, &other(100)));
        lab.wait_holder("a", VIP, secs(3));
        a.wait_state("other", "BACKUP", secs(3));
        let changes = a.counter("other", "became_master");
        let claim = with_checksum(vec![0x31, 51, 1, 1, 0, 10, 0, 0, 192, 0, 2, 100]);
        let raw = Raw { destination: "224.0.0.18".parse().unwrap(), ttl: 255, payload: claim };
        for _ in 0..10 {
            send("c", vec![raw.clone(); 10_000]);
        }
        assert!(a.counter("web", "contested") > 0, "the flood was heard");
        assert_eq!(a.counter("other", "became_master"), changes, "the other's master was not heard any more");
        assert_eq!((a.state("web"), a.state("other")), ("MASTER".into(), "BACKUP".into()));
    });
}
