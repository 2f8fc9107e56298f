//! The last resort behind the right to serve: what is not down when it is over is ended with the machine.

use super::rights::{Right, Rights, Verdict};
use crate::net::clock;
use crate::net::ffi::{self, Fork};
use crate::net::machine::{self, HardwareWatchdog};
use crate::net::poller::Poller;
use crate::time::Instant;
use nix::errno::Errno;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tracing::{error, info, warn};

/// A log that hangs as the storage does must not keep the machine up.
const LAST_WORD: Duration = Duration::from_millis(50);
const SECOND: Duration = Duration::from_secs(1);
/// A device bites within this part of T_self: the way down, during which it is not fed in the end, has as much.
const PART: u32 = 3;

/// What ends the machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Plan {
    /// Nothing.
    Off,
    /// The guardian reboots it.
    Reboot,
    /// It does, and a hardware watchdog, should the guardian not run any more.
    Device {
        /// Such as /dev/watchdog0.
        path: PathBuf,
        /// T_self.
        own: Duration,
    },
}

/// The guardian's means, made ready before the first daemon starts.
#[derive(Debug)]
pub struct LastResort {
    plan: Plan,
    rights: Rights,
    device: Option<Device>,
    able: bool,
}

#[derive(Debug)]
struct Device {
    watchdog: HardwareWatchdog,
    timeout: Duration,
    fed: Instant,
    /// It could not be fed, which is in the log.
    failing: bool,
}

impl LastResort {
    /// Opens what is needed.
    ///
    /// # Errors
    /// The device is not there, is somebody else's, is none, or bites too late: in words, with what helps.
    pub fn arm(plan: Plan) -> Result<Self, String> {
        let device = match &plan {
            Plan::Off | Plan::Reboot => None,
            Plan::Device { path, own } => Some(Device::open(path, *own)?),
        };
        let able = machine::may_reset();
        if plan != Plan::Off && !able {
            warn!(
                "this machine cannot be rebooted from here when the right to serve is over: /proc/sysrq-trigger cannot be \
                 written and CAP_SYS_BOOT is missing"
            );
        }
        Ok(LastResort { plan, rights: Rights::default(), device, able })
    }

    pub(super) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The machine may be ended from here, as far as that can be told.
    pub(super) fn is_able(&self) -> bool {
        self.able
    }

    pub(super) fn take(&mut self, pair: String, right: Option<Right>) {
        self.rights.take(pair, right);
        self.feed();
    }

    /// What the next daemon is told.
    pub(super) fn rights(&self) -> BTreeMap<String, Right> {
        self.rights.all()
    }

    /// What is to be ended now, in words.
    pub(super) fn over(&self, now: Instant) -> Option<String> {
        if self.plan == Plan::Off {
            return None;
        }
        match self.rights.judge(now) {
            Verdict::Fine(_) => None,
            Verdict::Over(pair, late) => Some(format!(
                "the right to serve of pair {pair} was over {} ms ago, and it is not known to be down",
                late.as_millis()
            )),
        }
    }

    /// Feeds the device. When to come again.
    pub(super) fn turn(&mut self) -> Option<Instant> {
        if self.plan == Plan::Off {
            return None;
        }
        let next = match self.rights.judge(clock::now()) {
            Verdict::Fine(next) => next,
            Verdict::Over(..) => Some(clock::now()),
        };
        next.into_iter().chain(self.feed()).min()
    }

    fn feed(&mut self) -> Option<Instant> {
        let device = self.device.as_mut()?;
        let now = clock::now();
        let due = self.rights.next_meal(device.fed, device.timeout);
        // After a while without a meal it is due at once.
        let due = due.or(self.rights.may_feed(now, device.timeout).then_some(now))?;
        if due > now {
            return Some(due);
        }
        if !self.rights.may_feed(now, device.timeout) {
            return None;
        }
        let done = device.watchdog.feed();
        device.fed = now;
        match done {
            Err(ref e) if !device.failing => error!("guardian: the watchdog cannot be fed: {e}"),
            _ => {}
        }
        device.failing = done.is_err();
        self.rights.next_meal(now, device.timeout)
    }

    /// Ends the machine. Returns if that was refused; what is over by now is not tried again.
    pub(super) fn end(&mut self, why: &str) {
        say(|| error!("guardian: {why}: rebooting this machine"));
        let refused = machine::reset();
        self.rights.refused(clock::now());
        error!(
            "guardian: this machine cannot be rebooted: {refused}; what is up here has to be taken down by hand"
        );
    }

    /// How long something is left that the guardian has to answer for; none: it may end.
    pub(super) fn owes(&self) -> Option<Instant> {
        match self.rights.judge(clock::now()) {
            Verdict::Fine(until) => until.filter(|_| self.plan != Plan::Off),
            Verdict::Over(..) => (self.plan != Plan::Off).then(clock::now),
        }
    }

    /// Nobody starts anything any more. If something is still up, the device bites.
    pub(super) fn disarm(&mut self) {
        let Some(device) = self.device.take_if(|_| self.rights.is_quiet()) else { return };
        match device.watchdog.disarm() {
            Ok(()) => info!("guardian: the hardware watchdog is stopped"),
            Err(e) => warn!("guardian: the hardware watchdog goes on: {e}"),
        }
    }
}

