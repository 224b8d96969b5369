//! The connection: every call, and how calls end that do not succeed.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use blitd_protocol::error::{ErrorCode, Refusal};
use blitd_protocol::reply::{List, Reply, Shown, Statistics, Welcome};
use blitd_protocol::request::{Entry, Pixels, Request};
use blitd_protocol::value::{Access, Band, CaptureSubject, ClockSource, Memory, Mode, NotShown, Priority};
use blitd_protocol::wire::{DaemonRecord, LayerRecord, OutputRecord};

use super::{Peer, all_done, done, pair, play, receipt, refused, welcome};
use crate::{BatchEntry, Connection, Draw, Error, Format, ImageView, Layer, LayerChange, LayerOptions};

const VIEW: ImageView = ImageView::packed(500, 500, Format::Xrgb8888);

/// The handshake against a daemon that answers the hello so.
fn greeted(answer: Option<Reply<'static>>) -> Result<Connection, Error> {
    let (socket, mut peer) = pair();
    thread::scope(|scope| {
        scope.spawn(move || {
            let hello = peer.next().unwrap();
            if let Some(answer) = answer {
                peer.send(hello.serial, &answer);
            }
        });
        Connection::over(socket, "test")
    })
}

#[test]
fn the_handshake_tells_how_pixels_travel() {
    for mode in [Mode::Shared, Mode::Inline] {
        let connection = greeted(Some(welcome(mode))).unwrap();
        assert_eq!((connection.mode(), connection.welcome().ceiling), (mode, 63));
    }
}

#[test]
fn a_handshake_can_fail() {
    let refusal = greeted(Some(refused(ErrorCode::VersionUnsupported))).unwrap_err();
    assert!(matches!(&refusal, Error::Refused(refusal) if refusal.code == ErrorCode::VersionUnsupported));
    assert!(refusal.ends_connection());
    assert!(matches!(greeted(None), Err(Error::Closed)));
    assert!(matches!(greeted(Some(done())), Err(Error::Unexpected { .. })));
    let Reply::Welcome(newer) = welcome(Mode::Shared) else { unreachable!() };
    let newer = Reply::Welcome(Welcome { version: 2, ..newer });
    assert!(matches!(greeted(Some(newer)), Err(Error::Unexpected { .. })));
}

#[test]
fn where_nobody_listens_the_error_names_the_socket() {
    let error = Connection::open_at(Path::new("/nowhere/blitd"), "test").unwrap_err();
    assert!(matches!(error, Error::Connect { .. }));
    assert!(error.to_string().contains("/nowhere/blitd"), "{error}");
}

#[test]
fn a_draw_by_reference_sends_no_pixels() {
    let asked = play(Mode::Shared, all_done, |connection| {
        let layer = connection.create_layer(&LayerOptions::new(500, 500)).unwrap();
        let mut region = connection.create_region(500 * 500 * 4).unwrap();
        region.pixels_mut()[1] = 0x0102_0304;
        assert_eq!((region.len(), region.bytes()[4]), (1_000_000, 4));
        let before = connection.bytes_sent();
        assert_eq!(connection.draw(&layer, &mut region, &Draw::new(VIEW)).unwrap(), receipt(7));
        let sent = connection.bytes_sent() - before;
        assert!(sent < 512, "{sent} bytes");
    });
    let Request::RegionCreate(create) = &asked[1].request else { panic!("{asked:?}") };
    assert_eq!((create.memory, create.access, create.size), (Memory::Memfd, Access::ReadWrite, 1_000_000));
    let mut seen = [0; 8];
    File::from(asked[1].descriptors[0].try_clone().unwrap()).read_exact_at(&mut seen, 0).unwrap();
    assert_eq!(seen, [0, 0, 0, 0, 4, 3, 2, 1], "the daemon sees what the client wrote");
    let Request::Draw(draw) = &asked[2].request else { panic!("{asked:?}") };
    assert_eq!((draw.image.planes[0].region, draw.carried.len()), (create.region, 0));
    assert_eq!((draw.destination.width, draw.source.width), (500, 500 << 16));
}

