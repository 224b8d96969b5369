//! Regions of dmabuf memory, in a guest that has drivers which make some: every one of them is drawn from and captured
//! into, and no fence that is withheld costs anybody but whoever drew from it.

mod device_memory;
mod fixture;

use std::collections::BTreeSet;

use blitd_client::{Connection, Draw, Error, ImageView, LayerOptions};
use blitd_protocol::error::ErrorCode;
use blitd_protocol::image::{Format, Image, Plane};
use blitd_protocol::request::{Entry, Request};
use blitd_protocol::value::{Access, Operator, Path};
use device_memory::Source;
use device_memory::stand::{BYTES, SIDE, alone, captured, lent, painter, picture, plain, whole};
use fixture::running::Running;
use fixture::{Client, Fixture, Random, Shared, config, draw, fill, layer, packed};

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
