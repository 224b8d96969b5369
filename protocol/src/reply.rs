//! What the daemon answers: replies, the records that listings are made of, and pulses.

use std::borrow::Cow;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::error::{ErrorCode, Refusal};
use crate::framing::{HEADER_LENGTH, MAX_LENGTH};
use crate::value::{
    Backend, ClockSource, Mode, NotShown, Path, StatisticsSubject, Token, Transform, ValueError,
};
use crate::wire;

/// The numbers of replies and pulses. A reply's header has its request's serial; a pulse's has 0.
pub mod kind {
    /// Reply to hello.
    pub const WELCOME: u16 = 0x8001;
    /// Done; carries the receipt.
    pub const DONE: u16 = 0x8002;
    /// The bytes that a region_read asked for.
    pub const DATA: u16 = 0x8003;
    /// Reply to sync.
    pub const SHOWN: u16 = 0x8004;
    /// Reply to outputs.
    pub const OUTPUTS: u16 = 0x8005;
    /// Reply to statistics.
    pub const STATISTICS: u16 = 0x8006;
    /// Reply to a layer_create whose layer lingers.
    pub const TOKEN: u16 = 0x8007;
    /// Reply to layer_claim.
    pub const CLAIMED: u16 = 0x8008;
    /// Refused.
    pub const REFUSED: u16 = 0x80ff;
    /// Kinds from here on are pulses. One that a client does not know it passes over.
    pub const FIRST_PULSE: u16 = 0xc000;
    /// Pulse: an output came, went or changed.
    pub const OUTPUTS_CHANGED: u16 = 0xc001;
}

/// What a client learns when it is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The version that both ends speak from here on.
    pub version: u16,
    /// How pixels travel.
    pub mode: Mode,
    /// The highest priority that this user may ask for.
    pub ceiling: u8,
    /// The longest message in bytes.
    pub longest: u32,
    /// The connection's number in statistics.
    pub connection: u64,
    /// How many bytes of regions and layers the user may hold.
    pub bytes: u64,
    /// How many regions the user may hold.
    pub regions: u32,
    /// How many layers the user may hold.
    pub layers: u32,
    /// How many requests may be unanswered before the daemon stops reading.
    pub requests: u32,
    /// The most bytes of pixels in one message.
    pub carried: u32,
}

/// What happened to a request, and when. Times are CLOCK_MONOTONIC in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// When it had been read from the socket.
    pub received: u64,
    /// When its work began.
    pub started: u64,
    /// When its work was finished.
    pub finished: u64,
    /// How many bytes of pixels were written.
    pub bytes: u64,
    /// In how many slices.
    pub slices: u32,
    /// Which way its pixels took.
    pub path: Path,
}

/// Whether and when what was sent before a sync came on the glass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The output.
    pub output: u32,
    /// `Shown`, or the reason why not.
    pub reason: NotShown,
    /// The frame's vblank sequence; 0 where not shown.
    pub sequence: u64,
    /// When the frame came on the glass, CLOCK_MONOTONIC in nanoseconds; 0 where not shown.
    pub time: u64,
    /// Whose time that is.
    pub clock: ClockSource,
}

/// Records of a listing: those from number `first` on that fit a message, of `total`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List<T> {
    /// How many were passed over.
    pub first: u32,
    /// How many there are.
    pub total: u32,
    /// The records.
    pub records: Vec<T>,
}

/// A page of statistics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statistics {
    /// The daemon as a whole.
    Daemon(List<wire::DaemonRecord>),
    /// A record for each connection.
    Clients(List<wire::ClientRecord>),
    /// A record for each layer.
    Layers(List<wire::LayerRecord>),
    /// A record for each priority that requests have had.
    Priorities(List<wire::PriorityRecord>),
}

