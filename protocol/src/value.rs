//! The small values that requests and replies are made of, and their numbers on the wire.

use crate::error::{Coded, ErrorCode};

/// A value that a field cannot have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// A number that is not one of those that the field takes.
    #[error("{field} is {value}: it takes {takes}")]
    Number {
        /// The field.
        field: &'static str,
        /// Its value as received.
        value: u64,
        /// What it takes.
        takes: &'static str,
    },
    /// Reserved bytes that are not zero.
    #[error("reserved bytes of {layout} are not 0: send them as 0")]
    Reserved {
        /// The layout.
        layout: &'static str,
    },
    /// A name that is not UTF-8 padded with zeros.
    #[error("the name is not UTF-8 padded with zeros")]
    Name,
}

impl Coded for ValueError {
    fn code(&self) -> ErrorCode {
        ErrorCode::BadValue
    }
}

macro_rules! numbers {
    ($($(#[doc = $doc:literal])* $name:ident: $field:literal, $takes:literal { $($(#[doc = $each:literal])* $variant:ident = $number:literal,)* })*) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum $name { $($(#[doc = $each])* $variant = $number,)* }

        impl $name {
            /// Every value.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its number on the wire.
            pub const fn number(self) -> u8 {
                self as u8
            }

            /// The value with this number.
            ///
            /// # Errors
            /// [`ValueError::Number`] where there is none.
            pub fn from_number(number: impl Into<u64>) -> Result<Self, ValueError> {
                match number.into() {
                    $($number => Ok(Self::$variant),)*
                    value => Err(ValueError::Number { field: $field, value, takes: $takes }),
                }
            }
        }
    )*};
}

numbers! {
    /// How a connection's pixels travel.
    Mode: "mode", "1 (shared) or 2 (inline)" {
        /// In memory that both sides map.
        Shared = 1,
        /// In `write` and `read` requests, into memory that the daemon holds.
        Inline = 2,
    }
    /// What kind of memory a region is.
    Memory: "memory", "1 (memfd), 2 (dmabuf) or 3 (held)" {
        /// A sealed memfd, which the message carries.
        Memfd = 1,
        /// A dmabuf, which the message carries.
        Dmabuf = 2,
        /// Memory that the daemon holds for the client, zero at first.
        Held = 3,
    }
    /// What the daemon may do with a region.
    Access: "access", "1 (read) or 3 (read and write)" {
        /// Draw from it.
        Read = 1,
        /// Draw from it and capture into it.
        ReadWrite = 3,
    }
    /// How the source is turned on its way into the layer: reflected first, then rotated counter-clockwise, as
    /// the kernel's plane property `rotation` has it.
    Transform: "transform", "0 to 7" {
        /// As it is.
        Identity = 0,
        /// Rotated by 90 degrees.
        Rotate90 = 1,
        /// Rotated by 180 degrees.
        Rotate180 = 2,
        /// Rotated by 270 degrees.
        Rotate270 = 3,
        /// Left and right exchanged.
        Reflect = 4,
        /// Left and right exchanged, then rotated by 90 degrees.
        ReflectRotate90 = 5,
        /// Left and right exchanged, then rotated by 180 degrees.
        ReflectRotate180 = 6,
        /// Left and right exchanged, then rotated by 270 degrees.
        ReflectRotate270 = 7,
    }
    /// How a pixel is made where the source is scaled.
    Filter: "filter", "0 (nearest) or 1 (bilinear)" {
        /// The nearest source pixel.
        Nearest = 0,
        /// A weighted mean of the four around; of all that it covers, where more than two come to one.
        Bilinear = 1,
    }
    /// Which colours the numbers of a YUV format mean, as the kernel's plane property `COLOR_ENCODING` has it.
    ColorEncoding: "encoding", "0 (BT.601) or 1 (BT.709); 0 for RGB formats" {
        /// ITU-R BT.601, of standard definition.
        Bt601 = 0,
        /// ITU-R BT.709, of high definition.
        Bt709 = 1,
    }
    /// Which range the numbers of a YUV format have, as the kernel's plane property `COLOR_RANGE` has it.
    ColorRange: "range", "0 (limited) or 1 (full); 0 for RGB formats" {
        /// Y from 16 to 235, Cb and Cr from 16 to 240.
        Limited = 0,
        /// All of them from 0 to 255.
        Full = 1,
    }
    /// How a source pixel meets the one that is there. Both operators are Porter and Duff's, on premultiplied
    /// pixels.
    Operator: "operator", "0 (source) or 1 (over)" {
        /// It replaces what is there.
        Source = 0,
        /// It covers what is there as far as it is opaque.
        Over = 1,
    }
    /// Where a layer stands: all of a band is above all of the band before it.
    Band: "band", "0 (background), 1 (normal), 2 (overlay) or 3 (alarm)" {
        /// Below everything.
        Background = 0,
        /// Where layers are unless told otherwise.
        Normal = 1,
        /// Above the normal ones.
        Overlay = 2,
        /// Above everything.
        Alarm = 3,
    }
    /// What is captured.
    CaptureSubject: "subject", "1 (layer) or 2 (output)" {
        /// A layer, by its id.
        Layer = 1,
        /// An output, by its id.
        Output = 2,
    }
    /// Which statistics are asked for.
    StatisticsSubject: "subject", "1 (daemon), 2 (clients), 3 (layers) or 4 (priorities)" {
        /// The daemon as a whole; one record.
        Daemon = 1,
        /// A record for each connection.
        Clients = 2,
        /// A record for each layer.
        Layers = 3,
        /// A record for each priority that requests have had.
        Priorities = 4,
    }
    /// Which way a request's pixels took.
    Path: "path", "0 (none), 1 (in place) or 2 (swapped)" {
        /// It moved no pixels into a layer.
        None = 0,
        /// Drawn in one slice, straight into the layer.
        InPlace = 1,
        /// Drawn into the layer's spare storage, which then took the place of the first.
        Swapped = 2,
    }
    /// Why something is not on the glass.
    NotShown: "reason", "0 (shown), 1 (nothing visible) or 2 (output off)" {
        /// It is on the glass.
        Shown = 0,
        /// The connection has no visible layer on that output.
        NothingVisible = 1,
        /// The output is off.
        OutputOff = 2,
    }
    /// Whose clock a time is from.
    ClockSource: "clock", "0 (none), 1 (hardware) or 2 (daemon)" {
        /// No time was taken.
        None = 0,
        /// The display hardware's vblank time stamp.
        Hardware = 1,
        /// The daemon's own clock.
        Daemon = 2,
    }
    /// What an output is driven by.
    Backend: "backend", "1 (headless) or 2 (KMS)" {
        /// Memory, and a timer for a vblank.
        Headless = 1,
        /// A DRM card.
        Kms = 2,
    }
}

/// The highest priority of a request.
pub const MAX_PRIORITY: u8 = 63;

/// How urgent a request is, 0 to [`MAX_PRIORITY`]; higher goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(u8);

impl Priority {
    /// What a request has unless told otherwise.
    pub const DEFAULT: Self = Self(10);
    /// The most urgent.
    pub const MAX: Self = Self(MAX_PRIORITY);

    /// The priority with this number.
    ///
    /// # Errors
    /// [`ValueError::Number`] above [`MAX_PRIORITY`].
    pub const fn new(number: u8) -> Result<Self, ValueError> {
        if number > MAX_PRIORITY {
            return Err(ValueError::Number { field: "priority", value: number as u64, takes: "0 to 63" });
        }
        Ok(Self(number))
    }

    /// Its number.
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What a layer that lingers is claimed with: 128 bits of the kernel's random numbers, so whoever has them was given
/// them. Its text is in hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token([u8; 16]);

impl Token {
    /// The token in these bytes; `None` where they are 0, which stands for none.
    pub const fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        if u128::from_le_bytes(bytes) == 0 { None } else { Some(Self(bytes)) }
    }

    /// The bytes, for the wire or to be kept.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl std::fmt::Display for Token {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// A log is no place for it.
impl std::fmt::Debug for Token {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Token")
    }
}

/// The longest name, in bytes of UTF-8.
pub const MAX_NAME: usize = 32;

/// A short text for people: UTF-8, at most [`MAX_NAME`] bytes, without zeros.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Name([u8; MAX_NAME]);

impl Name {
    /// The text, cut at a character boundary where it is too long, and before a zero.
    pub fn new(text: &str) -> Self {
        let text = text.split('\0').next().unwrap_or_default();
        let text = &text.as_bytes()[..text.floor_char_boundary(MAX_NAME)];
        let mut bytes = [0; MAX_NAME];
        bytes[..text.len()].copy_from_slice(text);
        Self(bytes)
    }

    /// The name in these bytes.
    ///
    /// # Errors
    /// [`ValueError::Name`] where they are not UTF-8 padded with zeros.
    pub fn from_bytes(bytes: [u8; MAX_NAME]) -> Result<Self, ValueError> {
        let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(MAX_NAME);
        let padded = bytes[end..].iter().all(|&byte| byte == 0);
        if !padded || std::str::from_utf8(&bytes[..end]).is_err() {
            return Err(ValueError::Name);
        }
        Ok(Self(bytes))
    }

    /// The bytes, padded with zeros.
    pub const fn as_bytes(&self) -> &[u8; MAX_NAME] {
        &self.0
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        let end = self.0.iter().position(|&byte| byte == 0).unwrap_or(MAX_NAME);
        std::str::from_utf8(&self.0[..end]).unwrap_or_default()
    }
}

impl std::fmt::Debug for Name {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self.as_str(), formatter)
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_between_characters() {
        let name = Name::new(&"\u{20ac}".repeat(11));
        assert_eq!(name.as_str().chars().count(), 10);
        assert_eq!(Name::new("a\0b").as_str(), "a");
        assert_eq!(Name::from_bytes(*name.as_bytes()), Ok(name));
    }

    #[test]
    fn bad_names_are_refused() {
        let mut bytes = [0; MAX_NAME];
        bytes[0] = 0xff;
        assert_eq!(Name::from_bytes(bytes), Err(ValueError::Name));
        bytes = [0; MAX_NAME];
        bytes[5] = b'x';
        assert_eq!(Name::from_bytes(bytes), Err(ValueError::Name));
    }

    #[test]
    fn priorities_end_at_63() {
        assert_eq!(Priority::new(63), Ok(Priority::MAX));
        assert!(Priority::new(64).is_err());
    }

    #[test]
    fn numbers_go_both_ways() {
        for &transform in Transform::ALL {
            assert_eq!(Transform::from_number(transform.number()), Ok(transform));
        }
        assert!(Transform::from_number(8u8).is_err());
        let error = StatisticsSubject::from_number(70_000u32).unwrap_err();
        assert_eq!(
            error.to_string(),
            "subject is 70000: it takes 1 (daemon), 2 (clients), 3 (layers) or 4 (priorities)"
        );
    }
}
