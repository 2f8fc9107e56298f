use super::*;
use std::net::Ipv4Addr;

const US: Mac = [0, 0, 0x5e, 0, 1, 51];
const THEM: Mac = [2, 0, 0, 0, 0, 9];

fn at(ms: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(1000) + Duration::from_millis(ms)
}

fn place(n: u32) -> Place {
    Place { interface: "eth0".into(), address: Ipv4Addr::from_bits(0xc612_0000 + n).into() }
}

fn targets(numbers: std::ops::Range<u32>) -> Vec<Target> {
    numbers.map(|n| Target { place: place(n), virtual_mac: US }).collect()
}

fn web() -> Arc<str> {
    "web".into()
}

/// MASTER at 0 with address 0.
fn master() -> Watch {
    let mut watch = Watch::default();
    watch.set(at(0), &web(), targets(0..1));
    watch
}

/// Heard at these milliseconds; when it was told of.
fn told(heard: &[u64]) -> Vec<u64> {
    let mut watch = master();
    heard.iter().copied().filter(|ms| watch.heard(at(*ms), &place(0), THEM).is_some()).collect()
}

#[test]
fn a_stranger_is_told_of_once_and_again_when_it_comes_back() {
    let cases: [(&[u64], &[u64], &str); 9] = [
        (&[], &[], "nobody is there"),
        (&[0], &[], "the former MASTER answers the first question"),
        (&[0, 5, 900, 1500, 1999], &[], "and takes its time to remove its addresses"),
        (&[0, 3000], &[3000], "it is still there"),
        (&[0, 3000, 3001, 10_000, 20_000, 79_999], &[3000], "and stays"),
        (&[0, 3000, 62_999, 122_998], &[3000], "silent for less than a minute"),
        (&[0, 3000, 63_000, 66_000], &[3000, 66_000], "silent for a minute, and back"),
        (&[0, 30_000, 60_000], &[], "two moments, far apart: each is a takeover of the peer's"),
        (&[0, 29_999], &[29_999], "an answer in between was lost"),
    ];
    for (heard, expected, why) in cases {
        assert_eq!(told(heard), expected, "{why}");
    }
}

#[test]
fn the_virtual_mac_and_addresses_of_others_do_not_concern_us() {
    let mut watch = master();
    assert!(watch.concerns(&place(0), THEM));
    assert!(!watch.concerns(&place(0), US), "the virtual router's own MAC");
    assert!(!watch.concerns(&place(1), THEM), "not our address");
    let elsewhere = Place { interface: "eth1".into(), ..place(0) };
    assert!(!watch.concerns(&elsewhere, THEM), "not our interface");
    for ms in [0, 3000] {
        assert_eq!(watch.heard(at(ms), &place(0), US), None);
        assert_eq!(watch.heard(at(ms), &elsewhere, THEM), None);
    }
}

#[test]
fn a_suspect_is_asked_again_soon_and_everything_each_ten_seconds() {
    let mut watch = master();
    assert_eq!(watch.questions(at(0)), [place(0)], "at once");
    assert!(watch.questions(at(9999)).is_empty());
    assert_eq!(watch.questions(at(10_000)), [place(0)]);
    watch.heard(at(10_001), &place(0), THEM);
    assert!(watch.questions(at(13_000)).is_empty());
    assert_eq!(watch.questions(at(13_001)), [place(0)]);
    assert!(watch.heard(at(13_002), &place(0), THEM).is_some());
    assert!(watch.questions(at(23_000)).is_empty());
    assert_eq!(watch.questions(at(23_001)), [place(0)]);
}

#[test]
fn nothing_is_watched_after_master_is_left_and_unconfirmed_ones_are_forgotten() {
    let mut watch = master();
    watch.heard(at(0), &place(0), THEM);
    watch.set(at(100), &web(), Vec::new());
    assert!(watch.questions(at(20_000)).is_empty() && watch.places().next().is_none());
    assert_eq!(watch.heard(at(3000), &place(0), THEM), None, "not ours now");
    watch.set(at(3000), &web(), targets(0..1));
    assert_eq!(watch.questions(at(3000)), [place(0)]);
    assert_eq!(watch.heard(at(3001), &place(0), THEM), None, "what was heard before does not count");
    assert!(watch.heard(at(6001), &place(0), THEM).is_some());
    // Told of: shown while it is ours, and not told of again after a short absence.
    assert_eq!(watch.strangers(at(6002)).len(), 1);
    watch.set(at(7000), &web(), Vec::new());
    assert!(watch.strangers(at(7000)).is_empty());
    watch.set(at(8000), &web(), targets(0..1));
    assert_eq!(watch.strangers(at(8000)).len(), 1);
    assert_eq!(watch.heard(at(12_000), &place(0), THEM), None);
}

#[test]
fn a_stranger_is_shown_for_a_minute_after_it_was_heard() {
    let mut watch = master();
    watch.heard(at(0), &place(0), THEM);
    assert!(watch.strangers(at(1)).is_empty(), "not confirmed");
    let stranger = watch.heard(at(3000), &place(0), THEM).unwrap();
    assert_eq!((&*stranger.instance, &stranger.place, stranger.mac), ("web", &place(0), THEM));
    watch.heard(at(13_000), &place(0), THEM);
    let shown = watch.strangers(at(72_999));
    assert_eq!(shown, [Stranger { last: at(13_000), ..stranger }]);
    assert!(watch.strangers(at(73_000)).is_empty());
}

#[test]
fn a_reload_keeps_what_stays() {
    let mut watch = Watch::default();
    watch.set(at(0), &web(), targets(0..2));
    watch.set(at(0), &"mail".into(), targets(5..6));
    assert_eq!(watch.questions(at(0)).len(), 3);
    watch.set(at(1000), &web(), targets(1..3));
    assert_eq!(watch.places().cloned().collect::<Vec<_>>(), [place(1), place(2), place(5)]);
    assert_eq!(watch.questions(at(1000)), [place(2)], "only what is new");
}

#[test]
fn what_is_remembered_is_bounded_and_room_comes_back() {
    let mut watch = master();
    let mac = |n: u8| [2, 0, 0, 0, 1, n];
    for ms in [0, 3000] {
        for n in 0..200 {
            watch.heard(at(ms), &place(0), mac(n));
        }
    }
    assert_eq!((watch.suspects.len(), watch.strangers(at(3000)).len()), (MOST, MOST));
    assert_eq!(watch.heard(at(6001), &place(0), THEM), None, "no place");
    assert_eq!(watch.heard(at(9002), &place(0), THEM), None);
    watch.heard(at(63_000), &place(0), THEM);
    assert!(watch.heard(at(66_000), &place(0), THEM).is_some());
    assert_eq!(watch.suspects.len(), 1);
}

#[test]
fn with_many_addresses_questions_keep_their_pace_and_suspects_come_first() {
    let mut watch = Watch::default();
    watch.set(at(0), &web(), targets(0..1000));
    let mut asked = 0;
    let mut of_suspect = Vec::new();
    for ms in (0..60_000).step_by(250) {
        let now = watch.questions(at(ms));
        assert!(now.len() <= 21, "{} at once", now.len());
        asked += now.len();
        if now.contains(&place(0)) {
            of_suspect.push(ms);
            watch.heard(at(ms), &place(0), THEM);
        }
    }
    assert!((1190..=1222).contains(&asked), "{asked} in a minute");
    assert_eq!(of_suspect, [0, 3000, 13_000, 23_000, 33_000, 43_000, 53_000]);
    assert_eq!(watch.strangers(at(60_000)).len(), 1);
}
