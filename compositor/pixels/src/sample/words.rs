//! A row of pixels as words, where they are.

use std::marker::PhantomData;

use blitd_protocol::image::Format;

use crate::view::Picture;

/// Words that can be read and that others may change: of a fetched row, or of a picture where no fetching is needed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words<'a> {
    base: *const u32,
    length: usize,
    life: PhantomData<&'a ()>,
}

impl<'a> Words<'a> {
    pub(super) const fn of_slice(slice: &'a [u32]) -> Self {
        Self { base: slice.as_ptr(), length: slice.len(), life: PhantomData }
    }

    /// The pixels of a row from column `x` on; `None` where they are no such words, or fewer. The top byte of a format
    /// without alpha is anything.
    pub(super) fn of_row(source: &Picture<'a>, x: u32, y: u32, length: usize) -> Option<Self> {
        let is_word = matches!(source.format(), Format::Xrgb8888 | Format::Argb8888);
        let bounds = source.bounds();
        let is_inside = x < bounds.width() && length <= (bounds.width() - x) as usize && y < bounds.height();
        // Both fit an i32, since the picture's size does.
        (is_word && is_inside).then(|| Self {
            base: source.pixel(x as i32, y as i32).cast(),
            length,
            life: PhantomData,
        })
    }

    pub(super) const fn len(self) -> usize {
        self.length
    }

    /// One word; 0 beyond the end.
    #[inline(always)]
    pub(super) fn get(self, index: usize) -> u32 {
        if index >= self.length {
            return 0;
        }
        // SAFETY: it is inside, and what is inside can be read, as whoever made this has seen to.
        unsafe { self.base.add(index).read_unaligned() }
    }

    /// The address of a word.
    ///
    /// # Safety
    /// It must be inside.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(super) unsafe fn address(self, index: usize) -> *const u32 {
        // SAFETY: the caller's promise.
        unsafe { self.base.add(index) }
    }

    /// The address that a word has, or would have.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(super) fn wrapping_address(self, index: usize) -> *const u32 {
        self.base.wrapping_add(index)
    }
}
