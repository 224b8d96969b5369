//! Fences that signal in time, too late, and never: none costs anybody but whoever drew from it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use blitd_protocol::error::ErrorCode;
use blitd_protocol::image::Format;
use blitd_protocol::reply::Reply;
use blitd_protocol::request::{Capture, Entry, LayerConfigure, Pixels, Request};
use blitd_protocol::value::CaptureSubject;
use nix::errno::Errno;

use super::stand::{
    BYTES, PATIENCE, SIDE, alone, captured, held, is_done, is_waiting, lent, next_call, painter, picture,
    plain, returns_to, shows, shows_to_others, times_out, waited_for, whole,
};
use super::{Buffer, Source, Timeline, seccomp};
use crate::fixture::{Fixture, START, draw, fill, layer, packed};

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
