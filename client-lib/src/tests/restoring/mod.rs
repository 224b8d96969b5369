//! A daemon that goes and another that comes: what the library asks of that, in which order. Of the layers' pictures in
//! [`pictures`].

mod pictures;

use std::borrow::Cow;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use blitd_protocol::error::ErrorCode;
use blitd_protocol::reply::Reply;
use blitd_protocol::request::{Entry, MAX_CARRIED, Request};
use blitd_protocol::transport::{Endpoint, Wait};
use blitd_protocol::value::{Access, CaptureSubject, Memory, Mode, Operator, Token};
use blitd_protocol::wire::LayerRecord;

use super::{Asked, Peer, done, refused};
use crate::{
    BatchEntry, Connection, ConnectionOptions, Draw, Error, FixedRectangle, Format, ImageView, Layer,
    LayerChange, LayerOptions, LendError, Pixels, Region,
};

/// Where scripted daemons listen, one after the other.
struct Place {
    path: PathBuf,
    listener: UnixListener,
}

impl Place {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("blitd-restoring-{}-{number}", std::process::id()));
        Self { listener: UnixListener::bind(&path).unwrap(), path }
    }

    /// The next connection, before its hello.
    fn accept(&self) -> Peer {
        Peer(Endpoint::new(self.listener.accept().unwrap().0))
    }

    /// The next connection, let in.
    fn welcome(&self, mode: Mode) -> Peer {
        let mut peer = self.accept();
        peer.welcome(mode);
        peer
    }

    /// A connection of the program's, and the daemon's end of it.
    fn connect(&self, mode: Mode) -> (Connection, Peer) {
        thread::scope(|scope| {
            let peer = scope.spawn(|| self.welcome(mode));
            let mut connection = Connection::open_at(&self.path, "test").unwrap();
            connection.set_timeout(None);
            (connection, peer.join().unwrap())
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Does something with the connection, all of which the daemon answers with done.
fn answered<T>(
    connection: &mut Connection,
    peer: &mut Peer,
    count: usize,
    act: impl FnOnce(&mut Connection) -> T,
) -> T {
    thread::scope(|scope| {
        scope.spawn(move || (0..count).for_each(|_| drop(peer.done())));
        act(connection)
    })
}

fn options() -> LayerOptions {
    LayerOptions::new(50, 50)
}

fn draw() -> Draw {
    Draw::new(ImageView::packed(4, 4, Format::Xrgb8888))
}

fn prepared(connection: &mut Connection, peer: &mut Peer) -> (Layer, Region) {
    answered(connection, peer, 2, |connection| {
        (connection.create_layer(&options()).unwrap(), connection.create_region(4096).unwrap())
    })
}

/// A layer as a daemon tells it to who claims it.
fn claimed(layer: u32) -> Reply<'static> {
    let side = 50.into();
    let fourcc = Format::Xrgb8888.fourcc().into();
    Reply::Claimed(LayerRecord {
        layer: layer.into(),
        width: side,
        height: side,
        fourcc,
        ..Default::default()
    })
}

/// All that a daemon is asked to restore, which ends with the batch that shows it.
fn restored(peer: &mut Peer) -> Vec<Asked> {
    let mut all = Vec::new();
    loop {
        all.push(peer.done());
        if matches!(all.last().unwrap().request, Request::Batch(_)) {
            return all;
        }
    }
}

/// Where only the connection has ended, the daemon still has the layers that linger. They are claimed and made what they
/// were: what had no reply may have been done, and is asked again.
#[test]
fn layers_that_linger_are_claimed_where_the_daemon_has_them() {
    let place = Place::new();
    let (mut connection, mut peer) = place.connect(Mode::Shared);
    let tokens = [1, 2, 3].map(|byte| Token::from_bytes([byte; 16]).unwrap());
    let (kept, lost) = thread::scope(|scope| {
        scope.spawn(|| {
            for token in &tokens[..2] {
                let asked = peer.next().unwrap();
                assert!(matches!(asked.request, Request::LayerCreate(create) if create.linger));
                peer.send(asked.serial, &Reply::Token(*token));
            }
            drop((peer.done(), peer.done()));
        });
        let kept = connection.create_layer(&options().linger()).unwrap();
        let lost = connection.create_layer(&options().linger()).unwrap();
        connection.fill(&kept, 5, 0, 0, 50, 50).unwrap();
        connection.fill(&lost, 6, 0, 0, 50, 50).unwrap();
        (kept, lost)
    });
    assert_eq!((kept.token(), lost.token()), (Some(tokens[0]), Some(tokens[1])));
    drop(peer);
    let mut peer = place.welcome(Mode::Shared);
    for (layer, token) in [(&kept, tokens[0]), (&lost, tokens[1])] {
        let asked = peer.next().unwrap();
        assert_eq!(asked.request, Request::LayerClaim { layer: layer.id(), token });
        let is_there = layer.id() == kept.id();
        let reply = if is_there { claimed(layer.id()) } else { refused(ErrorCode::UnknownToken) };
        peer.send(asked.serial, &reply);
    }
    let asked = [peer.done(), peer.done()].map(|asked| asked.request);
    let [Request::LayerConfigure(change), Request::Fill(clear)] = &asked else { panic!("{asked:?}") };
    assert_eq!((change.layer, change.visible, change.size), (kept.id(), Some(false), Some((50, 50))));
    assert_eq!((clear.layer, clear.colour, clear.operator), (kept.id(), 0, Operator::Source));
    let asked = peer.next().unwrap();
    let Request::LayerCreate(create) = asked.request else { panic!("{asked:?}") };
    assert_eq!((create.layer, create.linger, create.visible), (lost.id(), true, false));
    peer.send(asked.serial, &Reply::Token(tokens[2]));
    let asked = restored(&mut peer);
    let requests: Vec<_> = asked.iter().map(|asked| &asked.request).collect();
    let [Request::Fill(first), Request::Fill(second), Request::Batch(show)] = requests.as_slice() else {
        panic!("{requests:?}")
    };
    let drawn = [(first.layer, first.colour), (second.layer, second.colour)];
    assert_eq!((drawn, show.len()), ([(kept.id(), 5), (lost.id(), 6)], 2));
    // It asks when all is there again.
    answered(&mut connection, &mut peer, 1, |connection| connection.fill(&kept, 7, 0, 0, 1, 1).unwrap());
    assert_eq!((kept.token(), lost.token()), (Some(tokens[0]), Some(tokens[2])));
}

#[test]
fn layers_come_hidden_are_drawn_and_shown_together() {
    let place = Place::new();
    let (mut connection, mut peer) = place.connect(Mode::Shared);
    let (layer, mut region) = prepared(&mut connection, &mut peer);
    let crop = FixedRectangle::from_pixels(1, 2, 3, 4);
    let hidden = answered(&mut connection, &mut peer, 6, |connection| {
        let hidden = connection.create_layer(&options().hidden()).unwrap();
        connection.draw(&layer, &mut region, &draw().at(3, 4)).unwrap();
        connection.configure_layer(&layer, &LayerChange::default().place(-7, 8).opacity(9)).unwrap();
        connection.configure_layer(&layer, &LayerChange::default().size(100, 80)).unwrap();
        connection.configure_layer(&hidden, &LayerChange::default().crop(crop)).unwrap();
        connection.fill(&hidden, 5, 0, 0, 50, 50).unwrap();
        hidden
    });
    drop(peer);
    let mut peer = place.welcome(Mode::Shared);
    let asked = restored(&mut peer);
    let requests: Vec<_> = asked.iter().map(|asked| &asked.request).collect();
    let [
        Request::RegionCreate(create),
        Request::LayerCreate(first),
        Request::LayerCreate(second),
        Request::Draw(drawn),
        Request::Fill(fill),
        Request::Batch(show),
    ] = requests.as_slice()
    else {
        panic!("{requests:?}")
    };
    assert_eq!((create.region, create.memory, asked[0].descriptors.len()), (region.id(), Memory::Memfd, 1));
    assert_eq!((first.layer, first.visible, first.x, first.y, first.opacity), (layer.id(), false, -7, 8, 9));
    assert_eq!((second.layer, second.visible), (hidden.id(), false));
    assert_eq!((drawn.image.planes[0].region, drawn.destination.x, drawn.carried.len()), (region.id(), 3, 0));
    assert_eq!((fill.layer, fill.colour), (hidden.id(), 5));
    let [Entry::LayerConfigure(shown), Entry::LayerConfigure(cropped)] = show.as_slice() else {
        panic!("{show:?}")
    };
    assert_eq!((shown.layer, shown.visible, shown.place), (layer.id(), Some(true), None));
    assert_eq!((shown.size, shown.crop), (Some((100, 80)), None));
    assert_eq!((cropped.layer, cropped.visible, cropped.crop), (hidden.id(), None, Some(crop)));
}

#[test]
fn what_was_answered_is_not_asked_again_and_what_was_not_is_in_its_order() {
    let place = Place::new();
    let (mut connection, mut peer) = place.connect(Mode::Shared);
    let (layer, region) = prepared(&mut connection, &mut peer);
    let draws = (0..6).map(|x| (&layer, draw().at(x, 0)));
    let lent = connection.lend_draws(region, draws).unwrap();
    connection.flush().unwrap();
    (0..2).for_each(|_| drop(peer.done()));
    drop(peer);
    let mut peer = place.welcome(Mode::Shared);
    // Both lie beside each other, so that both are seen.
    let asked = restored(&mut peer);
    let columns = |asked: &[Asked]| -> Vec<i32> {
        let column = |asked: &Asked| match &asked.request {
            Request::Draw(draw) => Some(draw.destination.x),
            _ => None,
        };
        asked.iter().filter_map(column).collect()
    };
    assert_eq!(columns(&asked), [0, 1]);
    let again: Vec<_> = (0..4).map(|_| peer.done()).collect();
    assert_eq!(columns(&again), [2, 3, 4, 5]);
    let (_, answers) = lent.wait(&mut connection).unwrap();
    assert!(answers.len() == 6 && answers.iter().all(Result::is_ok));
}

#[test]
fn who_is_not_let_in_tries_again() {
    let place = Place::new();
    let (mut connection, mut peer) = place.connect(Mode::Shared);
    let (layer, _region) = prepared(&mut connection, &mut peer);
    drop(peer);
    for answer in [Some(refused(ErrorCode::TooManyConnections)), None] {
        let mut peer = place.accept();
        let hello = peer.next().unwrap();
        answer.iter().for_each(|answer| peer.send(hello.serial, answer));
    }
    // One that goes in the middle is none, either.
    place.welcome(Mode::Shared).done();
    let mut peer = place.welcome(Mode::Shared);
    assert_eq!(restored(&mut peer).len(), 3);
    answered(&mut connection, &mut peer, 1, |connection| connection.fill(&layer, 0, 0, 0, 1, 1).unwrap());
}

#[test]
fn a_daemon_that_does_not_answer_is_no_daemon_that_has_gone() {
    let place = Place::new();
    let (mut connection, mut peer) = place.connect(Mode::Shared);
    let (layer, mut region) = prepared(&mut connection, &mut peer);
    connection.set_timeout(Some(Duration::ZERO));
    let error = connection.draw(&layer, &mut region, &draw()).unwrap_err();
    assert!(matches!(error, Error::TimedOut) && region.is_empty(), "it may still be used");
    assert!(matches!(connection.fill(&layer, 0, 0, 0, 1, 1), Err(Error::Closed)));
    while peer.next().is_some() {}
}

#[test]
fn opening_takes_no_longer_than_it_may() {
    let place = Place::new();
    let wait = Duration::from_millis(20);
    let options = ConnectionOptions::new("test").at(&place.path).timeout(Some(wait));
    assert!(matches!(Connection::open_with(&options), Err(Error::TimedOut)), "nobody answers the hello");
}

#[test]
fn told_otherwise_nobody_connects_again() {
    let place = Place::new();
    let (mut connection, peer) = thread::scope(|scope| {
        let peer = scope.spawn(|| place.welcome(Mode::Shared));
        let options = ConnectionOptions::new("test").at(&place.path).not_restored();
        (Connection::open_with(&options).unwrap(), peer.join().unwrap())
    });
    drop(peer);
    assert!(matches!(connection.dispatch(None), Err(Error::Closed)));
    // This one is the next to come.
    let _own = UnixStream::connect(&place.path).unwrap();
    let mut next = place.accept();
    drop(_own);
    assert!(next.next().is_none());
}

#[test]
fn a_connection_that_is_dropped_while_the_daemon_is_gone_is_not_opened_again() {
    let place = Place::new();
    let (connection, peer) = place.connect(Mode::Shared);
    let shared = std::sync::Arc::downgrade(connection.shared());
    drop(peer);
    let hello = place.accept();
    drop(connection);
    drop(hello);
    // The thread lets go of what it shares when it ends.
    while shared.strong_count() > 0 {
        thread::yield_now();
    }
}

#[test]
fn what_the_program_has_ended_does_not_come_back_with_a_daemon_that_would_have_it() {
    let place = Place::new();
    let (mut connection, mut peer) = place.connect(Mode::Shared);
    let (layer, region) = prepared(&mut connection, &mut peer);
    let other =
        answered(&mut connection, &mut peer, 1, |connection| connection.create_layer(&options()).unwrap());
    drop(peer);
    // This daemon has no room for any of it.
    let mut peer = place.welcome(Mode::Shared);
    for _ in 0..3 {
        let asked = peer.next().unwrap();
        peer.send(asked.serial, &refused(ErrorCode::LimitReached));
    }
    thread::scope(|scope| {
        scope.spawn(|| {
            for code in [ErrorCode::UnknownLayer, ErrorCode::UnknownRegion] {
                let asked = peer.next().unwrap();
                peer.send(asked.serial, &refused(code));
            }
        });
        assert!(matches!(connection.destroy_layer(layer), Err(Error::Refused(_))));
        assert!(matches!(connection.destroy_region(region), Err(Error::Refused(_))));
    });
    drop(peer);
    let mut peer = place.welcome(Mode::Shared);
    let asked = restored(&mut peer);
    let [Request::LayerCreate(create), Request::Batch(_)] =
        &asked.iter().map(|asked| asked.request.clone()).collect::<Vec<_>>()[..]
    else {
        panic!("{asked:?}")
    };
    assert_eq!(create.layer, other.id());
}

#[test]
fn no_call_waits_longer_than_told_for_a_daemon_that_does_not_answer_what_is_restored() {
    let place = Place::new();
    let (mut connection, mut peer) = place.connect(Mode::Shared);
    let (layer, mut region) = prepared(&mut connection, &mut peer);
    answered(&mut connection, &mut peer, 1, |connection| {
        connection.draw(&layer, &mut region, &draw()).unwrap();
    });
    drop(peer);
    let mut peer = place.welcome(Mode::Shared);
    let region_create = peer.next().unwrap();
    connection.set_timeout(Some(Duration::from_millis(1)));
    let image = ImageView::packed(4, 4, Format::Xrgb8888);
    assert!(matches!(connection.create_layer(&options().repainted()), Err(Error::Away { .. })));
    let outcome = connection.capture_layer(&layer, 0, 0, &mut region, &image);
    assert!(matches!(outcome, Err(Error::Away { .. })));
    let lent = connection.lend_capture_layer(&layer, 0, 0, region, &image).unwrap();
    let Err(LendError::Pending { lent }) = lent.wait(&mut connection) else {
        panic!("the daemon has not answered")
    };
    assert!(matches!(peer.next().unwrap().request, Request::LayerCreate(_)));
    assert!(peer.next_within(Wait::Return).is_err(), "it was not given up, which would have let them go on");
    connection.set_timeout(None);
    thread::scope(|scope| {
        let asked = scope.spawn(move || {
            peer.send(region_create.serial, &done());
            peer.send(region_create.serial + 1, &done());
            let mut asked = restored(&mut peer);
            asked.push(peer.done());
            asked
        });
        lent.wait(&mut connection).unwrap();
        let asked = asked.join().unwrap();
        assert!(matches!(asked.last().unwrap().request, Request::Capture(_)), "{asked:?}");
    });
}
