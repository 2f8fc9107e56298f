//! `[[resource]]` and `[activation]`: what is wrong, where, and what to do.

use crate::helpers::{error, instance, mistakes, named, only, source, warning};
use crate::resources::{RESOURCES, resource};
use tandemd::config::{Diagnostic, Options, Severity, parse};

/// Mistakes of one value: kind, lines, key below the resource, and what message, allowed or help contain.
type Wrong = (&'static str, &'static str, &'static str, &'static str);

fn contains(d: &Diagnostic, text: &str) -> bool {
    [Some(&d.message), d.allowed.as_ref(), d.help.as_ref()].into_iter().flatten().any(|t| t.contains(text))
}

fn each(table: &[Wrong]) {
    for (kind, lines, key, text) in table {
        let d = error(&resource(kind, lines));
        assert_eq!(d.key, format!("resource \"r\": {key}"), "{lines}\n{d}");
        assert!(contains(&d, text), "{lines}: no {text:?} in\n{d}");
    }
}

const UNIT: &str = "unit = \"a.service\"";
const MOUNT: &str = "device = \"/dev/vda1\"\nmount_point = \"/srv\"";
const SERVER: &str = "data_directory = \"/srv/pg\"\npeer = \"b\"";

fn with(base: &str, line: &str) -> String {
    format!("{base}\n{line}")
}

#[test]
fn keys_that_all_kinds_have() {
    for (line, key, text) in [
        ("start_timeout = \"99ms\"", "start_timeout", "100ms to 24h"),
        ("stop_timeout = \"25h\"", "stop_timeout", "100ms to 24h"),
        ("monitor_timeout = 0", "monitor_timeout", "100ms to 24h"),
        ("monitor_interval = \"50ms\"", "monitor_interval", "0s (none), or 100ms to 24h"),
        ("restart_attempts = 1001", "restart_attempts", "0 to 1000"),
        ("restart_window = \"500ms\"", "restart_window", "1s to 24h"),
        ("restart_delay = \"61m\"", "restart_delay", "0s to 1h"),
        ("on_stop_failure = \"rebot\"", "on_stop_failure", "did you mean `reboot`?"),
        ("critical = 1", "critical", "true or false"),
        ("startup = \"no\"", "startup", "true or false"),
        ("depend_on = 3", "depend_on", "must be a list of names"),
        ("depend_on = [3]", "depend_on", "must be a string"),
        ("depend_on = \"a:primary\"", "depend_on", "only :promoted may follow a name, not :primary"),
        ("depend_on = \":promoted\"", "depend_on", "no name"),
        ("depend_on = [\"r2\", \"r2:promoted\"]", "depend_on", "is listed twice"),
        ("track = 5", "track", "must be a list of tables such as { instance"),
        ("track = { instance = \"a\", weight = 255 }", "track: weight", "-254 to 254"),
        ("track = { weight = 1 }", "track: instance", "is missing"),
        ("track = [\"a\", \"a\"]", "track", "is listed twice"),
        ("track = { name = \"a\" , instance = \"a\" }", "track: name", "write `instance`"),
        ("type = \"x\"", "type", "write `kind`"),
        ("restart_atempts = 1", "restart_atempts", "did you mean `restart_attempts`?"),
    ] {
        let second = "[[resource]]\nname = \"r2\"\nkind = \"drbd\"\ndrbd_resource = \"r2\"\n";
        let d = error(&(resource("systemd", &with(UNIT, line)) + second));
        assert_eq!(d.key, format!("resource \"r\": {key}"), "{line}\n{d}");
        assert!(contains(&d, text), "{line}: no {text:?} in\n{d}");
    }
}

