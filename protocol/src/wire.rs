//! The fixed layouts of all messages, as docs/protocol.md gives them.
//!
//! Every number is little-endian and nothing needs alignment. The types here only lay bytes out; what the values
//! mean, and which are acceptable, is decided in [`request`](crate::request) and [`reply`](crate::reply).

use zerocopy::byteorder::little_endian::{I32, U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// One field of a layout: what the protocol document's tables are held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Its type, as this file writes it.
    pub kind: &'static str,
    /// Bytes from the start of the layout.
    pub offset: usize,
    /// Bytes that it takes.
    pub size: usize,
}

/// A layout with its name and fields.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Its name.
    pub name: &'static str,
    /// Bytes that it takes.
    pub size: usize,
    /// Its fields in order.
    pub fields: &'static [Field],
}

macro_rules! layouts {
    ($($(#[$doc:meta])* $layout:ident { $($field:ident: $kind:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[allow(missing_docs, reason = "the fields are documented in docs/protocol.md, and a test holds the two together")]
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
            #[repr(C)]
            pub struct $layout { $(pub $field: $kind,)* }
        )*

        /// Every layout, in the order of this file.
        pub const LAYOUTS: &[Layout] = &[
            $(Layout {
                name: stringify!($layout),
                size: size_of::<$layout>(),
                fields: &[$(Field {
                    name: stringify!($field),
                    kind: stringify!($kind),
                    offset: std::mem::offset_of!($layout, $field),
                    size: size_of::<$kind>(),
                },)*],
            },)*
        ];
    };
}

layouts! {
    /// Begins every message.
    Header { length: U32, kind: U16, descriptors: u8, priority: u8, serial: U64, }

    /// A rectangle of whole pixels.
    Pixels { x: I32, y: I32, width: U32, height: U32, }
    /// A source rectangle in 16.16 fixed point.
    Fixed { x: U32, y: U32, width: U32, height: U32, }
    /// One plane of an image.
    Plane { region: U32, stride: U32, offset: U64, }
    /// A view of pixels in regions.
    Image { width: U32, height: U32, fourcc: U32, plane_count: U32, modifier: U64, planes: [Plane; 4], }

    /// Request: opens the connection.
    Hello { magic: U32, oldest: U16, newest: U16, name: [u8; 32], }
    /// Request: lends memory.
    RegionCreate { region: U32, memory: u8, access: u8, reserved: U16, size: U64, }
    /// Request: ends a region.
    RegionDestroy { region: U32, reserved: U32, }
    /// Request: fills part of a held region; the bytes follow.
    RegionWrite { region: U32, reserved: U32, offset: U64, }
    /// Request: asks for part of a held region.
    RegionRead { region: U32, length: U32, offset: U64, }
    /// Request: makes a layer.
    LayerCreate {
        layer: U32, output: U32, x: I32, y: I32, width: U32, height: U32, z: I32, fourcc: U32,
        band: u8, opacity: u8, visible: u8, linger: u8, reserved: U32, name: [u8; 32],
    }
    /// Request: changes what `changes` names.
    LayerConfigure {
        layer: U32, changes: U32, output: U32, x: I32, y: I32, z: I32,
        band: u8, opacity: u8, visible: u8, reserved: [u8; 5], width: U32, height: U32, crop: Fixed,
    }
    /// Request: ends a layer.
    LayerDestroy { layer: U32, reserved: U32, }
    /// Request: takes over a layer that lingers.
    LayerClaim { layer: U32, reserved: U32, token: [u8; 16], }
    /// Request: draws an image into a layer; carried pixels follow.
    Draw {
        layer: U32, transform: u8, filter: u8, operator: u8, opacity: u8,
        source: Fixed, destination: Pixels, image: Image, encoding: u8, range: u8, reserved: [u8; 6],
    }
    /// Request: fills a rectangle of a layer.
    Fill { layer: U32, colour: U32, operator: u8, reserved: [u8; 7], destination: Pixels, }
    /// Request: the entries that follow, as one.
    Batch { count: U32, reserved: U32, }
    /// Begins each entry of a batch; the entry's body follows, padded to 8 bytes.
    Entry { kind: U16, reserved: U16, length: U32, }
    /// Request: the daemon writes a layer or an output into a region.
    Capture { subject: u8, reserved: [u8; 3], id: U32, source: Pixels, image: Image, }
    /// Request: answered when everything earlier is on the glass.
    Sync { output: U32, reserved: U32, }
    /// Request: the outputs from number `first` on.
    Outputs { first: U32, reserved: U32, }
    /// Request: one kind of statistics, from number `first` on.
    Statistics { subject: U32, first: U32, }

    /// Reply to hello.
    Welcome {
        version: U16, mode: u8, ceiling: u8, longest: U32, connection: U64, bytes: U64,
        regions: U32, layers: U32, requests: U32, carried: U32,
    }
    /// Reply: done, the region is yours again.
    Done { received: U64, started: U64, finished: U64, bytes: U64, slices: U32, path: u8, reserved: [u8; 3], }
    /// Reply to sync.
    Shown { sequence: U64, time: U64, output: U32, reason: u8, clock: u8, reserved: U16, }
    /// Reply to a layer_create whose layer lingers.
    Token { token: [u8; 16], }
    /// Begins the reply to outputs and to statistics; the records follow.
    List { subject: U32, first: U32, count: U32, total: U32, }
    /// Reply: refused; the text follows.
    Refused { code: U32, entry: U32, }

    /// Record: an output.
    OutputRecord {
        output: U32, width: U32, height: U32, refresh: U32, background: U32, fourcc: U32,
        backend: u8, transform: u8, off: u8, placed: u8, planes: u8, reserved: [u8; 3], sequence: U64, frames: U64,
        composed: U64, x: I32, y: I32, name: [u8; 32],
    }
    /// Record: the daemon as a whole.
    DaemonRecord {
        uptime: U64, requests: U64, refused: U64, draws: U64, slices: U64, drawn: U64,
        bytes_received: U64, bytes_sent: U64, region_bytes: U64, layer_bytes: U64,
        connections: U32, regions: U32, layers: U32, pid: U32, version: [u8; 32],
    }
    /// Record: a connection.
    ClientRecord {
        connection: U64, pid: U32, uid: U32, gid: U32, mode: u8, reserved: [u8; 3], regions: U32, layers: U32,
        region_bytes: U64, layer_bytes: U64, requests: U64, refused: U64, bytes_received: U64, bytes_sent: U64,
        name: [u8; 32],
    }
    /// Record: a layer. Also the reply to layer_claim.
    LayerRecord {
        connection: U64, layer: U32, output: U32, x: I32, y: I32, width: U32, height: U32, z: I32, fourcc: U32,
        band: u8, opacity: u8, visible: u8, linger: u8, uid: U32, draws: U64, bytes: U64,
        shown_width: U32, shown_height: U32, crop: Fixed, token: [u8; 16], name: [u8; 32],
    }
    /// How long something took, over many times that it did; all but the first as values that it had.
    Distribution {
        sum: U64, median: U64, percentile_90: U64, percentile_99: U64, percentile_99_9: U64, maximum: U64,
    }
    /// Record: a priority.
    PriorityRecord {
        priority: u8, reserved: [u8; 7], count: U64, waiting: Distribution, service: Distribution,
    }
}
