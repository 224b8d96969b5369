//! What the kernel says of the planes of vkms that are on.

use std::fs;

use blitd_protocol::image::Rectangle;

use crate::glass::debug_folder;

/// A plane that shows something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown {
    /// Where on the screen.
    pub(crate) place: Rectangle,
    /// The size of its framebuffer, of which it may show a part.
    pub(crate) buffer: (u32, u32),
}

/// A size as the kernel writes it.
fn size(text: &str) -> Option<(u32, u32)> {
    let (width, height) = text.split_once('x')?;
    Some((width.parse().ok()?, height.parse().ok()?))
}

/// A rectangle as the kernel writes it: `DRM_RECT_FMT` of drm_rect.h, as in `90x80+20-5`.
fn rectangle(text: &str) -> Option<Rectangle> {
    let signs: Vec<usize> = text.match_indices(['+', '-']).map(|(at, _)| at).collect();
    let [x, y] = signs[..] else { return None };
    let (width, height) = size(&text[..x])?;
    Rectangle::new(text[x..y].parse().ok()?, text[y..].parse().ok()?, width, height)
}

/// All overlays that are on (`drm_atomic_plane_print_state`, drm_atomic.c). The primary plane is the card's first.
pub(crate) fn overlays() -> Vec<Shown> {
    let state = fs::read_to_string(debug_folder().join("state")).unwrap();
    let planes = state.split("\nplane[").skip(1);
    let shown = planes.filter_map(|plane| {
        let value = |name: &str| plane.lines().find_map(|line| line.trim_start().strip_prefix(name));
        (value("crtc=")? != "(null)").then(|| Shown {
            place: rectangle(value("crtc-pos=").unwrap()).unwrap(),
            buffer: size(value("size=").unwrap()).unwrap(),
        })
    });
    shown.collect()
}