#[test]
fn kinds_and_their_keys() {
    let d = error(&resource("systemdd", UNIT));
    assert_eq!(
        (d.key.as_str(), d.help.as_deref()),
        ("resource \"r\": kind", Some("did you mean `systemd`?"))
    );
    assert!(d.allowed.unwrap().starts_with("systemd, exec, filesystem, ocf, drbd, postgresql, file, group"));
    assert!(contains(&error(&resource("service", "")), "kind = \"systemd\""));
    let text = resource("systemd", UNIT).replace("kind = \"systemd\"\n", "");
    assert_eq!(error(&text).key, "resource \"r\": kind");
    // A key of any kind is no further mistake while nobody knows the kind.
    assert!(contains(&error(&resource("mount", MOUNT)), "kind = \"filesystem\""));
    for (kind, lines, key, text) in [
        ("systemd", "device = \"/dev/vda\"", "device", "it is a key of kind \"filesystem\""),
        ("systemd", "user = \"www\"", "user", "kinds \"exec\", \"postgresql\""),
        (
            "systemd",
            "promote_timeout = 5",
            "promote_timeout",
            "only kinds \"exec\", \"ocf\", \"drbd\", \"postgresql\"",
        ),
        ("systemd", "untit = \"x\"", "untit", "did you mean `unit`?"),
    ] {
        let d = error(&resource(kind, &with(UNIT, lines)));
        assert_eq!(d.key, format!("resource \"r\": {key}"), "{d}");
        assert!(contains(&d, text), "{d}");
        let foreign = d.message == format!("kind \"{kind}\" has no such key");
        assert_eq!(foreign, key != "untit", "{d}");
    }
    let group = resource("systemd", UNIT)
        + "[[resource]]\nname = \"g\"\nkind = \"group\"\nmembers = [\"r\"]\ncritical = true\n";
    assert!(contains(&error(&group), "write it in each of the members"));
}

#[test]
fn units() {
    each(&[
        ("systemd", "", "unit", "is missing"),
        ("systemd", "unit = \"nginx\"", "unit", "write \"nginx.service\""),
        ("systemd", "unit = \"getty@.service\"", "unit", "\"getty@main.service\""),
        ("systemd", "unit = \"user.slice\"", "unit", "not a unit that can be started"),
        ("systemd", "unit = \"a b.service\"", "unit", "is not the name of a unit"),
        ("systemd", "unit = \".service\"", "unit", "is not the name of a unit"),
        ("systemd", "unit = \"tandemd.service\"", "unit", "is tandemd itself"),
    ]);
}

#[test]
fn commands() {
    each(&[
        ("exec", "", "command", "`start` and `stop`"),
        ("exec", "command = \"sleep 1\"", "command", "must begin with an absolute path"),
        ("exec", "start = \"/bin/true\"", "stop", "is missing"),
        ("exec", "stop = \"/bin/true\"", "start", "is missing"),
        ("exec", "command = \"/bin/cat\"\nstop = \"/bin/true\"", "stop", "contradicts `command` at line 12"),
        (
            "exec",
            "start = \"/bin/true\"\nstop = \"/bin/true\"\nmonitor = \"/bin/true\"\npromote = \"/bin/true\"",
            "demote",
            "is missing",
        ),
        (
            "exec",
            "start = \"/bin/true\"\nstop = \"/bin/true\"\nmonitor = \"/bin/true\"\ndemote = \"/bin/true\"",
            "promote",
            "is missing",
        ),
        (
            "exec",
            "start = \"/bin/true\"\nstop = \"/bin/true\"\npromote = \"/bin/true\"\ndemote = \"/bin/true\"",
            "monitor",
            "promoted (8)",
        ),
        ("exec", "command = \"/bin/cat\"\nuser = \"a:b:c\"", "user", "is not a user"),
        ("exec", "command = \"/bin/cat\"\nenvironment = 1", "environment", "must be a table"),
        (
            "exec",
            "command = \"/bin/cat\"\nenvironment = { \"A-B\" = \"x\" }",
            "environment: A-B",
            "name of a variable",
        ),
        (
            "exec",
            "command = \"/bin/cat\"\nenvironment = { TANDEM_NAME = \"x\" }",
            "environment: TANDEM_NAME",
            "set by tandemd",
        ),
        ("exec", "command = \"/bin/cat\"\nenvironment = { A = 1 }", "environment: A", "must be a string"),
    ]);
    let d = warning(&resource("exec", "start = \"/bin/true\"\nstop = \"/bin/true\"\nmonitor_interval = 5"));
    assert!(d.message.contains("does nothing without `monitor`"), "{d}");
}

