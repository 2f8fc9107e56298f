//! Two nodes and a witness under random schedules: questions and answers late, lost and doubled, clocks that run apart,
//! restarts, a disk that fails. Whatever comes, never do both nodes hold a right.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use std::time::Duration;
use tandemd::time::Instant;
use tandemd::witness::lease::{Decision, Found, Leases, Limits, Record};
use tandemd::witness::right::{Right, Terms};
use tandemd::witness::{Answer, Ask, Denied, Fingerprint, PairId, Token, Verb};

const NODES: [Fingerprint; 2] = [Fingerprint([1; 32]), Fingerprint([2; 32])];
const T_SELF: Duration = Duration::from_secs(9);
const T_PEER: Duration = Duration::from_secs(10);
/// Parts in a million that a clock may be fast or slow: 5 %, what a tenth between the two times makes up for.
const DRIFT: i64 = 50_000;

/// One thing that happens. Indices are taken modulo what there is.
#[derive(Clone, Debug)]
enum Event {
    Wait(u64),
    Send(usize, Verb),
    /// A question, all the way: what a healthy network does.
    Round(usize, Verb),
    /// The node stops serving and says so.
    GiveBack(usize),
    /// A question arrives; it may come once more.
    Arrive(usize, bool),
    LoseQuestion(usize),
    /// An answer arrives; it may come once more.
    Answer(usize, bool),
    LoseAnswer(usize),
    Disk(Disk),
    Generation(usize),
    /// The witness is killed and started again; what was being written may be on the disk.
    Restart {
        stored: bool,
    },
    /// Its disk is replaced by an empty one.
    NewDisk,
}

#[derive(Clone, Copy, Debug)]
enum Disk {
    Works,
    Fails,
    /// An error is reported, and the record is there all the same.
    FailsAndKeeps,
}

fn event() -> impl Strategy<Value = Event> {
    let verb = prop_oneof![5 => Just(Verb::Acquire), 5 => Just(Verb::Renew), 1 => Just(Verb::Look)];
    let disk = prop_oneof![4 => Just(Disk::Works), 1 => Just(Disk::Fails), 1 => Just(Disk::FailsAndKeeps)];
    prop_oneof![
        10 => (0u64..12_000).prop_map(Event::Wait),
        6 => (0..2usize, verb.clone()).prop_map(|(n, v)| Event::Send(n, v)),
        10 => (0..2usize, verb).prop_map(|(n, v)| Event::Round(n, v)),
        3 => (0..2usize).prop_map(Event::GiveBack),
        8 => (any::<usize>(), prop::bool::weighted(0.2)).prop_map(|(i, twice)| Event::Arrive(i, twice)),
        1 => any::<usize>().prop_map(Event::LoseQuestion),
        8 => (any::<usize>(), prop::bool::weighted(0.2)).prop_map(|(i, twice)| Event::Answer(i, twice)),
        1 => any::<usize>().prop_map(Event::LoseAnswer),
        6 => disk.prop_map(Event::Disk),
        1 => (0..2usize).prop_map(Event::Generation),
        2 => any::<bool>().prop_map(|stored| Event::Restart { stored }),
        1 => Just(Event::NewDisk),
    ]
}

/// Drifts of the two nodes and the witness, and what happens.
type Schedule = ([i64; 3], Vec<Event>);

fn schedule() -> impl Strategy<Value = Schedule> {
    let drift = prop_oneof![Just(-DRIFT), Just(DRIFT), -DRIFT..=DRIFT];
    (prop::array::uniform3(drift), prop::collection::vec(event(), 1..250))
}

/// What is wrong on purpose, to see that it would be found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    None,
    /// The lease is asked for shorter than the node believes to have it.
    ShortLease,
    /// After a restart the witness knows nothing, and does not wait.
    Forgets,
    /// What cannot be written is granted all the same.
    IgnoresDisk,
    /// A release says which lease is current, not which was given back.
    AnyRelease,
}

struct World {
    fault: Fault,
    /// Real time, in nanoseconds.
    now: u64,
    drift: [i64; 3],
    /// The witness's clock begins anew with each of its starts.
    started: u64,
    starts: u64,
    rights: [Right; 2],
    generation: [u64; 2],
    questions: Vec<(usize, Instant, Ask)>,
    answers: Vec<(usize, Instant, Answer)>,
    writing: Option<(usize, Instant, Record)>,
    disk: Option<Record>,
    leases: Leases,
    /// The last lease that was granted, and to whom.
    last: Option<(Token, usize)>,
    numbers_go_back: bool,
    seen: Seen,
}

