//! What a seed puts on the stage before anything happens: nodes, networks, virtual routers and their settings.

use crate::rng::Rng;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;
use tandemd::vrrp::{
    AnnounceSettings, AuthPass, ChecksumPolicy, Family, Handover, Priority, RouterSettings, Transport,
    Version, Vrid,
};

/// Hosts on each network.
pub(crate) const HOSTS: usize = 2;

pub(crate) const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(crate) const fn us(n: u64) -> Duration {
    Duration::from_micros(n)
}

/// One run's stage.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) seed: u64,
    pub(crate) nodes: usize,
    pub(crate) lans: usize,
    /// The network of each virtual router.
    pub(crate) lan_of: Vec<usize>,
    /// Sync groups: virtual routers that are MASTER together, on every node.
    pub(crate) groups: Vec<Vec<usize>>,
    /// `settings[node][router]`.
    pub(crate) settings: Vec<Vec<RouterSettings>>,
    /// `startup_delay` of each node.
    pub(crate) startup: Vec<Duration>,
    /// Time on the wire, and how much more it may be for one packet.
    pub(crate) delay: Duration,
    pub(crate) jitter: Duration,
    /// The longest that the shell takes for one step: adding, removing or announcing addresses.
    pub(crate) shell: Duration,
    /// Whether the shell still reports a release that a claim has overtaken.
    pub(crate) reports_overtaken: bool,
}

impl Scene {
    pub(crate) fn new(seed: u64) -> Self {
        let mut r = Rng::new(seed, 1);
        let nodes = r.pick(&[2, 2, 2, 3, 3, 4, 5]);
        let routers = r.pick(&[1, 1, 2, 2, 3, 4]);
        let lans = if routers > 1 && r.once_in(2) { 2 } else { 1 };
        let lan_of: Vec<usize> = (0..routers).map(|i| i % lans).collect();
        let groups = groups(&mut r, routers);
        let mut settings: Vec<Vec<RouterSettings>> = vec![Vec::new(); nodes];
        let mut common: Vec<RouterSettings> = Vec::new();
        for (i, lan) in lan_of.iter().enumerate() {
            let mate = groups.iter().find(|g| g.contains(&i)).and_then(|g| g.first()).filter(|m| **m < i);
            // Members of a group mostly share an interval; what has to be equal on all nodes, is.
            let interval = mate.filter(|_| !r.once_in(4)).map(|m| common[*m].advert_int);
            let base = router(&mut r, &common, lans, interval);
            let owner = r.once_in(8).then(|| r.index(nodes));
            for (n, on) in settings.iter_mut().enumerate() {
                let own = match mate {
                    // A group whose members disagree about the better node is a mistake of its own.
                    Some(m) => like(base.clone(), &on[*m]),
                    None => personal(&mut r, base.clone(), owner == Some(n)),
                };
                on.push(peers(own, n, nodes, *lan));
            }
            common.push(base);
        }
        let startup =
            (0..nodes).map(|_| if r.once_in(5) { ms(r.between(1, 3000)) } else { Duration::ZERO }).collect();
        let jitter = if r.once_in(3) { us(r.between(1, 1000)) } else { Duration::ZERO };
        Scene {
            seed,
            nodes,
            lans,
            lan_of,
            groups,
            settings,
            startup,
            delay: us(r.between(20, 800)),
            jitter,
            shell: us(r.between(100, 1500)),
            reports_overtaken: r.once_in(2),
        }
    }

    pub(crate) fn routers(&self) -> usize {
        self.lan_of.len()
    }

    /// The sync group of a router.
    pub(crate) fn group_of(&self, router: usize) -> Option<&Vec<usize>> {
        self.groups.iter().find(|g| g.contains(&router))
    }

    /// One line for people.
    pub(crate) fn describe(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "{} nodes, {} networks, groups {:?}, wire {:?} + {:?}, shell up to {:?}, startup {:?}",
            self.nodes, self.lans, self.groups, self.delay, self.jitter, self.shell, self.startup
        )];
        for (n, on) in self.settings.iter().enumerate() {
            for (r, s) in on.iter().enumerate() {
                let cast = if s.transport == Transport::Multicast { "multicast" } else { "unicast" };
                lines.push(format!(
                    "n{n} r{r}: net{} vrid {} {} v{} {cast} priority {} every {:?} x {} preempt {} after {:?}, {:?}",
                    self.lan_of[r],
                    s.vrid,
                    s.family,
                    s.version,
                    s.priority,
                    s.advert_int,
                    s.down_timer_adverts,
                    s.preempt,
                    s.preempt_delay,
                    s.handover
                ));
            }
        }
        lines
    }
}

fn groups(r: &mut Rng, routers: usize) -> Vec<Vec<usize>> {
    match (routers, r.below(3)) {
        (1, _) | (_, 0) => vec![],
        (4, 1) => vec![vec![0, 1], vec![2, 3]],
        (n, _) => vec![(0..n.min(3)).collect()],
    }
}

