//! Regions of dmabuf memory, in a guest that has drivers which make some: every one of them is drawn from and captured into,
//! and no fence that is withheld costs anybody but whoever drew from it.

mod device_memory;
mod fixture;

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};

use blitd_client::{Connection, Draw, Error, ImageView, LayerOptions, Serial};
use blitd_protocol::error::ErrorCode;
use blitd_protocol::image::{Format, Image, Plane};
use blitd_protocol::reply::Reply;
use blitd_protocol::request::{Capture, Entry, LayerConfigure, Pixels, RegionCreate, Request};
use blitd_protocol::value::{Access, CaptureSubject, Memory, Operator, Path};
use device_memory::{Buffer, Source, Timeline, of_card, seccomp, udmabuf};
use fixture::running::Running;
use fixture::{Client, Fixture, Random, START, Shared, config, draw, fill, layer, packed};
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, SealFlag, fallocate};

/// How long a request waits for fences, in nanoseconds.
const PATIENCE: u64 = 100_000_000;

const SIDE: u32 = 40;
const BYTES: u64 = (SIDE * SIDE * 4) as u64;

/// Descriptors and mappings of the process are counted, so the tests go one by one.
static PROCESS: Mutex<()> = Mutex::new(());

fn alone() -> std::sync::MutexGuard<'static, ()> {
    PROCESS.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn share(
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

fn lend(
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

fn lent(fixture: &mut Fixture, client: &mut Client, region: u32, buffer: &Buffer) {
    let reply = lend(fixture, client, region, buffer, Access::ReadWrite, buffer.size);
    assert!(matches!(reply, Reply::Done(_)), "{reply:?}");
}

fn lending_fails(
    fixture: &mut Fixture,
    client: &mut Client,
    buffer: &Buffer,
    access: Access,
    size: u64,
    code: ErrorCode,
) {
    is_refused(lend(fixture, client, 999, buffer, access, size), code);
}

fn is_refused(reply: Reply<'_>, code: ErrorCode) {
    match reply {
        Reply::Refused(refusal) => assert_eq!(refusal.code, code, "{refusal}"),
        other => panic!("{other:?}"),
    }
}

/// All pixels of a layer.
fn picture(fixture: &mut Fixture, client: &mut Client, layer: u32, width: u32, height: u32) -> Vec<u32> {
    const REGION: u32 = 900;
    let memory = Shared::sealed(u64::from(width * height * 4));
    fixture.region(client, REGION, &memory);
    fixture.done(client, &captured(layer, packed(REGION, width, height, Format::Xrgb8888)));
    fixture.done(client, &Request::RegionDestroy { region: REGION });
    memory.words()
}

fn captured(layer: u32, image: Image) -> Request<'static> {
    let source = Pixels { x: 0, y: 0, width: image.width, height: image.height };
    Request::Capture(Capture { subject: CaptureSubject::Layer, id: layer, source, image })
}

fn whole(region: u32) -> Request<'static> {
    Request::Draw(draw(1, packed(region, SIDE, SIDE, Format::Xrgb8888)))
}

fn plain(word: u32) -> Vec<u32> {
    vec![word; (SIDE * SIDE) as usize]
}

/// A client with a layer of one colour, and a dmabuf as region 1 of another.
fn painter(fixture: &mut Fixture, source: Source, name: &str) -> (Client, Buffer) {
    let mut client = fixture.client(name);
    let buffer = source.buffer(BYTES);
    buffer.write_words(&plain(0xff11_2233));
    lent(fixture, &mut client, 1, &buffer);
    fixture.layer(&mut client, layer(1, 0, 0, SIDE, SIDE));
    fixture.done(&mut client, &Request::Fill(fill(1, 0xff77_7777, SIDE, SIDE)));
    (client, buffer)
}

fn shows(fixture: &mut Fixture, client: &mut Client, word: u32) {
    assert!(picture(fixture, client, 1, SIDE, SIDE) == plain(word), "the layer is not of colour {word:#x}");
}

/// Moves time on to what the daemon waits for, again and again, until there is a reply.
fn waited_for(fixture: &mut Fixture, client: &mut Client, serial: Serial) -> Reply<'static> {
    loop {
        fixture.settle();
        if let Some(reply) = client.poll(serial) {
            return reply;
        }
        assert!(fixture.vblank(), "the daemon waits for nothing, and there is no reply");
    }
}

fn times_out(fixture: &mut Fixture, client: &mut Client, serial: Serial) {
    is_refused(waited_for(fixture, client, serial), ErrorCode::FenceTimeout);
}

fn is_waiting(fixture: &mut Fixture, client: &mut Client, serial: Serial) {
    fixture.settle();
    let reply = client.poll(serial);
    assert!(reply.is_none(), "it does not wait: {reply:?}");
}

fn is_done(fixture: &mut Fixture, client: &mut Client, serial: Serial) {
    let reply = fixture.reply(client, serial);
    assert!(matches!(reply, Reply::Done(_)), "{reply:?}");
}

