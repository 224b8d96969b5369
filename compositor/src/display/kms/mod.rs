//! Screens of a DRM card, as linux/Documentation/gpu/drm-kms.rst describes them.
//!
//! - [`device`]: the card: found by what it can do, and what it has.
//! - [`select`]: which connector gets which CRTC, plane and mode. Pure.
//! - [`buffers`]: pictures in memory that the card can scan out, from the kernel or from [`gbm`].
//! - [`commit`]: the first picture of a screen, every next one, and the last.
//! - [`plane`]: a plane's properties.
//! - [`overlays`]: layers that are shown on planes of their own.
//! - [`assignment`]: which layers these are, and on which planes. Pure.
//! - [`leftovers`]: turns off what another program has left.
//! - [`monitor`]: hears of screens that come and go.
//!
//! Here: the heads, one for each screen; which of them come and go; and the events that tell when pictures are on the
//! glass.

pub mod assignment;
pub mod buffers;
pub mod commit;
pub mod device;
pub mod gbm;
pub mod leftovers;
pub mod monitor;
pub mod overlays;
pub mod plane;
pub mod select;

use std::io::ErrorKind;
use std::rc::Rc;

use blitd_protocol::image::Rectangle;
use drm::control::{Device as _, Event, crtc, framebuffer, plane as drm_plane};

use super::Wish;
use crate::memory::storage::Storage;
use crate::memory::unmap::Unmapper;
use crate::policy::outputs::OutputConfigs;
use crate::scene::area::Area;
use crate::scene::{LayerKey, OutputId, Placed};
use crate::work::composition::Turn;
use buffers::{Allocator, Buffer};
use commit::{Frame, Pipe};
use device::{Device, Facts, KmsError};
use leftovers::clear;
use monitor::Monitor;
use overlays::{OnPlane, Overlays, Stage};
use select::{Connector, Route, route};

/// The card's part of an output.
#[derive(Debug)]
struct Head {
    output: OutputId,
    pipe: Pipe,
    buffers: [Buffer; 2],
    overlays: Overlays,
    /// What the last frame has shown.
    shown: Option<framebuffer::Handle>,
    /// Whether the mode is set, so that the next picture is only a flip.
    is_lit: bool,
    /// Flip events that have yet to come.
    awaited: u32,
    /// How many of these are of pictures from before another master had the card.
    forgotten: u32,
}

/// A card that is driven.
#[derive(Debug)]
pub struct Kms {
    device: Rc<Device>,
    allocator: Allocator,
    configs: OutputConfigs,
    /// Whether layers may be shown on planes of their own.
    uses_planes: bool,
    has_vblanks: bool,
    heads: Vec<Head>,
    /// The connectors that have had a screen, by name: the first is output 1. Who comes back gets the number it had.
    names: Vec<String>,
    /// Flips that were read before somebody asked for them.
    flips: Vec<HeadFlip>,
    monitor: Option<Monitor>,
}

/// What of a head an output needs to know.
#[derive(Debug)]
pub struct HeadScreen {
    /// The output's number.
    pub output: OutputId,
    /// The connector's name, such as HDMI-A-1.
    pub name: String,
    /// Width and height of the mode in pixels.
    pub mode: (u32, u32),
    /// Frames in 1000 seconds.
    pub refresh: u32,
    /// Its buffers, of which it draws into one while the other is shown.
    pub buffers: [Rc<Storage>; 2],
}

/// What has become of a card's screens.
#[derive(Debug)]
pub enum HeadChange {
    /// One has come, or has another mode.
    Came(HeadScreen),
    /// One has gone.
    Went(OutputId),
}

/// A picture has come on the glass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadFlip {
    /// The output's number.
    pub output: OutputId,
    /// The vblank's number; `None` where the driver counts none.
    pub sequence: Option<u64>,
    /// When it was, in nanoseconds of CLOCK_MONOTONIC.
    pub time: u64,
}

impl Kms {
    /// Takes over a device. Its screens come with the first [`rescan`](Self::rescan).
    pub fn new(device: Device, wish: &Wish, unmapper: &Unmapper) -> Self {
        let device = Rc::new(device);
        let allocator = Allocator::new(&device, wish.buffers, unmapper);
        let monitor = Monitor::open()
            .inspect_err(|error| tracing::warn!("screens that come and go are not seen: {error}"));
        Self {
            has_vblanks: device.has_vblanks(),
            device,
            allocator,
            configs: wish.outputs.clone(),
            uses_planes: wish.planes,
            heads: Vec::new(),
            names: Vec::new(),
            flips: Vec::new(),
            monitor: monitor.ok(),
        }
    }

    /// What outputs are to be like.
    pub const fn configs(&self) -> &OutputConfigs {
        &self.configs
    }

    /// Hears of screens that come and go, where that can be had.
    pub const fn monitor(&self) -> Option<&Monitor> {
        self.monitor.as_ref()
    }

