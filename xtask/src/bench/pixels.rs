//! The process in which kernels are measured: the peer of pixman.c, and of copies.c.

use std::time::Instant;

use blitd_client::Format;
use blitd_client::protocol::image::Rectangle;
use blitd_client::protocol::value::{ColorEncoding, ColorRange, Operator};
use blitd_pixels::blit::draw;
use blitd_pixels::view::{Layout, Picture, PictureMut, View, ViewMut, Yuv};
use memmap2::{Advice, MmapMut};

use super::client::{answer_commands, nanoseconds, say, timed};
use super::command::{Answer, Command, Scene};
use super::scenes::{REPEATS, SEED};
use crate::tools::TaskError;

/// A process in which kernels are measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What the pixels are, as a fourcc.
    fourcc: u32,
}

/// Does what it is told until nobody tells it anything more.
pub(crate) fn run(arguments: &Arguments) -> Result<(), TaskError> {
    let format =
        Format::from_fourcc(arguments.fourcc).map_err(|error| TaskError::Expected(error.to_string()))?;
    say("ready")?;
    answer_commands(|command| match command.scene {
        Scene::Over => over(format, command),
        _ => convert(format, command),
    })
}

/// Memory of 4 KiB pages, all of them there.
pub(super) fn memory(length: usize) -> Result<MmapMut, TaskError> {
    let failed = |source| TaskError::Start { what: "memory of the benchmark".into(), source };
    let mut memory = MmapMut::map_anon(length).map_err(failed)?;
    memory.advise(Advice::NoHugePage).map_err(failed)?;
    memory.fill(0x5a);
    Ok(memory)
}

/// Pixels of every alpha; those of ARGB8888 premultiplied.
pub(super) fn paint(memory: &mut [u8], format: Format) {
    let mut random = SEED;
    for bytes in memory.chunks_mut(4) {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        let alpha = random >> 24;
        let channel = |shift: u32| match format {
            Format::Argb8888 if shift < 24 => (random >> shift & 0xff) * alpha / 255,
            _ => random >> shift & 0xff,
        };
        for (byte, shift) in bytes.iter_mut().zip([0, 8, 16, 24]) {
            *byte = channel(shift) as u8;
        }
    }
}

/// A packed picture: its layout, where its colours are, and how many bytes it has.
pub(super) fn packed(format: Format, width: u32, height: u32) -> (Layout, Yuv, usize) {
    let size = |plane| {
        let (row, rows) = format.plane_size(plane, width, height);
        (row as usize, row as usize * rows as usize)
    };
    let ((stride, lumas), (chroma_stride, chromas)) = (size(0), size(1));
    let (encoding, range) = (ColorEncoding::Bt709, ColorRange::Limited);
    let yuv = Yuv { encoding, range, chroma_offset: lumas, chroma_stride };
    (Layout { width, height, stride, offset: 0, format }, yuv, lumas + chromas)
}

/// Blends onto one picture. Times are those of one draw, of some that are measured together.
fn over(format: Format, command: &Command) -> Result<Answer, TaskError> {
    let &Command { width, height, amount, .. } = command;
    let repeats = (REPEATS / (u64::from(width) * u64::from(height))).max(1);
    measured(format, command, 1, |source, targets| {
        timed(amount, || {
            let before = Instant::now();
            for _ in 0..repeats {
                let whole = Rectangle::from_size(width, height);
                draw(
                    source,
                    (0, 0),
                    &mut target(&mut targets[0], width, height)?,
                    whole,
                    Operator::Over,
                    255,
                );
            }
            Ok(Some(nanoseconds(before.elapsed()) / repeats))
        })
    })
}

/// Converts to two pictures in turns, as draws into a layer do, past the cache, as they do where it is too small.
fn convert(format: Format, command: &Command) -> Result<Answer, TaskError> {
    let &Command { width, height, amount, .. } = command;
    measured(format, command, 2, |source, targets| {
        let mut turn = 0;
        timed(amount, || {
            turn += 1;
            let mut target = target(&mut targets[turn % 2], width, height)?.past_cache();
            let whole = Rectangle::from_size(width, height);
            draw(source, (0, 0), &mut target, whole, Operator::Source, 255);
            Ok(None)
        })
    })
}

fn measured(
    format: Format,
    command: &Command,
    targets: usize,
    measure: impl FnOnce(&Picture<'_>, &mut [MmapMut]) -> Result<Vec<u64>, TaskError>,
) -> Result<Answer, TaskError> {
    let (layout, yuv, length) = packed(format, command.width, command.height);
    let mut pixels = memory(length)?;
    paint(&mut pixels, format);
    let source = Picture::with_yuv(View::from_slice(&pixels), layout, yuv).ok_or_else(too_large)?;
    let length = command.width as usize * command.height as usize * 4;
    let mut targets = (0..targets).map(|_| memory(length)).collect::<Result<Vec<_>, _>>()?;
    let begun = Instant::now();
    let times = measure(&source, &mut targets)?;
    Ok(Answer { frames: 0, duration: nanoseconds(begun.elapsed()), times })
}

fn target(memory: &mut MmapMut, width: u32, height: u32) -> Result<PictureMut<'_>, TaskError> {
    let (layout, ..) = packed(Format::Xrgb8888, width, height);
    PictureMut::new(ViewMut::from_slice(memory), layout).ok_or_else(too_large)
}

pub(super) fn too_large() -> TaskError {
    TaskError::Expected("a picture of the benchmark is not in its memory".into())
}
