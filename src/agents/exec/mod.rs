//! The user's own programs and commands.
//!
//! Either `command`, a process that tandemd supervises itself (`supervised`), or one command a step (`commands`).
//! All of them get PATH, LANG, LC_ALL=C, the resource's `environment`, and TANDEM_RESOURCE, TANDEM_STEP (start, stop,
//! promote, demote, monitor) and TANDEM_LEVEL (stopped, started, promoted: before the step). Their files are in
//! `RUN_DIR/exec`.

mod commands;
mod supervised;

use super::{Agent, Context, Noticed, Report, Services, Work};
use crate::config::{ExecResource, ExecRun, ScriptCommand, UserRef};
use crate::process::{JobEnd, Program, resolve_user, run_job};
use crate::resource::{Level, Name, Step, StepResult};
use commands::Commands;
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use supervised::Supervised;

/// The agent of the user's own programs and commands.
#[derive(Debug)]
pub struct ExecAgent(Form);

#[derive(Debug)]
enum Form {
    Process(Box<Supervised>),
    Commands(Box<Commands>),
}

impl ExecAgent {
    /// For the resource `name`.
    pub fn new(name: Name, settings: ExecResource, services: Services) -> Self {
        let dir = services.run_dir.join("exec");
        let shell = Shell { user: settings.user, environment: settings.environment };
        ExecAgent(match settings.run {
            ExecRun::Process { command, monitor } => {
                let (reports, of) = (services.reports, name.clone());
                let noticed = move || {
                    // Nobody listens when the daemon ends.
                    let _ = reports.send(Report { resource: of.clone(), what: Noticed::Look });
                };
                Form::Process(Box::new(Supervised::new(&dir, &name, shell, command, monitor, noticed)))
            }
            ExecRun::Commands { start, stop, monitor, promote } => {
                Form::Commands(Box::new(Commands::new(&dir, &name, shell, [start, stop], monitor, promote)))
            }
        })
    }
}

impl Agent for ExecAgent {
    fn run<'a>(&'a self, step: Step, context: &'a Context) -> Work<'a, StepResult> {
        Box::pin(async move {
            match &self.0 {
                Form::Process(p) => p.run(step, context).await,
                Form::Commands(c) => c.run(step, context).await,
            }
        })
    }

    fn find<'a>(&'a self, context: &'a Context) -> Work<'a, Result<Level, String>> {
        Box::pin(async move {
            match &self.0 {
                Form::Process(p) => Ok(p.find()),
                Form::Commands(c) => c.find(context).await,
            }
        })
    }

    fn details(&self) -> Vec<(String, String)> {
        match &self.0 {
            Form::Process(p) => p.details(),
            Form::Commands(_) => Vec::new(),
        }
    }
}

/// Who runs the commands, and with what.
#[derive(Debug)]
struct Shell {
    user: Option<UserRef>,
    environment: BTreeMap<String, String>,
}

impl Shell {
    /// A command made ready for a step.
    fn program(&self, command: &ScriptCommand, step: Step, context: &Context) -> Result<Program, String> {
        let user = match &self.user {
            Some(user) => Some(resolve_user(Some(user)).map_err(|e| e.to_string())?),
            None => None,
        };
        let mut program = Program::new(command.program.clone(), command.args.iter().cloned());
        program.user = user;
        program.checked = true;
        program.env = self.environment.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        program.env.extend([
            ("TANDEM_RESOURCE".to_owned(), context.resource.to_string()),
            ("TANDEM_STEP".to_owned(), step.to_string()),
            ("TANDEM_LEVEL".to_owned(), context.level.to_string()),
        ]);
        Ok(program)
    }

    /// Runs a command for a step to its end.
    async fn run(&self, command: &ScriptCommand, step: Step, context: &Context) -> JobEnd {
        match self.program(command, step, context) {
            Ok(program) => run_job(&program, &context.cancel, &context.activity).await,
            Err(why) => JobEnd::NotStarted(why),
        }
    }
}

/// A command whose only success is exit status 0.
fn judge(what: &str, end: JobEnd) -> StepResult {
    match end {
        JobEnd::Exit { status: 0, .. } => StepResult::Done,
        JobEnd::Cancelled => StepResult::Cancelled,
        other => StepResult::Failed(describe(what, &other)),
    }
}

/// How a command ended, with its last words.
fn describe(what: &str, end: &JobEnd) -> String {
    match end {
        JobEnd::Exit { status, stdout, stderr } => {
            let last =
                |text: &str| text.lines().rev().map(str::trim).find(|l| !l.is_empty()).map(str::to_owned);
            match last(stderr).or_else(|| last(stdout)) {
                Some(words) => format!("{what} ended with exit status {status}: {words}"),
                None => format!("{what} ended with exit status {status} and said nothing"),
            }
        }
        JobEnd::Signal(n) => match Signal::try_from(*n) {
            Ok(signal) => format!("{what} was killed by {signal}"),
            Err(_) => format!("{what} was killed by signal {n}"),
        },
        JobEnd::Cancelled => format!("{what} was cancelled"),
        JobEnd::NotStarted(why) => format!("{what} could not be started: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(status: i32, stdout: &str, stderr: &str) -> JobEnd {
        JobEnd::Exit { status, stdout: stdout.into(), stderr: stderr.into() }
    }

    #[test]
    fn a_failure_is_told_in_the_commands_last_words() {
        for (end, words) in [
            (exit(3, "out\n", "one\ntwo \n\n"), "start ended with exit status 3: two"),
            (exit(1, "only this\n", " \n"), "start ended with exit status 1: only this"),
            (exit(1, "", ""), "start ended with exit status 1 and said nothing"),
            (JobEnd::Signal(11), "start was killed by SIGSEGV"),
            (JobEnd::Signal(64), "start was killed by signal 64"),
            (JobEnd::NotStarted("ENOENT".into()), "start could not be started: ENOENT"),
        ] {
            assert_eq!(judge("start", end), StepResult::Failed(words.into()));
        }
        assert_eq!(judge("start", exit(0, "", "noise")), StepResult::Done);
        assert_eq!(judge("start", JobEnd::Cancelled), StepResult::Cancelled);
    }
}
