//! One screen: its buffers, what is stale in each, its frame clock.
//!
//! Every change of the picture has a number, its *generation*. A frame shows all of them up to that which it began
//! with; whoever waits for something to be on the glass waits for its generation.

use std::rc::Rc;

use blitd_protocol::image::{Format, Rectangle};
use blitd_protocol::value::{Backend, Name};

use crate::frame_clock::{Flip, FrameClock};
use crate::memory::storage::{Storage, StorageError};
use crate::memory::unmap::Unmapper;
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
    /// Frames a second.
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
    /// An output whose first frame has yet to be composed.
    ///
    /// # Errors
    /// There is no memory for its buffers.
    pub fn new(id: OutputId, screen: Screen, now: u64, unmapper: &Unmapper) -> Result<Self, StorageError> {
        let buffer = || -> Result<Buffer, StorageError> {
            let storage = Storage::new(screen.width, screen.height, Format::Xrgb8888, unmapper)?;
            Ok(Buffer { stale: storage.bounds().into(), storage: Rc::new(storage) })
        };
        Ok(Self {
            id,
            screen,
            clock: FrameClock::paced(now, screen.refresh),
            on_glass: buffer()?,
            back: buffer()?,
            composing: None,
            generation: 1,
            frame_generation: 0,
            shown_generation: 0,
            last_flip: Flip { sequence: 0, time: now },
            frames: 0,
            composed: 0,
        })
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
        for buffer in [&mut self.on_glass, &mut self.back] {
            buffer.stale.add(pixels);
            buffer.stale.limit(MOST_RECTANGLES);
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

    /// The frame is composed, of so many bytes: it goes on the glass at the next vblank.
    pub fn commit(&mut self, now: u64, bytes: u64) {
        self.composing = None;
        self.composed += bytes;
        self.clock.commit(now);
    }

    /// When the output has to be looked at again, if it has to be.
    pub fn wakes_at(&self) -> Option<u64> {
        self.clock.wakes_at()
    }

    /// Whether a frame has come on the glass by now.
    pub fn flip(&mut self, now: u64) -> bool {
        let Some(flip) = self.clock.flip(now) else { return false };
        std::mem::swap(&mut self.on_glass, &mut self.back);
        self.shown_generation = self.frame_generation;
        self.last_flip = flip;
        self.frames += 1;
        true
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
