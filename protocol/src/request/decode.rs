//! A client's bytes to values: the one place where untrusted bytes are decoded.
#![deny(clippy::indexing_slicing)]

use std::borrow::Cow;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{
    Capture, Draw, Entry, Fill, FixedRectangle, Hello, LayerConfigure, LayerCreate, MAGIC, MAX_CARRIED,
    MAX_ENTRIES, Pixels, RegionCreate, Request, RequestKind, VERSION, change,
};
use crate::error::{Coded, ErrorCode, Refusal};
use crate::image::{Format, Image, MAX_PLANES, Plane};
use crate::value::{
    Access, Band, CaptureSubject, ColorEncoding, ColorRange, Filter, Memory, Name, Operator, Priority,
    StatisticsSubject, Token, Transform, ValueError,
};
use crate::wire;

/// What is wrong with a message that has arrived whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A kind that the protocol does not have.
    #[error("kind {kind:#06x} is not a request of protocol version {VERSION}")]
    UnknownRequest {
        /// The kind as received.
        kind: u16,
    },
    /// A kind whose number is kept for a later version.
    #[error("{kind} is not in protocol version {VERSION}")]
    Reserved {
        /// The kind.
        kind: RequestKind,
    },
    /// A body that is not of its kind's size.
    #[error("the body of {kind} has {length} bytes: it takes {takes}")]
    Length {
        /// The kind.
        kind: RequestKind,
        /// The body's length.
        length: usize,
        /// What it takes.
        takes: String,
    },
    /// More bytes after its fixed part than a request may carry.
    #[error("{kind} carries {length} bytes: it takes at most {MAX_CARRIED}")]
    Carried {
        /// The kind.
        kind: RequestKind,
        /// How many bytes it carries.
        length: usize,
    },
    /// A descriptor too many or too few.
    #[error("{kind} came with {stated} descriptors: it takes {takes}")]
    Descriptors {
        /// The kind.
        kind: RequestKind,
        /// How many the header states.
        stated: u8,
        /// How many it takes.
        takes: u8,
    },
    /// A hello that does not begin with the magic number.
    #[error("the hello begins with {magic:#010x}: it must begin with \"blit\"")]
    Magic {
        /// The number as received.
        magic: u32,
    },
    /// An entry of a kind that a batch does not take.
    #[error("{kind} cannot stand in a batch: it takes draw, fill and layer_configure")]
    EntryKind {
        /// The kind.
        kind: RequestKind,
    },
}

impl Coded for DecodeError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::UnknownRequest { .. } => ErrorCode::UnknownRequest,
            Self::Reserved { .. } => ErrorCode::NotSupported,
            Self::Length { .. } | Self::Carried { .. } => ErrorCode::Malformed,
            Self::Descriptors { .. } => ErrorCode::DescriptorCount,
            Self::Magic { .. } => ErrorCode::HelloExpected,
            Self::EntryKind { .. } => ErrorCode::BadValue,
        }
    }
}

/// Splits a body into its fixed layout and what it carries.
fn split<T: FromBytes + KnownLayout + Immutable + Unaligned>(
    kind: RequestKind,
    body: &[u8],
) -> Result<(&T, &[u8]), DecodeError> {
    T::ref_from_prefix(body).map_err(|_| DecodeError::Length {
        kind,
        length: body.len(),
        takes: format!("at least {}", size_of::<T>()),
    })
}

/// Reads a body that is its fixed layout and nothing else.
fn exact<T: FromBytes + KnownLayout + Immutable + Unaligned>(
    kind: RequestKind,
    body: &[u8],
) -> Result<&T, DecodeError> {
    T::ref_from_bytes(body).map_err(|_| DecodeError::Length {
        kind,
        length: body.len(),
        takes: size_of::<T>().to_string(),
    })
}

fn carried(kind: RequestKind, bytes: &[u8]) -> Result<Cow<'_, [u8]>, DecodeError> {
    if bytes.len() > MAX_CARRIED {
        return Err(DecodeError::Carried { kind, length: bytes.len() });
    }
    Ok(Cow::Borrowed(bytes))
}

fn zero(layout: &'static str, bytes: &[u8]) -> Result<(), ValueError> {
    if bytes.iter().any(|&byte| byte != 0) { Err(ValueError::Reserved { layout }) } else { Ok(()) }
}

