//! The kernels for many pixels at once. What is left over at the end of a row is done as plain does it.

use super::lanes::Lanes;
use super::plain;
use super::samples::Samples;
use super::yuv::{Matrix, Pairs, Parts};
use crate::pixel;
use crate::rows::Rows;

/// The two even bytes of a word, each in a half of it.
const EVEN: u32 = 0x00ff_00ff;

/// How far ahead of what goes past the cache to fetch, in bytes, as copies do: in the next page.
const AHEAD: usize = 4096;

/// All bytes times a factor, which is in both halves of each word, `/ 255`, as [`pixel::multiply`](crate::pixel::multiply)
/// rounds. Of the even bytes, `(t + (t >> 8)) >> 8` is `(t * 257) >> 16`.
#[inline(always)]
fn multiplied<L: Lanes>(words: L, factor: L) -> L {
    let half = words.like(0x0080_0080);
    let even = words.and(words.like(EVEN)).multiply_halves(factor).add_halves(half);
    let odd = words.shift_halves_right::<8>().multiply_halves(factor).add_halves(half);
    let even = even.multiply_halves_high(words.like(0x0101_0101));
    even.with_odd_bytes_of(odd.add_halves(odd.shift_halves_right::<8>()))
}

/// 255 less alpha, in both halves of each word.
#[inline(always)]
fn transparency<L: Lanes>(words: L) -> L {
    words.alpha_in_halves().xor(words.like(EVEN))
}

/// Writes twice as many pixels as there are lanes.
///
/// # Safety
/// They must be writable, and aligned as all of them together where they go past the cache.
#[inline(always)]
unsafe fn put<L: Lanes>((first, second): (L, L), to: *mut u32, is_past_cache: bool) {
    // SAFETY: the caller's promise.
    unsafe {
        if is_past_cache {
            first.stream(to);
            second.stream(to.add(L::COUNT));
        } else {
            first.store(to);
            second.store(to.add(L::COUNT));
        }
    }
}

/// Asks for one line of what is written next past the cache, where these are the first `count` words of a page: not for the
/// line, which is written as a whole, but for the page, whose place has to be looked up. Stores wait for that, and what is
/// calculated between them is too much for the processor to go on beyond them meanwhile. Memory that is not cached is not read.
#[inline(always)]
fn ask_for_page<L: Lanes>(to: *mut u32, count: usize) {
    if to.addr() % AHEAD < count * size_of::<u32>() {
        L::prefetch(to.wrapping_byte_add(AHEAD).cast());
    }
}

/// # Safety
/// That of [`Fetch`](super::Fetch), and the processor must have what the lanes are made of.
#[inline(always)]
pub(super) unsafe fn fetch<L: Lanes, S: Samples>(
    mut from: *const u8,
    mut to: *mut u32,
    mut count: usize,
    is_past_cache: bool,
) {
    let pair = 2 * L::COUNT;
    // What passes the cache has to be aligned; never is what is not even aligned as words.
    let start = if is_past_cache { to.align_offset(2 * size_of::<L>()).min(count) } else { 0 };
    // SAFETY: the caller's promise: what has been gone on by was at most what was left of `count`.
    unsafe {
        plain::fetch::<S>(from, to, start, false);
        (from, to, count) = (from.add(start * S::BYTES), to.add(start), count - start);
        while count >= pair + S::AHEAD {
            if is_past_cache {
                L::prefetch(from.wrapping_add(AHEAD));
                ask_for_page::<L>(to, pair);
            }
            put(S::pair::<L>(from), to, is_past_cache);
            (from, to, count) = (from.add(pair * S::BYTES), to.add(pair), count - pair);
        }
        plain::fetch::<S>(from, to, count, false);
    }
}

