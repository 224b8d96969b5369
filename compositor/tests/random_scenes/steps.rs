//! What a seed makes of a scene: its steps, as data, for whoever carries them out. Each step is made of the layers that
//! there are and of random numbers of its own, so that it stays as it is whatever is left out before it.

use std::borrow::Cow;

use blitd::scene::Attributes;
use blitd_protocol::image::{Format, Rectangle};
use blitd_protocol::request::{Draw, Entry, Fill, FixedRectangle, Pixels};
use blitd_protocol::value::{Band, ColorEncoding, ColorRange, Filter, Operator, Transform};

use crate::fixture::{Random, packed};
use crate::model::{Drawn, Layer};

/// A scene has no more layers at once.
const MOST_LAYERS: usize = 5;

/// How large the things of a scene are, and how many of its layers are plain.
pub(crate) struct Bounds {
    /// Layers are placed as on an output of this size.
    pub(crate) output: (u32, u32),
    /// The smallest and the largest layer.
    pub(crate) layers: [(u32, u32); 2],
    /// No draw and no fill is larger.
    pub(crate) drawn: (u32, u32),
    /// Layers name outputs below this one.
    pub(crate) outputs: u32,
    /// So often, of eight times, a layer is visible, opaque, and as large as its picture, besides when it happens to be.
    pub(crate) plain: u64,
}

/// What is done next. Layers have their ids of the model.
pub(crate) enum Step {
    Create {
        size: (u32, u32),
        format: Format,
        attributes: Attributes,
    },
    Destroy {
        layer: u32,
    },
    Configure {
        layer: u32,
        attributes: Attributes,
    },
    Paint(Painting),
    /// Something that is being drawn goes on.
    GoOnPainting,
    /// An output goes off, and on again.
    TurnOffAndOn,
    /// The next thing of a frame.
    GoOnWithFrame,
}

/// A draw, a fill, or a batch of them that changes attributes as well.
pub(crate) struct Painting {
    pub(crate) layer: u32,
    pub(crate) is_batch: bool,
    pub(crate) entries: Vec<Entry<'static>>,
    /// What the entries change of the layer's picture.
    pub(crate) drawn: Vec<Drawn>,
    pub(crate) attributes: Option<Attributes>,
}

/// A number in a range.
pub(crate) fn within(random: &mut Random, from: i32, to: i32) -> i32 {
    from + random.below((to - from) as u64) as i32
}

pub(crate) fn one_of<T: Copy>(random: &mut Random, values: &[T]) -> T {
    values[random.below(values.len() as u64) as usize]
}

/// Often opaque or nothing at all.
fn word(random: &mut Random) -> u32 {
    let word = random.next() as u32;
    one_of(random, &[word, word | 0xff00_0000, 0])
}

/// Often one of the ends, where other code is used.
fn opacity(random: &mut Random) -> u8 {
    let any = random.next() as u8;
    one_of(random, &[255, 255, 255, 0, 1, 128, 254, any])
}

/// Where something of this size, in something of the other, can partly be seen, or just not.
fn place(random: &mut Random, (width, height): (u32, u32), within_size: (u32, u32)) -> Rectangle {
    let mut side = |length: u32, whole: u32| within(random, -(length as i32), whole as i32 + 6);
    let (x, y) = (side(width, within_size.0), side(height, within_size.1));
    Rectangle::new(x, y, width, height).unwrap()
}

/// What is under all layers: often black, where other code is used.
pub(crate) fn background(random: &mut Random) -> u32 {
    let colour = 0xff00_0000 | word(random);
    one_of(random, &[0xff00_0000, colour])
}