/// Odd strides and offsets, all formats, both operators; what is small, and what takes many slices.
#[test]
fn every_source_gives_the_picture_that_a_memfd_gives() {
    let _alone = alone();
    let mut seen = BTreeSet::new();
    let formats = [Format::Xrgb8888, Format::Argb8888, Format::Xbgr8888, Format::Abgr8888, Format::Rgb565];
    for (width, height, formats) in [(61, 43, &formats[..]), (400, 410, &[Format::Abgr8888, Format::Rgb565])]
    {
        for format in formats.iter().copied() {
            let (stride, offset) = (width * format.bytes_per_pixel() + 5, 4099);
            let size = u64::from(offset + stride * height);
            let mut random = Random(u64::from(width));
            let bytes: Vec<u8> = (0..size).map(|_| random.next() as u8).collect();
            let reference = Shared::sealed(size);
            reference.write(0, &bytes);
            let image =
                Image::linear(width, height, format, Plane { region: 1, stride, offset: offset.into() });
            let pictures = |fixture: &mut Fixture, client: &mut Client| {
                let mut pictures = Vec::new();
                for (operator, opacity) in [(Operator::Source, 255), (Operator::Over, 100)] {
                    fixture.layer(client, layer(1, 0, 0, width, height));
                    fixture.done(client, &Request::Fill(fill(1, 0xff12_3456, width, height)));
                    let mut request = draw(1, image);
                    (request.operator, request.opacity) = (operator, opacity);
                    fixture.done(client, &Request::Draw(request));
                    pictures.push(picture(fixture, client, 1, width, height));
                    fixture.done(client, &Request::LayerDestroy { layer: 1 });
                }
                pictures
            };
            let mut fixture = Fixture::new(64, 64);
            let mut client = fixture.client("memfd");
            fixture.region(&mut client, 1, &reference);
            let expected = pictures(&mut fixture, &mut client);
            for source in Source::ALL {
                let mut client = fixture.client("dmabuf");
                let buffer = source.buffer(size);
                buffer.write(0, &bytes);
                lent(&mut fixture, &mut client, 1, &buffer);
                let pictures = pictures(&mut fixture, &mut client);
                assert!(pictures == expected, "{source:?}: {width}x{height} of {format}");
            }
            seen.extend(expected);
        }
    }
    // Replacing an opaque layer's pixels, a format and its twin with alpha do the same.
    assert_eq!(seen.len(), 2 * 5 - 2 + 2 * 2, "the pictures differ from each other");
}

#[test]
fn every_source_is_captured_into_as_a_memfd_is() {
    let _alone = alone();
    let mut fixture = Fixture::new(64, 64);
    let mut client = fixture.client("captures");
    let (width, height) = (301, 401);
    let mut random = Random(5);
    let pixels = Shared::sealed(u64::from(width * height * 4));
    pixels.write_words(&(0..width * height).map(|_| random.next() as u32).collect::<Vec<_>>());
    fixture.region(&mut client, 100, &pixels);
    fixture.layer(&mut client, layer(1, 0, 0, width, height));
    fixture.done(&mut client, &Request::Draw(draw(1, packed(100, width, height, Format::Xrgb8888))));
    let (stride, offset) = (width * 4 + 3, 77);
    let size = u64::from(offset + stride * height + 50);
    let image = |region, format| {
        Image::linear(width, height, format, Plane { region, stride, offset: offset.into() })
    };
    for format in [Format::Xrgb8888, Format::Abgr8888] {
        let reference = Shared::sealed(size);
        reference.write(0, &vec![0x5a; size as usize]);
        fixture.region(&mut client, 2, &reference);
        fixture.done(&mut client, &captured(1, image(2, format)));
        for source in Source::ALL {
            let buffer = source.buffer(size);
            buffer.write(0, &vec![0x5a; buffer.size as usize]);
            lent(&mut fixture, &mut client, 3, &buffer);
            fixture.done(&mut client, &captured(1, image(3, format)));
            assert!(buffer.bytes()[..size as usize] == reference.bytes(), "{source:?}: {format}");
            assert!(buffer.bytes()[size as usize..].iter().all(|byte| *byte == 0x5a), "{source:?}");
            fixture.done(&mut client, &Request::RegionDestroy { region: 3 });
        }
        fixture.done(&mut client, &Request::RegionDestroy { region: 2 });
    }
}

/// What is written between two draws is in the second: nothing is kept from the first.
#[test]
fn a_batch_draws_from_all_sources_at_once() {
    let _alone = alone();
    let mut fixture = Fixture::new(64, 64);
    let mut client = fixture.client("batches");
    fixture.layer(&mut client, layer(1, 0, 0, SIDE, SIDE));
    let buffers = Source::ALL.map(|source| source.buffer(BYTES));
    for (region, buffer) in (1..).zip(&buffers) {
        lent(&mut fixture, &mut client, region, buffer);
    }
    for round in 0..3u32 {
        let mut expected = Vec::new();
        let mut entries = Vec::new();
        for (index, buffer) in (0u32..).zip(&buffers) {
            let word = 0xff00_0000 | round << 16 | index << 8 | 7;
            buffer.write_words(&plain(word));
            let mut part = draw(1, packed(index + 1, SIDE, 10, Format::Xrgb8888));
            part.destination.y = 10 * index as i32;
            entries.push(Entry::Draw(part));
            expected.extend(vec![word; (SIDE * 10) as usize]);
        }
        fixture.done(&mut client, &Request::Batch(entries));
        assert!(picture(&mut fixture, &mut client, 1, SIDE, SIDE) == expected, "round {round}");
    }
}

