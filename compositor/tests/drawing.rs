//! What is drawn is what is there: in the layer, and on the output, pixel for pixel.

mod fixture;

use blitd_pixels::pixel::{OPAQUE, from_rgb565, multiply, over};
use blitd_protocol::error::ErrorCode;
use blitd_protocol::image::{Format, Image, Plane};
use blitd_protocol::reply::Reply;
use blitd_protocol::request::{Capture, Draw, Entry, FixedRectangle, LayerConfigure, Pixels, Request};
use blitd_protocol::value::{CaptureSubject, ColorEncoding, ColorRange, NotShown, Operator, Path};
use fixture::{Fixture, PERIOD, Random, START, Shared, capture, draw, fill, layer, packed};

const BACKGROUND: u32 = OPAQUE;

/// Draws a random picture of a format, at an odd stride and offset where the format lets it, and compares every pixel
/// of the layer and of the output with what a reader of drm_fourcc.h would expect.
fn check_format(format: Format, operator: Operator, opacity: u8) {
    const WIDTH: u32 = 61;
    const HEIGHT: u32 = 37;
    let stride = WIDTH * format.bytes_per_pixel() + 3;
    let offset = 5;
    let mut random = Random(u64::from(format.fourcc()) + u64::from(opacity));
    let memory = Shared::sealed(u64::from(stride * HEIGHT) + offset);
    let mut bytes: Vec<u8> = (0..memory.size).map(|_| random.next() as u8).collect();
    for pixel in 0..(WIDTH * HEIGHT) as usize {
        // Channels of a premultiplied pixel are at most its alpha.
        let at = offset as usize
            + pixel / WIDTH as usize * stride as usize
            + pixel % WIDTH as usize * format.bytes_per_pixel() as usize;
        if format.has_alpha() {
            let alpha = bytes[at + 3];
            bytes[at..at + 3].iter_mut().for_each(|channel| *channel = (*channel).min(alpha));
        }
    }
    memory.write(0, &bytes);
    let source = |x: usize, y: usize| {
        let at = offset as usize + y * stride as usize + x * format.bytes_per_pixel() as usize;
        let byte = |index: usize| u32::from(bytes[at + index]);
        let word = match format {
            Format::Xrgb8888 => OPAQUE | (byte(2) << 16) | (byte(1) << 8) | byte(0),
            Format::Argb8888 => (byte(3) << 24) | (byte(2) << 16) | (byte(1) << 8) | byte(0),
            Format::Xbgr8888 => OPAQUE | (byte(0) << 16) | (byte(1) << 8) | byte(2),
            Format::Abgr8888 => (byte(3) << 24) | (byte(0) << 16) | (byte(1) << 8) | byte(2),
            Format::Rgb565 => from_rgb565(((byte(1) << 8) | byte(0)) as u16),
            Format::Rgb888 => OPAQUE | (byte(2) << 16) | (byte(1) << 8) | byte(0),
            Format::Xrgb2101010 => {
                let word = (byte(3) << 24) | (byte(2) << 16) | (byte(1) << 8) | byte(0);
                let channel = |shift: u32| (word >> shift & 0x3ff) / 4;
                OPAQUE | (channel(20) << 16) | (channel(10) << 8) | channel(0)
            }
            Format::Nv12 | Format::Yuyv => unreachable!("these have a test of their own"),
        };
        multiply(word, opacity)
    };

    let mut fixture = Fixture::new(100, 80);
    let mut client = fixture.client("formats");
    fixture.region(&mut client, 2, &memory);
    let mut translucent = layer(1, 10, 20, 64, 40);
    translucent.fourcc = Format::Argb8888.fourcc();
    fixture.layer(&mut client, translucent);
    let under = 0x8020_4060;
    fixture.done(&mut client, &Request::Fill(fill(1, under, 64, 40)));
    let image = Image::linear(WIDTH, HEIGHT, format, Plane { region: 2, stride, offset });
    let mut request = draw(1, image);
    request.operator = operator;
    request.opacity = opacity;
    request.destination.x = 2;
    request.destination.y = 1;
    let receipt = fixture.done(&mut client, &Request::Draw(request));
    assert_eq!(receipt.bytes, u64::from(WIDTH * HEIGHT * 4));

    let expected = |x: usize, y: usize| {
        let inside = (2..63).contains(&x) && (1..38).contains(&y);
        match operator {
            _ if !inside => under,
            Operator::Source => source(x - 2, y - 1),
            Operator::Over => over(source(x - 2, y - 1), under),
        }
    };
    let taken = Shared::sealed(64 * 40 * 4);
    fixture.region(&mut client, 1, &taken);
    fixture.done(
        &mut client,
        &Request::Capture(Capture {
            subject: CaptureSubject::Layer,
            id: 1,
            source: Pixels { x: 0, y: 0, width: 64, height: 40 },
            image: packed(1, 64, 40, Format::Argb8888),
        }),
    );
    for (index, word) in taken.words().into_iter().enumerate() {
        let (x, y) = (index % 64, index / 64);
        assert_eq!(word, expected(x, y), "{format} {operator:?} {opacity}: layer pixel ({x}, {y})");
    }
    for (index, word) in fixture.screen(100, 80).into_iter().enumerate() {
        let (x, y) = (index % 100, index / 100);
        let inside = (10..74).contains(&x) && (20..60).contains(&y);
        let composed = if inside { over(expected(x - 10, y - 20), BACKGROUND) } else { BACKGROUND };
        assert_eq!(word, composed, "{format} {operator:?} {opacity}: output pixel ({x}, {y})");
    }
}

