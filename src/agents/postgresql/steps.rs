//! The steps of a server.

use super::answer::{Live, Peer};
use super::decide::{self, Candidate, Plan, Verdict};
use super::host::{Host, Outcome, Trouble};
use super::position::{Relation, relation};
use super::server::{Down, PAUSE};
use crate::agents::{Noticed, Report};
use crate::net::clock;
use crate::resource::Level;
use std::pin::pin;
use std::time::Duration;

/// So long a promotion waits at most for what will pass, such as a former primary that is still going down.
const PATIENCE: Duration = Duration::from_secs(10);
/// The name of one thing to say.
const LOST: &str = "lost log";
/// The checkpoint after a promotion; nobody waits for it.
const CHECKPOINT: Duration = Duration::from_secs(600);

impl Host {
    /// From stopped to started: a standby.
    pub(super) async fn start(&self, limit: Duration) -> Outcome<()> {
        if let Some(server) = self.postmaster().await? {
            let live = self.ask(limit).await?;
            self.seen.live(&live);
            return match live.in_recovery {
                true => Ok(()),
                false => Err(Trouble::Failed(format!(
                    "a server that was not started here runs as a primary already (pid {}): stop it, and keep the system \
                     from starting it by itself",
                    server.pid
                ))),
            };
        }
        self.start_as_standby(limit).await
    }

    async fn start_as_standby(&self, limit: Duration) -> Outcome<()> {
        let begun = clock::now();
        let left = || limit.saturating_sub(clock::now().since(begun));
        loop {
            let found = self.inspect().await?;
            let peer = self.ask_peer().await?;
            self.seen.peer(&peer);
            let plan = decide::start(&found, &peer, self.settings.rejoin);
            if matches!(plan, Plan::Wait(_)) && left() > limit.mul_f64(0.2) {
                self.pause(PAUSE.saturating_mul(10)).await?;
                continue;
            }
            self.rejoin(plan).await?;
            break;
        }
        let live = self.launch(left().max(PAUSE)).await?;
        self.seen.live(&live);
        Ok(())
    }

    /// From started to promoted.
    pub(super) async fn promote(&self, limit: Duration) -> Outcome<()> {
        let begun = clock::now();
        let left = || limit.saturating_sub(clock::now().since(begun));
        let mut live = self.ask(limit).await?;
        if !live.in_recovery {
            self.seen.live(&live);
            return Ok(());
        }
        let half_done = self.exists(&self.marker()).await?;
        loop {
            let candidate = Candidate {
                at: live.at,
                half_done,
                heard: self.seen.heard(&live),
                max_lag: self.settings.max_lag,
            };
            let peer = self.ask_peer().await?;
            self.seen.peer(&peer);
            let waited = left() < limit.saturating_sub(PATIENCE.min(limit.mul_f64(0.5)));
            match decide::promote(&candidate, &peer) {
                Verdict::Go => {
                    if candidate.max_lag.is_some()
                        && candidate.heard.is_none()
                        && matches!(peer, Peer::Silent(_))
                    {
                        self.event(
                            true,
                            "promoted without knowing how far behind it is: nothing was heard of the peer",
                        );
                    }
                    break;
                }
                Verdict::Rather(why) if waited => {
                    self.event(true, format!("promoted all the same: {why}"));
                    break;
                }
                Verdict::Later(why) if waited => return Err(Trouble::Failed(format!("not promoted: {why}"))),
                Verdict::Refuse(why) => return Err(Trouble::Failed(format!("not promoted: {why}"))),
                Verdict::Rather(_) | Verdict::Later(_) => self.pause(PAUSE.saturating_mul(6)).await?,
            }
            live = self.ask(left().max(PAUSE)).await?;
        }
        self.become_primary(left().max(PAUSE)).await
    }

    /// Nothing can take a promotion back that has been asked for: if it does not end well, the server has to end.
    async fn become_primary(&self, limit: Duration) -> Outcome<()> {
        let seconds = limit.as_secs().max(1).to_string();
        let data = self.data().to_string_lossy();
        let program = self.server_program("pg_ctl", ["promote", "-s", "-w", "-t", &seconds, "-D", &data]);
        let result = match self.need(&program, limit).await {
            Ok(_) => self.ask(limit).await,
            Err(e) => Err(e),
        };
        match result {
            Ok(live) if !live.in_recovery => {
                self.seen.live(&live);
                self.checkpoint_behind();
                Ok(())
            }
            Ok(_) => {
                self.end_by_force().await;
                Err(Trouble::Failed("it is a standby still after the promotion, and was ended".into()))
            }
            Err(e) => {
                self.end_by_force().await;
                Err(e)
            }
        }
    }

