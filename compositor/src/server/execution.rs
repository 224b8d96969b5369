//! Whose slice it is, and what comes of it.
//!
//! Frames and requests take slices in turns while both have something to do: a flood of requests of whatever
//! priority does not keep the picture from changing, and a frame keeps no request waiting for longer than one slice.
//! What comes and is more urgent than what is being done waits for no frame. While a frame needs the time that is left
//! until its vblank, it has four slices for each of those requests that are no more urgent than usual.

use blitd_protocol::error::Refusal;
use blitd_protocol::reply::{Receipt, Reply, Shown};
use blitd_protocol::value::{ClockSource, NotShown, Path, Priority};

use nix::sys::epoll::EpollFlags;

use super::requests::{self, Outcome};
use super::{Rooms, Server, listing};
use crate::client::{Active, Client, Ending, Started, Work};
use crate::clock::Clock;
use crate::display::Display;
use crate::display::kms::HeadFlip;
use crate::display::output::Output;
use crate::frame_clock::lead::PRESSING_SLICES;
use crate::policy::accounts::Change;
use crate::queue::{ConnectionId, Turn};
use crate::scene::Damage;
use crate::work::cpu_access::CpuAccess;
use crate::work::paint::Stage;
use crate::work::{SLICE, SLICE_ALONE, Step, WorkError};

/// What a step of painting costs at the least, in bytes: about as long as taking up a request, carrying it out and
/// answering it takes, however small it is.
const LEAST_STEP: u64 = SLICE / 16;

/// How urgent, as the queue counts it, a request is that says nothing of it.
const USUAL: u32 = Priority::DEFAULT.number() as u32 + 1;

/// How a step of a request's work has ended.
enum Progress {
    /// There is more to do.
    Unfinished,
    /// It waits for something else than its turn.
    Blocked,
    /// It is done: bytes written, and the way they took.
    Done(u64, Path),
    /// It is done, and this is the answer.
    Answered(Reply<'static>),
}

impl Rooms {
    /// Tells the outputs what the scene says has changed.
    pub(super) fn spread_damage(&mut self) {
        for Damage { layer, output, pixels, drawn, is_arranged } in self.scene.take_damage() {
            if let Some(drawn) = drawn {
                self.display.drawn(layer, drawn);
            }
            for (id, pixels) in self.arrangement.spread(output, pixels) {
                if let Some(output) = self.outputs.iter_mut().find(|output| output.id() == id) {
                    output.damage(layer, pixels);
                    if is_arranged {
                        output.forget_weight();
                    }
                }
            }
        }
    }
}

impl Server {
    /// Whether a frame is being composed.
    pub(super) fn is_composing(&self) -> bool {
        self.rooms.outputs.iter().any(|output| !output.composing().is_empty())
    }

    /// Begins the frames that are to begin now.
    pub(super) fn begin_frames(&mut self) {
        let Self { rooms, clients, .. } = self;
        rooms.spread_damage();
        for output in rooms.outputs.iter_mut().filter(|output| output.wants_frame()) {
            let now = rooms.clock.now();
            let snapshot = |output: &Output| rooms.scene.snapshot(&rooms.arrangement.shown_on(output.id()));
            if output.is_to_be_weighed(now) {
                if output.has_lost_track(now)
                    && let Some(time) = rooms.display.last_vblank(output.id())
                {
                    output.saw_vblank(time);
                }
                output.weigh(snapshot(output), now);
            }
            // Whoever waits for a frame asks for nothing until it is there: it would not show more if it began later.
            let id = output.id();
            let is_awaited_by_all =
                !clients.is_empty() && clients.values().all(|client| syncs(client) == Some(id));
            if !output.may_begin(now, is_awaited_by_all) {
                continue;
            }
            let snapshot = snapshot(output);
            let on_planes = rooms.display.begin(output, &snapshot);
            if !on_planes.is_empty() {
                rooms.clock.passed();
            }
            let begun = rooms.clock.now();
            let frame = output.frame(snapshot, on_planes).into_iter();
            output.begin(
                frame.map(|composition| rooms.compositions.begin(composition)).collect(),
                begun,
                begun.saturating_sub(now),
            );
            if output.composing().is_empty() {
                show(&mut rooms.display, output, &rooms.clock);
            }
        }
    }

