//! Random numbers and smooth noise, the same for the same seed.

/// One octave to the next: twice as fine, and turned so that lattices do not line up.
const OCTAVE: [f32; 4] = [1.62, 1.21, -1.21, 1.62];

/// A small generator (SplitMix64): good enough for pictures, and one word of state.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    /// The generator of this seed.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to 1, 1 excluded.
    pub(super) fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1u32 << 24) as f32
    }

    /// A number between these two.
    pub(super) fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }
}

/// Value noise: random numbers on a lattice of 256x256, smooth in between.
#[derive(Debug)]
pub(super) struct Noise {
    lattice: Box<[f32; 1 << 16]>,
}

impl Noise {
    /// The noise of this seed.
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut lattice = Box::new([0.0; 1 << 16]);
        lattice.fill_with(|| random.unit());
        Self { lattice }
    }

    /// The noise, 0 to 1, and its two derivatives.
    #[inline]
    pub(super) fn slope(&self, x: f32, y: f32) -> [f32; 3] {
        let (left, top) = (floor(x), floor(y));
        let (fx, fy) = (x - left as f32, y - top as f32);
        // The lattice repeats; bytes count round it by themselves.
        let (left, top) = (left as u8, top as u8);
        let corner = |x: u8, y: u8| self.lattice[usize::from(u16::from_le_bytes([x, y]))];
        let (right, bottom) = (left.wrapping_add(1), top.wrapping_add(1));
        let fade = |t: f32| t * t * t * (t * (t * 6.0 - 15.0) + 10.0);
        let steep = |t: f32| 30.0 * t * t * (t * (t - 2.0) + 1.0);
        let (u, v) = (fade(fx), fade(fy));
        let a = corner(left, top);
        let b = corner(right, top) - a;
        let c = corner(left, bottom) - a;
        let d = corner(right, bottom) - a - b - c;
        [a + b * u + c * v + d * u * v, steep(fx) * (b + d * v), steep(fy) * (c + d * u)]
    }

    /// The noise, 0 to 1.
    pub(super) fn at(&self, x: f32, y: f32) -> f32 {
        self.slope(x, y)[0]
    }

    /// Octaves of noise added up, each half as strong as the one before; 0 to 1, most of it near the middle.
    pub(super) fn fractal(&self, x: f32, y: f32, octaves: u32) -> f32 {
        let (mut x, mut y, mut strength, mut sum, mut whole) = (x, y, 1.0, 0.0, 0.0);
        for _ in 0..octaves {
            sum += strength * self.at(x, y);
            whole += strength;
            strength *= 0.5;
            (x, y) = next_octave(x, y);
        }
        sum / whole
    }

    /// Octaves that are the weaker the steeper the ones before: ridges stay sharp and valleys smooth, as if water had
    /// run there.
    pub(super) fn eroded(&self, x: f32, y: f32, octaves: u32) -> f32 {
        let (mut x, mut y, mut strength, mut sum) = (x, y, 1.0, 0.0);
        let (mut across, mut along) = (0.0, 0.0);
        for _ in 0..octaves {
            let [value, dx, dy] = self.slope(x, y);
            across += dx;
            along += dy;
            sum += strength * value / (1.0 + across * across + along * along);
            strength *= 0.5;
            (x, y) = next_octave(x, y);
        }
        sum
    }
}

/// The whole number below; `f32::floor` is a call where the processor's oldest instructions must do.
fn floor(x: f32) -> i32 {
    let whole = x as i32;
    if (whole as f32) > x { whole.wrapping_sub(1) } else { whole }
}

fn next_octave(x: f32, y: f32) -> (f32, f32) {
    (OCTAVE[0] * x + OCTAVE[1] * y + 17.3, OCTAVE[2] * x + OCTAVE[3] * y + 9.1)
}

/// 0 below `low`, 1 above `high`, and an S in between; falling where `low` is above `high`.
pub(super) fn smooth(low: f32, high: f32, value: f32) -> f32 {
    let t = ((value - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_decides() {
        let noise = |seed| Noise::new(seed).fractal(3.7, -8.2, 6);
        assert_eq!(noise(4), noise(4));
        assert_ne!(noise(4), noise(5));
    }

    #[test]
    fn slopes_are_those_of_the_value() {
        let noise = Noise::new(1);
        let step = 1e-3;
        for place in 0..50 {
            let (x, y) = (place as f32 * 0.37, place as f32 * -0.61);
            let [_, dx, dy] = noise.slope(x, y);
            assert!((dx - (noise.at(x + step, y) - noise.at(x - step, y)) / (2.0 * step)).abs() < 0.01);
            assert!((dy - (noise.at(x, y + step) - noise.at(x, y - step)) / (2.0 * step)).abs() < 0.01);
        }
    }

    #[test]
    fn noise_is_between_0_and_1() {
        let noise = Noise::new(2);
        assert!((0..1000).all(|i| (0.0..=1.0).contains(&noise.fractal(
            i as f32 * 0.173,
            i as f32 * -1.1,
            5
        ))));
    }
}
