//! Configuration: TOML files to checked settings, with every mistake found in one run.

mod model;

pub use model::{
    Config, FileTrack, Instance, Node, NotifyScripts, ProcessTrack, ScriptCommand, ScriptTrack, SyncGroup,
    TrackKind, TrackRef, Tracks, UserRef, VirtualAddress,
};
