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
        unsafe { if is_past_cache { self.each(past_cache) } else { self.each(through_cache) } }
        if is_past_cache {
            fence();
        }
    }

    /// # Safety
    /// As [`copy`](Self::copy), and `row` must touch nothing but the bytes that it is given.
    #[inline(always)]
    unsafe fn each(self, row: unsafe fn(*const u8, *mut u8, usize)) {
        let (mut source, mut target) = (self.source, self.target);
        for left in (0..self.count).rev() {
            // SAFETY: the caller's promise; beyond the last row there is none to go to.
            unsafe {
                row(source, target, self.length);
                if left > 0 {
                    source = source.add(self.source_stride);
                    target = target.add(self.target_stride);
                }
            }
        }
    }
}

/// # Safety
/// `length` bytes must be readable at `source` and writable at `target`.
#[inline(always)]
unsafe fn through_cache(source: *const u8, target: *mut u8, length: usize) {
    // SAFETY: the caller's promise. Views do not say that their memory is theirs alone, so rows may overlap.
    unsafe { source.copy_to(target, length) };
}

/// # Safety
/// As [`through_cache`].
#[cfg(target_arch = "x86_64")]
unsafe fn past_cache(source: *const u8, target: *mut u8, length: usize) {
    use std::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_stream_si128};

    /// What the processor gathers before it writes: a line of the cache.
    const LINE: usize = 64;
    let head = target.align_offset(LINE).min(length);
    let lines = (length - head) / LINE;
    let tail = head + lines * LINE;
    // SAFETY: the caller's promise: all offsets are below `length`. The stores are to multiples of 64.
    unsafe {
        source.copy_to(target, head);
        for line in 0..lines {
            let at = head + line * LINE;
            let (from, to) = (source.add(at).cast::<__m128i>(), target.add(at).cast::<__m128i>());
            let line = [0, 1, 2, 3].map(|part| _mm_loadu_si128(from.add(part)));
            for (part, value) in line.into_iter().enumerate() {
                _mm_stream_si128(to.add(part), value);
            }
        }
        source.add(tail).copy_to(target.add(tail), length - tail);
    }
}

/// # Safety
/// As [`through_cache`].
#[cfg(not(target_arch = "x86_64"))]
unsafe fn past_cache(source: *const u8, target: *mut u8, length: usize) {
    // SAFETY: the caller's promise.
    unsafe { through_cache(source, target, length) };
}

/// Stores past the cache are in no order with others, so whoever is told that they are done could not see them.
fn fence() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every such processor has it.
    unsafe {
        std::arch::x86_64::_mm_sfence();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn both_ways_copy_the_rows_and_nothing_else(
            is_past_cache: bool, (source_at, target_at) in (0usize..70, 0usize..70),
            length in 0usize..400, count in 0usize..4, (more, less) in (0usize..70, 0usize..70),
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
            prop_assert_eq!(target, expected);
        }
    }
}
