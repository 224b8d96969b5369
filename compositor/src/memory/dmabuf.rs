//! dmabufs: memory that devices share by a descriptor, with the fences of those who are not done with it yet.
//!
//! The kernel's interface is in linux/dma-buf.h, what it means in Documentation/driver-api/dma-buf.rst. Whoever touches
//! the pixels with the CPU waits for the fences, and says so by DMA_BUF_IOCTL_SYNC before and after.
//!
//! That ioctl waits for fences too, for ever, and one may have been added just before. So it is asked for after a
//! snapshot of the fences has been found to have signalled, and a timer interrupts what waits all the same.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use blitd_protocol::value::Access;
use memmap2::{MmapOptions, MmapRaw};
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::EpollFlags;
use nix::sys::signal::{SaFlags, SigAction, SigEvent, SigHandler, SigSet, SigevNotify, Signal, sigaction};
use nix::sys::statfs::{FsType, fstatfs};
use nix::sys::timer::{Expiration, Timer, TimerSetTimeFlags};
use nix::time::ClockId;
use nix::unistd::{Whence, gettid, lseek};

/// The file system of dmabufs (`DMA_BUF_MAGIC`, linux/magic.h).
const DMA_BUF_MAGIC: FsType = FsType(0x444d_4142);

/// After how long a wait in the kernel is interrupted, for the first time and then again and again: a signal that comes
/// before the wait has begun is lost.
const PATIENCE: Duration = Duration::from_millis(1);

/// The ioctls of linux/dma-buf.h.
mod ioctl {
    /// `struct dma_buf_sync`.
    #[repr(C)]
    pub(super) struct Sync {
        pub(super) flags: u64,
    }

    /// `struct dma_buf_export_sync_file`.
    #[repr(C)]
    pub(super) struct ExportSyncFile {
        pub(super) flags: u32,
        pub(super) descriptor: i32,
    }

    pub(super) const READ: u32 = 1;
    pub(super) const READ_WRITE: u32 = 3;
    pub(super) const START: u32 = 0;
    pub(super) const END: u32 = 4;

    nix::ioctl_write_ptr!(sync, b'b', 0, Sync);
    nix::ioctl_readwrite!(export_sync_file, b'b', 2, ExportSyncFile);
}

/// What has come of beginning to touch a dmabuf.
#[derive(Debug)]
pub enum Begin {
    /// It may be touched.
    Begun,
    /// Somebody is not done with it.
    Pending(Fence),
    /// The kernel waits for something that nobody can be told of: ask again.
    Busy,
    /// Its driver refuses.
    Failed(Errno),
}

/// A dmabuf that a client lends. The descriptor is kept as long as the region, since the fences are asked of it.
#[derive(Clone, Debug)]
pub struct Dmabuf(Arc<OwnedFd>);

impl Dmabuf {
    /// The dmabuf behind a descriptor; `None` where it is something else.
    ///
    /// # Errors
    /// What fstatfs says.
    pub fn new(descriptor: OwnedFd) -> nix::Result<Option<Self>> {
        let is_dmabuf = fstatfs(&descriptor)?.filesystem_type() == DMA_BUF_MAGIC;
        Ok(is_dmabuf.then(|| Self(Arc::new(descriptor))))
    }

    /// Its size in bytes.
    ///
    /// # Errors
    /// What lseek says.
    pub fn size(&self) -> nix::Result<u64> {
        lseek(&*self.0, 0, Whence::SeekEnd).map(|size| u64::try_from(size).unwrap_or(0))
    }

    /// Maps its first bytes. A driver may have to find the memory first, which takes as long as it takes.
    pub(super) fn map(&self, length: usize, access: Access) -> std::io::Result<MmapRaw> {
        let mut options = MmapOptions::new();
        options.len(length);
        match access {
            Access::Read => options.map_raw_read_only(&*self.0),
            Access::ReadWrite => options.map_raw(&*self.0),
        }
    }

    /// Begins to touch it with the CPU, if nobody else does. Returns within [`PATIENCE`] or two, but for what a driver
    /// cannot be interrupted in.
    pub(super) fn begin(&self, access: Access, alarm: &mut Alarm) -> Begin {
        let fence = self.fence(access);
        let mut polled = [PollFd::new(fence.as_fd(), fence.poll_flags())];
        if poll(&mut polled, PollTimeout::ZERO) == Ok(0) {
            return Begin::Pending(fence);
        }
        match alarm.bound(|| self.sync(flags(access) | ioctl::START)) {
            Ok(()) => Begin::Begun,
            Err(Errno::EINTR | Errno::EAGAIN) => Begin::Busy,
            Err(errno) => Begin::Failed(errno),
        }
    }

    /// Ends what was begun. Most drivers only flush caches here, but i915 waits for fences once more
    /// (`i915_gem_end_cpu_access` of its i915_gem_dmabuf.c).
    pub(super) fn end(&self, access: Access, alarm: &mut Alarm) -> nix::Result<()> {
        alarm.bound(|| self.sync(flags(access) | ioctl::END))
    }

