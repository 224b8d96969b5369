//! How a picture of one size comes into an area of another. Pure arithmetic.

use clap::ValueEnum;

use crate::arguments::Size;

/// How a picture fits an area.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Fit {
    /// All of the picture, as large as it can be.
    #[default]
    Fit,
    /// All of the area; what the picture has too much of is cut off.
    Fill,
    /// All of the picture in all of the area, whatever that does to its shape.
    Stretch,
    /// Pixel by pixel, in the middle; what is too large is cut off.
    Centre,
}

/// A part of a picture or an area, inside of it and never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its left column.
    pub x: u32,
    /// Its top row.
    pub y: u32,
    /// Its size.
    pub size: Size,
}

impl Part {
    /// The part of this size in the middle of `whole`.
    fn middle(whole: Size, size: Size) -> Self {
        let (x, y) = ((whole.width - size.width) / 2, (whole.height - size.height) / 2);
        Self { x, y, size }
    }

    fn all(size: Size) -> Self {
        Self { x: 0, y: 0, size }
    }
}

/// Which part of a picture comes into which part of an area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The part of the picture.
    pub source: Part,
    /// The part of the area.
    pub target: Part,
}

impl Fit {
    /// Where a picture of one size comes in an area of another.
    pub fn place(self, picture: Size, area: Size) -> Placement {
        let (source, target) = match self {
            Self::Fit => (Part::all(picture), Part::middle(area, shaped_like(picture, area))),
            Self::Fill => (Part::middle(picture, shaped_like(area, picture)), Part::all(area)),
            Self::Stretch => (Part::all(picture), Part::all(area)),
            Self::Centre => {
                let (width, height) = (picture.width.min(area.width), picture.height.min(area.height));
                let shown = Size { width, height };
                (Part::middle(picture, shown), Part::middle(area, shown))
            }
        };
        Placement { source, target }
    }
}

/// The largest size of the shape of `shape` that fits `room`; at least a pixel each way.
fn shaped_like(shape: Size, room: Size) -> Size {
    // Rounded to the nearest; a result is never above `limit`, since the other side is what limits.
    let scaled = |side: u32, by: u32, from: u32, limit: u32| {
        let (side, by, from) = (u64::from(side), u64::from(by), u64::from(from));
        let rounded = (side * by + from / 2) / from;
        u32::try_from(rounded).unwrap_or(u32::MAX).clamp(1, limit)
    };
    let wider =
        u64::from(shape.width) * u64::from(room.height) > u64::from(room.width) * u64::from(shape.height);
    if wider {
        let height = scaled(shape.height, room.width, shape.width, room.height);
        Size { width: room.width, height }
    } else {
        let width = scaled(shape.width, room.height, shape.height, room.width);
        Size { width, height: room.height }
    }
}

/// Cuts an area into equal cells, row by row, for `count` pictures; their shape stays near that of the area.
pub fn cells(area: Size, count: usize) -> Vec<Part> {
    let count = u32::try_from(count).unwrap_or(u32::MAX).min(area.width).max(1);
    let columns = (1..=count).find(|columns| columns * columns >= count).unwrap_or(count);
    let rows = count.div_ceil(columns).min(area.height);
    let edge = |side: u32, at: u32, parts: u32| (u64::from(side) * u64::from(at) / u64::from(parts)) as u32;
    let cell = |index: u32| {
        let (column, row) = (index % columns, (index / columns).min(rows - 1));
        let (x, y) = (edge(area.width, column, columns), edge(area.height, row, rows));
        let width = edge(area.width, column + 1, columns) - x;
        let height = edge(area.height, row + 1, rows) - y;
        Part { x, y, size: Size { width, height } }
    };
    (0..count).map(cell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn size(width: u32, height: u32) -> Size {
        Size { width, height }
    }

    const fn part(x: u32, y: u32, width: u32, height: u32) -> Part {
        Part { x, y, size: size(width, height) }
    }

    #[test]
    fn each_way_has_its_own_place() {
        let (wide, area) = (size(200, 50), size(100, 100));
        let place = |fit: Fit| {
            let placement = fit.place(wide, area);
            (placement.source, placement.target)
        };
        assert_eq!(place(Fit::Fit), (part(0, 0, 200, 50), part(0, 37, 100, 25)));
        assert_eq!(place(Fit::Fill), (part(75, 0, 50, 50), part(0, 0, 100, 100)));
        assert_eq!(place(Fit::Stretch), (part(0, 0, 200, 50), part(0, 0, 100, 100)));
        assert_eq!(place(Fit::Centre), (part(50, 0, 100, 50), part(0, 25, 100, 50)));
    }

    #[test]
    fn nothing_leaves_its_size_and_nothing_is_empty() {
        let sides = [1, 2, 3, 99, 1080, 32767];
        let sizes = || sides.iter().flat_map(|&width| sides.iter().map(move |&height| size(width, height)));
        let inside = |part: Part, whole: Size| {
            part.size.width > 0
                && part.size.height > 0
                && part.x + part.size.width <= whole.width
                && part.y + part.size.height <= whole.height
        };
        for (picture, area) in sizes().flat_map(|picture| sizes().map(move |area| (picture, area))) {
            for fit in [Fit::Fit, Fit::Fill, Fit::Stretch, Fit::Centre] {
                let placement = fit.place(picture, area);
                assert!(inside(placement.source, picture), "{fit:?} {picture:?} {area:?}");
                assert!(inside(placement.target, area), "{fit:?} {picture:?} {area:?}");
            }
        }
    }

    #[test]
    fn cells_cover_the_area_once() {
        assert_eq!(cells(size(100, 50), 1), [part(0, 0, 100, 50)]);
        let four = cells(size(101, 50), 4);
        assert_eq!(four[1], part(50, 0, 51, 25));
        assert_eq!(four.iter().map(|cell| cell.size.pixels()).sum::<usize>(), 101 * 50);
        assert_eq!(cells(size(100, 50), 5).len(), 5);
        assert!(cells(size(3, 1), 9).iter().all(|cell| cell.size.pixels() > 0));
    }
}
