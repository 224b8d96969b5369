//! The kernels of scaling for x86: `plain` has what each of them does. What they read and what they write has as many
//! pixels as their table, or as each other; `Kernels` sees to it.

use std::arch::x86_64::*;

use super::axis::Span;
use super::plain;
use super::taps::{LANES, Octet, Pair};
use super::words::Words;

/// Bytes of a left and a right pixel, twice, to pairs of the same channel.
const NEIGHBOURS: [i8; 16] = [0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15];

/// The two weights of each of two entries (every second 32 bits), four times for the four channels.
const WEIGHTS: [i8; 16] = [4, 5, 4, 5, 4, 5, 4, 5, 12, 13, 12, 13, 12, 13, 12, 13];

/// The negated second weight of each of two entries, as the upper bytes of four numbers each.
const NEGATED: [i8; 16] = [-1, 6, -1, 6, -1, 6, -1, 6, -1, 14, -1, 14, -1, 14, -1, 14];

/// The top byte of each of two words, as the upper bytes of four numbers each.
const SPREAD: [i8; 16] = [-1, 3, -1, 3, -1, 3, -1, 3, -1, 7, -1, 7, -1, 7, -1, 7];

/// Bytes of four pixels, channel by channel.
const CHANNELS: [i8; 16] = [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15];

/// What is added to a sum of `(channel - 128) * weight` to have that of `channel * weight`: the weights add up to 128.
const UNBIASED: i16 = 128 * 128;

#[target_feature(enable = "sse4.1")]
#[inline]
fn constant(bytes: [i8; 16]) -> __m128i {
    // SAFETY: the array has the 16 bytes.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

/// How far ahead of the pixels that are read the next ones are asked for, in pixels. Large pictures come from memory, and
/// the processor itself does not look beyond the end of a page.
const AHEAD: usize = 512;

/// Two pixels, as 8 bytes.
///
/// # Safety
/// `index` and the one after it must be inside the row.
#[target_feature(enable = "sse4.1")]
#[inline]
unsafe fn neighbours(row: Words<'_>, index: u32) -> __m128i {
    // SAFETY: the caller's promise.
    unsafe { _mm_loadu_si64(row.address(index as usize).cast()) }
}

/// Asks for what is behind a pixel. Nothing happens where there is no memory.
#[target_feature(enable = "sse4.1")]
#[inline]
fn ahead(row: Words<'_>, index: u32) {
    _mm_prefetch::<_MM_HINT_T0>(row.wrapping_address(index as usize + AHEAD).cast());
}

/// # Safety
/// Every index of `pairs`, and the one after it, must be inside the row.
#[target_feature(enable = "ssse3,sse4.1")]
pub(super) unsafe fn across_linear_sse41(row: Words<'_>, pairs: &[Pair], out: &mut [u16]) {
    let (pairs, rest) = pairs.as_chunks::<2>();
    let (out, out_rest) = out.as_chunks_mut::<8>();
    let bias = _mm_set1_epi8(i8::MIN);
    for (out, pair) in out.iter_mut().zip(pairs) {
        ahead(row, pair[0].index);
        // SAFETY: the caller's promise; an entry of the table has 8 bytes, and 8 numbers are written to as many.
        unsafe {
            let pixels = _mm_unpacklo_epi64(neighbours(row, pair[0].index), neighbours(row, pair[1].index));
            let pixels = _mm_xor_si128(_mm_shuffle_epi8(pixels, constant(NEIGHBOURS)), bias);
            let weights = _mm_shuffle_epi8(_mm_loadu_si128(pair.as_ptr().cast()), constant(WEIGHTS));
            let mixed = _mm_add_epi16(_mm_maddubs_epi16(weights, pixels), _mm_set1_epi16(UNBIASED));
            _mm_storeu_si128(out.as_mut_ptr().cast(), mixed);
        }
    }
    plain::across_linear(row, rest, out_rest);
}

/// # Safety
/// Every index of `pairs`, and the one after it, must be inside the row.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn across_linear_avx2(row: Words<'_>, pairs: &[Pair], out: &mut [u16]) {
    let (pairs, rest) = pairs.as_chunks::<4>();
    let (out, out_rest) = out.as_chunks_mut::<16>();
    let bias = _mm256_set1_epi8(i8::MIN);
    let by_channel = _mm256_broadcastsi128_si256(constant(NEIGHBOURS));
    let spread = _mm256_broadcastsi128_si256(constant(WEIGHTS));
    for (out, pair) in out.iter_mut().zip(pairs) {
        ahead(row, pair[0].index);
        // SAFETY: the caller's promise; four entries of the table have 32 bytes, and 16 numbers are written to as many.
        unsafe {
            let low = _mm_unpacklo_epi64(neighbours(row, pair[0].index), neighbours(row, pair[1].index));
            let high = _mm_unpacklo_epi64(neighbours(row, pair[2].index), neighbours(row, pair[3].index));
            let pixels = _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(low), high);
            let pixels = _mm256_xor_si256(_mm256_shuffle_epi8(pixels, by_channel), bias);
            let weights = _mm256_shuffle_epi8(_mm256_loadu_si256(pair.as_ptr().cast()), spread);
            let mixed = _mm256_add_epi16(_mm256_maddubs_epi16(weights, pixels), _mm256_set1_epi16(UNBIASED));
            _mm256_storeu_si256(out.as_mut_ptr().cast(), mixed);
        }
    }
    plain::across_linear(row, rest, out_rest);
}

