//! What the agent of one resource knows, and the one place where it learns something.

use super::findings::{Finding, Known, findings, health, role_change};
use super::marks::{Mark, Marks};
use super::picture::Picture;
use super::refusal::Refusal;
use super::tools::{Leash, Tools, Trouble};
use super::version::Version;
use super::words::Disk;
use crate::agents::{Noticed, Report, Services};
use crate::config::DrbdResource;
use crate::resource::Name;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Programs that only read end within this.
const READ: Duration = Duration::from_secs(10);

/// Shared by the steps, the follower and what people ask for. Its lock is never held across an await: while
/// `drbdadm primary` runs, the kernel waits for the handler, and the handler for this.
pub(super) struct Inner {
    pub(super) name: Name,
    pub(super) settings: DrbdResource,
    pub(super) tools: Tools,
    services: Services,
    marks: Marks,
    memory: Mutex<Memory>,
    /// The follower has seen a change.
    pub(super) changed: Notify,
    /// One recovery at a time.
    pub(super) recovery: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Memory {
    picture: Option<Picture>,
    found: Vec<Finding>,
    known: Known,
    met: bool,
    version: Option<Version>,
    /// There are marks that end when both sides are connected.
    marked: bool,
    /// So many steps are on the way, in which what passes is nothing to report.
    quiet: u32,
}

impl Memory {
    /// The warnings that stand. A start takes its time to connect, so that is none before it ever was.
    fn standing(&self, name: &str) -> Vec<String> {
        let counts = |f: &&Finding| f.is_warning() && (**f != Finding::NotConnected || self.met);
        self.found.iter().filter(counts).map(|f| f.words(name)).collect()
    }
}

/// While it lives, passing states are not reported.
pub(super) struct Quiet<'a>(&'a Inner);

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        self.0.with(|m| m.quiet = m.quiet.saturating_sub(1));
    }
}

impl Inner {
    pub(super) fn new(name: Name, settings: DrbdResource, services: Services, tools: Tools) -> Self {
        let marks = Marks::new(&services.run_dir, name.as_str());
        let known = Known { helper: marks.get(Mark::SplitBrain).is_some(), asked: false };
        let met = marks.get(Mark::Met).is_some();
        let marked = known.helper || marks.get(Mark::Copy).is_some();
        let memory = Mutex::new(Memory { known, met, marked, ..Memory::default() });
        let (changed, recovery) = (Notify::new(), tokio::sync::Mutex::new(()));
        Inner { name, settings, tools, services, marks, memory, changed, recovery }
    }

