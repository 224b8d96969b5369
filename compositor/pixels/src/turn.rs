//! Pictures turned by one of the eight transforms, as they come on a screen that hangs on its side.
//!
//! A transform reflects first, then rotates counter-clockwise ([`Transform`], as the plane property `rotation` of
//! drm_plane.c has it). Coordinates count from the top left pixel, before and after.

use blitd_protocol::image::Rectangle;
use blitd_protocol::value::Transform;

use crate::view::{Picture, PictureMut};

/// What a transform is made of: whether left and right are exchanged, and how many quarters it then turns.
pub(crate) const fn parts(transform: Transform) -> (bool, u8) {
    match transform {
        Transform::Identity => (false, 0),
        Transform::Rotate90 => (false, 1),
        Transform::Rotate180 => (false, 2),
        Transform::Rotate270 => (false, 3),
        Transform::Reflect => (true, 0),
        Transform::ReflectRotate90 => (true, 1),
        Transform::ReflectRotate180 => (true, 2),
        Transform::ReflectRotate270 => (true, 3),
    }
}

/// The size of a picture of `size` once it is turned, as width and height.
pub const fn turned_size(size: (u32, u32), transform: Transform) -> (u32, u32) {
    if parts(transform).1 % 2 == 1 { (size.1, size.0) } else { size }
}

/// Where a rectangle of a picture of `size` is once the picture is turned. What is outside the picture is left out.
pub fn turned(rectangle: Rectangle, size: (u32, u32), transform: Transform) -> Rectangle {
    let Some(inside) = rectangle.intersection(Rectangle::from_size(size.0, size.1)) else {
        return Rectangle::default();
    };
    let whole = Rectangle::from_size(size.0, size.1);
    let (width, height) = (whole.right(), whole.bottom());
    let (reflects, quarters) = parts(transform);
    let (mut left, top, mut right, bottom) = (inside.left(), inside.top(), inside.right(), inside.bottom());
    if reflects {
        (left, right) = (width - right, width - left);
    }
    match quarters {
        0 => Rectangle::from_edges(left, top, right, bottom),
        1 => Rectangle::from_edges(top, width - right, bottom, width - left),
        2 => Rectangle::from_edges(width - right, height - bottom, width - left, height - top),
        _ => Rectangle::from_edges(height - bottom, left, height - top, right),
    }
}

/// Writes `source` (32 bits a pixel) turned into the rectangle of `target` (32 bits a pixel) whose top left pixel is at
/// `to`. Targets are written row by row and never read, so that they may be uncached; a source is best a tile that the
/// cache holds, since it is read by columns where the turn is a quarter.
pub fn turn(source: &Picture<'_>, transform: Transform, target: &mut PictureMut<'_>, to: (i32, i32)) {
    if !source.format().is_rgb8888() || !target.format().is_rgb8888() {
        return;
    }
    let bounds = source.bounds();
    let (width, height) = turned_size((bounds.width(), bounds.height()), transform);
    let Some(whole) = Rectangle::new(to.0, to.1, width, height) else { return };
    let Some(visible) = whole.intersection(target.bounds()) else { return };
    let (reflects, quarters) = parts(transform);
    let (right, bottom) = (bounds.right() - 1, bounds.bottom() - 1);
    // The source's pixel for one of the turned picture.
    let origin = |x: i32, y: i32| {
        let (x, y) = match quarters {
            0 => (x, y),
            1 => (right - y, x),
            2 => (right - x, bottom - y),
            _ => (y, bottom - x),
        };
        (if reflects { right - x } else { x }, y)
    };
    let first = visible.left() - whole.left();
    let count = visible.width() as usize;
    for y in visible.top()..visible.bottom() {
        let at = |x: i32| {
            let (x, y) = origin(x, y - whole.top());
            source.pixel(x, y)
        };
        let mut from = at(first);
        // From one pixel of a row to the next it is as far as to the one after that. A row of one pixel needs no step.
        let step = if count > 1 { at(first + 1).addr().wrapping_sub(from.addr()).cast_signed() } else { 0 };
        let row = target.pixel(visible.left(), y).cast::<u32>();
        for index in 0..count {
            // SAFETY: the row was clipped to the target. The source's pixels for it are inside the source, since a transform
            // takes the pixels of one rectangle to those of the other one by one; the pointer that is one step beyond the
            // last is not read. Both have 4 bytes a pixel.
            unsafe { row.add(index).write_unaligned(from.cast::<u32>().read_unaligned()) };
            from = from.wrapping_offset(step);
        }
    }
}

