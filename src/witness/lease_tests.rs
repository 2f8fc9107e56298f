//! Each rule by itself; random schedules are in `tests/witness`.

use super::*;

const A: Fingerprint = Fingerprint([0xa; 32]);
const B: Fingerprint = Fingerprint([0xb; 32]);
const STRANGER: Fingerprint = Fingerprint([0xc; 32]);

fn at(s: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(s)
}

fn pair() -> PairId {
    "p".parse().unwrap()
}

fn ask(verb: Verb, generation: u64) -> Ask {
    Ask { pair: pair(), verb, generation, synced: None, lease_ms: 10_000, token: None }
}

fn release(token: u64) -> Ask {
    Ask { token: Some(Token(token)), ..ask(Verb::Release, 0) }
}

fn granted(token: u64) -> Answer {
    Answer::Granted { token: Token(token) }
}

fn no(why: Denied) -> Answer {
    Answer::Denied(why)
}

/// The core with a disk that works.
struct Bench(Leases, Option<Record>);

impl Bench {
    /// As after a restart.
    fn on(found: Found, now: Instant) -> Self {
        let mut leases = Leases::new(Limits::default());
        let record = match &found {
            Found::Record(r) => Some(r.clone()),
            _ => None,
        };
        leases.add(pair(), [A, B], found, now).unwrap();
        Bench(leases, record)
    }

    /// At 200 s, when nothing has to be waited for any more.
    fn ready() -> Self {
        let mut b = Bench::on(Found::Nothing(Token(0)), Instant::ZERO);
        assert_eq!(b.ask(A, &ask(Verb::Renew, 0), at(200)), no(Denied::NotYours));
        b
    }

    fn ask(&mut self, who: Fingerprint, ask: &Ask, now: Instant) -> Answer {
        match self.0.ask(who, ask, now) {
            Decision::Answer(answer) => answer,
            Decision::Write(record) => {
                self.1 = Some(record);
                self.0.written(&ask.pair, Ok(()))
            }
        }
    }
}

#[test]
fn one_node_at_a_time_until_it_has_run_out() {
    let mut b = Bench::ready();
    assert_eq!(b.ask(A, &ask(Verb::Acquire, 1), at(200)), granted(1));
    assert_eq!(b.ask(B, &ask(Verb::Acquire, 2), at(205)), no(Denied::Held { remaining_ms: 5000 }));
    assert_eq!(b.ask(A, &ask(Verb::Renew, 1), at(206)), granted(1));
    let last = at(216) - Duration::from_nanos(1);
    assert_eq!(b.ask(B, &ask(Verb::Acquire, 2), last), no(Denied::Held { remaining_ms: 1 }));
    assert_eq!(b.ask(B, &ask(Verb::Acquire, 2), at(216)), granted(2));
    assert_eq!(b.ask(A, &ask(Verb::Renew, 1), at(217)), no(Denied::Held { remaining_ms: 9000 }));
}

#[test]
fn what_has_run_out_is_acquired_anew_not_renewed() {
    let mut b = Bench::ready();
    b.ask(A, &ask(Verb::Acquire, 1), at(200));
    assert_eq!(b.ask(A, &ask(Verb::Renew, 1), at(210)), no(Denied::NotYours));
    assert_eq!(b.ask(A, &ask(Verb::Acquire, 1), at(210)), granted(2));
}

#[test]
fn a_release_frees_it_and_a_late_one_does_not() {
    let mut b = Bench::ready();
    b.ask(A, &ask(Verb::Acquire, 1), at(200));
    for wrong in [release(9), ask(Verb::Release, 1)] {
        assert_eq!(b.ask(A, &wrong, at(200)), no(Denied::NotYours));
    }
    assert_eq!(b.ask(B, &release(1), at(200)), no(Denied::NotYours));
    assert_eq!(b.ask(A, &ask(Verb::Acquire, 1), at(201)), granted(2));
    assert_eq!(b.ask(A, &release(1), at(201)), no(Denied::NotYours));
    assert_eq!(b.ask(A, &release(2), at(201)), Answer::Released);
    assert_eq!(b.ask(A, &release(2), at(201)), Answer::Released);
    assert_eq!(b.ask(A, &ask(Verb::Renew, 1), at(201)), no(Denied::NotYours));
    assert_eq!(b.ask(B, &ask(Verb::Acquire, 1), at(201)), granted(3));
}