#[test]
fn every_format_at_odd_strides_and_offsets() {
    for format in Format::ALL.into_iter().filter(|format| !format.is_yuv()) {
        for operator in [Operator::Source, Operator::Over] {
            check_format(format, operator, 255);
            check_format(format, operator, 100);
        }
    }
}

#[test]
fn yuv_has_the_colours_of_its_encoding_and_range() {
    const WIDTH: usize = 9;
    const HEIGHT: usize = 7;
    let mut fixture = Fixture::new(16, 16);
    let mut client = fixture.client("yuv");
    let memory = Shared::sealed(4096);
    let mut random = Random(709);
    let bytes: Vec<u8> = (0..4096).map(|_| random.next() as u8).collect();
    memory.write(0, &bytes);
    fixture.region(&mut client, 2, &memory);
    fixture.layer(&mut client, layer(1, 0, 0, 16, 16));
    let shown = Shared::sealed(16 * 16 * 4);
    fixture.region(&mut client, 1, &shown);
    // Rows of 11 bytes at 5, and those of the colours of 13 bytes at 1000; rows of 22 bytes at 5.
    let plane = |stride, offset| Plane { region: 2, stride, offset };
    let mut nv12 = Image::linear(WIDTH as u32, HEIGHT as u32, Format::Nv12, plane(11, 5));
    (nv12.plane_count, nv12.planes[1]) = (2, plane(13, 1000));
    let yuyv = Image::linear(WIDTH as u32, HEIGHT as u32, Format::Yuyv, plane(22, 5));
    let of_nv12 = |x: usize, y: usize| {
        let pair = 1000 + y / 2 * 13 + x / 2 * 2;
        [5 + y * 11 + x, pair, pair + 1]
    };
    let of_yuyv = |x: usize, y: usize| {
        let pair = 5 + y * 22 + x / 2 * 4;
        [pair + x % 2 * 2, pair + 1, pair + 3]
    };
    for (encoding, kr, kb) in [(ColorEncoding::Bt601, 0.299, 0.114), (ColorEncoding::Bt709, 0.2126, 0.0722)] {
        for (range, black, y_range, c_range) in
            [(ColorRange::Limited, 16.0, 219.0, 224.0), (ColorRange::Full, 0.0, 255.0, 255.0)]
        {
            for (image, samples) in
                [(nv12, &of_nv12 as &dyn Fn(usize, usize) -> [usize; 3]), (yuyv, &of_yuyv)]
            {
                let part = |x, y| Pixels { x, y, width: WIDTH as u32 - 1, height: HEIGHT as u32 - 1 };
                let request = Draw {
                    source: FixedRectangle::from_pixels(1, 1, WIDTH as u16 - 1, HEIGHT as u16 - 1),
                    destination: part(0, 0),
                    encoding,
                    range,
                    ..draw(1, image)
                };
                fixture.done(&mut client, &Request::Draw(request));
                fixture.done(&mut client, &capture(CaptureSubject::Layer, 1, 16, 16));
                let pixels = shown.bytes();
                for (x, y) in (1..WIDTH).flat_map(|x| (1..HEIGHT).map(move |y| (x, y))) {
                    let [luma, cb, cr] = samples(x, y).map(|at| f64::from(bytes[at]));
                    let (luma, cb, cr) =
                        ((luma - black) / y_range, (cb - 128.0) / c_range, (cr - 128.0) / c_range);
                    let (red, blue) = (luma + 2.0 * (1.0 - kr) * cr, luma + 2.0 * (1.0 - kb) * cb);
                    let green = (luma - kr * red - kb * blue) / (1.0 - kr - kb);
                    let at = ((y - 1) * 16 + x - 1) * 4;
                    for (ours, exact) in pixels[at..at + 3].iter().zip([blue, green, red]) {
                        let exact = (exact * 255.0).clamp(0.0, 255.0);
                        let is_near = (f64::from(*ours) - exact).abs() < 0.55;
                        assert!(is_near, "{encoding:?} {range:?} ({x}, {y}): {ours} is {exact}");
                    }
                }
            }
        }
    }
    let mut apart = nv12;
    apart.planes[1].region = 1;
    fixture.refused_with(&mut client, &Request::Draw(draw(1, apart)), ErrorCode::NotSupported);
}

