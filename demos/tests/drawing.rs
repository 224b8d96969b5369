//! docs/drawing.md: each of its pictures is what comes of the code or the command that stands below it there, and its
//! longer code is code of this file.

#[allow(dead_code, reason = "the fixture has more than this test takes")]
mod fixture;

use std::path::Path;

use blitd_client::{
    Connection, Draw, Error, Filter, Format, ImageView, Layer, LayerOptions, Region, Transform,
};
use blitd_demos::arguments::Size;
use blitd_demos::canvas::Canvas;
use blitd_demos::testcard;
use fixture::golden;
use fixture::letter::{letter, premultiplied};
use fixture::program::{Program, capture, command, screen};
use fixture::running::{Running, configuration};
use image::RgbImage;

const PAGE: &str = include_str!("../../docs/drawing.md");
const SOURCE: &str = include_str!("drawing.rs");

/// The folder of the pictures, seen from the page.
const FOLDER: &str = "pictures/drawing";

/// Every picture is an output of this many pixels each way.
const SIDE: u32 = 128;

/// Pictures of the page: the file's name, what stands below it, and what comes of that.
type Pictures = Vec<(String, String, RgbImage)>;

/// A daemon, and a client that has drawn a chequered layer behind all others, so that transparency is seen.
fn chequered() -> (Running, Connection, Layer) {
    let running = Running::start(configuration(&format!("[headless]\nsize = \"{SIDE}x{SIDE}\"\n")));
    let mut connection = Connection::open_at(running.socket(), "chequers").unwrap();
    let layer = connection.create_layer(&LayerOptions::new(SIDE, SIDE).z(-1)).unwrap();
    let square = |x: u32, y: u32| if (x / 8 + y / 8).is_multiple_of(2) { 0xffff_ffff } else { 0xffd4_d4d4 };
    let chequers: Vec<u32> = (0..SIDE * SIDE).map(|index| square(index % SIDE, index / SIDE)).collect();
    let mut region = lent(&mut connection, &chequers);
    let draw = Draw::new(ImageView::packed(SIDE, SIDE, Format::Xrgb8888));
    connection.draw(&layer, &mut region, &draw).unwrap();
    (running, connection, layer)
}

/// A region with these pixels.
fn lent(connection: &mut Connection, pixels: &[u32]) -> Region {
    let mut region = connection.create_region(pixels.len() * 4).unwrap();
    region.pixels_mut().copy_from_slice(pixels);
    region
}

/// Draws on a layer of its own.
fn draw_on_blue(connection: &mut Connection, region: &mut Region, draw: &Draw) -> Result<Layer, Error> {
    let layer = connection.create_layer(&LayerOptions::new(128, 128).translucent())?;
    connection.fill(&layer, 0xff60_a8e0, 0, 44, 128, 40)?;
    connection.draw(&layer, region, draw)?;
    Ok(layer)
}

/// What an output shows after a draw from these pixels on an empty layer.
fn shown(pixels: &[u32], draw: &Draw) -> RgbImage {
    let (_running, mut connection, _chequers) = chequered();
    let mut region = lent(&mut connection, pixels);
    let layer = connection.create_layer(&LayerOptions::new(SIDE, SIDE).translucent()).unwrap();
    connection.draw(&layer, &mut region, draw).unwrap();
    capture(&mut connection)
}

/// An expression as text, and its value.
macro_rules! written {
    ($code:expr) => {
        (stringify!($code).to_string(), $code)
    };
}

fn operators() -> Pictures {
    let image = ImageView::packed(96, 96, Format::Argb8888);
    let draw = Draw::new(image).at(16, 16);
    let draws = [
        ("source", written!(draw)),
        ("over", written!(draw.over())),
        ("source-opacity", written!(draw.opacity(128))),
        ("over-opacity", written!(draw.over().opacity(128))),
    ];
    let pixels = premultiplied(&letter(96, 96));
    let picture = |draw: &Draw| {
        let (_running, mut connection, _chequers) = chequered();
        let mut region = lent(&mut connection, &pixels);
        draw_on_blue(&mut connection, &mut region, draw).unwrap();
        capture(&mut connection)
    };
    draws.map(|(name, (code, draw))| (name.into(), code, picture(&draw))).into()
}

