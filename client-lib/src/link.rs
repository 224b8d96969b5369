//! A link: requests out, replies in by their serials, without blocking unless told to.

use std::collections::{BTreeMap, VecDeque};
use std::io::ErrorKind;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use blitd_protocol::error::{ErrorCode, Refusal};
use blitd_protocol::reply::kind::FIRST_PULSE;
use blitd_protocol::reply::{Reply, ReplyError};
use blitd_protocol::request::{Hello, Request, VERSION};
use blitd_protocol::spin::{Pause, Spin};
use blitd_protocol::transport::{Endpoint, Received, TransportError, Wait};
use blitd_protocol::value::{Name, Priority};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::error::Error;
use crate::memory;

/// The number of a request on its link, from 1 on. The reply has the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial(u64);

impl Serial {
    /// Its number.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The request that was submitted next.
    pub(crate) const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A connection as messages: for programs with an event loop of their own.
///
/// Submit requests, watch the descriptor ([`AsFd`]) until it is readable, call [`dispatch`](Self::dispatch), and
/// [`take`](Self::take) the replies. While [`unsent`](Self::unsent) is not 0, watch for writable too. Each reply
/// is kept until it is taken, so take them all. To send several requests in one write, [`queue`](Self::queue) them.
///
/// It sends requests as they are: memory to lend is the program's own. What a request lends is the daemon's until its
/// reply is there.
///
/// After an error from [`submit`](Self::submit) or [`dispatch`](Self::dispatch) that
/// [ends the connection](Error::ends_connection), the link is closed; replies that had come can still be taken.
#[derive(Debug)]
pub struct Link {
    endpoint: Endpoint,
    last: Serial,
    /// Every request whose reply was not taken, with the reply if it has come.
    pending: BTreeMap<Serial, Option<Reply<'static>>>,
    pulses: VecDeque<Reply<'static>>,
    /// The socket's own limit (SO_RCVTIMEO) on how long receiving blocks.
    receive_limit: Option<Duration>,
    spin: Spin,
    start: Instant,
    closed: bool,
    /// The daemon's end of the stream has been seen.
    has_ended: bool,
}

impl Link {
    /// A link over a connected socket. Queues and sends the hello, without waiting for its reply, the welcome.
    ///
    /// `name` is for people, cut at 32 bytes.
    ///
    /// # Errors
    /// The socket fails, or no memfd can be made.
    pub fn new(socket: UnixStream, name: &str) -> Result<(Self, Serial), Error> {
        socket
            .set_nonblocking(false)
            .and_then(|()| socket.set_read_timeout(None))
            .map_err(TransportError::Io)?;
        let mut link = Self {
            endpoint: Endpoint::new(socket),
            last: Serial(0),
            pending: BTreeMap::new(),
            pulses: VecDeque::new(),
            receive_limit: None,
            spin: Spin::default(),
            start: Instant::now(),
            closed: false,
            has_ended: false,
        };
        let hello = Request::Hello(Hello { oldest: VERSION, newest: VERSION, name: Name::new(name) });
        // Any descriptor does: whether it arrives tells whether memory can be shared.
        let serial = link.submit_with(&hello, memory::empty_descriptor()?, Priority::DEFAULT)?;
        Ok((link, serial))
    }

    /// Sends a request, as far as the socket takes it now; [`dispatch`](Self::dispatch) sends the rest.
    ///
    /// # Errors
    /// The request is too long or lacks a descriptor, and was not sent; or the link is of no more use.
    pub fn submit(&mut self, request: &Request<'_>, priority: Priority) -> Result<Serial, Error> {
        let serial = self.queue(request, None, priority)?;
        self.flush()?;
        Ok(serial)
    }

    /// Sends a request with its descriptor, which is closed here once it has gone.
    ///
    /// # Errors
    /// The request takes no descriptor, and was not sent; or the link is of no more use.
    pub fn submit_with(
        &mut self,
        request: &Request<'_>,
        descriptor: OwnedFd,
        priority: Priority,
    ) -> Result<Serial, Error> {
        let serial = self.queue(request, Some(descriptor), priority)?;
        self.flush()?;
        Ok(serial)
    }

