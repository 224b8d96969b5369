//! One screen: its buffers, what is stale in each, its frame clock.
//!
//! Every change of the picture has a number, its *generation*. A frame shows all of them up to that which it began
//! with; whoever waits for something to be on the glass waits for its generation.

use std::rc::Rc;

use blitd_pixels::turn::{turned, turned_size};
use blitd_protocol::image::Rectangle;
use blitd_protocol::value::{Backend, Name, Transform};

use crate::frame_clock::{Flip, FrameClock};
use crate::memory::storage::Storage;
use crate::scene::area::Area;
use crate::scene::{MOST_RECTANGLES, OutputId, Placed};
use crate::work::composition::{Composition, Turn};
use crate::work::compositions::CompositionId;

/// So many more stale pixels make a difference for when a frame has to begin: composing them takes some 10 µs. A client that
/// draws small things tens of thousands of times a second is not to have the frame planned anew each time.
const WEIGHTY: u64 = 16 * 1024;

/// What does not change while an output is there.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    /// Its name, for people.
    pub name: Name,
    /// What drives it.
    pub backend: Backend,
    /// Width and height of the mode, in pixels.
    pub mode: (u32, u32),
    /// Frames in 1000 seconds.
    pub refresh: u32,
    /// How pictures are turned on their way to it.
    pub transform: Transform,
    /// Where it is in the space that it shares with others.
    pub place: Option<(i32, i32)>,
    /// The colour under all layers, as an XRGB8888 word.
    pub background: u32,
}

impl Screen {
    /// Width and height of the pictures that it shows, before they are turned.
    pub const fn size(&self) -> (u32, u32) {
        // A quarter back exchanges the same as a quarter on.
        turned_size(self.mode, self.transform)
    }

