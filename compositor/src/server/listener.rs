//! The socket that clients connect to: where it is, who may open it, and that it goes when the daemon does.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use blitd_protocol::transport::{SOCKET_VARIABLE, SYSTEM_SOCKET, user_socket};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
use nix::sys::stat::{Mode, fchmod};

/// Why there is no socket to listen on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another daemon has it.
    #[error("another blitd is listening on {}: stop it, or choose another with --socket", .path.display())]
    Taken {
        /// The socket.
        path: PathBuf,
    },
    /// There is something else.
    #[error("{} is there already and is no socket: choose another place with --socket", .path.display())]
    NoSocket {
        /// What is there.
        path: PathBuf,
    },
    /// The kernel refuses.
    #[error("cannot listen on {} ({source}): choose another place with --socket", .path.display())]
    Refused {
        /// The socket.
        path: PathBuf,
        /// The kernel's words.
        source: io::Error,
    },
    /// There is no place for it.
    #[error(
        "there is no run-time directory for the socket: set XDG_RUNTIME_DIR, or choose a place with --socket"
    )]
    NoPlace,
}

/// Where a daemon listens that no option and no configuration tells: where `BLITD_SOCKET` says; as root, where clients
/// look for the system's; else in the user's run-time directory.
///
/// # Errors
/// [`ListenError::NoPlace`].
pub fn default_place(is_root: bool) -> Result<PathBuf, ListenError> {
    match std::env::var_os(SOCKET_VARIABLE) {
        Some(path) => Ok(path.into()),
        None if is_root => Ok(SYSTEM_SOCKET.into()),
        None => user_socket().ok_or(ListenError::NoPlace),
    }
}

/// A listening socket that is removed when this is dropped.
#[derive(Debug)]
pub struct Listener {
    socket: UnixListener,
    path: PathBuf,
    /// The file's device and number: another daemon's may stand in its place by the end.
    file: (u64, u64),
}

impl Listener {
    /// Listens at `path`, for those whom the permissions `mode` let in. A socket that a dead daemon left there is
    /// replaced.
    ///
    /// # Errors
    /// Why it cannot be.
    pub fn bind(path: &Path, mode: u32) -> Result<Self, ListenError> {
        let refused = |source| ListenError::Refused { path: path.into(), source };
        if let Some(directory) = path.parent().filter(|directory| !directory.exists()) {
            DirBuilder::new().recursive(true).mode(0o755).create(directory).map_err(refused)?;
        }
        let socket = match open(path) {
            Err(Errno::EADDRINUSE) => {
                make_way(path)?;
                open(path)
            }
            result => result,
        };
        let socket = socket.map_err(|errno| refused(errno.into()))?;
        let file = identity(path).map_err(refused)?;
        let listener = Self { socket, path: path.into(), file };
        fs::set_permissions(path, Permissions::from_mode(mode)).map_err(refused)?;
        Ok(listener)
    }

    /// The socket, to be given to the loop.
    ///
    /// # Errors
    /// The kernel has no descriptor left.
    pub fn socket(&self) -> io::Result<UnixListener> {
        self.socket.try_clone()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|file| file == self.file) {
            // Where it is gone already, that is as well.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A listening socket that only its owner can open: its file gets the permissions that the socket has when it is bound
/// (`unix_bind_bsd` of the kernel's net/unix/af_unix.c), so at no time can anybody else connect.
fn open(path: &Path) -> nix::Result<UnixListener> {
    let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    fchmod(&socket, Mode::S_IRUSR | Mode::S_IWUSR)?;
    bind(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    listen(&socket, Backlog::MAXCONN)?;
    Ok(socket.into())
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|status| (status.dev(), status.ino()))
}

/// Removes the socket that a dead daemon has left, and nothing else.
fn make_way(path: &Path) -> Result<(), ListenError> {
    let refused = |source| ListenError::Refused { path: path.into(), source };
    if !fs::symlink_metadata(path).map_err(refused)?.file_type().is_socket() {
        return Err(ListenError::NoSocket { path: path.into() });
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path).map_err(refused),
        Err(error) => Err(refused(error)),
        Ok(_) => Err(ListenError::Taken { path: path.into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("blitd-listener-{}-{name}", std::process::id()))
    }

    #[test]
    fn what_is_no_socket_is_left_alone() {
        let path = place("file");
        fs::write(&path, "a picture").unwrap();
        assert!(matches!(Listener::bind(&path, 0o600), Err(ListenError::NoSocket { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "a picture");
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_dead_daemons_socket_is_replaced_and_a_live_ones_is_not() {
        let path = place("socket");
        drop(UnixListener::bind(&path).unwrap());
        let listener = Listener::bind(&path, 0o640).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        assert!(matches!(Listener::bind(&path, 0o600), Err(ListenError::Taken { .. })));
        drop(listener);
        assert!(!path.exists());
    }

    #[test]
    fn only_its_own_file_goes_with_a_listener() {
        let path = place("other");
        let listener = Listener::bind(&path, 0o600).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "somebody else's").unwrap();
        drop(listener);
        assert!(path.exists());
        fs::remove_file(&path).unwrap();
    }
}
