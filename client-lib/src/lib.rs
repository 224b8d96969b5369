//! The Rust client library of blitd: pixels on the screen of a machine that runs no desktop.
//!
//! A program keeps its pixels in a [`Region`], memory that it and the daemon both map, and asks the daemon to
//! draw them into a [`Layer`]. One rule carries everything: **a reply means that the region is yours again.** So
//! every call of a [`Connection`] borrows the regions it lends, and returns when the daemon has replied.
//!
//! ```no_run
//! use blitd_client::{Connection, Draw, Format, ImageView, LayerOptions};
//!
//! fn main() -> Result<(), blitd_client::Error> {
//!     let mut connection = Connection::open("first")?;
//!     let layer = connection.create_layer(&LayerOptions::new(256, 256).at(100, 100))?;
//!     let mut region = connection.create_region(256 * 256 * 4)?;
//!     for (index, pixel) in region.pixels_mut().iter_mut().enumerate() {
//!         *pixel = (index as u32 % 256) << 16 | (index as u32 / 256) << 8;
//!     }
//!     connection.draw(&layer, &mut region, &Draw::new(ImageView::packed(256, 256, Format::Xrgb8888)))?;
//!     println!("drawn; the region is ours again");
//!     Ok(())
//! }
//! ```
//!
//! - [`Connection`] is for programs that wait for each reply.
//! - [`Link`], below it, never blocks unless told to: for programs with an event loop and memory of their own.
//!
//! Where the socket is forwarded from another machine, no memory can be shared. The connection's [`Mode`] is then
//! `Inline`, and the pixels travel in messages; a program need not know.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod batch;
mod connect;
mod connection;
mod draw;
mod error;
mod exchange;
mod inline;
mod layer;
mod link;
mod listing;
mod memory;
mod record;
mod region;
#[cfg(test)]
mod tests;

pub use blitd_protocol as protocol;
pub use blitd_protocol::error::{ErrorCode, Refusal};
pub use blitd_protocol::image::Format;
pub use blitd_protocol::reply::{Receipt, Reply, Shown, Welcome};
pub use blitd_protocol::request::{Pixels, Request};
pub use blitd_protocol::value::{
    Access, Backend, Band, ClockSource, Filter, Mode, NotShown, Operator, Path, Priority, Transform,
};
pub use blitd_protocol::wire::{
    ClientRecord, DaemonRecord, Distribution, LayerRecord, OutputRecord, PriorityRecord,
};

pub use batch::BatchEntry;
pub use connection::{Asked, Connection, ConnectionOptions, DEFAULT_TIMEOUT, LendError, Lent};
pub use draw::{Draw, ImageView};
pub use error::Error;
pub use layer::{Layer, LayerChange, LayerOptions};
pub use link::{Link, Serial};
pub use region::Region;