    /// Puts a request behind those that are to be sent, with its descriptor if it takes one. Several that are queued
    /// go out in one write, with the next [`flush`](Self::flush), [`submit`](Self::submit) or
    /// [`dispatch`](Self::dispatch).
    ///
    /// # Errors
    /// The request is too long, or its descriptor is missing or too many, and it was not queued; or the link is of no
    /// more use.
    pub fn queue(
        &mut self,
        request: &Request<'_>,
        descriptor: Option<OwnedFd>,
        priority: Priority,
    ) -> Result<Serial, Error> {
        if self.closed {
            return Err(Error::Closed);
        }
        let takes = request.descriptors();
        if takes != u8::from(descriptor.is_some()) {
            return Err(Error::Descriptors { kind: request.kind(), takes });
        }
        let serial = Serial(self.last.0 + 1);
        let encode = |out: &mut Vec<u8>| request.encode(serial.0, priority, out);
        match descriptor {
            Some(descriptor) => self.endpoint.queue_with(descriptor, encode)?,
            None => self.endpoint.queue(encode)?,
        }
        self.last = serial;
        self.pending.insert(serial, None);
        Ok(serial)
    }

    /// Sends what is queued, as far as the socket takes it now.
    ///
    /// # Errors
    /// The link is of no more use.
    pub fn flush(&mut self) -> Result<(), Error> {
        if self.closed {
            return Err(Error::Closed);
        }
        self.send().inspect_err(|_| self.close())
    }

    /// Sends what is queued and receives what has arrived; true if a reply came.
    ///
    /// `wait` is how long it may wait for something to arrive: zero is not at all, and then it receives until
    /// nothing is left; `None` is without limit. It can return early with nothing, and late by up to a thirtieth.
    ///
    /// # Errors
    /// The link is of no more use. What the daemon said last has been received before that.
    pub fn dispatch(&mut self, wait: Option<Duration>) -> Result<bool, Error> {
        if self.closed {
            return Err(Error::Closed);
        }
        self.turn(wait).inspect_err(|_| self.close())
    }

    fn turn(&mut self, wait: Option<Duration>) -> Result<bool, Error> {
        self.send()?;
        let mut came = false;
        let mut received = self.receive(wait)?;
        while received == Received::Bytes {
            came |= self.sort_messages()?;
            received = match wait {
                Some(Duration::ZERO) => self.endpoint.receive_plain(Wait::Return)?,
                // Who waits looks for what came first, and a system call that finds nothing is saved.
                _ => Received::Nothing,
            };
        }
        if received == Received::Closed {
            self.has_ended = true;
            self.close();
            return if came { Ok(true) } else { Err(Error::Closed) };
        }
        Ok(came)
    }

