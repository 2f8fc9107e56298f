//! tandemd beside Debian's keepalived, as master and as backup, each failing and returning.
//!
//! Debian's keepalived 2.2 sends version 3 over IPv4 with the pseudo-header in the checksum and accepts nothing
//! else; `v3_checksum = "auto"` finds that out, `"pseudo_header"` knows it. The other form has tandemd itself and
//! hand-made packets as peers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, reason = "a test waits, and measures by the real clock")]

#[path = "../lab/mod.rs"]
mod lab;
mod samples;

use lab::capture::Capture;
use lab::daemon::{Process, Tandemd, keepalived};
use lab::{Lab, VIP, VIP6, isolated, secs, sleep, try_run, wait_until};

/// One way to speak VRRP.
#[derive(Clone, Copy)]
struct Dialect {
    version: u8,
    ipv6: bool,
    unicast: bool,
    /// In milliseconds.
    interval: u64,
    /// Further keys of the tandemd instance.
    tandemd: &'static str,
    /// Further keywords of the keepalived instance.
    keepalived: &'static str,
    /// Both use the virtual MAC.
    vmac: bool,
}

const V3: Dialect = Dialect {
    version: 3,
    ipv6: false,
    unicast: false,
    interval: 100,
    tandemd: "",
    keepalived: "",
    vmac: false,
};
/// The first step towards signatures, which a peer that knows of none does not notice.
const RECEIVE_ONLY: &str = "auth_hmac = { keys = [{ id = 1, ascii = \"0123456789abcdefghijklmnopqrstuvwxyz\" }], \
                            active_key = 1, mode = \"receive-only\" }";
const V2: Dialect = Dialect { version: 2, interval: 1000, ..V3 };

impl Dialect {
    fn address(self) -> &'static str {
        if self.ipv6 { VIP6 } else { VIP }
    }

    fn own(self, node: &str) -> String {
        let n = if node == "a" { 1 } else { 2 };
        if self.ipv6 { format!("fe80::{n}") } else { format!("192.0.2.{n}") }
    }

    fn addresses(self) -> &'static [&'static str] {
        if self.ipv6 { &["fe80::100/64", "2001:db8::100/64"] } else { &["192.0.2.100/24"] }
    }

    fn tandemd(self, node: &str, priority: u8) -> String {
        let peer = if node == "a" { "b" } else { "a" };
        let unicast = if self.unicast {
            format!("unicast_src_ip = \"{}\"\nunicast_peer = [\"{}\"]\n", self.own(node), self.own(peer))
        } else {
            String::new()
        };
        format!(
            "[node]\nname = \"{node}\"\n[[vrrp_instance]]\nname = \"web\"\ninterface = \"eth0\"\nversion = {}\n\
             virtual_router_id = 51\npriority = {priority}\nadvert_int = \"{}ms\"\nvirtual_ipaddress = {:?}\n{unicast}{}\n",
            self.version,
            self.interval,
            self.addresses(),
            self.tandemd
        )
    }

    fn keepalived(self, node: &str, priority: u8) -> String {
        let peer = if node == "a" { "b" } else { "a" };
        let unicast = if self.unicast {
            format!(" unicast_src_ip {}\n unicast_peer {{\n  {}\n }}\n", self.own(node), self.own(peer))
        } else {
            String::new()
        };
        format!(
            "global_defs {{\n router_id {node}\n}}\nvrrp_instance web {{\n interface eth0\n state BACKUP\n version {}\n \
             virtual_router_id 51\n priority {priority}\n advert_int {}\n{unicast} {}\n virtual_ipaddress {{\n  {}\n }}\n}}\n",
            self.version,
            self.interval as f64 / 1000.0,
            self.keepalived,
            self.addresses().join("\n  ")
        )
    }

    /// Waits until c's packets to the address reach the node.
    fn wait_points_at(self, lab: &Lab, node: &str) {
        let address = self.address();
        if !self.vmac {
            return lab.assert_points_at(address, node);
        }
        // The MAC is the same on both: the switch knows where it is.
        let mac = if self.ipv6 { "00:00:5e:00:02:33" } else { "00:00:5e:00:01:33" };
        wait_until(secs(3), &format!("the virtual MAC is at {node}"), || {
            let table = lab::run("ip netns exec sw bridge fdb show br br0");
            let line = table.lines().find(|l| l.starts_with(mac)).unwrap_or_default();
            line.contains(&format!("dev p{node} "))
        });
        // keepalived's own questions for c name the address with its physical MAC, so c learns that from it.
        if node == "a" {
            assert_eq!(lab.neighbour(address).as_deref(), Some(mac));
        }
        let v6 = if self.ipv6 { "-6" } else { "-4" };
        let ping = try_run(&format!("ip netns exec c ping {v6} -c 2 -i 0.1 -W 1 {address}"));
        assert!(ping.status.success(), "{}", String::from_utf8_lossy(&ping.stdout));
    }

    /// Longest time until silence counts, with room for a busy machine.
    fn down(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.interval * 4 + 1500)
    }
}

