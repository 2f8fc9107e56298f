//! Announcements of several instances and interfaces leave one by one, and keep nothing waiting.

use crate::lab::capture::{Announcement, Capture};
use crate::lab::daemon::Tandemd;
use crate::lab::{Lab, isolated, secs, wait_until};
use std::time::Duration;

const ARP: Duration = Duration::from_millis(20);
const NA: Duration = Duration::from_millis(40);
const EACH: usize = 15;
const COPIES: usize = 2;

fn instance(name: &str, interface: &str, vrid: u8, addresses: &[String]) -> String {
    let list: Vec<_> = addresses.iter().map(|a| format!("\"{a}\"")).collect();
    format!(
        "[[vrrp_instance]]\nname = \"{name}\"\ninterface = \"{interface}\"\nvirtual_router_id = {vrid}\n\
         priority = 200\nadvert_int = \"100ms\"\ngarp_master_repeat = {COPIES}\ngarp_master_delay = 0\n\
         virtual_ipaddress = [{}]\n",
        list.join(", ")
    )
}

fn config() -> String {
    let four = |net: &str| (101..101 + EACH).map(|n| format!("{net}.{n}/24")).collect::<Vec<_>>();
    let six: Vec<_> = (1..=5).map(|n| format!("fe80::f{n}/64")).collect();
    let group = "[[garp_group]]\nname = \"switch\"\ninterfaces = [\"eth0\", \"eth1\"]\n";
    format!(
        "[node]\nname = \"a\"\n\n{}{}{}{group}garp_interval = \"20ms\"\ngna_interval = \"40ms\"\n",
        instance("web", "eth0", 51, &four("192.0.2")),
        instance("lan", "eth1", 52, &four("198.51.100")),
        instance("six", "eth0", 53, &six),
    )
}

/// They took as long as one an interval takes. When the watcher is kept from running, it sees some together, but
/// neither all nor most.
fn assert_paced(all: &[Announcement], interval: Duration) {
    let took = all[all.len() - 1].at - all[0].at;
    let least = interval * u32::try_from(all.len() - 1).unwrap();
    assert!(took + Duration::from_millis(100) >= least, "{} in {took:?}, not {least:?}", all.len());
    let apart = all.windows(2).filter(|w| w[1].at - w[0].at >= interval / 2).count();
    assert!(apart * 10 >= (all.len() - 1) * 8, "only {apart} of {} gaps", all.len() - 1);
}

#[test]
fn announcements_of_a_group_leave_one_by_one_and_advertisements_do_not_wait() {
    isolated("pacing::announcements_of_a_group_leave_one_by_one_and_advertisements_do_not_wait", || {
        let lab = Lab::new();
        lab.add_eth1();
        let capture = Capture::start("c");
        let a = Tandemd::start(&lab, "a", &config());
        let ours = |v6: bool| -> Vec<Announcement> {
            let virtual_one = |a: &&Announcement| match a.address {
                std::net::IpAddr::V4(x) => !v6 && x.octets()[3] > 100,
                std::net::IpAddr::V6(x) => v6 && x.segments()[7] >= 0xf1,
            };
            capture.so_far().announcements.iter().filter(virtual_one).cloned().collect()
        };
        let (arps, nas) = (2 * EACH * COPIES, 5 * COPIES);
        wait_until(secs(15), "all copies of all addresses", || {
            ours(false).len() >= arps && ours(true).len() >= nas
        });
        let out = a.adm("stats --json");
        let stats: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
        assert_eq!(stats["daemon"]["announcements_waiting"], 0);
        let (four, six) = (ours(false), ours(true));
        assert_eq!((four.len(), six.len()), (arps, nas), "each copy once");
        assert_paced(&four, ARP);
        assert_paced(&six, NA);
        for address in ["192.0.2.101", "192.0.2.115", "198.51.100.101", "198.51.100.115", "fe80::f5"] {
            assert_eq!(capture.so_far().announced(address).len(), COPIES, "{address}");
        }
        // Meanwhile advertisements went out as always.
        let (first, last) = (four[0].at, four[arps - 1].at);
        let adverts = capture.stop().adverts_from("192.0.2.1");
        let meanwhile = adverts.iter().filter(|x| x.vrid == 51 && x.at >= first && x.at <= last).count();
        assert!(meanwhile >= 8, "{meanwhile} advertisements in {:?}", last - first);
    });
}
