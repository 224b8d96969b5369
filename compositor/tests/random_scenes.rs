//! Random scenes, composed piece by piece while they change, against the same scenes composed from nothing and against a
//! model that knows pixels only: every picture is the same to the bit.
//!
//! The rooms are used as the server uses them, down to single slices of random size. A scene is made of its seed alone,
//! and each of its steps of the seed and a number; of one that fails the steps are left out that it fails without.

#[path = "random_scenes/buffers.rs"]
mod buffers;
mod fixture;
#[path = "random_scenes/model.rs"]
mod model;
#[path = "random_scenes/steps.rs"]
mod steps;

use std::rc::Rc;

use blitd::display::output::Output;
use blitd::display::screen::Screen;
use blitd::frame_clock::FrameClock;
use blitd::memory::helper::Helper;
use blitd::memory::region::Regions;
use blitd::memory::storage::Storage;
use blitd::memory::unmap::Unmapper;
use blitd::scene::arrangement::Arrangement;
use blitd::scene::{Attributes, Damage, Layer, LayerKey, Scene};
use blitd::work;
use blitd::work::composition::{Composition, Turn};
use blitd::work::compositions::Compositions;
use blitd::work::operation::{Ids, Operation};
use blitd::work::paint::{Paint, Stage};
use blitd_protocol::image::Format;
use blitd_protocol::request::Entry;
use blitd_protocol::value::{Backend, Name, Transform};
use buffers::{same, spoil, words};
use fixture::Random;
use fixture::turned::turned;
use foldhash::HashMap;
use model::{Drawn, Model};
use steps::{Bounds, Step, background, live_through, numbers, one_of, within};

/// Scenes of each of the tests below, which run beside each other.
const SCENES: u64 = 2600;

/// Steps of a scene: some frames of each output.
const STEPS: u64 = 60;

/// Small, so that much happens in few pixels.
const BOUNDS: Bounds =
    Bounds { output: (40, 30), layers: [(1, 1), (60, 40)], drawn: (50, 30), outputs: 3, plain: 0 };

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
    layer: u32,
    drawn: Vec<Drawn>,
    attributes: Option<Attributes>,
}

