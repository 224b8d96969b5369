//! Screenshots: what an output shows, as a PNG file.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use blitd_client::{Connection, Format, ImageView, OutputRecord};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder, ImageError};

use crate::error::Error;

/// Writes what an output shows into a file; 0 is the first output.
///
/// # Errors
/// There is no such output, this user may not look at it, or the file cannot be written.
pub(crate) fn write(connection: &mut Connection, output: u32, file: &Path) -> Result<(), Error> {
    let outputs = connection.outputs()?;
    let is_wanted = |record: &&OutputRecord| output == 0 || record.output.get() == output;
    let record = outputs.iter().find(is_wanted).ok_or(Error::NoOutput { wanted: output })?;
    let (width, height) = (record.width.get(), record.height.get());
    let view = ImageView::packed(width, height, Format::Xrgb8888);
    let mut region = connection.create_region(view.stride as usize * height as usize)?;
    connection.capture_output(record.output.get(), 0, 0, &mut region, &view)?;
    let failed = |error: ImageError| Error::Write { path: file.into(), reason: error.to_string() };
    encode(file, &opaque(region.bytes()), (width, height)).map_err(failed)
}

/// RGB bytes of XRGB8888 pixels, whose bytes are blue, green, red and one that means nothing.
fn opaque(pixels: &[u8]) -> Vec<u8> {
    pixels.as_chunks::<4>().0.iter().flat_map(|&[blue, green, red, _]| [red, green, blue]).collect()
}

fn encode(file: &Path, bytes: &[u8], (width, height): (u32, u32)) -> Result<(), ImageError> {
    let mut writer = BufWriter::new(File::create(file)?);
    PngEncoder::new_with_quality(&mut writer, CompressionType::Fast, FilterType::Adaptive).write_image(
        bytes,
        width,
        height,
        ExtendedColorType::Rgb8,
    )?;
    // Dropped, it would keep to itself that the disk is full.
    Ok(writer.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_become_opaque_rgb() {
        assert_eq!(opaque(&[1, 2, 3, 0, 4, 5, 6, 255]), [3, 2, 1, 6, 5, 4]);
    }

    #[test]
    fn a_file_that_cannot_be_made_is_an_error() {
        assert!(encode(Path::new("/absent/folder/file.png"), &[0; 3], (1, 1)).is_err());
    }
}
