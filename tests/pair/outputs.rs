//! Inputs to a daemon, and what becomes of what it says.

use crate::node::Real;
use crate::world::{Entry, Event, World, ms};
use tandemd::pair::*;

impl World {
    pub(crate) fn input(&mut self, n: usize, input: Input) {
        if self.nodes[n].paused && self.nodes[n].controller.is_some() {
            return self.nodes[n].waiting.push_back(input);
        }
        let clock = self.nodes[n].clock(self.now);
        let newborn = std::mem::take(&mut self.nodes[n].newborn);
        let Some(controller) = self.nodes[n].controller.as_mut() else { return };
        let born = (newborn && self.tape.is_some()).then(|| Box::new(controller.clone()));
        if self.aloud && !matches!(input, Input::Heard(..) | Input::Timer) {
            println!("{:>9.3} {n} <- {input:?}", self.now.as_nanos() as f64 / 1e9 - 1000.0);
        }
        if let Input::Maintenance(on) = &input {
            self.nodes[n].rests = *on;
        }
        if let Input::Heard(_, beat) = &input {
            self.watch.heard(n, clock, beat);
        }
        let out = controller.handle(clock, input.clone());
        self.nodes[n].must_be_down = controller.must_be_down();
        if let Some(tape) = &mut self.tape {
            tape.push(Entry { node: n, at: clock, input, out: out.clone(), born });
        }
        for output in out {
            self.output(n, output);
        }
        let node = &mut self.nodes[n];
        if let Some(c) = node.controller.as_ref().filter(|c| c.serves() != Serving::No) {
            node.copy.served = node.copy.served.max(c.saved().served);
        }
        self.explained(n);
    }

    fn output(&mut self, n: usize, output: Output) {
        if self.aloud && !matches!(output, Output::Send(_)) {
            println!("{:>9.3} {n} -> {output:?}", self.now.as_nanos() as f64 / 1e9 - 1000.0);
        }
        let epoch = self.nodes[n].epoch;
        match output {
            Output::Send(beat) => self.send(n, &beat),
            Output::Activate { order, .. } => {
                self.may_activate(n);
                self.order(n, order, Real::GoingUp);
            }
            Output::Deactivate { order, .. } => self.order(n, order, Real::GoingDown),
            Output::Save(number, saved) => {
                self.at(self.nodes[n].disk_delay, Event::Saved(n, epoch, number, saved));
            }
            Output::Witness(ask) => self.at(ms(30), Event::Ask(n, epoch, ask)),
            Output::Fence => self.at(ms(700), Event::Fence(n, epoch)),
            Output::MayStop => {
                self.nodes[n].may_stop = true;
                self.nodes[n].leaves_up = self.nodes[n].rests;
            }
            said => {
                self.watch.said(n, self.nodes[n].settings.role, &said);
                self.said.push((n, said));
            }
        }
    }

    fn send(&mut self, n: usize, beat: &Beat) {
        self.watch.sends(n, self.now, beat);
        for link in 0..self.links.len() {
            let (up, delay, loss) = (self.links[link].up[n], self.links[link].delay, self.links[link].loss);
            let lost = loss > 0 && self.rng.below(loss) == 0;
            let to = &self.nodes[1 - n];
            if up && !lost && to.powered {
                let jitter = ms(self.rng.below(5));
                let input = Input::Heard(Link(link), Box::new(beat.clone()));
                self.at(delay + jitter, Event::Input(1 - n, to.epoch, input));
            }
        }
    }

    /// The service is told to go somewhere; what it was about to do is void.
    fn order(&mut self, n: usize, order: u64, to: Real) {
        let node = &mut self.nodes[n];
        node.order = order;
        node.way += 1;
        if node.stack.is_some() {
            return self.stack_is_told(n, to == Real::GoingUp);
        }
        let takes = match (node.service, to) {
            (Real::Down, Real::GoingDown) | (Real::Up, Real::GoingUp) => ms(1),
            (_, Real::GoingUp) => node.up_takes,
            _ => node.down_takes,
        };
        if !matches!((node.service, to), (Real::Down, Real::GoingDown) | (Real::Up, Real::GoingUp)) {
            node.service = to;
        }
        let way = node.way;
        self.at(takes, Event::Moved(n, way));
    }

    pub(crate) fn moved(&mut self, n: usize) {
        // The last that is written.
        self.write();
        let node = &mut self.nodes[n];
        let service = match node.service {
            Real::GoingUp if node.start_fails => {
                node.service = Real::Down;
                Service::Failed("it does not start".into())
            }
            Real::GoingDown if node.stop_fails => {
                node.service = Real::Stuck;
                Service::Blocked("it is busy".into())
            }
            Real::GoingUp | Real::Up => {
                node.service = Real::Up;
                Service::Up
            }
            Real::GoingDown | Real::Down => {
                node.service = Real::Down;
                Service::Down
            }
            Real::Stuck => return,
        };
        let order = node.order;
        self.write();
        // The disk has found its new role before everything else is done.
        self.data_moves();
        self.look_at_data(n);
        self.input(n, Input::Service { order, service });
    }

    pub(crate) fn written(&mut self, n: usize, epoch: u64, number: u64, saved: Saved) {
        let node = &mut self.nodes[n];
        if !node.powered {
            return;
        }
        let fails = node.disk_fails;
        if !fails && epoch == node.epoch {
            assert!(
                saved.generation >= node.disk.generation,
                "node {n}: its generation goes back from {} to {}",
                node.disk.generation,
                saved.generation
            );
            node.disk = saved;
            if node.service != Real::Down || node.disk.served <= node.copy.served {
                // What is served is of the generation that it is served at.
                node.copy.generation = node.copy.generation.max(node.disk.served);
            }
        }
        if epoch == node.epoch {
            let result = if fails { Err("no space left".into()) } else { Ok(()) };
            self.input(n, Input::Saved(number, result));
        }
    }

    pub(crate) fn ask_witness(&mut self, n: usize, epoch: u64, ask: Ask) {
        let reached = self.nodes[n].witness_reached && self.witness.up;
        let Some(terms) = self.nodes[n].settings.witness else { return };
        let now = self.now;
        let answer = match reached {
            true => self.witness.ask(now, n, ask, terms.peer),
            false => Some(WitnessAnswer::Unreachable("no route".into())),
        };
        let Ask::Lease { number, .. } = ask else { return };
        let later = if reached { ms(30) } else { ms(1000) };
        self.at(later, Event::Answer(n, epoch, number, answer.unwrap()));
    }

    pub(crate) fn fence(&mut self, n: usize) {
        if self.nodes[n].fence_fails {
            return self.input(n, Input::Fenced(Err("the device does not answer".into())));
        }
        self.say(|| format!("{n}: fences the other one"));
        let wakes = crate::world::secs(20);
        self.power_cut(1 - n, Some(wakes));
        self.input(n, Input::Fenced(Ok(())));
    }
}
