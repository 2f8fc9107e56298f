//! The server itself: is it there, what does it say, started and ended.

use super::answer::{Live, MORE, Peer, WHO, last_line};
use super::host::{FILES, Host, Outcome, Trouble};
use super::position::History;
use crate::process::{Activity, Program};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The peer is given so long to say what it is; a takeover waits for it if the peer's machine is dead.
pub(super) const PEER: Duration = Duration::from_secs(2);
/// Between two looks at something that is waited for.
pub(super) const PAUSE: Duration = Duration::from_millis(50);

/// A running server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Postmaster {
    /// Its first process.
    pub(super) pid: u32,
    /// Its working directory, which is that of all its processes: the data directory, links followed.
    pub(super) directory: String,
}

/// How a server came down.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Down {
    /// With a last checkpoint, and everything sent to the standby.
    Clean,
    /// By force: it recovers at its next start. What was done.
    Forced(&'static str),
}

/// Shows a process in the activity for as long as it is waited for.
struct Shown<'a>(&'a Activity, u32);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        self.0.ended(self.1);
    }
}

impl Host {
    /// The server that runs on the data directory, if one does: its pid file, and a process that really works there.
    pub(super) async fn postmaster(&self) -> Outcome<Option<Postmaster>> {
        let ran = self.job(&self.tool("cat", &[], &[&self.data().join("postmaster.pid")]), FILES).await?;
        let Some(pid) = ran.stdout.lines().next().and_then(|l| l.trim().parse::<u32>().ok()) else {
            return match ran.status {
                0 => Ok(None),
                _ if ran.stderr.contains("No such file or directory") => Ok(None),
                _ => Err(Trouble::Failed(last_line(&ran.stderr))),
            };
        };
        let cwd = PathBuf::from(format!("/proc/{pid}/cwd"));
        let ran = self.job(&self.tool("readlink", &["-e"], &[self.data(), &cwd]), FILES).await?;
        let lines: Vec<&str> = ran.stdout.lines().collect();
        Ok(match lines.as_slice() {
            [data, cwd] if data == cwd => Some(Postmaster { pid, directory: (*cwd).to_owned() }),
            _ => None,
        })
    }

