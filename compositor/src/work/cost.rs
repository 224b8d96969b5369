//! What composing a layer costs, in the bytes of blits that slices and limits count in. Pure.

use blitd_pixels::blit::ROW_COST;
use blitd_protocol::image::Rectangle;
use blitd_protocol::request::FixedRectangle;

use super::scaled::scaling;
use crate::scene::Attributes;
use crate::scene::crop::unscaled;

/// What copying or blending some pixels costs, and finding their rows.
pub(super) fn of_pixels(pixels: Rectangle) -> u64 {
    pixels.pixels() * 4 + u64::from(pixels.height()) * ROW_COST
}

/// What composing `part` of a layer costs, of which `crop` fills `place`.
pub(super) fn of_part(crop: FixedRectangle, place: Rectangle, part: Rectangle) -> u64 {
    if unscaled(crop, place).is_some() {
        return of_pixels(part);
    }
    scaling(crop, place).map_or_else(|| of_pixels(part), |scaling| scaling.cost_of(part))
}

/// What composing all of a layer costs wherever it is, as if nothing covered it; nothing where it is hidden.
pub fn of_layer(attributes: &Attributes) -> u64 {
    let Attributes { crop, place, .. } = *attributes;
    if attributes.is_shown() { of_part(crop, place, place) } else { 0 }
}

#[cfg(test)]
mod tests {
    use blitd_protocol::value::Band;

    use super::*;
    use crate::policy::Limits;
    use crate::scene::crop::whole;

    const SCREEN: (u32, u32) = (1920, 1080);

    /// A visible layer with a picture of this size, shown at that one.
    fn shown(picture: (u32, u32), size: (u32, u32)) -> Attributes {
        Attributes {
            output: 0,
            place: Rectangle::from_size(size.0, size.1),
            crop: whole(picture.0, picture.1),
            band: Band::Normal,
            z: 0,
            opacity: 255,
            visible: true,
        }
    }

    #[test]
    fn a_layer_costs_as_much_wherever_it_is_and_nothing_where_it_is_hidden() {
        let layer = shown(SCREEN, SCREEN);
        let far = layer.place.translated(-5000, 1 << 30).unwrap();
        for other in [Attributes { place: far, ..layer }, Attributes { opacity: 1, output: 7, ..layer }] {
            assert_eq!(of_layer(&other), of_layer(&layer));
        }
        for hidden in [Attributes { visible: false, ..layer }, Attributes { opacity: 0, ..layer }] {
            assert_eq!(of_layer(&hidden), 0);
        }
    }

    #[test]
    fn parts_cost_no_less_than_the_whole() {
        for size in [SCREEN, (2880, 1620), (1000, 700), (400, 100), (20, 20)] {
            let Attributes { crop, place, .. } = shown(SCREEN, size);
            let (above, below) = place.split_rows(7);
            let parts = of_part(crop, place, above) + of_part(crop, place, below);
            assert_eq!(parts, of_layer(&shown(SCREEN, size)), "{size:?}");
        }
    }

    /// As docs/configuration.md says.
    #[test]
    fn the_default_limit_has_room_for_what_is_usual() {
        let rooms = |picture, size| Limits::default().composing / of_layer(&shown(picture, size));
        assert_eq!(rooms(SCREEN, SCREEN), 63);
        assert_eq!(rooms((480, 270), SCREEN), 12);
        assert_eq!(rooms((2880, 1620), SCREEN), 12);
        assert_eq!(rooms((4000, 3000), SCREEN), 1);
        assert_eq!(rooms((4032, 3024), SCREEN), 1);
        assert!(of_layer(&shown((32767, 32767), (32767, 32767))) > Limits::default().composing);
        // 12 bytes a pixel, where too many would be averaged.
        assert_eq!(of_layer(&shown((2000, 2000), (10, 10))), 10 * 10 * 12 + 10 * 512);
    }
}
