//! Pixels: views of memory that others may write, and the kernels that move pixels between them.
//!
//! - [`view`]: raw views with a checked extent, and pictures in them. Memory that a client can write is never
//!   behind `&` or `&mut`; it is behind these.
//! - [`pixel`]: what happens to one pixel. The definition that every faster kernel is held against.
//! - [`blit`]: what happens to rectangles of them: draw, fill, convert.
//! - `fetch`: pixels of any format as words to work on.
//! - [`kernels`]: what happens to rows, once for each [`level`] of processors.
//! - `rows`: rows of bytes from one place to another, through the cache or past it.
//! - [`level`]: which instructions the kernels use.
//! - [`sample`]: pictures scaled, by nearest or bilinear, and turned on the way.
//! - [`turn`]: pictures turned by one of the eight transforms.
//!
//! All pixels that are worked on are premultiplied 32-bit words `0xAARRGGBB`, the ARGB8888 of `drm_fourcc.h`.
//! A copy runs at the speed of memcpy, and `over` is exact to the rounding given in [`pixel::multiply`].

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

#[cfg(target_endian = "big")]
compile_error!("DRM formats are little-endian words, and so are the words that the kernels work on");

pub mod blit;
mod fetch;
pub mod kernels;
pub mod level;
pub mod pixel;
mod rows;
pub mod sample;
pub mod turn;
pub mod view;