/// # Safety
/// Every span must be inside the row.
#[target_feature(enable = "ssse3,sse4.1")]
#[inline]
pub(super) unsafe fn across_mean_sse41(row: Words<'_>, spans: &[Span], out: &mut [u16]) {
    let ones = _mm_set1_epi8(1);
    for (out, span) in out.as_chunks_mut::<4>().0.iter_mut().zip(spans) {
        // SAFETY: the caller's promise; so too for all between the first and the last.
        let (first, between) =
            unsafe { (row.address(span.first as usize), row.address(span.first as usize + 1)) };
        let count = span.between as usize;
        ahead(row, span.first);
        let channels = |word: u32| _mm_cvtepu8_epi32(_mm_cvtsi32_si128(word.cast_signed()));
        let times =
            |pixel: __m128i, weight: u32| _mm_mullo_epi32(pixel, _mm_set1_epi32(weight.cast_signed()));
        let mut sum = _mm_setzero_si128();
        let fours = count - count % 4;
        for index in (0..fours).step_by(4) {
            // SAFETY: as above.
            let pixels = unsafe { _mm_loadu_si128(between.add(index).cast()) };
            let pairs = _mm_maddubs_epi16(_mm_shuffle_epi8(pixels, constant(CHANNELS)), ones);
            sum = _mm_add_epi32(sum, _mm_madd_epi16(pairs, _mm_set1_epi16(1)));
        }
        for index in fours..count {
            // SAFETY: as above.
            sum = _mm_add_epi32(sum, channels(unsafe { between.add(index).read_unaligned() }));
        }
        // SAFETY: as above.
        let (first, last) = unsafe { (first.read_unaligned(), between.add(count).read_unaligned()) };
        let ends = _mm_add_epi32(times(channels(first), span.head), times(channels(last), span.tail));
        let sum = _mm_add_epi32(times(sum, span.whole), ends);
        // Each times the reciprocal, in 64 bits: the even ones, and the odd ones.
        let reciprocal = _mm_set1_epi64x(i64::from(span.reciprocal));
        let half = _mm_set1_epi64x(1 << 32);
        let even = _mm_srli_epi64::<33>(_mm_add_epi64(_mm_mul_epu32(sum, reciprocal), half));
        let odd = _mm_mul_epu32(_mm_srli_epi64::<32>(sum), reciprocal);
        let odd = _mm_srli_epi64::<33>(_mm_add_epi64(odd, half));
        let both = _mm_or_si128(even, _mm_slli_epi64::<32>(odd));
        // SAFETY: four numbers are 8 bytes.
        unsafe { _mm_storeu_si64(out.as_mut_ptr().cast(), _mm_packus_epi32(both, both)) };
    }
}

/// # Safety
/// Every span must be inside the row.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn across_mean_avx2(row: Words<'_>, spans: &[Span], out: &mut [u16]) {
    // SAFETY: the caller's promise. Most spans are too short for anything wider.
    unsafe { across_mean_sse41(row, spans, out) };
}

/// How many words are before what is aligned, where they are to pass the cache and can: else none.
fn unaligned<T>(out: *mut u32, count: usize, is_past_cache: bool) -> (usize, bool) {
    match out.align_offset(size_of::<T>()) {
        head if is_past_cache && head < count => (head, true),
        _ => (0, false),
    }
}

/// Two parts of scaled rows, the second one with a weight, to whole values. What is multiplied is a 15-bit number with its
/// sign: `((first - second) * -weight * 256 + 2^14) >> 15`. So a weight of 128 fits as well.
#[target_feature(enable = "ssse3,sse4.1")]
#[inline]
fn whole_sse41(first: __m128i, second: __m128i, negated: __m128i) -> __m128i {
    let more = _mm_mulhrs_epi16(_mm_sub_epi16(first, second), negated);
    _mm_srli_epi16::<7>(_mm_add_epi16(_mm_add_epi16(first, more), _mm_set1_epi16(64)))
}

