//! Configuration: TOML files to checked settings, with every mistake found in one run.
//!
//! [`load()`] reads files, [`parse`] texts; both give a [`Config`] or all [`Diagnostics`]. The way: `reader` walks
//! the TOML tree, one module a table judges what can be judged alone, `cross` what concerns several tables.
//! [`effective_toml`] writes a configuration out again, [`diff()`] says what a reload changes.

mod address;
mod auth_hmac;
mod bfd;
mod cross;
mod diagnostic;
mod diff;
mod duration;
mod group;
mod instance;
mod interface;
pub(crate) mod key_file;
mod keys;
mod load;
mod model;
mod names;
mod node;
mod once;
mod pair;
mod reader;
mod render;
mod report;
mod resource;
mod restart;
mod routing;
mod tie;
mod tracks;
mod transport;
mod virtual_addresses;
mod vmac;
mod words;

pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use diff::{Changed, Diff, KeyChange, Section, diff};
pub use load::{Loaded, Options, beside, load, load_as, parse};
pub use model::{
    BfdTrack, Config, FileTrack, GarpGroup, Instance, InterfaceSettings, Node, NotifyScripts, ProcessTrack,
    Realtime, ScriptCommand, ScriptTrack, SyncGroup, TrackKind, TrackRef, Tracks, UserRef, VirtualAddress,
    Vmac,
};
pub use pair::{
    DIRECT_LINK, DayWindow, DirectLink, EtcdSettings, EtcdTls, Failback, Fence, FenceAction, FenceAgent,
    Fingerprint, FlapLimit, NETWORK_LINK, PAIR_PORT, PairServer, PairSettings, WITNESS_PORT, Watchdog,
    Witness, WitnessKind, WitnessPair, WitnessServer,
};
pub use render::effective_toml;
pub use report::Source;
pub use resource::{
    Activation, AddressOrder, DrbdResource, ExecResource, ExecRun, FileResource, FilesystemResource, Fsck,
    GroupResource, OcfResource, PeerLost, PostgresqlResource, Rejoin, Resource, ResourceKind, ResourceTrack,
    Space, SystemdResource,
};
pub use routing::{
    Network, NotRouting, RouteHop, RouteKind, RouteOption, RuleAction, VirtualPrefix, VirtualRoute,
    VirtualRule,
};
