//! The same pictures on a real display driver: vkms, in a guest that `cargo xtask vm` boots. The driver computes a CRC
//! of what it scans out, pixel for pixel, which is compared with that of the picture that should be there.

#[path = "fixture/card.rs"]
mod card;
#[path = "fixture/glass.rs"]
mod glass;
#[path = "kms/leftover.rs"]
mod leftover;
#[path = "fixture/plug.rs"]
mod plug;
#[path = "fixture/running.rs"]
#[allow(dead_code, reason = "the fixture has more than this test takes")]
mod running;
#[path = "fixture/turned.rs"]
mod turned;

use std::fs;
use std::sync::Mutex;

use blitd::display::kms::device::Device;
use blitd::display::kms::leftovers::clear;
use blitd_client::{
    BatchEntry, ClockSource, Connection, Draw, Format, ImageView, Layer, LayerOptions, NotShown, Pixels,
    Region, Shown,
};
use drm::control::Device as _;
use glass::{crc_after, crc_of};
use plug::plug;
use running::Running;
use turned::turned;

/// There is one card, and it has one master.
static CARD: Mutex<()> = Mutex::new(());

/// A client that draws pictures in which no two pixels that are near each other are the same.
struct Painter {
    connection: Connection,
    size: (u32, u32),
    layer: Layer,
    pane: Layer,
    region: Region,
    taken: Region,
}

impl Painter {
    /// With layers of this size, on the first output, which need not be there.
    fn new(running: &Running, size: (u32, u32)) -> Self {
        let mut connection = Connection::open_at(running.socket(), "kms").unwrap();
        let layer = connection.create_layer(&LayerOptions::new(size.0, size.1)).unwrap();
        let pane = LayerOptions::new(100, 50).at(30, 40).z(1).translucent();
        let pane = connection.create_layer(&pane).unwrap();
        let bytes = (size.0 * size.1 * 4) as usize;
        let region = connection.create_region(bytes).unwrap();
        let taken = connection.create_region(bytes).unwrap();
        Self { connection, size, layer, pane, region, taken }
    }

    /// Draws a picture of its own for each round, less and less of it anew.
    fn draw(&mut self, round: u32) {
        let (width, height) = self.size;
        for (index, pixel) in (0u32..).zip(self.region.pixels_mut()) {
            *pixel = index.wrapping_mul(0x9e37_79b9).rotate_left(round);
        }
        let image = ImageView::packed(width, height, Format::Xrgb8888);
        let part = Draw::new(image).part(0, 0, width, height >> round).at(0, (round * 7) as i32);
        self.connection.draw(&self.layer, &mut self.region, &part).unwrap();
        let square = Pixels { x: 10 * round as i32, y: 5, width: 40, height: 30 };
        let fill = BatchEntry::Fill(&self.pane, 0x8040_2010 + round, square);
        self.connection.batch(None, &[fill]).unwrap();
    }

    /// The picture as it should be on the glass, before it is turned.
    fn captured(&mut self) -> &[u32] {
        let image = ImageView::packed(self.size.0, self.size.1, Format::Xrgb8888);
        self.connection.capture_output(0, 0, 0, &mut self.taken, &image).unwrap();
        self.taken.pixels_mut()
    }

    /// Waits until the glass shows what has been drawn.
    fn shown(&mut self) -> Shown {
        let shown = self.connection.sync(0).unwrap();
        assert_eq!(shown.clock, ClockSource::Hardware);
        shown
    }

    /// Compares what is on the glass with what should be there, turned by so many quarters after being reflected.
    fn check(&mut self, quarters: u32, reflects: bool) -> u32 {
        let shown = self.shown();
        let size = self.size;
        let expected = crc_of(&turned(self.captured(), size, quarters, reflects));
        assert_eq!(
            crc_after(shown.sequence),
            expected,
            "{size:?} {quarters} {reflects}: the glass shows something else"
        );
        expected
    }

    /// Waits for the pulse that says that outputs have changed, and then lists them.
    fn outputs_changed(&mut self) -> usize {
        while self.connection.wait_for_pulses(None).unwrap().is_empty() {}
        self.connection.outputs().unwrap().len()
    }
}

/// The size of the first output's pictures.
fn first_size(running: &Running) -> (u32, u32) {
    let mut connection = Connection::open_at(running.socket(), "looks").unwrap();
    let output = connection.outputs().unwrap()[0];
    (output.width.get(), output.height.get())
}

/// Draws several pictures, and compares what is on the glass with what a capture says should be there.
fn check(configuration: &str, quarters: u32, reflects: bool) -> (u32, u32) {
    let running = Running::on_card(configuration);
    let size = first_size(&running);
    let mut painter = Painter::new(&running, size);
    let mut seen = Vec::new();
    for round in 0..4 {
        painter.draw(round);
        seen.push(painter.check(quarters, reflects));
    }
    seen.dedup();
    assert_eq!(seen.len(), 4, "the pictures differ from each other");
    size
}

