//! Programs that hang: the protocol goes on meanwhile, the step fails at its deadline, and the status names the pid.
//!
//! What hangs ignores SIGTERM, and so does a process that it has started. A process in the kernel's D state, which
//! ignores SIGKILL as well, cannot be made without a broken disk; that the graph then calls the resource stuck is shown in
//! tests/resource/stuck.rs.

use crate::lab::capture::Capture;
use crate::lab::daemon::Tandemd;
use crate::lab::{Lab, VIP, isolated_alone, run, secs, sleep, try_run, wait_until};
use serde_json::Value;
use std::time::{Duration, Instant};

/// The deadline of what hangs.
const LIMIT: Duration = secs(2);
/// From SIGTERM to SIGKILL.
const GRACE: Duration = secs(2);
/// Between two advertisements.
const INTERVAL: Duration = Duration::from_millis(100);

/// One node with one resource, `res`, of which a program can be told to hang.
struct Node {
    lab: Lab,
    resource: String,
}

impl Node {
    fn new(resource: impl FnOnce(&Lab) -> String) -> Self {
        let lab = Lab::new();
        let resource = resource(&lab);
        Node { lab, resource }
    }

    /// With an `exec` resource.
    fn exec() -> Self {
        Node::new(|lab| {
            let at = lab.path("up").display().to_string();
            let program = lab.script(
                "program",
                &format!(
                    "{}case $1 in start) : > {at} ;; stop) rm -f {at} ;; *) [ -e {at} ] || exit 7 ;; esac",
                    hangs(lab)
                ),
            );
            let steps = ["start", "stop", "monitor"].map(|s| format!("{s} = [\"{program}\", \"{s}\"]\n"));
            format!("kind = \"exec\"\n{}", steps.concat())
        })
    }

    fn start(&self) -> Tandemd {
        let path = format!("{}:{}", self.lab.dir.path().display(), std::env::var("PATH").expect("PATH"));
        let a = Tandemd::launch_with(&self.lab, "a", &self.config(), &[("PATH", path)]);
        wait_until(secs(5), "tandemd answers", || a.adm("status --json").status.success());
        a
    }

    fn config(&self) -> String {
        let ms = LIMIT.as_millis();
        format!(
            "[node]\nname = \"a\"\n\
                 [[vrrp_instance]]\nname = \"kad\"\ninterface = \"eth0\"\nvirtual_router_id = 51\npriority = 200\n\
                 advert_int = \"{}ms\"\nvirtual_ipaddress = [\"{VIP}/24\"]\n\
                 [activation]\nvrrp_instance = [\"kad\"]\nfailure_timeout = \"0s\"\n\
                 [[resource]]\nname = \"res\"\nmonitor_interval = \"200ms\"\nrestart_attempts = 0\n\
                 start_timeout = \"{ms}ms\"\nstop_timeout = \"{ms}ms\"\nmonitor_timeout = \"{ms}ms\"\n{}",
            INTERVAL.as_millis(),
            self.resource
        )
    }

    /// From now on the program hangs if it is called with this word.
    fn hang(&self, word: &str) {
        std::fs::write(self.lab.path(&format!("hang.{word}")), "").expect("hang");
    }

    /// The process that hangs and the one that it has started.
    fn hung(&self) -> Option<[u64; 2]> {
        let text = std::fs::read_to_string(self.lab.path("hung")).unwrap_or_default();
        let pids: Vec<u64> = text.lines().filter_map(|l| l.parse().ok()).collect();
        pids.try_into().ok()
    }

