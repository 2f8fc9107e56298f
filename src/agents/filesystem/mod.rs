//! Mounted file systems: fsck(8), mount(8), umount(8), and who is in the way.
//!
//! - **start**: the device is checked as `fsck` says, and mounted. What is mounted there already is left as it is. A
//!   mount point that is missing is made if the directory above it is there, and stays.
//! - **stop**: unmounted, never lazily. It has ended when no process that can be seen has the device mounted any more, in
//!   whatever mount namespace. Who is in the way is named; with `kill_holders` it is ended.
//! - **monitor**: the right device is there, as writable as it should be, and the kernel answers statfs(2).

mod device;
mod fsck;
mod holders;
mod mountinfo;
mod namespaces;
mod process;
mod start;
mod stop;
mod threads;
mod watch;

use super::{Agent, Context, Noticed, Report, Services, Work};
use crate::config::FilesystemResource;
use crate::process::{JobEnd, Program, run_job};
use crate::resource::{Level, Name, Step, StepResult};
use device::Device;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};
use threads::{NoAnswer, Threads};

/// The agent of mounted file systems.
#[derive(Debug)]
pub struct FilesystemAgent {
    name: Name,
    settings: FilesystemResource,
    services: Services,
    threads: Threads,
    seen: Mutex<Seen>,
    /// It has been seen mounted, and nobody has made sure since that the kernel has let go of the device.
    in_use: AtomicBool,
}

/// What was seen last.
#[derive(Debug, Default)]
struct Seen {
    /// What `UUID=...` meant.
    device: Option<Device>,
    /// For people.
    details: Vec<(String, String)>,
}

/// Why a step did not end well.
#[derive(Debug)]
enum Trouble {
    /// It failed, in words.
    Failed(String),
    /// It was cancelled, and has ended.
    Cancelled,
}

type Try<T> = Result<T, Trouble>;

fn failed<T>(text: impl Into<String>) -> Try<T> {
    Err(Trouble::Failed(text.into()))
}

/// What a program said.
struct Said {
    status: i32,
    stdout: String,
    stderr: String,
}

impl FilesystemAgent {
    /// For the resource `name`.
    pub fn new(name: Name, settings: FilesystemResource, services: Services) -> Self {
        FilesystemAgent {
            name,
            settings,
            services,
            threads: Threads::default(),
            seen: Mutex::default(),
            in_use: AtomicBool::new(false),
        }
    }

