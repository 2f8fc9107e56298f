//! A node's service as it is made of the other cores: a virtual router, and a graph with a disk that is promoted, a file
//! system on it and an application. Where there is none, the world plays the service by itself.

use crate::node::Real;
use crate::world::{Event, World, ms};
use std::collections::BTreeMap;
use std::time::Duration;
use tandemd::pair::{Input, Service};
use tandemd::resource::{self as res, Level, Name, Step, StepResult, Target};
use tandemd::time::Instant;
use tandemd::vrrp::{self, RouterSettings, State, VirtualRouter};

/// Who orders the router.
const PAIR: &str = "pair";
const PARTS: [&str; 3] = ["data", "fs", "app"];

#[derive(Clone)]
pub(crate) struct Stack {
    settings: RouterSettings,
    graph: res::Graph,
    router: VirtualRouter,
    /// Where each part really is.
    levels: BTreeMap<Name, Level>,
    /// The step of each that runs, and its number.
    running: BTreeMap<Name, (Step, u64)>,
    runs: u64,
    /// The addresses are here.
    placed: bool,
    /// They wait for the resources.
    claimed: bool,
    aim: Option<Target>,
    reached: Option<Target>,
    blocked: Option<String>,
    failed: Option<String>,
    critical: Option<String>,
    /// It was to serve.
    serves: bool,
    moved: bool,
    /// A timer is on its way.
    wakes: Option<Instant>,
    /// What was reported last.
    told: Option<(u64, Service)>,
    /// Steps up, and steps down, of this part hang until they are cancelled.
    pub(crate) hangs: [Option<&'static str>; 2],
}

fn graph() -> res::Graph {
    let part = |name: &str, needs: &[&str]| res::ResourceSettings {
        depend_on: needs.iter().map(|n| n.parse().unwrap()).collect(),
        restart: res::Restart { attempts: 1, window: Duration::from_secs(600), delay: ms(200) },
        timeouts: res::Timeouts {
            start: ms(4000),
            promote: ms(4000),
            demote: ms(2000),
            stop: ms(2000),
            monitor: ms(1000),
        },
        ..res::ResourceSettings::new(name)
    };
    let data = res::ResourceSettings { promotable: true, run_forever: true, ..part("data", &[]) };
    let resources = vec![data, part("fs", &["data:promoted"]), part("app", &["fs"])];
    res::Graph::new(res::Settings { resources, ..res::Settings::default() }).unwrap()
}

fn router(n: usize) -> RouterSettings {
    RouterSettings {
        vrid: vrrp::Vrid::new(51).unwrap(),
        family: vrrp::Family::Ipv4,
        version: vrrp::Version::V3,
        priority: vrrp::Priority::new(if n == 0 { 200 } else { 100 }).unwrap(),
        advert_int: ms(1000),
        preempt: true,
        preempt_delay: Duration::ZERO,
        down_timer_adverts: 3,
        addresses: vec!["192.0.2.100".parse().unwrap()],
        address_count: 1,
        auth_pass: None,
        auth_hmac: None,
        v3_checksum: vrrp::ChecksumPolicy::Auto,
        transport: vrrp::Transport::Multicast,
        announce: vrrp::AnnounceSettings::default(),
        handover: vrrp::Handover::BreakBeforeMake,
        stays: true,
    }
}

impl Stack {
    pub(crate) fn new(settings: RouterSettings, now: Instant) -> Self {
        let router = VirtualRouter::new("kad", settings.clone(), now, now);
        let levels = PARTS.iter().map(|p| (Name::from(*p), Level::Stopped)).collect();
        Stack {
            settings,
            graph: graph(),
            router,
            levels,
            running: BTreeMap::new(),
            runs: 0,
            placed: false,
            claimed: false,
            aim: None,
            reached: None,
            blocked: None,
            failed: None,
            critical: None,
            serves: false,
            moved: false,
            wakes: None,
            told: None,
            hangs: [None; 2],
        }
    }

    /// Something of the service is here, whoever knows of it.
    pub(crate) fn anything(&self) -> bool {
        let base = |name: &Name| if name.as_str() == "data" { Level::Started } else { Level::Stopped };
        self.placed
            || self.levels.iter().any(|(name, level)| *level > base(name))
            || !self.up_steps().is_empty()
    }

    fn up_steps(&self) -> Vec<Step> {
        let up = |name: &Name, step: Step| match step {
            Step::Promote => true,
            Step::Start => name.as_str() != "data",
            _ => false,
        };
        self.running.iter().filter(|(name, (step, _))| up(name, *step)).map(|(_, (step, _))| *step).collect()
    }

