//! Memory that can be lent.

use memmap2::MmapMut;

use crate::error::Error;
use crate::memory;

/// Memory that the daemon draws from and captures into.
///
/// A call that lends it takes it `&mut` and gives it back with the reply. **A call that fails in a way that ends
/// the connection got no reply, and does not give it back**: the region is empty from then on, since the daemon
/// may still be using the memory.
///
/// One that was lent as a [dmabuf](crate::Connection::lend_dmabuf) has no bytes here: the program paints it as its
/// driver has it, by a device or by a mapping of its own. All else is the same.
///
/// It belongs to the connection that made it; any other refuses it with [`Error::OtherConnection`]. Dropping it frees
/// this program's mapping; the daemon keeps its own until [`destroy_region`](crate::Connection::destroy_region) or the
/// connection's end.
#[derive(Debug)]
pub struct Region {
    id: u32,
    /// The number, in this process, of the connection that made it.
    connection: u64,
    /// `None` while lent, and after no reply came.
    memory: Option<Memory>,
}

/// What is lent.
#[derive(Debug)]
pub(crate) enum Memory {
    /// Mapped here.
    Mapped(MmapMut),
    /// A dmabuf of the program's, which keeps it.
    Dmabuf,
}

impl Memory {
    /// Its bytes here.
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Dmabuf => &[],
        }
    }

    /// Its bytes here, for writing.
    fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Dmabuf => &mut [],
        }
    }
}

impl Region {
    pub(crate) fn new(id: u32, connection: u64, memory: Memory) -> Self {
        Self { id, connection, memory: Some(memory) }
    }

    /// Its id on its connection.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// How many bytes it has here; none of a dmabuf.
    pub fn len(&self) -> usize {
        self.bytes().len()
    }

    /// Whether it has no bytes here: it is a dmabuf, or it was lent and no reply came.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        self.memory.as_ref().map(Memory::bytes).unwrap_or_default()
    }

    /// Its bytes, for writing.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.memory.as_mut().map(Memory::bytes_mut).unwrap_or_default()
    }

    /// Its bytes as words, which are pixels of the 32-bit formats on a little-endian machine: 0xffrrggbb for
    /// XRGB8888. Up to three bytes at the end that make no word are left out.
    pub fn pixels_mut(&mut self) -> &mut [u32] {
        match &mut self.memory {
            Some(Memory::Mapped(map)) => memory::words(map),
            _ => &mut [],
        }
    }

    /// Fails where it is not this connection's: there, its id may be that of a region that is not lent.
    pub(crate) fn check_owner(&self, connection: u64) -> Result<(), Error> {
        if self.connection != connection {
            return Err(Error::OtherConnection { region: self.id });
        }
        Ok(())
    }

    /// Lends the memory to its connection for as long as `work` takes, which is given the region's id and must return
    /// after the daemon's reply.
    pub(crate) fn lend<T>(
        &mut self,
        connection: u64,
        work: impl FnOnce(u32, &mut [u8]) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.check_owner(connection)?;
        let mut lent = self.memory.take().ok_or(Error::Closed)?;
        let outcome = work(self.id, lent.bytes_mut());
        if !outcome.as_ref().is_err_and(Error::ends_connection) {
            self.memory = Some(lent);
        }
        outcome
    }
}
