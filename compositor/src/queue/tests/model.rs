//! The queue's rules written down as plainly as can be: one flat list of requests, and the connections in the order in
//! which they wait. Slow, and short enough to be seen to be right.

use super::super::{ConnectionId, QUANTUM, Turn};

/// A request. Its number is what the queue holds for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) connection: ConnectionId,
    pub(super) priority: u8,
    pub(super) number: u32,
    /// Once it has been taken to be worked on: the slices that its turn has had, the one under way included. Between
    /// two turns it has none.
    pub(super) slices: Option<u32>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    /// All requests, in the order in which they came.
    pub(super) requests: Vec<Request>,
    /// Connections that have requests: first the one that has waited longest.
    order: Vec<ConnectionId>,
    blocked: Vec<ConnectionId>,
    held: Vec<ConnectionId>,
}

fn without(list: &mut Vec<ConnectionId>, connection: ConnectionId) {
    list.retain(|other| *other != connection);
}

impl Model {
    pub(super) fn of(&self, connection: ConnectionId) -> impl Iterator<Item = &Request> {
        self.requests.iter().filter(move |request| request.connection == connection)
    }

    fn head(&mut self, connection: ConnectionId) -> Option<&mut Request> {
        self.requests.iter_mut().find(|request| request.connection == connection)
    }

    /// The connection's request that has been taken to be worked on. It is always its first.
    pub(super) fn started(&self, connection: ConnectionId) -> Option<&Request> {
        self.of(connection).find(|request| request.slices.is_some())
    }

    pub(super) fn effective(&self, connection: ConnectionId) -> Option<u8> {
        self.of(connection).map(|request| request.priority).max()
    }

    /// Connections that can be worked on, in the order in which they wait.
    pub(super) fn ready(&self) -> Vec<ConnectionId> {
        let can = |id: &ConnectionId| !self.blocked.contains(id) && !self.held.contains(id);
        self.order.iter().copied().filter(can).collect()
    }

    pub(super) fn next(&self) -> Option<Turn> {
        let ready = self.ready();
        let highest = ready.iter().map(|id| self.effective(*id)).max()?;
        let mut equals = ready.into_iter().filter(|id| self.effective(*id) == highest);
        let in_its_turn = |id: &ConnectionId| self.started(*id).is_some_and(|it| it.slices > Some(0));
        let first = equals.clone().find(in_its_turn).or_else(|| equals.next())?;
        Some(Turn { connection: first, started: self.started(first).is_some() })
    }

    pub(super) fn push(&mut self, connection: ConnectionId, priority: u8, number: u32) {
        if !self.order.contains(&connection) {
            self.order.push(connection);
        }
        self.requests.push(Request { connection, priority, number, slices: None });
    }

    pub(super) fn start(&mut self, connection: ConnectionId) -> Option<u32> {
        let head = self.head(connection).filter(|head| head.slices.is_none())?;
        head.slices = Some(1);
        Some(head.number)
    }

    pub(super) fn worked(&mut self, connection: ConnectionId) {
        let Some(head) = self.head(connection) else { return };
        // The one that is over, and the one that begins.
        let slices = head.slices.unwrap_or_default().max(1) + 1;
        let is_over = slices > QUANTUM;
        head.slices = Some(if is_over { 0 } else { slices });
        if is_over {
            self.wait_anew(connection);
        }
    }

    pub(super) fn finish(&mut self, connection: ConnectionId) {
        if let Some(first) = self.requests.iter().position(|request| request.connection == connection) {
            self.requests.remove(first);
            without(&mut self.blocked, connection);
            self.wait_anew(connection);
        }
        if self.of(connection).next().is_none() {
            self.remove(connection);
        }
    }

    fn wait_anew(&mut self, connection: ConnectionId) {
        without(&mut self.order, connection);
        self.order.push(connection);
    }

    pub(super) fn block(&mut self, connection: ConnectionId) {
        self.blocked.push(connection);
    }

    pub(super) fn unblock(&mut self, connection: ConnectionId) {
        without(&mut self.blocked, connection);
    }

    pub(super) fn hold(&mut self, connection: ConnectionId) {
        if self.order.contains(&connection) {
            self.held.push(connection);
        }
    }

    pub(super) fn release(&mut self, connection: ConnectionId) {
        without(&mut self.held, connection);
    }

    pub(super) fn remove(&mut self, connection: ConnectionId) {
        self.requests.retain(|request| request.connection != connection);
        for list in [&mut self.order, &mut self.blocked, &mut self.held] {
            without(list, connection);
        }
    }
}
