//! Regions: memory that a client lends, or that the daemon holds for a client that cannot share any.
//!
//! A region is checked and mapped once, when it is created. After that its pixels are read, or written, where they
//! are.

use std::cell::Cell;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use blitd_pixels::view::{View, ViewMut};
use blitd_protocol::error::{Coded, ErrorCode};
use blitd_protocol::value::Access;
use foldhash::HashMap;
use memmap2::{MmapOptions, MmapRaw};
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::stat::fstat;
use nix::sys::statfs::{TMPFS_MAGIC, fstatfs};

use super::dmabuf::Dmabuf;
use super::guard::guarded;
use super::unmap::{Mapping, Unmapper};

/// How long a request waits for the fences of dmabufs, in milliseconds from when its turn has come: a few frames of
/// whoever draws into them.
pub const FENCE_PATIENCE_MS: u64 = 100;

/// What is wrong with a region, or with what is asked of it.
#[derive(Debug, thiserror::Error)]
pub enum RegionError {
    /// It can be shrunk.
    #[error(
        "the memory of region {region} can be shrunk: create it with memfd_create(MFD_ALLOW_SEALING) and add F_SEAL_SHRINK"
    )]
    NotSealed {
        /// The region's id.
        region: u32,
    },
    /// It has pages that were never allocated.
    #[error(
        "{allocated} of the {size} bytes of region {region} are allocated: call fallocate before region_create"
    )]
    Holes {
        /// The region's id.
        region: u32,
        /// Bytes that have pages.
        allocated: u64,
        /// Bytes of the file.
        size: u64,
    },
    /// It is smaller than stated.
    #[error(
        "region {region} states {stated} bytes and its memory has {size}: state at most that, and at least 1"
    )]
    TooSmall {
        /// The region's id.
        region: u32,
        /// The size as stated.
        stated: u64,
        /// The memory's size.
        size: u64,
    },
    /// It cannot be mapped.
    #[error("region {region} cannot be mapped ({source}): send a memfd{}", .hint)]
    NotMappable {
        /// The region's id.
        region: u32,
        /// The kernel's words.
        source: std::io::Error,
        /// What more there is to say.
        hint: &'static str,
    },
    /// There is none to be had.
    #[error("no memory for region {region} of {size} bytes ({source}): ask for less, or try later")]
    NoMemory {
        /// The region's id.
        region: u32,
        /// The size as stated.
        size: u64,
        /// The kernel's words.
        source: std::io::Error,
    },
    /// Its driver does not let it be touched.
    #[error("the dmabuf of region {region} cannot be touched ({source}): create another, or send a memfd")]
    NotAccessible {
        /// The region's id.
        region: u32,
        /// The kernel's words.
        source: std::io::Error,
    },
    /// Others have not been done with it in time.
    #[error(
        "the fences of region {region} have not signalled after {FENCE_PATIENCE_MS} ms: send the request when the dmabuf's writers, and for a capture its readers, are done, or nearly"
    )]
    FenceTimeout {
        /// The region's id.
        region: u32,
    },
    /// It went away while it was in use.
    #[error("the memory of region {region} went away while it was in use: destroy it and create another")]
    Fault {
        /// The region's id.
        region: u32,
    },
    /// It is shared memory, and the request is for held memory.
    #[error(
        "region {region} is shared memory: write and read it where it is, these requests are for held regions"
    )]
    NotHeld {
        /// The region's id.
        region: u32,
    },
    /// It was created for reading only.
    #[error(
        "region {region} was created with access read: create it with access read and write to capture into it"
    )]
    NotWritable {
        /// The region's id.
        region: u32,
    },
    /// A range ends after it.
    #[error("bytes {offset} to {end} are not inside region {region}, which has {size}")]
    Outside {
        /// The region's id.
        region: u32,
        /// The first byte.
        offset: u64,
        /// The byte after the last.
        end: u64,
        /// The region's size.
        size: u64,
    },
    /// There is no such region.
    #[error("there is no region {region} on this connection: create it first")]
    Unknown {
        /// The id as received.
        region: u32,
    },
    /// The id is taken.
    #[error("there is a region {region} already: choose another id or destroy it first")]
    InUse {
        /// The id as received.
        region: u32,
    },
}

