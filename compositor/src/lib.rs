//! The blitd daemon: it owns the screen, and any number of programs put pixels on it by sending it draw-image
//! requests. docs/architecture.md tells how; docs/protocol.md what travels.
//!
//! Data flows one way: socket → decode → queue by priority → slices of work into a layer → reply; layers → frame →
//! display. Each of these is a room with one door, and uses only rooms above it, in this order:
//!
//! 1. [`memory`]: mapping, seals, fences, the SIGBUS guard, layer storage, the helper thread
//! 2. [`policy`]: credentials and configuration to limits; how outputs are to be. Pure
//! 3. [`scene`]: layers, stacking, damage, which outputs show which layers. Plain data
//! 4. [`queue`]: priority, inheritance, turns. Pure
//! 5. [`frame`]: a snapshot and a rectangle of it to blits. Pure
//! 6. [`work`]: a request or a frame as something that can be stepped by a budget and resumed
//! 7. [`frame_clock`]: one state machine for an output. Pure
//! 8. [`display`]: outputs, on a DRM card or headless
//! 9. [`session`]: the VT that the daemon is on, and when it may have the card
//! 10. [`client`]: one connection, its limits, its replies
//! 11. [`server`]: owns the rooms and moves values between them
//! 12. main: arguments, logging, run, exit code
//!
//! [`clock`] is no room: it is what time it is.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod client;
pub mod clock;
pub mod display;
pub mod frame;
pub mod frame_clock;
pub mod memory;
pub mod policy;
pub mod queue;
pub mod scene;
pub mod server;
pub mod session;
pub mod work;
