//! `kind = "postgresql"`.

use super::common::Defaults;
use super::model::{PostgresqlResource, Rejoin};
use super::space;
use crate::config::model::UserRef;
use crate::config::names;
use crate::config::reader::{Table, Value};
use crate::resource::Timeouts;
use std::path::PathBuf;
use std::time::Duration;

/// Starting may replay a log, and a clean stop writes a checkpoint.
pub(super) fn defaults() -> Defaults {
    let minutes = |n: u64| Duration::from_secs(60 * n);
    let timeouts = Timeouts {
        start: minutes(5),
        promote: minutes(1),
        demote: minutes(5),
        stop: minutes(2),
        ..Timeouts::default()
    };
    Defaults { timeouts, monitor_interval: Duration::from_secs(5), run_forever: true, ..Defaults::default() }
}

pub(super) fn read(table: &Table<'_>) -> Option<PostgresqlResource> {
    let path = |key| table.get(key).and_then(|v: Value<'_>| names::path(&v));
    let data_directory = table.need("data_directory", "an absolute path").and_then(|v| names::path(&v));
    let peer = table.need("peer", "host name or address of the other server").and_then(|v| read_host(&v));
    let port = read_port(table, "port", 5432);
    let user = table.get("user").and_then(|v| names::user(&v));
    let words =
        [("rewind", Rejoin::Rewind), ("rewind_or_copy", Rejoin::RewindOrCopy), ("never", Rejoin::Never)];
    let rejoin = table.get("rejoin").and_then(|v| v.choice(&words));
    let replication_user = table.get("replication_user").and_then(|v| read_role(&v));
    let max_lag = table.get("max_lag").and_then(|v| space::bytes(&v));
    let (bin_directory, config_file, password_file) =
        (path("bin_directory"), path("config_file"), path("password_file"));
    let socket_directory = path("socket_directory");
    let peer_port = read_port(table, "peer_port", port);
    Some(PostgresqlResource {
        data_directory: data_directory?,
        bin_directory,
        config_file,
        user: user.unwrap_or(UserRef { user: "postgres".to_owned(), group: None }),
        port,
        socket_directory: socket_directory.unwrap_or_else(|| PathBuf::from("/var/run/postgresql")),
        peer: peer?,
        peer_port,
        replication_user: replication_user.unwrap_or_else(|| "replicator".to_owned()),
        password_file,
        rejoin: rejoin.unwrap_or(Rejoin::RewindOrCopy),
        max_lag,
    })
}

fn read_port(table: &Table<'_>, key: &'static str, default: u16) -> u16 {
    u16::try_from(table.integer(key, 1..=65_535, i64::from(default))).unwrap_or(default)
}

/// It ends up in a connection string: one host, nothing that a connection string would read as more.
fn read_host(value: &Value<'_>) -> Option<String> {
    let text = value.string()?;
    let legal = |c: char| c.is_ascii_alphanumeric() || "-_.:%/".contains(c);
    if text.is_empty() || text.len() > 255 || !text.chars().all(legal) {
        value.add(value.refuse("is not a host").allowed("one host name or address, without a port"));
        return None;
    }
    Some(text.to_owned())
}

fn read_role(value: &Value<'_>) -> Option<String> {
    let text = value.string()?;
    let legal = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if text.is_empty() || text.len() > 63 || !text.chars().all(legal) {
        let allowed = "1 to 63 letters, digits, `-`, `_`, `.`";
        value.add(value.refuse("is not a role").allowed(allowed));
        return None;
    }
    Some(text.to_owned())
}
