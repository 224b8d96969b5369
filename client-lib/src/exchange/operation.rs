//! An operation: what the program asks for, in one message or several, and sends again where the daemon is another.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use blitd_protocol::image::Rectangle;
use blitd_protocol::reply::Reply;
use blitd_protocol::request::{Capture, Draw, Entry, MAX_CARRIED, RegionCreate, Request};
use blitd_protocol::value::{Memory, Mode, Priority};

use crate::error::Error;
use crate::inline::{self, Ranges};
use crate::link::{Link, Serial};
use crate::region::Backing;

/// The number of an operation on its connection, from 0 on.
pub(crate) type Ticket = u64;

/// An operation whose replies have not all come.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) ticket: Ticket,
    priority: Priority,
    /// What is asked, where it may have to be asked again.
    pub(crate) request: Option<Request<'static>>,
    /// The memory that it lends, or that its region is made of.
    pub(crate) backing: Option<Arc<Backing>>,
    /// Somebody waits for its outcome.
    pub(crate) is_wanted: bool,
    /// Its messages that are on their way; `None` while there is no daemon.
    sent: Option<Sent>,
    /// What its outcome will be, as far as it is known.
    outcome: Option<Reply<'static>>,
}

/// Messages that are on their way.
#[derive(Debug)]
pub(crate) struct Sent {
    /// That which is answered next.
    next: Serial,
    /// How many are not answered.
    left: u32,
    /// Where the bytes go that the last of them bring.
    reads: VecDeque<Range<usize>>,
}

impl Operation {
    /// An operation that is not sent yet.
    pub(crate) fn new(
        ticket: Ticket,
        priority: Priority,
        request: Option<Request<'static>>,
        backing: Option<Arc<Backing>>,
        is_wanted: bool,
    ) -> Self {
        Self { ticket, priority, request, backing, is_wanted, sent: None, outcome: None }
    }

    /// Its messages have been queued.
    pub(crate) fn sent(self, sent: Sent) -> Self {
        Self { sent: Some(sent), ..self }
    }

    /// Its messages, and what was answered of them, went with the daemon.
    pub(crate) fn forget(&mut self) {
        (self.sent, self.outcome) = (None, None);
    }

    /// Queues its messages for another daemon.
    ///
    /// # Errors
    /// It cannot be sent there.
    pub(crate) fn send_again(&mut self, link: &mut Link, mode: Mode) -> Result<(), Error> {
        let mut sender = Sender { link, mode, priority: self.priority };
        let request = self.request.as_ref().ok_or(Error::Closed)?;
        self.sent = Some(sender.send(request, self.backing.as_deref())?);
        Ok(())
    }

    /// Takes in those of its replies that have come; true when that was the last.
    ///
    /// # Errors
    /// A reply that does not fit, after which the link is of no use.
    pub(crate) fn hear(&mut self, link: &mut Link) -> Result<bool, Error> {
        while let Some(sent) = self.sent.as_mut().filter(|sent| sent.left > 0) {
            let Some(reply) = link.take(sent.next) else { return Ok(false) };
            sent.next = sent.next.next();
            sent.left -= 1;
            match (&self.outcome, reply) {
                // The first refusal is the operation's.
                (Some(Reply::Refused(_)), _) => {}
                (Some(Reply::Done(_)), Reply::Data(bytes)) => self.bring(&bytes)?,
                (_, reply) => self.outcome = Some(reply),
            }
        }
        Ok(self.sent.is_some())
    }

    fn bring(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let reads = self.sent.as_mut().map(|sent| &mut sent.reads);
        let place = reads.and_then(VecDeque::pop_front).filter(|place| place.len() == bytes.len());
        match (place, &self.backing) {
            (Some(place), Some(backing)) => backing.write(place.start, bytes),
            _ => Err(Error::Unexpected { kind: blitd_protocol::reply::kind::DATA }),
        }
    }

    /// Its outcome, when the last reply has come.
    pub(crate) fn take_outcome(&mut self) -> Option<Reply<'static>> {
        self.outcome.take()
    }
}

/// A link, and how pixels travel on it.
pub(crate) struct Sender<'a> {
    pub(crate) link: &'a mut Link,
    pub(crate) mode: Mode,
    pub(crate) priority: Priority,
}

