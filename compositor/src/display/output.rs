//! One screen: its buffers, what is stale in each, its frame clock.
//!
//! Every change of the picture has a number, its *generation*. A frame shows all of them up to that which it began
//! with; whoever waits for something to be on the glass waits for its generation.

use std::rc::Rc;

use blitd_pixels::turn::turned;
use blitd_protocol::image::Rectangle;
use blitd_protocol::value::Backend;

use super::kms::overlays::OnPlane;
use super::screen::Screen;
use crate::frame_clock::{Flip, FrameClock};
use crate::memory::storage::Storage;
use crate::scene::area::Area;
use crate::scene::{LayerKey, MOST_RECTANGLES, OutputId, Placed};
use crate::work::composition::{Composition, Turn};
use crate::work::compositions::CompositionId;

/// So many more stale pixels make a difference for when a frame has to begin: composing them takes some 10 µs. A client that
/// draws small things tens of thousands of times a second is not to have the frame planned anew each time.
const WEIGHTY: u64 = 16 * 1024;

#[derive(Debug)]
struct Buffer {
    storage: Rc<Storage>,
    stale: Area,
    /// Whether all of it shows the background, since the kernel has cleared it and nothing has been composed.
    is_clear: bool,
}

/// One screen.
#[derive(Debug)]
pub struct Output {
    id: OutputId,
    screen: Screen,
    clock: FrameClock,
    /// Whether it shows nothing for the moment, such as while another VT is in front.
    is_off: bool,
    on_glass: Buffer,
    back: Buffer,
    /// The layers that have planes of their own with the last frame, and where: the buffers are not to show them, and
    /// need not show what they hide.
    on_planes: Vec<(LayerKey, Rectangle)>,
    /// Whether the frame under way leaves the buffer on the glass that is there: only planes change.
    keeps: bool,
    /// What the buffers of planes lack of what their layers show: those that are not on the glass, and the others.
    stale_on_planes: [Area; 2],
    /// What has changed since the frame before began: what the glass is to be told.
    changed: Area,
    /// The same, of the frame under way.
    shown_damage: Area,
    /// What is being composed for the frame under way: the picture, and layers on planes.
    composing: Vec<CompositionId>,
    generation: u64,
    /// The generation that the frame under way began with.
    frame_generation: u64,
    shown_generation: u64,
    last_flip: Flip,
    frames: u64,
    composed: u64,
    /// How many stale pixels the clock has been told the cost of, for the next frame.
    weighed: Option<u64>,
    /// What composing the frame under way costs, in bytes of slices, without what others have composed for it.
    cost: u64,
    /// How long the display has taken to choose its planes, in nanoseconds.
    choosing: u64,
    /// When it began, and how long requests have held it up since, in nanoseconds.
    began: u64,
    held_up: u64,
    /// How long composing it has taken, in nanoseconds.
    composing_took: u64,
}

impl Output {
    /// An output of these buffers, whose first frame has yet to be composed.
    pub fn new(id: OutputId, screen: Screen, clock: FrameClock, buffers: [Rc<Storage>; 2], now: u64) -> Self {
        // Drivers need not clear their buffers. The top byte of a pixel does not matter.
        let is_clear = screen.backend == Backend::Headless && screen.background << 8 == 0;
        let buffer = |storage: Rc<Storage>| Buffer { stale: screen.bounds().into(), storage, is_clear };
        let [first, second] = buffers.map(buffer);
        Self {
            id,
            screen,
            clock,
            is_off: false,
            on_glass: first,
            back: second,
            on_planes: Vec::new(),
            keeps: false,
            stale_on_planes: Default::default(),
            changed: Area::default(),
            shown_damage: Area::default(),
            composing: Vec::new(),
            generation: 1,
            frame_generation: 0,
            shown_generation: 0,
            last_flip: Flip { sequence: 0, time: now, is_hardware: false },
            frames: 0,
            composed: 0,
            weighed: None,
            cost: 0,
            choosing: 0,
            began: 0,
            held_up: 0,
            composing_took: 0,
        }
    }

    /// Its number.
    pub const fn id(&self) -> OutputId {
        self.id
    }

