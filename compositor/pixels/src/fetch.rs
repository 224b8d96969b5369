//! Pixels of any format as the words that are worked on.

use blitd_protocol::image::Format;

use crate::pixel::{OPAQUE, from_rgb565, swap_red_blue};
use crate::view::Picture;

/// Reads `out.len()` pixels of row `y` of `source` from column `x` on, as premultiplied ARGB8888 words; formats without
/// alpha give 255 for it. What is outside the picture is not read, and leaves `out` as it was.
pub(crate) fn fetch_row(source: &Picture<'_>, x: i32, y: i32, out: &mut [u32]) {
    let bounds = source.bounds();
    if x < 0 || y < 0 || x >= bounds.right() || y >= bounds.bottom() {
        return;
    }
    let count = out.len().min(x.abs_diff(bounds.right()) as usize);
    let from = source.pixel(x, y);
    let out = &mut out[..count];
    // SAFETY: the row has `count` pixels from `x` on, at as many bytes as its format says.
    unsafe {
        match source.format() {
            Format::Xrgb8888 => words(from, out, |word| word | OPAQUE),
            Format::Argb8888 => words(from, out, |word| word),
            Format::Xbgr8888 => words(from, out, |word| swap_red_blue(word) | OPAQUE),
            Format::Abgr8888 => words(from, out, swap_red_blue),
            Format::Rgb565 => {
                let from = from.cast::<u16>();
                for (index, out) in out.iter_mut().enumerate() {
                    *out = from_rgb565(from.add(index).read_unaligned());
                }
            }
        }
    }
}

/// # Safety
/// As many words as `out` has must be readable.
#[inline(always)]
unsafe fn words(from: *const u8, out: &mut [u32], convert: impl Fn(u32) -> u32) {
    let from = from.cast::<u32>();
    for (index, out) in out.iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        *out = convert(unsafe { from.add(index).read_unaligned() });
    }
}
