//! `info`: what getserverinfo tells: product, role, services, since when, memory, disk.

use super::exit::Failure;
use super::text::{Moment, print, print_value};
use crate::control::api::{ResourceStatus, Status};
use crate::control::client::Client;
use crate::net::clock;
use serde::Serialize;
use std::path::Path;

/// What is known of this server.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
struct Info {
    product: &'static str,
    version: String,
    node: String,
    /// Of each pair.
    roles: Vec<Role>,
    /// Of each instance.
    instances: Vec<Instance>,
    started: jiff::Timestamp,
    /// How often the guardian has started the daemon again; none: there is no guardian.
    restarts: Option<u32>,
    pid: u32,
    services: Vec<Service>,
    /// Of tandemd itself; none: it cannot be read.
    memory_kib: Option<u64>,
    /// Of this machine.
    machine_memory: Option<Memory>,
    /// Below the state directory.
    disk: Option<Disk>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
struct Role {
    pair: String,
    role: crate::pair::Role,
    state: crate::pair::State,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
struct Instance {
    name: String,
    state: crate::vrrp::State,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
struct Memory {
    kib: u64,
    available_kib: u64,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
struct Service {
    name: String,
    /// `up`, or `down`: an operator has stopped it.
    admin: &'static str,
    operation: crate::resource::State,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
struct Disk {
    bytes: u64,
    free: u64,
}

pub(super) async fn run(client: &Client, state_dir: &Path, json: bool) -> Result<(), Failure> {
    let status = client.status().await?;
    let mut info = of(&status);
    info.memory_kib =
        std::fs::read_to_string(format!("/proc/{}/status", status.pid)).ok().and_then(|t| resident(&t));
    info.machine_memory = std::fs::read_to_string("/proc/meminfo").ok().and_then(|t| machine(&t));
    info.disk = nix::sys::statvfs::statvfs(state_dir).ok().map(|s| Disk {
        bytes: s.blocks().saturating_mul(s.fragment_size()),
        free: s.blocks_available().saturating_mul(s.fragment_size()),
    });
    match json {
        true => print_value(&info),
        false => print(&render(&info, &Moment::now(clock::wall()))),
    }
}

fn of(s: &Status) -> Info {
    let service = |r: &ResourceStatus| Service {
        name: r.name.clone(),
        admin: if r.stopped_by_operator { "down" } else { "up" },
        operation: r.state,
    };
    let services = s.resources.iter().flat_map(|r| &r.resources).map(service).collect();
    let roles = s.pairs.iter().map(|p| Role { pair: p.name.clone(), role: p.about.role, state: p.state });
    Info {
        product: "tandemd",
        version: s.version.clone(),
        node: s.node.clone(),
        roles: roles.collect(),
        instances: s.instances.iter().map(|i| Instance { name: i.name.clone(), state: i.state }).collect(),
        started: s.started,
        restarts: s.restarts,
        pid: s.pid,
        services,
        memory_kib: None,
        machine_memory: None,
        disk: None,
    }
}

/// What is in memory, of proc_pid_status(5).
fn resident(status: &str) -> Option<u64> {
    kib(status, "VmRSS:")
}

/// All of it and what is free for programs, of proc_meminfo(5).
fn machine(meminfo: &str) -> Option<Memory> {
    Some(Memory { kib: kib(meminfo, "MemTotal:")?, available_kib: kib(meminfo, "MemAvailable:")? })
}

fn kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|l| l.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

fn render(i: &Info, m: &Moment) -> String {
    let mut out = String::new();
    let mut row = |name: &str, value: String| out.push_str(&format!("{name:<16}: {value}\n"));
    row("Product", i.product.to_owned());
    row("Version", i.version.clone());
    row("Node", i.node.clone());
    for r in &i.roles {
        row("Role", format!("{} of pair {} ({})", r.role, r.pair, r.state));
    }
    for r in &i.instances {
        row("Instance", format!("{} is {}", r.name, r.state));
    }
    row("Started", format!("{} ({} ago), process {}", m.clock(i.started), m.ago(i.started), i.pid));
    if let Some(n) = i.restarts {
        row("Restarts", format!("{n} by the guardian"));
    }
    if let Some(kib) = i.memory_kib {
        row("Memory", format!("{} MiB of tandemd", kib / 1024));
    }
    if let Some(all) = &i.machine_memory {
        row("", format!("{} MiB available of {} MiB", all.available_kib / 1024, all.kib / 1024));
    }
    if let Some(d) = &i.disk {
        row("Disk", format!("{} MiB free of {} MiB", d.free >> 20, d.bytes >> 20));
    }
    for s in &i.services {
        row("Service", format!("{}: admin {}, operation {}", s.name, s.admin, s.operation));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::samples::{master, pair_report, stack, status_of};

    #[test]
    fn a_line_for_each_thing() {
        let mut s = status_of(vec![master()]);
        s.pairs.push(pair_report());
        let mut stack = stack();
        stack.resources.truncate(1);
        stack.resources[0].stopped_by_operator = true;
        let name = stack.resources[0].name.clone();
        s.resources = Some(stack);
        let disk = Some(Disk { bytes: 5 << 30, free: 1 << 30 });
        let info = Info {
            memory_kib: resident("Name:\ttandemd\nVmRSS:\t  9216 kB\n"),
            machine_memory: machine("MemTotal:  4096000 kB\nMemFree: 1 kB\nMemAvailable:  1024000 kB\n"),
            disk,
            ..of(&s)
        };
        let m = Moment::utc("2026-11-21T12:30:00Z".parse().unwrap());
        let expected = format!(
            "Product         : tandemd\nVersion         : 0.1.0\nNode            : alpha\n\
             Role            : primary of pair esc (Primary Active)\n\
             Instance        : web is MASTER\n\
             Started         : 12:00:00 (30m 0s ago), process 1\n\
             Restarts        : 2 by the guardian\n\
             Memory          : 9 MiB of tandemd\n                : 1000 MiB available of 4000 MiB\n\
             Disk            : 1024 MiB free of 5120 MiB\n\
             Service         : {name}: admin down, operation {}\n",
            info.services[0].operation
        );
        assert_eq!(render(&info, &m), expected);
        assert_eq!(resident("Name:\tx\n"), None);
        assert_eq!(machine("MemTotal: 1 kB\n"), None);
    }
}
