//! What time it is: the kernel's, or one that a test steps.

use std::cell::Cell;
use std::rc::Rc;

use nix::time::{ClockId, clock_gettime};

/// A source of time, in nanoseconds of CLOCK_MONOTONIC.
///
/// It is asked many times between two things that take long, and asks the kernel once: where that cannot be done without a
/// system call, as in some virtual machines, a frame would have dozens.
#[derive(Debug)]
pub struct Clock {
    source: Source,
    /// What it has said last, unless time has passed since.
    latest: Cell<Option<u64>>,
}

#[derive(Debug)]
enum Source {
    Kernel,
    Stepped(Rc<Cell<u64>>),
}

impl Clock {
    /// The kernel's time.
    pub const fn monotonic() -> Self {
        Self { source: Source::Kernel, latest: Cell::new(None) }
    }

    /// One that stands still until its owner moves it.
    pub const fn stepped(time: Rc<Cell<u64>>) -> Self {
        Self { source: Source::Stepped(time), latest: Cell::new(None) }
    }

    /// The time now, or what it was when this was called first after [`passed`](Self::passed).
    pub fn now(&self) -> u64 {
        let now = self.latest.get().unwrap_or_else(|| match &self.source {
            Source::Kernel => clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |time| {
                let (seconds, nanoseconds) = (time.tv_sec(), time.tv_nsec());
                u64::try_from(seconds).unwrap_or(0) * 1_000_000_000 + u64::try_from(nanoseconds).unwrap_or(0)
            }),
            Source::Stepped(time) => time.get(),
        });
        self.latest.set(Some(now));
        now
    }

    /// Time has passed: something has been waited for, or been done that takes microseconds.
    pub fn passed(&self) {
        self.latest.set(None);
    }

    /// Whether this is the kernel's time, whose timers know nothing of a stepped one.
    pub const fn is_kernels(&self) -> bool {
        matches!(self.source, Source::Kernel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stands_until_time_has_passed() {
        let time = Rc::new(Cell::new(7));
        let clock = Clock::stepped(Rc::clone(&time));
        assert_eq!(clock.now(), 7);
        time.set(9);
        assert_eq!(clock.now(), 7);
        clock.passed();
        assert_eq!(clock.now(), 9);
    }
}
