//! The link: serials, pulses, ends and limits, in one thread where that can be.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use blitd_protocol::error::ErrorCode;
use blitd_protocol::framing::HEADER_LENGTH;
use blitd_protocol::reply::Reply;
use blitd_protocol::request::{MAX_CARRIED, RegionCreate, Request};
use blitd_protocol::value::{Access, Memory, Mode, Priority};

use super::{Peer, done, pair, receipt, refused, welcome};
use crate::{Error, Link, Serial};

const NOW: Option<Duration> = Some(Duration::ZERO);

fn linked() -> (Link, Peer) {
    let (socket, mut peer) = pair();
    let (mut link, hello) = Link::new(socket, "test").unwrap();
    peer.welcome(Mode::Shared);
    assert!(link.dispatch(NOW).unwrap());
    assert_eq!(link.take(hello), Some(welcome(Mode::Shared)));
    (link, peer)
}

fn sync(link: &mut Link) -> Serial {
    link.submit(&Request::Sync { output: 0 }, Priority::DEFAULT).unwrap()
}

#[test]
fn the_hello_goes_at_once_and_carries_a_descriptor() {
    let (socket, mut peer) = pair();
    let (_link, serial) = Link::new(socket, "a name").unwrap();
    let hello = peer.next().unwrap();
    assert_eq!((hello.serial, hello.descriptors.len()), (serial.number(), 1));
    let Request::Hello(hello) = hello.request else { panic!("{hello:?}") };
    assert_eq!((hello.oldest, hello.newest, hello.name.as_str()), (1, 1, "a name"));
}

#[test]
fn replies_out_of_order_are_kept_by_their_serials() {
    let (mut link, mut peer) = linked();
    let serials: Vec<_> = (0..4).map(|_| sync(&mut link)).collect();
    for &serial in serials.iter().rev() {
        peer.send(serial.number(), &Reply::Done(receipt(serial.number())));
    }
    assert!(link.dispatch(NOW).unwrap());
    assert!(!link.dispatch(NOW).unwrap(), "all had come");
    for &serial in &serials {
        assert_eq!(link.take(serial), Some(Reply::Done(receipt(serial.number()))));
        assert_eq!(link.take(serial), None, "a reply is taken once");
        assert!(matches!(link.wait_for(serial, None), Err(Error::NotPending { .. })));
    }
}

#[test]
fn a_dispatch_that_does_not_wait_reads_all_that_has_arrived() {
    let (mut link, mut peer) = linked();
    let serials: Vec<_> = (0..200).map(|_| sync(&mut link)).collect();
    serials.iter().for_each(|serial| peer.send(serial.number(), &done()));
    assert!(link.dispatch(NOW).unwrap());
    assert!(serials.iter().all(|&serial| link.take(serial).is_some()));
}

#[test]
fn pulses_are_no_replies_and_are_kept_once() {
    let (mut link, mut peer) = linked();
    peer.send(0, &Reply::OutputsChanged);
    peer.send(0, &Reply::OutputsChanged);
    assert!(!link.dispatch(NOW).unwrap());
    assert_eq!(link.pulses().collect::<Vec<_>>(), [Reply::OutputsChanged]);
    assert_eq!(link.pulses().count(), 0);
}

#[test]
fn what_came_before_the_end_is_there() {
    let (mut link, mut peer) = linked();
    let [first, second] = [sync(&mut link), sync(&mut link)];
    peer.next().unwrap();
    peer.next().unwrap();
    peer.send(first.number(), &done());
    drop(peer);
    assert!(link.dispatch(NOW).unwrap());
    assert!(matches!(link.dispatch(NOW), Err(Error::Closed)));
    assert_eq!(link.take(first), Some(done()));
    assert!(matches!(link.wait_for(second, None), Err(Error::Closed)));
    assert!(matches!(link.submit(&Request::Sync { output: 0 }, Priority::DEFAULT), Err(Error::Closed)));
}

#[test]
fn a_daemon_that_is_full_is_heard_though_it_closed_before_the_hello() {
    let (socket, mut peer) = pair();
    peer.send(1, &refused(ErrorCode::TooManyConnections));
    drop(peer);
    let (mut link, serial) = Link::new(socket, "test").unwrap();
    assert_eq!(link.wait_for(serial, None).unwrap(), refused(ErrorCode::TooManyConnections));
}

#[test]
fn a_refusal_of_no_request_ends_the_link() {
    let (mut link, mut peer) = linked();
    peer.send(0, &refused(ErrorCode::Malformed));
    assert!(
        matches!(link.dispatch(NOW), Err(Error::Refused(refusal)) if refusal.code == ErrorCode::Malformed)
    );
    assert!(matches!(link.dispatch(NOW), Err(Error::Closed)));
    assert!(peer.next().is_none());
}

#[test]
fn an_unknown_error_is_a_refusal_that_tells_its_number() {
    let (mut link, mut peer) = linked();
    let serial = sync(&mut link);
    let mut message = Vec::new();
    refused(ErrorCode::BadValue).encode(serial.number(), &mut message);
    message[HEADER_LENGTH] = 77;
    peer.send_bytes(&message);
    assert!(link.dispatch(NOW).unwrap());
    let Some(Reply::Refused(refusal)) = link.take(serial) else { panic!("it is no refusal") };
    assert_eq!((refusal.code, refusal.entry), (ErrorCode::NotSupported, None));
    assert_eq!(refusal.text, "error 77: not like this");
    peer.send(sync(&mut link).number(), &done());
    assert!(link.dispatch(NOW).unwrap(), "the link lives");
}