impl Coded for RegionError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::NotSealed { .. } => ErrorCode::RegionNotSealed,
            Self::Holes { .. } => ErrorCode::RegionHasHoles,
            Self::TooSmall { .. } => ErrorCode::RegionTooSmall,
            Self::NotMappable { .. } => ErrorCode::RegionNotMappable,
            Self::NoMemory { .. } => ErrorCode::OutOfMemory,
            Self::Fault { .. } | Self::NotAccessible { .. } => ErrorCode::RegionFault,
            Self::FenceTimeout { .. } => ErrorCode::FenceTimeout,
            Self::NotHeld { .. } => ErrorCode::RegionNotHeld,
            Self::NotWritable { .. } => ErrorCode::RegionNotWritable,
            Self::Outside { .. } => ErrorCode::OutsideRegion,
            Self::Unknown { .. } => ErrorCode::UnknownRegion,
            Self::InUse { .. } => ErrorCode::IdInUse,
        }
    }
}

/// Where a region's memory comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// The client's, sealed and with all its pages.
    Sealed,
    /// The client's, and it may take it away.
    Unsealed,
    /// A device's. The pages of udmabuf and of the heaps stay, but those of many cards do not: panfrost and msm free
    /// what their user has marked as not needed (MADVISE), and TTM gives none of a card that is gone; the fault is a
    /// SIGBUS then (`drm_gem_shmem_fault`, `msm_gem_fault`, `ttm_bo_vm_fault_reserved`).
    Device,
    /// The daemon's.
    Held,
}

/// A region of memory.
#[derive(Debug)]
pub struct Region {
    id: u32,
    mapping: Mapping,
    origin: Origin,
    writable: bool,
    faulted: Cell<bool>,
}

impl Region {
    /// Maps memory that a client shares, after checking it. The descriptor is not kept: the mapping is enough.
    ///
    /// `unsealed` admits memory that can be shrunk, for clients whose policy allows that.
    ///
    /// # Errors
    /// What is wrong with the memory.
    pub fn share(
        id: u32,
        descriptor: &OwnedFd,
        access: Access,
        stated: u64,
        unsealed: bool,
        unmapper: &Unmapper,
    ) -> Result<Self, RegionError> {
        let unmappable = |source, hint| RegionError::NotMappable { region: id, source, hint };
        // Nothing but memory, even where policy lets what is not sealed in: a page of another file may never come
        // (FUSE), and huge pages are mapped and unmapped by other rules than the guard's and fault when their pool is
        // empty.
        let system = fstatfs(descriptor).map_err(|errno| unmappable(errno.into(), ""))?;
        if system.filesystem_type() != TMPFS_MAGIC {
            let source = std::io::Error::new(std::io::ErrorKind::Unsupported, "it is not memory of tmpfs");
            return Err(unmappable(source, ", nothing else is taken"));
        }
        let seals = match fcntl(descriptor.as_fd(), FcntlArg::F_GET_SEALS) {
            Ok(bits) => SealFlag::from_bits_truncate(bits),
            Err(errno) => return Err(unmappable(errno.into(), ", nothing else can be sealed")),
        };
        let sealed = seals.contains(SealFlag::F_SEAL_SHRINK);
        if !sealed && !unsealed {
            return Err(RegionError::NotSealed { region: id });
        }
        let status = fstat(descriptor.as_fd()).map_err(|errno| unmappable(errno.into(), ""))?;
        let size = u64::try_from(status.st_size).unwrap_or(0);
        let length = usize::try_from(stated).ok().filter(|&length| length > 0 && stated <= size);
        let Some(length) = length else {
            return Err(RegionError::TooSmall { region: id, stated, size });
        };
        // st_blocks counts 512 bytes each, whatever the file system's block size (stat(3type)).
        let allocated = u64::try_from(status.st_blocks).unwrap_or(0).saturating_mul(512);
        if allocated < size {
            return Err(RegionError::Holes { region: id, allocated, size });
        }
        let mut options = MmapOptions::new();
        options.len(length);
        let writable = access == Access::ReadWrite;
        let map = if writable { options.map_raw(descriptor) } else { options.map_raw_read_only(descriptor) };
        let map = map.map_err(|error| {
            if error.raw_os_error() == Some(nix::libc::ENOMEM) {
                return RegionError::NoMemory { region: id, size: stated, source: error };
            }
            let hint =
                if writable { " without F_SEAL_WRITE, open for writing, or with access read" } else { "" };
            unmappable(error, hint)
        })?;
        let origin = if sealed { Origin::Sealed } else { Origin::Unsealed };
        Ok(Self::of(id, map, origin, writable, unmapper))
    }

