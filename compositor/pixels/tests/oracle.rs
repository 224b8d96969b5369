//! What libpixman makes of the same pictures, at every level, to the bit.

mod pixman;

use std::ffi::c_uint;

use blitd_pixels::kernels::Kernels;
use blitd_pixels::level::Level;
use blitd_pixels::view::{Layout, Picture, PictureMut, View, ViewMut};
use blitd_protocol::image::{Format, Rectangle};
use blitd_protocol::value::Operator;
use pixman::Image;
use proptest::prelude::*;

fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn words(bytes: &[u8]) -> Vec<u32> {
    bytes.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect()
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

/// Two pictures of the same size, as words: the source in rows of `stride` words, the target packed and XRGB8888.
#[derive(Clone, Debug)]
struct Pair {
    size: (u32, u32),
    format: Format,
    stride: usize,
    source: Vec<u32>,
    target: Vec<u32>,
}

impl Pair {
    fn pixman(&self, target: c_uint, operator: c_uint, opacity: u8) -> Vec<u32> {
        let (width, height) = self.size;
        let (mut source, mut out) = (self.source.clone(), self.target.clone());
        let source = Image::new(pixman::code(self.format), width, height, self.stride, &mut source);
        let mask = (opacity < 255).then(|| Image::opacity(opacity));
        Image::new(target, width, height, width as usize, &mut out).composite(
            operator,
            &source,
            mask.as_ref(),
            self.size,
        );
        out
    }

    /// What `paint` makes of it with the kernels of each level that is there.
    fn ours(
        &self,
        target: Format,
        paint: impl Fn(&Kernels, &Picture<'_>, &mut PictureMut<'_>),
    ) -> Vec<Vec<u32>> {
        let (width, height) = self.size;
        let layout = Layout { width, height, stride: self.stride * 4, offset: 0, format: self.format };
        let source = bytes(&self.source);
        let source = Picture::new(View::from_slice(&source), layout).unwrap();
        let layout = Layout { stride: width as usize * 4, format: target, ..layout };
        let levels = Level::ALL.into_iter().filter_map(Kernels::of);
        levels
            .map(|kernels| {
                let mut out = bytes(&self.target);
                let mut target = PictureMut::new(ViewMut::from_slice(&mut out), layout).unwrap();
                paint(kernels, &source, &mut target);
                words(&out)
            })
            .collect()
    }

    fn whole(&self) -> Rectangle {
        Rectangle::from_size(self.size.0, self.size.1)
    }
}

/// Premultiplied where the format has alpha: of other words, each implementation may make what it likes.
fn pair(formats: &'static [Format]) -> impl Strategy<Value = Pair> {
    (1u32..70, 1u32..4, prop::sample::select(formats)).prop_flat_map(|(width, height, format)| {
        let stride = (width * format.bytes_per_pixel()).div_ceil(4) as usize;
        let count = stride * height as usize;
        let any_words = prop::collection::vec(any::<u32>(), count);
        let target = prop::collection::vec(any::<u32>(), (width * height) as usize);
        (any_words, target).prop_map(move |(source, target)| {
            let premultiplied = |word: u32| {
                let alpha = word >> 24;
                let channel = |shift: u32| (((word >> shift) & 0xff) * alpha / 255) << shift;
                (alpha << 24) | channel(16) | channel(8) | channel(0)
            };
            let source = match format.has_alpha() {
                true => source.into_iter().map(premultiplied).collect(),
                false => source,
            };
            Pair { size: (width, height), format, stride, source, target }
        })
    })
}

fn colours(words: Vec<u32>) -> Vec<u32> {
    words.into_iter().map(|word| word & 0x00ff_ffff).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4 * ProptestConfig::default().cases, ..ProptestConfig::default() })]

    #[test]
    fn over_is_that_of_pixman(
        pair in pair(&[Format::Argb8888, Format::Abgr8888]), opacity in prop_oneof![Just(255), any::<u8>()],
    ) {
        let expected = pair.pixman(pixman::A8R8G8B8, pixman::OVER, opacity);
        for ours in pair.ours(Format::Argb8888, |kernels, source, target| {
            kernels.draw(source, (0, 0), target, pair.whole(), Operator::Over, opacity);
        }) {
            prop_assert_eq!(&ours, &expected);
        }
    }

    #[test]
    fn opaque_formats_with_an_opacity_are_blended_as_by_pixman(pair in pair(RGB), opacity: u8) {
        prop_assume!(!is_wide(pair.format));
        let expected = colours(pair.pixman(pixman::X8R8G8B8, pixman::OVER, opacity));
        for ours in pair.ours(Format::Xrgb8888, |kernels, source, target| {
            kernels.draw(source, (0, 0), target, pair.whole(), Operator::Over, opacity);
        }) {
            prop_assert_eq!(&colours(ours), &expected);
        }
    }

    #[test]
    fn what_is_read_is_converted_as_by_pixman(pair in pair(RGB)) {
        let expected = pair.pixman(pixman::A8R8G8B8, pixman::SOURCE, 255);
        for ours in pair.ours(Format::Argb8888, |kernels, source, target| {
            kernels.draw(source, (0, 0), target, pair.whole(), Operator::Source, 255);
        }) {
            prop_assert_eq!(&ours, &expected);
        }
    }

    #[test]
    fn what_is_written_is_converted_as_by_pixman(
        pair in pair(&[Format::Argb8888, Format::Xrgb8888]),
        target in prop::sample::select(&[Format::Argb8888, Format::Abgr8888][..]),
    ) {
        let expected = pair.pixman(pixman::code(target), pixman::SOURCE, 255);
        for ours in pair.ours(target, |kernels, source, target| {
            kernels.convert(source, (0, 0), target, pair.whole());
        }) {
            prop_assert_eq!(&ours, &expected);
        }
    }
}

/// Whether pixman calculates with more than 8 bits a channel, and so blends otherwise.
fn is_wide(format: Format) -> bool {
    format == Format::Xrgb2101010
}