#[test]
fn values_of_the_environment_and_parameters_are_not_quoted_in_messages() {
    for text in [
        resource("exec", "command = \"/bin/cat\"\nenvironment = { \"A-B\" = \"hunter2\" }"),
        resource("ocf", "agent = \"a:b\"\nparameters = { CRM_meta_x = \"hunter2\" }"),
    ] {
        assert_eq!(error(&text).found, None);
    }
}

#[test]
fn file_systems() {
    each(&[
        ("filesystem", "device = \"/dev/vda1\"", "mount_point", "is missing"),
        ("filesystem", "mount_point = \"/srv\"", "device", "is missing"),
        ("filesystem", "device = \"vda1\"\nmount_point = \"/srv\"", "device", "\"UUID=...\""),
        ("filesystem", "device = \"LABEL=\"\nmount_point = \"/srv\"", "device", "is not a device"),
        ("filesystem", "device = \"nas:/export\"\nmount_point = \"/srv\"", "device", "kind \"ocf\""),
        (
            "filesystem",
            "device = \"/dev/vda1\"\nmount_point = \"srv\"",
            "mount_point",
            "is not an absolute path",
        ),
        (
            "filesystem",
            "device = \"/dev/vda1\"\nmount_point = \"/srv/../etc\"",
            "mount_point",
            "without `.` and `..`",
        ),
        (
            "filesystem",
            "device = \"/dev/vda1\"\nmount_point = \"/usr\"",
            "mount_point",
            "belongs to the system",
        ),
    ]);
    for (line, key, text) in [
        ("fstype = \"-o\"", "fstype", "is not a type"),
        ("fsck = \"maybe\"", "fsck", "\"auto\", \"always\", \"never\""),
        ("kill_holders = \"yes\"", "kill_holders", "true or false"),
        ("options = [\"noatime\", \"_netdev\"]", "options", "word of fstab"),
        ("options = \"remount\"", "options", "does not mount a device"),
        ("options = \"noatime nodev\"", "options", "[\"noatime\", \"nodev\"]"),
        ("options = \"noatime,,nodev\"", "options", "is not a mount option"),
        ("options = 5", "options", "must be a list of mount options"),
    ] {
        let d = error(&resource("filesystem", &with(MOUNT, line)));
        assert_eq!(d.key, format!("resource \"r\": {key}"), "{line}");
        assert!(contains(&d, text), "{line}: {d}");
    }
}

#[test]
fn ocf_agents() {
    each(&[
        ("ocf", "", "agent", "is missing"),
        ("ocf", "agent = \"Dummy\"", "agent", "did you mean `heartbeat:Dummy`?"),
        ("ocf", "agent = \"systemd:nginx\"", "agent", "unit = \"nginx.service\""),
        ("ocf", "agent = \"lsb:nginx\"", "agent", "kind = \"exec\""),
        ("ocf", "agent = \"heartbeat:../x\"", "agent", "is not an OCF agent"),
        ("ocf", "agent = \"ocf:a:b:c\"", "agent", "is not an OCF agent"),
        ("ocf", "agent = \"a:b\"\nparameters = [1]", "parameters", "must be a table"),
        (
            "ocf",
            "agent = \"a:b\"\nparameters = { x = [1] }",
            "parameters: x",
            "a whole number, true or false",
        ),
        ("ocf", "agent = \"a:b\"\nparameters = { \"x y\" = 1 }", "parameters: x y", "name of a parameter"),
        (
            "ocf",
            "agent = \"a:b\"\nparameters = { OCF_ROOT = \"/\" }",
            "parameters: OCF_ROOT",
            "set by tandemd",
        ),
        ("ocf", "agent = \"a:b\"\ncheck_level = 5", "check_level", "0, 10, 20"),
        ("ocf", "agent = \"a:b\"\npromotable = \"yes\"", "promotable", "true or false"),
    ]);
}

