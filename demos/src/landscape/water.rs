//! The lake: what it mirrors, through its ripples.

use super::colour::Light;
use super::noise::{Noise, smooth};
use super::sky::through_air;
use super::view::{EYE, View};

/// What is seen of the water itself.
const DEEP: Light = Light::new(0.012, 0.036, 0.050);

/// The light that comes from the water `down` rows below the horizon. `mirrored` holds what a camera below the lake
/// sees, in columns of `rows`, bottom up.
pub(super) fn light(
    noise: &Noise,
    view: &View,
    mirrored: &[Light],
    rows: usize,
    column: usize,
    down: f32,
) -> Light {
    let across = view.across(column as f32);
    let distance = EYE * view.focal / down;
    let x = across * distance;
    // A row of pixels spans so many metres of water; waves that are shorter are not seen one by one.
    let span = distance / down;
    let breeze = smooth(0.42, 0.66, noise.fractal(x / 130.0 + 5.0, distance / 260.0, 3));
    let calm = 0.25 + 0.95 * breeze;
    let mut tilt = [0.0; 2];
    for (length, strength) in [(3.4, 0.0042), (1.3, 0.0034), (0.5, 0.0024)] {
        let seen = calm * strength / (1.0 + (2.2 * span / length).powi(2));
        let [_, dx, dy] = noise.slope(x / (length * 1.9) + 0.3 * distance / length, distance / length);
        tilt[0] += seen * dx * 0.35;
        tilt[1] += seen * dy;
    }
    let [_, fx, fy] = noise.slope(column as f32 / 46.0, down / 2.3 + 90.0);
    tilt[0] += fx * 0.0003 * calm;
    tilt[1] += fy * 0.0011 * calm * smooth(0.0, 60.0, down);
    let away = 2.0 * view.focal;
    let seen_up = (down + tilt[1] * away).abs();
    let seen_column = column as f32 + tilt[0] * away;
    let image = lookup(mirrored, rows, seen_column, seen_up, 0.6 + 2.6 * breeze);
    let grazing = 1.0 - (down / view.focal + tilt[1]).clamp(0.0, 1.0);
    let share = 0.16 + 0.80 * grazing.powi(4);
    // No water lies behind the far shore, whatever a row at the horizon looks at.
    through_air(image * share + DEEP * (1.0 - share), across, distance.min(1900.0), 0.0)
}

/// The mean of some rows about a place of the mirror.
fn lookup(mirrored: &[Light], rows: usize, column: f32, row: f32, reach: f32) -> Light {
    let columns = mirrored.len() / rows;
    let column = (column.max(0.0) as usize).min(columns - 1) * rows;
    let mut sum = Light::default();
    for part in [-1.0, -0.35, 0.35, 1.0] {
        let row = (row + part * reach).clamp(0.0, (rows - 2) as f32);
        let (whole, part) = (row as usize, row.fract());
        sum += mirrored[column + whole].towards(mirrored[column + whole + 1], part);
    }
    sum * 0.25
}
