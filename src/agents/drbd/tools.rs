//! Running DRBD's programs, and what else the agent reads.

use super::refusal::Refusal;
use crate::process::{Activity, JobEnd, Program, run_job};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Where the programs are, and below which directory `/proc` and `/sys` are read.
#[derive(Clone, Debug)]
pub struct Tools {
    /// All programs are here; none: where the system has them.
    dir: Option<PathBuf>,
    root: PathBuf,
}

impl Default for Tools {
    /// The system's.
    fn default() -> Self {
        Tools { dir: None, root: "/".into() }
    }
}

/// Why there is no result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// The step was cancelled; nothing of it runs any more.
    Cancelled,
    /// DRBD said no, or could not be asked.
    Refused(Refusal),
}

impl Trouble {
    /// The words for people.
    pub fn words(&self) -> String {
        match self {
            Trouble::Cancelled => "was cancelled".to_owned(),
            Trouble::Refused(r) => r.text.clone(),
        }
    }

    /// In words of our own.
    pub(super) fn says(text: impl Into<String>) -> Self {
        Trouble::Refused(Refusal::not_run(text))
    }
}

/// On whose behalf a program runs.
#[derive(Clone, Debug, Default)]
pub struct Leash {
    /// Ends it.
    pub cancel: CancellationToken,
    /// Shows it.
    pub activity: Activity,
}

impl Tools {
    /// For tests: programs from `dir`, `/proc` and `/sys` below `root`.
    pub fn at(dir: impl Into<PathBuf>, root: impl Into<PathBuf>) -> Self {
        Tools { dir: Some(dir.into()), root: root.into() }
    }

    /// A path below the root that is used.
    pub fn path(&self, absolute: &str) -> PathBuf {
        self.root.join(absolute.trim_start_matches('/'))
    }

    /// Whether the kernel has DRBD.
    pub fn has_module(&self) -> bool {
        self.path("/proc/drbd").exists()
    }

    /// The program's place. A daemon's PATH may lack the sbin directories.
    pub fn program(&self, name: &str) -> PathBuf {
        const DIRS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];
        match &self.dir {
            Some(dir) => dir.join(name),
            None => DIRS.iter().map(|d| Path::new(d).join(name)).find(|p| p.exists()).unwrap_or(name.into()),
        }
    }

    /// What all of DRBD's programs get into their environment (`LC_ALL=C` comes with every job).
    pub const ENV: (&'static str, &'static str) = ("DRBD_DONT_WARN_ON_VERSION_MISMATCH", "1");

    /// Runs a program to its end; its standard output.
    pub async fn run(&self, name: &str, args: &[&str], leash: &Leash) -> Result<String, Trouble> {
        let mut program = Program::new(self.program(name), args.iter().copied());
        // Of many resources, what comes first must not be lost.
        program.keep = 4 << 20;
        program.env.push((Self::ENV.0.to_owned(), Self::ENV.1.to_owned()));
        match run_job(&program, &leash.cancel, &leash.activity).await {
            JobEnd::Exit { status, stdout, stderr } => match Refusal::parse(status, &stderr) {
                None => Ok(stdout),
                Some(refusal) => Err(Trouble::Refused(refusal)),
            },
            JobEnd::Cancelled => Err(Trouble::Cancelled),
            JobEnd::Signal(n) => Err(Trouble::says(format!("{name} was killed by signal {n}"))),
            JobEnd::NotStarted(why) => {
                Err(Trouble::says(format!("{name} cannot be run: {why} (package {})", package(name))))
            }
        }
    }

    /// As [`Tools::run`], for programs that only read: they are ended after `limit`, which is a refusal.
    pub async fn ask(
        &self,
        name: &str,
        args: &[&str],
        leash: &Leash,
        limit: Duration,
    ) -> Result<String, Trouble> {
        let leash_here = Leash { cancel: leash.cancel.child_token(), activity: leash.activity.clone() };
        let run = self.run(name, args, &leash_here);
        tokio::pin!(run);
        tokio::select! {
            done = &mut run => return done,
            () = tokio::time::sleep(limit) => leash_here.cancel.cancel(),
        }
        match run.await {
            Err(Trouble::Cancelled) if !leash.cancel.is_cancelled() => {
                Err(Trouble::says(format!("{name} {} took longer than {limit:?}; see dmesg", args.join(" "))))
            }
            other => other,
        }
    }
}

/// Where Debian has the program.
fn package(program: &str) -> &'static str {
    match program {
        "drbdadm" | "drbdsetup" => "drbd-utils",
        "modprobe" => "kmod",
        _ => "lvm2",
    }
}
