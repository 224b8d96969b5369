//! The descriptor that a program's own loop watches: the same one as long as the connection lives.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::error::Error;
use crate::link::Link;

/// An epoll descriptor, which is readable when something in it is ready (epoll(7)): the socket that there is at the
/// time, and a notice that another has come in its place.
#[derive(Debug)]
pub(crate) struct Watch {
    epoll: Epoll,
    notice: EventFd,
    has_notice: AtomicBool,
    /// The socket is watched for room to send, too.
    is_sending: AtomicBool,
}

impl Watch {
    /// Watches a link.
    pub(crate) fn new(link: &Link) -> Result<Self, Error> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(failed)?;
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let notice = EventFd::from_flags(flags).map_err(failed)?;
        epoll.add(&notice, EpollEvent::new(EpollFlags::EPOLLIN, 0)).map_err(failed)?;
        let is_not = || AtomicBool::new(false);
        let watch = Self { epoll, notice, has_notice: is_not(), is_sending: is_not() };
        watch.add(link)?;
        Ok(watch)
    }

    /// Watches a link in place of the one that was removed.
    pub(crate) fn add(&self, link: &Link) -> Result<(), Error> {
        self.is_sending.store(false, Ordering::Relaxed);
        self.epoll.add(link, EpollEvent::new(EpollFlags::EPOLLIN, 0)).map_err(failed)
    }

    /// No longer watches a link that has ended, which would be ready for ever.
    pub(crate) fn remove(&self, link: &Link) {
        // It is there, and where it were not, nothing would be left to do.
        let _ = self.epoll.delete(link);
    }

    /// Makes the descriptor readable until [`clear`](Self::clear). Both are called under the lock of the exchange: in the
    /// middle of this, a look would find nothing to read and forget it, and the descriptor be readable for ever.
    pub(crate) fn notify(&self) {
        self.has_notice.store(true, Ordering::Relaxed);
        // It fails only where it is readable already.
        let _ = self.notice.write(1);
    }

    /// The program has looked.
    pub(crate) fn clear(&self) {
        if self.has_notice.swap(false, Ordering::Relaxed) {
            let _ = self.notice.read();
        }
    }

    /// Watches the link for what it has to do now.
    pub(crate) fn update(&self, link: &Link) -> Result<(), Error> {
        let is_sending = link.unsent() > 0;
        if self.is_sending.swap(is_sending, Ordering::Relaxed) == is_sending {
            return Ok(());
        }
        let mut flags = EpollFlags::EPOLLIN;
        flags.set(EpollFlags::EPOLLOUT, is_sending);
        self.epoll.modify(link, &mut EpollEvent::new(flags, 0)).map_err(failed)
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }
}

fn failed(errno: Errno) -> Error {
    Error::Watch(errno.into())
}
