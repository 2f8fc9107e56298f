//! Virtual MAC interfaces of instances with `use_vmac`.
//!
//! Such an interface lives as long as its instance, but it is up only while the instance holds its addresses:
//! down it takes no frames for the virtual MAC and sends none (no IGMP, MLD or answers that would draw the
//! switches to a BACKUP), as RFC 9568 6.4.2 asks.

use super::Protocol;
use super::instances::Running;
use super::ports::Lane;
use crate::config::Instance;
use crate::daemon::kept::{KeptSettings, Wish};
use crate::net::NetError;
use crate::net::interface::{Link, NetEvent};
use crate::net::macvlan::{Found, Macvlans, Plan, virtual_mac};
use crate::net::sysctl;
use crate::net::table::InterfaceTable;
use crate::time::Instant;
use crate::vrrp::{Family, RouterId};
use nix::errno::Errno;
use std::collections::BTreeMap;
use std::path::Path;

/// How the alias of every virtual MAC interface of this run directory begins.
pub(in crate::daemon) fn tag(run_dir: &Path) -> String {
    format!("tandemd {}: ", run_dir.display())
}

/// The interface below answers for its own addresses only (`arp_ignore`), and asks in their name only
/// (`arp_announce`): otherwise hosts would learn virtual addresses with its MAC.
const BELOW: [Wish; 2] = [
    Wish { family: Family::Ipv4, key: "arp_ignore", value: "1", fine: &["2", "8"] },
    Wish { family: Family::Ipv4, key: "arp_announce", value: "2", fine: &[] },
];

/// What an instance wants.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Wanted {
    /// Name of the interface below.
    parent: String,
    mac: [u8; 6],
    /// IPv6 addresses will stand on it.
    ipv6: bool,
    instance: String,
}

/// An interface that tandemd made.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Made {
    ifindex: u32,
    /// The interface below: index and name.
    below: (u32, String),
    mac: [u8; 6],
    ipv6: bool,
    up: bool,
}

/// All of them, by name.
#[derive(Debug)]
pub(super) struct Vmacs {
    tag: String,
    macvlans: Option<Macvlans>,
    kept: KeptSettings,
    made: BTreeMap<String, Made>,
    errors: BTreeMap<String, String>,
    /// Those that the last refresh made.
    fresh: Vec<String>,
    /// When one was last deleted, which takes the kernel some 20 ms: one a turn, so that advertisements go out in between.
    deleted: Option<Instant>,
    /// More are to be deleted.
    behind: bool,
}

impl Vmacs {
    pub(super) fn new(run_dir: &Path) -> Self {
        Vmacs {
            tag: tag(run_dir),
            macvlans: None,
            kept: KeptSettings::load(run_dir),
            made: BTreeMap::new(),
            errors: BTreeMap::new(),
            fresh: Vec::new(),
            deleted: None,
            behind: false,
        }
    }

    /// True while some that nobody wants any more are still there.
    pub(super) fn is_behind(&self) -> bool {
        self.behind
    }

    /// The index of the instance's virtual MAC interface.
    pub(super) fn ifindex(&self, config: &Instance) -> Option<u32> {
        let made = self.made.get(&config.vmac.as_ref()?.interface)?;
        (made.mac == mac(config)).then_some(made.ifindex)
    }

    /// Why the instance has none though it wants one.
    pub(super) fn problem(&self, config: &Instance) -> Option<String> {
        let name = &config.vmac.as_ref()?.interface;
        if self.ifindex(config).is_some() {
            return None;
        }
        let still = || format!("interface {name} is still in use by a virtual router that is leaving");
        Some(self.errors.get(name).cloned().unwrap_or_else(still))
    }

    fn macvlans(&mut self) -> Result<&mut Macvlans, NetError> {
        match &mut self.macvlans {
            Some(m) => Ok(m),
            none => Ok(none.insert(Macvlans::open()?)),
        }
    }

