//! Room 11, server: owns the rooms and moves values between them.
//!
//! ```text
//! socket ─▶ intake ─▶ queue ─▶ execution (one slice at a time) ─▶ reply
//!                                 │
//!                                 ▼
//!                               scene ─▶ frames ─▶ display
//! ```
//!
//! - this file: the rooms, and the loop: the only one that knows calloop.
//! - [`listener`]: the socket that clients connect to.
//! - `intake`: connections and requests coming in.
//! - `requests`: one handler for each request, named after it.
//! - `dmabufs`: requests that wait for the fences of dmabufs.
//! - `execution`: whose slice it is, and what comes of it; frames too.
//! - `outputs`: which outputs there are, and what comes of it when one comes or goes.
//! - `histograms`: how long requests have waited and taken.
//! - `lingering`: layers that outlive their connections, and who takes them over.
//! - `listing`: what outputs and statistics answer.
//! - `session`: the VT comes and goes.
//! - `watch`: what the loop waits for.

mod dmabufs;
mod execution;
mod histograms;
mod intake;
mod lingering;
pub mod listener;
mod listing;
mod outputs;
mod requests;
mod session;
mod watch;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixListener;
use std::rc::Rc;
use std::time::Duration;

use blitd_protocol::spin::{Pause, Spin};
use calloop::generic::Generic;
use calloop::signals::{Signal, Signals};
use calloop::{EventLoop, Interest, LoopHandle, Mode, PostAction};
use foldhash::HashMap;
use nix::sched::sched_yield;
use nix::sys::epoll::EpollFlags;

use crate::client::{Client, Incoming};
use crate::clock::Clock;
use crate::display::output::Output;
use crate::display::{Display, DisplayError, Wish};
use crate::memory::guard;
use crate::memory::helper::Helper;
use crate::memory::storage::Storage;
use crate::memory::unmap::Unmapper;
use crate::policy::Policy;
use crate::policy::accounts::Accounts;
use crate::policy::config::Config;
use crate::queue::{ConnectionId, Queue};
use crate::scene::Scene;
use crate::scene::arrangement::Arrangement;
use crate::session::{Session, SessionError};
use crate::work::SLICE;
use crate::work::compositions::Compositions;
use dmabufs::Deadlines;
use histograms::Histograms;
use intake::Reserve;
use watch::{Source, Watch};

/// While there is work, what is rare is looked at this often, in nanoseconds: a flood of connections must not keep
/// those that there are from theirs.
const LOOK_AROUND: u64 = 1_000_000;

/// What the daemon has counted since its start, connections that have ended included.
#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    requests: u64,
    refused: u64,
    draws: u64,
    slices: u64,
    drawn: u64,
    bytes_received: u64,
    bytes_sent: u64,
}

/// All rooms but the clients.
#[derive(Debug)]
struct Rooms {
    policy: Policy,
    accounts: Accounts,
    scene: Scene<Rc<Storage>>,
    compositions: Compositions,
    display: Display,
    outputs: Vec<Output>,
    arrangement: Arrangement,
    helper: Helper,
    unmapper: Unmapper,
    counters: Counters,
    /// How many bytes a slice has at present.
    slice: u64,
    histograms: Histograms,
    clock: Clock,
    started: u64,
    /// The last one, so that it goes last: the VT shows text when the card has been given up.
    session: Session,
}

/// The daemon's state.
#[derive(Debug)]
pub struct Server {
    rooms: Rooms,
    clients: HashMap<ConnectionId, Client>,
    queue: Queue<Incoming>,
    watch: Watch,
    deadlines: Deadlines,
    reserve: Reserve,
    next_connection: ConnectionId,
    /// Connections with replies that have not been sent yet.
    replied: Vec<ConnectionId>,
    /// How many slices are frames' before the next one is a request's, if both wait for one.
    frame_slices: u64,
    /// How urgent the request is that was next in the turn before.
    urgency: u32,
    /// Whether somebody came in or had something to say in this turn.
    heard: bool,
    stopping: bool,
    /// Whether screens may have come or gone while another VT was in front.
    missed_outputs: bool,
}

/// Why the daemon cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// There is no display.
    #[error(transparent)]
    Display(#[from] DisplayError),
    /// The VT cannot be had.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The kernel refuses something that the loop needs.
    #[error("the event loop: {0}")]
    Loop(#[from] calloop::Error),
    /// The kernel refuses something that the daemon needs.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// The kernel's words.
        source: io::Error,
    },
}

impl ServerError {
    fn system<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::System { what, source: source.into() }
    }
}

/// The daemon: the server and the event loop that drives it.
#[derive(Debug)]
pub struct Daemon {
    server: Server,
    event_loop: EventLoop<'static, Server>,
    looked_around: u64,
    spin: Spin,
}

