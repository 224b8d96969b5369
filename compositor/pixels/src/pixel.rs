//! One pixel: the arithmetic that every kernel is defined by.
//!
//! Words are premultiplied `0xAARRGGBB`. Products are rounded to the nearest, as the X Render extension and
//! pixman have them, so that results can be compared to the bit.

/// The alpha byte of an opaque pixel.
pub const OPAQUE: u32 = 0xff00_0000;

/// The two even bytes of a word, each in 16 bits of its own.
const EVEN: u32 = 0x00ff_00ff;

/// `x * a / 255` for two 8-bit values that stand 16 bits apart, each rounded to the nearest.
#[inline(always)]
const fn multiply_pair(pair: u32, a: u32) -> u32 {
    let product = pair.wrapping_mul(a).wrapping_add(0x0080_0080);
    (product.wrapping_add((product >> 8) & EVEN) >> 8) & EVEN
}

/// All four channels times `a / 255`, each rounded to the nearest: with `t = x * a + 128`, `(t + (t >> 8)) >> 8`.
#[inline(always)]
pub const fn multiply(word: u32, a: u8) -> u32 {
    multiply_pair(word & EVEN, a as u32) | (multiply_pair((word >> 8) & EVEN, a as u32) << 8)
}

/// The sum of two pairs of 8-bit values, each ending at 255.
#[inline(always)]
const fn add_pair(a: u32, b: u32) -> u32 {
    let sum = a.wrapping_add(b);
    (sum | 0x0100_0100_u32.wrapping_sub((sum >> 8) & EVEN)) & EVEN
}

/// All four channels summed, each ending at 255.
#[inline(always)]
pub const fn add(a: u32, b: u32) -> u32 {
    add_pair(a & EVEN, b & EVEN) | (add_pair((a >> 8) & EVEN, (b >> 8) & EVEN) << 8)
}

/// Porter and Duff's over: `source + destination * (255 - alpha(source)) / 255`.
#[inline(always)]
pub const fn over(source: u32, destination: u32) -> u32 {
    add(source, multiply(destination, 255 - (source >> 24) as u8))
}

/// Red and blue exchanged.
#[inline(always)]
pub const fn swap_red_blue(word: u32) -> u32 {
    (word & 0xff00_ff00) | ((word >> 16) & 0xff) | ((word & 0xff) << 16)
}

/// An RGB565 value as an opaque word; the upper bits of each channel are repeated in its lower ones, so that full
/// stays full.
#[inline(always)]
pub const fn from_rgb565(value: u16) -> u32 {
    let (red, green, blue) = ((value >> 11) as u32, (value >> 5 & 0x3f) as u32, (value & 0x1f) as u32);
    let (red, green, blue) =
        ((red << 3) | (red >> 2), (green << 2) | (green >> 4), (blue << 3) | (blue >> 2));
    OPAQUE | (red << 16) | (green << 8) | blue
}

/// An XRGB2101010 word as an opaque word of 8 bits a channel: the upper 8 of each.
#[inline(always)]
pub const fn from_xrgb2101010(word: u32) -> u32 {
    OPAQUE | (word >> 6 & 0x00ff_0000) | (word >> 4 & 0xff00) | (word >> 2 & 0xff)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channels(word: u32) -> [u32; 4] {
        word.to_le_bytes().map(u32::from)
    }

    #[test]
    fn products_are_rounded_to_the_nearest() {
        for x in 0..=255u32 {
            for a in 0..=255u32 {
                let expected = (2 * x * a + 255) / 510;
                let word = multiply(x * 0x0101_0101, a as u8);
                assert_eq!(channels(word), [expected; 4], "{x} * {a}");
            }
        }
    }

    #[test]
    fn sums_end_at_255() {
        assert_eq!(add(0x01ff_8000, 0x0201_80ff), 0x03ff_ffff);
        assert_eq!(add(0x1020_3040, 0x0102_0304), 0x1122_3344);
    }

    #[test]
    fn over_at_its_ends() {
        assert_eq!(over(0xff12_3456, 0xdead_beef), 0xff12_3456);
        assert_eq!(over(0, 0xdead_beef), 0xdead_beef);
        assert_eq!(over(0x8040_0000, 0xff00_00ff), 0xff40_007f);
    }

    #[test]
    fn every_565_value_keeps_its_ends() {
        assert_eq!(from_rgb565(0xffff), 0xffff_ffff);
        assert_eq!(from_rgb565(0), OPAQUE);
        assert_eq!(from_rgb565(0xf800), 0xffff_0000);
        assert_eq!(from_rgb565(0x07e0), 0xff00_ff00);
        assert_eq!(from_rgb565(0x8410), 0xff84_8284);
    }
}
