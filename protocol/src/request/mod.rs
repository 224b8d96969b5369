//! What a client asks: every request as a value.
//!
//! `Request::decode` takes bytes that anybody may have written. It cannot panic, it allocates no more than the
//! message's own length, and what it returns holds only values that the protocol has.

use std::borrow::Cow;

use crate::image::Image;
use crate::value::{
    Access, Band, CaptureSubject, ColorEncoding, ColorRange, Filter, Memory, Name, Operator,
    StatisticsSubject, Token, Transform,
};

mod decode;
mod encode;
mod kind;

pub use decode::DecodeError;
pub use encode::EncodeError;
pub use kind::RequestKind;

/// `"blit"`, as a little-endian number: begins a hello.
pub const MAGIC: u32 = u32::from_le_bytes(*b"blit");

/// The protocol version that this crate speaks.
pub const VERSION: u16 = 1;

/// The most bytes of pixels in one message, be they a draw's own, a write's or a read's.
pub const MAX_CARRIED: usize = 64 * 1024;

/// The longest batch, in entries.
pub const MAX_ENTRIES: usize = 512;

/// The bits of a layer_configure's `changes`.
mod change {
    pub(super) const PLACE: u32 = 1;
    pub(super) const Z: u32 = 2;
    pub(super) const BAND: u32 = 4;
    pub(super) const OPACITY: u32 = 8;
    pub(super) const VISIBLE: u32 = 16;
    pub(super) const OUTPUT: u32 = 32;
    pub(super) const SIZE: u32 = 64;
    pub(super) const CROP: u32 = 128;
    pub(super) const ALL: u32 = 255;
}

/// Opens the connection. It carries a descriptor, any; if that cannot arrive, the connection is `inline`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The oldest version that the client speaks.
    pub oldest: u16,
    /// The newest version that the client speaks.
    pub newest: u16,
    /// The program's name, for people.
    pub name: Name,
}

/// Lends memory to the daemon under an id of the client's choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegionCreate {
    /// The region's id, not 0.
    pub region: u32,
    /// What kind of memory; a memfd or a dmabuf travels with the message.
    pub memory: Memory,
    /// What the daemon may do with it.
    pub access: Access,
    /// Its size in bytes.
    pub size: u64,
}

/// Makes a layer under an id of the client's choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerCreate {
    /// The layer's id, not 0.
    pub layer: u32,
    /// The output that shows it; 0 is the first.
    pub output: u32,
    /// Its left column on the output.
    pub x: i32,
    /// Its top row on the output.
    pub y: i32,
    /// Its picture's width in pixels.
    pub width: u32,
    /// Its picture's height in pixels.
    pub height: u32,
    /// Its place among the layers of its band; higher is in front.
    pub z: i32,
    /// XRGB8888 or ARGB8888.
    pub fourcc: u32,
    /// Its band.
    pub band: Band,
    /// Its opacity, 255 opaque.
    pub opacity: u8,
    /// Whether it is shown.
    pub visible: bool,
    /// Whether it outlives its connection; then the reply is its token.
    pub linger: bool,
    /// Its name, for people.
    pub name: Name,
}

/// Changes what is `Some`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct LayerConfigure {
    /// The layer.
    pub layer: u32,
    /// Its left column and top row on the output.
    pub place: Option<(i32, i32)>,
    /// Its place among the layers of its band.
    pub z: Option<i32>,
    /// Its band.
    pub band: Option<Band>,
    /// Its opacity, 255 opaque.
    pub opacity: Option<u8>,
    /// Whether it is shown.
    pub visible: Option<bool>,
    /// The output that shows it; 0 is the first.
    pub output: Option<u32>,
    /// Width and height of what it fills on the output, in pixels; that of its picture unless told otherwise.
    pub size: Option<(u32, u32)>,
    /// Which part of its picture is shown there; all of it unless told otherwise.
    pub crop: Option<FixedRectangle>,
}

/// A rectangle in 16.16 fixed point: 0x10000 is one pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct FixedRectangle {
    /// Left edge.
    pub x: u32,
    /// Top edge.
    pub y: u32,
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
}

impl FixedRectangle {
    /// The fixed-point rectangle of whole pixels; each argument below 65536.
    pub const fn from_pixels(x: u16, y: u16, width: u16, height: u16) -> Self {
        Self {
            x: (x as u32) << 16,
            y: (y as u32) << 16,
            width: (width as u32) << 16,
            height: (height as u32) << 16,
        }
    }
}

/// A place and a size in whole pixels, as received: nothing about it is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Pixels {
    /// Left column.
    pub x: i32,
    /// Top row.
    pub y: i32,
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
}

/// Draws an image into a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draw<'a> {
    /// The layer.
    pub layer: u32,
    /// How the source is turned.
    pub transform: Transform,
    /// How it is scaled.
    pub filter: Filter,
    /// How it meets what is there.
    pub operator: Operator,
    /// How much of it, 255 all.
    pub opacity: u8,
    /// Which part of the image.
    pub source: FixedRectangle,
    /// Where in the layer; what leaves the layer is clipped.
    pub destination: Pixels,
    /// The pixels. A plane whose region is 0 is in `carried`.
    pub image: Image,
    /// Which colours they mean, where the format is YUV; otherwise the first.
    pub encoding: ColorEncoding,
    /// Which range they have, where the format is YUV; otherwise the first.
    pub range: ColorRange,
    /// Pixels that the message itself carries.
    pub carried: Cow<'a, [u8]>,
}

/// Fills a rectangle of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// The layer.
    pub layer: u32,
    /// A premultiplied ARGB8888 word.
    pub colour: u32,
    /// How it meets what is there.
    pub operator: Operator,
    /// Where in the layer; what leaves the layer is clipped.
    pub destination: Pixels,
}

