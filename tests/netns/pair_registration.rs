//! Two nodes become a pair, or fail to; a new machine takes the place of a dead one; a primary that nobody knows.

use crate::lab::capture::Capture;
use crate::lab::daemon::Tandemd;
use crate::lab::{VIP, isolated, secs, try_run, wait_until};
use crate::pair_faults::Moves;
use crate::pair_lab::{Pair, pair, state};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// A client on node c that asks for the virtual address all the time.
struct Prober(Child);

impl Prober {
    fn start() -> Self {
        let ping = Command::new("ip")
            .args(["netns", "exec", "c", "ping", "-n", "-q", "-i", "0.02", VIP])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        Prober(ping.expect("ping (iputils-ping) is needed"))
    }

    /// Ends it; so many questions were asked, and so many had no answer.
    fn asked_and_lost(mut self) -> (i64, i64) {
        kill(Pid::from_raw(i32::try_from(self.0.id()).unwrap()), Signal::SIGINT).unwrap();
        let mut text = String::new();
        self.0.stdout.as_mut().unwrap().read_to_string(&mut text).unwrap();
        self.0.wait().unwrap();
        let number = |what: &str| -> i64 {
            let before = text.split(what).next().unwrap().trim_end();
            before.rsplit([' ', '\n']).next().unwrap().parse().unwrap_or_else(|_| panic!("{text}"))
        };
        let asked = number(" packets transmitted");
        (asked, asked - number(" received"))
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn key(p: &Pair, node: &str) -> String {
    p.lab.path(&format!("{node}.key")).display().to_string()
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn status(node: &Tandemd) -> String {
    words(&node.adm_text("ha status"))
}

fn events(node: &Tandemd) -> String {
    words(&node.adm_text("ha history --json --limit 100"))
}

fn pins(node: &Tandemd) -> Value {
    serde_json::from_slice(&node.adm("ha tofu list --json").stdout).expect("JSON")
}

/// Nothing of what the machine knew is left.
fn wipe(p: &Pair, node: &str) {
    std::fs::remove_dir_all(p.lab.path(&format!("{node}.d"))).unwrap();
    let _ = std::fs::remove_file(p.lab.path(&format!("{node}.up")));
    try_run(&format!("ip -n {node} addr del {VIP}/24 dev eth0"));
}

/// Both are whole, and the primary dies for good: the secondary serves.
fn primary_dies(p: &Pair) -> Tandemd {
    let (mut a, b) = p.registered();
    p.part();
    p.wait("b serves", || state(&b) == "secondary_active" && p.lab.has("b", VIP));
    a.process.kill9();
    drop(a);
    wipe(p, "a");
    p.rejoin();
    b
}

#[test]
fn a_new_machine_takes_the_place_of_the_dead_primary() {
    isolated("pair_registration::a_new_machine_takes_the_place_of_the_dead_primary", || {
        let p = Pair::new("");
        let b = primary_dies(&p);
        let prober = Prober::start();
        let capture = Capture::start("c");
        let old = pins(&b)["pins"][0]["fingerprint"].clone();

        // It hears that somebody serves, and says so above all else.
        let a = p.start("a");
        p.wait("a holds", || status(&a).contains("! another node advertises kad"));
        let text = a.adm_text("ha status");
        assert!(text.lines().nth(1).is_some_and(|l| l.contains("another node advertises kad")), "{text}");
        assert!(words(&a.adm_text("status")).contains("another node advertises kad"));

        let asked = b.adm(&format!("ha authkey {} --replace", key(&p, "b")));
        assert_eq!(asked.status.code(), Some(64), "nobody is there to be asked");
        let text = b.adm_text(&format!("ha authkey {} --replace --yes", key(&p, "b")));
        assert!(text.contains("in the place of the dead one"), "{text}");
        assert!(status(&b).contains("registration open for a new node in the place of"), "{}", status(&b));
        assert_eq!(pins(&b)["pins"][0]["fingerprint"], old);

        let done = a.adm(&format!("ha register --authkey-file {}", key(&p, "a")));
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(done.status.success(), "{text}\n{}", p.told());
        assert!(
            text.contains("100 % post-registration: Primary Syncing here, Secondary Active there"),
            "{text}"
        );
        p.wait_states(&a, "primary_syncing", &b, "secondary_active");
        assert_eq!(pins(&b)["pins"][0]["fingerprint"], pins(&a)["own"]);
        assert_eq!(pins(&b)["pins"].as_array().map(Vec::len), Some(1));
        p.wait("it learns the generation", || {
            let of = |node: &Tandemd| pair(node)["status"]["saved"]["latest"].as_u64();
            of(&a) == of(&b) && of(&a) > Some(0)
        });
        assert!(!p.steps().contains(&"b stop".to_owned()), "{:?}", p.steps());
        let (asked, lost) = prober.asked_and_lost();
        // The last question may be without its answer yet.
        assert!(asked > 2 && lost <= 1, "{lost} of {asked}\n{}", p.told());
        assert!(capture.stop().adverts_from("192.0.2.1").is_empty(), "{}", p.told());
        let before = p.steps().len();

        assert!(a.adm("ha failback").status.success());
        p.wait_states(&a, "primary_active", &b, "secondary_syncing");
        p.lab.wait_holder("a", VIP, secs(10));
        assert_eq!(p.steps()[before..], ["b stop", "a start"]);
    });
}

#[test]
fn a_new_machine_takes_the_place_of_the_dead_secondary() {
    isolated("pair_registration::a_new_machine_takes_the_place_of_the_dead_secondary", || {
        let p = Pair::new("");
        let (a, mut b) = p.registered();
        let refused = a.adm_text(&format!("ha authkey {} --replace --yes", key(&p, "a")));
        assert!(refused.contains("the other node is alive, it was heard"), "{refused}");
        let refused = a.adm_text(&format!("ha authkey {}", key(&p, "a")));
        assert!(refused.contains("registered with b already") && refused.contains("--replace"), "{refused}");
        b.process.kill9();
        drop(b);
        wipe(&p, "b");
        p.wait("a is alone", || state(&a) == "primary_lost_secondary");
        let prober = Prober::start();
        p.wait("b is dead", || {
            a.adm(&format!("ha authkey {} --replace --yes", key(&p, "a"))).status.success()
        });
        let b = p.start("b");
        let done = b.adm(&format!("ha register --authkey-file {} --json", key(&p, "b")));
        let end: Value = serde_json::from_slice(&done.stdout).expect("one object");
        assert_eq!(
            (&end["ok"], &end["whole"], &end["percent"]),
            (&true.into(), &true.into(), &100.into()),
            "{end}"
        );
        assert_eq!(
            (&end["state"], &end["peer_state"]),
            (&"secondary_syncing".into(), &"primary_active".into())
        );
        assert!(String::from_utf8_lossy(&done.stderr).contains("  5 % pre-registration"), "for people");
        p.wait_states(&a, "primary_active", &b, "secondary_syncing");
        let (asked, lost) = prober.asked_and_lost();
        assert!(asked > 2 && lost <= 1, "{lost} of {asked}\n{}", p.told());
        assert_eq!(p.steps(), ["a start"]);
        assert!(b.adm("ha failover").status.success());
        p.wait_states(&a, "primary_syncing", &b, "secondary_active");
    });
}

/// Withdrawn, or taken back as the dead one is not dead.
#[test]
fn a_place_that_nobody_took_is_still_that_of_the_old_node() {
    isolated("pair_registration::a_place_that_nobody_took_is_still_that_of_the_old_node", || {
        let p = Pair::new("");
        let (a, b) = p.registered();
        let open = |node: &Tandemd| pair(node)["offer"]["replaces"].clone();
        p.part();
        p.wait("b serves", || state(&b) == "secondary_active");
        let offer = format!("ha authkey {} --replace --yes", key(&p, "b"));
        assert!(b.adm(&offer).status.success());
        assert_eq!(open(&b), true);
        assert!(b.adm("ha authkey --withdraw").status.success());
        assert_eq!(open(&b), Value::Null);
        assert_eq!(b.adm("ha authkey --withdraw").status.code(), Some(1), "once is enough");
        assert!(b.adm(&offer).status.success());
        p.rejoin();
        p.wait_states(&a, "primary_syncing", &b, "secondary_active");
        assert_eq!(open(&b), Value::Null);
        assert!(events(&b).contains("the other node is alive (it"), "{}", events(&b));
        assert_eq!(pins(&b)["pins"][0]["fingerprint"], pins(&a)["own"]);
    });
}

/// For a node without resources.
const PRIMARY: &str =
    "[[pair]]\nname = \"esc\"\nrole = \"primary\"\npeer = \"192.0.2.2\"\nvrrp_instance = [\"kad\"]\n";

/// The service of the lab on another node, without a pair.
fn router(node: &str) -> String {
    format!(
        "[node]\nname = \"{node}\"\n[[vrrp_instance]]\nname = \"kad\"\ninterface = \"eth0\"\nvirtual_router_id = 51\n\
         priority = 100\nvirtual_ipaddress = [\"{VIP}/24\"]\n"
    )
}

#[test]
fn a_primary_that_is_not_registered_does_not_serve_beside_another_node() {
    isolated(
        "pair_registration::a_primary_that_is_not_registered_does_not_serve_beside_another_node",
        || {
            let p = Pair::new("");
            let mut other = Tandemd::start(&p.lab, "b", &router("b"));
            p.lab.wait_holder("b", VIP, secs(10));
            let capture = Capture::start("c");
            let a = p.start("a");
            p.wait("a holds", || status(&a).contains("another node advertises kad"));
            let refused = a.adm_text("ha failover");
            assert!(refused.contains("not registered"), "without --force: {refused}");
            assert!(!a.adm("ha switchover").status.success());
            assert_eq!(p.lab.holders(VIP), ["b"]);
            assert!(p.steps().is_empty(), "{:?}", p.steps());
            assert!(events(&a).contains("another node advertises kad"), "{}", events(&a));

            // The other one goes: somebody has to serve.
            assert_eq!(other.process.stop(), Some(0));
            drop(other);
            assert!(capture.stop().adverts_from("192.0.2.1").is_empty(), "{}", p.told());
            p.lab.wait_holder("a", VIP, secs(20));
            p.wait("the service", || p.steps() == ["a start"]);
            assert_eq!(pair(&a)["waits"], Value::Null);

            // Its daemon dies: what it serves stays.
            dies_and_moves_nothing(&p, &a);
            assert_eq!(p.steps(), ["a start"], "{}", p.told());
        },
    );
}

fn dies_and_moves_nothing(p: &Pair, a: &Tandemd) {
    let (capture, moves) = (Capture::start("c"), Moves::start(&p.lab, "a"));
    let worker = a.process.worker();
    kill(worker, Signal::SIGKILL).unwrap();
    p.wait("it runs again", || a.process.worker() != worker && state(a) == "stand_alone");
    p.wait("it is MASTER", || a.state("kad") == "MASTER");
    assert!(p.lab.has("a", VIP) && !moves.seen().contains("Deleted"), "{}\n{}", moves.seen(), p.told());
    let goodbyes = capture.stop().adverts_from("192.0.2.1").iter().filter(|a| a.priority == 0).count();
    assert_eq!(goodbyes, 0, "{}", p.told());
}

/// Also where nothing but the address hangs on it.
#[test]
fn a_lone_primary_without_resources_that_dies_moves_nothing() {
    isolated("pair_registration::a_lone_primary_without_resources_that_dies_moves_nothing", || {
        let p = Pair::new("");
        let a = Tandemd::start(&p.lab, "a", &format!("{}{PRIMARY}", router("a")));
        p.lab.wait_holder("a", VIP, secs(20));
        dies_and_moves_nothing(&p, &a);
    });
}

#[test]
fn an_operator_may_have_it_serve_all_the_same() {
    isolated("pair_registration::an_operator_may_have_it_serve_all_the_same", || {
        let p = Pair::new("");
        let _other = Tandemd::start(&p.lab, "b", &router("b"));
        p.lab.wait_holder("b", VIP, secs(10));
        let a = p.start("a");
        p.wait("a holds", || status(&a).contains("another node advertises kad"));
        let text = a.adm_text("ha failover --force");
        assert!(text.contains("serves alone, whoever else does"), "{text}");
        p.lab.wait_holder("a", VIP, secs(10));
        p.wait("the service", || p.steps() == ["a start"]);
        assert!(a.adm_text("ha failover --force").contains("serves already"));
    });
}

/// It has not heard anything as long as its interface was down.
#[test]
fn a_primary_that_could_not_hear_listens_before_it_serves_alone() {
    isolated("pair_registration::a_primary_that_could_not_hear_listens_before_it_serves_alone", || {
        let p = Pair::new("");
        let _other = Tandemd::start(&p.lab, "b", &router("b"));
        p.lab.wait_holder("b", VIP, secs(10));
        p.lab.link("a", "down");
        let capture = Capture::start("c");
        let a = p.start("a");
        p.wait("a is deaf", || status(&a).contains("cannot hear whether another one serves"));
        p.lab.link("a", "up");
        p.wait("a holds", || status(&a).contains("another node advertises kad"));
        assert!(capture.stop().adverts_from("192.0.2.1").is_empty(), "{}", p.told());
        assert!(p.steps().is_empty(), "{:?}", p.steps());
    });
}

/// It does not hear anything as long as its virtual router has not begun.
#[test]
fn a_primary_with_a_startup_delay_listens_after_it() {
    isolated("pair_registration::a_primary_with_a_startup_delay_listens_after_it", || {
        let p = Pair::new("");
        let _other = Tandemd::start(&p.lab, "b", &router("b"));
        p.lab.wait_holder("b", VIP, secs(10));
        let capture = Capture::start("c");
        let late = router("a").replacen("[node]\n", "[node]\nstartup_delay = \"6s\"\n", 1);
        let a = Tandemd::start(&p.lab, "a", &format!("{late}{PRIMARY}"));
        p.wait("a is deaf", || status(&a).contains("have not begun (startup_delay)"));
        p.wait("a holds", || status(&a).contains("another node advertises kad"));
        assert!(capture.stop().adverts_from("192.0.2.1").is_empty(), "{}", p.told());
    });
}

/// What is on the disks when the secondary died between its pin and its answer.
#[test]
fn a_registration_that_one_side_did_not_finish_is_no_registration() {
    isolated("pair_registration::a_registration_that_one_side_did_not_finish_is_no_registration", || {
        let p = Pair::new("");
        let (mut a, mut b) = p.registered();
        a.process.kill9();
        b.process.kill9();
        let path = |node: &str, name: &str| p.lab.path(&format!("{node}.d/state/{name}"));
        let text = std::fs::read_to_string(path("b", "peer/pins.json")).unwrap();
        let mut trial: Value = serde_json::from_str(&text).unwrap();
        trial[0]["trial"] = true.into();
        std::fs::write(path("b", "peer/pins.json"), trial.to_string()).unwrap();
        for file in [path("a", "peer/pins.json"), path("a", "pair/esc.json"), path("b", "pair/esc.json")] {
            std::fs::remove_file(file).unwrap();
        }
        drop((a, b));
        let (a, b) = (p.start("a"), p.start("b"));
        p.wait_states(&a, "stand_alone", &b, "ha_initializing");
        p.lab.wait_holder("a", VIP, secs(20));
        let report = pair(&b);
        assert_eq!((&report["registered"], &report["status"]), (&Value::Null, &Value::Null), "{report}");

        // The next attempt finds what is left.
        assert!(b.adm(&format!("ha authkey {}", key(&p, "b"))).status.success());
        p.wait("nothing is left", || state(&b) == "stand_alone");
        assert!(events(&b).contains("was not finished, and is taken back"), "{}", events(&b));
        let done = a.adm(&format!("ha register --authkey-file {}", key(&p, "a")));
        assert!(done.status.success(), "{}", p.told());
        p.wait_states(&a, "primary_active", &b, "secondary_syncing");
    });
}

/// Dead at any moment of it: both are registered then, or the next attempt makes it so.
#[test]
fn a_secondary_that_dies_during_the_registration() {
    isolated("pair_registration::a_secondary_that_dies_during_the_registration", || {
        let p = Pair::new("");
        let (a, mut b) = (p.start("a"), p.start("b"));
        let pinned = p.lab.path("b.d/state/peer/pins.json");
        let (own, other) = (key(&p, "a"), key(&p, "b"));
        assert!(b.adm(&format!("ha authkey {other}")).status.success());
        let asked = std::thread::scope(|s| {
            let asked =
                s.spawn(|| a.adm(&format!("ha register --no-wait --authkey-file {own}")).status.success());
            wait_until(secs(10), "b has pinned", || pinned.exists());
            b.process.kill9();
            asked.join().unwrap()
        });
        drop(b);
        let b = p.start("b");
        if !asked {
            p.wait("a stands alone", || {
                state(&a) == "stand_alone" && pins(&a)["pins"] == Value::Array(vec![])
            });
            assert!(b.adm(&format!("ha authkey {other}")).status.success());
            let done = a.adm(&format!("ha register --authkey-file {own}"));
            assert!(done.status.success(), "{}", p.told());
        }
        p.wait_states(&a, "primary_active", &b, "secondary_syncing");
        p.wait("one service", || p.steps() == ["a start"]);
    });
}

/// What is asked for and refused, and what is open.
#[test]
fn a_registration_is_open_until_it_is_closed() {
    isolated("pair_registration::a_registration_is_open_until_it_is_closed", || {
        let p = Pair::new("");
        let (a, b) = (p.start("a"), p.start("b"));
        std::fs::write(p.lab.path("b.key"), "secret1\n").unwrap();
        let refused = b.adm_text(&format!("ha authkey {}", key(&p, "b")));
        assert!(refused.contains("it has no upper case letter, no special character"), "{refused}");
        std::fs::write(p.lab.path("b.key"), "Correct-Horse-7\n").unwrap();
        let refused = b.adm_text(&format!("ha authkey {} --replace --yes", key(&p, "b")));
        assert!(refused.contains("registered with nobody"), "{refused}");

        assert!(b.adm(&format!("ha authkey {}", key(&p, "b"))).status.success());
        assert!(status(&b).contains("registration open for the other node, for 14m"), "{}", status(&b));
        let text = b.adm_text("ha remove --yes");
        assert!(text.contains("no node may register any more"), "{text}");
        assert_eq!(pair(&b)["offer"], Value::Null);
        let ask = format!("ha register --authkey-file {}", key(&p, "a"));
        let refused = a.adm(&ask);
        assert_eq!(refused.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&refused.stderr).contains("takes no registration now"));
        assert_eq!((state(&a).as_str(), state(&b).as_str()), ("stand_alone", "stand_alone"));

        // Registered, and removed there with another one open: none is left behind.
        assert!(b.adm(&format!("ha authkey {}", key(&p, "b"))).status.success());
        assert!(a.adm(&format!("{ask} --no-wait")).status.success());
        assert_eq!(pair(&b)["offer"], Value::Null);
        p.wait_states(&a, "primary_active", &b, "secondary_syncing");
        let late = a.adm(&ask);
        assert!(String::from_utf8_lossy(&late.stderr).contains("registered with b already"));
    });
}

/// As the other node would answer if its data were being copied: the daemon's own answers, with other data in them.
struct Staged {
    dir: std::path::PathBuf,
    /// How much is copied; above 100: all is well.
    copied: Arc<AtomicU8>,
    /// The answer to an order to register is lost, and it takes so many looks until the nodes know each other.
    loses: Arc<AtomicU8>,
}

impl Staged {
    /// Answers for `node` until the test ends.
    fn start(p: &Pair, node: &Tandemd) -> Self {
        let whole: Value = serde_json::from_slice(&node.adm("ha status --json").stdout).expect("JSON");
        let dir = p.lab.path("staged");
        std::fs::create_dir_all(&dir).unwrap();
        let socket = UnixListener::bind(dir.join("control.sock")).unwrap();
        let copied = Arc::new(AtomicU8::new(0));
        let loses = Arc::new(AtomicU8::new(0));
        let (now, left) = (copied.clone(), loses.clone());
        std::thread::spawn(move || {
            for stream in socket.incoming() {
                let looks = left.load(Ordering::Relaxed);
                left.store(looks.saturating_sub(1), Ordering::Relaxed);
                answer(stream.unwrap(), &whole, now.load(Ordering::Relaxed), looks);
            }
        });
        Staged { dir, copied, loses }
    }

    fn register(&self, p: &Pair, words: &[&str]) -> Child {
        let file = key(p, "a");
        Command::new(env!("CARGO_BIN_EXE_tandemadm"))
            .arg("--run-dir")
            .arg(&self.dir)
            .args(["ha", "register", "--authkey-file", &file])
            .args(words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

fn answer(mut stream: UnixStream, whole: &Value, copied: u8, looks: u8) {
    let mut head = [0; 4096];
    let read = stream.read(&mut head).unwrap_or(0);
    let mut all = whole.clone();
    if copied <= 100 {
        all[0]["status"]["peer"]["data"] = serde_json::json!({ "syncing": { "percent": copied } });
    }
    let registers = head[..read].starts_with(b"POST");
    if looks > 0 && registers {
        return;
    }
    if looks > 1 {
        (all[0]["registered"], all[0]["state"]) = (Value::Null, "ha_initializing".into());
    }
    let body = match registers {
        true => serde_json::json!({ "ok": true, "message": "registered with b" }),
        false => all,
    }
    .to_string();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
    // Whoever asked may have been interrupted.
    let _ = write!(stream, "{head}content-length: {}\r\n\r\n{body}", body.len());
}

fn text(output: &Output) -> (String, String) {
    (String::from_utf8_lossy(&output.stdout).into(), String::from_utf8_lossy(&output.stderr).into())
}

#[test]
fn a_registration_follows_the_copy_to_its_end() {
    isolated("pair_registration::a_registration_follows_the_copy_to_its_end", || {
        let p = Pair::new("");
        let (a, _b) = p.registered();
        let staged = Staged::start(&p, &a);

        // Not in time: nothing is undone.
        staged.copied.store(10, Ordering::Relaxed);
        let late = staged.register(&p, &["--wait", "1"]).wait_with_output().unwrap();
        let (out, err) = text(&late);
        assert_eq!(late.status.code(), Some(2), "{out}{err}");
        assert!(out.contains(" 27 % data replication: 10 % are copied"), "{out}");
        assert!(err.contains("registered with b, but the pair is not whole after 1 s"), "{err}");

        // To the end, with one object for scripts.
        let mut child = staged.register(&p, &["--json"]);
        let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut wait_line = |part: &str| {
            let line = told.by_ref().map(Result::unwrap).find(|l| l.contains(part));
            assert!(line.is_some(), "{part}");
        };
        wait_line(" 27 % data replication: 10 % are copied");
        staged.copied.store(60, Ordering::Relaxed);
        wait_line(" 62 % data replication: 60 % are copied");
        staged.copied.store(101, Ordering::Relaxed);
        let (out, _) = text(&child.wait_with_output().unwrap());
        let end: Value = serde_json::from_str(&out).expect("one object");
        assert_eq!((&end["whole"], &end["percent"]), (&true.into(), &100.into()), "{end}");

        // It takes longer than the daemon leaves a connection open.
        staged.loses.store(10, Ordering::Relaxed);
        let (out, err) = text(&staged.register(&p, &[]).wait_with_output().unwrap());
        assert!(out.contains("registered with b") && out.contains("100 %"), "{out}{err}");
        assert_eq!(staged.loses.load(Ordering::Relaxed), 0);

        // Interrupted: the same as not in time.
        staged.copied.store(30, Ordering::Relaxed);
        let mut child = staged.register(&p, &[]);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        assert!(lines.any(|l| l.contains("30 % are copied")));
        kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGINT).unwrap();
        let ended = child.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(2));
        let (_, err) = text(&ended);
        assert!(err.contains("interrupted before the pair was whole. The registration stays"), "{err}");
    });
}
