//! BFD sessions on a thread of their own: the `bfd` core, its sockets and one epoll.
//!
//! Nothing on the thread waits for anything but packets and deadlines, so that sessions with detection times of some
//! 10 ms hold. It is started with the first session that a configuration has. What it has to say goes through a
//! bounded channel; of the verdicts of a session the newest survives, log lines that do not fit are counted.

mod outbox;
mod running;
mod thread;

use crate::config::{BfdTrack, Realtime};
use crate::control::api::BfdStatus;
use crate::net::NetError;
use crate::net::poller::{Poller, Waker};
use crate::track::Report;
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};

/// Commands that may wait for the thread.
const COMMANDS: usize = 64;
/// News that may wait for the main thread.
const NEWS: usize = 256;

/// To the thread.
#[derive(Debug)]
enum Command {
    /// Run these sessions from now on, scheduled so.
    Apply(Vec<BfdTrack>, Realtime),
    /// What do you do now?
    View(oneshot::Sender<View>),
    /// Take leave of the neighbours and end.
    Stop,
}

/// From the thread.
#[derive(Debug)]
pub(super) enum News {
    /// A session's verdict, as of any tracker.
    Report(Report),
    /// A line for the log.
    Line {
        /// Should be looked at.
        warning: bool,
        /// The words.
        text: String,
    },
}

/// All sessions at one moment.
#[derive(Debug, Default)]
pub(super) struct View {
    /// The last verdict of each, with the details of now.
    pub(super) tracks: Vec<(Report, BfdStatus)>,
    /// Counters by name; packets that belong to no session under an empty name.
    pub(super) counters: BTreeMap<String, BTreeMap<String, u64>>,
}

#[derive(Debug)]
struct Handle {
    commands: SyncSender<Command>,
    waker: Waker,
    news: mpsc::Receiver<News>,
    thread: JoinHandle<()>,
}

/// The main thread's end.
#[derive(Debug, Default)]
pub(super) struct Bfd(Option<Handle>);

impl Bfd {
    /// Runs these sessions from now on. Those that stay the same do not notice; one that is gone takes leave of its
    /// neighbour.
    pub(super) fn apply(&mut self, tracks: &[BfdTrack], realtime: Realtime) -> Result<(), String> {
        if self.0.is_none() {
            if tracks.is_empty() {
                return Ok(());
            }
            self.0 = Some(spawn().map_err(|e| e.to_string())?);
        }
        self.send(Command::Apply(tracks.to_vec(), realtime))
    }

    fn send(&self, command: Command) -> Result<(), String> {
        let Some(handle) = &self.0 else { return Ok(()) };
        let sent = handle.commands.try_send(command);
        handle.waker.wake();
        sent.map_err(|_| "the BFD thread does not take commands".to_owned())
    }

    /// The next news; none: the thread has ended. Without a thread this waits for ever.
    pub(super) async fn next(&mut self) -> Option<News> {
        match &mut self.0 {
            Some(handle) => handle.news.recv().await,
            None => std::future::pending().await,
        }
    }

    /// Asks for a picture of now; none without a thread.
    pub(super) fn view(&self) -> Option<oneshot::Receiver<View>> {
        self.0.as_ref()?;
        let (reply, answer) = oneshot::channel();
        self.send(Command::View(reply)).ok()?;
        Some(answer)
    }

    /// Takes leave of all neighbours and waits for the thread's end, which takes no longer than some packets.
    pub(super) fn stop(&mut self) -> Result<(), String> {
        // With a full queue of commands the end of the channel says the same.
        let _ = self.send(Command::Stop);
        let Some(Handle { commands, waker, news, thread }) = self.0.take() else { return Ok(()) };
        drop((commands, news));
        waker.wake();
        thread.join().map_err(|_| "the BFD thread panicked".to_owned())
    }
}

fn spawn() -> Result<Handle, NetError> {
    let (commands, inbox): (_, Receiver<Command>) = sync_channel(COMMANDS);
    let (outbox, news) = mpsc::channel(NEWS);
    let poller = Poller::new()?;
    let waker = poller.waker();
    let mut worker = thread::Worker::new(poller, inbox, outbox);
    let thread = std::thread::Builder::new()
        .name("bfd".into())
        .spawn(move || worker.run())
        .map_err(|e| NetError::from_io("start", "the BFD thread", &e))?;
    Ok(Handle { commands, waker, news, thread })
}
