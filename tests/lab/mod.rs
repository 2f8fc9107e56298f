//! A small LAN in network namespaces: nodes `a`, `b`, `c` with an `eth0` each, and a bridge between them.
//!
//! Each test runs in a process of its own inside fresh network, mount and process namespaces, so nothing that it
//! does reaches the machine, tests run side by side, and everything is gone when it ends, however it ends.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
#![allow(clippy::disallowed_methods, reason = "a test waits, and measures by the real clock")]
// Test code: a failure is a panic, and each test binary uses a part of this.

pub mod capture;
pub mod daemon;
pub mod etcd;
pub mod frames;
pub mod inject;
pub mod ping;

use nix::fcntl::{Flock, FlockArg};
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

pub const VIP: &str = "192.0.2.100";
pub const VIP6: &str = "2001:db8::100";

/// As [`isolated`], and while no other test runs: for what is judged by the millisecond. The kernel has one lock for all
/// changes of links and addresses in all namespaces, and a test that makes or ends a namespace may hold it for long.
pub fn isolated_alone(name: &str, body: impl FnOnce()) {
    in_namespaces(name, FlockArg::LockExclusive, body);
}

/// Runs `body` in namespaces of its own. `name` is the test's path as the test harness prints it.
pub fn isolated(name: &str, body: impl FnOnce()) {
    in_namespaces(name, FlockArg::LockShared, body);
}

