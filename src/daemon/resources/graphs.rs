//! All resources of this node: a graph for each pair, and one for what belongs to no pair.
//!
//! Each goes up and down by itself; what the node has once (maintenance, the stop of the daemon) all of them are told.

use super::maintenance::Maintenance;
use super::merged::merged;
use super::runner::{Effect, Happening, Resources};
use super::status::View;
use crate::agents::Agent;
use crate::config::{Config, PairSettings};
use crate::control::api::ResourcesStatus;
use crate::daemon::messages::GateNews;
use crate::daemon::record::Recorder;
use crate::events::Who;
use crate::notify::Change;
use crate::resource::{Command, Notice};
use crate::time::Instant;
use crate::track::Report;
use std::future::poll_fn;
use std::path::Path;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::mpsc;

/// See [the module](self).
pub(crate) struct Graphs {
    /// What belongs to no pair; with it every configured thing is in one of the graphs.
    rest: Resources,
    /// One for each pair, in configuration order. A reload makes no pair and removes none.
    pairs: Vec<(PairSettings, Resources)>,
    maintenance: Maintenance,
    /// Who is asked first for the next happening, so that a busy one does not keep the others waiting.
    turn: usize,
}

/// Something that happened in one of the graphs.
#[derive(Debug)]
pub(crate) struct Happened {
    /// Which one, as [`Graphs::all`] counts.
    graph: usize,
    pub(crate) what: Happening,
}

impl Graphs {
    /// Makes the agents and looks at what runs already. Must be called within a tokio runtime.
    pub(in crate::daemon) fn start(
        config: &Config,
        run_dir: &Path,
        state_dir: &Path,
        recorder: &Recorder,
    ) -> Self {
        let maintenance = Maintenance::load(state_dir);
        let several = config.pairs.len() > 1;
        let start = |pair: Option<&PairSettings>| {
            let name = pair.filter(|_| several).map(|p| p.name.clone());
            let dirs = (run_dir, state_dir);
            Resources::start(config.part_of(pair), dirs, maintenance.is_on(), name, recorder.clone())
        };
        let rest = start(None);
        let pairs = config.pairs.iter().map(|p| (p.clone(), start(Some(p)))).collect();
        Graphs { rest, pairs, maintenance, turn: 0 }
    }

