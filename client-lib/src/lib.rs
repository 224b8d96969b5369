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
//! - [`Connection`] is what programs use. [`Lent`] is a region that is lent while the program does something else.
//! - [`Link`], below it, is messages and no more: for programs with memory of their own.
//!
//! Where the socket is forwarded from another machine, no memory can be shared. The connection's [`Mode`] is then
//! `Inline`, and the pixels travel in messages; a program need not know.
//!
//! # Programs that do not wait
//!
//! [`Connection::lend_draw`] and its like move the region into a [`Lent`], which gives it back with the reply; what the
//! program can do with that, and what comes of it, is a table [there](Lent). What is lent is queued, so many draws go
//! out in one write, and their replies come in few reads. A program with two regions paints one while the other is
//! drawn.
//!
//! A program with a loop of its own watches the connection's descriptor ([`AsFd`](std::os::fd::AsFd)) for reading, and
//! calls [`Connection::dispatch`] with a wait of zero when it is readable and after it has queued something. Then it
//! looks which handles are ready.
//!
//! # A daemon that goes and comes back
//!
//! When the daemon ends, however it does, and another is started, the connection has all again that it had: its regions
//! and layers under the same ids, and in each layer the picture that was there. A call that waits goes on waiting, at
//! most as long as its [timeout](Connection::set_timeout), and what was not answered is asked again, in its order. The
//! program sees nothing but time. It need not even call: a thread of the library's sleeps until the socket hangs up,
//! and costs nothing until then. Once all is there again, [`Reply::OutputsChanged`] comes, since the outputs may be
//! others.
//!
//! | what | is restored |
//! | --- | --- |
//! | a picture | from its draws and fills, scaled and turned as they were: from the regions they drew from, or from copies where these have changed since |
//! | a picture of very many parts | from one image, for which the library captures the layer meanwhile; not at all, until all of it is drawn anew, where the daemon's limits have no room for that |
//! | a [repainted](LayerOptions::repainted) layer | without its picture |
//! | which of two layers of the same z is in front | as before where both are of one connection; else that whose program came back later, so layers that overlap those of others need a [z](LayerOptions::z) of their own |
//! | a layer that [lingers](LayerOptions::linger), and one that was claimed | as any other; where the daemon that comes knows its token, it is claimed again, picture and all, else it has [another token](Layer::token) from then on |
//! | a layer that lingers and that nobody has | not: it ends with its daemon |
//! | a picture of a dmabuf | from what is in the dmabuf then |
//! | a request without a reply | it is sent again; drawn twice it is not, since the layer is as it was before |
//! | `sync` | it is sent again, and answered by the other daemon's outputs |
//! | a listing of several messages | what comes from then on is the other daemon's |
//! | what the other daemon refuses, as where its limits are smaller or an output is missing | not, until it comes back once more; every use of it is refused with the reason |
//!
//! Layers are made hidden, drawn, and shown in one batch: no frame shows a part. Attempts to connect are made at once
//! and then after pauses that grow to a second. Keeping pictures costs memory where regions are painted again, and
//! [`LayerOptions::repainted`] says when. [`ConnectionOptions::not_restored`] does without all of it.
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
pub use blitd_protocol::request::{FixedRectangle, Pixels, Request};
pub use blitd_protocol::value::{
    Access, Backend, Band, ClockSource, ColorEncoding, ColorRange, Filter, Mode, NotShown, Operator, Path,
    Priority, Token, Transform,
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
