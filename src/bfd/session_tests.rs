//! One session, packet by packet.

use super::packet::{Packet, decode};
use super::*;
use crate::time::Instant;
use proptest::prelude::*;
use std::time::Duration;

const LOCAL: Discriminator = Discriminator::new(1).unwrap();
const REMOTE: Discriminator = Discriminator::new(77).unwrap();
const MS: Duration = Duration::from_millis(1);
const NANO: Duration = Duration::from_nanos(1);

pub(super) fn settings() -> Settings {
    Settings {
        neighbor: "192.0.2.2".parse().unwrap(),
        source: None,
        path: Path::SingleHop,
        min_tx: 10 * MS,
        min_rx: 20 * MS,
        idle_tx: 1000 * MS,
        multiplier: 5,
        passive: false,
    }
}

/// What a neighbour with 30 ms, 15 ms and multiplier 3 says.
pub(super) fn says(state: State) -> Packet {
    Packet {
        diagnostic: Diagnostic::NONE,
        state,
        poll: false,
        is_final: false,
        control_plane_independent: false,
        authenticated: false,
        demand: false,
        detect_mult: 3,
        my_discriminator: REMOTE,
        your_discriminator: Some(LOCAL),
        desired_min_tx: 30_000,
        required_min_rx: 15_000,
        required_min_echo_rx: 0,
    }
}

pub(super) fn at(d: Duration) -> Instant {
    Instant::from_nanos(1_000_000_000_000) + d
}

struct Bench {
    engine: Engine,
    out: Vec<Output>,
    now: Duration,
}

impl Bench {
    fn new(settings: Settings) -> Self {
        let mut bench = Bench { engine: Engine::default(), out: Vec::new(), now: Duration::ZERO };
        bench.input(Input::Add { local: LOCAL, settings, link: Link::Any, seed: 1 });
        bench
    }

    /// A session that both call up, its poll sequence answered.
    fn up(settings: Settings) -> Self {
        let mut bench = Bench::new(settings);
        bench.hear(says(State::Init));
        bench.hear(says(State::Up));
        bench.wait(20 * MS);
        bench.hear(Packet { is_final: true, ..says(State::Up) });
        assert_eq!(bench.status().state, State::Up);
        bench.sent();
        bench.out.clear();
        bench
    }

    fn input(&mut self, input: Input<'_>) {
        self.engine.handle(at(self.now), input, &mut self.out);
    }

    fn hear(&mut self, packet: Packet) {
        let bytes = packet.encode();
        let datagram = Datagram {
            source: "192.0.2.2".parse().unwrap(),
            destination: "192.0.2.1".parse().unwrap(),
            interface: 1,
            hop_limit: 255,
            multihop: false,
            payload: &bytes,
        };
        self.input(Input::Packet(datagram));
    }

    /// Lets time pass; deadlines run when they are due.
    fn wait(&mut self, d: Duration) {
        let end = self.now + d;
        while let Some(next) = self.engine.next_deadline().filter(|t| *t <= at(end)) {
            self.now = self.now.max(next.since(at(Duration::ZERO)));
            self.input(Input::Expire);
        }
        self.now = end;
    }

    fn sent(&mut self) -> Vec<Packet> {
        let packets = self.out.iter().filter_map(|o| match o {
            Output::Send(_, bytes) => Some(decode(bytes).unwrap()),
            _ => None,
        });
        let packets = packets.collect();
        self.out.retain(|o| !matches!(o, Output::Send(..)));
        packets
    }

    fn status(&self) -> SessionStatus {
        self.engine.session(LOCAL).unwrap().status()
    }

    fn state(&self) -> State {
        self.status().state
    }

    fn counters(&self) -> Counters {
        self.engine.session(LOCAL).unwrap().counters().clone()
    }

    fn health(&mut self) -> Vec<bool> {
        let told =
            self.out.iter().filter_map(|o| if let Output::Health(_, up) = o { Some(*up) } else { None });
        let told = told.collect();
        self.out.retain(|o| !matches!(o, Output::Health(..)));
        told
    }
}

#[test]
fn the_table_of_states() {
    use State::{AdminDown, Down, Init, Up};
    let rows = [
        // own, heard -> next, diagnostic
        (Down, AdminDown, Down, 0),
        (Down, Down, Init, 0),
        (Down, Init, Up, 0),
        (Down, Up, Down, 0),
        (Init, AdminDown, Down, 3),
        (Init, Down, Init, 0),
        (Init, Init, Up, 0),
        (Init, Up, Up, 0),
        (Up, AdminDown, Down, 3),
        (Up, Down, Down, 3),
        (Up, Init, Up, 0),
        (Up, Up, Up, 0),
    ];
    for (own, heard, next, diagnostic) in rows {
        let mut b = Bench::new(settings());
        match own {
            Init => b.hear(says(Down)),
            Up => b.hear(says(Init)),
            _ => {}
        }
        assert_eq!(b.state(), own);
        b.hear(says(heard));
        let s = b.status();
        assert_eq!((s.state, s.diagnostic.code()), (next, diagnostic), "{own} heard {heard}");
    }
}

