//! What `ha set` is told, checked.

use super::SetWish;
use crate::pair::Role;
use std::net::IpAddr;

/// What is to become of the drop-in; none: stays as it is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Wish {
    /// The virtual address.
    pub(super) vip: Option<Vip>,
    /// Interface of VRRP.
    pub(super) vif: Option<String>,
    /// Virtual router id.
    pub(super) vri: Option<u8>,
    /// The two nodes.
    pub(super) nodes: Option<Nodes>,
}

/// `IP[/PREFIX][:IF]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Vip {
    /// The address alone.
    pub(super) address: IpAddr,
    /// With its prefix, if one was written.
    written: String,
    /// Its own interface.
    dev: Option<String>,
}

/// Who is who.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Nodes {
    /// Of this node: the first of the list is the primary.
    pub(super) role: Role,
    /// This node's address.
    pub(super) own: IpAddr,
    /// The other one's.
    pub(super) peer: IpAddr,
}

impl Vip {
    /// An interface name has no colon, so the last one is before it, unless all of it is an address.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let bad = || format!("--kad_vip={text}: write IP, IP:IF or, with the network's prefix, IP/PREFIX:IF");
        let address = |written: &str| {
            let (ip, prefix) = written.split_once('/').map_or((written, None), |(ip, p)| (ip, Some(p)));
            let bare = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).unwrap_or(ip);
            let address: IpAddr = bare.parse().ok()?;
            let plain = prefix.is_none_or(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()));
            plain.then(|| (address, prefix.map_or_else(|| bare.to_owned(), |p| format!("{bare}/{p}"))))
        };
        if let Some((address, written)) = address(text) {
            return Ok(Vip { address, written, dev: None });
        }
        let (before, dev) = text.rsplit_once(':').ok_or_else(bad)?;
        let (address, written) = address(before).ok_or_else(bad)?;
        if dev.is_empty() || dev.contains(char::is_whitespace) {
            return Err(bad());
        }
        Ok(Vip { address, written, dev: Some(dev.to_owned()) })
    }

    /// As an element of `virtual_ipaddress`.
    pub(super) fn element(&self) -> String {
        match &self.dev {
            Some(dev) => format!("{} dev {dev}", self.written),
            None => self.written.clone(),
        }
    }
}

impl Nodes {
    /// `words` as typed, in order: two addresses, of which one is among this machine's `own`.
    pub(super) fn parse(words: &[String], own: &[IpAddr]) -> Result<Self, String> {
        let split = words.iter().flat_map(|w| w.split([',', ' '])).filter(|w| !w.is_empty());
        let list: Vec<&str> = split.collect();
        let [first, second] = list.as_slice() else {
            return Err(format!(
                "--ha_node_list names the two nodes, the primary first, not {}: --ha_node_list=IP IP",
                list.len()
            ));
        };
        let address = |text: &&str| {
            text.parse::<IpAddr>().map_err(|_| format!("--ha_node_list: {text} is no IP address"))
        };
        let (first, second) = (address(first)?, address(second)?);
        if first == second {
            return Err(format!("--ha_node_list: {first} stands twice: a pair is two nodes"));
        }
        match (own.contains(&first), own.contains(&second)) {
            (true, false) => Ok(Nodes { role: Role::Primary, own: first, peer: second }),
            (false, true) => Ok(Nodes { role: Role::Secondary, own: second, peer: first }),
            (false, false) => Err(format!(
                "--ha_node_list: neither {first} nor {second} is an address of this machine, which has {}",
                listed(own)
            )),
            (true, true) => Err(format!(
                "--ha_node_list: {first} and {second} are both addresses of this machine: name one of each node"
            )),
        }
    }
}

fn listed(own: &[IpAddr]) -> String {
    let all: Vec<String> = own.iter().filter(|a| !a.is_loopback()).map(ToString::to_string).collect();
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}

impl Wish {
    /// From the command line; `own` are the addresses of this machine.
    pub(super) fn of(words: &SetWish, own: &[IpAddr]) -> Result<Self, String> {
        let nodes: Vec<String> = words.ha_node_list.iter().chain(&words.second).cloned().collect();
        let wish = Wish {
            vip: words.kad_vip.as_deref().map(Vip::parse).transpose()?,
            vif: words.kad_vif.clone(),
            vri: words.kad_vri,
            nodes: (!nodes.is_empty()).then(|| Nodes::parse(&nodes, own)).transpose()?,
        };
        match wish == Wish::default() {
            true => Err("say what: --kad_vip=IP[:IF] --kad_vif=IF --ha_node_list=IP IP".into()),
            false => Ok(wish),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_virtual_address_may_name_its_interface() {
        for (text, element, address) in [
            ("192.0.2.100", "192.0.2.100", "192.0.2.100"),
            ("192.0.2.100:eth1", "192.0.2.100 dev eth1", "192.0.2.100"),
            ("192.0.2.100/24:bond0.7", "192.0.2.100/24 dev bond0.7", "192.0.2.100"),
            ("192.0.2.100/24", "192.0.2.100/24", "192.0.2.100"),
            ("2001:db8::100", "2001:db8::100", "2001:db8::100"),
            ("2001:db8::100/64:eth1", "2001:db8::100/64 dev eth1", "2001:db8::100"),
            ("[2001:db8::100]:eab", "2001:db8::100 dev eab", "2001:db8::100"),
        ] {
            let vip = Vip::parse(text).unwrap();
            assert_eq!((vip.element().as_str(), vip.address.to_string().as_str()), (element, address));
        }
        for text in [
            "",
            "eth0",
            "192.0.2.100:",
            ":eth0",
            "192.0.2.256",
            "192.0.2.1/:eth0",
            "192.0.2.1/2 4",
            "host:eth0",
        ] {
            assert!(Vip::parse(text).unwrap_err().contains("IP:IF"), "{text}");
        }
    }

    #[test]
    fn the_first_of_the_list_is_the_primary_and_the_own_address_says_which_this_is() {
        let own: Vec<IpAddr> = ["127.0.0.1", "192.0.2.1", "2001:db8::1"].map(|a| a.parse().unwrap()).into();
        let parse =
            |words: &[&str]| Nodes::parse(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>(), &own);
        for words in [&["192.0.2.1", "192.0.2.2"][..], &["192.0.2.1,192.0.2.2"], &["192.0.2.1 192.0.2.2"]] {
            let nodes = parse(words).unwrap();
            assert_eq!((nodes.role, nodes.peer.to_string().as_str()), (Role::Primary, "192.0.2.2"));
        }
        let nodes = parse(&["2001:db8::2", "2001:db8::1"]).unwrap();
        assert_eq!((nodes.role, nodes.own.to_string().as_str()), (Role::Secondary, "2001:db8::1"));
        for (words, why) in [
            (&["192.0.2.1"][..], "not 1"),
            (&[""], "not 0"),
            (&["192.0.2.1,192.0.2.2", "192.0.2.3"], "not 3"),
            (&["192.0.2.1", "bravo"], "bravo is no IP address"),
            (&["192.0.2.1", "192.0.2.1"], "stands twice"),
            (&["192.0.2.8", "192.0.2.9"], "which has 192.0.2.1, 2001:db8::1"),
            (&["192.0.2.1", "2001:db8::1"], "both addresses of this machine"),
        ] {
            let refused = parse(words).unwrap_err();
            assert!(refused.contains(why), "{words:?}: {refused}");
        }
    }
}
