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

/// How many source pixels eight lanes of words hold: as many as two neighbours each of four pixels reach over, where no more
/// than two source pixels come to one.
pub(super) const LANES: usize = 8;

/// Two neighbours each of eight pixels of the destination, four by four, as permutations of words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Octet {
    /// For each four of them, which of the [`LANES`] words from `starts` on are the left ones of two of them, the right ones of
    /// these, and both of the other two. The top byte is the negated weight of the right one.
    pub(super) lanes: [[u32; LANES]; 2],
    /// The first word for each four of them.
    pub(super) starts: [u32; 2],
    /// The first pixel.
    pub(super) place: u32,
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

/// Pairs of neighbours, and the same as octets.
#[derive(Debug)]
pub(super) struct LinearTaps {
    pairs: Taps<Pair>,
    octets: Vec<Octet>,
}

impl LinearTaps {
    /// Those of a table, whose octets follow each other from pixel `head` on.
    pub(super) fn new(pairs: Taps<Pair>, head: usize) -> Self {
        let octets = pairs.octets(head);
        Self { pairs, octets }
    }

    pub(super) const fn pairs(&self) -> &Taps<Pair> {
        &self.pairs
    }

    /// None where the table is too small for them, or where more than two source pixels come to one.
    pub(super) fn octets(&self) -> &[Octet] {
        &self.octets
    }
}

impl Taps<Pair> {
    /// All pixels in eights, of which those from pixel `head`, one of the first eight, on follow each other. What that leaves over at both ends is part of
    /// eights that have other pixels of their neighbours too.
    fn octets(&self, head: usize) -> Vec<Octet> {
        let count = self.entries.len();
        let Some(last) = count.checked_sub(LANES) else { return Vec::new() };
        let head = (head % LANES).min(last);
        let mut places = Vec::with_capacity(count / LANES + 2);
        places.extend((head > 0).then_some(0));
        places.extend((head..=last).step_by(LANES));
        places.extend((!(count - head).is_multiple_of(LANES)).then_some(last));
        places.into_iter().map(|place| self.octet(place)).collect::<Option<_>>().unwrap_or_default()
    }

    /// The one that begins with this pixel.
    fn octet(&self, place: usize) -> Option<Octet> {
        let pairs: &[Pair; LANES] = self.entries.get(place..)?.first_chunk()?;
        // So that all words are inside.
        let start_of =
            |pair: &Pair| (pair.index as usize).min(self.reach.checked_sub(LANES)?).try_into().ok();
        let starts = [start_of(&pairs[0])?, start_of(&pairs[4])?];
        let mut lanes = [[0; LANES]; 2];
        for (index, pair) in pairs.iter().enumerate() {
            let (four, left) = (index / 4, [0, 1, 4, 5][index % 4]);
            let word = pair.index - starts[four];
            if word as usize + 1 >= LANES {
                return None;
            }
            let weight = (pair.weights >> 16) << 24;
            lanes[four][left] = word | weight;
            lanes[four][left + 2] = (word + 1) | weight;
        }
        Some(Octet { lanes, starts, place: place.try_into().ok()? })
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn octets_are_the_pairs_once_more(
            start in 0u32..200_000, length in 1u32..6_000_000, size in 1u32..100, first in 0u32..100, head in 0usize..10,
        ) {
            let axis = Axis::new(start, length, size).unwrap();
            let taps = LinearTaps::new(Taps::linear(&axis, first.min(size - 1)..size), head);
            let (pairs, octets) = (taps.pairs().entries(), taps.octets());
            let mut is_there = vec![false; pairs.len()];
            for octet in octets {
                let place = octet.place as usize;
                for (index, pair) in pairs[place..place + LANES].iter().enumerate() {
                    let (four, left) = (index / 4, [0, 1, 4, 5][index % 4]);
                    for (lane, word) in [(left, pair.index), (left + 2, pair.index + 1)] {
                        // A permutation looks at the lowest three bits.
                        prop_assert_eq!(octet.starts[four] + octet.lanes[four][lane] % LANES as u32, word);
                        prop_assert_eq!(octet.lanes[four][lane] >> 24, pair.weights >> 16);
                    }
                    is_there[place + index] = true;
                }
                prop_assert!(octet.starts.iter().all(|start| *start as usize + LANES <= taps.pairs().reach()));
                // What follows the head is aligned as that is; the rest is at the ends.
                let head = (head % LANES).min(pairs.len() - LANES);
                let is_end = place == 0 || place + LANES == pairs.len();
                prop_assert!(is_end || place % LANES == head % LANES);
            }
            if pairs.len() >= LANES && taps.pairs().reach() >= LANES && !axis.is_mean() {
                prop_assert!(is_there.iter().all(|is_there| *is_there));
            } else if pairs.len() < LANES || taps.pairs().reach() < LANES {
                prop_assert!(octets.is_empty());
            }
        }
    }
}
