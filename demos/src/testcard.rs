//! The test card: what shows at a glance whether a screen shows everything, in the right place and colour.

use crate::arguments::Size;
use crate::canvas::Canvas;

const WHITE: u32 = 0xffff_ffff;
const BLACK: u32 = 0xff00_0000;
const GROUND: u32 = 0xff38_3c44;
const GRID: u32 = 0xff70_7680;

/// The bars of SMPTE ECR 1-1978, with white and black: 75 per cent of full light.
const BARS: [u32; 8] =
    [WHITE, 0xffbf_bf00, 0xff00_bfbf, 0xff00_bf00, 0xffbf_00bf, 0xffbf_0000, 0xff00_00bf, BLACK];

/// One colour for each corner, so that a screen that is turned or mirrored is seen to be: clockwise from the upper
/// left red, green, blue, yellow.
const CORNERS: [u32; 4] = [0xffff_0000, 0xff00_ff00, 0xff00_00ff, 0xffff_ff00];

/// Steps of the grey ramp.
const STEPS: i64 = 16;

/// Draws the card over all of the canvas.
pub fn paint(canvas: &mut Canvas<'_>) {
    let (width, height) = (i64::from(canvas.size().width), i64::from(canvas.size().height));
    canvas.fill(0, 0, width, height, GROUND);
    grid(canvas, width, height);
    rings(canvas, width as f32, height as f32);
    let (left, right) = (width * 3 / 16, width * 13 / 16);
    let rows = [20, 46, 55, 64, 80].map(|percent| height * percent / 100);
    canvas.fill(left - 2, rows[0] - 2, right - left + 4, rows[4] - rows[0] + 4, BLACK);
    for (index, colour) in (0..).zip(BARS) {
        let edge = |at: i64| left + (right - left) * at / BARS.len() as i64;
        canvas.fill(edge(index), rows[0], edge(index + 1) - edge(index), rows[1] - rows[0], colour);
    }
    let grey = |level: i64| 0xff00_0000 | (level.clamp(0, 255) as u32 * 0x01_01_01);
    let band = |rows: &[i64]| side((right - left, rows[1] - rows[0]));
    canvas.paint((left, rows[1]), band(&rows[1..]), |x, _| grey((x - left) * 256 / (right - left).max(1)));
    canvas.paint((left, rows[2]), band(&rows[2..]), |x, _| {
        grey((x - left) * STEPS / (right - left).max(1) * 255 / (STEPS - 1))
    });
    // One pixel on, one off: a screen that scales or blurs shows grey or waves instead.
    let patterns: [fn(i64, i64) -> bool; 4] =
        [|x, y| (x + y) % 2 == 0, |x, _| x % 2 == 0, |_, y| y % 2 == 0, |x, y| (x / 2 + y / 2) % 2 == 0];
    for (index, pattern) in (0..).zip(patterns) {
        let edge = |at: i64| left + (right - left) * at / 4;
        let size = side((edge(index + 1) - edge(index), rows[4] - rows[3]));
        canvas.paint((edge(index), rows[3]), size, |x, y| if pattern(x, y) { WHITE } else { BLACK });
    }
    border(canvas, width, height);
}

fn side((width, height): (i64, i64)) -> Size {
    let side = |length: i64| u32::try_from(length).unwrap_or_default();
    Size { width: side(width), height: side(height) }
}

/// Lines that meet in the very middle, so that squares look square and the middle is seen.
fn grid(canvas: &mut Canvas<'_>, width: i64, height: i64) {
    let pitch = (height / 12).max(8);
    let first = |length: i64| length / 2 % pitch;
    for x in (first(width)..width).step_by(pitch as usize) {
        canvas.fill(x - 1, 0, 2, height, GRID);
    }
    for y in (first(height)..height).step_by(pitch as usize) {
        canvas.fill(0, y - 1, width, 2, GRID);
    }
}

/// A large circle in the middle and a small one near each corner: round, if pixels are square.
fn rings(canvas: &mut Canvas<'_>, width: f32, height: f32) {
    let short = width.min(height);
    let thick = (short / 360.0).max(1.5);
    canvas.ring((width / 2.0, height / 2.0), short * 0.46, thick, WHITE);
    let inset = short * 0.14;
    for (x, y) in
        [(inset, inset), (width - inset, inset), (width - inset, height - inset), (inset, height - inset)]
    {
        canvas.ring((x, y), short * 0.10, thick, WHITE);
        canvas.disc((x, y), short * 0.012, WHITE);
    }
}

/// The outermost pixels, and a mark in each corner: what is missing, the screen cuts off.
fn border(canvas: &mut Canvas<'_>, width: i64, height: i64) {
    canvas.fill(0, 0, width, 1, WHITE);
    canvas.fill(0, height - 1, width, 1, WHITE);
    canvas.fill(0, 0, 1, height, WHITE);
    canvas.fill(width - 1, 0, 1, height, WHITE);
    let (long, thick) = ((height / 18).max(4), (height / 180).max(2));
    let (right, bottom) = (width - 1, height - 1);
    let marks = [
        ((1, 1), (1, 1)),
        ((right - long, 1), (right - thick, 1)),
        ((right - long, bottom - thick), (right - thick, bottom - long)),
        ((1, bottom - thick), (1, bottom - long)),
    ];
    for ((across, along), colour) in marks.into_iter().zip(CORNERS) {
        canvas.fill(across.0, across.1, long, thick, colour);
        canvas.fill(along.0, along.1, thick, long, colour);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(width: u32, height: u32) -> Vec<u32> {
        let size = Size { width, height };
        let mut pixels = vec![0; size.pixels()];
        paint(&mut Canvas::new(&mut pixels, size).unwrap());
        pixels
    }

    #[test]
    fn it_reaches_every_edge_and_is_opaque() {
        let card = card(640, 360);
        assert!(card.iter().all(|pixel| pixel >> 24 == 0xff));
        assert!(card[..640].iter().chain(&card[359 * 640..]).all(|&pixel| pixel == WHITE));
        let corners = [641, 2 * 640 - 2, 359 * 640 - 2, 358 * 640 + 1].map(|index| card[index]);
        assert_eq!(corners, CORNERS);
    }

    #[test]
    fn bars_and_ramps_are_there() {
        let card = card(640, 360);
        let row = |percent: usize| &card[360 * percent / 100 * 640..][..640];
        assert!(BARS.iter().all(|bar| row(30).contains(bar)));
        let steps: std::collections::BTreeSet<u32> = row(60)[120..520].iter().copied().collect();
        assert_eq!(steps.len(), STEPS as usize);
        assert_eq!(row(72)[121] ^ row(72)[122], 0x00ff_ffff);
    }

    #[test]
    fn any_size_will_do() {
        for (width, height) in [(1, 1), (7, 3), (3, 200), (200, 3)] {
            assert!(card(width, height).iter().all(|pixel| pixel >> 24 == 0xff));
        }
    }
}
