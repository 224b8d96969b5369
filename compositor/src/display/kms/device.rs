//! The card: found by what it can do, never by its number; and what it has.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use drm::control::{Device as _, ResourceHandles, connector, crtc, plane, property};
use drm::{ClientCapability, Device as _, VblankWaitFlags, VblankWaitTarget};
use nix::libc;

use super::gbm::GbmError;
use super::select;

/// Where the kernel's cards are.
const CARDS: &str = "/dev/dri";

/// Why a card cannot be driven. One line each, which says what to do.
#[derive(Debug, thiserror::Error)]
pub enum KmsError {
    /// There is none.
    #[error(
        "there is no DRM card in {CARDS} that drives screens: load its driver, or use --backend headless"
    )]
    NoCard,
    /// The one that was named is not there.
    #[error("there is no card {}: name one of {CARDS} with --card, or leave it out for the first that drives screens", .path.display())]
    NoSuchCard {
        /// The card.
        path: PathBuf,
    },
    /// It cannot be opened.
    #[error("{}: {source}: run blitd as root or in the group that owns it, or use --backend headless", .path.display())]
    Open {
        /// The card.
        path: PathBuf,
        /// The kernel's words.
        source: io::Error,
    },
    /// It has another master.
    #[error("{} has another master: stop the display server that holds it, or use --backend headless", .path.display())]
    OtherMaster {
        /// The card.
        path: PathBuf,
    },
    /// It drives no screens.
    #[error("{} drives no screens: choose another with --card", .path.display())]
    NotKms {
        /// The card.
        path: PathBuf,
    },
    /// It refuses something.
    #[error("{}: {what}: {source}", .path.display())]
    Refused {
        /// The card.
        path: PathBuf,
        /// What was tried.
        what: String,
        /// The kernel's words.
        source: io::Error,
    },
    /// It has no buffers of GBM.
    #[error("{}: {source}", .path.display())]
    Gbm {
        /// The card.
        path: PathBuf,
        /// Why not.
        source: GbmError,
    },
}

impl KmsError {
    /// Whether what the card was to do goes with nothing else that it does, or not with all of it.
    pub fn is_contradiction(&self) -> bool {
        matches!(self, Self::Refused { source, .. } if source.raw_os_error() == Some(libc::EINVAL))
    }

    /// Whether the card lacks memory for what it was to do.
    pub fn is_lack_of_memory(&self) -> bool {
        let lacking = [libc::ENOMEM, libc::ENOSPC];
        matches!(self, Self::Refused { source, .. } if source.raw_os_error().is_some_and(|code| lacking.contains(&code)))
    }
}

/// What a card has, and the kernel's handles of it.
#[derive(Debug)]
pub struct Facts {
    /// For the selection.
    pub card: select::Card,
    /// The kernel's words for the connectors, in the same order.
    pub connectors: Vec<connector::Info>,
    /// The kernel's handles.
    pub resources: ResourceHandles,
    /// All planes; only the overlays where the card is not atomic.
    pub planes: Vec<plane::Handle>,
}

/// A card that blitd is the master of.
#[derive(Debug)]
pub struct Device {
    file: File,
    path: PathBuf,
    is_atomic: bool,
}

impl AsFd for Device {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // Mappings of its buffers keep the file open for a while longer; the next master need not wait for them.
        self.release();
    }
}

impl drm::Device for Device {}
impl drm::control::Device for Device {}

