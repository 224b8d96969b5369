//! What a connection has at the daemon, kept here so that it can be had again: regions, layers, pictures.

mod picture;
mod replay;

use std::collections::BTreeMap;
use std::sync::Arc;

use blitd_protocol::error::{ErrorCode, Refusal};
use blitd_protocol::request::{Draw, Entry, Fill, FixedRectangle, LayerConfigure, LayerCreate, Request};
use blitd_protocol::value::{Band, CaptureSubject, Name, Token};
use blitd_protocol::wire;

use crate::layer::SharedToken;
use crate::region::Backing;
use picture::{Part, Picture};

/// The record of what the daemon has said that it did.
#[derive(Debug, Default)]
pub(crate) struct Record {
    regions: BTreeMap<u32, RegionRecord>,
    /// By their ids, which is the order in which they were created.
    layers: BTreeMap<u32, LayerRecord>,
}

#[derive(Debug)]
struct RegionRecord {
    backing: Arc<Backing>,
    /// Why the daemon that is there now does not have it.
    refusal: Option<Refusal>,
}

#[derive(Debug)]
struct LayerRecord {
    /// How it was created, with all changes since that a creation can have.
    create: LayerCreate,
    /// The changes that it cannot have.
    shown: LayerConfigure,
    /// Where it lingers.
    token: Option<SharedToken>,
    /// `None` where the program paints it anew all the time.
    picture: Option<Picture>,
    /// Why the daemon that is there now does not have it.
    refusal: Option<Refusal>,
}

impl LayerRecord {
    fn new(create: LayerCreate) -> Self {
        let shown = LayerConfigure { layer: create.layer, ..LayerConfigure::default() };
        Self { create, shown, token: None, picture: Some(Picture::new(&create)), refusal: None }
    }

    /// The change that makes a layer that is there what it was, but hidden.
    fn hidden(&self) -> LayerConfigure {
        let LayerCreate { layer, output, x, y, width, height, z, band, opacity, .. } = self.create;
        let whole = FixedRectangle { x: 0, y: 0, width: width << 16, height: height << 16 };
        LayerConfigure {
            layer,
            place: Some((x, y)),
            z: Some(z),
            band: Some(band),
            opacity: Some(opacity),
            visible: Some(false),
            output: Some(output),
            size: Some(self.shown.size.unwrap_or((width, height))),
            crop: Some(self.shown.crop.unwrap_or(whole)),
        }
    }
}

impl Record {
    /// The request to make a layer that lingers was carried out.
    pub(crate) fn lingers(&mut self, request: &Request<'_>, token: Token) {
        let Request::LayerCreate(create) = request else { return };
        let token = Some(SharedToken::new(token));
        self.layers.insert(create.layer, LayerRecord { token, ..LayerRecord::new(*create) });
    }

    /// The request to claim a layer was carried out: this is the layer. Tells which one is to be captured, since its
    /// picture is not known.
    pub(crate) fn claimed(&mut self, request: &Request<'_>, layer: &wire::LayerRecord) -> Option<u32> {
        let Request::LayerClaim { layer: id, token } = *request else { return None };
        let create = LayerCreate {
            layer: id,
            output: layer.output.get(),
            x: layer.x.get(),
            y: layer.y.get(),
            width: layer.width.get(),
            height: layer.height.get(),
            z: layer.z.get(),
            fourcc: layer.fourcc.get(),
            band: Band::from_number(layer.band).unwrap_or(Band::Normal),
            opacity: layer.opacity,
            visible: layer.visible != 0,
            linger: true,
            name: Name::from_bytes(layer.name).unwrap_or_default(),
        };
        let mut record = LayerRecord { token: Some(SharedToken::new(token)), ..LayerRecord::new(create) };
        record.shown.size = Some((layer.shown_width.get(), layer.shown_height.get()));
        record.shown.crop = Some(layer.crop.into());
        record.picture.iter_mut().for_each(Picture::forget);
        self.layers.insert(id, record);
        Some(id)
    }

    /// The token of a layer that lingers.
    pub(crate) fn token(&self, layer: u32) -> Option<SharedToken> {
        self.layers.get(&layer)?.token.clone()
    }

    /// The picture of a layer is not kept.
    pub(crate) fn is_repainted(&mut self, layer: u32) {
        self.layers.entry(layer).and_modify(|layer| layer.picture = None);
    }

    /// A request was carried out. `backing` is the memory that it lent. Tells which of its layers are to be captured.
    pub(crate) fn done(&mut self, request: Request<'static>, backing: Option<Arc<Backing>>) -> Vec<u32> {
        match request {
            Request::RegionCreate(create) => {
                let record = backing.map(|backing| RegionRecord { backing, refusal: None });
                self.regions.extend(record.map(|record| (create.region, record)));
            }
            Request::RegionDestroy { region } => {
                if let Some(RegionRecord { backing, .. }) = self.regions.remove(&region) {
                    let release = |(layer, picture): (u32, &mut Picture)| {
                        picture.release(&backing);
                        picture.wants_capture().then_some(layer)
                    };
                    return self.pictures().filter_map(release).collect();
                }
            }
            Request::LayerCreate(create) => {
                self.layers.insert(create.layer, LayerRecord::new(create));
            }
            Request::LayerConfigure(change) => self.configure(change),
            Request::LayerDestroy { layer } => drop(self.layers.remove(&layer)),
            Request::Draw(draw) => return self.draw(draw, backing).into_iter().collect(),
            Request::Fill(fill) => return self.fill(fill).into_iter().collect(),
            Request::Batch(entries) => {
                let mut wanted: Vec<u32> = entries
                    .into_iter()
                    .filter_map(|entry| match entry {
                        Entry::Draw(draw) => self.draw(draw, backing.clone()),
                        Entry::Fill(fill) => self.fill(fill),
                        Entry::LayerConfigure(change) => {
                            self.configure(change);
                            None
                        }
                    })
                    .collect();
                wanted.dedup();
                return wanted;
            }
            Request::Capture(capture) if capture.subject == CaptureSubject::Layer => {
                self.captured(capture.id, capture.image.planes[0].region, backing.as_ref());
            }
            _ => {}
        }
        Vec::new()
    }

