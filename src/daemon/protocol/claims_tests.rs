use super::*;

fn wanted(n: u8) -> Wanted {
    let address = IpAddr::from([198, 18, 0, n]);
    Wanted {
        place: Place { ifindex: 2, address, prefix_len: 32 },
        spec: VirtualAddress {
            address,
            prefix_len: 32,
            dev: None,
            label: None,
            broadcast: None,
            scope: 0,
            no_prefix_route: false,
            deprecated: false,
        },
    }
}

fn many(n: u8) -> Vec<Wanted> {
    (1..=n).map(wanted).collect()
}

/// Carries out every step as a kernel that refuses nothing would; returns the steps.
fn run(c: &mut Claim) -> Vec<Step> {
    let mut steps = Vec::new();
    while let Some(step) = c.step() {
        match &step {
            Step::Add(ws) => ws.iter().for_each(|w| c.added(w.place, Ownership::Ours)),
            Step::Remove(ps) => ps.iter().for_each(|p| c.gone(p)),
            Step::Announce(_) | Step::Released => {}
        }
        steps.push(step);
        assert!(steps.len() < 1000, "never ends");
    }
    steps
}

fn count(steps: &[Step], f: impl Fn(&Step) -> usize) -> usize {
    steps.iter().map(f).sum()
}

fn announced(steps: &[Step]) -> usize {
    count(steps, |s| if let Step::Announce(a) = s { a.len() } else { 0 })
}

fn added(steps: &[Step]) -> usize {
    count(steps, |s| if let Step::Add(a) = s { a.len() } else { 0 })
}

#[test]
fn a_claim_is_added_in_batches_and_announced_copy_by_copy() {
    let mut c = Claim::default();
    c.claim(many(100));
    c.announce(5);
    let steps = run(&mut c);
    assert_eq!(added(&steps), 100);
    assert!(steps.iter().all(|s| !matches!(s, Step::Add(a) if a.len() > BATCH)));
    // The first copy goes out as the addresses come in; that is the caller's part of Step::Add.
    assert_eq!(announced(&steps), 400);
    assert_eq!(c.present(), 100);
}

#[test]
fn what_is_there_is_left_alone_and_what_is_not_wanted_any_more_goes() {
    let mut c = Claim::default();
    c.claim(many(3));
    run(&mut c);
    c.claim(vec![wanted(2), wanted(3), wanted(4)]);
    c.announce(2);
    let steps = run(&mut c);
    assert_eq!(steps.first(), Some(&Step::Remove(vec![wanted(1).place])));
    assert_eq!(steps.get(1), Some(&Step::Add(vec![wanted(4)])));
    assert_eq!(announced(&steps), 6);
}

#[test]
fn a_release_in_the_middle_of_a_claim_removes_only_what_is_in() {
    let mut c = Claim::default();
    c.claim(many(100));
    let Some(Step::Add(first)) = c.step() else { panic!("a batch is due") };
    first.iter().for_each(|w| c.added(w.place, Ownership::Ours));
    c.release();
    let steps = run(&mut c);
    assert_eq!(count(&steps, |s| if let Step::Remove(p) = s { p.len() } else { 0 }), BATCH);
    assert_eq!(steps.last(), Some(&Step::Released));
    assert!(!c.is_held() && c.present() == 0 && !c.has_work());
}

#[test]
fn a_claim_right_after_a_release_keeps_what_is_still_there_and_is_never_released() {
    let mut c = Claim::default();
    c.claim(many(100));
    run(&mut c);
    c.release();
    let Some(Step::Remove(first)) = c.step() else { panic!("a batch is due") };
    first.iter().for_each(|p| c.gone(p));
    c.claim(many(100));
    let steps = run(&mut c);
    assert_eq!(added(&steps), BATCH);
    assert!(!steps.contains(&Step::Released));
}

#[test]
fn a_release_of_nothing_is_reported_too() {
    let mut c = Claim::default();
    c.release();
    assert_eq!(run(&mut c), [Step::Released]);
    c.claim(Vec::new());
    c.announce(5);
    assert_eq!(run(&mut c), []);
}

#[test]
fn addresses_that_could_not_be_added_are_not_announced() {
    let mut c = Claim::default();
    c.claim(many(100));
    c.announce(3);
    let mut seen = 0;
    while let Some(step) = c.step() {
        match step {
            Step::Add(ws) => ws
                .iter()
                .filter(|w| w.place.address == IpAddr::from([198, 18, 0, 99]))
                .for_each(|w| c.added(w.place, Ownership::Ours)),
            Step::Announce(a) => seen += a.len(),
            _ => {}
        }
    }
    assert_eq!(seen, 2, "one address, two copies after the one at its coming in");
}

#[test]
fn an_address_found_there_stays_foreign() {
    let mut c = Claim::default();
    c.claim(many(1));
    c.added(wanted(1).place, Ownership::Foreign);
    c.added(wanted(1).place, Ownership::Ours);
    assert_eq!(c.ownership(&wanted(1).place), Some(Ownership::Foreign));
    assert!(c.wants(&wanted(1).place) && !c.wants(&wanted(2).place));
}
