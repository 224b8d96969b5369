//! What stands on the near shore: two pines, grass, stones. The only part drawn with strokes.

use libm::{cosf, powf, sinf};

use super::colour::Light;
use super::noise::{Noise, Random, smooth};
use super::view::View;

/// The light of needles and grass where the sun meets them, and where it does not.
const NEEDLES: [Light; 2] = [Light::new(0.30, 0.235, 0.070), Light::new(0.010, 0.019, 0.013)];
const GRASS: [Light; 2] = [Light::new(0.78, 0.50, 0.14), Light::new(0.014, 0.020, 0.010)];
const BARK: [Light; 2] = [Light::new(0.34, 0.19, 0.10), Light::new(0.018, 0.015, 0.014)];

/// A place in the picture, in pixels to the right and up.
type Place = (f32, f32);

/// The picture as something to draw on.
struct Canvas<'a> {
    picture: &'a mut [Light],
    width: usize,
    height: usize,
}

impl Canvas<'_> {
    /// Draws a line that is `from` wide at its start and `to` at its end.
    fn stroke(&mut self, (x0, y0): Place, (x1, y1): Place, (from, to): (f32, f32), light: Light) {
        let reach = from.max(to) * 0.5 + 1.0;
        let range = |low: f32, high: f32, end: usize| {
            ((low - reach).max(0.0) as usize)..((high + reach + 1.0).max(0.0) as usize).min(end)
        };
        let (dx, dy) = (x1 - x0, y1 - y0);
        let squared = (dx * dx + dy * dy).max(1e-6);
        let rows = range(y0.min(y1), y0.max(y1), self.height);
        for column in range(x0.min(x1), x0.max(x1), self.width) {
            for row in rows.clone() {
                let (px, py) = (column as f32 - x0, row as f32 - y0);
                let along = ((px * dx + py * dy) / squared).clamp(0.0, 1.0);
                let away = ((px - along * dx).powi(2) + (py - along * dy).powi(2)).sqrt();
                let half = (from + (to - from) * along) * 0.5;
                // Lines thinner than a pixel cover it in part.
                let cover = (half + 0.5 - away).clamp(0.0, 1.0).min(2.0 * half);
                if cover > 0.0 {
                    let point = &mut self.picture[column * self.height + row];
                    *point = point.towards(light, cover);
                }
            }
        }
    }
}

/// Draws all of it.
pub(super) fn draw(picture: &mut [Light], view: &View, noise: &Noise, seed: u64) {
    let mut canvas = Canvas { picture, width: view.width, height: view.height };
    let mut random = Random::new(seed ^ 0x706c_616e);
    let (wide, tall) = (view.width as f32, view.height as f32);
    let bank = |x: f32| {
        let part = x / wide;
        let rise = 0.11 * smooth(0.42, -0.05, part) + 0.075 * smooth(0.66, 1.05, part);
        (rise - 0.012 + 0.030 * noise.fractal(part * 7.0, 5.5, 4)) * tall
    };
    shore(&mut canvas, noise, bank);
    let detail = (tall / 1080.0).max(0.3);
    for (at, size, lean) in
        [(0.163, 0.52, 0.006), (0.015, 0.99, 0.02), (0.085, 0.84, -0.012), (0.972, 0.62, -0.01)]
    {
        let foot = (at * wide, bank(at * wide) - 0.02 * tall);
        pine(&mut canvas, &mut random, foot, size * tall, lean, detail);
    }
    grass(&mut canvas, &mut random, noise, bank, detail);
}

/// The ground below the bank's edge, dark, with a little structure.
fn shore(canvas: &mut Canvas<'_>, noise: &Noise, bank: impl Fn(f32) -> f32) {
    for (at, column) in canvas.picture.chunks_exact_mut(canvas.height).enumerate() {
        let edge = bank(at as f32);
        for (row, point) in column.iter_mut().enumerate().take((edge + 1.0).max(0.0) as usize) {
            let rough = noise.fractal(at as f32 / 21.0, row as f32 / 9.0, 4);
            let earth = GRASS[1].towards(Light::new(0.075, 0.060, 0.030), rough * rough);
            *point = point.towards(earth, (edge - row as f32).clamp(0.0, 1.0));
        }
    }
}

