//! The status strip: what it shows, as fills. Pure.

use blitd_client::Pixels;

use crate::arguments::Size;
use crate::digits;

/// Premultiplied colours: the strip itself lets what is behind show through.
const GROUND: u32 = 0xa808_0a10;
const EDGE: u32 = 0xc02a_3550;
const CLOCK: u32 = 0xfff2_f4f8;
const TROUGH: u32 = 0xc01c_2230;
const CALM: u32 = 0xff4c_c38a;
const BUSY: u32 = 0xffe5_b94a;
const FULL: u32 = 0xffe5_484d;

/// A rectangle and what it is filled with.
pub type Filled = (u32, Pixels);

/// The fills of a strip of this size, back to front: a clock on the left that shows `seconds` of the day, and on the
/// right a bar for `load`, where 1 is all that the machine can do.
pub fn strip(size: Size, seconds: u32, load: f32) -> Vec<Filled> {
    let Size { width, height } = size;
    let whole = Pixels { x: 0, y: 0, width, height };
    let mut fills = vec![(GROUND, whole), (EDGE, Pixels { height: (height / 32).max(1), ..whole })];
    let tall = (height * 5 / 8).max(7);
    let top = (height.saturating_sub(tall) / 2) as i32;
    let mut x = top;
    let (step, gap) =
        ((digits::width(tall) + 2 * digits::thickness(tall)) as i32, 3 * digits::thickness(tall) as i32);
    for (index, pair) in [seconds / 3600 % 24, seconds / 60 % 60, seconds % 60].into_iter().enumerate() {
        if index > 0 {
            fills.extend(digits::colon(x, top, tall).map(|block| (CLOCK, block)));
            x += gap;
        }
        for value in [pair / 10, pair % 10] {
            fills.extend(digits::digit(value as u8, x, top, tall).into_iter().map(|shape| (CLOCK, shape)));
            x += step;
        }
    }
    fills.extend(bar(size, x as u32 + tall, load));
    fills
}

/// The load bar, of blocks, between `left` and the strip's right end.
fn bar(Size { width, height }: Size, left: u32, load: f32) -> Vec<Filled> {
    const BLOCKS: u32 = 20;
    let tall = height * 3 / 8;
    let long = (width / 4).min(width.saturating_sub(left + tall));
    let pitch = long / BLOCKS;
    if pitch < 2 {
        return Vec::new();
    }
    let lit = (load.clamp(0.0, 1.0) * BLOCKS as f32).ceil() as u32;
    let start = width - height / 4 - BLOCKS * pitch;
    let block = |index: u32| {
        let colour = match index {
            _ if index >= lit => TROUGH,
            0..12 => CALM,
            12..17 => BUSY,
            _ => FULL,
        };
        let (x, y) = ((start + index * pitch) as i32, ((height - tall) / 2) as i32);
        (colour, Pixels { x, y, width: (pitch * 3 / 4).max(1), height: tall })
    };
    (0..BLOCKS).map(block).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use blitd_client::protocol::request::MAX_ENTRIES;

    const STRIP: Size = Size { width: 1920, height: 54 };

    #[test]
    fn everything_is_inside_and_fits_a_batch() {
        for size in [STRIP, Size { width: 640, height: 32 }, Size { width: 8000, height: 216 }] {
            let fills = strip(size, 86_399, 0.7);
            assert!(fills.len() <= MAX_ENTRIES);
            for (_, shape) in fills {
                assert!(shape.x >= 0 && shape.x as u32 + shape.width <= size.width, "{shape:?}");
                assert!(shape.y >= 0 && shape.y as u32 + shape.height <= size.height, "{shape:?}");
            }
        }
    }

    #[test]
    fn the_clock_and_the_bar_move() {
        assert_ne!(strip(STRIP, 59, 0.5), strip(STRIP, 60, 0.5));
        assert_eq!(strip(STRIP, 5, 0.5), strip(STRIP, 86_405, 0.5));
        let lit = |load: f32| {
            strip(STRIP, 0, load).iter().filter(|(colour, _)| [CALM, BUSY, FULL].contains(colour)).count()
        };
        assert_eq!([lit(0.0), lit(0.01), lit(0.5), lit(1.0), lit(9.0)], [0, 1, 10, 20, 20]);
    }

    #[test]
    fn a_strip_too_short_for_a_bar_has_none() {
        assert!(bar(Size { width: 100, height: 54 }, 95, 0.5).is_empty());
    }
}
