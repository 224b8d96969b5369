//! In the guest: one server after the other shows a client that redraws the whole screen for each frame.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command as Program, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::client::say;
use super::command::{Command, Scene};
use super::glass::{Cost, Server};
use super::worker::{Worker, tied};
use crate::tools::{Daemon, Process, TaskError, run};

pub(crate) const SIZE: (u32, u32) = (1920, 1080);

/// How many frames are drawn before those that count, and how many count.
const WARMING: u64 = 30;
const COUNTED: u64 = 150;

/// The screen of the virtual driver, and the user that cage runs as: it refuses root.
const SCREEN: &str = "Virtual-1";
const USER: &str = "nobody";

/// Where programs of the user have their sockets.
const RUNTIME: &str = "/run/bench";

/// How long a server may take until it is there.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the guest is to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The folder of blitd's programs.
    programs: PathBuf,
    /// The folder of what else has been built for this.
    built: PathBuf,
    /// How many rounds.
    rounds: usize,
}

/// Measures all servers in turns, and says a line for each.
pub(crate) fn run_in_guest(arguments: &Arguments) -> Result<(), TaskError> {
    let guest = Guest { programs: &arguments.programs, built: &arguments.built };
    guest.prepare()?;
    for _ in 0..arguments.rounds {
        for server in Server::ALL {
            say(&guest.measure(server)?.line())?;
        }
    }
    Ok(())
}

struct Guest<'a> {
    programs: &'a Path,
    built: &'a Path,
}

impl Guest<'_> {
    /// What the compositors want to be there: devices with their properties, a folder for sockets, a configuration.
    fn prepare(&self) -> Result<(), TaskError> {
        // It takes the guest for a container, which has no devices of its own.
        run(Program::new("/lib/systemd/systemd-udevd").arg("--daemon").env("SYSTEMD_IGNORE_CHROOT", "1"))?;
        for word in ["trigger", "settle"] {
            run(Program::new("udevadm").arg(word).env("SYSTEMD_IGNORE_CHROOT", "1"))?;
        }
        run(Program::new("install").args(["--directory", "--mode=700", "--owner", USER, RUNTIME]))?;
        let (width, height) = SIZE;
        let mode = format!("{width}x{height}");
        self.write("weston.ini", &format!("[output]\nname={SCREEN}\nmode={mode}\n"))?;
        self.write("blitd.toml", &format!("[output.{SCREEN}]\nmode = \"{mode}@60\"\n"))
    }

    fn write(&self, name: &str, text: &str) -> Result<(), TaskError> {
        let path = Path::new(RUNTIME).join(name);
        fs::write(&path, text).map_err(|source| TaskError::File { path, source })
    }

    fn measure(&self, server: Server) -> Result<Cost, TaskError> {
        match server {
            Server::Bare => {
                let mut program = tied(self.built.join("flip"));
                let (worker, _) = Worker::start(program.arg(card()?))?;
                let id = worker.id();
                cost(server, worker, id)
            }
            Server::Blitd => {
                let mut command = tied(self.programs.join("blitd"));
                command.args(["--backend", "kms", "--config"]).arg(Path::new(RUNTIME).join("blitd.toml"));
                let daemon = Daemon::start_with(command, Path::new("/run"))?;
                let mut client = tied(self.programs.join("xtask"));
                client.arg("bench-client").arg(daemon.socket());
                client.args([SIZE.0.to_string(), SIZE.1.to_string()]);
                cost(server, Worker::start(&mut client)?.0, daemon.id())
            }
            Server::Weston => {
                let mut command = tied("weston");
                command.args(["--backend=drm-backend.so", "--use-pixman", "--tty=1", "--idle-time=0"]);
                command.args(["--continue-without-input", "--socket=bench", "--log=/run/weston.log"]);
                command.arg(format!("--config={RUNTIME}/weston.ini"));
                command.env("XDG_RUNTIME_DIR", RUNTIME).env("SYSTEMD_IGNORE_CHROOT", "1");
                // One that was killed has left it.
                let _ = fs::remove_file(Path::new(RUNTIME).join("bench"));
                let weston = Process::start(&mut command)?;
                wait_for(&Path::new(RUNTIME).join("bench"))?;
                let mut client = tied(self.built.join("wayland"));
                client.env("XDG_RUNTIME_DIR", RUNTIME).env("WAYLAND_DISPLAY", "bench");
                cost(server, Worker::start(&mut client)?.0, weston.id())
            }
            Server::Cage => {
                let seats = Process::start(tied("seatd").args(["-u", USER]).stderr(Stdio::null()))?;
                wait_for(Path::new("/run/seatd.sock"))?;
                // It takes the mode that the screen prefers, and cannot be told another.
                let mut command = tied("setpriv");
                command.args(["--reuid", USER, "--regid", "nogroup", "--clear-groups", "--"]);
                command.args(["cage", "--"]).arg(self.built.join("wayland"));
                command.env("XDG_RUNTIME_DIR", RUNTIME).env("SYSTEMD_IGNORE_CHROOT", "1");
                command.env("LD_PRELOAD", self.built.join("prefer"));
                command.env("BENCH_MODE", format!("{}x{}", SIZE.0, SIZE.1));
                command.env("WLR_RENDERER", "pixman").env("WLR_LIBINPUT_NO_DEVICES", "1");
                command.env("LIBSEAT_BACKEND", "seatd");
                // The client is cage's own, and has its standard input and output.
                let (worker, _) = Worker::start(&mut command)?;
                let id = worker.id();
                let cost = cost(server, worker, id);
                drop(seats);
                let _ = fs::remove_file("/run/seatd.sock");
                cost
            }
        }
    }
}

