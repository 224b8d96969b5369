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
    let drawn = |scene: &mut Scene<u32>| scene.take_damage().map(|damage| damage.drawn).collect::<Vec<_>>();
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
