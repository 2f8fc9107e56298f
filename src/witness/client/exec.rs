//! A command of the user's as witness: `COMMAND... acquire|renew|release PAIR NODE GENERATION SECONDS`, with the generation of the
//! node's data in [`SYNCED`].

use super::{Asking, Witness, words};
use crate::config::ScriptCommand;
use crate::net::clock;
use crate::process::{Activity, JobEnd, Program, RunAs, run_job};
use crate::witness::{Answer, Ask, Denied, Token, Verb};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

/// Exit status: NODE has the lease for SECONDS, and nobody else gets it meanwhile; or it is given back.
pub const GRANTED: i32 = 0;
/// Exit status: NODE does not get it.
pub const DENIED: i32 = 3;
/// Exit status: NODE's data are older than what a lease was granted for; the last line of the output is that generation. Any
/// other status, a signal or the deadline: nobody knows.
pub const OLDER: i32 = 4;
/// In this variable of the environment stands the generation that NODE's data belong to, with `acquire` and `renew`.
pub const SYNCED: &str = "TANDEM_SYNCED";

/// A command of the user's.
///
/// One runs at a time. At the deadline it and all that it has started are killed; the next one begins when they are gone.
#[derive(Debug)]
pub struct ExecWitness {
    command: ScriptCommand,
    user: Option<RunAs>,
    node: String,
    deadline: Duration,
    /// The number of the last lease; locked while a command runs.
    last: Arc<Mutex<Token>>,
    activity: Activity,
}

impl ExecWitness {
    /// `node`: this node's name, for the command. `user`: who runs it; none: tandemd itself.
    pub fn new(command: ScriptCommand, user: Option<RunAs>, node: String, deadline: Duration) -> Self {
        let last = Arc::new(Mutex::new(Token::default()));
        ExecWitness { command, user, node, deadline, last, activity: Activity::default() }
    }

    /// The command for a question; none: it is not one for a command.
    fn program(&self, ask: &Ask) -> Option<Program> {
        if ask.verb == Verb::Look {
            return None;
        }
        let own = [
            ask.verb.word().to_owned(),
            ask.pair.to_string(),
            self.node.clone(),
            ask.generation.to_string(),
            ask.lease_ms.div_ceil(1000).to_string(),
        ];
        let args = self.command.args.iter().cloned().chain(own);
        let mut program = Program::new(self.command.program.clone(), args);
        program.user = self.user.clone();
        program.checked = true;
        if ask.verb != Verb::Release {
            program.env.push((SYNCED.to_owned(), ask.synced.unwrap_or(ask.generation).to_string()));
        }
        program.keep = 1024;
        Some(program)
    }

    async fn go(&self, ask: &Ask) -> Answer {
        let Some(program) = self.program(ask) else {
            return Answer::unavailable("a command as witness cannot be looked at");
        };
        let cancel = CancellationToken::new();
        // Whether the deadline comes or nobody wants to know any more.
        let _guard = cancel.clone().drop_guard();
        // Its end is waited for by a task, so that nobody else waits for a command that does not end.
        let mut run = tokio::spawn(self.turn(program, cancel, ask));
        tokio::select! {
            biased;
            answer = &mut run => answer.unwrap_or_else(|e| Answer::unavailable(e.to_string())),
            () = tokio::time::sleep(self.deadline) => {
                Answer::unavailable(format!("the witness's command took longer than {:?}", self.deadline))
            }
        }
    }

    /// Waits for its turn and runs. What was cancelled before its turn is not run.
    fn turn(
        &self,
        program: Program,
        cancel: CancellationToken,
        ask: &Ask,
    ) -> impl Future<Output = Answer> + Send + 'static + use<> {
        let (last, activity) = (self.last.clone(), self.activity.clone());
        let (verb, synced) = (ask.verb, ask.synced.unwrap_or(ask.generation));
        async move {
            let mut last = last.lock_owned().await;
            let end = run_job(&program, &cancel, &activity).await;
            judge(verb, synced, end, &mut last)
        }
    }
}

impl Witness for ExecWitness {
    fn ask<'a>(&'a self, ask: &'a Ask) -> Asking<'a> {
        Box::pin(self.go(ask))
    }
}

