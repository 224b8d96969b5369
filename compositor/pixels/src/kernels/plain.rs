//! A pixel at a time: what every kernel is defined by.

use super::Kernels;
use super::samples::{Abgr8888, Argb8888, Rgb565, Samples, Xbgr8888, Xrgb8888};
use crate::pixel;

pub(super) static KERNELS: Kernels = Kernels {
    xrgb8888: fetch::<Xrgb8888>,
    argb8888: fetch::<Argb8888>,
    xbgr8888: fetch::<Xbgr8888>,
    abgr8888: fetch::<Abgr8888>,
    rgb565: fetch::<Rgb565>,
    multiply,
    over,
    over_with_opacity,
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
/// That of [`Map`](super::Map).
#[inline(always)]
unsafe fn map(from: *const u32, to: *mut u32, count: usize, operate: impl Fn(u32, u32) -> u32) {
    for index in 0..count {
        // SAFETY: the caller's promise.
        unsafe {
            let (from, to) = (from.add(index), to.add(index));
            to.write_unaligned(operate(from.read_unaligned(), to.read_unaligned()));
        }
    }
}

/// # Safety
/// That of [`Map`](super::Map).
#[inline(always)]
pub(super) unsafe fn over(from: *const u32, to: *mut u32, count: usize) {
    // SAFETY: the caller's promise.
    unsafe { map(from, to, count, pixel::over) };
}

/// # Safety
/// That of [`Map`](super::Map).
#[inline(always)]
pub(super) unsafe fn over_with_opacity(from: *const u32, to: *mut u32, count: usize, opacity: u8) {
    // SAFETY: the caller's promise.
    unsafe { map(from, to, count, |source, there| pixel::over(pixel::multiply(source, opacity), there)) };
}

/// # Safety
/// That of [`Map`](super::Map).
#[inline(always)]
pub(super) unsafe fn multiply(from: *const u32, to: *mut u32, count: usize, opacity: u8) {
    for index in 0..count {
        // SAFETY: the caller's promise.
        unsafe {
            let word = from.add(index).read_unaligned();
            to.add(index).write_unaligned(pixel::multiply(word, opacity));
        }
    }
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
    unsafe { map(to, to, count, |_, there| pixel::over(colour, there)) };
}
