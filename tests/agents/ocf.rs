//! OCF resource agents: Debian's own, and small ones that show what they are told.

use crate::filesystem::loop_device;
use crate::lab::{isolated, run, secs, try_run, wait_until};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use tandemd::agents::ocf::{OcfAgent, check};
use tandemd::agents::{Agent, Context, Noticed, Report, Services};
use tandemd::config::OcfResource;
use tandemd::process::Activity;
use tandemd::resource::{Level, Name, Step, StepResult, Timeouts};
use tokio::sync::mpsc;

struct Bench {
    services: Services,
    events: mpsc::UnboundedReceiver<Report>,
    runtime: tokio::runtime::Runtime,
}

impl Bench {
    fn new() -> Self {
        std::fs::create_dir("/run/t").unwrap();
        let (reports, events) = mpsc::unbounded_channel();
        let services = Services { run_dir: "/run/t".into(), state_dir: "/run/t".into(), reports };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Bench { services, events, runtime }
    }

    fn agent(&self, settings: OcfResource) -> OcfAgent {
        OcfAgent::new("web".into(), settings, self.services.clone()).every(Some(secs(7)))
    }

    fn step(&self, agent: &OcfAgent, step: Step, level: Level, limit: Duration) -> StepResult {
        let context = context(level, limit);
        self.runtime.block_on(async {
            let cancel = context.cancel.clone();
            tokio::spawn(async move {
                tokio::time::sleep(limit).await;
                cancel.cancel();
            });
            agent.run(step, &context).await
        })
    }

    fn go(&self, agent: &OcfAgent, step: Step) -> StepResult {
        self.step(agent, step, Level::Started, secs(40))
    }

    fn monitor(&self, agent: &OcfAgent, level: Level) -> StepResult {
        self.step(agent, Step::Monitor, level, secs(40))
    }

    fn find(&self, agent: &OcfAgent) -> Result<Level, String> {
        self.runtime.block_on(agent.find(&context(Level::Stopped, secs(40))))
    }

    fn check(&self, settings: &OcfResource) -> Result<Vec<String>, Vec<String>> {
        self.runtime.block_on(check(settings, &Timeouts::default()))
    }

    fn told(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.events.try_recv().ok())
            .filter_map(|r| match r.what {
                Noticed::Event { text, .. } => Some(text),
                Noticed::Look => None,
            })
            .collect()
    }

    /// An agent of our own, as `ocf:linbit:NAME` of this mount namespace.
    fn write_agent(&self, name: &str, text: &str) -> OcfAgent {
        const DIR: &str = "/usr/lib/ocf/resource.d/linbit";
        if !run("mount").contains(DIR) {
            run(&format!("mount -t tmpfs none {DIR}"));
            run(&format!("chmod 755 {DIR}"));
        }
        let path = Path::new(DIR).join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
        self.agent(OcfResource { provider: "linbit".into(), ..ocf(name, &[]) })
    }
}

fn context(level: Level, limit: Duration) -> Context {
    let (cancel, activity) = (Default::default(), Activity::default());
    Context { resource: Name::from("web"), level, limit, cancel, activity }
}

fn ocf(agent: &str, parameters: &[(&str, &str)]) -> OcfResource {
    OcfResource {
        provider: "heartbeat".into(),
        agent: agent.into(),
        parameters: parameters.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
        promotable: false,
        check_level: 0,
    }
}

fn failure(result: StepResult) -> String {
    match result {
        StepResult::Failed(text) => text,
        other => panic!("did not fail: {other:?}"),
    }
}

