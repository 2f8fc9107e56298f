//! The FIFO: a line for every change, in keepalived's format.

use super::{Change, Subject, word};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::unistd::{mkfifo, write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// A FIFO that is written to without ever waiting.
#[derive(Debug, Default)]
pub(super) struct Fifo {
    path: Option<PathBuf>,
    fd: Option<OwnedFd>,
    broken: bool,
    lost: u64,
}

impl Fifo {
    /// Uses this path from now on; the same path stays open.
    pub(super) fn set_path(&mut self, path: Option<&Path>) {
        if self.path.as_deref() != path {
            self.path = path.map(Path::to_owned);
            self.fd = None;
            self.broken = false;
            // Made at once, so that a reader can open it before the first change.
            self.ensure_open();
        }
    }

    /// Lines that did not fit, or could not be written.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// Writes the line of a change. One that does not fit is counted; the first of a row is logged.
    pub(super) fn write(&mut self, change: &Change) {
        if self.path.is_none() {
            return;
        }
        self.ensure_open();
        let line = line(change);
        let result = match &self.fd {
            Some(fd) => write(fd, line.as_bytes()).map(|_| ()),
            None => Err(Errno::ENOENT),
        };
        match result {
            Ok(()) => self.broken = false,
            Err(e) => {
                self.lost = self.lost.saturating_add(1);
                if !std::mem::replace(&mut self.broken, true) {
                    let path = self.path.as_deref().unwrap_or(Path::new("")).display();
                    let why = if e == Errno::EAGAIN { "it is full, nobody reads it" } else { e.desc() };
                    tracing::warn!("notify_fifo {path}: line lost: {why}");
                }
                if e != Errno::EAGAIN {
                    self.fd = None;
                }
            }
        }
    }

    fn ensure_open(&mut self) {
        let (None, Some(path)) = (&self.fd, &self.path) else { return };
        match mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(e) => return tracing::warn!("notify_fifo {}: cannot be made: {}", path.display(), e.desc()),
        }
        // Opened for reading as well, as keepalived does: then lines wait for a reader that comes later.
        let flags = OFlag::O_RDWR | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        match open(path, flags, Mode::empty()) {
            Ok(fd) => {
                let fifo =
                    fstat(&fd).is_ok_and(|s| s.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFIFO.bits());
                if fifo {
                    self.fd = Some(fd);
                } else if !self.broken {
                    tracing::error!(
                        "notify_fifo {} is no FIFO: remove it or name another path",
                        path.display()
                    );
                }
            }
            Err(e) => tracing::warn!("notify_fifo {}: cannot be opened: {}", path.display(), e.desc()),
        }
    }
}

/// `INSTANCE "VI_1" MASTER 100` or `GROUP "G1" BACKUP 0`.
fn line(c: &Change) -> String {
    let kind = match c.subject {
        Subject::Instance => "INSTANCE",
        Subject::Group => "GROUP",
    };
    format!("{kind} \"{}\" {} {}\n", c.name, word(c.target), c.priority)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::Target;
    use crate::vrrp::State;
    use std::io::Read;
    use std::os::unix::fs::OpenOptionsExt;

    fn change(name: &str) -> Change {
        Change {
            subject: Subject::Instance,
            name: name.into(),
            previous: State::Backup,
            target: Target::Master,
            priority: 100,
            reason: String::new(),
            addresses: Vec::new(),
            interface: String::new(),
            who: crate::events::Who::Timer,
            at: jiff::Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn lines_wait_for_a_reader_and_a_full_fifo_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fifo");
        let mut f = Fifo::default();
        f.set_path(Some(&path));
        f.write(&change("VI_1"));
        f.write(&Change { subject: Subject::Group, priority: 0, target: Target::Backup, ..change("G1") });
        let mut reader = std::fs::OpenOptions::new()
            .read(true)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open(&path)
            .unwrap();
        let mut text = [0; 200];
        let n = reader.read(&mut text).unwrap();
        let expected = "INSTANCE \"VI_1\" MASTER 100\nGROUP \"G1\" BACKUP 0\n";
        assert_eq!(String::from_utf8_lossy(&text[..n]), expected);
        for _ in 0..10_000 {
            f.write(&change("VI_1"));
        }
        let lost = f.lost();
        assert!(lost > 0, "10 000 lines do not fit a pipe");
        while reader.read(&mut text).is_ok_and(|n| n > 0) {}
        f.write(&change("VI_1"));
        assert_eq!(f.lost(), lost, "works again");
    }

    #[test]
    fn a_path_that_is_no_fifo_is_refused_and_stays_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "precious").unwrap();
        let mut f = Fifo::default();
        f.set_path(Some(&path));
        f.write(&change("VI_1"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
        assert_eq!(f.lost(), 1);
    }
}
