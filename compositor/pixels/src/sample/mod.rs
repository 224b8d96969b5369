//! Pictures scaled and turned on their way to another: what a draw, and a layer that is shown at another size, need.
//!
//! A [`Scaling`] says which rectangle of a source is shown in which rectangle of a target, and how. The source is scaled
//! first, then turned as [`Transform`] says. What a pixel of the target becomes depends on the scaling alone, not on the
//! part in which it is drawn.
//!
//! **Nearest** takes the source pixel in which the centre of the target's pixel is; the former one where it is between
//! two. **Bilinear** mixes the four pixels around that centre, in steps of 1/128; both as libpixman samples (`NEAREST`,
//! `BILINEAR`). Pixels that the source rectangle touches go on beyond its edges, and nothing outside of them is read. Where
//! more than two source pixels come to one of the target, along either axis, bilinear takes the mean of all that it covers
//! along that axis, each for as much of it as is covered: four would miss the others. At just two both are the same.
//!
//! Rows are fetched as words, where they are none, scaled along the row to four 16-bit numbers a pixel, and then mixed with
//! the rows around. Where a picture shrinks, to no less than half, two rows are mixed first, and then scaled along. No step but the last
//! one rounds, so both ways come to the same.
//! - `axis`: where pixels come from. `taps`: tables of that.
//! - `kernels`: what is done with them, for each [`Level`].
//! - `words`: rows of words, fetched or where they are. `rows`: from a picture to scaled rows.

mod axis;
mod kernels;
mod plain;
mod rows;
mod taps;
mod words;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::ops::Range;

use blitd_protocol::image::{Format, Rectangle};
use blitd_protocol::request::FixedRectangle;
use blitd_protocol::value::{Filter, Operator, Transform};

use self::axis::Axis;
use self::kernels::Out;
use crate::blit;
use crate::kernels::fence;
use crate::level::Level;
use crate::turn::{parts, turn, turned_size};
use crate::view::{Layout, Picture, PictureMut, View, ViewMut};

/// The most source pixels whose mean becomes one pixel. So reading them takes about as long as writing a slice of work.
pub const MOST_AVERAGED: u64 = 1 << 16;

/// Turned pictures are made in tiles of as many pixels in both directions: two of them fit a first-level cache.
const TILE: u32 = 64;

/// How many bytes of a copy a pixel takes as long as, besides what is written: sampled by nearest, mixed, made a mean, or
/// turned; and a source pixel that is part of a mean. `cargo run --release --example scaling` measures them.
const NEAREST_COST: u64 = 8;
const LINEAR_COST: u64 = 16;
const MEAN_COST: u64 = 128;
const TURN_COST: u64 = 40;
const AVERAGED_COST: u64 = 6;

/// The same of a row of the target, besides its pixels; and of each source row that is part of its mean.
const ROW_COST: u64 = 512;
const AVERAGED_ROW_COST: u64 = 192;

/// Which part of a picture is shown where in another, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scaling {
    /// Along the source's rows, before anything is turned.
    across: Axis,
    /// Along its columns.
    down: Axis,
    destination: Rectangle,
    transform: Transform,
    filter: Filter,
}

/// Why a picture cannot be scaled so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScalingError {
    /// The source is empty.
    #[error("a source of {width}/65536 x {height}/65536 pixels is empty: each side must be at least 1/65536")]
    EmptySource {
        /// Its width in 16.16.
        width: u32,
        /// Its height in 16.16.
        height: u32,
    },
    /// Too many source pixels come to one.
    #[error(
        "each pixel would be the mean of {averaged}, and {MOST_AVERAGED} is the most: scale in two steps, or use the \
         filter nearest"
    )]
    TooManyAveraged {
        /// How many source pixels come to one.
        averaged: u64,
    },
}

impl Scaling {
    /// The rectangle `source` (16.16) of a picture, shown in the rectangle `destination` of another, which may be empty;
    /// `transform` turns it on the way there, so `destination` has its size after that.
    ///
    /// # Errors
    /// [`ScalingError`].
    pub fn new(
        source: FixedRectangle,
        destination: Rectangle,
        transform: Transform,
        filter: Filter,
    ) -> Result<Self, ScalingError> {
        let FixedRectangle { x, y, width, height } = source;
        let size = (destination.width(), destination.height());
        // What turns it back has as many quarters, or three instead of one.
        let upright = turned_size(size, transform);
        let (Some(across), Some(down)) = (Axis::new(x, width, upright.0), Axis::new(y, height, upright.1))
        else {
            return Err(ScalingError::EmptySource { width, height });
        };
        // Where no pixel is between others, there is nothing to mix.
        let filter = if across.is_copy() && down.is_copy() { Filter::Nearest } else { filter };
        let scaling = Self { across, down, destination, transform, filter };
        match scaling.averaged() {
            averaged if averaged > MOST_AVERAGED => Err(ScalingError::TooManyAveraged { averaged }),
            _ => Ok(scaling),
        }
    }

    /// Where the whole of it is shown.
    pub const fn destination(&self) -> Rectangle {
        self.destination
    }

