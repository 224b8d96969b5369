//! From a picture to scaled rows, nothing turned yet.

use std::ops::Range;

use blitd_protocol::value::Filter;

use super::axis::Span;
use super::kernels::{Kernels, Out};
use super::taps::{LinearTaps, Pair, Taps};
use super::words::Words;
use super::{Scaling, plain};
use crate::fetch::fetch_row;
use crate::level::Level;
use crate::view::Picture;

/// The widest part of a row that is scaled at once, in pixels: what is kept of it fits a second-level cache. Narrower
/// strips would fit the first, but memory is read and written best in long runs.
const STRIP: u32 = 4096;

/// The same, in pixels of the source.
const SOURCE_STRIP: u32 = 4 * STRIP;

/// How rows become scaled rows.
enum Across {
    Linear(Taps<Pair>),
    Mean(Taps<Span>),
}

/// Rows of the source, scaled along the row. The last two are kept: the next row of the target mostly needs one or both
/// of them.
struct Lines<'a> {
    kernels: &'static Kernels,
    source: &'a Picture<'a>,
    across: Across,
    fetched: Vec<u32>,
    lines: [Vec<u16>; 2],
    /// Which row each line is.
    rows: [Option<u32>; 2],
}

impl Lines<'_> {
    /// The place in `lines` of a row, and not that of the row in `keep`.
    fn ready(&mut self, row: u32, keep: Option<u32>) -> usize {
        if let Some(place) = self.rows.iter().position(|there| *there == Some(row)) {
            return place;
        }
        let place = usize::from(self.rows[0].is_some() && self.rows[0] == keep);
        let line = &mut self.lines[place];
        match &self.across {
            Across::Linear(taps) => {
                let words = words(self.source, taps, row, &mut self.fetched);
                self.kernels.across_linear(words, taps, line);
            }
            Across::Mean(taps) => {
                let words = words(self.source, taps, row, &mut self.fetched);
                self.kernels.across_mean(words, taps, line);
            }
        }
        self.rows[place] = Some(row);
        place
    }
}

/// What a table needs of a row: where it is, or fetched to `room`.
fn words<'a, T>(source: &Picture<'a>, taps: &Taps<T>, row: u32, room: &'a mut Vec<u32>) -> Words<'a> {
    if let Some(words) = Words::of_row(source, taps.first(), row, taps.reach()) {
        return words;
    }
    room.resize(taps.reach(), 0);
    fetch(source, taps, row, room);
    Words::of_slice(room)
}

/// Fetches what a table needs of a row; beyond the picture its last pixel goes on, which then weighs nothing.
fn fetch<T>(source: &Picture<'_>, taps: &Taps<T>, row: u32, out: &mut [u32]) {
    let there = (source.bounds().width() - taps.first()) as usize;
    let (inside, beyond) = out.split_at_mut(there.min(out.len()));
    // Both are inside the picture, whose size fits an i32.
    fetch_row(source, taps.first() as i32, row as i32, inside);
    beyond.fill(inside.last().copied().unwrap_or_default());
}

/// Rows of words that are not where they are read. The last two are kept: the next row of the target mostly needs one or both
/// of them.
struct Fetched<'a, 'b> {
    source: &'a Picture<'b>,
    rows: [(Option<u32>, Vec<u32>); 2],
}

impl Fetched<'_, '_> {
    /// What a table needs of two rows: where they are, or fetched.
    fn pair<T>(&mut self, taps: &Taps<T>, [upper, lower]: [u32; 2]) -> [Words<'_>; 2] {
        let there = |row| Words::of_row(self.source, taps.first(), row, taps.reach());
        if let (Some(upper), Some(lower)) = (there(upper), there(lower)) {
            return [upper, lower];
        }
        let upper = self.ready(taps, upper, None);
        let lower = self.ready(taps, lower, Some(upper));
        [upper, lower].map(|place| Words::of_slice(&self.rows[place].1))
    }

    /// The place of a row, another one than `keep`, where it is another row.
    fn ready<T>(&mut self, taps: &Taps<T>, row: u32, keep: Option<usize>) -> usize {
        if let Some(place) = self.rows.iter().position(|(there, _)| *there == Some(row)) {
            return place;
        }
        let place = keep.map_or(0, |keep| 1 - keep);
        let (there, words) = &mut self.rows[place];
        words.resize(taps.reach(), 0);
        fetch(self.source, taps, row, words);
        *there = Some(row);
        place
    }
}

/// What takes scaled rows.
pub(super) trait Target {
    /// Takes words that begin in this column and row.
    fn give(&mut self, column: u32, row: u32, words: &[u32]);

    /// Where so many words that begin there can be written at once, if they can.
    fn place(&mut self, column: u32, row: u32, length: usize) -> Option<Out>;

