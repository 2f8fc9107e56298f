//! The moment before data are written here without the other node.

use super::Half;
use crate::net::clock;
use crate::pair::{Data, Input};
use crate::time::Instant;
use std::time::Duration;
use tokio::sync::watch;

/// So long what the agent says may be older than what DRBD's kernel has said.
const OLDER: Duration = Duration::from_secs(5);

/// What DRBD has said itself, through its fence-peer handler.
#[derive(Debug)]
pub(super) struct Lonely {
    until: Option<Instant>,
    vouches: watch::Sender<bool>,
}

impl Default for Lonely {
    fn default() -> Self {
        Lonely { until: None, vouches: watch::Sender::new(false) }
    }
}

impl Lonely {
    /// Whether the core answers for the data of the other node.
    pub(super) fn vouches(&self, vouches: bool) {
        self.vouches.send_if_modified(|before| std::mem::replace(before, vouches) != vouches);
    }

    /// What the agent says, unless the kernel knows better.
    pub(super) fn seen(&mut self, now: Instant, data: Data) -> Data {
        if data == Data::Followed && self.until.is_some_and(|until| now < until) {
            return Data::Alone;
        }
        self.until = None;
        data
    }
}

impl Half {
    /// DRBD is about to write here alone, and asks. Gives whether the core still answers for the other node's data: DRBD
    /// has to wait until it does not.
    pub(in crate::daemon::pair) fn writes_alone(&mut self) -> watch::Receiver<bool> {
        self.lonely.until = Some(clock::now() + OLDER);
        self.data = Some(Data::Alone);
        self.input(Input::Data(Data::Alone));
        self.lonely.vouches.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_knows_before_the_agent() {
        let at = |s| Instant::ZERO + Duration::from_secs(s);
        let mut lonely = Lonely::default();
        assert_eq!(lonely.seen(at(1), Data::Followed), Data::Followed);
        lonely.until = Some(at(10));
        assert_eq!(lonely.seen(at(9), Data::Followed), Data::Alone, "the agent has not looked again yet");
        assert_eq!(lonely.seen(at(10), Data::Followed), Data::Followed, "it has by now");
        lonely.until = Some(at(20));
        assert_eq!(lonely.seen(at(12), Data::Alone), Data::Alone, "it has");
        assert_eq!(lonely.seen(at(13), Data::Followed), Data::Followed, "and it is mended");
    }
}