/// Has a client draw, and says what that cost a process.
fn cost(server: Server, mut client: Worker, process: u32) -> Result<Cost, TaskError> {
    let (width, height) = SIZE;
    let mut draw = |amount| client.ask(&Command { scene: Scene::Redraw, width, height, amount });
    draw(WARMING)?;
    let before = processor_time(process)?;
    let answer = draw(COUNTED)?;
    let time = processor_time(process)? - before;
    let frames = answer.times.len() as f64;
    Ok(Cost { server, time: time as f64 / frames, rate: frames * 1e9 / answer.duration.max(1) as f64 })
}

/// How long all threads of a process have run, in nanoseconds (`Documentation/scheduler/sched-stats.rst`).
fn processor_time(process: u32) -> Result<u64, TaskError> {
    let tasks = PathBuf::from(format!("/proc/{process}/task"));
    let failed = |source| TaskError::File { path: tasks.clone(), source };
    let mut sum = 0;
    for task in fs::read_dir(&tasks).map_err(failed)? {
        let text = fs::read_to_string(task.map_err(failed)?.path().join("schedstat")).map_err(failed)?;
        sum += text.split_whitespace().next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(sum)
}

/// The card that has the screen.
pub(crate) fn card() -> Result<PathBuf, TaskError> {
    let cards = fs::read_dir("/sys/class/drm").into_iter().flatten().flatten();
    let mut names = cards.filter_map(|entry| entry.file_name().into_string().ok());
    let name = names.find_map(|name| Some(name.strip_suffix(SCREEN)?.strip_suffix('-')?.to_owned()));
    name.map(|name| Path::new("/dev/dri").join(name))
        .ok_or_else(|| TaskError::Expected(format!("no card of the guest has a screen {SCREEN}")))
}

fn wait_for(path: &Path) -> Result<(), TaskError> {
    let begun = Instant::now();
    while !path.exists() {
        if begun.elapsed() > PATIENCE {
            return Err(TaskError::Expected(format!("{} is not there after {PATIENCE:?}", path.display())));
        }
        sleep(Duration::from_millis(5));
    }
    Ok(())
}
