//! Room 6, work: requests and frames as something that can be stepped by a budget and resumed.
//!
//! - [`cpu_access`]: the dmabufs of a request, and the fences that it waits for.
//! - [`operation`]: one draw or fill, validated: everything it needs is in hand, nothing can be out of bounds.
//! - [`paint`]: operations carried out on layers, so that they land whole.
//! - [`composition`]: a snapshot of layers put together, on a screen or in a client's region.
//! - [`cost`]: what composing a layer costs.
//! - [`compositions`]: all of these that are under way, and what is overwritten under them.
//!
//! A slice is one step of at most [`SLICE`] bytes, or [`SLICE_ALONE`]. Between slices everything may happen: other requests, deaths of
//! clients, vblanks. Two rules keep every picture whole all the same.
//!
//! **What lands, lands at once.** An operation that fits one slice is drawn in place. A longer one, and every batch, is
//! drawn into the spare storage of its layers, and these are swapped in together at the end.
//!
//! **What is read, is read before it is overwritten.** A composition shows its layers as they were when it began.
//! Before work writes pixels that a composition has still to read, these are composed first, on the writer's budget:
//! where that is more than a slice, the writer goes on in its next one. No composition needs a copy of a layer, none
//! has to wait, and none has to begin anew.

pub mod composition;
pub mod compositions;
pub mod cost;
pub mod cpu_access;
pub mod operation;
pub mod paint;
mod scaled;

use blitd_pixels::sample::ScalingError;
use blitd_protocol::error::{Coded, ErrorCode};
use blitd_protocol::image::{Format, ImageError};

use crate::memory::region::RegionError;
use crate::memory::storage::StorageError;

/// About how many bytes of pixels a slice writes, those of layers that blend into each other each for itself; and so
/// how long an urgent request waits for whatever is being done. Smaller ones cost more in looking around than they save,
/// larger ones more in waiting: docs/performance.md has the measurement. Everything counts for some bytes at the least, so
/// that thousands of tiny operations are no slice either.
pub const SLICE: u64 = 256 * 1024;

/// The same while there is one connection only: nobody but itself waits, and looking around is for little. A picture of
/// 1920x1080 is then drawn and composed in one, rows counted, also past a cache that is too small for it.
pub const SLICE_ALONE: u64 = 72 * SLICE;

/// Whether there is more to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Another step is needed.
    Unfinished,
    /// It is done.
    Finished,
}

/// Why a request for pixels is refused, or ends in the middle.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// No such layer.
    #[error("there is no layer {layer} on this connection: create it first")]
    UnknownLayer {
        /// The id as received.
        layer: u32,
    },
    /// The image is wrong.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The region is wrong.
    #[error(transparent)]
    Region(#[from] RegionError),
    /// There is no memory for a layer's spare storage.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The source rectangle is empty or leaves the image.
    #[error(
        "the source rectangle {width}x{height} at ({x}, {y}) is not inside {of}, or empty: choose what is inside"
    )]
    SourceOutside {
        /// Left edge in pixels.
        x: f64,
        /// Top edge in pixels.
        y: f64,
        /// Width in pixels.
        width: f64,
        /// Height in pixels.
        height: f64,
        /// What it should be inside of.
        of: String,
    },
    /// The picture cannot be scaled so.
    #[error(transparent)]
    Scaling(#[from] ScalingError),
    /// The destination rectangle overflows.
    #[error("the rectangle {width}x{height} at ({x}, {y}) ends beyond 2147483647: make it smaller")]
    Overflow {
        /// Left column.
        x: i32,
        /// Top row.
        y: i32,
        /// Width.
        width: u32,
        /// Height.
        height: u32,
    },
    /// Something that this version cannot do.
    #[error("{what} is not supported by this version: {instead}")]
    NotSupported {
        /// What was asked for.
        what: String,
        /// What to do.
        instead: &'static str,
    },
    /// A capture whose composition is gone: a bug of ours.
    #[error("the capture is lost, which is a bug of blitd: ask again")]
    CaptureLost,
    /// The image to capture into has another size than what is captured.
    #[error(
        "the image is {width}x{height} and what is captured {wanted_width}x{wanted_height}: make them equal"
    )]
    CaptureSize {
        /// The image's width.
        width: u32,
        /// The image's height.
        height: u32,
        /// The captured width.
        wanted_width: u32,
        /// The captured height.
        wanted_height: u32,
    },
    /// The image to capture into has a format that is not written.
    #[error("format {format} cannot be captured into: use XR24, AR24, XB24 or AB24")]
    CaptureFormat {
        /// The image's format.
        format: Format,
    },
}

impl Coded for WorkError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::UnknownLayer { .. } => ErrorCode::UnknownLayer,
            Self::Image(error) => error.code(),
            Self::Region(error) => error.code(),
            Self::Storage(error) => error.code(),
            Self::SourceOutside { .. } => ErrorCode::SourceOutside,
            Self::Overflow { .. } => ErrorCode::SizeOverflow,
            Self::NotSupported { .. } | Self::CaptureFormat { .. } | Self::Scaling(_) => {
                ErrorCode::NotSupported
            }
            Self::CaptureSize { .. } => ErrorCode::BadSize,
            Self::CaptureLost => ErrorCode::OutOfMemory,
        }
    }
}