/// As [`whole_sse41`].
#[target_feature(enable = "avx2")]
#[inline]
fn whole_avx2(first: __m256i, second: __m256i, negated: __m256i) -> __m256i {
    let more = _mm256_mulhrs_epi16(_mm256_sub_epi16(first, second), negated);
    _mm256_srli_epi16::<7>(_mm256_add_epi16(_mm256_add_epi16(first, more), _mm256_set1_epi16(64)))
}

/// # Safety
/// As many words must be writable as both rows have pixels.
#[target_feature(enable = "ssse3,sse4.1")]
pub(super) unsafe fn down_linear_sse41(
    upper: &[u16],
    lower: &[u16],
    weight: u8,
    out: *mut u32,
    is_past_cache: bool,
) {
    let count = upper.len() / 4;
    let (head, is_past_cache) = unaligned::<__m128i>(out, count, is_past_cache);
    let end = count - (count - head) % 4;
    let negated = _mm_set1_epi16(-(i16::from(weight) << 8));
    let part = |row: &[u16], at: usize| {
        // SAFETY: up to `end` there are four pixels each, of 32 bytes.
        unsafe { _mm_loadu_si128(row.as_ptr().add(at).cast()) }
    };
    // SAFETY: the caller's promise; rows have four numbers a pixel, and what is streamed is aligned.
    unsafe {
        plain::down_linear(&upper[..head * 4], &lower[..head * 4], weight, out, false);
        for index in (head..end).step_by(4) {
            let whole = |at: usize| whole_sse41(part(upper, at), part(lower, at), negated);
            let packed = _mm_packus_epi16(whole(index * 4), whole(index * 4 + 8));
            let out = out.add(index).cast();
            if is_past_cache { _mm_stream_si128(out, packed) } else { _mm_storeu_si128(out, packed) }
        }
        plain::down_linear(&upper[end * 4..], &lower[end * 4..], weight, out.add(end), false);
    }
}

/// # Safety
/// As many words must be writable as both rows have pixels.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn down_linear_avx2(
    upper: &[u16],
    lower: &[u16],
    weight: u8,
    out: *mut u32,
    is_past_cache: bool,
) {
    let count = upper.len() / 4;
    let (head, is_past_cache) = unaligned::<__m256i>(out, count, is_past_cache);
    let end = count - (count - head) % 8;
    let negated = _mm256_set1_epi16(-(i16::from(weight) << 8));
    let part = |row: &[u16], at: usize| {
        // SAFETY: up to `end` there are eight pixels each, of 64 bytes.
        unsafe { _mm256_loadu_si256(row.as_ptr().add(at).cast()) }
    };
    // SAFETY: the caller's promise; rows have four numbers a pixel, and what is streamed is aligned.
    unsafe {
        plain::down_linear(&upper[..head * 4], &lower[..head * 4], weight, out, false);
        for index in (head..end).step_by(8) {
            let whole = |at: usize| whole_avx2(part(upper, at), part(lower, at), negated);
            store_avx2(whole(index * 4), whole(index * 4 + 16), out.add(index), is_past_cache);
        }
        plain::down_linear(&upper[end * 4..], &lower[end * 4..], weight, out.add(end), false);
    }
}

/// Writes eight pixels of 16-bit numbers.
///
/// # Safety
/// They must be writable, and aligned where they are to pass the cache.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn store_avx2(first: __m256i, second: __m256i, out: *mut u32, is_past_cache: bool) {
    // Halves are packed for themselves, so that the middle quarters are exchanged.
    let packed = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packus_epi16(first, second));
    // SAFETY: the caller's promise.
    unsafe {
        if is_past_cache {
            _mm256_stream_si256(out.cast(), packed);
        } else {
            _mm256_storeu_si256(out.cast(), packed);
        }
    }
}

/// Two rows and their weights in a form that is less than 128: all of the first one is half of it twice.
fn halved([upper, lower]: [Words<'_>; 2], weight: u8) -> ([Words<'_>; 2], i16) {
    let (lower, weight) = if weight == 0 { (upper, 64) } else { (lower, weight) };
    let weight = i16::from(weight);
    ([upper, lower], (128 - weight) | (weight << 8))
}