#[test]
fn requests_say_what_the_calls_said() {
    let asked = play(Mode::Shared, all_done, |connection| {
        connection.set_priority(Priority::new(30).unwrap());
        let options = LayerOptions::new(9, 8).at(-1, 2).z(3).translucent().opacity(4).hidden().output(5);
        let layer = connection.create_layer(&options.band(Band::Overlay).named("clock")).unwrap();
        assert_eq!((layer.width(), layer.height()), (9, 8));
        let change = LayerChange::default().place(6, 7).visible(true).z(-8);
        connection.configure_layer(&layer, &change).unwrap();
        connection.fill(&layer, 0xff00_ff00, 1, -2, 3, 4).unwrap();
        let mut region = connection.create_region(4096).unwrap();
        let view = ImageView::packed(9, 8, Format::Argb8888);
        connection.capture_layer(&layer, 0, 0, &mut region, &view).unwrap();
        connection.destroy_region(region).unwrap();
        connection.destroy_layer(layer).unwrap();
    });
    assert!(asked.iter().all(|asked| asked.priority == 30));
    let Request::LayerCreate(create) = &asked[0].request else { panic!("{asked:?}") };
    assert_eq!((create.x, create.y, create.width, create.height, create.z), (-1, 2, 9, 8, 3));
    assert_eq!((create.fourcc, create.opacity, create.visible), (Format::Argb8888.fourcc(), 4, false));
    assert_eq!((create.output, create.band, create.linger), (5, Band::Overlay, false));
    assert_eq!(create.name.as_str(), "clock");
    let Request::LayerConfigure(change) = &asked[1].request else { panic!("{asked:?}") };
    assert_eq!((change.layer, change.place, change.z), (create.layer, Some((6, 7)), Some(-8)));
    assert_eq!((change.visible, change.opacity, change.band, change.output), (Some(true), None, None, None));
    let Request::Fill(fill) = &asked[2].request else { panic!("{asked:?}") };
    assert_eq!((fill.colour, fill.destination), (0xff00_ff00, Pixels { x: 1, y: -2, width: 3, height: 4 }));
    let Request::Capture(capture) = &asked[4].request else { panic!("{asked:?}") };
    assert_eq!((capture.subject, capture.id), (CaptureSubject::Layer, create.layer));
    assert_eq!(capture.source, Pixels { x: 0, y: 0, width: 9, height: 8 });
    assert!(matches!(asked[5].request, Request::RegionDestroy { .. }));
    assert!(matches!(asked[6].request, Request::LayerDestroy { layer } if layer == create.layer));
}

#[test]
fn a_batch_draws_from_one_region_or_none() {
    let asked = play(Mode::Shared, all_done, |connection| {
        let layer = connection.create_layer(&LayerOptions::new(50, 50)).unwrap();
        let mut region = connection.create_region(4096).unwrap();
        let view = ImageView { offset: 16, ..ImageView::packed(4, 4, Format::Xrgb8888) };
        let pixels = Pixels { x: 0, y: 0, width: 5, height: 5 };
        let entries = [BatchEntry::Fill(&layer, 0, pixels), BatchEntry::Draw(&layer, Draw::new(view))];
        connection.batch(&mut region, &entries).unwrap();
        let change = LayerChange::default().opacity(9);
        connection.batch(None, &[BatchEntry::Configure(&layer, change)]).unwrap();
    });
    let Request::RegionCreate(region) = &asked[1].request else { panic!("{asked:?}") };
    let Request::Batch(entries) = &asked[2].request else { panic!("{asked:?}") };
    let [Entry::Fill(_), Entry::Draw(draw)] = entries.as_slice() else { panic!("{entries:?}") };
    assert_eq!((draw.image.planes[0].region, draw.image.planes[0].offset), (region.region, 16));
    assert!(matches!(&asked[3].request, Request::Batch(entries) if entries.len() == 1));
}

