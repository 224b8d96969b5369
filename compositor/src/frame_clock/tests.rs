use super::*;

const PERIOD: u64 = 1_000_000_000 / 50;

fn grid(sequence: u64, time: u64) -> Flip {
    Flip { sequence, time, is_hardware: false }
}

#[test]
fn frames_come_at_vblanks() {
    let mut clock = FrameClock::paced(1000, 50_000);
    clock.begin();
    clock.commit(1000 + 5);
    assert_eq!(clock.vblank_at(), Some(1000 + PERIOD));
    assert_eq!(clock.flip(1000 + PERIOD - 1), None);
    assert_eq!(clock.flip(1000 + PERIOD), Some(grid(1, 1000 + PERIOD)));
    assert!(clock.is_idle(1000 + PERIOD));
}

#[test]
fn a_frame_at_the_vblank_itself_is_for_the_next() {
    let mut clock = FrameClock::paced(0, 50_000);
    clock.begin();
    clock.commit(3 * PERIOD);
    assert_eq!(clock.vblank_at(), Some(4 * PERIOD));
}

#[test]
fn times_stay_on_the_grid_however_late_one_looks() {
    let mut clock = FrameClock::paced(0, 50_000);
    clock.begin();
    clock.commit(1);
    assert_eq!(clock.flip(PERIOD * 10 + 7), Some(grid(1, PERIOD)));
}

#[test]
fn when_nothing_changes_nothing_wakes() {
    let mut clock = FrameClock::paced(0, 50_000);
    assert_eq!(clock.vblank_at(), None);
    clock.begin();
    assert_eq!(clock.vblank_at(), None);
}

#[test]
fn a_driven_clock_goes_by_what_it_is_told() {
    let mut clock = FrameClock::driven(0, 50_000);
    clock.begin();
    clock.commit(5);
    assert_eq!((clock.vblank_at(), clock.flip(PERIOD * 9)), (None, None));
    assert_eq!(clock.flipped(Some(7), 700), Flip { sequence: 7, time: 700, is_hardware: true });
    assert!(clock.is_idle(700));
}

#[test]
fn where_the_display_has_no_vblanks_the_clock_paces_itself() {
    let mut clock = FrameClock::driven(0, 50_000);
    clock.begin();
    clock.commit(5);
    assert_eq!(clock.flipped(None, PERIOD + 5), grid(2, PERIOD + 5));
    assert!(!clock.is_idle(2 * PERIOD - 1));
    assert_eq!(clock.rests_until(), Some(2 * PERIOD));
    assert!(clock.is_idle(2 * PERIOD));
    clock.begin();
    clock.commit(2 * PERIOD);
    assert_eq!(clock.flipped(None, 2 * PERIOD), grid(3, 2 * PERIOD), "no number twice");
}

#[test]
fn a_refused_frame_is_followed_by_a_rest() {
    let mut clock = FrameClock::driven(0, 50_000);
    clock.begin();
    clock.commit(5);
    clock.refused(10);
    assert!(!clock.is_idle(AFTER_REFUSAL));
    assert!(clock.is_idle(10 + AFTER_REFUSAL));
}

#[test]
fn after_a_rest_the_next_frame_is_aimed_as_any_other() {
    let mut clock = experienced(FrameClock::driven(0, 50_000));
    clock.begin();
    clock.commit(5);
    clock.refused(10);
    let now = 10 + AFTER_REFUSAL;
    clock.see(now - MS);
    clock.aim(now, LARGE);
    let begin = clock.begins_at().unwrap();
    assert!(begin > now && clock.rests_until().is_some_and(|rest| rest <= now) && !clock.may_begin(now));
    assert!(clock.may_begin(begin));
}

/// Bytes of a frame of 1920x1080, written past the cache.
const LARGE: u64 = 2 * 1920 * 1080 * 4;

const MS: u64 = 1_000_000;

