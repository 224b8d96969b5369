//! How a connection is opened.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::DEFAULT_TIMEOUT;

/// What a connection is opened with.
#[derive(Clone, Debug)]
#[must_use]
pub struct ConnectionOptions {
    pub(super) name: String,
    pub(super) path: Option<PathBuf>,
    pub(super) timeout: Option<Duration>,
    pub(super) is_restored: bool,
}

impl ConnectionOptions {
    /// A connection to the daemon's usual socket, see [`Connection::open`](crate::Connection::open), that is restored
    /// when the daemon goes and comes back. `name` is for people, cut at 32 bytes.
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), path: None, timeout: Some(DEFAULT_TIMEOUT), is_restored: true }
    }

    /// Connects to the socket at `path`.
    pub fn at(self, path: &Path) -> Self {
        Self { path: Some(path.into()), ..self }
    }

    /// How long opening may take, and each call after that, as [`set_timeout`](crate::Connection::set_timeout) has it:
    /// [`DEFAULT_TIMEOUT`] unless told; `None` is for ever.
    pub fn timeout(self, timeout: Option<Duration>) -> Self {
        Self { timeout, ..self }
    }

    /// When the daemon goes, the connection ends: calls fail with [`Error::Closed`](crate::Error::Closed), and the
    /// program opens another if it wants to. It has no thread then, and keeps no pictures.
    pub fn not_restored(self) -> Self {
        Self { is_restored: false, ..self }
    }
}
