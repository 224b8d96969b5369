//! What composing a user's layers costs is limited: who is at the limit is refused, keeps what he has, and keeps nobody
//! else's pixels from the glass.

mod fixture;

use std::os::unix::net::UnixStream;

use blitd::policy::Credentials;
use blitd_client::Link;
use blitd_protocol::error::ErrorCode;
use blitd_protocol::image::Format;
use blitd_protocol::reply::Reply;
use blitd_protocol::request::{Entry, FixedRectangle, LayerConfigure, LayerCreate, Request};
use blitd_protocol::value::{Band, CaptureSubject, Priority, Token};
use fixture::{Client, Fixture, Shared, capture, config, draw, fill, layer, packed};
use nix::fcntl::SealFlag;
use nix::unistd::ftruncate;

/// The side of a layer in these tests.
const SIDE: u32 = 64;

/// What composing one costs, in bytes of blits: its pixels, and its rows.
const COST: u64 = (SIDE * SIDE * 4 + SIDE * 128) as u64;

/// How many of them a user may have visible.
const MOST: u32 = 4;

/// Two users who are not the test's own.
const USER: u32 = 70_001;
const OTHER: u32 = 70_002;

fn limited(more: &str) -> Fixture {
    let limits = format!("[limits]\ncomposing = {}\n{more}", COST * u64::from(MOST));
    Fixture::configured(config(SIDE, SIDE, &limits))
}

/// A connection of a user.
fn client(fixture: &mut Fixture, uid: u32, name: &str) -> Client {
    let (ours, theirs) = UnixStream::pair().unwrap();
    fixture.daemon.server().connect_as(theirs, Credentials { pid: 1, uid, gid: uid });
    let (link, hello) = Link::new(ours, name).unwrap();
    let mut client = Client { link, priority: Priority::DEFAULT };
    assert!(matches!(fixture.reply(&mut client, hello), Reply::Welcome(_)));
    client
}

fn of_side(id: u32) -> LayerCreate {
    layer(id, 0, 0, SIDE, SIDE)
}

/// How many more layers a user may show.
fn left(fixture: &mut Fixture, uid: u32) -> u32 {
    let mut client = client(fixture, uid, "how many are left");
    let count = (1..).find(|id| match fixture.call(&mut client, &Request::LayerCreate(of_side(*id))) {
        Reply::Done(_) => false,
        Reply::Refused(refusal) if refusal.code == ErrorCode::LimitReached => true,
        other => panic!("{other:?}"),
    });
    drop(client);
    fixture.settle();
    count.unwrap() - 1
}

fn changed(layer: u32) -> LayerConfigure {
    LayerConfigure { layer, ..LayerConfigure::default() }
}

fn shown(layer: u32, visible: bool) -> LayerConfigure {
    LayerConfigure { visible: Some(visible), ..changed(layer) }
}

fn cropped(layer: u32, width: u32, height: u32) -> LayerConfigure {
    let side = |pixels| u16::try_from(pixels).unwrap();
    let crop = FixedRectangle::from_pixels(0, 0, side(width), side(height));
    LayerConfigure { crop: Some(crop), size: Some((width, height)), ..changed(layer) }
}

fn configure(change: LayerConfigure) -> Request<'static> {
    Request::LayerConfigure(change)
}

fn batch(changes: impl IntoIterator<Item = LayerConfigure>) -> Request<'static> {
    Request::Batch(changes.into_iter().map(Entry::LayerConfigure).collect())
}

/// Has some slices done of what has been asked.
fn begin(fixture: &mut Fixture) {
    for _ in 0..3 {
        fixture.turn();
    }
}

