//! What the daemon tells, as the values that tables and JSON are made of.
//!
//! The fields' names are those of the JSON and stay as they are. Times and sizes name their units; a word stands where
//! the protocol has a number for one, and `unknown` where this command is older than the daemon.

use blitd_client::protocol::image::Format;
use blitd_client::protocol::value::Name;
use blitd_client::{Backend, Band, ClientRecord, DaemonRecord, LayerRecord, Mode, OutputRecord, Token};
use serde::Serialize;

use crate::table::{Cell, Row};

const UNKNOWN: &str = "unknown";

/// An output.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Output {
    /// Its id.
    output: u32,
    /// Its name.
    name: String,
    /// What drives it: `headless` or `kms`.
    backend: &'static str,
    /// Its width in pixels.
    width: u32,
    /// Its height in pixels.
    height: u32,
    /// How many frames it shows in a second, in thousandths.
    refresh_millihertz: u32,
    /// How pictures are turned on their way to the screen, as the protocol numbers it: 0 to 3 quarters
    /// counter-clockwise, 4 to 7 the same after left and right are exchanged.
    transform: u8,
    /// Where it is in the space that it shares with other outputs, as `[x, y]`; null where it shares none.
    place: Option<(i32, i32)>,
    /// Whether it shows nothing for the moment.
    off: bool,
    /// The colour under all layers, as `rrggbb`.
    background: String,
    /// The format of its picture, as a fourcc.
    format: String,
    /// The vblank sequence of its last frame.
    sequence: u64,
    /// How many frames have been shown.
    frames: u64,
    /// How many layers are on hardware planes of their own.
    layers_on_planes: u8,
    /// How many bytes of pixels have been composed for them.
    composed_bytes: u64,
}

impl From<&OutputRecord> for Output {
    fn from(record: &OutputRecord) -> Self {
        Self {
            output: record.output.get(),
            name: name(record.name),
            backend: match record.backend() {
                Ok(Backend::Headless) => "headless",
                Ok(Backend::Kms) => "kms",
                Err(_) => UNKNOWN,
            },
            width: record.width.get(),
            height: record.height.get(),
            refresh_millihertz: record.refresh.get(),
            transform: record.transform,
            place: record.place(),
            off: record.off != 0,
            background: format!("{:06x}", record.background.get() & 0x00ff_ffff),
            format: format(record.fourcc.get()),
            sequence: record.sequence.get(),
            frames: record.frames.get(),
            layers_on_planes: record.planes,
            composed_bytes: record.composed.get(),
        }
    }
}

impl Row for Output {
    const HEADS: &'static [&'static str] = &[
        "OUTPUT",
        "NAME",
        "BACKEND",
        "SIZE",
        "RATE HZ",
        "TURNED",
        "PLACE",
        "STATE",
        "FRAMES",
        "PLANES",
        "COMPOSED MIB",
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::number(self.output),
            Cell::text(&self.name),
            Cell::text(self.backend),
            Cell::number(format!("{}x{}", self.width, self.height)),
            Cell::number(format!("{:.2}", f64::from(self.refresh_millihertz) / 1000.0)),
            Cell::text(turned(self.transform)),
            Cell::text(self.place.map_or("-".into(), |(x, y)| format!("{x},{y}"))),
            Cell::text(if self.off { "off" } else { "on" }),
            Cell::number(self.frames),
            Cell::number(self.layers_on_planes),
            Cell::number(mebibytes(self.composed_bytes)),
        ]
    }
}

/// A transform, for people.
const fn turned(transform: u8) -> &'static str {
    match transform {
        0 => "-",
        1 => "90",
        2 => "180",
        3 => "270",
        4 => "reflected",
        5 => "reflected, 90",
        6 => "reflected, 180",
        7 => "reflected, 270",
        _ => UNKNOWN,
    }
}

