//! Which bands a user may put layers into.

use blitd_protocol::error::{Coded, ErrorCode};
use blitd_protocol::value::Band;
use serde::Deserialize;

/// What the configuration calls them, as docs/protocol.md does.
const NAMES: [(Band, &str); 4] = [
    (Band::Background, "background"),
    (Band::Normal, "normal"),
    (Band::Overlay, "overlay"),
    (Band::Alarm, "alarm"),
];

/// A set of bands, written as a list of their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct Bands {
    /// The bit of each band's number.
    bits: u8,
}

impl Bands {
    /// All of them.
    pub const ALL: Self = Self::USUAL.with(Band::Alarm);

    /// What a user of whom nothing else is said may use.
    pub const USUAL: Self = Self { bits: 0 }.with(Band::Background).with(Band::Normal).with(Band::Overlay);

    const fn with(self, band: Band) -> Self {
        Self { bits: self.bits | 1 << band.number() }
    }

    /// Whether this band is among them.
    pub const fn contains(self, band: Band) -> bool {
        self.bits & 1 << band.number() != 0
    }

    /// Lets a user have a layer in this band, or not.
    ///
    /// # Errors
    /// It is not among them.
    pub const fn check(self, uid: u32, band: Band) -> Result<(), BandError> {
        if self.contains(band) { Ok(()) } else { Err(BandError { uid, band, allowed: self }) }
    }
}

impl TryFrom<Vec<String>> for Bands {
    type Error = String;

    fn try_from(names: Vec<String>) -> Result<Self, String> {
        names.into_iter().try_fold(Self { bits: 0 }, |bands, name| {
            let known = NAMES.iter().find(|(_, known)| *known == name);
            let (band, _) = known.ok_or_else(|| {
                format!("{name:?} is no band: write \"background\", \"normal\", \"overlay\" or \"alarm\"")
            })?;
            Ok(bands.with(*band))
        })
    }
}

impl std::fmt::Display for Bands {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> =
            NAMES.iter().filter(|(band, _)| self.contains(*band)).map(|(_, name)| *name).collect();
        formatter.write_str(if names.is_empty() { "none" } else { "" })?;
        formatter.write_str(&names.join(", "))
    }
}

/// A band that a user may not put layers into.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "user {uid} may not have layers in band {} ({}), and may in: {allowed}. Use one of these, or allow it with bands in the configuration",
    band.number(), name(*band)
)]
pub struct BandError {
    uid: u32,
    band: Band,
    allowed: Bands,
}

impl Coded for BandError {
    fn code(&self) -> ErrorCode {
        ErrorCode::NotPermitted
    }
}

fn name(band: Band) -> &'static str {
    NAMES.iter().find(|(known, _)| *known == band).map_or("", |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_band_has_its_name() {
        for &band in Band::ALL {
            let bands = Bands::try_from(vec![name(band).to_owned()]).unwrap();
            assert_eq!(bands.to_string(), format!("{band:?}").to_lowercase());
            assert!(Band::ALL.iter().all(|other| bands.contains(*other) == (*other == band)));
            assert!(Bands::ALL.contains(band));
        }
        assert_eq!(Bands::USUAL.to_string(), "background, normal, overlay");
        assert!(Bands::try_from(vec!["Alarm".to_owned()]).is_err());
    }

    #[test]
    fn who_may_not_is_told_what_he_may() {
        Bands::USUAL.check(7, Band::Overlay).unwrap();
        let error = Bands::USUAL.check(7, Band::Alarm).unwrap_err();
        let text = error.to_string();
        for part in ["user 7", "band 3 (alarm)", "background, normal, overlay", "configuration"] {
            assert!(text.contains(part), "{text}");
        }
        let none = Bands::try_from(Vec::new()).unwrap();
        assert!(none.check(7, Band::Normal).unwrap_err().to_string().contains("none"));
    }
}
