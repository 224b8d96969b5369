//! What the loop waits for.
//!
//! One epoll has all that happens often: connections, the fences of dmabufs, the helper thread, the card's events, and a
//! timer that is set only when the time to wake at has changed. calloop, which costs five system calls a turn, has the
//! rest, and is itself one entry here. A request so costs three: wait, receive, send.

use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use crate::queue::ConnectionId;

/// How many events are taken in one go: ending that many connections is to take no longer than a few slices.
const EVENTS: usize = 16;

/// Marks a connection's fence, and what is no connection's at all. Numbers of connections do not come that far.
const FENCE: u64 = 1 << 63;
const OTHER: u64 = 1 << 62;
const HELPER: u64 = OTHER;
const RARE: u64 = OTHER + 1;
const TIMER: u64 = OTHER + 2;
const FLIPS: u64 = OTHER + 3;

/// Something that is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A connection's socket.
    Connection(ConnectionId),
    /// The fence that a connection waits for.
    Fence(ConnectionId),
    /// The helper thread.
    Helper,
    /// The display's pictures that come on the glass.
    Flips,
    /// What calloop watches.
    Rare,
}

impl Source {
    const fn token(self) -> u64 {
        match self {
            Self::Connection(id) => id,
            Self::Fence(id) => id | FENCE,
            Self::Helper => HELPER,
            Self::Flips => FLIPS,
            Self::Rare => RARE,
        }
    }

    /// What a token stands for; `None` is the timer.
    const fn of(token: u64) -> Option<Self> {
        match token {
            TIMER => None,
            HELPER => Some(Self::Helper),
            FLIPS => Some(Self::Flips),
            RARE => Some(Self::Rare),
            _ if token & FENCE != 0 => Some(Self::Fence(token & !FENCE)),
            _ => Some(Self::Connection(token)),
        }
    }
}

/// All that the loop waits for.
#[derive(Debug)]
pub(super) struct Watch {
    epoll: Epoll,
    timer: TimerFd,
    /// What the timer is set to, until it has gone off: nanoseconds of CLOCK_MONOTONIC.
    set_to: Option<u64>,
}

impl Watch {
    /// Watches nothing but its timer.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn new() -> nix::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC)?;
        // Edge-triggered, so that it need not be read.
        epoll.add(&timer, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, TIMER))?;
        Ok(Self { epoll, timer, set_to: None })
    }

    /// Watches a descriptor for these flags.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn add(&self, descriptor: &impl AsFd, source: Source, flags: EpollFlags) -> nix::Result<()> {
        self.epoll.add(descriptor, EpollEvent::new(flags, source.token()))
    }

    /// Watches a descriptor for other flags.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn modify(
        &self,
        descriptor: &impl AsFd,
        source: Source,
        flags: EpollFlags,
    ) -> nix::Result<()> {
        self.epoll.modify(descriptor, &mut EpollEvent::new(flags, source.token()))
    }

    /// Watches a descriptor no more. To be called before it is closed where somebody else may hold what is behind it
    /// open: epoll watches that.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn delete(&self, descriptor: &impl AsFd) -> nix::Result<()> {
        self.epoll.delete(descriptor)
    }

    /// Wakes [`wait`](Self::wait) at this time.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn wake_at(&mut self, time: u64) -> nix::Result<()> {
        if self.set_to != Some(time) {
            // A zero would stop it.
            let at = Expiration::OneShot(TimeSpec::from(Duration::from_nanos(time.max(1))));
            self.timer.set(at, TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
            self.set_to = Some(time);
        }
        Ok(())
    }

    /// Waits until something happens, as long as `longest` at most, and says what; `None` is without limit.
    pub(super) fn wait(
        &mut self,
        longest: Option<Duration>,
    ) -> impl Iterator<Item = (Source, EpollFlags)> + use<> {
        let timeout = longest.map_or(EpollTimeout::NONE, |longest| {
            let milliseconds = longest.as_nanos().div_ceil(1_000_000);
            i32::try_from(milliseconds)
                .ok()
                .and_then(|most| most.try_into().ok())
                .unwrap_or(EpollTimeout::MAX)
        });
        let mut events = [EpollEvent::empty(); EVENTS];
        let count = match self.epoll.wait(&mut events, timeout) {
            Ok(count) => count,
            Err(Errno::EINTR) => 0,
            Err(errno) => {
                tracing::error!("epoll_wait: {errno}");
                0
            }
        };
        if events[..count].iter().any(|event| event.data() == TIMER) {
            self.set_to = None;
        }
        events.into_iter().take(count).filter_map(|event| Some((Source::of(event.data())?, event.events())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_go_both_ways() {
        for source in [Source::Connection(1), Source::Fence(7), Source::Helper, Source::Flips, Source::Rare] {
            assert_eq!(Source::of(source.token()), Some(source));
        }
    }

    #[test]
    fn it_wakes_at_the_time_once() {
        let mut watch = Watch::new().unwrap();
        watch.wake_at(1).unwrap();
        // A time that has passed goes off at once, and without it this would not return.
        assert_eq!(watch.wait(None).count(), 0);
        assert_eq!(watch.set_to, None);
        watch.wake_at(1).unwrap();
        assert_eq!(watch.wait(None).count(), 0);
    }
}