/// A layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Layer {
    /// The connection that owns it; 0 where none does.
    connection: u64,
    /// Its id on that connection.
    layer: u32,
    /// Its name.
    name: String,
    /// The output that shows it.
    output: u32,
    /// Its left column on the output, in pixels.
    x: i32,
    /// Its top row on the output, in pixels.
    y: i32,
    /// Its width in pixels.
    width: u32,
    /// Its height in pixels.
    height: u32,
    /// Its place among the layers of its band; higher is in front.
    z: i32,
    /// Its band: `background`, `normal`, `overlay` or `alarm`.
    band: &'static str,
    /// The format of its pixels, as a fourcc.
    format: String,
    /// Its opacity, 255 opaque.
    opacity: u8,
    /// Whether it is shown.
    visible: bool,
    /// Width and height of what it fills on the output, in pixels.
    shown: [u32; 2],
    /// Which part of its picture is shown there: left, top, width and height, in pixels.
    crop: [f64; 4],
    /// The user that is charged for it.
    uid: u32,
    /// Whether it outlives its connection.
    linger: bool,
    /// What it is claimed with, in hexadecimal digits, where this user may know it.
    token: Option<String>,
    /// How many draws and fills it has had.
    draws: u64,
    /// How many bytes its pixels take.
    bytes: u64,
}

impl From<&LayerRecord> for Layer {
    fn from(record: &LayerRecord) -> Self {
        Self {
            connection: record.connection.get(),
            layer: record.layer.get(),
            name: name(record.name),
            output: record.output.get(),
            x: record.x.get(),
            y: record.y.get(),
            width: record.width.get(),
            height: record.height.get(),
            z: record.z.get(),
            band: match Band::from_number(record.band) {
                Ok(Band::Background) => "background",
                Ok(Band::Normal) => "normal",
                Ok(Band::Overlay) => "overlay",
                Ok(Band::Alarm) => "alarm",
                Err(_) => UNKNOWN,
            },
            format: format(record.fourcc.get()),
            opacity: record.opacity,
            visible: record.visible != 0,
            shown: [record.shown_width.get(), record.shown_height.get()],
            crop: [record.crop.x, record.crop.y, record.crop.width, record.crop.height]
                .map(|side| f64::from(side.get()) / 65536.0),
            uid: record.uid.get(),
            linger: record.linger != 0,
            token: Token::from_bytes(record.token).map(|token| token.to_string()),
            draws: record.draws.get(),
            bytes: record.bytes.get(),
        }
    }
}

impl Row for Layer {
    const HEADS: &'static [&'static str] = &[
        "CONNECTION",
        "LAYER",
        "NAME",
        "OUTPUT",
        "PLACE",
        "SIZE",
        "SHOWN",
        "BAND",
        "Z",
        "FORMAT",
        "OPACITY",
        "VISIBLE",
        "LINGERS",
        "UID",
        "DRAWS",
        "MEMORY MIB",
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            match self.connection {
                0 => Cell::text("nobody"),
                connection => Cell::number(connection),
            },
            Cell::number(self.layer),
            Cell::text(&self.name),
            Cell::number(self.output),
            Cell::number(format!("{},{}", self.x, self.y)),
            Cell::number(format!("{}x{}", self.width, self.height)),
            Cell::number(format!("{}x{}", self.shown[0], self.shown[1])),
            Cell::text(self.band),
            Cell::number(self.z),
            Cell::text(&self.format),
            Cell::number(self.opacity),
            Cell::text(if self.visible { "yes" } else { "no" }),
            Cell::text(if self.linger { "yes" } else { "no" }),
            Cell::number(self.uid),
            Cell::number(self.draws),
            Cell::number(mebibytes(self.bytes)),
        ]
    }
}

/// A connection.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Client {
    /// Its number.
    connection: u64,
    /// The program's name for itself.
    name: String,
    /// The process.
    pid: u32,
    /// The user.
    uid: u32,
    /// The group.
    gid: u32,
    /// How its pixels travel: `shared` or `inline`.
    mode: &'static str,
    /// How many regions it lends.
    regions: u32,
    /// How many bytes they have.
    region_bytes: u64,
    /// How many layers it has.
    layers: u32,
    /// How many bytes they take.
    layer_bytes: u64,
    /// How many of its requests have been answered.
    requests: u64,
    /// How many of those were refused.
    refused: u64,
    /// How many bytes have been read from its socket.
    bytes_received: u64,
    /// How many bytes have been written to its socket.
    bytes_sent: u64,
}

