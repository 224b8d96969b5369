//! Clients that lie, stall, flood and die, and the stand that they play on: the real server, and a witness, a client
//! that has been there before and must be served as if nothing were.

#![allow(dead_code, reason = "each test takes what it needs of it")]

pub(crate) mod batches;
pub(crate) mod claims;
pub(crate) mod conduct;
pub(crate) mod memory;
pub(crate) mod random;
pub(crate) mod requests;
pub(crate) mod streams;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::IoSlice;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;

use blitd_protocol::error::{ErrorCode, Refusal};
use blitd_protocol::image::{Format, Image, Plane};
use blitd_protocol::reply::Reply;
use blitd_protocol::request::{
    Capture, Entry, Hello, LayerConfigure, Pixels, RegionCreate, Request, RequestKind, VERSION,
};
use blitd_protocol::transport::{Endpoint, Received, Wait};
use blitd_protocol::value::{Access, CaptureSubject, Memory, Name, Priority, StatisticsSubject};
use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

use crate::fixture::{Client, Fixture, Random, Shared, config, draw, fill, layer, packed};

/// Something that clients do which they should not.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// The side of the output in pixels.
    pub(crate) side: u32,
    /// What the configuration says besides.
    pub(crate) config: &'static str,
    pub(crate) play: fn(&mut Stand),
}

/// Every scenario.
pub(crate) fn all() -> impl Iterator<Item = &'static Scenario> {
    [
        streams::SCENARIOS,
        random::SCENARIOS,
        requests::SCENARIOS,
        batches::SCENARIOS,
        claims::SCENARIOS,
        memory::SCENARIOS,
        conduct::SCENARIOS,
    ]
    .into_iter()
    .flatten()
}

/// Plays one scenario, after which the witness is unharmed and the daemon holds what it held before.
pub(crate) fn play(scenarios: &[Scenario], name: &str) {
    let scenario = scenarios.iter().find(|scenario| scenario.name == name).expect("no such scenario");
    let mut stand = Stand::new(scenario);
    let before = stand.held();
    (scenario.play)(&mut stand);
    stand.unharmed();
    assert_eq!(stand.held(), before, "{name}");
}

/// What the daemon says that it holds for clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    connections: u32,
    regions: u32,
    layers: u32,
    region_bytes: u64,
    layer_bytes: u64,
}

pub(crate) struct Stand {
    pub(crate) fixture: Fixture,
    /// The error numbers that clients have been given.
    pub(crate) seen: BTreeSet<u32>,
    witness: Witness,
}

impl Stand {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let mut fixture = Fixture::configured(config(scenario.side, scenario.side, scenario.config));
        let witness = Witness::new(&mut fixture, !scenario.config.contains("capture_outputs = false"));
        Self { fixture, seen: BTreeSet::new(), witness }
    }

    /// The witness draws, and captures just that.
    pub(crate) fn unharmed(&mut self) {
        self.witness.check(&mut self.fixture);
    }

    /// What the daemon holds when everything has come to rest.
    pub(crate) fn held(&mut self) -> Held {
        self.fixture.rest();
        let record = self.fixture.statistics();
        Held {
            connections: record.connections.get(),
            regions: record.regions.get(),
            layers: record.layers.get(),
            region_bytes: record.region_bytes.get(),
            layer_bytes: record.layer_bytes.get(),
        }
    }

    /// A connection that has not said anything.
    pub(crate) fn raw(&mut self) -> Raw {
        Raw { endpoint: Endpoint::new(self.fixture.socket()), closed: false }
    }

    /// A connection that has been let in, with serial 1.
    pub(crate) fn greeted(&mut self) -> Raw {
        let mut raw = self.raw();
        raw.send(&hello(), [&anything()]);
        let replies = self.replies(&mut raw);
        assert!(matches!(replies[..], [(1, Reply::Welcome(_))]), "{replies:?}");
        raw
    }

    /// What has been answered when the daemon has nothing left to do.
    pub(crate) fn replies(&mut self, raw: &mut Raw) -> Vec<(u64, Reply<'static>)> {
        self.fixture.settle();
        let replies = raw.replies();
        for (_, reply) in &replies {
            self.note(reply);
        }
        replies
    }

    fn note(&mut self, reply: &Reply<'_>) {
        if let Reply::Refused(refusal) = reply {
            assert!(!refusal.text.is_empty(), "a refusal says why: {refusal:?}");
            self.seen.insert(refusal.code.number());
        }
    }

    /// The connection is told this error and nothing else, with this serial, and ended.
    pub(crate) fn ended(&mut self, raw: &mut Raw, serial: u64, code: ErrorCode, what: &str) {
        let replies = self.replies(raw);
        match &replies[..] {
            [(answered, Reply::Refused(refusal))] => {
                assert_eq!((*answered, refusal.code), (serial, code), "{what}: {refusal}");
            }
            other => panic!("{what}: {other:?}"),
        }
        assert!(raw.closed, "{what}: the connection has not been ended");
    }

    /// The one request that was sent is refused with this error, and the connection lives.
    pub(crate) fn refused_alive(&mut self, raw: &mut Raw, serial: u64, code: ErrorCode, what: &str) {
        let replies = self.replies(raw);
        match &replies[..] {
            [(answered, Reply::Refused(refusal))] => {
                assert_eq!((*answered, refusal.code), (serial, code), "{what}: {refusal}");
            }
            other => panic!("{what}: {other:?}"),
        }
        self.alive(raw, what);
    }

    /// The connection still answers.
    pub(crate) fn alive(&mut self, raw: &mut Raw, what: &str) {
        raw.send(&encoded(&Request::Outputs { first: 0 }, 77), []);
        let replies = self.replies(raw);
        assert!(matches!(replies[..], [(77, Reply::Outputs(_))]), "{what}: {replies:?}");
    }

    pub(crate) fn refused(
        &mut self,
        client: &mut Client,
        request: &Request<'_>,
        code: ErrorCode,
        what: &str,
    ) -> Refusal {
        let reply = self.fixture.call(client, request);
        self.note(&reply);
        match reply {
            Reply::Refused(refusal) => {
                assert_eq!(refusal.code, code, "{what}: {refusal}");
                refusal
            }
            other => panic!("{what}: {other:?}"),
        }
    }

    /// Shares a file as a region.
    pub(crate) fn share(&mut self, client: &mut Client, create: RegionCreate, file: &File) -> Reply<'static> {
        let descriptor = file.try_clone().unwrap().into();
        let serial =
            client.link.submit_with(&Request::RegionCreate(create), descriptor, client.priority).unwrap();
        let reply = self.fixture.reply(client, serial);
        self.note(&reply);
        reply
    }

    /// All pixels of a layer of 32-bit words.
    pub(crate) fn picture(&mut self, client: &mut Client, layer: u32, width: u32, height: u32) -> Vec<u32> {
        const REGION: u32 = 900;
        let memory = Shared::sealed(u64::from(width * height * 4));
        self.fixture.region(client, REGION, &memory);
        let capture = Capture {
            subject: CaptureSubject::Layer,
            id: layer,
            source: Pixels { x: 0, y: 0, width, height },
            image: packed(REGION, width, height, Format::Xrgb8888),
        };
        self.fixture.done(client, &Request::Capture(capture));
        self.fixture.done(client, &Request::RegionDestroy { region: REGION });
        memory.words()
    }
}

