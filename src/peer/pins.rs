//! The certificates that this node accepts: those of the peers that it was registered with.

use super::{Fingerprint, Name, directory, file};
use crate::config::key_file;
use serde::{Deserialize, Serialize};
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use thiserror::Error;

/// Name of the file.
const FILE: &str = "pins.json";
/// More pairs than a node can serve.
const MOST: usize = 64;
/// A file of [`MOST`] pins is far below this.
const LONGEST: u64 = 256 << 10;

/// A pinned certificate: this node, in this pair, is who shows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pin {
    /// The pair.
    pub pair: Name,
    /// Name of the other node.
    pub node: Name,
    /// Its address at the registration.
    pub address: IpAddr,
    /// Of its certificate.
    pub fingerprint: Fingerprint,
    /// When it was pinned.
    pub since: jiff::Timestamp,
    /// Registered, and nothing was heard of the peer since: it may have given up at the last step. See
    /// [`Pins::confirm`].
    #[serde(default)]
    pub trial: bool,
    /// While it is on trial: the pin whose place it took, which comes back if nothing comes of this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Box<Pin>>,
}

impl Pin {
    /// What is known of the pair's other node for sure: this, or what it stands in for while it is on trial.
    pub fn settled(self) -> Option<Pin> {
        if self.trial { self.replaces.map(|old| *old) } else { Some(self) }
    }
}

/// Why pins cannot be read, changed, or used.
#[derive(Debug, Error)]
pub enum PinError {
    /// Another certificate is pinned for this node.
    #[error(
        "the certificate of {node} has changed: {pinned} is pinned, it shows {shown}. If the node was replaced or its state \
         lost, forget the old one (tandemadm ha tofu delete {node}) and register again; if not, somebody else answers in its place"
    )]
    Changed {
        /// Which node, by name or address.
        node: String,
        /// What is pinned.
        pinned: Fingerprint,
        /// What it shows now.
        shown: Fingerprint,
    },
    /// The pair has another node already.
    #[error("the pair {pair} is registered with {node}: remove that first (tandemadm ha remove)")]
    Taken {
        /// Which pair.
        pair: Name,
        /// With whom.
        node: Name,
    },
    /// No room.
    #[error(
        "{MOST} certificates are pinned, which is all that there is room for: delete some (tandemadm ha tofu list)"
    )]
    Full,
    /// Nothing to delete.
    #[error("no certificate of {host} is pinned{}", listed(.known))]
    Nobody {
        /// What was asked for.
        host: String,
        /// The nodes of which one is.
        known: Vec<Name>,
    },
    /// The file cannot be written.
    #[error("cannot write {}: {source}; nothing was changed", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// The errno.
        source: io::Error,
    },
    /// The file cannot be read, or others can change it.
    #[error("the pinned certificates: {message}{}", .help.as_ref().map(|h| format!(" ({h})")).unwrap_or_default())]
    Read {
        /// What is wrong.
        message: String,
        /// What helps.
        help: Option<String>,
    },
    /// The file is not what was written there.
    #[error(
        "{} is damaged ({why}). Put it back from a backup, or remove it and register the pairs again", path.display()
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// In which way.
        why: String,
    },
}

fn listed(nodes: &[Name]) -> String {
    let names: Vec<&str> = nodes.iter().map(Name::as_str).collect();
    if names.is_empty() { "; none is".to_owned() } else { format!("; there are {}", names.join(", ")) }
}

/// Whether a pin is new.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pinned {
    /// It was not there.
    New,
    /// The same certificate was pinned already for this node and pair, by an earlier registration.
    Before,
}

/// All pinned certificates, in STATE_DIR/peer/pins.json (mode 0600). Clones are the same store. Asking takes no time;
/// changing blocks on the disk, and what it changed is on the disk when it returns.
#[derive(Clone, Debug)]
pub struct Pins {
    store: Arc<Store>,
}

#[derive(Debug)]
struct Store {
    path: PathBuf,
    /// Held while the file is written; the list never is, so that who only asks does not wait for a disk.
    writing: Mutex<()>,
    list: RwLock<Arc<Vec<Pin>>>,
}

impl Pins {
    /// The pins below the state directory; none if there is no file.
    ///
    /// # Errors
    /// If the file cannot be read or understood. It does not count as empty then.
    pub fn load(state_dir: &Path) -> Result<Self, PinError> {
        let path = directory(state_dir).join(FILE);
        let failed =
            |e: io::Error| PinError::Read { message: format!("{}: {e}", path.display()), help: None };
        let list = if path.try_exists().map_err(failed)? { read(&path)? } else { Vec::new() };
        Ok(Pins {
            store: Arc::new(Store { path, writing: Mutex::default(), list: RwLock::new(Arc::new(list)) }),
        })
    }

