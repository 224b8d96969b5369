//! Outputs that come, go, hang on their side and stand beside each other: layers outlive them, and every picture is
//! what it should be.

mod fixture;

use std::rc::{Rc, Weak};

use blitd::display::Change;
use blitd::display::output::Output;
use blitd::display::screen::Screen;
use blitd::frame_clock::FrameClock;
use blitd::memory::helper::Helper;
use blitd::memory::storage::Storage;
use blitd::scene::crop::whole;
use blitd::scene::{LayerKey, Placed};
use blitd::work::SLICE;
use blitd::work::composition::{Composition, Turn};
use blitd::work::compositions::Compositions;
use blitd_protocol::image::{Format, Rectangle};
use blitd_protocol::reply::Reply;
use blitd_protocol::request::{LayerConfigure, LayerCreate, Request};
use blitd_protocol::value::{Backend, CaptureSubject, Name, NotShown, Transform};
use fixture::turned::turned;
use fixture::{Client, Fixture, PERIOD, Random, Shared, capture, config, draw, fill, layer, packed};

const SIZE: (u32, u32) = (150, 100);

/// An output that somebody plugs in.
fn screen(fixture: &Fixture, number: u32, place: Option<(i32, i32)>, size: (u32, u32)) -> Change {
    screen_of(fixture, number, place, size).0
}

/// The same, and its buffers, to see when they are given back.
fn screen_of(
    fixture: &Fixture,
    number: u32,
    place: Option<(i32, i32)>,
    size: (u32, u32),
) -> (Change, [Weak<Storage>; 2]) {
    let screen = Screen {
        name: Name::new(&format!("test-{number}")),
        backend: Backend::Headless,
        mode: size,
        refresh: 60_000,
        transform: Transform::Identity,
        place,
        background: 0xff00_0000 + number,
    };
    let unmapper = Helper::start().unwrap().unmapper();
    let buffer = || Rc::new(Storage::new(size.0, size.1, Format::Xrgb8888, &unmapper).unwrap());
    let clock = FrameClock::paced(fixture.now(), 60_000);
    let buffers = [buffer(), buffer()];
    let weak = buffers.each_ref().map(Rc::downgrade);
    (Change::Came(Box::new(Output::new(number, screen, clock, buffers, fixture.now()))), weak)
}

fn change(fixture: &mut Fixture, change: Change) {
    fixture.daemon.server().change_outputs(vec![change]);
    fixture.rest();
}

/// A region of noise, as region 1.
fn noise(fixture: &mut Fixture, client: &mut Client, seed: u64) -> Shared {
    let memory = Shared::sealed(u64::from(SIZE.0 * SIZE.1 * 4));
    let mut random = Random(seed);
    let words: Vec<u32> = (0..SIZE.0 * SIZE.1).map(|_| random.next() as u32 | 0xff00_0000).collect();
    memory.write_words(&words);
    fixture.region(client, 1, &memory);
    memory
}

fn pulses(fixture: &mut Fixture, client: &mut Client) -> usize {
    fixture.settle();
    while client.link.dispatch(Some(std::time::Duration::ZERO)).unwrap() {}
    client.link.pulses().filter(|pulse| matches!(pulse, Reply::OutputsChanged)).count()
}

fn listed(fixture: &mut Fixture, client: &mut Client) -> Vec<(u32, u32, u32)> {
    match fixture.call(client, &Request::Outputs { first: 0 }) {
        Reply::Outputs(list) => list
            .records
            .iter()
            .map(|record| (record.output.get(), record.width.get(), record.height.get()))
            .collect(),
        other => panic!("{other:?}"),
    }
}

/// A sync that does not wait.
fn sync_now(fixture: &mut Fixture, client: &mut Client, output: u32) -> NotShown {
    match fixture.call(client, &Request::Sync { output }) {
        Reply::Shown(shown) => shown.reason,
        other => panic!("{other:?}"),
    }
}

/// The capture of an output as a client gets it.
fn captured(fixture: &mut Fixture, output: u32, size: (u32, u32)) -> Vec<u32> {
    let mut client = fixture.client("capture");
    let memory = Shared::sealed(u64::from(size.0 * size.1 * 4));
    fixture.region(&mut client, 1, &memory);
    fixture.done(&mut client, &capture(CaptureSubject::Output, output, size.0, size.1));
    memory.words()
}

