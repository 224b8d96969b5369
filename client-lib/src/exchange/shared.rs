//! An exchange behind its lock, and what those leave for it who must not wait for it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use blitd_protocol::reply::{Reply, Welcome};

use super::operation::Ticket;
use super::watch::Watch;
use super::{Exchange, State, Way, keeper};
use crate::error::Error;
use crate::link::Link;
use crate::record::Record;
use crate::region::Backing;

/// What a connection, its regions and its handles share.
#[derive(Debug)]
pub(crate) struct Shared {
    exchange: Mutex<Exchange>,
    /// The daemon is back, or the connection has ended.
    changed: Condvar,
    watch: Arc<Watch>,
    record: Option<Arc<Mutex<Record>>>,
    has_dropped: AtomicBool,
    dropped: Mutex<Vec<Dropped>>,
}

/// What the program has let go of.
#[derive(Debug)]
enum Dropped {
    /// A region, by its id.
    Region(u32),
    /// The handle of operations.
    Operations(Range<Ticket>),
}

impl Shared {
    /// The exchange over a link that has been welcomed. With a way to come by another, it is restored when the daemon
    /// comes back.
    pub(crate) fn new(link: Link, welcome: Welcome, way: Option<Way>) -> Result<Arc<Self>, Error> {
        let watch = Arc::new(Watch::new(&link)?);
        let record = way.is_some().then(Arc::default);
        let socket = keeper::Socket::of(&link);
        let exchange = Exchange {
            link,
            watch: Arc::clone(&watch),
            welcome,
            state: State::Up,
            record: record.clone(),
            repainted: BTreeSet::new(),
            next_ticket: 0,
            operations: VecDeque::new(),
            outcomes: BTreeMap::new(),
            has_answered: false,
            why: String::new(),
        };
        let shared = Arc::new(Self {
            exchange: Mutex::new(exchange),
            changed: Condvar::new(),
            watch,
            record,
            has_dropped: AtomicBool::new(false),
            dropped: Mutex::default(),
        });
        if let Some(way) = way {
            keeper::start(Arc::clone(&shared), socket?, way)?;
        }
        Ok(shared)
    }

    /// The exchange, with what was let go of dealt with.
    pub(crate) fn exchange(&self) -> MutexGuard<'_, Exchange> {
        let mut exchange = locked(&self.exchange);
        if self.has_dropped.swap(false, Ordering::Acquire) {
            for dropped in std::mem::take(&mut *locked(&self.dropped)) {
                match dropped {
                    Dropped::Region(region) => exchange.end_region(region),
                    Dropped::Operations(tickets) => exchange.let_go(tickets),
                }
            }
        }
        exchange
    }

    /// The record, where there is one.
    pub(crate) fn record(&self) -> Option<MutexGuard<'_, Record>> {
        self.record.as_deref().map(locked)
    }

    /// Waits for the outcomes of operations, also while the daemon is gone.
    ///
    /// # Errors
    /// [`Error::TimedOut`] or [`Error::Away`], after which the operations go on; or the connection has ended.
    pub(crate) fn wait(
        &self,
        tickets: &Range<Ticket>,
        deadline: Option<Instant>,
    ) -> (MutexGuard<'_, Exchange>, Result<(), Error>) {
        let mut exchange = self.exchange();
        loop {
            match exchange.wait(tickets, deadline) {
                Ok(true) => return (exchange, Ok(())),
                Ok(false) => {}
                Err(error) => return (exchange, Err(error)),
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                let why = exchange.why.clone();
                return (exchange, Err(Error::Away { why }));
            }
            exchange = self.wait_for_change(exchange, left);
        }
    }

    /// Waits for the outcome of an operation and takes it.
    ///
    /// # Errors
    /// [`Error::Away`], and then it is withdrawn; those of [`wait`](Self::wait), and what the operation ended with.
    pub(crate) fn finish(
        &self,
        ticket: Ticket,
        deadline: Option<Instant>,
    ) -> (MutexGuard<'_, Exchange>, Result<Reply<'static>, Error>) {
        let (mut exchange, outcome) = self.wait(&(ticket..ticket + 1), deadline);
        if matches!(outcome, Err(Error::Away { .. })) {
            exchange.withdraw(ticket);
        }
        let outcome =
            outcome.and_then(|()| exchange.take(ticket).unwrap_or(Err(Error::NotPending { serial: ticket })));
        (exchange, outcome)
    }

    /// Does all that there is to do, and waits for something to come, or for the daemon to come back, if it may.
    pub(crate) fn dispatch(&self, wait: Option<Duration>) -> Result<(), Error> {
        let mut exchange = self.exchange();
        let is_down = exchange.state == State::Down;
        if is_down && wait != Some(Duration::ZERO) {
            exchange = self.wait_for_change(exchange, wait);
        }
        self.watch.clear();
        exchange.dispatch(if is_down { Some(Duration::ZERO) } else { wait })
    }

    fn wait_for_change<'a>(
        &'a self,
        exchange: MutexGuard<'a, Exchange>,
        longest: Option<Duration>,
    ) -> MutexGuard<'a, Exchange> {
        match longest {
            Some(longest) => {
                let waited = self.changed.wait_timeout(exchange, longest);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => self.changed.wait(exchange).unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Waits for a while, or until the connection ends; false then.
    pub(super) fn pause(&self, longest: Duration) -> bool {
        let exchange = self.exchange();
        exchange.state == State::Down && self.wait_for_change(exchange, Some(longest)).state == State::Down
    }

    /// A daemon is there again; false where nobody waits for it any more.
    pub(super) fn go_up(&self, link: Link, welcome: Welcome) -> bool {
        let mut exchange = self.exchange();
        if exchange.state != State::Down {
            return false;
        }
        exchange.go_up(link, welcome);
        self.changed.notify_all();
        true
    }

    /// The socket has hung up. Takes in what came before; tells whether the daemon is to be waited for, and then whether
    /// it can have gone for what this connection asked.
    pub(super) fn hung_up(&self) -> Option<bool> {
        let mut exchange = self.exchange();
        // An error that ends the connection is told to who asks next.
        let _ = exchange.receive(Some(Duration::ZERO));
        let suspect = !exchange.has_answered && !exchange.operations.is_empty();
        (exchange.state == State::Down).then_some(suspect)
    }

    /// Remembers why the daemon could not be connected to.
    pub(super) fn failed(&self, error: &Error) {
        self.exchange().why = error.to_string();
    }

    /// Copies what pictures show of a region that is about to change, whose memory is `mapped` if that is at hand. While a
    /// daemon that has come back is told of the record, this waits.
    pub(crate) fn save_pictures(&self, backing: &Backing, mapped: Option<&[u8]>) {
        if let Some(mut record) = self.record() {
            record.save(backing, mapped);
        }
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
        self.changed.notify_all();
    }

    fn leave(&self, dropped: Dropped) {
        locked(&self.dropped).push(dropped);
        self.has_dropped.store(true, Ordering::Release);
    }
}

impl AsFd for Shared {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.watch.as_fd()
    }
}

/// What a thread that panics leaves is still whole: nothing here is changed in steps that can panic.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
