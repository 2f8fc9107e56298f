//! Steps as jobs of systemd.

use super::Shared;
use super::bus::{JobRemovedStream, ManagerProxy};
use super::unit::Unit;
use crate::agents::Context;
use crate::process::Activity;
use crate::resource::StepResult;
use futures_lite::StreamExt;
use nix::sys::signal::Signal;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use zbus::Connection;
use zbus::zvariant::OwnedObjectPath;

/// How often systemd is asked while its signal is waited for, which may have been lost with the bus.
const ASK: Duration = Duration::from_secs(1);
/// Between two questions that were not answered.
const AGAIN: Duration = Duration::from_millis(300);
/// A start that is taken back has this long to stop by itself.
const TAKE_BACK: Duration = Duration::from_secs(3);

/// What is asked of systemd.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verb {
    Start,
    Stop,
}

/// While it lives, what happens to the unit is our doing.
struct Busy<'a>(&'a AtomicUsize);

impl<'a> Busy<'a> {
    fn new(steps: &'a AtomicUsize) -> Self {
        steps.fetch_add(1, Ordering::Relaxed);
        Busy(steps)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A process of the unit, in the list of those that the step waits for.
struct Shown<'a> {
    activity: &'a Activity,
    pid: u32,
}

impl Shown<'_> {
    fn show(&mut self, pid: u32, unit: &str) {
        if pid != self.pid {
            self.activity.ended(self.pid);
            if pid != 0 {
                self.activity.started(pid, format!("systemd unit {unit}"));
            }
            self.pid = pid;
        }
    }
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        self.activity.ended(self.pid);
    }
}

pub(super) async fn start(shared: &Shared, context: &Context) -> StepResult {
    let _busy = Busy::new(&shared.steps);
    let unit = match look(shared, context).await {
        Ok(unit) => unit,
        Err(_) if context.cancel.is_cancelled() => return StepResult::Cancelled,
        Err(why) => return StepResult::Failed(why),
    };
    if unit.is_up() && unit.job == 0 {
        return StepResult::Done;
    }
    if let Some(why) = unit.unusable(&shared.unit) {
        return StepResult::Failed(why);
    }
    let mut shown = Shown { activity: &context.activity, pid: 0 };
    let job = match begin(shared, Verb::Start).await {
        Ok(job) => job,
        Err(why) => return StepResult::Failed(why),
    };
    match wait(shared, job, &mut shown, &context.cancel).await {
        Some((unit, result)) => unit.started(&shared.unit, result.as_deref()),
        None => {
            take_back(shared, &mut shown).await;
            StepResult::Cancelled
        }
    }
}

pub(super) async fn stop(shared: &Shared, context: &Context) -> StepResult {
    let _busy = Busy::new(&shared.steps);
    let unit = match look(shared, context).await {
        Ok(unit) => unit,
        Err(_) if context.cancel.is_cancelled() => return StepResult::Cancelled,
        Err(why) => return StepResult::Failed(why),
    };
    if unit.is_down() && unit.job == 0 {
        return StepResult::Done;
    }
    let mut shown = Shown { activity: &context.activity, pid: 0 };
    shown.show(unit.pid, &shared.unit);
    let job = match begin(shared, Verb::Stop).await {
        Ok(job) => job,
        Err(why) => return StepResult::Failed(why),
    };
    match wait(shared, job, &mut shown, &context.cancel).await {
        Some((unit, result)) => unit.stopped(&shared.unit, result.as_deref()),
        None => {
            kill(shared, &mut shown).await;
            // By force, but down.
            StepResult::Done
        }
    }
}

pub(super) async fn monitor(shared: &Shared, context: &Context) -> StepResult {
    match look(shared, context).await {
        Ok(unit) => unit.monitored(context.level),
        Err(_) if context.cancel.is_cancelled() => StepResult::Cancelled,
        Err(why) => StepResult::Failed(why),
    }
}

