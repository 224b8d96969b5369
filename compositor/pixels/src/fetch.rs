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
    let (words, halves) = (from.cast::<u32>(), from.cast::<u16>());
    for (index, out) in out.iter_mut().take(count).enumerate() {
        // SAFETY: the row has `count` pixels from `x` on, at as many bytes as its format says.
        *out = unsafe {
            match source.format() {
                Format::Xrgb8888 => words.add(index).read_unaligned() | OPAQUE,
                Format::Argb8888 => words.add(index).read_unaligned(),
                Format::Xbgr8888 => swap_red_blue(words.add(index).read_unaligned()) | OPAQUE,
                Format::Abgr8888 => swap_red_blue(words.add(index).read_unaligned()),
                Format::Rgb565 => from_rgb565(halves.add(index).read_unaligned()),
            }
        };
    }
}