/// A reply, as decoded from or to be encoded into a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    /// To hello.
    Welcome(Welcome),
    /// To most requests: it is done, and the region is yours again.
    Done(Receipt),
    /// To region_read.
    Data(Cow<'a, [u8]>),
    /// To sync.
    Shown(Shown),
    /// To outputs.
    Outputs(List<wire::OutputRecord>),
    /// To statistics.
    Statistics(Statistics),
    /// To a layer_create whose layer lingers: it is done, and this is its token.
    Token(Token),
    /// To layer_claim: it is done, and this is the layer.
    Claimed(wire::LayerRecord),
    /// It was refused; the region is yours again.
    Refused(Refusal),
    /// A pulse: an output came, went or changed.
    OutputsChanged,
}

/// A reply that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// A kind that this version does not have.
    #[error("the daemon sent kind {kind:#06x}, which this version of the protocol does not have")]
    UnknownKind {
        /// The kind as received.
        kind: u16,
    },
    /// A body that is not of its kind's size.
    #[error("the daemon sent {length} bytes for kind {kind:#06x}, which is not its size")]
    Length {
        /// The kind.
        kind: u16,
        /// The body's length.
        length: usize,
    },
    /// An error number that this version does not have.
    #[error(
        "the daemon refused with error {number}, which this version of the protocol does not have: {text}"
    )]
    UnknownError {
        /// The number as received.
        number: u32,
        /// The daemon's words.
        text: String,
    },
    /// A value that the field cannot have.
    #[error("the daemon sent a value that cannot be: {0}")]
    Value(#[from] ValueError),
}

/// How many records of `size` bytes fit a message.
pub const fn records_per_message(size: usize) -> usize {
    (MAX_LENGTH - HEADER_LENGTH - size_of::<wire::List>()) / size
}

fn exact<T: FromBytes + KnownLayout + Immutable + Unaligned>(
    kind: u16,
    body: &[u8],
) -> Result<&T, ReplyError> {
    T::ref_from_bytes(body).map_err(|_| ReplyError::Length { kind, length: body.len() })
}

fn list<T>(kind: u16, body: &[u8]) -> Result<(u32, List<T>), ReplyError>
where
    T: FromBytes + KnownLayout + Immutable + Unaligned + Copy,
{
    let length = ReplyError::Length { kind, length: body.len() };
    let (head, rest) = wire::List::ref_from_prefix(body).map_err(|_| length.clone())?;
    let records = <[T]>::ref_from_bytes(rest).map_err(|_| length.clone())?;
    if records.len() as u64 != u64::from(head.count.get()) {
        return Err(length);
    }
    let list = List { first: head.first.get(), total: head.total.get(), records: records.to_vec() };
    Ok((head.subject.get(), list))
}

impl<T: IntoBytes + Immutable> List<T> {
    fn encode(&self, subject: u32, out: &mut Vec<u8>) {
        let records = &self.records[..self.records.len().min(records_per_message(size_of::<T>()))];
        let head = wire::List {
            subject: subject.into(),
            first: self.first.into(),
            count: u32::try_from(records.len()).unwrap_or(u32::MAX).into(),
            total: self.total.into(),
        };
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(records.as_bytes());
    }
}

