//! From which size on pixels are better shared than sent along in the message.

use super::Bench;
use super::command::{Command, Scene};
use super::draws::microseconds;
use super::placement::Placement;
use super::report::Line;
use super::scenes::SIDES;
use super::servers::Client;
use super::statistics::Rounds;
use crate::tools::TaskError;

/// Measures squares of all sides both ways, in turns.
pub(super) fn measure(bench: &mut Bench, placement: Placement) -> Result<(), TaskError> {
    let mut client = bench.servers.ours(Client::WHOLE, placement)?;
    let mut ratios = Vec::new();
    for side in SIDES {
        let mut rounds = Rounds::default();
        // They are many, and all are short.
        let amount = bench.milliseconds / 2;
        for round in 0..=bench.rounds {
            let command = |scene| Command { scene, width: side, height: side, amount };
            let carried = microseconds(&client.ask(&command(Scene::Carried))?, 1);
            let shared = microseconds(&client.ask(&command(Scene::Draw))?, 1);
            if round > 0 {
                rounds.add(carried, shared);
            }
        }
        let name = format!("in the message : shared {side}x{side}, {}", placement.name());
        let line = Line::new(name, &rounds, "µs", None);
        ratios.push((side, line.ratio));
        bench.result(line);
    }
    match shared_from(&ratios) {
        Some(side) => println!("sharing is cheaper from {side}x{side} on, {}", placement.name()),
        None => println!("sharing is not cheaper up to the largest, {}", placement.name()),
    }
    Ok(())
}

/// The side from which on sharing is the cheaper way. Each has how many times cheaper the message is.
fn shared_from(ratios: &[(u32, f64)]) -> Option<u32> {
    let shared = ratios.iter().rev().take_while(|(_, ratio)| *ratio < 1.0);
    shared.last().map(|(side, _)| *side)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sharing_wins_from_where_it_loses_no_more() {
        assert_eq!(shared_from(&[(4, 1.2), (8, 0.99), (16, 1.01), (32, 0.9), (64, 0.5)]), Some(32));
        assert_eq!(shared_from(&[(4, 0.9), (8, 0.8)]), Some(4));
        assert_eq!(shared_from(&[(4, 0.9), (8, 1.0)]), None);
    }
}
