//! What a connection and the regions and handles that it gave out share: operations on their way, and their outcomes.

mod operation;
mod watch;

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use blitd_protocol::reply::{Reply, Welcome};
use blitd_protocol::request::Request;
use blitd_protocol::value::Priority;

use crate::error::Error;
use crate::link::Link;
use crate::region::Backing;
pub(crate) use operation::Ticket;
use operation::{Operation, Sender};
use watch::Watch;

/// A connection's exchange, and what those leave for it who must not wait for it.
#[derive(Debug)]
pub(crate) struct Shared {
    exchange: Mutex<Exchange>,
    watch: Arc<Watch>,
    has_dropped: AtomicBool,
    dropped: Mutex<Vec<Dropped>>,
}

/// What the program has let go of.
#[derive(Debug)]
enum Dropped {
    /// A region, by its id.
    Region(u32),
    /// Operations that nobody waits for any more.
    Operations(Range<Ticket>),
}

/// Whether anything can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The daemon is there.
    Up,
    /// The connection has ended.
    Ended {
        /// The daemon had ended it: what was lent is the program's again.
        by_daemon: bool,
    },
}

/// Operations in the order in which they were asked, and the outcomes that nobody has taken yet.
#[derive(Debug)]
pub(crate) struct Exchange {
    link: Link,
    watch: Arc<Watch>,
    welcome: Welcome,
    state: State,
    next_ticket: Ticket,
    operations: VecDeque<Operation>,
    outcomes: BTreeMap<Ticket, Result<Reply<'static>, Error>>,
}

impl Shared {
    /// The exchange over a link that has been welcomed.
    pub(crate) fn new(link: Link, welcome: Welcome) -> Result<Arc<Self>, Error> {
        let watch = Arc::new(Watch::new(&link)?);
        let exchange = Exchange {
            link,
            watch: Arc::clone(&watch),
            welcome,
            state: State::Up,
            next_ticket: 0,
            operations: VecDeque::new(),
            outcomes: BTreeMap::new(),
        };
        let dropped = Mutex::default();
        let has_dropped = AtomicBool::new(false);
        Ok(Arc::new(Self { exchange: Mutex::new(exchange), watch, has_dropped, dropped }))
    }

    /// The exchange, with what was let go of dealt with.
    pub(crate) fn exchange(&self) -> MutexGuard<'_, Exchange> {
        let mut exchange = locked(&self.exchange);
        if self.has_dropped.swap(false, Ordering::Acquire) {
            for dropped in std::mem::take(&mut *locked(&self.dropped)) {
                exchange.let_go(dropped);
            }
        }
        exchange
    }

    /// The program has dropped a region.
    pub(crate) fn drop_region(&self, region: u32) {
        self.leave(Dropped::Region(region));
    }

    /// The program has dropped the handle of these operations.
    pub(crate) fn drop_operations(&self, tickets: Range<Ticket>) {
        self.leave(Dropped::Operations(tickets));
    }

    /// Ends the connection.
    pub(crate) fn end(&self) {
        self.exchange().fail(Error::Closed);
    }

    fn leave(&self, dropped: Dropped) {
        locked(&self.dropped).push(dropped);
        self.has_dropped.store(true, Ordering::Release);
    }
}

