use crate::lab::daemon::Tandemd;
use crate::lab::inject::{Raw, send, with_checksum};
use crate::lab::{Lab, VIP, isolated, secs, sleep, wait_until};
use crate::simple;
use std::collections::BTreeMap;

fn raw(ttl: u8, payload: Vec<u8>) -> Raw {
    Raw { destination: "224.0.0.18".parse().unwrap(), ttl, payload }
}

/// A claim that would win if it were right.
fn good() -> Vec<u8> {
    with_checksum(vec![0x31, 51, 250, 1, 0, 10, 0, 0, 192, 0, 2, 100])
}

fn errors(t: &Tandemd) -> BTreeMap<String, u64> {
    let out = t.adm("stats --json");
    let stats: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    let mut all = BTreeMap::new();
    let groups = [stats["instances"]["web"].clone(), stats["interfaces"]["eth0"].clone()];
    for counters in groups.iter().filter_map(|g| g.as_object()) {
        for (name, n) in counters.iter().filter(|(name, _)| name.ends_with("_errors")) {
            *all.entry(name.clone()).or_insert(0) += n.as_u64().unwrap();
        }
    }
    all
}

#[test]
fn every_kind_of_bad_packet_moves_its_own_counter_and_nothing_else() {
    isolated("packets::every_kind_of_bad_packet_moves_its_own_counter_and_nothing_else", || {
        let lab = Lab::new();
        let a = Tandemd::start(&lab, "a", &simple("a", 200, ""));
        lab.wait_holder("a", VIP, secs(3));
        let change = |f: &dyn Fn(&mut Vec<u8>)| {
            let mut p = good();
            f(&mut p);
            with_checksum(p)
        };
        let mut wrong_sum = good();
        wrong_sum[6] ^= 0x55;
        let cases: Vec<(&str, Raw)> = vec![
            ("ttl_errors", raw(254, good())),
            ("ttl_errors", raw(1, good())),
            ("version_errors", raw(255, change(&|p| p[0] = 0x21))),
            ("version_errors", raw(255, change(&|p| p[0] = 0x41))),
            ("type_errors", raw(255, change(&|p| p[0] = 0x32))),
            ("length_errors", raw(255, good()[..11].to_vec())),
            ("length_errors", raw(255, good()[..3].to_vec())),
            ("length_errors", raw(255, change(&|p| p.extend([0; 28])))),
            ("length_errors", raw(255, change(&|p| p[3] = 2))),
            ("checksum_errors", raw(255, wrong_sum)),
            ("vrid_errors", raw(255, change(&|p| p[1] = 99))),
            ("zero_interval_errors", raw(255, change(&|p| p[5] = 0))),
            ("zero_count_errors", raw(255, with_checksum(vec![0x31, 51, 250, 0, 0, 10, 0, 0]))),
            (
                "transport_errors",
                Raw { destination: "192.0.2.1".parse().unwrap(), ttl: 255, payload: good() },
            ),
            ("length_errors", raw(255, change(&|p| p.resize(1400, 7)))),
        ];
        for (counter, packet) in cases {
            let before = errors(&a);
            send("c", vec![packet.clone()]);
            let mut expected = before.clone();
            *expected.get_mut(counter).unwrap_or_else(|| panic!("no counter {counter}")) += 1;
            wait_until(secs(1), &format!("{counter} moves for {packet:?}: {before:?}"), || {
                errors(&a) == expected
            });
        }
        assert_eq!(lab.holders(VIP), ["a"]);
        assert_eq!(a.counter("web", "left_master"), 0);
        // And the right one works: it is heard, and the address goes.
        send("c", vec![raw(255, good())]);
        a.wait_state("web", "BACKUP", secs(1));
    });
}

#[test]
fn a_hundred_thousand_random_packets_change_nothing() {
    isolated("packets::a_hundred_thousand_random_packets_change_nothing", || {
        let lab = Lab::new();
        let a = Tandemd::start(&lab, "a", &simple("a", 200, ""));
        lab.wait_holder("a", VIP, secs(3));
        assert!(a.adm("log-level info").status.success());
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = move || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed
        };
        let mut burst = |n: usize| {
            (0..n)
                .map(|_| {
                    let len = usize::try_from(random() % 64).unwrap();
                    let mut payload: Vec<u8> = (0..len).map(|_| random().to_le_bytes()[0]).collect();
                    if len > 3 && random() % 2 == 0 {
                        payload[0] = 0x31;
                        payload[1] = 51;
                    }
                    raw(if random() % 4 == 0 { 64 } else { 255 }, payload)
                })
                .collect::<Vec<Raw>>()
        };
        send("c", burst(10_000));
        sleep(300);
        let (rss, log) = (a.process.own_memory(), a.process.log().len());
        for _ in 0..10 {
            send("c", burst(10_000));
        }
        sleep(300);
        assert_eq!(a.state("web"), "MASTER");
        assert_eq!(a.counter("web", "left_master"), 0);
        let counted: u64 = errors(&a).values().sum();
        assert!(counted > 50_000, "only {counted} were seen");
        let grown = a.process.own_memory().saturating_sub(rss);
        assert!(grown < 512, "memory grew by {grown} kB");
        let lines = a.process.log()[log..].lines().count();
        assert!(lines < 40, "{lines} log lines");
        assert_eq!(lab.holders(VIP), ["a"]);
    });
}
