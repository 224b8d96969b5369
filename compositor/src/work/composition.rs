//! A snapshot of layers put together, on a screen or in a client's region.
//!
//! Where nothing blends, layers are copied straight to the target. Where something does, and where the target has
//! another format or hangs on its side, pixels pass through a span that fits the cache: targets are written in whole
//! runs and never read.

use std::rc::Rc;

use blitd_pixels::blit::{convert, draw, fill};
use blitd_pixels::turn::{turn, turned};
use blitd_pixels::view::{Layout, Picture, PictureMut, View, ViewMut};
use blitd_protocol::image::{Format, Rectangle};
use blitd_protocol::request::Capture;
use blitd_protocol::value::{Operator, Transform};

use super::operation::{Ids, outside, rectangle};
use super::scaled::scaling;
use super::{SLICE, WorkError, cost};
use crate::frame::{Blit, plan};
use crate::memory::region::{Region, RegionError};
use crate::memory::storage::Storage;
use crate::scene::area::Area;
use crate::scene::crop::{unscaled, whole};
use crate::scene::{Placed, Scene};

/// The span's size in bytes: what second-level caches have room for, so that what is blended into it is still there. In one
/// that fits a first-level cache, of some rows only, every step takes longer to begin with than it takes to do.
pub(super) const SPAN: usize = 128 * 1024;

/// The widest part of a row that is composed at once, in pixels.
const SPAN_WIDTH: u32 = 2048;

/// The same where the screen hangs on its side: tiles as wide as high, whose columns become whole runs.
const TILE: u32 = 64;

/// What composing anything counts for at the least, in bytes: planning takes time as well.
pub(super) const LEAST_COST: u64 = 4096;

/// How many bytes of blits a byte that is turned takes as long as: it is moved pixel by pixel.
const TURN_COST: u64 = 2;

/// The shortest piece of a row that is worth a plan, in pixels, where these do not cost too much.
pub(super) const LEAST_COLUMNS: u32 = 64;

/// What is composed at once however little is left of a slice, in bytes of it.
const LEAST_BUDGET: u64 = SLICE / 16;

#[derive(Debug)]
enum Target {
    Screen { storage: Rc<Storage>, turn: Turn },
    Region { region: Rc<Region>, layout: Layout, origin: (i32, i32) },
}

/// How a screen hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// How pictures are turned on their way to it.
    pub transform: Transform,
    /// Width and height of a picture before it is turned.
    pub size: (u32, u32),
}

/// What is to be put together, and what of it is still missing.
#[derive(Debug)]
pub struct Composition {
    snapshot: Vec<Placed<Rc<Storage>>>,
    background: u32,
    /// XRGB8888 where the result is opaque, else ARGB8888.
    format: Format,
    missing: Area,
    /// A rectangle and its plan, which serves all slices in it: to plan again for each takes longer than the slice where
    /// there are hundreds of layers.
    planned: (Rectangle, Vec<Blit>),
    /// How many bytes of the target are written in all.
    whole: u64,
    target: Target,
    bytes: u64,
}

impl Composition {
    /// A frame: the stale part of a picture, on a screen that hangs so.
    pub fn frame(
        snapshot: Vec<Placed<Rc<Storage>>>,
        background: u32,
        stale: Area,
        storage: Rc<Storage>,
        turn: Turn,
    ) -> Self {
        let target = Target::Screen { storage, turn };
        let whole = stale.rectangles().iter().map(|part| part.pixels() * 4).sum();
        Self {
            whole,
            snapshot,
            background,
            format: Format::Xrgb8888,
            missing: stale,
            planned: Default::default(),
            target,
            bytes: 0,
        }
    }

    /// A capture of an output that has these `bounds`.
    ///
    /// # Errors
    /// What is wrong with the request.
    pub fn of_output(
        capture: &Capture,
        ids: Ids<'_>,
        snapshot: Vec<Placed<Rc<Storage>>>,
        background: u32,
        bounds: Rectangle,
    ) -> Result<Self, WorkError> {
        let of = || format!("output {} of {}x{}", capture.id, bounds.width(), bounds.height());
        let (source, target) = captured(capture, ids, bounds, of)?;
        let whole = source.pixels() * 4;
        Ok(Self {
            whole,
            snapshot,
            background,
            format: Format::Xrgb8888,
            missing: source.into(),
            planned: Default::default(),
            target,
            bytes: 0,
        })
    }