impl From<&ClientRecord> for Client {
    fn from(record: &ClientRecord) -> Self {
        Self {
            connection: record.connection.get(),
            name: name(record.name),
            pid: record.pid.get(),
            uid: record.uid.get(),
            gid: record.gid.get(),
            mode: match Mode::from_number(record.mode) {
                Ok(Mode::Shared) => "shared",
                Ok(Mode::Inline) => "inline",
                Err(_) => UNKNOWN,
            },
            regions: record.regions.get(),
            region_bytes: record.region_bytes.get(),
            layers: record.layers.get(),
            layer_bytes: record.layer_bytes.get(),
            requests: record.requests.get(),
            refused: record.refused.get(),
            bytes_received: record.bytes_received.get(),
            bytes_sent: record.bytes_sent.get(),
        }
    }
}

impl Row for Client {
    const HEADS: &'static [&'static str] = &[
        "CONNECTION",
        "NAME",
        "PID",
        "UID",
        "MODE",
        "REGIONS",
        "REGIONS MIB",
        "LAYERS",
        "LAYERS MIB",
        "REQUESTS",
        "REFUSED",
        "RECEIVED KIB",
        "SENT KIB",
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::number(self.connection),
            Cell::text(&self.name),
            Cell::number(self.pid),
            Cell::number(self.uid),
            Cell::text(self.mode),
            Cell::number(self.regions),
            Cell::number(mebibytes(self.region_bytes)),
            Cell::number(self.layers),
            Cell::number(mebibytes(self.layer_bytes)),
            Cell::number(self.requests),
            Cell::number(self.refused),
            Cell::number(kibibytes(self.bytes_received)),
            Cell::number(kibibytes(self.bytes_sent)),
        ]
    }
}

/// The daemon as a whole.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Daemon {
    /// Its version.
    version: String,
    /// Its process.
    pid: u32,
    /// How long it has been running, in nanoseconds.
    uptime_nanoseconds: u64,
    /// How many connections there are.
    connections: u32,
    /// How many regions are lent.
    regions: u32,
    /// How many bytes they have.
    region_bytes: u64,
    /// How many layers there are.
    layers: u32,
    /// How many bytes they take.
    layer_bytes: u64,
    /// How many requests have been answered.
    requests: u64,
    /// How many of those were refused.
    refused: u64,
    /// How many draws and fills there have been, those in batches too.
    draws: u64,
    /// How many bytes of pixels they have written.
    drawn_bytes: u64,
    /// In how many slices the work has been done.
    slices: u64,
    /// How many bytes have been read from sockets.
    bytes_received: u64,
    /// How many bytes have been written to sockets.
    bytes_sent: u64,
}

impl From<&DaemonRecord> for Daemon {
    fn from(record: &DaemonRecord) -> Self {
        Self {
            version: name(record.version),
            pid: record.pid.get(),
            uptime_nanoseconds: record.uptime.get(),
            connections: record.connections.get(),
            regions: record.regions.get(),
            region_bytes: record.region_bytes.get(),
            layers: record.layers.get(),
            layer_bytes: record.layer_bytes.get(),
            requests: record.requests.get(),
            refused: record.refused.get(),
            draws: record.draws.get(),
            drawn_bytes: record.drawn.get(),
            slices: record.slices.get(),
            bytes_received: record.bytes_received.get(),
            bytes_sent: record.bytes_sent.get(),
        }
    }
}

impl Daemon {
    /// Its values with their heads.
    pub(crate) fn pairs(&self) -> Vec<(&'static str, String)> {
        vec![
            ("version", self.version.clone()),
            ("pid", self.pid.to_string()),
            ("uptime s", format!("{:.1}", self.uptime_nanoseconds as f64 / 1e9)),
            ("connections", self.connections.to_string()),
            ("regions", self.regions.to_string()),
            ("regions MiB", mebibytes(self.region_bytes)),
            ("layers", self.layers.to_string()),
            ("layers MiB", mebibytes(self.layer_bytes)),
            ("requests", self.requests.to_string()),
            ("refused", self.refused.to_string()),
            ("draws", self.draws.to_string()),
            ("drawn MiB", mebibytes(self.drawn_bytes)),
            ("slices", self.slices.to_string()),
            ("received KiB", kibibytes(self.bytes_received)),
            ("sent KiB", kibibytes(self.bytes_sent)),
        ]
    }
}

