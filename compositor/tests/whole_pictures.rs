//! No frame and no capture ever holds part of a request or of a batch, whatever else is going on.
//!
//! The screen is tiled with layers. Every request paints a whole tile in one colour of its own, and every batch paints
//! two tiles of one client in the same one. So a whole picture has tiles of one colour each, and pairs of equal colour.
//! The test moves the server on by single slices and does something random between any two of them.

mod fixture;

use blitd_client::Serial;
use blitd_protocol::image::Format;
use blitd_protocol::reply::Reply;
use blitd_protocol::request::{Entry, Request};
use blitd_protocol::value::{CaptureSubject, Priority};
use fixture::{Client, Fixture, Random, Shared, capture, draw, fill, layer, packed};

/// A tile takes three slices.
const TILE: (u32, u32) = (448, 384);
/// Tiles across and down; two beside each other belong to one client.
const TILES: (u32, u32) = (4, 2);
const SIZE: (u32, u32) = (TILE.0 * TILES.0, TILE.1 * TILES.1);
const BACKGROUND: u32 = 0xff00_0000;

/// One that draws: two layers side by side, which are only ever painted alike.
struct Painter {
    client: Client,
    memory: Shared,
    place: u32,
    waiting: Option<Serial>,
}

impl Painter {
    fn new(fixture: &mut Fixture, place: u32) -> Self {
        let mut client = fixture.client("painter");
        let memory = Shared::sealed(u64::from(TILE.0 * TILE.1 * 4));
        fixture.region(&mut client, 1, &memory);
        let (x, y) = (place % (TILES.0 / 2) * 2 * TILE.0, place / (TILES.0 / 2) * TILE.1);
        for id in [1, 2] {
            fixture.layer(&mut client, layer(id, (x + (id - 1) * TILE.0) as i32, y as i32, TILE.0, TILE.1));
        }
        fixture.done(&mut client, &both(|id| Entry::Fill(fill(id, BACKGROUND | 1, TILE.0, TILE.1))));
        Self { client, memory, place, waiting: None }
    }

    /// Lends the region anew, if it is back, with a picture of one colour.
    fn go_on(&mut self, random: &mut Random, colour: u32) {
        if let Some(serial) = self.waiting {
            match self.client.poll(serial) {
                None => return,
                Some(reply) => assert!(matches!(reply, Reply::Done(_)), "{reply:?}"),
            }
        }
        self.client.priority = Priority::new(random.below(64) as u8).unwrap();
        let request = if random.below(2) == 0 {
            self.memory.write_words(&vec![colour; (TILE.0 * TILE.1) as usize]);
            both(|id| Entry::Draw(draw(id, packed(1, TILE.0, TILE.1, Format::Xrgb8888))))
        } else {
            both(|id| Entry::Fill(fill(id, colour, TILE.0, TILE.1)))
        };
        self.waiting = Some(self.client.submit(&request));
    }
}

