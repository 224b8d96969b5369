//! A daemon that goes and comes back: programs on connections that are restored see nothing but time, and the picture is
//! the same to the pixel. The server turns in the test's own thread, by stepped time; the program has another.

#[path = "reconnecting/chance.rs"]
mod chance;
mod fixture;
#[path = "reconnecting/stage.rs"]
mod stage;

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread;
use std::time::Duration;

use blitd::server::listener::Listener;
use blitd_client::{
    BatchEntry, Connection, ConnectionOptions, Draw, Error, Filter, FixedRectangle, Format, ImageView, Layer,
    LayerChange, LayerOptions, LendError, Mode, Pixels, Region, Reply, Transform,
};
use blitd_protocol::error::ErrorCode;
use chance::Chance;
use fixture::relay::relay;
use fixture::{Fixture, Random};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use stage::*;

#[test]
fn a_picture_that_stays_comes_back() {
    same(|daemons| {
        let mut connection = daemons.connect();
        let layer = connection.create_layer(&options().at(7, 9)).unwrap();
        let mut region = region(&mut connection, 100, 100, 1);
        connection.draw(&layer, &mut region, &draw()).unwrap();
        daemons.replace();
        drop(region);
        daemons.replace();
        (connection, vec![layer])
    });
}

#[test]
fn one_region_for_two_layers_is_not_taken_for_what_it_holds_now() {
    same(|daemons| {
        let mut connection = daemons.connect();
        let layers = [0, 110].map(|x| connection.create_layer(&options().at(x, 0)).unwrap());
        let mut region = region(&mut connection, 100, 100, 1);
        connection.draw(&layers[0], &mut region, &draw()).unwrap();
        paint(&mut region, 2);
        connection.draw(&layers[1], &mut region, &draw()).unwrap();
        paint(&mut region, 3);
        daemons.replace();
        paint(&mut region, 4);
        (connection, layers.into())
    });
}

#[test]
fn what_is_half_painted_is_not_shown() {
    same(|daemons| {
        let mut connection = daemons.connect();
        let layer = connection.create_layer(&options()).unwrap();
        let mut region = region(&mut connection, 100, 100, 1);
        connection.draw(&layer, &mut region, &draw().part(10, 10, 60, 30).at(50, 80)).unwrap();
        region.pixels_mut()[..5000].fill(0xffff_ffff);
        daemons.replace();
        region.pixels_mut()[5000..].fill(0xffff_ffff);
        (connection, vec![layer])
    });
}

#[test]
fn draws_over_each_other_fills_and_batches_come_back_as_they_lie() {
    same(|daemons| {
        let mut connection = daemons.connect();
        let layers = [0, 50].map(|x| connection.create_layer(&options().at(x, x)).unwrap());
        let opaque = connection.create_layer(&LayerOptions::new(64, 64).at(200, 30).opacity(99)).unwrap();
        let mut from = region(&mut connection, 100, 100, 1);
        connection.fill(&layers[0], 0x8080_0000, -5, 10, 50, 200).unwrap();
        connection.draw(&layers[0], &mut from, &draw().over().opacity(77).at(20, -30)).unwrap();
        paint(&mut from, 2);
        connection.draw(&layers[0], &mut from, &draw().over().at(-40, 40)).unwrap();
        let pixels = Pixels { x: 60, y: 60, width: 30, height: 30 };
        let odd = ImageView { offset: 3, stride: 211, ..ImageView::packed(100, 50, Format::Rgb565) };
        connection.draw(&opaque, &mut from, &Draw::new(odd).part(1, 2, 60, 40).at(-3, 30)).unwrap();
        let change = LayerChange::default().place(33, 44).opacity(200).z(5);
        let entries = [
            BatchEntry::Fill(&layers[1], 0xff00_ff00, pixels),
            BatchEntry::Draw(&layers[1], draw().over().at(50, 50)),
            BatchEntry::Draw(&opaque, draw().part(5, 5, 64, 64)),
            BatchEntry::Configure(&layers[0], change),
        ];
        connection.batch(&mut from, &entries).unwrap();
        connection.draw_pixels(&layers[1], &[0x7f; 64], &Draw::new(view(4, 4)).at(3, 3)).unwrap();
        connection.configure_layer(&layers[1], &LayerChange::default().place(11, 3)).unwrap();
        daemons.replace();
        connection.fill(&layers[1], 0xff11_2233, 0, 0, 9, 9).unwrap();
        paint(&mut from, 3);
        daemons.replace();
        let [first, second] = layers;
        (connection, vec![first, second, opaque])
    });
}