/// As [`isolated`], once for each of these words at the same time, each in namespaces of its own. What they print is printed.
/// With `LAB_IN_TURN=N` in the environment one after the other, so many times each, while no other test runs.
pub fn isolated_each(name: &str, kinds: &[&'static str], body: impl FnOnce(&str)) {
    if let Ok(kind) = std::env::var(MARK) {
        enter();
        return body(&kind);
    }
    let in_turn = std::env::var("LAB_IN_TURN").ok().and_then(|n| n.parse::<usize>().ok());
    if let Some(times) = in_turn {
        let _lock = locked(FlockArg::LockExclusive);
        let all = kinds.iter().flat_map(|kind| std::iter::repeat_n(kind, times));
        return all.for_each(|kind| println!("{}", in_child(name, kind)));
    }
    let _lock = locked(FlockArg::LockShared);
    let texts: Vec<String> = std::thread::scope(|s| {
        let all: Vec<_> = kinds.iter().map(|kind| s.spawn(move || in_child(name, kind))).collect();
        all.into_iter().map(|t| t.join().expect("in its namespaces")).collect()
    });
    texts.iter().for_each(|text| println!("{text}"));
}

fn in_namespaces(name: &str, lock: FlockArg, body: impl FnOnce()) {
    if std::env::var_os(MARK).is_some() {
        enter();
        return body();
    }
    let _lock = locked(lock);
    in_child(name, "1");
}

/// Set in the process that is in its namespaces.
const MARK: &str = "TANDEM_LAB";

fn locked(lock: FlockArg) -> Flock<std::fs::File> {
    let file = std::fs::File::create(concat!(env!("CARGO_TARGET_TMPDIR"), "/lab.lock")).expect("lock file");
    Flock::lock(file, lock).expect("lock")
}

/// What the process does first that is in its namespaces.
fn enter() {
    if !has_other_users() {
        own_root();
    }
    keep_the_machine_up();
    run("mount -t tmpfs none /run");
    std::fs::create_dir("/run/netns").expect("mkdir /run/netns");
}

/// Runs this test in a process of its own; what it said.
fn in_child(name: &str, mark: &str) -> String {
    let root = nix::unistd::geteuid().is_root();
    let mut c = Command::new("unshare");
    if !root {
        c.args(["--user", "--map-root-user"]);
    }
    c.args(["--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]);
    c.arg(std::env::current_exe().expect("own path"));
    c.args(["--exact", name, "--nocapture", "--test-threads=1"]).env(MARK, mark).stdin(Stdio::null());
    let out = c.output().expect("unshare (util-linux) is needed");
    let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "in its namespaces:\n{text}");
    assert!(text.contains("1 passed"), "the test {name:?} does not exist under this name:\n{text}");
    text
}

/// Whatever a daemon under test wants, this machine is not rebooted: without CAP_SYS_BOOT, which no program that is started
/// from here gets back, reboot(2) says EPERM; and what is written to /proc/sysrq-trigger goes nowhere.
fn keep_the_machine_up() {
    use caps::{CapSet, Capability::CAP_SYS_BOOT};
    const TRIGGER: &str = "/proc/sysrq-trigger";
    for set in [CapSet::Bounding, CapSet::Effective, CapSet::Inheritable, CapSet::Permitted] {
        caps::drop(None, set, CAP_SYS_BOOT).expect("CAP_SYS_BOOT is dropped");
        assert!(!caps::has_cap(None, set, CAP_SYS_BOOT).expect("capabilities"), "CAP_SYS_BOOT is left");
    }
    // A kernel without it needs nothing.
    if std::path::Path::new(TRIGGER).exists() {
        run(&format!("mount --bind /dev/null {TRIGGER}"));
        let now = std::fs::metadata(TRIGGER).expect("its metadata");
        let null = std::fs::metadata("/dev/null").expect("its metadata");
        use std::os::unix::fs::MetadataExt;
        assert_eq!(now.rdev(), null.rdev(), "{TRIGGER} could reboot this machine");
    }
}

/// A root directory that belongs to this namespace's only user, with everything of the old one in it. There the old
/// one belongs to nobody that exists, and tandemd rightly refuses scripts below it.
fn own_root() {
    // Of all places, nothing that a test needs lies here: each gets a /run of its own anyway.
    const ROOT: &str = "/run";
    let entries: Vec<_> = std::fs::read_dir("/").expect("/").flatten().collect();
    run(&format!("mount -t tmpfs -o mode=755 none {ROOT}"));
    for entry in entries {
        let (from, to) = (entry.path(), PathBuf::from(ROOT).join(entry.file_name()));
        let kind = entry.file_type().expect("file type");
        if kind.is_symlink() {
            let target = std::fs::read_link(&from).expect("link");
            std::os::unix::fs::symlink(target, to).expect("symlink");
        } else if kind.is_dir() {
            std::fs::create_dir(&to).expect("mkdir");
            if from.as_os_str() != ROOT {
                run(&format!("mount --rbind {} {}", from.display(), to.display()));
            }
        }
    }
    nix::unistd::chroot(ROOT).expect("chroot");
    std::env::set_current_dir("/").expect("chdir");
}

/// Runs a command line (words separated by blanks) and insists on success.
pub fn run(line: &str) -> String {
    let out = try_run(line);
    assert!(out.status.success(), "{line}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// False in a user namespace of one user, where scripts can only run as root.
pub fn has_other_users() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.split_whitespace().nth(2).and_then(|n| n.parse::<u64>().ok()).is_some_and(|n| n > 65534)
}

/// Who runs scripts that name nobody.
pub fn script_user() -> &'static str {
    if has_other_users() { "nobody" } else { "root" }
}

pub fn try_run(line: &str) -> Output {
    let mut words = line.split_whitespace();
    let program = words.next().expect("a command");
    Command::new(program).args(words).stdin(Stdio::null()).output().unwrap_or_else(|e| panic!("{line}: {e}"))
}

/// Polls until it holds, or panics with `what`.
pub fn wait_until(limit: Duration, what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        sleep(5);
    }
    start.elapsed()
}

pub fn sleep(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

pub const fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}

/// The network of one test.
pub struct Lab {
    pub dir: tempfile::TempDir,
}

impl Lab {
    /// Nodes a, b and c at 192.0.2.1, .2, .9 and 2001:db8::1, ::2, ::9, link-local addresses fe80::1, ::2, ::9.
    pub fn new() -> Self {
        run("ip link set lo up");
        run("ip netns add sw");
        run("ip -n sw link add br0 type bridge forward_delay 0 mcast_snooping 0");
        run("ip -n sw link set br0 up");
        let dir = tempfile::Builder::new().prefix("tandem-lab.").tempdir_in("/run").expect("tempdir");
        let lab = Lab { dir };
        for (node, n) in [("a", 1), ("b", 2), ("c", 9)] {
            run(&format!("ip netns add {node}"));
            run(&format!("ip -n {node} link set lo up"));
            lab.create_interface(node, n);
        }
        lab
    }

    fn create_interface(&self, node: &str, n: u8) {
        run(&format!("ip link add eth0 netns {node} type veth peer name p{node} netns sw"));
        // Link-local addresses are ours, and there at once.
        run(&format!("ip netns exec {node} sysctl -qw net.ipv6.conf.eth0.addr_gen_mode=1"));
        run(&format!("ip netns exec {node} sysctl -qw net.ipv6.conf.eth0.accept_dad=0"));
        run(&format!("ip -n {node} addr add 192.0.2.{n}/24 dev eth0"));
        run(&format!("ip -n {node} link set eth0 up"));
        run(&format!("ip -n {node} addr add 2001:db8::{n}/64 dev eth0 nodad"));
        run(&format!("ip -n {node} addr add fe80::{n}/64 dev eth0 nodad"));
        run(&format!("ip -n sw link set p{node} master br0 up"));
    }

    /// A second interface between a, b and c: 198.51.100.1, .2, .9.
    pub fn add_eth1(&self) {
        run("ip -n sw link add br1 type bridge forward_delay 0 mcast_snooping 0");
        run("ip -n sw link set br1 up");
        for (node, n) in [("a", 1), ("b", 2), ("c", 9)] {
            run(&format!("ip link add eth1 netns {node} type veth peer name q{node} netns sw"));
            run(&format!("ip -n {node} addr add 198.51.100.{n}/24 dev eth1"));
            run(&format!("ip -n {node} link set eth1 up"));
            run(&format!("ip -n sw link set q{node} master br1 up"));
        }
    }

    pub fn exec(&self, node: &str, line: &str) -> String {
        run(&format!("ip netns exec {node} {line}"))
    }

    /// Takes the node's port off the bridge: the node keeps its carrier and hears nobody.
    pub fn cut(&self, node: &str) {
        run(&format!("ip -n sw link set p{node} nomaster"));
    }

    pub fn heal(&self, node: &str) {
        run(&format!("ip -n sw link set p{node} master br0"));
    }

    /// `to` hears nothing from `from` any more; the other direction works.
    pub fn cut_one_way(&self, from: &str, to: &str) {
        let mac = self.mac(from);
        run("ip netns exec sw nft add table bridge cut");
        run("ip netns exec sw nft add chain bridge cut f { type filter hook forward priority 0 ; }");
        run(&format!("ip netns exec sw nft add rule bridge cut f ether saddr {mac} oifname p{to} drop"));
    }

    pub fn heal_one_way(&self) {
        run("ip netns exec sw nft delete table bridge cut");
    }

    pub fn link(&self, node: &str, state: &str) {
        run(&format!("ip -n {node} link set eth0 {state}"));
    }

    pub fn delete_interface(&self, node: &str) {
        run(&format!("ip -n {node} link del eth0"));
    }

    pub fn restore_interface(&self, node: &str) {
        let n = match node {
            "a" => 1,
            "b" => 2,
            _ => 9,
        };
        self.create_interface(node, n);
    }

    pub fn addresses(&self, node: &str) -> String {
        run(&format!("ip -n {node} -o addr show"))
    }

    pub fn has(&self, node: &str, address: &str) -> bool {
        self.addresses(node).contains(&format!(" {address}/"))
    }

    /// Which of a and b hold the address now.
    pub fn holders(&self, address: &str) -> Vec<&'static str> {
        ["a", "b"].into_iter().filter(|n| self.has(n, address)).collect()
    }

    /// Waits until exactly this node holds the address.
    pub fn wait_holder(&self, node: &str, address: &str, limit: Duration) -> Duration {
        wait_until(limit, &format!("only {node} holds {address}"), || self.holders(address) == [node])
    }

    pub fn mac(&self, node: &str) -> String {
        let text = run(&format!("ip -n {node} -o link show eth0"));
        text.split("link/ether ").nth(1).expect("a MAC").split_whitespace().next().expect("a MAC").to_owned()
    }

    /// Where node c believes the address to be.
    pub fn neighbour(&self, address: &str) -> Option<String> {
        let text = run(&format!("ip -n c neigh show {address} dev eth0"));
        text.split("lladdr ").nth(1).and_then(|t| t.split_whitespace().next()).map(str::to_owned)
    }

    /// Makes node c learn the address, as a host that uses it does.
    pub fn touch(&self, address: &str) {
        let ip: IpAddr = address.parse().expect("an address");
        let v6 = if ip.is_ipv6() { "-6" } else { "-4" };
        try_run(&format!("ip netns exec c ping {v6} -c 1 -W 1 {address}"));
    }

    /// Asserts that c's cache points at the node.
    pub fn assert_points_at(&self, address: &str, node: &str) {
        let want = self.mac(node);
        wait_until(secs(2), &format!("c's cache entry of {address} points at {node}"), || {
            self.neighbour(address).as_deref() == Some(want.as_str())
        });
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes an executable script that root's daemon accepts; its path.
    pub fn script(&self, name: &str, text: &str) -> String {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("write script");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("chmod");
        std::fs::set_permissions(self.dir.path(), PermissionsExt::from_mode(0o755)).expect("chmod");
        path.display().to_string()
    }
}
