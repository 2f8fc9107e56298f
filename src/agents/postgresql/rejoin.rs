//! How a server that cannot simply follow is made to: pg_rewind, or a base backup with the old directory kept.

use super::answer::{PROGRESS, last_line, progress};
use super::control::Control;
use super::decide::{Directory, Plan};
use super::host::{Host, Outcome, Trouble};
use super::position::{Lsn, segment_name};
use crate::agents::data::DataState;
use crate::config::Rejoin;
use crate::net::clock;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Configuration in the data directory is this server's own: the peer's must not replace it.
const OWN_FILES: [&str; 4] = ["postgresql.conf", "pg_hba.conf", "pg_ident.conf", "postgresql.auto.conf"];
/// How often the progress of a copy is asked for.
const LOOK: Duration = Duration::from_secs(2);
/// No copy has a limit but that of its step.
const NO_LIMIT: Duration = Duration::from_secs(365 * 24 * 3600);

impl Host {
    /// Carries out a plan, so that afterwards the server can be started as a standby.
    pub(super) async fn rejoin(&self, plan: Plan) -> Outcome<()> {
        match plan {
            Plan::Follow => Ok(()),
            Plan::Wait(why) | Plan::Refuse(why) => {
                Err(Trouble::Failed(format!("{} is not started: {why}", self.data().display())))
            }
            Plan::Copy { why } => self.copy(&why).await,
            Plan::Rewind { why, fork, crashed } => match self.rewind(&why, fork, crashed).await {
                Err(Trouble::Failed(e)) if self.settings.rejoin == Rejoin::RewindOrCopy => {
                    self.event(true, format!("pg_rewind did not work, so the peer is copied: {e}"));
                    self.copy(&e).await
                }
                result => result,
            },
        }
    }

    /// pg_rewind, first without changing anything. While it works the data are of no use, and the marker says so.
    async fn rewind(&self, why: &str, fork: Option<Lsn>, crashed: bool) -> Outcome<()> {
        self.event(true, format!("{why}: rewound to follow the peer (pg_rewind)"));
        self.seen.copying(Some(DataState::Syncing { percent: None, seconds_left: None }));
        let result = self.rewind_in_steps(fork, crashed).await;
        self.seen.copying(None);
        result
    }

    async fn rewind_in_steps(&self, fork: Option<Lsn>, crashed: bool) -> Outcome<()> {
        if crashed {
            self.recover_from_crash().await?;
        }
        let said = self.pg_rewind(&["--dry-run"]).await?;
        if !said.contains("no rewind required") {
            let kept = self.keep_log(fork).await?;
            self.save_own_files().await?;
            self.pg_rewind(&[]).await?;
            self.copy_own_files(&self.marker(), self.data()).await?;
            if let Some(kept) = kept {
                self.event(
                    true,
                    format!("the log of what only this server had is kept in {}", kept.display()),
                );
            }
        }
        self.files("touch", &[], &[&self.data().join("standby.signal")]).await?;
        self.files("rm", &["-rf"], &[&self.marker()]).await.map(drop)
    }

    async fn pg_rewind(&self, more: &[&str]) -> Outcome<String> {
        let source = format!("{} dbname=postgres", self.there());
        let data = self.data().to_string_lossy();
        let args = ["--target-pgdata", &data, "--source-server", &source];
        let mut program = self.server_program("pg_rewind", args.into_iter().chain(more.iter().copied()));
        program.env.extend(self.password());
        let ran = self.job(&program, NO_LIMIT).await?;
        match ran.status {
            0 => Ok(ran.stdout + &ran.stderr),
            _ => Err(Trouble::Failed(format!("pg_rewind: {}", last_line(&ran.stderr)))),
        }
    }

    /// pg_rewind needs a server that was shut down; this one was not, and must not become a primary for that.
    async fn recover_from_crash(&self) -> Outcome<()> {
        let data = self.data().to_string_lossy().into_owned();
        let mut args = vec!["--single".to_owned(), "-F".into(), "-D".into(), data];
        if let Some(file) = &self.settings.config_file {
            args.extend(["-c".to_owned(), format!("config_file={}", file.display())]);
        }
        args.push("template1".into());
        self.need(&self.server_program("postgres", args), NO_LIMIT).await.map(drop)
    }

