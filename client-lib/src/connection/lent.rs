//! Lending for later: a region goes into a handle, and comes back with the reply.

use std::fmt;
use std::sync::Arc;

use blitd_protocol::reply::Receipt;
use blitd_protocol::request::Request;
use blitd_protocol::value::CaptureSubject;

use super::Connection;
use super::asked::{Asked, receipt, receipts};
use super::drawing::capture;
use crate::batch::{self, BatchEntry};
use crate::draw::{Draw, ImageView};
use crate::error::Error;
use crate::layer::Layer;
use crate::region::Region;

/// A region that is lent, and what its replies will say.
///
/// The region is in here until the daemon has replied, so no program can write what the daemon may be reading:
///
/// ```compile_fail,E0382
/// # use blitd_client::{Connection, Draw, Error, Layer, Region};
/// fn paint(connection: &mut Connection, layer: &Layer, region: Region, draw: &Draw) -> Result<(), Error> {
///     let mut region = region;
///     let lent = connection.lend_draw(layer, region, draw)?;
///     region.pixels_mut().fill(0);
///     let (mut region, _) = lent.wait(connection)?;
///     Ok(())
/// }
/// ```
///
/// The same with the lines in the right order:
///
/// ```
/// # use blitd_client::{Connection, Draw, Error, Layer, Region};
/// fn paint(connection: &mut Connection, layer: &Layer, region: Region, draw: &Draw) -> Result<(), Error> {
///     let mut region = region;
///     let lent = connection.lend_draw(layer, region, draw)?;
///     let (mut region, _) = lent.wait(connection)?;
///     region.pixels_mut().fill(0);
///     Ok(())
/// }
/// ```
///
/// | what the program does | what becomes of the request | what becomes of the region |
/// | --- | --- | --- |
/// | [`wait`](Self::wait) | it is sent if it was not; waits for the reply | back with the reply, also when that is a refusal |
/// | a wait that takes longer than the [timeout](Connection::set_timeout) | goes on | stays in the handle, which the error gives back |
/// | [`is_ready`](Self::is_ready) | nothing; it tells whether a wait would return at once | stays in the handle |
/// | drop | goes on; nobody is told how it ended | unmapped here at once; ends at the daemon after the request |
/// | the daemon goes, and the connection is [restored](crate#a-daemon-that-goes-and-comes-back) | it is sent again to the one that comes | stays in the handle |
/// | the daemon goes, and the connection is not restored | was carried out or not: with the daemon went what it drew | back with the error |
/// | the connection is closed for another reason, or dropped | is not carried out, or has been | does not come back: the daemon may still be using it |
///
/// There is no cancelling: the protocol has none, since a request that is under way may have drawn something. Who no
/// longer wants an answer drops the handle; who wants the region back waits, which takes as long as the daemon uses it.
#[derive(Debug)]
#[must_use = "dropping it ends the region; wait gives it back"]
pub struct Lent<T> {
    region: Region,
    asked: Asked<T>,
}

/// What lending for later, and waiting for it, can end with.
pub enum LendError<T> {
    /// It was refused, or it was not sent, or the daemon is gone. The region is the program's again.
    Returned {
        /// The region that was to be lent.
        region: Region,
        /// Why.
        error: Error,
    },
    /// No reply came in time, or no daemon ([`Error::Away`]). The request goes on, and nothing is lost. As an error alone
    /// this is [`Error::TimedOut`].
    Pending {
        /// To wait on.
        lent: Lent<T>,
    },
    /// The connection is closed, and whether the daemon still uses the memory is not known. The region is unmapped.
    Lost {
        /// Why.
        error: Error,
    },
}

/// The error alone. The region ends with that, and a handle is dropped.
impl<T> From<LendError<T>> for Error {
    fn from(error: LendError<T>) -> Self {
        match error {
            LendError::Returned { error, .. } | LendError::Lost { error } => error,
            LendError::Pending { .. } => Self::TimedOut,
        }
    }
}

impl<T> fmt::Debug for LendError<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Returned { region, error } => {
                let mut debug = formatter.debug_struct("Returned");
                debug.field("region", &region.id()).field("error", error).finish()
            }
            Self::Pending { .. } => formatter.write_str("Pending"),
            Self::Lost { error } => formatter.debug_struct("Lost").field("error", error).finish(),
        }
    }
}

impl<T> fmt::Display for LendError<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Returned { error, .. } | Self::Lost { error } => error.fmt(formatter),
            Self::Pending { .. } => {
                formatter.write_str("the daemon did not reply in time: wait again, or drop the handle")
            }
        }
    }
}

impl<T> std::error::Error for LendError<T> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Returned { error, .. } | Self::Lost { error } => Some(error),
            Self::Pending { .. } => None,
        }
    }
}

impl<T> Lent<T> {
    /// Whether [`wait`](Self::wait) returns at once. It takes nothing in: [`Connection::dispatch`] and all calls that
    /// wait do that.
    pub fn is_ready(&self) -> bool {
        self.asked.is_ready()
    }

