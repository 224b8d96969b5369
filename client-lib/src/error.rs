//! What can go wrong, and whether the connection survives it.

use std::path::PathBuf;

use blitd_protocol::error::Refusal;
use blitd_protocol::framing::FramingError;
use blitd_protocol::image::ImageError;
use blitd_protocol::reply::ReplyError;
use blitd_protocol::request::{EncodeError, MAX_CARRIED, RequestKind};
use blitd_protocol::transport::{SOCKET_VARIABLE, TransportError};

/// Why a call failed. [`ends_connection`](Self::ends_connection) tells whether the next one can succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody listens on the socket, or this user may not connect to it.
    #[error("cannot connect to {}: {source}; start blitd, or name its socket in {SOCKET_VARIABLE}", path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// What the kernel says.
        source: std::io::Error,
    },
    /// The socket failed.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// What the daemon sends cannot be cut into messages.
    #[error("the daemon's messages cannot be read: {0}; do daemon and library have the same version?")]
    Framing(#[from] FramingError),
    /// What the daemon sends is not this protocol.
    #[error("{0}; do daemon and library have the same version?")]
    Reply(#[from] ReplyError),
    /// The daemon said no, in its own words. What the request lent is the program's again.
    ///
    /// An error that this version of the protocol does not have comes as
    /// [`NotSupported`](blitd_protocol::error::ErrorCode::NotSupported); its text begins with its number.
    #[error("the daemon refused{entry}: {0}", entry = entry_number(.0.entry))]
    Refused(#[from] Refusal),
    /// The daemon went away or ended the connection, or the program did.
    #[error("the connection is closed: open a new one; the daemon's log tells why, if it was the daemon")]
    Closed,
    /// No reply came in time. After a wait on a [`Lent`](crate::Lent), which gives that back, the connection can be used
    /// on all the same.
    #[error("the daemon did not reply in time: open a new connection, or allow it more time")]
    TimedOut,
    /// The daemon is gone, and was not back in time. What was asked is not carried out when it comes back, unless it was
    /// lent with a handle; the connection goes on waiting for it, and can be used on.
    #[error("the daemon has gone and is not back yet ({why}): start it, and try again or allow it more time")]
    Away {
        /// Why it could not be connected to last.
        why: String,
    },
    /// A request that is longer than a message can be. It was not sent.
    #[error(transparent)]
    TooLong(#[from] EncodeError),
    /// More pixels than a draw can carry. It was not sent.
    #[error(
        "{length} bytes of pixels cannot travel in the draw's own message, which takes {MAX_CARRIED}: draw them from a region"
    )]
    TooManyCarried {
        /// How many bytes the draw would carry.
        length: usize,
    },
    /// An image that is not inside its memory. The request was not sent.
    #[error("not sent{entry}: {source}", entry = entry_number(*.entry))]
    Image {
        /// Which entry of a batch it was, counted from 0.
        entry: Option<u32>,
        /// What is wrong with it.
        source: ImageError,
    },
    /// A region of more bytes than this user may hold. It was not asked for.
    #[error("not sent: a region of {bytes} bytes, and this user may hold {limit}; make it smaller")]
    TooLarge {
        /// The region's size in bytes.
        bytes: usize,
        /// How many bytes of regions and layers the user may hold.
        limit: u64,
    },
    /// A dmabuf over a socket that carries bytes only. It was not sent.
    #[error("not sent: a dmabuf cannot travel over a forwarded socket; use create_region")]
    NotShared,
    /// A region of another connection. The request was not sent.
    #[error("not sent: region {region} is another connection's; use it with the one that made it")]
    OtherConnection {
        /// The region's id.
        region: u32,
    },
    /// A request whose descriptor is missing, or that takes none. It was not sent.
    #[error("{kind} takes {takes} descriptors: give exactly that many")]
    Descriptors {
        /// The request's kind.
        kind: RequestKind,
        /// How many descriptors it takes.
        takes: u8,
    },
    /// Memory for a region could not be had.
    #[error("{what} failed: {source}; make the region smaller, or raise this program's limits")]
    Memory {
        /// What was tried.
        what: &'static str,
        /// What the kernel says.
        source: std::io::Error,
    },
    /// The descriptor for a program's own loop could not be had.
    #[error("making the descriptor that a loop can watch failed: {0}; raise this program's limits")]
    Watch(std::io::Error),
    /// The thread that waits for the daemon's end could not be started.
    #[error(
        "starting the thread that restores the connection failed: {0}; raise this program's limits, or restore nothing"
    )]
    Keeper(std::io::Error),
    /// A reply that fits no request, or not the one it answers.
    #[error("the daemon sent a reply of kind {kind:#06x} that does not fit: this is a fault of the daemon")]
    Unexpected {
        /// The reply's kind.
        kind: u16,
    },
    /// A serial whose reply was taken before, or that is another link's.
    #[error("request {serial} awaits no reply: wait once for each, on the link that sent it")]
    NotPending {
        /// The serial's number.
        serial: u64,
    },
}

impl Error {
    /// Whether the connection is of no more use.
    ///
    /// If not, nothing has changed but that this one request was not carried out.
    pub fn ends_connection(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.code.ends_connection(),
            Self::TooLong(_)
            | Self::TooManyCarried { .. }
            | Self::Image { .. }
            | Self::TooLarge { .. }
            | Self::NotShared
            | Self::OtherConnection { .. }
            | Self::Descriptors { .. }
            | Self::Memory { .. }
            | Self::Watch(_)
            | Self::Keeper(_)
            | Self::Away { .. }
            | Self::NotPending { .. } => false,
            Self::Connect { .. }
            | Self::Transport(_)
            | Self::Framing(_)
            | Self::Reply(_)
            | Self::Closed
            | Self::TimedOut
            | Self::Unexpected { .. } => true,
        }
    }
}

fn entry_number(entry: Option<u32>) -> String {
    entry.map(|entry| format!(" for entry {entry} of the batch")).unwrap_or_default()
}

impl From<ImageError> for Error {
    fn from(source: ImageError) -> Self {
        Self::Image { entry: None, source }
    }
}
