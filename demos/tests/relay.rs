//! The same program with the descriptors stripped from its connection shows the same picture.

#[path = "../../compositor/tests/fixture/relay.rs"]
mod relay;
#[path = "../../compositor/tests/fixture/running.rs"]
#[allow(dead_code, reason = "the fixture has more than this test takes")]
mod running;

use std::path::Path;
use std::process::{Child, Command, Stdio};

use blitd::policy::config::Config;
use blitd_client::{Connection, Format, ImageView, Mode};
use relay::relay;
use running::Running;

/// A program that is ended with this.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn show(socket: &Path, picture: &Path) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_show"));
    Program(command.env("BLITD_SOCKET", socket).arg(picture).stdin(Stdio::null()).spawn().unwrap())
}

/// The screen, once a client other than this one, connected in this mode, has drawn.
fn screen(socket: &Path, mode: Mode) -> Vec<u8> {
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
    let mut region = connection.create_region(1920 * 1080 * 4).unwrap();
    let image = ImageView::packed(1920, 1080, Format::Xrgb8888);
    connection.capture_output(0, 0, 0, &mut region, &image).unwrap();
    region.bytes().to_vec()
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
    assert!(direct.as_chunks::<4>().0.iter().collect::<std::collections::HashSet<_>>().len() > 10_000);
    assert!(direct == relayed, "the screens differ");
}