    /// Makes what is wanted and missing, removes what is not wanted any more. Returns what to log.
    fn refresh(
        &mut self,
        now: Instant,
        wanted: &BTreeMap<String, Vec<Wanted>>,
        table: &mut InterfaceTable,
    ) -> Vec<Line> {
        let mut lines = Vec::new();
        self.behind = false;
        for (name, made) in self.made.clone() {
            // Somebody else may have removed it, or the interface below took it along.
            let there = table.by_index(made.ifindex).is_some();
            let below = table.by_index(made.below.0).is_some_and(|l| l.name == made.below.1);
            let stays = wanted
                .get(&name)
                .is_some_and(|all| all.iter().any(|w| w.mac == made.mac && w.parent == made.below.1));
            if there && below && stays {
                continue;
            }
            if there && self.deleted == Some(now) {
                self.behind = true;
                continue;
            }
            self.made.remove(&name);
            if there {
                self.deleted = Some(now);
                lines.extend(self.delete(&name, made.ifindex, table));
            }
        }
        lines.extend(self.restore_unused(table));
        self.errors.clear();
        self.fresh.clear();
        for (name, all) in wanted {
            let ipv6 = all.iter().any(|w| w.ipv6);
            if let Some(made) = self.made.get_mut(name) {
                made.ipv6 = ipv6;
                continue;
            }
            let Some(first) = all.first() else { continue };
            // An interface below that is missing is a fault of its own.
            let Some(below) = table.by_name(&first.parent).map(|l| l.ifindex) else { continue };
            match self.make(name, below, &Wanted { ipv6, ..first.clone() }, table) {
                Ok(line) => {
                    self.fresh.push(name.clone());
                    lines.push(line);
                }
                Err(e) => drop(self.errors.insert(name.clone(), e)),
            }
        }
        lines
    }

    fn make(
        &mut self,
        name: &str,
        below: u32,
        w: &Wanted,
        table: &mut InterfaceTable,
    ) -> Result<Line, String> {
        let alias = format!("{}{}", self.tag, w.instance);
        let plan = Plan { name, parent: below, mac: w.mac, alias: &alias };
        let tag = self.tag.clone();
        let macvlans = self.macvlans().map_err(|e| e.to_string())?;
        let found = match adopt(macvlans, &tag, &plan).map_err(|e| e.to_string())? {
            Some(found) => found,
            None => macvlans.create(&plan).map_err(|e| explain(&e, name))?,
        };
        let Link { ifindex, up, .. } = found.link;
        table.apply(&NetEvent::LinkNew(found.link));
        let made = Made { ifindex, below: (below, w.parent.clone()), mac: w.mac, ipv6: w.ipv6, up };
        let set = self.settle(name, &made);
        if let Err(e) = set {
            self.delete(name, ifindex, table);
            self.restore_unused(table);
            return Err(e);
        }
        self.made.insert(name.to_owned(), made);
        Ok(Line {
            warning: false,
            text: format!("made interface {name} over {} for its virtual MAC", w.parent),
        })
    }

    /// Kernel settings, of the interface below and its own. Made again they mend what was changed since:
    /// udev(7) applies sysctl.d(5) to every new interface a moment after its birth.
    fn settle(&mut self, name: &str, made: &Made) -> Result<(), String> {
        let failed = |ifname: &str, e: std::io::Error| format!("cannot change settings of {ifname}: {e}");
        let (below, parent) = &made.below;
        self.kept.hold(*below, parent, &BELOW).map_err(|e| failed(parent, e))?;
        own_settings(name, parent, made.ipv6).map_err(|e| failed(name, e))
    }

    fn delete(&mut self, name: &str, ifindex: u32, table: &mut InterfaceTable) -> Option<Line> {
        let gone = self.macvlans().and_then(|m| m.delete(ifindex, name));
        table.apply(&NetEvent::LinkGone { ifindex });
        gone.err().map(|e| Line { warning: true, text: e.to_string() })
    }