impl Step {
    /// The next step of a scene with these layers, of which those that are `free` have nothing done to them.
    pub(crate) fn random(
        random: &mut Random,
        bounds: &Bounds,
        layers: &[Layer],
        is_free: impl Fn(&Layer) -> bool,
    ) -> Option<Self> {
        let kind = random.below(22);
        let free: Vec<&Layer> = layers.iter().filter(|layer| is_free(layer)).collect();
        Some(match kind {
            0 | 1 if layers.len() < MOST_LAYERS => bounds.create(random),
            2 if !layers.is_empty() && random.below(3) == 0 => {
                Self::Destroy { layer: layers[random.below(layers.len() as u64) as usize].id }
            }
            2 | 3 if !free.is_empty() => {
                let layer = one_of(random, &free);
                Self::Configure { layer: layer.id, attributes: bounds.changed(layer, random) }
            }
            4..=6 if !free.is_empty() => {
                let layer = one_of(random, &free);
                Self::Paint(bounds.painting(layer, random))
            }
            7..=9 => Self::GoOnPainting,
            15 if random.below(4) == 0 => Self::TurnOffAndOn,
            10.. => Self::GoOnWithFrame,
            _ => return None,
        })
    }
}

impl Bounds {
    /// True as often as things are to be plain.
    fn is_plain(&self, random: &mut Random) -> bool {
        random.below(8) < self.plain
    }

    fn format(&self, random: &mut Random) -> Format {
        if self.is_plain(random) {
            return Format::Xrgb8888;
        }
        one_of(random, &[Format::Xrgb8888, Format::Argb8888])
    }

    /// Which part of a picture of this size is shown, and on how many pixels: all of it as it is, a part as it is, or
    /// anything.
    fn crop(&self, random: &mut Random, (width, height): (u32, u32)) -> (FixedRectangle, (u32, u32)) {
        let kind = random.below(6);
        let mut side = |whole: u32| match kind {
            0..=2 => (0, whole << 16, whole),
            3 => {
                let length = within(random, 1, whole as i32 + 1) as u32;
                (random.below(u64::from(whole - length) + 1) as u32 * 65536, length << 16, length)
            }
            _ => {
                let length = 1 + random.below(u64::from(whole) << 16) as u32;
                let start = random.below((u64::from(whole) << 16) - u64::from(length) + 1) as u32;
                (start, length, within(random, 1, self.layers[1].0 as i32) as u32)
            }
        };
        let ((x, width, across), (y, height, down)) = (side(width), side(height));
        (FixedRectangle { x, y, width, height }, (across, down))
    }

    /// What an owner decides of a layer of this size: all that a layer can be.
    fn attributes(&self, random: &mut Random, size: (u32, u32)) -> Attributes {
        let (crop, shown) = self.crop(random, size);
        let attributes = Attributes {
            output: random.below(self.outputs.into()) as u32,
            place: place(random, shown, self.output),
            crop,
            band: one_of(random, Band::ALL),
            z: within(random, -2, 3),
            opacity: opacity(random),
            visible: random.below(5) > 0,
        };
        self.perhaps_plain(random, attributes, size)
    }

    /// As often as things are to be plain, a layer of this size such as a plane can show.
    fn perhaps_plain(&self, random: &mut Random, attributes: Attributes, size: (u32, u32)) -> Attributes {
        if !self.is_plain(random) {
            return attributes;
        }
        let crop = FixedRectangle { x: 0, y: 0, width: size.0 << 16, height: size.1 << 16 };
        let (x, y) = (attributes.place.left(), attributes.place.top());
        let place = Rectangle::new(x, y, size.0, size.1).unwrap();
        Attributes { place, crop, opacity: 255, visible: true, ..attributes }
    }

    /// What an owner decides of a layer, some of it changed.
    fn changed(&self, layer: &Layer, random: &mut Random) -> Attributes {
        let before = layer.attributes;
        let other = self.attributes(random, layer.size);
        let size = (before.place.width(), before.place.height());
        let attributes = match random.below(8) {
            0 => Attributes { place: other.place, ..before },
            1 => Attributes { z: other.z, ..before },
            2 => Attributes { opacity: other.opacity, ..before },
            3 => Attributes { visible: !before.visible, ..before },
            4 => Attributes { output: other.output, ..before },
            5 => Attributes { crop: other.crop, band: other.band, ..before },
            6 => Attributes { place: place(random, size, self.output), ..before },
            _ => other,
        };
        self.perhaps_plain(random, attributes, layer.size)
    }