/// What all nodes have in common.
fn router(r: &mut Rng, before: &[RouterSettings], lans: usize, interval: Option<Duration>) -> RouterSettings {
    let (i, lan) = (before.len(), before.len() % lans);
    let (family, version) = r.pick(&[
        (Family::Ipv4, Version::V3),
        (Family::Ipv4, Version::V3),
        (Family::Ipv6, Version::V3),
        (Family::Ipv4, Version::V2),
    ]);
    // IPv4 and IPv6, and two networks, may share a VRID.
    let taken = |v: u8| {
        before.iter().enumerate().any(|(b, s)| b % lans == lan && s.family == family && s.vrid.get() == v)
    };
    let vrid = (51..).find(|v| !taken(*v)).and_then(Vrid::new).unwrap();
    let whole = version == Version::V2;
    let fitting = interval.filter(|i| !whole || i.subsec_nanos() == 0);
    let drawn = if whole { r.pick(&[1000, 1000, 2000]) } else { r.pick(&[10, 100, 500, 1000, 1000, 2500]) };
    let host = u8::try_from(100 + i).unwrap();
    let addresses: Vec<IpAddr> = match family {
        Family::Ipv4 => vec![v4(lan, host)],
        Family::Ipv6 => vec![
            v6(0xfe80, 0, u16::from(host)),
            Ipv6Addr::new(0x2001, 0xdb8, lan as u16, 0, 0, 0, 0, u16::from(host)).into(),
        ],
    };
    RouterSettings {
        vrid,
        family,
        version,
        priority: Priority::DEFAULT,
        advert_int: fitting.unwrap_or(ms(drawn)),
        preempt: true,
        preempt_delay: Duration::ZERO,
        down_timer_adverts: r.pick(&[3, 3, 3, 3, 2, 5]),
        address_count: addresses.len() + r.index(20),
        addresses,
        auth_pass: (whole && r.once_in(3)).then(|| AuthPass::new("pass")),
        auth_hmac: None,
        v3_checksum: ChecksumPolicy::Auto,
        transport: if r.once_in(3) { Transport::Unicast(vec![]) } else { Transport::Multicast },
        announce: AnnounceSettings {
            master_repeat: u32::try_from(r.between(1, 5)).unwrap(),
            master_delay: ms(r.pick(&[0, 1000, 5000])),
            lower_prio_repeat: u32::try_from(r.between(1, 5)).unwrap(),
            lower_prio_delay: ms(r.pick(&[0, 1000, 5000])),
            refresh: if r.once_in(8) { ms(r.pick(&[1000, 60_000])) } else { Duration::ZERO },
            refresh_repeat: 1,
        },
        handover: Handover::MakeBeforeBreak,
        stays: false,
    }
}

/// What differs from node to node.
fn personal(r: &mut Rng, base: RouterSettings, owner: bool) -> RouterSettings {
    let drawn = if r.once_in(4) { r.pick(&[100, 150]) } else { r.between(1, 254) };
    let priority = if owner { Priority::OWNER } else { Priority::new(u8::try_from(drawn).unwrap()).unwrap() };
    let v3 = base.version == Version::V3;
    let factor = if v3 && r.once_in(8) { r.pick(&[2, 3, 5]) } else { 1 };
    RouterSettings {
        priority,
        advert_int: base.advert_int * factor,
        preempt: !r.once_in(3),
        preempt_delay: if r.once_in(4) {
            base.advert_int * u32::try_from(r.between(1, 8)).unwrap()
        } else {
            Duration::ZERO
        },
        handover: if r.once_in(3) { Handover::BreakBeforeMake } else { Handover::MakeBeforeBreak },
        ..base
    }
}

/// `base` with what `mate` of the same sync group has on the same node.
fn like(base: RouterSettings, mate: &RouterSettings) -> RouterSettings {
    RouterSettings {
        priority: mate.priority,
        preempt: mate.preempt,
        preempt_delay: mate.preempt_delay,
        handover: mate.handover,
        ..base
    }
}

/// Unicast: every other node is a peer.
fn peers(s: RouterSettings, node: usize, nodes: usize, lan: usize) -> RouterSettings {
    match s.transport {
        Transport::Multicast => s,
        Transport::Unicast(_) => {
            let all = (0..nodes).filter(|n| *n != node).map(|n| source(n, lan, s.family)).collect();
            RouterSettings { transport: Transport::Unicast(all), ..s }
        }
    }
}

/// The primary address of a node on a network.
pub(crate) fn source(node: usize, lan: usize, family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => v4(lan, u8::try_from(node + 1).unwrap()),
        Family::Ipv6 => v6(0xfe80, lan as u16, u16::try_from(node + 1).unwrap()),
    }
}

/// The node with this primary address on a network.
pub(crate) fn node_of(address: IpAddr, lan: usize, nodes: usize) -> Option<usize> {
    (0..nodes).find(|n| source(*n, lan, Family::of(&address)) == address)
}

/// The Ethernet address of a node on a network.
pub(crate) fn mac(node: usize, lan: usize) -> [u8; 6] {
    [2, 0, 0, 0, u8::try_from(lan).unwrap(), u8::try_from(node + 1).unwrap()]
}

fn v4(lan: usize, host: u8) -> IpAddr {
    match lan {
        0 => Ipv4Addr::new(192, 0, 2, host).into(),
        _ => Ipv4Addr::new(198, 51, 100, host).into(),
    }
}

fn v6(first: u16, lan: u16, host: u16) -> IpAddr {
    Ipv6Addr::new(first, 0, 0, 0, 0, 0, lan, host).into()
}