/// What the unit is now. While systemd does not answer it is asked again, for three quarters of the time that there is:
/// that the bus is restarted says nothing about the unit.
pub(super) async fn look(shared: &Shared, context: &Context) -> Result<Unit, String> {
    let mut why = "systemd does not answer".to_owned();
    let patiently = async {
        loop {
            match shared.read().await {
                Ok(unit) => return unit,
                Err(e) => why = e,
            }
            tokio::time::sleep(AGAIN).await;
        }
    };
    let unit = tokio::select! {
        unit = tokio::time::timeout(context.limit * 3 / 4, patiently) => unit.ok(),
        () = context.cancel.cancelled() => None,
    };
    unit.inspect(|unit| {
        shared.note(unit);
    })
    .ok_or(why)
}

/// A job, and where its end is told.
struct Job {
    path: OwnedObjectPath,
    ends: Option<JobRemovedStream>,
}

/// Asks for a job. It replaces one that is queued for the unit.
async fn begin(shared: &Shared, verb: Verb) -> Result<Job, String> {
    let ask = |connection: Connection| async move {
        let manager = ManagerProxy::new(&connection).await?;
        // Before it is asked for: it may be over at once.
        let ends = manager.receive_job_removed().await?;
        // Refused if this connection has subscribed before.
        let _ = manager.subscribe().await;
        let path = match verb {
            Verb::Start => manager.start_unit(&shared.unit, "replace").await?,
            Verb::Stop => manager.stop_unit(&shared.unit, "replace").await?,
        };
        Ok(Job { path, ends: Some(ends) })
    };
    shared.bus.with(ask).await
}

/// Waits until the job is over: the unit then, and the job's result if it was heard. `None`: cancelled before.
async fn wait(
    shared: &Shared,
    mut job: Job,
    shown: &mut Shown<'_>,
    cancel: &CancellationToken,
) -> Option<(Unit, Option<String>)> {
    let mut result = None;
    let mut over = false;
    loop {
        let heard = async {
            match &mut job.ends {
                Some(ends) => ends.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            signal = heard => match signal {
                Some(signal) => match signal.args() {
                    Ok(args) if args.job() == &job.path => result = Some(args.result().clone()),
                    _ => continue,
                },
                // The bus is gone; systemd is asked from now on.
                None => {
                    job.ends = None;
                    continue;
                }
            },
            () = cancel.cancelled() => return None,
            () = tokio::time::sleep(ASK) => {}
        }
        let read = tokio::select! {
            read = shared.read() => read,
            () = cancel.cancelled() => return None,
        };
        let Ok(unit) = read else { continue };
        shared.note(&unit);
        shown.show(unit.pid, &shared.unit);
        // The signal may be on its way: it is believed over only when it was so before.
        if result.is_some() || (unit.job == 0 && (over || job.ends.is_none())) {
            return Some((unit, result));
        }
        over = unit.job == 0;
    }
}

/// Undoes a start that came too late: a stop job replaces it.
async fn take_back(shared: &Shared, shown: &mut Shown<'_>) {
    let limit = CancellationToken::new();
    if let Ok(job) = begin(shared, Verb::Stop).await {
        let stopped = wait(shared, job, shown, &limit);
        if tokio::time::timeout(TAKE_BACK, stopped).await.is_ok_and(|s| s.is_some_and(|(u, _)| u.is_down())) {
            return;
        }
    }
    kill(shared, shown).await;
}

/// SIGKILL to every process of the unit, until it is down.
async fn kill(shared: &Shared, shown: &mut Shown<'_>) {
    loop {
        let ask = |connection: Connection| async move {
            ManagerProxy::new(&connection).await?.kill_unit(&shared.unit, "all", Signal::SIGKILL as i32).await
        };
        // Nothing to kill is an error as well; whether it is down is what counts.
        if let Err(e) = shared.bus.with(ask).await {
            tracing::debug!("{}: cannot kill {}: {e}", shared.name, shared.unit);
        }
        if let Ok(unit) = shared.read().await {
            shared.note(&unit);
            shown.show(unit.pid, &shared.unit);
            shown.activity.signalled(unit.pid, Signal::SIGKILL.as_str());
            if unit.is_down() {
                return;
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}
