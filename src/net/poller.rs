//! Waiting: sockets, one deadline and a wake-up call from other threads, in one epoll(7).

use super::NetError;
use crate::time::Instant;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

const TIMER: u64 = u64::MAX;
const WAKER: u64 = u64::MAX - 1;
/// Events taken in one call; the rest comes with the next.
const EVENTS: usize = 64;

/// Why [`Poller::wait`] returned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Token {
    /// The armed deadline has come.
    Timer,
    /// Somebody called [`Waker::wake`].
    Woken,
    /// The source added under this number is readable, or has an error to be read.
    Source(u64),
}

/// Wakes the thread that waits; many calls before it runs count as one.
#[derive(Clone, Debug)]
pub struct Waker(Arc<EventFd>);

impl Waker {
    /// Makes [`Poller::wait`] return [`Token::Woken`]. Never blocks, may be called from any thread.
    pub fn wake(&self) {
        // EAGAIN means that the counter is full, so the wake-up is pending already.
        let _ = self.0.write(1);
    }
}

/// One epoll instance with its timer and waker.
#[derive(Debug)]
pub struct Poller {
    epoll: Epoll,
    timer: TimerFd,
    armed: Option<Instant>,
    waker: Waker,
    events: [EpollEvent; EVENTS],
}

impl Poller {
    /// A poller with nothing in it.
    ///
    /// # Errors
    /// Too many open files, or no memory.
    pub fn new() -> Result<Self, NetError> {
        let open = |e| NetError::new("open", "epoll, timer and event descriptors", e);
        let poller = Poller {
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(open)?,
            timer: TimerFd::new(ClockId::CLOCK_BOOTTIME, TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK)
                .map_err(open)?,
            armed: None,
            waker: Waker(Arc::new(
                EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK).map_err(open)?,
            )),
            events: [EpollEvent::empty(); EVENTS],
        };
        let readable = |token| EpollEvent::new(EpollFlags::EPOLLIN, token);
        poller.epoll.add(&poller.timer, readable(TIMER)).map_err(open)?;
        poller.epoll.add(&*poller.waker.0, readable(WAKER)).map_err(open)?;
        Ok(poller)
    }

    /// A handle for other threads.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Watches `source` for something to read (level-triggered). `number` must be below `u64::MAX - 1`.
    ///
    /// # Errors
    /// EEXIST if it is watched already, EINVAL for a reserved number.
    pub fn add(&self, source: impl AsFd, number: u64) -> Result<(), NetError> {
        if number >= WAKER {
            return Err(NetError::new("watch", format!("source {number}"), Errno::EINVAL));
        }
        self.epoll
            .add(source, EpollEvent::new(EpollFlags::EPOLLIN, number))
            .map_err(|e| NetError::new("watch", format!("source {number}"), e))
    }

    /// Watches it no longer. Closing the last descriptor of a source does the same.
    ///
    /// # Errors
    /// ENOENT if it is not watched.
    pub fn remove(&self, source: impl AsFd) -> Result<(), NetError> {
        self.epoll.delete(source).map_err(|e| NetError::new("stop watching", "source", e))
    }

    /// Sets the one deadline, on the clock of [`super::clock::now`]; none: no deadline. A deadline in the past
    /// fires at once. Setting the same deadline again costs nothing.
    ///
    /// # Errors
    /// None that a correct kernel gives.
    pub fn arm(&mut self, deadline: Option<Instant>) -> Result<(), NetError> {
        if self.armed == deadline {
            return Ok(());
        }
        let set = match deadline {
            // Zero would disarm the timer.
            Some(at) => self.timer.set(
                Expiration::OneShot(TimeSpec::from_duration(Duration::from_nanos(
                    at.as_nanos().clamp(1, i64::MAX as u64),
                ))),
                TimerSetTimeFlags::TFD_TIMER_ABSTIME,
            ),
            None => self.timer.unset(),
        };
        set.map_err(|e| NetError::new("set", "timer", e))?;
        self.armed = deadline;
        Ok(())
    }

    /// Waits, without a time limit but the armed deadline, and says what happened. After [`Token::Timer`] no
    /// deadline is armed. A signal ends the wait with nothing.
    ///
    /// # Errors
    /// None that a correct kernel gives.
    pub fn wait(&mut self) -> io::Result<impl Iterator<Item = Token> + '_> {
        self.look(EpollTimeout::NONE)
    }

    /// As [`Poller::wait`], for what has happened already.
    ///
    /// # Errors
    /// None that a correct kernel gives.
    pub fn poll(&mut self) -> io::Result<impl Iterator<Item = Token> + '_> {
        self.look(EpollTimeout::ZERO)
    }

    fn look(&mut self, limit: EpollTimeout) -> io::Result<impl Iterator<Item = Token> + '_> {
        let count = match self.epoll.wait(&mut self.events, limit) {
            Ok(count) => count,
            Err(Errno::EINTR) => 0,
            Err(e) => return Err(e.into()),
        };
        let ready = self.events.get(..count).unwrap_or_default();
        if ready.iter().any(|e| e.data() == TIMER) {
            // A one-shot timer that fired needs no reading if it is set anew, but would stay readable until then.
            self.armed = None;
            self.timer.unset()?;
        }
        if ready.iter().any(|e| e.data() == WAKER) {
            match self.waker.0.read() {
                Ok(_) | Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(ready.iter().map(|e| match e.data() {
            TIMER => Token::Timer,
            WAKER => Token::Woken,
            number => Token::Source(number),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::clock;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    fn wait(poller: &mut Poller) -> Vec<Token> {
        poller.wait().unwrap().collect()
    }

    #[test]
    fn a_deadline_fires_once_and_not_early() {
        let mut poller = Poller::new().unwrap();
        let deadline = clock::now() + Duration::from_millis(20);
        poller.arm(Some(deadline)).unwrap();
        assert_eq!(wait(&mut poller), [Token::Timer]);
        assert!(clock::now() >= deadline);
        // The same deadline again, now in the past: it fires at once, although it was armed before.
        poller.arm(Some(deadline)).unwrap();
        assert_eq!(wait(&mut poller), [Token::Timer]);
        poller.arm(Some(Instant::ZERO)).unwrap();
        assert_eq!(wait(&mut poller), [Token::Timer]);
    }

    #[test]
    fn a_deadline_that_was_taken_back_does_not_fire() {
        let mut poller = Poller::new().unwrap();
        poller.arm(Some(Instant::ZERO)).unwrap();
        poller.arm(None).unwrap();
        poller.waker().wake();
        assert_eq!(wait(&mut poller), [Token::Woken]);
    }

    #[test]
    fn wakes_from_other_threads_are_merged_and_do_not_stick() {
        let mut poller = Poller::new().unwrap();
        let waker = poller.waker();
        std::thread::spawn(move || (0..10).for_each(|_| waker.wake())).join().unwrap();
        assert_eq!(wait(&mut poller), [Token::Woken]);
        let deadline = clock::now() + Duration::from_millis(5);
        poller.arm(Some(deadline)).unwrap();
        assert_eq!(wait(&mut poller), [Token::Timer]);
    }

    #[test]
    fn a_source_is_reported_until_it_is_removed() {
        let mut poller = Poller::new().unwrap();
        let (mut near, far) = UnixStream::pair().unwrap();
        poller.add(&far, 7).unwrap();
        assert_eq!(poller.add(&far, 8).unwrap_err().errno, Errno::EEXIST);
        assert_eq!(poller.add(&near, TIMER).unwrap_err().errno, Errno::EINVAL);
        near.write_all(b"x").unwrap();
        assert_eq!(wait(&mut poller), [Token::Source(7)]);
        assert_eq!(wait(&mut poller), [Token::Source(7)]);
        poller.remove(&far).unwrap();
        poller.waker().wake();
        assert_eq!(wait(&mut poller), [Token::Woken]);
        assert_eq!(poller.remove(&far).unwrap_err().errno, Errno::ENOENT);
    }
}
