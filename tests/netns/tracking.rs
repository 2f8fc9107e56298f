use crate::lab::daemon::Tandemd;
use crate::lab::{Lab, VIP, isolated, run, secs, sleep, wait_until};
use crate::simple;

#[test]
fn a_failing_script_with_a_weight_hands_over_and_a_recovering_one_takes_back() {
    isolated("tracking::a_failing_script_with_a_weight_hands_over_and_a_recovering_one_takes_back", || {
        let lab = Lab::new();
        let flag = lab.path("broken");
        let script = lab.script("check.sh", &format!("test ! -e {}", flag.display()));
        let more = format!(
            "track_script = [{{ name = \"api\", weight = -150 }}]\n[[track.script]]\nname = \"api\"\n\
             command = [\"{script}\"]\ninterval = \"200ms\"\nfall = 2"
        );
        let _b = Tandemd::start(&lab, "b", &simple("b", 100, ""));
        let a = Tandemd::start(&lab, "a", &simple("a", 200, &more));
        lab.wait_holder("a", VIP, secs(3));
        std::fs::write(&flag, "").unwrap();
        lab.wait_holder("b", VIP, secs(4));
        let i = a.instance("web");
        assert_eq!((i["base_priority"].as_u64(), i["effective_priority"].as_u64()), (Some(200), Some(50)));
        let why = a.adm_text("why web").split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(why.contains("50 = 200 - 150, because track script api has been down since"), "{why}");
        assert!(why.contains("(exit status 1)"), "{why}");
        std::fs::remove_file(&flag).unwrap();
        lab.wait_holder("a", VIP, secs(4));
    });
}

#[test]
fn a_failing_script_without_a_weight_is_a_fault() {
    isolated("tracking::a_failing_script_without_a_weight_is_a_fault", || {
        let lab = Lab::new();
        let flag = lab.path("broken");
        let script = lab.script("check.sh", &format!("test ! -e {}", flag.display()));
        let more = format!(
            "track_script = [\"api\"]\n[[track.script]]\nname = \"api\"\ncommand = \"{script}\"\ninterval = 0.2"
        );
        let _b = Tandemd::start(&lab, "b", &simple("b", 100, ""));
        let a = Tandemd::start(&lab, "a", &simple("a", 200, &more));
        lab.wait_holder("a", VIP, secs(3));
        std::fs::write(&flag, "").unwrap();
        a.wait_state("web", "FAULT", secs(2));
        lab.wait_holder("b", VIP, secs(2));
        assert_eq!(a.instance("web")["reason"], "track script api failed: exit status 1");
        std::fs::remove_file(&flag).unwrap();
        lab.wait_holder("a", VIP, secs(3));
    });
}

#[test]
fn a_script_that_hangs_is_killed_and_counts_as_failed() {
    isolated("tracking::a_script_that_hangs_is_killed_and_counts_as_failed", || {
        let lab = Lab::new();
        let script = lab.script("hang.sh", "sleep 1000");
        let more = format!(
            "track_script = [\"api\"]\n[[track.script]]\nname = \"api\"\ncommand = [\"{script}\"]\n\
             interval = \"300ms\"\ntimeout = \"200ms\""
        );
        let a = Tandemd::start(&lab, "a", &simple("a", 200, &more));
        a.wait_state("web", "FAULT", secs(3));
        assert!(a.instance("web")["reason"].as_str().unwrap().contains("timed out after 200 ms"));
        sleep(1500);
        let left = crate::lab::try_run("pgrep -c -f sleep.1000");
        let left: u32 = String::from_utf8_lossy(&left.stdout).trim().parse().unwrap();
        assert!(left <= 1, "{left} of them are left: never two at once, none after the timeout");
    });
}

#[test]
fn a_script_that_others_can_write_is_refused_with_the_path_and_the_bit() {
    isolated("tracking::a_script_that_others_can_write_is_refused_with_the_path_and_the_bit", || {
        let lab = Lab::new();
        let script = lab.script("open.sh", "exit 0");
        run(&format!("chmod 777 {script}"));
        let more = format!(
            "track_script = [\"api\"]\n[[track.script]]\nname = \"api\"\ncommand = [\"{script}\"]\ninterval = \"200ms\""
        );
        let a = Tandemd::start(&lab, "a", &simple("a", 200, &more));
        a.wait_state("web", "FAULT", secs(2));
        let why = a.instance("web")["reason"].as_str().unwrap().to_owned();
        assert!(why.contains(&format!("{script} is writable by others (mode 0777): chmod o-w")), "{why}");
    });
}

#[test]
fn a_tracked_interface_and_its_weight() {
    isolated("tracking::a_tracked_interface_and_its_weight", || {
        let lab = Lab::new();
        lab.add_eth1();
        let more = "track_interface = [{ name = \"eth1\", weight = -150 }]";
        let _b = Tandemd::start(&lab, "b", &simple("b", 100, ""));
        let a = Tandemd::start(&lab, "a", &simple("a", 200, more));
        lab.wait_holder("a", VIP, secs(3));
        run("ip -n a link set eth1 down");
        lab.wait_holder("b", VIP, secs(2));
        assert_eq!(a.instance("web")["tracks"][0]["detail"], "interface eth1 is down");
        run("ip -n a link set eth1 up");
        lab.wait_holder("a", VIP, secs(3));
    });
}

#[test]
fn the_death_of_a_tracked_process_is_seen_at_once() {
    isolated("tracking::the_death_of_a_tracked_process_is_seen_at_once", || {
        let lab = Lab::new();
        let mut child = std::process::Command::new("sleep").arg("4321").spawn().unwrap();
        let more = "track_process = [\"s\"]\n[[track.process]]\nname = \"s\"\nprocess = \"sleep\"\nargs = [\"4321\"]\ninterval = \"10s\"";
        let _b = Tandemd::start(&lab, "b", &simple("b", 100, ""));
        let a = Tandemd::start(&lab, "a", &simple("a", 200, more));
        lab.wait_holder("a", VIP, secs(3));
        child.kill().unwrap();
        child.wait().unwrap();
        let took = wait_until(secs(2), "FAULT", || a.state("web") == "FAULT");
        assert!(took.as_millis() < 1000, "{took:?} though /proc is read every 10 s only");
        assert!(a.instance("web")["reason"].as_str().unwrap().contains("no process sleep"));
        lab.wait_holder("b", VIP, secs(2));
    });
}
