//! Room 10, client: one connection, what it holds, its requests on their way in and its replies on their way out.
//!
//! A client is read from only as long as it has few requests unanswered and takes its replies. One that floods or
//! stalls fills its own socket, and nothing of ours.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use blitd_protocol::error::{Coded, ErrorCode, Refusal};
use blitd_protocol::framing::Message;
use blitd_protocol::reply::Reply;
use blitd_protocol::request::{Hello, RegionCreate, Request, RequestKind, VERSION};
use blitd_protocol::transport::{Endpoint, Received, TransportError, Wait};
use blitd_protocol::value::{Mode, Name, Priority};
use foldhash::HashMap;

use crate::memory::region::Regions;
use crate::policy::accounts::{Change, Usage};
use crate::policy::{Credentials, Limits};
use crate::queue::ConnectionId;
use crate::scene::{LayerKey, OutputId};
use crate::work::compositions::CompositionId;
use crate::work::cpu_access::CpuAccess;
use crate::work::operation::Ids;
use crate::work::paint::Paint;

/// Bytes of replies that a client has not taken, above which nothing more is read from it.
const MOST_UNSENT: usize = 256 * 1024;

/// Bytes of messages that wait in the queue, above which nothing more is read.
const MOST_WAITING: usize = 256 * 1024;

/// Descriptors of requests that wait in the queue, above which nothing more is read. With those of a message on its
/// way, the socket's own and a fence that is waited for, no connection makes the daemon hold more than a dozen, but for
/// its dmabufs, which have a limit of their own.
const MOST_DESCRIPTORS: usize = 4;

/// A request on its way into the queue.
#[derive(Debug)]
pub struct Incoming {
    /// The client's number for it.
    pub serial: u64,
    /// When it was read; nanoseconds of the daemon's clock.
    pub received: u64,
    /// With which priority it was asked, or the ceiling where that was above it.
    pub priority: Priority,
    /// The request, or why it is refused when its turn comes.
    pub request: Result<Request<'static>, Refusal>,
    /// What came with it.
    pub descriptor: Option<OwnedFd>,
    length: usize,
}

/// What reading from a connection has come to.
#[derive(Debug)]
pub enum Intake {
    /// A request.
    Request(Incoming),
    /// Bytes, among which there may be requests now.
    Bytes,
    /// Nothing for the moment.
    Nothing,
}

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
pub enum Ending {
    /// The client has closed it.
    #[error("closed by the client")]
    Closed,
    /// The kernel says so.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The client has broken the protocol, and has been told so.
    #[error("the client has broken the protocol")]
    Fault,
}

/// A client that breaks the rules of the handshake.
#[derive(Debug, thiserror::Error)]
enum HandshakeError {
    #[error("the first request must be a hello")]
    Missing,
    #[error("a second hello: one is enough for a connection")]
    Again,
    #[error("versions {oldest} to {newest} were offered, and this daemon speaks {VERSION}")]
    Version { oldest: u16, newest: u16 },
}

impl Coded for HandshakeError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Missing | Self::Again => ErrorCode::HelloExpected,
            Self::Version { .. } => ErrorCode::VersionUnsupported,
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("priority {asked} is above this user's ceiling of {ceiling}: ask for at most that")]
struct PriorityError {
    asked: u8,
    ceiling: u8,
}

impl Coded for PriorityError {
    fn code(&self) -> ErrorCode {
        ErrorCode::PriorityTooHigh
    }
}

/// A request that has been taken up.
#[derive(Debug)]
pub struct Started {
    /// The client's number for it.
    pub serial: u64,
    /// When it was read; nanoseconds of the daemon's clock.
    pub received: u64,
    /// With which priority it was asked.
    pub priority: Priority,
    /// When its work began; nanoseconds of the daemon's clock.
    pub started: u64,
    /// How many slices it has had.
    pub slices: u32,
    /// The dmabufs that it touches, where there are any.
    pub access: Option<CpuAccess>,
}

/// A request that is being worked on.
#[derive(Debug)]
pub struct Active {
    /// The request.
    pub request: Started,
    /// What is done.
    pub work: Work,
}

