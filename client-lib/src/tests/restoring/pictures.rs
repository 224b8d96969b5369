//! What makes the picture of a layer again: which pixels travel, from where, and what is captured.

use super::*;

/// A photograph that is shown small is not kept for that.
#[test]
fn a_picture_that_is_much_less_than_what_it_was_made_of_becomes_one_image() {
    for (side, is_captured) in [(60, false), (200, true)] {
        let place = Place::new();
        let (mut connection, mut peer) = place.connect(Mode::Shared);
        let asked = thread::scope(|scope| {
            let daemon = scope.spawn(|| {
                std::iter::repeat_with(|| peer.done().request)
                    .take_while(|asked| !matches!(asked, Request::Fill(_)))
                    .collect::<Vec<_>>()
            });
            let layer = connection.create_layer(&options()).unwrap();
            let mut region = connection.create_region((side * side * 4) as usize).unwrap();
            let draw = Draw::new(ImageView::packed(side, side, Format::Xrgb8888)).scaled_to(50, 50);
            connection.draw(&layer, &mut region, &draw).unwrap();
            connection.destroy_region(region).unwrap();
            connection.fill(&layer, 9, 1, 1, 2, 2).unwrap();
            daemon.join().unwrap()
        });
        let captures = asked.iter().filter(|asked| matches!(asked, Request::Capture(_))).count();
        assert_eq!(captures, usize::from(is_captured), "{side}: {asked:?}");
    }
}

/// What a layer shows that another program drew is captured, so that it can be restored too.
#[test]
fn the_picture_of_a_claimed_layer_is_captured() {
    let place = Place::new();
    let (mut connection, mut peer) = place.connect(Mode::Shared);
    let token = Token::from_bytes([9; 16]).unwrap();
    let (layer, captured) = thread::scope(|scope| {
        let daemon = scope.spawn(|| {
            let asked = peer.next().unwrap();
            let Request::LayerClaim { layer, .. } = asked.request else { panic!("{asked:?}") };
            peer.send(asked.serial, &claimed(layer));
            let asked = [peer.done(), peer.done(), peer.done(), peer.done()];
            asked.into_iter().find_map(|asked| match asked.request {
                Request::Capture(capture) => Some(capture),
                _ => None,
            })
        });
        let layer = connection.claim_layer(token).unwrap();
        connection.configure_layer(&layer, &LayerChange::default().z(1)).unwrap();
        (layer, daemon.join().unwrap().expect("a capture"))
    });
    assert_eq!((layer.width(), layer.height(), layer.token()), (50, 50, Some(token)));
    assert_eq!(
        (captured.subject, captured.id, captured.source.width),
        (CaptureSubject::Layer, layer.id(), 50)
    );
}

#[test]
fn a_region_is_saved_when_it_is_to_change_and_its_pixels_are_carried() {
    let place = Place::new();
    let (mut connection, mut peer) = place.connect(Mode::Shared);
    let (layer, mut region) = prepared(&mut connection, &mut peer);
    for (number, pixel) in (0..).zip(region.pixels_mut()) {
        *pixel = number;
    }
    let part = Draw::new(ImageView::packed(20, 20, Format::Xrgb8888)).part(5, 6, 3, 2);
    answered(&mut connection, &mut peer, 1, |connection| {
        connection.draw(&layer, &mut region, &part).unwrap()
    });
    region.pixels_mut().fill(0xff);
    drop(peer);
    let mut peer = place.welcome(Mode::Shared);
    let asked = restored(&mut peer);
    let Request::Draw(draw) = &asked[2].request else { panic!("{asked:?}") };
    let words: Vec<_> = draw.carried.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
    assert_eq!(words, [125, 126, 127, 145, 146, 147]);
    assert_eq!((draw.image.planes[0].region, draw.image.width, draw.source.x), (0, 3, 0));
}

#[test]
fn what_another_draw_has_covered_is_not_saved() {
    let place = Place::new();
    let (mut connection, mut peer) = place.connect(Mode::Shared);
    let (layer, mut first) = prepared(&mut connection, &mut peer);
    let second = answered(&mut connection, &mut peer, 5, |connection| {
        let mut second = connection.create_region(4096).unwrap();
        connection.draw(&layer, &mut first, &draw()).unwrap();
        connection.draw(&layer, &mut second, &draw()).unwrap();
        connection.draw(&layer, &mut first, &draw().at(10, 0)).unwrap();
        connection.draw(&layer, &mut second, &draw().at(20, 0)).unwrap();
        second
    });
    // Not the last draw is covered, but the one before.
    answered(&mut connection, &mut peer, 1, |connection| connection.fill(&layer, 1, 9, 0, 6, 9).unwrap());
    first.pixels_mut().fill(1);
    drop(peer);
    let mut peer = place.welcome(Mode::Shared);
    let drawn: Vec<_> = restored(&mut peer)
        .into_iter()
        .filter_map(|asked| match asked.request {
            Request::Draw(draw) => Some((draw.image.planes[0].region, draw.carried.len())),
            _ => None,
        })
        .collect();
    assert_eq!(drawn, [(second.id(), 0), (second.id(), 0)]);
}

