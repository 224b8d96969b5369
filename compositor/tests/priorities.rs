//! Whose request is taken next, on the real server with stepped time: priorities, what a connection's head inherits,
//! the order within a connection, turns among equals, ceilings; how replies are sent, and what statistics tell. Told by the order of
//! replies and counted in turns of the loop, never in time.

mod fixture;

use std::collections::BTreeMap;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use blitd::policy::config::{Config, Names};
use blitd_client::{Link, Serial};
use blitd_protocol::error::ErrorCode;
use blitd_protocol::image::Format;
use blitd_protocol::reply::{Reply, Statistics};
use blitd_protocol::request::Request;
use blitd_protocol::value::{Priority, StatisticsSubject};
use blitd_protocol::wire::{Header, PriorityRecord};
use fixture::running::own_user;
use fixture::{Client, Fixture, Random, Shared, draw, fill, layer, packed};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, socketpair};
use nix::unistd::getegid;
use zerocopy::FromBytes;

/// The side of a layer that takes many turns to fill: 4 MiB.
const LARGE: u32 = 1024;

/// More turns than anything here takes.
const MANY: u32 = 100_000;

fn priority(number: u8) -> Priority {
    Priority::new(number).unwrap()
}

/// A client with a large layer, out of sight.
fn painter(fixture: &mut Fixture, name: &str) -> Client {
    let mut client = fixture.client(name);
    fixture.layer(&mut client, layer(1, 100, 0, LARGE, LARGE));
    client
}

fn large_fill(client: &mut Client, number: u8) -> Serial {
    client.link.submit(&Request::Fill(fill(1, 7, LARGE, LARGE)), priority(number)).unwrap()
}

/// Turns until all of these requests are answered; which client's reply came when.
fn order(fixture: &mut Fixture, clients: &mut [(&mut Client, Vec<Serial>)]) -> Vec<usize> {
    let mut order = Vec::new();
    for _ in 0..MANY {
        for (index, (client, serials)) in clients.iter_mut().enumerate() {
            serials.retain(|serial| match client.poll(*serial) {
                Some(Reply::Done(_)) => {
                    order.push(index);
                    false
                }
                Some(other) => panic!("{other:?}"),
                None => true,
            });
        }
        if clients.iter().all(|(_, serials)| serials.is_empty()) {
            return order;
        }
        fixture.turn();
    }
    panic!("not all is answered: {order:?} is");
}

#[test]
fn what_is_urgent_carries_what_is_before_it_past_others() {
    let mut fixture = Fixture::new(64, 64);
    let (mut low, mut medium) = (painter(&mut fixture, "low"), painter(&mut fixture, "medium"));
    let mediums = vec![large_fill(&mut medium, 10), large_fill(&mut medium, 10)];
    // Under way: the first of them has had some slices.
    (0..4).for_each(|_| assert!(fixture.turn()));
    let lows = vec![large_fill(&mut low, 5), large_fill(&mut low, 0), large_fill(&mut low, 20)];
    let behind = large_fill(&mut low, 0);
    let order = order(&mut fixture, &mut [(&mut low, [lows, vec![behind]].concat()), (&mut medium, mediums)]);
    assert_eq!(order, [0, 0, 0, 1, 1, 0], "and what is behind it is low again");
}

#[test]
fn equals_take_turns_request_by_request() {
    let mut fixture = Fixture::new(64, 64);
    let mut clients: Vec<Client> = ["a", "b", "c"].map(|name| painter(&mut fixture, name)).into();
    // The first two are there before the third comes, and have more to do than it.
    let mut asked: Vec<Vec<Serial>> =
        clients[..2].iter_mut().map(|client| (0..6).map(|_| large_fill(client, 10)).collect()).collect();
    fixture.turn();
    asked.push((0..3).map(|_| large_fill(&mut clients[2], 10)).collect());
    let mut asked: Vec<_> = clients.iter_mut().zip(asked).collect();
    let order = order(&mut fixture, &mut asked);
    let rounds: Vec<&[usize]> = order[..9].chunks(3).collect();
    for round in &rounds {
        assert!((0..3).all(|client| round.contains(&client)), "one of each in a round: {order:?}");
    }
    let rest = &order[9..];
    assert!(rest.chunks(2).all(|round| round.contains(&0) && round.contains(&1)), "{order:?}");
}

