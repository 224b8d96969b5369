//! The first program of docs/getting-started.md.
use blitd_client::{Connection, Draw, Error, Format, ImageView, LayerOptions};

fn main() -> Result<(), Error> {
    let mut connection = Connection::open("first")?;
    let layer = connection.create_layer(&LayerOptions::new(256, 256).at(100, 100))?;
    let mut region = connection.create_region(256 * 256 * 4)?;
    for (index, pixel) in (0u32..).zip(region.pixels_mut()) {
        *pixel = (index % 256) << 16 | (index / 256) << 8;
    }
    connection.draw(&layer, &mut region, &Draw::new(ImageView::packed(256, 256, Format::Xrgb8888)))?;
    let shown = connection.sync(0)?;
    println!("drawn, and on the glass with frame {}", shown.sequence);
    Ok(())
}
