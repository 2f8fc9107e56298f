//! What agents say of their settings, for the log.

use crate::agents;
use crate::config::{Config, Resource};
use tracing::{error, warn};

/// Asks about all resources that are not in `before` as they are in `now`. This takes its time, and nothing waits for it: a
/// node goes on with what it has, and a resource that cannot be used fails at its start with the same words.
pub(in crate::daemon) fn ask(now: &Config, before: Option<&Config>) {
    let known = |r: &Resource| before.is_some_and(|b| b.resources.contains(r));
    for resource in now.resources.iter().filter(|r| !known(r)).cloned() {
        tokio::spawn(async move {
            let name = &resource.name;
            match agents::check(&resource).await {
                Ok(warnings) => warnings.iter().for_each(|w| warn!("resource {name}: {w}")),
                Err(errors) => errors.iter().for_each(|e| error!("resource {name} cannot be used: {e}")),
            }
        });
    }
}
