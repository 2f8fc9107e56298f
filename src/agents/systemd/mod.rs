//! Systemd units.

use super::{Agent, Context, Services, Work};
use crate::config::SystemdResource;
use crate::resource::{Level, Name, Step, StepResult};

/// The agent of systemd units.
#[derive(Debug)]
pub struct SystemdAgent {
    settings: SystemdResource,
}

impl SystemdAgent {
    /// For the resource `name`.
    pub fn new(_name: Name, settings: SystemdResource, _services: Services) -> Self {
        SystemdAgent { settings }
    }
}

impl Agent for SystemdAgent {
    fn run<'a>(&'a self, _step: Step, _context: &'a Context) -> Work<'a, StepResult> {
        Box::pin(async { StepResult::Failed(format!("not built yet: {:?}", self.settings)) })
    }

    fn find<'a>(&'a self, _context: &'a Context) -> Work<'a, Result<Level, String>> {
        Box::pin(async { Ok(Level::Stopped) })
    }
}
