//! The DRBD resource file that `tandemadm data config` prints. Why each line is there is said in docs/drbd.md.

use super::version::Version;
use std::net::IpAddr;

/// Where the handler is installed.
pub const HANDLER: &str = "/usr/lib/tandemd/tandemd-drbd-handler";

/// One of the two nodes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Host {
    /// As `uname -n` says there.
    pub name: String,
    /// Of the replication link; none: a placeholder.
    pub address: Option<IpAddr>,
}

/// What the file is made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Template {
    /// Name of the resource in DRBD.
    pub resource: String,
    /// Which DRBD reads it.
    pub version: Version,
    /// Both nodes.
    pub hosts: [Host; 2],
    /// TCP port of the replication link.
    pub port: u16,
    /// `/dev/drbdN`.
    pub device: String,
    /// The disk below, on both nodes; none: a placeholder.
    pub disk: Option<String>,
    /// Handlers keep a snapshot of the old data while newer blocks come.
    pub snapshot: bool,
}

impl Template {
    /// What is wrong with it, in words.
    pub fn check(&self) -> Result<(), String> {
        let [a, b] = &self.hosts;
        let word = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let bad = |name: &str| name.is_empty() || !name.chars().all(word) || name.starts_with(['-', '.']);
        if bad(&self.resource) {
            return Err(format!("{:?} is no name for a resource: letters, digits, - _ .", self.resource));
        }
        if let Some(host) = self.hosts.iter().find(|h| bad(&h.name)) {
            return Err(format!("{:?} is no host name", host.name));
        }
        if a.name == b.name {
            return Err(format!("both hosts are called {}: DRBD tells them apart by uname -n", a.name));
        }
        match (a.address, b.address) {
            (Some(x), Some(y)) if x == y => return Err(format!("both hosts have the address {x}")),
            (Some(x), Some(y)) if x.is_ipv4() != y.is_ipv4() => {
                return Err(format!("{x} and {y}: one is IPv4, the other one IPv6"));
            }
            _ => {}
        }
        let number = self.device.strip_prefix("/dev/drbd");
        if number.and_then(|n| n.parse::<u32>().ok()).is_none() {
            return Err(format!("{}: the device is called /dev/drbd0, /dev/drbd1, ...", self.device));
        }
        match &self.disk {
            Some(d) if !d.starts_with('/') || d.contains(['"', ';', ' ', '\n']) => {
                Err(format!("{d:?}: the disk is a path such as /dev/vg0/data"))
            }
            _ => Ok(()),
        }
    }

    /// The file.
    pub fn render(&self) -> String {
        let nine = self.version == Version::V9;
        let mut out = format!(
            "# /etc/drbd.d/{0}.res, the same on both nodes, for DRBD {1}. From tandemadm data config.\n\
             # Then, on both: drbdadm create-md {0}\n\
             resource {0} {{\n",
            self.resource,
            if nine { "9" } else { "8.4" },
        );
        if nine {
            out += "    options {\n        auto-promote no;\n    }\n";
        }
        let fencing = "        fencing resource-only;\n";
        out += "    net {\n        protocol C;\n";
        out += if nine { fencing } else { "" };
        out += "        timeout 60;         # 6 s\n\
                \x20       ping-int 7;         # s, above timeout\n\
                \x20       ping-timeout 10;    # 1 s\n\
                \x20       connect-int 10;     # s\n\
                \x20       verify-alg sha1;\n\
                \x20       after-sb-0pri discard-zero-changes;\n\
                \x20       after-sb-1pri consensus;\n\
                \x20       after-sb-2pri disconnect;\n\
                \x20       # Not printed by tandemadm: a secret of your own, the same on both nodes, in a file that only\n\
                \x20       # root can read (chmod 600).\n\
                \x20       # cram-hmac-alg sha1;\n\
                \x20       # shared-secret \"...\";\n\
                \x20   }\n";
        if !nine {
            out += "    disk {\n";
            out += fencing;
            out += "    }\n";
        }
        out += "    handlers {\n";
        for name in
            ["fence-peer", "unfence-peer", "split-brain", "before-resync-target", "after-resync-target"]
        {
            let resync = name.ends_with("resync-target");
            let flag = if resync && self.snapshot { "--snapshot " } else { "" };
            out += &format!("        {name} \"{HANDLER} {flag}{name}\";\n");
        }
        out += "    }\n";
        out += &format!(
            "    volume 0 {{\n        device {};\n        disk {};\n        meta-disk internal;\n    }}\n",
            self.device,
            self.disk.as_deref().unwrap_or("/dev/PUT-THE-DISK-HERE"),
        );
        for (id, host) in self.hosts.iter().enumerate() {
            let address = match host.address {
                Some(IpAddr::V4(a)) => format!("{a}:{}", self.port),
                Some(IpAddr::V6(a)) => format!("ipv6 [{a}]:{}", self.port),
                None => format!("PUT-THE-ADDRESS-HERE:{}", self.port),
            };
            out += &format!("    on {} {{\n", host.name);
            if nine {
                out += &format!("        node-id {id};\n");
            }
            out += &format!("        address {address};\n    }}\n");
        }
        out + "}\n"
    }
}
