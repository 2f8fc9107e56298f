//! What the kernel says about a process (proc_pid_stat(5)).

/// Some fields of `/proc/PID/stat`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stat {
    /// It runs no more: a zombie, or about to be one.
    pub(crate) dead: bool,
    /// Its process group.
    pub(crate) group: u32,
    /// Its session.
    pub(crate) session: u32,
    /// When it was started, in clock ticks after boot. With the process id it names one process for good.
    pub(crate) start: u64,
}

/// The process as it is now; `None` if there is none.
pub(crate) fn stat(pid: u32) -> Option<Stat> {
    parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse(line: &str) -> Option<Stat> {
    // The name, in parentheses, may hold anything.
    let mut fields = line.rsplit_once(')')?.1.split_whitespace();
    let dead = matches!(fields.next()?, "Z" | "X" | "x");
    let group = fields.nth(1)?.parse().ok()?;
    let session = fields.next()?.parse().ok()?;
    let start = fields.nth(15)?.parse().ok()?;
    Some(Stat { dead, group, session, start })
}

/// All process ids.
pub(crate) fn all() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|e| e.file_name().to_str()?.parse().ok()).collect()
}

/// What it is, for people: its command line, at most 80 characters, or its name.
pub(crate) fn describe(pid: u32) -> String {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<String> =
        line.split(|b| *b == 0).map(|w| String::from_utf8_lossy(w).into_owned()).collect();
    let text: String = words.join(" ").trim().chars().take(80).collect();
    if !text.is_empty() {
        return text;
    }
    std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}

/// Names this boot of the machine (random/boot_id in proc_sys_kernel(5)).
pub(crate) fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_counted_after_the_name_whatever_that_holds() {
        let rest = "1 4100 4099 0 -1 4194560 106 0 0 0 0 0 0 0 20 0 1 0 8838493 8192 0";
        let found = Stat { dead: false, group: 4100, session: 4099, start: 8_838_493 };
        assert_eq!(parse(&format!("4100 (a) Z (b) S {rest}")), Some(found));
        assert_eq!(parse(&format!("4100 (x) Z {rest}")), Some(Stat { dead: true, ..found }));
        assert_eq!(parse("4100 (x) S 1 2"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn this_process_is_alive_and_named() {
        let me = stat(std::process::id()).unwrap();
        assert!(!me.dead && me.start > 0 && all().contains(&std::process::id()));
        assert!(!describe(std::process::id()).is_empty());
    }
}
