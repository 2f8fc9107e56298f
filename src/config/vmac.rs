//! `use_vmac`, `vmac_interface`, `vmac_xmit_base` and `accept`.

use super::instance::InstanceDraft;
use super::model::Vmac;
use super::names;
use super::reader::{Table, Value};
use super::report::{Problem, Report, Spot};
use crate::vrrp::{Family, Vrid};
use std::collections::HashMap;

/// What an instance says about its virtual MAC, before its family and VRID are known for sure.
pub(super) struct VmacDraft {
    /// The interface's name, with the place of the key that asks for it.
    pub(super) name: Spot<String>,
    pub(super) xmit_base: bool,
}

/// Reads the keys; none: no virtual MAC, or one whose name cannot be told.
pub(super) fn read(table: &Table<'_>, family: Option<Family>, vrid: Option<Vrid>) -> Option<VmacDraft> {
    let wanted = table.flag("use_vmac");
    let named = table.get("vmac_interface").and_then(|v| names::interface(&v).map(|name| v.spot(name)));
    let unicast = table.get("unicast_peer").is_some();
    let base = table.get("vmac_xmit_base");
    let xmit_base = base.as_ref().and_then(|v| v.boolean());
    if !wanted {
        for key in ["vmac_interface", "vmac_xmit_base"] {
            if let Some(value) = table.get(key) {
                value.add(value.refuse("does nothing without use_vmac").help("add use_vmac = true"));
            }
        }
        return None;
    }
    if unicast
        && xmit_base == Some(false)
        && let Some(value) = base
    {
        let help = "remove it: with unicast_peer, advertisements leave by the interface itself";
        value.add(value.refuse("contradicts unicast_peer").help(help));
    }
    if let Some(prefixes) = prefixes(table) {
        let message = "cannot be used with use_vmac: the kernel would not answer ARP for it there";
        prefixes.add(prefixes.refuse(message).help("give the prefix an instance of its own"));
    }
    let own = table.get("use_vmac").and_then(|v| Some(v.spot(default_name(family?, vrid?))));
    Some(VmacDraft { name: named.or(own)?, xmit_base: unicast || xmit_base == Some(true) })
}

/// `virtual_prefix`, unless it is an empty list.
fn prefixes<'a>(table: &Table<'a>) -> Option<Value<'a>> {
    table.get("virtual_prefix").filter(|v| !v.is_list() || v.list("").is_some_and(|l| !l.is_empty()))
}

/// As keepalived names it.
fn default_name(family: Family, vrid: Vrid) -> String {
    match family {
        Family::Ipv4 => format!("vrrp.{}", vrid.get()),
        Family::Ipv6 => format!("vrrp6.{}", vrid.get()),
    }
}

impl VmacDraft {
    pub(super) fn built(&self) -> Vmac {
        Vmac { interface: self.name.value.clone(), xmit_base: self.xmit_base }
    }
}

/// `accept`; an owner accepts in any case (RFC 9568 6.1).
pub(super) fn read_accept(table: &Table<'_>, owner: bool) -> bool {
    let Some(value) = table.get("accept") else { return true };
    let accept = value.boolean().unwrap_or(true);
    if !accept && owner {
        let message = "does nothing with priority 255: an owner accepts packets to its addresses";
        value.add(value.warn(message).help("remove it"));
    } else if !accept && let Some(prefixes) = prefixes(table) {
        let message = "cannot be used with accept = false: only packets to single addresses are dropped";
        prefixes.add(prefixes.refuse(message).help("give the prefix an instance of its own"));
    }
    accept
}

/// Records virtual MAC interfaces that get in the way of each other or of other interfaces.
pub(super) fn check(report: &Report<'_>, instances: &[InstanceDraft]) {
    let mut by_name = HashMap::new();
    let mut by_mac = HashMap::new();
    for instance in instances {
        let Some(vmac) = &instance.vmac else { continue };
        let name = &vmac.name;
        let refuse = |message: String, help: &str| {
            let problem = Problem::error(name.at, name.key.clone(), message);
            report.add(problem.found(format!("\"{}\"", name.value)).help(help.to_owned()));
        };
        const OTHER_NAME: &str = "choose another name with vmac_interface";
        if let Some(other) = instances.iter().find(|o| uses(o, &name.value)) {
            refuse(format!("is an interface that {} uses", other.place), OTHER_NAME);
        }
        if let Some(first) = by_name.insert(name.value.as_str(), name) {
            let place = report.line_of(first.at, name.at);
            refuse(format!("is already the virtual MAC interface of the instance at {place}"), OTHER_NAME);
            continue;
        }
        let (Some(interface), Some(family), Some(vrid)) =
            (&instance.interface, instance.family, &instance.vrid)
        else {
            continue;
        };
        if let Some(first) = by_mac.insert((&interface.value, family, vrid.value), name) {
            let place = report.line_of(first.at, name.at);
            refuse(
                format!("has the same virtual MAC on {} as that of the instance at {place}", interface.value),
                "give the instances different ids, or only one of them a virtual MAC",
            );
        }
    }
}

/// True if the instance needs an interface of this name to be there already.
fn uses(instance: &InstanceDraft, name: &str) -> bool {
    let devices = instance.addresses.iter().filter_map(|a| a.value.dev.as_deref());
    devices.chain(instance.interface.as_ref().map(|i| i.value.as_str())).any(|d| d == name)
}
