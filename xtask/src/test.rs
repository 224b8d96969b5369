//! Everything that a change must pass.

use crate::idle;
use crate::kernels;
use crate::qemu;
use crate::setup::{CLIPPY, GBM, PIXMAN, PYTHON, RUSTFMT, ensure, has};
use crate::tools::{TaskError, cargo, run as run_command};
use crate::vm;

/// The cheap checks first, the tests last: their own summaries are the last lines.
pub(crate) fn run() -> Result<(), TaskError> {
    for tool in [&RUSTFMT, &CLIPPY, &PYTHON, &GBM, &PIXMAN] {
        ensure(tool)?;
    }
    run_command(&mut cargo(&["fmt", "--all", "--", "--check"]))?;
    run_command(&mut cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--features",
        "blitd/guest",
        "--locked",
        "--",
        "--deny",
        "warnings",
    ]))?;
    run_command(
        cargo(&["doc", "--workspace", "--no-deps", "--locked"]).env("RUSTDOCFLAGS", "--deny warnings"),
    )?;
    licences()?;
    idle::run(&idle::Arguments::default())?;
    kernels::check_memory()?;
    in_guest()?;
    qemu::run(&qemu::Arguments::default())?;
    // Examples are programs that tests run.
    run_command(&mut cargo(&["test", "--workspace", "--locked"]))
}

/// What needs a display driver runs in the guest. An animation and draws shortly before a vblank run in virtual
/// time: whether they are in time must not depend on what else this machine does.
fn in_guest() -> Result<(), TaskError> {
    vm::prepare()?;
    vm::test("kms", &[])?;
    vm::test("planes", &[])?;
    vm::test("scenes_on_planes", &[])?;
    vm::test("dmabuf", &[])?;
    vm::test("vt", &[])?;
    vm::test("turmoil", &[])?;
    vm::test("units", &["--systemd"])?;
    vm::test("refusals", &[])?;
    vm::test("animation", &["--kernel", "time-travel=inf-cpu"])?;
    vm::test("deadline", &["--kernel", "time-travel=inf-cpu"])
}

/// The advisories need a list from the network, which is not everywhere; the rest is in the manifests.
fn licences() -> Result<(), TaskError> {
    if has(&["cargo", "deny", "--version"]) {
        return run_command(&mut cargo(&["deny", "check", "bans", "licenses", "sources"]));
    }
    eprintln!(
        "== cargo-deny is not there, licences are not checked; it comes with: cargo install cargo-deny"
    );
    Ok(())
}
