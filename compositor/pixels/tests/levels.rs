//! Every level of kernels against the plain one, to the bit: random rectangles of random memory, at any alignment and
//! width. The memory is as long as the picture needs, to the byte, and all of it is compared, so that what is around the
//! rectangle is seen to be as it was; that nothing else is touched is for AddressSanitizer and valgrind to see.

use blitd_pixels::kernels::Kernels;
use blitd_pixels::level::Level;
use blitd_pixels::view::{Layout, Picture, PictureMut, View, ViewMut, Yuv};
use blitd_protocol::image::{Format, Rectangle};
use blitd_protocol::value::{ColorEncoding, ColorRange, Operator};
use proptest::prelude::*;

#[derive(Clone, Debug)]
struct Memory {
    layout: Layout,
    yuv: Yuv,
    bytes: Vec<u8>,
}

impl Memory {
    fn picture(&self) -> Picture<'_> {
        Picture::with_yuv(View::from_slice(&self.bytes), self.layout, self.yuv).unwrap()
    }

    /// What it is after `paint` has worked on it with the kernels of `level`.
    fn painted(
        &self,
        level: Level,
        is_past_cache: bool,
        paint: impl Fn(&Kernels, &mut PictureMut<'_>),
    ) -> Vec<u8> {
        let mut bytes = self.bytes.clone().into_boxed_slice().into_vec();
        let mut picture = PictureMut::new(ViewMut::from_slice(&mut bytes), self.layout).unwrap();
        if is_past_cache {
            picture = picture.past_cache();
        }
        paint(Kernels::of(level).unwrap(), &mut picture);
        bytes
    }

    fn same_at_every_level(
        &self,
        is_past_cache: bool,
        paint: impl Fn(&Kernels, &mut PictureMut<'_>),
    ) -> Result<(), TestCaseError> {
        let plain = self.painted(Level::Plain, is_past_cache, &paint);
        for level in Level::ALL.into_iter().filter(|level| level.is_there()) {
            prop_assert_eq!(&self.painted(level, is_past_cache, &paint), &plain, "{:?}", level);
        }
        Ok(())
    }
}

/// Pixels as pictures have them: anything, and runs of what is opaque or empty.
fn bytes(length: usize) -> impl Strategy<Value = Vec<u8>> {
    let runs =
        prop::collection::vec((prop::sample::select(vec![None, Some(0), Some(255)]), 1usize..40), 1..60);
    (prop::collection::vec(any::<u8>(), length), runs).prop_map(|(mut bytes, runs)| {
        let mut rest = bytes.as_mut_slice();
        for (value, words) in runs {
            let (run, after) = rest.split_at_mut((words * 4).min(rest.len()));
            if let Some(value) = value {
                run.fill(value);
            }
            rest = after;
        }
        bytes
    })
}

fn memory(formats: &'static [Format]) -> impl Strategy<Value = Memory> {
    let size = prop_oneof![4 => (1u32..150, 1u32..6), 1 => (1000u32..1100, 1u32..3)];
    let means = (prop::sample::select(ColorEncoding::ALL), prop::sample::select(ColorRange::ALL));
    let places = (0usize..70, 0usize..70, 0usize..70);
    (size, places, prop::sample::select(formats), means).prop_flat_map(
        |((width, height), (padding, offset, gap), format, (encoding, range))| {
            let size = |plane| {
                let (row, height) = format.plane_size(plane, width, height);
                (row as usize, height as usize)
            };
            let end = |offset, stride, (row, height): (usize, usize)| offset + stride * (height - 1) + row;
            let layout = Layout { width, height, stride: size(0).0 + padding, offset, format };
            let chroma_offset = end(offset, layout.stride, size(0)) + gap;
            let chroma_stride = size(1).0 + padding;
            let length = match format.planes() {
                1 => end(offset, layout.stride, size(0)),
                _ => end(chroma_offset, chroma_stride, size(1)),
            };
            let yuv = Yuv { encoding, range, chroma_offset, chroma_stride };
            bytes(length).prop_map(move |bytes| Memory { layout, yuv, bytes })
        },
    )
}

fn rectangle() -> impl Strategy<Value = Rectangle> {
    let width = prop_oneof![0u32..160, 1000u32..1100];
    (-6i32..40, -3i32..6, width, 0u32..8).prop_map(|(x, y, w, h)| Rectangle::new(x, y, w, h).unwrap())
}

const LAYERS: &[Format] = &[Format::Xrgb8888, Format::Argb8888];
const WORDS: &[Format] = &[Format::Xrgb8888, Format::Argb8888, Format::Xbgr8888, Format::Abgr8888];

proptest! {
    #![proptest_config(ProptestConfig { cases: 8 * ProptestConfig::default().cases, ..ProptestConfig::default() })]

    #[test]
    fn draws(
        source in memory(&Format::ALL), target in memory(LAYERS), to in rectangle(), from in (-4i32..40, -3i32..6),
        operator in prop::sample::select(Operator::ALL), opacity in prop_oneof![Just(255), any::<u8>()],
        is_past_cache: bool,
    ) {
        target.same_at_every_level(is_past_cache, |kernels, target| {
            kernels.draw(&source.picture(), from, target, to, operator, opacity);
        })?;
    }

    #[test]
    fn conversions(
        source in memory(LAYERS), target in memory(WORDS), to in rectangle(), from in (-4i32..40, -3i32..6),
        is_past_cache: bool,
    ) {
        target.same_at_every_level(is_past_cache, |kernels, target| {
            kernels.convert(&source.picture(), from, target, to);
        })?;
    }

    #[test]
    fn fills(
        target in memory(LAYERS), to in rectangle(), colour: u32, operator in prop::sample::select(Operator::ALL),
    ) {
        target.same_at_every_level(false, |kernels, target| kernels.fill(target, to, colour, operator))?;
    }

    #[test]
    fn fetched_rows(
        source in memory(&Format::ALL), x in -2i32..160, y in -2i32..7, count in 0usize..160, offset in 0usize..16,
    ) {
        let fetched = |level| {
            let mut out = vec![0x1234_5678; offset + count + 3];
            let kernels = Kernels::of(level).unwrap();
            kernels.fetch_row(&source.picture(), x, y, &mut out[offset..offset + count]);
            out
        };
        for level in Level::ALL.into_iter().filter(|level| level.is_there()) {
            prop_assert_eq!(fetched(level), fetched(Level::Plain), "{:?}", level);
        }
    }
}
