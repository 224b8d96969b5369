//! The glass seen from outside: QEMU with Debian's kernel and its display drivers. The daemon and a client of it run in
//! the guest; the host looks at the display as hardware would show it, and compares every pixel.
//!
//! - [`kernel`]: the guest's kernel and first files, from Debian's package, kept in the user's cache folder.
//! - [`machine`]: the machine, and what can be done to it from outside. [`qmp`] and [`rfb`] are what it is told by.
//! - [`glass`]: pictures, and how they differ.
//! - [`channel`]: what guest and host say to each other.
//! - [`guest`]: the program in the guest. [`scene`], [`damage`], [`heads`], [`hotplug`], [`keys`]: what it does there.
//! - here: which scenes are played on which cards, and what the host looks for.

mod channel;
mod damage;
mod glass;
pub(crate) mod guest;
mod heads;
mod hotplug;
mod kernel;
mod keys;
mod machine;
mod qmp;
mod rfb;
mod scene;

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::Instant;

use blitd_client::Connection;
use clap::ValueEnum;
use clap::builder::PossibleValuesParser;

use crate::tools::{Daemon, TaskError, build_release, quoted};
use channel::Question;
use glass::{Part, Picture};
use guest::Scene;
use machine::{Card, Machine};
use scene::Glass;

/// A scene on a card.
#[derive(Debug)]
struct Scenario {
    name: &'static str,
    card: Card,
    scene: Scene,
}

impl Scenario {
    const fn new(name: &'static str, device: &'static str, driver: &'static str, scene: Scene) -> Self {
        Self { name, card: Card { device, driver, screens: &[] }, scene }
    }
}

const SCENARIOS: &[Scenario] = &[
    Scenario::new("virtio-gpu", "virtio-gpu-pci", "virtio-gpu", Scene::Busy),
    Scenario::new("bochs", "bochs-display", "bochs", Scene::Busy),
    Scenario::new("bochs-full", "bochs-display,vgamem=16M", "bochs", Scene::Full),
    Scenario::new("qxl", "qxl-vga", "qxl", Scene::Busy),
    Scenario::new("cirrus", "cirrus-vga", "cirrus", Scene::Damage),
    Scenario {
        name: "heads",
        card: Card {
            device: "virtio-gpu-pci,max_outputs=2",
            driver: "virtio-gpu",
            screens: &[(1280, 800), (800, 600)],
        },
        scene: Scene::Heads,
    },
    Scenario {
        name: "hotplug",
        card: Card {
            device: "virtio-gpu-pci,max_outputs=2",
            driver: "virtio-gpu",
            screens: &[(0, 0), (0, 0)],
        },
        scene: Scene::Hotplug,
    },
    Scenario::new("keys", "virtio-gpu-pci", "virtio-gpu", Scene::Keys),
];

/// Which scenarios are played.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Arguments {
    /// Only these [default: all].
    #[arg(value_name = "SCENARIO", value_parser = names())]
    names: Vec<String>,
}

fn names() -> PossibleValuesParser {
    SCENARIOS.iter().map(|scenario| scenario.name).into()
}

/// Plays the scenarios in turn; fails where the glass of one is not as it should be.
pub(crate) fn run(arguments: &Arguments) -> Result<(), TaskError> {
    let boot = kernel::prepared()?;
    let programs = build_release(&["blitd", "xtask"])?;
    let is_wanted = |name| arguments.names.is_empty() || arguments.names.iter().any(|wanted| wanted == name);
    for scenario in SCENARIOS.iter().filter(|scenario| is_wanted(scenario.name)) {
        let begun = Instant::now();
        let folder =
            std::env::temp_dir().join(format!("blitd-qemu-{}-{}", std::process::id(), scenario.name));
        fs::create_dir_all(&folder).map_err(|source| TaskError::File { path: folder.clone(), source })?;
        let looks =
            play(scenario, &boot, &programs, &folder).map_err(|error| failure(scenario, &folder, &error))?;
        let _ = fs::remove_dir_all(&folder);
        println!(
            "{}: as it should be, {looks} pictures of the glass compared, {} s",
            scenario.name,
            begun.elapsed().as_secs()
        );
    }
    Ok(())
}

