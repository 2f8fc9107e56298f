//! The thread that writes a store. Whoever has something to store hands it over and goes on.

use super::store::{Limits, Store, StoreError};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// Records that wait for the thread; more are lost, and counted.
const QUEUE: usize = 1024;
/// Records of one commit.
const BATCH: usize = 256;
/// A disk that is full or broken is tried again after this.
const RETRY: Duration = Duration::from_secs(5);
/// How often old segments are looked for.
const EXPIRE: SignedDuration = SignedDuration::from_secs(3600);
/// The same loss is told once in so long.
const TELL_LOST: SignedDuration = SignedDuration::from_secs(60);
/// It parses no deep things; memory may be locked, so every page counts.
const STACK: usize = 512 << 10;

/// What a writer is told at its start.
pub struct Settings<T> {
    /// Name of the thread, 15 bytes at most.
    pub name: &'static str,
    /// The store's directory.
    pub dir: PathBuf,
    /// How much is kept.
    pub limits: Limits,
    /// The wall clock.
    pub clock: fn() -> Timestamp,
    /// Completes each record before it is written, on the writer's thread, where waiting for a file hurts nobody.
    pub complete: Box<dyn FnMut(&mut T) + Send>,
    /// Hears how it goes, on the writer's thread, and may have a record to add about it.
    pub tell: Box<dyn FnMut(News) -> Option<T> + Send>,
}

impl<T> fmt::Debug for Settings<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("name", &self.name).field("dir", &self.dir).finish_non_exhaustive()
    }
}

/// How the writing goes. Each trouble is told once, however long it lasts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum News {
    /// Nothing can be written now; why, in words. It is tried again every 5 s, and records wait as far as there is room.
    Failing(String),
    /// It works again, or keeps up again. `lost` records are missing since it did.
    Mended {
        /// How many.
        lost: u64,
    },
    /// One record cannot be stored at all; why, in words.
    Refused(String),
}

/// Since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Records that are on the disk.
    pub written: u64,
    /// Records that are lost: no room in the queue, or refused.
    pub lost: u64,
    /// Commits that failed.
    pub failed: u64,
}

struct Job<T> {
    at: Timestamp,
    value: T,
    complete: bool,
    done: Option<oneshot::Sender<u64>>,
}

struct Queue<T> {
    jobs: VecDeque<Job<T>>,
    limits: Option<Limits>,
    closed: bool,
}

struct Shared<T> {
    queue: Mutex<Queue<T>>,
    wake: Condvar,
    written: AtomicU64,
    lost: AtomicU64,
    failed: AtomicU64,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, Queue<T>> {
        // What a panic of another thread has left is a list all the same.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The way to the thread. When the last one is dropped, what waits is written and the thread ends.
pub struct Writer<T> {
    handle: Arc<Handle<T>>,
    newest: watch::Receiver<u64>,
}

struct Handle<T>(Arc<Shared<T>>);

impl<T> Drop for Handle<T> {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.wake.notify_all();
    }
}

impl<T> Clone for Writer<T> {
    fn clone(&self) -> Self {
        Writer { handle: self.handle.clone(), newest: self.newest.clone() }
    }
}

impl<T> fmt::Debug for Writer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("counts", &self.counts()).finish()
    }
}

impl<T> Writer<T> {
    /// Hands over a record and never waits. False if it is lost, as too many wait already or the writer is closed.
    pub fn append(&self, at: Timestamp, value: T) -> bool {
        self.push(Job { at, value, complete: false, done: None })
    }

    /// The same; the receiver gets the id when the record is safe on the disk, and an error if it is lost.
    pub fn append_durably(&self, at: Timestamp, value: T) -> oneshot::Receiver<u64> {
        let (done, receiver) = oneshot::channel();
        self.push(Job { at, value, complete: false, done: Some(done) });
        receiver
    }

    fn push(&self, job: Job<T>) -> bool {
        let shared = &self.handle.0;
        let mut queue = shared.lock();
        if queue.closed || queue.jobs.len() >= QUEUE {
            drop(queue);
            shared.lost.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        queue.jobs.push_back(job);
        drop(queue);
        shared.wake.notify_all();
        true
    }

    /// Other limits from now on.
    pub fn set_limits(&self, limits: Limits) {
        self.handle.0.lock().limits = Some(limits);
        self.handle.0.wake.notify_all();
    }

    /// The newest id that is on the disk; 0 before anything of this run is.
    pub fn newest(&self) -> watch::Receiver<u64> {
        self.newest.clone()
    }

    /// Since the start.
    pub fn counts(&self) -> Counts {
        let shared = &self.handle.0;
        let read = |n: &AtomicU64| n.load(Ordering::Relaxed);
        Counts { written: read(&shared.written), lost: read(&shared.lost), failed: read(&shared.failed) }
    }

    /// Takes nothing more, writes what waits and ends the thread, which also drops the other side of
    /// [`Writer::newest`]: wait for that, but not for ever, as a disk may hang.
    pub fn close(&self) {
        self.handle.0.lock().closed = true;
        self.handle.0.wake.notify_all();
    }
}

impl<T: Serialize + Send + 'static> Writer<T> {
    /// Starts the thread. It opens the store; where that fails it goes on trying.
    ///
    /// # Errors
    ///
    /// The thread cannot be started.
    pub fn start(settings: Settings<T>) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue { jobs: VecDeque::new(), limits: None, closed: false }),
            wake: Condvar::new(),
            written: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        });
        let (tell_newest, newest) = watch::channel(0);
        let thread = Thread {
            shared: shared.clone(),
            tell_newest,
            store: None,
            waiting: VecDeque::new(),
            staged: Vec::new(),
            failing: false,
            told_lost: 0,
            told_at: None,
            expired_at: (settings.clock)(),
            settings,
        };
        let name = thread.settings.name.to_owned();
        std::thread::Builder::new().name(name).stack_size(STACK).spawn(move || thread.run())?;
        Ok(Writer { handle: Arc::new(Handle(shared)), newest })
    }
}