impl Daemon {
    /// A daemon without a listener, and on no VT.
    ///
    /// # Errors
    /// Why it cannot run.
    pub fn new(config: Config, wish: &Wish, clock: Clock) -> Result<Self, ServerError> {
        Self::on_vt(Session::none(), config, wish, clock)
    }

    /// A daemon without a listener, on the VT of a session. To be made in the main thread, while no other one takes
    /// signals.
    ///
    /// # Errors
    /// Why it cannot run.
    pub fn on_vt(
        mut session: Session,
        config: Config,
        wish: &Wish,
        clock: Clock,
    ) -> Result<Self, ServerError> {
        guard::install().map_err(ServerError::system("installing the SIGBUS handler"))?;
        let helper = Helper::start().map_err(ServerError::system("starting the helper thread"))?;
        let unmapper = helper.unmapper();
        let now = clock.now();
        let (display, changes) = session::open_display(&mut session, wish, &clock, &unmapper)?;
        let loop_watch = Watch::new().map_err(ServerError::system("epoll and timerfd"))?;
        let readable = EpollFlags::EPOLLIN;
        loop_watch
            .add(&helper, Source::Helper, readable)
            .map_err(ServerError::system("watching the helper thread"))?;
        if let Some(flips) = display.flip_descriptor() {
            loop_watch
                .add(&flips, Source::Flips, readable)
                .map_err(ServerError::system("watching the card"))?;
        }
        let event_loop = EventLoop::try_new()?;
        loop_watch
            .add(&event_loop, Source::Rare, readable)
            .map_err(ServerError::system("watching the event loop"))?;
        let handle = event_loop.handle();
        watch(&handle, display.monitor_descriptor(), Server::look_for_outputs)?;
        watch(&handle, session.descriptor(), Server::follow_session)?;
        let rooms = Rooms {
            policy: config.policy,
            accounts: Accounts::default(),
            scene: Scene::default(),
            compositions: Compositions::default(),
            display,
            outputs: Vec::new(),
            arrangement: Arrangement::default(),
            helper,
            unmapper,
            counters: Counters::default(),
            slice: SLICE,
            histograms: Histograms::default(),
            clock,
            started: now,
            session,
        };
        let mut server = Server {
            rooms,
            clients: HashMap::default(),
            queue: Queue::default(),
            watch: loop_watch,
            deadlines: Deadlines::default(),
            reserve: Reserve::open(),
            next_connection: 1,
            replied: Vec::new(),
            frame_slices: 0,
            urgency: 0,
            heard: false,
            stopping: false,
            missed_outputs: false,
        };
        server.change_outputs(changes);
        if !server.rooms.session.is_in_front() {
            server.rooms.give_up_display();
        }
        Ok(Self { server, event_loop, looked_around: now, spin: Spin::default() })
    }

    /// Takes connections from a listening socket.
    ///
    /// # Errors
    /// The kernel refuses to watch it.
    pub fn listen(&mut self, listener: UnixListener) -> Result<(), ServerError> {
        listener.set_nonblocking(true).map_err(ServerError::system("the listening socket"))?;
        let accepting = listener.try_clone().map_err(ServerError::system("duplicating a descriptor"))?;
        insert(&self.event_loop.handle(), listener, move |server| server.accept(&accepting))
    }

    /// Ends [`run`](Self::run) at SIGTERM and SIGINT.
    ///
    /// # Errors
    /// The kernel refuses to watch them.
    pub fn stop_on_signals(&mut self) -> Result<(), ServerError> {
        let signals = Signals::new(&[Signal::SIGTERM, Signal::SIGINT])?;
        self.event_loop
            .handle()
            .insert_source(signals, |event, (), server: &mut Server| {
                tracing::info!("{:?}: stopping", event.signal());
                server.stopping = true;
            })
            .map_err(|error| ServerError::Loop(error.error))?;
        Ok(())
    }

    /// Runs until a signal stops it.
    ///
    /// # Errors
    /// The loop itself fails.
    pub fn run(&mut self) -> Result<(), ServerError> {
        while !self.server.stopping {
            self.turn(None)?;
        }
        Ok(())
    }

