//! Garbage, and conversations with something wrong somewhere. The same every time.

use blitd_protocol::reply::Reply;

use super::{Scenario, Stand, every_message, hello, message};
use crate::fixture::{Random, Shared};

/// Whatever sizes come out of it, no more memory than this is asked of the machine.
const CONFIG: &str = "[limits]\nbytes = 4000000";

const fn scenario(name: &'static str, play: fn(&mut Stand)) -> Scenario {
    Scenario { name, side: 64, config: CONFIG, play }
}

pub(crate) const SCENARIOS: &[Scenario] = &[scenario("garbage", garbage), scenario("mutations", mutations)];

/// Streams or conversations.
const ROUNDS: u64 = 3000;

/// Numbers at the edges of what fields take.
const EDGES: [u32; 14] =
    [0, 1, 2, 3, 255, 256, 0x7fff, 0x8000, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, u32::MAX];

fn garbage(stand: &mut Stand) {
    let memory = Shared::sealed(4096);
    for seed in 0..ROUNDS {
        let mut random = Random(seed);
        let mut raw = stand.raw();
        let is_greeted = seed % 3 > 0;
        if is_greeted {
            raw.send(&hello(), [&memory.file]);
        }
        for _ in 0..=random.below(4) {
            let mut bytes: Vec<u8> = (0..=random.below(600)).map(|_| random.next() as u8).collect();
            if seed % 3 == 2 {
                // What looks like a message, of a kind that there may be.
                let kind = random.below(0x48) as u16;
                bytes = message(kind, random.below(3) as u8, random.next(), &bytes);
            }
            let files = vec![&memory.file; random.below(6).saturating_sub(2) as usize];
            raw.send(&bytes, files);
            if random.below(2) == 0 {
                stand.fixture.turn();
            }
        }
        check(stand, &mut raw, seed);
    }
}

fn mutations(stand: &mut Stand) {
    let memory = Shared::sealed(1024);
    let valid = every_message();
    let mut done = 0;
    for seed in 0..ROUNDS {
        let mut random = Random(seed);
        let mut messages: Vec<(Vec<u8>, usize)> =
            valid.iter().map(|(bytes, with)| (bytes.clone(), usize::from(*with))).collect();
        for _ in 0..=random.below(3) {
            mutate(&mut messages, &mut random);
        }
        let mut raw = stand.raw();
        for (bytes, descriptors) in &messages {
            raw.send(bytes, vec![&memory.file; *descriptors]);
            if random.below(4) == 0 {
                stand.fixture.turn();
            }
        }
        if random.below(4) == 0 {
            stand.fixture.rest();
        }
        done += check(stand, &mut raw, seed);
    }
    // Most of every conversation is right: if little of it is carried out, this tests little.
    assert!(done > ROUNDS * 4, "{done} requests were done");
}

fn mutate(messages: &mut Vec<(Vec<u8>, usize)>, random: &mut Random) {
    let index = random.below(messages.len() as u64) as usize;
    let other = random.below(messages.len() as u64) as usize;
    let (bytes, descriptors) = &mut messages[index];
    let at = random.below(bytes.len().max(1) as u64) as usize;
    match random.below(12) {
        0 => *descriptors = random.below(4) as usize,
        1 => bytes.truncate(at),
        2 => bytes.insert(at, random.next() as u8),
        3 => messages.swap(index, other),
        4 => drop(messages.remove(index)),
        5 => {
            let again = messages[index].clone();
            messages.insert(other, again);
        }
        6 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
        7 if !bytes.is_empty() => bytes[at] = random.next() as u8,
        // A field of 4 bytes, most often in the body.
        _ if bytes.len() >= 20 => {
            let at = (16 + random.below(bytes.len() as u64 - 16) as usize / 4 * 4).min(bytes.len() - 4);
            let value = EDGES[random.below(EDGES.len() as u64) as usize];
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        _ => {}
    }
    if messages.is_empty() {
        messages.push((hello(), 1));
    }
}

/// How many requests were done. Replies have been decoded already; an ending has been told, and nothing follows it.
fn check(stand: &mut Stand, raw: &mut super::Raw, seed: u64) -> u64 {
    let replies = stand.replies(raw);
    for (index, (_, reply)) in replies.iter().enumerate() {
        if let Reply::Refused(refusal) = reply
            && refusal.code.ends_connection()
        {
            assert!(raw.closed && index + 1 == replies.len(), "seed {seed}: {refusal}");
        }
    }
    if raw.closed {
        let told = matches!(replies.last(), Some((_, Reply::Refused(_))));
        assert!(told, "seed {seed}: the connection was ended without a word");
    }
    stand.unharmed();
    replies.iter().filter(|(_, reply)| !matches!(reply, Reply::Refused(_))).count() as u64
}