#[test]
fn who_is_at_the_limit_may_do_with_less_and_come_back() {
    let mut fixture = limited("");
    let mut user = client(&mut fixture, USER, "user");
    let hidden = LayerCreate { visible: false, ..of_side(MOST + 1) };
    let clear = LayerCreate { opacity: 0, ..of_side(MOST + 2) };
    for create in (1..=MOST).map(of_side).chain([hidden, clear]) {
        fixture.layer(&mut user, create);
    }
    let refusal = fixture.refused(&mut user, &Request::LayerCreate(layer(9, -5000, 0, 1, 1)));
    assert_eq!(refusal.code, ErrorCode::LimitReached);
    let (held, limit) = (COST * u64::from(MOST), format!("{} are the limit", COST * u64::from(MOST)));
    for words in [format!("user {USER} costs {held}"), "would add 132".into(), limit] {
        assert!(refusal.text.contains(&words), "{refusal}");
    }
    // All ways in which a layer comes to cost more.
    let dearer = [
        shown(MOST + 1, true),
        LayerConfigure { opacity: Some(1), ..changed(MOST + 2) },
        LayerConfigure { size: Some((SIDE + 1, SIDE)), ..changed(1) },
        LayerConfigure { crop: Some(FixedRectangle::from_pixels(0, 0, 63, 64)), ..changed(1) },
    ];
    for change in dearer {
        fixture.refused_with(&mut user, &configure(change), ErrorCode::LimitReached);
        fixture.refused_with(&mut user, &batch([change]), ErrorCode::LimitReached);
    }
    // What costs as much is no matter, nor is what another user has.
    let elsewhere = LayerConfigure { place: Some((5, 5)), z: Some(7), opacity: Some(9), ..changed(1) };
    fixture.done(&mut user, &configure(elsewhere));
    assert_eq!((left(&mut fixture, USER), left(&mut fixture, OTHER)), (0, MOST));

    // Less, and back.
    fixture.done(&mut user, &configure(cropped(1, SIDE, SIDE / 2)));
    fixture.done(&mut user, &configure(cropped(2, SIDE, SIDE / 2)));
    assert_eq!(left(&mut fixture, USER), 1);
    fixture.done(&mut user, &configure(cropped(1, SIDE, SIDE)));
    fixture.done(&mut user, &configure(cropped(2, SIDE, SIDE)));
    fixture.done(&mut user, &configure(shown(3, false)));
    fixture.done(&mut user, &configure(shown(MOST + 1, true)));
    fixture.refused_with(&mut user, &configure(shown(3, true)), ErrorCode::LimitReached);
    fixture.done(&mut user, &configure(LayerConfigure { opacity: Some(0), ..changed(4) }));
    fixture.done(&mut user, &Request::LayerDestroy { layer: 1 });
    assert_eq!(left(&mut fixture, USER), 2);
    // One that is hidden gives back nothing when it ends.
    fixture.done(&mut user, &Request::LayerDestroy { layer: 3 });
    assert_eq!(left(&mut fixture, USER), 2);
    drop(user);
    fixture.settle();
    assert_eq!(left(&mut fixture, USER), MOST);
}

/// Changes that one after the other would pass the limit, or would not.
#[test]
fn a_batch_counts_as_what_comes_of_all_of_it() {
    let mut fixture = limited("");
    let mut user = client(&mut fixture, USER, "user");
    for id in 1..=2 * MOST {
        fixture.layer(&mut user, LayerCreate { visible: id <= MOST, ..of_side(id) });
    }
    let exchanged = |from: u32, to: u32| {
        let up = (1..=MOST).map(move |id| shown(to + id, true));
        up.chain((1..=MOST).map(move |id| shown(from + id, false)))
    };
    fixture.done(&mut user, &batch(exchanged(0, MOST)));
    fixture.done(&mut user, &batch(exchanged(MOST, 0)));
    assert_eq!(left(&mut fixture, USER), 0);
    // There and back costs nothing.
    fixture.done(&mut user, &batch([shown(5, true), shown(5, false), shown(1, false), shown(1, true)]));
    assert_eq!(left(&mut fixture, USER), 0);

    fixture.done(&mut user, &Request::Fill(fill(5, 0xff00_00ff, SIDE, SIDE)));
    fixture.done(&mut user, &configure(shown(1, false)));
    let too_much = [shown(2, false), shown(1, true), shown(5, true), shown(6, true)];
    let mut entries = vec![Entry::Fill(fill(5, 0xffff_ffff, SIDE, SIDE))];
    entries.extend(too_much.map(Entry::LayerConfigure));
    let refusal = fixture.refused(&mut user, &Request::Batch(entries));
    assert_eq!((refusal.code, refusal.entry), (ErrorCode::LimitReached, None), "{refusal}");
    let memory = Shared::sealed(u64::from(SIDE * SIDE * 4));
    fixture.region(&mut user, 1, &memory);
    fixture.done(&mut user, &capture(CaptureSubject::Layer, 5, SIDE, SIDE));
    assert!(memory.words().iter().all(|word| *word == 0xff00_00ff), "nothing of it has been drawn");
    assert_eq!(left(&mut fixture, USER), 1, "and nothing of it is charged");
    fixture.refused_with(&mut user, &batch([shown(5, true), shown(6, true)]), ErrorCode::LimitReached);
    fixture.done(&mut user, &batch([shown(5, true)]));
}