    /// Waits until the daemon has replied, and gives the region back.
    ///
    /// # Errors
    /// See [`LendError`].
    pub fn wait(self, connection: &mut Connection) -> Result<(Region, T), LendError<T>> {
        let Self { region, mut asked } = self;
        match asked.wait(connection) {
            Ok(answer) => Ok((region, answer)),
            Err(Error::TimedOut | Error::Away { .. }) => {
                Err(LendError::Pending { lent: Self { region, asked } })
            }
            Err(error) if asked.is_lost(&error) => Err(LendError::Lost { error }),
            Err(error) => Err(LendError::Returned { region, error }),
        }
    }
}

impl Connection {
    /// Like [`draw`](Self::draw), for later: the region goes into the handle, and the reply is waited for there.
    ///
    /// What is lent is queued, and sent with the next [`flush`](Self::flush), [`dispatch`](Self::dispatch), wait or
    /// blocking call: so that many draws go in one write. Where the connection is inline, the pixels are queued too.
    ///
    /// # Errors
    /// [`LendError::Returned`] where it cannot be sent.
    pub fn lend_draw(
        &mut self,
        layer: &Layer,
        region: Region,
        draw: &Draw,
    ) -> Result<Lent<Receipt>, LendError<Receipt>> {
        let request = Request::Draw(draw.request(layer, region.id()));
        self.lend(region, &request)
    }

    /// Many draws from one region, in order, each a request of its own with a receipt of its own: unlike those of a
    /// [batch](Self::lend_batch), each can be shown and refused without the others. The region comes back when the last
    /// has been answered.
    ///
    /// # Errors
    /// [`LendError::Returned`] where the region cannot be lent. What is wrong with a single draw is in its place among
    /// the answers.
    #[expect(clippy::type_complexity, reason = "a receipt or an error for each, and the handle of them")]
    pub fn lend_draws<'a>(
        &mut self,
        region: Region,
        draws: impl IntoIterator<Item = (&'a Layer, Draw)>,
    ) -> Result<Lent<Vec<Result<Receipt, Error>>>, LendError<Vec<Result<Receipt, Error>>>> {
        let backing = match region.lendable(&self.shared) {
            Ok(backing) => backing,
            Err(error) => return Err(LendError::Returned { region, error }),
        };
        let mut exchange = self.shared.exchange();
        let first = exchange.next_ticket();
        for (layer, draw) in draws {
            let request = Request::Draw(draw.request(layer, region.id()));
            exchange.post(&request, Some(Arc::clone(&backing)), self.priority);
        }
        let end = exchange.next_ticket();
        drop(exchange);
        let asked = Asked::new(&self.shared, first..end, receipts);
        Ok(Lent { region, asked })
    }

    /// Like [`batch`](Self::batch), for later; see [`lend_draw`](Self::lend_draw).
    ///
    /// # Errors
    /// [`LendError::Returned`] where it cannot be sent.
    pub fn lend_batch(
        &mut self,
        region: Region,
        entries: &[BatchEntry<'_>],
    ) -> Result<Lent<Receipt>, LendError<Receipt>> {
        let request = batch::request(entries, region.id());
        self.lend(region, &request)
    }

    /// Like [`capture_layer`](Self::capture_layer), for later; see [`lend_draw`](Self::lend_draw).
    ///
    /// # Errors
    /// [`LendError::Returned`] where it cannot be sent.
    pub fn lend_capture_layer(
        &mut self,
        layer: &Layer,
        x: i32,
        y: i32,
        region: Region,
        image: &ImageView,
    ) -> Result<Lent<Receipt>, LendError<Receipt>> {
        let request = capture((CaptureSubject::Layer, layer.id()), (x, y), region.id(), image);
        self.lend(region, &request)
    }

    /// Like [`capture_output`](Self::capture_output), for later; see [`lend_draw`](Self::lend_draw).
    ///
    /// # Errors
    /// [`LendError::Returned`] where it cannot be sent.
    pub fn lend_capture_output(
        &mut self,
        output: u32,
        x: i32,
        y: i32,
        region: Region,
        image: &ImageView,
    ) -> Result<Lent<Receipt>, LendError<Receipt>> {
        let request = capture((CaptureSubject::Output, output), (x, y), region.id(), image);
        self.lend(region, &request)
    }

    fn lend(&mut self, region: Region, request: &Request<'_>) -> Result<Lent<Receipt>, LendError<Receipt>> {
        let submitted = region
            .lendable(&self.shared)
            .and_then(|backing| self.shared.exchange().submit(request, Some(backing), self.priority));
        match submitted {
            Ok(ticket) => {
                let asked = Asked::new(&self.shared, ticket..ticket + 1, receipt);
                Ok(Lent { region, asked })
            }
            Err(error) => Err(LendError::Returned { region, error }),
        }
    }
}
