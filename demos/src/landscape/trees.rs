//! The woods on the hills: conifers, each small, each its own.

use super::colour::Light;
use super::noise::{Noise, Random, smooth};
use super::sky::{SKYLIGHT, SUNLIGHT, through_air};
use super::terrain::Terrain;
use super::view::{Point, View};

/// Where the woods begin and end, in metres of depth.
const DEPTHS: (f32, f32) = (300.0, 6200.0);

/// A tree.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tree {
    x: f32,
    depth: f32,
    foot: f32,
    size: f32,
    sunlit: f32,
    tint: f32,
}

/// The woods on this ground that the view can see, the farthest tree first.
pub(super) fn plant(terrain: &Terrain, noise: &Noise, view: &View, seed: u64) -> Vec<Tree> {
    let mut random = Random::new(seed ^ 0x7265_6573);
    let mut trees = Vec::new();
    let mut row = DEPTHS.1;
    while row > DEPTHS.0 {
        let step = 7.5 + row * 0.0009;
        let edge = view.across(view.width as f32 + 20.0) * row;
        let mut place = -edge;
        while place < edge {
            let (x, depth) = (place + step * random.unit(), row - step * random.unit());
            let (size, tint) = (random.unit(), random.unit());
            place += step;
            let ground = terrain.ground(x, depth);
            let steep = (ground.across * ground.across + ground.along * ground.along).sqrt();
            let limit = 520.0 + 260.0 * (noise.fractal(x / 500.0 + 70.0, depth / 500.0, 3) - 0.5);
            let clearing = noise.fractal(x / 260.0, depth / 260.0 + 31.0, 3);
            let wooded = smooth(1.0, 6.0, ground.height)
                * smooth(limit, limit * 0.72, ground.height)
                * smooth(0.95, 0.75, steep)
                * smooth(0.30, 0.42, clearing);
            if tint < wooded {
                let size = (9.0 + 17.0 * size) * (1.0 - 0.35 * smooth(0.0, limit, ground.height));
                let tint = tint / wooded;
                trees.push(Tree { x, depth, foot: ground.height - 1.0, size, sunlit: ground.sunlit, tint });
            }
        }
        row -= step;
    }
    trees.sort_by(|a, b| b.depth.total_cmp(&a.depth));
    trees
}

/// Draws the trees into the columns from `first` on, each `rows` long; see [`march`](super::view::march) for `eye`
/// and `below`.
pub(super) fn draw(
    trees: &[Tree],
    view: &View,
    (eye, below): (f32, usize),
    first: usize,
    points: &mut [Point],
    rows: usize,
) {
    let columns = points.len() / rows;
    for tree in trees {
        let scale = view.focal / tree.depth;
        let (centre, half) = (view.column(tree.x, tree.depth) - first as f32, tree.size * scale * 0.19);
        let (foot, tall) = (below as f32 + (tree.foot - eye) * scale, tree.size * scale);
        let left = (centre - half - 0.5).max(0.0) as usize;
        let right = ((centre + half + 1.5).max(0.0) as usize).min(columns);
        let bottom = foot.max(0.0) as usize;
        let top = ((foot + tall + 1.0).max(0.0) as usize).min(rows);
        let leaves =
            Light::new(0.030, 0.058, 0.026).towards(Light::new(0.085, 0.092, 0.026), tree.tint * tree.tint);
        let shaded = leaves * SKYLIGHT;
        let lit = leaves * SUNLIGHT * (1.5 * tree.sunlit);
        let across = tree.x / tree.depth;
        for column in left..right {
            let aside = (column as f32 - centre) / half;
            for row in bottom..top {
                let up = (row as f32 + 0.5 - foot) / tall;
                let tier = (up * 7.0 + tree.tint * 3.0 + aside.abs() * 0.6).fract();
                let wide = (1.0 - up).max(0.0) * (1.05 - 0.38 * tier);
                let cover = ((wide - aside.abs()) * half + 0.5).clamp(0.0, 1.0);
                let point = &mut points[column * rows + row];
                if cover == 0.0 || point.depth < tree.depth - 12.0 {
                    continue;
                }
                // Dark under each tier of branches and near the ground, bright to the left, where the sun is.
                let open = (0.35 + 0.65 * up) * (0.55 + 0.45 * (1.0 - tier));
                let light = shaded * (0.9 * open) + lit * (open * smooth(0.75, -0.7, aside / wide.max(0.05)));
                let light = through_air(light, across, tree.depth, tree.foot + up * tree.size);
                // What the tree stands before is there only as far as that covered the pixel.
                point.cover += (1.0 - point.cover) * cover;
                point.light = point.light.towards(light, cover / point.cover);
            }
        }
    }
}
