//! An animation at the rate of its output.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use blitd_client::{Connection, Draw, Format, ImageView, LayerOptions, NotShown, Shown};
use blitd_demos::arguments::{self, Place, Showing, Size};
use blitd_demos::bounce::Scene;
use blitd_demos::ending::Ending;
use blitd_demos::percentile::Times;
use blitd_demos::program::{self, Error};
use blitd_demos::screen;
use clap::Parser;

/// How long a frame takes that nobody sees.
const UNSEEN: Duration = Duration::from_millis(100);

/// Bounces discs in a box, one draw for each frame of the output, and tells how long frames took
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Ends after so many frames
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    frames: Option<u64>,
    /// Stands still after so many seconds of motion, always in the same way, and says so; the picture stays until the
    /// end
    #[arg(long, value_name = "N", value_parser = arguments::seconds)]
    stop_at: Option<Duration>,
    /// The size of the box in pixels
    #[arg(long, value_name = "WxH", default_value = "960x540")]
    size: Size,
    /// The top left corner of the box on the output [default: in the middle]
    #[arg(long, value_name = "X,Y", allow_hyphen_values = true)]
    at: Option<Place>,
    #[command(flatten)]
    showing: Showing,
    /// The place among the layers; higher is in front
    #[arg(long, default_value_t = 1, allow_hyphen_values = true)]
    z: i32,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    program::run("bounce", || bounce(&arguments))
}

fn bounce(arguments: &Arguments) -> Result<(), Error> {
    let mut connection = Connection::open("bounce")?;
    let ending = Ending::after(arguments.showing.seconds)?;
    let id = arguments.showing.output;
    let Some(output) = screen::output(&mut connection, id, &ending)? else { return Ok(()) };
    let Size { width, height } = arguments.size;
    let middle = |whole: u32, part: u32| (i64::from(whole) - i64::from(part)).div_euclid(2) as i32;
    let at = arguments
        .at
        .unwrap_or(Place { x: middle(output.width.get(), width), y: middle(output.height.get(), height) });
    let options = LayerOptions::new(width, height)
        .translucent()
        .at(at.x, at.y)
        .z(arguments.z)
        .output(id)
        .named("bounce");
    let layer = connection.create_layer(&options)?;
    let mut region = connection.create_region(arguments.size.pixels() * 4)?;
    let draw = Draw::new(ImageView::packed(width, height, Format::Argb8888));
    let scene = Scene::new(arguments.size);
    let start = Instant::now();
    let mut measured = Measured::default();
    while !ending.is_due() && arguments.frames.is_none_or(|frames| measured.frames < frames) {
        let passed = start.elapsed();
        let time = arguments.stop_at.map_or(passed, |stop| stop.min(passed));
        scene.paint(region.pixels_mut(), time.as_secs_f32());
        let asked = Instant::now();
        connection.draw(&layer, &mut region, &draw)?;
        measured.draws.add(asked.elapsed());
        let shown = connection.sync(id)?;
        measured.frame(&shown);
        if arguments.stop_at == Some(time) {
            let _ = writeln!(std::io::stdout(), "bounce: stands still on frame {}", shown.sequence);
            ending.wait(&mut connection, None)?;
        }
        if shown.reason != NotShown::Shown {
            // No frame paces what is not shown.
            ending.wait(&mut connection, Some(Instant::now() + UNSEEN))?;
        }
    }
    // Who has closed stdout does not want to know.
    let _ = writeln!(std::io::stdout(), "{}", measured.line());
    Ok(())
}

/// What is measured on the way.
#[derive(Default)]
struct Measured {
    frames: u64,
    /// When the frame before came on the glass.
    before: Option<Duration>,
    intervals: Times,
    draws: Times,
}

impl Measured {
    fn frame(&mut self, shown: &Shown) {
        self.frames += 1;
        let now = (shown.reason == NotShown::Shown).then(|| Duration::from_nanos(shown.time));
        if let (Some(before), Some(now)) = (self.before, now) {
            self.intervals.add(now.saturating_sub(before));
        }
        self.before = now;
    }

    /// The one line of the end: `bounce: frames N rate HZ interval_p50_us N interval_p99_us N draw_p50_us N draw_p99_us
    /// N`.
    fn line(&mut self) -> String {
        let whole = self.intervals.sum().as_secs_f64();
        let rate = if whole > 0.0 { self.intervals.count() as f64 / whole } else { 0.0 };
        format!(
            "bounce: frames {} rate {rate:.2} interval_p50_us {} interval_p99_us {} draw_p50_us {} draw_p99_us {}",
            self.frames,
            self.intervals.percentile(50).as_micros(),
            self.intervals.percentile(99).as_micros(),
            self.draws.percentile(50).as_micros(),
            self.draws.percentile(99).as_micros(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use blitd_client::ClockSource;

    fn shown(time: u64, reason: NotShown) -> Shown {
        Shown { output: 1, reason, sequence: 0, time, clock: ClockSource::Daemon }
    }

    #[test]
    fn the_line_has_its_form() {
        let mut measured = Measured::default();
        for frame in 0..5 {
            measured.frame(&shown(1_000_000_000 + frame * 20_000_000, NotShown::Shown));
            measured.draws.add(Duration::from_micros(100 + frame));
        }
        let expected = "bounce: frames 5 rate 50.00 interval_p50_us 20000 interval_p99_us 20000 \
                        draw_p50_us 102 draw_p99_us 104";
        assert_eq!(measured.line(), expected);
    }

    #[test]
    fn what_is_not_shown_has_no_interval() {
        let mut measured = Measured::default();
        measured.frame(&shown(10, NotShown::Shown));
        measured.frame(&shown(0, NotShown::OutputOff));
        measured.frame(&shown(50_000_000, NotShown::Shown));
        assert_eq!(measured.intervals.count(), 0);
        assert!(measured.line().starts_with("bounce: frames 3 rate 0.00 interval_p50_us 0 "));
    }
}
