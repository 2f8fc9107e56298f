//! Processes, as far as it matters who they are.

use std::fs;

/// A process that was there a moment ago.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Process {
    /// Its process id.
    pub(super) pid: u32,
    /// When it started, in clock ticks since boot: tells it from a later one with the same id.
    pub(super) start: u64,
    /// Its name (`/proc/PID/comm`).
    pub(super) command: String,
    /// `R`, `S`, `D`, `Z` ...
    pub(super) state: char,
    /// A thread of the kernel.
    pub(super) kernel: bool,
}

impl Process {
    /// The process with this id, if there is one.
    pub(super) fn read(pid: u32) -> Option<Process> {
        let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
        parse(&String::from_utf8_lossy(&stat))
    }
}

/// All processes that can be seen.
pub(super) fn processes() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = entries.filter_map(|e| e.file_name().to_str()?.parse().ok());
    ids.filter_map(Process::read).collect()
}

/// `77 (a name) S 1 ...`: the fields of proc_pid_stat(5). The name may hold anything, brackets too.
fn parse(stat: &str) -> Option<Process> {
    const PF_KTHREAD: u64 = 0x0020_0000;
    let (pid, rest) = stat.split_once(" (")?;
    let (command, rest) = rest.rsplit_once(") ")?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?.chars().next()?;
    // state is field 3, flags is 9, starttime is 22.
    let flags: u64 = fields.nth(5)?.parse().ok()?;
    let start = fields.nth(12)?.parse().ok()?;
    let command = command.to_owned();
    Some(Process { pid: pid.parse().ok()?, start, command, state, kernel: flags & PF_KTHREAD != 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let line = "77 (a) S (b) D 1 77 77 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 9 9\n";
        let p = parse(line).unwrap();
        assert_eq!((p.pid, p.command.as_str(), p.state, p.start), (77, "a) S (b", 'D', 4242));
        assert!(!p.kernel);
        let line = "2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 3 0 0";
        assert!(parse(line).unwrap().kernel);
        assert_eq!(parse("77 (x"), None);
        assert_eq!(parse("77 (x) S 1 2"), None);
    }

    #[test]
    fn this_process_is_there() {
        let me = Process::read(std::process::id()).unwrap();
        assert!(processes().iter().any(|p| p.pid == me.pid && p.start == me.start));
    }
}
