//! Inline connections: which bytes travel, in which messages.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};

use blitd_protocol::error::ErrorCode;
use blitd_protocol::image::ImageError;
use blitd_protocol::reply::Reply;
use blitd_protocol::request::{Draw as DrawRequest, FixedRectangle, MAX_CARRIED, Request};
use blitd_protocol::transport::Wait;
use blitd_protocol::value::{Memory, Mode};

use super::{Peer, all_done, done, play, refused};
use crate::{BatchEntry, Connection, Draw, Error, Format, ImageView, Layer, LayerOptions, Region};

/// A daemon that holds regions; it answers only when nothing more has come.
#[derive(Default)]
struct Holder {
    regions: HashMap<u32, Vec<u8>>,
    /// Offset and length of each write.
    writes: Vec<(u64, usize)>,
    reads: Vec<(u64, u32)>,
    draws: Vec<DrawRequest<'static>>,
    batches: usize,
}

impl Holder {
    fn run(peer: &mut Peer) -> Self {
        let mut holder = Self::default();
        let mut unanswered = VecDeque::new();
        loop {
            let wait = if unanswered.is_empty() { Wait::Block } else { Wait::Return };
            match peer.next_within(wait) {
                Ok(Some(asked)) => unanswered.push_back((asked.serial, holder.take(asked.request))),
                Ok(None) => return holder,
                Err(()) => {
                    let (serial, reply) = unanswered.pop_front().unwrap();
                    peer.send(serial, &reply);
                }
            }
        }
    }

