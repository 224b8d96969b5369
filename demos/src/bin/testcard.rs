//! Shows a test card.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::Duration;

use blitd_client::{Connection, LayerOptions};
use blitd_demos::arguments;
use blitd_demos::canvas::Canvas;
use blitd_demos::ending::Ending;
use blitd_demos::picture::Pixels;
use blitd_demos::program::{self, Error};
use blitd_demos::{screen, testcard};
use clap::Parser;

/// Shows colour bars, grey ramps, fine patterns, circles and corner marks on all of an output
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The output, by its id; 0 is the first
    #[arg(long, default_value_t)]
    output: u32,
    /// Ends after so many seconds [default: on SIGINT or SIGTERM]
    #[arg(long, value_name = "N", value_parser = arguments::seconds)]
    seconds: Option<Duration>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    program::run("testcard", || show(&arguments))
}

fn show(arguments: &Arguments) -> Result<(), Error> {
    let mut connection = Connection::open("testcard")?;
    let output = screen::output(&mut connection, arguments.output)?;
    let size = screen::size_of(&output);
    let mut words = vec![0; size.pixels()];
    if let Some(mut canvas) = Canvas::new(&mut words, size) {
        testcard::paint(&mut canvas);
    }
    let options = LayerOptions::new(size.width, size.height).output(output.output.get()).named("testcard");
    screen::show(&mut connection, options, &Pixels { size, opaque: true, words })?;
    Ending::after(arguments.seconds)?.wait(&mut connection, None)?;
    Ok(())
}
