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
const MOST_PRIVATE: u64 = 3072;

/// How long is between two looks at a daemon that comes to rest.
const PAUSE: Duration = Duration::from_millis(100);

/// How often to look whether the daemon has come to rest.
const MOST_LOOKS: usize = 100;

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
    let before = settled(|| wake_ups(daemon.id()), || sleep(PAUSE))?;
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

/// Looks until two looks, with a pause between them, find the same, which it returns.
fn settled(
    mut look: impl FnMut() -> Result<u64, TaskError>,
    mut pause: impl FnMut(),
) -> Result<u64, TaskError> {
    let mut last = look()?;
    for _ in 0..MOST_LOOKS {
        pause();
        let now = look()?;
        if now == last {
            return Ok(now);
        }
        last = now;
    }
    let time = PAUSE * MOST_LOOKS as u32;
    Err(TaskError::Expected(format!(
        "blitd has not come to rest after {} s: it still wakes up",
        time.as_secs()
    )))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_that_comes_to_rest_is_measured_from_then_on() {
        let mut looks = [3, 4, 9, 9, 10].into_iter();
        let mut pauses = 0;
        let rest = settled(|| Ok(looks.next().unwrap_or(0)), || pauses += 1).ok();
        assert_eq!((rest, pauses), (Some(9), 3));
    }

    #[test]
    fn a_daemon_that_never_rests_is_an_error() {
        let (mut count, mut pauses) = (0, 0);
        let look = || {
            count += 1;
            Ok(count)
        };
        assert!(settled(look, || pauses += 1).is_err_and(|error| error.to_string().contains("10 s")));
        assert_eq!(pauses, MOST_LOOKS);
    }
}
