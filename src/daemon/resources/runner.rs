//! Runs what the graph asks for.

use super::activation::{Activation, Order, Pre};
use super::boot;
use super::tracks::Tracks;
use crate::agents::{self, Agent, Context, DataStatus, Noticed, Report, Services};
use crate::config::{Config, Resource};
use crate::daemon::messages::{Command, GateNews};
use crate::daemon::record::Recorder;
use crate::events::{Severity, Who};
use crate::net::clock;
use crate::notify::{Change, Target as State};
use crate::process::Activity;
use crate::resource::{self, Graph, Input, Level, Name, Notice, Output, Plan, Step, StepResult, Target};
use crate::time::Instant;
use crate::track;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// What happens to resources.
#[derive(Debug)]
pub(crate) enum Happening {
    /// A step has ended.
    StepDone { resource: Name, step: Step, result: StepResult },
    /// What was found at the start: each resource with its level, or why nobody can tell.
    Found(Vec<(Name, Result<Level, String>)>),
    /// The same of what a reload has brought.
    FoundNew(Vec<(Name, Result<Level, String>)>),
    /// A blocking script has ended.
    Said(String, Pre),
    /// An agent has noticed something.
    Noticed(Report),
    /// Replicated data was looked at.
    Data(Name, DataStatus),
}

/// What the rest of the daemon has to do.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Tell the protocol thread.
    Tell(Command),
    /// Run the blocking script of this instance for its newest change; [`Happening::Said`] when it has ended.
    Run(String, Pre),
    /// It is of no use any more.
    Cancel(String),
    /// Reboot the machine.
    Reboot(String),
}

/// Agents with what they are for.
pub(super) type Agents = BTreeMap<Name, (Resource, Arc<dyn Agent>)>;

/// A step that runs.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) step: Step,
    pub(super) cancel: CancellationToken,
    pub(super) activity: Activity,
}

/// The resources of one pair, or those that belong to none, and what raises and lowers them.
pub(crate) struct Resources {
    /// Of which pair, where there are several.
    pub(super) pair: Option<String>,
    pub(super) graph: Graph,
    /// The part of the configuration that is for them ([`Config::part_of`]).
    pub(super) config: Arc<Config>,
    pub(super) agents: Agents,
    services: Services,
    pub(super) running: BTreeMap<Name, Running>,
    pub(super) activation: Activation,
    /// What has been looked for at the start is known; nothing moves before.
    found: bool,
    /// Whether anything was up then that is down on a node that does not serve.
    pub(super) found_up: Option<bool>,
    /// What a reload has brought, no step of which has begun yet.
    fresh: BTreeSet<Name>,
    tracks: Tracks,
    pub(super) maintenance: bool,
    /// What agents have warned of, until they say that all is well.
    pub(super) warnings: BTreeMap<Name, Vec<String>>,
    /// Replicated data as last seen.
    pub(super) data: BTreeMap<Name, DataStatus>,
    /// Settings that the graph has been given and not taken yet.
    pending: Option<Arc<Config>>,
    stopping: bool,
    pub(super) blocked: Option<(Name, String)>,
    sender: mpsc::UnboundedSender<Happening>,
    happenings: mpsc::UnboundedReceiver<Happening>,
    reports: mpsc::UnboundedReceiver<Report>,
    pub(super) effects: Vec<Effect>,
    pub(super) recorder: Recorder,
    /// Who gave the last command.
    operator: Option<Who>,
}

