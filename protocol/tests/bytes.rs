//! What must hold for any bytes and any values: decoding cannot panic, and nothing is lost on the way.

use std::borrow::Cow;

use blitd_protocol::error::{ErrorCode, MAX_ERROR_TEXT, Refusal};
use blitd_protocol::framing::{Framing, HEADER_LENGTH, MAX_LENGTH};
use blitd_protocol::image::{Format, Image, MAX_PLANES, Plane};
use blitd_protocol::reply::{List, Receipt, Reply, Shown, Statistics, Welcome, kind};
use blitd_protocol::request::{
    Capture, Draw, Entry, Fill, FixedRectangle, Hello, LayerConfigure, LayerCreate, MAX_CARRIED, MAX_ENTRIES,
    Pixels, RegionCreate, Request, RequestKind,
};
use blitd_protocol::value::{
    Access, Band, CaptureSubject, ClockSource, ColorEncoding, ColorRange, Filter, Memory, Mode, Name,
    NotShown, Operator, Path, Priority, StatisticsSubject, Token, Transform,
};
use blitd_protocol::wire;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use zerocopy::{FromBytes, IntoBytes};

const REPLIES: &[u16] = &[
    kind::WELCOME,
    kind::DONE,
    kind::DATA,
    kind::SHOWN,
    kind::OUTPUTS,
    kind::STATISTICS,
    kind::REFUSED,
    kind::OUTPUTS_CHANGED,
];

fn name() -> impl Strategy<Value = Name> {
    "\\PC{0,40}".prop_map(|text| Name::new(&text))
}

fn carried() -> impl Strategy<Value = Cow<'static, [u8]>> {
    let short = vec(any::<u8>(), 0..40).prop_map(Cow::Owned);
    prop_oneof![8 => short, 1 => Just(Cow::Owned(vec![0x5a; MAX_CARRIED]))]
}

fn pixels() -> impl Strategy<Value = Pixels> {
    any::<(i32, i32, u32, u32)>().prop_map(|(x, y, width, height)| Pixels { x, y, width, height })
}

fn fixed() -> impl Strategy<Value = FixedRectangle> {
    any::<(u32, u32, u32, u32)>().prop_map(|(x, y, width, height)| FixedRectangle { x, y, width, height })
}

fn plane() -> impl Strategy<Value = Plane> {
    any::<(u32, u32, u64)>().prop_map(|(region, stride, offset)| Plane { region, stride, offset })
}

fn image() -> impl Strategy<Value = Image> {
    let counts = prop_oneof![4 => 0..=MAX_PLANES as u32, 1 => any::<u32>()];
    (any::<(u32, u32, u32, u64)>(), counts, [plane(), plane(), plane(), plane()]).prop_map(
        |((width, height, fourcc, modifier), plane_count, mut planes)| {
            let used = usize::try_from(plane_count).unwrap().min(MAX_PLANES);
            planes[used..].fill(Plane::default());
            Image { width, height, fourcc, modifier, plane_count, planes }
        },
    )
}

fn draw() -> impl Strategy<Value = Draw<'static>> {
    let numbers = (select(Transform::ALL), select(Filter::ALL), select(Operator::ALL));
    let colours = (select(ColorEncoding::ALL), select(ColorRange::ALL));
    let fourcc = prop_oneof![any::<u32>(), select(&Format::ALL[..]).prop_map(Format::fourcc)];
    (any::<(u32, u8)>(), (numbers, colours), fixed(), pixels(), (image(), fourcc), carried()).prop_map(
        |((layer, opacity), (numbers, colours), source, destination, (mut image, fourcc), carried)| {
            let (transform, filter, operator) = numbers;
            let (mut encoding, mut range) = colours;
            image.fourcc = fourcc;
            if Format::from_fourcc(fourcc).is_ok_and(|format| !format.is_yuv()) {
                (encoding, range) = (ColorEncoding::Bt601, ColorRange::Limited);
            }
            if !carried.is_empty() {
                image.planes[0].region = 0;
            }
            Draw {
                layer,
                transform,
                filter,
                operator,
                opacity,
                source,
                destination,
                image,
                encoding,
                range,
                carried,
            }
        },
    )
}

fn fill() -> impl Strategy<Value = Fill> {
    (any::<(u32, u32)>(), select(Operator::ALL), pixels())
        .prop_map(|((layer, colour), operator, destination)| Fill { layer, colour, operator, destination })
}