#[test]
fn captures_have_the_byte_order_of_their_format() {
    let mut fixture = Fixture::new(8, 8);
    let mut client = fixture.client("orders");
    fixture.layer(&mut client, layer(1, 0, 0, 8, 8));
    fixture.done(&mut client, &Request::Fill(fill(1, 0x0011_2233, 8, 8)));
    for (format, expected) in [
        (Format::Xrgb8888, [0x33, 0x22, 0x11, 0xff]),
        (Format::Argb8888, [0x33, 0x22, 0x11, 0xff]),
        (Format::Xbgr8888, [0x11, 0x22, 0x33, 0xff]),
        (Format::Abgr8888, [0x11, 0x22, 0x33, 0xff]),
    ] {
        for subject in [CaptureSubject::Layer, CaptureSubject::Output] {
            let memory = Shared::sealed(5 + 6 * 29);
            let region = 7;
            fixture.region(&mut client, region, &memory);
            let image = Image::linear(6, 5, format, Plane { region, stride: 29, offset: 5 });
            let source = Pixels { x: 1, y: 2, width: 6, height: 5 };
            let id = u32::from(subject == CaptureSubject::Layer);
            fixture.done(&mut client, &Request::Capture(Capture { subject, id, source, image }));
            let bytes = memory.bytes();
            for y in 0..5 {
                for x in 0..6 {
                    let at = 5 + y * 29 + x * 4;
                    assert_eq!(bytes[at..at + 4], expected, "{format} pixel ({x}, {y})");
                }
                let gap = 5 + y * 29 + 24;
                assert!(
                    bytes[gap..gap + 5].iter().all(|byte| *byte == 0),
                    "bytes between rows are not touched"
                );
            }
            fixture.done(&mut client, &Request::RegionDestroy { region });
        }
    }
}

