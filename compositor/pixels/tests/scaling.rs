//! Scaled and turned pictures: against a plain reference in floating point, against libpixman, every level against the
//! plain one, and in pieces against the whole.

mod pixman;

use blitd_pixels::level::Level;
use blitd_pixels::pixel::{OPAQUE, from_rgb565, multiply, over, swap_red_blue};
use blitd_pixels::sample::{MOST_AVERAGED, Scaling, ScalingError};
use blitd_pixels::view::{Layout, Picture, PictureMut, View, ViewMut};
use blitd_protocol::image::{Format, Rectangle};
use blitd_protocol::request::FixedRectangle;
use blitd_protocol::value::{Filter, Operator, Transform};
use pixman::Image;
use proptest::prelude::*;
use proptest::sample::select;

/// A picture in memory: rows of any stride.
#[derive(Clone, Debug)]
struct Raw {
    layout: Layout,
    bytes: Vec<u8>,
}

impl Raw {
    fn new(width: u32, height: u32, format: Format, words: &[u32]) -> Self {
        let bytes = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        Self { layout: Layout { width, height, stride: width as usize * 4, offset: 0, format }, bytes }
    }

    fn word(&self, x: u32, y: u32) -> u32 {
        let Layout { width, height, stride, offset, format } = self.layout;
        assert!(x < width && y < height);
        let at = offset + y as usize * stride + (x * format.bytes_per_pixel()) as usize;
        let word = |at| u32::from_le_bytes(self.bytes[at..at + 4].try_into().unwrap());
        match format {
            Format::Xrgb8888 => word(at) | OPAQUE,
            Format::Argb8888 => word(at),
            Format::Xbgr8888 => swap_red_blue(word(at)) | OPAQUE,
            Format::Abgr8888 => swap_red_blue(word(at)),
            Format::Rgb565 => from_rgb565(u16::from_le_bytes([self.bytes[at], self.bytes[at + 1]])),
            Format::Rgb888 => {
                u32::from_le_bytes([self.bytes[at], self.bytes[at + 1], self.bytes[at + 2], 255])
            }
            other => panic!("{other} is not among those that are scaled here"),
        }
    }

    fn words(&self) -> Vec<u32> {
        let Layout { width, height, .. } = self.layout;
        (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).map(|(x, y)| self.word(x, y)).collect()
    }

    fn picture(&self) -> Picture<'_> {
        Picture::new(View::from_slice(&self.bytes), self.layout).unwrap()
    }

    fn picture_mut(&mut self) -> PictureMut<'_> {
        PictureMut::new(ViewMut::from_slice(&mut self.bytes), self.layout).unwrap()
    }
}

/// Rows of the other formats come from the same place, and have tests of their own.
const FORMATS: &[Format] =
    &[Format::Xrgb8888, Format::Argb8888, Format::Xbgr8888, Format::Abgr8888, Format::Rgb565, Format::Rgb888];

fn raw(formats: &'static [Format], width: u32, height: u32) -> impl Strategy<Value = Raw> {
    (1..width, 1..height, 0usize..9, 0usize..9, select(formats)).prop_flat_map(
        |(width, height, padding, offset, format)| {
            let stride = (width * format.bytes_per_pixel()) as usize + padding;
            let layout = Layout { width, height, stride, offset, format };
            let length = offset + stride * height as usize;
            prop::collection::vec(any::<u8>(), length).prop_map(move |bytes| Raw { layout, bytes })
        },
    )
}

/// A rectangle inside a picture of this size, in 16.16: often of whole pixels, often all of it.
fn source(width: u32, height: u32) -> impl Strategy<Value = FixedRectangle> {
    let side = |pixels: u32| {
        let fixed = pixels << 16;
        let any = (0..fixed).prop_flat_map(move |start| (Just(start), 1..=fixed - start));
        let whole = (0..pixels).prop_flat_map(move |start| (Just(start << 16), 1..=pixels - start));
        let whole = whole.prop_map(|(start, length)| (start, length << 16));
        prop_oneof![any, whole, Just((0, fixed))]
    };
    (side(width), side(height)).prop_map(|((x, width), (y, height))| FixedRectangle { x, y, width, height })
}

