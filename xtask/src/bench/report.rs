//! Results as a table for people, and as JSON. Pure.

use serde::Serialize;

use super::statistics::{Rounds, Spread, median};

/// A result.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Line {
    /// What was measured, and where.
    pub(super) name: String,
    /// What blitd took, and what the other side took or what the limit is: medians.
    pub(super) ours: f64,
    pub(super) peer: f64,
    /// Of both.
    pub(super) unit: &'static str,
    /// Above 1 means that blitd is better.
    pub(super) ratio: f64,
    /// What the ratio is to be, where something is to be reached.
    pub(super) goal: Option<f64>,
    #[serde(skip)]
    pub(super) spread: Spread,
    /// How many frames a second were composed meanwhile, where that matters.
    #[serde(skip)]
    pub(super) frames: Option<f64>,
}

impl Line {
    /// The result of several rounds.
    pub(super) fn new(name: String, rounds: &Rounds, unit: &'static str, goal: Option<f64>) -> Self {
        let spread = rounds.ratio();
        let (ours, peer) = (median(&rounds.ours), median(&rounds.peer));
        Self { name, ours, peer, unit, ratio: spread.median, goal, spread, frames: None }
    }

    /// The same with other values than the medians of rounds: those of all that was measured in them.
    pub(super) fn of(self, ours: f64, peer: f64) -> Self {
        Self { ours, peer, ratio: peer / ours, ..self }
    }

    /// The same with the frames that were composed meanwhile.
    pub(super) fn composed(self, frames: f64) -> Self {
        Self { frames: Some(frames), ..self }
    }

    fn verdict(&self) -> &'static str {
        match self.goal {
            Some(goal) if self.ratio >= goal => "met",
            Some(_) => "MISSED",
            None => "",
        }
    }
}

/// What stands above the columns.
pub(super) fn heading() -> String {
    format!(
        "{:44} {:>10} {:>10} {:4} {:>8} {:>17} {:>4} {:>6}",
        "", "blitd", "peer", "unit", "ratio", "middle half", "Hz", "goal"
    )
}

/// A result as a line of the table.
pub(super) fn row(line: &Line) -> String {
    let Line { name, ours, peer, unit, ratio, spread, .. } = line;
    let goal = line.goal.map_or(String::new(), |goal| format!("{goal:.2}"));
    let frames = line.frames.map_or(String::new(), |frames| format!("{frames:.0}"));
    let middle = format!("{:.2} to {:.2}", spread.low, spread.high);
    let row = format!(
        "{name:44} {ours:>10.2} {peer:>10.2} {unit:4} {ratio:>8.2} {middle:>17} {frames:>4} {goal:>6} {}",
        line.verdict()
    );
    row.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(goal: Option<f64>) -> Line {
        let rounds = Rounds { ours: vec![10.0, 12.0, 11.0], peer: vec![15.0, 15.0, 22.0] };
        Line::new("draw 64x64, same CPU".into(), &rounds, "µs", goal)
    }

    #[test]
    fn a_row_has_the_medians_and_whether_the_goal_is_met() {
        let words =
            |goal| row(&line(goal).composed(59.7)).split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let expected = "draw 64x64, same CPU 11.00 15.00 µs 1.50 1.25 to 2.00 60 1.50 met";
        assert_eq!(words(Some(1.5)), expected.split(' ').collect::<Vec<_>>());
        assert_eq!(words(Some(1.51)).last().map(String::as_str), Some("MISSED"));
        assert_eq!(words(None).last().map(String::as_str), Some("60"));
    }

    #[test]
    fn json_has_what_others_read_and_no_more() {
        let text = serde_json::to_value(line(Some(1.25))).unwrap();
        let expected = serde_json::json!({
            "name": "draw 64x64, same CPU", "ours": 11.0, "peer": 15.0, "unit": "µs", "ratio": 1.5, "goal": 1.25,
        });
        assert_eq!(text, expected);
        assert_eq!(serde_json::to_value(line(None)).unwrap()["goal"], serde_json::Value::Null);
    }
}
