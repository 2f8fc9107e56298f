//! What a reload changes: who is the same, who is new, who is gone, and which keys differ.

use super::model::{Config, Instance};
use super::pair;
use super::render::{self, Pairs, Rendered, find};
use super::resource::{self, Resource, ResourceKind};
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::fmt;

/// The difference between two configurations.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Diff {
    /// Changed keys of `[node]`.
    pub node: Vec<KeyChange>,
    /// `[[vrrp_instance]]`. Not in place: the instance is stopped and another one started.
    pub instances: Section,
    /// `[[sync_group]]`; always in place.
    pub groups: Section,
    /// `[[interface]]`; always in place.
    pub interfaces: Section,
    /// `[[garp_group]]`; always in place.
    pub garp_groups: Section,
    /// `[[resource]]`. Not in place: it is stopped with the old settings and started with the new ones.
    pub resources: Section,
    /// Changed keys of `[activation]`; all of them if it came or went.
    pub activation: Vec<KeyChange>,
    /// `[[pair]]`. Not in place: another role, another node.
    pub pairs: Section,
    /// Changed keys of `[pair_server]`; all of them if it came or went.
    pub pair_server: Vec<KeyChange>,
    /// Changed keys of `[witness]`; all of them if it came or went.
    pub witness: Vec<KeyChange>,
    /// `[[fence]]`; always in place.
    pub fences: Section,
    /// Changed keys of `[witness_server]`; all of them if it came or went.
    pub witness_server: Vec<KeyChange>,
    /// `[[track.script]]`. Not in place: its results begin anew.
    pub scripts: Section,
    /// `[[track.process]]`, as scripts.
    pub processes: Section,
    /// `[[track.file]]`, as scripts.
    pub files: Section,
    /// `[[track.bfd]]`. Not in place: the session ends and another one begins.
    pub bfd: Section,
}

/// The tables of one kind, by name.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Section {
    /// Equal in both.
    pub unchanged: Vec<String>,
    /// In both, and different.
    pub changed: Vec<Changed>,
    /// Only in the new configuration.
    pub added: Vec<String>,
    /// Only in the old configuration.
    pub removed: Vec<String>,
}

/// One table that is in both configurations and differs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Changed {
    /// Its name.
    pub name: String,
    /// The keys that differ; values as in `tandemadm config show`.
    pub keys: Vec<KeyChange>,
    /// It can take the new settings while it runs; otherwise it is replaced.
    pub in_place: bool,
}

/// One key that differs. Passwords are masked in both values.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct KeyChange {
    /// The key.
    pub key: String,
    /// What it was; none: not set.
    pub old: Option<String>,
    /// What it is; none: not set.
    pub new: Option<String>,
    /// For lists what came, one element each.
    pub added: Vec<String>,
    /// For lists what went.
    pub removed: Vec<String>,
}

impl fmt::Display for KeyChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        let elements = self.removed.iter().map(|e| format!(" -{e}"));
        let elements: Vec<_> = elements.chain(self.added.iter().map(|e| format!(" +{e}"))).collect();
        if !elements.is_empty() {
            return f.write_str(&elements.concat());
        }
        match (&self.old, &self.new) {
            (Some(old), Some(new)) if old == new => f.write_str(" changed"),
            (old, new) => {
                let word = |v: &Option<String>| v.clone().unwrap_or_else(|| "(not set)".to_owned());
                write!(f, " {} -> {}", word(old), word(new))
            }
        }
    }
}

impl Diff {
    /// True if a reload has nothing to do.
    pub fn is_empty(&self) -> bool {
        self.node.is_empty()
            && self.singles().iter().all(|(_, keys)| keys.is_empty())
            && self.sections().iter().all(|(_, s, _)| s.is_same())
    }

