//! Dumb buffers: pictures in the card's memory, which any card has.

use std::os::fd::AsFd;
use std::rc::Rc;

use blitd_protocol::image::Format;
use drm::buffer::{Buffer as _, DrmFourcc};
use drm::control::dumbbuffer::DumbBuffer;
use drm::control::{Device as _, framebuffer};

use super::device::{Device, KmsError};
use crate::memory::storage::Storage;
use crate::memory::unmap::Unmapper;

/// A buffer that can be shown.
#[derive(Debug)]
pub struct Buffer {
    device: Rc<Device>,
    storage: Rc<Storage>,
    framebuffer: framebuffer::Handle,
    dumb: Option<DumbBuffer>,
}

impl Buffer {
    /// A dumb buffer of XRGB8888 pixels, zero at first.
    ///
    /// # Errors
    /// The card refuses.
    pub fn dumb(device: &Rc<Device>, width: u32, height: u32, unmapper: &Unmapper) -> Result<Self, KmsError> {
        let refused = |what: &str, source| device.refused(format!("{what} of {width}x{height}"), source);
        let dumb = device
            .create_dumb_buffer((width, height), DrmFourcc::Xrgb8888, 32)
            .map_err(|source| refused("making a buffer", source))?;
        let made = Self::of_dumb(device, &dumb, width, height, unmapper);
        match made {
            Ok((storage, framebuffer)) => Ok(Self {
                device: Rc::clone(device),
                storage: Rc::new(storage),
                framebuffer,
                dumb: Some(dumb),
            }),
            Err((what, source)) => {
                let _ = device.destroy_dumb_buffer(dumb);
                Err(refused(what, source))
            }
        }
    }

    fn of_dumb(
        device: &Device,
        dumb: &DumbBuffer,
        width: u32,
        height: u32,
        unmapper: &Unmapper,
    ) -> Result<(Storage, framebuffer::Handle), (&'static str, std::io::Error)> {
        let place = drm_ffi::mode::dumbbuffer::map(device.as_fd(), dumb.handle().into(), 0, 0)
            .map_err(|source| ("mapping a buffer", source))?;
        let storage = Storage::of_device(
            &device.as_fd(),
            place.offset,
            dumb.pitch(),
            (width, height),
            Format::Xrgb8888,
            unmapper,
        )
        .map_err(|source| ("mapping a buffer", source))?;
        let framebuffer =
            device.add_framebuffer(dumb, 24, 32).map_err(|source| ("making a framebuffer", source))?;
        Ok((storage, framebuffer))
    }

    /// Its pixels.
    pub const fn storage(&self) -> &Rc<Storage> {
        &self.storage
    }

    /// What the card shows it by.
    pub const fn framebuffer(&self) -> framebuffer::Handle {
        self.framebuffer
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // The card's file may be closing as well; then all of this goes with it.
        let _ = self.device.destroy_framebuffer(self.framebuffer);
        if let Some(dumb) = self.dumb.take() {
            let _ = self.device.destroy_dumb_buffer(dumb);
        }
    }
}
