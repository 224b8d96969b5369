//! Drivers that refuse, wait, and do not map; clients that lend what they cannot, and that die while theirs is at work.

use blitd_protocol::error::ErrorCode;
use blitd_protocol::image::Format;
use blitd_protocol::reply::Reply;
use blitd_protocol::request::{RegionCreate, Request};
use blitd_protocol::value::{Access, Memory};
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, SealFlag, fallocate};

use super::stand::{
    BYTES, SIDE, alone, captured, held, is_done, is_refused, lend, lending_fails, lent, next_call, painter,
    plain, returns_to, share, shows, whole,
};
use super::{Buffer, Source, of_card, seccomp, udmabuf};
use crate::fixture::{Fixture, Shared, config, draw, fill, layer, packed};

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

/// What has been drawn is in its layer, whatever the driver says afterwards; what has been captured may not have come
/// to where devices see it.
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
