//! Room 3, scene: the layers, how they are stacked, and what has changed.
//!
//! Plain data. `S` is a handle to a layer's storage: shared ownership of a [`Storage`](crate::memory::storage::Storage)
//! in the daemon, a number in tests; the scene never looks inside. Every change says which pixels of which output
//! it touches, and [`Scene::take_damage`] hands that on.

pub mod area;
pub mod arrangement;
pub mod crop;

use area::Area;
use arrangement::Contribution;
use blitd_protocol::image::{Format, Rectangle};
use blitd_protocol::request::FixedRectangle;
use blitd_protocol::value::{Band, Name, Token};
use foldhash::HashMap;
use std::collections::HashMap as SecretMap;

/// A layer's number, never used twice; the default is nobody's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LayerKey(u64);

/// Stands for no connection: their numbers begin at 1.
pub const NOBODY: u64 = 0;

/// An output's number, as clients see it.
pub type OutputId = u32;

/// What of a layer its owner decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// The output that shows it, or [`FIRST`](arrangement::FIRST).
    pub output: OutputId,
    /// What it fills on the output.
    pub place: Rectangle,
    /// Which part of its picture is shown there.
    pub crop: FixedRectangle,
    /// Its band: all of a band stands above all of the band before it.
    pub band: Band,
    /// Its place in its band; equals stand in the order of their creation.
    pub z: i32,
    /// 255 is opaque.
    pub opacity: u8,
    /// Whether it is shown.
    pub visible: bool,
}

impl Attributes {
    /// Whether anything of the layer can be seen.
    pub const fn is_shown(&self) -> bool {
        self.visible && self.opacity > 0
    }
}

/// The storage that a layer's longer requests are drawn into before it takes the place of the first.
#[derive(Clone, Debug)]
pub struct Spare<S> {
    /// The storage.
    pub storage: S,
    /// Where it differs from the front one. May hold more than that.
    pub stale: Area,
}

/// A layer.
#[derive(Clone, Debug)]
pub struct Layer<S> {
    /// The connection that it belongs to, or [`NOBODY`].
    pub owner: u64,
    /// The user that is charged for it.
    pub uid: u32,
    /// What it is claimed with, where it outlives its connection.
    pub token: Option<Token>,
    /// Its id there, or the last that it had.
    pub id: u32,
    /// Its name, for people.
    pub name: Name,
    /// Width and height of its picture in pixels.
    pub size: (u32, u32),
    /// XRGB8888 or ARGB8888.
    pub format: Format,
    /// What its owner decides.
    pub attributes: Attributes,
    /// What is shown.
    pub front: S,
    /// What is drawn into by longer requests, once one has come.
    pub spare: Option<Spare<S>>,
    /// How many draws and fills it has taken.
    pub draws: u64,
}

impl<S> Layer<S> {
    /// Its picture's rectangle, at the origin.
    pub const fn bounds(&self) -> Rectangle {
        Rectangle::from_size(self.size.0, self.size.1)
    }

    /// Whether nothing below it shows through.
    const fn is_opaque(&self) -> bool {
        !self.format.has_alpha() && self.attributes.opacity == 255
    }
}

/// A layer as a frame sees it.
#[derive(Clone, Debug)]
pub struct Placed<S> {
    /// Which layer it is.
    pub layer: LayerKey,
    /// Its pixels.
    pub storage: S,
    /// What it fills on the output.
    pub place: Rectangle,
    /// Which part of its picture is shown there.
    pub crop: FixedRectangle,
    /// 255 is opaque.
    pub opacity: u8,
    /// Whether nothing below it shows through.
    pub is_opaque: bool,
}

impl<S> Placed<S> {
    /// The pixels of the output that change with those of its picture in `part`, and maybe some more.
    pub fn touched(&self, part: Rectangle) -> Option<Rectangle> {
        crop::touched(self.crop, self.place, part)
    }
}

/// What has changed in a picture because of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The layer.
    pub layer: LayerKey,
    /// The output that shows it, as the layer names it.
    pub output: OutputId,
    /// Which pixels of that output, not clipped to it.
    pub pixels: Rectangle,
    /// Which of the layer's own pixels have changed; `None` where it has only been moved, shown, hidden or the like.
    pub drawn: Option<Rectangle>,
    /// Whether the layer is shown otherwise than before, or has been: what is composed there may cost more than it did.
    pub is_arranged: bool,
}

