//! Kernels: what is done to rows of pixels, once for each [`Level`].
//!
//! A level is a table of functions. The one of [`Level::Plain`] is the definition: a pixel at a time, as
//! [`pixel`](crate::pixel) and `samples` say. The others agree with it to the bit. They are written
//! once, in `wide`, over `lanes::Lanes`, which `x86` implements for SSE4.1 and for AVX2; for another
//! architecture there is a file beside that one.

mod lanes;
mod plain;
mod samples;
mod wide;
#[cfg(target_arch = "x86_64")]
mod x86;
pub(crate) mod yuv;

use self::yuv::Matrix;
use crate::level::Level;
use crate::rows::Rows;

/// Reads as many pixels as `count` says from `from` on and writes them as words; past the cache where that is asked for
/// and can be done: then [`fence`] has to follow.
///
/// # Safety
/// So many pixels of the format must be readable, and so many words writable.
pub(crate) type Fetch = unsafe fn(from: *const u8, to: *mut u32, count: usize, is_past_cache: bool);

/// The same of pixels of which pairs share their colours, the first being the first of its pair. The second plane is that
/// of the colours, where they have their own.
///
/// # Safety
/// So many pixels must be readable in the planes, with all that the last one's pair shares, and so many words writable.
pub(crate) type FetchPairs =
    unsafe fn(planes: [*const u8; 2], to: *mut u32, count: usize, matrix: &Matrix, is_past_cache: bool);

/// Lays rows of words over those that are there.
///
/// # Safety
/// All rows must be whole words, readable at the source, and readable and writable at the target.
pub(crate) type Over = unsafe fn(rows: Rows);

/// As [`Over`], times an opacity before.
///
/// # Safety
/// That of [`Over`].
pub(crate) type OverWithOpacity = unsafe fn(rows: Rows, opacity: u8);

/// Multiplies `count` words by an opacity.
///
/// # Safety
/// So many words must be readable and writable.
pub(crate) type Multiply = unsafe fn(words: *mut u32, count: usize, opacity: u8);

/// Writes `count` words made of `colour` and, where the operator says so, of what is there.
///
/// # Safety
/// So many words must be readable and writable.
pub(crate) type Colour = unsafe fn(to: *mut u32, count: usize, colour: u32);

/// The row kernels of a level. Nothing needs to be aligned.
#[derive(Debug)]
pub struct Kernels {
    pub(crate) xrgb8888: Fetch,
    pub(crate) argb8888: Fetch,
    pub(crate) xbgr8888: Fetch,
    pub(crate) abgr8888: Fetch,
    pub(crate) rgb565: Fetch,
    pub(crate) rgb888: Fetch,
    pub(crate) xrgb2101010: Fetch,
    pub(crate) nv12: FetchPairs,
    pub(crate) yuyv: FetchPairs,
    pub(crate) multiply: Multiply,
    pub(crate) over: Over,
    pub(crate) over_with_opacity: OverWithOpacity,
    /// The same where the top byte of the words is anything, and they are opaque.
    pub(crate) over_opaque_with_opacity: OverWithOpacity,
    /// A colour instead of the words that are there.
    pub(crate) fill: Colour,
    /// A colour over the words that are there.
    pub(crate) fill_over: Colour,
}

impl Kernels {
    /// Those of the best level that this processor has.
    pub fn best() -> &'static Self {
        // Whoever has AVX2 has SSE4.1.
        Self::of(Level::Avx2).or_else(|| Self::of(Level::Sse41)).unwrap_or(&plain::KERNELS)
    }

    /// Those of a level; `None` where this processor does not have it. For tests and measurements.
    pub fn of(level: Level) -> Option<&'static Self> {
        level.is_there().then_some(match level {
            Level::Plain => &plain::KERNELS,
            #[cfg(target_arch = "x86_64")]
            Level::Sse41 => &x86::SSE41,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => &x86::AVX2,
            #[cfg(not(target_arch = "x86_64"))]
            Level::Sse41 | Level::Avx2 => return None,
        })
    }
}

/// Has everybody see what went past the cache before what is written after this.
pub(crate) fn fence() {
    // SAFETY: every x86-64 has SSE.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::x86_64::_mm_sfence();
    }
}
