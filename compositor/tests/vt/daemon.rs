//! blitd as a process of its own, whose signals and whose end are its own.

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;

use blitd_client::Connection;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

pub(crate) struct Daemon {
    child: Child,
    socket: PathBuf,
    log: Option<JoinHandle<String>>,
}

/// The program with these arguments, on vkms in its smallest mode.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_blitd"));
    command.args(["--backend", "kms", "--mode", "640x480"]).args(arguments);
    command
}

impl Daemon {
    /// Starts one on this VT.
    pub(crate) fn start(vt: u16) -> Self {
        Self::run(command(&["--tty", &format!("/dev/tty{vt}")]), &vt.to_string())
    }

    /// Starts a command that becomes blitd, and waits until it listens.
    pub(crate) fn run(mut command: Command, name: &str) -> Self {
        let socket = std::env::temp_dir().join(format!("blitd-vt-{}-{name}", std::process::id()));
        let mut child = command.arg("--socket").arg(&socket).stderr(Stdio::piped()).spawn().unwrap();
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        let mut log = String::new();
        while !log.contains("listening on") {
            assert!(errors.read_line(&mut log).unwrap() > 0, "blitd has ended: {log}");
        }
        let log = std::thread::spawn(move || {
            while errors.read_line(&mut log).unwrap() > 0 {}
            log
        });
        Self { child, socket, log: Some(log) }
    }

    pub(crate) fn connect(&self, name: &str) -> Connection {
        Connection::open_at(&self.socket, name).unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// Sends it a signal, and waits for its end; says what it has logged, its keeper included.
    pub(crate) fn end_by(mut self, signal: Signal) -> (ExitStatus, String) {
        self.signal(signal);
        let status = self.child.wait().unwrap();
        (status, self.log.take().unwrap().join().unwrap())
    }

    /// Ends it as an administrator does.
    pub(crate) fn stop(self) {
        let (status, log) = self.end_by(Signal::SIGTERM);
        assert_eq!((status.code(), status.signal()), (Some(0), None), "{log}");
        assert!(!log.contains("ended early"), "{log}");
    }

    /// Its number.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// How many processes it has started.
    pub(crate) fn children(&self) -> usize {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let parents = processes.filter_map(|process| {
            let status = std::fs::read_to_string(process.path().join("status")).ok()?;
            status.lines().find_map(|line| line.strip_prefix("PPid:")?.trim().parse::<u32>().ok())
        });
        parents.filter(|parent| *parent == self.process()).count()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // A test has failed, or this has been waited for already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.socket);
    }
}