fn card() -> std::sync::MutexGuard<'static, ()> {
    CARD.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[test]
fn atomic_and_legacy_commits_of_dumb_and_gbm_buffers_show_the_picture() {
    let _card = card();
    for (atomic, buffers) in [(true, "dumb"), (false, "dumb"), (true, "gbm"), (false, "gbm")] {
        check(&format!("[kms]\natomic = {atomic}\nbuffers = \"{buffers}\"\n"), 0, false);
    }
}

#[test]
fn every_rotation_shows_the_picture_turned() {
    let _card = card();
    let every = [0, 90, 180, 270].into_iter().flat_map(|rotation| [(rotation, false), (rotation, true)]);
    for (rotation, reflects) in every {
        // An odd size, so that no tile ends where the picture does.
        let output =
            format!("[output.Virtual-1]\nmode = \"848x480\"\nrotation = {rotation}\nreflect = {reflects}");
        let size = check(&output, rotation / 90, reflects);
        assert_eq!(size, if rotation / 90 % 2 == 1 { (480, 848) } else { (848, 480) });
    }
    // Legacy commits turn the same way.
    let output = "[kms]\natomic = false\n[output.Virtual-1]\nmode = \"848x480\"\nrotation = 90";
    check(output, 1, false);
}

#[test]
fn every_size_of_mode_shows_the_picture() {
    let _card = card();
    let connector = fs::read_dir("/sys/class/drm").unwrap().flatten().map(|entry| entry.path());
    let modes = connector.filter_map(|path| fs::read_to_string(path.join("modes")).ok()).collect::<String>();
    let mut sizes: Vec<&str> = modes.lines().filter(|line| line.contains('x')).collect();
    sizes.sort_unstable();
    sizes.dedup();
    assert!(sizes.len() > 5, "{sizes:?}");
    for size in sizes {
        let (width, height) = check(&format!("[output.Virtual-1]\nmode = \"{size}\""), 0, false);
        assert_eq!(format!("{width}x{height}"), size);
    }
}

#[test]
fn layers_outlive_the_screen() {
    let _card = card();
    let running = Running::on_card("");
    let mut painter = Painter::new(&running, first_size(&running));
    painter.draw(0);
    painter.check(0, false);
    for round in 1..6 {
        plug(false);
        assert_eq!(painter.outputs_changed(), 0);
        painter.draw(round);
        assert_eq!(painter.connection.sync(0).unwrap().reason, NotShown::OutputOff);
        assert_eq!(painter.connection.sync(1).unwrap().reason, NotShown::OutputOff);
        plug(true);
        assert_eq!(painter.outputs_changed(), 1);
        painter.check(0, false);
        painter.draw(round + 1);
        painter.check(0, false);
    }
}

#[test]
fn a_daemon_waits_for_its_first_screen() {
    let _card = card();
    plug(false);
    let running = Running::on_card("[output.Virtual-1]\nrotation = 180\nmode = \"640x480\"");
    let mut painter = Painter::new(&running, (640, 480));
    assert_eq!(painter.connection.outputs().unwrap().len(), 0);
    painter.draw(0);
    assert_eq!(painter.connection.sync(0).unwrap().reason, NotShown::OutputOff);
    plug(true);
    assert_eq!(painter.outputs_changed(), 1);
    painter.check(2, false);
}

#[test]
fn what_others_have_left_on_the_glass_is_off() {
    let _card = card();
    for atomic in [true, false] {
        let leftover = leftover::Leftover::show();
        let before = crc_after(0);
        let running = Running::on_card(&format!("[kms]\natomic = {atomic}\n"));
        let mut painter = Painter::new(&running, first_size(&running));
        painter.draw(0);
        assert_ne!(painter.check(0, false), before);
        drop(leftover);
    }
}

#[test]
fn what_others_have_left_can_be_cleared() {
    let _card = card();
    for atomic in [true, false] {
        let leftover = leftover::Leftover::show();
        let device = Device::open(None, atomic).unwrap();
        let crtc = device.resource_handles().unwrap().crtcs()[0];
        clear(&device, &[crtc]).unwrap();
        assert!(device.get_crtc(crtc).unwrap().mode().is_some(), "it is one of ours");
        clear(&device, &[]).unwrap();
        assert!(device.get_crtc(crtc).unwrap().mode().is_none());
        let planes = device.plane_handles().unwrap();
        assert!(planes.iter().all(|plane| device.get_plane(*plane).unwrap().crtc().is_none() || !atomic));
        drop((device, leftover));
    }
}
