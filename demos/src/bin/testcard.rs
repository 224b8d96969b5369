//! Shows a test card.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use std::process::ExitCode;

use blitd_client::{Connection, LayerOptions};
use blitd_demos::arguments::Showing;
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
    #[command(flatten)]
    showing: Showing,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    program::run("testcard", || show(&arguments))
}

fn show(arguments: &Arguments) -> Result<(), Error> {
    let mut connection = Connection::open("testcard")?;
    let ending = Ending::after(arguments.showing.seconds)?;
    let wanted = arguments.showing.output;
    let Some(output) = screen::output(&mut connection, wanted, &ending)? else { return Ok(()) };
    let size = screen::size_of(&output);
    let mut words = vec![0; size.pixels()];
    if let Some(mut canvas) = Canvas::new(&mut words, size) {
        testcard::paint(&mut canvas);
    }
    let options = LayerOptions::new(size.width, size.height).output(wanted).named("testcard");
    screen::show(&mut connection, options, &Pixels { size, opaque: true, words })?;
    ending.wait(&mut connection, None)?;
    Ok(())
}
