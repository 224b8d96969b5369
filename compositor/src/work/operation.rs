//! One draw or fill, validated.

use std::rc::Rc;

use blitd_pixels::blit;
use blitd_pixels::view::{Layout, Picture, PictureMut, View, Yuv};
use blitd_protocol::image::{CheckedImage, Rectangle};
use blitd_protocol::request::{Draw, Fill, Pixels};
use blitd_protocol::value::{Operator, Transform};
use foldhash::HashMap;

use super::WorkError;
use crate::memory::region::{Region, RegionError, Regions};
use crate::memory::storage::Storage;
use crate::scene::{Layer, LayerKey, Scene};

/// What a connection's ids stand for.
#[derive(Clone, Copy, Debug)]
pub struct Ids<'a> {
    /// Its regions.
    pub regions: &'a Regions,
    /// Its layers.
    pub layers: &'a HashMap<u32, LayerKey>,
}

impl Ids<'_> {
    /// The layer with this id.
    ///
    /// # Errors
    /// [`WorkError::UnknownLayer`].
    pub fn layer<'s, S: Clone>(
        &self,
        scene: &'s Scene<S>,
        layer: u32,
    ) -> Result<(LayerKey, &'s Layer<S>), WorkError> {
        let key = self.layers.get(&layer).copied();
        key.and_then(|key| Some((key, scene.get(key)?))).ok_or(WorkError::UnknownLayer { layer })
    }
}

/// Where an image's pixels are.
#[derive(Debug)]
enum Source {
    Region(Rc<Region>),
    Carried(Vec<u8>),
}

#[derive(Debug)]
enum Kind {
    Draw { source: Source, layout: Layout, yuv: Yuv, from: (i32, i32), opacity: u8 },
    Fill { colour: u32 },
}

/// One draw or fill. It keeps the memory that it reads.
#[derive(Debug)]
pub struct Operation {
    layer: LayerKey,
    pixels: Rectangle,
    operator: Operator,
    kind: Kind,
}

impl Operation {
    /// Validates a draw.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn draw<S: Clone>(draw: Draw<'_>, ids: Ids<'_>, scene: &Scene<S>) -> Result<Self, WorkError> {
        let (key, layer) = ids.layer(scene, draw.layer)?;
        if draw.transform != Transform::Identity {
            let what = format!("transform {}", draw.transform.number());
            return Err(WorkError::NotSupported {
                what,
                instead: "turn the pixels before drawing, and send 0",
            });
        }
        let carried = draw.carried.len() as u64;
        let image = draw.image.check(|region| match region {
            0 => Ok::<_, WorkError>(carried),
            region => Ok(ids.regions.get(region)?.size()),
        })?;
        let from = whole_source(&draw, &image)?;
        let whole = rectangle(draw.destination)?;
        let pixels = whole.intersection(layer.bounds()).unwrap_or_default();
        // What is clipped off the left and the top is not read.
        let from = match pixels.is_empty() {
            true => from,
            false => (from.0 + (pixels.left() - whole.left()), from.1 + (pixels.top() - whole.top())),
        };
        let source = match image.plane().region {
            0 => Source::Carried(draw.carried.into_owned()),
            region => Source::Region(Rc::clone(ids.regions.get(region)?)),
        };
        let layout = Layout::of_image(&image).ok_or_else(|| outside(&image))?;
        let yuv = Yuv::of_image(&image, draw.encoding, draw.range).ok_or_else(|| outside(&image))?;
        let covers = !image.format().has_alpha() && draw.opacity == 255;
        let operator = if covers { Operator::Source } else { draw.operator };
        let kind = Kind::Draw { source, layout, yuv, from, opacity: draw.opacity };
        Ok(Self { layer: key, pixels, operator, kind })
    }

    /// Validates a fill.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn fill<S: Clone>(fill: &Fill, ids: Ids<'_>, scene: &Scene<S>) -> Result<Self, WorkError> {
        let (layer, bounds) = ids.layer(scene, fill.layer).map(|(key, layer)| (key, layer.bounds()))?;
        let pixels = rectangle(fill.destination)?.intersection(bounds).unwrap_or_default();
        let operator = if fill.colour >> 24 == 255 { Operator::Source } else { fill.operator };
        Ok(Self { layer, pixels, operator, kind: Kind::Fill { colour: fill.colour } })
    }

    /// The layer that it draws into.
    pub const fn layer(&self) -> LayerKey {
        self.layer
    }

    /// The pixels of the layer that it changes; may be none.
    pub const fn pixels(&self) -> Rectangle {
        self.pixels
    }

    /// How many bytes it writes.
    pub const fn bytes(&self) -> u64 {
        self.pixels.pixels() * 4
    }

    /// Whether what was there before shows nowhere through.
    pub fn replaces(&self) -> bool {
        self.operator == Operator::Source
    }

    /// Whether the memory that it reads can be taken away in the middle.
    pub fn may_fault(&self) -> bool {
        matches!(&self.kind, Kind::Draw { source: Source::Region(region), .. } if region.may_fault())
    }

    /// Carries out the part of it that is inside `part`.
    ///
    /// # Errors
    /// [`RegionError::Fault`] where the memory went away: what has been drawn is then worth nothing.
    pub fn carry_out(&self, part: Rectangle, target: &Storage) -> Result<(), RegionError> {
        let (Some(part), Some(mut target)) =
            (self.pixels.intersection(part), target.picture_for(self.bytes()))
        else {
            return Ok(());
        };
        match &self.kind {
            Kind::Fill { colour } => blit::fill(&mut target, part, *colour, self.operator),
            Kind::Draw { source, layout, yuv, from, opacity } => {
                let from =
                    (from.0 + part.left() - self.pixels.left(), from.1 + part.top() - self.pixels.top());
                let mut draw = |view: View<'_>| {
                    draw_from(view, (*layout, *yuv), from, &mut target, part, self.operator, *opacity)
                };
                match source {
                    Source::Region(region) => region.read(draw)?,
                    Source::Carried(bytes) => draw(View::from_slice(bytes)),
                }
            }
        }
        Ok(())
    }
}

