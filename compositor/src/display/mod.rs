//! Room 8, display: what pictures are shown on.
//!
//! - [`screen`]: what does not change of an output.
//! - [`output`]: one screen: its buffers, what is stale in each, its frame clock.
//! - [`kms`]: screens of a DRM card.
//! - headless, here: memory instead of a screen, and a timer for a vblank. The same code as for a screen otherwise.
//!
//! An *output* is what clients and the scene know. Its *head* is the card's part of it: connector, CRTC, plane, and the
//! buffers as the card knows them. Both have the output's number, and share the buffers' storage.

pub mod kms;
pub mod output;
pub mod screen;

use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::rc::Rc;

use blitd_protocol::image::{Format, Rectangle};
use blitd_protocol::value::{Backend, Name};

use crate::frame_clock::FrameClock;
use crate::memory::storage::{Storage, StorageError};
use crate::memory::unmap::Unmapper;
use crate::policy::config::{BufferChoice, Config, HeadlessConfig};
use crate::policy::outputs::OutputConfigs;
use crate::scene::area::Area;
use crate::scene::{LayerKey, OutputId, Placed};
use kms::device::{Device, KmsError};
use kms::monitor::Monitor;
use kms::overlays::OnPlane;
use kms::{HeadChange, HeadFlip, HeadScreen, Kms};
use output::Output;
use screen::Screen;

/// Which backend is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum BackendChoice {
    /// A DRM card where there is one, else headless.
    #[default]
    Auto,
    /// A DRM card.
    Kms,
    /// No screen at all.
    Headless,
}

/// What display is wanted.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// Which backend.
    pub backend: BackendChoice,
    /// The headless output.
    pub headless: HeadlessConfig,
    /// The card, as a file of /dev/dri.
    pub card: Option<PathBuf>,
    /// Whether commits may not be atomic.
    pub legacy: bool,
    /// Which of a card's buffers pictures are made in.
    pub buffers: BufferChoice,
    /// Whether layers may be shown on planes of a card.
    pub planes: bool,
    /// What outputs are to be like.
    pub outputs: OutputConfigs,
}

impl Wish {
    /// What a configuration says.
    pub fn configured(config: &Config, backend: BackendChoice) -> Self {
        Self {
            backend,
            headless: config.headless,
            card: None,
            legacy: config.legacy_kms,
            buffers: config.buffers,
            planes: config.planes,
            outputs: config.outputs.clone(),
        }
    }
}

