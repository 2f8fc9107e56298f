use super::*;
use proptest::prelude::*;

const MS: fn(u64) -> Duration = Duration::from_millis;

fn at(ms: u64) -> Instant {
    Instant::ZERO + MS(ms)
}

fn settings(up: u64, down: u64) -> InterfaceSettings {
    InterfaceSettings { name: "eth0".into(), up_delay: MS(up), down_delay: MS(down) }
}

#[test]
fn a_change_counts_when_it_has_lasted() {
    let mut d = Debounce::new(&settings(2000, 500), true);
    d.observe(at(100), false);
    assert_eq!(d.pending(), Some(Pending { up: false, since: at(100), counts_at: at(600) }));
    d.observe(at(599), false);
    assert!(d.is_up());
    d.expire(at(600));
    assert!(!d.is_up() && d.pending().is_none());
    d.observe(at(700), true);
    d.expire(at(2699));
    assert!(!d.is_up());
    // The event may come before the timer.
    d.observe(at(2700), true);
    assert!(d.is_up());
}

#[test]
fn a_change_that_is_undone_never_counts_and_the_next_one_begins_anew() {
    let mut d = Debounce::new(&settings(0, 500), true);
    assert!(!d.observe(at(0), false));
    assert!(d.observe(at(400), true));
    assert!(!d.observe(at(410), true));
    d.observe(at(450), false);
    d.expire(at(900));
    assert!(d.is_up());
    d.expire(at(950));
    assert!(!d.is_up());
}

#[test]
fn without_a_delay_a_change_counts_at_once() {
    let mut d = Debounce::new(&settings(0, 0), true);
    d.observe(at(1), false);
    assert!(!d.is_up());
    d.observe(at(1), true);
    assert!(d.is_up());
}

#[test]
fn an_interface_that_goes_counts_at_once_and_its_return_takes_its_time() {
    let mut l = Links::default();
    let s = [settings(1000, 900)];
    l.update(at(0), &s, |_| Some(true));
    l.update(at(10), &s, |_| None);
    assert!(!l.is_up("eth0", false) && l.deadline().is_none());
    l.update(at(20), &s, |_| Some(true));
    assert!(!l.is_up("eth0", true));
    assert_eq!(l.deadline(), Some(at(1020)));
    l.update(at(1020), &s, |_| Some(true));
    assert!(l.is_up("eth0", true));
}

#[test]
fn a_reload_changes_delays_of_what_waits_and_forgets_what_is_not_configured() {
    let mut l = Links::default();
    l.update(at(0), &[settings(0, 10_000)], |_| Some(true));
    l.update(at(10), &[settings(0, 10_000)], |_| Some(false));
    assert!(l.is_up("eth0", false));
    l.update(at(20), &[settings(0, 500)], |_| Some(false));
    assert_eq!(l.deadline(), Some(at(510)));
    l.update(at(30), &[], |_| Some(false));
    assert!(!l.is_up("eth0", false) && l.deadline().is_none());
    assert!(l.is_up("eth1", true), "what is not configured is what it is");
}

proptest! {
    /// Against the plain rule: what counts changes exactly when the link was otherwise for the whole delay.
    #[test]
    fn what_counts_is_what_lasted(flaps in prop::collection::vec((0_u64..40, any::<bool>()), 1..60)) {
        const DELAY: u64 = 30;
        let mut d = Debounce::new(&settings(DELAY, DELAY), true);
        let (mut now, mut raw, mut counted, mut since) = (0, true, true, 0);
        for (pause, up) in flaps {
            for _ in 0..pause {
                now += 1;
                d.expire(at(now));
                if raw != counted && now - since >= DELAY {
                    counted = raw;
                }
                prop_assert_eq!(d.is_up(), counted);
            }
            if raw != up {
                (raw, since) = (up, now);
            }
            d.observe(at(now), up);
            prop_assert_eq!(d.is_up(), counted);
        }
    }
}
