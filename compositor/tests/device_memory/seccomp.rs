//! Steps in between a system call and what it does, by a filter of seccomp(2) on this thread and on those that it
//! starts from then on: the helper thread of a daemon that is started after it. Each test has a thread of its own.

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::spawn;

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// A system call with this second argument.
#[derive(Clone, Copy)]
pub(crate) struct Call(libc::c_long, u32);

/// `DMA_BUF_IOCTL_SYNC` of linux/dma-buf.h.
pub(crate) const SYNC: Call = Call(libc::SYS_ioctl, nix::request_code_write!(b'b', 0, 8) as u32);

/// `DMA_BUF_IOCTL_EXPORT_SYNC_FILE` of linux/dma-buf.h.
pub(crate) const EXPORT_SYNC_FILE: Call =
    Call(libc::SYS_ioctl, nix::request_code_readwrite!(b'b', 2, 8) as u32);

/// `DRM_IOCTL_MODE_ATOMIC` of drm.h.
pub(crate) const ATOMIC: Call = Call(libc::SYS_ioctl, nix::request_code_readwrite!(b'd', 0xbc, 56) as u32);

/// Mapping so many bytes.
pub(crate) const fn mapping(length: u32) -> Call {
    Call(libc::SYS_mmap, length)
}

mod ioctl {
    use nix::libc::{seccomp_notif, seccomp_notif_resp};

    nix::ioctl_readwrite!(receive, b'!', 0, seccomp_notif);
    nix::ioctl_readwrite!(send, b'!', 1, seccomp_notif_resp);
}

/// Applies `action` to some calls; returns the listener where the flags ask for one.
fn filter(calls: &[Call], action: u32, flags: libc::c_ulong) -> i32 {
    let instruction = |code: u32, k, jt, jf| libc::sock_filter { code: code as u16, jt, jf, k };
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let equal = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let result = libc::BPF_RET | libc::BPF_K;
    // Of struct seccomp_data, the number of the call and the lower half of its second argument.
    let compare = |call: &Call| {
        [
            instruction(load, 0, 0, 0),
            instruction(equal, call.0 as u32, 0, 3),
            instruction(load, 24, 0, 0),
            instruction(equal, call.1, 0, 1),
            instruction(result, action, 0, 0),
        ]
    };
    let mut program: Vec<_> = calls.iter().flat_map(compare).collect();
    program.push(instruction(result, libc::SECCOMP_RET_ALLOW, 0, 0));
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    let mode = libc::SECCOMP_SET_MODE_FILTER;
    // SAFETY: the program is what seccomp(2) asks for, and lives until the call returns.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, mode, flags, &raw const program) };
    Errno::result(result).expect("a guest has seccomp") as i32
}

/// Makes a call fail.
pub(crate) fn refuse(call: Call, errno: Errno) {
    filter(&[call], libc::SECCOMP_RET_ERRNO | errno as u32, 0);
}

/// A call that has been stopped at its very beginning.
pub(crate) struct Stopped {
    /// Its third argument.
    pub(crate) argument: u64,
    /// Goes on, or ends with this error.
    goes_on: Sender<Result<(), Errno>>,
}

impl Stopped {
    pub(crate) fn go_on(self) {
        self.goes_on.send(Ok(())).unwrap();
    }

    pub(crate) fn fail(self, errno: Errno) {
        self.goes_on.send(Err(errno)).unwrap();
    }
}

/// Stops these calls at their beginning, until they are told to go on. A thread can have this once.
pub(crate) fn stop(calls: &[Call]) -> Receiver<Stopped> {
    let (stops, stopped) = channel();
    let (listens, listener) = channel::<i32>();
    // It must not be stopped itself, so it is started before.
    spawn(move || {
        let listener = listener.recv().unwrap();
        // SAFETY: the kernel has just made this descriptor, and nobody else knows it.
        let listener = unsafe { OwnedFd::from_raw_fd(listener) };
        // It hangs up when nobody is left who could be stopped.
        let mut polled = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
        while poll(&mut polled, PollTimeout::NONE).is_ok()
            && polled[0].revents().is_some_and(|events| events.contains(PollFlags::POLLIN))
        {
            // SAFETY: all zeros is what the kernel wants here.
            let mut call: libc::seccomp_notif = unsafe { std::mem::zeroed() };
            // SAFETY: the argument is what the kernel's header says.
            if unsafe { ioctl::receive(listener.as_raw_fd(), &mut call) }.is_err() {
                // A signal was faster, and ended the call.
                continue;
            }
            let (goes_on, told) = channel();
            // A test that has ended lets everything go on.
            let told = stops
                .send(Stopped { argument: call.data.args[2], goes_on })
                .ok()
                .and_then(|()| told.recv().ok());
            let (error, flags) = match told {
                Some(Err(errno)) => (-(errno as i32), 0),
                _ => (0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32),
            };
            let mut answer = libc::seccomp_notif_resp { id: call.id, val: 0, error, flags };
            // SAFETY: the argument is what the kernel's header says.
            let _ = unsafe { ioctl::send(listener.as_raw_fd(), &mut answer) };
        }
    });
    // Once the stop is known, no signal but one that kills ends the call.
    let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    listens.send(filter(calls, libc::SECCOMP_RET_USER_NOTIF, flags)).unwrap();
    stopped
}