#[test]
fn a_refusal_gives_the_region_back() {
    let refusal = Refusal { code: ErrorCode::SourceOutside, entry: Some(3), text: "too far".into() };
    let answer = Reply::Refused(refusal.clone());
    let daemon = |peer: &mut Peer| {
        peer.done();
        peer.done();
        let asked = peer.next().unwrap();
        peer.send(asked.serial, &answer);
        all_done(peer).len()
    };
    let more = play(Mode::Shared, daemon, |connection| {
        let layer = connection.create_layer(&LayerOptions::new(500, 500)).unwrap();
        let mut region = connection.create_region(500 * 500 * 4).unwrap();
        let error = connection.draw(&layer, &mut region, &Draw::new(VIEW)).unwrap_err();
        assert!(error.to_string().contains("entry 3") && error.to_string().contains("too far"), "{error}");
        assert!(matches!(&error, Error::Refused(told) if *told == refusal));
        assert!(!error.ends_connection());
        assert_eq!(region.len(), 1_000_000);
        assert!(connection.draw(&layer, &mut region, &Draw::new(VIEW)).is_ok());
    });
    assert_eq!(more, 1);
}

/// A draw on a connection whose daemon answers it so; the error it ends with, and that of the next draw.
fn failed_draw(timeout: Duration, answer: impl FnOnce(&mut Peer, u64) + Send) -> (Error, Error) {
    let mut errors = None;
    let daemon = |peer: &mut Peer| {
        peer.done();
        peer.done();
        let asked = peer.next().unwrap();
        answer(peer, asked.serial);
    };
    play(Mode::Shared, daemon, |connection| {
        let layer = connection.create_layer(&LayerOptions::new(500, 500)).unwrap();
        let mut region = connection.create_region(500 * 500 * 4).unwrap();
        connection.set_timeout(Some(timeout));
        let first = connection.draw(&layer, &mut region, &Draw::new(VIEW)).unwrap_err();
        assert!(first.ends_connection());
        let is_gone = matches!(first, Error::Closed);
        assert_eq!(region.is_empty(), !is_gone, "no reply: it is not ours, unless the daemon is gone");
        assert_eq!(region.pixels_mut().is_empty(), !is_gone);
        errors = Some((first, connection.draw(&layer, &mut region, &Draw::new(VIEW)).unwrap_err()));
        assert!(matches!(connection.fill(&layer, 0, 0, 0, 1, 1), Err(Error::Closed)));
    });
    errors.unwrap()
}

#[test]
fn a_daemon_that_goes_away_is_an_error() {
    let errors = failed_draw(Duration::MAX, |_, _| {});
    assert!(matches!(errors, (Error::Closed, Error::Closed)));
}

#[test]
fn a_daemon_that_does_not_answer_in_time_is_left() {
    let silent = |peer: &mut Peer, _| assert!(peer.next().is_none(), "the client closes");
    let errors = failed_draw(Duration::from_millis(1), silent);
    assert!(matches!(errors, (Error::TimedOut, Error::Closed)));
}

#[test]
fn a_reply_that_does_not_fit_ends_the_connection() {
    let errors = failed_draw(Duration::MAX, |peer, serial| peer.send(serial, &welcome(Mode::Shared)));
    assert!(matches!(errors, (Error::Unexpected { kind: 0x8001 }, Error::Closed)));
}

#[test]
fn sync_tells_when_it_was_shown() {
    let shown =
        Shown { output: 2, reason: NotShown::Shown, sequence: 5, time: 6, clock: ClockSource::Hardware };
    let daemon = |peer: &mut Peer| {
        let asked = peer.next().unwrap();
        assert_eq!(asked.request, Request::Sync { output: 2 });
        peer.send(asked.serial, &Reply::Shown(shown));
    };
    play(Mode::Shared, daemon, |connection| assert_eq!(connection.sync(2).unwrap(), shown));
}

