//! The kernels of scaling, pixel by pixel: what the faster ones are held against, to the bit.
//!
//! A scaled row is four numbers a pixel, each a channel times 128, so at most 32640. Two pixels of it are mixed with
//! rounding to 1/128 of a step, and rounded to whole steps at the end.

use super::axis::Span;
use super::taps::{Octet, Pair};
use super::words::Words;

/// A channel times this is what scaled rows hold.
const ONE: u32 = 128;

/// Each pixel of the table.
pub(super) fn nearest(row: Words<'_>, indices: &[u32], out: &mut [u32]) {
    for (out, index) in out.iter_mut().zip(indices) {
        *out = row.get(*index as usize);
    }
}

/// Along the row, between two neighbours each.
pub(super) fn across_linear(row: Words<'_>, pairs: &[Pair], out: &mut [u16]) {
    for (out, pair) in out.as_chunks_mut::<4>().0.iter_mut().zip(pairs) {
        let index = pair.index as usize;
        let (left, right) = (row.get(index).to_le_bytes(), row.get(index + 1).to_le_bytes());
        let [first, second, ..] = pair.weights.to_le_bytes().map(u16::from);
        for channel in 0..4 {
            out[channel] = u16::from(left[channel]) * first + u16::from(right[channel]) * second;
        }
    }
}

/// Along the row, the mean of a span each.
pub(super) fn across_mean(row: Words<'_>, spans: &[Span], out: &mut [u16]) {
    for (out, span) in out.as_chunks_mut::<4>().0.iter_mut().zip(spans) {
        let (first, last) = (span.first as usize, span.last() as usize);
        let (head, tail) = (row.get(first).to_le_bytes(), row.get(last).to_le_bytes());
        for channel in 0..4 {
            let between: u32 =
                (first + 1..last).map(|index| u32::from(row.get(index).to_le_bytes()[channel])).sum();
            let sum = u32::from(head[channel]) * span.head
                + between * span.whole
                + u32::from(tail[channel]) * span.tail;
            // Times 128, and divided by what all weigh.
            out[channel] = ((u64::from(sum) * u64::from(span.reciprocal) + (1 << 32)) >> 33) as u16;
        }
    }
}

/// Two values of scaled rows, of which the second one has `weight`, in 1/128, to a whole one.
#[inline(always)]
fn whole(first: u16, second: u16, weight: u32) -> u8 {
    let (first, second) = (i32::from(first), i32::from(second));
    let mixed = first + (((second - first) * weight as i32 + ONE as i32 / 2) >> 7);
    ((mixed + ONE as i32 / 2) >> 7) as u8
}

/// Between two scaled rows, of which the lower one has `weight`, in 1/128, to whole pixels.
///
/// # Safety
/// As many words must be writable as both rows have pixels.
pub(super) unsafe fn down_linear(upper: &[u16], lower: &[u16], weight: u8, out: *mut u32, _: bool) {
    let rows = upper.as_chunks::<4>().0.iter().zip(lower.as_chunks::<4>().0);
    for (index, (upper, lower)) in rows.enumerate() {
        let channel = |channel: usize| whole(upper[channel], lower[channel], weight.into());
        // SAFETY: the caller's promise.
        unsafe { out.add(index).write_unaligned(u32::from_le_bytes([0, 1, 2, 3].map(channel))) };
    }
}

/// Between two rows, of which the lower one has `weight`, in 1/128, and then between two neighbours each, to whole pixels.
///
/// # Safety
/// As many words must be writable as there are pairs.
pub(super) unsafe fn both_linear(
    [upper, lower]: [Words<'_>; 2],
    weight: u8,
    pairs: &[Pair],
    _: &[Octet],
    out: *mut u32,
    _: bool,
) {
    let weights = [ONE as u16 - u16::from(weight), u16::from(weight)];
    let between = |index: usize, channel: usize| {
        let [upper, lower] = [upper, lower].map(|row| u16::from(row.get(index).to_le_bytes()[channel]));
        upper * weights[0] + lower * weights[1]
    };
    for (place, pair) in pairs.iter().enumerate() {
        let index = pair.index as usize;
        let [_, weight, ..] = pair.weights.to_le_bytes();
        let channel =
            |channel: usize| whole(between(index, channel), between(index + 1, channel), weight.into());
        // SAFETY: the caller's promise.
        unsafe { out.add(place).write_unaligned(u32::from_le_bytes([0, 1, 2, 3].map(channel))) };
    }
}

/// Adds a scaled row to sums of such rows.
#[inline(always)]
pub(super) fn accumulate(row: &[u16], weight: u32, sums: &mut [u32]) {
    for (sum, value) in sums.iter_mut().zip(row) {
        // It cannot overflow, and where that is checked, the loop is not made into one of vectors.
        *sum = sum.wrapping_add(u32::from(*value).wrapping_mul(weight));
    }
}

/// Whole pixels from sums of scaled rows, by 2^40 divided by what these weigh.
#[inline(always)]
pub(super) fn down_mean(sums: &[u32], reciprocal: u32, out: &mut [u32]) {
    for (out, sums) in out.iter_mut().zip(sums.as_chunks::<4>().0) {
        // As above.
        let product = |sum: u32| u64::from(sum).wrapping_mul(u64::from(reciprocal)).wrapping_add(1 << 46);
        let channel = |sum: u32| (product(sum) >> 47) as u8;
        *out = u32::from_le_bytes(sums.map(channel));
    }
}
