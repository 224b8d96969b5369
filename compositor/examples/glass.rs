//! Reads from the hardware's side what vkms shows, while blitd is its master: the framebuffer that its CRTC scans out,
//! as a PNG file. The driver's own CRC of the glass says that just these pixels are on it. Given a picture that should
//! be there, it fails if one pixel is another. For root: the kernel gives nobody else the buffers of others
//! (drm_framebuffer.c).

#[path = "../tests/fixture/card.rs"]
mod card;
#[path = "../tests/fixture/glass.rs"]
mod glass;

use std::error::Error;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitCode;

use blitd::memory::helper::Helper;
use blitd::memory::storage::Storage;
use blitd_pixels::blit::convert;
use blitd_pixels::view::{Layout, PictureMut, ViewMut};
use blitd_protocol::image::{Format, Rectangle};
use card::Card;
use clap::Parser;
use drm::buffer::DrmFourcc;
use drm::control::Device as _;
use glass::{crc_after, crc_of};
use image::RgbImage;

/// Writes what vkms shows into a PNG file
#[derive(Parser)]
struct Arguments {
    /// The file
    file: PathBuf,
    /// A picture of what should be there
    #[arg(long, value_name = "FILE")]
    expected: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("glass: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let card =
        Card::of_driver("vkms").ok_or("there is no card of vkms in /dev/dri, or it cannot be opened")?;
    let (size, words) = scanned_out(&card)?.ok_or("vkms shows nothing: start blitd --backend kms")?;
    let (own, glass) = (crc_of(&words), crc_after(0));
    if own != glass {
        return Err(format!("the glass has the CRC {glass:08x}, and the framebuffer {own:08x}").into());
    }
    let bytes = words.iter().flat_map(|word| {
        let [blue, green, red, _] = word.to_le_bytes();
        [red, green, blue]
    });
    let picture = RgbImage::from_raw(size.0, size.1, bytes.collect()).ok_or("the picture is too large")?;
    picture.save(&arguments.file)?;
    match &arguments.expected {
        Some(expected) => compare(&picture, &image::open(expected)?.to_rgb8()),
        None => Ok(()),
    }
}

type Pixels = ((u32, u32), Vec<u32>);

/// The XRGB8888 words that the card's first lit CRTC scans out, if it has one.
fn scanned_out(card: &Card) -> Result<Option<Pixels>, Box<dyn Error>> {
    let resources = card.resource_handles()?;
    let lit = resources.crtcs().iter().find_map(|crtc| card.get_crtc(*crtc).ok()?.framebuffer());
    let Some(framebuffer) = lit else { return Ok(None) };
    let framebuffer = card.get_planar_framebuffer(framebuffer)?;
    let size = framebuffer.size();
    if framebuffer.pixel_format() != DrmFourcc::Xrgb8888 {
        return Err(format!("its framebuffer is {}, and not XR24", framebuffer.pixel_format()).into());
    }
    let handle =
        framebuffer.buffers()[0].ok_or("the kernel keeps the framebuffer to itself: run this as root")?;
    let place = drm_ffi::mode::dumbbuffer::map(card.as_fd(), handle.into(), 0, 0)?;
    let [pitch, ..] = framebuffer.pitches();
    let unmapper = Helper::start()?.unmapper();
    let storage = Storage::of_device(&card.0, place.offset, pitch, size, Format::Xrgb8888, &unmapper)?;
    let stride = size.0 as usize * 4;
    let mut bytes = vec![0; stride * size.1 as usize];
    let layout = Layout { width: size.0, height: size.1, stride, offset: 0, format: Format::Xrgb8888 };
    let target = PictureMut::new(ViewMut::from_slice(&mut bytes), layout);
    let (Some(source), Some(mut target)) = (storage.picture(), target) else {
        return Err("the framebuffer is not where the kernel says".into());
    };
    convert(&source, (0, 0), &mut target, Rectangle::from_size(size.0, size.1));
    Ok(Some((size, bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect())))
}

fn compare(picture: &RgbImage, expected: &RgbImage) -> Result<(), Box<dyn Error>> {
    if picture.dimensions() != expected.dimensions() {
        return Err(format!(
            "the glass has {:?} pixels, expected {:?}",
            picture.dimensions(),
            expected.dimensions()
        )
        .into());
    }
    let pairs = picture.enumerate_pixels().zip(expected.pixels());
    let wrong: Vec<_> = pairs.filter(|((_, _, there), wanted)| there != wanted).collect();
    if let Some(((x, y, there), wanted)) = wrong.first() {
        let count = wrong.len();
        let (there, wanted) = (there.0, wanted.0);
        return Err(format!(
            "{count} pixels differ, the first at ({x}, {y}): {there:?} instead of {wanted:?}"
        )
        .into());
    }
    println!("all {} pixels on the glass are as expected", picture.pixels().len());
    Ok(())
}
