//! What makes a layer's picture: the draws and fills that it shows, and none that others have covered.

use std::borrow::Cow;
use std::sync::Arc;

use blitd_protocol::image::{Format, Image, Plane, Rectangle};
use blitd_protocol::request::{Capture, Draw, Fill, FixedRectangle, LayerCreate, Pixels};
use blitd_protocol::value::{CaptureSubject, ColorEncoding, ColorRange, Filter, Operator, Transform};

use crate::error::Error;
use crate::inline::{self, Ranges};
use crate::region::Backing;

/// A picture of more parts than this is looked through for those that are covered.
const MOST_PARTS: usize = 512;

/// A region of at least this many bytes that is destroyed is kept as it is, where at least half of it is drawn: copying
/// it would take as much memory once more. Each takes a descriptor, so there must not be very many.
const KEPT_WHOLE: u64 = 1 << 20;

/// One draw or fill.
#[derive(Debug)]
pub(crate) enum Part {
    /// A rectangle of one colour.
    Fill(Fill),
    /// An image. Without a backing, its pixels are what it carries, of any length.
    Draw(Draw<'static>, Option<Arc<Backing>>),
}

/// A layer's picture, from back to front.
#[derive(Debug)]
pub(crate) struct Picture {
    bounds: Rectangle,
    format: Format,
    parts: Vec<Part>,
    /// How many bytes its parts carry.
    carried: u64,
    /// Room for the next copy, of one that is covered: a program that paints its one region again and again needs it
    /// each time.
    spare: Vec<u8>,
    /// What is there is not known, and will not be before all of it is drawn anew.
    is_lost: bool,
    /// The region into which the layer is being captured, in place of the parts.
    capture: Option<u32>,
}

impl Part {
    fn destination(&self, bounds: Rectangle) -> Option<Rectangle> {
        let Pixels { x, y, width, height } = match self {
            Self::Fill(fill) => fill.destination,
            Self::Draw(draw, _) => draw.destination,
        };
        Rectangle::new(x, y, width, height)?.intersection(bounds)
    }

    /// Whether nothing of what was there before can be seen through it.
    fn replaces(&self) -> bool {
        match self {
            Self::Fill(fill) => fill.operator == Operator::Source || fill.colour >> 24 == 0xff,
            Self::Draw(draw, _) => {
                let is_opaque =
                    || Format::from_fourcc(draw.image.fourcc).is_ok_and(|format| !format.has_alpha());
                draw.operator == Operator::Source || (draw.opacity == u8::MAX && is_opaque())
            }
        }
    }

    fn carried(&self) -> u64 {
        match self {
            Self::Draw(draw, None) => draw.carried.len() as u64,
            _ => 0,
        }
    }

    /// Whether it can be drawn in pieces: pixel by pixel, each to its own.
    pub(crate) fn is_plain(&self) -> bool {
        match self {
            Self::Fill(_) => true,
            Self::Draw(draw, _) => {
                let FixedRectangle { x, y, width, height } = draw.source;
                let is_whole = [x, y, width, height].iter().all(|side| side % (1 << 16) == 0);
                let size = (draw.destination.width, draw.destination.height);
                is_whole && draw.transform == Transform::Identity && (width >> 16, height >> 16) == size
            }
        }
    }

    /// The backing that it draws from, if that is this region.
    fn backing(&self, region: u32) -> Option<&Arc<Backing>> {
        match self {
            Self::Draw(_, Some(backing)) if backing.id() == region => Some(backing),
            _ => None,
        }
    }

    /// Copies what it draws out of its region, whose memory is `mapped` if that is at hand, to `room`.
    fn save(&mut self, mapped: Option<&[u8]>, mut room: Vec<u8>) -> Result<(), Error> {
        let Self::Draw(draw, from @ Some(_)) = self else { return Ok(()) };
        let Some(backing) = from.take() else { return Ok(()) };
        let area = inline::needed(draw);
        let mut ranges = Ranges::default();
        let image = ranges.add(&draw.image, area, backing.size())?;
        room.clear();
        match mapped {
            Some(bytes) => ranges.iter().for_each(|range| room.extend_from_slice(&bytes[range.clone()])),
            None => backing.read_ranges(&ranges, &mut room)?,
        }
        *draw = inline::carrying(draw, &image, area, Cow::Owned(room));
        Ok(())
    }

