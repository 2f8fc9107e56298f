//! `virtual_rules`: a routing policy rule in the words of ip-rule(8).

use super::super::address::Fault;
use super::super::report::did_you_mean;
use super::Network;
use super::words::{Words, network, once, table_word};
use serde::Serialize;
use std::fmt;

/// What happens to packets that a rule fits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub enum RuleAction {
    /// This table is looked up.
    Table(u32),
    /// They are dropped without a word.
    Blackhole,
    /// They are refused: network unreachable.
    Unreachable,
    /// They are refused: administratively prohibited.
    Prohibit,
}

/// One rule.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub struct VirtualRule {
    /// Rules are tried by ascending priority, 1 to 32765.
    pub priority: u32,
    /// It fits where the rest of it does not (`not`).
    pub invert: bool,
    /// IPv6; otherwise IPv4.
    pub v6: bool,
    /// Source; none: all.
    pub from: Option<Network>,
    /// Destination; none: all.
    pub to: Option<Network>,
    /// Interface that the packet came in through.
    pub iif: Option<String>,
    /// Interface that the socket is bound to.
    pub oif: Option<String>,
    /// Mark and mask.
    pub fwmark: Option<(u32, u32)>,
    /// Type of service; 0: any.
    pub tos: u8,
    /// Protocol number, 1 to 255.
    pub ipproto: Option<u8>,
    /// Source ports, both ends included.
    pub sport: Option<(u16, u16)>,
    /// Destination ports, both ends included.
    pub dport: Option<(u16, u16)>,
    /// Routes of the table with a prefix this long or shorter do not count.
    pub suppress_prefixlength: Option<u32>,
    /// What it does.
    pub action: RuleAction,
}

const WORDS: [&str; 15] = [
    "from",
    "to",
    "iif",
    "oif",
    "fwmark",
    "priority",
    "table",
    "lookup",
    "tos",
    "ipproto",
    "sport",
    "dport",
    "suppress_prefixlength",
    "blackhole",
    "not",
];
const PROTOCOLS: [(&str, u8); 5] = [("icmp", 1), ("tcp", 6), ("udp", 17), ("ipv6-icmp", 58), ("sctp", 132)];

impl fmt::Display for VirtualRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.invert { "not " } else { "" })?;
        match self.from {
            Some(from) => write!(f, "from {from}")?,
            None if self.v6 => f.write_str("from ::/0")?,
            None => f.write_str("from all")?,
        }
        if let Some(to) = self.to {
            write!(f, " to {to}")?;
        }
        for (word, name) in [("iif", &self.iif), ("oif", &self.oif)] {
            if let Some(name) = name {
                write!(f, " {word} {name}")?;
            }
        }
        if let Some((mark, mask)) = self.fwmark {
            write!(f, " fwmark {mark:#x}/{mask:#x}")?;
        }
        if self.tos != 0 {
            write!(f, " tos {}", self.tos)?;
        }
        if let Some(protocol) = self.ipproto {
            write!(f, " ipproto {protocol}")?;
        }
        for (word, range) in [("sport", self.sport), ("dport", self.dport)] {
            match range {
                Some((first, last)) if first == last => write!(f, " {word} {first}")?,
                Some((first, last)) => write!(f, " {word} {first}-{last}")?,
                None => {}
            }
        }
        match self.action {
            RuleAction::Table(table) => write!(f, " lookup {}", table_word(table))?,
            RuleAction::Blackhole => f.write_str(" blackhole")?,
            RuleAction::Unreachable => f.write_str(" unreachable")?,
            RuleAction::Prohibit => f.write_str(" prohibit")?,
        }
        if let Some(length) = self.suppress_prefixlength {
            write!(f, " suppress_prefixlength {length}")?;
        }
        write!(f, " priority {}", self.priority)
    }
}

