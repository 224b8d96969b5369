//! Which instructions the kernels of scaling use, found out once at run time.

use super::axis::Span;
use super::plain;
use super::taps::{Pair, Taps};
#[cfg(target_arch = "x86_64")]
use super::x86;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Instructions {
    Plain,
    #[cfg(target_arch = "x86_64")]
    Sse41,
    #[cfg(target_arch = "x86_64")]
    Avx2,
}

/// A set of instructions that this processor has. All of them come to the same, to the bit; the best one is what is
/// used unless a test or a benchmark asks for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level(Instructions);

impl Level {
    /// What every processor has: the definition of the others.
    pub const PLAIN: Self = Self(Instructions::Plain);

    /// The levels that this processor has, the best one last.
    pub fn available() -> Vec<Self> {
        let mut levels = vec![Self::PLAIN];
        #[cfg(target_arch = "x86_64")]
        {
            let has_ssse3 = std::arch::is_x86_feature_detected!("ssse3");
            if has_ssse3 && std::arch::is_x86_feature_detected!("sse4.1") {
                levels.push(Self(Instructions::Sse41));
            }
            if std::arch::is_x86_feature_detected!("avx2") {
                levels.push(Self(Instructions::Avx2));
            }
        }
        levels
    }

    /// The best level that this processor has.
    pub fn best() -> Self {
        static BEST: std::sync::LazyLock<Level> =
            std::sync::LazyLock::new(|| Level::available().last().copied().unwrap_or(Level::PLAIN));
        *BEST
    }

    /// Its name, for reports.
    pub const fn name(self) -> &'static str {
        match self.0 {
            Instructions::Plain => "plain",
            #[cfg(target_arch = "x86_64")]
            Instructions::Sse41 => "SSE4.1",
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => "AVX2",
        }
    }

    /// Along the row, between two neighbours each. Nothing where the row is shorter than the table's reach.
    pub(super) fn across_linear(self, row: &[u32], taps: &Taps<Pair>, out: &mut [u16]) {
        let count = taps.entries().len().min(out.len() / 4);
        let (pairs, out) = (&taps.entries()[..count], &mut out[..count * 4]);
        if row.len() < taps.reach() {
            return;
        }
        match self.0 {
            Instructions::Plain => plain::across_linear(row, pairs, out),
            // SAFETY: the processor has the instructions, which `available` has asked. No index of the table, nor the one
            // after it, is beyond its reach, and so none is beyond the row.
            #[cfg(target_arch = "x86_64")]
            Instructions::Sse41 => unsafe { x86::across_linear_sse41(row, pairs, out) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => unsafe { x86::across_linear_avx2(row, pairs, out) },
        }
    }

    /// Along the row, the mean of a span each. Nothing where the row is shorter than the table's reach.
    pub(super) fn across_mean(self, row: &[u32], taps: &Taps<Span>, out: &mut [u16]) {
        let count = taps.entries().len().min(out.len() / 4);
        let (spans, out) = (&taps.entries()[..count], &mut out[..count * 4]);
        if row.len() < taps.reach() {
            return;
        }
        match self.0 {
            Instructions::Plain => plain::across_mean(row, spans, out),
            // SAFETY: the processor has the instructions, which `available` has asked. No span of the table ends beyond its
            // reach, and so none does beyond the row.
            #[cfg(target_arch = "x86_64")]
            Instructions::Sse41 => unsafe { x86::across_mean_sse41(row, spans, out) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => unsafe { x86::across_mean_avx2(row, spans, out) },
        }
    }

    /// Between two scaled rows, of which the lower one has `weight`, in 1/128, to whole pixels.
    pub(super) fn down_linear(self, upper: &[u16], lower: &[u16], weight: u8, out: &mut [u32]) {
        let count = out.len().min(upper.len() / 4).min(lower.len() / 4);
        let (upper, lower, out) = (&upper[..count * 4], &lower[..count * 4], &mut out[..count]);
        match self.0 {
            Instructions::Plain => plain::down_linear(upper, lower, weight, out),
            // SAFETY: the processor has the instructions, which `available` has asked.
            #[cfg(target_arch = "x86_64")]
            Instructions::Sse41 => unsafe { x86::down_linear_sse41(upper, lower, weight, out) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => unsafe { x86::down_linear_avx2(upper, lower, weight, out) },
        }
    }

    /// Adds a scaled row to sums of such rows.
    pub(super) fn accumulate(self, row: &[u16], weight: u32, sums: &mut [u32]) {
        match self.0 {
            Instructions::Plain => plain::accumulate(row, weight, sums),
            // SAFETY: the processor has the instructions, which `available` has asked.
            #[cfg(target_arch = "x86_64")]
            Instructions::Sse41 => unsafe { x86::accumulate_sse41(row, weight, sums) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => unsafe { x86::accumulate_avx2(row, weight, sums) },
        }
    }

    /// Whole pixels from sums of scaled rows, by 2^40 divided by what these weigh.
    pub(super) fn down_mean(self, sums: &[u32], reciprocal: u32, out: &mut [u32]) {
        match self.0 {
            Instructions::Plain => plain::down_mean(sums, reciprocal, out),
            // SAFETY: the processor has the instructions, which `available` has asked.
            #[cfg(target_arch = "x86_64")]
            Instructions::Sse41 => unsafe { x86::down_mean_sse41(sums, reciprocal, out) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => unsafe { x86::down_mean_avx2(sums, reciprocal, out) },
        }
    }
}
