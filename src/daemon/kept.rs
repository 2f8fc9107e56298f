//! Kernel settings of interfaces that tandemd changes: what they were is kept in RUN_DIR/sysctls.json, so that
//! they are put back at stop, and after a crash by the next start.
//!
//! A setting is put back only if it still is what tandemd made of it: whoever changed it since meant it.

use crate::net::sysctl;
use crate::vrrp::Family;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// Name of the list in the run directory.
const LIST: &str = "sysctls.json";

/// One changed setting.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Kept {
    ifindex: u32,
    family: Family,
    key: String,
    before: String,
    set: String,
}

/// A setting to be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Wish {
    /// IPv4 or IPv6.
    pub(super) family: Family,
    /// The last part of its name.
    pub(super) key: &'static str,
    /// What it is to be.
    pub(super) value: &'static str,
    /// Values that do as well and are left alone.
    pub(super) fine: &'static [&'static str],
}

/// The list. It is written without waiting for a disk, and only when something changes.
#[derive(Debug)]
pub(super) struct KeptSettings {
    file: PathBuf,
    list: Vec<Kept>,
}

impl KeptSettings {
    /// The list that the last run left behind. A missing or broken file is an empty one.
    pub(super) fn load(run_dir: &Path) -> Self {
        let file = run_dir.join(LIST);
        let text = std::fs::read(&file).unwrap_or_default();
        KeptSettings { list: serde_json::from_slice(&text).unwrap_or_default(), file }
    }

    /// Changes settings of an interface that are not as wished. What they were is on the list before. Made again
    /// for an interface that has it already, this mends what something else changed.
    pub(super) fn hold(&mut self, ifindex: u32, ifname: &str, wishes: &[Wish]) -> io::Result<()> {
        for wish in wishes {
            let now = sysctl::get(wish.family, ifname, wish.key)?;
            if now == wish.value || wish.fine.contains(&now.as_str()) {
                continue;
            }
            let known = |k: &Kept| (k.ifindex, k.family, k.key.as_str()) == (ifindex, wish.family, wish.key);
            if !self.list.iter().any(known) {
                self.list.push(Kept {
                    ifindex,
                    family: wish.family,
                    key: wish.key.to_owned(),
                    before: now,
                    set: wish.value.to_owned(),
                });
                self.save()?;
            }
            sysctl::set(wish.family, ifname, wish.key, wish.value)?;
        }
        Ok(())
    }

    /// Interfaces that have changed settings.
    pub(super) fn interfaces(&self) -> Vec<u32> {
        let mut all: Vec<u32> = self.list.iter().map(|k| k.ifindex).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Puts back the settings of an interface; `ifname` is its name now, none if it is gone. Returns what was put
    /// back, as `IFNAME.KEY = VALUE`, and what could not be.
    pub(super) fn restore(&mut self, ifindex: u32, ifname: Option<&str>) -> Restored {
        let mut done = Restored::default();
        let (of_it, rest): (Vec<Kept>, Vec<Kept>) =
            std::mem::take(&mut self.list).into_iter().partition(|k| k.ifindex == ifindex);
        self.list = rest;
        if of_it.is_empty() {
            return done;
        }
        for k in of_it {
            let Some(name) = ifname else { continue };
            // Gone in between is as good as restored.
            if sysctl::get(k.family, name, &k.key).ok().as_deref() != Some(k.set.as_str()) {
                continue;
            }
            match sysctl::set(k.family, name, &k.key, &k.before) {
                Ok(()) => done.settings.push(format!("{name}.{} = {}", k.key, k.before)),
                Err(e) => done.errors.push(format!("cannot put back {name}.{} = {}: {e}", k.key, k.before)),
            }
        }
        if let Err(e) = self.save() {
            done.errors.push(format!("cannot write {}: {e}", self.file.display()));
        }
        done
    }

    fn save(&self) -> io::Result<()> {
        if self.list.is_empty() {
            return match std::fs::remove_file(&self.file) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
                _ => Ok(()),
            };
        }
        let temporary = self.file.with_extension("new");
        std::fs::write(&temporary, serde_json::to_vec(&self.list)?)?;
        std::fs::rename(temporary, &self.file)
    }
}

/// What [`KeptSettings::restore`] did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Restored {
    /// Settings that are what they were before.
    pub(super) settings: Vec<String>,
    /// Those that are not.
    pub(super) errors: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_outlives_the_run_and_ends_with_its_last_entry() {
        let dir = tempfile::tempdir().unwrap();
        let mut kept = KeptSettings::load(dir.path());
        kept.list.push(Kept {
            ifindex: 4,
            family: Family::Ipv4,
            key: "arp_ignore".into(),
            before: "0".into(),
            set: "1".into(),
        });
        kept.save().unwrap();
        let mut again = KeptSettings::load(dir.path());
        assert_eq!((again.interfaces(), &again.list), (vec![4], &kept.list));
        assert_eq!(again.restore(9, None), Restored::default());
        assert_eq!(again.interfaces(), [4], "another interface");
        assert_eq!(again.restore(4, None), Restored::default(), "the interface is gone");
        assert!(!dir.path().join(LIST).exists());
        assert_eq!(KeptSettings::load(dir.path()).interfaces(), [0u32; 0]);
    }

    #[test]
    fn a_broken_list_is_an_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(LIST), "[{").unwrap();
        assert_eq!(KeptSettings::load(dir.path()).interfaces(), [0u32; 0]);
    }
}
