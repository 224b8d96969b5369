//! A key of the machine's keyboard reaches the guest's VT.

use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, poll};

use super::guest::Outside;
use crate::tools::TaskError;

/// Says which VT is in front, and that it changes.
const ACTIVE: &str = "/sys/class/tty/tty0/active";

/// Switches to another VT and back by the keyboard.
pub(super) fn play(outside: &mut Outside) -> Result<(), TaskError> {
    let failed = |source| TaskError::File { path: ACTIVE.into(), source };
    // Keys switch to VTs that somebody has opened.
    let other = "/dev/tty3";
    let _other = File::open(other).map_err(|source| TaskError::File { path: other.into(), source })?;
    let mut active = File::open(ACTIVE).map_err(failed)?;
    for (key, name) in [("f3", "tty3"), ("f1", "tty1")] {
        outside.press(&["alt", key])?;
        loop {
            let mut text = String::new();
            active.rewind().and_then(|()| active.read_to_string(&mut text)).map_err(failed)?;
            if text.trim() == name {
                break;
            }
            // The file is ready when it has changed since it was read (sysfs.rst of the kernel).
            let mut polled = [PollFd::from_borrowed_fd(active.as_fd(), PollFlags::PRI)];
            poll(&mut polled, None).map_err(|errno| failed(errno.into()))?;
        }
    }
    Ok(())
}
