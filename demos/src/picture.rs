//! PNG and JPEG files, from the disk to pixels that can be drawn.

use std::fs::File;
use std::io::{BufReader, ErrorKind};
use std::path::{Path, PathBuf};

use blitd_client::protocol::image::MAX_EXTENT;
use image::imageops::{self, FilterType};
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, RgbaImage};

use crate::arguments::Size;
use crate::fit::{Fit, Part, Placement};

/// The most memory that decoding one picture may take.
const MOST_BYTES: u64 = 512 << 20;

/// What is wrong with a picture's file.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// It cannot be opened or read.
    #[error("cannot read {}: {source}; {}", path.display(), advice(source.kind()))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A folder or a device.
    #[error("{} is not a file: name a PNG or JPEG file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// A file without a byte.
    #[error("{} is empty: copy it there again", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Neither PNG nor JPEG.
    #[error("{} is neither PNG nor JPEG, whatever its name says: convert it to one of them", path.display())]
    WrongType {
        /// The file.
        path: PathBuf,
    },
    /// Larger than can be shown.
    #[error(
        "{} is too large: a picture has at most {MAX_EXTENT} pixels each way and {} MiB once decoded; scale it down",
        path.display(),
        MOST_BYTES >> 20
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// It ends too early, or what it says makes no sense.
    #[error("{} is damaged: {reason}; copy it there again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the decoder says.
        reason: String,
    },
}

fn advice(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotFound => "check its name",
        ErrorKind::PermissionDenied => "check its permissions",
        _ => "check the file and the disk",
    }
}

/// Pixels as a layer has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pixels {
    /// Their width and height.
    pub size: Size,
    /// Whether all of them are opaque.
    pub opaque: bool,
    /// Premultiplied ARGB8888, row by row.
    pub words: Vec<u32>,
}

/// A picture, decoded and the right way up.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Premultiplied, so that scaling does not bring the colour of what is transparent into view.
    pixels: RgbaImage,
    opaque: bool,
}

impl Picture {
    /// Reads a PNG or JPEG file; what it is is told by its content.
    ///
    /// # Errors
    /// The file cannot be read, or is not a picture that can be shown.
    pub fn load(path: &Path) -> Result<Self, PictureError> {
        let unreadable = |source| PictureError::Unreadable { path: path.into(), source };
        let about = std::fs::metadata(path).map_err(unreadable)?;
        if !about.is_file() {
            return Err(PictureError::NotAFile { path: path.into() });
        }
        if about.len() == 0 {
            return Err(PictureError::Empty { path: path.into() });
        }
        let file = BufReader::new(File::open(path).map_err(unreadable)?);
        let reader = ImageReader::new(file).with_guessed_format().map_err(unreadable)?;
        if !matches!(reader.format(), Some(ImageFormat::Png | ImageFormat::Jpeg)) {
            return Err(PictureError::WrongType { path: path.into() });
        }
        decode(reader).map_err(|error| match error {
            ImageError::Limits(_) => PictureError::TooLarge { path: path.into() },
            // A file that ends too early is no fault of the disk.
            ImageError::IoError(source) if source.kind() != ErrorKind::UnexpectedEof => unreadable(source),
            error => {
                PictureError::Damaged { path: path.into(), reason: error.to_string().replace('\n', " ") }
            }
        })
    }

    /// Its width and height.
    pub fn size(&self) -> Size {
        Size { width: self.pixels.width(), height: self.pixels.height() }
    }

    /// The pixels that fill the target of a placement.
    pub fn placed(&self, placement: &Placement) -> Pixels {
        let Part { x, y, size: Size { width, height } } = placement.source;
        let target = placement.target.size;
        let part = imageops::crop_imm(&self.pixels, x, y, width, height);
        // Catmull-Rom: as sharp as it gets without the dark rims of Lanczos round bright things.
        let scaled = if target == placement.source.size {
            part.to_image()
        } else {
            imageops::resize(&*part, target.width, target.height, FilterType::CatmullRom)
        };
        let words = scaled.pixels().map(|pixel| word(pixel.0)).collect();
        Pixels { size: target, opaque: self.opaque, words }
    }

    /// The pixels that fill an area of this size: the picture as it fits, on a background.
    pub fn on_background(&self, fit: Fit, area: Size, background: u32) -> Pixels {
        let placement = fit.place(self.size(), area);
        let placed = self.placed(&placement);
        let mut words = vec![background; area.pixels()];
        let (left, width) = (placement.target.x as usize, placed.size.width as usize);
        let rows = words.chunks_exact_mut(area.width as usize).skip(placement.target.y as usize);
        for (row, above) in rows.zip(placed.words.chunks_exact(width)) {
            for (below, &above) in row[left..left + width].iter_mut().zip(above) {
                *below = over(above, *below);
            }
        }
        Pixels { size: area, opaque: true, words }
    }
}

fn decode(mut reader: ImageReader<BufReader<File>>) -> Result<Picture, ImageError> {
    let mut limits = Limits::no_limits();
    limits.max_image_width = Some(MAX_EXTENT);
    limits.max_image_height = Some(MAX_EXTENT);
    limits.max_alloc = Some(MOST_BYTES);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder()?;
    limits.reserve(decoder.total_bytes())?;
    let orientation = decoder.orientation()?;
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    let mut pixels = image.into_rgba8();
    let opaque = pixels.pixels().all(|pixel| pixel.0[3] == u8::MAX);
    if !opaque {
        pixels.pixels_mut().for_each(|pixel| pixel.0 = premultiplied(pixel.0));
    }
    Ok(Picture { pixels, opaque })
}

/// A product of two parts of 255, rounded to the nearest.
pub(crate) fn times(a: u8, b: u8) -> u8 {
    ((u32::from(a) * u32::from(b) + 127) / 255) as u8
}