/// The parts, as they come.
#[derive(Default)]
struct Parts {
    priority: Option<u32>,
    invert: bool,
    from: Option<Option<Network>>,
    to: Option<Option<Network>>,
    iif: Option<String>,
    oif: Option<String>,
    fwmark: Option<(u32, u32)>,
    tos: Option<u8>,
    ipproto: Option<u8>,
    sport: Option<(u16, u16)>,
    dport: Option<(u16, u16)>,
    suppress: Option<u32>,
    action: Option<RuleAction>,
}

/// Reads one rule.
pub(super) fn parse(words: &[String]) -> Result<VirtualRule, Fault> {
    let mut words = Words::new(words);
    let mut parts = Parts::default();
    while let Some(word) = words.next() {
        read_word(word, &mut words, &mut parts)?;
    }
    build(parts)
}

fn read_word(word: &str, words: &mut Words<'_>, p: &mut Parts) -> Result<(), Fault> {
    const PRIORITY: &str = "1 to 32765";
    match word {
        "not" => {
            p.invert = true;
            Ok(())
        }
        "from" => once("from", &mut p.from, selector("from", words)?),
        "to" => once("to", &mut p.to, selector("to", words)?),
        "iif" | "dev" => once("iif", &mut p.iif, words.interface("iif")?),
        "oif" => once("oif", &mut p.oif, words.interface("oif")?),
        "fwmark" => once("fwmark", &mut p.fwmark, mark(words.value("fwmark")?)?),
        "priority" | "preference" | "pref" | "order" => {
            let fits = |n: &u32| (1..=32765).contains(n);
            once("priority", &mut p.priority, words.number("priority", PRIORITY, fits)?)
        }
        "tos" | "dsfield" => once(
            "tos",
            &mut p.tos,
            words.number("tos", "0 to 252 in steps of 4 (RFC 3168 has the rest)", |n: &u8| {
                n.is_multiple_of(4)
            })?,
        ),
        "ipproto" => once("ipproto", &mut p.ipproto, protocol(words.value("ipproto")?)?),
        "sport" => once("sport", &mut p.sport, ports("sport", words.value("sport")?)?),
        "dport" => once("dport", &mut p.dport, ports("dport", words.value("dport")?)?),
        "suppress_prefixlength" | "sup_pl" => {
            let length = words.number("suppress_prefixlength", "0 to 128", |n: &u32| *n <= 128)?;
            once("suppress_prefixlength", &mut p.suppress, length)
        }
        "table" | "lookup" => once("table", &mut p.action, RuleAction::Table(words.table()?)),
        "blackhole" => once("type", &mut p.action, RuleAction::Blackhole),
        "unreachable" => once("type", &mut p.action, RuleAction::Unreachable),
        "prohibit" => once("type", &mut p.action, RuleAction::Prohibit),
        "type" => Ok(()),
        other => Err(unknown(other)),
    }
}

fn unknown(word: &str) -> Fault {
    let help = match word {
        "proto" | "protocol" => Some("remove it: tandemd marks its rules with protocol 116".to_owned()),
        "goto" | "nat" | "map-to" | "realms" | "uidrange" | "l3mdev" | "tun_id" | "suppress_ifgroup" => {
            Some("not supported yet; a notify_master script can add the rule".to_owned())
        }
        _ => did_you_mean(word, WORDS),
    };
    let allowed = "from, to, iif, oif, fwmark, priority, table, lookup, tos, ipproto, sport, dport, \
                   suppress_prefixlength, blackhole, unreachable, prohibit, not";
    Fault { allowed: Some(allowed), help, ..Fault::new("rule", format!("unknown word `{word}`")) }
}

/// A network; `all` and `any` are IPv4 unless another word says otherwise.
fn selector(part: &'static str, words: &mut Words<'_>) -> Result<Option<Network>, Fault> {
    match words.value(part)? {
        "all" | "any" | "default" => Ok(None),
        text => network(part, text).map(Some),
    }
}

fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(hex) if hex.bytes().all(|b| b.is_ascii_hexdigit()) => u32::from_str_radix(hex, 16).ok(),
        Some(_) => None,
        None if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok(),
        None => None,
    }
}

fn mark(text: &str) -> Result<(u32, u32), Fault> {
    let (mark, mask) = text.split_once('/').map_or((text, None), |(mark, mask)| (mark, Some(mask)));
    let read = number(mark).zip(mask.map_or(Some(u32::MAX), number));
    read.filter(|(mark, mask)| mark & !mask == 0 && *mask != 0).ok_or_else(|| Fault {
        allowed: Some("a number such as 1 or 0x10, with an optional mask, 0x10/0xff, that covers it"),
        ..Fault::new("fwmark", format!("`{text}` is not a mark"))
    })
}

fn protocol(text: &str) -> Result<u8, Fault> {
    let named = PROTOCOLS.iter().find(|(name, _)| *name == text).map(|(_, n)| *n);
    named.or_else(|| text.parse().ok().filter(|n| *n > 0)).ok_or_else(|| Fault {
        allowed: Some("tcp, udp, sctp, icmp, ipv6-icmp, or 1 to 255"),
        ..Fault::new("ipproto", format!("`{text}` is not a protocol"))
    })
}

fn ports(part: &'static str, text: &str) -> Result<(u16, u16), Fault> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let port = |t: &str| number(t).and_then(|n| u16::try_from(n).ok()).filter(|n| *n > 0);
    port(first).zip(port(last)).filter(|(first, last)| first <= last).ok_or_else(|| Fault {
        allowed: Some("a port such as 80, or a range such as 8000-8080"),
        ..Fault::new(part, format!("`{text}` is not a port"))
    })
}

fn build(p: Parts) -> Result<VirtualRule, Fault> {
    let action = p.action.ok_or_else(|| Fault {
        allowed: Some("table N, blackhole, unreachable, prohibit"),
        ..Fault::new("rule", "says nothing to do")
    })?;
    let priority = p.priority.ok_or_else(|| Fault {
        allowed: Some("1 to 32765"),
        help: Some("without one the kernel picks a place that depends on what came before".to_owned()),
        ..Fault::new("priority", "is missing")
    })?;
    let (from, to) = (p.from.flatten(), p.to.flatten());
    let v6 = from.or(to).is_some_and(|n| n.address.is_ipv6());
    if let (Some(from), Some(to)) = (from, to)
        && from.address.is_ipv6() != to.address.is_ipv6()
    {
        return Err(Fault::new("to", "is of another family than from"));
    }
    if p.suppress.is_some() && !matches!(action, RuleAction::Table(_)) {
        return Err(Fault::new("suppress_prefixlength", "needs a table"));
    }
    if p.ipproto.is_none() && (p.sport.is_some() || p.dport.is_some()) {
        // The kernel takes ports without a protocol, but compares them with nothing then.
        return Err(Fault {
            help: Some("add ipproto tcp or ipproto udp".to_owned()),
            ..Fault::new("ipproto", "is missing beside ports")
        });
    }
    // A prefix of length 0 says no more than all.
    let some = |n: Option<Network>| n.filter(|n| n.prefix_len > 0);
    let everything = some(from).is_none() && some(to).is_none() && p.iif.is_none() && p.oif.is_none();
    let selects = p.fwmark.is_some() || p.ipproto.is_some() || p.tos.is_some_and(|t| t != 0);
    if p.invert && everything && !selects {
        return Err(Fault::new("not", "fits no packet at all"));
    }
    Ok(VirtualRule {
        priority,
        invert: p.invert,
        v6,
        from: some(from),
        to: some(to),
        iif: p.iif,
        oif: p.oif,
        fwmark: p.fwmark,
        tos: p.tos.unwrap_or(0),
        ipproto: p.ipproto,
        sport: p.sport,
        dport: p.dport,
        suppress_prefixlength: p.suppress,
        action,
    })
}
