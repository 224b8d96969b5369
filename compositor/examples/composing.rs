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
use fixture::{Fixture, config, fill, layer};

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
    let change = |layer| LayerConfigure { layer, ..LayerConfigure::default() };
    let count = (1..).find(|id| {
        let create =
            LayerCreate { fourcc, opacity, visible: false, ..layer(*id, 0, 0, picture.0, picture.1) };
        fixture.layer(&mut client, create);
        fixture.done(&mut client, &Request::Fill(fill(*id, 0x8033_1122 + *id, picture.0, picture.1)));
        let shown = LayerConfigure { size: Some(SCREEN), visible: Some(true), ..change(*id) };
        matches!(fixture.call(&mut client, &Request::LayerConfigure(shown)), Reply::Refused(_))
    });
    let count = count.unwrap_or_default() - 1;
    fixture.rest();
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|round| {
            let begin = Instant::now();
            let lower = LayerConfigure { z: Some(-1 - round), ..change(1) };
            fixture.done(&mut client, &Request::LayerConfigure(lower));
            fixture.rest();
            begin.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("{count:3} {name:50} {:6.1} ms, at the least {:6.1}", times[times.len() / 2], times[0]);
}

fn main() {
    println!("{} MiB", Limits::default().composing >> 20);
    measure("as they are, over", SCREEN, Format::Argb8888, 255);
    measure("as they are, with an opacity", SCREEN, Format::Xrgb8888, 128);
    measure("480x270 made larger, over", (480, 270), Format::Argb8888, 255);
    measure("2880x1620 made smaller, over", (2880, 1620), Format::Argb8888, 255);
    measure("4000x3000 made smaller", (4000, 3000), Format::Xrgb8888, 255);
}
