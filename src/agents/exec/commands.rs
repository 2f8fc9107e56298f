//! One command a step.

use super::{Shell, describe, judge};
use crate::agents::Context;
use crate::config::ScriptCommand;
use crate::process::{JobEnd, boot, run_job};
use crate::resource::{Level, Name, Step, StepResult};
use std::path::{Path, PathBuf};

/// Exit statuses of a monitor, as those of OCF agents: started, stopped, promoted.
const FOUND: [(i32, Level); 3] = [(0, Level::Started), (7, Level::Stopped), (8, Level::Promoted)];

/// `start`, `stop` and the rest.
#[derive(Debug)]
pub(super) struct Commands {
    shell: Shell,
    start: ScriptCommand,
    stop: ScriptCommand,
    monitor: Option<ScriptCommand>,
    promote: Option<Box<(ScriptCommand, ScriptCommand)>>,
    /// Where it was brought last: what a new daemon goes by when there is no monitor to ask.
    level: PathBuf,
}

impl Commands {
    pub(super) fn new(
        dir: &Path,
        name: &Name,
        shell: Shell,
        [start, stop]: [ScriptCommand; 2],
        monitor: Option<ScriptCommand>,
        promote: Option<Box<(ScriptCommand, ScriptCommand)>>,
    ) -> Self {
        Commands { shell, start, stop, monitor, promote, level: dir.join(format!("{name}.level")) }
    }

    pub(super) async fn run(&self, step: Step, context: &Context) -> StepResult {
        let (promote, demote) = match &self.promote {
            Some(pair) => (Some(&pair.0), Some(&pair.1)),
            None => (None, None),
        };
        let command = match step {
            Step::Start => Some(&self.start),
            Step::Stop => Some(&self.stop),
            Step::Promote => promote,
            Step::Demote => demote,
            Step::Monitor => return self.monitor(context).await,
        };
        let Some(command) = command else {
            return StepResult::Failed(format!("it has no {step} command and cannot be promoted"));
        };
        let to = step.leads_to().unwrap_or(context.level);
        // Until it has succeeded, the higher of the two: that one has to be undone.
        if let Err(e) = self.note(to.max(context.level)) {
            return StepResult::Failed(format!("cannot write {}: {e}", self.level.display()));
        }
        let result = judge(&step.to_string(), self.shell.run(command, step, context).await);
        if result == StepResult::Done
            && let Err(e) = self.note(to)
        {
            tracing::warn!("{}: cannot write {}: {e}", context.resource, self.level.display());
        }
        result
    }

    async fn monitor(&self, context: &Context) -> StepResult {
        let Some(command) = &self.monitor else { return StepResult::Done };
        let end = self.ask(command, context).await;
        match level(&end) {
            Some(found) if found == context.level => StepResult::Done,
            Some(found) => StepResult::Failed(format!("is {found}, not {}", context.level)),
            None => judge("monitor", end),
        }
    }

    /// At which level it is.
    pub(super) async fn find(&self, context: &Context) -> Result<Level, String> {
        let Some(command) = &self.monitor else { return Ok(self.noted()) };
        let end = self.ask(command, context).await;
        level(&end).ok_or_else(|| describe("monitor", &end))
    }

    async fn ask(&self, command: &ScriptCommand, context: &Context) -> JobEnd {
        match self.shell.program(command, Step::Monitor, context) {
            Ok(mut program) => {
                program.success = &[0, 7, 8];
                run_job(&program, &context.cancel, &context.activity).await
            }
            Err(why) => JobEnd::NotStarted(why),
        }
    }

    fn note(&self, level: Level) -> std::io::Result<()> {
        if let Some(dir) = self.level.parent() {
            std::fs::create_dir_all(dir)?;
        }
        let temporary = self.level.with_extension("level.new");
        std::fs::write(&temporary, serde_json::to_vec(&(level, boot()))?)?;
        std::fs::rename(temporary, &self.level)
    }

    /// Stopped, if nobody has started it since the machine was booted.
    fn noted(&self) -> Level {
        let text = std::fs::read(&self.level).unwrap_or_default();
        let noted = serde_json::from_slice::<(Level, String)>(&text).ok();
        noted.filter(|(_, when)| *when == boot()).map_or(Level::Stopped, |(level, _)| level)
    }
}

fn level(end: &JobEnd) -> Option<Level> {
    let JobEnd::Exit { status, .. } = end else { return None };
    FOUND.iter().find(|(s, _)| s == status).map(|(_, level)| *level)
}