/// Who runs the tests, under names that the configuration can use.
struct Myself;

impl Names for Myself {
    fn user(&self, name: &str) -> Option<u32> {
        (name == "me").then(own_user)
    }

    fn group(&self, name: &str) -> Option<u32> {
        (name == "mine").then(|| getegid().as_raw())
    }
}

fn limited(sections: &str) -> Fixture {
    let text = format!("[headless]\nsize = \"64x64\"\n{sections}");
    Fixture::configured(Config::parse(&text, own_user(), &Myself).unwrap())
}

/// The ceiling that a welcome tells.
fn ceiling(fixture: &mut Fixture) -> u8 {
    let (link, hello) = Link::new(fixture.socket(), "asks").unwrap();
    let mut client = Client { link, priority: Priority::DEFAULT };
    match fixture.reply(&mut client, hello) {
        Reply::Welcome(welcome) => welcome.ceiling,
        other => panic!("{other:?}"),
    }
}

#[test]
fn ceilings_come_from_the_configuration() {
    const EVERYBODY: &str = "[limits]\npriority = 7\n";
    const GROUP: &str = "[group.mine]\npriority = 40\n";
    const USER: &str = "[user.me]\npriority = 20\n";
    for (sections, expected) in [
        (String::new(), 63),
        (EVERYBODY.into(), 7),
        (format!("{EVERYBODY}{GROUP}"), 40),
        (format!("{EVERYBODY}{USER}"), 20),
        (format!("{EVERYBODY}{GROUP}{USER}"), 20),
        (format!("{GROUP}[user.me]\nlayers = 5\n"), 40),
        (format!("{USER}[group.mine]\nlayers = 5\n"), 20),
    ] {
        let mut fixture = limited(&sections);
        assert_eq!(ceiling(&mut fixture), expected, "{sections}");
        let mut client = fixture.client("asks");
        // No priority is asked for where none is told: 10 may be above the ceiling too.
        client.priority = priority(expected.min(10));
        fixture.layer(&mut client, layer(1, 0, 0, 8, 8));
        client.priority = priority(expected);
        fixture.done(&mut client, &Request::Fill(fill(1, 1, 8, 8)));
        let Ok(above) = Priority::new(expected + 1) else { continue };
        client.priority = above;
        let refusal = fixture.refused(&mut client, &Request::Fill(fill(1, 2, 8, 8)));
        assert_eq!(refusal.code, ErrorCode::PriorityTooHigh);
        let named = format!("priority {} is above this user's ceiling of {expected}", expected + 1);
        assert!(refusal.text.contains(&named), "{refusal}");
    }
}

#[test]
fn asking_for_too_much_costs_that_request_alone() {
    let mut fixture = limited("[user.me]\npriority = 20\n");
    let mut client = fixture.client("asks");
    fixture.layer(&mut client, layer(1, 0, 0, 8, 8));
    let mut submit =
        |number, colour| client.link.submit(&Request::Fill(fill(1, colour, 8, 8)), priority(number)).unwrap();
    let serials = [submit(20, 0xff00_0001), submit(63, 0xff00_0002), submit(10, 0xff00_0003), submit(21, 4)];
    fixture.settle();
    let replies = serials.map(|serial| client.poll(serial).unwrap());
    let refused = replies.map(|reply| matches!(reply, Reply::Refused(_)));
    assert_eq!(refused, [false, true, false, true]);
    assert_eq!(fixture.screen(64, 64)[0] & 0x00ff_ffff, 3, "what came between them is drawn");
}

#[test]
fn what_is_refused_carries_nothing_past_the_ceiling() {
    let mut fixture = limited("[user.me]\npriority = 20\n");
    let (mut greedy, mut honest) = (painter(&mut fixture, "greedy"), painter(&mut fixture, "honest"));
    let first = large_fill(&mut honest, 20);
    fixture.turn();
    let low = large_fill(&mut greedy, 5);
    large_fill(&mut greedy, 63);
    let order = order(&mut fixture, &mut [(&mut greedy, vec![low]), (&mut honest, vec![first])]);
    assert_eq!(order, [1, 0]);
}

