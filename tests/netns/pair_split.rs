//! Split brain between real daemons: each was started alone by force while the network was cut, so both have the same
//! generation when they meet.

use crate::lab::daemon::Tandemd;
use crate::lab::{VIP, isolated_each, secs, sleep};
use crate::pair_lab::{Pair, pair, states};

/// Both serve, with equal generations, and hear each other again.
fn split(p: &Pair) -> (Tandemd, Tandemd) {
    let (mut a, mut b) = p.registered();
    assert_eq!(b.process.stop(), Some(0));
    assert_eq!(a.process.stop(), Some(0));
    p.part();
    let (a, b) = (p.start("a"), p.start("b"));
    // Without force they wait for each other.
    for (node, order) in [(&a, "ha failback"), (&b, "ha failover")] {
        let refused = node.adm(order);
        assert!(!refused.status.success(), "{refused:?}");
        p.wait("it obeys", || node.adm(&format!("{order} --force")).status.success());
    }
    p.wait("both serve", || up(p) == ["a", "b"] && p.lab.holders(VIP) == ["a", "b"]);
    for node in ["a", "b"] {
        // What clients have written meanwhile.
        std::fs::write(p.lab.path(&format!("{node}.written")), format!("by {node}")).expect("data");
    }
    assert_eq!(generation(&a), generation(&b), "{}", p.told());
    p.rejoin();
    (a, b)
}

/// Where the service is up.
fn up(p: &Pair) -> Vec<&'static str> {
    ["a", "b"].into_iter().filter(|n| p.lab.path(&format!("{n}.up")).exists()).collect()
}

fn generation(node: &Tandemd) -> u64 {
    pair(node)["status"]["saved"]["served"].as_u64().expect("a generation")
}

/// What is said as long as both serve.
fn found(p: &Pair, a: &Tandemd, b: &Tandemd) {
    for node in [a, b] {
        p.wait("it is found", || node.adm_text("ha status").contains("SPLIT BRAIN: both nodes serve"));
        assert_eq!(node.adm("ha status").status.code(), Some(2));
    }
}

/// One serves on, the other one is down and stands by; everything that was written is there.
fn ends(p: &Pair, a: &Tandemd, b: &Tandemd, stays: &str) {
    let wanted = match stays {
        "a" => ("primary_active", "secondary_syncing"),
        _ => ("primary_syncing", "secondary_active"),
    };
    p.wait("one is down", || up(p) == [stays]);
    p.wait_states(a, wanted.0, b, wanted.1);
    p.lab.wait_holder(stays, VIP, secs(10));
    for node in ["a", "b"] {
        let written = std::fs::read_to_string(p.lab.path(&format!("{node}.written"))).expect("data");
        assert_eq!(written, format!("by {node}"));
    }
    for node in [a, b] {
        assert_eq!(pair(node)["status"]["split_brain"], false);
        assert!(!node.adm("ha keep local").status.success(), "there is nothing to decide any more");
    }
    let starts = p.steps().iter().filter(|s| s.ends_with("start")).count();
    assert_eq!(starts, 3, "nothing was started over again: {:?}", p.steps());
}

/// With `"operator"` both go on until somebody decides, on either node.
#[test]
fn an_operator_decides() {
    isolated_each("pair_split::an_operator_decides", &["keep local on b", "keep peer on b"], |kind| {
        let p = Pair::new("");
        let (a, b) = split(&p);
        found(&p, &a, &b);
        // Longer than anything that is decided by itself takes.
        sleep(3000);
        assert_eq!((up(&p), p.lab.holders(VIP)), (vec!["a", "b"], vec!["a", "b"]), "{}", p.told());
        assert_eq!(states(&a, &b), ("primary_lost_secondary".into(), "secondary_active".into()));
        let (order, says, stays) = match kind {
            "keep local on b" => ("ha keep local", "and the other one steps down", "b"),
            _ => ("ha keep peer", "is kept aside", "a"),
        };
        let said = b.adm_text(order);
        assert!(said.contains(says), "{said}");
        ends(&p, &a, &b, stays);
    });
}

/// The configuration has decided.
#[test]
fn the_configuration_decides() {
    isolated_each("pair_split::the_configuration_decides", &["primary", "secondary"], |kind| {
        let p = Pair::new(&format!("split_brain = \"{kind}\""));
        let (a, b) = split(&p);
        let (stays, goes) = match kind {
            "primary" => ("a", "b"),
            _ => ("b", "a"),
        };
        ends(&p, &a, &b, stays);
        let log = if goes == "a" { &a } else { &b }.process.log();
        assert!(log.contains("split brain: both serve with generation"), "{log}");
    });
}
