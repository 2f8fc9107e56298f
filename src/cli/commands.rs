//! Runs one command.

use super::args::{Act, Args, Command, ConfigCommand, DebugCommand, ResourceWords, Switch};
use super::exit::{EX_USAGE, Failure};
use super::resource::{self, GraphForm};
use super::text::{Moment, Style, print, print_json, print_value};
use super::{config, data, debug, events, ha, health, import, info, restart, stats, status, why};
use crate::control::api::{LogLevel, Outcome, ResourceCommand, Stats, Status};
use crate::control::client::{Client, ClientError};
use crate::net::clock;
use clap::Parser;
use hyper::Method;
use std::io::{IsTerminal, stdout};
use std::process::ExitCode;
use std::time::Duration;

/// Reads the command line, does it, and says how it went.
pub fn run() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(e) => {
            // Help and version are no errors. Where standard error is closed nobody reads this anyway.
            let _ = e.print();
            return if e.use_stderr() { EX_USAGE.into() } else { ExitCode::SUCCESS };
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return Failure::Output(e).report(),
    };
    match runtime.block_on(execute(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

async fn execute(args: Args) -> Result<(), Failure> {
    let client = Client::new(&args.run_dir);
    match args.command {
        Command::Status { json, watch, verbose } => {
            let form = Form { json, verbose };
            match watch {
                None => show_status(&client, form).await,
                Some(seconds) => watch_status(&client, form, seconds).await,
            }
        }
        Command::Why { instance } => {
            let status: Status = client.get("/v1/status").await?;
            let text = why::explain_all(&status, instance.as_deref(), &Moment::now(clock::wall()));
            print(&text.map_err(Failure::Usage)?)
        }
        Command::Stats { json: true, .. } => print_json(&client.get_text("/v1/stats").await?),
        Command::Stats { json: false, all } => {
            let s: Stats = client.get("/v1/stats").await?;
            print(&stats::render(&s, all))
        }
        Command::Reload { json } => reload(&client, json).await,
        Command::Restart { wait, json } => {
            restart::run(&client, seconds("--wait", wait, Duration::from_secs(1))?, json).await
        }
        Command::Health { json } => health::run(&client, json).await,
        Command::Info { json } => info::run(&client, &args.state_dir, json).await,
        Command::Resource { command } => resources(&client, command).await,
        Command::Maintenance { mode, json } => {
            resource::maintenance(&client, mode.map(|m| m == Switch::On), json).await
        }
        Command::Ha { command } => ha::run(&client, &args.state_dir, command).await,
        Command::Config { command: ConfigCommand::Check { file, json } } => config::check(&file, json).await,
        Command::Config { command: ConfigCommand::Show { file: Some(file) } } => config::show_file(&file),
        Command::Config { command: ConfigCommand::Show { file: None } } => {
            print(&client.get_text("/v1/config").await?)
        }
        Command::Import { file, output, id, force, json } => {
            import::run(&import::Job { file: &file, output: &output, id, force, json })
        }
        Command::Data { command } => data::run(client, command).await,
        Command::Events(wish) => events::run(client, &args.state_dir, &wish).await,
        Command::Debug { command: DebugCommand::Replay { dir, json } } => {
            debug::replay(&args.state_dir, dir.as_deref(), json)
        }
        Command::LogLevel { level: None } => {
            let level: LogLevel = client.get("/v1/log-level").await?;
            print(&format!("{}\n", level.level))
        }
        Command::LogLevel { level: Some(level) } => {
            let level = LogLevel { level: level.word().to_owned() };
            let done: Outcome = client.change(Method::PUT, "/v1/log-level", &level).await?;
            print(&format!("{}\n", done.message))
        }
    }
}

async fn resources(client: &Client, words: ResourceWords) -> Result<(), Failure> {
    let (command, act) = match words {
        ResourceWords::List { json } => return list_resources(client, json).await,
        ResourceWords::Graph { dot, json, config } => {
            let form = match (dot, json) {
                (true, _) => GraphForm::Dot,
                (_, true) => GraphForm::Json,
                _ => GraphForm::Text,
            };
            return match config {
                Some(file) => config::graph(&file, form),
                None => graph(client, form).await,
            };
        }
        ResourceWords::Start(act) => (ResourceCommand::Start, act),
        ResourceWords::Stop(act) => (ResourceCommand::Stop, act),
        ResourceWords::Restart(act) => (ResourceCommand::Restart, act),
        ResourceWords::Clear(act) => (ResourceCommand::Clear, act),
    };
    let Act { name, wait } = act;
    let wait = wait.map(|s| seconds("--wait", s, Duration::ZERO)).transpose()?;
    resource::act(client, command, &name, wait).await
}

async fn list_resources(client: &Client, json: bool) -> Result<(), Failure> {
    let r = client.status().await?.resources;
    match r {
        r if json => print_value(&r),
        None => print(resource::NONE),
        Some(r) => print(&resource::list(&r, &Moment::now(clock::wall()), Style::of_stdout())),
    }
}

async fn graph(client: &Client, form: GraphForm) -> Result<(), Failure> {
    match client.status().await?.resources {
        None if form == GraphForm::Text => print(resource::NONE),
        r => print(&resource::graph(r.as_ref(), form, Style::of_stdout())),
    }
}

/// A number of seconds from the command line.
fn seconds(option: &str, seconds: f64, least: Duration) -> Result<Duration, Failure> {
    Duration::try_from_secs_f64(seconds).ok().filter(|p| *p >= least).ok_or_else(|| {
        Failure::Usage(format!("{option}={seconds}: at least {} seconds is allowed", least.as_secs_f64()))
    })
}

/// How the status is shown.
#[derive(Clone, Copy)]
struct Form {
    json: bool,
    verbose: bool,
}

async fn show_status(client: &Client, form: Form) -> Result<(), Failure> {
    if form.json {
        return print_json(&client.get_text("/v1/status").await?);
    }
    let s: Status = client.get("/v1/status").await?;
    print(&status::render(&s, &Moment::now(clock::wall()), Style::of_stdout(), form.verbose))
}

/// Shows the status until it is interrupted, and says when the daemon is away instead of giving up.
async fn watch_status(client: &Client, form: Form, every: f64) -> Result<(), Failure> {
    const CLEAR: &str = "\x1b[H\x1b[2J";
    let period = seconds("--watch", every, Duration::from_millis(100))?;
    let screen = stdout().is_terminal() && !form.json;
    let mut tick = tokio::time::interval(period);
    loop {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => return Ok(()),
            _ = tick.tick() => {}
        }
        if screen {
            print(CLEAR)?;
        }
        match show_status(client, form).await {
            Err(Failure::Client(e @ ClientError::NotReachable { .. })) => eprintln!("{e}"),
            other => other?,
        }
    }
}

async fn reload(client: &Client, json: bool) -> Result<(), Failure> {
    let done: Result<Outcome, ClientError> = client.change(Method::POST, "/v1/reload", &()).await;
    match done {
        Ok(o) if json => print_value(&o),
        Ok(o) => print(&format!("reloaded: {}\n", o.message)),
        Err(ClientError::Refused { status: 422, text }) => {
            if json {
                print_value(&Outcome { ok: false, message: text.clone() })?;
            }
            Err(Failure::Config(format!("reload refused, everything stays as it was:\n{text}")))
        }
        Err(e) => Err(e.into()),
    }
}
