//! tandemd and another BFD, each on one side: FRR's bfdd, keepalived.

use crate::bfd::{counter, session, track, wait_session};
use crate::lab::daemon::{Frr, Tandemd, keepalived_with};
use crate::lab::{Lab, isolated, secs, wait_until};
use crate::simple;
use std::time::Duration;

const PEERS: [(&str, &str, bool); 3] =
    [("near", "192.0.2.1", false), ("far", "192.0.2.1", true), ("six", "fe80::1", false)];

/// Long enough for a busy machine.
const TIMES: &str = "min_rx = \"50ms\"\nmin_tx = \"50ms\"\nmultiplier = 25";

fn frr(lab: &Lab) -> Frr {
    let times = "detect-multiplier 20\nreceive-interval 60\ntransmit-interval 70\nexit\n";
    Frr::start(
        lab,
        "b",
        &format!(
            "bfd\npeer 192.0.2.1 interface eth0\n{times}peer 192.0.2.1 multihop local-address 192.0.2.2\n{times}\
             peer fe80::1 local-address fe80::2 interface eth0\n{times}exit\n"
        ),
    )
}

fn config(times: &str) -> String {
    simple(
        "a",
        200,
        &[
            "track_bfd = [\"near\"]\n",
            &session("near", "192.0.2.2", &format!("interface = \"eth0\"\n{times}")),
            &session("far", "192.0.2.2", &format!("multihop = true\nsource_ip = \"192.0.2.1\"\n{times}")),
            &session("six", "fe80::2", &format!("interface = \"eth0\"\n{times}")),
        ]
        .concat(),
    )
}

fn up(frr: &Frr, address: &str, multihop: bool, limit: Duration) {
    wait_until(limit, &format!("FRR is up with {address}"), || frr.peer(address, multihop)["status"] == "up");
}

#[test]
fn frr_and_tandemd_agree_on_state_times_and_the_end() {
    isolated("bfd_peers::frr_and_tandemd_agree_on_state_times_and_the_end", || {
        let lab = Lab::new();
        let frr = frr(&lab);
        let mut a = Tandemd::start(&lab, "a", &config(TIMES));
        for (name, address, multihop) in PEERS {
            wait_session(&a, name, "Up", secs(6));
            up(&frr, address, multihop, secs(6));
            wait_until(secs(5), "the times", || {
                let status = a.status();
                let s = &track(&status, name)["bfd"];
                let ours = ["tx_interval_us", "rx_interval_us", "detection_time_us"].map(|k| s[k].as_u64());
                ours == [Some(60_000), Some(70_000), Some(1_400_000)]
            });
            let p = frr.peer(address, multihop);
            assert_eq!(p["remote-detect-multiplier"], 25, "{p}");
            assert_eq!(
                (&p["remote-receive-interval"], &p["remote-transmit-interval"]),
                (&50.into(), &50.into()),
                "{p}"
            );
        }
        // Other times while up: a poll sequence, which FRR answers.
        a.reload(&config("min_rx = \"100ms\"\nmin_tx = \"120ms\"\nmultiplier = 24"));
        for (name, address, multihop) in PEERS {
            wait_until(secs(5), "the new time", || {
                track(&a.status(), name)["bfd"]["tx_interval_us"].as_u64() == Some(120_000)
            });
            let p = frr.peer(address, multihop);
            assert_eq!(
                (&p["remote-receive-interval"], &p["remote-transmit-interval"]),
                (&100.into(), &120.into()),
                "{p}"
            );
            assert_eq!((counter(&a, name, "became_up"), counter(&a, name, "left_up")), (1, 0), "{name}");
        }
        // FRR's poll sequence, which tandemd answers.
        frr.vtysh(&["configure terminal", "bfd", "peer 192.0.2.1 interface eth0", "transmit-interval 200"]);
        wait_until(secs(5), "FRR's new time", || {
            track(&a.status(), "near")["bfd"]["rx_interval_us"].as_u64() == Some(200_000)
        });
        assert_eq!((counter(&a, "near", "became_up"), counter(&a, "near", "left_up")), (1, 0));
        // The end of tandemd.
        assert_eq!(a.process.stop(), Some(0));
        for (_, address, multihop) in PEERS {
            wait_until(secs(2), "FRR hears of the end", || {
                let p = frr.peer(address, multihop);
                p["status"] == "down" && p["remote-diagnostic"] == "administratively down"
            });
        }
    });
}

#[test]
fn frr_that_is_cut_off_or_shut_down_is_a_fault_until_it_returns() {
    isolated("bfd_peers::frr_that_is_cut_off_or_shut_down_is_a_fault_until_it_returns", || {
        let lab = Lab::new();
        let frr = frr(&lab);
        let a = Tandemd::start(&lab, "a", &config(TIMES));
        a.wait_state("web", "MASTER", secs(8));
        lab.cut("b");
        let took = wait_until(secs(5), "FAULT", || a.state("web") == "FAULT");
        assert!(took < Duration::from_millis(1400 + 1500), "{took:?}");
        lab.heal("b");
        a.wait_state("web", "MASTER", secs(8));
        frr.vtysh(&["configure terminal", "bfd", "peer 192.0.2.1 interface eth0", "shutdown"]);
        a.wait_state("web", "FAULT", secs(3));
        let detail = track(&a.status(), "near")["detail"].as_str().unwrap().to_owned();
        assert!(detail.ends_with("the neighbor is administratively down"), "{detail}");
        frr.vtysh(&["configure terminal", "bfd", "peer 192.0.2.1 interface eth0", "no shutdown"]);
        a.wait_state("web", "MASTER", secs(8));
        up(&frr, "192.0.2.1", false, secs(3));
    });
}

#[test]
fn keepalived_and_tandemd_agree_over_both_families() {
    isolated("bfd_peers::keepalived_and_tandemd_agree_over_both_families", || {
        let lab = Lab::new();
        let peer = |name: &str, n: &str, s: &str| {
            format!(
                "bfd_instance {name} {{\nneighbor_ip {n}\nsource_ip {s}\nhoplimit 255\nmin_rx 60\nmin_tx 70\nmultiplier 20\n}}\n"
            )
        };
        let config = peer("four", "192.0.2.1", "192.0.2.2") + &peer("six", "2001:db8::1", "2001:db8::2");
        let mut k = keepalived_with(&lab, "b", &config, &[]);
        let of_a = session("four", "192.0.2.2", TIMES) + &session("six", "2001:db8::2", TIMES);
        let a = Tandemd::start(
            &lab,
            "a",
            &simple("a", 200, &(format!("track_bfd = [\"four\", \"six\"]\n{of_a}"))),
        );
        for name in ["four", "six"] {
            wait_session(&a, name, "Up", secs(8));
            wait_until(secs(5), "the times", || {
                let status = a.status();
                let s = &track(&status, name)["bfd"];
                let ours = ["tx_interval_us", "rx_interval_us", "detection_time_us"].map(|k| s[k].as_u64());
                ours == [Some(60_000), Some(70_000), Some(1_400_000)]
            });
        }
        a.wait_state("web", "MASTER", secs(8));
        k.stop();
        a.wait_state("web", "FAULT", secs(4));
    });
}
