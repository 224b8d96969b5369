//! The kernels under tools that see each byte that is touched beside the memory it should be in.

use std::time::Instant;

use crate::setup::{PIXMAN, VALGRIND, ensure};
use crate::tools::{TaskError, cargo, run as run_command, target};

/// Runs their tests under AddressSanitizer and under valgrind: at every level that this processor has, and that valgrind
/// has for it.
pub(crate) fn check_memory() -> Result<(), TaskError> {
    for tool in [&PIXMAN, &VALGRIND] {
        ensure(tool)?;
    }
    let begun = Instant::now();
    let tests = ["test", "--package", "blitd-pixels", "--lib", "--tests", "--locked"];
    // What is stable of Rust has the sanitizer, but not the word for it.
    run_command(
        cargo(&tests)
            .args(["--target", TARGET, "--target-dir"])
            .arg(target()?.join("sanitized"))
            .env("RUSTC_BOOTSTRAP", "1")
            .env("RUSTFLAGS", "-Zsanitizer=address"),
    )?;
    let sanitized = begun.elapsed();
    run_command(
        cargo(&tests)
            .env(RUNNER, "valgrind --quiet --error-exitcode=99")
            // It is some thirty times slower: fewer cases have to do.
            .env("PROPTEST_CASES", "100"),
    )?;
    println!(
        "== kernels: no fault in memory, {} s under AddressSanitizer, {} s under valgrind",
        sanitized.as_secs(),
        (begun.elapsed() - sanitized).as_secs()
    );
    Ok(())
}

/// What the sanitizer is for: with it named, build scripts and macros are left alone.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// What cargo runs tests with.
const RUNNER: &str = "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER";
