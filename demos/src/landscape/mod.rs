//! A picture of mountains behind a lake, made by arithmetic from a seed.
//!
//! In this order: a map of heights; for each column of the picture, what the camera sees of it; the same for a camera
//! below the lake, which sees what the lake mirrors; trees; water over the lower half; plants in front; film.
//! Columns are stored bottom up, one after the other, so that two threads can each take half of them.
//!
//! A seed gives the same picture on every machine, to the bit. So what IEEE 754 does not define, such as powers, is left
//! to the crate libm, which is plain arithmetic; what a system's own library makes of it differs in the last bit.

mod colour;
mod noise;
mod plants;
mod sky;
mod terrain;
mod trees;
mod view;
mod water;

use colour::{Film, Light};
use noise::{Noise, Random};
use terrain::Terrain;
use trees::Tree;
use view::{EYE, Point, SKY, View, ground_light, march};

/// The picture as RGB bytes, row by row from the top.
pub fn render(width: usize, height: usize, seed: u64) -> Vec<u8> {
    let noise = Noise::new(seed);
    let terrain = Terrain::new(&noise);
    let view = View::new(width, height);
    let trees = trees::plant(&terrain, &noise, &view, seed);
    let sky = skies(&noise, &view);
    let scene = Scene { terrain, noise, view, trees };
    let direct = scene.points(EYE, view.below, height, 2);
    let mirror = scene.mirror(&sky);
    let mut picture = vec![Light::default(); width * height];
    by_columns(&mut picture, height, |first, columns| {
        for (at, column) in columns.chunks_exact_mut(height).enumerate() {
            let at = first + at;
            for (row, light) in column.iter_mut().enumerate() {
                let point = &direct[at * height + row];
                let behind = match row.checked_sub(view.below) {
                    Some(up) => sky[at * view.mirror_rows() + up],
                    None if point.cover == 1.0 => Light::default(),
                    None => {
                        let down = view.below as f32 - row as f32 - 0.5;
                        water::light(&scene.noise, &view, &mirror, view.mirror_rows(), at, down)
                    }
                };
                *light = point.before(behind);
            }
        }
    });
    plants::draw(&mut picture, &view, &scene.noise, seed);
    develop(&picture, &view, seed)
}

/// Exposes the film: rows from the top, darker towards the corners as behind a lens.
fn develop(picture: &[Light], view: &View, seed: u64) -> Vec<u8> {
    let film = Film::new();
    let mut random = Random::new(seed);
    let mut bytes = vec![0; view.width * view.height * 3];
    let mut lights = vec![Light::default(); view.width];
    for (index, row) in bytes.chunks_exact_mut(view.width * 3).enumerate() {
        let up = view.height - 1 - index;
        for (light, column) in lights.iter_mut().zip(picture.chunks_exact(view.height)) {
            *light = column[up];
        }
        let aside = |place: usize, size: usize| (2.0 * place as f32 / size as f32 - 1.0).powi(2);
        let vertical = aside(index, view.height);
        film.develop(&lights, row, &mut random, |column| {
            1.0 - 0.17 * (aside(column, view.width) + 0.6 * vertical)
        });
    }
    bytes
}

/// Does `work` on two halves of `columns`, each `rows` long, with two threads. It is told the half's first column.
fn by_columns<T: Send>(columns: &mut [T], rows: usize, work: impl Fn(usize, &mut [T]) + Sync) {
    let half = columns.len() / rows / 2;
    let (left, right) = columns.split_at_mut(half * rows);
    std::thread::scope(|scope| {
        scope.spawn(|| work(0, left));
        work(half, right);
    });
}

/// The sky in every direction above the horizon. It is worked out for every other row and column: nothing in it is
/// as fine as a pixel.
fn skies(noise: &Noise, view: &View) -> Vec<Light> {
    let rows = view.mirror_rows();
    let (half_rows, half_columns) = (rows / 2 + 2, view.width / 2 + 2);
    let mut coarse = vec![Light::default(); half_columns * half_rows];
    by_columns(&mut coarse, half_rows, |first, columns| {
        for (at, column) in columns.chunks_exact_mut(half_rows).enumerate() {
            let across = view.across(((first + at) * 2) as f32);
            for (row, light) in column.iter_mut().enumerate() {
                *light = sky::sky(noise, across, (row * 2) as f32 / view.focal);
            }
        }
    });
    let mut light = vec![Light::default(); view.width * rows];
    by_columns(&mut light, rows, |first, columns| {
        for (at, column) in columns.chunks_exact_mut(rows).enumerate() {
            let (left, aside) = ((first + at) / 2 * half_rows, (first + at) % 2);
            let right = left + aside * half_rows;
            for (row, light) in column.iter_mut().enumerate() {
                let (low, high) = (row / 2, row / 2 + row % 2);
                let below = coarse[left + low] + coarse[right + low];
                *light = (below + coarse[left + high] + coarse[right + high]) * 0.25;
            }
        }
    });
    light
}

/// All that stands between the camera and the sky.
struct Scene {
    terrain: Terrain,
    noise: Noise,
    view: View,
    trees: Vec<Tree>,
}

impl Scene {
    /// What a camera `eye` metres above the lake sees of ground and trees, `below` rows being below the horizon;
    /// each pixel is looked at `fine` times in both directions.
    fn points(&self, eye: f32, below: usize, rows: usize, fine: usize) -> Vec<Point> {
        let mut points = vec![Point::EMPTY; self.view.width * rows];
        by_columns(&mut points, rows, |first, columns| {
            let mut depths = vec![SKY; rows * fine];
            for (at, column) in columns.chunks_exact_mut(rows).enumerate() {
                for part in 0..fine {
                    let aside = (part as f32 + 0.5) / fine as f32 - 0.5;
                    let across = self.view.across((first + at) as f32 + aside);
                    let (focal, base) = (self.view.focal * fine as f32, (below * fine) as f32);
                    march(&self.terrain, across, eye, focal, base, &mut depths);
                    self.add(across, &depths, fine, column);
                }
                for point in column.iter_mut().filter(|point| point.cover > 0.0) {
                    point.light = point.light * (1.0 / point.cover);
                    point.cover /= (fine * fine) as f32;
                }
            }
            trees::draw(&self.trees, &self.view, (eye, below), first, columns, rows);
        });
        points
    }

    /// Adds the light of what a column's rays met.
    fn add(&self, across: f32, depths: &[f32], fine: usize, column: &mut [Point]) {
        for (point, depths) in column.iter_mut().zip(depths.chunks_exact(fine)) {
            for &depth in depths.iter().filter(|&&depth| depth < SKY) {
                point.light += ground_light(&self.terrain, &self.noise, across, depth);
                point.cover += 1.0;
                point.depth = point.depth.min(depth);
            }
        }
    }

    /// What a camera as far below the lake as ours is above it sees.
    fn mirror(&self, sky: &[Light]) -> Vec<Light> {
        let points = self.points(-EYE, 0, self.view.mirror_rows(), 1);
        points.iter().zip(sky).map(|(point, &sky)| point.before(sky)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_picture() {
        let picture = render(96, 54, 3);
        assert_eq!(picture.len(), 96 * 54 * 3);
        assert_eq!(picture, render(96, 54, 3));
        assert_ne!(picture, render(96, 54, 4));
    }

    #[test]
    fn any_size_will_do() {
        for (width, height) in [(1, 1), (2, 3), (40, 9), (9, 40)] {
            assert_eq!(render(width, height, 1).len(), width * height * 3);
        }
    }
}
