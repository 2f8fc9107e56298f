//! After the faults: one MASTER for each set of nodes that hear each other, its addresses nowhere else, hosts
//! that know, and peace.

use crate::node::Power;
use crate::scene::{HOSTS, ms};
use crate::watch::{down, skew};
use crate::world::World;
use std::time::Duration;
use tandemd::vrrp::{State, Version};

impl World {
    /// Ends every fault but a split into `sides`, waits as long as the protocol may take, and judges.
    pub(crate) fn settle(&mut self, sides: u32) {
        self.mend(sides);
        self.gather();
        if self.failure.is_some() {
            return;
        }
        let all = (0..self.scene.routers()).map(|r| self.first_master(r)).max().unwrap_or_default();
        let grouped = !self.scene.groups.is_empty();
        self.run(if grouped { all * 2 } else { all });
        self.each_side(sides, Self::somebody);
        let rest = (0..self.scene.routers()).map(|r| self.rest(r)).max().unwrap_or_default();
        self.run(if grouped { rest * 2 } else { rest });
        let before = self.transitions;
        let longest = self.longest_interval.iter().max().copied().unwrap_or_default();
        self.run(longest * 4 + ms(2000));
        if self.failure.is_none() && self.transitions != before {
            self.fail("it does not come to rest".into());
        }
        self.each_side(sides, Self::one);
        if sides == 0 {
            self.groups_together();
        }
    }

    fn mend(&mut self, sides: u32) {
        self.recover();
        let (now, side) = (self.now, |end: usize| sides >> end & 1);
        for lan in &mut self.lans {
            lan.set_all(now, |from, to| side(from) != side(to));
        }
        for node in 0..self.nodes.len() {
            self.resume(node);
            for lan in 0..self.scene.lans {
                self.link(node, lan, true);
            }
            for router in 0..self.scene.routers() {
                self.mend_router(node, router);
            }
            if self.nodes[node].power != Power::Up {
                self.restart(node);
            } else if self.nodes[node].stopping {
                self.nodes[node].restart = true;
            }
        }
    }

    fn mend_router(&mut self, node: usize, router: usize) {
        use crate::plan::Op;
        if self.nodes[node].weight[router] != 0 {
            self.apply(&Op::Weight { node, router, delta: 0 });
        }
        if self.nodes[node].failed[router] {
            self.apply(&Op::Track { node, router, failed: false });
        }
        if self.nodes[node].held[router] {
            self.apply(&Op::Hold { node, router, on: false });
        }
        // Version 2 does not work with different intervals, and does not promise to.
        let agreed = self.scene.settings[0][router].advert_int;
        let s = self.nodes[node].settings[router].clone();
        if s.version == Version::V2 && s.advert_int != agreed {
            self.configure(node, router, tandemd::vrrp::RouterSettings { advert_int: agreed, ..s });
        }
    }

    /// Waits until everybody is back: who is leaving leaves first.
    fn gather(&mut self) {
        let leave = |r: usize| {
            let interval = self.longest_interval[r];
            skew(&self.nodes[0].settings[r], 1, interval) + ms(400) + self.scene.shell * 8
        };
        let longest = (0..self.scene.routers()).map(leave).max().unwrap_or_default();
        let end = self.now + longest.max(ms(30));
        let step = (longest / 16).max(ms(10));
        loop {
            for node in 0..self.nodes.len() {
                for router in 0..self.scene.routers() {
                    self.add(node, router);
                }
            }
            let back = |n: &crate::node::Node| {
                let all = n.present.iter().all(|p| *p) && n.ids.iter().all(Option::is_some);
                n.awake() && !n.stopping && !n.news && all
            };
            if self.failure.is_some() || self.nodes.iter().all(back) {
                return;
            }
            if self.now > end {
                let away: Vec<bool> = self.nodes.iter().map(back).collect();
                return self.fail(format!("somebody does not come back: {away:?}"));
            }
            self.run(step);
        }
    }

    /// How long it may take until somebody is MASTER, from silence: startup delay, the down interval of the
    /// least router, one more interval for one that has just woken up, skew and flights.
    fn first_master(&self, router: usize) -> Duration {
        let interval = self.longest_interval[router];
        let one = |n: usize| {
            let s = &self.nodes[n].settings[router];
            let own = self.priority(n, router);
            self.scene.startup[n] + down(s, own, interval) + skew(s, own, interval)
        };
        let most = (0..self.nodes.len()).map(one).max().unwrap_or_default();
        most + self.longest_flight * 2 + self.scene.shell * 2
    }

    fn each_side(&mut self, sides: u32, judge: fn(&mut Self, usize, &[usize], &[usize])) {
        for side in [0, 1] {
            let on = |end: &usize| sides >> end & 1 == side;
            let nodes: Vec<usize> = (0..self.nodes.len()).filter(on).collect();
            let hosts: Vec<usize> = (0..HOSTS).filter(|h| on(&(self.nodes.len() + h))).collect();
            for router in 0..self.scene.routers() {
                if self.failure.is_none() && !nodes.is_empty() {
                    judge(self, router, &nodes, &hosts);
                }
            }
        }
    }

    fn among(&self, router: usize, nodes: &[usize]) -> Vec<usize> {
        self.masters(router).into_iter().filter(|n| nodes.contains(n)).collect()
    }

    fn somebody(&mut self, router: usize, nodes: &[usize], _: &[usize]) {
        if self.among(router, nodes).is_empty() {
            self.fail(format!("nobody of {nodes:?} is MASTER of r{router} in time"));
        }
    }

    fn one(&mut self, router: usize, nodes: &[usize], hosts: &[usize]) {
        let masters = self.among(router, nodes);
        let [master] = masters[..] else {
            return self.fail(format!("MASTERs of r{router} among {nodes:?}: {masters:?}"));
        };
        let holders: Vec<usize> = nodes.iter().copied().filter(|n| self.nodes[*n].holds[router]).collect();
        if holders != masters {
            return self.fail(format!("r{router}: n{master} is MASTER, the addresses are on {holders:?}"));
        }
        for node in nodes.iter().filter(|n| **n != master) {
            let s = &self.nodes[*node].settings[router];
            let (own, theirs) = (self.priority(*node, router), self.priority(master, router));
            if own > theirs && (s.preempt || s.priority.is_owner()) {
                return self.fail(format!("r{router}: n{node} ({own}) leaves it to n{master} ({theirs})"));
            }
            let state = self.seats[*node][router].state;
            if state != State::Backup {
                return self.fail(format!("r{router}: n{node} is {state}"));
            }
        }
        for host in hosts {
            self.judge_cache(*host, router, master);
        }
    }

    /// A host sends to the holder, unless nobody can be blamed: the holder's announcement did not reach it, or
    /// the holder never had a chance to hear that it had a rival.
    fn judge_cache(&mut self, host: usize, router: usize, master: usize) {
        let cache = self.caches[host][router];
        let Some(believed) = cache.node.filter(|n| *n != master) else { return };
        let missed = cache.missed >> master & 1 == 1;
        let untold = self.seats[believed][router].told >> master & 1 == 0;
        if !missed && !untold && !cache.raced {
            self.fail(format!("host {host} believes n{believed} to have r{router}, n{master} has it"));
        }
    }

    fn groups_together(&mut self) {
        for group in self.scene.groups.clone() {
            let masters: Vec<Vec<usize>> = group.iter().map(|r| self.masters(*r)).collect();
            if masters.iter().any(|m| *m != masters[0]) && self.failure.is_none() {
                self.fail(format!("the group {group:?} is on several nodes: {masters:?}"));
            }
        }
    }
}
