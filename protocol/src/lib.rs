//! The wire protocol of blitd.
//!
//! docs/protocol.md is its specification; a test holds the two together. What is here, in the order in which a
//! message meets it:
//!
//! - [`transport`]: sendmsg and recvmsg on a Unix stream socket, with descriptors. The only part that does I/O.
//! - [`framing`]: bytes and descriptors in arrival order, cut into whole messages. Pure.
//! - [`request`] and [`reply`]: bodies to values and back. Untrusted bytes are decoded here and nowhere else.
//! - [`image`]: what the values say of pixels, proved to be inside the memory they name.
//! - [`spin`]: whether an end that waits looks again before it sleeps. Pure.
//! - [`wire`], [`value`], [`error`]: the layouts, the small values and the errors that those are made of.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod error;
pub mod framing;
pub mod image;
pub mod reply;
pub mod request;
pub mod spin;
pub mod transport;
pub mod value;
pub mod wire;