#[test]
fn a_change_of_state_is_told_at_once_and_a_repetition_is_not() {
    let mut b = Bench::new(settings());
    b.wait(Duration::ZERO);
    let first = b.sent();
    assert_eq!(first.len(), 1, "the first packet does not wait");
    assert_eq!((first[0].state, first[0].your_discriminator), (State::Down, None));
    b.hear(says(State::Down));
    let second = b.sent();
    assert_eq!((second[0].state, second[0].your_discriminator), (State::Init, Some(REMOTE)));
    b.hear(says(State::Down));
    assert_eq!(b.sent(), []);
    b.hear(says(State::Up));
    let third = b.sent();
    assert_eq!((third.len(), third[0].state, third[0].desired_min_tx), (1, State::Up, 10_000));
    let changes: Vec<_> = b
        .out
        .iter()
        .filter_map(|o| if let Output::Changed(_, c) = o { Some((c.from, c.to)) } else { None })
        .collect();
    assert_eq!(changes, [(State::Down, State::Init), (State::Init, State::Up)]);
}

#[test]
fn slow_while_not_up_and_negotiated_while_up() {
    let mut b = Bench::new(settings());
    b.wait(10_000 * MS);
    let slow = b.sent();
    assert!((11..=14).contains(&slow.len()), "{} in 10 s at 750 to 1000 ms", slow.len());
    assert!(slow.iter().all(|p| p.desired_min_tx == 1_000_000 && p.required_min_rx == 20_000 && !p.poll));
    b.hear(says(State::Init));
    assert_eq!(
        b.status().tx_interval,
        15 * MS,
        "the neighbour takes one in 15 ms, this side would like 10 ms"
    );
    assert_eq!(
        b.status().rx_interval,
        Some(30 * MS),
        "the neighbour sends one in 30 ms, this side would take 20 ms"
    );
    assert_eq!(b.status().detection_time, Some(90 * MS), "three of them");
    b.hear(Packet { required_min_rx: 5_000, desired_min_tx: 1_000, ..says(State::Up) });
    assert_eq!((b.status().tx_interval, b.status().rx_interval), (10 * MS, Some(20 * MS)));
}

#[test]
fn a_neighbour_that_takes_packets_more_often_gets_the_next_one_so_much_sooner() {
    let mut b = Bench::up(settings());
    b.hear(Packet { required_min_rx: 4_000_000, ..says(State::Up) });
    b.wait(MS);
    b.sent();
    b.hear(says(State::Up));
    b.wait(15 * MS);
    assert!(!b.sent().is_empty(), "not after up to 4 s, but 15 ms after the last one");
}

#[test]
fn detection_time_to_the_nanosecond() {
    let mut b = Bench::up(settings());
    b.hear(says(State::Up));
    b.wait(90 * MS - NANO);
    assert_eq!(b.state(), State::Up);
    b.hear(says(State::Up));
    b.wait(90 * MS - NANO);
    assert_eq!(b.state(), State::Up);
    b.sent();
    b.wait(NANO);
    let s = b.status();
    assert_eq!((s.state, s.diagnostic), (State::Down, Diagnostic::TIME_EXPIRED));
    assert_eq!((s.remote_discriminator, s.detection_time), (None, None));
    let last = b.sent().pop().unwrap();
    assert_eq!((last.state, last.diagnostic.code(), last.your_discriminator), (State::Down, 1, None));
    assert_eq!((last.desired_min_tx, last.poll), (1_000_000, false));
    assert_eq!(b.health(), [false]);
    assert_eq!((b.counters().expirations, b.counters().downs), (1, 1));
}

#[test]
fn silence_ends_init_as_well() {
    let mut b = Bench::new(settings());
    b.hear(says(State::Down));
    assert_eq!(b.state(), State::Init);
    b.wait(90 * MS);
    assert_eq!((b.state(), b.status().diagnostic), (State::Down, Diagnostic::TIME_EXPIRED));
}

#[test]
fn a_poll_sequence_runs_from_up_until_it_is_answered() {
    let mut b = Bench::new(settings());
    b.hear(says(State::Init));
    let polls = b.sent();
    assert!(polls[0].poll && polls[0].state == State::Up, "the times changed with the state");
    b.hear(says(State::Up));
    b.wait(30 * MS);
    assert!(b.sent().iter().all(|p| p.poll));
    b.hear(Packet { is_final: true, ..says(State::Up) });
    b.wait(30 * MS);
    let after = b.sent();
    assert!(!after.is_empty() && after.iter().all(|p| !p.poll));
    assert_eq!(b.counters().polls, 1);
}

