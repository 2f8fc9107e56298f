//! Command line of `tandemd`.

use clap::Parser;
use std::path::PathBuf;

/// Keeps a service reachable on a pair of Linux machines: VRRP, virtual addresses, tracking, notify scripts.
///
/// Runs in the foreground until SIGTERM or SIGINT; SIGHUP reloads the configuration.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "tandemd",
    version,
    after_help = "Exit codes: 0 stopped cleanly, 70 internal error, 73 run or state directory unusable,\n\
                  77 not permitted (CAP_NET_ADMIN and CAP_NET_RAW are needed), 78 configuration."
)]
pub struct Args {
    /// Configuration file; conf.d/*.toml beside it are read as well
    #[arg(long, value_name = "FILE", default_value = "/etc/tandem/tandem.toml")]
    pub config: PathBuf,
    /// Directory of the control socket and the state files
    #[arg(long, value_name = "DIR", default_value = "/run/tandem")]
    pub run_dir: PathBuf,
    /// Directory of what outlives a reboot
    #[arg(long, value_name = "DIR", default_value = "/var/lib/tandem")]
    pub state_dir: PathBuf,
    /// Be the witness of the table witness_server, for the pairs of other machines, and nothing else
    #[arg(long)]
    pub witness: bool,
    /// Print the fingerprint of this node's certificate (with --witness: of this witness's), make it if needed, and end
    #[arg(long)]
    pub fingerprint: bool,
    /// Run without the guardian process that hands over and restarts the daemon when it dies (for debuggers)
    #[arg(long)]
    pub no_guardian: bool,
    /// error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub log_level: tracing::Level,
}
