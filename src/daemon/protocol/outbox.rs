//! Events on their way to the rest of the daemon: bounded, never blocking, nothing important lost.

use crate::daemon::messages::Event;
use std::collections::VecDeque;
use tokio::sync::mpsc::Sender;
use tokio::sync::mpsc::error::TrySendError;

/// Events kept here while the channel is full.
const BACKLOG: usize = 4096;

/// Sends without waiting. What does not fit is kept and sent later, in order; when even that is full, log
/// lines are dropped and counted, and of the changes of one instance only the newest is kept.
#[derive(Debug)]
pub(super) struct Outbox {
    channel: Sender<Event>,
    backlog: VecDeque<Event>,
    dropped: u64,
}

impl Outbox {
    pub(super) fn new(channel: Sender<Event>) -> Self {
        Outbox { channel, backlog: VecDeque::new(), dropped: 0 }
    }

    /// Events that were dropped or replaced by newer ones.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    pub(super) fn push(&mut self, event: Event) {
        self.flush();
        if !self.backlog.is_empty() {
            return self.keep(event);
        }
        if let Err(TrySendError::Full(event)) = self.channel.try_send(event) {
            self.keep(event);
        }
    }

    /// Tries to send what was kept; true if nothing is left.
    pub(super) fn flush(&mut self) -> bool {
        while let Some(event) = self.backlog.pop_front() {
            match self.channel.try_send(event) {
                Ok(()) => {}
                Err(TrySendError::Full(event)) => {
                    self.backlog.push_front(event);
                    return false;
                }
                Err(TrySendError::Closed(_)) => self.backlog.clear(),
            }
        }
        true
    }

    fn keep(&mut self, event: Event) {
        if self.backlog.len() < BACKLOG {
            self.backlog.push_back(event);
            return;
        }
        self.dropped = self.dropped.saturating_add(1);
        if let Event::Gate(name, _) = &event {
            // Each instance has one way up and one down; what is newer says it all.
            let victim = self.backlog.iter().position(|e| matches!(e, Event::Gate(old, _) if old == name));
            if let Some(at) =
                victim.or_else(|| self.backlog.iter().position(|e| matches!(e, Event::Notice { .. })))
            {
                self.backlog.remove(at);
            }
            return self.backlog.push_back(event);
        }
        if let Event::Change(new) = &event {
            let same = |e: &Event| matches!(e, Event::Change(old) if old.name == new.name && old.subject == new.subject);
            let victim = self
                .backlog
                .iter()
                .position(same)
                .or_else(|| self.backlog.iter().position(|e| matches!(e, Event::Notice { .. })));
            if let Some(at) = victim {
                self.backlog.remove(at);
            }
            self.backlog.push_back(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::{Change, Subject, Target};
    use crate::vrrp::State;

    fn change(name: &str, priority: u8) -> Event {
        Event::Change(Change {
            subject: Subject::Instance,
            name: name.into(),
            previous: State::Backup,
            target: Target::Master,
            priority,
            reason: String::new(),
            addresses: Vec::new(),
            interface: String::new(),
            who: crate::events::Who::Timer,
            at: jiff::Timestamp::UNIX_EPOCH,
        })
    }

    fn notice() -> Event {
        Event::Notice { instance: None, warning: false, text: String::new() }
    }

    #[test]
    fn order_is_kept_over_a_full_channel() {
        let (tx, mut rx) = tokio::sync::mpsc::channel(2);
        let mut o = Outbox::new(tx);
        for p in 1..=10 {
            o.push(change("a", p));
        }
        let mut seen = Vec::new();
        while seen.len() < 10 {
            while let Ok(Event::Change(c)) = rx.try_recv() {
                seen.push(c.priority);
            }
            o.flush();
        }
        assert_eq!(seen, (1..=10).collect::<Vec<_>>());
        assert_eq!(o.dropped(), 0);
    }

    #[test]
    fn the_newest_change_survives_an_overflow_and_the_loss_is_counted() {
        let (tx, mut rx) = tokio::sync::mpsc::channel(1);
        let mut o = Outbox::new(tx);
        for _ in 0..BACKLOG + 100 {
            o.push(notice());
        }
        o.push(change("a", 1));
        o.push(change("a", 2));
        assert!(o.backlog.len() <= BACKLOG);
        assert!(o.dropped() >= 100);
        let mut last = None;
        loop {
            match rx.try_recv() {
                Ok(Event::Change(c)) => last = Some(c.priority),
                Ok(_) => {}
                Err(_) if o.backlog.is_empty() => break,
                Err(_) => {}
            }
            o.flush();
        }
        assert_eq!(last, Some(2));
    }
}
