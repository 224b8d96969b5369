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
mod tests {
    use super::*;

    /// Output 1 alone.
    const OWN: &[Contribution] = &[Contribution { output: 1, offset: (0, 0) }];

    fn layer(storage: u32, x: i32, z: i32) -> Layer<u32> {
        Layer {
            owner: 1,
            uid: 1000,
            token: None,
            id: storage,
            name: Name::new("test"),
            size: (10, 10),
            format: Format::Xrgb8888,
            attributes: Attributes {
                output: 1,
                place: Rectangle::new(x, 0, 10, 10).unwrap(),
                crop: crop::whole(10, 10),
                band: Band::Normal,
                z,
                opacity: 255,
                visible: true,
            },
            front: storage,
            spare: None,
            draws: 0,
        }
    }

    fn damage(scene: &mut Scene<u32>) -> Vec<Rectangle> {
        scene.take_damage().map(|damage| damage.pixels).collect()
    }

    fn rectangle(x: i32, y: i32, width: u32, height: u32) -> Rectangle {
        Rectangle::new(x, y, width, height).unwrap()
    }

    #[test]
    fn layers_stand_by_z_and_then_by_age() {
        let mut scene = Scene::default();
        let first = scene.insert(layer(1, 0, 5));
        scene.insert(layer(2, 0, 0));
        scene.insert(layer(3, 0, 5));
        let order =
            |scene: &Scene<u32>| scene.snapshot(OWN).iter().map(|placed| placed.storage).collect::<Vec<_>>();
        assert_eq!(order(&scene), [2, 1, 3]);
        let attributes = Attributes { z: 6, ..scene.get(first).unwrap().attributes };
        scene.configure([(first, attributes)]);
        assert_eq!(order(&scene), [2, 3, 1]);
    }

    #[test]
    fn a_band_stands_above_all_of_the_one_before_it() {
        let mut scene = Scene::default();
        let banded = |storage, band, z| {
            let layer = layer(storage, 0, z);
            Layer { attributes: Attributes { band, ..layer.attributes }, ..layer }
        };
        scene.insert(banded(1, Band::Alarm, i32::MIN));
        scene.insert(banded(2, Band::Normal, i32::MAX));
        let last = scene.insert(banded(3, Band::Background, i32::MAX));
        scene.insert(banded(4, Band::Overlay, -5));
        scene.insert(banded(5, Band::Normal, -5));
        let order =
            |scene: &Scene<u32>| scene.snapshot(OWN).iter().map(|placed| placed.storage).collect::<Vec<_>>();
        assert_eq!(order(&scene), [3, 5, 2, 4, 1]);
        damage(&mut scene);
        let attributes = Attributes { band: Band::Alarm, ..scene.get(last).unwrap().attributes };
        scene.configure([(last, attributes)]);
        assert_eq!(order(&scene), [5, 2, 4, 1, 3]);
        assert!(!damage(&mut scene).is_empty());
    }

    #[test]
    fn layers_of_a_neighbour_are_moved() {
        let mut scene = Scene::default();
        scene.insert(layer(1, 5, 0));
        let moved = [Contribution { output: 1, offset: (-100, 20) }];
        assert_eq!(scene.snapshot(&moved)[0].place, rectangle(-95, 20, 10, 10));
        assert!(scene.is_visible(1, &moved) && !scene.is_visible(2, &moved));
        let other = [Contribution { output: 2, offset: (0, 0) }];
        assert!(scene.snapshot(&other).is_empty() && !scene.is_visible(1, &other));
    }

    #[test]
    fn a_move_damages_both_places() {
        let mut scene = Scene::default();
        let key = scene.insert(layer(1, 0, 0));
        assert_eq!(damage(&mut scene), [rectangle(0, 0, 10, 10)]);
        let attributes = scene.get(key).unwrap().attributes;
        scene.configure([(key, Attributes { place: rectangle(30, 5, 10, 10), ..attributes })]);
        assert_eq!(damage(&mut scene), [rectangle(0, 0, 10, 10), rectangle(30, 5, 10, 10)]);
        scene.configure([(key, scene.get(key).unwrap().attributes)]);
        assert!(damage(&mut scene).is_empty(), "what changes nothing damages nothing");
    }

    #[test]
    fn what_is_drawn_damages_where_it_is_shown() {
        let mut scene = Scene::default();
        let key = scene.insert(layer(1, 100, 0));
        let attributes = scene.get(key).unwrap().attributes;
        let place = rectangle(100, 0, 1000, 5);
        scene.configure([(key, Attributes { place, ..attributes })]);
        assert_eq!(damage(&mut scene)[1..], [rectangle(100, 0, 10, 10), place]);
        scene.drawn_in_place(key, rectangle(5, 0, 1, 10));
        let [drawn] = damage(&mut scene)[..] else { panic!("one rectangle") };
        assert!(drawn.contains(rectangle(550, 0, 200, 5)) && drawn.width() < 320, "{drawn:?}");
        let crop = FixedRectangle::from_pixels(0, 0, 5, 5);
        scene.configure([(key, Attributes { place, crop, ..attributes })]);
        assert_eq!(damage(&mut scene), [place, place]);
        scene.drawn_in_place(key, rectangle(8, 8, 2, 2));
        assert!(damage(&mut scene).is_empty(), "that is cropped off");
        assert_eq!(scene.snapshot(OWN)[0].crop, crop);
        scene.configure([(key, Attributes { place, ..attributes })]);
        let drawn: Vec<_> = scene.take_damage().filter_map(|damage| damage.drawn).collect();
        assert_eq!(drawn, [rectangle(0, 0, 10, 10)], "and comes to light");
        scene.configure([(key, Attributes { place, crop, ..attributes })]);
        assert_eq!(scene.get(key).unwrap().bounds(), rectangle(0, 0, 10, 10), "the picture stays as it is");
    }