    /// What does not change.
    pub const fn screen(&self) -> &Screen {
        &self.screen
    }

    /// Its rectangle, at the origin.
    pub const fn bounds(&self) -> Rectangle {
        self.screen.bounds()
    }

    /// Takes note that pixels of the picture have changed because of a layer.
    pub fn damage(&mut self, layer: LayerKey, pixels: Rectangle) {
        let Some(pixels) = pixels.intersection(self.bounds()) else { return };
        self.generation += 1;
        if self.is_on_plane(layer) {
            for area in &mut self.stale_on_planes {
                area.add(pixels);
                area.limit(MOST_RECTANGLES);
            }
        } else {
            self.spoil(pixels);
        }
    }

    /// Takes note that what the next frame costs may have become more without more of it being stale.
    pub const fn forget_weight(&mut self) {
        self.weighed = None;
    }

    fn spoil(&mut self, pixels: Rectangle) {
        for area in [&mut self.on_glass.stale, &mut self.back.stale, &mut self.changed] {
            area.add(pixels);
            area.limit(MOST_RECTANGLES);
        }
    }

    /// Takes note that all of the picture has to be composed again.
    pub fn damage_whole(&mut self) {
        self.generation += 1;
        self.spoil(self.bounds());
    }

    /// Goes on where an output of the same number has ended: who waits for a change that it has not shown waits on.
    pub fn succeed(&mut self, before: &Self) {
        self.generation = before.generation + 1;
        self.shown_generation = before.shown_generation;
        self.frames = before.frames;
        self.composed = before.composed;
        self.is_off = before.is_off;
    }

    /// Whether it shows nothing for the moment.
    pub const fn is_off(&self) -> bool {
        self.is_off
    }

    /// Turns the output off, or on again with everything to be composed anew. A frame under way is given up; its
    /// compositions are returned, to be cancelled.
    pub fn set_off(&mut self, is_off: bool) -> Vec<CompositionId> {
        self.is_off = is_off;
        self.clock.reset();
        self.on_planes.clear();
        self.stale_on_planes = Default::default();
        self.weighed = None;
        self.frame_generation = self.shown_generation;
        self.on_glass.stale = self.bounds().into();
        self.back.stale = self.bounds().into();
        self.damage_whole();
        std::mem::take(&mut self.composing)
    }

    /// Whether there is something that no frame has shown or is to show.
    pub fn wants_frame(&self) -> bool {
        !self.is_off && self.generation > self.frame_generation
    }

    /// Whether the clock has to be told what the next frame costs: for the first time, or since that has become more.
    pub fn is_to_be_weighed(&self, now: u64) -> bool {
        let grows = |weighed: u64| self.stale_pixels() >= weighed + WEIGHTY;
        self.wants_frame() && self.weighed.is_none_or(grows) && self.clock.is_idle(now)
    }

    /// How many pixels are to be composed or copied, some of them perhaps twice.
    fn stale_pixels(&self) -> u64 {
        self.back.stale.pixels() + self.stale_on_planes[0].pixels()
    }

    /// Whether the clock has seen no vblank for too long to know when the next one will be.
    pub fn has_lost_track(&self, now: u64) -> bool {
        self.clock.has_lost_track(now)
    }

    /// Tells the clock of a vblank that has been.
    pub fn saw_vblank(&mut self, time: u64) {
        self.clock.see(time);
    }

    /// Tells the clock what the next frame costs as things are.
    pub fn weigh(&mut self, mut snapshot: Vec<Placed<Rc<Storage>>>, now: u64) {
        self.weighed = Some(self.stale_pixels());
        let copies = self.stale_on_planes[0].pixels() * 4;
        snapshot.retain(|placed| !self.is_on_plane(placed.layer));
        let missing = self.missing(&snapshot);
        let cost = self.composition(snapshot, missing).cost();
        self.clock.aim(now, cost + copies);
    }

    /// Whether a frame would show something new, and may begin: where it `is_complete`, since nothing can come that
    /// would be in it as well, it need not wait until it has to.
    pub fn may_begin(&self, now: u64, is_complete: bool) -> bool {
        self.wants_frame() && if is_complete { self.clock.is_idle(now) } else { self.clock.may_begin(now) }
    }

