//! Shapes, drawn into a slice of pixels.

use crate::arguments::Size;
use crate::picture::over;

/// Premultiplied ARGB8888 pixels, row by row, as something to draw on. What leaves it is cut off.
#[derive(Debug)]
pub struct Canvas<'a> {
    pixels: &'a mut [u32],
    size: Size,
}

/// A premultiplied pixel of a colour, as far as it covers: 0 nothing, 1 all.
pub fn part_of(colour: u32, cover: f32) -> u32 {
    let cover = cover.clamp(0.0, 1.0);
    u32::from_be_bytes(colour.to_be_bytes().map(|part| (f32::from(part) * cover + 0.5) as u8))
}

impl<'a> Canvas<'a> {
    /// The canvas over these pixels; `None` where they are fewer than its size has.
    pub fn new(pixels: &'a mut [u32], size: Size) -> Option<Self> {
        let pixels = pixels.get_mut(..size.pixels())?;
        Some(Self { pixels, size })
    }

    /// Its size.
    pub fn size(&self) -> Size {
        self.size
    }

    /// The pixels of part of a row, cut where they leave the canvas, and the column of the first.
    fn run(&mut self, y: i64, left: i64, right: i64) -> (i64, &mut [u32]) {
        let width = i64::from(self.size.width);
        let (left, right) = (left.clamp(0, width), right.clamp(0, width));
        if !(0..i64::from(self.size.height)).contains(&y) || right <= left {
            return (left, &mut []);
        }
        let start = (y * width + left) as usize;
        (left, &mut self.pixels[start..start + (right - left) as usize])
    }

    /// Replaces everything by another picture of the same size.
    pub fn copy(&mut self, picture: &[u32]) {
        let length = picture.len().min(self.pixels.len());
        self.pixels[..length].copy_from_slice(&picture[..length]);
    }

    /// Replaces a rectangle by a pixel.
    pub fn fill(&mut self, x: i64, y: i64, width: i64, height: i64, pixel: u32) {
        for row in y.max(0)..(y + height).min(i64::from(self.size.height)) {
            self.run(row, x, x + width).1.fill(pixel);
        }
    }

    /// Replaces each pixel of a rectangle by what `pixel` says of its column and row.
    pub fn paint(&mut self, (x, y): (i64, i64), size: Size, pixel: impl Fn(i64, i64) -> u32) {
        for row in y.max(0)..(y + i64::from(size.height)).min(i64::from(self.size.height)) {
            let (left, run) = self.run(row, x, x + i64::from(size.width));
            for (column, place) in (left..).zip(run) {
                *place = pixel(column, row);
            }
        }
    }

    /// Draws something round over what is there: `pixel` says what it is at a distance, in pixels, from the centre;
    /// it is nothing beyond `reach`.
    pub fn round(&mut self, (x, y): (f32, f32), reach: f32, pixel: impl Fn(f32) -> u32) {
        let reach = reach.max(0.0);
        for row in ((y - reach).floor() as i64).max(0)..=((y + reach) as i64).min(i64::from(self.size.height))
        {
            let above = row as f32 + 0.5 - y;
            let half = (reach * reach - above * above).max(0.0).sqrt();
            let (left, run) = self.run(row, (x - half).floor() as i64, (x + half) as i64 + 1);
            for (column, place) in (left..).zip(run) {
                let aside = column as f32 + 0.5 - x;
                let drawn = pixel((aside * aside + above * above).sqrt());
                if drawn != 0 {
                    *place = over(drawn, *place);
                }
            }
        }
    }

    /// Draws a disc with a smooth edge.
    pub fn disc(&mut self, centre: (f32, f32), radius: f32, colour: u32) {
        self.round(centre, radius + 1.0, |away| part_of(colour, radius + 0.5 - away));
    }

    /// Draws a circle's line with smooth edges.
    pub fn ring(&mut self, centre: (f32, f32), radius: f32, thick: f32, colour: u32) {
        let half = thick / 2.0;
        self.round(centre, radius + half + 1.0, |away| part_of(colour, half + 0.5 - (away - radius).abs()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { width: 9, height: 7 };
    const WHITE: u32 = 0xffff_ffff;

    fn drawn(draw: impl Fn(&mut Canvas<'_>)) -> Vec<u32> {
        let mut pixels = vec![0; SIZE.pixels()];
        draw(&mut Canvas::new(&mut pixels, SIZE).unwrap());
        pixels
    }

    fn count(pixels: &[u32]) -> usize {
        pixels.iter().filter(|&&pixel| pixel == WHITE).count()
    }

    #[test]
    fn too_few_pixels_are_no_canvas() {
        assert!(Canvas::new(&mut [0; 62], SIZE).is_none());
        assert!(Canvas::new(&mut [0; 64], SIZE).is_some());
    }

    #[test]
    fn rectangles_are_cut_at_every_edge() {
        assert_eq!(count(&drawn(|canvas| canvas.fill(2, 1, 3, 4, WHITE))), 12);
        assert_eq!(count(&drawn(|canvas| canvas.fill(-2, -1, 3, 4, WHITE))), 3);
        assert_eq!(count(&drawn(|canvas| canvas.fill(8, 6, 50, 50, WHITE))), 1);
        assert_eq!(count(&drawn(|canvas| canvas.fill(9, 0, 5, 5, WHITE))), 0);
        assert_eq!(count(&drawn(|canvas| canvas.fill(3, 3, 0, -2, WHITE))), 0);
        let painted =
            drawn(|canvas| canvas.paint((-1, -1), Size { width: 3, height: 2 }, |x, y| (x + y) as u32 + 1));
        assert_eq!(painted[..3], [1, 2, 0]);
    }

    #[test]
    fn discs_are_round_and_soft() {
        let disc = drawn(|canvas| canvas.disc((4.5, 3.5), 2.5, WHITE));
        assert_eq!(disc[3 * 9 + 4], WHITE);
        assert_eq!(disc[0], 0);
        let mirrored: Vec<u32> = disc.iter().rev().copied().collect();
        assert_eq!(disc, mirrored);
        assert!(disc.iter().any(|&pixel| pixel != 0 && pixel != WHITE));
    }

    #[test]
    fn what_is_far_outside_draws_nothing() {
        for place in [(-100.0, 3.0), (100.0, 3.0), (4.0, -100.0), (4.0, 100.0)] {
            assert!(drawn(|canvas| canvas.disc(place, 5.0, WHITE)).iter().all(|&pixel| pixel == 0));
        }
        let ring = drawn(|canvas| canvas.ring((4.5, 3.5), 3.0, 1.0, WHITE));
        assert_eq!(ring[3 * 9 + 4], 0);
        assert!(count(&ring) > 0);
    }
}
