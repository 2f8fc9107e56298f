//! Two nodes of a pair on two networks, with a service that can be told to fail, and what they went through.

use crate::lab::daemon::Tandemd;
use crate::lab::{Lab, VIP, run, secs, sleep};
use serde_json::Value;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The states of both nodes at one moment, without the names of their roles.
pub(crate) type Both = (String, String);

/// How long any condition may take on a busy machine.
pub(crate) const LIMIT: Duration = secs(20);

/// Both nodes: `a` is the primary, `b` the secondary.
pub(crate) struct Pair {
    pub(crate) lab: Lab,
    /// Further keys of the pair.
    more: &'static str,
    /// With a virtual router and its address.
    routed: bool,
    script: String,
}

impl Pair {
    pub(crate) fn new(more: &'static str) -> Self {
        Self::make(more, true)
    }

    /// No virtual router.
    pub(crate) fn bare(more: &'static str) -> Self {
        Self::make(more, false)
    }

    fn make(more: &'static str, routed: bool) -> Self {
        let lab = Lab::new();
        lab.add_eth1();
        let dir = lab.dir.path().display().to_string();
        let script = lab.script(
            "step",
            &format!(
                "node=$1 verb=$2 up={dir}/$1.up\n\
                 [ $verb = monitor ] || echo \"$node $verb\" >> {dir}/steps\n\
                 [ ! -e {dir}/slow.$node.$verb ] || sleep 1\n\
                 [ ! -e {dir}/fail.$node.$verb ] || {{ echo 'told to fail' >&2; exit 1; }}\n\
                 case $verb in\n\
                 start) touch $up ;;\n\
                 stop) rm -f $up ;;\n\
                 monitor) test -e $up || exit 7 ;;\n\
                 esac"
            ),
        );
        for node in ["a", "b"] {
            let key = lab.path(&format!("{node}.key"));
            std::fs::write(&key, "Correct-Horse-7\n").expect("key");
            run(&format!("chmod 600 {}", key.display()));
        }
        Pair { lab, more, routed, script }
    }

    pub(crate) fn config(&self, node: &str) -> String {
        let (role, own, other, priority) = match node {
            "a" => ("primary", 1, 2, 200),
            _ => ("secondary", 2, 1, 100),
        };
        let (router, tied) = match self.routed {
            true => (
                format!(
                    "[[vrrp_instance]]\nname = \"kad\"\ninterface = \"eth0\"\nvirtual_router_id = 51\n\
                     priority = {priority}\nvirtual_ipaddress = [\"{VIP}/24\"]\n"
                ),
                "vrrp_instance = [\"kad\"]\n",
            ),
            false => (String::new(), ""),
        };
        let step = |verb: &str| format!("{verb} = [\"{}\", \"{node}\", \"{verb}\"]\n", self.script);
        let steps = ["start", "stop", "monitor"].map(step).concat();
        format!(
            "[node]\nname = \"{node}\"\n{router}\
             [[pair]]\nname = \"esc\"\nrole = \"{role}\"\npeer = \"192.0.2.{other}\"\n{tied}\
             direct_link = {{ interface = \"eth1\", local = \"198.51.100.{own}\", peer = \"198.51.100.{other}\" }}\n\
             heartbeat_interval = \"200ms\"\nheartbeat_misses = 5\nlong_failover_wait = \"1s\"\n{}\n\
             [[resource]]\nname = \"app\"\nkind = \"exec\"\nmonitor_interval = \"200ms\"\nrestart_attempts = 0\n\
             start_timeout = \"5s\"\nstop_timeout = \"5s\"\nmonitor_timeout = \"5s\"\n{steps}",
            self.more
        )
    }

    pub(crate) fn start(&self, node: &str) -> Tandemd {
        Tandemd::start(&self.lab, node, &self.config(node))
    }

    /// As `start`, and does not wait for it.
    pub(crate) fn launch(&self, node: &str) -> Tandemd {
        Tandemd::launch(&self.lab, node, &self.config(node))
    }

    /// Both, registered, and the primary serves.
    pub(crate) fn registered(&self) -> (Tandemd, Tandemd) {
        let (a, b) = (self.start("a"), self.start("b"));
        let key = |node: &str| self.lab.path(&format!("{node}.key")).display().to_string();
        let text = b.adm_text(&format!("ha authkey {}", key("b")));
        assert!(text.contains("may register"), "{text}");
        let done = a.adm(&format!("ha register --authkey-file {}", key("a")));
        assert!(done.status.success(), "{}", a.process.log());
        self.wait_states(&a, "primary_active", &b, "secondary_syncing");
        if self.routed {
            self.lab.wait_holder("a", VIP, secs(10));
        }
        assert_eq!(self.steps(), ["a start"]);
        (a, b)
    }

