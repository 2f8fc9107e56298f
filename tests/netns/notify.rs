use crate::lab::daemon::Tandemd;
use crate::lab::{Lab, VIP, isolated, run, script_user, secs, wait_until};
use crate::simple;

#[test]
fn scripts_fifo_and_state_files_tell_of_every_change_in_order() {
    isolated("notify::scripts_fifo_and_state_files_tell_of_every_change_in_order", || {
        let lab = Lab::new();
        let out = lab.path("out");
        std::fs::write(&out, "").unwrap();
        run(&format!("chown {} {}", script_user(), out.display()));
        let o = out.display();
        let master = lab.script(
            "master.sh",
            &format!("echo \"master $1 $TANDEM_PREVIOUS_STATE $TANDEM_ADDRESSES\" >> {o}"),
        );
        let any = lab.script(
            "any.sh",
            &format!("echo \"$* | $TANDEM_INSTANCE $TANDEM_STATE $TANDEM_PRIORITY $TANDEM_INTERFACE | $(id -un) | $TANDEM_REASON\" >> {o}"),
        );
        let (fifo, extra) = (lab.path("fifo"), lab.path("keepalived_state"));
        let config = simple(
            "a",
            200,
            &format!(
                "notify_master = [\"{master}\", \"one word\"]\nnotify = \"{any} first\"\nstate_file = \"{}\"",
                extra.display()
            ),
        )
        .replace("[node]\n", &format!("[node]\nnotify_fifo = \"{}\"\n", fifo.display()));
        let mut a = Tandemd::start(&lab, "a", &config);
        lab.wait_holder("a", VIP, secs(3));
        let state = a.run_dir().join("state/web");
        assert_eq!(std::fs::read_to_string(&state).unwrap(), "MASTER\n");
        assert_eq!(std::fs::read_to_string(&extra).unwrap(), "MASTER\n");
        wait_until(secs(2), "the scripts have run", || {
            std::fs::read_to_string(&out).unwrap().contains("MASTER 200")
        });
        lab.link("a", "down");
        a.wait_state("web", "FAULT", secs(1));
        assert_eq!(std::fs::read_to_string(&state).unwrap(), "FAULT\n");
        assert_eq!(a.process.stop(), Some(0));
        assert_eq!(std::fs::read_to_string(&extra).unwrap(), "STOP\n");
        let text = std::fs::read_to_string(&out).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let user =
            if nix::unistd::geteuid().is_root() { lines[0].split(" | ").nth(2).unwrap() } else { "root" };
        assert_eq!(user, "nobody", "{text}");
        assert!(lines[0].starts_with("first INSTANCE web BACKUP 200 | web BACKUP 200 eth0 |"), "{text}");
        assert_eq!(lines[1], "master one word BACKUP 192.0.2.100/24", "{text}");
        assert!(lines[2].starts_with("first INSTANCE web MASTER 200"), "{text}");
        assert!(
            lines[3].starts_with("first INSTANCE web FAULT 200")
                && lines[3].ends_with("interface eth0 is down")
        );
        assert!(lines[4].starts_with("first INSTANCE web STOP 200"), "stop scripts finish: {text}");
        // The lines of the FIFO: it is empty now, since its only reader and writer is gone; the log has the rest.
        assert!(a.process.log().contains("notify script"), "{}", a.process.log());
    });
}

#[test]
fn the_fifo_has_keepalived_s_format() {
    isolated("notify::the_fifo_has_keepalived_s_format", || {
        let lab = Lab::new();
        let fifo = lab.path("fifo");
        let config = simple("a", 200, "[[sync_group]]\nname = \"g\"\ngroup = [\"web\"]\n")
            .replace("[node]\n", &format!("[node]\nnotify_fifo = \"{}\"\n", fifo.display()));
        let _a = Tandemd::start(&lab, "a", &config);
        lab.wait_holder("a", VIP, secs(3));
        let text = run(&format!("timeout 1 head -n 4 {}", fifo.display()));
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        assert_eq!(
            lines,
            [
                "GROUP \"g\" BACKUP 0",
                "GROUP \"g\" MASTER 0",
                "INSTANCE \"web\" BACKUP 200",
                "INSTANCE \"web\" MASTER 200"
            ]
        );
    });
}

/// The scripts of an instance that a reload removes were forgotten before it could tell of its stop.
#[test]
fn an_instance_that_a_reload_removes_still_runs_its_stop_script() {
    isolated("notify::an_instance_that_a_reload_removes_still_runs_its_stop_script", || {
        let lab = Lab::new();
        let out = lab.path("out");
        std::fs::write(&out, "").unwrap();
        run(&format!("chown {} {}", script_user(), out.display()));
        let stop = lab.script("stop.sh", &format!("echo stopped >> {}", out.display()));
        let a = Tandemd::start(&lab, "a", &simple("a", 200, &format!("notify_stop = \"{stop}\"")));
        lab.wait_holder("a", VIP, secs(3));
        a.reload("[node]\nname = \"a\"\n");
        wait_until(secs(3), "the script has run", || std::fs::read_to_string(&out).unwrap() == "stopped\n");
        wait_until(secs(2), "the address is handed over", || !lab.has("a", VIP));
        assert_eq!(std::fs::read_to_string(a.run_dir().join("state/web")).unwrap(), "STOP\n");
    });
}
