//! Images: views of pixels in regions, and the arithmetic that keeps them inside.
//!
//! Everything here is plain values. An [`Image`] says where pixels claim to be; [`Image::check`] proves, with
//! arithmetic that cannot overflow, that every byte of every row is inside the region it names.

mod format;
mod rectangle;

pub use format::{Format, LINEAR, check_modifier};
pub use rectangle::{MAX_EXTENT, Rectangle};

/// The most planes an image has (`drm_mode_fb_cmd2` has the same four).
pub const MAX_PLANES: usize = 4;

/// One plane of an image: rows of pixels in a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Plane {
    /// The region's id. 0 is the bytes that the message itself carries.
    pub region: u32,
    /// Bytes from the start of one row to the start of the next.
    pub stride: u32,
    /// Bytes from the start of the region to the first row.
    pub offset: u64,
}

/// A view of pixels in regions, as a client states it. Nothing in it is trusted before [`Image::check`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// DRM fourcc code.
    pub fourcc: u32,
    /// DRM format modifier.
    pub modifier: u64,
    /// How many of `planes` count.
    pub plane_count: u32,
    /// The planes; those from `plane_count` on are zero.
    pub planes: [Plane; MAX_PLANES],
}

impl Image {
    /// A linear image with one plane.
    pub fn linear(width: u32, height: u32, format: Format, plane: Plane) -> Self {
        let mut planes = [Plane::default(); MAX_PLANES];
        planes[0] = plane;
        Self { width, height, fourcc: format.fourcc(), modifier: LINEAR, plane_count: 1, planes }
    }

    /// Proves that every byte of every plane is inside their region, whose size in bytes `size_of` tells.
    ///
    /// # Errors
    /// The first thing that is wrong, or what `size_of` answered for a region that there is not.
    pub fn check<E: From<ImageError>>(
        &self,
        size_of: impl FnOnce(u32) -> Result<u64, E>,
    ) -> Result<CheckedImage, E> {
        let &Self { width, height, fourcc, modifier, plane_count, planes: [first, second, ..] } = self;
        if !(1..=MAX_EXTENT).contains(&width) || !(1..=MAX_EXTENT).contains(&height) {
            return Err(ImageError::BadSize { width, height }.into());
        }
        let format = Format::from_fourcc(fourcc)?;
        check_modifier(modifier)?;
        if plane_count != format.planes() {
            return Err(ImageError::PlaneCount { format, count: plane_count }.into());
        }
        let has_second = plane_count > 1;
        if has_second && first.region != second.region {
            let (first, second) = (first.region, second.region);
            return Err(ImageError::PlaneRegions { first, second }.into());
        }
        let mut end = plane_end(first, format.plane_size(0, width, height))?;
        if has_second {
            end = end.max(plane_end(second, format.plane_size(1, width, height))?);
        }
        let size = size_of(first.region)?;
        if end > size {
            return Err(ImageError::OutsideRegion { region: first.region, end, size }.into());
        }
        Ok(CheckedImage { width, height, format, plane: first, chroma: has_second.then_some(second) })
    }
}

/// The byte after the last of a plane whose rows have so many bytes, and which has so many of them.
fn plane_end(plane: Plane, (row, height): (u64, u32)) -> Result<u64, ImageError> {
    let Plane { offset, stride, .. } = plane;
    if u64::from(stride) < row {
        return Err(ImageError::StrideTooSmall { stride, row });
    }
    u64::from(stride)
        .checked_mul(u64::from(height - 1))
        .and_then(|rows| rows.checked_add(row))
        .and_then(|bytes| bytes.checked_add(offset))
        .ok_or(ImageError::SizeOverflow { offset, stride, height })
}

/// An image whose every byte is known to be inside its region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckedImage {
    width: u32,
    height: u32,
    format: Format,
    plane: Plane,
    chroma: Option<Plane>,
}

impl CheckedImage {
    /// Width in pixels, 1 to [`MAX_EXTENT`].
    pub const fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels, 1 to [`MAX_EXTENT`].
    pub const fn height(&self) -> u32 {
        self.height
    }

    /// The pixel format.
    pub const fn format(&self) -> Format {
        self.format
    }

    /// The first plane: the pixels, or their brightness.
    pub const fn plane(&self) -> Plane {
        self.plane
    }

    /// The second plane, of formats that have their colours there. Its region is that of the first.
    pub const fn chroma(&self) -> Option<Plane> {
        self.chroma
    }
}

