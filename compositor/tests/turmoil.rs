//! Everything at once, in the guest: clients draw while VTs are switched, screens are unplugged and plugged in again, and another
//! program has the card in between, in random order. Whenever the screen is on, it shows what it should, pixel for pixel.

#[path = "fixture/card.rs"]
mod card;
#[path = "fixture/console.rs"]
#[allow(dead_code, reason = "the fixture has more than this test takes")]
mod console;
#[path = "vt/daemon.rs"]
#[allow(dead_code, reason = "the fixture has more than this test takes")]
mod daemon;
#[path = "fixture/glass.rs"]
mod glass;
#[path = "fixture/plug.rs"]
mod plug;
#[path = "vt/rival.rs"]
mod rival;

use std::fs;
use std::time::{Duration, Instant};

use blitd_client::{
    BatchEntry, Connection, Draw, Format, ImageView, Layer, LayerChange, LayerOptions, NotShown, Pixels,
    Region,
};
use console::Console;
use daemon::{Daemon, command};
use glass::{crc_after, crc_of};
use plug::plug;
use rival::Rival;

const MODE: (u32, u32) = (640, 480);
const PANE: (u32, u32) = (131, 77);
const OURS: u16 = 7;
const OTHER: u16 = 8;
/// Only a deadlock takes that long.
const PATIENCE: Duration = Duration::from_secs(60);

/// xorshift64*, so that every run is the same.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u32) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as u32 % end
    }

    /// A part of something of this size, of odd edges.
    fn part(&mut self, (width, height): (u32, u32)) -> Pixels {
        let (x, y) = (self.below(width), self.below(height));
        let (width, height) = (1 + self.below(width - x), 1 + self.below(height - y));
        Pixels { x: x as i32, y: y as i32, width, height }
    }
}

/// A client that knows what the screen should show.
struct Painter {
    connection: Connection,
    size: (u32, u32),
    base: Layer,
    pane: Layer,
    region: Region,
    taken: Region,
    /// The pixels of both layers, and where the pane is.
    base_words: Vec<u32>,
    pane_words: Vec<u32>,
    place: (i32, i32),
}

fn paint(words: &mut [u32], width: u32, part: Pixels, word: impl Fn(usize) -> u32) {
    for y in part.y as usize..part.y as usize + part.height as usize {
        for x in part.x as usize..part.x as usize + part.width as usize {
            let index = y * width as usize + x;
            words[index] = word(index);
        }
    }
}

impl Painter {
    fn new(mut connection: Connection, size: (u32, u32)) -> Self {
        let base = connection.create_layer(&LayerOptions::new(size.0, size.1)).unwrap();
        let pane = connection.create_layer(&LayerOptions::new(PANE.0, PANE.1).z(1).at(3, 5)).unwrap();
        let bytes = (size.0 * size.1 * 4) as usize;
        let region = connection.create_region(bytes).unwrap();
        let taken = connection.create_region(bytes).unwrap();
        let words = |(width, height): (u32, u32)| vec![0xff00_0000; (width * height) as usize];
        let (base_words, pane_words) = (words(size), words(PANE));
        let place = (3, 5);
        Self { connection, size, base, pane, region, taken, base_words, pane_words, place }
    }

    fn draw(&mut self, part: Pixels, seed: u32) {
        let noise = |index: usize| (index as u32).wrapping_mul(0x9e37_79b9) ^ seed | 0xff00_0000;
        paint(self.region.pixels_mut(), self.size.0, part, noise);
        paint(&mut self.base_words, self.size.0, part, noise);
        let image = ImageView::packed(self.size.0, self.size.1, Format::Xrgb8888);
        let draw =
            Draw::new(image).part(part.x as u32, part.y as u32, part.width, part.height).at(part.x, part.y);
        self.connection.draw(&self.base, &mut self.region, &draw).unwrap();
    }

    /// Fills parts of both layers, and moves the upper one, all in one frame.
    fn batch(&mut self, parts: [Pixels; 2], colour: u32, place: (i32, i32)) {
        paint(&mut self.base_words, self.size.0, parts[0], |_| colour);
        paint(&mut self.pane_words, PANE.0, parts[1], |_| !colour | 0xff00_0000);
        self.place = place;
        let change = LayerChange::default().place(place.0, place.1);
        let entries = [
            BatchEntry::Fill(&self.base, colour, parts[0]),
            BatchEntry::Fill(&self.pane, !colour | 0xff00_0000, parts[1]),
            BatchEntry::Configure(&self.pane, change),
        ];
        self.connection.batch(None, &entries).unwrap();
    }

    /// What the screen should show, before it is turned.
    fn expected(&self) -> Vec<u32> {
        let mut words = self.base_words.clone();
        for (index, word) in self.pane_words.iter().enumerate() {
            let (x, y) =
                (index as i32 % PANE.0 as i32 + self.place.0, index as i32 / PANE.0 as i32 + self.place.1);
            if (0..self.size.0 as i32).contains(&x) && (0..self.size.1 as i32).contains(&y) {
                words[(y * self.size.0 as i32 + x) as usize] = *word;
            }
        }
        words
    }

    fn capture(&mut self) -> bool {
        let image = ImageView::packed(self.size.0, self.size.1, Format::Xrgb8888);
        self.connection.capture_output(0, 0, 0, &mut self.taken, &image).is_ok()
    }

