use crate::lab::capture::Capture;
use crate::lab::daemon::Tandemd;
use crate::lab::{Lab, VIP, isolated, isolated_alone, run, secs, sleep, wait_until};
use crate::{config, simple};

#[test]
fn a_stripped_address_is_put_back_announced_and_reported() {
    isolated("addresses::a_stripped_address_is_put_back_announced_and_reported", || {
        let lab = Lab::new();
        let a = Tandemd::start(&lab, "a", &simple("a", 200, ""));
        lab.wait_holder("a", VIP, secs(3));
        let capture = Capture::start("c");
        run("ip -n a addr del 192.0.2.100/24 dev eth0");
        wait_until(secs(1), "it is back", || lab.has("a", VIP));
        wait_until(secs(1), "it is announced", || !capture.so_far().announced(VIP).is_empty());
        assert_eq!(a.state("web"), "MASTER", "nothing moves");
        assert_eq!(a.counter("web", "addresses_restored"), 1);
        let log = a.process.log();
        assert!(log.contains("something else removed 192.0.2.100/24 on eth0: put back"), "{log}");
    });
}

#[test]
fn a_fight_about_an_address_stays_bounded() {
    isolated("addresses::a_fight_about_an_address_stays_bounded", || {
        let lab = Lab::new();
        let a = Tandemd::start(&lab, "a", &simple("a", 200, ""));
        lab.wait_holder("a", VIP, secs(3));
        let end = std::time::Instant::now() + secs(3);
        while std::time::Instant::now() < end {
            crate::lab::try_run("ip -n a addr del 192.0.2.100/24 dev eth0");
        }
        let restored = a.counter("web", "addresses_restored");
        assert!((2..=100).contains(&restored), "{restored} times in 3 s");
        assert!(a.process.log().matches("put back").count() <= 2, "the log is bounded");
        wait_until(secs(3), "it is back in the end", || lab.has("a", VIP));
        assert_eq!(a.state("web"), "MASTER");
    });
}

#[test]
fn an_address_that_was_there_before_is_never_removed() {
    isolated("addresses::an_address_that_was_there_before_is_never_removed", || {
        let lab = Lab::new();
        run("ip -n a addr add 192.0.2.100/24 dev eth0");
        let mut a = Tandemd::start(&lab, "a", &simple("a", 200, ""));
        a.wait_state("web", "MASTER", secs(3));
        a.process.stop();
        assert!(lab.has("a", VIP), "the operator's address is gone");
        // Nor does the next start take it for a left-over.
        let mut a = Tandemd::start(&lab, "a", &simple("a", 200, ""));
        assert!(lab.has("a", VIP));
        a.process.kill9();
        let _a = Tandemd::start(&lab, "a", &simple("a", 200, ""));
        assert!(lab.has("a", VIP));
    });
}

#[test]
fn left_overs_of_a_killed_daemon_go_at_the_next_start_even_if_the_configuration_changed() {
    isolated(
        "addresses::left_overs_of_a_killed_daemon_go_at_the_next_start_even_if_the_configuration_changed",
        || {
            let lab = Lab::new();
            let mut a = Tandemd::start(&lab, "a", &simple("a", 200, ""));
            a.wait_state("web", "MASTER", secs(3));
            a.process.kill9();
            assert!(lab.has("a", VIP), "kill -9 leaves it behind");
            let other = config("a", 200, "100ms", "virtual_ipaddress = [\"192.0.2.101/24\"]");
            let _a = Tandemd::start(&lab, "a", &other);
            assert!(!lab.has("a", VIP), "the old address is still there");
            lab.wait_holder("a", "192.0.2.101", secs(3));
        },
    );
}

#[test]
fn prefix_label_scope_broadcast_and_ipv6_options_arrive_in_the_kernel() {
    isolated("addresses::prefix_label_scope_broadcast_and_ipv6_options_arrive_in_the_kernel", || {
        let lab = Lab::new();
        let more = r#"virtual_ipaddress = ["192.0.2.100/24 label eth0:web brd 192.0.2.255", "192.0.2.101"]
virtual_ipaddress_excluded = ["2001:db8::200/64 noprefixroute", "2001:db8::201/128 deprecated", "192.0.2.102/32 scope link"]"#;
        let mut a = Tandemd::start(&lab, "a", &config("a", 200, "100ms", more));
        lab.wait_holder("a", "192.0.2.102", secs(3));
        let line = |address: &str| {
            let all = lab.addresses("a");
            all.lines()
                .find(|l| l.contains(&format!(" {address}/")))
                .unwrap_or_else(|| panic!("{address}: {all}"))
                .to_owned()
        };
        assert!(
            line("192.0.2.100")
                .contains("192.0.2.100/24 brd 192.0.2.255 scope global secondary proto 0x74 eth0:web")
                || line("192.0.2.100")
                    .contains("192.0.2.100/24 brd 192.0.2.255 scope global secondary eth0:web"),
            "{}",
            line("192.0.2.100")
        );
        assert!(line("192.0.2.101").contains("192.0.2.101/32"));
        assert!(line("192.0.2.102").contains("scope link"));
        assert!(line("2001:db8::200").contains("/64") && line("2001:db8::200").contains("noprefixroute"));
        assert!(line("2001:db8::201").contains("deprecated"));
        assert!(!lab.addresses("a").contains("tentative"));
        a.process.stop();
        for gone in ["192.0.2.100", "192.0.2.101", "192.0.2.102", "2001:db8::200", "2001:db8::201"] {
            assert!(!lab.has("a", gone), "{gone} is still there");
        }
        assert!(lab.has("a", "192.0.2.1") && lab.has("a", "2001:db8::1"), "its own addresses stay");
    });
}

#[test]
fn a_thousand_addresses_move_and_adverts_keep_their_time() {
    isolated_alone("addresses::a_thousand_addresses_move_and_adverts_keep_their_time", || {
        let lab = Lab::new();
        let many: Vec<String> =
            (0..1000).map(|n| format!("\"198.18.{}.{}/32\"", 4 + n / 250, 1 + n % 250)).collect();
        let more = format!(
            "virtual_ipaddress = [\"192.0.2.100/24\"]\nvirtual_ipaddress_excluded = [{}]\n\
             [[vrrp_instance]]\nname = \"fast\"\ninterface = \"eth0\"\nvirtual_router_id = 52\nadvert_int = \"10ms\"\n\
             virtual_ipaddress = [\"192.0.2.110/24\"]",
            many.join(", ")
        );
        let capture = Capture::start("c");
        let mut a = Tandemd::start(&lab, "a", &config("a", 200, "1s", &more));
        wait_until(secs(8), "all are there", || {
            a.instance("web")["addresses_present"].as_u64() == Some(1001)
        });
        sleep(300);
        let seen = capture.so_far();
        let fast: Vec<_> = seen.adverts.iter().filter(|x| x.vrid == 52).collect();
        let late = fast.windows(2).map(|w| (w[1].at - w[0].at).as_millis()).max().unwrap();
        assert!(late < 30, "an advertisement of the 10 ms instance came {late} ms after the one before");
        let announced: std::collections::BTreeSet<_> = seen.announcements.iter().map(|n| n.address).collect();
        assert!(announced.len() >= 1002, "{} addresses announced", announced.len());
        a.process.stop();
        assert_eq!(run("ip -n a -o addr show").matches("198.18.").count(), 0);
    });
}
