//! The first picture of a head, every next one, and turning it off.
//!
//! Atomic where the card has it: the first commit sets the mode, turns off every other plane that is on the CRTC, among them
//! the cursor that a console or another program has left, and undoes what such a program has set to show pictures otherwise
//! than they are, such as a table of colours. The next ones change framebuffers, and what lies on planes over the picture, do
//! not block, and say what has changed (`FB_DAMAGE_CLIPS`). Legacy where that is all there is: no planes then.

use blitd_protocol::image::Rectangle;
use drm::control::atomic::AtomicModeReq;
use drm::control::{
    AtomicCommitFlags, Device as _, Mode, PageFlipFlags, RawResourceHandle, ResourceHandle, connector, crtc,
    framebuffer, plane, property,
};

use super::device::{Device, Facts, KmsError};
use super::plane::{Blobs, Plane};
use super::select::Route;
use crate::scene::area::Area;

/// What a CRTC and a connector may have that changes a picture on its way to the glass, and the value that leaves it as
/// it is (linux/Documentation/gpu/drm-kms.rst; drm_mode.h). A link that has gone bad is trained anew by that.
const NEUTRAL_CRTC: [(&str, u64); 4] = [("DEGAMMA_LUT", 0), ("CTM", 0), ("GAMMA_LUT", 0), ("VRR_ENABLED", 0)];
const NEUTRAL_CONNECTOR: [(&str, u64); 3] =
    [("HDR_OUTPUT_METADATA", 0), ("Colorspace", 0), ("link-status", 0)];

/// The properties that an atomic commit names.
#[derive(Clone, Debug)]
struct Properties {
    connector_crtc: property::Handle,
    mode: property::Handle,
    active: property::Handle,
    /// Those of [`NEUTRAL_CRTC`] and the like that are there.
    neutral: Vec<(RawResourceHandle, property::Handle, u64)>,
}

/// The way from a framebuffer to a connector.
#[derive(Debug)]
pub struct Pipe {
    route: Route,
    name: String,
    connector: connector::Handle,
    crtc: crtc::Handle,
    mode: Mode,
    refresh: u32,
    atomic: Option<(Plane, Properties)>,
    /// Other planes that can be on the CRTC.
    others: Vec<plane::Handle>,
}

/// What a frame changes on a CRTC that is lit.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// The composed picture.
    pub framebuffer: framebuffer::Handle,
    /// What of it differs from the one before.
    pub damage: &'a Area,
    /// Whether it is the one that is shown already, as far as it is seen.
    pub is_kept: bool,
    /// What other planes show.
    pub overlays: &'a [Overlay<'a>],
    /// Planes that show nothing any more.
    pub off: &'a [&'a Plane],
}

/// What a plane over the composed picture shows.
#[derive(Clone, Copy, Debug)]
pub struct Overlay<'a> {
    /// The plane.
    pub plane: &'a Plane,
    /// The framebuffer that it shows.
    pub framebuffer: framebuffer::Handle,
    /// Which of its pixels.
    pub source: Rectangle,
    /// Where on the CRTC. Of the same size.
    pub destination: Rectangle,
    /// What of it differs from what the plane has shown before; all of it where this is empty.
    pub damage: &'a Area,
}

impl Pipe {
    /// The way that a route describes.
    ///
    /// # Errors
    /// The card lacks a property that every atomic driver has.
    pub fn new(device: &Device, facts: &Facts, route: Route) -> Result<Self, KmsError> {
        let position = facts.card.connectors.iter().position(|connector| connector.id == route.connector);
        let info = position.and_then(|index| facts.connectors.get(index));
        let chosen = info.and_then(|info| info.modes().get(route.mode));
        let rate = position.and_then(|index| facts.card.connectors.get(index)?.modes.get(route.mode));
        let crtc = facts.resources.crtcs().iter().find(|handle| u32::from(**handle) == route.crtc);
        let (Some(info), Some(mode), Some(rate), Some(crtc)) = (info, chosen, rate, crtc) else {
            let source = std::io::Error::from(std::io::ErrorKind::NotFound);
            return Err(device.refused(format!("a route to connector {}", route.connector), source));
        };
        let plane = facts.planes.iter().find(|handle| Some(u32::from(**handle)) == route.plane).copied();
        let atomic = match plane {
            Some(plane) => {
                let plane = Plane::read(device, plane)?;
                let properties = Properties::read(device, info.handle(), *crtc)?;
                Some((plane, properties))
            }
            None => None,
        };
        let on_crtc = |handle: &&plane::Handle| {
            let possible = device.get_plane(**handle).map(|info| info.possible_crtcs());
            possible.is_ok_and(|filter| facts.resources.filter_crtcs(filter).contains(crtc))
        };
        let plane = atomic.as_ref().map(|(plane, _)| plane.handle());
        let others =
            facts.planes.iter().filter(on_crtc).filter(|handle| Some(**handle) != plane).copied().collect();
        let name = format!("{}-{}", info.interface().as_str(), info.interface_id());
        Ok(Self {
            route,
            name,
            connector: info.handle(),
            crtc: *crtc,
            mode: *mode,
            refresh: rate.refresh,
            atomic,
            others,
        })
    }

