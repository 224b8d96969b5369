//! The configuration file: TOML, every key optional. docs/configuration.md describes it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::str::FromStr;

use blitd_protocol::image::MAX_EXTENT;
use serde::Deserialize;

use super::outputs::{OutputConfigs, Section};
use super::{Overrides, Policy};

/// Where the configuration is looked for where no option names it. It need not be there.
pub const DEFAULT_PATH: &str = "/etc/blitd.toml";

/// A size in pixels, written `WIDTHxHEIGHT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Size {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let side = |text: &str| text.parse().ok().filter(|side| (1..=MAX_EXTENT).contains(side));
        text.split_once('x')
            .and_then(|(width, height)| Some(Self { width: side(width)?, height: side(height)? }))
            .ok_or_else(|| format!("{text:?} is no size: write WIDTHxHEIGHT, each 1 to {MAX_EXTENT}"))
    }
}

impl TryFrom<String> for Size {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}x{}", self.width, self.height)
    }
}

/// A colour, written `#rrggbb`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Colour(
    /// An XRGB8888 word.
    pub u32,
);

impl Default for Colour {
    fn default() -> Self {
        Self(0xff00_0000)
    }
}

impl TryFrom<String> for Colour {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6 && digits.is_ascii());
        digits
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .map(|word| Self(0xff00_0000 | word))
            .ok_or_else(|| format!("{text:?} is no colour: write #rrggbb"))
    }
}

/// The headless output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HeadlessConfig {
    /// Its size.
    pub size: Size,
    /// Frames a second.
    pub refresh: u32,
}

impl Default for HeadlessConfig {
    fn default() -> Self {
        Self { size: Size { width: 1920, height: 1080 }, refresh: 60 }
    }
}

/// The screens of a card.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct KmsConfig {
    /// Whether commits are atomic where the driver has that.
    atomic: bool,
    /// What pictures are made in.
    buffers: BufferChoice,
    /// Whether layers may be shown on planes of their own.
    planes: bool,
}

impl Default for KmsConfig {
    fn default() -> Self {
        Self { atomic: true, buffers: BufferChoice::Auto, planes: true }
    }
}

/// Which buffers of a card pictures are made in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BufferChoice {
    /// Dumb buffers; GBM's where the card has none.
    #[default]
    Auto,
    /// Dumb buffers, which any driver has that a processor can draw into.
    Dumb,
    /// Linear ones of GBM, which the driver's own library allocates.
    Gbm,
}

/// The file as it is written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    socket: Option<PathBuf>,
    socket_mode: Option<String>,
    background: Colour,
    headless: HeadlessConfig,
    kms: KmsConfig,
    output: HashMap<String, Section>,
    limits: Overrides,
    user: HashMap<String, Overrides>,
    group: HashMap<String, Overrides>,
}

/// The configuration, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub socket: Option<PathBuf>,
    /// Permissions of the socket.
    pub socket_mode: Option<u32>,
    /// The headless output.
    pub headless: HeadlessConfig,
    /// Whether commits to a card may not be atomic.
    pub legacy_kms: bool,
    /// Which of a card's buffers pictures are made in.
    pub buffers: BufferChoice,
    /// Whether layers may be shown on planes of a card.
    pub planes: bool,
    /// What outputs are to be like.
    pub outputs: OutputConfigs,
    /// Who may what.
    pub policy: Policy,
}

/// Turns the name of a user or a group into its number.
pub trait Names {
    /// A user's number.
    fn user(&self, name: &str) -> Option<u32>;
    /// A group's number.
    fn group(&self, name: &str) -> Option<u32>;
}

impl Config {
    /// What holds where there is no configuration file.
    pub fn of_nothing(own_user: u32) -> Self {
        Self {
            socket: None,
            socket_mode: None,
            headless: HeadlessConfig::default(),
            legacy_kms: false,
            buffers: BufferChoice::Auto,
            planes: true,
            outputs: OutputConfigs::default(),
            policy: Policy { own_user, ..Policy::default() },
        }
    }