/// The peer, with its parent process.
struct Keepalived(Process);

impl Keepalived {
    fn start(lab: &Lab, node: &str, d: Dialect, priority: u8) -> Self {
        Keepalived(keepalived(lab, node, &d.keepalived(node, priority)))
    }

    fn die(mut self) {
        // In this process namespace there is no other.
        try_run("pkill -9 -x keepalived");
        self.0.wait();
    }
}

/// tandemd owns the address, fails, returns, stops; keepalived fills in each time.
fn tandemd_is_the_better(d: Dialect) {
    let lab = Lab::new();
    let address = d.address();
    let _k = Keepalived::start(&lab, "b", d, 100);
    lab.wait_holder("b", address, d.down() + secs(2));
    let mut t = Tandemd::start(&lab, "a", &d.tandemd("a", 200));
    lab.wait_holder("a", address, d.down() + secs(2));
    lab.touch(address);
    d.wait_points_at(&lab, "a");
    // Once settled there is one master: neither hears the other claim.
    sleep(d.interval * 2);
    let contested = t.counter("web", "contested");
    sleep(d.interval * 4);
    assert_eq!(t.counter("web", "contested"), contested, "keepalived does not accept what tandemd sends");
    assert_eq!(t.state("web"), "MASTER");

    lab.cut("a");
    t.process.kill9();
    wait_until(d.down(), "keepalived takes over", || lab.has("b", address));
    lab.heal("a");
    let mut t = Tandemd::start(&lab, "a", &d.tandemd("a", 200));
    lab.wait_holder("a", address, d.down() + secs(2));
    lab.touch(address);
    d.wait_points_at(&lab, "a");

    t.process.stop();
    lab.wait_holder("b", address, std::time::Duration::from_millis(d.interval + 1500));
    d.wait_points_at(&lab, "b");
}

/// keepalived owns the address, fails, returns, stops; tandemd fills in each time.
fn keepalived_is_the_better(d: Dialect) {
    let lab = Lab::new();
    let address = d.address();
    let t = Tandemd::start(&lab, "a", &d.tandemd("a", 100));
    lab.wait_holder("a", address, d.down() + secs(2));
    let k = Keepalived::start(&lab, "b", d, 200);
    lab.wait_holder("b", address, d.down() + secs(4));
    lab.touch(address);
    d.wait_points_at(&lab, "b");
    assert_eq!(t.instance("web")["master"].as_str(), Some(d.own("b").as_str()));

    lab.cut("b");
    k.die();
    t.wait_state("web", "MASTER", d.down());
    d.wait_points_at(&lab, "a");
    lab.heal("b");
    let k = Keepalived::start(&lab, "b", d, 200);
    lab.wait_holder("b", address, d.down() + secs(4));
    d.wait_points_at(&lab, "b");
    t.wait_state("web", "BACKUP", secs(1));

    let mut k = k;
    k.0.stop();
    lab.wait_holder("a", address, std::time::Duration::from_millis(d.interval + 1500));
    d.wait_points_at(&lab, "a");
    let why = t.instance("web")["reason"].as_str().unwrap().to_owned();
    assert!(why.contains("gave up (priority 0)"), "{why}");
}

macro_rules! both_ways {
    ($name:ident, $dialect:expr) => {
        mod $name {
            use super::*;

            #[test]
            fn tandemd_as_master() {
                isolated(concat!(stringify!($name), "::tandemd_as_master"), || {
                    tandemd_is_the_better($dialect)
                });
            }

            #[test]
            fn tandemd_as_backup() {
                isolated(concat!(stringify!($name), "::tandemd_as_backup"), || {
                    keepalived_is_the_better($dialect)
                });
            }
        }
    };
}

