//! From the command line to the running daemon, in the one order that is safe.

use super::{Args, leftovers, logging, privileges, supervisor::Supervisor};
use crate::config;
use crate::control;
use crate::control::server::Server;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;
use std::process::ExitCode;
use tracing::{error, info, warn};

/// sysexits.h
const EX_SOFTWARE: u8 = 70;
const EX_CANTCREAT: u8 = 73;
const EX_NOPERM: u8 = 77;
const EX_CONFIG: u8 = 78;

/// Runs the daemon until it is told to stop.
pub fn run(args: Args) -> ExitCode {
    let loaded = match config::load(&args.config) {
        Ok(loaded) => loaded,
        Err(mistakes) => {
            eprintln!("{mistakes}");
            eprintln!(
                "tandemd: not started: mend the configuration and check it with: tandemadm config check {}",
                args.config.display()
            );
            return EX_CONFIG.into();
        }
    };
    let log = logging::start(args.log_level);
    for warning in &loaded.warnings {
        warn!("{warning}");
    }
    for dir in [&args.run_dir, &args.state_dir] {
        if let Err(e) = prepare_dir(dir) {
            error!("cannot use directory {}: {e}", dir.display());
            return EX_CANTCREAT.into();
        }
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(r) => r,
        Err(e) => {
            error!("cannot start the runtime: {e}");
            return EX_SOFTWARE.into();
        }
    };
    // First the socket: it also says whether another daemon uses this run directory.
    let socket = args.run_dir.join(control::SOCKET_NAME);
    let server = match runtime.block_on(async { Server::bind(&socket) }) {
        Ok(s) => s,
        Err(e) => {
            error!("{e}");
            return EX_CANTCREAT.into();
        }
    };
    match privileges::drop_privileges() {
        Ok(left) => {
            let left: Vec<String> = left.iter().map(ToString::to_string).collect();
            info!("capabilities kept: {}", left.join(" "));
        }
        Err(e) => {
            error!("{e}");
            return EX_NOPERM.into();
        }
    }
    match leftovers::clean(&args.run_dir, &loaded.config) {
        Ok(removed) => removed.iter().for_each(|a| warn!("removed {a}, left behind by a killed tandemd")),
        Err(e) => {
            error!("cannot look for left-over addresses: {e}");
            return EX_SOFTWARE.into();
        }
    }
    let ended = runtime.block_on(async {
        let supervisor = Supervisor::start(args, loaded, log)?;
        supervisor.run(server).await
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            error!("{e}");
            EX_SOFTWARE.into()
        }
    }
}

/// Makes the directory if it is missing, and refuses one that others may write to.
fn prepare_dir(dir: &Path) -> Result<(), String> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o755).create(dir);
    made.map_err(|e| e.to_string())?;
    let meta = std::fs::metadata(dir).map_err(|e| e.to_string())?;
    if meta.mode() & 0o002 != 0 {
        return Err(format!(
            "everybody may write to it (mode {:04o}): chmod o-w {}",
            meta.mode() & 0o7777,
            dir.display()
        ));
    }
    Ok(())
}
