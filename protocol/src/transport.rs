//! One end of a connection: messages and their descriptors over a Unix stream socket.
//!
//! Both ends use it, and other servers may. It knows nothing of what the messages mean. rustix does the system
//! calls here, since its recvmsg hands over descriptors that are owned from the start: none can leak on an early
//! return, and no unsafe code is needed.

use std::collections::VecDeque;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recv, recvmsg, send, sendmsg,
};

use crate::framing::{Framing, FramingError, Message};

/// The environment variable that names the socket.
pub const SOCKET_VARIABLE: &str = "BLITD_SOCKET";

/// Where the system service listens.
pub const SYSTEM_SOCKET: &str = "/run/blitd/socket";

/// The most descriptors that one sendmsg can carry (`SCM_MAX_FD` of the kernel's `include/net/scm.h`). Room for
/// all of them, so that MSG_CTRUNC means that this process ran out of descriptors and nothing else.
const MAX_AT_ONCE: usize = 253;

/// How many bytes an idle connection keeps for what it sends.
const KEPT_ROOM: usize = 16 * 1024;

/// Where a client looks for the daemon: what `BLITD_SOCKET` names; else the user's own daemon, if there is a socket
/// of it in `XDG_RUNTIME_DIR`; else the system's.
pub fn default_socket() -> PathBuf {
    if let Some(path) = std::env::var_os(SOCKET_VARIABLE) {
        return path.into();
    }
    user_socket().filter(|path| path.exists()).unwrap_or_else(|| SYSTEM_SOCKET.into())
}

/// Where a daemon that a user starts for himself listens, where there is a run-time directory.
pub fn user_socket() -> Option<PathBuf> {
    let directory = std::env::var_os("XDG_RUNTIME_DIR").filter(|path| !path.is_empty())?;
    Some(PathBuf::from(directory).join("blitd").join("socket"))
}

/// Whether a call waits for the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Until something can be done.
    Block,
    /// Not at all.
    Return,
}

/// What [`Endpoint::receive`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// Bytes, so that there may be messages now.
    Bytes,
    /// Nothing for the moment.
    Nothing,
    /// The other end has closed the connection.
    Closed,
}

/// What ends a connection from below.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The kernel refused.
    #[error("the connection failed: {0}")]
    Io(#[from] std::io::Error),
    /// `MSG_CTRUNC`: descriptors were sent and could not be received, as where this process has no number left.
    #[error("descriptors that were sent could not be received (MSG_CTRUNC): raise RLIMIT_NOFILE")]
    DescriptorsTruncated,
}

impl From<Errno> for TransportError {
    fn from(errno: Errno) -> Self {
        Self::Io(errno.into())
    }
}

/// One end of a connection.
///
/// It never blocks unless told to, whether or not the socket is set to non-blocking.
#[derive(Debug)]
pub struct Endpoint {
    socket: UnixStream,
    framing: Framing<OwnedFd>,
    outgoing: Vec<u8>,
    sent: usize,
    /// Descriptors not sent yet, each with the place in `outgoing` of its message's first byte.
    descriptors: VecDeque<(usize, OwnedFd)>,
    bytes_received: u64,
    bytes_sent: u64,
}

impl Endpoint {
    /// One end of a connection over this socket.
    pub fn new(socket: UnixStream) -> Self {
        Self {
            socket,
            framing: Framing::default(),
            outgoing: Vec::new(),
            sent: 0,
            descriptors: VecDeque::new(),
            bytes_received: 0,
            bytes_sent: 0,
        }
    }

