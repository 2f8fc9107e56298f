//! What DRBD's kernel is answered when it calls its fence-peer handler: the whole way, through `tandemd-drbd-handler` and a
//! daemon that runs. DRBD itself is of cardboard.

use crate::lab::daemon::Tandemd;
use crate::lab::{Lab, VIP, isolated, run, secs, wait_until};
use nix::sys::signal::{Signal, kill};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const HANDLER: &str = env!("CARGO_BIN_EXE_tandemd-drbd-handler");
/// What DRBD gives its handler; 8.4.
const ENVIRONMENT: [(&str, &str); 9] = [
    ("HOME", "/"),
    ("TERM", "linux"),
    ("PATH", "/sbin:/usr/sbin:/bin:/usr/bin"),
    ("DRBD_RESOURCE", "r0"),
    ("DRBD_MINOR", "0"),
    ("DRBD_PEER", "bravo"),
    ("DRBD_PEERS", "bravo"),
    ("DRBD_PEER_AF", "ipv4"),
    ("DRBD_PEER_ADDRESS", "192.0.2.2"),
];

/// A resource in this role whose peer is gone.
fn alone(role: &str) -> String {
    format!(
        "exists resource name:r0 role:{role} suspended:no\n\
         exists connection name:r0 peer-node-id:0 conn-name:peer connection:Connecting role:Unknown\n\
         exists device name:r0 volume:0 minor:0 disk:UpToDate\n\
         exists peer-device name:r0 peer-node-id:0 conn-name:peer volume:0 replication:Off peer-disk:DUnknown \
         resync-suspended:no\n\
         exists -\n"
    )
}

/// A kernel with DRBD, for this mount namespace: a file system cannot be laid over /proc, so another directory with
/// everything of it stands in its place, processes to come included.
pub(crate) fn load_module(lab: &Lab) {
    const PROCESSES: u32 = 10_000;
    let (real, new) = (lab.path("proc"), lab.path("new-proc"));
    for dir in [&real, &new] {
        std::fs::create_dir(dir).expect("mkdir");
    }
    run(&format!("mount -t proc none {}", real.display()));
    let names = std::fs::read_dir(&real).expect("/proc").flatten().map(|e| e.file_name());
    let names = names.filter_map(|n| n.into_string().ok()).filter(|n| n.parse::<u32>().is_err());
    for name in names.filter(|n| n != "drbd").chain((1..PROCESSES).map(|n| n.to_string())) {
        std::os::unix::fs::symlink(real.join(&name), new.join(&name)).expect("symlink");
    }
    std::fs::write(new.join("drbd"), "version: 8.4.11 (api:1/proto:86-101)\n").expect("/proc/drbd");
    run(&format!("mount --bind {} /proc", new.display()));
}

/// Node a, whose DRBD has lost its peer; it is Secondary, and Primary after `drbdadm primary`, which asks the handler as the
/// kernel does.
fn node(lab: &Lab, on_peer_lost: &str) -> Tandemd {
    let dir = lab.dir.path().display().to_string();
    std::fs::write(lab.path("now"), alone("Secondary")).expect("picture");
    std::fs::write(lab.path("primary"), alone("Primary")).expect("picture");
    let events = format!("case \"$*\" in *--now*) cat {dir}/now ;; *) exec sleep 1000 ;; esac");
    let environment: String = ENVIRONMENT.iter().map(|(k, v)| format!("{k}={v} ")).collect();
    let primary = format!(
        "[ \"$1\" = primary ] || exit 0\n\
         env -i {environment} {HANDLER} --run-dir {dir}/a.d/run fence-peer\n\
         answer=$?; echo $answer > {dir}/answer\n\
         case $answer in 3|4|5|7) cp {dir}/primary {dir}/new; mv {dir}/new {dir}/now; exit 0 ;; esac\n\
         echo '0: State change failed: (-7) Refusing to be Primary while peer is not outdated' >&2\n\
         exit 17"
    );
    for (program, text) in [("drbdsetup", events), ("drbdadm", primary)] {
        let script = lab.script(program, &text);
        run(&format!("mount --bind {script} {}", run(&format!("which {program}")).trim()));
    }
    load_module(lab);
    let config = format!(
        "[node]\nname = \"a\"\n\
         [[vrrp_instance]]\nname = \"kad\"\ninterface = \"eth0\"\nvirtual_router_id = 51\npriority = 200\n\
         advert_int = \"100ms\"\nvirtual_ipaddress = [\"{VIP}/24\"]\n\
         [activation]\nvrrp_instance = [\"kad\"]\n\
         [[resource]]\nname = \"data\"\nkind = \"drbd\"\ndrbd_resource = \"r0\"\nwait_connect = \"0s\"\n\
         on_peer_lost = \"{on_peer_lost}\"\nmonitor_interval = \"200ms\"\n"
    );
    Tandemd::start(lab, "a", &config)
}