    /// Looks whether a descriptor is a dmabuf of the stated size; says how many bytes of it are to be mapped.
    ///
    /// # Errors
    /// [`RegionError::NotMappable`], [`RegionError::TooSmall`].
    pub fn check_dmabuf(id: u32, descriptor: OwnedFd, stated: u64) -> Result<(Dmabuf, usize), RegionError> {
        let unmappable = |source| RegionError::NotMappable {
            region: id,
            source,
            hint: ", and say that it is one, or a dmabuf",
        };
        let none = || unmappable(std::io::Error::new(std::io::ErrorKind::Unsupported, "it is no dmabuf"));
        let dmabuf = Dmabuf::new(descriptor).map_err(|errno| unmappable(errno.into()))?.ok_or_else(none)?;
        let size = dmabuf.size().map_err(|errno| unmappable(errno.into()))?;
        let length = usize::try_from(stated).ok().filter(|&length| length > 0 && stated <= size);
        let length = length.ok_or(RegionError::TooSmall { region: id, stated, size })?;
        Ok((dmabuf, length))
    }

    /// A dmabuf that the helper thread has mapped, or has not.
    ///
    /// # Errors
    /// [`RegionError::NotMappable`], [`RegionError::NoMemory`].
    pub fn of_dmabuf(
        id: u32,
        access: Access,
        stated: u64,
        mapped: std::io::Result<Mapping>,
    ) -> Result<Self, RegionError> {
        let writable = access == Access::ReadWrite;
        match mapped {
            Ok(mapping) => {
                Ok(Self { id, mapping, origin: Origin::Device, writable, faulted: Cell::new(false) })
            }
            Err(source) if source.raw_os_error() == Some(nix::libc::ENOMEM) => {
                Err(RegionError::NoMemory { region: id, size: stated, source })
            }
            Err(source) => {
                let hint = if writable {
                    ", or a dmabuf that is open for writing and whose driver maps it"
                } else {
                    ", or a dmabuf whose driver maps it"
                };
                Err(RegionError::NotMappable { region: id, source, hint })
            }
        }
    }

    /// Memory that the daemon holds for a client, zero at first.
    ///
    /// # Errors
    /// [`RegionError::TooSmall`] for a size of 0, [`RegionError::NoMemory`].
    pub fn hold(id: u32, access: Access, stated: u64, unmapper: &Unmapper) -> Result<Self, RegionError> {
        let length = usize::try_from(stated).ok().filter(|&length| length > 0);
        let Some(length) = length else {
            return Err(RegionError::TooSmall { region: id, stated, size: stated });
        };
        let map = MmapOptions::new().len(length).map_anon().map_err(|source| RegionError::NoMemory {
            region: id,
            size: stated,
            source,
        })?;
        Ok(Self::of(id, map.into(), Origin::Held, access == Access::ReadWrite, unmapper))
    }

    fn of(id: u32, map: MmapRaw, origin: Origin, writable: bool, unmapper: &Unmapper) -> Self {
        Self { id, mapping: Mapping::new(map, unmapper), origin, writable, faulted: Cell::new(false) }
    }

