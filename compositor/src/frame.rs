//! Room 5, frame: a snapshot of a scene and a rectangle of it to blits.
//!
//! Planned from the top down, so that what an opaque layer covers is not touched; to be done from the bottom up.

use blitd_protocol::image::Rectangle;

use crate::scene::Placed;
use crate::scene::area::Area;

/// One step of composing a rectangle, in output coordinates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blit {
    /// Which layer of the snapshot; `None` is the background.
    pub layer: Option<usize>,
    /// Which pixels of the output.
    pub pixels: Rectangle,
}

/// Into how many rectangles opaque layers cut what is below them at the most. More are of use in no usual scene, and each is
/// a piece of every layer below.
const MOST: usize = 32;

/// What to do, in this order, so that `rectangle` shows the snapshot (bottom to top).
///
/// Steps of opaque layers and of the background replace what is there, and those of other layers blend with what the steps
/// before them left. What opaque layers cover is left out; where that would cut what is below into too many pieces, it is
/// done and replaced.
pub fn plan<S>(snapshot: &[Placed<S>], rectangle: Rectangle) -> Vec<Blit> {
    let mut open = Area::from(rectangle);
    let mut steps = Vec::new();
    for (index, layer) in snapshot.iter().enumerate().rev() {
        if open.is_empty() {
            break;
        }
        steps.extend(open.within(layer.place).map(|pixels| Blit { layer: Some(index), pixels }));
        if layer.is_opaque {
            let mut rest = open.clone();
            rest.subtract(layer.place);
            if rest.rectangles().len() <= MOST.max(open.rectangles().len()) {
                open = rest;
            }
        }
    }
    steps.extend(open.rectangles().iter().map(|pixels| Blit { layer: None, pixels: *pixels }));
    steps.reverse();
    steps
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::scene::LayerKey;
    use crate::scene::crop::whole;

    fn placed() -> impl Strategy<Value = Placed<u32>> {
        (-4i32..14, -4i32..14, 1u32..10, 1u32..10, any::<bool>()).prop_map(|(x, y, w, h, is_opaque)| Placed {
            layer: LayerKey::default(),
            storage: 0,
            place: Rectangle::new(x, y, w, h).unwrap(),
            crop: whole(w, h),
            opacity: 255,
            is_opaque,
        })
    }

    fn holds(rectangle: Rectangle, x: i32, y: i32) -> bool {
        rectangle.contains(Rectangle::new(x, y, 1, 1).unwrap())
    }

    proptest! {
        #[test]
        fn every_pixel_gets_its_layers_from_the_topmost_opaque_one_up(
            snapshot in prop::collection::vec(placed(), 0..6),
        ) {
            let whole = Rectangle::new(0, 0, 16, 16).unwrap();
            let steps = plan(&snapshot, whole);
            for (x, y) in (0..16).flat_map(|y| (0..16).map(move |x| (x, y))) {
                let done: Vec<_> =
                    steps.iter().filter(|step| holds(step.pixels, x, y)).map(|step| step.layer).collect();
                let over: Vec<_> = (0..snapshot.len()).filter(|&i| holds(snapshot[i].place, x, y)).collect();
                let base = over.iter().rposition(|&index| snapshot[index].is_opaque);
                let mut expected: Vec<_> = over[base.unwrap_or(0)..].iter().map(|&index| Some(index)).collect();
                if base.is_none() {
                    expected.insert(0, None);
                }
                prop_assert_eq!(done, expected, "pixel ({}, {})", x, y);
            }
        }
    }

    #[test]
    fn strips_of_opaque_layers_do_not_cut_what_is_below_into_any_number_of_pieces() {
        let of = |place: Rectangle, is_opaque| Placed {
            layer: LayerKey::default(),
            storage: (),
            place,
            crop: whole(place.width(), place.height()),
            opacity: 255,
            is_opaque,
        };
        let screen = Rectangle::new(0, 0, 1024, 8).unwrap();
        let strips = (0..500).map(|strip| of(Rectangle::new(2 * strip, 0, 1, 8).unwrap(), true));
        let mut snapshot: Vec<_> = [of(screen, false)].into_iter().chain(strips).collect();
        let steps = plan(&snapshot, screen);
        let blended: Vec<_> =
            steps.iter().filter(|step| step.layer == Some(0)).map(|step| step.pixels).collect();
        assert_eq!(blended.len(), MOST);
        // All that is open is there, and comes before the strips that lie over it.
        assert!((0..512).all(|at| blended.iter().any(|piece| holds(*piece, 2 * at + 1, 3))));
        assert!(steps.is_sorted_by_key(|step| step.layer));
        // One that covers all that is open leaves no more pieces than there are.
        snapshot.push(of(screen, true));
        assert_eq!(plan(&snapshot, screen), [Blit { layer: Some(501), pixels: screen }]);
        snapshot.swap(0, 501);
        snapshot.truncate(501);
        assert!(
            plan(&snapshot, screen).iter().all(|step| step.layer.is_some()),
            "no background under opaque layers"
        );
    }
}
