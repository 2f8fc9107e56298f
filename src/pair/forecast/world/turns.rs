//! What follows from each event.

use super::super::Whose;
use super::{Event, MOVE, Node, Real, SHORT, TRIP, World, whose};
use crate::pair::controller::Controller;
use crate::pair::input::{Data, Input, Service, WitnessAnswer};
use crate::pair::output::{Ask, Output};
use crate::pair::types::Link;
use std::time::Duration;

/// How long fencing takes; the real time is not known.
const FENCING: Duration = Duration::from_secs(5);

impl World {
    pub(super) fn event(&mut self, event: Event) {
        match event {
            Event::Input(n, input) => self.input(n, input),
            Event::Moved(n, way) if self.nodes.get(n).is_some_and(|node| node.way == way) => self.arrived(n),
            Event::Moved(..) => {}
            Event::Ask(n, ask) => self.asked(n, ask),
            Event::Fenced(n) => self.fenced(n),
            Event::Advertised(n, heard) => self.input(n, Input::PeerAdvertises(heard)),
            Event::Data(n) => self.look_at_data(n),
        }
    }

    pub(super) fn input(&mut self, n: usize, input: Input) {
        let now = self.now;
        let Some(controller) = self.node(n).controller.as_mut() else { return };
        for output in controller.handle(now, input) {
            self.output(n, output);
        }
    }

    fn output(&mut self, n: usize, output: Output) {
        let whose = whose(n);
        match output {
            Output::Send(beat) => {
                let up: Vec<usize> =
                    (0..self.links.len()).filter(|l| self.links.get(*l) == Some(&true)).collect();
                for link in up {
                    self.at(TRIP, Event::Input(1 - n, Input::Heard(Link(link), beat.clone())));
                }
            }
            Output::Activate { order, why } => {
                self.say(whose, format!("goes up: {why}"));
                self.moves(n, order, Real::GoingUp);
            }
            Output::Deactivate { order, why } => {
                if self.node(n).service != Real::Down {
                    self.say(whose, format!("goes down: {why}"));
                }
                self.moves(n, order, Real::GoingDown);
            }
            Output::Save(number, _) => self.at(SHORT, Event::Input(n, Input::Saved(number, Ok(())))),
            Output::Witness(ask) => self.at(SHORT, Event::Ask(n, ask)),
            Output::Fence => self.at(FENCING, Event::Fenced(n)),
            Output::Changed(change) => self.say(whose, format!("{}: {}", change.to, change.why)),
            Output::Notice { text, .. } => self.say(whose, text),
            Output::Reply(_, Ok(text)) => self.say(whose, text),
            Output::Reply(_, Err(why)) => self.say(whose, format!("refused: {why}")),
            Output::MayStop => {
                self.say(whose, "the daemon is stopped");
                self.node(n).controller = None;
            }
        }
    }

    fn moves(&mut self, n: usize, order: u64, to: Real) {
        let node = self.node(n);
        node.order = order;
        node.way += 1;
        let there = matches!((node.service, to), (Real::Down, Real::GoingDown) | (Real::Up, Real::GoingUp));
        if !there {
            node.service = to;
        }
        let way = node.way;
        self.moved |= !there;
        self.at(if there { TRIP } else { MOVE }, Event::Moved(n, way));
    }

    fn arrived(&mut self, n: usize) {
        let whose = whose(n);
        let node = self.node(n);
        let before = node.service;
        let service = match before {
            Real::GoingUp if node.start_fails => {
                node.service = Real::Down;
                Service::Failed("it does not start".into())
            }
            Real::GoingDown | Real::Stuck if node.stop_fails => {
                node.service = Real::Stuck;
                Service::Blocked("it cannot be stopped".into())
            }
            Real::GoingUp | Real::Up => {
                node.service = Real::Up;
                Service::Up
            }
            Real::GoingDown | Real::Down | Real::Stuck => {
                node.service = Real::Down;
                Service::Down
            }
        };
        let order = node.order;
        match (before, &service) {
            (Real::GoingUp, Service::Up) => self.say(whose, "serves"),
            (Real::GoingDown, Service::Down) => self.say(whose, "is down"),
            _ => {}
        }
        self.vrrp_changed();
        for n in 0..2 {
            self.at(SHORT, Event::Data(n));
        }
        self.input(n, Input::Service { order, service });
    }

    fn asked(&mut self, n: usize, ask: Ask) {
        let now = self.now;
        let Some(lease) = &mut self.witness else { return };
        let held = lease.holder.filter(|_| now < lease.until);
        let answer = match ask {
            _ if !lease.up => WitnessAnswer::Unreachable("it does not answer".into()),
            Ask::Release => {
                lease.holder = held.filter(|h| *h != n);
                return;
            }
            Ask::Lease { .. } if held.is_some_and(|h| h != n) => {
                WitnessAnswer::Denied(lease.until.since(now))
            }
            Ask::Lease { synced, .. } if synced < lease.generation => WitnessAnswer::Behind(lease.generation),
            Ask::Lease { generation, .. } => {
                lease.generation = lease.generation.max(generation);
                (lease.holder, lease.until) = (Some(n), now + lease.terms.peer);
                WitnessAnswer::Granted
            }
        };
        if let Ask::Lease { number, .. } = ask {
            self.at(SHORT, Event::Input(n, Input::Witness { number, answer }));
        }
    }

    fn fenced(&mut self, n: usize) {
        if !self.fence_works {
            return self.input(n, Input::Fenced(Err("the device does not answer".into())));
        }
        self.say(Whose::World, "the fence cuts a node off");
        self.dies(1 - n);
        self.input(n, Input::Fenced(Ok(())));
    }

    /// What an agent would say, for as long as that follows from what happens here.
    fn look_at_data(&mut self, n: usize) {
        let (own, other) = match n {
            0 => (self.nodes.first(), self.nodes.get(1)),
            _ => (self.nodes.get(1), self.nodes.first()),
        };
        let (Some(own), Some(other)) = (own, other) else { return };
        let Some(before) = own.controller.as_ref().map(Controller::data) else { return };
        let up = |node: &Node| node.service == Real::Up;
        let data = match before {
            Data::None | Data::CopyFailed(_) | Data::Unknown => return,
            _ if up(own) && self.replication => Data::Followed,
            _ if up(own) => Data::Alone,
            Data::Current | Data::Followed if self.replication => Data::Current,
            Data::Current | Data::Followed | Data::Alone => Data::Consistent,
            _ if self.replication && up(other) => Data::Current,
            _ => return,
        };
        if data != *before {
            self.input(n, Input::Data(data));
        }
    }
}
