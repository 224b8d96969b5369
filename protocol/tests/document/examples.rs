//! The messages that the document shows in bytes. All speak of the same few things: region 7 (a
//! memfd), region 8 (held), layer 3, output 1.

use std::borrow::Cow;

use blitd_protocol::error::{ErrorCode, Refusal};
use blitd_protocol::image::{Format, Image, Plane};
use blitd_protocol::reply::{List, Receipt, Reply, Shown, Statistics, Welcome};
use blitd_protocol::request::{
    Capture, Draw, Entry, Fill, FixedRectangle, Hello, LayerConfigure, LayerCreate, Pixels, RegionCreate,
    Request,
};
use blitd_protocol::value::{
    Access, Band, CaptureSubject, ClockSource, ColorEncoding, ColorRange, Filter, Memory, Mode, Name,
    NotShown, Operator, Path, Priority, StatisticsSubject, Token, Transform,
};
use blitd_protocol::wire;

/// A message that the document shows.
pub(crate) struct Example {
    /// What the document calls it.
    pub(crate) title: &'static str,
    /// The header's serial.
    pub(crate) serial: u64,
    /// The message.
    pub(crate) message: Message,
}

/// Either direction's message.
pub(crate) enum Message {
    /// From the client, with its priority.
    Request(Priority, Request<'static>),
    /// From the daemon.
    Reply(Reply<'static>),
}

fn name(text: &str) -> [u8; 32] {
    *Name::new(text).as_bytes()
}

fn draw() -> Draw<'static> {
    Draw {
        layer: 3,
        transform: Transform::Identity,
        filter: Filter::Nearest,
        operator: Operator::Source,
        opacity: 255,
        source: FixedRectangle::from_pixels(0, 0, 256, 256),
        destination: Pixels { x: 16, y: -8, width: 256, height: 256 },
        image: Image::linear(256, 256, Format::Xrgb8888, Plane { region: 7, stride: 1024, offset: 0 }),
        encoding: ColorEncoding::Bt601,
        range: ColorRange::Limited,
        carried: Cow::Borrowed(&[]),
    }
}

fn small_draw() -> Draw<'static> {
    Draw {
        operator: Operator::Over,
        opacity: 128,
        source: FixedRectangle::from_pixels(0, 0, 2, 1),
        destination: Pixels { x: 0, y: 0, width: 2, height: 1 },
        image: Image::linear(2, 1, Format::Rgb565, Plane { region: 0, stride: 4, offset: 0 }),
        carried: Cow::Borrowed(&[0x00, 0xf8, 0x1f, 0x00]),
        ..draw()
    }
}

/// Every request that the document shows.
fn requests() -> Vec<(&'static str, Request<'static>)> {
    vec![
        ("request `hello`", Request::Hello(Hello { oldest: 1, newest: 1, name: Name::new("clock") })),
        (
            "request `region_create`",
            Request::RegionCreate(RegionCreate {
                region: 7,
                memory: Memory::Memfd,
                access: Access::ReadWrite,
                size: 262_144,
            }),
        ),
        ("request `region_destroy`", Request::RegionDestroy { region: 7 }),
        (
            "request `region_write`",
            Request::RegionWrite { region: 8, offset: 1024, bytes: Cow::Borrowed(&[1, 2, 3, 4, 5, 6]) },
        ),
        ("request `region_read`", Request::RegionRead { region: 8, offset: 1024, length: 6 }),
        (
            "request `layer_create`",
            Request::LayerCreate(LayerCreate {
                layer: 3,
                output: 0,
                x: 100,
                y: -20,
                width: 400,
                height: 300,
                z: -1,
                fourcc: Format::Xrgb8888.fourcc(),
                band: Band::Normal,
                opacity: 255,
                visible: true,
                linger: false,
                name: Name::new("dial"),
            }),
        ),
        (
            "request `layer_configure`",
            Request::LayerConfigure(LayerConfigure {
                layer: 3,
                place: Some((120, 40)),
                opacity: Some(128),
                size: Some((200, 150)),
                crop: Some(FixedRectangle::from_pixels(0, 0, 400, 300)),
                ..Default::default()
            }),
        ),
        ("request `layer_destroy`", Request::LayerDestroy { layer: 3 }),
        ("request `layer_claim`", Request::LayerClaim { layer: 4, token: token() }),
        ("request `draw`, from a region", Request::Draw(draw())),
        ("request `draw`, with the pixels in the message", Request::Draw(small_draw())),
        (
            "request `fill`",
            Request::Fill(Fill {
                layer: 3,
                colour: 0xff20_4060,
                operator: Operator::Source,
                destination: Pixels { x: 0, y: 0, width: 400, height: 300 },
            }),
        ),
        (
            "request `batch`",
            Request::Batch(vec![
                Entry::Draw(small_draw()),
                Entry::LayerConfigure(LayerConfigure { layer: 3, visible: Some(true), ..Default::default() }),
            ]),
        ),
        (
            "request `capture`",
            Request::Capture(Capture {
                subject: CaptureSubject::Output,
                id: 1,
                source: Pixels { x: 100, y: 50, width: 64, height: 32 },
                image: Image::linear(
                    64,
                    32,
                    Format::Xrgb8888,
                    Plane { region: 7, stride: 256, offset: 4096 },
                ),
            }),
        ),
        ("request `sync`", Request::Sync { output: 0 }),
        ("request `outputs`", Request::Outputs { first: 0 }),
        ("request `statistics`", Request::Statistics { subject: StatisticsSubject::Layers, first: 0 }),
    ]
}

