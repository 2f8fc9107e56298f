//! What runs already when the daemon starts: after a crash everything goes on as it is.

use super::runner::{Agents, Happening};
use crate::agents::Context;
use crate::process::Activity;
use crate::resource::{Level, Name};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Asks all agents at the same time, each for as long as its monitor may take, and sends the answers together.
pub(super) fn look(agents: &Agents, sender: mpsc::UnboundedSender<Happening>) {
    // A step that a killed daemon was in the middle of must not go on beside what this one does.
    crate::process::clear_left_jobs();
    ask(agents, sender, Happening::Found);
}

/// Asks those that a reload has brought: what they are for may run already.
pub(super) fn look_at_new(agents: &Agents, sender: mpsc::UnboundedSender<Happening>) {
    if !agents.is_empty() {
        ask(agents, sender, Happening::FoundNew);
    }
}

fn ask(
    agents: &Agents,
    sender: mpsc::UnboundedSender<Happening>,
    tell: impl FnOnce(Vec<(Name, Result<Level, String>)>) -> Happening + Send + 'static,
) {
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
        let _ = sender.send(tell(looks.join_all().await));
    });
}
