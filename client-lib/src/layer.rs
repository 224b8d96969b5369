//! Layers: what they are created with and what can be changed.

use std::sync::{Arc, Mutex, PoisonError};

use blitd_protocol::image::Format;
use blitd_protocol::request::{FixedRectangle, LayerConfigure, LayerCreate};
use blitd_protocol::value::{Band, Name, Token};

/// A picture that the daemon keeps for this connection. It ends with its connection, unless it
/// [lingers](LayerOptions::linger).
///
/// Dropping this value leaves the layer as it is;
/// [`destroy_layer`](crate::Connection::destroy_layer) ends it sooner.
#[derive(Debug)]
pub struct Layer {
    id: u32,
    width: u32,
    height: u32,
    token: Option<SharedToken>,
}

/// A layer's token, which is another when a daemon that comes back has given it another.
#[derive(Clone, Debug)]
pub(crate) struct SharedToken(Arc<Mutex<Token>>);

impl SharedToken {
    pub(crate) fn new(token: Token) -> Self {
        Self(Arc::new(Mutex::new(token)))
    }

    pub(crate) fn get(&self) -> Token {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, token: Token) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = token;
    }
}

impl Layer {
    pub(crate) fn new(id: u32, options: &LayerOptions) -> Self {
        Self { id, width: options.width, height: options.height, token: None }
    }

    /// A layer that lingers.
    pub(crate) fn lingering(id: u32, width: u32, height: u32, token: SharedToken) -> Self {
        Self { id, width, height, token: Some(token) }
    }

    /// What it can be [claimed](crate::Connection::claim_layer) with when this connection has ended, where it
    /// [lingers](LayerOptions::linger). Whoever has the token can have the layer then, so it is kept as a secret is:
    /// in a file of the user's own, say. Ask again after a daemon has come back
    /// ([`Reply::OutputsChanged`](crate::Reply::OutputsChanged) tells): the token may be another.
    pub fn token(&self) -> Option<Token> {
        self.token.as_ref().map(SharedToken::get)
    }

    /// Its id on its connection.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Its picture's width in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Its picture's height in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }
}

/// What a layer is created with.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct LayerOptions {
    width: u32,
    height: u32,
    place: (i32, i32),
    z: i32,
    format: Format,
    opacity: u8,
    visible: bool,
    output: u32,
    band: Band,
    name: Name,
    is_repainted: bool,
    lingers: bool,
}

impl LayerOptions {
    /// A visible, opaque layer of this size in pixels, in the top left corner of the first output, z 0 in the
    /// normal band.
    pub fn new(width: u32, height: u32) -> Self {
        Self {
            width,
            height,
            place: (0, 0),
            z: 0,
            format: Format::Xrgb8888,
            opacity: u8::MAX,
            visible: true,
            output: 0,
            band: Band::Normal,
            name: Name::default(),
            is_repainted: false,
            lingers: false,
        }
    }

    /// Puts its left column and top row at this pixel of the output.
    pub fn at(self, x: i32, y: i32) -> Self {
        Self { place: (x, y), ..self }
    }

    /// Its place among the layers of its band; higher is in front.
    pub fn z(self, z: i32) -> Self {
        Self { z, ..self }
    }

    /// Its pixels are XRGB8888: what is behind never shows through, unless by its opacity. The default.
    pub fn opaque(self) -> Self {
        Self { format: Format::Xrgb8888, ..self }
    }

    /// Its pixels are premultiplied ARGB8888: what is behind shows through. Transparent at first.
    pub fn translucent(self) -> Self {
        Self { format: Format::Argb8888, ..self }
    }

    /// How opaque it is as a whole, 255 fully.
    pub fn opacity(self, opacity: u8) -> Self {
        Self { opacity, ..self }
    }

    /// Not shown until a change makes it visible.
    pub fn hidden(self) -> Self {
        Self { visible: false, ..self }
    }

    /// The output that shows it, by its id; 0 is the first.
    pub fn output(self, output: u32) -> Self {
        Self { output, ..self }
    }

    /// The band it stands in; the daemon's configuration says which a user may use.
    pub fn band(self, band: Band) -> Self {
        Self { band, ..self }
    }

    /// It outlives its connection, and shows what it showed, until somebody who has its [token](Layer::token) claims it.
    /// It counts for the user's limits all the while, and ends when it is destroyed and when the daemon stops.
    pub fn linger(self) -> Self {
        Self { lingers: true, ..self }
    }

    /// A name for people, cut at 32 bytes.
    pub fn named(self, name: &str) -> Self {
        Self { name: Name::new(name), ..self }
    }

    /// The program paints the layer anew all the time, as a video does. When a daemon comes back, the layer comes back
    /// with it, and its picture with the program's next draw.
    ///
    /// Without this, the library restores the picture, and keeps what it needs for that. That is no copy where a picture
    /// stays as it is, or where a program draws from two regions in turn: then what is in the region is the picture. A
    /// program that paints again in the one region that it has drawn from pays for one copy of what it has drawn, each
    /// time: [`Region::bytes_mut`](crate::Region::bytes_mut) makes it.
    pub fn repainted(self) -> Self {
        Self { is_repainted: true, ..self }
    }

    pub(crate) const fn is_repainted(&self) -> bool {
        self.is_repainted
    }

    pub(crate) fn request(&self, layer: u32) -> LayerCreate {
        LayerCreate {
            layer,
            output: self.output,
            x: self.place.0,
            y: self.place.1,
            width: self.width,
            height: self.height,
            z: self.z,
            fourcc: self.format.fourcc(),
            band: self.band,
            opacity: self.opacity,
            visible: self.visible,
            linger: self.lingers,
            name: self.name,
        }
    }
}

/// What to change of a layer; the rest stays as it is.
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct LayerChange(LayerConfigure);

impl LayerChange {
    /// Moves its left column and top row to this pixel of the output.
    pub fn place(self, x: i32, y: i32) -> Self {
        Self(LayerConfigure { place: Some((x, y)), ..self.0 })
    }

    /// Its place among the layers of its band; higher is in front.
    pub fn z(self, z: i32) -> Self {
        Self(LayerConfigure { z: Some(z), ..self.0 })
    }

    /// How opaque it is as a whole, 255 fully.
    pub fn opacity(self, opacity: u8) -> Self {
        Self(LayerConfigure { opacity: Some(opacity), ..self.0 })
    }

    /// Shows or hides it.
    pub fn visible(self, visible: bool) -> Self {
        Self(LayerConfigure { visible: Some(visible), ..self.0 })
    }

    /// The output that shows it, by its id; 0 is the first.
    pub fn output(self, output: u32) -> Self {
        Self(LayerConfigure { output: Some(output), ..self.0 })
    }

    /// Fills so many pixels of the output, at its place; a new layer fills as many as its picture has.
    pub fn size(self, width: u32, height: u32) -> Self {
        Self(LayerConfigure { size: Some((width, height)), ..self.0 })
    }

    /// Shows this part of its picture, in 16.16; a new layer shows all of it. Where it is not as large as
    /// [`size`](Self::size), it is scaled.
    pub fn crop(self, crop: FixedRectangle) -> Self {
        Self(LayerConfigure { crop: Some(crop), ..self.0 })
    }

    /// The band it stands in; the daemon's configuration says which a user may use.
    pub fn band(self, band: Band) -> Self {
        Self(LayerConfigure { band: Some(band), ..self.0 })
    }

    pub(crate) fn request(&self, layer: &Layer) -> LayerConfigure {
        LayerConfigure { layer: layer.id, ..self.0 }
    }
}