    /// Receives once; what arrived is then in [`next_message`](Self::next_message).
    ///
    /// # Errors
    /// The connection is of no more use.
    pub fn receive(&mut self, wait: Wait) -> Result<Received, TransportError> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_AT_ONCE))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC
            | match wait {
                Wait::Block => RecvFlags::empty(),
                Wait::Return => RecvFlags::DONTWAIT,
            };
        let message =
            match recvmsg(&self.socket, &mut [IoSliceMut::new(self.framing.space())], &mut control, flags) {
                Ok(message) => message,
                Err(Errno::AGAIN | Errno::INTR) => return Ok(Received::Nothing),
                Err(Errno::CONNRESET) => return Ok(Received::Closed),
                Err(errno) => return Err(errno.into()),
            };
        let descriptors = control.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        });
        self.framing.arrived(message.bytes, descriptors.flatten());
        if message.flags.contains(ReturnFlags::CTRUNC) {
            return Err(TransportError::DescriptorsTruncated);
        }
        self.bytes_received += message.bytes as u64;
        Ok(if message.bytes == 0 { Received::Closed } else { Received::Bytes })
    }

    /// Receives once from a peer whose messages have no descriptors, which is simpler for the kernel. It closes those
    /// that come all the same.
    ///
    /// # Errors
    /// The connection is of no more use.
    pub fn receive_plain(&mut self, wait: Wait) -> Result<Received, TransportError> {
        let flags = if wait == Wait::Return { RecvFlags::DONTWAIT } else { RecvFlags::empty() };
        let count = match recv(&self.socket, self.framing.space(), flags) {
            Ok((count, _)) => count,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(Received::Nothing),
            Err(Errno::CONNRESET) => return Ok(Received::Closed),
            Err(errno) => return Err(errno.into()),
        };
        self.framing.arrived(count, []);
        self.bytes_received += count as u64;
        Ok(if count == 0 { Received::Closed } else { Received::Bytes })
    }

    /// The next whole message that has arrived.
    ///
    /// # Errors
    /// The stream cannot be read on.
    pub fn next_message(&mut self) -> Result<Option<Message<'_, OwnedFd>>, FramingError> {
        self.framing.next_message()
    }

    /// Puts a message without descriptors behind what is to be sent. `encode` appends its bytes.
    pub fn queue<R>(&mut self, encode: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        self.make_room();
        encode(&mut self.outgoing)
    }

    /// Puts a message with a descriptor behind what is to be sent. `encode` appends its bytes.
    pub fn queue_with<R>(&mut self, descriptor: OwnedFd, encode: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        self.make_room();
        let start = self.outgoing.len();
        let result = encode(&mut self.outgoing);
        if self.outgoing.len() > start {
            self.descriptors.push_back((start, descriptor));
        }
        result
    }

    /// Forgets what has been sent. A peer that always leaves a rest unread must not make the buffer grow for ever;
    /// what is kept is moved only when it is the smaller part, so that a byte is moved once on the average.
    fn make_room(&mut self) {
        if self.sent == self.outgoing.len() || self.sent >= KEPT_ROOM.max(self.unsent()) {
            self.outgoing.drain(..self.sent);
            for (start, _) in &mut self.descriptors {
                *start -= self.sent;
            }
            self.sent = 0;
        }
    }

    /// Sends what is queued; true when all of it has gone.
    ///
    /// # Errors
    /// The connection is of no more use.
    pub fn flush(&mut self, wait: Wait) -> Result<bool, TransportError> {
        let flags = SendFlags::NOSIGNAL
            | match wait {
                Wait::Block => SendFlags::empty(),
                Wait::Return => SendFlags::DONTWAIT,
            };
        while self.sent < self.outgoing.len() {
            // A sendmsg carries the descriptors of the message that it begins with, and ends before the next.
            let carries = self.descriptors.iter().take_while(|(start, _)| *start == self.sent).count();
            let end = self.descriptors.get(carries).map_or(self.outgoing.len(), |(start, _)| *start);
            let bytes = &self.outgoing[self.sent..end];
            let borrowed: Vec<BorrowedFd<'_>> =
                self.descriptors.iter().take(carries).map(|(_, fd)| fd.as_fd()).collect();
            let sent = if borrowed.is_empty() {
                send(&self.socket, bytes, flags)
            } else {
                let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_AT_ONCE))];
                let mut control = SendAncillaryBuffer::new(&mut space);
                if !control.push(SendAncillaryMessage::ScmRights(&borrowed)) {
                    return Err(Errno::TOOBIG.into());
                }
                sendmsg(&self.socket, &[IoSlice::new(bytes)], &mut control, flags)
            };
            match sent {
                Ok(count) => {
                    self.descriptors.drain(..carries);
                    self.sent += count;
                    self.bytes_sent += count as u64;
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(false),
                Err(errno) => return Err(errno.into()),
            }
        }
        self.make_room();
        // A burst of large replies must not stay this connection's for good.
        self.outgoing.shrink_to(KEPT_ROOM);
        Ok(true)
    }

    /// How many bytes are queued and not sent.
    pub fn unsent(&self) -> usize {
        self.outgoing.len() - self.sent
    }

    /// How many bytes have been received.
    pub fn bytes_received(&self) -> u64 {
        self.bytes_received
    }

    /// How many bytes have been sent.
    pub fn bytes_sent(&self) -> u64 {
        self.bytes_sent
    }

    /// The socket, for credentials and options.
    pub fn socket(&self) -> &UnixStream {
        &self.socket
    }
}

