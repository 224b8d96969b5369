//! Medians, spread and ratios. Pure.

/// The value that `percent` of all are not above (nearest rank); zero where there are none.
pub(super) fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0.0)
}

/// The median (nearest rank).
pub(super) fn median(values: &[f64]) -> f64 {
    percentile(values, 50)
}

/// A value of several rounds: its median, and between which two values the middle half of the rounds is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Spread {
    pub(super) low: f64,
    pub(super) median: f64,
    pub(super) high: f64,
}

impl Spread {
    pub(super) fn of(values: &[f64]) -> Self {
        Self { low: percentile(values, 25), median: median(values), high: percentile(values, 75) }
    }
}

/// What both sides took in each round, less being better.
#[derive(Clone, Debug, Default)]
pub(super) struct Rounds {
    pub(super) ours: Vec<f64>,
    pub(super) peer: Vec<f64>,
}

impl Rounds {
    pub(super) fn add(&mut self, ours: f64, peer: f64) {
        self.ours.push(ours);
        self.peer.push(peer);
    }

    /// How many times better we are. Each round compares what has been measured one right after the other: a machine
    /// that becomes slower for a while does so for both. The medians of both may come from different times.
    pub(super) fn ratio(&self) -> Spread {
        let rounds: Vec<f64> = self.ours.iter().zip(&self.peer).map(|(ours, peer)| peer / ours).collect();
        Spread::of(&rounds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_the_nearest() {
        let hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        for percent in [1, 50, 99, 100] {
            assert_eq!(percentile(&hundred, percent), percent as f64);
        }
        assert_eq!(percentile(&hundred, 0), 1.0);
        assert_eq!(median(&[7.0, 3.0, 5.0]), 5.0);
        assert_eq!(median(&[]), 0.0);
    }

    #[test]
    fn a_ratio_is_that_of_a_round_whatever_the_machine_does_meanwhile() {
        let mut rounds = Rounds::default();
        for slower in [1.0, 1.0, 8.0, 2.0, 2.0] {
            rounds.add(slower, 3.0 * slower);
        }
        assert_eq!(rounds.ratio(), Spread { low: 3.0, median: 3.0, high: 3.0 });
        rounds.add(1.0, 1.0);
        rounds.add(1.0, 2.0);
        rounds.add(1.0, 4.0);
        assert_eq!(rounds.ratio(), Spread { low: 2.0, median: 3.0, high: 3.0 });
    }
}
