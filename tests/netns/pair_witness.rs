//! Two nodes and a third machine that lends the right to serve, or a device that switches the other node off.

use crate::lab::daemon::{Process, Tandemd, fingerprint, witness};
use crate::lab::{Lab, VIP, isolated, run, secs, sleep, wait_until};
use serde_json::Value;
use std::process::Command;
use std::time::Instant;

/// T_peer is 5 s, T_self 4 s. A node that was heard last 5 s ago counts as dead.
pub(crate) const TIMES: &str = "lease = \"5s\"\nmargin = \"1s\"\ntimeout = \"1s\"";

pub(crate) struct Pair {
    pub(crate) lab: Lab,
    pub(crate) more: String,
    /// `long_failover_wait`.
    pub(crate) wait: &'static str,
}

impl Pair {
    /// `more`: further keys of the pair, and tables.
    pub(crate) fn new(lab: Lab, more: String) -> Self {
        for node in ["a", "b"] {
            let key = lab.path(&format!("{node}.key"));
            std::fs::write(&key, "Correct-Horse-7\n").expect("key");
            run(&format!("chmod 600 {}", key.display()));
        }
        Pair { lab, more, wait: "4s" }
    }

    /// With a witness on c, which has nothing to wait for. No machine is ended.
    fn with_witness() -> (Self, Process) {
        Self::watched("watchdog = \"none\"")
    }

    /// As `with_witness`, with a watchdog.
    pub(crate) fn watched(watchdog: &str) -> (Self, Process) {
        let lab = Lab::new();
        let process = start_witness(&lab);
        let more = format!(
            "[witness]\nkind = \"tandemd\"\naddress = \"192.0.2.9\"\nfingerprint = \"{}\"\n{TIMES}\n{watchdog}\n",
            own_fingerprint(&lab)
        );
        (Pair::new(lab, more), process)
    }

    pub(crate) fn config(&self, node: &str) -> String {
        let (role, other, priority) = if node == "a" { ("primary", 2, 200) } else { ("secondary", 1, 100) };
        let mark = self.lab.path(&format!("{node}.up")).display().to_string();
        let log = self.lab.path("steps").display().to_string();
        let stuck = self.lab.path("stuck").display().to_string();
        format!(
            "[node]\nname = \"{node}\"\n\
             [[vrrp_instance]]\nname = \"kad\"\ninterface = \"eth0\"\nvirtual_router_id = 51\npriority = {priority}\n\
             virtual_ipaddress = [\"{VIP}/24\"]\n\
             [[resource]]\nname = \"app\"\nkind = \"exec\"\nmonitor_interval = \"1s\"\nrestart_attempts = 0\n\
             start = [\"/bin/sh\", \"-c\", \"echo {node} up >> {log}; touch {mark}\"]\n\
             stop = [\"/bin/sh\", \"-c\", \"echo {node} down >> {log}; [ ! -e {stuck} ] || exit 1; rm -f {mark}\"]\n\
             monitor = [\"/bin/sh\", \"-c\", \"test -e {mark} || exit 7\"]\n\
             [[pair]]\nname = \"esc\"\nrole = \"{role}\"\npeer = \"192.0.2.{other}\"\nvrrp_instance = [\"kad\"]\n\
             heartbeat_interval = \"200ms\"\nheartbeat_misses = 5\nlong_failover_wait = \"{}\"\n{}\n",
            self.wait, self.more
        )
    }

    /// Both, registered; a serves.
    pub(crate) fn registered(&self) -> (Tandemd, Tandemd) {
        let start = |node: &str| Tandemd::start(&self.lab, node, &self.config(node));
        let (a, b) = (start("a"), start("b"));
        let key = |node: &str| self.lab.path(&format!("{node}.key")).display().to_string();
        let text = b.adm_text(&format!("ha authkey {}", key("b")));
        assert!(text.contains("may register"), "{text}");
        let done = a.adm(&format!("ha register --authkey-file {}", key("a")));
        assert!(done.status.success(), "{}", a.process.log());
        self.wait(&a, "primary_active");
        self.wait(&b, "secondary_syncing");
        self.lab.wait_holder("a", VIP, secs(15));
        // With a witness a may not have gone on serving by itself.
        assert_eq!(self.steps().last().map(String::as_str), Some("a up"));
        std::fs::write(self.lab.path("steps"), "a up\n").expect("steps");
        (a, b)
    }

