use crate::lab::daemon::Tandemd;
use crate::lab::{Lab, VIP, isolated, run, secs, sleep, wait_until};
use crate::{simple, simple6};

fn pair(lab: &Lab) -> (Tandemd, Tandemd) {
    let b = Tandemd::start(lab, "b", &simple("b", 100, ""));
    let a = Tandemd::start(lab, "a", &simple("a", 200, ""));
    lab.wait_holder("a", VIP, secs(3));
    (a, b)
}

fn reason(t: &Tandemd) -> String {
    t.instance("web")["reason"].as_str().unwrap().to_owned()
}

#[test]
fn link_down_is_a_fault_and_heals() {
    isolated("faults::link_down_is_a_fault_and_heals", || {
        let lab = Lab::new();
        let (a, _b) = pair(&lab);
        lab.link("a", "down");
        a.wait_state("web", "FAULT", secs(1));
        assert_eq!(reason(&a), "interface eth0 is down");
        lab.wait_holder("b", VIP, secs(2));
        lab.link("a", "up");
        run("ip -n a addr replace fe80::1/64 dev eth0 nodad");
        lab.wait_holder("a", VIP, secs(3));
    });
}

#[test]
fn a_lost_carrier_is_a_fault_and_heals() {
    isolated("faults::a_lost_carrier_is_a_fault_and_heals", || {
        let lab = Lab::new();
        let (a, _b) = pair(&lab);
        run("ip -n sw link set pa down");
        a.wait_state("web", "FAULT", secs(2));
        assert_eq!(reason(&a), "interface eth0 has no carrier");
        lab.wait_holder("b", VIP, secs(2));
        run("ip -n sw link set pa up");
        lab.wait_holder("a", VIP, secs(3));
    });
}

#[test]
fn a_vanishing_interface_is_a_fault_and_comes_back() {
    isolated("faults::a_vanishing_interface_is_a_fault_and_comes_back", || {
        let lab = Lab::new();
        let (a, _b) = pair(&lab);
        lab.delete_interface("a");
        a.wait_state("web", "FAULT", secs(1));
        assert_eq!(reason(&a), "interface eth0 does not exist");
        wait_until(secs(2), "b takes over", || lab.has("b", VIP));
        lab.restore_interface("a");
        lab.wait_holder("a", VIP, secs(3));
        lab.touch(VIP);
        lab.assert_points_at(VIP, "a");
    });
}

#[test]
fn an_interface_may_be_missing_at_the_start() {
    isolated("faults::an_interface_may_be_missing_at_the_start", || {
        let lab = Lab::new();
        lab.delete_interface("a");
        let a = Tandemd::start(&lab, "a", &simple("a", 200, ""));
        assert_eq!(a.state("web"), "FAULT");
        lab.restore_interface("a");
        lab.wait_holder("a", VIP, secs(3));
    });
}

#[test]
fn a_renamed_interface_is_a_fault_that_says_so_and_leaves_no_address() {
    isolated("faults::a_renamed_interface_is_a_fault_that_says_so_and_leaves_no_address", || {
        let lab = Lab::new();
        let (a, _b) = pair(&lab);
        run("ip -n a link set eth0 name wan0");
        a.wait_state("web", "FAULT", secs(1));
        assert_eq!(reason(&a), "interface eth0 was renamed to wan0");
        lab.wait_holder("b", VIP, secs(2));
        run("ip -n a link set wan0 name eth0");
        lab.wait_holder("a", VIP, secs(3));
    });
}

#[test]
fn a_lost_source_address_is_a_fault() {
    isolated("faults::a_lost_source_address_is_a_fault", || {
        let lab = Lab::new();
        let (a, _b) = pair(&lab);
        run("ip -n a addr del 192.0.2.1/24 dev eth0");
        a.wait_state("web", "FAULT", secs(1));
        assert_eq!(reason(&a), "eth0 has no IPv4 address of its own");
        lab.wait_holder("b", VIP, secs(2));
        run("ip -n a addr add 192.0.2.1/24 dev eth0");
        lab.wait_holder("a", VIP, secs(3));
    });
}

#[test]
fn ipv6_without_a_link_local_address_waits_for_one() {
    isolated("faults::ipv6_without_a_link_local_address_waits_for_one", || {
        let lab = Lab::new();
        run("ip -n a addr del fe80::1/64 dev eth0");
        let a = Tandemd::start(&lab, "a", &simple6("a", 200, ""));
        assert_eq!(a.state("web"), "FAULT");
        assert!(reason(&a).contains("eth0 has no IPv6 link-local address"), "{}", reason(&a));
        run("ip -n a addr add fe80::1/64 dev eth0 nodad");
        a.wait_state("web", "MASTER", secs(3));
    });
}

#[test]
fn the_interface_of_an_address_counts_as_well() {
    isolated("faults::the_interface_of_an_address_counts_as_well", || {
        let lab = Lab::new();
        lab.add_eth1();
        let more = "virtual_ipaddress_excluded = [\"198.51.100.100/24 dev eth1 label eth1:v\"]";
        let _b = Tandemd::start(&lab, "b", &simple("b", 100, more));
        let a = Tandemd::start(&lab, "a", &simple("a", 200, more));
        lab.wait_holder("a", "198.51.100.100", secs(3));
        let line = lab.addresses("a");
        assert!(line.lines().any(|l| l.contains("198.51.100.100/24") && l.contains("eth1:v")), "{line}");
        run("ip -n a link set eth1 down");
        a.wait_state("web", "FAULT", secs(1));
        assert_eq!(reason(&a), "interface eth1 is down (needed for 198.51.100.100/24)");
        lab.wait_holder("b", VIP, secs(2));
        lab.wait_holder("b", "198.51.100.100", secs(1));
        run("ip -n a link set eth1 up");
        lab.wait_holder("a", "198.51.100.100", secs(3));
    });
}

#[test]
fn several_daemons_on_one_machine_and_never_two_in_one_run_directory() {
    isolated("faults::several_daemons_on_one_machine_and_never_two_in_one_run_directory", || {
        let lab = Lab::new();
        let first = Tandemd::start(&lab, "a", &simple("a", 200, ""));
        let mut second = Tandemd::launch(&lab, "a", &simple("a", 200, ""));
        assert_eq!(second.process.wait(), Some(73), "{}", second.process.log());
        assert!(second.process.log().contains("another tandemd runs with this run directory"));
        sleep(100);
        assert!(first.adm("status").status.success(), "the first one is not harmed");
    });
}