    /// The route that it follows.
    pub const fn route(&self) -> Route {
        self.route
    }

    /// The mode.
    pub const fn mode(&self) -> &Mode {
        &self.mode
    }

    /// The connector's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The CRTC.
    pub const fn crtc(&self) -> crtc::Handle {
        self.crtc
    }

    /// The mode's size in pixels.
    pub fn size(&self) -> (u32, u32) {
        let (width, height) = self.mode.size();
        (width.into(), height.into())
    }

    /// The planes that can lie over the picture.
    pub fn overlays(&self, device: &Device) -> Vec<Plane> {
        let Some((primary, _)) = &self.atomic else { return Vec::new() };
        let is_under = |plane: &Plane| {
            let both = (plane.zpos(), primary.zpos());
            matches!(both, (Some(mine), Some(primarys)) if mine <= primarys)
        };
        let planes = self.others.iter().filter_map(|handle| Plane::read(device, *handle).ok());
        planes.filter(|plane| plane.is_overlay(device) && !is_under(plane)).collect()
    }

    /// Frames in 1000 seconds.
    pub const fn refresh(&self) -> u32 {
        self.refresh
    }

    /// Sets the mode with a first picture. A flip event tells when it is on the glass.
    ///
    /// # Errors
    /// The card refuses.
    pub fn light(&self, device: &Device, framebuffer: framebuffer::Handle) -> Result<(), KmsError> {
        let refused = |source| {
            let (width, height) = self.size();
            device.refused(format!("setting {width}x{height} on {}", self.name), source)
        };
        let Some((plane, properties)) = &self.atomic else {
            // What a console has left.
            #[allow(
                deprecated,
                reason = "a card without atomic commits has its cursor behind this call only"
            )]
            let _ = device.set_cursor(self.crtc, Option::<&drm::control::dumbbuffer::DumbBuffer>::None);
            for other in &self.others {
                // One that is off already, or on another CRTC, need not be refused.
                let _ = device.set_plane(*other, self.crtc, None, 0, (0, 0, 0, 0), (0, 0, 0, 0));
            }
            let connectors = [self.connector];
            device
                .set_crtc(self.crtc, Some(framebuffer), (0, 0), &connectors, Some(self.mode))
                .map_err(refused)?;
            return device.page_flip(self.crtc, framebuffer, PageFlipFlags::EVENT, None).map_err(refused);
        };
        let mode = device.create_property_blob(&self.mode).map_err(refused)?;
        let (width, height) = self.size();
        let mut request = AtomicModeReq::new();
        request.add_property(
            self.connector,
            properties.connector_crtc,
            property::Value::CRTC(Some(self.crtc)),
        );
        request.add_property(self.crtc, properties.mode, mode);
        request.add_property(self.crtc, properties.active, property::Value::Boolean(true));
        self.turn_others_off(device, &mut request);
        for (object, property, value) in properties.neutral.iter().copied().chain(plane.neutral()) {
            request.add_raw_property(object, property, value);
        }
        plane.show(device, &mut request, framebuffer, &Area::default(), &mut Blobs::default());
        let whole = Rectangle::from_size(width, height);
        plane.place(&mut request, self.crtc, whole, whole);
        let flags = AtomicCommitFlags::ALLOW_MODESET | AtomicCommitFlags::PAGE_FLIP_EVENT;
        let result = device.atomic_commit(flags, request).map_err(refused);
        if let property::Value::Blob(blob) = mode {
            // The CRTC's state keeps it.
            let _ = device.destroy_property_blob(blob);
        }
        result
    }

    /// Turns the CRTC off: after this, the card needs no memory for a picture. Waits for one that is on its way.
    ///
    /// # Errors
    /// The card refuses.
    pub fn darken(&self, device: &Device) -> Result<(), KmsError> {
        let refused = |source| device.refused(format!("turning {} off", self.name), source);
        let Some((plane, properties)) = &self.atomic else {
            return device.set_crtc(self.crtc, None, (0, 0), &[], None).map_err(refused);
        };
        let mut request = AtomicModeReq::new();
        request.add_property(self.connector, properties.connector_crtc, property::Value::CRTC(None));
        request.add_property(self.crtc, properties.mode, property::Value::Blob(0));
        request.add_property(self.crtc, properties.active, property::Value::Boolean(false));
        plane.turn_off(&mut request);
        self.turn_others_off(device, &mut request);
        device.atomic_commit(AtomicCommitFlags::ALLOW_MODESET, request).map_err(refused)
    }

    /// Turns off the other planes that are on the CRTC.
    fn turn_others_off(&self, device: &Device, request: &mut AtomicModeReq) {
        // One that can be here may be where another head has it.
        let is_here = |other: &&plane::Handle| {
            device.get_plane(**other).is_ok_and(|info| info.crtc() == Some(self.crtc))
        };
        for plane in self.others.iter().filter(is_here).filter_map(|other| Plane::read(device, *other).ok()) {
            plane.turn_off(request);
        }
    }

    /// Shows the next frame with the next vblank. A flip event tells when it is on the glass.
    ///
    /// # Errors
    /// The card refuses.
    pub fn flip(&self, device: &Device, frame: Frame<'_>) -> Result<(), KmsError> {
        if self.atomic.is_some() {
            let flags = AtomicCommitFlags::NONBLOCK | AtomicCommitFlags::PAGE_FLIP_EVENT;
            return self.commit(device, frame, flags);
        }
        let flipped = device.page_flip(self.crtc, frame.framebuffer, PageFlipFlags::EVENT, None);
        flipped.map_err(|source| self.not_shown(device, source))
    }

    /// Asks whether the card can show a frame.
    ///
    /// # Errors
    /// It cannot.
    pub fn test(&self, device: &Device, frame: Frame<'_>) -> Result<(), KmsError> {
        self.commit(device, frame, AtomicCommitFlags::TEST_ONLY)
    }

    fn commit(&self, device: &Device, frame: Frame<'_>, flags: AtomicCommitFlags) -> Result<(), KmsError> {
        let Some((plane, _)) = &self.atomic else { return Ok(()) };
        let (mut request, mut blobs) = (AtomicModeReq::new(), Blobs::default());
        for off in frame.off {
            off.turn_off(&mut request);
        }
        for overlay in frame.overlays {
            let Overlay { plane, framebuffer, source, destination, damage } = *overlay;
            for (object, property, value) in plane.neutral() {
                request.add_raw_property(object, property, value);
            }
            plane.show(device, &mut request, framebuffer, damage, &mut blobs);
            plane.place(&mut request, self.crtc, source, destination);
        }
        // The same picture without damage would count as one that is new all over; but a commit has to name something.
        let says_nothing = frame.overlays.is_empty() && frame.off.is_empty();
        if !frame.is_kept || !frame.damage.is_empty() || says_nothing {
            plane.show(device, &mut request, frame.framebuffer, frame.damage, &mut blobs);
        }
        let result = device.atomic_commit(flags, request);
        blobs.destroy(device);
        result.map_err(|source| self.not_shown(device, source))
    }

    fn not_shown(&self, device: &Device, source: std::io::Error) -> KmsError {
        device.refused(format!("showing a picture on {}", self.name), source)
    }
}

/// Which of these an object has.
fn neutral<H: ResourceHandle>(
    device: &Device,
    object: H,
    names: &[(&str, u64)],
) -> Vec<(RawResourceHandle, property::Handle, u64)> {
    let of = |(name, value): &(&str, u64)| Some((object.into(), device.property(object, name)?.0, *value));
    names.iter().filter_map(of).collect()
}

impl Properties {
    fn read(device: &Device, connector: connector::Handle, crtc: crtc::Handle) -> Result<Self, KmsError> {
        let missing = |name: &str| {
            let source = std::io::Error::new(std::io::ErrorKind::Unsupported, "there is none");
            device.refused(format!("the property {name}"), source)
        };
        let of_crtc = |name: &str| Ok(device.property(crtc, name).ok_or_else(|| missing(name))?.0);
        Ok(Self {
            connector_crtc: device.property(connector, "CRTC_ID").ok_or_else(|| missing("CRTC_ID"))?.0,
            mode: of_crtc("MODE_ID")?,
            active: of_crtc("ACTIVE")?,
            neutral: [neutral(device, crtc, &NEUTRAL_CRTC), neutral(device, connector, &NEUTRAL_CONNECTOR)]
                .concat(),
        })
    }
}
