//! YUV: the matrix that makes colours of it, and how the formats lie.
//!
//! ITU-T H.273 gives the equations: with Kr and Kb of an encoding (ITU-R BT.601-7 section 2.5.1, ITU-R BT.709-6 item 3.2),
//! Kg = 1 - Kr - Kb, and y, b and r of the range, red is y + 2 (1 - Kr) r, blue is y + 2 (1 - Kb) b, and green is what
//! makes Kr red + Kg green + Kb blue equal y. They are calculated in integers: what Y, Cb and Cr contribute, each less 128,
//! is rounded to [`FRACTION`] bits after the point; the sum of that is rounded to a whole number, and cut to 0 to 255. That is
//! the definition. It is within 0.53 of the equations, of which 0.5 are the last rounding.

use blitd_protocol::value::{ColorEncoding, ColorRange};

use super::lanes::Lanes;
use crate::pixel::OPAQUE;

/// How many bits of what is summed are after its point. So 16 bits hold -512 to 512, and each sum fits or is cut anyway.
const FRACTION: i32 = 6;

/// How many bits of a factor are after its point. Times a sample that is in the upper byte of a half, that is 15 too many:
/// those that [`Lanes::multiply_signed_halves`] drops.
const FACTOR: i32 = FRACTION + 7;

/// What Y, Cb and Cr, each less 128, are multiplied by, with [`FACTOR`] bits after the point.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrix {
    luma: i16,
    red_of_cr: i16,
    green_of_cb: i16,
    green_of_cr: i16,
    blue_of_cb: i16,
    /// What is added, a half for rounding included, with [`FRACTION`] bits after the point.
    more: i16,
}

/// A value with so many bits after the point.
const fn fixed(value: f64, bits: i32) -> i16 {
    let scaled = value * (1 << bits) as f64;
    (if scaled < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i16
}

impl Matrix {
    const fn new((kr, kb): (f64, f64), range: ColorRange) -> Self {
        let kg = 1.0 - kr - kb;
        let (luma, chroma, black) = match range {
            ColorRange::Limited => (255.0 / 219.0, 255.0 / 224.0, 16.0),
            ColorRange::Full => (1.0, 1.0, 0.0),
        };
        Self {
            luma: fixed(luma, FACTOR),
            red_of_cr: fixed(2.0 * (1.0 - kr) * chroma, FACTOR),
            green_of_cb: fixed(-2.0 * (1.0 - kb) * kb / kg * chroma, FACTOR),
            green_of_cr: fixed(-2.0 * (1.0 - kr) * kr / kg * chroma, FACTOR),
            blue_of_cb: fixed(2.0 * (1.0 - kb) * chroma, FACTOR),
            more: fixed((128.0 - black) * luma + 0.5, FRACTION),
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
        // To the nearest: the 7 bits go that a factor has more after its point than a sum.
        let part = |sample: u8, factor: i16| ((i32::from(sample) - 128) * i32::from(factor) + 64) >> 7;
        let luma = part(y, self.luma) + i32::from(self.more);
        let channel = |part: i32| ((luma + part) >> FRACTION).clamp(0, 255) as u32;
        let red = channel(part(cr, self.red_of_cr));
        let green = channel(part(cb, self.green_of_cb) + part(cr, self.green_of_cr));
        let blue = channel(part(cb, self.blue_of_cb));
        OPAQUE | (red << 16) | (green << 8) | blue
    }

    /// What Y, Cb and Cr contribute to the pixels of pairs: in each half of a word of `lumas` there are two Y, in that of
    /// `chromas` Cb and Cr, in the order of [`Lanes::load_bytes`].
    ///
    /// Left pixels and right ones are calculated apart, since both take the same of Cb and Cr.
    #[inline(always)]
    pub(super) fn parts<L: Lanes>(&self, lumas: L, chromas: L) -> Parts<L> {
        let [left, right] = upper_bytes(lumas);
        let (left, right) = (luma(left, self), luma(right, self));
        let [cb, cr] = upper_bytes(chromas);
        let red = cr.multiply_signed_halves(halves(cr, self.red_of_cr));
        let green = cb.multiply_signed_halves(halves(cb, self.green_of_cb));
        let green = green.add_halves(cr.multiply_signed_halves(halves(cr, self.green_of_cr)));
        let blue = cb.multiply_signed_halves(halves(cb, self.blue_of_cb));
        Parts { left, right, red, green, blue }
    }
}

/// What the pixels of pairs are the sums of, in halves with [`FRACTION`] bits after the point.
#[derive(Clone, Copy)]
pub(super) struct Parts<L> {
    /// What Y contributes to all channels of the left pixels, what is always added included.
    left: L,
    /// The same of the right ones.
    right: L,
    /// What Cb and Cr contribute to a channel of both.
    red: L,
    green: L,
    blue: L,
}

impl<L: Lanes> Parts<L> {
    /// The pixels in their order, as words: four times as many as there are lanes.
    #[inline(always)]
    pub(super) fn pixels(self) -> [L; 4] {
        let Self { left, right, red, green, blue } = self;
        let blue = channel(left, right, blue);
        let green = channel(left, right, green);
        let red = channel(left, right, red);
        let (first, last) = blue.interleaved_bytes(green);
        let (first_upper, last_upper) = red.interleaved_bytes(red.like(u32::MAX));
        let (first, second) = first.interleaved(first_upper);
        let (third, fourth) = last.interleaved(last_upper);
        [first, second, third, fourth]
    }
}

/// The signs of bytes: exchanging them is the same as taking 128 away.
const SIGNS: u32 = 0x8080_8080;

/// The same number in each half.
#[inline(always)]
fn halves<L: Lanes>(like: L, number: i16) -> L {
    like.like(u32::from(number.cast_unsigned()) * 0x0001_0001)
}

/// What Y contributes to all channels.
#[inline(always)]
fn luma<L: Lanes>(samples: L, matrix: &Matrix) -> L {
    samples.multiply_signed_halves(halves(samples, matrix.luma)).add_halves(halves(samples, matrix.more))
}

/// The lower bytes of halves, and the upper ones, less 128 each, as the upper bytes of halves whose lower ones are 0.
#[inline(always)]
fn upper_bytes<L: Lanes>(bytes: L) -> [L; 2] {
    let bytes = bytes.xor(bytes.like(SIGNS));
    [bytes.shift_halves_left::<8>(), bytes.and(bytes.like(0xff00_ff00))]
}

/// The bytes of left pixels and right ones, in turns.
#[inline(always)]
fn channel<L: Lanes>(left: L, right: L, part: L) -> L {
    let (left, right) = (left.add_signed_halves(part), right.add_signed_halves(part));
    left.shift_signed_halves_right::<FRACTION>().bytes_in_turns(right.shift_signed_halves_right::<FRACTION>())
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

    /// What [`Matrix::pixels`] takes, of the pixels of which the first is at `planes`.
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
        unsafe { (L::load_bytes(lumas), L::load_bytes(chromas)) }
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
        let (first, last) = unsafe { (L::load_halves(words), L::load_halves(words.add(size_of::<L>()))) };
        first.separated_bytes(last)
    }
}
