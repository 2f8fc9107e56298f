//! Addresses that a killed daemon left behind: found and removed at start.
//!
//! An address is a left-over if it carries tandemd's tag (`IFA_PROTO`, Linux 5.18) and this daemon manages
//! it: it stands in the configuration, or in the list that the last run of the same run directory wrote
//! before it began. The tag alone would not do, since several daemons may run on one machine; the list
//! alone would not either, since an address that was there before tandemd is never removed.

use super::routing_leftovers;
use crate::config::Config;
use crate::net::NetError;
use crate::net::interface::{IFAPROT_TANDEM, InterfaceAddress};
use crate::net::netlink::{AddressOp, AddressSpec, Netlink};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use tracing::{error, warn};

/// Name of the list in the run directory.
const LIST: &str = "addresses.json";

/// An address that the daemon may put on an interface.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
struct Managed {
    instance: String,
    interface: String,
    address: IpAddr,
    prefix_len: u8,
}

fn managed(config: &Config) -> BTreeSet<Managed> {
    let of = |i: &crate::config::Instance| {
        i.all_addresses()
            .map(|a| Managed {
                instance: i.name.clone(),
                interface: a.dev.clone().unwrap_or_else(|| i.interface.clone()),
                address: a.address,
                prefix_len: a.prefix_len,
            })
            .collect::<Vec<_>>()
    };
    config.instances.iter().flat_map(of).collect()
}

fn read(run_dir: &Path) -> BTreeSet<Managed> {
    // No list, or one that a crash cut short: then the configuration alone says what is ours.
    let text = std::fs::read(run_dir.join(LIST)).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// Writes the list of everything that `configs` may put on an interface. Called before a configuration is
/// used, with the old one as well while both are in use.
pub(super) fn remember(run_dir: &Path, configs: &[&Config]) -> io::Result<()> {
    let all: BTreeSet<Managed> = configs.iter().flat_map(|c| managed(c)).collect();
    let text = serde_json::to_vec(&all)?;
    let temporary = run_dir.join(format!("{LIST}.new"));
    std::fs::write(&temporary, text)?;
    std::fs::rename(temporary, run_dir.join(LIST))?;
    routing_leftovers::remember(run_dir, configs)
}

/// What [`clean`] did.
#[derive(Debug, Default)]
pub(super) struct Cleaned {
    /// In words, such as `ADDRESS/PREFIX on INTERFACE`.
    pub(super) removed: Vec<String>,
    /// What could not be removed, and why.
    pub(super) failed: Vec<String>,
}

impl Cleaned {
    /// Writes it to the log; `by`: who left it behind.
    pub(super) fn log(&self, by: &str) {
        self.removed.iter().for_each(|what| warn!("removed {what}, left behind by {by}"));
        self.failed.iter().for_each(|why| error!("something that {by} left behind is still there: {why}"));
    }
}

/// Removes left-overs, but not those of the instances in `keep`. What cannot be removed keeps nothing else back.
pub(super) fn clean(run_dir: &Path, config: Option<&Config>, keep: &[String]) -> Cleaned {
    let mut done = Cleaned::default();
    let parts = [routing_leftovers::clean, clean_addresses];
    for part in parts {
        if let Err(e) = part(run_dir, config, keep, &mut done) {
            done.failed.push(e.to_string());
        }
    }
    done
}

fn clean_addresses(
    run_dir: &Path,
    config: Option<&Config>,
    keep: &[String],
    done: &mut Cleaned,
) -> Result<(), NetError> {
    let listed = read(run_dir);
    // What the configuration, if there is one, does not name any more is nobody's to keep.
    let known = config.map_or_else(|| listed.clone(), managed);
    let place = |m: &Managed| (m.address, m.prefix_len);
    let kept: BTreeSet<(IpAddr, u8)> =
        known.iter().filter(|m| keep.contains(&m.instance)).map(place).collect();
    let ours: BTreeSet<(IpAddr, u8)> =
        known.iter().chain(&listed).map(place).filter(|p| !kept.contains(p)).collect();
    if ours.is_empty() {
        return Ok(());
    }
    let mut netlink = Netlink::open()?;
    let links = netlink.links()?;
    let name = |ifindex: u32| links.iter().find(|l| l.ifindex == ifindex).map_or("", |l| l.name.as_str());
    let found: Vec<InterfaceAddress> = netlink
        .addresses()?
        .into_iter()
        // Whatever interface it is on by name now: a rename does not make it somebody else's.
        .filter(|a| a.protocol == IFAPROT_TANDEM && ours.contains(&(a.address, a.prefix_len)))
        .collect();
    let ops: Vec<AddressOp> = found
        .iter()
        .map(|a| AddressOp::Remove(AddressSpec::bare(a.ifindex, a.address, a.prefix_len)))
        .collect();
    let results = netlink.change_addresses(&ops);
    for (a, result) in found.iter().zip(results) {
        match result {
            Ok(_) => done.removed.push(format!("{}/{} on {}", a.address, a.prefix_len, name(a.ifindex))),
            Err(e) => done.failed.push(e.to_string()),
        }
    }
    Ok(())
}
