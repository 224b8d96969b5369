//! Random rectangles of random pictures against a per-pixel model written without the kernels' clipping.

use blitd_pixels::blit::{convert, draw, fill};
use blitd_pixels::pixel::{OPAQUE, from_rgb565, from_xrgb2101010, multiply, over, swap_red_blue};
use blitd_pixels::view::{Layout, Picture, PictureMut, View, ViewMut};
use blitd_protocol::image::{Format, Rectangle};
use blitd_protocol::value::Operator;
use proptest::prelude::*;

#[derive(Clone, Debug)]
struct Raw {
    layout: Layout,
    bytes: Vec<u8>,
}

impl Raw {
    fn word(&self, x: i32, y: i32) -> Option<u32> {
        let Layout { width, height, stride, offset, format } = self.layout;
        if x < 0 || y < 0 || x >= width as i32 || y >= height as i32 {
            return None;
        }
        let at = offset + y as usize * stride + x as usize * format.bytes_per_pixel() as usize;
        let word = |at| u32::from_le_bytes(self.bytes[at..at + 4].try_into().unwrap());
        Some(match format {
            Format::Xrgb8888 => word(at) | OPAQUE,
            Format::Argb8888 => word(at),
            Format::Xbgr8888 => swap_red_blue(word(at)) | OPAQUE,
            Format::Abgr8888 => swap_red_blue(word(at)),
            Format::Rgb565 => from_rgb565(u16::from_le_bytes([self.bytes[at], self.bytes[at + 1]])),
            Format::Rgb888 => {
                u32::from_le_bytes([self.bytes[at], self.bytes[at + 1], self.bytes[at + 2], 255])
            }
            Format::Xrgb2101010 => from_xrgb2101010(word(at)),
            Format::Nv12 | Format::Yuyv => unreachable!("yuv.rs has these"),
        })
    }

    fn picture(&self) -> Picture<'_> {
        Picture::new(View::from_slice(&self.bytes), self.layout).unwrap()
    }
}

fn raw(formats: &'static [Format]) -> impl Strategy<Value = Raw> {
    (1u32..24, 1u32..12, 0usize..9, 0usize..9, prop::sample::select(formats)).prop_flat_map(
        |(width, height, padding, offset, format)| {
            let stride = (width * format.bytes_per_pixel()) as usize + padding;
            let layout = Layout { width, height, stride, offset, format };
            let length = offset + stride * height as usize;
            prop::collection::vec(any::<u8>(), length).prop_map(move |bytes| Raw { layout, bytes })
        },
    )
}

const RGB: &[Format] = &[
    Format::Xrgb8888,
    Format::Argb8888,
    Format::Xbgr8888,
    Format::Abgr8888,
    Format::Rgb565,
    Format::Rgb888,
    Format::Xrgb2101010,
];
const LAYERS: &[Format] = &[Format::Xrgb8888, Format::Argb8888];
const WORDS: &[Format] = &[Format::Xrgb8888, Format::Argb8888, Format::Xbgr8888, Format::Abgr8888];

fn rectangle() -> impl Strategy<Value = Rectangle> {
    (-6i32..30, -6i32..18, 0u32..30, 0u32..20).prop_map(|(x, y, w, h)| Rectangle::new(x, y, w, h).unwrap())
}

fn inside(rectangle: Rectangle, x: i32, y: i32) -> bool {
    x >= rectangle.left() && x < rectangle.right() && y >= rectangle.top() && y < rectangle.bottom()
}

/// Compares every pixel, and that no byte between or around the pixels has changed.
fn compare(before: &Raw, after: &Raw, expected: impl Fn(i32, i32) -> u32) -> Result<(), TestCaseError> {
    let Layout { width, height, stride, offset, .. } = before.layout;
    let mut rest = vec![true; before.bytes.len()];
    for y in 0..height as i32 {
        for x in 0..width as i32 {
            prop_assert_eq!(after.word(x, y).unwrap(), expected(x, y), "pixel ({}, {})", x, y);
            let at = offset + y as usize * stride + x as usize * 4;
            rest[at..at + 4].fill(false);
        }
    }
    for (at, outside) in rest.into_iter().enumerate() {
        prop_assert!(!outside || before.bytes[at] == after.bytes[at], "byte {} is not a pixel's", at);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16 * ProptestConfig::default().cases, ..ProptestConfig::default() })]

    #[test]
    fn drawing_is_exact(
        source in raw(RGB), target in raw(LAYERS), to in rectangle(),
        from in (-4i32..20, -4i32..12), operator in prop::sample::select(Operator::ALL),
        opacity in prop_oneof![Just(255), Just(0), any::<u8>()], past_cache: bool,
    ) {
        let mut after = target.clone();
        let mut picture = PictureMut::new(ViewMut::from_slice(&mut after.bytes), target.layout).unwrap();
        if past_cache {
            picture = picture.past_cache();
        }
        draw(&source.picture(), from, &mut picture, to, operator, opacity);
        let opaque = if target.layout.format.has_alpha() { 0 } else { OPAQUE };
        compare(&target, &after, |x, y| {
            let there = target.word(x, y).unwrap();
            let read = source.word(x - to.left() + from.0, y - to.top() + from.1);
            match read.filter(|_| inside(to, x, y)).map(|word| multiply(word, opacity)) {
                None => there,
                Some(word) if operator == Operator::Source => word | opaque,
                Some(word) => over(word, there) | opaque,
            }
        })?;
    }

    #[test]
    fn conversion_is_exact(
        source in raw(LAYERS), target in raw(WORDS), to in rectangle(), from in (-4i32..20, -4i32..12),
    ) {
        let mut after = target.clone();
        let mut picture = PictureMut::new(ViewMut::from_slice(&mut after.bytes), target.layout).unwrap();
        convert(&source.picture(), from, &mut picture, to);
        compare(&target, &after, |x, y| {
            match source.word(x - to.left() + from.0, y - to.top() + from.1).filter(|_| inside(to, x, y)) {
                None => target.word(x, y).unwrap(),
                Some(word) if target.layout.format.has_alpha() => word,
                Some(word) => word | OPAQUE,
            }
        })?;
    }

    #[test]
    fn filling_is_exact(
        target in raw(LAYERS), to in rectangle(), colour in any::<u32>(), operator in prop::sample::select(Operator::ALL),
    ) {
        let mut after = target.clone();
        let mut picture = PictureMut::new(ViewMut::from_slice(&mut after.bytes), target.layout).unwrap();
        fill(&mut picture, to, colour, operator);
        let opaque = if target.layout.format.has_alpha() { 0 } else { OPAQUE };
        compare(&target, &after, |x, y| match (inside(to, x, y), operator) {
            (false, _) => target.word(x, y).unwrap(),
            (true, Operator::Source) => colour | opaque,
            (true, Operator::Over) => over(colour, target.word(x, y).unwrap()) | opaque,
        })?;
    }
}

#[test]
fn the_unused_byte_of_a_converted_picture_is_255() {
    let source = [1, 2, 3, 0];
    let mut target = [0; 4];
    let layout = Layout { width: 1, height: 1, stride: 4, offset: 0, format: Format::Xrgb8888 };
    let picture = Picture::new(View::from_slice(&source), layout).unwrap();
    convert(
        &picture,
        (0, 0),
        &mut PictureMut::new(ViewMut::from_slice(&mut target), layout).unwrap(),
        Rectangle::from_size(1, 1),
    );
    assert_eq!(target, [1, 2, 3, 255]);
}
