//! What outputs and statistics answer.

use std::rc::Rc;

use blitd_protocol::image::Format;
use blitd_protocol::reply::{List, Reply, Statistics, records_per_message};
use blitd_protocol::value::{Mode, Name, Priority, StatisticsSubject};
use blitd_protocol::wire::{ClientRecord, DaemonRecord, LayerRecord, OutputRecord, PriorityRecord};
use foldhash::HashMap;

use super::Rooms;
use super::histograms::Times;
use crate::client::Client;
use crate::display::output::Output;
use crate::memory::storage::Storage;
use crate::queue::ConnectionId;
use crate::scene::Layer;

/// The most records of priorities in a message. Each takes up to 4 microseconds to be counted together, during which
/// nobody else has a slice.
const PRIORITIES: usize = 4;

/// The records from number `first` on that fit a message.
fn page<T>(first: u32, all: impl ExactSizeIterator<Item = T>) -> List<T> {
    let total = u32::try_from(all.len()).unwrap_or(u32::MAX);
    let records = all.skip(first as usize).take(records_per_message(size_of::<T>())).collect();
    List { first, total, records }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

pub(super) fn outputs(rooms: &Rooms, first: u32) -> Reply<'static> {
    Reply::Outputs(page(first, rooms.outputs.iter().map(output_record)))
}

fn output_record(output: &Output) -> OutputRecord {
    let screen = output.screen();
    let (width, height) = screen.size();
    let (x, y) = screen.place.unwrap_or_default();
    OutputRecord {
        output: output.id().into(),
        width: width.into(),
        height: height.into(),
        refresh: screen.refresh.into(),
        background: screen.background.into(),
        fourcc: Format::Xrgb8888.fourcc().into(),
        backend: screen.backend.number(),
        transform: screen.transform.number(),
        off: output.is_off().into(),
        placed: screen.place.is_some().into(),
        planes: u8::try_from(output.layers_on_planes()).unwrap_or(u8::MAX),
        reserved: [0; 3],
        sequence: output.last_flip().sequence.into(),
        frames: output.frames().into(),
        composed: output.composed().into(),
        x: x.into(),
        y: y.into(),
        name: *screen.name.as_bytes(),
    }
}

pub(super) fn statistics(
    rooms: &Rooms,
    clients: &HashMap<ConnectionId, Client>,
    asker: ConnectionId,
    subject: StatisticsSubject,
    first: u32,
) -> Reply<'static> {
    Reply::Statistics(match subject {
        StatisticsSubject::Daemon => {
            Statistics::Daemon(page(first, std::iter::once(daemon_record(rooms, clients))))
        }
        StatisticsSubject::Clients => {
            let mut sorted: Vec<&Client> = clients.values().collect();
            sorted.sort_unstable_by_key(|client| client.id());
            Statistics::Clients(page(first, sorted.into_iter().map(|client| client_record(rooms, client))))
        }
        StatisticsSubject::Layers => {
            let uid = clients.get(&asker).map(|client| client.credentials().uid);
            let layers: Vec<_> = rooms.scene.iter().map(|layer| layer_record(layer, uid)).collect();
            Statistics::Layers(page(first, layers.into_iter()))
        }
        StatisticsSubject::Priorities => {
            let used: Vec<_> = rooms.histograms.iter().collect();
            let total = count(used.len());
            let records = used.into_iter().skip(first as usize).take(PRIORITIES).map(priority_record);
            Statistics::Priorities(List { first, total, records: records.collect() })
        }
    })
}

fn daemon_record(rooms: &Rooms, clients: &HashMap<ConnectionId, Client>) -> DaemonRecord {
    let counters = clients.values().fold(rooms.counters, |mut sum, client| {
        let (received, sent) = client.traffic();
        sum.requests += client.requests;
        sum.refused += client.refused;
        sum.bytes_received += received;
        sum.bytes_sent += sent;
        sum
    });
    DaemonRecord {
        uptime: rooms.clock.now().saturating_sub(rooms.started).into(),
        requests: counters.requests.into(),
        refused: counters.refused.into(),
        draws: counters.draws.into(),
        slices: counters.slices.into(),
        drawn: counters.drawn.into(),
        bytes_received: counters.bytes_received.into(),
        bytes_sent: counters.bytes_sent.into(),
        region_bytes: clients.values().map(|client| client.regions.bytes()).sum::<u64>().into(),
        layer_bytes: rooms.scene.iter().map(layer_bytes).sum::<u64>().into(),
        connections: count(clients.len()).into(),
        regions: count(clients.values().map(|client| client.regions.len()).sum()).into(),
        layers: count(rooms.scene.len()).into(),
        pid: std::process::id().into(),
        version: *Name::new(env!("CARGO_PKG_VERSION")).as_bytes(),
    }
}

