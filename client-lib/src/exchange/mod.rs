//! What a connection and the regions and handles that it gave out share: operations on their way, their outcomes, and
//! what is needed to go on with another daemon.

mod keeper;
mod operation;
mod shared;
mod watch;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use blitd_protocol::reply::{Reply, Welcome};
use blitd_protocol::request::{RegionCreate, Request};
use blitd_protocol::value::{Access, Memory, Priority};

use crate::error::Error;
use crate::link::Link;
use crate::memory;
use crate::record::Record;
use crate::region::{Backing, new_id};
pub(crate) use keeper::Way;
pub(crate) use operation::Ticket;
use operation::{Operation, Sender};
pub(crate) use shared::Shared;
use shared::locked;
use watch::Watch;

/// Whether anything can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The daemon is there.
    Up,
    /// The daemon is gone, and is waited for.
    Down,
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
    /// What the daemon has of this connection, where that is to be restored. Its lock is taken after that of the
    /// exchange, and while the state is `Down` not together with it: then it may be held for as long as a restoring
    /// takes.
    record: Option<Arc<Mutex<Record>>>,
    /// Layers to be created whose pictures are not kept.
    repainted: BTreeSet<u32>,
    next_ticket: Ticket,
    operations: VecDeque<Operation>,
    outcomes: BTreeMap<Ticket, Result<Reply<'static>, Error>>,
    /// An operation was answered since the daemon came.
    has_answered: bool,
    /// Why the daemon could not be connected to last.
    why: String,
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

    /// The ticket of the operation that will be next.
    pub(crate) const fn next_ticket(&self) -> Ticket {
        self.next_ticket
    }

    /// The picture of a layer that is about to be created will not be kept.
    pub(crate) fn will_be_repainted(&mut self, layer: u32) {
        self.repainted.insert(layer);
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
        let sent = match self.state {
            State::Ended { .. } => return Err(Error::Closed),
            State::Down => {
                // What cannot be sent is told at once, as if there were a daemon.
                request.encode(1, priority, &mut Vec::new())?;
                None
            }
            State::Up => {
                save_if_captured(self.record.as_deref(), request, backing.as_deref());
                let mut sender = Sender { link: &mut self.link, mode: self.welcome.mode, priority };
                Some(sender.send(request, backing.as_deref())?)
            }
        };
        let kept = self.record.is_some().then(|| request.clone().into_owned());
        let mut operation = Operation::new(self.next_ticket, priority, kept, backing, is_wanted);
        if let Some(sent) = sent {
            operation = operation.sent(sent);
        }
        self.operations.push_back(operation);
        self.next_ticket += 1;
        Ok(())
    }

    /// Puts an operation of the library's own behind those that are to be sent. Where the connection has ended, nothing
    /// of it is needed.
    fn push_own(&mut self, request: &Request<'_>, backing: Option<Arc<Backing>>) {
        let _ = self.push(request, backing, Priority::DEFAULT.min(self.ceiling()), false);
    }

    fn ceiling(&self) -> Priority {
        Priority::new(self.welcome.ceiling).unwrap_or_default()
    }

    /// The program has dropped a region.
    fn end_region(&mut self, region: u32) {
        self.push_own(&Request::RegionDestroy { region }, None);
    }

    /// Nobody waits for these operations any more.
    fn let_go(&mut self, tickets: Range<Ticket>) {
        for operation in &mut self.operations {
            operation.is_wanted &= !tickets.contains(&operation.ticket);
        }
        for ticket in tickets {
            self.outcomes.remove(&ticket);
        }
    }

    /// Sends what is queued, as far as the socket takes it now.
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        match self.state {
            State::Up => {
                self.link.flush().map_err(|error| self.fail(error))?;
                self.watch.update(&self.link)
            }
            State::Down => Ok(()),
            State::Ended { .. } => Err(Error::Closed),
        }
    }

    /// Sends what is queued and takes in what has come; waits for something to come if it may, and there is a daemon.
    /// For a program's own loop, whose descriptor it keeps right.
    pub(crate) fn dispatch(&mut self, wait: Option<Duration>) -> Result<(), Error> {
        self.receive(wait)?;
        if self.state == State::Up { self.watch.update(&self.link) } else { Ok(()) }
    }

    fn receive(&mut self, wait: Option<Duration>) -> Result<(), Error> {
        match self.state {
            State::Up => {}
            State::Down => return Ok(()),
            State::Ended { .. } => return Err(Error::Closed),
        }
        let outcome = self.link.dispatch(wait);
        self.hear().map_err(|error| self.fail(error))?;
        if !self.link.has_ended() {
            return outcome.map(drop).map_err(|error| self.fail(error));
        }
        if self.record.is_some() {
            self.go_down();
            return Ok(());
        }
        self.state = State::Ended { by_daemon: true };
        outcome.map(drop)
    }

    /// Takes in the replies that have come.
    fn hear(&mut self) -> Result<(), Error> {
        while let Some(operation) = self.operations.front_mut() {
            if !operation.hear(&mut self.link)? {
                break;
            }
            let Some(mut operation) = self.operations.pop_front() else { break };
            self.has_answered = true;
            let Some(reply) = operation.take_outcome() else { continue };
            let (ticket, is_wanted) = (operation.ticket, operation.is_wanted);
            let reply = self.record(operation, reply);
            if is_wanted {
                self.outcomes.insert(ticket, Ok(reply));
            }
        }
        Ok(())
    }

    /// Enters what came of an operation into the record.
    fn record(&mut self, operation: Operation, reply: Reply<'static>) -> Reply<'static> {
        let (Some(record), Some(request)) = (self.record.clone(), operation.request) else { return reply };
        let mut record = locked(&record);
        let repainted = match &request {
            Request::LayerCreate(create) => self.repainted.take(&create.layer),
            _ => None,
        };
        match reply {
            Reply::Refused(refusal) => Reply::Refused(record.refused(&request, refusal)),
            Reply::Done(_) => {
                for layer in record.done(request, operation.backing) {
                    self.capture(&mut record, layer);
                }
                repainted.into_iter().for_each(|layer| record.is_repainted(layer));
                reply
            }
            Reply::Token(token) => {
                record.lingers(&request, token);
                repainted.into_iter().for_each(|layer| record.is_repainted(layer));
                reply
            }
            Reply::Claimed(layer) => {
                if let Some(layer) = record.claimed(&request, &layer) {
                    self.capture(&mut record, layer);
                }
                reply
            }
            reply => reply,
        }
    }

    /// Asks for one image of a layer, in place of the many parts of its picture.
    fn capture(&mut self, record: &mut Record, layer: u32) {
        let Some(picture) = record.picture(layer) else { return };
        let Ok((_, descriptor)) = memory::shared(picture.bytes()) else { return picture.forget() };
        let region = new_id();
        let size = picture.bytes() as u64;
        let backing = Arc::new(Backing::new(region, descriptor, size, Memory::Memfd, Access::ReadWrite));
        let create: RegionCreate = backing.create();
        let capture = picture.begin_capture(layer, region);
        self.push_own(&Request::RegionCreate(create), Some(Arc::clone(&backing)));
        self.push_own(&Request::Capture(capture), Some(backing));
        self.end_region(region);
    }

    /// The daemon has gone. What it has not answered is asked again when it is back.
    fn go_down(&mut self) {
        self.state = State::Down;
        self.watch.remove(&self.link);
        self.link.close();
        self.operations.iter_mut().for_each(Operation::forget);
    }

    /// A daemon is there again, and has what the record holds.
    fn go_up(&mut self, link: Link, welcome: Welcome) {
        (self.link, self.welcome, self.state, self.has_answered) = (link, welcome, State::Up, false);
        let mut unsent = Vec::new();
        self.operations.retain_mut(|operation| {
            if let Some(request) = &operation.request {
                save_if_captured(self.record.as_deref(), request, operation.backing.as_deref());
            }
            let outcome = operation.send_again(&mut self.link, welcome.mode);
            let keep = |error| unsent.push((operation.ticket, operation.is_wanted, error));
            outcome.map_err(keep).is_ok()
        });
        let unsent = unsent.into_iter().filter(|(_, is_wanted, _)| *is_wanted);
        self.outcomes.extend(unsent.map(|(ticket, _, error)| (ticket, Err(error))));
        self.link.outputs_changed();
        self.watch.notify();
        // What goes wrong here is found by who asks next, or by the keeper.
        let sent = self.watch.add(&self.link).and_then(|()| self.flush());
        if let Err(error) = sent {
            self.fail(error);
        }
    }

    /// Ends the connection for an error of this end or the daemon's.
    pub(crate) fn fail(&mut self, error: Error) -> Error {
        if let State::Up | State::Down = self.state {
            // Who is gone uses nothing.
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

    /// Whether there are all of these outcomes, or no more will come.
    pub(crate) fn is_ready(&self, tickets: &Range<Ticket>) -> bool {
        self.has_all(tickets) || matches!(self.state, State::Ended { .. })
    }

    /// Whether there are all of these outcomes, of which none was taken. Replies come in the order of the requests, but
    /// what could not be sent has its outcome before those of the requests that were sent before it.
    fn has_all(&self, tickets: &Range<Ticket>) -> bool {
        let is_last = |last| self.outcomes.contains_key(&last);
        let count = || self.outcomes.range(tickets.clone()).count() as u64;
        tickets.clone().next_back().is_none_or(is_last) && count() == tickets.end - tickets.start
    }

    /// The outcome of an operation, if it is there. A refusal is an error.
    pub(crate) fn take(&mut self, ticket: Ticket) -> Option<Result<Reply<'static>, Error>> {
        self.outcomes.remove(&ticket).map(|outcome| match outcome {
            Ok(Reply::Refused(refusal)) => Err(refusal.into()),
            outcome => outcome,
        })
    }

    /// How many outcomes nobody has taken.
    #[cfg(test)]
    pub(crate) fn untaken(&self) -> usize {
        self.outcomes.len()
    }

    /// Withdraws an operation that was not sent, since there is no daemon.
    pub(crate) fn withdraw(&mut self, ticket: Ticket) {
        self.operations.retain(|operation| operation.ticket != ticket);
    }

    /// Waits until there are all of these outcomes, which is true, or the daemon has gone. A deadline of `None` is never.
    ///
    /// # Errors
    /// [`Error::TimedOut`], after which the connection can still be used; or the connection has ended.
    fn wait(&mut self, tickets: &Range<Ticket>, deadline: Option<Instant>) -> Result<bool, Error> {
        let mut left = None;
        while !self.has_all(tickets) {
            match self.state {
                State::Up => {}
                State::Down => return Ok(false),
                State::Ended { .. } => return Err(Error::Closed),
            }
            if left == Some(Duration::ZERO) {
                return Err(Error::TimedOut);
            }
            left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            self.receive(left)?;
            // What is behind it may not all have gone, and who waits then for the descriptor counts on its being sent.
            if self.state == State::Up && self.link.unsent() > 0 {
                self.watch.update(&self.link)?;
            }
        }
        Ok(true)
    }
}

/// A capture changes its region: what pictures show of that is copied before it is sent.
fn save_if_captured(record: Option<&Mutex<Record>>, request: &Request<'_>, backing: Option<&Backing>) {
    if let (Request::Capture(_), Some(record), Some(backing)) = (request, record, backing)
        && backing.is_marked()
    {
        locked(record).save(backing, None);
    }
}
