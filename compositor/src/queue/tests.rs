//! The rules by example; [`properties`] holds them for whatever happens.

mod model;
mod properties;

use super::*;

fn priority(number: u8) -> Priority {
    Priority::new(number).unwrap()
}

/// Runs everything, one request a turn, and says what ran.
fn run(queue: &mut Queue<&'static str>) -> Vec<&'static str> {
    let mut done = Vec::new();
    while let Some(turn) = queue.next() {
        done.extend(queue.start(turn.connection));
        queue.finish(turn.connection);
    }
    done
}

#[test]
fn the_highest_priority_goes_first() {
    let mut queue = Queue::default();
    queue.push(1, priority(10), "normal");
    queue.push(2, priority(63), "alarm");
    queue.push(3, priority(0), "whenever");
    assert_eq!(run(&mut queue), ["alarm", "normal", "whenever"]);
    assert!(queue.is_idle());
}

#[test]
fn equals_take_turns_request_by_request() {
    let mut queue = Queue::default();
    for request in ["a1", "a2", "a3"] {
        queue.push(1, priority(10), request);
    }
    queue.push(2, priority(10), "b1");
    queue.push(2, priority(10), "b2");
    queue.push(3, priority(10), "c1");
    assert_eq!(run(&mut queue), ["a1", "b1", "c1", "a2", "b2", "a3"]);
}

#[test]
fn the_head_inherits_what_waits_behind_it() {
    let mut queue = Queue::default();
    queue.push(1, priority(5), "slow");
    queue.push(2, priority(10), "normal");
    queue.push(1, priority(20), "urgent behind slow");
    assert_eq!(run(&mut queue), ["slow", "urgent behind slow", "normal"]);
}

#[test]
fn a_started_request_yields_only_to_strictly_higher() {
    let mut queue = Queue::default();
    queue.push(1, priority(10), "long");
    assert_eq!(queue.next(), Some(Turn { connection: 1, started: false }));
    queue.start(1);
    queue.push(2, priority(10), "equal");
    assert_eq!(queue.next(), Some(Turn { connection: 1, started: true }));
    queue.push(3, priority(11), "higher");
    assert_eq!(queue.next(), Some(Turn { connection: 3, started: false }));
    queue.push(1, priority(12), "behind long");
    assert_eq!(queue.next(), Some(Turn { connection: 1, started: true }), "what is started inherits too");
}

#[test]
fn a_long_request_lets_its_equals_through_after_its_quantum() {
    let mut queue = Queue::default();
    queue.push(1, priority(10), "long");
    queue.start(1);
    queue.push(2, priority(10), "equal");
    queue.push(3, priority(9), "lower");
    let turns = |queue: &mut Queue<&'static str>| {
        let mut slices = 0;
        while queue.next().unwrap().connection == 1 {
            queue.worked(1);
            slices += 1;
        }
        slices
    };
    assert_eq!(turns(&mut queue), QUANTUM);
    assert_eq!(queue.start(2), Some("equal"));
    queue.finish(2);
    assert_eq!(queue.next(), Some(Turn { connection: 1, started: true }), "what is lower waits");
    queue.push(2, priority(10), "another");
    assert_eq!(queue.next().unwrap().connection, 1, "it has waited longer than the new one");
    queue.worked(1);
    assert_eq!(turns(&mut queue), QUANTUM - 1, "and has a whole quantum again");
}

#[test]
fn a_held_connection_goes_on_when_released() {
    let mut queue = Queue::default();
    queue.push(1, priority(63), "held");
    queue.push(2, priority(0), "other");
    queue.hold(1);
    assert_eq!(run(&mut queue), ["other"]);
    assert!(queue.is_idle());
    queue.release(1);
    assert_eq!(run(&mut queue), ["held"]);
}

#[test]
fn a_blocked_connection_keeps_nobody_waiting() {
    let mut queue = Queue::default();
    queue.push(1, priority(63), "sync");
    queue.start(1);
    queue.block(1);
    queue.push(1, priority(63), "later");
    queue.push(2, priority(0), "other");
    assert_eq!(run(&mut queue), ["other"]);
    assert!(queue.is_idle() && queue.len(1) == 2);
    queue.unblock(1);
    assert_eq!(queue.next(), Some(Turn { connection: 1, started: true }));
    queue.block(1);
    queue.finish(1);
    assert_eq!(run(&mut queue), ["later"]);
}

#[test]
fn a_connection_that_goes_takes_its_requests_along() {
    let mut queue = Queue::default();
    queue.push(1, priority(10), "gone");
    queue.push(2, priority(10), "stays");
    queue.remove(1);
    assert_eq!(run(&mut queue), ["stays"]);
}
