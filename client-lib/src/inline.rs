//! What an inline connection does instead of sharing: pixels travel in messages, and only those that are needed.
//!
//! Rows that touch are sent as one, so a packed image goes in messages as long as they may be, and a narrow part
//! of a wide image row by row.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::ops::Range;

use blitd_protocol::image::{ImageError, Rectangle};
use blitd_protocol::reply::Reply;
use blitd_protocol::request::{self, MAX_CARRIED, Request};

use crate::connection::Connection;
use crate::draw::{Draw, ImageView};
use crate::error::Error;
use crate::layer::Layer;

/// Places in a region, in order, none touching the next.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ranges(Vec<Range<usize>>);

impl Ranges {
    /// Adds the rows of an image's pixels in `area`, which must be inside it.
    ///
    /// # Errors
    /// The image is not inside the region's `size` bytes.
    pub(crate) fn add(
        &mut self,
        image: &ImageView,
        area: Rectangle,
        region: u32,
        size: usize,
    ) -> Result<(), ImageError> {
        let image = image.image(region).check(|_| Ok::<_, ImageError>(size as u64))?;
        let (plane, pixel) = (image.plane(), image.format().bytes_per_pixel() as usize);
        let left = area.left().unsigned_abs() as usize * pixel;
        let width = area.width() as usize * pixel;
        let rows = (area.top().unsigned_abs()..area.bottom().unsigned_abs()).map(|row| {
            let start = plane.offset as usize + row as usize * plane.stride as usize + left;
            start..start + width
        });
        self.0.extend(rows);
        self.0.sort_by_key(|range| range.start);
        self.0.dedup_by(|next, last| {
            let touches = next.start <= last.end;
            if touches {
                last.end = last.end.max(next.end);
            }
            touches
        });
        Ok(())
    }

    fn length(&self) -> usize {
        self.0.iter().map(Range::len).sum()
    }

    /// The bytes at these places, one after the other.
    fn gather<'a>(&self, memory: &'a [u8]) -> Cow<'a, [u8]> {
        match self.0.as_slice() {
            [one] => Cow::Borrowed(&memory[one.clone()]),
            many => many.iter().flat_map(|range| &memory[range.clone()]).copied().collect(),
        }
    }

    /// The same places in pieces that a message can carry.
    fn pieces(&self) -> impl Iterator<Item = Range<usize>> {
        self.0.iter().flat_map(|range| {
            range.clone().step_by(MAX_CARRIED).map(|start| start..range.end.min(start + MAX_CARRIED))
        })
    }
}

/// The draw with its pixels in its own message.
///
/// # Errors
/// [`Error::TooManyCarried`], or [`Error::Image`] where the image is not inside `pixels`.
pub(crate) fn carrying<'a>(layer: &Layer, pixels: &'a [u8], draw: &Draw) -> Result<Request<'a>, Error> {
    let crop = draw.crop();
    let mut ranges = Ranges::default();
    ranges.add(draw.image(), crop, 0, pixels.len())?;
    match ranges.length() {
        ..=MAX_CARRIED => {
            let request = draw.cropped(crop).request(layer, 0);
            Ok(Request::Draw(request::Draw { carried: ranges.gather(pixels), ..request }))
        }
        length => Err(Error::TooManyCarried { length }),
    }
}

/// Brings these places of a held region to the daemon.
pub(crate) fn write(
    connection: &mut Connection,
    region: u32,
    memory: &[u8],
    ranges: &Ranges,
) -> Result<(), Error> {
    let request = |piece: &Range<usize>| Request::RegionWrite {
        region,
        offset: piece.start as u64,
        bytes: Cow::Borrowed(&memory[piece.clone()]),
    };
    pipeline(connection, ranges, request, |_, reply| matches!(reply, Reply::Done(_)).then_some(()))
}

/// Brings these places of a held region from the daemon.
pub(crate) fn read(
    connection: &mut Connection,
    region: u32,
    memory: &mut [u8],
    ranges: &Ranges,
) -> Result<(), Error> {
    let request = |piece: &Range<usize>| Request::RegionRead {
        region,
        offset: piece.start as u64,
        length: piece.len() as u32,
    };
    pipeline(connection, ranges, request, |piece, reply| match reply {
        Reply::Data(bytes) if bytes.len() == piece.len() => {
            memory[piece].copy_from_slice(&bytes);
            Some(())
        }
        _ => None,
    })
}

/// Sends a request for each piece, several ahead of the replies, and returns when all that were sent have been
/// answered. The first error stops it.
fn pipeline<'a>(
    connection: &mut Connection,
    ranges: &Ranges,
    request: impl Fn(&Range<usize>) -> Request<'a>,
    mut fits: impl FnMut(Range<usize>, Reply<'static>) -> Option<()>,
) -> Result<(), Error> {
    // Half of what the daemon accepts: it never has to stop reading.
    let ahead = connection.welcome().requests as usize / 2;
    let mut pieces = ranges.pieces();
    let mut unanswered = VecDeque::new();
    let mut outcome = Ok(());
    loop {
        // What the socket does not take yet is not added to.
        let room = unanswered.is_empty() || (unanswered.len() < ahead && connection.unsent() == 0);
        let next = if room && outcome.is_ok() { pieces.next() } else { None };
        if let Some(piece) = next {
            unanswered.push_back((connection.submit(&request(&piece))?, piece));
        } else if let Some((serial, piece)) = unanswered.pop_front() {
            outcome = outcome.and(connection.wait(serial, |reply| fits(piece, reply)));
        } else {
            return outcome;
        }
    }
}