fn id(field: &'static str, value: u32) -> Result<u32, ValueError> {
    if value == 0 {
        return Err(ValueError::Number { field, value: 0, takes: "any number but 0" });
    }
    Ok(value)
}

fn flag(field: &'static str, value: u8) -> Result<bool, ValueError> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(ValueError::Number { field, value: value.into(), takes: "0 or 1" }),
    }
}

impl From<wire::Image> for Image {
    fn from(image: wire::Image) -> Self {
        Self {
            width: image.width.get(),
            height: image.height.get(),
            fourcc: image.fourcc.get(),
            modifier: image.modifier.get(),
            plane_count: image.plane_count.get(),
            planes: image.planes.map(|plane| Plane {
                region: plane.region.get(),
                stride: plane.stride.get(),
                offset: plane.offset.get(),
            }),
        }
    }
}

fn image(wire: wire::Image) -> Result<Image, ValueError> {
    let image = Image::from(wire);
    let used = usize::try_from(image.plane_count).unwrap_or(MAX_PLANES);
    if image.planes.iter().skip(used).any(|plane| *plane != Plane::default()) {
        return Err(ValueError::Reserved { layout: "the planes beyond plane_count" });
    }
    Ok(image)
}

impl From<wire::Pixels> for Pixels {
    fn from(pixels: wire::Pixels) -> Self {
        Self { x: pixels.x.get(), y: pixels.y.get(), width: pixels.width.get(), height: pixels.height.get() }
    }
}

impl From<wire::Fixed> for FixedRectangle {
    fn from(fixed: wire::Fixed) -> Self {
        Self { x: fixed.x.get(), y: fixed.y.get(), width: fixed.width.get(), height: fixed.height.get() }
    }
}

fn draw(body: &[u8]) -> Result<Draw<'_>, Refusal> {
    let (wire, rest) = split::<wire::Draw>(RequestKind::Draw, body)?;
    let [first, ..] = wire.image.planes;
    if first.region.get() != 0 && !rest.is_empty() {
        let takes = "0 where the draw carries pixels";
        return Err(ValueError::Number { field: "region", value: first.region.get().into(), takes }.into());
    }
    zero("draw", &wire.reserved)?;
    let is_rgb = Format::from_fourcc(wire.image.fourcc.get()).is_ok_and(|format| !format.is_yuv());
    for (field, value) in [("encoding", wire.encoding), ("range", wire.range)] {
        if value != 0 && is_rgb {
            let takes = "0, since RGB formats have none";
            return Err(ValueError::Number { field, value: value.into(), takes }.into());
        }
    }
    Ok(Draw {
        layer: wire.layer.get(),
        transform: Transform::from_number(wire.transform)?,
        filter: Filter::from_number(wire.filter)?,
        operator: Operator::from_number(wire.operator)?,
        opacity: wire.opacity,
        source: wire.source.into(),
        destination: wire.destination.into(),
        image: image(wire.image)?,
        encoding: ColorEncoding::from_number(wire.encoding)?,
        range: ColorRange::from_number(wire.range)?,
        carried: carried(RequestKind::Draw, rest)?,
    })
}

fn fill(body: &[u8]) -> Result<Fill, Refusal> {
    let wire = exact::<wire::Fill>(RequestKind::Fill, body)?;
    zero("fill", &wire.reserved)?;
    Ok(Fill {
        layer: wire.layer.get(),
        colour: wire.colour.get(),
        operator: Operator::from_number(wire.operator)?,
        destination: wire.destination.into(),
    })
}

fn layer_configure(body: &[u8]) -> Result<LayerConfigure, Refusal> {
    let wire = exact::<wire::LayerConfigure>(RequestKind::LayerConfigure, body)?;
    let changes = wire.changes.get();
    if changes & !change::ALL != 0 {
        return Err(
            ValueError::Number { field: "changes", value: changes.into(), takes: "bits 0 to 7" }.into()
        );
    }
    zero("layer_configure", &wire.reserved)?;
    let has = |bit| changes & bit != 0;
    Ok(LayerConfigure {
        layer: wire.layer.get(),
        place: has(change::PLACE).then(|| (wire.x.get(), wire.y.get())),
        z: has(change::Z).then(|| wire.z.get()),
        band: has(change::BAND).then(|| Band::from_number(wire.band)).transpose()?,
        opacity: has(change::OPACITY).then_some(wire.opacity),
        visible: has(change::VISIBLE).then(|| flag("visible", wire.visible)).transpose()?,
        output: has(change::OUTPUT).then(|| wire.output.get()),
        size: has(change::SIZE).then(|| (wire.width.get(), wire.height.get())),
        crop: has(change::CROP).then(|| wire.crop.into()),
    })
}

