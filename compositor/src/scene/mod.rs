//! Room 3, scene: the layers, how they are stacked, and what has changed.
//!
//! Plain data. `S` is a handle to a layer's storage: shared ownership of a [`Storage`](crate::memory::storage::Storage)
//! in the daemon, a number in tests; the scene never looks inside. Every change says which pixels of which output
//! it touches, and [`Scene::take_damage`] hands that on.

pub mod area;
pub mod arrangement;

use area::Area;
use arrangement::Contribution;
use blitd_protocol::image::{Format, Rectangle};
use blitd_protocol::value::Name;
use foldhash::HashMap;

/// A layer's number, never used twice; the default is nobody's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LayerKey(u64);

/// An output's number, as clients see it.
pub type OutputId = u32;

/// What of a layer its owner decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// The output that shows it, or [`FIRST`](arrangement::FIRST).
    pub output: OutputId,
    /// Its rectangle on the output.
    pub place: Rectangle,
    /// Its place in the stack; equals stand in the order of their creation.
    pub z: i32,
    /// 255 is opaque.
    pub opacity: u8,
    /// Whether it is shown.
    pub visible: bool,
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
    /// The connection that it belongs to.
    pub owner: u64,
    /// Its id there.
    pub id: u32,
    /// Its name, for people.
    pub name: Name,
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
    /// The layer's own rectangle, at the origin.
    pub const fn bounds(&self) -> Rectangle {
        Rectangle::from_size(self.attributes.place.width(), self.attributes.place.height())
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
    /// Its rectangle on the output.
    pub place: Rectangle,
    /// 255 is opaque.
    pub opacity: u8,
    /// Whether nothing below it shows through.
    pub is_opaque: bool,
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
}

/// More rectangles than this in an area that may hold more than it must are replaced by the one around them.
pub const MOST_RECTANGLES: usize = 32;

/// All layers.
#[derive(Debug)]
pub struct Scene<S> {
    layers: HashMap<LayerKey, Layer<S>>,
    /// Bottom to top.
    stack: Vec<LayerKey>,
    damage: Vec<Damage>,
    next: u64,
}

impl<S> Default for Scene<S> {
    fn default() -> Self {
        Self { layers: HashMap::default(), stack: Vec::new(), damage: Vec::new(), next: 1 }
    }
}

impl<S: Clone> Scene<S> {
    /// Puts a layer on top of those of its height.
    pub fn insert(&mut self, layer: Layer<S>) -> LayerKey {
        let key = LayerKey(self.next);
        self.next += 1;
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
        self.layers.remove(&key)
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

    /// Changes what owners decide. Sizes stay: storage has them.
    pub fn configure(&mut self, changes: impl IntoIterator<Item = (LayerKey, Attributes)>) {
        let mut is_restacked = false;
        for (key, attributes) in changes {
            let Some(before) = self.layers.get(&key).map(|layer| layer.attributes) else { continue };
            if before == attributes {
                continue;
            }
            self.damage_whole(key);
            let Some(layer) = self.layers.get_mut(&key) else { continue };
            // What is drawn while it is not shown is not told.
            let may_be_drawn = !shows(layer);
            layer.attributes = attributes;
            let bounds = layer.bounds();
            self.damage_part(key, bounds, may_be_drawn.then_some(bounds));
            is_restacked |= before.z != attributes.z;
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
        self.damage_part(key, drawn, Some(drawn));
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
            self.damage_part(key, *rectangle, Some(*rectangle));
        }
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
        self.stack.sort_by_cached_key(|key| (layers.get(key).map(|layer| layer.attributes.z), *key));
    }

    fn damage_whole(&mut self, key: LayerKey) {
        if let Some(bounds) = self.layers.get(&key).map(Layer::bounds) {
            self.damage_part(key, bounds, None);
        }
    }

    fn damage_part(&mut self, key: LayerKey, part: Rectangle, drawn: Option<Rectangle>) {
        let Some(layer) = self.layers.get(&key) else { return };
        let Attributes { output, place, .. } = layer.attributes;
        if !shows(layer) {
            return;
        }
        let moved = part.translated(place.left(), place.top());
        self.damage.extend(moved.map(|pixels| Damage { layer: key, output, pixels, drawn }));
    }
}

fn shows<S>(layer: &Layer<S>) -> bool {
    layer.attributes.visible && layer.attributes.opacity > 0
}

fn placed<S: Clone>(key: LayerKey, layer: &Layer<S>, contributions: &[Contribution]) -> Option<Placed<S>> {
    let Attributes { output, place, opacity, .. } = layer.attributes;
    let (x, y) = contributions.iter().find(|contribution| contribution.output == output)?.offset;
    let place = place.translated(x, y)?;
    let is_opaque = layer.is_opaque();
    Some(Placed { layer: key, storage: layer.front.clone(), place, opacity, is_opaque })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Output 1 alone.
    const OWN: &[Contribution] = &[Contribution { output: 1, offset: (0, 0) }];

    fn layer(storage: u32, x: i32, z: i32) -> Layer<u32> {
        Layer {
            owner: 1,
            id: storage,
            name: Name::new("test"),
            format: Format::Xrgb8888,
            attributes: Attributes {
                output: 1,
                place: Rectangle::new(x, 0, 10, 10).unwrap(),
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
