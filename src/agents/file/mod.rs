//! Free space.

use super::{Agent, Context, Services, Work};
use crate::config::FileResource;
use crate::resource::{Level, Name, Step, StepResult};

/// The agent of free space.
#[derive(Debug)]
pub struct FileAgent {
    settings: FileResource,
}

impl FileAgent {
    /// For the resource `name`.
    pub fn new(_name: Name, settings: FileResource, _services: Services) -> Self {
        FileAgent { settings }
    }
}

impl Agent for FileAgent {
    fn run<'a>(&'a self, _step: Step, _context: &'a Context) -> Work<'a, StepResult> {
        Box::pin(async { StepResult::Failed(format!("not built yet: {:?}", self.settings)) })
    }

    fn find<'a>(&'a self, _context: &'a Context) -> Work<'a, Result<Level, String>> {
        Box::pin(async { Ok(Level::Stopped) })
    }
}
