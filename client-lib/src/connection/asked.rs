//! Asking for later: what is asked is queued, and its answer waited for in a handle.

use std::ops::Range;
use std::sync::Arc;

use blitd_protocol::reply::{Receipt, Reply, Shown};
use blitd_protocol::request::Request;

use super::{Connection, deadline, done, fitting, shown};
use crate::batch::{self, BatchEntry};
use crate::error::Error;
use crate::exchange::{Shared, Ticket};

/// What was asked without lending anything, and how it will have ended. Dropping it takes nothing back: nobody is told
/// then.
#[derive(Debug)]
#[must_use = "its answer tells whether it was done"]
pub struct Asked<T> {
    shared: Arc<Shared>,
    /// Those whose outcomes were not taken.
    tickets: Range<Ticket>,
    answer: fn(Vec<Outcome>) -> Result<T, Error>,
}

pub(super) type Outcome = Result<Reply<'static>, Error>;

impl<T> Asked<T> {
    pub(super) fn new(
        shared: &Arc<Shared>,
        tickets: Range<Ticket>,
        answer: fn(Vec<Outcome>) -> Result<T, Error>,
    ) -> Self {
        Self { shared: Arc::clone(shared), tickets, answer }
    }

    /// Whether [`wait`](Self::wait) returns at once. It takes nothing in: [`Connection::dispatch`] and all calls that
    /// wait do that.
    pub fn is_ready(&self) -> bool {
        self.shared.exchange().is_ready(&self.tickets)
    }

    /// Waits until the daemon has replied.
    ///
    /// # Errors
    /// [`Error::TimedOut`] and [`Error::Away`], after which it can be waited for again; the daemon's refusal; or the
    /// connection has ended.
    pub fn wait(&mut self, connection: &mut Connection) -> Result<T, Error> {
        let shared = Arc::clone(&self.shared);
        let (mut exchange, outcome) = shared.wait(&self.tickets, deadline(connection.timeout));
        if let Err(error @ (Error::TimedOut | Error::Away { .. })) = outcome {
            return Err(error);
        }
        let tickets = std::mem::take(&mut self.tickets);
        let outcome = outcome.and_then(|()| {
            let outcomes = tickets.filter_map(|ticket| exchange.take(ticket));
            (self.answer)(outcomes.collect())
        });
        outcome.map_err(|error| exchange.fail_if_over(error))
    }

    /// Whether what was lent, and ended with this error, may still be in use.
    pub(super) fn is_lost(&self, error: &Error) -> bool {
        self.shared.exchange().is_lost(error)
    }
}

impl<T> Drop for Asked<T> {
    fn drop(&mut self) {
        if !self.tickets.is_empty() {
            self.shared.drop_operations(self.tickets.clone());
        }
    }
}

/// The only outcome's receipt.
pub(super) fn receipt(outcomes: Vec<Outcome>) -> Result<Receipt, Error> {
    only(outcomes).and_then(|reply| fitting(reply, done))
}

/// Each outcome's receipt, or its error.
pub(super) fn receipts(outcomes: Vec<Outcome>) -> Result<Vec<Result<Receipt, Error>>, Error> {
    let one = |outcome: Outcome| match outcome {
        Ok(reply) => fitting(reply, done).map(Ok),
        Err(error) => Ok(Err(error)),
    };
    outcomes.into_iter().map(one).collect()
}

fn only(outcomes: Vec<Outcome>) -> Outcome {
    outcomes.into_iter().next().unwrap_or(Err(Error::NotPending { serial: 0 }))
}

impl Connection {
    /// Like [`sync`](Self::sync), for later: the answer is waited for in the handle. It is queued as what is
    /// [lent](Self::lend_draw) is, and lets a program with a loop of its own keep the pace of an output.
    ///
    /// # Errors
    /// The connection has ended.
    pub fn ask_sync(&mut self, output: u32) -> Result<Asked<Shown>, Error> {
        self.ask_later(&Request::Sync { output }, |outcomes| {
            only(outcomes).and_then(|reply| fitting(reply, shown))
        })
    }

    /// Like a [`batch`](Self::batch) without draws, for later: fills and changes of layers.
    ///
    /// # Errors
    /// They are more than fit a message, or the connection has ended.
    pub fn ask_batch(&mut self, entries: &[BatchEntry<'_>]) -> Result<Asked<Receipt>, Error> {
        self.ask_later(&batch::request(entries, 0), receipt)
    }

    fn ask_later<T>(
        &mut self,
        request: &Request<'_>,
        answer: fn(Vec<Outcome>) -> Result<T, Error>,
    ) -> Result<Asked<T>, Error> {
        let ticket = self.shared.exchange().submit(request, None, self.priority)?;
        Ok(Asked::new(&self.shared, ticket..ticket + 1, answer))
    }
}