    fn seen<T>(&self, f: impl FnOnce(&mut Seen) -> T) -> T {
        f(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn event(&self, warning: bool, text: String) {
        let what = Noticed::Event { warning, text };
        // Nobody listens any more only when the daemon ends.
        let _ = self.services.reports.send(Report { resource: self.name.clone(), what });
    }

    /// Asks the kernel something that may hang. The limit is a little shorter than the step's, so that there are words.
    async fn ask<T: Send + 'static>(
        &self,
        context: &Context,
        what: &str,
        question: impl FnOnce() -> T + Send + 'static,
    ) -> Try<T> {
        let limit = context.limit.mul_f32(0.75);
        match self.threads.ask(limit, &context.cancel, question).await {
            Ok(answer) => Ok(answer),
            Err(NoAnswer::Cancelled) => Err(Trouble::Cancelled),
            Err(e) => failed(format!("{what}: {e}")),
        }
    }

    /// Runs a program to its end.
    async fn tool(&self, context: &Context, program: &str, args: &[&str]) -> Try<Said> {
        let program_ = Program::new(program, args.iter().copied());
        match run_job(&program_, &context.cancel, &context.activity).await {
            JobEnd::Exit { status, stdout, stderr } => Ok(Said { status, stdout, stderr }),
            JobEnd::Signal(n) => failed(format!("{program} was killed by signal {n}")),
            JobEnd::Cancelled => Err(Trouble::Cancelled),
            JobEnd::NotStarted(e) => failed(format!("{program} could not be started: {e}")),
        }
    }

    /// The mount point without links, as the kernel's table has it.
    async fn point(&self, context: &Context) -> Try<PathBuf> {
        let path = self.settings.mount_point.clone();
        self.ask(context, "looking for the mount point", move || locate(&path)).await
    }

    /// What is to be mounted. `again`: whatever was known before.
    async fn device(&self, context: &Context, again: bool) -> Try<Device> {
        let known = self.seen(|s| s.device.clone()).filter(|_| !again);
        let wanted = self.settings.device.as_str();
        let path = match (device::is_tag(wanted), known) {
            (false, _) => wanted.to_owned(),
            (true, Some(known)) => known.path().display().to_string(),
            (true, None) => self.by_tag(context, wanted).await?,
        };
        let options = self.settings.options.clone();
        let look = move || device::look(&path, &options);
        let device = self.ask(context, "looking for the device", look).await?.map_err(Trouble::Failed)?;
        self.seen(|s| s.device = Some(device.clone()));
        Ok(device)
    }

    async fn by_tag(&self, context: &Context, tag: &str) -> Try<String> {
        let said = self.tool(context, "findfs", &[tag]).await?;
        let path = said.stdout.trim();
        if said.status != 0 || path.is_empty() {
            return failed(format!("no device has {tag} (findfs{})", fsck::last_lines(&said.stderr)));
        }
        Ok(path.to_owned())
    }

    /// As [`FilesystemAgent::device`]. A device that has vanished is still known by its path.
    async fn device_or_path(&self, context: &Context) -> Try<Device> {
        match self.device(context, false).await {
            Err(Trouble::Failed(_)) if !device::is_tag(&self.settings.device) => {
                Ok(Device::Other(self.settings.device.clone().into()))
            }
            other => other,
        }
    }
}

/// A path as the table of mounts has it: links followed, except that nothing on the mount point itself is touched.
fn locate(path: &Path) -> PathBuf {
    if std::fs::read_link(path).is_ok() {
        return std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    }
    let parts = path.parent().zip(path.file_name());
    let real = parts.and_then(|(parent, name)| Some(std::fs::canonicalize(parent).ok()?.join(name)));
    real.unwrap_or_else(|| path.to_owned())
}

impl Agent for FilesystemAgent {
    fn run<'a>(&'a self, step: Step, context: &'a Context) -> Work<'a, StepResult> {
        Box::pin(async move {
            let end = match step {
                Step::Start => start::start(self, context).await,
                Step::Stop => stop::stop(self, context).await,
                Step::Monitor => watch::monitor(self, context).await,
                Step::Promote | Step::Demote => failed("a file system cannot be promoted or demoted"),
            };
            match end {
                Ok(()) => StepResult::Done,
                Err(Trouble::Failed(text)) => StepResult::Failed(text),
                Err(Trouble::Cancelled) => StepResult::Cancelled,
            }
        })
    }

    fn find<'a>(&'a self, context: &'a Context) -> Work<'a, Result<Level, String>> {
        Box::pin(async move {
            match watch::find(self, context).await {
                Ok(level) => Ok(level),
                Err(Trouble::Failed(text)) => Err(text),
                Err(Trouble::Cancelled) => Err("cancelled".to_owned()),
            }
        })
    }

    fn details(&self) -> Vec<(String, String)> {
        let mut all = self.seen(|s| s.details.clone());
        if let n @ 1.. = self.threads.hanging() {
            all.push(("unanswered".to_owned(), format!("{n} questions to the kernel")));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_on_the_way_to_the_mount_point_are_followed() {
        let dir = tempfile::tempdir().unwrap();
        let real = std::fs::canonicalize(dir.path()).unwrap();
        std::fs::create_dir_all(real.join("real/point")).unwrap();
        std::os::unix::fs::symlink("real", real.join("link")).unwrap();
        std::os::unix::fs::symlink("real/point", real.join("to_point")).unwrap();
        assert_eq!(locate(&real.join("link/point")), real.join("real/point"));
        assert_eq!(locate(&real.join("link/missing")), real.join("real/missing"));
        assert_eq!(locate(&real.join("to_point")), real.join("real/point"));
        assert_eq!(locate(Path::new("/no/such/point")), Path::new("/no/such/point"));
    }
}
