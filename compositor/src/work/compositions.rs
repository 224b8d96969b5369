//! All compositions under way, and what is overwritten under them.

use std::rc::Rc;

use blitd_protocol::image::Rectangle;

use super::Step;
use super::composition::{Composition, SPAN};
use crate::memory::region::RegionError;
use crate::memory::storage::Storage;

/// Pixels that are settled before they are overwritten are settled in whole tiles of this side. Composing more than
/// that is always right, and many small writes leave few rectangles behind.
const TILE: i32 = 64;

/// The number of a composition: those that began later have higher ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CompositionId(u64);

#[derive(Debug)]
struct Running {
    id: CompositionId,
    composition: Composition,
    /// What has been composed of it for those who overwrite what it shows, in bytes of slices.
    settled: u64,
    result: Result<(), RegionError>,
}

impl Running {
    /// Composes parts that have been taken out of what is missing, as far as the budget goes, and puts the rest back.
    fn compose(&mut self, mut parts: Vec<Rectangle>, budget: &mut u64, span: &mut [u8]) {
        while let (Some(part), true, true) = (parts.last().copied(), *budget > 0, self.result.is_ok()) {
            parts.pop();
            match self.composition.compose(part, *budget, span) {
                Ok((cost, rest)) => {
                    parts.extend(rest);
                    *budget = budget.saturating_sub(cost);
                }
                Err(error) => self.result = Err(error),
            }
        }
        let missing = self.composition.missing();
        parts.into_iter().for_each(|part| missing.add(part));
    }
}

/// All compositions under way.
#[derive(Debug)]
pub struct Compositions {
    running: Vec<Running>,
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
        self.running.push(Running { id, composition, settled: 0, result: Ok(()) });
        id
    }

    /// Goes on with a composition, with blits of about `budget` bytes; says how many bytes of the target have been
    /// written in all. At its end it is taken out. `None` where there is none with this number.
    ///
    /// # Errors
    /// The memory that it wrote into went away; it is taken out.
    pub fn step(&mut self, id: CompositionId, mut budget: u64) -> Option<Result<(Step, u64), RegionError>> {
        let index = self.running.iter().position(|running| running.id == id)?;
        let running = self.running.get_mut(index)?;
        while budget > 0 && running.result.is_ok() {
            let Some(part) = running.composition.missing().take(budget / 4) else { break };
            running.compose(vec![part], &mut budget, &mut self.span);
        }
        let bytes = running.composition.bytes();
        if running.result.is_ok() && !running.composition.missing().is_empty() {
            return Some(Ok((Step::Unfinished, bytes)));
        }
        let Running { result, .. } = self.running.swap_remove(index);
        Some(result.map(|()| (Step::Finished, bytes)))
    }

    /// Composes whatever still depends on `pixels` of `storage`, which are about to be overwritten, as far as the
    /// budget goes. True when nothing does any more.
    pub fn settle(&mut self, storage: &Rc<Storage>, pixels: Rectangle, budget: &mut u64) -> bool {
        for running in &mut self.running {
            let all: Vec<Rectangle> = running.composition.touched(storage, pixels).collect();
            for touched in all {
                if !running.composition.missing().intersects(touched) {
                    continue;
                }
                let parts = running.composition.missing().extract(whole_tiles(touched));
                let before = *budget;
                running.compose(parts, budget, &mut self.span);
                running.settled += before - *budget;
                if running.result.is_ok() && running.composition.missing().intersects(touched) {
                    return false;
                }
            }
        }
        true
    }

    /// What has been composed of a composition on the budgets of others, in bytes of slices.
    pub fn settled(&self, id: CompositionId) -> u64 {
        self.running.iter().find(|running| running.id == id).map_or(0, |running| running.settled)
    }

    /// Forgets a composition, as where the client that asked for it has gone.
    pub fn cancel(&mut self, id: CompositionId) {
        self.running.retain(|running| running.id != id);
    }
}

/// The smallest rectangle of whole tiles around this one.
fn whole_tiles(rectangle: Rectangle) -> Rectangle {
    let down = |edge: i32| edge.div_euclid(TILE).saturating_mul(TILE);
    let up = |edge: i32| down(edge.saturating_add(TILE - 1));
    Rectangle::from_edges(
        down(rectangle.left()),
        down(rectangle.top()),
        up(rectangle.right()).max(rectangle.right()),
        up(rectangle.bottom()).max(rectangle.bottom()),
    )
}