impl Device {
    /// Opens the card that `path` names, or the first that drives screens, rather one with a screen plugged in than one
    /// without; becomes its master. `atomic` allows atomic commits where the card has them.
    ///
    /// # Errors
    /// Why there is none.
    pub fn open(path: Option<&Path>, atomic: bool) -> Result<Self, KmsError> {
        if let Some(path) = path {
            return Self::open_one(path, atomic);
        }
        let mut paths: Vec<PathBuf> = fs::read_dir(CARDS)
            .map_err(|_| KmsError::NoCard)?
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"card")))
            .collect();
        paths.sort();
        let (mut dark, mut worst) = (None, None);
        for path in paths {
            match Self::open_one(&path, atomic) {
                Ok(device) if device.has_screen() => return Ok(device),
                Ok(device) => dark = dark.or(Some(device)),
                Err(KmsError::NotKms { .. }) => {}
                Err(error) => worst = worst.or(Some(error)),
            }
        }
        dark.ok_or(worst.unwrap_or(KmsError::NoCard))
    }

    fn open_one(path: &Path, atomic: bool) -> Result<Self, KmsError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_CLOEXEC | libc::O_NONBLOCK)
            .open(path)
            .map_err(|source| match source.kind() {
                ErrorKind::NotFound => KmsError::NoSuchCard { path: path.into() },
                _ => KmsError::Open { path: path.into(), source },
            })?;
        let mut device = Self { file, path: path.into(), is_atomic: false };
        let drives = device.resource_handles().is_ok_and(|resources| !resources.crtcs().is_empty());
        if !drives {
            return Err(KmsError::NotKms { path: path.into() });
        }
        device.acquire()?;
        let wants = |capability| device.set_client_capability(capability, true).is_ok();
        device.is_atomic =
            atomic && wants(ClientCapability::UniversalPlanes) && wants(ClientCapability::Atomic);
        Ok(device)
    }

    /// Whether its driver counts vblanks, and times flips by them (`drm_wait_vblank_ioctl`, drm_vblank.c). Where it
    /// does not, flips come at once and have the sequence 0.
    pub fn has_vblanks(&self) -> bool {
        let result = self.wait_vblank(VblankWaitTarget::Relative(0), VblankWaitFlags::empty(), 0, 0);
        !result.is_err_and(|error| error.raw_os_error() == Some(libc::EOPNOTSUPP))
    }

    /// When the last vblank of a CRTC was, in nanoseconds of CLOCK_MONOTONIC. `None` where it is off, or where its driver
    /// does not count vblanks. Does not wait: the vblank that is asked for has been (`drm_wait_vblank_ioctl`).
    pub fn last_vblank(&self, crtc: crtc::Handle) -> Option<u64> {
        let resources = self.resource_handles().ok()?;
        let index = resources.crtcs().iter().position(|handle| *handle == crtc)?;
        let index = u32::try_from(index).ok()?;
        let last = VblankWaitTarget::Relative(0);
        let reply = self.wait_vblank(last, VblankWaitFlags::empty(), index, 0).ok()?;
        u64::try_from(reply.time()?.as_nanos()).ok()
    }

    /// Becomes the card's master.
    ///
    /// # Errors
    /// It has another one.
    pub fn acquire(&self) -> Result<(), KmsError> {
        self.acquire_master_lock().map_err(|source| match source.kind() {
            // Busy and invalid where somebody else is; denied where, besides, this process is not root.
            ErrorKind::ResourceBusy | ErrorKind::InvalidInput | ErrorKind::PermissionDenied => {
                KmsError::OtherMaster { path: self.path.clone() }
            }
            _ => self.refused("becoming its master", source),
        })
    }

    /// Lets another program be the card's master.
    pub fn release(&self) {
        // The kernel refuses those who are not its master; then it is as it should be.
        let _ = self.release_master_lock();
    }

    /// The card's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What its driver calls itself.
    pub fn driver_name(&self) -> String {
        let driver = self.get_driver();
        driver.map_or_else(|_| "unknown".into(), |driver| driver.name().to_string_lossy().into_owned())
    }

    /// Whether commits are atomic.
    pub const fn is_atomic(&self) -> bool {
        self.is_atomic
    }

    /// What the card has.
    ///
    /// # Errors
    /// The card refuses to tell.
    pub fn facts(&self) -> Result<Facts, KmsError> {
        let resources =
            self.resource_handles().map_err(|source| self.refused("reading its resources", source))?;
        let mut connectors = Vec::new();
        for handle in resources.connectors() {
            // Connectors come and go with docks and adapters: one that has just gone is none.
            match self.get_connector(*handle, true) {
                Ok(info) => connectors.push(info),
                Err(error) => tracing::debug!("connector {}: {error}", u32::from(*handle)),
            }
        }
        let planes = self.plane_handles().map_err(|source| self.refused("reading its planes", source))?;
        let card = select::Card {
            connectors: connectors.iter().map(|info| self.connector(info, &resources)).collect(),
            crtcs: resources.crtcs().iter().map(|handle| u32::from(*handle)).collect(),
            planes: planes.iter().filter_map(|handle| self.primary(*handle, &resources)).collect(),
        };
        Ok(Facts { card, connectors, resources, planes })
    }

    fn connector(&self, info: &connector::Info, resources: &ResourceHandles) -> select::Connector {
        let encoders = info.encoders().iter().filter_map(|handle| self.get_encoder(*handle).ok());
        let masks =
            encoders.map(|encoder| mask(&resources.filter_crtcs(encoder.possible_crtcs()), resources));
        select::Connector {
            id: info.handle().into(),
            name: format!("{}-{}", info.interface().as_str(), info.interface_id()),
            is_connected: info.state() == connector::State::Connected,
            possible_crtcs: masks.fold(0, |all, mask| all | mask),
            modes: info.modes().iter().map(mode).collect(),
        }
    }

    fn primary(&self, handle: plane::Handle, resources: &ResourceHandles) -> Option<select::PrimaryPlane> {
        let kind = self.property(handle, "type")?.1;
        if kind != drm::control::PlaneType::Primary as u64 {
            return None;
        }
        let info = self.get_plane(handle).ok()?;
        let possible_crtcs = mask(&resources.filter_crtcs(info.possible_crtcs()), resources);
        Some(select::PrimaryPlane { id: handle.into(), possible_crtcs })
    }

    /// A property of an object by its name, with its value.
    pub fn property<H: drm::control::ResourceHandle>(
        &self,
        object: H,
        name: &str,
    ) -> Option<(property::Handle, u64)> {
        let set = self.get_properties(object).ok()?;
        let (handles, values) = set.as_props_and_values();
        handles.iter().zip(values).find_map(|(handle, value)| {
            let info = self.get_property(*handle).ok()?;
            (info.name().to_bytes() == name.as_bytes()).then_some((*handle, *value))
        })
    }

    /// The error that says what this card has refused.
    pub fn refused(&self, what: impl Into<String>, source: io::Error) -> KmsError {
        KmsError::Refused { path: self.path.clone(), what: what.into(), source }
    }

    fn has_screen(&self) -> bool {
        let facts = self.facts();
        facts.is_ok_and(|facts| facts.card.connectors.iter().any(|connector| connector.is_connected))
    }
}

/// The kernel's mask of these CRTCs.
fn mask(crtcs: &[drm::control::crtc::Handle], resources: &ResourceHandles) -> u32 {
    let all = resources.crtcs().iter().enumerate().take(32);
    all.filter(|(_, handle)| crtcs.contains(handle)).fold(0, |mask, (index, _)| mask | 1 << index)
}

/// A mode as the selection sees it. The rate comes from the pixel clock: the kernel's own number is rounded to 1 Hz.
fn mode(mode: &drm::control::Mode) -> select::Mode {
    let (width, height) = mode.size();
    let (_, _, total_width) = mode.hsync();
    let (_, _, total_height) = mode.vsync();
    let total = u64::from(total_width) * u64::from(total_height);
    let refresh = (u64::from(mode.clock()) * 1_000_000).checked_div(total).unwrap_or(0);
    select::Mode {
        width: width.into(),
        height: height.into(),
        refresh: u32::try_from(refresh).unwrap_or(u32::MAX),
        is_preferred: mode.mode_type().contains(drm::control::ModeTypeFlags::PREFERRED),
    }
}
