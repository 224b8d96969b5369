//! Why the command failed. Each text is one line that says what to do.

use std::path::PathBuf;

use blitd_client::protocol::transport::SOCKET_VARIABLE;

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Nobody listens there, or this user may not connect.
    #[error(
        "cannot connect to {}: {source}; start blitd, or name its socket with --socket or in {SOCKET_VARIABLE}",
        path.display()
    )]
    Connect {
        /// The socket.
        path: PathBuf,
        /// What the kernel says.
        source: std::io::Error,
    },
    /// The daemon, or the way to it.
    #[error(transparent)]
    Client(blitd_client::Error),
    /// There is no such output.
    #[error("there is no output {wanted}: see `blitctl outputs`")]
    NoOutput {
        /// The output that was asked for.
        wanted: u32,
    },
    /// The picture cannot be written.
    #[error("cannot write {}: {reason}; name a file in a folder that you may write to", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// Standard output cannot be written.
    #[error("cannot print: {0}")]
    Print(std::io::Error),
    /// A record that JSON cannot hold.
    #[error("cannot make JSON of it: {0}")]
    Json(#[from] serde_json::Error),
}

impl From<blitd_client::Error> for Error {
    fn from(error: blitd_client::Error) -> Self {
        match error {
            blitd_client::Error::Connect { path, source } => Self::Connect { path, source },
            error => Self::Client(error),
        }
    }
}