#[test]
fn drbd() {
    each(&[
        ("drbd", "", "drbd_resource", "is missing"),
        ("drbd", "drbd_resource = \"all\"", "drbd_resource", "is not the name of a DRBD resource"),
        ("drbd", "drbd_resource = \"-d\"", "drbd_resource", "is not the name of a DRBD resource"),
        ("drbd", "drbd_resource = \"r0\"\nwait_connect = \"61m\"", "wait_connect", "0s to 1h"),
        (
            "drbd",
            "drbd_resource = \"r0\"\non_peer_lost = \"wait\"",
            "on_peer_lost",
            "\"promote\", \"refuse\"",
        ),
        ("drbd", "drbd_resource = \"r0\"\nforce_demote = 1", "force_demote", "true or false"),
        ("drbd", "drbd_resource = \"r0\"\npromote_timeout = \"30s\"", "promote_timeout", "more than 30s"),
    ]);
    let d = warning(&resource("drbd", "drbd_resource = \"r0\"\nrun_forever = false"));
    assert!(d.message.contains("replicates nothing"), "{d}");
}

#[test]
fn postgresql() {
    each(&[
        ("postgresql", "peer = \"b\"", "data_directory", "is missing"),
        ("postgresql", "data_directory = \"/srv/pg\"", "peer", "is missing"),
        ("postgresql", "data_directory = \"/srv/pg\"\npeer = \"b port=1\"", "peer", "is not a host"),
        ("postgresql", "data_directory = \"pg\"\npeer = \"b\"", "data_directory", "is not an absolute path"),
    ]);
    for (line, key, text) in [
        ("port = 65536", "port", "1 to 65535"),
        ("peer_port = 0", "peer_port", "1 to 65535"),
        ("rejoin = \"copy\"", "rejoin", "\"rewind_or_copy\""),
        ("max_lag = \"16M\"", "max_lag", "\"16MiB\""),
        ("max_lag = -1", "max_lag", "is not a number of bytes"),
        ("replication_user = \"a' b\"", "replication_user", "is not a role"),
        ("password_file = \"pgpass\"", "password_file", "is not an absolute path"),
        ("socket_directory = \"x\"", "socket_directory", "is not an absolute path"),
        ("bin_directory = \"/usr/\"", "bin_directory", "is not an absolute path"),
    ] {
        let d = error(&resource("postgresql", &with(SERVER, line)));
        assert_eq!(d.key, format!("resource \"r\": {key}"), "{line}");
        assert!(contains(&d, text), "{line}: {d}");
    }
}

#[test]
fn space() {
    each(&[
        ("file", "path = \"/\"", "min_free", "`min_free`, `warn_free` or both"),
        ("file", "min_free = \"1GB\"", "path", "is missing"),
        ("file", "path = \"/\"\nmin_free = 1000", "min_free", "is not an amount of space"),
        ("file", "path = \"/\"\nmin_free = \"1G\"", "min_free", "\"2GB\""),
        ("file", "path = \"/\"\nmin_free = \"0B\"", "min_free", "is not an amount of space"),
        ("file", "path = \"/\"\nmin_free = \"100%\"", "min_free", "1% to 99%"),
        ("file", "path = \"/\"\nmin_free = \"0.5%\"", "min_free", "1% to 99%"),
        (
            "file",
            "path = \"/\"\nmin_free = \"5%\"\nwarn_free = \"5%\"",
            "warn_free",
            "no earlier than the failure",
        ),
        (
            "file",
            "path = \"/\"\nmin_free = \"2GB\"\nwarn_free = \"1GB\"",
            "warn_free",
            "more than `min_free`",
        ),
    ]);
}

