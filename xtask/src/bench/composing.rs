//! Composing a frame of many layers that overlap, beside what it is made of: a pass over each pixel that is seen of each
//! layer. And the process in which all is measured.
//!
//! What a pass costs depends on what is in the cache. A frame reads pixels of all layers, which is more than the caches of
//! many processors hold; so does the pass that the goal is about. Passes over opaque layers and over others apart find more
//! of theirs there each time that they are repeated, and are shown besides.

use std::rc::Rc;
use std::time::Instant;

use blitd::display::output::Output;
use blitd::display::screen::Screen;
use blitd::frame::{Blit, plan};
use blitd::frame_clock::FrameClock;
use blitd::memory::helper::Helper;
use blitd::memory::storage::{Storage, StorageError};
use blitd::memory::unmap::Unmapper;
use blitd::scene::arrangement::Arrangement;
use blitd::scene::crop::whole;
use blitd::scene::{Attributes, Layer, NOBODY, Placed, Scene as Layers};
use blitd::work::compositions::Compositions;
use blitd::work::{SLICE_ALONE, Step};
use blitd_client::Format;
use blitd_client::protocol::image::Rectangle;
use blitd_client::protocol::value::{Backend, Band, Name, Operator, Transform};
use blitd_pixels::blit;
use blitd_pixels::view::{Picture, PictureMut, View};

use super::Bench;
use super::client::{answer_commands, nanoseconds, say, timed};
use super::command::{Answer, Command, Scene};
use super::draws::microseconds;
use super::kernels::start;
use super::pixels::{memory, packed, paint, too_large};
use super::report::Line;
use super::scenes::{FRAME, LAYERS, OF_PASSES, SEED};
use super::statistics::Rounds;
use super::worker::Worker;
use crate::tools::TaskError;

/// The output's number.
const OUTPUT: u32 = 1;

/// The smallest side of a layer, in pixels.
const LEAST_SIDE: u32 = 200;

/// What the results are called: beside all of the layers, and beside opaque ones and others apart.
pub(super) fn names() -> [String; 2] {
    ["passes", "passes apart"].map(|peer| format!("compose {}x{}, {LAYERS} layers: {peer}", FRAME.0, FRAME.1))
}

/// What composing a frame takes.
pub(super) fn measure(bench: &mut Bench) -> Result<(), TaskError> {
    let mut command = bench.servers.this("bench-composing");
    let mut worker = start(bench, || Worker::start(&mut command))?;
    let (width, height) = FRAME;
    let mut ask = |scene, amount| worker.ask(&Command { scene, width, height, amount });
    let [mut together, mut apart] = [Rounds::default(), Rounds::default()];
    for round in 0..=bench.rounds {
        let ours = microseconds(&ask(Scene::Compose, bench.milliseconds)?, 1);
        let passes = microseconds(&ask(Scene::Passes, bench.milliseconds)?, 1);
        let copies = microseconds(&ask(Scene::PassOfCopies, bench.milliseconds / 2)?, 1);
        let blends = microseconds(&ask(Scene::PassOfBlends, bench.milliseconds / 2)?, 1);
        if round > 0 {
            together.add(ours, passes);
            apart.add(ours, copies + blends);
        }
    }
    let [name, name_apart] = names();
    bench.result(Line::new(name, &together, "µs", Some(OF_PASSES)));
    bench.result(Line::new(name_apart, &apart, "µs", None));
    Ok(())
}

/// Does what it is told until nobody tells it anything more.
pub(crate) fn run() -> Result<(), TaskError> {
    let failed = |source| TaskError::Start { what: "the helper thread of the benchmark".into(), source };
    let mut stage = Stage::new(&Helper::start().map_err(failed)?.unmapper())?;
    say("ready")?;
    answer_commands(|command| stage.answer(command))
}

/// An output, and the layers on it.
struct Stage {
    layers: Layers<Rc<Storage>>,
    arrangement: Arrangement,
    compositions: Compositions,
    output: Output,
    /// What the passes write.
    canvas: Storage,
}

impl Stage {
    fn new(unmapper: &Unmapper) -> Result<Self, TaskError> {
        let storage = |format| Storage::new(FRAME.0, FRAME.1, format, unmapper).map_err(failed);
        let buffers = [Rc::new(storage(Format::Xrgb8888)?), Rc::new(storage(Format::Xrgb8888)?)];
        let screen = Screen {
            name: Name::new("bench"),
            backend: Backend::Headless,
            mode: FRAME,
            refresh: 60_000,
            transform: Transform::Identity,
            place: None,
            background: 0xff00_0000,
        };
        let output = Output::new(OUTPUT, screen, FrameClock::paced(0, screen.refresh), buffers, 0);
        let mut arrangement = Arrangement::default();
        arrangement.change([(OUTPUT, None)]);
        let mut layers = Layers::default();
        for (number, place) in (0..).zip(places()) {
            layers.insert(layer(number, place, unmapper)?);
        }
        let canvas = storage(Format::Xrgb8888)?;
        Ok(Self { layers, arrangement, compositions: Compositions::default(), output, canvas })
    }

