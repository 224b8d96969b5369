//! Shows pictures on an output.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use std::path::PathBuf;
use std::process::ExitCode;

use blitd_client::{Connection, Layer, LayerOptions, OutputRecord};
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
    let ending = Ending::after(arguments.showing.seconds)?;
    let wanted = arguments.showing.output;
    let Some(mut output) = screen::output(&mut connection, wanted, &ending)? else { return Ok(()) };
    let mut shown = show_on(&mut connection, &output, &pictures, arguments)?;
    while ending.wait_for_outputs(&mut connection)? {
        // Where the screen has gone, the pictures wait for it as they are.
        let Some(now) = screen::find(&connection.outputs()?, wanted) else { continue };
        if screen::size_of(&now) != screen::size_of(&output) {
            let fitted = show_on(&mut connection, &now, &pictures, arguments)?;
            for layer in std::mem::replace(&mut shown, fitted) {
                connection.destroy_layer(layer)?;
            }
            output = now;
        }
    }
    Ok(())
}

/// Shows the pictures as they fit this output.
fn show_on(
    connection: &mut Connection,
    output: &OutputRecord,
    pictures: &[Picture],
    arguments: &Arguments,
) -> Result<Vec<Layer>, Error> {
    let area = arguments.size.unwrap_or(screen::size_of(output));
    let mut layers = Vec::new();
    for (picture, cell) in pictures.iter().zip(cells(area, pictures.len())) {
        let (at, pixels) = fitted(picture, &cell, arguments);
        let place = |from: i32, by: u32| from.saturating_add_unsigned(by);
        let options = LayerOptions::new(pixels.size.width, pixels.size.height)
            .at(place(arguments.at.x, at.0), place(arguments.at.y, at.1))
            .z(arguments.z)
            .output(arguments.showing.output)
            .named("picture");
        layers.push(screen::show(connection, options, &pixels)?);
    }
    Ok(layers)
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
