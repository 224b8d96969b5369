//! Who has the glass: one state machine; `now` is an argument, in nanoseconds of CLOCK_MONOTONIC. Pure.
//!
//! ```text
//!           left()                entered()            asked(true)
//!  Front ──────────▶ Away ─────────────────▶ Waiting ───────────────▶ Front
//!                     ▲                      │  │  ▲
//!                     └───────left()─────────┘  └──┘ asked(false): again after a while
//! ```

/// How long it is until the card is asked for again while another program is its master, in nanoseconds.
pub const PAUSE: u64 = 100_000_000;

/// Who has the glass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// blitd.
    Front,
    /// Another VT.
    Away,
    /// blitd's VT is in front, and the card has yet to be had; it is asked for at this time.
    Waiting {
        /// Nanoseconds.
        until: u64,
    },
}

impl State {
    /// Another VT comes to the front.
    pub fn left(&mut self) {
        *self = Self::Away;
    }

    /// The own VT has come to the front: the card is to be asked for at once.
    pub fn entered(&mut self, now: u64) {
        *self = Self::Waiting { until: now };
    }

    /// What has come of asking for the card.
    pub fn asked(&mut self, now: u64, is_master: bool) {
        *self = if is_master { Self::Front } else { Self::Waiting { until: now.saturating_add(PAUSE) } };
    }

    /// When the card is to be asked for, if it is.
    pub fn wakes_at(self) -> Option<u64> {
        match self {
            Self::Waiting { until } => Some(until),
            Self::Front | Self::Away => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn away_and_in_front_nothing_wakes() {
        let mut state = State::Front;
        assert_eq!(state.wakes_at(), None);
        state.left();
        assert_eq!(state.wakes_at(), None);
    }

    #[test]
    fn the_card_is_asked_for_at_once_and_then_now_and_then() {
        let mut state = State::Away;
        state.entered(5);
        assert_eq!(state.wakes_at(), Some(5));
        state.asked(6, false);
        assert_eq!(state.wakes_at(), Some(6 + PAUSE));
        state.asked(7 + PAUSE, true);
        assert_eq!((state, state.wakes_at()), (State::Front, None));
    }

    #[test]
    fn who_leaves_while_waiting_waits_no_more() {
        let mut state = State::Away;
        state.entered(5);
        state.asked(6, false);
        state.left();
        assert_eq!((state, state.wakes_at()), (State::Away, None));
    }
}
