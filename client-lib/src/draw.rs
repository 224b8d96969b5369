//! Draws: which pixels, and how they come into a layer.

use blitd_protocol::image::{Format, Image, Plane};
use blitd_protocol::request::{self, FixedRectangle, Pixels};
use blitd_protocol::value::{ColorEncoding, ColorRange, Filter, Operator, Transform};

use crate::layer::Layer;

/// Where in a region an image is: rows of pixels, top row first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageView {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The pixel format.
    pub format: Format,
    /// Bytes from the start of one row to the start of the next.
    pub stride: u32,
    /// Bytes from the start of the region to the first row.
    pub offset: u64,
    /// Bytes from the start of the region to the first row of the second plane, that of the colours, where the format has
    /// one; otherwise of no account.
    pub chroma_offset: u64,
    /// Bytes from the start of one row of it to the start of the next.
    pub chroma_stride: u32,
}

impl ImageView {
    /// An image at the start of a region, its rows and planes without a gap.
    pub const fn packed(width: u32, height: u32, format: Format) -> Self {
        let (stride, chroma_stride) = (row(format, 0, width), row(format, 1, width));
        Self {
            width,
            height,
            format,
            stride,
            offset: 0,
            chroma_offset: stride as u64 * height as u64,
            chroma_stride,
        }
    }

    /// The image as the protocol has it, in the region with this id; 0 is what the message carries.
    pub(crate) fn image(&self, region: u32) -> Image {
        let plane = Plane { region, stride: self.stride, offset: self.offset };
        let mut image = Image::linear(self.width, self.height, self.format, plane);
        if self.format.planes() > 1 {
            image.plane_count = 2;
            image.planes[1] = Plane { region, stride: self.chroma_stride, offset: self.chroma_offset };
        }
        image
    }
}

/// How many bytes a row of a plane takes, as far as that can be a stride.
const fn row(format: Format, plane: usize, width: u32) -> u32 {
    let (bytes, _) = format.plane_size(plane, width, 1);
    if bytes > u32::MAX as u64 { u32::MAX } else { bytes as u32 }
}

/// A draw: an image, the part of it, and how that comes into a layer.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Draw {
    image: ImageView,
    /// All of the image where not stated.
    part: Option<FixedRectangle>,
    place: (i32, i32),
    /// Width and height in the layer; those of the part, as the transform turns them, where not stated.
    size: Option<(u32, u32)>,
    operator: Operator,
    opacity: u8,
    transform: Transform,
    filter: Filter,
    encoding: ColorEncoding,
    range: ColorRange,
}

impl Draw {
    /// Copies all of `image` to the layer's top left corner, where it replaces what is there.
    pub const fn new(image: ImageView) -> Self {
        Self {
            image,
            part: None,
            place: (0, 0),
            size: None,
            operator: Operator::Source,
            opacity: u8::MAX,
            transform: Transform::Identity,
            filter: Filter::Nearest,
            encoding: ColorEncoding::Bt601,
            range: ColorRange::Limited,
        }
    }

    /// Puts the top left corner at this pixel of the layer; what leaves the layer is clipped.
    pub const fn at(mut self, x: i32, y: i32) -> Self {
        self.place = (x, y);
        self
    }

    /// Draws this part of the image only, in pixels. The daemon refuses one that leaves the image.
    pub const fn part(mut self, x: u32, y: u32, width: u32, height: u32) -> Self {
        let [x, y, width, height] = [fixed(x), fixed(y), fixed(width), fixed(height)];
        self.part = Some(FixedRectangle { x, y, width, height });
        self
    }

    /// Draws this part of the image only, in 1/65536 of a pixel; for a picture that zooms or pans smoothly. Where it is
    /// not scaled to a size, that is whole pixels, rounded up.
    pub const fn part_of_pixels(mut self, part: FixedRectangle) -> Self {
        self.part = Some(part);
        self
    }

    /// Scales it to this size in pixels of the layer: the size that it has there, so after the
    /// [`transform`](Self::transform).
    pub const fn scaled_to(mut self, width: u32, height: u32) -> Self {
        self.size = Some((width, height));
        self
    }

    /// Blends it, premultiplied, over what is there.
    pub const fn over(mut self) -> Self {
        self.operator = Operator::Over;
        self
    }

