//! Resources on two nodes with one virtual address: order, turning round, blocked ways down, crashes.

use crate::lab::daemon::Tandemd;
use crate::lab::{Lab, VIP, isolated, isolated_alone, secs, sleep, wait_until};
use nix::sys::signal::{Signal, kill};
use std::time::Instant;

/// Two stacked resources: `data` is promoted, `app` needs it promoted. Everything they are told goes to one log.
struct Stack {
    lab: Lab,
    script: String,
    advert_int: &'static str,
}

impl Stack {
    fn new() -> Self {
        let lab = Lab::new();
        let dir = lab.dir.path().display().to_string();
        let script = lab.script(
            "step",
            &format!(
                "node=$1 name=$2 verb=$3 at={dir}/$1.$2\n\
                 [ $verb = monitor ] || echo \"$node $name $verb\" >> {dir}/steps\n\
                 [ ! -e {dir}/hang.$node.$name.$verb ] || {{ trap '' TERM; while :; do sleep 1; done; }}\n\
                 [ ! -e {dir}/fail.$node.$name.$verb ] || {{ echo \"told to fail\" >&2; exit 1; }}\n\
                 case $verb in\n\
                 start|demote) echo started > $at ;;\n\
                 promote) echo promoted > $at ;;\n\
                 stop) rm -f $at ;;\n\
                 monitor) case $(cat $at 2>/dev/null) in started) exit 0 ;; promoted) exit 8 ;; *) exit 7 ;; esac ;;\n\
                 esac"
            ),
        );
        std::fs::write(lab.path("steps"), "").expect("steps");
        Stack { lab, script, advert_int: "100ms" }
    }

    fn config(&self, node: &str, priority: u8, extra: &str) -> String {
        let step = |name: &str, verb: &str| {
            format!("{verb} = [\"{}\", \"{node}\", \"{name}\", \"{verb}\"]\n", self.script)
        };
        let data: String =
            ["start", "stop", "monitor", "promote", "demote"].map(|v| step("data", v)).concat();
        let app: String = ["start", "stop", "monitor"].map(|v| step("app", v)).concat();
        format!(
            "[node]\nname = \"{node}\"\n\
             [[vrrp_instance]]\nname = \"kad\"\ninterface = \"eth0\"\nvirtual_router_id = 51\npriority = {priority}\n\
             advert_int = \"{}\"\nvirtual_ipaddress = [\"{VIP}/24\"]\n{extra}\n\
             [activation]\nvrrp_instance = [\"kad\"]\nfailure_timeout = \"0s\"\n\
             [[resource]]\nname = \"data\"\nkind = \"exec\"\nmonitor_interval = \"200ms\"\nrestart_attempts = 0\n\
             demote_timeout = \"2s\"\nstop_timeout = \"2s\"\nstart_timeout = \"2s\"\nmonitor_timeout = \"2s\"\n{data}\
             [[resource]]\nname = \"app\"\nkind = \"exec\"\ndepend_on = \"data:promoted\"\nmonitor_interval = \"200ms\"\n\
             stop_timeout = \"1s\"\nstart_timeout = \"2s\"\nmonitor_timeout = \"2s\"\nrestart_attempts = 0\n{app}",
            self.advert_int
        )
    }

    fn start(&self, node: &str, priority: u8) -> Tandemd {
        Tandemd::start(&self.lab, node, &self.config(node, priority, ""))
    }

    fn steps(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.lab.path("steps")).expect("steps");
        text.lines().map(str::to_owned).collect()
    }

    fn tell(&self, what: &str) {
        std::fs::write(self.lab.path(what), "").expect(what);
    }

    fn forget(&self, what: &str) {
        std::fs::remove_file(self.lab.path(what)).expect(what);
    }
}

fn resource<'a>(status: &'a serde_json::Value, name: &str) -> &'a serde_json::Value {
    let all = status["resources"]["resources"].as_array().expect("resources");
    all.iter().find(|r| r["name"] == name).unwrap_or_else(|| panic!("no resource {name}: {status}"))
}

const UP: [&str; 3] = ["data start", "data promote", "app start"];
const DOWN: [&str; 3] = ["app stop", "data demote", "data stop"];

