use blitd_protocol::image::Format;

use blitd_protocol::value::{Name, Transform};

use super::*;
use crate::memory::helper::Helper;
use crate::scene::crop::whole;
use crate::work::Step;
use crate::work::compositions::Compositions;

/// A headless output of 20x10 pixels, turned so, with this background.
fn headless(transform: Transform, background: u32) -> Output {
    let screen = Screen {
        name: Name::new("headless-1"),
        backend: Backend::Headless,
        mode: (20, 10),
        refresh: 60_000,
        transform,
        place: None,
        background,
    };
    let unmapper = Helper::start().unwrap().unmapper();
    let buffer = || Rc::new(Storage::new(20, 10, Format::Xrgb8888, &unmapper).unwrap());
    Output::new(1, screen, FrameClock::paced(0, 60_000), [buffer(), buffer()], 0)
}

/// Composes a frame, and says how many bytes of it were written.
fn compose(output: &mut Output, snapshot: Vec<Placed<Rc<Storage>>>) -> u64 {
    let mut compositions = Compositions::default();
    let [composition] = <[Composition; 1]>::try_from(output.frame(snapshot, Vec::new())).unwrap();
    let composition = compositions.begin(composition);
    output.begin(vec![composition], 0, 0);
    let (step, bytes) = compositions.step(composition, u64::MAX).unwrap().unwrap();
    assert_eq!(step, Step::Finished);
    output.composed_part(composition, bytes, 0);
    output.commit(0);
    output.flip(u64::MAX);
    bytes
}

#[test]
fn memory_that_is_black_already_is_not_made_black() {
    let layer = || {
        let unmapper = Helper::start().unwrap().unmapper();
        let storage = Rc::new(Storage::new(4, 3, Format::Xrgb8888, &unmapper).unwrap());
        let place = Rectangle::new(18, 2, 4, 3).unwrap();
        let layer = LayerKey::default();
        vec![Placed { layer, storage, place, crop: whole(4, 3), opacity: 255, is_opaque: true }]
    };
    let mut output = headless(Transform::Identity, 0xff00_0000);
    assert_eq!(compose(&mut output, Vec::new()), 0);
    // The other buffer: of the layer, two columns are on the output.
    output.damage_whole();
    assert_eq!(compose(&mut output, layer()), 2 * 3 * 4);
    for _ in 0..2 {
        output.damage_whole();
        assert_eq!(compose(&mut output, layer()), 20 * 10 * 4, "it is not clear any more");
    }
    assert_eq!(compose(&mut headless(Transform::Identity, 0xff00_0001), Vec::new()), 20 * 10 * 4);
    let mut before = headless(Transform::Identity, 0xff00_0000);
    before.screen.backend = Backend::Kms;
    let buffers = [before.on_glass.storage, before.back.storage];
    let mut output = Output::new(1, before.screen, before.clock, buffers, 0);
    assert_eq!(compose(&mut output, Vec::new()), 20 * 10 * 4, "a driver need not clear its buffers");
}

/// How long after the vblank before a frame is begun, after some that have taken a nanosecond for each byte of slices, of which
/// others have composed half, or none.
fn learnt(is_settled: bool) -> u64 {
    let unmapper = Helper::start().unwrap().unmapper();
    let storage = || Rc::new(Storage::new(1024, 1024, Format::Xrgb8888, &unmapper).unwrap());
    let screen = Screen { mode: (1024, 1024), ..headless(Transform::Identity, 0).screen };
    let mut output = Output::new(1, screen, FrameClock::paced(0, 60_000), [storage(), storage()], 0);
    let (layer, place) = (storage(), screen.bounds());
    let crop = whole(1024, 1024);
    let key = LayerKey::default();
    let placed =
        Placed { layer: key, storage: Rc::clone(&layer), place, crop, opacity: 255, is_opaque: true };
    let mut compositions = Compositions::default();
    for _ in 0..60 {
        let now = output.last_flip().time;
        output.damage_whole();
        output.weigh(vec![placed.clone()], now);
        let frame = output.frame(vec![placed.clone()], Vec::new());
        let mut left = frame[0].cost();
        let composition = compositions.begin(frame.into_iter().next().unwrap());
        output.begin(vec![composition], now, 0);
        if is_settled {
            let before = left;
            compositions.settle(&layer, Rectangle::from_size(1024, 512), &mut left);
            assert!(left < before * 6 / 10 && left > before * 4 / 10);
        }
        let settled = compositions.settled(composition);
        let (_, bytes) = compositions.step(composition, u64::MAX).unwrap().unwrap();
        output.composed_part(composition, bytes, settled);
        output.commit(now + left);
        output.committed(0);
        assert!(output.flip(u64::MAX));
    }
    output.damage_whole();
    let now = output.last_flip().time;
    output.weigh(vec![placed], now);
    output.wakes_at().unwrap() - now
}

#[test]
fn what_others_have_composed_of_a_frame_does_not_make_the_next_one_late() {
    let (alone, settled) = (learnt(false), learnt(true));
    assert!(alone.abs_diff(settled) < alone / 20, "{alone} and {settled} ns after the vblank before");
}

