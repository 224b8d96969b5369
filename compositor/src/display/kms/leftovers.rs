//! Turns off what another program has left lit and is no head of ours. It can be in the way: a connector that is still on
//! another CRTC, or another one on the CRTC that is wanted, makes the card refuse a mode.

use drm::control::atomic::AtomicModeReq;
use drm::control::{AtomicCommitFlags, Device as _, ResourceHandle, crtc, property};

use super::device::{Device, KmsError};

/// Turns off every CRTC but these, with all connectors and planes that are not on one of these.
///
/// # Errors
/// The card refuses.
pub fn clear(device: &Device, kept: &[crtc::Handle]) -> Result<(), KmsError> {
    let refused = |source| device.refused("turning off what another program has left", source);
    let resources = device.resource_handles().map_err(refused)?;
    let crtcs = resources.crtcs().iter().filter(|crtc| !kept.contains(crtc));
    if !device.is_atomic() {
        for crtc in crtcs {
            device.set_crtc(*crtc, None, (0, 0), &[], None).map_err(refused)?;
        }
        return Ok(());
    }
    let mut request = AtomicModeReq::new();
    for crtc in crtcs {
        zero(device, *crtc, &["ACTIVE", "MODE_ID"], &mut request);
    }
    let is_kept = |number: u64| kept.iter().any(|crtc| u64::from(u32::from(*crtc)) == number);
    for connector in resources.connectors() {
        if device.property(*connector, "CRTC_ID").is_some_and(|(_, crtc)| crtc != 0 && !is_kept(crtc)) {
            zero(device, *connector, &["CRTC_ID"], &mut request);
        }
    }
    for plane in device.plane_handles().map_err(refused)? {
        if device.property(plane, "CRTC_ID").is_some_and(|(_, crtc)| crtc != 0 && !is_kept(crtc)) {
            zero(device, plane, &["FB_ID", "CRTC_ID"], &mut request);
        }
    }
    device.atomic_commit(AtomicCommitFlags::ALLOW_MODESET, request).map_err(refused)
}

/// Sets properties of an object to 0, which is none and off.
fn zero<H: ResourceHandle>(device: &Device, object: H, names: &[&str], request: &mut AtomicModeReq) {
    for (property, _) in names.iter().filter_map(|name| device.property(object, name)) {
        request.add_property(object, property, property::Value::Unknown(0));
    }
}