fn of(node: &str, steps: [&str; 3]) -> Vec<String> {
    steps.iter().map(|s| format!("{node} {s}")).collect()
}

#[test]
fn services_come_before_the_address_and_the_peer_gets_it_only_when_they_are_down() {
    isolated(
        "resources::services_come_before_the_address_and_the_peer_gets_it_only_when_they_are_down",
        || {
            let s = Stack::new();
            let mut a = s.start("a", 200);
            s.lab.wait_holder("a", VIP, secs(10));
            assert_eq!(s.steps(), of("a", UP), "the address is there last");
            let b = s.start("b", 100);
            b.wait_state("kad", "BACKUP", secs(5));
            assert_eq!(a.process.stop(), Some(0));
            s.lab.wait_holder("b", VIP, secs(10));
            // Nothing of b's before the last of a's: b could not be MASTER earlier.
            assert_eq!(s.steps(), [of("a", UP), of("a", DOWN), of("b", UP)].concat());
            s.lab.touch(VIP);
            s.lab.assert_points_at(VIP, "b");
        },
    );
}

#[test]
fn a_better_node_that_comes_back_takes_everything_over() {
    isolated("resources::a_better_node_that_comes_back_takes_everything_over", || {
        let s = Stack::new();
        let b = s.start("b", 100);
        s.lab.wait_holder("b", VIP, secs(10));
        let _a = s.start("a", 200);
        s.lab.wait_holder("a", VIP, secs(10));
        wait_until(secs(5), "all of b's is down", || {
            s.steps().iter().filter(|l| l.starts_with("b")).count() == 6
        });
        let mine = |node: &str| s.steps().into_iter().filter(|l| l.starts_with(node)).collect::<Vec<_>>();
        assert_eq!(mine("b"), [of("b", UP), of("b", DOWN)].concat());
        assert_eq!(mine("a"), of("a", UP));
        assert!(!s.lab.has("b", VIP));
        assert_eq!(b.status()["resources"]["activation"]["place"], "off");
    });
}

#[test]
fn a_demote_that_hangs_blocks_and_the_peer_waits_while_advertisements_go_on() {
    isolated_alone(
        "resources::a_demote_that_hangs_blocks_and_the_peer_waits_while_advertisements_go_on",
        || {
            let s = Stack::new();
            let a = s.start("a", 200);
            s.lab.wait_holder("a", VIP, secs(10));
            let b = s.start("b", 100);
            b.wait_state("kad", "BACKUP", secs(5));
            s.tell("hang.a.data.demote");
            s.tell("fail.a.app.monitor");
            // app fails, may not be tried again, and is critical: the node gives up, but cannot.
            a.wait_state("kad", "FAULT", secs(10));
            wait_until(secs(5), "status names the process that hangs", || {
                let status = a.status();
                let running = &resource(&status, "data")["running"];
                running["step"] == "demote" && running["processes"][0]["pid"].is_u64()
            });
            assert!(!s.lab.has("a", VIP), "the address is off");
            let (start, sent) = (Instant::now(), a.counter("kad", "adverts_sent"));
            wait_until(secs(20), "it is blocked", || a.adm_text("status").contains("BLOCKED"));
            sleep(2000);
            let (adverts, elapsed) =
                (a.counter("kad", "adverts_sent") - sent, start.elapsed().as_secs_f64() * 10.0);
            assert!(
                (adverts as f64 - elapsed).abs() < 4.0,
                "{adverts} advertisements in {elapsed:.1} intervals"
            );
            assert_eq!(b.state("kad"), "BACKUP", "not released");
            assert!(!s.steps().iter().any(|l| l.starts_with("b")), "{:?}", s.steps());
            assert_eq!(a.adm("health").status.code(), Some(2), "{}", a.adm_text("health"));
            // Somebody looks after it.
            s.forget("hang.a.data.demote");
            let out = a.adm_text("resource clear data");
            s.lab.wait_holder("b", VIP, secs(20));
            assert!(s.steps().ends_with(&of("b", UP)), "{out}: {:?}", s.steps());
        },
    );
}

