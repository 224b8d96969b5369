//! Raw views of memory with a checked extent, and pictures in them.
//!
//! The law for memory that another process can write: no reference to it, ever. A view is a pointer, a length and
//! a lifetime; bytes go through it by value. What another process changes meanwhile is the colour of its own
//! pixels, and the kernels work whatever that is. The same types stand over plain slices, so that everything above
//! is tested without a mapping.

use std::marker::PhantomData;

use blitd_protocol::image::{CheckedImage, Format, Rectangle};
use blitd_protocol::value::{ColorEncoding, ColorRange};

/// Memory that can be read and that others may change.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    base: *const u8,
    length: usize,
    life: PhantomData<&'a ()>,
}

impl<'a> View<'a> {
    /// The `length` bytes from `base` on.
    ///
    /// # Safety
    /// They must stay mapped and readable for `'a`. Others may change their values at any time.
    pub const unsafe fn from_raw(base: *const u8, length: usize) -> Self {
        Self { base, length, life: PhantomData }
    }

    /// The bytes of a slice.
    pub const fn from_slice(slice: &'a [u8]) -> Self {
        Self { base: slice.as_ptr(), length: slice.len(), life: PhantomData }
    }

    /// How many bytes.
    pub const fn len(self) -> usize {
        self.length
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.length == 0
    }

    /// Appends `length` bytes from `offset` on to `out`; false, and nothing appended, where that is not all inside.
    pub fn read(self, offset: usize, length: usize, out: &mut Vec<u8>) -> bool {
        if offset.checked_add(length).is_none_or(|end| end > self.length) {
            return false;
        }
        let start = out.len();
        out.resize(start + length, 0);
        // SAFETY: the range is inside the view, whose bytes are readable; `out` has just been made long enough, and
        // memory of a Vec's own overlaps no view.
        unsafe { self.base.add(offset).copy_to_nonoverlapping(out[start..].as_mut_ptr(), length) };
        true
    }
}

/// Memory that can be written and that others may change or see changing. Other views of it may be alive.
#[derive(Debug)]
pub struct ViewMut<'a> {
    base: *mut u8,
    length: usize,
    life: PhantomData<&'a mut ()>,
}

impl<'a> ViewMut<'a> {
    /// The `length` bytes from `base` on.
    ///
    /// # Safety
    /// They must stay mapped, readable and writable for `'a`, and no Rust reference to them may be alive in it.
    pub const unsafe fn from_raw(base: *mut u8, length: usize) -> Self {
        Self { base, length, life: PhantomData }
    }

    /// The bytes of a slice.
    pub const fn from_slice(slice: &'a mut [u8]) -> Self {
        Self { base: slice.as_mut_ptr(), length: slice.len(), life: PhantomData }
    }

    /// Writes `bytes` at `offset`; false, and nothing written, where they are not all inside.
    pub fn write(&mut self, offset: usize, bytes: &[u8]) -> bool {
        if offset.checked_add(bytes.len()).is_none_or(|end| end > self.length) {
            return false;
        }
        // SAFETY: the range is inside the view, whose bytes are writable; a slice, which nobody else may write,
        // cannot overlap it.
        unsafe { self.base.add(offset).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        true
    }
}

/// How a picture lies in its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Bytes from row to row.
    pub stride: usize,
    /// Bytes before the first row.
    pub offset: usize,
    /// The pixel format.
    pub format: Format,
}

impl Layout {
    /// The layout of a checked image of one plane.
    pub fn of_image(image: &CheckedImage) -> Option<Self> {
        Some(Self {
            width: image.width(),
            height: image.height(),
            stride: usize::try_from(image.plane().stride).ok()?,
            offset: usize::try_from(image.plane().offset).ok()?,
            format: image.format(),
        })
    }

    /// The byte after the last of plane 0; `None` where that cannot be counted or rows overlap.
    fn end(&self) -> Option<usize> {
        self.plane_end(0, self.offset, self.stride)
    }

    /// The byte after the last of a plane; `None` where that cannot be counted or rows overlap.
    fn plane_end(&self, plane: usize, offset: usize, stride: usize) -> Option<usize> {
        let (row, height) = self.format.plane_size(plane, self.width, self.height);
        let row = usize::try_from(row).ok()?;
        if height == 0 || row == 0 || stride < row {
            return None;
        }
        stride.checked_mul(height as usize - 1)?.checked_add(row)?.checked_add(offset)
    }
}

/// What a YUV picture has besides its layout, which is that of plane 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Yuv {
    /// Which colours it means.
    pub encoding: ColorEncoding,
    /// Which range its numbers have.
    pub range: ColorRange,
    /// Bytes before the first row of plane 1, where the format has it.
    pub chroma_offset: usize,
    /// Bytes from row to row of it.
    pub chroma_stride: usize,
}

impl Yuv {
    /// That of a checked image, whose numbers mean this.
    pub fn of_image(image: &CheckedImage, encoding: ColorEncoding, range: ColorRange) -> Option<Self> {
        let chroma = image.chroma().unwrap_or_default();
        Some(Self {
            encoding,
            range,
            chroma_offset: usize::try_from(chroma.offset).ok()?,
            chroma_stride: usize::try_from(chroma.stride).ok()?,
        })
    }
}

/// A picture that can be read: every pixel of it is inside its memory.
#[derive(Clone, Copy, Debug)]
pub struct Picture<'a> {
    view: View<'a>,
    layout: Layout,
    yuv: Yuv,
}

impl<'a> Picture<'a> {
    /// The picture that lies so in `view`; `None` where it is not all inside, as one with a second plane, of which nothing
    /// is said, never is. YUYV is BT.601, limited.
    pub fn new(view: View<'a>, layout: Layout) -> Option<Self> {
        let (encoding, range) = (ColorEncoding::Bt601, ColorRange::Limited);
        Self::with_yuv(view, layout, Yuv { encoding, range, chroma_offset: 0, chroma_stride: 0 })
    }