    /// What the service was told on both nodes.
    pub(crate) fn steps(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.lab.path("steps")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Lets a verb of the service fail on a node, from now on.
    pub(crate) fn fail(&self, node: &str, verb: &str) {
        std::fs::write(self.fault(node, verb), "").expect("fault");
    }

    /// Lets it take a second.
    pub(crate) fn slow(&self, node: &str, verb: &str) {
        std::fs::write(self.lab.path(&format!("slow.{node}.{verb}")), "").expect("fault");
    }

    pub(crate) fn mend(&self, node: &str, verb: &str) {
        std::fs::remove_file(self.fault(node, verb)).expect("fault");
    }

    fn fault(&self, node: &str, verb: &str) -> PathBuf {
        self.lab.path(&format!("fail.{node}.{verb}"))
    }

    /// Both networks are cut.
    pub(crate) fn part(&self) {
        self.lab.cut("a");
        self.unplug();
    }

    pub(crate) fn rejoin(&self) {
        self.lab.heal("a");
        self.plug();
    }

    /// The nodes do not hear each other's heartbeats, but everything else.
    pub(crate) fn mute(&self) {
        let nft = |what: &str| run(&format!("ip netns exec sw nft {what}"));
        nft("add table bridge mute");
        nft("add chain bridge mute f { type filter hook forward priority 0 ; }");
        nft("add rule bridge mute f tcp dport 8082 drop");
        nft("add rule bridge mute f tcp sport 8082 drop");
    }

    /// As [`Lab::cut_one_way`], on both networks.
    pub(crate) fn cut_one_way(&self, from: &str, to: &str) {
        self.lab.cut_one_way(from, to);
        let text = run(&format!("ip -n {from} -o link show eth1"));
        let mac = text.split("link/ether ").nth(1).and_then(|t| t.split(' ').next()).expect("a MAC");
        run(&format!("ip netns exec sw nft add rule bridge cut f ether saddr {mac} oifname q{to} drop"));
    }

    /// The direct link alone.
    pub(crate) fn unplug(&self) {
        run("ip -n sw link set qa nomaster");
    }

    pub(crate) fn plug(&self) {
        run("ip -n sw link set qa master br1");
    }

    pub(crate) fn wait_states(&self, a: &Tandemd, of_a: &str, b: &Tandemd, of_b: &str) {
        let mut last = (String::new(), String::new());
        let text = format!("{of_a}, {of_b}");
        self.wait(&text, || {
            last = (state(a), state(b));
            (last.0.as_str(), last.1.as_str()) == (of_a, of_b)
        });
    }

    /// Waits, and says what both went through if it is in vain.
    pub(crate) fn wait(&self, what: &str, mut holds: impl FnMut() -> bool) -> Duration {
        let begin = Instant::now();
        while !holds() {
            assert!(
                begin.elapsed() < LIMIT,
                "not within {LIMIT:?}: {what}\n{:#?}\n{:?}\n{}",
                self.history(),
                self.steps(),
                self.told()
            );
            sleep(20);
        }
        begin.elapsed()
    }

    /// What both logs say of the pair, in the order of time.
    pub(crate) fn told(&self) -> String {
        let mut all: Vec<String> = Vec::new();
        for node in ["a", "b"] {
            let log =
                std::fs::read_to_string(self.lab.path(&format!("{node}.tandemd.log"))).unwrap_or_default();
            all.extend(log.lines().filter(|l| !l.contains(" DEBUG ")).filter_map(|line| {
                let (at, text) = line.split_once(' ')?;
                Some(format!("{at} {node} {text}"))
            }));
        }
        all.sort();
        all.join("\n")
    }

    /// The states of both, whenever one of them changed, from their logs.
    pub(crate) fn history(&self) -> Vec<Both> {
        let mut all = Vec::new();
        let mut now = ("stand_alone".to_owned(), "stand_alone".to_owned());
        for line in self.told().lines() {
            // A daemon that starts shows these before it says anything.
            let (head, name) = match (line.split_once(" esc: "), line.contains(" tandemd 0.1.0 runs ")) {
                (_, true) if line.contains(" a ") => (line, "Primary Alone"),
                (_, true) => (line, "Secondary Lost Primary"),
                (Some((head, rest)), _) => (head, rest.split(':').next().unwrap_or_default()),
                _ => continue,
            };
            if !STATES.contains(&name) || !head.contains("INFO") {
                continue;
            }
            let word = name.to_lowercase().replace(' ', "_");
            match head.split(' ').nth(1) {
                Some("a") => now.0 = word,
                _ => now.1 = word,
            }
            all.push(now.clone());
        }
        all
    }

    /// Both went through these, in this order, perhaps with others between.
    pub(crate) fn went_through(&self, from: usize, wanted: &[(&str, &str)]) {
        let history = self.history();
        let mut left = history.iter().skip(from);
        for (a, b) in wanted {
            assert!(
                left.any(|(x, y)| x == a && y == b),
                "{a}, {b} is missing, or comes too early:\n{history:#?}\n{}",
                self.told()
            );
        }
    }
}

/// As they stand in the log.
const STATES: [&str; 17] = [
    "Primary Active",
    "Primary Alone",
    "Primary Lost Secondary",
    "Primary Uncertain",
    "Primary Failover",
    "Primary Preparing for Failback",
    "Primary Syncing",
    "Primary Database Copy Failed",
    "Primary Failback",
    "Secondary Syncing",
    "Secondary Lost Primary",
    "Secondary Alone",
    "Secondary Failover",
    "Secondary Active",
    "Secondary Failback",
    "Secondary Post Failback",
    "Secondary Uncertain",
];

/// `ha status` of the pair.
pub(crate) fn pair(node: &Tandemd) -> Value {
    let out = node.adm("ha status --json");
    let all: Value = serde_json::from_slice(&out.stdout).unwrap_or_default();
    all[0].clone()
}

/// Empty while the daemon does not answer.
pub(crate) fn state(node: &Tandemd) -> String {
    pair(node)["state"].as_str().unwrap_or_default().to_owned()
}

pub(crate) fn states(a: &Tandemd, b: &Tandemd) -> Both {
    (state(a), state(b))
}
