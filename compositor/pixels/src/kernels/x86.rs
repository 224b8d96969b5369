//! SSE4.1 and AVX2.

use std::arch::x86_64::*;

use super::lanes::Lanes;
use super::samples::{Abgr8888, Argb8888, Rgb565, Rgb888, Xbgr8888, Xrgb8888, Xrgb2101010};
use super::yuv::{Matrix, Nv12, Yuyv};
use super::{Kernels, wide};
use crate::rows::Rows;

/// Four pixels. There is a value only where the processor has SSE4.1.
#[derive(Clone, Copy)]
struct Four(__m128i);

/// Eight pixels. There is a value only where the processor has AVX2.
#[derive(Clone, Copy)]
struct Eight(__m256i);

/// A shuffle of the bytes of four pixels, from one of those of a pixel. A byte of -1 becomes 0.
const fn in_each([first, second, third, fourth]: [i8; 4]) -> [i8; 16] {
    let mut bytes = [-1; 16];
    let mut pixel = 0;
    while pixel < 4 {
        let mut byte = 0;
        while byte < 4 {
            let from = [first, second, third, fourth][byte as usize];
            bytes[(pixel * 4 + byte) as usize] = if from < 0 { -1 } else { pixel * 4 + from };
            byte += 1;
        }
        pixel += 1;
    }
    bytes
}

const ALPHA_IN_HALVES: [i8; 16] = in_each([3, -1, 3, -1]);
const SWAP_RED_BLUE: [i8; 16] = in_each([2, 1, 0, 3]);

/// Three bytes of each pixel from where they lie one after the other.
const TRIPLES: [i8; 16] = [0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1];

/// The lower bytes of eight halves, and then the upper ones.
const LOWER_AND_UPPER: [i8; 16] = [0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15];

/// Which words go where so that all is in order in the end, when bytes and then halves have been interleaved, each 128 bits
/// for themselves.
// SAFETY: both are 32 bytes, and any value is one.
static EVEN_WORDS_FIRST: __m256i = unsafe { std::mem::transmute([0u32, 2, 4, 6, 1, 3, 5, 7]) };

/// Eight bytes and eight others in turns.
// SAFETY: both are 32 bytes, and any value is one.
static IN_TURNS: __m256i =
    unsafe { std::mem::transmute([[0_u8, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15]; 2]) };

impl Four {
    #[inline(always)]
    fn shuffled(self, bytes: &'static [i8; 16]) -> Self {
        // SAFETY: there is a value, so there is SSE4.1. The bytes are an array of that size.
        Self(unsafe { _mm_shuffle_epi8(self.0, _mm_loadu_si128(bytes.as_ptr().cast())) })
    }
}

impl Eight {
    /// Each four pixels for themselves.
    #[inline(always)]
    fn shuffled(self, bytes: &'static [i8; 16]) -> Self {
        // SAFETY: there is a value, so there is AVX2. The bytes are an array of that size.
        Self(unsafe {
            _mm256_shuffle_epi8(self.0, _mm256_broadcastsi128_si256(_mm_loadu_si128(bytes.as_ptr().cast())))
        })
    }
}

