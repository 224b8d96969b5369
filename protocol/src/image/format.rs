//! Pixel formats and modifiers, named as DRM names them.

use drm_fourcc::{DrmFourcc, DrmModifier};

use super::ImageError;

/// A pixel format that blitd reads, of those in `drm_fourcc.h`.
///
/// The kernel header gives each as a little-endian word: XRGB8888 is `[31:0] x:R:G:B 8:8:8:8`, so its bytes in
/// memory are B, G, R, x.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// `XR24`: 32 bits, the top byte is ignored.
    Xrgb8888,
    /// `AR24`: 32 bits, premultiplied alpha in the top byte.
    Argb8888,
    /// `XB24`: as XRGB8888 with red and blue exchanged.
    Xbgr8888,
    /// `AB24`: as ARGB8888 with red and blue exchanged.
    Abgr8888,
    /// `RG16`: 16 bits, `R:G:B 5:6:5`.
    Rgb565,
    /// `RG24`: 24 bits, `R:G:B 8:8:8`, so its bytes are B, G, R.
    Rgb888,
    /// `XR30`: 32 bits, `x:R:G:B 2:10:10:10`; the top two bits are ignored.
    Xrgb2101010,
    /// `NV12`: YUV in two planes. A byte of Y for each pixel; and a byte of Cb and one of Cr for each two by two pixels.
    Nv12,
    /// `YUYV`: YUV in one plane. Four bytes for each two pixels side by side: Y, Cb, Y, Cr.
    Yuyv,
}

impl Format {
    /// Every format, in the order of the protocol document.
    pub const ALL: [Self; 9] = [
        Self::Xrgb8888,
        Self::Argb8888,
        Self::Xbgr8888,
        Self::Abgr8888,
        Self::Rgb565,
        Self::Rgb888,
        Self::Xrgb2101010,
        Self::Nv12,
        Self::Yuyv,
    ];

    /// The format of a fourcc code.
    ///
    /// # Errors
    /// [`ImageError::UnknownFormat`] where blitd does not read that format.
    pub fn from_fourcc(code: u32) -> Result<Self, ImageError> {
        Self::ALL.into_iter().find(|format| format.fourcc() == code).ok_or(ImageError::UnknownFormat { code })
    }

    /// The fourcc code, as in `drm_fourcc.h`.
    pub const fn fourcc(self) -> u32 {
        (match self {
            Self::Xrgb8888 => DrmFourcc::Xrgb8888,
            Self::Argb8888 => DrmFourcc::Argb8888,
            Self::Xbgr8888 => DrmFourcc::Xbgr8888,
            Self::Abgr8888 => DrmFourcc::Abgr8888,
            Self::Rgb565 => DrmFourcc::Rgb565,
            Self::Rgb888 => DrmFourcc::Rgb888,
            Self::Xrgb2101010 => DrmFourcc::Xrgb2101010,
            Self::Nv12 => DrmFourcc::Nv12,
            Self::Yuyv => DrmFourcc::Yuyv,
        }) as u32
    }

    /// How many bytes a pixel takes in the first plane.
    pub const fn bytes_per_pixel(self) -> u32 {
        match self {
            Self::Nv12 => 1,
            Self::Rgb565 | Self::Yuyv => 2,
            Self::Rgb888 => 3,
            _ => 4,
        }
    }

    /// Whether its pixels can be anything but opaque.
    pub const fn has_alpha(self) -> bool {
        matches!(self, Self::Argb8888 | Self::Abgr8888)
    }

    /// Whether a pixel is a word with a byte for each channel: what can be written too.
    pub const fn is_rgb8888(self) -> bool {
        matches!(self, Self::Xrgb8888 | Self::Argb8888 | Self::Xbgr8888 | Self::Abgr8888)
    }

    /// How many planes an image of this format has.
    pub const fn planes(self) -> u32 {
        match self {
            Self::Nv12 => 2,
            _ => 1,
        }
    }

    /// How many bytes a row of plane `plane` takes, of an image that is so many pixels wide; and how many rows of that
    /// plane there are where it is so many pixels high. Where pixels share their colour, what is odd is rounded up. Of a
    /// plane that the format does not have, 0.
    pub const fn plane_size(self, plane: usize, width: u32, height: u32) -> (u64, u32) {
        match (self, plane) {
            (Self::Nv12, 1) => (width.div_ceil(2) as u64 * 2, height.div_ceil(2)),
            (Self::Yuyv, 0) => (width.div_ceil(2) as u64 * 4, height),
            (_, 0) => (width as u64 * self.bytes_per_pixel() as u64, height),
            _ => (0, 0),
        }
    }

    /// Whether it is brightness and colour, which an encoding and a range belong to.
    pub const fn is_yuv(self) -> bool {
        matches!(self, Self::Nv12 | Self::Yuyv)
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&fourcc_text(self.fourcc()))
    }
}

/// A fourcc code as its four characters, with a dot for what is not printable.
pub(super) fn fourcc_text(code: u32) -> String {
    code.to_le_bytes()
        .map(|byte| if byte.is_ascii_graphic() { char::from(byte) } else { '.' })
        .iter()
        .collect()
}

/// `DRM_FORMAT_MOD_LINEAR`: rows of pixels one after the other. The only layout that blitd reads.
pub const LINEAR: u64 = 0;

/// Refuses a modifier whose layout blitd cannot read.
///
/// # Errors
/// [`ImageError::UnknownModifier`] for all but [`LINEAR`]; that includes `DRM_FORMAT_MOD_INVALID`, which leaves
/// the layout open.
pub fn check_modifier(code: u64) -> Result<(), ImageError> {
    match DrmModifier::from(code) {
        DrmModifier::Linear => Ok(()),
        _ => Err(ImageError::UnknownModifier { code }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_kernel_header() {
        let texts: Vec<_> = Format::ALL.iter().map(Format::to_string).collect();
        assert_eq!(texts, ["XR24", "AR24", "XB24", "AB24", "RG16", "RG24", "XR30", "NV12", "YUYV"]);
        assert_eq!(Format::Xrgb8888.fourcc(), 0x3432_5258);
        assert_eq!(Format::from_fourcc(0x3432_5258).unwrap(), Format::Xrgb8888);
    }

    #[test]
    fn what_is_not_read_is_named() {
        let error = Format::from_fourcc(u32::from_le_bytes(*b"NV21")).unwrap_err();
        assert!(error.to_string().contains("NV21"), "{error}");
        assert!(check_modifier(0x00ff_ffff_ffff_ffff).is_err());
        assert!(check_modifier(LINEAR).is_ok());
    }
}