    fn create(&self, random: &mut Random) -> Step {
        let [least, most] = self.layers;
        let mut side = |least, most| within(random, least as i32, most as i32) as u32;
        let size = (side(least.0, most.0), side(least.1, most.1));
        let format = self.format(random);
        Step::Create { size, format, attributes: self.attributes(random, size) }
    }

    fn painting(&self, layer: &Layer, random: &mut Random) -> Painting {
        let is_batch = random.below(3) == 0;
        let count = if is_batch { random.below(4) } else { 1 };
        let (entries, drawn) = (0..count).map(|_| self.operation(layer, random)).unzip();
        let attributes = (is_batch && random.below(2) == 0).then(|| self.changed(layer, random));
        Painting { layer: layer.id, is_batch, entries, drawn, attributes }
    }

    /// A draw or a fill, somewhere in a layer or partly beside it.
    fn operation(&self, layer: &Layer, random: &mut Random) -> (Entry<'static>, Drawn) {
        let width = within(random, 1, self.drawn.0 as i32) as u32;
        let height = within(random, 1, self.drawn.1 as i32) as u32;
        let to = place(random, (width, height), layer.size);
        let operator = one_of(random, &[Operator::Source, Operator::Over]);
        let destination = Pixels { x: to.left(), y: to.top(), width, height };
        let layer = layer.id;
        if random.below(2) == 0 {
            let colour = word(random);
            let words = vec![colour; (width * height) as usize];
            let fill = Fill { layer, colour, operator, destination };
            return (Entry::Fill(fill), Drawn { layer, to, words, operator, opacity: 255 });
        }
        // A part of a larger image.
        let (left, top) = (random.below(5) as u32, random.below(5) as u32);
        let image_width = left + width + random.below(3) as u32;
        let image_height = top + height + random.below(3) as u32;
        let format = one_of(random, &[Format::Xrgb8888, Format::Argb8888]);
        let image: Vec<u32> = (0..image_width * image_height).map(|_| word(random)).collect();
        let opacity = opacity(random);
        let source = [left, top, width, height].map(|side| side as u16);
        let draw = Draw {
            layer,
            transform: Transform::Identity,
            filter: Filter::Nearest,
            operator,
            opacity,
            source: FixedRectangle::from_pixels(source[0], source[1], source[2], source[3]),
            destination,
            image: packed(0, image_width, image_height, format),
            encoding: ColorEncoding::Bt601,
            range: ColorRange::Limited,
            carried: Cow::Owned(image.iter().flat_map(|word| word.to_le_bytes()).collect()),
        };
        let opaque = if format.has_alpha() { 0 } else { 0xff00_0000 };
        let words = (top..top + height)
            .flat_map(|y| (left..left + width).map(move |x| (y * image_width + x) as usize))
            .map(|index| image[index] | opaque)
            .collect();
        (Entry::Draw(draw), Drawn { layer, to, words, operator, opacity })
    }
}

/// The random numbers of a step of a scene.
pub(crate) fn numbers(seed: u64, step: u64) -> Random {
    Random(seed ^ (step + 1).wrapping_mul(0x0001_0000_0001))
}

/// Lives through a scene of so many steps; of one that fails, says which of them it fails with.
pub(crate) fn live_through<T: std::fmt::Debug>(
    seed: u64,
    steps: u64,
    mut live: impl FnMut(u64, &[u64]) -> Result<T, String>,
) -> T {
    let mut steps: Vec<u64> = (0..steps).collect();
    let error = match live(seed, &steps) {
        Ok(outcome) => return outcome,
        Err(error) => error,
    };
    // To leave steps out takes a while.
    eprintln!("seed {seed}: {error}");
    let mut index = 0;
    while index < steps.len() {
        let mut fewer = steps.clone();
        fewer.remove(index);
        match live(seed, &fewer) {
            Ok(_) => index += 1,
            Err(_) => steps = fewer,
        }
    }
    panic!("seed {seed}: {error}\nof all steps just {steps:?}: {:?}", live(seed, &steps));
}