    /// pg_rewind at the other server believes the last checkpoint, so the new timeline should be in one soon. It ends
    /// by itself if the server does, and the resource does not wait for it.
    fn checkpoint_behind(&self) {
        let host = Host { activity: Default::default(), ..self.beyond(self.seen.alive.child_token()) };
        tokio::spawn(async move {
            if let Err(Trouble::Failed(e)) = host.tell("checkpoint", CHECKPOINT).await {
                host.event(true, format!("the checkpoint after the promotion failed: {e}"));
            }
        });
    }

    /// From promoted to started: down in good order, and up again as a standby.
    pub(super) async fn demote(&self, limit: Duration) -> Outcome<()> {
        let begun = clock::now();
        if self.postmaster().await?.is_some() {
            // One that does not answer is taken down as well.
            match self.ask(limit.mul_f64(0.1).max(Duration::from_secs(1))).await {
                Err(Trouble::Cancelled) => return Err(Trouble::Cancelled),
                Ok(live) if live.in_recovery => {
                    self.seen.live(&live);
                    return Ok(());
                }
                _ => {}
            }
            // First, so that whoever starts it after a crash in between starts no primary.
            self.files("touch", &[], &[&self.data().join("standby.signal")]).await?;
            if let Down::Forced(how) = self.shut_down(limit.mul_f64(0.6)).await? {
                self.event(true, format!("{how}: its last writes may not have reached the standby"));
            }
        }
        self.return_as_standby(limit.saturating_sub(clock::now().since(begun))).await
    }

    /// After a demotion nothing is written here any more, and that is what others wait for: whether the server also
    /// follows its peer already must not keep the address from it. What does not come back in time is down, which its
    /// monitor sees, and its next start has the time that a copy needs.
    async fn return_as_standby(&self, limit: Duration) -> Outcome<()> {
        let soon = self.cancel.child_token();
        let host = self.beyond(soon.clone());
        let mut work = pin!(host.start_as_standby(limit));
        let result = match tokio::time::timeout(limit.mul_f64(0.7), &mut work).await {
            Ok(result) => result,
            Err(_) => {
                soon.cancel();
                work.await
            }
        };
        let why = match result {
            Ok(()) => return Ok(()),
            Err(_) if self.cancel.is_cancelled() => return Err(Trouble::Cancelled),
            Err(Trouble::Cancelled) => "there was no time to follow the peer".into(),
            Err(trouble) => trouble.words(),
        };
        self.event(true, format!("demoted, but not a standby yet: {why}"));
        if self.postmaster().await?.is_none() {
            self.seen.stopped();
        }
        let _ = self.services.reports.send(Report { resource: self.name.clone(), what: Noticed::Look });
        Ok(())
    }

    /// From started to stopped.
    pub(super) async fn stop(&self, limit: Duration) -> Outcome<()> {
        if let Down::Forced(how) = self.shut_down(limit.mul_f64(0.8)).await? {
            self.event(true, format!("{how}: it recovers at its next start"));
        }
        self.seen.stopped();
        Ok(())
    }

    /// Looks whether the server is what it should be, and whether it still can follow its peer.
    pub(super) async fn monitor(&self, level: Level, limit: Duration) -> Outcome<()> {
        let Some(server) = self.postmaster().await? else {
            self.seen.stopped();
            return match level {
                Level::Stopped => Ok(()),
                _ => Err(Trouble::Failed("no server runs".into())),
            };
        };
        // Somewhat less than the step has, so that the words arrive.
        let live = match self.ask(limit.mul_f64(0.9)).await {
            Ok(live) => live,
            Err(Trouble::Cancelled) => return Err(Trouble::Cancelled),
            Err(e) => return Err(Trouble::Failed(format!("{} (pid {})", e.words(), server.pid))),
        };
        self.seen.live(&live);
        let found = if live.in_recovery { Level::Started } else { Level::Promoted };
        if found != level {
            let word = if live.in_recovery { "a standby" } else { "a primary" };
            return Err(Trouble::Failed(format!("it is {word} (pid {}), and should be {level}", server.pid)));
        }
        self.say_changes(&live);
        if live.connected() {
            self.seen.forget(LOST);
            return Ok(());
        }
        let peer = self.ask_peer().await?;
        self.seen.peer(&peer);
        match astray(&live, &peer) {
            Some(why) if live.in_recovery => Err(Trouble::Failed(why)),
            Some(why) => {
                self.say_once("two primaries", &why);
                Ok(())
            }
            None if live.in_recovery && matches!(peer, Peer::Primary(..)) => self.look_for_lost_log().await,
            None => Ok(()),
        }
    }

    /// A standby that was away for too long asks for what its primary has thrown away, again and again. It still is a
    /// standby, so it has not failed; but nobody else tells.
    async fn look_for_lost_log(&self) -> Outcome<()> {
        let tail = self.tail_of_log().await;
        if asks_in_vain(&tail) {
            self.say_once(
                LOST,
                "it cannot catch up: the peer has removed log that is needed here (see wal_keep_size); \
                 `tandemadm data recover` with `--keep peer` copies it anew",
            );
        }
        Ok(())
    }