    /// Watches a step that hangs from its first moments to the end of its processes.
    fn watch(&self, a: &Tandemd, step: &str, command: &str) {
        let wire = Capture::start("c");
        wait_until(secs(10), "it hangs", || self.hung().is_some());
        let began = Instant::now();
        a.wait_state("kad", "MASTER", secs(2));
        let sent = (Instant::now(), a.counter("kad", "adverts_sent"));
        let [pid, child] = self.hung().expect("pids");
        let running = resource(&a.status())["running"].clone();
        assert_eq!(running["step"], step, "{running}");
        assert!(names(&running, pid).is_some_and(|c| c.ends_with(command)), "{pid} {command}: {running}");
        let says = |words: &str| {
            let text = a.adm_text(words).split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(text.contains(&format!("{step} runs for")), "{text}");
            assert!(text.contains(&format!("pid {pid} ")) && text.contains(command), "{pid}: {text}");
        };
        says("status -v");
        // At the deadline it is told to end, all of it; it does not care, and the status says that too.
        wait_until(LIMIT * 2, "both are told to end", || {
            let running = resource(&a.status())["running"].clone();
            let told = |pid| {
                let all = running["processes"].as_array().cloned().unwrap_or_default();
                all.iter().any(|p| p["pid"] == pid && p["signalled"] == "SIGTERM")
            };
            running["cancelled"] == true && told(pid) && told(child)
        });
        let told = began.elapsed();
        assert!(told > LIMIT - Duration::from_millis(500), "{told:?} is before its deadline");
        assert!(told < LIMIT + Duration::from_millis(1000), "{told:?} is long after its deadline");
        says("status");
        assert!(is_alive(pid) && is_alive(child));
        while is_alive(pid) {
            sleep(5);
        }
        let (now, ended) = (a.counter("kad", "adverts_sent"), Instant::now());
        let took = ended - began;
        assert!(took < LIMIT + GRACE + Duration::from_millis(1000), "{took:?}");
        assert!(took > LIMIT + GRACE - Duration::from_millis(500), "{took:?}");
        wait_until(secs(2), "what it has started is gone too", || !is_alive(child));
        let (adverts, elapsed) = (now - sent.1, (ended - sent.0).as_secs_f64() / INTERVAL.as_secs_f64());
        assert!((adverts as f64 - elapsed).abs() < 4.0, "{adverts} advertisements in {elapsed:.1} intervals");
        let seen = wire.stop().adverts_from("192.0.2.1");
        let times: Vec<Instant> = seen.iter().map(|s| s.at).filter(|t| *t > sent.0 && *t < ended).collect();
        let gap = times.windows(2).map(|w| w[1] - w[0]).max().expect("advertisements");
        assert!(times.len() + 2 > usize::try_from(adverts).expect("few"), "{} of {adverts}", times.len());
        assert!(gap < INTERVAL * 3 / 2, "{gap:?} between two advertisements");
    }

    /// What is left: a failure of this step, in these words, that health knows of.
    fn failed(&self, a: &Tandemd, step: &str, state: &str) {
        wait_until(secs(10), &format!("it is {state}"), || resource(&a.status())["state"] == state);
        let status = a.status();
        let res = resource(&status);
        let why = res["last_failure"]["text"].as_str().expect("a failure");
        assert!(why.starts_with(&format!("{step} failed: took longer than 2s")), "{why}");
        let health = a.adm("health");
        let text = String::from_utf8_lossy(&health.stdout).into_owned();
        assert_eq!(health.status.code(), Some(2), "{text}");
        assert!(text.contains(&format!("failed: resource res is {state}: {step} failed")), "{text}");
        assert_eq!(res["running"], Value::Null, "{res}");
        // After a failed start or monitor, the last step was the way down.
        let last = &res["last_result"];
        let text = if state == "stuck" { "it was killed at its deadline" } else { "" };
        assert_eq!((&last["step"], &last["text"]), (&"stop".into(), &text.into()), "{last}");
        a.wait_state("kad", "FAULT", secs(2));
        assert!(!self.lab.has("a", VIP));
    }
}

/// A piece of shell that hangs if it is told to, by its first word.
fn hangs(lab: &Lab) -> String {
    let dir = lab.dir.path().display();
    format!(
        "if [ -e {dir}/hang.$1 ]; then\n\
         trap '' TERM\n\
         sleep 1000 & echo \"$$\n$!\" > {dir}/hung\n\
         while :; do sleep 0.2; done\n\
         fi\n"
    )
}

