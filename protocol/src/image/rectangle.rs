//! Rectangles of pixels whose edges always fit an `i32`.

/// The largest width or height, in pixels, of an image, a layer or an output.
///
/// KMS drivers end at 16384 or 32768; 16.16 source coordinates (as in the kernel's `SRC_W`) end at 65535.
pub const MAX_EXTENT: u32 = 32767;

/// A rectangle of whole pixels, `x` to the right and `y` down; its right and bottom edges are exclusive.
///
/// It cannot be built so that an edge overflows, and it may be empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Rectangle {
    left: i32,
    top: i32,
    right: i32,
    bottom: i32,
}

impl Rectangle {
    /// The rectangle with its top left pixel at `(x, y)`; `None` where its right or bottom edge is beyond
    /// `i32::MAX`.
    pub const fn new(x: i32, y: i32, width: u32, height: u32) -> Option<Self> {
        match (x.checked_add_unsigned(width), y.checked_add_unsigned(height)) {
            (Some(right), Some(bottom)) => Some(Self { left: x, top: y, right, bottom }),
            _ => None,
        }
    }

    /// The rectangle at the origin; an extent beyond `i32::MAX` is cut there.
    #[inline]
    pub const fn from_size(width: u32, height: u32) -> Self {
        let right = if width > i32::MAX as u32 { i32::MAX } else { width as i32 };
        let bottom = if height > i32::MAX as u32 { i32::MAX } else { height as i32 };
        Self { left: 0, top: 0, right, bottom }
    }

    /// The rectangle between these edges; empty where they cross.
    #[inline]
    pub const fn from_edges(left: i32, top: i32, right: i32, bottom: i32) -> Self {
        let right = if right < left { left } else { right };
        let bottom = if bottom < top { top } else { bottom };
        Self { left, top, right, bottom }
    }

    /// The leftmost column.
    #[inline]
    pub const fn left(self) -> i32 {
        self.left
    }

    /// The topmost row.
    #[inline]
    pub const fn top(self) -> i32 {
        self.top
    }

    /// The column after the last.
    #[inline]
    pub const fn right(self) -> i32 {
        self.right
    }

    /// The row after the last.
    #[inline]
    pub const fn bottom(self) -> i32 {
        self.bottom
    }

    /// The width in pixels.
    #[inline]
    pub const fn width(self) -> u32 {
        self.right.abs_diff(self.left)
    }

    /// The height in pixels.
    #[inline]
    pub const fn height(self) -> u32 {
        self.bottom.abs_diff(self.top)
    }

    /// How many pixels it holds.
    #[inline]
    pub const fn pixels(self) -> u64 {
        self.width() as u64 * self.height() as u64
    }

    /// Whether it holds no pixel.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.left == self.right || self.top == self.bottom
    }

    /// What both hold; `None` where that is no pixel.
    #[inline]
    pub fn intersection(self, other: Self) -> Option<Self> {
        let common = Self::from_edges(
            self.left.max(other.left),
            self.top.max(other.top),
            self.right.min(other.right),
            self.bottom.min(other.bottom),
        );
        (!common.is_empty()).then_some(common)
    }

    /// Whether every pixel of `other` is in `self`.
    #[inline]
    pub const fn contains(self, other: Self) -> bool {
        other.is_empty()
            || (self.left <= other.left
                && self.top <= other.top
                && self.right >= other.right
                && self.bottom >= other.bottom)
    }

    /// The smallest rectangle that holds both.
    #[inline]
    pub fn union(self, other: Self) -> Self {
        if self.is_empty() {
            return other;
        }
        if other.is_empty() {
            return self;
        }
        Self {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
        }
    }

    /// The same rectangle moved by `(x, y)`; `None` where an edge would leave `i32`.
    #[inline]
    pub fn translated(self, x: i32, y: i32) -> Option<Self> {
        Some(Self {
            left: self.left.checked_add(x)?,
            top: self.top.checked_add(y)?,
            right: self.right.checked_add(x)?,
            bottom: self.bottom.checked_add(y)?,
        })
    }

    /// Its first `rows` rows, and the rest.
    #[inline]
    pub fn split_rows(self, rows: u32) -> (Self, Self) {
        let middle = self.top.saturating_add_unsigned(rows).min(self.bottom);
        (Self { bottom: middle, ..self }, Self { top: middle, ..self })
    }
}

impl std::fmt::Display for Rectangle {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}x{} at ({}, {})", self.width(), self.height(), self.left, self.top)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_never_overflow() {
        assert!(Rectangle::new(i32::MAX, 0, 1, 1).is_none());
        assert!(Rectangle::new(0, 1, 1, u32::MAX).is_none());
        let widest = Rectangle::new(i32::MIN, i32::MIN, u32::MAX, u32::MAX).unwrap();
        assert_eq!((widest.width(), widest.right()), (u32::MAX, i32::MAX));
        assert_eq!(widest.pixels(), u64::from(u32::MAX) * u64::from(u32::MAX));
        assert!(widest.translated(1, 0).is_none());
    }

    #[test]
    fn intersections_are_exact() {
        let a = Rectangle::new(-5, -5, 10, 10).unwrap();
        let b = Rectangle::new(3, 4, 10, 10).unwrap();
        assert_eq!(a.intersection(b), Rectangle::new(3, 4, 2, 1));
        assert_eq!(a.intersection(Rectangle::new(5, 0, 4, 4).unwrap()), None, "touching is not overlapping");
        assert!(a.contains(Rectangle::new(-5, -5, 10, 10).unwrap()));
        assert!(!a.contains(b));
    }

    #[test]
    fn rows_split_without_loss() {
        let whole = Rectangle::new(2, 3, 7, 10).unwrap();
        let (head, tail) = whole.split_rows(4);
        assert_eq!((head.height(), tail.height(), tail.top()), (4, 6, 7));
        assert!(whole.split_rows(u32::MAX).1.is_empty());
    }
}
