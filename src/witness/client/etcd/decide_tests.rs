use super::*;

const A: Fingerprint = Fingerprint([0xa; 32]);
const B: Fingerprint = Fingerprint([0xb; 32]);
const NOW: u64 = 1_000_000;

fn node(fingerprint: Fingerprint) -> Node {
    Node { fingerprint, name: "alpha".into() }
}

fn ask(verb: Verb, generation: u64, synced: u64) -> Ask {
    Ask {
        pair: "epn".parse().unwrap(),
        verb,
        generation,
        synced: Some(synced),
        lease_ms: 10_000,
        token: None,
    }
}

fn record(generation: u64, token: u64) -> Record {
    Record { version: VERSION, generation, token: Token(token) }
}

fn holding(holder: Option<Fingerprint>, token: u64, lease_ms: u64) -> Holding {
    Holding { version: VERSION, holder, node: "alpha".into(), token: Token(token), lease_ms }
}

fn view(record: Option<Record>, lease: Option<Holding>) -> View {
    View {
        record: record.map(|value| Seen { value, revision: 5, lease: 0 }),
        lease: lease.map(|value| Seen { value, revision: 7, lease: 77 }),
    }
}

fn decided(ask: &Ask, view: &View) -> Decision {
    decide(ask, &node(A), view, Limits::default(), NOW)
}

fn change(ask: &Ask, view: &View) -> Change {
    match decided(ask, view) {
        Decision::Change(change) => change,
        Decision::Answer(answer) => panic!("{answer:?}"),
    }
}

