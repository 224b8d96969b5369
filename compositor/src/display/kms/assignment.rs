//! Which layers are shown on planes of their own, and on which. Pure, on plain structs.
//!
//! Planes lie over the composed picture, so the topmost layers come first, and none goes to a plane while a composed
//! layer covers a part of it. Where two of them overlap, their planes have to be in the same order, and the card has to
//! say which order that is.

use blitd_protocol::image::Rectangle;

/// A layer with fewer visible pixels is composed: a plane costs the card more than that.
const LEAST_PIXELS: u64 = 32 * 32;

/// How many layers are looked at, from the top: the time that it takes grows with their square.
const MOST_LAYERS: usize = 64;

/// A plane that lies over the composed picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plane {
    /// The kernel's number.
    pub id: u32,
    /// Its place in the card's stack, where the card tells: the property `zpos`.
    pub zpos: Option<u64>,
}

/// A layer as it would be on a plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Where it is on the output.
    pub place: Rectangle,
    /// Whether it may be on a plane.
    pub is_suitable: bool,
}

impl Plane {
    /// Whether it surely lies below the other: of planes with the same zpos, the one with the higher number is above
    /// (linux/drivers/gpu/drm/drm_blend.c); where there is no zpos, the order is the driver's secret.
    pub fn is_below(self, other: Self) -> bool {
        let (Some(mine), Some(others)) = (self.zpos, other.zpos) else { return false };
        (mine, self.id) < (others, other.id)
    }
}

/// Whether an opaque layer at this place is worth a plane on an output with these bounds. One that covers all of the
/// output is not: it is one copy either way, and hides what is below it either way. Nor is one that is larger than the
/// output: all of it would be copied, and composing copies only what is seen.
pub fn is_worth(place: Rectangle, bounds: Rectangle) -> bool {
    let pixels = place.intersection(bounds).map_or(0, Rectangle::pixels);
    pixels >= LEAST_PIXELS && place.pixels() <= bounds.pixels() && !place.contains(bounds)
}