    /// A capture of a layer's own pixels.
    ///
    /// # Errors
    /// What is wrong with the request.
    pub fn of_layer(capture: &Capture, ids: Ids<'_>, scene: &Scene<Rc<Storage>>) -> Result<Self, WorkError> {
        let (key, layer) = ids.layer(scene, capture.id)?;
        let bounds = layer.bounds();
        let of = || format!("layer {} of {}x{}", capture.id, bounds.width(), bounds.height());
        let (source, target) = captured(capture, ids, bounds, of)?;
        let storage = Rc::clone(&layer.front);
        let crop = whole(bounds.width(), bounds.height());
        let placed = Placed { layer: key, storage, place: bounds, crop, opacity: 255, is_opaque: true };
        let format = layer.format;
        let whole = source.pixels() * 4;
        Ok(Self {
            whole,
            snapshot: vec![placed],
            background: 0,
            format,
            missing: source.into(),
            planned: Default::default(),
            target,
            bytes: 0,
        })
    }

    /// How many bytes have been written.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What composing all that is missing costs, in bytes of slices.
    pub fn cost(&self) -> u64 {
        let parts = self.missing.rectangles().iter();
        parts.map(|part| self.cost_of(&plan(&self.snapshot, *part)) + self.besides(*part)).sum()
    }

    /// Composes the beginning of `part`: what costs about `budget` bytes of blits, twice that at the most, or at least some
    /// pixels. Says what it has cost, and what is left of the part, the next last.
    ///
    /// # Errors
    /// The memory that it wrote into went away.
    pub(super) fn compose(
        &mut self,
        mut part: Rectangle,
        budget: u64,
        span: &mut [u8],
    ) -> Result<(u64, Vec<Rectangle>), RegionError> {
        let mut steps = self.steps(part);
        let mut cost = self.cost_of(&steps) + self.besides(part);
        let (mut most, mut rest) = (budget, Vec::new());
        // What is cut off is as much as fits where all pixels cost the same. Where they do not, all that is expensive may
        // be in it, and it is cut again.
        while cost > most {
            let (head, below, tail) =
                if self.is_turned() { tiles_of(part, budget, cost) } else { begin_of(part, budget, cost) };
            if head == part {
                break;
            }
            part = head;
            rest.extend([below, tail].into_iter().filter(|rest| !rest.is_empty()));
            steps = clipped(&steps, part);
            cost = self.cost_of(&steps) + self.besides(part);
            most = 2 * budget.max(LEAST_BUDGET);
        }
        let cost = cost.max(LEAST_COST);
        self.bytes += part.pixels() * 4;
        if let Target::Screen { storage, .. } = &self.target {
            storage.written(part.pixels() * 4);
        }
        let replaces = |step: &Blit| step.layer.is_none_or(|index| self.is_opaque(index));
        let is_turned = self.is_turned();
        if let Target::Screen { storage, .. } = &self.target
            && !is_turned
            && steps.iter().all(replaces)
        {
            if let Some(mut picture) = storage.picture_for(self.whole) {
                self.carry_out(&steps, (0, 0), &mut picture);
            }
            return Ok((cost, rest));
        }
        let (widest, highest) = if is_turned { (TILE, TILE) } else { (SPAN_WIDTH, SPAN as u32 / 4) };
        let mut below = part;
        while !below.is_empty() {
            let width = below.width().min(widest);
            let (rows, after) = below.split_rows((SPAN as u32 / 4 / width).min(highest));
            let mut left = rows.left();
            while left < rows.right() {
                let right = left.saturating_add_unsigned(width).min(rows.right());
                let chunk = Rectangle::from_edges(left, rows.top(), right, rows.bottom());
                self.compose_span(chunk, &clipped(&steps, chunk), span)?;
                left = right;
            }
            below = after;
        }
        Ok((cost, rest))
    }

