//! One machine: its disk, its service, its daemon.

use crate::data::Copy;
use crate::stack::Stack;
use std::collections::VecDeque;
use std::time::Duration;
use tandemd::pair::*;
use tandemd::time::Instant;

/// The service as it is, whatever the daemon believes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Real {
    Down,
    GoingUp,
    Up,
    GoingDown,
    /// The way down has failed.
    Stuck,
}

#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) settings: Settings,
    pub(crate) powered: bool,
    pub(crate) controller: Option<Controller>,
    /// Counts starts and ends of the daemon: what was meant for another one is lost.
    pub(crate) epoch: u64,
    pub(crate) life: u64,
    /// Inputs wait while the daemon is stopped by a signal.
    pub(crate) paused: bool,
    pub(crate) waiting: VecDeque<Input>,
    pub(crate) disk: Saved,
    pub(crate) disk_fails: bool,
    pub(crate) disk_delay: Duration,
    pub(crate) service: Real,
    /// Counts what the service was told: an older end of a way is void.
    pub(crate) way: u64,
    /// The newest order of the daemon.
    pub(crate) order: u64,
    pub(crate) start_fails: bool,
    pub(crate) stop_fails: bool,
    pub(crate) up_takes: Duration,
    pub(crate) down_takes: Duration,
    pub(crate) copy: Copy,
    /// Its clock gains so many millionths.
    pub(crate) gains: i64,
    /// What the watchdog knows, by its clock.
    pub(crate) must_be_down: Option<Instant>,
    pub(crate) starts_again_after: Option<Duration>,
    pub(crate) witness_reached: bool,
    pub(crate) fence_fails: bool,
    pub(crate) trouble: Option<String>,
    pub(crate) maintenance: bool,
    pub(crate) may_stop: bool,
    /// The daemon knows that maintenance is on.
    pub(crate) rests: bool,
    /// It knew when it said that it may stop, so what is up stays.
    pub(crate) leaves_up: bool,
    pub(crate) advertised: bool,
    /// What the service is made of; none: the world plays it.
    pub(crate) stack: Option<Stack>,
    /// A daemon that has not been told anything yet.
    pub(crate) newborn: bool,
    /// It found something up when it started.
    pub(crate) found_up: bool,
    /// Its daemon died with a history of its own that it could not write down.
    pub(crate) forgot: bool,
}

impl Node {
    pub(crate) fn new(settings: Settings) -> Self {
        Node {
            settings,
            powered: true,
            controller: None,
            epoch: 0,
            life: 0,
            paused: false,
            waiting: VecDeque::new(),
            disk: Saved::default(),
            disk_fails: false,
            disk_delay: Duration::from_millis(20),
            service: Real::Down,
            way: 0,
            order: 0,
            start_fails: false,
            stop_fails: false,
            up_takes: Duration::from_millis(800),
            down_takes: Duration::from_millis(500),
            copy: Copy::default(),
            gains: 0,
            must_be_down: None,
            starts_again_after: Some(Duration::from_millis(1500)),
            witness_reached: true,
            fence_fails: false,
            trouble: None,
            maintenance: false,
            may_stop: false,
            rests: false,
            leaves_up: false,
            advertised: false,
            stack: None,
            newborn: false,
            found_up: false,
            forgot: false,
        }
    }

    /// What its clock says; both began at an hour.
    pub(crate) fn clock(&self, now: Instant) -> Instant {
        let true_ns = i128::from(now.as_nanos());
        let ns = true_ns + true_ns * i128::from(self.gains) / 1_000_000;
        Instant::from_nanos(u64::try_from(ns).unwrap()) + Duration::from_secs(3600)
    }

    /// The first moment at which its clock shows `at` or later.
    pub(crate) fn when(&self, at: Instant) -> Instant {
        let ns = i128::from((at - Duration::from_secs(3600)).as_nanos());
        let mut guess = u64::try_from(ns * 1_000_000 / (1_000_000 + i128::from(self.gains))).unwrap();
        while self.clock(Instant::from_nanos(guess)) < at {
            guess += 1;
        }
        Instant::from_nanos(guess)
    }

    /// What was not written down is gone.
    pub(crate) fn forgets(&mut self) {
        let untold = self.controller.as_ref().is_some_and(|c| c.saved().served > self.disk.served);
        self.forgot |= untold && self.disk_fails;
    }

    pub(crate) fn runs(&self) -> bool {
        self.controller.is_some() && !self.paused
    }

    pub(crate) fn controller(&self) -> &Controller {
        self.controller.as_ref().expect("the daemon runs")
    }
}
