//! A snapshot of layers put together, on a screen or in a client's region.
//!
//! Where nothing blends, layers are copied straight to the target. Where something does, and where the target has
//! another format, rows pass through a span that fits the cache: targets are written in whole runs and never read.

use std::rc::Rc;

use blitd_pixels::blit::{convert, draw, fill};
use blitd_pixels::view::{Layout, Picture, PictureMut, View, ViewMut};
use blitd_protocol::image::{Format, Rectangle};
use blitd_protocol::request::Capture;
use blitd_protocol::value::Operator;

use super::operation::{Ids, outside, rectangle};
use super::{Step, WorkError};
use crate::frame::{Blit, plan};
use crate::memory::region::{Region, RegionError};
use crate::memory::storage::Storage;
use crate::scene::area::Area;
use crate::scene::{Placed, Scene};

/// The span's size in bytes: half of a first-level cache, so that what is blended into it is still there.
const SPAN: usize = 16 * 1024;

/// The widest part of a row that is composed at once, in pixels.
const SPAN_WIDTH: u32 = SPAN as u32 / 4 / 2;

/// The number of a composition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompositionId(u64);

#[derive(Debug)]
enum Target {
    Screen(Rc<Storage>),
    Region { region: Rc<Region>, layout: Layout, origin: (i32, i32) },
}

/// What is to be put together, and what of it is still missing.
#[derive(Debug)]
pub struct Composition {
    snapshot: Vec<Placed<Rc<Storage>>>,
    background: u32,
    /// XRGB8888 where the result is opaque, else ARGB8888.
    format: Format,
    missing: Area,
    target: Target,
    bytes: u64,
}

impl Composition {
    /// A frame: the stale part of a screen.
    pub fn frame(
        snapshot: Vec<Placed<Rc<Storage>>>,
        background: u32,
        stale: Area,
        screen: Rc<Storage>,
    ) -> Self {
        let target = Target::Screen(screen);
        Self { snapshot, background, format: Format::Xrgb8888, missing: stale, target, bytes: 0 }
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
        Ok(Self { snapshot, background, format: Format::Xrgb8888, missing: source.into(), target, bytes: 0 })
    }

    /// A capture of a layer's own pixels.
    ///
    /// # Errors
    /// What is wrong with the request.
    pub fn of_layer(capture: &Capture, ids: Ids<'_>, scene: &Scene<Rc<Storage>>) -> Result<Self, WorkError> {
        let (_, layer) = ids.layer(scene, capture.id)?;
        let bounds = layer.bounds();
        let of = || format!("layer {} of {}x{}", capture.id, bounds.width(), bounds.height());
        let (source, target) = captured(capture, ids, bounds, of)?;
        let storage = Rc::clone(&layer.front);
        let placed = Placed { storage, place: bounds, opacity: 255, is_opaque: true };
        let format = layer.format;
        Ok(Self { snapshot: vec![placed], background: 0, format, missing: source.into(), target, bytes: 0 })
    }

    /// How many bytes have been written.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many times a pixel is written at the most: once, and once for each layer that blends.
    fn depth(&self) -> u64 {
        1 + self.snapshot.iter().filter(|placed| !placed.is_opaque).count() as u64
    }

    fn compose(&mut self, part: Rectangle, span: &mut [u8]) -> Result<(), RegionError> {
        self.bytes += part.pixels() * 4;
        if let Target::Screen(screen) = &self.target {
            let steps = plan(&self.snapshot, part);
            let replaces = |step: &Blit| step.layer.is_none_or(|index| self.is_opaque(index));
            if steps.iter().all(replaces) {
                if let Some(mut picture) = screen.picture_mut() {
                    self.carry_out(&steps, (0, 0), &mut picture);
                }
                return Ok(());
            }
        }
        let mut rest = part;
        while !rest.is_empty() {
            let width = rest.width().min(SPAN_WIDTH);
            let (rows, below) = rest.split_rows((SPAN / 4) as u32 / width);
            let mut left = rows.left();
            while left < rows.right() {
                let right = left.saturating_add_unsigned(width).min(rows.right());
                self.compose_span(Rectangle::from_edges(left, rows.top(), right, rows.bottom()), span)?;
                left = right;
            }
            rest = below;
        }
        Ok(())
    }

