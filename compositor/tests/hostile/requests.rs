//! Messages that are whole and ask for what cannot be: each has its own error, and the connection lives.

use std::borrow::Cow;

use blitd_protocol::error::ErrorCode;
use blitd_protocol::image::{Format, Image, Plane};
use blitd_protocol::reply::Reply;
use blitd_protocol::request::{
    Capture, Draw, Entry, FixedRectangle, LayerConfigure, LayerCreate, Pixels, RegionCreate, Request,
    RequestKind,
};
use blitd_protocol::value::{Access, CaptureSubject, Filter, Memory, Priority, StatisticsSubject, Token};

use super::{Scenario, Stand, anything, encoded, every_request};
use crate::fixture::{Client, Shared, capture, draw, fill, layer, packed};

const fn scenario(name: &'static str, config: &'static str, play: fn(&mut Stand)) -> Scenario {
    Scenario { name, side: 64, config, play }
}

pub(crate) const SCENARIOS: &[Scenario] = &[
    scenario("images", "", images),
    scenario("draws", "", draws),
    scenario("captures", "", captures),
    scenario("layers", "", layers),
    scenario("ids_that_there_are_not", "", ids_that_there_are_not),
    scenario("held_memory", "", held_memory),
    scenario("values_that_fields_do_not_take", "", values_that_fields_do_not_take),
    scenario("priorities", "[limits]\npriority = 20", priorities),
    scenario("not_permitted", "[limits]\ncapture_outputs = false", not_permitted),
];

pub(super) const SIDE: u32 = 32;
pub(super) const COLOUR: u32 = 0xff12_3456;

/// A client with a shared region 1, one that is for reading only (2), a held one (3) and a layer 1 of one colour.
pub(super) fn prepared(stand: &mut Stand) -> Client {
    let mut client = stand.fixture.client("lies");
    let memory = Shared::sealed(u64::from(SIDE * SIDE * 4));
    stand.fixture.region(&mut client, 1, &memory);
    let create = RegionCreate { region: 2, memory: Memory::Memfd, access: Access::Read, size: memory.size };
    assert!(matches!(stand.share(&mut client, create, &memory.file), Reply::Done(_)));
    let held = RegionCreate { region: 3, memory: Memory::Held, access: Access::ReadWrite, size: memory.size };
    stand.fixture.done(&mut client, &Request::RegionCreate(held));
    stand.fixture.layer(&mut client, layer(1, 0, 0, SIDE, SIDE));
    stand.fixture.done(&mut client, &Request::Fill(fill(1, COLOUR, SIDE, SIDE)));
    client
}

/// Nothing of what was refused has been drawn.
pub(super) fn untouched(stand: &mut Stand, client: &mut Client) {
    assert!(stand.picture(client, 1, SIDE, SIDE) == vec![COLOUR; (SIDE * SIDE) as usize]);
    stand.unharmed();
}

/// Refused alone, and with the right number as the second entry of a batch whose first then does not land.
fn refused_draw(stand: &mut Stand, client: &mut Client, draw: Draw<'static>, code: ErrorCode, what: &str) {
    stand.refused(client, &Request::Draw(draw.clone()), code, what);
    let batch = Request::Batch(vec![Entry::Fill(fill(1, 0, 8, 8)), Entry::Draw(draw)]);
    let refusal = stand.refused(client, &batch, code, what);
    assert_eq!(refusal.entry, Some(1), "{what}: {refusal}");
    untouched(stand, client);
}

fn image() -> Image {
    packed(1, 8, 8, Format::Xrgb8888)
}

/// 8x8 pixels in the region's first bytes, and their colours elsewhere.
fn of_two_planes(image: &mut Image, chroma: Plane) {
    (image.fourcc, image.plane_count) = (Format::Nv12.fourcc(), 2);
    (image.planes[0].stride, image.planes[1]) = (8, chroma);
}

