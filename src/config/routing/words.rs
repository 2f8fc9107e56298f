//! Reading words one after the other.

use super::super::address::Fault;
use super::super::names;
use super::{Network, masked};
use std::net::IpAddr;
use std::str::FromStr;

pub(super) const PREFIX: &str = "an IPv4 or IPv6 prefix such as \"198.51.100.0/24\"";
const TABLE: &str = "1 to 4294967295, main, local, default";
const TABLES: [(&str, u32); 3] = [("main", 254), ("local", 255), ("default", 253)];

/// The words of a text.
pub(super) fn split(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// Words that are still to be read.
pub(super) struct Words<'a> {
    words: std::iter::Peekable<std::slice::Iter<'a, String>>,
}

impl<'a> Words<'a> {
    pub(super) fn new(words: &'a [String]) -> Self {
        Words { words: words.iter().peekable() }
    }

    pub(super) fn next(&mut self) -> Option<&'a str> {
        self.words.next().map(String::as_str)
    }

    /// Takes the next word if it is this one.
    pub(super) fn take(&mut self, word: &str) -> bool {
        self.words.next_if(|w| *w == word).is_some()
    }

    pub(super) fn peek(&mut self) -> Option<&'a str> {
        self.words.peek().map(|w| w.as_str())
    }

    /// The word after `part`.
    pub(super) fn value(&mut self, part: &'static str) -> Result<&'a str, Fault> {
        self.next().ok_or_else(|| Fault::new(part, "nothing follows it"))
    }

    /// A whole number after `part`.
    pub(super) fn number<T: FromStr>(
        &mut self,
        part: &'static str,
        allowed: &'static str,
        fits: impl Fn(&T) -> bool,
    ) -> Result<T, Fault> {
        let text = self.value(part)?;
        let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let number = if plain { text.parse().ok().filter(fits) } else { None };
        number.ok_or_else(|| Fault {
            allowed: Some(allowed),
            ..Fault::new(part, format!("`{text}` is not in range"))
        })
    }

    /// The name of an interface after `part`.
    pub(super) fn interface(&mut self, part: &'static str) -> Result<String, Fault> {
        let name = self.value(part)?;
        match names::interface_fault(name) {
            Some(why) => Err(Fault { allowed: Some(names::INTERFACE), ..Fault::new(part, why) }),
            None => Ok(name.to_owned()),
        }
    }

    /// A routing table after `part`, by number or by one of the names that every machine has.
    pub(super) fn table(&mut self) -> Result<u32, Fault> {
        let text = self.value("table")?;
        let named = TABLES.iter().find(|(name, _)| *name == text).map(|(_, n)| *n);
        named.or_else(|| text.parse().ok().filter(|n| *n > 0)).ok_or_else(|| Fault {
            allowed: Some(TABLE),
            help: text
                .bytes()
                .any(|b| b.is_ascii_alphabetic())
                .then(|| "write its number from /etc/iproute2/rt_tables".to_owned()),
            ..Fault::new("table", format!("`{text}` is not a routing table"))
        })
    }

    /// An address after `part`.
    pub(super) fn address(&mut self, part: &'static str) -> Result<IpAddr, Fault> {
        let text = self.value(part)?;
        text.parse().map_err(|_| Fault {
            allowed: Some("an IPv4 or IPv6 address"),
            ..Fault::new(part, format!("`{text}` is not an IP address"))
        })
    }
}

/// How a table is written.
pub(super) fn table_word(table: u32) -> String {
    let named = TABLES.iter().find(|(_, n)| *n == table);
    named.map_or_else(|| table.to_string(), |(name, _)| (*name).to_owned())
}

/// A network; without a prefix length a single address.
pub(super) fn network(part: &'static str, text: &str) -> Result<Network, Fault> {
    let (address, length) = text.split_once('/').map_or((text, None), |(a, l)| (a, Some(l)));
    let refused = |message: String| Fault { allowed: Some(PREFIX), ..Fault::new(part, message) };
    let address: IpAddr =
        address.parse().map_err(|_| refused(format!("`{text}` is not an address with a prefix")))?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let plain = |l: &&str| !l.is_empty() && l.bytes().all(|b| b.is_ascii_digit());
    let length: Option<u8> = match length {
        None => Some(longest),
        Some(l) => Some(l).filter(plain).and_then(|l| l.parse().ok()).filter(|l| *l <= longest),
    };
    let prefix_len = length.ok_or_else(|| refused(format!("`{text}` has no prefix length in range")))?;
    let network = Network { address: masked(address, prefix_len), prefix_len };
    if network.address != address {
        return Err(Fault {
            help: Some(format!("write {}/{prefix_len}", network.address)),
            ..Fault::new(part, format!("`{text}` has bits set after the prefix"))
        });
    }
    Ok(network)
}

/// Refuses a second value.
pub(super) fn once<T>(part: &'static str, slot: &mut Option<T>, value: T) -> Result<(), Fault> {
    match slot.replace(value) {
        Some(_) => Err(Fault::new(part, "stands twice")),
        None => Ok(()),
    }
}
