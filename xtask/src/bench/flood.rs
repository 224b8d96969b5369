//! A small urgent draw beside clients that draw large images without pause.

use super::command::{Answer, Command, Scene};
use super::placement::Placement;
use super::report::Line;
use super::scenes::{FLOOD_MEDIAN, FLOOD_PERCENTILE, FLOOD_PRIORITY, LONGEST_WAIT, PROBE_PRIORITY, SCREEN};
use super::servers::Client;
use super::statistics::{Rounds, median, percentile};
use super::worker::Worker;
use super::{Bench, Frames, machine};
use crate::tools::TaskError;

/// How many short rounds it takes for one of other scenes: what happens to the machine spoils few draws then.
const ROUNDS: usize = 4;

/// How many rounds are done again at most, for each that is wanted.
const MOST_AGAIN: usize = 4;

/// What one server did under a flood, in microseconds.
#[derive(Default)]
struct Side {
    /// Every small draw of all rounds.
    draws: Vec<f64>,
    /// The median and the 99th percentile of each round.
    medians: Vec<f64>,
    percentiles: Vec<f64>,
    /// How much time a large draw took in each round, all flooding clients together.
    large: Vec<f64>,
    frames: Frames,
}

impl Side {
    fn add(&mut self, probe: &Answer, floods: &[Answer]) {
        let draws: Vec<f64> = probe.times.iter().map(|time| *time as f64 / 1000.0).collect();
        self.medians.push(median(&draws));
        self.percentiles.push(percentile(&draws, 99));
        self.draws.extend(draws);
        let a_second: f64 = floods.iter().map(|flood| flood.times.len() as f64 / flood.duration as f64).sum();
        self.large.push(1.0 / a_second / 1000.0);
        self.frames.add(probe);
    }
}

/// A server's clients.
struct Clients {
    flooding: Vec<Worker>,
    probe: Worker,
}

impl Clients {
    fn start(
        flooding: usize,
        start: impl Fn(Client) -> Result<Worker, TaskError>,
    ) -> Result<Self, TaskError> {
        let large = Client { priority: FLOOD_PRIORITY, ..Client::WHOLE };
        let small = Client { size: (64, 64), in_front: true, priority: PROBE_PRIORITY, hidden: false };
        let flooding = (0..flooding).map(|_| start(large)).collect::<Result<_, _>>()?;
        Ok(Self { flooding, probe: start(small)? })
    }

    /// Draws so many times while the flood is on.
    fn round(&mut self, draws: u64) -> Result<(Answer, Vec<Answer>), TaskError> {
        let (width, height) = SCREEN;
        let flood = Command { scene: Scene::Flood, width, height, amount: 0 };
        for worker in &mut self.flooding {
            worker.tell(&flood.to_string());
        }
        for worker in &mut self.flooding {
            worker.line()?;
        }
        let probe = self.probe.ask(&Command { scene: Scene::Probe, width: 64, height: 64, amount: draws })?;
        for worker in &mut self.flooding {
            worker.tell("stop");
        }
        let floods = self.flooding.iter_mut().map(Worker::answer).collect::<Result<_, _>>()?;
        Ok((probe, floods))
    }
}

/// Measures a flood of so many clients, in turns with the X server.
pub(super) fn measure(bench: &mut Bench, flooding: usize, placement: Placement) -> Result<(), TaskError> {
    let servers = &bench.servers;
    let mut ours = Clients::start(flooding, |client| servers.ours(client, placement))?;
    let mut peer = Clients::start(flooding, |client| servers.peer(client, placement))?;
    let (mut our_side, mut peer_side) = (Side::default(), Side::default());
    // Memory is touched for the first time in the first.
    ours.round(1)?;
    peer.round(1)?;
    let (mut rounds, mut again) = (0, 0);
    let wanted = ROUNDS * bench.rounds;
    while rounds < wanted {
        let stolen = machine::stolen();
        let our_round = ours.round(bench.probes)?;
        let peer_round = peer.round(bench.probes)?;
        // One draw of a hundred that waited for the machine itself would be the 99th percentile.
        if machine::stolen() > stolen && again < MOST_AGAIN * wanted {
            again += 1;
            continue;
        }
        rounds += 1;
        our_side.add(&our_round.0, &our_round.1);
        peer_side.add(&peer_round.0, &peer_round.1);
    }
    let name = |what: &str| format!("flood of {flooding}: {what}, {}", placement.name());
    if again > 0 {
        println!("!! {}: {again} rounds again, since CPUs were taken from this machine", name("64x64"));
    }
    let (draws, peer_draws) = (our_side.draws, peer_side.draws);
    let rounds = Rounds { ours: our_side.medians, peer: peer_side.medians };
    bench.composed(
        Line::new(name("64x64 median"), &rounds, "µs", Some(FLOOD_MEDIAN))
            .of(median(&draws), median(&peer_draws)),
        our_side.frames,
    );
    let (worst, peer_worst) = (percentile(&draws, 99), percentile(&peer_draws, 99));
    let rounds = Rounds { ours: our_side.percentiles, peer: peer_side.percentiles };
    bench.result(Line::new(name("64x64 99 %"), &rounds, "µs", Some(FLOOD_PERCENTILE)).of(worst, peer_worst));
    let limits = Rounds { peer: vec![LONGEST_WAIT; rounds.ours.len()], ours: rounds.ours };
    bench.result(
        Line::new(name(&format!("99 % : {LONGEST_WAIT} µs")), &limits, "µs", Some(1.0))
            .of(worst, LONGEST_WAIT),
    );
    let large = Rounds { ours: our_side.large, peer: peer_side.large };
    bench.result(Line::new(name("each 3840x2160"), &large, "µs", None));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_counts_all_that_was_drawn() {
        let mut side = Side::default();
        let probe = Answer { frames: 6, duration: 100_000_000, times: vec![3000, 1000, 2000] };
        // Three large draws in 10 ms here and one there.
        let floods = [
            Answer { frames: 0, duration: 10_000_000, times: vec![1, 2, 3] },
            Answer { frames: 0, duration: 10_000_000, times: vec![1] },
        ];
        side.add(&probe, &floods);
        side.add(&probe, &floods);
        assert_eq!((side.draws.len(), side.medians, side.percentiles), (6, vec![2.0; 2], vec![3.0; 2]));
        assert!((side.large[0] - 2500.0).abs() < 1e-6, "{}", side.large[0]);
        assert!((side.frames.a_second() - 65.0).abs() < 1e-6);
    }
}