    /// Whether a frame needs the time that is left until its vblank.
    fn frame_presses(&self) -> bool {
        self.rooms.outputs.iter().any(|output| output.presses(self.rooms.clock.now()))
    }

    /// Takes note of the frames that have come on the glass, and tells those who wait for them.
    pub(super) fn flip_frames(&mut self) -> bool {
        let Rooms { outputs, clock, .. } = &mut self.rooms;
        let paced = outputs.iter_mut().filter(|output| output.awaits_time());
        let flipped = paced.map(|output| output.flip(clock.now())).fold(false, |any, one| any | one);
        if flipped {
            self.tell_syncing();
        }
        flipped
    }

    /// Takes note of the frames that the display says are on the glass.
    pub(super) fn take_flips(&mut self) {
        self.heard = true;
        for HeadFlip { output, sequence, time } in self.rooms.display.flips() {
            if let Some(output) = self.rooms.outputs.iter_mut().find(|candidate| candidate.id() == output) {
                output.flipped_by_display(sequence, time);
            }
        }
        self.tell_syncing();
    }

    /// Tells those who wait for a frame.
    pub(super) fn tell_syncing(&mut self) {
        let mut waiting: Vec<ConnectionId> =
            self.clients.values().filter(|client| syncs(client).is_some()).map(Client::id).collect();
        waiting.sort_unstable();
        for id in waiting {
            self.step(id, self.rooms.slice);
        }
    }

    /// Does one slice of work, if there is any.
    pub(super) fn slice(&mut self) -> bool {
        let turn = self.queue.next();
        let urgency = turn.map_or(0, |turn| self.queue.urgency(turn.connection));
        let is_composing = self.is_composing();
        let presses = is_composing && turn.is_some() && self.frame_presses();
        let before = std::mem::replace(&mut self.urgency, urgency);
        let is_more_urgent = urgency > if presses { before.max(USUAL) } else { before };
        if is_composing && (turn.is_none() || (self.frame_slices > 0 && !is_more_urgent)) {
            self.frame_slices = self.frame_slices.saturating_sub(1);
            self.frame_slice();
            return true;
        }
        let is_usual = urgency <= USUAL;
        self.frame_slices = if presses && is_usual { PRESSING_SLICES } else { u64::from(is_composing) };
        let Some(turn) = turn else { return false };
        if is_composing {
            let began = self.rooms.clock.now();
            self.request_slice(turn);
            self.rooms.clock.passed();
            let time = self.rooms.clock.now().saturating_sub(began);
            self.rooms.outputs.iter_mut().for_each(|output| output.held_up(time));
        } else {
            self.request_slice(turn);
        }
        true
    }

    fn frame_slice(&mut self) {
        let slice = self.slice_size();
        let rooms = &mut self.rooms;
        // The frame that began first: an output that is composed without end keeps no other from its frames.
        let composing =
            rooms.outputs.iter_mut().filter_map(|output| Some((*output.composing().first()?, output)));
        let Some((composition, output)) = composing.min_by_key(|(composition, _)| *composition) else {
            return;
        };
        rooms.counters.slices += 1;
        let settled = rooms.compositions.settled(composition);
        let step = rooms.compositions.step(composition, slice);
        rooms.clock.passed();
        let bytes = match step {
            Some(Ok((Step::Unfinished, _))) => return,
            Some(Ok((Step::Finished, bytes))) => bytes,
            // Only memory of a client can go away, and no frame is composed there.
            Some(Err(error)) => {
                tracing::error!("composing output {}: {error}", output.id());
                0
            }
            None => {
                tracing::error!("the frame of output {} is lost", output.id());
                0
            }
        };
        output.composed_part(composition, bytes, settled);
        if output.composing().is_empty() {
            show(&mut rooms.display, output, &rooms.clock);
        }
    }

    /// How many bytes a slice has: where there is nobody else, looking around more often is for nothing.
    fn slice_size(&self) -> u64 {
        if self.clients.len() > 1 { SLICE } else { SLICE_ALONE }
    }

