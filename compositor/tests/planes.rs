//! Layers on hardware planes of their own: the glass shows the same, pixel for pixel, as it does without. vkms has eight
//! planes, and tells by a CRC what it scans out.

#[path = "fixture/glass.rs"]
mod glass;
#[path = "fixture/running.rs"]
#[allow(dead_code, reason = "the fixture has more than this test takes")]
mod running;
#[path = "device_memory/seccomp.rs"]
#[allow(dead_code, reason = "there is more than this test takes")]
mod seccomp;
#[path = "fixture/turned.rs"]
mod turned;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use blitd_client::{
    BatchEntry, Connection, Draw, Format, ImageView, Layer, LayerChange, LayerOptions, OutputRecord, Pixels,
    Region,
};
use glass::{crc_after, crc_of};
use nix::errno::Errno;
use running::Running;
use turned::turned;

/// There is one card, and it has one master.
static CARD: Mutex<()> = Mutex::new(());

/// More frames than a layer waits for its plane.
const SOME_FRAMES: u32 = 8;

/// How many planes vkms has for layers.
const PLANES: u8 = 8;

fn card() -> std::sync::MutexGuard<'static, ()> {
    CARD.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn configuration(planes: bool, rotation: u32) -> String {
    format!("[kms]\nplanes = {planes}\n[output.Virtual-1]\nmode = \"640x480\"\nrotation = {rotation}\n")
}

/// So much of a picture of this size, from one place to another.
fn part((width, height): (u32, u32), from: (u32, u32), to: Pixels) -> Draw {
    let image = ImageView::packed(width, height, Format::Argb8888);
    Draw::new(image).part(from.0, from.1, to.width, to.height).at(to.x, to.y)
}

/// A client, and what it sees of the glass.
struct Painter {
    connection: Connection,
    size: (u32, u32),
    quarters: u32,
    base: Layer,
    region: Region,
    taken: Region,
    frames: u32,
}

impl Painter {
    fn new(running: &Running, rotation: u32) -> Self {
        let mut connection = Connection::open_at(running.socket(), "planes").unwrap();
        let record = connection.outputs().unwrap()[0];
        let size = (record.width.get(), record.height.get());
        let base = connection.create_layer(&LayerOptions::new(size.0, size.1).z(-1)).unwrap();
        let bytes = (size.0 * size.1 * 4) as usize;
        let mut region = connection.create_region(bytes).unwrap();
        for (index, pixel) in (0u32..).zip(region.pixels_mut()) {
            // All values of alpha, and premultiplied.
            let [blue, green, red, alpha] = (index.wrapping_mul(0x9e37_79b9) ^ (index >> 7)).to_le_bytes();
            *pixel = u32::from_le_bytes([blue.min(alpha), green.min(alpha), red.min(alpha), alpha]);
        }
        let taken = connection.create_region(bytes).unwrap();
        let mut painter = Self { connection, size, quarters: rotation / 90, base, region, taken, frames: 0 };
        painter.next_frame();
        painter
    }

    /// Changes a corner of the lowest layer, and waits until that is on the glass.
    fn next_frame(&mut self) -> u64 {
        self.frames += 1;
        let corner = Pixels { x: 0, y: 0, width: 1, height: 1 };
        let colour = 0xff00_0000 | self.frames;
        self.connection.batch(None, &[BatchEntry::Fill(&self.base, colour, corner)]).unwrap();
        self.connection.sync(0).unwrap().sequence
    }

    /// Enough of these for layers to come to planes.
    fn some_frames(&mut self) {
        for _ in 0..SOME_FRAMES {
            self.next_frame();
        }
    }

    /// Draws a part of the noise into a layer.
    fn draw(&mut self, layer: &Layer, from: (u32, u32), to: Pixels) {
        self.connection.draw(layer, &mut self.region, &part(self.size, from, to)).unwrap();
    }

    /// The same into the lowest layer.
    fn draw_base(&mut self, from: (u32, u32), to: Pixels) {
        self.connection.draw(&self.base, &mut self.region, &part(self.size, from, to)).unwrap();
    }