    #[test]
    fn a_layer_that_lingers_waits_for_its_token() {
        let mut scene = Scene::default();
        let token = Token::from_bytes([7; 16]).unwrap();
        let stays = scene.insert(Layer { token: Some(token), ..layer(1, 0, 0) });
        let ends = scene.insert(layer(2, 20, 0));
        damage(&mut scene);
        assert!(scene.abandon(ends).is_none() && scene.get(ends).is_none());
        assert_eq!(damage(&mut scene), [rectangle(20, 0, 10, 10)]);
        assert_eq!(scene.abandon(stays).unwrap().owner, NOBODY);
        assert!(damage(&mut scene).is_empty(), "it is shown as it was");
        assert_eq!(scene.snapshot(OWN).len(), 1);
        assert!(!scene.is_visible(1, OWN), "that connection has it no more");
        assert!(scene.lingering(&Token::from_bytes([8; 16]).unwrap()).is_none());
        let (key, _) = scene.lingering(&token).unwrap();
        scene.claim(key, 5, 1001, 9);
        let layer = scene.get(stays).unwrap();
        assert_eq!((layer.owner, layer.uid, layer.id), (5, 1001, 9));
        scene.remove(stays);
        assert!(scene.lingering(&token).is_none());
    }

    #[test]
    fn damage_tells_what_is_drawn_from_what_is_moved() {
        let mut scene = Scene::default();
        let key = scene.insert(layer(1, 20, 0));
        let drawn =
            |scene: &mut Scene<u32>| scene.take_damage().map(|damage| damage.drawn).collect::<Vec<_>>();
        assert_eq!(drawn(&mut scene), [None]);
        scene.drawn_in_place(key, rectangle(1, 2, 3, 4));
        let [damage] = scene.take_damage().collect::<Vec<_>>()[..] else { panic!("one change") };
        assert_eq!(damage.drawn, Some(rectangle(1, 2, 3, 4)));
        assert_eq!((damage.layer, damage.pixels), (key, rectangle(21, 2, 3, 4)));
        let attributes = scene.get(key).unwrap().attributes;
        scene.configure([(key, Attributes { opacity: 9, ..attributes })]);
        assert_eq!(drawn(&mut scene), [None, None]);
        scene.configure([(key, Attributes { visible: false, ..attributes })]);
        scene.drawn_in_place(key, rectangle(1, 2, 3, 4));
        scene.configure([(key, attributes)]);
        assert_eq!(drawn(&mut scene), [None, Some(rectangle(0, 0, 10, 10))], "hidden, and shown again");
    }

    #[test]
    fn hidden_layers_damage_nothing() {
        let mut scene = Scene::default();
        let key = scene.insert(layer(1, 0, 0));
        let attributes = scene.get(key).unwrap().attributes;
        scene.configure([(key, Attributes { visible: false, ..attributes })]);
        damage(&mut scene);
        scene.drawn_in_place(key, rectangle(0, 0, 5, 5));
        assert!(damage(&mut scene).is_empty());
        assert!(scene.snapshot(OWN).is_empty() && !scene.is_visible(1, OWN));
        scene.remove(key);
        assert!(damage(&mut scene).is_empty());
    }

    #[test]
    fn the_spare_storage_knows_what_it_lacks() {
        let mut scene = Scene::default();
        let key = scene.insert(layer(1, 0, 0));
        scene.add_spare(key, 2);
        assert_eq!(scene.get(key).unwrap().spare.as_ref().unwrap().stale.pixels(), 100);
        scene.swap(key, rectangle(0, 0, 10, 5).into(), 1);
        let layer = scene.get(key).unwrap();
        let spare = layer.spare.as_ref().unwrap();
        assert_eq!((layer.front, spare.storage, spare.stale.pixels()), (2, 1, 50));
        scene.drawn_in_place(key, rectangle(0, 4, 10, 2));
        assert_eq!(scene.get(key).unwrap().spare.as_ref().unwrap().stale.pixels(), 60);
        assert_eq!(scene.get(key).unwrap().draws, 2);
        scene.spoil_spare(key, &rectangle(0, 6, 10, 3).into());
        let spoiled = scene.get(key).unwrap();
        assert_eq!((spoiled.front, spoiled.spare.as_ref().unwrap().stale.pixels()), (2, 90));
    }
}
