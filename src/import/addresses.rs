//! `virtual_ipaddress` and `virtual_ipaddress_excluded`.

use super::context::Context;
use super::features::NOT_YET;
use super::toml::quote;
use super::tree::Statement;
use std::net::IpAddr;

/// The addresses of an instance, in their order.
#[derive(Default)]
pub(super) struct Listed {
    listed: Vec<Address>,
    excluded: Vec<Address>,
}

/// One address with where it stands.
struct Address {
    address: IpAddr,
    prefix: u8,
    /// As tandemd writes it.
    text: String,
    /// The interface, if one is named.
    dev: Option<String>,
    origin: super::toml::Origin,
}

impl Listed {
    /// The first address, whose family is the instance's.
    pub(super) fn first(&self) -> Option<IpAddr> {
        self.listed.first().map(|a| a.address)
    }

    /// One of the two blocks; a further one appends.
    pub(super) fn read(&mut self, context: &mut Context<'_>, block: &Statement, excluded: bool) {
        for s in block.inner() {
            context.done(s);
            let Some(address) = read(context, s) else { continue };
            let twice = |other: &&Address| {
                (other.address, other.prefix, &other.dev) == (address.address, address.prefix, &address.dev)
            };
            if self.excluded.iter().any(|a| twice(&a)) || (excluded && self.listed.iter().any(|a| twice(&a)))
            {
                context.differs(s, "is listed twice: once is in the result");
                continue;
            }
            if self.listed.iter().any(|a| twice(&a)) {
                context.differs(s, TWICE);
            }
            if excluded {
                self.excluded.push(address);
            } else if self.first().is_some_and(|first| first.is_ipv6() != address.address.is_ipv6()) {
                context.mistake(s, "is of another family than the first address; keepalived ignores it");
            } else if self.listed.len() >= if address.address.is_ipv6() { 90 } else { 255 } {
                context.differs(
                    s,
                    "is in virtual_ipaddress_excluded, as in keepalived: an advertisement is full",
                );
                self.excluded.push(address);
            } else {
                self.listed.push(address);
            }
        }
    }
}

const TWICE: &str = "is listed twice and so advertised twice, as keepalived does; take it away on all nodes";

/// `IP[/LEN] WORD ...`; none: it is no address, which is listed.
fn read(context: &mut Context<'_>, s: &Statement) -> Option<Address> {
    let (address, prefix) = s.keyword().split_once('/').map_or((s.keyword(), None), |(a, p)| (a, Some(p)));
    let Ok(address) = address.parse::<IpAddr>() else {
        context.mistake(s, "is not an address; keepalived ignores it");
        return None;
    };
    let longest: u8 = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix.map(str::parse::<u8>) {
        None => longest,
        Some(Ok(length)) if length <= longest => length,
        Some(_) => {
            context.mistake(s, format!("its prefix is not 0 to {longest}; keepalived takes {longest}"));
            longest
        }
    };
    let mut text = format!("{address}/{prefix}");
    let mut deprecated = address.is_ipv6() && prefix == 128;
    let mut dev = None;
    let mut rest = s.values().iter().map(String::as_str);
    while let Some(word) = rest.next() {
        match word {
            "dev" | "label" | "brd" | "broadcast" | "scope" => {
                let Some(value) = rest.next() else {
                    context.mistake(s, format!("nothing follows {word}"));
                    break;
                };
                let word = if word == "broadcast" { "brd" } else { word };
                let value = if (word, value) == ("scope", "nowhere") { "255" } else { value };
                if word == "dev" {
                    dev = Some(value.to_owned());
                }
                text.push_str(&format!(" {word} {value}"));
            }
            "noprefixroute" => text.push_str(" noprefixroute"),
            "preferred_lft" => match rest.next() {
                Some("0") => deprecated = address.is_ipv6(),
                Some("forever") => deprecated = false,
                _ => context.missing(s, "preferred_lft: 0 (deprecated) and forever are possible"),
            },
            "-nodad" | "nodad" => context.differs(s, "-nodad is not needed: duplicates are never looked for"),
            "no_track" => context.differs(s, "no_track: an address that something removes is put back"),
            "peer" => {
                rest.next();
                context.missing(s, "peer: an address has no other end");
            }
            "use_vmac" => context.missing(s, format!("use_vmac of a single address: {NOT_YET}")),
            "home" | "mngtmpaddr" | "autojoin" => {
                context.missing(s, format!("{word}: this flag cannot be set"))
            }
            "track_group" => {
                rest.next();
                context.mistake(s, "track_group is for static addresses alone; keepalived ignores it");
            }
            other => {
                context.mistake(s, format!("{other}: keepalived does not know this word here and ignores it"))
            }
        }
    }
    if deprecated {
        text.push_str(" deprecated");
    }
    Some(Address { address, prefix, text, dev, origin: super::context::origin(s) })
}

/// Writes both lists.
pub(super) fn write(context: &mut Context<'_>, s: &Statement, listed: Listed) {
    if listed.listed.is_empty() {
        context.set("virtual_ipaddress", "[]", s);
        if !context.has("no_virtual_ipaddress") {
            context.set("no_virtual_ipaddress", "true", s);
        }
    }
    for (key, list) in [("virtual_ipaddress", listed.listed), ("virtual_ipaddress_excluded", listed.excluded)]
    {
        for address in list {
            context.push_from(key, quote(&address.text), address.origin);
        }
    }
}
