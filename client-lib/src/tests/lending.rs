//! Lending for later: what goes out when, and what becomes of a region in every case.

use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use blitd_protocol::error::ErrorCode;
use blitd_protocol::reply::{Reply, Shown};
use blitd_protocol::request::Request;
use blitd_protocol::transport::Wait;
use blitd_protocol::value::{ClockSource, Mode, NotShown};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::{Peer, all_done, done, pair, play, receipt, refused};
use crate::{
    BatchEntry, Connection, Draw, Error, Format, ImageView, Layer, LayerOptions, LendError, Pixels, Region,
};

const NOW: Option<Duration> = Some(Duration::ZERO);

fn draw() -> Draw {
    Draw::new(ImageView::packed(4, 4, Format::Xrgb8888))
}

/// A connection with a layer and regions, and the other end of it, in one thread.
fn prepared(mode: Mode, regions: usize) -> (Connection, Peer, Layer, Vec<Region>) {
    let (socket, mut peer) = pair();
    let (layer, connection, regions) = thread::scope(|scope| {
        scope.spawn(|| {
            peer.welcome(mode);
            (0..=regions).for_each(|_| drop(peer.done()));
        });
        let mut connection = Connection::over(socket, "test").unwrap();
        let layer = connection.create_layer(&LayerOptions::new(50, 50)).unwrap();
        let regions = (0..regions).map(|_| connection.create_region(4096).unwrap()).collect();
        (layer, connection, regions)
    });
    (connection, peer, layer, regions)
}

fn is_readable(connection: &Connection) -> bool {
    let mut descriptors = [PollFd::new(connection.as_fd(), PollFlags::POLLIN)];
    poll(&mut descriptors, PollTimeout::ZERO).unwrap() > 0
}

/// How many requests have come, without waiting for more.
fn arrived(peer: &mut Peer) -> Vec<super::Asked> {
    std::iter::from_fn(|| peer.next_within(Wait::Return).ok().flatten()).collect()
}

