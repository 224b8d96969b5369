//! Layers that are shown larger, smaller or in part, and changed in groups: what is on the glass is what the same scene
//! is when it is composed from nothing.

mod fixture;

use std::rc::Rc;

use blitd::memory::helper::Helper;
use blitd::memory::storage::Storage;
use blitd::scene::crop::whole;
use blitd::scene::{LayerKey, Placed};
use blitd::work::Step;
use blitd::work::composition::{Composition, Turn};
use blitd::work::compositions::Compositions;
use blitd_pixels::blit;
use blitd_pixels::view::{Layout, PictureMut, ViewMut};
use blitd_protocol::error::ErrorCode;
use blitd_protocol::image::{Format, Rectangle};
use blitd_protocol::reply::{Reply, Statistics};
use blitd_protocol::request::{Entry, Fill, FixedRectangle, LayerConfigure, LayerCreate, Pixels, Request};
use blitd_protocol::value::{Band, CaptureSubject, Operator, StatisticsSubject, Transform};
use fixture::{Client, Fixture, Random, Shared, capture, config, fill, fill_at, layer};

const SIDE: u32 = 64;
const BACKGROUND: u32 = 0xff00_0000;

fn configure(layer: u32) -> LayerConfigure {
    LayerConfigure { layer, ..LayerConfigure::default() }
}

fn pixel(words: &[u32], x: u32, y: u32) -> u32 {
    words[(y * SIDE + x) as usize] | BACKGROUND
}

/// A layer of 32x32 with a colour in each quarter of its picture.
fn quarters(fixture: &mut Fixture, client: &mut Client) -> [u32; 4] {
    fixture.layer(client, layer(1, 0, 0, 32, 32));
    let colours = [0xffff_0000, 0xff00_ff00, 0xff00_00ff, 0xffff_ff00];
    for (index, colour) in (0..).zip(colours) {
        let destination = Pixels { x: index % 2 * 16, y: index / 2 * 16, width: 16, height: 16 };
        fixture.done(client, &Request::Fill(fill_at(fill(1, colour, 16, 16), destination)));
    }
    colours
}

#[test]
fn a_layer_fills_its_size_with_its_crop() {
    let mut fixture = Fixture::new(SIDE, SIDE);
    let mut client = fixture.client("layers");
    let colours = quarters(&mut fixture, &mut client);
    // A crop of whole pixels, as large as on the output: each is shown as it is, for the place it is moved to too.
    let crop = FixedRectangle::from_pixels(10, 14, 12, 4);
    let part = LayerConfigure { size: Some((12, 4)), crop: Some(crop), ..configure(1) };
    fixture.done(&mut client, &Request::LayerConfigure(part));
    fixture
        .done(&mut client, &Request::LayerConfigure(LayerConfigure { place: Some((3, 5)), ..configure(1) }));
    fixture.rest();
    let glass = fixture.glass(0);
    for (x, y) in (0..SIDE).flat_map(|y| (0..SIDE).map(move |x| (x, y))) {
        let inside = (3..15).contains(&x) && (5..9).contains(&y);
        let quarter = usize::from(x >= 9) + 2 * usize::from(y >= 7);
        let expected = if inside { colours[quarter] } else { BACKGROUND };
        assert_eq!(pixel(&glass, x, y), expected, "({x}, {y})");
    }
    // All of it, larger and turned out of proportion; away from the seams each quarter has its colour.
    let whole = FixedRectangle::from_pixels(0, 0, 32, 32);
    let larger =
        LayerConfigure { place: Some((1, 2)), size: Some((60, 40)), crop: Some(whole), ..configure(1) };
    fixture.done(&mut client, &Request::LayerConfigure(larger));
    fixture.rest();
    let glass = fixture.glass(0);
    for (x, y) in (0..SIDE).flat_map(|y| (0..SIDE).map(move |x| (x, y))) {
        let (inside_x, inside_y) = ((1..61).contains(&x), (2..42).contains(&y));
        if (28..34).contains(&x) || (19..25).contains(&y) {
            continue;
        }
        let quarter = usize::from(x >= 31) + 2 * usize::from(y >= 22);
        let expected = if inside_x && inside_y { colours[quarter] } else { BACKGROUND };
        assert_eq!(pixel(&glass, x, y), expected, "({x}, {y})");
    }
    // A capture of the layer knows nothing of it, and statistics know all.
    let memory = Shared::sealed(32 * 32 * 4);
    fixture.region(&mut client, 1, &memory);
    fixture.done(&mut client, &capture(CaptureSubject::Layer, 1, 32, 32));
    assert_eq!(memory.words()[0], colours[0]);
    assert_eq!(memory.words()[32 * 32 - 1], colours[3]);
    let request = Request::Statistics { subject: StatisticsSubject::Layers, first: 0 };
    let Reply::Statistics(Statistics::Layers(list)) = fixture.call(&mut client, &request) else {
        panic!("no layers");
    };
    let record = list.records[0];
    assert_eq!((record.width.get(), record.height.get()), (32, 32));
    assert_eq!((record.x.get(), record.shown_width.get(), record.shown_height.get()), (1, 60, 40));
    assert_eq!(FixedRectangle::from(record.crop), whole);
}