    /// Makes what the CPU has written reach the device, of a buffer that the daemon has allocated and maps: nobody else
    /// puts fences on it, so nothing is waited for.
    pub(super) fn flush(&self) -> nix::Result<()> {
        self.sync(ioctl::READ_WRITE | ioctl::END)?;
        self.sync(ioctl::READ_WRITE | ioctl::START)
    }

    /// What has to signal before it may be touched: a snapshot of its fences, where the kernel makes one (Linux 6.0)
    /// and there is a descriptor left for it; else the dmabuf itself, whose fences may then become more.
    fn fence(&self, access: Access) -> Fence {
        let mut argument = ioctl::ExportSyncFile { flags: flags(access), descriptor: -1 };
        // SAFETY: the argument is what the kernel's header says, and lives until the call returns.
        match unsafe { ioctl::export_sync_file(self.0.as_raw_fd(), &mut argument) } {
            Ok(_) if argument.descriptor >= 0 => {
                // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
                Fence::SyncFile(unsafe { OwnedFd::from_raw_fd(argument.descriptor) })
            }
            _ => Fence::Dmabuf(self.clone(), access),
        }
    }

    fn sync(&self, flags: u32) -> nix::Result<()> {
        let argument = ioctl::Sync { flags: flags.into() };
        // SAFETY: the argument is what the kernel's header says, and lives until the call returns.
        unsafe { ioctl::sync(self.0.as_raw_fd(), &argument) }.map(drop)
    }
}

/// Reading waits for those who write, writing for everybody. What is written need not be whole lines of a cache, so
/// that these are read as well.
const fn flags(access: Access) -> u32 {
    match access {
        Access::Read => ioctl::READ,
        Access::ReadWrite => ioctl::READ_WRITE,
    }
}

/// What a dmabuf waits for, as a descriptor that poll(2) and epoll(7) take.
#[derive(Debug)]
pub enum Fence {
    /// A snapshot of its fences (linux/sync_file.h).
    SyncFile(OwnedFd),
    /// All of its fences ("Implicit Fence Poll Support", Documentation/driver-api/dma-buf.rst), to touch it so.
    Dmabuf(Dmabuf, Access),
}

impl Fence {
    /// What is to be waited for.
    pub fn events(&self) -> EpollFlags {
        match self {
            Self::SyncFile(_) | Self::Dmabuf(_, Access::Read) => EpollFlags::EPOLLIN,
            Self::Dmabuf(_, Access::ReadWrite) => EpollFlags::EPOLLOUT,
        }
    }

    fn poll_flags(&self) -> PollFlags {
        match self {
            Self::SyncFile(_) | Self::Dmabuf(_, Access::Read) => PollFlags::POLLIN,
            Self::Dmabuf(_, Access::ReadWrite) => PollFlags::POLLOUT,
        }
    }
}

impl AsFd for Fence {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::SyncFile(descriptor) => descriptor.as_fd(),
            Self::Dmabuf(dmabuf, _) => dmabuf.0.as_fd(),
        }
    }
}

/// Interrupts system calls of the thread that made it, by SIGALRM, which is this room's alone.
#[derive(Debug)]
pub(super) struct Alarm(Timer);

impl Alarm {
    /// One for this thread, which must not block SIGALRM.
    pub(super) fn of_this_thread() -> nix::Result<Self> {
        static HANDLER: OnceLock<nix::Result<()>> = OnceLock::new();
        let installed = HANDLER.get_or_init(|| {
            // Without SA_RESTART: a call that is interrupted is to return.
            let action = SigAction::new(SigHandler::Handler(nothing), SaFlags::empty(), SigSet::empty());
            // SAFETY: the handler does nothing.
            unsafe { sigaction(Signal::SIGALRM, &action) }.map(drop)
        });
        (*installed)?;
        let thread_id = gettid().as_raw();
        let notify = SigevNotify::SigevThreadId { signal: Signal::SIGALRM, thread_id, si_value: 0 };
        Timer::new(ClockId::CLOCK_MONOTONIC, SigEvent::new(notify)).map(Self)
    }

    /// Makes a call that fails with EINTR where it waits for longer than [`PATIENCE`], or twice that at most.
    fn bound<T>(&mut self, call: impl FnOnce() -> nix::Result<T>) -> nix::Result<T> {
        self.0.set(Expiration::Interval(PATIENCE.into()), TimerSetTimeFlags::empty())?;
        let result = call();
        // A time of 0 disarms it (timer_settime(2)). A signal that comes before does nothing.
        self.0.set(Expiration::OneShot(Duration::ZERO.into()), TimerSetTimeFlags::empty())?;
        result
    }
}

extern "C" fn nothing(_: libc::c_int) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_wait_for_ever_is_interrupted() {
        std::thread::spawn(|| {
            let mut alarm = Alarm::of_this_thread().unwrap();
            for _ in 0..3 {
                assert_eq!(alarm.bound(|| poll(&mut [], PollTimeout::NONE)), Err(Errno::EINTR));
                assert_eq!(alarm.bound(|| poll(&mut [], PollTimeout::ZERO)), Ok(0));
            }
            // Outside of a call, nothing is.
            assert_eq!(alarm.0.get(), Ok(None));
        })
        .join()
        .unwrap();
    }

    #[test]
    fn what_is_no_dmabuf_is_none() {
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(Dmabuf::new(file.into()).unwrap().is_none());
    }
}