/// What a thread that panics leaves is still whole: nothing here is changed in steps that can panic.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Exchange {
    /// What the daemon said when it let the connection in.
    pub(crate) const fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    /// The link, for what is counted there.
    pub(crate) const fn link(&mut self) -> &mut Link {
        &mut self.link
    }

    /// Puts an operation behind those that are to be sent.
    ///
    /// # Errors
    /// It cannot be sent, and nothing of it will be; or the connection has ended.
    pub(crate) fn submit(
        &mut self,
        request: &Request<'_>,
        backing: Option<Arc<Backing>>,
        priority: Priority,
    ) -> Result<Ticket, Error> {
        let ticket = self.next_ticket;
        self.push(request, backing, priority, true)?;
        Ok(ticket)
    }

    /// The ticket of the operation that will be next.
    pub(crate) const fn next_ticket(&self) -> Ticket {
        self.next_ticket
    }

    /// Puts an operation behind those that are to be sent. Where it cannot be sent, that is its outcome.
    pub(crate) fn post(&mut self, request: &Request<'_>, backing: Option<Arc<Backing>>, priority: Priority) {
        let ticket = self.next_ticket;
        if let Err(error) = self.push(request, backing, priority, true) {
            self.next_ticket = ticket + 1;
            self.outcomes.insert(ticket, Err(error));
        }
    }

    fn push(
        &mut self,
        request: &Request<'_>,
        backing: Option<Arc<Backing>>,
        priority: Priority,
        is_wanted: bool,
    ) -> Result<(), Error> {
        if self.state != State::Up {
            return Err(Error::Closed);
        }
        let mut sender = Sender { link: &mut self.link, mode: self.welcome.mode, priority };
        let sent = sender.send(request, backing.as_deref())?;
        self.operations.push_back(Operation::new(self.next_ticket, backing, is_wanted, sent));
        self.next_ticket += 1;
        Ok(())
    }

    fn let_go(&mut self, dropped: Dropped) {
        match dropped {
            Dropped::Region(region) => {
                // Where the connection has ended, so has the region.
                let _ = self.push(&Request::RegionDestroy { region }, None, Priority::DEFAULT, false);
            }
            Dropped::Operations(tickets) => {
                for operation in &mut self.operations {
                    operation.is_wanted &= !tickets.contains(&operation.ticket);
                }
                for ticket in tickets {
                    self.outcomes.remove(&ticket);
                }
            }
        }
    }

    /// Sends what is queued, as far as the socket takes it now.
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        if self.state != State::Up {
            return Err(Error::Closed);
        }
        self.link.flush().map_err(|error| self.fail(error))?;
        self.watch.update(&self.link)
    }

    /// Sends what is queued and takes in what has come; waits for something to come if it may. For a program's own
    /// loop, whose descriptor it keeps right.
    pub(crate) fn dispatch(&mut self, wait: Option<Duration>) -> Result<(), Error> {
        self.receive(wait)?;
        if self.state == State::Up { self.watch.update(&self.link) } else { Ok(()) }
    }

    fn receive(&mut self, wait: Option<Duration>) -> Result<(), Error> {
        if self.state != State::Up {
            return Err(Error::Closed);
        }
        let outcome = self.link.dispatch(wait);
        self.hear().map_err(|error| self.fail(error))?;
        if self.link.has_ended() {
            self.state = State::Ended { by_daemon: true };
            return outcome.map(drop);
        }
        outcome.map(drop).map_err(|error| self.fail(error))
    }

    /// Takes in the replies that have come.
    fn hear(&mut self) -> Result<(), Error> {
        while let Some(operation) = self.operations.front_mut() {
            if !operation.hear(&mut self.link)? {
                break;
            }
            let Some(operation) = self.operations.pop_front() else { break };
            let (ticket, is_wanted) = (operation.ticket, operation.is_wanted);
            if let Some(reply) = operation.outcome().filter(|_| is_wanted) {
                self.outcomes.insert(ticket, Ok(reply));
            }
        }
        Ok(())
    }

    /// Ends the connection for an error of this end or the daemon's.
    pub(crate) fn fail(&mut self, error: Error) -> Error {
        if self.state == State::Up {
            self.state = State::Ended { by_daemon: self.link.has_ended() };
            self.link.close();
        }
        error
    }

    /// Ends the connection if an operation ended with an error after which it is of no more use. After a refusal the
    /// daemon does that.
    pub(crate) fn fail_if_over(&mut self, error: Error) -> Error {
        match error {
            Error::Refused(_) => error,
            error if error.ends_connection() => self.fail(error),
            error => error,
        }
    }

    /// Whether what an operation lent that ended with this error may still be in use.
    pub(crate) fn is_lost(&self, error: &Error) -> bool {
        error.ends_connection()
            && !matches!(error, Error::Refused(_))
            && self.state != State::Ended { by_daemon: true }
    }

    /// Whether there is an outcome, or none will come.
    pub(crate) fn is_ready(&self, ticket: Ticket) -> bool {
        self.outcomes.contains_key(&ticket) || self.state != State::Up
    }

    /// The outcome of an operation, if it is there. A refusal is an error.
    pub(crate) fn take(&mut self, ticket: Ticket) -> Option<Result<Reply<'static>, Error>> {
        self.outcomes.remove(&ticket).map(|outcome| match outcome {
            Ok(Reply::Refused(refusal)) => Err(refusal.into()),
            outcome => outcome,
        })
    }

    /// Waits for the outcome of an operation and takes it.
    ///
    /// # Errors
    /// Those of [`wait`](Self::wait), and what the operation itself ended with.
    pub(crate) fn finish(
        &mut self,
        ticket: Ticket,
        deadline: Option<Instant>,
    ) -> Result<Reply<'static>, Error> {
        self.wait(ticket, deadline)?;
        self.take(ticket).unwrap_or(Err(Error::NotPending { serial: ticket }))
    }

    /// Waits until there is an outcome. A deadline of `None` is never.
    ///
    /// # Errors
    /// [`Error::TimedOut`], after which the connection can still be used; or the connection has ended.
    pub(crate) fn wait(&mut self, ticket: Ticket, deadline: Option<Instant>) -> Result<(), Error> {
        let mut left = None;
        while !self.outcomes.contains_key(&ticket) {
            if self.state != State::Up {
                return Err(Error::Closed);
            }
            if left == Some(Duration::ZERO) {
                return Err(Error::TimedOut);
            }
            left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            self.receive(left)?;
        }
        Ok(())
    }
}

impl AsFd for Shared {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.watch.as_fd()
    }
}
