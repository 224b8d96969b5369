//! Room 7, frame clock: when an output's next frame may begin, and when the last one came on the glass.
//!
//! One state machine for each output; `now` is an argument, in nanoseconds of CLOCK_MONOTONIC.
//!
//! ```text
//!          damage            composed             vblank
//!  Idle ───begin()──▶ Composing ──commit()──▶ Committed ──flip()──▶ Idle
//! ```
//!
//! There is at most one frame under way. What is drawn while it is composed or waits for its vblank is in the next.
//! In `Idle` and `Composing` nothing has to be waited for: when nothing changes, nothing wakes.
//!
//! A paced clock makes the vblanks itself, on a grid of its period that begins at its start: the headless output's. A
//! driven one is told of them, by the display's flip events.

/// A frame that has come on the glass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flip {
    /// The vblank's number since the clock's start.
    pub sequence: u64,
    /// When it was, in nanoseconds.
    pub time: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Composing,
    /// With the vblank that it will come with, where the clock makes these itself.
    Committed {
        vblank: Option<Flip>,
    },
}

/// The state machine of one output.
#[derive(Clone, Debug)]
pub struct FrameClock {
    state: State,
    pace: Option<Pace>,
}

/// The grid of a paced clock, in nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Pace {
    start: u64,
    period: u64,
}

impl Pace {
    fn after(self, now: u64) -> Flip {
        let sequence = now.saturating_sub(self.start) / self.period + 1;
        let time = self.start.saturating_add(sequence.saturating_mul(self.period));
        Flip { sequence, time }
    }
}

impl FrameClock {
    /// A clock that makes `refresh` vblanks a second (at least 1) from `now` on.
    pub fn paced(now: u64, refresh: u32) -> Self {
        let period = 1_000_000_000 / u64::from(refresh.max(1));
        Self { state: State::Idle, pace: Some(Pace { start: now, period }) }
    }

    /// A clock that is told of its vblanks.
    pub const fn driven() -> Self {
        Self { state: State::Idle, pace: None }
    }

    /// Whether a frame may begin.
    pub fn is_idle(&self) -> bool {
        self.state == State::Idle
    }

    /// Whether a frame waits for its vblank.
    pub fn is_committed(&self) -> bool {
        matches!(self.state, State::Committed { .. })
    }

    /// A frame begins.
    pub fn begin(&mut self) {
        debug_assert_eq!(self.state, State::Idle, "one frame at a time");
        self.state = State::Composing;
    }

    /// The frame is composed: it will be on the glass at the next vblank.
    pub fn commit(&mut self, now: u64) {
        debug_assert_eq!(self.state, State::Composing, "what is committed has been composed");
        self.state = State::Committed { vblank: self.pace.map(|pace| pace.after(now)) };
    }

    /// When the clock has to be looked at again, if it has to be.
    pub fn wakes_at(&self) -> Option<u64> {
        match self.state {
            State::Committed { vblank } => vblank.map(|flip| flip.time),
            _ => None,
        }
    }

    /// The vblank that a committed frame has come on the glass with, once it has.
    pub fn flip(&mut self, now: u64) -> Option<Flip> {
        match self.state {
            State::Committed { vblank: Some(vblank) } if vblank.time <= now => {
                self.state = State::Idle;
                Some(vblank)
            }
            _ => None,
        }
    }
}

impl FrameClock {
    /// The committed frame has come on the glass, or will not: the next may begin. For driven clocks.
    pub fn flipped(&mut self) {
        self.state = State::Idle;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: u64 = 1_000_000_000 / 50;

    #[test]
    fn frames_come_at_vblanks() {
        let mut clock = FrameClock::paced(1000, 50);
        clock.begin();
        clock.commit(1000 + 5);
        assert_eq!(clock.wakes_at(), Some(1000 + PERIOD));
        assert_eq!(clock.flip(1000 + PERIOD - 1), None);
        assert_eq!(clock.flip(1000 + PERIOD), Some(Flip { sequence: 1, time: 1000 + PERIOD }));
        assert!(clock.is_idle());
    }

    #[test]
    fn a_frame_at_the_vblank_itself_is_for_the_next() {
        let mut clock = FrameClock::paced(0, 50);
        clock.begin();
        clock.commit(3 * PERIOD);
        assert_eq!(clock.wakes_at(), Some(4 * PERIOD));
    }

    #[test]
    fn times_stay_on_the_grid_however_late_one_looks() {
        let mut clock = FrameClock::paced(0, 50);
        clock.begin();
        clock.commit(1);
        assert_eq!(clock.flip(PERIOD * 10 + 7), Some(Flip { sequence: 1, time: PERIOD }));
    }

    #[test]
    fn when_nothing_changes_nothing_wakes() {
        let mut clock = FrameClock::paced(0, 50);
        assert_eq!(clock.wakes_at(), None);
        clock.begin();
        assert_eq!(clock.wakes_at(), None);
    }
}