#[test]
fn an_urgent_draw_waits_for_a_slice_of_a_flood_and_one_of_a_frame() {
    const FLOODS: usize = 4;
    const SIDE: u32 = 64;
    let mut fixture = Fixture::new(1920, 1080);
    let mut urgent = fixture.client("urgent");
    let mut top = layer(1, 100, 100, SIDE, SIDE);
    top.z = 1;
    fixture.layer(&mut urgent, top);
    let memory = Shared::sealed(u64::from(SIDE * SIDE * 4));
    fixture.region(&mut urgent, 1, &memory);
    let large = Shared::sealed(u64::from(LARGE * LARGE * 4));
    let mut floods: Vec<(Client, Vec<Serial>)> = (0..FLOODS)
        .map(|_| {
            let mut client = fixture.client("flood");
            fixture.layer(&mut client, layer(1, 0, 0, LARGE, LARGE));
            fixture.region(&mut client, 1, &large);
            (client, Vec::new())
        })
        .collect();
    fixture.rest();
    let flood = Request::Draw(draw(1, packed(1, LARGE, LARGE, Format::Xrgb8888)));
    let small = Request::Draw(draw(1, packed(1, SIDE, SIDE, Format::Xrgb8888)));
    let frames = |fixture: &mut Fixture| fixture.daemon.server().outputs()[0].frames();
    let frames_before = frames(&mut fixture);
    let (mut random, mut answered, mut most) = (Random(4), 0, 0);
    urgent.priority = priority(20);
    for _ in 0..400 {
        for (client, serials) in &mut floods {
            let before = serials.len();
            serials.retain(|serial| client.poll(*serial).is_none());
            answered += before - serials.len();
            serials.resize_with(4, || client.submit(&flood));
        }
        (0..random.below(20)).for_each(|_| assert!(fixture.turn(), "the flood never ends"));
        fixture.pass_vblank();
        let asked = urgent.submit(&small);
        let turns = (1..MANY).find(|_| {
            fixture.turn();
            urgent.poll(asked).is_some()
        });
        most = most.max(turns.unwrap());
    }
    assert!(most <= 3, "an urgent draw waited for {most} turns");
    let frames = frames(&mut fixture) - frames_before;
    assert!(answered > 20 && frames > 20, "{answered} draws of the flood, and {frames} frames meanwhile");
}

/// A client whose socket keeps what is written at once together and apart from all else (SOCK_SEQPACKET, unix(7)).
struct Packets {
    client: Client,
    hello: Serial,
    ours: UnixStream,
}

impl Packets {
    /// Connected, with the hello on its way.
    fn new(fixture: &mut Fixture) -> Self {
        let flags = SockFlag::SOCK_CLOEXEC;
        let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags).unwrap();
        let ours = UnixStream::from(ours);
        fixture.daemon.server().connect(theirs.into());
        let (link, hello) = Link::new(ours.try_clone().unwrap(), "packets").unwrap();
        Self { client: Client { link, priority: Priority::DEFAULT }, hello, ours }
    }

    /// The serials of the replies that have come, those of one write together.
    fn writes(&mut self) -> Vec<Vec<u64>> {
        let mut writes = Vec::new();
        let mut bytes = vec![0; 1 << 20];
        loop {
            match recv(self.ours.as_raw_fd(), &mut bytes, MsgFlags::MSG_DONTWAIT) {
                Err(Errno::EAGAIN) => return writes,
                length => writes.push(serials(&bytes[..length.unwrap()])),
            }
        }
    }
}

/// The serials of whole messages.
fn serials(mut bytes: &[u8]) -> Vec<u64> {
    let mut serials = Vec::new();
    while !bytes.is_empty() {
        let (header, _) = Header::ref_from_prefix(bytes).unwrap();
        serials.push(header.serial.get());
        bytes = &bytes[header.length.get() as usize..];
    }
    serials
}

#[test]
fn replies_of_one_turn_go_out_in_one_write() {
    let mut fixture = Fixture::new(64, 64);
    let mut packets = Packets::new(&mut fixture);
    let create = packets.client.submit(&Request::LayerCreate(layer(1, 0, 0, 8, 8)));
    fixture.settle();
    assert_eq!(packets.writes(), [[packets.hello.number(), create.number()]]);
}