/// The plane of each of these layers (bottom to top), as an index; `None` where it is composed.
pub fn assign(layers: &[Candidate], bounds: Rectangle, planes: &[Plane]) -> Vec<Option<usize>> {
    let mut free: Vec<usize> = (0..planes.len()).collect();
    // The uppermost first, so that those below it are left for what is below.
    free.sort_by_key(|index| std::cmp::Reverse(planes.get(*index).map(|plane| (plane.zpos, plane.id))));
    let mut assigned = vec![None; layers.len()];
    let mut on_planes: Vec<(Rectangle, Plane)> = Vec::new();
    let mut composed: Vec<Rectangle> = Vec::new();
    let topmost = assigned.iter_mut().zip(layers).rev().take(MOST_LAYERS);
    for (chosen, layer) in topmost {
        let Some(place) = layer.place.intersection(bounds) else { continue };
        let overlaps = |other: &Rectangle| other.intersection(place).is_some();
        let fits = |index: &usize| {
            let plane = planes.get(*index);
            let mut over = on_planes.iter().filter(|(other, _)| overlaps(other));
            plane.is_some_and(|plane| over.all(|(_, above)| plane.is_below(*above)))
        };
        let found = if layer.is_suitable && !composed.iter().any(overlaps) {
            free.iter().position(fits)
        } else {
            None
        };
        match found.map(|position| free.remove(position)) {
            Some(index) => {
                *chosen = Some(index);
                on_planes.extend(planes.get(index).map(|plane| (place, *plane)));
            }
            None => composed.push(place),
        }
    }
    assigned
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: Rectangle = Rectangle::from_size(16, 16);

    #[test]
    fn what_is_larger_than_the_output_is_not_worth_a_plane() {
        let bounds = Rectangle::from_size(1920, 1080);
        for (place, is_worth_it) in [
            ((1, 0, 8192, 8192), false),
            ((1, 0, 1921, 1080), false),
            ((1, 0, 1920, 1080), true),
            ((0, 0, 1920, 1080), false),
            ((1900, 0, 1920, 1080), true),
            ((1900, 1070, 1920, 1080), false),
            ((100, 100, 32, 32), true),
        ] {
            let (x, y, width, height) = place;
            let place = Rectangle::new(x, y, width, height).unwrap();
            assert_eq!(is_worth(place, bounds), is_worth_it, "{place:?}");
        }
    }

    fn at(x: i32, y: i32, width: u32, height: u32) -> Candidate {
        Candidate { place: Rectangle::new(x, y, width, height).unwrap(), is_suitable: true }
    }

    fn candidate() -> impl Strategy<Value = Candidate> {
        (-4i32..18, -4i32..18, 1u32..10, 1u32..10, prop::bool::weighted(0.8))
            .prop_map(|(x, y, w, h, is_suitable)| Candidate { is_suitable, ..at(x, y, w, h) })
    }

    fn planes() -> impl Strategy<Value = Vec<Plane>> {
        let zpos = prop::option::weighted(0.8, 1u64..4);
        prop::collection::vec(zpos, 0..6)
            .prop_map(|all| (40..).zip(all).map(|(id, zpos)| Plane { id, zpos }).collect())
    }

    proptest! {
        #[test]
        fn the_topmost_layer_of_every_pixel_is_seen(
            layers in prop::collection::vec(candidate(), 0..8),
            planes in planes(),
        ) {
            let assigned = assign(&layers, BOUNDS, &planes);
            let mut used: Vec<usize> = assigned.iter().flatten().copied().collect();
            prop_assert!(assigned.iter().zip(&layers).all(|(plane, layer)| plane.is_none() || layer.is_suitable));
            used.sort_unstable();
            used.dedup();
            prop_assert_eq!(used.len(), assigned.iter().flatten().count(), "no plane twice");
            for (x, y) in (0..16).flat_map(|y| (0..16).map(move |x| (x, y))) {
                let pixel = Rectangle::new(x, y, 1, 1).unwrap();
                let here: Vec<usize> =
                    (0..layers.len()).filter(|&index| layers[index].place.contains(pixel)).collect();
                let mut on_planes = here.iter().filter_map(|&index| Some((index, planes[assigned[index]?])));
                // Whatever is composed lies below all planes; of these, the uppermost is seen.
                let Some((_, mut uppermost)) = on_planes.next_back() else { continue };
                prop_assert!(here.last().and_then(|&index| assigned[index]).is_some(), "a plane covers a composed layer");
                for (_, plane) in on_planes.rev() {
                    prop_assert!(plane.is_below(uppermost), "the lower layer is on the upper plane, or may be");
                    uppermost = plane;
                }
            }
        }

        #[test]
        fn where_there_are_planes_enough_every_suitable_layer_has_one(
            layers in prop::collection::vec(candidate(), 0..8),
        ) {
            let planes: Vec<Plane> = (40..48).map(|id| Plane { id, zpos: Some(1) }).collect();
            let assigned = assign(&layers, BOUNDS, &planes);
            for (index, layer) in layers.iter().enumerate() {
                let Some(place) = layer.place.intersection(BOUNDS) else {
                    prop_assert!(assigned[index].is_none(), "it is nowhere to be seen");
                    continue;
                };
                let is_composed = |other: usize| assigned[other].is_none();
                let is_covered = (index + 1..layers.len()).any(|other| {
                    let visible = layers[other].place.intersection(BOUNDS);
                    is_composed(other) && visible.is_some_and(|other| other.intersection(place).is_some())
                });
                prop_assert_eq!(assigned[index].is_some(), layer.is_suitable && !is_covered);
            }
        }
    }

    #[test]
    fn planes_of_unknown_order_take_layers_that_do_not_overlap() {
        let planes = [Plane { id: 40, zpos: None }, Plane { id: 41, zpos: None }];
        let assigned = assign(&[at(0, 0, 4, 4), at(2, 2, 4, 4), at(10, 0, 4, 4)], BOUNDS, &planes);
        assert_eq!(assigned.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true, true]);
    }

    #[test]
    fn what_covers_all_or_hardly_anything_is_worth_no_plane() {
        let bounds = Rectangle::from_size(640, 480);
        let worth = |x, y, width, height| is_worth(at(x, y, width, height).place, bounds);
        assert!(worth(0, 0, 640, 479) && worth(10, 10, 32, 32) && worth(1, 0, 640, 480));
        assert!(!worth(-1, -1, 642, 482) && !worth(10, 10, 32, 31) && !worth(-10, 0, 32, 32));
    }
}
