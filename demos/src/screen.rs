//! Outputs, and pixels that come onto them.

use blitd_client::{Connection, Draw, Format, ImageView, Layer, LayerChange, LayerOptions, OutputRecord};

use crate::arguments::Size;
use crate::ending::Ending;
use crate::picture::Pixels;
use crate::program::Error;

/// The output with this id; 0 is the first. Where there is no output at all, it is waited for: machines boot before
/// their screens do. `None` at the end of the program.
///
/// # Errors
/// There are others, but not this one.
pub fn output(
    connection: &mut Connection,
    wanted: u32,
    ending: &Ending,
) -> Result<Option<OutputRecord>, Error> {
    let mut outputs = connection.outputs()?;
    if outputs.is_empty() {
        eprintln!("no screen is plugged in: waiting for one");
    }
    while outputs.is_empty() {
        if !ending.wait_for_outputs(connection)? {
            return Ok(None);
        }
        outputs = connection.outputs()?;
    }
    let found = find(&outputs, wanted);
    let there = || outputs.iter().map(|output| output.output.get()).collect();
    found.map(Some).ok_or_else(|| Error::NoOutput { wanted, there: there() })
}

/// The output with this id among these; 0 is the first.
pub fn find(outputs: &[OutputRecord], wanted: u32) -> Option<OutputRecord> {
    let is_wanted = |output: &&OutputRecord| wanted == 0 || output.output.get() == wanted;
    outputs.iter().find(is_wanted).copied()
}

/// The size of an output.
pub fn size_of(output: &OutputRecord) -> Size {
    Size { width: output.width.get(), height: output.height.get() }
}

/// Makes a layer of these pixels, in one draw. `options` says where; its format becomes that of the pixels.
///
/// # Errors
/// The daemon refuses, or is gone.
pub fn show(connection: &mut Connection, options: LayerOptions, pixels: &Pixels) -> Result<Layer, Error> {
    let (options, format) = if pixels.opaque {
        (options.opaque(), Format::Xrgb8888)
    } else {
        (options.translucent(), Format::Argb8888)
    };
    // Hidden until it is drawn: no frame shows it empty.
    let layer = connection.create_layer(&options.hidden())?;
    let mut region = connection.create_region(pixels.words.len() * 4)?;
    region.pixels_mut().copy_from_slice(&pixels.words);
    let Size { width, height } = pixels.size;
    connection.draw(&layer, &mut region, &Draw::new(ImageView::packed(width, height, format)))?;
    connection.configure_layer(&layer, &LayerChange::default().visible(true))?;
    connection.destroy_region(region)?;
    Ok(layer)
}
