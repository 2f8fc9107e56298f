//! The witness, by the rules of decision 9.

use std::time::Duration;
use tandemd::pair::*;
use tandemd::time::Instant;

#[derive(Clone, Debug, Default)]
pub(crate) struct Witness {
    pub(crate) up: bool,
    pub(crate) holder: Option<usize>,
    pub(crate) until: Instant,
    pub(crate) generation: Generation,
}

impl Witness {
    /// It does not know when the last holder renewed, so it waits for the whole length.
    pub(crate) fn restart(&mut self, now: Instant, length: Duration) {
        self.up = true;
        if self.holder.is_some() {
            self.until = now + length;
        }
    }

    pub(crate) fn ask(
        &mut self,
        now: Instant,
        who: usize,
        ask: Ask,
        length: Duration,
    ) -> Option<WitnessAnswer> {
        let held = self.holder.filter(|_| now < self.until);
        match ask {
            Ask::Release => {
                if held == Some(who) {
                    self.holder = None;
                }
                None
            }
            Ask::Lease { .. } if held.is_some_and(|h| h != who) => {
                Some(WitnessAnswer::Denied(self.until.since(now)))
            }
            Ask::Lease { synced, .. } if synced < self.generation => {
                Some(WitnessAnswer::Behind(self.generation))
            }
            Ask::Lease { generation, .. } => {
                self.generation = self.generation.max(generation);
                (self.holder, self.until) = (Some(who), now + length);
                Some(WitnessAnswer::Granted)
            }
        }
    }
}
