//! `[[resource]]` and `[activation]`: what a good file becomes.

use crate::helpers::{config, instance, loaded, only_instance, warning};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tandemd::config::*;
use tandemd::resource::{Name, Need, Plan, Restart, StopFailure};
use tandemd::vrrp::Handover;

pub(crate) const RESOURCES: &str = include_str!("resources.toml");

/// A resource `r` of a kind, on a node whose instance `a` activates it.
pub(crate) fn resource(kind: &str, lines: &str) -> String {
    instance("")
        + "[activation]\nvrrp_instance = \"a\"\n"
        + &format!("[[resource]]\nname = \"r\"\nkind = \"{kind}\"\n{lines}\n")
}

fn named(name: &str) -> Resource {
    let all = config(RESOURCES).resources;
    all.into_iter().find(|r| r.name == name).unwrap_or_else(|| panic!("no {name}"))
}

fn only(kind: &str, lines: &str) -> Resource {
    config(&resource(kind, lines)).resources.remove(0)
}

fn need(text: &str) -> Need {
    text.parse().unwrap()
}

fn command(words: &[&str]) -> ScriptCommand {
    let (program, args) = words.split_first().unwrap();
    ScriptCommand { program: program.into(), args: args.iter().map(|a| (*a).to_owned()).collect() }
}

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn a_drbd_resource() {
    let ResourceKind::Drbd(d) = named("data").kind else { panic!() };
    assert_eq!((d.drbd_resource.as_str(), d.wait_connect, d.force_demote), ("r0", seconds(20), true));
    assert_eq!(d.on_peer_lost, PeerLost::Refuse);

    let r = only("drbd", "drbd_resource = \"r0\"");
    let ResourceKind::Drbd(d) = &r.kind else { panic!() };
    assert_eq!((d.wait_connect, d.on_peer_lost, d.force_demote), (seconds(30), PeerLost::Promote, false));
    // Replication goes on while this node is standby, and the first promotion waits for the peer.
    assert!(r.run_forever && r.startup && r.critical && r.kind.is_promotable());
    assert_eq!((r.timeouts.promote, r.timeouts.demote), (seconds(90), seconds(60)));
    assert_eq!(r.monitor_interval, Some(seconds(5)));
    assert_eq!(r.restart, Restart { attempts: 3, window: seconds(600), delay: seconds(1) });
    assert_eq!((r.on_stop_failure, r.track.len()), (None, 0));
}

#[test]
fn a_filesystem() {
    let r = named("filesystem");
    assert_eq!(r.depend_on, [need("data:promoted")]);
    assert_eq!((r.timeouts.start, r.on_stop_failure), (seconds(300), Some(StopFailure::Block)));
    let ResourceKind::Filesystem(f) = r.kind else { panic!() };
    assert_eq!((f.device.as_str(), f.mount_point.as_path()), ("/dev/drbd0", Path::new("/opt/data")));
    assert_eq!((f.fstype.as_deref(), f.fsck, f.kill_holders), (Some("ext4"), Fsck::Always, false));
    assert_eq!(f.options[2], "context=\"system_u:object_r:tmp_t:s0:c127,c456\"", "commas in quotes stay");

    let r =
        only("filesystem", "device = \"UUID=1234-abcd\"\nmount_point = \"/srv\"\noptions = \"noatime,ro\"");
    let ResourceKind::Filesystem(f) = &r.kind else { panic!() };
    assert_eq!((f.fstype.as_deref(), f.fsck, f.kill_holders), (None, Fsck::Auto, true));
    assert_eq!(f.options, ["noatime", "ro"]);
    assert!(!r.run_forever && !r.kind.is_promotable());
    assert_eq!(r.monitor_interval, Some(seconds(10)));
}

