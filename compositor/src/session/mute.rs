//! Mutes a terminal: nothing that is typed gets anywhere, while the kernel still acts on Ctrl-Alt-Fn.
//!
//! The keyboard mode `K_OFF`, which others use, also turns off Ctrl-Alt-Fn (`kbd_keycode`, keyboard.c), and blitd reads
//! no input that could replace it. Another line discipline the kernel does not allow on a VT (`con_ldisc_ok`, vt.c). So
//! the terminal is in canonical mode, in which a reader gets whole lines only, and no line ever ends: returns stay
//! returns, which end none, line feeds become returns, and no other character stands for an end. No character is a
//! signal, and nothing is echoed. A line that grows too long loses its end (`n_tty_receive_buf_common`, n_tty.c).

use std::os::fd::BorrowedFd;

use nix::libc::{self, _POSIX_VDISABLE};
use nix::sys::termios::{
    FlushArg, InputFlags, LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcflush, tcgetattr, tcsetattr,
};

/// What a terminal does that is not muted, and a muted one does not.
const LIVELY: LocalFlags = LocalFlags::ISIG.union(LocalFlags::ECHO).union(LocalFlags::IEXTEN);

/// The characters that end lines besides the line feed, and what they are unless somebody changes them (`INIT_C_CC` of
/// linux/tty_driver.h): Ctrl-D, and none.
const ENDS: [(SpecialCharacterIndices, libc::cc_t); 3] = [
    (SpecialCharacterIndices::VEOF, 4),
    (SpecialCharacterIndices::VEOL, _POSIX_VDISABLE),
    (SpecialCharacterIndices::VEOL2, _POSIX_VDISABLE),
];

fn muted(mut termios: Termios) -> Termios {
    termios.input_flags.remove(InputFlags::ICRNL | InputFlags::IXON);
    termios.input_flags.insert(InputFlags::INLCR);
    termios.local_flags.remove(LIVELY | LocalFlags::ECHONL | LocalFlags::EXTPROC);
    termios.local_flags.insert(LocalFlags::ICANON);
    for (end, _) in ENDS {
        termios.control_chars[end as usize] = _POSIX_VDISABLE;
    }
    termios
}

fn is_muted(termios: &Termios) -> bool {
    termios.input_flags.contains(InputFlags::INLCR) && !termios.local_flags.intersects(LIVELY)
}

/// What [`muted`] has changed becomes what the kernel has for a new terminal (`tty_std_termios`, tty_io.c).
fn unmuted(mut termios: Termios) -> Termios {
    termios.input_flags.remove(InputFlags::INLCR);
    termios.input_flags.insert(InputFlags::ICRNL | InputFlags::IXON);
    termios.local_flags.insert(LIVELY);
    for (end, usual) in ENDS {
        termios.control_chars[end as usize] = usual;
    }
    termios
}

/// Mutes a terminal.
///
/// # Errors
/// The kernel refuses.
pub fn mute(terminal: BorrowedFd<'_>) -> nix::Result<()> {
    tcsetattr(terminal, SetArg::TCSANOW, &muted(tcgetattr(terminal)?))
}

/// Makes a muted terminal usable, and forgets what has been typed. One that a program has set up for itself meanwhile
/// is left alone.
///
/// # Errors
/// The kernel refuses.
pub fn unmute(terminal: BorrowedFd<'_>) -> nix::Result<()> {
    let termios = tcgetattr(terminal)?;
    if !is_muted(&termios) {
        return Ok(());
    }
    tcflush(terminal, FlushArg::TCIFLUSH)?;
    tcsetattr(terminal, SetArg::TCSANOW, &unmuted(termios))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Write};
    use std::os::fd::AsFd;

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use nix::pty::openpty;

    use super::*;

    /// A terminal like a VT's: what is written to the first is typed on the second.
    fn terminal() -> (File, File) {
        let pair = openpty(None, None).unwrap();
        (pair.master.into(), pair.slave.into())
    }

    /// Whether there is something to read. Looks when all that has been typed has arrived (`n_tty_poll`, n_tty.c).
    fn has_something(file: &File) -> bool {
        let mut polled = [PollFd::new(file.as_fd(), PollFlags::POLLIN)];
        poll(&mut polled, PollTimeout::ZERO).unwrap() > 0
    }

    /// What somebody types or a program pastes: lines, signals, ends, every character, and more than a terminal keeps.
    fn everything() -> Vec<u8> {
        let lines = b"rm -rf /\r\n\x04\x03\x1a\x1c".iter().copied();
        lines.chain(0..=255).chain([b'x'; 8192]).collect()
    }

    /// What a file has to read, which must be something.
    fn read(file: &mut File) -> String {
        assert!(has_something(file));
        let mut bytes = [0; 64];
        let length = file.read(&mut bytes).unwrap();
        bytes[..length].escape_ascii().to_string()
    }

    #[test]
    fn what_is_typed_on_a_muted_terminal_gets_nowhere() {
        let (mut keyboard, mut reader) = terminal();
        mute(reader.as_fd()).unwrap();
        keyboard.write_all(&everything()).unwrap();
        assert!(!has_something(&reader), "nothing to read");
        assert!(!has_something(&keyboard), "no echo");
        unmute(reader.as_fd()).unwrap();
        keyboard.write_all(b"after\r").unwrap();
        assert_eq!(read(&mut reader), "after\\n");
        assert_eq!(read(&mut keyboard), "after\\r\\n");
    }

    #[test]
    fn a_reader_that_sits_there_already_gets_nothing() {
        let (mut keyboard, mut reader) = terminal();
        // As a shell does at its prompt.
        let mut raw = tcgetattr(&reader).unwrap();
        nix::sys::termios::cfmakeraw(&mut raw);
        tcsetattr(&reader, SetArg::TCSANOW, &raw).unwrap();
        mute(reader.as_fd()).unwrap();
        keyboard.write_all(&everything()).unwrap();
        assert!(!has_something(&reader));
        unmute(reader.as_fd()).unwrap();
        keyboard.write_all(b"x\r").unwrap();
        assert_eq!(read(&mut reader), "x\\n");
    }

    #[test]
    fn a_terminal_that_others_have_set_up_is_left_alone() {
        let (_keyboard, reader) = terminal();
        mute(reader.as_fd()).unwrap();
        let mut own = tcgetattr(&reader).unwrap();
        nix::sys::termios::cfmakeraw(&mut own);
        tcsetattr(&reader, SetArg::TCSANOW, &own).unwrap();
        let before = tcgetattr(&reader).unwrap();
        unmute(reader.as_fd()).unwrap();
        assert_eq!(tcgetattr(&reader).unwrap(), before);
    }
}
