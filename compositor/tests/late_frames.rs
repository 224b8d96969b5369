//! Frames are composed as late as is safe: what is drawn shortly before a vblank comes with it, what is drawn too late
//! with the next, and `sync` says which. Told by the vblanks' numbers and counted in turns of the loop; time is stepped.

mod fixture;

use blitd_client::Serial;
use blitd_protocol::image::Format;
use blitd_protocol::reply::{Reply, Shown};
use blitd_protocol::request::{Entry, LayerConfigure, LayerCreate, Request};
use blitd_protocol::value::Priority;
use fixture::{Client, Fixture, PERIOD, START, fill, layer};

const SIZE: (u32, u32) = (1920, 1080);

const MS: u64 = 1_000_000;

/// A client whose layer covers a screen of 1920x1080, on a server that has composed some pictures of it.
fn painter() -> (Fixture, Client) {
    let mut fixture = Fixture::new(SIZE.0, SIZE.1);
    let mut client = fixture.client("painter");
    fixture.layer(&mut client, layer(1, 0, 0, SIZE.0, SIZE.1));
    // As long as nothing has been measured, composing is expected to take longer than it does.
    for colour in 0..20 {
        paint(&mut fixture, &mut client, colour);
        fixture.rest();
    }
    (fixture, client)
}

fn paint(fixture: &mut Fixture, client: &mut Client, colour: u32) {
    fixture.done(client, &Request::Fill(fill(1, 0xff00_0000 | colour, SIZE.0, SIZE.1)));
}

/// The number and the time of the vblank that is next.
fn next_vblank(fixture: &Fixture) -> (u64, u64) {
    let sequence = (fixture.now() - START) / PERIOD + 1;
    (sequence, START + sequence * PERIOD)
}

fn sync(client: &mut Client) -> Serial {
    client.submit(&Request::Sync { output: 0 })
}

