//! `[witness]` of kind `"etcd"`.

use super::model::{EtcdSettings, EtcdTls};
use crate::config::address::unusable;
use crate::config::names;
use crate::config::reader::{Table, Value};
use crate::config::report::Spot;

use std::net::{IpAddr, SocketAddr};

/// Where etcd answers clients.
const PORT: u16 = 2379;
/// More endpoints get too little of the time for an answer each.
const MOST: usize = 7;
/// Below it the keys of pairs stand, unless something else is written.
const PREFIX: &str = "/tandemd/";
const ENDPOINTS: &str = "1 to 7 of the form \"https://ADDRESS:PORT\"";
const PREFIXES: &str = "`/`, letters, digits, `.`, `_` and `-`; at most 200, `/` first and last";

/// Reads what stands beside `kind`. The addresses are those of the endpoints.
pub(super) fn read(table: &Table<'_>) -> (Option<EtcdSettings>, Vec<Spot<IpAddr>>) {
    let endpoints = table.need("endpoints", ENDPOINTS).and_then(|v| read_endpoints(&v));
    let prefix = read_prefix(table);
    let file = |key: &'static str| table.get(key).and_then(|v| names::path(&v));
    let (ca, chain, key) = (file("ca_file"), file("cert_file"), file("key_file"));
    let Some((https, endpoints)) = endpoints else { return (None, Vec::new()) };
    let addresses =
        endpoints.iter().map(|e| Spot { value: e.value.ip(), at: e.at, key: e.key.clone() }).collect();
    let endpoints = endpoints.into_iter().map(|e| e.value).collect();
    let built = match check_files(table, https) {
        false => None,
        true => Some(ca.map(|ca_file| EtcdTls { ca_file, own: chain.zip(key) })),
    };
    let built = built.filter(|tls| tls.is_some() == https).zip(prefix);
    (built.map(|(tls, prefix)| EtcdSettings { endpoints, prefix, tls }), addresses)
}

/// Which files have to be there, and which may not.
fn check_files(table: &Table<'_>, https: bool) -> bool {
    if !https {
        let stray = ["ca_file", "cert_file", "key_file"].into_iter().filter_map(|key| table.get(key));
        let stray: Vec<_> = stray.collect();
        for value in &stray {
            value.add(value.refuse("has no use with http").help("write the endpoints with https://"));
        }
        return stray.is_empty();
    }
    let ca = table.need("ca_file", "the file with the certificate of etcd's authority").is_some();
    match (table.get("cert_file"), table.get("key_file")) {
        (Some(value), None) => {
            value.add(value.refuse("has no key").help("write `key_file` too"));
            false
        }
        (None, Some(value)) => {
            value.add(value.refuse("has no certificate").help("write `cert_file` too"));
            false
        }
        _ => ca,
    }
}

/// All of them, and whether over TLS.
fn read_endpoints(value: &Value<'_>) -> Option<(bool, Vec<Spot<SocketAddr>>)> {
    let items = value.list("endpoints")?;
    if items.is_empty() || items.len() > MOST {
        value.add(value.refuse(format!("lists {} endpoints", items.len())).allowed(ENDPOINTS));
        return None;
    }
    let read: Vec<_> = items.iter().map(read_endpoint).collect();
    let read: Vec<(bool, Spot<SocketAddr>)> = read.into_iter().collect::<Option<_>>()?;
    let https = read.iter().filter(|(https, _)| *https).count();
    if https > 0 && https < read.len() {
        value.add(value.refuse("are partly https and partly http").help("write them all with https://"));
        return None;
    }
    if https == 0 {
        let problem = value.warn("are not encrypted: whoever is on the way to etcd can grant a lease");
        value.add(problem.help("let etcd serve https, and write `ca_file`"));
    }
    let endpoints: Vec<_> = read.into_iter().map(|(_, endpoint)| endpoint).collect();
    let twice = |(n, e): (usize, &Spot<SocketAddr>)| endpoints.iter().take(n).any(|o| o.value == e.value);
    if endpoints.iter().enumerate().any(twice) {
        value.add(value.refuse("name one endpoint twice").allowed(ENDPOINTS));
        return None;
    }
    Some((https > 0, endpoints))
}

fn read_endpoint(value: &Value<'_>) -> Option<(bool, Spot<SocketAddr>)> {
    let text = value.string()?;
    let (https, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (true, rest),
        (_, Some(rest)) => (false, rest),
        _ => {
            value.add(value.refuse("is not an endpoint").allowed(ENDPOINTS));
            return None;
        }
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let bare = |text: &str| text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
    let Some(at) = rest.parse().ok().or_else(|| Some(SocketAddr::new(bare(rest)?, PORT))) else {
        let problem = value.refuse("is not an endpoint").allowed(ENDPOINTS);
        value.add(problem.help("an address, not a name: a node asks also while the name service is away"));
        return None;
    };
    let local = matches!(at.ip(), IpAddr::V6(a) if a.is_unicast_link_local());
    if at.port() == 0 || local || unusable(at.ip()).is_some() {
        value.add(value.refuse("is no host's address and port").allowed(ENDPOINTS));
        return None;
    }
    Some((https, value.spot(at)))
}

fn read_prefix(table: &Table<'_>) -> Option<String> {
    let Some(value) = table.get("prefix") else { return Some(PREFIX.to_owned()) };
    let text = value.string()?;
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-');
    if text.len() > 200 || !text.starts_with('/') || !text.ends_with('/') || !text.chars().all(legal) {
        value.add(value.refuse("is not the beginning of a key").allowed(PREFIXES));
        return None;
    }
    Some(text.to_owned())
}