#[test]
fn a_daemon_that_is_killed_finds_everything_running_and_nobody_takes_over() {
    isolated_alone(
        "resources::a_daemon_that_is_killed_finds_everything_running_and_nobody_takes_over",
        || {
            let s = Stack { advert_int: "1s", ..Stack::new() };
            let a = s.start("a", 200);
            s.lab.wait_holder("a", VIP, secs(10));
            let b = s.start("b", 100);
            b.wait_state("kad", "BACKUP", secs(5));
            let before = s.steps();
            for _ in 0..3 {
                let old = a.process.worker();
                kill(old, Signal::SIGKILL).expect("kill");
                wait_until(secs(10), "another daemon is MASTER", || {
                    a.process.worker() != old
                        && a.adm("status --json").status.success()
                        && a.state("kad") == "MASTER"
                });
                assert!(s.lab.has("a", VIP));
                wait_until(secs(10), "it knows what runs", || {
                    let status = a.status();
                    resource(&status, "app")["state"] == "started"
                        && resource(&status, "data")["state"] == "promoted"
                });
            }
            assert_eq!(s.steps(), before, "nothing was stopped, nothing started");
            assert_eq!(b.instance("kad")["state"], "BACKUP");
            assert_eq!(b.counter("kad", "became_master"), 0);
        },
    );
}

#[test]
fn what_has_failed_keeps_its_node_in_fault_until_somebody_clears_it() {
    isolated("resources::what_has_failed_keeps_its_node_in_fault_until_somebody_clears_it", || {
        let s = Stack::new();
        let a = s.start("a", 200);
        s.lab.wait_holder("a", VIP, secs(10));
        let b = s.start("b", 100);
        b.wait_state("kad", "BACKUP", secs(5));
        s.tell("fail.a.app.start");
        s.forget("a.app");
        a.wait_state("kad", "FAULT", secs(10));
        s.lab.wait_holder("b", VIP, secs(10));
        assert!(a.adm_text("why kad").contains("app"), "{}", a.adm_text("why kad"));
        sleep(1000);
        assert_eq!(a.state("kad"), "FAULT", "no new chance by itself");
        s.forget("fail.a.app.start");
        a.adm("resource clear app");
        s.lab.wait_holder("a", VIP, secs(10));
    });
}

#[test]
fn blocking_scripts_run_before_resources_and_addresses_on_both_ways() {
    isolated("resources::blocking_scripts_run_before_resources_and_addresses_on_both_ways", || {
        let s = Stack::new();
        let dir = s.lab.dir.path().display().to_string();
        let has = format!("$(ip -o addr show | grep -c ' {VIP}/')");
        let pre = s.lab.script("pre", &format!("sleep 0.3; echo \"$1 $2 {has}\" >> {dir}/steps"));
        let extra = |node: &str| {
            format!(
                "pre_master = [\"{pre}\", \"{node}\", \"pre_master\"]\npre_backup = [\"{pre}\", \"{node}\", \"pre_backup\"]"
            )
        };
        let config =
            s.config("a", 200, &extra("a")).replacen("[node]\n", "[node]\nscript_user = \"root\"\n", 1);
        let mut a = Tandemd::start(&s.lab, "a", &config);
        s.lab.wait_holder("a", VIP, secs(10));
        assert_eq!(a.process.stop(), Some(0));
        let before = |script: &str| vec![format!("a {script}")];
        let all = [before("pre_master 0"), of("a", UP), before("pre_backup 1"), of("a", DOWN)].concat();
        assert_eq!(s.steps(), all);
    });
}

#[test]
fn in_maintenance_nothing_moves_and_the_first_line_says_so() {
    isolated("resources::in_maintenance_nothing_moves_and_the_first_line_says_so", || {
        let s = Stack::new();
        let a = s.start("a", 200);
        s.lab.wait_holder("a", VIP, secs(10));
        let before = s.steps();
        assert!(a.adm("maintenance on").status.success());
        assert!(a.adm_text("status").lines().next().unwrap_or_default().contains("MAINTENANCE"));
        // What would be a failure at any other time.
        s.forget("a.app");
        kill(a.process.worker(), Signal::SIGKILL).expect("kill");
        wait_until(secs(10), "another daemon answers", || a.adm("status --json").status.success());
        assert!(
            a.adm_text("status").lines().next().unwrap_or_default().contains("MAINTENANCE"),
            "it is remembered"
        );
        sleep(1000);
        assert!(s.lab.has("a", VIP) && a.state("kad") == "MASTER", "neither does the address");
        assert_eq!(s.steps(), before);
        std::fs::write(s.lab.path("a.app"), "started\n").expect("app");
        assert!(a.adm("maintenance off").status.success());
        s.lab.wait_holder("a", VIP, secs(10));
        sleep(1000);
        assert!(!s.steps().iter().any(|l| l.contains("stop")), "{:?}", s.steps());
    });
}

