//! Words after `ha`.

use crate::cli::args::Switch;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum HaCommand {
    /// Who serves, whether the other node could, and what is in the way
    ///
    /// Exit codes: 0 the pair is whole, 1 refused, 2 something keeps it from a takeover by itself.
    Status {
        /// Which pair [default: all of them]
        #[arg(long, value_name = "NAME")]
        pair: Option<String>,
        /// As JSON, for scripts
        #[arg(long)]
        json: bool,
    },
    /// What is configured and how it is, one line for each thing; also while tandemd is down, as it was last
    Info {
        /// Which pair [default: all of them]
        #[arg(long, value_name = "NAME")]
        pair: Option<String>,
        /// As JSON, for scripts
        #[arg(long)]
        json: bool,
    },
    /// What happened to the pair, newest last; also while tandemd is down
    History {
        /// Which pair [default: all of them]
        #[arg(long, value_name = "NAME")]
        pair: Option<String>,
        /// So many at most
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=crate::events::LIMIT as u64))]
        limit: u64,
        /// One JSON object a line, for scripts
        #[arg(long)]
        json: bool,
    },
    /// This node shall stand alone: forget the other one, also if it is gone for good
    Remove {
        /// Which pair, if there are several
        #[arg(long, value_name = "NAME")]
        pair: Option<String>,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// The answer as JSON, for scripts
        #[arg(long)]
        json: bool,
    },
    /// The certificates that this node accepts
    Tofu {
        #[command(subcommand)]
        command: TofuCommand,
    },
    /// The secondary shall serve
    Failover(HaForce),
    /// The primary shall serve again
    Failback(HaForce),
    /// A failover as a drill: only while everything is well on both nodes
    ForceFailover(HaAct),
    /// The node that does not serve shall, now or at a time
    ///
    /// With --at the node that is asked keeps the plan, also over a restart, and `ha status` shows it there.
    Switchover(HaSwitchover),
    /// This node shall not take over, whatever happens; or may again
    Standby {
        /// On or off
        mode: Switch,
        #[command(flatten)]
        act: HaAct,
    },
    /// What would happen now if this happened; nothing moves
    Simulate(HaSimulate),
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
    Authkey(AuthkeyWish),
    /// Register with the other node, which was given the same key by `ha authkey`
    ///
    /// Stays until the pair is whole. What is configured counts: other words are refused if they differ from it.
    ///
    /// Exit codes: 0 the pair is whole, 1 refused, 2 registered, but the pair was not whole in time or it was interrupted.
    Register(RegisterWish),
    /// Write the pair's configuration, as escadm does; on both nodes with the same words
    ///
    /// It writes conf.d/50-ha-set.toml beside the configuration file, once the daemon's own parser accepts it; said again, it changes
    /// there what is asked for. Nothing is applied before `tandemadm reload` or `tandemadm restart`: the answer says which.
    ///
    /// Exit codes: 0 done, or it was so already, 64 wrong words, 70 a file cannot be written, 77 not permitted, 78 the configuration
    /// does not allow it.
    Set(SetWish),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct SetWish {
    /// The virtual address, also with the network's prefix (IP/PREFIX), and with its interface if that is not --kad_vif
    #[arg(long = "kad_vip", alias = "kad-vip", value_name = "IP[:IF]")]
    pub(in crate::cli) kad_vip: Option<String>,
    /// The interface that VRRP is spoken on, and where the virtual address is
    #[arg(long = "kad_vif", alias = "kad-vif", value_name = "IF")]
    pub(in crate::cli) kad_vif: Option<String>,
    /// Virtual router id, the same on both nodes [default: 51]
    #[arg(long = "kad_vri", alias = "kad-vri", value_name = "ID", value_parser = clap::value_parser!(u8).range(1..))]
    pub(in crate::cli) kad_vri: Option<u8>,
    /// Addresses of the two nodes, also as IP,IP; the first is the primary
    #[arg(long = "ha_node_list", alias = "ha-node-list", value_name = "IP IP", num_args = 1..=2)]
    pub(in crate::cli) ha_node_list: Vec<String>,
    /// The second one of --ha_node_list=IP IP
    #[arg(value_name = "IP", requires = "ha_node_list")]
    pub(in crate::cli) second: Option<String>,
    /// The main configuration file [default: the running daemon's, or /etc/tandem/tandem.toml]
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) config: Option<PathBuf>,
    /// The answer as JSON, for scripts
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct AuthkeyWish {
    /// File with the key, mode 600
    #[arg(required_unless_present = "withdraw")]
    pub(in crate::cli) file: Option<PathBuf>,
    /// No node may register any more; what is registered stays
    #[arg(long, conflicts_with_all = ["file", "replace"])]
    pub(in crate::cli) withdraw: bool,
    /// A new machine takes the place of the other node, which is dead; this one serves on
    #[arg(long)]
    pub(in crate::cli) replace: bool,
    /// Do not ask
    #[arg(long, requires = "replace")]
    pub(in crate::cli) yes: bool,
    /// Which pair, if there are several
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) pair: Option<String>,
    /// The answer as JSON, for scripts
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RegisterWish {
    /// File with the key, mode 600
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) authkey_file: PathBuf,
    /// Which pair, if there are several
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) pair: Option<String>,
    /// The other node, by address or name; as `peer` of the pair
    #[arg(long, value_name = "HOST")]
    pub(in crate::cli) secondary: Option<String>,
    /// A virtual address; as `virtual_ipaddress` of its vrrp_instance
    #[arg(long, value_name = "ADDR")]
    pub(in crate::cli) vip: Vec<String>,
    /// As `failover` of the pair
    #[arg(long, value_name = "MODE")]
    pub(in crate::cli) failover: Option<ModeWord>,
    /// Stay so long at most until the pair is whole [default: while data are copied, and a minute for everything else]
    #[arg(long, value_name = "SECONDS", conflicts_with = "no_wait")]
    pub(in crate::cli) wait: Option<u64>,
    /// Do not stay until the pair is whole
    #[arg(long)]
    pub(in crate::cli) no_wait: bool,
    /// The answer as JSON, for scripts
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(in crate::cli) enum ModeWord {
    Manual,
    Automatic,
}

