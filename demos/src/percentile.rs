//! Percentiles of measured times. Pure arithmetic.

use std::time::Duration;

/// Times that were measured.
#[derive(Clone, Debug, Default)]
pub struct Times(Vec<Duration>);

impl Times {
    /// Adds one.
    pub fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// The time that `percent` of all are not above (nearest rank); zero where there are none.
    pub fn percentile(&mut self, percent: usize) -> Duration {
        if self.0.is_empty() {
            return Duration::ZERO;
        }
        let rank = (self.0.len() * percent).div_ceil(100).clamp(1, self.0.len());
        *self.0.select_nth_unstable(rank - 1).1
    }

    /// All of them added up.
    pub fn sum(&self) -> Duration {
        self.0.iter().sum()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(milliseconds: impl IntoIterator<Item = u64>) -> Times {
        Times(milliseconds.into_iter().map(Duration::from_millis).collect())
    }

    #[test]
    fn ranks_are_the_nearest() {
        let mut hundred = times((1..=100).rev());
        assert_eq!(hundred.percentile(50), Duration::from_millis(50));
        assert_eq!(hundred.percentile(99), Duration::from_millis(99));
        assert_eq!(hundred.percentile(100), Duration::from_millis(100));
        assert_eq!(hundred.percentile(0), Duration::from_millis(1));
        assert_eq!(times([7, 3, 5]).percentile(50), Duration::from_millis(5));
        assert_eq!(times([7, 3]).percentile(99), Duration::from_millis(7));
    }

    #[test]
    fn none_is_zero() {
        assert_eq!(Times::default().percentile(99), Duration::ZERO);
        assert_eq!(Times::default().sum(), Duration::ZERO);
    }
}