#[test]
fn a_poll_is_answered_at_once_and_never_with_a_poll() {
    let mut b = Bench::new(settings());
    b.wait(Duration::ZERO);
    b.sent();
    b.hear(Packet { poll: true, ..says(State::Init) });
    let answer = b.sent();
    assert_eq!(answer.len(), 1, "the answer is the news as well");
    assert!(answer[0].is_final && !answer[0].poll && answer[0].state == State::Up);
    // In Down too, and again and again.
    let mut b = Bench::new(settings());
    b.hear(Packet { poll: true, ..says(State::Up) });
    b.hear(Packet { poll: true, ..says(State::Up) });
    let answers = b.sent();
    assert!(answers.len() == 2 && answers.iter().all(|p| p.is_final && p.state == State::Down));
}

#[test]
fn endless_polls_of_the_neighbour_do_not_keep_our_own_back() {
    let mut b = Bench::new(settings());
    b.hear(says(State::Init));
    b.sent();
    for _ in 0..100 {
        b.hear(Packet { poll: true, ..says(State::Up) });
        b.wait(MS);
    }
    let sent = b.sent();
    assert!(sent.iter().filter(|p| p.poll).count() >= 6, "one in 15 ms at least");
    assert!(sent.iter().all(|p| !(p.poll && p.is_final)));
}

#[test]
fn longer_transmit_and_shorter_receive_times_wait_for_the_answer() {
    let mut b = Bench::up(settings());
    let other = Settings { min_tx: 50 * MS, min_rx: 200 * MS, ..settings() };
    b.input(Input::Change(LOCAL, other));
    let told = b.sent();
    assert_eq!((told[0].desired_min_tx, told[0].required_min_rx, told[0].poll), (50_000, 200_000, true));
    assert_eq!(b.status().tx_interval, 15 * MS, "still the old one");
    assert_eq!(b.status().rx_interval, Some(200 * MS), "a longer one counts at once");
    b.hear(Packet { is_final: true, ..says(State::Up) });
    assert_eq!(b.status().tx_interval, 50 * MS);
    b.input(Input::Change(LOCAL, settings()));
    assert_eq!(b.status().tx_interval, 15 * MS, "a shorter one counts at once");
    assert_eq!(b.status().rx_interval, Some(200 * MS), "still the old one");
    b.hear(Packet { is_final: true, ..says(State::Up) });
    assert_eq!(b.status().rx_interval, Some(30 * MS));
    assert_eq!(b.counters().polls, 3);
}

#[test]
fn an_answer_to_the_times_before_does_not_confirm_the_new_ones() {
    let mut b = Bench::up(settings());
    b.input(Input::Change(LOCAL, Settings { min_tx: 50 * MS, ..settings() }));
    b.input(Input::Change(LOCAL, Settings { min_tx: 80 * MS, ..settings() }));
    b.hear(Packet { is_final: true, ..says(State::Up) });
    assert_eq!(b.status().tx_interval, 15 * MS);
    b.wait(20 * MS);
    assert!(b.sent().last().unwrap().poll, "the second sequence");
    b.hear(Packet { is_final: true, ..says(State::Up) });
    assert_eq!(b.status().tx_interval, 80 * MS);
    // An answer that nobody asked for changes nothing.
    b.hear(Packet { is_final: true, ..says(State::Up) });
    assert_eq!((b.status().tx_interval, b.counters().polls), (80 * MS, 3));
}

#[test]
fn passive_waits_until_it_is_spoken_to_and_is_silent_again_after_a_silence() {
    let mut b = Bench::new(Settings { passive: true, ..settings() });
    b.wait(5000 * MS);
    assert_eq!(b.sent(), []);
    b.hear(Packet { your_discriminator: None, ..says(State::Down) });
    assert_eq!(b.sent()[0].state, State::Init);
    b.hear(says(State::Up));
    assert_eq!(b.state(), State::Up);
    b.wait(90 * MS);
    b.sent();
    b.wait(5000 * MS);
    assert_eq!((b.sent(), b.state()), (vec![], State::Down));
}

#[test]
fn demand_mode_of_the_neighbour_ends_periodic_packets_but_not_answers_and_polls() {
    let mut b = Bench::up(settings());
    let demand = |p: Packet| Packet { demand: true, ..p };
    b.hear(demand(says(State::Up)));
    for _ in 0..20 {
        b.wait(50 * MS);
        b.hear(demand(says(State::Up)));
    }
    assert_eq!((b.sent(), b.state()), (vec![], State::Up));
    b.hear(demand(Packet { poll: true, ..says(State::Up) }));
    assert!(b.sent()[0].is_final);
    b.input(Input::Change(LOCAL, Settings { min_tx: 40 * MS, ..settings() }));
    b.wait(50 * MS);
    assert!(b.sent().len() >= 2, "its own poll sequence is periodic");
    b.hear(demand(Packet { is_final: true, ..says(State::Up) }));
    b.wait(80 * MS);
    assert_eq!(b.sent(), []);
}

