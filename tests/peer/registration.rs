//! Two nodes that do everything right, and operators that did not.

use crate::proxy::{Direction, Proxy};
use crate::support::{HOUR, KEY, Node, name, options, until};
use serde_json::json;
use std::time::Duration;
use tandemd::peer::registration::Milestone;
use tandemd::peer::server::{Timing, Withdrawn};
use tandemd::peer::{AuthKey, Event, PinError, Registered, Registration, RegistrationError};

async fn register(
    a: &Node,
    terms: Registration,
    b: &crate::support::Serving,
) -> Result<Registered, RegistrationError> {
    terms.run(&options(b.address, "127.0.0.2"), &a.identity, &a.pins, |_| {}).await
}

#[tokio::test]
async fn both_pin_each_other_and_the_first_word_ends_the_trial() {
    let (a, b) = (Node::new("esc-1"), Node::new("esc-2"));
    let serving = b.serve().await;
    serving.desk.offer(b.terms(), HOUR);
    let mut milestones = Vec::new();
    let options = options(serving.address, "127.0.0.2");
    let registered = a.terms().run(&options, &a.identity, &a.pins, |m| milestones.push(m)).await.unwrap();
    assert_eq!(milestones, [Milestone::Connected, Milestone::Proven, Milestone::Agreed, Milestone::Pinned]);
    assert_eq!(a.on_disk(), std::slice::from_ref(&registered.pin));
    assert_eq!(registered.pin.fingerprint, b.identity.fingerprint());
    assert_eq!((registered.pin.node.as_str(), registered.pin.trial), ("esc-2", false));
    let there = b.on_disk().remove(0);
    assert_eq!((there.node.as_str(), there.fingerprint), ("esc-1", a.identity.fingerprint()));
    assert_eq!(there.address.to_string(), "127.0.0.2");
    assert!(there.trial && !serving.desk.is_open());

    let mut client = a.client(serving.address, &registered.pin, "127.0.0.2");
    assert_eq!(client.heartbeat(&json!(1)).await.unwrap(), json!({ "heard": 1 }));
    assert!(!b.on_disk()[0].trial);
    assert_eq!(serving.heard.callers.lock().unwrap()[0].pins, b.pins.list());
    assert_eq!(serving.heard.count(|e| matches!(e, Event::Heard(_))), 1);
    assert_eq!(client.message(&json!([2])).await.unwrap(), json!({ "message": [2] }));
    assert_eq!(serving.heard.count(|e| matches!(e, Event::Heard(_))), 1);
}

/// Nothing is kept anywhere, and the operator reads why.
async fn fails(change: impl FnOnce(&mut Registration), says: &[&str], still_open: bool) {
    let (a, b) = (Node::new("esc-1"), Node::new("esc-2"));
    let serving = b.serve().await;
    serving.desk.offer(b.terms(), HOUR);
    let mut terms = a.terms();
    change(&mut terms);
    let why = register(&a, terms, &serving).await.unwrap_err().to_string();
    for part in says {
        assert!(why.contains(part), "{why}");
    }
    assert!(!why.contains("Right-Key") && !why.contains("Wrong-Key"), "{why}");
    assert!(a.on_disk().is_empty() && b.on_disk().is_empty());
    assert_eq!(serving.desk.is_open(), still_open);
    assert_eq!(serving.heard.registered(), 0);
}

#[tokio::test]
async fn a_wrong_key() {
    let wrong = |t: &mut Registration| t.key = AuthKey::new("Wrong-Key-1").unwrap();
    fails(wrong, &["authentication keys of the two nodes differ", "The certificate of this node is"], true)
        .await;
}

#[tokio::test]
async fn another_version() {
    fails(|t| t.version = "0.9".into(), &["this node runs version 0.9, the other one 1.0"], true).await;
}

#[tokio::test]
async fn other_settings() {
    let other = |t: &mut Registration| t.settings = json!({"vip": "192.0.2.101/24", "mail": ["x"]});
    let says =
        ["mail: [\"x\"] here, not set there", "vip: \"192.0.2.101/24\" here, \"192.0.2.100/24\" there"];
    fails(other, &says, true).await;
}

#[tokio::test]
async fn another_pair() {
    fails(|t| t.pair = name("other"), &["the other node refused: it waits for pair esc, not other"], true)
        .await;
}

#[tokio::test]
async fn the_same_name() {
    fails(|t| t.node = name("esc-2"), &["both nodes have the name esc-2"], true).await;
}