/// # Safety
/// Every index of `pairs`, and the one after it, must be inside both rows, and as many words writable.
#[target_feature(enable = "ssse3,sse4.1")]
pub(super) unsafe fn both_linear_sse41(
    rows: [Words<'_>; 2],
    weight: u8,
    pairs: &[Pair],
    _: &[Octet],
    out: *mut u32,
    is_past_cache: bool,
) {
    let ([upper, lower], weights) = halved(rows, weight);
    let weights = _mm_set1_epi16(weights);
    let count = pairs.len();
    let (head, is_past_cache) = unaligned::<__m128i>(out, count, is_past_cache);
    let end = count - (count - head) % 4;
    // SAFETY: the caller's promise; two entries of the table have 16 bytes, and what is streamed is aligned.
    unsafe {
        let between = |pair: &Pair| {
            let (upper, lower) = (neighbours(upper, pair.index), neighbours(lower, pair.index));
            _mm_maddubs_epi16(_mm_unpacklo_epi8(upper, lower), weights)
        };
        let two = |pairs: &[Pair]| {
            let (first, second) = (between(&pairs[0]), between(&pairs[1]));
            let negated = _mm_shuffle_epi8(_mm_loadu_si128(pairs.as_ptr().cast()), constant(NEGATED));
            let (left, right) = (_mm_unpacklo_epi64(first, second), _mm_unpackhi_epi64(first, second));
            whole_sse41(left, right, negated)
        };
        plain::both_linear(rows, weight, &pairs[..head], &[], out, false);
        for (pairs, index) in pairs[head..].as_chunks::<4>().0.iter().zip((head..end).step_by(4)) {
            ahead(upper, pairs[0].index);
            ahead(lower, pairs[0].index);
            let packed = _mm_packus_epi16(two(&pairs[..2]), two(&pairs[2..]));
            let out = out.add(index).cast();
            if is_past_cache { _mm_stream_si128(out, packed) } else { _mm_storeu_si128(out, packed) }
        }
        plain::both_linear(rows, weight, &pairs[end..], &[], out.add(end), false);
    }
}

/// # Safety
/// Every index of `pairs`, and the one after it, must be inside both rows, and as many words writable. What is in `octets`
/// must be the same.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn both_linear_avx2(
    rows: [Words<'_>; 2],
    weight: u8,
    pairs: &[Pair],
    octets: &[Octet],
    out: *mut u32,
    is_past_cache: bool,
) {
    if octets.is_empty() {
        // SAFETY: the caller's promise; whoever has AVX2 has the others.
        return unsafe { both_linear_sse41(rows, weight, pairs, octets, out, is_past_cache) };
    }
    let ([upper, lower], weights) = halved(rows, weight);
    let weights = _mm256_set1_epi16(weights);
    let spread = _mm256_broadcastsi128_si256(constant(SPREAD));
    for octet in octets {
        ahead(upper, octet.starts[0]);
        ahead(lower, octet.starts[0]);
        // SAFETY: the caller's promise: eight words from each start on are inside the rows, and eight are writable.
        unsafe {
            let four = |lanes: &[u32; LANES], start: u32| {
                let lanes = _mm256_loadu_si256(lanes.as_ptr().cast());
                let pixels = |row: Words<'_>| {
                    let pixels = _mm256_loadu_si256(row.address(start as usize).cast());
                    _mm256_permutevar8x32_epi32(pixels, lanes)
                };
                let (upper, lower) = (pixels(upper), pixels(lower));
                let left = _mm256_maddubs_epi16(_mm256_unpacklo_epi8(upper, lower), weights);
                let right = _mm256_maddubs_epi16(_mm256_unpackhi_epi8(upper, lower), weights);
                whole_avx2(left, right, _mm256_shuffle_epi8(lanes, spread))
            };
            let (first, second) =
                (four(&octet.lanes[0], octet.starts[0]), four(&octet.lanes[1], octet.starts[1]));
            let out = out.add(octet.place as usize);
            store_avx2(first, second, out, is_past_cache && out.cast::<__m256i>().is_aligned());
        }
    }
}

// The compiler makes of these loops what they should be, once it may use the instructions.

#[target_feature(enable = "ssse3,sse4.1")]
pub(super) fn accumulate_sse41(row: &[u16], weight: u32, sums: &mut [u32]) {
    plain::accumulate(row, weight, sums);
}

#[target_feature(enable = "avx2")]
pub(super) fn accumulate_avx2(row: &[u16], weight: u32, sums: &mut [u32]) {
    plain::accumulate(row, weight, sums);
}

#[target_feature(enable = "ssse3,sse4.1")]
pub(super) fn down_mean_sse41(sums: &[u32], reciprocal: u32, out: &mut [u32]) {
    plain::down_mean(sums, reciprocal, out);
}

#[target_feature(enable = "avx2")]
pub(super) fn down_mean_avx2(sums: &[u32], reciprocal: u32, out: &mut [u32]) {
    plain::down_mean(sums, reciprocal, out);
}
