//! The main loop's part in looking after resources.

use super::{STOP_TICK, Supervisor};
use crate::control::api::Outcome;
use crate::control::server::Peer;
use crate::daemon::backend::Request;
use crate::daemon::reboot;
use crate::daemon::record::operator;
use crate::daemon::resources::{Effect, Happened, Happening, Pre};
use crate::net::clock;
use crate::notify::Change;
use crate::resource::Command;
use crate::time::Instant;
use sd_notify::NotifyState;
use std::time::Duration;
use tokio::sync::mpsc;
use tracing::{error, info, warn};

/// What is still up that long after the last resource should have been down is left.
const LAST: Duration = Duration::from_secs(5);
/// How much more time the service manager is asked for at once.
const MORE_TIME: Duration = Duration::from_secs(20);

/// Sleeps until then; without a deadline for ever.
pub(super) async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(t) => tokio::time::sleep(t.since(clock::now())).await,
        None => std::future::pending().await,
    }
}

impl Supervisor {
    /// Something happened to a resource.
    pub(super) fn take_happening(&mut self, happening: Happened) {
        if let Happening::Said(instance, which) = &happening.what {
            // Unless another one has been started since.
            if self.before.get(instance).is_some_and(|(w, task)| w == which && task.is_finished()) {
                self.before.remove(instance);
            }
        }
        self.resources.take(happening);
        self.follow_resources();
    }

    pub(super) fn resource_timer(&mut self) {
        self.resources.timer();
        self.follow_resources();
    }

    /// Does what resources and pairs ask for, until neither asks for more.
    pub(super) fn follow_resources(&mut self) {
        self.resource_effects();
        while self.follow_pairs() {
            self.resource_effects();
        }
    }

    /// Does what the resources ask for, and tells the virtual routers of failures.
    fn resource_effects(&mut self) {
        for effect in self.resources.effects() {
            match effect {
                Effect::Tell(command) => self.tell_protocol(command),
                Effect::Run(instance, which) => self.run_before(instance, which),
                Effect::Cancel(instance) => {
                    if let Some((_, task)) = self.before.remove(&instance) {
                        task.abort();
                    }
                }
                Effect::Reboot(why) => reboot::now(&why),
            }
        }
        for report in self.resources.reports() {
            self.pass_on(report);
        }
    }

    fn run_before(&mut self, instance: String, which: Pre) {
        let target = match which {
            Pre::Master => crate::notify::Target::Master,
            Pre::Backup => crate::notify::Target::Backup,
        };
        let known = self.changes.get(&instance).cloned();
        let sender = self.resources.sender(&instance);
        let done = Happening::Said(instance.clone(), which);
        let Some(change) = known else {
            let _ = sender.send(done);
            return;
        };
        // On the way down the change that it comes before may not have been told yet.
        let target = if change.target == crate::notify::Target::Master { target } else { change.target };
        let script = self.notifier.before(Change { target, ..change });
        let task = tokio::spawn(async move {
            script.await;
            // The receiver ends with the daemon.
            let _ = sender.send(done);
        });
        if let Some((_, old)) = self.before.insert(instance, (which, task.abort_handle())) {
            old.abort();
        }
    }

    /// The service manager kills what stops for too long; resources may take their time.
    pub(super) fn ask_for_time(&mut self) {
        self.send_waiting();
        if self.resources.is_empty() {
            return;
        }
        if let Some(why) = self.resources.stuck() {
            // Nobody knows how long. But it lives, which the guardian has to hear: killed, it would release its peer.
            let status = format!("BLOCKED: {}", why.replace('\n', " "));
            return self.manager.tell(&[NotifyState::Status(&status)]);
        }
        let us = u32::try_from(MORE_TIME.as_micros()).unwrap_or(u32::MAX);
        self.manager.tell(&[NotifyState::ExtendTimeoutUsec(us)]);
    }

    /// At the very end what is up in both roles goes down as well.
    pub(super) async fn stop_resources(&mut self, inbox: &mut mpsc::Receiver<Request>) {
        if self.resources.is_empty() {
            return;
        }
        self.resources.stop_the_rest();
        let end = clock::now() + self.resources.longest_stop() + LAST;
        let mut tick = tokio::time::interval(STOP_TICK);
        while !self.resources.is_down() {
            self.follow_resources();
            if let Some(why) = self.resources.stuck() {
                error!("stopping, although a resource is not down: {why}");
                return;
            }
            let due = self.resources.deadline();
            tokio::select! {
                happening = self.resources.next() => self.take_happening(happening),
                () = until(due) => self.resource_timer(),
                Some(request) = inbox.recv() => self.answer(request).await,
                _ = tick.tick() => self.ask_for_time(),
                () = until(Some(end)) => {
                    warn!("stopping, although not all resources are down");
                    return;
                }
            }
        }
        info!("all resources are down");
    }

    /// An operator's command.
    pub(super) fn resource_command(&mut self, command: Command, who: &Peer) -> Outcome {
        if self.resources.is_empty() {
            return Outcome { ok: false, message: "no resources are configured".into() };
        }
        let operator = operator(who);
        let what = command.line();
        let name = command.name().to_owned();
        let outcome = match command {
            Command::Maintenance(on) => match self.resources.set_maintenance(on) {
                Ok(()) => {
                    Outcome { ok: true, message: format!("maintenance is {}", if on { "on" } else { "off" }) }
                }
                Err(message) => Outcome { ok: false, message },
            },
            Command::Start(_) | Command::Stop(_) | Command::Restart(_) | Command::Clear(_) => {
                let refused: Vec<String> = self
                    .resources
                    .command(command.clone(), operator.clone())
                    .into_iter()
                    .filter(|n| n.warning)
                    .map(|n| n.text)
                    .collect();
                let done = || format!("{} is being {}", command.name(), command.word());
                Outcome {
                    ok: refused.is_empty(),
                    message: if refused.is_empty() { done() } else { refused.join("\n") },
                }
            }
        };
        info!(who = %super::describe(who), "{}", outcome.message);
        self.recorder.command(&operator, Some(&name), &what, outcome.ok, &outcome.message);
        self.follow_resources();
        outcome
    }
}
