//! Runs a program in the guest.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::tools::{TaskError, quoted};

/// Process 1 of the guest.
const INIT: &str = include_str!("../../vm/init");

/// How long is between two looks at what the program prints.
const PAUSE: Duration = Duration::from_millis(20);

/// What the guest is given.
#[derive(Debug)]
pub(crate) struct Guest<'a> {
    /// In MiB.
    pub(crate) memory: u32,
    /// In seconds, after which it is ended.
    pub(crate) timeout: u64,
    /// Arguments for the kernel.
    pub(crate) kernel_arguments: &'a [String],
    /// Whether systemd is process 1, and the program a service of it.
    pub(crate) systemd: bool,
    /// A folder of this machine that the program may write to.
    pub(crate) share: Option<&'a Path>,
}

/// A folder that goes with this.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Guest<'_> {
    /// Runs a program as root, in the current folder, with the environment that programs of a Rust workspace may need.
    ///
    /// The guest's root is this machine's: programs and libraries are found where they are. What it writes is
    /// forgotten. What it prints is printed. Returns its exit code.
    pub(crate) fn run(&self, kernel: &Path, program: &[String]) -> Result<u8, TaskError> {
        let folder = Folder(std::env::temp_dir().join(format!("blitd-guest-{}", std::process::id())));
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| TaskError::File { path, source }
        };
        fs::create_dir_all(&folder.0).map_err(failed(&folder.0))?;
        let write = |name: &str, text: &str| {
            let path = folder.0.join(name);
            fs::write(&path, text).map_err(failed(&path)).map(|()| path)
        };
        write("command", &self.command(program)?)?;
        let output = write("output", "")?;
        let init = write("init", INIT)?;
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&init, executable).map_err(failed(&init))?;
        let log = folder.0.join("kernel");
        let messages = fs::File::create(&log).map_err(failed(&log))?;
        let errors = messages.try_clone().map_err(failed(&log))?;
        let mut command = Command::new("timeout");
        command
            .arg(self.timeout.to_string())
            .arg(kernel)
            .arg(format!("mem={}M", self.memory))
            .args(["root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro"])
            .args(["vkms.enable_overlay=1", "vkms.enable_writeback=1", "vkms.enable_cursor=1"])
            .args(self.kernel_arguments)
            .arg(format!("init={}", init.display()))
            .arg(format!("blitd.run={}", folder.0.display()))
            .args(self.share.map(|share| format!("blitd.share={}", share.display())))
            .args(self.systemd.then_some("blitd.systemd"))
            // The guest's memory is a file there.
            .env("TMPDIR", "/dev/shm")
            .stdin(Stdio::null())
            .stdout(messages)
            .stderr(errors);
        let started = |source| TaskError::Start { what: "the guest".into(), source };
        let mut guest = command.spawn().map_err(started)?;
        let mut printed = File::open(&output).map_err(failed(&output))?;
        let status = loop {
            // What it has printed last is there when it has ended.
            let ended = guest.try_wait().map_err(started)?;
            io::copy(&mut printed, &mut io::stdout()).map_err(failed(&output))?;
            if let Some(status) = ended {
                break status;
            }
            sleep(PAUSE);
        };
        // Who has closed stdout does not want to know.
        let _ = io::stdout().flush();
        let text = |path: &Path| {
            fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
        };
        text(&folder.0.join("code")).trim().parse().map_err(|_| {
            let said = text(&log);
            let tail: Vec<&str> = said.lines().rev().take(15).collect();
            let tail: String = tail.iter().rev().flat_map(|line| [line, "\n"]).collect();
            TaskError::Expected(format!("the guest has ended early ({status}):\n{tail}"))
        })
    }

    /// What the guest's shell runs.
    fn command(&self, program: &[String]) -> Result<String, TaskError> {
        let here = std::env::current_dir().map_err(|source| TaskError::File { path: ".".into(), source })?;
        let passed = |name: &str| {
            ["CARGO", "RUST", "BLITD", "PATH", "HOME"].iter().any(|prefix| name.starts_with(prefix))
        };
        let environment = std::env::vars().filter(|(name, _)| passed(name));
        let exports: String =
            environment.map(|(name, value)| format!("export {name}={}\n", quoted(&value))).collect();
        let words: Vec<String> = program.iter().map(|word| quoted(word)).collect();
        Ok(format!("{exports}cd {} || exit 126\n{}\n", quoted(&here.to_string_lossy()), words.join(" ")))
    }
}
