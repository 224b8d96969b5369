//! What is drawn, so that it can be looked at.

use blitd_client::{
    BatchEntry, Connection, Draw, Format, ImageView, Layer, LayerChange, LayerOptions, OutputRecord, Pixels,
    Region,
};

use super::glass::{Part, Picture};
use crate::tools::TaskError;

/// Somebody who looks at the glass.
pub(super) trait Glass {
    /// Is this picture on this head, 0 being the first? In `spoiled` every pixel has to be another.
    fn shows(&mut self, head: u32, expected: Picture, spoiled: &[Part]) -> Result<(), TaskError>;
}

/// An output, and memory for pictures of its size.
pub(super) struct Screen {
    output: u32,
    head: u32,
    /// In pixels.
    pub(super) width: u32,
    /// In pixels.
    pub(super) height: u32,
    /// What is drawn from.
    pub(super) brush: Region,
    captured: Region,
}

impl Screen {
    fn new(connection: &mut Connection, head: u32, record: &OutputRecord) -> Result<Self, TaskError> {
        let (width, height) = (record.width.get(), record.height.get());
        let bytes = width as usize * height as usize * 4;
        let (brush, captured) = (connection.create_region(bytes)?, connection.create_region(bytes)?);
        Ok(Self { output: record.output.get(), head, width, height, brush, captured })
    }

    /// An image of the output's size.
    pub(super) const fn image(&self, format: Format) -> ImageView {
        ImageView::packed(self.width, self.height, format)
    }

    /// Paints noise: no two pixels are the same, nor is any pixel that of another round.
    pub(super) fn noise(&mut self, round: u32) {
        for (index, pixel) in (0u32..).zip(self.brush.pixels_mut()) {
            // An odd factor makes another number of each of 24 bits.
            *pixel = index.wrapping_mul(0x9e37_79b1).wrapping_add(round * 0x0012_3457) & 0x00ff_ffff;
        }
    }

    /// Paints premultiplied noise of all opacities.
    fn translucent_noise(&mut self, round: u32) {
        self.noise(round);
        for pixel in self.brush.pixels_mut() {
            let [blue, green, red, _] = pixel.to_le_bytes();
            let opacity = blue.wrapping_mul(37) ^ green;
            let part = |colour: u8| (u16::from(colour) * u16::from(opacity) / 255) as u8;
            *pixel = u32::from_le_bytes([part(blue), part(green), part(red), opacity]);
        }
    }

    /// Waits until everything is on the glass, and has it looked at.
    pub(super) fn look(
        &mut self,
        connection: &mut Connection,
        glass: &mut impl Glass,
        spoiled: &[Part],
    ) -> Result<(), TaskError> {
        connection.sync(self.output)?;
        let image = self.image(Format::Xrgb8888);
        connection.capture_output(self.output, 0, 0, &mut self.captured, &image)?;
        let picture = Picture::of_words(self.width, self.height, self.captured.pixels_mut());
        glass.shows(self.head, picture, spoiled)
    }

    /// Draws noise, all over a layer of the output's size.
    pub(super) fn draw_noise(
        &mut self,
        connection: &mut Connection,
        layer: &Layer,
        round: u32,
    ) -> Result<(), TaskError> {
        let whole = Draw::new(self.image(Format::Xrgb8888));
        self.noise(round);
        Ok(connection.draw(layer, &mut self.brush, &whole).map(drop)?)
    }

    /// Does the last picture looked at begin with what is drawn from of another screen, in its top left corner?
    pub(super) fn begins_with(&mut self, other: &mut Self) -> Result<(), TaskError> {
        let (across, down) = (self.width.min(other.width) as usize, self.height.min(other.height) as usize);
        let seen = self.captured.pixels_mut().chunks_exact(self.width as usize);
        let drawn = other.brush.pixels_mut().chunks_exact(other.width as usize);
        let same = |(seen, drawn): (&[u32], &[u32])| {
            seen.iter().zip(drawn).take(across).all(|(seen, drawn)| (seen ^ drawn) & 0x00ff_ffff == 0)
        };
        let wrong = seen.zip(drawn).take(down).position(|rows| !same(rows));
        wrong.map_or(Ok(()), |row| {
            Err(TaskError::Expected(format!("row {row} of output {} is not what was drawn", self.output)))
        })
    }

    /// A layer that covers the output.
    pub(super) fn cover(&self, connection: &mut Connection) -> Result<Layer, TaskError> {
        Ok(connection.create_layer(&LayerOptions::new(self.width, self.height).output(self.output))?)
    }
}

