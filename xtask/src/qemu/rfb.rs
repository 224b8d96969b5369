//! As much of the remote framebuffer protocol (RFC 6143, and the community's rfbproto.rst for SetDesktopSize) as it
//! takes to plug a screen into a head of a machine: QEMU takes the size of a viewer's window for that of a screen.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// A viewer of one head.
#[derive(Debug)]
pub(super) struct Viewer {
    stream: UnixStream,
}

/// The version that is spoken.
const VERSION: &[u8; 12] = b"RFB 003.008\n";

/// The security type for none (RFC 6143, 7.2.1).
const NONE: u8 = 1;

/// The number of the message SetDesktopSize.
const SET_DESKTOP_SIZE: u8 = 251;

impl Viewer {
    /// Connects to the head that is served at this socket.
    pub(super) fn connect(path: &Path) -> io::Result<Self> {
        let mut viewer = Self { stream: UnixStream::connect(path)? };
        viewer.take(VERSION.len())?;
        viewer.stream.write_all(VERSION)?;
        let count = viewer.take(1)?.into_iter().map(usize::from).sum();
        if !viewer.take(count)?.contains(&NONE) {
            return Err(io::Error::other("the display is served to nobody without a password"));
        }
        viewer.stream.write_all(&[NONE])?;
        if viewer.take(4)? != [0; 4] {
            return Err(io::Error::other("the display is not served"));
        }
        // Others may look on.
        viewer.stream.write_all(&[1])?;
        // Size and pixel format, then a name after its length.
        viewer.take(20)?;
        let length = viewer.take(4)?.into_iter().fold(0, |length, byte| length << 8 | usize::from(byte));
        viewer.take(length)?;
        Ok(viewer)
    }

    fn take(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).map(|()| bytes)
    }

    /// Makes the screen this large, in pixels; 0 and 0 unplugs it.
    pub(super) fn resize(&mut self, width: u16, height: u16) -> io::Result<()> {
        self.stream.write_all(&set_desktop_size(width, height))
    }
}

/// The message, with one screen that fills the desktop.
fn set_desktop_size(width: u16, height: u16) -> Vec<u8> {
    let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
    let screen = [&[0; 4], &[0; 4], &size[..], &[0; 4]].concat();
    [&[SET_DESKTOP_SIZE, 0], &size[..], &[1, 0], &screen].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_is_laid_out_as_rfbproto_has_it() {
        let screen = [0, 0, 0, 0, 0, 0, 0, 0, 3, 0x20, 2, 0x58, 0, 0, 0, 0];
        assert_eq!(set_desktop_size(800, 600), [&[251, 0, 3, 0x20, 2, 0x58, 1, 0], &screen[..]].concat());
    }
}