#[test]
fn what_leaves_the_layer_is_clipped() {
    let mut fixture = Fixture::new(16, 16);
    let mut client = fixture.client("clipping");
    let memory = Shared::sealed(16 * 16 * 4);
    let words: Vec<u32> = (0..256).map(|index| OPAQUE | index).collect();
    memory.write_words(&words);
    fixture.region(&mut client, 1, &memory);
    fixture.layer(&mut client, layer(1, -4, 3, 10, 10));
    for (x, y) in [(-3, -5), (5, 7), (-20, 0), (3, 40)] {
        fixture.done(&mut client, &Request::Fill(fill(1, 0, 10, 10)));
        let mut request = draw(1, packed(1, 16, 16, Format::Xrgb8888));
        request.destination.x = x;
        request.destination.y = y;
        fixture.done(&mut client, &Request::Draw(request));
        for (index, word) in fixture.screen(16, 16).into_iter().enumerate() {
            let (column, row) = (index as i32 % 16, index as i32 / 16);
            let (in_layer_x, in_layer_y) = (column + 4, row - 3);
            let (source_x, source_y) = (in_layer_x - x, in_layer_y - y);
            let inside = |value: i32, end| (0..end).contains(&value);
            let drawn = inside(in_layer_x, 10)
                && inside(in_layer_y, 10)
                && inside(source_x, 16)
                && inside(source_y, 16);
            let expected = if drawn { words[(source_y * 16 + source_x) as usize] } else { OPAQUE };
            assert_eq!(word, expected, "at ({x}, {y}), pixel ({column}, {row})");
        }
    }
}

#[test]
fn a_part_of_an_image_is_drawn_from_where_it_is() {
    let mut fixture = Fixture::new(8, 8);
    let mut client = fixture.client("parts");
    let memory = Shared::sealed(16 * 16 * 4);
    memory.write_words(&(0..256).map(|index| OPAQUE | index).collect::<Vec<u32>>());
    fixture.region(&mut client, 1, &memory);
    fixture.layer(&mut client, layer(1, 0, 0, 8, 8));
    let mut request = draw(1, packed(1, 16, 16, Format::Xrgb8888));
    request.source = FixedRectangle::from_pixels(5, 9, 3, 2);
    request.destination = Pixels { x: 4, y: 6, width: 3, height: 2 };
    fixture.done(&mut client, &Request::Draw(request));
    let screen = fixture.screen(8, 8);
    assert_eq!(screen[6 * 8 + 4..6 * 8 + 7], [149, 150, 151].map(|value| OPAQUE | value));
    assert_eq!(screen[7 * 8 + 4..7 * 8 + 7], [165, 166, 167].map(|value| OPAQUE | value));
    assert_eq!(screen.iter().filter(|word| **word != OPAQUE).count(), 6);
}

#[test]
fn pixels_in_the_message_itself() {
    let mut fixture = Fixture::new(8, 8);
    let mut client = fixture.client("carried");
    fixture.layer(&mut client, layer(1, 0, 0, 8, 8));
    let words: Vec<u32> = (0..64).map(|index| OPAQUE | (index * 7)).collect();
    let mut request = draw(1, packed(0, 8, 8, Format::Xrgb8888));
    request.carried = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let receipt = fixture.done(&mut client, &Request::Draw(request));
    assert_eq!(receipt.path, Path::InPlace);
    assert_eq!(fixture.screen(8, 8), words);
}

#[test]
fn held_regions_are_written_and_read() {
    use blitd_protocol::request::RegionCreate;
    use blitd_protocol::value::{Access, Memory};
    let mut fixture = Fixture::new(8, 8);
    let mut client = fixture.client("held");
    let create = RegionCreate { region: 1, memory: Memory::Held, access: Access::ReadWrite, size: 256 };
    fixture.done(&mut client, &Request::RegionCreate(create));
    let bytes: Vec<u8> = (0..=255).map(|byte: u8| if byte % 4 == 3 { 0xff } else { byte }).collect();
    for (offset, part) in [(100, &bytes[100..]), (0, &bytes[..100])] {
        let bytes = part.into();
        fixture.done(&mut client, &Request::RegionWrite { region: 1, offset, bytes });
    }
    fixture.layer(&mut client, layer(1, 0, 0, 8, 8));
    fixture.done(&mut client, &Request::Draw(draw(1, packed(1, 8, 8, Format::Xrgb8888))));
    let zero = vec![0; 256].into();
    fixture.done(&mut client, &Request::RegionWrite { region: 1, offset: 0, bytes: zero });
    fixture.done(&mut client, &capture(CaptureSubject::Layer, 1, 8, 8));
    let reply = fixture.call(&mut client, &Request::RegionRead { region: 1, offset: 3, length: 200 });
    assert_eq!(reply, Reply::Data(bytes[3..203].into()));
}