#[test]
fn a_screen_that_hangs_on_its_side_shows_the_picture_turned() {
    for (rotation, reflects) in
        [0, 90, 180, 270].into_iter().flat_map(|rotation| [(rotation, false), (rotation, true)])
    {
        let text = format!("[output.headless-1]\nrotation = {rotation}\nreflect = {reflects}\n");
        let mut fixture = Fixture::configured(config(SIZE.0, SIZE.1, &text));
        let mut client = fixture.client("turned");
        let quarter = rotation / 90 % 2 == 1;
        let (width, height) = if quarter { (SIZE.1, SIZE.0) } else { SIZE };
        assert_eq!(listed(&mut fixture, &mut client), [(1, width, height)]);
        noise(&mut fixture, &mut client, 3);
        fixture.layer(&mut client, layer(1, 0, 0, width, height));
        let pane = LayerCreate { fourcc: Format::Argb8888.fourcc(), ..layer(2, 7, -9, 70, 80) };
        fixture.layer(&mut client, LayerCreate { z: 1, ..pane });
        fixture.done(&mut client, &Request::Draw(draw(1, packed(1, width, height, Format::Xrgb8888))));
        for round in 0..4u32 {
            // Part of the picture changes, and the frame composes that part only.
            fixture.done(&mut client, &Request::Fill(fill(2, 0x8040_2010 + round, 13 + round * 9, 40)));
            fixture.sync(&mut client);
            let picture = captured(&mut fixture, 0, (width, height));
            let glass = fixture.glass(0);
            let expected = turned(&picture, (width, height), rotation / 90, reflects);
            let differs = glass.iter().zip(&expected).position(|(glass, expected)| glass != expected);
            assert_eq!(differs, None, "rotation {rotation}, reflected {reflects}, round {round}");
            assert!(picture.windows(2).filter(|pair| pair[0] != pair[1]).count() > 1000, "a busy picture");
        }
    }
}

#[test]
fn layers_outlive_their_output() {
    let mut fixture = Fixture::new(SIZE.0, SIZE.1);
    let mut client = fixture.client("survivor");
    let memory = noise(&mut fixture, &mut client, 5);
    let image = packed(1, SIZE.0, SIZE.1, Format::Xrgb8888);
    fixture.layer(&mut client, LayerCreate { output: 1, ..layer(1, 0, 0, SIZE.0, SIZE.1) });
    fixture.done(&mut client, &Request::Draw(draw(1, image)));
    assert_eq!(fixture.sync(&mut client).reason, NotShown::Shown);
    assert_eq!(pulses(&mut fixture, &mut client), 0);

    change(&mut fixture, Change::Went(1));
    assert_eq!(pulses(&mut fixture, &mut client), 1);
    assert_eq!(listed(&mut fixture, &mut client), []);
    assert_eq!(sync_now(&mut fixture, &mut client, 1), NotShown::OutputOff);
    assert_eq!(sync_now(&mut fixture, &mut client, 0), NotShown::OutputOff);
    memory.write_words(&vec![0xff12_3456; (SIZE.0 * SIZE.1) as usize]);
    fixture.done(&mut client, &Request::Draw(draw(1, packed(1, SIZE.0, 10, Format::Xrgb8888))));
    let configure =
        LayerConfigure { layer: 1, output: Some(1), place: Some((3, 4)), ..LayerConfigure::default() };
    fixture.done(&mut client, &Request::LayerConfigure(configure));

    let came = screen(&fixture, 1, None, (SIZE.0 + 10, SIZE.1 + 10));
    change(&mut fixture, came);
    assert_eq!(pulses(&mut fixture, &mut client), 1);
    assert_eq!(listed(&mut fixture, &mut client), [(1, SIZE.0 + 10, SIZE.1 + 10)]);
    assert_eq!(fixture.sync(&mut client).reason, NotShown::Shown);
    let picture = captured(&mut fixture, 1, (SIZE.0 + 10, SIZE.1 + 10));
    assert_eq!(fixture.glass(0), picture);
    let at = |x: u32, y: u32| picture[(y * (SIZE.0 + 10) + x) as usize];
    assert_eq!((at(3, 4), at(2, 4)), (0xff12_3456, 0xff00_0001));
    assert_ne!(at(3, 14), 0xff12_3456, "below it is what was drawn before the output went");
    assert_eq!(pulses(&mut fixture, &mut client), 0, "each change is told once");
}

