//! Layers of one head that are shown on planes of their own, over the composed picture.
//!
//! Such a plane is a small screen: it has two buffers, which the layer is copied to as an output's picture is composed,
//! so that no frame shows half of a draw. Whoever moves the layer, or hides it, has nothing composed.
//!
//! The same picture comes out either way, pixel for pixel. So only layers that nothing shines through have planes, and
//! none is scaled there: how hardware blends, rounds and filters is not told, and not the same everywhere. What is
//! composed has the values of docs/protocol.md on every card.
//!
//! Which layers have planes is asked anew for each frame (see [`super::assignment`]), and whether the card takes it only
//! where that has changed, by a commit that is a test (`DRM_MODE_ATOMIC_TEST_ONLY`).

use std::rc::Rc;

use blitd_pixels::turn::{turned, turned_size};
use blitd_protocol::image::Rectangle;

use super::assignment::{self, Candidate, assign, is_worth};
use super::buffers::{Allocator, Buffer};
use super::commit::{Frame, Overlay, Pipe};
use super::device::{Device, KmsError};
use super::plane::Plane;
use crate::memory::storage::Storage;
use crate::scene::area::Area;
use crate::scene::crop::unscaled;
use crate::scene::{LayerKey, MOST_RECTANGLES, Placed};
use crate::work::composition::{Composition, Turn};

/// In so many frames, one after the other, a layer could have had a plane before it gets one: to bring it there takes a
/// copy of all of it, twice, and what comes and goes over it would have that done over and over again.
const STEADY: i32 = 4;

/// For so many frames a layer that the card has refused on a plane is not tried again.
const AFTER_REFUSAL: i32 = 600;

/// A layer that is on a plane from the next frame on.
#[derive(Debug)]
pub struct OnPlane {
    /// The layer.
    pub layer: LayerKey,
    /// Where it is on the output.
    pub place: Rectangle,
    /// What has to be copied to the plane's buffer for that frame, if anything has.
    pub composition: Option<Composition>,
}

/// What a head's overlays need of the card.
#[derive(Debug)]
pub struct Stage<'a> {
    /// The card.
    pub device: &'a Device,
    /// Where buffers come from.
    pub allocator: &'a mut Allocator,
    /// The head's way to the glass.
    pub pipe: &'a Pipe,
    /// A buffer with the composed picture.
    pub picture: &'a Buffer,
    /// How the picture is turned.
    pub turn: Turn,
    /// Planes that another head has.
    pub taken: &'a [drm::control::plane::Handle],
}

/// A layer on a plane.
#[derive(Debug)]
struct Surface {
    layer: LayerKey,
    /// An index of the planes.
    plane: usize,
    /// Where it is on the output.
    place: Rectangle,
    /// The first is on the glass, or was the last to be.
    buffers: [Buffer; 2],
    /// What of the layer each of them lacks.
    stale: [Area; 2],
    /// What of the layer has changed since the frame before began.
    changed: Area,
    /// The same, of the frame under way, in the buffer. Empty where it shows the buffer that it has shown.
    damage: Area,
    /// Whether the frame under way shows the second buffer.
    swaps: bool,
}

/// The planes of a head, and the layers on them.
#[derive(Debug, Default)]
pub struct Overlays {
    planes: Vec<Plane>,
    /// How the picture is turned.
    turn: Option<Turn>,
    surfaces: Vec<Surface>,
    /// Which planes were on with the last frame, as indices.
    on: Vec<usize>,
    /// Layers that could be on a plane, and for how many frames they could, or below 0 for how long they shall not.
    waiting: Vec<(LayerKey, i32)>,
    /// Those that are on the glass, and leave it with the next frame.
    leaving: Vec<Surface>,
    /// Those that leave the glass with the frame that waits for its vblank.
    gone: Vec<Surface>,
}

/// A layer, its plane and its place.
type Wanted<'a> = (&'a Placed<Rc<Storage>>, usize);

impl Overlays {
    /// With these planes, none of which shows anything.
    pub fn new(planes: Vec<Plane>) -> Self {
        Self { planes, ..Self::default() }
    }

