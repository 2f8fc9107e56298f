//! How the guardian sees that the protocol thread turns: a few numbers in memory that both processes share.
//!
//! Before it sleeps, the thread writes down when it will be awake again at the latest. Nothing is written or
//! woken for the guardian's sake alone: a router that sends once a second costs the guardian one look a second.

use crate::net::ffi;
use crate::time::Instant;
use nix::errno::Errno;
use std::sync::atomic::{AtomicU64, Ordering};

const PROMISE: usize = 0;
const THREAD: usize = 1;
const WORDS: usize = 2;

/// The shared numbers. Copies name the same memory.
#[derive(Clone, Copy, Debug)]
pub struct Pulse(&'static [AtomicU64; WORDS]);

impl Pulse {
    /// Fresh memory, shared with processes that are forked later.
    ///
    /// # Errors
    /// ENOMEM.
    pub fn new() -> Result<Self, Errno> {
        let pulse = Pulse(ffi::shared_words()?);
        pulse.promise(None);
        Ok(pulse)
    }

    /// The thread will have turned by then; none: it waits for news only.
    pub fn promise(&self, by: Option<Instant>) {
        self.set(PROMISE, by.map_or(u64::MAX, Instant::as_nanos));
    }

    /// The kernel's number of the thread that promises, so that its state can be looked up.
    pub fn thread(&self, id: u64) {
        self.set(THREAD, id);
    }

    pub(super) fn promised(&self) -> Option<Instant> {
        Some(self.get(PROMISE)).filter(|n| *n != u64::MAX).map(Instant::from_nanos)
    }

    pub(super) fn thread_id(&self) -> u64 {
        self.get(THREAD)
    }

    fn set(&self, at: usize, value: u64) {
        if let Some(word) = self.0.get(at) {
            word.store(value, Ordering::Release);
        }
    }

    fn get(&self, at: usize) -> u64 {
        self.0.get(at).map_or(0, |w| w.load(Ordering::Acquire))
    }
}
