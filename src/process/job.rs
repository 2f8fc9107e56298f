//! A program with everything that it starts, ended as a whole: what agents use.

use super::{Activity, RunAs};
use crate::config::ScriptCommand;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
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
}

impl Program {
    /// A program without input, as tandemd itself, of whose outputs the last 64 KiB are kept.
    pub fn new<A: Into<String>>(
        program: impl Into<std::path::PathBuf>,
        args: impl IntoIterator<Item = A>,
    ) -> Self {
        let args = args.into_iter().map(Into::into).collect();
        let command = ScriptCommand { program: program.into(), args };
        Program { command, user: None, env: Vec::new(), input: Vec::new(), keep: 64 << 10 }
    }
}

/// How a job ended. Nothing of it runs any more.
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

/// Runs a program until it ends or `cancel` is cancelled. Ends only when nothing of it runs any more, so not at all
/// while a process hangs in the kernel; `activity` shows it meanwhile.
pub async fn run_job(program: &Program, cancel: &CancellationToken, activity: &Activity) -> JobEnd {
    let mut child = match start(program) {
        Ok(child) => child,
        Err(e) => return JobEnd::NotStarted(e.to_string()),
    };
    let Some(pid) = child.id() else { return JobEnd::NotStarted("it has no process id".into()) };
    activity.started(pid, describe(&program.command));
    let input = child.stdin.take();
    let text = program.input.clone();
    let feed = tokio::spawn(async move {
        if let Some(mut input) = input {
            // A program that does not read is free not to.
            let _ = input.write_all(&text).await;
        }
    });
    let out = tokio::spawn(last_of(child.stdout.take(), program.keep));
    let err = tokio::spawn(last_of(child.stderr.take(), program.keep));
    let ended = tokio::select! {
        status = child.wait() => Some(status),
        () = cancel.cancelled() => {
            end(&mut child, pid, activity).await;
            None
        }
    };
    feed.abort();
    activity.ended(pid);
    let output = async { (out.await.unwrap_or_default(), err.await.unwrap_or_default()) };
    let (stdout, stderr) = tokio::time::timeout(DRAIN, output).await.unwrap_or_default();
    match ended {
        None => JobEnd::Cancelled,
        Some(Err(e)) => JobEnd::NotStarted(e.to_string()),
        Some(Ok(status)) => match (status.code(), status.signal()) {
            (Some(status), _) => JobEnd::Exit { status, stdout, stderr },
            (None, n) => JobEnd::Signal(n.unwrap_or(0)),
        },
    }
}

async fn end(child: &mut Child, pid: u32, activity: &Activity) {
    let group = i32::try_from(pid).map(Pid::from_raw).ok();
    let signal = |s: Signal| {
        // Already gone is fine.
        let _ = group.map(|g| killpg(g, s));
        activity.signalled(pid, s.as_str());
    };
    signal(Signal::SIGTERM);
    if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
        signal(Signal::SIGKILL);
        let _ = child.wait().await;
    }
    signal(Signal::SIGKILL);
}

fn describe(command: &ScriptCommand) -> String {
    let name = command.program.file_name().unwrap_or(command.program.as_os_str()).to_string_lossy();
    let words = std::iter::once(name.into_owned()).chain(command.args.iter().cloned());
    let text = words.collect::<Vec<_>>().join(" ");
    text.chars().take(80).collect()
}

fn start(program: &Program) -> std::io::Result<Child> {
    const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let mut c = Command::new(&program.command.program);
    c.args(&program.command.args)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_else(|| PATH.into()))
        .envs(std::env::var_os("LANG").map(|l| ("LANG", l)))
        .env("LC_ALL", "C")
        .envs(program.env.iter().map(|(k, v)| (k, v)))
        .current_dir("/")
        .stdin(if program.input.is_empty() { Stdio::null() } else { Stdio::piped() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    crate::net::realtime::plain(&mut c);
    if let Some(user) = program.user.as_ref().filter(|u| u.change) {
        c.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    c.spawn()
}

async fn last_of(from: Option<impl AsyncRead + Unpin>, keep: usize) -> String {
    let Some(mut from) = from else { return String::new() };
    let mut kept: Vec<u8> = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        kept.extend(buffer.iter().take(n));
        let surplus = kept.len().saturating_sub(keep);
        kept.drain(..surplus);
    }
    String::from_utf8_lossy(&kept).into_owned()
}
