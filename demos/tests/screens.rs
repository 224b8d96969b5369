//! Pictures on screens that come late and change: `show` waits for a screen, and fits its picture to the one that is there.

#[path = "../../compositor/tests/fixture/running.rs"]
#[allow(dead_code, reason = "the fixture has more than this test takes")]
mod running;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::rc::Rc;

use blitd::display::Change;
use blitd::display::output::Output;
use blitd::display::screen::Screen;
use blitd::frame_clock::FrameClock;
use blitd::memory::helper::Helper;
use blitd::memory::storage::Storage;
use blitd::policy::config::Config;
use blitd::server::Daemon;
use blitd_client::protocol::value::Name;
use blitd_client::{Backend, Connection, Format, Transform};
use running::Running;

/// Plugs in a screen of this size, or gives the one that is there another mode.
fn plug(daemon: &mut Daemon, mode: (u32, u32)) {
    let screen = Screen {
        name: Name::new("late"),
        backend: Backend::Headless,
        mode,
        refresh: 60_000,
        transform: Transform::Identity,
        place: None,
        background: 0xff00_0000,
    };
    let unmapper = Helper::start().unwrap().unmapper();
    let buffer = || Rc::new(Storage::new(mode.0, mode.1, Format::Xrgb8888, &unmapper).unwrap());
    let output = Output::new(1, screen, FrameClock::paced(0, 60_000), [buffer(), buffer()], 0);
    daemon.server().change_outputs(vec![Change::Came(Box::new(output))]);
}

/// Waits until there is one layer, which is shown and has this size.
fn wait_for_layer(connection: &mut Connection, size: (u32, u32)) {
    loop {
        let layers = connection.layer_statistics().unwrap();
        if let [layer] = layers.as_slice()
            && layer.visible != 0
            && (layer.width.get(), layer.height.get()) == size
        {
            return;
        }
        // Nothing to wait for but the other program: it has the CPU meanwhile.
        std::thread::yield_now();
    }
}

#[test]
fn show_waits_for_a_screen_and_fits_each_that_comes() {
    let running = Running::start(Config::of_nothing(running::own_user()));
    running.act(|daemon| daemon.server().change_outputs(vec![Change::Went(1)]));
    let mut connection = Connection::open_at(running.socket(), "viewer").unwrap();
    while !connection.outputs().unwrap().is_empty() {}
    let picture = running.directory().join("picture.png");
    image::RgbImage::from_fn(40, 30, |x, y| image::Rgb([x as u8, y as u8, 7])).save(&picture).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_show"));
    command.args(["--fit", "fill"]).arg(&picture).env("BLITD_SOCKET", running.socket());
    let mut show = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let said = BufReader::new(show.stderr.take().unwrap()).lines().next().unwrap().unwrap();
    assert_eq!(said, "no screen is plugged in: waiting for one");
    for size in [(320, 200), (200, 320), (64, 64)] {
        running.act(move |daemon| plug(daemon, size));
        wait_for_layer(&mut connection, size);
    }
    running.act(|daemon| daemon.server().change_outputs(vec![Change::Went(1)]));
    running.act(|daemon| plug(daemon, (100, 50)));
    wait_for_layer(&mut connection, (100, 50));
    show.kill().unwrap();
    show.wait().unwrap();
}