fn images(stand: &mut Stand) {
    let mut client = prepared(stand);
    let with = |change: fn(&mut Image)| {
        let mut image = image();
        change(&mut image);
        image
    };
    let cases = [
        (ErrorCode::BadSize, with(|image| image.width = 0)),
        (ErrorCode::BadSize, with(|image| image.height = 0)),
        (ErrorCode::BadSize, with(|image| image.width = 32768)),
        (ErrorCode::BadSize, with(|image| image.height = u32::MAX)),
        (ErrorCode::UnknownFormat, with(|image| image.fourcc = 0)),
        (ErrorCode::UnknownFormat, with(|image| image.fourcc = u32::from_le_bytes(*b"NV21"))),
        (ErrorCode::UnknownFormat, with(|image| image.fourcc |= 0x8000_0000)),
        (ErrorCode::UnknownModifier, with(|image| image.modifier = 1)),
        (ErrorCode::UnknownModifier, with(|image| image.modifier = 0x00ff_ffff_ffff_ffff)),
        (ErrorCode::UnknownModifier, with(|image| image.modifier = u64::MAX)),
        (ErrorCode::PlaneCount, with(|image| (image.plane_count, image.planes) = (0, Default::default()))),
        (ErrorCode::PlaneCount, with(|image| image.plane_count = 2)),
        (ErrorCode::PlaneCount, with(|image| image.fourcc = Format::Nv12.fourcc())),
        (
            ErrorCode::StrideTooSmall,
            with(|image| of_two_planes(image, Plane { region: 1, stride: 7, offset: 0 })),
        ),
        (
            ErrorCode::NotSupported,
            with(|image| of_two_planes(image, Plane { region: 2, stride: 8, offset: 0 })),
        ),
        (
            ErrorCode::OutsideRegion,
            with(|image| of_two_planes(image, Plane { region: 1, stride: 8, offset: 4065 })),
        ),
        (
            ErrorCode::SizeOverflow,
            with(|image| of_two_planes(image, Plane { region: 1, stride: 8, offset: u64::MAX })),
        ),
        (ErrorCode::PlaneCount, with(|image| image.plane_count = u32::MAX)),
        (ErrorCode::BadValue, with(|image| image.planes[1].region = 1)),
        (ErrorCode::BadValue, with(|image| image.planes[3].offset = 1 << 63)),
        (ErrorCode::StrideTooSmall, with(|image| image.planes[0].stride = 31)),
        (ErrorCode::StrideTooSmall, with(|image| image.planes[0].stride = 0)),
        (ErrorCode::SizeOverflow, with(|image| image.planes[0].offset = u64::MAX)),
        (ErrorCode::SizeOverflow, with(|image| image.planes[0].offset = u64::MAX - 8 * 32 + 1)),
        (ErrorCode::OutsideRegion, with(|image| image.planes[0].offset = u64::MAX - 8 * 32)),
        (ErrorCode::OutsideRegion, with(|image| image.planes[0].offset = 1 << 63)),
        (ErrorCode::OutsideRegion, with(|image| image.planes[0].offset = 4096 - 8 * 32 + 1)),
        (ErrorCode::OutsideRegion, with(|image| image.planes[0].stride = u32::MAX)),
        (ErrorCode::OutsideRegion, with(|image| image.planes[0].stride = 4096)),
        (ErrorCode::UnknownRegion, with(|image| image.planes[0].region = 99)),
        (ErrorCode::UnknownRegion, with(|image| image.planes[0].region = u32::MAX)),
    ];
    for (code, image) in cases {
        let what = format!("{image:?}");
        let mut request = draw(1, image);
        request.source = FixedRectangle::from_pixels(0, 0, 8, 8);
        request.destination = Pixels { x: 0, y: 0, width: 8, height: 8 };
        refused_draw(stand, &mut client, request, code, &what);
        for (subject, id) in [(CaptureSubject::Layer, 1), (CaptureSubject::Output, 0)] {
            let source = Pixels { x: 0, y: 0, width: 8, height: 8 };
            let request = Request::Capture(Capture { subject, id, source, image });
            stand.refused(&mut client, &request, code, &what);
        }
        untouched(stand, &mut client);
    }
    // The largest that there can be: the bytes can be counted, and are not there.
    let stride = u32::MAX;
    let giant = Image::linear(32767, 32767, Format::Argb8888, Plane { region: 1, stride, offset: 0 });
    refused_draw(stand, &mut client, draw(1, giant), ErrorCode::OutsideRegion, "a giant");
    // What ends exactly where its region does is taken.
    let mut last = image();
    last.planes[0].offset = 4096 - 8 * 32;
    stand.fixture.done(&mut client, &Request::Draw(draw(1, last)));
}

