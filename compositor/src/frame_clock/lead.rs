//! How long before a vblank a frame has to begin: what composing it will cost, by what composing has cost so far, what
//! committing it costs, and a margin that grows with the frames that were late all the same. Pure: somebody else measures.
//!
//! What is expected follows what is measured quickly when that is more, and slowly when it is less. One frame that was
//! held up, as by a CPU that went elsewhere, raises it by a quarter at the most. What is hoped for is the other way round.

/// While a frame needs the time until its vblank it has so many slices for each one of the requests'.
pub const PRESSING_SLICES: u64 = 4;

/// What composing is expected to cost before any has been measured, in nanoseconds for a MiB: that of memory that moves 8 GB
/// in a second.
const FIRST_RATE: u64 = 131_072;

/// What committing is expected to cost before any has been measured, in nanoseconds.
const FIRST_COMMIT: u64 = 50_000;

/// However little there is to compose, it is expected to cost what this many bytes do: what is small is not found in the
/// cache. So what is smaller says nothing of what a MiB costs.
const LEAST_BYTES: u64 = 256 * 1024;

/// A frame of this many bytes pulls what is expected of a MiB half as much as one without end, and a larger one pulls it up
/// at once. What is small says little of what is large.
const TELLING_BYTES: u64 = 4 << 20;

/// The part of the way down to what has been measured that is gone at each frame: one of so many.
const DESCENT: u64 = 4;

/// The margin, in nanoseconds: what the kernel takes from the commit until the display has it, and other things that nobody
/// measures. It is this at the least, and grows by [`MARGIN_STEP`] with each frame that was late.
const LEAST_MARGIN: u64 = 200_000;
const MARGIN_STEP: u64 = 100_000;
/// A frame that is late with more than this is so for another reason, such as a machine that has too much to do.
const MOST_MARGIN: u64 = 1_000_000;

/// The part of the margin above the least that goes with each frame that was in time: one of so many. That is half of it
/// in 47 seconds at 60 Hz; a card that needs a larger one loses a frame every few seconds to find that out again.
const MARGIN_DESCENT: u64 = 4096;

/// How long it may take, in nanoseconds, until the daemon has woken and done the slice that was before the frame.
const WAKING: u64 = 300_000;

/// What is drawn this long before a vblank, in nanoseconds, is in its frame. Until then no frame that can wait begins; and
/// however little it costs, it begins then, and has the rest of the time for a machine that is held up.
const PROMISED: u64 = 2_000_000;

/// How much later than that a frame begins, in nanoseconds: what has been drawn by then has been asked for by then.
const RECEIPT: u64 = 100_000;

/// What is expected of an output's frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lead {
    /// Nanoseconds for composing a MiB, as is to be expected.
    rate: u64,
    /// The same where all goes well.
    best_rate: u64,
    /// Nanoseconds for committing.
    commit: u64,
    margin: u64,
}

impl Default for Lead {
    fn default() -> Self {
        Self { rate: FIRST_RATE, best_rate: FIRST_RATE, commit: FIRST_COMMIT, margin: LEAST_MARGIN }
    }
}

impl Lead {
    /// How long before its vblank a frame has to begin at the latest for that to be worth a try, in nanoseconds, where
    /// composing it costs so many bytes of slices. One that is late all the same comes with the vblank that it would have
    /// been for otherwise.
    pub fn hoped(&self, bytes: u64) -> u64 {
        (bytes.max(LEAST_BYTES).saturating_mul(self.best_rate) >> 20).saturating_add(self.commit)
    }

    /// How long before its vblank it has to begin to be safe, in nanoseconds.
    pub fn needed(&self, bytes: u64) -> u64 {
        let composing = bytes.max(LEAST_BYTES).saturating_mul(self.rate) >> 20;
        let requests = composing / PRESSING_SLICES;
        composing.saturating_add(requests).saturating_add(self.commit).saturating_add(self.margin)
    }

    /// How long before its vblank it is to begin, in nanoseconds, where that can be chosen: the daemon has to wake for it.
    pub fn planned(&self, bytes: u64) -> u64 {
        self.needed(bytes).saturating_add(WAKING).max(PROMISED - RECEIPT)
    }

    /// Composing a frame that costs so many bytes of slices has taken so long, and committing it, in nanoseconds of work.
    pub fn measured(&mut self, bytes: u64, composing: u64, commit: u64) {
        follow(&mut self.commit, commit, (1, 1), (1, DESCENT));
        if bytes < LEAST_BYTES {
            return;
        }
        let rate = composing.saturating_mul(1 << 20) / bytes;
        let (share, of) = (bytes, bytes.saturating_add(TELLING_BYTES));
        let rise = (bytes.min(TELLING_BYTES), TELLING_BYTES);
        follow(&mut self.rate, rate, rise, (share, of.saturating_mul(DESCENT)));
        let of = if rate < self.best_rate { of } else { of.saturating_mul(DESCENT) };
        approach(&mut self.best_rate, rate, (share, of));
        // What is hoped for chooses the vblank: more than what is expected would have frames wait for a later one.
        self.best_rate = self.best_rate.min(self.rate);
    }

    /// A frame that began in time came a vblank late.
    pub fn missed(&mut self) {
        self.margin = (self.margin + MARGIN_STEP).min(MOST_MARGIN);
    }

    /// A frame came with its vblank.
    pub const fn kept(&mut self) {
        self.margin -= (self.margin - LEAST_MARGIN) / MARGIN_DESCENT;
    }
}