#[test]
fn a_connections_replies_keep_its_order_whatever_their_priorities() {
    let mut fixture = Fixture::new(64, 64);
    let mut other = painter(&mut fixture, "other");
    let mut packets = Packets::new(&mut fixture);
    packets.client.submit(&Request::LayerCreate(layer(1, 0, 0, LARGE, LARGE)));
    fixture.settle();
    packets.writes();
    let mut random = Random(1);
    let submitted: Vec<u64> = (0..40)
        .map(|index| {
            large_fill(&mut other, 30);
            let side = if index % 5 == 0 { LARGE } else { 8 };
            let number = priority(random.below(64) as u8);
            packets.client.link.submit(&Request::Fill(fill(1, 1, side, side)), number).unwrap().number()
        })
        .collect();
    fixture.settle();
    assert_eq!(packets.writes().concat(), submitted);
}

#[test]
fn statistics_tell_what_the_receipts_of_each_priority_told() {
    let mut fixture = Fixture::new(64, 64);
    let mut client = fixture.client("timed");
    fixture.layer(&mut client, layer(1, 0, 0, LARGE, LARGE));
    let mut expected = BTreeMap::from([(10, (1, 0, 0, 0, 0))]);
    let mut random = Random(7);
    for _ in 0..12 {
        let numbers: Vec<u8> = (0..8).map(|_| [0, 5, 10, 20, 30, 63][random.below(6) as usize]).collect();
        let serials: Vec<Serial> = numbers.iter().map(|number| large_fill(&mut client, *number)).collect();
        // Refused, and answered by the screen: neither is one of those that count.
        client.priority = priority(40);
        client.submit(&Request::Fill(fill(99, 1, 8, 8)));
        client.submit(&Request::Sync { output: 0 });
        for (number, serial) in numbers.into_iter().zip(serials) {
            let receipt = loop {
                match client.poll(serial) {
                    Some(Reply::Done(receipt)) => break receipt,
                    Some(other) => panic!("{other:?}"),
                    None => {
                        fixture.turn();
                    }
                }
                fixture.pass_vblank();
            };
            let (waiting, service) = (receipt.started - receipt.received, receipt.finished - receipt.started);
            let told = expected.entry(number).or_insert((0, 0, 0, 0, 0));
            *told =
                (told.0 + 1, told.1 + waiting, told.2.max(waiting), told.3 + service, told.4.max(service));
        }
        fixture.rest();
    }
    let mut records = Vec::new();
    for (first, count) in [(0, 4), (4, 2), (6, 0)] {
        let request = Request::Statistics { subject: StatisticsSubject::Priorities, first };
        let reply = fixture.call(&mut client, &request);
        let Reply::Statistics(Statistics::Priorities(list)) = reply else { panic!("{reply:?}") };
        assert_eq!((list.first, list.total, list.records.len()), (first, 6, count));
        records.extend(list.records);
    }
    let told: BTreeMap<u8, _> = records
        .iter()
        .map(|record| {
            let PriorityRecord { waiting, service, count, .. } = record;
            let sums = (waiting.sum.get(), waiting.maximum.get(), service.sum.get(), service.maximum.get());
            (record.priority, (count.get(), sums.0, sums.1, sums.2, sums.3))
        })
        .collect();
    assert_eq!(told, expected);
    // The most urgent wait for nobody, and who is alone has large slices.
    let waited = expected.values().filter(|told| told.2 > 0 && told.4 > 0).count();
    assert!(waited > 1, "time has passed: {expected:?}");
}

#[test]
fn small_requests_that_are_sent_together_are_answered_together() {
    let mut fixture = Fixture::new(64, 64);
    let _other = fixture.client("other");
    let mut packets = Packets::new(&mut fixture);
    packets.client.submit(&Request::LayerCreate(layer(1, 0, 0, 8, 8)));
    fixture.settle();
    packets.writes();
    let fill = Request::Fill(fill(1, 5, 8, 8));
    let submitted: Vec<u64> = (100..140).collect();
    let mut bytes = Vec::new();
    for serial in &submitted {
        fill.encode(*serial, Priority::DEFAULT, &mut bytes).unwrap();
    }
    (&packets.ours).write_all(&bytes).unwrap();
    fixture.settle();
    let writes = packets.writes();
    assert_eq!(writes.concat(), submitted);
    assert_eq!(writes.len(), 3, "16 of them fill a slice, and those of a slice go out in one write");
}
