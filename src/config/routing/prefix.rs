//! `virtual_prefix`: `PREFIX [dev IF] [noannounce]`.

use super::super::address::{Fault, unusable};
use super::super::report::did_you_mean;
use super::words::{PREFIX, Words, network, once};
use super::{ANNOUNCED_MOST, Network};
use serde::Serialize;
use std::fmt;
use std::net::IpAddr;

/// A whole prefix whose every address this machine answers for while it is MASTER.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub struct VirtualPrefix {
    /// The addresses.
    pub network: Network,
    /// Interface that answers for them; none: the instance's.
    pub dev: Option<String>,
    /// Whether its addresses are announced on becoming MASTER.
    pub announce: bool,
}

impl VirtualPrefix {
    /// How many IPv4 addresses are announced; IPv6 announces only what was asked for.
    pub fn announced(&self) -> u64 {
        match self.network.address {
            IpAddr::V4(_) if self.announce => {
                1_u64.checked_shl(32_u32.saturating_sub(self.network.prefix_len.into())).unwrap_or(u64::MAX)
            }
            _ => 0,
        }
    }

    /// The `n`-th IPv4 address; none past the end, and none for IPv6.
    pub fn nth(&self, n: u64) -> Option<IpAddr> {
        let IpAddr::V4(first) = self.network.address else { return None };
        let size = 1_u64.checked_shl(32_u32.saturating_sub(self.network.prefix_len.into()))?;
        let offset = u32::try_from(n).ok().filter(|_| n < size)?;
        u32::from(first).checked_add(offset).map(|a| IpAddr::from(a.to_be_bytes()))
    }
}

impl fmt::Display for VirtualPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network.address, self.network.prefix_len)?;
        if let Some(dev) = &self.dev {
            write!(f, " dev {dev}")?;
        }
        f.write_str(if self.announce { "" } else { " noannounce" })
    }
}

/// Reads one prefix.
pub(super) fn parse(words: &[String]) -> Result<VirtualPrefix, Fault> {
    let mut words = Words::new(words);
    let text =
        words.next().ok_or_else(|| Fault { allowed: Some(PREFIX), ..Fault::new("prefix", "is missing") })?;
    let network = network("prefix", text)?;
    check(&network)?;
    let (mut dev, mut silent) = (None, None);
    while let Some(word) = words.next() {
        match word {
            "dev" => once("dev", &mut dev, words.interface("dev")?)?,
            "noannounce" => once("noannounce", &mut silent, ())?,
            other => {
                return Err(Fault {
                    allowed: Some("dev, noannounce"),
                    help: did_you_mean(other, ["dev", "noannounce"]),
                    ..Fault::new("prefix", format!("unknown word `{other}`"))
                });
            }
        }
    }
    let prefix = VirtualPrefix { network, dev, announce: silent.is_none() };
    if prefix.announced() > ANNOUNCED_MOST {
        return Err(Fault {
            allowed: Some("/20 or longer"),
            help: Some("write noannounce after it, or announce = false in the table form".to_owned()),
            ..Fault::new("prefix", "has too many addresses to announce each of them")
        });
    }
    Ok(prefix)
}

/// What cannot be hosts' addresses, and what would take over half the Internet by a slip of the finger.
fn check(network: &Network) -> Result<(), Fault> {
    let shortest = if network.address.is_ipv4() { 8 } else { 16 };
    if network.prefix_len < shortest {
        return Err(Fault {
            allowed: Some("/8 to /32, IPv6 /16 to /128"),
            ..Fault::new("prefix", "is too short")
        });
    }
    match unusable(network.address) {
        Some(why) => Err(Fault::new("prefix", format!("{why} and cannot be virtual"))),
        None => Ok(()),
    }
}
