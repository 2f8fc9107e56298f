//! The daemons under test, as processes that die with the test.

use super::{Lab, has_other_users, secs, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

pub struct Process {
    child: Child,
    pub log: PathBuf,
}

impl Process {
    pub(super) fn start(lab: &Lab, node: &str, name: &str, args: &[&str], env: &[(&str, String)]) -> Self {
        let log = lab.path(&format!("{node}.{name}.log"));
        let file = File::options().create(true).append(true).open(&log).expect("log file");
        let child = Command::new("ip")
            .args(["netns", "exec", node])
            .args(args)
            .env_remove("JOURNAL_STREAM")
            .env_remove("NOTIFY_SOCKET")
            .envs(env.iter().map(|(k, v)| (k, v)))
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("log file"))
            .stderr(file)
            .spawn()
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        Process { child, log }
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("pid"))
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("signal");
    }

    /// SIGTERM, then waits for the end; its exit code.
    pub fn stop(&mut self) -> Option<i32> {
        self.signal(Signal::SIGTERM);
        self.wait()
    }

    /// The process that does the work: below its guardian, below keepalived's parent.
    pub fn worker(&self) -> Pid {
        self.tree().get(1).copied().unwrap_or_else(|| self.pid())
    }

    /// It and its descendants, parents first.
    fn tree(&self) -> Vec<Pid> {
        let parents: Vec<(Pid, Pid)> = std::fs::read_dir("/proc")
            .expect("/proc")
            .flatten()
            .filter_map(|entry| {
                let pid = entry.file_name().to_str()?.parse().ok()?;
                let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
                let parent = stat.rsplit_once(") ")?.1.split_whitespace().nth(1)?.parse().ok()?;
                Some((Pid::from_raw(pid), Pid::from_raw(parent)))
            })
            .collect();
        let mut all = vec![self.pid()];
        let mut at = 0;
        while let Some(pid) = all.get(at).copied() {
            all.extend(parents.iter().filter(|(_, parent)| *parent == pid).map(|(child, _)| *child));
            at += 1;
        }
        all
    }

    /// Stops them all, as a paused virtual machine.
    pub fn freeze(&self) {
        for pid in self.tree() {
            kill(pid, Signal::SIGSTOP).expect("signal");
        }
    }

    /// Ends a `freeze`.
    pub fn thaw(&self) {
        for pid in self.tree() {
            kill(pid, Signal::SIGCONT).expect("signal");
        }
    }

    /// All at once, as when the power fails: nobody is left to hand over.
    pub fn kill9(&mut self) {
        let tree = self.tree();
        for pid in &tree {
            let _ = kill(*pid, Signal::SIGSTOP);
        }
        // Children first: if the parent of a stopped process group ends, the kernel has the group continue (setpgid(2)).
        for pid in tree.iter().rev() {
            let _ = kill(*pid, Signal::SIGKILL);
        }
        // Nobody reaps the orphans here; dead they are all the same. The first thread may be dead before the others,
        // which still hold the control socket.
        let dead = |pid: &Pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let threads = std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
            threads < 2 && stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['Z', 'X']))
        };
        wait_until(secs(5), "all processes are dead", || tree.iter().all(dead));
        self.wait();
    }

    pub fn wait(&mut self) -> Option<i32> {
        let child = &mut self.child;
        let mut code = None;
        wait_until(secs(15), "the process ends", || match child.try_wait().expect("wait") {
            Some(status) => {
                code = status.code();
                true
            }
            None => false,
        });
        code
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("wait").is_none()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Resident memory in kB that is no file's: what the daemon has asked for itself. (Of its program, more becomes resident with
    /// everything that it does for the first time.)
    pub fn own_memory(&self) -> u64 {
        self.memory("RssAnon:")
    }

    fn memory(&self, what: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.worker())).expect("status");
        let line = status.lines().find(|l| l.starts_with(what)).expect("a line of memory");
        line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        for pid in self.tree() {
            let _ = kill(pid, Signal::SIGKILL);
        }
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("---- {}\n{}", self.log.display(), self.log());
        }
    }
}

/// A tandemd with its own run and state directories.
pub struct Tandemd {
    pub process: Process,
    node: String,
    dir: PathBuf,
}

impl Tandemd {
    /// Writes the configuration, starts it, and waits until it answers.
    pub fn start(lab: &Lab, node: &str, config: &str) -> Self {
        let t = Self::launch(lab, node, config);
        wait_until(secs(20), "tandemd answers", || t.adm("status --json").status.success());
        t
    }

    /// Starts it and does not wait.
    pub fn launch(lab: &Lab, node: &str, config: &str) -> Self {
        Self::launch_with(lab, node, config, &[])
    }

