//! A pixel at a time: what every kernel is defined by.

use super::Kernels;
use super::samples::{Abgr8888, Argb8888, Rgb565, Rgb888, Samples, Xbgr8888, Xrgb8888, Xrgb2101010};
use super::yuv::{Matrix, Nv12, Pairs, Yuyv};
use crate::pixel;
use crate::rows::Rows;

pub(super) static KERNELS: Kernels = Kernels {
    xrgb8888: fetch::<Xrgb8888>,
    argb8888: fetch::<Argb8888>,
    xbgr8888: fetch::<Xbgr8888>,
    abgr8888: fetch::<Abgr8888>,
    rgb565: fetch::<Rgb565>,
    rgb888: fetch::<Rgb888>,
    xrgb2101010: fetch::<Xrgb2101010>,
    nv12: fetch_pairs::<Nv12>,
    yuyv: fetch_pairs::<Yuyv>,
    multiply,
    over,
    over_with_opacity,
    over_opaque_with_opacity,
    fill,
    fill_over,
};

/// # Safety
/// That of [`Fetch`](super::Fetch).
#[inline(always)]
pub(super) unsafe fn fetch<S: Samples>(from: *const u8, to: *mut u32, count: usize, _is_past_cache: bool) {
    for index in 0..count {
        // SAFETY: the caller's promise.
        unsafe { to.add(index).write_unaligned(S::pixel(from, index)) };
    }
}

/// # Safety
/// That of [`FetchPairs`](super::FetchPairs).
#[inline(always)]
pub(super) unsafe fn fetch_pairs<P: Pairs>(
    planes: [*const u8; 2],
    to: *mut u32,
    count: usize,
    matrix: &Matrix,
    _is_past_cache: bool,
) {
    for index in 0..count {
        // SAFETY: the caller's promise.
        unsafe { to.add(index).write_unaligned(matrix.pixel(P::pixel(planes, index))) };
    }
}

/// # Safety
/// `count` words must be readable at `from`, and readable and writable at `to`.
#[inline(always)]
unsafe fn combine(from: *const u32, to: *mut u32, count: usize, operate: impl Fn(u32, u32) -> u32) {
    for index in 0..count {
        // SAFETY: the caller's promise.
        unsafe {
            let (from, to) = (from.add(index), to.add(index));
            to.write_unaligned(operate(from.read_unaligned(), to.read_unaligned()));
        }
    }
}

/// # Safety
/// That of [`combine`].
#[inline(always)]
pub(super) unsafe fn over_row(from: *const u32, to: *mut u32, count: usize) {
    // SAFETY: the caller's promise.
    unsafe { combine(from, to, count, pixel::over) };
}

/// # Safety
/// That of [`combine`].
#[inline(always)]
pub(super) unsafe fn over_row_with_opacity(from: *const u32, to: *mut u32, count: usize, opacity: u8) {
    // SAFETY: the caller's promise.
    unsafe { combine(from, to, count, |source, there| pixel::over(pixel::multiply(source, opacity), there)) };
}

/// # Safety
/// That of [`Over`](super::Over).
unsafe fn over(rows: Rows) {
    // SAFETY: the caller's promise.
    unsafe { rows.each(|from, to| over_row(from.cast(), to.cast(), rows.length / size_of::<u32>())) };
}

/// # Safety
/// That of [`Over`](super::Over).
unsafe fn over_with_opacity(rows: Rows, opacity: u8) {
    let count = rows.length / size_of::<u32>();
    // SAFETY: the caller's promise.
    unsafe { rows.each(|from, to| over_row_with_opacity(from.cast(), to.cast(), count, opacity)) };
}

/// # Safety
/// That of [`combine`].
#[inline(always)]
pub(super) unsafe fn over_opaque_row(from: *const u32, to: *mut u32, count: usize, opacity: u8) {
    let operate = |source, there| pixel::over(pixel::multiply(source | pixel::OPAQUE, opacity), there);
    // SAFETY: the caller's promise.
    unsafe { combine(from, to, count, operate) };
}

/// # Safety
/// That of [`Over`](super::Over).
unsafe fn over_opaque_with_opacity(rows: Rows, opacity: u8) {
    let count = rows.length / size_of::<u32>();
    // SAFETY: the caller's promise.
    unsafe { rows.each(|from, to| over_opaque_row(from.cast(), to.cast(), count, opacity)) };
}

/// # Safety
/// That of [`Multiply`](super::Multiply).
#[inline(always)]
pub(super) unsafe fn multiply(words: *mut u32, count: usize, opacity: u8) {
    // SAFETY: the caller's promise. What is there is read twice, and taken once.
    unsafe { combine(words, words, count, |word, _| pixel::multiply(word, opacity)) };
}

/// # Safety
/// That of [`Colour`](super::Colour).
#[inline(always)]
pub(super) unsafe fn fill(to: *mut u32, count: usize, colour: u32) {
    for index in 0..count {
        // SAFETY: the caller's promise.
        unsafe { to.add(index).write_unaligned(colour) };
    }
}

/// # Safety
/// That of [`Colour`](super::Colour).
#[inline(always)]
pub(super) unsafe fn fill_over(to: *mut u32, count: usize, colour: u32) {
    // SAFETY: the caller's promise. What is there is read twice, and taken once.
    unsafe { combine(to, to, count, |_, there| pixel::over(colour, there)) };
}
