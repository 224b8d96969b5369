//! What is compared, and what is to be reached: the goals, in one place.

use blitd_client::Format;

use super::command::Scene;
use super::placement::Placement;

/// The screen that is drawn on, in pixels.
pub(super) const SCREEN: (u32, u32) = (3840, 2160);

/// How many draws a batch has.
pub(super) const BATCH: u32 = 100;

/// How many nanoseconds a probe pauses before each draw, at most.
pub(super) const PAUSE: u64 = 5_000_000;

/// How many frames a second a screen has that is composed all the while: less is no comparison.
pub(super) const LEAST_FRAMES: f64 = 55.0;

/// How many clients flood, and with which priority; and that of who draws something small beside them.
pub(super) const FLOODING: [usize; 3] = [1, 4, 16];
pub(super) const FLOOD_PRIORITY: u8 = 10;
pub(super) const PROBE_PRIORITY: u8 = 20;

/// How many times better than the X server a small draw under a flood is to be, at the median and at the 99th
/// percentile, and within how many microseconds.
pub(super) const FLOOD_MEDIAN: f64 = 50.0;
pub(super) const FLOOD_PERCENTILE: f64 = 30.0;
pub(super) const LONGEST_WAIT: f64 = 200.0;

/// Which part of the best copy's speed a large draw is to have, and how large it is.
pub(super) const COPY: f64 = 0.9;
pub(super) const COPIES: [(u32, u32); 2] = [(1920, 1080), (3840, 2160)];

/// What is blended, and how many times as fast as by libpixman it is to be.
pub(super) const OVERS: [(u32, u32, f64); 3] = [(64, 64, 2.0), (500, 500, 2.0), (3840, 2160, 1.3)];

/// What is scaled by bilinear, from one size to another, and how many times as fast as by libpixman it is to be. None is
/// made smaller than half: there libpixman misses pixels, and blitd takes the mean of all.
pub(super) const BILINEARS: [((u32, u32), (u32, u32)); 4] = [
    ((500, 500), (1000, 1000)),
    ((640, 480), (1920, 1080)),
    ((1920, 1080), (1280, 720)),
    ((1920, 1080), (3840, 2160)),
];
pub(super) const BILINEAR: f64 = 2.0;

/// A frame that is composed of layers that overlap, all of it damaged.
pub(super) const FRAME: (u32, u32) = (1920, 1080);
pub(super) const LAYERS: usize = 20;

/// How long that may take, of what a pass over each visible pixel of each layer takes: at most 1.3 times as long.
pub(super) const OF_PASSES: f64 = 1.0 / 1.3;

/// How many pixels are blended between two looks at the clock, at the least: looking takes as long as some hundreds.
pub(super) const REPEATS: u64 = 200_000;

/// Where the pixels begin that are blended and converted: not 0.
pub(super) const SEED: u32 = 0x1234_5678;

/// Which part of the best copy's speed a conversion beyond the cache is to have.
pub(super) const CONVERSION: f64 = 0.9;

/// What is converted to XRGB8888, beside the best copy.
pub(super) const CONVERTED: [Format; 8] = [
    Format::Argb8888,
    Format::Xbgr8888,
    Format::Abgr8888,
    Format::Rgb565,
    Format::Rgb888,
    Format::Xrgb2101010,
    Format::Nv12,
    Format::Yuyv,
];

/// How many times sooner than the X server it is to have drawn, and how often that is tried.
pub(super) const START: f64 = 8.0;
pub(super) const STARTS: usize = 15;

/// The sides of squares whose pixels travel in the message or are shared, in pixels. The last is the most that a
/// message carries.
pub(super) const SIDES: [u32; 9] = [4, 8, 16, 24, 32, 48, 64, 96, 128];

/// How far above a bare round trip a draw may be, in microseconds.
pub(super) const ABOVE_ROUND_TRIP: f64 = 2.5;

/// Draws of one client, without anybody else.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draws {
    pub(super) name: &'static str,
    pub(super) scene: Scene,
    pub(super) size: (u32, u32),
    /// How many draws each measured time is of.
    pub(super) draws: u32,
    same_cpu: f64,
    one_each: f64,
}

impl Draws {
    /// How many times better than the X server it is to be.
    pub(super) const fn goal(&self, placement: Placement) -> f64 {
        match placement {
            Placement::SameCpu => self.same_cpu,
            Placement::OneEach => self.one_each,
        }
    }
}

const fn synchronous(name: &'static str, size: (u32, u32), same_cpu: f64, one_each: f64) -> Draws {
    Draws { name, scene: Scene::Draw, size, draws: 1, same_cpu, one_each }
}

const fn many(name: &'static str, scene: Scene, same_cpu: f64, one_each: f64) -> Draws {
    Draws { name, scene, size: (64, 64), draws: BATCH, same_cpu, one_each }
}

/// All of them.
pub(super) const DRAWS: [Draws; 6] = [
    synchronous("draw 64x64", (64, 64), 1.15, 1.4),
    synchronous("draw 500x500", (500, 500), 0.97, 1.25),
    synchronous("draw 1920x1080", (1920, 1080), 1.0, 1.25),
    synchronous("draw 3840x2160", (3840, 2160), 1.35, 1.35),
    many("batch 64x64", Scene::Batch, 1.5, 1.5),
    many("completions 64x64", Scene::Pipeline, 5.0, 2.5),
];

/// What Weston, and what two copies and a flip, take for a frame on a card, of what blitd does: at least 1 : 0.85, and
/// 1 : 1.15.
pub(super) const OF_WESTON: f64 = 1.0 / 0.85;
pub(super) const CLOSE_TO_COPIES: f64 = 1.0 / 1.15;
