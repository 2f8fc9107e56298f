//! What people ask of the pair of servers.

use super::PostgresqlAgent;
use super::answer::{Live, Peer};
use super::decide::{Candidate, Directory, Verdict, promote};
use super::host::{Host, Outcome, Trouble};
use super::position::Relation;
use super::steps::astray;
use super::{position, seen};
use crate::agents::Work;
use crate::agents::data::{DataRole, DataState, DataStatus, ReplicatedData, Side};
use crate::process::Activity;
use std::time::Duration;

/// How long a look may take.
const LOOK: Duration = Duration::from_secs(10);
/// A check of all tables may take days.
const CHECK: Duration = Duration::from_secs(7 * 24 * 3600);

impl ReplicatedData for PostgresqlAgent {
    fn status(&self) -> Work<'_, Result<DataStatus, String>> {
        Box::pin(async move {
            let host = self.asked().map_err(Trouble::words)?;
            self.within(LOOK, &host, host.status()).await
        })
    }

    fn verify(&self) -> Work<'_, Result<String, String>> {
        Box::pin(async move {
            let host = self.asked().map_err(Trouble::words)?;
            self.within(LOOK, &host, host.verify()).await
        })
    }

    fn recover(&self, keep: Side, limit: Duration) -> Work<'_, Result<String, String>> {
        Box::pin(async move {
            if keep == Side::Local {
                return Err("the data here stay as they are. To have the other server follow them, make this node the \
                            active one and run at the other node: tandemadm data recover --keep peer"
                    .into());
            }
            let host = self.asked().map_err(Trouble::words)?;
            let work = async {
                let _alone = tokio::select! {
                    guard = self.moves.lock() => guard,
                    () = host.cancel.cancelled() => return Err(Trouble::Cancelled),
                };
                let result = host.take_peers_data(limit).await;
                if result == Err(Trouble::Cancelled) {
                    host.end_by_force().await;
                }
                result
            };
            self.within(limit, &host, work).await
        })
    }
}

impl Host {
    async fn status(&self) -> Outcome<DataStatus> {
        let live = match self.postmaster().await? {
            Some(_) => Some(self.ask(LOOK.mul_f64(0.5)).await?),
            None => None,
        };
        let peer = self.ask_peer().await?;
        let half_done = self.exists(&self.marker()).await?;
        let stopped = if live.is_none() { Some(self.inspect().await?) } else { None };
        if let Some(live) = &live {
            self.seen.live(live);
        }
        self.seen.peer(&peer);
        let local =
            self.seen.being_copied().unwrap_or_else(|| local_state(live.as_ref(), stopped.as_ref(), &peer));
        let promotable = match &live {
            None => Err("the server does not run".into()),
            Some(live) if !live.in_recovery => Ok(()),
            Some(live) => {
                let max_lag = self.settings.max_lag;
                promotable(
                    &Candidate { at: live.at, half_done, heard: self.seen.heard(live), max_lag },
                    &peer,
                )
            }
        };
        let role = match &live {
            None => DataRole::Unknown,
            Some(live) if live.in_recovery => DataRole::Secondary,
            Some(_) => DataRole::Primary,
        };
        Ok(DataStatus {
            kind: "postgresql".into(),
            name: self.data().display().to_string(),
            role,
            peer_role: match &peer {
                Peer::Primary(..) => DataRole::Primary,
                Peer::Standby(..) => DataRole::Secondary,
                _ => DataRole::Unknown,
            },
            local,
            peer: peer_state(live.as_ref(), &peer),
            connection: live.as_ref().map_or("stopped", Live::connection).to_owned(),
            split_brain: live.as_ref().is_some_and(|l| split(l, &peer)),
            promotable,
            details: live.as_ref().map(seen::details).unwrap_or_default(),
        })
    }

    /// No tool of PostgreSQL compares two running copies. What can be told is told, and pg_amcheck looks for damage here.
    async fn verify(&self) -> Outcome<String> {
        const NO_COMPARISON: &str = "PostgreSQL cannot compare two copies block by block";
        let live = self.ask(LOOK.mul_f64(0.5)).await?;
        let peer = self.ask_peer().await?;
        let (Peer::Primary(at, _) | Peer::Standby(at, _)) = &peer else {
            return Err(Trouble::Failed("the peer cannot be asked, so nothing can be compared".into()));
        };
        if let Some(why) = astray(&live, &peer) {
            return Err(Trouble::Failed(why));
        }
        if at.system != live.at.system || at.timeline != live.at.timeline {
            return Err(Trouble::Failed(format!(
                "the copies differ: here cluster {}, timeline {}; the peer cluster {}, timeline {}",
                live.at.system, live.at.timeline, at.system, at.timeline
            )));
        }
        let same = format!(
            "{NO_COMPARISON}. Both are cluster {}, timeline {}; here at {}, the peer at {}",
            at.system, at.timeline, live.at.lsn, at.lsn
        );
        let installed =
            self.tell("select count(*) from pg_extension where extname = 'amcheck'", LOOK).await?;
        if installed.trim() == "0" {
            return Ok(format!(
                "{same}. For a check of tables and indexes run `create extension amcheck` in database postgres at the \
                 primary; for one of pages, pg_checksums on a stopped server"
            ));
        }
        self.check_behind();
        Ok(format!("{same}. pg_amcheck reads all tables and indexes here now; an event tells what it found"))
    }

