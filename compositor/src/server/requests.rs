//! One handler for each request, named after it.
//!
//! A handler either answers at once, or starts work that is then stepped, slice by slice. It sees the one client that
//! asks, and the rooms.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use blitd_protocol::error::{Coded, ErrorCode, Refusal};
use blitd_protocol::framing::MAX_LENGTH;
use blitd_protocol::image::{Format, MAX_EXTENT, Rectangle};
use blitd_protocol::reply::{Reply, Shown, Welcome};
use blitd_protocol::request::{
    Capture, Entry, LayerConfigure, LayerCreate, MAX_CARRIED, RegionCreate, Request, VERSION,
};
use blitd_protocol::value::{Band, CaptureSubject, ClockSource, Memory, Mode, NotShown, StatisticsSubject};
use foldhash::HashMap;

use super::{Rooms, lingering, listing};
use crate::client::{Client, Work};
use crate::display::output::Output;
use crate::memory::helper::Task;
use crate::memory::region::Region;
use crate::memory::storage::Storage;
use crate::memory::unmap::Mapping;
use crate::policy::accounts::{Change, Usage};
use crate::policy::bands::BandError;
use crate::scene::arrangement::FIRST;
use crate::scene::crop;
use crate::scene::{Attributes, Layer, LayerKey, OutputId};
use crate::work::WorkError;
use crate::work::composition::Composition;
use crate::work::cost;
use crate::work::operation::{Operation, check_source};
use crate::work::paint::Paint;

/// What comes of a request when its turn has come.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It is done; the receipt is the answer.
    Done,
    /// It is done, and this is the answer.
    Reply(Reply<'static>),
    /// It is started.
    Work(Work),
    /// It is asked of all clients, which a handler does not see.
    Statistics(StatisticsSubject, u32),
}

/// What is wrong with a request that asks for something other than pixels.
#[derive(Debug, thiserror::Error)]
enum RequestError {
    #[error("there is no output {output}: ask for the outputs first")]
    UnknownOutput { output: OutputId },
    #[error("there is a layer {layer} already: choose another id or destroy it first")]
    LayerInUse { layer: u32 },
    #[error("a layer of {width}x{height}: each side must be 1 to {MAX_EXTENT} pixels")]
    LayerSize { width: u32, height: u32 },
    #[error("a layer of {width}x{height} at ({x}, {y}) ends beyond 2147483647: move it")]
    LayerPlace { x: i32, y: i32, width: u32, height: u32 },
    #[error(
        "user {uid} may not capture outputs, which show the pixels of others: allow capture_outputs in the configuration"
    )]
    NotPermitted { uid: u32 },
}

impl Coded for RequestError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::UnknownOutput { .. } => ErrorCode::UnknownOutput,
            Self::LayerInUse { .. } => ErrorCode::IdInUse,
            Self::LayerSize { .. } => ErrorCode::BadSize,
            Self::LayerPlace { .. } => ErrorCode::SizeOverflow,
            Self::NotPermitted { .. } => ErrorCode::NotPermitted,
        }
    }
}

/// Does what a request asks for, or begins to.
pub(super) fn carry_out(
    rooms: &mut Rooms,
    client: &mut Client,
    request: Request<'static>,
    descriptor: Option<OwnedFd>,
) -> Result<Outcome, Refusal> {
    match request {
        Request::Hello(_) => Ok(hello(client)),
        Request::RegionCreate(create) => region_create(rooms, client, create, descriptor),
        Request::RegionDestroy { region } => region_destroy(rooms, client, region),
        Request::RegionWrite { region, offset, bytes } => {
            client.regions.get(region)?.put(offset, &bytes)?;
            Ok(Outcome::Done)
        }
        Request::RegionRead { region, offset, length } => {
            let mut bytes = Vec::new();
            client.regions.get(region)?.get(offset, length, &mut bytes)?;
            Ok(Outcome::Reply(Reply::Data(bytes.into())))
        }
        Request::LayerCreate(create) => layer_create(rooms, client, create),
        Request::LayerConfigure(configure) => {
            let configures = [layer_configure(rooms, client, &configure, |_| None)?];
            let change = change(rooms, &configures);
            charge(rooms, client, change.more())?;
            rooms.scene.configure(configures);
            release(rooms, client, change.less());
            Ok(Outcome::Done)
        }
        Request::LayerDestroy { layer } => layer_destroy(rooms, client, layer),
        Request::LayerClaim { layer, token } => Ok(lingering::claim(rooms, client, layer, &token)?),
        Request::Draw(draw) => {
            let operation = Operation::draw(draw, client.ids(), &rooms.scene)?;
            Ok(Outcome::Work(Work::Paint(Paint::single(operation), Change::default())))
        }
        Request::Fill(fill) => {
            let operation = Operation::fill(&fill, client.ids(), &rooms.scene)?;
            Ok(Outcome::Work(Work::Paint(Paint::single(operation), Change::default())))
        }
        Request::Batch(entries) => batch(rooms, client, entries),
        Request::Capture(request) => capture(rooms, client, &request),
        Request::Sync { output } => sync(rooms, client, output),
        Request::Outputs { first } => Ok(Outcome::Reply(listing::outputs(rooms, first))),
        Request::Statistics { subject, first } => Ok(Outcome::Statistics(subject, first)),
    }
}