impl Resources {
    /// Makes the agents and looks at what runs already. Must be called within a tokio runtime.
    pub(super) fn start(
        config: Config,
        (run_dir, state_dir): (&Path, &Path),
        maintenance: bool,
        pair: Option<String>,
        recorder: Recorder,
    ) -> Self {
        let config = Arc::new(config);
        let (sender, happenings) = mpsc::unbounded_channel();
        let (report_sender, reports) = mpsc::unbounded_channel();
        let services =
            Services { run_dir: run_dir.to_owned(), state_dir: state_dir.to_owned(), reports: report_sender };
        let mut resources = Resources {
            pair,
            graph: Graph::of(plan(&config)),
            config: config.clone(),
            agents: BTreeMap::new(),
            services,
            running: BTreeMap::new(),
            activation: Activation::default(),
            found: false,
            found_up: None,
            fresh: BTreeSet::new(),
            tracks: Tracks::default(),
            maintenance,
            warnings: BTreeMap::new(),
            data: BTreeMap::new(),
            pending: None,
            stopping: false,
            blocked: None,
            sender,
            happenings,
            reports,
            effects: Vec::new(),
            recorder,
            operator: None,
        };
        resources.make_agents(&config);
        if maintenance {
            resources.input(Input::Command(resource::Command::Maintenance(true)));
        }
        boot::look(&resources.agents, resources.sender.clone());
        resources.hold_in_maintenance();
        resources.carry_out_later(|a, c| a.configure(c));
        resources
    }

