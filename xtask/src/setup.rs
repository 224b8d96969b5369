//! What the tasks need besides Rust's compiler, and how it comes to be there.
//!
//! Rust needs a linker and the C library to make programs. The build of this task has shown that they are there, so they
//! are not listed.

use std::process::{Command, Stdio};

use crate::tools::TaskError;

/// Something that a task needs.
pub(crate) struct Tool {
    /// How it shows that it is there.
    pub(crate) probe: &'static [&'static str],
    /// How it is installed.
    pub(crate) install: &'static [&'static str],
}

/// The formatter.
pub(crate) const RUSTFMT: Tool =
    Tool { probe: &["cargo", "fmt", "--version"], install: &["rustup", "component", "add", "rustfmt"] };

/// The lints.
pub(crate) const CLIPPY: Tool =
    Tool { probe: &["cargo", "clippy", "--version"], install: &["rustup", "component", "add", "clippy"] };

/// Runs the client in docs/examples.
pub(crate) const PYTHON: Tool = Tool {
    probe: &["python3", "--version"],
    install: &["apt-get", "install", "-y", "--no-install-recommends", "python3"],
};

fn succeeds(words: &[&str], quiet: bool) -> bool {
    let [program, arguments @ ..] = words else { return false };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    if quiet {
        command.stdout(Stdio::null()).stderr(Stdio::null());
    }
    command.status().is_ok_and(|status| status.success())
}

/// Sees to it that a tool is there: installs it where that can be done, and otherwise says what to run.
pub(crate) fn ensure(tool: &Tool) -> Result<(), TaskError> {
    if succeeds(tool.probe, true) {
        return Ok(());
    }
    let line = tool.install.join(" ");
    eprintln!("== {} is not there: {line}", tool.probe.join(" "));
    if succeeds(tool.install, false) && succeeds(tool.probe, true) {
        return Ok(());
    }
    Err(TaskError::Expected(format!("something is missing that could not be installed; please run: {line}")))
}

/// Whether a tool that is not insisted on is there.
pub(crate) fn has(probe: &[&str]) -> bool {
    succeeds(probe, true)
}