    /// The memory of what it carries.
    fn into_room(self) -> Vec<u8> {
        match self {
            Self::Draw(draw, None) => draw.carried.into_owned(),
            _ => Vec::new(),
        }
    }
}

/// Adds a rectangle, as one with those beside it that make a rectangle with it: tiles become one, and what they cover is
/// soon found.
fn cover(covers: &mut Vec<Rectangle>, mut area: Rectangle) {
    while let Some(beside) = covers.iter().rposition(|other| makes_one(*other, area)) {
        area = area.union(covers.swap_remove(beside));
    }
    covers.push(area);
}

/// Whether two rectangles are a rectangle together.
fn makes_one(a: Rectangle, b: Rectangle) -> bool {
    let touches = |a: (i32, i32), b: (i32, i32)| a.0 <= b.1 && b.0 <= a.1;
    let (across, down) = (|r: Rectangle| (r.left(), r.right()), |r: Rectangle| (r.top(), r.bottom()));
    (across(a) == across(b) && touches(down(a), down(b)))
        || (down(a) == down(b) && touches(across(a), across(b)))
}

impl Picture {
    /// That of a new layer: all of its pixels are 0.
    pub(crate) fn new(layer: &LayerCreate) -> Self {
        Self {
            bounds: Rectangle::from_size(layer.width, layer.height),
            format: Format::from_fourcc(layer.fourcc).unwrap_or(Format::Argb8888),
            parts: Vec::new(),
            carried: 0,
            spare: Vec::new(),
            is_lost: false,
            capture: None,
        }
    }

    /// What is to be drawn for it, in this order.
    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// What makes a layer as new, so that the parts can be drawn on it; where they are known.
    pub(crate) fn clear_layer(&self, layer: u32) -> Option<Fill> {
        let (width, height) = (self.bounds.width(), self.bounds.height());
        let destination = Pixels { x: 0, y: 0, width, height };
        (!self.is_lost).then_some(Fill { layer, colour: 0, operator: Operator::Source, destination })
    }

    /// The layer shows one thing more.
    pub(crate) fn add(&mut self, part: Part) {
        let Some(area) = part.destination(self.bounds) else { return };
        if part.replaces() {
            // What is drawn again and again is always the last.
            let covers = |last: &Part| last.destination(self.bounds).is_some_and(|last| area.contains(last));
            while self.parts.last().is_some_and(covers) {
                let Some(covered) = self.parts.pop() else { break };
                self.carried -= covered.carried();
                self.spare = covered.into_room();
            }
            if area.contains(self.bounds) {
                self.clear();
            }
        }
        if !self.is_lost {
            if let Part::Draw(_, Some(backing)) = &part {
                backing.mark();
            }
            self.carried += part.carried();
            self.parts.push(part);
        }
    }

    fn clear(&mut self) {
        self.parts.clear();
        self.carried = 0;
        self.is_lost = false;
    }

    /// What is there is not known any more.
    pub(crate) fn forget(&mut self) {
        self.clear();
        self.is_lost = true;
    }

    /// Leaves out what later parts cover: one of them, or several that make a rectangle together.
    fn thin(&mut self) {
        let mut covers: Vec<Rectangle> = Vec::new();
        let mut kept: Vec<Part> = Vec::with_capacity(self.parts.len());
        for part in self.parts.drain(..).rev() {
            let Some(area) = part.destination(self.bounds) else { continue };
            if covers.iter().any(|cover| cover.contains(area)) {
                continue;
            }
            if part.replaces() {
                cover(&mut covers, area);
            }
            kept.push(part);
        }
        kept.reverse();
        self.carried = kept.iter().map(Part::carried).sum();
        self.parts = kept;
    }

    fn is_heavy(&self) -> bool {
        // The layer itself takes four bytes for each pixel.
        self.parts.len() > MOST_PARTS || self.carried > self.bounds.pixels() * 8
    }

    /// Whether it has come to be so much that one image of the layer would be less.
    pub(crate) fn wants_capture(&mut self) -> bool {
        if self.capture.is_some() || !self.is_heavy() {
            return false;
        }
        self.thin();
        self.parts.len() > MOST_PARTS / 2 || self.carried > self.bounds.pixels() * 8
    }