    pub(crate) fn steps(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.lab.path("steps")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Waits for a state; whatever happens meanwhile, never do both have the address.
    pub(crate) fn wait(&self, node: &Tandemd, wanted: &str) {
        let begin = Instant::now();
        while state(node) != wanted {
            assert!(self.lab.holders(VIP).len() < 2, "both serve");
            assert!(
                begin.elapsed() < secs(40),
                "not {wanted}\n{}\n{}",
                node.adm_text("ha status"),
                node.process.log()
            );
            sleep(20);
        }
    }

    /// Waits until a node says these words of its pair.
    pub(crate) fn wait_words(&self, node: &Tandemd, words: &str) {
        wait_until(secs(40), words, || {
            assert!(self.lab.holders(VIP).len() < 2, "both serve");
            sleep(50);
            node.adm_text("ha status").contains(words)
        });
    }

    /// The two nodes hear each other no more; both reach c.
    pub(crate) fn part(&self) {
        run("ip netns exec sw nft add table bridge apart");
        run("ip netns exec sw nft add chain bridge apart f { type filter hook forward priority 0 ; }");
        for (from, to) in [("a", "b"), ("b", "a")] {
            let mac = self.lab.mac(from);
            run(&format!(
                "ip netns exec sw nft add rule bridge apart f ether saddr {mac} oifname p{to} drop"
            ));
        }
    }

    fn join(&self) {
        run("ip netns exec sw nft delete table bridge apart");
    }

    /// Both reach the witness, but not each other; then one of them reaches nobody, and then all is mended.
    pub(crate) fn cut_off_one_has_the_lease(&self) {
        let (a, b) = self.registered();
        self.part();
        self.wait_words(&b, "the witness has lent the right to serve to the other node");
        // For longer than any right lasts that is not renewed.
        let begin = Instant::now();
        while begin.elapsed() < secs(6) {
            assert_eq!((self.lab.holders(VIP), state(&b).as_str()), (vec!["a"], "secondary_lost_primary"));
            sleep(50);
        }
        // Now a loses the witness too: it is down before b begins.
        self.lab.cut("a");
        self.wait(&b, "secondary_active");
        assert_eq!(self.steps(), ["a up", "a down", "b up"]);
        self.lab.wait_holder("b", VIP, secs(10));
        assert_ne!(state(&a), "primary_active");

        self.lab.heal("a");
        self.join();
        self.wait(&a, "primary_syncing");
        wait_until(secs(20), "they may agree again", || a.adm("ha failback").status.success());
        self.wait(&a, "primary_active");
        self.lab.wait_holder("a", VIP, secs(10));
        assert_eq!(self.steps(), ["a up", "a down", "b up", "b down", "a up"]);
    }

    /// A power cut: nothing is said, and nothing stays.
    fn kill_a(&self, a: &mut Tandemd) {
        self.lab.cut("a");
        a.process.kill9();
        run("ip -n a addr flush dev eth0");
    }
}

pub(crate) fn state(node: &Tandemd) -> String {
    let out = node.adm("ha status --json");
    assert!(matches!(out.status.code(), Some(0 | 2)), "{}", String::from_utf8_lossy(&out.stderr));
    let all: Value = serde_json::from_slice(&out.stdout).expect("JSON");
    all[0]["state"].as_str().expect("state").to_owned()
}

fn witness_config(lab: &Lab) -> String {
    format!(
        "[witness_server]\nlisten = \"192.0.2.9\"\nstate = \"{}\"\n\
         [[witness_server.pair]]\nname = \"esc\"\nnodes = [\"{}\", \"{}\"]\n",
        lab.path("witness").display(),
        fingerprint(lab, "a"),
        fingerprint(lab, "b")
    )
}

/// One that has been in use: it knows for sure that nobody has the lease.
fn start_witness(lab: &Lab) -> Process {
    let record = lab.path("witness/esc.json");
    if !record.exists() {
        std::fs::create_dir_all(lab.path("witness")).expect("mkdir");
        let text = r#"{"version":1,"pair":"esc","holder":null,"generation":0,"token":1,"longest_ms":1000,"released":true}"#;
        std::fs::write(record, text).expect("record");
    }
    listening(lab, &witness_config(lab))
}

fn listening(lab: &Lab, config: &str) -> Process {
    // Not what an earlier one has written.
    let _ = std::fs::remove_file(lab.path("c.witness.log"));
    let process = witness(lab, "c", config);
    wait_until(secs(10), "the witness listens", || process.log().contains("shows the certificate"));
    process
}

/// As the witness says it itself.
fn own_fingerprint(lab: &Lab) -> String {
    let file = lab.path("c.witness.toml");
    let mut c = Command::new(env!("CARGO_BIN_EXE_tandemd"));
    let out = c.args(["--witness", "--fingerprint", "--config"]).arg(file).output().expect("tandemd");
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

#[test]
fn of_two_that_are_cut_off_one_has_the_lease() {
    isolated("pair_witness::of_two_that_are_cut_off_one_has_the_lease", || {
        let (p, mut witness) = Pair::with_witness();
        assert!(witness.log().contains(&own_fingerprint(&p.lab)), "it says its own fingerprint");
        p.cut_off_one_has_the_lease();
        assert_eq!(witness.stop(), Some(0));
    });
}

#[test]
fn a_pair_does_without_its_witness_as_long_as_it_agrees() {
    isolated("pair_witness::a_pair_does_without_its_witness_as_long_as_it_agrees", || {
        let (p, mut witness) = Pair::with_witness();
        let (a, b) = p.registered();
        assert_eq!(witness.stop(), Some(0));
        let begin = Instant::now();
        while begin.elapsed() < secs(7) {
            assert_eq!((state(&a).as_str(), p.lab.holders(VIP)), ("primary_active", vec!["a"]));
            sleep(50);
        }
        // The peer's word counts.
        assert!(b.adm("ha failover").status.success());
        p.wait(&b, "secondary_active");
        p.lab.wait_holder("b", VIP, secs(10));
        assert_eq!(p.steps(), ["a up", "a down", "b up"]);

        // Cut off from all, nobody serves.
        p.part();
        p.wait_words(&a, "the witness does not answer");
        wait_until(secs(20), "nobody serves", || p.lab.holders(VIP).is_empty());
        wait_until(secs(20), "the service is down", || p.steps().last().is_some_and(|s| s == "b down"));

        // It comes back, and remembers.
        let _witness = start_witness(&p.lab);
        wait_until(secs(60), "one of them serves", || {
            assert!(p.lab.holders(VIP).len() < 2, "both serve");
            sleep(50);
            p.steps().len() > 4 && p.lab.holders(VIP).len() == 1
        });
    });
}

#[test]
fn the_standby_replaces_a_dead_node_when_its_lease_has_run_out() {
    isolated("pair_witness::the_standby_replaces_a_dead_node_when_its_lease_has_run_out", || {
        let (p, witness) = Pair::with_witness();
        let (mut a, b) = p.registered();
        // So it has asked for the lease itself.
        p.part();
        p.wait_words(&b, "the witness has lent the right to serve to the other node");
        let begin = Instant::now();
        p.kill_a(&mut a);
        p.wait(&b, "secondary_active");
        // It renewed a quarter of T_self before, at most, if the machine was not too busy.
        assert!(begin.elapsed() > secs(2), "{:?}", begin.elapsed());
        assert_eq!(p.steps(), ["a up", "b up"]);
        wait_until(secs(10), "b has the address", || p.lab.has("b", VIP));
        assert_eq!(witness.log().matches("is given to").count(), 2, "{}", witness.log());
    });
}

#[test]
fn a_witness_is_no_node() {
    isolated("pair_witness::a_witness_is_no_node", || {
        let lab = Lab::new();
        let (own, other) = (fingerprint(&lab, "a"), fingerprint(&lab, "b"));
        assert_ne!(own, other);
        assert_eq!(own, fingerprint(&lab, "a"));
        // A witness is no node, and a node no witness.
        let file = lab.path("x.toml");
        for (text, witness, why) in [
            ("[node]\nname = \"x\"\n", true, "has no [witness_server]"),
            (&*witness_config(&lab), false, "tandemd --witness"),
            (
                &*(witness_config(&lab) + "[witness]\nkind = \"exec\"\ncommand = \"/x\"\n"),
                true,
                "has [witness]",
            ),
        ] {
            std::fs::write(&file, text).expect("config");
            let mut c = Command::new(env!("CARGO_BIN_EXE_tandemd"));
            c.arg("--config")
                .arg(&file)
                .arg("--run-dir")
                .arg(lab.path("x"))
                .arg("--state-dir")
                .arg(lab.path("x"));
            let out = if witness { c.arg("--witness").output() } else { c.output() }.expect("tandemd");
            let said = String::from_utf8_lossy(&out.stderr).into_owned();
            assert_eq!(out.status.code(), Some(78), "{said}");
            assert!(said.contains(why), "{said}");
        }
    });
}

#[test]
fn a_witness_that_is_another_one_or_does_not_know_a_node_is_told() {
    isolated("pair_witness::a_witness_that_is_another_one_or_does_not_know_a_node_is_told", || {
        let (p, mut process) = Pair::with_witness();
        process.stop();
        let stranger = witness_config(&p.lab).replace(&fingerprint(&p.lab, "a"), &"ab".repeat(32));
        let mut process = listening(&p.lab, &stranger);
        let (a, _b) = p.registered();
        wait_until(secs(20), "a is told", || a.process.log().contains("does not know this node"));
        wait_until(secs(20), "so is c", || process.log().contains("is of no node of a pair here"));
        // One that was set up anew.
        process.stop();
        std::fs::remove_dir_all(p.lab.path("witness/peer")).expect("its certificate");
        let _process = listening(&p.lab, &witness_config(&p.lab));
        p.part();
        wait_until(secs(20), "a is told", || a.process.log().contains("is not the witness of [witness]"));
        wait_until(secs(20), "nobody serves", || p.lab.holders(VIP).is_empty());
    });
}

/// An agent that switches a off, if it is not broken, and says so among the steps.
fn agent(lab: &Lab) -> String {
    let dir = lab.dir.path().display();
    lab.script(
        "fence_fake",
        &format!(
            "while IFS= read -r line; do case \"$line\" in\n\
             action=*) action=${{line#action=}};;\nnodename=*) node=${{line#nodename=}};;\n\
             password=*) password=${{line#password=}};;\nesac; done\n\
             case \"$action\" in\n\
             metadata) echo '<resource-agent><parameters><parameter name=\"password\"/></parameters><actions>\
             <action name=\"off\"/><action name=\"on\"/><action name=\"status\"/><action name=\"monitor\"/></actions>\
             </resource-agent>';;\n\
             off) [ ! -e {dir}/broken ] || {{ echo 'the board does not answer' >&2; exit 1; }}\n\
             [ \"$password\" = hush ] || exit 1\n\
             echo \"off $node\" >> {dir}/steps; touch {dir}/off;;\n\
             status) [ ! -e {dir}/off ] || exit 2;;\n\
             esac\nexit 0"
        ),
    )
}

fn fenced_pair() -> Pair {
    let lab = Lab::new();
    let secrets = lab.path("secrets");
    std::fs::write(&secrets, "password=hush\n").expect("secrets");
    run(&format!("chmod 600 {}", secrets.display()));
    let more = format!(
        "fence = [\"board\"]\n[[fence]]\nname = \"board\"\nagent = \"{}\"\nsecrets_file = \"{}\"\naction = \"off\"\n",
        agent(&lab),
        secrets.display()
    );
    Pair::new(lab, more)
}

#[test]
fn a_silent_node_is_fenced_before_the_other_one_serves() {
    isolated("pair_witness::a_silent_node_is_fenced_before_the_other_one_serves", || {
        let p = fenced_pair();
        let (mut a, b) = p.registered();
        let check = |config: &str| {
            let file = p.lab.path("check.toml");
            std::fs::write(&file, config).expect("config");
            b.adm_text(&format!("config check {}", file.display()))
        };
        let config = p.config("b");
        assert!(check(&config).ends_with(": ok\n"), "{}", check(&config));
        let mistaken = check(&(config.clone() + "options = { usrname = \"x\" }\n"));
        assert!(mistaken.contains("has no option usrname"), "{mistaken}");
        p.kill_a(&mut a);
        p.wait(&b, "secondary_active");
        assert_eq!(p.steps(), ["a up", "off a", "b up"]);
        wait_until(secs(10), "b has the address", || p.lab.has("b", VIP));
        assert!(!b.process.log().contains("hush"), "a password in the log");
    });
}

#[test]
fn a_node_that_cannot_be_fenced_is_not_replaced() {
    isolated("pair_witness::a_node_that_cannot_be_fenced_is_not_replaced", || {
        let p = fenced_pair();
        let (mut a, b) = p.registered();
        std::fs::write(p.lab.path("broken"), "").expect("broken");
        p.kill_a(&mut a);
        p.wait_words(&b, "could not be fenced");
        let text = b.adm_text("ha status");
        assert!(
            text.contains("the board does not answer") && text.contains("mend the fence device"),
            "{text}"
        );
        sleep(3000);
        assert_eq!((p.steps().len(), state(&b).as_str()), (1, "secondary_lost_primary"));
        // Mended, it is tried again by itself.
        std::fs::remove_file(p.lab.path("broken")).expect("mended");
        p.wait(&b, "secondary_active");
        assert_eq!(p.steps(), ["a up", "off a", "b up"]);
    });
}
