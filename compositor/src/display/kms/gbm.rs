//! Linear scanout buffers from GBM, the buffer manager that a card's own driver library implements.
//!
//! They are mapped through their dmabuf: a mapping of `gbm_bo_map` may be a copy that only reaches the buffer when it
//! is unmapped. Without the feature `gbm` there are none.

#[cfg(feature = "gbm")]
pub use with::{Allocator, Object};
#[cfg(not(feature = "gbm"))]
pub use without::{Allocator, Object};

#[cfg(feature = "gbm")]
mod with {
    use std::fs::File;
    use std::io;
    use std::num::NonZeroU32;
    use std::os::fd::{AsFd, OwnedFd};

    use drm::buffer::{DrmFourcc, Handle};
    use drm::control::Device as _;
    use gbm::{BufferObject, BufferObjectFlags, Format};
    use nix::libc;

    use super::super::device::Device;

    /// The library, opened for a card.
    #[derive(Debug)]
    pub struct Allocator(gbm::Device<File>);

    /// A buffer of GBM. It lives as long as this.
    #[derive(Debug)]
    pub struct Object {
        object: BufferObject<()>,
        handle: Handle,
    }

    impl Allocator {
        /// Opens the library for a card.
        ///
        /// # Errors
        /// There is no driver for it.
        pub fn open(device: &Device) -> io::Result<Self> {
            // The same open file, so that numbers of buffers mean the same.
            gbm::Device::new(device.as_fd().try_clone_to_owned()?.into()).map(Self)
        }

        /// A linear buffer that can be shown.
        ///
        /// # Errors
        /// The driver refuses.
        pub fn allocate(&self, (width, height): (u32, u32)) -> io::Result<Object> {
            let flags = BufferObjectFlags::SCANOUT | BufferObjectFlags::LINEAR;
            let object = self.0.create_buffer_object::<()>(width, height, Format::Xrgb8888, flags)?;
            // SAFETY: the number of a buffer of a DRM card is the 32-bit member (gbm_bo_get_handle of Mesa's gbm.h);
            // any bits are a number.
            let number = unsafe { object.handle().u32_ };
            let number = NonZeroU32::new(number).ok_or(io::ErrorKind::InvalidData)?;
            Ok(Object { object, handle: Handle::from(number) })
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
            (self.object.width(), self.object.height())
        }

        fn format(&self) -> DrmFourcc {
            DrmFourcc::Xrgb8888
        }

        fn pitch(&self) -> u32 {
            self.object.stride()
        }

        fn handle(&self) -> Handle {
            self.handle
        }
    }
}

#[cfg(not(feature = "gbm"))]
mod without {
    use std::convert::Infallible;
    use std::io;
    use std::os::fd::OwnedFd;

    use drm::buffer::{DrmFourcc, Handle};

    use super::super::device::Device;

    /// There is none.
    #[derive(Debug)]
    pub struct Allocator(Infallible);

    /// There is none.
    #[derive(Debug)]
    pub struct Object(Infallible);

    impl Allocator {
        /// Always refuses.
        ///
        /// # Errors
        /// This blitd was built without GBM.
        pub fn open(_: &Device) -> io::Result<Self> {
            Err(io::Error::new(io::ErrorKind::Unsupported, "this blitd was built without it"))
        }

        /// Never called.
        ///
        /// # Errors
        /// None.
        pub fn allocate(&self, _: (u32, u32)) -> io::Result<Object> {
            match self.0 {}
        }
    }

    impl Object {
        /// Never called.
        ///
        /// # Errors
        /// None.
        pub fn export(&self, _: &Device) -> io::Result<OwnedFd> {
            match self.0 {}
        }
    }

    impl drm::buffer::Buffer for Object {
        fn size(&self) -> (u32, u32) {
            match self.0 {}
        }

        fn format(&self) -> DrmFourcc {
            match self.0 {}
        }

        fn pitch(&self) -> u32 {
            match self.0 {}
        }

        fn handle(&self) -> Handle {
            match self.0 {}
        }
    }
}
