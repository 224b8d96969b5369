//! Which outputs show which layers: those of their own, and those that reach over from a neighbour.
//!
//! Outputs that have a place share one space, as those of a Wayland compositor do. A layer goes on across the edge of
//! its output on whichever others lie there; two at the same place show the same. An output without a place shows its
//! own layers only.
//!
//! Layers of output [`FIRST`] follow the first output, whichever that is: they are there before any screen is, and stay
//! when the first is unplugged and another takes its part.

use blitd_protocol::image::Rectangle;

use super::OutputId;

/// Stands for the first output in what a layer says of itself.
pub const FIRST: OutputId = 0;

/// Layers of this output are part of a picture, moved by so many pixels right and down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contribution {
    /// The layers' output as they name it.
    pub output: OutputId,
    /// How far they are moved.
    pub offset: (i32, i32),
}

/// The outputs there are.
#[derive(Clone, Debug, Default)]
pub struct Arrangement {
    /// Their numbers, in order, and their places.
    outputs: Vec<(OutputId, Option<(i32, i32)>)>,
    /// The highest number that there has been.
    highest: OutputId,
}

impl Arrangement {
    /// These are the outputs now, and their places.
    pub fn change(&mut self, outputs: impl IntoIterator<Item = (OutputId, Option<(i32, i32)>)>) {
        self.outputs = outputs.into_iter().collect();
        self.outputs.sort_unstable_by_key(|(output, _)| *output);
        let highest = self.outputs.last().map_or(0, |(output, _)| *output);
        self.highest = self.highest.max(highest);
    }

    /// Whether this output is there or has been. Numbers are given in order.
    pub const fn has_had(&self, output: OutputId) -> bool {
        output != FIRST && output <= self.highest
    }

    /// The first output, if there is any.
    pub fn first(&self) -> Option<OutputId> {
        self.outputs.first().map(|(output, _)| *output)
    }

    /// Whose layers an output shows, and where.
    pub fn shown_on(&self, output: OutputId) -> Vec<Contribution> {
        let mut all = Vec::new();
        for (other, _) in &self.outputs {
            let Some(offset) = self.offset(*other, output) else { continue };
            all.push(Contribution { output: *other, offset });
            if self.first() == Some(*other) {
                all.push(Contribution { output: FIRST, offset });
            }
        }
        all
    }

    /// Where pixels of an output, as layers name it, are on all that show them.
    pub fn spread(
        &self,
        output: OutputId,
        pixels: Rectangle,
    ) -> impl Iterator<Item = (OutputId, Rectangle)> + '_ {
        let from = if output == FIRST { self.first() } else { Some(output) };
        self.outputs.iter().filter_map(move |(other, _)| {
            let (x, y) = self.offset(from?, *other)?;
            Some((*other, pixels.translated(x, y)?))
        })
    }

    /// How far layers of one output are moved on another that shows them.
    fn offset(&self, from: OutputId, to: OutputId) -> Option<(i32, i32)> {
        let place = |output| self.outputs.iter().find(|(other, _)| *other == output).map(|(_, place)| *place);
        let (from_place, to_place) = (place(from)?, place(to)?);
        if from == to {
            return Some((0, 0));
        }
        let ((from_x, from_y), (to_x, to_y)) = (from_place?, to_place?);
        Some((from_x.checked_sub(to_x)?, from_y.checked_sub(to_y)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(output: OutputId, x: i32, y: i32) -> Contribution {
        Contribution { output, offset: (x, y) }
    }

    fn of(outputs: &[(OutputId, Option<(i32, i32)>)]) -> Arrangement {
        let mut arrangement = Arrangement::default();
        arrangement.change(outputs.iter().copied());
        arrangement
    }

    fn at(x: i32, y: i32) -> Rectangle {
        Rectangle::new(x, y, 10, 10).unwrap()
    }

    #[test]
    fn an_output_without_a_place_is_alone() {
        let arrangement = of(&[(2, None), (1, None)]);
        assert_eq!(arrangement.shown_on(1), [from(1, 0, 0), from(FIRST, 0, 0)]);
        assert_eq!(arrangement.shown_on(2), [from(2, 0, 0)]);
        assert_eq!(arrangement.spread(FIRST, at(5, 5)).collect::<Vec<_>>(), [(1, at(5, 5))]);
        assert_eq!(arrangement.spread(3, at(5, 5)).next(), None, "there is none");
    }

    #[test]
    fn outputs_with_places_share_a_space() {
        let arrangement = of(&[(1, Some((0, 0))), (2, Some((100, -20))), (3, None)]);
        assert_eq!(arrangement.shown_on(2), [from(1, -100, 20), from(FIRST, -100, 20), from(2, 0, 0)]);
        let both: Vec<_> = arrangement.spread(2, at(0, 0)).collect();
        assert_eq!(both, [(1, at(100, -20)), (2, at(0, 0))]);
    }

    #[test]
    fn the_first_is_whichever_is_left() {
        assert_eq!(of(&[(2, None)]).shown_on(2), [from(2, 0, 0), from(FIRST, 0, 0)]);
        let mut arrangement = of(&[(1, None), (2, None)]);
        arrangement.change([]);
        assert!(arrangement.has_had(2) && !arrangement.has_had(3) && !arrangement.has_had(FIRST));
        assert_eq!(arrangement.spread(FIRST, at(0, 0)).next(), None);
    }

    #[test]
    fn places_too_far_apart_show_nothing_of_each_other() {
        let arrangement = of(&[(1, Some((i32::MIN, 0))), (2, Some((i32::MAX, 0)))]);
        assert_eq!(arrangement.shown_on(2), [from(2, 0, 0)]);
    }
}