    fn all(&self) -> impl Iterator<Item = &Resources> {
        std::iter::once(&self.rest).chain(self.pairs.iter().map(|(_, r)| r))
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut Resources> {
        std::iter::once(&mut self.rest).chain(self.pairs.iter_mut().map(|(_, r)| r))
    }

    fn of_pair(&mut self, name: &str) -> Option<&mut Resources> {
        self.pairs.iter_mut().find(|(p, _)| p.name == name).map(|(_, r)| r)
    }

    fn of_instance(&mut self, name: &str) -> &mut Resources {
        let holds = |p: &PairSettings| p.vrrp_instance.iter().any(|i| i == name);
        self.pairs.iter_mut().find(|(p, _)| holds(p)).map_or(&mut self.rest, |(_, r)| r)
    }

    /// Waits for the next happening; never ends by itself.
    pub(crate) async fn next(&mut self) -> Happened {
        poll_fn(|context| {
            let count = self.pairs.len() + 1;
            let turn = self.turn % count;
            for graph in (turn..count).chain(0..turn) {
                let next = self.all_mut().nth(graph).map(|r| r.poll_next(context));
                if let Some(Poll::Ready(what)) = next {
                    self.turn = graph + 1;
                    return Poll::Ready(Happened { graph, what });
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Takes what has happened.
    pub(crate) fn take(&mut self, happened: Happened) {
        let Happened { graph, what } = happened;
        if let Some(resources) = self.all_mut().nth(graph) {
            resources.take(what);
        }
    }

    /// When [`Graphs::timer`] is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.all().filter_map(Resources::deadline).min()
    }

    /// A deadline has passed.
    pub(crate) fn timer(&mut self) {
        self.all_mut().for_each(Resources::timer);
    }

    /// Where it is said that a blocking script of this instance has ended.
    pub(crate) fn sender(&mut self, instance: &str) -> mpsc::UnboundedSender<Happening> {
        self.of_instance(instance).sender()
    }

    /// What has to be done by the rest of the daemon since the last call.
    pub(crate) fn effects(&mut self) -> Vec<Effect> {
        self.all_mut().flat_map(Resources::effects).collect()
    }

    /// The failures that virtual routers track, as far as they have changed since the last call.
    pub(crate) fn reports(&mut self) -> Vec<Report> {
        self.all_mut().flat_map(Resources::reports).collect()
    }

    /// A virtual router changed its state.
    pub(crate) fn changed(&mut self, change: &Change) {
        self.of_instance(&change.name).changed(change);
    }

    /// The protocol thread tells where an instance's addresses are.
    pub(crate) fn gate(&mut self, instance: &str, news: GateNews) {
        self.of_instance(instance).gate(instance, news);
    }

    /// A pair without virtual routers has decided whether this node serves.
    pub(crate) fn serve(&mut self, pair: &str, serves: bool) {
        if let Some(resources) = self.of_pair(pair) {
            resources.serve(serves);
        }
    }

    /// The pair of this instance has decided that this node does not serve.
    pub(crate) fn yielded(&mut self, instance: &str) {
        self.of_instance(instance).yielded();
    }

    /// A command of an operator for a resource or a group; what its graph says to it.
    pub(crate) fn command(&mut self, command: Command, who: Who) -> Vec<Notice> {
        let name = command.name().to_owned();
        let has = |r: &Resources| r.config.resources.iter().any(|c| c.name == name);
        // If it is unknown, any of them says so.
        let graph = self.all().position(has).unwrap_or_default();
        self.all_mut().nth(graph).map(|r| r.command(command, who)).unwrap_or_default()
    }

    /// The agent of a resource.
    pub(crate) fn agent(&self, name: &str) -> Option<Arc<dyn Agent>> {
        self.all().find_map(|r| r.agent(name))
    }

    /// The pair that a resource belongs to.
    pub(crate) fn pair_of(&self, resource: &str) -> Option<&str> {
        self.pairs.iter().find(|(_, r)| r.agent(resource).is_some()).map(|(p, _)| p.name.as_str())
    }

    /// All agents, by the name of their resource.
    pub(crate) fn agents(&self) -> Vec<(String, Arc<dyn Agent>)> {
        self.all().flat_map(Resources::agents).collect()
    }

    /// The resources that are promoted and stay so: no step but a monitor is on its way.
    pub(crate) fn serving(&self) -> Vec<String> {
        self.all().flat_map(Resources::serving).collect()
    }

    /// Whether there is nothing to look after.
    pub(crate) fn is_empty(&self) -> bool {
        self.all().all(Resources::is_empty)
    }

    /// Why new settings cannot be taken by a reload, in words.
    pub(crate) fn refuses(&self, config: &Config) -> Option<String> {
        let moves = |c: &crate::config::Resource| {
            let had = self.all().flat_map(|r| &r.config.resources).find(|o| o.name == c.name)?;
            // One graph would start what the other one still stops.
            (had.pair != c.pair).then(|| {
                let word = |pair: &Option<String>| pair.clone().unwrap_or_else(|| "none".into());
                let (from, to) = (word(&had.pair), word(&c.pair));
                format!(
                    "resource {} moves from pair {from} to pair {to} only with a restart of tandemd",
                    c.name
                )
            })
        };
        config.resources.iter().find_map(moves)
    }

    /// New settings: what did not change does not notice.
    pub(crate) fn reload(&mut self, config: &Config) {
        self.rest.reload(config.part_of(None));
        for (pair, resources) in &mut self.pairs {
            if let Some(new) = config.pair(&pair.name) {
                *pair = new.clone();
            }
            resources.reload(config.part_of(Some(pair)));
        }
    }

    /// On: no monitors, nothing moves, also over a restart of the daemon.
    pub(crate) fn set_maintenance(&mut self, on: bool) -> Result<(), String> {
        self.maintenance.set(on)?;
        self.all_mut().for_each(|r| r.set_maintenance(on));
        Ok(())
    }

    /// The daemon stops: the virtual routers are about to leave.
    pub(crate) fn stopping(&mut self) {
        self.all_mut().for_each(Resources::stopping);
    }

    /// After the virtual routers have left: what is up in both roles goes down too.
    pub(crate) fn stop_the_rest(&mut self) {
        self.all_mut().for_each(Resources::stop_the_rest);
    }

    /// True when nothing is left to wait for at the stop.
    pub(crate) fn is_down(&self) -> bool {
        self.all().all(Resources::is_down)
    }

    /// Why nothing more goes down by itself: something is blocked, and nothing else moves. None: nothing is blocked, or something moves.
    pub(crate) fn stuck(&self) -> Option<String> {
        if self.all().any(|r| r.blocked().is_none() && r.is_moving()) {
            return None;
        }
        let all: Vec<String> = self.all().filter_map(Resources::blocked).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }

    /// How long everything that is up may take to go down. The graphs do not wait for each other.
    pub(crate) fn longest_stop(&self) -> Duration {
        self.all().map(Resources::longest_stop).max().unwrap_or_default()
    }

    /// What matters to a pair.
    pub(crate) fn view(&self, pair: &str) -> Option<View> {
        self.pairs.iter().find(|(p, _)| p.name == pair).map(|(_, r)| r.view())
    }

    /// Everything that there is to know; none if nothing is configured.
    pub(crate) fn status(&self) -> Option<ResourcesStatus> {
        merged(self.all().filter_map(|r| Some((r.pair.clone(), r.status()?))).collect())
    }
}
