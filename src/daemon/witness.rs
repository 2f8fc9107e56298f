//! `tandemd --witness`: a process that lends the right to serve to the pairs of other machines, and does nothing else.

use super::start::{EX_CANTCREAT, EX_CONFIG, EX_SOFTWARE, prepare_dir};
use super::{Args, logging};
use crate::config::{self, WitnessServer};
use crate::fingerprint::Fingerprint;
use crate::peer::Identity;
use crate::witness;
use crate::witness::lease::Limits;
use crate::witness::listen::{Door, Listener};
use crate::witness::server::Service;
use crate::witness::store::Store;
use sd_notify::NotifyState;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tracing::{error, info, warn};

/// Runs the witness until it is told to stop.
pub(super) fn run(args: &Args) -> ExitCode {
    logging::start(args.log_level);
    let settings = match settings(&args.config) {
        Ok(settings) => settings,
        Err(why) => {
            eprintln!("{why}");
            return EX_CONFIG.into();
        }
    };
    match serve(&settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, why)) => {
            error!("{why}");
            code.into()
        }
    }
}

/// Prints the fingerprint of this node, or with `--witness` of this witness; makes the certificate if there is none yet.
pub(super) fn print_fingerprint(args: &Args) -> ExitCode {
    let dir = match args.witness.then(|| settings(&args.config)).transpose() {
        Ok(settings) => settings.map_or_else(|| args.state_dir.clone(), |s| s.state),
        Err(why) => {
            eprintln!("{why}");
            return EX_CONFIG.into();
        }
    };
    match prepare_dir(&dir).and_then(|()| identity(&dir)) {
        Ok(identity) => {
            println!("{}", shown(&identity));
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("tandemd: {}: {why}", dir.display());
            EX_CANTCREAT.into()
        }
    }
}

/// As the configuration takes it.
fn shown(identity: &Identity) -> impl std::fmt::Display {
    identity.fingerprint().configured()
}

fn identity(dir: &Path) -> Result<Identity, String> {
    Identity::load_or_make(dir).map_err(|e| e.to_string())
}

/// `[witness_server]`, beside which nothing else may stand.
fn settings(file: &Path) -> Result<WitnessServer, String> {
    let shown = file.display();
    let loaded = config::load(file).map_err(|mistakes| {
        format!("{mistakes}\ntandemd: not started: mend it and check it with: tandemadm config check {shown}")
    })?;
    loaded.warnings.iter().for_each(|warning| warn!("{warning}"));
    loaded.config.witness_server.ok_or_else(|| {
        format!(
            "tandemd: not started: {shown} has no [witness_server], which --witness needs; without --witness tandemd \
             runs a node"
        )
    })
}

fn serve(settings: &WitnessServer) -> Result<(), (u8, String)> {
    let unusable = |e: &dyn std::fmt::Display| (EX_CANTCREAT, format!("{}: {e}", settings.state.display()));
    let broken = |e: &dyn std::fmt::Display| (EX_SOFTWARE, e.to_string());
    prepare_dir(&settings.state).map_err(|e| unusable(&e))?;
    let store = Store::open(&settings.state).map_err(|e| unusable(&e))?;
    let identity = identity(&settings.state).map_err(|e| unusable(&e))?;
    let pairs = pairs(settings).map_err(|e| (EX_CONFIG, e))?;
    let nodes: Vec<_> = pairs.iter().flat_map(|(_, nodes)| *nodes).collect();
    let count = pairs.len();
    let service =
        Service::new(Limits::default(), pairs, Arc::new(store)).map_err(|e| (EX_CONFIG, e.to_string()))?;
    let door = Door::new(&identity, nodes, service).map_err(|e| broken(&e))?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| broken(&e))?;
    let done = runtime.block_on(async {
        let listeners = listen(settings, &door).await?;
        info!("the witness of {count} pairs shows the certificate {}", shown(&identity));
        until_stopped(listeners).await.map_err(|e| broken(&e))
    });
    // A disk that hangs does not keep it from ending: what was not answered was not granted.
    runtime.shutdown_background();
    done
}

type Pairs = Vec<(witness::PairId, [Fingerprint; 2])>;

fn pairs(settings: &WitnessServer) -> Result<Pairs, String> {
    let one = |p: &config::WitnessPair| {
        let id = p.name.parse::<witness::PairId>().map_err(|e| format!("{}: {e}", p.name))?;
        Ok((id, p.nodes))
    };
    settings.pairs.iter().map(one).collect()
}

async fn listen(settings: &WitnessServer, door: &Door) -> Result<Vec<Listener>, (u8, String)> {
    let any = [IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    let addresses = if settings.listen.is_empty() { &any[..] } else { &settings.listen };
    let mut listeners = Vec::new();
    for address in addresses {
        let at = SocketAddr::new(*address, settings.port);
        let bound = door.bind(at).await;
        listeners.push(bound.map_err(|e| (EX_CANTCREAT, format!("cannot listen on {at}: {e}")))?);
        info!("listening on {at}");
    }
    Ok(listeners)
}

async fn until_stopped(listeners: Vec<Listener>) -> std::io::Result<()> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut hangup = signal(SignalKind::hangup())?;
    let mut serving: JoinSet<()> = listeners.into_iter().map(Listener::serve).collect();
    tell(NotifyState::Ready);
    let period = sd_notify::watchdog_enabled();
    let mut tick = tokio::time::interval(period.map_or(std::time::Duration::from_secs(3600), |d| d / 3));
    loop {
        tokio::select! {
            _ = term.recv() => break,
            _ = int.recv() => break,
            _ = hangup.recv() => warn!("a witness reads its configuration at its start: restart it"),
            _ = tick.tick() => if period.is_some() { tell(NotifyState::Watchdog) },
            Some(_) = serving.join_next() => return Err(std::io::Error::other("a listener has ended")),
        }
    }
    tell(NotifyState::Stopping);
    info!("stopped");
    Ok(())
}

/// To systemd, if it asked for it; elsewhere this does nothing.
fn tell(state: NotifyState<'_>) {
    if let Err(e) = sd_notify::notify(&[state]) {
        warn!("cannot notify the service manager: {e}");
    }
}
