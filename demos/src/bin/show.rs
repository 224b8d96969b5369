//! Shows pictures on an output.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use std::path::PathBuf;
use std::process::ExitCode;

use blitd_client::{Connection, LayerOptions};
use blitd_demos::arguments::{self, Place, Showing, Size};
use blitd_demos::ending::Ending;
use blitd_demos::fit::{Fit, Part, cells};
use blitd_demos::picture::{Picture, Pixels};
use blitd_demos::program::{self, Error};
use blitd_demos::screen;
use clap::Parser;

/// Shows PNG and JPEG files until it is ended; several stand side by side
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The pictures
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// How a picture fits its place
    #[arg(long, value_enum, default_value_t)]
    fit: Fit,
    #[command(flatten)]
    showing: Showing,
    /// The top left corner of the place on the output, in pixels
    #[arg(long, value_name = "X,Y", default_value = "0,0", allow_hyphen_values = true)]
    at: Place,
    /// The size of the place in pixels [default: all of the output]
    #[arg(long, value_name = "WxH")]
    size: Option<Size>,
    /// Fills what the picture leaves free; without it, what is behind shows there
    #[arg(long, value_name = "RRGGBB", value_parser = arguments::colour)]
    background: Option<u32>,
    /// The place among the layers; higher is in front
    #[arg(long, default_value_t, allow_hyphen_values = true)]
    z: i32,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    program::run("show", || show(&arguments))
}

fn show(arguments: &Arguments) -> Result<(), Error> {
    // Read first: a file that is missing is told even where no daemon runs.
    let pictures: Vec<Picture> =
        arguments.files.iter().map(|file| Picture::load(file)).collect::<Result<_, _>>()?;
    let mut connection = Connection::open("show")?;
    let output = screen::output(&mut connection, arguments.showing.output)?;
    let area = arguments.size.unwrap_or(screen::size_of(&output));
    for (picture, cell) in pictures.iter().zip(cells(area, pictures.len())) {
        let (at, pixels) = fitted(picture, &cell, arguments);
        let place = |from: i32, by: u32| from.saturating_add_unsigned(by);
        let options = LayerOptions::new(pixels.size.width, pixels.size.height)
            .at(place(arguments.at.x, at.0), place(arguments.at.y, at.1))
            .z(arguments.z)
            .output(output.output.get())
            .named("picture");
        screen::show(&mut connection, options, &pixels)?;
    }
    drop(pictures);
    Ending::after(arguments.showing.seconds)?.wait(&mut connection, None)?;
    Ok(())
}

/// A picture's pixels as they come into a cell, and where.
fn fitted(picture: &Picture, cell: &Part, arguments: &Arguments) -> ((u32, u32), Pixels) {
    match arguments.background {
        Some(background) => ((cell.x, cell.y), picture.on_background(arguments.fit, cell.size, background)),
        None => {
            let placement = arguments.fit.place(picture.size(), cell.size);
            let target = placement.target;
            ((cell.x + target.x, cell.y + target.y), picture.placed(&placement))
        }
    }
}
