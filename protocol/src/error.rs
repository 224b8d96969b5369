//! What the daemon refuses, as numbers on the wire and as errors that say so.

macro_rules! codes {
    ($($(#[doc = $doc:literal])* $name:ident = $number:literal,)*) => {
        /// The number of an error, as docs/protocol.md lists them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum ErrorCode { $($(#[doc = $doc])* $name = $number,)* }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The code's number on the wire.
            pub const fn number(self) -> u32 {
                self as u32
            }

            /// The code with this number.
            pub fn from_number(number: u32) -> Option<Self> {
                match number { $($number => Some(Self::$name),)* _ => None }
            }
        }
    };
}

codes! {
    /// A length that cannot be, or a body that is not of its kind's size. Ends the connection.
    Malformed = 1,
    /// A descriptor too many or too few. Ends the connection.
    DescriptorCount = 2,
    /// The kernel cut the descriptors off (`MSG_CTRUNC`). Ends the connection.
    DescriptorsTruncated = 3,
    /// The first message was not a hello, or a later one was. Ends the connection.
    HelloExpected = 4,
    /// No version in common. Ends the connection.
    VersionUnsupported = 5,
    /// The server is full, or this user's share of it is. Ends the connection.
    TooManyConnections = 6,
    /// A kind of request that this version does not have.
    UnknownRequest = 7,
    /// A value that the protocol has, but this version of the daemon cannot do yet.
    NotSupported = 8,
    /// A value that the field cannot have.
    BadValue = 9,
    /// The id that the client chose is taken.
    IdInUse = 10,
    /// No such region on this connection.
    UnknownRegion = 11,
    /// No such layer on this connection.
    UnknownLayer = 12,
    /// No such output.
    UnknownOutput = 13,
    /// The memory can be shrunk: seal it.
    RegionNotSealed = 14,
    /// The memory has pages that were never allocated.
    RegionHasHoles = 15,
    /// The memory is smaller than stated.
    RegionTooSmall = 16,
    /// The memory cannot be mapped.
    RegionNotMappable = 17,
    /// The memory went away while it was read or written.
    RegionFault = 18,
    /// `write` and `read` are for regions that the daemon holds.
    RegionNotHeld = 19,
    /// The region was not created for the daemon to write into.
    RegionNotWritable = 20,
    /// A range or an image ends after its region.
    OutsideRegion = 21,
    /// The stride is less than a row.
    StrideTooSmall = 22,
    /// Sizes that overflow.
    SizeOverflow = 23,
    /// An image or a layer with a side that is 0 or too long, or an image not of the size that a capture needs.
    BadSize = 24,
    /// A fourcc that is not read.
    UnknownFormat = 25,
    /// A modifier that is not read.
    UnknownModifier = 26,
    /// The wrong number of planes.
    PlaneCount = 27,
    /// The source rectangle leaves the image, or the captured one the layer or the output.
    SourceOutside = 28,
    /// The user's limit is reached.
    LimitReached = 29,
    /// The priority is above the user's ceiling.
    PriorityTooHigh = 30,
    /// This user may not.
    NotPermitted = 31,
    /// The daemon could not get the memory.
    OutOfMemory = 32,
    /// The fences of a dmabuf did not signal in time.
    FenceTimeout = 33,
    /// No layer that lingers has this token.
    UnknownToken = 34,
    /// The layer with this token belongs to a connection.
    LayerInUse = 35,
}

impl ErrorCode {
    /// Whether the daemon ends the connection after it.
    pub const fn ends_connection(self) -> bool {
        matches!(
            self,
            Self::Malformed
                | Self::DescriptorCount
                | Self::DescriptorsTruncated
                | Self::HelloExpected
                | Self::VersionUnsupported
                | Self::TooManyConnections
        )
    }
}

/// An error that a peer can be told of.
pub trait Coded: std::error::Error {
    /// Its number on the wire.
    fn code(&self) -> ErrorCode;
}

impl Coded for crate::image::ImageError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::BadSize { .. } => ErrorCode::BadSize,
            Self::UnknownFormat { .. } => ErrorCode::UnknownFormat,
            Self::UnknownModifier { .. } => ErrorCode::UnknownModifier,
            Self::PlaneCount { .. } => ErrorCode::PlaneCount,
            Self::PlaneRegions { .. } => ErrorCode::NotSupported,
            Self::StrideTooSmall { .. } => ErrorCode::StrideTooSmall,
            Self::SizeOverflow { .. } => ErrorCode::SizeOverflow,
            Self::OutsideRegion { .. } => ErrorCode::OutsideRegion,
        }
    }
}

/// The most bytes of text that an error carries.
pub const MAX_ERROR_TEXT: usize = 400;

/// A refusal: what a client is told of a request that was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Refusal {
    /// The error's number.
    pub code: ErrorCode,
    /// Which entry of a batch it was, counted from 0.
    pub entry: Option<u32>,
    /// What was wrong, with which value, and what to do.
    pub text: String,
}

impl Refusal {
    /// The refusal that tells `error`.
    pub fn new(error: &impl Coded) -> Self {
        let mut text = error.to_string();
        text.truncate(text.floor_char_boundary(MAX_ERROR_TEXT));
        Self { code: error.code(), entry: None, text }
    }

    /// The same, for one entry of a batch.
    pub fn in_entry(self, entry: u32) -> Self {
        Self { entry: Some(entry), ..self }
    }
}

impl<E: Coded> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::new(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_both_ways() {
        for &code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_number(code.number()), Some(code));
        }
        assert_eq!(ErrorCode::from_number(0), None);
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        #[derive(Debug, thiserror::Error)]
        #[error("{}", "\u{e9}".repeat(300))]
        struct Long;
        impl Coded for Long {
            fn code(&self) -> ErrorCode {
                ErrorCode::BadValue
            }
        }
        assert_eq!(Refusal::new(&Long).text.len(), MAX_ERROR_TEXT);
    }
}