    /// A request was refused. What the daemon does not know since it came back is refused in the words that it had for
    /// that. To end it is to be rid of it all the same: the next daemon might have it.
    pub(crate) fn refused(&mut self, request: &Request<'_>, refusal: Refusal) -> Refusal {
        if let Request::Capture(capture) = request
            && capture.subject == CaptureSubject::Layer
        {
            self.captured(capture.id, capture.image.planes[0].region, None);
        }
        let missing = match refusal.code {
            ErrorCode::UnknownLayer => named_layer(request, refusal.entry)
                .and_then(|layer| self.layers.get(&layer))
                .and_then(|layer| layer.refusal.as_ref()),
            ErrorCode::UnknownRegion => named_region(request, refusal.entry)
                .and_then(|region| self.regions.get(&region))
                .and_then(|region| region.refusal.as_ref()),
            _ => None,
        };
        let Some(missing) = missing else { return refusal };
        let refusal = Refusal { entry: refusal.entry, ..missing.clone() };
        if matches!(request, Request::RegionDestroy { .. } | Request::LayerDestroy { .. }) {
            self.done(request.clone().into_owned(), None);
        }
        refusal
    }

    /// Copies what pictures show of a region that is about to change, whose memory is `mapped` if that is at hand.
    pub(crate) fn save(&mut self, backing: &Backing, mapped: Option<&[u8]>) {
        self.pictures().for_each(|(_, picture)| picture.save(backing.id(), mapped));
        backing.unmark();
    }

    /// The layer's picture, to be captured into a region.
    pub(crate) fn picture(&mut self, layer: u32) -> Option<&mut Picture> {
        self.layers.get_mut(&layer)?.picture.as_mut()
    }

    fn pictures(&mut self) -> impl Iterator<Item = (u32, &mut Picture)> {
        self.layers.iter_mut().filter_map(|(id, layer)| Some((*id, layer.picture.as_mut()?)))
    }

    fn captured(&mut self, layer: u32, region: u32, backing: Option<&Arc<Backing>>) {
        if let Some(picture) = self.picture(layer) {
            picture.captured(layer, region, backing);
        }
    }

    fn draw(&mut self, draw: Draw<'static>, backing: Option<Arc<Backing>>) -> Option<u32> {
        let layer = draw.layer;
        let backing = backing.filter(|_| draw.image.planes[0].region != 0);
        self.add(layer, Part::Draw(draw, backing))
    }

    fn fill(&mut self, fill: Fill) -> Option<u32> {
        self.add(fill.layer, Part::Fill(fill))
    }

    fn add(&mut self, layer: u32, part: Part) -> Option<u32> {
        let picture = self.picture(layer)?;
        picture.add(part);
        picture.wants_capture().then_some(layer)
    }

    fn configure(&mut self, change: LayerConfigure) {
        let Some(LayerRecord { create, shown, .. }) = self.layers.get_mut(&change.layer) else { return };
        let LayerConfigure { layer: _, place, z, band, opacity, visible, output, size, crop } = change;
        (create.x, create.y) = place.unwrap_or((create.x, create.y));
        create.z = z.unwrap_or(create.z);
        create.band = band.unwrap_or(create.band);
        create.opacity = opacity.unwrap_or(create.opacity);
        create.visible = visible.unwrap_or(create.visible);
        create.output = output.unwrap_or(create.output);
        shown.size = size.or(shown.size);
        shown.crop = crop.or(shown.crop);
    }
}

fn named_layer(request: &Request<'_>, entry: Option<u32>) -> Option<u32> {
    match request {
        Request::Draw(draw) => Some(draw.layer),
        Request::Fill(fill) => Some(fill.layer),
        Request::LayerConfigure(change) => Some(change.layer),
        Request::LayerDestroy { layer } => Some(*layer),
        Request::Capture(capture) => Some(capture.id),
        Request::Batch(entries) => match entries.get(entry? as usize)? {
            Entry::Draw(draw) => Some(draw.layer),
            Entry::Fill(fill) => Some(fill.layer),
            Entry::LayerConfigure(change) => Some(change.layer),
        },
        _ => None,
    }
}

fn named_region(request: &Request<'_>, entry: Option<u32>) -> Option<u32> {
    match request {
        Request::RegionDestroy { region } => Some(*region),
        Request::Draw(draw) => Some(draw.image.planes[0].region),
        Request::Capture(capture) => Some(capture.image.planes[0].region),
        Request::Batch(entries) => match entries.get(entry? as usize)? {
            Entry::Draw(draw) => Some(draw.image.planes[0].region),
            _ => None,
        },
        _ => None,
    }
}
