//! The thread that a connection has which is to be restored. It sleeps until the daemon goes, then waits for it to come
//! back, and brings it what the record holds.
//!
//! It sleeps in poll(2) on the socket with no events asked for: only the other end's closing wakes it (POLLHUP), so as
//! long as all is well it costs nothing.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow};

use super::shared::Shared;
use crate::connect;
use crate::error::Error;
use crate::link::Link;

/// The first pause between two attempts; each is twice as long as the one before.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long an attempt may take until the daemon has let the connection in.
const PATIENCE: Duration = Duration::from_secs(10);

/// How to come by another connection.
#[derive(Debug)]
pub(crate) struct Way {
    /// The daemon's socket.
    pub(crate) path: PathBuf,
    /// The program's name, for people.
    pub(crate) name: String,
}

/// A socket, to be watched for its end.
pub(super) struct Socket(OwnedFd);

impl Socket {
    pub(super) fn of(link: &Link) -> Result<Self, Error> {
        link.as_fd().try_clone_to_owned().map(Self).map_err(Error::Keeper)
    }

    fn wait_for_end(&self) {
        let mut descriptors = [PollFd::new(self.0.as_fd(), PollFlags::empty())];
        while poll(&mut descriptors, PollTimeout::NONE) == Err(Errno::EINTR) {}
    }
}

/// Starts the thread. Signals stay with the program's own.
pub(super) fn start(shared: Arc<Shared>, socket: Socket, way: Way) -> Result<(), Error> {
    let failed = |errno: Errno| Error::Keeper(errno.into());
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK).map_err(failed)?;
    let thread =
        thread::Builder::new().name("blitd keeper".into()).spawn(move || keep(&shared, socket, &way));
    before.thread_set_mask().map_err(failed)?;
    thread.map(drop).map_err(Error::Keeper)
}

fn keep(shared: &Shared, mut socket: Socket, way: &Way) {
    let (mut pause, mut since) = (SHORTEST_PAUSE, Instant::now());
    loop {
        socket.wait_for_end();
        let Some(is_suspect) = shared.hung_up() else { return };
        if !is_suspect || since.elapsed() > LONGEST_PAUSE {
            pause = SHORTEST_PAUSE;
        } else if !shared.pause(longer(&mut pause)) {
            // A daemon that goes each time for what it is asked here is not to go as fast as it can be started.
            return;
        }
        socket = loop {
            match attempt(shared, way) {
                Ok(Some(socket)) => break socket,
                Ok(None) => return,
                Err(error) => shared.failed(&error),
            }
            if !shared.pause(longer(&mut pause)) {
                return;
            }
        };
        since = Instant::now();
    }
}

fn longer(pause: &mut Duration) -> Duration {
    let now = *pause;
    *pause = (now * 2).min(LONGEST_PAUSE);
    now
}

/// Connects once; nothing where nobody wants it any more.
fn attempt(shared: &Shared, way: &Way) -> Result<Option<Socket>, Error> {
    let deadline = Some(Instant::now() + PATIENCE);
    let connected: Result<UnixStream, Error> = connect::connect(&way.path, deadline);
    let (mut link, welcome) = connect::greet(connected?, &way.name, deadline)?;
    if let Some(mut record) = shared.record() {
        record.replay(&mut link, &welcome)?;
    }
    let socket = Socket::of(&link)?;
    Ok(shared.go_up(link, welcome).then_some(socket))
}
