//! `[[track.file]]`: a file that holds an integer.

use super::Verdict;
use super::sink::Sink;
use crate::config::FileTrack;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;
use tokio::io::unix::AsyncFd;

/// Looked at this often even without news: the directory may have been missing, or be on a network file system.
const POLL: Duration = Duration::from_secs(1);
/// From truncating a file to writing it.
const SETTLE: Duration = Duration::from_millis(50);

/// Reports the number in the file whenever it changes.
pub(super) async fn watch(track: FileTrack, sink: Sink) {
    let mut news = watch_directory(&track.file);
    loop {
        let (mut value, mut detail) = read(&track.file).await;
        if detail.is_none() {
            // A file that is being written anew is empty for a moment.
            tokio::time::sleep(SETTLE).await;
            (value, detail) = read(&track.file).await;
        }
        let detail =
            detail.unwrap_or_else(|| format!("{} holds no number, counts as 0", track.file.display()));
        sink.put(Verdict::Value(value), detail).await;
        match &news {
            Some(fd) => {
                if let Ok(Ok(mut guard)) = tokio::time::timeout(POLL, fd.readable()).await {
                    // What happened does not matter: the file is read again.
                    let _ = rustix::io::read(fd.get_ref(), &mut [0u8; 4096]);
                    guard.clear_ready();
                }
            }
            None => {
                tokio::time::sleep(POLL).await;
                news = watch_directory(&track.file);
            }
        }
    }
}

/// The directory is watched, not the file: editors and scripts replace files by renaming.
fn watch_directory(file: &Path) -> Option<AsyncFd<OwnedFd>> {
    let fd = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).ok()?;
    let flags = WatchFlags::CLOSE_WRITE
        | WatchFlags::MOVED_TO
        | WatchFlags::MOVED_FROM
        | WatchFlags::CREATE
        | WatchFlags::DELETE;
    inotify::add_watch(&fd, file.parent()?, flags).ok()?;
    crate::net::async_fd(fd).ok()
}

/// The number and what to say of it; nothing to say if there is none.
async fn read(file: &Path) -> (i32, Option<String>) {
    /// More than any number needs; a huge file is not read into memory.
    const LIMIT: u64 = 64;
    let text = async {
        use tokio::io::AsyncReadExt;
        let mut text = Vec::new();
        tokio::fs::File::open(file).await?.take(LIMIT).read_to_end(&mut text).await?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&text).into_owned())
    };
    match text.await {
        Err(e) => (0, Some(format!("{}: {e}, counts as 0", file.display()))),
        Ok(text) => match number(&text) {
            Some(n) => (n, Some(format!("{} holds {n}", file.display()))),
            None => (0, None),
        },
    }
}

/// The first word as a number, clamped to 32 bits.
fn number(text: &str) -> Option<i32> {
    let word = text.split_whitespace().next()?;
    let n: i128 = word.parse().ok()?;
    Some(i32::try_from(n.clamp(i128::from(i32::MIN), i128::from(i32::MAX))).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_counts_and_is_clamped() {
        assert_eq!(number(" -20\nrest"), Some(-20));
        assert_eq!(number("99999999999"), Some(i32::MAX));
        assert_eq!(number(""), None);
        assert_eq!(number("many 3"), None);
    }
}
