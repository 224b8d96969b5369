//! Room 9, session: the VT and the card, behind acquire, release and card.
//!
//! Empty as long as there is only the headless display, which needs neither.