#[test]
fn without_an_output_everything_but_the_glass_is_there() {
    let mut fixture = Fixture::new(SIZE.0, SIZE.1);
    change(&mut fixture, Change::Went(1));
    let mut client = fixture.client("early");
    let memory = noise(&mut fixture, &mut client, 7);
    fixture.layer(&mut client, layer(1, 0, 0, SIZE.0, SIZE.1));
    fixture.done(&mut client, &Request::Draw(draw(1, packed(1, SIZE.0, SIZE.1, Format::Xrgb8888))));
    assert_eq!(sync_now(&mut fixture, &mut client, 0), NotShown::OutputOff);
    assert!(!fixture.vblank(), "nothing is waited for");
    let came = screen(&fixture, 2, None, SIZE);
    change(&mut fixture, came);
    assert_eq!(fixture.sync(&mut client).output, 2, "it is the first one now");
    assert_eq!(fixture.glass(0), memory.words());
}

#[test]
fn layers_of_the_first_output_follow_it() {
    let mut fixture = Fixture::new(SIZE.0, SIZE.1);
    let second = screen(&fixture, 2, None, SIZE);
    change(&mut fixture, second);
    let mut client = fixture.client("follower");
    let memory = noise(&mut fixture, &mut client, 9);
    fixture.layer(&mut client, layer(1, 0, 0, SIZE.0, SIZE.1));
    fixture.done(&mut client, &Request::Draw(draw(1, packed(1, SIZE.0, SIZE.1, Format::Xrgb8888))));
    fixture.rest();
    let background = vec![0xff00_0002; (SIZE.0 * SIZE.1) as usize];
    assert_eq!((fixture.glass(0), fixture.glass(1)), (memory.words(), background.clone()));
    change(&mut fixture, Change::Went(1));
    assert_eq!(fixture.glass(0), memory.words(), "the second is the first now");
    let first = screen(&fixture, 1, None, SIZE);
    change(&mut fixture, first);
    assert_eq!((fixture.glass(0), fixture.glass(1)), (memory.words(), background));
}

#[test]
fn layers_reach_over_the_edges_of_outputs_that_share_a_space() {
    let mut fixture = Fixture::configured(config(SIZE.0, SIZE.1, "[output.headless-1]\nplace = [0, 0]\n"));
    let second = screen(&fixture, 2, Some((SIZE.0 as i32, 20)), SIZE);
    change(&mut fixture, second);
    let third = screen(&fixture, 3, Some((0, 0)), SIZE);
    change(&mut fixture, third);
    let fourth = screen(&fixture, 4, None, SIZE);
    change(&mut fixture, fourth);
    let mut client = fixture.client("wide");
    let memory = noise(&mut fixture, &mut client, 11);
    fixture.layer(&mut client, layer(1, 100, 0, SIZE.0, SIZE.1));
    fixture.done(&mut client, &Request::Draw(draw(1, packed(1, SIZE.0, SIZE.1, Format::Xrgb8888))));
    fixture.rest();
    let picture = memory.words();
    let check = |fixture: &mut Fixture, picture: &[u32], index: usize, (dx, dy): (i32, i32), under: u32| {
        let glass = fixture.glass(index);
        for (at, word) in glass.iter().enumerate() {
            let (x, y) = (at as i32 % SIZE.0 as i32, at as i32 / SIZE.0 as i32);
            let (from_x, from_y) = (x + dx - 100, y + dy);
            let inside = (0..SIZE.0 as i32).contains(&from_x) && (0..SIZE.1 as i32).contains(&from_y);
            let expected = if inside { picture[(from_y * SIZE.0 as i32 + from_x) as usize] } else { under };
            assert_eq!(*word, expected, "output {}, pixel ({x}, {y})", index + 1);
        }
    };
    check(&mut fixture, &picture, 0, (0, 0), 0xff00_0000);
    check(&mut fixture, &picture, 1, (SIZE.0 as i32, 20), 0xff00_0002);
    check(&mut fixture, &picture, 2, (0, 0), 0xff00_0003);
    assert!(fixture.glass(3).iter().all(|word| *word == 0xff00_0004), "it shares no space");
    // A change on one side of the edge is a change of the other side's picture alone.
    let frames = |fixture: &mut Fixture| {
        fixture.daemon.server().outputs().iter().map(Output::frames).collect::<Vec<_>>()
    };
    let before = frames(&mut fixture);
    memory.write_words(&vec![0xff77_6655; picture.len()]);
    let mut right = draw(1, packed(1, SIZE.0, SIZE.1, Format::Xrgb8888));
    right.source = blitd_protocol::request::FixedRectangle::from_pixels(60, 0, 20, 90);
    right.destination = blitd_protocol::request::Pixels { x: 60, y: 0, width: 20, height: 90 };
    fixture.done(&mut client, &Request::Draw(right));
    fixture.rest();
    let after = frames(&mut fixture);
    let drawn: Vec<u64> = after.iter().zip(&before).map(|(after, before)| after - before).collect();
    assert_eq!(drawn, [0, 1, 0, 0]);
    let mut changed = picture.clone();
    for (at, word) in changed.iter_mut().enumerate() {
        if (60..80).contains(&(at as u32 % SIZE.0)) && (at as u32) < 90 * SIZE.0 {
            *word = 0xff77_6655;
        }
    }
    check(&mut fixture, &changed, 1, (SIZE.0 as i32, 20), 0xff00_0002);
    // A client with a layer that shows on a neighbour may wait for it there.
    let serial = client.submit(&Request::Sync { output: 2 });
    assert!(
        matches!(fixture.reply(&mut client, serial), Reply::Shown(shown) if shown.reason == NotShown::Shown)
    );
    assert_eq!(sync_now(&mut fixture, &mut client, 4), NotShown::NothingVisible);
}