    fn take(&mut self, request: Request<'static>) -> Reply<'static> {
        match request {
            Request::RegionCreate(create) => {
                assert_eq!(create.memory, Memory::Held);
                self.regions.insert(create.region, vec![0; create.size as usize]);
            }
            Request::RegionWrite { region, offset, bytes } => {
                self.writes.push((offset, bytes.len()));
                let region = self.regions.get_mut(&region).unwrap();
                region[offset as usize..][..bytes.len()].copy_from_slice(&bytes);
            }
            Request::RegionRead { region, offset, length } => {
                self.reads.push((offset, length));
                let bytes = &self.regions[&region][offset as usize..][..length as usize];
                return Reply::Data(Cow::Owned(bytes.to_vec()));
            }
            Request::Capture(capture) => {
                let region = self.regions.get_mut(&capture.image.planes[0].region).unwrap();
                for (place, byte) in region.iter_mut().enumerate() {
                    *byte = colour(place);
                }
            }
            Request::Draw(draw) => self.draws.push(draw),
            Request::Batch(_) => self.batches += 1,
            _ => {}
        }
        done()
    }
}

/// A byte for each place, such that a shift shows.
fn colour(place: usize) -> u8 {
    (place % 251) as u8
}

fn prepared(connection: &mut Connection, bytes: usize) -> (Layer, Region) {
    let layer = connection.create_layer(&LayerOptions::new(500, 500)).unwrap();
    let mut region = connection.create_region(bytes).unwrap();
    for (place, byte) in region.bytes_mut().iter_mut().enumerate() {
        *byte = colour(place);
    }
    (layer, region)
}

#[test]
fn a_large_draw_is_written_first() {
    let view = ImageView { offset: 100, ..ImageView::packed(300, 300, Format::Xrgb8888) };
    let holder = play(Mode::Inline, Holder::run, |connection| {
        let (layer, mut region) = prepared(connection, 400_000);
        connection.draw(&layer, &mut region, &Draw::new(view).at(3, 4)).unwrap();
        assert_eq!(region.len(), 400_000, "ours again");
    });
    let lengths: Vec<_> = holder.writes.iter().map(|(_, length)| *length).collect();
    assert_eq!(lengths, [MAX_CARRIED, MAX_CARRIED, MAX_CARRIED, MAX_CARRIED, MAX_CARRIED, 32_320]);
    let held = holder.regions.values().next().unwrap();
    assert!((100..360_100).all(|place| held[place] == colour(place)));
    assert!(held[..100].iter().chain(&held[360_100..]).all(|&byte| byte == 0), "only what is needed");
    let [draw] = holder.draws.as_slice() else { panic!("{:?}", holder.draws) };
    assert_eq!((draw.carried.len(), draw.image.planes[0].offset), (0, 100));
    assert!(holder.regions.contains_key(&draw.image.planes[0].region));
}

#[test]
fn a_narrow_part_is_written_row_by_row() {
    let view = ImageView::packed(2000, 200, Format::Xrgb8888);
    let holder = play(Mode::Inline, Holder::run, |connection| {
        let (layer, mut region) = prepared(connection, 2000 * 200 * 4);
        connection.draw(&layer, &mut region, &Draw::new(view).part(10, 20, 150, 150)).unwrap();
    });
    let rows: Vec<_> = (20..170).map(|row| (row * 8000 + 40, 600)).collect();
    assert_eq!(holder.writes, rows);
    assert_eq!(holder.draws[0].source, FixedRectangle::from_pixels(10, 20, 150, 150));
}

#[test]
fn a_small_draw_carries_its_pixels() {
    let view = ImageView { stride: 1300, offset: 8, ..ImageView::packed(300, 300, Format::Xrgb8888) };
    let holder = play(Mode::Inline, Holder::run, |connection| {
        let (layer, mut region) = prepared(connection, 400_000);
        connection.draw(&layer, &mut region, &Draw::new(view).part(5, 6, 128, 128).at(1, 2)).unwrap();
    });
    assert_eq!(holder.writes, []);
    let draw = &holder.draws[0];
    let plane = draw.image.planes[0];
    assert_eq!((plane.region, plane.offset, plane.stride), (0, 0, 512));
    assert_eq!((draw.image.width, draw.image.height), (128, 128));
    assert_eq!(draw.source, FixedRectangle::from_pixels(0, 0, 128, 128));
    assert_eq!((draw.destination.x, draw.destination.width), (1, 128));
    assert_eq!(draw.carried.len(), MAX_CARRIED);
    for (place, &byte) in draw.carried.iter().enumerate() {
        assert_eq!(byte, colour(8 + (6 + place / 512) * 1300 + 20 + place % 512));
    }
}

#[test]
fn a_batch_brings_each_pixel_once() {
    let view = ImageView::packed(100, 100, Format::Rgb565);
    let holder = play(Mode::Inline, Holder::run, |connection| {
        let (layer, mut region) = prepared(connection, 40_000);
        let [upper, lower] = [0, 25].map(|y| Draw::new(view).part(0, y, 100, 50));
        let again = BatchEntry::Draw(&layer, upper.at(9, 9));
        let entries = [BatchEntry::Draw(&layer, lower), BatchEntry::Draw(&layer, upper), again];
        connection.batch(&mut region, &entries).unwrap();
    });
    assert_eq!(holder.writes, [(0, 15_000)]);
    assert_eq!(holder.batches, 1);
}

#[test]
fn what_is_outside_is_told_without_asking_the_daemon() {
    let view = ImageView { offset: 1, ..ImageView::packed(10, 10, Format::Xrgb8888) };
    let asked = play(Mode::Inline, all_done, |connection| {
        let (layer, mut region) = prepared(connection, 400);
        let error = connection.draw(&layer, &mut region, &Draw::new(view)).unwrap_err();
        assert!(matches!(error, Error::Image { entry: None, source: ImageError::OutsideRegion { .. } }));
        assert!(
            !error.ends_connection() && error.to_string().starts_with("not sent: the image ends"),
            "{error}"
        );
        let entries = [10, 1].map(|_| BatchEntry::Draw(&layer, Draw::new(view)));
        let error = connection.batch(&mut region, &entries).unwrap_err();
        assert!(matches!(error, Error::Image { entry: Some(0), .. }));
        assert!(error.to_string().starts_with("not sent for entry 0 of the batch: the image"), "{error}");
        let error = connection.capture_layer(&layer, 0, 0, &mut region, &view).unwrap_err();
        assert!(matches!(error, Error::Image { entry: None, .. }));
        assert_eq!(region.len(), 400);
    });
    assert_eq!(asked.len(), 2, "nothing was sent for any");
}

#[test]
fn a_part_outside_is_left_to_the_daemon_to_refuse() {
    let view = ImageView::packed(10, 10, Format::Xrgb8888);
    let holder = play(Mode::Inline, Holder::run, |connection| {
        let (layer, mut region) = prepared(connection, 400);
        connection.draw(&layer, &mut region, &Draw::new(view).part(5, 0, 6, 10)).unwrap();
    });
    assert_eq!(holder.draws[0].source, FixedRectangle::from_pixels(5, 0, 6, 10));
    assert_eq!((holder.draws[0].image.width, holder.draws[0].carried.len()), (10, 400));
}

#[test]
fn a_refused_write_is_what_the_draw_ends_with() {
    let view = ImageView::packed(500, 500, Format::Xrgb8888);
    let daemon = |peer: &mut Peer| {
        peer.done();
        peer.done();
        peer.done();
        let second = peer.next().unwrap();
        peer.send(second.serial, &refused(ErrorCode::UnknownRegion));
        all_done(peer)
    };
    let rest = play(Mode::Inline, daemon, |connection| {
        let (layer, mut region) = prepared(connection, 1_000_000);
        let error = connection.draw(&layer, &mut region, &Draw::new(view)).unwrap_err();
        assert!(matches!(error, Error::Refused(refusal) if refusal.code == ErrorCode::UnknownRegion));
        assert_eq!(region.len(), 1_000_000);
        connection.fill(&layer, 0, 0, 0, 1, 1).unwrap();
    });
    assert!(matches!(rest.last().unwrap().request, Request::Fill(_)));
}

#[test]
fn a_daemon_that_goes_away_between_writes_is_an_error() {
    let view = ImageView::packed(500, 500, Format::Xrgb8888);
    let daemon = |peer: &mut Peer| (0..4).for_each(|_| drop(peer.done()));
    play(Mode::Inline, daemon, |connection| {
        let (layer, mut region) = prepared(connection, 1_000_000);
        assert!(matches!(connection.draw(&layer, &mut region, &Draw::new(view)), Err(Error::Closed)));
        assert_eq!(region.len(), 1_000_000, "who is gone uses nothing");
    });
}

#[test]
fn a_capture_is_read_back_without_what_is_between_its_rows() {
    let view = ImageView { stride: 48, offset: 8, ..ImageView::packed(10, 10, Format::Xrgb8888) };
    let holder = play(Mode::Inline, Holder::run, |connection| {
        let mut region = connection.create_region(1000).unwrap();
        region.bytes_mut().fill(0xff);
        connection.capture_output(0, 0, 0, &mut region, &view).unwrap();
        for (place, &byte) in region.bytes().iter().enumerate() {
            let is_pixel = place >= 8 && (place - 8) / 48 < 10 && (place - 8) % 48 < 40;
            assert_eq!(byte, if is_pixel { colour(place) } else { 0xff }, "at {place}");
        }
    });
    assert_eq!(holder.reads.len(), 10);
    let view = ImageView::packed(300, 300, Format::Xrgb8888);
    let holder = play(Mode::Inline, Holder::run, |connection| {
        let mut region = connection.create_region(360_000).unwrap();
        connection.capture_output(0, 0, 0, &mut region, &view).unwrap();
        assert!(region.bytes().iter().enumerate().all(|(place, &byte)| byte == colour(place)));
    });
    assert_eq!(holder.reads.len(), 6);
}

#[test]
fn a_read_of_the_wrong_length_is_the_daemons_fault() {
    let view = ImageView::packed(10, 10, Format::Xrgb8888);
    let daemon = |peer: &mut Peer| {
        peer.done();
        peer.done();
        let read = peer.next().unwrap();
        peer.send(read.serial, &Reply::Data(Cow::Borrowed(&[0; 399])));
    };
    play(Mode::Inline, daemon, |connection| {
        let mut region = connection.create_region(400).unwrap();
        let outcome = connection.capture_output(0, 0, 0, &mut region, &view);
        assert!(matches!(outcome, Err(Error::Unexpected { kind: 0x8003 })));
    });
}

#[test]
fn pixels_can_be_carried_where_memory_is_shared() {
    let view = ImageView::packed(16, 16, Format::Xrgb8888);
    let pixels: Vec<u8> = (0..1024).map(colour).collect();
    let asked = play(Mode::Shared, all_done, |connection| {
        let layer = connection.create_layer(&LayerOptions::new(500, 500)).unwrap();
        connection.draw_pixels(&layer, &pixels, &Draw::new(view)).unwrap();
        let large = ImageView::packed(129, 128, Format::Xrgb8888);
        let error = connection.draw_pixels(&layer, &[0; 129 * 512], &Draw::new(large)).unwrap_err();
        assert!(matches!(error, Error::TooManyCarried { length: 66_048 }), "{error}");
        let outside = connection.draw_pixels(&layer, &pixels[1..], &Draw::new(view));
        assert!(matches!(outside, Err(Error::Image { .. })));
    });
    assert_eq!(asked.len(), 2);
    assert!(matches!(&asked[1].request, Request::Draw(draw) if *draw.carried == *pixels));
}