    fn say_changes(&self, live: &Live) {
        let other = if live.in_recovery { "primary" } else { "standby" };
        match self.seen.connection_changed(live) {
            Some(true) => self.event(false, format!("the {other} is connected")),
            Some(false) => self.event(true, format!("the {other} is not connected: nothing is replicated")),
            None => {}
        }
        let waits = !live.in_recovery
            && !live.synchronous_names.is_empty()
            && !live.standby.as_ref().is_some_and(super::answer::Standby::synchronous);
        if waits {
            self.say_once(
                "commits wait",
                &format!(
                    "commits wait for a synchronous standby (synchronous_standby_names = '{}'), and none is connected",
                    live.synchronous_names
                ),
            );
        } else {
            self.seen.forget("commits wait");
        }
    }

    fn say_once(&self, what: &'static str, text: &str) {
        if self.seen.first_time(what) {
            self.event(true, text);
        }
    }

    /// At which level it is.
    pub(super) async fn level(&self, limit: Duration) -> Outcome<Level> {
        if self.postmaster().await?.is_none() {
            return Ok(Level::Stopped);
        }
        let live = self.ask(limit).await?;
        self.seen.live(&live);
        Ok(if live.in_recovery { Level::Started } else { Level::Promoted })
    }

    /// The peer's data in place of ours, by an operator's word.
    pub(super) async fn take_peers_data(&self, limit: Duration) -> Outcome<String> {
        let peer = self.ask_peer().await?;
        let Peer::Primary(at, history) = &peer else {
            return Err(Trouble::Failed("the peer is not a running primary: promote it first".into()));
        };
        let running = self.postmaster().await?.is_some();
        if running {
            let live = self.ask(limit.mul_f64(0.2)).await?;
            if !live.in_recovery {
                return Err(Trouble::Failed(format!(
                    "the server here is a primary: lower this node first, or `tandemadm resource stop {}`",
                    self.name
                )));
            }
            if live.connected() {
                return Err(Trouble::Failed(
                    "the server here follows its peer: nothing has to be recovered".into(),
                ));
            }
        }
        let plan = |found| decide::recover(&found, at, history, self.settings.rejoin);
        if let Plan::Refuse(why) = plan(self.inspect().await?) {
            return Err(Trouble::Failed(why));
        }
        if let Down::Forced(how) = self.shut_down(limit.mul_f64(0.2)).await? {
            self.event(true, how);
        }
        self.rejoin(plan(self.inspect().await?)).await?;
        if !running {
            return Ok(format!(
                "the data are the peer's now; start it with `tandemadm resource start {}`",
                self.name
            ));
        }
        let live = self.launch(limit.mul_f64(0.5)).await?;
        self.seen.live(&live);
        Ok("the data are the peer's now, and the server follows it".into())
    }
}

/// Whether the server's last words are that the primary has removed what it asks for.
fn asks_in_vain(tail: &str) -> bool {
    let mut last = tail.lines().rev().take(6);
    last.any(|l| l.contains("requested WAL segment") && l.contains("has already been removed"))
}

/// Why this server and its peer cannot be a pair as they are; none: they can, or it is not known.
pub(super) fn astray(live: &Live, peer: &Peer) -> Option<String> {
    let Peer::Primary(at, history) = peer else { return None };
    if at.system != live.at.system {
        return Some(format!(
            "the peer's data are of another cluster ({}, here {})",
            at.system, live.at.system
        ));
    }
    if !live.in_recovery {
        return Some(format!(
            "two primaries: the peer is one too, of timeline {} (here {}); both sides' writes count until one of them \
             is lowered",
            at.timeline, live.at.timeline
        ));
    }
    match relation(live.at.timeline, live.at.lsn, at, history) {
        Relation::Follows => None,
        Relation::Newer => Some(format!(
            "it cannot follow: it is of timeline {}, and the peer is the primary of the older timeline {}",
            live.at.timeline, at.timeline
        )),
        Relation::Diverged { fork } => Some(format!(
            "it cannot follow: the peer left timeline {} {}, and it has writes up to {}",
            live.at.timeline,
            fork.map_or_else(|| "elsewhere".to_owned(), |f| format!("at {f}")),
            live.at.lsn
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standby_that_asks_in_vain_is_known_by_its_last_words() {
        let vain = "x [7] LOG:  started streaming WAL from primary at 0/3000000 on timeline 2\n\
                    x [7] FATAL:  could not receive data from WAL stream: ERROR:  requested WAL segment \
                    000000020000000000000003 has already been removed\n";
        assert!(asks_in_vain(vain));
        let later = "x [8] LOG:  started streaming WAL from primary at 0/3000000 on timeline 2\n".repeat(6);
        assert!(!asks_in_vain(&format!("{vain}{later}")), "that was before");
        assert!(!asks_in_vain(""));
    }
}
