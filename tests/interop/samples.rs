//! keepalived's own samples, as Debian ships them: each is imported, and each that has a `vrrp_instance` runs on one
//! node with keepalived and, imported, on the other with tandemd.
//!
//! Addresses are replaced by documentation addresses on both sides, paths of scripts that no system has by scripts
//! that succeed, and an interval of twelve seconds by one. AH, which tandemd does not have, becomes PASS in the sample
//! that has it, and keepalived is spared the IPVS daemon of another, which needs a kernel module. Everything else is
//! as it is shipped.

use super::lab::daemon::{Process, Tandemd, keepalived_with};
use super::lab::{Lab, isolated, run, secs, wait_until};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

const INSTALLED: &str = "/usr/share/doc/keepalived/samples";

/// Where the samples are. A minimal Debian leaves out what is in /usr/share/doc.
fn directory() -> PathBuf {
    let unpacked =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("target/keepalived-samples").join(&INSTALLED[1..]);
    let found =
        [PathBuf::from(INSTALLED), unpacked].into_iter().find(|d| d.join("keepalived.conf.vrrp").exists());
    found.unwrap_or_else(|| {
        panic!(
            "no samples in {INSTALLED}. Run scripts/test, or: mkdir -p target/keepalived-samples && \
             (cd target/keepalived-samples && apt-get download keepalived && dpkg-deb -x keepalived_*.deb .)"
        )
    })
}

fn names() -> Vec<String> {
    let entries = std::fs::read_dir(directory()).expect("samples").flatten();
    let mut names: Vec<String> = entries.map(|e| e.file_name().into_string().expect("UTF-8")).collect();
    names.retain(|n| n.starts_with("keepalived.conf."));
    names.sort();
    assert!(names.len() >= 20, "{names:?}");
    names
}

fn text(name: &str) -> String {
    let path = directory().join(name);
    if name.ends_with(".gz") {
        return run(&format!("gzip -dc {}", path.display()));
    }
    std::fs::read_to_string(path).expect("a sample")
}

fn import(file: &Path) -> Output {
    let import = ["import", "--id", "high", "--json"];
    Command::new(env!("CARGO_BIN_EXE_tandemadm")).args(import).arg(file).output().expect("tandemadm")
}

/// Lines that have something to say on a node whose id is `high`.
fn significant(text: &str) -> Vec<usize> {
    let says = |line: &str| {
        let line = line.split(['#', '!']).next().unwrap_or_default().trim();
        let line = line.strip_prefix("@high").unwrap_or(line);
        !line.starts_with('@')
            && !line.trim_matches(|c: char| c == '}' || c == '{' || c.is_whitespace()).is_empty()
    };
    text.lines().enumerate().filter(|(_, line)| says(line)).map(|(n, _)| n + 1).collect()
}

struct Files;

impl tandemd::import::Machine for Files {
    fn read(&self, path: &Path) -> Result<String, String> {
        Ok(text(path.to_str().expect("UTF-8")))
    }
    fn list(&self, _: &Path) -> Vec<String> {
        Vec::new()
    }
    fn program(&self, name: &str) -> Option<String> {
        Some(format!("/usr/bin/{name}"))
    }
    fn has_user(&self, _: &str) -> bool {
        false
    }
    fn variable(&self, _: &str) -> Option<String> {
        None
    }
}

/// The result of every sample passes the check, and every line of it is translated or listed.
#[test]
fn every_line_is_translated_or_listed() {
    let options = tandemd::import::Options { id: "high".into() };
    for name in names() {
        let done = tandemd::import::import(Path::new(&name), &Files, &options)
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        let checked = tandemd::config::parse(
            &[tandemd::config::Source { path: name.clone().into(), text: done.toml.clone() }],
            &tandemd::config::Options::default(),
        );
        assert!(checked.is_ok(), "{name}: {checked:?}\n{}", done.toml);
        for line in significant(&text(&name)) {
            let here: Vec<_> =
                done.covered.iter().filter(|c| c.at.line <= line && line <= c.last_line).collect();
            assert!(
                here.iter().any(|c| c.at.line == line || c.kind.is_some()),
                "{name}:{line}: nothing became of it"
            );
            for listed in here.iter().filter_map(|c| c.kind) {
                let said = |f: &&tandemd::import::Finding| {
                    f.kind == listed && f.at.line <= line && line <= f.last_line
                };
                assert!(done.findings.iter().any(|f| said(&f)), "{name}:{line}: is not in the list");
            }
        }
    }
}

/// As shipped but for what the head of this file says.
fn rewritten(name: &str, lab: &Lab) -> String {
    let script = lab.script("check.sh", "exit 0");
    let mut text = text(name)
        .replace("/etc/keepalived/scripts/check_high_VI_0.sh", &script)
        .replace("@high net_namespace high", "@high net_namespace b")
        .replace("advert_int 12", "advert_int 1")
        .replace("auth_type AH", "auth_type PASS")
        .replace("10.1.0.254", "192.0.2.254")
        .replace("192.168.200.", "192.0.2.")
        .replace("192.168.201.", "198.51.100.")
        .replace("192.168.100.", "203.0.113.");
    for rest in ["192.168.", "10.10."] {
        text = text.replace(rest, "198.18.");
    }
    text
}