    pub(crate) fn advertises(&self) -> bool {
        self.router.state() == State::Master
    }

    /// Whether or not a daemon knows of it.
    fn works(&self) -> bool {
        self.placed && self.levels.get(&Name::from("app")) == Some(&Level::Started)
    }

    fn is_up(&self) -> bool {
        self.placed && self.reached == Some(Target::Raised) && self.advertises()
    }

    /// What the shell tells the core, by the same rules as the daemon's.
    fn service(&self) -> Service {
        let down = !self.placed && self.reached == Some(Target::Lowered) && !self.advertises();
        match (&self.blocked, &self.failed) {
            (Some(why), _) => Service::Blocked(why.clone()),
            (None, _) if self.is_up() => Service::Up,
            (None, Some(why)) if self.moved && self.reached == Some(Target::Lowered) && !self.placed => {
                Service::Failed(why.clone())
            }
            (None, _) if down && !self.serves => Service::Down,
            _ => Service::Moving,
        }
    }
}

/// What happens in a stack later.
#[derive(Clone, Debug)]
pub(crate) enum Later {
    StepEnds(Name, u64, Option<StepResult>),
    Timer,
    /// Something critical has failed, or not any more.
    Trouble,
}

impl World {
    /// The service of both nodes is made of the cores.
    pub(crate) fn with_stacks(&mut self) {
        for n in 0..2 {
            let clock = self.nodes[n].clock(self.now);
            self.nodes[n].stack = Some(Stack::new(router(n), clock));
        }
    }

    /// A daemon finds what is there.
    pub(crate) fn stack_starts(&mut self, n: usize) {
        let clock = self.nodes[n].clock(self.now);
        let Some(s) = &mut self.nodes[n].stack else { return };
        let old = s.clone();
        *s = Stack {
            levels: old.levels,
            placed: old.placed,
            hangs: old.hangs,
            ..Stack::new(old.settings, clock)
        };
        if s.placed {
            s.router.resume();
        }
        let found: Vec<(Name, Level)> = s.levels.iter().map(|(n, l)| (n.clone(), *l)).collect();
        let link = vrrp::Input::Interface(Ok(format!("192.0.2.{}", n + 1).parse().unwrap()));
        self.tell_router(n, vrrp::Input::Await(PAIR, "the nodes have not spoken yet".into()));
        self.tell_router(n, link);
        for (name, level) in found {
            self.tell_graph(n, res::Input::Found(name, level));
        }
        // What was found down needs no word of the pair.
        if !self.nodes[n].stack.as_ref().unwrap().anything() {
            self.stack_is_told(n, false);
        }
        if self.nodes[n].maintenance {
            self.tell_graph(n, res::Input::Command(res::Command::Maintenance(true)));
        }
    }

    pub(crate) fn stack_dies(&mut self, n: usize, power: bool) {
        let Some(s) = &mut self.nodes[n].stack else { return };
        // What was on its way ends with the daemon, before it has changed anything.
        s.running.clear();
        s.router = VirtualRouter::new("kad", s.settings.clone(), Instant::ZERO, Instant::ZERO);
        if power {
            s.placed = false;
            s.levels.values_mut().for_each(|l| *l = Level::Stopped);
        }
        self.settle_real(n);
    }

    /// An order of the pair.
    pub(crate) fn stack_is_told(&mut self, n: usize, serves: bool) {
        let Some(s) = &mut self.nodes[n].stack else { return };
        (s.serves, s.moved, s.failed) = (serves, false, None);
        let why = "the pair's word".to_owned();
        self.tell_router(
            n,
            if serves { vrrp::Input::Take(PAIR, why) } else { vrrp::Input::Yield(PAIR, why) },
        );
        let Some(s) = &self.nodes[n].stack else { return };
        if !serves && !s.advertises() && !s.placed {
            self.aim(n, Target::Lowered);
        }
        self.report(n);
    }

    fn aim(&mut self, n: usize, target: Target) {
        let Some(s) = &mut self.nodes[n].stack else { return };
        if s.aim != Some(target) || s.failed.is_some() {
            (s.aim, s.reached, s.blocked) = (Some(target), None, None);
            self.tell_graph(n, res::Input::Target(target));
        }
    }

    fn tell_router(&mut self, n: usize, input: vrrp::Input) {
        let clock = self.nodes[n].clock(self.now);
        let Some(s) = &mut self.nodes[n].stack else { return };
        let mut out = Vec::new();
        s.router.handle(clock, input, &mut out);
        for output in out {
            self.router_said(n, output);
        }
        self.wake_stack(n);
    }