    /// What composes a part.
    fn steps(&mut self, part: Rectangle) -> Vec<Blit> {
        if !self.planned.0.contains(part) {
            self.planned = (part, plan(&self.snapshot, part));
        }
        clipped(&self.planned.1, part)
    }

    /// Which parts of the picture depend on `pixels` of a storage, or may.
    pub(super) fn touched<'a>(
        &'a self,
        storage: &'a Rc<Storage>,
        pixels: Rectangle,
    ) -> impl Iterator<Item = Rectangle> + 'a {
        let same = |placed: &&Placed<Rc<Storage>>| Rc::ptr_eq(&placed.storage, storage);
        self.snapshot.iter().filter(same).filter_map(move |placed| placed.touched(pixels))
    }

    /// What is missing.
    pub(super) const fn missing(&mut self) -> &mut Area {
        &mut self.missing
    }

    /// Composes a rectangle that fits the span, and writes it to the target.
    fn compose_span(&self, part: Rectangle, steps: &[Blit], span: &mut [u8]) -> Result<(), RegionError> {
        let layout = Layout {
            width: part.width(),
            height: part.height(),
            stride: part.width() as usize * 4,
            offset: 0,
            format: self.format,
        };
        if let Some(mut picture) = PictureMut::new(ViewMut::from_slice(span), layout) {
            self.carry_out(steps, (part.left(), part.top()), &mut picture);
        }
        let Some(composed) = Picture::new(View::from_slice(span), layout) else { return Ok(()) };
        match &self.target {
            Target::Screen { storage, turn: Turn { transform, size } } => {
                if let Some(mut screen) = storage.picture_for(self.whole) {
                    match transform {
                        Transform::Identity => {
                            draw(&composed, (0, 0), &mut screen, part, Operator::Source, 255);
                        }
                        _ => {
                            let to = turned(part, *size, *transform);
                            turn(&composed, *transform, &mut screen, (to.left(), to.top()));
                        }
                    }
                }
                Ok(())
            }
            Target::Region { region, layout, origin } => region.write(|view| {
                let moved = part.translated(-origin.0, -origin.1);
                if let (Some(mut image), Some(moved)) = (PictureMut::new(view, *layout), moved) {
                    convert(&composed, (0, 0), &mut image, moved);
                }
            }),
        }
    }

    /// Carries out steps into a picture whose top left pixel is the output's pixel `origin`.
    fn carry_out(&self, steps: &[Blit], origin: (i32, i32), picture: &mut PictureMut<'_>) {
        for step in steps {
            let Some(to) = step.pixels.translated(-origin.0, -origin.1) else { continue };
            let Some(placed) = step.layer.and_then(|index| self.snapshot.get(index)) else {
                fill(picture, to, self.background, Operator::Source);
                continue;
            };
            let Some(layer) = placed.storage.picture() else { continue };
            let Placed { place, crop, opacity, .. } = *placed;
            let operator = if placed.is_opaque { Operator::Source } else { Operator::Over };
            if let Some((left, top)) = unscaled(crop, place) {
                let from = (left + step.pixels.left() - place.left(), top + step.pixels.top() - place.top());
                draw(&layer, from, picture, to, operator, opacity);
            } else if let Some(scaling) =
                place.translated(-origin.0, -origin.1).and_then(|place| scaling(crop, place))
            {
                scaling.draw(&layer, picture, to, operator, opacity);
            }
        }
    }

    /// What a part counts for besides what composes it, in bytes: where it is turned on its way to the target, and where
    /// writing that costs more than usual.
    fn besides(&self, part: Rectangle) -> u64 {
        let Target::Screen { storage, .. } = &self.target else { return 0 };
        let turning = if self.is_turned() { TURN_COST } else { 0 };
        part.pixels() * 4 * (turning + storage.price(self.whole) - 1)
    }

    /// Whether what is composed is turned on its way to the target.
    fn is_turned(&self) -> bool {
        matches!(&self.target, Target::Screen { turn, .. } if turn.transform != Transform::Identity)
    }

    /// Bytes that the steps write, each as often as what it takes is worth.
    fn cost_of(&self, steps: &[Blit]) -> u64 {
        let price = |step: &Blit| match step.layer.and_then(|index| self.snapshot.get(index)) {
            Some(placed) => cost::of_part(placed.crop, placed.place, step.pixels),
            None => cost::of_pixels(step.pixels),
        };
        steps.iter().map(price).sum()
    }

    fn is_opaque(&self, index: usize) -> bool {
        self.snapshot.get(index).is_some_and(|placed| placed.is_opaque)
    }
}