    /// Works on requests that are as urgent as the first, one after the other, until the slice is spent. Their replies
    /// go out together at its end; so what is less urgent is left for the next one.
    fn request_slice(&mut self, first: Turn) {
        let urgency = self.queue.urgency(first.connection);
        self.rooms.slice = self.slice_size();
        let mut left = self.rooms.slice;
        let mut next = Some(first);
        while let Some(turn) = next {
            left = left.saturating_sub(self.work_on(turn, left));
            if left == 0 {
                return;
            }
            next = self.queue.next().filter(|turn| self.queue.urgency(turn.connection) == urgency);
        }
    }

    /// Works on a request with a budget, and says what that has cost.
    fn work_on(&mut self, turn: Turn, budget: u64) -> u64 {
        let id = turn.connection;
        if self.clients.get(&id).is_some_and(Client::is_stalled) {
            // It does not take its replies, so it gets no more of them.
            self.queue.hold(id);
            return 0;
        }
        if turn.started || self.start(id) { self.step(id, budget) } else { budget }
    }

    /// Begins a connection's next request; false where it is not to be stepped now.
    pub(super) fn start(&mut self, id: ConnectionId) -> bool {
        let Some(incoming) = self.queue.start(id) else { return false };
        let Some(client) = self.clients.get_mut(&id) else {
            tracing::error!("connection {id} is gone, and its requests are not");
            self.queue.remove(id);
            return false;
        };
        client.taken(&incoming);
        let started = self.rooms.clock.now();
        let asked = incoming.request.as_ref().ok().filter(|_| client.usage.dmabufs > 0);
        let access = asked.and_then(|request| CpuAccess::of(request, &client.regions, started));
        let (serial, received, priority) = (incoming.serial, incoming.received, incoming.priority);
        let started = Started { serial, received, priority, started, slices: 0, access };
        let outcome = match incoming.request {
            Ok(request) if started.access.is_some() => {
                self.begin(id, started, Work::Begin(Box::new(request)));
                return false;
            }
            Ok(request) => requests::carry_out(&mut self.rooms, client, request, incoming.descriptor),
            Err(refusal) => Err(refusal),
        };
        self.go_on(id, started, outcome)
    }

    /// Goes on with what has come of a connection's request; false where that was all of it.
    pub(super) fn go_on(
        &mut self,
        id: ConnectionId,
        mut request: Started,
        outcome: Result<Outcome, Refusal>,
    ) -> bool {
        let reply = match outcome {
            Ok(Outcome::Work(work)) => {
                if let Some(client) = self.clients.get_mut(&id) {
                    client.active = Some(Active { request, work });
                }
                return true;
            }
            Ok(Outcome::Done) => {
                request.slices = 1;
                self.rooms.clock.passed();
                self.receipt(&request, 0, Path::None)
            }
            Ok(Outcome::Reply(reply)) => reply,
            Ok(Outcome::Statistics(subject, first)) => {
                listing::statistics(&self.rooms, &self.clients, id, subject, first)
            }
            Err(refusal) => Reply::Refused(refusal),
        };
        self.finish(id, request, reply);
        false
    }

    fn receipt(&self, request: &Started, bytes: u64, path: Path) -> Reply<'static> {
        let Started { received, started, slices, .. } = *request;
        let finished = self.rooms.clock.now();
        Reply::Done(Receipt { received, started, finished, bytes, slices, path })
    }

    /// Does one step of what a connection's request has started, with a budget, and says what that has cost.
    fn step(&mut self, id: ConnectionId, budget: u64) -> u64 {
        let Some(client) = self.clients.get_mut(&id) else { return budget };
        let Some(mut active) = client.active.take() else { return budget };
        active.request.slices += 1;
        let mut left = budget;
        let progress = progress(&mut self.rooms, &mut active.work, &mut left);
        if !matches!(progress, Ok(Progress::Blocked | Progress::Answered(_))) {
            self.rooms.clock.passed();
        }
        let cost = (budget - left).max(LEAST_STEP);
        if let (Work::Paint(_, change), Ok(Progress::Done(..)) | Err(_)) = (&active.work, &progress)
            && *change != Change::default()
        {
            let less = if progress.is_ok() { change.less() } else { change.more() };
            requests::release(&mut self.rooms, client, less);
        }
        let reply = match progress {
            Ok(Progress::Unfinished) => {
                client.active = Some(active);
                self.queue.worked(id);
                return cost;
            }
            Ok(Progress::Blocked) => {
                client.active = Some(active);
                self.queue.block(id);
                return cost;
            }
            Ok(Progress::Done(bytes, path)) => self.receipt(&active.request, bytes, path),
            Ok(Progress::Answered(reply)) => reply,
            Err(refusal) => Reply::Refused(refusal),
        };
        self.finish(id, active.request, reply);
        cost
    }

