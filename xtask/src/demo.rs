//! The demo: a daemon without a screen, three programs that draw on it at once, and a picture of what that looks like.

mod vm;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::tools::{Daemon, Process, TaskError, build_release, folder, run as run_command};

/// The packages whose programs it takes.
const PROGRAMS: [&str; 3] = ["blitd", "blitctl", "blitd-demos"];

/// How the demo is shown.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How long the programs draw, in seconds.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// The size of the screen, as WIDTHxHEIGHT.
    #[arg(long, default_value = "1920x1080")]
    size: String,
    /// Shows it on a virtual display driver, in a guest, and compares what is on the glass with the headless picture.
    #[arg(long)]
    vm: bool,
    /// What the guest runs.
    #[arg(long, hide = true)]
    in_guest: bool,
}

/// Runs the demo; the last line that it prints is the path of the picture.
pub(crate) fn run(arguments: &Arguments) -> Result<(), TaskError> {
    if arguments.in_guest {
        return vm::run_in_guest(arguments);
    }
    if arguments.vm {
        return vm::run(arguments);
    }
    let programs = build_release(&PROGRAMS)?;
    let folder = folder("demo")?;
    let screen = folder.join("screen.png");
    let daemon = Daemon::start(&programs, &folder, Some(&arguments.size))?;
    let scene = landscape(&daemon, &programs)?;
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

/// The picture behind all, rendered once.
fn landscape(daemon: &Daemon, programs: &Path) -> Result<PathBuf, TaskError> {
    let scene = folder("demo")?.join("landscape.png");
    if !scene.exists() {
        run_command(daemon.client(programs, "landscape").arg(&scene))?;
    }
    Ok(scene)
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