    /// The next happening; there is always a next one.
    pub(super) fn poll_next(&mut self, context: &mut task::Context<'_>) -> Poll<Happening> {
        // Both senders are kept here, so neither ends.
        if let Poll::Ready(Some(happening)) = self.happenings.poll_recv(context) {
            return Poll::Ready(happening);
        }
        match self.reports.poll_recv(context) {
            Poll::Ready(Some(report)) => Poll::Ready(Happening::Noticed(report)),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    /// When [`Resources::timer`] is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.graph.next_deadline()
    }

    /// A deadline has passed.
    pub(crate) fn timer(&mut self) {
        self.input(Input::Timer);
    }

    /// To [`Resources::poll_next`].
    pub(crate) fn sender(&self) -> mpsc::UnboundedSender<Happening> {
        self.sender.clone()
    }

    /// What has to be done by the rest of the daemon since the last call.
    pub(crate) fn effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// The failures that virtual routers track, as far as they have changed since the last call.
    pub(crate) fn reports(&mut self) -> Vec<track::Report> {
        self.tracks.update(&self.graph.status(clock::now()))
    }

    /// Takes what has happened.
    pub(crate) fn take(&mut self, happening: Happening) {
        match happening {
            Happening::StepDone { resource, step, result } => self.step_done(resource, step, result),
            Happening::Found(levels) => self.take_found(levels),
            Happening::FoundNew(levels) => self.take_found_new(levels),
            Happening::Said(instance, which) => {
                let orders = self.activation.said(&instance, which);
                self.carry_out(orders);
            }
            Happening::Noticed(Report { resource, what: Noticed::Look }) => {
                self.input(Input::Look(resource));
            }
            Happening::Noticed(Report { resource, what: Noticed::Event { warning, text } }) => {
                self.note(resource, warning, text);
            }
            // A reload may have removed it meanwhile.
            Happening::Data(resource, status) if self.agents.contains_key(&resource) => {
                self.data.insert(resource, status);
            }
            Happening::Data(..) => {}
        }
    }

    /// A virtual router changed its state.
    pub(crate) fn changed(&mut self, change: &Change) {
        let orders = self.activation.changed(&change.name, change.target == State::Master);
        self.carry_out(orders);
    }

    /// The protocol thread tells where an instance's addresses are.
    pub(crate) fn gate(&mut self, instance: &str, news: GateNews) {
        let orders = self.activation.gate(instance, news);
        self.carry_out(orders);
    }

    /// A pair without virtual routers has decided whether this node serves.
    pub(crate) fn serve(&mut self, serves: bool) {
        let orders = self.activation.serve(serves);
        self.carry_out(orders);
    }

    /// A pair has decided that this node does not serve.
    pub(crate) fn yielded(&mut self) {
        let orders = self.activation.yielded();
        self.carry_out(orders);
    }

    /// A command of an operator; what the graph says to it.
    pub(crate) fn command(&mut self, command: resource::Command, who: Who) -> Vec<Notice> {
        self.operator = Some(who);
        self.input(Input::Command(command))
    }

    /// The agent of a resource.
    pub(crate) fn agent(&self, name: &str) -> Option<Arc<dyn Agent>> {
        self.agents.get(&Name::from(name)).map(|(_, agent)| agent.clone())
    }

    /// All agents, by the name of their resource.
    pub(crate) fn agents(&self) -> Vec<(String, Arc<dyn Agent>)> {
        self.agents.iter().map(|(name, (_, agent))| (name.as_str().to_owned(), agent.clone())).collect()
    }

    /// The resources that are promoted and stay so: no step but a monitor is on its way.
    pub(crate) fn serving(&self) -> Vec<String> {
        let stays = |r: &resource::ResourceStatus| {
            let moves = r.running.as_ref().is_some_and(|step| step.step != Step::Monitor);
            r.level == Level::Promoted && r.goal == Level::Promoted && !moves
        };
        let all = self.graph.status(clock::now()).resources;
        all.iter().filter(|r| stays(r)).map(|r| r.name.as_str().to_owned()).collect()
    }

    /// Whether there is nothing to look after.
    pub(crate) fn is_empty(&self) -> bool {
        self.config.resources.is_empty()
    }

    /// New settings: what did not change does not notice.
    pub(crate) fn reload(&mut self, config: Config) {
        let config = &Arc::new(config);
        if self.config.resources == config.resources
            && self.config.activation == config.activation
            && self.config.pairs == config.pairs
        {
            self.config = config.clone();
        } else {
            self.pending = Some(config.clone());
            self.input(Input::Reconfigure(Box::new(plan(config))));
        }
        let orders = self.activation.configure(config);
        self.carry_out(orders);
        self.hold_in_maintenance();
    }

    /// On: no monitors, nothing moves.
    pub(super) fn set_maintenance(&mut self, on: bool) {
        self.maintenance = on;
        self.input(Input::Command(resource::Command::Maintenance(on)));
        self.hold_in_maintenance();
    }

    /// Neither do addresses come here.
    fn hold_in_maintenance(&mut self) {
        let why = self.maintenance.then(|| "maintenance is on".to_owned());
        let tied = self.config.activation.iter().flat_map(|a| &a.vrrp_instance);
        for name in tied.chain(self.config.pairs.iter().flat_map(|p| &p.vrrp_instance)) {
            self.effects.push(Effect::Tell(Command::Hold(name.clone(), why.clone())));
        }
    }

    /// The daemon stops: the virtual routers are about to leave.
    pub(crate) fn stopping(&mut self) {
        self.stopping = true;
        if self.maintenance && !self.is_empty() {
            warn!("maintenance is on: resources stay as they are");
            let orders = self.activation.freeze(true);
            self.carry_out(orders);
        }
    }

    /// After the virtual routers have left: what is up in both roles goes down too.
    pub(crate) fn stop_the_rest(&mut self) {
        if self.maintenance {
            return;
        }
        self.input(Input::Target(Target::Lowered));
        let all: Vec<Name> = self.agents.keys().cloned().collect();
        for name in all {
            self.input(Input::Command(resource::Command::Stop(name)));
        }
    }

    /// True when nothing is left to wait for at the stop.
    pub(crate) fn is_down(&self) -> bool {
        let status = self.graph.status(clock::now());
        let down = |r: &resource::ResourceStatus| r.level == Level::Stopped && r.running.is_none();
        // Before it is known what runs, nothing can be said to be down.
        self.maintenance || (self.found && status.resources.iter().all(down))
    }

    /// Something is on its way up or down, and nobody holds it.
    pub(super) fn is_moving(&self) -> bool {
        let condition = self.graph.status(clock::now()).condition;
        !self.is_down() && (!self.found || condition == resource::Condition::Moving)
    }

    /// Why what is to be down does not get there, if it is so.
    pub(crate) fn blocked(&self) -> Option<String> {
        self.blocked.as_ref().map(|(name, why)| format!("{name}: {why}"))
    }

    /// How long everything that is up may take to go down.
    pub(crate) fn longest_stop(&self) -> Duration {
        let each = self.config.resources.iter().map(|r| r.timeouts.stop + r.timeouts.demote);
        each.sum::<Duration>() + resource::CANCEL_GRACE
    }

    /// Those that there were not before.
    fn make_agents(&mut self, config: &Config) -> Agents {
        let old = std::mem::take(&mut self.agents);
        let mut new = Agents::new();
        for r in &config.resources {
            let name = Name::from(r.name.as_str());
            let kept = old.get(&name).filter(|(o, _)| o.kind == r.kind).map(|(_, agent)| agent.clone());
            let known = kept.is_some();
            let Some(agent) = kept.or_else(|| agents::agent(r, &self.services)) else { continue };
            if !known {
                new.insert(name.clone(), (r.clone(), agent.clone()));
            }
            self.agents.insert(name, (r.clone(), agent));
        }
        self.warnings.retain(|name, _| self.agents.contains_key(name));
        self.data.retain(|name, _| self.agents.contains_key(name));
        new
    }

    fn take_found(&mut self, levels: Vec<(Name, Result<Level, String>)>) {
        self.found = true;
        let forever =
            |name: &Name| self.config.resources.iter().any(|r| r.run_forever && r.name == name.as_str());
        let serves = |(name, level): &(Name, Result<Level, String>)| match level {
            Ok(Level::Stopped) => false,
            Ok(Level::Started) => !forever(name),
            Ok(Level::Promoted) | Err(_) => true,
        };
        self.found_up = Some(levels.iter().any(serves));
        for (name, level) in levels {
            let level = level.unwrap_or_else(|why| {
                warn!(resource = %name, "{name}: it is not known whether it runs, so it is taken as running: {why}");
                Level::Promoted
            });
            if level > Level::Stopped {
                self.input(Input::Found(name, level));
            }
        }
        if let Some(aim) = self.activation.aim() {
            self.input(Input::Target(aim));
        }
    }

    /// What runs already although it is not to be up here is taken down. Steps that were begun meanwhile know better.
    fn take_found_new(&mut self, levels: Vec<(Name, Result<Level, String>)>) {
        for (name, level) in levels {
            let untouched = self.fresh.remove(&name);
            match level {
                _ if !untouched => {}
                Ok(Level::Stopped) => {}
                Ok(level) => drop(self.input(Input::Found(name, level))),
                Err(why) => warn!(resource = %name, "{name}: it is not known whether it runs already: {why}"),
            }
        }
    }

    fn step_done(&mut self, resource: Name, step: Step, result: StepResult) {
        self.running.remove(&resource);
        if let (StepResult::Failed(text), Step::Monitor) = (&result, step) {
            warn!(%resource, "{resource}: monitor failed: {text}");
        }
        self.input(Input::StepDone { resource, step, result });
    }

    fn input(&mut self, input: Input) -> Vec<Notice> {
        let mut outputs = Vec::new();
        // What is said to an operator is written down with the command.
        let answers = matches!(input, Input::Command(_));
        self.graph.handle(clock::now(), input, &mut outputs);
        let mut notices = Vec::new();
        for output in outputs {
            self.perform(output, &mut notices);
        }
        for n in notices.iter().filter(|n| n.warning && !answers) {
            self.recorder.of_resources(None, Severity::Warning, &n.text);
        }
        notices
    }

    fn perform(&mut self, output: Output, notices: &mut Vec<Notice>) {
        match output {
            Output::Run { resource, step, deadline } => self.run(resource, step, deadline),
            Output::Cancel { resource, step } => {
                if let Some(r) = self.running.get(&resource).filter(|r| r.step == step) {
                    r.cancel.cancel();
                }
            }
            Output::Changed(c) => {
                info!(resource = %c.resource, "{} {}: {}", c.resource, c.to, c.reason);
                self.recorder.resource(&c, self.operator.as_ref());
                if c.to == resource::State::Stuck {
                    self.name_the_pids(&c.resource);
                }
            }
            Output::Reached { target, without } => self.reached(target, &without),
            Output::Blocked { resource, reason } => self.block(resource, &reason),
            Output::Reboot { resource, reason } => self.reboot(&resource, &reason),
            // Told to the virtual routers by `reports`.
            Output::Health { .. } => {}
            Output::CriticalFailed { resource, reason } => self.cannot_serve(&resource, &reason),
            Output::Reconfigured => {
                if let Some(config) = self.pending.take() {
                    let new = self.make_agents(&config);
                    self.fresh = new.keys().cloned().collect();
                    boot::look_at_new(&new, self.sender.clone());
                    self.config = config;
                    info!("the new settings of the resources are in use");
                }
            }
            Output::Notice(notice) => {
                if notice.warning {
                    warn!("{}", notice.text);
                } else {
                    info!("{}", notice.text);
                }
                notices.push(notice);
            }
        }
    }

    fn run(&mut self, resource: Name, step: Step, deadline: Instant) {
        let now = clock::now();
        let status = self.graph.status(now);
        let level = status.resources.iter().find(|r| r.name == resource).map_or(Level::Stopped, |r| r.level);
        let context = Context {
            resource: resource.clone(),
            level,
            limit: deadline.since(now),
            cancel: CancellationToken::new(),
            activity: Activity::default(),
        };
        let running = Running { step, cancel: context.cancel.clone(), activity: context.activity.clone() };
        self.running.insert(resource.clone(), running);
        self.fresh.remove(&resource);
        self.activation_moves(step);
        let agent = self.agents.get(&resource).map(|(_, agent)| agent.clone());
        let sender = self.sender.clone();
        // Each step may have changed what is known of replicated data.
        let (looked, limit) = (agent.clone(), context.limit);
        let work = async move {
            match agent {
                Some(agent) => agent.run(step, &context).await,
                None => StepResult::Failed("it has no agent".to_owned()),
            }
        };
        tokio::spawn(async move {
            // An agent that panics has failed; the graph must not wait for it for ever.
            let result = tokio::spawn(work).await;
            let result = result.unwrap_or_else(|e| StepResult::Failed(format!("its agent failed: {e}")));
            // The receiver ends with the daemon.
            let _ = sender.send(Happening::StepDone { resource: resource.clone(), step, result });
            if let Some(data) = looked.as_ref().and_then(|agent| agent.data())
                && let Ok(Ok(status)) = tokio::time::timeout(limit, data.status()).await
            {
                let _ = sender.send(Happening::Data(resource, status));
            }
        });
    }

    fn activation_moves(&mut self, step: Step) {
        if step != Step::Monitor {
            self.activation.moving();
        }
    }

    fn carry_out_later(&mut self, make: impl FnOnce(&mut Activation, &Config) -> Vec<Order>) {
        let config = self.config.clone();
        let orders = make(&mut self.activation, &config);
        self.carry_out(orders);
    }

    pub(super) fn carry_out(&mut self, orders: Vec<Order>) {
        for order in orders {
            match order {
                Order::Run(instance, which) => self.effects.push(Effect::Run(instance, which)),
                Order::Cancel(instance) => self.effects.push(Effect::Cancel(instance)),
                Order::Place(i) => self.effects.push(Effect::Tell(Command::Place(i))),
                Order::LetGo(i) => self.effects.push(Effect::Tell(Command::LetGo(i))),
                Order::Lowered(i) => self.effects.push(Effect::Tell(Command::Lowered(i))),
                Order::Aim(target) if self.found => {
                    self.input(Input::Target(target));
                }
                // Asked for when it is known what runs already.
                Order::Aim(_) => {}
            }
        }
    }
}

fn plan(config: &Config) -> Plan {
    Plan::new(config.resource_settings()).unwrap_or_else(|mistakes| {
        // The configuration has been checked; this is a bug, and no resources are better than wrong ones.
        for m in mistakes {
            error!("resources: {m}");
        }
        Plan::new(resource::Settings::default()).unwrap_or_else(|_| Plan::empty())
    })
}