impl Sender<'_> {
    /// Queues the messages of an operation. What it needs of `backing` goes with it where memory is not shared.
    ///
    /// # Errors
    /// It cannot be sent, and nothing of it is carried out; or the link is of no more use.
    pub(crate) fn send(&mut self, request: &Request<'_>, backing: Option<&Backing>) -> Result<Sent, Error> {
        match (request, backing, self.mode) {
            (Request::RegionCreate(create), Some(backing), Mode::Shared) => {
                let descriptor = backing.descriptor()?;
                let next =
                    self.link.queue(&Request::RegionCreate(*create), Some(descriptor), self.priority)?;
                Ok(Sent { next, left: 1, reads: VecDeque::new() })
            }
            (Request::RegionCreate(create), Some(_), Mode::Inline) => {
                if create.memory == Memory::Dmabuf {
                    return Err(Error::NotShared);
                }
                self.one(&Request::RegionCreate(RegionCreate { memory: Memory::Held, ..*create }))
            }
            (Request::Draw(draw), Some(backing), Mode::Inline) => self.draw_inline(draw, backing),
            (Request::Batch(entries), Some(backing), Mode::Inline) => {
                let mut ranges = Ranges::default();
                for (number, entry) in (0..).zip(entries) {
                    if let Entry::Draw(draw) = entry {
                        ranges
                            .add(&draw.image, inline::needed(draw), backing.size())
                            .map_err(|source| Error::Image { entry: Some(number), source })?;
                    }
                }
                self.write_and(&ranges, request, backing)
            }
            (Request::Capture(capture), Some(backing), Mode::Inline) => self.capture_inline(capture, backing),
            _ => self.one(request),
        }
    }

    fn queue(&mut self, request: &Request<'_>) -> Result<Serial, Error> {
        self.link.queue(request, None, self.priority)
    }

    fn one(&mut self, request: &Request<'_>) -> Result<Sent, Error> {
        Ok(Sent { next: self.queue(request)?, left: 1, reads: VecDeque::new() })
    }

    /// A small draw carries its pixels; for a large one, they are written first.
    fn draw_inline(&mut self, draw: &Draw<'_>, backing: &Backing) -> Result<Sent, Error> {
        let area = inline::needed(draw);
        let mut ranges = Ranges::default();
        let image = ranges.add(&draw.image, area, backing.size())?;
        if ranges.length() > MAX_CARRIED {
            return self.write_and(&ranges, &Request::Draw(draw.clone()), backing);
        }
        let mut pixels = Vec::new();
        backing.read_ranges(&ranges, &mut pixels)?;
        self.one(&Request::Draw(inline::carrying(draw, &image, area, Cow::Owned(pixels))))
    }

    /// Brings these places of a held region to the daemon, and then the request that is about them.
    fn write_and(
        &mut self,
        ranges: &Ranges,
        request: &Request<'_>,
        backing: &Backing,
    ) -> Result<Sent, Error> {
        // What cannot be sent must be known before anything is.
        request.encode(0, self.priority, &mut Vec::new())?;
        let region = backing.create().region;
        let (mut first, mut left) = (None, 1);
        for piece in ranges.pieces() {
            let mut bytes = Vec::with_capacity(piece.len());
            backing.read(&piece, &mut bytes)?;
            let bytes = Cow::Owned(bytes);
            let serial = self.queue(&Request::RegionWrite { region, offset: piece.start as u64, bytes })?;
            first.get_or_insert(serial);
            left += 1;
        }
        let last = self.queue(request)?;
        Ok(Sent { next: first.unwrap_or(last), left, reads: VecDeque::new() })
    }

    /// A capture, and what brings its pixels here.
    fn capture_inline(&mut self, capture: &Capture, backing: &Backing) -> Result<Sent, Error> {
        let mut ranges = Ranges::default();
        let area = Rectangle::from_size(capture.image.width, capture.image.height);
        ranges.add(&capture.image, area, backing.size())?;
        let next = self.queue(&Request::Capture(*capture))?;
        let (region, mut reads) = (backing.create().region, VecDeque::new());
        for piece in ranges.pieces() {
            let (offset, length) = (piece.start as u64, piece.len() as u32);
            self.queue(&Request::RegionRead { region, offset, length })?;
            reads.push_back(piece);
        }
        let left = u32::try_from(reads.len()).unwrap_or(u32::MAX).saturating_add(1);
        Ok(Sent { next, left, reads })
    }
}