/// Resources with names and further lines; each is a unit unless its lines say something else.
fn graph(resources: &[(&str, &str)]) -> String {
    let one = |(name, lines): &(&str, &str)| {
        let kind = if lines.contains("kind") {
            String::new()
        } else {
            format!("kind = \"systemd\"\nunit = \"{name}.service\"\n")
        };
        format!("[[resource]]\nname = \"{name}\"\n{kind}{lines}\n")
    };
    instance("") + "[activation]\nvrrp_instance = [\"a\"]\n" + &resources.iter().map(one).collect::<String>()
}

#[test]
fn names_in_the_graph() {
    let d = error(&graph(&[("one", ""), ("two", "depend_on = [\"one\", \"onne\"]")]));
    assert_eq!((d.key.as_str(), d.found.as_deref()), ("resource \"two\": depend_on", Some("\"onne\"")));
    assert_eq!(
        (d.message.as_str(), d.help.as_deref()),
        ("no resource has this name", Some("did you mean `one`?"))
    );
    assert_eq!((d.line, d.column), (18, 21), "at the entry");

    let d = error(&graph(&[("one", ""), ("one", "unit = \"x.service\"\nkind = \"systemd\"")]));
    assert!(d.message.contains("already the name at line 10"), "{d}");
    let d =
        error(&graph(&[("one", ""), ("g", "kind = \"group\"\nmembers = [\"one\", \"too\"]"), ("two", "")]));
    assert_eq!(
        (d.message.as_str(), d.help.as_deref()),
        ("no resource has this name", Some("did you mean `two`?"))
    );
    let groups = [
        ("one", ""),
        ("g", "kind = \"group\"\nmembers = [\"one\"]"),
        ("h", "kind = \"group\"\nmembers = [\"g\"]"),
    ];
    let d = error(&graph(&groups));
    assert_eq!((d.key.as_str(), d.message.as_str()), ("resource \"h\": members", "is a group"));
    for (lines, text) in [
        ("members = []", "is an empty list"),
        ("", "is missing"),
        ("members = [\"one\", \"one\"]", "is listed twice"),
    ] {
        let d = error(&graph(&[("one", ""), ("g", &format!("kind = \"group\"\n{lines}"))]));
        assert!(contains(&d, text), "{d}");
    }
}

#[test]
fn a_cycle_is_shown_as_a_path() {
    let three = [("a", "depend_on = \"b\""), ("b", "depend_on = \"c\""), ("c", "depend_on = [\"a\"]")];
    let d = error(&graph(&three));
    assert_eq!(d.message, "a -> b -> c -> a: nothing of this could ever start");
    assert_eq!(d.key, "resource \"a\": depend_on");
    let d = error(&graph(&[("a", "depend_on = \"a\"")]));
    assert_eq!(d.message, "a -> a: nothing of this could ever start");
    // Through a group: its second member needs the first.
    let through =
        [("a", "depend_on = \"g\""), ("b", ""), ("g", "kind = \"group\"\nmembers = [\"a\", \"b\"]")];
    let d = error(&graph(&through));
    assert!(d.message.contains("a -> b -> a") && d.key == "resource \"a\": depend_on", "{d}");
    // Both ways round are told.
    let two = [
        ("a", "depend_on = \"b\""),
        ("b", "depend_on = \"a\""),
        ("c", "depend_on = \"d\""),
        ("d", "depend_on = \"c\""),
    ];
    assert_eq!(mistakes(&graph(&two)).len(), 2);
}