#[test]
fn layers_are_stacked_blended_and_moved() {
    let mut fixture = Fixture::new(4, 1);
    let mut client = fixture.client("stack");
    for (id, x, colour) in [(1, 0, 0xffff_0000), (2, 1, 0xff00_ff00), (3, 2, 0xff00_00ff)] {
        fixture.layer(&mut client, layer(id, x, 0, 2, 1));
        fixture.done(&mut client, &Request::Fill(fill(id, colour, 2, 1)));
    }
    assert_eq!(fixture.screen(4, 1), [0xffff_0000, 0xff00_ff00, 0xff00_00ff, 0xff00_00ff]);
    let mut configure = |change: LayerConfigure| {
        fixture.done(&mut client, &Request::LayerConfigure(change));
        fixture.screen(4, 1)
    };
    let raised = configure(LayerConfigure { layer: 1, z: Some(1), ..LayerConfigure::default() });
    assert_eq!(raised, [0xffff_0000, 0xffff_0000, 0xff00_00ff, 0xff00_00ff]);
    let moved = configure(LayerConfigure { layer: 1, place: Some((1, 0)), ..LayerConfigure::default() });
    assert_eq!(moved, [BACKGROUND, 0xffff_0000, 0xffff_0000, 0xff00_00ff]);
    let faded = configure(LayerConfigure { layer: 1, opacity: Some(128), ..LayerConfigure::default() });
    assert_eq!(faded, [BACKGROUND, 0xff80_7f00, 0xff80_007f, 0xff00_00ff]);
    let hidden = configure(LayerConfigure { layer: 1, visible: Some(false), ..LayerConfigure::default() });
    assert_eq!(hidden, [BACKGROUND, 0xff00_ff00, 0xff00_00ff, 0xff00_00ff]);
    fixture.done(&mut client, &Request::LayerDestroy { layer: 2 });
    assert_eq!(fixture.screen(4, 1), [BACKGROUND, BACKGROUND, 0xff00_00ff, 0xff00_00ff]);
    drop(client);
    assert_eq!(fixture.screen(4, 1), [BACKGROUND; 4]);
}

#[test]
fn a_batch_is_one_reply_and_one_change() {
    let mut fixture = Fixture::new(4, 1);
    let mut client = fixture.client("batch");
    fixture.layer(&mut client, layer(1, 0, 0, 2, 1));
    fixture.layer(&mut client, layer(2, 2, 0, 2, 1));
    let move_to = |layer, x| {
        Entry::LayerConfigure(LayerConfigure { layer, place: Some((x, 0)), ..LayerConfigure::default() })
    };
    let opacity = LayerConfigure { layer: 1, opacity: Some(0), ..LayerConfigure::default() };
    let entries = vec![
        Entry::Fill(fill(1, 0xff11_1111, 2, 1)),
        move_to(1, 2),
        Entry::Fill(fill(2, 0xff22_2222, 1, 1)),
        move_to(2, 0),
        Entry::Fill(fill(1, 0xff33_3333, 1, 1)),
        Entry::LayerConfigure(opacity),
        Entry::LayerConfigure(LayerConfigure { opacity: Some(255), ..opacity }),
    ];
    let receipt = fixture.done(&mut client, &Request::Batch(entries));
    assert_eq!(receipt.path, Path::Swapped);
    assert_eq!(fixture.screen(4, 1), [0xff22_2222, BACKGROUND, 0xff33_3333, 0xff11_1111]);
}

