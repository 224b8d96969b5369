//! libpixman, which others draw with: an oracle from outside.
//!
//! The library is loaded when a test runs, so that nothing has to be there to build. On Debian it is libpixman-1-0.

#![allow(dead_code, reason = "each test takes what it needs")]

use std::ffi::{c_int, c_uint, c_void};
use std::ptr::null_mut;
use std::sync::LazyLock;

use blitd_protocol::image::Format;
use blitd_protocol::value::Filter;
use libloading::Library;

/// `PIXMAN_OP_SRC` of pixman.h.
pub(crate) const SOURCE: c_uint = 1;

/// `PIXMAN_OP_OVER` of pixman.h.
pub(crate) const OVER: c_uint = 3;

/// `PIXMAN_FORMAT` of pixman.h: bits of a pixel, the order of its channels, and how many bits each has.
const fn format(bits: u32, order: u32, alpha: u32, red: u32, green: u32, blue: u32) -> c_uint {
    bits << 24 | order << 16 | alpha << 12 | red << 8 | green << 4 | blue
}

/// `PIXMAN_TYPE_ARGB` and `PIXMAN_TYPE_ABGR` of pixman.h.
const ARGB: u32 = 2;
const ABGR: u32 = 3;

pub(crate) const A8R8G8B8: c_uint = format(32, ARGB, 8, 8, 8, 8);
pub(crate) const X8R8G8B8: c_uint = format(32, ARGB, 0, 8, 8, 8);
pub(crate) const A8B8G8R8: c_uint = format(32, ABGR, 8, 8, 8, 8);
pub(crate) const X8B8G8R8: c_uint = format(32, ABGR, 0, 8, 8, 8);
pub(crate) const R5G6B5: c_uint = format(16, ARGB, 0, 5, 6, 5);
pub(crate) const R8G8B8: c_uint = format(24, ARGB, 0, 8, 8, 8);
pub(crate) const X2R10G10B10: c_uint = format(32, ARGB, 0, 10, 10, 10);

/// What pixman calls a format.
pub(crate) fn code(format: Format) -> c_uint {
    match format {
        Format::Xrgb8888 => X8R8G8B8,
        Format::Argb8888 => A8R8G8B8,
        Format::Xbgr8888 => X8B8G8R8,
        Format::Abgr8888 => A8B8G8R8,
        Format::Rgb565 => R5G6B5,
        Format::Rgb888 => R8G8B8,
        Format::Xrgb2101010 => X2R10G10B10,
        Format::Nv12 | Format::Yuyv => unreachable!("yuv.rs has these"),
    }
}

/// `pixman_color_t`.
#[repr(C)]
struct Colour {
    red: u16,
    green: u16,
    blue: u16,
    alpha: u16,
}

type CreateBits = unsafe extern "C" fn(c_uint, c_int, c_int, *mut u32, c_int) -> *mut c_void;
type CreateSolidFill = unsafe extern "C" fn(*const Colour) -> *mut c_void;
type SetTransform = unsafe extern "C" fn(*mut c_void, *const [[i32; 3]; 3]) -> c_int;
type SetFilter = unsafe extern "C" fn(*mut c_void, c_int, *const i32, c_int) -> c_int;
type SetRepeat = unsafe extern "C" fn(*mut c_void, c_int);
type Unref = unsafe extern "C" fn(*mut c_void) -> c_int;
#[rustfmt::skip]
type Composite = unsafe extern "C" fn(
    c_uint, *mut c_void, *mut c_void, *mut c_void,
    c_int, c_int, c_int, c_int, c_int, c_int, c_int, c_int,
);

static LIBRARY: LazyLock<Library> = LazyLock::new(|| {
    // SAFETY: the library does nothing when it is loaded but look at the processor.
    unsafe { Library::new("libpixman-1.so.0") }
        .unwrap_or_else(|error| panic!("{error}: please run: apt-get install -y libpixman-1-0"))
});

/// # Safety
/// `T` must be the function's type.
unsafe fn function<T: Copy>(name: &[u8]) -> T {
    // SAFETY: the caller's promise. The library stays loaded.
    *unsafe { LIBRARY.get::<T>(name) }.unwrap()
}

/// An image. Rows begin at multiples of 4 bytes.
pub(crate) struct Image<'a> {
    raw: *mut c_void,
    life: std::marker::PhantomData<&'a mut [u32]>,
}

impl<'a> Image<'a> {
    /// One whose rows of `stride` words are in `words`.
    pub(crate) fn new(format: c_uint, width: u32, height: u32, stride: usize, words: &'a mut [u32]) -> Self {
        assert!(stride * height as usize <= words.len());
        assert!(width * (format >> 24) <= stride as u32 * 32);
        // SAFETY: the type is that of pixman.h. All rows are in `words`, which the image borrows.
        let raw = unsafe {
            let create: CreateBits = function(b"pixman_image_create_bits");
            create(format, width as c_int, height as c_int, words.as_mut_ptr(), stride as c_int * 4)
        };
        assert!(!raw.is_null());
        Self { raw, life: std::marker::PhantomData }
    }

    /// A mask that lets `opacity` through everywhere.
    pub(crate) fn opacity(opacity: u8) -> Self {
        let colour = Colour { red: 0, green: 0, blue: 0, alpha: u16::from(opacity) * 0x101 };
        // SAFETY: the type is that of pixman.h; the colour is copied.
        let raw = unsafe {
            let create: CreateSolidFill = function(b"pixman_image_create_solid_fill");
            create(&raw const colour)
        };
        assert!(!raw.is_null());
        Self { raw, life: std::marker::PhantomData }
    }

    /// Samples it so: the source's position, in 16.16, of a target's is the matrix times that; beyond its edges, its
    /// outermost pixels go on (`PIXMAN_REPEAT_PAD`).
    pub(crate) fn sample(&self, matrix: [[i32; 3]; 3], filter: Filter) {
        // `PIXMAN_FILTER_NEAREST` and `PIXMAN_FILTER_BILINEAR` of pixman.h.
        let filter = match filter {
            Filter::Nearest => 3,
            Filter::Bilinear => 4,
        };
        // SAFETY: the types are those of pixman.h; the image is alive, and the matrix is copied.
        unsafe {
            let set: SetTransform = function(b"pixman_image_set_transform");
            assert_eq!(set(self.raw, &raw const matrix), 1);
            let set: SetFilter = function(b"pixman_image_set_filter");
            assert_eq!(set(self.raw, filter, std::ptr::null(), 0), 1);
            let set: SetRepeat = function(b"pixman_image_set_repeat");
            set(self.raw, 2);
        }
    }

    /// Composites the top left `width` times `height` pixels of `source`, masked, on those of this image.
    pub(crate) fn composite(
        &mut self,
        operator: c_uint,
        source: &Image<'_>,
        mask: Option<&Image<'_>>,
        (width, height): (u32, u32),
    ) {
        let mask = mask.map_or(null_mut(), |mask| mask.raw);
        // SAFETY: the type is that of pixman.h, all images are alive, and what leaves them is clipped there.
        unsafe {
            let composite: Composite = function(b"pixman_image_composite32");
            #[rustfmt::skip]
            composite(
                operator, source.raw, mask, self.raw, 0, 0, 0, 0, 0, 0, width as c_int, height as c_int,
            );
        }
    }
}

impl Drop for Image<'_> {
    fn drop(&mut self) {
        // SAFETY: the type is that of pixman.h; nobody else has this image.
        unsafe {
            let unref: Unref = function(b"pixman_image_unref");
            unref(self.raw);
        }
    }
}