    /// Sees that the glass and a capture show what they should, once the screen is on.
    fn check(&mut self, rotation: u32, step: u32) {
        let deadline = Instant::now() + PATIENCE;
        let shown = loop {
            let shown = self.connection.sync(0).unwrap();
            if shown.reason == NotShown::Shown {
                break shown;
            }
            assert!(Instant::now() < deadline, "step {step}: {:?}, and it stays so", shown.reason);
        };
        let expected = self.expected();
        assert!(self.capture(), "step {step}");
        assert!(self.taken.pixels_mut() == &expected[..], "step {step}: a capture shows something else");
        let crc = crc_of(&turned(&expected, self.size, rotation));
        assert_eq!(crc_after(shown.sequence), crc, "step {step}: the glass shows something else");
    }
}

/// A picture rotated counter-clockwise.
fn turned(words: &[u32], (width, height): (u32, u32), rotation: u32) -> Vec<u32> {
    let (width, height) = (width as usize, height as usize);
    let at = |x: usize, y: usize| words[y * width + x];
    let quarter = |column: usize| (0..height).map(move |y| at(column, y));
    match rotation {
        0 => words.to_vec(),
        90 => (0..width).rev().flat_map(quarter).collect(),
        180 => words.iter().rev().copied().collect(),
        _ => (0..width).flat_map(|column| quarter(column).rev()).collect(),
    }
}

/// What a process holds of the card and of the kernel: framebuffers, mappings of a card's memory, descriptors.
fn held(process: u32) -> (usize, usize, usize) {
    let cards = fs::read_dir("/sys/kernel/debug/dri").unwrap().flatten();
    let framebuffers =
        cards.filter_map(|card| fs::read_to_string(card.path().join("framebuffer")).ok()).collect::<String>();
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let is_of_card = |line: &&str| line.contains("/dev/dri/") || line.contains("dmabuf");
    let descriptors = fs::read_dir(format!("/proc/{process}/fd")).unwrap().count();
    (
        framebuffers.matches("allocated by = blitd").count(),
        maps.lines().filter(is_of_card).count(),
        descriptors,
    )
}

fn turmoil(kms: &str, rotation: u32, seed: u64, steps: u32) {
    Console::open(1).activate();
    let config = std::env::temp_dir().join("turmoil.toml");
    fs::write(&config, format!("{kms}\n[output.Virtual-1]\nrotation = {rotation}\n")).unwrap();
    let command = command(&["--tty", "/dev/tty7", "--config", config.to_str().unwrap()]);
    let daemon = Daemon::run(command, "turmoil");
    let (ours, other) = (Console::open(OURS), Console::open(OTHER));
    ours.wait();
    let rival = Rival::open((800, 600));
    let size = if rotation.is_multiple_of(180) { MODE } else { (MODE.1, MODE.0) };
    let mut painter = Painter::new(daemon.connect("turmoil"), size);
    let mut random = Random(seed);
    // What else is set on a card is beyond legacy commits.
    let is_atomic = !kms.contains("atomic = false");
    painter.check(rotation, 0);
    let before = held(daemon.process());
    let (mut is_front, mut is_plugged, mut checks) = (true, true, 0);
    for step in 1..=steps {
        match random.below(12) {
            0..=3 => {
                let part = random.part(size);
                painter.draw(part, step.wrapping_mul(0x85eb_ca6b));
            }
            4 | 5 => {
                let parts = [random.part(size), random.part(PANE)];
                let place = (random.below(size.0) as i32 - 60, random.below(size.1) as i32 - 30);
                painter.batch(parts, step.wrapping_mul(0xc2b2_ae35) | 0xff00_0000, place);
            }
            6 if is_front => {
                other.activate();
                is_front = false;
                assert_eq!(painter.connection.sync(0).unwrap().reason, NotShown::OutputOff, "step {step}");
                if random.below(2) == 0 {
                    rival.take();
                    if is_plugged {
                        rival.show();
                        if is_atomic && random.below(2) == 0 {
                            rival.distort();
                        }
                    }
                    rival.give();
                }
            }
            6 | 7 if !is_front => {
                ours.activate();
                is_front = true;
            }
            8 => {
                is_plugged = !is_plugged;
                plug(is_plugged);
            }
            9 if is_plugged => {
                // So fast that they may be seen as one, or not at all.
                plug(false);
                plug(true);
            }
            // An output that is there can be captured whatever is in front.
            10 if painter.capture() => {
                let expected = painter.expected();
                assert!(painter.taken.pixels_mut() == &expected[..], "step {step}");
            }
            _ if is_front && is_plugged => {
                painter.check(rotation, step);
                checks += 1;
            }
            _ => {}
        }
    }
    if !is_plugged {
        plug(true);
    }
    // A screen that is lit anew has no layers on planes yet, which have buffers of their own.
    if is_front {
        other.activate();
    }
    ours.activate();
    painter.check(rotation, steps);
    assert_eq!(held(daemon.process()), before, "framebuffers, mappings, descriptors");
    assert!(before.0 > 0 && before.1 > 0, "{before:?}");
    assert!(checks > 0, "{checks} checks in {steps} steps");
    daemon.stop();
    fs::remove_file(config).unwrap();
}

#[test]
fn the_glass_is_right_whatever_comes_in_between() {
    turmoil("", 0, 1, 250);
    turmoil("[kms]\nbuffers = \"gbm\"", 90, 2, 150);
    turmoil("[kms]\natomic = false", 270, 3, 150);
    turmoil("", 180, 4, 150);
}
