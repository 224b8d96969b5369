//! Survives a fault on memory that a client can take away.
//!
//! While a kernel reads or writes a client's mapping, that mapping is *armed* for the thread. A SIGBUS inside it maps
//! zero pages over all of it, so that the kernel runs to its end, and is noted. Every other SIGBUS is passed on to
//! whoever handled it before, which by default ends the process, as a bug of ours should.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{Ordering, compiler_fence};

use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

thread_local! {
    /// The armed mapping, as its address and its length; nothing is armed at length 0. Constant initialisers and
    /// types without destructors: a signal handler may read them.
    static ARMED: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
    static FAULTED: Cell<bool> = const { Cell::new(false) };
}

static PREVIOUS: OnceLock<nix::Result<SigAction>> = OnceLock::new();

/// Installs the handler, once for the process.
///
/// # Errors
/// What sigaction says.
pub fn install() -> nix::Result<()> {
    let previous = PREVIOUS.get_or_init(|| {
        let flags = SaFlags::SA_SIGINFO | SaFlags::SA_NODEFER | SaFlags::SA_ONSTACK;
        let action = SigAction::new(SigHandler::SigAction(on_sigbus), flags, SigSet::empty());
        // SAFETY: the handler reads two thread-locals that need no initialisation and calls only mmap and sigaction,
        // which on Linux are plain system calls.
        unsafe { sigaction(Signal::SIGBUS, &action) }
    });
    previous.as_ref().map(|_| ()).map_err(|errno| *errno)
}

/// Runs `operate` with a mapping armed. The second value says whether it faulted: then all of the mapping reads as
/// zero from now on.
///
/// # Safety
/// The caller has mapped these `length` bytes at the page-aligned `address`, for itself alone, and leaves them mapped
/// meanwhile: where they fault, other pages take their place.
pub(super) unsafe fn guarded<T>(address: usize, length: usize, operate: impl FnOnce() -> T) -> (T, bool) {
    /// Disarms however `operate` ends.
    struct Disarm;
    impl Drop for Disarm {
        fn drop(&mut self) {
            // The handler runs in the middle of `operate`, which the compiler cannot see: no access to the memory may
            // be moved past the arming or the disarming, and what the handler has noted must be read anew.
            compiler_fence(Ordering::SeqCst);
            ARMED.set((0, 0));
            compiler_fence(Ordering::SeqCst);
        }
    }
    FAULTED.set(false);
    ARMED.set((address, length));
    compiler_fence(Ordering::SeqCst);
    let disarm = Disarm;
    let result = operate();
    drop(disarm);
    (result, FAULTED.get())
}

extern "C" fn on_sigbus(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid siginfo to an SA_SIGINFO handler.
    let address = unsafe { (*info).si_addr() } as usize;
    let (start, length) = ARMED.get();
    if address.wrapping_sub(start) < length {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_FIXED | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: replaces exactly the mapping that is armed, which its owner keeps until it is disarmed and unmaps
        // in the same extent.
        let mapped = unsafe { libc::mmap(start as *mut libc::c_void, length, protection, flags, -1, 0) };
        if mapped != libc::MAP_FAILED {
            FAULTED.set(true);
            return;
        }
    }
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: puts back the action that was there before; the fault then happens again and reaches it.
    let _ = unsafe {
        sigaction(
            Signal::SIGBUS,
            PREVIOUS.get().and_then(|previous| previous.as_ref().ok()).unwrap_or(&default),
        )
    };
}
