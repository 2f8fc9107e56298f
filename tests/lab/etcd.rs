//! Debian's etcd: one server in a node's namespace, or several, and what asks it from there.

use super::daemon::Process;
use super::{Lab, sleep, wait_until};
use nix::sched::{CloneFlags, setns};
use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

/// How long etcd may take to be there on a busy machine.
const START: Duration = Duration::from_secs(60);

/// An etcd on 192.0.2.9, in c's namespace. Ends with the test.
pub struct Etcd {
    process: Process,
    name: String,
    dir: PathBuf,
    port: u16,
}

impl Etcd {
    /// Starts one and waits until it takes connections. One of the same name goes on with the former one's data. `tls`: its
    /// certificate, its key and the authority of its clients.
    pub fn start(lab: &Lab, name: &str, port: u16, tls: Option<[&str; 3]>) -> Self {
        let mut etcd = Self::launch(lab, name, port, tls, &[(name, port)]);
        etcd.wait();
        etcd
    }

    /// Three that agree with each other.
    pub fn cluster(lab: &Lab, names: [&str; 3]) -> [Self; 3] {
        let mut port = 2369;
        let all = names.map(|name| {
            port += 10;
            (name, port)
        });
        let mut members = all.map(|(name, port)| Self::launch(lab, name, port, None, &all));
        members.iter_mut().for_each(Self::wait);
        members
    }

    fn launch(lab: &Lab, name: &str, port: u16, tls: Option<[&str; 3]>, all: &[(&str, u16)]) -> Self {
        let dir = lab.path(&format!("etcd.{name}"));
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (clients, peers) =
            (format!("{scheme}://192.0.2.9:{port}"), format!("http://192.0.2.9:{}", port + 1));
        let data = dir.display().to_string();
        let member = |(name, port): &(&str, u16)| format!("{name}=http://192.0.2.9:{}", port + 1);
        let cluster = all.iter().map(member).collect::<Vec<_>>().join(",");
        let mut args = vec!["etcd", "--name", name, "--data-dir", &data, "--log-level", "warn"];
        args.extend([
            "--logger",
            "zap",
            "--listen-client-urls",
            &clients,
            "--advertise-client-urls",
            &clients,
        ]);
        args.extend(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
        args.extend(["--initial-cluster", &cluster]);
        if let Some([cert, key, ca]) = tls {
            args.extend([
                "--cert-file",
                cert,
                "--key-file",
                key,
                "--trusted-ca-file",
                ca,
                "--client-cert-auth",
            ]);
        }
        let process = Process::start(lab, "c", &format!("etcd.{name}"), &args, &[]);
        Etcd { process, name: name.to_owned(), dir, port }
    }

    /// Where it is asked.
    pub fn at(&self) -> SocketAddr {
        SocketAddr::new("192.0.2.9".parse().expect("an address"), self.port)
    }

    fn wait(&mut self) {
        let (at, log) = (self.at(), self.process.log.clone());
        wait_until(START, "etcd (Debian's package etcd-server) takes connections", || {
            let said = || std::fs::read_to_string(&log).unwrap_or_default();
            assert!(self.process.is_running(), "etcd {} has ended:\n{}", self.name, said());
            sleep(50);
            within("c", || TcpStream::connect_timeout(&at, Duration::from_secs(1)).is_ok())
        });
    }

    /// As when its machine loses power.
    pub fn kill(mut self) {
        self.process.kill9();
    }

    /// It loses what it knows, and is gone.
    pub fn destroy(self) {
        let dir = self.dir.clone();
        self.kill();
        std::fs::remove_dir_all(dir).expect("its data");
    }

    /// It stands still, and its connections stay.
    pub fn freeze(&self) {
        self.process.freeze();
    }

    /// Ends a `freeze`.
    pub fn thaw(&self) {
        self.process.thaw();
    }
}

/// Runs `body` on a thread of its own whose sockets are a node's.
pub fn within<T: Send>(node: &str, body: impl FnOnce() -> T + Send) -> T {
    let space = File::open(format!("/run/netns/{node}")).expect("namespace");
    let run = move || {
        setns(space, CloneFlags::CLONE_NEWNET).expect("setns");
        body()
    };
    std::thread::scope(|s| s.spawn(run).join()).unwrap_or_else(|e| std::panic::resume_unwind(e))
}