#[test]
fn changes_in_a_batch_are_those_of_what_the_ones_before_made() {
    let mut fixture = Fixture::new(SIDE, SIDE);
    let mut client = fixture.client("layers");
    fixture.layer(&mut client, layer(1, 0, 0, 32, 16));
    let to = |x| LayerConfigure { place: Some((x, 0)), ..configure(1) };
    let far = i32::MAX - 40;
    fixture.done(&mut client, &Request::LayerConfigure(to(far)));
    let larger = LayerConfigure { size: Some((100, 100)), ..configure(1) };
    // So large it does not fit there, and so far away it does not when it is large.
    let batch = |changes: [LayerConfigure; 2]| Request::Batch(changes.map(Entry::LayerConfigure).into());
    fixture.done(&mut client, &batch([to(0), larger]));
    fixture.refused_with(&mut client, &batch([larger, to(far)]), ErrorCode::SizeOverflow);
    let before = LayerConfigure { size: Some((32, 16)), ..configure(1) };
    fixture.done(&mut client, &batch([before, to(far)]));
    fixture.refused_with(&mut client, &batch([larger, to(0)]), ErrorCode::SizeOverflow);
}

#[test]
fn a_size_or_a_crop_that_cannot_be_is_refused() {
    // So large a picture costs more than users may have by default.
    let mut fixture = Fixture::configured(config(SIDE, SIDE, "[limits]\ncomposing = 100000000000"));
    let mut client = fixture.client("layers");
    fixture.layer(&mut client, layer(1, 0, 0, 32, 16));
    let mut refused = |change: LayerConfigure, code| {
        fixture.refused_with(&mut client, &Request::LayerConfigure(change), code);
        fixture.refused_with(&mut client, &Request::Batch(vec![Entry::LayerConfigure(change)]), code);
    };
    for size in [(0, 1), (1, 0), (32768, 1), (1, u32::MAX)] {
        refused(LayerConfigure { size: Some(size), ..configure(1) }, ErrorCode::BadSize);
    }
    let far = LayerConfigure { place: Some((i32::MAX - 32, 0)), size: Some((33, 1)), ..configure(1) };
    refused(far, ErrorCode::SizeOverflow);
    let whole = FixedRectangle::from_pixels(0, 0, 32, 16);
    for crop in [
        FixedRectangle { width: 0, ..whole },
        FixedRectangle { height: 0, ..whole },
        FixedRectangle { x: 1, ..whole },
        FixedRectangle { height: whole.height + 1, ..whole },
        FixedRectangle { x: u32::MAX, width: u32::MAX, ..whole },
        FixedRectangle { y: 16 << 16, height: 1, ..whole },
    ] {
        refused(LayerConfigure { crop: Some(crop), ..configure(1) }, ErrorCode::SourceOutside);
    }
    // The least and the most that can be.
    for crop in [FixedRectangle { x: (32 << 16) - 1, y: 0, width: 1, height: 1 }, whole] {
        let most = LayerConfigure { crop: Some(crop), size: Some((32767, 32767)), ..configure(1) };
        fixture.done(&mut client, &Request::LayerConfigure(most));
        fixture.done(&mut client, &Request::Fill(fill(1, 7, 32, 16)));
        fixture.rest();
        assert_eq!(pixel(&fixture.glass(0), SIDE - 1, SIDE - 1), BACKGROUND | 7);
        fixture.done(&mut client, &Request::Fill(fill(1, 0, 32, 16)));
    }
}

