//! Batches: several requests as one.

use blitd_protocol::request::{Entry, Fill, Pixels, Request};
use blitd_protocol::value::Operator;

use crate::draw::Draw;
use crate::layer::{Layer, LayerChange};

/// One entry of a batch.
#[derive(Clone, Copy, Debug)]
pub enum BatchEntry<'a> {
    /// Draws an image of the batch's region into a layer.
    Draw(&'a Layer, Draw),
    /// Replaces a rectangle of a layer by a premultiplied ARGB8888 colour.
    Fill(&'a Layer, u32, Pixels),
    /// Changes a layer.
    Configure(&'a Layer, LayerChange),
}

impl BatchEntry<'_> {
    /// The entry as the protocol has it, drawing from the region with this id.
    fn entry(&self, region: u32) -> Entry<'static> {
        match self {
            Self::Draw(layer, draw) => Entry::Draw(draw.request(layer, region)),
            Self::Fill(layer, colour, destination) => Entry::Fill(fill(layer, *colour, *destination)),
            Self::Configure(layer, change) => Entry::LayerConfigure(change.request(layer)),
        }
    }
}

/// The batch of these entries, whose draws draw from the region with this id.
pub(crate) fn request(entries: &[BatchEntry<'_>], region: u32) -> Request<'static> {
    Request::Batch(entries.iter().map(|entry| entry.entry(region)).collect())
}

/// The request that replaces `destination` by `colour`.
pub(crate) fn fill(layer: &Layer, colour: u32, destination: Pixels) -> Fill {
    Fill { layer: layer.id(), colour, operator: Operator::Source, destination }
}