    fn send(&mut self) -> Result<(), Error> {
        match self.endpoint.flush(Wait::Return) {
            Ok(_) => Ok(()),
            // The daemon's last words may still be unread, and say why: receiving finds the end after them.
            Err(TransportError::Io(error))
                if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) =>
            {
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Receives once. A wait is one blocking recvmsg, unless there is something to send at the same time.
    fn receive(&mut self, wait: Option<Duration>) -> Result<Received, Error> {
        let wait = if wait == Some(Duration::ZERO) {
            Wait::Return
        } else if self.endpoint.unsent() > 0 {
            self.poll(wait)?;
            self.send()?;
            Wait::Return
        } else {
            self.limit_receiving(wait)?;
            let received = self.look()?;
            if received != Received::Nothing {
                return Ok(received);
            }
            Wait::Block
        };
        let received = self.endpoint.receive_plain(wait)?;
        let start = self.start;
        self.spin.found(|| nanoseconds(start));
        Ok(received)
    }

    /// Looks for a reply for a moment, as long as that pays.
    fn look(&mut self) -> Result<Received, Error> {
        let awaits_reply = self.pending.last_key_value().is_some_and(|(_, reply)| reply.is_none());
        let start = self.start;
        while awaits_reply && self.spin.pause(|| nanoseconds(start)) != Pause::Sleep {
            let received = self.endpoint.receive_plain(Wait::Return)?;
            if received != Received::Nothing {
                self.spin.found(|| nanoseconds(start));
                return Ok(received);
            }
        }
        Ok(Received::Nothing)
    }

    /// Waits until the socket can send or receive.
    fn poll(&self, wait: Option<Duration>) -> Result<(), Error> {
        let timeout = wait.map_or(PollTimeout::NONE, |wait| {
            // Poll counts whole milliseconds: the next one, or the last would be spent in a busy loop.
            PollTimeout::try_from(wait.saturating_add(Duration::from_millis(1))).unwrap_or(PollTimeout::MAX)
        });
        let mut descriptors = [PollFd::new(self.endpoint.as_fd(), PollFlags::POLLIN | PollFlags::POLLOUT)];
        match poll(&mut descriptors, timeout) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(TransportError::Io(errno.into()).into()),
        }
    }

    /// Limits how long a blocking receive takes. A limit that is a little too long is left as it is, so that a
    /// program that always waits as long sets it once.
    fn limit_receiving(&mut self, limit: Option<Duration>) -> Result<(), Error> {
        let near = match (self.receive_limit, limit) {
            (Some(set), Some(limit)) => set >= limit && set - limit <= limit / 32,
            (set, limit) => set == limit,
        };
        if !near {
            let limit = limit.map(|limit| limit.saturating_add(limit / 64));
            self.endpoint.socket().set_read_timeout(limit).map_err(TransportError::Io)?;
            self.receive_limit = limit;
        }
        Ok(())
    }

    /// Puts each whole message where it belongs; true if one was a reply.
    fn sort_messages(&mut self) -> Result<bool, Error> {
        let mut came = false;
        while let Some(message) = self.endpoint.next_message()? {
            let reply = match Reply::decode(&message.header, message.body) {
                // A later daemon of the same protocol version may have more pulses, and more reasons to refuse. Of
                // these the number stays in the text.
                Err(ReplyError::UnknownKind { kind }) if kind >= FIRST_PULSE => continue,
                Err(ReplyError::UnknownError { number, text }) => {
                    let text = format!("error {number}: {text}");
                    Reply::Refused(Refusal { code: ErrorCode::NotSupported, entry: None, text })
                }
                result => result?.into_owned(),
            };
            let serial = Serial(message.header.serial.get());
            match (serial, reply) {
                // Nothing in a pulse tells it from the one before: once is enough.
                (Serial(0), Reply::OutputsChanged) => self.outputs_changed(),
                // The answer to something that could not be read so far as its serial.
                (Serial(0), Reply::Refused(refusal)) => return Err(refusal.into()),
                (serial, reply) => match self.pending.get_mut(&serial) {
                    Some(place @ None) if reply != Reply::OutputsChanged => {
                        *place = Some(reply);
                        came = true;
                    }
                    _ => return Err(Error::Unexpected { kind: reply.kind() }),
                },
            }
        }
        Ok(came)
    }

    /// The reply to a request, once it has come; after that the serial is spent.
    pub fn take(&mut self, serial: Serial) -> Option<Reply<'static>> {
        let reply = self.pending.get_mut(&serial)?.take()?;
        self.pending.remove(&serial);
        Some(reply)
    }

    /// Waits for the reply to a request and takes it. A refusal is a reply like any other here.
    ///
    /// # Errors
    /// [`Error::TimedOut`] if it is not there at `deadline`, after which the link can still be used;
    /// [`Error::NotPending`] if it was taken before; or the link is of no more use.
    pub fn wait_for(&mut self, serial: Serial, deadline: Option<Instant>) -> Result<Reply<'static>, Error> {
        if !self.pending.contains_key(&serial) {
            return Err(Error::NotPending { serial: serial.0 });
        }
        let mut left = None;
        loop {
            if let Some(reply) = self.take(serial) {
                return Ok(reply);
            }
            if left == Some(Duration::ZERO) {
                return Err(Error::TimedOut);
            }
            left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            self.dispatch(left)?;
        }
    }

    /// Takes the pulses that have come. A pulse that comes again before it was taken is kept once.
    pub fn pulses(&mut self) -> impl Iterator<Item = Reply<'static>> {
        self.pulses.drain(..)
    }

    /// Whether the daemon has closed its end, all of whose replies have been received then. Nothing that was lent is
    /// in use any more: a daemon closes a connection when it has dropped its work, and the kernel closes the sockets of
    /// a dead process when that has lost its memory (`do_exit` of kernel/exit.c).
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// As if the pulse had come.
    pub(crate) fn outputs_changed(&mut self) {
        if !self.pulses.contains(&Reply::OutputsChanged) {
            self.pulses.push_back(Reply::OutputsChanged);
        }
    }

    /// Ends the link. The daemon gives up what it holds for it.
    pub fn close(&mut self) {
        self.closed = true;
        // It fails only where the other end was faster.
        let _ = self.endpoint.socket().shutdown(Shutdown::Both);
    }

    /// How many bytes wait until the socket takes them.
    pub fn unsent(&self) -> usize {
        self.endpoint.unsent()
    }

    /// How many bytes have been sent, headers included.
    pub fn bytes_sent(&self) -> u64 {
        self.endpoint.bytes_sent()
    }

    /// How many bytes have been received, headers included.
    pub fn bytes_received(&self) -> u64 {
        self.endpoint.bytes_received()
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.endpoint.as_fd()
    }
}

/// Since a moment.
fn nanoseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
