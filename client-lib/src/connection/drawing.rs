//! Drawing and capturing by calls that wait.

use std::time::Instant;

use blitd_protocol::reply::{Receipt, Shown};
use blitd_protocol::request::{Capture, Pixels, Request};
use blitd_protocol::value::CaptureSubject;

use super::{Connection, deadline, done, fitting, shown};
use crate::batch::{self, BatchEntry};
use crate::draw::{Draw, ImageView};
use crate::error::Error;
use crate::exchange::Ticket;
use crate::inline;
use crate::layer::Layer;
use crate::region::Region;

impl Connection {
    /// Draws an image of a region into a layer. When it returns, the pixels have been read and are in the layer,
    /// and the region can be painted again.
    ///
    /// # Errors
    /// The daemon refuses the draw: the image leaves the region, say, or the part the image. After an error that
    /// ends the connection the region is empty.
    pub fn draw(&mut self, layer: &Layer, region: &mut Region, draw: &Draw) -> Result<Receipt, Error> {
        self.lend_and_wait(region, &Request::Draw(draw.request(layer, region.id())))
    }

    /// Draws an image as [`draw`](Self::draw) does, and waits until that is on the glass of an output; 0 is the first.
    /// For programs that draw one picture after the other: both requests go in one write, so that the daemon wakes once
    /// for them, and where it is far away a picture takes one round trip and not two.
    ///
    /// # Errors
    /// Those of [`draw`](Self::draw) and of [`sync`](Self::sync), the draw's first.
    pub fn draw_and_sync(
        &mut self,
        layer: &Layer,
        region: &mut Region,
        draw: &Draw,
        output: u32,
    ) -> Result<(Receipt, Shown), Error> {
        let request = Request::Draw(draw.request(layer, region.id()));
        let backing = region.lendable(&self.shared)?;
        let deadline = deadline(self.timeout);
        let mut exchange = self.shared.exchange();
        let drawing = exchange.submit(&request, Some(backing), self.priority)?;
        let syncing = exchange.next_ticket();
        exchange.post(&Request::Sync { output }, None, self.priority);
        drop(exchange);
        let drawn = self.finish_lent(region, drawing, deadline);
        let (mut exchange, outcome) = self.shared.finish(syncing, deadline);
        let synced = outcome.and_then(|reply| fitting(reply, shown));
        let synced = synced.map_err(|error| exchange.fail_if_over(error));
        Ok((drawn?, synced?))
    }

    /// Draws pixels that travel in the draw's own message, at most 64 KiB of them, whatever the mode. The draw's
    /// image is a view of `pixels`.
    ///
    /// # Errors
    /// They are too many, or the daemon refuses the draw.
    pub fn draw_pixels(&mut self, layer: &Layer, pixels: &[u8], draw: &Draw) -> Result<Receipt, Error> {
        self.call(&Request::Draw(inline::carried(&draw.request(layer, 0), pixels)?), done)
    }

    /// Replaces a rectangle of a layer by a colour, a premultiplied ARGB8888 word. What leaves the layer is
    /// clipped.
    ///
    /// # Errors
    /// The daemon does not know the layer, or the connection is of no more use.
    pub fn fill(
        &mut self,
        layer: &Layer,
        colour: u32,
        x: i32,
        y: i32,
        width: u32,
        height: u32,
    ) -> Result<Receipt, Error> {
        self.call(&Request::Fill(batch::fill(layer, colour, Pixels { x, y, width, height })), done)
    }

    /// Several requests as one: the daemon checks all before it draws any, and they come on the glass together.
    ///
    /// It lends one region, from which all of its draws draw: several images fit one region at offsets. A batch
    /// without draws takes `None`.
    ///
    /// # Errors
    /// The daemon refuses an entry, whose number the refusal has; or an image is not inside the region; or they are
    /// more than fit a message. Nothing has changed then. After an error that ends the connection the region is empty.
    pub fn batch<'a>(
        &mut self,
        region: impl Into<Option<&'a mut Region>>,
        entries: &[BatchEntry<'_>],
    ) -> Result<Receipt, Error> {
        match region.into() {
            Some(region) => self.lend_and_wait(region, &batch::request(entries, region.id())),
            None => self.call(&batch::request(entries, 0), done),
        }
    }

    /// Brings what an output shows, without its cursor or anything else that blitd does not draw, into an image of
    /// a region. The image's size is that of the part, whose left column and top row are `x` and `y`.
    ///
    /// # Errors
    /// This user may not, or the part leaves the output. After an error that ends the connection the region is
    /// empty.
    pub fn capture_output(
        &mut self,
        output: u32,
        x: i32,
        y: i32,
        region: &mut Region,
        image: &ImageView,
    ) -> Result<Receipt, Error> {
        let request = capture((CaptureSubject::Output, output), (x, y), region.id(), image);
        self.lend_and_wait(region, &request)
    }

    /// Brings a layer's pixels into an image of a region. The image's size is that of the part, whose left column
    /// and top row in the layer are `x` and `y`.
    ///
    /// # Errors
    /// The part leaves the layer. After an error that ends the connection the region is empty.
    pub fn capture_layer(
        &mut self,
        layer: &Layer,
        x: i32,
        y: i32,
        region: &mut Region,
        image: &ImageView,
    ) -> Result<Receipt, Error> {
        let request = capture((CaptureSubject::Layer, layer.id()), (x, y), region.id(), image);
        self.lend_and_wait(region, &request)
    }

    /// Waits until everything that this connection did is on the glass of an output; 0 is the first.
    ///
    /// # Errors
    /// There is no such output, or the connection is of no more use.
    pub fn sync(&mut self, output: u32) -> Result<Shown, Error> {
        self.call(&Request::Sync { output }, shown)
    }

    /// Lends a region for as long as it takes to answer a request.
    fn lend_and_wait(&mut self, region: &mut Region, request: &Request<'_>) -> Result<Receipt, Error> {
        let backing = region.lendable(&self.shared)?;
        let deadline = deadline(self.timeout);
        let ticket = self.shared.exchange().submit(request, Some(backing), self.priority)?;
        self.finish_lent(region, ticket, deadline)
    }

    /// Waits for the reply that gives a region back.
    fn finish_lent(
        &self,
        region: &mut Region,
        ticket: Ticket,
        deadline: Option<Instant>,
    ) -> Result<Receipt, Error> {
        let (mut exchange, outcome) = self.shared.finish(ticket, deadline);
        outcome.and_then(|reply| fitting(reply, done)).map_err(|error| {
            let error = exchange.fail_if_over(error);
            if exchange.is_lost(&error) {
                region.lose();
            }
            error
        })
    }
}

/// The request that brings a part of a layer or an output into an image of a region.
pub(super) fn capture(
    (subject, id): (CaptureSubject, u32),
    (x, y): (i32, i32),
    region: u32,
    image: &ImageView,
) -> Request<'static> {
    let ImageView { width, height, .. } = *image;
    Request::Capture(Capture {
        subject,
        id,
        source: Pixels { x, y, width, height },
        image: image.image(region),
    })
}