    /// Composes a rectangle that fits the span, and writes it to the target.
    fn compose_span(&self, part: Rectangle, span: &mut [u8]) -> Result<(), RegionError> {
        let layout = Layout {
            width: part.width(),
            height: part.height(),
            stride: part.width() as usize * 4,
            offset: 0,
            format: self.format,
        };
        let steps = plan(&self.snapshot, part);
        if let Some(mut picture) = PictureMut::new(ViewMut::from_slice(span), layout) {
            self.carry_out(&steps, (part.left(), part.top()), &mut picture);
        }
        let Some(composed) = Picture::new(View::from_slice(span), layout) else { return Ok(()) };
        match &self.target {
            Target::Screen(screen) => {
                if let Some(mut screen) = screen.picture_mut() {
                    draw(&composed, (0, 0), &mut screen, part, Operator::Source, 255);
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
            let from = (step.pixels.left() - placed.place.left(), step.pixels.top() - placed.place.top());
            if let Some(layer) = placed.storage.picture() {
                let operator = if placed.is_opaque { Operator::Source } else { Operator::Over };
                draw(&layer, from, picture, to, operator, placed.opacity);
            }
        }
    }

    fn is_opaque(&self, index: usize) -> bool {
        self.snapshot.get(index).is_some_and(|placed| placed.is_opaque)
    }
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
    if image.format().bytes_per_pixel() != 4 {
        return Err(WorkError::CaptureFormat { format: image.format() });
    }
    let region = Rc::clone(ids.regions.get(image.plane().region)?);
    region.check_writable()?;
    let layout = Layout::of_image(&image).ok_or_else(|| outside(&image))?;
    Ok((source, Target::Region { region, layout, origin: (source.left(), source.top()) }))
}

/// All compositions under way.
#[derive(Debug)]
pub struct Compositions {
    running: Vec<(CompositionId, Composition, Result<(), RegionError>)>,
    next: u64,
    span: Box<[u8]>,
}

impl Default for Compositions {
    fn default() -> Self {
        Self { running: Vec::new(), next: 0, span: vec![0; SPAN].into_boxed_slice() }
    }
}

impl Compositions {
    /// Takes a composition in. What it shows is fixed from here on.
    pub fn begin(&mut self, composition: Composition) -> CompositionId {
        let id = CompositionId(self.next);
        self.next += 1;
        self.running.push((id, composition, Ok(())));
        id
    }

    /// Goes on with a composition, writing at most `budget` bytes, or one row; at its end it is taken out. `None` where
    /// there is none with this number.
    ///
    /// # Errors
    /// The memory that it wrote into went away; it is taken out.
    pub fn step(&mut self, id: CompositionId, budget: u64) -> Option<Result<(Step, u64), RegionError>> {
        let index = self.running.iter().position(|(running, ..)| *running == id)?;
        let (_, composition, result) = self.running.get_mut(index)?;
        let depth = composition.depth();
        let mut left = budget;
        while left > 0 && result.is_ok() {
            let Some(part) = composition.missing.take(left / 4 / depth) else { break };
            *result = composition.compose(part, &mut self.span);
            left = left.saturating_sub(part.pixels() * 4 * depth);
        }
        if result.is_ok() && !composition.missing.is_empty() {
            return Some(Ok((Step::Unfinished, composition.bytes)));
        }
        let (_, composition, result) = self.running.swap_remove(index);
        Some(result.map(|()| (Step::Finished, composition.bytes)))
    }

    /// Composes whatever still depends on `pixels` of `storage`, which are about to be overwritten.
    pub fn settle(&mut self, storage: &Rc<Storage>, pixels: Rectangle) {
        for (_, composition, result) in &mut self.running {
            for index in 0..composition.snapshot.len() {
                let Some(placed) = composition.snapshot.get(index) else { break };
                if !Rc::ptr_eq(&placed.storage, storage) {
                    continue;
                }
                let Some(touched) = pixels.translated(placed.place.left(), placed.place.top()) else {
                    continue;
                };
                let parts: Vec<Rectangle> = composition.missing.within(touched).collect();
                composition.missing.subtract(touched);
                for part in parts {
                    if result.is_ok() {
                        *result = composition.compose(part, &mut self.span);
                    }
                }
            }
        }
    }

    /// Forgets a composition, as where the client that asked for it has gone.
    pub fn cancel(&mut self, id: CompositionId) {
        self.running.retain(|(running, ..)| *running != id);
    }
}