    /// The top left source pixel, where each pixel is just copied: same size, whole pixels, not turned.
    pub fn copied_from(&self) -> Option<(u32, u32)> {
        let is_copy = self.transform == Transform::Identity && self.across.is_copy() && self.down.is_copy();
        is_copy.then(|| (self.across.first(), self.down.first()))
    }

    /// Whether it turns rows into columns, so that a part of it is best at least [`TILE`](Self::TILE) pixels high.
    pub fn exchanges_axes(&self) -> bool {
        parts(self.transform).1 % 2 == 1
    }

    /// Turned pictures are made in tiles of as many pixels in both directions.
    pub const TILE: u32 = TILE;

    /// How long a pixel of the target takes, in bytes of a plain copy: 4 is a pixel that is copied.
    pub fn cost(&self) -> u64 {
        if self.copied_from().is_some() {
            return 4;
        }
        let turned = if self.transform == Transform::Identity { 0 } else { TURN_COST };
        let sampled = match (self.filter, self.averaged()) {
            (Filter::Nearest, _) => NEAREST_COST,
            (Filter::Bilinear, 1) => LINEAR_COST,
            (Filter::Bilinear, averaged) => MEAN_COST + averaged * AVERAGED_COST,
        };
        4 + turned + sampled
    }

    /// How long a row of the target takes besides its pixels, or a column where [axes are
    /// exchanged](Self::exchanges_axes), in the same bytes.
    pub fn row_cost(&self) -> u64 {
        if self.copied_from().is_some() {
            return blit::ROW_COST;
        }
        let is_mean = self.filter == Filter::Bilinear && self.down.is_mean();
        ROW_COST + if is_mean { u64::from(self.down.widest()) * AVERAGED_ROW_COST } else { 0 }
    }

    /// How long a part of the target takes, in the same bytes.
    pub fn cost_of(&self, part: Rectangle) -> u64 {
        let rows = if self.exchanges_axes() { part.width() } else { part.height() };
        part.pixels()
            .saturating_mul(self.cost())
            .saturating_add(u64::from(rows).saturating_mul(self.row_cost()))
    }

    /// At most how many source pixels come to one, where they are more than the few around it.
    fn averaged(&self) -> u64 {
        let along = |axis: &Axis| match self.filter == Filter::Bilinear && axis.is_mean() {
            true => u64::from(axis.widest()),
            false => 1,
        };
        along(&self.across) * along(&self.down)
    }

    /// Draws what of it is inside `part` and inside `target` (XRGB8888 or ARGB8888). Nothing where its source leaves the
    /// picture.
    ///
    /// `opacity` scales the sampled pixel. A target without alpha counts as opaque, and the top byte of its pixels is left
    /// undefined.
    pub fn draw(
        &self,
        source: &Picture<'_>,
        target: &mut PictureMut<'_>,
        part: Rectangle,
        operator: Operator,
        opacity: u8,
    ) {
        self.draw_at(Level::best(), source, target, part, operator, opacity);
    }

    /// The same by the kernels of a certain level, for tests and benchmarks.
    pub fn draw_at(
        &self,
        level: Level,
        source: &Picture<'_>,
        target: &mut PictureMut<'_>,
        part: Rectangle,
        operator: Operator,
        opacity: u8,
    ) {
        let bounds = source.bounds();
        let is_inside = self.across.last() < bounds.width() && self.down.last() < bounds.height();
        let visible = part.intersection(self.destination).and_then(|part| part.intersection(target.bounds()));
        let (true, Some(visible)) = (is_inside, visible) else { return };
        if let Some(from) = self.copied_from() {
            let from = [
                from.0 + visible.left().abs_diff(self.destination.left()),
                from.1 + visible.top().abs_diff(self.destination.top()),
            ];
            if let [Ok(x), Ok(y)] = from.map(i32::try_from) {
                blit::draw(source, (x, y), target, visible, operator, opacity);
            }
            return;
        }
        let format = if source.format().has_alpha() { Format::Argb8888 } else { Format::Xrgb8888 };
        if self.transform == Transform::Identity {
            let (columns, rows) = self.upright(visible);
            let is_direct = operator == Operator::Source
                && opacity == 255
                && match target.format() {
                    Format::Xrgb8888 => true,
                    Format::Argb8888 => format.has_alpha(),
                    _ => false,
                };
            let is_past_cache = target.is_past_cache();
            let mut onto = Onto { scaling: self, target, format, operator, opacity, is_direct };
            self.rows(level, source, columns, rows, &mut onto);
            if is_direct && is_past_cache {
                fence();
            }
            return;
        }
        let mut upright = vec![0; (TILE * TILE) as usize];
        let mut turned = vec![0; (TILE * TILE) as usize];
        for tile in tiles(visible) {
            let (columns, rows) = self.upright(tile);
            let width = columns.len();
            let mut tile_of = Tile { first: (columns.start, rows.start), width, words: &mut upright };
            self.rows(level, source, columns, rows.clone(), &mut tile_of);
            let scaled = picture_of(&upright[..width * rows.len()], width as u32, format);
            let there = picture_in(&mut turned[..width * rows.len()], tile.width(), format);
            if let (Some(scaled), Some(mut there)) = (scaled, there) {
                turn(&scaled, self.transform, &mut there, (0, 0));
            }
            if let Some(turned) = picture_of(&turned[..width * rows.len()], tile.width(), format) {
                blit::draw(&turned, (0, 0), target, tile, operator, opacity);
            }
        }
    }

