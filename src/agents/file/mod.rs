//! Free space below a path.
//!
//! Free is what ordinary users may still fill (statvfs(3), `df`'s "Avail"), percent is of the size of the file system.
//! Below `warn_free` one event is sent, and another when a tenth more than that is free again. Below `min_free` the
//! resource has failed. A file system that does not answer (NFS whose server is gone) has failed as well; it is asked
//! once, and not again while that question hangs.

mod space;

use super::{Agent, Context, Noticed, Report, Services, Work};
use crate::config::FileResource;
use crate::net::clock;
use crate::resource::{Level, Name, Step, StepResult};
use crate::time::Instant;
use space::{Room, Warned};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Asks a file system how much room it has; may block.
type Probe = Arc<dyn Fn(&Path) -> io::Result<Room> + Send + Sync>;

/// The agent of free space.
pub struct FileAgent {
    name: Name,
    settings: FileResource,
    reports: mpsc::UnboundedSender<Report>,
    probe: Probe,
    /// The question that has not been answered yet; its thread cannot be ended.
    pending: tokio::sync::Mutex<Option<Pending>>,
    known: Mutex<Known>,
}

struct Pending {
    since: Instant,
    answer: JoinHandle<io::Result<Room>>,
}

/// What was found last.
#[derive(Clone, Copy, Default)]
struct Known {
    room: Option<Room>,
    warned: Warned,
    hangs: Option<Instant>,
}

impl std::fmt::Debug for FileAgent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileAgent").field("name", &self.name).field("settings", &self.settings).finish()
    }
}

impl FileAgent {
    /// For the resource `name`.
    pub fn new(name: Name, settings: FileResource, services: Services) -> Self {
        Self::with(Arc::new(Room::of), name, settings, services)
    }

    fn with(probe: Probe, name: Name, settings: FileResource, services: Services) -> Self {
        FileAgent {
            name,
            settings,
            reports: services.reports,
            probe,
            pending: tokio::sync::Mutex::default(),
            known: Mutex::default(),
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is enough room; `None` if it was cancelled.
    async fn look(&self, context: &Context) -> Option<Result<(), String>> {
        // In time to say what is wrong, before the step is cancelled.
        let patience = context.limit * 9 / 10;
        let asked = tokio::select! {
            asked = tokio::time::timeout(patience, self.ask()) => asked.ok(),
            () = context.cancel.cancelled() => None,
        };
        let Some(answer) = asked else {
            let since = self.pending.lock().await.as_ref().map(|p| p.since);
            self.known().hangs = since;
            if context.cancel.is_cancelled() {
                return None;
            }
            let hung = since.map_or(patience, |s| clock::now().since(s)).as_secs();
            let path = self.settings.path.display();
            return Some(Err(format!(
                "{path}: its file system has not answered for {hung} s; is its server away?"
            )));
        };
        let room = match answer {
            Ok(room) => room,
            Err(e) => return Some(Err(format!("cannot look at {}: {e}", self.settings.path.display()))),
        };
        let (warned, event) = space::warn(&self.settings, room, self.known().warned);
        *self.known() = Known { room: Some(room), warned, hangs: None };
        if let Some(text) = event {
            let warning = warned == Warned::Yes;
            // Nobody listens when the daemon ends.
            let _ = self
                .reports
                .send(Report { resource: self.name.clone(), what: Noticed::Event { warning, text } });
        }
        Some(space::enough(&self.settings, room))
    }

    /// Asks anew; an earlier question has to be answered first.
    async fn ask(&self) -> io::Result<Room> {
        let mut pending = self.pending.lock().await;
        if let Some(old) = pending.as_mut() {
            // What it says is about the past.
            let _ = (&mut old.answer).await;
        }
        let (probe, path): (Probe, PathBuf) = (self.probe.clone(), self.settings.path.clone());
        let answer = tokio::task::spawn_blocking(move || probe(&path));
        let asked = pending.insert(Pending { since: clock::now(), answer });
        let answer = (&mut asked.answer).await;
        *pending = None;
        answer.unwrap_or_else(|e| Err(io::Error::other(e)))
    }
}

impl Agent for FileAgent {
    fn run<'a>(&'a self, step: Step, context: &'a Context) -> Work<'a, StepResult> {
        Box::pin(async move {
            match step {
                Step::Stop => return StepResult::Done,
                Step::Promote | Step::Demote => {
                    return StepResult::Failed(format!("free space cannot {step}: it has no roles"));
                }
                Step::Monitor if context.level == Level::Stopped => return StepResult::Done,
                Step::Start | Step::Monitor => {}
            }
            match self.look(context).await {
                Some(Ok(())) => StepResult::Done,
                Some(Err(why)) => StepResult::Failed(why),
                None => StepResult::Cancelled,
            }
        })
    }

    /// There is nothing that runs: with enough room it is as good as started, else its start says what is wrong.
    fn find<'a>(&'a self, context: &'a Context) -> Work<'a, Result<Level, String>> {
        Box::pin(async move {
            let enough = matches!(self.look(context).await, Some(Ok(())));
            Ok(if enough { Level::Started } else { Level::Stopped })
        })
    }

    fn details(&self) -> Vec<(String, String)> {
        let known = *self.known();
        let mut all = vec![("path".to_owned(), self.settings.path.display().to_string())];
        if let Some(room) = known.room {
            all.push(("free".to_owned(), room.to_string()));
        }
        if let Some(since) = known.hangs {
            let secs = clock::now().since(since).as_secs();
            all.push(("hangs".to_owned(), format!("1 question, for {secs} s")));
        }
        all
    }
}

#[cfg(test)]
mod tests;
