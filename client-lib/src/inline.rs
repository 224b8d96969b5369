//! Which bytes of an image a request needs, and how they travel in messages where no memory is shared.
//!
//! Rows that touch are sent as one, so a packed image goes in messages as long as they may be, and a narrow part
//! of a wide image row by row.

use std::borrow::Cow;
use std::ops::Range;

use blitd_protocol::image::{CheckedImage, Format, Image, ImageError, Rectangle};
use blitd_protocol::request::{Draw, FixedRectangle, MAX_CARRIED};

use crate::draw::ImageView;
use crate::error::Error;

/// Places in a region, none touching the next; in order where they are of several images.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ranges(Vec<Range<usize>>);

impl Ranges {
    /// Adds the rows of an image's pixels in `area`, which must be inside it. Tells what the image is.
    ///
    /// # Errors
    /// The image is not inside the region's `size` bytes.
    pub(crate) fn add(
        &mut self,
        image: &Image,
        area: Rectangle,
        size: u64,
    ) -> Result<CheckedImage, ImageError> {
        let image = image.check(|_| Ok::<_, ImageError>(size))?;
        // What is drawn by itself is gathered plane by plane.
        let is_first = self.0.is_empty();
        let (left, top) = (area.left().unsigned_abs(), area.top().unsigned_abs());
        for (index, plane) in [Some(image.plane()), image.chroma()].into_iter().flatten().enumerate() {
            let size = |width, height| image.format().plane_size(index, width, height);
            let ((before, above), (length, count)) = (size(left, top), size(area.width(), area.height()));
            self.0.extend((above..above + count).map(|row| {
                let start = plane.offset as usize + row as usize * plane.stride as usize + before as usize;
                start..start + length as usize
            }));
        }
        if !is_first {
            self.0.sort_by_key(|range| range.start);
        }
        self.0.dedup_by(|next, last| {
            let touches = (last.start..=last.end).contains(&next.start);
            if touches {
                last.end = last.end.max(next.end);
            }
            touches
        });
        Ok(image)
    }

    /// How many bytes they are.
    pub(crate) fn length(&self) -> usize {
        self.0.iter().map(Range::len).sum()
    }

    /// All of them, one after the other.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Range<usize>> {
        self.0.iter()
    }

    /// The bytes at these places, one after the other.
    fn gather<'a>(&self, memory: &'a [u8]) -> Cow<'a, [u8]> {
        match self.0.as_slice() {
            [one] => Cow::Borrowed(&memory[one.clone()]),
            many => many.iter().flat_map(|range| &memory[range.clone()]).copied().collect(),
        }
    }

    /// The same places in pieces that a message can carry.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = Range<usize>> {
        self.0.iter().flat_map(|range| {
            range.clone().step_by(MAX_CARRIED).map(|start| start..range.end.min(start + MAX_CARRIED))
        })
    }
}

/// Which of its image's pixels the daemon has to have for a draw; all, where the source leaves the image, so that it is
/// the daemon that says so.
pub(crate) fn needed(draw: &Draw<'_>) -> Rectangle {
    let bounds = Rectangle::from_size(draw.image.width, draw.image.height);
    let FixedRectangle { x, y, width, height } = draw.source;
    let end = |start: u32, length: u32| ((u64::from(start) + u64::from(length)).div_ceil(1 << 16)) as i32;
    let [left, top] = [x, y].map(|start| (start >> 16) as i32);
    let area = Rectangle::from_edges(left, top, end(x, width), end(y, height));
    Some(area)
        .filter(|area| !area.is_empty() && bounds.contains(*area))
        .map(|area| if shares_colours(draw) { even(area) } else { area })
        .and_then(|area| area.intersection(bounds))
        .unwrap_or(bounds)
}

/// Whether pixels of its image share their colours with those beside them.
fn shares_colours(draw: &Draw<'_>) -> bool {
    Format::from_fourcc(draw.image.fourcc).is_ok_and(Format::is_yuv)
}

/// With whole pairs of columns and rows.
fn even(area: Rectangle) -> Rectangle {
    let [right, bottom] = [area.right(), area.bottom()].map(|edge| edge + (edge & 1));
    Rectangle::from_edges(area.left() & !1, area.top() & !1, right, bottom)
}

/// The same draw, carrying the pixels in `area` of its image: `pixels`, packed.
pub(crate) fn carrying<'a>(
    draw: &Draw<'_>,
    image: &CheckedImage,
    area: Rectangle,
    pixels: Cow<'a, [u8]>,
) -> Draw<'a> {
    let (width, height, format) = (area.width(), area.height(), image.format());
    let moved = |place: u32, by: i32| place.saturating_sub(by.unsigned_abs() << 16);
    let source = FixedRectangle {
        x: moved(draw.source.x, area.left()),
        y: moved(draw.source.y, area.top()),
        ..draw.source
    };
    let image = ImageView::packed(width, height, format).image(0);
    Draw { source, image, carried: pixels, ..draw.clone().into_owned() }
}

