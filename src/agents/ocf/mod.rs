//! OCF resource agents.

use super::{Agent, Context, Services, Work};
use crate::config::OcfResource;
use crate::resource::{Level, Name, Step, StepResult};

/// The agent of OCF resource agents.
#[derive(Debug)]
pub struct OcfAgent {
    settings: OcfResource,
}

impl OcfAgent {
    /// For the resource `name`.
    pub fn new(_name: Name, settings: OcfResource, _services: Services) -> Self {
        OcfAgent { settings }
    }
}

impl Agent for OcfAgent {
    fn run<'a>(&'a self, _step: Step, _context: &'a Context) -> Work<'a, StepResult> {
        Box::pin(async { StepResult::Failed(format!("not built yet: {:?}", self.settings)) })
    }

    fn find<'a>(&'a self, _context: &'a Context) -> Work<'a, Result<Level, String>> {
        Box::pin(async { Ok(Level::Stopped) })
    }
}