impl AsFd for Endpoint {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::{Hello, RegionCreate, Request};
    use crate::value::{Access, Memory, Name, Priority};

    fn pair() -> (Endpoint, Endpoint) {
        let (a, b) = UnixStream::pair().unwrap();
        (Endpoint::new(a), Endpoint::new(b))
    }

    fn descriptor() -> OwnedFd {
        UnixStream::pair().unwrap().0.into()
    }

    fn create(region: u32) -> Request<'static> {
        Request::RegionCreate(RegionCreate { region, memory: Memory::Memfd, access: Access::Read, size: 1 })
    }

    #[test]
    fn each_message_gets_its_own_descriptors() {
        let (mut a, mut b) = pair();
        let hello = Request::Hello(Hello { oldest: 1, newest: 1, name: Name::new("test") });
        for (request, serial) in [(&hello, 1), (&create(1), 2), (&create(2), 4)] {
            let encode = |out: &mut Vec<u8>| request.encode(serial, Priority::DEFAULT, out);
            a.queue_with(descriptor(), encode).unwrap();
            if serial == 2 {
                a.queue(|out| Request::Sync { output: 0 }.encode(3, Priority::DEFAULT, out)).unwrap();
            }
        }
        assert!(a.flush(Wait::Return).unwrap());
        let mut seen = Vec::new();
        while b.receive(Wait::Return).unwrap() == Received::Bytes {
            while let Some(message) = b.next_message().unwrap() {
                seen.push((message.header.serial.get(), message.descriptors.len()));
            }
        }
        assert_eq!(seen, [(1, 1), (2, 1), (3, 0), (4, 1)]);
        assert_eq!(a.bytes_sent(), b.bytes_received());
    }

    #[test]
    fn a_full_socket_keeps_the_rest() {
        let (mut a, mut b) = pair();
        let request = Request::Sync { output: 0 };
        for serial in 0..40_000 {
            a.queue(|out| request.encode(serial, Priority::DEFAULT, out)).unwrap();
        }
        assert!(!a.flush(Wait::Return).unwrap());
        let mut next = 0;
        while next < 40_000 {
            assert_eq!(b.receive(Wait::Return).unwrap(), Received::Bytes);
            while let Some(message) = b.next_message().unwrap() {
                assert_eq!(message.header.serial.get(), next);
                next += 1;
            }
            a.flush(Wait::Return).unwrap();
        }
        assert_eq!(a.unsent(), 0);
    }

    #[test]
    fn what_has_been_sent_is_forgotten() {
        let (mut a, mut b) = pair();
        let (mut serial, mut next) = (0, 0);
        for _ in 0..500 {
            while a.unsent() < 4 * KEPT_ROOM {
                a.queue(|out| Request::Sync { output: 0 }.encode(serial, Priority::DEFAULT, out)).unwrap();
                serial += 1;
            }
            a.queue_with(descriptor(), |out| create(1).encode(serial, Priority::DEFAULT, out)).unwrap();
            serial += 1;
            // The other end takes a little and leaves a rest, again and again.
            a.flush(Wait::Return).unwrap();
            assert_eq!(b.receive(Wait::Return).unwrap(), Received::Bytes);
            while let Some(message) = b.next_message().unwrap() {
                assert_eq!(message.header.serial.get(), next);
                assert_eq!(message.descriptors.len(), usize::from(message.header.descriptors));
                next += 1;
            }
        }
        assert!(a.bytes_sent() > 1 << 20);
        assert!(a.outgoing.len() < 12 * KEPT_ROOM, "{} bytes are kept", a.outgoing.len());
    }

    #[test]
    fn the_end_is_seen() {
        let (a, mut b) = pair();
        assert_eq!(b.receive(Wait::Return).unwrap(), Received::Nothing);
        drop(a);
        assert_eq!(b.receive(Wait::Return).unwrap(), Received::Closed);
    }
}
