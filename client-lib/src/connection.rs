//! A connection: calls that return when the daemon has replied.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use blitd_protocol::image::Rectangle;
use blitd_protocol::reply::{Receipt, Reply, Shown, Welcome};
use blitd_protocol::request::{Capture, Pixels, RegionCreate, Request, VERSION};
use blitd_protocol::transport::default_socket;
use blitd_protocol::value::{Access, CaptureSubject, Memory, Mode, Priority};

use crate::batch::{BatchEntry, fill};
use crate::draw::{Draw, ImageView};
use crate::error::Error;
use crate::inline::{self, Ranges};
use crate::layer::{Layer, LayerChange, LayerOptions};
use crate::link::{Link, Serial};
use crate::memory;
use crate::region::{self, Region};

/// How long a call waits for a reply, unless told otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// A connection to the daemon. Every call waits for the reply.
///
/// A call that fails tells by [`Error::ends_connection`] whether the connection can be used on. Regions and layers
/// belong to the connection that made them.
#[derive(Debug)]
pub struct Connection {
    link: Link,
    /// Its number in this process.
    number: u64,
    welcome: Welcome,
    priority: Priority,
    timeout: Option<Duration>,
}

impl Connection {
    /// Connects to the daemon's usual socket: the one that `BLITD_SOCKET` names, else the user's own daemon's, else
    /// the system's. `name` is for people, cut at 32 bytes.
    ///
    /// # Errors
    /// Nobody listens there, or the daemon does not let this user in.
    pub fn open(name: &str) -> Result<Self, Error> {
        Self::open_at(&default_socket(), name)
    }

    /// Connects to the socket at `path`.
    ///
    /// # Errors
    /// Nobody listens there, or the daemon does not let this user in.
    pub fn open_at(path: &Path, name: &str) -> Result<Self, Error> {
        let socket = UnixStream::connect(path)
            .map_err(|source| Error::Connect { path: path.to_path_buf(), source })?;
        Self::over(socket, name)
    }

    /// Greets the daemon over a socket that is connected to it.
    ///
    /// # Errors
    /// The daemon does not let this user in, or goes away.
    pub(crate) fn over(socket: UnixStream, name: &str) -> Result<Self, Error> {
        let (mut link, serial) = Link::new(socket, name)?;
        let welcome = match link.wait_for(serial, Some(Instant::now() + DEFAULT_TIMEOUT))? {
            Reply::Welcome(welcome) if welcome.version == VERSION => welcome,
            Reply::Refused(refusal) => return Err(refusal.into()),
            other => return Err(Error::Unexpected { kind: other.kind() }),
        };
        Ok(Self {
            link,
            number: new_number(),
            welcome,
            priority: Priority::DEFAULT,
            timeout: Some(DEFAULT_TIMEOUT),
        })
    }

    /// The priority of all requests from now on. The daemon refuses those above its ceiling for this user.
    pub fn set_priority(&mut self, priority: Priority) {
        self.priority = priority;
    }