fn layer_configure() -> impl Strategy<Value = LayerConfigure> {
    let place = any::<Option<(i32, i32)>>();
    let rest = any::<(Option<i32>, Option<u8>, Option<bool>, Option<u32>)>();
    let shown = (any::<Option<(u32, u32)>>(), option::of(fixed()));
    (any::<u32>(), place, option::of(select(Band::ALL)), rest, shown).prop_map(
        |(layer, place, band, (z, opacity, visible, output), (size, crop))| LayerConfigure {
            layer,
            place,
            z,
            band,
            opacity,
            visible,
            output,
            size,
            crop,
        },
    )
}

fn layer_create() -> impl Strategy<Value = LayerCreate> {
    let sides = any::<(u32, i32, i32, u32, u32, i32, u32)>();
    (1..=u32::MAX, sides, select(Band::ALL), any::<(u8, bool, bool)>(), name()).prop_map(
        |(layer, (output, x, y, width, height, z, fourcc), band, (opacity, visible, linger), name)| {
            LayerCreate {
                layer,
                output,
                x,
                y,
                width,
                height,
                z,
                fourcc,
                band,
                opacity,
                visible,
                linger,
                name,
            }
        },
    )
}

fn token() -> impl Strategy<Value = Token> {
    (1..=u128::MAX).prop_map(|number| Token::from_bytes(number.to_le_bytes()).unwrap())
}

fn entry() -> impl Strategy<Value = Entry<'static>> {
    prop_oneof![
        draw().prop_map(Entry::Draw),
        fill().prop_map(Entry::Fill),
        layer_configure().prop_map(Entry::LayerConfigure),
    ]
}

/// Any request that fits a message.
fn request() -> impl Strategy<Value = Request<'static>> {
    let request = prop_oneof![
        (any::<(u16, u16)>(), name()).prop_map(|((oldest, newest), name)| Request::Hello(Hello {
            oldest,
            newest,
            name
        })),
        (1..=u32::MAX, select(Memory::ALL), select(Access::ALL), any::<u64>()).prop_map(
            |(region, memory, access, size)| {
                Request::RegionCreate(RegionCreate { region, memory, access, size })
            }
        ),
        any::<u32>().prop_map(|region| Request::RegionDestroy { region }),
        (any::<(u32, u64)>(), carried()).prop_map(|((region, offset), bytes)| Request::RegionWrite {
            region,
            offset,
            bytes
        }),
        (any::<(u32, u64)>(), 1..=MAX_CARRIED as u32)
            .prop_map(|((region, offset), length)| Request::RegionRead { region, offset, length }),
        layer_create().prop_map(Request::LayerCreate),
        layer_configure().prop_map(Request::LayerConfigure),
        any::<u32>().prop_map(|layer| Request::LayerDestroy { layer }),
        (1..=u32::MAX, token()).prop_map(|(layer, token)| Request::LayerClaim { layer, token }),
        draw().prop_map(Request::Draw),
        fill().prop_map(Request::Fill),
        vec(entry(), 1..6).prop_map(Request::Batch),
        (fill(), 400..=MAX_ENTRIES).prop_map(|(fill, count)| Request::Batch(vec![Entry::Fill(fill); count])),
        (select(CaptureSubject::ALL), any::<u32>(), pixels(), image()).prop_map(
            |(subject, id, source, image)| Request::Capture(Capture { subject, id, source, image })
        ),
        any::<u32>().prop_map(|output| Request::Sync { output }),
        any::<u32>().prop_map(|first| Request::Outputs { first }),
        (select(StatisticsSubject::ALL), any::<u32>())
            .prop_map(|(subject, first)| Request::Statistics { subject, first }),
    ];
    request.prop_filter("fits a message", |request| {
        request.encode(1, Priority::DEFAULT, &mut Vec::new()).is_ok()
    })
}

/// Lists of records with any bytes in them: records are layouts and nothing more.
fn list<T: FromBytes + std::fmt::Debug>() -> impl Strategy<Value = List<T>> {
    let record = vec(any::<u8>(), size_of::<T>()).prop_map(|bytes| T::read_from_bytes(&bytes).unwrap());
    (any::<(u32, u32)>(), vec(record, 0..5)).prop_map(|((first, total), records)| List {
        first,
        total,
        records,
    })
}

