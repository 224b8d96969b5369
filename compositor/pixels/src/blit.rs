//! Rectangles of pixels from one picture to another.
//!
//! Every function clips to both pictures, so no argument can lead outside them. Targets of [`draw`] and [`fill`]
//! are XRGB8888 or ARGB8888; [`convert`] writes the other 32-bit formats. Each is also a method of [`Kernels`], for who
//! wants those of a certain level.

use blitd_protocol::image::{Format, Rectangle};
use blitd_protocol::value::Operator;

use crate::kernels::{Fetch, Kernels, fence};
use crate::rows::Rows;
use crate::view::{Picture, PictureMut};

/// How many words are made before they go on: 4 KiB, which the first cache holds beside what is read and written.
const SCRATCH: usize = 1024;

/// How many bytes of a copy a row takes as long as besides its pixels: its memory has to be found, often in a page of its own.
pub const ROW_COST: u64 = 128;

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
    Kernels::best().draw(source, from, target, to, operator, opacity);
}

/// Converts the part of `source` (XRGB8888 or ARGB8888) that begins at `from` into the rectangle `to` of `target`
/// (32 bits a pixel). What is opaque gets an alpha, or unused, byte of 255.
pub fn convert(source: &Picture<'_>, from: (i32, i32), target: &mut PictureMut<'_>, to: Rectangle) {
    Kernels::best().convert(source, from, target, to);
}

/// Fills a rectangle of `target` with a premultiplied word.
pub fn fill(target: &mut PictureMut<'_>, to: Rectangle, colour: u32, operator: Operator) {
    Kernels::best().fill(target, to, colour, operator);
}

