//! Room 8, display: what pictures are shown on.
//!
//! - [`output`]: one screen: its buffers, what is stale in each, its frame clock.
//! - [`kms`]: screens of a DRM card.
//! - headless, here: memory instead of a screen, and a timer for a vblank. The same code as for a screen otherwise.

pub mod kms;
pub mod output;

use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::rc::Rc;

use blitd_protocol::image::Format;
use blitd_protocol::value::{Backend, Name};

use crate::frame_clock::{Flip, FrameClock};
use crate::memory::storage::{Storage, StorageError};
use crate::memory::unmap::Unmapper;
use crate::policy::config::HeadlessConfig;
use crate::scene::OutputId;
use crate::scene::area::Area;
use kms::Kms;
use kms::device::{Device, KmsError};
use kms::select::ModeWish;
use output::{Output, Screen};

/// Which backend is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum BackendChoice {
    /// A DRM card where there is one with a screen, else headless.
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
    /// The mode of its screens.
    pub mode: Option<ModeWish>,
    /// Whether commits may not be atomic.
    pub legacy: bool,
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
    Kms(Kms),
    /// Memory, and a timer for a vblank.
    Headless,
}

impl Display {
    /// Finds a display, and its outputs as they are at `now`.
    ///
    /// # Errors
    /// There is none, or no memory for its outputs.
    pub fn open(wish: &Wish, now: u64, unmapper: &Unmapper) -> Result<(Self, Vec<Output>), DisplayError> {
        let card = || -> Result<Kms, KmsError> {
            Kms::new(Device::open(wish.card.as_deref(), !wish.legacy)?, wish.mode, unmapper)
        };
        let kms = match wish.backend {
            BackendChoice::Headless => None,
            BackendChoice::Kms => Some(card()?),
            BackendChoice::Auto => match card() {
                Ok(kms) => Some(kms),
                Err(error @ (KmsError::NoCard | KmsError::NoMode { .. })) => {
                    tracing::info!("{error}: headless");
                    None
                }
                Err(error) => return Err(error.into()),
            },
        };
        let Some(kms) = kms else {
            return Ok((Self::Headless, vec![headless(wish.headless, now, unmapper)?]));
        };
        let outputs = kms.screens().map(|head| {
            let screen = Screen {
                name: Name::new(&head.name),
                backend: Backend::Kms,
                width: head.width,
                height: head.height,
                refresh: head.refresh,
            };
            Output::new(head.output, screen, FrameClock::driven(), head.buffers, now)
        });
        let outputs = outputs.collect();
        Ok((Self::Kms(kms), outputs))
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

    /// The pictures that have come on the glass since the last call.
    pub fn flips(&mut self) -> Vec<(OutputId, Flip)> {
        match self {
            Self::Kms(kms) => kms.flips(),
            Self::Headless => Vec::new(),
        }
    }

    /// What is readable when there are flips.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Kms(kms) => Some(kms.device().as_fd()),
            Self::Headless => None,
        }
    }
}

fn headless(config: HeadlessConfig, now: u64, unmapper: &Unmapper) -> Result<Output, StorageError> {
    let HeadlessConfig { size, refresh } = config;
    let screen = Screen {
        name: Name::new("headless-1"),
        backend: Backend::Headless,
        width: size.width,
        height: size.height,
        refresh: refresh.saturating_mul(1000),
    };
    let buffer = || Storage::new(size.width, size.height, Format::Xrgb8888, unmapper).map(Rc::new);
    Ok(Output::new(1, screen, FrameClock::paced(now, refresh), [buffer()?, buffer()?], now))
}
