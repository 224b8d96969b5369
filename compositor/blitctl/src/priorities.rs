//! How long requests of each priority have waited and taken, as the values that tables and JSON are made of.

use blitd_client::{Distribution, PriorityRecord};
use serde::Serialize;

use crate::table::{Cell, Row};

/// A priority that requests have had.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Priority {
    /// Its number.
    priority: u8,
    /// How many requests have been done with it.
    requests: u64,
    /// From received to started.
    waiting: Times,
    /// From started to finished.
    service: Times,
}

/// How long something took, in nanoseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Times {
    /// Of all together.
    sum_nanoseconds: u64,
    /// Half of them were not longer.
    median_nanoseconds: u64,
    /// 90 of 100 were not longer.
    percentile_90_nanoseconds: u64,
    /// 99 of 100.
    percentile_99_nanoseconds: u64,
    /// 999 of 1000.
    percentile_99_9_nanoseconds: u64,
    /// The longest.
    maximum_nanoseconds: u64,
}

impl From<&PriorityRecord> for Priority {
    fn from(record: &PriorityRecord) -> Self {
        Self {
            priority: record.priority,
            requests: record.count.get(),
            waiting: Times::from(&record.waiting),
            service: Times::from(&record.service),
        }
    }
}

impl From<&Distribution> for Times {
    fn from(distribution: &Distribution) -> Self {
        Self {
            sum_nanoseconds: distribution.sum.get(),
            median_nanoseconds: distribution.median.get(),
            percentile_90_nanoseconds: distribution.percentile_90.get(),
            percentile_99_nanoseconds: distribution.percentile_99.get(),
            percentile_99_9_nanoseconds: distribution.percentile_99_9.get(),
            maximum_nanoseconds: distribution.maximum.get(),
        }
    }
}

impl Priority {
    /// Its two lines of a table.
    pub(crate) fn lines(&self) -> [Line<'_>; 2] {
        let line = |name, times| Line { priority: self.priority, name, requests: self.requests, times };
        [line("waiting", &self.waiting), line("service", &self.service)]
    }
}

/// One kind of time of a priority.
pub(crate) struct Line<'a> {
    priority: u8,
    name: &'static str,
    requests: u64,
    times: &'a Times,
}

impl Line<'_> {
    /// From the median on.
    pub(crate) const SPREAD: [&'static str; 5] =
        ["MEDIAN US", "90 % US", "99 % US", "99.9 % US", "MAXIMUM US"];

    /// One for each of [`SPREAD`](Self::SPREAD).
    pub(crate) fn spread(&self) -> [Cell; 5] {
        let times = self.times;
        [
            times.median_nanoseconds,
            times.percentile_90_nanoseconds,
            times.percentile_99_nanoseconds,
            times.percentile_99_9_nanoseconds,
            times.maximum_nanoseconds,
        ]
        .map(|nanoseconds| Cell::number(microseconds(nanoseconds as f64)))
    }

    /// The priority, and which time it is.
    pub(crate) fn names(&self) -> [Cell; 2] {
        [Cell::number(self.priority), Cell::text(self.name)]
    }
}

impl Row for Line<'_> {
    const HEADS: &'static [&'static str] = &[
        "PRIORITY",
        "TIME",
        "REQUESTS",
        "MEAN US",
        Self::SPREAD[0],
        Self::SPREAD[1],
        Self::SPREAD[2],
        Self::SPREAD[3],
        Self::SPREAD[4],
    ];

    fn cells(&self) -> Vec<Cell> {
        let mean = mean(self.times.sum_nanoseconds, self.requests);
        let own = [Cell::number(self.requests), Cell::number(mean)];
        self.names().into_iter().chain(own).chain(self.spread()).collect()
    }
}

/// So many nanoseconds in all, for each of these; a dash where there is none.
pub(crate) fn mean(nanoseconds: u64, count: u64) -> String {
    if count == 0 { "-".into() } else { microseconds(nanoseconds as f64 / count as f64) }
}

fn microseconds(nanoseconds: f64) -> String {
    format!("{:.1}", nanoseconds / 1e3)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::table::table;

    pub(crate) fn record(priority: u8, count: u64, sum: u64) -> PriorityRecord {
        let distribution = |times: u64| Distribution {
            sum: (sum * times).into(),
            median: (1_000 * times).into(),
            percentile_90: (2_000 * times).into(),
            percentile_99: (3_000 * times).into(),
            percentile_99_9: (4_500 * times).into(),
            maximum: (5_000 * times).into(),
        };
        PriorityRecord {
            priority,
            count: count.into(),
            waiting: distribution(1),
            service: distribution(10),
            ..PriorityRecord::default()
        }
    }

    #[test]
    fn json_keeps_its_names() {
        let json = serde_json::to_value(Priority::from(&record(20, 2, 3_000))).unwrap();
        let expected = serde_json::json!({
            "priority": 20, "requests": 2,
            "waiting": {
                "sum_nanoseconds": 3000, "median_nanoseconds": 1000, "percentile_90_nanoseconds": 2000,
                "percentile_99_nanoseconds": 3000, "percentile_99_9_nanoseconds": 4500, "maximum_nanoseconds": 5000,
            },
            "service": {
                "sum_nanoseconds": 30000, "median_nanoseconds": 10000, "percentile_90_nanoseconds": 20000,
                "percentile_99_nanoseconds": 30000, "percentile_99_9_nanoseconds": 45000,
                "maximum_nanoseconds": 50000,
            },
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn a_priority_has_two_lines() {
        let priority = Priority::from(&record(20, 2, 3_000));
        assert_eq!(
            table(&priority.lines()),
            "PRIORITY  TIME     REQUESTS  MEAN US  MEDIAN US  90 % US  99 % US  99.9 % US  MAXIMUM US\n      \
                   20  waiting         2      1.5        1.0      2.0      3.0        4.5         5.0\n      \
                   20  service         2     15.0       10.0     20.0     30.0       45.0        50.0\n"
        );
        assert_eq!(mean(5, 0), "-");
    }
}