/// The outputs, of which there have to be this many, in their order, which is that of the heads.
pub(super) fn screens<const COUNT: usize>(connection: &mut Connection) -> Result<[Screen; COUNT], TaskError> {
    let records = connection.outputs()?;
    let screens: Result<Vec<_>, _> =
        (0..).zip(&records).map(|(head, record)| Screen::new(connection, head, record)).collect();
    screens?.try_into().map_err(|screens: Vec<_>| {
        TaskError::Expected(format!("there are {} outputs and should be {COUNT}", screens.len()))
    })
}

/// Every pixel is another, layers blend, and changes of parts follow upon each other.
pub(super) fn busy(connection: &mut Connection, glass: &mut impl Glass) -> Result<(), TaskError> {
    let [mut screen] = screens(connection)?;
    let (width, height) = (screen.width, screen.height);
    let (opaque, translucent) = (screen.image(Format::Xrgb8888), screen.image(Format::Argb8888));
    let at = |x: u32, y: u32| ((width / 8 * x) as i32, (height / 8 * y) as i32);
    let put = |options: LayerOptions, (x, y): (i32, i32)| options.at(x, y);

    let cover = screen.cover(connection)?;
    screen.draw_noise(connection, &cover, 0)?;
    screen.look(connection, glass, &[])?;

    // Layers that blend: by their pixels, and as a whole.
    let pane = connection.create_layer(&put(LayerOptions::new(300, 200).z(1).translucent(), at(2, 2)))?;
    let veil = connection.create_layer(&put(LayerOptions::new(257, 129).z(2).opacity(100), at(3, 3)))?;
    screen.translucent_noise(1);
    connection.draw(&pane, &mut screen.brush, &Draw::new(translucent))?;
    screen.noise(2);
    connection.draw(&veil, &mut screen.brush, &Draw::new(opaque))?;
    screen.look(connection, glass, &[])?;

    // A part of what is underneath.
    screen.noise(3);
    let strip = Draw::new(opaque).part(17, 33, width / 2, height / 5).at(101, 57);
    connection.draw(&cover, &mut screen.brush, &strip)?;
    screen.look(connection, glass, &[])?;

    // Several parts at once, one of them of another layer, and a layer that moves.
    screen.noise(4);
    let (left, low) = (Draw::new(opaque).part(5, 5, 33, 77), Draw::new(opaque).part(50, 5, 201, 3));
    let (right, bottom) = at(7, 7);
    let square = Pixels { x: 40, y: -10, width: 60, height: 60 };
    let entries = [
        BatchEntry::Draw(&cover, left.at(3, 3)),
        BatchEntry::Draw(&cover, low.at(right, bottom)),
        BatchEntry::Fill(&pane, 0x8040_2010, square),
        BatchEntry::Configure(&veil, LayerChange::default().place(right - 100, bottom - 40)),
    ];
    connection.batch(&mut screen.brush, &entries)?;
    screen.look(connection, glass, &[])?;

    // Half off the screen.
    connection.configure_layer(&pane, &LayerChange::default().place(-150, bottom))?;
    screen.look(connection, glass, &[])?;

    // Blended into a layer, as a whole too.
    screen.translucent_noise(5);
    let blended = Draw::new(translucent).part(9, 9, 400, 300).at(200, 100).over().opacity(200);
    connection.draw(&cover, &mut screen.brush, &blended)?;
    screen.look(connection, glass, &[])?;

    // Single pixels in the corners.
    connection.fill(&cover, 0xffff_00ff, 0, 0, 1, 1)?;
    connection.fill(&cover, 0xff00_ff00, width as i32 - 1, height as i32 - 1, 1, 1)?;
    screen.look(connection, glass, &[])?;

    // Several frames between two looks: each brings a buffer on the glass that has missed the one before.
    for step in 0..5 {
        connection.fill(
            &cover,
            0xff10_2030 + step * 0x0010_0804,
            60 * step as i32,
            40 * step as i32,
            100,
            70,
        )?;
        connection.sync(screen.output)?;
    }
    screen.look(connection, glass, &[])?;

    // What was behind comes back.
    connection.configure_layer(&veil, &LayerChange::default().visible(false))?;
    connection.destroy_layer(pane)?;
    screen.look(connection, glass, &[])?;

    screen.draw_noise(connection, &cover, 6)?;
    screen.look(connection, glass, &[])
}

/// Whole pictures, one after the other.
pub(super) fn rounds(connection: &mut Connection, glass: &mut impl Glass) -> Result<(), TaskError> {
    let [mut screen] = screens(connection)?;
    let cover = screen.cover(connection)?;
    for round in 0..4 {
        screen.draw_noise(connection, &cover, round)?;
        screen.look(connection, glass, &[])?;
    }
    Ok(())
}
