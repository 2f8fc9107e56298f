//! What the two nodes tell each other. Each heartbeat says everything, so one that is lost is made good by the next.

use super::input::Data;
use super::state::State;
use super::types::{Generation, Id, Life, Role};
use serde::{Deserialize, Serialize};

/// How far a node is with serving.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Serving {
    /// Not, and nothing of it is left.
    No,
    /// On its way up.
    GoingUp,
    /// It serves, or has the right to.
    Yes,
    /// On its way down; nobody else may begin yet.
    GoingDown,
}

/// A node wishes to serve.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Wish {
    /// Its name; the answer carries it.
    pub id: Id,
    /// In words.
    pub why: String,
    /// An operator is behind it.
    pub ordered: bool,
}

/// A node that serves would like the other one to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Invitation {
    /// The wish that answers it has the same id.
    pub id: Id,
    /// In words.
    pub why: String,
    /// An operator is behind it.
    pub ordered: bool,
}

/// What a node says to a wish of its peer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Answer {
    /// Of the wish.
    pub id: Id,
    /// What.
    pub verdict: Verdict,
}

/// See [`Answer`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It goes down for it.
    GoingDown,
    /// It does not serve, and will not before the wish is withdrawn or its owner counts as dead.
    Granted,
    /// No, and why.
    Refused(String),
}

/// One heartbeat. On the wire it is JSON; strings in it are bounded by the shell.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Beat {
    /// Which life of the sender.
    pub life: Life,
    /// Counts its heartbeats in this life.
    pub sequence: u64,
    /// What the sender is configured as.
    pub role: Role,
    /// Of the program.
    pub version: String,
    /// A digest of the settings that both have to agree on.
    pub settings: String,
    /// The newest heartbeat that it heard on each link; none if that link is silent for it.
    pub hears: Vec<Option<(Life, u64)>>,
    /// As it shows itself.
    pub state: State,
    /// How far it is with serving.
    pub serving: Serving,
    /// The highest generation that it knows.
    pub generation: Generation,
    /// The highest generation at which anybody has served, as far as it knows.
    pub latest: Generation,
    /// The generation at which it last served itself.
    pub served: Generation,
    /// The generation that its data belong to.
    pub synced: Generation,
    /// Its data.
    pub data: Data,
    /// Why it could not serve now; none: it could.
    pub unfit: Option<String>,
    /// What it wishes.
    pub wish: Option<Wish>,
    /// Whether it asks the receiver to take over.
    pub invitation: Option<Invitation>,
    /// What it says to the receiver's wish.
    pub answer: Option<Answer>,
    /// It is being stopped by an operator, and does not serve any more: the last word of this life.
    pub leaves: bool,
}

impl Beat {
    /// The same, but for what changes with every heartbeat.
    pub(super) fn gist(&self) -> Self {
        Beat { sequence: 0, hears: Vec::new(), ..self.clone() }
    }
}
