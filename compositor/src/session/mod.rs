//! Room 9, session: the VT that blitd is on, and when it may have the card.
//!
//! - [`choice`]: which tty is taken. Pure.
//! - [`state`]: who has the glass. Pure.
//! - [`mute`]: what is typed gets nowhere.
//! - [`vt`]: the ioctls of a VT.
//! - [`keeper`]: gives the VT back where blitd ends without doing so.
//!
//! Here: what the server deals with. The kernel tells by signals who is to have the glass ([`Session::follow`]); the
//! server gives up the card, and says [`Session::release`]; or asks for it again, and says [`Session::asked`]. Where
//! there is no VT, blitd has the glass from start to end.

pub mod choice;
pub mod keeper;
pub mod mute;
pub mod state;
pub mod vt;

use std::fmt::Display;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use choice::{Choice, choose};
use keeper::Keeper;
use state::State;
use vt::{Vt, VtError};

/// The kernel sends this when the VT has come to the front. Its number is the lower one: of two signals that wait,
/// signalfd gives that first (`next_signal`, kernel/signal.c), and where both wait, the VT has come first and has to go
/// again.
const ACQUIRE: Signal = Signal::SIGUSR1;

/// The kernel sends this when another VT is to come to the front, and waits for [`Session::release`].
const RELEASE: Signal = Signal::SIGUSR2;

/// How long whoever is in front may take at blitd's start to let its VT go.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The VT cannot be had.
    #[error(transparent)]
    Vt(#[from] VtError),
    /// The kernel refuses something.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// The kernel's words.
        source: io::Error,
    },
}

impl SessionError {
    fn system<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::System { what, source: source.into() }
    }
}

/// What is there while the VT is taken.
#[derive(Debug)]
struct Taken {
    signals: SignalFd,
    /// The number of the VT that was in front before.
    previous: u16,
    /// None where something will start blitd again.
    keeper: Option<Keeper>,
}

/// The VT that blitd is on, if any. It is given back when this is dropped.
#[derive(Debug)]
pub struct Session {
    vt: Option<Vt>,
    is_supervised: bool,
    taken: Option<Taken>,
    state: State,
    /// Whether the log says already that another program has the card.
    is_told: bool,
}

/// Makes a VT as it was, and brings `previous` to the front, unless another one is there already.
fn give_back(vt: &mut Vt, previous: u16) -> Result<(), VtError> {
    vt.restore()?;
    if previous != vt.number() && vt.in_front()? == vt.number() {
        vt.activate(previous)?;
    }
    Ok(())
}

impl Session {
    /// A session without a VT.
    pub const fn none() -> Self {
        Self { vt: None, is_supervised: false, taken: None, state: State::Front, is_told: false }
    }

    /// Opens the tty that is named, or the VT that blitd was started on, and changes nothing. Where blitd
    /// `is_supervised`, something will start it again after a crash, and the VT is left to that.
    ///
    /// # Errors
    /// The tty cannot be opened, or is no VT, or belongs to a shell that waits for its next line.
    pub fn open(named: Option<&Path>, is_supervised: bool) -> Result<Self, SessionError> {
        let standard_input = io::stdin();
        let vt = match choose(named, vt::terminal(standard_input.as_fd())) {
            Choice::None => None,
            Choice::Path(path) => Some(Vt::open(&path)?),
            Choice::StandardInput(number) => Some(Vt::of_descriptor(standard_input.as_fd(), number)?),
        };
        Ok(Self { vt, is_supervised, taken: None, state: State::Front, is_told: false })
    }

    /// Takes the VT, where there is one, and asks for it to come to the front. Call it in the main thread, while every
    /// other blocks all signals.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn take(&mut self) -> Result<(), SessionError> {
        let Some(vt) = self.vt.as_mut().filter(|_| self.taken.is_none()) else { return Ok(()) };
        let wanted: SigSet = [ACQUIRE, RELEASE].into_iter().collect();
        let signals = SignalFd::with_flags(&wanted, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .map_err(SessionError::system("signalfd"))?;
        // They would end the process; and the kernel stops whoever changes the terminal of others with SIGTTOU.
        let blocked: SigSet = [ACQUIRE, RELEASE, Signal::SIGTTOU].into_iter().collect();
        blocked.thread_block().map_err(SessionError::system("blocking signals"))?;
        let previous = vt.in_front()?;
        let taken = self.taken.insert(Taken { signals, previous, keeper: None });
        if !self.is_supervised {
            let keeper = Keeper::start(vt.path(), previous);
            taken.keeper = Some(keeper.map_err(SessionError::system("starting the keeper of the VT"))?);
        }
        vt.take(RELEASE, ACQUIRE)?;
        if previous == vt.number() {
            return Ok(());
        }
        self.state.left();
        vt.activate(vt.number())?;
        Ok(())
    }

    /// Waits for the VT to come to the front after it has been taken, for 5 s at the most. Says whether it has; where
    /// there is no VT, it has not.
    pub fn wait_for_front(&self) -> bool {
        let Some(taken) = &self.taken else { return false };
        let mut signal = [PollFd::new(taken.signals.as_fd(), PollFlags::POLLIN)];
        let patience = PollTimeout::try_from(PATIENCE).unwrap_or(PollTimeout::MAX);
        self.is_in_front() || poll(&mut signal, patience).is_ok_and(|count| count > 0)
    }

    /// Whether blitd's VT is in front, as far as the server has been told, and the card has been had.
    pub fn is_in_front(&self) -> bool {
        self.state == State::Front
    }

    /// What is readable when there are requests.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.taken.as_ref().map(|taken| taken.signals.as_fd())
    }

    /// Follows the kernel's next signal, if there is one, and says who is to have the glass. Does not wait.
    pub fn follow(&mut self, now: u64) -> Option<State> {
        let signals = &self.taken.as_ref()?.signals;
        let signal = loop {
            match signals.read_signal() {
                Ok(signal) if signal?.ssi_code == libc::SI_KERNEL => break signal?.ssi_signo,
                // Another program has sent it.
                Ok(_) | Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return None,
                Err(errno) => {
                    tracing::error!("signalfd: {errno}");
                    return None;
                }
            }
        };
        // The kernel needs no answer VT_ACKACQ; where it wants to switch away again already, it would take that for the
        // release (vt_reldisp, vt_ioctl.c).
        if i32::try_from(signal) == Ok(ACQUIRE as i32) {
            self.state.entered(now);
        } else {
            self.state.left();
        }
        Some(self.state)
    }

    /// The card has been given up: another VT may come to the front.
    pub fn release(&mut self) {
        let Some(vt) = &mut self.vt else { return };
        if let Err(error) = vt.release() {
            // Two requests to switch away can come as one, and the second signal after the answer.
            tracing::debug!("{error}");
        }
    }

    /// Tells what has come of asking for the card.
    pub fn asked(&mut self, now: u64, result: &Result<(), impl Display>) {
        self.state.asked(now, result.is_ok());
        let was_told = std::mem::replace(&mut self.is_told, result.is_err());
        if let (Err(error), false) = (result, was_told) {
            tracing::warn!("blitd waits for the card: {error}");
        }
    }

    /// When the card is to be asked for, if it is; nanoseconds.
    pub fn wakes_at(&self) -> Option<u64> {
        self.state.wakes_at()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let (Some(taken), Some(vt)) = (self.taken.take(), &mut self.vt) else { return };
        drop(taken.keeper);
        if let Err(error) = give_back(vt, taken.previous) {
            tracing::warn!("{error}");
        }
    }
}