/// A pine: whorls of branches round a trunk, twigs along each branch, needles on each twig.
fn pine(canvas: &mut Canvas<'_>, random: &mut Random, foot: Place, size: f32, lean: f32, detail: f32) {
    let trunk = |part: f32| (foot.0 + lean * size * part * part, foot.1 + size * part);
    let steps = 24;
    for step in 0..steps {
        let (low, high) = (step as f32 / steps as f32, (step + 1) as f32 / steps as f32);
        let thick = |part: f32| size * 0.020 * (1.0 - part) + 0.8;
        canvas.stroke(trunk(low), trunk(high), (thick(low), thick(high)), BARK[1]);
        let (a, b) = (trunk(low), trunk(high));
        let aside = thick(low) * 0.32;
        canvas.stroke(
            (a.0 - aside, a.1),
            (b.0 - aside, b.1),
            (thick(low) * 0.2, thick(high) * 0.2),
            BARK[0] * 0.6,
        );
    }
    let mut part: f32 = 0.11;
    while part < 0.995 {
        let reach = size * (0.185 * powf(1.0 - part, 0.75) + 0.008) * smooth(-0.12, 0.24, part);
        for _ in 0..9 {
            let turn = random.between(0.0, std::f32::consts::TAU);
            let start = trunk(part + random.between(-0.008, 0.008));
            let length = reach * random.between(0.55, 1.08);
            // Branches that come towards the camera or go away from it look shorter and hang lower.
            branch(
                canvas,
                random,
                start,
                (length * cosf(turn), length * (0.16 * sinf(turn) - 0.10)),
                turn,
                detail,
            );
        }
        part += random.between(0.014, 0.024);
    }
}

fn branch(canvas: &mut Canvas<'_>, random: &mut Random, start: Place, reach: Place, turn: f32, detail: f32) {
    let length = (reach.0 * reach.0 + reach.1 * reach.1).sqrt();
    let droop = random.between(0.10, 0.30) * length;
    let at = |part: f32| {
        let sag = droop * (part * part - 0.75 * part * part * part) * 1.6;
        (start.0 + reach.0 * part, start.1 + reach.1 * part - sag)
    };
    let twigs = (length / (3.4 * detail)).ceil().clamp(3.0, 60.0) as usize;
    let mut before = start;
    for twig in 1..=twigs {
        let part = twig as f32 / twigs as f32;
        let here = at(part);
        canvas.stroke(before, here, (1.6 * detail, 1.2 * detail), BARK[1]);
        before = here;
        // The sun is to the left: it meets the outer twigs of that side.
        let sunny = smooth(0.2, -0.9, cosf(turn) * part) * random.unit();
        let light = NEEDLES[1].towards(NEEDLES[0], 0.85 * sunny * sunny);
        for _ in 0..5 {
            let out = random.between(2.5, 10.5) * detail * (1.25 - 0.6 * part);
            let slant = random.between(-0.9, 0.9) * out + 0.45 * out * cosf(turn);
            let end = (here.0 + slant, here.1 - out * random.between(-0.25, 0.95));
            canvas.stroke(here, end, (1.5 * detail, 0.6 * detail), light * random.between(0.7, 1.25));
        }
    }
}

/// Blades of grass along the bank, the nearer the longer, with sunlit tips.
fn grass(
    canvas: &mut Canvas<'_>,
    random: &mut Random,
    noise: &Noise,
    bank: impl Fn(f32) -> f32,
    detail: f32,
) {
    let blades = canvas.width as f32 / detail * 6.0;
    for blade in 0..blades as usize {
        let near = blade as f32 / blades;
        let x = random.between(-10.0, canvas.width as f32 + 10.0);
        let edge = bank(x);
        let foot = edge * (1.0 - near) - 4.0 * detail;
        let tuft = noise.fractal(x / (60.0 * detail), near * 6.0, 3);
        let tall = detail * (6.0 + 44.0 * tuft * tuft * (0.5 + near)) * random.between(0.5, 1.3);
        let tall = tall * smooth(-2.0, 22.0 * detail, edge);
        let bend = tall
            * (0.55 * (noise.at(x / (170.0 * detail), near * 4.0 + 8.0) - 0.35) + random.between(-0.2, 0.2));
        let sunny = random.unit().powi(2) * smooth(0.25, 0.65, tuft);
        let mut before = (x, foot);
        for step in 1..=3 {
            let part = step as f32 / 3.0;
            let here = (x + bend * part * part, foot + tall * part * (1.0 - 0.15 * part));
            let light = GRASS[1].towards(GRASS[0], (0.07 + 0.93 * sunny) * part * part);
            let thick = 1.7 * detail * (1.15 - part);
            canvas.stroke(before, here, (thick + 0.4 * detail, thick), light);
            before = here;
        }
    }
}