/// What has gone wrong, with all that may tell why.
fn failure(scenario: &Scenario, folder: &Path, error: &TaskError) -> TaskError {
    let tail = |name: &str| {
        let text = fs::read(folder.join(name)).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    };
    TaskError::Expected(format!(
        "{}: {error}\nthe guest has said:\n{}\nits kernel:\n{}\npictures are in {}",
        scenario.name,
        tail("output"),
        tail("kernel"),
        folder.display()
    ))
}

/// Plays a scenario, and says at how many pictures it has looked.
fn play(
    scenario: &Scenario,
    boot: &kernel::Boot,
    programs: &Path,
    folder: &Path,
) -> Result<usize, TaskError> {
    let scene = scenario.scene.to_possible_value();
    let scene = scene.as_ref().map_or("", |value| value.get_name());
    let program = programs.join("xtask");
    let command = format!("exec {} qemu-guest {scene}", quoted(&program.to_string_lossy()));
    let mut machine = Machine::boot(boot, scenario.card, &command, folder)?;
    let mut expected = Vec::new();
    // The last two pictures on the glass of each head.
    let mut seen: HashMap<u32, (Option<Picture>, Picture)> = HashMap::new();
    loop {
        match machine.question()? {
            Question::Shows { head, picture, spoiled } => {
                let wanted = read(&folder.join(&picture))?;
                let shown = machine.screendump(head)?;
                shown.check(&wanted, &spoiled).map_err(|wrong| {
                    TaskError::Expected(format!("head {head} does not show {picture}: {wrong}"))
                })?;
                expected.push(wanted);
                let before = seen.remove(&head).map(|(_, last)| last);
                seen.insert(head, (before, shown));
            }
            Question::Changed { head, part } => {
                let Some((Some(before), after)) = seen.get(&head) else {
                    return Err(TaskError::Expected(format!("head {head} has not been looked at twice")));
                };
                after.check(before, &[part]).map_err(|wrong| {
                    TaskError::Expected(format!("head {head} has not changed in {part:?}: {wrong}"))
                })?;
                eprintln!("   {} pixels have changed, and no other", part.width * part.height);
            }
            Question::Plug { head, width, height } => machine.plug(head, (width, height))?,
            Question::Keys(keys) => machine.send_keys(&keys)?,
            Question::Done => break,
        }
        machine.answer()?;
    }
    drop(machine);
    if scenario.scene == Scene::Busy {
        compare_with_headless(&expected, programs, folder)?;
    }
    Ok(expected.len())
}

fn read(path: &Path) -> Result<Picture, TaskError> {
    let bytes = fs::read(path).map_err(|source| TaskError::File { path: path.into(), source })?;
    Picture::parse(&bytes).ok_or_else(|| TaskError::Expected(format!("{} is no PPM file", path.display())))
}

/// Pictures as they should be, kept.
#[derive(Default)]
struct Kept(Vec<Picture>);

impl Glass for Kept {
    fn shows(&mut self, _: u32, expected: Picture, _: &[Part]) -> Result<(), TaskError> {
        self.0.push(expected);
        Ok(())
    }
}

/// The same scene on a headless daemon has to give the same pictures.
fn compare_with_headless(shown: &[Picture], programs: &Path, folder: &Path) -> Result<(), TaskError> {
    let (width, height) = shown.first().map(Picture::size).unwrap_or_default();
    let daemon = Daemon::start(programs, folder, Some(&format!("{width}x{height}")))?;
    let mut kept = Kept::default();
    scene::busy(&mut Connection::open_at(daemon.socket(), "qemu")?, &mut kept)?;
    // The card has shown the scene more than once.
    for (number, (headless, card)) in kept.0.iter().cycle().zip(shown).enumerate() {
        card.check(headless, &[]).map_err(|wrong| {
            TaskError::Expected(format!("picture {number} is another without a screen: {wrong}"))
        })?;
    }
    if shown.is_empty() || !shown.len().is_multiple_of(kept.0.len()) {
        return Err(TaskError::Expected(format!("{} pictures, headless {}", shown.len(), kept.0.len())));
    }
    Ok(())
}