    /// How the picture is turned on its way to the screen.
    pub const fn turn(&self) -> Turn {
        Turn { transform: self.screen.transform, size: self.screen.size() }
    }

    /// What the next frame has to compose: layers for their planes, and the rest on the buffer that is not on the glass.
    /// Where the one on the glass does as it is, that is left there. What planes hide is composed when it comes to
    /// light.
    pub fn frame(
        &mut self,
        mut snapshot: Vec<Placed<Rc<Storage>>>,
        on_planes: Vec<OnPlane>,
    ) -> Vec<Composition> {
        let now = on_planes.iter().map(|on_plane| (on_plane.layer, on_plane.place)).collect();
        let before = std::mem::replace(&mut self.on_planes, now);
        let has = |all: &[(LayerKey, Rectangle)], layer| all.iter().any(|(other, _)| *other == layer);
        for placed in &snapshot {
            if has(&before, placed.layer) != has(&self.on_planes, placed.layer)
                && let Some(place) = placed.place.intersection(self.bounds())
            {
                self.spoil(place);
            }
        }
        // What the glass has shown there last may be older than what is there now.
        let bounds = self.bounds();
        let bared = before.iter().filter(|plane| !self.on_planes.contains(plane));
        for pixels in bared.filter_map(|(_, place)| place.intersection(bounds)) {
            self.changed.add(pixels);
            self.changed.limit(MOST_RECTANGLES);
        }
        snapshot.retain(|placed| !has(&self.on_planes, placed.layer));
        let mut compositions: Vec<Composition> =
            on_planes.into_iter().filter_map(|on_plane| on_plane.composition).collect();
        self.keeps = self.seen_of(&self.on_glass.stale).is_empty();
        if !self.keeps {
            compositions.push(self.picture(snapshot));
        }
        self.frame_generation = self.generation;
        self.shown_damage = std::mem::take(&mut self.changed);
        self.stale_on_planes[0] = Area::default();
        self.stale_on_planes.swap(0, 1);
        self.cost = compositions.iter().map(Composition::cost).sum();
        compositions
    }

    /// What of an area no plane hides.
    fn seen_of(&self, area: &Area) -> Area {
        let mut seen = area.clone();
        self.on_planes.iter().for_each(|(_, place)| seen.subtract(*place));
        seen
    }

    fn is_on_plane(&self, layer: LayerKey) -> bool {
        self.on_planes.iter().any(|(other, _)| *other == layer)
    }

    /// What is to be composed on the buffer that is not on the glass. Where a clear one is to show its background it stays
    /// as it is, and takes no memory: to have the kernel find it, page by page, takes several times as long as to write it,
    /// just when a daemon's first client waits.
    fn missing(&self, snapshot: &[Placed<Rc<Storage>>]) -> Area {
        let stale = self.seen_of(&self.back.stale);
        if !self.back.is_clear {
            return stale;
        }
        let mut covered = Area::default();
        for pixels in snapshot.iter().flat_map(|layer| stale.within(layer.place)) {
            covered.add(pixels);
            covered.limit(MOST_RECTANGLES);
        }
        covered
    }

    /// The composition of what is missing there.
    fn picture(&mut self, snapshot: Vec<Placed<Rc<Storage>>>) -> Composition {
        let missing = self.missing(&snapshot);
        self.seen_of(&self.back.stale).rectangles().iter().for_each(|seen| self.back.stale.subtract(*seen));
        self.back.is_clear = false;
        self.composition(snapshot, missing)
    }

    fn composition(&self, snapshot: Vec<Placed<Rc<Storage>>>, missing: Area) -> Composition {
        let storage = Rc::clone(&self.back.storage);
        Composition::frame(snapshot, self.screen.background, missing, storage, self.turn())
    }

    /// The frame has begun, under these numbers, after the display has taken so long to choose its planes, in nanoseconds.
    pub fn begin(&mut self, compositions: Vec<CompositionId>, now: u64, choosing: u64) {
        self.clock.begin();
        self.weighed = None;
        self.choosing = choosing;
        (self.began, self.held_up) = (now, 0);
        self.composing = compositions;
    }

