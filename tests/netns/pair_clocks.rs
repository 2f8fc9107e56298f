//! Clocks that are wrong, step, or begin anew. The wall clock of one machine is all its namespaces' clock, so what steps here is
//! what a daemon is told by its C library; the time since boot has a namespace of its own.

use crate::lab::daemon::Tandemd;
use crate::lab::{Lab, VIP, isolated, run, secs, sleep, wait_until};
use crate::pair_lab::{Pair, pair, state, states};
use nix::sys::signal::{Signal, kill};
use std::path::PathBuf;

pub(crate) const DAY: i64 = 24 * 3600;

/// A wall clock that goes wrong by as many seconds as a file says, for the processes that are given it.
pub(crate) struct Clock {
    library: String,
    offset: PathBuf,
}

/// Preloaded, it stands between a program and the system's clock. The file is mapped, so a step is seen at once.
const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
static volatile long long *offset;
__attribute__((constructor)) static void start(void) {
    const char *path = getenv("TEST_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return;
    void *at = mmap(0, 8, PROT_READ, MAP_SHARED, fd, 0);
    if (at != MAP_FAILED) offset = at;
    close(fd);
}
int clock_gettime(clockid_t clock, struct timespec *t) {
    int result = syscall(SYS_clock_gettime, clock, t);
    if (result == 0 && offset && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        t->tv_sec += *offset;
    return result;
}
"#;

impl Clock {
    pub(crate) fn new(lab: &Lab, node: &str) -> Self {
        let source = lab.path("clock.c");
        std::fs::write(&source, SOURCE).expect("source");
        let library = lab.path("clock.so").display().to_string();
        run(&format!("cc -shared -fPIC -O1 -o {library} {}", source.display()));
        let clock = Clock { library, offset: lab.path(&format!("{node}.offset")) };
        std::fs::write(&clock.offset, 0_i64.to_ne_bytes()).expect("offset");
        clock
    }

    /// For the environment of a daemon.
    fn environment(&self) -> [(&'static str, String); 3] {
        let offset = self.offset.display().to_string();
        [("LD_PRELOAD", self.library.clone()), ("TEST_CLOCK", offset), ("TZ", "UTC".into())]
    }

    /// The step: what the clock shows is so many seconds away from the true time.
    pub(crate) fn set(&self, seconds: i64) {
        use std::os::unix::fs::FileExt;
        let file = std::fs::File::options().write(true).open(&self.offset).expect("offset");
        file.write_all_at(&seconds.to_ne_bytes(), 0).expect("offset");
    }
}

impl Pair {
    pub(crate) fn start_with(&self, node: &str, clock: &Clock) -> Tandemd {
        let t = Tandemd::launch_with(&self.lab, node, &self.config(node), &clock.environment());
        wait_until(secs(20), "tandemd answers", || t.adm("status --json").status.success());
        t
    }
}

/// The years in the times of the log, each once, in their order.
fn years(node: &Tandemd) -> Vec<String> {
    let log = node.process.log();
    let mut all: Vec<String> = log
        .lines()
        .filter_map(|l| l.split_once('-').map(|(year, _)| year.to_owned()))
        .filter(|y| y.len() == 4 && y.bytes().all(|b| b.is_ascii_digit()))
        .collect();
    all.dedup();
    all
}

/// By years, forwards and backwards, on the node that serves and on the one that stands by: nothing of it is time that passes.
#[test]
fn a_wall_clock_that_steps_moves_nothing() {
    isolated("pair_clocks::a_wall_clock_that_steps_moves_nothing", || {
        let p = Pair::calm("");
        let clocks = ["a", "b"].map(|n| Clock::new(&p.lab, n));
        // The standby's is a year wrong from the beginning: no certificate is "not valid yet".
        clocks[1].set(-365 * DAY);
        let (a, b) = (p.start_with("a", &clocks[0]), p.start_with("b", &clocks[1]));
        p.register(&a, &b);
        let from = p.history().len();
        for step in [3 * 365 * DAY, -20 * 365 * DAY, 0] {
            clocks[0].set(step);
            sleep(700);
            clocks[1].set(-step);
            sleep(700);
        }
        // The times in the logs are no order any more; nothing has been said at all.
        assert_eq!(p.history().len(), from, "{}", p.told());
        assert_eq!(
            (states(&a, &b), p.steps().len()),
            (("primary_active".into(), "secondary_syncing".into()), 1)
        );

        // The daemon of the active node dies, and comes back ten years ago: it is a later life of it all the same.
        clocks[0].set(-10 * 365 * DAY);
        let old = a.process.worker();
        kill(old, Signal::SIGKILL).expect("kill");
        p.wait("it runs again", || a.process.worker() != old && !state(&a).is_empty());
        p.wait_states(&a, "primary_active", &b, "secondary_syncing");
        assert_eq!(p.steps(), ["a start"], "{}", p.told());
        assert!(years(&a).len() > 1, "the clock did not step: {:?}", years(&a));

        // Orders, and what is told of them.
        assert!(b.adm("ha failover").status.success());
        p.wait_states(&a, "primary_syncing", &b, "secondary_active");
        assert!(a.adm("ha failback").status.success());
        p.wait_states(&a, "primary_active", &b, "secondary_syncing");
        p.lab.wait_holder("a", VIP, secs(5));
        let text = a.adm_text("ha history --limit 20");
        assert!(text.contains("failback"), "{text}");
    });
}

/// A node that dies is replaced in time, whatever its clock and its peer's say.
#[test]
fn a_node_is_replaced_while_clocks_step() {
    isolated("pair_clocks::a_node_is_replaced_while_clocks_step", || {
        let p = Pair::new("");
        let clocks = ["a", "b"].map(|n| Clock::new(&p.lab, n));
        let (mut a, b) = (p.start_with("a", &clocks[0]), p.start_with("b", &clocks[1]));
        p.register(&a, &b);
        p.power_cut("a", &mut a);
        // Back by a day in the midst of the wait, which would never end by this clock.
        clocks[1].set(-DAY);
        p.wait("b serves", || state(&b) == "secondary_active" && p.lab.has("b", VIP));
        // The dead one comes back with a clock from before it was registered.
        drop(a);
        clocks[0].set(-400 * DAY);
        p.power_back("a");
        let a = p.start_with("a", &clocks[0]);
        p.wait_states(&a, "primary_syncing", &b, "secondary_active");
        assert_eq!(p.steps().iter().filter(|s| s.ends_with("start")).count(), 2, "{:?}", p.steps());
    });
}

/// The hours of a failback are the one thing that goes by the wall clock.
#[test]
fn the_hours_of_a_failback_follow_the_wall_clock() {
    isolated("pair_clocks::the_hours_of_a_failback_follow_the_wall_clock", || {
        let p = Pair::new(
            "failback = \"automatic\"\nfailback_stable = \"0s\"\nfailback_hours = [\"03:00-05:00\"]\n",
        );
        let clocks = ["a", "b"].map(|n| Clock::new(&p.lab, n));
        let now = i64::try_from(
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("now").as_secs(),
        );
        let today = now.expect("seconds") % DAY;
        let at = |hour: i64| clocks.iter().for_each(|c| c.set(hour * 3600 - today));
        at(12);
        let (a, b) = (p.start_with("a", &clocks[0]), p.start_with("b", &clocks[1]));
        p.register(&a, &b);
        assert!(b.adm("ha failover").status.success());
        p.wait_states(&a, "primary_syncing", &b, "secondary_active");
        sleep(2500);
        assert_eq!(p.steps(), ["a start", "a stop", "b start"], "{}", p.told());
        at(4);
        p.wait_states(&a, "primary_active", &b, "secondary_syncing");
        assert_eq!(p.steps(), ["a start", "a stop", "b start", "b stop", "a start"]);
    });
}

/// Machines that were booted at other times, one of which boots again: its time since boot begins anew, with all of its state
/// directory still there.
#[test]
fn the_time_since_boot_is_a_nodes_own() {
    isolated("pair_clocks::the_time_since_boot_is_a_nodes_own", || {
        let p = Pair::new("");
        let month = (30 * DAY).to_string();
        let up_for = ["unshare", "--time", "--boottime", &month, "--monotonic", &month];
        let mut a = Tandemd::start_under(&p.lab, "a", &p.config("a"), &up_for);
        let ns = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/time")).expect("a time namespace");
        assert_ne!(ns(&a.process.worker().to_string()), ns("self"), "it has the same clock");
        let b = p.start("b");
        p.register(&a, &b);
        let heard = |node: &Tandemd| pair(node)["status"]["peer"]["heard"]["secs"].as_u64();
        assert_eq!((heard(&a), heard(&b)), (Some(0), Some(0)), "nobody's clock is taken for one's own");
        assert!(b.adm("ha failover").status.success());
        p.wait_states(&a, "primary_syncing", &b, "secondary_active");
        assert!(a.adm("ha failback").status.success());
        p.wait_states(&a, "primary_active", &b, "secondary_syncing");
        let before = p.steps().len();

        p.power_cut("a", &mut a);
        p.wait("b serves", || state(&b) == "secondary_active" && p.lab.has("b", VIP));
        drop(a);
        p.power_back("a");
        let a = p.start("a");
        p.wait_states(&a, "primary_syncing", &b, "secondary_active");
        assert_eq!(p.steps()[before..], ["b start"], "{}", p.told());
        assert!(a.adm("ha failback").status.success());
        p.wait_states(&a, "primary_active", &b, "secondary_syncing");
    });
}
