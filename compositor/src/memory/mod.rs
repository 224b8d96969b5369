//! Room 1, memory: mappings, seals, the SIGBUS guard and the storage of layers.
//!
//! - [`region`]: memory that a client lends, or that the daemon holds for it; checked once, read in place.
//! - [`storage`]: the daemon's own pictures, of layers and of headless screens.
//! - [`guard`]: a fault on client memory becomes an error instead of the daemon's end.
//! - [`unmap`]: large mappings are given back on the one helper thread, off the loop.
//!
//! Everything above this room sees memory through the raw views of `blitd_pixels`.

pub mod guard;
pub mod region;
pub mod storage;
pub mod unmap;
