//! Pixels of any format as the words that are worked on.

use blitd_protocol::image::Format;

use crate::kernels::yuv::Matrix;
use crate::kernels::{FetchPairs, Kernels};
use crate::view::{Picture, Yuv};

/// Reads `out.len()` pixels of row `y` of `source` from column `x` on, as premultiplied ARGB8888 words; formats without
/// alpha give 255 for it. What is outside the picture is not read, and leaves `out` as it was.
pub(crate) fn fetch_row(source: &Picture<'_>, x: i32, y: i32, out: &mut [u32]) {
    Kernels::best().fetch_row(source, x, y, out);
}

impl Kernels {
    /// Reads `out.len()` pixels of row `y` of `source` from column `x` on, as premultiplied ARGB8888 words; formats without
    /// alpha give 255 for it. What is outside the picture is not read, and leaves `out` as it was.
    pub fn fetch_row(&self, source: &Picture<'_>, x: i32, y: i32, out: &mut [u32]) {
        let bounds = source.bounds();
        if x < 0 || y < 0 || x >= bounds.right() || y >= bounds.bottom() {
            return;
        }
        let count = out.len().min(x.abs_diff(bounds.right()) as usize);
        // SAFETY: so many pixels of the row are inside the picture, and so many words in `out`.
        unsafe { self.fetch(source, x, y, out.as_mut_ptr(), count, false) };
    }

    /// # Safety
    /// `count` pixels of row `y` from column `x` on must be inside the picture, and as many words writable.
    pub(crate) unsafe fn fetch(
        &self,
        source: &Picture<'_>,
        x: i32,
        y: i32,
        to: *mut u32,
        count: usize,
        is_past_cache: bool,
    ) {
        let fetch = match source.format() {
            Format::Xrgb8888 => self.xrgb8888,
            Format::Argb8888 => self.argb8888,
            Format::Xbgr8888 => self.xbgr8888,
            Format::Abgr8888 => self.abgr8888,
            Format::Rgb565 => self.rgb565,
            Format::Rgb888 => self.rgb888,
            Format::Xrgb2101010 => self.xrgb2101010,
            // SAFETY: the caller's promise.
            Format::Nv12 => return unsafe { pairs(self.nv12, source, (x, y), to, count, is_past_cache) },
            // SAFETY: the caller's promise.
            Format::Yuyv => return unsafe { pairs(self.yuyv, source, (x, y), to, count, is_past_cache) },
        };
        // SAFETY: the caller's promise.
        unsafe { fetch(source.pixel(x, y), to, count, is_past_cache) };
    }
}

/// # Safety
/// That of [`Kernels::fetch`], where pairs of the source's pixels share their colours.
unsafe fn pairs(
    fetch: FetchPairs,
    source: &Picture<'_>,
    (mut x, y): (i32, i32),
    mut to: *mut u32,
    mut count: usize,
    is_past_cache: bool,
) {
    let Yuv { encoding, range, .. } = source.yuv();
    let matrix = Matrix::of(encoding, range);
    // SAFETY: the caller's promise; a pair whose second pixel is inside the picture is so as a whole.
    unsafe {
        if x % 2 == 1 && count > 0 {
            let mut pair = [0; 2];
            fetch(source.pair(x - 1, y), pair.as_mut_ptr(), 2, matrix, false);
            to.write_unaligned(pair[1]);
            (x, to, count) = (x + 1, to.add(1), count - 1);
        }
        if count > 0 {
            fetch(source.pair(x, y), to, count, matrix, is_past_cache);
        }
    }
}
