//! `resource start|stop|restart|clear` and `maintenance`.

use super::super::exit::Failure;
use super::super::text::print_value;
use super::super::text::{Moment, print, unknown};
use super::select;
use super::words::why;
use crate::control::api::{Condition, Maintenance, ResourceCommand, ResourceStatus, ResourcesStatus};
use crate::control::client::Client;
use crate::net::clock;
use crate::resource::{Level, State};
use std::time::Duration;

/// How often the daemon is asked how far it is.
const PERIOD: Duration = Duration::from_millis(200);

/// Tells the daemon; with `wait` stays until the resource is where the command leads.
pub(in crate::cli) async fn act(
    client: &Client,
    command: ResourceCommand,
    name: &str,
    wait: Option<Duration>,
) -> Result<(), Failure> {
    if let Some(r) = client.status().await?.resources {
        known(&r, name).map_err(Failure::Usage)?;
    }
    let done = client.resource_command(name, command).await?;
    match wait {
        None => print(&format!("{}\n", done.message)),
        Some(limit) => settle(client, command, name, limit).await,
    }
}

/// A name that is not known never becomes part of a request.
fn known(r: &ResourcesStatus, name: &str) -> Result<(), String> {
    let groups = r.groups.iter().map(|g| g.name.as_str());
    let names: Vec<&str> = r.resources.iter().map(|x| x.name.as_str()).chain(groups).collect();
    if names.contains(&name) { Ok(()) } else { Err(unknown("resource", name, &names)) }
}

async fn settle(
    client: &Client,
    command: ResourceCommand,
    name: &str,
    limit: Duration,
) -> Result<(), Failure> {
    let deadline = tokio::time::sleep(limit);
    tokio::pin!(deadline);
    let mut last = format!("{name}: nothing is known of it");
    loop {
        let status = client.status().await?;
        let now = Moment::now(clock::wall());
        let Some(r) = status.resources else {
            return Err(Failure::NotThere(format!("{name}: no resources are configured any more")));
        };
        match progress(&r, command, name, &now) {
            Progress::There(text) => return print(&format!("{text}\n")),
            Progress::Never(text) => return Err(Failure::NotThere(text)),
            Progress::Underway(text) => last = text,
        }
        tokio::select! {
            () = &mut deadline => {
                return Err(Failure::NotThere(format!("not there after {} s. {last}", limit.as_secs_f64())));
            }
            () = tokio::time::sleep(PERIOD) => {}
        }
    }
}

/// How far a command has come.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Progress {
    There(String),
    Underway(String),
    /// It will not get there by itself.
    Never(String),
}

/// The members of a group are there when all are, and never when one is never.
fn progress(r: &ResourcesStatus, command: ResourceCommand, name: &str, m: &Moment) -> Progress {
    let all = select(r, name);
    if all.is_empty() {
        return Progress::Never(format!("{name} is not configured any more"));
    }
    let say = |list: &[&ResourceStatus]| {
        let words: Vec<String> =
            list.iter().map(|x| format!("{} is {}: {}", x.name, x.state, why(x, m))).collect();
        words.join("\n")
    };
    let (there, missing): (Vec<_>, Vec<_>) = all.into_iter().partition(|x| is_there(x, command));
    if missing.is_empty() {
        let words: Vec<String> = there.iter().map(|x| format!("{} is {}", x.name, x.state)).collect();
        return Progress::There(words.join("\n"));
    }
    let lost: Vec<&ResourceStatus> =
        missing.iter().copied().filter(|x| matches!(x.state, State::Failed | State::Stuck)).collect();
    if !lost.is_empty() {
        return Progress::Never(say(&lost));
    }
    // They are of one graph: nothing needs what is in another one.
    let (condition, blocked) = missing.first().map_or((r.condition, r.blocked()), |x| r.graph_of(x));
    match (condition, blocked) {
        (_, Some(blocked)) => Progress::Never(format!("{}\nblocked: {blocked}", say(&missing))),
        _ if r.maintenance => Progress::Never(format!("{}\nmaintenance is on: nothing moves", say(&missing))),
        // Everything is where it should be, so nothing more is going to happen.
        (Condition::Reached | Condition::Idle, _) => Progress::Never(say(&missing)),
        (Condition::Moving | Condition::Blocked, _) => Progress::Underway(say(&missing)),
    }
}

fn is_there(x: &ResourceStatus, command: ResourceCommand) -> bool {
    let settled = x.level == x.goal && matches!(x.state, State::Stopped | State::Started | State::Promoted);
    match command {
        ResourceCommand::Stop => x.state == State::Stopped,
        ResourceCommand::Start | ResourceCommand::Restart => settled && x.level > Level::Stopped,
        ResourceCommand::Clear => settled,
    }
}

/// Switches maintenance, or says whether it is on.
pub(in crate::cli) async fn maintenance(
    client: &Client,
    on: Option<bool>,
    json: bool,
) -> Result<(), Failure> {
    if let Some(on) = on {
        let done = client.maintenance(Maintenance { on }).await?;
        return print(&format!("{}\n", done.message));
    }
    let on = client.status().await?.resources.is_some_and(|r| r.maintenance);
    if json {
        return print_value(&Maintenance { on });
    }
    print(if on { "maintenance is on\n" } else { "maintenance is off\n" })
}

#[cfg(test)]
#[path = "act_tests.rs"]
mod tests;