impl<'a> Reply<'a> {
    /// Decodes a message's body.
    ///
    /// # Errors
    /// The daemon speaks a protocol that this crate does not.
    pub fn decode(header: &wire::Header, body: &'a [u8]) -> Result<Self, ReplyError> {
        let kind = header.kind.get();
        Ok(match kind {
            kind::WELCOME => {
                let wire = exact::<wire::Welcome>(kind, body)?;
                Self::Welcome(Welcome {
                    version: wire.version.get(),
                    mode: Mode::from_number(wire.mode)?,
                    ceiling: wire.ceiling,
                    longest: wire.longest.get(),
                    connection: wire.connection.get(),
                    bytes: wire.bytes.get(),
                    regions: wire.regions.get(),
                    layers: wire.layers.get(),
                    requests: wire.requests.get(),
                    carried: wire.carried.get(),
                })
            }
            kind::DONE => {
                let wire = exact::<wire::Done>(kind, body)?;
                Self::Done(Receipt {
                    received: wire.received.get(),
                    started: wire.started.get(),
                    finished: wire.finished.get(),
                    bytes: wire.bytes.get(),
                    slices: wire.slices.get(),
                    path: Path::from_number(wire.path)?,
                })
            }
            kind::DATA => Self::Data(Cow::Borrowed(body)),
            kind::SHOWN => {
                let wire = exact::<wire::Shown>(kind, body)?;
                Self::Shown(Shown {
                    output: wire.output.get(),
                    reason: NotShown::from_number(wire.reason)?,
                    sequence: wire.sequence.get(),
                    time: wire.time.get(),
                    clock: ClockSource::from_number(wire.clock)?,
                })
            }
            kind::OUTPUTS => Self::Outputs(list(kind, body)?.1),
            kind::STATISTICS => {
                let length = ReplyError::Length { kind, length: body.len() };
                let (head, _) = wire::List::ref_from_prefix(body).map_err(|_| length)?;
                Self::Statistics(match StatisticsSubject::from_number(head.subject.get())? {
                    StatisticsSubject::Daemon => Statistics::Daemon(list(kind, body)?.1),
                    StatisticsSubject::Clients => Statistics::Clients(list(kind, body)?.1),
                    StatisticsSubject::Layers => Statistics::Layers(list(kind, body)?.1),
                    StatisticsSubject::Priorities => Statistics::Priorities(list(kind, body)?.1),
                })
            }
            kind::TOKEN => {
                let wire = exact::<wire::Token>(kind, body)?;
                let nothing = ValueError::Number { field: "token", value: 0, takes: "any number but 0" };
                Self::Token(Token::from_bytes(wire.token).ok_or(nothing)?)
            }
            kind::CLAIMED => Self::Claimed(*exact::<wire::LayerRecord>(kind, body)?),
            kind::REFUSED => {
                let length = ReplyError::Length { kind, length: body.len() };
                let (wire, text) = wire::Refused::ref_from_prefix(body).map_err(|_| length)?;
                let text = String::from_utf8_lossy(text).into_owned();
                let number = wire.code.get();
                let Some(code) = ErrorCode::from_number(number) else {
                    return Err(ReplyError::UnknownError { number, text });
                };
                let entry = Some(wire.entry.get()).filter(|&entry| entry != u32::MAX);
                Self::Refused(Refusal { code, entry, text })
            }
            kind::OUTPUTS_CHANGED if body.is_empty() => Self::OutputsChanged,
            kind::OUTPUTS_CHANGED => return Err(ReplyError::Length { kind, length: body.len() }),
            _ => return Err(ReplyError::UnknownKind { kind }),
        })
    }

    /// Its kind's number.
    pub const fn kind(&self) -> u16 {
        match self {
            Self::Welcome(_) => kind::WELCOME,
            Self::Done(_) => kind::DONE,
            Self::Data(_) => kind::DATA,
            Self::Shown(_) => kind::SHOWN,
            Self::Outputs(_) => kind::OUTPUTS,
            Self::Statistics(_) => kind::STATISTICS,
            Self::Token(_) => kind::TOKEN,
            Self::Claimed(_) => kind::CLAIMED,
            Self::Refused(_) => kind::REFUSED,
            Self::OutputsChanged => kind::OUTPUTS_CHANGED,
        }
    }

