//! Memory as the kernel gives it: sealed memfds, mappings, words. The only room with unsafe code.

use std::os::fd::OwnedFd;

use memmap2::{MmapMut, MmapOptions};
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, FcntlArg, SealFlag, fallocate, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::error::Error;

/// Makes an error of what the kernel said while `what` was tried.
fn failed<E: Into<std::io::Error>>(what: &'static str) -> impl Fn(E) -> Error {
    move |source| Error::Memory { what, source: source.into() }
}

/// A memfd without memory.
pub(crate) fn empty_descriptor() -> Result<OwnedFd, Error> {
    memfd_create(c"blitd region", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)
        .map_err(failed("creating a memfd"))
}

/// Memory that can be lent to the daemon, zero at first: its mapping here, and the descriptor to send.
///
/// It has all its pages and its size is sealed, which is what the daemon insists on: reading it can then neither
/// fault nor allocate. The kernel limits nothing here: it takes pages until the machine has none, so the caller
/// must have a limit.
pub(crate) fn shared(bytes: usize) -> Result<(MmapMut, OwnedFd), Error> {
    let descriptor = empty_descriptor()?;
    let length = i64::try_from(bytes).unwrap_or(i64::MAX);
    // tmpfs gives up at any signal.
    while let Err(errno) = fallocate(&descriptor, FallocateFlags::empty(), 0, length) {
        if errno != Errno::EINTR {
            return Err(failed("allocating the pages of a region")(errno));
        }
    }
    let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
    fcntl(&descriptor, FcntlArg::F_ADD_SEALS(seals)).map_err(failed("sealing the size of a region"))?;
    // SAFETY: the memfd was made above and cannot shrink, so no access faults. Beside the daemon only `Backing` has its
    // descriptor. By the protocol the daemon writes the memory between a request and its reply only, and so does
    // `Backing`, with what the daemon sends instead of writing. For that time the mapping is out of the program's reach:
    // in a `Lent`, or borrowed by a blocking call, and unmapped where that ends without a reply. No other request can
    // name the region: only its own connection knows its id (`Region::lendable`), and that gives neither its socket nor
    // its link away.
    let map =
        unsafe { MmapOptions::new().len(bytes).map_mut(&descriptor) }.map_err(failed("mapping a region"))?;
    Ok((map, descriptor))
}

/// The whole words in `map`; up to three bytes at its end may be left over.
pub(crate) fn words(map: &mut MmapMut) -> &mut [u32] {
    // SAFETY: any four bytes are a u32. A mapping begins at a page, so nothing is cut off at its front.
    unsafe { map.align_to_mut::<u32>() }.1
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use nix::sys::stat::fstat;

    use super::*;

    #[test]
    fn shared_memory_has_its_pages_and_cannot_shrink() {
        let (map, descriptor) = shared(10_000).unwrap();
        let status = fstat(descriptor.as_fd()).unwrap();
        assert_eq!(status.st_size, 10_000);
        assert!(status.st_blocks * 512 >= 10_000, "{} blocks", status.st_blocks);
        assert!(map.iter().all(|&byte| byte == 0));
        let seals = SealFlag::from_bits_retain(fcntl(&descriptor, FcntlArg::F_GET_SEALS).unwrap());
        assert_eq!(seals, SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL);
    }

    #[test]
    fn words_begin_where_the_memory_begins() {
        let mut map = shared(4096 + 7).unwrap().0;
        words(&mut map)[0] = 0x0403_0201;
        assert_eq!(words(&mut map).len(), 1025);
        assert_eq!(map[..5], [1, 2, 3, 4, 0]);
    }

    #[test]
    fn what_cannot_be_had_is_an_error() {
        assert!(matches!(shared(0), Err(Error::Memory { .. })));
    }
}
