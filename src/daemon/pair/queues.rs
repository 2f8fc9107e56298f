//! Heartbeats that wait to be taken: for each pair a queue of its own, so that a node that sends too many holds up no other pair.

use super::Happening;
use crate::config::PairSettings;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::task::Poll;
use tokio::sync::mpsc;

/// Of one pair; more than these are dropped, newer ones follow.
const WAITING: usize = 64;

/// Where what was heard goes, by the name of the pair.
pub(super) type Hears = BTreeMap<String, mpsc::Sender<Happening>>;

/// What was heard in all pairs.
#[derive(Debug, Default)]
pub(super) struct Queues {
    queues: Vec<mpsc::Receiver<Happening>>,
    /// Which one is looked at first.
    turn: usize,
}

impl Queues {
    pub(super) fn new(pairs: &[PairSettings]) -> (Hears, Self) {
        let (mut hears, mut queues) = (Hears::new(), Vec::new());
        for pair in pairs {
            let (sender, receiver) = mpsc::channel(WAITING);
            hears.insert(pair.name.clone(), sender);
            queues.push(receiver);
        }
        (hears, Queues { queues, turn: 0 })
    }

    /// One of each pair by turns; never ends by itself.
    pub(super) async fn next(&mut self) -> Happening {
        poll_fn(|context| {
            let count = self.queues.len();
            let turn = self.turn.checked_rem(count).unwrap_or(0);
            for n in (turn..count).chain(0..turn) {
                let Some(queue) = self.queues.get_mut(n) else { continue };
                // Without a server nobody sends.
                if let Poll::Ready(Some(heard)) = queue.poll_recv(context) {
                    self.turn = n + 1;
                    return Poll::Ready(heard);
                }
            }
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(pair: &str) -> Happening {
        Happening::Milestone { pair: pair.into(), text: String::new() }
    }

    #[tokio::test]
    async fn who_says_much_does_not_keep_the_other_waiting() {
        let config = include_str!("../../../conf/n-to-1.toml");
        let source = crate::config::Source { path: "t".into(), text: config.into() };
        let pairs = crate::config::parse(&[source], &Default::default()).unwrap().config.pairs;
        let (hears, mut queues) = Queues::new(&pairs);
        while hears["north"].try_send(word("north")).is_ok() {}
        hears["south"].try_send(word("south")).unwrap();
        let mut first = Vec::new();
        for _ in 0..2 {
            let Happening::Milestone { pair, .. } = queues.next().await else { panic!() };
            first.push(pair);
        }
        first.sort();
        assert_eq!(first, ["north", "south"]);
    }
}
