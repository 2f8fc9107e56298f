//! One way to the other node: heartbeats go out, and how long their answers take is measured.

use super::{Happening, speed};
use crate::net::clock;
use crate::pair::Beat;
use crate::peer::{Client, ClientOptions, Identity, Pin};
use crate::time::Instant;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinHandle};
use tracing::{info, warn};

/// So many round trips are remembered.
const REMEMBERED: usize = 200;
/// So often the speed of an interface is looked up.
const LOOK: Duration = Duration::from_secs(3600);

/// What goes from node to node.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Envelope {
    pub(super) pair: String,
    pub(super) link: usize,
    pub(super) beat: Beat,
}

/// Sends the newest heartbeat whenever there is a new one.
#[derive(Debug)]
pub(super) struct Sender {
    beats: watch::Sender<Option<Arc<Beat>>>,
    task: AbortHandle,
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Where a link leads.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) pair: String,
    pub(super) link: usize,
    pub(super) name: String,
    pub(super) options: ClientOptions,
}

impl Sender {
    pub(super) fn start(
        way: Way,
        identity: &Identity,
        pin: &Pin,
        news: mpsc::UnboundedSender<Happening>,
    ) -> Result<Self, String> {
        let client = Client::new(way.options.clone(), identity, pin).map_err(|e| e.to_string())?;
        let (beats, wanted) = watch::channel(None);
        let task = tokio::spawn(run(way, client, wanted, news)).abort_handle();
        Ok(Sender { beats, task })
    }

    /// An older one that has not gone out yet is not worth it any more.
    pub(super) fn send(&self, beat: Arc<Beat>) {
        self.beats.send_replace(Some(beat));
    }
}

async fn run(
    way: Way,
    mut client: Client,
    mut beats: watch::Receiver<Option<Arc<Beat>>>,
    news: mpsc::UnboundedSender<Happening>,
) {
    let mut failing = None;
    let mut look = Look::default();
    while beats.changed().await.is_ok() {
        let Some(beat) = beats.borrow_and_update().clone() else { continue };
        let body = json!({ "pair": way.pair, "link": way.link, "beat": *beat });
        let begun = clock::now();
        let result = client.heartbeat(&body).await;
        if result.is_ok() {
            look.at(&way, begun, failing.is_some(), &news);
        }
        let trip = result.is_ok().then(|| clock::now().since(begun));
        match result {
            Ok(_) if failing.take().is_some() => {
                info!(pair = way.pair, "{}: link {} answers", way.pair, way.name)
            }
            Ok(_) => {}
            Err(e) => {
                let text = e.to_string();
                if failing.as_ref() != Some(&text) {
                    warn!(pair = way.pair, "{}: link {}: {text}", way.pair, way.name);
                }
                failing = Some(text);
            }
        }
        // The receiver ends with the daemon.
        let _ = news.send(Happening::Measured { pair: way.pair.clone(), link: way.link, trip });
    }
}

/// The speed of a link is looked up when it begins to answer, and then from time to time.
#[derive(Default)]
struct Look {
    last: Option<Instant>,
    running: Option<JoinHandle<()>>,
}

impl Look {
    fn at(&mut self, way: &Way, now: Instant, back: bool, news: &mpsc::UnboundedSender<Happening>) {
        let due = back || self.last.is_none_or(|at| now.since(at) >= LOOK);
        if !due || self.running.as_ref().is_some_and(|r| !r.is_finished()) {
            return;
        }
        self.last = Some(now);
        let (options, pair, link, news) = (way.options.clone(), way.pair.clone(), way.link, news.clone());
        self.running = Some(tokio::task::spawn_blocking(move || {
            // The receiver ends with the daemon.
            let _ = news.send(Happening::Speed { pair, link, speed: speed::look(&options) });
        }));
    }
}

/// Round trips of one link.
#[derive(Clone, Debug, Default)]
pub(super) struct Trips {
    all: VecDeque<Option<Duration>>,
}