/// # Safety
/// That of [`Over`](super::Over), and the processor must have what the lanes are made of.
#[inline(always)]
pub(super) unsafe fn over<L: Lanes>(rows: Rows) {
    let pair = 2 * L::COUNT;
    // SAFETY: the caller's promise: a row has `length` bytes, and so many words, pairs of lanes and what is left over.
    unsafe {
        rows.each(|from, to| {
            let (from, to) = (from.cast::<u32>(), to.cast::<u32>());
            let count = rows.length / size_of::<u32>();
            let end = count - count % pair;
            for index in (0..end).step_by(pair) {
                let (from, to) = (from.add(index), to.add(index));
                let (first, second) = (L::load(from), L::load(from.add(L::COUNT)));
                let transparencies = (transparency(first), transparency(second));
                // Most of what is blended is opaque or empty in long runs: then nothing is read there, or nothing done.
                if transparencies.0.or(transparencies.1).is_zero() {
                    first.store(to);
                    second.store(to.add(L::COUNT));
                } else if !first.or(second).is_zero() {
                    let there = (L::load(to), L::load(to.add(L::COUNT)));
                    first.add_bytes(multiplied(there.0, transparencies.0)).store(to);
                    second.add_bytes(multiplied(there.1, transparencies.1)).store(to.add(L::COUNT));
                }
            }
            plain::over_row(from.add(end), to.add(end), count - end);
        });
    }
}

/// # Safety
/// As [`over`].
#[inline(always)]
pub(super) unsafe fn over_with_opacity<L: Lanes>(rows: Rows, opacity: u8) {
    // SAFETY: as for `over`.
    unsafe {
        let factor = L::splat(u32::from(opacity) * 0x0001_0001);
        rows.each(|from, to| {
            let (from, to) = (from.cast::<u32>(), to.cast::<u32>());
            let count = rows.length / size_of::<u32>();
            let end = count - count % L::COUNT;
            for index in (0..end).step_by(L::COUNT) {
                let (source, to) = (L::load(from.add(index)), to.add(index));
                if !source.is_zero() {
                    let source = multiplied(source, factor);
                    source.add_bytes(multiplied(L::load(to), transparency(source))).store(to);
                }
            }
            plain::over_row_with_opacity(from.add(end), to.add(end), count - end, opacity);
        });
    }
}

/// # Safety
/// As [`over`].
#[inline(always)]
pub(super) unsafe fn over_opaque_with_opacity<L: Lanes>(rows: Rows, opacity: u8) {
    // SAFETY: as for `over`.
    unsafe {
        let opaque = L::splat(pixel::OPAQUE);
        let factor = L::splat(u32::from(opacity) * 0x0001_0001);
        let rest = L::splat(u32::from(255 - opacity) * 0x0001_0001);
        rows.each(|from, to| {
            let (from, to) = (from.cast::<u32>(), to.cast::<u32>());
            let count = rows.length / size_of::<u32>();
            let end = count - count % L::COUNT;
            for index in (0..end).step_by(L::COUNT) {
                let (source, to) = (L::load(from.add(index)).or(opaque), to.add(index));
                multiplied(source, factor).add_bytes(multiplied(L::load(to), rest)).store(to);
            }
            plain::over_opaque_row(from.add(end), to.add(end), count - end, opacity);
        });
    }
}

/// # Safety
/// That of [`FetchPairs`](super::FetchPairs), and the processor must have what the lanes are made of.
#[inline(always)]
pub(super) unsafe fn fetch_pairs<L: Lanes, P: Pairs>(
    planes: [*const u8; 2],
    to: *mut u32,
    count: usize,
    matrix: &Matrix,
    is_past_cache: bool,
) {
    let step = 4 * L::COUNT;
    // Only from an even pixel on: where that is not aligned, nothing is.
    let aligned = if is_past_cache { to.align_offset(2 * size_of::<L>()) } else { 0 };
    let is_past_cache = is_past_cache && aligned % 2 == 0 && aligned < count;
    let start = if is_past_cache { aligned } else { 0 };
    // SAFETY: the caller's promise: all of these are even, and at most `count`. What is before `start`, and what is left over
    // at the end, is less than a step, and is made together with some of the others, which come out the same twice.
    unsafe {
        let at = |pixel: usize| (after::<P>(planes, pixel), to.add(pixel));
        let last = count & !1;
        if last < step {
            return plain::fetch_pairs::<P>(planes, to, count, matrix, false);
        }
        let steps = (last - start) / step;
        if is_past_cache {
            if start > 0 {
                pairs::<L, P, false>(at(0), 1, matrix);
            }
            pairs::<L, P, true>(at(start), steps, matrix);
        } else {
            pairs::<L, P, false>(at(start), steps, matrix);
        }
        if start + steps * step < last {
            pairs::<L, P, false>(at(last - step), 1, matrix);
        }
        plain::fetch_pairs::<P>(at(last).0, at(last).1, count - last, matrix, false);
    }
}

