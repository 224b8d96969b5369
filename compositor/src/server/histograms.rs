//! How long requests of each priority have waited, and how long they took.
//!
//! Pure. What counts are the requests that were answered with `done`, as their receipts tell: what was refused has had
//! no work, listings are asked by those who look on, and what `sync` waits for is the screen's time.

use blitd_protocol::reply::{Receipt, Reply};
use blitd_protocol::value::{MAX_PRIORITY, Priority};
use blitd_protocol::wire::Distribution;
use hdrhistogram::Histogram;

/// How exact percentiles are: to 1 % at worst.
const SIGNIFICANT_DIGITS: u8 = 2;

/// Longer times count as this in percentiles, in nanoseconds: 68 s. It bounds the memory of a histogram, which has 128
/// counts of 8 bytes for each doubling of time, to 30 KiB; one whose longest time is a millisecond takes 14 KiB.
const LONGEST: u64 = (1 << 36) - 1;

/// Times of one kind.
#[derive(Debug)]
struct Durations {
    /// Counts of 8 bytes: those of 4 would be full after some hours.
    histogram: Histogram<u64>,
    /// Nanoseconds.
    sum: u64,
    /// Nanoseconds.
    maximum: u64,
}

impl Durations {
    fn new() -> Option<Self> {
        let histogram = Histogram::new(SIGNIFICANT_DIGITS);
        let histogram = histogram.inspect_err(|error| tracing::error!("a histogram: {error}")).ok()?;
        Some(Self { histogram, sum: 0, maximum: 0 })
    }

    fn record(&mut self, nanoseconds: u64) {
        self.sum = self.sum.saturating_add(nanoseconds);
        self.maximum = self.maximum.max(nanoseconds);
        if let Err(error) = self.histogram.record(nanoseconds.min(LONGEST)) {
            tracing::error!("counting {nanoseconds} ns: {error}");
        }
    }

    fn distribution(&self) -> Distribution {
        let mut values = self.histogram.value_at_quantiles([0.5, 0.9, 0.99, 0.999]);
        // What is given is the upper end of a range of values that are counted together.
        let mut next = || values.next().unwrap_or_default().min(self.maximum).into();
        Distribution {
            sum: self.sum.into(),
            median: next(),
            percentile_90: next(),
            percentile_99: next(),
            percentile_99_9: next(),
            maximum: self.maximum.into(),
        }
    }
}

/// The times of the requests of one priority.
#[derive(Debug)]
pub(super) struct Times {
    count: u64,
    waiting: Durations,
    service: Durations,
}

impl Times {
    fn new() -> Option<Box<Self>> {
        Some(Box::new(Self { count: 0, waiting: Durations::new()?, service: Durations::new()? }))
    }

    /// How many requests there were.
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// From received to started.
    pub(super) fn waiting(&self) -> Distribution {
        self.waiting.distribution()
    }

    /// From started to finished.
    pub(super) fn service(&self) -> Distribution {
        self.service.distribution()
    }
}

/// The times of all requests, by the priority that they asked for. What no request has had takes no memory.
#[derive(Debug)]
pub(super) struct Histograms([Option<Box<Times>>; MAX_PRIORITY as usize + 1]);

impl Default for Histograms {
    fn default() -> Self {
        Self([const { None }; MAX_PRIORITY as usize + 1])
    }
}

impl Histograms {
    /// Takes note of an answer, if it is one that counts.
    pub(super) fn record(&mut self, priority: Priority, reply: &Reply<'_>) {
        let Reply::Done(Receipt { received, started, finished, .. }) = reply else { return };
        let slot = &mut self.0[usize::from(priority.number())];
        if slot.is_none() {
            *slot = Times::new();
        }
        let Some(times) = slot else { return };
        times.count += 1;
        times.waiting.record(started.saturating_sub(*received));
        times.service.record(finished.saturating_sub(*started));
    }

    /// The times of each priority that requests have had, from the lowest on.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Priority, &Times)> {
        let numbered = (0..).zip(&self.0);
        numbered.filter_map(|(number, times)| Some((Priority::new(number).ok()?, times.as_deref()?)))
    }
}

#[cfg(test)]
mod tests {
    use blitd_protocol::error::{ErrorCode, Refusal};
    use blitd_protocol::value::Path;
    use proptest::prelude::*;

    use super::*;

    fn done(waiting: u64, service: u64) -> Reply<'static> {
        let (received, started) = (1000, 1000 + waiting);
        let finished = started + service;
        Reply::Done(Receipt { received, started, finished, bytes: 0, slices: 1, path: Path::None })
    }

    fn priority(number: u8) -> Priority {
        Priority::new(number).unwrap()
    }

    /// What as many of `sorted` do not exceed.
    fn exact(sorted: &[u64], thousandths: usize) -> u64 {
        sorted[(sorted.len() * thousandths).div_ceil(1000).max(1) - 1]
    }

    #[test]
    fn only_what_is_done_counts_and_only_what_is_used_is_there() {
        let mut histograms = Histograms::default();
        let text = String::new();
        let refused = Reply::Refused(Refusal { code: ErrorCode::UnknownLayer, entry: None, text });
        histograms.record(priority(3), &refused);
        assert_eq!(histograms.iter().count(), 0);
        histograms.record(priority(63), &done(5, 6));
        histograms.record(priority(0), &done(7, 8));
        histograms.record(priority(63), &done(1, 2));
        let used: Vec<_> =
            histograms.iter().map(|(priority, times)| (priority.number(), times.count)).collect();
        assert_eq!(used, [(0, 1), (63, 2)]);
        let (_, times) = histograms.iter().last().unwrap();
        assert_eq!((times.waiting().sum.get(), times.service().sum.get()), (6, 8));
    }

    #[test]
    fn what_takes_for_ever_takes_no_more_memory() {
        let mut durations = Durations::new().unwrap();
        for nanoseconds in [0, 1 << 20, LONGEST, u64::MAX] {
            durations.record(nanoseconds);
        }
        let bytes = durations.histogram.distinct_values() * size_of::<u64>();
        assert!(bytes <= 30 * 1024, "{bytes} bytes of counts");
        let told = durations.distribution();
        assert_eq!((told.sum.get(), told.maximum.get()), (u64::MAX, u64::MAX));
        assert_eq!(told.percentile_99.get(), LONGEST);
        let mut short = Durations::new().unwrap();
        short.record(1_000_000);
        let bytes = short.histogram.distinct_values() * size_of::<u64>();
        assert!(bytes <= 14 * 1024, "{bytes} bytes of counts");
    }

    proptest! {
        #[test]
        fn percentiles_are_right_to_one_in_a_hundred(
            times in prop::collection::vec(prop_oneof![0u64..300, 0u64..1_000_000, 0..=LONGEST], 1..300)
        ) {
            let mut durations = Durations::new().unwrap();
            times.iter().for_each(|time| durations.record(*time));
            let told = durations.distribution();
            let mut sorted = times.clone();
            sorted.sort_unstable();
            prop_assert_eq!(told.sum.get(), sorted.iter().sum::<u64>());
            prop_assert_eq!(Some(&told.maximum.get()), sorted.last());
            for (told, thousandths) in [
                (told.median, 500),
                (told.percentile_90, 900),
                (told.percentile_99, 990),
                (told.percentile_99_9, 999),
            ] {
                let (told, exact) = (told.get(), exact(&sorted, thousandths));
                prop_assert!(told >= exact && told - exact <= exact / 100, "{} of {}", told, exact);
                prop_assert!(told <= sorted[sorted.len() - 1]);
            }
        }
    }
}
