//! Another program with the card: its master, and a picture of its own.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};

use drm::Device as _;
use drm::buffer::DrmFourcc;
use drm::control::{Device as _, connector, crtc, dumbbuffer::DumbBuffer, framebuffer};

struct Card(File);

impl AsFd for Card {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl drm::Device for Card {}
impl drm::control::Device for Card {}

pub(crate) struct Rival {
    card: Card,
    connector: connector::Handle,
    crtc: crtc::Handle,
    mode: drm::control::Mode,
    framebuffer: framebuffer::Handle,
    _buffer: DumbBuffer,
}

impl Rival {
    /// Opens the card that has screens, in the mode of this size, and paints a picture that is all grey.
    pub(crate) fn open((width, height): (u16, u16)) -> Self {
        let cards = std::fs::read_dir("/dev/dri").unwrap().flatten().map(|entry| entry.path());
        let cards =
            cards.filter_map(|path| Some(Card(File::options().read(true).write(true).open(path).ok()?)));
        let has_screens =
            |card: &Card| card.resource_handles().is_ok_and(|resources| !resources.crtcs().is_empty());
        let card = cards.into_iter().find(has_screens).expect("a guest has vkms");
        let resources = card.resource_handles().unwrap();
        let connected = |handle: &connector::Handle| card.get_connector(*handle, true).unwrap();
        let connectors = resources.connectors().iter().map(connected);
        let info = connectors.into_iter().find(|info| !info.modes().is_empty()).unwrap();
        let mode = *info.modes().iter().find(|mode| mode.size() == (width, height)).unwrap();
        let mut buffer =
            card.create_dumb_buffer((width.into(), height.into()), DrmFourcc::Xrgb8888, 32).unwrap();
        card.map_dumb_buffer(&mut buffer).unwrap().as_mut().fill(0x77);
        let framebuffer = card.add_framebuffer(&buffer, 24, 32).unwrap();
        let (connector, crtc) = (info.handle(), resources.crtcs()[0]);
        Self { card, connector, crtc, mode, framebuffer, _buffer: buffer }
    }

    /// Becomes the card's master, which only one program can be.
    pub(crate) fn take(&self) {
        self.card.acquire_master_lock().expect("nobody else is the card's master");
    }

    /// Shows its picture.
    pub(crate) fn show(&self) {
        let connectors = [self.connector];
        self.card.set_crtc(self.crtc, Some(self.framebuffer), (0, 0), &connectors, Some(self.mode)).unwrap();
    }

    /// Is master no more.
    pub(crate) fn give(&self) {
        self.card.release_master_lock().unwrap();
    }
}
