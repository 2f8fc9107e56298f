//! Programs that are run for a server, as its user, and what they find in the file system.
//!
//! tandemd itself touches nothing below the data directory: its user could lead root astray there, and storage may hang.

use super::Seen;
use super::control::Control;
use super::decide::Directory;
use crate::agents::{Noticed, Report, Services};
use crate::config::PostgresqlResource;
use crate::process::{Activity, JobEnd, Program, RunAs, resolve_user, run_job};
use crate::resource::Name;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// For programs that only look at files.
pub(super) const FILES: Duration = Duration::from_secs(30);

/// Why something did not end as it should.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Trouble {
    /// The step was cancelled.
    Cancelled,
    /// A program took longer than it may, and was ended.
    TooSlow(String),
    /// In words.
    Failed(String),
}

impl Trouble {
    /// In words.
    pub(super) fn words(self) -> String {
        match self {
            Trouble::Cancelled => "it was cancelled".into(),
            Trouble::TooSlow(text) | Trouble::Failed(text) => text,
        }
    }
}

impl From<String> for Trouble {
    fn from(text: String) -> Self {
        Trouble::Failed(text)
    }
}

/// What came of a part of a step.
pub(super) type Outcome<T> = Result<T, Trouble>;

/// A program that ended by itself.
#[derive(Clone, Debug)]
pub(super) struct Ran {
    /// Exit status.
    pub(super) status: i32,
    /// Standard output.
    pub(super) stdout: String,
    /// Standard error.
    pub(super) stderr: String,
}

/// Everything that the parts of a step need.
#[derive(Clone, Debug)]
pub(super) struct Host {
    /// Of which resource.
    pub(super) name: Name,
    /// Its settings.
    pub(super) settings: PostgresqlResource,
    /// Where the server's programs are.
    pub(super) bin: PathBuf,
    /// Who runs them.
    pub(super) user: RunAs,
    /// Ends what runs.
    pub(super) cancel: CancellationToken,
    /// What runs.
    pub(super) activity: Activity,
    /// What is remembered between steps.
    pub(super) seen: Arc<Seen>,
    /// To the daemon.
    pub(super) services: Services,
}

impl Host {
    /// For one step.
    pub(super) fn new(
        name: &Name,
        settings: &PostgresqlResource,
        (services, seen): (&Services, &Arc<Seen>),
        (cancel, activity): (CancellationToken, Activity),
    ) -> Result<Self, String> {
        let user = resolve_user(Some(&settings.user)).map_err(|e| e.to_string())?;
        if user.uid.is_root() {
            return Err("PostgreSQL does not run as root: name the owner of the data in `user`".into());
        }
        let bin = match &settings.bin_directory {
            Some(bin) => bin.clone(),
            None => newest_below(Path::new("/usr/lib/postgresql"))
                .ok_or("no PostgreSQL server is installed below /usr/lib/postgresql: set `bin_directory`")?,
        };
        let (name, settings) = (name.clone(), settings.clone());
        let (services, seen) = (services.clone(), seen.clone());
        Ok(Host { name, settings, bin, user, cancel, activity, seen, services })
    }

    /// The same, with another end and another list of what runs.
    pub(super) fn beyond(&self, cancel: CancellationToken) -> Self {
        Host { cancel, ..self.clone() }
    }

    /// Tells the operator.
    pub(super) fn event(&self, warning: bool, text: impl Into<String>) {
        let what = Noticed::Event { warning, text: text.into() };
        // At the end of the daemon nobody listens any more.
        let _ = self.services.reports.send(Report { resource: self.name.clone(), what });
    }

    /// The data directory.
    pub(super) fn data(&self) -> &Path {
        &self.settings.data_directory
    }

    /// A path beside the data directory: its name and more.
    pub(super) fn beside(&self, more: &str) -> PathBuf {
        let mut path = self.data().as_os_str().to_owned();
        path.push(more);
        path.into()
    }

    /// A program of the server's package, as its user.
    pub(super) fn server_program<A: Into<String>>(
        &self,
        name: &str,
        args: impl IntoIterator<Item = A>,
    ) -> Program {
        let mut program = Program::new(self.bin.join(name), args);
        program.user = Some(self.user.clone());
        // What goes wrong says the program at the end of its output.
        program.keep = 256 << 10;
        program
    }

