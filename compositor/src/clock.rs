//! What time it is: the kernel's, or one that a test steps.

use std::cell::Cell;
use std::rc::Rc;

use nix::time::{ClockId, clock_gettime};

/// A source of time, in nanoseconds of CLOCK_MONOTONIC.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The kernel's.
    Monotonic,
    /// One that stands still until its owner moves it.
    Stepped(Rc<Cell<u64>>),
}

impl Clock {
    /// The time now.
    pub fn now(&self) -> u64 {
        match self {
            Self::Monotonic => clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |time| {
                let (seconds, nanoseconds) = (time.tv_sec(), time.tv_nsec());
                u64::try_from(seconds).unwrap_or(0) * 1_000_000_000 + u64::try_from(nanoseconds).unwrap_or(0)
            }),
            Self::Stepped(time) => time.get(),
        }
    }

    /// The time now, where it is the kernel's.
    pub fn now_of_kernel(&self) -> Option<u64> {
        self.kernel_time(self.now())
    }

    /// What one of its times is for the kernel, whose timers know nothing of a stepped one.
    pub const fn kernel_time(&self, time: u64) -> Option<u64> {
        match self {
            Self::Monotonic => Some(time),
            Self::Stepped(_) => None,
        }
    }
}