    /// How many bytes an image of the layer takes.
    pub(crate) fn bytes(&self) -> usize {
        usize::try_from(self.bounds.pixels() * 4).unwrap_or(usize::MAX)
    }

    /// The request that brings the layer into a region of as many bytes, to be its picture.
    pub(crate) fn begin_capture(&mut self, layer: u32, region: u32) -> Capture {
        self.capture = Some(region);
        let (width, height) = (self.bounds.width(), self.bounds.height());
        Capture {
            subject: CaptureSubject::Layer,
            id: layer,
            source: Pixels { x: 0, y: 0, width, height },
            image: self.image(region),
        }
    }

    fn image(&self, region: u32) -> Image {
        let (width, height) = (self.bounds.width(), self.bounds.height());
        Image::linear(width, height, self.format, Plane { region, stride: width * 4, offset: 0 })
    }

    /// A capture has ended: if it was that of the picture, it is the picture; or nothing is, where it was refused.
    pub(crate) fn captured(&mut self, layer: u32, region: u32, backing: Option<&Arc<Backing>>) {
        if self.capture != Some(region) {
            return;
        }
        self.capture = None;
        let Some(backing) = backing else { return self.forget() };
        let (width, height) = (self.bounds.width(), self.bounds.height());
        let draw = Draw {
            layer,
            transform: Transform::Identity,
            filter: Filter::Nearest,
            operator: Operator::Source,
            opacity: u8::MAX,
            source: FixedRectangle { x: 0, y: 0, width: width << 16, height: height << 16 },
            destination: Pixels { x: 0, y: 0, width, height },
            image: self.image(region),
            encoding: ColorEncoding::Bt601,
            range: ColorRange::Limited,
            carried: Cow::Borrowed(&[]),
        };
        self.add(Part::Draw(draw, Some(Arc::clone(backing))));
    }

    /// Copies what it shows of a region that is about to change, whose memory is `mapped` if that is at hand.
    pub(crate) fn save(&mut self, region: u32, mapped: Option<&[u8]>) {
        let bounds = self.bounds;
        let mut place = 0;
        while let Some(part) = self.parts.get(place) {
            let Some(area) = part.backing(region).and_then(|_| part.destination(bounds)) else {
                place += 1;
                continue;
            };
            let covers = |part: &Part| {
                part.replaces() && part.destination(bounds).is_some_and(|cover| cover.contains(area))
            };
            if self.parts[place + 1..].iter().any(covers) {
                self.parts.remove(place);
                continue;
            }
            let room = std::mem::take(&mut self.spare);
            if self.parts[place].save(mapped, room).is_err() {
                return self.forget();
            }
            self.carried += self.parts[place].carried();
            place += 1;
        }
    }

