//! The way is cut at each TLS record of a registration, in both directions: all or nothing, on both.

use crate::proxy::{Cut, Direction, How, Proxy};
use crate::support::{HOUR, Node, options, until};
use std::time::Duration;
use tandemd::peer::server::Timing;

/// What the registration came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    Done,
    /// It failed before the other node had pinned.
    Failed,
    /// It failed when the other node had pinned, which then took that back.
    TakenBack,
}

async fn run(cut: Option<(Cut, bool)>) -> (Outcome, [usize; 2]) {
    let (a, b) = (Node::new("esc-1"), Node::new("esc-2"));
    // Long enough to be looked at, short enough to be waited for.
    let serving = b.serve_with(Timing { trial: Duration::from_secs(3), ..Timing::default() }).await;
    serving.desk.offer(b.terms(), HOUR);
    let cut = cut.map(|(cut, heals)| Cut { then: heals.then_some(serving.address), ..cut });
    let proxy = Proxy::to(serving.address, cut).await;
    let mut options = options(proxy.address, "127.0.0.2");
    if cut.is_some_and(|c| c.how == How::Swallow) {
        (options.connect, options.answer) = (Duration::from_millis(400), Duration::from_millis(400));
    }
    let result = a.terms().run(&options, &a.identity, &a.pins, |_| {}).await;
    let records = [Direction::ToServer, Direction::ToClient].map(|d| proxy.records(d).len());
    if let Ok(registered) = result {
        // Nobody was heard after it, so on a machine that sleeps for seconds the trial may be over.
        assert_eq!(b.on_disk().len() + serving.heard.withdrawn(), 1, "{cut:?}");
        assert_eq!(a.on_disk(), [registered.pin], "{cut:?}");
        return (Outcome::Done, records);
    }
    assert!(a.on_disk().is_empty() && a.pins.list().is_empty(), "{cut:?}");
    drop(proxy);
    until("nothing is kept", || {
        b.pins.list().is_empty() && serving.heard.registered() == serving.heard.withdrawn()
    })
    .await;
    let outcome = if serving.heard.registered() > 0 { Outcome::TakenBack } else { Outcome::Failed };
    let heard = serving.heard.clone();
    serving.stop().await;
    assert_eq!(heard.registered(), heard.withdrawn(), "{cut:?}");
    assert!(b.on_disk().is_empty(), "{cut:?}");
    (outcome, records)
}

async fn everywhere(how: How, heals: bool) {
    let (outcome, counts) = run(None).await;
    assert_eq!(outcome, Outcome::Done);
    let mut outcomes = Vec::new();
    for direction in [Direction::ToServer, Direction::ToClient] {
        for at in 0..counts[direction as usize] {
            outcomes.push(run(Some((Cut { direction, at, how, then: None }, heals))).await.0);
        }
    }
    // A handshake and four requests, each with its answer; only the last answer is lost on a node that has pinned.
    let count = |o| outcomes.iter().filter(|x| **x == o).count();
    assert!(outcomes.len() - count(Outcome::Done) >= 2 + 4 + 4, "{outcomes:?}");
    if how == How::Close {
        assert!(count(Outcome::TakenBack) >= 1, "{outcomes:?}");
    }
}

#[tokio::test]
async fn cut_for_good() {
    everywhere(How::Close, false).await;
}

#[tokio::test]
async fn cut_for_a_moment() {
    everywhere(How::Close, true).await;
}

#[tokio::test]
async fn swallowed_for_good() {
    everywhere(How::Swallow, false).await;
}