struct Thread<T> {
    shared: Arc<Shared<T>>,
    tell_newest: watch::Sender<u64>,
    settings: Settings<T>,
    store: Option<Store>,
    /// Taken from the queue, without an id.
    waiting: VecDeque<Job<T>>,
    /// Staged in the store: who waits for each, and its id.
    staged: Vec<(u64, Option<oneshot::Sender<u64>>)>,
    failing: bool,
    told_lost: u64,
    told_at: Option<Timestamp>,
    expired_at: Timestamp,
}

impl<T: Serialize> Thread<T> {
    fn run(mut self) {
        loop {
            self.turn();
            if self.wait() && (self.failing || self.is_idle()) {
                // Once more, for what came since; what cannot be written now is lost.
                self.turn();
                let left = self.waiting.len() + self.staged.len() + self.shared.lock().jobs.len();
                self.shared.lost.fetch_add(left as u64, Ordering::Relaxed);
                return;
            }
            self.expire();
        }
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.staged.is_empty() && self.shared.lock().jobs.is_empty()
    }

    /// Until there is something to do, or something to try again. Says whether the writer is closed.
    fn wait(&mut self) -> bool {
        let (left, failing) = (!self.waiting.is_empty(), self.failing);
        let limit = if failing { RETRY } else { EXPIRE.unsigned_abs() };
        let idle = |q: &mut Queue<T>| {
            // While it fails nothing is taken before the next try.
            !q.closed && (failing || (!left && q.jobs.is_empty() && q.limits.is_none()))
        };
        let waited = self.shared.wake.wait_timeout_while(self.shared.lock(), limit, idle);
        let (queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        queue.closed
    }

    /// Takes what waits and writes it.
    fn turn(&mut self) {
        {
            let mut queue = self.shared.lock();
            if let Some(limits) = queue.limits.take() {
                self.settings.limits = limits;
                if let Some(store) = &mut self.store {
                    store.set_limits(limits);
                }
            }
            let room = BATCH.saturating_sub(self.waiting.len());
            let count = room.min(queue.jobs.len());
            self.waiting.extend(queue.jobs.drain(..count));
        }
        match self.write() {
            Ok(()) => self.works(),
            Err(e) => self.fails(&e),
        }
    }

    fn write(&mut self) -> Result<(), StoreError> {
        let store = match &mut self.store {
            Some(store) => store,
            none => none.insert(Store::open(&self.settings.dir, self.settings.limits)?),
        };
        let mut refused = Vec::new();
        while let Some(mut job) = self.waiting.pop_front() {
            if !std::mem::replace(&mut job.complete, true) {
                (self.settings.complete)(&mut job.value);
            }
            match store.stage(job.at, &job.value) {
                Ok(id) => self.staged.push((id, job.done)),
                Err(StoreError::Full) => {
                    self.waiting.push_front(job);
                    break;
                }
                // Another try would end the same way.
                Err(e) => refused.push(e.to_string()),
            }
        }
        let committed = if store.is_staged() { Some(store.commit((self.settings.clock)())) } else { None };
        for text in refused {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
            self.told_lost += 1;
            self.tell(News::Refused(text));
        }
        let Some(newest) = committed.transpose()? else { return Ok(()) };
        self.shared.written.fetch_add(self.staged.len() as u64, Ordering::Relaxed);
        for (id, done) in self.staged.drain(..) {
            // Whoever does not wait any more has the record all the same.
            let _ = done.map(|d| d.send(id));
        }
        self.tell_newest.send_replace(newest);
        Ok(())
    }

    fn works(&mut self) {
        let lost = self.shared.lost.load(Ordering::Relaxed);
        let now = (self.settings.clock)();
        let recently = self.told_at.is_some_and(|t| now.duration_since(t).abs() < TELL_LOST);
        if self.failing || (lost > self.told_lost && !recently) {
            let since = lost.saturating_sub(self.told_lost);
            (self.failing, self.told_lost, self.told_at) = (false, lost, Some(now));
            self.tell(News::Mended { lost: since });
        }
    }

    fn fails(&mut self, e: &StoreError) {
        self.shared.failed.fetch_add(1, Ordering::Relaxed);
        if !std::mem::replace(&mut self.failing, true) {
            self.tell(News::Failing(e.to_string()));
        }
    }

    fn tell(&mut self, news: News) {
        if let Some(value) = (self.settings.tell)(news) {
            let at = (self.settings.clock)();
            self.waiting.push_back(Job { at, value, complete: false, done: None });
        }
    }

    fn expire(&mut self) {
        let now = (self.settings.clock)();
        if now.duration_since(self.expired_at).abs() < EXPIRE {
            return;
        }
        self.expired_at = now;
        if let Some(Err(e)) = self.store.as_mut().map(|s| s.expire(now)) {
            self.fails(&e);
        }
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
