//! The demo on a display driver: the same still picture is drawn headless, here, and on vkms, in the guest, where it is
//! read back from the hardware's side. The two must be equal to the pixel.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{Arguments, PROGRAMS, Spawned, landscape};
use crate::tools::{Daemon, Process, TaskError, build_release, cargo, folder, run as run_command, target};
use crate::vm;

/// How long is between two looks at what has been drawn.
const PAUSE: Duration = Duration::from_millis(20);

/// How long programs may take to draw their first picture.
const LONGEST: Duration = Duration::from_secs(60);

/// Draws here, then there, and fails where one pixel is another; the last line is the path of the picture from the
/// glass.
pub(super) fn run(arguments: &Arguments) -> Result<(), TaskError> {
    let programs = build_release(&PROGRAMS)?;
    let example = ["build", "--release", "--locked", "--package", "blitd", "--example", "glass"];
    run_command(cargo(&example).arg("--target-dir").arg(target()?))?;
    let (headless, glass) = pictures()?;
    for old in [&headless, &glass] {
        let _ = std::fs::remove_file(old);
    }
    eprintln!("== three programs draw on blitd, headless at {}", arguments.size);
    let still = Still::begin(&programs, arguments, &["--backend", "headless", "--size", &arguments.size])?;
    let mut screenshot = still.daemon.client(&programs, "blitctl");
    run_command(screenshot.arg("screenshot").arg(&headless).stdout(Stdio::null()))?;
    drop(still);
    eprintln!("== the same on vkms, in a guest");
    let program =
        std::env::current_exe().map_err(|source| TaskError::Start { what: "xtask".into(), source })?;
    let seconds = arguments.seconds.to_string();
    let words = ["demo", "--in-guest", "--size", &arguments.size, "--seconds", &seconds];
    let words = std::iter::once(program.to_string_lossy().into_owned()).chain(words.map(String::from));
    match vm::run_sharing(&folder(PICTURES)?, &words.collect::<Vec<_>>())? {
        0 => {}
        code => {
            return Err(TaskError::Expected(format!("the demo in the guest has failed with code {code}")));
        }
    }
    println!("{}", glass.display());
    Ok(())
}

/// What the guest does: draws on the card, and reads the glass.
pub(super) fn run_in_guest(arguments: &Arguments) -> Result<(), TaskError> {
    let programs = target()?.join("release");
    let (headless, glass) = pictures()?;
    let still = Still::begin(&programs, arguments, &["--backend", "kms", "--mode", &arguments.size])?;
    print!("{}", still.told);
    let read = programs.join("examples").join("glass");
    run_command(std::process::Command::new(read).arg("--expected").arg(headless).arg(glass))?;
    run_command(still.daemon.client(&programs, "blitctl").arg("outputs"))?;
    run_command(still.daemon.client(&programs, "blitctl").arg("stats"))
}

/// The folder that the guest can write to.
const PICTURES: &str = "demo-vm";

/// The picture that should be on the glass, and the one that is.
fn pictures() -> Result<(PathBuf, PathBuf), TaskError> {
    let folder = folder(PICTURES)?;
    Ok((folder.join("headless.png"), folder.join("screen.png")))
}

/// Three programs that have drawn all that they will draw. They end with this.
struct Still {
    _programs: [Process; 3],
    /// What the animation has said when it stood still.
    told: String,
    daemon: Daemon,
}

impl Still {
    fn begin(programs: &Path, arguments: &Arguments, display: &[&str]) -> Result<Self, TaskError> {
        let daemon = Daemon::start_on(programs, &folder("demo")?, display)?;
        let scene = landscape(&daemon, programs)?;
        let show = daemon.client(programs, "show").args(["--fit", "fill"]).arg(scene).spawned()?;
        let status = daemon.client(programs, "status").arg("--sample").spawned()?;
        let mut first = [show, status];
        let begun = Instant::now();
        loop {
            let layers = daemon.client(programs, "blitctl").args(["layers", "--json"]).spawned()?.finish()?;
            if are_drawn(&layers, first.len()) {
                break;
            }
            for process in &mut first {
                process.check_alive()?;
            }
            if begun.elapsed() > LONGEST {
                return Err(TaskError::Expected(format!(
                    "the programs have drawn nothing after {} s",
                    LONGEST.as_secs()
                )));
            }
            sleep(PAUSE);
        }
        let seconds = arguments.seconds.to_string();
        let mut bounce = daemon.client(programs, "bounce").args(["--stop-at", &seconds]).spawned()?;
        let told = bounce.line()?;
        let [show, status] = first;
        Ok(Self { _programs: [show, status, bounce], told, daemon })
    }
}

/// Whether there are so many layers, and all of them are shown and have something on them, by what `blitctl layers
/// --json` prints.
fn are_drawn(layers: &str, count: usize) -> bool {
    layers.matches("\"visible\": true").count() == count && !layers.contains("\"draws\": 0,")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_drawn_when_all_are_there_and_shown_and_have_draws() {
        let layer = |visible: bool, draws: u64| format!("\"visible\": {visible},\n\"draws\": {draws},\n");
        assert!(are_drawn(&(layer(true, 1) + &layer(true, 40)), 2));
        assert!(!are_drawn(&layer(true, 1), 2));
        assert!(!are_drawn(&(layer(true, 1) + &layer(true, 0)), 2));
        assert!(!are_drawn(&(layer(true, 1) + &layer(false, 1)), 2));
    }
}
