//! The socket that clients connect to: where it is, who may open it, and that it goes when the daemon does. A service
//! manager may have made it already (sd_listen_fds(3)): then it is the manager's, with the permissions that it has
//! there, and stays.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use blitd_protocol::transport::{SOCKET_VARIABLE, SYSTEM_SOCKET, user_socket};
use listenfd::ListenFd;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, getsockopt, listen, socket, sockopt,
};
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
    /// The service manager has passed something that cannot be listened on.
    #[error("the service manager has passed {what}: give blitd one socket, with ListenStream= and Accept=no")]
    Passed {
        /// What it is.
        what: String,
    },
    /// There are two places to listen.
    #[error(
        "the service manager has passed a socket, and --socket names {}: leave --socket out, or change ListenStream=",
        .path.display()
    )]
    TwoPlaces {
        /// The place that is named.
        path: PathBuf,
    },
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

/// A listening socket. One that this daemon has made is removed when this is dropped.
#[derive(Debug)]
pub struct Listener {
    socket: UnixListener,
    /// The file that goes with this.
    file: Option<SocketFile>,
}

#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    /// Its device and number: another daemon's may stand in its place by the end.
    identity: (u64, u64),
}

impl Listener {
    /// The socket that a service manager has passed to this process, if it has. Call it before there is another thread,
    /// and once: it takes `LISTEN_FDS` and `LISTEN_PID` out of the environment, for programs that this one starts.
    ///
    /// # Errors
    /// [`ListenError::Passed`]: it is no listening stream socket, or there are several.
    pub fn passed() -> Result<Option<Self>, ListenError> {
        let mut passed = ListenFd::from_env();
        if passed.len() > 1 {
            return Err(ListenError::Passed { what: format!("{} sockets", passed.len()) });
        }
        let socket =
            passed.take_unix_listener(0).map_err(|error| ListenError::Passed { what: error.to_string() })?;
        match socket {
            // With Accept=yes it is a connection.
            Some(socket) if !getsockopt(&socket, sockopt::AcceptConn).unwrap_or(false) => {
                Err(ListenError::Passed { what: "a socket that does not listen".into() })
            }
            socket => Ok(socket.map(|socket| Self { socket, file: None })),
        }
    }

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
        let made = match make(path, mode) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                make_way(path)?;
                make(path, mode)
            }
            result => result,
        };
        let socket = made.map_err(refused)?;
        let file = SocketFile { path: path.into(), identity: identity(path).map_err(refused)? };
        Ok(Self { socket, file: Some(file) })
    }

    /// The socket, to be given to the loop.
    ///
    /// # Errors
    /// The kernel has no descriptor left.
    pub fn socket(&self) -> io::Result<UnixListener> {
        self.socket.try_clone()
    }

    /// Where clients find it, for people.
    pub fn place(&self) -> String {
        let address = self.socket.local_addr().ok();
        let passed = || address.as_ref().and_then(|address| address.as_pathname());
        let path = self.file.as_ref().map(|file| file.path.as_path()).or_else(passed);
        path.map_or_else(|| "a socket without a name".into(), |path| path.display().to_string())
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(file) = &self.file
            && identity(&file.path).is_ok_and(|identity| identity == file.identity)
        {
            // Where it is gone already, that is as well.
            let _ = fs::remove_file(&file.path);
        }
    }
}

/// A listening socket at `path`. It is made under another name in the same folder, and comes to its place when it
/// listens and has its permissions: whoever finds it there is let in or kept out as he should be, and never finds
/// nobody listening.
fn make(path: &Path, mode: u32) -> io::Result<UnixListener> {
    let mut hidden = OsString::from(".");
    hidden.push(path.file_name().unwrap_or_default());
    hidden.push(format!("-{}", std::process::id()));
    let hidden = path.with_file_name(hidden);
    // Of a daemon that died in the middle of this and had the same number.
    let _ = fs::remove_file(&hidden);
    let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    // Its file gets the permissions that the socket has when it is bound (`unix_bind_bsd` of the kernel's
    // net/unix/af_unix.c): nobody else can connect before it has those that it should.
    fchmod(&socket, Mode::S_IRUSR | Mode::S_IWUSR)?;
    bind(socket.as_raw_fd(), &UnixAddr::new(&hidden)?)?;
    listen(&socket, Backlog::MAXCONN)?;
    let placed = fs::set_permissions(&hidden, Permissions::from_mode(mode))
        .and_then(|()| fs::hard_link(&hidden, path));
    // The other name has done its work.
    fs::remove_file(&hidden)?;
    placed.map(|()| socket.into())
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
