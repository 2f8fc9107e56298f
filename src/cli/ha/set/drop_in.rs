//! The text of the drop-in: made once, and then changed where it was asked for, so that what people add to it stays.

use super::words::{Nodes, Wish};
use crate::config::Source;
use crate::pair::Role;
use std::net::IpAddr;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What the instance is called (VRRP instance of keepalived's, [ESC-1]).
pub(super) const INSTANCE: &str = "kad";
/// What the pair is called; the same on both nodes.
pub(super) const PAIR: &str = "esc";
/// Virtual router id, unless one is said.
const VRI: u8 = 51;

/// A text is no drop-in of this command, or something is missing from it or from the words.
type Refused = String;

/// The drop-in as it shall be.
pub(super) fn changed(old: Option<&str>, wish: &Wish, made_by: &str) -> Result<String, Refused> {
    match old {
        Some(old) => edited(old, wish),
        None => fresh(wish, made_by),
    }
}

fn fresh(wish: &Wish, made_by: &str) -> Result<String, Refused> {
    let Wish { vip: Some(vip), vif: Some(vif), vri, nodes: Some(nodes) } = wish else {
        return Err("nothing is set yet: the first time all are needed: \
                    --kad_vip=IP[:IF] --kad_vif=IF --ha_node_list=IP IP"
            .into());
    };
    let (vif, vip) = (quoted(vif), quoted(&vip.element()));
    let Nodes { role, own, peer } = nodes;
    let (priority, vri) = (priority(*role), vri.unwrap_or(VRI));
    Ok(format!(
        "# Written by `tandemadm ha set` ({made_by}). Said again, it changes here the keys that its words stand for, and\n\
         # nothing else: whatever is added stays. docs/tandemadm.md tells more.\n\n\
         [[vrrp_instance]]\nname = \"{INSTANCE}\"\n\
         # --kad_vif\ninterface = {vif}\n\
         # --kad_vri: the same on both nodes, and used by nobody else on this network\nvirtual_router_id = {vri}\n\
         priority = {priority}\n\
         # --kad_vip\nvirtual_ipaddress = [{vip}]\n\n\
         [[pair]]\nname = \"{PAIR}\"\n\
         # --ha_node_list: the first is the primary\nrole = \"{role}\"\npeer = \"{peer}\"\nlocal = \"{own}\"\n\
         vrrp_instance = \"{INSTANCE}\"\n"
    ))
}

/// The preferred one has the higher; a pair decides by itself, and this is what others on the network see.
fn priority(role: Role) -> u8 {
    match role {
        Role::Primary => 150,
        Role::Secondary => 100,
    }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn edited(old: &str, wish: &Wish) -> Result<String, Refused> {
    let top = DeTable::parse(old).map_err(|e| format!("it is no TOML: {}", e.message()))?;
    let instance = Only::of(top.get_ref(), "vrrp_instance")?;
    let pair = Only::of(top.get_ref(), "pair")?;
    let mut edits = Vec::new();
    if let Some(vif) = &wish.vif {
        edits.extend(instance.set("interface", &quoted(vif))?);
    }
    if let Some(vri) = wish.vri {
        edits.extend(instance.set("virtual_router_id", &vri.to_string())?);
    }
    if let Some(vip) = &wish.vip {
        edits.extend(instance.set_first("virtual_ipaddress", &quoted(&vip.element()))?);
    }
    if let Some(nodes) = &wish.nodes {
        let role = quoted(&nodes.role.to_string());
        let turned = pair.set("role", &role)?;
        if turned.is_some() {
            edits.extend(instance.set("priority", &priority(nodes.role).to_string())?);
        }
        edits.extend(turned);
        edits.extend(pair.set("peer", &quoted(&nodes.peer.to_string()))?);
        edits.extend(pair.set("local", &quoted(&nodes.own.to_string()))?);
    }
    Ok(carried_out(old, edits))
}

/// A place in the text, and what shall stand there.
struct Edit {
    at: Range<usize>,
    text: String,
}

fn carried_out(old: &str, mut edits: Vec<Edit>) -> String {
    // From the end, so that places stay valid; of two at one place the one that was asked for first comes first.
    edits.reverse();
    edits.sort_by_key(|e| std::cmp::Reverse(e.at.start));
    edits.into_iter().fold(old.to_owned(), |text, e| {
        let part = |range: Range<usize>| text.get(range).unwrap_or_default();
        [part(0..e.at.start), &e.text, part(e.at.end..text.len())].concat()
    })
}

/// The only table of its kind.
struct Only<'a> {
    kind: &'static str,
    table: &'a DeTable<'a>,
}

impl<'a> Only<'a> {
    fn of(top: &'a DeTable<'a>, kind: &'static str) -> Result<Self, Refused> {
        let tables = tables(top, kind);
        match tables.as_slice() {
            [(table, _)] => Ok(Only { kind, table }),
            all => Err(format!("it has {} tables [[{kind}]] instead of one", all.len())),
        }
    }

    /// None: it is so already.
    fn set(&self, key: &'static str, value: &str) -> Result<Option<Edit>, Refused> {
        match self.table.get(key) {
            Some(node) if written(node) == value => Ok(None),
            Some(node) => Ok(Some(Edit { at: node.span(), text: value.to_owned() })),
            None => self.added(key, value).map(Some),
        }
    }

    /// The first element of a list; the others stay.
    fn set_first(&self, key: &'static str, value: &str) -> Result<Option<Edit>, Refused> {
        let Some(node) = self.table.get(key) else { return self.added(key, &format!("[{value}]")).map(Some) };
        match node.get_ref() {
            DeValue::Array(list) => match list.first() {
                Some(first) if written(first) == value => Ok(None),
                Some(first) => Ok(Some(Edit { at: first.span(), text: value.to_owned() })),
                None => Ok(Some(Edit { at: node.span(), text: format!("[{value}]") })),
            },
            _ => Ok(Some(Edit { at: node.span(), text: format!("[{value}]") })),
        }
    }

    /// Behind the name, which every table has.
    fn added(&self, key: &'static str, value: &str) -> Result<Edit, Refused> {
        let name = self.table.get("name").ok_or_else(|| format!("its [[{}]] has no name", self.kind))?;
        let end = name.span().end;
        Ok(Edit { at: end..end, text: format!("\n{key} = {value}") })
    }
}

/// A value in the one way in which this command writes it.
fn written(node: &Spanned<DeValue<'_>>) -> String {
    match node.get_ref() {
        DeValue::String(text) => quoted(text),
        DeValue::Integer(n) if n.radix() == 10 => n.as_str().to_owned(),
        _ => String::new(),
    }
}

/// The tables of an array of tables, each with where it begins.
fn tables<'a>(top: &'a DeTable<'a>, kind: &str) -> Vec<(&'a DeTable<'a>, usize)> {
    let Some(DeValue::Array(list)) = top.get(kind).map(Spanned::get_ref) else { return Vec::new() };
    let table = |node: &'a Spanned<DeValue<'a>>| match node.get_ref() {
        DeValue::Table(table) => Some((table, node.span().start)),
        _ => None,
    };
    list.iter().filter_map(table).collect()
}