/// A source, what is there before, and how the one comes into the other.
#[derive(Clone, Debug)]
struct Case {
    source: Raw,
    target: Raw,
    crop: FixedRectangle,
    destination: Rectangle,
    transform: Transform,
    filter: Filter,
    operator: Operator,
    opacity: u8,
}

impl Case {
    fn scaling(&self) -> Result<Scaling, ScalingError> {
        Scaling::new(self.crop, self.destination, self.transform, self.filter)
    }

    /// Draws the parts by the kernels of a level; what is there then.
    fn drawn(&self, level: Level, parts: &[Rectangle]) -> Raw {
        let mut target = self.target.clone();
        let scaling = self.scaling().unwrap();
        for part in parts {
            let picture = &mut target.picture_mut();
            scaling.draw_at(level, &self.source.picture(), picture, *part, self.operator, self.opacity);
        }
        target
    }
}

const ALL: Rectangle = Rectangle::from_size(1 << 20, 1 << 20);
const TARGETS: &[Format] = &[Format::Xrgb8888, Format::Argb8888];

fn case() -> impl Strategy<Value = Case> {
    let pictures = (raw(FORMATS, 40, 40), raw(TARGETS, 100, 100));
    let side = || prop_oneof![1u32..12, 1u32..150];
    let destination = (-30i32..60, -30i32..60, side(), side());
    let how = (select(Transform::ALL), select(Filter::ALL), select(Operator::ALL));
    let opacity = prop_oneof![Just(255), any::<u8>()];
    (pictures, destination, how, opacity).prop_flat_map(
        |((from, target), (x, y, width, height), (transform, filter, operator), opacity)| {
            source(from.layout.width, from.layout.height).prop_map(move |crop| Case {
                source: from.clone(),
                target: target.clone(),
                crop,
                destination: Rectangle::new(x, y, width, height).unwrap(),
                transform,
                filter,
                operator,
                opacity,
            })
        },
    )
}

/// Which position of a picture, before it is turned, has become this one: by the matrices of docs/protocol.md, whose
/// transposes are their inverses. Positions are twice those of pixels, so that centres are whole.
fn upright(transform: Transform, (x, y): (i64, i64), (width, height): (i64, i64)) -> (i64, i64) {
    let [a, b, c, d] = match transform {
        Transform::Identity => [1, 0, 0, 1],
        Transform::Rotate90 => [0, 1, -1, 0],
        Transform::Rotate180 => [-1, 0, 0, -1],
        Transform::Rotate270 => [0, -1, 1, 0],
        Transform::Reflect => [-1, 0, 0, 1],
        Transform::ReflectRotate90 => [0, 1, 1, 0],
        Transform::ReflectRotate180 => [1, 0, 0, -1],
        Transform::ReflectRotate270 => [0, -1, -1, 0],
    };
    let (x, y) = (2 * x + 1 - width, 2 * y + 1 - height);
    let (upright_width, upright_height) = if a == 0 { (height, width) } else { (width, height) };
    ((a * x + c * y + upright_width - 1) / 2, (b * x + d * y + upright_height - 1) / 2)
}

/// What pixel `index` of `size` is made of along an axis: source pixels and their weights, which sum up to 1.
fn weights(start: u32, length: u32, size: u32, index: u32, filter: Filter) -> Vec<(u32, f64)> {
    let (start, length, size, index) =
        (i128::from(start), i128::from(length), i128::from(size), i128::from(index));
    let (first, last) = (start >> 16, (start + length - 1) >> 16);
    // In 16.16 times twice the size, so that nothing is rounded.
    let unit = 2 * size;
    let centre = start * unit + (2 * index + 1) * length;
    let inside = |pixel: i128| pixel.clamp(first, last) as u32;
    match filter {
        Filter::Nearest => vec![(inside((centre - 1).div_euclid(unit << 16)), 1.0)],
        Filter::Bilinear if length <= size << 17 => {
            let before = centre - (unit << 15);
            let pixel = before.div_euclid(unit << 16);
            // Weights go in steps of 1/128.
            let steps = before.rem_euclid(unit << 16) / (unit << 9);
            vec![(inside(pixel), 1.0 - steps as f64 / 128.0), (inside(pixel + 1), steps as f64 / 128.0)]
        }
        Filter::Bilinear => {
            // Edges of what is covered go in steps of 1/256 of a pixel.
            let edge = |index: i128| (start * size + index * length).div_euclid(size << 8);
            let (begin, end) = (edge(index), edge(index + 1));
            let covered = |pixel: i128| (end.min((pixel + 1) << 8) - begin.max(pixel << 8)).max(0);
            (begin >> 8..=(end - 1) >> 8)
                .map(|pixel| (inside(pixel), covered(pixel) as f64 / (end - begin) as f64))
                .collect()
        }
    }
}

