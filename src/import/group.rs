//! `vrrp_sync_group`.

use super::command;
use super::context::{Context, Named};
use super::keywords::{self, GROUP, Rule};
use super::references::{self, Owner};
use super::toml::quote;
use super::tree::Statement;

/// The members as written.
pub(super) fn members(s: &Statement) -> impl Iterator<Item = &str> {
    let lists = s.inner().iter().filter(|i| i.keyword() == "group");
    lists.flat_map(|list| list.inner()).flat_map(|line| line.words.iter().map(String::as_str))
}

/// One group.
pub(super) fn translate(context: &mut Context<'_>, s: &Statement) {
    context.begin("[[sync_group]]", s);
    context.set_name(Named::Group, s);
    let owner = Owner { interface: None, weightless: false };
    for i in s.inner() {
        let rule = keywords::rule(GROUP, i.keyword());
        match (rule, i.keyword()) {
            (Some(Rule::Own), "group") => list(context, i),
            (Some(Rule::Own), "sync_group_tracking_weight") => context.done(i),
            (Some(Rule::Own), "notify_deleted") => deleted(context, i),
            (Some(Rule::Own), _) => {
                let _ = references::translate(context, i, &owner) || command::notify(context, i);
            }
            (None, word) if context.knows(Named::Instance, word) => {
                context.mistake(i, "members belong into a block group { }; keepalived ignores this one");
            }
            _ => context.apply(i, rule),
        }
    }
    context.end();
}

/// `notify_deleted`, as in instances.
pub(super) fn deleted(context: &mut Context<'_>, s: &Statement) {
    if s.value().is_none() {
        context.differs(s, "not needed: what a reload removes stops, and is told as STOP");
    } else {
        context.missing(s, "what a reload removes runs notify_stop");
    }
}

fn list(context: &mut Context<'_>, s: &Statement) {
    context.done(s);
    for line in s.inner() {
        context.done(line);
        for member in &line.words {
            if context.knows(Named::Instance, member) {
                let name = context.name(Named::Instance, member);
                context.push("group", quote(&name), line);
            } else {
                context.mistake(line, format!("there is no vrrp_instance {member}; keepalived ignores it"));
            }
        }
    }
}
