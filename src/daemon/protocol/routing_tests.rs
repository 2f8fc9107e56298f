use super::*;
use std::time::Duration;

fn prefix(text: &str) -> Item {
    Item::Prefix(text.parse().unwrap())
}

fn route(n: u8) -> Item {
    Item::Route(format!("198.51.100.{n} dev eth0").parse().unwrap())
}

fn rule() -> Item {
    Item::Rule("from 192.0.2.0/24 table 100 priority 1000".parse().unwrap())
}

/// Carries out every step; the items in the order in which they were added and removed.
fn run(r: &mut Routing, applied: Applied) -> (Vec<Item>, Vec<Item>) {
    let (mut added, mut removed) = (Vec::new(), Vec::new());
    while let Some(step) = r.step() {
        match step {
            Step::Ensure(items) => {
                assert!(items.len() <= BATCH);
                for i in items {
                    r.added(&i, applied);
                    added.push(i);
                }
            }
            Step::Remove(items) => {
                for i in items {
                    r.removed(&i);
                    removed.push(i);
                }
            }
        }
    }
    (added, removed)
}

#[test]
fn everything_goes_in_in_order_and_out_the_other_way() {
    let mut r = Routing::default();
    let all = vec![prefix("198.18.4.0/30"), route(1), route(2), rule()];
    r.claim(all.clone());
    assert_eq!(run(&mut r, Applied::Done), (all.clone(), vec![]));
    r.claim(all.clone());
    assert!(!r.has_work(), "the same again is no work");
    r.release();
    let (added, removed) = run(&mut r, Applied::Done);
    assert!(added.is_empty());
    assert_eq!(removed, all.into_iter().rev().collect::<Vec<_>>());
    assert!(!r.has_work() && !r.is_exposed());
}

#[test]
fn another_list_removes_what_is_not_in_it_and_adds_what_is_new() {
    let mut r = Routing::default();
    r.claim(vec![route(1), route(2)]);
    run(&mut r, Applied::Done);
    r.claim(vec![route(2), route(3)]);
    assert_eq!(run(&mut r, Applied::Done), (vec![route(3)], vec![route(1)]));
}

#[test]
fn what_was_there_before_is_known_as_somebody_elses() {
    let mut r = Routing::default();
    r.claim(vec![route(1)]);
    assert_eq!(r.added(&route(1), Applied::AlreadyThere), Added::Foreign);
    assert_eq!(r.ownership(&route(1)), Some(Ownership::Foreign));
    assert_eq!(r.added(&route(1), Applied::AlreadyThere), Added::Known);
    assert_eq!(r.added(&route(1), Applied::Done), Added::PutBack, "now it is ours");
    assert_eq!(r.ownership(&route(1)), Some(Ownership::Ours));
}

#[test]
fn a_look_tries_all_and_a_claim_meanwhile_does_not_forget_it() {
    let mut r = Routing::default();
    r.verify();
    assert!(!r.has_work(), "nothing is held");
    r.claim(vec![route(1)]);
    run(&mut r, Applied::Done);
    r.verify();
    r.claim(vec![route(1), route(2)]);
    assert_eq!(run(&mut r, Applied::AlreadyThere).0, [route(1), route(2)]);
    r.claim(vec![route(1), route(2)]);
    assert!(!r.has_work(), "the look is over");
}

#[test]
fn a_failure_is_news_once_and_is_tried_again() {
    let mut r = Routing::default();
    let later = Instant::ZERO + Duration::from_secs(1);
    r.claim(vec![route(1)]);
    r.step();
    assert!(r.failed(&route(1), "no".into(), later));
    assert_eq!((r.retry_at, r.failures().count()), (Some(later), 1));
    r.retry();
    assert_eq!(r.step(), Some(Step::Ensure(vec![route(1)])));
    assert!(!r.failed(&route(1), "no".into(), later), "said before");
    r.retry();
    r.step();
    assert_eq!(r.added(&route(1), Applied::Done), Added::New);
    assert_eq!(r.failures().count(), 0);
    assert!(r.failed(&route(1), "again".into(), later), "news after a success");
    r.release();
    assert_eq!((r.failures().count(), r.retry_at), (0, None));
}

#[test]
fn what_an_earlier_daemon_left_is_ours_whether_it_is_taken_up_or_not() {
    let mut r = Routing::default();
    r.adopt(vec![route(1), route(2)]);
    assert!(!r.has_work(), "it waits for a decision");
    let mut given_up = r.clone();
    r.claim(vec![route(1), route(2)]);
    assert_eq!(r.added(&route(1), Applied::AlreadyThere), Added::New);
    assert_eq!(r.added(&route(2), Applied::Done), Added::New, "it had not got that far");
    assert_eq!(r.ownership(&route(1)), Some(Ownership::Ours));
    given_up.release();
    assert_eq!(run(&mut given_up, Applied::Done).1, [route(2), route(1)]);
}

#[test]
fn an_addition_whose_answer_was_lost_is_ours() {
    let mut r = Routing::default();
    r.claim(vec![route(1)]);
    run(&mut r, Applied::Done);
    r.verify();
    r.step();
    r.failed(&route(1), "no buffer space".into(), Instant::ZERO);
    r.retry();
    assert_eq!(r.added(&route(1), Applied::AlreadyThere), Added::New);
    assert_eq!(r.ownership(&route(1)), Some(Ownership::Ours), "so that it is removed in the end");
}

#[test]
fn addresses_are_announced_in_parts_once_the_prefix_is_in() {
    let (four, silent) = (prefix("198.18.4.0/30"), prefix("198.18.0.0/30 noannounce"));
    let six = prefix("2001:db8:5::/64");
    let asked: IpAddr = "2001:db8:5::7".parse().unwrap();
    let mut r = Routing::default();
    r.claim(vec![four.clone(), silent, six]);
    r.announce(|_| [asked].into());
    assert_eq!(r.next_announced(3), None, "nothing before it is in");
    run(&mut r, Applied::Done);
    let Item::Prefix(p) = &four else { panic!() };
    r.announce_one(p, VecDeque::new());
    let mut seen = Vec::new();
    while let Some((_, batch)) = r.next_announced(3) {
        assert!(batch.len() <= 3);
        seen.extend(batch.iter().map(ToString::to_string));
    }
    assert_eq!(seen, ["198.18.4.0", "198.18.4.1", "198.18.4.2", "198.18.4.3", "2001:db8:5::7"]);
    assert!(!r.has_work());
    r.release();
    r.announce(|_| VecDeque::new());
    run(&mut r, Applied::Done);
    assert!(!r.has_work(), "nothing is announced that was given up");
}
