//! Bringing what a record holds to a daemon that has nothing of it.

use std::borrow::Cow;
use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use blitd_protocol::image::Format;
use blitd_protocol::reply::{Reply, Welcome};
use blitd_protocol::request::{
    Draw, Entry, FixedRectangle, LayerConfigure, LayerCreate, MAX_CARRIED, MAX_ENTRIES, Pixels, RegionCreate,
    Request,
};
use blitd_protocol::value::{Access, Memory, Mode, Priority};

use super::Record;
use super::picture::Part;
use crate::error::Error;
use crate::inline::{self, Ranges};
use crate::layer::SharedToken;
use crate::link::{Link, Serial};
use crate::memory;
use crate::region::{Backing, new_id};

/// How long each reply may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Pixels are sent ahead of their replies as far as this many bytes.
const AHEAD: usize = 1 << 20;

/// A link to a daemon, and what was asked of it.
struct Replay<'a> {
    link: &'a mut Link,
    mode: Mode,
    priority: Priority,
    asked: VecDeque<(Serial, Asked)>,
}

/// What a reply is about.
#[derive(Clone, Copy)]
enum Asked {
    Region(u32),
    Layer(u32),
    Claim(u32),
    Picture,
}

impl Record {
    /// Claims the layers that linger and are still there, and makes everything else anew: the regions, then the layers,
    /// hidden, with their pictures; and when all are whole, shows them in one batch, so that no frame has a part of them.
    ///
    /// What the daemon refuses is left out, and remembered with its reason.
    ///
    /// # Errors
    /// The link is of no more use.
    pub(crate) fn replay(&mut self, link: &mut Link, welcome: &Welcome) -> Result<(), Error> {
        let priority = Priority::new(welcome.ceiling).unwrap_or_default().min(Priority::DEFAULT);
        let mut replay = Replay { link, mode: welcome.mode, priority, asked: VecDeque::new() };
        // Where only the connection had ended, the daemon still has them.
        for (id, layer) in &self.layers {
            if let Some(token) = layer.token.as_ref().map(SharedToken::get) {
                replay.ask(&Request::LayerClaim { layer: *id, token }, Asked::Claim(*id))?;
            }
        }
        let claimed = replay.hear(self)?;
        for (id, region) in &self.regions {
            replay.create(&region.backing, Asked::Region(*id))?;
        }
        for (id, layer) in &self.layers {
            if claimed.contains(id) {
                // What had no reply may have been done, and is asked again: so it is as it was before that.
                replay.ask(&Request::LayerConfigure(layer.hidden()), Asked::Picture)?;
                if let Some(clear) = layer.picture.as_ref().and_then(|picture| picture.clear_layer(*id)) {
                    replay.ask(&Request::Fill(clear), Asked::Picture)?;
                }
                continue;
            }
            let hidden = LayerCreate { visible: false, ..layer.create };
            replay.ask(&Request::LayerCreate(hidden), Asked::Layer(*id))?;
        }
        replay.hear(self)?;
        for layer in self.layers.values().filter(|layer| layer.refusal.is_none()) {
            for part in layer.picture.iter().flat_map(|picture| picture.parts()) {
                match part {
                    Part::Fill(fill) => replay.ask(&Request::Fill(*fill), Asked::Picture)?,
                    Part::Draw(draw, None) => replay.carry(draw, part.is_plain(), |ranges, pixels| {
                        let kept = ranges.iter().filter_map(|range| draw.carried.get(range.clone()));
                        kept.for_each(|kept| pixels.extend_from_slice(kept));
                        Ok(())
                    })?,
                    Part::Draw(draw, Some(backing)) => {
                        let is_there = self.regions.get(&backing.id()).is_some_and(|it| it.refusal.is_none());
                        replay.draw(draw, part.is_plain(), backing, is_there)?;
                    }
                }
            }
        }
        let there = self.layers.values().filter(|layer| layer.refusal.is_none());
        let entries: Vec<_> = there
            .map(|layer| LayerConfigure { visible: layer.create.visible.then_some(true), ..layer.shown })
            .filter(|change| *change != LayerConfigure { layer: change.layer, ..LayerConfigure::default() })
            .map(Entry::LayerConfigure)
            .collect();
        for entries in entries.chunks(MAX_ENTRIES) {
            replay.ask(&Request::Batch(entries.to_vec()), Asked::Picture)?;
        }
        replay.hear(self).map(drop)
    }
}