    /// Looks which screens are plugged in: each that can be driven becomes a head, and heads without a screen go. One
    /// that cannot be had for want of something is left out, and the log says why.
    ///
    /// # Errors
    /// The card does not tell what it has.
    pub fn rescan(&mut self) -> Result<Vec<HeadChange>, KmsError> {
        let facts = self.device.facts()?;
        let kept: Vec<Route> = self.heads.iter().map(|head| head.pipe.route()).collect();
        let routes = route(&facts.card, &kept, |name| self.configs.of(name).mode);
        let mut changes = Vec::new();
        let heads = std::mem::take(&mut self.heads);
        let (kept, gone): (Vec<Head>, Vec<Head>) = heads
            .into_iter()
            .partition(|head| routes.iter().any(|route| goes_on(&head.pipe, *route, &facts)));
        for head in gone {
            if let Err(error) = head.pipe.darken(&self.device) {
                tracing::debug!("{error}");
            }
            changes.push(HeadChange::Went(head.output));
        }
        self.heads = kept;
        // Those of heads that have gone must not be taken for flips of heads that come.
        while self.read_flips() {}
        for route in routes {
            if self.heads.iter().any(|head| head.pipe.route().connector == route.connector) {
                continue;
            }
            match self.head(&facts, route) {
                Ok(head) => {
                    changes.retain(
                        |change| !matches!(change, HeadChange::Went(output) if *output == head.output),
                    );
                    changes.push(HeadChange::Came(screen(&head)));
                    self.heads.push(head);
                }
                Err(error) => tracing::warn!("{error}"),
            }
        }
        Ok(changes)
    }

    fn head(&mut self, facts: &Facts, route: Route) -> Result<Head, KmsError> {
        let pipe = Pipe::new(&self.device, facts, route)?;
        if let Some(connector) = facts.card.connectors.iter().find(|other| other.id == route.connector) {
            self.tell_mode(connector, route.mode);
        }
        let buffers = [self.allocator.allocate(pipe.size())?, self.allocator.allocate(pipe.size())?];
        let known = self.names.iter().position(|name| name == pipe.name());
        let index = known.unwrap_or_else(|| {
            self.names.push(pipe.name().into());
            self.names.len() - 1
        });
        let output = OutputId::try_from(index).unwrap_or(OutputId::MAX - 1) + 1;
        let planes = if self.uses_planes { pipe.overlays(&self.device) } else { Vec::new() };
        tracing::debug!("{}: {} planes for layers", pipe.name(), planes.len());
        let overlays = Overlays::new(planes);
        Ok(Head { output, pipe, buffers, overlays, shown: None, is_lit: false, awaited: 0, forgotten: 0 })
    }

    /// Says so where a screen has not the mode that is asked of it.
    fn tell_mode(&self, connector: &Connector, chosen: usize) {
        let Some(wish) = self.configs.of(&connector.name).mode else { return };
        let (None, Some(mode)) = (connector.find(wish), connector.modes.get(chosen)) else { return };
        let mut all: Vec<String> = connector.modes.iter().map(ToString::to_string).collect();
        all.dedup();
        tracing::warn!(
            "{}: {} has no mode {wish} and shows {mode}: ask for one of {}",
            self.device.path().display(),
            connector.name,
            all.join(", ")
        );
    }

    /// Takes note that pixels of a layer have changed.
    pub fn drawn(&mut self, layer: LayerKey, pixels: Rectangle) {
        self.heads.iter_mut().for_each(|head| head.overlays.drawn(layer, pixels));
    }

    /// A frame of these layers (bottom to top) begins, on a picture that is turned so: says which of them are shown on
    /// planes, and are not to be composed.
    pub fn begin(&mut self, output: OutputId, turn: Turn, snapshot: &[Placed<Rc<Storage>>]) -> Vec<OnPlane> {
        let others = self.heads.iter().filter(|head| head.output != output);
        let taken: Vec<drm_plane::Handle> = others.flat_map(|head| head.overlays.held()).collect();
        let Some(head) = self.heads.iter_mut().find(|head| head.output == output) else { return Vec::new() };
        let [picture, _] = &head.buffers;
        if !head.is_lit {
            // The first frame is the composed picture alone: it makes a screen that is dark show something.
            head.overlays.give_up();
            return Vec::new();
        }
        let (device, allocator) = (&*self.device, &mut self.allocator);
        let mut stage = Stage { device, allocator, pipe: &head.pipe, picture, turn, taken: &taken };
        head.overlays.begin(&mut stage, snapshot)
    }

