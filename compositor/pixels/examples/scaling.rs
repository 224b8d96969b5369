//! How long scaling takes: beside libpixman, and beside a copy of as many bytes, from which the charges of slices are.
//!
//!     cargo run --release --package blitd-pixels --example scaling

#[path = "../tests/pixman/mod.rs"]
mod pixman;

use std::time::Instant;

use blitd_pixels::level::Level;
use blitd_pixels::sample::Scaling;
use blitd_pixels::view::{Layout, Picture, PictureMut, View, ViewMut};
use blitd_protocol::image::{Format, Rectangle};
use blitd_protocol::request::FixedRectangle;
use blitd_protocol::value::{Filter, Operator, Transform};
use pixman::Image;

const ROUNDS: usize = 40;

fn layout(size: (u32, u32), format: Format) -> Layout {
    Layout { width: size.0, height: size.1, stride: size.0 as usize * 4, offset: 0, format }
}

/// The median of what each takes, in nanoseconds; they take turns, so that all of them meet the same machine.
fn medians<const N: usize>(mut runs: [&mut dyn FnMut(); N]) -> [f64; N] {
    let mut times = vec![Vec::new(); N];
    for _ in 0..ROUNDS {
        for (run, times) in runs.iter_mut().zip(&mut times) {
            let begin = Instant::now();
            run();
            times.push(begin.elapsed().as_nanos() as f64);
        }
    }
    times
        .into_iter()
        .map(|mut times| {
            times.sort_by(f64::total_cmp);
            times[ROUNDS / 2]
        })
        .collect::<Vec<_>>()
        .try_into()
        .unwrap_or([0.0; N])
}

fn measure(from: (u32, u32), to: (u32, u32), filter: Filter, transform: Transform) {
    let bytes: Vec<u8> =
        (0..from.0 as usize * from.1 as usize * 4).map(|byte| (byte * 7 % 251) as u8).collect();
    let mut words: Vec<u32> = bytes.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
    let source = Picture::new(View::from_slice(&bytes), layout(from, Format::Argb8888)).unwrap();
    let whole = Rectangle::from_size(to.0, to.1);
    let crop = FixedRectangle { x: 0, y: 0, width: from.0 << 16, height: from.1 << 16 };
    let scaling = Scaling::new(crop, whole, transform, filter).unwrap();
    let length = to.0 as usize * to.1 as usize;
    let mut outs = [vec![0u8; length * 4], vec![0u8; length * 4], vec![0u8; length * 4]];
    let [best_out, sse41_out, plain_out] = &mut outs;
    let (copied, mut copy) = (vec![1u8; length * 4], vec![0u8; length * 4]);
    let mut theirs = vec![0u32; length];
    let image = Image::new(pixman::A8R8G8B8, from.0, from.1, from.0 as usize, &mut words);
    let ratio = |from: u32, to: u32| ((u64::from(from) << 16) / u64::from(to)) as i32;
    image.sample([[ratio(from.0, to.0), 0, 0], [0, ratio(from.1, to.1), 0], [0, 0, 1 << 16]], filter);
    let mut target = Image::new(pixman::A8R8G8B8, to.0, to.1, to.0 as usize, &mut theirs);
    let draw = |out: &mut [u8], level| {
        let mut target = PictureMut::new(ViewMut::from_slice(out), layout(to, Format::Argb8888)).unwrap();
        scaling.draw_at(level, &source, &mut target, whole, Operator::Source, 255);
    };
    let [best, sse41, plain, theirs, copy] = medians([
        &mut || draw(best_out, Level::best()),
        &mut || draw(sse41_out, Level::Sse41),
        &mut || draw(plain_out, Level::Plain),
        &mut || target.composite(pixman::SOURCE, &image, None, to),
        &mut || copy.copy_from_slice(&copied),
    ]);
    let name = format!("{}x{} to {}x{}, {filter:?}, {transform:?}", from.0, from.1, to.0, to.1);
    println!(
        "{name:55} {:6.2} ns a pixel; libpixman takes {:5.2} times as long, SSE4.1 {:5.2}, plain {:5.2}; a copy's {:5.1} bytes, \
         charged {}",
        best / length as f64,
        theirs / best,
        sse41 / best,
        plain / best,
        best / copy * 4.0,
        scaling.cost()
    );
}

fn main() {
    let hd = (1920, 1080);
    for filter in [Filter::Bilinear, Filter::Nearest] {
        for (from, to) in [
            ((500, 500), (1000, 1000)),
            (hd, (1280, 720)),
            ((1280, 720), hd),
            ((64, 64), (100, 100)),
            ((64, 64), (500, 500)),
            (hd, (640, 360)),
            (hd, (320, 180)),
            (hd, (60, 34)),
            ((3840, 2160), (40, 20)),
        ] {
            measure(from, to, filter, Transform::Identity);
        }
    }
    // libpixman does not turn here: its time is that of the same untransformed.
    for transform in [Transform::Rotate90, Transform::Rotate180, Transform::Reflect] {
        let turned = if transform == Transform::Rotate90 { (1080, 1920) } else { hd };
        measure(hd, turned, Filter::Nearest, transform);
        measure((1280, 720), turned, Filter::Bilinear, transform);
    }
}