#[test]
fn an_older_generation_gets_nothing() {
    let mut b = Bench::ready();
    b.ask(A, &ask(Verb::Acquire, 5), at(200));
    assert_eq!(b.ask(B, &ask(Verb::Acquire, 4), at(220)), no(Denied::Older { generation: 5 }));
    assert_eq!(b.ask(B, &ask(Verb::Acquire, 5), at(220)), granted(2));
    assert_eq!(b.ask(B, &ask(Verb::Renew, 6), at(221)), granted(2));
    assert_eq!(b.1.unwrap().generation, 6);
}

#[test]
fn the_length_is_bounded_and_the_longest_that_was_granted_counts() {
    let mut b = Bench::ready();
    let of = |ms| Ask { lease_ms: ms, ..ask(Verb::Acquire, 1) };
    let wrong = no(Denied::Length { shortest_ms: 1000, longest_ms: 120_000 });
    for ms in [0, 999, 120_001, u64::MAX] {
        assert_eq!(b.ask(A, &of(ms), at(200)), wrong);
    }
    assert_eq!(b.ask(A, &of(60_000), at(200)), granted(1));
    assert_eq!(b.ask(A, &of(1000), at(210)), granted(2));
    assert_eq!(b.ask(B, &of(1000), at(259)), no(Denied::Held { remaining_ms: 1000 }));
    assert_eq!(b.1.clone().unwrap().longest_ms, 60_000);
    // Once it had run out, nothing of it counts any more.
    b.ask(A, &of(1000), at(300));
    assert_eq!(b.1.unwrap().longest_ms, 1000);
}

#[test]
fn after_a_restart_only_the_last_holder_gets_it_before_the_longest_has_run_out() {
    let mut b = Bench::ready();
    b.ask(A, &ask(Verb::Acquire, 3), at(200));
    let record = Found::Record(b.1.unwrap());
    let mut b = Bench::on(record.clone(), at(5));
    assert_eq!(b.ask(B, &ask(Verb::Acquire, 9), at(14)), no(Denied::Held { remaining_ms: 1000 }));
    assert_eq!(b.ask(A, &ask(Verb::Renew, 3), at(14)), granted(1));
    assert_eq!(b.ask(B, &ask(Verb::Acquire, 9), at(23)), no(Denied::Held { remaining_ms: 1000 }));
    let mut b = Bench::on(record, at(5));
    assert_eq!(b.ask(B, &ask(Verb::Acquire, 9), at(15)), granted(2));
}

#[test]
fn after_a_release_a_restart_makes_nobody_wait() {
    let mut b = Bench::ready();
    b.ask(A, &ask(Verb::Acquire, 3), at(200));
    b.ask(A, &release(1), at(201));
    let mut b = Bench::on(Found::Record(b.1.unwrap()), at(5));
    assert_eq!(b.ask(B, &ask(Verb::Acquire, 3), at(5)), granted(2));
}

#[test]
fn without_a_record_everybody_waits_and_numbers_begin_higher() {
    let mut b = Bench::on(Found::Nothing(Token(1000)), at(10));
    for who in [A, B] {
        let answer = b.ask(who, &ask(Verb::Acquire, 1), at(129));
        assert_eq!(answer, no(Denied::Waiting { remaining_ms: 1000 }));
    }
    assert_eq!(b.ask(B, &ask(Verb::Acquire, 1), at(130)), granted(1001));
}

#[test]
fn what_cannot_be_read_gives_nothing_to_anybody() {
    let mut b = Bench::on(Found::Unreadable("p.json: not JSON".into()), at(0));
    for verb in [Verb::Acquire, Verb::Renew, Verb::Release, Verb::Look] {
        assert_eq!(b.ask(A, &ask(verb, 1), at(9999)), Answer::unavailable("p.json: not JSON"));
    }
}