    fn layer(&mut self, options: &LayerOptions) -> Layer {
        let layer = self.connection.create_layer(options).unwrap();
        self.draw(
            &layer,
            (7, 9),
            Pixels { x: 0, y: 0, width: layer.width().min(300), height: layer.height().min(200) },
        );
        layer
    }

    fn move_to(&mut self, layer: &Layer, x: i32, y: i32) {
        self.connection.configure_layer(layer, &LayerChange::default().place(x, y)).unwrap();
    }

    fn output(&mut self) -> OutputRecord {
        self.connection.outputs().unwrap()[0]
    }

    fn planes(&mut self) -> u8 {
        self.output().planes
    }

    /// How many bytes are composed until what has been changed is on the glass.
    fn composed(&mut self, change: impl FnOnce(&mut Self)) -> u64 {
        self.connection.sync(0).unwrap();
        let before = self.output().composed.get();
        change(self);
        self.connection.sync(0).unwrap();
        self.output().composed.get() - before
    }

    /// Compares the glass with a capture, which is composed of all layers.
    fn check(&mut self, step: u32) -> u32 {
        let sequence = self.connection.sync(0).unwrap().sequence;
        let image = ImageView::packed(self.size.0, self.size.1, Format::Xrgb8888);
        self.connection.capture_output(0, 0, 0, &mut self.taken, &image).unwrap();
        let expected = crc_of(&turned(self.taken.pixels_mut(), self.size, self.quarters, false));
        let planes = self.planes();
        assert_eq!(
            crc_after(sequence),
            expected,
            "step {step}: the glass shows something else, with {planes} planes"
        );
        expected
    }
}

/// xorshift64*, so that every run is the same.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u32) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as u32 % end
    }

    /// A place that may leave the output on every side.
    fn place(&mut self, size: (u32, u32)) -> (i32, i32) {
        (self.below(size.0 + 100) as i32 - 80, self.below(size.1 + 100) as i32 - 80)
    }

    fn options(&mut self, size: (u32, u32)) -> LayerOptions {
        let (x, y) = self.place(size);
        let options = LayerOptions::new(20 + self.below(200), 20 + self.below(150)).at(x, y);
        let options = options.z(self.below(4) as i32);
        match self.below(5) {
            0 => options.translucent(),
            1 => options.opacity(self.below(256) as u8),
            _ => options,
        }
    }
}

/// Random scenes: what each has been on the glass, and how many planes were in use in all.
fn scenes(planes: bool, rotation: u32, seed: u64, steps: u32) -> (Vec<u32>, u32) {
    let running = Running::on_card(&configuration(planes, rotation));
    let mut painter = Painter::new(&running, rotation);
    let mut random = Random(seed);
    let size = painter.size;
    let mut layers: Vec<Layer> = Vec::new();
    let (mut seen, mut in_use) = (Vec::new(), 0);
    for step in 0..steps {
        if layers.len() < 6 {
            layers.push(painter.layer(&random.options(size)));
        }
        // Several changes for a frame.
        for _ in 0..=random.below(3) {
            let index = random.below(layers.len() as u32) as usize;
            let layer = &layers[index];
            match random.below(12) {
                0 => painter.connection.destroy_layer(layers.remove(index)).unwrap(),
                1 => {
                    let change = LayerChange::default().visible(random.below(3) > 0);
                    painter.connection.configure_layer(layer, &change).unwrap();
                }
                2 => {
                    let change = LayerChange::default().z(random.below(4) as i32);
                    painter.connection.configure_layer(layer, &change).unwrap();
                }
                3 => {
                    let opacity = if random.below(4) == 0 { random.below(256) as u8 } else { 255 };
                    let change = LayerChange::default().opacity(opacity);
                    painter.connection.configure_layer(layer, &change).unwrap();
                }
                4 | 5 => {
                    let (x, y) = random.place(size);
                    painter.move_to(layer, x, y);
                }
                6 => {
                    let (x, y) = (random.below(size.0 - 200), random.below(size.1 - 200));
                    let part = Pixels { x: x as i32, y: y as i32, width: 190, height: 170 };
                    painter.draw_base((x / 2, y / 2), part);
                }
                _ => {
                    let (width, height) = (1 + random.below(layer.width()), 1 + random.below(layer.height()));
                    let part =
                        Pixels { x: random.below(20) as i32, y: random.below(20) as i32, width, height };
                    painter.draw(layer, (random.below(200), random.below(200)), part);
                }
            }
            if layers.is_empty() {
                break;
            }
        }
        seen.push(painter.check(step));
        in_use += u32::from(painter.planes());
    }
    (seen, in_use)
}

