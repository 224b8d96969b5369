//! Layers that outlive their connections: what they are claimed with, and who pays for them.

use std::io;

use blitd_protocol::error::{Coded, ErrorCode, Refusal};
use blitd_protocol::reply::Reply;
use blitd_protocol::value::Token;
use rustix::rand::{GetRandomFlags, getrandom};

use super::requests::{Outcome, check_band, check_free, layer_usage};
use super::{Rooms, listing};
use crate::client::Client;
use crate::queue::ConnectionId;
use crate::scene::NOBODY;

/// Why a layer cannot linger, or not be claimed.
#[derive(Debug, thiserror::Error)]
pub(super) enum LingerError {
    #[error("the kernel gives no random numbers for a token yet ({source}): try later, or without linger")]
    Random { source: io::Error },
    #[error(
        "no layer that lingers has this token: take the one that layer_create gave, or create the layer anew"
    )]
    UnknownToken,
    #[error("the layer with this token belongs to connection {owner}: claim it when that has ended")]
    InUse { owner: ConnectionId },
}

impl Coded for LingerError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Random { .. } => ErrorCode::NotSupported,
            Self::UnknownToken => ErrorCode::UnknownToken,
            Self::InUse { .. } => ErrorCode::LayerInUse,
        }
    }
}

/// A token that nobody can guess. The loop never waits for it: early in the boot the kernel may have none yet.
pub(super) fn token() -> Result<Token, LingerError> {
    let random = |source: io::Error| LingerError::Random { source };
    let mut bytes = [0; 16];
    // So few bytes come whole or not at all (getrandom(2)).
    let length = getrandom(&mut bytes, GetRandomFlags::NONBLOCK).map_err(|errno| random(errno.into()))?;
    let token = Token::from_bytes(bytes).filter(|_| length == bytes.len());
    token.ok_or_else(|| random(io::ErrorKind::UnexpectedEof.into()))
}

/// Makes a layer that belongs to nobody that of a client. What it takes is charged to the client's user from then on.
pub(super) fn claim(
    rooms: &mut Rooms,
    client: &mut Client,
    id: u32,
    token: &Token,
) -> Result<Outcome, Refusal> {
    check_free(client, id)?;
    let (key, layer) = rooms.scene.lingering(token).ok_or(LingerError::UnknownToken)?;
    if layer.owner != NOBODY {
        return Err(LingerError::InUse { owner: layer.owner }.into());
    }
    check_band(client, layer.attributes.band)?;
    let (uid, usage) = (client.credentials().uid, layer_usage(layer.size, &layer.attributes));
    rooms.accounts.transfer(layer.uid, uid, client.limits(), usage)?;
    client.usage = client.usage.plus(usage);
    client.layers.insert(id, key);
    rooms.scene.claim(key, client.id(), uid, id);
    let record = rooms.scene.get(key).map(|layer| listing::layer_record(layer, Some(uid)));
    Ok(Outcome::Reply(Reply::Claimed(record.unwrap_or_default())))
}

/// A client has gone. Its layers go too, but for those that linger: these stay charged to its user.
pub(super) fn leave(rooms: &mut Rooms, client: &mut Client) {
    for key in client.layers.values() {
        if let Some(layer) = rooms.scene.abandon(*key) {
            client.usage = client.usage.minus(layer_usage(layer.size, &layer.attributes));
        }
    }
}
