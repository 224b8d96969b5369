//! When a program ends: after a time, or when it is asked to by SIGINT or SIGTERM.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use blitd_client::{Connection, Reply};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::program::Error;

/// The longest single wait: a signal that arrives just before one is noticed after it.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Whether it is time to end.
#[derive(Debug)]
pub struct Ending {
    asked: Arc<AtomicBool>,
    deadline: Option<Instant>,
}

impl Ending {
    /// Ends after `time`, if one is given, and on SIGINT and SIGTERM. A second signal ends the program at once.
    ///
    /// # Errors
    /// The signals cannot be caught.
    pub fn after(time: Option<Duration>) -> Result<Self, Error> {
        let asked = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register_conditional_default(signal, Arc::clone(&asked))
                .map_err(Error::Signals)?;
            signal_hook::flag::register(signal, Arc::clone(&asked)).map_err(Error::Signals)?;
        }
        // A time too long to count is as good as none.
        Ok(Self { asked, deadline: time.and_then(|time| Instant::now().checked_add(time)) })
    }

    /// Whether the program should end now.
    pub fn is_due(&self) -> bool {
        self.asked.load(Ordering::Relaxed) || self.deadline.is_some_and(|deadline| deadline <= Instant::now())
    }

    /// Waits until `until`, or until the end if that comes first; false at the end. It sleeps on the connection, so
    /// that the daemon's end is noticed too.
    ///
    /// # Errors
    /// The connection has ended.
    pub fn wait(&self, connection: &mut Connection, until: Option<Instant>) -> Result<bool, Error> {
        while !self.is_due() {
            let now = Instant::now();
            let next = until.into_iter().chain(self.deadline).min();
            let left = next.map_or(LONGEST_WAIT, |next| next.saturating_duration_since(now));
            if until.is_some_and(|until| until <= now) {
                return Ok(true);
            }
            // Who waits for a time does not want to know of outputs that come and go.
            connection.wait_for_pulses(Some(left.min(LONGEST_WAIT)))?;
        }
        Ok(false)
    }

    /// Waits until outputs have come, gone or changed, or until the end if that comes first; false at the end.
    ///
    /// # Errors
    /// The connection has ended.
    pub fn wait_for_outputs(&self, connection: &mut Connection) -> Result<bool, Error> {
        while !self.is_due() {
            let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let longest = left.map_or(LONGEST_WAIT, |left| left.min(LONGEST_WAIT));
            let pulses = connection.wait_for_pulses(Some(longest))?;
            if pulses.iter().any(|pulse| matches!(pulse, Reply::OutputsChanged)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
