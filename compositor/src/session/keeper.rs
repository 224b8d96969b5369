//! The keeper: a small process that outlives blitd by a moment. Where blitd has ended without giving the VT back, such
//! as by SIGKILL, the keeper does so. It is blitd's own program, started by another argument, and sleeps until blitd is
//! gone.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::SigSet;
use nix::unistd::getppid;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::vt::{Vt, VtError};

/// The command of blitd's that runs a keeper. It is followed by blitd's process number, the VT's file and the number of
/// the VT that is to come to the front.
pub const COMMAND: &str = "keep-vt";

/// What is running: found there even where its file has been replaced (proc_pid_exe(5)).
const OWN_PROGRAM: &str = "/proc/self/exe";

/// Why a keeper ends without having kept anything.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// The kernel refuses to say when a process ends.
    #[error("waiting for the end of process {process}: {source}")]
    Waiting {
        /// The process.
        process: i32,
        /// The kernel's words.
        source: io::Error,
    },
    /// The VT cannot be given back.
    #[error(transparent)]
    Vt(#[from] VtError),
}

/// A keeper that is running.
#[derive(Debug)]
pub(super) struct Keeper(Child);

impl Keeper {
    /// Starts a keeper of a VT, which at last brings the VT of number `previous` to the front.
    pub(super) fn start(vt: &Path, previous: u16) -> io::Result<Self> {
        let own = std::process::id().to_string();
        let mut command = Command::new(OWN_PROGRAM);
        command.arg(COMMAND).args([own, previous.to_string()]).arg(vt);
        // Out of reach of what is typed on the terminal that blitd was started on.
        command.arg0("blitd").process_group(0).stdin(Stdio::null()).stdout(Stdio::null());
        command.spawn().map(Self)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // Where it has gone already, that is as well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits for the end of blitd, which is this process's parent and has this number, and gives the VT back. Call it in a
/// process of its own: it takes no signal any more.
///
/// # Errors
/// Why it cannot.
pub fn keep(process: i32, vt: &Path, previous: u16) -> Result<(), KeeperError> {
    let failed = |source| KeeperError::Waiting { process, source };
    // Whoever ends all programs of this name means blitd; and the kernel stops those who change the terminal of others,
    // unless they block SIGTTOU.
    SigSet::all().thread_block().map_err(|errno| failed(errno.into()))?;
    let pid = Pid::from_raw(process).ok_or_else(|| failed(Errno::ESRCH.into()))?;
    match pidfd_open(pid, PidfdFlags::empty()) {
        // The number is blitd's for as long as blitd is the parent.
        Ok(blitd) if getppid().as_raw() == process => {
            // A descriptor of a process is readable when it has ended and all of its files are closed (pidfd_open(2));
            // so the card is free, and the terminal of its session is hung up.
            let mut ended = [PollFd::new(blitd.as_fd(), PollFlags::POLLIN)];
            while let Err(errno) = poll(&mut ended, PollTimeout::NONE) {
                if errno != Errno::EINTR {
                    return Err(failed(errno.into()));
                }
            }
        }
        // It has ended already. Its number may still be that of its session (`pidfd_prepare`, kernel/fork.c).
        Ok(_) | Err(rustix::io::Errno::SRCH | rustix::io::Errno::INVAL) => {}
        Err(errno) => return Err(failed(errno.into())),
    }
    super::give_back(&mut Vt::open(vt)?, previous)?;
    Ok(())
}
