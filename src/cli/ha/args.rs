//! Words after `ha`.

use crate::cli::args::Switch;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum HaCommand {
    /// Who serves, whether the other node could, and what is in the way
    Status {
        /// As JSON, for scripts
        #[arg(long)]
        json: bool,
    },
    /// The secondary shall serve
    Failover(HaForce),
    /// The primary shall serve again
    Failback(HaForce),
    /// A failover as a drill: only while everything is well on both nodes
    ForceFailover(HaAct),
    /// The node that does not serve shall
    Switchover(HaAct),
    /// This node shall not take over, whatever happens; or may again
    Standby {
        /// On or off
        mode: Switch,
        #[command(flatten)]
        act: HaAct,
    },
    /// Forget what has failed: takeovers are no longer locked out
    Clear(HaAct),
    /// After a split brain: whose data stay
    Keep {
        /// This node's or the other one's
        side: Side,
        #[command(flatten)]
        act: HaAct,
    },
    /// Let the other node register with this key, for a quarter of an hour
    Authkey {
        /// File with the key, mode 600
        file: PathBuf,
        /// Which pair, if there are several
        #[arg(long, value_name = "NAME")]
        pair: Option<String>,
    },
    /// Register with the other node, which was given the same key by `ha authkey`
    Register {
        /// File with the key, mode 600
        #[arg(long, value_name = "FILE")]
        authkey_file: PathBuf,
        /// Which pair, if there are several
        #[arg(long, value_name = "NAME")]
        pair: Option<String>,
    },
}

#[derive(Debug, Args)]
pub(in crate::cli) struct HaAct {
    /// Which pair, if there are several
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) pair: Option<String>,
    /// Said twice with the same ID, it is done once
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) id: Option<String>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct HaForce {
    /// Also with data that are not current, and without what cannot be asked: what is lost then is lost
    #[arg(long)]
    pub(in crate::cli) force: bool,
    #[command(flatten)]
    pub(in crate::cli) act: HaAct,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(in crate::cli) enum Side {
    Local,
    Peer,
}
