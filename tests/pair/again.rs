//! What the daemons were told in random runs, told again: to another copy, as JSON, and with more timers than needed.

use crate::random::Plan;
use crate::verbs::*;
use crate::world::{Entry, World, ms, secs};
use tandemd::pair::*;
use tandemd::time::Instant;

/// So many runs, unless PAIR_SEEDS says otherwise.
const RUNS: u64 = 60;

/// The turns of each daemon by themselves.
fn lives(tape: Vec<Entry>) -> Vec<Vec<Entry>> {
    let mut lives: Vec<Vec<Entry>> = Vec::new();
    let mut current = [0; 2];
    for entry in tape {
        let n = entry.node;
        if entry.born.is_some() {
            lives.push(Vec::new());
            current[n] = lives.len() - 1;
        }
        lives[current[n]].push(entry);
    }
    lives
}

fn each_life(mut check: impl FnMut(u64, &Controller, &[Entry])) {
    let runs = std::env::var("PAIR_SEEDS").ok().and_then(|v| v.parse().ok()).unwrap_or(RUNS);
    for seed in 0..runs {
        let tape = Plan::new(seed).begin(true).tape.unwrap();
        for life in lives(tape) {
            check(seed, life[0].born.as_ref().unwrap(), &life);
        }
    }
}

#[test]
fn a_saved_run_replays_to_the_same_outputs() {
    let mut turns = 0;
    each_life(|seed, born, life| {
        let mut controller = born.clone();
        for e in life {
            let json = serde_json::to_string(&e.input).unwrap();
            let input: Input = serde_json::from_str(&json).unwrap();
            assert_eq!(input, e.input);
            let out = controller.handle(e.at, input);
            assert_eq!(out, e.out, "seed {seed}, at {:?}", e.at);
            let said = serde_json::to_string(&out).unwrap();
            assert_eq!(serde_json::from_str::<Vec<Output>>(&said).unwrap(), out);
            turns += 1;
        }
    });
    assert!(turns > 1000);
}

/// Outputs at each moment, timers at deadlines and, if so, every 10 ms.
fn play(born: &Controller, life: &[Entry], often: bool) -> Vec<(Instant, Output)> {
    let mut controller = born.clone();
    let mut all = Vec::new();
    let mut turn = |controller: &mut Controller, at, input| {
        all.extend(controller.handle(at, input).into_iter().map(|o| (at, o)));
    };
    let mut now = life[0].at;
    for e in life.iter().filter(|e| e.input != Input::Timer) {
        // A frozen daemon is not called either.
        let frozen = life.iter().all(|t| t.at <= now || t.at >= e.at) && e.at.since(now) > secs(1);
        loop {
            let due = controller.next_deadline(now);
            let next = if often { due.min(now + ms(10)) } else { due };
            if frozen || next >= e.at {
                break;
            }
            now = next;
            turn(&mut controller, now, Input::Timer);
        }
        now = e.at;
        turn(&mut controller, now, e.input.clone());
    }
    all
}

/// Everything by itself, at times that no heartbeat has.
fn by_itself() -> Vec<Entry> {
    let mut w = World::new(1, |s| {
        s.failback = Mode::Automatic;
        s.failback_stable = ms(20_345);
        s.on_isolation = OnIsolation::Stop;
        s.long_failover_wait = ms(9_777);
        s.serve_alone_after = Some(ms(30_123));
    });
    w.tape = Some(Vec::new());
    w.start_both();
    w.run(secs(20));
    w.order_of(S, What::Failover { force: false });
    w.run(secs(60));
    assert!(w.is_normal(), "it fails back by itself");
    w.cut();
    w.run(secs(60));
    w.mend();
    w.run(secs(60));
    w.power_cut(P, None);
    w.power_cut(S, None);
    w.power_on(P);
    w.run(secs(60));
    w.tape.take().unwrap()
}

#[test]
fn no_rule_that_time_alone_fires_is_missed() {
    let check = |seed: u64, born: &Controller, life: &[Entry]| {
        let (few, many) = (play(born, life, false), play(born, life, true));
        let differs = few.iter().zip(&many).find(|(f, m)| f != m);
        assert!(differs.is_none(), "seed {seed}: {differs:?}");
        assert_eq!(few.len(), many.len(), "seed {seed}");
    };
    for life in lives(by_itself()) {
        check(u64::MAX, life[0].born.as_ref().unwrap(), &life);
    }
    each_life(check);
}

#[test]
fn a_copy_says_what_would_happen() {
    let mut w = World::healthy(1, |_| ());
    let before = w.status(S);
    let now = w.nodes[S].clock(w.now);
    let mut copy = w.nodes[S].controller().clone();
    let order = Order { id: Id("what-if".into()), who: "ann".into(), what: What::Failover { force: false } };
    let out = copy.handle(now, Input::Order(order.clone()));
    assert!(out.iter().any(|o| matches!(o, Output::Send(b) if b.wish.is_some())));
    assert_eq!(w.status(S), before);
    w.trouble(S, Some("db does not start"));
    let out = w.nodes[S].controller().clone().handle(now, Input::Order(order));
    assert!(out.iter().any(|o| matches!(o, Output::Reply(_, Err(why)) if why.contains("db does not start"))));
}

#[test]
fn settings_change_while_it_runs() {
    let mut w = World::healthy(1, |_| ());
    for n in [P, S] {
        let mut settings = w.nodes[n].settings.clone();
        settings.witness = Some(crate::world::terms());
        settings.links.insert(0, "direct".into());
        settings.role = settings.role.other();
        settings.failover = Mode::Manual;
        w.nodes[n].settings = settings.clone();
        if n == P {
            w.links.insert(0, w.links[0].clone());
        }
        w.input(n, Input::Configure(Box::new(settings)));
        assert!(w.serves(P), "a witness that is new takes nothing away");
    }
    w.run(secs(60));
    assert!(w.is_normal() && w.promoted == [1, 0]);
    assert_eq!(w.status(P).links, [Direction::Both, Direction::Both]);
    assert!(w.blockers(S).contains(&Blocker::Manual));
    assert!(w.status(P).right.is_some());
}
