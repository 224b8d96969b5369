//! A plane of a CRTC: its properties, and how a commit puts a framebuffer on it.

use std::os::fd::AsFd;

use blitd_protocol::image::Rectangle;
use drm::control::atomic::AtomicModeReq;
use drm::control::{Device as _, PlaneType, RawResourceHandle, crtc, framebuffer, plane, property};

use super::device::{Device, KmsError};
use crate::scene::area::Area;

/// Damage with more rectangles than this is given as the one around them: drivers walk the list.
const MOST_CLIPS: usize = 16;

/// What a plane may have that changes a picture on its way to the glass, and the value that leaves it as it is
/// (linux/Documentation/gpu/drm-kms.rst; drm_mode.h).
const NEUTRAL: [(&str, u64); 2] = [("rotation", 1), ("alpha", 0xffff)];

/// The properties of a plane that an atomic commit names.
#[derive(Clone, Debug)]
pub struct Plane {
    handle: plane::Handle,
    framebuffer: property::Handle,
    crtc: property::Handle,
    source: [property::Handle; 4],
    destination: [property::Handle; 4],
    damage: Option<property::Handle>,
    zpos: Option<u64>,
    /// Those of [`NEUTRAL`] that are there. And its zpos, as it was found, where that can be set: the order of planes
    /// is chosen by it.
    neutral: Vec<(property::Handle, u64)>,
}

/// Blobs that are to go when their commit is made.
#[derive(Debug, Default)]
pub struct Blobs(Vec<u32>);

impl Blobs {
    /// Lets go of them: what the kernel needs it keeps.
    pub fn destroy(self, device: &Device) {
        for blob in self.0 {
            let _ = device.destroy_property_blob(blob.into());
        }
    }
}

impl Plane {
    /// The plane with this handle.
    ///
    /// # Errors
    /// It lacks a property that every plane of an atomic driver has.
    pub fn read(device: &Device, handle: plane::Handle) -> Result<Self, KmsError> {
        let of = |name: &str| {
            let missing = || std::io::Error::new(std::io::ErrorKind::Unsupported, "there is none");
            let found = device.property(handle, name);
            Ok(found.ok_or_else(|| device.refused(format!("the property {name}"), missing()))?.0)
        };
        let zpos = device.property(handle, "zpos");
        let settable = zpos.filter(|(zpos, _)| device.get_property(*zpos).is_ok_and(|info| info.mutable()));
        let neutral =
            NEUTRAL.iter().filter_map(|(name, value)| Some((device.property(handle, name)?.0, *value)));
        Ok(Self {
            handle,
            framebuffer: of("FB_ID")?,
            crtc: of("CRTC_ID")?,
            source: [of("SRC_X")?, of("SRC_Y")?, of("SRC_W")?, of("SRC_H")?],
            destination: [of("CRTC_X")?, of("CRTC_Y")?, of("CRTC_W")?, of("CRTC_H")?],
            damage: device.property(handle, "FB_DAMAGE_CLIPS").map(|(handle, _)| handle),
            zpos: zpos.map(|(_, value)| value),
            neutral: neutral.chain(settable).collect(),
        })
    }

    /// Whether it is an overlay that shows XRGB8888 pixels.
    pub fn is_overlay(&self, device: &Device) -> bool {
        let kind = device.property(self.handle, "type").map(|(_, kind)| kind);
        let xrgb = drm::buffer::DrmFourcc::Xrgb8888 as u32;
        kind == Some(PlaneType::Overlay as u64)
            && device.get_plane(self.handle).is_ok_and(|info| info.formats().contains(&xrgb))
    }

    /// The kernel's handle.
    pub const fn handle(&self) -> plane::Handle {
        self.handle
    }

    /// Its place in the card's stack, where the card tells.
    pub const fn zpos(&self) -> Option<u64> {
        self.zpos
    }

    /// What leaves a picture as it is on its way to the glass.
    pub fn neutral(&self) -> impl Iterator<Item = (RawResourceHandle, property::Handle, u64)> + '_ {
        self.neutral.iter().map(|(property, value)| (self.handle.into(), *property, *value))
    }

    /// Puts it on a CRTC.
    pub fn place(
        &self,
        request: &mut AtomicModeReq,
        crtc: crtc::Handle,
        source: Rectangle,
        destination: Rectangle,
    ) {
        request.add_property(self.handle, self.crtc, property::Value::CRTC(Some(crtc)));
        let fixed = |value: i32| u64::from(value.unsigned_abs()) << 16;
        let (width, height) = (u64::from(source.width()), u64::from(source.height()));
        let source = [fixed(source.left()), fixed(source.top()), width << 16, height << 16];
        let signed = |value: i32| i64::from(value).cast_unsigned();
        let destination = [signed(destination.left()), signed(destination.top()), width, height];
        let source = self.source.into_iter().zip(source);
        for (property, value) in source.chain(self.destination.into_iter().zip(destination)) {
            request.add_raw_property(self.handle.into(), property, value);
        }
    }

    /// Has it show a framebuffer, of which `damage` differs from what it has shown before.
    pub fn show(
        &self,
        device: &Device,
        request: &mut AtomicModeReq,
        framebuffer: framebuffer::Handle,
        damage: &Area,
        blobs: &mut Blobs,
    ) {
        request.add_property(self.handle, self.framebuffer, property::Value::Framebuffer(Some(framebuffer)));
        let mut clips = clips(damage);
        let Some(property) = self.damage.filter(|_| !clips.is_empty()) else { return };
        // The damage is a hint: without it the whole picture counts as changed.
        let Ok(blob) = drm_ffi::mode::create_property_blob(device.as_fd(), &mut clips) else { return };
        request.add_raw_property(self.handle.into(), property, blob.blob_id.into());
        blobs.0.push(blob.blob_id);
    }

    /// Turns it off.
    pub fn turn_off(&self, request: &mut AtomicModeReq) {
        request.add_property(self.handle, self.framebuffer, property::Value::Framebuffer(None));
        request.add_property(self.handle, self.crtc, property::Value::CRTC(None));
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
