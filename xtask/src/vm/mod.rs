//! A guest with real KMS on a machine that has none: User-Mode Linux with the kernel's virtual display driver, vkms.
//!
//! - [`kernel`]: the guest's kernel, built once for a machine from Debian's kernel source, kept in the user's cache
//!   folder.
//! - [`edits`]: the few lines that are changed in that source, and why.
//! - [`guest`]: runs a program in the guest, which boots in half a second; the program's exit code is the guest's.

mod edits;
pub(crate) mod guest;
mod kernel;

use std::path::Path;
use std::process::ExitCode;

use crate::setup::{Tool, ensure};
use crate::tools::{TaskError, cargo, run as run_command};

/// Process 1 of a guest with services. Nothing of it runs on this machine.
const SYSTEMD: Tool = Tool {
    probe: &["systemctl", "--version"],
    install: &["apt-get", "install", "-y", "--no-install-recommends", "systemd"],
};

/// What is run in the guest.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Memory of the guest, in MiB.
    #[arg(long, default_value_t = 1024)]
    memory: u32,
    /// The longest that the program may take, in seconds.
    #[arg(long, default_value_t = 300)]
    timeout: u64,
    /// More arguments for the kernel, as in vkms.nomap=1.
    #[arg(long = "kernel", value_name = "ARGUMENT")]
    kernel_arguments: Vec<String>,
    /// Boots systemd, which runs the program as a service.
    #[arg(long)]
    systemd: bool,
    /// The program and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    program: Vec<String>,
}

/// Sees to it that the guest can be booted.
pub(crate) fn prepare() -> Result<(), TaskError> {
    kernel::built().map(drop)
}

/// Runs a test of the daemon in a guest with these options.
pub(crate) fn test(name: &str, options: &[&str]) -> Result<(), TaskError> {
    let program =
        std::env::current_exe().map_err(|source| TaskError::Start { what: "xtask".into(), source })?;
    let runner = format!("{} vm --timeout 600 {} --", program.display(), options.join(" "));
    test_by(&runner, name, &[])
}

/// Has cargo build a test of the daemon, with these arguments of its own, and start it by these words.
pub(crate) fn test_by(runner: &str, name: &str, cargo_arguments: &[&str]) -> Result<(), TaskError> {
    let arguments = ["test", "--package", "blitd", "--features", "guest", "--locked", "--test", name];
    run_command(
        cargo(&arguments)
            .args(cargo_arguments)
            .args(["--", "--nocapture"])
            .env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER", runner),
    )
}

/// Runs a program in the guest that may write to a folder of this machine, and returns its exit code.
pub(crate) fn run_sharing(share: &Path, program: &[String]) -> Result<u8, TaskError> {
    let guest = guest::Guest {
        memory: 1024,
        timeout: 300,
        kernel_arguments: &[],
        systemd: false,
        share: Some(share),
    };
    guest.run(&kernel::built()?, program)
}

/// Runs a program in the guest, as root, in the current folder, and ends with its exit code.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, TaskError> {
    let kernel = kernel::built()?;
    if arguments.systemd {
        ensure(&SYSTEMD)?;
    }
    let guest = guest::Guest {
        memory: arguments.memory,
        timeout: arguments.timeout,
        kernel_arguments: &arguments.kernel_arguments,
        systemd: arguments.systemd,
        share: None,
    };
    guest.run(&kernel, &arguments.program).map(ExitCode::from)
}
