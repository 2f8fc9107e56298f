//! What servers answer: the questions, and their answers read.

use super::position::{History, Lsn, Position};

/// Asked of either server, over a replication connection, which may use SQL as well.
pub(super) const WHO: [&str; 2] = ["IDENTIFY_SYSTEM", "select 'role', pg_is_in_recovery()"];

/// Asked of our own server too. Each line begins with what it is about. A standby knows no more of its primary than
/// what the receiver last heard.
pub(super) const MORE: [&str; 4] = [
    "select 'replay', pg_last_wal_replay_lsn(), \
     extract(epoch from now() - pg_last_xact_replay_timestamp())::bigint",
    "select 'receiver', status, latest_end_lsn from pg_stat_wal_receiver",
    "select 'standby', state, sync_state, replay_lsn, extract(epoch from replay_lag)::bigint, client_addr \
     from pg_stat_replication where state in ('catchup', 'streaming') \
     and application_name not in ('psql', 'pg_basebackup') order by sync_priority = 0, sync_priority, pid",
    "select 'synchronous', current_setting('synchronous_standby_names')",
];

/// How far a base backup that this user takes has come: bytes sent, bytes in all (0: not known yet).
pub(super) const PROGRESS: &str = "select backup_streamed, coalesce(backup_total, 0) from pg_stat_progress_basebackup order by pid desc limit 1";

/// Our own server, as it is now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Live {
    /// Where it stands.
    pub(super) at: Position,
    /// It is a standby.
    pub(super) in_recovery: bool,
    /// Up to where a standby has applied what it received.
    pub(super) replayed: Option<Lsn>,
    /// Seconds since the last transaction that a standby applied was committed.
    pub(super) replay_age: Option<u64>,
    /// What a standby follows.
    pub(super) receiver: Option<Receiver>,
    /// Who follows a primary; the one that commits wait for first.
    pub(super) standby: Option<Standby>,
    /// `synchronous_standby_names`.
    pub(super) synchronous_names: String,
}

/// A row of `pg_stat_wal_receiver`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Receiver {
    /// `streaming`, `waiting`, `stopping`.
    pub(super) status: String,
    /// How far the primary had written when last heard.
    pub(super) latest_end: Option<Lsn>,
}

/// A row of `pg_stat_replication`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Standby {
    /// `streaming`, `catchup`.
    pub(super) state: String,
    /// `async`, `potential`, `sync`, `quorum`.
    pub(super) sync_state: String,
    /// What it has applied.
    pub(super) replayed: Option<Lsn>,
    /// How long a commit takes to be applied there, in seconds.
    pub(super) seconds: Option<u64>,
    /// From where.
    pub(super) address: String,
}

impl Standby {
    /// Commits wait for it.
    pub(super) fn synchronous(&self) -> bool {
        matches!(self.sync_state.as_str(), "sync" | "quorum")
    }
}

/// A line of psql's unaligned output.
fn fields(line: &str) -> Vec<&str> {
    line.split('|').collect()
}

fn lsn(text: Option<&&str>) -> Option<Lsn> {
    text.and_then(|t| t.parse().ok())
}

fn seconds(text: Option<&&str>) -> Option<u64> {
    // The clocks of two machines differ: what was committed in the future was committed now.
    text.and_then(|t| t.parse::<i64>().ok()).map(|s| u64::try_from(s).unwrap_or(0))
}

/// Reads the answer to [`WHO`]: where a server stands, and whether it is a standby.
fn who(text: &str) -> Result<(Position, bool), String> {
    let strange = || format!("it answers {:?}, which is not understood", text.trim());
    let first = fields(text.lines().next().unwrap_or_default());
    let position = || {
        Some(Position {
            system: first.first()?.parse().ok()?,
            timeline: first.get(1)?.parse().ok()?,
            lsn: lsn(first.get(2))?,
        })
    };
    let in_recovery = text.lines().find_map(|l| match l {
        "role|t" => Some(true),
        "role|f" => Some(false),
        _ => None,
    });
    position().zip(in_recovery).ok_or_else(strange)
}

