//! Clients that hoard, flood, never listen, or die while their work is under way.

use blitd_protocol::error::ErrorCode;
use blitd_protocol::image::Format;
use blitd_protocol::reply::{Reply, Statistics};
use blitd_protocol::request::{Capture, Entry, Pixels, RegionCreate, Request};
use blitd_protocol::value::{Access, CaptureSubject, Memory, StatisticsSubject};
use blitd_protocol::wire::ClientRecord;

use super::{Raw, Scenario, Stand, encoded, every_message};
use crate::fixture::{Shared, draw, fill, layer, packed};

const fn scenario(name: &'static str, side: u32, config: &'static str, play: fn(&mut Stand)) -> Scenario {
    Scenario { name, side, config, play }
}

pub(crate) const SCENARIOS: &[Scenario] = &[
    scenario("too_many_connections", 64, "[limits]\nconnections = 6", too_many_connections),
    scenario("too_many_regions", 64, "[limits]\nregions = 5", too_many_regions),
    scenario("too_many_layers", 64, "[limits]\nlayers = 4", too_many_layers),
    scenario("too_many_bytes", 64, "[limits]\nbytes = 100000", too_many_bytes),
    scenario("too_many_requests", 64, "[limits]\nrequests = 4", too_many_requests),
    scenario("waits_and_floods", 64, "", waits_and_floods),
    scenario("never_reads", 64, "", never_reads),
    scenario("never_reads_and_breaks_the_protocol", 64, "", never_reads_and_breaks_the_protocol),
    scenario("never_reads_and_dies", 64, "", never_reads_and_dies),
    scenario("dies_under_way", 512, "", dies_under_way),
    scenario("dies_with_everything", 64, "", dies_with_everything),
];

fn held(region: u32, size: u64) -> Request<'static> {
    let access = Access::ReadWrite;
    Request::RegionCreate(RegionCreate { region, memory: Memory::Held, access, size })
}

fn too_many_connections(stand: &mut Stand) {
    stand.fixture.settle();
    // The witness is the first of six.
    let mut five: Vec<Raw> = (0..5).map(|_| stand.greeted()).collect();
    for _ in 0..3 {
        let mut raw = stand.raw();
        stand.ended(&mut raw, 0, ErrorCode::TooManyConnections, "the seventh");
        stand.unharmed();
    }
    for raw in &mut five {
        stand.alive(raw, "one of those that were there");
    }
    five.pop();
    stand.fixture.settle();
    five.push(stand.greeted());
    let mut raw = stand.raw();
    raw.send(&super::hello(), []);
    stand.ended(&mut raw, 0, ErrorCode::TooManyConnections, "full again");
}

fn too_many_regions(stand: &mut Stand) {
    let mut client = stand.fixture.client("hoards");
    let mut other = stand.fixture.client("of the same user");
    for region in 1..=3 {
        stand.fixture.done(&mut client, &held(region, 10));
    }
    for client in [&mut client, &mut other] {
        stand.refused(client, &held(4, 10), ErrorCode::LimitReached, "the sixth of the user");
        let memory = Shared::sealed(4096);
        match stand.fixture.lend(client, 4, &memory, 4096) {
            Reply::Refused(refusal) => assert_eq!(refusal.code, ErrorCode::LimitReached),
            reply => panic!("{reply:?}"),
        }
    }
    stand.unharmed();
    stand.fixture.done(&mut client, &Request::RegionDestroy { region: 2 });
    // What is refused for another reason takes nothing from the limit.
    for _ in 0..10 {
        stand.refused(&mut other, &held(4, 0), ErrorCode::RegionTooSmall, "empty");
        stand.refused(&mut client, &held(1, 10), ErrorCode::IdInUse, "taken");
    }
    stand.fixture.done(&mut other, &held(4, 10));
    stand.refused(&mut client, &held(2, 10), ErrorCode::LimitReached, "again");
    drop(other);
    stand.fixture.done(&mut client, &held(2, 10));
}

fn too_many_layers(stand: &mut Stand) {
    let mut client = stand.fixture.client("hoards");
    for id in 1..=3 {
        stand.fixture.layer(&mut client, layer(id, 0, 0, 4, 4));
    }
    let fourth = Request::LayerCreate(layer(4, 0, 0, 4, 4));
    stand.refused(&mut client, &fourth, ErrorCode::LimitReached, "the fifth of the user");
    stand.unharmed();
    stand.fixture.done(&mut client, &Request::LayerDestroy { layer: 2 });
    for _ in 0..10 {
        let bad = Request::LayerCreate(layer(4, 0, 0, 0, 4));
        stand.refused(&mut client, &bad, ErrorCode::BadSize, "no layer");
    }
    stand.fixture.done(&mut client, &fourth);
}

