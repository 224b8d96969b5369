//! The sky: air, sun and clouds, and what the air does to what is seen through it.

use libm::expf;

use super::colour::Light;
use super::noise::{Noise, smooth};

/// Where the sun stands: to the right, into the depth and up.
pub(super) const SUN: [f32; 3] = [-0.905, -0.330, 0.268];

/// The sun's light on what it reaches.
pub(super) const SUNLIGHT: Light = Light::new(4.7, 2.38, 1.08);

/// The sky's light in the shade.
pub(super) const SKYLIGHT: Light = Light::new(0.34, 0.47, 0.74);

const ZENITH: Light = Light::new(0.055, 0.135, 0.36);
const HIGH: Light = Light::new(0.24, 0.38, 0.64);
const ROSE: Light = Light::new(0.72, 0.50, 0.50);
const LOW: Light = Light::new(0.78, 0.62, 0.56);
const GLOW: Light = Light::new(1.7, 0.90, 0.38);

/// Metres from the ground to the clouds.
const CEILING: f32 = 2600.0;

/// How much a direction looks to the side where the sky glows, 0 to 1. `across` is for each metre of depth.
fn glow(across: f32, up: f32) -> f32 {
    smooth(0.75, -0.75, across) * expf(-3.5 * up.max(0.0))
}

/// The air's own light in a direction: the sky without clouds. `across` and `up` are for each metre of depth.
fn air(across: f32, up: f32) -> Light {
    let up = up.max(0.0);
    let base = LOW.towards(ROSE, smooth(0.0, 0.12, up));
    let base = base.towards(HIGH, smooth(0.06, 0.26, up)).towards(ZENITH, smooth(0.16, 0.62, up));
    base + GLOW * (0.42 * glow(across, up).powi(2))
}

/// The sky in a direction: air and clouds.
pub(super) fn sky(noise: &Noise, across: f32, up: f32) -> Light {
    let clear = air(across, up);
    if up < 0.004 {
        return clear;
    }
    let warm = glow(across, up);
    let high = streaks(noise, across, up);
    let veiled = clear.towards(Light::new(1.30, 0.88, 0.70) + GLOW * (0.5 * warm), high);
    let (x, y) = (across / up * CEILING, CEILING / up);
    let here = density(noise, x, y, 7);
    if here <= 0.0 {
        return veiled;
    }
    // Less lies between here and the sun where the cloud thins out towards it.
    let before = density(noise, x + SUN[0] * 420.0, y + SUN[1] * 420.0, 4);
    let thick = here + 0.9 * before.max(0.0);
    let lit = expf(-2.6 * thick);
    let shade = Light::new(0.30, 0.31, 0.42).towards(Light::new(0.58, 0.42, 0.40), smooth(0.25, 0.02, up));
    let cloud = shade + Light::new(1.42, 0.84, 0.52) * (lit * (0.9 + 0.8 * warm));
    let cover = 1.0 - expf(-3.6 * here);
    veiled.towards(cloud, cover * smooth(0.015, 0.11, up))
}

/// How thick the cloud is at a place of the ceiling; 0 or less where there is none.
fn density(noise: &Noise, x: f32, y: f32, octaves: u32) -> f32 {
    let (x, y) = (x / 5200.0 + 3.7, y / 6800.0 + 5.2);
    let bend = noise.fractal(x * 1.3 + 9.0, y * 1.3, 3) - 0.5;
    let field = noise.fractal(x + 0.9 * bend, y - 0.7 * bend, octaves);
    let patches = noise.fractal(x * 0.35 + 2.2, y * 0.35 + 7.7, 2);
    (field - 0.655 + 0.34 * patches) * 2.4
}

/// Thin high cloud, drawn out by the wind.
fn streaks(noise: &Noise, across: f32, up: f32) -> f32 {
    let (x, y) = (across / up, 1.0 / up);
    let bend = noise.fractal(x * 0.5, y * 0.5 + 30.0, 3);
    let field = noise.fractal(x * 0.55 + y * 0.2 + 1.4 * bend, y * 1.9 - x * 1.1 + 2.6 * bend + 50.0, 6);
    0.55 * smooth(0.48, 0.80, field) * smooth(0.03, 0.16, up)
}

/// What is left of light after `distance` metres of air, at a height above the lake, and the haze that comes instead.
pub(super) fn through_air(light: Light, across: f32, distance: f32, height: f32) -> Light {
    let warm = glow(across, 0.1);
    // Thinner above, so that summits stand clear of the haze.
    let height = height.max(0.0);
    let haze = 1.0 - expf(-distance * (1.0 / 46_000.0 + expf(-height / 330.0) / 21_000.0));
    let veil = Light::new(0.36, 0.42, 0.58) + GLOW * (0.22 * warm);
    let mist = smooth(900.0, 4200.0, distance) * expf(-height / 55.0) * 0.42;
    light.towards(veil, haze).towards(Light::new(0.80, 0.70, 0.68) + GLOW * (0.25 * warm), mist)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_direction_of_the_sun_has_length_1() {
        let length = SUN.iter().map(|part| part * part).sum::<f32>().sqrt();
        assert!((length - 1.0).abs() < 0.01);
    }

    #[test]
    fn far_things_fade_into_the_haze() {
        let near = through_air(Light::default(), 0.0, 10.0, 500.0);
        let far = through_air(Light::default(), 0.0, 15_000.0, 500.0);
        assert!(near.0[2] < 0.01 && far.0[2] > 0.1);
    }
}