fn reply() -> impl Strategy<Value = Reply<'static>> {
    let welcome = (select(Mode::ALL), any::<(u16, u8, u32, u64, u64)>(), any::<(u32, u32, u32, u32)>());
    let receipt = (any::<(u64, u64, u64, u64, u32)>(), select(Path::ALL));
    let shown = (any::<(u32, u64, u64)>(), select(NotShown::ALL), select(ClockSource::ALL));
    let refusal = (select(ErrorCode::ALL), option::of(0..u32::MAX), "\\PC{0,100}");
    prop_oneof![
        welcome.prop_map(|(mode, (version, ceiling, longest, connection, bytes), numbers)| {
            let (regions, layers, requests, carried) = numbers;
            Reply::Welcome(Welcome {
                version,
                mode,
                ceiling,
                longest,
                connection,
                bytes,
                regions,
                layers,
                requests,
                carried,
            })
        }),
        receipt.prop_map(|((received, started, finished, bytes, slices), path)| {
            Reply::Done(Receipt { received, started, finished, bytes, slices, path })
        }),
        carried().prop_map(Reply::Data),
        shown.prop_map(|((output, sequence, time), reason, clock)| {
            Reply::Shown(Shown { output, reason, sequence, time, clock })
        }),
        list().prop_map(Reply::Outputs),
        list().prop_map(|list| Reply::Statistics(Statistics::Daemon(list))),
        list().prop_map(|list| Reply::Statistics(Statistics::Clients(list))),
        list().prop_map(|list| Reply::Statistics(Statistics::Layers(list))),
        list().prop_map(|list| Reply::Statistics(Statistics::Priorities(list))),
        token().prop_map(Reply::Token),
        vec(any::<u8>(), size_of::<wire::LayerRecord>())
            .prop_map(|bytes| Reply::Claimed(wire::LayerRecord::read_from_bytes(&bytes).unwrap())),
        refusal.prop_map(|(code, entry, text)| Reply::Refused(Refusal { code, entry, text })),
        Just(Reply::OutputsChanged),
    ]
}

/// Puts bytes into a framing as a socket would, in pieces of at most `piece` bytes.
fn feed(framing: &mut Framing<u8>, mut bytes: &[u8], piece: usize, descriptors: u8) {
    let mut descriptors = 0..descriptors;
    while !bytes.is_empty() {
        let space = framing.space();
        let count = space.len().min(piece).min(bytes.len());
        space[..count].copy_from_slice(&bytes[..count]);
        framing.arrived(count, descriptors.by_ref());
        bytes = &bytes[count..];
    }
}

/// The message with only its first `length` bytes, which its header then states as its length.
fn shortened(bytes: &[u8], length: usize) -> (wire::Header, &[u8]) {
    let mut header = wire::Header::read_from_prefix(bytes).unwrap().0;
    header.length = u32::try_from(length).unwrap().into();
    (header, &bytes[HEADER_LENGTH..length])
}

/// Where to cut a message: everywhere in its fixed parts, and here and there in what is long.
fn cuts(length: usize) -> impl Iterator<Item = usize> {
    (0..length.min(400)).chain((400..length).step_by(997)).chain(length.saturating_sub(9)..length)
}

fn header(number: u16, descriptors: u8, priority: u8, body: &[u8]) -> wire::Header {
    wire::Header {
        length: ((HEADER_LENGTH + body.len()) as u32).into(),
        kind: number.into(),
        descriptors,
        priority,
        serial: 1.into(),
    }
}

