//! Room 7, frame clock: when an output's next frame may begin, and when the last one came on the glass.
//!
//! One state machine for each output; `now` is an argument, in nanoseconds of CLOCK_MONOTONIC.
//!
//! ```text
//!          damage            composed             vblank
//!  Idle ───begin()──▶ Composing ──commit()──▶ Committed ──flip()──▶ Idle, or Resting for a while
//! ```
//!
//! There is at most one frame under way. What is drawn while it is composed or waits for its vblank is in the next.
//! In `Idle` and `Composing` nothing has to be waited for: when nothing changes, nothing wakes.
//!
//! A paced clock makes the vblanks itself, on a grid of its period that begins at its start: the headless output's. A
//! driven one is told of them, by the display's flip events. Where the driver has no vblanks, these come at once: after
//! such an event the clock rests until the next vblank of a grid of its own. It also rests after a frame that the
//! display has refused.

/// How long a clock rests after the display has refused a frame, in nanoseconds.
pub const AFTER_REFUSAL: u64 = 1_000_000_000;

/// A frame that has come on the glass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flip {
    /// The vblank's number since the clock's start.
    pub sequence: u64,
    /// When it was, in nanoseconds.
    pub time: u64,
    /// Whether both are the display hardware's.
    pub is_hardware: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Idle,
    Composing,
    /// With the vblank that it will come with, where the clock makes these itself.
    Committed {
        vblank: Option<Flip>,
    },
    /// No frame may begin until then.
    Resting {
        until: u64,
    },
}

/// The state machine of one output.
#[derive(Clone, Debug)]
pub struct FrameClock {
    state: State,
    grid: Grid,
    is_driven: bool,
}

/// The vblanks as they are where nobody tells of them, in nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Grid {
    start: u64,
    period: u64,
}

impl Grid {
    fn after(self, now: u64) -> Flip {
        let sequence = now.saturating_sub(self.start) / self.period + 1;
        let time = self.start.saturating_add(sequence.saturating_mul(self.period));
        Flip { sequence, time, is_hardware: false }
    }
}

impl FrameClock {
    /// A clock that makes `refresh` vblanks in 1000 seconds from `now` on.
    pub fn paced(now: u64, refresh: u32) -> Self {
        Self::new(now, refresh, false)
    }

    /// A clock that is told of its vblanks, of which there should be `refresh` in 1000 seconds.
    pub fn driven(now: u64, refresh: u32) -> Self {
        Self::new(now, refresh, true)
    }

    fn new(now: u64, refresh: u32, is_driven: bool) -> Self {
        let period = (1_000_000_000_000 / u64::from(refresh.max(1))).max(1);
        Self { state: State::Idle, grid: Grid { start: now, period }, is_driven }
    }

    /// Whether a frame may begin.
    pub fn is_idle(&self, now: u64) -> bool {
        match self.state {
            State::Idle => true,
            State::Resting { until } => until <= now,
            _ => false,
        }
    }

    /// Whether a frame waits for its vblank.
    pub fn is_committed(&self) -> bool {
        matches!(self.state, State::Committed { .. })
    }

    /// A frame begins.
    pub fn begin(&mut self) {
        debug_assert!(matches!(self.state, State::Idle | State::Resting { .. }), "one frame at a time");
        self.state = State::Composing;
    }

    /// The frame is composed: it will be on the glass at the next vblank.
    pub fn commit(&mut self, now: u64) {
        debug_assert_eq!(self.state, State::Composing, "what is committed has been composed");
        let vblank = (!self.is_driven).then(|| self.grid.after(now));
        self.state = State::Committed { vblank };
    }

    /// When a committed frame comes on the glass, where the clock knows.
    pub fn vblank_at(&self) -> Option<u64> {
        match self.state {
            State::Committed { vblank } => vblank.map(|flip| flip.time),
            _ => None,
        }
    }

    /// When the clock has rested enough, if it rests.
    pub fn rests_until(&self) -> Option<u64> {
        match self.state {
            State::Resting { until } => Some(until),
            _ => None,
        }
    }