    /// Puts a composed buffer on the glass with the next vblank; [`flips`](Self::flips) tells when it is there.
    ///
    /// # Errors
    /// The card refuses.
    pub fn show(&mut self, output: OutputId, storage: &Rc<Storage>, damage: &Area) -> Result<(), KmsError> {
        let others = self.heads.iter().filter(|head| head.is_lit && head.output != output);
        let lit: Vec<crtc::Handle> = others.map(|head| head.pipe.crtc()).collect();
        let Some(head) = self.heads.iter_mut().find(|head| head.output == output) else { return Ok(()) };
        let Some(buffer) = head.buffers.iter().find(|buffer| Rc::ptr_eq(buffer.storage(), storage)) else {
            return Ok(());
        };
        let flushed = storage.flush().and_then(|()| head.overlays.flush());
        flushed.map_err(|source| self.device.refused("flushing a buffer", source))?;
        let framebuffer = buffer.framebuffer();
        if head.is_lit {
            let is_kept = head.shown == Some(framebuffer);
            let result = head.overlays.frame(|overlays, off| {
                head.pipe.flip(&self.device, Frame { framebuffer, damage, is_kept, overlays, off })
            });
            let error = match result {
                Ok(()) => {
                    head.overlays.committed();
                    head.shown = Some(framebuffer);
                    head.awaited += 1;
                    return Ok(());
                }
                Err(error) => error,
            };
            // What was to be on planes is missing in the picture: the next frame has it.
            let is_whole = head.overlays.is_empty();
            head.overlays.refused();
            if !is_whole || !error.is_lack_of_memory() {
                return Err(error);
            }
            // The picture on the glass, and what others have left, can lie in the card's memory in such a way that
            // no gap is large enough for the next picture. Nothing has to stay while the CRTC is off.
            tracing::info!("{error}: turning it off and on again makes room");
            head.pipe.darken(&self.device)?;
            head.is_lit = false;
        }
        match head.pipe.light(&self.device, framebuffer) {
            Err(error) if error.is_contradiction() => {
                tracing::info!("{error}: turning off what another program may have left");
                clear(&self.device, &lit)?;
                head.pipe.light(&self.device, framebuffer)?;
            }
            result => result?,
        }
        head.overlays.turned_off();
        head.shown = Some(framebuffer);
        head.is_lit = true;
        head.awaited += 1;
        Ok(())
    }

    /// Lets another program be the card's master, and forgets what is on the glass. Nothing is shown until
    /// [`acquire`](Self::acquire).
    pub fn release(&mut self) {
        self.device.release();
        for head in &mut self.heads {
            head.overlays.give_up();
            head.is_lit = false;
            head.forgotten = head.awaited;
        }
    }

    /// Becomes master of the card again. All modes are set anew with the next pictures.
    ///
    /// # Errors
    /// Another program is.
    pub fn acquire(&mut self) -> Result<(), KmsError> {
        self.device.acquire()
    }

    /// When the last vblank of an output was, in nanoseconds of CLOCK_MONOTONIC, where its driver tells.
    pub fn last_vblank(&self, output: OutputId) -> Option<u64> {
        let lit = |head: &&Head| head.is_lit && head.output == output;
        let head = self.heads.iter().find(lit).filter(|_| self.has_vblanks)?;
        self.device.last_vblank(head.pipe.crtc())
    }

    /// The pictures that have come on the glass since the last call. Does not wait. Where there are very many, the
    /// card stays readable.
    pub fn flips(&mut self) -> Vec<HeadFlip> {
        self.read_flips();
        std::mem::take(&mut self.flips)
    }

    /// Reads once from the card, and says whether there was anything.
    fn read_flips(&mut self) -> bool {
        let events = match self.device.receive_events() {
            Ok(events) => events,
            Err(error) if error.kind() == ErrorKind::Interrupted => return true,
            Err(error) => {
                if error.kind() != ErrorKind::WouldBlock {
                    tracing::warn!("events of {}: {error}", self.device.path().display());
                }
                return false;
            }
        };
        self.flips.extend(events.filter_map(|event| {
            let Event::PageFlip(flip) = event else { return None };
            let head = self.heads.iter_mut().find(|head| head.pipe.crtc() == flip.crtc)?;
            head.awaited = head.awaited.saturating_sub(1);
            head.overlays.flipped();
            if head.forgotten > 0 {
                head.forgotten -= 1;
                return None;
            }
            let time = u64::try_from(flip.duration.as_nanos()).unwrap_or(u64::MAX);
            let sequence = self.has_vblanks.then_some(u64::from(flip.frame));
            Some(HeadFlip { output: head.output, sequence, time })
        }));
        true
    }

    /// The card, whose descriptor is readable when there are events.
    pub fn device(&self) -> &Device {
        &self.device
    }
}

/// Whether a head stays as it is where this route is wanted.
fn goes_on(pipe: &Pipe, route: Route, facts: &Facts) -> bool {
    let mine = pipe.route();
    let connector = facts.connectors.iter().find(|info| u32::from(info.handle()) == route.connector);
    let mode = connector.and_then(|info| info.modes().get(route.mode));
    (mine.connector, mine.crtc, mine.plane) == (route.connector, route.crtc, route.plane)
        && mode == Some(pipe.mode())
}

fn screen(head: &Head) -> HeadScreen {
    let [first, second] = &head.buffers;
    HeadScreen {
        output: head.output,
        name: head.pipe.name().into(),
        mode: head.pipe.size(),
        refresh: head.pipe.refresh(),
        buffers: [Rc::clone(first.storage()), Rc::clone(second.storage())],
    }
}
