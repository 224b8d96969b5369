//! The words between the driver and its clients: a command on a line, and its answer on a line. Pure.

use std::fmt;
use std::str::FromStr;

/// What a client does at a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scene {
    /// Draws one after the other, each waited for.
    Draw,
    /// The same with the pixels in the message; of blitd only.
    Carried,
    /// Draws one after the other, of which blitd's own time counts; of blitd only.
    Service,
    /// Copies of rows to two places in turns; of copies.c only.
    Copy,
    /// The same by stores that pass the cache; of copies.c only.
    Stream,
    /// Only what is written of such copies, by the same stores; of copies.c only.
    Store,
    /// Copies of rows to one place; of copies.c only.
    CopyOne,
    /// The same by stores that pass the cache; of copies.c only.
    StreamOne,
    /// Blends; of pixels.rs and pixman.c only.
    Over,
    /// Converts; of pixels.rs only.
    Convert,
    /// Scales by bilinear; of bilinear.rs and pixman.c only.
    Bilinear,
    /// Composes frames; of composing.rs only.
    Compose,
    /// Copies what a frame shows of opaque layers; of composing.rs only.
    PassOfCopies,
    /// Blends what a frame shows of other layers; of composing.rs only.
    PassOfBlends,
    /// Copies or blends what a frame shows of all layers; of composing.rs only.
    Passes,
    /// Many draws that are answered as one.
    Batch,
    /// Many draws sent together, each with its completion.
    Pipeline,
    /// So many draws, with a pause before each.
    Probe,
    /// Draws without pause until the next line comes.
    Flood,
    /// So many times: paints its memory anew, draws, and waits until that is on the glass.
    Redraw,
}

impl Scene {
    const ALL: [(&str, Self); 20] = [
        ("draw", Self::Draw),
        ("carried", Self::Carried),
        ("service", Self::Service),
        ("copy", Self::Copy),
        ("stream", Self::Stream),
        ("store", Self::Store),
        ("copy-one", Self::CopyOne),
        ("stream-one", Self::StreamOne),
        ("over", Self::Over),
        ("convert", Self::Convert),
        ("bilinear", Self::Bilinear),
        ("compose", Self::Compose),
        ("pass-of-copies", Self::PassOfCopies),
        ("pass-of-blends", Self::PassOfBlends),
        ("passes", Self::Passes),
        ("batch", Self::Batch),
        ("pipeline", Self::Pipeline),
        ("probe", Self::Probe),
        ("flood", Self::Flood),
        ("redraw", Self::Redraw),
    ];
}

/// What a client is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Command {
    pub(super) scene: Scene,
    /// Of each draw, in pixels.
    pub(super) width: u32,
    pub(super) height: u32,
    /// How many draws a probe or a redraw has; for how many milliseconds all else goes on, of which a flood takes no notice.
    pub(super) amount: u64,
}

impl fmt::Display for Command {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Scene::ALL.iter().find(|(_, scene)| *scene == self.scene).map_or("", |(name, _)| name);
        write!(out, "{name} {} {} {}", self.width, self.height, self.amount)
    }
}

impl FromStr for Command {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let wrong = || format!("`{}` is not SCENE WIDTH HEIGHT AMOUNT", line.trim_end());
        let words: Vec<&str> = line.split_whitespace().collect();
        let [scene, width, height, amount] = words[..] else { return Err(wrong()) };
        let (_, scene) = Scene::ALL.into_iter().find(|(name, _)| *name == scene).ok_or_else(wrong)?;
        Ok(Self {
            scene,
            width: width.parse().map_err(|_| wrong())?,
            height: height.parse().map_err(|_| wrong())?,
            amount: amount.parse().map_err(|_| wrong())?,
        })
    }
}

/// What a client has measured. Times are in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// How many frames have come on the glass meanwhile; 0 of those who do not compose.
    pub(super) frames: u64,
    /// How long all of it took.
    pub(super) duration: u64,
    /// How long each draw, batch or round trip took.
    pub(super) times: Vec<u64>,
}

impl fmt::Display for Answer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.frames, self.duration)?;
        self.times.iter().try_for_each(|time| write!(out, " {time}"))
    }
}

impl FromStr for Answer {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let numbers: Result<Vec<u64>, _> = line.split_whitespace().map(str::parse).collect();
        match numbers.as_deref() {
            Ok([frames, duration, times @ ..]) if !times.is_empty() => {
                Ok(Self { frames: *frames, duration: *duration, times: times.to_vec() })
            }
            _ => Err(format!("`{}` is not FRAMES DURATION TIMES", line.trim_end())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        for (name, scene) in Scene::ALL {
            let command = Command { scene, width: 64, height: 48, amount: 250 };
            assert_eq!(command.to_string(), format!("{name} 64 48 250"));
            assert_eq!(command.to_string().parse(), Ok(command));
        }
        let answer = Answer { frames: 15, duration: 250_000_000, times: vec![7, 9] };
        assert_eq!(answer.to_string(), "15 250000000 7 9");
        assert_eq!(format!("{answer}\n").parse(), Ok(answer));
    }

    #[test]
    fn what_makes_no_sense_is_an_error() {
        for line in ["", "draw 64 64", "draw 64 64 1 1", "paint 64 64 1", "draw -1 64 1"] {
            assert!(line.parse::<Command>().is_err(), "{line}");
        }
        // Without a single draw there is nothing to tell.
        for line in ["", "15 250", "15 250 x"] {
            assert!(line.parse::<Answer>().is_err(), "{line}");
        }
    }
}
