//! What runs already when the daemon starts: after a crash everything goes on as it is.

use super::runner::Happening;
use crate::agents::{Agent, Context};
use crate::config::Resource;
use crate::process::Activity;
use crate::resource::{Level, Name};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Asks all agents at the same time, each for as long as its monitor may take, and sends the answers together.
pub(super) fn look(
    agents: &BTreeMap<Name, (Resource, Arc<dyn Agent>)>,
    sender: mpsc::UnboundedSender<Happening>,
) {
    // A step that a killed daemon was in the middle of must not go on beside what this one does.
    crate::process::clear_left_jobs();
    let mut looks = JoinSet::new();
    for (name, (resource, agent)) in agents {
        let (name, agent, limit) = (name.clone(), agent.clone(), resource.timeouts.monitor);
        looks.spawn(async move {
            let cancel = CancellationToken::new();
            let context = Context {
                resource: name.clone(),
                level: Level::Stopped,
                limit,
                cancel: cancel.clone(),
                activity: Activity::default(),
            };
            let asked = async move {
                tokio::select! {
                    found = agent.find(&context) => found,
                    () = tokio::time::sleep(limit) => Err(format!("no answer within {} s", limit.as_secs_f64())),
                }
            };
            // An agent that panics must not keep everything else from being known.
            let found = tokio::spawn(asked).await.unwrap_or_else(|e| Err(format!("its agent failed: {e}")));
            cancel.cancel();
            (name, found)
        });
    }
    tokio::spawn(async move {
        // The receiver ends with the daemon.
        let _ = sender.send(Happening::Found(looks.join_all().await));
    });
}
