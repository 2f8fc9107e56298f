//! Cuts between two nodes that both live: one network of two, all of them with a fence, and links that come and go.

use crate::lab::daemon::Tandemd;
use crate::lab::{VIP, isolated, run, secs, sleep};
use crate::pair_lab::{Pair, pair, state, states};

/// The switch fails, and not the interface: VRRP is silent, and the other node is alive on the direct link. That is a fault of the
/// network, and no reason to take over.
#[test]
fn a_network_that_is_silent_is_no_takeover() {
    isolated("pair_cuts::a_network_that_is_silent_is_no_takeover", || {
        let p = Pair::calm("");
        let (a, b) = p.registered();
        let from = p.mark();
        p.lab.cut("a");
        for node in [&a, &b] {
            p.wait("it is shown", || pair(node)["links"][0]["direction"] != "both");
        }
        // Longer than VRRP's three advertisements.
        sleep(4500);
        assert_eq!(states(&a, &b), ("primary_active".into(), "secondary_syncing".into()), "{}", p.told());
        assert_eq!((b.state("kad").as_str(), p.lab.holders(VIP)), ("BACKUP", vec!["a"]));
        let text = b.adm_text("ha status");
        let line = text.lines().find(|l| l.contains("link network")).expect("a line of the link");
        assert!(!line.contains("both ways"), "{text}");
        // An operator who knows that clients reach b only moves it, by agreement.
        assert!(b.adm("ha failover").status.success());
        p.wait_states(&a, "primary_syncing", &b, "secondary_active");
        p.lab.heal("a");
        p.wait("both links", || pair(&b)["links"][0]["direction"] == "both");
        sleep(1000);
        assert_eq!(
            (p.steps().join(", "), p.lab.holders(VIP)),
            ("a start, a stop, b start".into(), vec!["b"])
        );
        p.shows(
            from,
            &[
                ("primary_active", "secondary_syncing"),
                ("primary_failover", "secondary_failover"),
                ("primary_syncing", "secondary_active"),
            ],
        );
    });
}

/// Cuts that are shorter than a node's patience move nothing, however many there are.
#[test]
fn short_cuts_move_nothing() {
    isolated("pair_cuts::short_cuts_move_nothing", || {
        let mut p = Pair::new("");
        // So that none is too long on a busy machine.
        p.timers = "heartbeat_interval = \"200ms\"\nheartbeat_misses = 10\nlong_failover_wait = \"1m\"\n";
        let (a, b) = p.registered();
        let from = p.mark();
        for _ in 0..3 {
            p.part();
            p.wait_states(&a, "primary_lost_secondary", &b, "secondary_lost_primary");
            p.rejoin();
            p.wait_states(&a, "primary_active", &b, "secondary_syncing");
        }
        let (whole, cut) =
            (("primary_active", "secondary_syncing"), ("primary_lost_secondary", "secondary_lost_primary"));
        p.shows(from, &[whole, cut, whole, cut, whole, cut, whole]);
        assert_eq!((p.steps(), p.lab.holders(VIP)), (vec!["a start".to_owned()], vec!["a"]));
    });
}

/// An agent that cuts the power of node a: its processes end, its links and its service are gone. It can be broken.
fn fenced() -> Pair {
    let mut p = Pair::calm("");
    let dir = p.lab.dir.path().display().to_string();
    let agent = p.lab.script(
        "fence_power",
        &format!(
            "while IFS= read -r line; do case \"$line\" in action=*) action=${{line#action=}};; esac; done\n\
             case \"$action\" in\n\
             metadata) echo '<resource-agent><parameters/><actions><action name=\"off\"/><action name=\"on\"/>\
             <action name=\"status\"/><action name=\"monitor\"/></actions></resource-agent>' ;;\n\
             off) [ ! -e {dir}/broken ] || {{ echo 'the board does not answer' >&2; exit 1; }}\n\
             [ ! -e {dir}/off ] || exit 0\n\
             ip -n sw link set pa nomaster; ip -n sw link set qa nomaster\n\
             all=; for p in $(ip netns pids a); do all=\"$p $all\"; done\n\
             kill -STOP $all; kill -9 $all\n\
             ip -n a addr del {VIP}/24 dev eth0\n\
             rm -f {dir}/a.up\n\
             echo 'a off' >> {dir}/steps; touch {dir}/off ;;\n\
             on) rm -f {dir}/off ;;\n\
             status) [ ! -e {dir}/off ] || exit 2 ;;\n\
             esac\nexit 0"
        ),
    );
    p.more =
        format!("fence = [\"power\"]\n[[fence]]\nname = \"power\"\nagent = \"{agent}\"\naction = \"off\"\n");
    p
}