/// When a frame of a layer of 1024x1024 begins of which all has been drawn anew, on a plane or not.
fn begin_of(is_on_plane: bool) -> u64 {
    let unmapper = Helper::start().unwrap().unmapper();
    let storage = || Rc::new(Storage::new(1024, 1024, Format::Xrgb8888, &unmapper).unwrap());
    let screen = Screen { mode: (1024, 1024), ..headless(Transform::Identity, 0).screen };
    let mut output = Output::new(1, screen, FrameClock::paced(0, 60_000), [storage(), storage()], 0);
    let crop = whole(1024, 1024);
    let (layer, place) = (LayerKey::default(), screen.bounds());
    let placed = Placed { layer, storage: storage(), place, crop, opacity: 255, is_opaque: true };
    // Frames that take as long as to be planned earlier than the least.
    (0..20).for_each(|_| output.clock.measured(8 << 20, 8_000_000, 0));
    for stale in [place, place, Rectangle::from_size(1, 1)] {
        output.generation += 1;
        output.spoil(stale);
        frame_of(&mut output, &placed, is_on_plane);
    }
    let now = output.last_flip().time;
    output.damage(layer, Rectangle::from_size(1, 1));
    output.weigh(vec![placed.clone()], now);
    let little = output.wakes_at().unwrap();
    assert!(!output.is_to_be_weighed(now));
    output.damage(layer, place);
    assert!(output.is_to_be_weighed(now), "it has become more");
    output.weigh(vec![placed], now);
    assert!(output.wakes_at().unwrap() < little);
    output.wakes_at().unwrap() - now
}

#[test]
fn what_is_copied_to_a_plane_weighs_as_much_as_what_is_composed() {
    let (composed, copied) = (begin_of(false), begin_of(true));
    assert!(composed.abs_diff(copied) < 1_000_000, "{composed} and {copied} ns after the vblank");
}

#[test]
fn the_glass_is_told_where_it_changes_and_not_where_the_picture_does() {
    let mut output = headless(Transform::Rotate90, 0xff00_0000);
    assert_eq!(output.screen().size(), (10, 20));
    output.damage(LayerKey::default(), Rectangle::new(1, 2, 3, 4).unwrap());
    output.frame(Vec::new(), Vec::new());
    output.begin(Vec::new(), 0, 0);
    let (_, damage) = output.commit(0);
    // Its upper left corner is where the upper right one was, 10 - (1 + 3) from the right.
    assert_eq!(damage.rectangles(), [Rectangle::new(2, 6, 4, 3).unwrap()]);
}

/// A frame with one layer, on a plane or not: how many pixels of the picture are composed, what the glass is told
/// to look at, and whether another buffer comes there.
fn frame_of(output: &mut Output, layer: &Placed<Rc<Storage>>, is_on_plane: bool) -> (u64, u64, bool) {
    let on_plane = OnPlane { layer: layer.layer, place: layer.place, composition: None };
    let on_planes = if is_on_plane { vec![on_plane] } else { Vec::new() };
    let on_glass = Rc::clone(&output.on_glass.storage);
    let mut compositions = Compositions::default();
    let frame = output.frame(vec![layer.clone()], on_planes);
    let numbers: Vec<CompositionId> =
        frame.into_iter().map(|composition| compositions.begin(composition)).collect();
    output.begin(numbers.clone(), 0, 0);
    let mut pixels = 0;
    for number in numbers {
        let (_, bytes) = compositions.step(number, u64::MAX).unwrap().unwrap();
        output.composed_part(number, bytes, 0);
        pixels += bytes / 4;
    }
    let (picture, damage) = output.commit(0);
    output.flip(u64::MAX);
    (pixels, damage.pixels(), !Rc::ptr_eq(&picture, &on_glass))
}

#[test]
fn what_planes_hide_is_composed_when_it_comes_to_light() {
    let mut output = headless(Transform::Identity, 0xff00_0001);
    let unmapper = Helper::start().unwrap().unmapper();
    let storage = Rc::new(Storage::new(5, 4, Format::Xrgb8888, &unmapper).unwrap());
    let rectangle = |x, y, width, height| Rectangle::new(x, y, width, height).unwrap();
    let mut layer = Placed {
        layer: LayerKey::default(),
        storage,
        place: rectangle(3, 2, 5, 4),
        crop: whole(5, 4),
        opacity: 255,
        is_opaque: true,
    };
    assert_eq!(frame_of(&mut output, &layer, false), (200, 0, true));
    output.spoil(rectangle(0, 0, 1, 1));
    assert_eq!(frame_of(&mut output, &layer, false), (200, 1, true));
    assert_eq!(frame_of(&mut output, &layer, true), (0, 20, false), "it hides what is stale from here on");
    output.damage(layer.layer, layer.place);
    assert_eq!(frame_of(&mut output, &layer, true), (0, 0, false), "drawn on its plane");
    output.spoil(rectangle(4, 3, 2, 2));
    assert_eq!(frame_of(&mut output, &layer, true), (0, 4, false), "something is drawn below it");
    output.spoil(rectangle(6, 0, 4, 4));
    let drawn = frame_of(&mut output, &layer, true);
    assert_eq!(drawn, (13, 16, true), "4 of 16 are below it, and one is of the frame before");
    let mut move_to = |x| {
        layer.place = rectangle(x, 2, 5, 4);
        output.damage(layer.layer, layer.place);
        frame_of(&mut output, &layer, true)
    };
    assert_eq!(move_to(5), (8 + 8, 20, true), "two columns come to light, and the change before");
    // Each of the buffers has what the other lacks.
    assert_eq!(move_to(3), (0, 20, true));
    assert_eq!(move_to(5), (0, 20, true));
    assert!(output.layers_on_planes() == 1 && output.shown(output.generation()).is_some());
    let (pixels, told, swaps) = frame_of(&mut output, &layer, false);
    assert!(pixels >= 20 && told >= 20 && swaps, "it is in the picture again: {pixels}, {told}");
    assert_eq!(frame_of(&mut output, &layer, false), (0, 0, false), "and nothing is missing");
}
