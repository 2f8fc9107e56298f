//! `ha`: the pair.

mod args;
mod info;
mod planned;
mod progress;
mod register;
mod render;
mod set;
mod simulate;

pub(super) use args::HaCommand;
pub(super) use render::top;

use super::events;
use super::exit::Failure;
use super::text::{Moment, print, print_value, wrap};
use crate::control::api::{Outcome, PairCommand, PairRemoval, PairReport, PinRemoval, PinsReport};
use crate::control::client::{Client, ClientError};
use crate::net::clock;
use crate::pair::{Serving, What};
use args::{HaAct, Side, TofuCommand};
use hyper::Method;
use std::io::{IsTerminal, Write, stdin, stdout};
use std::path::Path;

pub(super) async fn run(client: &Client, state_dir: &Path, command: HaCommand) -> Result<(), Failure> {
    match command {
        HaCommand::Status { pair, json } => status(client, pair.as_deref(), json).await,
        HaCommand::Info { pair, json } => info::run(client, state_dir, pair.as_deref(), json).await,
        HaCommand::History { pair, limit, json } => {
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            events::history(client.clone(), state_dir, pair.as_deref(), limit, json).await
        }
        HaCommand::Remove { pair, yes, json } => remove(client, pair, yes, json).await,
        HaCommand::Tofu { command: TofuCommand::List { json } } => tofu(client, json).await,
        HaCommand::Tofu { command: TofuCommand::Delete { host, json } } => {
            change(client, "/v1/pairs/forget", &PinRemoval { host }, json).await
        }
        HaCommand::Failover(act) => order(client, act.act, What::Failover { force: act.force }).await,
        HaCommand::Failback(act) => order(client, act.act, What::Failback { force: act.force }).await,
        HaCommand::ForceFailover(act) => order(client, act, What::Drill).await,
        HaCommand::Switchover(wish) => planned::switchover(client, wish).await,
        HaCommand::Standby { mode, act } => {
            order(client, act, What::Standby(mode == super::args::Switch::On)).await
        }
        HaCommand::Simulate(ask) => simulate::run(client, ask).await,
        HaCommand::Clear(act) => order(client, act, What::Clear).await,
        HaCommand::Keep { side, act } => order(client, act, What::Keep { own: side == Side::Local }).await,
        HaCommand::Authkey(wish) => register::wait(client, wish).await,
        HaCommand::Register(wish) => register::ask(client, wish).await,
        HaCommand::Set(wish) => set::run(client, &wish).await,
    }
}

async fn pairs(client: &Client) -> Result<Vec<PairReport>, Failure> {
    Ok(client.get("/v1/pairs").await?)
}

/// Those that are asked for: all, or the one of this name.
fn only<T>(mut all: Vec<T>, pair: Option<&str>, name: impl Fn(&T) -> &str) -> Result<Vec<T>, Failure> {
    let Some(wanted) = pair else { return Ok(all) };
    let names: Vec<&str> = all.iter().map(&name).collect();
    if !names.contains(&wanted) {
        let known = if names.is_empty() { "none is configured".into() } else { names.join(", ") };
        return Err(Failure::Usage(format!("no pair is called {wanted}: there is {known}")));
    }
    all.retain(|one| name(one) == wanted);
    Ok(all)
}

/// The pair that is meant where the daemon takes an order only for one; it refuses what is not clear, and says why.
fn meant<'a>(all: &'a [PairReport], pair: Option<&str>) -> Option<&'a PairReport> {
    match (pair, all) {
        (None, [one]) => Some(one),
        (name, all) => all.iter().find(|p| Some(p.name.as_str()) == name),
    }
}

/// The answer is complete either way; the exit code says whether all is well.
async fn status(client: &Client, pair: Option<&str>, json: bool) -> Result<(), Failure> {
    let all = only(pairs(client).await?, pair, |p| &p.name)?;
    match json {
        true => print_value(&all)?,
        false => print(&render::status(&all, &Moment::now(clock::wall())))?,
    }
    match all.iter().all(|p| p.obstacles().is_empty()) {
        true => Ok(()),
        false => Err(Failure::NotWhole),
    }
}