fn resource(status: &Value) -> &Value {
    &status["resources"]["resources"][0]
}

/// The command by which a running step shows this process.
fn names(running: &Value, pid: u64) -> Option<String> {
    let all = running["processes"].as_array()?;
    all.iter().find(|p| p["pid"] == pid)?["command"].as_str().map(str::to_owned)
}

/// A process whose parent has not noticed its end is dead all the same.
fn is_alive(pid: u64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// Puts a script in the place of a program of the system, in this mount namespace only; if the system has none, it is
/// found in the daemon's PATH.
fn replace(lab: &Lab, program: &str, text: &str) {
    let script = lab.script(program, text);
    let found = try_run(&format!("which {program}")).stdout;
    if let Some(path) = String::from_utf8_lossy(&found).lines().next() {
        run(&format!("mount --bind {script} {path}"));
    }
}

#[test]
fn a_start_that_hangs() {
    isolated_alone("hung::a_start_that_hangs", || {
        let n = Node::exec();
        n.hang("start");
        let a = n.start();
        n.watch(&a, "start", "program start");
        n.failed(&a, "start", "failed");
    });
}

#[test]
fn a_stop_that_hangs() {
    isolated_alone("hung::a_stop_that_hangs", || {
        let n = Node::exec();
        let a = n.start();
        n.lab.wait_holder("a", VIP, secs(10));
        n.hang("stop");
        assert!(a.adm("resource restart res").status.success());
        n.watch(&a, "stop", "program stop");
        n.failed(&a, "stop", "stuck");
    });
}

#[test]
fn a_monitor_that_hangs() {
    isolated_alone("hung::a_monitor_that_hangs", || {
        let n = Node::exec();
        let a = n.start();
        n.lab.wait_holder("a", VIP, secs(10));
        n.hang("monitor");
        n.watch(&a, "monitor", "program monitor");
        n.failed(&a, "monitor", "failed");
    });
}

/// Needs a loop device, and so root of the machine and not only of a user namespace.
#[test]
fn an_umount_that_hangs() {
    isolated_alone("hung::an_umount_that_hangs", || {
        let n = Node::new(|lab| {
            let real = lab.path("real-umount").display().to_string();
            std::fs::copy(run("which umount").trim(), &real).expect("a copy of umount");
            let point = lab.path("data").display().to_string();
            let turned = format!("[ \"$1\" != {point} ] || set -- umount\n{}exec {real} {point}", hangs(lab));
            replace(lab, "umount", &turned);
            let device = lab.path("image").display().to_string();
            run(&format!("truncate -s 4M {device}"));
            run(&format!("mkfs.ext4 -q {device}"));
            format!(
                "kind = \"filesystem\"\ndevice = \"{device}\"\nfsck = \"never\"\nmount_point = \"{point}\"\n"
            )
        });
        // `ip netns exec` has left this mount namespace, and nobody else would see what the daemon mounts. Without cgroups,
        // which would outlive the test.
        run("mount -t tmpfs none /sys/fs/cgroup");
        let under = ["nsenter", "--target", "1", "--mount"];
        let a = Tandemd::start_under(&n.lab, "a", &n.config(), &under);
        n.lab.wait_holder("a", VIP, secs(10));
        n.hang("umount");
        assert!(a.adm("resource restart res").status.success());
        n.watch(&a, "stop", &format!("umount {}", n.lab.path("data").display()));
        n.failed(&a, "stop", "stuck");
    });
}

#[test]
fn a_drbdadm_that_hangs() {
    isolated_alone("hung::a_drbdadm_that_hangs", || {
        let n = Node::new(|lab| {
            replace(lab, "drbdadm", &hangs(lab));
            replace(lab, "drbdsetup", "echo 'exists -'");
            replace(lab, "modprobe", "exit 0");
            "kind = \"drbd\"\ndrbd_resource = \"r0\"\n".to_owned()
        });
        n.hang("adjust");
        let a = n.start();
        n.watch(&a, "start", "drbdadm adjust r0");
        n.failed(&a, "start", "failed");
    });
}
