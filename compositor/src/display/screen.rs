//! What does not change of an output while it is there.

use blitd_pixels::turn::turned_size;
use blitd_protocol::image::Rectangle;
use blitd_protocol::value::{Backend, Name, Transform};

/// What does not change while an output is there.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    /// Its name, for people.
    pub name: Name,
    /// What drives it.
    pub backend: Backend,
    /// Width and height of the mode, in pixels.
    pub mode: (u32, u32),
    /// Frames in 1000 seconds.
    pub refresh: u32,
    /// How pictures are turned on their way to it.
    pub transform: Transform,
    /// Where it is in the space that it shares with others.
    pub place: Option<(i32, i32)>,
    /// The colour under all layers, as an XRGB8888 word.
    pub background: u32,
}

impl Screen {
    /// Width and height of the pictures that it shows, before they are turned.
    pub const fn size(&self) -> (u32, u32) {
        // A quarter back exchanges the same as a quarter on.
        turned_size(self.mode, self.transform)
    }

    /// A picture's rectangle, at the origin.
    pub const fn bounds(&self) -> Rectangle {
        let (width, height) = self.size();
        Rectangle::from_size(width, height)
    }
}