/// Every interface that a sample names, on both nodes. `eth0.1` is one of its own: what is under it does not matter.
fn wire(lab: &Lab) {
    lab.add_eth1();
    for (n, (name, subnet)) in
        [("eth2", "203.0.113"), ("eth3", "198.18.3"), ("eth0.1", "198.18.1")].iter().enumerate()
    {
        run(&format!("ip -n sw link add br2{n} type bridge forward_delay 0 mcast_snooping 0"));
        run(&format!("ip -n sw link set br2{n} up"));
        for (node, host) in [("a", 1), ("b", 2)] {
            run(&format!("ip link add {name} netns {node} type veth peer name e{n}{node} netns sw"));
            run(&format!("ip -n {node} addr add {subnet}.{host}/24 dev {name}"));
            run(&format!("ip -n {node} link set {name} up"));
            run(&format!("ip -n sw link set e{n}{node} master br2{n} up"));
        }
    }
}

/// The instances of the result with their addresses.
fn instances(t: &Tandemd) -> Vec<(String, Vec<String>)> {
    let status = t.status();
    let all = status["instances"].as_array().expect("instances").iter();
    all.map(|i| {
        let addresses = i["addresses"].as_array().expect("addresses").iter();
        let plain =
            addresses.map(|a| a.as_str().expect("text").split('/').next().expect("an address").to_owned());
        (i["name"].as_str().expect("name").to_owned(), plain.collect())
    })
    .collect()
}

/// Which nodes hold addresses of an instance; static ones of the sample are on b anyway.
fn holders(lab: &Lab, addresses: &[String]) -> Vec<&'static str> {
    let mut all: Vec<_> = addresses.iter().flat_map(|a| lab.holders(a)).collect();
    all.sort_unstable();
    all.dedup();
    all
}

struct Pair {
    lab: Lab,
    toml: String,
    conf: String,
    instances: Vec<(String, Vec<String>)>,
}

impl Pair {
    fn keepalived(&self) -> Process {
        let conf = self.conf.replace("lvs_sync_daemon_interface eth1", "");
        keepalived_with(&self.lab, "b", &conf, &["-P", "-i", "high"])
    }

    /// Each instance is on one node (`None`: whichever), and stays there.
    fn settled(&self, node: Option<&str>, limit: Duration) {
        let one = |addresses: &[String]| {
            let all = holders(&self.lab, addresses);
            all.len() == 1
                && node.is_none_or(|n| all == [n])
                && addresses.iter().all(|a| self.lab.holders(a) == all)
        };
        let all_one = || self.instances.iter().all(|(_, addresses)| one(addresses));
        let mut since = None;
        wait_until(limit, &format!("one MASTER each, {node:?}: {:?}", self.instances), || {
            since = all_one().then(|| since.unwrap_or_else(Instant::now));
            // Longer than a backup waits: one that does not accept what the other sends would have shown itself.
            since.is_some_and(|s| s.elapsed() > Duration::from_millis(4500))
        });
    }
}

fn runs_beside_keepalived(name: &str) {
    let lab = Lab::new();
    wire(&lab);
    let conf = rewritten(name, &lab);
    let file = lab.path("sample.conf");
    std::fs::write(&file, &conf).expect("write");
    let out = import(&file);
    assert!(matches!(out.status.code(), Some(0 | 1)), "{}", String::from_utf8_lossy(&out.stderr));
    let answer: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    let toml = answer["toml"].as_str().expect("toml").to_owned();

    let mut t = Tandemd::start(&lab, "a", &toml);
    let pair = Pair { instances: instances(&t), lab, toml, conf };
    assert!(!pair.instances.is_empty());
    let mut k = pair.keepalived();
    pair.settled(None, secs(20));
    t.process.stop();
    pair.settled(Some("b"), secs(15));
    let mut t = Tandemd::start(&pair.lab, "a", &pair.toml);
    pair.settled(Some("b"), secs(15));
    k.stop();
    pair.settled(Some("a"), secs(15));
    // Equal priorities: who is MASTER stays it, if the other understands what it hears.
    let mut k = pair.keepalived();
    pair.settled(Some("a"), secs(20));
    t.process.stop();
    pair.settled(Some("b"), secs(15));
    k.stop();
}

macro_rules! samples {
    ($($test:ident: $name:literal),* $(,)?) => {
        const RUN: &[&str] = &[$($name),*];
        $(
            #[test]
            fn $test() {
                isolated(concat!("samples::", stringify!($test)), || runs_beside_keepalived($name));
            }
        )*
    };
}

samples!(
    ssl_get: "keepalived.conf.SSL_GET",
    conditional_conf: "keepalived.conf.conditional_conf",
    sample: "keepalived.conf.sample",
    track_interface: "keepalived.conf.track_interface",
    vrrp: "keepalived.conf.vrrp",
    vrrp_localcheck: "keepalived.conf.vrrp.localcheck",
    vrrp_lvs_syncd: "keepalived.conf.vrrp.lvs_syncd",
    vrrp_routes: "keepalived.conf.vrrp.routes",
    vrrp_rules: "keepalived.conf.vrrp.rules",
    vrrp_scripts: "keepalived.conf.vrrp.scripts",
    vrrp_static_ipaddress: "keepalived.conf.vrrp.static_ipaddress",
    vrrp_sync: "keepalived.conf.vrrp.sync",
);

/// None with a `vrrp_instance` is left out above.
#[test]
fn every_sample_with_an_instance_runs() {
    let has = |name: &String| text(name).lines().any(|l| l.trim_start().starts_with("vrrp_instance"));
    let wanted: Vec<String> = names().into_iter().filter(has).collect();
    assert_eq!(wanted, RUN);
}
