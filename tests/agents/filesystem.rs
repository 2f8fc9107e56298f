//! The filesystem agent on real loop devices, in mount namespaces of its own.

use crate::lab::{isolated, run, secs, try_run, wait_until};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tandemd::agents::filesystem::FilesystemAgent;
use tandemd::agents::{Agent, Context, Noticed, Report, Services};
use tandemd::config::{FilesystemResource, Fsck};
use tandemd::process::Activity;
use tandemd::resource::{Level, Name, Step, StepResult};
use tokio::sync::mpsc;

/// An ext4 file system of its own on a loop device, and an agent for it at /run/t/data.
struct Bench {
    device: String,
    events: mpsc::UnboundedReceiver<Report>,
    services: Services,
    runtime: tokio::runtime::Runtime,
}

const POINT: &str = "/run/t/data";

impl Bench {
    fn new() -> Self {
        std::fs::create_dir("/run/t").unwrap();
        let device = loop_device("/run/t/image");
        run(&format!("mkfs.ext4 -q {device}"));
        let (reports, events) = mpsc::unbounded_channel();
        let services = Services { run_dir: "/run/t".into(), state_dir: "/run/t".into(), reports };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Bench { device, events, services, runtime }
    }

    fn settings(&self) -> FilesystemResource {
        FilesystemResource {
            device: self.device.clone(),
            mount_point: POINT.into(),
            fstype: None,
            options: vec!["noatime".into()],
            fsck: Fsck::Auto,
            kill_holders: false,
        }
    }

    fn agent(&self, settings: FilesystemResource) -> FilesystemAgent {
        FilesystemAgent::new("data".into(), settings, self.services.clone())
    }