    /// One turn of the loop: what has come in, what the clock says, one slice of work, what goes out. Waits at most
    /// `longest` where there is nothing to do, and says whether it did anything.
    ///
    /// # Errors
    /// The loop itself fails.
    pub fn turn(&mut self, longest: Option<Duration>) -> Result<bool, ServerError> {
        let server = &mut self.server;
        let mut busy = !server.queue.is_idle() || server.is_composing() || server.rooms.scene.is_damaged();
        let longest = match longest {
            _ if busy => Some(Duration::ZERO),
            None if server.rooms.clock.is_kernels() => rest(&mut self.spin, &server.rooms.clock),
            longest => longest,
        };
        let is_rare = server.hear(longest)?;
        let since = |looked| server.rooms.clock.now().saturating_sub(looked);
        if is_rare && (server.queue.is_idle() || since(self.looked_around) >= LOOK_AROUND) {
            self.looked_around = server.rooms.clock.now();
            self.event_loop.dispatch(Some(Duration::ZERO), server)?;
            // It may have taken long: a card has been opened, or a mode set.
            server.rooms.clock.passed();
        }
        // Half a message is nothing to work on yet, and its other half may be there already.
        busy |= std::mem::take(&mut server.heard);
        server.enter();
        busy |= server.flip_frames();
        busy |= server.expire_fences();
        server.begin_frames();
        busy |= !server.queue.is_idle() || server.is_composing();
        if busy {
            self.spin.found(|| server.rooms.clock.now());
        }
        busy |= server.slice();
        let replies = !server.replied.is_empty();
        server.send_replies();
        if replies && !server.queue.is_idle() {
            // Who has been answered may need this CPU, and would have to wait until the scheduler takes it from here.
            let _ = sched_yield();
        }
        if server.queue.is_idle() && !server.is_composing() {
            // The loop may sleep next, until the time that a frame is to begin: a sync, which has told the outputs what has
            // changed, leaves nothing behind that would keep it awake.
            server.begin_frames();
        }
        Ok(busy | replies)
    }

    /// The server, for its connections and for what it knows.
    pub fn server(&mut self) -> &mut Server {
        &mut self.server
    }

    /// Whether the helper thread has something to do for a request: the daemon then goes on of itself, at a time that
    /// is the kernel's, whatever the daemon's clock.
    pub fn awaits_helper(&self) -> bool {
        self.server.rooms.helper.is_busy()
    }

    /// When the daemon has to do something of itself, if ever; nanoseconds of its clock.
    pub fn wakes_at(&self) -> Option<u64> {
        self.server.wakes_at()
    }
}

/// There is nothing to do: how long to wait at most for something to happen; `None` is without limit.
fn rest(spin: &mut Spin, clock: &Clock) -> Option<Duration> {
    let pause = spin.pause(|| clock.now());
    if pause == Pause::First {
        // It never fails on Linux.
        let _ = sched_yield();
    }
    (pause != Pause::Sleep).then_some(Duration::ZERO)
}

/// Has the loop watch a descriptor that somebody else owns, if there is one.
fn watch(
    handle: &LoopHandle<'static, Server>,
    descriptor: Option<BorrowedFd<'_>>,
    ready: fn(&mut Server),
) -> Result<(), ServerError> {
    let Some(descriptor) = descriptor else { return Ok(()) };
    let own = descriptor.try_clone_to_owned().map_err(ServerError::system("duplicating a descriptor"))?;
    insert(handle, own, ready)
}

fn insert<F: AsFd + 'static>(
    handle: &LoopHandle<'static, Server>,
    source: F,
    mut ready: impl FnMut(&mut Server) + 'static,
) -> Result<(), ServerError> {
    let source = Generic::new(source, Interest::READ, Mode::Level);
    handle
        .insert_source(source, move |_, _, server| {
            ready(server);
            Ok(PostAction::Continue)
        })
        .map_err(|error| ServerError::Loop(error.error))?;
    Ok(())
}

impl Server {
    /// The outputs, and what is on their glass.
    pub fn outputs(&self) -> &[Output] {
        &self.rooms.outputs
    }

    fn wakes_at(&self) -> Option<u64> {
        let frames = self.rooms.outputs.iter().filter_map(Output::wakes_at);
        frames.chain(self.deadlines.next()).chain(self.rooms.session.wakes_at()).min()
    }

    /// Waits until something happens, but not beyond the time to wake at, and hears what has; true where calloop has
    /// the rest.
    fn hear(&mut self, longest: Option<Duration>) -> Result<bool, ServerError> {
        if longest != Some(Duration::ZERO)
            && self.rooms.clock.is_kernels()
            && let Some(time) = self.wakes_at()
        {
            self.watch.wake_at(time).map_err(ServerError::system("setting a timer"))?;
        }
        let mut is_rare = false;
        let events = self.watch.wait(longest);
        self.rooms.clock.passed();
        for (source, flags) in events {
            self.heard |= source != Source::Rare;
            match source {
                Source::Connection(id) => self.hear_client(id, flags),
                Source::Fence(id) => self.fence_signalled(id),
                Source::Helper => self.hear_helper(),
                Source::Flips => self.take_flips(),
                Source::Rare => is_rare = true,
            }
        }
        Ok(is_rare)
    }
}
