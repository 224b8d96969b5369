//! Which pixels of a fetched row make which destination pixels: the tables that the kernels go by.

use std::ops::Range;

use super::axis::{Axis, Span, WEIGHT_BITS};

/// A table for some columns of the destination. Its indices count from `first`, and all of them are below
/// [`reach`](Self::reach): they can only be made so.
#[derive(Debug)]
pub(super) struct Taps<T> {
    first: u32,
    reach: usize,
    entries: Vec<T>,
}

/// Two neighbours in a row.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Pair {
    /// The first of them.
    pub(super) index: u32,
    /// The weights of both, which add up to 128, and that of the second one negated, as the bytes of a little-endian
    /// number.
    pub(super) weights: u32,
}

impl<T> Taps<T> {
    /// The source's column that index 0 stands for.
    pub(super) const fn first(&self) -> u32 {
        self.first
    }

    /// How long a fetched row must be.
    pub(super) const fn reach(&self) -> usize {
        self.reach
    }

    /// An entry for each column of the destination.
    pub(super) fn entries(&self) -> &[T] {
        &self.entries
    }
}

impl Taps<u32> {
    /// The nearest pixels.
    pub(super) fn nearest(axis: &Axis, columns: Range<u32>) -> Self {
        let mut entries: Vec<u32> = axis.nearest(columns).collect();
        let first = entries.iter().copied().min().unwrap_or_default();
        entries.iter_mut().for_each(|index| *index -= first);
        let reach = entries.iter().max().map_or(0, |last| *last as usize + 1);
        Self { first, reach, entries }
    }
}

impl Taps<Pair> {
    /// Pairs of neighbours.
    pub(super) fn linear(axis: &Axis, columns: Range<u32>) -> Self {
        let last = axis.last();
        let mut entries: Vec<Pair> = axis
            .linear(columns)
            .map(|(index, weight)| {
                // The kernels read both, also where one weighs nothing: nothing behind the last, if it has one before it.
                let (index, weight) = match index == last && last > axis.first() {
                    true => (index - 1, 1 << WEIGHT_BITS),
                    false => (index, u32::from(weight)),
                };
                let negated = u32::from(0_u8.wrapping_sub(weight as u8));
                Pair { index, weights: ((1 << WEIGHT_BITS) - weight) | (weight << 8) | (negated << 16) }
            })
            .collect();
        let first = entries.iter().map(|pair| pair.index).min().unwrap_or_default();
        entries.iter_mut().for_each(|pair| pair.index -= first);
        let reach = entries.iter().map(|pair| pair.index as usize + 2).max().unwrap_or_default();
        Self { first, reach, entries }
    }
}

impl Taps<Span> {
    /// Spans whose means are taken.
    pub(super) fn means(axis: &Axis, columns: Range<u32>) -> Self {
        let mut entries: Vec<Span> = axis.means(columns).collect();
        let first = entries.iter().map(|span| span.first).min().unwrap_or_default();
        entries.iter_mut().for_each(|span| span.first -= first);
        let reach = entries.iter().map(|span| span.last() as usize + 1).max().unwrap_or_default();
        Self { first, reach, entries }
    }
}