#[test]
fn a_neighbour_that_takes_no_packets_gets_only_answers() {
    let mut b = Bench::up(settings());
    for _ in 0..20 {
        b.hear(Packet { required_min_rx: 0, ..says(State::Up) });
        b.wait(50 * MS);
    }
    assert_eq!(b.sent(), []);
    b.hear(Packet { required_min_rx: 0, poll: true, ..says(State::Up) });
    assert_eq!(b.sent().len(), 1);
    b.wait(90 * MS);
    assert_eq!(b.state(), State::Down);
    assert_eq!(b.sent().len(), 1, "what a neighbour said that is gone does not silence this side for ever");
}

#[test]
fn removal_says_admin_down_and_the_neighbours_admin_down_is_a_reason() {
    let mut b = Bench::up(settings());
    b.input(Input::Remove(LOCAL));
    let last = b.sent();
    assert_eq!((last.len(), last[0].state, last[0].diagnostic.code()), (1, State::AdminDown, 7));
    assert_eq!(b.engine.next_deadline(), None);
    let mut b = Bench::up(settings());
    b.hear(says(State::AdminDown));
    assert_eq!((b.state(), b.status().diagnostic), (State::Down, Diagnostic::NEIGHBOR_DOWN));
    assert_eq!(b.status().remote_state, Some(State::AdminDown));
    b.hear(says(State::AdminDown));
    assert_eq!(b.state(), State::Down);
}

#[test]
fn nothing_is_held_against_a_session_before_it_could_be_up() {
    let mut b = Bench::new(settings());
    b.wait(100 * MS - NANO);
    assert_eq!(b.health(), [] as [bool; 0], "5 times 20 ms are not over");
    b.wait(NANO);
    assert_eq!(b.health(), [false]);
    b.hear(says(State::Init));
    assert_eq!(b.health(), [true]);
    let mut b = Bench::up(settings());
    b.health();
    b.hear(says(State::Down));
    b.wait(1000 * MS);
    assert_eq!(b.health(), [false], "once");
}

#[test]
fn the_largest_numbers_do_no_harm() {
    let mut b = Bench::new(Settings { multiplier: 255, ..settings() });
    let large =
        |p: Packet| Packet { desired_min_tx: u32::MAX, required_min_rx: u32::MAX, detect_mult: 255, ..p };
    b.hear(large(says(State::Init)));
    b.hear(large(says(State::Up)));
    assert_eq!(b.status().detection_time, Some(255 * Duration::from_micros(u64::from(u32::MAX))));
    b.wait(Duration::from_secs(1_095_216));
    assert_eq!(b.state(), State::Up);
    b.wait(Duration::from_secs(1));
    assert_eq!(b.state(), State::Down);
}

/// When periodic packets go out in the given time.
fn times(b: &mut Bench, total: Duration) -> Vec<Duration> {
    let mut times = Vec::new();
    let end = b.now + total;
    while b.now < end {
        let next = b.engine.next_deadline().unwrap().since(at(Duration::ZERO));
        b.now = next;
        b.input(Input::Expire);
        if !b.sent().is_empty() {
            times.push(next);
        }
        b.hear(says(State::Up));
    }
    times
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn jitter_stays_within_its_bounds_and_uses_them(seed in any::<u64>(), single in any::<bool>()) {
        let multiplier = if single { 1 } else { 3 };
        let mut b = Bench::up(Settings { min_tx: 20 * MS, multiplier, ..settings() });
        b.engine.handle(at(b.now), Input::Add { local: LOCAL, settings: b.engine.session(LOCAL).unwrap().settings().clone(), link: Link::Any, seed }, &mut b.out);
        b.hear(says(State::Init));
        b.hear(Packet { is_final: true, ..says(State::Up) });
        let times = times(&mut b, 10_000 * MS);
        let gaps: Vec<Duration> = times.windows(2).map(|w| w[1] - w[0]).collect();
        let most = if single { 18 * MS } else { 20 * MS };
        prop_assert!(gaps.len() > 400);
        prop_assert!(gaps.iter().all(|g| (15 * MS..=most).contains(g)), "{:?}", gaps);
        let (low, high) = (*gaps.iter().min().unwrap(), *gaps.iter().max().unwrap());
        prop_assert!(low < 15 * MS + (most - 15 * MS) / 20 && high > most - (most - 15 * MS) / 20, "{low:?} {high:?}");
    }
}
