//! Two nodes that know each other: registration, agreement, failures. A service of two steps hangs on the pair.

use crate::lab::daemon::Tandemd;
use crate::lab::{Lab, VIP, isolated, run, secs, sleep, wait_until};
use serde_json::Value;
use std::time::{Duration, Instant};

/// Both nodes, on two networks, with an address and a service that leaves a mark while it is up.
struct Pair {
    lab: Lab,
    more: &'static str,
}

impl Pair {
    fn new(more: &'static str) -> Self {
        let lab = Lab::new();
        lab.add_eth1();
        let pair = Pair { lab, more };
        for node in ["a", "b"] {
            let key = pair.lab.path(&format!("{node}.key"));
            std::fs::write(&key, "Correct-Horse-7\n").expect("key");
            run(&format!("chmod 600 {}", key.display()));
        }
        pair
    }

    fn config(&self, node: &str) -> String {
        let (role, own, other, priority) = match node {
            "a" => ("primary", 1, 2, 200),
            _ => ("secondary", 2, 1, 100),
        };
        let mark = self.lab.path(&format!("{node}.up"));
        let (log, mark) = (self.lab.path("steps").display().to_string(), mark.display().to_string());
        format!(
            "[node]\nname = \"{node}\"\n\
             [[vrrp_instance]]\nname = \"kad\"\ninterface = \"eth0\"\nvirtual_router_id = 51\npriority = {priority}\n\
             virtual_ipaddress = [\"{VIP}/24\"]\n\
             [[pair]]\nname = \"esc\"\nrole = \"{role}\"\npeer = \"192.0.2.{other}\"\nvrrp_instance = [\"kad\"]\n\
             direct_link = {{ interface = \"eth1\", local = \"198.51.100.{own}\", peer = \"198.51.100.{other}\" }}\n\
             heartbeat_interval = \"200ms\"\nheartbeat_misses = 5\nlong_failover_wait = \"1s\"\n{}\n\
             [[resource]]\nname = \"app\"\nkind = \"exec\"\nmonitor_interval = \"1s\"\nrestart_attempts = 0\n\
             start = [\"/bin/sh\", \"-c\", \"echo {node} up >> {log}; touch {mark}\"]\n\
             stop = [\"/bin/sh\", \"-c\", \"echo {node} down >> {log}; rm -f {mark}\"]\n\
             monitor = [\"/bin/sh\", \"-c\", \"test -e {mark} || exit 7\"]\n",
            self.more
        )
    }

    fn start(&self, node: &str) -> Tandemd {
        Tandemd::start(&self.lab, node, &self.config(node))
    }

    /// Both, registered.
    fn registered(&self) -> (Tandemd, Tandemd) {
        let (a, b) = (self.start("a"), self.start("b"));
        let key = |node: &str| self.lab.path(&format!("{node}.key")).display().to_string();
        let text = b.adm_text(&format!("ha authkey {}", key("b")));
        assert!(text.contains("may register"), "{text}");
        let done = a.adm(&format!("ha register --authkey-file {}", key("a")));
        assert!(done.status.success(), "{}", a.process.log());
        wait_states(&a, "primary_active", &b, "secondary_syncing");
        (a, b)
    }