/// A clock whose frames of 1920x1080 have taken a millisecond, and 50 microseconds to commit.
fn experienced(mut clock: FrameClock) -> FrameClock {
    for _ in 0..200 {
        clock.measured(LARGE, MS, MS / 20);
    }
    clock
}

/// A frame that is composed at `now` for the next vblank, which then comes.
fn frame(clock: &mut FrameClock, now: u64, vblank: (u64, u64)) {
    assert!(clock.may_begin(now));
    clock.begin();
    clock.commit(now);
    clock.flipped(Some(vblank.0), vblank.1);
}

#[test]
fn a_frame_begins_as_late_as_is_safe() {
    let mut clock = experienced(FrameClock::paced(0, 50_000));
    clock.aim(MS, LARGE);
    let begin = clock.begins_at().unwrap();
    assert!((PERIOD - 5 * MS / 2..PERIOD - MS).contains(&begin), "{begin}");
    assert!(!clock.may_begin(begin - 1) && clock.may_begin(begin));
    clock.begin();
    assert_eq!(clock.begins_at(), None);
    clock.commit(begin + MS);
    assert_eq!(clock.flip(PERIOD), Some(grid(1, PERIOD)));
}

#[test]
fn a_small_frame_begins_later_than_a_large_one_and_not_later_than_two_milliseconds_before() {
    let begin = |bytes| {
        let mut clock = experienced(FrameClock::paced(0, 50_000));
        clock.aim(MS, bytes);
        clock.begins_at().unwrap()
    };
    assert!(begin(1) > begin(2 * LARGE) + MS);
    // What is finished then is asked for soon after.
    assert!((PERIOD - 2 * MS + 1..PERIOD - MS * 18 / 10).contains(&begin(1)));
}

#[test]
fn what_is_there_two_milliseconds_before_the_vblank_is_in_time() {
    let mut clock = experienced(FrameClock::paced(0, 50_000));
    clock.aim(PERIOD - 2 * MS, LARGE);
    assert!((PERIOD - 2 * MS..PERIOD - 3 * MS / 2).contains(&clock.begins_at().unwrap()));
    clock.begin();
    clock.commit(PERIOD - MS / 2);
    assert_eq!(clock.flip(PERIOD), Some(grid(1, PERIOD)));
}

#[test]
fn what_cannot_be_in_time_is_for_the_next_vblank() {
    let mut clock = experienced(FrameClock::paced(0, 50_000));
    clock.aim(PERIOD - MS, LARGE);
    assert!((2 * PERIOD - 5 * MS / 2..2 * PERIOD - MS).contains(&clock.begins_at().unwrap()));
}

#[test]
fn what_comes_late_keeps_nothing_from_its_vblank() {
    let mut clock = experienced(FrameClock::paced(0, 50_000));
    clock.aim(MS, 1);
    let small = clock.begins_at().unwrap();
    clock.aim(2 * MS, 2 * LARGE);
    assert!(clock.begins_at().unwrap() < small, "more to compose takes longer");
    clock.aim(PERIOD - MS, LARGE);
    assert!(clock.may_begin(PERIOD - MS), "it is too late, and what was there first was not");
}

#[test]
fn a_miss_makes_the_next_frames_begin_earlier() {
    let mut clock = FrameClock::paced(0, 50_000);
    let begin = |clock: &mut FrameClock, now: u64| {
        clock.aim(now, LARGE);
        now.next_multiple_of(PERIOD) - clock.begins_at().unwrap()
    };
    let first = begin(&mut clock, 1);
    clock.begin();
    clock.commit(PERIOD);
    clock.flip(2 * PERIOD).unwrap();
    let second = begin(&mut clock, 2 * PERIOD + 1);
    assert!(second > first);
    clock.begin();
    clock.commit(3 * PERIOD - 1);
    clock.flip(3 * PERIOD).unwrap();
    assert!(begin(&mut clock, 3 * PERIOD + 1) <= second);
}