/// Rings that get thinner from the middle to the edges, where they are as thin as pixels allow.
fn rings(side: u32) -> Vec<u32> {
    let ring = |x: u32, y: u32| {
        // A wave that is up and down once in so many steps of the squared distance as the picture has pixels each way.
        let (across, down) = ((2 * x + 1).abs_diff(side), (2 * y + 1).abs_diff(side));
        let phase = (across * across + down * down) * 256 / (4 * side) % 512;
        0xff00_0000 | (phase.min(511 - phase) * 0x01_01_01)
    };
    (0..side * side).map(|index| ring(index % side, index / side)).collect()
}

fn card(side: u32) -> Vec<u32> {
    let size = Size { width: side, height: side };
    let mut pixels = vec![0; size.pixels()];
    testcard::paint(&mut Canvas::new(&mut pixels, size).unwrap());
    pixels
}

fn filters() -> Pictures {
    let sources =
        [("up", 16, premultiplied(&letter(16, 16))), ("half", 256, rings(256)), ("down", 1280, card(1280))];
    let pictures = |(name, side, pixels): (&str, u32, Vec<u32>)| {
        let draw = Draw::new(ImageView::packed(side, side, Format::Argb8888)).scaled_to(128, 128);
        let draws = [
            ("nearest", written!(draw.filter(Filter::Nearest))),
            ("bilinear", written!(draw.filter(Filter::Bilinear))),
        ];
        draws.map(|(filter, (code, draw))| (format!("{filter}-{name}"), code, shown(&pixels, &draw)))
    };
    sources.into_iter().flat_map(pictures).collect()
}

fn transforms() -> Pictures {
    let image = ImageView::packed(96, 64, Format::Argb8888);
    let draw = Draw::new(image).at(16, 16);
    let pixels = premultiplied(&letter(96, 64));
    let picture = |transform: &Transform| {
        let name = format!("{transform:?}");
        (name.replace("tR", "t-R").to_lowercase(), name, shown(&pixels, &draw.transform(*transform)))
    };
    Transform::ALL.iter().map(picture).collect()
}

/// Runs the program `show` as the page says.
fn fits() -> Pictures {
    let picture = |fit: &str| {
        let text = format!("show --fit {fit} wide.png");
        let (running, mut connection, _chequers) = chequered();
        letter(160, 80).save(running.directory().join("wide.png")).unwrap();
        let mut command = command(env!("CARGO_BIN_EXE_show"), running.socket());
        command.args(text.split(' ').skip(1)).current_dir(running.directory());
        let picture = screen(&mut connection, &mut [Program::start(&mut command)], &[1, 1]);
        (fit.into(), text, picture)
    };
    ["fit", "fill", "stretch", "centre"].map(picture).into()
}

#[test]
fn pictures_are_what_the_code_below_them_draws() {
    let pictures = [operators(), filters(), transforms(), fits()].concat();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(FOLDER);
    let mut wrong = Vec::new();
    for (name, code, picture) in &pictures {
        let cell = format!("]({FOLDER}/{name}.png)<br>`{code}`");
        if !PAGE.contains(&cell) {
            wrong.push(format!("docs/drawing.md does not show {cell}"));
        }
        wrong.extend(golden::check(&folder.join(name).with_extension("png"), picture).err());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let there = std::fs::read_dir(folder).unwrap().count();
    assert_eq!(
        (there, PAGE.matches(FOLDER).count()),
        (pictures.len(), pictures.len()),
        "files, and on the page"
    );
}

#[test]
fn code_on_the_page_is_code_of_this_file() {
    let flat = |text: &str| text.lines().map(str::trim).collect::<Vec<_>>().join("\n");
    let blocks: Vec<_> =
        PAGE.split("```rust\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        assert!(flat(SOURCE).contains(&flat(block)), "{block}");
    }
}