    fn router_said(&mut self, n: usize, output: vrrp::Output) {
        let Some(s) = &mut self.nodes[n].stack else { return };
        match output {
            vrrp::Output::ClaimAddresses => {
                s.claimed = true;
                self.aim(n, Target::Raised);
                self.place(n);
            }
            vrrp::Output::ReleaseAddresses => {
                (s.claimed, s.placed) = (false, false);
                self.aim(n, Target::Lowered);
                self.lowered(n);
            }
            _ => {}
        }
    }

    fn place(&mut self, n: usize) {
        let Some(s) = &mut self.nodes[n].stack else { return };
        if s.claimed && !s.placed && s.reached == Some(Target::Raised) && s.failed.is_none() {
            (s.placed, s.moved) = (true, true);
            self.tell_router(n, vrrp::Input::AddressesPlaced);
        }
    }

    /// Another node may take over once nothing is left.
    fn lowered(&mut self, n: usize) {
        let Some(s) = &self.nodes[n].stack else { return };
        if !s.claimed && s.reached == Some(Target::Lowered) && s.router.is_leaving() {
            self.tell_router(n, vrrp::Input::AddressesReleased);
        }
    }

    fn tell_graph(&mut self, n: usize, input: res::Input) {
        let clock = self.nodes[n].clock(self.now);
        let Some(s) = &mut self.nodes[n].stack else { return };
        let mut out = Vec::new();
        s.graph.handle(clock, input, &mut out);
        for output in out {
            self.graph_said(n, output);
        }
        self.wake_stack(n);
    }

    fn graph_said(&mut self, n: usize, output: res::Output) {
        let epoch = self.nodes[n].epoch;
        let (up, down) = (self.nodes[n].up_takes / 3, self.nodes[n].down_takes / 3);
        let Some(s) = &mut self.nodes[n].stack else { return };
        match output {
            res::Output::Run { resource, step, .. } => {
                s.runs += 1;
                s.moved |= step != Step::Monitor;
                s.running.insert(resource.clone(), (step, s.runs));
                let is_up = matches!(step, Step::Start | Step::Promote);
                if s.hangs[usize::from(!is_up)] != Some(resource.as_str()) {
                    let takes = if is_up { up } else { down };
                    let end = Later::StepEnds(resource, s.runs, None);
                    self.at(takes, Event::Stack(n, epoch, end));
                }
            }
            res::Output::Cancel { resource, .. } => {
                if let Some((_, number)) = s.running.get(&resource) {
                    let end = Later::StepEnds(resource, *number, Some(StepResult::TimedOut));
                    self.at(ms(1), Event::Stack(n, epoch, end));
                }
            }
            res::Output::Reached { target, .. } => {
                (s.reached, s.blocked) = (Some(target), None);
                match (s.aim, target) {
                    (Some(Target::Raised), Target::Lowered) => {
                        s.failed = Some(s.critical.clone().unwrap_or_else(|| "it was rolled back".into()));
                        s.placed = false;
                    }
                    (Some(Target::Raised), Target::Raised) => s.failed = None,
                    _ => {}
                }
                self.place(n);
                self.lowered(n);
            }
            res::Output::Blocked { resource, reason } => s.blocked = Some(format!("{resource}: {reason}")),
            res::Output::CriticalFailed { resource, reason } => {
                s.critical = Some(format!("{resource}: {reason}"));
                self.troubled(n);
            }
            res::Output::Health { failed: None, .. } => {
                s.critical = None;
                self.troubled(n);
            }
            _ => {}
        }
    }

    /// What fails is known to the pair.
    fn troubled(&mut self, n: usize) {
        let epoch = self.nodes[n].epoch;
        self.at(Duration::ZERO, Event::Stack(n, epoch, Later::Trouble));
    }

    fn wake_stack(&mut self, n: usize) {
        let (now, node) = (self.now, &mut self.nodes[n]);
        let clock = node.clock(now);
        let Some(s) = &node.stack else { return };
        let due = [s.graph.next_deadline(), s.router.next_deadline()].into_iter().flatten().min();
        let Some(at) = due.map(|at| node.when(at.max(clock)).max(now + ms(1))) else { return };
        let Some(s) = &mut node.stack else { return };
        if s.wakes.is_none_or(|wakes| wakes > at) {
            s.wakes = Some(at);
            let epoch = node.epoch;
            self.at(at.since(now), Event::Stack(n, epoch, Later::Timer));
        }
    }

