//! YUV: the matrix that makes colours of it, and how the formats lie.
//!
//! ITU-T H.273 gives the equations: with Kr and Kb of an encoding (ITU-R BT.601-7 section 2.5.1, ITU-R BT.709-6 item 3.2),
//! Kg = 1 - Kr - Kb, and y, b and r of the range, red is y + 2 (1 - Kr) r, blue is y + 2 (1 - Kb) b, and green is what
//! makes Kr red + Kg green + Kb blue equal y. They are calculated in integers, [`FRACTION`] bits of them after the point;
//! each sum fits 32 bits. That is the definition, and within one step of the equations.

use blitd_protocol::value::{ColorEncoding, ColorRange};

use super::lanes::Lanes;
use crate::pixel::OPAQUE;

/// How many bits of a factor are after its point: the largest, of blue in BT.709, still fits 16 bits.
const FRACTION: i32 = 13;

/// How many bits to the left samples are to be, so that the point is between the halves of a sum, and no shift is needed.
const SCALED: i32 = 16 - FRACTION;

/// Factors with [`FRACTION`] bits after the point, and for each channel what is added, a half for rounding included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrix {
    luma: i16,
    red_of_cr: i16,
    green_of_cb: i16,
    green_of_cr: i16,
    blue_of_cb: i16,
    red: i32,
    green: i32,
    blue: i32,
}

const fn factor(value: f64) -> i16 {
    let scaled = value * (1 << FRACTION) as f64;
    (if scaled < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i16
}

impl Matrix {
    const fn new((kr, kb): (f64, f64), range: ColorRange) -> Self {
        let kg = 1.0 - kr - kb;
        let (luma, chroma, black) = match range {
            ColorRange::Limited => (255.0 / 219.0, 255.0 / 224.0, 16),
            ColorRange::Full => (1.0, 1.0, 0),
        };
        let luma = factor(luma);
        let red_of_cr = factor(2.0 * (1.0 - kr) * chroma);
        let green_of_cb = factor(-2.0 * (1.0 - kb) * kb / kg * chroma);
        let green_of_cr = factor(-2.0 * (1.0 - kr) * kr / kg * chroma);
        let blue_of_cb = factor(2.0 * (1.0 - kb) * chroma);
        let base = (1 << (FRACTION - 1)) - black * luma as i32;
        Self {
            luma,
            red_of_cr,
            green_of_cb,
            green_of_cr,
            blue_of_cb,
            red: base - 128 * red_of_cr as i32,
            green: base - 128 * (green_of_cb as i32 + green_of_cr as i32),
            blue: base - 128 * blue_of_cb as i32,
        }
    }

    /// That of an encoding and a range.
    pub(crate) const fn of(encoding: ColorEncoding, range: ColorRange) -> &'static Self {
        const BT601: (f64, f64) = (0.299, 0.114);
        const BT709: (f64, f64) = (0.2126, 0.0722);
        const BT601_LIMITED: Matrix = Matrix::new(BT601, ColorRange::Limited);
        const BT601_FULL: Matrix = Matrix::new(BT601, ColorRange::Full);
        const BT709_LIMITED: Matrix = Matrix::new(BT709, ColorRange::Limited);
        const BT709_FULL: Matrix = Matrix::new(BT709, ColorRange::Full);
        match (encoding, range) {
            (ColorEncoding::Bt601, ColorRange::Limited) => &BT601_LIMITED,
            (ColorEncoding::Bt601, ColorRange::Full) => &BT601_FULL,
            (ColorEncoding::Bt709, ColorRange::Limited) => &BT709_LIMITED,
            (ColorEncoding::Bt709, ColorRange::Full) => &BT709_FULL,
        }
    }

    /// The opaque word of Y, Cb and Cr.
    #[inline(always)]
    pub(super) fn pixel(&self, [y, cb, cr]: [u8; 3]) -> u32 {
        let [y, cb, cr] = [y, cb, cr].map(i32::from);
        let luma = y * i32::from(self.luma);
        let channel = |of_cb: i16, of_cr: i16, more: i32| {
            ((luma + cb * i32::from(of_cb) + cr * i32::from(of_cr) + more) >> FRACTION).clamp(0, 255) as u32
        };
        let red = channel(0, self.red_of_cr, self.red);
        let green = channel(self.green_of_cb, self.green_of_cr, self.green);
        let blue = channel(self.blue_of_cb, 0, self.blue);
        OPAQUE | (red << 16) | (green << 8) | blue
    }

    /// The same of pairs of pixels: in each word of `lumas` there are two Y, in each of `chromas` Cb and Cr, all in halves,
    /// in the order of [`Lanes::interleaved`], and [`SCALED`].
    #[inline(always)]
    pub(super) fn pixels<L: Lanes>(&self, lumas: L, chromas: L) -> (L, L) {
        // Functions, since a closure that is called more than once may stay a function without the processor's features.
        let red = part(chromas, [0, self.red_of_cr], self.red);
        let green = part(chromas, [self.green_of_cb, self.green_of_cr], self.green);
        let blue = part(chromas, [self.blue_of_cb, 0], self.blue);
        let left = lumas.multiply_add_halves(halves(lumas, [self.luma, 0]));
        let right = lumas.multiply_add_halves(halves(lumas, [0, self.luma]));
        L::clamped(channel(left, right, blue), channel(left, right, green), channel(left, right, red))
    }
}

