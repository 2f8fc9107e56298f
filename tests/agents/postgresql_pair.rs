//! Two PostgreSQL servers on one machine, each with its agent.
#![allow(unreachable_pub)]

use crate::lab::{has_other_users, run, secs, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tandemd::agents::postgresql::PostgresqlAgent;
use tandemd::agents::{Agent, Context, Noticed, Report, Services};
use tandemd::config::{PostgresqlResource, Rejoin, UserRef};
use tandemd::process::Activity;
use tandemd::resource::{Level, Step, StepResult};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_util::sync::CancellationToken;

/// Where everything lies; a tmpfs of the test's own.
pub const HOME: &str = "/run/pg";
/// More than any step takes.
pub const LIMIT: Duration = Duration::from_secs(40);
const PASSWORD: &str = "not in argv";

/// A server and its agent.
pub struct Node {
    pub name: &'static str,
    pub settings: PostgresqlResource,
    pub agent: PostgresqlAgent,
    reports: UnboundedReceiver<Report>,
    told: Vec<String>,
}

/// Node a with data, as the only one; node b with an empty directory. `more` is further configuration of a.
pub fn pair(more: &str) -> (Node, Node) {
    prepare();
    let a = Node::new("a", 6001, 6002);
    let b = Node::new("b", 6002, 6001);
    // initdb's own choice would be no wal_log_hints, and so no pg_rewind.
    as_postgres(&format!("/usr/lib/postgresql/15/bin/initdb -D {HOME}/a --no-sync -A trust --wal-segsize=1"));
    let conf = format!(
        "{}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{HOME}'\nfsync = off\nshared_buffers = 8MB\n\
         wal_keep_size = 64MB\nwal_retrieve_retry_interval = 200ms\nwal_log_hints = on\n{more}\n",
        fs::read_to_string(format!("{HOME}/a/postgresql.conf")).unwrap()
    );
    fs::write(format!("{HOME}/a/postgresql.conf"), conf).unwrap();
    let hba = "local all all peer\nlocal all postgres peer\nhost all replicator 127.0.0.1/32 scram-sha-256\n\
               host replication replicator 127.0.0.1/32 scram-sha-256\n";
    fs::write(format!("{HOME}/a/pg_hba.conf"), hba).unwrap();
    (a, b)
}

fn prepare() {
    assert!(
        has_other_users(),
        "this test needs root: PostgreSQL runs as no root, and in a user namespace of one user there is nobody else"
    );
    run("ip link set lo up");
    run(&format!("install -d -o postgres -g postgres -m 700 {HOME}"));
    // What the servers write must not reach the machine's own logs.
    run("mount -t tmpfs -o mode=1777 none /var/log/postgresql");
    fs::write(format!("{HOME}/pass"), format!("*:*:*:replicator:{PASSWORD}\n")).unwrap();
    run(&format!("chown postgres:postgres {HOME}/pass"));
    run(&format!("chmod 600 {HOME}/pass"));
    std::thread::spawn(reap);
}

/// Process 1 here is the test, and a killed server's process stays a zombie, which looks alive to the next one, until
/// its parent asks for it. Only servers: they lead a session, what the agent runs does not.
fn reap() {
    loop {
        for pid in
            fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().to_str()?.parse().ok())
        {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let words: Vec<&str> = stat.split_whitespace().collect();
            let server = words.get(1) == Some(&"(postgres)") && words.get(3) == Some(&"1");
            if server && words.get(2) == Some(&"Z") && words.get(5).and_then(|w| w.parse().ok()) == Some(pid)
            {
                let _ = waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG));
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A runtime as the daemon has it: one thread.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

pub fn as_postgres(line: &str) -> String {
    run(&format!("setpriv --reuid=postgres --regid=postgres --init-groups -- {line}"))
}

impl Node {
    pub fn new(name: &'static str, port: u16, peer_port: u16) -> Self {
        let settings = PostgresqlResource {
            data_directory: format!("{HOME}/{name}").into(),
            bin_directory: None,
            config_file: None,
            user: UserRef { user: "postgres".into(), group: None },
            port,
            socket_directory: HOME.into(),
            peer: "127.0.0.1".into(),
            peer_port,
            replication_user: "replicator".into(),
            password_file: Some(format!("{HOME}/pass").into()),
            rejoin: Rejoin::RewindOrCopy,
            max_lag: None,
        };
        Node::with(name, settings)
    }

    pub fn with(name: &'static str, settings: PostgresqlResource) -> Self {
        let (sender, reports) = unbounded_channel();
        let services = Services { run_dir: HOME.into(), state_dir: HOME.into(), reports: sender };
        let agent = PostgresqlAgent::new(format!("pg-{name}").into(), settings.clone(), services);
        Node { name, settings, agent, reports, told: Vec::new() }
    }

    /// A second agent of the same server, which believes its peer to be where nobody is.
    pub fn without_peer(&self) -> Self {
        Node::with(self.name, PostgresqlResource { peer_port: 6999, ..self.settings.clone() })
    }

    pub fn context(&self, level: Level, limit: Duration) -> Context {
        Context {
            resource: format!("pg-{}", self.name).into(),
            level,
            limit,
            cancel: CancellationToken::new(),
            activity: Activity::default(),
        }
    }

    /// A step as the daemon has it carried out: cancelled at its limit.
    pub async fn step(&self, step: Step, level: Level, limit: Duration) -> StepResult {
        let context = self.context(level, limit);
        let begun = std::time::Instant::now();
        let cancel = async {
            tokio::time::sleep(limit).await;
            context.cancel.cancel();
            std::future::pending::<()>().await;
        };
        let result = tokio::select! {
            result = self.agent.run(step, &context) => result,
            () = cancel => unreachable!(),
        };
        // Seen when the test fails.
        println!("{} {step}: {result:?} after {:?}", self.name, begun.elapsed());
        assert_eq!(context.activity.processes(), [], "something of the step is shown as running still");
        result
    }

    pub async fn start(&self) {
        assert_eq!(
            self.step(Step::Start, Level::Stopped, LIMIT).await,
            StepResult::Done,
            "start {}",
            self.name
        );
    }

    pub async fn promote(&self) {
        assert_eq!(
            self.step(Step::Promote, Level::Started, LIMIT).await,
            StepResult::Done,
            "promote {}",
            self.name
        );
    }

    pub async fn demote(&self) {
        assert_eq!(
            self.step(Step::Demote, Level::Promoted, LIMIT).await,
            StepResult::Done,
            "demote {}",
            self.name
        );
    }

    pub async fn stop(&self) {
        assert_eq!(
            self.step(Step::Stop, Level::Started, LIMIT).await,
            StepResult::Done,
            "stop {}",
            self.name
        );
        assert_eq!(self.processes(), [0; 0], "{} is stopped", self.name);
    }

    pub async fn monitor(&self, level: Level) -> StepResult {
        self.step(Step::Monitor, level, LIMIT).await
    }

    /// Monitors until the agent says so.
    pub async fn wait_detail(&self, level: Level, key: &str, value: &str) {
        for _ in 0..200 {
            assert_eq!(self.monitor(level).await, StepResult::Done, "{}", self.name);
            if self.detail(key) == value {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{}: {key} is not {value:?}: {:?}", self.name, self.agent.details());
    }

    pub fn detail(&self, key: &str) -> String {
        self.agent.details().into_iter().find(|(k, _)| k == key).map(|(_, v)| v).unwrap_or_default()
    }

    /// Makes the user that replicates, with what pg_rewind needs.
    pub fn create_replicator(&self) {
        self.sql(&format!("create role replicator login replication password '{PASSWORD}'"));
        for function in [
            "pg_ls_dir(text, boolean, boolean)",
            "pg_stat_file(text, boolean)",
            "pg_read_binary_file(text)",
            "pg_read_binary_file(text, bigint, bigint, boolean)",
        ] {
            self.sql(&format!("grant execute on function pg_catalog.{function} to replicator"));
        }
    }

    pub fn try_sql(&self, sql: &str) -> Result<String, String> {
        let out = psql(self.settings.port, sql).output().unwrap();
        let text = |b: &[u8]| String::from_utf8_lossy(b).trim().to_owned();
        if out.status.success() { Ok(text(&out.stdout)) } else { Err(text(&out.stderr)) }
    }

    pub fn sql(&self, sql: &str) -> String {
        self.try_sql(sql).unwrap_or_else(|e| panic!("{}: {sql}: {e}", self.name))
    }

    /// Waits until a query gives this.
    pub fn wait_sql(&self, sql: &str, expected: &str) {
        let took = wait_until(secs(20), &format!("{}: {sql} gives {expected}", self.name), || {
            self.try_sql(sql).as_deref() == Ok(expected)
        });
        println!("{}: {sql} gives {expected} after {took:?}", self.name);
    }

    /// The server's processes, the first one first.
    pub fn processes(&self) -> Vec<i32> {
        let mut found: Vec<i32> = fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter(|e| fs::read_link(e.path().join("cwd")).is_ok_and(|l| l == self.settings.data_directory))
            .filter_map(|e| e.file_name().to_str()?.parse().ok())
            .collect();
        found.sort_unstable();
        found
    }

    pub fn postmaster(&self) -> i32 {
        let text = fs::read_to_string(self.settings.data_directory.join("postmaster.pid")).unwrap();
        text.lines().next().unwrap().parse().unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        for pid in self.processes() {
            kill(Pid::from_raw(pid), signal).unwrap();
        }
    }

    /// As if its machine had died.
    pub fn die(&self) {
        let first = self.postmaster();
        kill(Pid::from_raw(first), Signal::SIGKILL).unwrap();
        for pid in self.processes() {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        wait_until(secs(5), "the server is dead", || {
            self.processes().is_empty() && !Path::new(&format!("/proc/{first}")).exists()
        });
    }

    /// Everything that the agent has told the operator so far.
    pub fn told(&mut self) -> String {
        while let Ok(report) = self.reports.try_recv() {
            if let Noticed::Event { text, .. } = report.what {
                self.told.push(text);
            }
        }
        self.told.join("\n")
    }

    /// Directories beside the data whose name goes on like this.
    pub fn beside(&self, more: &str) -> Vec<PathBuf> {
        let prefix = format!("{}{more}", self.name);
        let all = fs::read_dir(HOME).unwrap().flatten();
        all.filter(|e| e.file_name().to_string_lossy().starts_with(&prefix)).map(|e| e.path()).collect()
    }
}

pub fn psql(port: u16, sql: &str) -> Command {
    // A commit that waits for a standby would wait for ever.
    let mut c = Command::new("timeout");
    c.args([
        "20",
        "setpriv",
        "--reuid=postgres",
        "--regid=postgres",
        "--init-groups",
        "--",
        "psql",
        "-X",
        "-w",
        "-q",
        "-A",
        "-t",
    ]);
    c.args(["-h", HOME, "-p", &port.to_string(), "-d", "postgres", "-c", sql]).current_dir("/");
    c
}
