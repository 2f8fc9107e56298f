//! Sync groups: instances that are MASTER together or not at all.
//!
//! One member in FAULT puts all in FAULT; a member becomes MASTER only when every member wants to; one that
//! yields takes all with it.

use super::ids::RouterId;
use super::output::{Leave, Output, Reason, Transition};
use super::router::VirtualRouter;
use super::types::State;
use crate::time::Instant;

/// The common state of a group changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupTransition {
    /// The group's name.
    pub group: String,
    /// State before.
    pub from: State,
    /// State now.
    pub to: State,
    /// The reason of the member that changed last.
    pub reason: Reason,
    /// When.
    pub at: Instant,
}

/// A sync group.
#[derive(Clone, Debug)]
pub struct Group {
    name: String,
    members: Vec<RouterId>,
    state: State,
    reason: Reason,
    since: Instant,
    /// A member gave up MASTER and the others have not followed yet.
    yielded: Option<RouterId>,
    /// The daemon stops: the members leave one after the other, and the first must not set the rest free.
    stopping: bool,
}

/// What the group makes a member do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Order {
    Fault(Option<String>),
    Yield(String),
    OpenGate,
}

impl Order {
    pub(super) fn carry_out(self, r: &mut VirtualRouter, now: Instant, out: &mut Vec<Output>) {
        match self {
            Order::Fault(why) => r.set_group_fault(now, why, out),
            Order::Yield(why) => r.yield_for_group(now, why, out),
            Order::OpenGate => r.open_gate(now, out),
        }
    }
}

impl Group {
    /// A group; `known` is its former self over a reload.
    pub(super) fn new(now: Instant, name: String, members: Vec<RouterId>, known: Option<&Group>) -> Self {
        match known {
            Some(old) => Group { name, members, yielded: None, ..old.clone() },
            None => Group {
                name,
                members,
                state: State::Init,
                reason: Reason::NotStarted,
                since: now,
                yielded: None,
                stopping: false,
            },
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its members.
    pub fn members(&self) -> &[RouterId] {
        &self.members
    }

    /// Its common state.
    pub fn state(&self) -> State {
        self.state
    }

    /// Why it is in that state.
    pub fn reason(&self) -> &Reason {
        &self.reason
    }

    /// Since when.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// Watches what a router puts out.
    pub(super) fn note(&mut self, id: RouterId, outputs: &[Output]) {
        if !self.members.contains(&id) {
            return;
        }
        for o in outputs {
            if let Output::Transition(Transition { from, to, reason, .. }) = o {
                self.reason = reason.clone();
                self.stopping |= *reason == Reason::Leaving(Leave::DaemonStop);
                if *from == State::Master && *to == State::Backup {
                    self.yielded = Some(id);
                }
            }
        }
    }

    /// What members have to do now; empty when the group is at rest.
    pub(super) fn orders<'a>(
        &mut self,
        router: impl Fn(RouterId) -> Option<&'a VirtualRouter>,
    ) -> Vec<(RouterId, Order)> {
        if self.stopping {
            return Vec::new();
        }
        let live: Vec<(RouterId, &VirtualRouter)> = self
            .members
            .iter()
            .filter_map(|id| router(*id).map(|r| (*id, r)))
            .filter(|(_, r)| !r.is_leaving())
            .collect();
        let name = |id: RouterId| {
            let member = live.iter().find(|(i, _)| *i == id).map_or("", |(_, r)| r.name());
            format!("{member} of sync group {}", self.name)
        };
        let mut orders = Vec::new();
        let faults: Vec<(RouterId, String)> =
            live.iter().filter_map(|(id, r)| r.own_fault().map(|f| (*id, f))).collect();
        for (id, r) in &live {
            // Also one that has a fault of its own is told: when that ends first, it has to stay in FAULT.
            let other = faults.iter().find(|(bad, _)| bad != id);
            let fault = other.map(|(bad, f)| format!("{} is in FAULT: {f}", name(*bad)));
            if r.group_fault() != fault.as_deref() {
                orders.push((*id, Order::Fault(fault)));
            }
        }
        if !orders.is_empty() {
            return orders;
        }
        if let Some(first) = self.yielded.take() {
            for (id, _) in live.iter().filter(|(_, r)| r.state() == State::Master) {
                orders.push((*id, Order::Yield(format!("{} went to BACKUP", name(first)))));
            }
            return orders;
        }
        // New or regrouped members may find another node MASTER while this one is for the rest of the group.
        if let Some((behind, _)) = live.iter().find(|(_, r)| r.follows()) {
            let why = || format!("{} follows another MASTER", name(*behind));
            orders.extend(
                live.iter()
                    .filter(|(_, r)| r.state() == State::Master)
                    .map(|(id, _)| (*id, Order::Yield(why()))),
            );
            return orders;
        }
        let ready = |r: &VirtualRouter| r.state() == State::Master || r.wants();
        if !live.is_empty() && live.iter().all(|(_, r)| ready(r)) {
            orders.extend(live.iter().filter(|(_, r)| r.wants()).map(|(id, _)| (*id, Order::OpenGate)));
        }
        orders
    }

    /// The change of the common state since the last call, if any.
    pub(super) fn transition<'a>(
        &mut self,
        now: Instant,
        router: impl Fn(RouterId) -> Option<&'a VirtualRouter>,
    ) -> Option<GroupTransition> {
        // One that a reload removes says nothing about the rest.
        let states: Vec<State> = self
            .members
            .iter()
            .filter_map(|id| router(*id))
            .filter(|r| !r.is_leaving())
            .map(|r| r.state())
            .collect();
        let all = |s: State| !states.is_empty() && states.iter().all(|x| *x == s);
        let to = if states.contains(&State::Fault) {
            State::Fault
        } else if all(State::Master) {
            State::Master
        } else if states.is_empty() || states.contains(&State::Init) {
            State::Init
        } else {
            State::Backup
        };
        if to == self.state {
            return None;
        }
        let from = std::mem::replace(&mut self.state, to);
        self.since = now;
        Some(GroupTransition { group: self.name.clone(), from, to, reason: self.reason.clone(), at: now })
    }
}