    fn snapshot(&self) -> Arc<Vec<Pin>> {
        self.store.list.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All of them.
    pub fn list(&self) -> Vec<Pin> {
        self.snapshot().to_vec()
    }

    /// Those with this certificate: one for each pair with that node.
    pub fn of(&self, fingerprint: &Fingerprint) -> Vec<Pin> {
        self.snapshot().iter().filter(|p| p.fingerprint == *fingerprint).cloned().collect()
    }

    /// Whether this certificate is pinned.
    pub fn knows(&self, fingerprint: &Fingerprint) -> bool {
        self.snapshot().iter().any(|p| p.fingerprint == *fingerprint)
    }

    /// Whether a pinned node had this address at its registration.
    pub fn has_address(&self, address: IpAddr) -> bool {
        self.snapshot().iter().any(|p| p.address == address)
    }

    /// The pin of a pair.
    pub fn of_pair(&self, pair: &Name) -> Option<Pin> {
        self.snapshot().iter().find(|p| p.pair == *pair).cloned()
    }

    /// Whether the node at an address may show this certificate: nothing is pinned for it, or this.
    ///
    /// # Errors
    /// [`PinError::Changed`].
    pub fn check_address(&self, address: IpAddr, shown: Fingerprint) -> Result<(), PinError> {
        let list = self.snapshot();
        // A node that has moved is known by its certificate wherever it is.
        if list.iter().any(|p| p.fingerprint == shown) {
            return Ok(());
        }
        match list.iter().find(|p| p.address == address) {
            Some(p) => Err(PinError::Changed { node: p.node.to_string(), pinned: p.fingerprint, shown }),
            None => Ok(()),
        }
    }

    /// Whether a node may be pinned for a pair with this certificate.
    ///
    /// # Errors
    /// If it has another one, the pair has another node, or there is no room.
    pub fn check(&self, pair: &Name, node: &Name, shown: Fingerprint) -> Result<(), PinError> {
        check(&self.snapshot(), pair, node, shown)
    }

    /// Pins a certificate. One that is there already stays as it is.
    ///
    /// # Errors
    /// Those of [`Pins::check`], and the disk's.
    pub fn pin(&self, pin: Pin) -> Result<Pinned, PinError> {
        self.change(|list| {
            check(list, &pin.pair, &pin.node, pin.fingerprint)?;
            if list.iter().any(|p| (&p.pair, &p.node) == (&pin.pair, &pin.node)) {
                return Ok(Pinned::Before);
            }
            list.push(pin);
            Ok(Pinned::New)
        })
    }

    /// Whether a node may be pinned for a pair in the place of one with the certificate `old`.
    ///
    /// # Errors
    /// As [`Pins::check`]; also if the pair is registered with a third one by now.
    pub fn check_place(
        &self,
        pair: &Name,
        node: &Name,
        shown: Fingerprint,
        old: Fingerprint,
    ) -> Result<(), PinError> {
        check_place(&self.snapshot(), pair, node, shown, old)
    }

    /// Pins a certificate in the place of another one, which is kept beside it while the new one is on trial. One that is there
    /// already stays as it is.
    ///
    /// # Errors
    /// Those of [`Pins::check_place`], and the disk's.
    pub fn put_in_place(&self, pin: Pin, old: Fingerprint) -> Result<Pinned, PinError> {
        self.change(|list| {
            check_place(list, &pin.pair, &pin.node, pin.fingerprint, old)?;
            let Some(place) = list.iter_mut().find(|p| p.pair == pin.pair) else {
                list.push(pin);
                return Ok(Pinned::New);
            };
            if place.fingerprint == pin.fingerprint {
                return Ok(Pinned::Before);
            }
            let replaces = place.clone().settled().map(Box::new);
            *place = Pin { replaces, ..pin };
            Ok(Pinned::New)
        })
    }

    /// The peer with this certificate was heard: its pins are on trial no longer. Returns whether any was.
    ///
    /// # Errors
    /// The disk's.
    pub fn confirm(&self, fingerprint: &Fingerprint) -> Result<bool, PinError> {
        self.change(|list| {
            let on_trial = list.iter_mut().filter(|p| p.trial && p.fingerprint == *fingerprint);
            Ok(on_trial.map(|p| (p.trial, p.replaces) = (false, None)).count() > 0)
        })
    }

    /// Takes back what is on trial with this certificate; whatever it took the place of is there again. Returns it.
    ///
    /// # Errors
    /// The disk's.
    pub fn drop_trial(&self, fingerprint: &Fingerprint) -> Result<Vec<Pin>, PinError> {
        self.change(|list| Ok(take_back(list, |p| p.fingerprint == *fingerprint)))
    }

    /// The same with what is on trial for a pair: what a registration has left that was not finished.
    ///
    /// # Errors
    /// The disk's.
    pub fn drop_trial_of(&self, pair: &Name) -> Result<Option<Pin>, PinError> {
        self.change(|list| Ok(take_back(list, |p| p.pair == *pair).pop()))
    }

    /// Takes back the pin of a pair, if there is one. Returns it.
    ///
    /// # Errors
    /// The disk's.
    pub fn delete_pair(&self, pair: &Name) -> Result<Option<Pin>, PinError> {
        self.change(|list| Ok(list.extract_if(.., |p| p.pair == *pair).next()))
    }

    /// Forgets a node, by its name or its address, in all pairs (`ha tofu delete HOST`). Returns what was pinned.
    ///
    /// # Errors
    /// If there is no such node, and the disk's.
    pub fn delete(&self, host: &str) -> Result<Vec<Pin>, PinError> {
        let address: Option<IpAddr> = host.parse().ok();
        self.change(|list| {
            let mut known: Vec<Name> = list.iter().map(|p| p.node.clone()).collect();
            known.sort_unstable();
            known.dedup();
            let is_it = |p: &mut Pin| p.node.as_str() == host || Some(p.address) == address;
            let gone: Vec<Pin> = list.extract_if(.., is_it).collect();
            if gone.is_empty() {
                Err(PinError::Nobody { host: super::compare::printable(host), known })
            } else {
                Ok(gone)
            }
        })
    }

    /// Disk first: what is not on it never counted.
    fn change<T>(&self, edit: impl FnOnce(&mut Vec<Pin>) -> Result<T, PinError>) -> Result<T, PinError> {
        let store = &self.store;
        let _one_writer = store.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.snapshot();
        let mut list = before.to_vec();
        let result = edit(&mut list)?;
        if list != *before {
            let write = |source| PinError::Write { path: store.path.clone(), source };
            file::private_dir(store.path.parent().unwrap_or(Path::new("/"))).map_err(write)?;
            let text = serde_json::to_vec_pretty(&list).map_err(|e| write(e.into()))?;
            file::replace(&store.path, &text).map_err(write)?;
            *store.list.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(list);
        }
        Ok(result)
    }
}

/// Takes those of them back that are on trial.
fn take_back(list: &mut Vec<Pin>, which: impl Fn(&Pin) -> bool) -> Vec<Pin> {
    let dropped: Vec<Pin> = list.extract_if(.., |p| p.trial && which(p)).collect();
    list.extend(dropped.iter().filter_map(|p| p.replaces.clone()).map(|old| *old));
    dropped
}

fn check_place(
    list: &[Pin],
    pair: &Name,
    node: &Name,
    shown: Fingerprint,
    old: Fingerprint,
) -> Result<(), PinError> {
    let Some(place) = list.iter().find(|p| p.pair == *pair) else { return check(list, pair, node, shown) };
    let stood = place.fingerprint == old || place.replaces.as_ref().is_some_and(|p| p.fingerprint == old);
    if !stood {
        return Err(PinError::Taken { pair: pair.clone(), node: place.node.clone() });
    }
    // In its other pairs the dead node is still known by the old certificate.
    let another =
        |p: &&Pin| p.pair != *pair && p.node == *node && p.fingerprint != shown && p.fingerprint != old;
    match list.iter().find(another) {
        Some(p) => Err(PinError::Changed { node: node.to_string(), pinned: p.fingerprint, shown }),
        None => Ok(()),
    }
}

fn read(path: &Path) -> Result<Vec<Pin>, PinError> {
    let content =
        key_file::guarded(path, LONGEST).map_err(|f| PinError::Read { message: f.message, help: f.help })?;
    serde_json::from_slice(&content)
        .map_err(|e| PinError::Damaged { path: path.to_owned(), why: e.to_string() })
}

fn check(list: &[Pin], pair: &Name, node: &Name, shown: Fingerprint) -> Result<(), PinError> {
    if let Some(p) = list.iter().find(|p| p.node == *node && p.fingerprint != shown) {
        return Err(PinError::Changed { node: node.to_string(), pinned: p.fingerprint, shown });
    }
    match list.iter().find(|p| p.pair == *pair) {
        Some(p) if p.node != *node => Err(PinError::Taken { pair: pair.clone(), node: p.node.clone() }),
        Some(_) => Ok(()),
        None if list.len() >= MOST => Err(PinError::Full),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
