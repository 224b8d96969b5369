//! Connecting to a daemon within a time.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use blitd_protocol::reply::{Reply, Welcome};
use blitd_protocol::request::VERSION;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect as connect_to, socket};

use crate::error::Error;
use crate::link::Link;

/// A socket that is connected to the one at `path`. A daemon that does not take its connections lets them wait in the
/// kernel's queue, and where that is full, connecting waits: until `deadline` at the latest, or without limit for
/// `None`.
///
/// # Errors
/// Nobody listens there or lets this user in, or it takes too long.
pub(crate) fn connect(path: &Path, deadline: Option<Instant>) -> Result<UnixStream, Error> {
    connected(path, deadline).map_err(|source| Error::Connect { path: path.to_path_buf(), source })
}

/// Greets the daemon over a socket that is connected to it.
///
/// # Errors
/// The daemon does not let this user in, goes away, or takes too long.
pub(crate) fn greet(
    socket: UnixStream,
    name: &str,
    deadline: Option<Instant>,
) -> Result<(Link, Welcome), Error> {
    let (mut link, serial) = Link::new(socket, name)?;
    match link.wait_for(serial, deadline)? {
        Reply::Welcome(welcome) if welcome.version == VERSION => Ok((link, welcome)),
        Reply::Refused(refusal) => Err(refusal.into()),
        other => Err(Error::Unexpected { kind: other.kind() }),
    }
}

fn connected(path: &Path, deadline: Option<Instant>) -> io::Result<UnixStream> {
    let address = UnixAddr::new(path)?;
    let socket =
        UnixStream::from(socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?);
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        // How long connect(2) waits is how long sending does (`unix_stream_connect` of net/unix/af_unix.c).
        socket.set_write_timeout(left)?;
        match connect_to(socket.as_raw_fd(), &address) {
            Ok(()) => break,
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => return Err(io::ErrorKind::TimedOut.into()),
            Err(errno) => return Err(errno.into()),
        }
    }
    socket.set_write_timeout(None)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use nix::sys::socket::{Backlog, listen};

    use super::*;

    #[test]
    fn a_daemon_that_takes_no_connections_is_not_waited_for_without_end() {
        let path = std::env::temp_dir().join(format!("blitd-connect-{}", std::process::id()));
        let listener = UnixListener::bind(&path).unwrap();
        listen(&listener, Backlog::new(0).unwrap()).unwrap();
        // The queue has room for one more than its length.
        let _first = connected(&path, None).unwrap();
        let start = Instant::now();
        let wait = Duration::from_millis(20);
        let error = connected(&path, Some(start + wait)).unwrap_err();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(start.elapsed() >= wait);
    }
}
