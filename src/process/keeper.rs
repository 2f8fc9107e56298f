//! One program that runs in the foreground for as long as its resource is up, and that outlives the daemon: a daemon
//! that crashed finds it again, starts no second one, and takes no stranger for it.
//!
//! `DIR/NAME.json` says which process it is: process id, start time and boot name one process for good. It has a
//! cgroup of its own, named after DIR and NAME, or a process group. What it writes goes to `DIR/NAME.log`, which is cut
//! to its last 64 KiB when it has grown to 1 MiB.

use super::cgroup::{Cgroup, Home};
use super::family::Family;
use super::job::{Fresh, Program};
use super::{Activity, boot, proc};
use crate::net::async_fd;
use nix::sys::signal::Signal;
use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::process::Child;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// What the program leaves when it ends has this long from SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_secs(2);
/// How often the log's size is looked at.
const TRIM_EVERY: Duration = Duration::from_secs(10);
/// A log of this size is cut,
const LOG_LIMIT: u64 = 1 << 20;
/// to this.
const LOG_KEPT: u64 = 64 << 10;

/// See the module.
#[derive(Debug)]
pub struct Keeper {
    name: String,
    record: PathBuf,
    log: PathBuf,
    noticed: Notice,
    home: Option<&'static Home>,
    kept: Mutex<Option<Kept>>,
}

/// Called when the program ends by itself.
struct Notice(Arc<dyn Fn() + Send + Sync>);

impl std::fmt::Debug for Notice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Notice")
    }
}

/// What there is of the program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Nothing.
    Absent,
    /// It runs, with this process id.
    Running(u32),
    /// It has ended by itself.
    Ended {
        /// `exit status 3`, `killed by SIGSEGV`, or why that is not known.
        how: String,
        /// What it has started and still runs.
        rest: Vec<u32>,
    },
}

/// The program as we know it.
#[derive(Clone, Debug)]
struct Kept {
    pid: u32,
    handle: Option<Arc<OwnedFd>>,
    family: Family,
    ended: watch::Receiver<Option<String>>,
    /// It is being ended by us: nothing to notice.
    told: Arc<AtomicBool>,
}

/// `NAME.json`.
#[derive(Serialize, Deserialize)]
struct Record {
    pid: u32,
    start: u64,
    boot: String,
    cgroup: Option<PathBuf>,
    session: u32,
}

impl Keeper {
    /// For the program of this name, with its files in `dir`. `noticed` is called when the program has ended by itself.
    pub fn new(dir: &Path, name: &str, noticed: impl Fn() + Send + Sync + 'static) -> Self {
        let place: String = Sha256::digest(dir.as_os_str().as_encoded_bytes())
            .iter()
            .take(4)
            .map(|b| format!("{b:02x}"))
            .collect();
        Keeper {
            name: format!("{place}-{name}"),
            record: dir.join(format!("{name}.json")),
            log: dir.join(format!("{name}.log")),
            noticed: Notice(Arc::new(noticed)),
            home: Home::get(),
            kept: Mutex::new(None),
        }
    }

    /// What there is of it, also of one that an earlier daemon has started. Within a tokio runtime.
    pub fn look(&self) -> Standing {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.is_none() {
            *kept = self.find();
        }
        let Some(k) = kept.as_ref() else { return Standing::Absent };
        let ended = k.ended.borrow().clone();
        match ended {
            None => Standing::Running(k.pid),
            Some(how) => Standing::Ended { how, rest: k.family.pids() },
        }
    }

    /// Starts it and returns its process id; what is left of an earlier one is ended first. The start itself takes no
    /// longer than loading the program. `None`: cancelled, and nothing of it runs.
    ///
    /// # Errors
    /// In words.
    pub async fn start(
        &self,
        program: &Program,
        cancel: &CancellationToken,
        activity: &Activity,
    ) -> Result<Option<u32>, String> {
        match self.look() {
            Standing::Running(pid) => return Ok(Some(pid)),
            Standing::Absent => {}
            Standing::Ended { .. } => self.end(GRACE, cancel, activity).await,
        }
        let log = self.open_log().map_err(|e| format!("cannot write {}: {e}", self.log.display()))?;
        let cgroup = self.home.and_then(|h| h.keep(&self.name).ok());
        let (wanted, at) = (program.clone(), cgroup.clone());
        let mut starting = tokio::task::spawn_blocking(move || {
            let outputs = |_: &Program, c: &mut tokio::process::Command| {
                c.stdout(Stdio::from(log.try_clone()?)).stderr(Stdio::from(log.try_clone()?));
                Ok(())
            };
            Fresh::start(&wanted, outputs, at)
        });
        let started = tokio::select! {
            started = &mut starting => started,
            () = cancel.cancelled() => {
                if let Some(cgroup) = &cgroup {
                    Family::Cgroup(cgroup.clone()).end(GRACE, activity).await;
                }
                starting.await
            }
        };
        match Fresh::take(started) {
            Ok((child, family)) => {
                let pid = self.take(child, family.clone());
                if let Err(e) = self.note(pid, &family) {
                    self.end(Duration::ZERO, cancel, activity).await;
                    return Err(format!("cannot write {}: {e}", self.record.display()));
                }
                if cancel.is_cancelled() {
                    self.end(Duration::ZERO, cancel, activity).await;
                    return Ok(None);
                }
                Ok(Some(pid))
            }
            Err(e) => {
                cgroup.as_ref().map(Cgroup::remove);
                if cancel.is_cancelled() { Ok(None) } else { Err(format!("could not be started: {e}")) }
            }
        }
    }

