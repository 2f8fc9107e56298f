//! What an event is. JSON field names are a contract: scripts are written against them. Fields are added, never renamed.

use super::store::Stored;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// No text of an event is longer, in characters.
const TEXT: usize = 1000;
/// No name or state is longer, in characters.
const NAME: usize = 255;

/// Something that happened, as people and scripts see it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Event {
    /// Its number on this node, from 1. It rises over restarts; numbers may be missing.
    pub id: u64,
    /// Wall clock when it happened.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub fact: Fact,
}

impl From<Stored<Fact>> for Event {
    fn from(s: Stored<Fact>) -> Self {
        Event { id: s.id, at: s.at, fact: s.value }
    }
}

/// What happened: what of, from, to, why, who, on which node. This is what is stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Fact {
    /// Name of the node that saw it.
    pub node: String,
    /// What it is about.
    pub kind: Kind,
    /// Its name; none: the daemon, or all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How much it matters.
    pub level: Severity,
    /// The state before, in snake_case; none: it is no change of state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The state after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Why, or what was done, in words. May have several lines.
    pub why: String,
    /// Who brought it about.
    pub who: Who,
}

impl Fact {
    /// A fact of this kind without a name and states, by the daemon itself; the methods add the rest.
    pub fn new(kind: Kind, why: impl Into<String>) -> Self {
        Fact {
            node: String::new(),
            kind,
            name: None,
            level: Severity::Info,
            from: None,
            to: None,
            why: cut(why.into(), TEXT),
            who: Who::Daemon,
        }
    }

    /// About this one.
    pub fn about(self, name: impl Into<String>) -> Self {
        Fact { name: Some(cut(name.into(), NAME)), ..self }
    }

    /// A change of state; the words become snake_case.
    pub fn change(self, from: impl fmt::Display, to: impl fmt::Display) -> Self {
        let word = |s: String| cut(s.to_lowercase().replace([' ', '-'], "_"), NAME);
        Fact { from: Some(word(from.to_string())), to: Some(word(to.to_string())), ..self }
    }

    /// By this one.
    pub fn by(self, who: Who) -> Self {
        Fact { who, ..self }
    }

    /// As important as that.
    pub fn level(self, level: Severity) -> Self {
        Fact { level, ..self }
    }
}

fn cut(text: String, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}...", text.get(..at).unwrap_or_default()),
        None => text,
    }
}

/// What an event is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A virtual router.
    Instance,
    /// A sync group.
    Group,
    /// A track: script, process, file, BFD session.
    Track,
    /// A resource, or all of them.
    Resource,
    /// A pair.
    Pair,
    /// tandemd itself.
    Daemon,
    /// Something that an operator told it.
    Operator,
}

impl Kind {
    /// As in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Kind::Instance => "instance",
            Kind::Group => "group",
            Kind::Track => "track",
            Kind::Resource => "resource",
            Kind::Pair => "pair",
            Kind::Daemon => "daemon",
            Kind::Operator => "operator",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// How much an event matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Things go their way.
    Info,
    /// Somebody should look.
    Warning,
    /// Something does not work.
    Error,
}

/// Who brought something about.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Who {
    /// A person or a script, over the control socket.
    Operator(Operator),
    /// Another node.
    Peer {
        /// Its name or address.
        name: String,
    },
    /// Time that ran out.
    Timer,
    /// A track.
    Track {
        /// `script`, `process`, `file`, `bfd` or `interface`.
        track: String,
        /// Its name.
        name: String,
    },
    /// A resource, by what became of it.
    Resource {
        /// Its name.
        name: String,
    },
    /// The network: a link, an address, a neighbour.
    Network,
    /// tandemd, by its settings and what it knows.
    Daemon,
}

/// Who talked to the control socket, as the kernel names them.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Operator {
    /// User id.
    pub uid: u32,
    /// The user's name, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Who had logged in, where that is another user (who became root with sudo), as an id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_uid: Option<u32>,
    /// The same by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
    /// Process id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |uid: u32, name: &Option<String>| name.clone().unwrap_or_else(|| format!("uid {uid}"));
        f.write_str(&name(self.uid, &self.user))?;
        match self.login_uid {
            Some(uid) => write!(f, " (logged in as {})", name(uid, &self.login)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::Operator(o) => o.fmt(f),
            Who::Peer { name } => write!(f, "peer {name}"),
            Who::Timer => f.write_str("timer"),
            Who::Track { track, name } => write!(f, "track {track} {name}"),
            Who::Resource { name } => write!(f, "resource {name}"),
            Who::Network => f.write_str("network"),
            Who::Daemon => f.write_str("daemon"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_words_of_the_json_are_what_scripts_are_written_against() {
        let who =
            Operator { uid: 0, user: Some("root".into()), login_uid: Some(1000), ..Operator::default() };
        let fact = Fact::new(Kind::Instance, "192.0.2.2 gave up").about("kad").change("BACKUP", "MASTER");
        let fact = Fact { node: "esc-1".into(), ..fact.by(Who::Operator(who)).level(Severity::Warning) };
        let event = Event { id: 7, at: "2026-11-21T12:26:50Z".parse().unwrap(), fact };
        let json = json!({
            "id": 7, "at": "2026-11-21T12:26:50Z", "node": "esc-1", "kind": "instance", "name": "kad", "level": "warning",
            "from": "backup", "to": "master", "why": "192.0.2.2 gave up",
            "who": { "kind": "operator", "uid": 0, "user": "root", "login_uid": 1000 },
        });
        assert_eq!(serde_json::to_value(&event).unwrap(), json);
        assert_eq!(serde_json::from_value::<Event>(json).unwrap(), event);
        assert_eq!(event.fact.who.to_string(), "root (logged in as uid 1000)");
        for kind in [
            Kind::Instance,
            Kind::Group,
            Kind::Track,
            Kind::Resource,
            Kind::Pair,
            Kind::Daemon,
            Kind::Operator,
        ] {
            assert_eq!(serde_json::to_value(kind).unwrap(), json!(kind.word()));
        }
    }

    #[test]
    fn no_text_is_longer_than_an_event_can_bear() {
        let fact = Fact::new(Kind::Daemon, "\u{1}".repeat(100_000)).about("ä".repeat(1000));
        let fact = fact.change("x ".repeat(1000), "y");
        assert!(serde_json::to_string(&fact).unwrap().len() < 8192);
        assert_eq!(fact.why.chars().count(), TEXT + 3);
        assert_eq!(fact.to.as_deref(), Some("y"));
    }
}
