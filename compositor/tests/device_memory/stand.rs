//! What the tests of dmabufs have in common.

use std::os::fd::OwnedFd;
use std::sync::Mutex;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use blitd_client::Serial;
use blitd_protocol::error::ErrorCode;
use blitd_protocol::image::{Format, Image};
use blitd_protocol::reply::Reply;
use blitd_protocol::request::{Capture, Pixels, RegionCreate, Request};
use blitd_protocol::value::{Access, CaptureSubject, Memory};

use super::{Buffer, Source, seccomp};
use crate::fixture::{Client, Fixture, Shared, draw, fill, layer, packed};

/// How long a request waits for fences, in nanoseconds.
pub(crate) const PATIENCE: u64 = 100_000_000;

pub(crate) const SIDE: u32 = 40;
pub(crate) const BYTES: u64 = (SIDE * SIDE * 4) as u64;

/// Descriptors and mappings of the process are counted, so the tests go one by one.
pub(crate) static PROCESS: Mutex<()> = Mutex::new(());

pub(crate) fn alone() -> std::sync::MutexGuard<'static, ()> {
    PROCESS.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

pub(crate) fn share(
    fixture: &mut Fixture,
    client: &mut Client,
    create: RegionCreate,
    descriptor: &OwnedFd,
) -> Reply<'static> {
    let descriptor = descriptor.try_clone().unwrap();
    let serial =
        client.link.submit_with(&Request::RegionCreate(create), descriptor, client.priority).unwrap();
    fixture.reply(client, serial)
}

pub(crate) fn lend(
    fixture: &mut Fixture,
    client: &mut Client,
    region: u32,
    buffer: &Buffer,
    access: Access,
    size: u64,
) -> Reply<'static> {
    let create = RegionCreate { region, memory: Memory::Dmabuf, access, size };
    share(fixture, client, create, &buffer.descriptor)
}

pub(crate) fn lent(fixture: &mut Fixture, client: &mut Client, region: u32, buffer: &Buffer) {
    let reply = lend(fixture, client, region, buffer, Access::ReadWrite, buffer.size);
    assert!(matches!(reply, Reply::Done(_)), "{reply:?}");
}

pub(crate) fn lending_fails(
    fixture: &mut Fixture,
    client: &mut Client,
    buffer: &Buffer,
    access: Access,
    size: u64,
    code: ErrorCode,
) {
    is_refused(lend(fixture, client, 999, buffer, access, size), code);
}

pub(crate) fn is_refused(reply: Reply<'_>, code: ErrorCode) {
    match reply {
        Reply::Refused(refusal) => assert_eq!(refusal.code, code, "{refusal}"),
        other => panic!("{other:?}"),
    }
}

/// All pixels of a layer.
pub(crate) fn picture(
    fixture: &mut Fixture,
    client: &mut Client,
    layer: u32,
    width: u32,
    height: u32,
) -> Vec<u32> {
    const REGION: u32 = 900;
    let memory = Shared::sealed(u64::from(width * height * 4));
    fixture.region(client, REGION, &memory);
    fixture.done(client, &captured(layer, packed(REGION, width, height, Format::Xrgb8888)));
    fixture.done(client, &Request::RegionDestroy { region: REGION });
    memory.words()
}

pub(crate) fn captured(layer: u32, image: Image) -> Request<'static> {
    let source = Pixels { x: 0, y: 0, width: image.width, height: image.height };
    Request::Capture(Capture { subject: CaptureSubject::Layer, id: layer, source, image })
}

pub(crate) fn whole(region: u32) -> Request<'static> {
    Request::Draw(draw(1, packed(region, SIDE, SIDE, Format::Xrgb8888)))
}

pub(crate) fn plain(word: u32) -> Vec<u32> {
    vec![word; (SIDE * SIDE) as usize]
}

/// A client with a layer of one colour, and a dmabuf as region 1 of another.
pub(crate) fn painter(fixture: &mut Fixture, source: Source, name: &str) -> (Client, Buffer) {
    let mut client = fixture.client(name);
    let buffer = source.buffer(BYTES);
    buffer.write_words(&plain(0xff11_2233));
    lent(fixture, &mut client, 1, &buffer);
    fixture.layer(&mut client, layer(1, 0, 0, SIDE, SIDE));
    fixture.done(&mut client, &Request::Fill(fill(1, 0xff77_7777, SIDE, SIDE)));
    (client, buffer)
}

pub(crate) fn shows(fixture: &mut Fixture, client: &mut Client, word: u32) {
    assert!(picture(fixture, client, 1, SIDE, SIDE) == plain(word), "the layer is not of colour {word:#x}");
}

/// Moves time on to what the daemon waits for, again and again, until there is a reply.
pub(crate) fn waited_for(fixture: &mut Fixture, client: &mut Client, serial: Serial) -> Reply<'static> {
    loop {
        fixture.settle();
        if let Some(reply) = client.poll(serial) {
            return reply;
        }
        assert!(fixture.vblank(), "the daemon waits for nothing, and there is no reply");
    }
}

pub(crate) fn times_out(fixture: &mut Fixture, client: &mut Client, serial: Serial) {
    is_refused(waited_for(fixture, client, serial), ErrorCode::FenceTimeout);
}

pub(crate) fn is_waiting(fixture: &mut Fixture, client: &mut Client, serial: Serial) {
    fixture.settle();
    let reply = client.poll(serial);
    assert!(reply.is_none(), "it does not wait: {reply:?}");
}

pub(crate) fn is_done(fixture: &mut Fixture, client: &mut Client, serial: Serial) {
    let reply = fixture.reply(client, serial);
    assert!(matches!(reply, Reply::Done(_)), "{reply:?}");
}

/// Others draw from memfds and from dmabufs, and wait for nothing.
pub(crate) fn shows_to_others(fixture: &mut Fixture) {
    let before = fixture.now();
    for source in [Source::Udmabuf, Source::SystemHeap] {
        let (mut client, _buffer) = painter(fixture, source, "another");
        fixture.done(&mut client, &whole(1));
        shows(fixture, &mut client, 0xff11_2233);
    }
    let mut client = fixture.client("of a memfd");
    let memory = Shared::sealed(BYTES);
    memory.write_words(&plain(0xff99_0000));
    fixture.region(&mut client, 1, &memory);
    fixture.layer(&mut client, layer(1, 0, 0, SIDE, SIDE));
    fixture.done(&mut client, &whole(1));
    shows(fixture, &mut client, 0xff99_0000);
    assert_eq!(fixture.now(), before);
}

/// Turns until a call has been stopped.
pub(crate) fn next_call(fixture: &mut Fixture, stopped: &Receiver<seccomp::Stopped>) -> seccomp::Stopped {
    loop {
        fixture.turn();
        if let Ok(call) = stopped.try_recv() {
            return call;
        }
    }
}

pub(crate) fn count(folder: &str) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

/// Descriptors, mappings of dmabufs, and threads.
pub(crate) fn held() -> [usize; 3] {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mappings = maps.lines().filter(|line| line.contains("/dmabuf:")).count();
    [count("/proc/self/fd"), mappings, count("/proc/self/task")]
}

/// Whether it comes down to this; the helper thread may still have something to give back.
pub(crate) fn returns_to(before: [usize; 3]) -> bool {
    // Only what is never given back takes that long.
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if held().iter().zip(before).all(|(now, before)| *now <= before) {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
        std::thread::yield_now();
    }
}