    /// Checks the text of a configuration.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence.
    pub fn parse(text: &str, own_user: u32, names: &impl Names) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        if !(1..=1000).contains(&file.headless.refresh) {
            return Err(format!("[headless] refresh = {}: it takes 1 to 1000", file.headless.refresh));
        }
        let mode = file.socket_mode.as_deref().map(|text| {
            let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777);
            mode.ok_or_else(|| {
                format!("socket_mode = {text:?}: it takes three octal digits, such as \"660\"")
            })
        });
        if let Some(fault) = file.limits.fault() {
            return Err(format!("[limits] {fault}"));
        }
        let policy = Policy {
            own_user,
            everybody: file.limits,
            users: numbered("user", file.user, |name| names.user(name))?,
            groups: numbered("group", file.group, |name| names.group(name))?,
        };
        Ok(Self {
            socket: file.socket,
            socket_mode: mode.transpose()?,
            headless: file.headless,
            legacy_kms: !file.kms.atomic,
            buffers: file.kms.buffers,
            planes: file.kms.planes,
            outputs: OutputConfigs::new(file.output, file.background)?,
            policy,
        })
    }
}

fn numbered(
    kind: &str,
    sections: HashMap<String, Overrides>,
    number: impl Fn(&str) -> Option<u32>,
) -> Result<HashMap<u32, Overrides>, String> {
    let section = |(name, overrides): (String, Overrides)| {
        if let Some(fault) = overrides.fault() {
            return Err(format!("[{kind}.{name}] {fault}"));
        }
        let number = number(&name).ok_or_else(|| format!("[{kind}.{name}]: there is no {kind} {name}"))?;
        Ok((number, overrides))
    };
    sections.into_iter().map(section).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Credentials;

    struct Fixed;
    impl Names for Fixed {
        fn user(&self, name: &str) -> Option<u32> {
            (name == "signage").then_some(1000)
        }
        fn group(&self, name: &str) -> Option<u32> {
            (name == "video").then_some(44)
        }
    }

    #[test]
    fn an_empty_file_is_the_default() {
        let config = Config::parse("", 1, &Fixed).unwrap();
        assert_eq!(config.headless, HeadlessConfig::default());
        assert_eq!(config.outputs.of("DP-1").background, 0xff00_0000);
    }

    #[test]
    fn everything_can_be_set() {
        let text = r##"
            socket = "/run/x"
            socket_mode = "666"
            background = "#102030"
            [headless]
            size = "640x480"
            refresh = 50
            [limits]
            layers = 5
            composing = 6000000000
            [user.signage]
            priority = 31
            bands = ["alarm"]
            [group.video]
            capture_outputs = true
        "##;
        let config = Config::parse(text, 1, &Fixed).unwrap();
        assert_eq!(config.outputs.of("DP-1").background, 0xff10_2030);
        assert_eq!(config.socket_mode, Some(0o666));
        assert_eq!(config.headless.size, Size { width: 640, height: 480 });
        let limits = config.policy.limits(&Credentials { pid: 1, uid: 1000, gid: 44 });
        assert_eq!((limits.layers, limits.priority.number(), limits.capture_outputs), (5, 31, true));
        assert_eq!(limits.composing, 6_000_000_000);
        assert_eq!(limits.bands.to_string(), "alarm");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, named) in [
            ("colour = 1", "colour"),
            ("background = \"red\"", "#rrggbb"),
            ("[headless]\nsize = \"0x5\"", "WIDTHxHEIGHT"),
            ("[headless]\nrefresh = 0", "refresh = 0"),
            ("[limits]\npriority = 64", "0 to 63"),
            ("[user.nobody-here]\nlayers = 1", "no user nobody-here"),
            ("[user.signage]\nrequests = 0", "[user.signage] requests = 0"),
            ("socket_mode = \"999\"", "octal"),
            ("[output.DP-1]\nrotation = 45", "[output.DP-1] rotation = 45"),
            ("[output.DP-1]\nmode = \"large\"", "WIDTHxHEIGHT@HERTZ"),
            ("[kms]\nbuffers = \"many\"", "many"),
            ("[limits]\nbands = [\"top\"]", "\"top\" is no band"),
        ] {
            let error = Config::parse(text, 1, &Fixed).unwrap_err();
            assert!(error.contains(named), "{text}: {error}");
        }
    }
}