/// Whatever a layer may be like on the output.
fn random_change(random: &mut Random, layer: u32) -> LayerConfigure {
    let side = |random: &mut Random| random.below(90) as u32 + 1;
    let picture = 40 << 16;
    let start = |random: &mut Random| random.below(picture) as u32;
    let (x, y) = (start(random), start(random));
    let length = |random: &mut Random, start: u32| random.below(picture - u64::from(start)) as u32 + 1;
    let crop = FixedRectangle { x, y, width: length(random, x), height: length(random, y) };
    let whole = FixedRectangle::from_pixels(3, 4, 20, 10);
    let (crop, size) = match random.below(3) {
        0 => (whole, (20, 10)),
        _ => (crop, (side(random), side(random))),
    };
    LayerConfigure {
        place: Some((random.below(80) as i32 - 30, random.below(80) as i32 - 30)),
        size: Some(size),
        crop: Some(crop),
        band: Some(Band::ALL[random.below(4) as usize]),
        z: Some(random.below(3) as i32),
        opacity: (random.below(2) == 0).then(|| random.below(256) as u8),
        visible: Some(random.below(5) > 0),
        ..configure(layer)
    }
}

/// Each frame composes what has changed only. What is then on the glass is what a capture of the same scene is, which
/// is composed from nothing, and in other parts.
#[test]
fn what_is_drawn_comes_wherever_it_is_shown() {
    let mut fixture = Fixture::new(SIDE, SIDE);
    let mut client = fixture.client("layers");
    let mut random = Random(7);
    for id in 1..=3 {
        let formats = [Format::Xrgb8888, Format::Argb8888];
        let fourcc = formats[id as usize % 2].fourcc();
        fixture.layer(&mut client, LayerCreate { fourcc, ..layer(id, 0, 0, 40, 40) });
        let change = random_change(&mut random, id);
        fixture.done(&mut client, &Request::LayerConfigure(change));
    }
    let mut changed = 0;
    let mut before = fixture.glass(0);
    for round in 0..600 {
        let layer = random.below(3) as u32 + 1;
        let request = match random.below(4) {
            0 => Request::LayerConfigure(random_change(&mut random, layer)),
            _ => {
                let (width, height) = (random.below(9) as u32 + 1, random.below(9) as u32 + 1);
                let (x, y) = (random.below(40) as i32 - 3, random.below(40) as i32 - 3);
                let colour = 0xff00_0000 | random.next() as u32;
                let operator = [Operator::Source, Operator::Over][random.below(2) as usize];
                let destination = Pixels { x, y, width, height };
                Request::Fill(Fill { layer, colour, operator, destination })
            }
        };
        fixture.done(&mut client, &request);
        fixture.rest();
        let (glass, screen) = (fixture.glass(0), fixture.screen(SIDE, SIDE));
        let differs = (0..SIDE * SIDE).find(|at| glass[*at as usize] << 8 != screen[*at as usize] << 8);
        assert_eq!(differs.map(|at| (at % SIDE, at / SIDE)), None, "after {round}: {request:?}");
        changed += u32::from(glass != before);
        before = glass;
    }
    assert!(changed > 100, "{changed} frames showed something new");
}