/// More rectangles than this in an area that may hold more than it must are replaced by the one around them.
pub const MOST_RECTANGLES: usize = 32;

/// All layers.
#[derive(Debug)]
pub struct Scene<S> {
    layers: HashMap<LayerKey, Layer<S>>,
    /// Bottom to top.
    stack: Vec<LayerKey>,
    /// Those that linger. How long a look into it takes tells nothing of the tokens in it: the map of the standard
    /// library goes by a hash with a secret key (SipHash), in which tokens that are nearly the same have nothing in
    /// common.
    lingering: SecretMap<Token, LayerKey>,
    damage: Vec<Damage>,
    next: u64,
}

impl<S> Default for Scene<S> {
    fn default() -> Self {
        let lingering = SecretMap::default();
        Self { layers: HashMap::default(), stack: Vec::new(), lingering, damage: Vec::new(), next: 1 }
    }
}

impl<S: Clone> Scene<S> {
    /// Puts a layer on top of those of its band and height.
    pub fn insert(&mut self, layer: Layer<S>) -> LayerKey {
        let key = LayerKey(self.next);
        self.next += 1;
        self.lingering.extend(layer.token.map(|token| (token, key)));
        self.layers.insert(key, layer);
        self.stack.push(key);
        self.restack();
        self.damage_whole(key);
        key
    }

    /// Takes a layer out.
    pub fn remove(&mut self, key: LayerKey) -> Option<Layer<S>> {
        self.damage_whole(key);
        self.stack.retain(|other| *other != key);
        let layer = self.layers.remove(&key)?;
        layer.token.map(|token| self.lingering.remove(&token));
        Some(layer)
    }

    /// The layer that lingers and has this token.
    pub fn lingering(&self, token: &Token) -> Option<(LayerKey, &Layer<S>)> {
        let key = *self.lingering.get(token)?;
        Some((key, self.layers.get(&key)?))
    }

    /// Its owner has gone: a layer that lingers belongs to nobody and is returned, another is taken out.
    pub fn abandon(&mut self, key: LayerKey) -> Option<&Layer<S>> {
        if self.layers.get(&key)?.token.is_none() {
            self.remove(key);
            return None;
        }
        let layer = self.layers.get_mut(&key)?;
        layer.owner = NOBODY;
        Some(layer)
    }

    /// Makes a layer that of a connection of a user's, under this id.
    pub fn claim(&mut self, key: LayerKey, owner: u64, uid: u32, id: u32) {
        if let Some(layer) = self.layers.get_mut(&key) {
            (layer.owner, layer.uid, layer.id) = (owner, uid, id);
        }
    }

    /// The layer with this key.
    pub fn get(&self, key: LayerKey) -> Option<&Layer<S>> {
        self.layers.get(&key)
    }

    /// All layers, bottom to top.
    pub fn iter(&self) -> impl Iterator<Item = &Layer<S>> {
        self.stack.iter().filter_map(|key| self.layers.get(key))
    }

