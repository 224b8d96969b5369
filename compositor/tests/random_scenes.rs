//! Random scenes, composed piece by piece while they change, against the same scenes composed from nothing and against a
//! model that knows pixels only: every picture is the same to the bit.
//!
//! The rooms are used as the server uses them, down to single slices of random size. A scene is made of its seed alone,
//! and each of its steps of the seed and a number; of one that fails the steps are left out that it fails without.

mod fixture;
#[path = "random_scenes/model.rs"]
mod model;

use std::borrow::Cow;
use std::rc::Rc;

use blitd::display::output::{Output, Screen};
use blitd::frame_clock::FrameClock;
use blitd::memory::helper::Helper;
use blitd::memory::region::Regions;
use blitd::memory::storage::Storage;
use blitd::memory::unmap::Unmapper;
use blitd::scene::arrangement::Arrangement;
use blitd::scene::{Attributes, Damage, Layer, LayerKey, Scene};
use blitd::work::Step;
use blitd::work::composition::{Composition, Turn};
use blitd::work::compositions::Compositions;
use blitd::work::operation::{Ids, Operation};
use blitd::work::paint::{Paint, Stage};
use blitd_pixels::blit;
use blitd_pixels::view::{Layout, Picture, PictureMut, View, ViewMut};
use blitd_protocol::image::{Format, Rectangle};
use blitd_protocol::request::{Draw, Fill, FixedRectangle, Pixels};
use blitd_protocol::value::{Backend, Band, ColorEncoding, ColorRange, Filter, Name, Operator, Transform};
use fixture::turned::turned;
use fixture::{Random, packed};
use foldhash::HashMap;
use model::Drawn;

/// Scenes of each of the tests below, which run beside each other.
const SCENES: u64 = 2600;

/// Steps of a scene: some frames of each output.
const STEPS: u64 = 60;

/// A frame under way.
struct Frame {
    /// What it is to show: the scene as it was when the frame began.
    expected: Vec<u32>,
    /// Whether it is composed, and waits for its vblank.
    is_committed: bool,
}

struct Monitor {
    output: Output,
    /// For pictures from nothing.
    fresh: Rc<Storage>,
    frame: Option<Frame>,
    shown: u64,
}

/// Something that is being drawn, and what of the model it changes once it has landed.
struct Painting {
    paint: Paint,
    drawn: Vec<Drawn>,
    configures: Vec<(LayerKey, Attributes)>,
}

impl Painting {
    fn touches(&self, id: u32, key: LayerKey) -> bool {
        self.drawn.iter().any(|drawn| drawn.layer == id)
            || self.configures.iter().any(|(other, _)| *other == key)
    }
}

struct World {
    scene: Scene<Rc<Storage>>,
    compositions: Compositions,
    arrangement: Arrangement,
    monitors: Vec<Monitor>,
    ids: HashMap<u32, LayerKey>,
    regions: Regions,
    layers: Vec<model::Layer>,
    paintings: Vec<Painting>,
    unmapper: Unmapper,
    next_id: u32,
}

/// A number in a range.
fn within(random: &mut Random, from: i32, to: i32) -> i32 {
    from + random.below((to - from) as u64) as i32
}

fn one_of<T: Copy>(random: &mut Random, values: &[T]) -> T {
    values[random.below(values.len() as u64) as usize]
}

/// Often one of the ends, where other code is used.
fn random_opacity(random: &mut Random) -> u8 {
    let any = random.next() as u8;
    one_of(random, &[255, 255, 255, 0, 1, 128, 254, any])
}

/// Often opaque or nothing at all.
fn random_word(random: &mut Random) -> u32 {
    let word = random.next() as u32;
    one_of(random, &[word, word | 0xff00_0000, 0])
}

fn random_place(random: &mut Random, width: u32, height: u32) -> Rectangle {
    let x = within(random, -(width as i32), 46);
    Rectangle::new(x, within(random, -(height as i32), 36), width, height).unwrap()
}

/// Which part of a picture of this size is shown, and on how many pixels: all of it as it is, a part as it is, or anything.
fn random_crop(random: &mut Random, (width, height): (u32, u32)) -> (FixedRectangle, (u32, u32)) {
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
            (start, length, within(random, 1, 60) as u32)
        }
    };
    let ((x, width, across), (y, height, down)) = (side(width), side(height));
    (FixedRectangle { x, y, width, height }, (across, down))
}

