//! What happened, as text and as packets: written only when somebody will read it.

use std::fmt::Write as _;
use tandemd::time::Instant;

/// Lines and frames of one run.
#[derive(Default)]
pub(crate) struct Trace {
    /// Off while seeds are tried: text and frames cost more than the simulation.
    pub(crate) on: bool,
    pub(crate) text: String,
    pub(crate) frames: Vec<(Instant, Vec<u8>)>,
}

impl Trace {
    pub(crate) fn recording() -> Self {
        Trace { on: true, ..Trace::default() }
    }

    pub(crate) fn line(&mut self, now: Instant, text: impl FnOnce() -> String) {
        if self.on {
            let n = now.as_nanos();
            let _ = writeln!(self.text, "{:>6}.{:09} {}", n / 1_000_000_000, n % 1_000_000_000, text());
        }
    }

    pub(crate) fn frame(&mut self, now: Instant, bytes: impl FnOnce() -> Vec<u8>) {
        if self.on {
            self.frames.push((now, bytes()));
        }
    }
}
