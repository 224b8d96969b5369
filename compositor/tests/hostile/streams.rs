//! Streams that are no messages, or not those that were due.

use std::fs::File;

use blitd_protocol::error::ErrorCode;
use blitd_protocol::framing::MAX_LENGTH;
use blitd_protocol::reply::Reply;
use blitd_protocol::request::{Hello, RegionCreate, Request, RequestKind};
use blitd_protocol::value::{Access, Memory, Name};

use super::{Scenario, Stand, anything, encoded, every_message, every_request, hello, message, number};
use crate::fixture::Shared;

const fn scenario(name: &'static str, play: fn(&mut Stand)) -> Scenario {
    Scenario { name, side: 64, config: "", play }
}

pub(crate) const SCENARIOS: &[Scenario] = &[
    scenario("lengths_that_cannot_be", lengths_that_cannot_be),
    scenario("bodies_of_the_wrong_size", bodies_of_the_wrong_size),
    scenario("descriptors_too_many", descriptors_too_many),
    scenario("descriptors_too_few", descriptors_too_few),
    scenario("handshakes", handshakes),
    scenario("kinds_that_there_are_not", kinds_that_there_are_not),
    scenario("killed_in_mid_message", killed_in_mid_message),
    scenario("byte_by_byte", byte_by_byte),
    scenario("half_a_message_and_silence", half_a_message_and_silence),
    scenario("half_closed", half_closed),
    scenario("faults_wait_for_their_turn", faults_wait_for_their_turn),
];

fn lengths_that_cannot_be(stand: &mut Stand) {
    for length in [0, 1, 15, MAX_LENGTH as u32 + 1, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
        for greeted in [false, true] {
            let mut raw = if greeted { stand.greeted() } else { stand.raw() };
            let mut bytes = message(number(RequestKind::Outputs), 0, 5, &[0; 8]);
            bytes[..4].copy_from_slice(&length.to_le_bytes());
            raw.send(&bytes, []);
            stand.ended(&mut raw, 0, ErrorCode::Malformed, &format!("length {length}"));
            stand.unharmed();
        }
    }
    // The longest message that there is, of a kind that there is not: read to its end, and the next one after it.
    let mut raw = stand.greeted();
    raw.send(&message(0x7777, 0, 5, &vec![1; MAX_LENGTH - 16]), []);
    stand.refused_alive(&mut raw, 5, ErrorCode::UnknownRequest, "the longest message");
}

fn bodies_of_the_wrong_size(stand: &mut Stand) {
    for request in every_request() {
        let whole = encoded(&request, 9);
        let body = &whole[16..];
        // What follows a fixed part may be of any length.
        let fixed = match request {
            Request::RegionWrite { .. } => 16,
            Request::Draw(_) => 136,
            _ => body.len(),
        };
        let mut bodies = vec![Vec::new(), body[..1].to_vec(), body[..fixed - 1].to_vec()];
        if fixed == body.len() && !matches!(request, Request::Draw(_)) {
            bodies.push([body, &[0]].concat());
            bodies.push([body, &[0; 8]].concat());
            bodies.push([body, &[0; 4096]].concat());
        }
        for body in bodies {
            let mut raw = stand.greeted();
            let descriptors = request.descriptors();
            let files: Vec<File> = (0..descriptors).map(|_| anything()).collect();
            let bytes = message(number(request.kind()), descriptors, 9, &body);
            raw.send(&bytes, &files);
            let what = format!("{} with a body of {}", request.kind(), body.len());
            stand.ended(&mut raw, 9, ErrorCode::Malformed, &what);
            stand.unharmed();
        }
    }
    // More than a message carries, in a message that is not too long.
    for (kind, fixed) in [(RequestKind::RegionWrite, 16), (RequestKind::Draw, 136)] {
        let mut raw = stand.greeted();
        raw.send(&message(number(kind), 0, 9, &vec![0; fixed + 65537]), []);
        stand.ended(&mut raw, 9, ErrorCode::Malformed, "65537 bytes carried");
        stand.unharmed();
    }
}