    /// Keeps the part of the log that the peer does not have: all that pg_waldump could show of the writes undone.
    async fn keep_log(&self, fork: Option<Lsn>) -> Outcome<Option<PathBuf>> {
        let Directory::Data { control, .. } = self.inspect().await? else { return Ok(None) };
        let log = self.data().join("pg_wal");
        let names = self.list(&log).await?.unwrap_or_default();
        let files: Vec<PathBuf> = undone(&control, fork, &names).iter().map(|n| log.join(n)).collect();
        if files.is_empty() {
            return Ok(None);
        }
        let to = self.beside(&format!(".undone-{}", stamp()));
        self.files("mkdir", &["-m", "700"], &[&to]).await?;
        let paths: Vec<&Path> = files.iter().map(PathBuf::as_path).chain([to.as_path()]).collect();
        self.need(&self.tool("cp", &["-p"], &paths), NO_LIMIT).await?;
        Ok(Some(to))
    }

    /// A base backup of the peer in place of the data here, which are kept.
    pub(super) async fn copy(&self, why: &str) -> Outcome<()> {
        self.can_be_replaced().await?;
        self.event(true, format!("{why}: the peer is copied (pg_basebackup)"));
        let (staging, own) = (self.beside(".copy"), self.marker());
        // Of an earlier attempt, and never finished.
        self.files("rm", &["-rf"], &[&staging]).await?;
        self.base_backup(&staging).await?;
        let marked = self.exists(&self.marker()).await?;
        self.copy_own_files(if marked { &own } else { self.data() }, &staging).await?;
        self.files("touch", &[], &[&staging.join("standby.signal")]).await?;
        self.replace(&staging).await?;
        self.files("rm", &["-rf"], &[&self.marker()]).await.map(drop)
    }

    /// The directory is renamed, which a mount point cannot be.
    async fn can_be_replaced(&self) -> Outcome<()> {
        let Some(parent) = self.data().parent() else { return Ok(()) };
        if !self.exists(self.data()).await? {
            return Ok(());
        }
        let text = self.files("stat", &["-L", "-c", "%d"], &[self.data(), parent]).await?;
        let mut devices = text.lines();
        if devices.next() == devices.next() {
            return Ok(());
        }
        Err(Trouble::Failed(format!(
            "{} is a mount point, so a copy cannot take its place: use a directory below it as `data_directory`",
            self.data().display()
        )))
    }

    async fn base_backup(&self, to: &Path) -> Outcome<()> {
        let (source, to) = (self.there(), to.to_string_lossy());
        let args = ["-D", &to, "-d", &source, "-X", "stream", "-c", "fast", "-w"];
        let mut program = self.server_program("pg_basebackup", args);
        program.env.extend(self.password());
        self.seen.copying(Some(DataState::Syncing { percent: None, seconds_left: None }));
        let done = self.cancel.child_token();
        let follower = self.beyond(done.clone());
        let backup = async {
            let result = self.need(&program, NO_LIMIT).await;
            done.cancel();
            result
        };
        let (result, ()) = tokio::join!(backup, follower.follow_progress());
        self.seen.copying(None);
        result.map(drop)
    }

    /// Asks the peer how far the copy is, until cancelled.
    async fn follow_progress(&self) {
        let start = clock::now();
        while self.pause(LOOK).await.is_ok() {
            // Of no importance: a server before PostgreSQL 13 cannot say.
            let text = self.ask_peer_for(PROGRESS).await.unwrap_or_default();
            if let Some((sent, all)) = progress(&text) {
                self.seen.copying(Some(syncing(sent, all, clock::now().since(start))));
            }
        }
    }

    /// Puts a finished copy where the data are, and those aside.
    async fn replace(&self, staging: &Path) -> Outcome<()> {
        match self.list(self.data()).await? {
            None => {}
            Some(names) if names.is_empty() => {
                self.files("rmdir", &[], &[self.data()]).await?;
            }
            Some(_) => {
                let old = self.beside(&format!(".old-{}", stamp()));
                self.files("mv", &["-T"], &[self.data(), &old]).await?;
                self.event(
                    true,
                    format!("the former data are kept in {}: remove them by hand", old.display()),
                );
            }
        }
        self.files("mv", &["-T"], &[staging, self.data()]).await.map(drop)
    }