fn both(entry: impl Fn(u32) -> Entry<'static>) -> Request<'static> {
    Request::Batch(vec![entry(1), entry(2)])
}

/// Fails where a tile has two colours, or a pair of tiles two.
fn check_whole(words: &[u32], what: &str) {
    let (width, tile) = (SIZE.0 as usize, (TILE.0 as usize, TILE.1 as usize));
    for (index, rows) in words.chunks(width * tile.1).enumerate() {
        for pair in 0..TILES.0 as usize / 2 {
            let columns = pair * 2 * tile.0..(pair + 1) * 2 * tile.0;
            let colour = rows[columns.start];
            for (y, row) in rows.chunks(width).enumerate() {
                let torn = row[columns.clone()].iter().position(|word| *word != colour);
                assert_eq!(torn, None, "{what}: pair {pair} of row {index} is torn at its line {y}");
            }
        }
    }
}

#[test]
fn under_load_with_clients_killed_at_random_moments() {
    let mut fixture = Fixture::new(SIZE.0, SIZE.1);
    let mut random = Random(4);
    let places = TILES.0 / 2 * TILES.1;
    let mut painters: Vec<Painter> = (0..places).map(|place| Painter::new(&mut fixture, place)).collect();
    let mut viewer = fixture.client("viewer");
    let view = Shared::sealed(u64::from(SIZE.0 * SIZE.1 * 4));
    fixture.region(&mut viewer, 1, &view);
    let mut capturing = None;
    let (mut frames, mut captures, mut deaths, mut seen) =
        (0, 0, 0, fixture.daemon.server().outputs()[0].frames());
    let mut colour = BACKGROUND | 1;
    while frames < 60 || captures < 60 || deaths < 60 {
        for painter in &mut painters {
            if random.below(3) == 0 {
                colour += 1;
                painter.go_on(&mut random, colour);
            }
        }
        match capturing.and_then(|serial| viewer.poll(serial)) {
            None => {}
            Some(reply) => {
                assert!(matches!(reply, Reply::Done(_)), "{reply:?}");
                check_whole(&view.words(), "a capture");
                captures += 1;
                capturing = None;
            }
        }
        if capturing.is_none() {
            viewer.priority = Priority::new(random.below(64) as u8).unwrap();
            capturing = Some(viewer.submit(&capture(CaptureSubject::Output, 0, SIZE.0, SIZE.1)));
        }
        if random.below(40) == 0 {
            // In the middle of whatever is being done for it.
            let index = random.below(painters.len() as u64) as usize;
            let place = painters.swap_remove(index).place;
            fixture.turn();
            painters.push(Painter::new(&mut fixture, place));
            deaths += 1;
        }
        for _ in 0..random.below(8) {
            fixture.turn();
        }
        if random.below(30) == 0 {
            fixture.pass_vblank();
        }
        let now = fixture.daemon.server().outputs()[0].frames();
        if now != seen {
            check_whole(&fixture.glass(0), "a frame");
            (frames, seen) = (frames + 1, now);
        }
    }
    println!("{frames} frames and {captures} captures were whole; {deaths} clients were killed");
}

#[test]
fn a_frame_that_has_begun_shows_what_was_there_then() {
    // A slow frame and, in the middle of it, a small draw over its last rows: the frame still shows the old ones, and
    // the draw does not wait for it.
    let mut fixture = Fixture::new(SIZE.0, SIZE.1);
    let mut client = fixture.client("painter");
    fixture.layer(&mut client, layer(1, 0, 0, SIZE.0, SIZE.1));
    // All memory is touched first: new pages make slices shorter.
    for colour in [3, 4, 5] {
        fixture.done(&mut client, &Request::Fill(fill(1, BACKGROUND | colour, SIZE.0, SIZE.1)));
        fixture.rest();
    }
    let slow = client.submit(&Request::Fill(fill(1, BACKGROUND | 6, SIZE.0, SIZE.1)));
    while client.poll(slow).is_none() {
        fixture.turn();
    }
    fixture.turn();
    // The time has come when the frame begins.
    fixture.pass_vblank();
    let mut small = fill(1, BACKGROUND | 7, SIZE.0, 10);
    small.destination.y = SIZE.1 as i32 - 10;
    let small = client.submit(&Request::Fill(small));
    let mut turns = 0;
    while client.poll(small).is_none() {
        fixture.turn();
        turns += 1;
    }
    // Four slices are the frame's, which is not to miss its vblank.
    assert!(turns <= 6, "the small one took {turns} turns");
    fixture.vblank();
    let first = fixture.glass(0);
    assert!(first.iter().all(|word| *word == BACKGROUND | 6), "the frame is as it was when it began");
    fixture.vblank();
    let second = fixture.glass(0);
    let split = (SIZE.0 * (SIZE.1 - 10)) as usize;
    assert!(second[..split].iter().all(|word| *word == BACKGROUND | 6));
    assert!(second[split..].iter().all(|word| *word == BACKGROUND | 7));
}
