//! Room 7, frame clock: when an output's next frame begins, and when the last one came on the glass.
//!
//! One state machine for each output; `now` is an argument, in nanoseconds of CLOCK_MONOTONIC.
//!
//! ```text
//!          damage            composed             vblank
//!  Idle ───begin()──▶ Composing ──commit()──▶ Committed ──flip()──▶ Idle, or Resting for a while
//! ```
//!
//! There is at most one frame under way. What is drawn while it is composed or waits for its vblank is in the next.
//! When nothing changes, nothing wakes.
//!
//! A frame begins as late as is safe: it *aims* for the first vblank that is far enough away by what composing has been
//! measured to cost ([`lead`]), and begins so long before it. What is drawn meanwhile is in it, and may make it begin
//! earlier. Where it comes too late for that to be safe the frame begins at once, and may miss its vblank; it never aims
//! for a later one, since what was there first was in time. What comes so late that there is no hope, with nothing before
//! it, is for the next vblank. Where every connection waits for this frame, nothing more can come that would be in it, and
//! the server has it begin at once: that spares a wake-up, and finds what has just been drawn in the cache.
//!
//! A paced clock makes the vblanks itself, on a grid of its period that begins at its start: the headless output's. A
//! driven one is told of them, by the display's flip events, and reckons with the next ones for a while: where it has seen
//! none for a second, and nobody can tell it of one, a frame begins at once. Where the driver has no vblanks, the events come at once:
//! after such an event the clock rests until the next vblank of a grid of its own. It also rests after a frame that the
//! display has refused.

pub mod lead;

use lead::Lead;

/// How long a clock rests after the display has refused a frame, in nanoseconds.
pub const AFTER_REFUSAL: u64 = 1_000_000_000;

/// How long the next vblanks can be told from one that was seen, in nanoseconds. Some cards let them come anew when they
/// have not been asked for any for some seconds, and the measured period is never quite right.
const KNOWN_FOR: u64 = 1_000_000_000;

/// The period may differ from the mode's by this part: one of so many.
const TOLERANCE: u64 = 100;

/// The part of an error that corrects the period: one of so many.
const CORRECTION: i64 = 8;

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

/// What the next frame, or that under way, is to be in time for.
#[derive(Clone, Copy, Debug)]
struct Aim {
    /// The vblank's time.
    vblank: u64,
    /// When the frame is to begin.
    begin: u64,
    /// Whether something came so late that it is not safe any more.
    is_rushed: bool,
}

/// The state machine of one output.
#[derive(Clone, Debug)]
pub struct FrameClock {
    state: State,
    grid: Grid,
    is_driven: bool,
    /// The last vblank of the display hardware that is known.
    seen: Option<u64>,
    /// The hardware's period as it has been measured.
    period: u64,
    aim: Option<Aim>,
    lead: Lead,
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
        let grid = Grid { start: now, period };
        Self { state: State::Idle, grid, is_driven, seen: None, period, aim: None, lead: Lead::default() }
    }

    /// Composing what has changed costs so many bytes of slices: aims for a vblank, where these are known. To be told
    /// when the clock is idle, before [`may_begin`](Self::may_begin) is asked.
    pub fn aim(&mut self, now: u64, bytes: u64) {
        let earliest = now.saturating_add(self.lead.hoped(bytes));
        let kept = self.aim.filter(|aim| aim.vblank > now);
        let vblank = kept.map(|aim| aim.vblank).or_else(|| self.vblank_after(now, earliest));
        let safe = now.saturating_add(self.lead.needed(bytes));
        self.aim = vblank.map(|vblank| Aim {
            vblank,
            begin: vblank.saturating_sub(self.lead.planned(bytes)),
            is_rushed: vblank < safe || kept.is_some_and(|aim| aim.is_rushed),
        });
    }

    /// The first vblank after a time that is to come, where that is known.
    fn vblank_after(&self, now: u64, time: u64) -> Option<u64> {
        if !self.is_driven {
            return Some(self.grid.after(time).time);
        }
        let start = self.seen.filter(|_| !self.has_lost_track(now))?;
        Some(Grid { start, period: self.period }.after(time).time)
    }

    /// Whether a frame that shows something new is to begin: none is under way, and it need not wait any longer.
    pub fn may_begin(&self, now: u64) -> bool {
        self.is_idle(now) && self.aim.is_none_or(|aim| aim.begin <= now)
    }

    /// When the next frame is to begin, where that has been told to be later than at once.
    pub fn begins_at(&self) -> Option<u64> {
        let may_aim = matches!(self.state, State::Idle | State::Resting { .. });
        self.aim.filter(|_| may_aim).map(|aim| aim.begin)
    }

    /// Whether the frame under way needs the time that is left until its vblank.
    pub fn presses(&self, now: u64) -> bool {
        let presses = |aim: Aim| (aim.begin..aim.vblank).contains(&now);
        self.state == State::Composing && self.aim.is_some_and(presses)
    }

    /// What composing and committing a frame has cost; see [`Lead::measured`].
    pub fn measured(&mut self, bytes: u64, composing: u64, commit: u64) {
        self.lead.measured(bytes, composing, commit);
    }

    /// Whether no frame is under way, and the clock does not rest.
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
                self.arrived(vblank.time);
                Some(vblank)
            }
            _ => None,
        }
    }

    /// The display tells that the committed frame has come on the glass, at this time, with the vblank of this number,
    /// or with none. What that means for those who wait for it.
    pub fn flipped(&mut self, sequence: Option<u64>, time: u64) -> Flip {
        self.arrived(time);
        if let Some(sequence) = sequence {
            self.state = State::Idle;
            self.see(time);
            return Flip { sequence, time, is_hardware: true };
        }
        let next = self.grid.after(time);
        self.state = State::Resting { until: next.time };
        Flip { sequence: next.sequence, time, is_hardware: false }
    }

    /// A frame has come on the glass: whether that was the vblank that it was to come with says how long the next one is
    /// to take.
    fn arrived(&mut self, time: u64) {
        let Some(aim) = self.aim.take() else { return };
        if time <= aim.vblank.saturating_add(self.period / 2) {
            self.lead.kept();
        } else if !aim.is_rushed {
            self.lead.missed();
        }
    }

    /// Whether a driven clock has seen no vblank for too long to know when the next one will be.
    pub fn has_lost_track(&self, now: u64) -> bool {
        self.is_driven && self.seen.is_none_or(|seen| now.saturating_sub(seen) > KNOWN_FOR)
    }

    /// There was a vblank of the display hardware at this time: it corrects the period.
    pub fn see(&mut self, time: u64) {
        let before = self.seen.replace(time);
        let Some(since) =
            before.and_then(|before| time.checked_sub(before)).filter(|since| *since <= KNOWN_FOR)
        else {
            return;
        };
        let count = (since + self.period / 2) / self.period;
        let error = since.cast_signed() - (count * self.period).cast_signed();
        let correction = error / (count.max(1).cast_signed() * CORRECTION);
        let mode = self.grid.period;
        let range = mode - mode / TOLERANCE..=mode + mode / TOLERANCE;
        self.period = self.period.saturating_add_signed(correction).clamp(*range.start(), *range.end());
    }

    /// The display has refused the frame.
    pub fn refused(&mut self, now: u64) {
        self.aim = None;
        self.state = State::Resting { until: now.saturating_add(AFTER_REFUSAL) };
    }

    /// No frame is under way any more, and nobody knows when vblanks will be.
    pub fn reset(&mut self) {
        self.aim = None;
        self.seen = None;
        self.state = State::Idle;
    }
}

#[cfg(test)]
mod tests;