proptest! {
    #[test]
    fn every_request_comes_back(
        request in request(), serial: u64, priority in 0..=63u8, piece in 1..5000usize, before in 0..3usize,
    ) {
        let priority = Priority::new(priority).unwrap();
        let mut bytes = Vec::new();
        let mut framing = Framing::default();
        for _ in 0..before {
            Request::Sync { output: 0 }.encode(0, Priority::DEFAULT, &mut bytes).unwrap();
        }
        feed(&mut framing, &bytes, piece, 0);
        for _ in 0..before {
            prop_assert!(framing.next_message().unwrap().is_some());
        }
        bytes.clear();
        request.encode(serial, priority, &mut bytes).unwrap();
        prop_assert!(bytes.len() <= MAX_LENGTH);
        feed(&mut framing, &bytes, piece, request.descriptors());
        let message = framing.next_message().unwrap().unwrap();
        prop_assert_eq!(message.header.serial.get(), serial);
        prop_assert_eq!(message.header.priority, priority.number());
        prop_assert_eq!(message.descriptors.len(), usize::from(request.descriptors()));
        prop_assert_eq!(Request::decode(&message.header, message.body).unwrap().into_owned(), request);
        prop_assert!(framing.next_message().unwrap().is_none());
    }

    #[test]
    fn every_reply_comes_back(reply in reply(), serial: u64, piece in 1..5000usize) {
        let mut bytes = Vec::new();
        reply.encode(serial, &mut bytes);
        prop_assert!(bytes.len() <= MAX_LENGTH);
        let mut framing = Framing::default();
        feed(&mut framing, &bytes, piece, 0);
        let message = framing.next_message().unwrap().unwrap();
        prop_assert_eq!(message.header.serial.get(), serial);
        prop_assert_eq!(Reply::decode(&message.header, message.body).unwrap().into_owned(), reply);
        prop_assert!(framing.next_message().unwrap().is_none());
    }

    #[test]
    fn a_request_cut_short_is_waited_for_or_refused(request in request()) {
        let mut bytes = Vec::new();
        request.encode(1, Priority::DEFAULT, &mut bytes).unwrap();
        let carries = matches!(request, Request::Draw(_) | Request::RegionWrite { .. });
        for length in cuts(bytes.len()) {
            let mut framing = Framing::default();
            feed(&mut framing, &bytes[..length], usize::MAX, if length > 0 { request.descriptors() } else { 0 });
            prop_assert!(framing.next_message().unwrap().is_none(), "{} of {}", length, bytes.len());
            if length < HEADER_LENGTH {
                continue;
            }
            // What a message carries may be shorter; all else has its size.
            let (header, body) = shortened(&bytes, length);
            match Request::decode(&header, body) {
                Ok(other) => prop_assert!(carries && other != request, "{} of {}", length, bytes.len()),
                Err(refusal) => prop_assert_eq!(refusal.code, ErrorCode::Malformed),
            }
        }
    }

    #[test]
    fn a_reply_cut_short_is_waited_for_or_an_error(reply in reply()) {
        let mut bytes = Vec::new();
        reply.encode(1, &mut bytes);
        let open = matches!(reply, Reply::Data(_) | Reply::Refused(_));
        for length in cuts(bytes.len()) {
            let mut framing = Framing::default();
            feed(&mut framing, &bytes[..length], usize::MAX, 0);
            prop_assert!(framing.next_message().unwrap().is_none(), "{} of {}", length, bytes.len());
            if length < HEADER_LENGTH {
                continue;
            }
            let (header, body) = shortened(&bytes, length);
            if let Ok(other) = Reply::decode(&header, body) {
                // A text may read the same: half a character and the mark for one are both shown as that mark.
                let shorter = matches!(other, Reply::Refused(_)) || other != reply;
                prop_assert!(open && shorter, "{} of {}", length, bytes.len());
            }
        }
    }

    #[test]
    fn any_body_of_any_request_is_decoded_or_refused(
        number in prop_oneof![8 => select(RequestKind::ALL).prop_map(RequestKind::number), 1 => any::<u16>()],
        descriptors in 0..=4u8, priority: u8, body in vec(any::<u8>(), 0..400),
    ) {
        if let Err(refusal) = Request::decode(&header(number, descriptors, priority, &body), &body) {
            prop_assert!(refusal.text.len() <= MAX_ERROR_TEXT);
        }
    }

    /// Values of the right size and mostly small reach deeper than random bytes do.
    #[test]
    fn a_request_with_some_bytes_changed_is_decoded_or_refused(
        request in request(), changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = Vec::new();
        request.encode(1, Priority::DEFAULT, &mut bytes).unwrap();
        let (header, body) = bytes.split_at_mut(HEADER_LENGTH);
        for (index, byte) in changes {
            body[index.index(body.len())] = byte;
        }
        let header = wire::Header::read_from_bytes(header).unwrap();
        if let Ok(request) = Request::decode(&header, body) {
            // What is accepted can be said again, and means the same.
            let mut again = Vec::new();
            request.encode(1, Priority::DEFAULT, &mut again).unwrap();
            let (header, body) = shortened(&again, again.len());
            prop_assert_eq!(Request::decode(&header, body).unwrap(), request);
        }
    }

    #[test]
    fn any_body_of_any_reply_is_decoded_or_an_error(
        number in prop_oneof![8 => select(REPLIES), 1 => any::<u16>()], body in vec(any::<u8>(), 0..400),
    ) {
        let _ = Reply::decode(&header(number, 0, 0, &body), &body);
    }

    #[test]
    fn any_stream_is_framed_or_an_error(
        bytes in vec(prop_oneof![4 => Just(0), 1 => any::<u8>()], 0..3000), lengths in vec(16..200u32, 0..20),
        piece in 1..5000usize, descriptors in 0..6u8,
    ) {
        // Whole messages first, so that not all streams end at their first header.
        let mut stream = Vec::new();
        for length in lengths {
            let body = vec![0; length as usize - HEADER_LENGTH];
            stream.extend_from_slice(header(RequestKind::Sync.number(), 0, 0, &body).as_bytes());
            stream.extend_from_slice(&body);
        }
        stream.extend_from_slice(&bytes);
        let mut framing = Framing::default();
        feed(&mut framing, &stream, piece, descriptors);
        while let Ok(Some(message)) = framing.next_message() {
            let _ = Request::decode(&message.header, message.body);
        }
    }
}