    pub(crate) fn stack_goes_on(&mut self, n: usize, later: Later) {
        if self.nodes[n].controller.is_none() || self.nodes[n].paused {
            // A stopped daemon sees later what has ended meanwhile.
            if self.nodes[n].controller.is_some() && !matches!(later, Later::Timer) {
                let epoch = self.nodes[n].epoch;
                self.at(ms(500), Event::Stack(n, epoch, later));
            }
            return;
        }
        match later {
            Later::Timer => {
                let due = self.nodes[n].stack.as_ref().and_then(|s| s.wakes);
                if due.is_some_and(|at| at > self.now) {
                    // An earlier one has been here, and a later one comes.
                    return;
                }
                if let Some(s) = &mut self.nodes[n].stack {
                    s.wakes = None;
                }
                self.tell_graph(n, res::Input::Timer);
                self.tell_router(n, vrrp::Input::Timer);
            }
            Later::Trouble => {
                let critical = self.nodes[n].stack.as_ref().and_then(|s| s.critical.clone());
                let trouble = self.nodes[n].trouble.clone().or(critical);
                self.input(n, Input::Trouble(trouble));
            }
            Later::StepEnds(resource, number, given) => self.step_ends(n, resource, number, given),
        }
        self.report(n);
    }

    fn step_ends(&mut self, n: usize, resource: Name, number: u64, given: Option<StepResult>) {
        let (start_fails, stop_fails) = (self.nodes[n].start_fails, self.nodes[n].stop_fails);
        let Some(s) = &mut self.nodes[n].stack else { return };
        let Some((step, _)) = s.running.get(&resource).copied().filter(|(_, run)| *run == number) else {
            return;
        };
        s.running.remove(&resource);
        let gone = step == Step::Monitor && s.levels.get(&resource) == Some(&Level::Stopped);
        let result = given.unwrap_or(match (resource.as_str(), step) {
            _ if gone => StepResult::Failed("it is not there any more".into()),
            ("app", Step::Start) if start_fails => StepResult::Failed("it does not start".into()),
            ("fs", Step::Stop) if stop_fails => StepResult::Failed("it is busy".into()),
            _ => StepResult::Done,
        });
        let level = match step {
            Step::Start | Step::Demote => Some(Level::Started),
            Step::Promote => Some(Level::Promoted),
            Step::Stop => Some(Level::Stopped),
            Step::Monitor => None,
        };
        if let (Some(level), StepResult::Done) = (level, &result) {
            s.levels.insert(resource.clone(), level);
        }
        self.tell_graph(n, res::Input::StepDone { resource, step, result });
    }

    /// The service as the rest of the world sees it, and what the core is told of it.
    pub(crate) fn report(&mut self, n: usize) {
        self.settle_real(n);
        let order = self.nodes[n].order;
        let Some(s) = &mut self.nodes[n].stack else { return };
        let service = s.service();
        if order == 0 || s.told.replace((order, service.clone())) == Some((order, service.clone())) {
            return;
        }
        self.at(ms(1), Event::LookAtData(n));
        self.at(Duration::ZERO, Event::Served(n, self.nodes[n].epoch, order, service));
    }

    fn settle_real(&mut self, n: usize) {
        let node = &mut self.nodes[n];
        let Some(s) = &node.stack else { return };
        node.service = match (s.anything(), &s.blocked) {
            (true, Some(_)) => Real::Stuck,
            (true, None) if s.works() => Real::Up,
            (true, None) if s.serves => Real::GoingUp,
            (true, None) => Real::GoingDown,
            (false, _) => Real::Down,
        };
        self.data_moves();
    }

    /// Something has ended by itself, and the next look finds it.
    pub(crate) fn fails(&mut self, n: usize, part: &str) {
        let name = Name::from(part);
        let Some(s) = &mut self.nodes[n].stack else { return };
        s.levels.insert(name.clone(), Level::Stopped);
        self.tell_graph(n, res::Input::Look(name));
    }

    pub(crate) fn stack_rests(&mut self, n: usize, on: bool) {
        if !self.nodes[n].runs() {
            return;
        }
        self.tell_graph(n, res::Input::Command(res::Command::Maintenance(on)));
        self.report(n);
    }

    /// Whatever has failed is forgotten, as by `tandemadm resource clear`.
    pub(crate) fn clear_stack(&mut self, n: usize) {
        if let Some(s) = &mut self.nodes[n].stack {
            s.hangs = [None; 2];
            if !self.nodes[n].runs() {
                return;
            }
            for part in PARTS {
                self.tell_graph(n, res::Input::Command(res::Command::Clear(part.into())));
            }
            self.report(n);
        }
    }
}
