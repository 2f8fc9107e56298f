//! The user's own programs and commands.

use super::{Agent, Context, Services, Work};
use crate::config::ExecResource;
use crate::resource::{Level, Name, Step, StepResult};

/// The agent of the user's own programs and commands.
#[derive(Debug)]
pub struct ExecAgent {
    settings: ExecResource,
}

impl ExecAgent {
    /// For the resource `name`.
    pub fn new(_name: Name, settings: ExecResource, _services: Services) -> Self {
        ExecAgent { settings }
    }
}

impl Agent for ExecAgent {
    fn run<'a>(&'a self, _step: Step, _context: &'a Context) -> Work<'a, StepResult> {
        Box::pin(async { StepResult::Failed(format!("not built yet: {:?}", self.settings)) })
    }

    fn find<'a>(&'a self, _context: &'a Context) -> Work<'a, Result<Level, String>> {
        Box::pin(async { Ok(Level::Stopped) })
    }
}
