//! The guest's kernel and first files: Debian's kernel package, unpacked and not installed.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::setup::{BUSYBOX, QEMU, ensure, update_lists};
use crate::tools::{TaskError, cache, run};

/// What the names of the kernel's packages begin with: a number for the release and the flavour follow.
const SERIES: &str = "linux-image-6.12.";

/// The flavour with all drivers.
const FLAVOUR: &str = "-amd64";

/// Process 1 of the guest.
const INIT: &str = include_str!("../../qemu/init");

/// Makes both files from the package.
const UNPACK: &str = include_str!("../../qemu/unpack");

/// The user that apt-get would fetch as cannot write to a folder of somebody else's, and it would say so.
const UNCONFINED: [&str; 2] = ["-o", "APT::Sandbox::User=root"];

/// What a guest is booted with.
#[derive(Debug)]
pub(super) struct Boot {
    /// The kernel.
    pub(super) kernel: PathBuf,
    /// The archive of its first files.
    pub(super) first_files: PathBuf,
}

/// Kernel and first files, which are fetched and made first where they are not there yet.
pub(super) fn prepared() -> Result<Boot, TaskError> {
    ensure(&BUSYBOX)?;
    ensure(&QEMU)?;
    let folder = cache()?.join(format!("qemu-{:016x}", fingerprint()));
    let boot = Boot { kernel: folder.join("vmlinuz"), first_files: folder.join("first-files") };
    if boot.kernel.exists() {
        return Ok(boot);
    }
    eprintln!("== unpacking a kernel for QEMU, once for this machine, in {}", folder.display());
    update_lists()?;
    let package = newest(&offered()?)?;
    // Two may be at it at once: each has a folder of its own.
    let work = folder.join(format!("unpacking-{}", std::process::id()));
    let made = make(&package, &work, &boot);
    let _ = fs::remove_dir_all(&work);
    made.map(|()| boot)
}

fn make(package: &str, work: &Path, boot: &Boot) -> Result<(), TaskError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| TaskError::File { path, source }
    };
    fs::create_dir_all(work).map_err(failed(work))?;
    run(Command::new("apt-get").args(["-qq", "download", package]).args(UNCONFINED).current_dir(work))?;
    for (name, text) in [("init", INIT), ("unpack", UNPACK)] {
        fs::write(work.join(name), text).map_err(failed(&work.join(name)))?;
    }
    run(Command::new("sh").args(["-e", "unpack"]).current_dir(work))?;
    // The kernel appears last: where it is, all is there.
    for file in [&boot.first_files, &boot.kernel] {
        fs::rename(work.join(file.file_name().unwrap_or_default()), file).map_err(failed(file))?;
    }
    Ok(())
}

/// Kernels and files that are made of something else have another folder.
fn fingerprint() -> u64 {
    let mut hasher = DefaultHasher::new();
    (SERIES, FLAVOUR, INIT, UNPACK).hash(&mut hasher);
    hasher.finish()
}

/// The names of the packages of this series that can be had.
fn offered() -> Result<String, TaskError> {
    let what = "apt-cache".to_owned();
    let pattern = format!("^{}", SERIES.replace('.', r"\."));
    let output = Command::new("apt-cache").args(["search", "--names-only", &pattern]).output();
    let output = output.map_err(|source| TaskError::Start { what, source })?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The newest of the packages in a list with one a line, name first.
fn newest(list: &str) -> Result<String, TaskError> {
    // The number, and what a suite adds to it, as in 6.12.9+bpo-amd64; other flavours have one more word.
    let release = |name: &str| {
        let middle = name.strip_prefix(SERIES)?.strip_suffix(FLAVOUR)?;
        let digits = middle.split(|letter: char| !letter.is_ascii_digit()).next()?;
        if middle.contains('-') { None } else { digits.parse::<u32>().ok() }
    };
    let names = list.lines().filter_map(|line| line.split_whitespace().next());
    let newest = names.filter_map(|name| Some((release(name)?, name))).max();
    newest.map(|(_, name)| name.to_owned()).ok_or_else(|| {
        TaskError::Expected(format!(
            "no package {SERIES}*{FLAVOUR} is offered: add a Debian suite that has one to the sources of apt"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_kernel_of_the_plain_flavour_is_taken() {
        let list = "linux-image-6.12.9+bpo-amd64 - Linux 6.12 for 64-bit PCs (signed)\n\
            linux-image-6.12.117+deb12-amd64 - Linux 6.12 for 64-bit PCs (signed)\n\
            linux-image-6.12.118+deb12-rt-amd64 - Linux 6.12 for 64-bit PCs (signed), PREEMPT_RT\n\
            linux-image-6.12.118+deb12-amd64-unsigned - Linux 6.12 for 64-bit PCs\n\
            linux-image-6.12-amd64 - Linux for 64-bit PCs (meta-package)\n\
            linux-image-6.12.43+deb13-amd64 - Linux 6.12 for 64-bit PCs (signed)\n";
        assert_eq!(newest(list).unwrap(), "linux-image-6.12.117+deb12-amd64");
        assert!(newest("linux-image-6.1.0-amd64 - Linux 6.1 for 64-bit PCs").is_err());
    }
}