/// Its memory can be taken away, so it goes by way of the spare storage, however small it is.
#[test]
fn a_draw_from_a_dmabuf_is_swapped_in() {
    let _alone = alone();
    let mut fixture = Fixture::new(64, 64);
    let (mut client, _buffer) = painter(&mut fixture, Source::Udmabuf, "swaps");
    assert_eq!(fixture.done(&mut client, &whole(1)).path, Path::Swapped);
}

#[test]
fn a_fence_that_signals_in_time_lets_the_draw_through() {
    let _alone = alone();
    for source in Source::ALL {
        let mut fixture = Fixture::new(64, 64);
        let (mut client, buffer) = painter(&mut fixture, source, "in time");
        let written = buffer.written();
        let serial = client.submit(&whole(1));
        is_waiting(&mut fixture, &mut client, serial);
        shows_to_others(&mut fixture);
        buffer.write_words(&plain(0xff44_5566));
        written.signal();
        is_done(&mut fixture, &mut client, serial);
        assert_eq!(fixture.now(), START, "{source:?}: no time has passed");
        shows(&mut fixture, &mut client, 0xff44_5566);
        // The next one has a deadline of its own.
        assert!(fixture.vblank());
        let began = fixture.now();
        assert!(began > START && began < START + PATIENCE);
        let _written = buffer.written();
        let serial = client.submit(&whole(1));
        times_out(&mut fixture, &mut client, serial);
        assert_eq!(fixture.now(), began + PATIENCE, "{source:?}");
    }
}

