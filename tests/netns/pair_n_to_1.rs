//! One node in several pairs: each fails over by itself, and the others do not notice.

use crate::lab::daemon::Tandemd;
use crate::lab::{Lab, isolated, run, secs, sleep};
use nix::sys::signal::{Signal, kill};
use serde_json::Value;
use std::time::{Duration, Instant};

/// How long any condition may take on a busy machine.
const LIMIT: Duration = secs(60);

/// One pair: its name, who is the primary and who the secondary, and its virtual address.
#[derive(Clone, Copy)]
struct Tie {
    name: &'static str,
    primary: &'static str,
    secondary: &'static str,
    vip: &'static str,
    vrid: u8,
}

const NORTH: Tie = Tie { name: "north", primary: "a", secondary: "c", vip: "192.0.2.101", vrid: 61 };
const SOUTH: Tie = Tie { name: "south", primary: "b", secondary: "c", vip: "192.0.2.102", vrid: 62 };
/// Its secondary is the primary of [`SOUTH`].
const WEST: Tie = Tie { name: "west", primary: "a", secondary: "b", vip: "192.0.2.103", vrid: 63 };

/// Three nodes with two pairs among them, each with a service of its own.
struct Trio {
    lab: Lab,
    ties: [Tie; 2],
    /// With virtual routers and their addresses.
    routed: bool,
    script: String,
}

fn number(node: &str) -> u8 {
    match node {
        "a" => 1,
        "b" => 2,
        _ => 9,
    }
}

impl Trio {
    fn new(ties: [Tie; 2]) -> Self {
        Self::make(ties, true)
    }

    /// Without virtual routers.
    fn bare(ties: [Tie; 2]) -> Self {
        Self::make(ties, false)
    }

    fn make(ties: [Tie; 2], routed: bool) -> Self {
        let lab = Lab::new();
        let dir = lab.dir.path().display().to_string();
        let script = lab.script(
            "step",
            &format!(
                "node=$1 pair=$2 verb=$3 up={dir}/$1.$2.up\n\
                 [ $verb = monitor ] || echo \"$node $pair $verb\" >> {dir}/steps\n\
                 [ ! -e {dir}/fail.$node.$pair.$verb ] || {{ echo 'told to fail' >&2; exit 1; }}\n\
                 case $verb in\n\
                 start) touch $up ;;\n\
                 stop) rm -f $up ;;\n\
                 monitor) test -e $up || exit 7 ;;\n\
                 esac"
            ),
        );
        // Each pair has a key of its own.
        for tie in ties {
            let key = lab.path(&format!("{}.key", tie.name));
            std::fs::write(&key, format!("Correct-{}-7\n", tie.name)).expect("key");
            run(&format!("chmod 600 {}", key.display()));
        }
        Trio { lab, ties, routed, script }
    }

    fn of(&self, node: &str) -> impl Iterator<Item = &Tie> {
        self.ties.iter().filter(move |t| t.primary == node || t.secondary == node)
    }

    fn table(&self, node: &str, tie: &Tie) -> String {
        let Tie { name, vip, vrid, .. } = tie;
        let (role, other, priority) = match tie.primary == node {
            true => ("primary", number(tie.secondary), 200),
            false => ("secondary", number(tie.primary), 100),
        };
        let (router, tied) = match self.routed {
            true => (
                format!(
                    "[[vrrp_instance]]\nname = \"{name}\"\ninterface = \"eth0\"\nvirtual_router_id = {vrid}\n\
                     priority = {priority}\nvirtual_ipaddress = [\"{vip}/24\"]\n"
                ),
                format!("vrrp_instance = [\"{name}\"]\n"),
            ),
            false => (String::new(), String::new()),
        };
        format!(
            "{router}[[pair]]\nname = \"{name}\"\nrole = \"{role}\"\npeer = \"192.0.2.{other}\"\n{tied}\
             direct_link = \"none\"\nheartbeat_interval = \"300ms\"\nheartbeat_misses = 10\nlong_failover_wait = \"1s\"\n{}",
            self.resource(node, name, "app")
        )
    }