/// A client that behaves, in front of everything else.
struct Witness {
    client: Client,
    pixels: Shared,
    taken: Shared,
    random: Random,
    sees_output: bool,
}

impl Witness {
    const SIDE: u32 = 8;
    /// Where its layer is on the output.
    const PLACE: i32 = 20;

    fn new(fixture: &mut Fixture, sees_output: bool) -> Self {
        let mut client = fixture.client("witness");
        let bytes = u64::from(Self::SIDE * Self::SIDE * 4);
        let (pixels, taken) = (Shared::sealed(bytes), Shared::sealed(bytes));
        fixture.region(&mut client, 1, &pixels);
        fixture.region(&mut client, 2, &taken);
        let mut front = layer(1, Self::PLACE, Self::PLACE, Self::SIDE, Self::SIDE);
        front.z = i32::MAX;
        fixture.layer(&mut client, front);
        Self { client, pixels, taken, random: Random(1), sees_output }
    }

    fn check(&mut self, fixture: &mut Fixture) {
        const SIDE: u32 = Witness::SIDE;
        let words: Vec<u32> =
            (0..SIDE * SIDE).map(|_| 0xff00_0000 | (self.random.next() as u32 >> 8)).collect();
        self.pixels.write_words(&words);
        let request = Request::Draw(draw(1, packed(1, SIDE, SIDE, Format::Xrgb8888)));
        fixture.done(&mut self.client, &request);
        let mut subjects = vec![(CaptureSubject::Layer, 1, 0)];
        if self.sees_output {
            subjects.push((CaptureSubject::Output, 0, Self::PLACE));
        }
        for (subject, id, place) in subjects {
            self.taken.write(0, &[0; (SIDE * SIDE * 4) as usize]);
            let source = Pixels { x: place, y: place, width: SIDE, height: SIDE };
            let image = packed(2, SIDE, SIDE, Format::Xrgb8888);
            fixture.done(&mut self.client, &Request::Capture(Capture { subject, id, source, image }));
            assert!(self.taken.words() == words, "the witness does not find what it drew: {subject:?}");
        }
    }
}

/// A connection whose bytes and descriptors the test chooses.
pub(crate) struct Raw {
    pub(crate) endpoint: Endpoint,
    /// Whether the daemon has ended it.
    pub(crate) closed: bool,
}