    /// A picture's rectangle, at the origin.
    pub const fn bounds(&self) -> Rectangle {
        let (width, height) = self.size();
        Rectangle::from_size(width, height)
    }
}

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
    /// What has changed since the frame before began: what the glass is to be told.
    changed: Area,
    /// The same, of the frame under way.
    shown_damage: Area,
    composing: Option<CompositionId>,
    generation: u64,
    /// The generation that the frame under way began with.
    frame_generation: u64,
    shown_generation: u64,
    last_flip: Flip,
    frames: u64,
    composed: u64,
    /// How many stale pixels the clock has been told the cost of, for the next frame.
    weighed: Option<u64>,
    /// What composing the frame under way costs, in bytes of slices.
    cost: u64,
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
            changed: Area::default(),
            shown_damage: Area::default(),
            composing: None,
            generation: 1,
            frame_generation: 0,
            shown_generation: 0,
            last_flip: Flip { sequence: 0, time: now, is_hardware: false },
            frames: 0,
            composed: 0,
            weighed: None,
            cost: 0,
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

    /// Takes note that pixels of the picture have changed.
    pub fn damage(&mut self, pixels: Rectangle) {
        let Some(pixels) = pixels.intersection(self.bounds()) else { return };
        self.generation += 1;
        for area in [&mut self.on_glass.stale, &mut self.back.stale, &mut self.changed] {
            area.add(pixels);
            area.limit(MOST_RECTANGLES);
        }
    }

    /// Takes note that all of the picture has to be composed again.
    pub fn damage_whole(&mut self) {
        self.damage(self.bounds());
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
    /// composition is returned, to be cancelled.
    pub fn set_off(&mut self, is_off: bool) -> Option<CompositionId> {
        self.is_off = is_off;
        self.clock.reset();
        self.weighed = None;
        self.frame_generation = self.shown_generation;
        self.on_glass.stale = self.bounds().into();
        self.back.stale = self.bounds().into();
        self.damage_whole();
        self.composing.take()
    }

    fn wants_frame(&self) -> bool {
        !self.is_off && self.generation > self.frame_generation
    }

    /// Whether the clock has to be told what the next frame costs: for the first time, or since that has become more.
    pub fn is_to_be_weighed(&self, now: u64) -> bool {
        let grows = |weighed: u64| self.back.stale.pixels() >= weighed + WEIGHTY;
        self.wants_frame() && self.weighed.is_none_or(grows) && self.clock.is_idle(now)
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
    pub fn weigh(&mut self, snapshot: Vec<Placed<Rc<Storage>>>, now: u64) {
        self.weighed = Some(self.back.stale.pixels());
        let stale = self.to_compose(&snapshot);
        let cost = self.composition(snapshot, stale).cost();
        self.clock.aim(now, cost);
    }

    /// Whether a frame would show something new, and may begin.
    pub fn may_begin(&self, now: u64) -> bool {
        self.wants_frame() && self.clock.may_begin(now)
    }

    /// What the next frame has to compose, on the buffer that is not on the glass.
    pub fn frame(&mut self, snapshot: Vec<Placed<Rc<Storage>>>) -> Composition {
        let stale = self.to_compose(&snapshot);
        self.back.stale = Area::default();
        self.back.is_clear = false;
        self.frame_generation = self.generation;
        self.shown_damage = std::mem::take(&mut self.changed);
        let composition = self.composition(snapshot, stale);
        self.cost = composition.cost();
        composition
    }

    /// What is stale in the buffer that is not on the glass. Where a clear one is to show its background it stays as it
    /// is, and takes no memory: to have the kernel find it, page by page, takes several times as long as to write it, just
    /// when a daemon's first client waits.
    fn to_compose(&self, snapshot: &[Placed<Rc<Storage>>]) -> Area {
        if !self.back.is_clear {
            return self.back.stale.clone();
        }
        let mut covered = Area::default();
        for pixels in snapshot.iter().flat_map(|layer| self.back.stale.within(layer.place)) {
            covered.add(pixels);
            covered.limit(MOST_RECTANGLES);
        }
        covered
    }

    fn composition(&self, snapshot: Vec<Placed<Rc<Storage>>>, stale: Area) -> Composition {
        let turn = Turn { transform: self.screen.transform, size: self.screen.size() };
        Composition::frame(snapshot, self.screen.background, stale, Rc::clone(&self.back.storage), turn)
    }

    /// The frame has begun, under this number.
    pub fn begin(&mut self, composition: CompositionId, now: u64) {
        self.clock.begin();
        self.weighed = None;
        (self.began, self.held_up) = (now, 0);
        self.composing = Some(composition);
    }

    /// Requests had their turn for so long, in nanoseconds, whatever frame is under way.
    pub const fn held_up(&mut self, time: u64) {
        self.held_up += time;
    }

    /// Whether the frame under way needs the time that is left until its vblank.
    pub fn presses(&self, now: u64) -> bool {
        self.clock.presses(now)
    }

    /// The frame that is being composed.
    pub const fn composing(&self) -> Option<CompositionId> {
        self.composing
    }

    /// The frame is composed, of so many bytes: its picture as it is on the glass, and where it differs there from the
    /// one before, are to be shown at the next vblank.
    pub fn commit(&mut self, now: u64, bytes: u64) -> (Rc<Storage>, Area) {
        self.composing = None;
        self.composed += bytes;
        self.composing_took = now.saturating_sub(self.began).saturating_sub(self.held_up);
        self.clock.commit(now);
        let damage = std::mem::take(&mut self.shown_damage);
        let (size, transform) = (self.screen.size(), self.screen.transform);
        let on_glass = damage.rectangles().iter().map(|part| turned(*part, size, transform));
        (Rc::clone(&self.back.storage), on_glass.collect())
    }

    /// The display has taken the frame, which took so long, in nanoseconds.
    pub fn committed(&mut self, time: u64) {
        self.clock.measured(self.cost, self.composing_took, time);
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
        let next = self.clock.rests_until().or_else(|| self.clock.begins_at());
        self.clock.vblank_at().or(next.filter(|_| self.wants_frame()))
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
        std::mem::swap(&mut self.on_glass, &mut self.back);
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

    /// How many bytes have been composed.
    pub const fn composed(&self) -> u64 {
        self.composed
    }
}

#[cfg(test)]
mod tests {
    use blitd_protocol::image::Format;

    use super::*;
    use crate::memory::helper::Helper;
    use crate::scene::crop::whole;
    use crate::work::Step;
    use crate::work::compositions::Compositions;

    /// A headless output of 20x10 pixels, turned so, with this background.
    fn headless(transform: Transform, background: u32) -> Output {
        let screen = Screen {
            name: Name::new("headless-1"),
            backend: Backend::Headless,
            mode: (20, 10),
            refresh: 60_000,
            transform,
            place: None,
            background,
        };
        let unmapper = Helper::start().unwrap().unmapper();
        let buffer = || Rc::new(Storage::new(20, 10, Format::Xrgb8888, &unmapper).unwrap());
        Output::new(1, screen, FrameClock::paced(0, 60_000), [buffer(), buffer()], 0)
    }

    /// Composes a frame, and says how many bytes of it were written.
    fn compose(output: &mut Output, snapshot: Vec<Placed<Rc<Storage>>>) -> u64 {
        let mut compositions = Compositions::default();
        let composition = compositions.begin(output.frame(snapshot));
        output.begin(composition, 0);
        let (step, bytes) = compositions.step(composition, u64::MAX).unwrap().unwrap();
        assert_eq!(step, Step::Finished);
        output.commit(0, bytes);
        output.flip(u64::MAX);
        bytes
    }

    #[test]
    fn memory_that_is_black_already_is_not_made_black() {
        let layer = || {
            let unmapper = Helper::start().unwrap().unmapper();
            let storage = Rc::new(Storage::new(4, 3, Format::Xrgb8888, &unmapper).unwrap());
            let place = Rectangle::new(18, 2, 4, 3).unwrap();
            vec![Placed { storage, place, crop: whole(4, 3), opacity: 255, is_opaque: true }]
        };
        let mut output = headless(Transform::Identity, 0xff00_0000);
        assert_eq!(compose(&mut output, Vec::new()), 0);
        // The other buffer: of the layer, two columns are on the output.
        output.damage_whole();
        assert_eq!(compose(&mut output, layer()), 2 * 3 * 4);
        for _ in 0..2 {
            output.damage_whole();
            assert_eq!(compose(&mut output, layer()), 20 * 10 * 4, "it is not clear any more");
        }
        assert_eq!(compose(&mut headless(Transform::Identity, 0xff00_0001), Vec::new()), 20 * 10 * 4);
        let mut before = headless(Transform::Identity, 0xff00_0000);
        before.screen.backend = Backend::Kms;
        let buffers = [before.on_glass.storage, before.back.storage];
        let mut output = Output::new(1, before.screen, before.clock, buffers, 0);
        assert_eq!(compose(&mut output, Vec::new()), 20 * 10 * 4, "a driver need not clear its buffers");
    }

    #[test]
    fn the_glass_is_told_where_it_changes_and_not_where_the_picture_does() {
        let mut output = headless(Transform::Rotate90, 0xff00_0000);
        assert_eq!(output.screen().size(), (10, 20));
        output.damage(Rectangle::new(1, 2, 3, 4).unwrap());
        let mut compositions = Compositions::default();
        let frame = output.frame(Vec::new());
        output.begin(compositions.begin(frame), 0);
        let (_, damage) = output.commit(0, 0);
        // Its upper left corner is where the upper right one was, 10 - (1 + 3) from the right.
        assert_eq!(damage.rectangles(), [Rectangle::new(2, 6, 4, 3).unwrap()]);
    }
}
