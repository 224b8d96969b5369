//! YUV against the equations of ITU-T H.273, and against what the crate `yuv` makes of it: both within one step.

use blitd_pixels::kernels::Kernels;
use blitd_pixels::level::Level;
use blitd_pixels::view::{Layout, Picture, View, Yuv};
use blitd_protocol::image::Format;
use blitd_protocol::value::{ColorEncoding, ColorRange};
use proptest::prelude::*;
use yuv::{YuvBiPlanarImage, YuvConversionMode, YuvRange, YuvStandardMatrix};

/// Red, green and blue of Y, Cb and Cr, as the equations have them.
fn equations([y, cb, cr]: [u8; 3], encoding: ColorEncoding, range: ColorRange) -> [f64; 3] {
    let (kr, kb) = match encoding {
        ColorEncoding::Bt601 => (0.299, 0.114),
        ColorEncoding::Bt709 => (0.2126, 0.0722),
    };
    let [y, cb, cr] = [y, cb, cr].map(f64::from);
    let (y, cb, cr) = match range {
        ColorRange::Limited => ((y - 16.0) / 219.0, (cb - 128.0) / 224.0, (cr - 128.0) / 224.0),
        ColorRange::Full => (y / 255.0, (cb - 128.0) / 255.0, (cr - 128.0) / 255.0),
    };
    let red = y + 2.0 * (1.0 - kr) * cr;
    let blue = y + 2.0 * (1.0 - kb) * cb;
    let green = (y - kr * red - kb * blue) / (1.0 - kr - kb);
    [red, green, blue].map(|channel| (channel * 255.0).clamp(0.0, 255.0))
}

/// How far a pixel may be from the equations: a half for rounding it, and what its parts are rounded by. The farthest of all
/// is 0.527 away.
const MOST: f64 = 0.53;

/// A picture of random size and memory, with rows that are longer than they must be.
#[derive(Clone, Debug)]
struct Memory {
    layout: Layout,
    yuv: Yuv,
    bytes: Vec<u8>,
}

impl Memory {
    /// Y, Cb and Cr of a pixel, as drm_fourcc.h has them.
    fn samples(&self, x: usize, y: usize) -> [u8; 3] {
        let Layout { stride, offset, .. } = self.layout;
        let chroma = self.yuv.chroma_offset + y / 2 * self.yuv.chroma_stride + x / 2 * 2;
        let pair = offset + y * stride + x / 2 * 4;
        let at = match self.layout.format {
            Format::Nv12 => [offset + y * stride + x, chroma, chroma + 1],
            _ => [pair + x % 2 * 2, pair + 1, pair + 3],
        };
        at.map(|at| self.bytes[at])
    }

    /// All of its rows, each from column `x` on, as each level reads them.
    fn fetched(&self, x: usize) -> Vec<Vec<[u8; 4]>> {
        let picture = Picture::with_yuv(View::from_slice(&self.bytes), self.layout, self.yuv).unwrap();
        let rows = |kernels: &Kernels| {
            let mut rows = Vec::new();
            for y in 0..self.layout.height {
                let mut out = vec![0; self.layout.width as usize - x];
                kernels.fetch_row(&picture, x as i32, y as i32, &mut out);
                rows.extend(out.into_iter().map(u32::to_le_bytes));
            }
            rows
        };
        Level::ALL.into_iter().filter_map(Kernels::of).map(rows).collect()
    }

    /// What the crate `yuv` makes of it, as B, G, R, A.
    fn by_others(&self) -> Vec<u8> {
        let Layout { width, height, stride, offset, format } = self.layout;
        let range = match self.yuv.range {
            ColorRange::Limited => YuvRange::Limited,
            ColorRange::Full => YuvRange::Full,
        };
        let matrix = match self.yuv.encoding {
            ColorEncoding::Bt601 => YuvStandardMatrix::Bt601,
            ColorEncoding::Bt709 => YuvStandardMatrix::Bt709,
        };
        let mut out = vec![0; (width * height * 4) as usize];
        // Of YUYV as it is, the library is up to two steps away from the equations; in two planes it is exact.
        let words = if format == Format::Yuyv { &self.bytes[offset..] } else { &[] };
        let lumas: Vec<u8> = words.iter().step_by(2).copied().collect();
        let chromas: Vec<u8> = words.iter().skip(1).step_by(2).copied().collect();
        let image = |y_plane, y_stride, uv_plane, uv_stride: usize| YuvBiPlanarImage {
            y_plane,
            y_stride,
            uv_plane,
            uv_stride: uv_stride as u32,
            width,
            height,
        };
        let mode = YuvConversionMode::Balanced;
        let result = match format {
            Format::Nv12 => {
                let Yuv { chroma_offset, chroma_stride, .. } = self.yuv;
                let (lumas, chromas) = self.bytes.split_at(chroma_offset);
                let image = image(&lumas[offset..], stride as u32, chromas, chroma_stride);
                yuv::yuv_nv12_to_bgra(&image, &mut out, width * 4, range, matrix, mode)
            }
            _ => {
                let image = image(&lumas, stride as u32 / 2, &chromas, stride / 2);
                yuv::yuv_nv16_to_bgra(&image, &mut out, width * 4, range, matrix, mode)
            }
        };
        result.unwrap();
        out
    }
}

