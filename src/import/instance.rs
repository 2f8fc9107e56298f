//! `vrrp_instance`.

use super::addresses::{self, Listed};
use super::authentication;
use super::command;
use super::context::{Context, Named};
use super::features::{Feature, NOT_YET, has};
use super::globals::{STRICT, seconds, set_garp};
use super::group;
use super::keywords::{self, INSTANCE, Rule};
use super::numbers::{duration, switch};
use super::references::{self, Owner};
use super::rules;
use super::settings::Garp;
use super::toml::quote;
use super::tree::Statement;
use std::net::IpAddr;

/// What has to be known together.
struct Draft<'t> {
    master: bool,
    priority: Option<u8>,
    version: Option<(u8, &'t Statement)>,
    interval: Option<&'t Statement>,
    nopreempt: Option<&'t Statement>,
    preempt_delay: Option<&'t Statement>,
    accept: Option<(bool, &'t Statement)>,
    strict: bool,
    authentication: Option<&'t Statement>,
    as_v2: bool,
    garp: Garp,
    listed: Listed,
    peers: Vec<(IpAddr, &'t Statement)>,
    source: Option<(IpAddr, &'t Statement)>,
    checks_source: bool,
}

/// One instance.
pub(super) fn translate(context: &mut Context<'_>, s: &Statement) {
    context.begin("[[vrrp_instance]]", s);
    context.set_name(Named::Instance, s);
    let mut draft = Draft {
        master: false,
        priority: None,
        version: None,
        interval: None,
        nopreempt: None,
        preempt_delay: None,
        accept: None,
        strict: context.settings.strict,
        authentication: None,
        as_v2: false,
        garp: context.settings.garp,
        listed: Listed::default(),
        peers: Vec::new(),
        source: None,
        checks_source: false,
    };
    let interface = s.inner().iter().rfind(|i| i.keyword() == "interface").and_then(Statement::value);
    let counts = s.value().and_then(|name| context.settings.members.get(name)).copied();
    let owner = Owner { interface, weightless: counts == Some(false) };
    for i in s.inner() {
        match keywords::rule(INSTANCE, i.keyword()) {
            Some(Rule::Own) => {
                if !references::translate(context, i, &owner) && !command::notify(context, i) {
                    context.done(i);
                    one(context, i, &mut draft);
                }
            }
            None => match keywords::nearest(INSTANCE, i.keyword()) {
                Some(near) => context.missing(i, format!("unknown keyword; did you mean {near}?")),
                None => context.apply(i, None),
            },
            rule => {
                draft.checks_source |= i.keyword() == "check_unicast_src";
                context.apply(i, rule);
            }
        }
    }
    finish(context, s, draft);
    context.end();
}

/// One statement with a translation of its own.
fn one<'t>(context: &mut Context<'_>, s: &'t Statement, draft: &mut Draft<'t>) {
    match s.keyword() {
        "state" => state(context, s, draft),
        "interface" => match s.value() {
            Some(name) => context.set("interface", quote(name), s),
            None => context.mistake(s, "names no interface"),
        },
        "virtual_router_id" => match s.value().and_then(|v| v.parse::<u8>().ok()).filter(|n| *n > 0) {
            Some(id) => context.set("virtual_router_id", id.to_string(), s),
            None => context.mistake(s, "is not 1 to 255"),
        },
        "priority" => match s.value().and_then(|v| v.parse::<u8>().ok()).filter(|n| *n > 0) {
            Some(priority) => {
                draft.priority = Some(priority);
                context.set("priority", priority.to_string(), s);
            }
            None => {
                draft.priority = Some(100);
                context.set("priority", "100", s);
                context.mistake(s, "is not 1 to 255; keepalived takes 100");
            }
        },
        "version" => match s.value() {
            Some("2") => draft.version = Some((2, s)),
            Some("3") => draft.version = Some((3, s)),
            _ => context.mistake(s, "is neither 2 nor 3; keepalived takes its default"),
        },
        "advert_int" => draft.interval = Some(s),
        "nopreempt" => draft.nopreempt = Some(s),
        "preempt" => {
            draft.nopreempt = None;
            context.differs(s, "not needed: preempting is the default");
        }
        "preempt_delay" => draft.preempt_delay = Some(s),
        "down_timer_adverts" => {
            match s.value().filter(|v| v.parse().is_ok_and(|n: u8| (1..=100).contains(&n))) {
                Some(count) => context.set("down_timer_adverts", count, s),
                None => context.mistake(s, "is not 1 to 100; keepalived takes 3"),
            }
        }
        "virtual_ipaddress" => draft.listed.read(context, s, false),
        "virtual_ipaddress_excluded" => draft.listed.read(context, s, true),
        "no_virtual_ipaddress" => context.set("no_virtual_ipaddress", "true", s),
        "unicast_peer" => s.inner().iter().for_each(|line| peer(context, line, draft)),
        "unicast_src_ip" | "mcast_src_ip" => match s.value().and_then(|v| v.parse().ok()) {
            Some(address) => draft.source = Some((address, s)),
            None => context.mistake(s, "is not an address; keepalived ignores it"),
        },
        "authentication" => draft.authentication = Some(s),
        "v3_checksum_as_v2" => draft.as_v2 = switch(s.value()) != Some(false),
        "dont_track_primary" => context.set("dont_track_primary", "true", s),
        "accept" => draft.accept = Some((true, s)),
        "no_accept" => draft.accept = Some((false, s)),
        "strict_mode" => {
            draft.strict = switch(s.value()) != Some(false);
            if draft.strict {
                context.differs(s, STRICT);
            }
        }
        "use_vmac" => vmac(context, s),
        "vmac_xmit_base" if has(Feature::UseVmac) => context.set("vmac_xmit_base", "true", s),
        "vmac_xmit_base" => context.missing(s, NOT_YET),
        "virtual_routes" => rules::routes(context, s),
        "virtual_rules" => rules::rules(context, s),
        "auth_hmac" => authentication::hmac(context, s),
        "notify_deleted" => group::deleted(context, s),
        _ => set_garp(context, s, s.keyword(), &mut draft.garp),
    }
}

fn state(context: &mut Context<'_>, s: &Statement, draft: &mut Draft<'_>) {
    draft.master = s.value() == Some("MASTER");
    match s.value() {
        Some("MASTER" | "BACKUP") => context.comment(
            &s.at,
            format!("state {}: left out, the election decides", s.value().unwrap_or_default()),
        ),
        _ => context.mistake(s, "is neither MASTER nor BACKUP"),
    }
}

fn peer<'t>(context: &mut Context<'_>, s: &'t Statement, draft: &mut Draft<'t>) {
    let Ok(address) = s.keyword().parse::<IpAddr>() else {
        context.mistake(s, "is not an address; keepalived ignores it");
        return;
    };
    context.done(s);
    if draft.peers.iter().any(|(other, _)| *other == address) {
        context.differs(s, "is listed twice: once is in the result");
        return;
    }
    draft.peers.push((address, s));
    if !s.values().is_empty() {
        context.missing(s, "min_ttl and max_ttl: the TTL of unicast advertisements is not looked at");
    }
}

fn vmac(context: &mut Context<'_>, s: &Statement) {
    if !has(Feature::UseVmac) {
        context.missing(s, NOT_YET);
        return;
    }
    context.set("use_vmac", "true", s);
    for word in s.values() {
        if word.contains(':') {
            context.missing(s, "the hardware address is always that of RFC 9568");
        } else if matches!(word.as_str(), "netlink_notify_msg" | "group") || word.parse::<u32>().is_ok() {
            context.missing(s, format!("{word}: the interface has no further settings"));
        } else {
            context.set("vmac_interface", quote(word), s);
        }
    }
}

/// What depends on several statements.
fn finish(context: &mut Context<'_>, s: &Statement, draft: Draft<'_>) {
    let ipv6 = draft.is_ipv6();
    let written = draft.version.map(|(version, _)| version);
    let version = if ipv6 { 3 } else { written.unwrap_or(context.settings.version) };
    match draft.version {
        Some((2, v)) if ipv6 => {
            context.set("version", "3", v);
            context.differs(v, "becomes 3, as in keepalived: version 2 carries IPv4 only");
        }
        Some((_, v)) => context.set("version", version.to_string(), v),
        None => context.set("version", version.to_string(), s),
    }
    if version == 3 && !ipv6 {
        let form = if draft.as_v2 { "rfc9568" } else { "pseudo_header" };
        context.set("v3_checksum", quote(form), s);
    }
    let priority = draft.priority.unwrap_or(if draft.master { 255 } else { 100 });
    if draft.priority.is_none() {
        context.set("priority", priority.to_string(), s);
        if draft.master {
            context.differs(
                s,
                "priority 255: keepalived's default with state MASTER; it makes this node the owner",
            );
        }
    }
    draft.interval(context, version);
    draft.preempt(context, priority);
    draft.accept(context, s, priority);
    if let Some(block) = draft.authentication {
        authentication::password(context, block, version, draft.strict);
    }
    draft.announce(context, s);
    draft.transport(context);
    if let Some(count) =
        context.settings.down_timer_adverts.clone().filter(|_| !context.has("down_timer_adverts"))
    {
        context.set("down_timer_adverts", count, s);
    }
    addresses::write(context, s, draft.listed);
}

impl Draft<'_> {
    /// The family is that of the first address; without any, that of peers or source.
    fn is_ipv6(&self) -> bool {
        let other = self.peers.first().map(|(a, _)| *a).or(self.source.map(|(a, _)| a));
        self.listed.first().or(other).is_some_and(|a| a.is_ipv6())
    }

    /// Version 2 has whole seconds, version 3 steps of 10 ms; keepalived rounds.
    fn interval(&self, context: &mut Context<'_>, version: u8) {
        let Some(s) = self.interval else { return };
        let Some(given) = seconds(context, s) else { return };
        let (step, least, most) = if version == 2 { (1_000_000, 1, 255) } else { (10_000, 1, 4095) };
        let time = (given.saturating_add(step / 2) / step).clamp(least, most) * step;
        context.set("advert_int", duration(time), s);
        if time != given {
            context.differs(
                s,
                format!("becomes {}, as in keepalived: version {version} has no finer steps", duration(time)),
            );
        }
    }

    fn preempt(&self, context: &mut Context<'_>, priority: u8) {
        let why = match (self.master, priority) {
            (_, 255) => Some("is left out: with priority 255 keepalived ignores it"),
            (true, _) => Some("is left out: with state MASTER keepalived ignores it"),
            _ => None,
        };
        if let Some(s) = self.nopreempt {
            match why {
                Some(why) => context.differs(s, why),
                None => context.set("nopreempt", "true", s),
            }
        }
        let Some(s) = self.preempt_delay else { return };
        let Some(delay) = seconds(context, s) else { return };
        match why {
            Some(why) => context.differs(s, why),
            None if self.nopreempt.is_some() => {
                context.differs(s, "is left out: with nopreempt keepalived ignores it")
            }
            None if self.strict => context.differs(s, "is left out: in strict mode keepalived ignores it"),
            None if delay > 1_000_000_000 => context.mistake(s, "is more than 1000 s; keepalived takes 0"),
            None => context.set("preempt_delay", duration(delay), s),
        }
    }

    fn accept(&self, context: &mut Context<'_>, instance: &Statement, priority: u8) {
        let by_strict = self.strict && priority != 255;
        let (accept, s) = self.accept.unwrap_or((!by_strict, instance));
        if accept {
            return;
        }
        if has(Feature::Accept) {
            context.set("accept", "false", s);
        } else {
            context.missing(s, format!("no_accept (traffic to the addresses is dropped): {NOT_YET}"));
        }
    }

    /// Writes what is not tandemd's default anyway.
    fn announce(&self, context: &mut Context<'_>, s: &Statement) {
        let (own, common) = (self.garp, context.settings.garp);
        let place = |word: &str| s.inner().iter().rfind(|i| i.keyword() == word).unwrap_or(s);
        if own.delay != 5_000_000 {
            context.set("garp_master_delay", duration(own.delay), place("garp_master_delay"));
        }
        if own.repeat != 5 {
            context.set("garp_master_repeat", own.repeat.to_string(), place("garp_master_repeat"));
        }
        // In keepalived their defaults are the global ones, not the instance's own as here.
        let (lower_delay, lower_repeat) = match self.strict {
            true => (own.lower_delay.unwrap_or(0), own.lower_repeat.unwrap_or(1)),
            false => (own.lower_delay.unwrap_or(common.delay), own.lower_repeat.unwrap_or(common.repeat)),
        };
        if lower_delay != own.delay {
            context.set("garp_lower_prio_delay", duration(lower_delay), place("garp_lower_prio_delay"));
        }
        if lower_repeat != own.repeat {
            context.set("garp_lower_prio_repeat", lower_repeat.to_string(), place("garp_lower_prio_repeat"));
        }
        if own.refresh != 0 {
            context.set("garp_master_refresh", duration(own.refresh), place("garp_master_refresh"));
        }
        if own.refresh_repeat != 1 {
            let line = place("garp_master_refresh_repeat");
            context.set("garp_master_refresh_repeat", own.refresh_repeat.to_string(), line);
        }
    }

    fn transport(&self, context: &mut Context<'_>) {
        for (peer, s) in &self.peers {
            context.push("unicast_peer", quote(&peer.to_string()), s);
        }
        if let (Some((_, s)), false) = (self.peers.first(), self.checks_source) {
            context.differs(
                s,
                "only listed peers are heard; keepalived hears everybody without check_unicast_src",
            );
        }
        let Some((source, s)) = self.source else { return };
        let key = if self.peers.is_empty() { "mcast_src_ip" } else { "unicast_src_ip" };
        context.set(key, quote(&source.to_string()), s);
        if key != s.keyword() {
            context.differs(s, format!("becomes {key}: the two mean the same in keepalived"));
        }
    }
}