fn draws(stand: &mut Stand) {
    let mut client = prepared(stand);
    let whole = draw(1, image());
    let mut refused = |code, what: &str, change: &dyn Fn(&mut Draw<'static>)| {
        let mut request = whole.clone();
        change(&mut request);
        refused_draw(stand, &mut client, request, code, what);
    };
    refused(ErrorCode::UnknownLayer, "layer 0", &|draw| draw.layer = 0);
    refused(ErrorCode::UnknownLayer, "layer 9", &|draw| draw.layer = 9);
    let outside = [
        (0, 0, 0, 0x8_0000),
        (0, 0, 0x8_0000, 0),
        (1, 0, 0x8_0000, 0x8_0000),
        (0, 0, 0x8_0001, 0x8_0000),
        (0, 0x8_0000, 0x8_0000, 1),
        (u32::MAX, 0, 0x8_0000, 0x8_0000),
        (0, 0, u32::MAX, u32::MAX),
        (u32::MAX, u32::MAX, u32::MAX, u32::MAX),
    ];
    for (x, y, width, height) in outside {
        let source = FixedRectangle { x, y, width, height };
        refused(ErrorCode::SourceOutside, &format!("{source:?}"), &|draw| draw.source = source);
        // Also where nothing of it would be drawn.
        refused(ErrorCode::SourceOutside, "clipped away", &|draw| {
            (draw.source, draw.destination.x) = (source, -5000);
        });
    }
    for (x, y) in [(i32::MAX, 0), (0, i32::MAX), (i32::MAX - 7, 0), (i32::MAX, i32::MAX)] {
        refused(ErrorCode::SizeOverflow, "a destination beyond what can be counted", &|draw| {
            (draw.destination.x, draw.destination.y) = (x, y);
        });
    }
    refused(ErrorCode::SourceOutside, "parts of pixels beyond the edge", &|draw| {
        draw.source = FixedRectangle { x: 0x7_ffff, y: 0, width: 2, height: 0x7_0000 };
    });
    refused(ErrorCode::BadValue, "carried bytes and a region", &|draw| {
        draw.carried = Cow::Owned(vec![1; 256]);
    });
    refused(ErrorCode::OutsideRegion, "nothing carried", &|draw| draw.image.planes[0].region = 0);
    refused(ErrorCode::OutsideRegion, "too little carried", &|draw| {
        (draw.image.planes[0].region, draw.carried) = (0, Cow::Owned(vec![1; 255]));
    });
    // At the edges of what can be counted, and not beyond.
    for (x, y) in [(i32::MIN, i32::MIN), (i32::MAX - 8, 0), (0, i32::MAX - 8), (-8, -8), (32, 32)] {
        let mut request = whole.clone();
        (request.destination.x, request.destination.y) = (x, y);
        request.filter = Filter::Bilinear;
        let receipt = stand.fixture.done(&mut client, &Request::Draw(request));
        assert_eq!(receipt.bytes, 0, "nothing of it is in the layer");
    }
    for destination in [
        Pixels { x: i32::MIN, y: i32::MIN, width: 1 << 31, height: 1 << 31 },
        Pixels { x: i32::MAX, y: i32::MAX, width: 0, height: 0 },
        Pixels { x: 5, y: 5, width: 0, height: u32::MAX >> 2 },
    ] {
        let request = fill(1, 0, 0, 0);
        stand.fixture.done(&mut client, &Request::Fill(crate::fixture::fill_at(request, destination)));
    }
    untouched(stand, &mut client);
    for (x, width) in [(1, u32::MAX), (0, 1 << 31), (i32::MAX, 1)] {
        let destination = Pixels { x, y: 0, width, height: 1 };
        let request = Request::Fill(crate::fixture::fill_at(fill(1, 0, 0, 0), destination));
        stand.refused(&mut client, &request, ErrorCode::SizeOverflow, "a fill that overflows");
    }
    untouched(stand, &mut client);
    // The largest fill that there can be fills just the layer.
    let destination = Pixels { x: i32::MIN, y: i32::MIN, width: u32::MAX, height: u32::MAX };
    let request = crate::fixture::fill_at(fill(1, COLOUR, 0, 0), destination);
    let receipt = stand.fixture.done(&mut client, &Request::Fill(request));
    assert_eq!(receipt.bytes, u64::from(SIDE * SIDE * 4));
    untouched(stand, &mut client);
}

