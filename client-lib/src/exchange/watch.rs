//! The descriptor that a program's own loop watches: the same one as long as the connection lives.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};

use crate::error::Error;
use crate::link::Link;

/// An epoll descriptor, which is readable when something in it is ready (epoll(7)): the socket.
#[derive(Debug)]
pub(crate) struct Watch {
    epoll: Epoll,
    /// The socket is watched for room to send, too.
    is_sending: AtomicBool,
}

impl Watch {
    /// Watches a link.
    pub(crate) fn new(link: &Link) -> Result<Self, Error> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(failed)?;
        epoll.add(link, EpollEvent::new(EpollFlags::EPOLLIN, 0)).map_err(failed)?;
        Ok(Self { epoll, is_sending: AtomicBool::new(false) })
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