/// One entry of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// Draws an image.
    Draw(Draw<'a>),
    /// Fills a rectangle.
    Fill(Fill),
    /// Changes a layer.
    LayerConfigure(LayerConfigure),
}

/// The daemon writes a layer or an output into a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capture {
    /// Whether `id` is a layer or an output.
    pub subject: CaptureSubject,
    /// The layer's or output's id; output 0 is the first.
    pub id: u32,
    /// Which part of it, all inside.
    pub source: Pixels,
    /// Where it goes: an image of the same width and height.
    pub image: Image,
}

/// A request, as decoded from or to be encoded into a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// Opens the connection.
    Hello(Hello),
    /// Lends memory.
    RegionCreate(RegionCreate),
    /// Ends a region.
    RegionDestroy {
        /// The region.
        region: u32,
    },
    /// Fills part of a held region.
    RegionWrite {
        /// The region.
        region: u32,
        /// Where in the region, in bytes.
        offset: u64,
        /// What goes there.
        bytes: Cow<'a, [u8]>,
    },
    /// Asks for part of a held region.
    RegionRead {
        /// The region.
        region: u32,
        /// Where in the region, in bytes.
        offset: u64,
        /// How many bytes, 1 to [`MAX_CARRIED`].
        length: u32,
    },
    /// Makes a layer.
    LayerCreate(LayerCreate),
    /// Changes a layer.
    LayerConfigure(LayerConfigure),
    /// Ends a layer.
    LayerDestroy {
        /// The layer.
        layer: u32,
    },
    /// Takes over a layer that lingers and belongs to nobody.
    LayerClaim {
        /// The id that it is to have, not 0.
        layer: u32,
        /// Its token.
        token: Token,
    },
    /// Draws an image into a layer.
    Draw(Draw<'a>),
    /// Fills a rectangle of a layer.
    Fill(Fill),
    /// Several as one: validated whole, and shown in one frame.
    Batch(Vec<Entry<'a>>),
    /// The daemon writes into a region.
    Capture(Capture),
    /// Answered when everything earlier on this connection is on the glass.
    Sync {
        /// The output; 0 is the first.
        output: u32,
    },
    /// Lists the outputs.
    Outputs {
        /// How many to pass over.
        first: u32,
    },
    /// Lists statistics.
    Statistics {
        /// Which.
        subject: StatisticsSubject,
        /// How many records to pass over.
        first: u32,
    },
}

impl Request<'_> {
    /// Its kind.
    pub const fn kind(&self) -> RequestKind {
        match self {
            Self::Hello(_) => RequestKind::Hello,
            Self::RegionCreate(_) => RequestKind::RegionCreate,
            Self::RegionDestroy { .. } => RequestKind::RegionDestroy,
            Self::RegionWrite { .. } => RequestKind::RegionWrite,
            Self::RegionRead { .. } => RequestKind::RegionRead,
            Self::LayerCreate(_) => RequestKind::LayerCreate,
            Self::LayerConfigure(_) => RequestKind::LayerConfigure,
            Self::LayerDestroy { .. } => RequestKind::LayerDestroy,
            Self::LayerClaim { .. } => RequestKind::LayerClaim,
            Self::Draw(_) => RequestKind::Draw,
            Self::Fill(_) => RequestKind::Fill,
            Self::Batch(_) => RequestKind::Batch,
            Self::Capture(_) => RequestKind::Capture,
            Self::Sync { .. } => RequestKind::Sync,
            Self::Outputs { .. } => RequestKind::Outputs,
            Self::Statistics { .. } => RequestKind::Statistics,
        }
    }

    /// How many descriptors travel with it.
    pub const fn descriptors(&self) -> u8 {
        match self {
            Self::Hello(_)
            | Self::RegionCreate(RegionCreate { memory: Memory::Memfd | Memory::Dmabuf, .. }) => 1,
            _ => 0,
        }
    }

    /// The request with pixels of its own, so that it outlives the buffer that it was decoded from.
    pub fn into_owned(self) -> Request<'static> {
        match self {
            Self::RegionWrite { region, offset, bytes } => {
                Request::RegionWrite { region, offset, bytes: Cow::Owned(bytes.into_owned()) }
            }
            Self::Draw(draw) => Request::Draw(draw.into_owned()),
            Self::Batch(entries) => Request::Batch(
                entries
                    .into_iter()
                    .map(|entry| match entry {
                        Entry::Draw(draw) => Entry::Draw(draw.into_owned()),
                        Entry::Fill(fill) => Entry::Fill(fill),
                        Entry::LayerConfigure(configure) => Entry::LayerConfigure(configure),
                    })
                    .collect(),
            ),
            Self::Hello(hello) => Request::Hello(hello),
            Self::RegionCreate(create) => Request::RegionCreate(create),
            Self::RegionDestroy { region } => Request::RegionDestroy { region },
            Self::RegionRead { region, offset, length } => Request::RegionRead { region, offset, length },
            Self::LayerCreate(create) => Request::LayerCreate(create),
            Self::LayerConfigure(configure) => Request::LayerConfigure(configure),
            Self::LayerDestroy { layer } => Request::LayerDestroy { layer },
            Self::LayerClaim { layer, token } => Request::LayerClaim { layer, token },
            Self::Fill(fill) => Request::Fill(fill),
            Self::Capture(capture) => Request::Capture(capture),
            Self::Sync { output } => Request::Sync { output },
            Self::Outputs { first } => Request::Outputs { first },
            Self::Statistics { subject, first } => Request::Statistics { subject, first },
        }
    }
}

impl Draw<'_> {
    /// The draw with carried pixels of its own.
    pub fn into_owned(self) -> Draw<'static> {
        Draw { carried: Cow::Owned(self.carried.into_owned()), ..self }
    }
}