/// `synced`: the generation of this node's data. `last`: the number of the last lease. Commands have no numbers, so they are
/// made here, from the clock.
fn judge(verb: Verb, synced: u64, end: JobEnd, last: &mut Token) -> Answer {
    let said = |stdout: &str, stderr: &str| {
        let mut lines = stderr.lines().rev().chain(stdout.lines().rev()).map(words);
        lines.find(|l| !l.is_empty()).unwrap_or_else(|| "it said nothing".to_owned())
    };
    match end {
        JobEnd::Exit { status: GRANTED, .. } if verb == Verb::Release => Answer::Released,
        JobEnd::Exit { status: GRANTED, .. } => {
            if verb == Verb::Acquire || *last == Token::default() {
                let now = u64::try_from(clock::unix().as_millis()).unwrap_or(0);
                *last = Token(now.max(last.0.saturating_add(1)));
            }
            Answer::Granted { token: *last }
        }
        JobEnd::Exit { status: DENIED, stdout, stderr } => {
            let words = format!("the witness's command denied it: {}", said(&stdout, &stderr));
            Answer::Denied(Denied::Command { words })
        }
        JobEnd::Exit { status: OLDER, stdout, .. } if verb != Verb::Release => {
            match stdout.lines().rev().map(str::trim).find(|l| !l.is_empty()).and_then(|l| l.parse().ok()) {
                Some(generation) if generation > synced => Answer::Denied(Denied::Older { generation }),
                _ => Answer::unavailable(format!(
                    "the witness's command says that the data of this node are older, but names no generation above {synced}: {}",
                    said(&stdout, "")
                )),
            }
        }
        JobEnd::Exit { status, stdout, stderr } => Answer::unavailable(format!(
            "the witness's command ended with exit status {status}: {}",
            said(&stdout, &stderr)
        )),
        JobEnd::Signal(n) => Answer::unavailable(format!("the witness's command was killed by signal {n}")),
        JobEnd::Cancelled => Answer::unavailable("the witness's command was ended"),
        JobEnd::NotStarted(why) => {
            Answer::unavailable(format!("the witness's command could not be started: {why}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(status: i32) -> JobEnd {
        JobEnd::Exit { status, stdout: "out\n".into(), stderr: "one\nlast\n\n".into() }
    }

    #[test]
    fn the_exit_status_decides() {
        let mut last = Token::default();
        let Answer::Granted { token } = judge(Verb::Renew, 7, exit(0), &mut last) else {
            panic!("not granted")
        };
        assert_eq!(judge(Verb::Renew, 7, exit(0), &mut last), Answer::Granted { token });
        let next = judge(Verb::Acquire, 7, exit(0), &mut last);
        assert!(matches!(next, Answer::Granted { token: t } if t > token), "{next:?}");
        assert_eq!(judge(Verb::Release, 7, exit(0), &mut last), Answer::Released);
        let denied = judge(Verb::Acquire, 7, exit(3), &mut last);
        assert!(matches!(&denied, Answer::Denied(d) if d.to_string().ends_with("denied it: last")));
        for end in [
            exit(1),
            exit(2),
            exit(4),
            exit(127),
            JobEnd::Signal(9),
            JobEnd::Cancelled,
            JobEnd::NotStarted("ENOENT".into()),
        ] {
            let answer = judge(Verb::Acquire, 7, end.clone(), &mut last);
            assert!(matches!(answer, Answer::Unavailable { .. }), "{end:?}: {answer:?}");
        }
    }

    #[test]
    fn older_data_are_told_with_the_generation() {
        let mut last = Token::default();
        let mut of = |verb, stdout: &str| {
            judge(verb, 7, JobEnd::Exit { status: 4, stdout: stdout.into(), stderr: "9\n".into() }, &mut last)
        };
        for verb in [Verb::Acquire, Verb::Renew] {
            assert_eq!(of(verb, "let me see\n 8 \n\n"), Answer::Denied(Denied::Older { generation: 8 }));
            // That is not so, or no generation, or nothing.
            for stdout in ["7", "0", "-1", "8 or 9", "99999999999999999999", "8\nno", ""] {
                let answer = of(verb, stdout);
                assert!(matches!(answer, Answer::Unavailable { .. }), "{stdout:?}: {answer:?}");
            }
        }
        assert!(matches!(of(Verb::Release, "8"), Answer::Unavailable { .. }));
    }
}