/// Why there is no display.
#[derive(Debug, thiserror::Error)]
pub enum DisplayError {
    /// No card can be driven.
    #[error(transparent)]
    Kms(#[from] KmsError),
    /// There is no memory for its screens.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What pictures are shown on.
#[derive(Debug)]
pub enum Display {
    /// The screens of a DRM card.
    Kms(Box<Kms>),
    /// Memory, and a timer for a vblank.
    Headless,
}

/// What has become of the outputs.
#[derive(Debug)]
pub enum Change {
    /// One has come. Where there is one of its number, it is that one with another mode.
    Came(Box<Output>),
    /// One has gone.
    Went(OutputId),
}

impl Display {
    /// Finds a display, and its outputs as they are at `now`. A card may have none yet.
    ///
    /// # Errors
    /// There is none, or no memory for its outputs.
    pub fn open(wish: &Wish, now: u64, unmapper: &Unmapper) -> Result<(Self, Vec<Change>), DisplayError> {
        let card = || Device::open(wish.card.as_deref(), !wish.legacy);
        let device = match wish.backend {
            BackendChoice::Headless => None,
            BackendChoice::Kms => Some(card()?),
            BackendChoice::Auto => match card() {
                Ok(device) => Some(device),
                Err(error @ KmsError::NoCard) => {
                    tracing::info!("{error}: headless");
                    None
                }
                Err(error) => return Err(error.into()),
            },
        };
        let Some(device) = device else {
            let output = headless(wish, now, unmapper)?;
            return Ok((Self::Headless, vec![Change::Came(Box::new(output))]));
        };
        let path = device.path().display().to_string();
        let commits = if device.is_atomic() { "atomic" } else { "legacy" };
        tracing::info!("{path}: driver {}, {commits} commits", device.driver_name());
        let kms = Kms::new(device, wish, unmapper);
        let mut display = Self::Kms(Box::new(kms));
        let changes = display.rescan(now)?;
        if changes.is_empty() {
            tracing::info!("{path}: no screen can be shown on yet: waiting for one");
        }
        Ok((display, changes))
    }

    /// Looks which screens are plugged in, and what has changed since the last look.
    ///
    /// # Errors
    /// The card does not tell.
    pub fn rescan(&mut self, now: u64) -> Result<Vec<Change>, KmsError> {
        let Self::Kms(kms) = self else { return Ok(Vec::new()) };
        let changes = kms.rescan()?;
        let change = |change| match change {
            HeadChange::Came(head) => Change::Came(Box::new(output(head, kms.configs(), now))),
            HeadChange::Went(output) => Change::Went(output),
        };
        Ok(changes.into_iter().map(change).collect())
    }

    /// Takes note that pixels of a layer have changed.
    pub fn drawn(&mut self, layer: LayerKey, pixels: Rectangle) {
        match self {
            Self::Kms(kms) => kms.drawn(layer, pixels),
            Self::Headless => {}
        }
    }

    /// A frame of an output begins, of these layers (bottom to top): says which of them are shown on planes, and are not
    /// to be composed.
    pub fn begin(&mut self, output: &Output, snapshot: &[Placed<Rc<Storage>>]) -> Vec<OnPlane> {
        match self {
            Self::Kms(kms) => kms.begin(output.id(), output.turn(), snapshot),
            Self::Headless => Vec::new(),
        }
    }

    /// Puts a composed picture on the glass of an output with the next vblank.
    ///
    /// # Errors
    /// The card refuses.
    pub fn show(&mut self, output: OutputId, picture: &Rc<Storage>, damage: &Area) -> Result<(), KmsError> {
        match self {
            Self::Kms(kms) => kms.show(output, picture, damage),
            // The clock's vblank is all that there is to it.
            Self::Headless => Ok(()),
        }
    }

    /// When the last vblank of an output was, in nanoseconds of CLOCK_MONOTONIC, where a driver tells.
    pub fn last_vblank(&self, output: OutputId) -> Option<u64> {
        match self {
            Self::Kms(kms) => kms.last_vblank(output),
            Self::Headless => None,
        }
    }

    /// The pictures that have come on the glass since the last call.
    pub fn flips(&mut self) -> Vec<HeadFlip> {
        match self {
            Self::Kms(kms) => kms.flips(),
            Self::Headless => Vec::new(),
        }
    }

    /// Lets another program be the card's master. Nothing is shown until [`acquire`](Self::acquire).
    pub fn release(&mut self) {
        match self {
            Self::Kms(kms) => kms.release(),
            Self::Headless => {}
        }
    }

    /// Becomes the card's master again. Every screen is lit anew with its next picture.
    ///
    /// # Errors
    /// Another program is its master.
    pub fn acquire(&mut self) -> Result<(), KmsError> {
        match self {
            Self::Kms(kms) => kms.acquire(),
            Self::Headless => Ok(()),
        }
    }

    /// What is readable when there are flips.
    pub fn flip_descriptor(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Kms(kms) => Some(kms.device().as_fd()),
            Self::Headless => None,
        }
    }

    /// What is readable when screens may have come or gone.
    pub fn monitor_descriptor(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Kms(kms) => kms.monitor().map(AsFd::as_fd),
            Self::Headless => None,
        }
    }

    /// Whether screens may have come or gone since the last call.
    pub fn has_changed(&self) -> bool {
        match self {
            Self::Kms(kms) => kms.monitor().is_some_and(Monitor::card_has_changed),
            Self::Headless => false,
        }
    }
}

fn output(head: HeadScreen, configs: &OutputConfigs, now: u64) -> Output {
    let config = configs.of(&head.name);
    let screen = Screen {
        name: Name::new(&head.name),
        backend: Backend::Kms,
        mode: head.mode,
        refresh: head.refresh,
        transform: config.transform,
        place: config.place,
        background: config.background,
    };
    Output::new(head.output, screen, FrameClock::driven(now, head.refresh), head.buffers, now)
}

fn headless(wish: &Wish, now: u64, unmapper: &Unmapper) -> Result<Output, StorageError> {
    let HeadlessConfig { size, refresh } = wish.headless;
    let refresh = refresh.saturating_mul(1000);
    let name = "headless-1";
    let config = wish.outputs.of(name);
    let screen = Screen {
        name: Name::new(name),
        backend: Backend::Headless,
        mode: (size.width, size.height),
        refresh,
        transform: config.transform,
        place: config.place,
        background: config.background,
    };
    let buffer = || Storage::new(size.width, size.height, Format::Xrgb8888, unmapper).map(Rc::new);
    Ok(Output::new(1, screen, FrameClock::paced(now, refresh), [buffer()?, buffer()?], now))
}