#[test]
fn a_draw_and_a_sync_are_asked_before_either_is_answered() {
    let shown =
        Shown { output: 2, reason: NotShown::Shown, sequence: 5, time: 6, clock: ClockSource::Hardware };
    let daemon = |peer: &mut Peer| {
        for _ in 0..2 {
            peer.done();
        }
        for outcome in [Reply::Done(receipt(7)), refused(ErrorCode::SourceOutside)] {
            let (draw, sync) = (peer.next().unwrap(), peer.next().unwrap());
            assert!(matches!(draw.request, Request::Draw(_)));
            assert_eq!(sync.request, Request::Sync { output: 2 });
            peer.send(draw.serial, &outcome);
            peer.send(sync.serial, &Reply::Shown(shown));
        }
        peer.done();
    };
    play(Mode::Shared, daemon, |connection| {
        let layer = connection.create_layer(&LayerOptions::new(500, 500)).unwrap();
        let mut region = connection.create_region(500 * 500 * 4).unwrap();
        let mut both = || connection.draw_and_sync(&layer, &mut region, &Draw::new(VIEW), 2);
        assert_eq!(both().unwrap(), (receipt(7), shown));
        let Err(Error::Refused(refusal)) = both() else { panic!("it was refused") };
        assert_eq!(refusal.code, ErrorCode::SourceOutside);
        // Both have been answered, so what is asked next has its own reply.
        connection.draw(&layer, &mut region, &Draw::new(VIEW)).unwrap();
        assert_eq!(connection.shared().exchange().untaken(), 0);
    });
}

#[test]
fn listings_are_read_to_their_end() {
    let all: Vec<_> = (0..7).map(|layer| LayerRecord { layer: layer.into(), ..Default::default() }).collect();
    let daemon = |peer: &mut Peer| {
        let mut asked = Vec::new();
        while let Some(next) = peer.next() {
            let Request::Statistics { first, .. } = next.request else { panic!("{next:?}") };
            let records = all.iter().skip(first as usize).take(3).copied().collect();
            let list = Statistics::Layers(List { first, total: 7, records });
            peer.send(next.serial, &Reply::Statistics(list));
            asked.push(first);
        }
        asked
    };
    let asked = play(Mode::Shared, daemon, |connection| {
        assert_eq!(connection.layer_statistics().unwrap(), all);
    });
    assert_eq!(asked, [0, 3, 6]);
}

#[test]
fn listings_that_shrink_or_repeat_end() {
    let output = OutputRecord::default();
    let daemon = |peer: &mut Peer| {
        for (first, records) in [(0, vec![output]), (1, vec![]), (0, vec![output]), (0, vec![output])] {
            let asked = peer.next().unwrap();
            peer.send(asked.serial, &Reply::Outputs(List { first, total: 9, records }));
        }
    };
    play(Mode::Shared, daemon, |connection| {
        assert_eq!(connection.outputs().unwrap(), [output]);
        assert!(matches!(connection.outputs(), Err(Error::Unexpected { .. })));
    });
}

#[test]
fn the_daemon_has_one_record() {
    let record = DaemonRecord { pid: 12.into(), ..Default::default() };
    let daemon = |peer: &mut Peer| {
        for records in [vec![record], vec![]] {
            let asked = peer.next().unwrap();
            let list = List { first: 0, total: 1, records };
            peer.send(asked.serial, &Reply::Statistics(Statistics::Daemon(list)));
        }
    };
    play(Mode::Shared, daemon, |connection| {
        assert_eq!(connection.daemon_statistics().unwrap(), record);
        assert!(matches!(connection.daemon_statistics(), Err(Error::Unexpected { .. })));
    });
}

#[test]
fn memory_beyond_the_limit_is_not_even_tried() {
    let asked = play(Mode::Shared, all_done, |connection| {
        let error = connection.create_region((1 << 30) + 1).unwrap_err();
        assert!(matches!(error, Error::TooLarge { bytes: 1_073_741_825, limit: 1_073_741_824 }));
        assert!(!error.ends_connection() && error.to_string().starts_with("not sent"), "{error}");
        assert!(matches!(connection.create_region(0), Err(Error::Memory { .. })));
    });
    assert!(asked.is_empty());
}

