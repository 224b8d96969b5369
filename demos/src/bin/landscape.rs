//! Renders a landscape into a file.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use blitd_demos::arguments::Size;
use blitd_demos::landscape;
use blitd_demos::program::{self, Error};
use clap::Parser;
use image::codecs::jpeg::JpegEncoder;
use image::{ImageError, RgbImage};

/// The quality of JPEG files: no fault to be seen, a sixth of a PNG's size.
const QUALITY: u8 = 92;

/// Renders mountains behind a lake into a PNG or JPEG file
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The file; its ending, .png or .jpg, says which
    file: PathBuf,
    /// The picture's size in pixels
    #[arg(long, value_name = "WxH", default_value = "1920x1080")]
    size: Size,
    /// Another seed gives another landscape
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    program::run("landscape", || {
        let Arguments { file, size, seed } = &arguments;
        write(file, *size, *seed).map_err(|source| Error::Write { path: file.clone(), source })
    })
}

fn write(file: &Path, size: Size, seed: u64) -> Result<(), ImageError> {
    let format = image::ImageFormat::from_path(file)?;
    let bytes = landscape::render(size.width as usize, size.height as usize, seed);
    let picture = RgbImage::from_raw(size.width, size.height, bytes).unwrap_or_default();
    if format == image::ImageFormat::Jpeg {
        return JpegEncoder::new_with_quality(std::fs::File::create(file)?, QUALITY).encode_image(&picture);
    }
    picture.save_with_format(file, format)
}