fn hello(client: &Client) -> Outcome {
    let limits = client.limits();
    Outcome::Reply(Reply::Welcome(Welcome {
        version: VERSION,
        mode: client.mode().unwrap_or(Mode::Inline),
        ceiling: limits.priority.number(),
        longest: MAX_LENGTH as u32,
        connection: client.id(),
        bytes: limits.bytes,
        regions: limits.regions,
        layers: limits.layers,
        requests: limits.requests,
        carried: MAX_CARRIED as u32,
    }))
}

/// Charges a client's user, or refuses and charges nothing. What is no more than before is always allowed.
fn charge(rooms: &mut Rooms, client: &mut Client, more: Usage) -> Result<(), Refusal> {
    rooms.accounts.charge(client.credentials().uid, client.limits(), more)?;
    client.usage = client.usage.plus(more);
    Ok(())
}

pub(super) fn release(rooms: &mut Rooms, client: &mut Client, less: Usage) {
    rooms.accounts.release(client.credentials().uid, less);
    client.usage = client.usage.minus(less);
}

fn region_create(
    rooms: &mut Rooms,
    client: &mut Client,
    create: RegionCreate,
    descriptor: Option<OwnedFd>,
) -> Result<Outcome, Refusal> {
    let RegionCreate { region: id, memory, access, size } = create;
    client.regions.check_free(id)?;
    charge(rooms, client, region_usage(memory == Memory::Dmabuf, size))?;
    let unsealed = client.limits().unsealed_memory;
    let region = match (memory, descriptor) {
        (Memory::Dmabuf, Some(descriptor)) => match Region::check_dmabuf(id, descriptor, size) {
            Ok((dmabuf, length)) => {
                rooms.helper.submit(client.id(), &dmabuf, Task::Map(length, access));
                return Ok(Outcome::Work(Work::Map(create)));
            }
            Err(error) => Err(error.into()),
        },
        (Memory::Held, _) => Region::hold(id, access, size, &rooms.unmapper).map_err(Refusal::from),
        (Memory::Memfd, Some(descriptor)) => {
            Region::share(id, &descriptor, access, size, unsealed, &rooms.unmapper).map_err(Refusal::from)
        }
        (Memory::Dmabuf | Memory::Memfd, None) => {
            tracing::error!("connection {}: a region without its descriptor has come this far", client.id());
            let what = "a region without its descriptor".into();
            Err(WorkError::NotSupported { what, instead: "send one" }.into())
        }
    };
    region_made(rooms, client, create, region)
}

/// A dmabuf has been mapped, or has not.
pub(super) fn region_mapped(
    rooms: &mut Rooms,
    client: &mut Client,
    create: RegionCreate,
    mapped: io::Result<Mapping>,
) -> Result<Outcome, Refusal> {
    let region = Region::of_dmabuf(create.region, create.access, create.size, mapped);
    region_made(rooms, client, create, region.map_err(Refusal::from))
}

fn region_made(
    rooms: &mut Rooms,
    client: &mut Client,
    create: RegionCreate,
    region: Result<Region, Refusal>,
) -> Result<Outcome, Refusal> {
    match region {
        Ok(region) => {
            client.regions.insert(region);
            Ok(Outcome::Done)
        }
        Err(refusal) => {
            release(rooms, client, region_usage(create.memory == Memory::Dmabuf, create.size));
            Err(refusal)
        }
    }
}

fn region_usage(is_dmabuf: bool, bytes: u64) -> Usage {
    Usage { regions: 1, dmabufs: is_dmabuf.into(), bytes, ..Usage::default() }
}

fn region_destroy(rooms: &mut Rooms, client: &mut Client, region: u32) -> Result<Outcome, Refusal> {
    let removed = client.regions.remove(region)?;
    release(rooms, client, region_usage(removed.dmabuf().is_some(), removed.size()));
    Ok(Outcome::Done)
}