fn layer_create(body: &[u8]) -> Result<LayerCreate, Refusal> {
    let wire = exact::<wire::LayerCreate>(RequestKind::LayerCreate, body)?;
    zero("layer_create", wire.reserved.as_bytes())?;
    Ok(LayerCreate {
        layer: id("layer", wire.layer.get())?,
        output: wire.output.get(),
        x: wire.x.get(),
        y: wire.y.get(),
        width: wire.width.get(),
        height: wire.height.get(),
        z: wire.z.get(),
        fourcc: wire.fourcc.get(),
        band: Band::from_number(wire.band)?,
        opacity: wire.opacity,
        visible: flag("visible", wire.visible)?,
        linger: flag("linger", wire.linger)?,
        name: Name::from_bytes(wire.name)?,
    })
}

fn entries(body: &[u8]) -> Result<Vec<Entry<'_>>, Refusal> {
    let (batch, mut rest) = split::<wire::Batch>(RequestKind::Batch, body)?;
    zero("batch", batch.reserved.as_bytes())?;
    let count = batch.count.get();
    let length = |takes: &str| DecodeError::Length {
        kind: RequestKind::Batch,
        length: body.len(),
        takes: takes.into(),
    };
    if !(1..=MAX_ENTRIES as u32).contains(&count) {
        return Err(ValueError::Number { field: "count", value: count.into(), takes: "1 to 512" }.into());
    }
    let mut entries = Vec::new();
    for index in 0..count {
        let (entry, after) =
            wire::Entry::ref_from_prefix(rest).map_err(|_| length("a header for each entry"))?;
        let size = entry.length.get() as usize;
        let (body, padding, after) = padded(after, size).ok_or_else(|| length("each entry whole"))?;
        rest = after;
        zero("a batch's padding", padding).map_err(|error| Refusal::from(error).in_entry(index))?;
        entries.push(decode_entry(entry, body).map_err(|refusal| refusal.in_entry(index))?);
    }
    if !rest.is_empty() {
        return Err(length("nothing after its last entry").into());
    }
    Ok(entries)
}

/// Splits off `size` bytes and what pads them to a multiple of 8; `None` where there are not so many.
fn padded(bytes: &[u8], size: usize) -> Option<(&[u8], &[u8], &[u8])> {
    let (padded, after) = bytes.split_at_checked(size.checked_next_multiple_of(8)?)?;
    let (body, padding) = padded.split_at_checked(size)?;
    Some((body, padding, after))
}

fn decode_entry<'a>(entry: &wire::Entry, body: &'a [u8]) -> Result<Entry<'a>, Refusal> {
    zero("a batch entry", entry.reserved.as_bytes())?;
    let number = entry.kind.get();
    match RequestKind::from_number(number) {
        Some(RequestKind::Draw) => Ok(Entry::Draw(draw(body)?)),
        Some(RequestKind::Fill) => Ok(Entry::Fill(fill(body)?)),
        Some(RequestKind::LayerConfigure) => Ok(Entry::LayerConfigure(layer_configure(body)?)),
        Some(kind) => Err(DecodeError::EntryKind { kind }.into()),
        None => Err(DecodeError::UnknownRequest { kind: number }.into()),
    }
}

impl<'a> Request<'a> {
    /// Decodes a message's body.
    ///
    /// # Errors
    /// What the client is to be told; [`ErrorCode::ends_connection`] says whether it may go on after that.
    pub fn decode(header: &wire::Header, body: &'a [u8]) -> Result<Self, Refusal> {
        let number = header.kind.get();
        let kind = RequestKind::from_number(number).ok_or(DecodeError::UnknownRequest { kind: number })?;
        let request = Self::decode_body(kind, body)?;
        if header.serial.get() == 0 {
            return Err(ValueError::Number { field: "serial", value: 0, takes: "any number but 0" }.into());
        }
        let takes = request.descriptors();
        if header.descriptors != takes {
            return Err(DecodeError::Descriptors { kind, stated: header.descriptors, takes }.into());
        }
        Priority::new(header.priority)?;
        Ok(request)
    }

