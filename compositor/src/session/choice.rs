//! Which tty is taken: the one that is named, else the one that blitd was started on. Pure.

use std::path::{Path, PathBuf};

/// What stands for no tty.
pub const NONE: &str = "none";

/// The device number of a file: major and minor.
pub type DeviceNumber = (u64, u64);

/// Where the VT comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// None is touched.
    None,
    /// This file.
    Path(PathBuf),
    /// Standard input, which is the VT of this number.
    StandardInput(u16),
}

/// The VT's number, where a device is one: major 4, minors 1 to 63 (the kernel's Documentation/admin-guide/devices.txt;
/// minor 0 is whichever is in front, those from 64 on are serial lines).
pub fn vt_number(device: DeviceNumber) -> Option<u16> {
    match device {
        (4, minor @ 1..=63) => u16::try_from(minor).ok(),
        _ => None,
    }
}

/// The choice of somebody who has said `named`, where standard input is this device. There is none where it is a
/// terminal that blitd runs in the background of: such a VT is the shell's.
pub fn choose(named: Option<&Path>, standard_input: Option<DeviceNumber>) -> Choice {
    match named {
        Some(path) if path == Path::new(NONE) => Choice::None,
        Some(path) => Choice::Path(path.into()),
        None => standard_input.and_then(vt_number).map_or(Choice::None, Choice::StandardInput),
    }
}

/// Whether something will start blitd again after a crash: systemd says the process number of what it has started
/// itself (`SYSTEMD_EXEC_PID`, systemd.exec(5)); blitd's parents' and children's is another.
pub fn is_supervised(exec_pid: Option<&str>, own: u32) -> bool {
    exec_pid.and_then(|text| text.parse().ok()) == Some(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vt_is_told_by_its_device_number() {
        assert_eq!(vt_number((4, 7)), Some(7));
        assert_eq!(vt_number((4, 63)), Some(63));
        for other in [(4, 0), (4, 64), (5, 1), (5, 0), (136, 7), (1, 3)] {
            assert_eq!(vt_number(other), None, "{other:?}");
        }
    }

    #[test]
    fn what_is_named_goes_before_standard_input() {
        let tty = Path::new("/dev/tty3");
        assert_eq!(choose(Some(tty), Some((4, 7))), Choice::Path(tty.into()));
        assert_eq!(choose(Some(Path::new("none")), Some((4, 7))), Choice::None);
        assert_eq!(choose(None, Some((4, 7))), Choice::StandardInput(7));
        assert_eq!(choose(None, Some((136, 7))), Choice::None);
        assert_eq!(choose(None, None), Choice::None);
    }

    #[test]
    fn only_who_was_started_by_systemd_itself_is_started_again() {
        assert!(is_supervised(Some("77"), 77));
        for other in [None, Some("78"), Some(""), Some("x")] {
            assert!(!is_supervised(other, 77), "{other:?}");
        }
    }
}