impl Device {
    fn open(path: &Path, own: Duration) -> Result<Self, String> {
        let place = path.display();
        let mut watchdog = HardwareWatchdog::open(path).map_err(|e| {
            let help = match e.raw_os_error().map(Errno::from_raw) {
                Some(Errno::EBUSY) => {
                    ": another program feeds it (RuntimeWatchdogSec= of systemd-system.conf(5), watchdogd, sbd)"
                }
                Some(Errno::ENOENT) => ": load its driver first, such as iTCO_wdt, or softdog",
                _ => "",
            };
            format!("[witness]: watchdog {place}: {e}{help}")
        })?;
        match set(own, |seconds| watchdog.set_timeout(seconds)) {
            Ok(timeout) => {
                let fed = clock::now();
                watchdog.feed().map_err(|e| format!("[witness]: watchdog {place}: {e}"))?;
                info!("guardian: {place} resets this machine {} s after its last meal", timeout.as_secs());
                Ok(Device { watchdog, timeout, fed, failing: false })
            }
            Err(why) => {
                let left =
                    watchdog.disarm().err().map(|e| format!(" (and it goes on: {e})")).unwrap_or_default();
                Err(format!("[witness]: watchdog {place}: {why}{left}"))
            }
        }
    }
}

/// Finds a timeout that the device takes, from a quarter of T_self to a third.
fn set(own: Duration, mut device: impl FnMut(u32) -> Result<Duration, Errno>) -> Result<Duration, String> {
    let longest = own / PART;
    let seconds = |d: Duration| u32::try_from(d.as_secs()).unwrap_or(u32::MAX).max(1);
    let mut said = String::new();
    for asked in [seconds(own / (PART + 1)), seconds(longest)] {
        match device(asked) {
            Ok(timeout) if timeout >= SECOND && timeout <= longest => return Ok(timeout),
            Ok(timeout) => said = format!("it makes {} s of {asked} s", timeout.as_secs()),
            Err(e) => said = format!("{asked} s: {e}"),
        }
    }
    Err(format!(
        "it has to bite within a third of T_self, {:.1} s, and does not: {said}; raise `lease`, or use another device",
        longest.as_secs_f64()
    ))
}

/// Says something from another process, and waits a moment for it.
fn say(words: impl FnOnce()) {
    match ffi::fork() {
        Ok(Fork::Child) => {
            words();
            std::process::exit(0);
        }
        Ok(Fork::Parent(pid)) => {
            let end = clock::now() + LAST_WORD;
            let said = || !matches!(waitpid(pid, Some(WaitPidFlag::WNOHANG)), Ok(WaitStatus::StillAlive));
            while clock::now() < end && !said() {
                pause(clock::now() + LAST_WORD / 50);
            }
        }
        Err(_) => words(),
    }
}

fn pause(until: Instant) {
    if let Ok(mut poller) = Poller::new() {
        let _ = poller.arm(Some(until));
        let _ = poller.wait().map(Iterator::count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn a_device_is_taken_only_if_it_bites_in_time() {
        let at_least = |least: u32| move |asked: u32| Ok(S(u64::from(asked.max(least))));
        assert_eq!(set(S(8), at_least(1)), Ok(S(2)));
        assert_eq!(set(S(24), at_least(7)), Ok(S(7)));
        assert_eq!(set(S(24), at_least(8)), Ok(S(8)));
        let refused = set(S(24), at_least(10)).unwrap_err();
        assert!(
            refused.contains("8.0 s") && refused.contains("10 s") && refused.contains("lease"),
            "{refused}"
        );
        // Below a second there is nothing.
        assert!(set(S(2), at_least(1)).is_err());
        assert_eq!(set(S(3), at_least(1)), Ok(S(1)));
        // One that refuses what it cannot do, instead of rounding.
        let strict = |asked: u32| if asked < 8 { Err(Errno::EINVAL) } else { Ok(S(u64::from(asked))) };
        assert_eq!(set(S(24), strict), Ok(S(8)));
        assert!(set(S(20), strict).unwrap_err().contains("EINVAL"));
    }

    #[test]
    fn what_is_no_watchdog_is_refused_with_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("watchdog9");
        let arm = || LastResort::arm(Plan::Device { path: file.clone(), own: S(8) }).unwrap_err();
        let missing = arm();
        assert!(missing.contains("watchdog9") && missing.contains("load its driver"), "{missing}");
        std::fs::write(&file, "").unwrap();
        let plain = arm();
        assert!(plain.contains("ENOTTY"), "{plain}");
        // It was let go as one lets go of a watchdog.
        assert_eq!(std::fs::read(&file).unwrap(), b"V");
    }

    #[test]
    fn without_a_watchdog_the_rights_are_kept_and_nothing_is_ended() {
        let mut last = LastResort::arm(Plan::Off).unwrap();
        let right = Right { until: Instant::ZERO, spared: false };
        last.take("esc".into(), Some(right));
        assert_eq!((last.over(clock::now()), last.turn(), last.owes()), (None, None, None));
        assert_eq!(last.rights().get("esc"), Some(&right));
        // With one it would be: nothing here carries it out.
        let mut last = LastResort::arm(Plan::Reboot).unwrap();
        last.take("esc".into(), Some(right));
        assert!(last.over(clock::now()).is_some_and(|why| why.contains("pair esc")));
        assert!(last.turn().is_some() && last.owes().is_some());
        last.take("esc".into(), None);
        assert_eq!((last.over(clock::now()), last.turn(), last.owes()), (None, None, None));
    }
}
