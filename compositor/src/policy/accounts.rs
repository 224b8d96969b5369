//! What each user holds, and whether it may hold more.

use std::collections::HashMap;

use blitd_protocol::error::{Coded, ErrorCode};

use super::Limits;

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
    /// What composing its visible layers costs, in bytes of blits.
    pub composing: u64,
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
            composing: self.composing.saturating_add(other.composing),
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
            composing: self.composing.saturating_sub(other.composing),
        }
    }
}

/// What somebody holds before a change of it, and after. Charged for as far as it is more before the change is made, and
/// given back as far as it is less when it has been made, so that no other takes meanwhile what it needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// What was charged for before.
    pub before: Usage,
    /// What is charged for once it has been made.
    pub after: Usage,
}

impl Change {
    /// What is charged before it is made, and given back where it is not.
    pub const fn more(self) -> Usage {
        self.after.minus(self.before)
    }

    /// What is given back when it has been made.
    pub const fn less(self) -> Usage {
        self.before.minus(self.after)
    }
}

/// What is limited of what users hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limited {
    /// Connections.
    Connections,
    /// Regions.
    Regions,
    /// Regions of dmabuf memory.
    Dmabufs,
    /// Layers.
    Layers,
    /// Bytes of regions and layers.
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
pub enum LimitError {
    /// Of what it holds.
    #[error(
        "user {uid} would hold {wanted} {what}, and may hold {limit}: give some back, or raise the limit in the configuration"
    )]
    Held {
        /// The user.
        uid: u32,
        /// What is limited.
        what: Limited,
        /// How much the user would hold.
        wanted: u64,
        /// How much it may hold.
        limit: u64,
    },
    /// Of what composing its layers costs.
    #[error(
        "composing the visible layers of user {uid} costs {held} bytes of blits, this would add {more}, and {limit} are the \
         limit: show it smaller or cropped, draw it scaled into a layer of the size that is shown, hide or destroy other \
         layers, or raise composing in the configuration"
    )]
    Composing {
        /// The user.
        uid: u32,
        /// What it costs without this, in bytes of blits.
        held: u64,
        /// What this would add, in the same.
        more: u64,
        /// What it may cost, in the same.
        limit: u64,
    },
}

impl Coded for LimitError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Held { what: Limited::Connections, .. } => ErrorCode::TooManyConnections,
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
                return Err(LimitError::Held { uid, what, wanted, limit });
            }
        }
        if more.composing > 0 && wanted.composing > limits.composing {
            let (held, more, limit) = (held.composing, more.composing, limits.composing);
            return Err(LimitError::Composing { uid, held, more, limit });
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
    fn a_charge_is_whole_or_not_at_all() {
        let mut accounts = Accounts::default();
        let limits = Limits { layers: 2, bytes: 100, ..Limits::default() };
        let layer = Usage { layers: 1, bytes: 60, ..Usage::default() };
        accounts.charge(1, &limits, layer).unwrap();
        let error = accounts.charge(1, &limits, layer).unwrap_err();
        assert_eq!(error, LimitError::Held { uid: 1, what: Limited::Bytes, wanted: 120, limit: 100 });
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
        let error = accounts.transfer(1, 2, &limits, layer).unwrap_err();
        assert_eq!(error, LimitError::Held { uid: 2, what: Limited::Layers, wanted: 2, limit: 1 });
        assert_eq!((accounts.held(1), accounts.held(2)), (layer, layer));
    }

    fn composing(composing: u64) -> Usage {
        Usage { composing, ..Usage::default() }
    }

    #[test]
    fn what_composing_costs_is_limited_and_less_is_always_allowed() {
        let mut accounts = Accounts::default();
        let limits = Limits { composing: 100, ..Limits::default() };
        accounts.charge(1, &limits, composing(70)).unwrap();
        let error = accounts.charge(1, &limits, composing(31)).unwrap_err();
        assert_eq!(error, LimitError::Composing { uid: 1, held: 70, more: 31, limit: 100 });
        assert_eq!(error.code(), ErrorCode::LimitReached);
        let text = error.to_string();
        assert!(["user 1", "70", "31", "100", "hide", "composing in"].iter().all(|word| text.contains(word)));
        assert_eq!(accounts.held(1), composing(70), "nothing of it is charged");
        accounts.charge(1, &limits, composing(30)).unwrap();
        accounts.charge(2, &limits, composing(100)).unwrap();
        // Who has more than he may, as after another limit has been set, may change to what costs less, or as much.
        let tight = Limits { composing: 10, ..limits };
        for after in [90, 90] {
            let change = Change { before: accounts.held(1), after: composing(after) };
            accounts.charge(1, &tight, change.more()).unwrap();
            accounts.release(1, change.less());
            assert_eq!(accounts.held(1), composing(after));
        }
        accounts.charge(1, &tight, Usage { layers: 1, ..Usage::default() }).unwrap();
        assert!(accounts.charge(1, &tight, composing(1)).is_err());
    }

    #[test]
    fn a_change_that_is_given_up_leaves_what_was_there() {
        for (before, after) in [(3, 5), (5, 3), (4, 4)] {
            let change = Change { before: composing(before), after: composing(after) };
            let during = change.before.plus(change.more());
            assert_eq!(during.composing, before.max(after));
            assert_eq!(during.minus(change.less()), change.after);
            assert_eq!(during.minus(change.more()), change.before);
        }
    }
}
