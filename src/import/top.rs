//! The top level: what is where, in which order it is looked at, and in which it is written.

use super::context::{Context, Named};
use super::features::{Feature, NOT_YET, has};
use super::finding::Place;
use super::keywords::{self, GLOBAL, Rule, TOP};
use super::references;
use super::toml::{Origin, Table, quote};
use super::tree::Statement;
use super::{bfd, globals, group, instance, interfaces, tracks};
use std::collections::BTreeSet;

/// The blocks that others refer to by name.
const NAMED: [(&str, Named); 8] = [
    ("vrrp_instance", Named::Instance),
    ("vrrp_sync_group", Named::Group),
    ("vrrp_script", Named::Script),
    ("vrrp_track_process", Named::Process),
    ("track_process", Named::Process),
    ("vrrp_track_file", Named::File),
    ("track_file", Named::File),
    ("bfd_instance", Named::Bfd),
];

fn named(s: &Statement) -> Option<Named> {
    NAMED.iter().find(|(word, _)| *word == s.keyword()).map(|(_, kind)| *kind)
}

/// Translates everything.
pub(super) fn translate(context: &mut Context<'_>, statements: &[Statement]) {
    let repeated = look_around(context, statements);
    let node = node(context, statements);
    // The order of the tables in the result.
    let passes: [&[&str]; 5] = [
        &["vrrp_instance"],
        &["vrrp_sync_group"],
        &["vrrp_script", "vrrp_track_process", "track_process", "vrrp_track_file", "track_file"],
        &["bfd_instance"],
        &["garp_group", "interface_up_down_delays"],
    ];
    for words in passes {
        for s in statements.iter().filter(|s| words.contains(&s.keyword())) {
            if repeated.contains(&s.id) {
                context.mistake(s, "this name is defined above already, and that one counts");
            } else {
                block(context, s);
            }
        }
    }
    interfaces::paced_by_default(context, statements);
    finish_node(context, node);
}

fn block(context: &mut Context<'_>, s: &Statement) {
    match named(s) {
        Some(Named::Instance) => instance::translate(context, s),
        Some(Named::Group) => group::translate(context, s),
        Some(Named::Script) => tracks::script(context, s),
        Some(Named::Process) => tracks::process(context, s),
        Some(Named::File) => tracks::file(context, s),
        Some(Named::Bfd) if has(Feature::TrackBfd) => bfd::translate(context, s),
        Some(Named::Bfd) => context.missing(s, NOT_YET),
        None if s.keyword() == "garp_group" => interfaces::garp_group(context, s),
        None => interfaces::delays(context, s),
    }
}

/// Names, weights and memberships, before anything refers to them; the numbers of blocks whose name was there before.
fn look_around(context: &mut Context<'_>, statements: &[Statement]) -> BTreeSet<usize> {
    let mut repeated = BTreeSet::new();
    if context.machine.has_user("keepalived_script") {
        context.settings.script_user = "keepalived_script".to_owned();
    }
    for s in statements {
        let (Some(kind), Some(name)) = (named(s), s.value()) else { continue };
        if context.knows(kind, name) {
            repeated.insert(s.id);
            continue;
        }
        context.name(kind, name);
        let weight = references::own_weight(kind, s);
        context.settings.weights.insert((kind, name.to_owned()), weight);
        match kind {
            Named::Instance => {
                let interface =
                    s.inner().iter().rfind(|i| i.keyword() == "interface").and_then(|i| i.value());
                context.settings.interfaces.extend(interface.map(str::to_owned));
            }
            Named::Group => {
                let counts = s.inner().iter().any(|i| i.keyword() == "sync_group_tracking_weight");
                for member in group::members(s) {
                    context.settings.members.insert(member.to_owned(), counts);
                }
            }
            _ => {}
        }
    }
    repeated
}

/// `global_defs`, and what has no block of its own.
fn node(context: &mut Context<'_>, statements: &[Statement]) -> Option<Table> {
    let mut node: Option<Table> = None;
    for s in statements {
        let rule = keywords::rule(TOP, s.keyword());
        match rule {
            _ if s.keyword() == "global_defs" => {
                context.resume(node.take(), "[node]", s);
                context.done(s);
                s.inner().iter().for_each(|inner| globals::statement(context, inner));
                node = context.suspend();
            }
            Some(Rule::Own) => {}
            Some(rule) => context.apply(s, Some(rule)),
            None => match keywords::rule(GLOBAL, s.keyword()) {
                Some(rule @ (Rule::Missing(_) | Rule::NotNeeded(_))) => context.apply(s, Some(rule)),
                Some(Rule::Own) => context.mistake(s, "belongs into global_defs; keepalived ignores it here"),
                None => match keywords::nearest(TOP, s.keyword()) {
                    Some(near) => context.missing(s, format!("unknown keyword; did you mean {near}?")),
                    None => context.missing(s, "unknown keyword, which keepalived ignores"),
                },
            },
        }
    }
    node
}

/// Scripts run as somebody: keepalived's default is not tandemd's.
fn finish_node(context: &mut Context<'_>, node: Option<Table>) {
    let nowhere = Origin { at: Place { file: "".into(), line: 0 }, keyword: "script_user".to_owned() };
    let mut node = node.unwrap_or_else(|| Table::new("[node]", nowhere.clone(), "global_defs".to_owned()));
    if context.has_scripts && !context.settings.script_user_given {
        let user = context.settings.script_user.clone();
        node.set("script_user", quote(&user), nowhere.clone());
        let text = if user == "root" {
            "keepalived runs scripts as root unless there is a user keepalived_script; better name another one"
        } else {
            "keepalived's default, since this user exists"
        };
        node.comments.push((nowhere.at, format!("script_user: {text}")));
    }
    node.sort();
    if !node.entries.is_empty() || !node.comments.is_empty() {
        context.tables.insert(0, node);
    }
}