/// A batch that hides a layer gives back what that costs when it lands; one that shows a layer is charged before, and given
/// up leaves no charge behind.
#[test]
fn a_batch_under_way_is_charged_for_the_more_of_before_and_after() {
    const WIDE: u32 = 1024;
    let mut fixture = limited("unsealed_memory = true\n");
    let mut user = client(&mut fixture, USER, "user");
    let pixels = u64::from(WIDE * WIDE * 4);
    let (steady, shrinking) = (Shared::sealed(pixels), Shared::new(pixels, true, SealFlag::empty()));
    fixture.region(&mut user, 1, &steady);
    fixture.region(&mut user, 2, &shrinking);
    fixture.layer(&mut user, of_side(1));
    fixture.layer(&mut user, LayerCreate { visible: false, ..layer(2, 0, 0, WIDE, WIDE) });
    let long = |region, change| {
        let image = packed(region, WIDE, WIDE, Format::Xrgb8888);
        Request::Batch(vec![Entry::Draw(draw(2, image)), Entry::LayerConfigure(change)])
    };
    // What is left while the batch is under way, and when it has been answered.
    let mut during_and_after = |user: &mut Client, request: &Request<'_>| {
        let mut second = client(&mut fixture, USER, "at the same time");
        second.priority = Priority::new(20).unwrap();
        let serial = user.submit(request);
        begin(&mut fixture);
        let creates: Vec<_> =
            (1..=MOST).map(|id| second.submit(&Request::LayerCreate(of_side(id)))).collect();
        // More urgent than the batch, each has its turn between two slices of it.
        let mut replies = Vec::new();
        while replies.len() < creates.len() {
            assert!(user.poll(serial).is_none(), "the batch is still under way");
            fixture.turn();
            replies.extend(creates.get(replies.len()).and_then(|create| second.poll(*create)));
        }
        let during = replies.iter().filter(|reply| matches!(reply, Reply::Done(_))).count();
        drop(second);
        let reply = fixture.reply(user, serial);
        (during as u32, left(&mut fixture, USER), reply)
    };
    let (during, after, reply) = during_and_after(&mut user, &long(1, shown(1, false)));
    assert!(matches!(reply, Reply::Done(_)), "{reply:?}");
    assert_eq!((during, after), (MOST - 1, MOST));
    let (during, after, reply) = during_and_after(&mut user, &long(1, shown(1, true)));
    assert!(matches!(reply, Reply::Done(_)), "{reply:?}");
    assert_eq!((during, after), (MOST - 1, MOST - 1));
    // What fails in the middle.
    ftruncate(&shrinking.file, 4096).unwrap();
    for (change, before) in [(shown(1, false), MOST - 1), (shown(1, true), MOST)] {
        let now = shown(1, before < MOST);
        fixture.done(&mut user, &configure(now));
        fixture.refused_with(&mut user, &long(2, change), ErrorCode::RegionFault);
        assert_eq!(left(&mut fixture, USER), before);
    }
    // Who dies in the middle.
    user.submit(&long(1, shown(1, true)));
    begin(&mut fixture);
    drop(user);
    fixture.settle();
    assert_eq!(left(&mut fixture, USER), MOST);
}

