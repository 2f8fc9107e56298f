//! Questions to the kernel that may hang with the storage, asked on threads of their own.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// So many questions of one resource may hang before no more are asked.
const MOST: usize = 4;
/// The daemon's memory is locked, so a thread costs all of its stack.
const STACK: usize = 256 << 10;

/// Why there is no answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum NoAnswer {
    /// The step was cancelled.
    Cancelled,
    /// It takes longer than this; the thread is left to itself, as nothing ends it.
    Hangs(Duration),
    /// Earlier questions still hang, so many.
    Full(usize),
    /// No thread could be had.
    NoThread(String),
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoAnswer::Cancelled => f.write_str("cancelled"),
            NoAnswer::Hangs(d) => write!(f, "no answer from the kernel within {} s", d.as_secs_f32()),
            NoAnswer::NoThread(why) => write!(f, "no thread to ask the kernel with: {why}"),
            NoAnswer::Full(n) => write!(f, "{n} earlier questions to the kernel have not been answered yet"),
        }
    }
}

/// The threads of one resource.
#[derive(Clone, Debug, Default)]
pub(super) struct Threads {
    running: Arc<AtomicUsize>,
}

/// Counts a thread for as long as it runs, also when it panics.
struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Threads {
    /// How many run; between steps: hang.
    pub(super) fn hanging(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    /// Runs `question` on a thread and waits for it, `limit` at most.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        limit: Duration,
        cancel: &CancellationToken,
        question: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NoAnswer> {
        let running = self.hanging();
        if running >= MOST {
            return Err(NoAnswer::Full(running));
        }
        self.running.fetch_add(1, Ordering::Relaxed);
        let running = Running(Arc::clone(&self.running));
        let (put, answer) = tokio::sync::oneshot::channel();
        // Not tokio's own threads: the runtime waits for those when it ends, for ever if one hangs.
        let builder = std::thread::Builder::new().name("filesystem".into()).stack_size(STACK);
        let thread = builder.spawn(move || {
            let answer = question();
            drop(running);
            // Nobody may be waiting any more.
            let _ = put.send(answer);
        });
        if let Err(e) = thread {
            return Err(NoAnswer::NoThread(e.to_string()));
        }
        tokio::select! {
            answer = tokio::time::timeout(limit, answer) => match answer {
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(_)) => Err(NoAnswer::NoThread("it ended without an answer".into())),
                Err(_) => Err(NoAnswer::Hangs(limit)),
            },
            () = cancel.cancelled() => Err(NoAnswer::Cancelled),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[tokio::test]
    async fn a_question_that_hangs_is_left_behind_and_counted() {
        let threads = Threads::default();
        let cancel = CancellationToken::new();
        let (answer, hang) = mpsc::channel::<()>();
        let hang = Arc::new(std::sync::Mutex::new(hang));
        let limit = Duration::from_millis(20);
        for n in 1..=MOST {
            let hang = Arc::clone(&hang);
            let no = threads.ask(limit, &cancel, move || hang.lock().unwrap().recv().is_ok()).await;
            assert_eq!(no, Err(NoAnswer::Hangs(limit)));
            assert_eq!(threads.hanging(), n);
        }
        assert_eq!(threads.ask(limit, &cancel, || 1).await, Err(NoAnswer::Full(MOST)));
        drop(answer);
        while threads.hanging() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(threads.ask(Duration::from_secs(10), &cancel, || 1).await, Ok(1));
        cancel.cancel();
        let no = threads.ask(limit, &cancel, std::thread::yield_now).await;
        assert!(matches!(no, Ok(()) | Err(NoAnswer::Cancelled)), "{no:?}");
    }
}
