//! Gives mappings back off the loop, on the [helper](super::helper) thread.

use std::sync::Arc;

use memmap2::MmapRaw;

use super::dmabuf::Dmabuf;
use super::helper::Handle;

/// What is smaller than this is unmapped where it stands: the detour would cost more.
const LARGE: usize = 64 * 1024;

/// A handle to the helper thread for those who have mappings to give back.
#[derive(Clone, Debug)]
pub struct Unmapper(Arc<Handle>);

impl Unmapper {
    pub(super) const fn new(handle: Arc<Handle>) -> Self {
        Self(handle)
    }
}

/// A mapping that is given back by the [`Unmapper`].
#[derive(Debug)]
pub struct Mapping {
    map: Option<MmapRaw>,
    dmabuf: Option<Dmabuf>,
    unmapper: Unmapper,
}

impl Mapping {
    pub(super) fn new(map: MmapRaw, unmapper: &Unmapper) -> Self {
        Self { map: Some(map), dmabuf: None, unmapper: unmapper.clone() }
    }

    /// A mapping of a dmabuf, which is closed after it.
    pub(super) fn of_dmabuf(map: MmapRaw, dmabuf: Dmabuf, unmapper: &Unmapper) -> Self {
        Self { map: Some(map), dmabuf: Some(dmabuf), unmapper: unmapper.clone() }
    }

    /// What is mapped, where that is a dmabuf.
    pub(super) const fn dmabuf(&self) -> Option<&Dmabuf> {
        self.dmabuf.as_ref()
    }

    /// The first byte, page-aligned.
    pub(super) fn address(&self) -> *mut u8 {
        self.map.as_ref().map_or(std::ptr::null_mut(), MmapRaw::as_mut_ptr)
    }

    /// Bytes that are mapped.
    pub(super) fn len(&self) -> usize {
        self.map.as_ref().map_or(0, MmapRaw::len)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let (map, dmabuf) = (self.map.take(), self.dmabuf.take());
        // A small part of a dmabuf may be the last that keeps all of it.
        if let Some(map) = map.filter(|map| map.len() >= LARGE || dmabuf.is_some()) {
            self.unmapper.0.unmap(map, dmabuf);
        }
    }
}
