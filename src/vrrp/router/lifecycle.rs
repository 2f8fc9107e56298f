//! Start, FAULT and recovery, new settings, and the two ways out.

use super::*;
use crate::vrrp::output::Leave;
use crate::vrrp::types::{Handover, Version};

impl VirtualRouter {
    pub(super) fn may_start(&self) -> bool {
        matches!(self.link, Some(Ok(_))) && self.fault().is_none()
    }

    fn fault(&self) -> Option<String> {
        self.own_fault().or_else(|| self.group_fault.clone())
    }

    pub(super) fn set_link(&mut self, now: Instant, link: Result<IpAddr, String>, out: &mut Vec<Output>) {
        if let Ok(source) = link {
            self.source = Some(source);
        }
        self.link = Some(link);
        self.reevaluate(now, out);
    }

    /// Goes to FAULT, or leaves it or Init, as faults and the startup delay say.
    pub(super) fn reevaluate(&mut self, now: Instant, out: &mut Vec<Output>) {
        match (&self.mode, self.fault()) {
            (Mode::Leaving(_) | Mode::Stopped, _) => {}
            (Mode::Fault, Some(why)) => self.reason = Reason::Fault(why),
            (_, Some(why)) => self.fail(now, why, out),
            (Mode::Init, None) if self.link.is_none() => {}
            (Mode::Fault, None) if self.link.is_none() => {
                self.enter(now, Mode::Init, Reason::NotStarted, out);
            }
            (Mode::Init | Mode::Fault, None) if now < self.start_at => {
                if self.mode == Mode::Fault {
                    self.enter(now, Mode::Init, Reason::StartupDelay, out);
                }
                self.reason = Reason::StartupDelay;
            }
            (Mode::Init | Mode::Fault, None) => self.start(now, out),
            (Mode::Backup(_) | Mode::Master(_), None) => {}
        }
    }

    /// The RFC's Startup event.
    fn start(&mut self, now: Instant, out: &mut Vec<Output>) {
        self.learned = self.settings.advert_int;
        let at_once = self.at_once(now);
        self.resumes = false;
        if let (Some(why), true, false) = (&at_once, self.holds.is_empty(), self.gated) {
            return self.become_master(now, why.clone(), out);
        }
        self.awaits &= at_once.is_some();
        if self.held == Held::Claimed && self.linger.is_none() && !self.awaits {
            // Addresses of a daemon that died, which it may not take up at once.
            self.linger = Some(now + self.linger_time());
        }
        let wait = at_once.map_or_else(|| Wait::Until(now + self.down_interval()), Wait::Wanting);
        let delay = self.preempt_delay();
        let preempt_delay =
            if delay.is_zero() { PreemptDelay::Over } else { PreemptDelay::Until(now + delay) };
        let backup = Backup {
            wait,
            span: Span::Down,
            restarted: now,
            left: None,
            lower: None,
            preempt_delay,
            follows: false,
            rival: false,
            extended: false,
        };
        self.enter(now, Mode::Backup(backup), Reason::Listening, out);
    }

    /// Why it need not listen for another master first, if so.
    fn at_once(&self, now: Instant) -> Option<Reason> {
        if self.settings.priority.is_owner() {
            return Some(Reason::Owner);
        }
        // Later than that somebody else may have come up.
        (self.resumes && now.since(self.since) < self.down_interval()).then_some(Reason::Resumed)
    }

    /// The RFC's Shutdown event, with a way back.
    fn fail(&mut self, now: Instant, why: String, out: &mut Vec<Output>) {
        if matches!(self.mode, Mode::Master(_)) {
            match self.settings.handover {
                Handover::MakeBeforeBreak => {
                    self.send_zero(now, out);
                    self.release(out);
                }
                Handover::BreakBeforeMake => {
                    self.owed_zero = true;
                    self.keep_place();
                    self.release(out);
                }
            }
        } else {
            if self.resumes && self.settings.stays {
                // What hangs on the addresses of the daemon that died is still up.
                self.owed_zero = true;
                self.stay = Some(now);
            }
            // Also what a daemon that died has left to it.
            self.release(out);
        }
        self.enter(now, Mode::Fault, Reason::Fault(why), out);
    }