    /// psql: `connection` and what to ask; the time is its limit.
    fn psql(&self, connection: &str, ask: &[&str], limit: Duration) -> Program {
        let seconds = limit.as_secs().max(2);
        let connection = format!(
            "{connection} connect_timeout={seconds} options='-c statement_timeout={}'",
            limit.as_millis().max(100)
        );
        let options = ["-X", "-w", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", &connection];
        let asked = ask.iter().flat_map(|a| ["-c", a]);
        let args: Vec<String> = options.into_iter().chain(asked).map(str::to_owned).collect();
        let mut program = self.server_program("psql", args);
        program.env.extend(self.password());
        program
    }

    /// The environment that lets programs find the password.
    pub(super) fn password(&self) -> Option<(String, String)> {
        let file = self.settings.password_file.as_ref()?;
        Some(("PGPASSFILE".into(), file.to_string_lossy().into_owned()))
    }

    /// Our own server, as libpq takes it; the server's user is its administrator.
    fn here(&self) -> String {
        let directory = quoted(&self.settings.socket_directory.to_string_lossy());
        format!("host={directory} port={} dbname=postgres", self.settings.port)
    }

    /// The peer's server.
    pub(super) fn there(&self) -> String {
        let s = &self.settings;
        format!("host={} port={} user={}", quoted(&s.peer), s.peer_port, quoted(&s.replication_user))
    }

    /// What a standby connects with.
    fn primary_conninfo(&self) -> String {
        let passfile = self.settings.password_file.as_ref();
        let passfile =
            passfile.map(|f| format!(" passfile={}", quoted(&f.to_string_lossy()))).unwrap_or_default();
        format!("{} application_name={}{passfile}", self.there(), quoted(self.name.as_str()))
    }

    /// Asks our own server for everything.
    pub(super) async fn ask(&self, limit: Duration) -> Outcome<Live> {
        let questions: Vec<&str> = WHO.into_iter().chain(MORE).collect();
        let connection = format!("{} replication=database", self.here());
        let ran = self.job(&self.psql(&connection, &questions, limit), limit).await;
        match ran {
            Ok(ran) if ran.status == 0 => Ok(Live::parse(&ran.stdout)?),
            Ok(ran) => {
                Err(Trouble::Failed(format!("the server does not answer: {}", last_line(&ran.stderr))))
            }
            Err(Trouble::TooSlow(_)) => {
                Err(Trouble::TooSlow(format!("the server did not answer within {limit:?}")))
            }
            Err(e) => Err(e),
        }
    }

    /// Has our own server carry out a command.
    pub(super) async fn tell(&self, command: &str, limit: Duration) -> Outcome<String> {
        self.need(&self.psql(&self.here(), &[command], limit), limit).await
    }

    /// Asks the peer's server something that needs no history.
    pub(super) async fn ask_peer_for(&self, question: &str) -> Outcome<String> {
        let connection = format!("{} dbname=postgres", self.there());
        self.need(&self.psql(&connection, &[question], PEER), PEER).await
    }

    /// Asks the peer what it is. Only a cancelled step is an error.
    pub(super) async fn ask_peer(&self) -> Outcome<Peer> {
        let connection = format!("{} dbname=postgres replication=database", self.there());
        let ran = match self.job(&self.psql(&connection, &WHO, PEER), PEER).await {
            Ok(ran) => ran,
            Err(Trouble::Cancelled) => return Err(Trouble::Cancelled),
            Err(e) => return Ok(Peer::Silent(e.words())),
        };
        if ran.status != 0 {
            return Ok(Peer::refused(&ran.stderr));
        }
        let peer = Peer::answered(&ran.stdout, History::default());
        let (Peer::Primary(at, _) | Peer::Standby(at, _)) = &peer else { return Ok(peer) };
        if at.timeline <= 1 {
            return Ok(peer);
        }
        let question = format!("TIMELINE_HISTORY {}", at.timeline);
        let history = match self.job(&self.psql(&connection, &[&question], PEER), PEER).await {
            Err(Trouble::Cancelled) => return Err(Trouble::Cancelled),
            Err(e) => return Ok(Peer::Busy(e.words())),
            Ok(ran) if ran.status != 0 => return Ok(Peer::refused(&ran.stderr)),
            Ok(ran) => ran.stdout,
        };
        // NAME|CONTENT, and the content has lines.
        let content = history.split_once('|').map_or("", |(_, content)| content);
        Ok(match History::parse(content) {
            Ok(history) => Peer::answered(&ran.stdout, history),
            Err(e) => Peer::Closed(e),
        })
    }

    /// Where the server writes before, and if, it has a log of its own.
    fn log(&self) -> PathBuf {
        let usual = Path::new("/var/log/postgresql");
        if usual.is_dir() { usual.join(format!("tandemd-{}.log", self.name)) } else { self.beside(".log") }
    }

    /// The server's last words, if it writes them there.
    pub(super) async fn tail_of_log(&self) -> String {
        self.files("tail", &["-n", "30"], &[&self.log()]).await.unwrap_or_default()
    }

    /// Starts the server, as a standby and in no other way, and waits until it answers.
    pub(super) async fn launch(&self, limit: Duration) -> Outcome<Live> {
        self.files("touch", &[], &[&self.data().join("standby.signal")]).await?;
        let log = self.log();
        let program = self.start_program(&log, limit);
        loop {
            let ran = self.job(&program, limit).await?;
            if ran.status == 0 {
                break;
            }
            let tail = self.tail_of_log().await;
            // Processes of a server that was killed need a moment to notice.
            if !tail.contains("shared memory block") || self.postmaster().await?.is_some() {
                // One that was too slow would go on starting.
                self.end_by_force().await;
                return Err(Trouble::Failed(format!(
                    "it did not start: {} (more in {})",
                    cause(&tail, &ran.stderr),
                    log.display()
                )));
            }
            self.pause(PAUSE.saturating_mul(10)).await?;
        }
        let live = self.ask(limit).await?;
        if live.in_recovery {
            return Ok(live);
        }
        self.end_by_force().await;
        Err(Trouble::Failed(
            "it started as a primary in spite of standby.signal, and was ended at once".into(),
        ))
    }

    fn start_program(&self, log: &Path, limit: Duration) -> Program {
        let s = &self.settings;
        let mut options =
            format!("-p {} -c {}", s.port, shell(&format!("primary_conninfo={}", self.primary_conninfo())));
        if let Some(file) = &s.config_file {
            let word = shell(&format!("config_file={}", file.display()));
            options.push_str(&format!(" -c {word}"));
        }
        let seconds = limit.as_secs().max(1).to_string();
        let (data, log) = (self.data().to_string_lossy(), log.to_string_lossy());
        let mut words = vec!["start", "-s", "-w", "-t", &seconds, "-D", &data, "-l", &log, "-o", &options];
        let pg_ctl = self.bin.join("pg_ctl").to_string_lossy().into_owned();
        let (uid, gid) = (format!("--reuid={}", self.user.uid), format!("--regid={}", self.user.gid));
        if !self.user.change {
            return self.server_program("pg_ctl", words);
        }
        // With its user's further groups (Debian's ssl-cert lets the server read its key), which run_job leaves out.
        let mut all = vec![uid.as_str(), gid.as_str(), "--init-groups", "--", &pg_ctl];
        all.append(&mut words);
        Program::new("setpriv", all)
    }

    /// Ends the server: in good order for most of the time, then by force. Returns when it is gone.
    pub(super) async fn shut_down(&self, limit: Duration) -> Outcome<Down> {
        let Some(server) = self.postmaster().await? else { return Ok(Down::Clean) };
        self.activity.started(server.pid, "postgres (the server)");
        let _shown = Shown(&self.activity, server.pid);
        for (mode, part, down) in [
            ("fast", limit.mul_f64(0.7), Down::Clean),
            (
                "immediate",
                limit.mul_f64(0.2),
                Down::Forced("it did not end in good order and was ended at once"),
            ),
        ] {
            self.pg_ctl_stop(mode, part).await?;
            if self.postmaster().await?.is_none() {
                return Ok(down);
            }
            self.activity.signalled(server.pid, if mode == "fast" { "SIGINT" } else { "SIGQUIT" });
        }
        self.kill(&server).await;
        Ok(Down::Forced("it did not end even at once and was killed"))
    }

    /// Whether it worked is seen by looking.
    async fn pg_ctl_stop(&self, mode: &str, limit: Duration) -> Outcome<()> {
        let seconds = limit.as_secs().max(1).to_string();
        let data = self.data().to_string_lossy();
        let program =
            self.server_program("pg_ctl", ["stop", "-s", "-w", "-m", mode, "-t", &seconds, "-D", &data]);
        match self.job(&program, limit).await {
            Err(Trouble::Cancelled) => Err(Trouble::Cancelled),
            _ => Ok(()),
        }
    }

    /// Ends the server after a step was cancelled. Returns when it is gone.
    pub(super) async fn end_by_force(&self) {
        const EACH: Duration = Duration::from_secs(5);
        let host = self.beyond(CancellationToken::new());
        let Ok(Some(server)) = host.postmaster().await else { return };
        host.activity.started(server.pid, "postgres (the server)");
        let _shown = Shown(&host.activity, server.pid);
        host.activity.signalled(server.pid, "SIGQUIT");
        // It cannot be cancelled: nobody else has the token.
        let _ = host.pg_ctl_stop("immediate", EACH).await;
        if matches!(host.postmaster().await, Ok(None)) {
            return;
        }
        host.kill(&server).await;
    }

    /// Kills the server and every process of it, and waits until none is left.
    async fn kill(&self, server: &Postmaster) {
        let host = self.beyond(CancellationToken::new());
        let signal = |pid: u32| {
            let pid = i32::try_from(pid).map(Pid::from_raw);
            // Gone already is what is wanted.
            let _ = pid.map(|p| kill(p, Signal::SIGKILL));
        };
        host.activity.signalled(server.pid, "SIGKILL");
        signal(server.pid);
        loop {
            match host.processes_in(&server.directory).await {
                Some(left) if left.is_empty() => return,
                left => left.into_iter().flatten().for_each(signal),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Server processes that work in a directory; none: nobody could look.
    async fn processes_in(&self, directory: &str) -> Option<Vec<u32>> {
        let mut find = Program::new(
            "find",
            ["/proc", "-mindepth", "2", "-maxdepth", "2", "-name", "cwd", "-printf", "%p %l\\n"],
        );
        find.user = Some(self.user.clone());
        find.keep = 4 << 20;
        // Links of others' processes cannot be read, and are not ours.
        let text = self.job(&find, FILES).await.ok()?.stdout;
        let server = |pid: &u32| {
            std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|c| c.trim() == "postgres")
        };
        Some(working_in(&text, directory).into_iter().filter(server).collect())
    }

    /// Waits, unless the step is cancelled.
    pub(super) async fn pause(&self, time: Duration) -> Outcome<()> {
        tokio::select! {
            () = tokio::time::sleep(time) => Ok(()),
            () = self.cancel.cancelled() => Err(Trouble::Cancelled),
        }
    }
}

/// From lines `/proc/PID/cwd DIRECTORY`.
fn working_in(text: &str, directory: &str) -> Vec<u32> {
    let pid = |line: &str| {
        let (path, at) = line.split_once(' ')?;
        let pid = path.strip_prefix("/proc/")?.strip_suffix("/cwd")?.parse().ok()?;
        (at == directory).then_some(pid)
    };
    text.lines().filter_map(pid).collect()
}

/// A value in a libpq connection string.
pub(super) fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// One word for /bin/sh, through which pg_ctl starts the server.
fn shell(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Why a start failed: the last thing that the server called fatal, else what pg_ctl said.
fn cause(log: &str, pg_ctl: &str) -> String {
    let fatal = |l: &&str| ["FATAL:", "PANIC:"].iter().any(|w| l.contains(w));
    let line = log.lines().rev().find(fatal);
    line.map_or_else(|| last_line(pg_ctl), |l| l.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_out_of_their_quotes() {
        assert_eq!(quoted("db.example"), "'db.example'");
        assert_eq!(quoted("a'b\\c"), "'a\\'b\\\\c'");
        assert_eq!(shell("x='a b'"), "'x='\\''a b'\\'''");
    }

    #[test]
    fn the_reason_of_a_failed_start_is_in_the_log() {
        let log = "x [1] LOG:  starting\nx [1] FATAL:  could not open file\nx [1] LOG:  database system is shut down\n";
        assert_eq!(cause(log, "pg_ctl: could not start server\n"), "x [1] FATAL:  could not open file");
        assert_eq!(cause("", "pg_ctl: no\n"), "pg_ctl: no");
    }

    #[test]
    fn processes_are_found_by_where_they_work() {
        let text = "/proc/1/cwd /\n/proc/20/cwd /data/a\n/proc/21/cwd /data/a b\n/proc/x/cwd /data/a\n/proc/22/cwd /data/a";
        assert_eq!(working_in(text, "/data/a"), [20, 22]);
        assert_eq!(working_in(text, "/data/a b"), [21]);
    }
}