/// Everything that any agent does: up, seen, down, each of it twice.
fn up_and_down(b: &Bench, agent: &OcfAgent, while_up: impl Fn()) {
    assert_eq!(b.find(agent), Ok(Level::Stopped));
    for _ in 0..2 {
        assert_eq!(b.go(agent, Step::Start), StepResult::Done);
    }
    assert_eq!(b.find(agent), Ok(Level::Started));
    assert_eq!(b.monitor(agent, Level::Started), StepResult::Done);
    while_up();
    for _ in 0..2 {
        assert_eq!(b.go(agent, Step::Stop), StepResult::Done);
    }
    assert_eq!(b.find(agent), Ok(Level::Stopped));
    let text = failure(b.monitor(agent, Level::Started));
    assert!(text.starts_with("should be started and is stopped"), "{text}");
}

#[test]
fn dummy_goes_up_and_down() {
    isolated("ocf::dummy_goes_up_and_down", || {
        let b = Bench::new();
        let settings = ocf("Dummy", &[("state", "/run/t/dummy")]);
        assert_eq!(b.check(&settings), Ok(vec![]));
        up_and_down(&b, &b.agent(settings), || assert!(Path::new("/run/t/dummy").exists()));
        // Its directory for such files was not there in this namespace.
        let mode = std::fs::metadata("/run/resource-agents").unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o1755);
    });
}

#[test]
fn a_filesystem_goes_up_and_down() {
    isolated("ocf::a_filesystem_goes_up_and_down", || {
        let b = Bench::new();
        if !try_run("which modprobe").status.success() {
            // The agent wants one, and in a container there may be none.
            run("mount -t tmpfs none /usr/local/sbin");
            std::os::unix::fs::symlink("/bin/true", "/usr/local/sbin/modprobe").unwrap();
        }
        let device = loop_device("/run/t/image");
        run(&format!("mkfs.ext4 -q {device}"));
        let parameters = [("device", device.as_str()), ("directory", "/run/t/data"), ("fstype", "ext4")];
        std::fs::create_dir("/run/t/data").unwrap();
        let settings = ocf("Filesystem", &parameters);
        let checked = b.check(&settings);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            up_and_down(&b, &b.agent(settings), || {
                assert!(run("mount").contains(&format!("{device} on /run/t/data type ext4")));
            });
        }));
        let _ = try_run(&format!("losetup -d {device}"));
        if let Err(e) = result {
            std::panic::resume_unwind(e);
        }
        // The default of monitor_timeout is 20 s.
        assert_eq!(checked, Ok(vec!["monitor_timeout is 20s, and the agent advises 40s at least".into()]));
        let wrong = b.check(&ocf("Filesystem", &[("device", "/dev/x"), ("directorie", "/x")])).unwrap_err();
        assert!(
            wrong.contains(&"it has no parameter directorie; did you mean directory?".into()),
            "{wrong:?}"
        );
        assert!(wrong.contains(&"its parameter fstype is required".into()), "{wrong:?}");
        assert!(wrong.contains(&"its parameter directory is required".into()), "{wrong:?}");
    });
}

#[test]
fn stateful_is_promoted_and_demoted() {
    isolated("ocf::stateful_is_promoted_and_demoted", || {
        let b = Bench::new();
        let settings = OcfResource { promotable: true, ..ocf("Stateful", &[("state", "/run/t/state")]) };
        assert_eq!(b.check(&settings), Ok(vec![]));
        let agent = b.agent(settings.clone());
        up_and_down(&b, &agent, || {
            for _ in 0..2 {
                assert_eq!(b.go(&agent, Step::Promote), StepResult::Done);
                assert_eq!(b.find(&agent), Ok(Level::Promoted));
            }
            assert_eq!(b.monitor(&agent, Level::Promoted), StepResult::Done);
            let text = failure(b.monitor(&agent, Level::Started));
            assert!(text.starts_with("should be started and is promoted"), "{text}");
            for _ in 0..2 {
                assert_eq!(b.go(&agent, Step::Demote), StepResult::Done);
                assert_eq!(b.find(&agent), Ok(Level::Started));
            }
        });
        // What is promoted is demoted on its way: the agent itself would refuse.
        assert_eq!(b.go(&agent, Step::Start), StepResult::Done);
        assert_eq!(b.go(&agent, Step::Promote), StepResult::Done);
        assert_eq!(b.go(&agent, Step::Start), StepResult::Done);
        assert_eq!(b.find(&agent), Ok(Level::Started));
        assert_eq!(b.go(&agent, Step::Promote), StepResult::Done);
        assert_eq!(b.go(&agent, Step::Stop), StepResult::Done);
        assert_eq!(b.find(&agent), Ok(Level::Stopped));
        // What is not running has given way already; it cannot be promoted.
        assert_eq!(b.go(&agent, Step::Demote), StepResult::Done);
        assert!(failure(b.go(&agent, Step::Promote)).contains("not running (exit status 7)"));
        let dummy = OcfResource { agent: "Dummy".into(), ..settings };
        let wrong = b.check(&dummy).unwrap_err();
        assert!(wrong.contains(&"it has no action promote, so it cannot be promotable".into()), "{wrong:?}");
    });
}