/// What another file says of the same things by hand, with its place.
pub(super) fn by_hand(other: &Source, wish: &Wish) -> Vec<String> {
    // A text that is no TOML is the parser's business.
    let Ok(top) = DeTable::parse(&other.text) else { return Vec::new() };
    let place = |offset: usize| {
        let line = other.text.get(..offset).unwrap_or_default().matches('\n').count() + 1;
        format!("{}:{line}", other.path.display())
    };
    let name = |table: &DeTable<'_>| match table.get("name").map(Spanned::get_ref) {
        Some(DeValue::String(name)) => format!(" \"{}\"", name.escape_default()),
        _ => String::new(),
    };
    let pairs = tables(top.get_ref(), "pair").into_iter().map(|(table, at)| {
        format!("{}: [[pair]]{} is written by hand: change `role` and `peer` there", place(at), name(table))
    });
    let wanted = wish.vip.as_ref().map(|v| v.address);
    let instances = tables(top.get_ref(), "vrrp_instance").into_iter().filter_map(|(table, at)| {
        let holds = wanted.is_some() && addresses(table).any(|a| Some(a) == wanted);
        (holds || name(table) == format!(" \"{INSTANCE}\"")).then(|| {
            let keys = "`interface` and `virtual_ipaddress`";
            format!("{}: [[vrrp_instance]]{} is written by hand: change {keys} there", place(at), name(table))
        })
    });
    pairs.chain(instances).collect()
}

/// The virtual addresses of an instance, as far as they are one.
fn addresses<'a>(table: &'a DeTable<'a>) -> impl Iterator<Item = IpAddr> {
    let lists = ["virtual_ipaddress", "virtual_ipaddress_excluded"].into_iter().filter_map(|k| table.get(k));
    let elements = lists.flat_map(|node| match node.get_ref() {
        DeValue::Array(list) => list.iter().map(Spanned::get_ref).collect(),
        other => vec![other],
    });
    elements.filter_map(|value| {
        let text = match value {
            DeValue::String(text) => text.as_ref(),
            DeValue::Table(table) => match table.get("address").map(Spanned::get_ref) {
                Some(DeValue::String(text)) => text.as_ref(),
                _ => return None,
            },
            _ => return None,
        };
        text.split([' ', '/']).next()?.parse().ok()
    })
}

#[cfg(test)]
#[path = "drop_in_tests.rs"]
mod tests;