#[derive(Default, Debug)]
struct Seen {
    moves: u64,
    renewals: u64,
    after_restart: u64,
    refused: u64,
    failed: u64,
}

fn pair() -> PairId {
    "p".parse().unwrap()
}

fn ticks(real: u64, drift: i64) -> Instant {
    let nanos = i128::from(real) * i128::from(1_000_000 + drift) / 1_000_000;
    Instant::from_nanos(u64::try_from(nanos).unwrap())
}

impl World {
    fn new(drift: [i64; 3], fault: Fault) -> Self {
        let right = Right::new(Terms::new(T_SELF, T_PEER).unwrap());
        let mut world = World {
            fault,
            // So that drifts count from the beginning.
            now: 1_000_000_000,
            drift,
            started: 0,
            starts: 0,
            rights: [right.clone(), right],
            generation: [1, 1],
            questions: Vec::new(),
            answers: Vec::new(),
            writing: None,
            disk: None,
            leases: Leases::new(Limits::default()),
            last: None,
            numbers_go_back: false,
            seen: Seen::default(),
        };
        world.start();
        world
    }

    fn start(&mut self) {
        let limits = Limits { longest: 2 * T_PEER, ..Limits::default() };
        self.started = self.now;
        self.starts += 1;
        self.leases = Leases::new(limits);
        let now = self.witness_clock();
        let found = match self.disk.clone() {
            Some(mut record) if self.fault == Fault::Forgets => {
                record.longest_ms = 0;
                Found::Record(record)
            }
            Some(record) => Found::Record(record),
            None => Found::Nothing(Token(self.now)),
        };
        self.leases.add(pair(), NODES, found, now).unwrap();
    }

    fn clock(&self, node: usize) -> Instant {
        ticks(self.now, self.drift[node])
    }

    fn witness_clock(&self) -> Instant {
        ticks(self.now - self.started, self.drift[2])
    }

    fn send(&mut self, node: usize, verb: Verb) {
        let mut ask = self.rights[node].ask(verb, pair(), self.generation[node], self.generation[node]);
        if self.fault == Fault::ShortLease {
            ask.lease_ms /= 2;
        }
        self.questions.push((node, self.clock(node), ask));
    }

    fn arrive(&mut self, at: usize, twice: bool) {
        let Some(at) = at.checked_rem(self.questions.len()) else { return };
        let (node, sent, mut ask) =
            if twice { self.questions[at].clone() } else { self.questions.swap_remove(at) };
        if self.fault == Fault::AnyRelease && ask.token.is_some() {
            ask.token = self.last.map(|(token, _)| token);
        }
        match self.leases.ask(NODES[node], &ask, self.witness_clock()) {
            Decision::Answer(answer) => self.say(node, sent, answer),
            Decision::Write(record) => {
                assert!(self.writing.is_none(), "two writes of one pair");
                self.writing = Some((node, sent, record));
            }
        }
    }

    /// What the witness says; leases have ever higher numbers.
    fn say(&mut self, node: usize, sent: Instant, answer: Answer) {
        match answer {
            Answer::Granted { token } => {
                if let Some((last, holder)) = self.last {
                    self.numbers_go_back |= token < last || token == last && holder != node;
                    self.seen.moves += u64::from(holder != node);
                    self.seen.renewals += u64::from(token == last);
                    self.seen.after_restart += u64::from(self.starts > 1 && token == last);
                }
                self.last = Some((token, node));
            }
            Answer::Denied(Denied::Held { .. }) => self.seen.refused += 1,
            _ => {}
        }
        self.answers.push((node, sent, answer));
    }

    fn answer(&mut self, at: usize, twice: bool) {
        let Some(at) = at.checked_rem(self.answers.len()) else { return };
        let (node, sent, answer) =
            if twice { self.answers[at].clone() } else { self.answers.swap_remove(at) };
        self.rights[node].answered(sent, &answer);
    }

