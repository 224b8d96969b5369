//! Linear scanout buffers from GBM, the buffer manager that a card's own driver library implements.
//!
//! The library is loaded when the first buffer is to come from it, and not linked: with those that it needs itself, it
//! takes longer to load than blitd takes to start, and few machines have a use for it. What is declared here is
//! declared so in its header (src/gbm/main/gbm.h of Mesa), and is the same in all versions of libgbm.so.1.
//!
//! Buffers are mapped through their dmabuf: a mapping of `gbm_bo_map` may be a copy that only reaches the buffer when
//! it is unmapped.

use std::error::Error as _;
use std::ffi::c_int;
use std::fs::File;
use std::io;
use std::num::NonZeroU32;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::ptr::NonNull;
use std::rc::Rc;

use drm::buffer::{DrmFourcc, Handle};
use drm::control::Device as _;
use nix::libc;

use super::device::Device;

/// The name that the library has in every program that is linked with it.
const LIBRARY: &str = "libgbm.so.1";

/// `GBM_BO_USE_SCANOUT` and `GBM_BO_USE_LINEAR` of `enum gbm_bo_flags`.
const SCANOUT: u32 = 1 << 0;
const LINEAR: u32 = 1 << 4;

/// Why there are no buffers of GBM.
#[derive(Debug, thiserror::Error)]
pub enum GbmError {
    /// The library is not there, or is not what it should be.
    #[error("{}: install Mesa's libgbm (libgbm1 in Debian), or take [kms] buffers = \"dumb\"", reason(.0))]
    Library(#[from] libloading::Error),
    /// The library cannot do with the card.
    #[error("GBM cannot open it ({0}): install its driver of Mesa, or take [kms] buffers = \"dumb\"")]
    Driver(#[source] io::Error),
}

/// The words of the C library, which name the library or the function.
fn reason(error: &libloading::Error) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

/// `struct gbm_device`, of which only the library knows what is in it.
#[repr(C)]
struct RawDevice([u8; 0]);

/// `struct gbm_bo`, likewise.
#[repr(C)]
struct RawObject([u8; 0]);

/// `union gbm_bo_handle`: the member that is used, and the largest one.
#[derive(Clone, Copy)]
#[repr(C)]
union RawHandle {
    number: u32,
    #[allow(dead_code, reason = "it gives the union its size")]
    whole: u64,
}

/// The functions of the library that are used.
#[derive(Debug)]
struct Library {
    create_device: unsafe extern "C" fn(c_int) -> *mut RawDevice,
    destroy_device: unsafe extern "C" fn(*mut RawDevice),
    create_object: unsafe extern "C" fn(*mut RawDevice, u32, u32, u32, u32) -> *mut RawObject,
    destroy_object: unsafe extern "C" fn(*mut RawObject),
    stride: unsafe extern "C" fn(*mut RawObject) -> u32,
    handle: unsafe extern "C" fn(*mut RawObject) -> RawHandle,
    /// What the functions are in: it stays loaded as long as this is there.
    _code: libloading::Library,
}

impl Library {
    fn load(name: &str) -> Result<Self, libloading::Error> {
        // SAFETY: what the library does when it is loaded and unloaded asks nothing of who loads it: programs that are
        // linked with it do neither.
        let code = unsafe { libloading::Library::new(name) }?;
        // SAFETY: the types of the fields are those of the functions in the header. The pointers are used through
        // `self` only, which keeps the library loaded.
        unsafe {
            Ok(Self {
                create_device: *code.get("gbm_create_device")?,
                destroy_device: *code.get("gbm_device_destroy")?,
                create_object: *code.get("gbm_bo_create")?,
                destroy_object: *code.get("gbm_bo_destroy")?,
                stride: *code.get("gbm_bo_get_stride")?,
                handle: *code.get("gbm_bo_get_handle")?,
                _code: code,
            })
        }
    }
}

/// The library and its device for a card, which stay until the last buffer is gone.
#[derive(Debug)]
struct Opened {
    library: Library,
    device: NonNull<RawDevice>,
    /// The library uses the descriptor of its device, and does not own it.
    _card: File,
}

impl Drop for Opened {
    fn drop(&mut self) {
        // SAFETY: the library has made it, all buffers are gone, and nobody uses it after this.
        unsafe { (self.library.destroy_device)(self.device.as_ptr()) }
    }
}

/// The library, opened for a card.
#[derive(Debug)]
pub struct Allocator(Rc<Opened>);

/// A buffer of GBM. It lives as long as this.
#[derive(Debug)]
pub struct Object {
    opened: Rc<Opened>,
    object: NonNull<RawObject>,
    size: (u32, u32),
    handle: Handle,
}

impl Allocator {
    /// Loads the library, and opens it for a card.
    ///
    /// # Errors
    /// There is no library, or it has no driver for the card.
    pub fn open(device: &Device) -> Result<Self, GbmError> {
        let library = Library::load(LIBRARY)?;
        // The same open file, so that numbers of buffers mean the same.
        let card = File::from(device.as_fd().try_clone_to_owned().map_err(GbmError::Driver)?);
        // SAFETY: the descriptor is open, and stays so for as long as the device is there.
        let device = unsafe { (library.create_device)(card.as_raw_fd()) };
        let device = NonNull::new(device).ok_or_else(|| GbmError::Driver(io::Error::last_os_error()))?;
        Ok(Self(Rc::new(Opened { library, device, _card: card })))
    }

    /// A linear buffer that can be shown, whose width and height are these.
    ///
    /// # Errors
    /// The driver refuses.
    pub fn allocate(&self, (width, height): (u32, u32)) -> io::Result<Object> {
        let (opened, format) = (&self.0, DrmFourcc::Xrgb8888 as u32);
        // SAFETY: the device is the library's, and is there as long as `opened`.
        let object = unsafe {
            (opened.library.create_object)(opened.device.as_ptr(), width, height, format, SCANOUT | LINEAR)
        };
        let object = NonNull::new(object).ok_or_else(io::Error::last_os_error)?;
        // SAFETY: the buffer has just been made.
        let handle = unsafe { (opened.library.handle)(object.as_ptr()) };
        // SAFETY: for a DRM card the handle is the 32-bit member; any bits are a number.
        let number = unsafe { handle.number };
        let Some(number) = NonZeroU32::new(number) else {
            // SAFETY: nobody else has the buffer.
            unsafe { (opened.library.destroy_object)(object.as_ptr()) };
            return Err(io::ErrorKind::InvalidData.into());
        };
        Ok(Object { opened: Rc::clone(opened), object, size: (width, height), handle: Handle::from(number) })
    }
}

impl Object {
    /// Its dmabuf, for reading and writing. The library's own export may be for reading only, and the kernel
    /// exports a buffer one way or the other (`drm_gem_prime_handle_to_fd`, drm_prime.c).
    ///
    /// # Errors
    /// The driver exports none.
    pub fn export(&self, device: &Device) -> io::Result<OwnedFd> {
        device.buffer_to_prime_fd(self.handle, libc::O_CLOEXEC as u32 | libc::O_RDWR as u32)
    }
}

impl drm::buffer::Buffer for Object {
    fn size(&self) -> (u32, u32) {
        self.size
    }

    fn format(&self) -> DrmFourcc {
        DrmFourcc::Xrgb8888
    }

    fn pitch(&self) -> u32 {
        // SAFETY: the buffer is there as long as `self`.
        unsafe { (self.opened.library.stride)(self.object.as_ptr()) }
    }

    fn handle(&self) -> Handle {
        self.handle
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        // SAFETY: the library has made it, and nobody uses it after this; its device is still there.
        unsafe { (self.opened.library.destroy_object)(self.object.as_ptr()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_lacks_the_library_is_told_its_name_and_what_to_do() {
        let error = GbmError::from(Library::load("libgbm-of-nobody.so.1").unwrap_err()).to_string();
        for part in ["libgbm-of-nobody.so.1: ", "install Mesa's libgbm", "[kms] buffers = \"dumb\""] {
            assert!(error.contains(part), "{error}");
        }
    }
}
