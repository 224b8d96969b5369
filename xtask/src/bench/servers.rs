//! The two servers that are compared, and the processes that draw with them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::placement::{Cpus, Placement};
use super::scenes::{BATCH, PAUSE, SCREEN};
use super::worker::{Worker, tied};
use crate::tools::{Daemon, Process, TaskError, run};

/// What the daemon lets its users hold: 16 clients that have a layer and a region of the screen's size each.
const CONFIGURATION: &str = "[limits]\nbytes = 4294967296\n";

/// Both of them.
pub(super) struct Servers {
    pub(super) programs: PathBuf,
    pub(super) folder: PathBuf,
    pub(super) peer: PathBuf,
    pub(super) cpus: Cpus,
    pub(super) blitd: Daemon,
    /// The X server's, which is `:` and a number.
    display: String,
    x_server: Option<Process>,
    /// The client that has made the window, into which all draw: X draws only what is visible.
    owner: Option<Worker>,
    window: String,
}

/// How a client is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client {
    /// The size of its layer and of its memory, in pixels.
    pub(super) size: (u32, u32),
    /// Of blitd only: whether its layer is in front of others, whether it is hidden, its priority.
    pub(super) in_front: bool,
    pub(super) hidden: bool,
    pub(super) priority: u8,
}

impl Client {
    /// One whose layer covers the screen.
    pub(super) const WHOLE: Self = Self { size: SCREEN, in_front: false, hidden: false, priority: 10 };
}

impl Servers {
    /// Starts both on the same CPU, each with a screen of the same size.
    pub(super) fn start(programs: &Path, folder: &Path, cpus: Cpus) -> Result<Self, TaskError> {
        let (width, height) = SCREEN;
        let peer = build(
            folder,
            "peer",
            &[&format!("-DBATCH={BATCH}u"), &format!("-DPAUSE={PAUSE}ull"), "-lxcb", "-lxcb-shm"],
        )?;
        let configuration = folder.join("blitd.toml");
        std::fs::write(&configuration, CONFIGURATION)
            .map_err(|source| TaskError::File { path: configuration.clone(), source })?;
        let mut command = tied(programs.join("blitd"));
        command.args(["--backend", "headless", "--size", &format!("{width}x{height}"), "--config"]);
        command.arg(&configuration);
        let blitd = cpus.start_on(cpus.server, || Daemon::start_with(command, folder))?;

        let mut command = tied("Xvfb");
        command.args(["-displayfd", "1", "-screen", "0", &format!("{width}x{height}x24")]);
        // It ends with its last client, who is that of the window. What it says of displays that it finds taken is no
        // fault.
        command
            .args(["-terminate", "-s", "0", "-extension", "GLX"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut x_server = cpus.start_on(cpus.server, || Process::start(&mut command))?;
        let display = format!(":{}", x_server.line()?.trim());
        let (owner, window) = Worker::start(tied(&peer).args([&display, "0", &(64 * 64 * 4).to_string()]))?;
        let window = window.trim().to_owned();
        let (programs, folder) = (programs.to_owned(), folder.to_owned());
        let (x_server, owner) = (Some(x_server), Some(owner));
        Ok(Self { programs, folder, peer, cpus, blitd, display, x_server, owner, window })
    }

    /// A client of blitd.
    pub(super) fn ours(&self, client: Client, placement: Placement) -> Result<Worker, TaskError> {
        let (width, height) = client.size;
        let mut command = self.this("bench-client");
        command.arg(self.blitd.socket()).args([width.to_string(), height.to_string()]);
        command.args([
            "--priority",
            &client.priority.to_string(),
            "--z",
            if client.in_front { "1" } else { "0" },
        ]);
        command.args(client.hidden.then_some("--hidden"));
        self.start_client(&mut command, placement)
    }

    /// The same of the X server.
    pub(super) fn peer(&self, client: Client, placement: Placement) -> Result<Worker, TaskError> {
        let (width, height) = client.size;
        let bytes = width * height * 4;
        let mut command = tied(&self.peer);
        command.args([&self.display, &self.window, &bytes.to_string()]);
        self.start_client(&mut command, placement)
    }

    /// A part of this program, as optimised as the daemon.
    pub(super) fn this(&self, part: &str) -> Command {
        let mut command = tied(self.programs.join("xtask"));
        command.arg(part);
        command
    }

    fn start_client(&self, command: &mut Command, placement: Placement) -> Result<Worker, TaskError> {
        let cpu = self.cpus.client(placement);
        self.cpus.start_on(cpu, || Ok(Worker::start(command)?.0))
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        drop(self.owner.take());
        // Killed, it would leave its lock and its socket.
        if let Some(x_server) = self.x_server.take() {
            let _ = x_server.finish();
        }
    }
}

/// Builds a C program of this folder.
pub(super) fn build(folder: &Path, name: &str, options: &[&str]) -> Result<PathBuf, TaskError> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bench").join(name).with_extension("c");
    let program = folder.join(name);
    let mut command = Command::new("cc");
    command.args(["-O2", "-Wall", "-Wextra", "-Werror", "-o"]).arg(&program).arg(source).args(options);
    run(&mut command)?;
    Ok(program)
}