    fn disk(&mut self, how: Disk) {
        let Some((node, sent, record)) = self.writing.take() else { return };
        let kept = !matches!(how, Disk::Fails);
        if kept {
            self.disk = Some(record);
        }
        let result = match how {
            Disk::Works => Ok(()),
            _ if self.fault == Fault::IgnoresDisk => Ok(()),
            _ => {
                self.seen.failed += 1;
                Err("no space".to_owned())
            }
        };
        let answer = self.leases.written(&pair(), result);
        self.say(node, sent, answer);
    }

    fn round(&mut self, node: usize, verb: Verb) {
        self.send(node, verb);
        self.arrive(self.questions.len() - 1, false);
        self.disk(Disk::Works);
        if !self.answers.is_empty() {
            self.answer(self.answers.len() - 1, false);
        }
    }

    fn step(&mut self, event: &Event) {
        // Nothing happens in no time: numbers that begin with the clock's are higher than all before.
        self.now += 1000;
        match *event {
            Event::Wait(ms) => self.now += ms * 1_000_000,
            Event::Send(node, verb) => self.send(node, verb),
            Event::Round(node, verb) => self.round(node, verb),
            Event::GiveBack(node) => {
                if self.rights[node].give_back() {
                    self.send(node, Verb::Release);
                }
            }
            Event::Arrive(at, twice) => self.arrive(at, twice),
            Event::LoseQuestion(at) => {
                if let Some(at) = at.checked_rem(self.questions.len()) {
                    self.questions.swap_remove(at);
                }
            }
            Event::Answer(at, twice) => self.answer(at, twice),
            Event::LoseAnswer(at) => {
                if let Some(at) = at.checked_rem(self.answers.len()) {
                    self.answers.swap_remove(at);
                }
            }
            Event::Disk(how) => self.disk(how),
            Event::Generation(node) => self.generation[node] = *self.generation.iter().max().unwrap() + 1,
            Event::Restart { stored } => {
                if let Some((_, _, record)) = self.writing.take().filter(|_| stored) {
                    self.disk = Some(record);
                }
                self.start();
            }
            Event::NewDisk => {
                self.writing = None;
                self.disk = None;
                self.start();
            }
        }
    }

    /// Rights begin only with an event and end by themselves, so looking after each event sees every overlap.
    fn both_hold(&self) -> bool {
        (0..2).all(|n| self.rights[n].holds(self.clock(n)))
    }
}

/// Runs a schedule; the error says what is wrong, and after which event.
fn run((drift, events): &Schedule, fault: Fault) -> Result<Seen, String> {
    let mut world = World::new(*drift, fault);
    for (n, event) in events.iter().enumerate() {
        world.step(event);
        if world.both_hold() {
            return Err(format!("both hold a right after event {n}"));
        }
        if world.numbers_go_back {
            return Err(format!("numbers go back after event {n}"));
        }
    }
    Ok(world.seen)
}

/// The same schedules each time.
fn samples(count: usize) -> impl Iterator<Item = Schedule> {
    let (mut runner, strategy) = (TestRunner::deterministic(), schedule());
    (0..count).map(move |_| strategy.new_tree(&mut runner).unwrap().current())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn never_do_both_nodes_hold_a_right(schedule in schedule()) {
        prop_assert_eq!(run(&schedule, Fault::None).err(), None);
    }
}

#[test]
fn the_schedules_reach_what_they_are_for() {
    let mut all = Seen::default();
    for schedule in samples(400) {
        let seen = run(&schedule, Fault::None).unwrap();
        all.moves += seen.moves;
        all.renewals += seen.renewals;
        all.after_restart += seen.after_restart;
        all.refused += seen.refused;
        all.failed += seen.failed;
    }
    let least = [all.moves, all.renewals, all.after_restart, all.refused, all.failed];
    assert!(least.iter().all(|n| *n > 30), "{all:?}");
}

#[test]
fn each_fault_would_be_found() {
    for (fault, what) in [
        (Fault::ShortLease, "both hold"),
        (Fault::Forgets, "both hold"),
        (Fault::IgnoresDisk, "numbers go back"),
        (Fault::AnyRelease, "both hold"),
    ] {
        let found = samples(4000).find_map(|schedule| run(&schedule, fault).err());
        assert!(found.as_ref().is_some_and(|f| f.starts_with(what)), "{fault:?}: {found:?}");
    }
}
