//! A program with everything that it starts, ended as a whole: what agents use.

use super::cgroup::{Cgroup, Home};
use super::family::Family;
use super::user::myself;
use super::{Activity, RunAs, check_script};
use crate::config::ScriptCommand;
use crate::net::{ffi, realtime};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;

/// From SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_secs(2);
/// How long output is waited for after the program itself has ended.
const DRAIN: Duration = Duration::from_millis(200);

/// What is to be run, and how. `Program::new` gives the defaults.
#[derive(Clone, Debug)]
pub struct Program {
    /// Program and arguments.
    pub command: ScriptCommand,
    /// As whom; none: as tandemd itself.
    pub user: Option<RunAs>,
    /// Added to PATH, LANG and `LC_ALL=C`.
    pub env: Vec<(String, String)>,
    /// Standard input; empty: none.
    pub input: Vec<u8>,
    /// The last so many bytes of each output are kept.
    pub keep: usize,
    /// Exit statuses that are no failure: what the program has left running then stays.
    pub success: &'static [i32],
    /// Refused if somebody else could have changed it: for programs that users write (`check_script`).
    pub checked: bool,
}

impl Program {
    /// A program without input, as tandemd itself, of whose outputs the last 64 KiB are kept and whose only success is
    /// exit status 0.
    pub fn new<A: Into<String>>(
        program: impl Into<std::path::PathBuf>,
        args: impl IntoIterator<Item = A>,
    ) -> Self {
        let args = args.into_iter().map(Into::into).collect();
        let command = ScriptCommand { program: program.into(), args };
        Program {
            command,
            user: None,
            env: Vec::new(),
            input: Vec::new(),
            keep: 64 << 10,
            success: &[0],
            checked: false,
        }
    }
}

/// How a job ended. Nothing of it runs any more, except what a success has left running.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum JobEnd {
    /// It exited by itself.
    Exit {
        /// Exit status.
        status: i32,
        /// The end of its standard output.
        stdout: String,
        /// The end of its standard error.
        stderr: String,
    },
    /// A signal that we did not send ended it.
    Signal(i32),
    /// It was told to end: SIGTERM, 2 s later SIGKILL, to everything it started.
    Cancelled,
    /// It could not be started.
    NotStarted(String),
}

/// Ends the steps of a killed daemon that still run, and removes what is empty of its cgroups. To be called once at the
/// start, before anything is looked for; else the first job does it.
pub fn clear_left_jobs() {
    Home::get();
}

/// Runs a program until it ends or `cancel` is cancelled. Ends only when nothing of it runs any more, so not at all
/// while a process hangs in the kernel; `activity` shows it meanwhile.
///
/// The program gets a cgroup of its own, or a process group where none can be made. It and all that it has started are
/// ended (SIGTERM, 2 s later SIGKILL) when `cancel` comes, and what it has started also when it fails. After a
/// success, one of [`Program::success`], what it has left running on purpose, a daemon, stays.
pub async fn run_job(program: &Program, cancel: &CancellationToken, activity: &Activity) -> JobEnd {
    run_in(Home::get(), program, cancel, activity).await
}

async fn run_in(
    home: Option<&Home>,
    program: &Program,
    cancel: &CancellationToken,
    activity: &Activity,
) -> JobEnd {
    if cancel.is_cancelled() {
        return JobEnd::Cancelled;
    }
    let cgroup = home.and_then(|h| h.create(&name(&program.command)).ok());
    let (wanted, at) = (program.clone(), cgroup.clone());
    // A program on storage that hangs would keep this thread.
    let mut starting = tokio::task::spawn_blocking(move || Fresh::start(&wanted, piped, at));
    let started = tokio::select! {
        started = &mut starting => started,
        () = cancel.cancelled() => {
            if let Some(cgroup) = &cgroup {
                Family::Cgroup(cgroup.clone()).end(GRACE, activity).await;
            }
            starting.await
        }
    };
    let (child, family) = match Fresh::take(started) {
        Ok(started) => started,
        Err(e) => {
            cgroup.as_ref().map(Cgroup::remove);
            return if cancel.is_cancelled() { JobEnd::Cancelled } else { JobEnd::NotStarted(e.to_string()) };
        }
    };
    if let (Family::Group { .. }, Some(unused)) = (&family, cgroup) {
        unused.remove();
    }
    let pid = child.id().unwrap_or(0);
    activity.started(pid, describe(&program.command));
    Job { program, pid, family: Some(family), activity }.run(child, cancel).await
}

/// A program that has been started.
struct Job<'a> {
    program: &'a Program,
    pid: u32,
    /// None as soon as all is over.
    family: Option<Family>,
    activity: &'a Activity,
}

/// A future that is dropped leaves nothing running.
impl Drop for Job<'_> {
    fn drop(&mut self) {
        self.activity.ended(self.pid);
        if let Some(family) = &self.family {
            family.abandon();
        }
    }
}

