//! What was decided, run through the core again: the inputs of each decision as they are written down, and the comparison of
//! what came of them with what comes of them now.
//!
//! The core is deterministic, so a difference is a change of its rules since (another version), or a defect.

use super::controller::Controller;
use super::input::Input;
use super::output::Output;
use crate::time::Instant;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Inputs of one record; a decision ends a record at once.
const BATCH: usize = 32;
/// After so many inputs the whole state is written down again: older records may be gone by then.
const SNAPSHOT: usize = 1024;
/// More differences are counted, not kept.
const KEPT: usize = 100;

/// What came of an input.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// A heartbeat with this CRC-32, of its JSON.
    Beat(u32),
    /// Anything else.
    Other(Output),
}

/// One input.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Step {
    /// When, on the node's own clock.
    pub at: Instant,
    /// What.
    pub input: Input,
    /// What came of it.
    pub said: Vec<Said>,
}

/// Some inputs of one pair, in order. This is what is stored.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Batch {
    /// Name of the pair.
    pub pair: String,
    /// Counts the batches of a life; one that is missing breaks the chain.
    pub number: u64,
    /// The state before the first of these; none: that after the batch before.
    pub start: Option<Value>,
    /// The inputs.
    pub steps: Vec<Step>,
}

fn said(outputs: &[Output]) -> Vec<Said> {
    let one = |o: &Output| match o {
        Output::Send(beat) => {
            // A heartbeat can always be written as JSON.
            Said::Beat(crc32fast::hash(&serde_json::to_vec(beat).unwrap_or_default()))
        }
        other => Said::Other(other.clone()),
    };
    outputs.iter().map(one).collect()
}

/// Collects the inputs of one pair.
#[derive(Clone, Debug)]
pub struct Journal {
    pair: String,
    number: u64,
    /// Inputs since the last whole state; none: there was none yet.
    since: Option<usize>,
    start: Option<Value>,
    steps: Vec<Step>,
}

impl Journal {
    /// Nothing yet.
    pub fn new(pair: &str) -> Self {
        Journal { pair: pair.to_owned(), number: 0, since: None, start: None, steps: Vec::new() }
    }

    /// A controller begins its life: what waits belongs to another one.
    pub fn begin(&mut self) -> Option<Batch> {
        self.since = None;
        self.flush()
    }

    /// To be called before each input.
    pub fn before(&mut self, controller: &Controller) {
        if self.steps.is_empty() && self.since.is_none_or(|n| n >= SNAPSHOT) {
            self.start = serde_json::to_value(controller).ok();
            self.since = Some(0);
        }
    }

    /// To be called after it. What it returns is to be stored.
    pub fn after(&mut self, at: Instant, input: Input, outputs: &[Output]) -> Option<Batch> {
        self.since = self.since.map(|n| n.saturating_add(1));
        self.steps.push(Step { at, input, said: said(outputs) });
        // What goes on all the time waits; what was decided does not.
        let decided = outputs.iter().any(|o| !matches!(o, Output::Send(_) | Output::Witness(_)));
        (decided || self.steps.len() >= BATCH).then(|| self.flush()).flatten()
    }

    /// Everything that waits.
    pub fn flush(&mut self) -> Option<Batch> {
        let (start, steps) = (self.start.take(), std::mem::take(&mut self.steps));
        if steps.is_empty() {
            return None;
        }
        self.number = self.number.saturating_add(1);
        Some(Batch { pair: self.pair.clone(), number: self.number, start, steps })
    }
}

/// Where then and now differ.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Difference {
    /// In which pair.
    pub pair: String,
    /// When, on the node's own clock.
    pub at: Instant,
    /// What happened.
    pub input: Input,
    /// What came of it then.
    pub then: Vec<Said>,
    /// What comes of it now.
    pub now: Vec<Said>,
}

/// What a replay has found.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Findings {
    /// Inputs that were run.
    pub inputs: u64,
    /// Decisions among them: what came of them is more than a heartbeat.
    pub decisions: u64,
    /// Inputs that could not be run, as what was before them is missing or differed.
    pub skipped: u64,
    /// Inputs of which something else comes now.
    pub differing: u64,
    /// The first of these.
    pub differences: Vec<Difference>,
    /// States that cannot be understood, as another version has written them.
    pub foreign: u64,
}

/// Runs what was stored through the core.
#[derive(Clone, Debug, Default)]
pub struct Replay {
    running: BTreeMap<String, (u64, Controller)>,
    found: Findings,
}

