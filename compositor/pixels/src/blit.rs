//! Rectangles of pixels from one picture to another.
//!
//! Every function clips to both pictures, so no argument can lead outside them. Targets of [`draw`] and [`fill`]
//! are XRGB8888 or ARGB8888; [`convert`] writes the other 32-bit formats.

use blitd_protocol::image::{Format, Rectangle};
use blitd_protocol::value::Operator;

use crate::fetch::fetch_row;
use crate::pixel::{OPAQUE, multiply, over, swap_red_blue};
use crate::rows::Rows;
use crate::view::{Picture, PictureMut};

/// How many pixels are fetched at a time: 4 KiB of words, which the first cache holds beside what is read and written.
const SCRATCH: usize = 1024;

/// Draws the part of `source` that begins at `from` into the rectangle `to` of `target`.
///
/// `opacity` scales the source pixel first. A target without alpha counts as opaque, and the top byte of its
/// pixels is left undefined.
pub fn draw(
    source: &Picture<'_>,
    from: (i32, i32),
    target: &mut PictureMut<'_>,
    to: Rectangle,
    operator: Operator,
    opacity: u8,
) {
    let Some(rows) = Clipped::new(source, from, target, to) else { return };
    let format = source.format();
    match (operator, opacity) {
        (Operator::Over, 0) => {}
        (Operator::Over, 255) if format.has_alpha() => rows.each(source, target, over),
        (Operator::Over, _) if opacity < 255 => {
            rows.each(source, target, |s, d| over(multiply(s, opacity), d));
        }
        (_, 255) if is_copy(format, target.format()) => rows.copy(source, target),
        (_, 255) => rows.each(source, target, |s, _| s),
        _ => rows.each(source, target, |s, _| multiply(s, opacity)),
    }
}

/// Converts the part of `source` (XRGB8888 or ARGB8888) that begins at `from` into the rectangle `to` of `target`
/// (32 bits a pixel). What is opaque gets an alpha, or unused, byte of 255.
pub fn convert(source: &Picture<'_>, from: (i32, i32), target: &mut PictureMut<'_>, to: Rectangle) {
    let Some(rows) = Clipped::new(source, from, target, to) else { return };
    let opaque = if source.format().has_alpha() && target.format().has_alpha() { 0 } else { OPAQUE };
    match target.format() {
        Format::Xbgr8888 | Format::Abgr8888 => {
            rows.each(source, target, |s, _| swap_red_blue(s) | opaque);
        }
        Format::Xrgb8888 | Format::Argb8888 => {
            rows.each(source, target, |s, _| s | opaque);
        }
        Format::Rgb565 => {}
    }
}

/// Fills a rectangle of `target` with a premultiplied word.
pub fn fill(target: &mut PictureMut<'_>, to: Rectangle, colour: u32, operator: Operator) {
    let Some(to) = to.intersection(target.bounds()) else { return };
    if target.format().bytes_per_pixel() != 4 {
        return;
    }
    let width = to.width() as usize;
    for y in to.top()..to.bottom() {
        let row = target.pixel(to.left(), y).cast::<u32>();
        match operator {
            Operator::Source => {
                for x in 0..width {
                    // SAFETY: the rectangle was clipped to the picture, and its pixels are 4 bytes each.
                    unsafe { row.add(x).write_unaligned(colour) };
                }
            }
            Operator::Over => {
                for x in 0..width {
                    // SAFETY: as above.
                    unsafe { row.add(x).write_unaligned(over(colour, row.add(x).read_unaligned())) };
                }
            }
        }
    }
}

/// Whether the bytes can be taken as they are. The top byte of a target without alpha does not matter.
fn is_copy(source: Format, target: Format) -> bool {
    source == target || (source == Format::Argb8888 && target == Format::Xrgb8888)
}

/// A rectangle that is inside both pictures.
struct Clipped {
    from: (i32, i32),
    to: Rectangle,
}

impl Clipped {
    fn new(source: &Picture<'_>, from: (i32, i32), target: &PictureMut<'_>, to: Rectangle) -> Option<Self> {
        if target.format().bytes_per_pixel() != 4 {
            return None;
        }
        let shift = (to.left().checked_sub(from.0)?, to.top().checked_sub(from.1)?);
        let reachable = source.bounds().translated(shift.0, shift.1)?;
        let to = to.intersection(target.bounds())?.intersection(reachable)?;
        Some(Self { from: (to.left() - shift.0, to.top() - shift.1), to })
    }

    /// Only for formats of which [`is_copy`] holds.
    fn copy(&self, source: &Picture<'_>, target: &mut PictureMut<'_>) {
        if self.to.is_empty() {
            return;
        }
        let rows = Rows {
            source: source.pixel(self.from.0, self.from.1),
            source_stride: source.stride(),
            target: target.pixel(self.to.left(), self.to.top()),
            target_stride: target.stride(),
            length: self.to.width() as usize * 4,
            count: self.to.height() as usize,
        };
        // SAFETY: all rows are inside their pictures, which `new` has seen to, at 4 bytes a pixel.
        unsafe { rows.copy(target.is_past_cache()) };
    }

    /// Goes by rows through a scratch row, which the cache holds.
    fn each(
        &self,
        source: &Picture<'_>,
        target: &mut PictureMut<'_>,
        operate: impl Fn(u32, u32) -> u32 + Copy,
    ) {
        let mut scratch = [0; SCRATCH];
        for (y, from_y) in (self.to.top()..self.to.bottom()).zip(self.from.1..) {
            let columns = (self.to.left()..self.to.right()).zip(self.from.0..);
            for (x, from_x) in columns.step_by(SCRATCH) {
                let count = SCRATCH.min(x.abs_diff(self.to.right()) as usize);
                fetch_row(source, from_x, from_y, &mut scratch[..count]);
                let to = target.pixel(x, y).cast::<u32>();
                for (index, word) in scratch[..count].iter().enumerate() {
                    // SAFETY: `new` has clipped the rectangle to the target, whose pixels are 4 bytes each.
                    unsafe {
                        let to = to.add(index);
                        to.write_unaligned(operate(*word, to.read_unaligned()));
                    }
                }
            }
        }
    }
}
