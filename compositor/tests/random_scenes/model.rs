//! What layers and pictures are, pixel by pixel in the plainest way there is, from docs/protocol.md: premultiplied words,
//! opacity that scales the source first, over as Porter and Duff have it, every product rounded to the nearest.

use blitd::scene::Attributes;
use blitd::scene::arrangement::Contribution;
use blitd::work::SLICE;
use blitd_pixels::sample::Scaling;
use blitd_pixels::view::{Layout, Picture, PictureMut, View, ViewMut};
use blitd_protocol::image::{Format, Rectangle};
use blitd_protocol::value::{Filter, Operator, Transform};

/// All layers that there are.
#[derive(Default)]
pub(crate) struct Model {
    layers: Vec<Layer>,
    created: u32,
}

/// A layer and its pixels; those of one without alpha have an alpha of 255.
pub(crate) struct Layer {
    /// Layers that are created later have greater ones.
    pub(crate) id: u32,
    pub(crate) has_alpha: bool,
    pub(crate) attributes: Attributes,
    /// Of its picture.
    pub(crate) size: (u32, u32),
    words: Vec<u32>,
}

/// Pixels that are drawn somewhere.
pub(crate) struct Drawn {
    /// The layer's id.
    pub(crate) layer: u32,
    pub(crate) to: Rectangle,
    /// As many as `to` has, row by row.
    pub(crate) words: Vec<u32>,
    pub(crate) operator: Operator,
    pub(crate) opacity: u8,
}

fn channels(word: u32) -> [u32; 4] {
    word.to_le_bytes().map(u32::from)
}

fn word(channels: [u32; 4]) -> u32 {
    u32::from_le_bytes(channels.map(|channel| channel.min(255) as u8))
}

/// `x * a / 255`, rounded to the nearest.
fn times(x: u32, a: u32) -> u32 {
    (2 * x * a + 255) / 510
}

fn faded(source: u32, opacity: u8) -> u32 {
    // The same, without the arithmetic: tests are not optimised, and screens are large.
    if opacity == 255 {
        return source;
    }
    word(channels(source).map(|channel| times(channel, opacity.into())))
}

fn over(source: u32, below: u32) -> u32 {
    // Likewise.
    if source >> 24 == 255 {
        return source;
    }
    let (source, below) = (channels(source), channels(below));
    word(std::array::from_fn(|index| source[index] + times(below[index], 255 - source[3])))
}

impl Model {
    pub(crate) fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The layer with this id, which is there.
    fn layer(&mut self, id: u32) -> &mut Layer {
        self.layers.iter_mut().find(|layer| layer.id == id).expect("only layers that are there are named")
    }

    /// A layer without a picture yet, and its id.
    pub(crate) fn create(&mut self, size: (u32, u32), format: Format, attributes: Attributes) -> u32 {
        self.created += 1;
        let has_alpha = format.has_alpha();
        let new = if has_alpha { 0 } else { 0xff00_0000 };
        let words = vec![new; (size.0 * size.1) as usize];
        self.layers.push(Layer { id: self.created, has_alpha, attributes, size, words });
        self.created
    }

    pub(crate) fn destroy(&mut self, id: u32) {
        self.layers.retain(|layer| layer.id != id);
    }

    pub(crate) fn configure(&mut self, id: u32, attributes: Attributes) {
        self.layer(id).attributes = attributes;
    }

    pub(crate) fn draw(&mut self, drawn: &Drawn) {
        self.layer(drawn.layer).draw(drawn);
    }

    /// A picture of this size, without its alpha.
    pub(crate) fn picture(
        &self,
        contributions: &[Contribution],
        background: u32,
        (width, height): (u32, u32),
    ) -> Vec<u32> {
        let mut stack: Vec<&Layer> = self.layers.iter().collect();
        stack.sort_by_key(|layer| (layer.attributes.band.number(), layer.attributes.z, layer.id));
        let mut picture = vec![background; (width * height) as usize];
        for layer in stack {
            let Attributes { output, place, opacity, visible, .. } = layer.attributes;
            let contribution = contributions.iter().find(|contribution| contribution.output == output);
            let Some((dx, dy)) = contribution.map(|contribution| contribution.offset).filter(|_| visible)
            else {
                continue;
            };
            let shown = layer.shown();
            for (row, y) in shown.chunks(place.width() as usize).zip(place.top() + dy..) {
                if !(0..height as i32).contains(&y) {
                    continue;
                }
                for (pixel, x) in row.iter().zip(place.left() + dx..) {
                    if (0..width as i32).contains(&x) {
                        let below = &mut picture[(y * width as i32 + x) as usize];
                        *below = over(faded(*pixel, opacity), *below);
                    }
                }
            }
        }
        picture.iter_mut().for_each(|word| *word &= 0x00ff_ffff);
        picture
    }
}

impl Layer {
    fn draw(&mut self, drawn: &Drawn) {
        let (width, height) = (self.size.0 as i32, self.size.1 as i32);
        for (index, source) in drawn.words.iter().enumerate() {
            let x = drawn.to.left() + index as i32 % drawn.to.width() as i32;
            let y = drawn.to.top() + index as i32 / drawn.to.width() as i32;
            if !(0..width).contains(&x) || !(0..height).contains(&y) {
                continue;
            }
            let pixel = &mut self.words[(y * width + x) as usize];
            let source = faded(*source, drawn.opacity);
            *pixel = if drawn.operator == Operator::Source { source } else { over(source, *pixel) };
            if !self.has_alpha {
                *pixel |= 0xff00_0000;
            }
        }
    }

    /// It as it is shown, with all that it fills on its output. What scaling makes of a picture is the kernels' matter, and
    /// tested there: here it is made all at once.
    fn shown(&self) -> Vec<u32> {
        let Attributes { place, crop, .. } = self.attributes;
        let at = Rectangle::from_size(place.width(), place.height());
        let mut bytes = vec![0; at.pixels() as usize * 4];
        let layout = |(width, height): (u32, u32)| Layout {
            width,
            height,
            stride: width as usize * 4,
            offset: 0,
            format: if self.has_alpha { Format::Argb8888 } else { Format::Xrgb8888 },
        };
        let source: Vec<u8> = self.words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let source = Picture::new(View::from_slice(&source), layout(self.size)).unwrap();
        let mut target =
            PictureMut::new(ViewMut::from_slice(&mut bytes), layout((at.width(), at.height()))).unwrap();
        let with = |filter| Scaling::new(crop, at, Transform::Identity, filter).unwrap();
        let scaling = with(Filter::Bilinear);
        // What would take more than a slice for the shortest piece of a row is sampled by nearest.
        let scaling = if scaling.cost() * 64 > SLICE { with(Filter::Nearest) } else { scaling };
        scaling.draw(&source, &mut target, at, Operator::Source, 255);
        let alpha = if self.has_alpha { 0 } else { 0xff00_0000 };
        bytes.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word) | alpha).collect()
    }
}
