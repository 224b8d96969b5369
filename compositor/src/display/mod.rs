//! Room 8, display: what pictures are shown on.
//!
//! - [`output`]: one screen: its buffers, what is stale in each, its frame clock.
//! - headless, here: memory instead of a screen, and a timer for a vblank. The same code as for a screen otherwise.
//!
//! KMS is to stand beside headless, under `kms/`: selection (pure, on plain structs), device, buffers, commit.

pub mod output;

use blitd_protocol::value::{Backend, Name};

use crate::memory::storage::StorageError;
use crate::memory::unmap::Unmapper;
use crate::policy::config::HeadlessConfig;
use output::{Output, Screen};

/// Which backend is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum BackendChoice {
    /// What can be driven. There is no KMS yet, so that is headless.
    Auto,
    /// A DRM card.
    Kms,
    /// No screen at all.
    Headless,
}

/// Why there is no display.
#[derive(Debug, thiserror::Error)]
pub enum DisplayError {
    /// This version drives no cards.
    #[error("this version of blitd cannot drive a DRM card yet: use --backend headless")]
    NoKms,
    /// There is no memory for its screens.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// What pictures are shown on.
#[derive(Debug)]
pub enum Display {
    /// Memory, and a timer for a vblank.
    Headless(HeadlessConfig),
}

impl Display {
    /// Finds a display.
    ///
    /// # Errors
    /// [`DisplayError::NoKms`].
    pub fn open(choice: BackendChoice, headless: HeadlessConfig) -> Result<Self, DisplayError> {
        match choice {
            BackendChoice::Kms => Err(DisplayError::NoKms),
            BackendChoice::Auto | BackendChoice::Headless => Ok(Self::Headless(headless)),
        }
    }

    /// Its outputs as they are at `now`.
    ///
    /// # Errors
    /// There is no memory for them.
    pub fn outputs(&self, now: u64, unmapper: &Unmapper) -> Result<Vec<Output>, DisplayError> {
        match self {
            Self::Headless(HeadlessConfig { size, refresh }) => {
                let screen = Screen {
                    name: Name::new("headless-1"),
                    backend: Backend::Headless,
                    width: size.width,
                    height: size.height,
                    refresh: *refresh,
                };
                Ok(vec![Output::new(1, screen, now, unmapper)?])
            }
        }
    }
}