/// How good a link is (PI-3), as far as round trips and the speed of the interface tell; the later, the worse.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Grade {
    /// Below 1 ms, 977 Mbit/s and more.
    Best,
    /// Up to 70 ms, 255 Mbit/s and more.
    Good,
    /// Up to 220 ms, 86 Mbit/s and more.
    Acceptable,
    /// Slower, or a tenth and more is lost.
    Unsafe,
}

/// What was measured.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) mean: Duration,
    pub(crate) p99: Duration,
    /// Percent of the heartbeats that had no answer.
    pub(crate) loss: f64,
    pub(crate) grade: Grade,
}

impl Grade {
    /// The best that an interface of this speed, in Mbit/s, allows.
    pub(super) fn of_speed(mbits: u32) -> Self {
        match mbits {
            977.. => Grade::Best,
            255.. => Grade::Good,
            86.. => Grade::Acceptable,
            _ => Grade::Unsafe,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Grade::Best => "best",
            Grade::Good => "good",
            Grade::Acceptable => "acceptable",
            Grade::Unsafe => "unsafe",
        }
    }
}

impl Trips {
    pub(super) fn add(&mut self, trip: Option<Duration>) {
        if self.all.len() >= REMEMBERED {
            self.all.pop_front();
        }
        self.all.push_back(trip);
    }

    pub(super) fn measured(&self) -> Option<Measured> {
        let mut times: Vec<Duration> = self.all.iter().flatten().copied().collect();
        times.sort();
        let count = u32::try_from(times.len()).ok().filter(|n| *n > 0)?;
        let mean = times.iter().sum::<Duration>() / count;
        let at = (times.len() * 99).div_ceil(100).saturating_sub(1);
        let p99 = times.get(at).copied().unwrap_or(mean);
        let lost = self.all.len().saturating_sub(times.len());
        #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
        let loss = 100.0 * lost as f64 / self.all.len() as f64;
        Some(Measured { mean, p99, loss, grade: grade(mean, loss) })
    }
}

fn grade(mean: Duration, loss: f64) -> Grade {
    match mean {
        _ if loss >= 10.0 => Grade::Unsafe,
        m if m <= Duration::from_millis(1) => Grade::Best,
        m if m <= Duration::from_millis(70) => Grade::Good,
        m if m <= Duration::from_millis(220) => Grade::Acceptable,
        _ => Grade::Unsafe,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_graded_by_their_round_trips() {
        let of = |ms: u64, lost: usize| {
            let mut trips = Trips::default();
            (0..20).for_each(|n| trips.add((n >= lost).then(|| Duration::from_millis(ms))));
            trips.measured()
        };
        assert_eq!(of(1, 20), None);
        assert_eq!(of(1, 0).map(|m| m.grade), Some(Grade::Best));
        assert_eq!(of(70, 1).map(|m| m.grade), Some(Grade::Good));
        assert_eq!(of(220, 0).map(|m| m.grade), Some(Grade::Acceptable));
        assert_eq!(of(221, 0).map(|m| m.grade), Some(Grade::Unsafe));
        assert_eq!(of(1, 2).map(|m| (m.grade, m.loss)), Some((Grade::Unsafe, 10.0)));
    }

    #[test]
    fn an_interface_is_no_better_than_its_speed() {
        let of = |mbits: [u32; 2]| mbits.map(Grade::of_speed);
        assert_eq!(of([1000, 977]), [Grade::Best, Grade::Best]);
        assert_eq!(of([976, 255]), [Grade::Good, Grade::Good]);
        assert_eq!(of([254, 100]), [Grade::Acceptable, Grade::Acceptable]);
        assert_eq!(of([85, 10]), [Grade::Unsafe, Grade::Unsafe]);
        assert_eq!(Grade::Best.max(Grade::of_speed(100)), Grade::Acceptable, "the worse one counts");
    }
}