fn captures(stand: &mut Stand) {
    let mut client = prepared(stand);
    let good = Capture {
        subject: CaptureSubject::Layer,
        id: 1,
        source: Pixels { x: 0, y: 0, width: 8, height: 8 },
        image: image(),
    };
    let whole = |x, y, width, height| Pixels { x, y, width, height };
    let mut refused = |code, what: &str, capture: Capture| {
        stand.refused(&mut client, &Request::Capture(capture), code, what);
        stand.unharmed();
    };
    for subject in [CaptureSubject::Layer, CaptureSubject::Output] {
        let good = Capture { subject, id: u32::from(subject == CaptureSubject::Layer), ..good };
        let side = if subject == CaptureSubject::Layer { SIDE } else { 64 };
        for source in [
            whole(0, 0, 0, 8),
            whole(0, 0, 8, 0),
            whole(-1, 0, 8, 8),
            whole(0, i32::MIN, 8, 8),
            whole(0, 0, side + 1, 8),
            whole(1, 1, side, side),
            whole(0, 0, i32::MAX as u32, i32::MAX as u32),
            whole(i32::MIN, i32::MIN, u32::MAX, u32::MAX),
        ] {
            refused(ErrorCode::SourceOutside, &format!("{source:?}"), Capture { source, ..good });
        }
        for source in [whole(i32::MAX, 0, 8, 8), whole(0, 0, u32::MAX, 8)] {
            refused(ErrorCode::SizeOverflow, &format!("{source:?}"), Capture { source, ..good });
        }
        let source = whole(0, 0, 8, 7);
        refused(ErrorCode::BadSize, "not of the image's size", Capture { source, ..good });
        let image = packed(1, 8, 8, Format::Rgb565);
        refused(ErrorCode::NotSupported, "RG16", Capture { image, ..good });
        let image = packed(2, 8, 8, Format::Xrgb8888);
        refused(ErrorCode::RegionNotWritable, "a region of access read", Capture { image, ..good });
        let image = packed(0, 8, 8, Format::Xrgb8888);
        refused(ErrorCode::UnknownRegion, "region 0", Capture { image, ..good });
    }
    for id in [0, 2, u32::MAX] {
        refused(ErrorCode::UnknownLayer, "no such layer", Capture { id, ..good });
    }
    for id in [2, u32::MAX] {
        let output = Capture { subject: CaptureSubject::Output, id, ..good };
        refused(ErrorCode::UnknownOutput, "no such output", output);
    }
    untouched(stand, &mut client);
}