/// Others draw from memfds and from dmabufs, and wait for nothing.
fn shows_to_others(fixture: &mut Fixture) {
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

#[test]
fn a_fence_that_never_signals_ends_the_draw_at_the_deadline() {
    let _alone = alone();
    for source in Source::ALL {
        let mut fixture = Fixture::new(64, 64);
        let (mut client, buffer) = painter(&mut fixture, source, "stuck");
        fixture.rest();
        let began = fixture.now();
        let written = buffer.written();
        let serial = client.submit(&whole(1));
        is_waiting(&mut fixture, &mut client, serial);
        shows_to_others(&mut fixture);
        is_waiting(&mut fixture, &mut client, serial);
        times_out(&mut fixture, &mut client, serial);
        assert_eq!(fixture.now(), began + PATIENCE, "{source:?}: exactly at the deadline");
        shows(&mut fixture, &mut client, 0xff77_7777);
        // The connection lives, and so does the region.
        fixture.done(&mut client, &Request::Fill(fill(1, 0xff88_8888, SIDE, SIDE)));
        shows(&mut fixture, &mut client, 0xff88_8888);
        written.signal();
        fixture.done(&mut client, &whole(1));
        shows(&mut fixture, &mut client, 0xff11_2233);
    }
}

/// Turns until a call has been stopped.
fn next_call(fixture: &mut Fixture, stopped: &Receiver<seccomp::Stopped>) -> seccomp::Stopped {
    loop {
        fixture.turn();
        if let Ok(call) = stopped.try_recv() {
            return call;
        }
    }
}

/// The snapshot has been taken and has signalled, and DMA_BUF_IOCTL_SYNC finds a fence all the same.
#[test]
fn a_fence_that_comes_after_the_snapshot_keeps_only_its_own_connection() {
    let _alone = alone();
    let stopped = seccomp::stop(&[seccomp::SYNC]);
    let mut fixture = Fixture::new(64, 64);
    let mut client = fixture.client("late");
    let buffer = Source::Udmabuf.buffer(BYTES);
    buffer.write_words(&plain(0xff11_2233));
    lent(&mut fixture, &mut client, 1, &buffer);
    fixture.layer(&mut client, layer(1, 0, 0, SIDE, SIDE));
    // As it should be: one call begins, one ends, and the reply waits for both.
    let serial = client.submit(&whole(1));
    for _ in 0..2 {
        let call = next_call(&mut fixture, &stopped);
        while fixture.turn() {}
        assert!(client.poll(serial).is_none(), "it has replied too early");
        call.go_on();
    }
    is_done(&mut fixture, &mut client, serial);
    for signals in [true, false] {
        fixture.done(&mut client, &Request::Fill(fill(1, 0xff77_7777, SIDE, SIDE)));
        fixture.rest();
        let began = fixture.now();
        let serial = client.submit(&whole(1));
        let call = next_call(&mut fixture, &stopped);
        let written = buffer.written();
        call.go_on();
        // The call is interrupted, and the fence waited for where that keeps nobody.
        is_waiting(&mut fixture, &mut client, serial);
        if signals {
            written.signal();
            for _ in 0..2 {
                next_call(&mut fixture, &stopped).go_on();
            }
            is_done(&mut fixture, &mut client, serial);
            assert_eq!(fixture.now(), began);
            shows(&mut fixture, &mut client, 0xff11_2233);
        } else {
            times_out(&mut fixture, &mut client, serial);
            assert_eq!(fixture.now(), began + PATIENCE);
            shows(&mut fixture, &mut client, 0xff77_7777);
        }
    }
}

/// Fences come and go as fast as they can while draws are under way: each of these is done or refused, and others wait
/// for none of them.
#[test]
fn fences_that_come_and_go_stop_nothing() {
    let _alone = alone();
    let mut fixture = Fixture::new(64, 64);
    let (mut client, buffer) = painter(&mut fixture, Source::SystemHeap, "restless");
    let descriptor = buffer.descriptor.try_clone().unwrap();
    let (is_over, rounds) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let size = buffer.size;
    let restless = std::thread::spawn({
        let (is_over, rounds) = (Arc::clone(&is_over), Arc::clone(&rounds));
        move || {
            let buffer = Buffer::new(descriptor, size);
            while !is_over.load(Ordering::Relaxed) {
                buffer.written().signal();
                rounds.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let mut round = 0;
    while round < 200 || rounds.load(Ordering::Relaxed) < 200 {
        round += 1;
        let serial = client.submit(&whole(1));
        match waited_for(&mut fixture, &mut client, serial) {
            Reply::Done(_) => {}
            Reply::Refused(refusal) => assert_eq!(refusal.code, ErrorCode::FenceTimeout, "{refusal}"),
            other => panic!("{other:?}"),
        }
        if round % 50 == 0 {
            shows_to_others(&mut fixture);
        }
    }
    is_over.store(true, Ordering::Relaxed);
    restless.join().unwrap();
    fixture.done(&mut client, &whole(1));
    shows(&mut fixture, &mut client, 0xff11_2233);
}

#[test]
fn drawing_waits_for_writers_and_capturing_for_readers_too() {
    let _alone = alone();
    let mut fixture = Fixture::new(64, 64);
    let (mut client, buffer) = painter(&mut fixture, Source::Vgem, "readers");
    let reading = Timeline::new();
    buffer.attach(&reading.fence(), false);
    fixture.done(&mut client, &whole(1));
    let capture = captured(1, packed(1, SIDE, SIDE, Format::Xrgb8888));
    buffer.write_words(&plain(0xff00_00ff));
    for signals in [false, true] {
        let serial = client.submit(&capture);
        is_waiting(&mut fixture, &mut client, serial);
        assert!(buffer.bytes()[..4] == 0xff00_00ffu32.to_le_bytes(), "nothing has been written yet");
        if signals {
            reading.signal();
            is_done(&mut fixture, &mut client, serial);
            assert!(buffer.bytes()[..4] == 0xff11_2233u32.to_le_bytes());
        } else {
            times_out(&mut fixture, &mut client, serial);
            assert!(buffer.bytes()[..4] == 0xff00_00ffu32.to_le_bytes(), "nor after it was refused");
        }
    }
}

/// A capture shows its layer as it is when the fence has signalled, and whole, whatever has been drawn there meanwhile.
#[test]
fn a_capture_that_has_waited_is_whole() {
    let _alone = alone();
    let mut fixture = Fixture::new(64, 64);
    let mut other = fixture.client("draws over it");
    fixture.layer(&mut other, layer(1, 0, 0, SIDE, SIDE));
    fixture.done(&mut other, &Request::Fill(fill(1, 0xff01_0101, SIDE, SIDE)));
    let (mut client, buffer) = painter(&mut fixture, Source::Udmabuf, "captures");
    fixture.done(&mut client, &Request::LayerDestroy { layer: 1 });
    let written = buffer.written();
    let source = Pixels { x: 0, y: 0, width: SIDE, height: SIDE };
    let image = packed(1, SIDE, SIDE, Format::Xrgb8888);
    let capture = Capture { subject: CaptureSubject::Output, id: 0, source, image };
    let serial = client.submit(&Request::Capture(capture));
    is_waiting(&mut fixture, &mut client, serial);
    // Both storages of the layer are drawn into.
    for colour in [0xff02_0202, 0xff03_0303, 0xff04_0404] {
        let both = vec![Entry::Fill(fill(1, colour, SIDE, SIDE))];
        fixture.done(&mut other, &Request::Batch(both));
    }
    written.signal();
    is_done(&mut fixture, &mut client, serial);
    let expected: Vec<u8> = plain(0xff04_0404).iter().flat_map(|word| word.to_le_bytes()).collect();
    assert!(buffer.bytes()[..BYTES as usize] == expected);
}

#[test]
fn a_batch_waits_for_all_of_its_dmabufs_and_lands_whole_or_not_at_all() {
    let _alone = alone();
    let mut fixture = Fixture::new(64, 64);
    let (mut client, first) = painter(&mut fixture, Source::Udmabuf, "batches");
    let second = Source::SystemHeap.buffer(BYTES);
    second.write_words(&plain(0xff66_6666));
    lent(&mut fixture, &mut client, 2, &second);
    let part = |region, y| {
        let mut part = draw(1, packed(region, SIDE, SIDE / 2, Format::Xrgb8888));
        part.destination.y = y;
        Entry::Draw(part)
    };
    let hidden = LayerConfigure { layer: 1, visible: Some(false), ..LayerConfigure::default() };
    let half = SIDE as i32 / 2;
    let batch = Request::Batch(vec![part(1, 0), part(2, half), part(1, 0), Entry::LayerConfigure(hidden)]);
    for last in 0..3 {
        fixture.rest();
        let began = fixture.now();
        let written = [&first, &second].map(Buffer::written);
        let serial = client.submit(&batch);
        is_waiting(&mut fixture, &mut client, serial);
        // Half of the time for the one, and what is left of it for the other.
        let mut between = fixture.client("steps time");
        fixture.layer(&mut between, layer(9, 0, 0, 8, 8));
        while fixture.now() < began + PATIENCE / 2 {
            fixture.done(&mut between, &Request::Fill(fill(9, fixture.now() as u32, 8, 8)));
            assert!(fixture.vblank());
        }
        is_waiting(&mut fixture, &mut client, serial);
        if last < 2 {
            written[last].signal();
            is_waiting(&mut fixture, &mut client, serial);
            times_out(&mut fixture, &mut client, serial);
            assert_eq!(fixture.now(), began + PATIENCE, "100 ms in all");
            shows(&mut fixture, &mut client, 0xff77_7777);
        } else {
            written[0].signal();
            is_waiting(&mut fixture, &mut client, serial);
            written[1].signal();
            is_done(&mut fixture, &mut client, serial);
            let picture = picture(&mut fixture, &mut client, 1, SIDE, SIDE);
            assert!(picture[0] == 0xff11_2233 && picture[picture.len() - 1] == 0xff66_6666);
        }
    }
}

/// Where the kernel makes no snapshots (before Linux 6.0), the dmabuf itself is polled.
#[test]
fn without_snapshots_the_dmabuf_is_polled() {
    let _alone = alone();
    seccomp::refuse(seccomp::EXPORT_SYNC_FILE, Errno::ENOTTY);
    for source in Source::ALL {
        let mut fixture = Fixture::new(64, 64);
        let (mut client, buffer) = painter(&mut fixture, source, "polled");
        fixture.done(&mut client, &whole(1));
        fixture.done(&mut client, &Request::Fill(fill(1, 0xff77_7777, SIDE, SIDE)));
        let capture = captured(1, packed(1, SIDE, SIDE, Format::Xrgb8888));
        for (request, writes) in [(whole(1), true), (capture, false)] {
            fixture.rest();
            let began = fixture.now();
            let timeline = Timeline::new();
            buffer.attach(&timeline.fence(), writes);
            let serial = client.submit(&request);
            is_waiting(&mut fixture, &mut client, serial);
            times_out(&mut fixture, &mut client, serial);
            assert_eq!(fixture.now(), began + PATIENCE);
            let serial = client.submit(&request);
            is_waiting(&mut fixture, &mut client, serial);
            timeline.signal();
            is_done(&mut fixture, &mut client, serial);
        }
        shows(&mut fixture, &mut client, 0xff11_2233);
    }
}

#[test]
fn a_driver_that_refuses_is_an_error_of_its_request() {
    let _alone = alone();
    seccomp::refuse(seccomp::SYNC, Errno::EIO);
    let mut fixture = Fixture::new(64, 64);
    let (mut client, buffer) = painter(&mut fixture, Source::Udmabuf, "refused");
    let before = buffer.bytes();
    fixture.refused_with(&mut client, &whole(1), ErrorCode::RegionFault);
    let capture = captured(1, packed(1, SIDE, SIDE, Format::Xrgb8888));
    fixture.refused_with(&mut client, &capture, ErrorCode::RegionFault);
    assert!(buffer.bytes() == before);
    shows(&mut fixture, &mut client, 0xff77_7777);
}

/// However long a driver takes to map or to begin: whoever draws from other memory does not notice.
#[test]
fn a_driver_that_takes_its_time_stops_no_other_memory() {
    let _alone = alone();
    const ODD: u32 = 11 * 4096;
    let stopped = seccomp::stop(&[seccomp::mapping(ODD), seccomp::SYNC]);
    let mut fixture = Fixture::new(64, 64);
    let mut other = fixture.client("of a memfd");
    let memory = Shared::sealed(BYTES);
    fixture.region(&mut other, 1, &memory);
    fixture.layer(&mut other, layer(1, 0, 0, SIDE, SIDE));
    let mut client = fixture.client("of a slow driver");
    fixture.layer(&mut client, layer(1, 0, 0, SIDE, SIDE));
    let descriptor = of_card("vgem", ODD.into(), drm::RDWR);
    let access = Access::Read;
    let create = RegionCreate { region: 1, memory: Memory::Dmabuf, access, size: ODD.into() };
    let created = client.link.submit_with(&Request::RegionCreate(create), descriptor, client.priority);
    let serials = [created.unwrap(), client.submit(&whole(1))];
    // Mapping, beginning and ending.
    for _ in 0..3 {
        let call = next_call(&mut fixture, &stopped);
        for _ in 0..3 {
            let drawn = other.submit(&whole(1));
            while other.poll(drawn).is_none() {
                fixture.turn();
            }
        }
        call.go_on();
    }
    for serial in serials {
        is_done(&mut fixture, &mut client, serial);
    }
}

/// What has been drawn is in its layer, whatever the driver says afterwards; what has been captured may not have come to
/// where devices see it.
#[test]
fn a_driver_that_refuses_at_the_end_is_an_error_of_a_capture() {
    let _alone = alone();
    let stopped = seccomp::stop(&[seccomp::SYNC]);
    let mut fixture = Fixture::new(64, 64);
    let (mut client, _buffer) = painter(&mut fixture, Source::Udmabuf, "refused");
    let mut play = |fixture: &mut Fixture, request: &Request<'_>, interrupted: bool| {
        let serial = client.submit(request);
        next_call(fixture, &stopped).go_on();
        if interrupted {
            next_call(fixture, &stopped).fail(Errno::EINTR);
            next_call(fixture, &stopped).go_on();
        } else {
            next_call(fixture, &stopped).fail(Errno::EIO);
        }
        fixture.reply(&mut client, serial)
    };
    let capture = captured(1, packed(1, SIDE, SIDE, Format::Xrgb8888));
    for (request, interrupted) in [(whole(1), false), (whole(1), true), (capture.clone(), true)] {
        let reply = play(&mut fixture, &request, interrupted);
        assert!(matches!(reply, Reply::Done(_)), "{reply:?}");
    }
    is_refused(play(&mut fixture, &capture, false), ErrorCode::RegionFault);
    shows(&mut fixture, &mut client, 0xff11_2233);
}

fn count(folder: &str) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

/// Descriptors, mappings of dmabufs, and threads.
fn held() -> [usize; 3] {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mappings = maps.lines().filter(|line| line.contains("/dmabuf:")).count();
    [count("/proc/self/fd"), mappings, count("/proc/self/task")]
}

/// Whether it comes down to this; the helper thread may still have something to give back.
fn returns_to(before: [usize; 3]) -> bool {
    (0..10_000).any(|_| {
        std::thread::yield_now();
        held().iter().zip(before).all(|(now, before)| *now <= before)
    })
}

#[test]
fn many_are_stuck_die_and_leave_nothing_behind() {
    let _alone = alone();
    let outside = held();
    let mut fixture = Fixture::new(64, 64);
    let record = fixture.statistics();
    fixture.rest();
    let before = held();
    let began = fixture.now();
    for death in [false, true] {
        let mut stuck: Vec<_> = (0..30)
            .map(|index| {
                let source = Source::ALL[index % 4];
                let (mut client, buffer) = painter(&mut fixture, source, "stuck");
                // A batch that has begun one dmabuf when it comes to the one whose fence is withheld.
                let free = source.buffer(BYTES);
                lent(&mut fixture, &mut client, 2, &free);
                let written = buffer.written();
                let entry = |region| Entry::Draw(draw(1, packed(region, SIDE, SIDE, Format::Xrgb8888)));
                let serial = match index % 3 {
                    0 => client.submit(&whole(1)),
                    1 => client.submit(&captured(1, packed(1, SIDE, SIDE, Format::Xrgb8888))),
                    _ => client.submit(&Request::Batch(vec![entry(2), entry(1)])),
                };
                // What is sent behind it waits for it.
                let destroy = client.submit(&Request::RegionDestroy { region: 1 });
                (client, buffer, free, written, serial, destroy)
            })
            .collect();
        fixture.settle();
        shows_to_others(&mut fixture);
        for (client, _, _, _, serial, destroy) in &mut stuck {
            is_waiting(&mut fixture, client, *serial);
            assert!(client.poll(*destroy).is_none());
        }
        if death {
            // Some in the middle of everything, some when all has come to rest.
            for (index, stuck) in stuck.into_iter().enumerate() {
                let (client, buffer, free, written, ..) = stuck;
                drop(client);
                if index % 2 == 0 {
                    fixture.settle();
                }
                drop((buffer, free, written));
            }
        } else {
            for (client, _, _, _, serial, destroy) in &mut stuck {
                times_out(&mut fixture, client, *serial);
                is_done(&mut fixture, client, *destroy);
                shows(&mut fixture, client, 0xff77_7777);
            }
            drop(stuck);
        }
        fixture.rest();
        assert!(fixture.now() >= began, "time goes on");
        let now = fixture.statistics();
        fixture.rest();
        assert_eq!(
            (now.regions, now.layers, now.region_bytes),
            (record.regions, record.layers, record.region_bytes)
        );
        assert!(returns_to(before), "{:?} was {before:?}", held());
    }
    drop(fixture);
    assert!(returns_to(outside), "{:?} was {outside:?}", held());
}

/// A client that dies while the helper thread is in the middle of beginning.
#[test]
fn a_client_that_dies_while_its_dmabuf_is_begun_is_forgotten() {
    let _alone = alone();
    let stopped = seccomp::stop(&[seccomp::SYNC]);
    let mut fixture = Fixture::new(64, 64);
    let before = held();
    let mut ends = 0;
    // The alarm may ring before the end is known to be stopped, and nobody asks again for who is gone.
    while ends < 3 {
        let (mut client, buffer) = painter(&mut fixture, Source::SystemHeap, "dies");
        client.submit(&whole(1));
        let call = next_call(&mut fixture, &stopped);
        drop(client);
        drop(buffer);
        fixture.turn();
        call.go_on();
        // What was begun is ended.
        while fixture.daemon.awaits_helper() {
            fixture.turn();
            if let Ok(call) = stopped.try_recv() {
                call.go_on();
                ends += 1;
            }
        }
        fixture.rest();
        assert!(returns_to(before), "{:?} was {before:?}", held());
    }
}

#[test]
fn a_client_that_dies_while_its_dmabuf_is_mapped_is_forgotten() {
    let _alone = alone();
    let mut fixture = Fixture::new(64, 64);
    let before = held();
    for round in 0..20 {
        let buffer = Source::ALL[round % 4].buffer(BYTES);
        let mut client = fixture.client("dies");
        let access = Access::Read;
        let create = RegionCreate { region: 1, memory: Memory::Dmabuf, access, size: BYTES };
        let descriptor = buffer.descriptor.try_clone().unwrap();
        client.link.submit_with(&Request::RegionCreate(create), descriptor, client.priority).unwrap();
        client.submit(&whole(1));
        fixture.turn();
        assert!(fixture.daemon.awaits_helper());
        drop((client, buffer));
        fixture.rest();
        assert!(returns_to(before), "{:?} was {before:?}", held());
    }
}

/// The real loop on the kernel's clock, and the client library.
#[test]
fn a_program_lends_a_dmabuf() {
    let _alone = alone();
    let running = Running::start(config(64, 64, ""));
    let mut connection = Connection::open_at(running.socket(), "program").unwrap();
    let layer = connection.create_layer(&LayerOptions::new(SIDE, SIDE)).unwrap();
    let buffer = Source::Vkms.buffer(BYTES);
    buffer.write_words(&plain(0xff31_4159));
    let lend = |connection: &mut Connection| {
        let descriptor = buffer.descriptor.try_clone().unwrap();
        connection.lend_dmabuf(descriptor, BYTES as usize, Access::ReadWrite).unwrap()
    };
    let mut region = lend(&mut connection);
    let mut taken = connection.create_region(BYTES as usize).unwrap();
    let view = ImageView::packed(SIDE, SIDE, Format::Xrgb8888);
    connection.draw(&layer, &mut region, &Draw::new(view)).unwrap();
    connection.capture_layer(&layer, 0, 0, &mut taken, &view).unwrap();
    assert!(taken.pixels_mut() == plain(0xff31_4159));
    // The deadline comes of itself, and the connection goes on.
    let mut late = lend(&mut connection);
    let written = buffer.written();
    for _ in 0..2 {
        match connection.draw(&layer, &mut late, &Draw::new(view)) {
            Err(Error::Refused(refusal)) => assert_eq!(refusal.code, ErrorCode::FenceTimeout, "{refusal}"),
            other => panic!("{other:?}"),
        }
    }
    written.signal();
    connection.fill(&layer, 0xff00_0000, 0, 0, SIDE, SIDE).unwrap();
    connection.draw(&layer, &mut late, &Draw::new(view)).unwrap();
    buffer.write_words(&plain(0));
    connection.capture_layer(&layer, 0, 0, &mut late, &view).unwrap();
    assert!(buffer.bytes()[..4] == 0xff31_4159u32.to_le_bytes());
    connection.destroy_region(late).unwrap();
}

#[test]
fn what_cannot_be_lent_is_refused() {
    let _alone = alone();
    let mut fixture = Fixture::configured(config(64, 64, "[limits]\ndmabufs = 2"));
    let mut client = fixture.client("wrong");
    let before = held();
    for source in Source::ALL {
        let buffer = source.buffer(8192);
        for (size, code) in [
            (0, ErrorCode::RegionTooSmall),
            (buffer.size + 1, ErrorCode::RegionTooSmall),
            (1 << 29, ErrorCode::RegionTooSmall),
            (u64::MAX, ErrorCode::LimitReached),
        ] {
            for access in [Access::Read, Access::ReadWrite] {
                lending_fails(&mut fixture, &mut client, &buffer, access, size, code);
            }
        }
        // As what it is not.
        let create = RegionCreate { region: 1, memory: Memory::Memfd, access: Access::Read, size: 4096 };
        let reply = share(&mut fixture, &mut client, create, &buffer.descriptor);
        is_refused(reply, ErrorCode::RegionNotMappable);
        // A part of it, and one that is no whole page.
        for size in [1, 4097] {
            let reply = lend(&mut fixture, &mut client, 1, &buffer, Access::Read, size);
            assert!(matches!(reply, Reply::Done(_)), "{source:?}: {reply:?}");
            let image = packed(1, 1, 1, Format::Xrgb8888);
            fixture.refused_with(&mut client, &captured(1, image), ErrorCode::UnknownLayer);
            fixture.done(&mut client, &Request::RegionDestroy { region: 1 });
        }
    }
    // Exported for reading only.
    for card in ["vgem", "vkms"] {
        let reading = of_card(card, 4096, 0);
        let create = |access| RegionCreate { region: 1, memory: Memory::Dmabuf, access, size: 4096 };
        let reply = share(&mut fixture, &mut client, create(Access::ReadWrite), &reading);
        is_refused(reply, ErrorCode::RegionNotMappable);
        let reply = share(&mut fixture, &mut client, create(Access::Read), &reading);
        assert!(matches!(reply, Reply::Done(_)), "{reply:?}");
        let image = packed(1, 8, 8, Format::Xrgb8888);
        fixture.layer(&mut client, layer(1, 0, 0, 8, 8));
        fixture.refused_with(&mut client, &captured(1, image), ErrorCode::RegionNotWritable);
        fixture.done(&mut client, &Request::Draw(draw(1, image)));
        fixture.done(&mut client, &Request::LayerDestroy { layer: 1 });
        fixture.done(&mut client, &Request::RegionDestroy { region: 1 });
    }
    // The limit is the user's, and what is refused takes nothing from it.
    let mut other = fixture.client("of the same user");
    let buffer = Source::SystemHeap.buffer(4096);
    lent(&mut fixture, &mut client, 1, &buffer);
    lent(&mut fixture, &mut other, 1, &buffer);
    for client in [&mut client, &mut other] {
        lending_fails(&mut fixture, client, &buffer, Access::Read, 4096, ErrorCode::LimitReached);
        fixture.region(client, 2, &Shared::sealed(4096));
    }
    drop(other);
    fixture.settle();
    lent(&mut fixture, &mut client, 3, &buffer);
    for region in [1, 2, 3] {
        fixture.done(&mut client, &Request::RegionDestroy { region });
    }
    drop(buffer);
    assert!(returns_to(before), "{:?} was {before:?}", held());
}

/// A driver may map none of its exports, or have no memory for one.
#[test]
fn what_its_driver_does_not_map_is_refused() {
    let _alone = alone();
    const ODD: u32 = 7 * 4096;
    const LARGE: u32 = 9 * 4096;
    seccomp::refuse(seccomp::mapping(ODD), Errno::ENODEV);
    seccomp::refuse(seccomp::mapping(LARGE), Errno::ENOMEM);
    let mut fixture = Fixture::configured(config(64, 64, "[limits]\ndmabufs = 1"));
    let mut client = fixture.client("not mapped");
    let descriptor = of_card("vgem", u64::from(LARGE), drm::RDWR);
    for (size, code) in [(ODD, ErrorCode::RegionNotMappable), (LARGE, ErrorCode::OutOfMemory)] {
        for access in [Access::Read, Access::ReadWrite] {
            let create = RegionCreate { region: 1, memory: Memory::Dmabuf, access, size: size.into() };
            is_refused(share(&mut fixture, &mut client, create, &descriptor), code);
        }
    }
    let create = RegionCreate { region: 1, memory: Memory::Dmabuf, access: Access::Read, size: 4096 };
    let reply = share(&mut fixture, &mut client, create, &descriptor);
    assert!(matches!(reply, Reply::Done(_)), "what was refused has not been charged: {reply:?}");
}

/// The memory behind a udmabuf is pinned: what is done to its memfd takes nothing away.
#[test]
fn a_udmabuf_outlives_what_is_done_to_its_memfd() {
    let _alone = alone();
    let mut fixture = Fixture::new(64, 64);
    let mut client = fixture.client("manipulates");
    let memory = Shared::new(BYTES.next_multiple_of(4096), true, SealFlag::F_SEAL_SHRINK);
    memory.write_words(&plain(0xff10_2030));
    let buffer = Buffer::new(udmabuf(&memory), memory.size);
    lent(&mut fixture, &mut client, 1, &buffer);
    fixture.layer(&mut client, layer(1, 0, 0, SIDE, SIDE));
    fixture.done(&mut client, &whole(1));
    assert!(memory.file.set_len(0).is_err(), "it is sealed");
    let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    fallocate(&memory.file, flags, 0, memory.size as i64).unwrap();
    memory.file.set_len(memory.size * 2).unwrap();
    fixture.done(&mut client, &Request::Fill(fill(1, 0xff77_7777, SIDE, SIDE)));
    fixture.done(&mut client, &whole(1));
    shows(&mut fixture, &mut client, 0xff10_2030);
    drop((memory, buffer));
    fixture.done(&mut client, &Request::Fill(fill(1, 0xff77_7777, SIDE, SIDE)));
    fixture.done(&mut client, &whole(1));
    shows(&mut fixture, &mut client, 0xff10_2030);
}
