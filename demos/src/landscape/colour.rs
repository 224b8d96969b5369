//! Light as three numbers, and how it becomes a picture.

use std::ops::{Add, AddAssign, Mul};

use libm::powf;

use super::noise::Random;

/// Linear light in red, green and blue, without an upper end.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub(super) struct Light(pub(super) [f32; 3]);

impl Light {
    /// From its three parts.
    pub(super) const fn new(red: f32, green: f32, blue: f32) -> Self {
        Self([red, green, blue])
    }

    /// Part of the way to `other`: 0 stays, 1 is there.
    pub(super) fn towards(self, other: Self, part: f32) -> Self {
        self * (1.0 - part) + other * part
    }
}

impl Add for Light {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self([self.0[0] + other.0[0], self.0[1] + other.0[1], self.0[2] + other.0[2]])
    }
}

impl AddAssign for Light {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Mul<f32> for Light {
    type Output = Self;
    fn mul(self, by: f32) -> Self {
        Self(self.0.map(|part| part * by))
    }
}

impl Mul for Light {
    type Output = Self;
    fn mul(self, by: Self) -> Self {
        Self([self.0[0] * by.0[0], self.0[1] * by.0[1], self.0[2] * by.0[2]])
    }
}

/// Steps of the table from linear light to 8 bits.
const STEPS: usize = 4096;

/// The film: turns light into bytes.
#[derive(Debug)]
pub(super) struct Film {
    table: Vec<f32>,
}

impl Film {
    /// The film.
    pub(super) fn new() -> Self {
        Self { table: (0..=STEPS).map(|step| srgb(step as f32 / STEPS as f32) * 255.0).collect() }
    }

    /// One row of light as RGB bytes, with the grain that `random` gives; `dim` tells how much of the light of a
    /// column arrives at the film.
    pub(super) fn develop(
        &self,
        row: &[Light],
        bytes: &mut [u8],
        random: &mut Random,
        dim: impl Fn(usize) -> f32,
    ) {
        for (column, (light, pixel)) in row.iter().zip(bytes.chunks_exact_mut(3)).enumerate() {
            let bits = random.bits();
            // The sum of four bytes is near enough to a normal distribution.
            let sum: u64 = (0..4).map(|byte| (bits >> (8 * byte)) & 255).sum();
            let grain = (sum as f32 - 510.0) / 148.0;
            let light = *light * dim(column);
            for (part, byte) in light.0.iter().zip(pixel) {
                let shown = self.table[(filmic(*part) * STEPS as f32) as usize];
                *byte = (shown + grain * (1.7 - shown * 0.004) + 0.5) as u8;
            }
        }
    }
}

/// A curve with a toe and a shoulder, 0 to 1 (Narkowicz's fit of the ACES curve).
fn filmic(light: f32) -> f32 {
    let x = light.max(0.0) * 0.8;
    ((x * (2.51 * x + 0.03)) / (x * (2.43 * x + 0.59) + 0.14)).clamp(0.0, 1.0)
}

/// The sRGB transfer function.
fn srgb(linear: f32) -> f32 {
    if linear <= 0.003_130_8 { linear * 12.92 } else { 1.055 * powf(linear, 1.0 / 2.4) - 0.055 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn darkness_is_dark_and_the_sun_is_white() {
        assert_eq!(filmic(0.0), 0.0);
        assert_eq!(filmic(1000.0), 1.0);
        assert_eq!(filmic(-1.0), 0.0);
        assert!((srgb(1.0) - 1.0).abs() < 1e-5);
    }
}
