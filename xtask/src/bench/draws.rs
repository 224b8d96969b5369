//! Draws of one client that has the screen for itself, and how much more they take than a bare round trip.

use super::command::{Answer, Command, Scene};
use super::placement::Placement;
use super::report::Line;
use super::scenes::{ABOVE_ROUND_TRIP, Draws};
use super::servers::{Client, Servers};
use super::statistics::{Rounds, median};
use super::worker::Worker;
use super::{Bench, Frames};
use crate::tools::TaskError;

/// Measures one kind of draws, in turns with the X server.
pub(super) fn measure(bench: &mut Bench, draws: &Draws, placement: Placement) -> Result<(), TaskError> {
    let servers = &bench.servers;
    let mut ours = servers.ours(Client::WHOLE, placement)?;
    let mut peer = servers.peer(Client::WHOLE, placement)?;
    let (width, height) = draws.size;
    let command = Command { scene: draws.scene, width, height, amount: bench.milliseconds };
    let (mut rounds, mut frames) = (Rounds::default(), Frames::default());
    for round in 0..=bench.rounds {
        let (ours, peer) = (ours.ask(&command)?, peer.ask(&command)?);
        // Memory is touched for the first time in the first.
        if round > 0 {
            frames.add(&ours);
            rounds.add(microseconds(&ours, draws.draws), microseconds(&peer, draws.draws));
        }
    }
    let name = format!("{}, {}", draws.name, placement.name());
    let line = Line::new(name, &rounds, "µs", Some(draws.goal(placement)));
    bench.composed(line, frames);
    Ok(())
}

/// Measures how far small draws are above a round trip that carries messages of the same size and does nothing else.
pub(super) fn measure_round_trip(bench: &mut Bench, placement: Placement) -> Result<(), TaskError> {
    let servers = &bench.servers;
    let mut ours = servers.ours(Client::WHOLE, placement)?;
    let (_server, mut bare) = bare_round_trip(servers, placement)?;
    let command = Command { scene: Scene::Draw, width: 64, height: 64, amount: bench.milliseconds };
    let (mut rounds, mut limit) = (Rounds::default(), Rounds::default());
    for round in 0..=bench.rounds {
        let (ours, bare) = (microseconds(&ours.ask(&command)?, 1), microseconds(&bare.ask(&command)?, 1));
        if round > 0 {
            rounds.add(ours, bare);
            limit.add(ours, bare + ABOVE_ROUND_TRIP);
        }
    }
    let name = placement.name();
    bench.result(Line::new(format!("draw 64x64 : bare round trip, {name}"), &rounds, "µs", None));
    let name = format!("draw 64x64 : round trip + {ABOVE_ROUND_TRIP} µs, {name}");
    bench.result(Line::new(name, &limit, "µs", Some(1.0)));
    Ok(())
}

fn bare_round_trip(servers: &Servers, placement: Placement) -> Result<(Worker, Worker), TaskError> {
    let socket = servers.folder.join(format!("echo-{}", std::process::id()));
    let cpus = servers.cpus;
    let mut server = servers.this("bench-echo");
    server.arg(&socket).arg("--server");
    let (server, _) = cpus.start_on(cpus.server, || Worker::start(&mut server))?;
    let mut client = servers.this("bench-echo");
    client.arg(&socket);
    let client = cpus.start_on(cpus.client(placement), || Worker::start(&mut client));
    // They have each other by now, or never.
    let _ = std::fs::remove_file(&socket);
    Ok((server, client?.0))
}

/// The median time of a draw, where each measured time is of so many.
pub(super) fn microseconds(answer: &Answer, draws: u32) -> f64 {
    let times: Vec<f64> = answer.times.iter().map(|time| *time as f64).collect();
    median(&times) / 1000.0 / f64::from(draws)
}