async fn order(client: &Client, act: HaAct, what: What) -> Result<(), Failure> {
    let command = PairCommand { pair: act.pair, id: act.id, what };
    change(client, "/v1/pairs/order", &command, act.json).await
}

/// Tells the daemon something, and prints its answer.
async fn change(
    client: &Client,
    path: &str,
    command: &impl serde::Serialize,
    json: bool,
) -> Result<(), Failure> {
    let done: Result<Outcome, ClientError> = client.change(Method::POST, path, command).await;
    match done {
        Ok(done) if json => print_value(&done),
        Ok(done) => print(&format!("{}\n", done.message)),
        Err(ClientError::Refused { status, text }) if json => {
            print_value(&Outcome { ok: false, message: text.clone() })?;
            Err(ClientError::Refused { status, text }.into())
        }
        Err(e) => Err(e.into()),
    }
}

async fn tofu(client: &Client, json: bool) -> Result<(), Failure> {
    let pins: PinsReport = client.get("/v1/pairs/pins").await?;
    match json {
        true => print_value(&pins),
        false => print(&render::pins(&pins, &Moment::now(clock::wall()))),
    }
}

async fn remove(client: &Client, pair: Option<String>, yes: bool, json: bool) -> Result<(), Failure> {
    if !yes {
        let all = pairs(client).await?;
        if let Some(report) = meant(&all, pair.as_deref()) {
            confirm(&consequences(report))?;
        }
    }
    change(client, "/v1/pairs/remove", &PairRemoval { pair, offer: false }, json).await
}

/// What follows from a removal.
fn consequences(p: &PairReport) -> String {
    let with = p.registered.as_ref().map_or_else(|| p.peer.clone(), |pin| pin.node.clone());
    let mut text = format!(
        "{}: this node forgets {with} and the generations of the pair, and stands alone. No data are deleted.",
        p.name
    );
    let serves = p.status.as_ref().is_some_and(|s| s.serving != Serving::No);
    if p.about.role == crate::pair::Role::Primary {
        text += " As the primary it serves alone: if it serves now, or if it hears nobody else advertise its virtual routers. If it has \
                 none and the other node serves, both do.";
    } else if serves {
        text += " As the secondary it does not serve alone: the service that runs here now STOPS.";
    }
    text
}

/// Only a person can be asked.
fn confirm(text: &str) -> Result<(), Failure> {
    if !stdin().is_terminal() {
        return Err(Failure::Usage(format!("{text}\nThere is nobody to ask: say --yes")));
    }
    print(&wrap("", text))?;
    print("Type yes to go on: ")?;
    stdout().flush()?;
    let mut line = String::new();
    stdin().read_line(&mut line)?;
    match line.trim() {
        "yes" => Ok(()),
        _ => Err(Failure::Usage("nothing was changed".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::samples::pair_report;
    use crate::pair::Role;

    #[test]
    fn an_order_is_for_one_pair_and_a_question_for_all() {
        let all: Vec<PairReport> =
            ["north", "south"].map(|n| PairReport { name: n.into(), ..pair_report() }).into();
        assert_eq!(meant(&all, None), None);
        assert_eq!(meant(&all, Some("south")).map(|p| p.name.as_str()), Some("south"));
        assert_eq!(meant(&all, Some("east")), None);
        assert_eq!(meant(&all[..1], None), Some(&all[0]));
        let names = |pair| only(vec!["north", "south"], pair, |n| n);
        assert_eq!(names(None).unwrap(), ["north", "south"]);
        assert_eq!(names(Some("south")).unwrap(), ["south"]);
        let Err(Failure::Usage(text)) = names(Some("east")) else { panic!() };
        assert_eq!(text, "no pair is called east: there is north, south");
    }

    #[test]
    fn a_removal_says_what_follows_from_it() {
        let mut p = pair_report();
        assert!(consequences(&p).contains("it serves alone"), "{}", consequences(&p));
        p.about.role = Role::Secondary;
        assert!(consequences(&p).contains("STOPS"), "{}", consequences(&p));
        p.status = None;
        assert!(!consequences(&p).contains("serves alone"), "{}", consequences(&p));
    }
}
