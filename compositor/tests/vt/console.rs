//! VTs as whoever sits at the machine sees them: the ioctls of linux/vt.h and linux/kd.h, and what is typed.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{LocalFlags, tcgetattr};

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

nix::ioctl_read_bad!(kd_get_mode, 0x4b3b, libc::c_int);
nix::ioctl_write_int_bad!(kd_set_keyboard_mode, 0x4b45);
nix::ioctl_read_bad!(vt_get_mode, 0x5601, VtMode);
nix::ioctl_read_bad!(vt_get_state, 0x5603, VtState);
nix::ioctl_write_int_bad!(vt_activate, 0x5606);
nix::ioctl_write_int_bad!(vt_wait_active, 0x5607);
nix::ioctl_none_bad!(vt_lock_switch, 0x560b);
nix::ioctl_none_bad!(vt_unlock_switch, 0x560c);
nix::ioctl_none_bad!(hang_up, 0x5437);

/// A VT that is looked at.
pub(crate) struct Console {
    file: File,
    number: u16,
}

/// What a VT shows, who switches it, and whether it echoes and makes signals of what is typed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Modes {
    pub(crate) is_graphics: bool,
    pub(crate) is_switched_by_process: bool,
    pub(crate) echoes: bool,
    pub(crate) makes_signals: bool,
}

/// A VT as a shell needs it.
pub(crate) const TEXT: Modes =
    Modes { is_graphics: false, is_switched_by_process: false, echoes: true, makes_signals: true };

/// A VT as blitd needs it.
pub(crate) const TAKEN: Modes =
    Modes { is_graphics: true, is_switched_by_process: true, echoes: false, makes_signals: false };

impl Console {
    pub(crate) fn open(number: u16) -> Self {
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(libc::O_NOCTTY | libc::O_NONBLOCK);
        Self { file: options.open(format!("/dev/tty{number}")).unwrap(), number }
    }

    /// The tty, for a program to be started on it.
    pub(crate) fn file(&self) -> File {
        self.file.try_clone().unwrap()
    }

    pub(crate) fn modes(&self) -> Modes {
        let (mut display, mut mode) = (0, VtMode::default());
        // SAFETY: the descriptor is open, and the kernel writes an int and a struct vt_mode.
        unsafe {
            kd_get_mode(self.file.as_raw_fd(), &raw mut display).unwrap();
            vt_get_mode(self.file.as_raw_fd(), &raw mut mode).unwrap();
        }
        let termios = tcgetattr(&self.file).unwrap();
        Modes {
            is_graphics: display == 1,
            is_switched_by_process: mode.mode == 1,
            echoes: termios.local_flags.contains(LocalFlags::ECHO),
            makes_signals: termios.local_flags.contains(LocalFlags::ISIG),
        }
    }

    /// Turns the keyboard off, Ctrl-Alt-Fn included: `K_OFF` of linux/kd.h.
    pub(crate) fn turn_keyboard_off(&self) {
        // SAFETY: the descriptor is open, and the argument is a number.
        unsafe { kd_set_keyboard_mode(self.file.as_raw_fd(), 4) }.unwrap();
    }

    /// The number of the VT in front.
    pub(crate) fn in_front(&self) -> u16 {
        let mut state = VtState::default();
        // SAFETY: the descriptor is open, and the kernel writes a struct vt_stat.
        unsafe { vt_get_state(self.file.as_raw_fd(), &raw mut state) }.unwrap();
        state.active
    }

    /// Asks for this VT to come to the front, and does not wait.
    pub(crate) fn ask_for(&self) {
        // SAFETY: the descriptor is open, and the argument is a number.
        unsafe { vt_activate(self.file.as_raw_fd(), self.number.into()) }.unwrap();
    }

    /// Waits until this VT is in front.
    pub(crate) fn wait(&self) {
        // SAFETY: as above.
        unsafe { vt_wait_active(self.file.as_raw_fd(), self.number.into()) }.unwrap();
    }

    /// Brings this VT to the front.
    pub(crate) fn activate(&self) {
        self.ask_for();
        self.wait();
    }

    /// Lets no VT leave the front, or lets them again.
    pub(crate) fn lock_switching(&self, is_locked: bool) {
        // SAFETY: the descriptor is open, and there is no argument.
        unsafe {
            if is_locked {
                vt_lock_switch(self.file.as_raw_fd()).unwrap();
            } else {
                vt_unlock_switch(self.file.as_raw_fd()).unwrap();
            }
        }
    }

    /// Takes the tty from all who have it open, as a getty does that begins on it.
    pub(crate) fn hang_up(self) {
        // SAFETY: the descriptor is open, and there is no argument.
        unsafe { hang_up(self.file.as_raw_fd()) }.unwrap();
    }

    /// What a program that reads from this tty gets by now.
    pub(crate) fn read(&mut self) -> String {
        let mut polled = [PollFd::new(self.file.as_fd(), PollFlags::POLLIN)];
        // The kernel passes on what has been typed before it answers (n_tty_poll, n_tty.c).
        if poll(&mut polled, PollTimeout::ZERO).unwrap() == 0 {
            return String::new();
        }
        let mut bytes = [0; 256];
        let length = self.file.read(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    /// The text on this VT, whether it is shown or not (vcs(4)).
    pub(crate) fn text(&self) -> String {
        let bytes = std::fs::read(format!("/dev/vcs{}", self.number)).unwrap();
        String::from_utf8_lossy(&bytes).trim().to_owned()
    }
}