impl Live {
    /// Reads the answer to [`WHO`] and [`MORE`].
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (at, in_recovery) = who(text)?;
        let line = |about: &str| text.lines().map(fields).find(|f| f.first() == Some(&about));
        let word = |f: &[&str], n: usize| f.get(n).copied().unwrap_or_default().to_owned();
        let replay = line("replay").unwrap_or_default();
        let receiver = line("receiver").map(|f| Receiver { status: word(&f, 1), latest_end: lsn(f.get(2)) });
        let standby = line("standby").map(|f| Standby {
            state: word(&f, 1),
            sync_state: word(&f, 2),
            replayed: lsn(f.get(3)),
            seconds: seconds(f.get(4)),
            address: word(&f, 5),
        });
        Ok(Live {
            at,
            in_recovery,
            replayed: lsn(replay.get(1)),
            replay_age: seconds(replay.get(2)),
            receiver,
            standby,
            synchronous_names: line("synchronous").map(|f| word(&f, 1)).unwrap_or_default(),
        })
    }

    /// How far behind the standby is: bytes, and seconds. Of a standby: behind its primary as last heard; of a
    /// primary: its standby behind it. None: it cannot be told.
    pub(super) fn lag(&self) -> (Option<u64>, Option<u64>) {
        if !self.in_recovery {
            let Some(standby) = &self.standby else { return (None, None) };
            let bytes = standby.replayed.map(|r| self.at.lsn.bytes_beyond(r));
            // An idle primary's replay_lag is empty, and there is none.
            return (bytes, standby.seconds.or((bytes == Some(0)).then_some(0)));
        }
        let Some(replayed) = self.replayed else { return (None, None) };
        let heard = self.receiver.as_ref().and_then(|r| r.latest_end);
        let bytes = heard.map(|end| end.max(self.at.lsn).bytes_beyond(replayed));
        // Without new transactions the age grows, though nothing is missing.
        let seconds = if bytes == Some(0) { Some(0) } else { self.replay_age };
        (bytes, seconds.filter(|_| bytes.is_some()))
    }

    /// The connection in one word: `streaming`, `catchup`, or that there is none.
    pub(super) fn connection(&self) -> &str {
        let state = match self.in_recovery {
            true => self.receiver.as_ref().map(|r| r.status.as_str()),
            false => self.standby.as_ref().map(|s| s.state.as_str()),
        };
        state.unwrap_or("not connected")
    }

    /// Whether a peer is connected.
    pub(super) fn connected(&self) -> bool {
        match self.in_recovery {
            true => self.receiver.as_ref().is_some_and(|r| r.status == "streaming"),
            false => self.standby.is_some(),
        }
    }
}

/// What came of asking the peer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Peer {
    /// It is a primary, with this past.
    Primary(Position, History),
    /// It is a standby, with this past.
    Standby(Position, History),
    /// A server is there, but is starting or shutting down.
    Busy(String),
    /// A server is there, but does not tell us.
    Closed(String),
    /// Nobody answers.
    Silent(String),
}

impl Peer {
    /// From psql's output.
    pub(super) fn answered(text: &str, history: History) -> Self {
        match who(text) {
            Ok((at, true)) => Peer::Standby(at, history),
            Ok((at, false)) => Peer::Primary(at, history),
            Err(why) => Peer::Closed(why),
        }
    }

    /// From psql's complaint. What the server itself says begins with FATAL or ERROR; anything else is the network.
    pub(super) fn refused(complaint: &str) -> Self {
        const PASSING: [&str; 5] = [
            "starting up",
            "shutting down",
            "not yet accepting",
            "not accepting connections",
            "in recovery mode",
        ];
        let said = ["FATAL:", "ERROR:"].iter().find_map(|w| complaint.split_once(w));
        let Some((_, words)) = said else { return Peer::Silent(last_line(complaint)) };
        let words = words.trim().lines().next().unwrap_or_default().to_owned();
        match PASSING.iter().any(|p| words.contains(p)) {
            true => Peer::Busy(words),
            false => Peer::Closed(words),
        }
    }
}