#[test]
fn nginx_serves_between_start_and_stop() {
    isolated("ocf::nginx_serves_between_start_and_stop", || {
        let b = Bench::new();
        be_init();
        run("ip link set lo up");
        run("ip addr add 192.0.2.80/32 dev lo");
        std::fs::create_dir("/run/t/html").unwrap();
        std::fs::write("/run/t/html/index.html", "it is here").unwrap();
        run("chmod 755 /run/t /run/t/html");
        let config = "pid /run/t/nginx.pid;\nerror_log /run/t/error.log;\nworker_processes 1;\n\
             events {}\nhttp {\naccess_log off;\nclient_body_temp_path /run/t/1;\nproxy_temp_path /run/t/2;\n\
             fastcgi_temp_path /run/t/3;\nuwsgi_temp_path /run/t/4;\nscgi_temp_path /run/t/5;\n\
             server {\nlisten 192.0.2.80:8080;\nroot /run/t/html;\n\
             location /nginx_status {\nstub_status on;\n}\n}\n}\n";
        std::fs::write("/run/t/nginx.conf", config).unwrap();
        // Level 10 reads the status page.
        let settings =
            OcfResource { check_level: 10, ..ocf("nginx", &[("configfile", "/run/t/nginx.conf")]) };
        // 30 s are advised for a monitor, 20 s are the default.
        let warnings = b.check(&settings).unwrap();
        assert_eq!(warnings, ["monitor_timeout is 20s, and the agent advises 30s at least"]);
        let agent = b.agent(settings);
        up_and_down(&b, &agent, || assert!(page().unwrap().contains("it is here")));
        assert!(page().is_err());
        // What it misses may be on the other node, so it is no error.
        let missing = b.check(&ocf("nginx", &[("configfile", "/run/t/none.conf")])).unwrap();
        assert!(missing.iter().any(|w| w.starts_with("validate-all: ")), "{missing:?}");
        // A crash is seen.
        assert_eq!(b.go(&agent, Step::Start), StepResult::Done);
        let pid = std::fs::read_to_string("/run/t/nginx.pid").unwrap();
        run(&format!("kill -9 {}", pid.trim()));
        wait_until(secs(10), "the crash is seen", || b.monitor(&agent, Level::Started) != StepResult::Done);
        assert_eq!(b.go(&agent, Step::Stop), StepResult::Done);
    });
}

/// Process 1 of this namespace is the test. As any init it has to reap the daemons that come to it, or nginx's agent waits
/// for them in vain; what the test itself started (all in its session) is not its business.
fn be_init() {
    use nix::sys::wait::{WaitPidFlag, waitpid};
    use nix::unistd::{Pid, getsid};
    let session = getsid(None).unwrap().as_raw();
    std::thread::spawn(move || {
        loop {
            for entry in std::fs::read_dir("/proc").unwrap().flatten() {
                let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
                let Some((_, fields)) = stat.rsplit_once(") ") else { continue };
                let fields: Vec<&str> = fields.split(' ').collect();
                if fields[..2] == ["Z", "1"] && fields[3] != session.to_string() {
                    let pid = entry.file_name().to_str().unwrap().parse().unwrap();
                    let _ = waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG));
                }
            }
            crate::lab::sleep(20);
        }
    });
}