#[test]
fn what_runs_already_when_a_reload_brings_it_is_taken_down_where_it_may_not_be() {
    isolated(
        "resources::what_runs_already_when_a_reload_brings_it_is_taken_down_where_it_may_not_be",
        || {
            let s = Stack::new();
            let config = s.config("a", 100, "");
            let (instances, _) = config.split_once("[activation]").expect("activation");
            let _b = s.start("b", 200);
            s.lab.wait_holder("b", VIP, secs(10));
            let a = Tandemd::start(&s.lab, "a", instances);
            a.wait_state("kad", "BACKUP", secs(5));
            std::fs::write(s.lab.path("a.data"), "promoted\n").expect("data");
            a.reload(&config);
            wait_until(secs(10), "it is down here", || !s.lab.path("a.data").exists());
            let mine: Vec<String> = s.steps().into_iter().filter(|l| l.starts_with('a')).collect();
            assert_eq!(mine, ["a data demote", "a data stop"]);
            assert_eq!(a.state("kad"), "BACKUP");
        },
    );
}

#[test]
fn events_say_what_became_of_a_resource_and_who_was_behind_it() {
    isolated("resources::events_say_what_became_of_a_resource_and_who_was_behind_it", || {
        let s = Stack::new();
        let a = s.start("a", 200);
        s.lab.wait_holder("a", VIP, secs(5));
        assert!(a.adm("resource stop app --wait=20").status.success());
        assert!(a.adm("resource start app --wait=20").status.success());
        s.tell("fail.a.app.monitor");
        let events = || -> Vec<serde_json::Value> {
            let out = a.adm("events --json --since 0");
            let text = String::from_utf8_lossy(&out.stdout).into_owned();
            text.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect()
        };
        let find = |name: &str, to: &str| {
            let all = events();
            all.into_iter().rfind(|e| e["kind"] == "resource" && e["name"] == name && e["to"] == to)
        };
        wait_until(secs(10), "the failure is an event", || find("app", "failed").is_some());
        let failed = find("app", "failed").expect("failed");
        assert_eq!(
            (&failed["level"], &failed["who"]["kind"]),
            (&"error".into(), &"resource".into()),
            "{failed}"
        );
        assert!(failed["why"].as_str().is_some_and(|w| w.contains("told to fail")), "{failed}");
        let stopping = events().into_iter().find(|e| e["name"] == "app" && e["to"] == "stopping");
        let stopping = stopping.expect("it was stopped");
        assert_eq!(
            (&stopping["from"], &stopping["who"]["uid"]),
            (&"started".into(), &0.into()),
            "{stopping}"
        );
        assert_eq!(
            (&stopping["who"]["kind"], &stopping["who"]["user"]),
            (&"operator".into(), &"root".into())
        );
        let commands: Vec<_> = events().into_iter().filter(|e| e["kind"] == "operator").collect();
        let words: Vec<_> = commands.iter().map(|e| (e["name"].as_str(), e["why"].as_str())).collect();
        let said = |verb, done| format!("resource {verb} app: app is being {done}");
        let (stop, start) = (said("stop", "stopped"), said("start", "started"));
        assert_eq!(words, [(Some("app"), Some(stop.as_str())), (Some("app"), Some(start.as_str()))]);
        let promoted = find("data", "promoted").expect("promoted");
        assert_eq!(promoted["who"]["name"], "data");
        let raised = events().into_iter().find(|e| e["why"] == "resources are raised");
        assert!(raised.is_some_and(|e| e["kind"] == "resource" && e["name"].is_null()));
    });
}
