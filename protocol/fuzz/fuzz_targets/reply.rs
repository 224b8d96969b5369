//! Any bytes that a client may be sent: cut into messages, decoded, and said again.
#![no_main]
#![forbid(unsafe_code)]

use blitd_protocol::framing::{Framing, HEADER_LENGTH};
use blitd_protocol::reply::Reply;
use libfuzzer_sys::fuzz_target;
use std::convert::Infallible;

fuzz_target!(|bytes: &[u8]| {
    let mut framing = Framing::<Infallible>::default();
    let mut rest = bytes;
    while !rest.is_empty() {
        let space = framing.space();
        let count = space.len().min(rest.len());
        space[..count].copy_from_slice(&rest[..count]);
        framing.arrived(count, None);
        rest = &rest[count..];
    }
    while let Ok(Some(message)) = framing.next_message() {
        let Ok(reply) = Reply::decode(&message.header, message.body) else { continue };
        let mut again = Vec::new();
        reply.encode(message.header.serial.get(), &mut again);
        assert_eq!(Reply::decode(&message.header, &again[HEADER_LENGTH..]).as_ref(), Ok(&reply));
    }
});
