//! libpixman, the outside oracle: loaded when a test runs, so that nothing else needs it. Debian has it as libpixman-1-0.

#![allow(dead_code, reason = "each test takes what it needs of it")]

use std::ffi::{c_int, c_void};

use blitd_protocol::image::{Format, Rectangle};
use blitd_protocol::value::{Filter, Operator};
use libloading::Library;

/// The numbers of `pixman_format_code_t`, in pixman.h.
fn code(format: Format) -> u32 {
    match format {
        Format::Xrgb8888 => 0x2002_0888,
        Format::Argb8888 => 0x2002_8888,
        Format::Xbgr8888 => 0x2003_0888,
        Format::Abgr8888 => 0x2003_8888,
        Format::Rgb565 => 0x1002_0565,
        Format::Rgb888 => 0x1802_0888,
        other => panic!("{other} is not scaled in tests"),
    }
}

type CreateBits = unsafe extern "C" fn(u32, c_int, c_int, *mut u32, c_int) -> *mut c_void;
type SetTransform = unsafe extern "C" fn(*mut c_void, *const [[i32; 3]; 3]) -> c_int;
type SetFilter = unsafe extern "C" fn(*mut c_void, c_int, *const i32, c_int) -> c_int;
type Composite = unsafe extern "C" fn(
    c_int,
    *mut c_void,
    *mut c_void,
    *mut c_void,
    i32,
    i32,
    i32,
    i32,
    i32,
    i32,
    i32,
    i32,
);

/// The library.
pub(crate) struct Pixman(Library);

/// A picture of it. Its memory is its maker's, who keeps it.
pub(crate) struct Image<'a> {
    pixman: &'a Pixman,
    image: *mut c_void,
}

impl Pixman {
    pub(crate) fn load() -> Self {
        // SAFETY: what it runs when it is loaded has no conditions.
        Self(unsafe { Library::new("libpixman-1.so.0") }.expect("libpixman-1-0 is there: apt-get install it"))
    }

    /// A function of the library.
    ///
    /// # Safety
    /// `F` must be the function's type.
    unsafe fn function<F: Copy>(&self, name: &str) -> F {
        // SAFETY: the caller's promise.
        unsafe { *self.0.get::<F>(name).unwrap() }
    }

    /// The words as a picture; `stride` in bytes, a multiple of 4.
    pub(crate) fn image<'a>(
        &'a self,
        format: Format,
        size: (u32, u32),
        words: &'a mut [u32],
        stride: usize,
    ) -> Image<'a> {
        assert!(stride.is_multiple_of(4) && words.len() * 4 >= stride * size.1 as usize);
        // SAFETY: as pixman.h has it; the memory is there for as long as the image.
        let image = unsafe {
            let create: CreateBits = self.function("pixman_image_create_bits");
            create(code(format), size.0 as c_int, size.1 as c_int, words.as_mut_ptr(), stride as c_int)
        };
        assert!(!image.is_null());
        Image { pixman: self, image }
    }

    /// Draws the part of `source`, after its transform, that begins at `from` into a rectangle of `target`.
    pub(crate) fn composite(
        &self,
        operator: Operator,
        source: &Image<'_>,
        mask: Option<&Image<'_>>,
        target: &Image<'_>,
        from: (i32, i32),
        to: Rectangle,
    ) {
        let operator = match operator {
            Operator::Source => 1,
            Operator::Over => 3,
        };
        let mask = mask.map_or(std::ptr::null_mut(), |mask| mask.image);
        let (width, height) = (to.width() as i32, to.height() as i32);
        // SAFETY: as pixman.h has it; the images are alive.
        unsafe {
            let composite: Composite = self.function("pixman_image_composite32");
            composite(
                operator,
                source.image,
                mask,
                target.image,
                from.0,
                from.1,
                0,
                0,
                to.left(),
                to.top(),
                width,
                height,
            );
        }
    }
}

impl Image<'_> {
    /// Samples it so: the source's position, in 16.16, of a target's is the matrix times that; beyond its edges, its
    /// outermost pixels go on.
    pub(crate) fn sample(&self, matrix: [[i32; 3]; 3], filter: Filter) {
        let filter = match filter {
            Filter::Nearest => 3,
            Filter::Bilinear => 4,
        };
        // SAFETY: as pixman.h has it; the image is alive, and the matrix is copied.
        unsafe {
            let set: SetTransform = self.pixman.function("pixman_image_set_transform");
            assert_eq!(set(self.image, &matrix), 1);
            let set: SetFilter = self.pixman.function("pixman_image_set_filter");
            assert_eq!(set(self.image, filter, std::ptr::null(), 0), 1);
            let set: unsafe extern "C" fn(*mut c_void, c_int) =
                self.pixman.function("pixman_image_set_repeat");
            // PIXMAN_REPEAT_PAD
            set(self.image, 2);
        }
    }
}

impl Drop for Image<'_> {
    fn drop(&mut self) {
        // SAFETY: as pixman.h has it; nobody else has the image.
        unsafe {
            let unref: unsafe extern "C" fn(*mut c_void) -> c_int =
                self.pixman.function("pixman_image_unref");
            unref(self.image);
        }
    }
}