#[cfg(test)]
mod tests {
    use blitd_protocol::image::Format;
    use proptest::prelude::*;

    use super::*;
    use crate::view::{Layout, View, ViewMut};

    const ALL: [Transform; 8] = [
        Transform::Identity,
        Transform::Rotate90,
        Transform::Rotate180,
        Transform::Rotate270,
        Transform::Reflect,
        Transform::ReflectRotate90,
        Transform::ReflectRotate180,
        Transform::ReflectRotate270,
    ];

    fn layout(width: u32, height: u32) -> Layout {
        Layout { width, height, stride: width as usize * 4, offset: 0, format: Format::Xrgb8888 }
    }

    fn bytes(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    fn words(bytes: &[u8]) -> Vec<u32> {
        bytes.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect()
    }

    fn turned_picture(picture: &[u32], size: (u32, u32), transform: Transform) -> Vec<u32> {
        let (width, height) = turned_size(size, transform);
        let mut out = vec![0; picture.len() * 4];
        let bytes = bytes(picture);
        let source = Picture::new(View::from_slice(&bytes), layout(size.0, size.1)).unwrap();
        let mut target = PictureMut::new(ViewMut::from_slice(&mut out), layout(width, height)).unwrap();
        turn(&source, transform, &mut target, (0, 0));
        words(&out)
    }

    #[test]
    fn each_transform_by_hand() {
        // 1 2 3
        // 4 5 6
        let picture = [1, 2, 3, 4, 5, 6];
        let expected: [(Transform, [u32; 6]); 8] = [
            (Transform::Identity, [1, 2, 3, 4, 5, 6]),
            (Transform::Rotate90, [3, 6, 2, 5, 1, 4]),
            (Transform::Rotate180, [6, 5, 4, 3, 2, 1]),
            (Transform::Rotate270, [4, 1, 5, 2, 6, 3]),
            (Transform::Reflect, [3, 2, 1, 6, 5, 4]),
            (Transform::ReflectRotate90, [1, 4, 2, 5, 3, 6]),
            (Transform::ReflectRotate180, [4, 5, 6, 1, 2, 3]),
            (Transform::ReflectRotate270, [6, 3, 5, 2, 4, 1]),
        ];
        for (transform, expected) in expected {
            assert_eq!(turned_picture(&picture, (3, 2), transform), expected, "{transform:?}");
        }
    }

    proptest! {
        #[test]
        fn parts_land_where_the_whole_puts_them(
            (width, height) in (1u32..12, 1u32..12),
            (x, y, w, h) in (-3i32..12, -3i32..12, 0u32..12, 0u32..12),
            index in 0usize..8,
        ) {
            let (transform, size) = (ALL[index], (width, height));
            let picture: Vec<u32> = (1..=width * height).collect();
            let whole = turned_picture(&picture, size, transform);
            let part = Rectangle::new(x, y, w, h).unwrap().intersection(Rectangle::from_size(width, height));
            let part = part.unwrap_or_default();
            let to = turned(part, size, transform);
            prop_assert_eq!(to.pixels(), part.pixels());
            if part.is_empty() {
                return Ok(());
            }
            let all = bytes(&picture);
            let offset = (part.top() as usize * width as usize + part.left() as usize) * 4;
            let inside = Layout { offset, stride: width as usize * 4, ..layout(part.width(), part.height()) };
            let source = Picture::new(View::from_slice(&all), inside).unwrap();
            let (turned_width, turned_height) = turned_size(size, transform);
            let mut out = vec![0; picture.len() * 4];
            let mut target =
                PictureMut::new(ViewMut::from_slice(&mut out), layout(turned_width, turned_height)).unwrap();
            turn(&source, transform, &mut target, (to.left(), to.top()));
            for (index, word) in words(&out).into_iter().enumerate() {
                let (x, y) = ((index as u32 % turned_width) as i32, (index as u32 / turned_width) as i32);
                let is_inside = to.contains(Rectangle::new(x, y, 1, 1).unwrap());
                prop_assert_eq!(word, if is_inside { whole[index] } else { 0 }, "({}, {})", x, y);
            }
        }
    }
}
