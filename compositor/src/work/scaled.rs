//! A part of a layer whose picture is shown larger or smaller than it is.

use blitd_pixels::blit::draw;
use blitd_pixels::view::{Picture, PictureMut};
use blitd_protocol::image::Rectangle;
use blitd_protocol::request::FixedRectangle;
use blitd_protocol::value::Operator;

use crate::scene::crop::nearest;

/// How many bytes of blits a byte of it takes as long as: each pixel is a blit of its own, of some 21 nanoseconds, where
/// a copy takes a third of one.
pub(super) const COST: u64 = 64;

/// Draws `crop` of `source`, as it is where it fills all of `place`, into the part `to` of that; both in pixels of
/// `target`. What a pixel gets depends on `crop` and `place` alone: parts fit together.
pub(super) fn scaled(
    source: &Picture<'_>,
    crop: FixedRectangle,
    place: Rectangle,
    target: &mut PictureMut<'_>,
    to: Rectangle,
    operator: Operator,
    opacity: u8,
) {
    let Some(to) = place.intersection(to) else { return };
    let across = (crop.x, crop.width);
    let down = (crop.y, crop.height);
    for y in to.top()..to.bottom() {
        let row = nearest(y.abs_diff(place.top()), down, place.height());
        for x in to.left()..to.right() {
            let column = nearest(x.abs_diff(place.left()), across, place.width());
            let pixel = Rectangle::from_edges(x, y, x.saturating_add(1), y.saturating_add(1));
            draw(source, (column as i32, row as i32), target, pixel, operator, opacity);
        }
    }
}