fn too_many_bytes(stand: &mut Stand) {
    let mut client = stand.fixture.client("hoards");
    // The witness has two regions of 256 bytes and a layer of 8 rows of 64 bytes, twice.
    let left = 100_000 - 2 * 256 - 2 * 8 * 64;
    stand.refused(&mut client, &held(1, left + 1), ErrorCode::LimitReached, "a byte too many");
    stand.fixture.done(&mut client, &held(1, left));
    stand.refused(&mut client, &held(2, 1), ErrorCode::LimitReached, "one more");
    stand.fixture.done(&mut client, &Request::RegionDestroy { region: 1 });
    // A layer counts twice, rounded up to whole cache lines.
    let rows = u32::try_from(left / 128).unwrap();
    let tall = |rows| Request::LayerCreate(layer(1, 0, 0, 1, rows));
    stand.refused(&mut client, &tall(rows + 1), ErrorCode::LimitReached, "a row too many");
    stand.fixture.done(&mut client, &tall(rows));
    let giant = Request::LayerCreate(layer(2, 0, 0, 32767, 32767));
    stand.refused(&mut client, &giant, ErrorCode::LimitReached, "a giant");
    stand.unharmed();
    stand.fixture.done(&mut client, &Request::LayerDestroy { layer: 1 });
    stand.fixture.done(&mut client, &held(1, left));
}

/// More requests than may be unanswered are no error: the daemon reads on when it has answered some.
fn too_many_requests(stand: &mut Stand) {
    let mut raw = stand.greeted();
    raw.send(&encoded(&Request::LayerCreate(layer(1, 0, 0, 8, 8)), 2), []);
    let request = Request::Fill(fill(1, 5, 8, 8));
    let bytes: Vec<u8> = (3..1003).flat_map(|serial| encoded(&request, serial)).collect();
    let replies = sent_whole(stand, &mut raw, &bytes);
    let serials: Vec<u64> = replies.iter().map(|(serial, _)| *serial).collect();
    assert_eq!(serials, (2..1003).collect::<Vec<_>>());
    assert!(replies.iter().all(|(_, reply)| matches!(reply, Reply::Done(_))));
}

fn record(stand: &mut Stand, raw_is_last: bool) -> ClientRecord {
    assert!(raw_is_last);
    let mut client = stand.fixture.client("statistics");
    let request = Request::Statistics { subject: StatisticsSubject::Clients, first: 0 };
    match stand.fixture.call(&mut client, &request) {
        // The last but this client itself.
        Reply::Statistics(Statistics::Clients(list)) => list.records[list.records.len() - 2],
        other => panic!("{other:?}"),
    }
}

/// Sends as much of `bytes` as the daemon takes from it, and the rest as it answers; all replies, in order.
fn sent_whole(stand: &mut Stand, raw: &mut Raw, bytes: &[u8]) -> Vec<(u64, Reply<'static>)> {
    let mut sent = 0;
    let mut replies = Vec::new();
    while sent < bytes.len() {
        let more = raw.send(&bytes[sent..], []);
        sent += more;
        let answered = stand.replies(raw);
        assert!(more > 0 || !answered.is_empty(), "the daemon neither reads nor answers");
        replies.extend(answered);
    }
    loop {
        let answered = stand.replies(raw);
        if answered.is_empty() {
            return replies;
        }
        replies.extend(answered);
    }
}

/// A sync that waits for a frame, and a flood behind it: what is not answered is not read.
fn waits_and_floods(stand: &mut Stand) {
    let mut raw = stand.greeted();
    raw.send(&encoded(&Request::LayerCreate(layer(1, 0, 0, 8, 8)), 2), []);
    raw.send(&encoded(&Request::Sync { output: 0 }, 3), []);
    assert_eq!(stand.replies(&mut raw).len(), 1, "time stands still, and with it the sync");
    let mut serial = 4;
    loop {
        let pixels = vec![serial as u8; 60_000].into();
        let request = Request::RegionWrite { region: 9, offset: 0, bytes: pixels };
        let bytes = encoded(&request, serial);
        let sent = raw.send(&bytes, []);
        stand.fixture.settle();
        if sent < bytes.len() {
            // The rest of a message that has begun must still go.
            let before = record(stand, true).bytes_received.get();
            assert!(before < 1_000_000, "{before} bytes were read and not answered");
            stand.unharmed();
            assert!(stand.replies(&mut raw).is_empty());
            while !stand.replies(&mut raw).iter().any(|(serial, _)| *serial == 3) {
                assert!(stand.fixture.vblank());
            }
            assert_eq!(sent_whole(stand, &mut raw, &bytes[sent..]).last().unwrap().0, serial);
            break;
        }
        serial += 1;
        assert!(serial < 1000, "the daemon reads without end");
    }
    stand.alive(&mut raw, "after the flood");
}