#[test]
fn what_no_message_can_carry_is_not_encoded() {
    let too_many = Cow::Owned(vec![0; MAX_CARRIED + 1]);
    let mut out = vec![1, 2, 3];
    let write = Request::RegionWrite { region: 1, offset: 0, bytes: too_many };
    assert!(write.encode(1, Priority::DEFAULT, &mut out).is_err());
    let draw = Draw {
        layer: 1,
        transform: Transform::Identity,
        filter: Filter::Nearest,
        operator: Operator::Source,
        opacity: 255,
        source: FixedRectangle::default(),
        destination: Pixels::default(),
        image: Image {
            width: 1,
            height: 1,
            fourcc: 0,
            modifier: 0,
            plane_count: 0,
            planes: Default::default(),
        },
        encoding: ColorEncoding::Bt601,
        range: ColorRange::Limited,
        carried: Cow::Owned(vec![0; MAX_CARRIED + 1]),
    };
    assert!(Request::Draw(draw.clone()).encode(1, Priority::DEFAULT, &mut out).is_err());
    assert!(Request::Batch(vec![Entry::Draw(draw)]).encode(1, Priority::DEFAULT, &mut out).is_err());
    assert_eq!(out, [1, 2, 3]);
}

#[test]
fn a_priority_above_63_is_a_bad_value() {
    let mut bytes = Vec::new();
    Request::Sync { output: 0 }.encode(1, Priority::MAX, &mut bytes).unwrap();
    bytes[7] += 1;
    let (header, body) = shortened(&bytes, bytes.len());
    assert_eq!(Request::decode(&header, body).unwrap_err().code, ErrorCode::BadValue);
}

/// What a client is told of this request where `edit` has changed its body.
fn told(request: &Request<'_>, edit: impl FnOnce(&mut Vec<u8>)) -> Refusal {
    let mut bytes = Vec::new();
    request.encode(1, Priority::DEFAULT, &mut bytes).unwrap();
    let mut body = bytes.split_off(HEADER_LENGTH);
    edit(&mut body);
    let header = header(request.kind().number(), request.descriptors(), 0, &body);
    Request::decode(&header, &body).unwrap_err()
}

#[test]
fn refusals_tell_the_values_received() {
    let statistics = Request::Statistics { subject: StatisticsSubject::Daemon, first: 0 };
    let refusal = told(&statistics, |body| body[..4].copy_from_slice(&70_000u32.to_le_bytes()));
    assert_eq!(
        refusal.text,
        "subject is 70000: it takes 1 (daemon), 2 (clients), 3 (layers) or 4 (priorities)"
    );

    let write = Request::RegionWrite { region: 1, offset: 0, bytes: Cow::Borrowed(&[]) };
    let refusal = told(&write, |body| body.resize(body.len() + MAX_CARRIED + 1, 0));
    assert_eq!(refusal.code, ErrorCode::Malformed);
    assert_eq!(refusal.text, "region_write carries 65537 bytes: it takes at most 65536");

    let draw = Request::Draw(Draw {
        layer: 1,
        transform: Transform::Identity,
        filter: Filter::Nearest,
        operator: Operator::Source,
        opacity: 255,
        source: FixedRectangle::default(),
        destination: Pixels::default(),
        image: Image::linear(1, 1, Format::Xrgb8888, Plane::default()),
        encoding: ColorEncoding::Bt601,
        range: ColorRange::Limited,
        carried: Cow::Borrowed(&[]),
    });
    for (from_end, field) in [(8, "encoding"), (7, "range")] {
        let refusal = told(&draw, |body| {
            let place = body.len() - from_end;
            body[place] = 3;
        });
        assert_eq!(refusal.code, ErrorCode::BadValue);
        assert_eq!(refusal.text, format!("{field} is 3: it takes 0, since RGB formats have none"));
    }

    let change = LayerConfigure { layer: 1, visible: Some(true), ..Default::default() };
    for reserved in 27..32 {
        let refusal = told(&Request::LayerConfigure(change), |body| body[reserved] = 1);
        assert_eq!(refusal.text, "reserved bytes of layer_configure are not 0: send them as 0");
    }

    for length in [57, u32::MAX - 6, u32::MAX] {
        let batch = Request::Batch(vec![Entry::LayerConfigure(change)]);
        let refusal = told(&batch, |body| body[12..16].copy_from_slice(&length.to_le_bytes()));
        assert_eq!(refusal.code, ErrorCode::Malformed);
        assert_eq!(refusal.text, "the body of batch has 72 bytes: it takes each entry whole");
    }
}