fn layers(stand: &mut Stand) {
    let mut client = prepared(stand);
    let good = layer(2, 0, 0, 8, 8);
    let mut refused = |code, what: &str, create: LayerCreate| {
        stand.refused(&mut client, &Request::LayerCreate(create), code, what);
    };
    refused(ErrorCode::IdInUse, "the id is taken", LayerCreate { layer: 1, ..good });
    refused(ErrorCode::BadValue, "layer 0", LayerCreate { layer: 0, ..good });
    refused(ErrorCode::UnknownOutput, "output 7", LayerCreate { output: 7, ..good });
    for (width, height) in [(0, 8), (8, 0), (32768, 8), (8, u32::MAX)] {
        refused(ErrorCode::BadSize, "its size", LayerCreate { width, height, ..good });
    }
    for (x, y) in [(i32::MAX, 0), (0, i32::MAX - 7)] {
        refused(ErrorCode::SizeOverflow, "its place", LayerCreate { x, y, ..good });
    }
    refused(ErrorCode::UnknownFormat, "its format", LayerCreate { fourcc: 7, ..good });
    for format in [Format::Rgb565, Format::Xbgr8888, Format::Abgr8888] {
        refused(ErrorCode::NotSupported, "its format", LayerCreate { fourcc: format.fourcc(), ..good });
    }
    refused(ErrorCode::LimitReached, "giant", LayerCreate { width: 32767, height: 32767, ..good });
    let place = |x, y| LayerConfigure { layer: 1, place: Some((x, y)), ..LayerConfigure::default() };
    for (x, y) in [(i32::MAX, 0), (0, i32::MAX - SIDE as i32 + 1)] {
        let request = Request::LayerConfigure(place(x, y));
        stand.refused(&mut client, &request, ErrorCode::SizeOverflow, "its place");
    }
    let output = LayerConfigure { layer: 1, output: Some(9), ..LayerConfigure::default() };
    stand.refused(&mut client, &Request::LayerConfigure(output), ErrorCode::UnknownOutput, "output 9");
    // As far away as it can be, and drawn into there.
    for (x, y) in [(i32::MIN, i32::MIN), (i32::MAX - SIDE as i32, i32::MAX - SIDE as i32), (0, 0)] {
        stand.fixture.done(&mut client, &Request::LayerConfigure(place(x, y)));
        stand.fixture.done(&mut client, &Request::Fill(fill(1, COLOUR, SIDE, SIDE)));
        stand.fixture.rest();
        untouched(stand, &mut client);
    }
    // The same of a part of its picture, which begins beyond what can be counted.
    for by in [0, 1] {
        let crop =
            FixedRectangle { x: 7 << 16, y: 5 << 16, width: (SIDE - 7) << 16, height: (SIDE - 5) << 16 };
        let size = (SIDE - 7 + by, SIDE - 5);
        for (x, y) in [(i32::MIN, i32::MIN), (i32::MAX - SIDE as i32, i32::MAX - SIDE as i32)] {
            let part = LayerConfigure { crop: Some(crop), size: Some(size), ..place(x, y) };
            stand.fixture.done(&mut client, &Request::LayerConfigure(part));
            stand.fixture.done(&mut client, &Request::Fill(fill(1, COLOUR, SIDE, SIDE)));
            stand.fixture.rest();
            untouched(stand, &mut client);
        }
    }
}

fn ids_that_there_are_not(stand: &mut Stand) {
    let mut client = prepared(stand);
    for id in [0, 9, u32::MAX] {
        let configure = LayerConfigure { layer: id, z: Some(1), ..LayerConfigure::default() };
        for (code, request) in [
            (ErrorCode::UnknownRegion, Request::RegionDestroy { region: id }),
            (ErrorCode::UnknownRegion, Request::RegionWrite { region: id, offset: 0, bytes: vec![1].into() }),
            (ErrorCode::UnknownRegion, Request::RegionRead { region: id, offset: 0, length: 1 }),
            (ErrorCode::UnknownLayer, Request::LayerDestroy { layer: id }),
            (ErrorCode::UnknownLayer, Request::LayerConfigure(configure)),
            (ErrorCode::UnknownLayer, Request::Fill(fill(id, 0, 1, 1))),
        ] {
            stand.refused(&mut client, &request, code, &format!("{request:?}"));
        }
    }
    for output in [2, u32::MAX] {
        let request = Request::Sync { output };
        stand.refused(&mut client, &request, ErrorCode::UnknownOutput, "an output that there is not");
    }
    // What another client has is not there for this one.
    let mut other = stand.fixture.client("other");
    for (code, request) in [
        (ErrorCode::UnknownLayer, Request::Fill(fill(1, 0, 1, 1))),
        (ErrorCode::UnknownLayer, Request::LayerDestroy { layer: 1 }),
        (ErrorCode::UnknownLayer, capture(CaptureSubject::Layer, 1, 8, 8)),
        (ErrorCode::UnknownRegion, Request::RegionDestroy { region: 1 }),
        (ErrorCode::UnknownRegion, Request::RegionRead { region: 3, offset: 0, length: 1 }),
        (ErrorCode::UnknownRegion, capture(CaptureSubject::Output, 0, 8, 8)),
    ] {
        stand.refused(&mut other, &request, code, &format!("{request:?}"));
    }
    // Twice gone is once too often; what is sent behind a create that is refused is refused too.
    stand.fixture.done(&mut client, &Request::RegionDestroy { region: 3 });
    stand.refused(&mut client, &Request::RegionDestroy { region: 3 }, ErrorCode::UnknownRegion, "gone");
    untouched(stand, &mut client);
    stand.fixture.done(&mut client, &Request::LayerDestroy { layer: 1 });
    stand.refused(&mut client, &Request::LayerDestroy { layer: 1 }, ErrorCode::UnknownLayer, "gone");
    let create = client.submit(&Request::LayerCreate(layer(5, 0, 0, 0, 0)));
    let fill = client.submit(&Request::Fill(fill(5, 0, 1, 1)));
    for (serial, code) in [(create, ErrorCode::BadSize), (fill, ErrorCode::UnknownLayer)] {
        match stand.fixture.reply(&mut client, serial) {
            Reply::Refused(refusal) => assert_eq!(refusal.code, code),
            other => panic!("{other:?}"),
        }
    }
}

