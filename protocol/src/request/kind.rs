//! The kinds of requests and their numbers.

macro_rules! kinds {
    ($($(#[doc = $doc:literal])* $name:ident = $number:literal, $text:literal;)*) => {
        /// The numbers of requests.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum RequestKind { $($(#[doc = $doc])* $name = $number,)* }

        impl RequestKind {
            /// Every kind, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The kind with this number.
            pub const fn from_number(number: u16) -> Option<Self> {
                match number { $($number => Some(Self::$name),)* _ => None }
            }

            /// Its number on the wire.
            pub const fn number(self) -> u16 {
                self as u16
            }

            /// Its name in the protocol document.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

kinds! {
    /// Opens the connection.
    Hello = 0x0001, "hello";
    /// Lends memory.
    RegionCreate = 0x0010, "region_create";
    /// Ends a region.
    RegionDestroy = 0x0011, "region_destroy";
    /// Fills part of a held region.
    RegionWrite = 0x0012, "region_write";
    /// Asks for part of a held region.
    RegionRead = 0x0013, "region_read";
    /// Makes a layer.
    LayerCreate = 0x0020, "layer_create";
    /// Changes a layer.
    LayerConfigure = 0x0021, "layer_configure";
    /// Ends a layer.
    LayerDestroy = 0x0022, "layer_destroy";
    /// Takes over a layer that lingers.
    LayerClaim = 0x0023, "layer_claim";
    /// Draws an image into a layer.
    Draw = 0x0030, "draw";
    /// Fills a rectangle of a layer.
    Fill = 0x0031, "fill";
    /// Several as one.
    Batch = 0x0032, "batch";
    /// Makes an image a layer's content. Not in version 1.
    Present = 0x0033, "present";
    /// The daemon writes into a region.
    Capture = 0x0034, "capture";
    /// Answered when everything earlier is on the glass.
    Sync = 0x0035, "sync";
    /// Lists the outputs.
    Outputs = 0x0040, "outputs";
    /// Lists statistics.
    Statistics = 0x0041, "statistics";
}

impl std::fmt::Display for RequestKind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}
