//! What an agent remembers between its steps.

use super::answer::{Live, Peer};
use super::position::Lsn;
use crate::agents::data::DataState;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

/// Shared by the agent and what it runs.
#[derive(Debug)]
pub(super) struct Seen {
    inner: Mutex<Inner>,
    /// For what outlives a step: the agent cancels it when it goes.
    pub(super) alive: CancellationToken,
}

#[derive(Debug, Default)]
struct Inner {
    live: Option<Live>,
    peer: Option<&'static str>,
    heard: Option<Lsn>,
    connected: Option<bool>,
    copying: Option<DataState>,
    said: BTreeSet<&'static str>,
}

impl Seen {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Seen { inner: Mutex::default(), alive: CancellationToken::new() }
    }

    fn with<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        f(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Our server has answered.
    pub(super) fn live(&self, live: &Live) {
        self.with(|i| {
            i.heard = match live.in_recovery {
                true => live.receiver.as_ref().and_then(|r| r.latest_end).or(i.heard),
                false => None,
            };
            // Who was connected as the other role is no news for this one.
            if i.live.as_ref().is_some_and(|before| before.in_recovery != live.in_recovery) {
                i.connected = None;
            }
            i.live = Some(live.clone());
        });
    }

    /// Our server is not there.
    pub(super) fn stopped(&self) {
        self.with(|i| (i.live, i.connected) = (None, None));
    }

    /// The peer was asked.
    pub(super) fn peer(&self, peer: &Peer) {
        let word = match peer {
            Peer::Primary(..) => "Primary",
            Peer::Standby(..) => "Standby",
            Peer::Busy(_) => "starting or stopping",
            Peer::Closed(_) => "does not let itself be asked",
            Peer::Silent(_) => "not reachable",
        };
        self.with(|i| i.peer = Some(word));
    }

    /// How far the primary had written when last heard of.
    pub(super) fn heard(&self, live: &Live) -> Option<Lsn> {
        live.receiver.as_ref().and_then(|r| r.latest_end).or_else(|| self.with(|i| i.heard))
    }

    /// Data are being taken from the peer, or not any more.
    pub(super) fn copying(&self, state: Option<DataState>) {
        self.with(|i| i.copying = state);
    }

    /// See [`Seen::copying`].
    pub(super) fn being_copied(&self) -> Option<DataState> {
        self.with(|i| i.copying.clone())
    }

    /// Whether the other server is connected, if that is news. At the first look only a missing one is.
    pub(super) fn connection_changed(&self, live: &Live) -> Option<bool> {
        let now = live.connected();
        let before = self.with(|i| i.connected.replace(now));
        (before.unwrap_or(true) != now).then_some(now)
    }

    /// Whether this has not been said yet.
    pub(super) fn first_time(&self, what: &'static str) -> bool {
        self.with(|i| i.said.insert(what))
    }

    /// It is not so any more: it may be said again.
    pub(super) fn forget(&self, what: &'static str) {
        self.with(|i| i.said.remove(what));
    }

    /// For people.
    pub(super) fn details(&self) -> Vec<(String, String)> {
        self.with(|i| {
            let mut all = i.live.as_ref().map(details).unwrap_or_default();
            let connected = i.live.as_ref().is_some_and(Live::connected);
            if let Some(peer) = i.peer.filter(|_| !connected) {
                all.push(("peer".into(), peer.into()));
            }
            if let Some(DataState::Syncing { percent, .. }) = &i.copying {
                let text = percent.map_or_else(|| "running".to_owned(), |p| format!("{p} %"));
                all.push(("copy from the peer".into(), text));
            }
            all
        })
    }
}

/// What a server says of itself, for people.
pub(super) fn details(live: &Live) -> Vec<(String, String)> {
    let mut all = vec![
        ("role", if live.in_recovery { "Standby".to_owned() } else { "Primary".to_owned() }),
        ("connection", live.connection().to_owned()),
        ("timeline", live.at.timeline.to_string()),
        ("position", live.at.lsn.to_string()),
    ];
    if let (Some(bytes), seconds) = live.lag() {
        let seconds = seconds.map(|s| format!(", {s} s")).unwrap_or_default();
        all.push(("lag", format!("{bytes} bytes{seconds}")));
    }
    if !live.in_recovery {
        let standby = live.standby.as_ref();
        let text = match (
            standby.is_some_and(super::answer::Standby::synchronous),
            live.synchronous_names.is_empty(),
        ) {
            (true, _) => "yes",
            (false, true) => "no",
            (false, false) => "no: commits wait for a synchronous standby",
        };
        all.push(("synchronous", text.to_owned()));
        if let Some(from) = standby.map(|s| s.address.as_str()).filter(|a| !a.is_empty()) {
            all.push(("standby", from.to_owned()));
        }
    }
    all.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(text: &str) -> Live {
        Live::parse(text).unwrap()
    }

    const STREAMING: &str = "7|1|0/100|p\nrole|t\nreplay|0/80|4\nreceiver|streaming|0/200\nsynchronous|";
    const ALONE: &str = "7|1|0/100|p\nrole|t\nreplay|0/100|4\nsynchronous|";
    const PRIMARY: &str = "7|2|0/300|p\nrole|f\nsynchronous|*";

    #[test]
    fn what_was_heard_outlives_the_connection_and_ends_with_a_promotion() {
        let seen = Seen::new();
        seen.live(&live(STREAMING));
        assert_eq!(seen.heard(&live(ALONE)), Some(Lsn(0x200)));
        seen.live(&live(ALONE));
        assert_eq!(seen.heard(&live(ALONE)), Some(Lsn(0x200)));
        seen.live(&live(PRIMARY));
        assert_eq!(seen.heard(&live(ALONE)), None);
    }

    #[test]
    fn a_connection_is_news_when_it_changes() {
        let seen = Seen::new();
        assert_eq!(seen.connection_changed(&live(STREAMING)), None);
        assert_eq!(seen.connection_changed(&live(ALONE)), Some(false));
        assert_eq!(seen.connection_changed(&live(ALONE)), None);
        assert_eq!(seen.connection_changed(&live(STREAMING)), Some(true));
        assert_eq!(Seen::new().connection_changed(&live(ALONE)), Some(false), "missing from the start");
        assert!(seen.first_time("x") && !seen.first_time("x"));
        seen.forget("x");
        assert!(seen.first_time("x"));
    }

    #[test]
    fn details_name_lag_and_synchronous() {
        let of = |text: &str, key: &str| {
            details(&live(text)).into_iter().find(|(k, _)| k == key).map(|(_, v)| v).unwrap_or_default()
        };
        assert_eq!(of(STREAMING, "lag"), "384 bytes, 4 s");
        assert_eq!(of(PRIMARY, "synchronous"), "no: commits wait for a synchronous standby");
        assert_eq!(of(ALONE, "lag"), "", "what is not known is not shown as 0");
        let sync = format!("{PRIMARY}\nstandby|streaming|sync|0/300||192.0.2.2");
        assert_eq!((of(&sync, "synchronous"), of(&sync, "lag")), ("yes".into(), "0 bytes, 0 s".into()));
    }
}