#[test]
fn replies_that_nobody_asked_for_end_the_link() {
    for (serial, times) in [(9, 1), (2, 2), (0, 1)] {
        let (mut link, mut peer) = linked();
        assert_eq!(sync(&mut link).number(), 2);
        for _ in 0..times {
            peer.send(serial, &done());
        }
        assert!(matches!(link.dispatch(NOW), Err(Error::Unexpected { kind: 0x8002 })), "serial {serial}");
        assert!(matches!(link.dispatch(NOW), Err(Error::Closed)));
    }
}

#[test]
fn what_is_not_the_protocol_ends_the_link() {
    let (mut link, mut peer) = linked();
    peer.send_bytes(&[3, 0, 0, 0, 0, 0, 0, 0]);
    assert!(matches!(link.dispatch(NOW), Err(Error::Framing(_))));
    assert!(matches!(link.dispatch(NOW), Err(Error::Closed)));

    let (mut link, mut peer) = linked();
    let mut message = Vec::new();
    done().encode(2, &mut message);
    message[4] = 0x77;
    peer.send_bytes(&message);
    assert!(matches!(link.dispatch(NOW), Err(Error::Reply(_))));
}

#[test]
fn requests_go_with_just_their_descriptors() {
    let (mut link, mut peer) = linked();
    let create = Request::RegionCreate(RegionCreate {
        region: 1,
        memory: Memory::Memfd,
        access: Access::Read,
        size: 1,
    });
    assert!(matches!(link.submit(&create, Priority::DEFAULT), Err(Error::Descriptors { takes: 1, .. })));
    let descriptor = || UnixStream::pair().unwrap().0.into();
    let sync = Request::Sync { output: 0 };
    assert!(matches!(
        link.submit_with(&sync, descriptor(), Priority::DEFAULT),
        Err(Error::Descriptors { takes: 0, .. })
    ));
    link.submit_with(&create, descriptor(), Priority::MAX).unwrap();
    let asked = peer.next().unwrap();
    assert_eq!((asked.serial, asked.priority, asked.descriptors.len()), (2, 63, 1));
}

#[test]
fn what_is_too_long_is_not_sent() {
    let (mut link, mut peer) = linked();
    let bytes = vec![0; MAX_CARRIED + 8192].into();
    let write = Request::RegionWrite { region: 1, offset: 0, bytes };
    assert!(matches!(link.submit(&write, Priority::DEFAULT), Err(Error::TooLong(_))));
    let serial = sync(&mut link);
    assert_eq!(peer.done().serial, serial.number());
    assert!(link.wait_for(serial, None).is_ok());
}

#[test]
fn what_the_socket_does_not_take_is_sent_while_waiting() {
    let (mut link, mut peer) = linked();
    let bytes = vec![0; MAX_CARRIED].into();
    let write = Request::RegionWrite { region: 1, offset: 0, bytes };
    let mut last = link.submit(&write, Priority::DEFAULT).unwrap();
    let mut count = 1;
    while link.unsent() < 3 * MAX_CARRIED {
        last = link.submit(&write, Priority::DEFAULT).unwrap();
        count += 1;
    }
    thread::scope(|scope| {
        scope.spawn(|| (0..count).for_each(|_| drop(peer.done())));
        assert!(link.wait_for(last, Some(Instant::now() + Duration::from_secs(60))).is_ok());
    });
    assert_eq!(link.unsent(), 0);
    assert!(link.bytes_sent() > count * MAX_CARRIED as u64);
}

#[test]
fn a_deadline_ends_a_wait_and_not_the_link() {
    let (mut link, mut peer) = linked();
    let serial = sync(&mut link);
    for wait in [0, 1] {
        let deadline = Instant::now() + Duration::from_millis(wait);
        assert!(matches!(link.wait_for(serial, Some(deadline)), Err(Error::TimedOut)));
        assert!(Instant::now() >= deadline);
    }
    peer.done();
    assert_eq!(link.wait_for(serial, Some(Instant::now())).unwrap(), done());
}

#[test]
fn the_limit_of_a_wait_is_not_that_of_the_next() {
    let (mut link, mut peer) = linked();
    let socket = UnixStream::from(link.as_fd().try_clone_to_owned().unwrap());
    let mut limit_after = |wait: Option<Duration>| {
        let serial = sync(&mut link);
        peer.done();
        assert!(link.dispatch(wait).unwrap());
        link.take(serial).unwrap();
        socket.read_timeout().unwrap()
    };
    let minute = Duration::from_secs(60);
    let limit = limit_after(Some(minute)).unwrap();
    assert!(limit >= minute && limit < Duration::from_secs(62), "{limit:?}");
    assert_eq!(limit_after(Some(minute - Duration::from_millis(100))), Some(limit), "near enough");
    assert!(limit_after(Some(2 * minute)).unwrap() >= 2 * minute);
    assert!(limit_after(Some(minute)).unwrap() < Duration::from_secs(62));
    assert_eq!(limit_after(None), None);
}
