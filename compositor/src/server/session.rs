//! The VT comes and goes: outputs are off while another one is in front, and clients are answered all the while.

use super::{Rooms, Server, ServerError};
use crate::clock::Clock;
use crate::display::kms::device::KmsError;
use crate::display::{Change, Display, DisplayError, Wish};
use crate::memory::unmap::Unmapper;
use crate::session::Session;
use crate::session::state::State;

/// Opens the display, and takes the VT for it: none is touched where no card is driven.
pub(super) fn open_display(
    session: &mut Session,
    wish: &Wish,
    clock: &Clock,
    unmapper: &Unmapper,
) -> Result<(Display, Vec<Change>), ServerError> {
    let open = || Display::open(wish, clock.now(), unmapper);
    let opened = match open() {
        // The display server in front may give the card away, together with its VT.
        Err(DisplayError::Kms(error @ KmsError::OtherMaster { .. })) => {
            session.take()?;
            if session.wait_for_front() { open() } else { Err(error.into()) }
        }
        opened => opened,
    };
    let (display, changes) = opened?;
    if matches!(display, Display::Kms(_)) {
        session.take()?;
    }
    Ok((display, changes))
}

impl Server {
    /// Follows the kernel's signals. Whether the VT has come to the front, [`enter`](Self::enter) asks the session.
    pub(super) fn follow_session(&mut self) {
        self.heard = true;
        while let Some(state) = self.rooms.session.follow(self.rooms.clock.now()) {
            if state == State::Away {
                self.leave();
            }
        }
    }

    /// Gives the card and the VT to whoever comes to the front.
    fn leave(&mut self) {
        self.rooms.give_up_display();
        tracing::debug!("another VT comes to the front");
        self.rooms.session.release();
        self.tell_syncing();
    }

    /// Takes the card again, where it is time to and nobody else has it.
    pub(super) fn enter(&mut self) {
        let rooms = &mut self.rooms;
        if rooms.session.wakes_at().is_none_or(|time| time > rooms.clock.now()) {
            return;
        }
        let result = rooms.display.acquire();
        rooms.session.asked(rooms.clock.now(), &result);
        rooms.clock.passed();
        if result.is_ok() {
            tracing::debug!("the VT is in front, and the card is ours");
            rooms.set_off(false);
            if std::mem::take(&mut self.missed_outputs) {
                self.rescan();
            }
        }
    }
}

impl Rooms {
    /// Turns the outputs off, and lets others have the card.
    pub(super) fn give_up_display(&mut self) {
        self.set_off(true);
        self.display.release();
    }

    /// Turns all outputs off, or on again.
    fn set_off(&mut self, is_off: bool) {
        for output in &mut self.outputs {
            for composition in output.set_off(is_off) {
                self.compositions.cancel(composition);
            }
        }
    }
}
