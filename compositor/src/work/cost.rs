//! What composing a layer costs, in the bytes of blits that slices and limits count in. Pure.

use blitd_pixels::blit::ROW_COST;
use blitd_protocol::image::Rectangle;
use blitd_protocol::request::FixedRectangle;

use super::scaled::scaling;
use crate::scene::Attributes;
use crate::scene::crop::unscaled;

/// What copying or blending some pixels costs, and finding their rows.
pub(super) fn of_pixels(pixels: Rectangle) -> u64 {
    pixels.pixels() * 4 + u64::from(pixels.height()) * ROW_COST
}

/// What composing `part` of a layer costs, of which `crop` fills `place`.
pub(super) fn of_part(crop: FixedRectangle, place: Rectangle, part: Rectangle) -> u64 {
    if unscaled(crop, place).is_some() {
        return of_pixels(part);
    }
    scaling(crop, place).map_or_else(|| of_pixels(part), |scaling| scaling.cost_of(part))
}

/// What composing all of a layer costs wherever it is, as if nothing covered it; nothing where it is hidden.
pub fn of_layer(attributes: &Attributes) -> u64 {
    let Attributes { crop, place, .. } = *attributes;
    if attributes.is_shown() { of_part(crop, place, place) } else { 0 }
}
