//! The same program with the descriptors stripped from its connection shows the same picture.

#[allow(dead_code, reason = "the fixture has more than this test takes")]
mod fixture;
#[path = "../../compositor/tests/fixture/relay.rs"]
mod relay;

use std::path::Path;

use blitd::policy::config::Config;
use blitd_client::{Connection, Mode};
use fixture::program::{Program, capture, command};
use fixture::running::{self, Running};
use image::RgbImage;
use relay::relay;

fn show(socket: &Path, picture: &Path) -> Program {
    Program::start(command(env!("CARGO_BIN_EXE_show"), socket).arg(picture))
}

/// The screen, once a client other than this one, connected in this mode, has drawn.
fn screen(socket: &Path, mode: Mode) -> RgbImage {
    let mut connection = Connection::open_at(socket, "viewer").unwrap();
    loop {
        let layers = connection.layer_statistics().unwrap();
        let clients = connection.client_statistics().unwrap();
        // It is drawn while it is hidden.
        let drawn = layers.len() == 1 && layers[0].draws.get() > 0 && layers[0].visible != 0;
        if drawn && clients.iter().any(|client| client.mode == mode.number() && client.layers.get() > 0) {
            break;
        }
        // Nothing to wait for but the other program: it has the CPU meanwhile.
        std::thread::yield_now();
    }
    capture(&mut connection)
}

/// A picture in which no two pixels near each other are the same.
fn picture(directory: &Path) -> std::path::PathBuf {
    let path = directory.join("picture.png");
    let picture =
        image::RgbImage::from_fn(700, 500, |x, y| image::Rgb([x as u8, y as u8, (x / 3 + y * 7) as u8]));
    picture.save(&path).unwrap();
    path
}

#[test]
fn show_through_a_relay_gives_the_same_picture() {
    let running = Running::start(Config::of_nothing(running::own_user()));
    let picture = picture(running.directory());
    let direct = {
        let _program = show(running.socket(), &picture);
        screen(running.socket(), Mode::Shared)
    };
    let relayed = {
        let _program = show(&relay(running.socket()), &picture);
        screen(running.socket(), Mode::Inline)
    };
    assert!(direct.pixels().collect::<std::collections::HashSet<_>>().len() > 10_000);
    assert!(direct == relayed, "the screens differ");
}
