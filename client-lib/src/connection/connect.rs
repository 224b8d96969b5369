//! Connecting to a socket within a time.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect as connect_to, socket};

/// A socket that is connected to the one at `path`. A daemon that does not take its connections lets them wait in the
/// kernel's queue, and where that is full, connecting waits: until `deadline` at the latest, or without limit for
/// `None`.
///
/// # Errors
/// Nobody listens there or lets this user in, or it takes too long.
pub(super) fn connect(path: &Path, deadline: Option<Instant>) -> io::Result<UnixStream> {
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
        let _first = connect(&path, None).unwrap();
        let start = Instant::now();
        let wait = Duration::from_millis(20);
        let error = connect(&path, Some(start + wait)).unwrap_err();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(start.elapsed() >= wait);
    }
}