/// The last line of a text that says something.
pub(super) fn last_line(text: &str) -> String {
    let mut lines = text.lines().map(str::trim).filter(|l| !l.is_empty());
    let said = lines.clone().rfind(|l| !l.starts_with("Is the server running"));
    said.or_else(|| lines.next()).unwrap_or("no reason given").to_owned()
}

/// Reads the answer to [`PROGRESS`]: sent, in all.
pub(super) fn progress(text: &str) -> Option<(u64, u64)> {
    let (sent, all) = text.trim().split_once('|')?;
    Some((sent.parse().ok()?, all.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRIMARY: &str = "771|2|0/5000100|postgres\nrole|f\nreplay||\n\
                           standby|streaming|sync|0/5000000|3|192.0.2.2\nsynchronous|*\n";
    const STANDBY: &str =
        "771|2|0/5000100|postgres\nrole|t\nreplay|0/5000080|12\nreceiver|streaming|0/5000200\nsynchronous|\n";

    #[test]
    fn a_primary_and_a_standby_are_told_apart() {
        let p = Live::parse(PRIMARY).unwrap();
        assert_eq!(p.at, Position { system: 771, timeline: 2, lsn: Lsn(0x0500_0100) });
        assert!(!p.in_recovery && p.connected() && p.standby.as_ref().unwrap().synchronous());
        assert_eq!((p.connection(), p.synchronous_names.as_str()), ("streaming", "*"));
        let s = Live::parse(STANDBY).unwrap();
        assert!(s.in_recovery && s.connected() && s.standby.is_none());
        assert_eq!(s.receiver.unwrap().latest_end, Some(Lsn(0x0500_0200)));
        for text in ["", "771|2|0/1|x", "role|t", "771|two|0/1|x\nrole|t"] {
            assert!(Live::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_table_of_lags() {
        let standby = |replay: &str, receiver: &str| format!("771|2|0/100|p\nrole|t\n{replay}\n{receiver}\n");
        let primary = |row: &str| format!("771|2|0/100|p\nrole|f\n{row}\n");
        for (text, bytes, seconds) in [
            (PRIMARY.to_owned(), Some(0x100), Some(3)),
            (STANDBY.to_owned(), Some(0x180), Some(12)),
            // All applied: the last transaction may be old.
            (standby("replay|0/100|5000", "receiver|streaming|0/100"), Some(0), Some(0)),
            // The primary said an older place than what has arrived since.
            (standby("replay|0/80|1", "receiver|streaming|0/70"), Some(0x80), Some(1)),
            // Nothing is known of the primary, so nothing of the lag.
            (standby("replay|0/100|5000", ""), None, None),
            (standby("replay||", "receiver|streaming|0/100"), None, None),
            // Its clock is ahead of ours.
            (standby("replay|0/80|-3", "receiver|streaming|0/100"), Some(0x80), Some(0)),
            (primary(""), None, None),
            (primary("standby|streaming|async|0/100||"), Some(0), Some(0)),
            (primary("standby|catchup|async||7|"), None, Some(7)),
        ] {
            assert_eq!(Live::parse(&text).unwrap().lag(), (bytes, seconds), "{text}");
        }
    }

    #[test]
    fn what_the_peer_says_is_told_from_silence() {
        let text = |words: &str| {
            format!("psql: error: connection to server at \"192.0.2.2\", port 5432 failed: {words}\n")
        };
        let refused = text(
            "Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?",
        );
        assert!(matches!(Peer::refused(&refused), Peer::Silent(w) if w.ends_with("Connection refused")));
        assert!(matches!(Peer::refused(""), Peer::Silent(_)));
        for words in ["the database system is starting up", "the database system is shutting down"] {
            assert_eq!(Peer::refused(&text(&format!("FATAL:  {words}"))), Peer::Busy(words.into()));
        }
        let words = "password authentication failed for user \"replicator\"";
        assert_eq!(Peer::refused(&text(&format!("FATAL:  {words}"))), Peer::Closed(words.into()));
    }

    #[test]
    fn progress_may_not_be_known_yet() {
        assert_eq!(progress("1024|4096\n"), Some((1024, 4096)));
        assert_eq!(progress("0|0\n"), Some((0, 0)));
        assert_eq!(progress(""), None);
    }
}
