//! Which CPUs processes run on.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::tools::TaskError;

/// Where a server and its clients run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placement {
    /// All on one CPU: only one of them can run at a time, and what counts is what all of it costs.
    SameCpu,
    /// The server on one CPU, its clients on another: they wake each other across CPUs.
    OneEach,
}

impl Placement {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::SameCpu => "same CPU",
            Self::OneEach => "one CPU each",
        }
    }
}

/// The CPUs that this process may use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cpus {
    all: CpuSet,
    /// That of the servers.
    pub(super) server: usize,
    /// Another one, if there is one.
    other: Option<usize>,
}

impl Cpus {
    pub(super) fn of_this_process() -> Result<Self, TaskError> {
        let all = sched_getaffinity(None).map_err(refused)?;
        let mut numbers = (0..CpuSet::MAX_CPU).filter(|cpu| all.is_set(*cpu));
        let server = numbers.next().unwrap_or(0);
        Ok(Self { all, server, other: numbers.next() })
    }

    /// How many they are.
    pub(super) fn count(&self) -> usize {
        self.all.count() as usize
    }

    /// The placements that these CPUs allow.
    pub(super) fn placements(&self) -> &'static [Placement] {
        match self.other {
            Some(_) => &[Placement::SameCpu, Placement::OneEach],
            None => &[Placement::SameCpu],
        }
    }

    /// The CPU of clients.
    pub(super) fn client(&self, placement: Placement) -> usize {
        match placement {
            Placement::SameCpu => self.server,
            Placement::OneEach => self.other.unwrap_or(self.server),
        }
    }

    /// Starts something on a CPU, with all threads that it will ever have.
    pub(super) fn start_on<T>(
        &self,
        cpu: usize,
        start: impl FnOnce() -> Result<T, TaskError>,
    ) -> Result<T, TaskError> {
        // A process starts on the CPUs of the thread that starts it.
        sched_setaffinity(None, &only(cpu)).map_err(refused)?;
        let started = start();
        sched_setaffinity(None, &self.all).map_err(refused)?;
        started
    }
}

fn only(cpu: usize) -> CpuSet {
    let mut set = CpuSet::new();
    set.set(cpu);
    set
}

fn refused(errno: rustix::io::Errno) -> TaskError {
    TaskError::Expected(format!("processes cannot be put on chosen CPUs (sched_setaffinity): {errno}"))
}
