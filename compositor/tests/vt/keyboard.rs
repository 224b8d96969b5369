//! A keyboard: what it types goes through the kernel to the VT in front (linux/uinput.h).

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;

/// Key codes of linux/input-event-codes.h.
pub(crate) const ENTER: u16 = 28;
pub(crate) const CONTROL: u16 = 29;
pub(crate) const L: u16 = 38;
pub(crate) const S: u16 = 31;
pub(crate) const C: u16 = 46;
pub(crate) const D: u16 = 32;
pub(crate) const ALT: u16 = 56;
pub(crate) const F7: u16 = 65;
pub(crate) const F8: u16 = 66;

const EV_SYN: u16 = 0;
const EV_KEY: u16 = 1;

/// `struct uinput_user_dev`: a name of 80 bytes, four 16-bit numbers of the device, one 32-bit number, four tables of
/// 64.
const DESCRIPTION: usize = 80 + 8 + 4 + 4 * 64 * 4;

nix::ioctl_write_int!(ui_set_evbit, b'U', 100);
nix::ioctl_write_int!(ui_set_keybit, b'U', 101);
nix::ioctl_none!(ui_dev_create, b'U', 1);

/// A keyboard that is plugged in until this is dropped.
pub(crate) struct Keyboard(File);

impl Keyboard {
    pub(crate) fn plug_in() -> Self {
        let mut file = File::options().write(true).open("/dev/uinput").unwrap();
        let descriptor = file.as_raw_fd();
        // SAFETY: the descriptor is open, and the arguments are numbers.
        unsafe {
            ui_set_evbit(descriptor, EV_KEY.into()).unwrap();
            for key in [ENTER, CONTROL, L, S, C, D, ALT, F7, F8] {
                ui_set_keybit(descriptor, key.into()).unwrap();
            }
        }
        let mut description = [0; DESCRIPTION];
        description[..4].copy_from_slice(b"keys");
        file.write_all(&description).unwrap();
        // SAFETY: the descriptor is open, and there is no argument.
        unsafe { ui_dev_create(descriptor) }.unwrap();
        Self(file)
    }

    /// One `struct input_event` of linux/input.h, whose time the kernel sets.
    fn event(&mut self, kind: u16, code: u16, value: i32) {
        let mut event = [0; 24];
        event[16..18].copy_from_slice(&kind.to_ne_bytes());
        event[18..20].copy_from_slice(&code.to_ne_bytes());
        event[20..].copy_from_slice(&value.to_ne_bytes());
        self.0.write_all(&event).unwrap();
    }

    /// Presses these keys one after the other and lets them go again, the last one first.
    pub(crate) fn press(&mut self, keys: &[u16]) {
        let down = keys.iter().map(|key| (*key, 1));
        let up = keys.iter().rev().map(|key| (*key, 0));
        for (key, value) in down.chain(up).collect::<Vec<_>>() {
            self.event(EV_KEY, key, value);
            self.event(EV_SYN, 0, 0);
        }
    }

    /// Types these keys, each for itself.
    pub(crate) fn type_keys(&mut self, keys: &[u16]) {
        keys.iter().for_each(|key| self.press(&[*key]));
    }
}