    fn with<T>(&self, f: impl FnOnce(&mut Memory) -> T) -> T {
        f(&mut self.memory.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The resource's name in DRBD.
    pub(super) fn drbd(&self) -> &str {
        &self.settings.drbd_resource
    }

    pub(super) fn quiet(&self) -> Quiet<'_> {
        self.with(|m| m.quiet += 1);
        Quiet(self)
    }

    pub(super) fn picture(&self) -> Option<Picture> {
        self.with(|m| m.picture.clone())
    }

    pub(super) fn known(&self) -> Known {
        self.with(|m| m.known)
    }

    /// The peer has been connected since the boot.
    pub(super) fn met(&self) -> bool {
        self.with(|m| m.met)
    }

    /// tandemd is about to disconnect it, or not any more.
    pub(super) fn asked(&self, asked: bool) {
        self.with(|m| m.known.asked = asked);
    }

    /// DRBD has called its `split-brain` helper.
    pub(super) fn helper_called(&self) {
        self.with(|m| m.known.helper = true);
        self.mark(Mark::SplitBrain, "");
    }

    pub(super) fn mark(&self, mark: Mark, text: &str) {
        if mark != Mark::Met {
            self.with(|m| m.marked = true);
        }
        if let Err(e) = self.marks.set(mark, text) {
            self.event(
                true,
                format!("cannot write below {}: {e}", self.services.run_dir.join("drbd").display()),
            );
        }
    }

    pub(super) fn marked(&self, mark: Mark) -> Option<String> {
        self.marks.get(mark)
    }

    pub(super) fn event(&self, warning: bool, text: impl Into<String>) {
        self.report(Noticed::Event { warning, text: text.into() });
        if !warning {
            self.with(|m| m.standing(self.name.as_str()))
                .into_iter()
                .for_each(|text| self.report(Noticed::Event { warning: true, text }));
        }
    }

    fn report(&self, what: Noticed) {
        // Nobody listens any more when the daemon stops.
        let _ = self.services.reports.send(Report { resource: self.name.clone(), what });
    }

    /// Both sides are connected, if only for a moment: what was known of their parting is over.
    pub(super) fn linked(&self, picture: &Picture) {
        if !picture.configured || !picture.is_linked() {
            return;
        }
        let (marked, met) = self.with(|m| {
            m.known = Known::default();
            (std::mem::take(&mut m.marked), std::mem::replace(&mut m.met, true))
        });
        if !met {
            self.mark(Mark::Met, "");
        }
        if marked {
            self.marks.clear(Mark::SplitBrain);
            self.marks.clear(Mark::Copy);
        }
    }

    /// Takes in a new picture, and reports what has changed with it.
    pub(super) fn learn(&self, picture: Picture) {
        self.linked(&picture);
        let (events, look, changed) = self.with(|m| {
            let old = m.picture.replace(picture).unwrap_or_default();
            let new = m.picture.as_ref().unwrap_or(&old);
            let mut notes: Vec<String> = role_change(&old, new).into_iter().collect();
            let moved = old.role != new.role || copies(&old) != copies(new);
            let look = m.quiet == 0 && (moved || health(&old).is_ok() != health(new).is_ok());
            let changed = old != *new;
            let before = m.standing(self.name.as_str());
            if m.quiet == 0 || !new.configured {
                let found = findings(new, m.known);
                let words =
                    |f: &Finding| if f.is_warning() { None } else { Some(f.words(self.name.as_str())) };
                notes.extend(found.iter().filter(|f| !m.found.contains(f)).filter_map(words));
                let gone = m.found.iter().filter(|f| !found.contains(f) && new.configured);
                notes.extend(gone.map(Finding::over));
                m.found = found;
            }
            // A note ends all warnings of the resource, so those that stand are said again with it.
            let mut warnings = m.standing(self.name.as_str());
            warnings.retain(|w| !notes.is_empty() || !before.contains(w));
            let notes = notes.into_iter().map(|text| (false, text));
            let warnings = warnings.into_iter().map(|text| (true, text));
            (notes.chain(warnings).collect::<Vec<_>>(), look, changed)
        });
        for (warning, text) in events {
            self.report(Noticed::Event { warning, text });
        }
        if look {
            self.report(Noticed::Look);
        }
        if changed {
            self.changed.notify_waiters();
        }
    }

    /// Reads the state anew; a kernel without DRBD has no resource.
    pub(super) async fn look(&self, leash: &Leash) -> Result<Picture, Trouble> {
        let mut picture = Picture::new(self.drbd());
        if self.tools.has_module() {
            let words = ["events2", "--now", "--statistics"];
            let text = self.tools.ask("drbdsetup", &words, leash, READ).await?;
            picture = Picture::from_now(self.drbd(), &text);
        }
        self.learn(picture.clone());
        Ok(picture)
    }

    /// Runs `drbdadm COMMAND... RESOURCE`.
    pub(super) async fn drbdadm(&self, command: &[&str], leash: &Leash) -> Result<(), Trouble> {
        let words: Vec<&str> = command.iter().copied().chain([self.drbd()]).collect();
        self.tools.run("drbdadm", &words, leash).await.map(drop)
    }

    /// The kernel's version; asked once, as a module that is in use is not replaced.
    pub(super) async fn version(&self, leash: &Leash) -> Result<Version, Trouble> {
        if let Some(version) = self.with(|m| m.version) {
            return Ok(version);
        }
        let text = self.tools.ask("drbdadm", &["--version"], leash, READ).await?;
        let unknown = || {
            Refusal::not_run("drbdadm --version does not say DRBD_KERNEL_VERSION_CODE: is the module loaded?")
        };
        let version = Version::parse(&text).ok_or_else(|| Trouble::Refused(unknown()))?;
        self.with(|m| m.version = Some(version));
        Ok(version)
    }
}

/// What the pair goes by: whether each write reaches the peer, and how good the copy here is.
fn copies(p: &Picture) -> (bool, Vec<Disk>) {
    let theirs = p.connections.values().flat_map(|c| c.volumes.values()).map(|v| v.disk);
    (p.is_linked(), p.volumes.values().map(|v| v.disk).chain(theirs).collect())
}
