//! Whether to look again before sleeping.
//!
//! To wake a thread takes longer than drawing some pixels, where its CPU has gone to sleep, and the caches are cold then. A
//! client that waits for each reply sends its next request some microseconds after it, and the reply to a small one comes
//! as soon. So both ends, when there is nothing there, look again for a moment, as long as that pays. Each time that it was
//! in vain, since nothing came or since others needed the CPU, an end sleeps at once for twice as many times as before:
//! where messages come seldom, and on one CPU, it hardly ever looks.

/// How long to look at most, in nanoseconds: the client may have to be woken too, and its CPU.
const LONGEST: u64 = 100_000;

/// How many times in a row to sleep at once at most.
const MOST_SLEEPS: u32 = 1024;

/// What to do when there is nothing there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// Look again. For an end that others wait for it is the time to yield: they may need the CPU to go on.
    First,
    /// Look again.
    Look,
    /// Sleep until something happens.
    Sleep,
}

/// A time without anything there.
#[derive(Clone, Copy, Debug)]
struct Idle {
    since: u64,
    looks: bool,
    /// Whether nothing was there when it looked for the first time.
    has_looked: bool,
}

/// What has come of looking so far.
#[derive(Debug, Default)]
pub struct Spin {
    idle: Option<Idle>,
    /// How many times in a row it sleeps at once, after it has looked in vain.
    sleeps: u32,
    /// How many of them are left.
    left: u32,
}

impl Spin {
    /// Nothing is there. `now` is asked for the time, in nanoseconds of any clock, only where that matters.
    pub fn pause(&mut self, now: impl FnOnce() -> u64) -> Pause {
        let Some(idle) = &mut self.idle else {
            let looks = self.left == 0;
            self.left = self.left.saturating_sub(1);
            self.idle = Some(Idle { since: if looks { now() } else { 0 }, looks, has_looked: false });
            return if looks { Pause::First } else { Pause::Sleep };
        };
        if idle.looks && now().saturating_sub(idle.since) >= LONGEST {
            idle.looks = false;
            self.was_in_vain();
            return Pause::Sleep;
        }
        idle.has_looked = true;
        if idle.looks { Pause::Look } else { Pause::Sleep }
    }

    /// Something is there; `now` as above.
    pub fn found(&mut self, now: impl FnOnce() -> u64) {
        let Some(idle) = self.idle.take().filter(|idle| idle.looks) else { return };
        // What comes while others have the CPU would have come while this one slept.
        if idle.has_looked && now().saturating_sub(idle.since) < LONGEST {
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
        let first = spin.pause(|| 1000);
        let last = spin.pause(|| 1000 + length);
        spin.found(|| 1000 + length);
        (first, last)
    }

    #[test]
    fn it_looks_as_long_as_that_pays() {
        let mut spin = Spin::default();
        for _ in 0..1000 {
            assert_eq!(pause(&mut spin, LONGEST - 1), (Pause::First, Pause::Look));
        }
    }

    #[test]
    fn in_vain_it_looks_less_and_less() {
        let mut spin = Spin::default();
        let looks: Vec<u64> =
            (0..5000).filter(|_| pause(&mut spin, LONGEST) == (Pause::First, Pause::Sleep)).collect();
        assert_eq!(looks[..6], [0, 2, 5, 10, 19, 36]);
        assert_eq!(looks.len(), 14);
        // And again when that pays again.
        while pause(&mut spin, 1).0 == Pause::Sleep {}
        assert_eq!(pause(&mut spin, 1).0, Pause::First);
        assert_eq!(pause(&mut spin, LONGEST), (Pause::First, Pause::Sleep));
        assert_eq!(pause(&mut spin, 1), (Pause::Sleep, Pause::Sleep));
        assert_eq!(pause(&mut spin, 1).0, Pause::First);
    }

    #[test]
    fn what_took_too_long_was_in_vain_whatever_was_found() {
        let mut spin = Spin::default();
        assert_eq!(spin.pause(|| 1000), Pause::First);
        spin.found(|| 1000 + LONGEST);
        assert_eq!(spin.pause(|| 2000), Pause::Sleep);
    }

    #[test]
    fn what_came_while_others_had_the_cpu_is_no_gain() {
        let mut spin = Spin::default();
        assert_eq!(spin.pause(|| 1000), Pause::First);
        spin.found(|| 1001);
        assert_eq!(spin.pause(|| 2000), Pause::Sleep);
    }

    #[test]
    fn work_that_goes_on_is_no_pause() {
        let mut spin = Spin::default();
        pause(&mut spin, LONGEST);
        spin.found(|| 1);
        spin.found(|| 2);
        assert_eq!(pause(&mut spin, 1).0, Pause::Sleep);
    }
}
