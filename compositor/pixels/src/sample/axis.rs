//! Where the pixels of a scaled picture come from, along one of its axes: all of it exact, in integers.
//!
//! Positions count in 1/65536 of a source pixel, as the source rectangle does. The centre of destination pixel `i` of
//! `size` is at `start + (2 i + 1) length / (2 size)`, the part of the source that it covers begins at
//! `start + i length / size`. Nothing here depends on how a picture is cut into parts: position `i` is computed from
//! the axis alone, and stepping to it (`Steps`) comes to the same.

use std::ops::Range;

/// One pixel in 16.16.
const ONE: u32 = 1 << 16;

/// The steps of a weight from one pixel to the next one: as many as libpixman has (`BILINEAR_INTERPOLATION_BITS`).
pub(super) const WEIGHT_BITS: u32 = 7;

/// The finest part of a pixel that a mean counts, as a power of two.
const MEAN_BITS: u32 = 8;

/// What the weights of a mean sum up to at the most, as a power of two. 2^7 * 255 times that still fits 32 bits.
const MEAN_TOTAL_BITS: u32 = 17;

/// One axis of a scaled picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Axis {
    /// Where the source begins, in 16.16.
    start: u32,
    /// Its length, in 16.16; not 0.
    length: u32,
    /// The destination's length in pixels; not 0.
    size: u32,
}

/// Source pixels of which a destination pixel is the mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// The first.
    pub(super) first: u32,
    /// How many there are between the first and the last.
    pub(super) between: u32,
    /// What the first counts for, in parts of `whole`.
    pub(super) head: u32,
    /// What each one between counts for.
    pub(super) whole: u32,
    /// What the last counts for.
    pub(super) tail: u32,
    /// 2^40 divided by what all count for, to the nearest.
    pub(super) reciprocal: u32,
}

impl Span {
    /// The last source pixel.
    pub(super) const fn last(&self) -> u32 {
        self.first + self.between + 1
    }
}

impl Axis {
    /// `None` where the source has no length. A destination without one has no pixel that could be asked for.
    pub(super) fn new(start: u32, length: u32, size: u32) -> Option<Self> {
        (length > 0).then_some(Self { start, length, size: size.max(1) })
    }

    /// The destination's length in pixels.
    pub(super) const fn size(&self) -> u32 {
        self.size
    }

    /// The first source pixel that the source rectangle touches.
    pub(super) const fn first(&self) -> u32 {
        self.start / ONE
    }

    /// The last one.
    pub(super) const fn last(&self) -> u32 {
        ((self.start as u64 + self.length as u64 - 1) / ONE as u64) as u32
    }

    /// Whether each destination pixel is just one source pixel, the next one the next.
    pub(super) const fn is_copy(&self) -> bool {
        self.start.is_multiple_of(ONE) && self.length as u64 == self.size as u64 * ONE as u64
    }

    /// Whether more than two source pixels come to one, so that four around a point are too few.
    pub(super) const fn is_mean(&self) -> bool {
        self.length as u64 > 2 * self.size as u64 * ONE as u64
    }

    /// Whether there are more source pixels than destination pixels.
    pub(super) const fn shrinks(&self) -> bool {
        self.length as u64 > self.size as u64 * ONE as u64
    }

    /// At most how many source pixels come to a destination pixel's mean.
    pub(super) const fn widest(&self) -> u32 {
        (self.length as u64).div_ceil(self.size as u64 * ONE as u64) as u32 + 1
    }

    /// The centres of the destination's pixels from `index` on.
    fn centres(&self, index: u32) -> Steps {
        Steps::new(u128::from(index) * 2 + 1, self.length, 2 * u64::from(self.size), 2)
    }

    /// The source pixels that are nearest to the centres of these destination pixels. A centre right between two
    /// is the former's, as in libpixman.
    pub(super) fn nearest(&self, range: Range<u32>) -> impl Iterator<Item = u32> {
        let start = u64::from(self.start);
        let last = self.last();
        self.centres(range.start).take(range.len()).map(move |(floor, is_exact)| {
            let above = start + floor + u64::from(!is_exact);
            (((above - 1) / u64::from(ONE)) as u32).min(last)
        })
    }

    /// For each of these destination pixels the source pixel before its centre and the weight of the one behind that,
    /// in 1/128. The outermost pixels of the source rectangle go on beyond it.
    pub(super) fn linear(&self, range: Range<u32>) -> impl Iterator<Item = (u32, u8)> {
        let (first, last) = (self.first(), self.last());
        let start = u64::from(self.start);
        self.centres(range.start).take(range.len()).map(move |(floor, _)| {
            // From a pixel's centre to its corner it is half a pixel.
            let Some(before) = (start + floor).checked_sub(u64::from(ONE / 2)) else { return (first, 0) };
            let index = (before / u64::from(ONE)) as u32;
            if index < first {
                (first, 0)
            } else if index >= last {
                (last, 0)
            } else {
                (index, ((before % u64::from(ONE)) >> (16 - WEIGHT_BITS)) as u8)
            }
        })
    }

