//! How long it takes from starting a server to its first finished draw.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use blitd_client::{Connection, Draw, Error, Format, ImageView, LayerOptions};
use rustix::fs::inotify;

use super::Bench;
use super::client::nanoseconds;
use super::report::Line;
use super::scenes::{START, STARTS};
use super::statistics::Rounds;
use super::worker::{Worker, tied};
use crate::tools::TaskError;

/// Starts a daemon, draws once, and says how long both took.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The daemon's program.
    daemon: PathBuf,
    /// The folder for its socket, which is new.
    folder: PathBuf,
}

/// A daemon that ends with this.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Says how many nanoseconds.
pub(crate) fn run(arguments: &Arguments) -> Result<(), TaskError> {
    let folder = &arguments.folder;
    let failed = |source| TaskError::File { path: folder.clone(), source };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let socket = folder.join("socket");
    let _ = std::fs::remove_file(&socket);
    let coming = inotify::init(inotify::CreateFlags::CLOEXEC)
        .and_then(|queue| inotify::add_watch(&queue, folder, inotify::WatchFlags::CREATE).map(|_| queue))
        .map_err(|errno| failed(errno.into()))?;
    let mut command = Command::new(&arguments.daemon);
    command.args(["--backend", "headless", "--socket"]).arg(&socket);
    command.env("BLITD_LOG", "warn").stdin(Stdio::null());

    let begun = Instant::now();
    let child = command.spawn().map_err(|source| TaskError::Start { what: "blitd".into(), source })?;
    let daemon = Started(child);
    // Blocks until there is a file.
    rustix::io::read(&coming, &mut [0; 4096]).map_err(|errno| failed(errno.into()))?;
    let mut connection = connect(&socket)?;
    let layer = connection.create_layer(&LayerOptions::new(64, 64))?;
    let mut region = connection.create_region(64 * 64 * 4)?;
    connection.draw(&layer, &mut region, &Draw::new(ImageView::packed(64, 64, Format::Xrgb8888)))?;
    let time = begun.elapsed();

    drop(connection);
    drop(daemon);
    let _ = std::fs::remove_file(&socket);
    super::client::say(&nanoseconds(time).to_string())
}

/// A socket has its name a moment before somebody listens on it.
fn connect(socket: &Path) -> Result<Connection, TaskError> {
    let begun = Instant::now();
    loop {
        match Connection::open_at(socket, "bench") {
            Err(Error::Connect { .. }) if begun.elapsed() < Duration::from_secs(10) => {
                sleep(Duration::from_micros(20));
            }
            result => return Ok(result?),
        }
    }
}

/// Measures both servers in turns, as each starts when nothing else is said.
pub(super) fn measure(bench: &mut Bench) -> Result<(), TaskError> {
    let servers = &bench.servers;
    let mut rounds = Rounds::default();
    for round in 0..=STARTS {
        let mut ours = servers.this("bench-start");
        ours.arg(servers.programs.join("blitd")).arg(servers.folder.join("start"));
        let ours = once(&mut ours)?;
        let peer = once(tied(&servers.peer).arg("start"))?;
        // The programs are read from the disk in the first.
        if round > 0 {
            rounds.add(ours, peer);
        }
    }
    bench.result(Line::new("start to first draw".into(), &rounds, "ms", Some(START)));
    Ok(())
}

/// How many milliseconds one of them takes.
fn once(command: &mut Command) -> Result<f64, TaskError> {
    let (_, line) = Worker::start(command)?;
    let time: Result<f64, _> = line.trim().parse();
    time.map(|time| time / 1e6)
        .map_err(|_| TaskError::Expected(format!("`{}` is not a number of nanoseconds", line.trim())))
}