/// The same of `steps` times four times as many pixels as there are lanes.
///
/// # Safety
/// As [`fetch_pairs`]; what goes past the cache must be aligned as [`put`] says.
#[inline(always)]
unsafe fn pairs<L: Lanes, P: Pairs, const IS_PAST_CACHE: bool>(
    (mut planes, mut to): ([*const u8; 2], *mut u32),
    steps: usize,
    matrix: &Matrix,
) {
    let step = 4 * L::COUNT;
    if steps == 0 {
        return;
    }
    // SAFETY: the caller's promise; behind the last step nothing is read.
    unsafe {
        let mut next = parts::<L, P, IS_PAST_CACHE>(planes, matrix);
        for left in (0..steps).rev() {
            // What the next pixels are made of is begun before these are finished, so that neither has to wait.
            let now = next;
            planes = after::<P>(planes, step);
            if left > 0 {
                next = parts::<L, P, IS_PAST_CACHE>(planes, matrix);
            }
            if IS_PAST_CACHE {
                ask_for_page::<L>(to, step);
            }
            let [first, second, third, fourth] = now.pixels();
            put((first, second), to, IS_PAST_CACHE);
            put((third, fourth), to.add(step / 2), IS_PAST_CACHE);
            to = to.add(step);
        }
    }
}

/// What the pixels of a step are made of, of which the first is at `planes`.
///
/// # Safety
/// That of [`Pairs::lanes`].
#[inline(always)]
unsafe fn parts<L: Lanes, P: Pairs, const IS_PAST_CACHE: bool>(
    planes: [*const u8; 2],
    matrix: &Matrix,
) -> Parts<L> {
    if IS_PAST_CACHE {
        L::prefetch(planes[0].wrapping_add(AHEAD));
        if P::BYTES[1] > 0 {
            L::prefetch(planes[1].wrapping_add(AHEAD));
        }
    }
    // SAFETY: the caller's promise.
    let (lumas, chromas) = unsafe { P::lanes::<L>(planes) };
    matrix.parts(lumas, chromas)
}

/// The same planes an even number of pixels further.
#[inline(always)]
fn after<P: Pairs>([first, second]: [*const u8; 2], pixels: usize) -> [*const u8; 2] {
    let [bytes, of_second] = P::BYTES;
    [first.wrapping_add(pixels * bytes), second.wrapping_add(pixels * of_second)]
}

/// # Safety
/// That of [`Multiply`](super::Multiply), and the processor must have what the lanes are made of.
#[inline(always)]
pub(super) unsafe fn multiply<L: Lanes>(words: *mut u32, count: usize, opacity: u8) {
    let end = count - count % L::COUNT;
    // SAFETY: the caller's promise: there are whole lanes up to `end`, which is not beyond `count`.
    unsafe {
        let factor = L::splat(u32::from(opacity) * 0x0001_0001);
        for index in (0..end).step_by(L::COUNT) {
            let words = words.add(index);
            multiplied(L::load(words), factor).store(words);
        }
        plain::multiply(words.add(end), count - end, opacity);
    }
}

/// # Safety
/// That of [`Colour`](super::Colour), and the processor must have what the lanes are made of.
#[inline(always)]
pub(super) unsafe fn fill<L: Lanes>(to: *mut u32, count: usize, colour: u32) {
    let end = count - count % L::COUNT;
    // SAFETY: as for `multiply`.
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
    // SAFETY: as for `multiply`.
    unsafe {
        let words = L::splat(colour);
        let transparency = transparency(words);
        for index in (0..end).step_by(L::COUNT) {
            let to = to.add(index);
            words.add_bytes(multiplied(L::load(to), transparency)).store(to);
        }
        plain::fill_over(to.add(end), count - end, colour);
    }
}