#[test]
fn a_postgresql_server() {
    let r = named("database");
    assert_eq!((r.timeouts.promote, r.timeouts.demote), (seconds(120), seconds(180)));
    let ResourceKind::Postgresql(p) = r.kind else { panic!() };
    assert_eq!(p.data_directory, Path::new("/var/lib/postgresql/15/main"));
    assert_eq!(p.bin_directory.as_deref(), Some(Path::new("/usr/lib/postgresql/15/bin")));
    assert_eq!(p.config_file.as_deref(), Some(Path::new("/etc/postgresql/15/main/postgresql.conf")));
    assert_eq!((p.user.user.as_str(), p.user.group.as_deref()), ("postgres", Some("postgres")));
    assert_eq!((p.port, p.peer_port, p.peer.as_str()), (5433, 5434, "bravo.example.org"));
    assert_eq!(p.socket_directory, Path::new("/run/postgresql"));
    assert_eq!((p.replication_user.as_str(), p.rejoin), ("copy", Rejoin::Rewind));
    assert_eq!(
        (p.password_file.as_deref(), p.max_lag),
        (Some(Path::new("/etc/tandem/pgpass")), Some(16 << 20))
    );

    let r =
        only("postgresql", "data_directory = \"/srv/pg\"\npeer = \"fe80::1%eth0\"\nport = 5440\nmax_lag = 0");
    let ResourceKind::Postgresql(p) = &r.kind else { panic!() };
    assert_eq!((p.user.user.as_str(), p.replication_user.as_str()), ("postgres", "replicator"));
    assert_eq!((p.peer_port, p.rejoin, p.max_lag), (5440, Rejoin::RewindOrCopy, Some(0)));
    assert_eq!(p.socket_directory, Path::new("/var/run/postgresql"));
    assert!(r.run_forever && p.password_file.is_none() && p.bin_directory.is_none());
    assert_eq!(r.timeouts.start, seconds(300));
}

#[test]
fn a_unit() {
    let r = named("log");
    assert_eq!(r.depend_on, [need("filesystem"), need("database:promoted")]);
    assert!(!r.critical);
    let ResourceKind::Systemd(s) = r.kind else { panic!() };
    assert_eq!(s.unit, "dbus@1.socket");
    let r = only("systemd", "unit = \"postgresql.service\"");
    assert_eq!(
        (r.timeouts.start, r.timeouts.stop),
        (seconds(100), seconds(100)),
        "longer than systemd's own"
    );
}

#[test]
fn a_process_of_tandemds_own_and_commands() {
    let r = named("portal");
    assert_eq!(
        (r.monitor_interval, r.timeouts.monitor),
        (Some(Duration::from_millis(500)), Duration::from_millis(400))
    );
    assert_eq!(r.restart, Restart { attempts: 0, window: seconds(3600), delay: Duration::from_millis(2500) });
    let track = |instance: &str, weight| ResourceTrack { instance: instance.to_owned(), weight };
    assert_eq!(r.track, [track("kad", 0), track("lan", -20)]);
    assert!(!r.kind.is_promotable());
    let ResourceKind::Exec(e) = r.kind else { panic!() };
    let want = command(&["/opt/portal/bin/server", "--port", "8080"]);
    assert_eq!(e.run, ExecRun::Process { command: want, monitor: Some(command(&["/opt/portal/bin/check"])) });
    assert_eq!(e.user.unwrap().user, "portal");
    let pairs = [("DB_PASSWORD", "hunter2"), ("PORTAL_HOME", "/opt/portal")];
    assert_eq!(e.environment, BTreeMap::from(pairs.map(|(a, b)| (a.to_owned(), b.to_owned()))));

    let r = named("pair");
    assert!(r.kind.is_promotable() && r.run_forever && r.monitor_interval.is_some());
    let ResourceKind::Exec(e) = r.kind else { panic!() };
    let word = |w| command(&["/usr/local/sbin/pair", w]);
    let promote = Some(Box::new((word("promote"), word("demote"))));
    let (start, stop, monitor) = (word("start"), word("stop"), Some(word("monitor")));
    assert_eq!(e.run, ExecRun::Commands { start, stop, monitor, promote });
    assert_eq!((e.user, e.environment.len()), (None, 0));

    assert_eq!(named("once").monitor_interval, None, "nothing looks");
    let r = only("exec", "command = \"/bin/cat\"");
    assert_eq!(r.monitor_interval, Some(seconds(10)), "its own process is watched without `monitor` too");
}