    fn answer(&mut self, command: &Command) -> Result<Answer, TaskError> {
        let begun = Instant::now();
        let snapshot = self.snapshot();
        let steps = plan(&snapshot, Rectangle::from_size(FRAME.0, FRAME.1));
        let times = timed(command.amount, || {
            match command.scene {
                Scene::Compose => self.frame()?,
                Scene::PassOfCopies => self.pass(&snapshot, &steps, &[Kind::Copy], self.past_cache()),
                Scene::PassOfBlends => {
                    self.pass(&snapshot, &steps, &[Kind::Blend], self.canvas.picture_mut())
                }
                _ => self.pass(&snapshot, &steps, &[Kind::Copy, Kind::Blend], self.canvas.picture_mut()),
            }
            Ok(None)
        })?;
        Ok(Answer { frames: 0, duration: nanoseconds(begun.elapsed()), times })
    }

    fn snapshot(&self) -> Vec<Placed<Rc<Storage>>> {
        self.layers.snapshot(&self.arrangement.shown_on(OUTPUT))
    }

    /// A frame, from the damage of all layers to the flip, in slices as where there is one client.
    fn frame(&mut self) -> Result<(), TaskError> {
        let lost = |what: String| TaskError::Expected(format!("a frame of the benchmark is lost: {what}"));
        self.output.damage_whole();
        let compositions = self.output.frame(self.snapshot(), Vec::new());
        let composing = compositions.into_iter().map(|composition| self.compositions.begin(composition));
        self.output.begin(composing.collect(), 0, 0);
        while let Some(id) = self.output.composing().first().copied() {
            match self.compositions.step(id, SLICE_ALONE) {
                Some(Ok((Step::Unfinished, _))) => {}
                Some(Ok((Step::Finished, bytes))) => self.output.composed_part(id, bytes, 0),
                Some(Err(error)) => return Err(lost(error.to_string())),
                None => return Err(lost("nobody has begun it".into())),
            }
        }
        self.output.commit(0);
        match self.output.flip(u64::MAX) {
            true => Ok(()),
            false => Err(lost("it does not come on the glass".into())),
        }
    }

    /// The canvas, for what is not read soon.
    fn past_cache(&self) -> Option<PictureMut<'_>> {
        self.canvas.picture_for(u64::from(FRAME.0) * u64::from(FRAME.1) * 4)
    }

    /// Copies or blends what is seen of layers, each pixel of each of them once.
    fn pass(
        &self,
        snapshot: &[Placed<Rc<Storage>>],
        steps: &[Blit],
        kinds: &[Kind],
        canvas: Option<PictureMut<'_>>,
    ) {
        let Some(mut canvas) = canvas else { return };
        for step in steps {
            let Some(placed) = step.layer.and_then(|index| snapshot.get(index)) else { continue };
            let (kind, operator) = match placed.is_opaque {
                true => (Kind::Copy, Operator::Source),
                false => (Kind::Blend, Operator::Over),
            };
            let Some(source) = placed.storage.picture().filter(|_| kinds.contains(&kind)) else { continue };
            let from = (step.pixels.left() - placed.place.left(), step.pixels.top() - placed.place.top());
            blit::draw(&source, from, &mut canvas, step.pixels, operator, placed.opacity);
        }
    }
}

/// What becomes of a layer's pixels.
#[derive(PartialEq, Eq)]
enum Kind {
    /// Opaque ones replace what is there.
    Copy,
    /// Others are blended with it.
    Blend,
}

/// Where the layers are, from the lowest one on, which covers the frame.
fn places() -> impl Iterator<Item = Rectangle> {
    let mut random = SEED;
    let mut below = move |end: u32| {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        random % end
    };
    let others = std::iter::repeat_with(move || {
        let mut side = |whole: u32| {
            let length = LEAST_SIDE + below(whole - LEAST_SIDE + 1);
            (below(whole - length + 1), length)
        };
        let ((x, width), (y, height)) = (side(FRAME.0), side(FRAME.1));
        // All of it is inside the frame.
        Rectangle::new(x as i32, y as i32, width, height).unwrap_or_default()
    });
    std::iter::once(Rectangle::from_size(FRAME.0, FRAME.1)).chain(others.take(LAYERS - 1))
}

/// A layer: every second one is opaque, of the others some have pixels of every alpha, and some are shown through by their
/// opacity.
fn layer(number: u32, place: Rectangle, unmapper: &Unmapper) -> Result<Layer<Rc<Storage>>, TaskError> {
    let (format, opacity) = match number % 4 {
        1 => (Format::Argb8888, 255),
        3 => (Format::Xrgb8888, 160),
        _ => (Format::Xrgb8888, 255),
    };
    let size = (place.width(), place.height());
    let storage = Storage::new(size.0, size.1, format, unmapper).map_err(failed)?;
    let (layout, _, length) = packed(format, size.0, size.1);
    let mut pixels = memory(length)?;
    paint(&mut pixels, Format::Argb8888);
    let picture = Picture::new(View::from_slice(&pixels), layout).ok_or_else(too_large)?;
    let mut target = storage.picture_mut().ok_or_else(too_large)?;
    blit::draw(&picture, (0, 0), &mut target, storage.bounds(), Operator::Source, 255);
    let attributes = Attributes {
        output: OUTPUT,
        place,
        crop: whole(size.0, size.1),
        band: Band::Normal,
        z: 0,
        opacity,
        visible: true,
    };
    Ok(Layer {
        owner: NOBODY,
        uid: 0,
        token: None,
        id: number,
        name: Name::new("bench"),
        size,
        format,
        attributes,
        front: Rc::new(storage),
        spare: None,
        draws: 0,
    })
}

fn failed(error: StorageError) -> TaskError {
    TaskError::Expected(error.to_string())
}