/// How many columns and rows of an image may travel in a message, of so many columns that are wanted.
fn most(format: Format, width: u32) -> (u32, u32) {
    let carried = MAX_CARRIED as u32;
    if !format.is_yuv() {
        let bytes = format.bytes_per_pixel();
        let columns = width.min(carried / bytes).max(1);
        return (columns, (carried / (columns * bytes)).max(1));
    }
    // Whole pairs, and on both sides those that the first and the last pixel share their colours with: at most two bytes
    // for each.
    let columns = width.next_multiple_of(2).min(carried / 16);
    (columns, (carried / (2 * (columns + 2)) - 2) & !1)
}

impl Replay<'_> {
    fn ask(&mut self, request: &Request<'_>, asked: Asked) -> Result<(), Error> {
        let serial = self.link.queue(request, None, self.priority)?;
        self.asked.push_back((serial, asked));
        Ok(())
    }

    fn create(&mut self, backing: &Backing, asked: Asked) -> Result<(), Error> {
        let create = backing.create();
        if self.mode == Mode::Inline {
            let held = RegionCreate { memory: Memory::Held, ..create };
            return self.ask(&Request::RegionCreate(held), asked);
        }
        let descriptor = Some(backing.descriptor()?);
        let serial = self.link.queue(&Request::RegionCreate(create), descriptor, self.priority)?;
        self.asked.push_back((serial, asked));
        Ok(())
    }

    /// A draw from a region that the daemon has; from a dmabuf that is lent for just that; or from memory here.
    fn draw(
        &mut self,
        draw: &Draw<'static>,
        is_plain: bool,
        backing: &Backing,
        is_there: bool,
    ) -> Result<(), Error> {
        let request = Request::Draw(draw.clone());
        if backing.is_dmabuf() && !is_there {
            self.create(backing, Asked::Picture)?;
            self.ask(&request, Asked::Picture)?;
            return self.ask(&Request::RegionDestroy { region: backing.id() }, Asked::Picture);
        }
        if is_there && self.mode == Mode::Shared {
            return self.ask(&request, Asked::Picture);
        }
        self.carry(draw, is_plain, |ranges, pixels| backing.read_ranges(ranges, pixels))
    }

    /// A draw from memory here: where it is plain, in pieces.
    fn carry(
        &mut self,
        draw: &Draw<'static>,
        is_plain: bool,
        read: impl Fn(&Ranges, &mut Vec<u8>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if is_plain { self.pieces(draw, read) } else { self.whole(draw, read) }
    }

    /// A draw that scales or turns, whose pixels depend on each other: what one message cannot carry is lent or written
    /// for just that.
    fn whole(
        &mut self,
        draw: &Draw<'static>,
        read: impl Fn(&Ranges, &mut Vec<u8>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let area = inline::needed(draw);
        let mut ranges = Ranges::default();
        let image = ranges.add(&draw.image, area, u64::MAX)?;
        let mut pixels = Vec::with_capacity(ranges.length());
        read(&ranges, &mut pixels)?;
        let mut request = inline::carrying(draw, &image, area, Cow::Owned(pixels));
        if request.carried.len() <= MAX_CARRIED {
            self.ask(&Request::Draw(request), Asked::Picture)?;
            return self.pace();
        }
        let pixels = std::mem::take(&mut request.carried);
        let region = new_id();
        let planes = request.image.plane_count as usize;
        request.image.planes.iter_mut().take(planes).for_each(|plane| plane.region = region);
        let (mut memory, descriptor) = memory::shared(pixels.len())?;
        memory.copy_from_slice(&pixels);
        let size = pixels.len() as u64;
        let backing = Backing::new(region, descriptor, size, Memory::Memfd, Access::Read);
        self.create(&backing, Asked::Picture)?;
        if self.mode == Mode::Inline {
            for (index, piece) in pixels.chunks(MAX_CARRIED).enumerate() {
                let (offset, bytes) = ((index * MAX_CARRIED) as u64, Cow::Borrowed(piece));
                self.ask(&Request::RegionWrite { region, offset, bytes }, Asked::Picture)?;
                self.pace()?;
            }
        }
        self.ask(&Request::Draw(request), Asked::Picture)?;
        self.ask(&Request::RegionDestroy { region }, Asked::Picture)?;
        self.pace()
    }

    /// Sends what is queued, and waits where that is much.
    fn pace(&mut self) -> Result<(), Error> {
        self.link.flush()?;
        if self.link.unsent() > AHEAD
            && let Some((last, _)) = self.asked.pop_back()
        {
            // What is refused is left out, like any other part.
            self.reply(last)?;
        }
        Ok(())
    }

    /// A draw from memory here, in as many messages as it takes to carry the pixels.
    fn pieces(
        &mut self,
        draw: &Draw<'static>,
        read: impl Fn(&Ranges, &mut Vec<u8>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let [left, top, width, height] =
            [draw.source.x, draw.source.y, draw.source.width, draw.source.height].map(|side| side >> 16);
        let format = draw.image.check(|_| Ok::<_, Error>(u64::MAX))?.format();
        let (columns, rows) = most(format, width);
        for y in (0..height).step_by(rows as usize) {
            for x in (0..width).step_by(columns as usize) {
                let size = [columns.min(width - x), rows.min(height - y)];
                let source = FixedRectangle {
                    x: (left + x) << 16,
                    y: (top + y) << 16,
                    width: size[0] << 16,
                    height: size[1] << 16,
                };
                let destination = Pixels {
                    x: draw.destination.x.saturating_add_unsigned(x),
                    y: draw.destination.y.saturating_add_unsigned(y),
                    width: size[0],
                    height: size[1],
                };
                let piece = Draw { source, destination, carried: Cow::Borrowed(&[]), ..*draw };
                let area = inline::needed(&piece);
                let mut ranges = Ranges::default();
                let image = ranges.add(&draw.image, area, u64::MAX)?;
                let mut pixels = Vec::with_capacity(ranges.length());
                read(&ranges, &mut pixels)?;
                let request = inline::carrying(&piece, &image, area, Cow::Owned(pixels));
                self.ask(&Request::Draw(request), Asked::Picture)?;
            }
            self.pace()?;
        }
        Ok(())
    }

    fn reply(&mut self, serial: Serial) -> Result<Reply<'static>, Error> {
        self.link.wait_for(serial, Some(Instant::now() + PATIENCE))
    }

    /// Waits for all replies, and remembers what was refused, and tokens. Tells which layers were claimed.
    fn hear(&mut self, record: &mut Record) -> Result<BTreeSet<u32>, Error> {
        let mut claimed = BTreeSet::new();
        while let Some((serial, asked)) = self.asked.pop_front() {
            let (mut refusal, mut token) = (None, None);
            match self.reply(serial)? {
                Reply::Refused(refused) => refusal = Some(refused),
                Reply::Token(given) => token = Some(given),
                _ => {}
            }
            match asked {
                Asked::Region(id) => {
                    record.regions.entry(id).and_modify(|region| region.refusal = refusal);
                }
                Asked::Layer(id) => {
                    record.layers.entry(id).and_modify(|layer| {
                        layer.refusal = refusal;
                        layer.token.iter().zip(token).for_each(|(kept, token)| kept.set(token));
                    });
                }
                Asked::Claim(id) if refusal.is_none() => {
                    record.layers.entry(id).and_modify(|layer| layer.refusal = None);
                    claimed.insert(id);
                }
                // It is made anew, or that is refused for the same reason.
                Asked::Claim(_) => {}
                Asked::Picture => {}
            }
        }
        Ok(claimed)
    }
}
