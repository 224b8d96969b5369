//! Room 4, queue: whose request is worked on next.
//!
//! Pure. Connections are numbers, requests are whatever the server wants. The rules:
//!
//! - The highest effective priority goes first. A connection's is the highest of all its requests that wait or are
//!   worked on, so that its head inherits what is urgent behind it.
//! - Within a connection requests keep their order, one at a time.
//! - A request that has been started yields to a strictly higher effective priority at once, and to its equals only
//!   after a quantum of [`QUANTUM`] slices. (Without the quantum, one batch of 512 fills of 4000x4000 pixels kept a 1x1
//!   fill of another client at the same priority waiting for 1.9 s.)
//! - Equals take turns, request by request: first the one that has been waiting longest.

use std::cmp::Reverse;
use std::collections::VecDeque;

use blitd_protocol::value::{MAX_PRIORITY, Priority};
use foldhash::HashMap;

/// After how many slices a started request goes behind its equals. A draw or a capture of 3840x2160 takes half as many.
pub const QUANTUM: u32 = 256;

/// A connection's number.
pub type ConnectionId = u64;

/// Whose turn it is among those that can be worked on: the first. The more urgent go first, of equals the one that has
/// begun its turn, and then the one that has been waiting longest.
type Rank = (Reverse<u32>, Reverse<bool>, u64, ConnectionId);

/// The requests of one connection.
#[derive(Debug)]
struct Line<T> {
    waiting: VecDeque<(Priority, T)>,
    started: Option<Priority>,
    blocked: bool,
    /// Nothing of it is begun, whoever else waits.
    held: bool,
    /// Slices that the started request has had since its turn began, the one under way included; none between turns.
    worked: u32,
    /// How many requests of each priority there are, the started one included.
    counts: [u32; MAX_PRIORITY as usize + 1],
    /// A bit for each priority of which there are any.
    present: u64,
    /// The turn since which it has been waiting.
    since: u64,
    /// Its place among those that can be worked on, if it is one of them.
    rank: Option<Rank>,
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            started: None,
            blocked: false,
            held: false,
            worked: 0,
            counts: [0; MAX_PRIORITY as usize + 1],
            present: 0,
            since: 0,
            rank: None,
        }
    }
}

impl<T> Line<T> {
    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.started.is_none()
    }

    /// The rank that it should have.
    fn due_rank(&self, connection: ConnectionId) -> Option<Rank> {
        let is_ready = !self.is_empty() && !self.blocked && !self.held;
        let holds_its_turn = self.started.is_some() && self.worked > 0;
        is_ready.then_some((Reverse(self.effective()), Reverse(holds_its_turn), self.since, connection))
    }

    fn effective(&self) -> u32 {
        u64::BITS - self.present.leading_zeros()
    }

    fn count(&mut self, priority: Priority) {
        let number = usize::from(priority.number());
        self.counts[number] += 1;
        self.present |= 1 << number;
    }

    fn discount(&mut self, priority: Priority) {
        let number = usize::from(priority.number());
        self.counts[number] -= 1;
        if self.counts[number] == 0 {
            self.present &= !(1 << number);
        }
    }
}

/// All requests that wait, and those that are being worked on.
#[derive(Debug)]
pub struct Queue<T> {
    /// Every connection that has had a request here: what it has allocated is there for its next ones.
    lines: HashMap<ConnectionId, Line<T>>,
    /// Those that can be worked on, the next one last. They are few, and mostly one: no tree is as fast.
    ready: Vec<Rank>,
    turn: u64,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { lines: HashMap::default(), ready: Vec::new(), turn: 0 }
    }
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The connection.
    pub connection: ConnectionId,
    /// Whether its request has been started.
    pub started: bool,
}

impl<T> Queue<T> {
    /// Puts a request behind those of its connection.
    pub fn push(&mut self, connection: ConnectionId, priority: Priority, request: T) {
        let turn = self.next_turn();
        self.lines.entry(connection).or_default();
        self.change(connection, |line| {
            if line.is_empty() {
                line.since = turn;
            }
            line.count(priority);
            line.waiting.push_back((priority, request));
        });
    }

