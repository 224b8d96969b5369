//! How long a frame takes of which all has changed, where one user shows as much as the default limit of composing allows,
//! of each kind of layer.
//!
//!     cargo run --release --package blitd --example composing

#[path = "../tests/fixture/mod.rs"]
mod fixture;

use std::time::Instant;

use blitd::policy::Limits;
use blitd_protocol::image::Format;
use blitd_protocol::reply::Reply;
use blitd_protocol::request::{LayerConfigure, LayerCreate, Request};
use fixture::{Client, Fixture, config, fill, layer};

const ROUNDS: i32 = 9;

const SCREEN: (u32, u32) = (1920, 1080);

/// Layers with a picture of this size, shown on all of the screen: as many as may be.
fn measure(name: &str, picture: (u32, u32), format: Format, opacity: u8) {
    let most = "[limits]\nbytes = 8589934592";
    let mut fixture = Fixture::configured(config(SCREEN.0, SCREEN.1, most));
    // For whom slices are as short as they are where somebody may wait.
    let _other = fixture.client("another");
    let mut client = fixture.client("shows as much as it may");
    let fourcc = format.fourcc();
    let count = (1..).find(|id| {
        let create =
            LayerCreate { fourcc, opacity, visible: false, ..layer(*id, 0, 0, picture.0, picture.1) };
        fixture.layer(&mut client, create);
        fixture.done(&mut client, &Request::Fill(fill(*id, 0x8033_1122 + *id, picture.0, picture.1)));
        let shown = LayerConfigure { size: Some(SCREEN), visible: Some(true), ..change(*id) };
        matches!(fixture.call(&mut client, &Request::LayerConfigure(shown)), Reply::Refused(_))
    });
    report(count.unwrap_or_default() - 1, name, &mut fixture, &mut client);
}

fn change(layer: u32) -> LayerConfigure {
    LayerConfigure { layer, ..LayerConfigure::default() }
}

/// How long a frame takes when the first layer, which is as large as the screen, changes.
fn report(count: u32, name: &str, fixture: &mut Fixture, client: &mut Client) {
    fixture.rest();
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|round| {
            let begin = Instant::now();
            let lower = LayerConfigure { z: Some(-1 - round), ..change(1) };
            fixture.done(client, &Request::LayerConfigure(lower));
            fixture.rest();
            begin.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("{count:3} {name:50} {:6.1} ms, at the least {:6.1}", times[times.len() / 2], times[0]);
}

/// Layers blended with all of the screen, and above them opaque strips of a pixel, which cut what is below into pieces.
fn strips() {
    let mut fixture = Fixture::configured(config(SCREEN.0, SCREEN.1, "[limits]\nbytes = 8589934592"));
    let _other = fixture.client("another");
    let mut client = fixture.client("shows strips");
    let mut show = |fixture: &mut Fixture, id, x, (width, height), format: Format| {
        let create = LayerCreate { fourcc: format.fourcc(), z: id as i32, ..layer(id, x, 0, width, height) };
        fixture.layer(&mut client, create);
        fixture.done(&mut client, &Request::Fill(fill(id, 0x8033_1122 + id, width, height)));
    };
    (1..=16).for_each(|id| show(&mut fixture, id, 0, SCREEN, Format::Argb8888));
    (0..240)
        .for_each(|strip| show(&mut fixture, 17 + strip, 8 * strip as i32, (1, SCREEN.1), Format::Xrgb8888));
    report(16, "as they are, under 240 strips of a pixel", &mut fixture, &mut client);
}

fn main() {
    println!("{} MiB", Limits::default().composing >> 20);
    measure("as they are, over", SCREEN, Format::Argb8888, 255);
    measure("as they are, with an opacity", SCREEN, Format::Xrgb8888, 128);
    measure("480x270 made larger, over", (480, 270), Format::Argb8888, 255);
    measure("2880x1620 made smaller, over", (2880, 1620), Format::Argb8888, 255);
    measure("4000x3000 made smaller", (4000, 3000), Format::Xrgb8888, 255);
    strips();
}
