//! What people ask for: status, verify, and the end of a split brain.

use super::marks::Mark;
use super::picture::Picture;
use super::progress::{self, Progress};
use super::snapshot::{self, Purpose, Subject};
use super::state::Inner;
use super::tools::{Leash, Trouble};
use super::version::Version;
use super::words::{Connected, Role};
use super::{DrbdAgent, report};
use crate::agents::Work;
use crate::agents::data::{DataStatus, ReplicatedData, Side};
use crate::net::clock;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A person waits.
const FOR_PEOPLE: Duration = Duration::from_secs(4);
/// `drbdadm verify` returns when the comparison has begun.
const FOR_VERIFY: Duration = Duration::from_secs(30);

/// Does `work` within `limit`. It goes on by itself when the asker is gone, and is ended when its time is over; the asker
/// is answered then, even if a program hangs in the kernel.
pub(super) async fn within<T: Send + 'static, F: Future<Output = Result<T, String>> + Send + 'static>(
    limit: Duration,
    what: &'static str,
    work: impl FnOnce(Leash) -> F,
) -> Result<T, String> {
    let leash = Leash::default();
    let task = tokio::spawn(work(leash.clone()));
    match tokio::time::timeout(limit, task).await {
        Ok(Ok(done)) => done,
        Ok(Err(e)) => Err(format!("{what}: {e}")),
        Err(_) => {
            let pids: Vec<String> =
                leash.activity.processes().iter().map(|p| format!("pid {} ({})", p.pid, p.command)).collect();
            leash.cancel.cancel();
            Err(format!("{what}: not within {limit:?}; running: {}", pids.join(", ")))
        }
    }
}

impl ReplicatedData for DrbdAgent {
    fn status(&self) -> Work<'_, Result<DataStatus, String>> {
        let inner = self.inner.clone();
        Box::pin(within(FOR_PEOPLE, "drbdsetup", |leash| async move { inner.status(&leash).await }))
    }

    fn verify(&self) -> Work<'_, Result<String, String>> {
        let inner = self.inner.clone();
        Box::pin(within(FOR_VERIFY, "drbdadm verify", |leash| async move { inner.verify(&leash).await }))
    }

    fn recover(&self, keep: Side, limit: Duration) -> Work<'_, Result<String, String>> {
        self.recovery(keep, true, limit)
    }

    fn recover_without_copy(&self, limit: Duration) -> Work<'_, Result<String, String>> {
        self.recovery(Side::Peer, false, limit)
    }
}

impl DrbdAgent {
    fn recovery(&self, keep: Side, copy: bool, limit: Duration) -> Work<'_, Result<String, String>> {
        let inner = self.inner.clone();
        Box::pin(within(
            limit,
            "recovery",
            move |leash| async move { inner.recover(keep, copy, &leash).await },
        ))
    }
}

impl Inner {
    async fn status(self: &Arc<Self>, leash: &Leash) -> Result<DataStatus, String> {
        let picture = self.look(leash).await.map_err(|t| t.words())?;
        let progress = self.progress(&picture, leash).await;
        Ok(report::status(self.name.as_str(), &picture, &progress, self.known(), self.settings.on_peer_lost))
    }