/// The same steps, for a part of their rectangle.
fn clipped(steps: &[Blit], part: Rectangle) -> Vec<Blit> {
    let clip = |step: &Blit| Some(Blit { pixels: step.pixels.intersection(part)?, ..*step });
    steps.iter().filter_map(clip).collect()
}

/// As many rows of a part as fit the budget, where all of it costs `whole`, and as each pixel costs the same; where not even
/// one row does, some of that one. And what is left: rows below, and of the same rows what is to the right.
fn begin_of(part: Rectangle, budget: u64, whole: u64) -> (Rectangle, Rectangle, Rectangle) {
    if whole <= budget {
        return (part, Rectangle::default(), Rectangle::default());
    }
    let share = |side: u32| u32::try_from(u64::from(side) * budget / whole.max(1)).unwrap_or(u32::MAX);
    let rows = share(part.height());
    let (rows, below) = part.split_rows(rows.max(1));
    let row_cost = whole / u64::from(part.height());
    if rows.height() > 1 || row_cost <= budget {
        return (rows, below, Rectangle::default());
    }
    let some = |budget: u64| u64::from(rows.width()) * budget / row_cost.max(1);
    let columns = some(budget).max(some(LEAST_BUDGET).clamp(1, LEAST_COLUMNS.into()));
    let middle = rows.left().saturating_add_unsigned(u32::try_from(columns).unwrap_or(u32::MAX));
    let (head, tail) = split_columns(rows, middle);
    (head, below, tail)
}

/// The same where the screen hangs on its side: as many columns as fit the budget, since narrow ones become long runs there as
/// well, and short ones do not.
fn tiles_of(part: Rectangle, budget: u64, whole: u64) -> (Rectangle, Rectangle, Rectangle) {
    let columns = u64::from(part.width()) * budget / whole.max(1);
    let columns = u32::try_from(columns).unwrap_or(u32::MAX).max(TILE);
    let (tile, tail) = split_columns(part, part.left().saturating_add_unsigned(columns));
    if !tail.is_empty() {
        return (tile, Rectangle::default(), tail);
    }
    begin_of(tile, budget, whole)
}

/// What is before a column, and the rest.
fn split_columns(part: Rectangle, column: i32) -> (Rectangle, Rectangle) {
    let middle = column.min(part.right());
    let head = Rectangle::from_edges(part.left(), part.top(), middle, part.bottom());
    (head, Rectangle::from_edges(middle, part.top(), part.right(), part.bottom()))
}

/// What a capture reads, and where it writes.
fn captured(
    capture: &Capture,
    ids: Ids<'_>,
    bounds: Rectangle,
    of: impl Fn() -> String,
) -> Result<(Rectangle, Target), WorkError> {
    let source = rectangle(capture.source)?;
    if source.is_empty() || !bounds.contains(source) {
        return Err(WorkError::SourceOutside {
            x: source.left().into(),
            y: source.top().into(),
            width: source.width().into(),
            height: source.height().into(),
            of: of(),
        });
    }
    let image = capture.image.check(|region| Ok::<_, WorkError>(ids.regions.get(region)?.size()))?;
    if (image.width(), image.height()) != (source.width(), source.height()) {
        return Err(WorkError::CaptureSize {
            width: image.width(),
            height: image.height(),
            wanted_width: source.width(),
            wanted_height: source.height(),
        });
    }
    if !image.format().is_rgb8888() {
        return Err(WorkError::CaptureFormat { format: image.format() });
    }
    let region = Rc::clone(ids.regions.get(image.plane().region)?);
    region.check_writable()?;
    let layout = Layout::of_image(&image).ok_or_else(|| outside(&image))?;
    Ok((source, Target::Region { region, layout, origin: (source.left(), source.top()) }))
}

#[cfg(test)]
mod tests;
