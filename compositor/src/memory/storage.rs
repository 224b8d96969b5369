//! The daemon's own pictures: those of layers, and the buffers of outputs, which may be a device's.

use std::cell::Cell;
use std::os::fd::{AsRawFd, OwnedFd};

use blitd_pixels::view::{Layout, Picture, PictureMut, View, ViewMut};
use blitd_protocol::error::{Coded, ErrorCode};
use blitd_protocol::image::{Format, Rectangle};
use blitd_protocol::value::Access;
use memmap2::MmapOptions;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::ftruncate;

use super::cache;
use super::dmabuf::Dmabuf;
use super::unmap::{Mapping, Unmapper};

/// How much longer it takes to write memory for the first time, when the kernel has to find and clear each page: 250
/// microseconds for 256 KiB, where 20 are usual.
const NEW_MEMORY: u64 = 12;

/// How much longer it takes to write past the cache than into it.
const PAST_CACHE: u64 = 2;

/// Rows begin on a cache line.
const ALIGNMENT: u64 = 64;

/// A picture of the daemon's own, of 32 bits a pixel: in cached memory backed by a memfd, or in memory of a device that
/// a card scans out, which may be uncached. The mapping keeps it; a descriptor is kept for a dmabuf only.
///
/// A storage is shared by its layer and by the frames that are being composed from it. All of them are on the one
/// loop, and nobody keeps a view of it from one slice to the next.
#[derive(Debug)]
pub struct Storage {
    mapping: Mapping,
    layout: Layout,
    /// About how many bytes have not been written yet.
    untouched: Cell<u64>,
}

/// The daemon could not get the memory for a picture.
#[derive(Debug, thiserror::Error)]
#[error("no memory for a picture of {width}x{height} pixels ({source}): make it smaller, or try later")]
pub struct StorageError {
    width: u32,
    height: u32,
    source: std::io::Error,
}

impl Coded for StorageError {
    fn code(&self) -> ErrorCode {
        ErrorCode::OutOfMemory
    }
}

impl Storage {
    /// How many bytes a picture of this size takes.
    pub const fn bytes_for(width: u32, height: u32) -> u64 {
        (width as u64 * 4).next_multiple_of(ALIGNMENT) * height as u64
    }

    /// Allocates a picture in a memfd, zero at first. Its size is in pixels.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn new(width: u32, height: u32, format: Format, unmapper: &Unmapper) -> Result<Self, StorageError> {
        let failed = |source| StorageError { width, height, source };
        let bytes = Self::bytes_for(width, height);
        let descriptor =
            memfd_create(c"blitd-picture", MFdFlags::MFD_CLOEXEC).map_err(|errno| failed(errno.into()))?;
        let length = i64::try_from(bytes).map_err(|_| failed(std::io::ErrorKind::OutOfMemory.into()))?;
        ftruncate(&descriptor, length).map_err(|errno| failed(errno.into()))?;
        let length = usize::try_from(bytes).map_err(|_| failed(std::io::ErrorKind::OutOfMemory.into()))?;
        let map = MmapOptions::new().len(length).map_raw(&descriptor).map_err(failed)?;
        let stride = (width as usize * 4).next_multiple_of(ALIGNMENT as usize);
        let layout = Layout { width, height, stride, offset: 0, format };
        Ok(Self { mapping: Mapping::new(map, unmapper), layout, untouched: Cell::new(bytes) })
    }

    /// A picture in the memory of a device, such as a dumb buffer: its `width` and `height` at `offset` of the device's
    /// file, with rows of `stride` bytes.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn of_device(
        device: &impl AsRawFd,
        offset: u64,
        stride: u32,
        (width, height): (u32, u32),
        format: Format,
        unmapper: &Unmapper,
    ) -> std::io::Result<Self> {
        let stride = stride as usize;
        let length = stride.checked_mul(height as usize).ok_or(std::io::ErrorKind::OutOfMemory)?;
        let map = MmapOptions::new().offset(offset).len(length).map_raw(device.as_raw_fd())?;
        let layout = Layout { width, height, stride, offset: 0, format };
        Ok(Self { mapping: Mapping::new(map, unmapper), layout, untouched: Cell::new(0) })
    }

    /// A picture in a buffer that a device's driver has allocated for the daemon: its `width` and `height` at the start
    /// of the buffer's dmabuf, with rows of `stride` bytes. What is drawn reaches the device with
    /// [`flush`](Self::flush).
    ///
    /// # Errors
    /// What the kernel says.
    pub fn of_dmabuf(
        descriptor: OwnedFd,
        stride: u32,
        (width, height): (u32, u32),
        format: Format,
        unmapper: &Unmapper,
    ) -> std::io::Result<Self> {
        let dmabuf = Dmabuf::new(descriptor)?.ok_or(std::io::ErrorKind::InvalidInput)?;
        let stride = stride as usize;
        let length = stride.checked_mul(height as usize).ok_or(std::io::ErrorKind::OutOfMemory)?;
        let map = dmabuf.map(length, Access::ReadWrite)?;
        let layout = Layout { width, height, stride, offset: 0, format };
        let untouched = Cell::new(0);
        let storage = Self { mapping: Mapping::of_dmabuf(map, dmabuf, unmapper), layout, untouched };
        storage.flush()?;
        Ok(storage)
    }

    /// Makes what has been drawn reach the device, where the memory is a dmabuf.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn flush(&self) -> std::io::Result<()> {
        self.mapping.dmabuf().map_or(Ok(()), |dmabuf| Ok(dmabuf.flush()?))
    }

    /// The picture's rectangle, at the origin.
    pub const fn bounds(&self) -> Rectangle {
        Rectangle::from_size(self.layout.width, self.layout.height)
    }

    /// Its pixel format.
    pub const fn format(&self) -> Format {
        self.layout.format
    }

    /// How many bytes it takes.
    pub fn bytes(&self) -> u64 {
        self.mapping.len() as u64
    }

    /// The picture, for reading.
    pub fn picture(&self) -> Option<Picture<'_>> {
        // SAFETY: the mapping is readable, and lives as long as `self`.
        let view = unsafe { View::from_raw(self.mapping.address(), self.mapping.len()) };
        Picture::new(view, self.layout)
    }

    /// What writing so many bytes of it in all costs, as a multiple of what it costs where they are in the cache.
    pub fn price(&self, bytes: u64) -> u64 {
        match self.untouched.get() {
            0 if cache::is_too_small_for(bytes) => PAST_CACHE,
            0 => 1,
            _ => NEW_MEMORY,
        }
    }

    /// Takes note that so many bytes have been written.
    pub fn written(&self, bytes: u64) {
        self.untouched.set(self.untouched.get().saturating_sub(bytes));
    }

    /// The picture, for writing so many bytes of it in all: past the cache, where that is too small for them.
    pub fn picture_for(&self, bytes: u64) -> Option<PictureMut<'_>> {
        let picture = self.picture_mut()?;
        Some(if cache::is_too_small_for(bytes) { picture.past_cache() } else { picture })
    }

    /// The picture, for writing. Views are raw, so that readers between two slices need no lock.
    pub fn picture_mut(&self) -> Option<PictureMut<'_>> {
        // SAFETY: the mapping is writable, lives as long as `self`, and no reference to it is ever made: all of the
        // daemon goes through views, on one thread (a Storage is neither Send nor Sync).
        let view = unsafe { ViewMut::from_raw(self.mapping.address(), self.mapping.len()) };
        PictureMut::new(view, self.layout)
    }
}