    /// Takes note that pixels of a layer have changed.
    pub fn drawn(&mut self, layer: LayerKey, pixels: Rectangle) {
        for surface in self.surfaces.iter_mut().filter(|surface| surface.layer == layer) {
            for area in surface.stale.iter_mut().chain([&mut surface.changed]) {
                area.add(pixels);
                area.limit(MOST_RECTANGLES);
            }
        }
    }

    /// Says which of these layers (bottom to top) are on planes with the frame that begins, and what has to be copied
    /// for it.
    pub fn begin(&mut self, stage: &mut Stage<'_>, snapshot: &[Placed<Rc<Storage>>]) -> Vec<OnPlane> {
        if self.planes.is_empty() {
            return Vec::new();
        }
        let turn = stage.turn;
        self.turn = Some(turn);
        let free: Vec<usize> =
            (0..self.planes.len()).filter(|index| !self.is_taken(*index, stage.taken)).collect();
        self.wait(snapshot, &free);
        loop {
            let wanted = self.choose(snapshot, &free, |overlays, layer| overlays.may_have(layer));
            let is_known = wanted.len() == self.surfaces.len()
                && wanted.iter().all(|(placed, plane)| {
                    self.surface(placed.layer)
                        .is_some_and(|surface| (surface.plane, surface.place) == (*plane, placed.place))
                });
            if is_known {
                break;
            }
            match self.arrange(stage, &wanted) {
                Ok(()) => break,
                Err((layer, error)) => {
                    tracing::debug!("a layer stays off its plane: {error}");
                    self.refuse(layer);
                }
            }
        }
        let surfaces = self.surfaces.iter_mut();
        surfaces.filter_map(|surface| surface.begin(turn, snapshot)).collect()
    }

    /// What the frame under way shows, besides the composed picture. `with` gets the frame's overlays, and the planes
    /// that are off with it.
    pub fn frame<T>(&self, with: impl FnOnce(&[Overlay<'_>], &[&Plane]) -> T) -> T {
        let overlays: Vec<Overlay<'_>> =
            self.surfaces.iter().filter_map(|surface| self.overlay(surface)).collect();
        let is_off = |index: &&usize| !self.surfaces.iter().any(|surface| surface.plane == **index);
        let off: Vec<&Plane> =
            self.on.iter().filter(is_off).filter_map(|index| self.planes.get(*index)).collect();
        with(&overlays, &off)
    }

    /// Whether no layer is on a plane.
    pub const fn is_empty(&self) -> bool {
        self.surfaces.is_empty()
    }

    /// What has been drawn into buffers reaches the card.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn flush(&self) -> std::io::Result<()> {
        let mut drawn = self.surfaces.iter().filter(|surface| surface.swaps);
        drawn.try_for_each(|surface| surface.next().storage().flush())
    }

    /// The card has taken the frame.
    pub fn committed(&mut self) {
        self.on = self.surfaces.iter().map(|surface| surface.plane).collect();
        self.gone.append(&mut self.leaving);
        for surface in &mut self.surfaces {
            if std::mem::take(&mut surface.swaps) {
                surface.buffers.swap(0, 1);
                surface.stale.swap(0, 1);
            }
        }
    }

    /// A frame is on the glass: what it shows no more can be forgotten.
    pub fn flipped(&mut self) {
        self.gone.clear();
    }

    /// All planes of the CRTC have been turned off.
    pub fn turned_off(&mut self) {
        self.give_up();
        self.on.clear();
        self.gone.append(&mut self.leaving);
    }

    /// With the next frame no layer is on a plane: another master takes the card.
    pub fn give_up(&mut self) {
        self.waiting.retain(|(_, frames)| *frames < 0);
        self.leaving.append(&mut self.surfaces);
    }

    /// The same: the card has refused the frame with these layers on planes, which are not tried again for a while.
    pub fn refused(&mut self) {
        let layers: Vec<LayerKey> = self.surfaces.iter().map(|surface| surface.layer).collect();
        layers.into_iter().for_each(|layer| self.refuse(layer));
        self.give_up();
    }

    /// The planes that show something of this head, or have until just now.
    pub fn held(&self) -> impl Iterator<Item = drm::control::plane::Handle> + '_ {
        let surfaces = self.surfaces.iter().chain(&self.leaving).chain(&self.gone);
        let indices = surfaces.map(|surface| surface.plane).chain(self.on.iter().copied());
        indices.filter_map(|index| self.planes.get(index)).map(Plane::handle)
    }

