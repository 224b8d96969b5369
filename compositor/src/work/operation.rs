//! One draw or fill, validated.

use std::rc::Rc;

use blitd_pixels::blit;
use blitd_pixels::sample::Scaling;
use blitd_pixels::view::{Layout, Picture, View, Yuv};
use blitd_protocol::image::{CheckedImage, Rectangle};
use blitd_protocol::request::{Draw, Fill, FixedRectangle, Pixels};
use blitd_protocol::value::Operator;
use foldhash::HashMap;

use super::composition::LEAST_COST;
use super::{SLICE, WorkError};
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
    Draw { source: Source, layout: Layout, yuv: Yuv, scaling: Scaling, opacity: u8 },
    Fill { colour: u32 },
}

/// How far an operation has come: all rows before `row`, and of the next ones what is before `column`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    row: u32,
    column: u32,
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
        let carried = draw.carried.len() as u64;
        let image = draw.image.check(|region| match region {
            0 => Ok::<_, WorkError>(carried),
            region => Ok(ids.regions.get(region)?.size()),
        })?;
        check_source(draw.source, (image.width(), image.height()), || "the image".into())?;
        let scaling = Scaling::new(draw.source, rectangle(draw.destination)?, draw.transform, draw.filter)?;
        let pixels = scaling.destination().intersection(layer.bounds()).unwrap_or_default();
        let source = match image.plane().region {
            0 => Source::Carried(draw.carried.into_owned()),
            region => Source::Region(Rc::clone(ids.regions.get(region)?)),
        };
        let layout = Layout::of_image(&image).ok_or_else(|| outside(&image))?;
        let yuv = Yuv::of_image(&image, draw.encoding, draw.range).ok_or_else(|| outside(&image))?;
        let covers = !image.format().has_alpha() && draw.opacity == 255;
        let operator = if covers { Operator::Source } else { draw.operator };
        let kind = Kind::Draw { source, layout, yuv, scaling, opacity: draw.opacity };
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

    /// How long a pixel of it takes, in bytes that are copied; 4 where it is just written.
    fn cost_of_pixel(&self) -> u64 {
        match &self.kind {
            Kind::Draw { scaling, .. } => scaling.cost(),
            Kind::Fill { .. } => 4,
        }
    }

    /// The same of a row besides its pixels, or of a column where rows and columns are exchanged.
    fn cost_of_row(&self) -> u64 {
        match &self.kind {
            Kind::Draw { scaling, .. } => scaling.row_cost(),
            Kind::Fill { .. } => blit::ROW_COST,
        }
    }

    fn exchanges_axes(&self) -> bool {
        matches!(&self.kind, Kind::Draw { scaling, .. } if scaling.exchanges_axes())
    }

    /// How long a part of it takes, in bytes that are copied. That its target costs more to write is not in it.
    pub fn cost(&self, part: Rectangle) -> u64 {
        match &self.kind {
            Kind::Draw { scaling, .. } => scaling.cost_of(part),
            Kind::Fill { .. } => part.pixels() * 4 + u64::from(part.height()) * blit::ROW_COST,
        }
    }

    /// What to carry out next where all before `from` has been: as much as takes as long as copying `budget` bytes, and
    /// at least a little; and what is then to be carried out from. `None` at the end.
    ///
    /// Whole rows, where these are not too long. Else a band of rows goes column by column: a row may take a hundred
    /// slices where a large picture is made small, and what exchanges rows and columns is best done in squares.
    pub fn next(&self, from: Place, budget: u64) -> Option<(Rectangle, Place)> {
        let rest = self.pixels.split_rows(from.row).1;
        if rest.is_empty() {
            return None;
        }
        let (each, row, width) = (self.cost_of_pixel(), self.cost_of_row(), u64::from(rest.width()));
        let exchanges = self.exchanges_axes();
        // As high as wide, within a slice.
        let square = u32::try_from((SLICE / each).isqrt()).unwrap_or(u32::MAX).clamp(1, Scaling::TILE);
        let least = if exchanges { square.min(rest.height()) } else { 1 };
        // What all rows cost once, and each of them; then the same of the columns of a band.
        let (once, per_row) =
            if exchanges { (width * row, width * each) } else { (0, row.saturating_add(width * each)) };
        let rows = (budget.saturating_sub(once) / per_row).max(u64::from(least));
        let band_of_rest = rest.split_rows(least).0;
        if from.column == 0 && (rows > u64::from(least) || self.cost(band_of_rest) <= budget.max(SLICE / 2)) {
            let part = rest.split_rows(u32::try_from(rows).unwrap_or(u32::MAX)).0;
            return Some((part, Place { row: from.row + part.height(), column: 0 }));
        }
        let band = u64::from(least) * each;
        let (once, per_column) = if exchanges { (0, row + band) } else { (u64::from(least) * row, band) };
        let columns = budget.max(LEAST_COST).saturating_sub(once) / per_column;
        let columns = u32::try_from(columns.max(1)).unwrap_or(u32::MAX);
        let left = band_of_rest.left().saturating_add_unsigned(from.column);
        let right = left.saturating_add_unsigned(columns).min(band_of_rest.right());
        let part = Rectangle::from_edges(left, band_of_rest.top(), right, band_of_rest.bottom());
        let place = match right == band_of_rest.right() {
            true => Place { row: from.row + part.height(), column: 0 },
            false => Place { column: from.column + part.width(), ..from },
        };
        Some((part, place))
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
            Kind::Draw { source, layout, yuv, scaling, opacity } => {
                let mut draw = |view: View<'_>| {
                    if let Some(picture) = Picture::with_yuv(view, *layout, *yuv) {
                        scaling.draw(&picture, &mut target, part, self.operator, *opacity);
                    }
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

/// Checks that a source rectangle is in the picture of something, of this size, and not empty.
///
/// # Errors
/// [`WorkError::SourceOutside`].
pub fn check_source(
    source: FixedRectangle,
    (width, height): (u32, u32),
    of: impl FnOnce() -> String,
) -> Result<(), WorkError> {
    let inside = |start: u32, length: u32, whole: u32| {
        length > 0 && u64::from(start) + u64::from(length) <= u64::from(whole) << 16
    };
    if inside(source.x, source.width, width) && inside(source.y, source.height, height) {
        return Ok(());
    }
    let pixels = |fixed: u32| f64::from(fixed) / 65536.0;
    Err(WorkError::SourceOutside {
        x: pixels(source.x),
        y: pixels(source.y),
        width: pixels(source.width),
        height: pixels(source.height),
        of: format!("{} of {width}x{height}", of()),
    })
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
