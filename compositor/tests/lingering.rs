//! Layers that outlive their connections: who may take them over, what they look like meanwhile, and who pays for them.

mod fixture;

use blitd_protocol::error::ErrorCode;
use blitd_protocol::reply::{Reply, Statistics};
use blitd_protocol::request::{Entry, LayerConfigure, LayerCreate, Request};
use blitd_protocol::value::{Band, CaptureSubject, NotShown, StatisticsSubject, Token};
use blitd_protocol::wire::LayerRecord;
use fixture::{Client, Fixture, Shared, capture, config, fill, layer};

const SIDE: u32 = 32;
const RED: u32 = 0xffff_0000;
const BLUE: u32 = 0xff00_00ff;

fn lingering(fixture: &mut Fixture, client: &mut Client, create: LayerCreate) -> Token {
    match fixture.call(client, &Request::LayerCreate(LayerCreate { linger: true, ..create })) {
        Reply::Token(token) => token,
        other => panic!("{other:?}"),
    }
}

fn claim(fixture: &mut Fixture, client: &mut Client, layer: u32, token: Token) -> LayerRecord {
    match fixture.call(client, &Request::LayerClaim { layer, token }) {
        Reply::Claimed(record) => record,
        other => panic!("{other:?}"),
    }
}

fn end(fixture: &mut Fixture, client: Client) {
    drop(client);
    fixture.settle();
}

fn layers(fixture: &mut Fixture) -> Vec<LayerRecord> {
    let mut client = fixture.client("statistics");
    let request = Request::Statistics { subject: StatisticsSubject::Layers, first: 0 };
    match fixture.call(&mut client, &request) {
        Reply::Statistics(Statistics::Layers(list)) => list.records,
        other => panic!("{other:?}"),
    }
}

fn colour(fixture: &mut Fixture) -> u32 {
    fixture.rest();
    fixture.glass(0)[0] | 0xff00_0000
}

#[test]
fn a_layer_that_lingers_is_shown_until_its_claimer_ends_it() {
    let mut fixture = Fixture::new(SIDE, SIDE);
    let mut first = fixture.client("first");
    let create = LayerCreate { z: 5, band: Band::Overlay, ..layer(7, 0, 0, SIDE, SIDE) };
    let token = lingering(&mut fixture, &mut first, create);
    fixture.layer(&mut first, layer(8, 0, 0, SIDE, SIDE));
    fixture.done(&mut first, &Request::Fill(fill(7, RED, SIDE, SIDE)));
    let size = LayerConfigure { layer: 7, size: Some((40, 30)), ..LayerConfigure::default() };
    fixture.done(&mut first, &Request::LayerConfigure(size));
    assert_eq!(colour(&mut fixture), RED);
    end(&mut fixture, first);
    assert_eq!(colour(&mut fixture), RED, "it is shown as it was");

    let [left] = layers(&mut fixture)[..] else { panic!("the other layer has ended") };
    assert_eq!((left.connection.get(), left.layer.get(), left.linger), (0, 7, 1));
    assert_eq!(Token::from_bytes(left.token), Some(token), "it is this user's");

    let mut second = fixture.client("second");
    assert_eq!(fixture.sync(&mut second).reason, NotShown::NothingVisible);
    let record = claim(&mut fixture, &mut second, 3, token);
    let claimed = layers(&mut fixture)[0];
    assert_eq!(record, claimed);
    assert_eq!(
        (record.layer.get(), record.z.get(), record.band, record.width.get(), record.shown_width.get()),
        (3, 5, Band::Overlay.number(), SIDE, 40)
    );
    assert_eq!(fixture.sync(&mut second).reason, NotShown::Shown);
    let memory = Shared::sealed(u64::from(SIDE * SIDE * 4));
    fixture.region(&mut second, 1, &memory);
    fixture.done(&mut second, &capture(CaptureSubject::Layer, 3, SIDE, SIDE));
    assert!(memory.words().iter().all(|word| *word == RED));
    fixture.done(&mut second, &Request::Fill(fill(3, BLUE, SIDE, SIDE)));
    assert_eq!(colour(&mut fixture), BLUE);

    // It goes on lingering, with the same token, until it is destroyed.
    end(&mut fixture, second);
    assert_eq!(colour(&mut fixture), BLUE);
    let mut third = fixture.client("third");
    claim(&mut fixture, &mut third, 3, token);
    fixture.done(&mut third, &Request::LayerDestroy { layer: 3 });
    assert_eq!(colour(&mut fixture), 0xff00_0000);
    let again = Request::LayerClaim { layer: 3, token };
    fixture.refused_with(&mut third, &again, ErrorCode::UnknownToken);
    end(&mut fixture, third);
    assert!(layers(&mut fixture).is_empty());
}