/// Every reply that the document shows.
fn replies() -> Vec<(&'static str, Reply<'static>)> {
    vec![
        (
            "reply `welcome`",
            Reply::Welcome(Welcome {
                version: 1,
                mode: Mode::Shared,
                ceiling: 63,
                longest: 69_632,
                connection: 5,
                bytes: 268_435_456,
                regions: 64,
                layers: 32,
                requests: 256,
                carried: 65_536,
            }),
        ),
        (
            "reply `done`",
            Reply::Done(Receipt {
                received: 5_000_000_000,
                started: 5_000_010_000,
                finished: 5_000_085_000,
                bytes: 262_144,
                slices: 2,
                path: Path::Swapped,
            }),
        ),
        ("reply `data`", Reply::Data(Cow::Borrowed(&[1, 2, 3, 4, 5, 6]))),
        (
            "reply `shown`",
            Reply::Shown(Shown {
                output: 1,
                reason: NotShown::Shown,
                sequence: 1234,
                time: 5_016_666_667,
                clock: ClockSource::Daemon,
            }),
        ),
        (
            "reply `outputs`",
            Reply::Outputs(List {
                first: 0,
                total: 1,
                records: vec![wire::OutputRecord {
                    output: 1.into(),
                    width: 1920.into(),
                    height: 1080.into(),
                    refresh: 60_000.into(),
                    background: 0xff00_0000.into(),
                    fourcc: Format::Xrgb8888.fourcc().into(),
                    backend: 1,
                    transform: 0,
                    off: 0,
                    placed: 1,
                    planes: 2,
                    reserved: [0; 3],
                    sequence: 1234.into(),
                    frames: 17.into(),
                    composed: 8_847_360.into(),
                    x: 0.into(),
                    y: (-1080).into(),
                    name: name("headless-1"),
                }],
            }),
        ),
        (
            "reply `statistics`, of the daemon",
            Reply::Statistics(Statistics::Daemon(List {
                first: 0,
                total: 1,
                records: vec![wire::DaemonRecord {
                    uptime: 5_000_000_000.into(),
                    requests: 40.into(),
                    refused: 1.into(),
                    draws: 20.into(),
                    slices: 41.into(),
                    drawn: 5_242_880.into(),
                    bytes_received: 6000.into(),
                    bytes_sent: 2500.into(),
                    region_bytes: 262_144.into(),
                    layer_bytes: 480_000.into(),
                    connections: 1.into(),
                    regions: 1.into(),
                    layers: 1.into(),
                    pid: 412.into(),
                    version: name("0.1.0"),
                }],
            })),
        ),
        (
            "reply `statistics`, of clients",
            Reply::Statistics(Statistics::Clients(List {
                first: 0,
                total: 1,
                records: vec![wire::ClientRecord {
                    connection: 5.into(),
                    pid: 1033.into(),
                    uid: 1000.into(),
                    gid: 100.into(),
                    mode: 1,
                    reserved: [0; 3],
                    regions: 1.into(),
                    layers: 1.into(),
                    region_bytes: 262_144.into(),
                    layer_bytes: 480_000.into(),
                    requests: 40.into(),
                    refused: 1.into(),
                    bytes_received: 6000.into(),
                    bytes_sent: 2500.into(),
                    name: name("clock"),
                }],
            })),
        ),
        (
            "reply `statistics`, of layers",
            Reply::Statistics(Statistics::Layers(List {
                first: 0,
                total: 1,
                records: vec![wire::LayerRecord {
                    connection: 5.into(),
                    layer: 3.into(),
                    output: 1.into(),
                    x: 100.into(),
                    y: (-20).into(),
                    width: 400.into(),
                    height: 300.into(),
                    z: (-1).into(),
                    fourcc: Format::Xrgb8888.fourcc().into(),
                    band: 1,
                    opacity: 255,
                    visible: 1,
                    linger: 0,
                    uid: 1000.into(),
                    draws: 20.into(),
                    bytes: 480_000.into(),
                    shown_width: 200.into(),
                    shown_height: 150.into(),
                    crop: wire::Fixed {
                        x: 0.into(),
                        y: 0.into(),
                        width: 0x190_0000.into(),
                        height: 0x12c_0000.into(),
                    },
                    token: [0; 16],
                    name: name("dial"),
                }],
            })),
        ),
        (
            "reply `statistics`, of priorities",
            Reply::Statistics(Statistics::Priorities(List {
                first: 0,
                total: 1,
                records: vec![wire::PriorityRecord {
                    priority: 10,
                    reserved: [0; 7],
                    count: 20.into(),
                    waiting: wire::Distribution {
                        sum: 160_000.into(),
                        median: 7_039.into(),
                        percentile_90: 9_023.into(),
                        percentile_99: 12_000.into(),
                        percentile_99_9: 12_000.into(),
                        maximum: 12_000.into(),
                    },
                    service: wire::Distribution {
                        sum: 1_500_000.into(),
                        median: 74_751.into(),
                        percentile_90: 80_383.into(),
                        percentile_99: 91_000.into(),
                        percentile_99_9: 91_000.into(),
                        maximum: 91_000.into(),
                    },
                }],
            })),
        ),
        ("reply `token`", Reply::Token(token())),
        (
            "reply `claimed`",
            Reply::Claimed(wire::LayerRecord {
                connection: 6.into(),
                layer: 4.into(),
                width: 400.into(),
                height: 300.into(),
                fourcc: Format::Argb8888.fourcc().into(),
                band: 1,
                opacity: 255,
                visible: 1,
                linger: 1,
                uid: 1000.into(),
                draws: 20.into(),
                bytes: 480_000.into(),
                shown_width: 400.into(),
                shown_height: 300.into(),
                crop: wire::Fixed {
                    width: 0x190_0000.into(),
                    height: 0x12c_0000.into(),
                    ..Default::default()
                },
                token: *token().as_bytes(),
                name: name("dial"),
                ..Default::default()
            }),
        ),
        (
            "reply `refused`",
            Reply::Refused(Refusal {
                code: ErrorCode::UnknownLayer,
                entry: None,
                text: "layer 4 does not exist".into(),
            }),
        ),
        ("pulse `outputs_changed`", Reply::OutputsChanged),
    ]
}

fn token() -> Token {
    Token::from_bytes(*b"\x5d\x0e\x9a\x41\xc7\x22\xb8\x6f\x13\xf4\x80\x35\xea\x99\x57\x0c").unwrap()
}

/// Every example. Request n has serial n; its reply would have the same, but the replies here count on their own.
pub(crate) fn examples() -> Vec<Example> {
    let priority = |request: &Request<'_>| match request {
        Request::Capture(_) => Priority::MAX,
        _ => Priority::DEFAULT,
    };
    let requests = requests().into_iter().zip(1..).map(|((title, request), serial)| Example {
        title,
        serial,
        message: Message::Request(priority(&request), request),
    });
    let replies = replies().into_iter().zip(1..).map(|((title, reply), serial)| Example {
        title,
        serial: if matches!(reply, Reply::OutputsChanged) { 0 } else { serial },
        message: Message::Reply(reply),
    });
    requests.chain(replies).collect()
}
