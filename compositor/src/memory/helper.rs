//! The one helper thread: it does what the kernel may take long over, since the loop has no time to spare.
//!
//! - It gives mappings back: munmap of some tens of megabytes takes milliseconds, as that of many small ones does.
//! - It does everything with dmabufs that their drivers may wait in: mapping them, and beginning and ending to touch
//!   them.
//!
//! Each kind has a queue of its own, and they take turns: neither piles up behind the other. No job waits for what a
//! client may withhold, so one dmabuf whose fence never signals keeps the others waiting for a millisecond or two.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use blitd_protocol::value::Access;
use memmap2::MmapRaw;
use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::{SigSet, Signal};

use super::dmabuf::{Alarm, Begin, Dmabuf};
use super::unmap::{Mapping, Unmapper};

/// What is to be done with a dmabuf.
#[derive(Clone, Copy, Debug)]
pub enum Task {
    /// Map so many bytes of it.
    Map(usize, Access),
    /// Begin to touch it.
    Begin(Access),
    /// End what was begun.
    End(Access),
}

/// What has come of it.
#[derive(Debug)]
pub enum Answer {
    /// Of [`Task::Map`].
    Mapped(io::Result<Mapping>),
    /// Of [`Task::Begin`].
    Begin(Begin),
    /// Of [`Task::End`].
    Ended(nix::Result<()>),
}

/// The same, before it is back on the loop: it must not keep the thread that keeps it.
#[derive(Debug)]
enum Outcome {
    Mapped(Dmabuf, io::Result<MmapRaw>),
    Begin(Begin),
    Ended(nix::Result<()>),
}

#[derive(Debug)]
struct Job {
    ticket: u64,
    dmabuf: Dmabuf,
    task: Task,
}

/// A mapping to be given back, and the dmabuf that is to be closed after it: whoever is the last to close one frees its
/// memory.
type Unmap = (MmapRaw, Option<Dmabuf>);

/// Two queues that are taken from in turns.
#[derive(Debug)]
struct Queues<U, J> {
    unmaps: VecDeque<U>,
    jobs: VecDeque<J>,
    unmap_is_next: bool,
    is_closed: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Next<U, J> {
    Unmap(U),
    Job(J),
}

impl<U, J> Default for Queues<U, J> {
    fn default() -> Self {
        Self { unmaps: VecDeque::new(), jobs: VecDeque::new(), unmap_is_next: false, is_closed: false }
    }
}

impl<U, J> Queues<U, J> {
    fn next(&mut self) -> Option<Next<U, J>> {
        let next = if self.unmap_is_next || self.jobs.is_empty() {
            self.unmaps.pop_front().map(Next::Unmap).or_else(|| self.jobs.pop_front().map(Next::Job))
        } else {
            self.jobs.pop_front().map(Next::Job)
        };
        self.unmap_is_next = matches!(next, Some(Next::Job(_)));
        next
    }
}

#[derive(Debug)]
struct Shared {
    queues: Mutex<Queues<Unmap, Job>>,
    wake: Condvar,
    outcomes: Mutex<Vec<(u64, Outcome)>>,
    /// Rings when there are outcomes.
    bell: EventFd,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn run(&self) {
        let alarm = Alarm::of_this_thread();
        if let Err(errno) = &alarm {
            tracing::warn!("dmabufs cannot be read, since there is no timer for the helper thread: {errno}");
        }
        let mut alarm = alarm.ok();
        while let Some(next) = self.next() {
            match next {
                Next::Unmap((map, dmabuf)) => {
                    drop(map);
                    drop(dmabuf);
                }
                Next::Job(job) => {
                    let outcome = job.carry_out(alarm.as_mut());
                    locked(&self.outcomes).push((job.ticket, outcome));
                    if let Err(errno) = self.bell.write(1) {
                        tracing::error!("the helper thread cannot tell the loop what it has done: {errno}");
                    }
                }
            }
        }
    }