/// Up to what has been measured at once, but by a share of a quarter at the most; down by a share of the difference. Shares
/// are fractions.
fn follow(expected: &mut u64, measured: u64, rise: (u64, u64), descent: (u64, u64)) {
    if measured > *expected {
        let most = (*expected).saturating_add(*expected / 4 + 1);
        approach(expected, measured.min(most), rise);
    } else {
        approach(expected, measured, descent);
    }
}

/// Goes to what has been measured by a share of the difference.
fn approach(expected: &mut u64, measured: u64, (share, of): (u64, u64)) {
    let part = u128::from(expected.abs_diff(measured)) * u128::from(share) / u128::from(of.max(1));
    let part = u64::try_from(part).unwrap_or(u64::MAX);
    *expected =
        if measured > *expected { expected.saturating_add(part) } else { expected.saturating_sub(part) };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of a frame of 1920x1080, written past the cache.
    const LARGE: u64 = 2 * 1920 * 1080 * 4;

    fn composing(lead: &Lead, bytes: u64) -> u64 {
        (lead.needed(bytes) - lead.commit - lead.margin) * PRESSING_SLICES / (PRESSING_SLICES + 1)
    }

    #[test]
    fn what_is_expected_rises_at_once_and_falls_slowly() {
        let mut lead = Lead::default();
        let first = composing(&lead, LARGE);
        lead.measured(LARGE, first + first / 5, FIRST_COMMIT);
        assert!(composing(&lead, LARGE).abs_diff(first + first / 5) < 100);
        let high = composing(&lead, LARGE);
        lead.measured(LARGE, high / 2, FIRST_COMMIT);
        let after = composing(&lead, LARGE);
        assert!(after < high && after > high * 8 / 10, "{high} {after}");
        for _ in 0..100 {
            lead.measured(LARGE, high / 2, FIRST_COMMIT);
        }
        assert!(composing(&lead, LARGE).abs_diff(high / 2) < 1000);
    }

    #[test]
    fn one_that_was_held_up_does_not_decide() {
        let mut lead = Lead::default();
        let first = lead.needed(LARGE);
        lead.measured(LARGE, 1_000_000_000, 1_000_000_000);
        assert!(lead.needed(LARGE) <= first + first / 4 + 100);
        assert!(
            lead.hoped(LARGE) <= lead.needed(LARGE),
            "what is hoped for is no more than what is expected"
        );
    }

    #[test]
    fn what_is_hoped_for_is_what_has_been_seen() {
        let mut lead = Lead::default();
        let first = lead.hoped(LARGE);
        assert!(first < lead.needed(LARGE));
        lead.measured(LARGE, first / 2, FIRST_COMMIT);
        let best = lead.hoped(LARGE);
        assert!(best < first * 3 / 4);
        lead.measured(LARGE, first * 2, FIRST_COMMIT);
        assert!(lead.hoped(LARGE) < first, "one that was held up");
        for _ in 0..100 {
            lead.measured(LARGE, first * 2, FIRST_COMMIT);
        }
        assert!(lead.hoped(LARGE) > first * 19 / 10, "all of them are");
    }

    #[test]
    fn what_is_small_says_little_of_what_is_large() {
        let mut lead = Lead::default();
        let first = composing(&lead, LARGE);
        for _ in 0..60 {
            lead.measured(64 * 64 * 4, 1000, FIRST_COMMIT);
        }
        assert!(composing(&lead, LARGE) > first * 9 / 10);
        lead.measured(64 * 64 * 4, 20_000, FIRST_COMMIT);
        assert!(
            composing(&lead, LARGE) <= first,
            "a small one that takes longer for a byte than a large one"
        );
        for _ in 0..100 {
            lead.measured(16 * 1024, 200_000, FIRST_COMMIT);
        }
        assert!(composing(&lead, LARGE) <= first, "what is not found in the cache");
        for _ in 0..10 {
            lead.measured(LEAST_BYTES, 200_000, FIRST_COMMIT);
        }
        assert!(composing(&lead, LARGE) < first * 6 / 5, "nor for ten frames of more");
    }

    #[test]
    fn what_is_drawn_as_long_before_as_is_promised_is_in_the_frame_however_small() {
        let lead = Lead::default();
        assert!(lead.planned(0) < PROMISED && lead.planned(0) >= PROMISED - RECEIPT);
        // It is safe for much longer, and what comes later is not put off for it.
        assert!(lead.needed(0) < PROMISED / 4);
        assert!(lead.planned(2 * LARGE) > PROMISED, "more takes what it takes");
    }

    #[test]
    fn the_margin_grows_with_misses_and_goes_down_slowly() {
        let mut lead = Lead::default();
        let least = lead.needed(0);
        for _ in 0..5 {
            lead.missed();
        }
        assert_eq!(lead.needed(0), least + 5 * MARGIN_STEP);
        for _ in 0..60 {
            lead.kept();
        }
        assert!(lead.needed(0) > least + 4 * MARGIN_STEP, "a second is not enough to forget");
        for _ in 0..100 {
            lead.missed();
        }
        assert_eq!(lead.needed(0), least - LEAST_MARGIN + MOST_MARGIN);
        for _ in 0..60 * 60 * 10 {
            lead.kept();
        }
        assert!(lead.needed(0) < least + MARGIN_STEP / 10, "ten minutes are");
    }

    #[test]
    fn numbers_without_end_do_no_harm() {
        let mut lead = Lead::default();
        for _ in 0..200 {
            lead.measured(u64::MAX >> 8, u64::MAX, u64::MAX);
        }
        assert!(lead.planned(u64::MAX) >= lead.needed(u64::MAX));
        lead.measured(0, 0, 0);
    }
}