#[test]
fn random_scenes_are_the_same_with_planes_and_without() {
    let _card = card();
    for (rotation, seed, steps) in [(0, 1, 80), (90, 2, 40), (180, 3, 40)] {
        let (with, in_use) = scenes(true, rotation, seed, steps);
        let (without, none) = scenes(false, rotation, seed, steps);
        assert_eq!(with, without);
        assert!(2 * in_use > steps && none == 0, "{in_use} planes in {steps} steps, and {none}");
    }
}

#[test]
fn on_a_plane_only_what_is_drawn_is_copied() {
    let _card = card();
    let running = Running::on_card(&configuration(true, 0));
    let mut painter = Painter::new(&running, 0);
    let layer = painter.layer(&LayerOptions::new(100, 80).at(30, 40));
    painter.some_frames();
    assert_eq!(painter.planes(), 1);
    // What it hides is composed when it comes to light, once in each buffer.
    for x in [31, 130, 30, 130, 30] {
        painter.move_to(&layer, x, 40);
        // A frame of its own.
        painter.connection.sync(0).unwrap();
        painter.next_frame();
    }
    for place in [(130, 40), (30, 40), (80, 40)] {
        assert_eq!(painter.composed(|painter| painter.move_to(&layer, place.0, place.1)), 0, "{place:?}");
    }
    painter.check(0);
    let part = Pixels { x: 10, y: 20, width: 30, height: 7 };
    // The part before is brought to the other buffer.
    painter.composed(|painter| painter.draw(&layer, (1, 1), part));
    assert_eq!(painter.composed(|painter| painter.draw(&layer, (2, 2), part)), 30 * 7 * 4);
    let hidden = Pixels { x: 85, y: 45, width: 50, height: 50 };
    assert_eq!(painter.composed(|painter| painter.draw_base((3, 3), hidden)), 0);
    painter.check(1);
    let hide = LayerChange::default().visible(false);
    let bared = painter.composed(|painter| painter.connection.configure_layer(&layer, &hide).unwrap());
    // And the corner, in the other buffer.
    assert_eq!(bared, 50 * 50 * 4 + 4, "what was drawn under it");
    assert_eq!(painter.planes(), 0);
    painter.check(2);
}

#[test]
fn what_no_plane_can_show_is_composed() {
    let _card = card();
    let running = Running::on_card(&configuration(true, 0));
    let mut painter = Painter::new(&running, 0);
    let at = |index: u32| ((index % 4 * 150) as i32 - 20, (index / 4 * 150) as i32 - 20);
    let mut layers = Vec::new();
    for index in 0..12 {
        let (x, y) = at(index);
        layers.push(painter.layer(&LayerOptions::new(100, 80).at(x, y)));
    }
    painter.some_frames();
    assert_eq!(painter.planes(), PLANES, "there are more layers than planes");
    painter.check(0);
    // Nothing lies over the layers, and all have planes but those that something shines through, that are too small, or
    // that the card cannot even make a buffer of.
    for layer in layers.drain(4..) {
        painter.connection.destroy_layer(layer).unwrap();
    }
    let see_through = [LayerOptions::new(90, 90).translucent(), LayerOptions::new(90, 90).opacity(254)];
    let others = [LayerOptions::new(9, 9), LayerOptions::new(9000, 64)];
    for (index, options) in (4..).zip(see_through.iter().chain(&others)) {
        let (x, y) = at(index);
        layers.push(painter.layer(&options.at(x, y)));
    }
    painter.some_frames();
    assert_eq!(painter.planes(), 4);
    painter.check(1);
    // Under something that is composed, no layer has a plane.
    layers.push(painter.layer(&LayerOptions::new(500, 20).at(0, 10).z(1).translucent()));
    painter.some_frames();
    assert_eq!(painter.planes(), 0);
    painter.check(2);
}

