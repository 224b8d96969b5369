//! The demo: a daemon without a screen, three programs that draw on it at once, and a picture of what that looks like.

use std::path::Path;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::setup::{GBM, ensure};
use crate::tools::{Daemon, Process, TaskError, build_release, folder, run as run_command};

/// How the demo is shown.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How long the programs draw, in seconds.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// The size of the screen, as WIDTHxHEIGHT.
    #[arg(long, default_value = "1920x1080")]
    size: String,
}

/// Runs the demo; the last line that it prints is the path of the picture.
pub(crate) fn run(arguments: &Arguments) -> Result<(), TaskError> {
    ensure(&GBM)?;
    let programs = build_release(&["blitd", "blitctl", "blitd-demos"])?;
    let folder = folder("demo")?;
    let scene = folder.join("landscape.png");
    let screen = folder.join("screen.png");
    let daemon = Daemon::start(&programs, &folder, Some(&arguments.size))?;
    if !scene.exists() {
        run_command(daemon.client(&programs, "landscape").arg(&scene))?;
    }
    eprintln!("== blitd runs headless at {}; three programs draw on it", arguments.size);
    let seconds = arguments.seconds.to_string();
    // The scene and the strip stay for longer than the animation, so that the picture has all three.
    let stays = (arguments.seconds + 5).to_string();
    let show = daemon
        .client(&programs, "show")
        .args(["--fit", "fill", "--seconds", &stays])
        .arg(&scene)
        .spawned()?;
    let status = daemon.client(&programs, "status").args(["--seconds", &stays]).spawned()?;
    let bounce = daemon.client(&programs, "bounce").args(["--seconds", &seconds]).spawned()?;
    let mut others = [show, status];
    watch(&daemon, &programs, &mut others, arguments.seconds, &screen)?;
    print!("{}", bounce.finish()?);
    run_command(daemon.client(&programs, "blitctl").arg("stats"))?;
    println!("{}", screen.display());
    Ok(())
}

/// Shows that time passes, and takes the picture when most of it has.
fn watch(
    daemon: &Daemon,
    programs: &Path,
    others: &mut [Process],
    seconds: u64,
    screen: &Path,
) -> Result<(), TaskError> {
    let begun = Instant::now();
    let whole = Duration::from_secs(seconds);
    let (mut taken, mut told) = (false, 0);
    while begun.elapsed() < whole {
        for process in &mut *others {
            process.check_alive()?;
        }
        let passed = begun.elapsed().as_secs();
        if passed > told {
            told = passed;
            eprintln!("   {told} of {seconds} s");
        }
        if !taken && begun.elapsed() * 4 > whole * 3 {
            run_command(
                daemon.client(programs, "blitctl").arg("screenshot").arg(screen).stdout(Stdio::null()),
            )?;
            taken = true;
        }
        sleep(Duration::from_millis(100));
    }
    Ok(())
}

trait Spawned {
    fn spawned(&mut self) -> Result<Process, TaskError>;
}

impl Spawned for std::process::Command {
    /// Starts the command, keeping what it prints.
    fn spawned(&mut self) -> Result<Process, TaskError> {
        Process::start(self.stdout(Stdio::piped()))
    }
}
