//! Gives large mappings back on a thread of its own: munmap of some tens of megabytes takes milliseconds, as that of many
//! small ones does, and the loop has none to spare.

use std::sync::mpsc::{Sender, channel};

use memmap2::MmapRaw;
use nix::sys::signal::SigSet;

/// What is smaller than this is unmapped where it stands: the detour would cost more.
const LARGE: usize = 64 * 1024;

/// A handle to the helper thread. The thread ends with the last handle; it sleeps while there is nothing to do.
#[derive(Clone, Debug)]
pub struct Unmapper(Option<Sender<MmapRaw>>);

impl Unmapper {
    /// Starts the helper thread; where there can be none, everything is unmapped in place.
    pub fn start() -> Self {
        let (sender, receiver) = channel::<MmapRaw>();
        let thread =
            std::thread::Builder::new().name("unmap".into()).stack_size(64 * 1024).spawn(move || {
                // Signals are the loop's; one that came here would end the process.
                if let Err(errno) = SigSet::all().thread_block() {
                    tracing::warn!("the helper thread cannot leave signals to the loop: {errno}");
                }
                receiver.into_iter().for_each(drop);
            });
        match thread {
            Ok(_) => Self(Some(sender)),
            Err(error) => {
                tracing::warn!("no helper thread ({error}): large mappings are unmapped on the loop");
                Self(None)
            }
        }
    }

    fn unmap(&self, map: MmapRaw) {
        if let (Some(sender), true) = (&self.0, map.len() >= LARGE) {
            // A thread that is gone hands the mapping back in the error, where it is dropped.
            let _ = sender.send(map);
        }
    }
}

/// A mapping that is given back by the [`Unmapper`].
#[derive(Debug)]
pub(super) struct Mapping {
    map: Option<MmapRaw>,
    unmapper: Unmapper,
}

impl Mapping {
    pub(super) fn new(map: MmapRaw, unmapper: &Unmapper) -> Self {
        Self { map: Some(map), unmapper: unmapper.clone() }
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
        if let Some(map) = self.map.take() {
            self.unmapper.unmap(map);
        }
    }
}
