//! A program that has shown a picture, something over it and a cursor, and is master no more. Its file is still open, so the
//! kernel leaves all of that where it is.

use drm::buffer::DrmFourcc;
use drm::control::{Device as _, PlaneType, dumbbuffer::DumbBuffer, framebuffer};
use drm::{ClientCapability, Device as _};

use crate::card::Card;

pub(crate) struct Leftover {
    _card: Card,
}

impl Leftover {
    /// Shows it on every plane that the card's only CRTC can have.
    pub(crate) fn show() -> Self {
        let card = Card::of_driver("vkms").expect("a guest has vkms");
        card.acquire_master_lock().unwrap();
        card.set_client_capability(ClientCapability::UniversalPlanes, true).unwrap();
        let resources = card.resource_handles().unwrap();
        let connector = card.get_connector(resources.connectors()[0], true).unwrap();
        let mode = connector.modes()[0];
        let crtc = resources.crtcs()[0];
        let (width, height) = mode.size();
        let picture = filled(&card, (width.into(), height.into()), DrmFourcc::Xrgb8888);
        card.set_crtc(crtc, Some(picture), (0, 0), &[connector.handle()], Some(mode)).unwrap();
        let mut over = 0;
        for plane in card.plane_handles().unwrap() {
            let properties = card.get_properties(plane).unwrap();
            let (handles, values) = properties.as_props_and_values();
            let kind = handles.iter().zip(values).find_map(|(handle, value)| {
                let info = card.get_property(*handle).unwrap();
                (info.name().to_bytes() == b"type").then_some(*value)
            });
            if kind == Some(PlaneType::Primary as u64) {
                continue;
            }
            let square = filled(&card, (64, 64), DrmFourcc::Argb8888);
            let place = 100 + 30 * over;
            card.set_plane(plane, crtc, Some(square), 0, (place, place, 64, 64), (0, 0, 64 << 16, 64 << 16))
                .unwrap();
            over += 1;
        }
        assert!(over > 1, "a cursor and overlays");
        card.release_master_lock().unwrap();
        Self { _card: card }
    }
}

/// A framebuffer that is all of one grey.
fn filled(card: &Card, size: (u32, u32), format: DrmFourcc) -> framebuffer::Handle {
    let mut buffer: DumbBuffer = card.create_dumb_buffer(size, format, 32).unwrap();
    card.map_dumb_buffer(&mut buffer).unwrap().as_mut().fill(0xc3);
    let depth = if format == DrmFourcc::Argb8888 { 32 } else { 24 };
    card.add_framebuffer(&buffer, depth, 32).unwrap()
}
