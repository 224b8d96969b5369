//! The bare round trip: messages of the size of a draw and of its reply, between two processes that do nothing else.

use std::io::ErrorKind;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use blitd_client::protocol::framing::HEADER_LENGTH;
use blitd_client::protocol::wire;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::client::{answer_commands, nanoseconds, say, timed};
use super::command::Answer;
use crate::tools::TaskError;

/// How long a draw is, without pixels of its own.
const DRAW: usize = HEADER_LENGTH + size_of::<wire::Draw>();

/// How long its reply is.
const REPLY: usize = HEADER_LENGTH + size_of::<wire::Done>();

/// One end of a bare round trip.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The socket.
    socket: PathBuf,
    /// Answers, instead of asking.
    #[arg(long)]
    server: bool,
}

/// One end of it, until the other goes or nobody tells it anything more.
pub(crate) fn run(arguments: &Arguments) -> Result<(), TaskError> {
    let path = &arguments.socket;
    let failed = |source| TaskError::File { path: path.clone(), source };
    if arguments.server {
        return serve(path).map_err(failed);
    }
    let stream = UnixStream::connect(path).map_err(failed)?;
    say("ready")?;
    answer_commands(|command| {
        let begun = std::time::Instant::now();
        let times = timed(command.amount, || {
            let mut reply = [0; REPLY];
            send_all(&stream, &[0; DRAW]).and_then(|()| receive_all(&stream, &mut reply)).map_err(failed)?;
            Ok(None)
        })?;
        Ok(Answer { frames: 0, duration: nanoseconds(begun.elapsed()), times })
    })
}

fn serve(path: &Path) -> std::io::Result<()> {
    let listener = UnixListener::bind(path)?;
    say("ready").map_err(std::io::Error::other)?;
    let (stream, _) = listener.accept()?;
    let mut request = [0; DRAW];
    loop {
        match receive_all(&stream, &mut request) {
            Ok(()) => send_all(&stream, &[0; REPLY])?,
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

fn send_all(stream: &UnixStream, mut bytes: &[u8]) -> std::io::Result<()> {
    while !bytes.is_empty() {
        bytes = &bytes[send(stream, bytes, SendFlags::NOSIGNAL)?..];
    }
    Ok(())
}

fn receive_all(stream: &UnixStream, mut bytes: &mut [u8]) -> std::io::Result<()> {
    while !bytes.is_empty() {
        let length = match recv(stream, &mut *bytes, RecvFlags::empty())? {
            (0, _) => return Err(ErrorKind::UnexpectedEof.into()),
            (length, _) => length,
        };
        bytes = &mut bytes[length..];
    }
    Ok(())
}