    fn step(&self, agent: &FilesystemAgent, step: Step, limit: Duration) -> StepResult {
        let level = if step == Step::Start { Level::Stopped } else { Level::Started };
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

    fn go(&self, agent: &FilesystemAgent, step: Step) -> StepResult {
        self.step(agent, step, secs(20))
    }

    fn find(&self, agent: &FilesystemAgent) -> Result<Level, String> {
        self.runtime.block_on(agent.find(&context(Level::Stopped, secs(20))))
    }

    /// What the agent told the operator since the last call.
    fn told(&mut self) -> String {
        let mut all = Vec::new();
        while let Ok(report) = self.events.try_recv() {
            if let Noticed::Event { text, .. } = report.what {
                all.push(text);
            }
        }
        all.join("\n")
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // All processes and mounts of the test end with its namespaces; the device would not. While it is mounted it is
        // only marked, and goes with the mount.
        let _ = try_run(&format!("losetup -d {}", self.device));
    }
}

pub(crate) fn loop_device(image: &str) -> String {
    run(&format!("truncate -s 16M {image}"));
    let out = try_run(&format!("losetup -f --show {image}"));
    assert!(
        out.status.success(),
        "these tests need loop devices, and so root of the machine and not only of a user namespace: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

fn context(level: Level, limit: Duration) -> Context {
    let (cancel, activity) = (Default::default(), Activity::default());
    Context { resource: Name::from("data"), level, limit, cancel, activity }
}

fn failure(result: StepResult) -> String {
    match result {
        StepResult::Failed(text) => text,
        other => panic!("did not fail: {other:?}"),
    }
}

fn is_mounted() -> bool {
    std::fs::read_to_string("/proc/self/mountinfo").unwrap().contains(POINT)
}

/// A process of the test, ended with it.
struct Holder(Child);

impl Holder {
    /// Runs a shell in a directory, and waits until the shell says `ready`.
    fn shell(directory: &str, text: &str) -> Self {
        let mut c = Command::new("sh");
        c.args(["-c", text]).current_dir(directory).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = c.spawn().unwrap();
        let mut word = [0; 6];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut word).unwrap();
        assert_eq!(&word, b"ready\n");
        Holder(child)
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    fn is_alive(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Some shared library.
fn a_library() -> String {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let path = maps.lines().find_map(|l| l.split_whitespace().last().filter(|p| p.contains("/libgcc_s")));
    path.expect("this program is linked to libgcc_s").to_owned()
}

const WAIT: &str = "echo ready; while :; do sleep 0.1; done";

#[test]
fn it_is_mounted_watched_and_unmounted_and_all_of_it_twice() {
    isolated("filesystem::it_is_mounted_watched_and_unmounted_and_all_of_it_twice", || {
        let mut b = Bench::new();
        let agent = b.agent(b.settings());
        assert_eq!(b.find(&agent), Ok(Level::Stopped));
        assert_eq!(failure(b.go(&agent, Step::Monitor)), "/run/t/data is not mounted");
        for _ in 0..2 {
            assert_eq!(b.go(&agent, Step::Start), StepResult::Done);
            assert!(run("mount").contains(&format!("{} on {POINT} type ext4 (rw,noatime", b.device)));
        }
        assert_eq!(b.told(), "made the mount point /run/t/data");
        assert_eq!(b.find(&b.agent(b.settings())), Ok(Level::Started));
        assert_eq!(b.go(&agent, Step::Monitor), StepResult::Done);
        let details = agent.details();
        let of = |name: &str| details.iter().find(|d| d.0 == name).unwrap().1.clone();
        assert_eq!((of("device"), of("type")), (b.device.clone(), "ext4".into()));
        assert!(of("free").ends_with("MiB") && of("used").contains("iB"), "{details:?}");
        for _ in 0..2 {
            assert_eq!(b.go(&agent, Step::Stop), StepResult::Done);
            assert!(!is_mounted());
        }
        assert!(failure(b.go(&agent, Step::Promote)).contains("cannot be promoted"));
    });
}

#[test]
fn a_device_is_found_by_its_uuid_and_its_label() {
    isolated("filesystem::a_device_is_found_by_its_uuid_and_its_label", || {
        let b = Bench::new();
        let label = format!("tandem-{}", b.device.trim_start_matches("/dev/"));
        run(&format!("e2label {} {label}", b.device));
        let uuid = run(&format!("blkid -p -s UUID -o value {}", b.device));
        let mut settings = b.settings();
        settings.device = format!("UUID={}", uuid.trim());
        let agent = b.agent(settings.clone());
        assert_eq!(b.go(&agent, Step::Start), StepResult::Done);
        assert_eq!(b.go(&agent, Step::Monitor), StepResult::Done);
        assert_eq!(b.go(&agent, Step::Stop), StepResult::Done);
        assert!(!is_mounted());
        settings.device = format!("LABEL={label}");
        let agent = b.agent(settings.clone());
        assert_eq!(b.go(&agent, Step::Start), StepResult::Done);
        assert_eq!(b.go(&agent, Step::Stop), StepResult::Done);
        settings.device = "UUID=00000000-1111-2222-3333-444444444444".into();
        let stranger = b.agent(settings);
        assert!(failure(b.go(&stranger, Step::Start)).starts_with("no device has UUID=0000"));
        assert_eq!(b.go(&stranger, Step::Stop), StepResult::Done, "nothing is mounted there");
    });
}

#[test]
fn a_damaged_file_system_is_mended_or_refused() {
    isolated("filesystem::a_damaged_file_system_is_mended_or_refused", || {
        let mut b = Bench::new();
        let agent = b.agent(b.settings());
        let debugfs = |what: &str| {
            let out = Command::new("debugfs").args(["-w", "-R", what, &b.device]).output().unwrap();
            assert!(out.status.success(), "{out:?}");
        };
        // Not cleanly unmounted, and a count that is wrong: mended without asking.
        debugfs("set_super_value free_inodes_count 7");
        debugfs("set_super_value state 0");
        assert_eq!(b.go(&agent, Step::Start), StepResult::Done);
        assert_eq!(b.go(&agent, Step::Stop), StepResult::Done);
        // The root directory is gone: nobody decides that without an operator.
        debugfs("clri <2>");
        debugfs("set_super_value state 2");
        let device = b.device.clone();
        let told = b.told();
        assert!(told.contains(&format!("fsck of {device}: errors were found and mended")), "{told}");
        let text = failure(b.go(&agent, Step::Start));
        assert!(text.contains(&format!("run fsck {device} by hand")), "{text}");
        assert!(!is_mounted());
        run(&format!("dd if=/dev/zero of={device} bs=64k count=2 status=none"));
        let text = failure(b.go(&agent, Step::Start));
        assert!(text.contains("holds no file system"), "{text}");
    });
}

#[test]
fn who_keeps_it_busy_is_named_and_left_alone() {
    isolated("filesystem::who_keeps_it_busy_is_named_and_left_alone", || {
        let b = Bench::new();
        let agent = b.agent(b.settings());
        assert_eq!(b.go(&agent, Step::Start), StepResult::Done);
        let inner = loop_device("/run/t/data/inner");
        let mut there = Holder::shell(POINT, WAIT);
        let mut file = Holder::shell("/", &format!("exec 7>{POINT}/log; {WAIT}"));
        std::fs::copy(a_library(), "/run/t/data/lib.so").unwrap();
        let preload = format!("echo ready; LD_PRELOAD={POINT}/lib.so exec sleep 1000");
        let mut mapped = Holder::shell("/", &preload);
        let maps = format!("/proc/{}/maps", mapped.pid());
        wait_until(secs(10), "the library is mapped", || {
            std::fs::read_to_string(&maps).is_ok_and(|t| t.contains("/run/t/data/lib.so"))
        });
        let mut other = Holder::shell("/run/t", WAIT);
        let text = failure(b.step(&agent, Step::Stop, secs(4)));
        run(&format!("losetup -d {inner}"));
        for part in [
            "/run/t/data is busy: held by ".to_owned(),
            format!("pid {} (sh: working directory /run/t/data)", there.pid()),
            format!("pid {} (sh: open file /run/t/data/log)", file.pid()),
            format!("pid {} (sleep: mapped file /run/t/data/lib.so)", mapped.pid()),
            format!("the kernel: {inner}, made of /run/t/data/inner (losetup -d {inner})"),
            "end them, or set kill_holders".to_owned(),
        ] {
            assert!(text.contains(&part), "{part}: {text}");
        }
        assert!(!text.contains(&format!("pid {} ", other.pid())), "{text}");
        assert!(is_mounted() && there.is_alive() && file.is_alive());
        assert!(mapped.is_alive() && other.is_alive());
        assert_eq!(b.go(&agent, Step::Monitor), StepResult::Done);
        drop((there, file, mapped));
        assert_eq!(b.go(&agent, Step::Stop), StepResult::Done);
    });
}

#[test]
fn holders_are_ended_if_that_is_wanted_and_nobody_else() {
    isolated("filesystem::holders_are_ended_if_that_is_wanted_and_nobody_else", || {
        let mut b = Bench::new();
        let agent = b.agent(FilesystemResource { kill_holders: true, ..b.settings() });
        assert_eq!(b.go(&agent, Step::Start), StepResult::Done);
        std::fs::copy("/bin/sleep", "/run/t/data/program").unwrap();
        let mut willing = Holder::shell(POINT, WAIT);
        let mut deaf = Holder::shell(POINT, &format!("trap '' TERM; {WAIT}"));
        let mut runs = Holder::shell("/", &format!("echo ready; exec {POINT}/program 1000"));
        // In a mount namespace of its own, on something else at the same path.
        let script = format!("mount -t tmpfs none {POINT}; cd {POINT}; {WAIT}");
        let mut alike = Holder::shell("/", &format!("exec unshare -m sh -c '{script}'"));
        let mut other = Holder::shell("/run/t", WAIT);
        let exe = format!("/proc/{}/exe", runs.pid());
        wait_until(secs(10), "the program runs", || {
            std::fs::read_link(&exe).is_ok_and(|p| p == Path::new("/run/t/data/program"))
        });
        b.told();
        // The copy of the mount in the other namespace is covered, not gone.
        let text = failure(b.step(&agent, Step::Stop, secs(20)));
        assert!(text.contains("still mounted in other mount namespaces"), "{text}");
        assert!(text.contains(&format!("on {POINT} for pid {} (sh)", alike.pid())), "{text}");
        assert!(!willing.is_alive() && !deaf.is_alive() && !runs.is_alive() && !is_mounted());
        assert!(alike.is_alive() && other.is_alive());
        let told = b.told();
        assert!(
            told.contains(&format!("/run/t/data is busy: SIGTERM to pid {} (sh)", willing.pid())),
            "{told}"
        );
        assert!(told.contains(&format!("SIGKILL to pid {} (sh)", deaf.pid())), "{told}");
        assert!(!told.contains(&format!("SIGKILL to pid {} ", willing.pid())), "{told}");
        assert!(!told.contains(&format!("pid {} ", other.pid())), "{told}");
        drop(alike);
        assert_eq!(b.go(&agent, Step::Stop), StepResult::Done);
    });
}

#[test]
fn what_is_no_mount_point_holds_nobody() {
    isolated("filesystem::what_is_no_mount_point_holds_nobody", || {
        let mut b = Bench::new();
        let agent = b.agent(FilesystemResource { kill_holders: true, ..b.settings() });
        std::fs::create_dir(POINT).unwrap();
        let mut inside = Holder::shell(POINT, WAIT);
        assert_eq!(b.go(&agent, Step::Stop), StepResult::Done);
        // And not if somebody else has mounted something there.
        run(&format!("mount -t tmpfs stranger {POINT}"));
        let mut guest = Holder::shell(POINT, WAIT);
        assert_eq!(b.go(&agent, Step::Stop), StepResult::Done);
        assert!(is_mounted() && inside.is_alive() && guest.is_alive());
        let text = failure(b.go(&agent, Step::Start));
        assert!(text.starts_with("on /run/t/data something else is mounted: stranger (tmpfs)"), "{text}");
        let text = failure(b.go(&agent, Step::Monitor));
        assert!(text.ends_with("is mounted but stranger (tmpfs)"), "{text}");
        assert_eq!(b.find(&agent), Ok(Level::Stopped));
        assert_eq!(b.told(), "");
    });
}

#[test]
fn a_device_that_is_mounted_elsewhere_is_not_mounted_twice() {
    isolated("filesystem::a_device_that_is_mounted_elsewhere_is_not_mounted_twice", || {
        let b = Bench::new();
        let agent = b.agent(b.settings());
        std::fs::create_dir("/run/t/old").unwrap();
        run(&format!("mount {} /run/t/old", b.device));
        let text = failure(b.go(&agent, Step::Start));
        assert!(text.starts_with(&format!("{} is mounted on /run/t/old already", b.device)), "{text}");
        let text = failure(b.step(&agent, Step::Stop, secs(2)));
        assert!(text.contains("still mounted on /run/t/old"), "{text}");
        run("umount /run/t/old");
        assert_eq!(b.go(&agent, Step::Stop), StepResult::Done);
    });
}

#[test]
fn mounts_below_are_named_and_not_touched() {
    isolated("filesystem::mounts_below_are_named_and_not_touched", || {
        let b = Bench::new();
        let agent = b.agent(FilesystemResource { kill_holders: true, ..b.settings() });
        assert_eq!(b.go(&agent, Step::Start), StepResult::Done);
        std::fs::create_dir("/run/t/data/inner dir").unwrap();
        let inner = Command::new("mount").args(["-t", "tmpfs", "none", "/run/t/data/inner dir"]).status();
        assert!(inner.unwrap().success());
        let text = failure(b.go(&agent, Step::Stop));
        assert!(text.ends_with("not this resource's to unmount: /run/t/data/inner dir"), "{text}");
        assert!(Command::new("umount").arg("/run/t/data/inner dir").status().unwrap().success());
        assert_eq!(b.go(&agent, Step::Stop), StepResult::Done);
    });
}

#[test]
fn a_file_system_that_became_read_only_has_failed() {
    isolated("filesystem::a_file_system_that_became_read_only_has_failed", || {
        let b = Bench::new();
        let agent = b.agent(b.settings());
        assert_eq!(b.go(&agent, Step::Start), StepResult::Done);
        run(&format!("mount -o remount,ro {POINT}"));
        for step in [Step::Monitor, Step::Start] {
            let text = failure(b.go(&agent, step));
            assert!(text.starts_with("/run/t/data is read-only and should be writable"), "{text}");
        }
        assert_eq!(b.go(&agent, Step::Stop), StepResult::Done);
        let read_only = b.agent(FilesystemResource { options: vec!["ro".into()], ..b.settings() });
        assert_eq!(b.go(&read_only, Step::Start), StepResult::Done);
        assert_eq!(b.go(&read_only, Step::Monitor), StepResult::Done);
        assert_eq!(b.go(&read_only, Step::Stop), StepResult::Done);
        // mount(8) mounts a write-protected device all the same, only without writing.
        run(&format!("blockdev --setro {}", b.device));
        let never = b.agent(FilesystemResource { fsck: Fsck::Never, ..b.settings() });
        let text = failure(b.go(&never, Step::Start));
        run(&format!("blockdev --setrw {}", b.device));
        assert!(text.contains("read-only"), "{text}");
        assert!(!is_mounted());
    });
}

#[test]
fn a_lazy_umount_is_not_the_end() {
    isolated("filesystem::a_lazy_umount_is_not_the_end", || {
        let b = Bench::new();
        let agent = b.agent(b.settings());
        assert_eq!(b.go(&agent, Step::Start), StepResult::Done);
        let holder = Holder::shell(POINT, WAIT);
        run(&format!("umount -l {POINT}"));
        assert!(!is_mounted());
        let text = failure(b.step(&agent, Step::Stop, secs(4)));
        assert!(text.contains("the kernel has not let go of it"), "{text}");
        drop(holder);
        assert_eq!(b.go(&agent, Step::Stop), StepResult::Done);
    });
}

#[test]
fn an_umount_that_hangs_ends_at_the_deadline_and_is_named_meanwhile() {
    isolated("filesystem::an_umount_that_hangs_ends_at_the_deadline_and_is_named_meanwhile", || {
        let b = Bench::new();
        let agent = b.agent(b.settings());
        assert_eq!(b.go(&agent, Step::Start), StepResult::Done);
        // In this mount namespace only, umount is a program that hangs and hears no SIGTERM.
        let umount = run("which umount").trim().to_owned();
        std::fs::write("/run/t/hangs", "#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 0.1; done\n").unwrap();
        run("chmod 755 /run/t/hangs");
        run(&format!("mount --bind /run/t/hangs {umount}"));
        let context = context(Level::Started, secs(1));
        let started = Instant::now();
        let (result, seen) = b.runtime.block_on(async {
            let (cancel, activity) = (context.cancel.clone(), context.activity.clone());
            let watcher = tokio::spawn(async move {
                tokio::time::sleep(secs(1)).await;
                let before = activity.processes();
                cancel.cancel();
                while activity.processes().iter().any(|p| p.signalled.is_none()) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                before
            });
            (agent.run(Step::Stop, &context).await, watcher.await.unwrap())
        });
        assert_eq!(result, StepResult::Cancelled);
        assert!(started.elapsed() < secs(10), "{:?}", started.elapsed());
        let [process] = seen.as_slice() else { panic!("{seen:?}") };
        assert_eq!(process.command, "umount /run/t/data");
        assert!(context.activity.processes().is_empty());
        assert!(!PathBuf::from(format!("/proc/{}", process.pid)).exists(), "it is gone");
        assert!(is_mounted());
    });
}

#[test]
fn what_has_no_device_is_mounted_too() {
    isolated("filesystem::what_has_no_device_is_mounted_too", || {
        let b = Bench::new();
        std::fs::create_dir_all("/run/t/source/deep").unwrap();
        let bind = b.agent(FilesystemResource {
            device: "/run/t/source".into(),
            options: vec!["bind".into()],
            ..b.settings()
        });
        let tmpfs = b.agent(FilesystemResource {
            device: "scratch".into(),
            fstype: Some("tmpfs".into()),
            options: vec!["size=1m".into()],
            ..b.settings()
        });
        for (agent, other, fstype) in [(&bind, &tmpfs, "tmpfs"), (&tmpfs, &bind, "tmpfs")] {
            assert_eq!(b.go(agent, Step::Start), StepResult::Done);
            assert_eq!(b.go(agent, Step::Monitor), StepResult::Done);
            assert!(agent.details().contains(&("type".to_owned(), fstype.to_owned())));
            assert!(failure(b.go(other, Step::Start)).contains("something else is mounted"));
            assert_eq!(b.go(agent, Step::Stop), StepResult::Done);
            assert!(!is_mounted());
        }
    });
}

#[test]
fn an_image_file_is_mounted_through_a_loop_device() {
    isolated("filesystem::an_image_file_is_mounted_through_a_loop_device", || {
        let b = Bench::new();
        run("cp /run/t/image /run/t/second");
        let image = FilesystemResource { device: "/run/t/second".into(), ..b.settings() };
        let agent = b.agent(image.clone());
        for _ in 0..2 {
            assert_eq!(b.go(&agent, Step::Start), StepResult::Done);
        }
        let elsewhere = b.agent(FilesystemResource { mount_point: "/run/t/two".into(), ..image });
        let text = failure(b.go(&elsewhere, Step::Start));
        assert!(text.starts_with("/run/t/second is mounted on /run/t/data already"), "{text}");
        assert_eq!(b.go(&agent, Step::Stop), StepResult::Done);
        assert!(!is_mounted());
    });
}
