//! A process that tandemd itself supervises.
//!
//! It is up when it has run for [`SETTLES`] or, if there is a `monitor`, when that succeeds. Its end is noticed at
//! once. `stop` is SIGTERM to the process, SIGKILL to everything it has started shortly before the deadline. Its output
//! goes to `RUN_DIR/exec/NAME.log`.

use super::{Shell, describe, judge};
use crate::agents::Context;
use crate::config::ScriptCommand;
use crate::process::{JobEnd, Keeper, Standing};
use crate::resource::{Level, Name, Step, StepResult};
use std::path::Path;
use std::time::Duration;

/// A process that runs for so long has started.
const SETTLES: Duration = Duration::from_secs(1);
/// Between two monitors while it starts.
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// So long before its deadline, at most, a stop resorts to SIGKILL.
const LAST_MOMENT: Duration = Duration::from_secs(5);
/// What ends beside a stop, a start that failed, gets this from SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Debug)]
pub(super) struct Supervised {
    shell: Shell,
    command: ScriptCommand,
    monitor: Option<ScriptCommand>,
    keeper: Keeper,
}

impl Supervised {
    pub(super) fn new(
        dir: &Path,
        name: &Name,
        shell: Shell,
        command: ScriptCommand,
        monitor: Option<ScriptCommand>,
        noticed: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Supervised { shell, command, monitor, keeper: Keeper::new(dir, name.as_str(), noticed) }
    }

    pub(super) async fn run(&self, step: Step, context: &Context) -> StepResult {
        match step {
            Step::Start => self.start(context).await,
            Step::Stop => self.stop(context).await,
            Step::Monitor => self.look(context).await,
            Step::Promote | Step::Demote => StepResult::Failed(format!(
                "a supervised process cannot {step}: use start, stop, promote and demote commands"
            )),
        }
    }

    /// Up, as far as anybody knows: what it has started and still runs has to be stopped, too.
    pub(super) fn find(&self) -> Level {
        match self.keeper.look() {
            Standing::Absent => Level::Stopped,
            Standing::Ended { rest, .. } if rest.is_empty() => Level::Stopped,
            Standing::Running(_) | Standing::Ended { .. } => Level::Started,
        }
    }

    pub(super) fn details(&self) -> Vec<(String, String)> {
        let mut all = Vec::new();
        match self.keeper.look() {
            Standing::Absent => {}
            Standing::Running(pid) => all.push(("pid".to_owned(), pid.to_string())),
            Standing::Ended { how, rest } => {
                all.push(("ended".to_owned(), how));
                if !rest.is_empty() {
                    all.push(("still running".to_owned(), list(&rest)));
                }
            }
        }
        all.push(("log".to_owned(), self.keeper.log().display().to_string()));
        all.extend(self.keeper.last_lines(3).into_iter().map(|line| ("output".to_owned(), line)));
        all
    }

    async fn start(&self, context: &Context) -> StepResult {
        let program = match self.shell.program(&self.command, Step::Start, context) {
            Ok(program) => program,
            Err(why) => return StepResult::Failed(why),
        };
        let settled = self.keeper.look();
        let pid = match self.keeper.start(&program, &context.cancel, &context.activity).await {
            Ok(Some(pid)) => pid,
            Ok(None) => return StepResult::Cancelled,
            Err(why) => return StepResult::Failed(why),
        };
        let patience = if settled == Standing::Running(pid) { Duration::ZERO } else { SETTLES };
        context.activity.started(pid, crate::process::describe(&self.command));
        let up = tokio::select! {
            biased;
            () = context.cancel.cancelled() => StepResult::Cancelled,
            how = self.keeper.ended() => StepResult::Failed(self.too_short(&how)),
            up = self.come_up(patience, context) => up,
        };
        context.activity.ended(pid);
        if up != StepResult::Done {
            self.keeper.end(GRACE, &context.cancel, &context.activity).await;
        }
        up
    }

    async fn come_up(&self, patience: Duration, context: &Context) -> StepResult {
        let Some(monitor) = &self.monitor else {
            tokio::time::sleep(patience).await;
            return StepResult::Done;
        };
        loop {
            match self.shell.run(monitor, Step::Monitor, context).await {
                JobEnd::Exit { status: 0, .. } => return StepResult::Done,
                JobEnd::Cancelled => return StepResult::Cancelled,
                end @ JobEnd::NotStarted(_) => return StepResult::Failed(describe("monitor", &end)),
                JobEnd::Exit { .. } | JobEnd::Signal(_) => tokio::time::sleep(ASK_AGAIN).await,
            }
        }
    }

    async fn stop(&self, context: &Context) -> StepResult {
        let patience = context.limit.saturating_sub(LAST_MOMENT.min(context.limit / 5));
        self.keeper.end(patience, &context.cancel, &context.activity).await;
        // Whether or not it took SIGKILL, nothing of it runs any more.
        StepResult::Done
    }

    async fn look(&self, context: &Context) -> StepResult {
        match (self.keeper.look(), context.level) {
            (Standing::Running(pid), Level::Stopped) => StepResult::Failed(format!("runs, pid {pid}")),
            (Standing::Running(_), _) => match &self.monitor {
                None => StepResult::Done,
                Some(monitor) => judge("monitor", self.shell.run(monitor, Step::Monitor, context).await),
            },
            (Standing::Ended { how, rest }, _) => StepResult::Failed(self.ended(&how, &rest)),
            (Standing::Absent, Level::Stopped) => StepResult::Done,
            (Standing::Absent, _) => StepResult::Failed("does not run".to_owned()),
        }
    }

    fn ended(&self, how: &str, rest: &[u32]) -> String {
        let words = self.keeper.last_lines(2).join(" | ");
        let words = if words.is_empty() { "it said nothing".to_owned() } else { words };
        let rest = if rest.is_empty() { String::new() } else { format!("; of it still run: {}", list(rest)) };
        format!("the process has ended, {how}: {words} ({}){rest}", self.keeper.log().display())
    }

    fn too_short(&self, how: &str) -> String {
        let hint = match how {
            "exit status 0" => {
                "; `command` has to stay in the foreground, a program that goes to the background needs start and stop commands"
            }
            _ => "",
        };
        format!("{}{hint}", self.ended(how, &[]))
    }
}

fn list(pids: &[u32]) -> String {
    pids.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}