#[test]
fn nothing_is_answered_before_it_is_written() {
    let Bench(mut leases, _) = Bench::ready();
    let Decision::Write(record) = leases.ask(A, &ask(Verb::Acquire, 1), at(200)) else { panic!("no write") };
    assert_eq!((record.holder, record.token, record.longest_ms), (Some(A), Token(1), 10_000));
    for (who, verb) in [(A, Verb::Renew), (A, Verb::Acquire), (B, Verb::Acquire)] {
        let answer = leases.ask(who, &ask(verb, 1), at(200));
        assert!(matches!(answer, Decision::Answer(Answer::Unavailable { .. })), "{answer:?}");
    }
    let answer = leases.written(&pair(), Err("no space".into()));
    assert!(matches!(&answer, Answer::Unavailable { why } if why.contains("no space")), "{answer:?}");
    assert!(matches!(leases.written(&pair(), Ok(())), Answer::Unavailable { .. }));
    // Nobody has it, so the other one may.
    assert!(
        matches!(leases.ask(B, &ask(Verb::Acquire, 1), at(200)), Decision::Write(r) if r.token == Token(1))
    );
    assert_eq!(leases.written(&pair(), Ok(())), granted(1));
    // A renewal changes nothing on the disk; a longer one does, and does not count before.
    assert_eq!(leases.ask(B, &ask(Verb::Renew, 1), at(201)), Decision::Answer(granted(1)));
    let longer = Ask { lease_ms: 20_000, ..ask(Verb::Renew, 1) };
    assert!(matches!(leases.ask(B, &longer, at(202)), Decision::Write(r) if r.longest_ms == 20_000));
    leases.written(&pair(), Err("no space".into()));
    assert!(matches!(leases.ask(A, &ask(Verb::Acquire, 1), at(211)), Decision::Write(_)));
}

#[test]
fn a_release_counts_even_if_it_cannot_be_written() {
    let Bench(mut leases, _) = Bench::ready();
    leases.ask(A, &ask(Verb::Acquire, 1), at(200));
    leases.written(&pair(), Ok(()));
    assert!(matches!(leases.ask(A, &release(1), at(200)), Decision::Write(r) if r.released));
    assert_eq!(leases.written(&pair(), Err("no space".into())), Answer::Released);
    assert!(matches!(leases.ask(B, &ask(Verb::Acquire, 1), at(200)), Decision::Write(_)));
}

#[test]
fn strangers_learn_nothing_and_the_number_of_pairs_is_bounded() {
    let mut b = Bench::ready();
    let unknown = Ask { pair: "q".parse().unwrap(), ..ask(Verb::Look, 0) };
    assert_eq!(b.ask(A, &unknown, at(200)), no(Denied::Stranger));
    assert_eq!(b.ask(STRANGER, &ask(Verb::Look, 0), at(200)), no(Denied::Stranger));
    let limits = Limits { pairs: 2, ..Limits::default() };
    let mut leases = Leases::new(limits);
    let mut add = |name: &str, nodes| {
        leases.add(name.parse().unwrap(), nodes, Found::Nothing(Token(0)), at(0)).map_err(|e| e.to_string())
    };
    assert!(add("a", [A, A]).unwrap_err().contains("same certificate"));
    assert_eq!(add("a", [A, B]), Ok(()));
    assert!(add("a", [A, B]).unwrap_err().contains("twice"));
    assert_eq!(add("b", [A, B]), Ok(()));
    assert!(add("c", [A, B]).unwrap_err().contains("2 pairs at most"));
    assert_eq!(leases.len(), 2);
}

#[test]
fn a_look_tells_who_has_it_and_changes_nothing() {
    let mut b = Bench::ready();
    b.ask(A, &ask(Verb::Acquire, 4), at(200));
    let look = |b: &mut Bench, who, now| match b.ask(who, &ask(Verb::Look, 0), now) {
        Answer::View(view) => view,
        other => panic!("{other:?}"),
    };
    let seen = look(&mut b, B, at(203));
    let expected =
        LeaseView { holder: Some(A), yours: false, remaining_ms: 7000, generation: 4, token: Token(1) };
    assert_eq!(seen, expected);
    assert!(look(&mut b, A, at(203)).yours && !look(&mut b, A, at(210)).yours);
    assert_eq!(look(&mut b, A, at(210)).remaining_ms, 0);
}

#[test]
fn what_counts_is_what_the_data_belong_to() {
    let mut b = Bench::ready();
    let of = |generation, synced| Ask { synced: Some(synced), ..ask(Verb::Acquire, generation) };
    assert_eq!(b.ask(A, &of(3, 3), at(200)), granted(1));
    // The other one has heard of a higher generation, and its data are older than what the witness knows.
    assert_eq!(b.ask(B, &of(5, 2), at(300)), no(Denied::Older { generation: 3 }));
    // Data that are current, and a generation that it has not heard of: the witness forgets no higher one.
    assert_eq!(b.ask(B, &of(2, 3), at(300)), granted(2));
    assert_eq!(b.ask(A, &of(2, 2), at(400)), no(Denied::Older { generation: 3 }));
}
