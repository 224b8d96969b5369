//! What a large draw takes, against the best copy of as many pixels that this machine makes.

use super::Bench;
use super::command::{Command, Scene};
use super::draws::microseconds;
use super::report::Line;
use super::scenes::COPY;
use super::servers::{Client, build};
use super::statistics::{Rounds, median};
use super::worker::{Worker, tied};
use crate::tools::TaskError;

/// The copies that are measured. Of the first two, which do what a layer needs, the better one is the goal's.
const WAYS: [(Scene, &str); 4] = [
    (Scene::Copy, "memmove"),
    (Scene::Stream, "streaming stores"),
    (Scene::CopyOne, "memmove to one place"),
    (Scene::StreamOne, "streaming stores to one place"),
];

/// Measures draws into a layer that is not shown: blitd's own time from its receipts, in turns with copies on the CPU
/// that it runs on.
pub(super) fn measure(bench: &mut Bench, (width, height): (u32, u32)) -> Result<(), TaskError> {
    let servers = &bench.servers;
    let cpus = servers.cpus;
    let program = build(&servers.folder, "copies", &[])?;
    let (mut copies, _) = cpus.start_on(cpus.server, || Worker::start(&mut tied(&program)))?;
    let placement = *cpus.placements().last().unwrap_or(&super::placement::Placement::SameCpu);
    let mut ours =
        servers.ours(Client { size: (width, height), hidden: true, ..Client::WHOLE }, placement)?;
    let mut rounds = WAYS.map(|_| Rounds::default());
    for round in 0..=bench.rounds {
        let command = |scene| Command { scene, width, height, amount: bench.milliseconds };
        let ours = microseconds(&ours.ask(&command(Scene::Service))?, 1);
        for ((scene, _), rounds) in WAYS.iter().zip(&mut rounds) {
            let copied = microseconds(&copies.ask(&command(*scene))?, 1);
            if round > 0 {
                rounds.add(ours, copied);
            }
        }
    }
    let name = |what: &str| format!("copy {width}x{height} : {what}");
    for ((_, what), rounds) in WAYS.iter().zip(&rounds) {
        bench.result(Line::new(name(what), rounds, "µs", None));
    }
    let [plain, streaming, ..] = &rounds;
    let best = if median(&plain.peer) <= median(&streaming.peer) { plain } else { streaming };
    bench.result(Line::new(name("the best of both"), best, "µs", Some(COPY)));
    Ok(())
}
