//! Exit codes (sysexits.h), and how an error is said.

use crate::control::api::HealthLevel;
use crate::control::client::ClientError;
use std::fmt;
use std::process::ExitCode;

/// Refused by the daemon.
const EX_REFUSED: u8 = 1;
/// `import`: not everything could be translated.
const EX_PARTLY: u8 = 1;
/// `import`: a file cannot be read or parsed.
const EX_UNREADABLE: u8 = 2;
/// `health`: something should be looked at.
const EX_WARNING: u8 = 1;
/// `health`: this node does not do its work, or could not take over.
const EX_FAILED: u8 = 2;
/// `ha status`: the pair is not whole.
const EX_NOT_WHOLE: u8 = 2;
/// `health`: no daemon answers.
const EX_NO_DAEMON: u8 = 3;
/// Wrong words on the command line.
pub(super) const EX_USAGE: u8 = 64;
/// The daemon is not reachable.
const EX_UNAVAILABLE: u8 = 69;
/// The answer makes no sense, or output failed.
const EX_SOFTWARE: u8 = 70;
/// This user may not.
const EX_NOPERM: u8 = 77;
/// A mistake in the configuration.
const EX_CONFIG: u8 = 78;

/// Why a command failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The daemon's side.
    Client(ClientError),
    /// The configuration's.
    Config(String),
    /// The command line's.
    Usage(String),
    /// `import` has listed what it could not translate.
    Partly,
    /// `import` could not read or parse.
    Unreadable(String),
    /// Not done, for a reason on this side.
    Refused(String),
    /// A resource, or the daemon, did not get where `--wait` waited for.
    NotThere(String),
    /// `health` has listed what is wrong.
    Unwell(HealthLevel),
    /// `ha status` has listed what is in the way of a takeover.
    NotWhole,
    /// `health` got no answer.
    NoDaemon(ClientError),
    /// A mistake of this program.
    Bug(String),
    /// A file that cannot be written.
    File(String),
    /// This user may not.
    NotPermitted(String),
    /// Standard output's. A closed pipe (`| head`) is the end of the job, not an error.
    Output(std::io::Error),
}

impl Failure {
    pub(super) fn code(&self) -> u8 {
        match self {
            Failure::Client(ClientError::NotReachable { .. }) => EX_UNAVAILABLE,
            Failure::Client(ClientError::Refused { status: 503, .. }) => EX_UNAVAILABLE,
            Failure::Client(ClientError::NotPermitted(_)) | Failure::NotPermitted(_) => EX_NOPERM,
            Failure::Client(ClientError::BadAnswer(_)) => EX_SOFTWARE,
            Failure::Client(ClientError::Refused { .. }) => EX_REFUSED,
            Failure::Config(_) => EX_CONFIG,
            Failure::Usage(_) => EX_USAGE,
            Failure::Partly => EX_PARTLY,
            Failure::Unreadable(_) => EX_UNREADABLE,
            Failure::NotThere(_) | Failure::Refused(_) => EX_REFUSED,
            Failure::Unwell(HealthLevel::Ok) => 0,
            Failure::Unwell(HealthLevel::Warning) => EX_WARNING,
            Failure::Unwell(HealthLevel::Failed) => EX_FAILED,
            Failure::NotWhole => EX_NOT_WHOLE,
            Failure::NoDaemon(_) => EX_NO_DAEMON,
            Failure::Bug(_) | Failure::File(_) => EX_SOFTWARE,
            Failure::Output(e) if e.kind() == std::io::ErrorKind::BrokenPipe => 0,
            Failure::Output(_) => EX_SOFTWARE,
        }
    }

    /// Says it on standard error and gives the exit code.
    pub(super) fn report(&self) -> ExitCode {
        if self.code() != 0 && !matches!(self, Failure::Partly | Failure::Unwell(_) | Failure::NotWhole) {
            eprintln!("tandemadm: {self}");
        }
        ExitCode::from(self.code())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Client(e @ ClientError::NotReachable { .. }) | Failure::NoDaemon(e) => write!(
                f,
                "{e}\nIs it running? systemctl status tandemd. Another run directory: --run-dir DIR"
            ),
            Failure::Client(e) => e.fmt(f),
            Failure::Config(text) | Failure::Usage(text) | Failure::Unreadable(text) => f.write_str(text),
            Failure::Bug(text) | Failure::File(text) | Failure::NotPermitted(text) => f.write_str(text),
            Failure::NotThere(text) | Failure::Refused(text) => f.write_str(text),
            Failure::Unwell(level) => level.fmt(f),
            Failure::NotWhole => f.write_str("something keeps the pair from a takeover by itself"),
            Failure::Partly => f.write_str("not everything could be translated"),
            Failure::Output(e) => write!(f, "cannot write the output: {e}"),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(e: ClientError) -> Self {
        Failure::Client(e)
    }
}

impl From<std::io::Error> for Failure {
    fn from(e: std::io::Error) -> Self {
        Failure::Output(e)
    }
}