    /// A region has ended: what is shown of it is kept, by a copy or by its memory.
    pub(crate) fn release(&mut self, backing: &Backing) {
        let region = backing.id();
        let shown: u64 = self
            .parts
            .iter()
            .filter(|part| part.backing(region).is_some())
            .filter_map(|part| part.destination(self.bounds))
            .map(|area| area.pixels() * 4)
            .sum();
        let is_kept = backing.size() >= KEPT_WHOLE && shown >= backing.size() / 2;
        if !is_kept && !backing.is_dmabuf() {
            self.save(region, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use blitd_protocol::value::{Access, Memory};

    use super::*;
    use crate::region::new_id;
    use crate::{Draw, ImageView, Layer, LayerOptions, memory};

    /// A layer of 1000x1000 that shows an image of this size, at the start of a region of so many bytes.
    fn shown((width, height): (u32, u32), bytes: usize) -> (Picture, Arc<Backing>) {
        let options = LayerOptions::new(1000, 1000);
        let mut picture = Picture::new(&options.request(1));
        let (mut map, descriptor) = memory::shared(bytes).unwrap();
        map.fill(7);
        let backing = Backing::new(new_id(), descriptor, bytes as u64, Memory::Memfd, Access::ReadWrite);
        let draw = Draw::new(ImageView::packed(width, height, Format::Xrgb8888));
        let request = draw.request(&Layer::new(1, &options), backing.id());
        let backing = Arc::new(backing);
        picture.add(Part::Draw(request, Some(Arc::clone(&backing))));
        (picture, backing)
    }

    #[test]
    fn a_region_that_ends_is_kept_only_where_that_takes_no_more_than_a_copy() {
        for (size, bytes, is_kept) in
            [((1000, 1000), 4 << 20, true), ((100, 100), 4 << 20, false), ((100, 100), 40_000, false)]
        {
            let (mut picture, backing) = shown(size, bytes);
            assert!(backing.is_marked());
            picture.release(&backing);
            assert_eq!(Arc::strong_count(&backing) == 2, is_kept, "{bytes} bytes");
            let [Part::Draw(draw, from)] = picture.parts() else { panic!("{picture:?}") };
            assert_eq!(from.is_some(), is_kept);
            let carried = if is_kept { 0 } else { size.0 * size.1 * 4 };
            assert!(draw.carried.len() as u32 == carried && draw.carried.iter().all(|&byte| byte == 7));
            assert_eq!(picture.carried, u64::from(carried));
        }
    }

    #[test]
    fn what_covers_a_layer_is_all_that_is_left() {
        let (mut picture, backing) = shown((100, 100), 40_000);
        let fill = |colour, operator, width| {
            let destination = Pixels { x: -1, y: -1, width, height: 1001 };
            Part::Fill(Fill { layer: 1, colour, operator, destination })
        };
        picture.add(fill(0x80_0000, Operator::Over, 1001));
        picture.add(fill(0xff80_0000, Operator::Over, 1000));
        assert_eq!(
            (picture.parts().len(), Arc::strong_count(&backing)),
            (3, 2),
            "the fill before sticks out"
        );
        picture.add(fill(0xff80_0000, Operator::Over, 1001));
        assert_eq!((picture.parts().len(), Arc::strong_count(&backing)), (1, 1));
        picture.forget();
        picture.add(fill(1, Operator::Source, 999));
        assert!(picture.parts().is_empty(), "what is behind it is not known");
        picture.add(fill(1, Operator::Source, 1001));
        assert_eq!(picture.parts().len(), 1);
    }

    #[test]
    fn what_is_drawn_in_turns_stays_little() {
        let (mut picture, _backing) = shown((100, 100), 40_000);
        for round in 0..3 * MOST_PARTS as i32 {
            let destination = Pixels { x: round % 3 * 200, y: 500, width: 10, height: 10 };
            let operator = Operator::Source;
            picture.add(Part::Fill(Fill { layer: 1, colour: round as u32, operator, destination }));
            assert!(!picture.wants_capture(), "{} parts after {round}", picture.parts().len());
        }
        picture.thin();
        let colours: Vec<_> = picture
            .parts()
            .iter()
            .filter_map(|part| if let Part::Fill(fill) = part { Some(fill.colour) } else { None })
            .collect();
        let last = 3 * MOST_PARTS as u32;
        assert_eq!((picture.parts().len(), colours), (4, vec![last - 3, last - 2, last - 1]));
    }

    #[test]
    fn saved_pixels_weigh_as_much_as_parts() {
        let (mut picture, backing) = shown((1000, 1000), 4_000_000);
        for _ in 0..2 {
            assert!(!picture.wants_capture());
            let (other, _backing) = shown((999, 1000), 4_000_000);
            let Some(Part::Draw(draw, from)) = other.parts.into_iter().next() else { panic!("no draw") };
            let draw = blitd_protocol::request::Draw { operator: Operator::Over, opacity: 9, ..draw };
            let part = Part::Draw(draw, from);
            picture.add(part);
        }
        picture.save(backing.id(), None);
        assert!(!picture.wants_capture(), "one copy is not too much: {}", picture.carried);
        let ids: Vec<u32> = picture
            .parts
            .iter()
            .filter_map(
                |part| if let Part::Draw(_, Some(backing)) = part { Some(backing.id()) } else { None },
            )
            .collect();
        ids.into_iter().for_each(|id| picture.save(id, None));
        assert!(picture.wants_capture(), "three are: {}", picture.carried);
        let capture = picture.begin_capture(1, 5);
        assert_eq!((capture.source.width, capture.image.width), (1000, 1000));
        assert!(!picture.wants_capture(), "one at a time");
        picture.captured(1, 6, None);
        assert_eq!(picture.parts().len(), 3, "that was another capture");
        picture.captured(1, 5, Some(&backing));
        assert!(matches!(picture.parts(), [Part::Draw(_, Some(_))]));
    }
}
