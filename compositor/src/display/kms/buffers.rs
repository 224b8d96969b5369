//! Buffers that a card can show, and that a processor can draw into.
//!
//! Dumb buffers, which nearly any driver has, are just that: linear, and mapped for as long as they are there. Linear
//! buffers of GBM ([`super::gbm`]) are for drivers that have no dumb ones, or whose own are better; the library is
//! loaded when the first is asked for.

use std::os::fd::AsFd;
use std::rc::Rc;

use blitd_protocol::image::Format;
use drm::buffer::{Buffer as _, DrmFourcc};
use drm::control::dumbbuffer::DumbBuffer;
use drm::control::{Device as _, framebuffer};

use super::device::{Device, KmsError};
use super::gbm;
use crate::memory::storage::Storage;
use crate::memory::unmap::Unmapper;
use crate::policy::config::BufferChoice;

/// Of XRGB8888: the bits of a pixel that count for its colour, and all of them.
const DEPTH: u32 = 24;
const BITS_PER_PIXEL: u32 = 32;

/// Where buffers come from.
#[derive(Debug)]
pub struct Allocator {
    device: Rc<Device>,
    choice: BufferChoice,
    gbm: Option<gbm::Allocator>,
    unmapper: Unmapper,
}

/// What a buffer is made of.
#[derive(Debug)]
enum Memory {
    Dumb(Option<DumbBuffer>),
    /// Keeps the buffer that the storage maps.
    Gbm(#[allow(dead_code, reason = "it is kept, not looked at")] gbm::Object),
}

/// A buffer that can be shown.
#[derive(Debug)]
pub struct Buffer {
    device: Rc<Device>,
    storage: Rc<Storage>,
    framebuffer: framebuffer::Handle,
    memory: Memory,
}

impl Allocator {
    /// For buffers on this card.
    pub fn new(device: &Rc<Device>, choice: BufferChoice, unmapper: &Unmapper) -> Self {
        Self { device: Rc::clone(device), choice, gbm: None, unmapper: unmapper.clone() }
    }

    /// A buffer of XRGB8888 pixels, whose width and height are these.
    ///
    /// # Errors
    /// The card refuses.
    pub fn allocate(&mut self, size: (u32, u32)) -> Result<Buffer, KmsError> {
        match self.choice {
            BufferChoice::Dumb => self.dumb(size),
            BufferChoice::Gbm => self.gbm(size),
            BufferChoice::Auto => self.dumb(size).or_else(|error| {
                tracing::info!("{error}: trying GBM");
                self.gbm(size).inspect_err(|error| tracing::warn!("{error}")).map_err(|_| error)
            }),
        }
    }

    fn refused(&self, what: &str, (width, height): (u32, u32), source: std::io::Error) -> KmsError {
        self.device.refused(format!("{what} of {width}x{height}"), source)
    }

    fn dumb(&self, size: (u32, u32)) -> Result<Buffer, KmsError> {
        let dumb = self
            .device
            .create_dumb_buffer(size, DrmFourcc::Xrgb8888, BITS_PER_PIXEL)
            .map_err(|source| self.refused("making a dumb buffer", size, source))?;
        let place = drm_ffi::mode::dumbbuffer::map(self.device.as_fd(), dumb.handle().into(), 0, 0);
        let storage = place.and_then(|place| {
            let device = self.device.as_fd();
            Storage::of_device(&device, place.offset, dumb.pitch(), size, Format::Xrgb8888, &self.unmapper)
        });
        let made = storage
            .map_err(|source| self.refused("mapping a dumb buffer", size, source))
            .and_then(|storage| Ok((storage, self.framebuffer(&dumb, size)?)));
        match made {
            Ok((storage, framebuffer)) => Ok(Buffer {
                device: Rc::clone(&self.device),
                storage: Rc::new(storage),
                framebuffer,
                memory: Memory::Dumb(Some(dumb)),
            }),
            Err(error) => {
                let _ = self.device.destroy_dumb_buffer(dumb);
                Err(error)
            }
        }
    }

    fn gbm(&mut self, size: (u32, u32)) -> Result<Buffer, KmsError> {
        let gbm = match self.gbm.take() {
            Some(gbm) => gbm,
            None => gbm::Allocator::open(&self.device)
                .map_err(|source| KmsError::Gbm { path: self.device.path().into(), source })?,
        };
        let object = gbm.allocate(size).map_err(|source| self.refused("making a GBM buffer", size, source));
        self.gbm = Some(gbm);
        let object = object?;
        let storage = object
            .export(&self.device)
            .and_then(|dmabuf| {
                Storage::of_dmabuf(dmabuf, object.pitch(), size, Format::Xrgb8888, &self.unmapper)
            })
            .map_err(|source| self.refused("mapping a GBM buffer", size, source))?;
        let framebuffer = self.framebuffer(&object, size)?;
        Ok(Buffer {
            device: Rc::clone(&self.device),
            storage: Rc::new(storage),
            framebuffer,
            memory: Memory::Gbm(object),
        })
    }

    fn framebuffer(
        &self,
        buffer: &impl drm::buffer::Buffer,
        size: (u32, u32),
    ) -> Result<framebuffer::Handle, KmsError> {
        let made = self.device.add_framebuffer(buffer, DEPTH, BITS_PER_PIXEL);
        made.map_err(|source| self.refused("making a framebuffer", size, source))
    }
}

impl Buffer {
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
        if let Memory::Dumb(dumb) = &mut self.memory
            && let Some(dumb) = dumb.take()
        {
            let _ = self.device.destroy_dumb_buffer(dumb);
        }
    }
}