    /// Requests had their turn for so long, in nanoseconds, whatever frame is under way.
    pub const fn held_up(&mut self, time: u64) {
        self.held_up += time;
    }

    /// Whether the frame under way needs the time that is left until its vblank.
    pub fn presses(&self, now: u64) -> bool {
        self.clock.presses(now)
    }

    /// What is being composed for a frame; nothing where there is none under way.
    pub fn composing(&self) -> &[CompositionId] {
        &self.composing
    }

    /// One of these is composed, of so many bytes. What `settled` of it, in bytes of slices, others have composed was done
    /// in the time of requests.
    pub fn composed_part(&mut self, composition: CompositionId, bytes: u64, settled: u64) {
        self.cost = self.cost.saturating_sub(settled);
        self.composing.retain(|other| *other != composition);
        self.composed += bytes;
    }

    /// The frame is composed: its picture as it is on the glass, and where it differs there from the one before, are to
    /// be shown at the next vblank.
    pub fn commit(&mut self, now: u64) -> (Rc<Storage>, Area) {
        self.composing_took = now.saturating_sub(self.began).saturating_sub(self.held_up);
        self.clock.commit(now);
        let damage = std::mem::take(&mut self.shown_damage);
        let (size, transform) = (self.screen.size(), self.screen.transform);
        let on_glass = damage.rectangles().iter().map(|part| turned(*part, size, transform));
        let picture = if self.keeps { &self.on_glass } else { &self.back };
        (Rc::clone(&picture.storage), on_glass.collect())
    }

    /// The display has taken the frame, which took so long, in nanoseconds.
    pub fn committed(&mut self, time: u64) {
        self.clock.measured(self.cost, self.composing_took, self.choosing + time);
    }

    /// The display has refused the frame: it is tried again after a while.
    pub fn refused(&mut self, now: u64) {
        self.clock.refused(now);
        self.weighed = None;
        self.frame_generation = self.shown_generation;
        self.back.stale = self.bounds().into();
        self.changed = self.bounds().into();
    }

    /// When the output has to be looked at again, if it has to be.
    pub fn wakes_at(&self) -> Option<u64> {
        let next = self.clock.rests_until().max(self.clock.begins_at());
        self.clock.vblank_at().or(next.filter(|_| self.wants_frame()))
    }

    /// Whether a frame waits for a vblank that comes with time, not with an event of the display's.
    pub fn awaits_time(&self) -> bool {
        self.clock.vblank_at().is_some()
    }

    /// Whether a frame has come on the glass by now.
    pub fn flip(&mut self, now: u64) -> bool {
        let flip = self.clock.flip(now);
        flip.inspect(|flip| self.flipped(*flip)).is_some()
    }

    /// A frame has come on the glass, as the display tells, with a vblank of this sequence and time. Where none was on
    /// its way, that means nothing.
    pub fn flipped_by_display(&mut self, sequence: Option<u64>, time: u64) {
        if self.clock.is_committed() {
            let flip = self.clock.flipped(sequence, time);
            self.flipped(flip);
        }
    }

    fn flipped(&mut self, flip: Flip) {
        if !self.keeps {
            std::mem::swap(&mut self.on_glass, &mut self.back);
        }
        self.shown_generation = self.frame_generation;
        self.last_flip = flip;
        self.frames += 1;
    }

    /// What is on the glass.
    pub fn on_glass(&self) -> &Storage {
        &self.on_glass.storage
    }

    /// The number of the latest change.
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// The frame on the glass, where it shows that change.
    pub fn shown(&self, generation: u64) -> Option<Flip> {
        (self.shown_generation >= generation).then_some(self.last_flip)
    }

    /// The frame on the glass.
    pub const fn last_flip(&self) -> Flip {
        self.last_flip
    }

    /// How many frames have come on the glass.
    pub const fn frames(&self) -> u64 {
        self.frames
    }

    /// How many layers have planes of their own.
    pub const fn layers_on_planes(&self) -> usize {
        self.on_planes.len()
    }

    /// How many bytes have been composed.
    pub const fn composed(&self) -> u64 {
        self.composed
    }
}

#[cfg(test)]
mod tests;