    /// With more environment, as a service manager gives it.
    pub fn launch_with(lab: &Lab, node: &str, config: &str, env: &[(&str, String)]) -> Self {
        Self::spawn(lab, node, config, &[], env)
    }

    /// As `start`, with a command before it that ends in running it: `setpriv ...`, `prlimit ...`.
    pub fn start_under(lab: &Lab, node: &str, config: &str, under: &[&str]) -> Self {
        let t = Self::spawn(lab, node, config, under, &[]);
        wait_until(secs(20), "tandemd answers", || t.adm("status --json").status.success());
        t
    }

    fn spawn(lab: &Lab, node: &str, config: &str, under: &[&str], env: &[(&str, String)]) -> Self {
        let dir = lab.path(&format!("{node}.d"));
        std::fs::create_dir_all(&dir).expect("mkdir");
        std::fs::write(dir.join("tandem.toml"), fitting(config)).expect("write config");
        let path = |name: &str| dir.join(name).display().to_string();
        let (file, run, state) = (path("tandem.toml"), path("run"), path("state"));
        let own =
            [env!("CARGO_BIN_EXE_tandemd"), "--config", &file, "--run-dir", &run, "--state-dir", &state];
        let args = [under, &own, &["--log-level", "debug"]].concat();
        let process = Process::start(lab, node, "tandemd", &args, env);
        Tandemd { process, node: node.to_owned(), dir }
    }

    pub fn run_dir(&self) -> PathBuf {
        self.dir.join("run")
    }

    pub fn configure(&self, config: &str) {
        std::fs::write(self.dir.join("tandem.toml"), fitting(config)).expect("write config");
    }

    /// Runs tandemadm with these words.
    pub fn adm(&self, words: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_tandemadm"))
            .arg("--run-dir")
            .arg(self.run_dir())
            .arg("--state-dir")
            .arg(self.dir.join("state"))
            .args(words.split_whitespace())
            .output()
            .expect("tandemadm")
    }

    pub fn adm_text(&self, words: &str) -> String {
        let out = self.adm(words);
        format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
    }

    /// New configuration, then `tandemadm reload`, which must succeed.
    pub fn reload(&self, config: &str) {
        self.configure(config);
        let out = self.adm("reload");
        assert!(out.status.success(), "reload: {}", String::from_utf8_lossy(&out.stderr));
    }

    pub fn status(&self) -> Value {
        let out = self.adm("status --json");
        assert!(out.status.success(), "{}: {}", self.node, String::from_utf8_lossy(&out.stderr));
        serde_json::from_slice(&out.stdout).expect("JSON")
    }

    pub fn instance(&self, name: &str) -> Value {
        let status = self.status();
        let all = status["instances"].as_array().expect("instances");
        all.iter()
            .find(|i| i["name"] == name)
            .cloned()
            .unwrap_or_else(|| panic!("no instance {name}: {status}"))
    }

    pub fn state(&self, name: &str) -> String {
        self.instance(name)["state"].as_str().expect("state").to_owned()
    }

    pub fn wait_state(&self, name: &str, state: &str, limit: std::time::Duration) {
        wait_until(limit, &format!("{name} on {} is {state}", self.node), || self.state(name) == state);
    }

    pub fn counter(&self, instance: &str, counter: &str) -> u64 {
        let out = self.adm("stats --json");
        let stats: Value = serde_json::from_slice(&out.stdout).expect("JSON");
        stats["instances"][instance][counter].as_u64().unwrap_or_else(|| panic!("{counter}: {stats}"))
    }
}

/// Where there is no other user, scripts run as the only one there is.
fn fitting(config: &str) -> String {
    if has_other_users() || config.contains("\nscript_user = ") {
        return config.to_owned();
    }
    config.replacen("[node]\n", "[node]\nscript_user = \"root\"\n", 1)
}

/// Debian's keepalived, VRRP alone.
pub fn keepalived(lab: &Lab, node: &str, config: &str) -> Process {
    keepalived_with(lab, node, config, &["-P"])
}

/// Debian's keepalived with these options.
pub fn keepalived_with(lab: &Lab, node: &str, config: &str, options: &[&str]) -> Process {
    let path = |name: &str| lab.path(&format!("{node}.keepalived.{name}")).display().to_string();
    std::fs::write(path("conf"), config).expect("write config");
    let (conf, pid, vrrp, bfd) = (path("conf"), path("pid"), path("vrrp.pid"), path("bfd.pid"));
    // A killed one leaves them, and with nobody to reap its child here it would seem to run still.
    for file in [&pid, &vrrp, &bfd] {
        let _ = std::fs::remove_file(file);
    }
    let own = ["keepalived", "-n", "-l", "-G", "-D", "-f", &conf, "-p", &pid, "-r", &vrrp, "-b", &bfd];
    Process::start(lab, node, "keepalived", &[&own, options].concat(), &[])
}