fn page() -> std::io::Result<String> {
    let mut stream = std::net::TcpStream::connect("192.0.2.80:8080")?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

#[test]
fn agents_that_need_pacemaker_are_refused_with_the_reason() {
    isolated("ocf::agents_that_need_pacemaker_are_refused_with_the_reason", || {
        let b = Bench::new();
        for (name, command) in [
            ("pgsql", "crm_resource"),
            ("galera", "crm_mon_no_validation"),
            ("mariadb", "attrd_updater"),
            ("mysql", "crm_attribute"),
            ("redis", "crm_attribute"),
            ("ClusterMon", "crm_mon"),
            ("rabbitmq-cluster", "cibadmin"),
            ("SysInfo", "attrd_updater"),
            ("sg_persist", "crm_node"),
        ] {
            let errors = b.check(&ocf(name, &[])).unwrap_err();
            let [text] = errors.as_slice() else { panic!("{name}: {errors:?}") };
            let start = format!("/usr/lib/ocf/resource.d/heartbeat/{name} works only with Pacemaker, ");
            assert!(text.starts_with(&start) && text.contains(command), "{name}: {text}");
            // At run time too, if nobody checked.
            let agent = b.agent(ocf(name, &[]));
            assert!(failure(b.go(&agent, Step::Start)).contains("works only with Pacemaker"));
        }
        // These only speak of such commands, or set a score that nobody here needs.
        for name in ["IPaddr2", "apache", "exportfs", "LVM-activate", "SAPDatabase", "pingd", "conntrackd"] {
            let text = format!("{:?}", b.check(&ocf(name, &[])));
            assert!(!text.contains("Pacemaker"), "{name}: {text}");
        }
        let errors = b.check(&ocf("Dumy", &[])).unwrap_err();
        let start = "there is no agent /usr/lib/ocf/resource.d/heartbeat/Dumy; did you mean heartbeat:Dummy";
        assert!(errors[0].starts_with(start), "{errors:?}");
    });
}

#[test]
fn an_agent_is_told_what_it_may_expect() {
    isolated("ocf::an_agent_is_told_what_it_may_expect", || {
        let mut b = Bench::new();
        let agent = b.write_agent(
            "Tell",
            "env | sort > /run/t/env.$1; which crm_'attribute' >> /run/t/env.$1\nexit 0",
        );
        assert_eq!(b.go(&agent, Step::Start), StepResult::Done);
        let told = std::fs::read_to_string("/run/t/env.start").unwrap();
        for line in [
            "OCF_RESOURCE_INSTANCE=web",
            "OCF_RESOURCE_TYPE=Tell",
            "OCF_RESOURCE_PROVIDER=linbit",
            "OCF_RESKEY_CRM_meta_timeout=40000",
        ] {
            assert!(told.lines().any(|l| l == line), "{line}: {told}");
        }
        assert!(!told.contains("HA_SBIN_DIR"), "{told}");
        let interval = |agent: &OcfAgent, probe: bool| {
            if probe {
                assert_eq!(b.find(agent), Ok(Level::Started));
            } else {
                assert_eq!(b.monitor(agent, Level::Started), StepResult::Done);
            }
            std::fs::read_to_string("/run/t/env.monitor").unwrap()
        };
        assert!(interval(&agent, true).contains("CRM_meta_interval=0\n"));
        assert!(interval(&agent, false).contains("CRM_meta_interval=7000\n"));
        // One that sets a score gets a stand-in for the tool, wherever it looks.
        let text = "which crm_'attribute' > /run/t/which; . /usr/lib/ocf/lib/heartbeat/ocf-shellfuncs
            ocf_promotion_score -v 5 || exit 1
            echo $HA_SBIN_DIR >> /run/t/which";
        let agent = b.write_agent("Score", text);
        assert_eq!(b.go(&agent, Step::Start), StepResult::Done);
        assert_eq!(
            std::fs::read_to_string("/run/t/which").unwrap(),
            "/run/t/ocf/crm_attribute\n/run/t/ocf\n"
        );
        let agent = b.write_agent("Proud", "exit 8");
        assert_eq!(b.find(&agent), Err("it is promoted, but promotable is not set".into()));
        // The reason is the agent's own.
        let text = "echo log >&2; echo ocf-exit-reason:no disk >&2; echo more >&2; exit 5";
        let agent = b.write_agent("Fail", text);
        let why = "something that it needs is not installed (exit status 5): no disk";
        assert_eq!(failure(b.go(&agent, Step::Start)), format!("start: {why}"));
        assert_eq!(b.find(&agent), Err(format!("monitor: {why}")));
        // Degraded is told once, and again after it was well.
        let agent = b.write_agent(
            "Tired",
            "echo ocf-exit-reason:one of two >&2; cat /run/t/rc >&2; exit $(cat /run/t/rc)",
        );
        let degraded = "monitor: running, but degraded (exit status 190): one of two";
        for (status, events) in [(190, 1), (190, 0), (0, 0), (190, 1)] {
            std::fs::write("/run/t/rc", format!("{status}\n")).unwrap();
            assert_eq!(b.monitor(&agent, Level::Started), StepResult::Done);
            assert_eq!(b.told(), vec![degraded; events]);
        }
        assert!(agent.details().contains(&("state".into(), degraded.into())));
    });
}

#[test]
fn an_agent_that_hangs_is_ended_with_all_it_started() {
    isolated("ocf::an_agent_that_hangs_is_ended_with_all_it_started", || {
        let b = Bench::new();
        let text = "trap '' TERM; sh -c 'trap \"\" TERM; echo $$ > /run/t/pid; while :; do sleep 0.1; done' & wait; wait";
        let agent = b.write_agent("Hang", text);
        assert_eq!(b.step(&agent, Step::Start, Level::Stopped, secs(1)), StepResult::Cancelled);
        let pid = std::fs::read_to_string("/run/t/pid").unwrap();
        wait_until(secs(10), "its child is gone", || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
            stat.map_or(true, |s| s.contains(") Z "))
        });
    });
}

