//! The guest's kernel, built once for a machine.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::edits;
use crate::setup::{BUSYBOX, EVERY, Tool, ensure, update_lists};
use crate::tools::{TaskError, cache, run};

/// What the kernel is configured with; all else is off.
const CONFIG: &str = include_str!("../../vm/uml.config");

/// The package with the source.
const SOURCE: &str = "linux-source-6.12";

/// About how many files are compiled, for the progress line.
const FILES: usize = 800;

/// What building it takes.
const BUILDING: Tool = Tool {
    probe: &["sh", "-c", EVERY, "sh", "gcc", "make", "flex", "bison", "bc", "xz", "dpkg-deb"],
    install: &[
        "apt-get",
        "install",
        "-y",
        "--no-install-recommends",
        "gcc",
        "make",
        "flex",
        "bison",
        "bc",
        "xz-utils",
        "libc6-dev",
    ],
};

/// The kernel, which is built first where it is not there yet.
pub(super) fn built() -> Result<PathBuf, TaskError> {
    ensure(&BUSYBOX)?;
    let folder = cache()?.join(format!("uml-{:016x}", fingerprint()));
    let kernel = folder.join("linux");
    if kernel.exists() {
        return Ok(kernel);
    }
    eprintln!("== building a kernel for the guest, once for this machine, in {}", folder.display());
    update_lists()?;
    ensure(&BUILDING)?;
    let begun = Instant::now();
    let work = folder.join("build");
    let (source, objects) = (work.join("source"), work.join("objects"));
    for folder in [&source, &objects] {
        fs::create_dir_all(folder)
            .map_err(|error| TaskError::File { path: folder.clone(), source: error })?;
    }
    unpack(&work, &source)?;
    edits::make(&source)?;
    let wanted = work.join("wanted");
    fs::write(&wanted, CONFIG).map_err(|error| TaskError::File { path: wanted.clone(), source: error })?;
    let make = || {
        let mut command = Command::new("make");
        command.arg("-C").arg(&source).arg("ARCH=um").arg(format!("O={}", objects.display()));
        command
    };
    quietly(make().arg("allnoconfig").env("KCONFIG_ALLCONFIG", &wanted), &work.join("config.log"))?;
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    compile(make().arg(format!("-j{jobs}")).arg("linux"), &work.join("build.log"))?;
    // The name appears only when the file is whole.
    let stripped = work.join("stripped");
    run(Command::new("strip").arg("-o").arg(&stripped).arg(objects.join("linux")))?;
    fs::rename(&stripped, &kernel)
        .map_err(|error| TaskError::File { path: kernel.clone(), source: error })?;
    let _ = fs::remove_dir_all(&work);
    eprintln!("== the kernel took {} s", begun.elapsed().as_secs());
    Ok(kernel)
}

/// Kernels that are made of something else have another folder.
fn fingerprint() -> u64 {
    let mut hasher = DefaultHasher::new();
    (SOURCE, CONFIG, edits::text()).hash(&mut hasher);
    hasher.finish()
}

fn unpack(work: &Path, source: &Path) -> Result<(), TaskError> {
    run(Command::new("apt-get").args(["-qq", "download", SOURCE]).current_dir(work))?;
    // What is large and not compiled stays out.
    let script = format!(
        "dpkg-deb --fsys-tarfile {SOURCE}_*.deb | tar -xO ./usr/src/{SOURCE}.tar.xz | xz -dc | \
         tar -x -C \"$1\" --strip-components=1 --exclude='*/drivers/gpu/drm/amd/*.[ch]' \
         --exclude='*/Documentation/*/*' --exclude='*/tools/testing/*' --exclude='*/sound/*.[ch]' && rm {SOURCE}_*.deb"
    );
    run(Command::new("sh").arg("-ec").arg(script).arg("sh").arg(source).current_dir(work))
}

fn quietly(command: &mut Command, log: &Path) -> Result<(), TaskError> {
    let file = File::create(log).map_err(|source| TaskError::File { path: log.into(), source })?;
    run(command.stdout(file).stderr(Stdio::null()))
        .inspect_err(|_| eprintln!("== what it has said is in {}", log.display()))
}

/// Compiles, with a line of progress now and then.
fn compile(command: &mut Command, log: &Path) -> Result<(), TaskError> {
    let failed = |source| TaskError::File { path: log.into(), source };
    let errors = File::create(log).map_err(failed)?;
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors).spawn();
    let mut child = child.map_err(|source| TaskError::Start { what: "make".into(), source })?;
    let compiled =
        child.stdout.take().map(BufReader::new).into_iter().flat_map(BufRead::lines).map_while(Result::ok);
    for (count, _) in (1..).zip(compiled.filter(|line| line.trim_start().starts_with("CC "))) {
        if count % 100 == 0 {
            eprintln!("   {count} of about {FILES} files");
        }
    }
    let status = child.wait().map_err(failed)?;
    if status.success() {
        return Ok(());
    }
    eprintln!("== what it has said is in {}", log.display());
    Err(TaskError::Failed { what: "make linux".into(), status })
}