/// The answer to a sync, which is there.
fn shown(client: &mut Client, serial: Serial) -> Shown {
    match client.poll(serial) {
        Some(Reply::Shown(shown)) => shown,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_drawn_two_milliseconds_before_the_vblank_comes_with_it() {
    let (mut fixture, mut client) = painter();
    for round in 0..10 {
        let (sequence, time) = next_vblank(&fixture);
        // Something before, of which a frame could have been made at once, and in some rounds more than once.
        for early in 0..round % 4 {
            fixture.set_time(time - (12 - u64::from(early) * 3) * MS);
            fixture.done(&mut client, &Request::Fill(fill(1, 0xff00_1000 + early, 10, 10)));
        }
        fixture.set_time(time - 2 * MS);
        paint(&mut fixture, &mut client, 0x55_0000 + round);
        let serial = sync(&mut client);
        assert!(fixture.vblank());
        let shown = shown(&mut client, serial);
        assert_eq!((shown.sequence, shown.time), (sequence, time), "round {round}");
        assert!(fixture.glass(0).iter().all(|word| *word == 0xff55_0000 + round));
        assert!(!fixture.vblank(), "nothing has changed, and nothing wakes");
    }
}

/// A program need not wait for its draw's reply before it asks when it is shown. Whoever else is there or not, nobody but
/// the daemon itself wakes the daemon then.
#[test]
fn what_is_drawn_and_synced_at_once_is_shown_without_anybody_else() {
    let (mut fixture, mut client) = painter();
    // Who might draw as well: without anybody, the frame would begin at once.
    let _other = fixture.client("other");
    fixture.rest();
    for size in [(10, 10), (100, 100)] {
        let (sequence, time) = next_vblank(&fixture);
        let drawn = client.submit(&Request::Fill(fill(1, 0xff12_3456, size.0, size.1)));
        let synced = sync(&mut client);
        // A turn is all that the kernel wakes it for; with the next one it sleeps.
        assert!(fixture.turn());
        assert!(matches!(client.poll(drawn), Some(Reply::Done(_))));
        let wakes = fixture.daemon.wakes_at().expect("it would sleep for ever");
        assert!((fixture.now()..time).contains(&wakes), "{wakes} is not before {time}");
        assert!(fixture.vblank());
        assert_eq!(shown(&mut client, synced).sequence, sequence);
    }
}

/// There is nothing to wait for where everybody waits for the frame.
#[test]
fn a_frame_that_all_wait_for_begins_at_once() {
    let (mut fixture, mut client) = painter();
    let mut other = fixture.client("other");
    fixture.layer(&mut other, layer(1, 0, 0, 100, 100));
    fixture.rest();
    let mut draw = |fixture: &mut Fixture, is_other_waiting: bool| {
        let (sequence, time) = next_vblank(fixture);
        let waiting = is_other_waiting.then(|| {
            fixture.done(&mut other, &Request::Fill(fill(1, 0xff00_0055, 100, 100)));
            sync(&mut other)
        });
        paint(fixture, &mut client, 0x77);
        let serial = sync(&mut client);
        fixture.settle();
        let woken = fixture.daemon.wakes_at().unwrap();
        assert!(fixture.vblank());
        for (client, serial) in [(&mut client, Some(serial)), (&mut other, waiting)] {
            let Some(serial) = serial else { continue };
            assert_eq!(shown(client, serial).sequence, sequence);
        }
        (woken, time)
    };
    let (woken, time) = draw(&mut fixture, false);
    assert!(woken < time, "it begins late: somebody may still draw");
    let (woken, time) = draw(&mut fixture, true);
    assert_eq!(woken, time, "it is composed, and only waits for its vblank");
    drop(other);
    fixture.settle();
    let (sequence, time) = next_vblank(&fixture);
    paint(&mut fixture, &mut client, 0x78);
    let serial = sync(&mut client);
    fixture.settle();
    assert_eq!(fixture.daemon.wakes_at(), Some(time), "who is alone is everybody");
    assert!(fixture.vblank());
    assert_eq!(shown(&mut client, serial).sequence, sequence);
}

#[test]
fn what_is_drawn_too_late_comes_with_the_next_and_keeps_nothing_back() {
    let (mut fixture, mut client) = painter();
    let mut late = fixture.client("late");
    fixture.layer(&mut late, layer(1, 0, 0, 100, 100));
    fixture.rest();
    for round in 0..5 {
        let (sequence, time) = next_vblank(&fixture);
        fixture.set_time(time - 5 * MS);
        paint(&mut fixture, &mut client, round);
        let before = sync(&mut client);
        assert!(fixture.begin_frame());
        fixture.done(&mut late, &Request::Fill(fill(1, 0xffff_ff00 + round, 100, 100)));
        let after = sync(&mut late);
        assert!(fixture.vblank());
        assert_eq!(shown(&mut client, before).sequence, sequence);
        let earlier = if round == 0 { 0xff00_0000 } else { 0xffff_ff00 + round - 1 };
        assert_eq!(fixture.glass(0)[0], earlier, "it is as it was when it began");
        assert!(fixture.vblank());
        assert_eq!(shown(&mut late, after).sequence, sequence + 1);
        assert_eq!(fixture.glass(0)[0], 0xffff_ff00 + round);
    }
}

/// What is shown anew may blend with all that is stale already.
#[test]
fn a_frame_that_becomes_dearer_begins_earlier() {
    // Of which little has been measured: by stepped time, composing takes none.
    let mut fixture = Fixture::new(SIZE.0, SIZE.1);
    let mut client = fixture.client("painter");
    fixture.layer(&mut client, layer(1, 0, 0, SIZE.0, SIZE.1));
    for id in 2..4 {
        let create = LayerCreate {
            fourcc: Format::Argb8888.fourcc(),
            visible: false,
            ..layer(id, 0, 0, SIZE.0, SIZE.1)
        };
        fixture.layer(&mut client, create);
    }
    fixture.rest();
    paint(&mut fixture, &mut client, 99);
    fixture.turn();
    let before = fixture.daemon.wakes_at().unwrap();
    let show = |layer| LayerConfigure { layer, visible: Some(true), ..LayerConfigure::default() };
    fixture.done(&mut client, &Request::Batch((2..4).map(show).map(Entry::LayerConfigure).collect()));
    fixture.turn();
    let after = fixture.daemon.wakes_at().unwrap();
    assert!(after + MS < before, "{after} and {before}");
}

#[test]
fn a_frame_gets_its_slices_in_a_flood() {
    let (mut fixture, mut client) = painter();
    let mut flood = fixture.client("flood");
    fixture.layer(&mut flood, layer(1, 0, 0, SIZE.0, SIZE.1));
    fixture.rest();
    // The same frame with nobody else there.
    paint(&mut fixture, &mut client, 1);
    assert!(fixture.begin_frame());
    let alone = turns_of_frame(&mut fixture);
    fixture.rest();

    paint(&mut fixture, &mut client, 2);
    fixture.settle();
    let serials: Vec<Serial> =
        (0..100).map(|colour| flood.submit(&Request::Fill(fill(1, colour, SIZE.0, SIZE.1)))).collect();
    // The time has come when the frame begins.
    fixture.pass_vblank();
    let flooded = turns_of_frame(&mut fixture);
    assert!(flood.poll(serials[99]).is_none(), "the flood has gone on all the while");
    assert!(alone > 8, "a frame of many slices: {alone}");
    assert!(flooded <= alone * 5 / 4 + 2, "{alone} turns alone, {flooded} in the flood");
}

/// Turns until the frame that is being composed waits for its vblank.
fn turns_of_frame(fixture: &mut Fixture) -> usize {
    let is_composing = |fixture: &mut Fixture| !fixture.daemon.server().outputs()[0].composing().is_empty();
    assert!(is_composing(fixture));
    let mut turns = 0;
    while is_composing(fixture) {
        fixture.turn();
        turns += 1;
    }
    turns
}

#[test]
fn what_is_urgent_waits_for_no_frame() {
    let (mut fixture, mut client) = painter();
    let mut urgent = fixture.client("urgent");
    urgent.priority = Priority::new(20).unwrap();
    fixture.layer(&mut urgent, layer(1, 0, 0, 100, 100));
    fixture.rest();
    paint(&mut fixture, &mut client, 1);
    assert!(fixture.begin_frame());
    for colour in 0..3 {
        let serial = urgent.submit(&Request::Fill(fill(1, colour, 100, 100)));
        fixture.turn();
        assert!(urgent.poll(serial).is_some(), "the next slice is its");
        fixture.turn();
    }
    assert!(!fixture.daemon.server().outputs()[0].composing().is_empty());
}
