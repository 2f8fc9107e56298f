//! `tandemd-drbd-handler`: what drbdadm runs as a handler. Hands the call to the daemon, and its answer to DRBD.

use crate::agents::drbd::snapshot::{self, Purpose, Subject};
use crate::agents::drbd::tools::{Leash, Trouble};
use crate::agents::drbd::{HandlerAnswer, HandlerCall, HandlerKind, Tools};
use crate::control::client::Client;
use clap::Parser;
use hyper::Method;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// DRBD's kernel waits, with I/O frozen in the worst case.
const PATIENCE: Duration = Duration::from_secs(10);
/// A snapshot of a busy volume may take its time; the resync waits for it.
const FOR_SNAPSHOT: Duration = Duration::from_secs(60);
/// Wrong use is no exit code that DRBD gives a meaning.
const WRONG: u8 = 1;

/// Called by drbdadm as a handler of a resource; drbd.conf names it with the handler as its argument.
#[derive(Debug, Parser)]
#[command(
    name = "tandemd-drbd-handler",
    version,
    after_help = "Exit codes of fence-peer: 1 nothing is known of the peer, 3 its data is inconsistent, 4 outdated,\n\
                  5 it cannot be reached, 6 it is primary. Of before-resync-target: not 0 if the snapshot could not\n\
                  be made, and then the resync does not begin."
)]
struct Args {
    /// Run directory of the daemon
    #[arg(long, value_name = "DIR", default_value = "/run/tandem")]
    run_dir: PathBuf,
    /// before-resync-target: keep a snapshot; after-resync-target: remove it
    #[arg(long)]
    snapshot: bool,
    /// The handler: fence-peer, split-brain, before-resync-target, ...
    handler: String,
}

/// Reads arguments and environment, asks, and gives the exit code for DRBD.
pub(super) fn handle() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(e) => {
            let _ = e.print();
            return if e.use_stderr() { WRONG.into() } else { ExitCode::SUCCESS };
        }
    };
    let call = match HandlerCall::new(&args.handler, |key| std::env::var(key).ok()) {
        Ok(call) => call,
        Err(e) => {
            eprintln!("tandemd-drbd-handler: {e}");
            return WRONG.into();
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("tandemd-drbd-handler: {e}");
            return call.without_daemon().into();
        }
    };
    let exit = runtime.block_on(run(&args, &call));
    exit.into()
}

async fn run(args: &Args, call: &HandlerCall) -> u8 {
    if args.snapshot
        && let Err(e) = keep(call).await
    {
        eprintln!("tandemd-drbd-handler: {}", e.words());
        return WRONG;
    }
    let client = Client::new(&args.run_dir).patient(PATIENCE);
    let asked = client.change::<HandlerAnswer>(Method::POST, "/v1/drbd/handler", call);
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(answer)) => {
            eprintln!("tandemd-drbd-handler: {}", answer.event);
            answer.exit
        }
        Ok(Err(e)) => {
            eprintln!("tandemd-drbd-handler: {e}");
            call.without_daemon()
        }
        Err(_) => call.without_daemon(),
    }
}

/// Works without the daemon, as a resync does.
async fn keep(call: &HandlerCall) -> Result<(), Trouble> {
    let (tools, leash) = (Tools::default(), Leash::default());
    // drbdadm names the disk of the volume that is meant.
    let disks = std::env::var("DRBD_LL_DISK").unwrap_or_default();
    let only = disks.split_ascii_whitespace().map(str::to_owned).collect();
    let subject = Subject { resource: call.resource.clone(), only };
    let work = async {
        match call.handler {
            HandlerKind::BeforeResyncTarget => {
                snapshot::take(&tools, &subject, Purpose::Resync, &leash).await.map(drop)
            }
            HandlerKind::AfterResyncTarget => snapshot::remove_after_resync(&tools, &subject, &leash).await,
            _ => Ok(()),
        }
    };
    tokio::pin!(work);
    tokio::select! {
        done = &mut work => return done,
        () = tokio::time::sleep(FOR_SNAPSHOT) => leash.cancel.cancel(),
    }
    work.await
}