impl From<ModeWord> for crate::pair::Mode {
    fn from(word: ModeWord) -> Self {
        match word {
            ModeWord::Manual => crate::pair::Mode::Manual,
            ModeWord::Automatic => crate::pair::Mode::Automatic,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum TofuCommand {
    /// This node's own, and those of others
    List {
        /// As JSON, for scripts
        #[arg(long)]
        json: bool,
    },
    /// Forget that of a node: it has to register again
    Delete {
        /// Its name or address
        host: String,
        /// The answer as JSON, for scripts
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub(in crate::cli) struct HaAct {
    /// The answer as JSON, for scripts
    #[arg(long)]
    pub(in crate::cli) json: bool,
    /// Which pair, if there are several
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) pair: Option<String>,
    /// Said twice with the same ID, it is done once
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) id: Option<String>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct HaSimulate {
    /// What happens; several happen at once
    #[arg(required_unless_present = "list", value_name = "EVENT", num_args = 1..=crate::control::simulation::TOGETHER, hide_possible_values = true,
        value_parser = clap::builder::PossibleValuesParser::new(crate::pair::OCCURRENCES.map(|(_, word, _)| word)))]
    pub(in crate::cli) events: Vec<String>,
    /// What may be asked about, each with what it means
    #[arg(long)]
    pub(in crate::cli) list: bool,
    /// Which pair, if there are several
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) pair: Option<String>,
    /// As JSON, for scripts
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct HaSwitchover {
    /// When: 2026-11-22T02:00:00+01:00, or 02:00 for the next time that the clock shows it; at most 30 days ahead
    #[arg(long, value_name = "TIME")]
    pub(in crate::cli) at: Option<String>,
    /// Do not do what is planned
    #[arg(long, conflicts_with = "at")]
    pub(in crate::cli) cancel: bool,
    #[command(flatten)]
    pub(in crate::cli) act: HaAct,
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