    /// The columns and rows, before anything is turned, of a part of the destination.
    fn upright(&self, part: Rectangle) -> (Range<u32>, Range<u32>) {
        let left = part.left().abs_diff(self.destination.left());
        let top = part.top().abs_diff(self.destination.top());
        let (columns, rows) = (left..left + part.width(), top..top + part.height());
        let (width, height) = (self.across.size(), self.down.size());
        let back = |range: Range<u32>, size: u32| size - range.end..size - range.start;
        let (reflects, quarters) = parts(self.transform);
        let (columns, rows) = match quarters {
            0 => (columns, rows),
            1 => (back(rows, width), columns),
            2 => (back(columns, width), back(rows, height)),
            _ => (rows, back(columns, height)),
        };
        (if reflects { back(columns, width) } else { columns }, rows)
    }
}

/// Scaled rows drawn onto a picture, nothing turned.
struct Onto<'a, 'b> {
    scaling: &'a Scaling,
    target: &'a mut PictureMut<'b>,
    /// Of the words.
    format: Format,
    operator: Operator,
    opacity: u8,
    /// Whether the words are what the target's pixels become.
    is_direct: bool,
}

impl Onto<'_, '_> {
    fn position(&self, column: u32, row: u32) -> (i32, i32) {
        // Both are inside the destination, whose edges fit an i32.
        let destination = self.scaling.destination;
        (destination.left().wrapping_add_unsigned(column), destination.top().wrapping_add_unsigned(row))
    }
}

impl rows::Target for Onto<'_, '_> {
    fn give(&mut self, column: u32, row: u32, words: &[u32]) {
        let (x, y) = self.position(column, row);
        let part = Rectangle::new(x, y, words.len() as u32, 1).unwrap_or_default();
        if let Some(row) = picture_of(words, words.len() as u32, self.format) {
            blit::draw(&row, (0, 0), self.target, part, self.operator, self.opacity);
        }
    }

    fn place(&mut self, column: u32, row: u32, length: usize) -> Option<Out> {
        let (x, y) = self.position(column, row);
        let part = Rectangle::new(x, y, u32::try_from(length).ok()?, 1)?;
        (self.is_direct && self.target.bounds().contains(part)).then(|| {
            // SAFETY: the words are inside the target, which is borrowed for longer than they are written.
            unsafe { Out::new(self.target.pixel(x, y).cast(), length, self.target.is_past_cache()) }
        })
    }
}

/// Scaled rows of a part of a picture, to be turned.
struct Tile<'a> {
    /// The column and the row of its first word.
    first: (u32, u32),
    width: usize,
    words: &'a mut [u32],
}

impl rows::Target for Tile<'_> {
    fn give(&mut self, column: u32, row: u32, words: &[u32]) {
        let at = (row - self.first.1) as usize * self.width + (column - self.first.0) as usize;
        if let Some(there) = self.words.get_mut(at..at + words.len()) {
            there.copy_from_slice(words);
        }
    }

    fn place(&mut self, _: u32, _: u32, _: usize) -> Option<Out> {
        None
    }
}

/// A rectangle in tiles, row by row of them.
fn tiles(whole: Rectangle) -> impl Iterator<Item = Rectangle> {
    let starts = |from: i32, length: u32| (0..length).step_by(TILE as usize).map(move |by| from + by as i32);
    starts(whole.top(), whole.height()).flat_map(move |y| {
        starts(whole.left(), whole.width()).filter_map(move |x| {
            let tile =
                Rectangle::from_edges(x, y, x.saturating_add(TILE as i32), y.saturating_add(TILE as i32));
            tile.intersection(whole)
        })
    })
}

fn packed(words: usize, width: u32, format: Format) -> Layout {
    let height = (words as u32).checked_div(width).unwrap_or_default();
    Layout { width, height, stride: width as usize * 4, offset: 0, format }
}

/// Rows of `width` words as a picture.
fn picture_of(words: &[u32], width: u32, format: Format) -> Option<Picture<'_>> {
    // SAFETY: the bytes of the words, which live as long as the view.
    let view = unsafe { View::from_raw(words.as_ptr().cast(), size_of_val(words)) };
    Picture::new(view, packed(words.len(), width, format))
}

/// The same, to be written.
fn picture_in(words: &mut [u32], width: u32, format: Format) -> Option<PictureMut<'_>> {
    let (length, bytes) = (words.len(), size_of_val(words));
    // SAFETY: the bytes of the words, which are borrowed for as long as the view lives.
    let view = unsafe { ViewMut::from_raw(words.as_mut_ptr().cast(), bytes) };
    PictureMut::new(view, packed(length, width, format))
}