#[test]
fn what_came_too_late_says_nothing_of_the_others() {
    let mut clock = FrameClock::paced(0, 50_000);
    clock.aim(1, 1);
    let first = clock.begins_at().unwrap();
    clock.aim(PERIOD - 1, LARGE);
    clock.begin();
    clock.commit(PERIOD + 1);
    clock.flip(2 * PERIOD).unwrap();
    clock.aim(2 * PERIOD + 1, 1);
    assert_eq!(clock.begins_at(), Some(first + 2 * PERIOD));
}

#[test]
fn a_vblank_that_has_been_slept_through_is_aimed_for_no_more() {
    let mut clock = FrameClock::paced(0, 50_000);
    clock.aim(1, LARGE);
    assert!(clock.may_begin(PERIOD + 1));
    clock.aim(PERIOD + 1, LARGE);
    assert!(clock.begins_at().unwrap() > PERIOD);
}

#[test]
fn a_driven_clock_reckons_with_the_vblanks_that_it_has_seen() {
    let mut clock = FrameClock::driven(0, 50_000);
    clock.aim(1, LARGE);
    assert_eq!(clock.begins_at(), None, "none has been seen");
    let vblank = 5 * PERIOD + 333;
    frame(&mut clock, 1, (5, vblank));
    clock.aim(vblank + PERIOD * 7 / 2, LARGE);
    let begin = clock.begins_at().unwrap();
    assert!((vblank + 4 * PERIOD - 4 * MS..vblank + 4 * PERIOD).contains(&begin));
    clock.reset();
    clock.aim(vblank + 1, LARGE);
    assert!(clock.may_begin(vblank + 1), "the screen has been off");
}

#[test]
fn what_has_not_been_seen_for_a_second_is_not_known() {
    let mut clock = FrameClock::driven(0, 50_000);
    frame(&mut clock, 1, (5, PERIOD));
    clock.aim(PERIOD + KNOWN_FOR, 1);
    assert!(!clock.may_begin(PERIOD + KNOWN_FOR));
    let mut clock = FrameClock::driven(0, 50_000);
    frame(&mut clock, 1, (5, PERIOD));
    clock.aim(PERIOD + KNOWN_FOR + 1, 1);
    assert!(clock.may_begin(PERIOD + KNOWN_FOR + 1));
}

#[test]
fn a_display_without_vblanks_gets_its_frames_at_once() {
    let mut clock = FrameClock::driven(0, 50_000);
    clock.begin();
    clock.commit(5);
    clock.flipped(None, 10);
    clock.aim(PERIOD, LARGE);
    assert_eq!(clock.begins_at(), None);
    assert!(clock.may_begin(PERIOD));
}

#[test]
fn the_period_is_what_is_measured() {
    // The mode says 50 Hz; it is 0.2 % less, and the times are no better than 20 microseconds.
    let real = PERIOD + PERIOD / 500;
    let mut clock = FrameClock::driven(0, 50_000);
    let time = |number: u64| number * real + number * 7919 % 41 * 1000;
    for number in 1..400 {
        frame(&mut clock, time(number) - 1, (number, time(number)));
    }
    let next = clock.vblank_after(time(399), time(399) + 40 * PERIOD).unwrap();
    let error = next.abs_diff(time(399) + 40 * real);
    assert!(error < MS / 2, "{error} ns after 40 periods");
    // What is no vblank of this mode does not count.
    for number in 400..500 {
        clock.begin();
        clock.commit(time(number));
        clock.flipped(Some(number), number * PERIOD * 3 / 2);
    }
    assert!(clock.period.abs_diff(PERIOD) <= PERIOD / TOLERANCE);
}

#[test]
fn a_frame_presses_until_its_vblank() {
    let mut clock = experienced(FrameClock::paced(0, 50_000));
    clock.aim(MS, LARGE);
    let begin = clock.begins_at().unwrap();
    assert!(!clock.presses(begin), "it has not begun");
    clock.begin();
    assert!(!clock.presses(begin - 1) && clock.presses(begin) && clock.presses(PERIOD - 1));
    assert!(!clock.presses(PERIOD), "it has missed it");
}
