//! Plans by hand, on scenes by hand: what the field complains about, told with the same machinery.

use crate::plan::{Op, Sleep};
use crate::scene::{Scene, ms};
use crate::trace::Trace;
use crate::world::World;
use std::time::Duration;
use tandemd::vrrp::{Handover, Priority, RouterSettings, State};

/// Two nodes with 200 and 100, one router, an interval of a second, and time to settle.
fn pair() -> World {
    world(|_, s| s)
}

fn world(change: impl Fn(usize, RouterSettings) -> RouterSettings) -> World {
    let simple = |s: &Scene| s.nodes == 2 && s.routers() == 1 && s.settings[0][0].auth_pass.is_none();
    let mut scene = (0..1000).map(Scene::new).find(simple).expect("a seed with a plain pair");
    for (n, on) in scene.settings.iter_mut().enumerate() {
        let s = RouterSettings {
            priority: Priority::new(if n == 0 { 200 } else { 100 }).unwrap(),
            advert_int: ms(1000),
            preempt: true,
            preempt_delay: Duration::ZERO,
            down_timer_adverts: 3,
            handover: Handover::MakeBeforeBreak,
            stays: false,
            ..on[0].clone()
        };
        on[0] = change(n, s);
    }
    scene.startup = vec![Duration::ZERO; 2];
    let mut w = World::new(scene, Trace::recording());
    w.run(ms(8000));
    assert_eq!(w.masters(0), [0], "{}", w.trace.text);
    w
}

fn holders(w: &World) -> Vec<usize> {
    (0..w.nodes.len()).filter(|n| w.nodes[*n].holds[0]).collect()
}

fn end(mut w: World) {
    w.apply(&Op::Settle { sides: 0 });
    assert_eq!(w.failure, None, "{}", w.trace.text);
}

#[test]
fn crash_and_restart() {
    let mut w = pair();
    w.crash(0);
    w.run(ms(3700));
    assert_eq!((w.masters(0), holders(&w), w.caches[0][0].node), (vec![1], vec![1], Some(1)));
    w.restart(0);
    w.run(ms(3700));
    assert_eq!((w.masters(0), holders(&w), w.caches[0][0].node), (vec![0], vec![0], Some(0)));
    end(w);
}

#[test]
fn kill_leaves_the_addresses_until_the_restart() {
    let mut w = pair();
    w.kill(0);
    w.run(ms(3700));
    assert_eq!((w.masters(0), holders(&w)), (vec![1], vec![0, 1]));
    w.restart(0);
    assert_eq!(holders(&w), [1]);
    end(w);
}

#[test]
fn isolate_and_recover() {
    let mut w = pair();
    w.isolate(0);
    w.run(ms(4000));
    assert_eq!(w.masters(0), [0, 1], "a split brain, and nobody is to blame");
    w.recover();
    w.run(ms(1100));
    assert_eq!((w.masters(0), holders(&w), w.caches[1][0].node), (vec![0], vec![0], Some(0)));
    end(w);
}

#[test]
fn pause_and_resume_in_each_way() {
    for sleep in [Sleep::Process, Sleep::Machine, Sleep::Clock] {
        let mut w = pair();
        w.pause(0, sleep);
        w.run(ms(20_000));
        assert_eq!(w.seats[1][0].state, State::Master, "{sleep:?}");
        w.resume(0);
        w.run(ms(20));
        let kept = if sleep == Sleep::Clock { State::Master } else { State::Backup };
        assert_eq!(w.seats[0][0].state, kept, "{sleep:?}: it knows that it was away, or it cannot");
        w.run(ms(1100));
        assert!(w.masters(0).len() == 1, "{sleep:?}: {:?}", w.masters(0));
        end(w);
    }
}

#[test]
fn cut_one_way() {
    let mut w = pair();
    // The BACKUP does not hear, but is heard: it claims, is beaten, and claims again; the hosts stay right.
    w.apply(&Op::Cut { lan: 0, from: 0, to: 1 });
    w.run(ms(20_000));
    assert_eq!(w.seats[0][0].state, State::Master);
    w.recover();
    w.run(ms(1100));
    assert_eq!((w.masters(0), w.caches[0][0].node), (vec![0], Some(0)));
    end(w);
}

/// The invariants notice what they are for: addresses that stay on a BACKUP.
#[test]
fn a_forgotten_address_is_noticed() {
    let mut w = pair();
    w.nodes[1].holds[0] = true;
    w.run(ms(2000));
    assert!(w.failure.as_deref().is_some_and(|f| f.contains("keeps its addresses")), "{:?}", w.failure);
}