    /// How many layers there are.
    pub fn len(&self) -> usize {
        self.layers.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// Changes what owners decide. The sizes of pictures stay: storage has them.
    pub fn configure(&mut self, changes: impl IntoIterator<Item = (LayerKey, Attributes)>) {
        let mut is_restacked = false;
        for (key, attributes) in changes {
            let Some(before) = self.layers.get(&key).map(|layer| layer.attributes) else { continue };
            if before == attributes {
                continue;
            }
            self.damage_whole(key);
            let Some(layer) = self.layers.get_mut(&key) else { continue };
            // What is drawn while it is not shown is not told, nor what is drawn where it is cropped off.
            let drawn = (!shows(layer) || before.crop != attributes.crop).then(|| layer.bounds());
            layer.attributes = attributes;
            self.damage_place(key, drawn);
            is_restacked |= (before.band, before.z) != (attributes.band, attributes.z);
        }
        if is_restacked {
            self.restack();
        }
    }

    /// Gives a layer that has none its spare storage, all of it stale.
    pub fn add_spare(&mut self, key: LayerKey, storage: S) {
        if let Some(layer) = self.layers.get_mut(&key) {
            let stale = layer.bounds().into();
            layer.spare.get_or_insert(Spare { storage, stale });
        }
    }

    /// Takes note that `drawn` is about to be overwritten in the spare storage. Should that end in the middle, what it
    /// has left there must not come up with a later swap.
    pub fn spoil_spare(&mut self, key: LayerKey, drawn: &Area) {
        if let Some(spare) = self.layers.get_mut(&key).and_then(|layer| layer.spare.as_mut()) {
            for rectangle in drawn.rectangles() {
                spare.stale.add(*rectangle);
                spare.stale.limit(MOST_RECTANGLES);
            }
        }
    }

    /// Takes note that `drawn` (in the layer) has been changed in the front storage.
    pub fn drawn_in_place(&mut self, key: LayerKey, drawn: Rectangle) {
        if let Some(layer) = self.layers.get_mut(&key) {
            if let Some(spare) = &mut layer.spare {
                spare.stale.add(drawn);
                spare.stale.limit(MOST_RECTANGLES);
            }
            layer.draws += 1;
        }
        self.damage_part(key, drawn);
    }

    /// Swaps the storages of a layer: the spare one is up to date and has `drawn` besides.
    pub fn swap(&mut self, key: LayerKey, drawn: Area, draws: u64) {
        let Some(layer) = self.layers.get_mut(&key) else { return };
        let Some(spare) = &mut layer.spare else { return };
        std::mem::swap(&mut layer.front, &mut spare.storage);
        spare.stale = drawn.clone();
        spare.stale.limit(MOST_RECTANGLES);
        layer.draws += draws;
        for rectangle in drawn.rectangles() {
            self.damage_part(key, *rectangle);
        }
    }

    /// Whether [`take_damage`](Self::take_damage) has anything to hand on.
    pub const fn is_damaged(&self) -> bool {
        !self.damage.is_empty()
    }

    /// What has changed since the last call.
    pub fn take_damage(&mut self) -> std::vec::Drain<'_, Damage> {
        self.damage.drain(..)
    }

    /// The visible layers of a picture that is made of these, bottom to top.
    pub fn snapshot(&self, contributions: &[Contribution]) -> Vec<Placed<S>> {
        let layers = self.stack.iter().filter_map(|key| Some((*key, self.layers.get(key)?)));
        let shown = layers.filter(|(_, layer)| shows(layer));
        shown.filter_map(|(key, layer)| placed(key, layer, contributions)).collect()
    }

    /// Whether a connection has a visible layer in a picture that is made of these.
    pub fn is_visible(&self, owner: u64, contributions: &[Contribution]) -> bool {
        let among = |output| contributions.iter().any(|contribution| contribution.output == output);
        let layers = self.layers.values();
        layers
            .filter(|layer| layer.owner == owner && shows(layer))
            .any(|layer| among(layer.attributes.output))
    }

    fn restack(&mut self) {
        let layers = &self.layers;
        self.stack.sort_by_cached_key(|key| {
            let height = |layer: &Layer<S>| (layer.attributes.band.number(), layer.attributes.z);
            (layers.get(key).map(height), *key)
        });
    }

    fn damage_whole(&mut self, key: LayerKey) {
        self.damage_place(key, None);
    }

    /// All that a layer fills has changed; `drawn` of it, where its own pixels have.
    fn damage_place(&mut self, key: LayerKey, drawn: Option<Rectangle>) {
        if let Some(layer) = self.layers.get(&key).filter(|layer| shows(layer)) {
            let Attributes { output, place, .. } = layer.attributes;
            self.damage.push(Damage { layer: key, output, pixels: place, drawn, is_arranged: true });
        }
    }

    fn damage_part(&mut self, key: LayerKey, part: Rectangle) {
        if let Some(layer) = self.layers.get(&key).filter(|layer| shows(layer)) {
            let Attributes { output, place, crop, .. } = layer.attributes;
            let touched = crop::touched(crop, place, part);
            let drawn = Some(part);
            let damage = |pixels| Damage { layer: key, output, pixels, drawn, is_arranged: false };
            self.damage.extend(touched.map(damage));
        }
    }
}

fn shows<S>(layer: &Layer<S>) -> bool {
    layer.attributes.is_shown()
}

fn placed<S: Clone>(key: LayerKey, layer: &Layer<S>, contributions: &[Contribution]) -> Option<Placed<S>> {
    let Attributes { output, place, crop, opacity, .. } = layer.attributes;
    let (x, y) = contributions.iter().find(|contribution| contribution.output == output)?.offset;
    let place = place.translated(x, y)?;
    let is_opaque = layer.is_opaque();
    Some(Placed { layer: key, storage: layer.front.clone(), place, crop, opacity, is_opaque })
}

#[cfg(test)]
mod tests;