fn draw_from(
    view: View<'_>,
    (layout, yuv): (Layout, Yuv),
    from: (i32, i32),
    target: &mut PictureMut<'_>,
    part: Rectangle,
    operator: Operator,
    opacity: u8,
) {
    if let Some(picture) = Picture::with_yuv(view, layout, yuv) {
        blit::draw(&picture, from, target, part, operator, opacity);
    }
}

/// The top left pixel of a source rectangle that is whole pixels, inside the image, and as large as the destination.
fn whole_source(draw: &Draw<'_>, image: &CheckedImage) -> Result<(i32, i32), WorkError> {
    let source = draw.source;
    let inside = |start: u32, length: u32, whole: u32| {
        length > 0 && u64::from(start) + u64::from(length) <= u64::from(whole) << 16
    };
    if !inside(source.x, source.width, image.width()) || !inside(source.y, source.height, image.height()) {
        let pixels = |fixed: u32| f64::from(fixed) / 65536.0;
        return Err(WorkError::SourceOutside {
            x: pixels(source.x),
            y: pixels(source.y),
            width: pixels(source.width),
            height: pixels(source.height),
            of: format!("the image of {}x{}", image.width(), image.height()),
        });
    }
    let is_whole = [source.x, source.y, source.width, source.height].iter().all(|fixed| fixed & 0xffff == 0);
    let is_same =
        source.width >> 16 == draw.destination.width && source.height >> 16 == draw.destination.height;
    if !is_whole || !is_same {
        return Err(WorkError::NotSupported {
            what: "scaling".into(),
            instead: "send whole source pixels and a destination of the same size",
        });
    }
    // 16 bits of whole pixels always fit.
    Ok(((source.x >> 16) as i32, (source.y >> 16) as i32))
}

/// The rectangle as received, where it does not overflow.
pub(super) fn rectangle(pixels: Pixels) -> Result<Rectangle, WorkError> {
    let Pixels { x, y, width, height } = pixels;
    Rectangle::new(x, y, width, height).ok_or(WorkError::Overflow { x, y, width, height })
}

/// Only where a checked image does not fit the address space.
pub(super) fn outside(image: &CheckedImage) -> RegionError {
    let plane = image.plane();
    RegionError::Outside {
        region: plane.region,
        offset: plane.offset,
        end: u64::MAX,
        size: usize::MAX as u64,
    }
}