    /// For each of these destination pixels what it covers of the source. Only for an axis that [is one of
    /// means](Self::is_mean): so a span has two pixels at least.
    pub(super) fn means(&self, range: Range<u32>) -> impl Iterator<Item = Span> {
        let most = MEAN_TOTAL_BITS - (self.widest() + 1).next_power_of_two().ilog2();
        let bits = most.min(MEAN_BITS);
        let start = u64::from(self.start);
        let edge = move |(floor, _): (u64, bool)| (start + floor) >> (16 - bits);
        let mut edges = Steps::new(u128::from(range.start), self.length, u64::from(self.size), 1).map(edge);
        let mut begin = edges.next().unwrap_or_default();
        edges.take(range.len()).map(move |end| {
            let (first, last) = (begin >> bits, (end - 1) >> bits);
            let total = end - begin;
            let span = Span {
                first: first as u32,
                between: (last - first - 1) as u32,
                head: (((first + 1) << bits) - begin) as u32,
                whole: 1 << bits,
                tail: (end - (last << bits)) as u32,
                reciprocal: (((1 << 40) + total / 2) / total) as u32,
            };
            begin = end;
            span
        })
    }
}

/// `n * length / denominator` for numbers `n` that are equally far apart: rounded down, and whether that is exact.
struct Steps {
    floor: u64,
    rest: u64,
    step: u64,
    step_rest: u64,
    denominator: u64,
}

impl Steps {
    fn new(first: u128, length: u32, denominator: u64, step: u64) -> Self {
        let numerator = first * u128::from(length);
        let step = u64::from(length) * step;
        Self {
            floor: (numerator / u128::from(denominator)) as u64,
            rest: (numerator % u128::from(denominator)) as u64,
            step: step / denominator,
            step_rest: step % denominator,
            denominator,
        }
    }
}

impl Iterator for Steps {
    type Item = (u64, bool);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let now = (self.floor, self.rest == 0);
        self.floor += self.step;
        self.rest += self.step_rest;
        if self.rest >= self.denominator {
            self.rest -= self.denominator;
            self.floor += 1;
        }
        Some(now)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn axis() -> impl Strategy<Value = Axis> {
        let length = prop_oneof![1u32..0x20_0000, 1u32..(32767 << 16)];
        let size = prop_oneof![1u32..100, 1u32..5000, Just(u32::MAX)];
        (0u32..0x20_0000, length, size).prop_map(|(start, length, size)| {
            Axis::new(start.min((32767 << 16) - length), length, size).unwrap()
        })
    }

    proptest! {
        #[test]
        fn stepping_comes_to_where_one_begins(axis in axis(), from in any::<u32>(), skip in 0u32..50) {
            let from = from % axis.size();
            let end = axis.size().min(from.saturating_add(60));
            let later = from.saturating_add(skip).min(end);
            let skip = (later - from) as usize;
            prop_assert!(axis.nearest(from..end).skip(skip).eq(axis.nearest(later..end)));
            prop_assert!(axis.linear(from..end).skip(skip).eq(axis.linear(later..end)));
            if axis.is_mean() {
                prop_assert!(axis.means(from..end).skip(skip).eq(axis.means(later..end)));
            }
        }

        #[test]
        fn nothing_outside_the_source_is_named(axis in axis(), from in any::<u32>()) {
            let from = from % axis.size();
            let ends = [0..axis.size().min(20), from..axis.size().min(from.saturating_add(20)),
                axis.size() - axis.size().min(20)..axis.size()];
            let inside = axis.first()..=axis.last();
            for range in ends {
                prop_assert!(axis.nearest(range.clone()).all(|index| inside.contains(&index)));
                for (index, weight) in axis.linear(range.clone()) {
                    prop_assert!(inside.contains(&index) && weight < 128);
                    prop_assert!(weight == 0 || inside.contains(&(index + 1)));
                }
                if axis.is_mean() {
                    for span in axis.means(range) {
                        prop_assert!(inside.contains(&span.first) && inside.contains(&span.last()));
                        prop_assert!(span.between + 2 <= axis.widest());
                        let total = span.head + span.whole * span.between + span.tail;
                        prop_assert!(span.head <= span.whole && span.tail <= span.whole && total <= 1 << 17);
                        prop_assert_eq!(u64::from(span.reciprocal), ((1 << 40) + u64::from(total) / 2) / u64::from(total));
                    }
                }
            }
        }
    }

    #[test]
    fn positions_by_hand() {
        // Five pixels from three: centres at 0.3, 0.9, 1.5, 2.1, 2.7.
        let axis = Axis::new(0, 3 * ONE, 5).unwrap();
        assert!(axis.nearest(0..5).eq([0, 0, 1, 2, 2]));
        assert!(axis.linear(0..5).eq([(0, 0), (0, 51), (1, 0), (1, 76), (2, 0)]));
        // Half: right between two pixels.
        let axis = Axis::new(2 * ONE, 4 * ONE, 2).unwrap();
        assert!(axis.nearest(0..2).eq([2, 4]));
        assert!(axis.linear(0..2).eq([(2, 64), (4, 64)]));
        // Two and a half each.
        let axis = Axis::new(ONE, 5 * ONE, 2).unwrap();
        assert!(axis.is_mean());
        let reciprocal = ((1u64 << 40) / 640) as u32;
        let [first, second] = [(1, 256, 128), (3, 128, 256)].map(|(first, head, tail)| Span {
            first,
            between: 1,
            head,
            whole: 256,
            tail,
            reciprocal,
        });
        assert!(axis.means(0..2).eq([first, second]));
    }
}
