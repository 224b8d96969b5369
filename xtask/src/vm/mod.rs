//! A guest with real KMS on a machine that has none: User-Mode Linux with the kernel's virtual display driver, vkms.
//!
//! - [`kernel`]: the guest's kernel, built once for a machine from Debian's kernel source, kept in the user's cache folder.
//! - [`edits`]: the few lines that are changed in that source, and why.
//! - [`guest`]: runs a program in the guest, which boots in half a second; the program's exit code is the guest's.

mod edits;
pub(crate) mod guest;
mod kernel;

use std::process::ExitCode;

use crate::tools::TaskError;

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
    /// The program and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    program: Vec<String>,
}

/// Sees to it that the guest can be booted.
pub(crate) fn prepare() -> Result<(), TaskError> {
    kernel::built().map(drop)
}

/// Runs a program in the guest, as root, in the current folder, and ends with its exit code.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, TaskError> {
    let kernel = kernel::built()?;
    let guest = guest::Guest {
        memory: arguments.memory,
        timeout: arguments.timeout,
        kernel_arguments: &arguments.kernel_arguments,
    };
    let outcome = guest.run(&kernel, &arguments.program)?;
    print!("{}", outcome.output);
    Ok(ExitCode::from(outcome.code))
}