    fn singles(&self) -> [(&'static str, &[KeyChange]); 4] {
        [
            ("activation", &self.activation),
            ("pair_server", &self.pair_server),
            ("witness", &self.witness),
            ("witness_server", &self.witness_server),
        ]
    }

    fn sections(&self) -> [(&'static str, &Section, &'static str); 11] {
        const ANEW: &str = "starts anew";
        [
            ("vrrp_instance", &self.instances, "is replaced"),
            ("sync_group", &self.groups, "is replaced"),
            ("interface", &self.interfaces, "is replaced"),
            ("garp_group", &self.garp_groups, "is replaced"),
            ("pair", &self.pairs, ANEW),
            ("fence", &self.fences, "is replaced"),
            ("resource", &self.resources, "is restarted"),
            ("track.script", &self.scripts, ANEW),
            ("track.process", &self.processes, ANEW),
            ("track.file", &self.files, ANEW),
            ("track.bfd", &self.bfd, ANEW),
        ]
    }

    /// The difference for people, a line each; `nothing changed` if there is none.
    pub fn summary(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.node.iter().map(|k| format!("node: {k}")).collect();
        for (kind, section, otherwise) in self.sections() {
            lines.extend(section.added.iter().map(|name| format!("{kind} \"{name}\" added")));
            lines.extend(section.removed.iter().map(|name| format!("{kind} \"{name}\" removed")));
            for changed in &section.changed {
                let keys: Vec<_> = changed.keys.iter().map(KeyChange::to_string).collect();
                let how = if changed.in_place { String::new() } else { format!(" ({otherwise})") };
                lines.push(format!("{kind} \"{}\": {}{how}", changed.name, keys.join("; ")));
            }
        }
        for (table, keys) in self.singles() {
            lines.extend(keys.iter().map(|k| format!("{table}: {k}")));
        }
        if lines.is_empty() {
            lines.push("nothing changed".to_owned());
        }
        lines
    }
}

impl Section {
    fn is_same(&self) -> bool {
        self.changed.is_empty() && self.added.is_empty() && self.removed.is_empty()
    }
}

/// Compares two configurations by name; the order of tables is no difference.
pub fn diff(old: &Config, new: &Config) -> Diff {
    let only_weight = |keys: &[KeyChange]| keys.iter().all(|k| k.key == "weight");
    // As BfdTrack::same_session judges.
    const OTHER_SESSION: [&str; 5] = ["neighbor_ip", "source_ip", "interface", "passive", "multihop"];
    let same_session = |keys: &[KeyChange]| !keys.iter().any(|k| OTHER_SESSION.contains(&&*k.key));
    Diff {
        node: keys(&render::node(&old.node), &render::node(&new.node)),
        instances: instances(&old.instances, &new.instances),
        groups: section(&old.groups, &new.groups, |g| &g.name, render::group, |_| true),
        interfaces: section(&old.interfaces, &new.interfaces, |i| &i.name, render::interface, |_| true),
        garp_groups: section(&old.garp_groups, &new.garp_groups, |g| &g.name, render::garp_group, |_| true),
        resources: resources(&old.resources, &new.resources),
        activation: single(old, new, |c| c.activation.as_ref().map(resource::render_activation)),
        pairs: pairs(old, new),
        pair_server: single(old, new, |c| c.pair_server.as_ref().map(pair::render_pair_server)),
        witness: single(old, new, |c| c.witness.as_ref().map(pair::render_witness)),
        fences: section(&old.fences, &new.fences, |f| &f.name, pair::render_fence, |_| true),
        witness_server: single(old, new, |c| c.witness_server.as_ref().map(pair::render_witness_server)),
        scripts: section(&old.tracks.scripts, &new.tracks.scripts, |t| &t.name, render::script, only_weight),
        processes: section(
            &old.tracks.processes,
            &new.tracks.processes,
            |t| &t.name,
            render::process,
            only_weight,
        ),
        files: section(&old.tracks.files, &new.tracks.files, |t| &t.name, render::file, only_weight),
        bfd: section(&old.tracks.bfd, &new.tracks.bfd, |t| &t.name, render::bfd, same_session),
    }
}

fn instances(old: &[Instance], new: &[Instance]) -> Section {
    const REPLACE: [&str; 3] = ["interface", "virtual_router_id", "version"];
    let same_router = |keys: &[KeyChange]| !keys.iter().any(|k| REPLACE.contains(&&*k.key));
    let mut section = section(old, new, |i| &i.name, render::instance, same_router);
    let by_name: HashMap<_, _> = old.iter().map(|i| (&i.name, i)).collect();
    for now in new {
        let Some(before) = by_name.get(&now.name) else { continue };
        if before.router.auth_pass != now.router.auth_pass {
            secret_changed(&mut section, before, now, "auth_pass");
        }
        if before.router.auth_hmac != now.router.auth_hmac {
            secret_changed(&mut section, before, now, "auth_hmac");
        }
        if before.router.family != now.router.family {
            section.changed.iter_mut().filter(|c| c.name == now.name).for_each(|c| c.in_place = false);
        }
    }
    section
}

/// The keys of a table that stands once.
fn single(old: &Config, new: &Config, pairs: impl Fn(&Config) -> Option<Pairs>) -> Vec<KeyChange> {
    keys(&pairs(old).unwrap_or_default(), &pairs(new).unwrap_or_default())
}

/// Who this node is, and who the other one, was agreed on when they were registered.
fn pairs(old: &Config, new: &Config) -> Section {
    let same_nodes = |keys: &[KeyChange]| !keys.iter().any(|k| ["role", "peer"].contains(&&*k.key));
    section(&old.pairs, &new.pairs, |p| &p.name, pair::render, same_nodes)
}

/// What is not of the kind itself changes while the resource is up; a pair starts and stops what is its own.
fn resources(old: &[Resource], new: &[Resource]) -> Section {
    let definitions: HashMap<_, _> = old.iter().map(|r| (&r.name, r.definition())).collect();
    let mut section = section(old, new, |r| &r.name, resource::render, |_| true);
    for now in new {
        let is_group = matches!(now.kind, ResourceKind::Group(_));
        let before = old.iter().find(|r| r.name == now.name);
        let moves = before.is_some_and(|b| b.pair != now.pair && b.pair.is_some() && now.pair.is_some());
        let other = definitions.get(&now.name).is_some_and(|d| *d != now.definition());
        let restarts = !is_group && (other || moves);
        if let Some(key) = before.and_then(|before| resource::hides_a_change(before, now)) {
            let text = find(&resource::render(now), key);
            add_change(&mut section, &now.name, change(key, text.clone(), text));
        }
        section.changed.iter_mut().filter(|c| c.name == now.name).for_each(|c| c.in_place = !restarts);
    }
    section
}

/// Secrets are written as the same mask, so the texts may not show that they differ.
fn secret_changed(section: &mut Section, before: &Instance, now: &Instance, key: &'static str) {
    let text = |i: &Instance| find(&render::instance(i), key);
    let (Some(old), Some(new)) = (text(before), text(now)) else { return };
    if old != new {
        return;
    }
    add_change(section, &now.name, change(key, Some(old), Some(new)));
}

fn add_change(section: &mut Section, name: &str, key: KeyChange) {
    match section.changed.iter_mut().find(|c| c.name == name) {
        Some(changed) => changed.keys.push(key),
        None => {
            section.unchanged.retain(|other| other != name);
            section.changed.push(Changed { name: name.to_owned(), keys: vec![key], in_place: true });
        }
    }
}

fn section<T>(
    old: &[T],
    new: &[T],
    name: impl Fn(&T) -> &String,
    pairs: impl Fn(&T) -> Pairs,
    in_place: impl Fn(&[KeyChange]) -> bool,
) -> Section {
    let before: HashMap<&String, &T> = old.iter().map(|item| (name(item), item)).collect();
    let after: HashSet<&String> = new.iter().map(&name).collect();
    let mut section = Section::default();
    for item in new {
        let own = name(item).clone();
        let Some(was) = before.get(&own) else {
            section.added.push(own);
            continue;
        };
        let keys = keys(&pairs(was), &pairs(item));
        if keys.is_empty() {
            section.unchanged.push(own);
        } else {
            section.changed.push(Changed { name: own, in_place: in_place(&keys), keys });
        }
    }
    let gone = old.iter().map(&name).filter(|n| !after.contains(*n));
    section.removed = gone.cloned().collect();
    section
}

fn keys(old: &Pairs, new: &Pairs) -> Vec<KeyChange> {
    let gone = old.iter().filter(|(key, _)| find(new, key).is_none());
    let all = new.iter().chain(gone).map(|(key, _)| *key);
    all.map(|key| (key, find(old, key), find(new, key)))
        .filter(|(_, old, new)| old != new)
        .map(|(key, old, new)| change(key, old, new))
        .collect()
}

fn change(key: &str, old: Option<Rendered>, new: Option<Rendered>) -> KeyChange {
    let elements = |v: &Option<Rendered>| match v {
        Some(Rendered::List(items)) => items.clone(),
        _ => Vec::new(),
    };
    let (before, after) = (elements(&old), elements(&new));
    let missing = |from: &[String], of: &[String]| from.iter().filter(|e| !of.contains(e)).cloned().collect();
    let text = |v: Option<Rendered>| {
        v.map(|v| match v {
            Rendered::One(text) => text,
            Rendered::List(items) => format!("[{}]", items.join(", ")),
        })
    };
    KeyChange {
        key: key.to_owned(),
        added: missing(&after, &before),
        removed: missing(&before, &after),
        old: text(old),
        new: text(new),
    }
}
