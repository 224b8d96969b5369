//! Another program with the card: its master, and a picture of its own.

use drm::buffer::DrmFourcc;
use drm::control::{
    Device as _, ResourceHandle, connector, crtc, dumbbuffer::DumbBuffer, framebuffer, property,
};
use drm::{ClientCapability, Device as _};

use crate::card::Card;

pub(crate) struct Rival {
    card: Card,
    connector: connector::Handle,
    crtc: crtc::Handle,
    mode: drm::control::Mode,
    framebuffer: framebuffer::Handle,
    _buffer: DumbBuffer,
}

impl Rival {
    /// Opens vkms, in the mode of this size, and paints a picture that is all grey.
    pub(crate) fn open((width, height): (u16, u16)) -> Self {
        let card = Card::of_driver("vkms").expect("a guest has vkms");
        // Whoever opens a card that has no master becomes that (drm_master_open, drm_auth.c).
        let _ = card.release_master_lock();
        let resources = card.resource_handles().unwrap();
        let connected = |handle: &connector::Handle| card.get_connector(*handle, true).unwrap();
        let connectors = resources.connectors().iter().map(connected);
        let info = connectors.into_iter().find(|info| !info.modes().is_empty()).unwrap();
        let mode = *info.modes().iter().find(|mode| mode.size() == (width, height)).unwrap();
        let mut buffer =
            card.create_dumb_buffer((width.into(), height.into()), DrmFourcc::Xrgb8888, 32).unwrap();
        card.map_dumb_buffer(&mut buffer).unwrap().as_mut().fill(0x77);
        let framebuffer = card.add_framebuffer(&buffer, 24, 32).unwrap();
        let (connector, crtc) = (info.handle(), resources.crtcs()[0]);
        Self { card, connector, crtc, mode, framebuffer, _buffer: buffer }
    }

    /// Becomes the card's master, which only one program can be.
    pub(crate) fn take(&self) {
        self.card.acquire_master_lock().expect("nobody else is the card's master");
    }

    /// Shows its picture.
    pub(crate) fn show(&self) {
        let connectors = [self.connector];
        self.card.set_crtc(self.crtc, Some(self.framebuffer), (0, 0), &connectors, Some(self.mode)).unwrap();
    }

    /// Leaves whatever else a card can be told to show otherwise than it is: turned, in other colours, and with its picture on
    /// every other plane as well.
    pub(crate) fn distort(&self) {
        self.card.set_client_capability(ClientCapability::UniversalPlanes, true).unwrap();
        let inverted: [[u16; 4]; 256] = std::array::from_fn(|index| [0xffff - 0x101 * index as u16; 4]);
        let lut = self.card.create_property_blob(&inverted).unwrap();
        assert!(self.set(self.crtc, "GAMMA_LUT", lut.into()));
        let mut shown = 0;
        for plane in self.card.plane_handles().unwrap() {
            // 180 degrees: DRM_MODE_ROTATE_180 of drm_mode.h.
            assert!(self.set(plane, "rotation", 1 << 2) || self.property(plane, "rotation").is_none());
            if self.card.get_plane(plane).unwrap().crtc().is_none() {
                let (place, source) = ((9, 9, 64, 64), (0, 0, 64 << 16, 64 << 16));
                // A cursor has other formats.
                let _ = self.card.set_plane(plane, self.crtc, Some(self.framebuffer), 0, place, source);
            }
            shown += u32::from(self.card.get_plane(plane).unwrap().crtc().is_some());
        }
        assert!(shown > 1, "a guest has overlays");
    }

    /// Sets a property of an object, where it has that.
    fn set<H: ResourceHandle>(&self, object: H, name: &str, value: u64) -> bool {
        let property = self.property(object, name);
        property.is_some_and(|property| self.card.set_property(object, property, value).is_ok())
    }

    fn property<H: ResourceHandle>(&self, object: H, name: &str) -> Option<property::Handle> {
        let properties = self.card.get_properties(object).unwrap();
        let (handles, _) = properties.as_props_and_values();
        let named = |handle: &&property::Handle| {
            self.card.get_property(**handle).is_ok_and(|info| info.name().to_bytes() == name.as_bytes())
        };
        handles.iter().find(named).copied()
    }

    /// Is master no more.
    pub(crate) fn give(&self) {
        self.card.release_master_lock().unwrap();
    }
}
