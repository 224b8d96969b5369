//! The kernels of scaling as a table for each [`Level`]. All of them come to the same, to the bit; `plain` is the
//! definition.

use super::axis::Span;
use super::plain;
use super::taps::{LANES, LinearTaps, Octet, Pair, Taps};
use super::words::Words;
#[cfg(target_arch = "x86_64")]
use super::x86;
use crate::level::Level;

/// Words to be written: of a slice, or of a picture that others may look at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Out {
    base: *mut u32,
    length: usize,
    is_past_cache: bool,
}

impl Out {
    /// # Safety
    /// So many words must be writable for as long as this is used.
    pub(super) const unsafe fn new(base: *mut u32, length: usize, is_past_cache: bool) -> Self {
        Self { base, length, is_past_cache }
    }

    /// How many words are before the first of which eight are best written at once.
    pub(super) fn unaligned(self) -> usize {
        self.base.align_offset(LANES * size_of::<u32>()) % LANES
    }
}

/// Mixes pixels of two rows, and these with their neighbours. The octets are the pairs once more, or none.
type BothLinear = unsafe fn(
    rows: [Words<'_>; 2],
    weight: u8,
    pairs: &[Pair],
    octets: &[Octet],
    out: *mut u32,
    is_past_cache: bool,
);

/// The kernels of a level that the processor has. What a function reads and writes has as many pixels as its table, or as
/// each other, and every pixel that a table names is inside the row: the methods see to both.
#[derive(Debug)]
pub(super) struct Kernels {
    across_linear: unsafe fn(row: Words<'_>, pairs: &[Pair], out: &mut [u16]),
    across_mean: unsafe fn(row: Words<'_>, spans: &[Span], out: &mut [u16]),
    down_linear: unsafe fn(upper: &[u16], lower: &[u16], weight: u8, out: *mut u32, is_past_cache: bool),
    both_linear: BothLinear,
    accumulate: unsafe fn(row: &[u16], weight: u32, sums: &mut [u32]),
    down_mean: unsafe fn(sums: &[u32], reciprocal: u32, out: &mut [u32]),
}

static PLAIN: Kernels = Kernels {
    across_linear: plain::across_linear,
    across_mean: plain::across_mean,
    down_linear: plain::down_linear,
    both_linear: plain::both_linear,
    accumulate: plain::accumulate,
    down_mean: plain::down_mean,
};

#[cfg(target_arch = "x86_64")]
static SSE41: Kernels = Kernels {
    across_linear: x86::across_linear_sse41,
    across_mean: x86::across_mean_sse41,
    down_linear: x86::down_linear_sse41,
    both_linear: x86::both_linear_sse41,
    accumulate: x86::accumulate_sse41,
    down_mean: x86::down_mean_sse41,
};

#[cfg(target_arch = "x86_64")]
static AVX2: Kernels = Kernels {
    across_linear: x86::across_linear_avx2,
    across_mean: x86::across_mean_avx2,
    down_linear: x86::down_linear_avx2,
    both_linear: x86::both_linear_avx2,
    accumulate: x86::accumulate_avx2,
    down_mean: x86::down_mean_avx2,
};

impl Kernels {
    /// Those of a level; the plain ones where the processor does not have it.
    pub(super) fn of(level: Level) -> &'static Self {
        match level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 if level.is_there() => &AVX2,
            #[cfg(target_arch = "x86_64")]
            Level::Sse41 if level.is_there() => &SSE41,
            _ => &PLAIN,
        }
    }

    /// Along the row, between two neighbours each. Nothing where the row is shorter than the table's reach.
    pub(super) fn across_linear(&self, row: Words<'_>, taps: &Taps<Pair>, out: &mut [u16]) {
        if row.len() < taps.reach() {
            return;
        }
        let count = taps.entries().len().min(out.len() / 4);
        // SAFETY: the processor has the instructions. No index of the table, nor the one after it, is beyond its reach,
        // and so none is beyond the row.
        unsafe { (self.across_linear)(row, &taps.entries()[..count], &mut out[..count * 4]) };
    }

    /// Along the row, the mean of a span each. Nothing where the row is shorter than the table's reach.
    pub(super) fn across_mean(&self, row: Words<'_>, taps: &Taps<Span>, out: &mut [u16]) {
        if row.len() < taps.reach() {
            return;
        }
        let count = taps.entries().len().min(out.len() / 4);
        // SAFETY: the processor has the instructions. No span of the table ends beyond its reach, and so none does beyond
        // the row.
        unsafe { (self.across_mean)(row, &taps.entries()[..count], &mut out[..count * 4]) };
    }

    /// Between two scaled rows, of which the lower one has `weight`, in 1/128, to whole pixels.
    pub(super) fn down_linear(&self, upper: &[u16], lower: &[u16], weight: u8, out: Out) {
        let count = out.length.min(upper.len() / 4).min(lower.len() / 4);
        let (upper, lower) = (&upper[..count * 4], &lower[..count * 4]);
        // SAFETY: the processor has the instructions, and `out` has room for so many.
        unsafe { (self.down_linear)(upper, lower, weight, out.base, out.is_past_cache) };
    }

    /// Between two rows, of which the lower one has `weight`, in 1/128, and then between two neighbours each, to whole
    /// pixels. Nothing where a row is shorter than the table's reach, or there is no room.
    pub(super) fn both_linear(&self, rows: [Words<'_>; 2], weight: u8, taps: &LinearTaps, out: Out) {
        let pairs = taps.pairs().entries();
        if rows.iter().any(|row| row.len() < taps.pairs().reach()) || out.length < pairs.len() {
            return;
        }
        // SAFETY: the processor has the instructions. No index of the table, nor the one after it, nor a word of its octets,
        // is beyond its reach, and so none is beyond the rows; `out` has room for all of them.
        unsafe { (self.both_linear)(rows, weight, pairs, taps.octets(), out.base, out.is_past_cache) };
    }

    /// Adds a scaled row to sums of such rows.
    pub(super) fn accumulate(&self, row: &[u16], weight: u32, sums: &mut [u32]) {
        // SAFETY: the processor has the instructions.
        unsafe { (self.accumulate)(row, weight, sums) };
    }

    /// Whole pixels from sums of scaled rows, by 2^40 divided by what these weigh.
    pub(super) fn down_mean(&self, sums: &[u32], reciprocal: u32, out: &mut [u32]) {
        // SAFETY: the processor has the instructions.
        unsafe { (self.down_mean)(sums, reciprocal, out) };
    }
}
