//! Operations carried out on layers, so that they land whole.

use std::rc::Rc;

use blitd_protocol::image::Rectangle;
use blitd_protocol::value::Path;

use super::composition::LEAST_COST;
use super::compositions::Compositions;
use super::operation::{Operation, Place};
use super::{SLICE, Step, WorkError};
use crate::memory::storage::Storage;
use crate::memory::unmap::Unmapper;
use crate::scene::area::Area;
use crate::scene::{Attributes, LayerKey, MOST_RECTANGLES, Scene};

/// What looking at an operation costs before the first is carried out, in bytes of a slice.
const LOOK_COST: u64 = SLICE / 512;

/// What making a layer's spare storage costs, in bytes of a slice.
const STORAGE_COST: u64 = SLICE / 2;

/// What painting works on.
#[derive(Debug)]
pub struct Stage<'a> {
    /// The layers.
    pub scene: &'a mut Scene<Rc<Storage>>,
    /// Those who may still have to read what is about to be overwritten.
    pub compositions: &'a mut Compositions,
    /// For new storage.
    pub unmapper: &'a Unmapper,
    /// How many bytes a whole slice has at present.
    pub slice: u64,
}

/// One layer that is drawn into its spare storage.
#[derive(Debug)]
struct Target {
    layer: LayerKey,
    spare: Rc<Storage>,
    /// What the spare storage still has to be given from the front one.
    stale: Area,
    /// How many bytes of it there are.
    refreshed: u64,
    /// What the operations change, but for what is in `replaced`.
    drawn: Area,
    /// What the operations replace, as far as that takes few rectangles.
    replaced: Area,
    draws: u64,
}

#[derive(Debug)]
enum Phase {
    /// Nothing has been touched; the spare storages of the operations before this one are in hand.
    Begin { operation: usize },
    /// The spare storages are brought up to date.
    Refresh,
    /// The operations are carried out, the one with this number next, from this place of it on.
    Draw { operation: usize, from: Place },
}

/// A draw, a fill or a batch under way.
#[derive(Debug)]
pub struct Paint {
    operations: Vec<Operation>,
    configures: Vec<(LayerKey, Attributes)>,
    is_batch: bool,
    phase: Phase,
    targets: Vec<Target>,
    draws: u64,
    bytes: u64,
    path: Path,
}

impl Paint {
    /// A single draw or fill.
    pub fn single(operation: Operation) -> Self {
        Self::new(vec![operation], Vec::new(), false)
    }

    /// A batch: its operations in order, and what it changes of layers.
    pub fn batch(operations: Vec<Operation>, configures: Vec<(LayerKey, Attributes)>) -> Self {
        Self::new(operations, configures, true)
    }

    fn new(operations: Vec<Operation>, configures: Vec<(LayerKey, Attributes)>, is_batch: bool) -> Self {
        let operations: Vec<Operation> =
            operations.into_iter().filter(|operation| !operation.pixels().is_empty()).collect();
        Self {
            draws: operations.len() as u64,
            operations,
            configures,
            is_batch,
            phase: Phase::Begin { operation: 0 },
            targets: Vec::new(),
            bytes: 0,
            path: Path::None,
        }
    }

    /// How many bytes of pixels have been written.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many draws and fills it has that leave a pixel.
    pub const fn draws(&self) -> u64 {
        self.draws
    }

    /// Which way the pixels take.
    pub const fn path(&self) -> Path {
        self.path
    }

    /// Goes on, writing about `left` bytes, or one row, and as much again for compositions that have to be settled
    /// before; takes off what that has cost. What is drawn in place, but does not fit any more, takes all of it.
    ///
    /// # Errors
    /// It ends here, and nothing of it lands.
    pub fn step(&mut self, stage: &mut Stage<'_>, left: &mut u64) -> Result<Step, WorkError> {
        if let (Phase::Begin { .. }, [operation], false) =
            (&self.phase, self.operations.as_slice(), self.is_batch)
            && operation.cost(operation.pixels()) <= stage.slice
            && !operation.may_fault()
        {
            if operation.cost(operation.pixels()) > *left {
                *left = 0;
                return Ok(Step::Unfinished);
            }
            let step = draw_in_place(operation, stage, left)?;
            if step == Step::Finished {
                self.path = Path::InPlace;
                self.bytes = operation.bytes();
            }
            return Ok(step);
        }
        loop {
            let is_over = match self.phase {
                Phase::Begin { operation } => self.begin(operation, stage, left)?,
                Phase::Refresh => self.refresh(stage, left),
                Phase::Draw { operation, from } => {
                    let step = self.draw(operation, from, stage, left)?;
                    if step == Step::Finished {
                        self.land(stage);
                    }
                    return Ok(step);
                }
            };
            if !is_over {
                return Ok(Step::Unfinished);
            }
        }
    }

