//! Draws that scale and turn, through the whole daemon: what a capture shows is what the sampling says, however the work
//! is cut into slices, and however many pixels come to one.

mod fixture;

use blitd_pixels::sample::Scaling;
use blitd_pixels::view::{Layout, Picture, PictureMut, View, ViewMut};
use blitd_protocol::error::ErrorCode;
use blitd_protocol::image::{Format, Rectangle};
use blitd_protocol::request::{Capture, Draw, Entry, FixedRectangle, Pixels, Request};
use blitd_protocol::value::{CaptureSubject, Filter, Operator, Path, Priority, Transform};
use fixture::{Client, Fixture, Random, Shared, draw, fill, layer, packed};

/// A client with a layer 1 of ARGB8888, a picture of random pixels in region 2, and region 1 to capture into.
struct Stand {
    fixture: Fixture,
    client: Client,
    size: (u32, u32),
    picture: (u32, u32),
    bytes: Vec<u8>,
    taken: Shared,
}

const UNDER: u32 = 0x8020_4060;

impl Stand {
    fn new(size: (u32, u32), picture: (u32, u32)) -> Self {
        let mut fixture = Fixture::new(64, 64);
        let mut client = fixture.client("scaling");
        let mut request = layer(1, 0, 0, size.0, size.1);
        request.fourcc = Format::Argb8888.fourcc();
        fixture.layer(&mut client, request);
        let memory = Shared::sealed(u64::from(picture.0 * picture.1 * 4));
        let mut random = Random(7);
        // Premultiplied: no channel above alpha.
        let bytes: Vec<u8> = (0..picture.0 * picture.1)
            .flat_map(|_| {
                let [blue, green, red, alpha, ..] = random.next().to_le_bytes();
                [blue.min(alpha), green.min(alpha), red.min(alpha), alpha]
            })
            .collect();
        memory.write(0, &bytes);
        fixture.region(&mut client, 2, &memory);
        let taken = Shared::sealed(u64::from(size.0 * size.1 * 4));
        fixture.region(&mut client, 1, &taken);
        Self { fixture, client, size, picture, bytes, taken }
    }

    /// All of the picture into a rectangle of the layer.
    fn whole(&self, destination: Pixels) -> Draw<'static> {
        let image = packed(2, self.picture.0, self.picture.1, Format::Argb8888);
        Draw { destination, ..draw(1, image) }
    }

    /// What the layer shall have after the draw alone.
    fn expected(&self, request: &Draw<'_>) -> Vec<u32> {
        let layout = |(width, height): (u32, u32)| Layout {
            width,
            height,
            stride: width as usize * 4,
            offset: 0,
            format: Format::Argb8888,
        };
        let mut bytes: Vec<u8> =
            std::iter::repeat_n(UNDER.to_le_bytes(), (self.size.0 * self.size.1) as usize)
                .flatten()
                .collect();
        let source = Picture::new(View::from_slice(&self.bytes), layout(self.picture)).unwrap();
        let mut target = PictureMut::new(ViewMut::from_slice(&mut bytes), layout(self.size)).unwrap();
        let Pixels { x, y, width, height } = request.destination;
        let destination = Rectangle::new(x, y, width, height).unwrap();
        let scaling = Scaling::new(request.source, destination, request.transform, request.filter).unwrap();
        scaling.draw(&source, &mut target, destination, request.operator, request.opacity);
        bytes.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect()
    }

    fn prepare(&mut self) {
        self.fixture.done(&mut self.client, &Request::Fill(fill(1, UNDER, self.size.0, self.size.1)));
    }

    fn check(&mut self, request: &Draw<'static>) {
        self.fixture.done(
            &mut self.client,
            &Request::Capture(Capture {
                subject: CaptureSubject::Layer,
                id: 1,
                source: Pixels { x: 0, y: 0, width: self.size.0, height: self.size.1 },
                image: packed(1, self.size.0, self.size.1, Format::Argb8888),
            }),
        );
        assert!(self.taken.words() == self.expected(request), "{request:?}");
    }
}

fn pixels(x: i32, y: i32, width: u32, height: u32) -> Pixels {
    Pixels { x, y, width, height }
}

#[test]
fn every_transform_and_filter_lands_in_the_layer() {
    let mut stand = Stand::new((61, 47), (23, 31));
    for &transform in Transform::ALL {
        for &filter in Filter::ALL {
            for &operator in Operator::ALL {
                for destination in [pixels(3, 2, 50, 40), pixels(-9, -5, 90, 70), pixels(4, 4, 7, 5)] {
                    let source =
                        FixedRectangle { x: 0x1_8000, y: 0x4000, width: 0x14_1234, height: 0x1d_0001 };
                    let plain = stand.whole(destination);
                    let request = Draw { transform, filter, operator, source, opacity: 200, ..plain };
                    stand.prepare();
                    let receipt = stand.fixture.done(&mut stand.client, &Request::Draw(request.clone()));
                    assert_eq!(receipt.path, Path::InPlace);
                    stand.check(&request);
                }
            }
        }
    }
}

