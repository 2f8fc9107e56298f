//! One place to wait: epoll(7) with a timerfd(2) for the deadline and an eventfd(2) to be woken by other threads.

use super::NetError;
use crate::time::Instant;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

/// Tokens that the poller uses itself.
const TOKEN_TIMER: u64 = u64::MAX;
const TOKEN_WAKER: u64 = u64::MAX - 1;

/// Waits for file descriptors, a deadline, or a [`Waker`].
#[derive(Debug)]
pub struct Poller {
    epoll: Epoll,
    timer: TimerFd,
    waker: Arc<EventFd>,
    armed: Option<Instant>,
}

/// Ends the wait of a [`Poller`] from another thread.
#[derive(Clone, Debug)]
pub struct Waker(Arc<EventFd>);

impl Waker {
    /// Wakes the poller; many calls before it wakes count as one.
    pub fn wake(&self) {
        // A counter that is full (EAGAIN) has woken it already.
        let _ = self.0.write(1);
    }
}

impl Poller {
    /// Opens it.
    pub fn new() -> Result<Self, NetError> {
        let failed = |what| move |e: nix::Error| NetError::io("open", what, e);
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(failed("epoll"))?;
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_BOOTTIME, flags).map_err(failed("timerfd"))?;
        let waker = EventFd::from_value_and_flags(0, EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)
            .map_err(failed("eventfd"))?;
        let readable = |token| EpollEvent::new(EpollFlags::EPOLLIN, token);
        epoll.add(timer.as_fd(), readable(TOKEN_TIMER)).map_err(failed("epoll"))?;
        epoll.add(waker.as_fd(), readable(TOKEN_WAKER)).map_err(failed("epoll"))?;
        Ok(Poller { epoll, timer, waker: Arc::new(waker), armed: None })
    }

    /// A handle that wakes this poller.
    pub fn waker(&self) -> Waker {
        Waker(self.waker.clone())
    }

    /// Watches a file descriptor for reading, level-triggered.
    pub fn add(&self, fd: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        Ok(self.epoll.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, token))?)
    }

    /// Watches it no more.
    pub fn remove(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        Ok(self.epoll.delete(fd)?)
    }

    /// Waits until something is readable, the deadline has passed (at once if it lies in the past), or the
    /// waker was used. Appends the tokens of what is readable.
    pub fn wait(&mut self, deadline: Option<Instant>, tokens: &mut Vec<u64>) -> io::Result<()> {
        // A deadline at the epoch means "do not wait"; it needs no timer.
        let timeout = if deadline == Some(Instant::ZERO) { EpollTimeout::ZERO } else { EpollTimeout::NONE };
        if timeout == EpollTimeout::NONE && deadline != self.armed {
            self.arm(deadline)?;
        }
        let mut events = [EpollEvent::empty(); 64];
        let n = match self.epoll.wait(&mut events, timeout) {
            Ok(n) => n,
            Err(nix::Error::EINTR) => 0,
            Err(e) => return Err(e.into()),
        };
        for event in events.iter().take(n) {
            match event.data() {
                TOKEN_TIMER => {
                    // Reading clears it; a timer that was set anew meanwhile has nothing to read.
                    let _ = self.timer.wait();
                    self.armed = None;
                }
                TOKEN_WAKER => drop(self.waker.read()),
                token => tokens.push(token),
            }
        }
        Ok(())
    }

    fn arm(&mut self, deadline: Option<Instant>) -> io::Result<()> {
        match deadline {
            // Zero would disarm the timer.
            Some(t) => {
                let spec = TimeSpec::from_duration(Duration::from_nanos(t.as_nanos().max(1)));
                self.timer.set(Expiration::OneShot(spec), TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
            }
            None => self.timer.unset()?,
        }
        self.armed = deadline;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::clock;

    #[test]
    fn a_deadline_ends_the_wait_on_time() {
        let mut p = Poller::new().unwrap();
        let deadline = clock::now() + Duration::from_millis(20);
        p.wait(Some(deadline), &mut Vec::new()).unwrap();
        let late = clock::now().since(deadline);
        assert!(clock::now() >= deadline, "woke before the deadline");
        assert!(late < Duration::from_millis(500), "{late:?} late");
        // A past deadline does not wait.
        p.wait(Some(deadline), &mut Vec::new()).unwrap();
    }

    #[test]
    fn a_waker_ends_the_wait_from_another_thread() {
        let mut p = Poller::new().unwrap();
        let w = p.waker();
        let t = std::thread::spawn(move || w.wake());
        p.wait(None, &mut Vec::new()).unwrap();
        t.join().unwrap();
        p.wait(Some(Instant::ZERO), &mut Vec::new()).unwrap();
    }
}
