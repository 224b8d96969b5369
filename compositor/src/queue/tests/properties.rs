//! What holds for whatever clients do.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::{ConnectionId, QUANTUM, Queue};
use super::model::Model;
use super::priority;

const CONNECTIONS: ConnectionId = 5;

/// Something that the server does to the queue.
#[derive(Clone, Copy, Debug)]
enum Step {
    Push(ConnectionId, u8),
    /// Begins what is next, or gives it another slice.
    Work,
    /// So many more slices for what is next.
    WorkOn(u32),
    /// Begins a connection's head, whoever else waits, as a hello's is begun.
    Start(ConnectionId),
    Finish(ConnectionId),
    Block(ConnectionId),
    Unblock(ConnectionId),
    Hold(ConnectionId),
    Release(ConnectionId),
    Remove(ConnectionId),
}

/// Few different ones, so that there are equals; the bounds among them.
fn any_priority() -> impl Strategy<Value = u8> {
    prop_oneof![Just(0u8), Just(10), Just(10), Just(11), Just(63), 0u8..=63]
}

fn step() -> impl Strategy<Value = Step> {
    let connection = || 1..=CONNECTIONS;
    prop_oneof![
        8 => (connection(), any_priority()).prop_map(|(id, priority)| Step::Push(id, priority)),
        8 => Just(Step::Work),
        4 => (1..2 * QUANTUM).prop_map(Step::WorkOn),
        2 => connection().prop_map(Step::Start),
        6 => connection().prop_map(Step::Finish),
        1 => connection().prop_map(Step::Block),
        2 => connection().prop_map(Step::Unblock),
        1 => connection().prop_map(Step::Hold),
        2 => connection().prop_map(Step::Release),
        1 => connection().prop_map(Step::Remove),
    ]
}

/// The queue and its model, to which the same is done.
#[derive(Default)]
struct Pair {
    queue: Queue<u32>,
    model: Model,
    pushed: u32,
}

impl Pair {
    fn push(&mut self, connection: ConnectionId, number: u8) {
        self.pushed += 1;
        self.queue.push(connection, priority(number), self.pushed);
        self.model.push(connection, number, self.pushed);
    }

    fn work(&mut self) -> Result<(), TestCaseError> {
        match self.model.next() {
            Some(turn) if turn.started => {
                self.queue.worked(turn.connection);
                self.model.worked(turn.connection);
            }
            Some(turn) => self.start(turn.connection)?,
            None => {}
        }
        Ok(())
    }

    fn start(&mut self, connection: ConnectionId) -> Result<(), TestCaseError> {
        prop_assert_eq!(self.queue.start(connection), self.model.start(connection));
        Ok(())
    }

    fn apply(&mut self, step: Step) -> Result<(), TestCaseError> {
        // What is said of a started request is said only where there is one.
        let started = |id| self.model.started(id).is_some();
        match step {
            Step::Push(id, number) => self.push(id, number),
            Step::Work => self.work()?,
            Step::WorkOn(slices) => {
                for _ in 0..slices {
                    self.work()?;
                    self.agree()?;
                }
            }
            Step::Start(id) => self.start(id)?,
            Step::Finish(id) if started(id) => {
                self.queue.finish(id);
                self.model.finish(id);
            }
            Step::Block(id) if started(id) => {
                self.queue.block(id);
                self.model.block(id);
            }
            Step::Unblock(id) if started(id) => {
                self.queue.unblock(id);
                self.model.unblock(id);
            }
            Step::Finish(_) | Step::Block(_) | Step::Unblock(_) => {}
            Step::Hold(id) => {
                self.queue.hold(id);
                self.model.hold(id);
            }
            Step::Release(id) => {
                self.queue.release(id);
                self.model.release(id);
            }
            Step::Remove(id) => {
                self.queue.remove(id);
                self.model.remove(id);
            }
        }
        self.agree()
    }

    fn agree(&self) -> Result<(), TestCaseError> {
        prop_assert_eq!(self.queue.next(), self.model.next());
        prop_assert_eq!(self.queue.is_idle(), self.model.ready().is_empty());
        for id in 0..=CONNECTIONS + 1 {
            prop_assert_eq!(self.queue.len(id), self.model.of(id).count());
        }
        Ok(())
    }
}

fn after(steps: &[Step]) -> Result<Pair, TestCaseError> {
    let mut pair = Pair::default();
    for step in steps {
        pair.apply(*step)?;
    }
    Ok(pair)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 0..80)
}

/// Connections with requests of some slices each, all of one priority.
fn equals() -> impl Strategy<Value = Vec<Vec<u32>>> {
    let requests = prop::collection::vec(prop_oneof![4 => 1u32..4, 1 => 1..3 * QUANTUM], 1..6);
    prop::collection::vec(requests, 2..6)
}