    /// Begins the way out for good.
    pub(super) fn leave(&mut self, now: Instant, leave: Leave, out: &mut Vec<Output>) {
        let reason = Reason::Leaving(leave);
        match &self.mode {
            Mode::Leaving(_) | Mode::Stopped => {}
            Mode::Master(_) if self.settings.handover == Handover::MakeBeforeBreak => {
                self.send_zero(now, out);
                let until = now + self.longest_skew() + LEAVE_MARGIN;
                self.enter(now, Mode::Leaving(Leaving::Waiting { until }), reason, out);
            }
            Mode::Master(_) => self.release_and_leave(now, true, Some(reason), out),
            Mode::Init | Mode::Fault | Mode::Backup(_) => {
                self.release_and_leave(now, false, Some(reason), out)
            }
        }
    }

    /// The longest time that a successor waits after priority 0: the skew of priority 1.
    pub(super) fn longest_skew(&self) -> Duration {
        let lowest = Priority::new(1).unwrap_or(Priority::DEFAULT);
        timers::skew_time(self.settings.version, lowest, self.settings.advert_int)
    }

    /// Takes the addresses off and leaves when they are gone.
    pub(super) fn release_and_leave(
        &mut self,
        now: Instant,
        zero: bool,
        reason: Option<Reason>,
        out: &mut Vec<Output>,
    ) {
        let zero = zero || self.owed_zero;
        if matches!(self.mode, Mode::Master(_)) {
            self.keep_place();
        }
        self.release(out);
        let next = if self.held != Held::Nothing {
            Mode::Leaving(Leaving::Releasing { zero, until: now + RELEASE_LIMIT })
        } else {
            if zero {
                self.send_zero(now, out);
            }
            Mode::Stopped
        };
        match reason {
            Some(reason) => self.enter(now, next, reason, out),
            None => self.mode = next,
        }
        if self.mode == Mode::Stopped {
            out.push(Output::Stopped);
        }
    }

    pub(super) fn addresses_released(&mut self, now: Instant, out: &mut Vec<Output>) {
        if let Some(rest) = self.stale_reports.checked_sub(1) {
            self.stale_reports = rest;
            if self.held == Held::Releasing {
                // Which release this reports cannot be told: ask again, which costs nothing if all are gone.
                out.push(Output::ReleaseAddresses);
            }
            return;
        }
        if self.held != Held::Releasing {
            return; // claimed since
        }
        self.held = Held::Nothing;
        self.stay = None;
        match self.mode {
            Mode::Leaving(Leaving::Releasing { zero, .. }) => {
                self.owed_zero = false;
                self.release_and_leave(now, zero, None, out);
            }
            _ if std::mem::take(&mut self.owed_zero) => self.send_zero(now, out),
            _ => {}
        }
    }

    /// It leaves, but what hangs on its addresses is still up: it goes on advertising as before.
    pub(super) fn keep_place(&mut self) {
        if let (true, Held::Claimed, Mode::Master(m)) = (self.settings.stays, self.held, &self.mode) {
            self.stay = Some(m.next_advert);
        }
    }

    /// An advertisement that keeps the peers waiting is due.
    pub(super) fn stay_on(&mut self, now: Instant, out: &mut Vec<Output>) {
        let Some(due) = self.stay.filter(|t| *t <= now) else { return };
        let limit = self.settings.advert_int.saturating_mul(u32::from(self.settings.down_timer_adverts));
        if now.since(due) > limit {
            // This machine stood still for longer than its peers wait: as a MASTER would, it does not claim any more.
            self.stay = None;
            return;
        }
        self.stay = Some(now + self.settings.advert_int);
        self.send(now, self.effective_priority().get(), out);
    }