    /// The vblank that a committed frame has come on the glass with, once it has. For paced clocks.
    pub fn flip(&mut self, now: u64) -> Option<Flip> {
        match self.state {
            State::Committed { vblank: Some(vblank) } if vblank.time <= now => {
                self.state = State::Idle;
                Some(vblank)
            }
            _ => None,
        }
    }

    /// The display tells that the committed frame has come on the glass, at this time, with the vblank of this number,
    /// or with none. What that means for those who wait for it.
    pub fn flipped(&mut self, sequence: Option<u64>, time: u64) -> Flip {
        if let Some(sequence) = sequence {
            self.state = State::Idle;
            return Flip { sequence, time, is_hardware: true };
        }
        let next = self.grid.after(time);
        self.state = State::Resting { until: next.time };
        Flip { sequence: next.sequence, time, is_hardware: false }
    }

    /// The display has refused the frame.
    pub fn refused(&mut self, now: u64) {
        self.state = State::Resting { until: now.saturating_add(AFTER_REFUSAL) };
    }

    /// No frame is under way any more.
    pub fn reset(&mut self) {
        self.state = State::Idle;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: u64 = 1_000_000_000 / 50;

    fn grid(sequence: u64, time: u64) -> Flip {
        Flip { sequence, time, is_hardware: false }
    }

    #[test]
    fn frames_come_at_vblanks() {
        let mut clock = FrameClock::paced(1000, 50_000);
        clock.begin();
        clock.commit(1000 + 5);
        assert_eq!(clock.vblank_at(), Some(1000 + PERIOD));
        assert_eq!(clock.flip(1000 + PERIOD - 1), None);
        assert_eq!(clock.flip(1000 + PERIOD), Some(grid(1, 1000 + PERIOD)));
        assert!(clock.is_idle(1000 + PERIOD));
    }

    #[test]
    fn a_frame_at_the_vblank_itself_is_for_the_next() {
        let mut clock = FrameClock::paced(0, 50_000);
        clock.begin();
        clock.commit(3 * PERIOD);
        assert_eq!(clock.vblank_at(), Some(4 * PERIOD));
    }

    #[test]
    fn times_stay_on_the_grid_however_late_one_looks() {
        let mut clock = FrameClock::paced(0, 50_000);
        clock.begin();
        clock.commit(1);
        assert_eq!(clock.flip(PERIOD * 10 + 7), Some(grid(1, PERIOD)));
    }

    #[test]
    fn when_nothing_changes_nothing_wakes() {
        let mut clock = FrameClock::paced(0, 50_000);
        assert_eq!(clock.vblank_at(), None);
        clock.begin();
        assert_eq!(clock.vblank_at(), None);
    }

    #[test]
    fn a_driven_clock_goes_by_what_it_is_told() {
        let mut clock = FrameClock::driven(0, 50_000);
        clock.begin();
        clock.commit(5);
        assert_eq!((clock.vblank_at(), clock.flip(PERIOD * 9)), (None, None));
        assert_eq!(clock.flipped(Some(7), 700), Flip { sequence: 7, time: 700, is_hardware: true });
        assert!(clock.is_idle(700));
    }

    #[test]
    fn where_the_display_has_no_vblanks_the_clock_paces_itself() {
        let mut clock = FrameClock::driven(0, 50_000);
        clock.begin();
        clock.commit(5);
        assert_eq!(clock.flipped(None, PERIOD + 5), grid(2, PERIOD + 5));
        assert!(!clock.is_idle(2 * PERIOD - 1));
        assert_eq!(clock.rests_until(), Some(2 * PERIOD));
        assert!(clock.is_idle(2 * PERIOD));
        clock.begin();
        clock.commit(2 * PERIOD);
        assert_eq!(clock.flipped(None, 2 * PERIOD), grid(3, 2 * PERIOD), "no number twice");
    }

    #[test]
    fn a_refused_frame_is_followed_by_a_rest() {
        let mut clock = FrameClock::driven(0, 50_000);
        clock.begin();
        clock.commit(5);
        clock.refused(10);
        assert!(!clock.is_idle(AFTER_REFUSAL));
        assert!(clock.is_idle(10 + AFTER_REFUSAL));
    }
}