impl Kernels {
    /// As [`draw`].
    pub fn draw(
        &self,
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
            (Operator::Over, 255) if format.has_alpha() => {
                // SAFETY: the rows are of words, inside both pictures.
                rows.combine(self, source, target, |rows| unsafe { (self.over)(rows) });
            }
            // SAFETY: as above.
            (Operator::Over, _) if opacity < 255 && format == Format::Xrgb8888 => unsafe {
                (self.over_opaque_with_opacity)(rows.rows(source, target), opacity);
            },
            (Operator::Over, _) if opacity < 255 => rows.combine(self, source, target, |rows| {
                // SAFETY: as above.
                unsafe { (self.over_with_opacity)(rows, opacity) };
            }),
            (_, 255) if is_copy(format, target.format()) => rows.copy(source, target),
            // SAFETY: `rows` gives the source's pixels and as many words of the target.
            (_, 255) => unsafe {
                rows.write(target, |x, y, to, is_past_cache| {
                    self.fetch(source, x, y, to, rows.width(), is_past_cache);
                });
            },
            // SAFETY: as above.
            _ => unsafe {
                rows.write(target, |x, y, to, is_past_cache| {
                    self.multiplied(source, (x, y), to, rows.width(), opacity, is_past_cache);
                });
            },
        }
    }

    /// As [`convert`].
    pub fn convert(
        &self,
        source: &Picture<'_>,
        from: (i32, i32),
        target: &mut PictureMut<'_>,
        to: Rectangle,
    ) {
        let Some(rows) = Clipped::new(source, from, target, to) else { return };
        let has_alpha = source.format().has_alpha() && target.format().has_alpha();
        // What reads another order is what writes it: both exchange red and blue.
        let kernel: Fetch = match (target.format(), has_alpha) {
            (Format::Xbgr8888 | Format::Abgr8888, true) => self.abgr8888,
            (Format::Xbgr8888 | Format::Abgr8888, false) => self.xbgr8888,
            (Format::Xrgb8888 | Format::Argb8888, true) => self.argb8888,
            (Format::Xrgb8888 | Format::Argb8888, false) => self.xrgb8888,
            _ => return,
        };
        if source.format().is_rgb8888() {
            // SAFETY: as in `draw`; the source's pixels are words.
            unsafe {
                rows.write(target, |x, y, to, is_past_cache| {
                    kernel(source.pixel(x, y), to, rows.width(), is_past_cache);
                });
            }
        }
    }

    /// As [`fill`].
    pub fn fill(&self, target: &mut PictureMut<'_>, to: Rectangle, colour: u32, operator: Operator) {
        let Some(to) = to.intersection(target.bounds()) else { return };
        if !target.format().is_rgb8888() {
            return;
        }
        let kernel = match operator {
            Operator::Source => self.fill,
            Operator::Over => self.fill_over,
        };
        for y in to.top()..to.bottom() {
            // SAFETY: the rectangle was clipped to the target.
            unsafe { kernel(target.pixel(to.left(), y).cast(), to.width() as usize, colour) };
        }
    }

    /// Writes source pixels times an opacity, by way of a scratch row.
    ///
    /// # Safety
    /// That of [`fetch`](Self::fetch).
    unsafe fn multiplied(
        &self,
        source: &Picture<'_>,
        (x, y): (i32, i32),
        to: *mut u32,
        count: usize,
        opacity: u8,
        is_past_cache: bool,
    ) {
        let mut scratch = [0_u32; SCRATCH];
        for (start, x) in (0..count).zip(x..).step_by(SCRATCH) {
            let some = SCRATCH.min(count - start);
            // SAFETY: the caller's promise, and scratch has room for so many.
            unsafe {
                self.fetch(source, x, y, scratch.as_mut_ptr(), some, false);
                (self.multiply)(scratch.as_mut_ptr(), some, opacity);
                (self.argb8888)(scratch.as_ptr().cast(), to.add(start), some, is_past_cache);
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
        if !target.format().is_rgb8888() {
            return None;
        }
        let shift = (to.left().checked_sub(from.0)?, to.top().checked_sub(from.1)?);
        let reachable = source.bounds().translated(shift.0, shift.1)?;
        let to = to.intersection(target.bounds())?.intersection(reachable)?;
        Some(Self { from: (to.left() - shift.0, to.top() - shift.1), to })
    }

    /// Only for formats of which [`is_copy`] holds.
    fn copy(&self, source: &Picture<'_>, target: &mut PictureMut<'_>) {
        // SAFETY: all rows are inside their pictures, at 4 bytes a pixel.
        unsafe { self.rows(source, target).copy(target.is_past_cache()) };
    }

    /// The rows of words in both; the source must have 4 bytes a pixel.
    fn rows(&self, source: &Picture<'_>, target: &mut PictureMut<'_>) -> Rows {
        Rows {
            source: source.pixel(self.from.0, self.from.1),
            source_stride: source.stride(),
            target: target.pixel(self.to.left(), self.to.top()),
            target_stride: target.stride(),
            length: self.width() * size_of::<u32>(),
            count: self.to.height() as usize,
        }
    }

    /// Has rows of premultiplied words combined with those of the target. What is not such words as it lies goes by way of
    /// a scratch row.
    fn combine(
        &self,
        kernels: &Kernels,
        source: &Picture<'_>,
        target: &mut PictureMut<'_>,
        operate: impl Fn(Rows),
    ) {
        if source.format() == Format::Argb8888 {
            return operate(self.rows(source, target));
        }
        let mut scratch = [0_u32; SCRATCH];
        for (y, from_y) in (self.to.top()..self.to.bottom()).zip(self.from.1..) {
            let columns = (self.to.left()..self.to.right()).zip(self.from.0..);
            for (x, from_x) in columns.step_by(SCRATCH) {
                let count = SCRATCH.min(x.abs_diff(self.to.right()) as usize);
                // SAFETY: `new` has clipped the rectangle to both pictures, and scratch has room for so many.
                unsafe { kernels.fetch(source, from_x, from_y, scratch.as_mut_ptr(), count, false) };
                operate(Rows {
                    source: scratch.as_ptr().cast(),
                    source_stride: 0,
                    target: target.pixel(x, y),
                    target_stride: 0,
                    length: count * size_of::<u32>(),
                    count: 1,
                });
            }
        }
    }

    /// Has the rows of the target written, which is never read: `make` gets the column and the row of the source where a
    /// row begins, its place, and whether it is to go past the cache.
    ///
    /// # Safety
    /// `make` must touch nothing but this row of the target.
    unsafe fn write(&self, target: &mut PictureMut<'_>, make: impl Fn(i32, i32, *mut u32, bool)) {
        for (y, from_y) in (self.to.top()..self.to.bottom()).zip(self.from.1..) {
            make(self.from.0, from_y, target.pixel(self.to.left(), y).cast(), target.is_past_cache());
        }
        if target.is_past_cache() {
            fence();
        }
    }

    /// In pixels.
    const fn width(&self) -> usize {
        self.to.width() as usize
    }
}
