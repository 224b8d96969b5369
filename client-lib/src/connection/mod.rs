//! A connection: calls that return when the daemon has replied, and what a program's own loop needs.

mod asked;
mod drawing;
mod lent;
mod options;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
#[cfg(test)]
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use blitd_protocol::reply::{Receipt, Reply, Shown, Welcome};
use blitd_protocol::request::Request;
use blitd_protocol::transport::default_socket;
use blitd_protocol::value::{Access, Memory, Mode, Priority, Token};

use crate::connect;
use crate::error::Error;
use crate::exchange::{Shared, Way};
use crate::layer::{Layer, LayerChange, LayerOptions, SharedToken};
use crate::memory;
use crate::region::{self, Backing, Region, new_id};
pub use asked::Asked;
pub use lent::{LendError, Lent};
pub use options::ConnectionOptions;

/// How long a call waits for a reply, unless told otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// A connection to the daemon.
///
/// Most calls wait for the reply. Those that [lend for later](Self::lend_draw) or [ask for later](Self::ask_sync) do
/// not, and [`dispatch`](Self::dispatch) serves a program with a loop of its own.
///
/// When the daemon goes and comes back, so does all that the connection has there, unless it was opened
/// [otherwise](ConnectionOptions::not_restored); see [the crate's page](crate#a-daemon-that-goes-and-comes-back).
///
/// A call that fails tells by [`Error::ends_connection`] whether the connection can be used on. Regions and layers
/// belong to the connection that made them.
#[derive(Debug)]
pub struct Connection {
    shared: Arc<Shared>,
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
        Self::open_with(&ConnectionOptions::new(name))
    }

    /// Connects to the socket at `path`.
    ///
    /// # Errors
    /// Nobody listens there, or the daemon does not let this user in.
    pub fn open_at(path: &Path, name: &str) -> Result<Self, Error> {
        Self::open_with(&ConnectionOptions::new(name).at(path))
    }

    /// Connects as the options say.
    ///
    /// # Errors
    /// Nobody listens there, the daemon does not let this user in, or it does not answer in time.
    pub fn open_with(options: &ConnectionOptions) -> Result<Self, Error> {
        let deadline = deadline(options.timeout);
        let path = options.path.clone().unwrap_or_else(default_socket);
        let socket = connect::connect(&path, deadline)?;
        let way = options.is_restored.then(|| Way { path, name: options.name.clone() });
        let (link, welcome) = connect::greet(socket, &options.name, deadline)?;
        Ok(Self {
            shared: Shared::new(link, welcome, way)?,
            priority: Priority::DEFAULT,
            timeout: options.timeout,
        })
    }

    /// A connection over a socket that is connected to a daemon, not restored when that goes.
    #[cfg(test)]
    pub(crate) fn over(socket: UnixStream, name: &str) -> Result<Self, Error> {
        let (link, welcome) = connect::greet(socket, name, None)?;
        let (priority, timeout) = (Priority::DEFAULT, Some(DEFAULT_TIMEOUT));
        Ok(Self { shared: Shared::new(link, welcome, None)?, priority, timeout })
    }

    /// The priority of all requests from now on. The daemon refuses those above its ceiling for this user.
    pub fn set_priority(&mut self, priority: Priority) {
        self.priority = priority;
    }

    /// How long to wait for a reply, [`DEFAULT_TIMEOUT`] at first; `None` is for ever. A listing asks several times
    /// where it is long, and each may take that long.
    ///
    /// A call whose reply does not come in time fails with [`Error::TimedOut`] and closes the connection, since
    /// what it lent may still be in use. While the daemon is gone, nothing is in use: then the call fails with
    /// [`Error::Away`], and the connection goes on waiting for the daemon. A handle that is waited for is given back in
    /// both cases, and nothing is closed.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.timeout = timeout;
    }

    /// How pixels travel.
    pub fn mode(&self) -> Mode {
        self.welcome().mode
    }

    /// What the daemon said when it let this connection in: limits, mode, number.
    pub fn welcome(&self) -> Welcome {
        *self.shared.exchange().welcome()
    }

    /// Sends what is queued, takes in what has come, and if nothing has, waits for it: as long as `longest` at most;
    /// zero is not at all, `None` is without limit. It can return early with nothing.
    ///
    /// It does all that a connection has to do, so it is what a program's own loop calls when the connection's
    /// descriptor ([`AsFd`]) is readable, and before it sleeps, if it has queued something. Then handles can be
    /// [ready](Lent::is_ready), and there may be [pulses](Self::pulses). Any other call that waits may take in what a
    /// handle waits for, too: look at the handles after it.
    ///
    /// # Errors
    /// The connection has ended.
    pub fn dispatch(&mut self, longest: Option<Duration>) -> Result<(), Error> {
        self.shared.dispatch(longest)
    }

    /// Sends what is queued, as far as the socket takes it now; [`dispatch`](Self::dispatch) sends the rest.
    ///
    /// # Errors
    /// The connection has ended.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.shared.exchange().flush()
    }

    /// The pulses that have come and were not taken yet. One that comes again before that is kept once.
    pub fn pulses(&mut self) -> Vec<Reply<'static>> {
        self.shared.exchange().link().pulses().collect()
    }

    /// Waits until pulses come, as long as `longest` at most (`None` is without limit), and returns them. Those that
    /// came during other calls are returned at once; a pulse that comes again before that is kept once.
    ///
    /// It can return early with none, as when a signal arrives.
    ///
    /// # Errors
    /// The daemon has ended the connection, or sent what does not fit.
    pub fn wait_for_pulses(&mut self, longest: Option<Duration>) -> Result<Vec<Reply<'static>>, Error> {
        let pulses = self.pulses();
        if !pulses.is_empty() {
            return Ok(pulses);
        }
        self.dispatch(longest)?;
        Ok(self.pulses())
    }

    /// Makes a region of this many bytes, zero at first.
    ///
    /// # Errors
    /// The memory cannot be had, or the daemon's limit for this user is reached.
    pub fn create_region(&mut self, bytes: usize) -> Result<Region, Error> {
        // The kernel would take all of the machine's memory for it before the daemon could refuse.
        let limit = self.welcome().bytes;
        if bytes as u64 > limit {
            return Err(Error::TooLarge { bytes, limit });
        }
        let (map, descriptor) = memory::shared(bytes)?;
        self.create(descriptor, bytes, Memory::Memfd, Access::ReadWrite, region::Memory::Mapped(map))
    }

    fn create(
        &mut self,
        descriptor: OwnedFd,
        bytes: usize,
        kind: Memory,
        access: Access,
        memory: region::Memory,
    ) -> Result<Region, Error> {
        let backing = Arc::new(Backing::new(new_id(), descriptor, bytes as u64, kind, access));
        let reply = self.ask(&Request::RegionCreate(backing.create()), Some(&backing))?;
        fitting(reply, done).map_err(|error| self.shared.exchange().fail(error))?;
        Ok(Region::new(backing, Arc::clone(&self.shared), memory))
    }

    /// Lends the first `bytes` bytes of a dmabuf that the program has: an export of a GEM object (PRIME), of a dma-buf
    /// heap, of udmabuf. Its driver must map its exports; `access` is what the daemon may do, and to write it the
    /// descriptor must be open for writing (`DRM_RDWR`). The library keeps the descriptor for as long as the region: to
    /// restore a picture, it is lent again and drawn from as it is then.
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
        self.create(descriptor, bytes, Memory::Dmabuf, access, region::Memory::Dmabuf)
    }

    /// Ends a region, here and at the daemon. What layers show of it is kept, so that it can be restored.
    ///
    /// # Errors
    /// It is another connection's, or the connection is of no more use.
    pub fn destroy_region(&mut self, region: Region) -> Result<(), Error> {
        region.lendable(&self.shared)?;
        self.call(&Request::RegionDestroy { region: region.id() }, done)?;
        region.destroyed();
        Ok(())
    }

    /// Makes a layer.
    ///
    /// # Errors
    /// The daemon refuses its size, output or band, or its limit for this user is reached.
    pub fn create_layer(&mut self, options: &LayerOptions) -> Result<Layer, Error> {
        let id = new_id();
        if options.is_repainted() {
            self.shared.exchange().will_be_repainted(id);
        }
        let token = self.call(&Request::LayerCreate(options.request(id)), |reply| match reply {
            Reply::Done(_) => Some(None),
            Reply::Token(token) => Some(Some(token)),
            _ => None,
        })?;
        let layer = Layer::new(id, options);
        Ok(match token {
            Some(token) => Layer::lingering(id, layer.width(), layer.height(), self.token(id, token)),
            None => layer,
        })
    }

    /// Takes over a layer that [lingers](LayerOptions::linger) and belongs to nobody, by its token. It stays as it is. A
    /// lost token is in the listing of [`layer_statistics`](Self::layer_statistics), for programs of the same user and of root.
    ///
    /// # Errors
    /// The daemon has no such layer ([`UnknownToken`](blitd_protocol::error::ErrorCode::UnknownToken)), as after it has
    /// been started anew; the layer belongs to a connection
    /// ([`LayerInUse`](blitd_protocol::error::ErrorCode::LayerInUse)); this user may not have its band; or the daemon's
    /// limit for this user is reached.
    pub fn claim_layer(&mut self, token: Token) -> Result<Layer, Error> {
        let id = new_id();
        let record = self.call(&Request::LayerClaim { layer: id, token }, |reply| match reply {
            Reply::Claimed(record) => Some(record),
            _ => None,
        })?;
        Ok(Layer::lingering(id, record.width.get(), record.height.get(), self.token(id, token)))
    }

    /// The token of a layer that lingers, as it is kept for a daemon that comes back, if it is.
    fn token(&self, layer: u32, token: Token) -> SharedToken {
        let kept = self.shared.record().and_then(|record| record.token(layer));
        kept.unwrap_or_else(|| SharedToken::new(token))
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

    /// Sends a request and waits for its reply, of which `fits` takes what it wants.
    pub(crate) fn call<T>(
        &mut self,
        request: &Request<'_>,
        fits: impl FnOnce(Reply<'static>) -> Option<T>,
    ) -> Result<T, Error> {
        let outcome = self.ask(request, None).and_then(|reply| fitting(reply, fits));
        outcome.map_err(|error| self.shared.exchange().fail_if_over(error))
    }

    /// Sends a request and waits for its reply, which is no refusal.
    fn ask(
        &mut self,
        request: &Request<'_>,
        backing: Option<&Arc<Backing>>,
    ) -> Result<Reply<'static>, Error> {
        let deadline = deadline(self.timeout);
        let ticket = self.shared.exchange().submit(request, backing.cloned(), self.priority)?;
        let (mut exchange, outcome) = self.shared.finish(ticket, deadline);
        outcome.map_err(|error| exchange.fail_if_over(error))
    }

    #[cfg(test)]
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// How many bytes have been sent, headers included.
    #[cfg(test)]
    pub(crate) fn bytes_sent(&self) -> u64 {
        self.shared.exchange().link().bytes_sent()
    }
}

/// What this descriptor is readable for is [`dispatch`](Connection::dispatch)'s to do. It is an epoll descriptor, the
/// same one as long as the connection lives.
impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.as_fd()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.end();
    }
}

/// When a wait that begins now has taken too long.
fn deadline(timeout: Option<Duration>) -> Option<Instant> {
    timeout.and_then(|timeout| Instant::now().checked_add(timeout))
}

/// What `fits` takes of a reply.
fn fitting<T>(reply: Reply<'static>, fits: impl FnOnce(Reply<'static>) -> Option<T>) -> Result<T, Error> {
    let kind = reply.kind();
    fits(reply).ok_or(Error::Unexpected { kind })
}

fn shown(reply: Reply<'static>) -> Option<Shown> {
    match reply {
        Reply::Shown(shown) => Some(shown),
        _ => None,
    }
}

fn done(reply: Reply<'static>) -> Option<Receipt> {
    match reply {
        Reply::Done(receipt) => Some(receipt),
        _ => None,
    }
}