/// What is wrong with an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// A side is 0 or beyond [`MAX_EXTENT`].
    #[error("the image is {width}x{height}: each side must be 1 to {MAX_EXTENT} pixels")]
    BadSize {
        /// Width as stated.
        width: u32,
        /// Height as stated.
        height: u32,
    },
    /// A fourcc that blitd does not read.
    #[error("format {} ({code:#010x}) is not one that blitd reads: use XR24, AR24, XB24, AB24, RG16, RG24, XR30, NV12 or YUYV", format::fourcc_text(*.code))]
    UnknownFormat {
        /// The code as stated.
        code: u32,
    },
    /// A modifier that blitd does not read.
    #[error("modifier {code:#018x} is not one that blitd reads: use linear (0)")]
    UnknownModifier {
        /// The code as stated.
        code: u64,
    },
    /// More or fewer planes than the format has.
    #[error("{count} planes for format {format}: it has {}", format.planes())]
    PlaneCount {
        /// The format.
        format: Format,
        /// How many were stated.
        count: u32,
    },
    /// Planes in different regions.
    #[error("the planes of the image are in regions {first} and {second}: put them into the same one")]
    PlaneRegions {
        /// That of the first plane.
        first: u32,
        /// That of the second.
        second: u32,
    },
    /// Rows that overlap.
    #[error("stride {stride} is less than the {row} bytes of a row: make it at least that")]
    StrideTooSmall {
        /// The stride as stated.
        stride: u32,
        /// Bytes that the pixels of a row take.
        row: u64,
    },
    /// The end of the image cannot be counted in 64 bits.
    #[error("offset {offset} and {height} rows of stride {stride} overflow 64 bits: make them smaller")]
    SizeOverflow {
        /// The offset as stated.
        offset: u64,
        /// The stride as stated.
        stride: u32,
        /// The height as stated.
        height: u32,
    },
    /// The image ends after its region.
    #[error(
        "the image ends at byte {end} of region {region}, which has {size}: make the region larger or the image smaller"
    )]
    OutsideRegion {
        /// The region.
        region: u32,
        /// The byte after the last that the image takes.
        end: u64,
        /// The region's size in bytes.
        size: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Image {
        Image::linear(4, 3, Format::Xrgb8888, Plane { region: 7, stride: 20, offset: 8 })
    }

    fn check(image: Image, size: u64) -> Result<CheckedImage, ImageError> {
        image.check(|_| Ok(size))
    }

    #[test]
    fn the_last_row_needs_no_padding() {
        assert!(check(image(), 8 + 2 * 20 + 16).is_ok());
        assert_eq!(
            check(image(), 8 + 2 * 20 + 15),
            Err(ImageError::OutsideRegion { region: 7, end: 64, size: 63 })
        );
    }

    #[test]
    fn each_fault_has_its_error() {
        let wrong = |edit: fn(&mut Image)| {
            let mut image = image();
            edit(&mut image);
            check(image, 1 << 20).unwrap_err()
        };
        assert_eq!(wrong(|i| i.width = 0), ImageError::BadSize { width: 0, height: 3 });
        assert_eq!(wrong(|i| i.height = u32::MAX), ImageError::BadSize { width: 4, height: u32::MAX });
        assert_eq!(wrong(|i| i.fourcc = 1), ImageError::UnknownFormat { code: 1 });
        assert_eq!(wrong(|i| i.modifier = 1), ImageError::UnknownModifier { code: 1 });
        assert_eq!(
            wrong(|i| i.plane_count = 2),
            ImageError::PlaneCount { format: Format::Xrgb8888, count: 2 }
        );
        assert_eq!(wrong(|i| i.planes[0].stride = 15), ImageError::StrideTooSmall { stride: 15, row: 16 });
        assert_eq!(
            wrong(|i| i.planes[0].offset = u64::MAX),
            ImageError::SizeOverflow { offset: u64::MAX, stride: 20, height: 3 }
        );
    }

    #[test]
    fn every_plane_is_checked() {
        // 5x3 pixels: three rows of 5 bytes, and two of 6.
        let mut image = Image::linear(5, 3, Format::Nv12, Plane { region: 7, stride: 5, offset: 12 });
        assert_eq!(check(image, 1 << 20), Err(ImageError::PlaneCount { format: Format::Nv12, count: 1 }));
        image.plane_count = 2;
        image.planes[1] = Plane { region: 7, stride: 6, offset: 27 };
        let end = |end, size| Err(ImageError::OutsideRegion { region: 7, end, size });
        assert_eq!(check(image, 38), end(39, 38));
        assert_eq!(check(image, 39).unwrap().chroma(), Some(image.planes[1]));
        image.planes[1].offset = 0;
        assert_eq!(check(image, 26), end(27, 26));
        image.planes[1].stride = 5;
        assert_eq!(check(image, 1 << 20), Err(ImageError::StrideTooSmall { stride: 5, row: 6 }));
        image.planes[1] = Plane { region: 8, stride: 6, offset: 27 };
        assert_eq!(check(image, 1 << 20), Err(ImageError::PlaneRegions { first: 7, second: 8 }));
        // 5x2 pixels: pairs, so 12 bytes in a row.
        let image = Image::linear(5, 2, Format::Yuyv, Plane { region: 7, stride: 13, offset: 1 });
        assert_eq!(check(image, 25), end(26, 25));
        assert_eq!(check(image, 26).unwrap().chroma(), None);
    }

    #[test]
    fn odd_strides_are_fine() {
        let mut image = image();
        image.planes[0] = Plane { region: 1, stride: 17, offset: 3 };
        assert!(check(image, 3 + 34 + 16).is_ok());
    }
}