/// The output with this number, which is there.
fn output(rooms: &Rooms, number: OutputId) -> Result<&Output, RequestError> {
    let wanted = if number == FIRST { rooms.arrangement.first() } else { Some(number) };
    let found = rooms.outputs.iter().find(|output| Some(output.id()) == wanted);
    found.ok_or(RequestError::UnknownOutput { output: number })
}

/// A number that a layer may name: the first's, or that of an output that is there or has been.
fn known(rooms: &Rooms, number: OutputId) -> Result<OutputId, RequestError> {
    if number == FIRST || rooms.arrangement.has_had(number) {
        Ok(number)
    } else {
        Err(RequestError::UnknownOutput { output: number })
    }
}

/// The reply to a sync that does not wait.
pub(super) fn not_shown(output: OutputId, reason: NotShown) -> Reply<'static> {
    Reply::Shown(Shown { output, reason, sequence: 0, time: 0, clock: ClockSource::None })
}

/// What a layer fills on its output.
fn placed((x, y): (i32, i32), (width, height): (u32, u32)) -> Result<Rectangle, RequestError> {
    if !(1..=MAX_EXTENT).contains(&width) || !(1..=MAX_EXTENT).contains(&height) {
        return Err(RequestError::LayerSize { width, height });
    }
    Rectangle::new(x, y, width, height).ok_or(RequestError::LayerPlace { x, y, width, height })
}

/// An id under which a connection has no layer.
pub(super) fn check_free(client: &Client, layer: u32) -> Result<(), Refusal> {
    if client.layers.contains_key(&layer) {
        return Err(RequestError::LayerInUse { layer }.into());
    }
    Ok(())
}

pub(super) fn check_band(client: &Client, band: Band) -> Result<(), BandError> {
    client.limits().bands.check(client.credentials().uid, band)
}

/// A layer is charged for both of its storages from the start, so that no draw can fail on a limit. For want of memory
/// one still can: the second is only allocated when it is needed. For what composing it costs it is charged while it is
/// visible.
pub(super) fn layer_usage((width, height): (u32, u32), attributes: &Attributes) -> Usage {
    let bytes = 2 * Storage::bytes_for(width, height);
    Usage { layers: 1, bytes, composing: cost::of_layer(attributes), ..Usage::default() }
}

/// What a change of layers changes of what their user is charged for.
fn change(rooms: &Rooms, configures: &[(LayerKey, Attributes)]) -> Change {
    let composing = |costs: &mut dyn Iterator<Item = u64>| Usage {
        composing: costs.fold(0, u64::saturating_add),
        ..Usage::default()
    };
    let before = configures.iter().filter_map(|(key, _)| rooms.scene.get(*key));
    Change {
        before: composing(&mut before.map(|layer| cost::of_layer(&layer.attributes))),
        after: composing(&mut configures.iter().map(|(_, after)| cost::of_layer(after))),
    }
}

fn layer_create(rooms: &mut Rooms, client: &mut Client, create: LayerCreate) -> Result<Outcome, Refusal> {
    let LayerCreate { layer: id, x, y, width, height, .. } = create;
    check_free(client, id)?;
    let output = known(rooms, create.output)?;
    let place = placed((x, y), (width, height))?;
    let format = Format::from_fourcc(create.fourcc)?;
    if !matches!(format, Format::Xrgb8888 | Format::Argb8888) {
        let what = format!("a layer of format {format}");
        return Err(WorkError::NotSupported { what, instead: "use XR24 or AR24" }.into());
    }
    check_band(client, create.band)?;
    let token = if create.linger { Some(lingering::token()?) } else { None };
    let LayerCreate { band, z, opacity, visible, .. } = create;
    let crop = crop::whole(width, height);
    let attributes = Attributes { output, place, crop, band, z, opacity, visible };
    let usage = layer_usage((width, height), &attributes);
    charge(rooms, client, usage)?;
    let front = match Storage::new(width, height, format, &rooms.unmapper) {
        Ok(storage) => Rc::new(storage),
        Err(error) => {
            release(rooms, client, usage);
            return Err(error.into());
        }
    };
    let key = rooms.scene.insert(Layer {
        owner: client.id(),
        uid: client.credentials().uid,
        token,
        id,
        name: create.name,
        size: (width, height),
        format,
        attributes,
        front,
        spare: None,
        draws: 0,
    });
    client.layers.insert(id, key);
    Ok(token.map_or(Outcome::Done, |token| Outcome::Reply(Reply::Token(token))))
}