/// What an owner decides of a layer of this size: all that a layer can be.
fn random_attributes(random: &mut Random, (width, height): (u32, u32)) -> Attributes {
    let (crop, shown) = random_crop(random, (width, height));
    Attributes {
        output: random.below(3) as u32,
        place: random_place(random, shown.0, shown.1),
        crop,
        band: one_of(random, Band::ALL),
        z: within(random, -2, 3),
        opacity: random_opacity(random),
        visible: random.below(5) > 0,
    }
}

/// Draws noise into a storage: what it had before must not matter.
fn spoil(storage: &Storage, random: &mut Random) {
    let bounds = storage.bounds();
    let bytes: Vec<u8> = (0..bounds.pixels()).flat_map(|_| (random.next() as u32).to_le_bytes()).collect();
    let layout = Layout {
        width: bounds.width(),
        height: bounds.height(),
        stride: bounds.width() as usize * 4,
        offset: 0,
        format: Format::Xrgb8888,
    };
    let noise = Picture::new(View::from_slice(&bytes), layout).unwrap();
    blit::draw(&noise, (0, 0), &mut storage.picture_mut().unwrap(), bounds, Operator::Source, 255);
}

/// The words of a storage, without what does not matter.
fn words(storage: &Storage) -> Vec<u32> {
    let bounds = storage.bounds();
    let mut bytes = vec![0; bounds.pixels() as usize * 4];
    let layout = Layout {
        width: bounds.width(),
        height: bounds.height(),
        stride: bounds.width() as usize * 4,
        offset: 0,
        format: Format::Xrgb8888,
    };
    let mut picture = PictureMut::new(ViewMut::from_slice(&mut bytes), layout).unwrap();
    blit::draw(&storage.picture().unwrap(), (0, 0), &mut picture, bounds, Operator::Source, 255);
    bytes.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word) & 0x00ff_ffff).collect()
}

/// Fails with the first pixel that differs.
fn same(what: &str, screen: &Screen, got: &[u32], expected: &[u32]) -> Result<(), String> {
    let Some(at) = got.iter().zip(expected).position(|(got, expected)| got != expected) else {
        return Ok(());
    };
    let (width, transform) = (screen.mode.0 as usize, screen.transform);
    Err(format!(
        "{what} of {} ({:?}, {transform:?}): pixel ({}, {}) is {:06x} and should be {:06x}",
        screen.name,
        screen.mode,
        at % width,
        at / width,
        got[at],
        expected[at]
    ))
}

impl World {
    /// One or two outputs, turned in some way, apart or side by side, with noise in their buffers.
    fn new(random: &mut Random, unmapper: &Unmapper) -> Self {
        let mut monitors = Vec::new();
        let share_space = random.below(2) == 0;
        for id in 1..=1 + random.below(2) as u32 {
            // Some are wider than the tiles that are settled before they are overwritten.
            let widest = one_of(random, &[40, 40, 40, 150]);
            let (width, height) = (within(random, 8, widest) as u32, within(random, 6, 30) as u32);
            let colour = 0xff00_0000 | random_word(random);
            let background = one_of(random, &[0xff00_0000, colour]);
            let backend = one_of(random, &[Backend::Headless, Backend::Kms]);
            let screen = Screen {
                name: Name::new(&format!("random-{id}")),
                backend,
                mode: (width, height),
                refresh: 60_000,
                transform: one_of(random, Transform::ALL),
                place: share_space.then(|| (within(random, -20, 20), within(random, -20, 20))),
                background,
            };
            let storage = || Rc::new(Storage::new(width, height, Format::Xrgb8888, unmapper).unwrap());
            let buffers = [storage(), storage()];
            // The memory of a headless one is new, and it knows that.
            if backend == Backend::Kms || background << 8 != 0 {
                buffers.iter().for_each(|buffer| spoil(buffer, random));
            }
            let output = Output::new(id, screen, FrameClock::paced(0, 60_000), buffers, 0);
            monitors.push(Monitor { output, fresh: storage(), frame: None, shown: 0 });
        }
        let mut arrangement = Arrangement::default();
        arrangement.change(monitors.iter().map(|monitor| {
            let output = &monitor.output;
            (output.id(), output.screen().place)
        }));
        Self {
            scene: Scene::default(),
            compositions: Compositions::default(),
            arrangement,
            monitors,
            ids: HashMap::default(),
            regions: Regions::default(),
            layers: Vec::new(),
            paintings: Vec::new(),
            unmapper: unmapper.clone(),
            next_id: 1,
        }
    }