fn client_record(rooms: &Rooms, client: &Client) -> ClientRecord {
    let credentials = client.credentials();
    let (received, sent) = client.traffic();
    let layers = client.layers.values().filter_map(|key| rooms.scene.get(*key));
    ClientRecord {
        connection: client.id().into(),
        pid: credentials.pid.into(),
        uid: credentials.uid.into(),
        gid: credentials.gid.into(),
        mode: client.mode().map_or(0, Mode::number),
        reserved: [0; 3],
        regions: count(client.regions.len()).into(),
        layers: count(client.layers.len()).into(),
        region_bytes: client.regions.bytes().into(),
        layer_bytes: layers.map(layer_bytes).sum::<u64>().into(),
        requests: client.requests.into(),
        refused: client.refused.into(),
        bytes_received: received.into(),
        bytes_sent: sent.into(),
        name: *client.name().as_bytes(),
    }
}

fn layer_bytes(layer: &Layer<Rc<Storage>>) -> u64 {
    layer.front.bytes() + layer.spare.as_ref().map_or(0, |spare| spare.storage.bytes())
}

/// A layer's token, as it is told to a user: to the one who is charged for the layer, who could read it in the memory of
/// his own programs anyway, and to root; to nobody else.
fn told<S>(layer: &Layer<S>, asker: Option<u32>) -> [u8; 16] {
    let token = layer.token.filter(|_| asker.is_some_and(|uid| uid == layer.uid || uid == 0));
    token.map_or([0; 16], |token| *token.as_bytes())
}

/// A layer, as the user who asks may see it.
pub(super) fn layer_record(layer: &Layer<Rc<Storage>>, asker: Option<u32>) -> LayerRecord {
    let attributes = &layer.attributes;
    LayerRecord {
        connection: layer.owner.into(),
        layer: layer.id.into(),
        output: attributes.output.into(),
        x: attributes.place.left().into(),
        y: attributes.place.top().into(),
        width: layer.size.0.into(),
        height: layer.size.1.into(),
        z: attributes.z.into(),
        fourcc: layer.format.fourcc().into(),
        band: attributes.band.number(),
        opacity: attributes.opacity,
        visible: attributes.visible.into(),
        linger: layer.token.is_some().into(),
        uid: layer.uid.into(),
        draws: layer.draws.into(),
        bytes: layer_bytes(layer).into(),
        shown_width: attributes.place.width().into(),
        shown_height: attributes.place.height().into(),
        crop: attributes.crop.into(),
        token: told(layer, asker),
        name: *layer.name.as_bytes(),
    }
}

fn priority_record((priority, times): (Priority, &Times)) -> PriorityRecord {
    PriorityRecord {
        priority: priority.number(),
        reserved: [0; 7],
        count: times.count().into(),
        waiting: times.waiting(),
        service: times.service(),
    }
}

#[cfg(test)]
mod tests {
    use blitd_protocol::image::Rectangle;
    use blitd_protocol::value::{Band, Token};

    use super::*;
    use crate::scene::{Attributes, crop};

    #[test]
    fn a_token_is_told_to_its_user_and_to_root() {
        let place = Rectangle::from_size(4, 4);
        let crop = crop::whole(4, 4);
        let (output, band, z, opacity, visible) = (0, Band::Normal, 0, 255, true);
        let attributes = Attributes { output, place, crop, band, z, opacity, visible };
        let layer = |token| Layer {
            owner: 1,
            uid: 1000,
            token,
            id: 1,
            name: Name::default(),
            size: (4, 4),
            format: Format::Xrgb8888,
            attributes,
            front: (),
            spare: None,
            draws: 0,
        };
        let lingering = layer(Token::from_bytes([7; 16]));
        let askers = [Some(1000), Some(0), Some(1001), None];
        assert_eq!(askers.map(|asker| told(&lingering, asker)[0]), [7, 7, 0, 0]);
        assert_eq!(told(&layer(None), Some(1000)), [0; 16]);
    }
}
