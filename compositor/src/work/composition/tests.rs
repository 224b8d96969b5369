use blitd_protocol::request::FixedRectangle;

use super::*;
use crate::memory::helper::Helper;
use crate::scene::LayerKey;

const SCREEN: (u32, u32) = (96, 1024);

/// A frame of so many layers, all of which one row of the screen shows, as small as makes a pixel of them expensive.
fn heap(layers: usize, places: &[Rectangle], turn: Transform) -> Composition {
    let unmapper = Helper::start().unwrap().unmapper();
    let storage = |(width, height): (u32, u32), format| {
        Rc::new(Storage::new(width, height, format, &unmapper).unwrap())
    };
    let picture = storage((1000, 10), Format::Argb8888);
    let placed = |place: &Rectangle| Placed {
        layer: LayerKey::default(),
        storage: Rc::clone(&picture),
        place: *place,
        crop: FixedRectangle::from_pixels(0, 0, place.width() as u16 * 10, 10),
        opacity: 255,
        is_opaque: false,
    };
    let snapshot = places.iter().map(placed).cycle().take(layers).collect();
    let turn = Turn { transform: turn, size: SCREEN };
    let screen = storage(blitd_pixels::turn::turned_size(SCREEN, turn.transform), Format::Xrgb8888);
    Composition::frame(snapshot, 0, Rectangle::from_size(SCREEN.0, SCREEN.1).into(), screen, turn)
}

/// What composing a frame takes off a slice at the most at once, of which `budget` is left.
fn dearest(mut composition: Composition, budget: u64) -> u64 {
    let mut span = vec![0; SPAN];
    let mut parts = vec![Rectangle::from_size(SCREEN.0, SCREEN.1)];
    let (mut dearest, mut composed) = (0, 0);
    while let Some(part) = parts.pop() {
        let before = parts.len();
        let (cost, rest) = composition.compose(part, budget, &mut span).unwrap();
        parts.extend(rest);
        assert!(parts.len() <= before + 40, "it is cut into {} parts", parts.len() - before);
        dearest = dearest.max(cost);
        let left: u64 = parts.iter().map(|part| part.pixels()).sum();
        assert_eq!(composition.bytes() / 4 + left, u64::from(SCREEN.0 * SCREEN.1), "all is there, and once");
        composed = composition.bytes();
    }
    assert_eq!(composed, u64::from(SCREEN.0 * SCREEN.1) * 4);
    dearest
}

#[test]
fn no_slice_is_longer_where_all_that_is_dear_is_in_one_place() {
    let row = Rectangle::from_size(96, 1);
    let lowest = Rectangle::new(0, 1023, 96, 1).unwrap();
    let pixel = Rectangle::new(95, 500, 1, 1).unwrap();
    for turn in [Transform::Identity, Transform::Rotate90] {
        for (layers, places) in
            [(1, [row, row]), (100, [row, lowest]), (250, [row, row]), (250, [pixel, row])]
        {
            let each = heap(1, &[pixel], turn).cost_of(&[Blit { layer: Some(0), pixels: pixel }]);
            assert!(each > 500, "{each}");
            for budget in [1, SLICE / 3, SLICE] {
                let most = (2 * budget.max(LEAST_BUDGET)).max(each * layers as u64 + 200);
                let dearest = dearest(heap(layers, &places, turn), budget);
                assert!(dearest <= most, "{dearest} of {budget}, with {layers} layers");
            }
        }
    }
}
