//! What is drawn at least two milliseconds before a vblank is in the frame that comes with it: pictures of 1920x1080 and
//! smaller ones, drawn so that they are finished two to four milliseconds before, on a real display driver. `sync` tells
//! with which vblank they came, by the kernel's own count and time.
//!
//! `cargo xtask test` runs it in a guest whose time is virtual, so that it does not depend on the machine; `cargo xtask
//! frames` in one whose time is real, and reads how many frames it says are lost.

#[path = "fixture/running.rs"]
#[allow(dead_code, reason = "the fixture has more than this test takes")]
mod running;

use blitd_client::{ClockSource, Connection, Draw, Format, ImageView, LayerOptions};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_nanosleep};
use running::Running;

const SIZE: (u32, u32) = (1920, 1080);

/// Draws that were finished in time.
const DRAWS: u64 = 300;

const MS: u64 = 1_000_000;

/// Until this time of CLOCK_MONOTONIC, in nanoseconds, as a client waits that draws at a time of its own.
fn wait_until(time: u64) {
    let time = TimeSpec::from_duration(std::time::Duration::from_nanos(time));
    while clock_nanosleep(ClockId::CLOCK_MONOTONIC, ClockNanosleepFlags::TIMER_ABSTIME, &time).is_err() {}
}

#[test]
fn what_is_drawn_two_milliseconds_before_the_vblank_comes_with_it() {
    let running = Running::on_card("[output.Virtual-1]\nmode = \"1920x1080\"");
    let mut connection = Connection::open_at(running.socket(), "deadline").unwrap();
    let output = connection.outputs().unwrap()[0];
    assert_eq!((output.width.get(), output.height.get()), SIZE);
    let period = 1_000_000_000_000 / u64::from(output.refresh.get());
    let layer = connection.create_layer(&LayerOptions::new(SIZE.0, SIZE.1)).unwrap();
    let small = connection.create_layer(&LayerOptions::new(64, 64).z(1)).unwrap();
    let mut region = connection.create_region((SIZE.0 * SIZE.1 * 4) as usize).unwrap();
    region.pixels_mut().fill(0x55);
    let sizes = [SIZE, (SIZE.0, SIZE.1 / 2), (500, 500), (64, 64)];
    // How long a draw of each size takes; so long before it is to be finished, it begins.
    let mut took = [0; 4];
    let (mut in_time, mut aside, mut missed) = (0, 0, Vec::new());
    for round in 0u64.. {
        if in_time + missed.len() as u64 == DRAWS {
            break;
        }
        assert!(aside < 20 * DRAWS, "of {round} draws, {aside} were not finished when they were to be");
        let kind = (round % 4) as usize;
        let (width, height) = sizes[kind];
        let before = connection.sync(0).unwrap();
        // The vblank after the next, or one that comes later; now and then after more than a second without any frame.
        let ahead = 2 + round / 4 % 3 + if round % 32 == 12 { 80 } else { 0 };
        let vblank = before.time + ahead * period;
        if round % 8 >= 4 {
            // Something for the same vblank that was there long before.
            wait_until(vblank - 10 * MS);
            connection.fill(&small, round as u32 | 0xff00_0000, 0, 0, 64, 64).unwrap();
        }
        wait_until(vblank - 2 * MS - 200_000 - round % 8 * 200_000 - took[kind]);
        let draw = Draw::new(ImageView::packed(width, height, Format::Xrgb8888));
        let receipt = connection.draw(&layer, &mut region, &draw).unwrap();
        took[kind] = (took[kind] * 3 + receipt.finished - receipt.received) / 4;
        let shown = connection.sync(0).unwrap();
        assert_eq!(shown.clock, ClockSource::Hardware);
        // The mode is set with the first frames, and how long things take has yet to be seen.
        let left = vblank.saturating_sub(receipt.finished);
        if round < 40 || !(2 * MS..=4 * MS).contains(&left) {
            aside += 1;
        } else if shown.sequence == before.sequence + ahead && shown.time.abs_diff(vblank) < period / 2 {
            in_time += 1;
        } else {
            missed.push(((width, height), left / 1000));
        }
    }
    println!(
        "{} of {DRAWS} frames lost: {in_time} draws that were finished 2 to 4 ms before a vblank came with it; {aside} are not \
         counted",
        missed.len()
    );
    for (width, height) in sizes {
        let late: Vec<u64> =
            missed.iter().filter(|miss| miss.0 == (width, height)).map(|miss| miss.1).collect();
        println!("{width}x{height}: {} did not; microseconds before the vblank: {late:?}", late.len());
    }
    assert!(missed.is_empty());
}