#[test]
fn what_lingers_is_charged_and_who_claims_it_takes_the_charge_over() {
    let mut fixture = limited("");
    let mut user = client(&mut fixture, USER, "user");
    let mut tokens: Vec<Token> = Vec::new();
    for id in 1..=MOST {
        let create = LayerCreate { linger: true, ..of_side(id) };
        match fixture.call(&mut user, &Request::LayerCreate(create)) {
            Reply::Token(token) => tokens.push(token),
            other => panic!("{other:?}"),
        }
    }
    drop(user);
    fixture.settle();
    assert_eq!((left(&mut fixture, USER), left(&mut fixture, OTHER)), (0, MOST));
    let mut other = client(&mut fixture, OTHER, "other");
    let claim = |layer, token| Request::LayerClaim { layer, token };
    assert!(matches!(fixture.call(&mut other, &claim(1, tokens[0])), Reply::Claimed(_)));
    assert_eq!((left(&mut fixture, USER), left(&mut fixture, OTHER)), (1, MOST - 1));

    // Who may not have it leaves it where it is.
    for id in 2..=MOST {
        fixture.layer(&mut other, of_side(id));
    }
    fixture.refused_with(&mut other, &claim(9, tokens[1]), ErrorCode::LimitReached);
    fixture.done(&mut other, &configure(shown(1, false)));
    assert!(matches!(fixture.call(&mut other, &claim(9, tokens[1])), Reply::Claimed(_)));
    // Its own user claims what it pays for already.
    let mut user = client(&mut fixture, USER, "user");
    for (id, token) in [(1, tokens[2]), (2, tokens[3])] {
        assert!(matches!(fixture.call(&mut user, &claim(id, token)), Reply::Claimed(_)));
    }
    fixture.layer(&mut user, of_side(3));
    fixture.layer(&mut user, of_side(4));
    assert_eq!((left(&mut fixture, USER), left(&mut fixture, OTHER)), (0, 0));
    for id in 1..=4 {
        fixture.done(&mut user, &Request::LayerDestroy { layer: id });
    }
    assert_eq!(left(&mut fixture, USER), MOST);
}

/// Somebody shows as many layers as he can, all of them scaled and translucent, and has all of it change all the time. The
/// alarm of another user comes in a frame that takes no more slices than the limit says.
#[test]
fn a_frame_costs_no_more_than_the_limit_whatever_a_user_shows() {
    const SCREEN: u32 = 512;
    const LIMIT: u64 = 32 << 20;
    /// What a slice composes at the least, of which there is one connection that composes nothing: slices are not shared.
    const SLICE: u64 = 256 * 1024;
    let limits = format!("[limits]\ncomposing = {LIMIT}");
    let mut fixture = Fixture::configured(config(SCREEN, SCREEN, &limits));
    let mut flood = client(&mut fixture, USER, "flood");
    let mut alarm = fixture.client("alarm");
    alarm.priority = Priority::MAX;
    let hidden = LayerCreate { band: Band::Alarm, visible: false, ..of_side(1) };
    fixture.layer(&mut alarm, hidden);
    fixture.done(&mut alarm, &Request::Fill(fill(1, 0xffff_0000, SIDE, SIDE)));
    let mut shown_layers = 0;
    for id in 1..=200 {
        fixture.layer(&mut flood, LayerCreate { opacity: 100, visible: false, ..of_side(id) });
        let large = LayerConfigure { size: Some((SCREEN, SCREEN)), visible: Some(true), ..changed(id) };
        match fixture.call(&mut flood, &configure(large)) {
            Reply::Done(_) => shown_layers += 1,
            Reply::Refused(refusal) => assert_eq!(refusal.code, ErrorCode::LimitReached, "{refusal}"),
            other => panic!("{other:?}"),
        }
    }
    // 20 bytes for each pixel that is mixed of four, and 512 for each row.
    assert_eq!(shown_layers, LIMIT / u64::from(SCREEN * SCREEN * 20 + SCREEN * 512));
    fixture.rest();
    let slices = |fixture: &mut Fixture| fixture.statistics().slices.get();
    fixture.done(&mut flood, &configure(LayerConfigure { z: Some(1), ..changed(1) }));
    let before = slices(&mut fixture);
    fixture.done(&mut alarm, &configure(shown(1, true)));
    fixture.sync(&mut alarm);
    assert_eq!(fixture.glass(0)[0] & 0xff_ffff, 0xff_0000);
    let took = slices(&mut fixture) - before;
    let floor = shown_layers * u64::from(SCREEN * SCREEN) * 20 / (4 * SLICE);
    assert!(took > floor, "all of it was composed: {took} slices");
    assert!(took < LIMIT / SLICE * 2 + 50, "{took} slices");
}
