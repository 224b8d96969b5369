//! What each program draws, compared to the pixel with a picture of it as it should be: the real program, on the real
//! daemon, without a screen.

#[allow(dead_code, reason = "the fixture has more than this test takes")]
mod fixture;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use blitd_client::Connection;
use fixture::golden;
use fixture::letter::letter;
use fixture::program::{Gag, Program, command, screen};
use fixture::running::{Running, configuration};
use image::{Rgb, RgbImage};

/// All pictures together may have so many bytes.
const MOST_BYTES: u64 = 150_000;

fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[track_caller]
fn check(name: &str, picture: &RgbImage) {
    if let Err(text) = golden::check(&folder("tests/pictures").join(name).with_extension("png"), picture) {
        panic!("{text}");
    }
}

/// A daemon with one output of this size, and a client that looks at it.
fn daemon(size: &str) -> (Running, Connection) {
    let running = Running::start(configuration(&format!("[headless]\nsize = \"{size}\"\n")));
    let connection = Connection::open_at(running.socket(), "viewer").unwrap();
    (running, connection)
}

/// A test card, for others to be in front of.
fn testcard(running: &Running) -> Program {
    Program::start(&mut command(env!("CARGO_BIN_EXE_testcard"), running.socket()))
}

#[test]
fn first_draws_its_square() {
    let (running, mut connection) = daemon("384x384");
    // Its layer ends with it, so it must not.
    let (gag, stdout) = Gag::new();
    let mut programs =
        [Program::start(command(env!("CARGO_BIN_EXE_first"), running.socket()).stdout(stdout))];
    check("first", &screen(&mut connection, &mut programs, &[1]));
    let said = gag.take_off();
    assert!(said.starts_with("drawn, and on the glass with frame "), "{said}");
    assert!(programs[0].wait().success());
}

#[test]
fn testcard_fills_its_output() {
    let (running, mut connection) = daemon("320x180");
    check("testcard", &screen(&mut connection, &mut [testcard(&running)], &[1]));
}

#[test]
fn bounce_stands_still_before_a_card() {
    let (running, mut connection) = daemon("320x180");
    let card = testcard(&running);
    let arguments = ["--size", "160x90", "--stop-at", "0.25"];
    let mut bounce = command(env!("CARGO_BIN_EXE_bounce"), running.socket());
    let mut bounce = Program::start(bounce.args(arguments).stdout(Stdio::piped()));
    let said = bounce.line();
    assert!(said.starts_with("bounce: stands still on frame "), "{said}");
    check("bounce", &screen(&mut connection, &mut [card, bounce], &[1, 1]));
}

#[test]
fn status_shows_its_sample_before_a_card() {
    let (running, mut connection) = daemon("320x180");
    let status = Program::start(command(env!("CARGO_BIN_EXE_status"), running.socket()).arg("--sample"));
    check("status", &screen(&mut connection, &mut [testcard(&running), status], &[1, 1]));
}

/// A wide picture in which no two pixels near each other are the same.
fn wide() -> RgbImage {
    RgbImage::from_fn(200, 60, |x, y| Rgb([x as u8, (y * 4) as u8, (x * 3 + y * 5) as u8]))
}

#[test]
fn show_puts_pictures_side_by_side() {
    let (running, mut connection) = daemon("320x180");
    let files = ["letter.png", "wide.png"].map(|name| running.directory().join(name));
    letter(48, 60).save(&files[0]).unwrap();
    wide().save(&files[1]).unwrap();
    let mut show = command(env!("CARGO_BIN_EXE_show"), running.socket());
    let show = Program::start(show.args(["--background", "c0d0b0"]).args(&files));
    check("show", &screen(&mut connection, &mut [show], &[1, 1]));
}

#[test]
fn slideshow_shows_one_picture_after_the_other() {
    let (running, mut connection) = daemon("160x90");
    letter(120, 60).save(running.directory().join("a.png")).unwrap();
    wide().save(running.directory().join("b.png")).unwrap();
    let arguments = ["--background", "203040", "--seconds"];
    let start = |seconds: &str, stderr: Stdio| {
        let mut slideshow = command(env!("CARGO_BIN_EXE_slideshow"), running.socket());
        [Program::start(slideshow.args(arguments).arg(seconds).arg(running.directory()).stderr(stderr))]
    };
    let mut first = start("3600", Stdio::inherit());
    check("slideshow", &screen(&mut connection, &mut first, &[1]));
    drop(first);
    // It says of a third file that it is no picture, and until it has said so it goes no further.
    std::fs::write(running.directory().join("c.png"), "none").unwrap();
    let (_gag, stderr) = Gag::new();
    let mut second = start("0.001", stderr.into());
    check("slideshow-second", &screen(&mut connection, &mut second, &[2]));
}

#[test]
fn landscape_is_the_same_everywhere() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("landscape.png");
    let mut landscape = std::process::Command::new(env!("CARGO_BIN_EXE_landscape"));
    assert!(landscape.args(["--size", "96x54", "--seed", "7"]).arg(&file).status().unwrap().success());
    check("landscape", &image::open(file).unwrap().into_rgb8());
}

fn stems(path: &str) -> Vec<(String, u64)> {
    let entries = std::fs::read_dir(folder(path)).unwrap().map(Result::unwrap);
    let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_string();
    entries.map(|entry| (stem(entry.path()), entry.metadata().unwrap().len())).collect()
}

#[test]
fn each_program_has_a_picture_and_they_are_small() {
    let (programs, pictures) = (stems("src/bin"), stems("tests/pictures"));
    for (program, _) in &programs {
        assert!(pictures.iter().any(|(picture, _)| picture == program), "{program} has no picture");
    }
    for (picture, _) in &pictures {
        assert!(
            programs.iter().any(|(program, _)| picture.starts_with(program)),
            "{picture} is no program's"
        );
    }
    let bytes: u64 = pictures.iter().map(|(_, bytes)| bytes).sum();
    assert!(bytes <= MOST_BYTES, "{bytes} bytes of pictures");
}

#[test]
fn one_other_pixel_is_a_difference() {
    let expected = RgbImage::from_pixel(5, 4, Rgb([40, 80, 120]));
    assert!(golden::compare(&expected, &expected).is_none());
    let mut actual = expected.clone();
    actual.put_pixel(3, 2, Rgb([40, 81, 120]));
    let (what, shown) = golden::compare(&expected, &actual).unwrap();
    assert_eq!(what, "differs in 1 of 20 pixels, first at 3,2: 285078 became 285178");
    assert_eq!((shown.get_pixel(3, 2), shown.get_pixel(2, 2)), (&Rgb([255, 0, 255]), &Rgb([10, 20, 30])));
    let (what, _) = golden::compare(&expected, &RgbImage::new(5, 3)).unwrap();
    assert_eq!(what, "has 5x4 pixels, not 5x3");
}