fn premultiplied([red, green, blue, alpha]: [u8; 4]) -> [u8; 4] {
    [times(red, alpha), times(green, alpha), times(blue, alpha), alpha]
}

/// Premultiplied parts as a word. Scaling may overshoot a little, and no colour is brighter than its alpha.
fn word([red, green, blue, alpha]: [u8; 4]) -> u32 {
    u32::from_be_bytes([alpha, red.min(alpha), green.min(alpha), blue.min(alpha)])
}

/// One premultiplied pixel over another.
pub(crate) fn over(above: u32, below: u32) -> u32 {
    let (above, below) = (above.to_be_bytes(), below.to_be_bytes());
    let rest = u8::MAX - above[0];
    u32::from_be_bytes(std::array::from_fn(|part| above[part].saturating_add(times(below[part], rest))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    /// A folder of the test's own, removed at its end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("blitd-demos-{}-{name}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
            let path = self.0.join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn gradient() -> DynamicImage {
        image::RgbImage::from_fn(64, 48, |x, y| image::Rgb([(x * 4) as u8, (y * 5) as u8, (x ^ y) as u8]))
            .into()
    }

    /// A PNG whose header states this size; its check sum is right.
    fn png_of_size(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = encoded(&gradient(), ImageFormat::Png);
        bytes[16..20].copy_from_slice(&width.to_be_bytes());
        bytes[20..24].copy_from_slice(&height.to_be_bytes());
        let check = bytes[12..29].iter().fold(u32::MAX, |check, &byte| {
            (0..8).fold(check ^ u32::from(byte), |check, _| (check >> 1) ^ (0xedb8_8320 * (check & 1)))
        });
        bytes[29..33].copy_from_slice(&(!check).to_be_bytes());
        bytes
    }

    #[test]
    fn broken_files_are_told_apart() {
        let folder = Folder::new("broken");
        let png = encoded(&gradient(), ImageFormat::Png);
        let jpeg = encoded(&gradient(), ImageFormat::Jpeg);
        let mut bent = png.clone();
        bent[60] ^= 0xff;
        let cases = [
            (folder.0.join("absent.png"), "check its name"),
            (folder.0.clone(), "is not a file"),
            (folder.file("empty.png", &[]), "is empty"),
            (folder.file("short.png", &png[..png.len() / 2]), "is damaged"),
            (folder.file("head.png", &png[..20]), "is damaged"),
            (folder.file("bent.png", &bent), "is damaged"),
            (folder.file("head.jpg", &jpeg[..12]), "is damaged"),
            (folder.file("text.png", b"this is no picture"), "neither PNG nor JPEG"),
            (folder.file("other.jpg", b"GIF89a\x01\x00\x01\x00\x00\x00\x00;"), "neither PNG nor JPEG"),
            (folder.file("huge.png", &png_of_size(2_000_000_000, 2_000_000_000)), "is too large"),
            (folder.file("large.png", &png_of_size(32_000, 32_000)), "is too large"),
            (folder.file("flat.png", &png_of_size(0, 5)), "is damaged"),
        ];
        for (path, expected) in cases {
            let text = Picture::load(&path).unwrap_err().to_string();
            assert!(text.contains(expected) && text.contains(path.to_str().unwrap()), "{text}");
            assert!(!text.contains('\n'), "{text}");
        }
    }

    #[test]
    fn content_decides_and_not_the_name() {
        let folder = Folder::new("named");
        let path = folder.file("really-a-jpeg.png", &encoded(&gradient(), ImageFormat::Jpeg));
        assert_eq!(Picture::load(&path).unwrap().size(), Size { width: 64, height: 48 });
    }

    #[test]
    fn transparent_pixels_are_premultiplied_and_do_not_bleed() {
        let folder = Folder::new("alpha");
        // Opaque black beside transparent white: scaled, no white may show.
        let image = RgbaImage::from_fn(8, 8, |x, _| {
            image::Rgba(if x < 4 { [0, 0, 0, 255] } else { [255, 255, 255, 0] })
        });
        let path = folder.file("alpha.png", &encoded(&image.into(), ImageFormat::Png));
        let picture = Picture::load(&path).unwrap();
        let placement = Fit::Stretch.place(picture.size(), Size { width: 5, height: 3 });
        let pixels = picture.placed(&placement);
        assert!(!pixels.opaque);
        assert!(pixels.words.iter().all(|word| word & 0x00ff_ffff == 0), "{:x?}", pixels.words);
        let flat = picture.on_background(Fit::Centre, Size { width: 10, height: 8 }, 0xff12_3456);
        assert!(flat.opaque);
        assert_eq!(flat.words[..10], [&[0xff12_3456][..], &[0xff00_0000; 4], &[0xff12_3456; 5]].concat());
    }

    #[test]
    fn opaque_pictures_keep_their_colours() {
        let folder = Folder::new("opaque");
        let path = folder.file("plain.png", &encoded(&gradient(), ImageFormat::Png));
        let picture = Picture::load(&path).unwrap();
        let pixels = picture.placed(&Fit::Centre.place(picture.size(), Size { width: 2, height: 2 }));
        assert!(pixels.opaque);
        assert_eq!(pixels.words[0], 0xff00_0000 | (31 * 4) << 16 | (23 * 5) << 8 | (31 ^ 23));
    }

    #[test]
    fn products_are_rounded() {
        assert_eq!(times(255, 255), 255);
        assert_eq!(times(255, 128), 128);
        assert_eq!(times(1, 127), 0);
        assert_eq!(times(1, 128), 1);
        assert_eq!(over(0x8080_0000, 0xff00_00ff), 0xff80_007f);
    }
}
