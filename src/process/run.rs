//! One run of a program, in a process group of its own, with a deadline.

use super::RunAs;
use crate::config::ScriptCommand;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

/// From SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_secs(2);
/// Output that is kept for the log.
const KEPT: usize = 1024;
/// How long output is waited for after the program itself has ended (a grandchild may hold the pipe).
const DRAIN: Duration = Duration::from_millis(200);

/// How a run ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ended {
    /// It exited by itself.
    Exit {
        /// Exit status.
        status: i32,
        /// The last of its output.
        output: String,
    },
    /// A signal ended it.
    Signal(i32),
    /// It took too long; its process group was killed.
    TimedOut(Duration),
    /// It could not be started.
    NotStarted(String),
}

impl Ended {
    /// True for exit status 0.
    pub fn is_success(&self) -> bool {
        matches!(self, Ended::Exit { status: 0, .. })
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ended::Exit { status, output } => {
                write!(f, "exit status {status}")?;
                match output.lines().last() {
                    Some(line) if *status != 0 => write!(f, " ({})", line.trim()),
                    _ => Ok(()),
                }
            }
            Ended::Signal(n) => match Signal::try_from(*n) {
                Ok(s) => write!(f, "killed by {s}"),
                Err(_) => write!(f, "killed by signal {n}"),
            },
            Ended::TimedOut(d) => write!(f, "timed out after {} ms", d.as_millis()),
            Ended::NotStarted(why) => write!(f, "could not be started: {why}"),
        }
    }
}

/// Kills the process group when it goes out of scope, so that a dropped future leaves nothing running.
struct Group(Option<Pid>);