    /// Has words made at their place, or in `words`, which are then given.
    fn row(&mut self, column: u32, row: u32, words: &mut [u32], make: impl FnOnce(Out)) {
        if let Some(out) = self.place(column, row, words.len()) {
            return make(out);
        }
        // SAFETY: the words of the slice, which nobody else uses meanwhile.
        make(unsafe { Out::new(words.as_mut_ptr(), words.len(), false) });
        self.give(column, row, words);
    }
}

impl Scaling {
    /// Scales these columns and rows, and gives them away in pieces: the column and row where each begins, and its words.
    pub(super) fn rows(
        &self,
        level: Level,
        source: &Picture<'_>,
        columns: Range<u32>,
        rows: Range<u32>,
        target: &mut impl Target,
    ) {
        let strip = (SOURCE_STRIP / self.across.widest()).clamp(1, STRIP);
        let mut first = columns.start;
        while first < columns.end {
            let strip = first..columns.end.min(first.saturating_add(strip));
            let mut words = vec![0; strip.len()];
            match self.filter {
                Filter::Nearest => self.nearest(source, strip.clone(), rows.clone(), &mut words, target),
                Filter::Bilinear => {
                    self.mixed(level, source, strip.clone(), rows.clone(), &mut words, target);
                }
            }
            first = strip.end;
        }
    }

    fn nearest(
        &self,
        source: &Picture<'_>,
        columns: Range<u32>,
        rows: Range<u32>,
        words: &mut [u32],
        target: &mut impl Target,
    ) {
        let taps = Taps::nearest(&self.across, columns.clone());
        let mut fetched = Vec::new();
        let mut last = None;
        for (row, from) in rows.clone().zip(self.down.nearest(rows)) {
            if last != Some(from) {
                if self.across.is_copy() {
                    fetch(source, &taps, from, words);
                } else {
                    let row = self::words(source, &taps, from, &mut fetched);
                    plain::nearest(row, taps.entries(), words);
                }
                last = Some(from);
            }
            target.give(columns.start, row, words);
        }
    }

    fn mixed(
        &self,
        level: Level,
        source: &Picture<'_>,
        columns: Range<u32>,
        rows: Range<u32>,
        words: &mut [u32],
        target: &mut impl Target,
    ) {
        let numbers = columns.len() * 4;
        let kernels = Kernels::of(level);
        let across = match self.across.is_mean() {
            true => Across::Mean(Taps::means(&self.across, columns.clone())),
            false => {
                let taps = Taps::linear(&self.across, columns.clone());
                if self.down.shrinks() && !self.down.is_mean() {
                    return self.both_linear(kernels, source, taps, (columns, rows), words, target);
                }
                Across::Linear(taps)
            }
        };
        let mut lines = Lines {
            kernels,
            source,
            across,
            fetched: Vec::new(),
            lines: [vec![0; numbers], vec![0; numbers]],
            rows: [None; 2],
        };
        if self.down.is_mean() {
            let mut sums = vec![0; numbers];
            for (row, span) in rows.clone().zip(self.down.means(rows)) {
                sums.fill(0);
                for from in span.first..=span.last() {
                    let place = lines.ready(from, None);
                    let weight = match from {
                        _ if from == span.first => span.head,
                        _ if from == span.last() => span.tail,
                        _ => span.whole,
                    };
                    kernels.accumulate(&lines.lines[place], weight, &mut sums);
                }
                kernels.down_mean(&sums, span.reciprocal, words);
                target.give(columns.start, row, words);
            }
            return;
        }
        for (row, (from, weight)) in rows.clone().zip(self.down.linear(rows)) {
            let upper = lines.ready(from, None);
            let lower = if weight == 0 { upper } else { lines.ready(from + 1, Some(from)) };
            target.row(columns.start, row, words, |out| {
                kernels.down_linear(&lines.lines[upper], &lines.lines[lower], weight, out);
            });
        }
    }

    /// Both ways at once, the four pixels around each: less to do where few rows of the target share rows of the source.
    fn both_linear(
        &self,
        kernels: &Kernels,
        source: &Picture<'_>,
        taps: Taps<Pair>,
        (columns, rows): (Range<u32>, Range<u32>),
        words: &mut [u32],
        target: &mut impl Target,
    ) {
        let head = target.place(columns.start, rows.start, words.len()).map_or(0, |out| out.unaligned());
        let taps = LinearTaps::new(taps, head);
        let mut fetched = Fetched { source, rows: [const { (None, Vec::new()) }; 2] };
        for (row, (from, weight)) in rows.clone().zip(self.down.linear(rows)) {
            let below = if weight == 0 { from } else { from + 1 };
            let both = fetched.pair(taps.pairs(), [from, below]);
            target.row(columns.start, row, words, |out| kernels.both_linear(both, weight, &taps, out));
        }
    }
}
