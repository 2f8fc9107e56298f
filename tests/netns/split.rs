use crate::lab::capture::Capture;
use crate::lab::daemon::Tandemd;
use crate::lab::{Lab, VIP, VIP6, isolated, secs, sleep, wait_until};
use crate::{simple, simple6};

/// Splits and heals again and again; at each end there is one holder, and the third host follows.
fn split_and_heal(address: &str, toml: impl Fn(&str, u8) -> String) {
    let lab = Lab::new();
    let _b = Tandemd::start(&lab, "b", &toml("b", 100));
    let _a = Tandemd::start(&lab, "a", &toml("a", 200));
    lab.wait_holder("a", address, secs(3));
    lab.touch(address);
    for round in 0..6 {
        // The third host stays with b: after the split it follows b, after the heal it must come back to a,
        // whichever of the two hears the other first.
        lab.cut("a");
        wait_until(secs(2), "both hold the address", || lab.holders(address) == ["a", "b"]);
        lab.touch(address);
        lab.assert_points_at(address, "b");
        sleep(17 * round);
        lab.heal("a");
        lab.wait_holder("a", address, secs(2));
        lab.assert_points_at(address, "a");
    }
}

#[test]
fn a_healed_split_ends_with_one_holder_that_everybody_knows() {
    isolated("split::a_healed_split_ends_with_one_holder_that_everybody_knows", || {
        split_and_heal(VIP, |node, priority| simple(node, priority, ""));
    });
}

#[test]
fn a_healed_split_of_ipv6_as_well() {
    isolated("split::a_healed_split_of_ipv6_as_well", || {
        split_and_heal(VIP6, |node, priority| simple6(node, priority, ""));
    });
}

/// keepalived's oldest complaint: the loser hears the winner first, yields in silence, and the winner never
/// learns that it had a rival.
#[test]
fn the_winner_announces_again_though_the_loser_heard_it_first() {
    isolated("split::the_winner_announces_again_though_the_loser_heard_it_first", || {
        let lab = Lab::new();
        let b = Tandemd::start(&lab, "b", &simple("b", 100, ""));
        let a = Tandemd::start(&lab, "a", &simple("a", 200, ""));
        lab.wait_holder("a", VIP, secs(3));
        lab.cut_one_way("a", "b");
        wait_until(secs(2), "both hold the address", || lab.holders(VIP) == ["a", "b"]);
        lab.heal_one_way();
        lab.wait_holder("a", VIP, secs(2));

        // Now only the loser can hear, until the moment it yields.
        lab.cut_one_way("b", "a");
        lab.cut("a");
        wait_until(secs(2), "b is master", || b.state("web") == "MASTER");
        let before = a.counter("web", "announcements");
        lab.heal_one_way();
        lab.heal("a");
        lab.wait_holder("a", VIP, secs(2));
        wait_until(secs(2), "the winner announces again", || a.counter("web", "announcements") > before);
    });
}

#[test]
fn a_one_way_link_is_answered_within_bounds() {
    isolated("split::a_one_way_link_is_answered_within_bounds", || {
        let lab = Lab::new();
        let _b = Tandemd::start(&lab, "b", &simple("b", 100, ""));
        let a = Tandemd::start(&lab, "a", &simple("a", 200, ""));
        lab.wait_holder("a", VIP, secs(3));
        lab.cut_one_way("a", "b");
        wait_until(secs(2), "b believes that a is gone", || lab.has("b", VIP));
        let capture = Capture::start("c");
        sleep(3000);
        let seen = capture.stop();
        let sent = seen.adverts_from("192.0.2.1").len();
        assert!(
            (30..=75).contains(&sent),
            "a sent {sent} advertisements in 3 s: its own 30 and an answer each"
        );
        let announced = seen.announced(VIP).iter().filter(|g| g.mac == lab.mac("a")).count();
        assert!(announced <= 5 * 5, "{announced} gratuitous ARPs in 3 s");
        assert!(a.counter("web", "contested") > 0);
        lab.heal_one_way();
        lab.wait_holder("a", VIP, secs(2));
        lab.touch(VIP);
        lab.assert_points_at(VIP, "a");
    });
}

#[test]
fn a_master_that_was_stopped_steps_down_before_it_speaks() {
    isolated("split::a_master_that_was_stopped_steps_down_before_it_speaks", || {
        let lab = Lab::new();
        // nopreempt: once down, it stays down while b is there.
        let b = Tandemd::start(&lab, "b", &simple("b", 100, ""));
        let a = Tandemd::start(&lab, "a", &simple("a", 200, "nopreempt = true"));
        wait_until(secs(5), "a master", || !lab.holders(VIP).is_empty());
        if lab.has("b", VIP) {
            // Frozen it keeps the address.
            b.process.freeze();
            wait_until(secs(9), "a takes over", || lab.has("a", VIP));
            b.process.thaw();
        }
        a.wait_state("web", "MASTER", secs(3));
        b.wait_state("web", "BACKUP", secs(3));
        let capture = Capture::start("c");
        a.process.freeze();
        wait_until(secs(3), "b takes over", || lab.has("b", VIP));
        sleep(500);
        let before = capture.so_far().adverts_from("192.0.2.1").len();
        a.process.thaw();
        lab.wait_holder("b", VIP, secs(1));
        sleep(500);
        assert_eq!(capture.stop().adverts_from("192.0.2.1").len(), before, "it spoke though it was away");
        assert_eq!(a.state("web"), "BACKUP");
        assert!(a.instance("web")["reason"].as_str().unwrap().contains("was not running"));
        assert!(a.counter("web", "late_wakeups") >= 1);
    });
}
