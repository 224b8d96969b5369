//! A process that is told what to do on its standard input, and answers on its standard output.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command as Process, Stdio};

use super::command::{Answer, Command};
use crate::tools::TaskError;

/// A program that ends when this task does, even where the task is killed.
pub(super) fn tied(program: impl AsRef<OsStr>) -> Process {
    let mut process = Process::new("setpriv");
    process.args(["--pdeathsig", "TERM", "--"]).arg(program);
    process
}

/// One that runs.
pub(super) struct Worker {
    child: Child,
    input: Option<ChildStdin>,
    output: Option<BufReader<ChildStdout>>,
}

impl Worker {
    /// Starts it, and waits until it says that it is ready: that line is returned too.
    pub(super) fn start(process: &mut Process) -> Result<(Self, String), TaskError> {
        let mut child = process
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|source| TaskError::Start { what: "a process of the benchmark".into(), source })?;
        let (input, output) = (child.stdin.take(), child.stdout.take().map(BufReader::new));
        let mut worker = Self { child, input, output };
        let ready = worker.line()?;
        Ok((worker, ready))
    }

    /// Its process.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Says a line, if there is somebody to hear it; the answer would miss.
    pub(super) fn tell(&mut self, line: &str) {
        if let Some(input) = &mut self.input {
            let _ = writeln!(input, "{line}");
        }
    }

    /// The next line that it says.
    pub(super) fn line(&mut self) -> Result<String, TaskError> {
        let mut line = String::new();
        if let Some(output) = &mut self.output {
            let _ = output.read_line(&mut line);
        }
        if line.is_empty() {
            return Err(TaskError::Expected(
                "a process of the benchmark has ended early: what it says of that is above".into(),
            ));
        }
        Ok(line)
    }

    /// Has it do something, and waits for that.
    pub(super) fn ask(&mut self, command: &Command) -> Result<Answer, TaskError> {
        self.tell(&command.to_string());
        self.answer()
    }

    pub(super) fn answer(&mut self) -> Result<Answer, TaskError> {
        self.line()?.parse().map_err(TaskError::Expected)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