    /// Late, but as at the beginning: everything that was announced before pointed at nothing.
    pub(super) fn addresses_placed(&mut self, now: Instant, out: &mut Vec<Output>) {
        if matches!(self.mode, Mode::Master(_)) && self.held == Held::Claimed {
            let copies = self.announcer.master(now, &self.settings.announce);
            self.announce(copies, out);
        }
    }

    pub(super) fn address_lost(&mut self, now: Instant, address: &str, out: &mut Vec<Output>) {
        if !matches!(self.mode, Mode::Master(_) | Mode::Leaving(Leaving::Waiting { .. })) {
            return;
        }
        self.counters.addresses_restored = self.counters.addresses_restored.saturating_add(1);
        if let Some(left_out) = self.notices.admit(now, NoticeKind::AddressLost) {
            let more = if left_out == 0 { String::new() } else { format!(" ({left_out} more before)") };
            self.notice(true, format!("something else removed {address}: put back{more}"), out);
        }
        self.claim(out);
        // On the way out it keeps silent: the caches belong to the successor.
        if matches!(self.mode, Mode::Master(_)) {
            self.announce(1, out);
        }
    }

    /// Takes new settings of the same virtual router without giving up the state.
    pub(super) fn reconfigure(&mut self, now: Instant, settings: RouterSettings, out: &mut Vec<Output>) {
        let before = self.effective_priority();
        let old = std::mem::replace(&mut self.settings, settings);
        if old.v3_checksum != self.settings.v3_checksum {
            self.form = first_form(self.settings.v3_checksum);
        }
        let own = self.settings.version == Version::V2 || !self.learned_from_master(now);
        let span = if let Mode::Backup(b) = &self.mode { b.span } else { Span::Down };
        let length_before = self.length(span, before, &old);
        if own {
            self.learned = self.settings.advert_int;
        }
        let length = self.length(span, self.effective_priority(), &self.settings);
        match &mut self.mode {
            Mode::Backup(Backup { wait: Wait::Until(t), .. }) => {
                *t = moved(now, *t, length, length_before);
            }
            Mode::Master(_) => self.reconfigure_master(now, &old, out),
            _ => {}
        }
        self.weigh_again(now);
        self.reevaluate(now, out);
    }

    /// Peers hear of changes at once; the schedule moves only with the interval. The shell may have got other
    /// prefixes or excluded addresses, which are not known here: they are claimed and announced in any case.
    fn reconfigure_master(&mut self, now: Instant, old: &RouterSettings, out: &mut Vec<Output>) {
        let interval = self.settings.advert_int;
        let next = (interval != old.advert_int).then(|| now + interval);
        if self.settings != *old {
            self.advertise(now, next, out);
        }
        self.claim(out);
        let copies = self.announcer.changed(now, &self.settings.announce);
        self.announce(copies, out);
    }

    /// Whether a master is heard whose interval it has learned.
    fn learned_from_master(&self, now: Instant) -> bool {
        matches!(self.mode, Mode::Backup(_))
            && self
                .seen
                .is_some_and(|s| s.interval == self.learned && now.since(s.at) <= self.down_interval())
    }

    /// Moves a running down timer by the change of skew, but not into the past (PRACTICE-4).
    pub(super) fn priority_moved(&mut self, now: Instant, before: Priority) {
        let (old, new) = (self.skew(before), self.skew(self.effective_priority()));
        if let Mode::Backup(Backup { wait: Wait::Until(t), .. }) = &mut self.mode {
            *t = moved(now, *t, new, old);
        }
        self.weigh_again(now);
    }
}

/// A deadline whose wait is `new` instead of `old`: not moved into the past, but left there if it is. One who
/// has slept over it must not forget that: it would take over at once instead of listening again.
fn moved(now: Instant, deadline: Instant, new: Duration, old: Duration) -> Instant {
    ((deadline + new) - old).max(deadline.min(now))
}