/// The same factors in each word.
#[inline(always)]
fn halves<L: Lanes>(like: L, [low, high]: [i16; 2]) -> L {
    like.like(u32::from(low.cast_unsigned()) | u32::from(high.cast_unsigned()) << 16)
}

/// What Cb and Cr make of a channel, and what is added.
#[inline(always)]
fn part<L: Lanes>(chromas: L, factors: [i16; 2], more: i32) -> L {
    let more = chromas.like((more << SCALED).cast_unsigned());
    chromas.multiply_add_halves(halves(chromas, factors)).add_words(more)
}

/// Of the left pixels and the right ones in turns, as halves.
#[inline(always)]
fn channel<L: Lanes>(left: L, right: L, part: L) -> L {
    left.add_words(part).upper_halves(right.add_words(part))
}

/// A row of pixels, pairs of which share their colour.
pub(super) trait Pairs {
    /// How many bytes of each plane a pixel takes.
    const BYTES: [usize; 2];

    /// Y, Cb and Cr of the pixel with this index.
    ///
    /// # Safety
    /// It must be readable in the planes, and whatever it shares with the other of its pair.
    unsafe fn pixel(planes: [*const u8; 2], index: usize) -> [u8; 3];

    /// What [`Matrix::pixels`] takes, of as many pairs as there are lanes, the first of which is at `planes`.
    ///
    /// # Safety
    /// They must be readable, and the processor must have what the lanes are made of.
    unsafe fn lanes<L: Lanes>(planes: [*const u8; 2]) -> (L, L);
}

pub(super) struct Nv12;

impl Pairs for Nv12 {
    const BYTES: [usize; 2] = [1, 1];

    #[inline(always)]
    unsafe fn pixel([lumas, chromas]: [*const u8; 2], index: usize) -> [u8; 3] {
        let pair = index & !1;
        // SAFETY: the caller's promise.
        unsafe { [lumas.add(index).read(), chromas.add(pair).read(), chromas.add(pair + 1).read()] }
    }

    #[inline(always)]
    unsafe fn lanes<L: Lanes>([lumas, chromas]: [*const u8; 2]) -> (L, L) {
        // SAFETY: the caller's promise.
        let (lumas, chromas) = unsafe { (L::load_bytes(lumas), L::load_bytes(chromas)) };
        (lumas.shift_halves_left::<SCALED>(), chromas.shift_halves_left::<SCALED>())
    }
}

pub(super) struct Yuyv;

impl Pairs for Yuyv {
    const BYTES: [usize; 2] = [2, 0];

    #[inline(always)]
    unsafe fn pixel([words, _]: [*const u8; 2], index: usize) -> [u8; 3] {
        let pair = (index & !1) * 2;
        // SAFETY: the caller's promise.
        unsafe { [words.add(index * 2).read(), words.add(pair + 1).read(), words.add(pair + 3).read()] }
    }

    #[inline(always)]
    unsafe fn lanes<L: Lanes>([words, _]: [*const u8; 2]) -> (L, L) {
        // SAFETY: the caller's promise.
        let halves = unsafe { L::load_halves(words) };
        // The lower byte of each half and the upper one: what a shift and a mask do, in one instruction.
        let scaled = 0x0001_0001 << SCALED;
        (halves.multiply_add_bytes(halves.like(scaled)), halves.multiply_add_bytes(halves.like(scaled << 8)))
    }
}
