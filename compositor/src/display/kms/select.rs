//! Which connectors are driven, by which CRTC and primary plane, in which mode. Pure, on plain structs.
//!
//! Numbers of objects are the kernel's; possible CRTCs are the kernel's bit masks over the order of the card's CRTCs
//! (`drm_mode_get_encoder`, `drm_mode_get_plane`).

use crate::policy::outputs::ModeWish;

/// A mode of a connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Frames in 1000 seconds.
    pub refresh: u32,
    /// Whether the screen prefers it.
    pub is_preferred: bool,
}

impl std::fmt::Display for Mode {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}x{}@{}", self.width, self.height, f64::from(self.refresh) / 1000.0)
    }
}

/// A connector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connector {
    /// Its number.
    pub id: u32,
    /// Its name, such as HDMI-A-1.
    pub name: String,
    /// Whether a screen is plugged in.
    pub is_connected: bool,
    /// The CRTCs that can drive it.
    pub possible_crtcs: u32,
    /// Its modes, in the kernel's order.
    pub modes: Vec<Mode>,
}

/// A primary plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrimaryPlane {
    /// Its number.
    pub id: u32,
    /// The CRTCs that it can be put on.
    pub possible_crtcs: u32,
}

/// What a card has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Card {
    /// Its connectors.
    pub connectors: Vec<Connector>,
    /// Its CRTCs, in the kernel's order.
    pub crtcs: Vec<u32>,
    /// Its primary planes; none where the card is not atomic.
    pub planes: Vec<PrimaryPlane>,
}

/// A refresh rate counts as the one asked for where it is off by less than this, in frames in 1000 seconds: 59.94 is
/// meant by 60 where there is nothing nearer.
const NEAR: u32 = 1000;

impl Connector {
    /// The mode to use, as an index: the one asked for, where it has that; else the preferred; else the largest, and of
    /// these the fastest. `None` where it has none.
    pub fn choose_mode(&self, wish: Option<ModeWish>) -> Option<usize> {
        let asked = wish.and_then(|wish| self.find(wish));
        let preferred = || self.modes.iter().position(|mode| mode.is_preferred);
        let largest = || {
            let size = |mode: &Mode| (u64::from(mode.width) * u64::from(mode.height), mode.refresh);
            // Of equals the first, as the kernel sorts them.
            (0..self.modes.len()).rev().max_by_key(|index| size(&self.modes[*index]))
        };
        asked.or_else(preferred).or_else(largest)
    }

    /// The mode that is asked for, as an index, where it has that.
    pub fn find(&self, wish: ModeWish) -> Option<usize> {
        let fitting = self.modes.iter().enumerate().filter(|(_, mode)| {
            (mode.width, mode.height) == (wish.width, wish.height)
                && wish.refresh.is_none_or(|refresh| mode.refresh.abs_diff(refresh) < NEAR)
        });
        fitting
            .min_by_key(|(_, mode)| match wish.refresh {
                Some(refresh) => mode.refresh.abs_diff(refresh),
                None => u32::MAX - mode.refresh,
            })
            .map(|(index, _)| index)
    }
}

/// What drives one connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The connector's number.
    pub connector: u32,
    /// The CRTC's number.
    pub crtc: u32,
    /// The primary plane's number; `None` where the card is not atomic.
    pub plane: Option<u32>,
    /// Which of the connector's modes.
    pub mode: usize,
}

/// Routes as many connected connectors as can be; `wish` tells a connector's mode by its name. Those that `kept` routes
/// already stay as they are.
pub fn route(card: &Card, kept: &[Route], wish: impl Fn(&str) -> Option<ModeWish>) -> Vec<Route> {
    let mut routes: Vec<Route> = Vec::new();
    let wanted: Vec<(&Connector, usize)> = card
        .connectors
        .iter()
        .filter(|connector| connector.is_connected)
        .filter_map(|connector| Some((connector, connector.choose_mode(wish(&connector.name))?)))
        .collect();
    for (connector, mode) in &wanted {
        let same = |route: &&Route| route.connector == connector.id;
        routes.extend(kept.iter().find(same).map(|route| Route { mode: *mode, ..*route }));
    }
    let rest: Vec<_> = wanted
        .into_iter()
        .filter(|(connector, _)| routes.iter().all(|route| route.connector != connector.id))
        .collect();
    best(card, &rest, &mut routes)
}

/// The longest list of routes that begins with `routes`. Every way is tried, until one is found that no other can be longer
/// than: mostly the first.
fn best(card: &Card, rest: &[(&Connector, usize)], routes: &mut Vec<Route>) -> Vec<Route> {
    let mut found = routes.clone();
    let Some(((connector, mode), others)) = rest.split_first() else { return found };
    let longest = longest(card, rest, routes);
    for (index, crtc) in card.crtcs.iter().enumerate().take(32) {
        let bit = 1 << index;
        if connector.possible_crtcs & bit == 0 || routes.iter().any(|route| route.crtc == *crtc) {
            continue;
        }
        let free = |plane: &&PrimaryPlane| {
            plane.possible_crtcs & bit != 0 && routes.iter().all(|route| route.plane != Some(plane.id))
        };
        let plane = card.planes.iter().find(free).map(|plane| plane.id);
        if plane.is_none() && !card.planes.is_empty() {
            continue;
        }
        routes.push(Route { connector: connector.id, crtc: *crtc, plane, mode: *mode });
        let longer = best(card, others, routes);
        routes.pop();
        if longer.len() > found.len() {
            found = longer;
        }
        if found.len() == longest {
            return found;
        }
    }
    // Leaving a connector out is only ever better where there are not enough CRTCs for all.
    let without = best(card, others, routes);
    if without.len() > found.len() { without } else { found }
}