fn descriptors_too_many(stand: &mut Stand) {
    let memory = Shared::sealed(4096);
    let outputs = encoded(&Request::Outputs { first: 0 }, 9);
    let stated = |count| {
        let mut create = encoded(&Request::RegionCreate(region()), 9);
        create[6] = count;
        create
    };
    // How many are stated, how many are sent, and whether the framing sees it, which cannot tell whose they are.
    let cases = [
        (outputs.clone(), 1, 0),
        (outputs.clone(), 4, 0),
        (outputs.clone(), 253, 0),
        (stated(1), 2, 0),
        (stated(2), 2, 9),
        (stated(4), 4, 9),
        (stated(5), 5, 0),
        (stated(255), 253, 0),
    ];
    for (bytes, sent, serial) in cases {
        let mut raw = stand.greeted();
        raw.send(&bytes, vec![&memory.file; sent]);
        stand.ended(&mut raw, serial, ErrorCode::DescriptorCount, &format!("{sent} sent"));
        stand.unharmed();
    }
    // One that comes with the middle of a message, and one that comes with the first bytes of its header.
    for cut in [1, 7, 8, 15, 20] {
        let mut raw = stand.greeted();
        raw.send(&outputs[..cut], []);
        stand.fixture.settle();
        raw.send(&outputs[cut..], [&memory.file]);
        stand.ended(&mut raw, 0, ErrorCode::DescriptorCount, &format!("late by {cut}"));
        let mut raw = stand.greeted();
        raw.send(&outputs[..cut], [&memory.file]);
        stand.fixture.settle();
        raw.send(&outputs[cut..], []);
        stand.ended(&mut raw, 0, ErrorCode::DescriptorCount, &format!("with the first {cut} bytes"));
        stand.unharmed();
    }
    // A request that takes none states some, and sends them.
    for request in every_request().iter().filter(|request| request.descriptors() == 0) {
        let mut raw = stand.greeted();
        let mut bytes = encoded(request, 9);
        bytes[6] = 1;
        raw.send(&bytes, [&memory.file]);
        stand.ended(&mut raw, 9, ErrorCode::DescriptorCount, request.kind().name());
        stand.unharmed();
    }
}

fn region() -> RegionCreate {
    RegionCreate { region: 1, memory: Memory::Memfd, access: Access::Read, size: 4096 }
}

fn descriptors_too_few(stand: &mut Stand) {
    let memory = Shared::sealed(4096);
    for (stated, sent, serial) in [(1, 0, 0), (4, 3, 0), (255, 0, 0), (0, 0, 9)] {
        let mut raw = stand.greeted();
        let mut bytes = encoded(&Request::RegionCreate(region()), 9);
        bytes[6] = stated;
        raw.send(&bytes, vec![&memory.file; sent]);
        stand.ended(&mut raw, serial, ErrorCode::DescriptorCount, &format!("{stated} stated, {sent} sent"));
        stand.unharmed();
    }
    // A hello may come without the one that it states, and must state it.
    let mut raw = stand.raw();
    let mut bytes = hello();
    bytes[6] = 0;
    raw.send(&bytes, []);
    stand.ended(&mut raw, 1, ErrorCode::DescriptorCount, "a hello that states none");
    // One that was let in without cannot share memory.
    let mut raw = stand.raw();
    raw.send(&hello(), []);
    assert!(matches!(stand.replies(&mut raw)[..], [(1, Reply::Welcome(_))]));
    raw.send(&encoded(&Request::RegionCreate(region()), 9), []);
    stand.ended(&mut raw, 0, ErrorCode::DescriptorCount, "shared memory without a descriptor");
}

