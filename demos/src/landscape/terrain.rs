//! The ground: a map of heights, how steep it is and what of it the sun reaches.

use libm::expf;

use super::noise::{Noise, smooth};
use super::sky::SUN;

/// Metres between two points of the map.
const CELL: f32 = 10.0;

/// Points across.
const COLUMNS: usize = 1900;

/// Points in depth.
const ROWS: usize = 1700;

/// Metres from the middle of the map to its left edge.
const HALF: f32 = COLUMNS as f32 * CELL / 2.0;

/// How far to the side ground is seen, in metres for a metre of depth, a little more than the view's; and what lies
/// beyond and still throws shadows. The rest of the map stays empty.
const EDGE: f32 = 0.53;
const MARGIN: f32 = 700.0;

/// How deep the map is, in metres.
pub(super) const DEPTH: f32 = (ROWS - 2) as f32 * CELL;

/// What the ground is like at a place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ground {
    /// Metres above the lake.
    pub(super) height: f32,
    /// How it rises to the right, in metres for a metre.
    pub(super) across: f32,
    /// How it rises into the depth.
    pub(super) along: f32,
    /// How much of the sun reaches it, 0 to 1.
    pub(super) sunlit: f32,
}

/// The map.
#[derive(Debug)]
pub(super) struct Terrain {
    heights: Vec<f32>,
    sunlit: Vec<f32>,
}

impl Terrain {
    /// The ground that this noise makes.
    pub(super) fn new(noise: &Noise) -> Self {
        let mut heights = vec![0.0; COLUMNS * ROWS];
        let (near, far) = heights.split_at_mut(COLUMNS * (ROWS / 2));
        std::thread::scope(|scope| {
            scope.spawn(|| fill(noise, near, 0));
            fill(noise, far, ROWS / 2);
        });
        let sunlit = sunlit(&heights);
        Self { heights, sunlit }
    }

    /// Metres above the lake at `x` to the right and `y` into the depth.
    pub(super) fn height(&self, x: f32, y: f32) -> f32 {
        let (cell, fx, fy) = cell(x, y);
        mix(&self.heights, cell, fx, fy)
    }

    /// All about the ground there.
    pub(super) fn ground(&self, x: f32, y: f32) -> Ground {
        let (cell, fx, fy) = cell(x, y);
        let [a, b, c, d] = corners(&self.heights, cell);
        Ground {
            height: mix(&self.heights, cell, fx, fy),
            across: ((b - a) * (1.0 - fy) + (d - c) * fy) / CELL,
            along: ((c - a) * (1.0 - fx) + (d - b) * fx) / CELL,
            sunlit: mix(&self.sunlit, cell, fx, fy),
        }
    }
}

/// The map's point to the upper left of a place, and how far beyond it the place is.
fn cell(x: f32, y: f32) -> (usize, f32, f32) {
    let column = ((x + HALF) / CELL).clamp(0.0, (COLUMNS - 2) as f32);
    let row = (y / CELL).clamp(0.0, (ROWS - 2) as f32);
    (column as usize + row as usize * COLUMNS, column.fract(), row.fract())
}

fn corners(map: &[f32], cell: usize) -> [f32; 4] {
    [map[cell], map[cell + 1], map[cell + COLUMNS], map[cell + COLUMNS + 1]]
}

fn mix(map: &[f32], cell: usize, fx: f32, fy: f32) -> f32 {
    let [a, b, c, d] = corners(map, cell);
    (a * (1.0 - fx) + b * fx) * (1.0 - fy) + (c * (1.0 - fx) + d * fx) * fy
}

fn fill(noise: &Noise, heights: &mut [f32], first: usize) {
    for (row, points) in heights.chunks_exact_mut(COLUMNS).enumerate() {
        let y = (first + row) as f32 * CELL;
        for (column, height) in points.iter_mut().enumerate() {
            let x = column as f32 * CELL - HALF;
            if x.abs() < EDGE * y + MARGIN {
                *height = shape(noise, x, y);
            }
        }
    }
}

/// A lake in front, wooded hills beside it, and the high mountains behind.
fn shape(noise: &Noise, x: f32, y: f32) -> f32 {
    let bent = noise.fractal(x / 1500.0 + 3.1, y / 1500.0 + 8.8, 3) - 0.5;
    // Distance from the lake's shore, in parts of the lake's size.
    let (across, along) = ((x - 60.0) / (760.0 + 0.08 * y), (y - 1100.0) / 2300.0);
    let beyond = (across * across + along * along).sqrt() - 1.0 + 0.55 * bent;
    let rough = noise.eroded(x / 3300.0 + 40.7, y / 3300.0 + 12.4, 9);
    let hills = smooth(-0.05, 1.9, beyond) * (0.25 + rough);
    let peak = |px: f32, py: f32, size: f32| expf(-((x - px).powi(2) + (y - py).powi(2)) / (size * size));
    let massif = smooth(0.3, 2.3, beyond) * smooth(4200.0, 11500.0, y + 600.0 * bent);
    let summits = peak(1500.0, 10300.0, 1800.0) + 0.62 * peak(-1500.0, 12200.0, 1700.0);
    let shore = beyond.min(0.15) * 160.0;
    shore + hills * 430.0 + massif * rough * 1250.0 + summits * (0.35 + rough) * 850.0
}

/// Follows the sun's rays over the map from where they come; a point is lit as far as it is above what came before.
fn sunlit(heights: &[f32]) -> Vec<f32> {
    let [right, deep, up] = SUN;
    // The sun stands behind the camera, so that each row lies in the shadow of the nearer ones.
    let shift = right / deep.abs();
    let drop = up / deep.abs() * CELL;
    let mut lit = vec![1.0; COLUMNS * ROWS];
    let mut ceiling: Vec<f32> = vec![f32::MIN; COLUMNS];
    let mut next = ceiling.clone();
    for (lit, heights) in lit.chunks_exact_mut(COLUMNS).zip(heights.chunks_exact(COLUMNS)) {
        for (column, raised) in next.iter_mut().enumerate() {
            let from = (column as f32 + shift).clamp(0.0, (COLUMNS - 2) as f32);
            let (whole, part) = (from as usize, from.fract());
            let shadow = ceiling[whole] * (1.0 - part) + ceiling[whole + 1] * part - drop;
            lit[column] = smooth(30.0, -10.0, shadow - heights[column]);
            *raised = shadow.max(heights[column]);
        }
        std::mem::swap(&mut ceiling, &mut next);
    }
    lit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_lake_in_front_and_a_mountain_behind() {
        let noise = Noise::new(7);
        assert!(shape(&noise, 150.0, 800.0) < 0.0);
        assert!(shape(&noise, 1500.0, 10300.0) > 800.0);
    }
}
