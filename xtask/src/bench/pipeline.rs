//! Many draws that are sent together, each with a reply of its own.

use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use blitd_client::protocol::image::{Format, Image, Plane};
use blitd_client::protocol::request::{Draw, FixedRectangle, LayerCreate, Pixels, RegionCreate, Request};
use blitd_client::protocol::value::{Access, Band, Filter, Memory, Name, Operator, Transform};
use blitd_client::{Error, ImageView, Link, Priority, Reply, Serial};
use rustix::fs::{FallocateFlags, MemfdFlags, SealFlags, fallocate, fcntl_add_seals, memfd_create};

use super::scenes::BATCH;
use crate::tools::TaskError;

/// The ids of its layer and region.
const LAYER: u32 = 1;
const REGION: u32 = 2;

/// A connection that has many draws under way.
pub(super) struct Pipeline {
    link: Link,
    priority: Priority,
    draws: Vec<Request<'static>>,
    serials: Vec<Serial>,
}

impl Pipeline {
    /// A connection with a layer of this size, over all of its z, and memory for a batch of images.
    pub(super) fn open(
        socket: &Path,
        (width, height): (u32, u32),
        priority: Priority,
        image: &ImageView,
    ) -> Result<Self, TaskError> {
        let connected = UnixStream::connect(socket);
        let stream = connected.map_err(|source| TaskError::File { path: socket.to_owned(), source })?;
        let (mut link, hello) = Link::new(stream, "bench")?;
        let bytes = u64::from(BATCH) * u64::from(image.width) * u64::from(image.height) * 4;
        let layer = Request::LayerCreate(LayerCreate {
            layer: LAYER,
            output: 0,
            x: 0,
            y: 0,
            width,
            height,
            z: 0,
            fourcc: Format::Xrgb8888.fourcc(),
            band: Band::Normal,
            opacity: u8::MAX,
            visible: true,
            linger: false,
            name: Name::new("bench"),
        });
        let region =
            RegionCreate { region: REGION, memory: Memory::Memfd, access: Access::Read, size: bytes };
        let sent = [
            hello,
            link.submit(&layer, priority)?,
            link.submit_with(&Request::RegionCreate(region), memory(bytes)?, priority)?,
        ];
        for serial in sent {
            if let Reply::Refused(refusal) = link.wait_for(serial, None)? {
                return Err(Error::from(refusal).into());
            }
        }
        let draws = (0..BATCH).map(|index| draw(image, index)).collect();
        Ok(Self { link, priority, draws, serials: Vec::new() })
    }

    /// Sends all draws, then waits for all replies.
    pub(super) fn draw(&mut self) -> Result<(), TaskError> {
        for draw in &self.draws {
            self.serials.push(self.link.submit(draw, self.priority)?);
        }
        for serial in self.serials.drain(..) {
            match self.link.wait_for(serial, None)? {
                Reply::Done(_) => {}
                reply => return Err(Error::Unexpected { kind: reply.kind() }.into()),
            }
        }
        Ok(())
    }
}

/// Memory of a region, with pages and sealed, as the protocol asks for it.
fn memory(bytes: u64) -> Result<OwnedFd, TaskError> {
    let made = || {
        let memory = memfd_create("bench", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        fallocate(&memory, FallocateFlags::empty(), 0, bytes)?;
        fcntl_add_seals(&memory, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        let memory = std::fs::File::from(memory);
        memory.write_all_at(&vec![0x5a; bytes as usize], 0)?;
        Ok(memory.into())
    };
    made().map_err(|source| TaskError::Start { what: "memory of the pipeline".into(), source })
}

/// Image number `index` of the memory, to place number `index` of a grid, as in a batch.
fn draw(image: &ImageView, index: u32) -> Request<'static> {
    let &ImageView { width, height, format, stride, .. } = image;
    let plane =
        Plane { region: REGION, stride, offset: u64::from(index) * u64::from(width) * u64::from(height) * 4 };
    Request::Draw(Draw {
        layer: LAYER,
        transform: Transform::Identity,
        filter: Filter::Nearest,
        operator: Operator::Source,
        opacity: u8::MAX,
        source: FixedRectangle { x: 0, y: 0, width: width << 16, height: height << 16 },
        destination: Pixels {
            x: (index % 10 * width) as i32,
            y: (index / 10 * height) as i32,
            width,
            height,
        },
        image: Image::linear(width, height, format, plane),
        carried: (&[]).into(),
    })
}
