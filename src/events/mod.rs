//! What happened on this node: the type of an event, the store that keeps events (and anything else that is written down
//! one after the other), the thread that writes it, and queries.
//!
//! The room knows nothing of the rest of tandemd: names, states and reasons come as words from whoever saw the event.

mod event;
mod query;
mod store;
mod writer;

pub use event::{Event, Fact, Kind, Operator, Severity, Who};
pub use query::{EventsPage, LIMIT, Query, Since, read_events};
pub use store::{Limits, Page, Reader, Store, StoreError, Stored, Want};
pub use writer::{Counts, News, Settings, Writer};

/// Directory of the events, below STATE_DIR.
pub const DIRECTORY: &str = "events";