    /// Runs a program until it ends, the step is cancelled, or the time is over.
    pub(super) async fn job(&self, program: &Program, limit: Duration) -> Outcome<Ran> {
        let token = self.cancel.child_token();
        let timer = async {
            tokio::time::sleep(limit).await;
            token.cancel();
            std::future::pending::<()>().await;
        };
        let end = tokio::select! {
            end = run_job(program, &token, &self.activity) => end,
            () = timer => JobEnd::Cancelled,
        };
        let what = program.command.program.display();
        match end {
            JobEnd::Exit { status, stdout, stderr } => Ok(Ran { status, stdout, stderr }),
            JobEnd::Cancelled if self.cancel.is_cancelled() => Err(Trouble::Cancelled),
            JobEnd::Cancelled => Err(Trouble::TooSlow(format!("{what} did not end within {limit:?}"))),
            JobEnd::Signal(n) => Err(Trouble::Failed(format!("{what} was ended by signal {n}"))),
            JobEnd::NotStarted(why) => Err(Trouble::Failed(format!("{what} could not be run: {why}"))),
        }
    }

    /// Runs a program that has to succeed; its output.
    pub(super) async fn need(&self, program: &Program, limit: Duration) -> Outcome<String> {
        let ran = self.job(program, limit).await?;
        if ran.status == 0 {
            return Ok(ran.stdout);
        }
        let said =
            super::answer::last_line(if ran.stderr.trim().is_empty() { &ran.stdout } else { &ran.stderr });
        let what = program.command.program.display();
        Err(Trouble::Failed(format!("{what} failed (exit status {}): {said}", ran.status)))
    }

    /// A small tool for files, as the server's user.
    pub(super) fn tool(&self, name: &str, options: &[&str], paths: &[&Path]) -> Program {
        let words = options.iter().map(|o| (*o).to_owned());
        let paths = paths.iter().map(|p| p.to_string_lossy().into_owned());
        let mut program = Program::new(name, words.chain(["--".to_owned()]).chain(paths));
        program.user = Some(self.user.clone());
        program
    }

    /// Uses such a tool.
    pub(super) async fn files(&self, name: &str, options: &[&str], paths: &[&Path]) -> Outcome<String> {
        self.need(&self.tool(name, options, paths), FILES).await
    }

    /// Names in a directory; none: there is no such directory.
    pub(super) async fn list(&self, path: &Path) -> Outcome<Option<Vec<String>>> {
        let ran = self.job(&self.tool("ls", &["-A1"], &[path]), FILES).await?;
        match ran.status {
            0 => Ok(Some(ran.stdout.lines().map(str::to_owned).collect())),
            _ if ran.stderr.contains("No such file or directory") => Ok(None),
            _ => Err(Trouble::Failed(format!(
                "{} cannot be read: {}",
                path.display(),
                super::answer::last_line(&ran.stderr)
            ))),
        }
    }

    /// Whether something is there.
    pub(super) async fn exists(&self, path: &Path) -> Outcome<bool> {
        let ran = self.job(&self.tool("ls", &["-d"], &[path]), FILES).await?;
        Ok(ran.status == 0)
    }

    /// A rejoin is not finished; the saved configuration files lie here meanwhile.
    pub(super) fn marker(&self) -> PathBuf {
        self.beside(".rejoin")
    }

    /// What the data directory holds.
    pub(super) async fn inspect(&self) -> Outcome<Directory> {
        if self.exists(&self.marker()).await? {
            return Ok(Directory::HalfDone);
        }
        let names = self.list(self.data()).await?.unwrap_or_default();
        let has = |name: &str| names.iter().any(|n| n == name);
        if names.is_empty() {
            return Ok(Directory::Empty);
        }
        if !has("PG_VERSION") {
            return Ok(Directory::Foreign);
        }
        let data = self.data().to_string_lossy().into_owned();
        let text = self.need(&self.server_program("pg_controldata", ["-D".to_owned(), data]), FILES).await?;
        let follows = has("standby.signal") || has("backup_label");
        Ok(Directory::Data { control: Control::parse(&text)?, follows })
    }
}

/// `VERSION/bin` of the highest version below `root` that has a server.
fn newest_below(root: &Path) -> Option<PathBuf> {
    let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let found = std::fs::read_dir(root).ok()?.flatten().map(|e| e.path());
    let servers = found.filter(|p| p.join("bin/pg_ctl").exists());
    let newest = servers.filter_map(|p| version(&p).map(|v| (v, p))).max()?;
    Some(newest.1.join("bin"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_server_is_found_by_number_not_by_text() {
        let dir = tempfile::tempdir().unwrap();
        for version in ["9", "15", "100", "x"] {
            std::fs::create_dir_all(dir.path().join(version).join("bin")).unwrap();
        }
        assert_eq!(newest_below(dir.path()), None, "no pg_ctl anywhere");
        for version in ["9", "15", "x"] {
            std::fs::write(dir.path().join(version).join("bin/pg_ctl"), "").unwrap();
        }
        assert_eq!(newest_below(dir.path()), Some(dir.path().join("15/bin")));
    }
}