/// From a region that is there, from one that holds other pixels by then, and from one that is gone; with few pixels and
/// with more than a message carries; shared and in messages.
#[test]
fn pictures_that_were_scaled_or_turned_come_back() {
    for mode in [Mode::Shared, Mode::Inline] {
        same(|daemons| {
            let is_shared = mode == Mode::Shared;
            let socket = if is_shared { daemons.socket() } else { relay(&daemons.socket()) };
            let mut connection = Connection::open_at(&socket, "program").unwrap();
            assert_eq!(connection.mode(), mode);
            let (mut layers, mut regions) = (Vec::new(), Vec::new());
            for (number, (width, height)) in (0..).zip([(40, 30), (300, 200), (160, 150), (200, 300)]) {
                let options = options().at(number * 50, number * 30).z(number);
                let layer = connection.create_layer(&options).unwrap();
                connection.fill(&layer, 0xff20_4060, 0, 0, 100, 80).unwrap();
                let mut region = region(&mut connection, width, height, 70 + number as u64);
                let scaled =
                    Draw::new(view(width, height)).at(5, 3).scaled_to(90, 70).filter(Filter::Bilinear);
                connection.draw(&layer, &mut region, &scaled.over()).unwrap();
                let part = FixedRectangle { x: 0x1_8000, y: 0x2_4000, width: 20 << 16, height: 11 << 16 };
                let turned = Draw::new(view(width, height)).part_of_pixels(part).at(30, 20);
                connection.draw(&layer, &mut region, &turned.transform(Transform::Rotate90)).unwrap();
                let shared = Draw::new(ImageView::packed(width, height, Format::Nv12)).part(3, 5, 21, 17);
                connection.draw(&layer, &mut region, &shared.at(50, 40).scaled_to(40, 30)).unwrap();
                match number {
                    0 | 1 => paint(&mut region, 99),
                    2 => drop(region),
                    _ => regions.push(region),
                }
                layers.push(layer);
            }
            daemons.replace();
            // The regions are there until the other daemon has all.
            connection.outputs().unwrap();
            drop(regions);
            (connection, layers)
        });
    }
}

#[test]
fn a_large_picture_of_a_region_that_is_gone_comes_back() {
    // 1.2 MB of it are kept as they are, and of the other, what is drawn.
    same(|daemons| {
        let mut connection = daemons.connect();
        let layers = [0, 1].map(|z| connection.create_layer(&LayerOptions::new(640, 480).z(z)).unwrap());
        let mut large = region(&mut connection, 640, 480, 1);
        connection.draw(&layers[0], &mut large, &Draw::new(view(640, 480))).unwrap();
        connection.destroy_region(large).unwrap();
        let mut other = region(&mut connection, 640, 480, 2);
        connection.draw(&layers[1], &mut other, &Draw::new(view(640, 480)).part(0, 0, 300, 100)).unwrap();
        connection.destroy_region(other).unwrap();
        daemons.replace();
        (connection, layers.into())
    });
}

#[test]
fn very_many_draws_come_back() {
    same(|daemons| {
        let mut connection = daemons.connect();
        let layer = connection.create_layer(&options()).unwrap();
        let mut from = region(&mut connection, 100, 100, 1);
        let small = |number: i32| draw().part(0, 0, 7, 5).at(number * 7 % 101, number * 3 % 97);
        for number in 0..700 {
            connection.draw(&layer, &mut from, &small(number)).unwrap();
            if number % 100 == 99 {
                paint(&mut from, number as u64);
            }
        }
        daemons.replace();
        for number in 700..1400 {
            connection.draw(&layer, &mut from, &small(number).over()).unwrap();
        }
        connection.destroy_region(from).unwrap();
        daemons.replace();
        (connection, vec![layer])
    });
}

