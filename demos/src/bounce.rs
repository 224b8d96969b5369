//! Soft translucent discs that bounce in a pane of dark glass. Where they are depends on the time alone.

use crate::arguments::Size;
use crate::canvas::{Canvas, part_of};

/// A disc: its radius in parts of the box's shorter side, where it starts and how fast it is, in boxes and in boxes
/// for each second, and its colour.
struct Disc {
    radius: f32,
    start: (f32, f32),
    speed: (f32, f32),
    colour: u32,
}

const fn disc(radius: f32, start: (f32, f32), speed: (f32, f32), colour: u32) -> Disc {
    Disc { radius, start, speed, colour }
}

impl Disc {
    fn radius(&self, size: Size) -> f32 {
        self.radius * size.width.min(size.height) as f32
    }
}

const DISCS: [Disc; 8] = [
    disc(0.210, (0.20, 0.30), (0.11, 0.17), 0xffff_5d73),
    disc(0.165, (0.75, 0.20), (-0.16, 0.13), 0xffff_b347),
    disc(0.140, (0.55, 0.70), (0.19, -0.21), 0xff4c_d3c2),
    disc(0.180, (0.35, 0.80), (-0.13, -0.15), 0xff6a_8dff),
    disc(0.110, (0.90, 0.55), (0.23, 0.27), 0xffc8_7bff),
    disc(0.090, (0.10, 0.65), (0.31, -0.19), 0xfff7_e27d),
    disc(0.070, (0.60, 0.40), (-0.29, 0.35), 0xffff_ffff),
    disc(0.055, (0.40, 0.10), (0.37, 0.41), 0xff8c_f29b),
];

/// How many distances from its centre a disc's pixels are worked out for, for each pixel.
const FINE: f32 = 4.0;

/// The box with its discs.
#[derive(Debug)]
pub struct Scene {
    size: Size,
    background: Vec<u32>,
    /// Each disc's pixels by their distance from its centre, since every frame needs them by the hundred thousand.
    glass: Vec<Vec<u32>>,
}

impl Scene {
    /// A box of this size.
    pub fn new(size: Size) -> Self {
        let mut background = vec![0; size.pixels()];
        let tall = size.height as f32;
        if let Some(mut canvas) = Canvas::new(&mut background, size) {
            canvas.paint((0, 0), size, |_, row| evening(row as f32 / tall));
        }
        let glass = DISCS.iter().map(|disc| {
            let radius = disc.radius(size);
            (0..=(radius * FINE) as u32).map(|step| glass(disc.colour, step as f32 / FINE, radius)).collect()
        });
        Self { size, background, glass: glass.collect() }
    }

    /// Paints all of the box as it is after `seconds`.
    pub fn paint(&self, pixels: &mut [u32], seconds: f32) {
        let Some(mut canvas) = Canvas::new(pixels, self.size) else { return };
        canvas.copy(&self.background);
        let (width, height) = (self.size.width as f32, self.size.height as f32);
        for (disc, glass) in DISCS.iter().zip(&self.glass) {
            let radius = disc.radius(self.size);
            let centre = (
                fold(disc.start.0 * width + disc.speed.0 * width * seconds, radius, width - radius),
                fold(disc.start.1 * height + disc.speed.1 * height * seconds, radius, height - radius),
            );
            canvas
                .round(centre, radius, |away| glass.get((away * FINE) as usize).copied().unwrap_or_default());
        }
    }
}

/// How much of what is behind it the pane covers.
const PANE: f32 = 0.55;

/// Dark glass: night above, the last light below.
fn evening(down: f32) -> u32 {
    let mix = |above: f32, below: f32| (above + (below - above) * down * down) as u32;
    part_of(0xff00_0000 | mix(14.0, 66.0) << 16 | mix(16.0, 40.0) << 8 | mix(40.0, 92.0), PANE)
}

/// A disc's pixel at a distance from its centre: faint in the middle, stronger towards the rim, with a smooth edge.
fn glass(colour: u32, away: f32, radius: f32) -> u32 {
    let edge = ((radius - away) / 1.5).clamp(0.0, 1.0);
    part_of(colour, edge * (0.30 + 0.48 * (away / radius).powi(5)))
}

/// Where something is that moves on and on and is thrown back at `low` and `high`.
fn fold(place: f32, low: f32, high: f32) -> f32 {
    let room = (high - low).max(f32::EPSILON);
    let phase = (place - low).rem_euclid(2.0 * room);
    low + if phase > room { 2.0 * room - phase } else { phase }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walls_throw_back() {
        assert_eq!(fold(5.0, 2.0, 10.0), 5.0);
        assert_eq!(fold(11.0, 2.0, 10.0), 9.0);
        assert_eq!(fold(1.0, 2.0, 10.0), 3.0);
        assert_eq!(fold(2.0 + 16.0 + 3.0, 2.0, 10.0), 5.0);
        assert!((0..1000).all(|step| (2.0..=10.0).contains(&fold(step as f32 * 0.731 - 300.0, 2.0, 10.0))));
        assert!(fold(5.0, 3.0, 1.0).is_finite());
    }

    #[test]
    fn frames_differ_and_let_some_of_what_is_behind_through() {
        let size = Size { width: 64, height: 40 };
        let scene = Scene::new(size);
        let frame = |seconds: f32| {
            let mut pixels = vec![0; size.pixels()];
            scene.paint(&mut pixels, seconds);
            pixels
        };
        assert_ne!(frame(0.0), frame(0.1));
        assert_eq!(frame(2.0), frame(2.0));
        let pane = (255.0 * PANE + 0.5) as u32;
        assert!(frame(1.0).iter().all(|pixel| (pane..256).contains(&(pixel >> 24))));
        let premultiplied =
            |pixel: &u32| pixel.to_le_bytes().iter().all(|part| u32::from(*part) <= pixel >> 24);
        assert!(frame(1.0).iter().all(premultiplied));
    }
}