#[test]
fn a_layer_has_one_owner_and_a_guess_has_none() {
    let mut fixture = Fixture::new(SIDE, SIDE);
    let mut owner = fixture.client("owner");
    let token = lingering(&mut fixture, &mut owner, layer(1, 0, 0, SIDE, SIDE));
    let other = lingering(&mut fixture, &mut owner, layer(2, 0, 0, SIDE, SIDE));
    assert_ne!(token, other);
    let mut thief = fixture.client("thief");
    let wanted = Request::LayerClaim { layer: 1, token };
    // While it belongs to somebody, to whom that may be.
    for client in [&mut thief, &mut owner] {
        let again = Request::LayerClaim { layer: 9, token };
        fixture.refused_with(client, &again, ErrorCode::LayerInUse);
    }
    end(&mut fixture, owner);
    // Every token that is nearly right, and words for one that tell nothing of how near it is.
    let mut texts = std::collections::HashSet::new();
    for bit in 0..128 {
        let bytes = (u128::from_le_bytes(*token.as_bytes()) ^ 1 << bit).to_le_bytes();
        let Some(token) = Token::from_bytes(bytes) else { continue };
        let refusal = fixture.refused(&mut thief, &Request::LayerClaim { layer: 1, token });
        assert_eq!(refusal.code, ErrorCode::UnknownToken);
        texts.insert(refusal.text);
    }
    assert_eq!(texts.len(), 1);
    // An id that is taken, and then one that is free.
    fixture.layer(&mut thief, layer(1, 0, 0, SIDE, SIDE));
    fixture.refused_with(&mut thief, &wanted, ErrorCode::IdInUse);
    claim(&mut fixture, &mut thief, 2, token);
    fixture.refused_with(&mut thief, &Request::LayerClaim { layer: 3, token }, ErrorCode::LayerInUse);
    // Two that ask at once: the one whose turn comes first.
    let mut fourth = fixture.client("fourth");
    let serials = [
        thief.submit(&Request::LayerClaim { layer: 4, token: other }),
        fourth.submit(&Request::LayerClaim { layer: 4, token: other }),
    ];
    fixture.settle();
    let replies = [thief.poll(serials[0]).unwrap(), fourth.poll(serials[1]).unwrap()];
    let granted = replies.iter().filter(|reply| matches!(reply, Reply::Claimed(_))).count();
    assert_eq!(granted, 1, "{replies:?}");
}

#[test]
fn what_is_left_behind_counts_for_the_limits() {
    let mut fixture = Fixture::configured(config(SIDE, SIDE, "[limits]\nlayers = 4"));
    let tokens: Vec<Token> = (0..4)
        .map(|_| {
            let mut client = fixture.client("leaves one behind");
            let token = lingering(&mut fixture, &mut client, layer(1, 0, 0, SIDE, SIDE));
            end(&mut fixture, client);
            token
        })
        .collect();
    assert_eq!(fixture.statistics().layers.get(), 4);
    let mut client = fixture.client("wants more");
    for linger in [true, false] {
        let one = Request::LayerCreate(LayerCreate { linger, ..layer(1, 0, 0, SIDE, SIDE) });
        fixture.refused_with(&mut client, &one, ErrorCode::LimitReached);
    }
    // To claim them costs nothing more; to destroy one makes room for one.
    for (id, token) in (1..).zip(&tokens) {
        claim(&mut fixture, &mut client, id, *token);
    }
    fixture.done(&mut client, &Request::LayerDestroy { layer: 4 });
    fixture.layer(&mut client, layer(5, 0, 0, SIDE, SIDE));
    fixture.refused_with(&mut client, &Request::LayerCreate(layer(6, 0, 0, 1, 1)), ErrorCode::LimitReached);
    end(&mut fixture, client);
    assert_eq!(fixture.statistics().layers.get(), 3, "the last one did not linger");
    let mut client = fixture.client("tidies up");
    for (id, token) in (1..).zip(&tokens[..3]) {
        claim(&mut fixture, &mut client, id, *token);
        fixture.done(&mut client, &Request::LayerDestroy { layer: id });
    }
    for id in 1..=4 {
        fixture.layer(&mut client, layer(id, 0, 0, SIDE, SIDE));
    }
    end(&mut fixture, client);
    let mut client = fixture.client("once more");
    for id in 1..=4 {
        fixture.layer(&mut client, layer(id, 0, 0, SIDE, SIDE));
    }
}

/// A client goes in the middle of a fill that takes many slices: nothing of it is seen, then or later.
#[test]
fn what_was_under_way_when_a_client_went_has_not_been() {
    const LARGE: u32 = 1024;
    let mut fixture = Fixture::new(SIDE, SIDE);
    let mut first = fixture.client("first");
    let _other = fixture.client("makes slices short");
    let token = lingering(&mut fixture, &mut first, layer(1, 0, 0, LARGE, LARGE));
    fixture.done(&mut first, &Request::Fill(fill(1, RED, LARGE, LARGE)));
    let serial = first.submit(&Request::Fill(fill(1, BLUE, LARGE, LARGE)));
    for _ in 0..6 {
        fixture.turn();
    }
    assert!(first.poll(serial).is_none(), "it is under way");
    end(&mut fixture, first);
    let mut second = fixture.client("second");
    claim(&mut fixture, &mut second, 1, token);
    let memory = Shared::sealed(u64::from(LARGE * LARGE * 4));
    fixture.region(&mut second, 1, &memory);
    let whole = |fixture: &mut Fixture, client: &mut Client| {
        fixture.done(client, &capture(CaptureSubject::Layer, 1, LARGE, LARGE));
        let words = memory.words();
        assert!(words.iter().all(|word| *word == words[0]), "a part of a fill");
        words[0]
    };
    assert_eq!(whole(&mut fixture, &mut second), RED);
    // A part of the layer is drawn by way of the spare storage, where the fill was begun.
    let part = Request::Batch(vec![Entry::Fill(fill(1, RED, 9, 9))]);
    fixture.done(&mut second, &part);
    assert_eq!(whole(&mut fixture, &mut second), RED);
}
