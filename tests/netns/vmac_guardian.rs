//! The daemon dies with a virtual MAC up, or with addresses that accept nothing: its guardian leaves in its place.

use crate::lab::daemon::Tandemd;
use crate::lab::frames::Frames;
use crate::lab::ping::Pinger;
use crate::lab::{Lab, VIP, isolated, run, secs, try_run, wait_until};
use crate::simple;
use nix::sys::signal::{Signal, kill};

const MAC: &str = "00:00:5e:00:01:33";
const BOTH: &str = "use_vmac = true\naccept = false\nnopreempt = true\n";

fn ruleset(node: &str) -> String {
    run(&format!("ip netns exec {node} nft list ruleset"))
}

#[test]
fn a_successor_with_the_same_mac_is_heard_and_everything_goes() {
    isolated("vmac_guardian::a_successor_with_the_same_mac_is_heard_and_everything_goes", || {
        let lab = Lab::new();
        let a = Tandemd::start(&lab, "a", &simple("a", 200, BOTH));
        lab.wait_holder("a", VIP, secs(3));
        let b = Tandemd::start(&lab, "b", &simple("b", 100, BOTH));
        b.wait_state("web", "BACKUP", secs(3));
        let frames = Frames::start("c");
        let daemon = a.process.worker();
        kill(daemon, Signal::SIGKILL).unwrap();
        b.wait_state("web", "MASTER", secs(2));
        wait_until(secs(2), "the address is gone", || !lab.has("a", VIP));
        wait_until(secs(5), "it runs again", || {
            a.process.worker() != daemon && a.adm("status").status.success()
        });
        a.wait_state("web", "BACKUP", secs(2));
        wait_until(secs(2), "no table is left", || ruleset("a").is_empty());
        assert!(!run("ip -n a -o link show vrrp.51").contains("LOWER_UP"), "a BACKUP's is down");
        let zero = || frames.so_far().adverts().into_iter().filter(|x| x.2 == 0).collect::<Vec<_>>();
        wait_until(secs(2), "priority 0 has come", || !zero().is_empty());
        assert_eq!(zero(), [(MAC.to_owned(), "192.0.2.1".to_owned(), 0)]);
        assert_eq!(b.state("web"), "MASTER");
    });
}

#[test]
fn with_nobody_else_it_goes_on_with_its_mac_and_its_filter() {
    isolated("vmac_guardian::with_nobody_else_it_goes_on_with_its_mac_and_its_filter", || {
        let lab = Lab::new();
        let before = run("ip netns exec a sysctl -a --pattern ^net.ipv4.conf");
        let mut a = Tandemd::start(&lab, "a", &simple("a", 200, "use_vmac = true\n"));
        lab.wait_holder("a", VIP, secs(3));
        lab.touch(VIP);
        let index = run("ip netns exec a cat /sys/class/net/vrrp.51/ifindex");
        let ping = Pinger::start(VIP);
        let crash = |a: &Tandemd| {
            let daemon = a.process.worker();
            kill(daemon, Signal::SIGKILL).unwrap();
            wait_until(secs(5), "it runs again", || {
                a.process.worker() != daemon && a.adm("status").status.success()
            });
            a.wait_state("web", "MASTER", secs(1));
        };
        crash(&a);
        let outage = ping.outage_ms();
        assert!(outage < 500.0, "clients waited {outage} ms");
        assert_eq!(run("ip netns exec a cat /sys/class/net/vrrp.51/ifindex"), index, "the same interface");
        assert_eq!(lab.neighbour(VIP).as_deref(), Some(MAC));
        // With a filter: no packet slips in meanwhile.
        a.reload(&simple("a", 200, "use_vmac = true\naccept = false\n"));
        wait_until(secs(2), "the table is there", || ruleset("a").contains(VIP));
        let mut child = std::process::Command::new("ip")
            .args(["netns", "exec", "c", "ping", "-n", "-c", "500", "-i", "0.002", "-W", "1", VIP])
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        crash(&a);
        assert_eq!(child.wait().unwrap().code(), Some(1), "some were answered");
        assert!(lab.has("a", VIP) && ruleset("a").contains(VIP));
        // Nothing of all this is forgotten at the stop.
        a.process.stop();
        assert!(!try_run("ip -n a link show vrrp.51").status.success());
        assert_eq!(ruleset("a"), "");
        assert_eq!(run("ip netns exec a sysctl -a --pattern ^net.ipv4.conf"), before);
    });
}
