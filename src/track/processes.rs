//! `[[track.process]]`: enough processes of a name run. `/proc` is read at an interval; the end of a process
//! that was seen there is noticed at once, through its pidfd (pidfd_open(2)).

use super::Verdict;
use super::sink::Sink;
use crate::config::ProcessTrack;
use crate::net::clock;
use crate::time::Instant;
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::collections::BTreeMap;
use tokio::sync::mpsc;

/// Counts the matching processes again and again.
pub(super) async fn watch(track: ProcessTrack, sink: Sink) {
    let (ended, mut ends) = mpsc::channel(16);
    let mut known: BTreeMap<i32, tokio::task::AbortHandle> = BTreeMap::new();
    let mut judge = Judge { up: None, since: None };
    loop {
        let pids = matching(&track);
        known.retain(|pid, watcher| {
            let still = pids.contains(pid);
            if !still {
                watcher.abort();
            }
            still
        });
        for pid in &pids {
            if !known.contains_key(pid)
                && let Some(handle) = watch_end(*pid, ended.clone())
            {
                known.insert(*pid, handle);
            }
        }
        let now = clock::now();
        let (up, again) = judge.judge(&track, pids.len(), now);
        let detail = describe(&track, pids.len());
        sink.put(if up { Verdict::Up } else { Verdict::Down }, detail).await;
        let wait = again.map_or(track.interval, |t| t.since(now).min(track.interval));
        // Either a known process has ended, or it is time to look again.
        let _ = tokio::time::timeout(wait, ends.recv()).await;
        while ends.try_recv().is_ok() {}
    }
}

/// Applies `fork_delay` and `terminate_delay`.
struct Judge {
    up: Option<bool>,
    since: Option<Instant>,
}

impl Judge {
    /// Up or down now, and when to look again if a delay is running.
    fn judge(&mut self, track: &ProcessTrack, count: usize, now: Instant) -> (bool, Option<Instant>) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let good = count >= track.quorum && track.quorum_max.is_none_or(|max| count <= max);
        let Some(up) = self.up else {
            self.up = Some(good);
            return (good, None);
        };
        if good == up {
            self.since = None;
            return (up, None);
        }
        let since = *self.since.get_or_insert(now);
        let due = since + if good { track.fork_delay } else { track.terminate_delay };
        if now < due {
            return (up, Some(due));
        }
        (self.up, self.since) = (Some(good), None);
        (good, None)
    }
}

fn describe(track: &ProcessTrack, count: usize) -> String {
    match (count, track.quorum_max) {
        (0, _) => format!("no process {}", track.process),
        (n, Some(max)) => format!("{n} processes {}, {} to {max} wanted", track.process, track.quorum),
        (n, None) => format!("{n} processes {}, at least {} wanted", track.process, track.quorum),
    }
}

/// Tells when a process ends; none if it has ended already or the kernel is older than 5.3.
fn watch_end(pid: i32, ended: mpsc::Sender<()>) -> Option<tokio::task::AbortHandle> {
    let fd: OwnedFd = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::NONBLOCK).ok()?;
    let fd = crate::net::async_fd(fd).ok()?;
    let task = tokio::spawn(async move {
        if fd.readable().await.is_ok() {
            // A full channel means that a new look is due already.
            let _ = ended.try_send(());
        }
    });
    Some(task.abort_handle())
}

/// Ids of the processes that match, zombies left out.
fn matching(track: &ProcessTrack) -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        // procfs is memory; a process that ends meanwhile just does not match.
        let comm = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        let cmdline = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        matches(track, comm.trim_end(), &cmdline) && !is_zombie(*pid)
    })
    .collect()
}

fn is_zombie(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')')
        .is_none_or(|(_, rest)| matches!(rest.trim_start().chars().next(), Some('Z' | 'X') | None))
}

/// `comm` is cut to 15 bytes by the kernel; `cmdline` has a zero after each argument and is empty for kernel
/// threads and zombies.
fn matches(track: &ProcessTrack, comm: &str, cmdline: &[u8]) -> bool {
    const COMM: usize = 15;
    let mut words = cmdline.split(|b| *b == 0);
    let program = words.next().map(String::from_utf8_lossy).unwrap_or_default();
    let named = if track.process.contains('/') {
        program == track.process
    } else {
        let cut = track.process.get(..COMM).unwrap_or(&track.process);
        let last = program.rsplit('/').next().unwrap_or_default();
        last == track.process || (comm == cut && !comm.is_empty())
    };
    named && track.args.iter().all(|wanted| words.next().is_some_and(|found| found == wanted.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn track(process: &str, args: &[&str]) -> ProcessTrack {
        ProcessTrack {
            name: "t".into(),
            process: process.into(),
            args: args.iter().map(|a| (*a).to_owned()).collect(),
            quorum: 1,
            quorum_max: None,
            interval: Duration::from_secs(1),
            terminate_delay: Duration::ZERO,
            fork_delay: Duration::ZERO,
            weight: 0,
        }
    }

    #[test]
    fn names_paths_and_arguments() {
        let line = b"/usr/sbin/nginx\0-g\0daemon off;\0";
        assert!(matches(&track("nginx", &[]), "nginx", line));
        assert!(matches(&track("/usr/sbin/nginx", &["-g"]), "nginx", line));
        assert!(matches(&track("nginx", &["-g", "daemon off;"]), "nginx", line));
        assert!(!matches(&track("nginx", &["daemon off;"]), "nginx", line));
        assert!(!matches(&track("/sbin/nginx", &[]), "nginx", line));
        assert!(!matches(&track("ngin", &[]), "nginx", line));
        // A program that rewrites its command line, with a name longer than the kernel keeps.
        assert!(matches(&track("a-very-long-program", &[]), "a-very-long-pro", b"busy with 3 things\0"));
        assert!(!matches(&track("kthreadd", &["x"]), "kthreadd", b""));
    }

    #[test]
    fn delays_hold_a_verdict_back() {
        let t = ProcessTrack { terminate_delay: Duration::from_secs(2), ..track("x", &[]) };
        let at = |s| Instant::ZERO + Duration::from_secs(s);
        let mut j = Judge { up: None, since: None };
        assert_eq!(j.judge(&t, 1, at(0)), (true, None));
        assert_eq!(j.judge(&t, 0, at(1)), (true, Some(at(3))));
        assert_eq!(j.judge(&t, 1, at(2)), (true, None), "back in time");
        assert_eq!(j.judge(&t, 0, at(4)), (true, Some(at(6))));
        assert_eq!(j.judge(&t, 0, at(6)), (false, None));
        assert_eq!(j.judge(&t, 1, at(7)), (true, None), "fork_delay is 0");
        let limited = ProcessTrack { quorum: 2, quorum_max: Some(3), ..track("x", &[]) };
        for (count, up) in [(1, false), (2, true), (3, true), (4, false)] {
            assert_eq!(Judge { up: None, since: None }.judge(&limited, count, at(0)).0, up, "{count}");
        }
    }
}
