//! From the command line to the running daemon, in the one order that is safe.

use super::logging::LogControl;
use super::privileges::Duty;
use super::remains::Keep;
use super::{Args, leftovers, logging, privileges, remains, supervisor::Supervisor, watchdog, witness};
use crate::config::{self, Config, Realtime};
use crate::control;
use crate::control::server::{self, Server};
use crate::events;
use crate::guardian::{self, LastResort, Plan, Role, Ward};
use crate::net::realtime;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;
use std::process::ExitCode;
use tracing::{error, info, warn};

/// sysexits.h
pub(super) const EX_SOFTWARE: u8 = 70;
pub(super) const EX_CANTCREAT: u8 = 73;
const EX_NOPERM: u8 = 77;
pub(super) const EX_CONFIG: u8 = 78;

/// See [`privileges::allow_resources`].
pub(super) const NO_RESOURCES: &str = "file systems, DRBD and other resources that need root's rights cannot be started: \
     tandemd has given them up or never had them; install systemd/resources.conf (docs/resources.md), then: \
     systemctl daemon-reload && systemctl restart tandemd";

/// Does what the command line says; above all, runs the daemon, guarded by its parent process, until it is told to stop.
pub fn run(args: Args) -> ExitCode {
    if args.fingerprint {
        return witness::print_fingerprint(&args);
    }
    if args.witness {
        return witness::run(&args);
    }
    let log = logging::start(args.log_level);
    realtime::lift_limits();
    if args.no_guardian {
        return daemon(args, log, None).into();
    }
    // A look only: what is wrong with the configuration is said by the daemon.
    let config = config::load(&args.config).map(|loaded| loaded.config).ok();
    let duty = config.as_ref().map_or(Duty::Addresses, duty);
    let plan = config.as_ref().map_or(Plan::Off, watchdog::plan);
    if let Err(e) = privileges::drop_for_guardian(duty, plan != Plan::Off) {
        error!("{e}");
        return EX_NOPERM.into();
    }
    let last = match LastResort::arm(plan) {
        Ok(last) => last,
        Err(e) => {
            error!("not started: {e}");
            return EX_CONFIG.into();
        }
    };
    let run_dir = args.run_dir.clone();
    let clean = |keep: &[String]| {
        leftovers::clean(&run_dir, None, keep).log("the dead daemon");
        clean_remains(&run_dir, Keep { instances: keep, config: None }, "the dead daemon");
    };
    match guardian::guard(&clean, last) {
        Ok(Role::Daemon(ward)) => daemon(args, log, Some(ward)).into(),
        Ok(Role::Ended(code)) => code.into(),
        Err(e) => {
            error!("{e}");
            EX_SOFTWARE.into()
        }
    }
}

/// The daemon process itself.
fn daemon(args: Args, log: LogControl, ward: Option<Ward>) -> u8 {
    let loaded = match config::load(&args.config) {
        Ok(loaded) => loaded,
        Err(mistakes) => {
            eprintln!("{mistakes}");
            eprintln!(
                "tandemd: not started: mend the configuration and check it with: tandemadm config check {}",
                args.config.display()
            );
            return EX_CONFIG;
        }
    };
    if let Some(why) = loaded.config.only_a_witness() {
        eprintln!("tandemd: not started: {}: {why}", args.config.display());
        return EX_CONFIG;
    }
    for warning in &loaded.warnings {
        warn!("{warning}");
    }
    for dir in [&args.run_dir, &args.state_dir] {
        if let Err(e) = prepare_dir(dir) {
            error!("cannot use directory {}: {e}", dir.display());
            return EX_CANTCREAT;
        }
    }
    prepare_events(&args.state_dir);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(r) => r,
        Err(e) => {
            error!("cannot start the runtime: {e}");
            return EX_SOFTWARE;
        }
    };
    // First the socket: it also says whether another daemon uses this run directory.
    let socket = args.run_dir.join(control::SOCKET_NAME);
    let server = match runtime.block_on(async { Server::bind(&socket) }) {
        Ok(s) => s,
        Err(e) => {
            error!("{e}");
            return EX_CANTCREAT;
        }
    };
    let duty = duty(&loaded.config);
    match privileges::drop_privileges(duty) {
        Ok(_) if duty == Duty::Resources => info!("capabilities kept, as resources need them"),
        Ok(left) => {
            let left: Vec<String> = left.iter().map(ToString::to_string).collect();
            info!("capabilities kept: {}", left.join(" "));
        }
        Err(e) => {
            error!("{e}");
            return EX_NOPERM;
        }
    }
    if duty == Duty::Resources && !privileges::allow_resources() {
        warn!("{NO_RESOURCES}");
    }
    if loaded.config.node.realtime != Realtime::Off {
        match realtime::lock_memory() {
            Ok(()) => info!("memory locked"),
            Err(e) => {
                info!("memory not locked, it could be swapped out: {e} (LimitMEMLOCK=infinity allows it)")
            }
        }
    }
    let keep = ward.as_ref().map(|w| w.resume.clone()).unwrap_or_default();
    leftovers::clean(&args.run_dir, Some(&loaded.config), &keep).log("a killed tandemd");
    clean_remains(&args.run_dir, Keep { instances: &keep, config: Some(&loaded.config) }, "a killed tandemd");
    remains::load_modules(&args.run_dir, &loaded.config);
    let ended = runtime.block_on(async {
        let supervisor = Supervisor::start(args, loaded, log, ward)?;
        supervisor.run(server).await
    });
    // A thread that hangs on storage must not keep the daemon from ending.
    runtime.shutdown_background();
    match ended {
        Ok(()) => 0,
        Err(e) => {
            error!("{e}");
            EX_SOFTWARE
        }
    }
}

/// What this configuration asks for.
fn duty(config: &Config) -> Duty {
    if config.resources.is_empty() { Duty::Addresses } else { Duty::Resources }
}

fn clean_remains(run_dir: &Path, keep: Keep<'_>, whose: &str) {
    let cleaned = remains::clean(run_dir, keep);
    cleaned.done.iter().for_each(|what| warn!("{what}, left behind by {whose}"));
    cleaned.errors.iter().for_each(|e| error!("{e}"));
}

/// Gives the events to the group that may look, while that is still possible. Where it is not, root alone reads them.
fn prepare_events(state_dir: &Path) {
    let dir = state_dir.join(events::DIRECTORY);
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o750).create(&dir);
    let given =
        made.map(|()| server::group().map(|gid| std::os::unix::fs::chown(&dir, None, Some(gid.as_raw()))));
    if let Err(e) = given.and_then(Option::transpose) {
        warn!("cannot give {} to its group: {e}", dir.display());
    }
}

/// Makes the directory if it is missing, and refuses one that others may write to.
pub(super) fn prepare_dir(dir: &Path) -> Result<(), String> {
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
