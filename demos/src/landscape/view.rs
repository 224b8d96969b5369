//! What the camera sees of the ground, and how that is lit.

use super::colour::Light;
use super::noise::{Noise, smooth};
use super::sky::{SKYLIGHT, SUN, SUNLIGHT, through_air};
use super::terrain::{DEPTH, Terrain};

/// Metres of the camera above the lake.
pub(super) const EYE: f32 = 9.0;

/// Where the ground begins.
const NEAR: f32 = 45.0;

/// Nothing is seen in this direction but sky.
pub(super) const SKY: f32 = f32::INFINITY;

/// What is seen in one pixel of the ground and what stands on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    /// Its light.
    pub(super) light: Light,
    /// How much of the pixel it covers.
    pub(super) cover: f32,
    /// Its nearest depth.
    pub(super) depth: f32,
}

impl Point {
    /// Nothing.
    pub(super) const EMPTY: Self = Self { light: Light::new(0.0, 0.0, 0.0), cover: 0.0, depth: SKY };

    /// The pixel's light, with this one behind.
    pub(super) fn before(&self, behind: Light) -> Light {
        behind.towards(self.light, self.cover)
    }
}

/// How points of the scene come to points of the picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    /// The picture's width.
    pub(super) width: usize,
    /// Its height.
    pub(super) height: usize,
    /// Rows from the bottom to the horizon.
    pub(super) below: usize,
    /// Pixels for a metre at a distance of a metre.
    pub(super) focal: f32,
}

impl View {
    /// The view onto a picture of this size.
    pub(super) fn new(width: usize, height: usize) -> Self {
        let focal = (width as f32).max(height as f32 * 1.5) * 0.98;
        Self { width, height, below: (height as f32 * 0.36) as usize, focal }
    }

    /// Rows above the horizon that the sky and the mirror are looked at in.
    pub(super) fn mirror_rows(&self) -> usize {
        (self.height - self.below).max(self.below) + 2
    }

    /// How far to the right a column looks, in metres for a metre of depth.
    pub(super) fn across(&self, column: f32) -> f32 {
        (column + 0.5 - self.width as f32 / 2.0) / self.focal
    }

    /// The column of a place `x` to the right at a depth.
    pub(super) fn column(&self, x: f32, depth: f32) -> f32 {
        x / depth * self.focal + self.width as f32 / 2.0 - 0.5
    }
}

/// Goes outwards over the ground below one column of the picture and notes at which depth each row meets it: `SKY`
/// where it does not. Rows count upwards; row `below` looks level, `eye` metres above the lake.
pub(super) fn march(terrain: &Terrain, across: f32, eye: f32, focal: f32, below: f32, depths: &mut [f32]) {
    depths.fill(SKY);
    let mut filled = 0;
    let mut depth = NEAR;
    let mut before = (depth, terrain.height(across * depth, depth));
    while depth < DEPTH && filled < depths.len() {
        depth += (depth * 0.0022).max(2.0);
        let height = terrain.height(across * depth, depth);
        let row = below + focal * (height - eye) / depth;
        if before.1 <= 0.0 && height > 0.0 {
            // Here water ends: rows below look at it and not at the ground.
            filled = filled.max((below - focal * eye / depth).max(0.0) as usize + 1);
        }
        if height > 0.0 && row > filled as f32 {
            let end = (row as usize + 1).min(depths.len());
            for (index, slot) in depths[..end].iter_mut().enumerate().skip(filled) {
                // Where the ray of this row passes between the two points.
                let ray = (index as f32 - below) / focal;
                let (over, under) = (before.1 - eye - ray * before.0, height - eye - ray * depth);
                let part = if under > over { (-over / (under - over)).clamp(0.0, 1.0) } else { 1.0 };
                *slot = before.0 + (depth - before.0) * part;
            }
            filled = end;
        }
        before = (depth, height);
    }
}

/// The light that comes from the ground at a depth in a direction.
pub(super) fn ground_light(terrain: &Terrain, noise: &Noise, across: f32, depth: f32) -> Light {
    let x = across * depth;
    let ground = terrain.ground(x, depth);
    // What the map is too coarse for: rocks near by, gullies farther off.
    let fine = 0.004 * depth.max(700.0);
    let [_, dx, dy] = noise.slope(x / fine, (depth + ground.height) / fine + 3.0);
    let [rough, ex, ey] = noise.slope(x / (fine * 2.7) + 20.0, (depth + ground.height) / (fine * 2.7));
    let rocky = smooth(0.35, 1.0, (ground.across.powi(2) + ground.along.powi(2)).sqrt());
    let bumps = 0.10 + 0.34 * rocky;
    let (slope_x, slope_y) = (ground.across + bumps * (dx + ex), ground.along + bumps * (dy + ey));
    let length = (slope_x * slope_x + slope_y * slope_y + 1.0).sqrt();
    let level = 1.0 / length;
    let facing = (SUN[2] - slope_x * SUN[0] - slope_y * SUN[1]) / length;

    let patch = noise.fractal((x + 0.4 * ground.height) / 420.0, (depth + ground.height) / 420.0, 4) - 0.5;
    let bands = noise.at(x / 900.0 + ground.height / 46.0, ground.height / 31.0);
    let rock =
        Light::new(0.105, 0.095, 0.095).towards(Light::new(0.30, 0.26, 0.235), 0.55 * bands + 0.45 * rough);
    let meadow =
        Light::new(0.15, 0.17, 0.055).towards(Light::new(0.24, 0.19, 0.07), smooth(0.0, 0.25, patch));
    let wood = Light::new(0.022, 0.043, 0.022) * (0.55 + 0.9 * rough);
    let snow = Light::new(0.86, 0.90, 0.97);
    let line = ground.height + 340.0 * patch;
    let mut surface = rock.towards(meadow, smooth(0.62, 0.80, level) * smooth(1150.0, 760.0, line));
    let woods = smooth(0.55, 0.72, level) * smooth(640.0, 470.0, line + 260.0 * (rough - 0.5));
    surface = surface.towards(wood, woods * smooth(1.0, 9.0, ground.height));
    surface = surface
        .towards(snow, smooth(1010.0, 1330.0, line) * smooth(0.52, 0.70, level + 0.25 * (rough - 0.5)));

    let sun = SUNLIGHT * (facing.max(0.0) * ground.sunlit);
    // Light that has been on other slopes comes back from everywhere, a little more from the side of the sun.
    let shade =
        SKYLIGHT * (0.42 + 0.40 * level) + Light::new(0.30, 0.17, 0.09) * (0.30 * (facing + 0.5).max(0.0));
    let light = surface * (sun + shade);
    through_air(light, across, depth, ground.height)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_look_farther_the_higher_they_are() {
        let terrain = Terrain::new(&Noise::new(7));
        let view = View::new(320, 180);
        let mut depths = vec![0.0; view.height];
        march(&terrain, view.across(20.0), EYE, view.focal, view.below as f32, &mut depths);
        assert!(depths.iter().any(|&depth| depth < SKY));
        assert!(depths.windows(2).all(|pair| pair[0] <= pair[1] || pair[0] == SKY));
        assert_eq!(depths.last(), Some(&SKY));
    }
}