    /// How much of it is drawn, 255 all.
    pub const fn opacity(mut self, opacity: u8) -> Self {
        self.opacity = opacity;
        self
    }

    /// Turns it on its way into the layer, after it is scaled: the picture
    ///
    /// ```text
    /// 1 2 3
    /// 4 5 6
    /// ```
    ///
    /// becomes
    ///
    /// ```text
    /// Identity   Rotate90   Rotate180   Rotate270
    /// 1 2 3      3 6        6 5 4       4 1
    /// 4 5 6      2 5        3 2 1       5 2
    ///            1 4                    6 3
    ///
    /// Reflect    ReflectRotate90   ReflectRotate180   ReflectRotate270
    /// 3 2 1      1 4               4 5 6              6 3
    /// 6 5 4      2 5               1 2 3              5 2
    ///            3 6                                  4 1
    /// ```
    pub const fn transform(mut self, transform: Transform) -> Self {
        self.transform = transform;
        self
    }

    /// How pixels are made where it is scaled: [`Nearest`](Filter::Nearest), unless told otherwise, takes one source pixel
    /// for each; [`Bilinear`](Filter::Bilinear) mixes those around, and where it makes a picture smaller than half, all
    /// that come to one. That may be 65536 at the most, or the daemon refuses it with
    /// [`NotSupported`](blitd_protocol::error::ErrorCode::NotSupported): then draw it smaller in two steps.
    pub const fn filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// Which colours the numbers of a YUV image mean: BT.601 of limited range unless stated. The daemon refuses anything
    /// else for RGB formats.
    pub const fn colours(mut self, encoding: ColorEncoding, range: ColorRange) -> Self {
        (self.encoding, self.range) = (encoding, range);
        self
    }

    /// The request for it, from the region with this id; 0 is what the message carries.
    pub(crate) fn request(&self, layer: &Layer, region: u32) -> request::Draw<'static> {
        let source = self.part.unwrap_or(FixedRectangle {
            x: 0,
            y: 0,
            width: fixed(self.image.width),
            height: fixed(self.image.height),
        });
        let [width, height] = [source.width, source.height].map(|side| side.div_ceil(1 << 16));
        let turned = match self.transform {
            Transform::Identity | Transform::Rotate180 | Transform::Reflect | Transform::ReflectRotate180 => {
                (width, height)
            }
            Transform::Rotate90
            | Transform::Rotate270
            | Transform::ReflectRotate90
            | Transform::ReflectRotate270 => (height, width),
        };
        let (width_there, height_there) = self.size.unwrap_or(turned);
        request::Draw {
            layer: layer.id(),
            transform: self.transform,
            filter: self.filter,
            operator: self.operator,
            opacity: self.opacity,
            source,
            destination: Pixels {
                x: self.place.0,
                y: self.place.1,
                width: width_there,
                height: height_there,
            },
            image: self.image.image(region),
            encoding: self.encoding,
            range: self.range,
            carried: (&[]).into(),
        }
    }
}

/// Whole pixels in 16.16. What does not fit is outside of every image, and still is when cut.
const fn fixed(pixels: u32) -> u32 {
    let most = u16::MAX as u32;
    (if pixels < most { pixels } else { most }) << 16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::LayerOptions;

    fn image() -> ImageView {
        ImageView::packed(20, 10, Format::Rgb565)
    }

    #[test]
    fn what_is_turned_takes_its_turned_size() {
        let layer = Layer::new(7, &LayerOptions::new(50, 50));
        let size = |draw: Draw| {
            let there = draw.request(&layer, 1).destination;
            (there.width, there.height)
        };
        let draw = Draw::new(image()).part(0, 0, 6, 3);
        assert_eq!(size(draw), (6, 3));
        assert_eq!(size(draw.transform(Transform::Rotate270)), (3, 6));
        assert_eq!(size(draw.transform(Transform::ReflectRotate180)), (6, 3));
        assert_eq!(size(draw.transform(Transform::Rotate90).scaled_to(8, 9)), (8, 9));
        let half = FixedRectangle { x: 0x8000, y: 0, width: 0x2_0001, height: 0x1_0000 };
        assert_eq!(size(draw.part_of_pixels(half)), (3, 1), "what is begun counts");
        assert_eq!(draw.part_of_pixels(half).request(&layer, 1).source, half);
    }
}