    /// Appends the whole message, header included. A list longer than a message is cut; its total tells.
    pub fn encode(&self, serial: u64, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; HEADER_LENGTH]);
        self.encode_body(out);
        let header = wire::Header {
            length: u32::try_from(out.len() - start).unwrap_or(u32::MAX).into(),
            kind: self.kind().into(),
            descriptors: 0,
            priority: 0,
            serial: serial.into(),
        };
        out[start..start + HEADER_LENGTH].copy_from_slice(header.as_bytes());
    }

    fn encode_body(&self, out: &mut Vec<u8>) {
        let mut put = |bytes: &[u8]| out.extend_from_slice(bytes);
        match self {
            Self::Welcome(welcome) => put(wire::Welcome {
                version: welcome.version.into(),
                mode: welcome.mode.number(),
                ceiling: welcome.ceiling,
                longest: welcome.longest.into(),
                connection: welcome.connection.into(),
                bytes: welcome.bytes.into(),
                regions: welcome.regions.into(),
                layers: welcome.layers.into(),
                requests: welcome.requests.into(),
                carried: welcome.carried.into(),
            }
            .as_bytes()),
            Self::Done(receipt) => put(wire::Done {
                received: receipt.received.into(),
                started: receipt.started.into(),
                finished: receipt.finished.into(),
                bytes: receipt.bytes.into(),
                slices: receipt.slices.into(),
                path: receipt.path.number(),
                reserved: [0; 3],
            }
            .as_bytes()),
            Self::Data(bytes) => put(bytes),
            Self::Shown(shown) => put(wire::Shown {
                sequence: shown.sequence.into(),
                time: shown.time.into(),
                output: shown.output.into(),
                reason: shown.reason.number(),
                clock: shown.clock.number(),
                reserved: 0.into(),
            }
            .as_bytes()),
            Self::Outputs(list) => list.encode(0, out),
            Self::Statistics(statistics) => {
                let number = |subject: StatisticsSubject| subject.number().into();
                match statistics {
                    Statistics::Daemon(list) => list.encode(number(StatisticsSubject::Daemon), out),
                    Statistics::Clients(list) => list.encode(number(StatisticsSubject::Clients), out),
                    Statistics::Layers(list) => list.encode(number(StatisticsSubject::Layers), out),
                    Statistics::Priorities(list) => list.encode(number(StatisticsSubject::Priorities), out),
                }
            }
            Self::Token(token) => put(wire::Token { token: *token.as_bytes() }.as_bytes()),
            Self::Claimed(record) => put(record.as_bytes()),
            Self::Refused(refusal) => {
                put(wire::Refused {
                    code: refusal.code.number().into(),
                    entry: refusal.entry.unwrap_or(u32::MAX).into(),
                }
                .as_bytes());
                put(refusal.text.as_bytes());
            }
            Self::OutputsChanged => {}
        }
    }

    /// The reply with bytes of its own, so that it outlives the buffer that it was decoded from.
    pub fn into_owned(self) -> Reply<'static> {
        match self {
            Self::Data(bytes) => Reply::Data(Cow::Owned(bytes.into_owned())),
            Self::Welcome(welcome) => Reply::Welcome(welcome),
            Self::Done(receipt) => Reply::Done(receipt),
            Self::Shown(shown) => Reply::Shown(shown),
            Self::Outputs(list) => Reply::Outputs(list),
            Self::Statistics(statistics) => Reply::Statistics(statistics),
            Self::Token(token) => Reply::Token(token),
            Self::Claimed(record) => Reply::Claimed(record),
            Self::Refused(refusal) => Reply::Refused(refusal),
            Self::OutputsChanged => Reply::OutputsChanged,
        }
    }
}

impl wire::OutputRecord {
    /// What drives the output.
    ///
    /// # Errors
    /// The number is not a backend's.
    pub fn backend(&self) -> Result<Backend, ValueError> {
        Backend::from_number(self.backend)
    }

    /// How pictures are turned on their way to the screen.
    ///
    /// # Errors
    /// The number is not a transform's.
    pub fn transform(&self) -> Result<Transform, ValueError> {
        Transform::from_number(self.transform)
    }

    /// Where the output is in the space that it shares with others, if it does.
    pub fn place(&self) -> Option<(i32, i32)> {
        (self.placed != 0).then_some((self.x.get(), self.y.get()))
    }
}
