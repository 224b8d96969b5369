//! Bands: who may put layers into which, and that an alarm is on top of everything, whatever others do.

mod fixture;

use blitd_protocol::error::ErrorCode;
use blitd_protocol::reply::{Reply, Statistics};
use blitd_protocol::request::{LayerConfigure, LayerCreate, Request};
use blitd_protocol::value::{Band, Priority, StatisticsSubject};
use fixture::{Client, Fixture, config, fill, layer};

const SIDE: u32 = 16;

/// A layer of all of the output, in this band, of one colour.
fn colour(fixture: &mut Fixture, client: &mut Client, create: LayerCreate, colour: u32) {
    fixture.layer(client, create);
    fixture.done(client, &Request::Fill(fill(create.layer, colour, create.width, create.height)));
}

fn banded(id: u32, band: Band, z: i32) -> LayerCreate {
    LayerCreate { band, z, ..layer(id, 0, 0, SIDE, SIDE) }
}

fn configured(layer: u32, band: Band) -> Request<'static> {
    Request::LayerConfigure(LayerConfigure { layer, band: Some(band), ..LayerConfigure::default() })
}

#[test]
fn a_layer_stands_in_its_band() {
    let mut fixture = Fixture::new(SIDE, SIDE);
    let mut client = fixture.client("bands");
    for (id, band) in [(1, Band::Alarm), (2, Band::Overlay), (3, Band::Normal), (4, Band::Background)] {
        // The lower the band, the higher the z, which counts for nothing between bands.
        colour(&mut fixture, &mut client, banded(id, band, id as i32), id);
    }
    for id in 1..=4 {
        fixture.rest();
        assert_eq!(fixture.glass(0)[0] & 0xff, id, "layer {id} is in front");
        fixture.done(&mut client, &Request::LayerDestroy { layer: id });
    }
    colour(&mut fixture, &mut client, banded(5, Band::Normal, 9), 5);
    colour(&mut fixture, &mut client, banded(6, Band::Background, 10), 6);
    fixture.done(&mut client, &configured(6, Band::Overlay));
    fixture.rest();
    assert_eq!(fixture.glass(0)[0] & 0xff, 6);
    let request = Request::Statistics { subject: StatisticsSubject::Layers, first: 0 };
    let Reply::Statistics(Statistics::Layers(list)) = fixture.call(&mut client, &request) else {
        panic!("no layers");
    };
    let bands: Vec<u8> = list.records.iter().map(|record| record.band).collect();
    assert_eq!(bands, [Band::Normal.number(), Band::Overlay.number()], "bottom to top");
}

#[test]
fn a_band_that_a_user_may_not_use_is_refused() {
    let bands = "[limits]\nbands = [\"normal\", \"overlay\"]";
    let mut fixture = Fixture::configured(config(SIDE, SIDE, bands));
    let mut client = fixture.client("bands");
    fixture.layer(&mut client, banded(1, Band::Overlay, 0));
    for band in [Band::Background, Band::Alarm] {
        let refusal = fixture.refused(&mut client, &Request::LayerCreate(banded(2, band, 0)));
        assert_eq!(refusal.code, ErrorCode::NotPermitted);
        assert!(refusal.text.contains("normal, overlay"), "{refusal}");
        fixture.refused_with(&mut client, &configured(1, band), ErrorCode::NotPermitted);
        let batch = Request::Batch(vec![blitd_protocol::request::Entry::LayerConfigure(LayerConfigure {
            layer: 1,
            band: Some(band),
            ..LayerConfigure::default()
        })]);
        fixture.refused_with(&mut client, &batch, ErrorCode::NotPermitted);
    }
    assert_eq!(fixture.statistics().layers.get(), 1);
}

/// Somebody floods at a lower priority with what takes many slices, on top of all of the output. An alarm that was drawn
/// beforehand, hidden, is in the next frame that is begun when it is shown; and so is one that is made only then.
#[test]
fn an_alarm_is_in_the_next_frame_whatever_others_do() {
    const LARGE: u32 = 512;
    let mut fixture = Fixture::new(LARGE, LARGE);
    let mut flood = fixture.client("flood");
    for id in 1..=8 {
        let translucent = LayerCreate { opacity: 200, ..banded(id, Band::Overlay, i32::MAX) };
        fixture.layer(&mut flood, LayerCreate { width: LARGE, height: LARGE, ..translucent });
    }
    let mut alarm = fixture.client("alarm");
    alarm.priority = Priority::MAX;
    let hidden = LayerCreate { visible: false, ..banded(1, Band::Alarm, i32::MIN) };
    colour(&mut fixture, &mut alarm, hidden, 0xff_0000);
    fixture.rest();
    let show = LayerConfigure { layer: 1, visible: Some(true), ..LayerConfigure::default() };
    for colour in [0xff_0000, 0xff00] {
        let floods: Vec<_> = (0..100)
            .map(|round| flood.submit(&Request::Fill(fill(round % 8 + 1, 0x8000_0000 | round, LARGE, LARGE))))
            .collect();
        // The flood is under way, and so is a frame of it.
        for _ in 0..9 {
            fixture.turn();
        }
        if colour == 0xff_0000 {
            alarm.submit(&Request::LayerConfigure(show));
        } else {
            alarm.submit(&Request::LayerCreate(banded(2, Band::Alarm, 1)));
            alarm.submit(&Request::Fill(fill(2, colour, SIDE, SIDE)));
        }
        let sync = alarm.submit(&Request::Sync { output: 0 });
        let frames = |fixture: &mut Fixture| fixture.daemon.server().outputs()[0].frames();
        let before = frames(&mut fixture);
        let mut told = None;
        for _ in 0..10_000 {
            told = alarm.poll(sync);
            if told.is_some() {
                break;
            }
            fixture.turn();
            fixture.pass_vblank();
        }
        assert!(matches!(told, Some(Reply::Shown(shown)) if shown.time > 0), "{told:?}");
        assert!(flood.poll(floods[99]).is_none(), "the flood goes on all the while");
        let passed = frames(&mut fixture) - before;
        assert!(passed <= 2, "the frame that was under way, and the alarm's: {passed}");
        assert_eq!(fixture.glass(0)[0] & 0xff_ffff, colour);
        fixture.rest();
    }
}