#[test]
fn a_batch_with_one_bad_entry_changes_nothing() {
    let mut fixture = Fixture::new(4, 1);
    let mut client = fixture.client("batch");
    fixture.layer(&mut client, layer(1, 0, 0, 4, 1));
    let entries = vec![Entry::Fill(fill(1, 0xff11_1111, 4, 1)), Entry::Fill(fill(9, 0, 1, 1))];
    let refusal = fixture.refused(&mut client, &Request::Batch(entries));
    assert_eq!(refusal.entry, Some(1));
    assert_eq!(fixture.screen(4, 1), [OPAQUE; 4]);
}

#[test]
fn a_draw_after_a_swap_finds_all_of_the_picture() {
    // Large draws alternate between two storages; what each of them lacks must be brought over.
    const SIDE: u32 = 512;
    let mut fixture = Fixture::new(SIDE, SIDE);
    // Who is alone has longer slices.
    let _other = fixture.client("other");
    let mut client = fixture.client("swaps");
    let memory = Shared::sealed(u64::from(SIDE * SIDE * 4));
    fixture.region(&mut client, 1, &memory);
    fixture.layer(&mut client, layer(1, 0, 0, SIDE, SIDE));
    let mut model = vec![OPAQUE; (SIDE * SIDE) as usize];
    let mut random = Random(3);
    let mut paths = [0; 3];
    for round in 1..60u32 {
        let (width, height) =
            (random.below(u64::from(SIDE)) as u32 + 1, random.below(u64::from(SIDE)) as u32 + 1);
        let x = random.below(u64::from(SIDE - width + 1)) as u32;
        let y = random.below(u64::from(SIDE - height + 1)) as u32;
        let colour = OPAQUE | (round * 0x01_03_07);
        memory.write_words(&vec![colour; (width * height) as usize]);
        let mut request = draw(1, packed(1, width, height, Format::Xrgb8888));
        request.destination.x = x as i32;
        request.destination.y = y as i32;
        let receipt = fixture.done(&mut client, &Request::Draw(request));
        paths[usize::from(receipt.path.number())] += 1;
        for row in y..y + height {
            model[(row * SIDE + x) as usize..(row * SIDE + x + width) as usize].fill(colour);
        }
        assert!(fixture.screen(SIDE, SIDE) == model, "round {round}: {width}x{height} at ({x}, {y})");
    }
    assert!(paths[1] > 5 && paths[2] > 5, "both ways were taken: {paths:?}");
}

#[test]
fn sync_tells_the_frame_that_shows_it() {
    let mut fixture = Fixture::new(8, 8);
    fixture.rest();
    let mut client = fixture.client("sync");
    assert_eq!(fixture.sync(&mut client).reason, NotShown::NothingVisible);
    fixture.layer(&mut client, layer(1, 0, 0, 8, 8));
    let shown = fixture.sync(&mut client);
    assert_eq!(shown.reason, NotShown::Shown);
    assert_eq!(shown.time, START + shown.sequence * PERIOD);
    for _ in 0..5 {
        let before = fixture.sync(&mut client);
        assert_eq!(fixture.sync(&mut client), before, "nothing has changed since");
        fixture.done(&mut client, &Request::Fill(fill(1, 5, 8, 8)));
        assert_eq!(fixture.sync(&mut client).sequence, before.sequence + 1);
    }
}

#[test]
fn when_nothing_changes_nothing_wakes() {
    let mut fixture = Fixture::new(8, 8);
    fixture.rest();
    assert_eq!(fixture.daemon.wakes_at(), None);
    let mut client = fixture.client("idle");
    fixture.layer(&mut client, layer(1, 0, 0, 8, 8));
    fixture.rest();
    let mut hidden = layer(2, 0, 0, 8, 8);
    hidden.visible = false;
    fixture.layer(&mut client, hidden);
    fixture.done(&mut client, &Request::Fill(fill(2, 5, 8, 8)));
    fixture.settle();
    assert_eq!(fixture.daemon.wakes_at(), None, "a hidden layer makes no frames");
    fixture.done(&mut client, &Request::Fill(fill(1, 5, 8, 8)));
    fixture.settle();
    assert!(fixture.daemon.wakes_at().is_some());
}
