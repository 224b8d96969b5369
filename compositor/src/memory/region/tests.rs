//! Regions and the guard, on real memory files.

use std::fs::File;
use std::os::fd::OwnedFd;

use nix::fcntl::{FallocateFlags, FcntlArg, SealFlag, fallocate, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::ftruncate;

use super::*;
use crate::memory::guard;
use crate::memory::helper::Helper;

const SIZE: usize = 3 * 4096;

fn memfd(sealing: bool, allocate: usize) -> OwnedFd {
    let flags = if sealing { MFdFlags::MFD_ALLOW_SEALING } else { MFdFlags::empty() };
    let descriptor = memfd_create(c"test", flags | MFdFlags::MFD_CLOEXEC).unwrap();
    ftruncate(&descriptor, SIZE as i64).unwrap();
    if allocate > 0 {
        fallocate(&descriptor, FallocateFlags::empty(), 0, allocate as i64).unwrap();
    }
    descriptor
}

fn seal(descriptor: &OwnedFd, seals: SealFlag) {
    fcntl(descriptor, FcntlArg::F_ADD_SEALS(seals)).unwrap();
}

fn share(descriptor: &OwnedFd, access: Access, stated: u64, unsealed: bool) -> Result<Region, RegionError> {
    Region::share(1, descriptor, access, stated, unsealed, &Helper::start().unwrap().unmapper())
}

#[test]
fn sealed_memory_with_its_pages_is_taken() {
    let descriptor = memfd(true, SIZE);
    seal(&descriptor, SealFlag::F_SEAL_SHRINK);
    let region = share(&descriptor, Access::ReadWrite, SIZE as u64, false).unwrap();
    region.write(|mut view| assert!(view.write(5, b"pixels"))).unwrap();
    let mut out = Vec::new();
    region.read(|view| assert!(view.read(5, 6, &mut out))).unwrap();
    assert_eq!(out, b"pixels");
    assert!(matches!(region.put(0, b"x"), Err(RegionError::NotHeld { .. })));
}

#[test]
fn memory_that_can_shrink_is_refused() {
    let error = share(&memfd(true, SIZE), Access::Read, SIZE as u64, false).unwrap_err();
    assert_eq!(error.code(), ErrorCode::RegionNotSealed);
    assert!(error.to_string().contains("F_SEAL_SHRINK"), "{error}");
    let error = share(&memfd(false, SIZE), Access::Read, SIZE as u64, false).unwrap_err();
    assert_eq!(error.code(), ErrorCode::RegionNotSealed);
}

#[test]
fn holes_are_refused() {
    let descriptor = memfd(true, 4096);
    seal(&descriptor, SealFlag::F_SEAL_SHRINK);
    let error = share(&descriptor, Access::Read, SIZE as u64, false).unwrap_err();
    assert!(matches!(error, RegionError::Holes { allocated: 4096, .. }), "{error}");
    let part = share(&descriptor, Access::Read, 4096, false).unwrap_err();
    assert!(matches!(part, RegionError::Holes { .. }), "a hole anywhere in the file counts: {part}");
}

#[test]
fn sizes_are_checked() {
    let descriptor = memfd(true, SIZE);
    seal(&descriptor, SealFlag::F_SEAL_SHRINK);
    for stated in [0, SIZE as u64 + 1, u64::MAX] {
        let error = share(&descriptor, Access::Read, stated, false).unwrap_err();
        assert_eq!(error.code(), ErrorCode::RegionTooSmall, "{error}");
    }
}

#[test]
fn what_is_no_memory_is_refused() {
    let descriptor = OwnedFd::from(File::open("/dev/null").unwrap());
    let error = share(&descriptor, Access::Read, 4096, false).unwrap_err();
    assert_eq!(error.code(), ErrorCode::RegionNotMappable);
    let descriptor = memfd(true, SIZE);
    seal(&descriptor, SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_WRITE);
    let error = share(&descriptor, Access::ReadWrite, SIZE as u64, false).unwrap_err();
    assert!(error.to_string().contains("F_SEAL_WRITE"), "{error}");
    let region = share(&descriptor, Access::Read, SIZE as u64, false).unwrap();
    assert_eq!(region.write(|_| ()).unwrap_err().code(), ErrorCode::RegionNotWritable);
}

#[test]
fn memory_that_is_taken_away_is_survived() {
    guard::install().unwrap();
    let descriptor = memfd(false, SIZE);
    let region = share(&descriptor, Access::Read, SIZE as u64, true).unwrap();
    assert!(region.may_fault());
    let mut out = Vec::new();
    region.read(|view| view.read(0, SIZE, &mut out)).unwrap();
    ftruncate(&descriptor, 4096).unwrap();
    out.clear();
    let error = region.read(|view| view.read(0, SIZE, &mut out)).unwrap_err();
    assert_eq!(error.code(), ErrorCode::RegionFault);
    assert_eq!(out.len(), SIZE, "the kernel ran to its end, on zeros");
    assert_eq!(region.read(|_| ()).unwrap_err().code(), ErrorCode::RegionFault, "it stays so");
}

#[test]
fn held_memory_has_its_bounds() {
    let region = Region::hold(1, Access::Read, 100, &Helper::start().unwrap().unmapper()).unwrap();
    region.put(90, &[7; 10]).unwrap();
    let mut out = Vec::new();
    region.get(89, 11, &mut out).unwrap();
    assert_eq!(out, [0, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7]);
    assert_eq!(region.put(91, &[7; 10]).unwrap_err().code(), ErrorCode::OutsideRegion);
    assert_eq!(region.get(u64::MAX, 2, &mut out).unwrap_err().code(), ErrorCode::OutsideRegion);
    assert_eq!(
        Region::hold(1, Access::Read, 0, &Helper::start().unwrap().unmapper()).unwrap_err().code(),
        ErrorCode::RegionTooSmall
    );
}

#[test]
fn a_table_counts_its_bytes() {
    let mut regions = Regions::default();
    regions.insert(Region::hold(4, Access::Read, 100, &Helper::start().unwrap().unmapper()).unwrap());
    regions.insert(Region::hold(5, Access::Read, 50, &Helper::start().unwrap().unmapper()).unwrap());
    assert_eq!((regions.len(), regions.bytes()), (2, 150));
    assert_eq!(regions.check_free(4).unwrap_err().code(), ErrorCode::IdInUse);
    assert!(regions.remove(4).is_ok());
    assert_eq!(regions.remove(4).unwrap_err().code(), ErrorCode::UnknownRegion);
    assert_eq!((regions.len(), regions.bytes()), (1, 50));
}