/// The channels of a pixel of the target before it meets what is there.
fn sampled(case: &Case, x: u32, y: u32) -> [f64; 4] {
    let FixedRectangle { x: left, y: top, width, height } = case.crop;
    let size = (case.destination.width(), case.destination.height());
    let at = upright(case.transform, (x.into(), y.into()), (size.0.into(), size.1.into()));
    let corner = upright(case.transform, (0, 0), (size.0.into(), size.1.into()));
    let end = (i64::from(size.0) - 1, i64::from(size.1) - 1);
    let opposite = upright(case.transform, end, (size.0.into(), size.1.into()));
    let upright_size = ((corner.0 - opposite.0).abs() + 1, (corner.1 - opposite.1).abs() + 1);
    let across = weights(left, width, upright_size.0 as u32, at.0 as u32, case.filter);
    let down = weights(top, height, upright_size.1 as u32, at.1 as u32, case.filter);
    let mut channels = [0.0; 4];
    for (row, down) in &down {
        for (column, across) in &across {
            for (channel, byte) in channels.iter_mut().zip(case.source.word(*column, *row).to_le_bytes()) {
                *channel += f64::from(byte) * across * down;
            }
        }
    }
    channels
}

fn pixels(target: &Raw) -> impl Iterator<Item = (u32, u32)> {
    let Layout { width, height, .. } = target.layout;
    (0..height).flat_map(move |y| (0..width).map(move |x| (x, y)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn every_level_is_the_plain_one_to_the_bit(case in case()) {
        let plain = case.drawn(Level::Plain, &[ALL]);
        for level in Level::ALL.into_iter().filter(|level| level.is_there()) {
            prop_assert!(case.drawn(level, &[ALL]).bytes == plain.bytes, "{:?}", level);
        }
    }

    #[test]
    fn pieces_are_the_whole_to_the_bit(case in case(), columns in 1u32..70, rows in 1u32..70, first in 0u32..70) {
        let bounds = case.target.picture().bounds();
        let starts = |length: u32, step: u32| {
            (0..).map(move |index| (index * step) as i32 - (first % step) as i32).take_while(move |at| *at < length as i32)
        };
        let parts: Vec<Rectangle> = starts(bounds.height(), rows)
            .flat_map(|y| starts(bounds.width(), columns).map(move |x| Rectangle::new(x, y, columns, rows).unwrap()))
            .collect();
        prop_assert!(case.drawn(Level::best(), &parts).bytes == case.drawn(Level::best(), &[ALL]).bytes);
    }

    #[test]
    fn pixels_are_those_of_the_reference(case in case()) {
        let after = case.drawn(Level::best(), &[ALL]);
        let opaque = if case.target.layout.format.has_alpha() { 0 } else { OPAQUE };
        for (x, y) in pixels(&after) {
            let there = case.target.word(x, y);
            let pixel = Rectangle::new(x as i32, y as i32, 1, 1).unwrap();
            if !case.destination.contains(pixel) {
                prop_assert_eq!(after.word(x, y), there, "({}, {}) is outside", x, y);
                continue;
            }
            let place = |at: u32, edge: i32| (i64::from(at) - i64::from(edge)) as u32;
            let wanted = sampled(&case, place(x, case.destination.left()), place(y, case.destination.top()));
            // Any value that is as near as the rounding leaves it, met with what is there, may be the result.
            let met = |channels: [f64; 4]| {
                let word = u32::from_le_bytes(channels.map(|channel| channel.clamp(0.0, 255.0) as u8));
                match case.operator {
                    Operator::Source => multiply(word, case.opacity) | opaque,
                    Operator::Over => over(multiply(word, case.opacity), there) | opaque,
                }
            };
            let slack = if case.filter == Filter::Nearest { 0.0 } else { 0.51 };
            let is_over = case.operator == Operator::Over;
            for channel in 0..4 {
                // A channel depends on itself and on alpha.
                let mut candidates = Vec::new();
                for alpha in [wanted[3] - slack, wanted[3] + slack] {
                    for value in [wanted[channel] - slack, wanted[channel] + slack] {
                        let mut channels = [0.0; 4];
                        channels[3] = (alpha + if alpha < wanted[3] { 0.999 } else { 0.0 }).floor();
                        let value = (value + if value < wanted[channel] { 0.999 } else { 0.0 }).floor();
                        channels[channel] = value;
                        candidates.push(i32::from(met(channels).to_le_bytes()[channel]));
                    }
                }
                let got = i32::from(after.word(x, y).to_le_bytes()[channel]);
                let least = candidates.iter().min().unwrap() - i32::from(is_over);
                let most = candidates.iter().max().unwrap() + i32::from(is_over);
                prop_assert!(
                    (least..=most).contains(&got),
                    "pixel ({}, {}), channel {}: {} is not in {}..={} of {:?}", x, y, channel, got, least, most, wanted
                );
            }
        }
    }

    #[test]
    fn a_plain_colour_stays_that_colour(case in case(), colour: u32) {
        let Layout { width, height, .. } = case.source.layout;
        let source = Raw::new(width, height, Format::Argb8888, &vec![colour; (width * height) as usize]);
        let case = Case { source, operator: Operator::Source, opacity: 255, ..case };
        let opaque = if case.target.layout.format.has_alpha() { 0 } else { OPAQUE };
        for level in Level::ALL.into_iter().filter(|level| level.is_there()) {
            let after = case.drawn(level, &[ALL]);
            for (x, y) in pixels(&after) {
                let pixel = Rectangle::new(x as i32, y as i32, 1, 1).unwrap();
                let expected = if case.destination.contains(pixel) { colour | opaque } else { case.target.word(x, y) };
                prop_assert_eq!(after.word(x, y), expected);
            }
        }
    }

    /// Sizes at which libpixman's 16.16 matrix is exact, and no means.
    #[test]
    fn libpixman_samples_the_same(
        from in raw(FORMATS, 40, 40), (across, down) in (0u32..8, 0u32..8),
        filter in select(Filter::ALL), operator in select(Operator::ALL), transform in select(Transform::ALL),
    ) {
        let Layout { width, height, format, .. } = from.layout;
        let (mut across, mut down) = (1 << across, 1 << down);
        if filter == Filter::Bilinear {
            // Where more than two pixels come to one, libpixman misses some.
            while width > 2 * across { across *= 2 }
            while height > 2 * down { down *= 2 }
        } else if transform != Transform::Identity {
            // Right between two pixels, libpixman takes the former one or the latter, as its ways for the format have it.
            while width % (2 * across) == 0 { across *= 2 }
            while height % (2 * down) == 0 { down *= 2 }
        }
        let steps = ((width << 16) / across, (height << 16) / down);
        let is_turned = upright(transform, (0, 1), (8, 8)).1 == upright(transform, (0, 0), (8, 8)).1;
        let (wide, high) = if is_turned { (down, across) } else { (across, down) };
        let size = (wide as usize, high as usize);
        let before: Vec<u32> = (0..size.0 * size.1).map(|pixel| (pixel as u32).wrapping_mul(0x0102_0305) | OPAQUE).collect();

        // From a pixel of the target, turned back, to the source.
        let back = |x, y| upright(transform, (x, y), (wide.into(), high.into()));
        let (origin, right, below) = (back(0, 0), back(1, 0), back(0, 1));
        let along = |one: i64, zero: i64, step: u32| ((one - zero) * i64::from(step)) as i32;
        // Where steps go back, they begin at the far edge.
        let edge = |origin: i64, right: i64, below: i64, step: u32| {
            if right < origin || below < origin { ((origin + 1) * i64::from(step)) as i32 } else { 0 }
        };
        let matrix = [
            [along(right.0, origin.0, steps.0), along(below.0, origin.0, steps.0), edge(origin.0, right.0, below.0, steps.0)],
            [along(right.1, origin.1, steps.1), along(below.1, origin.1, steps.1), edge(origin.1, right.1, below.1, steps.1)],
            [0, 0, 0x1_0000],
        ];
        let mut theirs = before.clone();
        {
            // Rows of whole words, as libpixman wants them.
            let stride = (width * format.bytes_per_pixel()).next_multiple_of(4) as usize;
            let mut bytes = Vec::new();
            for row in 0..height as usize {
                let at = from.layout.offset + row * from.layout.stride;
                bytes.extend_from_slice(&from.bytes[at..at + (width * format.bytes_per_pixel()) as usize]);
                bytes.resize((row + 1) * stride, 0);
            }
            let mut words: Vec<u32> = bytes.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
            let image = Image::new(pixman::code(format), width, height, stride / 4, &mut words);
            image.sample(matrix, filter);
            let mut target = Image::new(pixman::A8R8G8B8, wide, high, size.0, &mut theirs);
            let operator = if operator == Operator::Over { pixman::OVER } else { pixman::SOURCE };
            target.composite(operator, &image, None, (wide, high));
        }
        let case = Case {
            source: from,
            target: Raw::new(wide, high, Format::Argb8888, &before),
            crop: FixedRectangle { x: 0, y: 0, width: width << 16, height: height << 16 },
            destination: Rectangle::from_size(wide, high),
            transform, filter, operator, opacity: 255,
        };
        let ours = case.drawn(Level::best(), &[ALL]).words();
        let most = i32::from(filter == Filter::Bilinear) * (1 + i32::from(operator == Operator::Over));
        for (index, (ours, theirs)) in ours.into_iter().zip(theirs).enumerate() {
            for (ours_there, theirs_there) in ours.to_le_bytes().into_iter().zip(theirs.to_le_bytes()) {
                let apart = (i32::from(ours_there) - i32::from(theirs_there)).abs();
                prop_assert!(apart <= most, "pixel {} of {}x{}: {:08x}, libpixman has {:08x}", index, wide, high, ours, theirs);
            }
        }
    }
}

#[test]
fn the_ends_of_what_can_be_asked_for() {
    let one = Raw::new(1, 1, Format::Argb8888, &[0x8040_2010]);
    let whole = FixedRectangle { x: 0, y: 0, width: 0x1_0000, height: 0x1_0000 };
    let least = FixedRectangle { x: 0xffff, y: 0, width: 1, height: 1 };
    let huge = Rectangle::new(i32::MIN, i32::MIN, u32::MAX, u32::MAX).unwrap();
    for (crop, destination) in [(whole, huge), (least, huge), (least, Rectangle::from_size(1, 1))] {
        for &transform in Transform::ALL {
            for &filter in Filter::ALL {
                let mut target = Raw::new(70, 70, Format::Argb8888, &[0; 4900]);
                let scaling = Scaling::new(crop, destination, transform, filter).unwrap();
                scaling.draw(&one.picture(), &mut target.picture_mut(), ALL, Operator::Source, 255);
                let inside = destination.intersection(Rectangle::from_size(70, 70)).unwrap().pixels();
                let drawn = target.words().into_iter().filter(|word| *word == 0x8040_2010).count();
                assert_eq!(drawn as u64, inside, "{crop:?} {transform:?} {filter:?}");
            }
        }
    }
}

#[test]
fn what_cannot_be_scaled_says_so() {
    let source = |width, height| FixedRectangle { x: 0, y: 0, width, height };
    let new = |source, width, height, filter| {
        Scaling::new(source, Rectangle::from_size(width, height), Transform::Rotate90, filter)
    };
    let empty = ScalingError::EmptySource { width: 0, height: 1 };
    assert_eq!(new(source(0, 1), 1, 1, Filter::Nearest), Err(empty));
    assert!(new(source(1, 1), 0, 7, Filter::Nearest).is_ok(), "nothing is drawn");
    let large = source(4096 << 16, 4096 << 16);
    assert!(new(large, 1, 1, Filter::Nearest).is_ok());
    assert!(new(large, 17, 17, Filter::Bilinear).is_ok());
    let Err(ScalingError::TooManyAveraged { averaged }) = new(large, 16, 16, Filter::Bilinear) else {
        panic!()
    };
    assert!(averaged > MOST_AVERAGED);
}

#[test]
fn a_source_that_leaves_its_picture_is_not_drawn() {
    let source = Raw::new(2, 2, Format::Argb8888, &[1, 2, 3, 4]);
    let crop = FixedRectangle { x: 0, y: 1, width: 0x2_0000, height: 0x2_0000 };
    for &filter in Filter::ALL {
        let mut target = Raw::new(5, 5, Format::Argb8888, &[0; 25]);
        let scaling = Scaling::new(crop, Rectangle::from_size(5, 5), Transform::Identity, filter).unwrap();
        scaling.draw(&source.picture(), &mut target.picture_mut(), ALL, Operator::Source, 255);
        assert_eq!(target.words(), [0; 25]);
    }
}

#[test]
fn a_fine_pattern_becomes_its_mean() {
    // Columns of black and white, and the same in rows: what any four pixels of it are says nothing of the whole.
    let pattern = |is_white: &dyn Fn(usize, usize) -> bool| -> Vec<u32> {
        (0..600 * 600)
            .map(|pixel| OPAQUE | if is_white(pixel % 600, pixel / 600) { 0xff_ffff } else { 0 })
            .collect()
    };
    let patterns =
        [pattern(&|x, _| x % 2 == 0), pattern(&|_, y| y % 2 == 0), pattern(&|x, y| (x + y) % 2 == 0)];
    for words in patterns {
        let source = Raw::new(600, 600, Format::Xrgb8888, &words);
        for side in [3, 7, 40, 60] {
            let mut target = Raw::new(side, side, Format::Xrgb8888, &vec![0; (side * side) as usize]);
            let crop = FixedRectangle::from_pixels(0, 0, 600, 600);
            let destination = Rectangle::from_size(side, side);
            let scaling = Scaling::new(crop, destination, Transform::Identity, Filter::Bilinear).unwrap();
            scaling.draw(&source.picture(), &mut target.picture_mut(), ALL, Operator::Source, 255);
            // At most one more of either kind is covered.
            let most = 128.0 / (600.0 / f64::from(side)) + 1.0;
            for word in target.words() {
                let grey = f64::from(word.to_le_bytes()[0]);
                assert!((grey - 127.5).abs() <= most, "{grey} at {side}");
            }
        }
    }
}

/// Wider than what is made at once of two rows, and onto every alignment: through the cache and past it.
#[test]
fn wide_pictures_are_the_plain_one_to_the_bit_wherever_they_are_written() {
    let words: Vec<u32> =
        (0..900 * 40).map(|pixel: u32| pixel.wrapping_mul(0x9e37_79b9) ^ (pixel >> 3)).collect();
    for (format, to) in [Format::Xrgb8888, Format::Argb8888].into_iter().zip([(613, 27), (1201, 53)]) {
        let source = Raw::new(900, 40, format, &words);
        for destination in [to, (613, 53), (1201, 27), (899, 39)] {
            for offset in [0, 3, 4, 20, 32] {
                let (width, height) = destination;
                let layout =
                    Layout { width, height, stride: width as usize * 4 + 12, offset, format: TARGETS[0] };
                let target = Raw { layout, bytes: vec![0x5a; offset + layout.stride * height as usize] };
                let scaling = Scaling::new(
                    FixedRectangle::from_pixels(0, 0, 900, 40),
                    Rectangle::from_size(width, height),
                    Transform::Identity,
                    Filter::Bilinear,
                )
                .unwrap();
                let drawn = |level, is_past_cache, parts: &[Rectangle]| {
                    let mut target = target.clone();
                    let picture = target.picture_mut();
                    let mut picture = if is_past_cache { picture.past_cache() } else { picture };
                    for part in parts {
                        scaling.draw_at(level, &source.picture(), &mut picture, *part, Operator::Source, 255);
                    }
                    target.bytes
                };
                let columns = (0..width as i32).step_by(97);
                let parts: Vec<_> = columns.map(|x| Rectangle::new(x, 0, 97, height).unwrap()).collect();
                let plain = drawn(Level::Plain, false, &parts);
                for level in Level::ALL.into_iter().filter(|level| level.is_there()) {
                    for is_past_cache in [false, true] {
                        assert!(
                            drawn(level, is_past_cache, &[ALL]) == plain,
                            "{level:?}, {format:?} to {width}x{height} at {offset}, past the cache: {is_past_cache}"
                        );
                    }
                }
            }
        }
    }
}