#[test]
fn who_waits_for_an_output_that_goes_is_told_and_for_one_that_changes_waits_on() {
    let mut fixture = Fixture::new(SIZE.0, SIZE.1);
    let mut client = fixture.client("waiting");
    fixture.layer(&mut client, layer(1, 0, 0, 50, 50));
    fixture.rest();
    fixture.done(&mut client, &Request::Fill(fill(1, 0xffaa_bbcc, 10, 10)));
    let serial = client.submit(&Request::Sync { output: 1 });
    fixture.settle();
    assert!(client.poll(serial).is_none(), "it waits for the vblank");
    let other_mode = screen(&fixture, 1, None, (60, 60));
    fixture.daemon.server().change_outputs(vec![other_mode]);
    fixture.settle();
    assert!(client.poll(serial).is_none(), "the frame that it waits for has not been on any glass");
    assert!(fixture.vblank());
    match client.poll(serial) {
        Some(Reply::Shown(shown)) => assert_eq!(shown.reason, NotShown::Shown),
        other => panic!("{other:?}"),
    }
    assert_eq!(fixture.glass(0)[9 * 60 + 9], 0xffaa_bbcc);

    fixture.done(&mut client, &Request::Fill(fill(1, 0xff11_2233, 20, 20)));
    let serial = client.submit(&Request::Sync { output: 1 });
    // In the middle of its frame as well as before the vblank.
    fixture.turn();
    fixture.daemon.server().change_outputs(vec![Change::Went(1)]);
    match fixture.reply(&mut client, serial) {
        Reply::Shown(shown) => assert_eq!(shown.reason, NotShown::OutputOff),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_output_that_comes_and_goes_without_end_leaves_nothing_behind() {
    let mut fixture = Fixture::new(SIZE.0, SIZE.1);
    let mut silent = fixture.client("never reads");
    let mut random = Random(1);
    let mut buffers = Vec::new();
    for _ in 0..500 {
        // More than a slice, so that some go in the middle of a frame.
        let size = (400 + random.below(50) as u32, 300);
        let (came, made) = screen_of(&fixture, 1 + random.below(3) as u32, None, size);
        buffers.extend(made);
        fixture.daemon.server().change_outputs(vec![came]);
        for _ in 0..random.below(4) {
            fixture.turn();
        }
        let went = 1 + random.below(3) as u32;
        fixture.daemon.server().change_outputs(vec![Change::Went(went)]);
        fixture.turn();
    }
    fixture.rest();
    let held = buffers.iter().filter(|buffer| buffer.strong_count() > 0).count();
    assert_eq!(held, 2 * fixture.daemon.server().outputs().len(), "buffers of outputs that have gone");
    // Pulses of the same kind are one while nobody takes them; those that went out fit the socket.
    assert!(pulses(&mut fixture, &mut silent) <= 1);
    assert!(fixture.now() > PERIOD);
}

#[test]
fn an_output_that_is_always_composed_keeps_no_other_from_its_frames() {
    const LARGE: (u32, u32) = (1000, 1000);
    let mut fixture = Fixture::new(LARGE.0, LARGE.1);
    let second = screen(&fixture, 2, None, LARGE);
    change(&mut fixture, second);
    let mut client = fixture.client("restless");
    // Who is alone has slices that are longer than these frames.
    let _other = fixture.client("other");
    fixture.layer(&mut client, layer(1, 0, 0, LARGE.0, LARGE.1));
    fixture.layer(&mut client, LayerCreate { output: 2, ..layer(2, 0, 0, LARGE.0, LARGE.1) });
    fixture.rest();
    let frames = |fixture: &mut Fixture| {
        fixture.daemon.server().outputs().iter().map(Output::frames).collect::<Vec<_>>()
    };
    let before = frames(&mut fixture);
    for round in 0..300 {
        // By turns, so that neither is always the one that is drawn when the other's frame has begun.
        for id in if round % 2 == 0 { [1, 2] } else { [2, 1] } {
            let place = Some((round % 2, 0));
            let serial = client.submit(&Request::LayerConfigure(LayerConfigure {
                layer: id,
                place,
                ..LayerConfigure::default()
            }));
            while client.poll(serial).is_none() {
                fixture.turn();
                // Composing takes so long that each vblank comes as soon as a frame waits for it.
                fixture.pass_vblank();
            }
        }
    }
    let after = frames(&mut fixture);
    let shown = [after[0] - before[0], after[1] - before[1]];
    assert!(shown[0].abs_diff(shown[1]) <= 1 && shown[1] > 10, "frames of equals: {shown:?}");
}

/// Whoever waits for one screen may still draw on the other before that one's frame has to begin.
#[test]
fn only_the_screen_that_all_wait_for_begins_its_frame_at_once() {
    let mut fixture = Fixture::new(SIZE.0, SIZE.1);
    let second = screen(&fixture, 2, None, SIZE);
    change(&mut fixture, second);
    let mut client = fixture.client("both");
    for id in [1, 2] {
        fixture.layer(&mut client, LayerCreate { output: id, ..layer(id, 0, 0, SIZE.0, SIZE.1) });
    }
    fixture.rest();
    for awaited in [1, 2] {
        for id in [1, 2] {
            fixture.done(&mut client, &Request::Fill(fill(id, 0xff00_0000 + awaited, SIZE.0, SIZE.1)));
        }
        let serial = client.submit(&Request::Sync { output: awaited });
        fixture.settle();
        let begun =
            fixture.daemon.server().outputs().iter().map(|output| (output.id(), output.awaits_time()));
        assert_eq!(begun.collect::<Vec<_>>(), [(1, awaited == 1), (2, awaited == 2)]);
        fixture.rest();
        assert!(matches!(client.poll(serial), Some(Reply::Shown(shown)) if shown.output == awaited));
    }
}

/// How many slices a frame of this transform takes.
fn slices(transform: Transform) -> usize {
    let unmapper = Helper::start().unwrap().unmapper();
    let storage = || Rc::new(Storage::new(640, 640, Format::Xrgb8888, &unmapper).unwrap());
    let place = Rectangle::from_size(640, 640);
    let layer = Placed {
        layer: LayerKey::default(),
        storage: storage(),
        place,
        crop: whole(place.width(), place.height()),
        opacity: 255,
        is_opaque: true,
    };
    let turn = Turn { transform, size: (640, 640) };
    let screen = storage();
    // New memory makes slices shorter.
    screen.written(screen.bytes());
    let mut compositions = Compositions::default();
    let id = compositions.begin(Composition::frame(vec![layer], 0, place.into(), screen, turn));
    std::iter::from_fn(|| Some(compositions.step(id, SLICE)?.unwrap().0)).count()
}

#[test]
fn a_slice_of_a_screen_on_its_side_has_fewer_pixels() {
    let upright = slices(Transform::Identity);
    for transform in [Transform::Rotate90, Transform::Rotate180, Transform::ReflectRotate270] {
        // Turning a pixel takes about three times as long as copying it.
        let turned = slices(transform);
        assert!((2 * upright..=4 * upright).contains(&turned), "{transform:?}: {turned} and {upright}");
    }
}