#[tokio::test]
async fn nobody_waits_for_it() {
    let (a, b) = (Node::new("esc-1"), Node::new("esc-2"));
    let serving = b.serve().await;
    let why = register(&a, a.terms(), &serving).await.unwrap_err();
    assert!(matches!(why, RegistrationError::NotOpen), "{why:?}");
    // Closed again, and its time over.
    serving.desk.offer(b.terms(), HOUR);
    serving.desk.close();
    assert!(matches!(register(&a, a.terms(), &serving).await, Err(RegistrationError::NotOpen)));
    serving.desk.offer(b.terms(), Duration::ZERO);
    assert!(matches!(register(&a, a.terms(), &serving).await, Err(RegistrationError::NotOpen)));
    assert!(a.on_disk().is_empty() && b.on_disk().is_empty());
}

#[tokio::test]
async fn a_node_is_not_registered_with_itself() {
    let a = Node::new("esc-1");
    let serving = a.serve().await;
    serving.desk.offer(a.terms(), HOUR);
    assert!(matches!(register(&a, a.terms(), &serving).await, Err(RegistrationError::Itself)));
}

#[tokio::test]
async fn a_changed_certificate_is_refused_on_both_sides_until_it_is_forgotten() {
    let (a, b, replaced) = (Node::new("esc-1"), Node::new("esc-2"), Node::new("esc-2"));
    // The primary knows the old machine, by its address.
    a.pin(&replaced, "127.0.0.1");
    let serving = b.serve().await;
    serving.desk.offer(b.terms(), HOUR);
    let why = register(&a, a.terms(), &serving).await.unwrap_err();
    assert!(matches!(why, RegistrationError::Pin(PinError::Changed { .. })), "{why}");
    // By its name, wherever it was.
    a.pins.delete("esc-2").unwrap();
    a.pin(&replaced, "127.0.0.77");
    let why = register(&a, a.terms(), &serving).await.unwrap_err();
    assert!(matches!(why, RegistrationError::Pin(PinError::Changed { .. })), "{why}");
    a.pins.delete("127.0.0.77").unwrap();
    // The secondary knows an old primary.
    let old = Node::new("esc-1");
    b.pin(&old, "127.0.0.78");
    let why = register(&a, a.terms(), &serving).await.unwrap_err().to_string();
    assert!(why.contains("the other node refused: the certificate of esc-1 has changed"), "{why}");
    assert!(a.on_disk().is_empty());
    b.pins.delete("esc-1").unwrap();
    register(&a, a.terms(), &serving).await.unwrap();
    assert_eq!((a.on_disk().len(), b.on_disk().len()), (1, 1));
}

#[tokio::test]
async fn registered_again_nothing_changes_also_if_that_fails() {
    let (a, b) = (Node::new("esc-1"), Node::new("esc-2"));
    let (there, here) = (a.pin(&b, "127.0.0.1"), b.pin(&a, "127.0.0.2"));
    let serving = b.serve().await;
    serving.desk.offer(b.terms(), HOUR);
    let mut wrong = a.terms();
    wrong.key = AuthKey::new("Wrong-Key-1").unwrap();
    register(&a, wrong, &serving).await.unwrap_err();
    assert_eq!((a.on_disk(), b.on_disk()), (vec![there.clone()], vec![here.clone()]));
    register(&a, a.terms(), &serving).await.unwrap();
    assert_eq!((a.on_disk(), b.on_disk()), (vec![there], vec![here]));
}

#[tokio::test]
async fn a_disk_that_refuses_here_leaves_nothing_there() {
    let (a, b) = (Node::new("esc-1"), Node::new("esc-2"));
    std::fs::create_dir_all(a.dir.path().join("peer/pins.json/in the way")).unwrap();
    let serving = b.serve().await;
    serving.desk.offer(b.terms(), HOUR);
    let why = register(&a, a.terms(), &serving).await.unwrap_err();
    assert!(matches!(why, RegistrationError::Pin(PinError::Write { .. })), "{why}");
    // It was told, so nobody waits for the end of the trial.
    let abandoned = |e: &Event| matches!(e, Event::Withdrawn(_, Withdrawn::Abandoned));
    until("withdrawn", || serving.heard.count(abandoned) == 1).await;
    assert!(a.pins.list().is_empty() && b.on_disk().is_empty());
}

#[tokio::test]
async fn a_disk_that_refuses_there_leaves_nothing_here() {
    let (a, b) = (Node::new("esc-1"), Node::new("esc-2"));
    std::fs::create_dir_all(b.dir.path().join("peer/pins.json/in the way")).unwrap();
    let serving = b.serve().await;
    serving.desk.offer(b.terms(), HOUR);
    let why = register(&a, a.terms(), &serving).await.unwrap_err().to_string();
    assert!(why.contains("refused") && why.contains("pins.json"), "{why}");
    assert!(a.on_disk().is_empty() && b.pins.list().is_empty() && serving.desk.is_open());
}