    /// Answers a connection's started request, and lets its next one come.
    pub(super) fn answer(&mut self, id: ConnectionId, serial: u64, reply: &Reply<'_>) {
        self.queue.finish(id);
        if let Some(client) = self.clients.get_mut(&id) {
            client.reply(serial, reply);
            self.replied.push(id);
        }
    }

    /// Sends the replies of this turn, and reads on from those who had to wait for theirs.
    pub(super) fn send_replies(&mut self) {
        for id in std::mem::take(&mut self.replied) {
            let Some(client) = self.clients.get_mut(&id) else { continue };
            let result = client.flush();
            if !client.is_stalled() {
                self.queue.release(id);
            }
            match result {
                Err(ending) => self.end(id, &ending),
                Ok(()) if client.is_faulty() && !client.has_unsent() && self.queue.len(id) == 0 => {
                    self.end(id, &Ending::Fault);
                }
                // It was not read from: what had been read and not taken into the queue wakes nobody.
                Ok(()) if client.watched & EpollFlags::EPOLLIN.bits() == 0 => self.read(id),
                Ok(()) => self.rewatch(id),
            }
        }
    }
}

/// Puts a frame that is composed on the glass.
fn show(display: &mut Display, output: &mut Output, clock: &Clock) {
    let now = clock.now();
    let (picture, damage) = output.commit(now);
    let result = display.show(output.id(), &picture, &damage);
    clock.passed();
    match result {
        Ok(()) => output.committed(clock.now().saturating_sub(now)),
        Err(error) => {
            tracing::warn!("{error}");
            output.refused(clock.now());
        }
    }
}

/// The output for whose frame a client waits.
fn syncs(client: &Client) -> Option<u32> {
    match client.active {
        Some(Active { work: Work::Sync { output, .. }, .. }) => Some(output),
        _ => None,
    }
}

/// Does one step, and takes off what it costs.
fn progress(rooms: &mut Rooms, work: &mut Work, left: &mut u64) -> Result<Progress, Refusal> {
    rooms.counters.slices += 1;
    match work {
        Work::Paint(paint, _) => {
            let mut stage = Stage {
                scene: &mut rooms.scene,
                compositions: &mut rooms.compositions,
                unmapper: &rooms.unmapper,
                slice: rooms.slice,
            };
            if paint.step(&mut stage, left)? == Step::Unfinished {
                return Ok(Progress::Unfinished);
            }
            rooms.counters.draws += paint.draws();
            rooms.counters.drawn += paint.bytes();
            Ok(Progress::Done(paint.bytes(), paint.path()))
        }
        Work::Capture(composition) => match rooms.compositions.step(*composition, std::mem::take(left)) {
            Some(Ok((Step::Unfinished, _))) => Ok(Progress::Unfinished),
            Some(Ok((Step::Finished, bytes))) => Ok(Progress::Done(bytes, Path::None)),
            Some(Err(error)) => Err(error.into()),
            None => {
                tracing::error!("a capture is lost");
                Err(WorkError::CaptureLost.into())
            }
        },
        // The helper, or a fence, goes on with it.
        Work::Map(_) | Work::Begin(_) | Work::End(_) => Ok(Progress::Blocked),
        Work::Sync { output, generation } => {
            let id = *output;
            let output = rooms.outputs.iter().find(|output| output.id() == id && !output.is_off());
            let Some(output) = output else {
                return Ok(Progress::Answered(requests::not_shown(id, NotShown::OutputOff)));
            };
            Ok(output.shown(*generation).map_or(Progress::Blocked, |flip| {
                Progress::Answered(Reply::Shown(Shown {
                    output: id,
                    reason: NotShown::Shown,
                    sequence: flip.sequence,
                    time: flip.time,
                    clock: if flip.is_hardware { ClockSource::Hardware } else { ClockSource::Daemon },
                }))
            }))
        }
    }
}
