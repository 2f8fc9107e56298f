//! Command line of `tandemadm`.

use super::ha::HaCommand;
use clap::{Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Shows and steers a running tandemd.
#[derive(Debug, Parser)]
#[command(
    name = "tandemadm",
    version,
    after_help = "Exit codes: 0 ok, 1 refused by tandemd, 64 wrong usage, 69 tandemd is not reachable,\n\
                  70 internal error, 77 not permitted, 78 mistakes in the configuration.\n\
                  import: 0 all translated, 1 some of it not, 2 a file cannot be read or parsed.\n\
                  health: 0 ok, 1 warnings, 2 failed, 3 no daemon.\n\
                  ha status: 2 something keeps the pair from a takeover.\n\
                  resource ... --wait: 1 also where it did not get there."
)]
pub(super) struct Args {
    /// Run directory of the daemon
    #[arg(long, global = true, value_name = "DIR", default_value = "/run/tandem")]
    pub(super) run_dir: PathBuf,
    /// State directory of the daemon, for what is read while it is down
    #[arg(long, global = true, value_name = "DIR", default_value = "/var/lib/tandem")]
    pub(super) state_dir: PathBuf,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Who is master, of what, since when
    Status {
        /// As JSON, for scripts
        #[arg(long)]
        json: bool,
        /// Again and again, every SECONDS (default 1)
        #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "1")]
        watch: Option<f64>,
        /// Also every address, prefix, route, rule, track and resource
        #[arg(short, long)]
        verbose: bool,
    },
    /// Why it is so, in sentences
    Why {
        /// Only this instance
        instance: Option<String>,
    },
    /// Counters since the start
    Stats {
        /// As JSON, for scripts
        #[arg(long)]
        json: bool,
        /// Also those that are zero
        #[arg(long)]
        all: bool,
    },
    /// Read the configuration again; a bad one changes nothing
    Reload {
        /// The answer as JSON, for scripts
        #[arg(long)]
        json: bool,
    },
    /// Restart the daemon by the service manager, and wait until it answers; says what becomes of the service
    ///
    /// Exit codes: 0 the new daemon answers, 1 refused or not there in time, 69 no daemon runs, 78 it would not start again.
    Restart {
        /// At most SECONDS
        #[arg(long, value_name = "SECONDS", default_value = "300")]
        wait: f64,
        /// The answer as JSON, for scripts
        #[arg(long)]
        json: bool,
    },
    /// Is this node well? One line for each problem; the exit code says it
    ///
    /// Exit codes: 0 nothing is wrong, 1 warnings (it does its work, somebody should look), 2 failed, 3 no daemon answers.
    Health {
        /// As JSON, for scripts
        #[arg(long)]
        json: bool,
    },
    /// About this server: version, role, services, since when, memory, disk
    Info {
        /// As JSON, for scripts
        #[arg(long)]
        json: bool,
    },
    /// What is started and stopped on this node: show it, steer it
    Resource {
        #[command(subcommand)]
        command: ResourceWords,
    },
    /// Nothing is monitored and nothing moves while it is on; without a word: is it?
    Maintenance {
        /// On, before work on this machine, or off
        mode: Option<Switch>,
        /// As JSON, for scripts
        #[arg(long, conflicts_with = "mode")]
        json: bool,
    },
    /// The pair: who serves, and who should
    Ha {
        #[command(subcommand)]
        command: HaCommand,
    },
    /// Configuration files
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Translate a keepalived.conf; what is not the same is listed on standard error
    ///
    /// Exit codes: 0 everything is translated (differences are listed), 1 something has no counterpart or was refused,
    /// 2 a file cannot be read or parsed.
    Import {
        /// keepalived's main file; what it includes is read as well
        file: PathBuf,
        /// Write here instead of to standard output (-)
        #[arg(long, short, value_name = "FILE", default_value = "-")]
        output: PathBuf,
        /// What @id lines are compared with (keepalived -i) [default: the host name up to its first dot]
        #[arg(long, value_name = "ID")]
        id: Option<String>,
        /// Replace the output file if it exists
        #[arg(long)]
        force: bool,
        /// Findings (and without --output the TOML) as JSON on standard output
        #[arg(long)]
        json: bool,
    },
    /// Replicated data: where it stands, verify, end a split brain, DRBD's configuration
    Data {
        #[command(subcommand)]
        command: DataCommand,
    },
    /// What happened on this node, newest last; also while tandemd is down
    Events(EventsWish),
    /// For those who look for a defect
    Debug {
        #[command(subcommand)]
        command: DebugCommand,
    },
    /// Show or set the log level of the running daemon
    LogLevel {
        /// The new level
        level: Option<Level>,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum DebugCommand {
    /// Run what the pairs decided through the rules of this version, and show what comes out otherwise
    ///
    /// Exit codes: 0 nothing does, 1 something does, 70 the files cannot be read.
    Replay {
        /// Where the inputs are [default: `decisions` below the state directory]
        dir: Option<PathBuf>,
        /// As JSON, for scripts
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct EventsWish {
    /// Go on with what happens, until interrupted
    #[arg(short, long)]
    pub(super) follow: bool,
    /// How long ago (90s, 15m, 2h, 3d, 1w), when (14:00, 2026-11-21 14:00), or after the event with this id
    #[arg(long, value_name = "WHEN")]
    pub(super) since: Option<String>,
    /// Only what has to do with this: a name, a kind (instance, group, track, resource, pair, daemon, operator), a user, a peer
    #[arg(long, value_name = "NAME")]
    pub(super) about: Option<String>,
    /// So many at most; the newest, but with an id after --since the first [default: 100, with --since 10000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=crate::events::LIMIT as u64))]
    pub(super) limit: Option<u64>,
    /// One JSON object a line, for scripts
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum ResourceWords {
    /// A table: name, kind, state, since when and why
    List {
        /// As JSON, for scripts
        #[arg(long)]
        json: bool,
    },
    /// What stands on what, with states
    Graph {
        /// For Graphviz: tandemadm resource graph --dot | dot -Tsvg
        #[arg(long)]
        dot: bool,
        /// As JSON, for scripts
        #[arg(long, conflicts_with = "dot")]
        json: bool,
        /// Of this configuration file instead of the running daemon; without states
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Bring it up, with what it needs; where this node is to be active
    Start(Act),
    /// Take it down, with what needs it, and keep it down until start
    Stop(Act),
    /// Take it down and up again, with what needs it
    Restart(Act),
    /// Forget its failures: what has failed or is stuck is tried again
    Clear(Act),
}

/// What a resource is told.
#[derive(Debug, clap::Args)]
pub(super) struct Act {
    /// A resource, or a group for all its members
    pub(super) name: String,
    /// Until it is there, SECONDS at most (default 300)
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "300")]
    pub(super) wait: Option<f64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum Switch {
    On,
    Off,
}

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Find every mistake, with the daemon's own parser; the daemon need not run
    Check {
        /// File to check; conf.d/*.toml beside it are read as well
        #[arg(default_value = "/etc/tandem/tandem.toml")]
        file: PathBuf,
        /// As JSON, for editors
        #[arg(long)]
        json: bool,
    },
    /// The effective configuration: with defaults, secrets masked
    Show {
        /// Of this file instead of the running daemon
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum DataCommand {
    /// Role, state and progress of both copies
    ///
    /// Exit codes: 0 both copies are up to date, 1 one of them is not, or cannot be read.
    Status {
        /// Only this resource
        name: Option<String>,
        /// As JSON, for scripts
        #[arg(long)]
        json: bool,
    },
    /// Compare both copies; returns when that has begun
    Verify {
        /// Name of the resource
        name: String,
    },
    /// End a split brain: say whose writes stay. To be said on both nodes
    Recover {
        /// Name of the resource
        name: String,
        /// local: this node's writes stay; peer: the other node's, and this node's are thrown away
        #[arg(long)]
        keep: Keep,
        /// With --keep peer: even if this node's writes cannot be kept in a snapshot
        #[arg(long)]
        no_copy: bool,
    },
    /// Print the DRBD resource file to use, the same for both nodes; the daemon need not run
    Config(DataConfig),
}

#[derive(Debug, clap::Args)]
pub(super) struct DataConfig {
    /// Name of the resource in DRBD
    pub(super) name: String,
    /// One of the two nodes: its name (uname -n) and its address on the replication link; given twice
    #[arg(long = "host", value_name = "NAME[=ADDRESS]")]
    pub(super) hosts: Vec<String>,
    /// The disk below, on both nodes
    #[arg(long, value_name = "PATH")]
    pub(super) disk: Option<String>,
    /// The device that is made
    #[arg(long, value_name = "PATH", default_value = "/dev/drbd0")]
    pub(super) device: String,
    /// TCP port of the replication link
    #[arg(long, default_value_t = 7788, value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) port: u16,
    /// Which DRBD reads the file [default: that of this machine]
    #[arg(long, value_name = "VERSION")]
    pub(super) drbd: Option<DrbdVersion>,
    /// Keep a snapshot of the old data while newer blocks come; the disk has to be an LVM volume
    #[arg(long)]
    pub(super) snapshot: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Keep {
    Local,
    Peer,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum DrbdVersion {
    #[value(name = "8.4")]
    V84,
    #[value(name = "9")]
    V9,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl Level {
    pub(super) fn word(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "info",
            Level::Debug => "debug",
            Level::Trace => "trace",
        }
    }
}
