//! All trackers: one task each, started, kept over reloads, and stopped.

use super::sink::{Board, Sink};
use super::{Report, TrackId, file, processes, script};
use crate::config::{FileTrack, ProcessTrack, ScriptTrack, TrackKind, Tracks, UserRef};
use std::collections::BTreeMap;
use std::sync::PoisonError;
use tokio::sync::mpsc::Sender;
use tokio::task::JoinHandle;

/// What a tracker was told; a tracker whose settings stay the same does not notice a reload.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Settings {
    Script(ScriptTrack, Option<UserRef>),
    Process(ProcessTrack),
    File(FileTrack),
}

impl Settings {
    fn id(&self) -> TrackId {
        let (kind, name) = match self {
            Settings::Script(s, _) => (TrackKind::Script, &s.name),
            Settings::Process(p) => (TrackKind::Process, &p.name),
            Settings::File(f) => (TrackKind::File, &f.name),
        };
        TrackId { kind, name: name.clone() }
    }

    /// The weight is the instances' business: a change of it alone restarts nothing.
    fn without_weight(mut self) -> Self {
        match &mut self {
            Settings::Script(s, _) => s.weight = 0,
            Settings::Process(p) => p.weight = 0,
            Settings::File(f) => f.weight = 0,
        }
        self
    }
}

/// The trackers that run.
#[derive(Debug)]
pub struct Trackers {
    running: BTreeMap<TrackId, (Settings, JoinHandle<()>)>,
    board: Board,
    channel: Sender<Report>,
}

impl Trackers {
    /// Starts all. Must be called within a tokio runtime. Reports go to `channel`; when it is full, trackers wait.
    pub fn start(tracks: &Tracks, default_user: Option<&UserRef>, channel: Sender<Report>) -> Self {
        let mut trackers = Trackers { running: BTreeMap::new(), board: Board::default(), channel };
        trackers.reload(tracks, default_user);
        trackers
    }

    /// Starts what is new or changed, stops what is gone, leaves the rest alone.
    pub fn reload(&mut self, tracks: &Tracks, default_user: Option<&UserRef>) {
        let user = |s: &ScriptTrack| s.user.is_none().then(|| default_user.cloned()).flatten();
        let scripts = tracks.scripts.iter().map(|s| Settings::Script(s.clone(), user(s)));
        let processes = tracks.processes.iter().map(|p| Settings::Process(p.clone()));
        let files = tracks.files.iter().map(|f| Settings::File(f.clone()));
        let wanted: BTreeMap<TrackId, Settings> =
            scripts.chain(processes).chain(files).map(|s| (s.id(), s.without_weight())).collect();
        let board = self.board.clone();
        self.running.retain(|id, (settings, task)| {
            let same = wanted.get(id) == Some(settings);
            if !same {
                // Dropping a running script's future kills its process group.
                task.abort();
                board.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
            }
            same
        });
        for (id, settings) in wanted {
            if !self.running.contains_key(&id) {
                let sink = Sink::new(id.clone(), self.board.clone(), self.channel.clone());
                let task = match settings.clone() {
                    Settings::Script(s, user) => tokio::spawn(script::watch(s, user, sink)),
                    Settings::Process(p) => tokio::spawn(processes::watch(p, sink)),
                    Settings::File(f) => tokio::spawn(file::watch(f, sink)),
                };
                self.running.insert(id, (settings, task));
            }
        }
    }

    /// The last report of each.
    pub fn snapshot(&self) -> Vec<Report> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Stops all; scripts that run are killed.
    pub async fn stop(&mut self) {
        for (_, (_, task)) in std::mem::take(&mut self.running) {
            task.abort();
            // Aborted, or ended by itself: both are the end.
            let _ = task.await;
        }
    }
}
