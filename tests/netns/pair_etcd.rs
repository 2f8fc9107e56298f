//! Two nodes whose witness is Debian's etcd, on the third machine.

use crate::lab::etcd::{Etcd, within};
use crate::lab::{Lab, isolated, secs, sleep, wait_until};
use crate::pair_witness::{Pair, TIMES};
use std::time::Instant;
use tandemd::config::{EtcdSettings, Fingerprint};
use tandemd::witness::client::{EtcdWitness, Witness};
use tandemd::witness::lease::Limits;
use tandemd::witness::{Answer, Ask, Verb};

/// One that has been in use: it knows for sure that nobody has the lease.
fn used(lab: &Lab) -> Etcd {
    let etcd = Etcd::start(lab, "one", 2379, None);
    let settings = EtcdSettings { endpoints: vec![etcd.at()], prefix: "/tandemd/".into(), tls: None };
    let limits = Limits { longest: secs(1), ..Limits::default() };
    let witness = EtcdWitness::new(&settings, Fingerprint([9; 32]), "former".into(), limits, secs(20));
    let ask = |verb, token| Ask {
        pair: "esc".parse().expect("a name"),
        verb,
        generation: 0,
        synced: None,
        lease_ms: 1000,
        token,
    };
    within("c", || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(async {
            let begin = Instant::now();
            loop {
                match witness.ask(&ask(Verb::Acquire, None)).await {
                    Answer::Granted { token } => {
                        let answer = witness.ask(&ask(Verb::Release, Some(token))).await;
                        return assert_eq!(answer, Answer::Released);
                    }
                    other => assert!(begin.elapsed() < secs(60), "{other:?}"),
                }
                sleep(50);
            }
        });
    });
    etcd
}

fn pair(lab: Lab) -> Pair {
    let more = format!("[witness]\nkind = \"etcd\"\nendpoints = [\"http://192.0.2.9:2379\"]\n{TIMES}\n");
    Pair::new(lab, more)
}

#[test]
fn of_two_that_are_cut_off_one_has_the_lease_in_etcd() {
    isolated("pair_etcd::of_two_that_are_cut_off_one_has_the_lease_in_etcd", || {
        let lab = Lab::new();
        let _etcd = used(&lab);
        pair(lab).cut_off_one_has_the_lease();
    });
}

#[test]
fn without_etcd_nobody_serves_who_is_cut_off() {
    isolated("pair_etcd::without_etcd_nobody_serves_who_is_cut_off", || {
        let lab = Lab::new();
        let etcd = used(&lab);
        let p = pair(lab);
        let (a, b) = p.registered();
        p.part();
        p.wait_words(&b, "the witness has lent the right to serve to the other node");
        etcd.kill();
        p.wait_words(&a, "the witness does not answer");
        wait_until(secs(30), "nobody serves", || p.lab.holders(crate::lab::VIP).is_empty());
        wait_until(secs(30), "the service is down", || p.steps() == ["a up", "a down"]);
        // It comes back with what it knew, and one of them serves.
        let _etcd = Etcd::start(&p.lab, "one", 2379, None);
        wait_until(secs(60), "one of them serves", || {
            assert!(p.lab.holders(crate::lab::VIP).len() < 2, "both serve");
            sleep(50);
            p.steps().len() > 2 && p.lab.holders(crate::lab::VIP).len() == 1
        });
    });
}
