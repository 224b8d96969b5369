//! What one client asks for keeps another waiting for no longer than a slice, or a quantum; and what a client leaves
//! lying costs the daemon little. Counted in turns of the loop and in slices, never in time.

mod fixture;

use blitd::queue::QUANTUM;
use blitd_client::Serial;
use blitd_protocol::image::Format;
use blitd_protocol::reply::{Reply, Statistics};
use blitd_protocol::request::{Entry, LayerConfigure, RegionCreate, Request};
use blitd_protocol::value::{Access, CaptureSubject, Memory, Path, Priority, StatisticsSubject};
use fixture::{Client, Fixture, Shared, capture, fill, layer};

/// How many turns of the loop pass until a reply is there.
fn turns_until(fixture: &mut Fixture, client: &mut Client, serial: Serial, most: u32) -> u32 {
    for turns in 1..=most {
        fixture.turn();
        if client.poll(serial).is_some() {
            return turns;
        }
    }
    panic!("no reply after {most} turns");
}

/// A client with a small layer of its own, that asks at a priority.
fn asker(fixture: &mut Fixture, priority: u8) -> Client {
    let mut client = fixture.client("asker");
    fixture.layer(&mut client, layer(1, 0, 0, 8, 8));
    fixture.rest();
    client.priority = Priority::new(priority).unwrap();
    client
}

#[test]
fn a_pile_of_translucent_layers_is_composed_in_more_slices() {
    const DEEP: u32 = 60;
    let mut fixture = Fixture::new(256, 256);
    let mut other = asker(&mut fixture, 63);
    let mut client = fixture.client("deep");
    for id in 1..=DEEP {
        let mut translucent = layer(id, 0, 0, 256, 256);
        translucent.fourcc = Format::Argb8888.fourcc();
        fixture.layer(&mut client, translucent);
    }
    fixture.rest();
    let memory = Shared::sealed(256 * 256 * 4);
    fixture.region(&mut client, 1, &memory);
    let receipt = fixture.done(&mut client, &capture(CaptureSubject::Output, 0, 256, 256));
    assert!(receipt.slices >= DEEP, "{DEEP} layers of one slice each took {} slices", receipt.slices);
    let slow = client.submit(&capture(CaptureSubject::Output, 0, 256, 256));
    fixture.turn();
    fixture.turn();
    assert!(client.poll(slow).is_none());
    let urgent = other.submit(&Request::Fill(fill(1, 1, 8, 8)));
    let turns = turns_until(&mut fixture, &mut other, urgent, 10);
    assert!(turns <= 4, "an urgent fill waited {turns} turns for a deep capture");
    assert!(client.poll(slow).is_none(), "the capture was still under way");
}

#[test]
fn a_huge_batch_lets_equals_through_after_a_quantum() {
    let mut fixture = Fixture::new(64, 64);
    let mut other = asker(&mut fixture, 10);
    let mut client = fixture.client("huge");
    fixture.layer(&mut client, layer(1, 100, 0, 2000, 2000));
    let entries = vec![Entry::Fill(fill(1, 7, 2000, 2000)); 512];
    let huge = client.submit(&Request::Batch(entries));
    fixture.turn();
    let equal = other.submit(&Request::Fill(fill(1, 1, 8, 8)));
    let turns = turns_until(&mut fixture, &mut other, equal, 4 * QUANTUM);
    assert!((QUANTUM / 2..=QUANTUM + 20).contains(&turns), "{turns} turns");
    other.priority = Priority::new(11).unwrap();
    let urgent = other.submit(&Request::Fill(fill(1, 1, 8, 8)));
    let turns = turns_until(&mut fixture, &mut other, urgent, 10);
    assert!(turns <= 4, "what is more urgent waited {turns} turns");
    assert!(client.poll(huge).is_none());
}

#[test]
fn tiny_operations_count_for_something() {
    let mut fixture = Fixture::new(64, 64);
    let _other = fixture.client("other");
    let mut client = fixture.client("tiny");
    fixture.layer(&mut client, layer(1, 0, 0, 100, 100));
    let dot = |index: i32| {
        let mut dot = fill(1, 5, 1, 1);
        (dot.destination.x, dot.destination.y) = (index % 50 * 2, index / 50 * 2);
        Entry::Fill(dot)
    };
    let slices = |fixture: &mut Fixture, client: &mut Client, count| {
        fixture.done(client, &Request::Batch((0..count).map(dot).collect())).slices
    };
    // Once for each of the layer's storages, which are new.
    let _ = [512, 512].map(|count| slices(&mut fixture, &mut client, count));
    let (few, many) = (slices(&mut fixture, &mut client, 32), slices(&mut fixture, &mut client, 512));
    // To look at them takes a slice, and to carry them out 8, of 64 each.
    assert!(few <= 2 && many >= 9, "32 fills of one pixel took {few} slices, 512 took {many}");
}

#[test]
fn new_memory_is_touched_in_shorter_slices() {
    let mut fixture = Fixture::new(64, 64);
    let _other = fixture.client("other");
    let mut client = fixture.client("new");
    fixture.layer(&mut client, layer(1, 0, 0, 1024, 1024));
    let slices = |fixture: &mut Fixture, client: &mut Client| {
        fixture.done(client, &Request::Fill(fill(1, 5, 1024, 1024))).slices
    };
    let [first, second, third] = [(); 3].map(|()| slices(&mut fixture, &mut client));
    // The spare storage is new, then what was in front, and then none.
    assert!(first > 150 && second > 150 && third < 20, "{first}, {second} and {third} slices");
}

