//! DRBD.

use super::{Agent, Context, Services, Work};
use crate::config::DrbdResource;
use crate::resource::{Level, Name, Step, StepResult};

/// The agent of DRBD.
#[derive(Debug)]
pub struct DrbdAgent {
    settings: DrbdResource,
}

impl DrbdAgent {
    /// For the resource `name`.
    pub fn new(_name: Name, settings: DrbdResource, _services: Services) -> Self {
        DrbdAgent { settings }
    }
}

impl Agent for DrbdAgent {
    fn run<'a>(&'a self, _step: Step, _context: &'a Context) -> Work<'a, StepResult> {
        Box::pin(async { StepResult::Failed(format!("not built yet: {:?}", self.settings)) })
    }

    fn find<'a>(&'a self, _context: &'a Context) -> Work<'a, Result<Level, String>> {
        Box::pin(async { Ok(Level::Stopped) })
    }
}
