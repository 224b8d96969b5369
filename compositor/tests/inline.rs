//! A program whose descriptors are stripped on the way does the same, with the same picture.

mod fixture;

use std::path::Path;

use blitd_client::{BatchEntry, Connection, Draw, Format, ImageView, LayerOptions, Mode};
use fixture::Random;
use fixture::config;
use fixture::relay::relay;
use fixture::running::Running;

const SIZE: (u32, u32) = (640, 480);

/// A program that draws something large, something small, a part with blending, and a batch, and looks at its layer and
/// at the screen. It does not know how it is connected.
fn program(socket: &Path) -> Result<(Mode, Vec<u8>, Vec<u8>), blitd_client::Error> {
    let mut connection = Connection::open_at(socket, "program")?;
    let (width, height) = (500, 300);
    let layer = connection.create_layer(&LayerOptions::new(width, height).translucent().at(20, 30))?;
    let mut region = connection.create_region((width * height * 4) as usize + 7)?;
    let mut random = Random(5);
    for bytes in region.bytes_mut().chunks_mut(8) {
        let word = random.next().to_le_bytes();
        bytes.copy_from_slice(&word[..bytes.len()]);
    }
    let image = ImageView { offset: 7, ..ImageView::packed(width, height, Format::Abgr8888) };
    connection.draw(&layer, &mut region, &Draw::new(image))?;
    let part = Draw::new(ImageView { offset: 3, ..ImageView::packed(width, height, Format::Argb8888) });
    connection.draw(&layer, &mut region, &part.part(17, 5, 33, 44).at(100, 200).over().opacity(99))?;
    connection.fill(&layer, 0xff12_3456, 5, 6, 70, 8)?;
    let narrow = ImageView { stride: 2001, ..ImageView::packed(100, 200, Format::Rgb565) };
    let large = Draw::new(ImageView::packed(400, 250, Format::Xrgb8888)).at(90, 40);
    connection.batch(
        &mut region,
        &[BatchEntry::Draw(&layer, large), BatchEntry::Draw(&layer, Draw::new(narrow))],
    )?;
    let mut capture = |output: bool, width: u32, height: u32| {
        let mut taken = connection.create_region((width * height * 4) as usize)?;
        let image = ImageView::packed(width, height, Format::Argb8888);
        match output {
            true => connection.capture_output(0, 0, 0, &mut taken, &image)?,
            false => connection.capture_layer(&layer, 0, 0, &mut taken, &image)?,
        };
        Ok::<_, blitd_client::Error>(taken.bytes().to_vec())
    };
    let (own, screen) = (capture(false, width, height)?, capture(true, SIZE.0, SIZE.1)?);
    Ok((connection.mode(), own, screen))
}

#[test]
fn a_relay_that_forwards_bytes_only_gives_the_same_picture() {
    let running = Running::start(config(SIZE.0, SIZE.1, ""));
    let relayed = relay(running.socket());
    let (mode, layer, screen) = program(running.socket()).unwrap();
    assert_eq!(mode, Mode::Shared);
    let distinct: std::collections::HashSet<&[u8; 4]> = layer.as_chunks().0.iter().collect();
    assert!(distinct.len() > 10_000, "there is a picture to compare");
    let (mode, relayed_layer, relayed_screen) = program(&relayed).unwrap();
    assert_eq!(mode, Mode::Inline);
    assert!(relayed_layer == layer, "the layers differ");
    assert!(relayed_screen == screen, "the screens differ");
}
