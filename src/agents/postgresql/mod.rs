//! PostgreSQL with streaming replication.

use super::{Agent, Context, Services, Work};
use crate::config::PostgresqlResource;
use crate::resource::{Level, Name, Step, StepResult};

/// The agent of PostgreSQL with streaming replication.
#[derive(Debug)]
pub struct PostgresqlAgent {
    settings: PostgresqlResource,
}

impl PostgresqlAgent {
    /// For the resource `name`.
    pub fn new(_name: Name, settings: PostgresqlResource, _services: Services) -> Self {
        PostgresqlAgent { settings }
    }
}

impl Agent for PostgresqlAgent {
    fn run<'a>(&'a self, _step: Step, _context: &'a Context) -> Work<'a, StepResult> {
        Box::pin(async { StepResult::Failed(format!("not built yet: {:?}", self.settings)) })
    }

    fn find<'a>(&'a self, _context: &'a Context) -> Work<'a, Result<Level, String>> {
        Box::pin(async { Ok(Level::Stopped) })
    }
}
