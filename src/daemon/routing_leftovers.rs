//! Prefixes, routes and rules that a killed daemon left behind: removed at start, like its addresses.
//!
//! They are not looked for: the kernel is asked to remove everything that this daemon manages and that carries
//! tandemd's protocol number. It passes over what does not carry it.

use super::leftovers::Cleaned;
use super::routing::{Item, items, removal};
use crate::config::Config;
use crate::net::NetError;
use crate::net::netlink::{Applied, Netlink};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io;
use std::path::Path;

/// Name of the list in the run directory.
const LIST: &str = "routing.json";

/// One element of the list: the words of the configuration, read back by its own parser.
#[derive(Debug, Serialize, Deserialize)]
struct Written {
    instance: String,
    kind: String,
    text: String,
}

impl Written {
    fn item(&self) -> Option<Item> {
        match self.kind.as_str() {
            "prefix" => self.text.parse().ok().map(Item::Prefix),
            "route" => self.text.parse().ok().map(Item::Route),
            "rule" => self.text.parse().ok().map(Item::Rule),
            _ => None,
        }
    }
}

/// Items with the instance that they belong to.
type Managed = BTreeSet<(Item, String)>;

fn managed(configs: &[&Config]) -> Managed {
    let all = configs.iter().flat_map(|c| &c.instances);
    all.flat_map(|i| items(i).into_iter().map(|item| (item, i.name.clone()))).collect()
}

fn read(run_dir: &Path) -> Managed {
    // No list, or one that a crash cut short: then the configuration alone says what is ours.
    let text = std::fs::read(run_dir.join(LIST)).unwrap_or_default();
    let list: Vec<Written> = serde_json::from_slice(&text).unwrap_or_default();
    list.iter().filter_map(|w| w.item().map(|item| (item, w.instance.clone()))).collect()
}

/// Writes the list of everything that `configs` may put into the kernel.
pub(super) fn remember(run_dir: &Path, configs: &[&Config]) -> io::Result<()> {
    let written = |(item, instance): &(Item, String)| Written {
        instance: instance.clone(),
        kind: item.kind().to_owned(),
        text: item.to_string(),
    };
    let list: Vec<Written> = managed(configs).iter().map(written).collect();
    let temporary = run_dir.join(format!("{LIST}.new"));
    std::fs::write(&temporary, serde_json::to_vec(&list)?)?;
    std::fs::rename(temporary, run_dir.join(LIST))
}

/// Removes left-overs, but not those of the instances in `keep`.
pub(super) fn clean(
    run_dir: &Path,
    config: Option<&Config>,
    keep: &[String],
    done: &mut Cleaned,
) -> Result<(), NetError> {
    let listed = read(run_dir);
    // What the configuration, if there is one, does not name any more is nobody's to keep.
    let known = config.map_or_else(|| listed.clone(), |c| managed(&[c]));
    let kept: BTreeSet<&Item> =
        known.iter().filter(|(_, i)| keep.contains(i)).map(|(item, _)| item).collect();
    let ours: BTreeSet<&Item> =
        known.iter().chain(&listed).map(|(item, _)| item).filter(|item| !kept.contains(item)).collect();
    if ours.is_empty() {
        return Ok(());
    }
    // As at a release: rules before routes before prefixes.
    let ours: Vec<&Item> = ours.into_iter().rev().collect();
    let ops: Vec<_> = ours.iter().map(|item| removal(item)).collect();
    for (item, result) in ours.iter().zip(Netlink::open()?.change_routing(&ops)) {
        match result {
            Ok(Applied::Done) => done.removed.push(format!("{} {item}", item.kind())),
            Ok(_) => {}
            Err(e) => done.failed.push(e.to_string()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Options, Source, parse};

    #[test]
    fn what_is_remembered_is_read_back() {
        let text = "[[vrrp_instance]]\nname = \"a\"\ninterface = \"eth0\"\nvirtual_router_id = 1\n\
                    virtual_ipaddress = [\"192.0.2.100/24\"]\n\
                    virtual_prefix = [\"198.18.4.0/22\"]\n\
                    virtual_routes = [\"default via 192.0.2.1 metric 9\"]\n\
                    virtual_rules = [\"from 198.18.4.0/22 table 7 priority 7\"]\n";
        let source = Source { path: "x".into(), text: text.into() };
        let config = parse(&[source], &Options::default()).unwrap().config;
        let dir = tempfile::tempdir().unwrap();
        assert!(read(dir.path()).is_empty(), "no list is an empty one");
        remember(dir.path(), &[&config]).unwrap();
        assert_eq!(read(dir.path()), managed(&[&config]));
        assert_eq!(read(dir.path()).len(), 3);
        assert!(read(dir.path()).iter().all(|(_, instance)| instance == "a"));
        std::fs::write(dir.path().join(LIST), "[{\"kind\":\"route\"").unwrap();
        assert!(read(dir.path()).is_empty(), "a list that was cut short is none");
    }
}