#[test]
fn an_ocf_agent() {
    let ResourceKind::Ocf(o) = named("state").kind else { panic!() };
    assert_eq!(
        (o.provider.as_str(), o.agent.as_str(), o.promotable, o.check_level),
        ("heartbeat", "Stateful", true, 10)
    );
    let value = |name: &str| o.parameters.get(name).map(String::as_str);
    assert_eq!(
        (value("state"), value("retries"), value("verbose")),
        (Some("/run/state"), Some("3"), Some("true"))
    );
    let r = named("dummy");
    assert!(!r.startup && !r.kind.is_promotable());
    assert_eq!(r.monitor_interval, None, "0 is never");
}

#[test]
fn free_space() {
    let r = named("room");
    assert_eq!(r.restart.attempts, 0, "trying again makes no room");
    let ResourceKind::File(f) = r.kind else { panic!() };
    assert_eq!(f.path, Path::new("/"));
    assert_eq!((f.warn_free, f.min_free), (Some(Space::Bytes(5 << 30)), Some(Space::Bytes(1_500_000_000))));
    let ResourceKind::File(f) = named("log-room").kind else { panic!() };
    assert_eq!((f.warn_free, f.min_free), (None, Some(Space::Percent(5))));
}

#[test]
fn a_group() {
    let r = named("services");
    assert_eq!(r.depend_on, [need("state:promoted")]);
    assert_eq!(r.track, [ResourceTrack { instance: "lan".to_owned(), weight: 0 }]);
    let ResourceKind::Group(g) = r.kind else { panic!() };
    assert_eq!(g.members, ["log", "once"]);
}

#[test]
fn the_activation() {
    let a = config(RESOURCES).activation.unwrap();
    assert_eq!(a.vrrp_instance, ["kad", "lan"]);
    assert_eq!((a.addresses, a.on_stop_failure), (AddressOrder::Early, StopFailure::Reboot));
    assert_eq!(a.failure_timeout, Some(seconds(300)));
    let a = config(&resource("drbd", "drbd_resource = \"r0\"")).activation.unwrap();
    assert_eq!(
        (a.addresses, a.on_stop_failure, a.failure_timeout),
        (AddressOrder::Late, StopFailure::Block, None)
    );
    assert_eq!(config(&instance("")).activation, None);
}

#[test]
fn an_activating_instance_breaks_before_it_makes() {
    let text = resource("systemd", "unit = \"a.service\"");
    assert_eq!(config(&text).instances[0].router.handover, Handover::BreakBeforeMake);
    assert_eq!(only_instance(&instance("")).router.handover, Handover::MakeBeforeBreak);
    let with_script = only_instance(&instance("pre_backup = \"/x\""));
    assert_eq!(with_script.router.handover, Handover::BreakBeforeMake);
}

#[test]
fn instances_suffer_from_what_is_tied_to_them() {
    let config = config(RESOURCES);
    let tracks = |instance: &str| {
        let all = config.resource_tracks(instance);
        all.into_iter().map(|t| (t.name, t.weight)).collect::<Vec<_>>()
    };
    // Both activate, so all that is critical counts; `log` and `once` are of the group that tracks lan.
    let kad = tracks("kad");
    assert!(!kad.iter().any(|(name, _)| name == "log" || name == "services"), "{kad:?}");
    assert!(kad.contains(&("portal".to_owned(), 0)) && kad.contains(&("data".to_owned(), 0)), "{kad:?}");
    let lan = tracks("lan");
    assert!(lan.contains(&("log".to_owned(), 0)) && lan.contains(&("portal".to_owned(), -20)), "{lan:?}");
    assert!(!lan.iter().any(|(name, _)| name == "services"), "{lan:?}");
}

