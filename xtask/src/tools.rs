//! What the tasks are made of: cargo, the built programs, and processes that do not outlive their task.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Why a task fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TaskError {
    /// A program could not be started.
    #[error("{what} cannot be started: {source}")]
    Start { what: String, source: io::Error },
    /// A program has failed.
    #[error("{what} has failed: {status}")]
    Failed { what: String, status: ExitStatus },
    /// A file cannot be had.
    #[error("{}: {source}", .path.display())]
    File { path: PathBuf, source: io::Error },
    /// The daemon refuses, or is gone.
    #[error("a client of blitd: {0}")]
    Client(#[from] blitd_client::Error),
    /// Something that should have happened has not.
    #[error("{0}")]
    Expected(String),
}

/// The folder of the repository.
pub(crate) fn root() -> PathBuf {
    let mut root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.pop();
    root
}

/// The folder that cargo builds into: this program is in a folder of it.
pub(crate) fn target() -> Result<PathBuf, TaskError> {
    let program =
        std::env::current_exe().map_err(|source| TaskError::Start { what: "xtask".into(), source })?;
    let folder = program.parent().and_then(Path::parent);
    folder.map(Path::to_owned).ok_or_else(|| TaskError::Expected("xtask is in no target folder".into()))
}

/// A folder of the target folder, made if need be.
pub(crate) fn folder(name: &str) -> Result<PathBuf, TaskError> {
    let path = target()?.join(name);
    std::fs::create_dir_all(&path).map_err(|source| TaskError::File { path: path.clone(), source })?;
    Ok(path)
}

/// Where what is worth keeping is kept, as the XDG base directory specification has it.
pub(crate) fn cache() -> Result<PathBuf, TaskError> {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    named("XDG_CACHE_HOME")
        .or_else(|| Some(named("HOME")?.join(".cache")))
        .map(|cache| cache.join("blitd"))
        .ok_or_else(|| TaskError::Expected("there is no cache folder: set HOME or XDG_CACHE_HOME".into()))
}

/// A cargo command in the repository's folder.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

/// Runs a command to its end and says which.
pub(crate) fn run(command: &mut Command) -> Result<(), TaskError> {
    let what = words(command);
    eprintln!("== {what}");
    let status = command.status().map_err(|source| TaskError::Start { what: what.clone(), source })?;
    if status.success() { Ok(()) } else { Err(TaskError::Failed { what, status }) }
}

/// The command as one would type it.
fn words(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let all: Vec<_> =
        std::iter::once(program).chain(command.get_args()).map(OsStr::to_string_lossy).collect();
    all.join(" ")
}

/// A word for the shell, whatever is in it.
pub(crate) fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Builds programs as they are shipped, and says where they are.
pub(crate) fn build_release(packages: &[&str]) -> Result<PathBuf, TaskError> {
    let mut arguments = vec!["build", "--release", "--locked"];
    for package in packages {
        arguments.extend(["--package", package]);
    }
    let target = target()?;
    run(cargo(&arguments).arg("--target-dir").arg(&target))?;
    Ok(target.join("release"))
}

/// A process that ends with this.
#[derive(Debug)]
pub(crate) struct Process {
    what: String,
    child: Option<Child>,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Result<Self, TaskError> {
        let what = words(command);
        let child = command.stdin(Stdio::null()).spawn();
        let child = child.map_err(|source| TaskError::Start { what: what.clone(), source })?;
        Ok(Self { what, child: Some(child) })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Whether it has ended, which it should not have yet.
    pub(crate) fn check_alive(&mut self) -> Result<(), TaskError> {
        let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
        match ended {
            Some(status) => Err(TaskError::Failed { what: self.what.clone(), status }),
            None => Ok(()),
        }
    }

    /// Waits for the next line that it prints, if that is kept; an error where it ends before.
    pub(crate) fn line(&mut self) -> Result<String, TaskError> {
        let mut line = Vec::new();
        let output = self.child.as_mut().and_then(|child| child.stdout.as_mut());
        // Byte by byte, so that all else stays for the end.
        for byte in output.into_iter().flat_map(Read::bytes).map_while(Result::ok) {
            line.push(byte);
            if byte == b'\n' {
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
        }
        Err(TaskError::Expected(format!("{} has ended early", self.what)))
    }

    /// Waits for its end, and what it has printed if that was kept.
    pub(crate) fn finish(mut self) -> Result<String, TaskError> {
        let Some(child) = self.child.take() else { return Ok(String::new()) };
        let what = self.what.clone();
        let output =
            child.wait_with_output().map_err(|source| TaskError::Start { what: what.clone(), source })?;
        if !output.status.success() {
            return Err(TaskError::Failed { what, status: output.status });
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A daemon of the demo's or a measurement's own that listens.
#[derive(Debug)]
pub(crate) struct Daemon {
    process: Process,
    socket: PathBuf,
}

impl Daemon {
    /// A headless one.
    pub(crate) fn start(programs: &Path, folder: &Path, size: Option<&str>) -> Result<Self, TaskError> {
        let size = size.into_iter().flat_map(|size| ["--size", size]);
        let display: Vec<&str> = ["--backend", "headless"].into_iter().chain(size).collect();
        Self::start_on(programs, folder, &display)
    }

    /// One with these options, which say what it shows pictures on.
    pub(crate) fn start_on(programs: &Path, folder: &Path, display: &[&str]) -> Result<Self, TaskError> {
        let mut command = Command::new(programs.join("blitd"));
        command.args(display);
        Self::start_with(command, folder)
    }

    /// The one that this command starts.
    pub(crate) fn start_with(mut command: Command, folder: &Path) -> Result<Self, TaskError> {
        let socket = folder.join(format!("socket-{}", std::process::id()));
        command.arg("--socket").arg(&socket);
        command.env("BLITD_LOG", "warn");
        let mut process = Process::start(&mut command)?;
        let begun = Instant::now();
        while !socket.exists() {
            process.check_alive()?;
            if begun.elapsed() > Duration::from_secs(10) {
                return Err(TaskError::Expected("blitd does not listen after 10 s".into()));
            }
            sleep(Duration::from_millis(2));
        }
        Ok(Self { process, socket })
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// One of the programs, as a client of this daemon.
    pub(crate) fn client(&self, programs: &Path, name: &str) -> Command {
        let mut command = Command::new(programs.join(name));
        command.env("BLITD_SOCKET", self.socket());
        command
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.socket);
    }
}
