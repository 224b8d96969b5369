//! Clients that guess tokens, claim what others have, and leave layers behind.

use blitd_protocol::error::ErrorCode;
use blitd_protocol::reply::Reply;
use blitd_protocol::request::{LayerCreate, Request};
use blitd_protocol::value::Token;

use super::{Scenario, Stand, encoded};
use crate::fixture::{Client, Random, layer};

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "tokens_guessed", side: 64, config: "", play: tokens_guessed },
    Scenario { name: "left_behind", side: 64, config: "[limits]\nlayers = 5", play: left_behind },
];

/// How many tokens are tried.
const GUESSES: u64 = 2000;

fn lingering(stand: &mut Stand, client: &mut Client, id: u32) -> Token {
    let create = LayerCreate { linger: true, ..layer(id, 0, 0, 4, 4) };
    match stand.fixture.call(client, &Request::LayerCreate(create)) {
        Reply::Token(token) => token,
        other => panic!("{other:?}"),
    }
}

/// The layer's new owner destroys it.
fn tidied(stand: &mut Stand, token: Token) {
    let mut client = stand.fixture.client("tidies up");
    let reply = stand.fixture.call(&mut client, &Request::LayerClaim { layer: 1, token });
    assert!(matches!(reply, Reply::Claimed(_)), "{reply:?}");
    stand.fixture.done(&mut client, &Request::LayerDestroy { layer: 1 });
}

fn tokens_guessed(stand: &mut Stand) {
    let mut owner = stand.fixture.client("owner");
    let token = lingering(stand, &mut owner, 1);
    let mut guesser = stand.fixture.client("guesser");
    let in_use = Request::LayerClaim { layer: 1, token };
    stand.refused(&mut guesser, &in_use, ErrorCode::LayerInUse, "it has an owner");
    stand.refused(&mut owner, &Request::LayerClaim { layer: 2, token }, ErrorCode::LayerInUse, "its own");
    drop(owner);
    stand.fixture.settle();
    let mut random = Random(11);
    for guess in 0..GUESSES {
        let bits = match guess {
            0..128 => u128::from_le_bytes(*token.as_bytes()) ^ (1 << guess),
            _ => u128::from(random.next()) << 64 | u128::from(random.next()),
        };
        let Some(token) = Token::from_bytes(bits.to_le_bytes()) else { continue };
        let request = Request::LayerClaim { layer: 1, token };
        stand.refused(&mut guesser, &request, ErrorCode::UnknownToken, "a guess");
    }
    // Claimed, and its claimer gone before the reply is read.
    let raw = stand.greeted();
    raw.send(&encoded(&Request::LayerClaim { layer: 7, token }, 2), []);
    drop(raw);
    stand.fixture.settle();
    tidied(stand, token);
    stand.refused(&mut guesser, &in_use, ErrorCode::UnknownToken, "it has ended");
}

fn left_behind(stand: &mut Stand) {
    // The witness has one.
    let mut tokens = Vec::new();
    for _ in 0..4 {
        let mut client = stand.fixture.client("leaves one behind");
        tokens.push(lingering(stand, &mut client, 1));
        drop(client);
        stand.fixture.settle();
    }
    let mut client = stand.fixture.client("wants more");
    for linger in [true, false] {
        let create = Request::LayerCreate(LayerCreate { linger, ..layer(1, 0, 0, 4, 4) });
        stand.refused(&mut client, &create, ErrorCode::LimitReached, "others hold as much as there may be");
    }
    stand.unharmed();
    tokens.into_iter().for_each(|token| tidied(stand, token));
    stand.fixture.layer(&mut client, layer(1, 0, 0, 4, 4));
}
