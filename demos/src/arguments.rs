//! Arguments that several programs take, from text to values.

use std::str::FromStr;
use std::time::Duration;

use blitd_client::protocol::image::MAX_EXTENT;

/// The most pixels that are drawn at once: 8192x8192, more than any screen has, and memory for it can be had.
const MOST_PIXELS: usize = 1 << 26;

/// An argument that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentError {
    /// Not a size.
    #[error(
        "give width and height in pixels, as in 640x480; each is 1 to {MAX_EXTENT}, and together at most {MOST_PIXELS}"
    )]
    Size,
    /// Not a place.
    #[error("give the left column and the top row in pixels, as in 100,50")]
    Place,
    /// Not a colour.
    #[error("give red, green and blue as six hexadecimal digits, as in ff8000")]
    Colour,
    /// Not a time.
    #[error("give a number of seconds above 0, as in 2.5")]
    Seconds,
}

/// Options of every program that shows something until it is ended.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Showing {
    /// The output, by its id; 0 is the first
    #[arg(long, default_value_t)]
    pub output: u32,
    /// Ends after so many seconds [default: on SIGINT or SIGTERM]
    #[arg(long, value_name = "N", value_parser = seconds)]
    pub seconds: Option<Duration>,
}

/// A width and a height in pixels, neither of them 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// The width.
    pub width: u32,
    /// The height.
    pub height: u32,
}

impl Size {
    /// How many pixels it has.
    pub fn pixels(self) -> usize {
        self.width as usize * self.height as usize
    }
}

impl FromStr for Size {
    type Err = ArgumentError;

    fn from_str(text: &str) -> Result<Self, ArgumentError> {
        let side = |text: &str| text.parse().ok().filter(|side| (1..=MAX_EXTENT).contains(side));
        let (width, height) = text.split_once('x').ok_or(ArgumentError::Size)?;
        match (side(width), side(height)) {
            (Some(width), Some(height)) => Some(Self { width, height }),
            _ => None,
        }
        .filter(|size| size.pixels() <= MOST_PIXELS)
        .ok_or(ArgumentError::Size)
    }
}

/// A place on an output, in pixels from its top left corner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The left column.
    pub x: i32,
    /// The top row.
    pub y: i32,
}

impl FromStr for Place {
    type Err = ArgumentError;

    fn from_str(text: &str) -> Result<Self, ArgumentError> {
        let (x, y) = text.split_once(',').ok_or(ArgumentError::Place)?;
        match (x.parse(), y.parse()) {
            (Ok(x), Ok(y)) => Ok(Self { x, y }),
            _ => Err(ArgumentError::Place),
        }
    }
}

/// Reads a colour, as an opaque pixel.
///
/// # Errors
/// It is not six hexadecimal digits.
pub fn colour(text: &str) -> Result<u32, ArgumentError> {
    if text.len() != 6 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(ArgumentError::Colour);
    }
    u32::from_str_radix(text, 16).map(|rgb| rgb | 0xff00_0000).map_err(|_| ArgumentError::Colour)
}

/// Reads a time in seconds.
///
/// # Errors
/// It is not a number above 0.
pub fn seconds(text: &str) -> Result<Duration, ArgumentError> {
    text.parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|time| !time.is_zero())
        .ok_or(ArgumentError::Seconds)
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn sizes_have_two_sides_above_0() {
        assert_eq!("640x480".parse(), Ok(Size { width: 640, height: 480 }));
        for wrong in
            ["", "640", "640x", "x480", "0x480", "640x32768", "-1x5", "640x480x2", "6e2x5", "8193x8192"]
        {
            assert_eq!(wrong.parse::<Size>(), Err(ArgumentError::Size), "{wrong}");
        }
    }

    #[test]
    fn places_may_be_left_of_the_output() {
        assert_eq!("-10,5".parse(), Ok(Place { x: -10, y: 5 }));
        for wrong in ["", "5", "5,", "5;6", "1,2,3"] {
            assert_eq!(wrong.parse::<Place>(), Err(ArgumentError::Place), "{wrong}");
        }
    }

    #[test]
    fn colours_are_opaque() {
        assert_eq!(colour("ff8000"), Ok(0xffff_8000));
        for wrong in ["", "ff80", "+f8000", "gg8000", "ff800000", "\u{e9}8000"] {
            assert_eq!(colour(wrong), Err(ArgumentError::Colour), "{wrong}");
        }
    }

    #[test]
    fn what_shows_has_an_output_and_may_have_an_end() {
        #[derive(clap::Parser)]
        struct Program {
            #[command(flatten)]
            showing: Showing,
        }
        let read = |words: &[&str]| {
            let words = std::iter::once("program").chain(words.iter().copied());
            Program::try_parse_from(words)
                .map(|program| (program.showing.output, program.showing.seconds))
                .ok()
        };
        assert_eq!(read(&[]), Some((0, None)));
        let both = ["--seconds", "2.5", "--output", "3"];
        assert_eq!(read(&both), Some((3, Some(Duration::from_millis(2500)))));
        assert_eq!(read(&["--seconds", "0"]), None);
    }

    #[test]
    fn times_are_above_0() {
        assert_eq!(seconds("2.5"), Ok(Duration::from_millis(2500)));
        for wrong in ["", "0", "-1", "nan", "inf", "1e300", "1s"] {
            assert_eq!(seconds(wrong), Err(ArgumentError::Seconds), "{wrong}");
        }
    }
}