fn handshakes(stand: &mut Stand) {
    let of =
        |oldest, newest| encoded(&Request::Hello(Hello { oldest, newest, name: Name::new("versions") }), 1);
    let changed = |at: usize, byte: u8| {
        let mut bytes = hello();
        bytes[at] = byte;
        bytes
    };
    let cases = [
        (of(0, 0), ErrorCode::VersionUnsupported, "a version too old"),
        (of(2, 9), ErrorCode::VersionUnsupported, "a version too new"),
        (of(9, 0), ErrorCode::VersionUnsupported, "versions the wrong way round"),
        (changed(16, b'B'), ErrorCode::HelloExpected, "another magic"),
        (changed(24, 0xff), ErrorCode::BadValue, "a name that is no UTF-8"),
        (changed(55, b'x'), ErrorCode::BadValue, "a name with a zero in it"),
        (changed(7, 64), ErrorCode::BadValue, "a priority that there is not"),
        (message(1, 1, 1, &[0; 39]), ErrorCode::Malformed, "a hello too short"),
        (message(1, 1, 1, &[0; 41]), ErrorCode::Malformed, "a hello too long"),
    ];
    for (bytes, code, what) in cases {
        for with_descriptor in [false, true] {
            let mut raw = stand.raw();
            let file = anything();
            raw.send(&bytes, with_descriptor.then_some(&file));
            stand.ended(&mut raw, 1, code, what);
            stand.unharmed();
        }
    }
    let mut raw = stand.raw();
    raw.send(&of(0, 9), [&anything()]);
    match &stand.replies(&mut raw)[..] {
        [(1, Reply::Welcome(welcome))] => assert_eq!(welcome.version, 1),
        other => panic!("{other:?}"),
    }
    for request in every_request() {
        let mut raw = stand.raw();
        let file = anything();
        let files = (request.descriptors() > 0).then_some(&file);
        raw.send(&encoded(&request, 9), files);
        stand.ended(&mut raw, 9, ErrorCode::HelloExpected, request.kind().name());
    }
    let mut raw = stand.raw();
    raw.send(&message(0x7777, 0, 9, &[]), []);
    stand.ended(&mut raw, 9, ErrorCode::HelloExpected, "a first request of no known kind");
    // Behind a hello that is refused, nothing is carried out.
    let mut raw = stand.raw();
    raw.send(&of(7, 7), [&anything()]);
    raw.send(&encoded(&Request::Outputs { first: 0 }, 2), []);
    stand.ended(&mut raw, 1, ErrorCode::VersionUnsupported, "requests behind a refused hello");
    for again in [hello(), changed(16, b'B'), of(4, 4), changed(24, 0xff)] {
        let mut raw = stand.greeted();
        raw.send(&again, [&anything()]);
        stand.ended(&mut raw, 1, ErrorCode::HelloExpected, "a second hello");
        stand.unharmed();
    }
}

fn kinds_that_there_are_not(stand: &mut Stand) {
    let mut raw = stand.greeted();
    let unknown = [0, 2, 0x0f, 0x14, 0x24, 0x36, 0x42, 0xff, 0x7fff, 0x8001, 0x80ff, 0xc001, 0xffff];
    for kind in unknown {
        for body in [&[][..], &[0; 8], &[0xff; 1000]] {
            raw.send(&message(kind, 0, 9, body), []);
            stand.refused_alive(&mut raw, 9, ErrorCode::UnknownRequest, &format!("kind {kind:#x}"));
        }
        raw.send(&message(kind, 4, 9, &[1]), &[anything(), anything(), anything(), anything()]);
        stand.refused_alive(&mut raw, 9, ErrorCode::UnknownRequest, "with descriptors");
    }
    let kind = RequestKind::Present;
    for body in [&[][..], &[0xff; 100]] {
        raw.send(&message(number(kind), 0, 9, body), []);
        stand.refused_alive(&mut raw, 9, ErrorCode::NotSupported, kind.name());
    }
    stand.unharmed();
}

/// Ends a connection after every number of bytes of a conversation, at once or when they have been read.
fn killed_in_mid_message(stand: &mut Stand) {
    let memory = Shared::sealed(1024);
    let messages = every_message();
    let total: usize = messages.iter().map(|(bytes, _)| bytes.len()).sum();
    // Near the borders of messages every byte, else every seventh.
    let mut borders = Vec::new();
    for (bytes, _) in &messages {
        borders.push(borders.last().unwrap_or(&0) + bytes.len());
    }
    let near = |cut: usize| borders.iter().any(|border| cut.abs_diff(*border) < 20);
    for cut in (1..total).filter(|cut| near(*cut) || cut % 7 == 0) {
        let raw = stand.raw();
        let mut left = cut;
        for (bytes, with_descriptor) in &messages {
            let part = &bytes[..left.min(bytes.len())];
            if part.is_empty() {
                break;
            }
            raw.send(part, with_descriptor.then_some(&memory.file));
            left -= part.len();
        }
        for _ in 0..cut % 5 {
            stand.fixture.turn();
        }
        drop(raw);
        stand.unharmed();
    }
}

