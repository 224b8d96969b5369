//! Pictures, as they are on the glass and as they should be.

use serde::{Deserialize, Serialize};

/// A picture of RGB pixels, rows from the top, without gaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<[u8; 3]>,
}

/// A part of a picture, in pixels; the right column and the bottom row are x + width - 1 and y + height - 1.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Part {
    pub(super) x: usize,
    pub(super) y: usize,
    pub(super) width: usize,
    pub(super) height: usize,
}

impl Part {
    const fn contains(&self, x: usize, y: usize) -> bool {
        x >= self.x && x - self.x < self.width && y >= self.y && y - self.y < self.height
    }
}

impl Picture {
    /// A picture of XRGB8888 words, as many as it has pixels.
    pub(super) fn of_words(width: u32, height: u32, words: &[u32]) -> Self {
        let pixel = |word: &u32| {
            let [blue, green, red, _] = word.to_le_bytes();
            [red, green, blue]
        };
        Self { width: width as usize, height: height as usize, pixels: words.iter().map(pixel).collect() }
    }

    /// A picture in the format of a colour PPM file (ppm(5) of Netpbm) as QEMU writes it: P6, width, height and 255,
    /// each followed by one white space, then the pixels.
    pub(super) fn parse(ppm: &[u8]) -> Option<Self> {
        let mut words = ppm.splitn(5, u8::is_ascii_whitespace);
        let mut word = || words.next();
        let number = |word: &[u8]| std::str::from_utf8(word).ok()?.parse::<usize>().ok();
        let is_colour = word()? == b"P6";
        let (width, height) = (number(word()?)?, number(word()?)?);
        let is_whole = word()? == b"255";
        let (pixels, rest) = word()?.as_chunks();
        let fits =
            is_colour && is_whole && rest.is_empty() && width.checked_mul(height) == Some(pixels.len());
        fits.then(|| Self { width, height, pixels: pixels.to_vec() })
    }

    /// The same, as the bytes of such a file.
    pub(super) fn ppm(&self) -> Vec<u8> {
        let mut bytes = format!("P6\n{} {}\n255\n", self.width, self.height).into_bytes();
        bytes.extend(self.pixels.as_flattened());
        bytes
    }

    /// Width and height in pixels.
    pub(super) const fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// Compares the glass with what should be there: every pixel in `different` has to be another, all others the same.
    ///
    /// # Errors
    /// What is wrong, for people.
    pub(super) fn check(&self, expected: &Self, different: &[Part]) -> Result<(), String> {
        if self.size() != expected.size() {
            return Err(format!("the size is {:?} and should be {:?}", self.size(), expected.size()));
        }
        let all = self.pixels.iter().zip(&expected.pixels).enumerate();
        let places = all.map(|(index, pair)| (index % self.width, index / self.width, pair));
        let mut wrong = places.filter(|(x, y, (seen, wanted))| {
            (seen == wanted) == different.iter().any(|part| part.contains(*x, *y))
        });
        let Some((x, y, (seen, wanted))) = wrong.next() else { return Ok(()) };
        let (count, of) = (wrong.count() + 1, self.pixels.len());
        Err(match seen == wanted {
            true => format!("{count} of {of} pixels are wrong, first ({x}, {y}), which should be another"),
            false => format!(
                "{count} of {of} pixels are wrong, first ({x}, {y}), which is {seen:02x?} and should be {wanted:02x?}"
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> Picture {
        // White space among the pixels is no white space of the header.
        let words: Vec<u32> = (0..12).map(|index| 0xff20_0a00 + index).collect();
        Picture::of_words(4, 3, &words)
    }

    #[test]
    fn a_picture_survives_its_file() {
        let bytes = picture().ppm();
        assert_eq!(Picture::parse(&bytes), Some(picture()));
        assert_eq!(picture().pixels[1], [0x20, 0x0a, 0x01]);
        for cut in 0..bytes.len() {
            assert_eq!(Picture::parse(&bytes[..cut]), None, "{cut} bytes");
        }
    }

    #[test]
    fn one_wrong_pixel_is_found() {
        let mut shown = picture();
        assert_eq!(shown.check(&picture(), &[]), Ok(()));
        shown.pixels[6][2] ^= 1;
        let said = shown.check(&picture(), &[]).unwrap_err();
        assert!(said.starts_with("1 of 12 pixels are wrong, first (2, 1)"), "{said}");
        let part = |x, width| Part { x, y: 1, width, height: 1 };
        assert_eq!(shown.check(&picture(), &[part(2, 1)]), Ok(()));
        for other in [part(1, 1), part(2, 2), part(3, 1)] {
            assert!(shown.check(&picture(), &[other]).is_err(), "{other:?}");
        }
    }

    #[test]
    fn another_size_is_wrong() {
        let wide = Picture { width: 6, height: 2, ..picture() };
        assert!(wide.check(&picture(), &[]).is_err());
    }
}