/// What can be done for a request in more than one step.
#[derive(Debug)]
pub enum Work {
    /// Draws, fills, batches; and what it changes of what the client's user is charged for, which is charged already.
    Paint(Paint, Change),
    /// A capture.
    Capture(CompositionId),
    /// Waits until a change of an output is on the glass.
    Sync {
        /// The output.
        output: OutputId,
        /// The change.
        generation: u64,
    },
    /// Waits until the helper has mapped a dmabuf.
    Map(RegionCreate),
    /// Waits until its dmabufs may be touched; then it is carried out.
    Begin(Box<Request<'static>>),
    /// Waits until its dmabufs are others' again; then this is the answer.
    End(Reply<'static>),
}

/// One connection.
#[derive(Debug)]
pub struct Client {
    id: ConnectionId,
    endpoint: Endpoint,
    credentials: Credentials,
    limits: Limits,
    mode: Option<Mode>,
    /// It has broken the protocol: once it has been told so, it goes.
    is_faulty: bool,
    /// It has been welcomed: pulses may be sent to it.
    is_welcome: bool,
    /// It has yet to be told that the outputs have changed.
    has_pulse: bool,
    name: Name,
    waiting_bytes: usize,
    waiting_descriptors: usize,
    /// Its regions.
    pub regions: Regions,
    /// Its layers.
    pub layers: HashMap<u32, LayerKey>,
    /// What its user has been charged for it.
    pub usage: Usage,
    /// What is being done for it.
    pub active: Option<Active>,
    /// What the loop watches its socket for, as epoll's bits.
    pub watched: i32,
    /// Requests answered.
    pub requests: u64,
    /// Of these, refused.
    pub refused: u64,
}

impl Client {
    /// A connection that has yet to say hello.
    pub fn new(
        id: ConnectionId,
        socket: UnixStream,
        credentials: Credentials,
        limits: Limits,
        usage: Usage,
    ) -> Self {
        Self {
            id,
            endpoint: Endpoint::new(socket),
            credentials,
            limits,
            mode: None,
            is_faulty: false,
            is_welcome: false,
            has_pulse: false,
            name: Name::default(),
            waiting_bytes: 0,
            waiting_descriptors: 0,
            regions: Regions::default(),
            layers: HashMap::default(),
            usage,
            active: None,
            watched: 0,
            requests: 0,
            refused: 0,
        }
    }

    /// Its number.
    pub const fn id(&self) -> ConnectionId {
        self.id
    }

    /// Who it is.
    pub const fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// What it may do and hold.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// How its pixels travel; `None` before its hello.
    pub const fn mode(&self) -> Option<Mode> {
        self.mode
    }

    /// What it calls itself.
    pub const fn name(&self) -> Name {
        self.name
    }

    /// What its ids stand for.
    pub const fn ids(&self) -> Ids<'_> {
        Ids { regions: &self.regions, layers: &self.layers }
    }

    /// Bytes received and sent.
    pub fn traffic(&self) -> (u64, u64) {
        (self.endpoint.bytes_received(), self.endpoint.bytes_sent())
    }

    /// Whether more may be read from it, with `queued` of its requests unanswered.
    pub fn may_read(&self, queued: usize) -> bool {
        !self.is_faulty
            && queued < self.limits.requests as usize
            && self.waiting_bytes < MOST_WAITING
            && self.waiting_descriptors < MOST_DESCRIPTORS
            && !self.is_stalled()
    }

    /// Whether it leaves so many replies lying that it gets no more.
    pub fn is_stalled(&self) -> bool {
        self.endpoint.unsent() >= MOST_UNSENT
    }

    /// Whether it has broken the protocol.
    pub const fn is_faulty(&self) -> bool {
        self.is_faulty
    }

    /// Whether it has not taken all of its replies.
    pub fn has_unsent(&self) -> bool {
        self.endpoint.unsent() > 0
    }

    /// Reads once from the socket.
    ///
    /// # Errors
    /// The connection ends.
    pub fn receive(&mut self, now: u64) -> Result<Intake, Ending> {
        match self.endpoint.receive(Wait::Return) {
            Ok(Received::Bytes) => Ok(Intake::Bytes),
            Ok(Received::Nothing) => Ok(Intake::Nothing),
            Ok(Received::Closed) => Err(Ending::Closed),
            Err(error @ TransportError::DescriptorsTruncated) => {
                let code = ErrorCode::DescriptorsTruncated;
                Ok(self.fault(0, now, Refusal { code, entry: None, text: error.to_string() }))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What the client has broken the protocol with. Nothing more is read from it; the refusal waits for its turn, so
    /// that what was asked before is answered before.
    fn fault(&mut self, serial: u64, now: u64, refusal: Refusal) -> Intake {
        self.is_faulty = true;
        let priority = self.limits.priority.min(Priority::DEFAULT);
        let request = Err(refusal);
        Intake::Request(Incoming { serial, received: now, priority, request, descriptor: None, length: 0 })
    }

    /// The next request among what has been read.
    pub fn next_request(&mut self, now: u64) -> Intake {
        let message = match self.endpoint.next_message() {
            Ok(Some(message)) => message,
            Ok(None) => return Intake::Nothing,
            Err(error) => return self.fault(0, now, error.into()),
        };
        let Message { header, body, mut descriptors } = message;
        let serial = header.serial.get();
        let stripped = descriptors.len() < usize::from(header.descriptors);
        let request = Request::decode(&header, body).map(Request::into_owned);
        let is_hello = header.kind.get() == RequestKind::Hello.number();
        let fault = match (&request, self.mode) {
            (Err(refusal), _) if refusal.code.ends_connection() => Some(refusal.clone()),
            (Ok(Request::Hello(Hello { oldest, newest, .. })), None)
                if *oldest > VERSION || *newest < VERSION =>
            {
                Some(HandshakeError::Version { oldest: *oldest, newest: *newest }.into())
            }
            (Ok(Request::Hello(hello)), None) => {
                self.mode = Some(if stripped { Mode::Inline } else { Mode::Shared });
                self.name = hello.name;
                None
            }
            (Err(refusal), None) if is_hello => Some(refusal.clone()),
            (_, None) => Some(HandshakeError::Missing.into()),
            (_, Some(_)) if is_hello => Some(HandshakeError::Again.into()),
            _ => None,
        };
        if let Some(refusal) = fault {
            return self.fault(serial, now, refusal);
        }
        let length = body_length(&request);
        let ceiling = self.limits.priority;
        // What is refused still has its place among the connection's requests, at a priority that it may have.
        let priority = Priority::new(header.priority).unwrap_or_default();
        let request = match request {
            Ok(request) if priority <= ceiling || is_hello => Ok(request),
            Ok(_) => {
                let error = PriorityError { asked: priority.number(), ceiling: ceiling.number() };
                Err(error.into())
            }
            Err(refusal) => Err(refusal),
        };
        let priority = priority.min(ceiling);
        self.waiting_bytes += length;
        let descriptor = descriptors.pop();
        self.waiting_descriptors += usize::from(descriptor.is_some());
        Intake::Request(Incoming { serial, received: now, priority, request, descriptor, length })
    }

    /// A request leaves the queue to be worked on.
    pub fn taken(&mut self, incoming: &Incoming) {
        self.waiting_bytes = self.waiting_bytes.saturating_sub(incoming.length);
        let descriptors = usize::from(incoming.descriptor.is_some());
        self.waiting_descriptors = self.waiting_descriptors.saturating_sub(descriptors);
    }

    /// Puts a reply behind those that are to be sent.
    pub fn reply(&mut self, serial: u64, reply: &Reply<'_>) {
        self.requests += 1;
        if matches!(reply, Reply::Refused(_)) {
            self.refused += 1;
        }
        self.endpoint.queue(|out| reply.encode(serial, out));
        self.is_welcome |= matches!(reply, Reply::Welcome(_));
    }

    /// The outputs have changed, of which it is told with what is sent next. However often they change until then, it
    /// is told once.
    pub const fn outputs_changed(&mut self) {
        self.has_pulse = true;
    }

    /// Sends what it takes of its replies.
    ///
    /// # Errors
    /// The connection ends.
    pub fn flush(&mut self) -> Result<(), Ending> {
        if self.has_pulse && self.is_welcome && !self.is_stalled() {
            self.has_pulse = false;
            self.endpoint.queue(|out| Reply::OutputsChanged.encode(0, out));
        }
        match self.endpoint.flush(Wait::Return) {
            Ok(_) => Ok(()),
            Err(TransportError::Io(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                Err(Ending::Closed)
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// What a request weighs while it waits.
fn body_length(request: &Result<Request<'_>, Refusal>) -> usize {
    use blitd_protocol::request::Entry;
    let fixed = size_of::<Request<'_>>();
    match request {
        Ok(Request::Draw(draw)) => fixed + draw.carried.len(),
        Ok(Request::RegionWrite { bytes, .. }) => fixed + bytes.len(),
        Ok(Request::Batch(entries)) => entries.iter().fold(fixed, |sum, entry| {
            let carried = if let Entry::Draw(draw) = entry { draw.carried.len() } else { 0 };
            sum + size_of::<Entry<'_>>() + carried
        }),
        _ => fixed,
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.endpoint.as_fd()
    }
}
