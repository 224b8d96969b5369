//! The first picture of a head, every next one, and turning it off.
//!
//! Atomic where the card has it: the first commit sets the mode, turns off every other plane that is on the CRTC, among them
//! the cursor that a console or another program has left, and undoes what such a program has set to show pictures otherwise
//! than they are, such as a table of colours. The next ones change the framebuffer only, do not block, and say
//! what has changed (`FB_DAMAGE_CLIPS`). Legacy where that is all there is.

use std::os::fd::AsFd;

use drm::control::atomic::AtomicModeReq;
use drm::control::{
    AtomicCommitFlags, Device as _, Mode, PageFlipFlags, RawResourceHandle, ResourceHandle, connector, crtc,
    framebuffer, plane, property,
};

use super::device::{Device, Facts, KmsError};
use super::select::Route;
use crate::scene::area::Area;

/// Damage with more rectangles than this is given as the one around them: drivers walk the list.
const MOST_CLIPS: usize = 16;

/// What a plane, a CRTC and a connector may have that changes a picture on its way to the glass, and the value that leaves it
/// as it is (linux/Documentation/gpu/drm-kms.rst; drm_mode.h). A link that has gone bad is trained anew by that.
const NEUTRAL_PLANE: [(&str, u64); 2] = [("rotation", 1), ("alpha", 0xffff)];
const NEUTRAL_CRTC: [(&str, u64); 4] = [("DEGAMMA_LUT", 0), ("CTM", 0), ("GAMMA_LUT", 0), ("VRR_ENABLED", 0)];
const NEUTRAL_CONNECTOR: [(&str, u64); 3] =
    [("HDR_OUTPUT_METADATA", 0), ("Colorspace", 0), ("link-status", 0)];

/// The properties that an atomic commit names.
#[derive(Clone, Debug)]
struct Properties {
    connector_crtc: property::Handle,
    mode: property::Handle,
    active: property::Handle,
    framebuffer: property::Handle,
    plane_crtc: property::Handle,
    source: [property::Handle; 4],
    destination: [property::Handle; 4],
    damage: Option<property::Handle>,
    /// Those of [`NEUTRAL_PLANE`] and the like that are there.
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
    atomic: Option<(plane::Handle, Properties)>,
    /// Other planes that can be on the CRTC.
    others: Vec<plane::Handle>,
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
            Some(plane) => Some((plane, Properties::read(device, info.handle(), *crtc, plane)?)),
            None => None,
        };
        let on_crtc = |handle: &&plane::Handle| {
            let possible = device.get_plane(**handle).map(|info| info.possible_crtcs());
            possible.is_ok_and(|filter| facts.resources.filter_crtcs(filter).contains(crtc))
        };
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
        // One that can be here may be where another head has it.
        let is_here = |other: &&plane::Handle| {
            device.get_plane(**other).is_ok_and(|info| info.crtc() == Some(self.crtc))
        };
        for other in self.others.iter().filter(is_here) {
            request.add_property(*other, properties.framebuffer, property::Value::Framebuffer(None));
            request.add_property(*other, properties.plane_crtc, property::Value::CRTC(None));
        }
        for (object, property, value) in &properties.neutral {
            request.add_raw_property(*object, *property, *value);
        }
        request.add_property(*plane, properties.framebuffer, property::Value::Framebuffer(Some(framebuffer)));
        request.add_property(*plane, properties.plane_crtc, property::Value::CRTC(Some(self.crtc)));
        let (width, height) = (u64::from(width), u64::from(height));
        let places = properties.source.into_iter().zip([0, 0, width << 16, height << 16]);
        for (handle, value) in places.chain(properties.destination.into_iter().zip([0, 0, width, height])) {
            request.add_raw_property((*plane).into(), handle, value);
        }
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
        request.add_property(*plane, properties.framebuffer, property::Value::Framebuffer(None));
        request.add_property(*plane, properties.plane_crtc, property::Value::CRTC(None));
        device.atomic_commit(AtomicCommitFlags::ALLOW_MODESET, request).map_err(refused)
    }

    /// Shows the next picture with the next vblank. A flip event tells when it is on the glass.
    ///
    /// # Errors
    /// The card refuses.
    pub fn flip(
        &self,
        device: &Device,
        framebuffer: framebuffer::Handle,
        damage: &Area,
    ) -> Result<(), KmsError> {
        let refused = |source| device.refused(format!("showing a picture on {}", self.name), source);
        let Some((plane, properties)) = &self.atomic else {
            return device.page_flip(self.crtc, framebuffer, PageFlipFlags::EVENT, None).map_err(refused);
        };
        let mut request = AtomicModeReq::new();
        request.add_property(*plane, properties.framebuffer, property::Value::Framebuffer(Some(framebuffer)));
        let mut clips = clips(damage);
        let blob = properties.damage.filter(|_| !clips.is_empty()).and_then(|handle| {
            // The damage is a hint: without it the whole picture counts as changed.
            let blob = drm_ffi::mode::create_property_blob(device.as_fd(), &mut clips);
            Some((handle, blob.ok()?.blob_id))
        });
        if let Some((handle, blob)) = blob {
            request.add_raw_property((*plane).into(), handle, blob.into());
        }
        let flags = AtomicCommitFlags::NONBLOCK | AtomicCommitFlags::PAGE_FLIP_EVENT;
        let result = device.atomic_commit(flags, request).map_err(refused);
        if let Some((_, blob)) = blob {
            let _ = device.destroy_property_blob(blob.into());
        }
        result
    }
}

/// What has changed, as the kernel wants to hear it: a list of its `struct drm_mode_rect` (drm_mode.h), whose edges are
/// exclusive on the right and below, as ours.
fn clips(damage: &Area) -> Vec<u8> {
    let mut damage = damage.clone();
    damage.limit(MOST_CLIPS);
    let edges = damage
        .rectangles()
        .iter()
        .flat_map(|rectangle| [rectangle.left(), rectangle.top(), rectangle.right(), rectangle.bottom()]);
    edges.flat_map(i32::to_ne_bytes).collect()
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
    fn read(
        device: &Device,
        connector: connector::Handle,
        crtc: crtc::Handle,
        plane: plane::Handle,
    ) -> Result<Self, KmsError> {
        let missing = |name: &str| {
            let source = std::io::Error::new(std::io::ErrorKind::Unsupported, "there is none");
            device.refused(format!("the property {name}"), source)
        };
        let of_plane = |name: &str| Ok(device.property(plane, name).ok_or_else(|| missing(name))?.0);
        let of_crtc = |name: &str| Ok(device.property(crtc, name).ok_or_else(|| missing(name))?.0);
        Ok(Self {
            connector_crtc: device.property(connector, "CRTC_ID").ok_or_else(|| missing("CRTC_ID"))?.0,
            mode: of_crtc("MODE_ID")?,
            active: of_crtc("ACTIVE")?,
            framebuffer: of_plane("FB_ID")?,
            plane_crtc: of_plane("CRTC_ID")?,
            source: [of_plane("SRC_X")?, of_plane("SRC_Y")?, of_plane("SRC_W")?, of_plane("SRC_H")?],
            destination: [of_plane("CRTC_X")?, of_plane("CRTC_Y")?, of_plane("CRTC_W")?, of_plane("CRTC_H")?],
            damage: device.property(plane, "FB_DAMAGE_CLIPS").map(|(handle, _)| handle),
            neutral: [
                neutral(device, plane, &NEUTRAL_PLANE),
                neutral(device, crtc, &NEUTRAL_CRTC),
                neutral(device, connector, &NEUTRAL_CONNECTOR),
            ]
            .concat(),
        })
    }
}
