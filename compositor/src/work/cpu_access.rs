//! Touching dmabufs with the CPU: all that a request names have begun before its first pixel, and end after its last.
//!
//! One at a time: what others see of a client that withholds its fences is one short job of the helper thread, not one
//! for each of its buffers.

use blitd_protocol::image::Image;
use blitd_protocol::request::{Entry, Request};
use blitd_protocol::value::Access;
use nix::errno::Errno;

use crate::memory::dmabuf::{Begin, Dmabuf, Fence};
use crate::memory::helper::{Helper, Task};
use crate::memory::region::{FENCE_PATIENCE_MS, RegionError, Regions};

/// The dmabufs of a request, and how far the daemon is with them.
#[derive(Debug)]
pub struct CpuAccess {
    /// With the ids of their regions, each once.
    dmabufs: Vec<(u32, Dmabuf)>,
    access: Access,
    /// How many of them, from the first on, have been begun.
    begun: usize,
    /// How many of them, from the first on, the helper has been asked to end.
    ended: usize,
    /// Whether the helper has been asked to begin the one after these, and has not answered.
    is_asked: bool,
    /// What the one after these waits for.
    fence: Option<Fence>,
    deadline: u64,
}

impl CpuAccess {
    /// What a request that is started `now` has to begin; `None` where it names no dmabuf.
    pub fn of(request: &Request<'_>, regions: &Regions, now: u64) -> Option<Self> {
        let mut dmabufs: Vec<(u32, Dmabuf)> = Vec::new();
        let mut add = |image: &Image| {
            for plane in &image.planes {
                let is_known = dmabufs.iter().any(|(region, _)| *region == plane.region);
                if let (false, Ok(region)) = (is_known, regions.get(plane.region)) {
                    dmabufs.extend(region.dmabuf().map(|dmabuf| (region.id(), dmabuf.clone())));
                }
            }
        };
        let access = match request {
            Request::Draw(draw) => {
                add(&draw.image);
                Access::Read
            }
            Request::Batch(entries) => {
                for entry in entries {
                    if let Entry::Draw(draw) = entry {
                        add(&draw.image);
                    }
                }
                Access::Read
            }
            Request::Capture(capture) => {
                add(&capture.image);
                Access::ReadWrite
            }
            _ => return None,
        };
        let deadline = now.saturating_add(FENCE_PATIENCE_MS * 1_000_000);
        (!dmabufs.is_empty()).then_some(Self {
            dmabufs,
            access,
            begun: 0,
            ended: 0,
            is_asked: false,
            fence: None,
            deadline,
        })
    }

    /// Whether it writes what it touches.
    pub fn writes(&self) -> bool {
        self.access == Access::ReadWrite
    }

    /// Until when it waits for fences; nanoseconds of the daemon's clock.
    pub const fn deadline(&self) -> u64 {
        self.deadline
    }

    /// Asks the helper to begin the next dmabuf; false where all have been begun.
    pub fn ask(&mut self, helper: &Helper, ticket: u64) -> bool {
        let next = self.dmabufs.get(self.begun);
        if let Some((_, dmabuf)) = next {
            helper.submit(ticket, dmabuf, Task::Begin(self.access));
            self.is_asked = true;
        }
        next.is_some()
    }

    /// Takes the helper's answer. Where a fence has to signal first, [`fence`](Self::fence) has it from here on.
    ///
    /// The deadline is for fences alone: whoever has only waited for the helper has not run out of time.
    ///
    /// # Errors
    /// [`RegionError::NotAccessible`], or [`RegionError::FenceTimeout`] where it is too late to wait.
    pub fn answered(&mut self, begin: Begin, now: u64) -> Result<(), RegionError> {
        self.is_asked = false;
        let region = self.dmabufs.get(self.begun).map_or(0, |(region, _)| *region);
        match begin {
            Begin::Begun => self.begun += 1,
            Begin::Failed(errno) => return Err(RegionError::NotAccessible { region, source: errno.into() }),
            Begin::Pending(_) | Begin::Busy if now >= self.deadline => return Err(self.timed_out()),
            Begin::Pending(fence) => self.fence = Some(fence),
            Begin::Busy => {}
        }
        Ok(())
    }

    /// What is waited for.
    pub const fn fence(&self) -> Option<&Fence> {
        self.fence.as_ref()
    }

    /// No longer waits for the fence, which is given back.
    pub const fn take_fence(&mut self) -> Option<Fence> {
        self.fence.take()
    }

    /// The error of whoever has waited for too long.
    pub fn timed_out(&self) -> RegionError {
        RegionError::FenceTimeout { region: self.dmabufs.get(self.begun).map_or(0, |(region, _)| *region) }
    }

    /// Asks the helper to end the next of those that have been begun; false where there is none left.
    pub fn ask_to_end(&mut self, helper: &Helper, ticket: u64) -> bool {
        let next = self.dmabufs.get(self.ended).filter(|_| self.ended < self.begun);
        if let Some((_, dmabuf)) = next {
            helper.submit(ticket, dmabuf, Task::End(self.access));
            self.ended += 1;
        }
        next.is_some()
    }

    /// What the helper has said to ending the last one. Where it was interrupted, it is to be asked again.
    ///
    /// # Errors
    /// [`RegionError::NotAccessible`].
    pub fn ended(&mut self, result: nix::Result<()>, now: u64) -> Result<(), RegionError> {
        if matches!(result, Err(Errno::EINTR | Errno::EAGAIN)) && now < self.deadline {
            self.ended = self.ended.saturating_sub(1);
            return Ok(());
        }
        let region = self.dmabufs.get(self.ended.saturating_sub(1)).map_or(0, |(region, _)| *region);
        result.map_err(|errno| RegionError::NotAccessible { region, source: errno.into() })
    }

    /// Ends all that has been begun, or is being begun, of a request whose client has gone: nobody takes the answers.
    pub fn abandon(mut self, helper: &Helper, ticket: u64) {
        // The helper does the jobs of a ticket in order.
        self.begun += usize::from(self.is_asked);
        while self.ask_to_end(helper, ticket) {}
    }
}