struct World {
    scene: Scene<Rc<Storage>>,
    compositions: Compositions,
    arrangement: Arrangement,
    monitors: Vec<Monitor>,
    ids: HashMap<u32, LayerKey>,
    regions: Regions,
    model: Model,
    paintings: Vec<Painting>,
    unmapper: Unmapper,
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
            let background = background(random);
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
            model: Model::default(),
            paintings: Vec::new(),
            unmapper: unmapper.clone(),
        }
    }

    /// Does something; fails where a picture is not what it should be.
    fn step(&mut self, random: &mut Random) -> Result<(), String> {
        let is_free = |layer: &model::Layer| self.paintings.iter().all(|painting| painting.layer != layer.id);
        match Step::random(random, &BOUNDS, self.model.layers(), is_free) {
            Some(Step::Create { size, format, attributes }) => self.create(size, format, attributes),
            Some(Step::Destroy { layer }) => self.destroy(layer),
            Some(Step::Configure { layer, attributes }) => {
                self.scene.configure([(self.ids[&layer], attributes)]);
                self.model.configure(layer, attributes);
            }
            Some(Step::Paint(painting)) if self.paintings.len() < 2 => self.begin_painting(painting),
            Some(Step::GoOnPainting) => self.go_on_painting(random),
            Some(Step::TurnOffAndOn) => self.turn_off_and_on(random),
            Some(Step::GoOnWithFrame) => {
                let index = random.below(self.monitors.len() as u64) as usize;
                self.go_on_with_frame(index, random)?;
            }
            Some(Step::Paint(_)) | None => {}
        }
        Ok(())
    }

    fn create(&mut self, size: (u32, u32), format: Format, attributes: Attributes) {
        let front = Rc::new(Storage::new(size.0, size.1, format, &self.unmapper).unwrap());
        let id = self.model.create(size, format, attributes);
        let layer = Layer {
            owner: 1,
            uid: 0,
            token: None,
            id,
            name: Name::new("random"),
            size,
            format,
            attributes,
            front,
            spare: None,
            draws: 0,
        };
        self.ids.insert(id, self.scene.insert(layer));
    }

    /// A layer goes, and whatever is being drawn into it.
    fn destroy(&mut self, id: u32) {
        self.paintings.retain(|painting| painting.layer != id);
        self.model.destroy(id);
        let key = self.ids.remove(&id).expect("it is there");
        self.scene.remove(key);
    }

    fn begin_painting(&mut self, painting: steps::Painting) {
        let steps::Painting { layer, is_batch, entries, drawn, attributes } = painting;
        let ids = Ids { regions: &self.regions, layers: &self.ids };
        let operation = |entry| match entry {
            Entry::Draw(draw) => Operation::draw(draw, ids, &self.scene).unwrap(),
            Entry::Fill(fill) => Operation::fill(&fill, ids, &self.scene).unwrap(),
            Entry::LayerConfigure(_) => unreachable!("what is changed of the layer is beside the entries"),
        };
        let mut operations: Vec<Operation> = entries.into_iter().map(operation).collect();
        let paint = if is_batch {
            let configures = attributes.map(|attributes| (self.ids[&layer], attributes));
            Paint::batch(operations, configures.into_iter().collect())
        } else {
            Paint::single(operations.remove(0))
        };
        self.paintings.push(Painting { paint, layer, drawn, attributes });
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
        if self.paintings[index].paint.step(&mut stage, &mut left).unwrap() == work::Step::Unfinished {
            return;
        }
        let painting = self.paintings.swap_remove(index);
        painting.drawn.iter().for_each(|drawn| self.model.draw(drawn));
        if let Some(attributes) = painting.attributes {
            self.model.configure(painting.layer, attributes);
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
            None if monitor.output.may_begin(u64::MAX, false) => {
                let contributions = self.arrangement.shown_on(monitor.output.id());
                let snapshot = self.scene.snapshot(&contributions);
                let picture = self.model.picture(&contributions, screen.background, screen.size());
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
                assert_eq!(alone.step(id, 1 << 30).unwrap().unwrap().0, work::Step::Finished);
                same("the picture from nothing", &screen, &words(&monitor.fresh), &expected)?;
                let frame = monitor.output.frame(snapshot, Vec::new()).into_iter();
                let frame = frame.map(|composition| self.compositions.begin(composition)).collect();
                monitor.output.begin(frame, 0, 0);
                monitor.frame = Some(Frame { expected, is_committed: false });
            }
            None => {}
            Some(frame) if !frame.is_committed => {
                if let Some(id) = monitor.output.composing().first().copied() {
                    let budget = one_of(random, &[1, 100, 1000, 5000, 100_000]);
                    let (step, bytes) = self.compositions.step(id, budget).unwrap().unwrap();
                    if step == work::Step::Finished {
                        monitor.output.composed_part(id, bytes, 0);
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
                if monitor.frame.is_none() && !monitor.output.may_begin(u64::MAX, false) {
                    break;
                }
            }
        }
        Ok(())
    }
}

/// Lives through a scene of these steps, and says how many pictures were right.
fn live(seed: u64, steps: &[u64], unmapper: &Unmapper) -> Result<u64, String> {
    let mut world = World::new(&mut Random(seed), unmapper);
    for step in steps {
        // Whatever is left out before it, a step stays as it is.
        world.step(&mut numbers(seed, *step))?;
    }
    world.rest(&mut Random(!seed))?;
    Ok(world.monitors.iter().map(|monitor| monitor.shown).sum())
}

fn scenes(first: u64) {
    let unmapper = Helper::start().unwrap().unmapper();
    let seeds = first..first + SCENES;
    let shown: u64 =
        seeds.map(|seed| live_through(seed, STEPS, |seed, steps| live(seed, steps, &unmapper))).sum();
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
