//! Batches that are not whole, are wrong in one place, or are as costly as can be.

use blitd_protocol::error::ErrorCode;
use blitd_protocol::request::{Entry, Fill, LayerConfigure, Pixels, Request, RequestKind};
use blitd_protocol::value::Operator;

use super::requests::{COLOUR, SIDE, prepared, untouched};
use super::{Scenario, Stand, encoded, message};
use crate::fixture::{fill, layer};

const fn scenario(name: &'static str, play: fn(&mut Stand)) -> Scenario {
    Scenario { name, side: 64, config: "", play }
}

pub(crate) const SCENARIOS: &[Scenario] = &[scenario("batches", batches), scenario("stripes", stripes)];

fn batches(stand: &mut Stand) {
    let mut client = prepared(stand);
    let mut raw = stand.greeted();
    let entry = |kind: u16, body: &[u8]| {
        let mut bytes = kind.to_le_bytes().to_vec();
        bytes.extend([0, 0]);
        bytes.extend((body.len() as u32).to_le_bytes());
        bytes.extend(body);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    };
    let fill_body = &encoded(&Request::Fill(fill(1, 0, 8, 8)), 1)[16..];
    let one = entry(RequestKind::Fill.number(), fill_body);
    let batch = |count: u32, entries: &[u8]| {
        let mut body = count.to_le_bytes().to_vec();
        body.extend([0; 4]);
        body.extend(entries);
        message(RequestKind::Batch.number(), 0, 9, &body)
    };
    for (count, entries) in [(0, &[][..]), (0, &one), (513, &one), (u32::MAX, &one)] {
        raw.send(&batch(count, entries), []);
        stand.refused_alive(&mut raw, 9, ErrorCode::BadValue, &format!("a count of {count}"));
    }
    for kind in RequestKind::ALL {
        if !matches!(kind, RequestKind::Draw | RequestKind::Fill | RequestKind::LayerConfigure) {
            let bad = [one.clone(), entry(kind.number(), &[0; 40])].concat();
            raw.send(&batch(2, &bad), []);
            stand.refused_alive(&mut raw, 9, ErrorCode::BadValue, kind.name());
        }
    }
    raw.send(&batch(2, &[one.clone(), entry(0x7777, &[])].concat()), []);
    stand.refused_alive(&mut raw, 9, ErrorCode::UnknownRequest, "an entry of no known kind");
    let mut dirty = entry(RequestKind::Fill.number(), &fill_body[..31]);
    *dirty.last_mut().unwrap() = 1;
    raw.send(&batch(1, &dirty), []);
    stand.refused_alive(&mut raw, 9, ErrorCode::BadValue, "padding that is not zero");
    let mut long = one.clone();
    for length in [33, 40, 0x7fff_ffff, 0xffff_fff8, u32::MAX] {
        long[4..8].copy_from_slice(&u32::to_le_bytes(length));
        let mut raw = stand.greeted();
        raw.send(&batch(1, &long), []);
        stand.ended(&mut raw, 9, ErrorCode::Malformed, &format!("an entry of {length}"));
    }
    let cases = [
        (2, one.clone(), "fewer entries than counted"),
        (1, [one.clone(), one.clone()].concat(), "more entries than counted"),
        (1, [one.clone(), vec![0]].concat(), "a byte left over"),
        (1, one[..7].to_vec(), "an entry without its header"),
        (1, entry(RequestKind::Fill.number(), &fill_body[..31]), "an entry whose body is short"),
        (1, entry(RequestKind::Fill.number(), &[]), "an entry without a body"),
    ];
    for (count, entries, what) in cases {
        let mut raw = stand.greeted();
        raw.send(&batch(count, &entries), []);
        stand.ended(&mut raw, 9, ErrorCode::Malformed, what);
        stand.unharmed();
    }
    // Wrong in the last entry of as many as there can be.
    let mut entries = vec![Entry::Fill(fill(1, 0, SIDE, SIDE)); 511];
    entries.push(Entry::Fill(fill(4, 0, 1, 1)));
    let refusal = stand.refused(&mut client, &Request::Batch(entries), ErrorCode::UnknownLayer, "the last");
    assert_eq!(refusal.entry, Some(511));
    let configure = LayerConfigure { layer: 1, place: Some((i32::MAX, 0)), ..LayerConfigure::default() };
    let entries = vec![Entry::Fill(fill(1, 0, SIDE, SIDE)), Entry::LayerConfigure(configure)];
    let refusal = stand.refused(&mut client, &Request::Batch(entries), ErrorCode::SizeOverflow, "a place");
    assert_eq!(refusal.entry, Some(1));
    untouched(stand, &mut client);
}

/// As many rectangles as can be made of one batch: stripes across stripes. What it costs to keep account of them must
/// not grow with their number squared, or the daemon stands still.
fn stripes(stand: &mut Stand) {
    const SIDE: u32 = 512;
    let mut client = stand.fixture.client("stripes");
    stand.fixture.layer(&mut client, layer(1, 0, 0, SIDE, SIDE));
    stand.fixture.done(&mut client, &Request::Fill(fill(1, COLOUR, SIDE, SIDE)));
    for (operator, row, column) in [
        (Operator::Source, 0xff00_1100, 0xff00_0022),
        (Operator::Over, 0xff33_0000, 0xff00_4400),
        (Operator::Over, 0x0000_0000, 0x0000_0000),
    ] {
        let stripe = |index: u32| {
            let at = (index % 256 * 2) as i32;
            let (colour, destination) = if index < 256 {
                (row, Pixels { x: 0, y: at, width: SIDE, height: 1 })
            } else {
                (column, Pixels { x: at, y: 0, width: 1, height: SIDE })
            };
            Entry::Fill(Fill { layer: 1, colour, operator, destination })
        };
        let before = stand.picture(&mut client, 1, SIDE, SIDE);
        stand.fixture.done(&mut client, &Request::Batch((0..512).map(stripe).collect()));
        let picture = stand.picture(&mut client, 1, SIDE, SIDE);
        for (index, (word, before)) in (0..).zip(picture.into_iter().zip(before)) {
            let (x, y) = (index % SIDE, index / SIDE);
            let expected = match (x % 2, y % 2) {
                _ if row == 0 => before,
                (0, _) => column,
                (_, 0) => row,
                _ => COLOUR,
            };
            assert_eq!(word, expected, "pixel ({x}, {y})");
        }
        stand.unharmed();
    }
}
