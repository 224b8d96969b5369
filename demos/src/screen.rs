//! Outputs, and pixels that come onto them.

use blitd_client::{Connection, Draw, Format, ImageView, Layer, LayerChange, LayerOptions, OutputRecord};

use crate::arguments::Size;
use crate::picture::Pixels;
use crate::program::Error;

/// The output with this id; 0 is the first.
///
/// # Errors
/// There is none.
pub fn output(connection: &mut Connection, wanted: u32) -> Result<OutputRecord, Error> {
    let outputs = connection.outputs()?;
    let is_wanted = |output: &&OutputRecord| wanted == 0 || output.output.get() == wanted;
    outputs.iter().find(is_wanted).copied().ok_or_else(|| Error::NoOutput {
        wanted,
        there: outputs.iter().map(|output| output.output.get()).collect(),
    })
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