#[test]
fn what_is_cut_into_slices_is_what_is_drawn_at_once() {
    // Another connection, so that slices are short.
    let mut stand = Stand::new((700, 600), (500, 400));
    let _other = stand.fixture.client("other");
    for transform in [Transform::Identity, Transform::ReflectRotate90, Transform::Rotate180] {
        for (filter, destination) in [
            (Filter::Nearest, pixels(0, 0, 700, 600)),
            (Filter::Bilinear, pixels(-50, -60, 800, 700)),
            (Filter::Bilinear, pixels(10, 10, 123, 210)),
        ] {
            let request = Draw { transform, filter, ..stand.whole(destination) };
            stand.prepare();
            let receipt = stand.fixture.done(&mut stand.client, &Request::Draw(request.clone()));
            assert_eq!(receipt.path, Path::Swapped);
            assert!(receipt.slices > 1, "{receipt:?}");
            stand.check(&request);
        }
    }
}

#[test]
fn a_row_of_large_means_takes_many_slices_and_lets_others_in() {
    // 2000x2000 to 20x20: each of the 20 rows reads 200 000 pixels, several slices of them.
    let mut stand = Stand::new((20, 20), (2000, 2000));
    let mut urgent = stand.fixture.client("urgent");
    urgent.priority = Priority::new(20).unwrap();
    stand.fixture.layer(&mut urgent, layer(1, 0, 0, 8, 8));
    stand.prepare();
    let request = Draw { filter: Filter::Bilinear, ..stand.whole(pixels(0, 0, 20, 20)) };
    let serial = stand.client.submit(&Request::Draw(request.clone()));
    stand.fixture.turn();
    assert!(stand.client.poll(serial).is_none(), "it takes more than a slice");
    let small = urgent.submit(&Request::Fill(fill(1, 0xffff_ffff, 8, 8)));
    // Between any two slices the more urgent one goes first.
    let mut turns = 0;
    while urgent.poll(small).is_none() {
        turns += 1;
        assert!(turns < 4, "a row has more slices than that");
        stand.fixture.turn();
    }
    assert!(stand.client.poll(serial).is_none(), "the large one is not done");
    let reply = stand.fixture.reply(&mut stand.client, serial);
    let blitd_protocol::reply::Reply::Done(receipt) = reply else { panic!("{reply:?}") };
    assert!(receipt.slices >= 20, "{receipt:?}");
    stand.check(&request);
}

#[test]
fn one_pixel_becomes_any_number() {
    let mut stand = Stand::new((50, 40), (1, 1));
    for filter in [Filter::Nearest, Filter::Bilinear] {
        for source in [(0, 0x1_0000), (0xffff, 1)] {
            let source = FixedRectangle { x: source.0, y: source.0, width: source.1, height: source.1 };
            let huge = pixels(i32::MIN, i32::MIN, u32::MAX, u32::MAX);
            let request = Draw { filter, source, ..stand.whole(huge) };
            stand.prepare();
            stand.fixture.done(&mut stand.client, &Request::Draw(request.clone()));
            stand.check(&request);
        }
    }
}

#[test]
fn what_is_empty_draws_nothing() {
    let mut stand = Stand::new((20, 20), (5, 5));
    for destination in [pixels(0, 0, 0, 9), pixels(0, 0, 9, 0), pixels(500, 0, 9, 9)] {
        let request = Draw { filter: Filter::Bilinear, ..stand.whole(destination) };
        stand.prepare();
        let receipt = stand.fixture.done(&mut stand.client, &Request::Draw(request.clone()));
        assert_eq!(receipt.bytes, 0);
        stand.check(&request);
    }
}

#[test]
fn too_many_pixels_for_one_are_refused() {
    let mut stand = Stand::new((20, 20), (2000, 1000));
    let request = Draw { filter: Filter::Bilinear, ..stand.whole(pixels(0, 0, 4, 4)) };
    stand.fixture.refused_with(&mut stand.client, &Request::Draw(request.clone()), ErrorCode::NotSupported);
    let batch = Request::Batch(vec![Entry::Draw(request.clone())]);
    stand.fixture.refused_with(&mut stand.client, &batch, ErrorCode::NotSupported);
    // By two steps, or by another filter.
    let request = Draw { filter: Filter::Nearest, ..request };
    stand.prepare();
    stand.fixture.done(&mut stand.client, &Request::Draw(request.clone()));
    stand.check(&request);
}

#[test]
fn short_rows_take_time_as_well() {
    // Without the rows these are 72 and 197 KB, less than a slice; they take some 250 and 900 microseconds.
    for (layer, picture, filter) in
        [((2, 3000), (8, 2000), Filter::Nearest), ((1, 1), (1, 32767), Filter::Bilinear)]
    {
        let mut stand = Stand::new(layer, picture);
        let _other = stand.fixture.client("another");
        let request = Draw { filter, ..stand.whole(pixels(0, 0, layer.0, layer.1)) };
        stand.prepare();
        let receipt = stand.fixture.done(&mut stand.client, &Request::Draw(request.clone()));
        assert!(receipt.path == Path::Swapped, "{receipt:?}");
        assert!(receipt.slices > u32::from(layer.1 > 1) * 5, "{receipt:?}");
        stand.check(&request);
    }
}