impl Group {
    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.0 {
            // Already gone is fine.
            let _ = killpg(pid, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}

/// Runs a program to its end or to the deadline. It gets no standard input, its output goes to the debug log, its
/// environment holds PATH, LANG and `env`. The whole process group is ended with it: SIGTERM at the deadline,
/// SIGKILL 2 s later. Supplementary groups are dropped when the user changes.
pub async fn run(
    command: &ScriptCommand,
    user: &RunAs,
    env: &[(String, String)],
    timeout: Duration,
) -> Ended {
    let mut child = match start(command, user, env) {
        Ok(child) => child,
        Err(e) => return Ended::NotStarted(e.to_string()),
    };
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    let mut group = Group(pid);
    let out = tokio::spawn(last_of(child.stdout.take()));
    let err = tokio::spawn(last_of(child.stderr.take()));
    let ended = wait(&mut child, &group, timeout).await;
    if ended.is_some() {
        // What a script leaves running in the background on purpose is not ours to end.
        group.0 = None;
    }
    drop(group);
    let output = async { (out.await.unwrap_or_default(), err.await.unwrap_or_default()) };
    let (out, err) = tokio::time::timeout(DRAIN, output).await.unwrap_or_default();
    let output = format!("{out}{err}");
    tracing::debug!(program = %command.program.display(), "output: {}", output.trim_end());
    match ended {
        Some(status) => match (status.code(), status.signal()) {
            (Some(status), _) => Ended::Exit { status, output },
            (None, Some(n)) => Ended::Signal(n),
            (None, None) => Ended::NotStarted("unknown exit status".into()),
        },
        None => Ended::TimedOut(timeout),
    }
}

async fn wait(child: &mut Child, group: &Group, timeout: Duration) -> Option<ExitStatus> {
    if let Ok(Ok(status)) = tokio::time::timeout(timeout, child.wait()).await {
        return Some(status);
    }
    group.signal(Signal::SIGTERM);
    if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
        group.signal(Signal::SIGKILL);
        // SIGKILL cannot be ignored; only a process in uninterruptible sleep outlives it, and init reaps that.
        let _ = tokio::time::timeout(GRACE, child.wait()).await;
    }
    None
}

fn start(command: &ScriptCommand, user: &RunAs, env: &[(String, String)]) -> std::io::Result<Child> {
    const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let mut c = Command::new(&command.program);
    c.args(&command.args)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_else(|| PATH.into()))
        .envs(std::env::var_os("LANG").map(|l| ("LANG", l)))
        .envs(env.iter().map(|(k, v)| (k, v)))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    crate::net::realtime::plain(&mut c);
    if user.change {
        c.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    c.spawn()
}

/// Reads to the end and keeps the last [`KEPT`] bytes.
async fn last_of(from: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut from) = from else { return String::new() };
    let mut kept: Vec<u8> = Vec::new();
    let mut buffer = [0; 512];
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        kept.extend(buffer.iter().take(n));
        let surplus = kept.len().saturating_sub(KEPT);
        kept.drain(..surplus);
    }
    String::from_utf8_lossy(&kept).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::clock;
    use crate::process::resolve_user;
    use nix::sys::signal::kill;

    fn sh(text: &str) -> ScriptCommand {
        ScriptCommand { program: "/bin/sh".into(), args: vec!["-c".into(), text.into()] }
    }

    async fn go(text: &str, ms: u64) -> Ended {
        run(&sh(text), &resolve_user(None).unwrap(), &[], Duration::from_millis(ms)).await
    }

    #[tokio::test]
    async fn the_exit_status_and_the_last_words_are_kept() {
        let e = go("echo one; echo two >&2; exit 7", 5000).await;
        assert_eq!(e.to_string(), "exit status 7 (two)");
        assert!(go("exit 0", 5000).await.is_success());
        assert!(go("kill -9 $$", 5000).await.to_string().contains("SIGKILL"));
        let missing = ScriptCommand { program: "/no/such/program".into(), args: vec![] };
        let e = run(&missing, &resolve_user(None).unwrap(), &[], Duration::from_secs(1)).await;
        assert!(matches!(e, Ended::NotStarted(_)));
    }

    #[tokio::test]
    async fn the_environment_is_clean_and_ours() {
        let env = [("TANDEM_STATE".to_owned(), "MASTER".to_owned())];
        let user = resolve_user(None).unwrap();
        let command = sh("test $TANDEM_STATE = MASTER && test -z \"$CARGO\"");
        let e = run(&command, &user, &env, Duration::from_secs(5));
        assert!(e.await.is_success());
    }

    #[tokio::test]
    async fn as_root_the_script_runs_as_the_other_user_without_groups() {
        let user = resolve_user(None).unwrap();
        let Ended::Exit { output, .. } = go("id -u; id -G", 5000).await else { panic!("did not exit") };
        let expected = format!("{}\n{}\n", user.uid, user.gid);
        assert!(!user.change || output == expected, "{output}");
    }

    #[tokio::test]
    async fn at_the_deadline_the_whole_group_is_gone_grandchildren_too() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        std::fs::write(&file, "").unwrap();
        std::os::unix::fs::chown(&file, Some(resolve_user(None).unwrap().uid.as_raw()), None).unwrap();
        std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let before = clock::now();
        let e = go(&format!("sh -c 'echo $$ > {}; sleep 60' & wait", file.display()), 300).await;
        assert_eq!(e, Ended::TimedOut(Duration::from_millis(300)));
        assert!(clock::now().since(before) < Duration::from_secs(2), "SIGTERM was enough");
        let pid: i32 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
        for _ in 0..100 {
            if kill(Pid::from_raw(pid), None).is_err() || is_zombie(pid) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("grandchild {pid} is still there");
    }

    /// An orphan that nobody reaps (a container without init) is dead all the same.
    fn is_zombie(pid: i32) -> bool {
        std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|s| s.contains(") Z "))
    }

    #[tokio::test]
    async fn a_program_that_ignores_sigterm_is_killed() {
        let before = clock::now();
        let e = go("trap '' TERM; while :; do sleep 1; done", 200).await;
        assert!(matches!(e, Ended::TimedOut(_)));
        let took = clock::now().since(before);
        assert!(took >= GRACE && took < GRACE + Duration::from_secs(2), "{took:?}");
    }

    #[tokio::test]
    async fn megabytes_of_output_keep_only_the_end() {
        let Ended::Exit { output, .. } = go("yes | head -c 3000000; echo end", 20000).await else {
            panic!("did not exit")
        };
        assert!(output.len() <= KEPT && output.ends_with("end\n"));
    }
}