/// Debian's FRR: its BFD daemon, with the zebra that tells it of interfaces.
pub struct Frr {
    node: String,
    dir: PathBuf,
    bfdd: Process,
    _zebra: Process,
}

impl Frr {
    /// Starts both. `config` is that of bfdd.
    pub fn start(lab: &Lab, node: &str, config: &str) -> Self {
        let dir = lab.path(&format!("{node}.frr"));
        std::fs::create_dir_all(&dir).expect("mkdir");
        // The daemons insist on a group that root is in, and leave files in /run/frr and /var/tmp.
        let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
        let others = groups.lines().filter(|l| !l.starts_with("frrvty:")).collect::<Vec<_>>().join("\n");
        std::fs::write(dir.join("group"), format!("{others}\nfrrvty:x:4321:root\n")).expect("write groups");
        super::run(&format!("mount --bind {} /etc/group", dir.join("group").display()));
        super::run("mount -t tmpfs none /var/tmp");
        std::fs::create_dir_all("/run/frr").expect("mkdir /run/frr");
        std::fs::write(dir.join("zebra.conf"), "").expect("write config");
        std::fs::write(dir.join("bfdd.conf"), config).expect("write config");
        let path = |name: &str| dir.join(name).display().to_string();
        let (socket, vty, control) = (path("zserv.api"), dir.display().to_string(), path("bfdd.sock"));
        let launch = |name: &str, more: &[&str]| {
            let (program, pid, file) =
                (format!("/usr/lib/frr/{name}"), path(&format!("{name}.pid")), path(&format!("{name}.conf")));
            let own = [&*program, "-f", &file, "-z", &socket, "-i", &pid, "--vty_socket", &vty];
            let common = ["-u", "root", "-g", "root", "--log", "stdout", "-P", "0"];
            Process::start(lab, node, name, &[&own[..], &common, more].concat(), &[])
        };
        let zebra = launch("zebra", &[]);
        wait_until(secs(10), "zebra listens", || dir.join("zserv.api").exists());
        let bfdd = launch("bfdd", &["--bfdctl", &control]);
        let frr = Frr { node: node.to_owned(), dir: dir.clone(), bfdd, _zebra: zebra };
        wait_until(secs(10), "bfdd answers", || frr.try_vtysh(&["show bfd peers json"]).status.success());
        frr
    }

    fn try_vtysh(&self, commands: &[&str]) -> Output {
        let mut c = Command::new("ip");
        c.args(["netns", "exec", &self.node, "vtysh", "--vty_socket"]).arg(&self.dir);
        for command in commands {
            c.args(["-c", command]);
        }
        c.stdin(Stdio::null()).output().expect("vtysh")
    }

    /// Runs commands of its shell, and insists on success.
    pub fn vtysh(&self, commands: &[&str]) -> String {
        let out = self.try_vtysh(commands);
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(
            out.status.success(),
            "{commands:?}: {text}{}\n{}",
            String::from_utf8_lossy(&out.stderr),
            self.bfdd.log()
        );
        text
    }

    /// What it knows of a peer.
    pub fn peer(&self, address: &str, multihop: bool) -> Value {
        let text = self.vtysh(&["show bfd peers json"]);
        let peers: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
        let all = peers.as_array().expect("peers");
        let found =
            all.iter().find(|p| p["peer"] == address && p["multihop"].as_bool().unwrap_or(false) == multihop);
        found.cloned().unwrap_or_else(|| panic!("no {address}: {text}"))
    }
}

/// `tandemd --fingerprint` of a node, before or after its start.
pub fn fingerprint(lab: &Lab, node: &str) -> String {
    let state = lab.path(&format!("{node}.d")).join("state");
    let mut c = Command::new(env!("CARGO_BIN_EXE_tandemd"));
    let out = c.arg("--fingerprint").arg("--state-dir").arg(state).output().expect("tandemd");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

/// `tandemd --witness` with this configuration, without any capability, as its unit has it.
pub fn witness(lab: &Lab, node: &str, config: &str) -> Process {
    let file = lab.path(&format!("{node}.witness.toml"));
    std::fs::write(&file, config).expect("write config");
    let file = file.display().to_string();
    let tandemd = env!("CARGO_BIN_EXE_tandemd");
    let bare = ["setpriv", "--bounding-set=-all", "--no-new-privs"];
    let args = [&bare[..], &[tandemd, "--witness", "--config", &file]].concat();
    Process::start(lab, node, "witness", &args, &[])
}