#[test]
fn what_is_lent_goes_in_one_write_and_comes_back_with_its_replies() {
    let (mut connection, mut peer, layer, mut regions) = prepared(Mode::Shared, 3);
    let descriptor = connection.as_fd().as_fd().try_clone_to_owned().unwrap();
    let lent: Vec<_> =
        regions.drain(..).map(|region| connection.lend_draw(&layer, region, &draw()).unwrap()).collect();
    assert!(arrived(&mut peer).is_empty(), "they wait for the program to say when");
    connection.dispatch(NOW).unwrap();
    let asked = arrived(&mut peer);
    assert_eq!(asked.len(), 3);
    assert!(!is_readable(&connection) && lent.iter().all(|lent| !lent.is_ready()));
    peer.send(asked[0].serial, &Reply::Done(receipt(1)));
    peer.send(asked[1].serial, &Reply::Done(receipt(2)));
    assert!(is_readable(&connection));
    connection.dispatch(NOW).unwrap();
    assert!(!is_readable(&connection));
    assert_eq!(lent.iter().map(crate::Lent::is_ready).collect::<Vec<_>>(), [true, true, false]);
    peer.send(asked[2].serial, &refused(ErrorCode::SourceOutside));
    for (bytes, lent) in (1..).zip(lent) {
        match lent.wait(&mut connection) {
            Ok((mut region, told)) => {
                assert_eq!(told, receipt(bytes));
                region.pixels_mut()[0] = 1;
            }
            Err(LendError::Returned { region, error: Error::Refused(refusal) }) => {
                assert_eq!((bytes, refusal.code, region.len()), (3, ErrorCode::SourceOutside, 4096));
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    let mut same = [PollFd::new(descriptor.as_fd(), PollFlags::POLLIN)];
    peer.send(0, &Reply::OutputsChanged);
    assert_eq!(poll(&mut same, PollTimeout::ZERO).unwrap(), 1);
    connection.dispatch(NOW).unwrap();
    assert_eq!(connection.pulses(), [Reply::OutputsChanged]);
}

#[test]
fn one_lending_takes_many_draws_and_answers_each() {
    let (mut connection, mut peer, layer, mut regions) = prepared(Mode::Shared, 1);
    let draws = (0..100).map(|x| (&layer, draw().at(x, 0)));
    let lent = connection.lend_draws(regions.remove(0), draws).unwrap();
    connection.flush().unwrap();
    let asked = arrived(&mut peer);
    assert_eq!(asked.len(), 100);
    for (number, asked) in (0..).zip(&asked) {
        let Request::Draw(draw) = &asked.request else { panic!("{asked:?}") };
        assert_eq!(draw.destination.x, number);
        match number {
            7 => peer.send(asked.serial, &refused(ErrorCode::SourceOutside)),
            99 => {}
            number => peer.send(asked.serial, &Reply::Done(receipt(number as u64))),
        }
    }
    connection.dispatch(NOW).unwrap();
    assert!(!lent.is_ready(), "the last is missing");
    peer.send(asked[99].serial, &Reply::Done(receipt(99)));
    let (region, answers) = lent.wait(&mut connection).unwrap();
    assert_eq!((region.len(), answers.len()), (4096, 100));
    for (number, answer) in (0..).zip(answers) {
        match answer {
            Ok(told) => assert_eq!(told, receipt(number)),
            Err(error) => assert!(number == 7 && matches!(error, Error::Refused(_)), "{number}: {error}"),
        }
    }
    let nothing = connection.lend_draws(region, []).unwrap();
    assert!(nothing.is_ready());
    assert!(nothing.wait(&mut connection).unwrap().1.is_empty());
}

#[test]
fn a_wait_that_takes_too_long_gives_the_handle_back() {
    let (mut connection, mut peer, layer, mut regions) = prepared(Mode::Shared, 1);
    let lent = connection.lend_draw(&layer, regions.remove(0), &draw()).unwrap();
    connection.set_timeout(NOW);
    let Err(LendError::Pending { lent }) = lent.wait(&mut connection) else { panic!("it has no reply") };
    let asked = arrived(&mut peer);
    assert_eq!(asked.len(), 1, "the wait has sent it");
    peer.send(asked[0].serial, &done());
    assert_eq!(lent.wait(&mut connection).unwrap().0.len(), 4096);
}

#[test]
fn who_drops_a_handle_ends_its_region_behind_the_request() {
    let (mut connection, mut peer, layer, mut regions) = prepared(Mode::Shared, 2);
    let ids: Vec<_> = regions.iter().map(Region::id).collect();
    drop(connection.lend_draw(&layer, regions.remove(0), &draw()).unwrap());
    let kept = connection.lend_draw(&layer, regions.remove(0), &draw()).unwrap();
    connection.dispatch(NOW).unwrap();
    let asked = arrived(&mut peer);
    assert_eq!(asked.len(), 3);
    assert!(matches!(asked[0].request, Request::Draw(_)));
    assert_eq!(asked[1].request, Request::RegionDestroy { region: ids[0] });
    asked.iter().for_each(|asked| peer.send(asked.serial, &Reply::Done(receipt(asked.serial))));
    let (region, told) = kept.wait(&mut connection).unwrap();
    assert_eq!((region.id(), told), (ids[1], receipt(asked[2].serial)));
    assert_eq!(connection.shared().exchange().untaken(), 0, "what nobody waits for is not kept");
    drop(region);
    connection.flush().unwrap();
    assert_eq!(arrived(&mut peer)[0].request, Request::RegionDestroy { region: ids[1] });
}

#[test]
fn who_is_gone_gives_everything_back() {
    let (mut connection, mut peer, layer, mut regions) = prepared(Mode::Shared, 3);
    let first = connection.lend_draw(&layer, regions.remove(0), &draw()).unwrap();
    let second = connection.lend_draw(&layer, regions.remove(0), &draw()).unwrap();
    connection.flush().unwrap();
    peer.done();
    drop(peer);
    assert_eq!(first.wait(&mut connection).unwrap().1, receipt(7), "it was answered before");
    let error = second.wait(&mut connection).unwrap_err();
    assert!(matches!(&error, LendError::Returned { region, error: Error::Closed } if region.len() == 4096));
    let error = connection.lend_draw(&layer, regions.remove(0), &draw()).unwrap_err();
    assert!(matches!(&error, LendError::Returned { region, error: Error::Closed } if region.len() == 4096));
    assert!(matches!(connection.dispatch(NOW), Err(Error::Closed)));
}

#[test]
fn who_ends_the_connection_itself_gets_nothing_back() {
    for garbage in [false, true] {
        let (mut connection, mut peer, layer, mut regions) = prepared(Mode::Shared, 2);
        let lent = connection.lend_draw(&layer, regions.remove(0), &draw()).unwrap();
        if garbage {
            peer.send_bytes(&[3, 0, 0, 0, 0, 0, 0, 0]);
            let error = lent.wait(&mut connection).unwrap_err();
            assert!(matches!(error, LendError::Lost { error: Error::Framing(_) }), "{error:?}");
        } else {
            connection.set_timeout(NOW);
            assert!(matches!(connection.fill(&layer, 0, 0, 0, 1, 1), Err(Error::TimedOut)));
            let error = lent.wait(&mut connection).unwrap_err();
            assert!(matches!(error, LendError::Lost { error: Error::Closed }), "{error:?}");
        }
        assert_eq!(regions[0].len(), 4096, "what is not lent stays");
    }
}

#[test]
fn what_cannot_be_lent_comes_back_at_once() {
    let view = ImageView { offset: 4080, ..ImageView::packed(4, 4, Format::Xrgb8888) };
    let (mut connection, mut peer, layer, mut regions) = prepared(Mode::Inline, 1);
    let (mut other, ..) = prepared(Mode::Shared, 0);
    let error = other.lend_draw(&layer, regions.remove(0), &draw()).unwrap_err();
    let LendError::Returned { region, error: Error::OtherConnection { .. } } = error else {
        panic!("{error:?}")
    };
    let error = connection.lend_draw(&layer, region, &Draw::new(view)).unwrap_err();
    let LendError::Returned { region, error: Error::Image { .. } } = error else { panic!("{error:?}") };
    let lent = connection.lend_draws(region, [(&layer, Draw::new(view)), (&layer, draw())]).unwrap();
    connection.flush().unwrap();
    peer.done();
    let (region, answers) = lent.wait(&mut connection).unwrap();
    assert!(matches!(answers.as_slice(), [Err(Error::Image { .. }), Ok(_)]), "{answers:?}");
    assert_eq!(region.len(), 4096);
    assert!(arrived(&mut peer).is_empty());
}

#[test]
fn what_lends_nothing_can_be_asked_for_later_too() {
    let (mut connection, mut peer, layer, _) = prepared(Mode::Shared, 0);
    let shown =
        Shown { output: 2, reason: NotShown::Shown, sequence: 5, time: 6, clock: ClockSource::Hardware };
    let pixels = Pixels { x: 0, y: 0, width: 5, height: 5 };
    let mut batch = connection.ask_batch(&[BatchEntry::Fill(&layer, 7, pixels)]).unwrap();
    let mut sync = connection.ask_sync(2).unwrap();
    connection.set_timeout(NOW);
    assert!(matches!(batch.wait(&mut connection), Err(Error::TimedOut)));
    let asked = arrived(&mut peer);
    assert!(matches!(&asked[0].request, Request::Batch(entries) if entries.len() == 1));
    assert_eq!(asked[1].request, Request::Sync { output: 2 });
    peer.send(asked[0].serial, &refused(ErrorCode::UnknownLayer));
    peer.send(asked[1].serial, &Reply::Shown(shown));
    connection.dispatch(NOW).unwrap();
    assert!(batch.is_ready() && sync.is_ready());
    assert_eq!(sync.wait(&mut connection).unwrap(), shown);
    assert!(matches!(batch.wait(&mut connection), Err(Error::Refused(_))));
    assert!(matches!(sync.wait(&mut connection), Err(Error::NotPending { .. })), "once is enough");
    drop(connection.ask_sync(0).unwrap());
    connection.flush().unwrap();
    assert_eq!(arrived(&mut peer).len(), 1, "it goes on");
}

#[test]
fn a_full_socket_is_watched_until_it_takes_the_rest() {
    let (mut connection, mut peer, layer, mut regions) = prepared(Mode::Shared, 1);
    let draws = (0..20_000).map(|x| (&layer, draw().at(x, 0)));
    let lent = connection.lend_draws(regions.remove(0), draws).unwrap();
    connection.dispatch(NOW).unwrap();
    assert!(!is_readable(&connection), "the socket is full, and there is nothing to do");
    let mut answered = 0;
    while !lent.is_ready() {
        for asked in arrived(&mut peer) {
            peer.0.queue(|out| done().encode(asked.serial, out));
            answered += 1;
        }
        peer.0.flush(Wait::Return).unwrap();
        assert!(is_readable(&connection), "there is room to send, or a reply: {answered}");
        connection.dispatch(NOW).unwrap();
    }
    assert_eq!(lent.wait(&mut connection).unwrap().1.len(), 20_000);
    assert!(!is_readable(&connection));
}

#[test]
fn a_full_socket_is_watched_after_a_call_that_waited_for_something_before_it() {
    let (mut connection, mut peer, layer, mut regions) = prepared(Mode::Shared, 2);
    let first = connection.lend_draw(&layer, regions.remove(0), &draw()).unwrap();
    let draws = (0..20_000).map(|x| (&layer, draw().at(x, 0)));
    let rest = connection.lend_draws(regions.remove(0), draws).unwrap();
    // Behind the hello, a layer and two regions.
    peer.send(5, &done());
    drop(first.wait(&mut connection).unwrap());
    while !rest.is_ready() {
        for asked in arrived(&mut peer).into_iter().filter(|asked| asked.serial > 5) {
            peer.0.queue(|out| done().encode(asked.serial, out));
        }
        assert!(is_readable(&connection), "there is room to send");
        connection.dispatch(NOW).unwrap();
        peer.0.flush(Wait::Return).unwrap();
    }
}

#[test]
fn lending_is_the_same_where_pixels_travel() {
    let view = ImageView::packed(16, 16, Format::Xrgb8888);
    let asked = play(Mode::Inline, all_done, |connection| {
        let layer = connection.create_layer(&LayerOptions::new(50, 50)).unwrap();
        let mut region = connection.create_region(4096).unwrap();
        region.pixels_mut().fill(0x0102_0304);
        let lent = connection.lend_draw(&layer, region, &Draw::new(view)).unwrap();
        drop(lent.wait(connection).unwrap());
    });
    let Request::Draw(draw) = &asked[2].request else { panic!("{asked:?}") };
    assert!(draw.carried.len() == 1024 && draw.carried.chunks(4).all(|pixel| pixel == [4, 3, 2, 1]));
}

#[test]
fn a_draw_that_cannot_be_sent_does_not_bring_the_region_back_before_those_that_were() {
    let (mut connection, mut peer, layer, mut regions) = prepared(Mode::Inline, 1);
    let outside = Draw::new(ImageView::packed(4096, 1, Format::Xrgb8888));
    let draws = [(&layer, draw()), (&layer, draw()), (&layer, outside)];
    let lent = connection.lend_draws(regions.remove(0), draws).unwrap();
    connection.dispatch(NOW).unwrap();
    assert!(!lent.is_ready());
    for asked in arrived(&mut peer) {
        peer.send(asked.serial, &done());
    }
    let (_region, answers) = lent.wait(&mut connection).unwrap();
    assert!(matches!(answers.as_slice(), [Ok(_), Ok(_), Err(Error::Image { .. })]), "{answers:?}");
    assert_eq!(connection.shared().exchange().untaken(), 0);
}

#[test]
fn whether_a_region_comes_back_is_for_its_own_connection_to_say() {
    let (mut connection, mut peer, layer, mut regions) = prepared(Mode::Shared, 1);
    let lent = connection.lend_draw(&layer, regions.remove(0), &draw()).unwrap();
    connection.dispatch(NOW).unwrap();
    drop(connection);
    assert_eq!(arrived(&mut peer).len(), 1, "and this end may be using the memory still");
    let (mut other, gone, ..) = prepared(Mode::Shared, 0);
    drop(gone);
    assert!(matches!(other.dispatch(NOW), Err(Error::Closed)));
    assert!(matches!(lent.wait(&mut other), Err(LendError::Lost { error: Error::Closed })));
}