#[test]
fn a_region_is_of_use_to_its_own_connection_only() {
    let asked = play(Mode::Shared, all_done, |connection| {
        let layer = connection.create_layer(&LayerOptions::new(4, 4)).unwrap();
        let view = ImageView::packed(4, 4, Format::Xrgb8888);
        play(Mode::Shared, all_done, |other| {
            let mut region = other.create_region(64).unwrap();
            let errors = [
                connection.draw(&layer, &mut region, &Draw::new(view)).unwrap_err(),
                connection.capture_layer(&layer, 0, 0, &mut region, &view).unwrap_err(),
                connection.batch(&mut region, &[BatchEntry::Draw(&layer, Draw::new(view))]).unwrap_err(),
            ];
            let id = region.id();
            let is_told = |error: &Error| matches!(error, Error::OtherConnection { region } if *region == id);
            assert!(errors.iter().all(is_told), "{errors:?}");
            assert!(!errors[0].ends_connection());
            assert_eq!(region.len(), 64, "it was not lent");
            other.draw(&layer, &mut region, &Draw::new(view)).unwrap();
            assert!(is_told(&connection.destroy_region(region).unwrap_err()));
        });
    });
    assert_eq!(asked.len(), 1, "nothing was sent");
}

#[test]
fn a_dmabuf_is_lent_by_its_descriptor_and_has_no_bytes_here() {
    let file = || File::open("/dev/null").unwrap().into();
    let asked = play(Mode::Shared, all_done, |connection| {
        let layer = connection.create_layer(&LayerOptions::new(8, 8)).unwrap();
        let mut region = connection.lend_dmabuf(file(), 4096, Access::Read).unwrap();
        assert!(region.is_empty() && region.pixels_mut().is_empty() && region.bytes_mut().is_empty());
        let draw = Draw::new(ImageView::packed(8, 8, Format::Xrgb8888));
        connection.draw(&layer, &mut region, &draw).unwrap();
        connection.draw(&layer, &mut region, &draw).unwrap();
    });
    let Request::RegionCreate(create) = &asked[1].request else { panic!("{asked:?}") };
    assert_eq!((create.memory, create.access, create.size), (Memory::Dmabuf, Access::Read, 4096));
    assert_eq!(asked[1].descriptors.len(), 1);
    for request in &asked[2..] {
        let Request::Draw(draw) = &request.request else { panic!("{asked:?}") };
        assert_eq!(draw.image.planes[0].region, create.region);
    }
    let asked = play(Mode::Inline, all_done, |connection| {
        let error = connection.lend_dmabuf(file(), 4096, Access::Read).unwrap_err();
        assert!(matches!(error, Error::NotShared) && !error.ends_connection());
    });
    assert!(asked.is_empty());
}

#[test]
fn pulses_are_waited_for() {
    let daemon = |peer: &mut Peer| {
        peer.send(0, &Reply::OutputsChanged);
        peer.done();
        peer.next().unwrap();
        peer.send(0, &Reply::OutputsChanged);
    };
    play(Mode::Shared, daemon, |connection| {
        connection.fill(&Layer::new(1, &LayerOptions::new(1, 1)), 0, 0, 0, 1, 1).unwrap();
        // That one came before the reply; to wait without a limit for it is not to wait.
        assert_eq!(connection.wait_for_pulses(None).unwrap(), [Reply::OutputsChanged]);
        assert_eq!(connection.wait_for_pulses(Some(Duration::ZERO)).unwrap(), []);
        connection.shared().exchange().submit(&Request::Sync { output: 0 }, None, Priority::DEFAULT).unwrap();
        assert_eq!(connection.wait_for_pulses(None).unwrap(), [Reply::OutputsChanged]);
        assert!(matches!(connection.wait_for_pulses(None), Err(Error::Closed)));
    });
}

#[test]
fn ids_are_new_to_every_connection() {
    let create = |id: &mut u32| {
        play(Mode::Shared, all_done, |connection| *id = connection.create_region(1).unwrap().id());
    };
    let [mut one, mut other] = [0; 2];
    create(&mut one);
    create(&mut other);
    assert_ne!(one, other);
}
