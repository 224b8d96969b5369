//! What buffers hold: noise before they are composed into, and what is compared afterwards.

use blitd::display::screen::Screen;
use blitd::memory::storage::Storage;
use blitd_pixels::blit;
use blitd_pixels::view::{Layout, Picture, PictureMut, View, ViewMut};
use blitd_protocol::image::{Format, Rectangle};
use blitd_protocol::value::Operator;

use crate::fixture::Random;

fn layout(bounds: Rectangle) -> Layout {
    Layout {
        width: bounds.width(),
        height: bounds.height(),
        stride: bounds.width() as usize * 4,
        offset: 0,
        format: Format::Xrgb8888,
    }
}

/// Draws noise into a storage: what it had before must not matter.
pub(crate) fn spoil(storage: &Storage, random: &mut Random) {
    let bounds = storage.bounds();
    let bytes: Vec<u8> = (0..bounds.pixels()).flat_map(|_| (random.next() as u32).to_le_bytes()).collect();
    let noise = Picture::new(View::from_slice(&bytes), layout(bounds)).unwrap();
    blit::draw(&noise, (0, 0), &mut storage.picture_mut().unwrap(), bounds, Operator::Source, 255);
}

/// The words of a storage, without what does not matter.
pub(crate) fn words(storage: &Storage) -> Vec<u32> {
    let bounds = storage.bounds();
    let mut bytes = vec![0; bounds.pixels() as usize * 4];
    let mut picture = PictureMut::new(ViewMut::from_slice(&mut bytes), layout(bounds)).unwrap();
    blit::draw(&storage.picture().unwrap(), (0, 0), &mut picture, bounds, Operator::Source, 255);
    bytes.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word) & 0x00ff_ffff).collect()
}

/// Fails with the first pixel that differs.
pub(crate) fn same(what: &str, screen: &Screen, got: &[u32], expected: &[u32]) -> Result<(), String> {
    let Some(at) = got.iter().zip(expected).position(|(got, expected)| got != expected) else {
        return Ok(());
    };
    let (width, transform) = (screen.mode.0 as usize, screen.transform);
    Err(format!(
        "{what} of {} ({:?}, {transform:?}): pixel ({}, {}) is {:06x} and should be {:06x}",
        screen.name,
        screen.mode,
        at % width,
        at / width,
        got[at],
        expected[at]
    ))
}