    /// How long to wait for a reply, [`DEFAULT_TIMEOUT`] at first; `None` is for ever. Where pixels travel in
    /// several messages, each of them may take that long.
    ///
    /// A call whose reply does not come in time fails with [`Error::TimedOut`] and closes the connection, since
    /// what it lent may still be in use.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.timeout = timeout;
    }

    /// How pixels travel.
    pub fn mode(&self) -> Mode {
        self.welcome.mode
    }

    /// What the daemon said when it let this connection in: limits, mode, number.
    pub fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    /// Waits until pulses come, as long as `longest` at most (`None` is without limit), and returns them. Those that
    /// came during other calls are returned at once; a pulse that comes again before that is kept once.
    ///
    /// It can return early with none, as when a signal arrives.
    ///
    /// # Errors
    /// The daemon has ended the connection, or sent what does not fit.
    pub fn wait_for_pulses(&mut self, longest: Option<Duration>) -> Result<Vec<Reply<'static>>, Error> {
        let mut pulses: Vec<_> = self.link.pulses().collect();
        if pulses.is_empty() {
            self.link.dispatch(longest)?;
            pulses.extend(self.link.pulses());
        }
        Ok(pulses)
    }

    /// Makes a region of this many bytes, zero at first.
    ///
    /// # Errors
    /// The memory cannot be had, or the daemon's limit for this user is reached.
    pub fn create_region(&mut self, bytes: usize) -> Result<Region, Error> {
        // The kernel would take all of the machine's memory for it before the daemon could refuse.
        if bytes as u64 > self.welcome.bytes {
            return Err(Error::TooLarge { bytes, limit: self.welcome.bytes });
        }
        let id = new_id();
        let create = |memory| {
            Request::RegionCreate(RegionCreate {
                region: id,
                memory,
                access: Access::ReadWrite,
                size: bytes as u64,
            })
        };
        let (map, serial) = match self.mode() {
            Mode::Shared => {
                let (map, descriptor) = memory::shared(bytes)?;
                (map, self.link.submit_with(&create(Memory::Memfd), descriptor, self.priority)?)
            }
            Mode::Inline => (memory::private(bytes)?, self.submit(&create(Memory::Held))?),
        };
        self.wait(serial, done)?;
        Ok(Region::new(id, self.number, region::Memory::Mapped(map)))
    }

    /// Lends the first `bytes` bytes of a dmabuf that the program has: an export of a GEM object (PRIME), of a dma-buf
    /// heap, of udmabuf. Its driver must map its exports; `access` is what the daemon may do, and to write it the
    /// descriptor must be open for writing (`DRM_RDWR`).
    ///
    /// A draw waits for the fences of the dmabuf's writers, a capture for its readers' too, so a program need not wait
    /// for the device that paints it. The fences must be attached before the call, which drivers with implicit
    /// synchronization do, and all others by `DMA_BUF_IOCTL_IMPORT_SYNC_FILE`. After 100 ms the daemon refuses with
    /// [`FenceTimeout`](blitd_protocol::error::ErrorCode::FenceTimeout).
    ///
    /// # Errors
    /// [`Error::NotShared`] where the connection is inline. The daemon refuses what is no dmabuf, is smaller or cannot
    /// be mapped, and what is beyond its limits for this user.
    pub fn lend_dmabuf(
        &mut self,
        descriptor: OwnedFd,
        bytes: usize,
        access: Access,
    ) -> Result<Region, Error> {
        if self.mode() == Mode::Inline {
            return Err(Error::NotShared);
        }
        let id = new_id();
        let create = RegionCreate { region: id, memory: Memory::Dmabuf, access, size: bytes as u64 };
        let serial = self.link.submit_with(&Request::RegionCreate(create), descriptor, self.priority)?;
        self.wait(serial, done)?;
        Ok(Region::new(id, self.number, region::Memory::Dmabuf))
    }

    /// Ends a region, here and at the daemon.
    ///
    /// # Errors
    /// It is another connection's, or the connection is of no more use.
    pub fn destroy_region(&mut self, region: Region) -> Result<(), Error> {
        region.check_owner(self.number)?;
        self.call(&Request::RegionDestroy { region: region.id() }, done).map(drop)
    }

    /// Makes a layer.
    ///
    /// # Errors
    /// The daemon refuses its size, output or band, or its limit for this user is reached.
    pub fn create_layer(&mut self, options: &LayerOptions) -> Result<Layer, Error> {
        let id = new_id();
        self.call(&Request::LayerCreate(options.request(id)), done)?;
        Ok(Layer::new(id, options))
    }

    /// Changes a layer.
    ///
    /// # Errors
    /// The daemon refuses the output or band, or does not know the layer.
    pub fn configure_layer(&mut self, layer: &Layer, change: &LayerChange) -> Result<(), Error> {
        self.call(&Request::LayerConfigure(change.request(layer)), done).map(drop)
    }

    /// Ends a layer.
    ///
    /// # Errors
    /// The daemon does not know it, or the connection is of no more use.
    pub fn destroy_layer(&mut self, layer: Layer) -> Result<(), Error> {
        self.call(&Request::LayerDestroy { layer: layer.id() }, done).map(drop)
    }

    /// Draws an image of a region into a layer. When it returns, the pixels have been read and are in the layer,
    /// and the region can be painted again.
    ///
    /// # Errors
    /// The daemon refuses the draw: the image leaves the region, say, or the part the image. After an error that
    /// ends the connection the region is empty.
    pub fn draw(&mut self, layer: &Layer, region: &mut Region, draw: &Draw) -> Result<Receipt, Error> {
        region.lend(self.number, |id, memory| {
            if self.mode() == Mode::Inline {
                match inline::carrying(layer, memory, draw) {
                    Err(Error::TooManyCarried { .. }) => {
                        let mut ranges = Ranges::default();
                        ranges.add(draw.image(), draw.crop(), id, memory.len())?;
                        inline::write(self, id, memory, &ranges)?;
                    }
                    carrying => return self.call(&carrying?, done),
                }
            }
            self.call(&Request::Draw(draw.request(layer, id)), done)
        })
    }

    /// Draws pixels that travel in the draw's own message, at most 64 KiB of them, whatever the mode. The draw's
    /// image is a view of `pixels`.
    ///
    /// # Errors
    /// They are too many, or the daemon refuses the draw.
    pub fn draw_pixels(&mut self, layer: &Layer, pixels: &[u8], draw: &Draw) -> Result<Receipt, Error> {
        self.call(&inline::carrying(layer, pixels, draw)?, done)
    }

    /// Replaces a rectangle of a layer by a colour, a premultiplied ARGB8888 word. What leaves the layer is
    /// clipped.
    ///
    /// # Errors
    /// The daemon does not know the layer, or the connection is of no more use.
    pub fn fill(
        &mut self,
        layer: &Layer,
        colour: u32,
        x: i32,
        y: i32,
        width: u32,
        height: u32,
    ) -> Result<Receipt, Error> {
        self.call(&Request::Fill(fill(layer, colour, Pixels { x, y, width, height })), done)
    }

    /// Several requests as one: the daemon checks all before it draws any, and they come on the glass together.
    ///
    /// It lends one region, from which all of its draws draw: several images fit one region at offsets. A batch
    /// without draws takes `None`.
    ///
    /// # Errors
    /// The daemon refuses an entry, whose number the refusal has; or an image is not inside the region; or they are
    /// more than fit a message. Nothing has changed then. After an error that ends the connection the region is empty.
    pub fn batch<'a>(
        &mut self,
        region: impl Into<Option<&'a mut Region>>,
        entries: &[BatchEntry<'_>],
    ) -> Result<Receipt, Error> {
        let request = |region| Request::Batch(entries.iter().map(|entry| entry.entry(region)).collect());
        let Some(region) = region.into() else { return self.call(&request(0), done) };
        region.lend(self.number, |id, memory| {
            if self.mode() == Mode::Inline {
                let mut ranges = Ranges::default();
                for (number, entry) in (0..).zip(entries) {
                    if let BatchEntry::Draw(_, draw) = entry {
                        ranges
                            .add(draw.image(), draw.crop(), id, memory.len())
                            .map_err(|source| Error::Image { entry: Some(number), source })?;
                    }
                }
                inline::write(self, id, memory, &ranges)?;
            }
            self.call(&request(id), done)
        })
    }

    /// Brings what an output shows, without its cursor or anything else that blitd does not draw, into an image of
    /// a region. The image's size is that of the part, whose left column and top row are `x` and `y`.
    ///
    /// # Errors
    /// This user may not, or the part leaves the output. After an error that ends the connection the region is
    /// empty.
    pub fn capture_output(
        &mut self,
        output: u32,
        x: i32,
        y: i32,
        region: &mut Region,
        image: &ImageView,
    ) -> Result<Receipt, Error> {
        self.capture((CaptureSubject::Output, output), (x, y), region, image)
    }

    /// Brings a layer's pixels into an image of a region. The image's size is that of the part, whose left column
    /// and top row in the layer are `x` and `y`.
    ///
    /// # Errors
    /// The part leaves the layer. After an error that ends the connection the region is empty.
    pub fn capture_layer(
        &mut self,
        layer: &Layer,
        x: i32,
        y: i32,
        region: &mut Region,
        image: &ImageView,
    ) -> Result<Receipt, Error> {
        self.capture((CaptureSubject::Layer, layer.id()), (x, y), region, image)
    }

    fn capture(
        &mut self,
        (subject, id): (CaptureSubject, u32),
        (x, y): (i32, i32),
        region: &mut Region,
        image: &ImageView,
    ) -> Result<Receipt, Error> {
        let ImageView { width, height, .. } = *image;
        let source = Pixels { x, y, width, height };
        region.lend(self.number, |region, memory| {
            let mut ranges = Ranges::default();
            if self.mode() == Mode::Inline {
                ranges.add(image, Rectangle::from_size(width, height), region, memory.len())?;
            }
            let capture = Capture { subject, id, source, image: image.image(region) };
            let receipt = self.call(&Request::Capture(capture), done)?;
            inline::read(self, region, memory, &ranges)?;
            Ok(receipt)
        })
    }

    /// Waits until everything that this connection did is on the glass of an output; 0 is the first.
    ///
    /// # Errors
    /// There is no such output, or the connection is of no more use.
    pub fn sync(&mut self, output: u32) -> Result<Shown, Error> {
        self.call(&Request::Sync { output }, |reply| match reply {
            Reply::Shown(shown) => Some(shown),
            _ => None,
        })
    }

    /// Sends a request and waits for its reply, of which `fits` takes what it wants.
    pub(crate) fn call<T>(
        &mut self,
        request: &Request<'_>,
        fits: impl FnOnce(Reply<'static>) -> Option<T>,
    ) -> Result<T, Error> {
        let serial = self.submit(request)?;
        self.wait(serial, fits)
    }

    /// How many bytes wait until the socket takes them.
    pub(crate) fn unsent(&self) -> usize {
        self.link.unsent()
    }

    /// How many bytes have been sent, headers included.
    #[cfg(test)]
    pub(crate) fn bytes_sent(&self) -> u64 {
        self.link.bytes_sent()
    }

    pub(crate) fn submit(&mut self, request: &Request<'_>) -> Result<Serial, Error> {
        self.link.submit(request, self.priority)
    }

    pub(crate) fn wait<T>(
        &mut self,
        serial: Serial,
        fits: impl FnOnce(Reply<'static>) -> Option<T>,
    ) -> Result<T, Error> {
        let deadline = self.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let outcome = self.link.wait_for(serial, deadline).and_then(|reply| match reply {
            Reply::Refused(refusal) => Err(refusal.into()),
            reply => {
                let kind = reply.kind();
                fits(reply).ok_or(Error::Unexpected { kind })
            }
        });
        outcome.inspect_err(|error| {
            if error.ends_connection() {
                self.link.close();
            }
        })
    }
}

fn done(reply: Reply<'static>) -> Option<Receipt> {
    match reply {
        Reply::Done(receipt) => Some(receipt),
        _ => None,
    }
}

/// An id for a region or a layer, not 0. It is new to every connection of this process for the first 2^32 times, so
/// that a layer used on the wrong connection is unknown there, and not somebody else's.
fn new_id() -> u32 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    (NEXT.fetch_add(1, Ordering::Relaxed) % u64::from(u32::MAX)) as u32 + 1
}

/// The number of a connection. Unlike ids these never come again.
fn new_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
