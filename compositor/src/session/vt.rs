//! A VT: the ioctls of linux/vt.h, linux/kd.h and asm-generic/ioctls.h, and what blitd makes of them.

use std::cell::Cell;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::Signal;
use nix::sys::stat::{major, minor};
use nix::unistd::{getpgrp, tcgetpgrp};

use super::choice::{DeviceNumber, vt_number};
use super::mute::{mute, unmute};

/// Text is shown, and the kernel draws it (linux/kd.h).
const KD_TEXT: i32 = 0;
/// The kernel leaves the screen alone (linux/kd.h).
const KD_GRAPHICS: i32 = 1;
/// What is typed becomes characters of the keyboard's own character set, or of Unicode (linux/kd.h). In any other mode
/// the kernel does not act on Ctrl-Alt-Fn (`kbd_keycode`, keyboard.c).
const K_XLATE: i32 = 1;
const K_UNICODE: i32 = 3;
/// The kernel switches by itself (linux/vt.h).
const VT_AUTO: i8 = 0;
/// The kernel asks the process before it switches (linux/vt.h).
const VT_PROCESS: i8 = 1;

/// `struct vt_mode` of linux/vt.h.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
struct VtMode {
    mode: i8,
    waitv: i8,
    relsig: i16,
    acqsig: i16,
    frsig: i16,
}

/// `struct vt_stat` of linux/vt.h.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
struct VtState {
    active: u16,
    signal: u16,
    state: u16,
}

#[allow(unreachable_pub, reason = "the macros make nothing else")]
mod requests {
    use super::{VtMode, VtState, libc};

    nix::ioctl_write_int_bad!(kd_set_mode, 0x4b3a);
    nix::ioctl_read_bad!(kd_get_keyboard_mode, 0x4b44, libc::c_int);
    nix::ioctl_write_int_bad!(kd_set_keyboard_mode, 0x4b45);
    nix::ioctl_write_ptr_bad!(vt_set_mode, 0x5602, VtMode);
    nix::ioctl_read_bad!(vt_get_state, 0x5603, VtState);
    nix::ioctl_write_int_bad!(vt_release_display, 0x5605);
    nix::ioctl_write_int_bad!(vt_activate, 0x5606);
}

/// Why a VT cannot be had. One line each, which says what to do.
#[derive(Debug, thiserror::Error)]
pub enum VtError {
    /// It cannot be opened.
    #[error("{}: {source}: name a VT with --tty, run blitd as root, or use --tty none", .path.display())]
    Open {
        /// The tty.
        path: PathBuf,
        /// The kernel's words.
        source: io::Error,
    },
    /// It is something else.
    #[error("{} is no VT: name one, /dev/tty1 to /dev/tty63, with --tty, or use --tty none", .path.display())]
    NoVt {
        /// What was named.
        path: PathBuf,
    },
    /// It is the VT of the shell that has started blitd in the background.
    #[error("{} has another program in the foreground: run blitd there, or choose another VT with --tty", .path.display())]
    Background {
        /// The tty.
        path: PathBuf,
    },
    /// The kernel refuses something.
    #[error("{}: {what}: {source}: run blitd as root or as a unit with TTYPath=, or use --tty none", .path.display())]
    Refused {
        /// The tty.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// The kernel's words.
        source: io::Error,
    },
}

/// A VT that is open.
#[derive(Debug)]
pub struct Vt {
    file: File,
    path: PathBuf,
    number: u16,
}

/// The device number of a file, where it is a terminal that this process is in the foreground of, or one that is not
/// its controlling terminal.
pub fn terminal(file: BorrowedFd<'_>) -> Option<DeviceNumber> {
    let status = nix::sys::stat::fstat(file).ok()?;
    is_foreground(file).then(|| (major(status.st_rdev), minor(status.st_rdev)))
}

/// False where it is the controlling terminal, and another group of processes is in its foreground.
fn is_foreground(file: BorrowedFd<'_>) -> bool {
    tcgetpgrp(file).map_or(true, |foreground| foreground == getpgrp())
}

fn open(path: &Path) -> Result<File, VtError> {
    let mut options = OpenOptions::new();
    // A VT that were to become the controlling terminal would end blitd with a SIGHUP one day.
    options.read(true).write(true).custom_flags(libc::O_NOCTTY);
    options.open(path).map_err(|source| VtError::Open { path: path.into(), source })
}

impl Vt {
    /// Opens a VT, and changes nothing.
    ///
    /// # Errors
    /// It cannot be opened, or is no VT, or that of a shell that waits for its next line.
    pub fn open(path: &Path) -> Result<Self, VtError> {
        // Before it is opened: opening a serial line waits for its other end, and other devices begin to do something.
        let status = fs::metadata(path).map_err(|source| VtError::Open { path: path.into(), source })?;
        let device = (major(status.rdev()), minor(status.rdev()));
        let is_device = status.file_type().is_char_device();
        let Some(number) = vt_number(device).filter(|_| is_device) else {
            return Err(VtError::NoVt { path: path.into() });
        };
        let vt = Self { file: open(path)?, path: path.into(), number };
        if !is_foreground(vt.file.as_fd()) {
            return Err(VtError::Background { path: path.into() });
        }
        Ok(vt)
    }

