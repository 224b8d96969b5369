//! Sets of pixels, as rectangles that do not overlap.
//!
//! The sets here are small (what changed between two frames), so a plain list serves: every operation is exact, and
//! [`Area::limit`] bounds the list where more pixels than needed do no harm.

use blitd_protocol::image::Rectangle;

/// A set of pixels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Area {
    /// Disjoint and not empty.
    rectangles: Vec<Rectangle>,
}

impl From<Rectangle> for Area {
    fn from(rectangle: Rectangle) -> Self {
        let mut area = Self::default();
        area.add(rectangle);
        area
    }
}

impl FromIterator<Rectangle> for Area {
    fn from_iter<T: IntoIterator<Item = Rectangle>>(rectangles: T) -> Self {
        let mut area = Self::default();
        rectangles.into_iter().for_each(|rectangle| area.add(rectangle));
        area
    }
}

impl Area {
    /// Whether it holds no pixel.
    pub const fn is_empty(&self) -> bool {
        self.rectangles.is_empty()
    }

    /// Its rectangles: disjoint, not empty, in no order.
    pub fn rectangles(&self) -> &[Rectangle] {
        &self.rectangles
    }

    /// How many pixels it holds.
    pub fn pixels(&self) -> u64 {
        self.rectangles.iter().map(|rectangle| rectangle.pixels()).sum()
    }

    /// Adds all pixels of a rectangle.
    pub fn add(&mut self, rectangle: Rectangle) {
        if rectangle.is_empty() || self.rectangles.iter().any(|mine| mine.contains(rectangle)) {
            return;
        }
        if !self.intersects(rectangle) {
            return self.join(rectangle);
        }
        // What the new rectangle swallows goes, and of the rest the new one is cut, so that large old ones stay whole.
        self.rectangles.retain(|mine| !rectangle.contains(*mine));
        let (mut pieces, mut rest) = (vec![rectangle], Vec::new());
        for mine in &self.rectangles {
            for piece in pieces.drain(..) {
                cut(piece, *mine, &mut rest);
            }
            std::mem::swap(&mut pieces, &mut rest);
        }
        pieces.into_iter().for_each(|piece| self.join(piece));
    }

    /// Adds a rectangle of which it holds nothing, as one with those beside it that make a rectangle with it: tiles
    /// drawn one after the other become one.
    fn join(&mut self, mut rectangle: Rectangle) {
        while let Some(beside) = self.rectangles.iter().rposition(|mine| makes_one(*mine, rectangle)) {
            rectangle = rectangle.union(self.rectangles.swap_remove(beside));
        }
        self.rectangles.push(rectangle);
    }

    /// Removes all pixels of a rectangle.
    pub fn subtract(&mut self, rectangle: Rectangle) {
        if !self.intersects(rectangle) {
            return;
        }
        let mut rest = Vec::with_capacity(self.rectangles.len() + 3);
        for mine in self.rectangles.drain(..) {
            cut(mine, rectangle, &mut rest);
        }
        self.rectangles = rest;
    }

    /// Whether it holds a pixel of a rectangle.
    pub fn intersects(&self, rectangle: Rectangle) -> bool {
        self.rectangles.iter().any(|mine| mine.intersection(rectangle).is_some())
    }

    /// What it holds of a rectangle.
    pub fn within(&self, rectangle: Rectangle) -> impl Iterator<Item = Rectangle> + '_ {
        self.rectangles.iter().filter_map(move |mine| mine.intersection(rectangle))
    }

    /// Takes out what it holds of a rectangle.
    pub fn extract(&mut self, rectangle: Rectangle) -> Vec<Rectangle> {
        let held = self.within(rectangle).collect();
        self.subtract(rectangle);
        held
    }

    /// Takes some whole rows out, of at most `pixels` pixels, or one row.
    pub fn take(&mut self, pixels: u64) -> Option<Rectangle> {
        let last = self.rectangles.pop()?;
        let rows = u32::try_from(pixels / u64::from(last.width())).unwrap_or(u32::MAX).max(1);
        let (taken, rest) = last.split_rows(rows);
        if !rest.is_empty() {
            self.rectangles.push(rest);
        }
        Some(taken)
    }

    /// Replaces it by its bounding rectangle where it has more than `most` rectangles: for areas that may hold more
    /// than they must.
    pub fn limit(&mut self, most: usize) {
        if self.rectangles.len() > most {
            let all = self.rectangles.drain(..).reduce(Rectangle::union);
            self.rectangles.extend(all);
        }
    }
}

/// Whether two that do not overlap are a rectangle together.
const fn makes_one(a: Rectangle, b: Rectangle) -> bool {
    let is_beside = a.right() == b.left() || b.right() == a.left();
    let is_above = a.bottom() == b.top() || b.bottom() == a.top();
    (is_beside && a.top() == b.top() && a.bottom() == b.bottom())
        || (is_above && a.left() == b.left() && a.right() == b.right())
}

/// Appends what `whole` has and `hole` has not.
fn cut(whole: Rectangle, hole: Rectangle, out: &mut Vec<Rectangle>) {
    let Some(hole) = whole.intersection(hole) else {
        out.push(whole);
        return;
    };
    let edges = Rectangle::from_edges;
    let pieces = [
        edges(whole.left(), whole.top(), whole.right(), hole.top()),
        edges(whole.left(), hole.top(), hole.left(), hole.bottom()),
        edges(hole.right(), hole.top(), whole.right(), hole.bottom()),
        edges(whole.left(), hole.bottom(), whole.right(), whole.bottom()),
    ];
    out.extend(pieces.into_iter().filter(|piece| !piece.is_empty()));
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn pixels(rectangle: Rectangle) -> impl Iterator<Item = (i32, i32)> {
        (rectangle.top()..rectangle.bottom())
            .flat_map(move |y| (rectangle.left()..rectangle.right()).map(move |x| (x, y)))
    }

    fn rectangle() -> impl Strategy<Value = Rectangle> {
        (-5i32..12, -5i32..12, 0u32..9, 0u32..9).prop_map(|(x, y, w, h)| Rectangle::new(x, y, w, h).unwrap())
    }

    proptest! {
        #[test]
        fn areas_are_sets(steps in prop::collection::vec((any::<bool>(), rectangle()), 1..20), taken in 0u64..40) {
            let (mut area, mut model) = (Area::default(), HashSet::new());
            for (adds, rectangle) in steps {
                if adds {
                    area.add(rectangle);
                    model.extend(pixels(rectangle));
                } else {
                    area.subtract(rectangle);
                    pixels(rectangle).for_each(|pixel| { model.remove(&pixel); });
                }
                let all: Vec<_> = area.rectangles().iter().copied().flat_map(pixels).collect();
                prop_assert_eq!(all.len(), model.len(), "no pixel twice");
                prop_assert_eq!(all.into_iter().collect::<HashSet<_>>(), model.clone());
                prop_assert!(area.rectangles().iter().all(|rectangle| !rectangle.is_empty()));
            }
            let mut bounded = area.clone();
            bounded.limit(2);
            prop_assert!(bounded.rectangles().len() <= 2);
            prop_assert!(model.iter().all(|&(x, y)| bounded.intersects(Rectangle::new(x, y, 1, 1).unwrap())));
            let mut left = model.len() as u64;
            while let Some(rows) = area.take(taken) {
                prop_assert!(rows.pixels() <= taken || rows.height() == 1);
                left -= rows.pixels();
            }
            prop_assert_eq!(left, 0);
        }
    }
}