macro_rules! lanes {
    (
        $name:ident, $feature:literal, $count:literal,
        splat $splat:ident, load $load:ident, store $store:ident, stream $stream:ident,
        bytes $bytes:expr, halves $halves:expr, triples $triples:expr, blend $blend:ident, pack $pack:ident, shuffle $shuffle:ident, zero $zero:ident,
        interleave { $($interleaved:ident $low:ident $high:ident)* } quarters $low_quarters:ident $high_quarters:ident,
        binary { $($binary:ident $on_two:ident)* }
        shift { $($shift:ident $by:ident)* }
    ) => {
        impl Lanes for $name {
            const COUNT: usize = $count;

            #[inline(always)]
            unsafe fn splat(word: u32) -> Self {
                // SAFETY: the caller's promise.
                Self(unsafe { $splat(word.cast_signed()) })
            }

            #[inline(always)]
            unsafe fn load(from: *const u32) -> Self {
                // SAFETY: the caller's promise.
                Self(unsafe { $load(from.cast()) })
            }

            #[inline(always)]
            unsafe fn load_halves(from: *const u8) -> Self {
                // SAFETY: the caller's promise.
                Self(unsafe { $halves(from) })
            }

            #[inline(always)]
            unsafe fn load_bytes(from: *const u8) -> Self {
                // SAFETY: the caller's promise.
                Self(unsafe { $bytes(from) })
            }

            #[inline(always)]
            unsafe fn load_triples(from: *const u8) -> Self {
                // SAFETY: the caller's promise.
                Self(unsafe { $triples(from) }).shuffled(&TRIPLES)
            }

            #[inline(always)]
            unsafe fn store(self, to: *mut u32) {
                // SAFETY: the caller's promise.
                unsafe { $store(to.cast(), self.0) }
            }

            #[inline(always)]
            unsafe fn stream(self, to: *mut u32) {
                // SAFETY: the caller's promise.
                unsafe { $stream(to.cast(), self.0) }
            }

            #[inline(always)]
            fn prefetch(from: *const u8) {
                // SAFETY: every x86-64 has SSE.
                unsafe { _mm_prefetch(from.cast(), _MM_HINT_NTA) }
            }

            $(
                #[inline(always)]
                fn $binary(self, other: Self) -> Self {
                    // SAFETY: there is a value, so the processor has what it is made of.
                    Self(unsafe { $on_two(self.0, other.0) })
                }
            )*

            $(
                #[inline(always)]
                fn $shift<const BITS: i32>(self) -> Self {
                    // SAFETY: there is a value, so the processor has what it is made of.
                    Self(unsafe { $by::<BITS>(self.0) })
                }
            )*

            #[inline(always)]
            fn with_odd_bytes_of(self, other: Self) -> Self {
                let odd = self.like(0xff00_ff00);
                // SAFETY: there is a value, so the processor has what it is made of.
                Self(unsafe { $blend(self.0, other.0, odd.0) })
            }

            #[inline(always)]
            fn alpha_in_halves(self) -> Self {
                self.shuffled(&ALPHA_IN_HALVES)
            }

            #[inline(always)]
            fn swap_red_blue(self) -> Self {
                self.shuffled(&SWAP_RED_BLUE)
            }

            $(
                #[inline(always)]
                fn $interleaved(self, other: Self) -> (Self, Self) {
                    // SAFETY: there is a value, so the processor has what it is made of.
                    unsafe { (Self($low(self.0, other.0)), Self($high(self.0, other.0))) }
                }
            )*

            #[inline(always)]
            fn separated_bytes(self, other: Self) -> (Self, Self) {
                let (first, second) = (self.shuffled(&LOWER_AND_UPPER), other.shuffled(&LOWER_AND_UPPER));
                // SAFETY: there is a value, so the processor has what it is made of.
                unsafe {
                    (Self($low_quarters(first.0, second.0)), Self($high_quarters(first.0, second.0)))
                }
            }

            #[inline(always)]
            fn bytes_in_turns(self, other: Self) -> Self {
                // Where the compiler knew the shuffle, it would make six of three before the bytes are interleaved.
                // SAFETY: there is a value, so the processor has what it is made of.
                unsafe {
                    let in_turns = (&raw const IN_TURNS).cast::<Self>().read_volatile();
                    Self($shuffle($pack(self.0, other.0), in_turns.0))
                }
            }

            #[inline(always)]
            fn is_zero(self) -> bool {
                // SAFETY: there is a value, so the processor has what it is made of.
                unsafe { $zero(self.0, self.0) == 1 }
            }
        }
    };
}

lanes! {
    Four, "sse4.1", 4,
    splat _mm_set1_epi32, load _mm_loadu_si128, store _mm_storeu_si128, stream _mm_stream_si128,
    bytes |from: *const u8| _mm_loadu_si128(from.cast()),
    halves |from: *const u8| _mm_loadu_si128(from.cast()),
    triples |from: *const u8| _mm_loadu_si128(from.cast()),
    blend _mm_blendv_epi8, pack _mm_packus_epi16, shuffle _mm_shuffle_epi8, zero _mm_testz_si128,
    interleave {
        interleaved _mm_unpacklo_epi16 _mm_unpackhi_epi16
        interleaved_bytes _mm_unpacklo_epi8 _mm_unpackhi_epi8
    }
    quarters _mm_unpacklo_epi64 _mm_unpackhi_epi64,
    binary {
        and _mm_and_si128
        or _mm_or_si128
        xor _mm_xor_si128
        add_halves _mm_add_epi16
        add_signed_halves _mm_adds_epi16
        multiply_halves _mm_mullo_epi16
        multiply_halves_high _mm_mulhi_epu16
        multiply_signed_halves _mm_mulhrs_epi16
        add_bytes _mm_adds_epu8
    }
    shift {
        shift_right _mm_srli_epi32
        shift_halves_left _mm_slli_epi16
        shift_halves_right _mm_srli_epi16
        shift_signed_halves_right _mm_srai_epi16
    }
}

