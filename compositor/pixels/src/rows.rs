//! Rows of bytes from one place to another: what most pixels go through.
//!
//! Two ways. Through the cache, which is memmove, row by row. And past it, by non-temporal stores: what is written is not
//! read from memory first, and what is in the cache stays there. That is faster where the target is too large to be found
//! in the cache afterwards, and slower where it is not; so whoever knows the whole says which.

/// Rows in two places. They may overlap, and others may write them meanwhile: then the bytes are anybody's guess.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows {
    /// The first row's first byte.
    pub(crate) source: *const u8,
    /// From row to row.
    pub(crate) source_stride: usize,
    /// The first row's first byte.
    pub(crate) target: *mut u8,
    /// From row to row.
    pub(crate) target_stride: usize,
    /// Bytes of a row.
    pub(crate) length: usize,
    /// How many rows.
    pub(crate) count: usize,
}

impl Rows {
    /// Copies them.
    ///
    /// # Safety
    /// All rows must be readable at the source and writable at the target.
    pub(crate) unsafe fn copy(self, is_past_cache: bool) {
        // SAFETY: the caller's promise.
        unsafe {
            if is_past_cache {
                self.copy_past_cache();
            } else {
                self.each(|source, target| source.copy_to(target, self.length));
            }
        }
    }

    /// # Safety
    /// As [`copy`](Self::copy).
    unsafe fn copy_past_cache(self) {
        // SAFETY: the caller's promise. Whoever has AVX has its stores, and every x86-64 has the others.
        #[cfg(target_arch = "x86_64")]
        unsafe {
            if std::arch::is_x86_feature_detected!("avx") {
                self.stream_by_avx();
            } else {
                self.each(|source, target| {
                    past_cache(source, target, self.length, |a, b| block_by_sse2(a, b))
                });
            }
            // These stores are in no order with others, and who is told that they are done might not see them.
            std::arch::x86_64::_mm_sfence();
        }
        // SAFETY: the caller's promise.
        #[cfg(not(target_arch = "x86_64"))]
        unsafe {
            self.each(|source, target| source.copy_to(target, self.length));
        }
    }

    /// # Safety
    /// As [`copy`](Self::copy), and the processor must have AVX.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx")]
    unsafe fn stream_by_avx(self) {
        use std::arch::x86_64::{
            __m256i, _MM_HINT_NTA, _mm_prefetch, _mm256_loadu_si256, _mm256_stream_si256,
        };

        let block = |source: *const u8, target: *mut u8| {
            // Nothing happens where there is no memory.
            _mm_prefetch(source.wrapping_add(AHEAD).cast(), _MM_HINT_NTA);
            _mm_prefetch(source.wrapping_add(AHEAD + BLOCK / 2).cast(), _MM_HINT_NTA);
            let (source, target) = (source.cast::<__m256i>(), target.cast::<__m256i>());
            // SAFETY: `past_cache` gives whole blocks of both, and that of the target begins at a multiple of their size.
            unsafe {
                let quarters = [0, 1, 2, 3].map(|quarter| _mm256_loadu_si256(source.add(quarter)));
                _mm256_stream_si256(target, quarters[0]);
                _mm256_stream_si256(target.add(1), quarters[1]);
                _mm256_stream_si256(target.add(2), quarters[2]);
                _mm256_stream_si256(target.add(3), quarters[3]);
            }
        };
        // SAFETY: the caller's promise.
        unsafe { self.each(|source, target| past_cache(source, target, self.length, block)) };
    }

    /// Asks for the beginning of a row while the one before it is read: it is in another page, where the processor does not
    /// look by itself, and what is composed of many layers is rows of moderate length.
    #[inline(always)]
    fn ask_for(&self, row: *const u8) {
        #[cfg(target_arch = "x86_64")]
        for at in (0..self.length.min(BEGINNING)).step_by(BLOCK / 2) {
            // SAFETY: every x86-64 has it, and nothing happens where there is no memory.
            unsafe {
                std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(
                    row.wrapping_add(at).cast(),
                )
            };
        }
    }