    fn steps(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.lab.path("steps")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

fn pair(node: &Tandemd) -> Value {
    let out = node.adm("ha status --json");
    // 2: something is in the way of a takeover.
    assert!(matches!(out.status.code(), Some(0 | 2)), "{}", String::from_utf8_lossy(&out.stderr));
    let all: Value = serde_json::from_slice(&out.stdout).expect("JSON");
    all[0].clone()
}

fn state(node: &Tandemd) -> String {
    pair(node)["state"].as_str().expect("state").to_owned()
}

fn wait_states(a: &Tandemd, of_a: &str, b: &Tandemd, of_b: &str) {
    let begin = Instant::now();
    loop {
        let now = (state(a), state(b));
        if (now.0.as_str(), now.1.as_str()) == (of_a, of_b) {
            return;
        }
        assert!(
            begin.elapsed() < secs(30),
            "{now:?} instead of {of_a}, {of_b}\n{}\n{}\n{}\n{}",
            a.adm_text("ha status"),
            b.adm_text("ha status"),
            a.process.log(),
            b.process.log()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn they_register_and_move_by_agreement() {
    isolated("pair::they_register_and_move_by_agreement", || {
        let p = Pair::new("");
        let (a, b) = p.registered();
        p.lab.wait_holder("a", VIP, secs(10));
        assert_eq!(p.steps(), ["a up"]);

        let text = b.adm_text("ha failover");
        assert!(text.contains("under way"), "{text}");
        wait_states(&a, "primary_syncing", &b, "secondary_active");
        p.lab.wait_holder("b", VIP, secs(10));
        assert_eq!(p.steps(), ["a up", "a down", "b up"], "never both");
        assert!(b.adm_text("ha failover").contains("already"), "said twice, it is done once");

        assert!(a.adm("ha failback").status.success());
        wait_states(&a, "primary_active", &b, "secondary_syncing");
        p.lab.wait_holder("a", VIP, secs(10));
        assert_eq!(p.steps().len(), 5);

        // On the standby an operator says no; the node that serves says why it cannot hand over.
        assert!(b.adm("ha standby on").status.success());
        wait_until(secs(5), "the other one knows", || {
            a.adm_text("ha status").contains("could not take over")
        });
        let refused = a.adm("ha switchover");
        assert!(!refused.status.success() && a.adm_text("ha switchover").contains("standby"), "{refused:?}");
        assert_eq!(state(&a), "primary_active");
    });
}

#[test]
fn a_wrong_key_registers_nobody() {
    isolated("pair::a_wrong_key_registers_nobody", || {
        let p = Pair::new("");
        let (a, b) = (p.start("a"), p.start("b"));
        assert_eq!((state(&a), state(&b)), ("stand_alone".into(), "stand_alone".into()));
        // Alone, the primary serves; the other one does not.
        p.lab.wait_holder("a", VIP, secs(15));
        let key = p.lab.path("a.key").display().to_string();
        b.adm(&format!("ha authkey {key}"));
        std::fs::write(&key, "Another-Key-8\n").unwrap();
        let refused = a.adm(&format!("ha register --authkey-file {key}"));
        assert!(!refused.status.success());
        assert_eq!((state(&a), state(&b)), ("stand_alone".into(), "stand_alone".into()));
        assert_eq!(p.lab.holders(VIP), ["a"]);
    });
}

#[test]
fn the_standby_replaces_a_node_that_died() {
    isolated("pair::the_standby_replaces_a_node_that_died", || {
        let p = Pair::new("");
        let (mut a, b) = p.registered();
        p.lab.wait_holder("a", VIP, secs(10));
        // A power cut: nothing is said, and nothing stays.
        p.lab.cut("a");
        run("ip -n a link set eth1 down");
        a.process.kill9();
        wait_until(secs(20), "b serves", || state(&b) == "secondary_active");
        wait_until(secs(10), "b has the address", || p.lab.has("b", VIP));
        assert_eq!(p.steps(), ["a up", "b up"]);
    });
}

#[test]
fn one_network_of_two_is_enough() {
    isolated("pair::one_network_of_two_is_enough", || {
        let p = Pair::new("");
        let (a, b) = p.registered();
        p.lab.wait_holder("a", VIP, secs(10));
        run("ip -n a link set eth1 down");
        sleep(3000);
        assert_eq!((state(&a), state(&b)), ("primary_active".into(), "secondary_syncing".into()));
        run("ip -n a link set eth1 up");
        wait_until(secs(10), "both links", || pair(&a)["links"][1]["direction"] == "both");

        // VRRP and one link are gone, the cable between them is not: they agree that b takes over.
        p.lab.link("a", "down");
        wait_until(secs(10), "b serves", || state(&b) == "secondary_active");
        p.lab.wait_holder("b", VIP, secs(5));
        assert_eq!(p.steps(), ["a up", "a down", "b up"], "by agreement, not by silence");
    });
}

#[test]
fn a_manual_pair_waits_for_its_operator() {
    isolated("pair::a_manual_pair_waits_for_its_operator", || {
        let p = Pair::new("failover = \"manual\"");
        let (mut a, b) = p.registered();
        p.lab.wait_holder("a", VIP, secs(10));
        p.lab.cut("a");
        run("ip -n a link set eth1 down");
        a.process.kill9();
        wait_until(secs(20), "b knows", || state(&b) == "secondary_lost_primary");
        sleep(3000);
        assert_eq!(state(&b), "secondary_lost_primary");
        let text = b.adm_text("ha status");
        assert!(text.contains("failover is manual (tandemadm ha failover)"), "{text}");
        assert!(b.adm("ha failover").status.success());
        wait_until(secs(20), "b serves", || state(&b) == "secondary_active");
        wait_until(secs(10), "b has the address", || p.lab.has("b", VIP));
    });
}

#[test]
fn a_stop_on_purpose_is_no_failover() {
    isolated("pair::a_stop_on_purpose_is_no_failover", || {
        let p = Pair::new("");
        let (mut a, b) = p.registered();
        p.lab.wait_holder("a", VIP, secs(10));
        assert_eq!(a.process.stop(), Some(0));
        wait_until(secs(10), "b knows", || state(&b) == "secondary_lost_primary");
        sleep(4000);
        assert_eq!((state(&b).as_str(), p.steps().len()), ("secondary_lost_primary", 2));
        assert!(b.adm_text("ha status").contains("stopped on purpose"), "{}", b.adm_text("ha status"));
        let a = p.start("a");
        wait_states(&a, "primary_active", &b, "secondary_syncing");
        p.lab.wait_holder("a", VIP, secs(10));
    });
}