/// A draw from `pixels` with what it needs of them in its own message.
///
/// # Errors
/// [`Error::TooManyCarried`], or [`Error::Image`] where the image is not inside `pixels`.
pub(crate) fn carried<'a>(draw: &Draw<'_>, pixels: &'a [u8]) -> Result<Draw<'a>, Error> {
    let area = needed(draw);
    let mut ranges = Ranges::default();
    let image = ranges.add(&draw.image, area, pixels.len() as u64)?;
    match ranges.length() {
        ..=MAX_CARRIED => Ok(carrying(draw, &image, area, ranges.gather(pixels))),
        length => Err(Error::TooManyCarried { length }),
    }
}

#[cfg(test)]
mod tests {
    use blitd_protocol::image::Plane;

    use super::*;
    use crate::{Draw, Filter, Layer, LayerOptions};

    fn image() -> ImageView {
        ImageView::packed(20, 10, Format::Rgb565)
    }

    fn rectangle(x: i32, y: i32, width: u32, height: u32) -> Rectangle {
        Rectangle::new(x, y, width, height).unwrap()
    }

    fn layer() -> Layer {
        Layer::new(7, &LayerOptions::new(50, 50))
    }

    #[test]
    fn what_is_needed_is_the_part_whatever_its_filter() {
        let draw = Draw::new(image());
        let needed = |draw: Draw| needed(&draw.request(&layer(), 9));
        assert_eq!(needed(draw), rectangle(0, 0, 20, 10));
        assert_eq!(needed(draw.part(3, 0, 5, 2)), rectangle(3, 0, 5, 2));
        assert_eq!(needed(draw.part(3, 0, 5, 2).filter(Filter::Bilinear)), rectangle(3, 0, 5, 2));
        for outside in [draw.part(3, 0, 18, 2), draw.part(u32::MAX, 0, 1, 1), draw.part(0, 0, 0, 0)] {
            assert_eq!(needed(outside), rectangle(0, 0, 20, 10));
        }
        let mut split = draw.part(3, 1, 5, 2).request(&layer(), 9);
        split.source.x += 0x8000;
        assert_eq!(super::needed(&split), rectangle(3, 1, 6, 2), "half a pixel is a pixel");
    }

    #[test]
    fn pixels_that_share_their_colours_are_carried_with_them() {
        // Rows of 10 bytes, of which 9 are pixels; the colours are before them, in rows of 12.
        let view = ImageView {
            stride: 10,
            offset: 40,
            chroma_offset: 4,
            chroma_stride: 12,
            ..ImageView::packed(9, 5, Format::Nv12)
        };
        let memory: Vec<u8> = (0..90).collect();
        let carry = |draw: Draw| carried(&draw.request(&layer(), 9), &memory).unwrap();
        let part = carry(Draw::new(view).part(3, 1, 2, 2));
        assert_eq!(part.source, FixedRectangle::from_pixels(1, 1, 2, 2));
        assert_eq!((part.image.width, part.image.height, part.image.plane_count), (4, 4, 2));
        assert_eq!(part.image.planes[1], Plane { region: 0, stride: 4, offset: 16 });
        let rows = [42..46, 52..56, 62..66, 72..76, 6..10, 18..22].map(|places| memory[places].to_vec());
        assert_eq!(*part.carried, rows.concat());
        let corner = carry(Draw::new(view).part(8, 4, 1, 1));
        assert_eq!((corner.image.width, corner.image.height), (1, 1));
        assert_eq!(*corner.carried, [88, 28 + 8, 28 + 9]);

        let view = ImageView::packed(5, 2, Format::Yuyv);
        let part = carry(Draw::new(view).part(3, 0, 2, 1));
        assert_eq!((part.image.width, part.image.planes[0].stride), (3, 8));
        assert_eq!(part.source, FixedRectangle::from_pixels(1, 0, 2, 1));
        assert_eq!(part.carried[..8], memory[4..12]);
    }

    #[test]
    fn a_draw_that_carries_draws_the_same_pixels_to_the_same_place() {
        let draw = Draw::new(image()).part(4, 3, 5, 2).at(-1, 6).filter(Filter::Bilinear);
        let whole = draw.request(&layer(), 9);
        let memory: Vec<u8> = (0..400).map(|place| (place % 251) as u8).collect();
        let carried = carried(&whole, &memory).unwrap();
        assert_eq!(whole.source, FixedRectangle::from_pixels(4, 3, 5, 2));
        assert_eq!(carried.source, FixedRectangle::from_pixels(0, 0, 5, 2));
        assert_eq!(whole.destination, carried.destination);
        let Plane { region, stride, .. } = carried.image.planes[0];
        assert_eq!((carried.image.width, carried.image.height, stride, region), (5, 2, 10, 0));
        assert_eq!(carried.carried[..10], memory[3 * 40 + 8..3 * 40 + 18]);
        assert_eq!(carried.carried[10..], memory[4 * 40 + 8..4 * 40 + 18]);
    }
}