impl Raw {
    /// One sendmsg. How much of it went: 0 where the socket is full or has been closed.
    pub(crate) fn send<'a>(&self, bytes: &[u8], files: impl IntoIterator<Item = &'a File>) -> usize {
        let descriptors: Vec<RawFd> = files.into_iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&descriptors)];
        let control = if descriptors.is_empty() { &[][..] } else { &rights[..] };
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        let socket = self.endpoint.socket().as_raw_fd();
        match sendmsg::<()>(socket, &[IoSlice::new(bytes)], control, flags, None) {
            Ok(count) => count,
            Err(Errno::EAGAIN | Errno::EPIPE | Errno::ECONNRESET) => 0,
            Err(errno) => panic!("sendmsg: {errno}"),
        }
    }

    fn replies(&mut self) -> Vec<(u64, Reply<'static>)> {
        let mut replies = Vec::new();
        loop {
            match self.endpoint.receive(Wait::Return).unwrap() {
                Received::Bytes => {}
                Received::Nothing => return replies,
                Received::Closed => {
                    self.closed = true;
                    return replies;
                }
            }
            while let Some(message) = self.endpoint.next_message().unwrap() {
                let reply = Reply::decode(&message.header, message.body).unwrap().into_owned();
                replies.push((message.header.serial.get(), reply));
            }
        }
    }

    pub(crate) fn socket(&self) -> &UnixStream {
        self.endpoint.socket()
    }
}

/// A message as a client of our own would send it.
pub(crate) fn encoded(request: &Request<'_>, serial: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    request.encode(serial, Priority::DEFAULT, &mut bytes).unwrap();
    bytes
}

/// A message of any kind.
pub(crate) fn message(kind: u16, descriptors: u8, serial: u64, body: &[u8]) -> Vec<u8> {
    let mut bytes = (16 + body.len() as u32).to_le_bytes().to_vec();
    bytes.extend(kind.to_le_bytes());
    bytes.extend([descriptors, 10]);
    bytes.extend(serial.to_le_bytes());
    bytes.extend(body);
    bytes
}

pub(crate) fn hello() -> Vec<u8> {
    let hello = Hello { oldest: VERSION, newest: VERSION, name: Name::new("hostile") };
    encoded(&Request::Hello(hello), 1)
}

/// A descriptor of no particular kind.
pub(crate) fn anything() -> File {
    File::open("/dev/null").unwrap()
}

/// A valid request of every kind but hello, in an order in which all of them are done; region 1 is shared, region 2
/// held.
pub(crate) fn every_request() -> Vec<Request<'static>> {
    let side = 16;
    let image = packed(1, side, side, Format::Xrgb8888);
    let mut carried =
        draw(1, Image::linear(4, 4, Format::Argb8888, Plane { region: 0, stride: 16, offset: 8 }));
    carried.carried = vec![0x55; 72].into();
    let configure =
        LayerConfigure { layer: 1, place: Some((3, 4)), opacity: Some(200), ..LayerConfigure::default() };
    let source = Pixels { x: 0, y: 0, width: side, height: side };
    let create =
        |region, memory| RegionCreate { region, memory, access: Access::ReadWrite, size: 4 * 16 * 16 };
    let capture = |subject, id| Request::Capture(Capture { subject, id, source, image });
    vec![
        Request::RegionCreate(create(1, Memory::Memfd)),
        Request::RegionCreate(create(2, Memory::Held)),
        Request::RegionWrite { region: 2, offset: 5, bytes: vec![7; 100].into() },
        Request::RegionRead { region: 2, offset: 0, length: 128 },
        Request::LayerCreate(layer(1, 0, 0, side, side)),
        Request::LayerConfigure(configure),
        Request::Draw(draw(1, image)),
        Request::Draw(carried.clone()),
        Request::Fill(fill(1, 0x8011_2233, 9, 9)),
        Request::Batch(vec![
            Entry::Draw(draw(1, packed(2, side, side, Format::Xbgr8888))),
            Entry::Draw(carried),
            Entry::Fill(fill(1, 5, 3, 3)),
            Entry::LayerConfigure(configure),
        ]),
        capture(CaptureSubject::Layer, 1),
        capture(CaptureSubject::Output, 0),
        Request::Outputs { first: 0 },
        Request::Statistics { subject: StatisticsSubject::Daemon, first: 0 },
        Request::Statistics { subject: StatisticsSubject::Clients, first: 0 },
        Request::Statistics { subject: StatisticsSubject::Layers, first: 0 },
        Request::Statistics { subject: StatisticsSubject::Priorities, first: 0 },
        Request::Sync { output: 0 },
        Request::LayerDestroy { layer: 1 },
        Request::RegionDestroy { region: 1 },
        Request::RegionDestroy { region: 2 },
    ]
}

/// The hello and every request, with serials from 1 on, and whether a descriptor goes with it.
pub(crate) fn every_message() -> Vec<(Vec<u8>, bool)> {
    let mut messages = vec![(hello(), true)];
    for (serial, request) in (2..).zip(every_request()) {
        messages.push((encoded(&request, serial), request.descriptors() > 0));
    }
    messages
}

/// The number of a request's kind, as it stands in a message.
pub(crate) const fn number(kind: RequestKind) -> u16 {
    kind.number()
}
