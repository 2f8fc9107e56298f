//! Two nodes of a pair on two networks, with a service that can be told to fail, and what they went through.

use crate::lab::daemon::Tandemd;
use crate::lab::{Lab, VIP, run, secs, sleep};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The states of both nodes at one moment, without the names of their roles.
pub(crate) type Both = (String, String);

/// How long any condition may take on a busy machine.
pub(crate) const LIMIT: Duration = secs(20);

/// A peer counts as dead after 2 s.
const TIMERS: &str = "heartbeat_interval = \"200ms\"\nheartbeat_misses = 5\nlong_failover_wait = \"1s\"\n";

/// See [`Pair::calm`].
const CALM: &str = "heartbeat_interval = \"200ms\"\nheartbeat_misses = 15\nlong_failover_wait = \"1s\"\n";

/// What fails is found soon, and not started again.
const CHECKS: &str = "monitor_interval = \"200ms\"\nrestart_attempts = 0\n";

/// Both nodes: `a` is the primary, `b` the secondary.
pub(crate) struct Pair {
    pub(crate) lab: Lab,
    /// Further keys of the pair, and tables after it; `{node}` in it is the name of the node.
    pub(crate) more: String,
    /// How long everything waits; empty: the defaults.
    pub(crate) timers: &'static str,
    /// How the service is looked after; empty: the defaults.
    pub(crate) checks: &'static str,
    /// With a virtual router and its address.
    routed: bool,
    script: String,
}

impl Pair {
    pub(crate) fn new(more: &str) -> Self {
        Self::make(more, true)
    }

    /// A peer counts as silent after 3 s only: where each state is looked at, a busy machine must not add one.
    pub(crate) fn calm(more: &str) -> Self {
        Pair { timers: CALM, ..Self::make(more, true) }
    }

    /// No virtual router.
    pub(crate) fn bare(more: &str) -> Self {
        Self::make(more, false)
    }

    fn make(more: &str, routed: bool) -> Self {
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
        Pair { lab, more: more.to_owned(), timers: TIMERS, checks: CHECKS, routed, script }
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
             {}{}\n\
             [[resource]]\nname = \"app\"\nkind = \"exec\"\n{}\
             start_timeout = \"5s\"\nstop_timeout = \"5s\"\nmonitor_timeout = \"5s\"\n{steps}",
            self.timers,
            self.more.replace("{node}", node),
            self.checks
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
        self.register(&a, &b);
        (a, b)
    }

    pub(crate) fn register(&self, a: &Tandemd, b: &Tandemd) {
        let key = |node: &str| self.lab.path(&format!("{node}.key")).display().to_string();
        let text = b.adm_text(&format!("ha authkey {}", key("b")));
        assert!(text.contains("may register"), "{text}");
        let done = a.adm(&format!("ha register --authkey-file {}", key("a")));
        assert!(done.status.success(), "{}", a.process.log());
        self.wait_states(a, "primary_active", b, "secondary_syncing");
        if self.routed {
            self.lab.wait_holder("a", VIP, secs(10));
        }
        assert_eq!(self.steps(), ["a start"]);
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

    /// The machine has no power any more: nothing is said, and nothing stays but the disk.
    pub(crate) fn power_cut(&self, node: &str, daemon: &mut Tandemd) {
        for port in ["p", "q"] {
            run(&format!("ip -n sw link set {port}{node} nomaster"));
        }
        daemon.process.kill9();
        let _ = std::fs::remove_file(self.lab.path(&format!("{node}.up")));
        let _ = std::fs::remove_dir_all(self.lab.path(&format!("{node}.d/run")));
        if self.lab.has(node, VIP) {
            run(&format!("ip -n {node} addr del {VIP}/24 dev eth0"));
        }
    }

    pub(crate) fn power_back(&self, node: &str) {
        self.lab.heal(node);
        run(&format!("ip -n sw link set q{node} master br1"));
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

    /// Whatever happens while this is done, never is the service up on both nodes, nor the address.
    pub(crate) fn never_two<T>(&self, work: impl FnOnce() -> T) -> T {
        let over = AtomicBool::new(false);
        std::thread::scope(|s| {
            let watch = s.spawn(|| {
                let up = |node: &str| self.lab.path(&format!("{node}.up")).exists();
                let mut looks = 0_u32;
                while !over.load(Ordering::Relaxed) {
                    assert!(!(up("a") && up("b")), "both serve: {:?}\n{}", self.steps(), self.told());
                    // This one takes a while.
                    if looks.is_multiple_of(50) {
                        assert!(self.lab.holders(VIP).len() < 2, "both have the address\n{}", self.told());
                    }
                    looks += 1;
                    sleep(1);
                }
                looks
            });
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            over.store(true, Ordering::Relaxed);
            assert!(watch.join().expect("never two") > 0);
            done.unwrap_or_else(|why| std::panic::resume_unwind(why))
        })
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

    /// Where [`Pair::shows`] begins: when both are as they should be.
    pub(crate) fn mark(&self) -> usize {
        self.mark_at("primary_active", "secondary_syncing")
    }

    /// When both are in these states, one of which may be left open. The logs are a moment behind what the daemons answer.
    pub(crate) fn mark_at(&self, a: &str, b: &str) -> usize {
        let fits = |now: &str, wanted: &str| wanted.is_empty() || now == wanted;
        let mut length = 0;
        self.wait("the logs say so too", || {
            let history = self.history();
            length = history.len();
            history.last().is_some_and(|(x, y)| fits(x, a) && fits(y, b))
        });
        length - 1
    }

    /// A table of the states page: all that both have shown since the mark is in it, in this order and up to its end. Between two
    /// of its lines one node may be where it was while the other one is there already: they hear of each other. And a primary that
    /// serves has lost its secondary until that one answers.
    pub(crate) fn shows(&self, from: usize, table: &[(&str, &str)]) {
        let end = table.last().expect("a table");
        self.mark_at(end.0, end.1);
        let history = self.history();
        let wrong = |what: &str| {
            panic!("{what}\nof {history:#?}\nfrom {from} on, against {table:#?}\n{}", self.told())
        };
        let mut at = 0;
        for (n, (a, b)) in history.iter().enumerate().skip(from) {
            let (a, b) = (a.as_str(), b.as_str());
            let (now, next) = (table[at], table.get(at + 1).copied());
            let on_the_way = next.is_some_and(|next| {
                let answers = a == "primary_lost_secondary" && next.0 == "primary_active";
                n > from && ([now.0, next.0].contains(&a) || answers) && [now.1, next.1].contains(&b)
            });
            match next {
                _ if (a, b) == now => {}
                Some(next) if (a, b) == next => at += 1,
                _ if on_the_way => {}
                _ => wrong(&format!("{a}, {b} at {n} is not in the table")),
            }
        }
        if at + 1 != table.len() {
            wrong("the end is missing");
        }
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
