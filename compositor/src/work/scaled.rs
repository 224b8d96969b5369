//! A layer whose picture is shown larger or smaller than it is.

use blitd_pixels::sample::Scaling;
use blitd_protocol::image::Rectangle;
use blitd_protocol::request::FixedRectangle;
use blitd_protocol::value::{Filter, Transform};

use super::SLICE;
use super::composition::LEAST_COLUMNS;

/// The most that a pixel may cost, in bytes of blits: the shortest piece of a row that is composed is no more than a slice
/// then. That is the mean of some 600 pixels.
const MOST_COST: u64 = SLICE / LEAST_COLUMNS as u64;

/// How a part of a layer's picture comes to fill its place: bilinear, and where it is made so much smaller that this would
/// take too long, nearest. `None` where the crop is empty, which no layer's is.
pub(super) fn scaling(crop: FixedRectangle, place: Rectangle) -> Option<Scaling> {
    let with = |filter| Scaling::new(crop, place, Transform::Identity, filter);
    let bilinear = with(Filter::Bilinear).ok().filter(|scaling| scaling.cost() <= MOST_COST);
    bilinear.or_else(|| with(Filter::Nearest).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::crop::whole;

    #[test]
    fn what_is_too_much_for_a_slice_is_not_averaged() {
        let cost =
            |side| scaling(whole(side, side), Rectangle::from_size(10, 10)).map(|scaling| scaling.cost());
        assert!(cost(200) > cost(100));
        let costs: Vec<u64> = (1..3000).step_by(10).filter_map(cost).collect();
        assert!(costs.len() == 300 && costs.iter().all(|cost| *cost <= MOST_COST), "{costs:?}");
        assert!(cost(2000) < cost(200), "nearest takes the same however large the picture is");
    }
}