#[test]
fn what_cannot_be_promoted() {
    for (kind, help) in [
        ("kind = \"systemd\"\nunit = \"o.service\"", "remove :promoted"),
        ("kind = \"ocf\"\nagent = \"heartbeat:Stateful\"", "set promotable = true"),
        ("kind = \"exec\"\nstart = \"/bin/true\"\nstop = \"/bin/true\"", "`promote` and `demote`"),
    ] {
        let d = error(&graph(&[("o", kind), ("two", "depend_on = \"o:promoted\"")]));
        assert_eq!(
            (d.key.as_str(), d.message.as_str()),
            ("resource \"two\": depend_on", "o cannot be promoted")
        );
        assert!(contains(&d, help), "{d}");
    }
}

#[test]
fn what_is_always_up_needs_what_is_always_up() {
    let d = error(&graph(&[("below", ""), ("above", "depend_on = \"below\"\nrun_forever = true")]));
    assert_eq!(d.message, "above is run_forever, but below is down while this node is standby");
    assert!(
        contains(&d, "set run_forever = true in below as well") && d.key == "resource \"above\": depend_on",
        "{d}"
    );
    let drbd = "kind = \"drbd\"\ndrbd_resource = \"r0\"";
    let d = error(&graph(&[("data", drbd), ("above", "depend_on = \"data:promoted\"\nrun_forever = true")]));
    assert!(d.message.contains("nothing is promoted while this node is standby"), "{d}");
    // Through a group the place is that of the member.
    let g = "kind = \"group\"\nmembers = [\"below\", \"above\"]";
    let d = error(&graph(&[("below", ""), ("above", "run_forever = true"), ("g", g)]));
    assert_eq!(d.key, "resource \"g\": members", "{d}");
    // DRBD over something that is brought up first.
    let over = format!("{drbd}\ndepend_on = \"vg\"");
    assert!(mistakes(&graph(&[("vg", "run_forever = true"), ("data", &over)])).is_empty());
}

#[test]
fn one_mistake_does_not_make_others() {
    // What is wrong in itself is still there for those that need it, promoted and always up.
    for broken in
        ["kind = \"drdb\"\ndrbd_resource = \"r0\"", "kind = \"drbd\"", "kind = \"systemd\"\nunit = 1"]
    {
        let text = graph(&[
            ("data", broken),
            ("fs", "depend_on = \"data:promoted\""),
            ("always", "depend_on = \"data\"\nrun_forever = true"),
        ]);
        assert_eq!(mistakes(&text).len(), 1, "{broken}: {:#?}", mistakes(&text));
    }
}

#[test]
fn what_only_one_resource_may_have() {
    let mount =
        |device: &str| format!("kind = \"filesystem\"\ndevice = \"{device}\"\nmount_point = \"/srv\"");
    let d = error(&graph(&[("one", &mount("/dev/vda")), ("two", &mount("/dev/vdb"))]));
    assert_eq!(d.key, "resource \"two\": mount_point");
    assert!(d.message.contains("already that of resource \"one\" at line 13"), "{d}");
    for lines in [
        "kind = \"drbd\"\ndrbd_resource = \"r0\"",
        "kind = \"systemd\"\nunit = \"x.service\"",
        "kind = \"postgresql\"\ndata_directory = \"/srv\"\npeer = \"b\"",
    ] {
        assert!(
            error(&graph(&[("one", lines), ("two", lines)])).message.contains("is already that of"),
            "{lines}"
        );
    }
    let twice = "kind = \"exec\"\ncommand = \"/bin/cat\"";
    assert!(mistakes(&graph(&[("one", twice), ("two", twice)])).is_empty());
}