fn readable(stand: &mut Stand) -> Raw {
    let raw = stand.greeted();
    raw.send(&encoded(&held(1, 65536), 2), []);
    for part in 0..2 {
        let bytes = vec![part as u8 + 1; 32768].into();
        raw.send(&encoded(&Request::RegionWrite { region: 1, offset: part * 32768, bytes }, 3 + part), []);
    }
    stand.fixture.settle();
    raw
}

const READS: u64 = 300;

/// Requests whose replies take 19 MiB.
fn reads() -> Vec<u8> {
    let request = Request::RegionRead { region: 1, offset: 0, length: 65536 };
    (5..5 + READS).flat_map(|serial| encoded(&request, serial)).collect()
}

fn never_reads(stand: &mut Stand) {
    let mut raw = readable(stand);
    let bytes = reads();
    assert_eq!(raw.send(&bytes, []), bytes.len());
    stand.fixture.settle();
    let record = record(stand, true);
    let answered = record.requests.get();
    assert!(answered < 100, "{answered} replies wait for somebody who does not read");
    for _ in 0..5 {
        stand.unharmed();
        stand.fixture.vblank();
    }
    // Now it reads, and all replies come.
    let replies = sent_whole(stand, &mut raw, &[]);
    let serials: Vec<u64> = replies.iter().map(|(serial, _)| *serial).collect();
    assert_eq!(serials, (2..5 + READS).collect::<Vec<_>>());
    for (serial, reply) in &replies[3..] {
        let Reply::Data(bytes) = reply else { panic!("{serial}: {reply:?}") };
        assert!(bytes.len() == 65536 && bytes[32767] == 1 && bytes[32768] == 2, "{serial}");
    }
}

/// Breaks the protocol behind all that it does not read: it is told when it has read, and ends only then.
fn never_reads_and_breaks_the_protocol(stand: &mut Stand) {
    let mut raw = readable(stand);
    let bytes = [reads(), vec![0xff; 50]].concat();
    assert_eq!(raw.send(&bytes, []), bytes.len());
    stand.fixture.settle();
    stand.unharmed();
    let replies = sent_whole(stand, &mut raw, &[]);
    let serials: Vec<u64> = replies.iter().map(|(serial, _)| *serial).collect();
    assert_eq!(serials, (2..5 + READS).chain([0]).collect::<Vec<_>>());
    assert!(raw.closed);
}

fn never_reads_and_dies(stand: &mut Stand) {
    for turns in [0, 1, 5, 40, 200] {
        let raw = readable(stand);
        raw.send(&reads(), []);
        for _ in 0..turns {
            stand.fixture.turn();
        }
        drop(raw);
        stand.unharmed();
    }
}

fn dies_under_way(stand: &mut Stand) {
    const SIDE: u32 = 512;
    let whole = Pixels { x: 0, y: 0, width: SIDE, height: SIDE };
    let image = packed(1, SIDE, SIDE, Format::Xrgb8888);
    let capture = |subject, id| Request::Capture(Capture { subject, id, source: whole, image });
    let requests = [
        Request::Draw(draw(1, image)),
        Request::Fill(fill(1, 7, SIDE, SIDE)),
        Request::Batch(vec![
            Entry::Draw(draw(1, image)),
            Entry::Fill(fill(2, 0x8000_8000, SIDE, SIDE)),
            Entry::Draw(draw(2, image)),
        ]),
        capture(CaptureSubject::Layer, 1),
        capture(CaptureSubject::Output, 0),
        Request::Sync { output: 0 },
    ];
    let memory = Shared::sealed(u64::from(SIDE * SIDE * 4));
    for request in &requests {
        for turns in 0..24 {
            let mut client = stand.fixture.client("dies");
            stand.fixture.region(&mut client, 1, &memory);
            for id in [1, 2] {
                stand.fixture.layer(&mut client, layer(id, 0, 0, SIDE, SIDE));
            }
            client.submit(request);
            for _ in 0..turns {
                stand.fixture.turn();
            }
            drop(client);
            stand.unharmed();
        }
    }
    stand.fixture.rest();
    let screen = stand.fixture.screen(SIDE, SIDE);
    let others = screen.iter().filter(|word| **word != 0xff00_0000).count();
    assert!(others <= 64, "only the witness is still on the screen: {others} pixels");
}

/// Ends in every turn of a conversation that has been sent whole.
fn dies_with_everything(stand: &mut Stand) {
    let memory = Shared::sealed(1024);
    for turns in 0..60 {
        let raw = stand.raw();
        for (bytes, with_descriptor) in every_message() {
            raw.send(&bytes, with_descriptor.then_some(&memory.file));
        }
        for _ in 0..turns {
            stand.fixture.turn();
        }
        drop(raw);
        stand.unharmed();
    }
}