#[tokio::test]
async fn a_peer_that_is_never_heard_is_forgotten_also_after_a_restart() {
    let (a, b) = (Node::new("esc-1"), Node::new("esc-2"));
    let serving = b.serve().await;
    serving.desk.offer(b.terms(), HOUR);
    register(&a, a.terms(), &serving).await.unwrap();
    serving.stop().await;
    assert_eq!(b.on_disk().len(), 1);
    let serving = b.serve_with(Timing { trial: Duration::from_millis(50), ..Timing::default() }).await;
    let silent = |e: &Event| matches!(e, Event::Withdrawn(_, Withdrawn::Silent));
    until("withdrawn", || serving.heard.count(silent) == 1).await;
    assert!(b.on_disk().is_empty());
}

#[tokio::test]
async fn the_key_is_nowhere_on_the_wire() {
    let (a, b) = (Node::new("esc-1"), Node::new("esc-2"));
    let serving = b.serve().await;
    serving.desk.offer(b.terms(), HOUR);
    let proxy = Proxy::to(serving.address, None).await;
    a.terms().run(&options(proxy.address, "127.0.0.2"), &a.identity, &a.pins, |_| {}).await.unwrap();
    for direction in [Direction::ToServer, Direction::ToClient] {
        let all = proxy.records(direction).concat();
        assert!(all.len() > 1000);
        assert!(!all.windows(KEY.len()).any(|w| w == KEY.as_bytes()));
    }
}

/// The secondary serves, and knows the dead primary; `new` shall take its place.
async fn replaced(
    spoil: impl AsyncFnOnce(&crate::support::Serving, &mut Registration),
) -> (Node, Node, Node) {
    let (dead, new, b) = (Node::new("esc-1"), Node::new("esc-1"), Node::new("esc-2"));
    b.pin(&dead, "127.0.0.1");
    let serving = b.serve().await;
    serving.desk.offer_place(b.terms(), dead.identity.fingerprint(), HOUR);
    let mut terms = new.terms();
    spoil(&serving, &mut terms).await;
    if let Ok(done) = register(&new, terms, &serving).await {
        let there = b.on_disk().remove(0);
        assert!(there.fingerprint == new.identity.fingerprint() && there.replaces.is_some(), "{there:?}");
        let why =
            dead.client(serving.address, &dead.pin(&b, "127.0.0.1"), "127.0.0.2").heartbeat(&json!(1)).await;
        assert!(why.is_err(), "the dead one is not known while the new one is on trial");
        let mut client = new.client(serving.address, &done.pin, "127.0.0.2");
        assert_eq!(client.heartbeat(&json!(1)).await.unwrap(), json!({ "heard": 1 }));
    }
    serving.stop().await;
    (dead, new, b)
}

#[tokio::test]
async fn a_new_machine_takes_the_place_of_the_dead_one() {
    let (_, new, b) = replaced(async |_, _| {}).await;
    let there = b.on_disk();
    assert_eq!((there.len(), there[0].fingerprint), (1, new.identity.fingerprint()));
    assert!(!there[0].trial && there[0].replaces.is_none());
    assert_eq!(new.on_disk().len(), 1);
}

#[tokio::test]
async fn whatever_fails_the_dead_one_is_still_known() {
    let wrong = async |_: &crate::support::Serving, t: &mut Registration| {
        t.key = AuthKey::new("Wrong-Key-1").unwrap()
    };
    let other = async |_: &crate::support::Serving, t: &mut Registration| {
        t.settings = json!({"vip": "192.0.2.101/24"})
    };
    let withdrawn =
        async |b: &crate::support::Serving, t: &mut Registration| assert!(b.desk.close_pair(&t.pair));
    for (dead, new, b) in [replaced(wrong).await, replaced(other).await, replaced(withdrawn).await] {
        let there = b.on_disk();
        assert_eq!((there.len(), there[0].fingerprint), (1, dead.identity.fingerprint()));
        assert!(!there[0].trial && new.on_disk().is_empty());
    }
}

#[tokio::test]
async fn a_new_machine_that_is_never_heard_leaves_the_place_to_the_dead_one() {
    let (dead, new, b) = (Node::new("esc-1"), Node::new("esc-1"), Node::new("esc-2"));
    b.pin(&dead, "127.0.0.1");
    let serving = b.serve_with(Timing { trial: Duration::from_millis(50), ..Timing::default() }).await;
    serving.desk.offer_place(b.terms(), dead.identity.fingerprint(), HOUR);
    register(&new, new.terms(), &serving).await.unwrap();
    let silent = |e: &Event| matches!(e, Event::Withdrawn(_, Withdrawn::Silent));
    until("withdrawn", || serving.heard.count(silent) == 1).await;
    let there = b.on_disk();
    assert_eq!((there.len(), there[0].fingerprint, there[0].trial), (1, dead.identity.fingerprint(), false));
    // An offer without a place does not give it away.
    serving.desk.offer(b.terms(), HOUR);
    let other = Node::new("esc-1");
    let why = register(&other, other.terms(), &serving).await.unwrap_err().to_string();
    assert!(why.contains("the certificate of esc-1 has changed"), "{why}");
}
