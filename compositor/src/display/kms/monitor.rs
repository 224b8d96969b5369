//! Hears of screens that come and go: the kernel tells of every change of a card in a uevent
//! (`drm_sysfs_hotplug_event`, drm_sysfs.c), which any process may listen to on a netlink socket (netlink(7),
//! NETLINK_KOBJECT_UEVENT).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvfrom, socket,
};

/// The group of the kernel's own messages; another is udev's.
const KERNEL_GROUP: u32 = 1;

/// Longer than any uevent (`UEVENT_BUFFER_SIZE`, linux/kobject.h).
const LONGEST: usize = 4096;

/// A socket that is readable when something about the machine's devices has changed.
#[derive(Debug)]
pub struct Monitor {
    socket: OwnedFd,
}

impl Monitor {
    /// Begins to listen.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn open() -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let protocol = SockProtocol::NetlinkKObjectUEvent;
        let socket = socket(AddressFamily::Netlink, SockType::Datagram, flags, protocol)?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, KERNEL_GROUP))?;
        Ok(Self { socket })
    }

    /// Takes what has come in; whether any of it is of a card.
    pub fn card_has_changed(&self) -> bool {
        let mut message = [0; LONGEST];
        let mut changed = false;
        loop {
            match recvfrom::<NetlinkAddr>(self.socket.as_raw_fd(), &mut message) {
                Ok((length, sender)) => {
                    let is_kernel = sender.is_some_and(|sender| sender.pid() == 0);
                    changed |= is_kernel && message.get(..length).is_some_and(is_of_card);
                }
                Err(Errno::EINTR) => {}
                // Some were lost: one of them may have been of a card.
                Err(Errno::ENOBUFS) => changed = true,
                Err(Errno::EAGAIN) => return changed,
                Err(errno) => {
                    tracing::warn!("listening for screens that come and go: {errno}");
                    return changed;
                }
            }
        }
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Whether a uevent is of the screens of a card: a line `ACTION@PATH`, then `KEY=VALUE` each, all of them ended by a zero.
/// Others come of devices that are merely looked at, and asking every screen what it is takes its time.
fn is_of_card(message: &[u8]) -> bool {
    let has = |wanted: &[u8]| message.split(|byte| *byte == 0).skip(1).any(|line| line == wanted);
    has(b"SUBSYSTEM=drm") && has(b"HOTPLUG=1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_cards_are_known_from_others() {
        let event = |subsystem: &str| {
            format!("change@/devices/vkms/drm/card1\0ACTION=change\0SUBSYSTEM={subsystem}\0HOTPLUG=1\0")
        };
        assert!(is_of_card(event("drm").as_bytes()));
        assert!(!is_of_card(event("block").as_bytes()));
        let asked_for = b"change@/devices/vkms/drm/card1\0ACTION=change\0SUBSYSTEM=drm\0SYNTH_UUID=0\0";
        assert!(!is_of_card(asked_for), "udevadm trigger(8) makes one of every device");
        assert!(!is_of_card(b"SUBSYSTEM=drm"), "the first line is no key");
        assert!(!is_of_card(b""));
    }
}
