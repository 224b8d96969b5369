//! Any bytes that a client may send: cut into messages, decoded, and said again.
//!
//! The first byte says in how large pieces the rest arrives and how many descriptors come with it.
#![no_main]
#![forbid(unsafe_code)]

use blitd_protocol::framing::Framing;
use blitd_protocol::request::Request;
use blitd_protocol::value::Priority;
use blitd_protocol::wire::Header;
use libfuzzer_sys::fuzz_target;
use std::convert::Infallible;

fuzz_target!(|input: &[u8]| {
    let Some((&how, bytes)) = input.split_first() else { return };
    let piece = 1 << (how & 15);
    let mut framing = Framing::default();
    framing.arrived(0, 0..how >> 4);
    for bytes in bytes.chunks(piece) {
        if receive(&mut framing, bytes).is_none() {
            return;
        }
    }
});

/// Takes in what arrived together, and all messages that are whole then; `None` where the connection ends.
fn receive(framing: &mut Framing<u8>, mut bytes: &[u8]) -> Option<()> {
    while !bytes.is_empty() {
        let space = framing.space();
        let count = space.len().min(bytes.len());
        space[..count].copy_from_slice(&bytes[..count]);
        framing.arrived(count, None);
        bytes = &bytes[count..];
    }
    while let Some(message) = framing.next_message().ok()? {
        match Request::decode(&message.header, message.body) {
            Ok(request) => again(&message.header, &request),
            Err(refusal) if refusal.code.ends_connection() => return None,
            Err(_) => {}
        }
    }
    Some(())
}

/// What was accepted can be encoded, and then means the same.
fn again(header: &Header, request: &Request<'_>) {
    let priority = Priority::new(header.priority).expect("decoding has checked it");
    let mut bytes = Vec::new();
    request.encode(header.serial.get(), priority, &mut bytes).expect("it came in a message");
    let mut framing = Framing::<Infallible>::default();
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let space = framing.space();
        let count = space.len().min(rest.len());
        space[..count].copy_from_slice(&rest[..count]);
        framing.arrived(count, None);
        rest = &rest[count..];
    }
    let message = framing.next_message().expect("it is framed").expect("it is whole");
    assert_eq!(Request::decode(&message.header, message.body).as_ref(), Ok(request));
}