fn refused(ask: &Ask, view: &View) -> Denied {
    match decided(ask, view) {
        Decision::Answer(Answer::Denied(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_not_there_has_no_revision() {
    assert_eq!(View::default().revisions(), [0, 0]);
    assert_eq!(view(Some(record(1, 1)), Some(holding(None, 1, 1))).revisions(), [5, 7]);
}

#[test]
fn a_pair_that_nothing_is_known_of_waits_for_the_longest_lease() {
    for verb in [Verb::Acquire, Verb::Renew] {
        let change = change(&ask(verb, 9, 9), &View::default());
        assert_eq!(change.record, Some(record(0, NOW)), "not the generation that nothing was granted for");
        assert_eq!(change.holding.unwrap().lease_ms, 120_000);
        assert_eq!(change.answer, Answer::Denied(Denied::Waiting { remaining_ms: 120_000 }));
        // Meanwhile nobody gets it.
        let waits = view(Some(record(0, NOW)), Some(holding(None, NOW, 120_000)));
        assert_eq!(refused(&ask(verb, 9, 9), &waits), Denied::Waiting { remaining_ms: 120_000 });
    }
}

#[test]
fn a_free_lease_is_granted_with_a_new_number() {
    let free = view(Some(record(3, 50)), None);
    let given = change(&ask(Verb::Acquire, 7, 7), &free);
    // The clock's, since that is higher.
    assert_eq!(given.record, Some(record(7, NOW)));
    assert_eq!(given.holding, Some(holding(Some(A), NOW, 10_000)));
    assert_eq!(given.answer, Answer::Granted { token: Token(NOW) });
    // A clock that went back changes nothing of the order.
    let later = view(Some(record(3, NOW + 5)), None);
    assert_eq!(change(&ask(Verb::Acquire, 3, 3), &later).answer, Answer::Granted { token: Token(NOW + 6) });
    assert_eq!(refused(&ask(Verb::Renew, 7, 7), &free), Denied::NotYours, "there was a break");
    let full = view(Some(record(3, u64::MAX)), None);
    assert!(matches!(
        decided(&ask(Verb::Acquire, 3, 3), &full),
        Decision::Answer(Answer::Unavailable { .. })
    ));
}

#[test]
fn the_other_nodes_lease_is_denied_to_all_questions() {
    let held = view(Some(record(3, 50)), Some(holding(Some(B), 50, 8000)));
    for verb in [Verb::Acquire, Verb::Renew] {
        assert_eq!(refused(&ask(verb, 9, 9), &held), Denied::Held { remaining_ms: 8000 });
    }
    let release = Ask { token: Some(Token(50)), ..ask(Verb::Release, 0, 0) };
    assert_eq!(refused(&release, &held), Denied::NotYours);
    // Also where the record was lost.
    let lost = view(None, Some(holding(Some(B), 50, 8000)));
    assert_eq!(refused(&ask(Verb::Acquire, 9, 9), &lost), Denied::Held { remaining_ms: 8000 });
}

#[test]
fn a_renewal_keeps_the_number_and_the_greatest_length() {
    let held = view(Some(record(3, 50)), Some(holding(Some(A), 50, 60_000)));
    let renewed = change(&ask(Verb::Renew, 3, 3), &held);
    assert_eq!(renewed.record, None, "nothing new is known");
    assert_eq!(renewed.holding, Some(holding(Some(A), 50, 60_000)));
    assert_eq!(renewed.answer, Answer::Granted { token: Token(50) });
    // A new generation is kept at once; a lower one changes nothing.
    assert_eq!(change(&ask(Verb::Renew, 4, 3), &held).record, Some(record(4, 50)));
    assert_eq!(change(&ask(Verb::Renew, 2, 3), &held).record, None);
    // Anew: with a new number, and as long as before.
    let again = change(&ask(Verb::Acquire, 3, 3), &held);
    assert_eq!(again.holding, Some(holding(Some(A), NOW, 60_000)));
    // Who holds it without a record need not wait, and the record is there again.
    let lost = view(None, Some(holding(Some(A), 50, 8000)));
    assert_eq!(change(&ask(Verb::Renew, 3, 3), &lost).record, Some(record(3, 50)));
}

#[test]
fn older_data_get_no_lease() {
    let free = view(Some(record(8, 50)), None);
    assert_eq!(refused(&ask(Verb::Acquire, 9, 7), &free), Denied::Older { generation: 8 });
    assert_eq!(change(&ask(Verb::Acquire, 9, 8), &free).record, Some(record(9, NOW)));
    let without = Ask { synced: None, ..ask(Verb::Acquire, 7, 0) };
    assert_eq!(refused(&without, &free), Denied::Older { generation: 8 });
    // Not even to who has it.
    let held = view(Some(record(8, 50)), Some(holding(Some(A), 50, 8000)));
    assert_eq!(refused(&ask(Verb::Renew, 7, 7), &held), Denied::Older { generation: 8 });
}

#[test]
fn only_what_is_ones_own_is_given_back() {
    let held = view(Some(record(3, 50)), Some(holding(Some(A), 50, 8000)));
    let release = |token| Ask { token, lease_ms: 0, ..ask(Verb::Release, 0, 0) };
    let given_back = change(&release(Some(Token(50))), &held);
    assert_eq!((given_back.record, given_back.holding), (None, None));
    assert_eq!(given_back.answer, Answer::Released);
    // A late one does not end the next lease.
    for token in [None, Some(Token(49)), Some(Token(51))] {
        assert_eq!(refused(&release(token), &held), Denied::NotYours, "{token:?}");
    }
    let over = view(Some(record(3, 50)), None);
    assert_eq!(decided(&release(Some(Token(50))), &over), Decision::Answer(Answer::Released));
    assert_eq!(refused(&release(Some(Token(49))), &over), Denied::NotYours);
    assert_eq!(refused(&release(None), &View::default()), Denied::NotYours);
}

#[test]
fn a_lease_has_a_length() {
    let free = view(Some(record(3, 50)), None);
    for lease_ms in [0, 999, 120_001, u64::MAX] {
        let why = refused(&Ask { lease_ms, ..ask(Verb::Acquire, 3, 3) }, &free);
        assert_eq!(why, Denied::Length { shortest_ms: 1000, longest_ms: 120_000 });
    }
    for lease_ms in [1000, 120_000] {
        change(&Ask { lease_ms, ..ask(Verb::Acquire, 3, 3) }, &free);
    }
    let look = decided(&ask(Verb::Look, 3, 3), &free);
    assert!(matches!(look, Decision::Answer(Answer::Unavailable { .. })));
}
