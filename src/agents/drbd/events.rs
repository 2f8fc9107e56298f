//! `drbdsetup events2`, of DRBD 8.4 and 9: lines to a [`Picture`].
//!
//! Grammar (drbdsetup(8)): `[timestamp ]VERB OBJECT key:value ...`. A line holds only what has changed, keys and objects
//! that are not known are left alone, and `exists -` ends the first dump.

use super::picture::{Connection, PeerVolume, Picture, Volume};
use super::words::{Connected, Disk, Replication, Role};
use std::str::FromStr;

/// What a line was about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Applied {
    /// Another resource, or nothing that is looked at.
    Nothing,
    /// The picture may have changed.
    Changed,
    /// `exists -`: everything has been said once.
    DumpEnded,
    /// Lines were lost: the picture has to be read anew.
    Skipped,
    /// DRBD calls its helper.
    Helper(String),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    /// `exists`, `create`: everything about an object.
    Whole,
    /// `change`.
    Part,
    Destroy,
    Call,
}

struct Keys<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Keys<'a> {
    fn get(&self, key: &str) -> Option<&'a str> {
        self.0.iter().find(|(k, _)| *k == key).map(|(_, v)| *v)
    }

    fn number<T: FromStr>(&self, key: &str) -> Option<T> {
        self.get(key)?.parse().ok()
    }

    fn set<T>(&self, key: &str, to: &mut T, read: impl FnOnce(&str) -> T) {
        if let Some(value) = self.get(key) {
            *to = read(value);
        }
    }
}

fn yes(word: &str) -> bool {
    word == "yes"
}

fn unless_no(word: &str) -> Option<String> {
    (word != "no").then(|| word.to_owned())
}

impl Picture {
    /// What `drbdsetup events2 --now` says of the resource `name`.
    pub fn from_now(name: &str, text: &str) -> Self {
        let mut picture = Picture::new(name);
        for line in text.lines() {
            picture.apply(line);
        }
        picture
    }

    /// Takes in one line.
    pub fn apply(&mut self, line: &str) -> Applied {
        let mut words = line.split_ascii_whitespace().peekable();
        if words.peek().is_some_and(|w| w.starts_with(|c: char| c.is_ascii_digit())) {
            words.next();
        }
        let (Some(verb), Some(object)) = (words.next(), words.next()) else { return Applied::Nothing };
        let verb = match (verb, object) {
            ("-", "skipped") | ("rename", _) => return Applied::Skipped,
            ("exists", "-") => return Applied::DumpEnded,
            ("exists" | "create", _) => Verb::Whole,
            ("change", _) => Verb::Part,
            ("destroy", _) => Verb::Destroy,
            ("call", _) => Verb::Call,
            _ => return Applied::Nothing,
        };
        let keys = Keys(words.filter_map(|w| w.split_once(':')).collect());
        if keys.get("name") != Some(&self.name) {
            return Applied::Nothing;
        }
        match object {
            "resource" => self.resource(verb, &keys),
            "device" => self.device(verb, &keys),
            "connection" => self.connection(verb, &keys),
            "peer-device" => self.peer_device(verb, &keys),
            "helper" if verb == Verb::Call => {
                return keys.get("helper").map_or(Applied::Nothing, |h| Applied::Helper(h.to_owned()));
            }
            _ => return Applied::Nothing,
        }
        Applied::Changed
    }

    fn resource(&mut self, verb: Verb, keys: &Keys<'_>) {
        if verb == Verb::Destroy {
            *self = Picture::new(&self.name);
            return;
        }
        self.configured = true;
        keys.set("role", &mut self.role, Role::parse);
        keys.set("suspended", &mut self.suspended, unless_no);
        keys.set("force-io-failures", &mut self.force_io_failures, yes);
        keys.set("may_promote", &mut self.may_promote, |w| Some(yes(w)));
    }

    fn device(&mut self, verb: Verb, keys: &Keys<'_>) {
        let Some(number) = keys.number("volume") else { return };
        if verb == Verb::Destroy {
            self.volumes.remove(&number);
            return;
        }
        let v: &mut Volume = self.volumes.entry(number).or_default();
        keys.set("minor", &mut v.minor, |w| w.parse().ok());
        keys.set("disk", &mut v.disk, Disk::parse);
        keys.set("client", &mut v.client, yes);
        keys.set("open", &mut v.open, |w| Some(yes(w)));
        keys.set("quorum", &mut v.quorum, |w| Some(yes(w)));
        keys.set("backing_dev", &mut v.backing, |w| (w != "none").then(|| w.to_owned()));
        keys.set("size", &mut v.size_kib, |w| w.parse().ok());
    }

    fn connection(&mut self, verb: Verb, keys: &Keys<'_>) {
        let Some(peer) = keys.number("peer-node-id") else { return };
        if verb == Verb::Destroy {
            self.connections.remove(&peer);
            return;
        }
        let c: &mut Connection = self.connections.entry(peer).or_default();
        keys.set("conn-name", &mut c.name, str::to_owned);
        keys.set("connection", &mut c.state, Connected::parse);
        keys.set("role", &mut c.role, Role::parse);
    }

    fn peer_device(&mut self, verb: Verb, keys: &Keys<'_>) {
        let (Some(peer), Some(number)) = (keys.number::<u32>("peer-node-id"), keys.number("volume")) else {
            return;
        };
        let Some(c) = self.connections.get_mut(&peer) else { return };
        if verb == Verb::Destroy {
            c.volumes.remove(&number);
            return;
        }
        let v: &mut PeerVolume = c.volumes.entry(number).or_default();
        if let Some(word) = keys.get("replication") {
            v.replication = Replication::parse(word);
            // Said only while they hold.
            (v.done, v.eta) = (None, None);
        }
        keys.set("peer-disk", &mut v.disk, Disk::parse);
        keys.set("out-of-sync", &mut v.out_of_sync_kib, |w| w.parse().ok());
        keys.set("done", &mut v.done, |w| w.parse().ok().filter(|p| (0.0..=100.0).contains(p)));
        keys.set("eta", &mut v.eta, |w| w.parse().ok());
        keys.set("resync-suspended", &mut v.resync_suspended, unless_no);
    }
}
