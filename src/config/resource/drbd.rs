//! `kind = "drbd"`.

use super::common::Defaults;
use super::model::{DrbdResource, PeerLost};
use crate::config::reader::{Table, Value};
use crate::resource::Timeouts;
use std::time::Duration;

const NAME: &str = "a resource of DRBD's own configuration, such as \"r0\"";
const MINUTE: Duration = Duration::from_secs(60);

/// A promotion waits for the peer first, and the kernel alone may take 30 s.
pub(super) fn defaults(drbd: &DrbdResource) -> Defaults {
    let timeouts = Timeouts { promote: MINUTE + drbd.wait_connect, ..Timeouts::default() };
    Defaults { timeouts, monitor_interval: Duration::from_secs(5), run_forever: true, ..Defaults::default() }
}

pub(super) fn read(table: &Table<'_>) -> Option<DrbdResource> {
    let name = table.need("drbd_resource", NAME).and_then(|v| read_name(&v));
    let hour = Duration::ZERO..=Duration::from_secs(3600);
    let wait_connect = table.duration("wait_connect", hour, Duration::from_secs(30));
    let lost = [("promote", PeerLost::Promote), ("refuse", PeerLost::Refuse)];
    let on_peer_lost = table.get("on_peer_lost").and_then(|v| v.choice(&lost));
    let force_demote = table.flag("force_demote");
    check_promote(table, wait_connect);
    Some(DrbdResource {
        drbd_resource: name?,
        wait_connect,
        on_peer_lost: on_peer_lost.unwrap_or(PeerLost::Promote),
        force_demote,
    })
}

/// A deadline within the wait would fail every promotion without a peer.
fn check_promote(table: &Table<'_>, wait_connect: Duration) {
    let Some(value) = table.get("promote_timeout") else { return };
    // What is no duration at all is reported where it is used.
    let written = value.as_duration();
    if written.is_some_and(|limit| limit <= wait_connect) {
        let shown = crate::config::duration::format(wait_connect);
        let problem = value.refuse("ends before `wait_connect` does").allowed(format!("more than {shown}"));
        value.add(problem.help("DRBD itself may take 30 s: add at least a minute"));
    }
}

fn read_name(value: &Value<'_>) -> Option<String> {
    let text = value.string()?;
    let legal = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    // drbdadm has keywords for all resources and for options.
    if text.is_empty()
        || text.len() > 127
        || !text.chars().all(legal)
        || text.starts_with('-')
        || text == "all"
    {
        value.add(value.refuse("is not the name of a DRBD resource").allowed(NAME));
        return None;
    }
    Some(text.to_owned())
}