fn held_memory(stand: &mut Stand) {
    let mut client = prepared(stand);
    let create = |region, size| {
        let access = Access::ReadWrite;
        Request::RegionCreate(RegionCreate { region, memory: Memory::Held, access, size })
    };
    let write = |region, offset| Request::RegionWrite { region, offset, bytes: vec![1; 10].into() };
    let read = |region, offset, length| Request::RegionRead { region, offset, length };
    for (code, request) in [
        (ErrorCode::RegionTooSmall, create(4, 0)),
        (ErrorCode::LimitReached, create(4, u64::MAX)),
        (ErrorCode::LimitReached, create(4, 1 << 63)),
        (ErrorCode::LimitReached, create(4, 1 << 40)),
        (ErrorCode::IdInUse, create(3, 100)),
        (ErrorCode::IdInUse, create(1, u64::MAX)),
        (ErrorCode::BadValue, create(0, 100)),
        (ErrorCode::RegionNotHeld, write(1, 0)),
        (ErrorCode::RegionNotHeld, read(2, 0, 1)),
        (ErrorCode::OutsideRegion, write(3, 4096 - 9)),
        (ErrorCode::OutsideRegion, write(3, u64::MAX)),
        (ErrorCode::OutsideRegion, write(3, u64::MAX - 9)),
        (ErrorCode::OutsideRegion, read(3, 0, 4097)),
        (ErrorCode::OutsideRegion, read(3, u64::MAX, 1)),
        (ErrorCode::OutsideRegion, read(3, 1 << 63, 65536)),
        (ErrorCode::BadValue, read(3, 0, 0)),
        (ErrorCode::BadValue, read(3, 0, 65537)),
        (ErrorCode::BadValue, read(3, 0, u32::MAX)),
    ] {
        stand.refused(&mut client, &request, code, &format!("{request:?}"));
    }
    untouched(stand, &mut client);
}