/// What `struct drm_mode_atomic` of drm_mode.h says of a commit.
struct Commit {
    is_test: bool,
    may_set_modes: bool,
    objects: u32,
}

impl Commit {
    fn at(argument: u64) -> Self {
        let mut words = [0; 8];
        File::open("/proc/self/mem").unwrap().read_exact_at(&mut words, argument).unwrap();
        let word = |at: usize| u32::from_ne_bytes(words[at..at + 4].try_into().unwrap());
        let flags = word(0);
        Self { is_test: flags & 0x0100 != 0, may_set_modes: flags & 0x0400 != 0, objects: word(4) }
    }
}

/// A daemon on a card of which some commits fail.
fn on_card_that_refuses(refuses: impl Fn(&Commit) -> Option<Errno> + Send + 'static) -> Running {
    let stopped = seccomp::stop(&[seccomp::ATOMIC]);
    std::thread::spawn(move || {
        for stopped in stopped {
            match refuses(&Commit::at(stopped.argument)) {
                Some(errno) => stopped.fail(errno),
                None => stopped.go_on(),
            }
        }
    });
    Running::on_card(&configuration(true, 0))
}

#[test]
fn what_the_card_refuses_is_composed() {
    let _card = card();
    // Planes of layers, and that of the picture.
    let running =
        on_card_that_refuses(|commit| (commit.is_test && commit.objects > 1 + 2).then_some(Errno::EINVAL));
    let mut painter = Painter::new(&running, 0);
    for x in [0, 100, 200, 300, 400] {
        painter.layer(&LayerOptions::new(90, 80).at(x, 40));
    }
    painter.some_frames();
    assert_eq!(painter.planes(), 2);
    painter.check(0);
    painter.some_frames();
    assert_eq!(painter.planes(), 2);
}

/// It says of each commit with a plane that it lacks memory, after it has said that it would do.
#[test]
fn a_card_without_memory_for_planes_is_not_turned_off_for_it() {
    let _card = card();
    let (refused, modes) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let running = on_card_that_refuses({
        let (refused, modes) = (Arc::clone(&refused), Arc::clone(&modes));
        move |commit| {
            if commit.is_test {
                return None;
            }
            if commit.may_set_modes {
                modes.fetch_add(1, Ordering::SeqCst);
                return None;
            }
            let lacks = commit.objects > 1;
            refused.fetch_add(u32::from(lacks), Ordering::SeqCst);
            lacks.then_some(Errno::ENOMEM)
        }
    });
    let mut painter = Painter::new(&running, 0);
    painter.layer(&LayerOptions::new(90, 80).at(20, 40));
    painter.some_frames();
    let before = modes.load(Ordering::SeqCst);
    for round in 0..3 {
        painter.some_frames();
        assert_eq!(painter.planes(), 0);
        painter.check(round);
    }
    assert_eq!((refused.load(Ordering::SeqCst), modes.load(Ordering::SeqCst)), (1, before));
}

#[test]
fn a_card_that_takes_back_what_it_has_promised_shows_the_picture() {
    let _card = card();
    let lies = Arc::new(AtomicBool::new(false));
    let running = on_card_that_refuses({
        let lies = Arc::clone(&lies);
        move |commit| (!commit.is_test && lies.swap(false, Ordering::SeqCst)).then_some(Errno::EINVAL)
    });
    let mut painter = Painter::new(&running, 0);
    let layer = painter.layer(&LayerOptions::new(90, 80).at(20, 40));
    painter.some_frames();
    assert_eq!(painter.planes(), 1);
    lies.store(true, Ordering::SeqCst);
    painter.move_to(&layer, 50, 50);
    painter.connection.sync(0).unwrap();
    assert_eq!((painter.planes(), lies.load(Ordering::SeqCst)), (0, false));
    painter.check(0);
    painter.some_frames();
    assert_eq!(painter.planes(), 0, "it is not believed again so soon");
    painter.check(1);
}