    /// Its id on its connection.
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.mapping.len() as u64
    }

    /// Whether the memory can be taken away while it is read.
    pub fn may_fault(&self) -> bool {
        matches!(self.origin, Origin::Unsealed | Origin::Device)
    }

    /// The dmabuf that it is, if it is one.
    pub const fn dmabuf(&self) -> Option<&Dmabuf> {
        self.mapping.dmabuf()
    }

    /// Reads the memory.
    ///
    /// # Errors
    /// [`RegionError::Fault`] where it went away meanwhile, or had before.
    pub fn read<T>(&self, operate: impl FnOnce(View<'_>) -> T) -> Result<T, RegionError> {
        // SAFETY: the mapping is readable and lives as long as `self`; what is shared may change, which views allow.
        let view = unsafe { View::from_raw(self.mapping.address(), self.mapping.len()) };
        self.guard(|| operate(view))
    }

    /// Writes the memory.
    ///
    /// # Errors
    /// [`RegionError::NotWritable`], or [`RegionError::Fault`] where it went away meanwhile, or had before.
    pub fn write<T>(&self, operate: impl FnOnce(ViewMut<'_>) -> T) -> Result<T, RegionError> {
        self.check_writable()?;
        // SAFETY: the mapping is writable, lives as long as `self`, and no reference to it is ever made.
        let view = unsafe { ViewMut::from_raw(self.mapping.address(), self.mapping.len()) };
        self.guard(|| operate(view))
    }

    /// Refuses where the daemon may not write.
    ///
    /// # Errors
    /// [`RegionError::NotWritable`].
    pub fn check_writable(&self) -> Result<(), RegionError> {
        if self.writable { Ok(()) } else { Err(RegionError::NotWritable { region: self.id }) }
    }

    fn guard<T>(&self, operate: impl FnOnce() -> T) -> Result<T, RegionError> {
        let fault = RegionError::Fault { region: self.id };
        if self.faulted.get() {
            return Err(fault);
        }
        if self.origin == Origin::Held {
            return Ok(operate());
        }
        // SAFETY: the mapping is this region's own, and `self` keeps it.
        let (result, faulted) =
            unsafe { guarded(self.mapping.address() as usize, self.mapping.len(), operate) };
        self.faulted.set(faulted);
        if faulted { Err(fault) } else { Ok(result) }
    }

    /// Takes bytes into held memory.
    ///
    /// # Errors
    /// [`RegionError::NotHeld`] or [`RegionError::Outside`].
    pub fn put(&self, offset: u64, bytes: &[u8]) -> Result<(), RegionError> {
        let at = self.held_range(offset, bytes.len() as u64)?;
        // SAFETY: held memory is always mapped writable, lives as long as `self`, and no reference to it is ever made.
        let mut view = unsafe { ViewMut::from_raw(self.mapping.address(), self.mapping.len()) };
        view.write(at, bytes);
        Ok(())
    }

    /// Appends bytes of held memory to `out`.
    ///
    /// # Errors
    /// [`RegionError::NotHeld`] or [`RegionError::Outside`].
    pub fn get(&self, offset: u64, length: u32, out: &mut Vec<u8>) -> Result<(), RegionError> {
        let at = self.held_range(offset, u64::from(length))?;
        self.read(|view| view.read(at, length as usize, out))?;
        Ok(())
    }

    fn held_range(&self, offset: u64, length: u64) -> Result<usize, RegionError> {
        if self.origin != Origin::Held {
            return Err(RegionError::NotHeld { region: self.id });
        }
        let size = self.size();
        let end = offset.saturating_add(length);
        match usize::try_from(offset) {
            Ok(at) if end <= size => Ok(at),
            _ => Err(RegionError::Outside { region: self.id, offset, end, size }),
        }
    }
}

/// The regions of one connection.
#[derive(Debug, Default)]
pub struct Regions {
    regions: HashMap<u32, Rc<Region>>,
    bytes: u64,
}

impl Regions {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.regions.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.regions.is_empty()
    }

    /// How many bytes they have together.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Refuses an id that is taken.
    ///
    /// # Errors
    /// [`RegionError::InUse`].
    pub fn check_free(&self, region: u32) -> Result<(), RegionError> {
        if self.regions.contains_key(&region) { Err(RegionError::InUse { region }) } else { Ok(()) }
    }

    /// Takes a region in, whose id is free.
    pub fn insert(&mut self, region: Region) {
        self.bytes += region.size();
        if let Some(old) = self.regions.insert(region.id(), Rc::new(region)) {
            self.bytes -= old.size();
        }
    }

    /// The region with this id.
    ///
    /// # Errors
    /// [`RegionError::Unknown`].
    pub fn get(&self, region: u32) -> Result<&Rc<Region>, RegionError> {
        self.regions.get(&region).ok_or(RegionError::Unknown { region })
    }

    /// Ends a region. Work that still reads it keeps the memory until it is done.
    ///
    /// # Errors
    /// [`RegionError::Unknown`].
    pub fn remove(&mut self, region: u32) -> Result<Rc<Region>, RegionError> {
        let removed = self.regions.remove(&region).ok_or(RegionError::Unknown { region })?;
        self.bytes -= removed.size();
        Ok(removed)
    }
}

#[cfg(test)]
mod tests;