    /// Waits until it ends by itself: how.
    pub async fn ended(&self) -> String {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(mut kept) = kept else { return "it does not run".to_owned() };
        let how = kept.ended.wait_for(Option::is_some).await.ok().and_then(|how| how.clone());
        how.unwrap_or_else(|| "it is not watched any more".to_owned())
    }

    /// Ends it with all that it has started: SIGTERM to the program, after `patience` or when `cancel` comes SIGKILL to
    /// everything. Returns when nothing of it is alive.
    pub async fn end(&self, patience: Duration, cancel: &CancellationToken, activity: &Activity) {
        self.look();
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(mut kept) = kept else { return };
        kept.told.store(true, Ordering::Relaxed);
        let running = kept.ended.borrow().is_none();
        if running {
            activity.started(kept.pid, proc::describe(kept.pid));
            kept.signal(rustix::process::Signal::TERM);
            activity.signalled(kept.pid, "SIGTERM");
            let politely = tokio::select! {
                _ = kept.ended.wait_for(Option::is_some) => true,
                () = tokio::time::sleep(patience) => false,
                () = cancel.cancelled() => false,
            };
            if !politely {
                kept.signal(rustix::process::Signal::KILL);
                kept.family.signal(Signal::SIGKILL);
                activity.signalled(kept.pid, "SIGKILL");
            }
        }
        let grace = if cancel.is_cancelled() { Duration::ZERO } else { GRACE };
        kept.family.end(grace, activity).await;
        // Of one that somebody has moved to another cgroup.
        let _ = kept.ended.wait_for(Option::is_some).await;
        if running {
            activity.ended(kept.pid);
        }
        kept.family.remove();
        // Where it cannot be removed, the next look finds that this process is no more.
        let _ = fs::remove_file(&self.record);
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The last lines of its log.
    pub fn last_lines(&self, count: usize) -> Vec<String> {
        let text = tail(&self.log, 4096).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
        lines.iter().skip(lines.len().saturating_sub(count)).map(|l| (*l).to_owned()).collect()
    }

    /// Where its output is.
    pub fn log(&self) -> &Path {
        &self.log
    }

    fn open_log(&self) -> io::Result<File> {
        if let Some(dir) = self.log.parent() {
            fs::create_dir_all(dir)?;
        }
        trim(&self.log);
        OpenOptions::new().create(true).append(true).mode(0o640).open(&self.log)
    }

    fn note(&self, pid: u32, family: &Family) -> io::Result<()> {
        // One that is gone already is told from others all the same.
        let start = proc::stat(pid).map_or(0, |s| s.start);
        let (cgroup, session) = match family {
            Family::Cgroup(c) => (Some(c.path().to_owned()), 0),
            Family::Group { session, .. } => (None, *session),
        };
        let record = Record { pid, start, boot: boot(), cgroup, session };
        let temporary = self.record.with_extension("new");
        fs::write(&temporary, serde_json::to_vec(&record)?)?;
        fs::rename(temporary, &self.record)
    }

    /// One that an earlier daemon has started.
    fn find(&self) -> Option<Kept> {
        let record: Option<Record> =
            fs::read(&self.record).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let record = record.filter(|r| r.boot == boot());
        let Some(record) = record else { return self.find_by_cgroup() };
        let family = match &record.cgroup {
            Some(path) => Family::Cgroup(Cgroup::at(path.clone())),
            None => Family::Group { group: record.pid, session: record.session },
        };
        // First hold it, then look who it is.
        let handle = hold(record.pid).map(Arc::new);
        let ours = proc::stat(record.pid).is_some_and(|s| !s.dead && s.start == record.start);
        match handle.filter(|_| ours) {
            Some(handle) => {
                let (tell, ended) = watch::channel(None);
                let kept =
                    Kept { pid: record.pid, handle: Some(handle), family, ended, told: Arc::default() };
                self.watch(&kept, tell, None);
                Some(kept)
            }
            None if family.is_empty() => {
                family.remove();
                // Where it cannot be removed, the next look comes to the same.
                let _ = fs::remove_file(&self.record);
                None
            }
            None => Some(gone(record.pid, family, "it ended while no tandemd ran, exit status unknown")),
        }
    }

    /// A daemon that was killed between the start and the note has left nothing but the cgroup.
    fn find_by_cgroup(&self) -> Option<Kept> {
        let family = Family::Cgroup(self.home?.named(&self.name));
        let pid = *family.pids().first()?;
        Some(gone(
            pid,
            family,
            "a tandemd that was killed has started it and not noted down which process it is",
        ))
    }

    fn take(&self, child: Child, family: Family) -> u32 {
        let pid = child.id().unwrap_or(0);
        let (tell, ended) = watch::channel(None);
        let kept = Kept { pid, handle: hold(pid).map(Arc::new), family, ended, told: Arc::default() };
        self.watch(&kept, tell, Some(child));
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
        pid
    }

    /// Waits for its end, and keeps its log short meanwhile.
    fn watch(&self, kept: &Kept, tell: watch::Sender<Option<String>>, child: Option<Child>) {
        let (told, notice, handle) = (kept.told.clone(), self.noticed.0.clone(), kept.handle.clone());
        let log = self.log.clone();
        let trims = async move {
            loop {
                tokio::time::sleep(TRIM_EVERY).await;
                trim(&log);
            }
        };
        tokio::spawn(async move {
            let how = tokio::select! {
                how = end_of(child, handle) => how,
                () = trims => return,
            };
            tell.send_replace(Some(how));
            if !told.load(Ordering::Relaxed) {
                notice();
            }
        });
    }
}

impl Kept {
    fn signal(&self, signal: rustix::process::Signal) {
        if let Some(handle) = &self.handle {
            // Gone is fine.
            let _ = pidfd_send_signal(handle, signal);
        }
    }
}

/// How it ended, once it has.
async fn end_of(child: Option<Child>, handle: Option<Arc<OwnedFd>>) -> String {
    if let Some(mut child) = child {
        return match child.wait().await {
            Ok(status) => words(status),
            Err(e) => format!("it cannot be waited for: {e}"),
        };
    }
    // A pidfd is readable from the end of its process on (pidfd_open(2)).
    if let Some(fd) = handle.and_then(|h| h.try_clone().ok()).and_then(|fd| async_fd(fd).ok()) {
        let _ = fd.readable().await;
    }
    "exit status unknown, as an earlier tandemd had started it".to_owned()
}

fn gone(pid: u32, family: Family, how: &str) -> Kept {
    let ended = watch::channel(Some(how.to_owned())).1;
    Kept { pid, handle: None, family, ended, told: Arc::default() }
}

fn hold(pid: u32) -> Option<OwnedFd> {
    pidfd_open(Pid::from_raw(i32::try_from(pid).ok()?)?, PidfdFlags::empty()).ok()
}

fn words(status: ExitStatus) -> String {
    match (status.code(), status.signal().map(Signal::try_from)) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(Ok(signal))) => format!("killed by {signal}"),
        (None, _) => "killed by a signal".to_owned(),
    }
}

/// The last `count` bytes of a file.
fn tail(path: &Path, count: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(count)))?;
    let mut text = Vec::new();
    file.take(count).read_to_end(&mut text)?;
    Ok(text)
}

/// Cuts a log that has grown too long. The program goes on writing at its end; what it writes at this very moment may
/// be lost.
fn trim(log: &Path) {
    let long = fs::metadata(log).is_ok_and(|m| m.len() > LOG_LIMIT);
    if let Some(kept) = tail(log, LOG_KEPT).ok().filter(|_| long) {
        let cut = |file: &mut File| file.set_len(0).and_then(|()| file.write_all(&kept));
        let done = OpenOptions::new().append(true).open(log).and_then(|mut file| cut(&mut file));
        if let Err(e) = done {
            tracing::warn!("cannot shorten {}: {e}", log.display());
        }
    }
}

#[cfg(test)]
#[path = "keeper_tests.rs"]
mod tests;