lanes! {
    Eight, "avx2", 8,
    splat _mm256_set1_epi32, load _mm256_loadu_si256, store _mm256_storeu_si256, stream _mm256_stream_si256,
    // Where the compiler knew what is read, it would make two shuffles of one.
    bytes |from: *const u8| _mm256_permutevar8x32_epi32(
        _mm256_loadu_si256(from.cast()),
        (&raw const EVEN_WORDS_FIRST).cast::<__m256i>().read_volatile(),
    ),
    halves |from: *const u8| _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_loadu_si256(from.cast())),
    triples |from: *const u8| _mm256_loadu2_m128i(from.add(12).cast(), from.cast()),
    blend _mm256_blendv_epi8, pack _mm256_packus_epi16, shuffle _mm256_shuffle_epi8, zero _mm256_testz_si256,
    interleave {
        interleaved _mm256_unpacklo_epi16 _mm256_unpackhi_epi16
        interleaved_bytes _mm256_unpacklo_epi8 _mm256_unpackhi_epi8
    }
    quarters _mm256_unpacklo_epi64 _mm256_unpackhi_epi64,
    binary {
        and _mm256_and_si256
        or _mm256_or_si256
        xor _mm256_xor_si256
        add_halves _mm256_add_epi16
        add_signed_halves _mm256_adds_epi16
        multiply_halves _mm256_mullo_epi16
        multiply_halves_high _mm256_mulhi_epu16
        multiply_signed_halves _mm256_mulhrs_epi16
        add_bytes _mm256_adds_epu8
    }
    shift {
        shift_right _mm256_srli_epi32
        shift_halves_left _mm256_slli_epi16
        shift_halves_right _mm256_srli_epi16
        shift_signed_halves_right _mm256_srai_epi16
    }
}

macro_rules! table {
    ($table:ident, $feature:literal, $lanes:ident: $($name:ident: $kernel:ident::<$($type:ident),*>($($argument:ident: $kind:ty),*);)*) => {
        pub(super) static $table: Kernels = {
            $(
                // SAFETY (of who calls it): that of the kernel's type, and the processor must have the feature, which it
                // has where `Kernels::of` gives this table.
                #[target_feature(enable = $feature)]
                unsafe fn $name($($argument: $kind),*) {
                    // SAFETY: as said.
                    unsafe { wide::$kernel::<$($type),*>($($argument),*) }
                }
            )*
            Kernels { $($name),* }
        };
    };
    ($table:ident, $feature:literal, $lanes:ident) => {
        table! {
            $table, $feature, $lanes:
            xrgb8888: fetch::<$lanes, Xrgb8888>(from: *const u8, to: *mut u32, count: usize, is_past_cache: bool);
            argb8888: fetch::<$lanes, Argb8888>(from: *const u8, to: *mut u32, count: usize, is_past_cache: bool);
            xbgr8888: fetch::<$lanes, Xbgr8888>(from: *const u8, to: *mut u32, count: usize, is_past_cache: bool);
            abgr8888: fetch::<$lanes, Abgr8888>(from: *const u8, to: *mut u32, count: usize, is_past_cache: bool);
            rgb565: fetch::<$lanes, Rgb565>(from: *const u8, to: *mut u32, count: usize, is_past_cache: bool);
            rgb888: fetch::<$lanes, Rgb888>(from: *const u8, to: *mut u32, count: usize, is_past_cache: bool);
            xrgb2101010: fetch::<$lanes, Xrgb2101010>(from: *const u8, to: *mut u32, count: usize, is_past_cache: bool);
            nv12: fetch_pairs::<$lanes, Nv12>(planes: [*const u8; 2], to: *mut u32, count: usize, matrix: &Matrix, is_past_cache: bool);
            yuyv: fetch_pairs::<$lanes, Yuyv>(planes: [*const u8; 2], to: *mut u32, count: usize, matrix: &Matrix, is_past_cache: bool);
            multiply: multiply::<$lanes>(words: *mut u32, count: usize, opacity: u8);
            over: over::<$lanes>(rows: Rows);
            over_with_opacity: over_with_opacity::<$lanes>(rows: Rows, opacity: u8);
            over_opaque_with_opacity: over_opaque_with_opacity::<$lanes>(rows: Rows, opacity: u8);
            fill: fill::<$lanes>(to: *mut u32, count: usize, colour: u32);
            fill_over: fill_over::<$lanes>(to: *mut u32, count: usize, colour: u32);
        }
    };
}

table!(SSE41, "sse4.1", Four);
table!(AVX2, "avx2", Eight);