#[test]
fn a_program_that_sends_its_pixels_gets_its_picture_back() {
    let remote = |daemons: &Daemons| {
        let mut connection = Connection::open_at(&relay(&daemons.socket()), "remote").unwrap();
        assert_eq!(connection.mode(), Mode::Inline);
        let layer = connection.create_layer(&LayerOptions::new(300, 200)).unwrap();
        let mut from = region(&mut connection, 300, 200, 1);
        connection.draw(&layer, &mut from, &Draw::new(view(300, 200))).unwrap();
        connection.draw(&layer, &mut from, &Draw::new(view(300, 200)).part(1, 2, 50, 60).at(9, 9)).unwrap();
        paint(&mut from, 2);
        daemons.replace();
        connection.draw(&layer, &mut from, &Draw::new(view(300, 200)).over().at(150, 20)).unwrap();
        (connection, vec![layer])
    };
    same(remote);
}

/// Requests of all kinds, of which any number is answered when the daemon goes.
#[test]
fn what_was_not_answered_is_asked_again_in_its_order() {
    for turns in 0..24 {
        same(|daemons| {
            let mut connection = daemons.connect();
            let layers = [0, 60].map(|x| connection.create_layer(&options().at(x, x)).unwrap());
            let [from, more, into] = [1, 2, 3].map(|seed| region(&mut connection, 100, 100, seed));
            daemons.wish(Wish::Hold(0));
            let first = connection.lend_draw(&layers[0], from, &draw()).unwrap();
            let draws = (0..5).map(|step| (&layers[0], draw().over().at(step * 9, step * 5)));
            let second = connection.lend_draws(more, draws).unwrap();
            let third = connection.lend_capture_layer(&layers[0], 0, 0, into, &view(100, 100)).unwrap();
            connection.flush().unwrap();
            daemons.wish(Wish::Hold(turns));
            daemons.replace();
            let (mut from, _) = first.wait(&mut connection).unwrap();
            let (more, answers) = second.wait(&mut connection).unwrap();
            assert!(answers.iter().all(Result::is_ok), "{answers:?}");
            let (mut captured, _) = third.wait(&mut connection).unwrap();
            // What was captured is drawn, so that it is among what is compared.
            connection.draw(&layers[1], &mut captured, &draw()).unwrap();
            drop(more);
            paint(&mut from, 5);
            (connection, layers.into())
        });
    }
}

#[test]
fn who_waits_goes_on_waiting() {
    same(|daemons| {
        let mut connection = daemons.connect();
        let layer = connection.create_layer(&options()).unwrap();
        let mut from = region(&mut connection, 100, 100, 1);
        daemons.wish(Wish::Drop);
        thread::scope(|scope| {
            // It may come before the call or in its middle: the outcome is the same.
            scope.spawn(|| daemons.replace());
            connection.draw(&layer, &mut from, &draw()).unwrap();
        });
        paint(&mut from, 2);
        (connection, vec![layer])
    });
}

#[test]
fn a_program_that_sleeps_gets_its_picture_back_and_is_told_of_the_outputs_once() {
    stage(false, |daemons| {
        let mut connection = daemons.connect();
        let layer = connection.create_layer(&options()).unwrap();
        connection.fill(&layer, 0xff12_3456, 0, 0, 100, 100).unwrap();
        let before = daemons.screen();
        assert!(before.starts_with(&[0x56, 0x34, 0x12, 0xff]));
        let descriptor = connection.as_fd().try_clone_to_owned().unwrap();
        daemons.replace();
        // It does nothing but wait for its descriptor, as it might for a device.
        let mut watched = [PollFd::new(descriptor.as_fd(), PollFlags::POLLIN)];
        loop {
            poll(&mut watched, PollTimeout::NONE).unwrap();
            connection.dispatch(Some(Duration::ZERO)).unwrap();
            if connection.pulses() == [Reply::OutputsChanged] {
                break;
            }
        }
        assert_eq!(poll(&mut watched, PollTimeout::ZERO).unwrap(), 0, "there is nothing more to do");
        assert!(connection.pulses().is_empty());
        assert!(daemons.screen() == before);
        // Who waits for pulses waits for the daemon, too.
        daemons.replace();
        while connection.wait_for_pulses(None).unwrap().is_empty() {}
        assert!(daemons.screen() == before);
    });
}