/// The node is back, off as it was.
fn switched_on(p: &Pair, mut old: Tandemd) -> Tandemd {
    assert!(!old.process.is_running(), "it was switched off");
    drop(old);
    std::fs::remove_file(p.lab.path("off")).expect("it was switched off");
    let _ = std::fs::remove_dir_all(p.lab.path("a.d/run"));
    p.power_back("a");
    p.start("a")
}

/// Both live, and do not hear each other: the one that takes over switches the other one off first.
#[test]
fn a_cut_with_a_fence_never_makes_two() {
    isolated("pair_cuts::a_cut_with_a_fence_never_makes_two", || {
        let p = fenced();
        let (a, b) = p.registered();
        p.never_two(|| {
            p.part();
            p.wait("b serves", || state(&b) == "secondary_active" && p.lab.holders(VIP) == ["b"]);
            assert_eq!(p.steps(), ["a start", "a off", "b start"], "{}", p.told());
            // It is switched on again, and is the standby.
            let a = switched_on(&p, a);
            p.wait_states(&a, "primary_syncing", &b, "secondary_active");
            p.wait("a may", || a.adm("ha failback").status.success());
            p.wait_states(&a, "primary_active", &b, "secondary_syncing");
        });
        assert_eq!(p.steps().last().map(String::as_str), Some("a start"), "{:?}", p.steps());
    });
}

/// Nothing can be said for sure of the other node, so nobody replaces it; the status says why, and what to do.
#[test]
fn a_cut_with_a_fence_that_fails_moves_nothing() {
    isolated("pair_cuts::a_cut_with_a_fence_that_fails_moves_nothing", || {
        let p = fenced();
        let (a, b) = p.registered();
        std::fs::write(p.lab.path("broken"), "").expect("broken");
        p.never_two(|| {
            p.part();
            p.wait("b says why", || b.adm_text("ha status").contains("the other node could not be fenced"));
            let text = b.adm_text("ha status").split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(text.contains("the board does not answer"), "{text}");
            assert!(text.contains("mend the fence device"), "{text}");
            assert_eq!(b.adm("ha status").status.code(), Some(2));
            sleep(2500);
            assert_eq!(p.steps(), ["a start"], "{}", p.told());
            assert_eq!(states(&a, &b), ("primary_lost_secondary".into(), "secondary_lost_primary".into()));
            // The network is mended before the fence: nothing has happened.
            p.rejoin();
            p.wait_states(&a, "primary_active", &b, "secondary_syncing");
            // Again, and now the fence is mended first.
            p.part();
            p.wait("b says why", || b.adm_text("ha status").contains("the other node could not be fenced"));
            std::fs::remove_file(p.lab.path("broken")).expect("mended");
            p.wait("b serves", || state(&b) == "secondary_active" && p.lab.holders(VIP) == ["b"]);
        });
        assert_eq!(p.steps(), ["a start", "a off", "b start"], "{}", p.told());
        let told = p.told();
        let tries = told.lines().filter(|l| l.contains("the board does not answer")).count();
        assert!(tries <= 40, "{tries} lines:\n{told}");
        let log = run(&format!("cat {}", p.lab.path("b.tandemd.log").display()));
        assert!(log.contains("is being fenced by power"));
        p.lab.wait_holder("b", VIP, secs(5));
    });
}