/// Every byte of every layout that has values which it does not take.
fn values_that_fields_do_not_take(stand: &mut Stand) {
    let mut raw = stand.greeted();
    let claim = Request::LayerClaim { layer: 1, token: Token::from_bytes([1; 16]).unwrap() };
    for request in every_request().into_iter().chain([claim.clone()]) {
        // Where in the body, and the least number that cannot stand there.
        let bytes: &[(std::ops::Range<usize>, u8)] = match &request {
            Request::RegionCreate(_) => &[(4..5, 4), (5..6, 4), (6..8, 1)],
            Request::RegionDestroy { .. } | Request::LayerDestroy { .. } => &[(4..8, 1)],
            Request::Sync { .. } | Request::Outputs { .. } => &[(4..8, 1)],
            Request::RegionWrite { .. } => &[(4..8, 1)],
            Request::RegionRead { .. } => &[(7..8, 1)],
            Request::LayerCreate(_) => &[(32..33, 4), (34..36, 2), (36..40, 1), (71..72, 1)],
            Request::LayerConfigure(_) => &[(5..8, 1), (27..32, 1)],
            Request::LayerClaim { .. } => &[(4..8, 1)],
            Request::Draw(_) => &[(4..5, 8), (5..7, 2), (128..136, 1)],
            Request::Fill(_) => &[(8..9, 2), (9..16, 1)],
            Request::Batch(_) => &[(1..2, 3), (2..8, 1), (10..12, 1)],
            Request::Capture(_) => &[(0..1, 3), (1..4, 1), (56..57, 0)],
            Request::Statistics { .. } => &[(0..1, 5), (1..4, 1)],
            Request::Hello(_) => &[],
        };
        let file = anything();
        let files = (request.descriptors() > 0).then_some(&file);
        for (places, least) in bytes.iter().filter(|(_, least)| *least > 0) {
            for place in places.clone() {
                for value in [*least, 255] {
                    let mut bytes = encoded(&request, 9);
                    bytes[16 + place] = value;
                    raw.send(&bytes, files);
                    let what = format!("{}: byte {place} is {value}", request.kind());
                    stand.refused_alive(&mut raw, 9, ErrorCode::BadValue, &what);
                }
            }
        }
        raw.send(&encoded(&request, 0), files);
        stand.refused_alive(&mut raw, 0, ErrorCode::BadValue, "serial 0");
        for priority in [64, 65, 128, 255] {
            let mut bytes = encoded(&request, 9);
            bytes[7] = priority;
            raw.send(&bytes, files);
            let what = format!("{}: priority {priority}", request.kind());
            stand.refused_alive(&mut raw, 9, ErrorCode::BadValue, &what);
        }
    }
    // Zero where there is no zero.
    for (kind, place) in
        [(RequestKind::RegionCreate, 5), (RequestKind::Capture, 0), (RequestKind::Statistics, 0)]
    {
        let request = every_request().into_iter().rfind(|request| request.kind() == kind).unwrap();
        let mut bytes = encoded(&request, 9);
        bytes[16 + place] = 0;
        raw.send(&bytes, []);
        stand.refused_alive(&mut raw, 9, ErrorCode::BadValue, "zero");
    }
    for zeros in [16..20, 24..40] {
        let mut bytes = encoded(&claim, 9);
        bytes[zeros].fill(0);
        raw.send(&bytes, []);
        stand.refused_alive(&mut raw, 9, ErrorCode::BadValue, "a claim of layer 0, or without a token");
    }
    stand.unharmed();
    let record = stand.fixture.statistics();
    assert_eq!((record.regions.get(), record.layers.get()), (2, 1), "only the witness has any");
}

fn priorities(stand: &mut Stand) {
    let mut client = prepared(stand);
    for number in [21, 40, 63] {
        client.priority = Priority::new(number).unwrap();
        for request in every_request().iter().filter(|request| request.descriptors() == 0) {
            stand.refused(&mut client, request, ErrorCode::PriorityTooHigh, "above the ceiling");
        }
        let mut raw = stand.greeted();
        let create = encoded(&every_request()[0], 9);
        let mut bytes = create.clone();
        bytes[7] = number;
        raw.send(&bytes, [&anything()]);
        stand.refused_alive(&mut raw, 9, ErrorCode::PriorityTooHigh, "a region above the ceiling");
        // The handshake cannot know the ceiling yet.
        let mut raw = stand.raw();
        let mut bytes = super::hello();
        bytes[7] = number;
        raw.send(&bytes, [&anything()]);
        assert!(matches!(stand.replies(&mut raw)[..], [(1, Reply::Welcome(_))]));
    }
    client.priority = Priority::new(20).unwrap();
    stand.fixture.done(&mut client, &Request::Fill(fill(1, COLOUR, SIDE, SIDE)));
    untouched(stand, &mut client);
}

fn not_permitted(stand: &mut Stand) {
    let mut client = prepared(stand);
    for id in [0, 1] {
        let request = capture(CaptureSubject::Output, id, 8, 8);
        stand.refused(&mut client, &request, ErrorCode::NotPermitted, "an output");
    }
    let statistics = Request::Statistics { subject: StatisticsSubject::Layers, first: u32::MAX };
    assert!(matches!(stand.fixture.call(&mut client, &statistics), Reply::Statistics(_)));
    untouched(stand, &mut client);
}