    /// Does something; fails where a picture is not what it should be.
    fn step(&mut self, random: &mut Random) -> Result<(), String> {
        match random.below(22) {
            0 | 1 => self.add_layer(random),
            2 if random.below(3) == 0 => self.remove_layer(random),
            2 | 3 => self.configure(random),
            4..=6 => self.begin_painting(random),
            7..=9 => self.go_on_painting(random),
            15 if random.below(4) == 0 => self.turn_off_and_on(random),
            _ => {
                let index = random.below(self.monitors.len() as u64) as usize;
                self.go_on_with_frame(index, random)?;
            }
        }
        Ok(())
    }

    fn add_layer(&mut self, random: &mut Random) {
        if self.layers.len() >= 5 {
            return;
        }
        let (width, height) = (within(random, 1, 60) as u32, within(random, 1, 40) as u32);
        let format = one_of(random, &[Format::Xrgb8888, Format::Argb8888]);
        let attributes = random_attributes(random, (width, height));
        let front = Rc::new(Storage::new(width, height, format, &self.unmapper).unwrap());
        let id = self.next_id;
        self.next_id += 1;
        let name = Name::new("random");
        let layer = Layer {
            owner: 1,
            uid: 0,
            token: None,
            id,
            name,
            size: (width, height),
            format,
            attributes,
            front,
            spare: None,
            draws: 0,
        };
        let key = self.scene.insert(layer);
        self.ids.insert(id, key);
        self.layers.push(model::Layer::new(key, id, (width, height), format.has_alpha(), attributes));
    }

    /// A layer that nothing is being done with, by its place in the list.
    fn free_layer(&self, random: &mut Random) -> Option<usize> {
        let is_free = |layer: &model::Layer| {
            self.paintings.iter().all(|painting| !painting.touches(layer.id, layer.key))
        };
        let free: Vec<usize> = (0..self.layers.len()).filter(|index| is_free(&self.layers[*index])).collect();
        (!free.is_empty()).then(|| one_of(random, &free))
    }

    /// A layer goes, and whatever is being drawn into it.
    fn remove_layer(&mut self, random: &mut Random) {
        if self.layers.is_empty() {
            return;
        }
        let layer = self.layers.swap_remove(random.below(self.layers.len() as u64) as usize);
        self.paintings.retain(|painting| !painting.touches(layer.id, layer.key));
        self.ids.remove(&layer.id);
        self.scene.remove(layer.key);
    }

    fn configure(&mut self, random: &mut Random) {
        let Some(index) = self.free_layer(random) else { return };
        let layer = &mut self.layers[index];
        layer.attributes = changed(layer.attributes, layer.size, random);
        self.scene.configure([(layer.key, layer.attributes)]);
    }

    /// A draw, a fill, or a batch of them that changes attributes as well.
    fn begin_painting(&mut self, random: &mut Random) {
        if self.paintings.len() >= 2 {
            return;
        }
        let Some(index) = self.free_layer(random) else { return };
        let layer = &self.layers[index];
        let is_batch = random.below(3) == 0;
        let (mut operations, mut drawn) = (Vec::new(), Vec::new());
        for _ in 0..if is_batch { random.below(4) } else { 1 } {
            let ids = Ids { regions: &self.regions, layers: &self.ids };
            let (operation, change) = random_operation(random, layer, ids, &self.scene);
            operations.push(operation);
            drawn.push(change);
        }
        let mut configures = Vec::new();
        let paint = if is_batch {
            if random.below(2) == 0 {
                configures.push((layer.key, changed(layer.attributes, layer.size, random)));
            }
            Paint::batch(operations, configures.clone())
        } else {
            Paint::single(operations.remove(0))
        };
        self.paintings.push(Painting { paint, drawn, configures });
    }