#[test]
fn who_is_alone_is_not_sliced_for_nobody() {
    let mut fixture = Fixture::new(64, 64);
    let mut client = fixture.client("alone");
    fixture.layer(&mut client, layer(1, 0, 0, 1024, 1024));
    fixture.rest();
    let (small, large) = (Request::Fill(fill(1, 5, 300, 300)), Request::Fill(fill(1, 7, 1024, 1024)));
    for _ in 0..3 {
        fixture.done(&mut client, &large);
    }
    let ask = |fixture: &mut Fixture, client: &mut Client| {
        [&small, &large].map(|request| fixture.done(client, request)).map(|done| (done.path, done.slices))
    };
    let alone = ask(&mut fixture, &mut client);
    assert!(alone[0] == (Path::InPlace, 1) && alone[1].1 <= 4, "{alone:?}");
    fixture.layer(&mut client, layer(2, 0, 0, 1920, 1080));
    let screen = fixture.done(&mut client, &Request::Fill(fill(2, 5, 1920, 1080)));
    assert_eq!((screen.path, screen.slices), (Path::InPlace, 1), "a picture of 1920x1080");
    let other = fixture.client("other");
    let beside = ask(&mut fixture, &mut client);
    assert!(beside.iter().all(|done| done.0 == Path::Swapped) && beside[1].1 >= 16, "{beside:?}");
    drop(other);
    fixture.rest();
    assert_eq!(ask(&mut fixture, &mut client), alone);
}

#[test]
fn slices_get_shorter_when_somebody_comes() {
    let mut fixture = Fixture::new(64, 64);
    let mut client = fixture.client("first");
    fixture.layer(&mut client, layer(1, 100, 0, 3000, 3000));
    for _ in 0..3 {
        fixture.done(&mut client, &Request::Fill(fill(1, 7, 3000, 3000)));
    }
    let whole = Request::Fill(fill(1, 7, 3000, 3000));
    let alone = fixture.done(&mut client, &whole).slices;
    let serial = client.submit(&whole);
    fixture.turn();
    let _other = fixture.client("second");
    let Reply::Done(beside) = fixture.reply(&mut client, serial) else { panic!("no receipt") };
    assert!(beside.slices > 3 * alone, "{alone} slices alone, and {} where somebody came", beside.slices);
}

#[test]
fn a_batch_of_changes_is_one_change_of_each_layer() {
    const LAYERS: u32 = 100;
    let mut fixture = Fixture::new(64, 64);
    let mut client = fixture.client("changes");
    for id in 1..=LAYERS {
        fixture.layer(&mut client, layer(id, 0, 0, 4, 4));
    }
    let change = |index: u32| {
        let place = Some(((index % 60) as i32, 0));
        let layer = index % LAYERS + 1;
        Entry::LayerConfigure(LayerConfigure {
            layer,
            place,
            z: Some(index as i32),
            ..LayerConfigure::default()
        })
    };
    fixture.done(&mut client, &Request::Batch((0..512).map(change).collect()));
    let reply =
        fixture.call(&mut client, &Request::Statistics { subject: StatisticsSubject::Layers, first: 0 });
    let Reply::Statistics(Statistics::Layers(list)) = reply else { panic!("{reply:?}") };
    let zs: Vec<i32> = list.records.iter().map(|record| record.z.get()).collect();
    assert_eq!(
        zs,
        (412..512).collect::<Vec<i32>>(),
        "the last change of each counts, and the stack is in order"
    );
}

#[test]
fn replies_that_nobody_reads_are_few() {
    let mut fixture = Fixture::new(8, 8);
    let mut client = fixture.client("unread");
    let size = 64 * 1024;
    let create = RegionCreate { region: 1, memory: Memory::Held, access: Access::Read, size };
    fixture.done(&mut client, &Request::RegionCreate(create));
    let read = Request::RegionRead { region: 1, offset: 0, length: size as u32 };
    let serials: Vec<Serial> = (0..60).map(|_| client.submit(&read)).collect();
    fixture.settle();
    let answered = |fixture: &mut Fixture| {
        let mut other = fixture.client("other");
        let request = Request::Statistics { subject: StatisticsSubject::Clients, first: 0 };
        match fixture.call(&mut other, &request) {
            Reply::Statistics(Statistics::Clients(list)) => list.records[0].requests.get(),
            other => panic!("{other:?}"),
        }
    };
    let before = answered(&mut fixture);
    assert!(before < 20, "{before} replies of 64 KiB were made for somebody who reads none");
    for serial in serials {
        while client.poll(serial).is_none() {
            assert!(fixture.turn(), "every one of them comes when it is read");
        }
    }
}

#[test]
fn a_hello_is_answered_whoever_floods() {
    let mut fixture = Fixture::new(64, 64);
    let mut client = fixture.client("flood");
    client.priority = Priority::MAX;
    fixture.layer(&mut client, layer(1, 100, 0, 2000, 2000));
    let flood = Request::Batch(vec![Entry::Fill(fill(1, 7, 2000, 2000)); 512]);
    client.submit(&flood);
    fixture.turn();
    let socket = fixture.socket();
    let (link, hello) = blitd_client::Link::new(socket, "newcomer").unwrap();
    let mut newcomer = Client { link, priority: Priority::new(0).unwrap() };
    let turns = turns_until(&mut fixture, &mut newcomer, hello, 10);
    assert!(turns <= 2, "{turns} turns");
}