    /// The VT of this number, which is open already.
    ///
    /// # Errors
    /// The kernel has no descriptor left.
    pub fn of_descriptor(descriptor: BorrowedFd<'_>, number: u16) -> Result<Self, VtError> {
        let path = PathBuf::from(format!("/dev/tty{number}"));
        let file = descriptor.try_clone_to_owned();
        let file = file.map_err(|source| VtError::Open { path: path.clone(), source })?.into();
        Ok(Self { file, path, number })
    }

    /// The VT's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The VT's number, from 1 on.
    pub const fn number(&self) -> u16 {
        self.number
    }

    /// Calls the kernel. Where the tty has been hung up meanwhile, as a getty does that begins on it, the descriptor is
    /// dead while the VT is as it was: it is opened again.
    fn call(
        &mut self,
        what: &'static str,
        request: impl Fn(BorrowedFd<'_>) -> nix::Result<libc::c_int>,
    ) -> Result<(), VtError> {
        let mut result = request(self.file.as_fd());
        if result == Err(Errno::EIO) {
            self.file = open(&self.path)?;
            result = request(self.file.as_fd());
        }
        result.map(drop).map_err(|errno| VtError::Refused {
            path: self.path.clone(),
            what,
            source: errno.into(),
        })
    }

    /// The number of the VT in front.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn in_front(&mut self) -> Result<u16, VtError> {
        let state = Cell::new(VtState::default());
        // SAFETY: the descriptor is open, and the kernel writes a struct vt_stat to memory of that layout.
        self.call("asking which VT is in front", |tty| unsafe {
            requests::vt_get_state(tty.as_raw_fd(), state.as_ptr())
        })?;
        Ok(state.get().active)
    }

    /// Brings a VT to the front, as soon as the one that is there lets it.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn activate(&mut self, number: u16) -> Result<(), VtError> {
        // SAFETY: the descriptor is open, and the argument is a number.
        self.call("switching", |tty| unsafe { requests::vt_activate(tty.as_raw_fd(), number.into()) })
    }

    /// Mutes the keyboard, has the kernel ask by the signal `release` before it switches away and tell by the signal
    /// `acquire` when it has switched here, and sets graphics mode.
    ///
    /// # Errors
    /// The kernel refuses; what has been done until then is for [`restore`](Self::restore).
    pub fn take(&mut self, release: Signal, acquire: Signal) -> Result<(), VtError> {
        self.call("muting its keyboard", |tty| mute(tty).map(|()| 0))?;
        self.let_keys_switch()?;
        // In this order: with graphics mode alone the kernel switches no more (change_console, vt_ioctl.c).
        self.set_mode(VtMode {
            mode: VT_PROCESS,
            relsig: release as i16,
            acqsig: acquire as i16,
            ..VtMode::default()
        })?;
        self.set_display(KD_GRAPHICS)
    }

    /// Lets the kernel switch away, as it has asked.
    ///
    /// # Errors
    /// It has not asked.
    pub fn release(&mut self) -> Result<(), VtError> {
        // SAFETY: the descriptor is open, and the argument is a number.
        self.call("giving it back", |tty| unsafe { requests::vt_release_display(tty.as_raw_fd(), 1) })
    }

    /// Makes the VT again what [`take`](Self::take) has found: text, with a keyboard, switched by the kernel.
    ///
    /// # Errors
    /// The kernel refuses one of these; the others are done.
    pub fn restore(&mut self) -> Result<(), VtError> {
        let results = [
            self.call("giving its keyboard back", |tty| unmute(tty).map(|()| 0)),
            self.set_display(KD_TEXT),
            self.set_mode(VtMode { mode: VT_AUTO, ..VtMode::default() }),
        ];
        results.into_iter().collect()
    }

    /// A display server that has crashed may have left a mode in which the keys that switch VTs do nothing.
    fn let_keys_switch(&mut self) -> Result<(), VtError> {
        let mode = Cell::new(K_UNICODE);
        // SAFETY: the descriptor is open, and the kernel writes an int.
        self.call("asking for its keyboard's mode", |tty| unsafe {
            requests::kd_get_keyboard_mode(tty.as_raw_fd(), mode.as_ptr())
        })?;
        if matches!(mode.get(), K_XLATE | K_UNICODE) {
            return Ok(());
        }
        // SAFETY: the descriptor is open, and the argument is a number.
        self.call("setting its keyboard's mode", |tty| unsafe {
            requests::kd_set_keyboard_mode(tty.as_raw_fd(), K_UNICODE)
        })
    }

    fn set_display(&mut self, mode: libc::c_int) -> Result<(), VtError> {
        // SAFETY: the descriptor is open, and the argument is a number.
        self.call("setting its mode", |tty| unsafe { requests::kd_set_mode(tty.as_raw_fd(), mode) })
    }

    fn set_mode(&mut self, mode: VtMode) -> Result<(), VtError> {
        // SAFETY: the descriptor is open, and the kernel reads a struct vt_mode.
        self.call("setting who switches it", |tty| unsafe {
            requests::vt_set_mode(tty.as_raw_fd(), &raw const mode)
        })
    }
}