fn memory() -> impl Strategy<Value = Memory> {
    let means = (prop::sample::select(ColorEncoding::ALL), prop::sample::select(ColorRange::ALL));
    let format = prop::sample::select(vec![Format::Nv12, Format::Yuyv]);
    ((1u32..90, 1u32..5), (0usize..9, 0usize..9), format, means).prop_flat_map(
        |((width, height), (padding, offset), format, (encoding, range))| {
            let size = |plane| {
                let (row, height) = format.plane_size(plane, width, height);
                (row as usize + padding, height as usize)
            };
            // Whole pairs of bytes, so that a row of YUYV begins with Y.
            let stride = if format == Format::Yuyv { size(0).0.next_multiple_of(2) } else { size(0).0 };
            let layout = Layout { width, height, stride, offset, format };
            let chroma_offset = offset + stride * size(0).1;
            let yuv = Yuv { encoding, range, chroma_offset, chroma_stride: size(1).0 };
            let chroma = if format == Format::Nv12 { size(1).0 * size(1).1 } else { 0 };
            prop::collection::vec(any::<u8>(), chroma_offset + chroma).prop_map(move |bytes| Memory {
                layout,
                yuv,
                bytes,
            })
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2 * ProptestConfig::default().cases, ..ProptestConfig::default() })]

    #[test]
    fn pixels_are_those_of_the_equations(memory in memory(), x in 0usize..90) {
        let x = x % memory.layout.width as usize;
        let columns = memory.layout.width as usize - x;
        for pixels in memory.fetched(x) {
            for (index, [blue, green, red, alpha]) in pixels.into_iter().enumerate() {
                let samples = memory.samples(x + index % columns, index / columns);
                let exact = equations(samples, memory.yuv.encoding, memory.yuv.range);
                prop_assert_eq!(alpha, 255);
                for (ours, exact) in [red, green, blue].into_iter().zip(exact) {
                    prop_assert!((f64::from(ours) - exact).abs() < MOST, "{:?}: {} is {}", samples, ours, exact);
                }
            }
        }
    }

    #[test]
    fn pixels_are_those_of_another_library(memory in memory()) {
        let expected = memory.by_others();
        for pixels in memory.fetched(0) {
            for (ours, theirs) in pixels.as_flattened().iter().zip(&expected) {
                prop_assert!(ours.abs_diff(*theirs) <= 1, "{} is {} there", ours, theirs);
            }
        }
    }
}

/// Every Y with Cb and Cr from end to end, where sums are largest.
#[test]
fn all_colours_are_those_of_the_equations() {
    let of = |encoding: &ColorEncoding| {
        let encoding = *encoding;
        ColorRange::ALL.iter().map(move |range| (encoding, *range))
    };
    for (encoding, range) in ColorEncoding::ALL.iter().flat_map(of) {
        for cb in (0..=255).step_by(5) {
            // A row for each Cr, with every Y.
            let row = |cr| (0..=255).step_by(2).flat_map(move |y: u8| [y, cb, y + 1, cr]);
            let bytes: Vec<u8> = (0..=255).step_by(5).flat_map(row).collect();
            let layout = Layout { width: 256, height: 52, stride: 512, offset: 0, format: Format::Yuyv };
            let memory =
                Memory { layout, yuv: Yuv { encoding, range, chroma_offset: 0, chroma_stride: 0 }, bytes };
            for pixels in memory.fetched(0) {
                for (index, [blue, green, red, _]) in pixels.into_iter().enumerate() {
                    let samples = memory.samples(index % 256, index / 256);
                    let exact = equations(samples, encoding, range);
                    for (ours, exact) in [red, green, blue].into_iter().zip(exact) {
                        assert!((f64::from(ours) - exact).abs() < MOST, "{samples:?}: {ours} is {exact}");
                    }
                }
            }
        }
    }
}

#[test]
fn black_and_white_are_just_that() {
    for (encoding, range) in [
        (ColorEncoding::Bt601, ColorRange::Limited),
        (ColorEncoding::Bt601, ColorRange::Full),
        (ColorEncoding::Bt709, ColorRange::Limited),
        (ColorEncoding::Bt709, ColorRange::Full),
    ] {
        let [black, white] = if range == ColorRange::Limited { [16, 235] } else { [0, 255] };
        let layout = Layout { width: 2, height: 1, stride: 4, offset: 0, format: Format::Yuyv };
        let yuv = Yuv { encoding, range, chroma_offset: 0, chroma_stride: 0 };
        let memory = Memory { layout, yuv, bytes: vec![black, 128, white, 128] };
        for pixels in memory.fetched(0) {
            assert_eq!(pixels, [[0, 0, 0, 255], [255; 4]], "{encoding:?} {range:?}");
        }
    }
}