    /// A service of one pair.
    fn resource(&self, node: &str, pair: &str, what: &str) -> String {
        let of = if what == "app" { pair.to_owned() } else { format!("{pair}-{what}") };
        let step = |verb: &str| format!("{verb} = [\"{}\", \"{node}\", \"{of}\", \"{verb}\"]\n", self.script);
        let steps = ["start", "stop", "monitor"].map(step).concat();
        format!(
            "[[resource]]\nname = \"{pair}-{what}\"\nkind = \"exec\"\npair = \"{pair}\"\nmonitor_interval = \"500ms\"\n\
             restart_attempts = 0\nstart_timeout = \"20s\"\nstop_timeout = \"20s\"\nmonitor_timeout = \"20s\"\n{steps}"
        )
    }

    fn config(&self, node: &str) -> String {
        let tables: String = self.of(node).map(|t| self.table(node, t)).collect();
        format!("[node]\nname = \"{node}\"\n{tables}")
    }

    fn start(&self, node: &str) -> Tandemd {
        Tandemd::start(&self.lab, node, &self.config(node))
    }

    /// All of them, registered in both pairs, and each primary serves.
    fn registered(&self) -> [Tandemd; 3] {
        let all = ["a", "b", "c"].map(|n| self.start(n));
        for tie in &self.ties {
            let (primary, secondary) = (&all[index(tie.primary)], &all[index(tie.secondary)]);
            let key = self.lab.path(&format!("{}.key", tie.name)).display().to_string();
            let text = secondary.adm_text(&format!("ha authkey {key} --pair {}", tie.name));
            assert!(text.contains("may register"), "{text}");
            let done = primary.adm_text(&format!("ha register --authkey-file {key} --pair {}", tie.name));
            assert!(done.contains(&format!("registered with {}", tie.secondary)), "{done}");
            self.wait_states(tie, &all, "primary_active", "secondary_syncing");
            self.wait_holder(tie, tie.primary);
        }
        assert_eq!(self.steps().len(), 2, "{:?}", self.steps());
        all
    }

    fn steps(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.lab.path("steps")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Those of one pair.
    fn steps_of(&self, tie: &Tie) -> Vec<String> {
        let of = |s: &String| s.split(' ').nth(1) == Some(tie.name);
        self.steps().into_iter().filter(of).collect()
    }

    fn fault(&self, node: &str, tie: &Tie, verb: &str) -> std::path::PathBuf {
        self.lab.path(&format!("fail.{node}.{}.{verb}", tie.name))
    }

    /// Lets a verb of a service fail on a node, from now on.
    fn fail(&self, node: &str, tie: &Tie, verb: &str) {
        std::fs::write(self.fault(node, tie, verb), "").expect("fault");
    }

    fn mend(&self, node: &str, tie: &Tie, verb: &str) {
        std::fs::remove_file(self.fault(node, tie, verb)).expect("fault");
    }

    /// A power cut: nothing is said, and nothing stays.
    fn power_off(&self, node: &str, daemon: &mut Tandemd) {
        self.lab.cut(node);
        daemon.process.kill9();
        for tie in self.of(node) {
            let _ = std::fs::remove_file(self.lab.path(&format!("{node}.{}.up", tie.name)));
            if self.lab.has(node, tie.vip) {
                run(&format!("ip -n {node} addr del {}/24 dev eth0", tie.vip));
            }
        }
    }

    fn power_on(&self, node: &str) -> Tandemd {
        self.lab.heal(node);
        self.start(node)
    }

    fn wait(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let begin = Instant::now();
        while !holds() {
            assert!(
                begin.elapsed() < LIMIT,
                "not within {LIMIT:?}: {what}\n{:?}\n{}",
                self.steps(),
                self.told()
            );
            sleep(20);
        }
    }

    fn wait_states(&self, tie: &Tie, all: &[Tandemd; 3], primary: &str, secondary: &str) {
        self.wait(&format!("{}: {primary}, {secondary}", tie.name), || {
            state(&all[index(tie.primary)], tie) == primary
                && state(&all[index(tie.secondary)], tie) == secondary
        });
    }

    fn wait_state(&self, tie: &Tie, node: &Tandemd, wanted: &str) {
        self.wait(&format!("{}: {wanted}", tie.name), || state(node, tie) == wanted);
    }

    /// Gives an order; it may be refused for a moment, while a busy machine keeps the nodes from hearing each other.
    fn order(&self, node: &Tandemd, words: &str) {
        self.wait(words, || node.adm(words).status.success());
    }

    /// The secondary of a pair is to serve, and does.
    fn fail_over(&self, tie: &Tie, all: &[Tandemd; 3]) {
        self.order(&all[index(tie.secondary)], &format!("ha failover --pair {}", tie.name));
        self.wait_states(tie, all, "primary_syncing", "secondary_active");
        self.wait_holder(tie, tie.secondary);
    }

    fn holders(&self, tie: &Tie) -> Vec<&'static str> {
        ["a", "b", "c"].into_iter().filter(|n| self.lab.has(n, tie.vip)).collect()
    }

