//! Scaling by bilinear beside libpixman: the kernel alone, in turns on one CPU, and the process in which it is measured.

use std::time::Instant;

use blitd::memory::cache;
use blitd_client::Format;
use blitd_client::protocol::image::Rectangle;
use blitd_client::protocol::request::FixedRectangle;
use blitd_client::protocol::value::{Filter, Operator, Transform};
use blitd_pixels::sample::Scaling;
use blitd_pixels::view::{Picture, PictureMut, View, ViewMut};

use super::Bench;
use super::client::{answer_commands, nanoseconds, say, timed};
use super::command::{Answer, Command, Scene};
use super::draws::microseconds;
use super::kernels::{build_pixman, start};
use super::pixels::{memory, packed, paint, too_large};
use super::report::Line;
use super::scenes::BILINEAR;
use super::statistics::Rounds;
use super::worker::{Worker, tied};
use crate::tools::TaskError;

/// What the result is called.
pub(super) fn name((width, height): (u32, u32), to: (u32, u32)) -> String {
    format!("bilinear {width}x{height} to {}x{}: libpixman", to.0, to.1)
}

/// What scaling from one size to another takes.
pub(super) fn measure(bench: &mut Bench, from: (u32, u32), to: (u32, u32)) -> Result<(), TaskError> {
    let size = [from.0.to_string(), from.1.to_string()];
    let program = build_pixman(&bench.servers.folder)?;
    let mut ours = bench.servers.this("bench-bilinear");
    let mut ours = start(bench, || Worker::start(ours.args(&size)))?;
    let mut peer = start(bench, || Worker::start(tied(&program).args(&size)))?;
    let command = Command { scene: Scene::Bilinear, width: to.0, height: to.1, amount: bench.milliseconds };
    let mut rounds = Rounds::default();
    for round in 0..=bench.rounds {
        let ours = microseconds(&ours.ask(&command)?, 1);
        let peer = microseconds(&peer.ask(&command)?, 1);
        if round > 0 {
            rounds.add(ours, peer);
        }
    }
    bench.result(Line::new(name(from, to), &rounds, "µs", Some(BILINEAR)));
    Ok(())
}

/// A process in which scaling is measured.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What is scaled, in pixels.
    width: u32,
    height: u32,
}

/// Does what it is told until nobody tells it anything more.
pub(crate) fn run(arguments: &Arguments) -> Result<(), TaskError> {
    say("ready")?;
    answer_commands(|command| scale(arguments, command))
}

/// Scales to one picture again and again; past the cache where draws do that.
fn scale(arguments: &Arguments, command: &Command) -> Result<Answer, TaskError> {
    let &Arguments { width, height } = arguments;
    let (layout, _, length) = packed(Format::Xrgb8888, width, height);
    let mut pixels = memory(length)?;
    paint(&mut pixels, Format::Argb8888);
    let source = Picture::new(View::from_slice(&pixels), layout).ok_or_else(too_large)?;
    let side = |side: u32| side.checked_mul(1 << 16).ok_or_else(too_large);
    let crop = FixedRectangle { x: 0, y: 0, width: side(width)?, height: side(height)? };
    let whole = Rectangle::from_size(command.width, command.height);
    let scaling = Scaling::new(crop, whole, Transform::Identity, Filter::Bilinear)
        .map_err(|error| TaskError::Expected(error.to_string()))?;
    let (layout, _, length) = packed(Format::Xrgb8888, command.width, command.height);
    let is_past_cache = cache::is_too_small_for(length as u64);
    let mut pixels = memory(length)?;
    let begun = Instant::now();
    let times = timed(command.amount, || {
        let target = PictureMut::new(ViewMut::from_slice(&mut pixels), layout).ok_or_else(too_large)?;
        let mut target = if is_past_cache { target.past_cache() } else { target };
        scaling.draw(&source, &mut target, whole, Operator::Source, 255);
        Ok(None)
    })?;
    Ok(Answer { frames: 0, duration: nanoseconds(begun.elapsed()), times })
}