    /// Reads everything, without anybody waiting for it.
    fn check_behind(&self) {
        let host = Host { activity: Activity::default(), ..self.beyond(self.seen.alive.child_token()) };
        let (directory, port) =
            (&self.settings.socket_directory.to_string_lossy(), self.settings.port.to_string());
        // The database that the extension was looked for in; others may lack it.
        let args = ["--no-password", "--host", directory, "--port", &port, "--database", "postgres"];
        let program = self.server_program("pg_amcheck", args);
        tokio::spawn(async move {
            match host.job(&program, CHECK).await {
                Ok(ran) if ran.status == 0 => host.event(false, "pg_amcheck found no damage"),
                Ok(ran) => {
                    let text: String = (ran.stdout + &ran.stderr).chars().take(1000).collect();
                    host.event(true, format!("pg_amcheck: {}", text.trim()));
                }
                Err(Trouble::Cancelled) => {}
                Err(e) => host.event(true, e.words()),
            }
        });
    }
}

fn promotable(candidate: &Candidate, peer: &Peer) -> Result<(), String> {
    match promote(candidate, peer) {
        Verdict::Go | Verdict::Rather(_) => Ok(()),
        Verdict::Later(why) | Verdict::Refuse(why) => Err(why),
    }
}

/// Both servers have writes that the other one lacks, or are about to.
fn split(live: &Live, peer: &Peer) -> bool {
    let Peer::Primary(at, history) = peer else { return false };
    if !live.in_recovery {
        return true;
    }
    position::relation(live.at.timeline, live.at.lsn, at, history) != Relation::Follows && !live.connected()
}

fn local_state(live: Option<&Live>, stopped: Option<&Directory>, peer: &Peer) -> DataState {
    let Some(live) = live else {
        return match stopped {
            Some(Directory::HalfDone | Directory::Empty) => DataState::Inconsistent,
            _ => DataState::Unknown,
        };
    };
    if !live.in_recovery {
        return DataState::UpToDate;
    }
    let heard = live.receiver.as_ref().and_then(|r| r.latest_end);
    match (live.connected(), heard) {
        // What has arrived is not lost, applied or not.
        (true, Some(end)) if end <= live.at.lsn => DataState::UpToDate,
        (true, _) => DataState::Stale,
        (false, _) if matches!(peer, Peer::Primary(..)) => DataState::Stale,
        (false, _) => DataState::Unsure,
    }
}

fn peer_state(live: Option<&Live>, peer: &Peer) -> DataState {
    if let Some(standby) = live.and_then(|l| l.standby.as_ref()) {
        return match (standby.state.as_str(), live.and_then(|l| l.lag().0)) {
            ("catchup", _) => DataState::Syncing { percent: None, seconds_left: None },
            (_, Some(0)) => DataState::UpToDate,
            _ => DataState::Stale,
        };
    }
    match (peer, live) {
        (Peer::Primary(..), _) => DataState::UpToDate,
        (Peer::Standby(at, _), Some(live)) if at.lsn < live.at.lsn => DataState::Stale,
        (Peer::Standby(..), _) => DataState::Unsure,
        _ => DataState::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::postgresql::position::{History, Lsn, Position};

    const PRIMARY: &str = "7|2|0/300|p\nrole|f\nsynchronous|";
    const STANDBY: &str = "7|1|0/100|p\nrole|t\nreplay|0/100|4";

    fn live(text: &str) -> Live {
        Live::parse(text).unwrap()
    }

    fn at(timeline: u32, lsn: u64) -> (Position, History) {
        (Position { system: 7, timeline, lsn: Lsn(lsn) }, History(vec![(1, Lsn(0x80))]))
    }

    fn primary(timeline: u32, lsn: u64) -> Peer {
        let (at, history) = at(timeline, lsn);
        Peer::Primary(at, history)
    }

    fn standby(timeline: u32, lsn: u64) -> Peer {
        let (at, history) = at(timeline, lsn);
        Peer::Standby(at, history)
    }

    #[test]
    fn the_table_of_states() {
        let silent = || Peer::Silent(String::new());
        let streaming = |end: &str| format!("{STANDBY}\nreceiver|streaming|{end}");
        let followed = |row: &str| format!("{PRIMARY}\nstandby|{row}|");
        let syncing = DataState::Syncing { percent: None, seconds_left: None };
        for (text, peer, local, other, is_split) in [
            (PRIMARY.to_owned(), silent(), DataState::UpToDate, DataState::Unknown, false),
            (PRIMARY.to_owned(), primary(3, 1), DataState::UpToDate, DataState::UpToDate, true),
            (PRIMARY.to_owned(), standby(2, 0x200), DataState::UpToDate, DataState::Stale, false),
            (
                followed("streaming|async|0/300|"),
                standby(2, 0x300),
                DataState::UpToDate,
                DataState::UpToDate,
                false,
            ),
            (
                followed("streaming|async|0/200|"),
                standby(2, 0x200),
                DataState::UpToDate,
                DataState::Stale,
                false,
            ),
            (followed("catchup|async|0/200|"), standby(2, 0x200), DataState::UpToDate, syncing, false),
            (streaming("0/100"), primary(1, 0x100), DataState::UpToDate, DataState::UpToDate, false),
            (streaming("0/180"), primary(1, 0x180), DataState::Stale, DataState::UpToDate, false),
            (STANDBY.to_owned(), silent(), DataState::Unsure, DataState::Unknown, false),
            // The peer left our timeline at 0/80, and we went on to 0/100.
            (STANDBY.to_owned(), primary(2, 0x180), DataState::Stale, DataState::UpToDate, true),
            (STANDBY.to_owned(), standby(1, 0x100), DataState::Unsure, DataState::Unsure, false),
        ] {
            let live = live(&text);
            let found =
                (local_state(Some(&live), None, &peer), peer_state(Some(&live), &peer), split(&live, &peer));
            assert_eq!(found, (local, other, is_split), "{text} {peer:?}");
        }
    }
}