    /// Saves the configuration; from here on the data count as half done.
    async fn save_own_files(&self) -> Outcome<()> {
        let saved = self.beside(".rejoin-new");
        self.files("rm", &["-rf"], &[&saved]).await?;
        self.files("mkdir", &["-m", "700"], &[&saved]).await?;
        self.copy_own_files(self.data(), &saved).await?;
        self.files("mv", &["-T"], &[&saved, &self.marker()]).await.map(drop)
    }

    async fn copy_own_files(&self, from: &Path, to: &Path) -> Outcome<()> {
        let names = self.list(from).await?.unwrap_or_default();
        let files: Vec<PathBuf> =
            OWN_FILES.iter().filter(|f| names.iter().any(|n| n == *f)).map(|f| from.join(f)).collect();
        if files.is_empty() {
            return Ok(());
        }
        let paths: Vec<&Path> = files.iter().map(PathBuf::as_path).chain([to]).collect();
        self.files("cp", &["-p"], &paths).await.map(drop)
    }
}

/// The files of the log from the fork on, of the timeline that is here.
fn undone(control: &Control, fork: Option<Lsn>, names: &[String]) -> Vec<String> {
    let Some(fork) = fork else { return Vec::new() };
    let first = segment_name(control.timeline, fork, control.segment);
    let here = format!("{:08X}", control.timeline);
    let segment = |n: &&String| n.len() == first.len() && n.bytes().all(|b| b.is_ascii_hexdigit());
    let wanted = |n: &&String| n.starts_with(&here) && **n >= first;
    names.iter().filter(segment).filter(wanted).cloned().collect()
}

/// From what was sent to what people want to know.
fn syncing(sent: u64, all: u64, elapsed: Duration) -> DataState {
    if all == 0 {
        return DataState::Syncing { percent: None, seconds_left: None };
    }
    #[expect(clippy::cast_precision_loss, reason = "a percentage needs no more than a float has")]
    let part = (sent as f64 / all as f64).min(1.0);
    let left = (part > 0.0).then(|| elapsed.mul_f64((1.0 - part) / part).as_secs());
    DataState::Syncing { percent: Some((part * 1000.0).round() / 10.0), seconds_left: left }
}

/// When, as part of a name.
fn stamp() -> String {
    clock::wall().strftime("%Y%m%dT%H%M%S%3fZ").to_string().replace('.', "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::postgresql::control::ClusterState;

    #[test]
    fn the_table_of_progress() {
        let of = |sent, all, secs| match syncing(sent, all, Duration::from_secs(secs)) {
            DataState::Syncing { percent, seconds_left } => (percent, seconds_left),
            _ => panic!("not syncing"),
        };
        assert_eq!(of(0, 0, 5), (None, None));
        assert_eq!(of(0, 100, 5), (Some(0.0), None));
        assert_eq!(of(25, 100, 10), (Some(25.0), Some(30)));
        assert_eq!(of(1, 3, 10), (Some(33.3), Some(20)));
        // The estimate of the size was too small.
        assert_eq!(of(120, 100, 10), (Some(100.0), Some(0)));
    }

    #[test]
    fn of_the_log_what_is_undone_is_kept() {
        let control = Control {
            state: ClusterState::ShutDown,
            system: 1,
            timeline: 1,
            end: Lsn(0x0600_0000),
            rewindable: true,
            segment: 16 << 20,
        };
        let names: Vec<String> = [
            "000000010000000000000003",
            "000000010000000000000004",
            "000000010000000000000005",
            "000000020000000000000005",
            "00000002.history",
            "archive_status",
        ]
        .map(String::from)
        .to_vec();
        let kept = undone(&control, Some(Lsn(0x0480_0000)), &names);
        assert_eq!(kept, ["000000010000000000000004", "000000010000000000000005"]);
        assert_eq!(undone(&control, None, &names), [""; 0]);
    }
}