    /// Puts back the settings of interfaces that no virtual MAC interface lies over any more.
    fn restore_unused(&mut self, table: &InterfaceTable) -> Vec<Line> {
        let mut lines = Vec::new();
        for below in self.kept.interfaces() {
            if self.made.values().any(|m| m.below.0 == below) {
                continue;
            }
            let name = table.by_index(below).map(|l| l.name.clone());
            let restored = self.kept.restore(below, name.as_deref());
            lines.extend(restored.errors.into_iter().map(|text| Line { warning: true, text }));
        }
        lines
    }

    /// Takes the interface up or down.
    fn set_up(&mut self, name: &str, up: bool) -> Result<(), String> {
        let Some(made) = self.made.get(name).cloned() else { return Ok(()) };
        let settled = if up { self.settle(name, &made) } else { Ok(()) };
        let macvlans = self.macvlans().map_err(|e| e.to_string())?;
        macvlans.set_up(made.ifindex, name, up).map_err(|e| e.to_string())?;
        if let Some(made) = self.made.get_mut(name) {
            made.up = up;
        }
        settled
    }
}

/// Something to log.
struct Line {
    warning: bool,
    text: String,
}

/// The instance's virtual MAC.
pub(super) fn mac(config: &Instance) -> [u8; 6] {
    virtual_mac(config.router.family, config.router.vrid)
}

/// One that an earlier daemon of the same guardian left in place. If it does not fit any more it goes.
fn adopt(macvlans: &mut Macvlans, tag: &str, plan: &Plan<'_>) -> Result<Option<Found>, NetError> {
    let Some(found) = macvlans.find(plan.name)?.filter(|f| f.is_tagged(tag)) else { return Ok(None) };
    if (found.parent, found.link.mac) == (plan.parent, Some(plan.mac)) {
        return Ok(Some(found));
    }
    macvlans.delete(found.link.ifindex, plan.name)?;
    Ok(None)
}

fn explain(e: &NetError, name: &str) -> String {
    match e.errno {
        Errno::EEXIST => format!(
            "an interface named {name} exists and was not made by this tandemd: remove it, or choose another \
             name with vmac_interface"
        ),
        Errno::EOPNOTSUPP => format!("{e}: this kernel has no macvlan"),
        _ => e.to_string(),
    }
}

/// Settings of the virtual MAC interface itself, which end with it.
///
/// Packets come in here from hosts whose route leads through the interface below: the reverse path is
/// checked loosely where it is checked at all (2 wins over `all` = 1).
fn own_settings(name: &str, parent: &str, ipv6: bool) -> std::io::Result<()> {
    let filter = |of: &str| sysctl::get(Family::Ipv4, of, "rp_filter").unwrap_or_default();
    let checks = [filter("all"), filter(parent)].iter().any(|v| !matches!(v.as_str(), "0" | ""));
    let v4 = [
        ("arp_ignore", "1"),
        ("arp_announce", "2"),
        ("rp_filter", if checks { "2" } else { "0" }),
        ("promote_secondaries", "1"),
    ];
    for (key, value) in v4 {
        sysctl::set(Family::Ipv4, name, key, value)?;
    }
    follow(Family::Ipv4, name, parent)?;
    // No address of its own (RFC 9568 7.4), no questions, no waiting for duplicates.
    let v6 = [
        ("addr_gen_mode", "1"),
        ("accept_ra", "0"),
        ("autoconf", "0"),
        ("router_solicitations", "0"),
        ("accept_dad", "0"),
        ("disable_ipv6", if ipv6 { "0" } else { "1" }),
    ];
    for (key, value) in v6 {
        match sysctl::set(Family::Ipv6, name, key, value) {
            // A kernel without IPv6.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && !ipv6 => return Ok(()),
            other => other?,
        }
    }
    follow(Family::Ipv6, name, parent)
}

/// What arrives at the virtual MAC is forwarded if what arrives at the interface below is.
fn follow(family: Family, name: &str, parent: &str) -> std::io::Result<()> {
    const KEY: &str = "forwarding";
    let wish = sysctl::get(family, parent, KEY)?;
    if sysctl::get(family, name, KEY)? != wish { sysctl::set(family, name, KEY, &wish) } else { Ok(()) }
}