#[test]
fn a_loop_of_its_own_goes_on_with_what_it_has_lent() {
    stage(false, |daemons| {
        let mut connection = daemons.connect();
        let layer = connection.create_layer(&options()).unwrap();
        let from = region(&mut connection, 100, 100, 1);
        daemons.wish(Wish::Drop);
        let lent = connection.lend_draw(&layer, from, &draw()).unwrap();
        connection.dispatch(Some(Duration::ZERO)).unwrap();
        assert!(!lent.is_ready());
        let mut watched = [PollFd::new(connection.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut watched, PollTimeout::ZERO).unwrap(), 0, "nothing to do until one is back");
        connection.set_timeout(Some(Duration::ZERO));
        let Err(LendError::Pending { lent }) = lent.wait(&mut connection) else { panic!("nobody is there") };
        daemons.replace();
        while !lent.is_ready() {
            let mut watched = [PollFd::new(connection.as_fd(), PollFlags::POLLIN)];
            poll(&mut watched, PollTimeout::NONE).unwrap();
            connection.dispatch(Some(Duration::ZERO)).unwrap();
        }
        let (from, _) = lent.wait(&mut connection).unwrap();
        connection.set_timeout(None);
        assert!(picture(&mut connection, &layer) == from.bytes());
    });
}

#[test]
fn a_call_that_waits_too_long_for_the_daemon_is_withdrawn() {
    stage(false, |daemons| {
        let mut connection = daemons.connect();
        let layer = connection.create_layer(&LayerOptions::new(100, 100)).unwrap();
        let mut from = region(&mut connection, 100, 100, 1);
        daemons.wish(Wish::Drop);
        connection.set_timeout(Some(Duration::ZERO));
        let errors = [
            connection.fill(&layer, 0xff00_00ff, 0, 0, 9, 9).unwrap_err(),
            connection.draw(&layer, &mut from, &draw()).unwrap_err(),
            connection.create_region(4096).unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, Error::Away { .. }) && !error.ends_connection(), "{error}");
        }
        assert_eq!(from.len(), 40_000, "nobody has it");
        daemons.replace();
        connection.set_timeout(None);
        let seen = picture(&mut connection, &layer);
        assert!(seen.chunks(4).all(|pixel| pixel == [0, 0, 0, 0xff]), "what was given up is not drawn");
        connection.draw(&layer, &mut from, &draw()).unwrap();
    });
}

#[test]
fn told_otherwise_the_connection_ends_with_the_daemon() {
    stage(false, |daemons| {
        let options = ConnectionOptions::new("program").at(&daemons.socket()).not_restored();
        let mut connection = Connection::open_with(&options).unwrap();
        let layer = connection.create_layer(&LayerOptions::new(100, 100)).unwrap();
        let from = region(&mut connection, 100, 100, 1);
        let lent = connection.lend_draw(&layer, from, &draw()).unwrap();
        daemons.replace();
        let error = lent.wait(&mut connection).unwrap_err();
        assert!(
            matches!(&error, LendError::Returned { error: Error::Closed, region } if region.len() == 40_000)
        );
        assert!(matches!(connection.fill(&layer, 0, 0, 0, 1, 1), Err(Error::Closed)));
        assert!(daemons.screen().chunks(4).all(|pixel| pixel == [0, 0, 0, 0xff]));
    });
}