#[test]
fn a_file_system_on_drbd_waits_for_the_promotion() {
    let drbd = "kind = \"drbd\"\ndrbd_resource = \"r0\"";
    let mount = |on: &str, device: &str| {
        format!(
            "kind = \"filesystem\"\ndevice = \"{device}\"\nmount_point = \"/srv\"\ndepend_on = [\"{on}\"]"
        )
    };
    let text = |on, device| graph(&[("data", drbd), ("fs", &mount(on, device))]);
    let d = warning(&text("data", "/dev/drbd/by-res/r0/0"));
    assert_eq!(
        (d.key.as_str(), d.help.as_deref()),
        ("resource \"fs\": depend_on", Some("write \"data:promoted\""))
    );
    assert!(mistakes(&text("data:promoted", "/dev/drbd0")).is_empty());
    assert!(mistakes(&text("data", "/dev/vdb")).is_empty(), "another disk does not need the promotion");
}

#[test]
fn instances() {
    let unit = "[[resource]]\nname = \"r\"\nkind = \"systemd\"\nunit = \"a.service\"\n";
    let text = |activation: &str, resource: &str| {
        instance("") + "[activation]\n" + activation + "\n" + unit + resource
    };
    let d = error(&text("vrrp_instance = [\"b\"]", ""));
    assert_eq!(
        (d.key.as_str(), d.message.as_str()),
        ("activation: vrrp_instance", "no vrrp_instance has this name")
    );
    let d = error(&text("vrrp_instance = \"a\"", "track = [{ instance = \"b\", weight = -5 }]"));
    assert_eq!((d.key.as_str(), d.found.as_deref()), ("resource \"r\": track: instance", Some("\"b\"")));
    for (lines, text_) in [
        ("", "is missing"),
        ("vrrp_instance = []", "is an empty list"),
        ("vrrp_instance = [\"a\", \"a\"]", "is listed twice"),
        ("vrrp_instance = \"a\"\naddresses = \"lat\"", "did you mean `late`?"),
        ("vrrp_instance = \"a\"\non_stop_failure = \"ignore\"", "\"block\", \"reboot\""),
        ("vrrp_instance = \"a\"\nfailure_timeout = \"0.5s\"", "0s (never), or 1s to 24h"),
        ("vrrp_instance = \"a\"\nfailure_timeout = \"25h\"", "0s to 24h"),
        ("vrrp_instance = \"a\"\nresources = [\"r\"]", "all resources are raised"),
    ] {
        let d = error(&text(lines, ""));
        assert!(contains(&d, text_) && d.key.starts_with("activation: "), "{lines}: {d}");
    }
}

#[test]
fn what_is_probably_not_meant_so() {
    let unit = "[[resource]]\nname = \"r\"\nkind = \"systemd\"\nunit = \"a.service\"\n";
    let d = warning(&(instance("") + unit));
    assert_eq!((d.key.as_str(), d.line), ("resource \"r\"", 7));
    assert!(d.message.contains("nothing starts it: there is no [activation]"), "{d}");
    let two = instance("") + unit + &unit.replace("\"r\"", "\"s\"").replace("a.service", "b.service");
    assert!(warning(&two).message.contains("(nor 1 more)"));
    assert!(mistakes(&(instance("") + unit + "run_forever = true\n")).is_empty());

    let d = warning(&(instance("") + "[activation]\nvrrp_instance = \"a\"\n"));
    assert_eq!((d.key.as_str(), d.message.as_str()), ("activation", "there is no [[resource]]"));
    let second = named("b", 2, "virtual_ipaddress = [\"192.0.2.101/24\"]");
    let apart =
        resource("systemd", UNIT).replacen("vrrp_instance = \"a\"", "vrrp_instance = [\"a\", \"b\"]", 1)
            + &second;
    let d = warning(&apart);
    assert!(
        d.key == "activation: vrrp_instance" && d.message.contains("may be MASTER on different nodes"),
        "{d}"
    );
    let group = "[[sync_group]]\nname = \"g\"\ngroup = [\"a\", \"b\"]\n";
    assert!(mistakes(&(apart + group)).is_empty());
    let d = warning(&resource("systemd", UNIT).replacen("[activation]", "priority = 255\n[activation]", 1));
    assert!(d.message.contains("an owner (priority 255) takes over at once"), "{d}");
    let weighted =
        resource("systemd", &with(UNIT, "run_forever = true\ntrack = { instance = \"a\", weight = 5 }"));
    let owner = weighted.replacen("[activation]\nvrrp_instance = \"a\"\n", "priority = 255\n", 1);
    assert!(warning(&owner).message.contains("a weight does nothing with priority 255"));
}