    fn is_taken(&self, index: usize, taken: &[drm::control::plane::Handle]) -> bool {
        self.planes.get(index).is_none_or(|plane| taken.contains(&plane.handle()))
    }

    fn surface(&self, layer: LayerKey) -> Option<&Surface> {
        self.surfaces.iter().find(|surface| surface.layer == layer)
    }

    /// Whether a layer may be on a plane in this frame already.
    fn may_have(&self, layer: LayerKey) -> bool {
        let waited =
            self.waiting.iter().find(|(waiting, _)| *waiting == layer).map_or(0, |(_, frames)| *frames);
        waited >= STEADY || self.surface(layer).is_some()
    }

    /// A layer is not tried again for a while.
    fn refuse(&mut self, layer: LayerKey) {
        self.waiting.retain(|(waiting, _)| *waiting != layer);
        self.waiting.push((layer, -AFTER_REFUSAL));
        self.leaving.extend(self.surfaces.extract_if(.., |surface| surface.layer == layer));
    }

    /// Counts the frames in which layers could have been on planes.
    fn wait(&mut self, snapshot: &[Placed<Rc<Storage>>], free: &[usize]) {
        let could = self.choose(snapshot, free, |_, _| true);
        let before = |layer| self.waiting.iter().find(|(waiting, _)| *waiting == layer);
        let now = |(placed, _): &Wanted<'_>| {
            let frames = before(placed.layer).map_or(0, |(_, frames)| *frames);
            (placed.layer, frames.saturating_add(1))
        };
        let mut waiting: Vec<(LayerKey, i32)> = could.iter().map(now).collect();
        // Those that were refused wait on, whether they could have a plane in this frame or not.
        let is_new = |layer| !could.iter().any(|(placed, _)| placed.layer == layer);
        let refused = self.waiting.iter().filter(|(layer, frames)| *frames < 0 && is_new(*layer));
        waiting.extend(refused.map(|(layer, frames)| (*layer, frames + 1)));
        self.waiting = waiting;
    }

    /// Which layers are to be on planes, the topmost first: of those that may.
    fn choose<'s>(
        &self,
        snapshot: &'s [Placed<Rc<Storage>>],
        free: &[usize],
        may: impl Fn(&Self, LayerKey) -> bool,
    ) -> Vec<Wanted<'s>> {
        let Some(turn) = self.turn else { return Vec::new() };
        let bounds = Rectangle::from_size(turn.size.0, turn.size.1);
        let candidate = |placed: &Placed<Rc<Storage>>| {
            let size = |rectangle: Rectangle| (rectangle.width(), rectangle.height());
            let is_whole = size(placed.storage.bounds()) == size(placed.place)
                && unscaled(placed.crop, placed.place) == Some((0, 0));
            let is_suitable = placed.is_opaque && is_whole && is_worth(placed.place, bounds);
            Candidate { place: placed.place, is_suitable: is_suitable && may(self, placed.layer) }
        };
        let layers: Vec<Candidate> = snapshot.iter().map(candidate).collect();
        let planes = free.iter().filter_map(|index| self.planes.get(*index));
        let planes: Vec<assignment::Plane> =
            planes.map(|plane| assignment::Plane { id: plane.handle().into(), zpos: plane.zpos() }).collect();
        let assigned = assign(&layers, bounds, &planes);
        let wanted = snapshot.iter().zip(assigned).rev();
        wanted.filter_map(|(placed, plane)| Some((placed, *free.get(plane?)?))).collect()
    }

    /// Has these layers on their planes, where the card takes that; else says which one it does not.
    fn arrange(&mut self, stage: &mut Stage<'_>, wanted: &[Wanted<'_>]) -> Result<(), (LayerKey, KmsError)> {
        let is_wanted = |surface: &Surface| {
            wanted.iter().any(|(placed, _)| {
                placed.layer == surface.layer
                    && (placed.place.width(), placed.place.height())
                        == (surface.place.width(), surface.place.height())
            })
        };
        self.leaving.extend(self.surfaces.extract_if(.., |surface| !is_wanted(surface)));
        for (placed, plane) in wanted {
            match self.surfaces.iter_mut().find(|surface| surface.layer == placed.layer) {
                Some(surface) => (surface.plane, surface.place) = (*plane, placed.place),
                None => {
                    let made = Surface::new(stage, placed, *plane);
                    self.surfaces.push(made.map_err(|error| (placed.layer, error))?);
                }
            }
        }
        if self.test(stage, wanted).is_ok() {
            return Ok(());
        }
        // The first, from the top, that is too much.
        for (count, (placed, _)) in (1..).zip(wanted) {
            if let Err(error) = self.test(stage, wanted.get(..count).unwrap_or(wanted)) {
                return Err((placed.layer, error));
            }
        }
        Ok(())
    }

    /// Asks the card whether it can show these.
    fn test(&self, stage: &Stage<'_>, wanted: &[Wanted<'_>]) -> Result<(), KmsError> {
        let surfaces = wanted.iter().filter_map(|(placed, _)| self.surface(placed.layer));
        let overlays: Vec<Overlay<'_>> = surfaces.filter_map(|surface| self.overlay(surface)).collect();
        let is_off =
            |plane: &&Plane| !overlays.iter().any(|overlay| overlay.plane.handle() == plane.handle());
        let on = self.on.iter().filter_map(|index| self.planes.get(*index));
        let off: Vec<&Plane> = on.filter(is_off).collect();
        let framebuffer = stage.picture.framebuffer();
        let frame =
            Frame { framebuffer, damage: &Area::default(), is_kept: false, overlays: &overlays, off: &off };
        stage.pipe.test(stage.device, frame)
    }

    fn overlay<'a>(&'a self, surface: &'a Surface) -> Option<Overlay<'a>> {
        let Turn { transform, size } = self.turn?;
        let bounds = Rectangle::from_size(size.0, size.1);
        let place = surface.place;
        let visible = place.intersection(bounds)?;
        let of_layer = visible.translated(-place.left(), -place.top())?;
        Some(Overlay {
            plane: self.planes.get(surface.plane)?,
            framebuffer: surface.next().framebuffer(),
            source: turned(of_layer, (place.width(), place.height()), transform),
            destination: turned(visible, size, transform),
            damage: &surface.damage,
        })
    }
}