impl Job<'_> {
    async fn run(mut self, mut child: Child, cancel: &CancellationToken) -> JobEnd {
        let feed = tokio::spawn(feed(child.stdin.take(), self.program.input.clone()));
        let out = Output::collect(child.stdout.take(), self.program.keep);
        let err = Output::collect(child.stderr.take(), self.program.keep);
        let status = tokio::select! {
            biased;
            () = cancel.cancelled() => None,
            status = child.wait() => Some(status),
        };
        let fine =
            matches!(&status, Some(Ok(s)) if s.code().is_some_and(|c| self.program.success.contains(&c)));
        self.tidy(fine).await;
        // Reaped now, if it was not before.
        let _ = child.wait().await;
        feed.abort();
        let (stdout, stderr) = (out.text().await, err.text().await);
        match status {
            None => JobEnd::Cancelled,
            Some(Err(e)) => JobEnd::NotStarted(e.to_string()),
            Some(Ok(status)) => match (status.code(), status.signal()) {
                (Some(status), _) => JobEnd::Exit { status, stdout, stderr },
                (None, n) => JobEnd::Signal(n.unwrap_or(0)),
            },
        }
    }

    /// Leaves what a success has left, else ends everything.
    async fn tidy(&mut self, fine: bool) {
        let Some(family) = &self.family else { return };
        if !fine {
            family.end(GRACE, self.activity).await;
        }
        match family {
            Family::Cgroup(c) if !c.is_empty() => c.leave(),
            _ => family.remove(),
        }
        self.family = None;
    }
}

async fn feed(input: Option<ChildStdin>, text: Vec<u8>) {
    if let Some(mut input) = input {
        // A program that does not read is free not to.
        let _ = input.write_all(&text).await;
    }
}

fn name(command: &ScriptCommand) -> String {
    command.program.file_name().unwrap_or(command.program.as_os_str()).to_string_lossy().into_owned()
}

/// What it is, for people: its name and arguments, at most 80 characters.
pub(crate) fn describe(command: &ScriptCommand) -> String {
    let words = std::iter::once(name(command)).chain(command.args.iter().cloned());
    let text = words.collect::<Vec<_>>().join(" ");
    text.chars().take(80).collect()
}

/// A program that nobody has taken charge of yet. If nobody does, as whoever asked for it is gone, it is killed.
pub(super) struct Fresh(Option<(Child, Family)>);

impl Fresh {
    /// See [`spawn`].
    pub(super) fn start(
        program: &Program,
        finish: impl Fn(&Program, &mut Command) -> io::Result<()>,
        cgroup: Option<Cgroup>,
    ) -> io::Result<Self> {
        spawn(program, finish, cgroup).map(|started| Fresh(Some(started)))
    }

    /// Takes charge of it.
    pub(super) fn take(started: Result<io::Result<Self>, JoinError>) -> io::Result<(Child, Family)> {
        let mut fresh = started.unwrap_or_else(|e| Err(io::Error::other(e)))?;
        fresh.0.take().ok_or_else(|| io::Error::other("it was taken before"))
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if let Some((_, family)) = &self.0 {
            family.abandon();
        }
    }
}

/// Starts it in the cgroup or, where that is refused, in a process group, with the outputs that `finish` gives it. Blocks
/// until the program is loaded.
fn spawn(
    program: &Program,
    finish: impl Fn(&Program, &mut Command) -> io::Result<()>,
    cgroup: Option<Cgroup>,
) -> io::Result<(Child, Family)> {
    if program.checked {
        let user = program.user.clone().unwrap_or_else(myself);
        check_script(&program.command.program, &user).map_err(io::Error::other)?;
    }
    let finished = || {
        let mut c = command(program);
        finish(program, &mut c)?;
        Ok::<_, io::Error>(c)
    };
    if let Some(cgroup) = cgroup
        && let Ok(door) = cgroup.door()
    {
        let mut inside = finished()?;
        ffi::join_cgroup(&mut inside, door);
        // If the program is what cannot be started, it says so once more below.
        if let Ok(child) = inside.spawn() {
            return Ok((child, Family::Cgroup(cgroup)));
        }
    }
    let named =
        |e: io::Error| io::Error::new(e.kind(), format!("{}: {e}", program.command.program.display()));
    let child = finished()?.spawn().map_err(named)?;
    let pid = child.id().ok_or_else(|| io::Error::other("it has no process id"))?;
    Ok((child, Family::group(pid)))
}

/// The program as it is to be started, with a clean environment and as its user; without its outputs.
fn command(program: &Program) -> Command {
    const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let mut c = Command::new(&program.command.program);
    c.args(&program.command.args)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_else(|| PATH.into()))
        .envs(std::env::var_os("LANG").map(|l| ("LANG", l)))
        .env("LC_ALL", "C")
        .envs(program.env.iter().map(|(k, v)| (k, v)))
        .current_dir("/")
        .stdin(Stdio::null())
        .process_group(0);
    realtime::plain(&mut c);
    if let Some(user) = program.user.as_ref().filter(|u| u.change) {
        c.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    c
}

fn piped(program: &Program, c: &mut Command) -> io::Result<()> {
    c.stdin(if program.input.is_empty() { Stdio::null() } else { Stdio::piped() });
    c.stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(())
}

/// The end of what a program writes. It is read for as long as anybody may write: what a successful program has left
/// running must not fail for a full pipe.
struct Output {
    kept: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Output {
    fn collect(from: Option<impl AsyncRead + Unpin + Send + 'static>, keep: usize) -> Self {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let to = kept.clone();
        let reader = tokio::spawn(async move {
            let Some(mut from) = from else { return };
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = from.read(&mut buffer).await {
                let mut kept = to.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend(buffer.iter().take(n));
                let surplus = kept.len().saturating_sub(keep);
                kept.drain(..surplus);
            }
        });
        Output { kept, reader }
    }

    async fn text(self) -> String {
        // Somebody else may have it open.
        let _ = tokio::time::timeout(DRAIN, self.reader).await;
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&kept).into_owned()
    }
}

#[cfg(test)]
#[path = "job_tests.rs"]
mod tests;