/// Calls the handler of a resource as DRBD does; its exit code.
pub(crate) fn fence_peer(resource: &str, run_dir: impl AsRef<Path>) -> Option<i32> {
    let mut c = Command::new(HANDLER);
    c.env_clear().envs(ENVIRONMENT).env("DRBD_RESOURCE", resource);
    c.arg("--run-dir").arg(run_dir.as_ref()).arg("fence-peer");
    c.output().expect("tandemd-drbd-handler").status.code()
}

/// And how long it took.
fn timed(a: &Tandemd) -> (Option<i32>, Duration) {
    let began = Instant::now();
    (fence_peer("r0", a.run_dir()), began.elapsed())
}

/// The log is written a moment after the answer.
fn logged(a: &Tandemd, words: &str) {
    wait_until(secs(5), words, || a.process.log().contains(words));
}

fn state(a: &Tandemd) -> String {
    a.status()["resources"]["resources"][0]["state"].as_str().expect("state").to_owned()
}

#[test]
fn a_standby_is_promoted_goes_on_alone_and_nobody_speaks_for_a_daemon_that_does_not() {
    isolated(
        "drbd_handler::a_standby_is_promoted_goes_on_alone_and_nobody_speaks_for_a_daemon_that_does_not",
        || {
            let lab = Lab::new();
            let mut a = node(&lab, "promote");
            // The kernel asks while `drbdadm primary` runs, which is a step of the daemon that answers.
            lab.wait_holder("a", VIP, secs(20));
            assert_eq!(std::fs::read_to_string(lab.path("answer")).expect("answer").trim(), "4");
            wait_until(secs(5), "the log names the risk", || {
                let warned =
                    |l: &str| l.contains(" WARN ") && l.contains("SPLIT BRAIN") && l.contains("bravo");
                a.process.log().lines().any(warned)
            });
            // It serves, and the kernel asks whether it may go on.
            wait_until(secs(5), "it is promoted", || state(&a) == "promoted");
            assert_eq!(timed(&a).0, Some(5));
            logged(&a, "bravo is lost: this node goes on serving");
            // Nobody hears: the kernel must not wait for ever, and must not be told that all is well.
            // The guardian first, which would replace a daemon that hangs.
            for pid in [a.process.pid(), a.process.worker()] {
                kill(pid, Signal::SIGSTOP).expect("signal");
            }
            let (answer, took) = timed(&a);
            assert_eq!(answer, Some(1));
            assert!(took > secs(9) && took < secs(11), "{took:?}");
            a.process.kill9();
            let (answer, took) = timed(&a);
            assert_eq!(answer, Some(1));
            assert!(took < secs(2), "{took:?}");
        },
    );
}

#[test]
fn a_standby_that_is_to_refuse_leaves_it_to_an_operator() {
    isolated("drbd_handler::a_standby_that_is_to_refuse_leaves_it_to_an_operator", || {
        let lab = Lab::new();
        let a = node(&lab, "refuse");
        a.wait_state("kad", "MASTER", secs(5));
        wait_until(secs(20), "it is started", || {
            a.status()["resources"]["resources"][0]["level"] == "started"
        });
        assert_eq!(timed(&a).0, Some(1));
        logged(&a, "not promoted, as bravo cannot be asked and on_peer_lost is \"refuse\"");
        assert!(!lab.has("a", VIP));
    });
}
