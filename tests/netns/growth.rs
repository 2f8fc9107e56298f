//! Memory over a day's worth of work.

use crate::lab::daemon::Tandemd;
use crate::lab::{Lab, isolated, run, secs, sleep, wait_until};
use nix::sys::signal::Signal;

const INSTANCES: u32 = 40;
/// One a second for 24 hours.
const DAY: u64 = 86_400;

fn many(node: &str, priority: u8) -> String {
    let mut text = format!("[node]\nname = \"{node}\"\n");
    for n in 1..=INSTANCES {
        text += &format!(
            "[[vrrp_instance]]\nname = \"v{n}\"\ninterface = \"eth0\"\nvirtual_router_id = {n}\npriority = {priority}\n\
             advert_int = \"10ms\"\nvirtual_ipaddress = [\"198.51.100.{n}/32\"]\n"
        );
    }
    text
}

fn sent(t: &Tandemd) -> u64 {
    (1..=INSTANCES).map(|n| t.counter(&format!("v{n}"), "adverts_sent")).sum()
}

/// A round of what happens to a pair: the interface flaps, a reload, the other node is cut off and heals.
fn faults(lab: &Lab, a: &Tandemd, b: &Tandemd) {
    run("ip -n a link set eth0 down");
    lab.wait_holder("b", "198.51.100.1", secs(5));
    run("ip -n a link set eth0 up");
    lab.wait_holder("a", "198.51.100.1", secs(5));
    a.process.signal(Signal::SIGHUP);
    b.process.signal(Signal::SIGHUP);
    lab.cut("b");
    wait_until(secs(5), "both believe to be alone", || lab.has("b", "198.51.100.1"));
    lab.heal("b");
    lab.wait_holder("a", "198.51.100.1", secs(5));
}

#[test]
fn a_day_s_worth_of_advertisements_and_faults_leaves_memory_where_it_was() {
    isolated("growth::a_day_s_worth_of_advertisements_and_faults_leaves_memory_where_it_was", || {
        let lab = Lab::new();
        let b = Tandemd::start(&lab, "b", &many("b", 100));
        let a = Tandemd::start(&lab, "a", &many("a", 200));
        lab.wait_holder("a", "198.51.100.40", secs(5));
        // What is made once is made by then.
        for _ in 0..4 {
            faults(&lab, &a, &b);
        }
        let before = [a.process.own_memory(), b.process.own_memory()];
        let start = sent(&a) + sent(&b);
        let mut rounds = 0;
        while sent(&a) + sent(&b) < start + DAY {
            faults(&lab, &a, &b);
            rounds += 1;
            assert!(rounds < 500, "{} advertisements only", sent(&a) + sent(&b) - start);
            sleep(300);
        }
        let after = [a.process.own_memory(), b.process.own_memory()];
        for (before, after) in before.into_iter().zip(after) {
            assert!(after <= before + 512, "{before} kB before, {after} kB after {rounds} rounds of faults");
        }
        println!(
            "{before:?} kB before, {after:?} kB after {DAY} advertisements and {rounds} rounds of faults"
        );
    });
}
