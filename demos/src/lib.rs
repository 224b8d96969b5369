//! What the programs of this package share: pictures and how they fit, shapes, arguments, ends, and measurements.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod arguments;
pub mod bounce;
pub mod canvas;
pub mod digits;
pub mod ending;
pub mod fit;
pub mod landscape;
pub mod percentile;
pub mod picture;
pub mod program;
pub mod screen;
pub mod strip;
pub mod testcard;
