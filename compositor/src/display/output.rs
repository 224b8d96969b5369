//! One screen: its buffers, what is stale in each, its frame clock.
//!
//! Every change of the picture has a number, its *generation*. A frame shows all of them up to that which it began
//! with; whoever waits for something to be on the glass waits for its generation.

use std::rc::Rc;

use blitd_protocol::image::Rectangle;
use blitd_protocol::value::{Backend, Name};

use crate::frame_clock::{Flip, FrameClock};
use crate::memory::storage::Storage;
use crate::scene::area::Area;
use crate::scene::{MOST_RECTANGLES, OutputId, Placed};
use crate::work::composition::Composition;
use crate::work::compositions::CompositionId;

/// What does not change while an output is there.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    /// Its name, for people.
    pub name: Name,
    /// What drives it.
    pub backend: Backend,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Frames in 1000 seconds.
    pub refresh: u32,
}

#[derive(Debug)]
struct Buffer {
    storage: Rc<Storage>,
    stale: Area,
}

/// One screen.
#[derive(Debug)]
pub struct Output {
    id: OutputId,
    screen: Screen,
    clock: FrameClock,
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
}

impl Output {
    /// An output of these buffers, whose first frame has yet to be composed.
    pub fn new(id: OutputId, screen: Screen, clock: FrameClock, buffers: [Rc<Storage>; 2], now: u64) -> Self {
        let buffer = |storage: Rc<Storage>| Buffer { stale: storage.bounds().into(), storage };
        let [first, second] = buffers.map(buffer);
        Self {
            id,
            screen,
            clock,
            on_glass: first,
            back: second,
            changed: Area::default(),
            shown_damage: Area::default(),
            composing: None,
            generation: 1,
            frame_generation: 0,
            shown_generation: 0,
            last_flip: Flip { sequence: 0, time: now },
            frames: 0,
            composed: 0,
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
        Rectangle::from_size(self.screen.width, self.screen.height)
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

    /// Whether a frame may begin and would show something new.
    pub fn wants_frame(&self) -> bool {
        self.clock.is_idle() && self.generation > self.frame_generation
    }

    /// What the next frame has to compose, on the buffer that is not on the glass.
    pub fn frame(&mut self, snapshot: Vec<Placed<Rc<Storage>>>, background: u32) -> Composition {
        let stale = std::mem::take(&mut self.back.stale);
        self.frame_generation = self.generation;
        self.shown_damage = std::mem::take(&mut self.changed);
        Composition::frame(snapshot, background, stale, Rc::clone(&self.back.storage))
    }

    /// The frame has begun, under this number.
    pub fn begin(&mut self, composition: CompositionId) {
        self.clock.begin();
        self.composing = Some(composition);
    }

    /// The frame that is being composed.
    pub const fn composing(&self) -> Option<CompositionId> {
        self.composing
    }

    /// The frame is composed, of so many bytes: its picture, and where it differs from the one before, are to go on the
    /// glass at the next vblank.
    pub fn commit(&mut self, now: u64, bytes: u64) -> (Rc<Storage>, Area) {
        self.composing = None;
        self.composed += bytes;
        self.clock.commit(now);
        (Rc::clone(&self.back.storage), std::mem::take(&mut self.shown_damage))
    }

    /// The display has refused the frame: what it shows is tried again with the next change.
    pub fn refused(&mut self) {
        self.clock.flipped();
        self.back.stale = self.bounds().into();
    }

    /// When the output has to be looked at again, if it has to be.
    pub fn wakes_at(&self) -> Option<u64> {
        self.clock.wakes_at()
    }

    /// Whether a frame has come on the glass by now.
    pub fn flip(&mut self, now: u64) -> bool {
        let flip = self.clock.flip(now);
        flip.inspect(|flip| self.flipped(*flip)).is_some()
    }

    /// A frame has come on the glass, as the display tells. Where none was on its way, that means nothing.
    pub fn flipped_by_display(&mut self, flip: Flip) {
        if self.clock.is_committed() {
            self.flipped(flip);
        }
    }

    fn flipped(&mut self, flip: Flip) {
        self.clock.flipped();
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
