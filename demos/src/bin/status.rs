//! A status strip along the bottom of an output, made of fills.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use blitd_client::{BatchEntry, Connection, LayerOptions};
use blitd_demos::arguments::{Showing, Size};
use blitd_demos::ending::Ending;
use blitd_demos::program::{self, Error};
use blitd_demos::screen;
use blitd_demos::strip::strip;
use clap::Parser;

/// A second of the day, and a load.
const SAMPLE: (u32, f32) = (12 * 3600 + 34 * 60 + 56, 0.7);

/// Shows a clock and the machine's load along the bottom of an output
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Ends after so many updates; there is one each second
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    frames: Option<u64>,
    /// Minutes that local time is ahead of UTC; negative where it is behind
    #[arg(long, value_name = "MINUTES", default_value_t, allow_hyphen_values = true,
          value_parser = clap::value_parser!(i64).range(-1440..=1440))]
    ahead: i64,
    /// Shows a sample in place of the time and the load, always the same
    #[arg(long)]
    sample: bool,
    #[command(flatten)]
    showing: Showing,
    /// The place among the layers; higher is in front
    #[arg(long, default_value_t = 100, allow_hyphen_values = true)]
    z: i32,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    program::run("status", || status(&arguments))
}

fn status(arguments: &Arguments) -> Result<(), Error> {
    let mut connection = Connection::open("status")?;
    let ending = Ending::after(arguments.showing.seconds)?;
    let wanted = arguments.showing.output;
    let Some(output) = screen::output(&mut connection, wanted, &ending)? else { return Ok(()) };
    let whole = screen::size_of(&output);
    let size = Size { height: (whole.height / 20).clamp(24, 216).min(whole.height), ..whole };
    let options = LayerOptions::new(size.width, size.height)
        .at(0, (whole.height - size.height) as i32)
        .z(arguments.z)
        .output(wanted)
        .translucent()
        .named("status");
    let layer = connection.create_layer(&options)?;
    let mut updates = 0;
    loop {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (second, load) =
            if arguments.sample { SAMPLE } else { (second_of_day(now, arguments.ahead), load()) };
        let fills = strip(size, second, load);
        let entries: Vec<BatchEntry<'_>> =
            fills.into_iter().map(|(colour, shape)| BatchEntry::Fill(&layer, colour, shape)).collect();
        connection.batch(None, &entries)?;
        updates += 1;
        let next =
            Instant::now() + (Duration::from_secs(1) - Duration::from_nanos(now.subsec_nanos().into()));
        let enough = arguments.frames.is_some_and(|frames| updates >= frames);
        if enough || !ending.wait(&mut connection, Some(next))? {
            return Ok(());
        }
    }
}

fn second_of_day(since_epoch: Duration, minutes_ahead: i64) -> u32 {
    let seconds = since_epoch.as_secs() as i64 + minutes_ahead * 60;
    seconds.rem_euclid(86_400) as u32
}

/// How much of the machine's processors the last minute asked for; 0 where the system does not tell.
fn load() -> f32 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let average: f32 = text.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    average / processors as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_wrap_both_ways() {
        assert_eq!(second_of_day(Duration::from_secs(10), 0), 10);
        assert_eq!(second_of_day(Duration::from_secs(86_400 + 5), 60), 3605);
        assert_eq!(second_of_day(Duration::from_secs(10), -1), 86_350);
    }
}
