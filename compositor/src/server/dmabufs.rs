//! Requests that touch dmabufs: what the helper answers, and fences that are waited for.
//!
//! ```text
//! started ─▶ the helper begins ─▶ carried out as any other ─▶ the helper ends ─▶ reply
//!              ▲          │
//!              │          ▼ (pending)
//!              └── the fence signals ── or the deadline comes: refused
//! ```
//!
//! Such a request is only looked at when its dmabufs have begun, so everything else is as if it had come then.

use std::collections::BTreeSet;

use blitd_protocol::reply::Reply;

use super::watch::{Source, Watch};
use super::{Server, requests};
use crate::client::{Active, Started, Work};
use crate::clock::Clock;
use crate::memory::dmabuf::{Begin, Fence};
use crate::memory::helper::Answer;
use crate::queue::ConnectionId;
use crate::work::cpu_access::CpuAccess;

/// When the connections that wait for a fence stop doing so.
#[derive(Debug, Default)]
pub(super) struct Deadlines(BTreeSet<(u64, ConnectionId)>);

impl Deadlines {
    /// The next one.
    pub(super) fn next(&self) -> Option<u64> {
        self.0.first().map(|(deadline, _)| *deadline)
    }

    /// Takes the next one away if it has come.
    fn take_expired(&mut self, clock: &Clock) -> Option<ConnectionId> {
        self.next().filter(|deadline| *deadline <= clock.now())?;
        self.0.pop_first().map(|(_, id)| id)
    }
}

fn unwatch(watch: &Watch, id: ConnectionId, fence: &Fence) {
    if let Err(errno) = watch.delete(fence) {
        tracing::error!("connection {id}: epoll_ctl of a fence: {errno}");
    }
}

impl Server {
    /// Asks for the next of a request's dmabufs; carries it out where it has all of them.
    pub(super) fn begin(&mut self, id: ConnectionId, mut request: Started, work: Work) {
        let is_asked = request.access.as_mut().is_some_and(|access| access.ask(&self.rooms.helper, id));
        let Some(client) = self.clients.get_mut(&id) else { return };
        match work {
            Work::Begin(held) if !is_asked => {
                self.queue.unblock(id);
                let outcome = requests::carry_out(&mut self.rooms, client, *held, None);
                self.go_on(id, request, outcome);
            }
            work => {
                client.active = Some(Active { request, work });
                self.queue.block(id);
            }
        }
    }

    /// What has come of a request is this: the answer, where nothing is left to end.
    pub(super) fn finish(&mut self, id: ConnectionId, mut request: Started, reply: Reply<'static>) {
        let is_asked =
            request.access.as_mut().is_some_and(|access| access.ask_to_end(&self.rooms.helper, id));
        if !is_asked {
            self.rooms.histograms.record(request.priority, &reply);
            self.answer(id, request.serial, &reply);
        } else if let Some(client) = self.clients.get_mut(&id) {
            client.active = Some(Active { request, work: Work::End(reply) });
            self.queue.block(id);
        }
    }

    /// Takes what the helper has done.
    pub(super) fn hear_helper(&mut self) {
        for (id, answer) in self.rooms.helper.answers() {
            let Some(client) = self.clients.get_mut(&id) else { continue };
            let Some(Active { request, work }) = client.active.take() else {
                tracing::error!("connection {id}: the helper has done something that nobody waits for");
                continue;
            };
            match (work, answer) {
                (Work::Map(create), Answer::Mapped(mapped)) => {
                    let outcome = requests::region_mapped(&mut self.rooms, client, create, mapped);
                    self.go_on(id, request, outcome);
                }
                (work @ Work::Begin(_), Answer::Begin(begin)) => self.begun(id, request, work, begin),
                (Work::End(reply), Answer::Ended(result)) => self.ended(id, request, reply, result),
                (work, answer) => {
                    tracing::error!("connection {id}: the helper has answered {answer:?} to {work:?}");
                }
            }
        }
    }

    fn begun(&mut self, id: ConnectionId, mut request: Started, work: Work, begin: Begin) {
        let now = self.rooms.clock.now();
        let Some(access) = request.access.as_mut() else { return };
        if let Err(error) = access.answered(begin, now) {
            return self.finish(id, request, Reply::Refused(error.into()));
        }
        let Some(fence) = access.fence() else { return self.begin(id, request, work) };
        if let Err(errno) = self.watch.add(fence, Source::Fence(id), fence.events()) {
            tracing::warn!("connection {id}: epoll_ctl of a fence: {errno}");
            access.take_fence();
            let error = access.timed_out();
            return self.finish(id, request, Reply::Refused(error.into()));
        }
        self.deadlines.0.insert((access.deadline(), id));
        if let Some(client) = self.clients.get_mut(&id) {
            client.active = Some(Active { request, work });
        }
    }

    fn ended(
        &mut self,
        id: ConnectionId,
        mut request: Started,
        reply: Reply<'static>,
        result: nix::Result<()>,
    ) {
        let now = self.rooms.clock.now();
        let Some(access) = request.access.as_mut() else { return };
        // What has been drawn is in its layer. What has been captured may not have come to where devices see it.
        let reply = match access.ended(result, now) {
            Err(error) if access.writes() && matches!(reply, Reply::Done(_)) => Reply::Refused(error.into()),
            _ => reply,
        };
        self.finish(id, request, reply);
    }

    /// A connection's fence has signalled.
    pub(super) fn fence_signalled(&mut self, id: ConnectionId) {
        if let Some((request, work)) = self.stop_waiting(id) {
            self.begin(id, request, work);
        }
    }

    /// Refuses the requests whose fences have not signalled in time; says whether there were any.
    pub(super) fn expire_fences(&mut self) -> bool {
        let mut any = false;
        while let Some(id) = self.deadlines.take_expired(&self.rooms.clock) {
            any = true;
            let Some((request, _)) = self.stop_waiting(id) else { continue };
            if let Some(error) = request.access.as_ref().map(CpuAccess::timed_out) {
                self.finish(id, request, Reply::Refused(error.into()));
            }
        }
        any
    }

    /// Takes up a request that waits for a fence, which is no longer watched.
    fn stop_waiting(&mut self, id: ConnectionId) -> Option<(Started, Work)> {
        let waits = |active: &mut Active| active.request.access.as_ref()?.fence().map(drop);
        let active = &mut self.clients.get_mut(&id)?.active;
        active.as_mut().and_then(waits)?;
        let Active { mut request, work } = active.take()?;
        self.stop_watching(id, &mut request);
        Some((request, work))
    }

    fn stop_watching(&mut self, id: ConnectionId, request: &mut Started) {
        let Some(access) = request.access.as_mut() else { return };
        if let Some(fence) = access.take_fence() {
            unwatch(&self.watch, id, &fence);
            self.deadlines.0.remove(&(access.deadline(), id));
        }
    }

    /// Gives up a request whose connection has ended.
    pub(super) fn abandon(&mut self, id: ConnectionId, active: Active) {
        let Active { mut request, work } = active;
        self.stop_watching(id, &mut request);
        if let Some(access) = request.access {
            access.abandon(&self.rooms.helper, id);
        }
        if let Work::Capture(composition) = work {
            self.rooms.compositions.cancel(composition);
        }
    }
}