    fn go_on_painting(&mut self, random: &mut Random) {
        if self.paintings.is_empty() {
            return;
        }
        let index = random.below(self.paintings.len() as u64) as usize;
        let slice = one_of(random, &[500, 2000, 100_000]);
        let mut left = random.below(slice + 1);
        let mut stage = Stage {
            scene: &mut self.scene,
            compositions: &mut self.compositions,
            unmapper: &self.unmapper,
            slice,
        };
        if self.paintings[index].paint.step(&mut stage, &mut left).unwrap() == Step::Unfinished {
            return;
        }
        let painting = self.paintings.swap_remove(index);
        for drawn in &painting.drawn {
            let layer = self.layers.iter_mut().find(|layer| layer.id == drawn.layer);
            layer.expect("it goes with what is drawn into it").draw(drawn);
        }
        for (key, attributes) in painting.configures {
            let layer = self.layers.iter_mut().find(|layer| layer.key == key);
            layer.expect("it goes with what is done to it").attributes = attributes;
        }
    }

    /// The outputs go off, as when another VT comes to the front, and on again.
    fn turn_off_and_on(&mut self, random: &mut Random) {
        let index = random.below(self.monitors.len() as u64) as usize;
        let monitor = &mut self.monitors[index];
        for is_off in [true, false] {
            for composition in monitor.output.set_off(is_off) {
                self.compositions.cancel(composition);
            }
        }
        monitor.frame = None;
    }

    /// The next thing of an output's frame: it begins, is composed for a slice, or comes on the glass.
    fn go_on_with_frame(&mut self, index: usize, random: &mut Random) -> Result<(), String> {
        for Damage { layer, output, pixels, .. } in self.scene.take_damage() {
            for (id, pixels) in self.arrangement.spread(output, pixels) {
                let shown = self.monitors.iter_mut().find(|monitor| monitor.output.id() == id);
                shown.expect("it is arranged").output.damage(layer, pixels);
            }
        }
        let monitor = &mut self.monitors[index];
        let screen = *monitor.output.screen();
        match &mut monitor.frame {
            None if monitor.output.may_begin(u64::MAX) => {
                let contributions = self.arrangement.shown_on(monitor.output.id());
                let snapshot = self.scene.snapshot(&contributions);
                let picture = model::picture(&self.layers, &contributions, screen.background, screen.size());
                let number = u32::from(screen.transform.number());
                let expected = turned(&picture, screen.size(), number % 4, number >= 4);
                let turn = Turn { transform: screen.transform, size: screen.size() };
                spoil(&monitor.fresh, random);
                let whole = screen.bounds().into();
                let fresh = Rc::clone(&monitor.fresh);
                let from_nothing =
                    Composition::frame(snapshot.clone(), screen.background, whole, fresh, turn);
                let mut alone = Compositions::default();
                let id = alone.begin(from_nothing);
                assert_eq!(alone.step(id, 1 << 30).unwrap().unwrap().0, Step::Finished);
                same("the picture from nothing", &screen, &words(&monitor.fresh), &expected)?;
                let frame = monitor.output.frame(snapshot, Vec::new()).into_iter();
                let frame = frame.map(|composition| self.compositions.begin(composition)).collect();
                monitor.output.begin(frame, 0);
                monitor.frame = Some(Frame { expected, is_committed: false });
            }
            None => {}
            Some(frame) if !frame.is_committed => {
                if let Some(id) = monitor.output.composing().first().copied() {
                    let budget = one_of(random, &[1, 100, 1000, 5000, 100_000]);
                    let (step, bytes) = self.compositions.step(id, budget).unwrap().unwrap();
                    if step == Step::Finished {
                        monitor.output.composed_part(id, bytes);
                    }
                }
                if monitor.output.composing().is_empty() {
                    monitor.output.commit(0);
                    frame.is_committed = true;
                }
            }
            Some(frame) => {
                assert!(monitor.output.flip(u64::MAX));
                same("the glass", &screen, &words(monitor.output.on_glass()), &frame.expected)?;
                monitor.frame = None;
                monitor.shown += 1;
            }
        }
        Ok(())
    }