/// What a layer would be after the change, where it has been `earlier` changed to something.
fn layer_configure(
    rooms: &Rooms,
    client: &Client,
    configure: &LayerConfigure,
    earlier: impl FnOnce(LayerKey) -> Option<Attributes>,
) -> Result<(LayerKey, Attributes), Refusal> {
    let (key, layer) = client.ids().layer(&rooms.scene, configure.layer)?;
    let before = earlier(key).unwrap_or(layer.attributes);
    configure.band.map_or(Ok(()), |band| check_band(client, band))?;
    let (x, y) = configure.place.unwrap_or((before.place.left(), before.place.top()));
    let (width, height) = configure.size.unwrap_or((before.place.width(), before.place.height()));
    let place = placed((x, y), (width, height))?;
    let crop = configure.crop.unwrap_or(before.crop);
    check_source(crop, layer.size, || format!("layer {}", layer.id))?;
    let output = match configure.output {
        None => before.output,
        Some(number) => known(rooms, number)?,
    };
    let attributes = Attributes {
        output,
        place,
        crop,
        band: configure.band.unwrap_or(before.band),
        z: configure.z.unwrap_or(before.z),
        opacity: configure.opacity.unwrap_or(before.opacity),
        visible: configure.visible.unwrap_or(before.visible),
    };
    Ok((key, attributes))
}

fn layer_destroy(rooms: &mut Rooms, client: &mut Client, layer: u32) -> Result<Outcome, Refusal> {
    let key = client.layers.remove(&layer).ok_or(WorkError::UnknownLayer { layer })?;
    if let Some(removed) = rooms.scene.remove(key) {
        release(rooms, client, layer_usage(removed.size, &removed.attributes));
    }
    Ok(Outcome::Done)
}

/// Validates all of a batch before its first pixel. What its changes of layers cost is counted when all of them are made.
fn batch(rooms: &mut Rooms, client: &mut Client, entries: Vec<Entry<'static>>) -> Result<Outcome, Refusal> {
    let mut operations = Vec::new();
    let mut configures: HashMap<LayerKey, Attributes> = HashMap::default();
    for (index, entry) in (0..).zip(entries) {
        let at = |refusal: Refusal| refusal.in_entry(index);
        match entry {
            Entry::Draw(draw) => {
                operations.push(
                    Operation::draw(draw, client.ids(), &rooms.scene).map_err(|error| at(error.into()))?,
                );
            }
            Entry::Fill(fill) => {
                operations.push(
                    Operation::fill(&fill, client.ids(), &rooms.scene).map_err(|error| at(error.into()))?,
                );
            }
            Entry::LayerConfigure(configure) => {
                // Two changes of one layer add up, as they would one after the other.
                let earlier = |key| configures.get(&key).copied();
                let (key, attributes) = layer_configure(rooms, client, &configure, earlier).map_err(at)?;
                configures.insert(key, attributes);
            }
        }
    }
    let configures: Vec<_> = configures.into_iter().collect();
    let change = change(rooms, &configures);
    charge(rooms, client, change.more())?;
    Ok(Outcome::Work(Work::Paint(Paint::batch(operations, configures), change)))
}

fn capture(rooms: &mut Rooms, client: &Client, capture: &Capture) -> Result<Outcome, Refusal> {
    let ids = client.ids();
    let composition = match capture.subject {
        CaptureSubject::Layer => Composition::of_layer(capture, ids, &rooms.scene)?,
        CaptureSubject::Output => {
            let output = output(rooms, capture.id)?;
            if !client.limits().capture_outputs {
                return Err(RequestError::NotPermitted { uid: client.credentials().uid }.into());
            }
            let snapshot = rooms.scene.snapshot(&rooms.arrangement.shown_on(output.id()));
            Composition::of_output(capture, ids, snapshot, output.screen().background, output.bounds())?
        }
    };
    Ok(Outcome::Work(Work::Capture(rooms.compositions.begin(composition))))
}

fn sync(rooms: &mut Rooms, client: &Client, number: OutputId) -> Result<Outcome, Refusal> {
    rooms.spread_damage();
    let number = known(rooms, number)?;
    let Ok(output) = output(rooms, number) else {
        return Ok(Outcome::Reply(not_shown(number, NotShown::OutputOff)));
    };
    if output.is_off() {
        return Ok(Outcome::Reply(not_shown(output.id(), NotShown::OutputOff)));
    }
    if !rooms.scene.is_visible(client.id(), &rooms.arrangement.shown_on(output.id())) {
        return Ok(Outcome::Reply(not_shown(output.id(), NotShown::NothingVisible)));
    }
    Ok(Outcome::Work(Work::Sync { output: output.id(), generation: output.generation() }))
}