/// A name as one line of text: what is in it is another program's choice, and must not steer a terminal.
pub(crate) fn name(bytes: [u8; 32]) -> String {
    let name = Name::from_bytes(bytes).unwrap_or_default();
    name.as_str().chars().map(|sign| if sign.is_control() { '.' } else { sign }).collect()
}

fn format(fourcc: u32) -> String {
    Format::from_fourcc(fourcc).map_or_else(|_| UNKNOWN.into(), |format| format.to_string())
}

pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 20))
}

pub(crate) fn kibibytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output() -> OutputRecord {
        OutputRecord {
            output: 1.into(),
            width: 1920.into(),
            height: 1080.into(),
            refresh: 59_940.into(),
            background: 0xff10_2030.into(),
            fourcc: Format::Xrgb8888.fourcc().into(),
            backend: Backend::Headless.number(),
            transform: 1,
            off: 1,
            placed: 1,
            y: (-1080).into(),
            sequence: 7.into(),
            frames: 5.into(),
            planes: 2,
            composed: (3 << 20).into(),
            name: *Name::new("headless-1").as_bytes(),
            ..OutputRecord::default()
        }
    }

    #[test]
    fn json_keeps_its_names_and_numbers_are_numbers() {
        let json = serde_json::to_value(Output::from(&output())).unwrap();
        let expected = serde_json::json!({
            "output": 1, "name": "headless-1", "backend": "headless", "width": 1920, "height": 1080,
            "refresh_millihertz": 59940, "transform": 1, "place": [0, -1080], "off": true, "background": "102030", "format": "XR24", "sequence": 7, "frames": 5,
            "layers_on_planes": 2,
            "composed_bytes": 3145728,
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn the_names_of_all_fields_are_kept() {
        let names = |value: serde_json::Value| -> Vec<String> {
            value.as_object().map(|fields| fields.keys().cloned().collect()).unwrap_or_default()
        };
        let sorted = |text: &str| {
            let mut names: Vec<String> = text.split_whitespace().map(String::from).collect();
            names.sort();
            names
        };
        let layer = serde_json::to_value(Layer::from(&LayerRecord::default())).unwrap();
        let client = serde_json::to_value(Client::from(&ClientRecord::default())).unwrap();
        let daemon = serde_json::to_value(Daemon::from(&DaemonRecord::default())).unwrap();
        assert_eq!(
            names(layer),
            sorted(
                "connection layer name output x y width height z band format opacity visible draws bytes shown \
                 crop uid linger token"
            )
        );
        assert_eq!(
            names(client),
            sorted(
                "connection name pid uid gid mode regions region_bytes layers layer_bytes requests refused \
                 bytes_received bytes_sent"
            )
        );
        assert_eq!(
            names(daemon),
            sorted(
                "version pid uptime_nanoseconds connections regions region_bytes layers layer_bytes requests \
                 refused draws drawn_bytes slices bytes_received bytes_sent"
            )
        );
    }

    #[test]
    fn what_is_newer_than_this_command_is_unknown() {
        let output = Output::from(&OutputRecord { backend: 9, fourcc: 1.into(), ..output() });
        assert_eq!((output.backend, output.format.as_str()), (UNKNOWN, UNKNOWN));
    }

    #[test]
    fn names_cannot_steer_the_terminal() {
        assert_eq!(name(*Name::new("a\x1b[2Jb\nc").as_bytes()), "a.[2Jb.c");
        assert_eq!(name([0xff; 32]), "");
    }

    #[test]
    fn every_row_has_a_cell_for_each_head() {
        assert_eq!(Output::from(&output()).cells().len(), Output::HEADS.len());
        assert_eq!(Layer::from(&LayerRecord::default()).cells().len(), Layer::HEADS.len());
        assert_eq!(Client::from(&ClientRecord::default()).cells().len(), Client::HEADS.len());
    }
}
