//! Kernels: blending beside libpixman, conversions beside the best copy of as many bytes, in turns on one CPU.

use std::path::{Path, PathBuf};

use blitd_client::Format;

use super::Bench;
use super::command::{Command, Scene};
use super::draws::microseconds;
use super::report::Line;
use super::scenes::{CONVERSION, CONVERTED, OVERS, REPEATS, SCREEN, SEED};
use super::servers::build;
use super::statistics::{Rounds, median};
use super::worker::{Worker, tied};
use crate::setup::{PIXMAN_HEADERS, ensure};
use crate::tools::TaskError;

/// Builds the process of libpixman.
pub(super) fn build_pixman(folder: &Path) -> Result<PathBuf, TaskError> {
    ensure(&PIXMAN_HEADERS)?;
    let options = [
        &format!("-DREPEATS={REPEATS}ull"),
        &format!("-DSEED={SEED}u"),
        "-I/usr/include/pixman-1",
        "-lpixman-1",
    ];
    build(folder, "pixman", &options)
}

/// What blending takes.
pub(super) fn measure_over(bench: &mut Bench) -> Result<(), TaskError> {
    let program = build_pixman(&bench.servers.folder)?;
    let mut ours = worker(bench, Format::Argb8888)?;
    let mut peer = start(bench, || Worker::start(&mut tied(&program)))?;
    for (width, height, goal) in OVERS {
        let command = Command { scene: Scene::Over, width, height, amount: bench.milliseconds };
        let mut rounds = Rounds::default();
        for round in 0..=bench.rounds {
            let ours = microseconds(&ours.ask(&command)?, 1);
            let peer = microseconds(&peer.ask(&command)?, 1);
            if round > 0 {
                rounds.add(ours, peer);
            }
        }
        let name = format!("over {width}x{height}: libpixman");
        bench.result(Line::new(name, &rounds, "µs", Some(goal)));
    }
    Ok(())
}

/// What conversions to XRGB8888 take that are larger than the cache.
pub(super) fn measure_conversions(bench: &mut Bench) -> Result<(), TaskError> {
    let (width, height) = SCREEN;
    let program = build(&bench.servers.folder, "copies", &[])?;
    let mut copies = start(bench, || Worker::start(&mut tied(&program)))?;
    for format in CONVERTED {
        let mut ours = worker(bench, format)?;
        // A copy reads and writes as many bytes as a conversion together: half of them each.
        let bytes: u64 =
            (0..2).map(|plane| plane_bytes(format, plane)).sum::<u64>() + plane_bytes(Format::Xrgb8888, 0);
        let across = u32::try_from(bytes / 2 / 4 / u64::from(height)).unwrap_or(width);
        let mut rounds = [Rounds::default(), Rounds::default(), Rounds::default()];
        let peers = [(Scene::Copy, across), (Scene::Stream, across), (Scene::Store, width)];
        for round in 0..=bench.rounds {
            let command = |scene, width| Command { scene, width, height, amount: bench.milliseconds };
            let ours = microseconds(&ours.ask(&command(Scene::Convert, width))?, 1);
            for ((scene, width), rounds) in peers.into_iter().zip(&mut rounds) {
                let theirs = microseconds(&copies.ask(&command(scene, width))?, 1);
                if round > 0 {
                    rounds.add(ours, theirs);
                }
            }
        }
        let [plain, streaming, stores] = &rounds;
        let best = if median(&plain.peer) <= median(&streaming.peer) { plain } else { streaming };
        let mut result = |peer, rounds, goal| {
            bench.result(Line::new(format!("convert {format} {width}x{height}: {peer}"), rounds, "µs", goal));
        };
        result("best copy", best, Some(CONVERSION));
        result("stores alone", stores, None);
    }
    Ok(())
}

fn plane_bytes(format: Format, plane: usize) -> u64 {
    let (row, rows) = format.plane_size(plane, SCREEN.0, SCREEN.1);
    row * u64::from(rows)
}

fn worker(bench: &Bench, format: Format) -> Result<Worker, TaskError> {
    let mut command = bench.servers.this("bench-pixels");
    command.arg(format.fourcc().to_string());
    start(bench, || Worker::start(&mut command))
}

/// Starts a process where servers run.
pub(super) fn start(
    bench: &Bench,
    start: impl FnOnce() -> Result<(Worker, String), TaskError>,
) -> Result<Worker, TaskError> {
    let cpus = bench.servers.cpus;
    Ok(cpus.start_on(cpus.server, start)?.0)
}
