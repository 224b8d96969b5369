//! Whether to look again before sleeping.
//!
//! A client that waits for each reply sends its next request some microseconds after it. To wake a thread takes longer
//! than that, where its CPU has gone to sleep, and the caches are cold then. So when there is nothing to do, the loop
//! looks again for a moment, as long as that pays. At first it yields, so that a client that needs the same CPU can go on.
//! Each time that it was in vain, since nothing came or since others needed the CPU, the loop sleeps at once for twice as
//! many times as before: where requests come seldom, and on one CPU, it hardly ever looks.

use std::time::Duration;

use nix::sched::sched_yield;

/// How long to look at most, in nanoseconds: the client may have to be woken too, and its CPU.
const LONGEST: u64 = 100_000;

/// How many times in a row to sleep at once at most.
const MOST_SLEEPS: u32 = 1024;

/// What to do when there is nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pause {
    /// Yield to others, and look.
    Yield,
    /// Look at once.
    Look,
    /// Sleep until something happens.
    Sleep,
}

/// A time without anything to do.
#[derive(Clone, Copy, Debug)]
struct Idle {
    since: u64,
    looks: bool,
    /// Whether nothing was there after the yield.
    has_looked: bool,
}

/// What has come of looking so far.
#[derive(Debug, Default)]
pub(super) struct Spin {
    idle: Option<Idle>,
    /// How many times in a row it sleeps at once, after it has looked in vain.
    sleeps: u32,
    /// How many of them are left.
    left: u32,
}

impl Spin {
    /// There is nothing to do: yields where that is due, and says how long to wait at most for something to happen;
    /// `None` is without limit.
    pub(super) fn rest(&mut self, now: u64) -> Option<Duration> {
        let pause = self.pause(now);
        if pause == Pause::Yield {
            // It never fails on Linux.
            let _ = sched_yield();
        }
        (pause != Pause::Sleep).then_some(Duration::ZERO)
    }

    fn pause(&mut self, now: u64) -> Pause {
        let Some(idle) = &mut self.idle else {
            let looks = self.left == 0;
            self.left = self.left.saturating_sub(1);
            self.idle = Some(Idle { since: now, looks, has_looked: false });
            return if looks { Pause::Yield } else { Pause::Sleep };
        };
        if idle.looks && now.saturating_sub(idle.since) >= LONGEST {
            idle.looks = false;
            self.was_in_vain();
            return Pause::Sleep;
        }
        idle.has_looked = true;
        if idle.looks { Pause::Look } else { Pause::Sleep }
    }

    /// There is something to do, at this time.
    pub(super) fn found(&mut self, now: u64) {
        let Some(idle) = self.idle.take().filter(|idle| idle.looks) else { return };
        // What comes while others have the CPU would have come while the loop slept.
        if idle.has_looked && now.saturating_sub(idle.since) < LONGEST {
            self.sleeps = 0;
        } else {
            self.was_in_vain();
        }
    }

    fn was_in_vain(&mut self) {
        self.sleeps = (self.sleeps * 2).clamp(1, MOST_SLEEPS);
        self.left = self.sleeps;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Something comes after so long: what was done at first, and what shortly before.
    fn pause(spin: &mut Spin, length: u64) -> (Pause, Pause) {
        let first = spin.pause(1000);
        let last = spin.pause(1000 + length);
        spin.found(1000 + length);
        (first, last)
    }

    #[test]
    fn it_looks_as_long_as_that_pays() {
        let mut spin = Spin::default();
        for _ in 0..1000 {
            assert_eq!(pause(&mut spin, LONGEST - 1), (Pause::Yield, Pause::Look));
        }
    }

    #[test]
    fn in_vain_it_looks_less_and_less() {
        let mut spin = Spin::default();
        let looks: Vec<u64> =
            (0..5000).filter(|_| pause(&mut spin, LONGEST) == (Pause::Yield, Pause::Sleep)).collect();
        assert_eq!(looks[..6], [0, 2, 5, 10, 19, 36]);
        assert_eq!(looks.len(), 14);
        // And again when that pays again.
        while pause(&mut spin, 1).0 == Pause::Sleep {}
        assert_eq!(pause(&mut spin, 1).0, Pause::Yield);
        assert_eq!(pause(&mut spin, LONGEST), (Pause::Yield, Pause::Sleep));
        assert_eq!(pause(&mut spin, 1), (Pause::Sleep, Pause::Sleep));
        assert_eq!(pause(&mut spin, 1).0, Pause::Yield);
    }

    #[test]
    fn what_took_too_long_was_in_vain_whatever_was_found() {
        let mut spin = Spin::default();
        assert_eq!(spin.pause(1000), Pause::Yield);
        spin.found(1000 + LONGEST);
        assert_eq!(spin.pause(2000), Pause::Sleep);
    }

    #[test]
    fn what_came_while_others_had_the_cpu_is_no_gain() {
        let mut spin = Spin::default();
        assert_eq!(spin.pause(1000), Pause::Yield);
        spin.found(1001);
        assert_eq!(spin.pause(2000), Pause::Sleep);
    }

    #[test]
    fn work_that_goes_on_is_no_pause() {
        let mut spin = Spin::default();
        pause(&mut spin, LONGEST);
        spin.found(1);
        spin.found(2);
        assert_eq!(pause(&mut spin, 1).0, Pause::Sleep);
    }
}
