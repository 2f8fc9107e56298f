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
    lab.wait_holder("b", "198.51.100.1", secs(20));
    run("ip -n a link set eth0 up");
    lab.wait_holder("a", "198.51.100.1", secs(20));
    a.process.signal(Signal::SIGHUP);
    b.process.signal(Signal::SIGHUP);
    lab.cut("b");
    wait_until(secs(20), "both believe to be alone", || lab.has("b", "198.51.100.1"));
    lab.heal("b");
    lab.wait_holder("a", "198.51.100.1", secs(20));
}

#[test]
fn a_day_s_worth_of_advertisements_and_faults_leaves_memory_where_it_was() {
    isolated("growth::a_day_s_worth_of_advertisements_and_faults_leaves_memory_where_it_was", || {
        let lab = Lab::new();
        let b = Tandemd::start(&lab, "b", &many("b", 100));
        let a = Tandemd::start(&lab, "a", &many("a", 200));
        lab.wait_holder("a", "198.51.100.40", secs(20));
        // What is made once is made by then.
        for _ in 0..4 {
            faults(&lab, &a, &b);
        }
        let memory = || [a.process.own_memory(), b.process.own_memory()];
        let (before, start) = (memory(), sent(&a) + sent(&b));
        let mut rounds = 0;
        let mut work_until = |count: u64| {
            while sent(&a) + sent(&b) < start + count {
                faults(&lab, &a, &b);
                rounds += 1;
                assert!(rounds < 500, "{} advertisements only", sent(&a) + sent(&b) - start);
                sleep(300);
            }
            memory()
        };
        let quarters = [1, 2, 3, 4].map(|n| work_until(DAY * n / 4));
        println!("{before:?} kB before, {quarters:?} kB after each quarter of {DAY} advertisements");
        println!("and {rounds} rounds of faults");
        for node in 0..2 {
            // A leak grows all day. What grows at times only is the memory allocator's and the queues', which on a busy
            // machine take more at any time, and keep it.
            let mut last = before[node];
            let growth =
                quarters.map(|now| now[node].saturating_sub(std::mem::replace(&mut last, now[node])));
            assert!(growth.iter().any(|kb| *kb <= 64), "{growth:?} kB more in each quarter of a day");
            assert!(growth.iter().sum::<u64>() <= 2048, "{growth:?} kB more in each quarter of a day");
        }
    });
}