    /// How many requests a connection has here.
    pub fn len(&self, connection: ConnectionId) -> usize {
        self.lines.get(&connection).map_or(0, |line| line.waiting.len() + usize::from(line.started.is_some()))
    }

    /// Whether nothing can be worked on.
    pub fn is_idle(&self) -> bool {
        self.ready.is_empty()
    }

    /// Whose turn it is, if anybody can go on.
    pub fn next(&self) -> Option<Turn> {
        let (.., connection) = *self.ready.last()?;
        let started = self.lines.get(&connection)?.started.is_some();
        Some(Turn { connection, started })
    }

    /// A connection's effective priority and one, or 0 where it has no requests: so whoever is the more urgent has more.
    pub fn urgency(&self, connection: ConnectionId) -> u32 {
        self.lines.get(&connection).map_or(0, Line::effective)
    }

    /// Takes a connection's head to be worked on. It counts until [`finish`](Self::finish).
    pub fn start(&mut self, connection: ConnectionId) -> Option<T> {
        self.change(connection, |line| {
            if line.started.is_some() {
                return None;
            }
            let (priority, request) = line.waiting.pop_front()?;
            line.started = Some(priority);
            line.worked = 1;
            Some(request)
        })?
    }

    /// The started request has had another slice. At the end of its quantum it goes behind its equals.
    pub fn worked(&mut self, connection: ConnectionId) {
        let turn = self.next_turn();
        self.change(connection, |line| {
            // A turn that has begun anew was told of by no start: its first slice is over, and its second under way.
            line.worked = line.worked.max(1) + 1;
            if line.worked > QUANTUM {
                line.worked = 0;
                line.since = turn;
            }
        });
    }

    /// Nothing of a connection is begun or gone on with until it is [released](Self::release).
    pub fn hold(&mut self, connection: ConnectionId) {
        self.change(connection, |line| line.held = !line.is_empty());
    }

    /// What was held goes on.
    pub fn release(&mut self, connection: ConnectionId) {
        self.change(connection, |line| line.held = false);
    }

    /// The started request is done; the next one becomes the head and waits for its turn.
    pub fn finish(&mut self, connection: ConnectionId) {
        let turn = self.next_turn();
        self.change(connection, |line| {
            if let Some(priority) = line.started.take() {
                line.discount(priority);
            }
            line.blocked = false;
            line.held &= !line.is_empty();
            line.since = turn;
        });
    }

    /// The started request cannot go on until [`unblock`](Self::unblock) or [`finish`](Self::finish): its connection
    /// waits, nobody else does.
    pub fn block(&mut self, connection: ConnectionId) {
        self.change(connection, |line| line.blocked = !line.is_empty());
    }

    /// The started request can go on, when its turn comes.
    pub fn unblock(&mut self, connection: ConnectionId) {
        self.change(connection, |line| line.blocked = false);
    }

    /// Forgets a connection.
    pub fn remove(&mut self, connection: ConnectionId) {
        if let Some(rank) = self.lines.remove(&connection).and_then(|line| line.rank) {
            unrank(&mut self.ready, rank);
        }
    }

    /// Changes a connection's line, and its place among those that can be worked on.
    fn change<R>(&mut self, connection: ConnectionId, change: impl FnOnce(&mut Line<T>) -> R) -> Option<R> {
        let line = self.lines.get_mut(&connection)?;
        let result = change(line);
        let due = line.due_rank(connection);
        if line.rank != due {
            if let Some(before) = std::mem::replace(&mut line.rank, due) {
                unrank(&mut self.ready, before);
            }
            if let Some(due) = due {
                let place = self.ready.partition_point(|other| *other > due);
                self.ready.insert(place, due);
            }
        }
        Some(result)
    }

    fn next_turn(&mut self) -> u64 {
        self.turn += 1;
        self.turn
    }
}

/// Takes a rank out of those that can be worked on, where it is.
fn unrank(ready: &mut Vec<Rank>, rank: Rank) {
    if let Ok(place) = ready.binary_search_by(|other| rank.cmp(other)) {
        ready.remove(place);
    }
}

#[cfg(test)]
mod tests;
