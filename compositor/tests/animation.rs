//! An animation at the screen's own rate: every frame of it comes with the vblank after that of the one before, and
//! `sync` tells with which, by the kernel's own count and time.
//!
//! `cargo xtask test` runs it in a guest whose time is virtual, so that it does not depend on the machine; `cargo xtask
//! frames` in one whose time is real, and reads how many frames it says are lost.

#[path = "fixture/running.rs"]
#[allow(dead_code, reason = "the fixture has more than this test takes")]
mod running;

use blitd_client::{ClockSource, Connection, Draw, Format, ImageView, LayerOptions};
use running::Running;

/// Ten seconds at 60 Hz.
const FRAMES: usize = 600;

#[test]
fn no_frame_is_lost() {
    let running = Running::on_card("[output.Virtual-1]\nmode = \"1920x1080@60\"");
    let mut connection = Connection::open_at(running.socket(), "animation").unwrap();
    let output = connection.outputs().unwrap()[0];
    let (width, height, refresh) = (output.width.get(), output.height.get(), output.refresh.get());
    let layer = connection.create_layer(&LayerOptions::new(width, height)).unwrap();
    let mut region = connection.create_region((width * height * 4) as usize).unwrap();
    let draw = Draw::new(ImageView::packed(width, height, Format::Xrgb8888));
    let mut shown = Vec::new();
    for frame in 0..=FRAMES as u32 {
        // All of the picture changes.
        region.pixels_mut().fill(frame.wrapping_mul(0x0001_0307));
        connection.draw(&layer, &mut region, &draw).unwrap();
        let at = connection.sync(0).unwrap();
        assert_eq!(at.clock, ClockSource::Hardware);
        shown.push(at);
    }
    // The mode is set with the first frames; from then on it runs.
    let shown = &shown[1..];
    let lost: u64 = shown.windows(2).map(|pair| pair[1].sequence - pair[0].sequence - 1).sum();
    let late: Vec<usize> =
        (1..shown.len()).filter(|at| shown[*at].sequence - shown[at - 1].sequence > 1).collect();
    let took = shown[FRAMES - 1].time - shown[0].time;
    let period = 1_000_000_000_000 / u64::from(refresh);
    let vblanks = shown[FRAMES - 1].sequence - shown[0].sequence;
    // By its own clock, the kernel counts vblanks no faster and no slower than the mode has them.
    assert!(took.abs_diff(period * vblanks) < period, "{took} ns for {vblanks} vblanks");
    println!(
        "{lost} of {FRAMES} frames lost, before these: {late:?}; {width}x{height}, {} us between vblanks, {} us is the mode's period",
        took / vblanks / 1000,
        period / 1000
    );
    assert_eq!(lost, 0, "frames that came later than the vblank after the one before");
}
