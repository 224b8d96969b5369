//! Room 9, session: the VT and the card, behind acquire, release and card.
//!
//! Empty as yet: blitd takes a card that nobody else is master of, keeps it until it ends, and leaves the VT as it is.
