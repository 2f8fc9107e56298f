//! Mounted file systems.

use super::{Agent, Context, Services, Work};
use crate::config::FilesystemResource;
use crate::resource::{Level, Name, Step, StepResult};

/// The agent of mounted file systems.
#[derive(Debug)]
pub struct FilesystemAgent {
    settings: FilesystemResource,
}

impl FilesystemAgent {
    /// For the resource `name`.
    pub fn new(_name: Name, settings: FilesystemResource, _services: Services) -> Self {
        FilesystemAgent { settings }
    }
}

impl Agent for FilesystemAgent {
    fn run<'a>(&'a self, _step: Step, _context: &'a Context) -> Work<'a, StepResult> {
        Box::pin(async { StepResult::Failed(format!("not built yet: {:?}", self.settings)) })
    }

    fn find<'a>(&'a self, _context: &'a Context) -> Work<'a, Result<Level, String>> {
        Box::pin(async { Ok(Level::Stopped) })
    }
}
