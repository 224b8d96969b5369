//! Room 1, memory: mappings, seals, fences, the SIGBUS guard and the storage of layers.
//!
//! - [`region`]: memory that a client lends, or that the daemon holds for it; checked once, read in place.
//! - [`storage`]: the daemon's own pictures: those of layers, and the buffers of outputs.
//! - [`guard`]: a fault on client memory becomes an error instead of the daemon's end.
//! - [`helper`]: the one helper thread, for what the kernel may take long over.
//! - [`unmap`]: mappings that are given back there.
//! - [`cache`]: how large the processor's is.
//! - [`dmabuf`]: memory that devices share, and the fences of those who are not done with it.
//!
//! Everything above this room sees memory through the raw views of `blitd_pixels`.

pub mod cache;
pub mod dmabuf;
pub mod guard;
pub mod helper;
pub mod region;
pub mod storage;
pub mod unmap;
