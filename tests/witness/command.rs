//! A command of the user's as witness.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tandemd::config::ScriptCommand;
use tandemd::witness::client::{ExecWitness, Witness};
use tandemd::witness::{Answer, Ask, Denied, Token, Verb};

const SOON: Duration = Duration::from_secs(30);

struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("tandem-witness.").tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        Bench { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn witness(&self, script: &str, deadline: Duration) -> ExecWitness {
        let program = self.path("witness.sh");
        std::fs::write(&program, format!("#!/bin/sh\ncd {}\n{script}\n", self.dir.path().display())).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let command = ScriptCommand { program, args: vec!["--site".into(), "x y".into()] };
        ExecWitness::new(command, None, "alpha".into(), deadline)
    }
}

fn ask(verb: Verb) -> Ask {
    Ask {
        pair: "epn".parse().unwrap(),
        verb,
        generation: 7,
        synced: None,
        lease_ms: 9500,
        token: Some(Token(1)),
    }
}

fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.trim()).join("stat"));
    stat.is_ok_and(|s| !s.contains(") Z "))
}

#[tokio::test]
async fn it_is_told_what_is_asked_and_its_exit_status_answers() {
    let b = Bench::new();
    let w = b.witness(
        "for a; do printf '%s|' \"$a\"; done >> told; echo $TANDEM_SYNCED >> told\n\
         case $3 in acquire) exit 0;; renew) echo ' no more \x1b[1m' >&2; exit 3;; *) exit 0;; esac",
        SOON,
    );
    assert!(matches!(w.ask(&ask(Verb::Acquire)).await, Answer::Granted { .. }));
    let denied = w.ask(&ask(Verb::Renew)).await;
    let Answer::Denied(Denied::Command { words }) = &denied else { panic!("{denied:?}") };
    assert_eq!(words, "the witness's command denied it: no more  [1m");
    assert_eq!(w.ask(&ask(Verb::Release)).await, Answer::Released);
    assert!(matches!(w.ask(&ask(Verb::Look)).await, Answer::Unavailable { .. }));
    let told = std::fs::read_to_string(b.path("told")).unwrap();
    let line = |verb, synced| format!("--site|x y|{verb}|epn|alpha|7|10|{synced}\n");
    assert_eq!(told, format!("{}{}{}", line("acquire", "7"), line("renew", "7"), line("release", "")));
}

/// The command keeps the highest generation that it granted a lease for, as any witness has to.
#[tokio::test]
async fn older_data_get_no_lease() {
    let b = Bench::new();
    let w = b.witness(
        "kept=$(cat kept 2>/dev/null || echo 0)\n\
         [ $3 = release ] || [ $TANDEM_SYNCED -ge $kept ] || { echo $kept; exit 4; }\n\
         [ $6 -le $kept ] || echo $6 > kept",
        SOON,
    );
    let of = |generation, synced| Ask { generation, synced: Some(synced), ..ask(Verb::Acquire) };
    assert!(matches!(w.ask(&of(9, 9)).await, Answer::Granted { .. }));
    assert_eq!(w.ask(&of(9, 8)).await, Answer::Denied(Denied::Older { generation: 9 }));
    assert_eq!(w.ask(&of(8, 8)).await, Answer::Denied(Denied::Older { generation: 9 }));
    assert!(matches!(w.ask(&of(8, 9)).await, Answer::Granted { .. }));
    assert_eq!(std::fs::read_to_string(b.path("kept")).unwrap(), "9\n");
}

#[tokio::test]
async fn what_hangs_is_no_answer_and_is_killed_before_the_next_one_runs() {
    let b = Bench::new();
    let w = b.witness(
        "[ -e pid ] && { kill -0 $(cat pid) && exit 9; exit 0; }; echo $$ > pid; trap '' TERM; while :; do sleep 1; done",
        Duration::from_secs(2),
    );
    let before = Instant::now();
    let answer = w.ask(&ask(Verb::Acquire)).await;
    assert!(matches!(&answer, Answer::Unavailable { why } if why.contains("longer than 2s")), "{answer:?}");
    assert!(before.elapsed() < SOON, "{:?}", before.elapsed());
    let end = Instant::now() + SOON;
    loop {
        // Refused meanwhile, never beside the other one.
        match w.ask(&ask(Verb::Acquire)).await {
            Answer::Granted { .. } => break,
            Answer::Unavailable { why } => assert!(!why.contains("status 9"), "{why}"),
            other => panic!("{other:?}"),
        }
        assert!(Instant::now() < end, "the command is still there");
    }
    assert!(!is_alive(&std::fs::read_to_string(b.path("pid")).unwrap()));
}

#[tokio::test]
async fn what_others_could_change_is_not_run() {
    let b = Bench::new();
    let w = b.witness("exit 0", SOON);
    std::fs::set_permissions(b.path("witness.sh"), std::fs::Permissions::from_mode(0o777)).unwrap();
    let answer = w.ask(&ask(Verb::Acquire)).await;
    assert!(
        matches!(&answer, Answer::Unavailable { why } if why.contains("writable by others")),
        "{answer:?}"
    );
}
