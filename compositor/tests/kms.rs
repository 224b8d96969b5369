//! The same pictures on a real display driver: vkms, in a guest that `cargo xtask vm` boots. The driver computes a CRC of what
//! it scans out, pixel for pixel, which is compared with that of the picture that should be there.

#[path = "fixture/running.rs"]
#[allow(dead_code, reason = "the fixture has more than this test takes")]
mod running;

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::sync::Mutex;

use blitd::display::{BackendChoice, Wish};
use blitd::policy::config::Config;
use blitd_client::{
    BatchEntry, ClockSource, Connection, Draw, Format, ImageView, LayerOptions, Pixels, Shown,
};
use running::Running;

/// There is one card, and it has one master.
static CARD: Mutex<()> = Mutex::new(());

/// What vkms scans out, as its CRC tells (`vkms_composer.c`): crc32_le over all pixels, each alpha, red, green and blue in
/// 16 bits, from 0 on and not inverted.
fn crc_of(words: &[u32]) -> u32 {
    let table: Vec<u32> = (0..256u32)
        .map(|byte| (0..8).fold(byte, |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 }))
        .collect();
    let mut crc = 0;
    for word in words {
        let [blue, green, red, _] = word.to_le_bytes();
        // 8 bits become 16 by being repeated.
        for byte in [0xff, 0xff, red, red, green, green, blue, blue] {
            crc = crc >> 8 ^ table[((crc ^ u32::from(byte)) & 0xff) as usize];
        }
    }
    crc
}

/// Where the CRCs of the card's only CRTC are.
fn crc_file(name: &str) -> PathBuf {
    let cards = fs::read_dir("/sys/kernel/debug/dri").expect("a guest has debugfs");
    let is_vkms =
        |card: &PathBuf| fs::read_to_string(card.join("name")).is_ok_and(|name| name.contains("vkms"));
    let card = cards.flatten().map(|entry| entry.path()).find(is_vkms).expect("a guest has vkms");
    card.join("crtc-0/crc").join(name)
}

/// The CRC of what is on the glass from this frame on. It is only computed while somebody looks: the guest has one CPU, and
/// the driver would take all of it.
fn crc_since(shown: &Shown) -> u32 {
    OpenOptions::new().write(true).open(crc_file("control")).unwrap().write_all(b"auto").unwrap();
    for line in BufReader::new(File::open(crc_file("data")).unwrap()).lines() {
        let line = line.unwrap();
        let mut numbers =
            line.split_whitespace().map(|word| u64::from_str_radix(word.trim_start_matches("0x"), 16));
        let (Some(Ok(frame)), Some(Ok(crc))) = (numbers.next(), numbers.next()) else { continue };
        if frame > shown.sequence {
            return crc as u32;
        }
    }
    panic!("the driver has no more CRCs");
}

/// Draws several pictures, and compares what is on the glass with what a capture says should be there.
fn check(wish: Wish) {
    let running = Running::start_with(Config::of_nothing(running::own_user()), wish.clone());
    let mut connection = Connection::open_at(running.socket(), "kms").unwrap();
    let output = connection.outputs().unwrap()[0];
    let (width, height) = (output.width.get(), output.height.get());
    if let Some(mode) = wish.mode {
        assert_eq!(mode.to_string(), format!("{width}x{height}"));
    }
    let layer = connection.create_layer(&LayerOptions::new(width, height)).unwrap();
    let pane = connection.create_layer(&LayerOptions::new(100, 50).at(30, 40).z(1).translucent()).unwrap();
    let mut region = connection.create_region((width * height * 4) as usize).unwrap();
    let mut taken = connection.create_region((width * height * 4) as usize).unwrap();
    let image = ImageView::packed(width, height, Format::Xrgb8888);
    let mut seen = Vec::new();
    for round in 0..4u32 {
        for (index, pixel) in (0u32..).zip(region.pixels_mut()) {
            *pixel = index.wrapping_mul(0x9e37_79b9).rotate_left(round);
        }
        let part = Draw::new(image).part(0, 0, width, height >> round).at(0, (round * 7) as i32);
        connection.draw(&layer, &mut region, &part).unwrap();
        let square = Pixels { x: 10 * round as i32, y: 5, width: 40, height: 30 };
        connection.batch(None, &[BatchEntry::Fill(&pane, 0x8040_2010 + round, square)]).unwrap();
        let shown = connection.sync(0).unwrap();
        assert_eq!(shown.clock, ClockSource::Hardware);
        connection.capture_output(0, 0, 0, &mut taken, &image).unwrap();
        let expected = crc_of(taken.pixels_mut());
        assert_eq!(
            crc_since(&shown),
            expected,
            "{width}x{height}, round {round}: the glass shows something else"
        );
        seen.push(expected);
    }
    seen.dedup();
    assert_eq!(seen.len(), 4, "the pictures differ from each other");
}

fn kms() -> Wish {
    Wish { backend: BackendChoice::Kms, ..Wish::default() }
}

#[test]
fn atomic_commits_show_the_picture() {
    let _card = CARD.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    check(kms());
}

#[test]
fn legacy_commits_show_the_picture() {
    let _card = CARD.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    check(Wish { legacy: true, ..kms() });
}

#[test]
fn every_size_of_mode_shows_the_picture() {
    let _card = CARD.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let connector = fs::read_dir("/sys/class/drm").unwrap().flatten().map(|entry| entry.path());
    let modes = connector.filter_map(|path| fs::read_to_string(path.join("modes")).ok()).collect::<String>();
    let mut sizes: Vec<&str> = modes.lines().filter(|line| line.contains('x')).collect();
    sizes.sort_unstable();
    sizes.dedup();
    assert!(sizes.len() > 5, "{sizes:?}");
    // What is larger takes the guest's scanout too long to be worth it.
    sizes.retain(|size| {
        size.split('x').filter_map(|side| side.parse::<u32>().ok()).product::<u32>() <= 1920 * 1200
    });
    for size in sizes {
        check(Wish { mode: Some(size.parse().unwrap()), ..kms() });
    }
}