#[test]
fn scripts_that_are_waited_for() {
    let all = config(RESOURCES).instances;
    let n = &all[0].notify;
    assert_eq!(n.pre_master, Some(command(&["/usr/local/sbin/may-i-serve", "--quick"])));
    assert_eq!(n.pre_backup, Some(command(&["/usr/local/sbin/say-goodbye", "two words"])));
    assert_eq!(n.pre_timeout, seconds(45));
    assert_eq!((all[1].notify.pre_master.is_none(), all[1].notify.pre_timeout), (true, seconds(10)));
    let d = warning(&instance("pre_timeout = \"1s\""));
    assert!(d.message.contains("does nothing"), "{d}");
}

#[test]
fn what_is_master_elsewhere_is_promoted_here() {
    let text = resource("systemd", "unit = \"a.service\"\ndepend_on = [\"data:master\"]")
        + "[[resource]]\nname = \"data\"\nkind = \"drbd\"\ndrbd_resource = \"r0\"\n";
    let d = warning(&text);
    assert_eq!(d.key, "resource \"r\": depend_on");
    assert_eq!(d.help.as_deref(), Some("write \"data:promoted\""), "{d}");
    assert_eq!(loaded(&text).config.resources[0].depend_on, [need("data:promoted")]);
}

#[test]
fn the_core_takes_every_configuration_that_was_accepted() {
    let config = config(RESOURCES);
    let settings = config.resource_settings();
    assert_eq!((settings.resources.len(), settings.groups.len()), (11, 1));
    assert_eq!(settings.failure_timeout, Some(seconds(300)));
    let find = |name: &str| settings.resources.iter().find(|r| r.name.as_str() == name).unwrap();
    assert_eq!(find("data").stop_failure, StopFailure::Reboot, "of [activation]");
    assert_eq!(find("filesystem").stop_failure, StopFailure::Block, "its own");
    assert!(find("pair").promotable && find("pair").run_forever && !find("once").promotable);
    assert_eq!(find("dummy").monitor, None);
    assert_eq!(find("portal").monitor.unwrap().interval, Duration::from_millis(500));
    assert!(!find("log").critical && !find("dummy").startup);
    assert_eq!(settings.groups[0].members, [Name::from("log"), Name::from("once")]);
    assert_eq!(settings.groups[0].depend_on, [need("state:promoted")]);
    Plan::new(settings).unwrap();
}

#[test]
fn a_definition_is_the_kinds_own_settings_whole() {
    let definition = |kind, lines: &str| only(kind, lines).definition();
    let base = definition("ocf", "agent = \"a:b\"\nparameters = { password = \"x\" }");
    assert_eq!(
        base,
        "kind = ocf\nagent = \"a:b\"\nparameters = { password = \"x\" }\npromotable = false\ncheck_level = 0"
    );
    let same = "agent = \"ocf:a:b\"\nparameters = { password = 'x' }\nmonitor_interval = 1\ncritical = false";
    assert_eq!(definition("ocf", same), base, "how it is written and watched is no part of it");
    assert_ne!(definition("ocf", "agent = \"a:b\"\nparameters = { password = \"y\" }"), base);
}

#[test]
fn a_later_check_speaks_of_the_resources_place() {
    let loaded = loaded(&resource("ocf", "agent = \"heartbeat:Dummy\""));
    let d = loaded.about(Severity::Error, "r", "parameters: stat", "the agent has no such parameter\u{1b}");
    assert_eq!((d.line, d.column), (9, 1), "{d}");
    assert_eq!(d.key, "resource \"r\": parameters: stat");
    assert!(d.message.ends_with("\\u{1b}") && d.file == Path::new("test.toml"));
}

#[test]
fn what_looks_like_a_password_is_not_shown() {
    let written = effective_toml(&config(RESOURCES));
    assert!(!written.contains("hunter2"), "{written}");
    assert!(
        written.contains("passwd = \"********\"") && written.contains("DB_PASSWORD = \"********\""),
        "{written}"
    );
    assert!(written.contains("PORTAL_HOME = \"/opt/portal\""), "{written}");
}
