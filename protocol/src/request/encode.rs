//! Values to a message's bytes.

use zerocopy::IntoBytes;

use super::{
    Capture, Draw, Entry, Fill, FixedRectangle, Hello, LayerConfigure, MAGIC, MAX_CARRIED, Pixels,
    RegionCreate, Request, RequestKind, change,
};
use crate::framing::{HEADER_LENGTH, MAX_LENGTH};
use crate::image::Image;
use crate::value::{Band, Priority};
use crate::wire;

/// A request that is longer than a message can be, or carries more than one can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{kind} of {length} bytes: a message ends at {MAX_LENGTH} and carries at most {MAX_CARRIED} of pixels, send it in parts"
)]
pub struct EncodeError {
    /// The kind.
    pub kind: RequestKind,
    /// The whole message's length.
    pub length: usize,
}

impl Request<'_> {
    /// Appends the whole message, header included.
    ///
    /// # Errors
    /// [`EncodeError`] where it would be longer than the protocol allows; `out` is then as it was.
    pub fn encode(&self, serial: u64, priority: Priority, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let start = out.len();
        out.extend_from_slice(&[0; HEADER_LENGTH]);
        self.encode_body(out);
        let length = out.len() - start;
        let length = match u32::try_from(length) {
            Ok(number) if length <= MAX_LENGTH && self.most_carried() <= MAX_CARRIED => number,
            _ => {
                out.truncate(start);
                return Err(EncodeError { kind: self.kind(), length });
            }
        };
        let header = wire::Header {
            length: length.into(),
            kind: self.kind().number().into(),
            descriptors: self.descriptors(),
            priority: priority.number(),
            serial: serial.into(),
        };
        out[start..start + HEADER_LENGTH].copy_from_slice(header.as_bytes());
        Ok(())
    }

    /// The most bytes that it, or an entry of it, carries after its fixed part.
    fn most_carried(&self) -> usize {
        match self {
            Self::RegionWrite { bytes, .. } => bytes.len(),
            Self::Draw(draw) => draw.carried.len(),
            Self::Batch(entries) => entries.iter().map(Entry::carried).max().unwrap_or(0),
            _ => 0,
        }
    }

    fn encode_body(&self, out: &mut Vec<u8>) {
        let mut put = |bytes: &[u8]| out.extend_from_slice(bytes);
        match self {
            Self::Hello(Hello { oldest, newest, name }) => put(wire::Hello {
                magic: MAGIC.into(),
                oldest: (*oldest).into(),
                newest: (*newest).into(),
                name: *name.as_bytes(),
            }
            .as_bytes()),
            Self::RegionCreate(RegionCreate { region, memory, access, size }) => put(wire::RegionCreate {
                region: (*region).into(),
                memory: memory.number(),
                access: access.number(),
                reserved: 0.into(),
                size: (*size).into(),
            }
            .as_bytes()),
            Self::RegionDestroy { region } => {
                put(wire::RegionDestroy { region: (*region).into(), ..Default::default() }.as_bytes());
            }
            Self::RegionWrite { region, offset, bytes } => {
                put(wire::RegionWrite {
                    region: (*region).into(),
                    reserved: 0.into(),
                    offset: (*offset).into(),
                }
                .as_bytes());
                put(bytes);
            }
            Self::RegionRead { region, offset, length } => put(wire::RegionRead {
                region: (*region).into(),
                length: (*length).into(),
                offset: (*offset).into(),
            }
            .as_bytes()),
            Self::LayerCreate(layer) => put(wire::LayerCreate {
                layer: layer.layer.into(),
                output: layer.output.into(),
                x: layer.x.into(),
                y: layer.y.into(),
                width: layer.width.into(),
                height: layer.height.into(),
                z: layer.z.into(),
                fourcc: layer.fourcc.into(),
                band: layer.band.number(),
                opacity: layer.opacity,
                visible: layer.visible.into(),
                linger: layer.linger.into(),
                reserved: 0.into(),
                name: *layer.name.as_bytes(),
            }
            .as_bytes()),
            Self::LayerConfigure(configure) => put(configure.wire().as_bytes()),
            Self::LayerDestroy { layer } => {
                put(wire::LayerDestroy { layer: (*layer).into(), ..Default::default() }.as_bytes());
            }
            Self::LayerClaim { layer, token } => {
                put(wire::LayerClaim { layer: (*layer).into(), reserved: 0.into(), token: *token.as_bytes() }
                    .as_bytes())
            }
            Self::Draw(draw) => {
                put(draw.wire().as_bytes());
                put(&draw.carried);
            }
            Self::Fill(fill) => put(fill.wire().as_bytes()),
            Self::Batch(entries) => encode_entries(entries, out),
            Self::Capture(Capture { subject, id, source, image }) => put(wire::Capture {
                subject: subject.number(),
                reserved: [0; 3],
                id: (*id).into(),
                source: (*source).into(),
                image: (*image).into(),
            }
            .as_bytes()),
            Self::Sync { output } => {
                put(wire::Sync { output: (*output).into(), ..Default::default() }.as_bytes());
            }
            Self::Outputs { first } => {
                put(wire::Outputs { first: (*first).into(), ..Default::default() }.as_bytes());
            }
            Self::Statistics { subject, first } => {
                put(wire::Statistics { subject: u32::from(subject.number()).into(), first: (*first).into() }
                    .as_bytes())
            }
        }
    }
}