fn byte_by_byte(stand: &mut Stand) {
    let memory = Shared::sealed(1024);
    let mut raw = stand.raw();
    let messages = every_message();
    let mut answered = Vec::new();
    for (bytes, with_descriptor) in &messages {
        for (index, byte) in bytes.iter().enumerate() {
            let with_descriptor = index == 0 && *with_descriptor;
            raw.send(&[*byte], with_descriptor.then_some(&memory.file));
            stand.fixture.turn();
        }
        stand.unharmed();
        answered.extend(stand.replies(&mut raw));
    }
    stand.fixture.rest();
    answered.extend(stand.replies(&mut raw));
    let serials: Vec<u64> = answered.iter().map(|(serial, _)| *serial).collect();
    assert_eq!(serials, (1..=messages.len() as u64).collect::<Vec<_>>());
    let refused = answered.iter().find(|(_, reply)| matches!(reply, Reply::Refused(_)));
    assert!(refused.is_none(), "{refused:?}");
}

fn half_a_message_and_silence(stand: &mut Stand) {
    let memory = Shared::sealed(4096);
    let create = encoded(&Request::RegionCreate(region()), 2);
    let mut silent = Vec::new();
    for cut in [1, 8, 16, 20, create.len() - 1] {
        let raw = stand.greeted();
        raw.send(&create[..cut], [&memory.file]);
        silent.push((raw, cut));
    }
    for _ in 0..20 {
        stand.unharmed();
        stand.fixture.vblank();
    }
    for (mut raw, cut) in silent {
        assert!(stand.replies(&mut raw).is_empty());
        raw.send(&create[cut..], []);
        let replies = stand.replies(&mut raw);
        assert!(matches!(replies[..], [(2, Reply::Done(_))]), "{replies:?}");
    }
}

/// Requests that were sent and whose replies nobody waits for.
fn half_closed(stand: &mut Stand) {
    for how in [std::net::Shutdown::Write, std::net::Shutdown::Read, std::net::Shutdown::Both] {
        for turns in 0..6 {
            let raw = stand.greeted();
            for serial in 0..20 {
                raw.send(&encoded(&Request::Outputs { first: 0 }, 2 + serial), []);
            }
            for _ in 0..turns {
                stand.fixture.turn();
            }
            raw.socket().shutdown(how).unwrap();
            stand.unharmed();
        }
    }
}

/// What was asked before a fault is answered before it, though it takes frames; what comes after it is not read.
fn faults_wait_for_their_turn(stand: &mut Stand) {
    let memory = Shared::sealed(1024);
    let messages = every_message();
    let last = messages.len() as u64;
    for (fault, serial, code) in [
        (message(number(RequestKind::Sync), 0, 99, &[0; 7]), 99, ErrorCode::Malformed),
        (vec![3; 100], 0, ErrorCode::Malformed),
        (message(number(RequestKind::Sync), 1, 99, &[0; 8]), 0, ErrorCode::DescriptorCount),
        (hello(), 0, ErrorCode::DescriptorCount),
    ] {
        let mut raw = stand.raw();
        for (bytes, with_descriptor) in &messages {
            raw.send(bytes, with_descriptor.then_some(&memory.file));
        }
        raw.send(&fault, []);
        raw.send(&encoded(&Request::Outputs { first: 0 }, 100), []);
        let before = stand.replies(&mut raw);
        assert!(!raw.closed && before.len() < messages.len(), "time stands still, and with it the sync");
        stand.unharmed();
        stand.fixture.rest();
        let mut after = stand.replies(&mut raw);
        assert!(raw.closed);
        let refusal = after.pop();
        assert!(
            matches!(&refusal, Some((answered, Reply::Refused(refusal)))
                if *answered == serial && refusal.code == code),
            "{refusal:?}"
        );
        let serials: Vec<u64> = before.iter().chain(&after).map(|(serial, _)| *serial).collect();
        assert_eq!(serials, (1..=last).collect::<Vec<_>>());
    }
}