    fn wait_holder(&self, tie: &Tie, node: &str) {
        if self.routed {
            self.wait(&format!("only {node} has {}", tie.vip), || self.holders(tie) == [node]);
        }
    }

    /// What all logs say, in the order of time.
    fn told(&self) -> String {
        let mut all: Vec<String> = Vec::new();
        for node in ["a", "b", "c"] {
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
}

fn index(node: &str) -> usize {
    match node {
        "a" => 0,
        "b" => 1,
        _ => 2,
    }
}

/// `ha status` of one pair.
fn pair(node: &Tandemd, tie: &Tie) -> Value {
    let out = node.adm("ha status --json");
    let all: Value = serde_json::from_slice(&out.stdout).unwrap_or_default();
    all.as_array().into_iter().flatten().find(|p| p["name"] == tie.name).cloned().unwrap_or_default()
}

/// Empty while the daemon does not answer.
fn state(node: &Tandemd, tie: &Tie) -> String {
    pair(node, tie)["state"].as_str().unwrap_or_default().to_owned()
}

fn generation(node: &Tandemd, tie: &Tie) -> Value {
    pair(node, tie)["status"]["saved"]["latest"].clone()
}

#[test]
fn two_primaries_die_one_after_the_other() {
    isolated("pair_n_to_1::two_primaries_die_one_after_the_other", || {
        let t = Trio::new([NORTH, SOUTH]);
        let mut all = t.registered();
        t.power_off("a", &mut all[0]);
        t.wait_state(&NORTH, &all[2], "secondary_active");
        t.wait_holder(&NORTH, "c");
        // For the other one it still stands by, and could take over.
        t.wait_states(&SOUTH, &all, "primary_active", "secondary_syncing");
        t.wait("nothing is in the way", || {
            all[2].adm("ha status --pair south").status.success() && t.holders(&SOUTH) == ["b"]
        });
        assert_eq!(t.steps_of(&SOUTH), ["b south start"]);

        t.power_off("b", &mut all[1]);
        t.wait_state(&SOUTH, &all[2], "secondary_active");
        t.wait_holder(&SOUTH, "c");
        assert_eq!((state(&all[2], &NORTH).as_str(), t.holders(&NORTH)), ("secondary_active", vec!["c"]));
        assert_eq!(t.steps_of(&NORTH), ["a north start", "c north start"]);
        assert_eq!(t.steps_of(&SOUTH), ["b south start", "c south start"]);

        let before = generation(&all[2], &SOUTH);
        all[0] = t.power_on("a");
        t.wait_states(&NORTH, &all, "primary_syncing", "secondary_active");
        t.order(&all[0], "ha failback");
        t.wait_states(&NORTH, &all, "primary_active", "secondary_syncing");
        t.wait_holder(&NORTH, "a");
        // The other pair has not noticed.
        assert_eq!((state(&all[2], &SOUTH).as_str(), t.holders(&SOUTH)), ("secondary_active", vec!["c"]));
        assert_eq!(generation(&all[2], &SOUTH), before);
        assert_eq!(t.steps_of(&SOUTH), ["b south start", "c south start"], "{}", t.told());
        let north = ["a north start", "c north start", "c north stop", "a north start"];
        assert_eq!(t.steps_of(&NORTH), north);
    });
}

#[test]
fn what_is_said_names_the_pair() {
    isolated("pair_n_to_1::what_is_said_names_the_pair", || {
        let t = Trio::new([NORTH, SOUTH]);
        let all = t.registered();
        let c = &all[2];
        for words in [
            "ha failover",
            "ha switchover",
            "ha standby on",
            "ha clear",
            "ha keep local",
            "ha remove --yes",
            "ha simulate peer-dies",
        ] {
            let refused = c.adm(words);
            let text = c.adm_text(words);
            assert!(!refused.status.success() && text.contains("--pair: north, south"), "{words}: {text}");
        }
        let text = c.adm_text("ha failover --pair nord");
        assert!(text.contains("no pair is called nord: there is north, south"), "{text}");
        t.wait("nothing was changed", || c.adm_text("ha failback --pair south").contains("already"));

        for words in ["ha status", "ha info", "ha history", "status"] {
            let text = c.adm_text(words);
            assert!(text.contains("north") && text.contains("south"), "{words}: {text}");
        }
        for words in ["ha status --pair south", "ha info --pair south", "ha history --pair south"] {
            let text = c.adm_text(words);
            assert!(!text.contains("north") && text.contains("south"), "{words}: {text}");
        }
        let text = c.adm_text("ha status --pair nord");
        assert!(text.contains("no pair is called nord"), "{text}");
        let list = c.adm_text("resource list");
        assert!(list.contains("north-app") && list.contains("south-app"), "{list}");

        // One is ordered here, and the other one stays where it is.
        t.fail_over(&SOUTH, &all);
        t.wait_states(&NORTH, &all, "primary_active", "secondary_syncing");
        assert_eq!(t.holders(&NORTH), ["a"]);
        let text = c.adm_text("status");
        assert!(text.contains("resources of pair north: lowered, 0 of 1 up"), "{text}");
        assert!(text.contains("resources of pair south: raised, 1 of 1 up"), "{text}");
        let status = c.status();
        assert_eq!(status["resources"]["pairs"][1]["condition_text"], "raised", "{status}");
        assert_eq!(status["resources"]["resources"][0]["pair"], "north", "{status}");

        // A resource of a pair that does not serve is not started, whatever the other pair does.
        let refused = c.adm_text("resource start north-app");
        assert!(refused.contains("this node is not active"), "{refused}");
        assert!(c.adm("resource restart south-app --wait=20").status.success());
        assert_eq!(t.steps_of(&NORTH), ["a north start"]);

        // Removed from one pair, it stays in the other one.
        assert!(c.adm("ha remove --pair north --yes").status.success());
        t.wait_state(&NORTH, c, "stand_alone");
        t.wait_states(&SOUTH, &all, "primary_syncing", "secondary_active");
        assert_eq!((t.holders(&SOUTH), t.steps_of(&NORTH)), (vec!["c"], vec!["a north start".to_owned()]));
    });
}

/// Where both serve, one fails.
fn the_other_one_stays(t: &Trio) {
    let all = t.registered();
    let c = &all[2];
    for tie in &t.ties {
        t.fail_over(tie, &all);
    }
    let before = (t.steps_of(&SOUTH), generation(c, &SOUTH));
    t.fail("c", &NORTH, "monitor");
    t.fail("c", &NORTH, "start");
    t.wait_state(&NORTH, &all[0], "primary_active");
    t.wait_holder(&NORTH, "a");
    let north = t.steps_of(&NORTH);
    assert_eq!(north.last().map(String::as_str), Some("a north start"), "{north:?}");
    t.wait("nothing is wrong with south", || !c.adm_text("health").contains("south"));
    assert_eq!(state(c, &SOUTH), "secondary_active");
    t.wait_holder(&SOUTH, "c");
    assert_eq!((t.steps_of(&SOUTH), generation(c, &SOUTH)), before, "{}", t.told());
}

#[test]
fn a_failure_in_one_pair_does_not_touch_the_other() {
    isolated("pair_n_to_1::a_failure_in_one_pair_does_not_touch_the_other", || {
        the_other_one_stays(&Trio::new([NORTH, SOUTH]));
    });
}

#[test]
fn nor_does_it_without_virtual_routers() {
    isolated("pair_n_to_1::nor_does_it_without_virtual_routers", || {
        the_other_one_stays(&Trio::bare([NORTH, SOUTH]));
    });
}

/// What cannot be stopped keeps its own pair where it is, and no other one.
#[test]
fn a_pair_that_is_blocked_blocks_no_other_one() {
    isolated("pair_n_to_1::a_pair_that_is_blocked_blocks_no_other_one", || {
        let t = Trio::new([NORTH, SOUTH]);
        let all = t.registered();
        let c = &all[2];
        for tie in &t.ties {
            t.fail_over(tie, &all);
        }
        t.fail("c", &NORTH, "stop");
        t.fail("c", &NORTH, "monitor");
        t.fail("c", &NORTH, "start");
        t.wait("north is blocked", || c.adm_text("health").contains("pair north: resources are blocked"));
        let text = c.adm_text("status");
        assert!(text.contains("BLOCKED") && text.contains("No resource of pair north goes up"), "{text}");

        t.order(&all[1], "ha failback");
        t.wait_states(&SOUTH, &all, "primary_active", "secondary_syncing");
        t.wait_holder(&SOUTH, "b");
        let south = ["b south start", "b south stop", "c south start", "c south stop", "b south start"];
        assert_eq!(t.steps_of(&SOUTH), south);
        assert_eq!(t.steps_of(&NORTH).iter().filter(|s| *s == "a north start").count(), 1, "never both");

        // Mended, it goes down, and its other node takes over.
        t.mend("c", &NORTH, "stop");
        assert!(c.adm("resource clear north-app").status.success());
        t.wait_state(&NORTH, &all[0], "primary_active");
        t.wait_holder(&NORTH, "a");
        assert_eq!(t.holders(&SOUTH), ["b"]);
    });
}

/// The daemon of the secondary dies while it serves one pair: nothing moves, in neither.
#[test]
fn a_crash_moves_nothing() {
    isolated("pair_n_to_1::a_crash_moves_nothing", || {
        let t = Trio::new([NORTH, SOUTH]);
        let all = t.registered();
        let c = &all[2];
        t.fail_over(&NORTH, &all);
        let steps = t.steps();
        let before = c.process.worker();
        kill(before, Signal::SIGKILL).expect("kill");
        t.wait("it runs again", || c.process.worker() != before && !state(c, &NORTH).is_empty());
        t.wait_states(&NORTH, &all, "primary_syncing", "secondary_active");
        t.wait_states(&SOUTH, &all, "primary_active", "secondary_syncing");
        t.wait("c has its address", || t.holders(&NORTH) == ["c"] && t.holders(&SOUTH) == ["b"]);
        assert_eq!(t.steps(), steps, "{}", t.told());
        // And it stands by as before.
        t.fail_over(&SOUTH, &all);
    });
}

/// b is the primary of one pair and the secondary of another.
#[test]
fn primary_of_one_and_secondary_of_another() {
    isolated("pair_n_to_1::primary_of_one_and_secondary_of_another", || {
        let t = Trio::new([WEST, SOUTH]);
        let mut all = t.registered();
        t.power_off("a", &mut all[0]);
        t.wait_state(&WEST, &all[1], "secondary_active");
        t.wait_holder(&WEST, "b");
        t.wait_state(&SOUTH, &all[1], "primary_active");
        // It hands over what it is the primary of, and keeps what it has taken over.
        t.fail_over(&SOUTH, &all);
        assert_eq!(t.steps_of(&WEST), ["a west start", "b west start"]);
        assert_eq!(t.holders(&WEST), ["b"]);
        // A stop of the daemon ends both.
        assert_eq!(all[1].process.stop(), Some(0));
        assert_eq!(t.steps_of(&WEST).last().map(String::as_str), Some("b west stop"));
        assert_eq!((t.holders(&WEST), t.holders(&SOUTH)), (vec![], vec!["c"]));
    });
}

#[test]
fn a_reload_changes_one_pair_and_moves_no_resource_to_another() {
    isolated("pair_n_to_1::a_reload_changes_one_pair_and_moves_no_resource_to_another", || {
        let t = Trio::new([NORTH, SOUTH]);
        let all = t.registered();
        let c = &all[2];
        for tie in &t.ties {
            t.fail_over(tie, &all);
        }
        let (old, south) = (t.config("c"), t.steps_of(&SOUTH));
        let more = old.clone() + &t.resource("c", "north", "more");
        c.reload(&more);
        t.wait("what is new runs", || t.steps().contains(&"c north-more start".to_owned()));
        c.configure(&more.replace(
            "name = \"north-more\"\nkind = \"exec\"\npair = \"north\"",
            "name = \"north-more\"\nkind = \"exec\"\npair = \"south\"",
        ));
        let refused = c.adm("reload");
        let text = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && text.contains("moves from pair north to pair south"), "{text}");
        c.reload(&old);
        t.wait("what is gone is down", || t.steps().contains(&"c north-more stop".to_owned()));
        assert_eq!(
            (state(c, &NORTH), state(c, &SOUTH)),
            ("secondary_active".into(), "secondary_active".into())
        );
        assert_eq!((t.steps_of(&SOUTH), t.holders(&SOUTH)), (south, vec!["c"]));
    });
}
