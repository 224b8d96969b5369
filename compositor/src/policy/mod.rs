//! Room 2, policy: credentials and configuration to limits, and what each user holds of them.
//!
//! Pure: names of users and groups have become numbers before they come here.

pub mod bands;
pub mod config;
pub mod outputs;

use std::collections::HashMap;

use bands::Bands;
use blitd_protocol::error::{Coded, ErrorCode};
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

/// What somebody holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Connections.
    pub connections: u32,
    /// Regions.
    pub regions: u32,
    /// Of these, dmabufs.
    pub dmabufs: u32,
    /// Layers.
    pub layers: u32,
    /// Bytes of regions and layers.
    pub bytes: u64,
}

impl Usage {
    /// The sum of both.
    pub const fn plus(self, other: Self) -> Self {
        Self {
            connections: self.connections.saturating_add(other.connections),
            regions: self.regions.saturating_add(other.regions),
            dmabufs: self.dmabufs.saturating_add(other.dmabufs),
            layers: self.layers.saturating_add(other.layers),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    /// What is left without the other.
    pub const fn minus(self, other: Self) -> Self {
        Self {
            connections: self.connections.saturating_sub(other.connections),
            regions: self.regions.saturating_sub(other.regions),
            dmabufs: self.dmabufs.saturating_sub(other.dmabufs),
            layers: self.layers.saturating_sub(other.layers),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }
}

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limited {
    Connections,
    Regions,
    Dmabufs,
    Layers,
    Bytes,
}

impl std::fmt::Display for Limited {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Connections => "connections",
            Self::Regions => "regions",
            Self::Dmabufs => "dmabufs",
            Self::Layers => "layers",
            Self::Bytes => "bytes",
        })
    }
}

/// A user's limit is reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "user {uid} would hold {wanted} {what}, and may hold {limit}: give some back, or raise the limit in the configuration"
)]
pub struct LimitError {
    uid: u32,
    what: Limited,
    wanted: u64,
    limit: u64,
}

impl Coded for LimitError {
    fn code(&self) -> ErrorCode {
        match self.what {
            Limited::Connections => ErrorCode::TooManyConnections,
            _ => ErrorCode::LimitReached,
        }
    }
}

/// What each user holds, over all of its connections.
#[derive(Debug, Default)]
pub struct Accounts {
    users: HashMap<u32, Usage>,
}

impl Accounts {
    /// Charges a user, or refuses and charges nothing.
    ///
    /// # Errors
    /// The first limit that would be passed.
    pub fn charge(&mut self, uid: u32, limits: &Limits, more: Usage) -> Result<(), LimitError> {
        let held = self.users.get(&uid).copied().unwrap_or_default();
        let wanted = held.plus(more);
        let checks = [
            (
                Limited::Connections,
                more.connections.into(),
                wanted.connections.into(),
                limits.connections.into(),
            ),
            (Limited::Regions, more.regions.into(), wanted.regions.into(), limits.regions.into()),
            (Limited::Dmabufs, more.dmabufs.into(), wanted.dmabufs.into(), limits.dmabufs.into()),
            (Limited::Layers, more.layers.into(), wanted.layers.into(), limits.layers.into()),
            (Limited::Bytes, more.bytes, wanted.bytes, limits.bytes),
        ];
        for (what, more, wanted, limit) in checks {
            if more > 0 && wanted > limit {
                return Err(LimitError { uid, what, wanted, limit });
            }
        }
        self.users.insert(uid, wanted);
        Ok(())
    }

    /// Charges one user for what another was charged for, or refuses and changes nothing.
    ///
    /// # Errors
    /// The first limit of the one that would be passed.
    pub fn transfer(&mut self, from: u32, to: u32, limits: &Limits, held: Usage) -> Result<(), LimitError> {
        if from != to {
            self.charge(to, limits, held)?;
            self.release(from, held);
        }
        Ok(())
    }

    /// Gives back what was charged.
    pub fn release(&mut self, uid: u32, less: Usage) {
        if let Some(held) = self.users.get_mut(&uid) {
            *held = held.minus(less);
            if *held == Usage::default() {
                self.users.remove(&uid);
            }
        }
    }

    /// What a user holds.
    pub fn held(&self, uid: u32) -> Usage {
        self.users.get(&uid).copied().unwrap_or_default()
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

    #[test]
    fn a_charge_is_whole_or_not_at_all() {
        let mut accounts = Accounts::default();
        let limits = Limits { layers: 2, bytes: 100, ..Limits::default() };
        let layer = Usage { layers: 1, bytes: 60, ..Usage::default() };
        accounts.charge(1, &limits, layer).unwrap();
        let error = accounts.charge(1, &limits, layer).unwrap_err();
        assert_eq!((error.what, error.wanted, error.limit), (Limited::Bytes, 120, 100));
        assert_eq!(accounts.held(1), layer);
        accounts.charge(2, &limits, layer).unwrap();
        accounts.release(1, layer);
        assert_eq!(accounts.held(1), Usage::default());
        accounts.charge(1, &limits, layer).unwrap();
    }

    #[test]
    fn what_passes_from_one_to_another_is_charged_once() {
        let mut accounts = Accounts::default();
        let limits = Limits { layers: 1, ..Limits::default() };
        let layer = Usage { layers: 1, bytes: 60, ..Usage::default() };
        accounts.charge(1, &limits, layer).unwrap();
        // One who holds as much as he may passes on to himself what he has.
        accounts.transfer(1, 1, &limits, layer).unwrap();
        accounts.transfer(1, 2, &limits, layer).unwrap();
        assert_eq!((accounts.held(1), accounts.held(2)), (Usage::default(), layer));
        accounts.charge(1, &limits, layer).unwrap();
        assert_eq!(accounts.transfer(1, 2, &limits, layer).unwrap_err().uid, 2);
        assert_eq!((accounts.held(1), accounts.held(2)), (layer, layer));
    }
}
