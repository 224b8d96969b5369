//! The formats: how a pixel of each is read, one at a time, which is the definition, and many at once.

use super::lanes::Lanes;
use crate::pixel::{OPAQUE, from_rgb565, from_xrgb2101010, swap_red_blue};

/// A value times this is in both halves of a word.
const HALVES: u32 = 0x0001_0001;

/// Pixels of a format in a row.
pub(super) trait Samples {
    /// How many bytes a pixel takes.
    const BYTES: usize = 4;

    /// How many pixels beyond its own ones [`pair`](Self::pair) reads.
    const AHEAD: usize = 0;

    /// The pixel with this index, as a premultiplied word.
    ///
    /// # Safety
    /// It must be readable.
    unsafe fn pixel(from: *const u8, index: usize) -> u32;

    /// The same of twice as many as there are lanes, the first of which is at `from`.
    ///
    /// # Safety
    /// They must be readable, and [`AHEAD`](Self::AHEAD) more of them. The processor must have what the lanes are made of.
    unsafe fn pair<L: Lanes>(from: *const u8) -> (L, L);
}

/// # Safety
/// The word must be readable.
#[inline(always)]
unsafe fn word(from: *const u8, index: usize) -> u32 {
    // SAFETY: the caller's promise.
    unsafe { from.cast::<u32>().add(index).read_unaligned() }
}

/// # Safety
/// The words must be readable, and the processor must have what the lanes are made of.
#[inline(always)]
unsafe fn words<L: Lanes>(from: *const u8) -> (L, L) {
    let from = from.cast::<u32>();
    // SAFETY: the caller's promise.
    unsafe { (L::load(from), L::load(from.add(L::COUNT))) }
}

/// A function, since a closure that is called more than once may stay a function without the processor's features.
#[inline(always)]
fn part<L: Lanes>(words: L, mask: u32) -> L {
    words.and(words.like(mask))
}

macro_rules! of_words {
    ($($name:ident: $pixel:expr, $lanes:expr;)*) => {$(
        pub(super) struct $name;

        impl Samples for $name {
            #[inline(always)]
            unsafe fn pixel(from: *const u8, index: usize) -> u32 {
                // SAFETY: the caller's promise.
                $pixel(unsafe { word(from, index) })
            }

            #[inline(always)]
            unsafe fn pair<L: Lanes>(from: *const u8) -> (L, L) {
                // SAFETY: the caller's promise.
                let (first, second) = unsafe { words::<L>(from) };
                ($lanes(first), $lanes(second))
            }
        }
    )*};
}

of_words! {
    Xrgb8888: |word| word | OPAQUE, |words: L| words.or(words.like(OPAQUE));
    Argb8888: |word| word, |words| words;
    Xbgr8888: |word| swap_red_blue(word) | OPAQUE, |words: L| words.swap_red_blue().or(words.like(OPAQUE));
    Abgr8888: swap_red_blue, |words: L| words.swap_red_blue();
    Xrgb2101010: from_xrgb2101010, |words: L| {
        let red = words.shift_right::<6>().and(words.like(0x00ff_0000));
        let green = words.shift_right::<4>().and(words.like(0xff00));
        let blue = words.shift_right::<2>().and(words.like(0xff));
        red.or(green).or(blue).or(words.like(OPAQUE))
    };
}

pub(super) struct Rgb565;

impl Samples for Rgb565 {
    const BYTES: usize = 2;

    #[inline(always)]
    unsafe fn pixel(from: *const u8, index: usize) -> u32 {
        // SAFETY: the caller's promise.
        from_rgb565(unsafe { from.cast::<u16>().add(index).read_unaligned() })
    }

    #[inline(always)]
    unsafe fn pair<L: Lanes>(from: *const u8) -> (L, L) {
        // SAFETY: the caller's promise.
        let halves = unsafe { L::load_halves(from) };
        // Five bits twice are `bits * 33 >> 2`, and where the bits lie is made up for by the factor. Six bits twice are
        // `bits * 65 >> 4`, of which the upper byte is taken: a shift to the left after the upper half of a product would be
        // clearer, but the compiler makes three times as many instructions of it.
        let five = halves.like((33 << 3) * HALVES);
        let six = halves.like(65 * HALVES);
        let blue = halves.shift_halves_left::<11>().multiply_halves_high(five);
        let green = part::<L>(halves.shift_halves_right::<1>(), 0x03f0 * HALVES).multiply_halves(six);
        let red = part::<L>(halves, 0xf800 * HALVES).multiply_halves_high(five);
        blue.with_odd_bytes_of(green).interleaved(red.or(halves.like(0xff00 * HALVES)))
    }
}

pub(super) struct Rgb888;

impl Samples for Rgb888 {
    const BYTES: usize = 3;
    const AHEAD: usize = 2;

    #[inline(always)]
    unsafe fn pixel(from: *const u8, index: usize) -> u32 {
        // SAFETY: the caller's promise.
        let [blue, green, red] = unsafe { from.add(index * 3).cast::<[u8; 3]>().read() };
        u32::from_le_bytes([blue, green, red, 255])
    }

    #[inline(always)]
    unsafe fn pair<L: Lanes>(from: *const u8) -> (L, L) {
        // SAFETY: the caller's promise: two pixels ahead are six bytes.
        let (first, second) = unsafe { (L::load_triples(from), L::load_triples(from.add(L::COUNT * 3))) };
        (first.or(first.like(OPAQUE)), second.or(second.like(OPAQUE)))
    }
}
