//! dmabufs of every driver of the guest, and fences that signal when a test says so; and the tests of these.

mod drivers;
mod fences;
#[allow(dead_code, reason = "there is more than this test takes")]
pub(crate) mod seccomp;
pub(crate) mod stand;

use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use drm::buffer::{Buffer as _, DrmFourcc};
use drm::control::Device as _;
use memmap2::{MmapOptions, MmapRaw};
use nix::fcntl::{OFlag, SealFlag};

use crate::fixture::Shared;
use crate::fixture::card::Card;

/// The ioctls of linux/udmabuf.h, linux/dma-heap.h, linux/dma-buf.h and of the kernel's drivers/dma-buf/sw_sync.c.
mod ioctl {
    #[repr(C)]
    pub(super) struct UdmabufCreate {
        pub(super) memfd: u32,
        pub(super) flags: u32,
        pub(super) offset: u64,
        pub(super) size: u64,
    }

    #[repr(C)]
    pub(super) struct HeapAllocation {
        pub(super) length: u64,
        pub(super) descriptor: u32,
        pub(super) descriptor_flags: u32,
        pub(super) heap_flags: u64,
    }

    #[repr(C)]
    pub(super) struct ImportSyncFile {
        pub(super) flags: u32,
        pub(super) descriptor: i32,
    }

    #[repr(C)]
    pub(super) struct CreateFence {
        pub(super) value: u32,
        pub(super) name: [u8; 32],
        pub(super) descriptor: i32,
    }

    nix::ioctl_write_ptr!(udmabuf_create, b'u', 0x42, UdmabufCreate);
    nix::ioctl_readwrite!(heap_allocate, b'H', 0, HeapAllocation);
    nix::ioctl_write_ptr!(import_sync_file, b'b', 3, ImportSyncFile);
    nix::ioctl_readwrite!(create_fence, b'W', 0, CreateFence);
    nix::ioctl_write_ptr!(increment, b'W', 1, u32);
}

/// A driver that makes dmabufs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Udmabuf,
    SystemHeap,
    Vgem,
    Vkms,
}

impl Source {
    pub(crate) const ALL: [Self; 4] = [Self::Udmabuf, Self::SystemHeap, Self::Vgem, Self::Vkms];

    /// At least so many bytes of it.
    pub(crate) fn buffer(self, size: u64) -> Buffer {
        let size = size.next_multiple_of(4096);
        let descriptor = match self {
            Self::Udmabuf => udmabuf(&Shared::new(size, true, SealFlag::F_SEAL_SHRINK)),
            Self::SystemHeap => of_heap(size),
            Self::Vgem => of_card("vgem", size, drm::RDWR),
            Self::Vkms => of_card("vkms", size, drm::RDWR),
        };
        Buffer::new(descriptor, size)
    }
}

pub(crate) fn udmabuf(memory: &Shared) -> OwnedFd {
    let device = OpenOptions::new().read(true).write(true).open("/dev/udmabuf").expect("a guest has udmabuf");
    let memfd = memory.file.as_raw_fd() as u32;
    let create = ioctl::UdmabufCreate { memfd, flags: 1, offset: 0, size: memory.size };
    // SAFETY: the argument is what the kernel's header says; the result is a new descriptor.
    unsafe { OwnedFd::from_raw_fd(ioctl::udmabuf_create(device.as_raw_fd(), &create).unwrap()) }
}

fn of_heap(length: u64) -> OwnedFd {
    let heap = File::open("/dev/dma_heap/system").expect("a guest has the system heap");
    let descriptor_flags = (OFlag::O_RDWR | OFlag::O_CLOEXEC).bits() as u32;
    let mut allocation = ioctl::HeapAllocation { length, descriptor: 0, descriptor_flags, heap_flags: 0 };
    // SAFETY: the argument is what the kernel's header says, with a new descriptor in it afterwards.
    unsafe {
        ioctl::heap_allocate(heap.as_raw_fd(), &mut allocation).unwrap();
        OwnedFd::from_raw_fd(allocation.descriptor as i32)
    }
}

/// A dumb buffer of the card with this driver, exported.
pub(crate) fn of_card(driver: &str, size: u64, flags: u32) -> OwnedFd {
    let card = Card::of_driver(driver).expect("a guest has vgem and vkms");
    let height = u32::try_from(size.div_ceil(4096)).unwrap();
    let buffer = card.create_dumb_buffer((1024, height), DrmFourcc::Xrgb8888, 32).unwrap();
    card.buffer_to_prime_fd(buffer.handle(), drm::CLOEXEC | flags).unwrap()
}

/// A dmabuf as its owner sees it.
pub(crate) struct Buffer {
    pub(crate) descriptor: OwnedFd,
    pub(crate) size: u64,
    map: MmapRaw,
}

impl Buffer {
    pub(crate) fn new(descriptor: OwnedFd, size: u64) -> Self {
        let map = MmapOptions::new().len(size as usize).map_raw(&descriptor).unwrap();
        Self { descriptor, size, map }
    }

    pub(crate) fn write(&self, offset: u64, bytes: &[u8]) {
        assert!(offset as usize + bytes.len() <= self.map.len());
        // SAFETY: inside the mapping, which no reference points into.
        unsafe { bytes.as_ptr().copy_to(self.map.as_mut_ptr().add(offset as usize), bytes.len()) };
    }

    pub(crate) fn write_words(&self, words: &[u32]) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.write(0, &bytes);
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.map.len()];
        // SAFETY: inside the mapping, which no reference points into.
        unsafe { self.map.as_ptr().copy_to(bytes.as_mut_ptr(), bytes.len()) };
        bytes
    }

    /// Adds a fence of somebody who writes it, or who reads it.
    pub(crate) fn attach(&self, fence: &OwnedFd, writes: bool) {
        let flags = if writes { 2 } else { 1 };
        let argument = ioctl::ImportSyncFile { flags, descriptor: fence.as_raw_fd() };
        // SAFETY: the argument is what the kernel's header says.
        unsafe { ioctl::import_sync_file(self.descriptor.as_raw_fd(), &argument) }.unwrap();
    }

    /// Somebody begins to write it, and is done when the timeline is signalled.
    pub(crate) fn written(&self) -> Timeline {
        let timeline = Timeline::new();
        self.attach(&timeline.fence(), true);
        timeline
    }
}

/// Fences of the kernel's sw_sync. All of them signal when this is dropped.
pub(crate) struct Timeline(File);

impl Timeline {
    pub(crate) fn new() -> Self {
        let place = "/sys/kernel/debug/sync/sw_sync";
        Self(OpenOptions::new().read(true).write(true).open(place).expect("a guest has sw_sync"))
    }

    pub(crate) fn fence(&self) -> OwnedFd {
        let mut argument = ioctl::CreateFence { value: 1, name: [0; 32], descriptor: -1 };
        // SAFETY: the argument is what the driver's source says, with a new descriptor in it afterwards.
        unsafe {
            ioctl::create_fence(self.0.as_raw_fd(), &mut argument).unwrap();
            OwnedFd::from_raw_fd(argument.descriptor)
        }
    }

    pub(crate) fn signal(&self) {
        // SAFETY: the argument is what the driver's source says.
        unsafe { ioctl::increment(self.0.as_raw_fd(), &1) }.unwrap();
    }
}