#[test]
fn a_picture_of_too_many_parts_becomes_one_image() {
    for is_refused in [false, true] {
        let place = Place::new();
        let (mut connection, mut peer) = place.connect(Mode::Shared);
        let (layer, _region) = prepared(&mut connection, &mut peer);
        let pixels = |number: i32| Pixels { x: number % 50, y: number / 50, width: 1, height: 1 };
        let mut fill = |connection: &mut Connection, range: std::ops::Range<i32>| {
            let entries: Vec<_> =
                range.map(|number| BatchEntry::Fill(&layer, number as u32, pixels(number))).collect();
            answered(connection, &mut peer, 1, |connection| connection.batch(None, &entries).unwrap());
        };
        fill(&mut connection, 0..500);
        fill(&mut connection, 500..520);
        connection.flush().unwrap();
        let create = peer.next().unwrap();
        let Request::RegionCreate(made) = create.request else { panic!("{create:?}") };
        let capture = peer.next().unwrap();
        let Request::Capture(asked) = capture.request else { panic!("{capture:?}") };
        let destroy = peer.next().unwrap();
        assert_eq!(destroy.request, Request::RegionDestroy { region: made.region });
        assert_eq!((made.size, asked.subject, asked.id), (10_000, CaptureSubject::Layer, layer.id()));
        if is_refused {
            for asked in [&create, &capture, &destroy] {
                peer.send(asked.serial, &refused(ErrorCode::LimitReached));
            }
        } else {
            let memory = std::fs::File::from(create.descriptors.into_iter().next().unwrap());
            std::os::unix::fs::FileExt::write_all_at(&memory, &[7; 10_000], 0).unwrap();
            [create.serial, capture.serial, destroy.serial]
                .iter()
                .for_each(|serial| peer.send(*serial, &done()));
        }
        answered(&mut connection, &mut peer, 1, |connection| {
            connection.fill(&layer, 9, 1, 1, 2, 2).unwrap();
        });
        drop(peer);
        let mut peer = place.welcome(Mode::Shared);
        let asked = restored(&mut peer);
        let parts: Vec<_> = asked[2..asked.len() - 1].iter().map(|asked| &asked.request).collect();
        match parts.as_slice() {
            [Request::Draw(draw), Request::Fill(fill)] => {
                assert!(
                    !is_refused && draw.carried.len() == 10_000 && draw.carried.iter().all(|&byte| byte == 7)
                );
                assert_eq!(fill.colour, 9);
            }
            [] => assert!(is_refused, "what is not known is not made up"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn many_pixels_travel_in_messages_that_can_be() {
    let place = Place::new();
    let (mut connection, mut peer) = place.connect(Mode::Shared);
    let view = ImageView::packed(20_000, 3, Format::Xrgb8888);
    let (layer, mut region) = answered(&mut connection, &mut peer, 2, |connection| {
        (
            connection.create_layer(&LayerOptions::new(20_000, 3)).unwrap(),
            connection.create_region(240_000).unwrap(),
        )
    });
    for (number, pixel) in (0..).zip(region.pixels_mut()) {
        *pixel = number;
    }
    answered(&mut connection, &mut peer, 1, |connection| {
        connection.draw(&layer, &mut region, &Draw::new(view)).unwrap();
    });
    region.pixels_mut().fill(0);
    drop(peer);
    let mut peer = place.welcome(Mode::Shared);
    let mut seen = vec![u32::MAX; 60_000];
    for asked in restored(&mut peer) {
        let Request::Draw(draw) = asked.request else { continue };
        assert!(draw.carried.len() <= MAX_CARRIED);
        let words: Vec<u32> =
            draw.carried.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
        for (row, words) in words.chunks(draw.destination.width as usize).enumerate() {
            let start = (draw.destination.y as usize + row) * 20_000 + draw.destination.x as usize;
            seen[start..start + words.len()].copy_from_slice(words);
        }
    }
    assert!(seen.into_iter().eq(0..60_000));
}

/// Brightness and colours of a pixel in a packed image of this width and height.
fn of_pixel(
    format: Format,
    bytes: &[u8],
    (width, height): (usize, usize),
    (x, y): (usize, usize),
) -> [u8; 3] {
    let pairs = width.div_ceil(2);
    if format == Format::Yuyv {
        let pair = &bytes[(y * pairs + x / 2) * 4..][..4];
        return [pair[x % 2 * 2], pair[1], pair[3]];
    }
    let colours = &bytes[width * height + (y / 2 * pairs + x / 2) * 2..][..2];
    [bytes[y * width + x], colours[0], colours[1]]
}

#[test]
fn pixels_that_share_their_colours_travel_with_these() {
    let parts = [(0, 0, 640, 480), (3, 1, 637, 479), (0, 7, 1, 473), (639, 0, 1, 480), (10, 11, 5, 1)];
    for (format, part) in [Format::Nv12, Format::Yuyv].into_iter().flat_map(|it| parts.map(|part| (it, part)))
    {
        let (left, top, width, height) = part;
        let place = Place::new();
        let (mut connection, mut peer) = place.connect(Mode::Shared);
        let (layer, mut region) = answered(&mut connection, &mut peer, 2, |connection| {
            let layer = connection.create_layer(&LayerOptions::new(640, 480)).unwrap();
            (layer, connection.create_region(640 * 480 * 2).unwrap())
        });
        let original: Vec<u8> = (0..640 * 480 * 2u32).map(|at| (at * 7 + at / 640 * 13) as u8).collect();
        region.bytes_mut().copy_from_slice(&original);
        answered(&mut connection, &mut peer, 1, |connection| {
            let draw = Draw::new(ImageView::packed(640, 480, format)).part(left, top, width, height);
            connection.draw(&layer, &mut region, &draw).unwrap();
        });
        region.bytes_mut().fill(0);
        drop(peer);
        let mut seen = vec![false; (width * height) as usize];
        for asked in restored(&mut place.welcome(Mode::Shared)) {
            let Request::Draw(draw) = asked.request else { continue };
            assert!(draw.carried.len() <= MAX_CARRIED, "{format} {part:?}");
            let size = (draw.image.width as usize, draw.image.height as usize);
            for (y, x) in
                (0..draw.source.height >> 16).flat_map(|y| (0..draw.source.width >> 16).map(move |x| (y, x)))
            {
                let (across, down) = (draw.destination.x as u32 + x, draw.destination.y as u32 + y);
                let from = ((draw.source.x >> 16) + x, (draw.source.y >> 16) + y);
                let carried = of_pixel(format, &draw.carried, size, (from.0 as usize, from.1 as usize));
                let at = ((left + across) as usize, (top + down) as usize);
                assert_eq!(carried, of_pixel(format, &original, (640, 480), at), "{format} {part:?} {at:?}");
                seen[(down * width + across) as usize] = true;
            }
        }
        assert!(seen.into_iter().all(|it| it), "{format} {part:?}");
    }
}

#[test]
fn an_inline_draw_is_sent_again_with_all_of_its_pixels() {
    let place = Place::new();
    let (mut connection, mut peer) = place.connect(Mode::Inline);
    let view = ImageView::packed(150, 200, Format::Xrgb8888);
    let (layer, mut region) = answered(&mut connection, &mut peer, 2, |connection| {
        (
            connection.create_layer(&LayerOptions::new(150, 200)).unwrap(),
            connection.create_region(120_000).unwrap(),
        )
    });
    region.bytes_mut().fill(3);
    let lent = connection.lend_draw(&layer, region, &Draw::new(view)).unwrap();
    connection.flush().unwrap();
    // The first of two pieces is answered, and lost with the daemon.
    assert!(matches!(peer.done().request, Request::RegionWrite { offset: 0, .. }));
    drop(peer);
    let mut peer = place.welcome(Mode::Inline);
    let asked = restored(&mut peer);
    assert!(matches!(&asked[0].request, Request::RegionCreate(create) if create.memory == Memory::Held));
    let again: Vec<_> = (0..3).map(|_| peer.done().request).collect();
    let [
        Request::RegionWrite { offset: 0, bytes: Cow::Owned(first), .. },
        Request::RegionWrite { offset: 65_536, .. },
        Request::Draw(_),
    ] = again.as_slice()
    else {
        panic!("{again:?}")
    };
    assert!(first.iter().all(|&byte| byte == 3));
    assert_eq!(lent.wait(&mut connection).unwrap().0.len(), 120_000);
}

#[test]
fn a_dmabuf_is_lent_again_also_for_a_picture_that_outlives_it() {
    let place = Place::new();
    let (mut connection, mut peer) = place.connect(Mode::Shared);
    let file = || std::fs::File::open("/dev/null").unwrap().into();
    let (layer, mut region) = answered(&mut connection, &mut peer, 2, |connection| {
        let layer = connection.create_layer(&options()).unwrap();
        (layer, connection.lend_dmabuf(file(), 4096, Access::Read).unwrap())
    });
    let id = region.id();
    answered(&mut connection, &mut peer, 1, |connection| {
        connection.draw(&layer, &mut region, &draw()).unwrap();
    });
    let mut region = Some(region);
    for is_destroyed in [false, true] {
        drop(peer);
        peer = place.welcome(Mode::Shared);
        let asked = restored(&mut peer);
        let descriptors: Vec<_> = asked.iter().map(|asked| asked.descriptors.len()).collect();
        let requests: Vec<_> = asked.iter().map(|asked| &asked.request).collect();
        match requests.as_slice() {
            [Request::RegionCreate(create), _, Request::Draw(draw), _] if !is_destroyed => {
                assert_eq!((create.region, create.memory, create.access), (id, Memory::Dmabuf, Access::Read));
                assert_eq!((draw.image.planes[0].region, descriptors[0]), (id, 1));
            }
            [_, Request::RegionCreate(create), Request::Draw(_), Request::RegionDestroy { region }, _] => {
                assert!(
                    is_destroyed && create.memory == Memory::Dmabuf && *region == id && descriptors[1] == 1
                );
            }
            other => panic!("{other:?}"),
        }
        if let Some(region) = region.take() {
            answered(&mut connection, &mut peer, 1, |connection| connection.destroy_region(region).unwrap());
        }
    }
}