impl Surface {
    fn new(stage: &mut Stage<'_>, placed: &Placed<Rc<Storage>>, plane: usize) -> Result<Self, KmsError> {
        let place = placed.place;
        let size = turned_size((place.width(), place.height()), stage.turn.transform);
        let whole = || Area::from(Rectangle::from_size(place.width(), place.height()));
        Ok(Self {
            layer: placed.layer,
            plane,
            place,
            buffers: [stage.allocator.allocate(size)?, stage.allocator.allocate(size)?],
            stale: [whole(), whole()],
            changed: Area::default(),
            damage: Area::default(),
            swaps: false,
        })
    }

    /// The buffer that the frame under way shows.
    const fn next(&self) -> &Buffer {
        let [first, second] = &self.buffers;
        if self.swaps { second } else { first }
    }

    /// A frame begins, with the layer as it is in this snapshot.
    fn begin(&mut self, turn: Turn, snapshot: &[Placed<Rc<Storage>>]) -> Option<OnPlane> {
        let placed = snapshot.iter().find(|placed| placed.layer == self.layer)?;
        let size = (self.place.width(), self.place.height());
        let changed = std::mem::take(&mut self.changed);
        self.damage = changed.rectangles().iter().map(|part| turned(*part, size, turn.transform)).collect();
        self.swaps = self.stale.first().is_some_and(|stale| !stale.is_empty());
        let composition = self.swaps.then(|| {
            let stale = self.stale.last_mut().map(std::mem::take).unwrap_or_default();
            let place = Rectangle::from_size(size.0, size.1);
            let layer = Placed { place, ..placed.clone() };
            let turn = Turn { transform: turn.transform, size };
            Composition::frame(vec![layer], 0, stale, Rc::clone(self.next().storage()), turn)
        });
        Some(OnPlane { layer: self.layer, place: self.place, composition })
    }
}