impl Replay {
    /// The next batch, in the order in which they were stored.
    pub fn run(&mut self, batch: Batch) {
        let count = u64::try_from(batch.steps.len()).unwrap_or(u64::MAX);
        let before = self.running.remove(&batch.pair);
        let controller = match batch.start.map(serde_json::from_value::<Controller>) {
            Some(Ok(controller)) => Some(controller),
            Some(Err(_)) => {
                self.found.foreign += 1;
                None
            }
            None => before.filter(|(number, _)| number + 1 == batch.number).map(|(_, c)| c),
        };
        let Some(mut controller) = controller else {
            self.found.skipped += count;
            return;
        };
        for (done, step) in (1..).zip(batch.steps) {
            let now = said(&controller.handle(step.at, step.input.clone()));
            self.found.inputs += 1;
            self.found.decisions += u64::from(step.said.iter().any(|s| matches!(s, Said::Other(_))));
            if now != step.said {
                self.found.skipped += count - done;
                self.differs(Difference {
                    pair: batch.pair,
                    at: step.at,
                    input: step.input,
                    then: step.said,
                    now,
                });
                // All that follows would differ as well.
                return;
            }
        }
        self.running.insert(batch.pair, (batch.number, controller));
    }

    fn differs(&mut self, difference: Difference) {
        self.found.differing += 1;
        if self.found.differences.len() < KEPT {
            self.found.differences.push(difference);
        }
    }

    /// What was found so far.
    pub fn found(&self) -> &Findings {
        &self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pair::{Data, Found, Id, Identity, Life, Order, Role, Saved, Service, Settings, What};
    use std::collections::VecDeque;
    use std::time::Duration;

    /// A node that serves by an operator's word, with what it was told on the way; as if through the disk.
    fn story(more: usize) -> Vec<Batch> {
        let identity = Identity { version: "1".into(), settings: "x".into() };
        let mut c = Controller::new(
            Instant::ZERO,
            Settings::new(Role::Primary),
            identity,
            Saved::default(),
            Life(1),
            Found::Down,
        );
        let mut journal = Journal::new("esc");
        let mut all: Vec<Batch> = journal.begin().into_iter().collect();
        let what = What::Failback { force: true };
        let order = Order { id: Id("1".into()), who: "root".into(), what };
        let mut inputs = VecDeque::from([Input::Timer, Input::Data(Data::Current), Input::Order(order)]);
        inputs.extend(std::iter::repeat_n(Input::Timer, more));
        let mut at = Instant::ZERO;
        while let Some(input) = inputs.pop_front() {
            at = at + Duration::from_millis(700);
            journal.before(&c);
            let outputs = c.handle(at, input.clone());
            for output in &outputs {
                match output {
                    Output::Save(n, _) => inputs.push_front(Input::Saved(*n, Ok(()))),
                    Output::Activate { order, .. } => {
                        inputs.push_front(Input::Service { order: *order, service: Service::Up });
                    }
                    _ => {}
                }
            }
            all.extend(journal.after(at, input, &outputs));
        }
        all.extend(journal.flush());
        let text = serde_json::to_string(&all).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    fn inputs(all: &[Batch]) -> u64 {
        all.iter().map(|b| u64::try_from(b.steps.len()).unwrap()).sum()
    }

    fn replayed(all: Vec<Batch>) -> Findings {
        let mut replay = Replay::default();
        all.into_iter().for_each(|b| replay.run(b));
        replay.found().clone()
    }

    #[test]
    fn what_was_decided_is_decided_again() {
        let all = story(3000);
        assert!(all.iter().filter(|b| b.start.is_some()).count() >= 3, "whole states again and again");
        let served = all.iter().flat_map(|b| &b.steps).flat_map(|s| &s.said);
        assert!(served.into_iter().any(|s| matches!(s, Said::Other(Output::Activate { .. }))));
        let total = inputs(&all);
        let found = replayed(all);
        assert_eq!((found.inputs, found.skipped, found.differing, found.foreign), (total, 0, 0, 0));
        assert!(found.decisions >= 3, "{found:?}");
    }

    #[test]
    fn a_difference_is_found_and_ends_the_chain() {
        let mut all = story(100);
        let step =
            all.iter_mut().flat_map(|b| &mut b.steps).find(|s| matches!(s.input, Input::Order(_))).unwrap();
        step.said.clear();
        let total = inputs(&all);
        let found = replayed(all);
        assert_eq!((found.differing, found.inputs + found.skipped), (1, total));
        assert!(
            matches!(found.differences[0].input, Input::Order(_)) && found.differences[0].then.is_empty()
        );
    }

    #[test]
    fn what_has_no_beginning_is_skipped_until_there_is_one() {
        let mut all = story(3000);
        all.remove(0);
        let found = replayed(all.clone());
        assert!(found.skipped > 0 && found.inputs > 1000 && found.differing == 0, "{found:?}");
        assert_eq!(found.inputs + found.skipped, inputs(&all));
        for batch in &mut all {
            batch.start = batch.start.take().map(|_| Value::Null);
        }
        let found = replayed(all);
        assert!(found.inputs == 0 && found.foreign > 0);
    }
}
