//! Every input of a pair's core goes to STATE_DIR/decisions, for `tandemadm debug replay`.

use crate::events::{Limits, News, Settings, Writer};
use crate::net::clock;
use crate::pair::{Batch, Controller, Input, Journal, Output};
use crate::time::Instant;
use std::path::Path;
use std::time::Duration;
use tracing::{info, warn};

/// Some hours of a pair with the default heartbeats.
const LIMITS: Limits = Limits { bytes: 16 << 20, age: Duration::from_secs(7 * 86_400) };

/// Starts the thread that writes; without it the pairs do their work all the same.
pub(super) fn writer(state_dir: &Path) -> Option<Writer<Batch>> {
    let settings = Settings {
        name: "decisions",
        dir: state_dir.join(crate::pair::DECISIONS),
        limits: LIMITS,
        clock: clock::wall,
        complete: Box::new(|_| ()),
        tell: Box::new(|news| {
            match news {
                News::Failing(why) => warn!("the inputs of decisions cannot be kept: {why}"),
                News::Mended { lost } => {
                    info!("the inputs of decisions are kept again; {lost} records are lost")
                }
                News::Refused(why) => warn!("inputs of decisions are not kept: {why}"),
            }
            None
        }),
    };
    Writer::start(settings).inspect_err(|e| warn!("no inputs of decisions are kept: {e}")).ok()
}

/// Of one pair.
#[derive(Debug)]
pub(super) struct Decisions {
    journal: Journal,
    writer: Option<Writer<Batch>>,
}

impl Decisions {
    pub(super) fn new(pair: &str, writer: Option<Writer<Batch>>) -> Self {
        Decisions { journal: Journal::new(pair), writer }
    }

    /// Another controller.
    pub(super) fn begin(&mut self) {
        let rest = self.journal.begin();
        self.store(rest);
    }

    /// The controller takes an input, and both are noted.
    pub(super) fn handle(&mut self, controller: &mut Controller, now: Instant, input: Input) -> Vec<Output> {
        if self.writer.is_none() {
            return controller.handle(now, input);
        }
        self.journal.before(controller);
        let outputs = controller.handle(now, input.clone());
        let full = self.journal.after(now, input, &outputs);
        self.store(full);
        outputs
    }

    fn store(&self, batch: Option<Batch>) {
        if let (Some(writer), Some(batch)) = (&self.writer, batch) {
            // What is lost breaks the chain until the next whole state, which a replay sees.
            writer.append(clock::wall(), batch);
        }
    }
}