    fn decode_body(kind: RequestKind, body: &'a [u8]) -> Result<Self, Refusal> {
        Ok(match kind {
            RequestKind::Hello => {
                let wire = exact::<wire::Hello>(kind, body)?;
                if wire.magic.get() != MAGIC {
                    return Err(DecodeError::Magic { magic: wire.magic.get() }.into());
                }
                Self::Hello(Hello {
                    oldest: wire.oldest.get(),
                    newest: wire.newest.get(),
                    name: Name::from_bytes(wire.name)?,
                })
            }
            RequestKind::RegionCreate => {
                let wire = exact::<wire::RegionCreate>(kind, body)?;
                zero("region_create", wire.reserved.as_bytes())?;
                Self::RegionCreate(RegionCreate {
                    region: id("region", wire.region.get())?,
                    memory: Memory::from_number(wire.memory)?,
                    access: Access::from_number(wire.access)?,
                    size: wire.size.get(),
                })
            }
            RequestKind::RegionDestroy => {
                let wire = exact::<wire::RegionDestroy>(kind, body)?;
                zero("region_destroy", wire.reserved.as_bytes())?;
                Self::RegionDestroy { region: wire.region.get() }
            }
            RequestKind::RegionWrite => {
                let (wire, rest) = split::<wire::RegionWrite>(kind, body)?;
                zero("region_write", wire.reserved.as_bytes())?;
                Self::RegionWrite {
                    region: wire.region.get(),
                    offset: wire.offset.get(),
                    bytes: carried(kind, rest)?,
                }
            }
            RequestKind::RegionRead => {
                let wire = exact::<wire::RegionRead>(kind, body)?;
                let length = wire.length.get();
                if !(1..=MAX_CARRIED as u32).contains(&length) {
                    let takes = "1 to 65536";
                    return Err(ValueError::Number { field: "length", value: length.into(), takes }.into());
                }
                Self::RegionRead { region: wire.region.get(), offset: wire.offset.get(), length }
            }
            RequestKind::LayerCreate => Self::LayerCreate(layer_create(body)?),
            RequestKind::LayerConfigure => Self::LayerConfigure(layer_configure(body)?),
            RequestKind::LayerDestroy => {
                let wire = exact::<wire::LayerDestroy>(kind, body)?;
                zero("layer_destroy", wire.reserved.as_bytes())?;
                Self::LayerDestroy { layer: wire.layer.get() }
            }
            RequestKind::LayerClaim => {
                let wire = exact::<wire::LayerClaim>(kind, body)?;
                zero("layer_claim", wire.reserved.as_bytes())?;
                let nothing =
                    ValueError::Number { field: "token", value: 0, takes: "what layer_create gave" };
                Self::LayerClaim {
                    layer: id("layer", wire.layer.get())?,
                    token: Token::from_bytes(wire.token).ok_or(nothing)?,
                }
            }
            RequestKind::Draw => Self::Draw(draw(body)?),
            RequestKind::Fill => Self::Fill(fill(body)?),
            RequestKind::Batch => Self::Batch(entries(body)?),
            RequestKind::Capture => {
                let wire = exact::<wire::Capture>(kind, body)?;
                zero("capture", &wire.reserved)?;
                Self::Capture(Capture {
                    subject: CaptureSubject::from_number(wire.subject)?,
                    id: wire.id.get(),
                    source: wire.source.into(),
                    image: image(wire.image)?,
                })
            }
            RequestKind::Sync => {
                let wire = exact::<wire::Sync>(kind, body)?;
                zero("sync", wire.reserved.as_bytes())?;
                Self::Sync { output: wire.output.get() }
            }
            RequestKind::Outputs => {
                let wire = exact::<wire::Outputs>(kind, body)?;
                zero("outputs", wire.reserved.as_bytes())?;
                Self::Outputs { first: wire.first.get() }
            }
            RequestKind::Statistics => {
                let wire = exact::<wire::Statistics>(kind, body)?;
                Self::Statistics {
                    subject: StatisticsSubject::from_number(wire.subject.get())?,
                    first: wire.first.get(),
                }
            }
            RequestKind::Present => {
                return Err(DecodeError::Reserved { kind }.into());
            }
        })
    }
}