fn encode_entries(entries: &[Entry<'_>], out: &mut Vec<u8>) {
    let count = u32::try_from(entries.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(wire::Batch { count: count.into(), reserved: 0.into() }.as_bytes());
    for entry in entries {
        let (kind, length) = match entry {
            Entry::Draw(draw) => (RequestKind::Draw, size_of::<wire::Draw>() + draw.carried.len()),
            Entry::Fill(_) => (RequestKind::Fill, size_of::<wire::Fill>()),
            Entry::LayerConfigure(_) => (RequestKind::LayerConfigure, size_of::<wire::LayerConfigure>()),
        };
        let number = u32::try_from(length).unwrap_or(u32::MAX);
        let header = wire::Entry { kind: kind.number().into(), reserved: 0.into(), length: number.into() };
        out.extend_from_slice(header.as_bytes());
        match entry {
            Entry::Draw(draw) => {
                out.extend_from_slice(draw.wire().as_bytes());
                out.extend_from_slice(&draw.carried);
            }
            Entry::Fill(fill) => out.extend_from_slice(fill.wire().as_bytes()),
            Entry::LayerConfigure(configure) => out.extend_from_slice(configure.wire().as_bytes()),
        }
        out.resize(out.len() + length.next_multiple_of(8) - length, 0);
    }
}

impl Entry<'_> {
    fn carried(&self) -> usize {
        match self {
            Self::Draw(draw) => draw.carried.len(),
            Self::Fill(_) | Self::LayerConfigure(_) => 0,
        }
    }
}

impl Draw<'_> {
    fn wire(&self) -> wire::Draw {
        wire::Draw {
            layer: self.layer.into(),
            transform: self.transform.number(),
            filter: self.filter.number(),
            operator: self.operator.number(),
            opacity: self.opacity,
            source: self.source.into(),
            destination: self.destination.into(),
            image: self.image.into(),
            encoding: self.encoding.number(),
            range: self.range.number(),
            ..Default::default()
        }
    }
}

impl Fill {
    fn wire(&self) -> wire::Fill {
        wire::Fill {
            layer: self.layer.into(),
            colour: self.colour.into(),
            operator: self.operator.number(),
            reserved: [0; 7],
            destination: self.destination.into(),
        }
    }
}

impl LayerConfigure {
    fn wire(&self) -> wire::LayerConfigure {
        let bit = |set: bool, bit: u32| if set { bit } else { 0 };
        let changes = bit(self.place.is_some(), change::PLACE)
            | bit(self.z.is_some(), change::Z)
            | bit(self.band.is_some(), change::BAND)
            | bit(self.opacity.is_some(), change::OPACITY)
            | bit(self.visible.is_some(), change::VISIBLE)
            | bit(self.output.is_some(), change::OUTPUT)
            | bit(self.size.is_some(), change::SIZE)
            | bit(self.crop.is_some(), change::CROP);
        let (x, y) = self.place.unwrap_or_default();
        let (width, height) = self.size.unwrap_or_default();
        wire::LayerConfigure {
            layer: self.layer.into(),
            changes: changes.into(),
            output: self.output.unwrap_or_default().into(),
            x: x.into(),
            y: y.into(),
            z: self.z.unwrap_or_default().into(),
            band: self.band.map_or(0, Band::number),
            opacity: self.opacity.unwrap_or_default(),
            visible: self.visible.unwrap_or_default().into(),
            width: width.into(),
            height: height.into(),
            crop: self.crop.unwrap_or_default().into(),
            ..Default::default()
        }
    }
}

impl From<Image> for wire::Image {
    fn from(image: Image) -> Self {
        Self {
            width: image.width.into(),
            height: image.height.into(),
            fourcc: image.fourcc.into(),
            plane_count: image.plane_count.into(),
            modifier: image.modifier.into(),
            planes: image.planes.map(|plane| wire::Plane {
                region: plane.region.into(),
                stride: plane.stride.into(),
                offset: plane.offset.into(),
            }),
        }
    }
}

impl From<FixedRectangle> for wire::Fixed {
    fn from(fixed: FixedRectangle) -> Self {
        Self { x: fixed.x.into(), y: fixed.y.into(), width: fixed.width.into(), height: fixed.height.into() }
    }
}

impl From<Pixels> for wire::Pixels {
    fn from(pixels: Pixels) -> Self {
        Self {
            x: pixels.x.into(),
            y: pixels.y.into(),
            width: pixels.width.into(),
            height: pixels.height.into(),
        }
    }
}