    /// Until nothing changes any more, the last frames being of the scene as it is then.
    fn rest(&mut self, random: &mut Random) -> Result<(), String> {
        while !self.paintings.is_empty() {
            self.go_on_painting(random);
        }
        for index in 0..self.monitors.len() {
            loop {
                self.go_on_with_frame(index, random)?;
                let monitor = &self.monitors[index];
                if monitor.frame.is_none() && !monitor.output.may_begin(u64::MAX) {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// Some of what an owner decides, changed.
fn changed(before: Attributes, size: (u32, u32), random: &mut Random) -> Attributes {
    let other = random_attributes(random, size);
    match random.below(7) {
        0 => Attributes { place: other.place, ..before },
        1 => Attributes { z: other.z, ..before },
        2 => Attributes { opacity: other.opacity, ..before },
        3 => Attributes { visible: !before.visible, ..before },
        4 => Attributes { output: other.output, ..before },
        5 => Attributes { crop: other.crop, band: other.band, ..before },
        _ => other,
    }
}

/// A draw or a fill, somewhere in a layer or partly beside it.
fn random_operation(
    random: &mut Random,
    layer: &model::Layer,
    ids: Ids<'_>,
    scene: &Scene<Rc<Storage>>,
) -> (Operation, Drawn) {
    let (width, height) = (within(random, 1, 50) as u32, within(random, 1, 30) as u32);
    let to = random_place(random, width, height);
    let operator = one_of(random, &[Operator::Source, Operator::Over]);
    let destination = Pixels { x: to.left(), y: to.top(), width, height };
    let layer = layer.id;
    if random.below(2) == 0 {
        let colour = random_word(random);
        let fill = Fill { layer, colour, operator, destination };
        let words = vec![colour; (width * height) as usize];
        let drawn = Drawn { layer, to, words, operator, opacity: 255 };
        return (Operation::fill(&fill, ids, scene).unwrap(), drawn);
    }
    // A part of a larger image.
    let (left, top) = (random.below(5) as u32, random.below(5) as u32);
    let image_width = left + width + random.below(3) as u32;
    let image_height = top + height + random.below(3) as u32;
    let format = one_of(random, &[Format::Xrgb8888, Format::Argb8888]);
    let image: Vec<u32> = (0..image_width * image_height).map(|_| random_word(random)).collect();
    let opacity = random_opacity(random);
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
    (Operation::draw(draw, ids, scene).unwrap(), Drawn { layer, to, words, operator, opacity })
}

/// Lives through a scene of these steps, and says how many pictures were right.
fn live(seed: u64, steps: &[u64], unmapper: &Unmapper) -> Result<u64, String> {
    let mut world = World::new(&mut Random(seed), unmapper);
    for step in steps {
        // Whatever is left out before it, a step stays as it is.
        world.step(&mut Random(seed ^ (step + 1).wrapping_mul(0x0001_0000_0001)))?;
    }
    world.rest(&mut Random(!seed))?;
    Ok(world.monitors.iter().map(|monitor| monitor.shown).sum())
}

/// Of the steps of a scene that fails, those that it fails with.
fn shrunk(seed: u64, unmapper: &Unmapper) -> Vec<u64> {
    let mut steps: Vec<u64> = (0..STEPS).collect();
    let mut index = 0;
    while index < steps.len() {
        let mut fewer = steps.clone();
        fewer.remove(index);
        match live(seed, &fewer, unmapper) {
            Ok(_) => index += 1,
            Err(_) => steps = fewer,
        }
    }
    steps
}

fn scenes(first: u64) {
    let unmapper = Helper::start().unwrap().unmapper();
    let mut shown = 0;
    for seed in first..first + SCENES {
        let steps: Vec<u64> = (0..STEPS).collect();
        match live(seed, &steps, &unmapper) {
            Ok(pictures) => shown += pictures,
            Err(error) => {
                let steps = shrunk(seed, &unmapper);
                let again = live(seed, &steps, &unmapper);
                panic!("seed {seed}: {error}\nof all steps just {steps:?}: {again:?}");
            }
        }
    }
    println!("{SCENES} scenes from seed {first} on, {shown} pictures");
    assert!(shown > SCENES * 3, "only {shown} pictures came on the glass");
}

#[test]
fn first_quarter() {
    scenes(0);
}

#[test]
fn second_quarter() {
    scenes(SCENES);
}

#[test]
fn third_quarter() {
    scenes(2 * SCENES);
}

#[test]
fn last_quarter() {
    scenes(3 * SCENES);
}
