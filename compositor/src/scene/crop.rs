//! Which part of a layer's picture is shown where: a source crop in 16.16, as planes have it (SRC_X to SRC_H of
//! drm_plane.c), and the rectangle of the output that it fills.
//!
//! What an output's pixel shows depends on these two alone, never on how a frame is cut into parts.

use blitd_protocol::image::Rectangle;
use blitd_protocol::request::FixedRectangle;

/// How many pixels of the output beside its own a pixel of a scaled picture reaches at the most, besides what its
/// neighbours in the picture reach.
const REACH: i64 = 2;

/// All of a picture of this size, in pixels; each side at most 32767.
pub const fn whole(width: u32, height: u32) -> FixedRectangle {
    FixedRectangle { x: 0, y: 0, width: width << 16, height: height << 16 }
}

/// The picture's pixel that is shown in the top left corner, where each pixel is shown as one.
pub fn unscaled(crop: FixedRectangle, place: Rectangle) -> Option<(i32, i32)> {
    let FixedRectangle { x, y, width, height } = crop;
    let is_whole = [x, y, width, height].iter().all(|side| side & 0xffff == 0);
    // 16 bits always fit.
    (is_whole && (width >> 16, height >> 16) == (place.width(), place.height()))
        .then_some(((x >> 16) as i32, (y >> 16) as i32))
}

/// The pixels of `place` that change with those of the picture in `part`, and maybe some more.
pub fn touched(crop: FixedRectangle, place: Rectangle, part: Rectangle) -> Option<Rectangle> {
    if let Some((left, top)) = unscaled(crop, place) {
        // Where a layer is far away, only what is inside of it can be counted.
        let shown = Rectangle::new(left, top, place.width(), place.height())?.intersection(part)?;
        return shown.translated(-left, -top)?.translated(place.left(), place.top());
    }
    let (left, right) = along((part.left(), part.right()), (crop.x, crop.width), place.width());
    let (top, bottom) = along((part.top(), part.bottom()), (crop.y, crop.height), place.height());
    Rectangle::from_edges(left, top, right, bottom).translated(place.left(), place.top())?.intersection(place)
}

/// The same in one direction: the picture's pixels from `first` up to `end`, of which `length` from `start` on are shown
/// on so many pixels. Counted from the first of these, and inside them.
fn along((first, end): (i32, i32), (start, length): (u32, u32), pixels: u32) -> (i32, i32) {
    let (start, length, pixels) = (i64::from(start), i64::from(length).max(1), i64::from(pixels));
    let place = |edge: i64| (edge << 16) - start;
    let low = (place(i64::from(first) - 1) * pixels).div_euclid(length) - REACH;
    let high = (place(i64::from(end) + 1) * pixels).div_euclid(length) + 1 + REACH;
    // Between 0 and the side of a rectangle, both fit.
    (low.clamp(0, pixels) as i32, high.clamp(0, pixels) as i32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Which of the picture's pixels is nearest to the middle of pixel `index` of the `pixels` on which `length` from
    /// `start` on are shown.
    fn nearest(index: u32, (start, length): (u32, u32), pixels: u32) -> u32 {
        let middle = (2 * u64::from(index) + 1) * u64::from(length) / (2 * u64::from(pixels.max(1)));
        // Less than 16 bits of whole pixels: it is inside the crop.
        ((u64::from(start) + middle) >> 16) as u32
    }

    fn rectangle(x: i32, y: i32, width: u32, height: u32) -> Rectangle {
        Rectangle::new(x, y, width, height).unwrap()
    }

    #[test]
    fn whole_pixels_of_the_same_size_are_not_scaled() {
        let place = rectangle(-7, 9, 10, 20);
        assert_eq!(unscaled(whole(10, 20), place), Some((0, 0)));
        let crop = FixedRectangle::from_pixels(3, 4, 10, 20);
        assert_eq!(unscaled(crop, place), Some((3, 4)));
        assert_eq!(unscaled(FixedRectangle { x: crop.x + 1, ..crop }, place), None);
        assert_eq!(unscaled(FixedRectangle { height: crop.height + 1, ..crop }, place), None);
        assert_eq!(unscaled(whole(11, 20), place), None);
        // The picture's pixel (3, 4) is the place's first.
        assert_eq!(touched(crop, place, rectangle(0, 0, 5, 5)), Some(rectangle(-7, 9, 2, 1)));
        assert_eq!(touched(crop, place, rectangle(0, 0, 3, 50)), None);
        let far = Rectangle::from_edges(i32::MIN, i32::MAX - 20, i32::MIN + 10, i32::MAX);
        assert_eq!(touched(crop, far, rectangle(0, 0, 40, 40)), Some(far));
        let first = Rectangle::from_edges(far.left(), far.top(), far.left() + 2, far.top() + 1);
        assert_eq!(touched(crop, far, rectangle(0, 0, 5, 5)), Some(first));
    }

    /// A side of the crop, in a picture of 40 pixels, and how many pixels show it.
    fn shown() -> impl Strategy<Value = ((u32, u32), u32)> {
        (0u32..40 << 16).prop_flat_map(|start| (Just(start), 1..=(40 << 16) - start)).prop_flat_map(|crop| {
            (Just(crop), prop_oneof![1u32..100, Just(crop.1 >> 16).prop_map(|pixels| pixels.max(1))])
        })
    }

    proptest! {
        #[test]
        fn what_is_shown_is_inside_the_crop_and_in_order((crop, pixels) in shown()) {
            let all: Vec<u32> = (0..pixels).map(|index| nearest(index, crop, pixels)).collect();
            prop_assert!(all.is_sorted());
            prop_assert!(all[0] >= crop.0 >> 16 && u64::from(all[all.len() - 1]) << 16 < u64::from(crop.0 + crop.1));
        }

        /// Of nearest, and of bilinear in a window that is as wide as a pixel of the output or of the picture, whichever
        /// is wider, to both sides.
        #[test]
        fn no_pixel_changes_that_is_not_touched((crop, pixels) in shown(), first in 0i32..40, count in 1i32..40) {
            let (low, high) = along((first, first + count), crop, pixels);
            prop_assert!(0 <= low && low <= pixels as i32 && 0 <= high && high <= pixels as i32);
            let scale = f64::from(crop.1) / 65536.0 / f64::from(pixels);
            for index in (0..pixels).filter(|index| !(low..high).contains(&(*index as i32))) {
                let nearest = nearest(index, crop, pixels) as i32;
                prop_assert!(!(first..first + count).contains(&nearest), "nearest at {}", index);
                let middle = f64::from(crop.0) / 65536.0 + (f64::from(index) + 0.5) * scale;
                let window = scale.max(1.0);
                let reached = |pixel: i32| (f64::from(pixel) + 0.5 - middle).abs() < window;
                prop_assert!(!(first..first + count).any(reached), "bilinear at {}", index);
            }
        }
    }
}
