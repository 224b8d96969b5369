//! The kernels for many pixels at once. What is left over at the end of a row is done as plain does it.

use super::lanes::Lanes;
use super::plain;
use super::samples::Samples;

/// The two even bytes of a word, each in a half of it.
const EVEN: u32 = 0x00ff_00ff;

/// How far ahead of what goes past the cache to fetch, in bytes, as copies do.
const AHEAD: usize = 4096;

/// All bytes times a factor, which is in both halves of each word, `/ 255`, as [`pixel::multiply`](crate::pixel::multiply)
/// rounds: `(t + (t >> 8)) >> 8` is `(t * 257) >> 16`.
#[inline(always)]
fn multiplied<L: Lanes>(words: L, factor: L) -> L {
    let (half, ratio) = (words.like(0x0080_0080), words.like(0x0101_0101));
    let even = words.and(words.like(EVEN)).multiply_halves(factor).add_halves(half);
    let odd = words.shift_halves_right::<8>().multiply_halves(factor).add_halves(half);
    even.multiply_halves_high(ratio).or(odd.multiply_halves_high(ratio).shift_halves_left::<8>())
}

#[inline(always)]
fn laid_over<L: Lanes>(source: L, there: L) -> L {
    source.add_bytes(multiplied(there, source.alpha_in_halves().xor(source.like(EVEN))))
}

/// # Safety
/// That of [`Fetch`](super::Fetch), and the processor must have what the lanes are made of.
#[inline(always)]
pub(super) unsafe fn fetch<L: Lanes, S: Samples>(
    from: *const u8,
    to: *mut u32,
    count: usize,
    is_past_cache: bool,
) {
    // What passes the cache has to be aligned; never is what is not even aligned as words.
    let mut index = if is_past_cache { to.align_offset(size_of::<L>()).min(count) } else { 0 };
    // SAFETY: the caller's promise: `index` and what is read from there on end at `count`.
    unsafe {
        plain::fetch::<S>(from, to, index, false);
        while index + L::COUNT + S::AHEAD <= count {
            let words = S::lanes::<L>(from, index);
            if is_past_cache {
                L::prefetch(from.wrapping_add(index * S::BYTES + AHEAD));
                words.stream(to.add(index));
            } else {
                words.store(to.add(index));
            }
            index += L::COUNT;
        }
        plain::fetch::<S>(from.wrapping_add(index * S::BYTES), to.add(index), count - index, false);
    }
}

/// # Safety
/// That of [`Map`](super::Map), and the processor must have what the lanes are made of.
#[inline(always)]
pub(super) unsafe fn over<L: Lanes>(from: *const u32, to: *mut u32, count: usize) {
    let end = count - count % (2 * L::COUNT);
    // SAFETY: the caller's promise: there are whole pairs of lanes up to `end`, which is not beyond `count`.
    unsafe {
        for index in (0..end).step_by(2 * L::COUNT) {
            let (from, to) = (from.add(index), to.add(index));
            let sources = [L::load(from), L::load(from.add(L::COUNT))];
            // Most of what is blended is opaque or empty in long runs: then nothing is read there, or nothing done.
            if sources[0].and(sources[1]).is_opaque() {
                sources[0].store(to);
                sources[1].store(to.add(L::COUNT));
            } else if !sources[0].or(sources[1]).is_zero() {
                laid_over(sources[0], L::load(to)).store(to);
                laid_over(sources[1], L::load(to.add(L::COUNT))).store(to.add(L::COUNT));
            }
        }
        plain::over(from.add(end), to.add(end), count - end);
    }
}

/// # Safety
/// As [`over`].
#[inline(always)]
pub(super) unsafe fn over_with_opacity<L: Lanes>(from: *const u32, to: *mut u32, count: usize, opacity: u8) {
    let end = count - count % L::COUNT;
    // SAFETY: as for `over`.
    unsafe {
        let factor = L::splat(u32::from(opacity) * 0x0001_0001);
        for index in (0..end).step_by(L::COUNT) {
            let (source, to) = (L::load(from.add(index)), to.add(index));
            if !source.is_zero() {
                laid_over(multiplied(source, factor), L::load(to)).store(to);
            }
        }
        plain::over_with_opacity(from.add(end), to.add(end), count - end, opacity);
    }
}

/// # Safety
/// As [`over`].
#[inline(always)]
pub(super) unsafe fn multiply<L: Lanes>(from: *const u32, to: *mut u32, count: usize, opacity: u8) {
    let end = count - count % L::COUNT;
    // SAFETY: as for `over`.
    unsafe {
        let factor = L::splat(u32::from(opacity) * 0x0001_0001);
        for index in (0..end).step_by(L::COUNT) {
            multiplied(L::load(from.add(index)), factor).store(to.add(index));
        }
        plain::multiply(from.add(end), to.add(end), count - end, opacity);
    }
}

/// # Safety
/// That of [`Colour`](super::Colour), and the processor must have what the lanes are made of.
#[inline(always)]
pub(super) unsafe fn fill<L: Lanes>(to: *mut u32, count: usize, colour: u32) {
    let end = count - count % L::COUNT;
    // SAFETY: as for `over`.
    unsafe {
        let words = L::splat(colour);
        for index in (0..end).step_by(L::COUNT) {
            words.store(to.add(index));
        }
        plain::fill(to.add(end), count - end, colour);
    }
}

/// # Safety
/// As [`fill`].
#[inline(always)]
pub(super) unsafe fn fill_over<L: Lanes>(to: *mut u32, count: usize, colour: u32) {
    let end = count - count % L::COUNT;
    // SAFETY: as for `over`.
    unsafe {
        let words = L::splat(colour);
        for index in (0..end).step_by(L::COUNT) {
            let to = to.add(index);
            laid_over(words, L::load(to)).store(to);
        }
        plain::fill_over(to.add(end), count - end, colour);
    }
}
