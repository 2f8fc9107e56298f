//! What a killed daemon left behind besides its addresses: virtual MAC interfaces, changed kernel settings, the
//! nft table. Each says by its tag, or by the list in the run directory, that it is ours.

use super::kept::KeptSettings;
use super::protocol::{filter_mark, filter_tag, vmac_tag};
use crate::config::{Config, Instance};
use crate::net::NetError;
use crate::net::macvlan::{Found, Macvlans, virtual_mac};
use crate::net::netlink::Netlink;
use crate::net::nft::{self, Guard};
use std::path::Path;

/// What was done at start.
#[derive(Debug, Default)]
pub(super) struct Cleaned {
    /// What was removed or put back, in words.
    pub(super) done: Vec<String>,
    /// What was not.
    pub(super) errors: Vec<String>,
}

/// Whose things stay: instances that the next daemon takes over as they are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keep<'a> {
    /// Their names.
    pub(super) instances: &'a [String],
    /// The configuration that will be used, if it is known: what it does not want any more goes.
    pub(super) config: Option<&'a Config>,
}

impl Keep<'_> {
    /// A kept instance for which this holds, or may hold.
    fn any(&self, which: impl Fn(&Instance) -> bool) -> bool {
        let kept = |i: &&Instance| self.instances.contains(&i.name);
        match self.config {
            Some(config) => config.instances.iter().filter(kept).any(which),
            None => !self.instances.is_empty(),
        }
    }

    fn wants_link(&self, found: &Found, tag: &str) -> bool {
        let name = found.alias.get(tag.len()..).unwrap_or_default();
        let fits = |i: &Instance| {
            let mac = virtual_mac(i.router.family, i.router.vrid);
            let same = i.vmac.as_ref().is_some_and(|v| v.interface == found.link.name);
            i.name == name && same && found.link.mac == Some(mac)
        };
        self.instances.iter().any(|i| i == name) && self.any(fits)
    }
}

/// Removes what is left; after the addresses, so that none of them accepts for a moment what it must not.
pub(super) fn clean(run_dir: &Path, keep: Keep<'_>) -> Cleaned {
    let mut cleaned = Cleaned::default();
    for step in [links, settings, table] {
        if let Err(e) = step(run_dir, keep, &mut cleaned) {
            cleaned.errors.push(format!("cannot look for left-overs: {e}"));
        }
    }
    cleaned
}

fn links(run_dir: &Path, keep: Keep<'_>, cleaned: &mut Cleaned) -> Result<(), NetError> {
    let mut macvlans = Macvlans::open()?;
    let tag = vmac_tag(run_dir);
    for found in macvlans.tagged(&tag)?.into_iter().filter(|f| !keep.wants_link(f, &tag)) {
        let name = &found.link.name;
        match macvlans.delete(found.link.ifindex, name) {
            Ok(()) => cleaned.done.push(format!("removed interface {name}")),
            Err(e) => cleaned.errors.push(e.to_string()),
        }
    }
    Ok(())
}

fn settings(run_dir: &Path, keep: Keep<'_>, cleaned: &mut Cleaned) -> Result<(), NetError> {
    let mut kept = KeptSettings::load(run_dir);
    let interfaces = kept.interfaces();
    // The next daemon takes the list over, and puts back what it does not need.
    if interfaces.is_empty() || keep.any(|i| i.vmac.is_some()) {
        return Ok(());
    }
    let links = Netlink::open()?.links()?;
    for ifindex in interfaces {
        let name = links.iter().find(|l| l.ifindex == ifindex).map(|l| l.name.as_str());
        let restored = kept.restore(ifindex, name);
        cleaned.done.extend(restored.settings.into_iter().map(|s| format!("put back {s}")));
        cleaned.errors.extend(restored.errors);
    }
    Ok(())
}

fn table(run_dir: &Path, keep: Keep<'_>, cleaned: &mut Cleaned) -> Result<(), NetError> {
    let mark = filter_mark(run_dir);
    let may_exist = mark.exists() || keep.config.is_some_and(drops_packets);
    if !may_exist || keep.any(Instance::drops_packets) {
        return Ok(());
    }
    if Guard::open(&filter_tag(run_dir))?.clean()? {
        cleaned.done.push(format!("removed nft table inet {}", nft::TABLE));
    }
    // One that stays makes the next start look once more.
    let _ = std::fs::remove_file(mark);
    Ok(())
}

fn drops_packets(config: &Config) -> bool {
    config.instances.iter().any(Instance::drops_packets)
}

/// Has the kernel load the modules that a configuration needs, which takes a disk's time: not on the protocol
/// thread. What is not possible shows there, as the fault of the instance that wants it.
pub(super) fn load_modules(run_dir: &Path, config: &Config) {
    if config.instances.iter().any(|i| i.vmac.is_some())
        && let Err(e) = Macvlans::open().and_then(|mut m| m.probe())
    {
        tracing::debug!("{e}");
    }
    if drops_packets(config)
        && let Err(e) = Guard::open(&filter_tag(run_dir)).and_then(|mut g| g.probe())
    {
        tracing::debug!("{e}");
    }
}
