use super::*;
use proptest::prelude::*;

const TIME: AntiReplay = AntiReplay::Time { window: Duration::from_secs(5) };
const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

fn s(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn accepts(m: &mut Marks, sequence: u64, unix: Duration, rule: AntiReplay) -> bool {
    m.accept(Instant::ZERO, A, sequence, 1, unix, rule)
}

#[test]
fn the_number_is_the_clock_and_grows_while_the_clock_stands_still() {
    let mut q = Sequence::default();
    let half = s(0x6800_0000) + Duration::from_millis(500);
    assert_eq!(q.next(half, TIME), 0x6800_0000_8000_0000);
    assert_eq!(q.next(half, TIME), 0x6800_0000_8000_0001);
    assert_eq!(q.next(half - Duration::from_millis(1), TIME), 0x6800_0000_8000_0002, "a little back");
    assert_eq!(q.next(s(0x6800_0001), TIME), 0x6800_0001_0000_0000);
    // The counter carries into the fraction.
    let mut q = Sequence { last: Some(0x6800_0001_0000_ffff) };
    assert_eq!(q.next(s(0x6800_0001), TIME), 0x6800_0001_0001_0000);
}

#[test]
fn a_clock_set_back_is_followed_in_time_mode_only() {
    for (rule, want) in [(TIME, 1000 << 32), (AntiReplay::Monotonic, (9000 << 32) + 1)] {
        let mut q = Sequence::default();
        q.next(s(9000), rule);
        assert_eq!(q.next(s(1000), rule), want, "{rule:?}");
    }
}

#[test]
fn the_window_has_two_ends_and_works_across_the_wrap_of_2106() {
    let at = |n: u64| n << 32;
    assert!(is_fresh(at(1005), s(1000), TIME) && is_fresh(at(995), s(1000), TIME));
    assert!(!is_fresh(at(1006), s(1000), TIME) && !is_fresh(at(994), s(1000), TIME));
    let wrap = 1_u64 << 32;
    assert_eq!(ahead(at(3), s(wrap - 2)), 5);
    assert_eq!(ahead(of_clock(s(wrap - 2)), s(wrap + 3)), -5);
    assert!(is_after(of_clock(s(wrap + 1)), of_clock(s(wrap - 1))));
}

#[test]
fn an_old_number_is_refused_and_a_new_one_raises_the_mark() {
    for rule in [TIME, AntiReplay::Monotonic] {
        let mut m = Marks::default();
        let n = 1000 << 32;
        assert!(accepts(&mut m, n, s(1000), rule));
        assert!(!accepts(&mut m, n, s(1000), rule) && !accepts(&mut m, n - 1, s(1000), rule));
        assert!(accepts(&mut m, n + 1, s(1000), rule));
        assert!(!accepts(&mut m, n, s(1000), rule));
        let other = IpAddr::from([192, 0, 2, 2]);
        assert!(m.accept(Instant::ZERO, other, n, 1, s(1000), rule), "each sender has its own");
    }
}

#[test]
fn a_mark_beyond_the_window_is_forgotten_in_time_mode_only() {
    let mut m = Marks::default();
    assert!(accepts(&mut m, 9000 << 32, s(9000), TIME));
    assert!(accepts(&mut m, 1000 << 32, s(1000), TIME), "the clocks were corrected");
    let mut m = Marks::default();
    assert!(accepts(&mut m, 9000 << 32, s(9000), AntiReplay::Monotonic));
    assert!(!accepts(&mut m, 1000 << 32, s(1000), AntiReplay::Monotonic));
}

#[test]
fn the_table_is_bounded_and_forgets_whoever_was_silent_longest() {
    let mut m = Marks::default();
    let sender = |n: u32| IpAddr::V4(std::net::Ipv4Addr::from(0xc633_6400 + n));
    for n in 0..2 * u32::try_from(SENDERS).unwrap() {
        let now = Instant::from_nanos(u64::from(n));
        assert!(m.accept(now, sender(n), 7, 1, s(0), AntiReplay::Monotonic));
        assert!(m.0.len() <= SENDERS);
    }
    assert_eq!(m.senders().count(), SENDERS);
    assert!(m.senders().all(|(a, _)| a >= sender(u32::try_from(SENDERS).unwrap())));
}

proptest! {
    /// Whatever the sender's clock does within a window, what it sends is accepted once, in order.
    #[test]
    fn what_a_sender_sends_a_receiver_takes_once(steps in prop::collection::vec(-800_i64..2000, 1..60)) {
        let (mut q, mut m) = (Sequence::default(), Marks::default());
        let mut clock = 1_000_000_i64;
        let highest = clock + 2000;
        for step in steps {
            // Steps back stay within the window of what was already sent.
            clock = (clock + step).clamp(highest - 3000, highest);
            let unix = Duration::from_millis(u64::try_from(clock).unwrap());
            let n = q.next(unix, TIME);
            prop_assert!(accepts(&mut m, n, unix, TIME));
            prop_assert!(!accepts(&mut m, n, unix, TIME));
        }
    }

    #[test]
    fn any_two_numbers_have_an_order(a in any::<u64>(), b in any::<u64>()) {
        prop_assert!(!is_after(a, a));
        if a != b && a.wrapping_sub(b) != 1 << 63 {
            prop_assert!(is_after(a, b) != is_after(b, a));
        }
    }
}
