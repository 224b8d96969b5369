//! KMS: outputs on a DRM card.
//!
//! - [`select`]: which connectors are driven by what, in which mode. Pure.
//! - [`device`]: finds the card by what it can do, becomes its master, reads what it has.
//! - [`buffers`]: dumb buffers, each a picture in the card's memory and a framebuffer.
//! - [`commit`]: the first picture and every next one: atomic, and legacy where that is all there is.
//!
//! Here: the heads, each an output with its route and its buffers, and the events that tell when pictures are on the glass.

pub mod buffers;
pub mod commit;
pub mod device;
pub mod select;

use std::rc::Rc;

use drm::control::{Device as _, Event};

use crate::frame_clock::Flip;
use crate::memory::storage::Storage;
use crate::memory::unmap::Unmapper;
use crate::scene::OutputId;
use crate::scene::area::Area;
use buffers::Buffer;
use commit::Pipe;
use device::{Device, KmsError};
use select::{ModeWish, Route, route};

/// A picture that is shown on a connector.
#[derive(Debug)]
struct Head {
    output: OutputId,
    pipe: Pipe,
    buffers: [Buffer; 2],
    /// Whether the mode is set, so that the next picture is only a flip.
    is_lit: bool,
}

/// A card that is driven.
#[derive(Debug)]
pub struct Kms {
    device: Rc<Device>,
    heads: Vec<Head>,
}

/// What of a head an output needs to know.
#[derive(Debug)]
pub struct HeadScreen {
    /// The output's number.
    pub output: OutputId,
    /// The connector's name, such as HDMI-A-1.
    pub name: String,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Frames in 1000 seconds.
    pub refresh: u32,
    /// Its buffers, of which it draws into one while the other is shown.
    pub buffers: [Rc<Storage>; 2],
}

impl Kms {
    /// Takes over a device: every connected screen becomes a head.
    ///
    /// # Errors
    /// There is nothing to drive, or the card refuses buffers.
    pub fn new(device: Device, wish: Option<ModeWish>, unmapper: &Unmapper) -> Result<Self, KmsError> {
        let device = Rc::new(device);
        let facts = device.facts()?;
        let routes = route(&facts.card, &[], wish);
        if routes.is_empty() {
            return Err(KmsError::NoMode { path: device.path().into() });
        }
        let head = |(output, route): (OutputId, Route)| {
            let pipe = Pipe::new(&device, &facts, route)?;
            let (width, height) = pipe.size();
            let buffer = || Buffer::dumb(&device, width, height, unmapper);
            Ok(Head { output, pipe, buffers: [buffer()?, buffer()?], is_lit: false })
        };
        let heads: Result<Vec<Head>, KmsError> = (1..).zip(routes).map(head).collect();
        Ok(Self { heads: heads?, device })
    }

    /// The heads, as outputs are made of them.
    pub fn screens(&self) -> impl Iterator<Item = HeadScreen> + '_ {
        self.heads.iter().map(|head| {
            let (width, height) = head.pipe.size();
            let [first, second] = &head.buffers;
            HeadScreen {
                output: head.output,
                name: head.pipe.name().into(),
                width,
                height,
                refresh: head.pipe.refresh(),
                buffers: [Rc::clone(first.storage()), Rc::clone(second.storage())],
            }
        })
    }

    /// Puts a composed buffer on the glass with the next vblank; [`flips`](Self::flips) tells when it is there.
    ///
    /// # Errors
    /// The card refuses.
    pub fn show(&mut self, output: OutputId, storage: &Rc<Storage>, damage: &Area) -> Result<(), KmsError> {
        let Some(head) = self.heads.iter_mut().find(|head| head.output == output) else { return Ok(()) };
        let Some(buffer) = head.buffers.iter().find(|buffer| Rc::ptr_eq(buffer.storage(), storage)) else {
            return Ok(());
        };
        if head.is_lit {
            head.pipe.flip(&self.device, buffer.framebuffer(), damage)
        } else {
            head.pipe.light(&self.device, buffer.framebuffer())?;
            head.is_lit = true;
            Ok(())
        }
    }

    /// The pictures that have come on the glass since the last call. Does not wait.
    pub fn flips(&mut self) -> Vec<(OutputId, Flip)> {
        let events = match self.device.receive_events() {
            Ok(events) => events,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Vec::new(),
            Err(error) => {
                tracing::warn!("events of {}: {error}", self.device.path().display());
                return Vec::new();
            }
        };
        let flipped = events.filter_map(|event| match event {
            Event::PageFlip(flip) => Some(flip),
            _ => None,
        });
        flipped
            .filter_map(|flip| {
                let head = self.heads.iter().find(|head| head.pipe.crtc() == flip.crtc)?;
                let time = u64::try_from(flip.duration.as_nanos()).unwrap_or(u64::MAX);
                Some((head.output, Flip { sequence: u64::from(flip.frame), time }))
            })
            .collect()
    }

    /// The card, whose descriptor is readable when there are events.
    pub fn device(&self) -> &Device {
        &self.device
    }
}
