//! What becomes of a pair, as events.

use crate::daemon::record::Recorder;
use crate::events::{Fact, Kind, Severity, Who};
use crate::pair;

/// Writes down what happens to one pair.
#[derive(Clone, Debug)]
pub(super) struct Book {
    recorder: Recorder,
    pair: String,
    peer: String,
    /// Who gave the last order: as the core names them, and as events do.
    asker: Option<(String, Who)>,
}

impl Book {
    pub(super) fn new(recorder: Recorder, pair: &str, peer: &str) -> Self {
        Book { recorder, pair: pair.to_owned(), peer: peer.to_owned(), asker: None }
    }

    /// The shown state changed.
    pub(super) fn changed(&self, c: &pair::Change) {
        let fact = Fact::new(Kind::Pair, &c.why).about(&self.pair).change(c.from, c.to);
        self.recorder.record(fact.level(level(c.to)).by(self.who(&c.who)));
    }

    /// Something that an operator should know.
    pub(super) fn warning(&self, text: &str) {
        self.recorder.pair_warning(&self.pair, text);
    }

    /// An operator speaks: as the core names them, and as events do.
    pub(super) fn asked_by(&mut self, name: &str, who: &Who) {
        self.asker = Some((name.to_owned(), who.clone()));
    }

    /// What they said, and this was the answer.
    pub(super) fn order(&self, order: &str, who: &Who, answer: &Result<String, String>) {
        let text = answer.as_ref().unwrap_or_else(|e| e);
        let level = if answer.is_ok() { Severity::Info } else { Severity::Warning };
        let fact = Fact::new(Kind::Pair, format!("{order}: {text}")).about(&self.pair);
        self.recorder.record(fact.level(level).by(who.clone()));
    }

    /// A registration begins, or may.
    pub(super) fn asked(&mut self, what: &str, who: Who) {
        self.recorder.record(Fact::new(Kind::Pair, what).about(&self.pair).by(who));
    }

    /// A registration has ended: with whom, or why not.
    pub(super) fn registered(&self, result: &Result<String, String>) {
        match result {
            Ok(node) => {
                let fact = Fact::new(Kind::Pair, format!("registered with {node}")).about(&self.pair);
                self.recorder.record(fact.by(Who::Peer { name: self.peer.clone() }));
            }
            Err(why) => self.warning(&format!("registration failed: {why}")),
        }
    }

    /// Who caused a change: its order may have been given a while ago.
    fn who(&self, who: &pair::Who) -> Who {
        match (who, &self.asker) {
            (pair::Who::Operator(name), Some((asked, by))) if asked == name => by.clone(),
            // An operator of the other node.
            (pair::Who::Operator(_) | pair::Who::Peer, _) => Who::Peer { name: self.peer.clone() },
            (pair::Who::Timer, _) => Who::Timer,
            (pair::Who::Node, _) => Who::Daemon,
        }
    }
}

/// How much it matters to be there.
fn level(state: pair::State) -> Severity {
    use pair::State as S;
    match state {
        S::PrimaryUncertain | S::SecondaryUncertain | S::PrimaryDatabaseCopyFailed => Severity::Error,
        S::PrimaryLostSecondary
        | S::PrimaryAlone
        | S::PrimaryFailover
        | S::SecondaryLostPrimary
        | S::SecondaryAlone
        | S::SecondaryFailover => Severity::Warning,
        _ => Severity::Info,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Operator;

    #[test]
    fn a_change_is_caused_by_whoever_gave_the_order() {
        let mut book = Book::new(Recorder::none(), "esc", "192.0.2.2");
        let root = Who::Operator(Operator { pid: Some(7), ..Operator::default() });
        let said = pair::Who::Operator("uid 0 (pid 7)".into());
        let peer = Who::Peer { name: "192.0.2.2".into() };
        assert_eq!(book.who(&said), peer, "nobody said it here");
        book.asked_by("uid 0 (pid 7)", &root);
        assert_eq!(book.who(&said), root);
        assert_eq!(book.who(&pair::Who::Peer), peer);
        assert_eq!(book.who(&pair::Who::Timer), Who::Timer);
        assert_eq!(book.who(&pair::Who::Node), Who::Daemon);
    }
}