    /// # Safety
    /// As [`copy`](Self::copy), and `row` must touch nothing but the bytes that it is given.
    #[inline(always)]
    pub(crate) unsafe fn each(self, row: impl Fn(*const u8, *mut u8)) {
        let (mut source, mut target) = (self.source, self.target);
        for left in (0..self.count).rev() {
            if left > 0 {
                self.ask_for(source.wrapping_add(self.source_stride));
            }
            row(source, target);
            if left > 0 {
                // SAFETY: the caller's promise: there is one more row to go to.
                unsafe {
                    source = source.add(self.source_stride);
                    target = target.add(self.target_stride);
                }
            }
        }
    }
}

/// How much of the next row is asked for, in bytes.
#[cfg(target_arch = "x86_64")]
const BEGINNING: usize = 512;

/// How much is read before it is written, in bytes: two lines of the cache.
#[cfg(target_arch = "x86_64")]
const BLOCK: usize = 128;

/// How far ahead of what is copied past the cache to fetch, in bytes: in the next page, whose place has to be looked up.
#[cfg(target_arch = "x86_64")]
const AHEAD: usize = 4096;

/// Copies a row, whole blocks of the target by `block`.
///
/// # Safety
/// `length` bytes must be readable at `source` and writable at `target`, and `block` must copy a block.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn past_cache(source: *const u8, target: *mut u8, length: usize, block: impl Fn(*const u8, *mut u8)) {
    let head = target.align_offset(BLOCK).min(length);
    let tail = head + (length - head) / BLOCK * BLOCK;
    // SAFETY: the caller's promise: all offsets are at most `length`.
    unsafe {
        source.copy_to(target, head);
        let mut at = head;
        while at < tail {
            block(source.add(at), target.add(at));
            at += BLOCK;
        }
        source.add(tail).copy_to(target.add(tail), length - tail);
    }
}

/// Copies a block.
///
/// # Safety
/// There must be a whole block to read at `source` and to write at `target`, which must be a multiple of 16.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn block_by_sse2(source: *const u8, target: *mut u8) {
    use std::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_stream_si128};

    let (source, target) = (source.cast::<__m128i>(), target.cast::<__m128i>());
    for part in 0..BLOCK / size_of::<__m128i>() {
        // SAFETY: the caller's promise: there are so many parts in a block.
        unsafe { _mm_stream_si128(target.add(part), _mm_loadu_si128(source.add(part))) };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn all_ways_copy_the_rows_and_nothing_else(
            is_past_cache: bool, (source_at, target_at) in (0usize..140, 0usize..140),
            length in 0usize..600, count in 0usize..4, (more, less) in (0usize..70, 0usize..70),
        ) {
            let (source_stride, target_stride) = (length + more, length + less);
            let source: Vec<u8> = (0..source_at + count * source_stride).map(|at| (at % 251) as u8).collect();
            let mut target = vec![255; target_at + count * target_stride];
            let mut expected = target.clone();
            for row in 0..count {
                let from = source_at + row * source_stride;
                let to = target_at + row * target_stride;
                expected[to..to + length].copy_from_slice(&source[from..from + length]);
            }
            let rows = Rows {
                source: source[source_at..].as_ptr(),
                source_stride,
                target: target[target_at..].as_mut_ptr(),
                target_stride,
                length,
                count,
            };
            // SAFETY: both vectors have room for all rows.
            unsafe { rows.copy(is_past_cache) };
            prop_assert_eq!(&target, &expected);
            #[cfg(target_arch = "x86_64")]
            {
                target.fill(255);
                // SAFETY: as above.
                unsafe { rows.each(|source, target| past_cache(source, target, length, |a, b| block_by_sse2(a, b))) };
                prop_assert_eq!(&target, &expected);
            }
        }
    }
}