#[test]
fn config_check_asks_the_agents() {
    isolated("ocf::config_check_asks_the_agents", || {
        std::fs::create_dir("/run/t").unwrap();
        let check = |resource: &str| {
            let text = format!(
                "[node]\nname = \"a\"\n\n[[resource]]\nname = \"web\"\nkind = \"ocf\"\nrun_forever = true\n{resource}\n"
            );
            std::fs::write("/run/t/tandem.toml", text).unwrap();
            let out =
                try_run(&format!("{} config check /run/t/tandem.toml", env!("CARGO_BIN_EXE_tandemadm")));
            (out.status.code(), String::from_utf8_lossy(&out.stderr).replace("\n    ", " "))
        };
        assert_eq!(check("agent = \"heartbeat:Dummy\""), (Some(0), String::new()));
        let (code, text) = check("agent = \"heartbeat:Delay\"");
        assert!(
            code == Some(0) && text.contains("warning: resource \"web\": agent: monitor_timeout is"),
            "{text}"
        );
        let (code, text) = check("agent = \"heartbeat:Dummy\"\nparameters = { stat = \"/x\" }");
        let want = "/run/t/tandem.toml:4:1: error: resource \"web\": agent: it has no parameter stat";
        assert!(code == Some(78) && text.contains(want), "{code:?} {text}");
        let (code, text) = check("agent = \"heartbeat:pgsql\"");
        assert!(code == Some(78) && text.contains("works only with Pacemaker"), "{text}");
    });
}