    /// Finds, or makes, the spare storage of each layer, and what it has to be given; whether it has all.
    fn begin(&mut self, first: usize, stage: &mut Stage<'_>, left: &mut u64) -> Result<bool, WorkError> {
        if !self.operations.is_empty() {
            self.path = Path::Swapped;
        }
        for (index, operation) in self.operations.iter().enumerate().skip(first) {
            if *left == 0 {
                self.phase = Phase::Begin { operation: index };
                return Ok(false);
            }
            let key = operation.layer();
            if self.targets.iter().all(|target| target.layer != key) {
                let is_new = stage.scene.get(key).is_some_and(|layer| layer.spare.is_none());
                self.targets.extend(target(key, stage)?);
                *left = left.saturating_sub(if is_new { STORAGE_COST } else { 0 });
            }
            if let Some(target) = self.targets.iter_mut().find(|target| target.layer == key) {
                // Areas are kept short: a batch of stripes across stripes would make tens of thousands of rectangles.
                // What is drawn may hold more than it must, and what is replaced less.
                target.draws += 1;
                if operation.replaces() && target.replaced.rectangles().len() < MOST_RECTANGLES {
                    target.replaced.add(operation.pixels());
                } else {
                    target.drawn.add(operation.pixels());
                    target.drawn.limit(MOST_RECTANGLES);
                }
            }
            *left = left.saturating_sub(LOOK_COST);
        }
        for target in &mut self.targets {
            for replaced in target.replaced.rectangles() {
                target.stale.subtract(*replaced);
                target.drawn.add(*replaced);
                target.drawn.limit(MOST_RECTANGLES);
            }
            target.refreshed = target.stale.rectangles().iter().map(|part| part.pixels() * 4).sum();
            stage.scene.spoil_spare(target.layer, &target.drawn);
        }
        self.phase = Phase::Refresh;
        Ok(true)
    }

    /// Brings the spare storages up to date; whether they are.
    fn refresh(&mut self, stage: &mut Stage<'_>, left: &mut u64) -> bool {
        for target in &mut self.targets {
            let Some(front) = stage.scene.get(target.layer).map(|layer| Rc::clone(&layer.front)) else {
                continue;
            };
            while !target.stale.is_empty() {
                if *left == 0 {
                    return false;
                }
                let price = target.spare.price(target.refreshed);
                let Some(part) = target.stale.take(*left / 4 / price) else { break };
                if !stage.compositions.settle(&target.spare, part, left) {
                    target.stale.add(part);
                    return false;
                }
                copy(&front, &target.spare, part, target.refreshed);
                let bytes = part.pixels() * 4;
                target.spare.written(bytes);
                self.bytes += bytes;
                *left = left.saturating_sub((bytes * price).max(LEAST_COST));
            }
        }
        self.phase = Phase::Draw { operation: 0, from: Place::default() };
        true
    }

    fn draw(
        &mut self,
        mut index: usize,
        mut from: Place,
        stage: &mut Stage<'_>,
        left: &mut u64,
    ) -> Result<Step, WorkError> {
        while let Some(operation) = self.operations.get(index) {
            if *left == 0 {
                self.phase = Phase::Draw { operation: index, from };
                return Ok(Step::Unfinished);
            }
            let target = self.targets.iter().find(|target| target.layer == operation.layer());
            let price = target.map_or(1, |target| target.spare.price(operation.bytes()));
            let Some((part, next)) = operation.next(from, *left / price) else {
                (index, from) = (index + 1, Place::default());
                continue;
            };
            let bytes = part.pixels() * 4;
            if let Some(target) = target {
                if !stage.compositions.settle(&target.spare, part, left) {
                    self.phase = Phase::Draw { operation: index, from };
                    return Ok(Step::Unfinished);
                }
                operation.carry_out(part, &target.spare)?;
                target.spare.written(bytes);
            }
            self.bytes += bytes;
            let cost = operation.cost(part) + bytes * (price - 1);
            *left = left.saturating_sub(cost.max(LEAST_COST));
            from = next;
        }
        Ok(Step::Finished)
    }

    /// Everything at once: from here on, frames show it.
    fn land(&mut self, stage: &mut Stage<'_>) {
        for target in self.targets.drain(..) {
            stage.scene.swap(target.layer, target.drawn, target.draws);
        }
        stage.scene.configure(self.configures.drain(..));
    }
}

fn target(key: LayerKey, stage: &mut Stage<'_>) -> Result<Option<Target>, WorkError> {
    let Some(layer) = stage.scene.get(key) else { return Ok(None) };
    if layer.spare.is_none() {
        let bounds = layer.bounds();
        let storage = Storage::new(bounds.width(), bounds.height(), layer.format, stage.unmapper)?;
        stage.scene.add_spare(key, Rc::new(storage));
    }
    let spare = stage.scene.get(key).and_then(|layer| layer.spare.as_ref());
    Ok(spare.map(|spare| Target {
        layer: key,
        spare: Rc::clone(&spare.storage),
        stale: spare.stale.clone(),
        refreshed: 0,
        drawn: Area::default(),
        replaced: Area::default(),
        draws: 0,
    }))
}

fn draw_in_place(operation: &Operation, stage: &mut Stage<'_>, left: &mut u64) -> Result<Step, WorkError> {
    let key = operation.layer();
    if let Some(front) = stage.scene.get(key).map(|layer| Rc::clone(&layer.front)) {
        if !stage.compositions.settle(&front, operation.pixels(), left) {
            return Ok(Step::Unfinished);
        }
        let bytes = operation.bytes();
        *left = left.saturating_sub(operation.cost(operation.pixels()) + bytes * (front.price(bytes) - 1));
        front.written(bytes);
        let result = operation.carry_out(operation.pixels(), &front);
        stage.scene.drawn_in_place(key, operation.pixels());
        result?;
    }
    Ok(Step::Finished)
}

/// Copies a part of the `bytes` that are copied in all.
fn copy(from: &Storage, to: &Storage, part: Rectangle, bytes: u64) {
    if let (Some(from), Some(mut to)) = (from.picture(), to.picture_for(bytes)) {
        let operator = blitd_protocol::value::Operator::Source;
        blitd_pixels::blit::draw(&from, (part.left(), part.top()), &mut to, part, operator, 255);
    }
}