/// What a composition under way still needs of a scaled layer is composed before it is overwritten.
#[test]
fn what_is_overwritten_has_been_composed() {
    let unmapper = Helper::start().unwrap().unmapper();
    let storage = |side| Rc::new(Storage::new(side, side, Format::Xrgb8888, &unmapper).unwrap());
    let turn = Turn { transform: Transform::Identity, size: (200, 200) };
    let place = Rectangle::from_size(200, 200);
    let words = |storage: &Storage| {
        let mut bytes = vec![0; 200 * 200 * 4];
        let (stride, format) = (800, Format::Xrgb8888);
        let layout = Layout { width: 200, height: 200, stride, offset: 0, format };
        let mut picture = PictureMut::new(ViewMut::from_slice(&mut bytes), layout).unwrap();
        blit::convert(&storage.picture().unwrap(), (0, 0), &mut picture, place);
        bytes
    };
    for (size, crop) in [
        (100, whole(100, 100)),
        (100, FixedRectangle { x: 12_345, y: 678_901, width: 5_000_000, height: 3_000_000 }),
        (450, whole(450, 450)),
    ] {
        let mut pictures = Vec::new();
        for is_disturbed in [false, true] {
            let picture = storage(size);
            let noise = |x: i32, y: i32| (x * 7919 + y * 104_729) as u32;
            for (x, y) in (0..size as i32).flat_map(|y| (0..size as i32).map(move |x| (x, y))) {
                let mut target = picture.picture_mut().unwrap();
                let one = Rectangle::new(x, y, 1, 1).unwrap();
                blit::fill(&mut target, one, noise(x, y), Operator::Source);
            }
            let screen = storage(200);
            let mut compositions = Compositions::default();
            let opacity = 255;
            let layer = Placed {
                layer: LayerKey::default(),
                storage: Rc::clone(&picture),
                place,
                crop,
                opacity,
                is_opaque: true,
            };
            let composition = Composition::frame(vec![layer], 0, place.into(), Rc::clone(&screen), turn);
            let id = compositions.begin(composition);
            let mut step = 0;
            while compositions.step(id, 20_000).is_some_and(|step| step.unwrap().0 == Step::Unfinished) {
                step += 1;
                let (x, y) = (step * 37 % size as i32, step * 53 % size as i32);
                let overwritten = Rectangle::new(x, y, 3, 3).unwrap();
                if is_disturbed && compositions.settle(&picture, overwritten, &mut u64::MAX.clone()) {
                    let mut target = picture.picture_mut().unwrap();
                    blit::fill(&mut target, overwritten, 0, Operator::Source);
                }
            }
            assert!(step > 3, "it took {step} steps");
            pictures.push(words(&screen));
        }
        assert!(pictures[0] == pictures[1], "a crop of {crop:?}");
    }
}

/// One of two states of three layers, that differ in all that a change can have and in what is drawn.
fn state(second: bool) -> Vec<Entry<'static>> {
    let pick = |first: u32, other: u32| if second { other } else { first };
    let all = (1..=3).flat_map(|layer| {
        let colour = BACKGROUND | (0x10_2030 * layer * pick(1, 2));
        let change = LayerConfigure {
            layer,
            place: Some((pick(0, 9 * layer) as i32, pick(5 * layer, 2) as i32)),
            z: Some(pick(layer, 9 - layer) as i32),
            band: Some([Band::Normal, Band::Overlay][pick(layer % 2, layer / 2) as usize]),
            opacity: Some(pick(255, 100 + layer) as u8),
            visible: Some(layer != pick(1, 3)),
            output: Some(pick(0, 1)),
            size: Some((pick(30, 20 * layer), pick(40, 25))),
            crop: Some(FixedRectangle {
                x: 5,
                y: 99,
                width: pick(9, 300) << 16,
                height: pick(200, 31) << 14,
            }),
        };
        [Entry::LayerConfigure(change), Entry::Fill(fill(layer, colour, 512, 512))]
    });
    all.collect()
}

/// Every frame shows one state or the other, whatever it is taken between.
#[test]
fn a_group_of_changes_comes_in_one_frame() {
    let mut fixture = Fixture::new(SIDE, SIDE);
    let mut client = fixture.client("layers");
    // Drawing takes many slices.
    (1..=3).for_each(|id| fixture.layer(&mut client, layer(id, 0, 0, 512, 512)));
    let mut shown = Vec::new();
    for second in [false, true] {
        fixture.done(&mut client, &Request::Batch(state(second)));
        fixture.rest();
        shown.push(fixture.glass(0));
    }
    assert_ne!(shown[0], shown[1]);
    let _other = fixture.client("makes slices short");
    let (mut seen, mut random) = ([0, 0], Random(3));
    for round in 0..40 {
        let serial = client.submit(&Request::Batch(state(round % 2 == 1)));
        let mut is_answered = false;
        while !is_answered || random.below(4) > 0 {
            fixture.turn();
            if random.below(3) == 0 {
                fixture.pass_vblank();
            }
            is_answered |= client.poll(serial).is_some();
            let glass = fixture.glass(0);
            let which = shown.iter().position(|shown| *shown == glass);
            seen[which.expect("a frame shows a part of a group")] += 1;
        }
    }
    assert!(seen.iter().all(|count| *count > 20), "{seen:?}");
}