proptest! {
    #[test]
    fn it_does_what_the_model_says(steps in steps()) {
        after(&steps)?;
    }

    #[test]
    fn a_connections_requests_are_begun_in_the_order_in_which_they_came(steps in steps()) {
        let mut pair = Pair::default();
        let mut last = BTreeMap::new();
        for step in steps {
            let begun = match step {
                Step::Start(id) => Some(id),
                Step::Work => pair.queue.next().filter(|turn| !turn.started).map(|turn| turn.connection),
                _ => None,
            };
            let Some(id) = begun else {
                pair.apply(step)?;
                continue;
            };
            let number = pair.queue.start(id);
            pair.model.start(id);
            if let Some(number) = number {
                prop_assert!(last.insert(id, number) < Some(number), "connection {} begins {}", id, number);
                prop_assert!(pair.queue.start(id).is_none(), "one at a time");
            }
        }
    }

    #[test]
    fn nothing_lower_goes_on_while_something_higher_can(steps in steps()) {
        let pair = after(&steps)?;
        let chosen = pair.queue.next().and_then(|turn| pair.model.effective(turn.connection));
        let highest = pair.model.ready().iter().filter_map(|id| pair.model.effective(*id)).max();
        prop_assert_eq!(chosen, highest);
    }

    #[test]
    fn what_is_urgent_carries_all_that_is_before_it(steps in steps(), id in 1..=CONNECTIONS) {
        let lower = |step: &Step| match *step {
            Step::Push(id, number) => Step::Push(id, number.min(62)),
            step => step,
        };
        let mut pair = after(&steps.iter().map(lower).collect::<Vec<_>>())?;
        pair.apply(Step::Push(id, 63))?;
        pair.apply(Step::Unblock(id))?;
        pair.apply(Step::Release(id))?;
        for left in (1..=pair.queue.len(id)).rev() {
            let turn = pair.queue.next();
            prop_assert_eq!(turn.map(|turn| turn.connection), Some(id), "{} left", left);
            pair.queue.start(id);
            pair.queue.finish(id);
            prop_assert_eq!(pair.queue.len(id), left - 1);
        }
    }

    #[test]
    fn who_is_gone_has_left_nothing(steps in steps(), id in 1..=CONNECTIONS, number in any_priority()) {
        let mut pair = after(&steps)?;
        pair.queue.remove(id);
        prop_assert_eq!(pair.queue.len(id), 0);
        prop_assert!(pair.queue.next().is_none_or(|turn| turn.connection != id));
        pair.queue.finish(id);
        pair.queue.unblock(id);
        prop_assert!(pair.queue.start(id).is_none());
        // Whoever has its number next begins with nothing: neither a mark, nor a priority, nor a place in the order.
        pair.model.remove(id);
        pair.push(id, number);
        pair.agree()?;
        for other in (1..=CONNECTIONS).filter(|other| *other != id) {
            pair.queue.remove(other);
        }
        prop_assert_eq!(pair.queue.next().map(|turn| (turn.connection, turn.started)), Some((id, false)));
    }

    /// Nobody starves: among n equals that never run out, each request is begun, and each that is under way gets a
    /// slice, after at most n - 1 quanta.
    #[test]
    fn equals_wait_for_one_turn_of_each_other(connections in equals(), number in 0u8..=63) {
        let mut queue = Queue::default();
        let count = connections.len() as u32;
        for (id, requests) in (1..).zip(&connections) {
            queue.push(id, priority(number), 0);
            prop_assert!(!requests.is_empty());
        }
        let mut waited = vec![0; connections.len()];
        let mut taken = vec![0; connections.len()];
        let mut left = vec![0; connections.len()];
        for _ in 0..4 * count * QUANTUM {
            let turn = queue.next().expect("all of them have something");
            let index = turn.connection as usize - 1;
            for (other, slices) in waited.iter_mut().enumerate() {
                *slices = if other == index { 0 } else { *slices + 1 };
                prop_assert!(*slices <= (count - 1) * QUANTUM, "{} waits for {} slices", other, slices);
            }
            if !turn.started {
                queue.start(turn.connection);
                left[index] = connections[index][taken[index] % connections[index].len()];
                taken[index] += 1;
            }
            left[index] -= 1;
            if left[index] == 0 {
                // The next one is there before this one is done, as with a client that floods.
                queue.push(turn.connection, priority(number), 0);
                queue.finish(turn.connection);
            } else {
                queue.worked(turn.connection);
            }
        }
        if connections.iter().flatten().all(|slices| *slices < 4) {
            let (least, most) = (taken.iter().min(), taken.iter().max());
            prop_assert!(most.zip(least).is_some_and(|(most, least)| most - least <= 1), "{:?}", taken);
        }
    }

    #[test]
    fn a_quantum_is_as_long_each_time(turns in 1u32..5, number in 0u8..=63) {
        let mut queue = Queue::default();
        for id in 1..=2 {
            queue.push(id, priority(number), ());
            queue.start(id);
        }
        let mut lengths = vec![(0, 0u32)];
        for _ in 0..2 * turns * QUANTUM {
            let id = queue.next().map_or(0, |turn| turn.connection);
            match lengths.last_mut() {
                Some((last, slices)) if *last == id => *slices += 1,
                _ => lengths.push((id, 1)),
            }
            queue.worked(id);
        }
        lengths.remove(0);
        prop_assert_eq!(lengths.len() as u32, 2 * turns);
        prop_assert!(lengths.iter().all(|(_, slices)| *slices == QUANTUM), "{:?}", lengths);
    }
}