/// No list of routes that begins with `routes` is longer: each connector takes a CRTC that one of them can have.
fn longest(card: &Card, rest: &[(&Connector, usize)], routes: &[Route]) -> usize {
    let possible = rest.iter().fold(0, |all, (connector, _)| all | connector.possible_crtcs);
    let free = card.crtcs.iter().enumerate().take(32).filter(|(index, crtc)| {
        possible & 1 << index != 0 && routes.iter().all(|route| route.crtc != **crtc)
    });
    routes.len() + free.count().min(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(width: u32, height: u32, refresh: u32) -> Mode {
        Mode { width, height, refresh, is_preferred: false }
    }

    fn connector(id: u32, possible_crtcs: u32) -> Connector {
        let name = format!("HDMI-A-{id}");
        Connector { id, name, is_connected: true, possible_crtcs, modes: vec![mode(640, 480, 60_000)] }
    }

    fn card(connectors: Vec<Connector>, crtcs: &[u32]) -> Card {
        let plane =
            |(index, crtc): (usize, &u32)| PrimaryPlane { id: crtc + 100, possible_crtcs: 1 << index };
        Card { connectors, crtcs: crtcs.to_vec(), planes: crtcs.iter().enumerate().map(plane).collect() }
    }

    #[test]
    fn the_mode_asked_for_then_the_preferred_then_the_largest() {
        let mut connector = connector(1, 1);
        connector.modes = vec![
            mode(1920, 1080, 59_940),
            mode(1920, 1080, 60_000),
            mode(1280, 720, 60_000),
            mode(1280, 720, 50_000),
        ];
        let chosen = |connector: &Connector, wish: &str| connector.choose_mode(wish.parse().ok());
        assert_eq!(chosen(&connector, "1920x1080@59.94"), Some(0));
        assert_eq!(chosen(&connector, "1920x1080@60"), Some(1));
        assert_eq!(chosen(&connector, "1280x720"), Some(2), "the fastest where none is named");
        assert_eq!(chosen(&connector, "1280x720@50"), Some(3));
        assert_eq!(
            chosen(&connector, "800x600"),
            Some(1),
            "the largest and fastest where there is no such mode"
        );
        connector.modes[2].is_preferred = true;
        assert_eq!(connector.choose_mode(None), Some(2));
        connector.modes.clear();
        assert_eq!(connector.choose_mode(None), None);
    }

    #[test]
    fn connectors_share_no_crtc() {
        let card = card(vec![connector(1, 0b11), connector(2, 0b01)], &[10, 11]);
        let routes = route(&card, &[], |_| None);
        let pairs: Vec<_> = routes.iter().map(|route| (route.connector, route.crtc, route.plane)).collect();
        assert_eq!(pairs, [(1, 11, Some(111)), (2, 10, Some(110))], "the first makes room for the second");
    }

    #[test]
    fn what_cannot_be_driven_is_left_out() {
        let mut dark = connector(3, 0b11);
        dark.is_connected = false;
        let card = card(vec![connector(1, 0b11), connector(2, 0b11), dark, connector(4, 0b11)], &[10, 11]);
        let routes = route(&card, &[], |_| None);
        assert_eq!(routes.len(), 2);
        assert!(routes.iter().all(|route| route.connector != 3));
    }

    #[test]
    fn what_is_lit_stays_where_it_is() {
        let card = card(vec![connector(1, 0b11), connector(2, 0b11)], &[10, 11]);
        let kept = Route { connector: 2, crtc: 10, plane: Some(110), mode: 0 };
        let routes = route(&card, &[kept], |_| None);
        assert_eq!(routes[0], kept);
        assert_eq!((routes[1].connector, routes[1].crtc), (1, 11));
    }

    #[test]
    fn each_connector_has_its_own_mode() {
        let mut card = card(vec![connector(1, 0b11), connector(2, 0b11)], &[10, 11]);
        for connector in &mut card.connectors {
            connector.modes.push(mode(320, 200, 50_000));
        }
        let routes = route(&card, &[], |name| "320x200".parse().ok().filter(|_| name == "HDMI-A-2"));
        assert_eq!(routes.iter().map(|route| route.mode).collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn a_wall_of_screens_is_routed_at_once() {
        // More screens than CRTCs, any of which can drive any of them: there are billions of ways.
        let card = Card {
            connectors: (1..=16).map(|id| connector(id, 0xff)).collect(),
            crtcs: (101..=108).collect(),
            planes: Vec::new(),
        };
        assert_eq!(route(&card, &[], |_| None).len(), 8);
    }
}
