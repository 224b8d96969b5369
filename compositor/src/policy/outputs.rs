//! What the configuration says of outputs: their modes, how they hang, where they stand.

use std::collections::HashMap;
use std::str::FromStr;

use blitd_protocol::value::Transform;
use serde::Deserialize;

use super::config::Colour;

/// A mode that somebody asks for, written `WIDTHxHEIGHT` or `WIDTHxHEIGHT@HERTZ`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ModeWish {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Frames in 1000 seconds.
    pub refresh: Option<u32>,
}

impl FromStr for ModeWish {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (size, refresh) = match text.split_once('@') {
            Some((size, refresh)) => (size, Some(refresh)),
            None => (text, None),
        };
        let parsed = || {
            let (width, height) = size.split_once('x')?;
            let refresh = match refresh {
                None => None,
                Some(hertz) => {
                    let hertz: f64 = hertz.parse().ok().filter(|hertz| (1.0..1000.0).contains(hertz))?;
                    Some((hertz * 1000.0).round() as u32)
                }
            };
            Some(Self { width: width.parse().ok()?, height: height.parse().ok()?, refresh })
        };
        parsed().ok_or_else(|| format!("{text:?} is no mode: write WIDTHxHEIGHT or WIDTHxHEIGHT@HERTZ"))
    }
}

impl TryFrom<String> for ModeWish {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl std::fmt::Display for ModeWish {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}x{}", self.width, self.height)?;
        self.refresh.map_or(Ok(()), |refresh| write!(formatter, "@{}", f64::from(refresh) / 1000.0))
    }
}

/// A section `[output.NAME]` as it is written.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Section {
    mode: Option<ModeWish>,
    rotation: u32,
    reflect: bool,
    place: Option<(i32, i32)>,
    background: Option<Colour>,
}

/// What is configured of one output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputConfig {
    /// The mode, where its screen has that.
    pub mode: Option<ModeWish>,
    /// How the picture is turned on its way to the screen.
    pub transform: Transform,
    /// Where its top left pixel is in the space that it shares with all others that have a place.
    pub place: Option<(i32, i32)>,
    /// The colour under all layers, as an XRGB8888 word.
    pub background: u32,
}

/// What is configured of all outputs.
#[derive(Clone, Debug, Default)]
pub struct OutputConfigs {
    named: HashMap<String, OutputConfig>,
    background: Colour,
    mode: Option<ModeWish>,
}

impl OutputConfigs {
    /// What is written, over the background of those that have none of their own.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence.
    pub(super) fn new(sections: HashMap<String, Section>, background: Colour) -> Result<Self, String> {
        let named = sections.into_iter().map(|(name, section)| {
            let transform = transform(section.rotation, section.reflect).ok_or_else(|| {
                let rotation = section.rotation;
                format!("[output.{name}] rotation = {rotation}: it takes 0, 90, 180 or 270")
            })?;
            let Section { mode, place, .. } = section;
            let background = section.background.unwrap_or(background).0;
            Ok((name, OutputConfig { mode, transform, place, background }))
        });
        Ok(Self { named: named.collect::<Result<_, String>>()?, background, mode: None })
    }

    /// The mode for all outputs, whatever else is written.
    pub const fn set_mode(&mut self, mode: ModeWish) {
        self.mode = Some(mode);
    }

    /// What holds for the output of this name.
    pub fn of(&self, name: &str) -> OutputConfig {
        let usual = OutputConfig {
            mode: None,
            transform: Transform::Identity,
            place: None,
            background: self.background.0,
        };
        let config = self.named.get(name).copied().unwrap_or(usual);
        OutputConfig { mode: self.mode.or(config.mode), ..config }
    }
}

/// Reflected first, then rotated counter-clockwise.
fn transform(rotation: u32, reflect: bool) -> Option<Transform> {
    Some(match (rotation, reflect) {
        (0, false) => Transform::Identity,
        (90, false) => Transform::Rotate90,
        (180, false) => Transform::Rotate180,
        (270, false) => Transform::Rotate270,
        (0, true) => Transform::Reflect,
        (90, true) => Transform::ReflectRotate90,
        (180, true) => Transform::ReflectRotate180,
        (270, true) => Transform::ReflectRotate270,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read_or_refused() {
        assert_eq!("640x480@59.94".parse::<ModeWish>().unwrap().to_string(), "640x480@59.94");
        for text in ["", "640", "640x", "640x480@", "640x480@0", "x@60", "640x480@fast"] {
            assert!(text.parse::<ModeWish>().is_err(), "{text}");
        }
    }

    #[test]
    fn sections_hold_for_their_output_and_the_option_for_all() {
        let sections: HashMap<String, Section> = toml::from_str(
            "[DP-1]\nmode = \"640x480\"\nrotation = 90\nreflect = true\nplace = [-10, 20]\nbackground = \"#010203\"",
        )
        .unwrap();
        let mut configs = OutputConfigs::new(sections, Colour(0xff0a_0b0c)).unwrap();
        let first = configs.of("DP-1");
        assert_eq!(first.transform, Transform::ReflectRotate90);
        assert_eq!((first.place, first.background), (Some((-10, 20)), 0xff01_0203));
        assert_eq!(first.mode, "640x480".parse().ok());
        let other = configs.of("DP-2");
        assert_eq!((other.mode, other.place, other.background), (None, None, 0xff0a_0b0c));
        configs.set_mode("800x600@50".parse().unwrap());
        assert!(["DP-1", "DP-2"].iter().all(|name| configs.of(name).mode == "800x600@50".parse().ok()));
    }
}