    /// What is next, when there is something; `None` when nothing more comes.
    fn next(&self) -> Option<Next<Unmap, Job>> {
        let mut queues = locked(&self.queues);
        loop {
            if let Some(next) = queues.next() {
                return Some(next);
            }
            if queues.is_closed {
                return None;
            }
            queues = self.wake.wait(queues).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Job {
    fn carry_out(&self, alarm: Option<&mut Alarm>) -> Outcome {
        // Without an alarm it might never come back.
        let missing = Errno::ENOTSUP;
        match (self.task, alarm) {
            (Task::Map(length, access), Some(_)) => {
                Outcome::Mapped(self.dmabuf.clone(), self.dmabuf.map(length, access))
            }
            (Task::Begin(access), Some(alarm)) => Outcome::Begin(self.dmabuf.begin(access, alarm)),
            (Task::End(access), Some(alarm)) => Outcome::Ended(self.dmabuf.end(access, alarm)),
            (Task::Map(..), None) => Outcome::Mapped(self.dmabuf.clone(), Err(missing.into())),
            (Task::Begin(_), None) => Outcome::Begin(Begin::Failed(missing)),
            (Task::End(_), None) => Outcome::Ended(Err(missing)),
        }
    }
}

/// The thread runs for as long as somebody has this, and then ends.
#[derive(Debug)]
pub(super) struct Handle(Arc<Shared>);

impl Handle {
    pub(super) fn unmap(&self, map: MmapRaw, dmabuf: Option<Dmabuf>) {
        locked(&self.0.queues).unmaps.push_back((map, dmabuf));
        self.0.wake.notify_one();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        locked(&self.0.queues).is_closed = true;
        self.0.wake.notify_one();
    }
}

/// The helper thread. It ends with the last [`Unmapper`] and this; it sleeps while there is nothing to do.
#[derive(Debug)]
pub struct Helper {
    handle: Arc<Handle>,
    /// Jobs that have not been answered.
    unanswered: Cell<usize>,
}

impl Helper {
    /// Starts the thread.
    ///
    /// # Errors
    /// The kernel has no descriptor or no thread for it.
    pub fn start() -> io::Result<Self> {
        let bell = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        let shared = Arc::new(Shared {
            queues: Mutex::default(),
            wake: Condvar::new(),
            outcomes: Mutex::default(),
            bell,
        });
        let thread = Arc::clone(&shared);
        std::thread::Builder::new().name("helper".into()).stack_size(64 * 1024).spawn(move || {
            // Signals are the loop's; one that came here would end the process.
            let mut others = SigSet::all();
            others.remove(Signal::SIGALRM);
            if let Err(errno) = others.thread_set_mask() {
                tracing::warn!("the helper thread cannot leave signals to the loop: {errno}");
            }
            thread.run();
        })?;
        Ok(Self { handle: Arc::new(Handle(shared)), unanswered: Cell::new(0) })
    }

    /// A handle for those who have mappings to give back.
    pub fn unmapper(&self) -> Unmapper {
        Unmapper::new(Arc::clone(&self.handle))
    }

    /// Has something done with a dmabuf. The answer has the same ticket; those of one ticket are done in order.
    pub fn submit(&self, ticket: u64, dmabuf: &Dmabuf, task: Task) {
        self.unanswered.set(self.unanswered.get() + 1);
        let job = Job { ticket, dmabuf: dmabuf.clone(), task };
        locked(&self.handle.0.queues).jobs.push_back(job);
        self.handle.0.wake.notify_one();
    }

    /// Whether there are jobs that have not been answered.
    pub fn is_busy(&self) -> bool {
        self.unanswered.get() > 0
    }

    /// What has been done since, with its tickets.
    pub fn answers(&self) -> Vec<(u64, Answer)> {
        // Nothing to read is what it is where it has been read already.
        let _ = self.handle.0.bell.read();
        let outcomes = std::mem::take(&mut *locked(&self.handle.0.outcomes));
        self.unanswered.set(self.unanswered.get().saturating_sub(outcomes.len()));
        let answer = |outcome| match outcome {
            Outcome::Mapped(dmabuf, map) => {
                Answer::Mapped(map.map(|map| Mapping::of_dmabuf(map, dmabuf, &self.unmapper())))
            }
            Outcome::Begin(begin) => Answer::Begin(begin),
            Outcome::Ended(result) => Answer::Ended(result),
        };
        outcomes.into_iter().map(|(ticket, outcome)| (ticket, answer(outcome))).collect()
    }
}

impl AsFd for Helper {
    /// Readable when there are [answers](Self::answers).
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.0.bell.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_queue_piles_up_behind_the_other() {
        let mut queues = Queues { unmaps: (1..=3).collect(), jobs: (1..=5).collect(), ..Queues::default() };
        let taken: Vec<_> = std::iter::from_fn(|| queues.next()).collect();
        let (unmap, job) = (Next::Unmap, Next::Job);
        assert_eq!(taken, [job(1), unmap(1), job(2), unmap(2), job(3), unmap(3), job(4), job(5)]);
        queues.unmaps.extend([4, 5]);
        assert_eq!(queues.next(), Some(unmap(4)));
        queues.jobs.push_back(6);
        assert_eq!(queues.next(), Some(job(6)));
    }

    #[test]
    fn the_thread_ends_with_the_last_who_may_need_it() {
        let helper = Helper::start().unwrap();
        let (unmapper, thread) = (helper.unmapper(), Arc::downgrade(&helper.handle.0));
        drop(helper);
        assert!(thread.strong_count() > 1, "somebody may still have mappings to give back");
        drop(unmapper);
        while thread.strong_count() > 0 {
            std::thread::yield_now();
        }
    }
}