    /// By volume. Nothing is known if it cannot be read; the rest of the status is worth showing without.
    async fn progress(&self, p: &Picture, leash: &Leash) -> BTreeMap<u32, Progress> {
        match self.version(leash).await {
            Ok(Version::V9) => {
                let words = ["status", self.drbd(), "--json"];
                let text = self.tools.ask("drbdsetup", &words, leash, FOR_PEOPLE).await.unwrap_or_default();
                progress::from_json(self.drbd(), &text)
            }
            Ok(Version::V84) => {
                let file = self.tools.path("/proc/drbd");
                // Its lock is the kernel's, which may hang.
                let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(file));
                let text = read.await.ok().and_then(Result::ok).unwrap_or_default();
                let by_minor = progress::from_proc(&text);
                let of = |minor: Option<u32>| by_minor.get(&minor?).copied();
                p.volumes.iter().filter_map(|(n, v)| Some((*n, of(v.minor)?))).collect()
            }
            Err(_) => BTreeMap::new(),
        }
    }

    async fn verify(&self, leash: &Leash) -> Result<String, String> {
        let p = self.look(leash).await.map_err(|t| t.words())?;
        if !p.is_linked() {
            return Err(format!(
                "both copies must be connected to be compared; the connection is {}",
                p.connected()
            ));
        }
        let running =
            p.connections.values().flat_map(|c| c.volumes.values()).any(|v| v.replication.is_verify());
        let watch = format!("tandemadm data status {}", self.name);
        if running {
            return Ok(format!("already being compared; watch it with {watch}"));
        }
        self.drbdadm(&["verify"], leash).await.map_err(|t| {
            format!(
                "{}. It needs a verify-alg in the net section of the resource (tandemadm data config), both copies \
                 UpToDate, and no resync on the way",
                t.words()
            )
        })?;
        Ok(format!(
            "both copies are being compared; watch it with {watch}. Blocks that differ are marked, and copied after \
             drbdadm disconnect {0} and drbdadm connect {0}",
            self.drbd()
        ))
    }

    /// Ends a split brain, for this node's part. May be said again at any point.
    async fn recover(&self, keep: Side, copy: bool, leash: &Leash) -> Result<String, String> {
        let Ok(_one) = self.recovery.try_lock() else {
            return Err("a recovery of this resource is already on its way".into());
        };
        let p = self.look(leash).await.map_err(|t| t.words())?;
        if !p.configured {
            return Err(format!(
                "DRBD does not know the resource: start it first (tandemadm resource start {})",
                self.name
            ));
        }
        if p.is_linked() {
            return Ok("both sides are connected: there is nothing to recover".into());
        }
        let done = match keep {
            Side::Local => self.survive(&p, leash).await,
            Side::Peer => self.give_up(&p, copy, leash).await,
        };
        done.map_err(|t| t.words())
    }

    /// This node's writes stay.
    async fn survive(&self, p: &Picture, leash: &Leash) -> Result<String, Trouble> {
        if p.connected() == Connected::StandAlone {
            self.connect(&["connect"], leash).await?;
        }
        Ok(format!(
            "this node keeps its writes and waits for the other one. There: tandemadm data recover {} --keep peer (without \
             tandemd: drbdadm secondary {1}; drbdadm disconnect {1}; drbdadm connect --discard-my-data {1}). If it does so \
             and nothing happens, say this here again after drbdadm disconnect {1}",
            self.name,
            self.drbd()
        ))
    }

    /// This node's writes since the split are thrown away.
    async fn give_up(&self, p: &Picture, copy: bool, leash: &Leash) -> Result<String, Trouble> {
        if p.role == Role::Primary {
            return Err(Trouble::says(format!(
                "this node is Primary and its writes are in use: make the other node MASTER first, so that this one is \
                 demoted, then say tandemadm data recover {} --keep peer again",
                self.name
            )));
        }
        let kept = if copy { self.copy(leash).await? } else { "no copy was kept, as you said".to_owned() };
        self.asked(true);
        match self.drbdadm(&["disconnect"], leash).await {
            // Is StandAlone already; 8.4 says so as "unknown connection".
            Ok(()) | Err(Trouble::Refused(_)) => {}
            Err(cancelled) => return Err(cancelled),
        }
        self.connect(&["connect", "--discard-my-data"], leash).await?;
        Ok(format!(
            "this node takes over the writes of the other one; its own since the split are thrown away ({kept}). On the \
             other node, if it does not connect by itself: tandemadm data recover {} --keep local",
            self.name
        ))
    }

    async fn connect(&self, words: &[&str], leash: &Leash) -> Result<(), Trouble> {
        let done = self.drbdadm(words, leash).await;
        self.asked(false);
        done
    }

    /// Snapshots of this side's data, once for each split.
    async fn copy(&self, leash: &Leash) -> Result<String, Trouble> {
        if let Some(kept) = self.marked(Mark::Copy) {
            return Ok(kept);
        }
        let purpose = Purpose::Recovery(clock::wall());
        let all = snapshot::take(&self.tools, &Subject::all(self.drbd()), purpose, leash).await.map_err(|t| match t {
            Trouble::Cancelled => t,
            Trouble::Refused(r) => Trouble::says(format!(
                "{r}. Nothing has been changed. To throw this node's writes away without a copy: tandemadm data recover {} \
                 --keep peer --no-copy",
                self.name
            )),
        })?;
        let kept = format!("kept in the snapshot {}, to be removed by you with lvremove", all.join(", "));
        self.mark(Mark::Copy, &kept);
        Ok(kept)
    }
}
