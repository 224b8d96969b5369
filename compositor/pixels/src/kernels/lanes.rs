//! Several pixels at once, whatever the processor calls that.

/// Words side by side, a pixel in each.
///
/// Only where the processor has what it is made of is there a value: to make the first, from memory or by
/// [`splat`](Self::splat), is unsafe, and whoever has one may calculate with it.
pub(super) trait Lanes: Copy {
    /// How many pixels.
    const COUNT: usize;

    /// The same word in each.
    ///
    /// # Safety
    /// The processor must have what this is made of.
    unsafe fn splat(word: u32) -> Self;

    /// [`COUNT`](Self::COUNT) words.
    ///
    /// # Safety
    /// They must be readable, and as [`splat`](Self::splat).
    unsafe fn load(from: *const u32) -> Self;

    /// Twice [`COUNT`](Self::COUNT) 16-bit values, a half of a word each, in the order that [`interleaved`](Self::interleaved)
    /// takes them in.
    ///
    /// # Safety
    /// As [`load`](Self::load).
    unsafe fn load_halves(from: *const u8) -> Self;

    /// Four times [`COUNT`](Self::COUNT) bytes, in the order that [`interleaved_bytes`](Self::interleaved_bytes) takes them
    /// in.
    ///
    /// # Safety
    /// As [`load`](Self::load).
    unsafe fn load_bytes(from: *const u8) -> Self;

    /// [`COUNT`](Self::COUNT) times three bytes, the lower ones of a word each.
    ///
    /// # Safety
    /// As [`load`](Self::load), and six bytes more must be readable.
    unsafe fn load_triples(from: *const u8) -> Self;

    /// Writes them.
    ///
    /// # Safety
    /// The words must be writable.
    unsafe fn store(self, to: *mut u32);

    /// Writes them past the cache.
    ///
    /// # Safety
    /// The words must be writable, and aligned as all of them together.
    unsafe fn stream(self, to: *mut u32);

    /// Fetches the line of the cache that this is in, which will be read once. Nothing happens where there is no memory.
    fn prefetch(from: *const u8);

    /// The same word in each.
    #[inline(always)]
    fn like(self, word: u32) -> Self {
        // SAFETY: there is a value.
        unsafe { Self::splat(word) }
    }

    fn and(self, other: Self) -> Self;
    fn or(self, other: Self) -> Self;
    fn xor(self, other: Self) -> Self;
    /// Bits of each word to the right; zeros follow.
    fn shift_right<const BITS: i32>(self) -> Self;
    /// Bits of each half of a word to the left.
    fn shift_halves_left<const BITS: i32>(self) -> Self;
    /// Bits of each half of a word to the right; zeros follow.
    fn shift_halves_right<const BITS: i32>(self) -> Self;
    /// Bits of each half of a word, which has a sign, to the right.
    fn shift_signed_halves_right<const BITS: i32>(self) -> Self;
    /// The sums of halves of words.
    fn add_halves(self, other: Self) -> Self;
    /// The sums of halves of words, which have signs, each ending at the least and the greatest of these.
    fn add_signed_halves(self, other: Self) -> Self;
    /// The lower 16 bits of the products of halves of words.
    fn multiply_halves(self, other: Self) -> Self;
    /// The upper 16 bits of the products of halves of words, which have no sign.
    fn multiply_halves_high(self, other: Self) -> Self;
    /// The products of halves of words, which have signs, `/ 2^15`, to the nearest: `(a * b + 2^14) >> 15`.
    fn multiply_signed_halves(self, other: Self) -> Self;
    /// The sums of bytes, each ending at 255.
    fn add_bytes(self, other: Self) -> Self;
    /// The upper byte of each half from `other`, the lower one from here.
    fn with_odd_bytes_of(self, other: Self) -> Self;
    /// The upper byte of each word, in both of its halves.
    fn alpha_in_halves(self) -> Self;
    fn swap_red_blue(self) -> Self;
    /// Words of halves: the first of these below the first of those, and so on. What `load_halves` has read first is in the
    /// first words, and all is in order.
    fn interleaved(self, other: Self) -> (Self, Self);
    /// Halves of bytes: the first of these below the first of those, and so on. What `load_bytes` has read first is in the
    /// first, and each of the two is in the order of `load_halves`.
    fn interleaved_bytes(self, other: Self) -> (Self, Self);
    /// The other way round: the lower bytes of the halves here and of `other`, and the upper ones. What two `load_halves`
    /// have read one after the other is then in the order of `load_bytes`.
    fn separated_bytes(self, other: Self) -> (Self, Self);
    /// Bytes of halves with signs, each cut to 0 to 255: of the first of these, of the first of `other`, and so on.
    fn bytes_in_turns(self, other: Self) -> Self;
    /// Whether all bytes are 0.
    fn is_zero(self) -> bool;
}