both_ways!(v2, V2);
both_ways!(
    v2_with_password,
    Dialect {
        tandemd: "auth_pass = \"secret\"",
        keepalived: "authentication {\n auth_type PASS\n auth_pass secret\n }",
        ..V2
    }
);
both_ways!(v2_unicast, Dialect { unicast: true, ..V2 });
both_ways!(v3_auto_checksum, V3);
both_ways!(v3_pseudo_header_checksum, Dialect { tandemd: "v3_checksum = \"pseudo_header\"", ..V3 });
both_ways!(v3_unicast, Dialect { unicast: true, ..V3 });
both_ways!(v3_ipv6, Dialect { ipv6: true, ..V3 });
both_ways!(v3_ipv6_unicast, Dialect { ipv6: true, unicast: true, ..V3 });
both_ways!(v3_before_it_signs, Dialect { tandemd: RECEIVE_ONLY, ..V3 });
both_ways!(v2_vmac, Dialect { vmac: true, tandemd: "use_vmac = true", keepalived: "use_vmac", ..V2 });
both_ways!(v3_vmac, Dialect { vmac: true, tandemd: "use_vmac = true", keepalived: "use_vmac", ..V3 });
both_ways!(
    v3_ipv6_vmac,
    Dialect { vmac: true, ipv6: true, tandemd: "use_vmac = true", keepalived: "use_vmac", ..V3 }
);
both_ways!(v3_at_10_ms, Dialect { interval: 10, ..V3 });

/// The other form: what RFC 9568 says, with a peer that uses nothing else.
#[test]
fn v3_rfc9568_checksum_between_tandemds() {
    isolated("v3_rfc9568_checksum_between_tandemds", || {
        let lab = Lab::new();
        let d = Dialect { tandemd: "v3_checksum = \"rfc9568\"", ..V3 };
        let capture = Capture::start("c");
        let b = Tandemd::start(&lab, "b", &d.tandemd("b", 100));
        let mut a = Tandemd::start(&lab, "a", &V3.tandemd("a", 200));
        lab.wait_holder("a", VIP, secs(3));
        sleep(500);
        assert_eq!(b.state("web"), "BACKUP");
        a.process.stop();
        lab.wait_holder("b", VIP, secs(2));
        for advert in capture.stop().adverts {
            let sum = pnet_packet::util::checksum(&advert.payload, 3);
            assert_eq!(sum.to_be_bytes(), advert.payload[6..8], "message only: {advert:?}");
        }
    });
}

/// The commonest slip of a migration: keepalived speaks version 2 unless told otherwise.
#[test]
fn a_version_mismatch_is_named() {
    isolated("a_version_mismatch_is_named", || {
        let lab = Lab::new();
        let _k = Keepalived::start(&lab, "b", V2, 100);
        let t = Tandemd::start(&lab, "a", &V3.tandemd("a", 200));
        wait_until(secs(6), "the difference is counted", || t.counter("web", "version_errors") > 0);
        let log = t.process.log();
        assert!(log.contains("discarded a packet from 192.0.2.2: VRRP version 2, expected 3"), "{log}");
    });
}

/// A keepalived without `auth_hmac` drops what is signed, by its length; the way to find that out is tandemd's log.
#[test]
fn a_peer_that_knows_no_signatures_is_named() {
    isolated("a_peer_that_knows_no_signatures_is_named", || {
        let lab = Lab::new();
        let k = Keepalived::start(&lab, "b", V3, 100);
        lab.wait_holder("b", VIP, secs(6));
        let text = Dialect { tandemd: RECEIVE_ONLY, ..V3 }.tandemd("a", 200);
        let t = Tandemd::start(&lab, "a", &text.replace("receive-only", "enforce"));
        wait_until(secs(6), "what keepalived sends is refused", || {
            t.counter("web", "auth_missing_errors") > 0
        });
        wait_until(secs(2), "tandemd says why", || {
            t.process.log().contains("the peer does not use auth_hmac, which this instance enforces")
        });
        // It sends little itself while it is busy with refusing.
        wait_until(secs(6), "keepalived refuses it too", || k.0.log().contains("vrrp packet too long"));
    });
}
