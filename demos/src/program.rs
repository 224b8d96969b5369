//! How a program of this package runs and how it says that it failed.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::picture::PictureError;

/// Why a program failed. Each text is one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The daemon, or the way to it.
    #[error(transparent)]
    Client(#[from] blitd_client::Error),
    /// A picture.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// SIGINT and SIGTERM cannot be caught.
    #[error("cannot catch SIGINT and SIGTERM: {0}")]
    Signals(std::io::Error),
    /// There is no such output.
    #[error("there is no output {wanted}: {}", existing(there))]
    NoOutput {
        /// The output that was asked for.
        wanted: u32,
        /// Those that there are.
        there: Vec<u32>,
    },
    /// A folder that cannot be listed.
    #[error("cannot list {}: {source}; name a folder that you may read", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A folder without pictures that can be shown.
    #[error("no picture in {} can be shown: put PNG or JPEG files there", path.display())]
    NoPictures {
        /// The folder.
        path: PathBuf,
    },
    /// A file that cannot be written.
    #[error("cannot write {}: {source}; name a .png or .jpg file in a folder that you may write to", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: image::ImageError,
    },
    /// A thread that cannot be started.
    #[error("cannot start a thread: {0}; raise the limit of threads")]
    Thread(std::io::Error),
}

fn existing(there: &[u32]) -> String {
    if there.is_empty() {
        return "the daemon has none; connect a screen".into();
    }
    let there: Vec<String> = there.iter().map(u32::to_string).collect();
    format!("choose one of {}, or 0 for the first", there.join(", "))
}

/// Runs a program and turns what comes of it into an exit code, with one line on stderr where it failed.
pub fn run(name: &str, body: impl FnOnce() -> Result<(), Error>) -> ExitCode {
    match body() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(name, &error);
            ExitCode::FAILURE
        }
    }
}

/// Writes one line on stderr: `name: error`.
pub fn complain(name: &str, error: &Error) {
    let text = error.to_string().replace('\n', " ");
    // Who has closed stderr does not want to know.
    let _ = writeln!(std::io::stderr(), "{name}: {text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_output_names_those_that_there_are() {
        let text = |there: &[u32]| Error::NoOutput { wanted: 7, there: there.to_vec() }.to_string();
        assert_eq!(text(&[1, 2]), "there is no output 7: choose one of 1, 2, or 0 for the first");
        assert_eq!(text(&[]), "there is no output 7: the daemon has none; connect a screen");
    }
}