    /// The same of any format; `yuv` only counts where the format is YUV.
    pub fn with_yuv(view: View<'a>, layout: Layout, yuv: Yuv) -> Option<Self> {
        let mut end = layout.end()?;
        if layout.format.planes() > 1 {
            end = end.max(layout.plane_end(1, yuv.chroma_offset, yuv.chroma_stride)?);
        }
        (end <= view.length).then_some(Self { view, layout, yuv })
    }

    /// What it means where it is YUV.
    pub(crate) const fn yuv(&self) -> Yuv {
        self.yuv
    }

    /// The addresses of a pixel with an even `x` inside [`bounds`](Self::bounds), and of the colours that it shares with
    /// others, where they have a plane of their own.
    pub(crate) fn pair(&self, x: i32, y: i32) -> [*const u8; 2] {
        let pixel = self.pixel(x, y);
        if self.layout.format.planes() == 1 {
            return [pixel, pixel];
        }
        let (x, y) = (x.unsigned_abs() as usize, y.unsigned_abs() as usize);
        let at = self.yuv.chroma_offset + y / 2 * self.yuv.chroma_stride + x;
        // SAFETY: plane 1 is inside the view, as `with_yuv` has checked: a row for each two rows of pixels, and two bytes
        // for each two pixels of one, rounded up.
        [pixel, unsafe { self.view.base.add(at) }]
    }

    /// The picture's rectangle, at the origin.
    pub const fn bounds(&self) -> Rectangle {
        Rectangle::from_size(self.layout.width, self.layout.height)
    }

    /// Its pixel format.
    pub const fn format(&self) -> Format {
        self.layout.format
    }

    /// Bytes from row to row.
    pub(crate) const fn stride(&self) -> usize {
        self.layout.stride
    }

    /// The address of a pixel inside [`bounds`](Self::bounds).
    pub(crate) fn pixel(&self, x: i32, y: i32) -> *const u8 {
        let at = offset(&self.layout, x, y);
        // SAFETY: pixels inside the bounds are inside the view, as `new` has checked.
        unsafe { self.view.base.add(at) }
    }
}

/// A picture that can be written: every pixel of it is inside its memory.
#[derive(Debug)]
pub struct PictureMut<'a> {
    view: ViewMut<'a>,
    layout: Layout,
    is_past_cache: bool,
}

impl<'a> PictureMut<'a> {
    /// The picture that lies so in `view`; `None` where it is not all inside.
    pub fn new(view: ViewMut<'a>, layout: Layout) -> Option<Self> {
        let is_inside = layout.end().is_some_and(|end| end <= view.length);
        is_inside.then_some(Self { view, layout, is_past_cache: false })
    }

    /// The same picture, into which copies go past the cache: where so much is written that the beginning would have
    /// left the cache before the end has come.
    pub const fn past_cache(self) -> Self {
        Self { is_past_cache: true, ..self }
    }

    /// Whether copies go past the cache.
    pub(crate) const fn is_past_cache(&self) -> bool {
        self.is_past_cache
    }

    /// Bytes from row to row.
    pub(crate) const fn stride(&self) -> usize {
        self.layout.stride
    }

    /// The picture's rectangle, at the origin.
    pub const fn bounds(&self) -> Rectangle {
        Rectangle::from_size(self.layout.width, self.layout.height)
    }

    /// Its pixel format.
    pub const fn format(&self) -> Format {
        self.layout.format
    }

    /// The address of a pixel inside [`bounds`](Self::bounds).
    pub(crate) fn pixel(&mut self, x: i32, y: i32) -> *mut u8 {
        let at = offset(&self.layout, x, y);
        // SAFETY: pixels inside the bounds are inside the view, as `new` has checked.
        unsafe { self.view.base.add(at) }
    }
}

fn offset(layout: &Layout, x: i32, y: i32) -> usize {
    let (x, y) = (x.unsigned_abs() as usize, y.unsigned_abs() as usize);
    layout.offset + y * layout.stride + x * layout.format.bytes_per_pixel() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: Layout = Layout { width: 3, height: 2, stride: 13, offset: 1, format: Format::Xrgb8888 };

    #[test]
    fn a_picture_is_all_inside_or_is_not() {
        assert!(Picture::new(View::from_slice(&[0; 26]), LAYOUT).is_some());
        assert!(Picture::new(View::from_slice(&[0; 25]), LAYOUT).is_none());
        let narrow = Layout { stride: 11, ..LAYOUT };
        assert!(Picture::new(View::from_slice(&[0; 100]), narrow).is_none());
        let far = Layout { offset: usize::MAX, ..LAYOUT };
        assert!(PictureMut::new(ViewMut::from_slice(&mut [0; 100]), far).is_none());
        let none = Layout { height: 0, ..LAYOUT };
        assert!(Picture::new(View::from_slice(&[0; 100]), none).is_none());
    }

    #[test]
    fn ranges_outside_are_neither_read_nor_written() {
        let mut bytes = [1, 2, 3, 4];
        let mut out = vec![9];
        assert!(!View::from_slice(&bytes).read(2, 3, &mut out));
        assert!(!View::from_slice(&bytes).read(usize::MAX, 2, &mut out));
        assert!(View::from_slice(&bytes).read(2, 2, &mut out));
        assert_eq!(out, [9, 3, 4]);
        let mut view = ViewMut::from_slice(&mut bytes);
        assert!(!view.write(3, &[7, 7]));
        assert!(view.write(3, &[7]));
        assert_eq!(bytes, [1, 2, 3, 7]);
    }
}