#[test]
fn handing_over_before_everything_is_down_is_refused() {
    let make = "handover = \"make_before_break\"\n";
    let late = resource("systemd", UNIT).replacen("[activation]", &format!("{make}[activation]"), 1);
    let early = late.replacen("vrrp_instance = \"a\"", "vrrp_instance = \"a\"\naddresses = \"early\"", 1);
    for text in [late, early] {
        let d = error(&text);
        assert_eq!(d.key, "vrrp_instance \"a\": handover");
        assert!(
            contains(&d, "before the resources are down here") && contains(&d, "\"break_before_make\""),
            "{d}"
        );
    }
    let d = error(&instance(&format!("{make}pre_backup = \"/x\"")));
    assert!(contains(&d, "before `pre_backup` is done"), "{d}");
    assert!(mistakes(&instance(&format!("{make}pre_master = \"/x\""))).is_empty());
}

#[test]
fn scripts_that_are_waited_for() {
    for (line, key, text) in [
        ("pre_master = \"x\"", "pre_master", "absolute path"),
        ("pre_backup = []", "pre_backup", "is an empty command"),
        ("pre_master = \"/x\"\npre_timeout = \"11m\"", "pre_timeout", "100ms to 10m"),
    ] {
        let d = error(&instance(line));
        assert_eq!(d.key, format!("vrrp_instance \"a\": {key}"));
        assert!(contains(&d, text), "{d}");
    }
    let group = instance("") + "[[sync_group]]\nname = \"g\"\ngroup = [\"a\"]\npre_master = \"/x\"\n";
    assert_eq!(error(&group).message, "unknown key");
}

#[test]
fn the_activation_stands_in_one_file_only() {
    let one = source(&resource("systemd", UNIT));
    let two = source("[activation]\nvrrp_instance = \"a\"\n");
    let all = parse(&[one, two], &Options::default()).unwrap_err().0;
    assert_eq!(all.len(), 1, "{all:?}");
    assert!(all[0].message.contains("stands already at line 7"), "{}", all[0]);
    let list = resource("systemd", UNIT).replace("[activation]", "[[activation]]");
    assert!(contains(
        &only(&list.replace("[[resource]]", "[[resource]]\nrun_forever = true")),
        "write [activation]"
    ));
}

#[test]
fn every_mistake_of_a_pair_in_one_run() {
    let text = RESOURCES
        .replace("drbd_resource = \"r0\"", "drbd_resource = \"r 0\"")
        .replace("fsck = \"always\"", "fsck = \"allways\"")
        .replace("max_lag = \"16MiB\"", "max_lag = \"16 megs\"")
        .replace("unit = \"dbus@1.socket\"", "unit = \"dbus\"")
        .replace("members = [\"log\", \"once\"]", "members = [\"log\", \"ones\"]")
        .replace("min_free = \"5%\"", "min_fre = \"5%\"");
    let all = mistakes(&text);
    let keys: Vec<_> = all.iter().map(|d| d.key.as_str()).collect();
    assert!(all.iter().all(|d| d.severity == Severity::Error));
    assert_eq!(
        keys,
        [
            "resource \"data\": drbd_resource",
            "resource \"filesystem\": fsck",
            "resource \"database\": max_lag",
            "resource \"log\": unit",
            "resource \"log-room\": min_free",
            "resource \"log-room\": min_fre",
            "resource \"services\": members",
        ],
        "{all:#?}"
    );
}