impl Protocol {
    /// Makes and removes virtual MAC interfaces as the instances need them, those on their way out as well.
    pub(super) fn refresh_vmacs(&mut self) {
        let wanted = self.wanted_vmacs();
        if wanted.is_empty() && self.vmacs.made.is_empty() && self.vmacs.kept.interfaces().is_empty() {
            return;
        }
        for line in self.vmacs.refresh(self.now, &wanted, &mut self.table) {
            self.notice(None, line.warning, line.text);
        }
        let lanes = self.instances.values().filter_map(|r| {
            let ifindex = self.vmacs.ifindex(&r.config)?;
            let name = r.config.vmac.as_ref()?.interface.clone();
            Some(Lane { port: r.port, family: r.config.router.family, ifindex, name, mac: mac(&r.config) })
        });
        self.ports.want_lanes(lanes.collect());
        let held: Vec<RouterId> =
            self.instances.iter().filter(|(_, r)| r.claim.is_held()).map(|(id, _)| *id).collect();
        for id in held {
            if self.vmac_name(id).is_some_and(|name| self.vmacs.fresh.contains(&name)) {
                // Something else removed it under the addresses.
                self.claim(id);
                self.announce(id, 1);
            } else {
                self.raise_vmac(id, false);
            }
        }
    }

    fn wanted_vmacs(&self) -> BTreeMap<String, Vec<Wanted>> {
        let mut wanted: BTreeMap<String, Vec<Wanted>> = BTreeMap::new();
        for Running { config, .. } in self.instances.values() {
            let Some(vmac) = &config.vmac else { continue };
            let on_it = |a: &&crate::config::VirtualAddress| config.is_on_vmac(a);
            let ipv6 = config.router.family == Family::Ipv6
                || config.all_addresses().filter(on_it).any(|a| a.address.is_ipv6());
            wanted.entry(vmac.interface.clone()).or_default().push(Wanted {
                parent: config.interface.clone(),
                mac: mac(config),
                ipv6,
                instance: config.name.clone(),
            });
        }
        wanted
    }

    /// Takes the virtual MAC interface up, before the addresses come. `anew`: settings are looked at again too.
    pub(super) fn raise_vmac(&mut self, id: RouterId, anew: bool) {
        let Some(name) = self.vmac_name(id) else { return };
        let Some(made) = self.vmacs.made.get(&name) else { return };
        let is_up = made.up && self.table.by_index(made.ifindex).is_some_and(|l| l.up);
        if is_up && !anew {
            return;
        }
        if let Err(e) = self.vmacs.set_up(&name, true) {
            self.notice(Some(id), true, e);
        }
    }

    /// Takes the virtual MAC interface down, before the addresses go, unless another instance needs it.
    pub(super) fn lower_vmac(&mut self, id: RouterId) {
        let Some(name) = self.vmac_name(id) else { return };
        let other = |(other, r): (&RouterId, &Running)| {
            *other != id && r.claim.is_held() && r.config.vmac.as_ref().is_some_and(|v| v.interface == name)
        };
        if !self.vmacs.made.get(&name).is_some_and(|m| m.up) || self.instances.iter().any(other) {
            return;
        }
        // The last advertisement still leaves by it.
        self.flush_messages();
        if let Err(e) = self.vmacs.set_up(&name, false) {
            self.notice(Some(id), true, e);
        }
    }

    /// The instance's virtual MAC interface, if it has one that is its own.
    fn vmac_name(&self, id: RouterId) -> Option<String> {
        let config = &self.instances.get(&id)?.config;
        self.vmacs.ifindex(config)?;
        config.vmac.as_ref().map(|v| v.interface.clone())
    }

    /// The interface that the instance's advertisements leave by, if it is a virtual MAC interface.
    pub(super) fn sends_by(&self, id: RouterId) -> Option<u32> {
        let config = &self.instances.get(&id)?.config;
        config.vmac.as_ref().filter(|v| !v.xmit_base)?;
        self.vmacs.ifindex(config)
    }
}
