//! Memory that can be lent.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use blitd_protocol::request::RegionCreate;
use blitd_protocol::value::{Access, Memory as Kind};
use memmap2::MmapMut;

use crate::error::Error;
use crate::exchange::Shared;
use crate::inline::Ranges;
use crate::memory;

/// Memory that the daemon draws from and captures into.
///
/// A blocking call that lends it takes it `&mut` and gives it back with the reply; one that
/// [lends it for later](crate::Connection::lend_draw) takes it as it is, and a [`Lent`](crate::Lent) gives it back.
/// **Where no reply came, it does not come back**, since the daemon may still be using the memory: it is empty from then
/// on. A daemon that is gone uses nothing, so with its end a region is the program's again.
///
/// One that was lent as a [dmabuf](crate::Connection::lend_dmabuf) has no bytes here: the program paints it as its
/// driver has it, by a device or by a mapping of its own. All else is the same.
///
/// It belongs to the connection that made it; any other refuses it with [`Error::OtherConnection`]. When it is dropped,
/// its memory here is freed, and that at the daemon with the connection's next call.
#[derive(Debug)]
pub struct Region {
    backing: Arc<Backing>,
    shared: Arc<Shared>,
    /// `None` after no reply came.
    memory: Option<Memory>,
    is_destroyed: bool,
}

/// What is lent.
#[derive(Debug)]
pub(crate) enum Memory {
    /// Mapped here.
    Mapped(MmapMut),
    /// A dmabuf of the program's, which keeps it.
    Dmabuf,
}

impl Region {
    pub(crate) fn new(backing: Arc<Backing>, shared: Arc<Shared>, memory: Memory) -> Self {
        Self { backing, shared, memory: Some(memory), is_destroyed: false }
    }

    /// Its id on its connection.
    pub fn id(&self) -> u32 {
        self.backing.id()
    }

    /// How many bytes it has here; none of a dmabuf.
    pub fn len(&self) -> usize {
        self.bytes().len()
    }

    /// Whether it has no bytes here: it is a dmabuf, or it was lent and no reply came.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        match &self.memory {
            Some(Memory::Mapped(map)) => map,
            _ => &[],
        }
    }

    /// Its bytes, for writing. Where a layer shows what is in them, that is copied before, so that it can be restored
    /// ([`LayerOptions::repainted`](crate::LayerOptions::repainted) says when that is, and does without). While a daemon
    /// that has come back draws from them, this waits.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.save_pictures();
        match &mut self.memory {
            Some(Memory::Mapped(map)) => map,
            _ => &mut [],
        }
    }

    /// Its bytes as words, which are pixels of the 32-bit formats on a little-endian machine: 0xffrrggbb for
    /// XRGB8888. Up to three bytes at the end that make no word are left out.
    pub fn pixels_mut(&mut self) -> &mut [u32] {
        self.save_pictures();
        match &mut self.memory {
            Some(Memory::Mapped(map)) => memory::words(map),
            _ => &mut [],
        }
    }

    /// Copies what pictures show of it, before it changes.
    fn save_pictures(&self) {
        if self.backing.is_marked() {
            let mapped = self.memory.as_ref().map(|_| self.bytes());
            self.shared.save_pictures(&self.backing, mapped);
        }
    }

    /// What is lent, for a request of this connection.
    ///
    /// # Errors
    /// It is another connection's, where its id may be that of a region that is not lent; or it was lent and did not
    /// come back.
    pub(crate) fn lendable(&self, connection: &Arc<Shared>) -> Result<Arc<Backing>, Error> {
        if !Arc::ptr_eq(&self.shared, connection) {
            return Err(Error::OtherConnection { region: self.id() });
        }
        if self.memory.is_none() {
            return Err(Error::Closed);
        }
        Ok(Arc::clone(&self.backing))
    }

    /// It was lent, and no reply came: the memory is out of the program's reach for good.
    pub(crate) fn lose(&mut self) {
        self.memory = None;
    }

    /// It has been ended at the daemon already.
    pub(crate) fn destroyed(mut self) {
        self.is_destroyed = true;
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        if !self.is_destroyed {
            self.shared.drop_region(self.id());
        }
    }
}

/// The memory behind a region, as it is lent: also when the region itself is in a handle, or gone.
#[derive(Debug)]
pub(crate) struct Backing {
    create: RegionCreate,
    file: File,
    /// A picture may show what is in it. Whoever sets it or looks at it has the region, or the lock under which it is
    /// given back.
    is_marked: AtomicBool,
}

impl Backing {
    /// Memory of `size` bytes under an id. Of a memfd it is `size` bytes long.
    pub(crate) fn new(region: u32, descriptor: OwnedFd, size: u64, memory: Kind, access: Access) -> Self {
        let create = RegionCreate { region, memory, access, size };
        Self { create, file: descriptor.into(), is_marked: AtomicBool::new(false) }
    }

    /// Its region's id.
    pub(crate) const fn id(&self) -> u32 {
        self.create.region
    }

    /// Whether it is a dmabuf, which is not read or written here.
    pub(crate) fn is_dmabuf(&self) -> bool {
        self.create.memory == Kind::Dmabuf
    }

    /// A picture shows what is in it: that is to be copied before it changes. Of dmabufs nothing is.
    pub(crate) fn mark(&self) {
        self.is_marked.store(!self.is_dmabuf(), Ordering::Relaxed);
    }

    /// No picture shows what is in it.
    pub(crate) fn unmark(&self) {
        self.is_marked.store(false, Ordering::Relaxed);
    }

    /// Whether a picture may show what is in it.
    pub(crate) fn is_marked(&self) -> bool {
        self.is_marked.load(Ordering::Relaxed)
    }

    /// The request that lends it.
    pub(crate) const fn create(&self) -> RegionCreate {
        self.create
    }

    /// Its size in bytes.
    pub(crate) const fn size(&self) -> u64 {
        self.create.size
    }

    /// A descriptor of it, to be sent.
    pub(crate) fn descriptor(&self) -> Result<OwnedFd, Error> {
        let failed = |source| Error::Memory { what: "duplicating a region's descriptor", source };
        self.file.try_clone().map(OwnedFd::from).map_err(failed)
    }

    /// Puts bytes of a memfd, which must be inside it, behind those in `bytes`.
    pub(crate) fn read_ranges(&self, ranges: &Ranges, bytes: &mut Vec<u8>) -> Result<(), Error> {
        bytes.reserve_exact(ranges.length());
        ranges.iter().try_for_each(|range| self.read(range, bytes))
    }

    /// Puts bytes of a memfd, which must be inside it, behind those in `bytes`.
    pub(crate) fn read(&self, range: &Range<usize>, bytes: &mut Vec<u8>) -> Result<(), Error> {
        let start = bytes.len();
        bytes.resize(start + range.len(), 0);
        self.file.read_exact_at(&mut bytes[start..], range.start as u64).map_err(failed("reading a region"))
    }

    /// Puts bytes into a memfd.
    pub(crate) fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all_at(bytes, offset as u64).map_err(failed("writing a region"))
    }
}

fn failed(what: &'static str) -> impl Fn(io::Error) -> Error {
    move |source| Error::Memory { what, source }
}

/// An id for a region or a layer, not 0. It is new to every connection of this process for the first 2^32 times, so
/// that a layer used on the wrong connection is unknown there, and not somebody else's.
pub(crate) fn new_id() -> u32 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    (NEXT.fetch_add(1, Ordering::Relaxed) % u64::from(u32::MAX)) as u32 + 1
}