#[test]
fn what_another_daemon_does_not_allow_is_refused_in_its_words_when_it_is_used() {
    let limits = "[limits]\nlayers = 2\nregions = 2\n";
    stage(false, |daemons| {
        let mut connection = daemons.connect();
        let layers = [0, 1, 2].map(|z| connection.create_layer(&options().z(z)).unwrap());
        let mut regions = [1, 2, 3].map(|seed| region(&mut connection, 100, 100, seed));
        for (layer, region) in layers.iter().zip(&mut regions) {
            connection.draw(layer, region, &draw()).unwrap();
        }
        daemons.wish(Wish::ReplaceWith(limits.into()));
        let refused = |outcome: Result<_, Error>| match outcome {
            Err(Error::Refused(refusal)) => refusal,
            other => panic!("{other:?}"),
        };
        let refusal = refused(connection.fill(&layers[2], 0, 0, 0, 1, 1));
        assert_eq!(refusal.code, ErrorCode::LimitReached, "{refusal}");
        let pixels = Pixels { x: 0, y: 0, width: 1, height: 1 };
        let entries = [BatchEntry::Fill(&layers[0], 0, pixels), BatchEntry::Fill(&layers[2], 0, pixels)];
        let refusal = refused(connection.batch(None, &entries));
        assert_eq!((refusal.code, refusal.entry), (ErrorCode::LimitReached, Some(1)), "{refusal}");
        let refusal = refused(connection.draw(&layers[0], &mut regions[2], &draw()));
        assert_eq!(refusal.code, ErrorCode::LimitReached, "{refusal}");
        // What it has is whole, and goes on.
        let [first, second, _] = &mut regions;
        connection.capture_layer(&layers[0], 0, 0, second, &view(100, 100)).unwrap();
        assert!(first.bytes() == second.bytes());
        daemons.replace();
        let seen = picture(&mut connection, &layers[2]);
        assert!(seen == regions[2].bytes(), "where there is room for it, it is there again");
    });
}

#[test]
fn a_layer_that_is_repainted_comes_back_without_its_picture() {
    stage(false, |daemons| {
        let mut connection = daemons.connect();
        let layer = connection.create_layer(&options().repainted().at(5, 5)).unwrap();
        connection.fill(&layer, 0xff12_3456, 0, 0, 100, 100).unwrap();
        daemons.replace();
        let seen = picture(&mut connection, &layer);
        assert!(seen.iter().all(|byte| *byte == 0));
        connection.fill(&layer, 0xff12_3456, 0, 0, 100, 100).unwrap();
        assert_eq!(daemons.screen()[((5 * WIDTH + 5) * 4) as usize..][..4], [0x56, 0x34, 0x12, 0xff]);
    });
}

/// With the connection a layer comes back that lingers, under another token; and one that was claimed, with the picture
/// that another program had drawn.
#[test]
fn layers_that_linger_come_back_with_those_who_have_them() {
    stage(false, |daemons| {
        let options = options().linger();
        let mut first = daemons.connect();
        let left = first.create_layer(&options.at(100, 0)).unwrap();
        let mut pixels = region(&mut first, 100, 100, 1);
        first.draw(&left, &mut pixels, &draw()).unwrap();
        let (token, seen) = (left.token().unwrap(), picture(&mut first, &left));
        let change = LayerChange::default().size(50, 60).opacity(200);
        first.configure_layer(&left, &change).unwrap();
        drop(first);

        let mut second = daemons.connect();
        let mine = second.create_layer(&options).unwrap();
        let before = mine.token().unwrap();
        // The daemon may not have seen yet that the first one is gone.
        let claimed = loop {
            match second.claim_layer(token) {
                Ok(layer) => break layer,
                Err(Error::Refused(refusal)) => assert_eq!(refusal.code, ErrorCode::LayerInUse),
                Err(error) => panic!("{error}"),
            }
        };
        assert_eq!((claimed.width(), claimed.height(), claimed.token()), (100, 100, Some(token)));
        assert!(picture(&mut second, &claimed) == seen);
        let screen = daemons.screen();
        daemons.replace();
        assert!(picture(&mut second, &claimed) == seen);
        assert!(daemons.screen() == screen, "its size and opacity are as they were");
        for (layer, before) in [(&mine, before), (&claimed, token)] {
            let after = layer.token().unwrap();
            assert_ne!(after, before);
            let mut third = daemons.connect();
            let code =
                |error: Error| if let Error::Refused(refusal) = error { Some(refusal.code) } else { None };
            assert_eq!(third.claim_layer(before).map_err(code).unwrap_err(), Some(ErrorCode::UnknownToken));
            assert_eq!(third.claim_layer(after).map_err(code).unwrap_err(), Some(ErrorCode::LayerInUse));
        }
    });
}

#[test]
fn whatever_a_program_does_comes_back() {
    for seed in 1..4 {
        same(|daemons| {
            let connection = daemons.connect();
            let (layers, regions) = (Vec::new(), Vec::new());
            let mut chance = Chance { daemons, connection, random: Random(seed), layers, regions };
            (0..150).for_each(|_| chance.step());
            daemons.replace();
            (chance.connection, chance.layers)
        });
    }
}
