//! What the tasks need besides Rust's compiler, and how it comes to be there.
//!
//! Rust needs a linker and the C library to make programs. The build of this task has shown that they are there, so
//! they are not listed.

use std::process::{Command, Stdio};

use crate::tools::{TaskError, run};

/// Something that a task needs.
pub(crate) struct Tool {
    /// How it shows that it is there.
    pub(crate) probe: &'static [&'static str],
    /// How it is installed.
    pub(crate) install: &'static [&'static str],
}

/// Looks for every program that is named after it: `command -v` by itself looks for the first only.
pub(crate) const EVERY: &str = "for program; do command -v \"$program\" || exit; done";

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

/// The library that a card's buffers can come from, and its driver for cards that cannot draw, for tests.
pub(crate) const GBM: Tool = Tool {
    probe: &["sh", "-c", "ls /usr/lib/*/libgbm.so.1 /usr/lib/*/dri/kms_swrast_dri.so"],
    install: &["apt-get", "install", "-y", "--no-install-recommends", "libgbm1", "libgl1-mesa-dri"],
};

/// What kernels are held against, in tests.
pub(crate) const PIXMAN: Tool = Tool {
    probe: &["sh", "-c", "ls /usr/lib/*/libpixman-1.so.0"],
    install: &["apt-get", "install", "-y", "--no-install-recommends", "libpixman-1-0"],
};

/// The same to build with, for measurements.
pub(crate) const PIXMAN_HEADERS: Tool = Tool {
    probe: &["sh", "-c", "ls /usr/include/pixman-1/pixman.h"],
    install: &["apt-get", "install", "-y", "--no-install-recommends", "libpixman-1-dev"],
};

/// Sees what programs do with memory.
pub(crate) const VALGRIND: Tool = Tool {
    probe: &["valgrind", "--version"],
    install: &["apt-get", "install", "-y", "--no-install-recommends", "valgrind"],
};

/// A shell for guests, which needs no library.
pub(crate) const BUSYBOX: Tool = Tool {
    probe: &["/bin/busybox", "true"],
    install: &["apt-get", "install", "-y", "--no-install-recommends", "busybox-static"],
};

/// The server that blitd is compared with.
pub(crate) const XVFB: Tool = Tool {
    probe: &["sh", "-c", EVERY, "sh", "Xvfb", "xkbcomp"],
    install: &["apt-get", "install", "-y", "--no-install-recommends", "xvfb"],
};

/// The libraries of its client.
pub(crate) const XCB: Tool = Tool {
    probe: &["sh", "-c", "test -e \"$(cc -print-file-name=libxcb-shm.so)\""],
    install: &["apt-get", "install", "-y", "--no-install-recommends", "libxcb1-dev", "libxcb-shm0-dev"],
};

/// A compositor that blitd is compared with on a card, and the device manager that it asks for cards.
pub(crate) const WESTON: Tool = Tool {
    probe: &["sh", "-c", EVERY, "sh", "weston", "udevadm", "/lib/systemd/systemd-udevd"],
    install: &["apt-get", "install", "-y", "--no-install-recommends", "weston", "udev"],
};

/// Another one, and what gives it the card and serves clients of X, which it insists on.
pub(crate) const CAGE: Tool = Tool {
    probe: &["sh", "-c", EVERY, "sh", "cage", "seatd", "Xwayland"],
    install: &["apt-get", "install", "-y", "--no-install-recommends", "cage", "seatd", "xwayland"],
};

/// The libraries of their client and of a program that needs no compositor.
pub(crate) const WAYLAND: Tool = Tool {
    probe: &[
        "sh",
        "-c",
        "pkg-config --exists wayland-client wayland-protocols libdrm && wayland-scanner --version",
    ],
    install: &[
        "apt-get",
        "install",
        "-y",
        "--no-install-recommends",
        "libwayland-dev",
        "libwayland-bin",
        "wayland-protocols",
        "libdrm-dev",
        "pkg-config",
    ],
};

/// The machine that is looked at from outside, and what packs its first files.
pub(crate) const QEMU: Tool = Tool {
    probe: &["sh", "-c", EVERY, "sh", "qemu-system-x86_64", "cpio", "dpkg-deb", "xz"],
    install: &[
        "apt-get",
        "install",
        "-y",
        "--no-install-recommends",
        "qemu-system-x86",
        "cpio",
        "dpkg",
        "xz-utils",
    ],
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
    eprintln!("== something is missing: {line}");
    let install = || succeeds(tool.install, false) && succeeds(tool.probe, true);
    // A machine that is new has no list of packages, and one that is old has one that is out of date.
    if install() || (tool.install.first() == Some(&"apt-get") && update_lists().is_ok() && install()) {
        return Ok(());
    }
    Err(TaskError::Expected(format!("something is missing that could not be installed; please run: {line}")))
}

/// Brings the lists of packages up to date: without them none can be installed or fetched, and old ones name packages
/// that are there no more.
pub(crate) fn update_lists() -> Result<(), TaskError> {
    run(Command::new("apt-get").args(["-qq", "update"]))
}

/// Whether a tool that is not insisted on is there.
pub(crate) fn has(probe: &[&str]) -> bool {
    succeeds(probe, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_of_several_is_looked_for() {
        assert!(has(&["sh", "-c", EVERY, "sh", "ls", "cat"]));
        assert!(!has(&["sh", "-c", EVERY, "sh", "ls", "no-such-program"]));
        assert!(!has(&["sh", "-c", EVERY, "sh", "no-such-program", "ls"]));
    }
}
