//! Room 2, policy: credentials and configuration to limits, and what each user holds of them.
//!
//! Pure: names of users and groups have become numbers before they come here.

pub mod accounts;
pub mod bands;
pub mod config;
pub mod outputs;

use std::collections::HashMap;

use bands::Bands;
use blitd_protocol::value::Priority;
use serde::Deserialize;

/// Who is at the other end of a connection, as the kernel tells it (`SO_PEERCRED`, unix(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Process number when it connected.
    pub pid: u32,
    /// Effective user.
    pub uid: u32,
    /// Effective group.
    pub gid: u32,
}

/// The highest priority of a request, of users of whom nothing else is said. Whoever floods at a priority keeps all
/// lower ones waiting, so the upper half is for those whom the configuration trusts.
const DEFAULT_CEILING: Priority = match Priority::new(31) {
    Ok(priority) => priority,
    Err(_) => Priority::DEFAULT,
};

/// What composing the layers of a user may cost of whom nothing else is said. It has room for the largest of what is usual,
/// a photograph of 12 megapixels that fills a screen of 1920x1080, and for 63 such screens of plain pixels; `bytes` has room
/// for 64. docs/configuration.md says how long that takes.
const DEFAULT_COMPOSING: u64 = 512 << 20;

/// The most unanswered requests that a configuration may allow.
const MOST_REQUESTS: u32 = 1024;

/// What a user may do and hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections, all of the user's together.
    pub connections: u32,
    /// Regions, all of the user's together.
    pub regions: u32,
    /// Regions of dmabuf memory, all of the user's together: each takes a descriptor of the daemon's.
    pub dmabufs: u32,
    /// Layers, all of the user's together.
    pub layers: u32,
    /// Bytes of regions and layers, all of the user's together. A layer counts twice, for its spare storage.
    pub bytes: u64,
    /// What composing all visible layers of the user once may cost, in bytes of blits, which slices count in: as their
    /// attributes say, each for all of its place, wherever that is and whatever covers it. Outputs come and go, and
    /// layers move, so where only what is seen counted, it would depend on both whether a change is refused. Of what is
    /// much larger than its output, a crop can be shown.
    pub composing: u64,
    /// Unanswered requests on one connection, after which the daemon stops reading from it.
    pub requests: u32,
    /// The highest priority of a request.
    pub priority: Priority,
    /// The bands that layers may stand in.
    pub bands: Bands,
    /// Whether outputs may be captured, and with them the pixels of others.
    pub capture_outputs: bool,
    /// Whether memory may be shared that can be shrunk, as POSIX shared memory can.
    pub unsealed_memory: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            regions: 1024,
            dmabufs: 128,
            layers: 256,
            bytes: 1 << 30,
            composing: DEFAULT_COMPOSING,
            requests: 64,
            priority: DEFAULT_CEILING,
            bands: Bands::USUAL,
            capture_outputs: false,
            unsealed_memory: false,
        }
    }
}

/// A section of the configuration: what it sets differs from the limits around it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overrides {
    connections: Option<u32>,
    regions: Option<u32>,
    dmabufs: Option<u32>,
    layers: Option<u32>,
    bytes: Option<u64>,
    composing: Option<u64>,
    requests: Option<u32>,
    priority: Option<u8>,
    bands: Option<Bands>,
    capture_outputs: Option<bool>,
    unsealed_memory: Option<bool>,
}

impl Overrides {
    /// What cannot be, as a sentence.
    fn fault(&self) -> Option<String> {
        match (self.priority, self.requests) {
            (Some(priority), _) if Priority::new(priority).is_err() => {
                Some(format!("priority = {priority}: it takes 0 to 63"))
            }
            (_, Some(requests)) if requests == 0 || requests > MOST_REQUESTS => {
                Some(format!("requests = {requests}: it takes 1 to {MOST_REQUESTS}"))
            }
            _ => None,
        }
    }

    fn apply(&self, limits: Limits) -> Limits {
        Limits {
            connections: self.connections.unwrap_or(limits.connections),
            regions: self.regions.unwrap_or(limits.regions),
            dmabufs: self.dmabufs.unwrap_or(limits.dmabufs),
            layers: self.layers.unwrap_or(limits.layers),
            bytes: self.bytes.unwrap_or(limits.bytes),
            composing: self.composing.unwrap_or(limits.composing),
            requests: self.requests.unwrap_or(limits.requests),
            priority: self.priority.and_then(|number| Priority::new(number).ok()).unwrap_or(limits.priority),
            bands: self.bands.unwrap_or(limits.bands),
            capture_outputs: self.capture_outputs.unwrap_or(limits.capture_outputs),
            unsealed_memory: self.unsealed_memory.unwrap_or(limits.unsealed_memory),
        }
    }
}

/// Who may what.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// The user that the daemon runs as: it, and root, may capture outputs and use all priorities and bands
    /// unless told otherwise.
    pub own_user: u32,
    /// For everybody.
    pub everybody: Overrides,
    /// For those whose group this is.
    pub groups: HashMap<u32, Overrides>,
    /// For single users, above all else.
    pub users: HashMap<u32, Overrides>,
}

impl Policy {
    /// The limits of whoever is at the other end: everybody's, then the group's, then the user's own.
    pub fn limits(&self, credentials: &Credentials) -> Limits {
        let Credentials { uid, gid, .. } = *credentials;
        let trusted = uid == 0 || uid == self.own_user;
        let priority = if trusted { Priority::MAX } else { DEFAULT_CEILING };
        let bands = if trusted { Bands::ALL } else { Bands::USUAL };
        let base = Limits { capture_outputs: trusted, priority, bands, ..Limits::default() };
        let base = self.everybody.apply(base);
        let of = |section: Option<&Overrides>| section.copied().unwrap_or_default();
        of(self.users.get(&uid)).apply(of(self.groups.get(&gid)).apply(base))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_particular_section_wins() {
        let section = |layers| Overrides { layers: Some(layers), ..Overrides::default() };
        let policy = Policy {
            own_user: 100,
            everybody: Overrides { regions: Some(7), ..section(1) },
            groups: [(20, section(2))].into(),
            users: [(1000, section(3))].into(),
        };
        let limits = |uid, gid| policy.limits(&Credentials { pid: 1, uid, gid });
        assert_eq!(limits(5, 5).layers, 1);
        assert_eq!(limits(5, 20).layers, 2);
        assert_eq!(limits(1000, 20).layers, 3);
        assert_eq!(limits(1000, 20).regions, 7);
    }

    #[test]
    fn only_the_daemons_own_user_and_root_see_outputs_and_raise_alarms() {
        let policy = Policy { own_user: 100, ..Policy::default() };
        let may = |uid| {
            let limits = policy.limits(&Credentials { pid: 1, uid, gid: 1 });
            (limits.capture_outputs, limits.bands == Bands::ALL)
        };
        assert_eq!([may(0), may(100), may(101)], [(true, true), (true, true), (false, false)]);
    }
}
