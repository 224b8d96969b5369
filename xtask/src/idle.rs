//! Counts the wake-ups and the memory of a daemon that nobody asks for anything.
//!
//! It waits, since that is what is measured: an idle daemon does nothing for as long as one looks.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use crate::tools::{Daemon, TaskError, build_release, folder};

/// What an idle daemon may have of its own above its pixels, in KiB.
const MOST_PRIVATE: u64 = 4096;

/// How long to look.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Seconds to look for.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

impl Default for Arguments {
    fn default() -> Self {
        Self { seconds: 10 }
    }
}

/// Fails where the daemon wakes up, or has more memory than it should.
pub(crate) fn run(arguments: &Arguments) -> Result<(), TaskError> {
    let programs = build_release(&["blitd", "blitctl"])?;
    let daemon = Daemon::start(&programs, &folder("idle")?, None)?;
    // Somebody has been there and has gone: that must leave nothing behind.
    let mut client: Command = daemon.client(&programs, "blitctl");
    crate::tools::run(client.arg("outputs"))?;
    // The first frame comes on the glass with the next vblank.
    sleep(Duration::from_millis(500));
    let before = wake_ups(daemon.id())?;
    sleep(Duration::from_secs(arguments.seconds));
    let wake_ups = wake_ups(daemon.id())? - before;
    let (pixels, private) = memory(daemon.id())?;
    println!(
        "{wake_ups} wake-ups in {} s; {private} KiB private above {pixels} KiB of pixels",
        arguments.seconds
    );
    if wake_ups > 0 || private >= MOST_PRIVATE {
        let most = format!("an idle daemon must not wake, and has less than {MOST_PRIVATE} KiB");
        return Err(TaskError::Expected(most));
    }
    Ok(())
}

fn read(path: PathBuf) -> Result<String, TaskError> {
    fs::read_to_string(&path).map_err(|source| TaskError::File { path, source })
}

/// How often all threads of a process have been put on a CPU: each time one has slept or been interrupted before
/// (proc_pid_status(5)).
fn wake_ups(process: u32) -> Result<u64, TaskError> {
    let folder = PathBuf::from(format!("/proc/{process}/task"));
    let threads = fs::read_dir(&folder).map_err(|source| TaskError::File { path: folder.clone(), source })?;
    let mut sum = 0;
    for thread in threads.flatten() {
        let status = read(thread.path().join("status"))?;
        sum += status
            .lines()
            .filter(|line| line.contains("ctxt_switches"))
            .filter_map(|line| line.split_whitespace().last()?.parse::<u64>().ok())
            .sum::<u64>();
    }
    Ok(sum)
}

/// What a process has of its own, in KiB: in memory files, which are pixels, and in all else (proc_pid_smaps(5)).
fn memory(process: u32) -> Result<(u64, u64), TaskError> {
    let (mut pixels, mut private, mut in_pixels) = (0, 0, false);
    for line in read(PathBuf::from(format!("/proc/{process}/smaps")))?.lines() {
        let mut words = line.split_whitespace();
        match (words.next(), words.next()) {
            (Some("Private_Clean:" | "Private_Dirty:"), Some(number)) => {
                let number: u64 = number.parse().unwrap_or(0);
                *(if in_pixels { &mut pixels } else { &mut private }) += number;
            }
            (Some(first), _) if first.contains('-') => in_pixels = line.contains("memfd:"),
            _ => {}
        }
    }
    Ok((pixels, private))
}
