//! The program that runs in the guest: it starts the daemon on the card, is its client, and asks the host what it sees.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use blitd_client::Connection;

use super::channel::{Host, Question, SHARED};
use super::glass::{Part, Picture};
use super::scene::{self, Glass};
use super::{damage, heads, hotplug, keys};
use crate::tools::TaskError;

/// Where the daemon listens.
const SOCKET: &str = "/run/blitd-socket";

/// The daemon's configuration.
const CONFIGURATION: &str = "/run/blitd.toml";

/// What is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Scene {
    /// Every pixel is another; layers blend; parts change.
    Busy,
    /// Whole pictures, two of which only just fit the card's memory.
    Full,
    /// A part changes, and nothing else does.
    Damage,
    /// Two screens show two pictures.
    Heads,
    /// Screens come and go.
    Hotplug,
    /// Somebody types on the VT that blitd is on, switches to another one and back.
    Keys,
}

/// What the guest does.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What is drawn.
    scene: Scene,
}

/// The glass as the host sees it, and what else the host does.
pub(super) struct Outside {
    host: Host,
    pictures: usize,
}

impl Glass for Outside {
    fn shows(&mut self, head: u32, expected: Picture, spoiled: &[Part]) -> Result<(), TaskError> {
        let picture = format!("picture-{}.ppm", self.pictures);
        self.pictures += 1;
        let path = Path::new(SHARED).join(&picture);
        fs::write(&path, expected.ppm()).map_err(|source| TaskError::File { path, source })?;
        self.host.ask(&Question::Shows { head, picture, spoiled: spoiled.to_vec() })
    }
}

impl Outside {
    /// Are these the pixels by which the last two pictures on a head differ, all of them and no other?
    pub(super) fn changed(&mut self, head: u32, part: Part) -> Result<(), TaskError> {
        self.host.ask(&Question::Changed { head, part })
    }

    /// Plugs a screen of this size in at a head, changes its size, or unplugs it where that is 0 and 0.
    pub(super) fn plug(&mut self, head: usize, (width, height): (u16, u16)) -> Result<(), TaskError> {
        self.host.ask(&Question::Plug { head, width, height })
    }

    /// Presses keys together, and lets them go.
    pub(super) fn press(&mut self, keys: &[&str]) -> Result<(), TaskError> {
        self.host.ask(&Question::Keys(keys.iter().map(|key| (*key).to_owned()).collect()))
    }
}

/// The configuration of a daemon that uses all that the card can do.
const ATOMIC: &str = "";

/// The configuration of a daemon without atomic commits.
const LEGACY: &str = "[kms]\natomic = false\n";

/// A mode with 8,294,400 bytes to a picture, which is a bit less than half of 16 MiB. The console has a smaller one.
const LARGE: &str = "1920x1080";

/// Plays a scene, where it is busy with either kind of commits.
pub(crate) fn run(arguments: &Arguments) -> Result<(), TaskError> {
    let mut outside = Outside { host: Host::open()?, pictures: 0 };
    play(arguments.scene, ATOMIC, &mut outside)?;
    if matches!(arguments.scene, Scene::Busy | Scene::Full) {
        play(arguments.scene, LEGACY, &mut outside)?;
    }
    outside.host.ask(&Question::Done)
}

/// Plays a scene on a daemon of its own.
fn play(scene: Scene, configuration: &str, outside: &mut Outside) -> Result<(), TaskError> {
    let options: &[&str] = match scene {
        Scene::Full => &["--mode", LARGE],
        Scene::Keys => &["--tty", keys::TERMINAL],
        _ => &[],
    };
    let mut daemon = start_daemon(configuration, options)?;
    let mut connection = Connection::open_at(Path::new(SOCKET), "qemu")?;
    match scene {
        Scene::Busy => scene::busy(&mut connection, outside)?,
        Scene::Full => scene::rounds(&mut connection, outside)?,
        Scene::Damage => damage::play(&mut connection, outside)?,
        Scene::Heads => heads::play(&mut connection, outside)?,
        Scene::Hotplug => hotplug::play(&mut connection, outside)?,
        Scene::Keys => return keys::play(&mut connection, outside, daemon),
    }
    let failed = |source| TaskError::Start { what: "blitd".into(), source };
    if let Some(status) = daemon.try_wait().map_err(failed)? {
        return Err(TaskError::Failed { what: "blitd".into(), status });
    }
    daemon.kill().and_then(|()| daemon.wait()).map(drop).map_err(failed)
}

/// Starts the daemon, which is in the same folder as this program, and waits until it listens. What it says is passed on.
fn start_daemon(configuration: &str, options: &[&str]) -> Result<Child, TaskError> {
    let failed = |source| TaskError::Start { what: "blitd".into(), source };
    let program = std::env::current_exe().map_err(failed)?.with_file_name("blitd");
    let file = |source| TaskError::File { path: CONFIGURATION.into(), source };
    fs::write(CONFIGURATION, configuration).map_err(file)?;
    let mut command = Command::new(program);
    command
        .args(["--backend", "kms", "--socket", SOCKET, "--config", CONFIGURATION])
        .args(options)
        .env("BLITD_LOG", "info");
    let mut daemon = command.stderr(Stdio::piped()).spawn().map_err(failed)?;
    let mut said =
        daemon.stderr.take().map(BufReader::new).into_iter().flat_map(BufRead::lines).map_while(Result::ok);
    let listens = said.by_ref().inspect(|line| eprintln!("{line}")).any(|line| line.contains("listening on"));
    if !listens {
        let status = daemon.wait().map_err(failed)?;
        return Err(TaskError::Failed { what: "blitd".into(), status });
    }
    std::thread::spawn(move || said.for_each(|line| eprintln!("{line}")));
    Ok(daemon)
}
